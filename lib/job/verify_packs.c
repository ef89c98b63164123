/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "catalog/rows.h"
#include "job/verify_run.h"

/* Tasks that are done and not yet settled. */
struct pump {
    struct verify_run *run;
    const struct verify_packs *packs;
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    struct verify_task *done; /* under `lock` */
    size_t in_flight;         /* the job's thread alone */
};

struct job {
    struct pump *pump;
    struct verify_task *task;
};

static void free_task(struct verify_task *task)
{
    if (task != NULL) {
        tm_vec_done(&task->found);
        tm_arena_done(&task->arena);
        free(task);
    }
}

void tm_verify_found(struct verify_task *task, enum tm_finding_kind kind, int64_t block,
        const struct tm_run *runs, size_t run_count, const char *detail)
{
    struct verify_found *found = tm_vec_push(&task->found);
    *found = (struct verify_found){
            .kind = kind,
            .block = block,
            .runs = runs != NULL ? tm_arena_alloc(&task->arena, run_count + 1, sizeof(*runs))
                                 : task->runs,
            .run_count = runs != NULL ? run_count : task->run_count,
            .detail = tm_arena_strdup(&task->arena, detail),
    };
    if (runs != NULL && run_count > 0) {
        memcpy(found->runs, runs, run_count * sizeof(*runs));
    }
}

static void run_task(void *arg)
{
    struct job *job = arg;
    struct pump *pump = job->pump;
    struct verify_task *task = job->task;
    free(job);
    if (!tm_job_cancelled(pump->run->env)) {
        pump->packs->look(task);
    }
    pthread_mutex_lock(&pump->lock);
    task->next = pump->done;
    pump->done = task;
    pthread_cond_signal(&pump->done_cond);
    pthread_mutex_unlock(&pump->lock);
}

/* What is wrong, as rows of the catalog. */
static size_t list_findings(const struct verify_task *task, struct tm_finding **out)
{
    TM_VEC(struct tm_finding) rows = {0};
    for (size_t i = 0; i < task->found.count; i++) {
        const struct verify_found *found = &task->found.at[i];
        for (size_t r = 0; r < found->run_count; r++) {
            *tm_vec_push(&rows) = (struct tm_finding){
                    .kind = found->kind,
                    .block = found->block,
                    .stream = found->runs[r].stream,
                    .partition = found->runs[r].partition,
                    .first = found->runs[r].first,
                    .length = found->runs[r].length,
                    .detail = found->detail,
            };
        }
    }
    *out = rows.at;
    return rows.count;
}

/* A scrub knows a pack only as a whole: where blocks of it are known to be damaged, that stays. */
static enum tm_code knows_blocks(
        struct verify_run *run, const struct tm_hash *pack, bool *out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_finding *known = NULL;
    size_t count = 0;
    enum tm_code code = tm_findings_list(run->options->catalog, pack, &arena, &known, &count, err);
    *out = code == TM_OK && count > 0 && known[0].block >= 0;
    tm_arena_done(&arena);
    return code;
}

static enum tm_code keep_findings(struct verify_task *task, struct tm_err *err)
{
    struct verify_run *run = task->run;
    if (run->options->catalog == NULL) {
        return TM_OK;
    }
    bool stays = false;
    if (run->options->depth == TM_VERIFY_SCRUB) {
        TM_TRY(knows_blocks(run, &task->pack.name, &stays, err));
    }
    if (task->partly && task->found.count == 0) {
        return TM_OK;
    }
    struct tm_finding *rows = NULL;
    size_t count = list_findings(task, &rows);
    enum tm_code code = task->partly || stays
                                ? tm_findings_add(run->options->catalog, &task->pack.name,
                                          tm_now_ms(), rows, stays ? 0 : count, !task->partly, err)
                                : tm_findings_put(run->options->catalog, &task->pack.name,
                                          tm_now_ms(), rows, count, err);
    free(rows);
    return code;
}

static enum tm_code note_found(struct verify_task *task, struct tm_err *err)
{
    char object[TM_OBJECT_NAME_MAX];
    tm_pack_name(&task->pack.name, object);
    for (size_t i = 0; i < task->found.count; i++) {
        const struct verify_found *found = &task->found.at[i];
        const char *kind = tm_finding_kind_name(found->kind);
        for (size_t r = 0; r < found->run_count; r++) {
            TM_TRY(tm_verify_note(
                    task->run, kind, object, found->block, &found->runs[r], found->detail, err));
        }
        if (found->run_count == 0) {
            TM_TRY(tm_verify_note(task->run, kind, object, found->block, NULL, found->detail, err));
        }
    }
    return TM_OK;
}

/* A pack that was dropped or merged away meanwhile may be swept too: that is no fault. */
static enum tm_code is_gone(
        struct verify_run *run, const struct tm_hash *pack, bool *out, struct tm_err *err)
{
    struct tm_kept_pack now = {.size = 1};
    if (run->options->vault != NULL) {
        struct tm_fold fold = tm_catalog_fold(run->options->catalog);
        TM_TRY(tm_vault_refresh(run->options->vault, &fold, err));
        TM_TRY(tm_findings_pack(run->options->catalog, pack, &now, err));
    }
    *out = now.size == 0;
    return TM_OK;
}

static enum tm_code settle(struct verify_task *task, struct tm_err *err)
{
    bool gone = false;
    struct tm_verify_result *result = task->run->result;
    struct tm_progress *progress = task->run->env->progress;
    if (task->err.code != TM_OK) {
        *err = task->err;
        return err->code;
    }
    if (task->found.count > 0) {
        TM_TRY(is_gone(task->run, &task->pack.name, &gone, err));
    }
    if (gone) {
        return TM_OK;
    }
    result->packs_count++;
    result->blocks_count += task->blocks_count;
    result->records_count += task->records_count;
    result->bytes_read += task->bytes_read;
    atomic_store(&progress->done_messages, result->records_count);
    atomic_fetch_add(&progress->done_bytes, (int64_t)task->pack.size);
    TM_TRY(keep_findings(task, err));
    return note_found(task, err);
}

/* Wait for one task at least, and settle what is done; after a failure the rest is let go. */
static enum tm_code settle_done(struct pump *pump, enum tm_code code, struct tm_err *err)
{
    pthread_mutex_lock(&pump->lock);
    while (pump->done == NULL) {
        pthread_cond_wait(&pump->done_cond, &pump->lock);
    }
    struct verify_task *task = pump->done;
    pump->done = NULL;
    pthread_mutex_unlock(&pump->lock);
    while (task != NULL) {
        struct verify_task *next = task->next;
        pump->in_flight--;
        if (code == TM_OK && tm_job_cancelled(pump->run->env)) {
            code = tm_err_set(err, TM_E_CANCELLED, "cancelled before all packs were looked at");
        }
        code = code == TM_OK ? settle(task, err) : code;
        free_task(task);
        task = next;
    }
    return code;
}

static enum tm_code make_task(struct pump *pump, const struct tm_kept_pack *pack,
        struct verify_task **out, struct tm_err *err)
{
    struct tm_catalog *catalog = pump->run->options->catalog;
    struct verify_task *task = tm_xalloc(1, sizeof(*task));
    bool skip = false;
    task->run = pump->run;
    task->pack = *pack;
    enum tm_code code = catalog == NULL ? TM_OK
                                        : tm_findings_pack_runs(catalog, &pack->name, &task->arena,
                                                  &task->runs, &task->run_count, err);
    if (code == TM_OK && pump->packs->prepare != NULL) {
        code = pump->packs->prepare(pump->packs->arg, task, &skip, err);
    }
    if (code != TM_OK || skip) {
        free_task(task);
        return code;
    }
    *out = task;
    return TM_OK;
}

static void submit(struct pump *pump, struct verify_task *task)
{
    struct job *job = tm_xalloc(1, sizeof(*job));
    *job = (struct job){pump, task};
    pump->in_flight++;
    tm_pool_submit(pump->run->env->sealers, run_task, job);
}

enum tm_code tm_verify_packs(
        struct verify_run *run, const struct verify_packs *packs, struct tm_err *err)
{
    struct pump pump = {
            .run = run,
            .packs = packs,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .done_cond = PTHREAD_COND_INITIALIZER,
    };
    size_t limit = 2 * tm_pool_threads(run->env->sealers);
    enum tm_code code = TM_OK;
    int64_t total = 0;
    for (size_t i = 0; i < packs->count; i++) {
        total += (int64_t)packs->packs[i].size;
    }
    atomic_store(&run->env->progress->total_bytes, total);
    for (size_t i = 0; i < packs->count && code == TM_OK; i++) {
        struct verify_task *task = NULL;
        code = make_task(&pump, &packs->packs[i], &task, err);
        if (code == TM_OK && task != NULL) {
            submit(&pump, task);
        }
        if (code == TM_OK && pump.in_flight >= limit) {
            code = settle_done(&pump, code, err);
        }
    }
    while (pump.in_flight > 0) {
        code = settle_done(&pump, code, err);
    }
    pthread_mutex_destroy(&pump.lock);
    pthread_cond_destroy(&pump.done_cond);
    return code;
}
