/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_run - the state of one restore, shared by the files restore*.c and by nothing else.
 *
 * Threads: the run belongs to the job's thread; a partition to the worker that has it in hand.
 */
#ifndef TM_JOB_RESTORE_RUN_H
#define TM_JOB_RESTORE_RUN_H

#include <pthread.h>

#include "base/bucket.h"
#include "job/chosen.h"
#include "job/restore.h"
#include "job/restore_map.h"
#include "kafka/txn_writer.h"
#include "kafka/writer.h"

/*
 * A partition, of the source and of the target alike where each goes into the one of its number. In a topic
 * with lanes (restore_lane.h) there are two kinds: sources, which have a range, and goals, which have
 * the rest.
 */
struct restore_part {
    struct restore_topic *topic;
    int32_t partition;
    int64_t start; /* in the source */
    int64_t end;
    int64_t base;  /* target offset of the first restored record */
    int64_t there; /* records that lie in the target already: a resumed restore */
    int64_t count; /* records the range holds; known when it has been walked */
    int64_t zero_stamps;
    bool failed;
    tm_source_marks marks;
    struct tm_writer_partition *writer; /* of a goal of a lane; NULL: nothing was sent yet */
    /* Of a goal that is appended to (restore_append.h): */
    struct tm_txn_part *txn;
    tm_txn_places places; /* of the `there` first records and of those committed since */
    size_t place_at;      /* the place that was asked for last */
};

struct restore_topic {
    struct tm_restore_topic *line; /* of the plan */
    struct tm_stream stream;
    const struct tm_row_topic *captured;
    struct restore_part *parts; /* of the source */
    size_t part_count;
    struct restore_part *goals; /* of the target: `parts` themselves where the topic has no lanes */
    size_t goal_count;
    bool lanes; /* records change their partition or get a header */
    bool fresh; /* made, or taken when it was empty, by this very run: nothing of ours is in it yet */
    bool failed;
};

struct restore_run {
    const struct tm_restore_options *options;
    struct tm_job_env *env;
    struct tm_restore_plan *plan;
    struct tm_restore_result *result;
    struct restore_topic *topics;
    size_t topic_count;
    struct restore_part **parts; /* of all topics: their goals, those appended to last */
    size_t part_count;
    size_t own_count;              /* of them that are not */
    struct restore_append *append; /* NULL: none is */
    struct tm_writer *writer;
    struct tm_pack_cache *cache;
    struct tm_restore_map *map; /* where each record went */
    struct tm_bucket pace;      /* of what is written; any thread */
    pthread_mutex_t lock;       /* guards result and the catalog handle while workers run */
};

/* One more record lies in the goal, or is on its way there: before goal->count counts it. */
void tm_restore_passed(const struct restore_run *run, const struct restore_part *goal,
        const struct tm_record *record);
/* Wait until the record may be written, as limits.write_bytes_per_second says. */
enum tm_code tm_restore_pace(
        struct restore_run *run, const struct tm_record *record, struct tm_err *err) TM_MUST_CHECK;
/* restore_write.c: produce every partition, from where the target's log ends. */
enum tm_code tm_restore_write(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/* What is chosen of the partition, by the log; it lies in `arena`. It has been checked that the log
 * covers it. Any thread. */
enum tm_code tm_restore_load_range(struct restore_run *run, const struct restore_part *part,
        struct tm_arena *arena, struct tm_chosen_range **out, struct tm_err *err) TM_MUST_CHECK;
/*
 * The same, ready to be read; what it reads from lies in `arena`. It has been
 * checked that the log covers it. Any thread.
 */
enum tm_code tm_restore_open_source(struct restore_run *run, const struct restore_part *part,
        struct tm_arena *arena, struct tm_source **out, struct tm_err *err) TM_MUST_CHECK;
/*
 * restore_preflight.c: options for a client that writes: batches no larger than a topic that was there
 * takes. Texts in `arena`.
 */
struct tm_kafka_options tm_restore_writer_options(
        const struct restore_run *run, struct tm_arena *arena);
/* restore_proof.c: read every partition of the target back and compare. Differences are failures. */
void tm_restore_prove(struct restore_run *run);
/* restore_topics.c: make the topics that are missing, with retention held; journal first. */
enum tm_code tm_restore_make_topics(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/* Where each partition begins in the target and what lies there already. */
enum tm_code tm_restore_find_ends(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/*
 * restore_hold.c: with hold_all, hold a topic that was there, so that nothing of what is written to it is refused or
 * deleted. What is changed stands in the journal first.
 */
enum tm_code tm_restore_hold(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err) TM_MUST_CHECK;
int64_t tm_restore_hold_ms(const struct tm_restore_options *options);
/*
 * Give topics made here their captured configuration, and those that were there theirs; retention that
 * is held comes later, by the journal. Failures are warnings: the records are there.
 */
void tm_restore_configure(struct restore_run *run);

/* Remember a failure or a warning in the result; any thread. */
void tm_restore_fail(struct restore_run *run, const struct restore_part *part, const char *code,
        const char *detail);
void tm_restore_warn(
        struct restore_run *run, const char *topic, const char *code, const char *detail);
/* Call fn for every partition, on threads of the pool, a few side by side. */
void tm_restore_each(
        struct restore_run *run, void (*fn)(struct restore_run *run, struct restore_part *part));
/* restore_ask.c: tm_kafka_offsets() of the target, broken off within seconds when the job is cancelled. */
enum tm_code tm_restore_offsets(struct restore_run *run, struct tm_offsets *rows, size_t count,
        struct tm_err *err) TM_MUST_CHECK;
int64_t tm_restore_request_ms(const struct tm_restore_options *options);

/* restore_choice.c: what is restored. The plan's point: of one or several policies, its ends as they are restored. */
enum tm_code tm_restore_read_point(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_err *err) TM_MUST_CHECK;
/* How much of the topic is chosen, and what of that is missing. `budget` is the plan's. */
enum tm_code tm_restore_count(const struct tm_restore_options *options,
        const struct tm_restore_plan *plan, struct tm_restore_topic *topic,
        struct tm_chosen_budget *budget, struct tm_err *err) TM_MUST_CHECK;
/* Does any record of the topic come into question? */
bool tm_restore_wants(const struct tm_restore_options *options, const char *topic);
/* Names of the choice that stand for nothing, and what a choice by time does not reach. */
enum tm_code tm_restore_check_choice(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_err *err) TM_MUST_CHECK;
/* All of it that is the choice's, for the plan's digest. */
void tm_restore_describe_choice(const struct tm_restore_options *options, struct tm_buf *out);

#endif
