/* SPDX-License-Identifier: Apache-2.0 */
#include "job/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "job/backup_run.h"

enum {
    CHECKPOINT_MS = 60 * 1000,
    CHECKPOINT_BYTES = 1 << 30,
    TOPIC_WORKERS = 4,
    READER_QUEUE = 16 << 20, /* bytes fetched ahead, of each worker (kafka/kafka.h) */
    TICK_MS = 250,           /* how often the job looks at its workers' progress, at most */
    PLANS_MAX = 3,           /* another writer may be faster; then the run is planned anew */
};

static void add_note(struct backup_run *run, tm_job_notes *notes, const char *code,
        const char *topic, int32_t partition, const char *detail)
{
    pthread_mutex_lock(&run->lock);
    tm_job_note_add(notes, run->arena, code, topic, partition, detail);
    pthread_mutex_unlock(&run->lock);
}

/* What somebody may want to be called for has an event of its own. */
static const char *event_of(const struct tm_job_note *note)
{
    static const char *const events[] = {
            "backup.gap",
            "backup.compaction-outage",
            "backup.corrupt-skipped",
            "backup.retention-headroom",
            "backup.open-transaction",
            "backup.quota-throttled",
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(events[i] + strlen("backup."), note->code) == 0) {
            return events[i];
        }
    }
    return "backup.warning";
}

static void log_note(const struct backup_run *run, bool failure, const struct tm_job_note *note)
{
    tm_log(failure ? TM_LOG_ERROR : TM_LOG_WARNING, failure ? "backup.part-failed" : event_of(note),
            note->detail, TM_LOG_STR("job", run->env->job_id),
            TM_LOG_STR("policy", run->options->policy), TM_LOG_STR("topic", note->topic),
            TM_LOG_INT("partition", note->partition), TM_LOG_STR("code", note->code), TM_LOG_END);
}

void tm_backup_log(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail)
{
    log_note(run, false, &(struct tm_job_note){code, detail, topic, partition});
}

void tm_backup_warn(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail)
{
    add_note(run, &run->result->warnings, code, topic, partition, detail);
    log_note(run, false, &(struct tm_job_note){code, detail, topic, partition});
}

void tm_backup_fail(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail)
{
    add_note(run, &run->result->failures, code, topic, partition, detail);
    log_note(run, true, &(struct tm_job_note){code, detail, topic, partition});
}

void tm_backup_result_done(struct tm_backup_result *result)
{
    tm_vec_done(&result->topics);
    tm_vec_done(&result->warnings);
    tm_vec_done(&result->failures);
    tm_arena_done(&result->arena);
}

/* Reading ------------------------------------------------------------------------------------- */

struct reading {
    struct backup_run *run;
    struct tm_latch *latch;
    atomic_size_t next; /* topic to be read next */
};

/* A thread of the pool takes one topic after the other until there is none. */
static void read_some(void *arg)
{
    struct reading *reading = arg;
    struct backup_run *run = reading->run;
    for (;;) {
        size_t at = atomic_fetch_add(&reading->next, 1);
        if (at >= run->count) {
            break;
        }
        if (run->at[at].news) {
            tm_backup_read_topic(&run->at[at]);
        }
    }
    tm_latch_finish(reading->latch);
}

static size_t topic_workers(const struct backup_run *run)
{
    size_t limit = run->options->topic_workers > 0 ? run->options->topic_workers : TOPIC_WORKERS;
    return run->todo < limit ? run->todo : limit;
}

static int64_t checkpoint_ms(const struct backup_run *run)
{
    return run->options->checkpoint_ms > 0 ? run->options->checkpoint_ms : CHECKPOINT_MS;
}

/* Progress goes into the log now and then, so that a crash costs little. */
static enum tm_code checkpoint(struct backup_run *run, int64_t *last_ns, struct tm_err *err)
{
    const struct tm_backup_options *options = run->options;
    int64_t bytes = options->checkpoint_bytes > 0 ? options->checkpoint_bytes : CHECKPOINT_BYTES;
    size_t pending = tm_packer_pending_bytes(run->packer);
    bool due = tm_mono_ns() - *last_ns >= checkpoint_ms(run) * 1000000 || (int64_t)pending >= bytes;
    if (!due || pending == 0) {
        return TM_OK;
    }
    enum tm_code code = tm_backup_commit(run, false, err);
    *last_ns = tm_mono_ns();
    return code;
}

/* Read all topics that have news. A failure of the vault stops the workers and is the run's. */
static enum tm_code read_topics(struct backup_run *run, struct tm_err *err)
{
    TM_OWN(tm_latch_free) struct tm_latch *latch = tm_latch_new();
    struct reading reading = {.run = run, .latch = latch};
    int64_t last_ns = tm_mono_ns();
    int64_t tick_ms = checkpoint_ms(run) < TICK_MS ? checkpoint_ms(run) : TICK_MS;
    enum tm_code code = TM_OK;
    atomic_store(&run->env->progress->phase, TM_PHASE_READING);
    for (size_t i = 0; i < topic_workers(run); i++) {
        tm_latch_add(latch);
        tm_pool_submit(run->env->workers, read_some, &reading);
    }
    while (!tm_latch_wait_ms(latch, tick_ms)) {
        if (code == TM_OK) {
            code = checkpoint(run, &last_ns, err);
        }
        if (code != TM_OK) {
            atomic_store(&run->vault_failed, true);
        }
    }
    return code;
}

/* The run ------------------------------------------------------------------------------------- */

/*
 * The budget: each worker's queue of fetched records first, then a third of the rest for open blocks, a
 * third for blocks on their way to a pack, and a third for the buffers that sealing itself takes. A
 * budget too small for the queues still gives each a sixth.
 */
static void open_packer(struct backup_run *run)
{
    const struct tm_backup_options *options = run->options;
    size_t workers = topic_workers(run);
    size_t queues = workers * READER_QUEUE;
    size_t memory = run->env->memory_bytes;
    size_t blocks = queues < memory / 2 ? (memory - queues) / 3 : memory / 6;
    struct tm_packer_options packer = {
            .vault = options->vault,
            .sealers = run->env->sealers,
            .params = run->params,
            .level = options->level,
            .budget_bytes = blocks,
            .lookup = tm_content_lookup(run->content),
    };
    run->packer = tm_packer_new(&packer);
    run->open_budget = blocks / (workers > 0 ? workers : 1);
}

/* What there is to do, as far as offsets tell; a run that is planned again begins to count again. */
static void estimate(struct backup_run *run)
{
    struct tm_progress *progress = run->env->progress;
    int64_t total = 0;
    int64_t waiting = 0;
    int64_t failed = 0;
    for (size_t t = 0; t < run->count; t++) {
        for (size_t p = 0; p < run->at[t].part_count; p++) {
            const struct backup_part *part = &run->at[t].parts[p];
            total += part->state == PART_TODO ? part->end - part->next : 0;
            waiting += part->state == PART_TODO ? 1 : 0;
            failed += part->state == PART_FAILED ? 1 : 0;
        }
    }
    atomic_store(&progress->done_messages, 0);
    atomic_store(&progress->done_bytes, 0);
    atomic_store(&progress->total_messages, total);
    atomic_store(&progress->parts_waiting, waiting);
    atomic_store(&progress->parts_running, 0);
    atomic_store(&progress->parts_done, 0);
    atomic_store(&progress->parts_failed, failed);
}

static void free_part(struct backup_part *part)
{
    tm_vec_done(&part->runs);
    tm_vec_done(&part->gaps);
}

static void free_run(struct backup_run *run)
{
    tm_packer_free(run->packer);
    for (size_t t = 0; t < run->count; t++) {
        for (size_t p = 0; p < run->at[t].part_count; p++) {
            free_part(&run->at[t].parts[p]);
        }
    }
    tm_vec_done(&run->numbers);
    tm_vec_done(&run->unreadable);
    tm_packed_list_done(&run->packs);
    tm_packed_list_done(&run->left_out);
    tm_content_close(run->content);
    tm_topic_list_done(&run->topics);
    tm_group_list_done(&run->groups);
    tm_kafka_close(run->groups_kafka);
    tm_read_pace_done(&run->pace);
    pthread_mutex_destroy(&run->lock);
}

/* The run ended before its plan: by its timeout, or because it was asked to stop. */
static void tell_of_unreached(struct backup_run *run)
{
    for (size_t t = 0; t < run->count; t++) {
        size_t left = 0;
        for (size_t p = 0; p < run->at[t].part_count; p++) {
            left += run->at[t].parts[p].state == PART_TODO ? 1 : 0;
        }
        if (left > 0) {
            char detail[120];
            (void)snprintf(detail, sizeof(detail), "%zu partitions were not read to their end: %s",
                    left,
                    tm_job_cancelled(run->env) ? "the job was asked to stop"
                    : run->window_closes       ? "the policy's window is closed"
                                               : "the run's timeout");
            tm_backup_fail(run, run->at[t].info->name, -1, "not-reached", detail);
        }
    }
}

/* What an operator should look at: somebody deleted the topic, or the cluster lost records. */
static void tell_of_incarnation(const struct backup_run *run, const struct backup_topic *topic)
{
    tm_log(TM_LOG_WARNING, "topic.new-incarnation",
            "the topic's log is not the one that is stored: it was read from its start as a new "
            "incarnation; older points keep what was stored before",
            TM_LOG_STR("job", run->env->job_id), TM_LOG_STR("policy", run->options->policy),
            TM_LOG_STR("topic", topic->info->name),
            TM_LOG_INT("incarnation", topic->stream.incarnation), TM_LOG_END);
}

static void report(struct backup_run *run)
{
    struct tm_backup_result *result = run->result;
    tell_of_unreached(run);
    result->partial = result->failures.count > 0;
    result->topics.count = 0;
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        struct tm_backup_topic *line = tm_vec_push(&result->topics);
        line->topic = tm_arena_strdup(run->arena, topic->info->name);
        line->messages = topic->messages;
        line->bytes = topic->bytes;
        line->lost = topic->lost + topic->passed;
        line->begun = topic->begun;
        if (topic->begun) {
            tell_of_incarnation(run, topic);
        }
        line->failed = topic->failed;
        for (size_t p = 0; p < topic->part_count; p++) {
            const struct backup_part *part = &topic->parts[p];
            bool whole = part->state == PART_IDLE || part->state == PART_DONE;
            line->failed |= !whole;
            int64_t behind = part->unanswered ? 0 : part->high_watermark - part->committed;
            line->behind += behind;
            line->behind_most = behind > line->behind_most ? behind : line->behind_most;
        }
        tm_backup_headroom(topic, line);
        result->partial |= line->failed;
        result->partitions_count += (int64_t)topic->part_count;
    }
    result->topics_count = (int64_t)run->count;
}

/* A quota of the brokers: the run took longer than it had to, which is as it was ordered. */
static void tell_of_quota(struct backup_run *run)
{
    char detail[160];
    int64_t ms = run->result->throttled_ms;
    if (ms > 0) {
        (void)snprintf(detail, sizeof(detail),
                "brokers held back their answers for %" PRId64 ".%" PRId64
                " s in all, to keep Tidemark within its quota",
                ms / 1000, ms % 1000 / 100);
        tm_backup_warn(run, NULL, -1, "quota-throttled", detail);
    }
}

static enum tm_code run_planned(struct backup_run *run, int64_t throttled_ms, struct tm_err *err)
{
    enum tm_code code = tm_catalog_params(run->options->catalog, &run->params, err);
    if (code == TM_OK) {
        code = tm_backup_plan(run, err);
    }
    if (code == TM_OK && tm_job_cancelled(run->env)) {
        code = tm_err_set(err, TM_E_CANCELLED, "cancelled before anything was read");
    }
    if (code != TM_OK) {
        return code;
    }
    tm_backup_repair(run);
    open_packer(run);
    estimate(run);
    if (run->todo > 0) {
        code = read_topics(run, err);
    }
    atomic_store(&run->env->progress->phase, TM_PHASE_COMMITTING);
    if (code == TM_OK) {
        code = tm_backup_commit(run, true, err);
    }
    if (code == TM_OK) {
        report(run);
        run->result->throttled_ms = tm_kafka_throttled_ms(run->options->kafka) - throttled_ms;
        tell_of_quota(run);
        tm_backup_put_watch(run);
    }
    return code;
}

/* When the run has to end, whatever is left. */
struct deadline {
    int64_t at_ns;   /* monotonic; 0: never */
    bool is_windows; /* not the timeout, which comes later */
};

static struct deadline deadline_of(const struct tm_backup_options *options)
{
    struct deadline deadline = {0};
    int64_t left_ms = options->stop_at_ms - tm_now_ms();
    if (options->timeout_ms > 0) {
        deadline.at_ns = tm_mono_ns() + options->timeout_ms * 1000000;
    }
    if (options->stop_at_ms > 0 && (options->timeout_ms <= 0 || left_ms < options->timeout_ms)) {
        deadline.at_ns = tm_mono_ns() + (left_ms > 0 ? left_ms : 0) * 1000000;
        deadline.is_windows = true;
    }
    return deadline;
}

/* One try; TM_E_CONFLICT when another writer was faster with the same ranges. */
static enum tm_code try_run(const struct tm_backup_options *options, struct tm_job_env *env,
        struct deadline deadline, struct tm_backup_result *out, struct tm_err *err)
{
    struct backup_run run = {
            .options = options,
            .env = env,
            .result = out,
            .arena = &out->arena,
            .deadline_ns = deadline.at_ns,
            .window_closes = deadline.is_windows,
            .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    int64_t throttled_ms = tm_kafka_throttled_ms(options->kafka);
    tm_read_pace_init(&run.pace, options->bytes_per_second);
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    enum tm_code code = tm_vault_refresh(options->vault, &fold, err);
    if (code == TM_OK) {
        code = tm_backup_open_content(&run, err);
    }
    if (code == TM_OK) {
        code = run_planned(&run, throttled_ms, err);
    }
    free_run(&run);
    return code;
}

/* Forget the result of a try, but for what its progress commits have stored. */
static void begin_again(struct tm_backup_result *out)
{
    struct tm_backup_result kept = {
            .messages_count = out->messages_count,
            .source_bytes = out->source_bytes,
            .stored_bytes = out->stored_bytes,
            .deduplicated_bytes = out->deduplicated_bytes,
            .gaps_count = out->gaps_count,
    };
    memcpy(kept.gaps_by_reason, out->gaps_by_reason, sizeof(kept.gaps_by_reason));
    tm_backup_result_done(out);
    *out = kept;
}

enum tm_code tm_backup_run(const struct tm_backup_options *options, struct tm_job_env *env,
        struct tm_backup_result *out, struct tm_err *err)
{
    struct deadline deadline = deadline_of(options);
    for (int plan = 1;; plan++) {
        enum tm_code code = try_run(options, env, deadline, out, err);
        if (code != TM_E_CONFLICT || plan == PLANS_MAX) {
            atomic_store(&env->progress->phase, TM_PHASE_DONE);
            return code;
        }
        tm_log(TM_LOG_INFO, "backup.replanned", err->msg, TM_LOG_STR("job", env->job_id),
                TM_LOG_STR("policy", options->policy), TM_LOG_END);
        *err = (struct tm_err){0};
        begin_again(out);
    }
}
