/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "job/restore_append.h"
#include "job/restore_groups.h"
#include "job/restore_lane.h"

enum { SIDE_BY_SIDE_MIN = 2, SIDE_BY_SIDE_MAX = 4 };

void tm_restore_result_done(struct tm_restore_result *result)
{
    tm_vec_done(&result->topics);
    tm_vec_done(&result->holds);
    tm_vec_done(&result->warnings);
    tm_vec_done(&result->failures);
    tm_arena_done(&result->arena);
}

void tm_restore_fail(struct restore_run *run, const struct restore_part *part, const char *code,
        const char *detail)
{
    const char *topic = part != NULL ? part->topic->line->target : NULL;
    int32_t partition = part != NULL ? part->partition : -1;
    pthread_mutex_lock(&run->lock);
    tm_job_note_add(&run->result->failures, &run->result->arena, code, topic, partition, detail);
    if (part != NULL) {
        part->topic->failed = true;
    }
    pthread_mutex_unlock(&run->lock);
    tm_log(TM_LOG_ERROR, "restore.part-failed", detail, TM_LOG_STR("job", run->env->job_id),
            TM_LOG_STR("topic", topic), TM_LOG_INT("partition", partition),
            TM_LOG_STR("code", code), TM_LOG_END);
}

void tm_restore_warn(
        struct restore_run *run, const char *topic, const char *code, const char *detail)
{
    pthread_mutex_lock(&run->lock);
    tm_job_note_add(&run->result->warnings, &run->result->arena, code, topic, -1, detail);
    pthread_mutex_unlock(&run->lock);
    tm_log(TM_LOG_WARNING, "restore.warning", detail, TM_LOG_STR("job", run->env->job_id),
            TM_LOG_STR("topic", topic), TM_LOG_STR("code", code), TM_LOG_END);
}

/* Partitions side by side --------------------------------------------------------------------- */

struct crowd {
    struct restore_run *run;
    struct tm_latch *latch;
    atomic_size_t next;
    void (*fn)(struct restore_run *run, struct restore_part *part);
};

static void work_some(void *arg)
{
    struct crowd *crowd = arg;
    for (;;) {
        size_t at = atomic_fetch_add(&crowd->next, 1);
        if (at >= crowd->run->part_count) {
            break;
        }
        crowd->fn(crowd->run, crowd->run->parts[at]);
    }
    tm_latch_finish(crowd->latch);
}

void tm_restore_each(
        struct restore_run *run, void (*fn)(struct restore_run *run, struct restore_part *part))
{
    TM_OWN(tm_latch_free) struct tm_latch *latch = tm_latch_new();
    struct crowd crowd = {.run = run, .latch = latch, .fn = fn};
    /* Each has a block or a fetched queue in hand; more of them than cores would only take memory. */
    size_t cores = tm_pool_threads(run->env->sealers);
    size_t most = cores < SIDE_BY_SIDE_MIN   ? SIDE_BY_SIDE_MIN
                  : cores > SIDE_BY_SIDE_MAX ? SIDE_BY_SIDE_MAX
                                             : cores;
    size_t limit = (size_t)run->options->into.max_in_flight;
    most = limit > 0 && limit < most ? limit : most;
    for (size_t i = 0; i < most && i < run->part_count; i++) {
        tm_latch_add(latch);
        tm_pool_submit(run->env->workers, work_some, &crowd);
    }
    tm_latch_wait(latch);
}

/* The run ------------------------------------------------------------------------------------- */

static const struct tm_row_topic *captured_topic(const struct tm_point *point, uint32_t stream)
{
    for (size_t i = 0; i < point->row.topic_count; i++) {
        if (point->row.topics[i].stream == stream) {
            return &point->row.topics[i];
        }
    }
    return NULL;
}

static const struct tm_stream *captured_stream(const struct tm_point *point, uint32_t id)
{
    size_t at = 0;
    while (at < point->stream_count && point->streams[at].id != id) {
        at++;
    }
    tm_assert(at < point->stream_count); /* a point has the stream of each of its topics */
    return &point->streams[at];
}

static void make_parts(struct restore_run *run, struct restore_topic *topic)
{
    const struct tm_point *point = &run->plan->point;
    topic->part_count = (size_t)topic->line->partitions;
    topic->parts = tm_xalloc(topic->part_count + 1, sizeof(*topic->parts));
    for (size_t p = 0; p < topic->part_count; p++) {
        topic->parts[p].topic = topic;
        topic->parts[p].partition = (int32_t)p;
    }
    for (size_t i = 0; i < point->row.part_count; i++) {
        const struct tm_row_part *row = &point->row.parts[i];
        if (row->stream == topic->line->stream && (size_t)row->partition < topic->part_count) {
            topic->parts[row->partition].start = row->start;
            topic->parts[row->partition].end = row->end;
        }
    }
}

/* What was proved is done with: retention or compaction may have been at work since. */
static void list_parts(struct restore_run *run)
{
    run->parts = tm_xalloc(run->part_count + 1, sizeof(struct restore_part *));
    size_t at = 0;
    for (int append = 0; append < 2; append++) {
        for (size_t t = 0; t < run->topic_count; t++) {
            struct restore_topic *topic = &run->topics[t];
            bool listed = !topic->line->configured && topic->line->append == (append == 1);
            for (size_t p = 0; listed && p < topic->goal_count; p++) {
                run->parts[at++] = &topic->goals[p];
            }
        }
        run->own_count = append == 0 ? at : run->own_count;
    }
}

static enum tm_code open_run(struct restore_run *run, struct tm_err *err)
{
    struct tm_restore_plan *plan = run->plan;
    run->topic_count = plan->topics.count;
    run->topics = tm_xalloc(run->topic_count + 1, sizeof(*run->topics));
    run->map = tm_restore_map_new(0);
    for (size_t t = 0; t < run->topic_count; t++) {
        struct restore_topic *topic = &run->topics[t];
        topic->line = &plan->topics.at[t];
        topic->captured = captured_topic(&plan->point, topic->line->stream);
        topic->stream = *captured_stream(&plan->point, topic->line->stream);
        make_parts(run, topic);
        tm_restore_map_add(run->map, topic->line->stream, topic->line->partitions);
        tm_restore_make_goals(run, topic);
        run->part_count += topic->line->configured ? 0 : topic->goal_count;
    }
    list_parts(run);
    tm_restore_watch_groups(run);
    tm_bucket_init(&run->pace, run->options->into.write_bytes_per_second);
    run->cache = tm_pack_cache_new(run->options->vault);
    atomic_store(&run->env->progress->total_messages, plan->messages);
    atomic_store(&run->env->progress->total_bytes, plan->bytes);
    atomic_store(&run->env->progress->parts_waiting, (int64_t)run->part_count);
    return tm_pack_cache_follow(run->cache, run->options->catalog, err);
}

static void free_topic(struct restore_topic *topic)
{
    for (size_t p = 0; p < topic->goal_count; p++) {
        tm_vec_done(&topic->goals[p].marks);
        tm_vec_done(&topic->goals[p].places);
    }
    if (topic->lanes) {
        free(topic->goals);
    }
    free(topic->parts);
}

static void close_run(struct restore_run *run)
{
    tm_writer_close(run->writer);
    tm_restore_append_close(run);
    for (size_t t = 0; t < run->topic_count; t++) {
        free_topic(&run->topics[t]);
    }
    free(run->topics);
    free(run->parts);
    tm_pack_cache_free(run->cache);
    tm_restore_map_free(run->map);
    pthread_mutex_destroy(&run->lock);
}

static void report(struct restore_run *run)
{
    struct tm_restore_result *result = run->result;
    result->topics_count = (int64_t)run->topic_count;
    for (size_t t = 0; t < run->topic_count; t++) {
        struct tm_restore_topic line = *run->topics[t].line;
        line.source = tm_arena_strdup(&result->arena, line.source);
        line.target = tm_arena_strdup(&result->arena, line.target);
        line.messages = line.configured ? line.messages : 0;
        result->partitions_count += (int64_t)run->topics[t].goal_count;
        for (size_t p = 0; p < run->topics[t].goal_count; p++) {
            line.messages += run->topics[t].goals[p].count;
            result->timestamps_changed += run->topics[t].goals[p].zero_stamps;
        }
        result->messages_count += line.messages;
        *tm_vec_push(&result->topics) = line;
    }
    result->proved = result->failures.count == 0;
    if (result->timestamps_changed > 0) {
        char detail[120];
        (void)snprintf(detail, sizeof(detail),
                "%" PRId64
                " records with timestamp 0 were written with 1: the client takes 0 for now",
                result->timestamps_changed);
        tm_restore_warn(run, NULL, "timestamps-changed", detail);
    }
}

static enum tm_code execute(struct restore_run *run, struct tm_err *err)
{
    TM_TRY(tm_restore_make_topics(run, err));
    TM_TRY(tm_restore_find_ends(run, err));
    TM_TRY(tm_restore_append_open(run, err));
    TM_TRY(tm_restore_write(run, err));
    TM_FAULT("job.restore.written");
    if (tm_job_cancelled(run->env)) {
        return tm_err_set(
                err, TM_E_CANCELLED, "cancelled; topics made so far are left as they are");
    }
    tm_writer_close(TM_TAKE(run->writer)); /* its queue's memory is for the readers now */
    tm_restore_prove(run);
    TM_FAULT("job.restore.proved");
    if (tm_job_cancelled(run->env) && run->result->failures.count > 0) {
        return tm_err_set(err, TM_E_CANCELLED,
                "cancelled before all of it was proved; what was written is left as it is");
    }
    TM_TRY(tm_restore_set_groups(run, err));
    TM_FAULT("job.restore.groups");
    tm_restore_configure(run);
    tm_restore_append_forget(run);
    TM_FAULT("job.restore.configured");
    report(run);
    return TM_OK;
}

/* The first thing in the way, as this job's failure. */
static enum tm_code blocked(const struct tm_restore_plan *plan, struct tm_err *err)
{
    const struct tm_job_note *first = &plan->blocking.at[0];
    return tm_err_set(err, TM_E_CONFLICT, "%s", first->detail);
}

enum tm_code tm_restore_run(const struct tm_restore_options *options, struct tm_job_env *env,
        struct tm_restore_result *out, struct tm_err *err)
{
    struct tm_restore_plan plan = {0};
    struct restore_run run = {
            .options = options,
            .env = env,
            .plan = &plan,
            .result = out,
            .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    enum tm_code code = tm_restore_plan(options, env, &plan, err);
    if (code == TM_OK && plan.blocking.count > 0) {
        code = blocked(&plan, err);
    }
    if (code == TM_OK) {
        for (size_t i = 0; i < plan.warnings.count; i++) {
            const struct tm_job_note *note = &plan.warnings.at[i];
            tm_job_note_add(&out->warnings, &out->arena, note->code, note->topic, note->partition,
                    note->detail);
        }
        code = open_run(&run, err);
        code = code == TM_OK ? execute(&run, err) : code;
        close_run(&run);
    }
    tm_restore_plan_done(&plan);
    atomic_store(&env->progress->phase, TM_PHASE_DONE);
    return code;
}
