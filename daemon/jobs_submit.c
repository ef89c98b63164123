/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs on their way into the table: refused, or accepted once their row is durable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "drills.h"
#include "jobs_table.h"
#include "kinds.h"
#include "live.h"

static void add_caller(struct tmd_job *job, const struct tm_caller *caller)
{
    if (caller != NULL) {
        job->row.requested_by = tm_arena_strdup(&job->arena, caller->who);
        job->row.request_id = tm_arena_strdup(&job->arena, caller->request_id);
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
        tmd_job_leave(job);
        if (put->done != NULL) {
            put->done(put->arg, NULL, false, &problem);
        }
        tmd_job_end_waits(job);
        tmd_job_free(job);
        return;
    }
    job->durable = true;
    tmd_live_job(job);
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
    tmd_job_put_made(job, caller, accepted, done, arg);
}

bool tmd_jobs_refuse(struct tmd *tmd, tm_done_job done, void *arg)
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

/* Each kind ----------------------------------------------------------------------------------- */

/* The job that is there already: joined, or in the way. */
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
    const char *state = tm_job_state_name(job->row.state);
    if (job->row.kind == TM_JOB_BACKUP) {
        (void)snprintf(problem.detail, sizeof(problem.detail), "a backup of policy %s is %s",
                job->row.policy, state);
    } else if (job->row.kind == TM_JOB_RESTORE) {
        (void)snprintf(problem.detail, sizeof(problem.detail), "a restore from vault %s is %s",
                job->vault->name, state);
    } else {
        (void)snprintf(problem.detail, sizeof(problem.detail), "a %s job of vault %s is %s",
                tm_job_kind_name(job->row.kind), job->vault->name, state);
    }
    (void)snprintf(problem.job, sizeof(problem.job), "%s", job->name);
    done(arg, NULL, false, &problem);
}

/* A catalog that is made anew has its vault for itself: nothing reads from it meanwhile. */
static struct tmd_job *importing(struct tmd *tmd, const struct tm_config_vault *vault)
{
    struct tmd_job *job = tmd_job_of_vault(tmd, vault);
    return job != NULL && job->row.kind == TM_JOB_IMPORT ? job : NULL;
}

/* Any job that works with the vault. */
static struct tmd_job *using_vault(struct tmd *tmd, const struct tm_config_vault *vault)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (tmd_job_uses_vault(job, vault)) {
            return job;
        }
    }
    return NULL;
}

/* A run that somebody asks for keeps to the policy's window, too, unless he says otherwise. */
static bool refuse_outside(const struct tm_config_policy *policy,
        const struct tm_backup_request *request, tm_done_job done, void *arg)
{
    char opens[TM_TIME_TEXT_MAX];
    int64_t now_ms = tm_now_ms();
    if (tm_window_is_open(&policy->window, now_ms) ||
            (request != NULL && request->outside_window)) {
        return false;
    }
    int64_t opens_ms = tm_window_opens_ms(&policy->window, now_ms);
    struct tm_problem problem = {.status = 409,
            .slug = "outside-window",
            .retry_after_s = (opens_ms - now_ms) / 1000 + 1};
    (void)snprintf(problem.detail, sizeof(problem.detail),
            "policy %s reads from its cluster in the hours %s (%s) only, next from %s on; hint: "
            "\"outside_window\":true (--outside-window) runs it now all the same",
            policy->name, policy->window_text, policy->timezone, tm_time_format(opens_ms, opens));
    if (done != NULL) {
        done(arg, NULL, false, &problem);
    }
    return true;
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
    there = importing(tmd, policy->vault);
    if (there != NULL) {
        meet(there, false, done, arg);
        return;
    }
    if (tmd_jobs_refuse(tmd, done, arg) || refuse_outside(policy, request, done, arg)) {
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

void tmd_flush(struct tmd *tmd, const struct tm_config_policy *policy)
{
    bool full = (int64_t)tmd->jobs->running >= tmd->config->jobs.max_running;
    if (full || tmd->draining || !tmd->ready || tmd_job_of_policy(tmd, policy->name) != NULL ||
            tmd_flush_of_policy(tmd, policy->name) != NULL ||
            importing(tmd, policy->vault) != NULL) {
        return; /* the next one is soon */
    }
    struct tmd_job *job = tmd_job_new(tmd, TM_JOB_BACKUP);
    job->flush = true;
    job->policy = policy;
    job->backup.policy = policy->name;
    job->row.policy = policy->name;
    job->row.cluster = policy->cluster->name;
    job->row.requested_by = "flush";
    job->row.request = "{}";
    job->durable = true;
    tmd_job_enter(job);
    tmd_jobs_pump(tmd);
}

void tmd_restore(struct tmd *tmd, const struct tm_restore_request *request, const char *policy,
        const struct tm_config_vault *vault, const struct tm_caller *caller, tm_done_job done,
        void *arg)
{
    if (tmd_jobs_refuse(tmd, done, arg)) {
        return;
    }
    struct tmd_job *there = importing(tmd, vault);
    if (there != NULL) {
        meet(there, false, done, arg);
        return;
    }
    struct tmd_job *job = tmd_job_new(tmd, TM_JOB_RESTORE);
    tmd_restore_request_copy(request, &job->arena, &job->restore);
    job->vault = vault;
    job->row.cluster = job->restore.target;
    job->row.policy = tm_arena_strdup(&job->arena, policy);
    add_caller(job, caller);
    char *text = tmd_restore_request_text(&job->restore);
    job->row.request = tm_arena_strdup(&job->arena, text);
    free(text);
    submit(job, caller, done, arg);
}

struct tmd_job *tmd_job_of_drill(struct tmd *tmd, const char *policy)
{
    struct tmd_job *job;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        if (job->row.kind == TM_JOB_DRILL && strcmp(job->row.policy, policy) == 0) {
            return job;
        }
    }
    return NULL;
}

void tmd_drill(struct tmd *tmd, const struct tm_drill_request *request,
        const struct tm_config_policy *policy, const struct tm_caller *caller, tm_done_job done,
        void *arg)
{
    struct tmd_job *there = tmd_job_of_drill(tmd, policy->name);
    there = there != NULL ? there : importing(tmd, policy->vault);
    if (there != NULL) {
        meet(there, false, done, arg);
        return;
    }
    if (tmd_jobs_refuse(tmd, done, arg)) {
        return;
    }
    struct tmd_job *job = tmd_job_new(tmd, TM_JOB_DRILL);
    tmd_drill_request_copy(request, &job->arena, &job->drill);
    job->policy = policy;
    job->vault = policy->vault;
    job->row.policy = policy->name;
    job->row.cluster = job->drill.target;
    add_caller(job, caller);
    char *text = tmd_drill_request_text(&job->drill);
    job->row.request = tm_arena_strdup(&job->arena, text);
    free(text);
    submit(job, caller, done, arg);
}

bool tmd_vault_is_writable(const struct tm_config_vault *vault, struct tm_problem *problem)
{
    if (vault->read_only) {
        *problem = (struct tm_problem){.status = 409, .slug = "vault-read-only", .member = "vault"};
        (void)snprintf(problem->value, sizeof(problem->value), "%s", vault->name);
        (void)snprintf(problem->detail, sizeof(problem->detail),
                "vault %s is read_only here; ask the daemon that backs up into it", vault->name);
    }
    return !vault->read_only;
}

void tmd_vault_job(struct tmd *tmd, enum tm_job_kind kind, const struct tm_vault_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    const struct tm_config_vault *vault = tm_config_find_vault(tmd->config, request->vault);
    tm_assert(tmd_kind(kind)->alone_in_vault && tmd_kind(kind)->run != NULL);
    struct tm_problem problem;
    if (vault == NULL) { /* a reload took it away since it was looked for */
        tmd_unknown_vault(tmd, request->vault, &problem);
        done(arg, NULL, false, &problem);
        return;
    }
    bool writes = kind == TM_JOB_RETENTION || kind == TM_JOB_DELETE || request->repair;
    if (writes && !tmd_vault_is_writable(vault, &problem)) {
        done(arg, NULL, false, &problem);
        return;
    }
    struct tmd_job *there =
            kind == TM_JOB_IMPORT ? using_vault(tmd, vault) : tmd_job_of_vault(tmd, vault);
    if (there != NULL) {
        meet(there, false, done, arg);
        return;
    }
    if (tmd_jobs_refuse(tmd, done, arg)) {
        return;
    }
    struct tmd_job *job = tmd_job_new(tmd, kind);
    tmd_vault_request_copy(request, &job->arena, &job->task);
    job->vault = vault;
    add_caller(job, caller);
    char *text = tmd_vault_request_text(&job->task);
    job->row.request = tm_arena_strdup(&job->arena, text);
    free(text);
    submit(job, caller, done, arg);
}
