/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chosen - what the vault holds of a partition of a point, as a choice cuts it: the range to read, what of
 * it is missing, how much it is, and the source that gives it.
 *
 * Offsets: without a window and without `from` those of the point, [start, end). Windows and `from`
 * reach below the start, as far as the vault holds anything; never beyond `end`, so that what is
 * chosen stays the same while backups go on.
 *
 *     TM_TRY(tm_chosen_range(catalog, choice, &part, &arena, &range, err));   the catalog's thread or lock
 *     TM_TRY(tm_chosen_open(vault, cache, &range, &source, err));            any thread; may read
 *     ... tm_source_next(source, ...) ... tm_source_marks_of(source)
 *
 * Threads: a range belongs to one thread at a time.
 */
#ifndef TM_JOB_CHOSEN_H
#define TM_JOB_CHOSEN_H

#include "job/choice.h"
#include "job/restore_source.h"

struct tm_chosen_part { /* a partition of a point */
    const struct tm_stream *stream;
    int32_t partition;
    int64_t start;
    int64_t end;
};

struct tm_chosen_range {
    struct tm_source_range source; /* its `cut` is the next member: do not copy this struct */
    struct tm_choice_cut cut;
    int64_t lost; /* offsets that might have been taken and are not stored: gaps that are a loss, and
                           what was freed outside the point */
    int64_t lost_first;  /* the first of them; -1: none */
    int64_t unexplained; /* offset within the point that is in no run and no gap; -1: none */
};

/*
 * By the catalog alone. `choice` NULL: everything. Runs lie in `arena`, and `part->stream` must outlive
 * the range.
 */
enum tm_code tm_chosen_range(struct tm_catalog *catalog, const struct tm_choice *choice,
        const struct tm_chosen_part *part, struct tm_arena *arena, struct tm_chosen_range *out,
        struct tm_err *err) TM_MUST_CHECK;

/*
 * TM_E_CORRUPT names the first offset that is in no run and no gap, TM_E_MISSING what is lost in gaps: for a reader
 * that was not told to go on around what is missing.
 */
enum tm_code tm_chosen_need_whole(
        const struct tm_chosen_range *range, struct tm_err *err) TM_MUST_CHECK;

/*
 * A source of exactly the chosen records; `range` must outlive it. Where the newest N are asked for this counts
 * from the end first, reading the runs of which only a part is taken.
 */
enum tm_code tm_chosen_open(struct tm_vault *vault, struct tm_pack_cache *cache,
        struct tm_chosen_range *range, struct tm_source **out, struct tm_err *err) TM_MUST_CHECK;

struct tm_chosen_budget { /* of reading in order to count; shared by the partitions of a plan */
    struct tm_vault *vault;
    struct tm_pack_cache *cache;
    int64_t bytes; /* left */
    int64_t runs;  /* left */
};

struct tm_chosen_totals {
    int64_t messages;
    int64_t bytes;
    int64_t largest; /* an upper bound */
    int64_t ts_min;  /* bounds; INT64_MAX and INT64_MIN where nothing is chosen */
    int64_t ts_max;
    bool exact; /* else messages and bytes are upper bounds: counting would have read too much */
};
/* How much is chosen. What cannot be read is not counted, and its bound stands. */
void tm_chosen_totals(const struct tm_chosen_range *range, struct tm_chosen_budget *budget,
        struct tm_chosen_totals *out);

#endif
