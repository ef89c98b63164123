/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of jobs on their way into the journal, and what becomes of those that it cannot take. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobs_table.h"

enum { RETRY_MS = 30 * 1000 };

static void put_work(struct tmd_keep *keep, void *arg)
{
    struct tmd_put *put = arg;
    if (put->job->flush) {
        return; /* hundreds an hour, and nothing to take up again */
    }
    const struct tm_key_row *key = put->key.key != NULL ? &put->key : NULL;
    int64_t expired_ms = tm_now_ms() - keep->config->jobs.idempotency_ms;
    TM_LATER(tm_journal_put_made_job(keep->journal, &put->row, key, expired_ms, &put->err));
}

static void put_done(void *arg)
{
    struct tmd_put *put = arg;
    if (put->err.code != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", put->err.msg, TM_LOG_STR("job", put->job->name),
                TM_LOG_END);
    }
    put->then(put);
    free(put);
}

void tmd_job_put_made(struct tmd_job *job, const struct tm_caller *caller,
        void (*then)(struct tmd_put *put), tm_done_job done, void *arg)
{
    struct tmd_put *put = tm_xalloc(1, sizeof(*put));
    *put = (struct tmd_put){.job = job, .row = job->row, .then = then, .done = done, .arg = arg};
    if (caller != NULL && caller->key != NULL) {
        put->key = (struct tm_key_row){.who = tm_arena_strdup(&job->arena, caller->key->who),
                .key = tm_arena_strdup(&job->arena, caller->key->key),
                .request = caller->key->request};
    }
    tmd_keeper_ask(job->tmd, put_work, put_done, put);
}

void tmd_job_put(
        struct tmd_job *job, void (*then)(struct tmd_put *put), tm_done_job done, void *arg)
{
    tmd_job_put_made(job, NULL, then, done, arg);
}

static void work_nothing(struct tmd_keep *keep, void *arg)
{
    (void)keep;
    (void)arg;
}

void tmd_job_after_puts(struct tmd_job *job, void (*fn)(void *job))
{
    tmd_keeper_ask(job->tmd, work_nothing, fn, job); /* the keeper answers in order */
}

/* Rows that were not taken -------------------------------------------------------------------- */

static void retried(struct tmd_put *put)
{
    struct tmd_job *job = put->job;
    job->retrying = false;
    if (put->err.code == TM_OK) {
        TAILQ_REMOVE(&job->tmd->jobs->unstored, job, link);
        tmd_job_free(job);
    }
}

static void retry(uv_timer_t *timer)
{
    struct tmd_jobs *jobs = timer->data;
    struct tmd_job *job;
    TAILQ_FOREACH(job, &jobs->unstored, link)
    {
        if (!job->retrying) {
            job->retrying = true;
            tmd_job_put(job, retried, NULL, NULL);
        }
    }
    if (TAILQ_EMPTY(&jobs->unstored)) {
        (void)uv_timer_stop(timer);
    }
}

void tmd_job_keep_unstored(struct tmd_job *job)
{
    struct tmd_jobs *jobs = job->tmd->jobs;
    TAILQ_INSERT_TAIL(&jobs->unstored, job, link);
    if (job->tmd->draining || uv_is_active((uv_handle_t *)&jobs->retry)) {
        return;
    }
    jobs->retry.data = jobs;
    tm_assert(uv_timer_start(&jobs->retry, retry, RETRY_MS, RETRY_MS) == 0);
    uv_unref((uv_handle_t *)&jobs->retry);
}
