/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_map - what the journal keeps of a restore for afterwards: where its records went, and what
 * became of the consumer groups.
 *
 * Both are kept as long as the job is listed. Threads: as journal.h.
 */
#ifndef TM_CATALOG_JOURNAL_MAP_H
#define TM_CATALOG_JOURNAL_MAP_H

#include "catalog/journal.h"

/* `records` records, from source_first to source_last, went to target_first to target_last. */
struct tm_map_row {
    int32_t source_partition;
    int32_t target_partition;
    int64_t source_first;
    int64_t source_last;
    int64_t target_first;
    int64_t target_last;
    int64_t records;
    const char *topic;  /* of the source; set when read */
    const char *target; /* the topic they went to; set when read */
};

/*
 * Keep the rows of a topic, in place of what is kept of it: `next` is called with `arg` for up to `most`
 * rows at a time until it gives none. One transaction.
 */
enum tm_code tm_journal_put_map(struct tm_journal *journal, const struct tm_id16 *job,
        const char *topic, const char *target,
        size_t (*next)(void *arg, struct tm_map_row *rows, size_t most), void *arg,
        struct tm_err *err) TM_MUST_CHECK;

struct tm_map_query {
    struct tm_id16 job;
    const char *topic; /* of the source; NULL: all */
    int32_t partition; /* of the source; -1: all */
    int64_t from;      /* rows to pass over first */
    size_t limit;
};
/* By topic, source partition, offset and target partition. */
enum tm_code tm_journal_map(struct tm_journal *journal, const struct tm_map_query *query,
        struct tm_arena *arena, struct tm_map_row **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

/* What became of the groups (JSON): kept before anything else is done that a resumed job could see. */
enum tm_code tm_journal_put_groups(struct tm_journal *journal, const struct tm_id16 *job,
        const char *report, struct tm_err *err) TM_MUST_CHECK;
/* *out is NULL when nothing is kept. */
enum tm_code tm_journal_groups(struct tm_journal *journal, const struct tm_id16 *job,
        struct tm_arena *arena, const char **out, struct tm_err *err) TM_MUST_CHECK;

#endif
