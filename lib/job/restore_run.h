/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_run - the state of one restore, shared by the files restore*.c and by nothing else.
 *
 * Threads: the run belongs to the job's thread; a partition to the worker that has it in hand.
 */
#ifndef TM_JOB_RESTORE_RUN_H
#define TM_JOB_RESTORE_RUN_H

#include <pthread.h>

#include "job/restore.h"
#include "job/restore_source.h"
#include "kafka/writer.h"

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
};

struct restore_topic {
    struct tm_restore_topic *line; /* of the plan */
    struct tm_stream stream;
    const struct tm_row_topic *captured;
    struct restore_part *parts;
    size_t part_count;
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
    struct restore_part **parts; /* of all topics */
    size_t part_count;
    struct tm_writer *writer;
    struct tm_pack_cache *cache;
    pthread_mutex_t lock; /* guards result and the catalog handle while workers run */
};

/* restore_write.c: produce every partition, from where the target's log ends. */
enum tm_code tm_restore_write(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/* restore_proof.c: read every partition of the target back and compare. Differences are failures. */
void tm_restore_prove(struct restore_run *run);
/* restore_topics.c: make the topics that are missing, with retention held; journal first. */
enum tm_code tm_restore_make_topics(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/* Where each partition begins in the target and what lies there already. */
enum tm_code tm_restore_find_ends(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/* Give topics made here their captured configuration. Failures are warnings: the records are there. */
void tm_restore_configure(struct restore_run *run);

/* Remember a failure or a warning in the result; any thread. */
void tm_restore_fail(struct restore_run *run, const struct restore_part *part, const char *code,
        const char *detail);
void tm_restore_warn(
        struct restore_run *run, const char *topic, const char *code, const char *detail);
/* Call fn for every partition, on threads of the pool, a few side by side. */
void tm_restore_each(
        struct restore_run *run, void (*fn)(struct restore_run *run, struct restore_part *part));
int64_t tm_restore_request_ms(const struct tm_restore_options *options);

#endif
