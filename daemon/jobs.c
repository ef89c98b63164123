/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "jobs_table.h"

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

static void add_caller(struct tmd_job *job, const struct tm_caller *caller)
{
    if (caller != NULL) {
        job->row.requested_by = tm_arena_strdup(&job->arena, caller->who);
        job->row.request_id = tm_arena_strdup(&job->arena, caller->request_id);
    }
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

static void leave(struct tmd_job *job)
{
    struct tmd_jobs *jobs = job->tmd->jobs;
    TAILQ_REMOVE(&jobs->active, job, link);
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

struct tmd_job *tmd_job_of_policy(struct tmd *tmd, const char *policy)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (job->row.kind == TM_JOB_BACKUP && strcmp(job->row.policy, policy) == 0) {
            return job;
        }
    }
    return NULL;
}

size_t tmd_jobs_active(const struct tmd *tmd)
{
    return tmd->jobs->running;
}

void tmd_job_view(const struct tmd_job *job, struct tm_job_view *out)
{
    const struct tm_progress *progress = &job->progress;
    *out = (struct tm_job_view){.row = job->row, .live = job->row.state == TM_JOB_RUNNING};
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
    int64_t elapsed_ms = tm_now_ms() - job->row.started_ms;
    if (out->live && elapsed_ms > 0) {
        values->bytes_per_second =
                (int64_t)((double)values->done_bytes * 1000 / (double)elapsed_ms);
        int64_t left = values->total_messages - values->done_messages;
        if (values->done_messages > 0 && left >= 0) {
            double per_message_ms = (double)elapsed_ms / (double)values->done_messages;
            values->eta_seconds = (int64_t)((double)left * per_message_ms / 1000);
        }
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

void tmd_job_forget(struct tmd *tmd, const void *arg)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        struct tmd_wait *wait = TAILQ_FIRST(&job->waits);
        while (wait != NULL) {
            struct tmd_wait *next = TAILQ_NEXT(wait, link);
            if (wait->arg == arg) {
                end_wait(wait, false);
            }
            wait = next;
        }
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
    while (!TAILQ_EMPTY(&job->waits)) {
        end_wait(TAILQ_FIRST(&job->waits), true);
    }
    leave(job);
    if (job->row.kind == TM_JOB_BACKUP) {
        tmd_policy_ended(tmd, job);
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

static void count_end(const struct tmd_job *job)
{
    const char *result = job->row.state == TM_JOB_SUCCEEDED ? "success"
                         : job->row.state == TM_JOB_PARTIAL ? "partial"
                                                            : "failure";
    if (job->row.kind == TM_JOB_RESTORE) {
        tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS(job->row.cluster, result), 1);
        tm_metric_add(TM_M_RESTORE_MESSAGES, TM_LABELS(job->row.cluster),
                (double)job->outcome->written_messages);
        tm_metric_add(TM_M_RESTORE_BYTES, TM_LABELS(job->row.cluster),
                (double)job->outcome->written_bytes);
    }
}

static void take_outcome(struct tmd_job *job)
{
    job->row.state = job->outcome->state;
    job->row.result = job->outcome->result;
    job->row.error = job->outcome->error;
    job->row.warnings = job->outcome->warnings;
    job->row.finished_ms = tm_now_ms();
    count_end(job);
}

static void ended(void *arg)
{
    struct tmd_job *job = arg;
    pthread_join(job->thread, NULL);
    bool stopped = job->tmd->draining && atomic_load(&job->cancel) && !job->cancelled_by_user;
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
    if (job->row.kind == TM_JOB_BACKUP) {
        tmd_run_backup(job);
    } else {
        tmd_run_restore(job);
    }
    (void)malloc_trim(0); /* a job's buffers are not kept for the hours until the next one */
    tmd_post(job->tmd, ended, job);
    return NULL;
}

static void start(struct tmd_job *job)
{
    struct tmd_jobs *jobs = job->tmd->jobs;
    job->started = true;
    jobs->queued--;
    jobs->running++;
    /* Jobs that run already keep their share: the sum stays within about twice the whole. */
    job->memory_bytes = (size_t)job->tmd->config->workers.memory / jobs->running;
    job->row.state = TM_JOB_RUNNING;
    job->row.started_ms = tm_now_ms();
    tmd_job_put(job, put_nothing, NULL, NULL);
    tm_log(TM_LOG_INFO, "job.started", tm_job_kind_name(job->row.kind),
            TM_LOG_STR("job", job->name), TM_LOG_STR("policy", job->row.policy),
            TM_LOG_STR("cluster", job->row.cluster),
            TM_LOG_STR("requested_by", job->row.requested_by), TM_LOG_END);
    if (job->row.kind == TM_JOB_BACKUP) {
        tmd_policy_started(job->tmd, job);
    }
    tm_assert(pthread_create(&job->thread, NULL, run, job) == 0);
    (void)pthread_setname_np(job->thread, tm_job_kind_name(job->row.kind));
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
        if (job->durable && !job->started) {
            start(job);
        }
    }
}

static void accepted(struct tmd_put *put)
{
    struct tmd_job *job = put->job;
    struct tmd *tmd = job->tmd;
    if (put->err.code != TM_OK) {
        struct tm_problem problem = {
                .status = 503, .slug = "catalog-read-only", .retry_after_s = 30};
        (void)snprintf(problem.detail, sizeof(problem.detail), "%s", put->err.msg);
        leave(job);
        if (put->done != NULL) {
            put->done(put->arg, NULL, false, &problem);
        }
        while (!TAILQ_EMPTY(&job->waits)) {
            end_wait(TAILQ_FIRST(&job->waits), true);
        }
        tmd_job_free(job);
        return;
    }
    job->durable = true;
    if (put->done != NULL) {
        struct tm_job_view view;
        tmd_job_view(job, &view);
        put->done(put->arg, &view, true, NULL);
    }
    if (job->cancelled_by_user) { /* before it was durable */
        tmd_job_end_unstarted(job, TM_JOB_CANCELLED);
        return;
    }
    tmd_jobs_pump(tmd);
}

/* Every change that somebody asked for stands in the log with who it was. */
static void audit(const struct tmd_job *job)
{
    tm_log(TM_LOG_INFO, "audit", "job accepted", TM_LOG_STR("who", job->row.requested_by),
            TM_LOG_STR("request_id", job->row.request_id), TM_LOG_STR("job", job->name),
            TM_LOG_STR("kind", tm_job_kind_name(job->row.kind)), TM_LOG_END);
}

static void submit(struct tmd_job *job, const struct tm_caller *caller, tm_done_job done, void *arg)
{
    if (caller != NULL) {
        audit(job);
    }
    tmd_job_enter(job);
    tmd_job_put(job, accepted, done, arg);
}

static bool refuse(struct tmd *tmd, tm_done_job done, void *arg)
{
    struct tm_problem problem = {.status = 503, .retry_after_s = 5};
    if (tmd->draining || !tmd->ready) {
        problem.slug = tmd->draining ? "draining" : "starting";
        (void)snprintf(problem.detail, sizeof(problem.detail), "the daemon is %s",
                tmd->draining ? "stopping" : "starting");
    } else if ((int64_t)tmd->jobs->queued >= tmd->config->jobs.max_queued) {
        problem.slug = "queue-full";
        (void)snprintf(problem.detail, sizeof(problem.detail), "%zu jobs are waiting already",
                tmd->jobs->queued);
    } else {
        return false;
    }
    if (done != NULL) {
        done(arg, NULL, false, &problem);
    }
    return true;
}

/* Backups and restores ------------------------------------------------------------------------ */

/* The policy's run that is there already: joined, or in the way. */
static void meet(struct tmd_job *job, bool join, tm_done_job done, void *arg)
{
    if (done == NULL) {
        return;
    }
    if (join) {
        struct tm_job_view view;
        tmd_job_view(job, &view);
        done(arg, &view, false, NULL);
        return;
    }
    struct tm_problem problem = {.status = 409, .slug = "already-running", .retry_after_s = 5};
    (void)snprintf(problem.detail, sizeof(problem.detail), "a backup of policy %s is %s",
            job->row.policy, tm_job_state_name(job->row.state));
    (void)snprintf(problem.job, sizeof(problem.job), "%s", job->name);
    done(arg, NULL, false, &problem);
}

void tmd_backup(struct tmd *tmd, const struct tm_config_policy *policy,
        const struct tm_backup_request *request, const struct tm_caller *caller, tm_done_job done,
        void *arg)
{
    struct tmd_job *there = tmd_job_of_policy(tmd, policy->name);
    if (there != NULL) {
        meet(there, request != NULL && request->join, done, arg);
        return;
    }
    if (refuse(tmd, done, arg)) {
        return;
    }
    struct tmd_job *job = tmd_job_new(tmd, TM_JOB_BACKUP);
    struct tm_backup_request scheduled = {.policy = policy->name};
    tmd_backup_request_copy(request != NULL ? request : &scheduled, &job->arena, &job->backup);
    job->policy = policy;
    job->row.policy = policy->name;
    job->row.cluster = policy->cluster->name;
    add_caller(job, caller);
    char *text = tmd_backup_request_text(&job->backup);
    job->row.request = tm_arena_strdup(&job->arena, text);
    free(text);
    submit(job, caller, done, arg);
}

void tmd_restore(struct tmd *tmd, const struct tm_restore_request *request,
        const struct tm_config_vault *vault, const struct tm_caller *caller, tm_done_job done,
        void *arg)
{
    if (refuse(tmd, done, arg)) {
        return;
    }
    struct tmd_job *job = tmd_job_new(tmd, TM_JOB_RESTORE);
    tmd_restore_request_copy(request, &job->arena, &job->restore);
    job->vault = vault;
    job->row.cluster = job->restore.target;
    job->row.policy = job->restore.policy != NULL ? job->restore.policy : "";
    add_caller(job, caller);
    char *text = tmd_restore_request_text(&job->restore);
    job->row.request = tm_arena_strdup(&job->arena, text);
    free(text);
    submit(job, caller, done, arg);
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
