/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_map - where each record of the source went in the target, kept small.
 *
 * A consumer group stands at an offset of the source; after a restore it has to stand at the first
 * restored record at or after that. The map answers this for any offset: for each pair of a source
 * partition and a target partition it keeps one entry while the distance between the two offsets
 * stays the same. Where that is too much to keep (holes of compaction, records spread by key),
 * entries are joined, and an answer within a joined entry may be too low, never too high: a consumer
 * reads records again rather than to miss one. Offsets known beforehand, those of the groups to be
 * restored, are watched, and for them the answer is always exact.
 *
 * Threads: tm_restore_map_note() for one source partition from one thread at a time, for different
 * ones side by side; the questions from any thread at any time. Everything else before the first note.
 */
#ifndef TM_JOB_RESTORE_MAP_H
#define TM_JOB_RESTORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

struct tm_restore_map;

enum { TM_MAP_ANSWERS_MAX = 2 << 20 }; /* watched offsets times the target partitions of each */

/* `most` entries altogether, for tests; 0: 400,000 (16 MiB). */
struct tm_restore_map *tm_restore_map_new(size_t most);
void tm_restore_map_free(struct tm_restore_map *map);
TM_OWNABLE(struct tm_restore_map *, tm_restore_map_free);

/* Source partitions 0 to `partitions` - 1 of the stream; others are not noted. Each stream once. */
void tm_restore_map_add(struct tm_restore_map *map, uint32_t stream, int32_t partitions);
/* The answer for this source offset shall be exact. After tm_restore_map_add() of the stream. */
void tm_restore_map_watch(struct tm_restore_map *map, uint32_t stream, int32_t source_partition,
        int64_t source_offset);

/*
 * A record lies in the target, or has been handed to it: to be said once of each, in offset order of
 * its source partition, also of records that lay there already when a restore is taken up again.
 * A `map` of NULL is no map.
 */
void tm_restore_map_note(struct tm_restore_map *map, uint32_t stream, int32_t source_partition,
        int64_t source_offset, int32_t target_partition, int64_t target_offset);
/* Forget what was noted of a source partition: it is about to be noted again from its beginning. */
void tm_restore_map_forget(struct tm_restore_map *map, uint32_t stream, int32_t source_partition);

enum tm_map_answer {
    TM_MAP_BEYOND, /* no record of the source partition at or after the offset went there */
    TM_MAP_EXACT,  /* the record of that very offset */
    TM_MAP_NEXT, /* the first restored record after it, as that one was not restored (or not there) */
    TM_MAP_BEFORE, /* at or before the first restored record at or after it */
};
const char *tm_map_answer_name(enum tm_map_answer answer); /* "beyond", "exact", "next", "before" */

/*
 * The target offset of the first record from this source partition, at or after `source_offset`, that
 * went to the target partition. BEYOND gives the offset behind the last of its records there, and
 * leaves *target_offset alone where none went there. False: that was not kept, since there were more
 * pairs of partitions than the map may have.
 */
bool tm_restore_map_find(struct tm_restore_map *map, uint32_t stream, int32_t source_partition,
        int64_t source_offset, int32_t target_partition, enum tm_map_answer *answer,
        int64_t *target_offset);

/* `records` records from source_first to source_last went to target_first to target_last. */
struct tm_map_entry {
    int32_t source_partition;
    int32_t target_partition;
    int64_t source_first;
    int64_t source_last;
    int64_t target_first;
    int64_t target_last;
    int64_t records; /* as many as offsets on both sides: each lies at the same distance */
};
/*
 * Copy entries of the stream, by source partition, target partition and offset, beginning with number
 * `from` of them: how many, at most `most`. Entries may be joined while records are still noted.
 */
size_t tm_restore_map_entries(struct tm_restore_map *map, uint32_t stream, size_t from, size_t most,
        struct tm_map_entry *out);

#endif
