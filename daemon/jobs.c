/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "hooks.h"
#include "jobs_table.h"
#include "kinds.h"
#include "live.h"

struct tmd_jobs *tmd_jobs_new(struct tmd *tmd)
{
    struct tmd_jobs *jobs = tm_xalloc(1, sizeof(*jobs));
    TAILQ_INIT(&jobs->active);
    TAILQ_INIT(&jobs->unstored);
    tm_assert(uv_timer_init(&tmd->loop, &jobs->prune) == 0);
    tm_assert(uv_timer_init(&tmd->loop, &jobs->retry) == 0);
    return jobs;
}

static void free_list(struct tmd_job_list *list)
{
    while (!TAILQ_EMPTY(list)) {
        struct tmd_job *job = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, job, link);
        tmd_job_free(job);
    }
}

void tmd_jobs_free(struct tmd_jobs *jobs)
{
    if (jobs == NULL) {
        return;
    }
    tm_assert(jobs->running == 0);
    free_list(&jobs->active);   /* queued: their rows stay in the journal */
    free_list(&jobs->unstored); /* "running" in the journal: the next start takes them up again */
    free(jobs);
}

/* The table ----------------------------------------------------------------------------------- */

struct tmd_job *tmd_job_new(struct tmd *tmd, enum tm_job_kind kind)
{
    struct tmd_job *job = tm_xalloc(1, sizeof(*job));
    job->tmd = tmd;
    job->outcome = tm_xalloc(1, sizeof(*job->outcome));
    TAILQ_INIT(&job->waits);
    job->row.kind = kind;
    job->row.state = TM_JOB_QUEUED;
    job->row.created_ms = tm_now_ms();
    job->row.id = tm_ulid_make(job->row.created_ms);
    (void)tm_ulid_format(&job->row.id, "job_", job->name);
    job->row.policy = "";
    job->row.cluster = "";
    job->row.requested_by = "schedule";
    job->row.request_id = "";
    job->row.request = "{}";
    return job;
}

void tmd_job_free(struct tmd_job *job)
{
    tm_assert(TAILQ_EMPTY(&job->waits));
    tm_backup_result_done(&job->outcome->backup);
    free(job->outcome);
    tm_arena_done(&job->arena);
    free(job);
}

void tmd_job_enter(struct tmd_job *job)
{
    struct tmd_jobs *jobs = job->tmd->jobs;
    TAILQ_INSERT_TAIL(&jobs->active, job, link);
    jobs->queued++;
}

void tmd_job_leave(struct tmd_job *job)
{
    struct tmd_jobs *jobs = job->tmd->jobs;
    TAILQ_REMOVE(&jobs->active, job, link);
    tm_metric_forget("job_id", job->name);
    if (job->started) {
        jobs->running--;
    } else {
        jobs->queued--;
    }
}

struct tmd_job *tmd_job_find(struct tmd *tmd, const struct tm_id16 *id)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (tm_id16_eq(&job->row.id, id)) {
            return job;
        }
    }
    TAILQ_FOREACH(job, &tmd->jobs->unstored, link)
    {
        if (tm_id16_eq(&job->row.id, id)) {
            return job;
        }
    }
    return NULL;
}

static struct tmd_job *backup_of(struct tmd *tmd, const char *policy, bool flush)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (job->row.kind == TM_JOB_BACKUP && job->flush == flush &&
                strcmp(job->row.policy, policy) == 0) {
            return job;
        }
    }
    return NULL;
}

struct tmd_job *tmd_job_of_policy(struct tmd *tmd, const char *policy)
{
    return backup_of(tmd, policy, false);
}

struct tmd_job *tmd_flush_of_policy(struct tmd *tmd, const char *policy)
{
    return backup_of(tmd, policy, true);
}

/* The vault's name counts: a job that began before a reload has the section of then. */
bool tmd_job_uses_vault(const struct tmd_job *job, const struct tm_config_vault *vault)
{
    const struct tm_config_vault *its = job->policy != NULL ? job->policy->vault : job->vault;
    return its != NULL && strcmp(its->name, vault->name) == 0;
}

struct tmd_job *tmd_job_of_vault(struct tmd *tmd, const struct tm_config_vault *vault)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (tmd_kind(job->row.kind)->alone_in_vault && tmd_job_uses_vault(job, vault)) {
            return job;
        }
    }
    return NULL;
}

size_t tmd_jobs_active(const struct tmd *tmd)
{
    return tmd->jobs->running;
}

/* Jobs that have ended have no series any more: their names never come again. */
static void show_progress(const struct tmd_job *job)
{
    struct tm_job_view view;
    tmd_job_view(job, &view);
    const struct tm_progress_values *values = &view.progress;
    bool by_bytes = values->total_messages <= 0;
    int64_t total = by_bytes ? values->total_bytes : values->total_messages;
    int64_t done = by_bytes ? values->done_bytes : values->done_messages;
    if (view.live && total > 0) {
        tm_metric_set(TM_M_JOB_PROGRESS, TM_LABELS(tm_job_kind_name(job->row.kind), job->name),
                done < total ? (double)done / (double)total : 1);
    }
}

void tmd_jobs_metrics(struct tmd *tmd)
{
    size_t counts[TM_JOB_KINDS][2] = {{0}};
    const struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        counts[job->row.kind][job->started ? 1 : 0]++;
        if (job->started) {
            show_progress(job);
        }
    }
    for (int kind = 0; kind < TM_JOB_KINDS; kind++) {
        const char *name = tm_job_kind_name((enum tm_job_kind)kind);
        tm_metric_set(TM_M_JOBS, TM_LABELS(name, "queued"), (double)counts[kind][0]);
        tm_metric_set(TM_M_JOBS, TM_LABELS(name, "running"), (double)counts[kind][1]);
    }
}

/* A job that was told to have ended must not be taken up again after a crash. */
static void hide_end(const struct tmd_job *job, struct tm_job_row *row)
{
    row->state = job->started && row->started_ms > 0 ? TM_JOB_RUNNING : TM_JOB_QUEUED;
    row->result = NULL;
    row->error = NULL;
    row->warnings = NULL;
    row->finished_ms = 0;
}

/*
 * How fast it goes and how long it will take, by what it did itself: not what a process before it had done,
 * and not from when the job was planned. A restore that reads the target back has nothing left to write.
 */
static void add_pace(const struct tmd_job *job, struct tm_progress_values *values)
{
    const struct tm_progress *progress = &job->progress;
    int64_t paced_ns = atomic_load(&progress->paced_ns);
    int64_t elapsed_ms =
            paced_ns > 0 ? (tm_mono_ns() - paced_ns) / 1000000 : tm_now_ms() - job->row.started_ms;
    int64_t bytes = values->done_bytes - atomic_load(&progress->skipped_bytes);
    int64_t messages = values->done_messages - atomic_load(&progress->skipped_messages);
    int64_t left = values->total_messages - values->done_messages;
    if (elapsed_ms <= 0) {
        return;
    }
    values->bytes_per_second = (int64_t)((double)bytes * 1000 / (double)elapsed_ms);
    if (messages > 0 && left >= 0 && values->phase != TM_PHASE_PROVING) {
        double per_message_ms = (double)elapsed_ms / (double)messages;
        values->eta_seconds = (int64_t)((double)left * per_message_ms / 1000);
    }
}

void tmd_job_view(const struct tmd_job *job, struct tm_job_view *out)
{
    const struct tm_progress *progress = &job->progress;
    *out = (struct tm_job_view){.row = job->row};
    if (job->row.finished_ms > 0 && !job->settled) {
        hide_end(job, &out->row);
    }
    out->live = out->row.state == TM_JOB_RUNNING;
    struct tm_progress_values *values = &out->progress;
    values->phase = (enum tm_phase)atomic_load(&progress->phase);
    values->done_messages = atomic_load(&progress->done_messages);
    values->total_messages = atomic_load(&progress->total_messages);
    values->done_bytes = atomic_load(&progress->done_bytes);
    values->total_bytes = atomic_load(&progress->total_bytes);
    values->parts_waiting = atomic_load(&progress->parts_waiting);
    values->parts_running = atomic_load(&progress->parts_running);
    values->parts_done = atomic_load(&progress->parts_done);
    values->parts_failed = atomic_load(&progress->parts_failed);
    values->eta_seconds = -1;
    if (out->live) {
        add_pace(job, values);
    }
}

/* Waiting ------------------------------------------------------------------------------------- */

static void close_timer(uv_handle_t *handle)
{
    free(handle);
}

static void end_wait(struct tmd_wait *wait, bool answer)
{
    struct tmd_job *job = wait->job;
    TAILQ_REMOVE(&job->waits, wait, link);
    uv_close((uv_handle_t *)wait->timer, close_timer);
    if (answer) {
        struct tm_job_view view;
        tmd_job_view(job, &view);
        wait->done(wait->arg, &view, false, NULL);
    }
    free(wait);
}

static void wait_over(uv_timer_t *timer)
{
    end_wait(timer->data, true);
}

void tmd_job_wait(struct tmd_job *job, int64_t wait_ms, tm_done_job done, void *arg)
{
    struct tmd_wait *wait = tm_xalloc(1, sizeof(*wait));
    *wait = (struct tmd_wait){.job = job, .done = done, .arg = arg};
    wait->timer = tm_xalloc(1, sizeof(*wait->timer));
    wait->timer->data = wait;
    TAILQ_INSERT_TAIL(&job->waits, wait, link);
    tm_assert(uv_timer_init(&job->tmd->loop, wait->timer) == 0);
    tm_assert(uv_timer_start(wait->timer, wait_over, (uint64_t)wait_ms, 0) == 0);
}

static void forget(struct tmd_job *job, const void *arg)
{
    struct tmd_wait *next = NULL;
    for (struct tmd_wait *wait = TAILQ_FIRST(&job->waits); wait != NULL; wait = next) {
        next = TAILQ_NEXT(wait, link);
        if (wait->arg == arg) {
            end_wait(wait, false);
        }
    }
}

void tmd_job_forget(struct tmd *tmd, const void *arg)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        forget(job, arg);
    }
}

void tmd_job_end_waits(struct tmd_job *job)
{
    struct tmd_wait *wait = TAILQ_FIRST(&job->waits);
    while (wait != NULL) { /* an answer may call off other waits */
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is off the list before it is freed */
        end_wait(wait, true);
        wait = TAILQ_FIRST(&job->waits);
    }
}

/* The end ------------------------------------------------------------------------------------- */

static void put_nothing(struct tmd_put *put)
{
    (void)put;
}

static void finish(struct tmd_job *job, bool stored)
{
    struct tmd *tmd = job->tmd;
    job->settled = true;
    tmd_live_job(job);
    tmd_job_end_waits(job);
    tmd_job_leave(job);
    const struct tmd_kind *kind = tmd_kind(job->row.kind);
    if (kind->ended != NULL) {
        kind->ended(job);
    }
    if (job->flush) {
        tmd_hooks_flush_ended(job);
    } else {
        tmd_hooks_job_ended(job);
    }
    if (stored) {
        tmd_job_free(job);
    } else {
        tmd_job_keep_unstored(job);
    }
    tmd_jobs_pump(tmd);
    if (tmd->draining && tmd->jobs->running == 0 && tmd->drained != NULL) {
        tmd->drained(tmd);
    }
}

static void finish_put(struct tmd_put *put)
{
    finish(put->job, put->err.code == TM_OK);
}

static void finish_interrupted(void *arg)
{
    finish(arg, true);
}

static void take_outcome(struct tmd_job *job)
{
    job->row.state = job->outcome->state;
    job->row.result = job->outcome->result;
    job->row.error = job->outcome->error;
    job->row.warnings = job->outcome->warnings;
    job->row.finished_ms = tm_now_ms();
}

static void ended(void *arg)
{
    struct tmd_job *job = arg;
    pthread_join(job->thread, NULL);
    bool stopped = job->tmd->draining && atomic_load(&job->cancel) && !job->cancelled_by_user &&
                   !job->flush;
    if (stopped && job->outcome->state != TM_JOB_SUCCEEDED) {
        tm_log(TM_LOG_INFO, "job.interrupted", "will be taken up again at the next start",
                TM_LOG_STR("job", job->name), TM_LOG_END);
        tmd_job_after_puts(job, finish_interrupted); /* its row stays "running" */
        return;
    }
    take_outcome(job);
    tmd_job_put(job, finish_put, NULL, NULL);
}

/* Running ------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct tmd_job *job = arg;
    job->lease = tmd_lease_new(job->tmd);
    tmd_kind(job->row.kind)->run(job);
    tmd_lease_free(job->lease);
    job->lease = NULL;
    (void)malloc_trim(0); /* a job's buffers are not kept for the hours until the next one */
    tmd_post(job->tmd, ended, job);
    return NULL;
}

/* Somebody may read by the point of a flush, which has to stay then. */
static bool is_read_from(struct tmd *tmd)
{
    const struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (job->row.kind == TM_JOB_RESTORE || job->row.kind == TM_JOB_DRILL) {
            return true;
        }
    }
    return false;
}

static void start(struct tmd_job *job)
{
    struct tmd_jobs *jobs = job->tmd->jobs;
    job->started = true;
    jobs->queued--;
    jobs->running++;
    /* Jobs that run already keep their share: the sum stays within about twice the whole. */
    job->memory_bytes = (size_t)job->tmd->config->workers.memory / jobs->running;
    job->keep_flushes = is_read_from(job->tmd);
    job->row.state = TM_JOB_RUNNING;
    job->row.started_ms = tm_now_ms();
    tmd_job_put(job, put_nothing, NULL, NULL);
    tm_log(job->flush ? TM_LOG_DEBUG : TM_LOG_INFO, "job.started", tm_job_kind_name(job->row.kind),
            TM_LOG_STR("job", job->name), TM_LOG_STR("policy", job->row.policy),
            TM_LOG_STR("cluster", job->row.cluster),
            TM_LOG_STR("requested_by", job->row.requested_by), TM_LOG_END);
    const struct tmd_kind *kind = tmd_kind(job->row.kind);
    if (kind->started != NULL) {
        kind->started(job);
    }
    tmd_live_job(job);
    if (!job->flush) {
        tmd_hooks_job_started(job);
    }
    tm_assert(pthread_create(&job->thread, NULL, run, job) == 0);
    (void)pthread_setname_np(job->thread, tm_job_kind_name(job->row.kind));
}

/* A run goes before the flush of its policy, which commits what it has and makes room. */
static bool waits_for_flush(struct tmd_job *job)
{
    struct tmd_job *flush = job->row.kind == TM_JOB_BACKUP && !job->flush
                                    ? tmd_flush_of_policy(job->tmd, job->row.policy)
                                    : NULL;
    if (flush != NULL) {
        tmd_job_cancel(flush, false);
    }
    return flush != NULL;
}

/* Start what may be started. */
void tmd_jobs_pump(struct tmd *tmd)
{
    struct tmd_jobs *jobs = tmd->jobs;
    struct tmd_job *job;
    if (tmd->draining) {
        return;
    }
    TAILQ_FOREACH(job, &jobs->active, link)
    {
        if ((int64_t)jobs->running >= tmd->config->jobs.max_running) {
            return;
        }
        if (job->durable && !job->started && !waits_for_flush(job)) {
            start(job);
        }
    }
}

void tmd_job_end_unstarted(struct tmd_job *job, enum tm_job_state state)
{
    job->started = true; /* never to be started; leave() then takes it from the running ones */
    job->tmd->jobs->queued--;
    job->tmd->jobs->running++;
    job->row.state = state;
    job->row.finished_ms = tm_now_ms();
    tmd_job_put(job, finish_put, NULL, NULL);
}

void tmd_job_cancel(struct tmd_job *job, bool by_user)
{
    job->cancelled_by_user |= by_user;
    atomic_store(&job->cancel, true);
    if (job->durable && !job->started && by_user) {
        tmd_job_end_unstarted(job, TM_JOB_CANCELLED);
    }
}

void tmd_jobs_stop(struct tmd *tmd)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        tmd_job_cancel(job, false);
    }
}
