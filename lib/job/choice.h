/* SPDX-License-Identifier: Apache-2.0 */
/*
 * choice - which records of a topic are restored, exported or shown: by record time, windows, skips, partitions,
 * and the newest few of each partition.
 *
 * A record is taken when all of this holds: its partition is listed, or none of its topic is; its timestamp
 * lies in [from_ms, until_ms); it lies in a window, or there are none; no skip names it. Of these the
 * newest N by offset, where that is asked for. A record without a timestamp counts as what Kafka gives
 * for one, -1: older than any of 1970 and later.
 *
 * Judging is by every record. What the catalog knows of a run (offsets, least and greatest timestamp)
 * only saves reading runs that hold none, and counting those of which all are taken.
 *
 * Threads: pure functions; a choice and a cut may be read by any number of threads.
 */
#ifndef TM_JOB_CHOICE_H
#define TM_JOB_CHOICE_H

#include "base/arena.h"
#include "base/buf.h"
#include "vault/pack_reader.h" /* runs and records */

enum { /* bounds of what comes from outside */
    TM_CHOICE_WINDOWS_MAX = 1000,
    TM_CHOICE_SKIPS_MAX = 10000,
    TM_CHOICE_PARTITIONS_MAX = 10000, /* listed, of all topics together */
};

struct tm_choice_partitions { /* of a topic only these; other topics are not touched by it */
    const char *topic;
    const int32_t *at;
    size_t count;
};

struct tm_choice_window { /* [from, to) */
    const char *topic;
    int32_t partition; /* -1: all; by offset never */
    bool by_time;      /* milliseconds of record time; else offsets */
    int64_t from;
    int64_t to;
};

struct tm_choice_skip { /* [first, last] */
    const char *topic;
    int32_t partition;
    int64_t first;
    int64_t last;
};

struct tm_choice { /* all zero: everything. Texts and arrays are borrowed */
    bool has_from;
    int64_t from_ms; /* inclusive */
    bool has_until;
    int64_t until_ms; /* exclusive */
    const struct tm_choice_partitions *partitions;
    size_t partition_count; /* of entries */
    const struct tm_choice_window *windows;
    size_t window_count;
    const struct tm_choice_skip *skips;
    size_t skip_count;
    int64_t newest; /* of each partition; 0: all */
};

bool tm_choice_is_all(const struct tm_choice *choice);
/* Bounds and order: TM_E_USAGE names what is wrong, TM_E_LIMIT too many of something. */
enum tm_code tm_choice_check(const struct tm_choice *choice, struct tm_err *err) TM_MUST_CHECK;
/* "orders/7@4711", "orders/7@5000-5010" (the last is skipped too). The topic lies in `arena`. */
enum tm_code tm_choice_parse_skip(const char *text, struct tm_arena *arena,
        struct tm_choice_skip *out, struct tm_err *err) TM_MUST_CHECK;
/* Append the whole of it as text: equal texts choose the same. For digests. */
void tm_choice_describe(const struct tm_choice *choice, struct tm_buf *out);

/* One partition -------------------------------------------------------------------------------- */

struct tm_choice_span { /* [from, to) */
    int64_t from;
    int64_t to;
};

struct tm_choice_cut { /* the choice as it stands for one partition */
    bool nothing;      /* the partition is not listed, or there are windows and none is of it */
    bool windowed;
    struct tm_choice_span time; /* of from_ms and until_ms; unbounded: INT64_MIN, INT64_MAX */
    const struct tm_choice_span
            *offsets; /* windows by offset: sorted and joined, as the next two */
    size_t offset_count;
    const struct tm_choice_span *times; /* windows by record time */
    size_t time_count;
    const struct tm_choice_span *skips;
    size_t skip_count;
    int64_t newest; /* 0: all */
    int64_t first;  /* nothing below this offset is taken: found by counting (chosen.h), else 0 */
};

/* In `arena`; `choice` NULL: everything. O(windows + skips + partitions). */
void tm_choice_cut(const struct tm_choice *choice, const char *topic, int32_t partition,
        struct tm_arena *arena, struct tm_choice_cut *out);

enum tm_taken { TM_TAKEN_NONE, TM_TAKEN_SOME, TM_TAKEN_ALL };
/* How much of a run is taken, by what is known of it without reading; SOME where that does not tell. */
enum tm_taken tm_choice_run(const struct tm_choice_cut *cut, const struct tm_run *run);
/* Is the record taken? `newest` is not asked, only what it came to: `first`. */
bool tm_choice_record(const struct tm_choice_cut *cut, const struct tm_record *record);
/*
 * Offsets of the range, of which nothing is stored, that might have been taken: how many, and the first of
 * them. `time` is what lies around the range: from the least timestamp before it to the greatest behind
 * it, both included. `by_time` false: only windows by offset ask for it.
 */
struct tm_choice_absent {
    struct tm_choice_span offsets;
    struct tm_choice_span time;
    bool by_time;
};
int64_t tm_choice_missing(
        const struct tm_choice_cut *cut, const struct tm_choice_absent *absent, int64_t *first);

#endif
