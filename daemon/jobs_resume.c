/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of the last life: taken up again, or ended; and old rows pruned. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobs_table.h"
#include "kinds.h"

enum { RESUME_MAX = 1000, PRUNE_EVERY_MS = 24 * 3600 * 1000 };

struct resume {
    struct tmd *tmd;
    void (*done)(struct tmd *tmd);
    struct tm_arena arena;
    struct tm_job_row *rows;
    const struct tm_config_vault **vaults; /* of restores: where the point lies; NULL: nowhere */
    size_t count;
    struct tm_err err;
};

static void find_vault(struct tmd_keep *keep, struct resume *resume, size_t index)
{
    struct tm_restore_request request = {0};
    struct tm_id16 ulid;
    struct tm_err err = {0};
    if (tmd_restore_request_read(resume->rows[index].request, &resume->arena, &request, &err) !=
                    TM_OK ||
            !tm_ulid_parse(request.point, "rp_", &ulid)) {
        return;
    }
    for (size_t v = 0; v < keep->config->vault_count; v++) {
        struct tm_point point = {0};
        struct tm_err ignored = {0};
        if (keep->catalogs[v] != NULL &&
                tm_catalog_point(keep->catalogs[v], &ulid, &resume->arena, &point, &ignored) ==
                        TM_OK &&
                point.row.id != 0) {
            resume->vaults[index] = &keep->config->vaults[v];
        }
    }
}

static void resume_work(struct tmd_keep *keep, void *arg)
{
    struct resume *resume = arg;
    struct tm_job_query query = {
            .states = TM_JOBS_OPEN, .since_ms = INT64_MIN, .limit = RESUME_MAX};
    if (tm_journal_jobs(keep->journal, &query, &resume->arena, &resume->rows, &resume->count,
                &resume->err) != TM_OK) {
        return;
    }
    resume->vaults = tm_arena_alloc(
            &resume->arena, resume->count + 1, sizeof(const struct tm_config_vault *));
    for (size_t i = 0; i < resume->count; i++) {
        if (resume->rows[i].kind == TM_JOB_RESTORE) {
            find_vault(keep, resume, i);
        }
    }
}

static void copy_row(struct tmd_job *job, const struct tm_job_row *row)
{
    struct tm_arena *arena = &job->arena;
    job->row = *row;
    job->row.policy = tm_arena_strdup(arena, row->policy);
    job->row.cluster = tm_arena_strdup(arena, row->cluster);
    job->row.requested_by = tm_arena_strdup(arena, row->requested_by);
    job->row.request_id = tm_arena_strdup(arena, row->request_id);
    job->row.request = tm_arena_strdup(arena, row->request);
    job->row.result = NULL;
    job->row.error = NULL;
    job->row.warnings = NULL;
    (void)tm_ulid_format(&job->row.id, "job_", job->name);
}

/* What it worked on is gone: it ends here. */
static void give_up(struct tmd_job *job, const char *why)
{
    struct tm_err err = {0};
    (void)tm_err_set(&err, TM_E_MISSING, "interrupted by a restart, and cannot go on: %s", why);
    char *text = tmd_interrupted_text(&err);
    job->row.error = tm_arena_strdup(&job->arena, text);
    free(text);
    tmd_job_end_unstarted(job, TM_JOB_FAILED);
}

static void take_up(
        struct tmd *tmd, const struct tm_job_row *row, const struct tm_config_vault *vault)
{
    struct tmd_job *job = tmd_job_new(tmd, row->kind);
    struct tm_err err = {0};
    copy_row(job, row);
    job->row.resumed += row->state == TM_JOB_RUNNING ? 1 : 0;
    job->row.state = TM_JOB_QUEUED;
    job->vault = vault;
    tmd_job_enter(job);
    if (tmd_kind(row->kind)->resume(job, &err) != TM_OK) {
        give_up(job, err.msg);
        return;
    }
    tm_log(TM_LOG_INFO, "job.resumed", "taken up again after a restart",
            TM_LOG_STR("job", job->name), TM_LOG_END);
    job->durable = true;
}

static void prune_work(struct tmd_keep *keep, void *arg)
{
    struct tm_err err = {0};
    int64_t removed = 0;
    (void)arg;
    if (tm_journal_prune_jobs(
                keep->journal, tm_now_ms() - keep->config->jobs.keep_ms, &removed, &err) != TM_OK) {
        tm_log(TM_LOG_WARNING, "journal.failed", err.msg, TM_LOG_END);
    }
}

static void prune(uv_timer_t *timer)
{
    tmd_keeper_ask(timer->data, prune_work, NULL, NULL);
}

static void resume_done(void *arg)
{
    struct resume *resume = arg;
    struct tmd *tmd = resume->tmd;
    if (resume->err.code != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", resume->err.msg, TM_LOG_END);
    }
    for (size_t i = tmd->draining ? 0 : resume->count; i > 0; i--) { /* oldest first */
        take_up(tmd, &resume->rows[i - 1], resume->vaults[i - 1]);
    }
    void (*done)(struct tmd * tmd) = resume->done;
    tm_arena_done(&resume->arena);
    free(resume);
    if (tmd->draining) { /* asked to stop before it had started: the next start takes them up */
        return;
    }
    tmd->jobs->prune.data = tmd;
    tm_assert(uv_timer_start(&tmd->jobs->prune, prune, 0, PRUNE_EVERY_MS) == 0);
    uv_unref((uv_handle_t *)&tmd->jobs->prune);
    done(tmd);
    tmd_jobs_pump(tmd);
}

void tmd_jobs_resume(struct tmd *tmd, void (*done)(struct tmd *tmd))
{
    struct resume *resume = tm_xalloc(1, sizeof(*resume));
    *resume = (struct resume){.tmd = tmd, .done = done};
    tmd_keeper_ask(tmd, resume_work, resume_done, resume);
}
