/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_source - the stored records of a stream partition in [start, end), in offset order; all of
 * them, or those that a choice takes.
 *
 * What a reader of the target must arrive at is given run by run (struct tm_source_mark): for a run
 * taken whole, the content proof that stands in the pack's index, so that the target is compared with
 * what the backup saw and not with what this reader made of it; for a run taken in part, the digest
 * of that part. Nothing of such a run is given before the whole of it was compared with its proof.
 *
 * Threads: a source belongs to one thread; sources share the job's cache of open packs.
 */
#ifndef TM_JOB_RESTORE_SOURCE_H
#define TM_JOB_RESTORE_SOURCE_H

#include "catalog/catalog.h"
#include "job/choice.h"
#include "vault/pack_reader.h"

/*
 * Open packs, shared by the sources of a job; any thread. It also finds the packs that hold the content of
 * deduplicated blocks.
 */
struct tm_pack_cache;
struct tm_pack_cache *tm_pack_cache_new(struct tm_vault *vault);
/*
 * Follow packs that were merged away since, by what the vault's log says: with a handle of its own beside
 * `catalog`, which is not kept. Before the first source. Without it packs are sought under their old names.
 */
enum tm_code tm_pack_cache_follow(struct tm_pack_cache *cache, const struct tm_catalog *catalog,
        struct tm_err *err) TM_MUST_CHECK;
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
    uint32_t
            stream; /* the catalog's id, to ask for its runs again when packs were merged; 0: do not */
    struct tm_slice cluster_id;
    struct tm_slice topic;
    uint32_t incarnation;
    int32_t partition;
    int64_t start;
    int64_t end;
    bool exact; /* a timestamp of 0 comes as it is: what is read does not go to Kafka */
    const struct tm_choice_cut *cut; /* which of them; NULL: all. chosen.h makes such a range */
    bool prove; /* compare each run with its stored proof here: what reads the target sees no runs */
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
/* Epoch of the ring whose keys are in the mark of the record given last. */
uint32_t tm_source_epoch(const struct tm_source *source);
/* Marks of all that was given; complete once *more was false. Borrowed. */
int64_t tm_source_zero_stamps(const struct tm_source *source); /* records given with 1 for 0 */
const tm_source_marks *tm_source_marks_of(const struct tm_source *source);

#endif
