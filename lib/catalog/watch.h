/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - what earlier runs saw of the partitions at the source, so that a run can say what has moved since.
 *
 * Three things are remembered: when all of a partition was last stored (whole), since when its last stable offset has
 * stood still below its high watermark (stuck), and where its log began and ended at two moments (marks). Local rows
 * beside the fold, of streams by their numbers in the log: gone when the fold is begun anew. What points say then
 * stands in, as far as it goes.
 *
 * Threads: as the handle. Errors as catalog.h. Times are UTC ms.
 */
#ifndef TM_CATALOG_WATCH_H
#define TM_CATALOG_WATCH_H

#include "catalog/catalog.h"

struct tm_watch_mark {
    int64_t at_ms; /* 0: none */
    int64_t start; /* log start, */
    int64_t end;   /* and high watermark then */
};

struct tm_watch {
    uint32_t stream;
    int32_t partition; /* -1: the stream as a whole, of which only whole_ms says something */
    int64_t whole_ms;  /* all that the log held then is stored; 0: not known */
    int64_t stuck_at;  /* the last stable offset that stands still, */
    int64_t stuck_ms;  /* since when; 0: none */
    struct tm_watch_mark old;
    struct tm_watch_mark young;
};

/* What is known of the stream, by partition; in `arena`. */
enum tm_code tm_watch_read(struct tm_catalog *catalog, uint32_t stream, struct tm_arena *arena,
        struct tm_watch **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
/* Put rows in the place of what is known of them, all or none. */
enum tm_code tm_watch_put(struct tm_catalog *catalog, const struct tm_watch *rows, size_t count,
        struct tm_err *err) TM_MUST_CHECK;

/* What points say, of whatever policy; 0: nothing. */
/* The newest point at which the partition was whole and ended at `end`. */
enum tm_code tm_watch_whole_of(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t end, int64_t *time_ms, struct tm_err *err) TM_MUST_CHECK;
/* The oldest point at which the last stable offset was `lso` already, and below the high watermark. */
enum tm_code tm_watch_stuck_of(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t lso, int64_t *time_ms, struct tm_err *err) TM_MUST_CHECK;

#endif
