/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_source - the stored records of a stream partition in [start, end), in offset order.
 *
 * What a reader of the target must arrive at is given run by run (struct tm_source_mark): for a run
 * taken whole, the content proof that stands in the pack's index, so that the target is compared with
 * what the backup saw and not with what this reader made of it; for a run taken in part, the digest
 * of that part, after the whole of it was compared with its proof.
 *
 * Threads: a source belongs to one thread; sources share the job's cache of open packs.
 */
#ifndef TM_JOB_RESTORE_SOURCE_H
#define TM_JOB_RESTORE_SOURCE_H

#include "catalog/catalog.h"
#include "vault/pack_reader.h"

/* Open packs, shared by the sources of a job; any thread. */
struct tm_pack_cache;
struct tm_pack_cache *tm_pack_cache_new(struct tm_vault *vault);
void tm_pack_cache_free(struct tm_pack_cache *cache);
TM_OWNABLE(struct tm_pack_cache *, tm_pack_cache_free);

/* The next `count` records of the target must have this digest. */
struct tm_source_mark {
    int64_t count;
    uint32_t epoch; /* of the ring: whose K_rec and K_id */
    struct tm_id16 proof;
};
typedef TM_VEC(struct tm_source_mark) tm_source_marks;

/* Runs of the catalog; borrowed for the source's life. */
struct tm_source_range {
    const struct tm_stored_run *runs;
    size_t run_count;
    struct tm_slice cluster_id;
    struct tm_slice topic;
    uint32_t incarnation;
    int32_t partition;
    int64_t start;
    int64_t end;
};

struct tm_source;
struct tm_source *tm_source_new(
        struct tm_vault *vault, struct tm_pack_cache *cache, const struct tm_source_range *range);
void tm_source_free(struct tm_source *source);
TM_OWNABLE(struct tm_source *, tm_source_free);

/*
 * The next record, borrowed until the next call. *more is false at the end. A record with timestamp 0
 * comes with 1 (see kafka/writer.h) and counts in the marks as that. TM_E_CORRUPT names the pack.
 */
enum tm_code tm_source_next(struct tm_source *source, struct tm_record *out, bool *more,
        struct tm_err *err) TM_MUST_CHECK;
/* Marks of all that was given; complete once *more was false. Borrowed. */
int64_t tm_source_zero_stamps(const struct tm_source *source); /* records given with 1 for 0 */
const tm_source_marks *tm_source_marks_of(const struct tm_source *source);

#endif
