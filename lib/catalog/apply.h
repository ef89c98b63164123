/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply - one log entry into the catalog, by the rules of docs/catalog.md, "The fold".
 *
 * The steps share struct tm_apply and go in the order of this header. Each refuses what breaks a rule
 * with TM_E_CORRUPT and says which; the transaction then undoes all of them. The edits are as
 * tm_entry_decode() gives them or tm_entry_encode() has taken them: lists in order, numbers in bounds.
 *
 * Threads: as the handle.
 */
#ifndef TM_CATALOG_APPLY_H
#define TM_CATALOG_APPLY_H

#include "catalog/sql.h"
#include "vault/fold.h"

struct tm_freed { /* where a dropped pack had a run */
    uint32_t stream;
    int32_t partition;
    int64_t from;
    int64_t end;
};

struct tm_grown { /* what an entry adds to a stream partition: [from, end) */
    uint32_t stream;
    int32_t partition;
    int64_t from;
    int64_t end;
    int64_t last_run; /* first offset of the last run in it; -1: there is none */
    int64_t last_run_end;
};

struct tm_apply {
    struct tm_sql *sql;
    const struct tm_edits *edits;
    uint32_t last_stream;        /* ids 1 .. last_stream are there */
    struct tm_slice *cluster_of; /* by stream id; null: not looked up yet */
    uint64_t last_point;         /* greatest id before the entry */
    int64_t *pack_ids;           /* of edits->packs */
    bool *merged;                /* which of edits->packs are successors */
    TM_VEC(struct tm_freed) freed;
    TM_VEC(struct tm_grown) grown;
    struct tm_arena arena;
};

/* The whole: one transaction. Codes as struct tm_fold_ops says. */
enum tm_code tm_apply_entry(struct tm_sql *sql, const struct tm_entry_place *place,
        const struct tm_hash *hash, uint64_t object_bytes, const struct tm_edits *edits,
        struct tm_err *err) TM_MUST_CHECK;

/* The same, undone again: would the entry be taken? */
enum tm_code tm_apply_check(struct tm_sql *sql, const struct tm_entry_place *place,
        const struct tm_edits *edits, struct tm_err *err) TM_MUST_CHECK;

/*
 * Have others overtaken the edits (vault/fold.h)? TM_E_CONFLICT says by what; whatever else breaks a
 * rule is for tm_apply_check().
 */
enum tm_code tm_apply_overtaken(struct tm_sql *sql, const struct tm_edits *edits, int64_t now_ms,
        struct tm_err *err) TM_MUST_CHECK;

/* Streams, and the archive windows that name them. */
enum tm_code tm_apply_streams(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;
/* Is there a stream of that id, of that cluster (null: any)? `what` begins the refusal. */
enum tm_code tm_apply_check_stream(struct tm_apply *apply, uint32_t stream,
        struct tm_slice cluster_id, const char *what, struct tm_err *err) TM_MUST_CHECK;
/* The entry's policy gets its last writer; needs streams. */
enum tm_code tm_apply_writers(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;

/* Packs gone and new, without the runs of the new ones; what became of old ones; sweep. */
enum tm_code tm_apply_packs(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;

/* Runs and gaps: how they join; then the tails; then the rows themselves. */
enum tm_code tm_apply_ranges(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_apply_tails(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;

/* New points; needs tails. */
enum tm_code tm_apply_points(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;
/* Points gone, then marks. After the new points: their rows are told against those of before. */
enum tm_code tm_apply_expire(struct tm_apply *apply, struct tm_err *err) TM_MUST_CHECK;

#endif
