/* SPDX-License-Identifier: Apache-2.0 */
#include "put_back.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/journal_holds.h"
#include "errand.h"
#include "job/holds_json.h"
#include "job/put_back.h"
#include "jobs_table.h"

enum {
    LOOK_MS = 30 * 1000, /* a timer is never set farther ahead: the wall clock may jump */
    AGAIN_MS = 5 * 1000, /* after a failure; twice that after the next, */
    AGAIN_MAX_MS = 5 * 60 * 1000,
    REQUEST_MS = 20 * 1000,
};

struct tmd_put_back {
    struct tmd *tmd;
    uv_timer_t timer;
    bool asking; /* the journal, or an errand is under way */
    bool again;  /* something has changed meanwhile */
    int64_t again_ms;
};

/* One at a time, whoever asked: what one has put back is not to be found changed by the next. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* The work ------------------------------------------------------------------------------------ */

struct task {
    struct tmd *tmd;
    struct tm_id16 job; /* of a command */
    bool by_command;
    struct tm_id16 *active; /* restores that go on: not theirs */
    size_t active_count;
    struct tm_arena arena;
    struct tm_hold_row *rows; /* of a command: of the job, afterwards */
    size_t count;
    bool found; /* of a command: the job is known */
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static bool is_active(const struct task *task, const struct tm_id16 *job)
{
    for (size_t i = 0; i < task->active_count; i++) {
        if (tm_id16_eq(&task->active[i], job)) {
            return true;
        }
    }
    return false;
}

static void log_row(const struct tm_hold_row *row)
{
    char name[TM_ULID_NAME_MAX];
    bool good = row->state == TM_HOLD_PUT_BACK;
    tm_log(good ? TM_LOG_INFO : TM_LOG_WARNING,
            row->state == TM_HOLD_WAITING ? "put-back.waiting" : "put-back.done",
            row->note != NULL ? row->note : "put back",
            TM_LOG_STR("job", tm_ulid_format(&row->job, "job_", name)),
            TM_LOG_STR("cluster", row->cluster), TM_LOG_STR("topic", row->topic),
            TM_LOG_STR("setting", row->name), TM_LOG_STR("value", row->original),
            TM_LOG_STR("state", tm_hold_state_name(row->state)), TM_LOG_END);
}

/* Rows of one job at one cluster. What was done is kept, also when the rest failed. */
static enum tm_code put_some(struct task *task, struct tm_journal *journal,
        struct tm_hold_row *rows, size_t count, struct tm_err *err)
{
    const struct tm_config_cluster *cluster =
            tm_config_find_cluster(task->tmd->config, rows[0].cluster);
    TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(task->tmd);
    struct tm_kafka *kafka = NULL;
    struct tm_err failed = {0};
    if (cluster == NULL) {
        (void)tm_err_set(
                &failed, TM_E_MISSING, "there is no cluster \"%s\" any more", rows[0].cluster);
    } else if (tmd_kafka(lease, cluster, false, &kafka, &failed) == TM_OK) {
        TM_LATER(tm_put_back(kafka, rows, count, tm_now_ms(), REQUEST_MS, &task->arena, &failed));
    }
    for (size_t i = 0; i < count; i++) {
        if (failed.code != TM_OK && rows[i].state == TM_HOLD_WAITING) {
            rows[i].note = tm_arena_strdup(&task->arena, failed.msg);
        }
        log_row(&rows[i]);
    }
    TM_TRY(tm_journal_put_holds(journal, rows, count, err));
    if (failed.code != TM_OK) {
        *err = failed;
    }
    return err->code;
}

static size_t same_job(const struct tm_hold_row *rows, size_t count)
{
    size_t some = 1;
    while (some < count && strcmp(rows[some].cluster, rows[0].cluster) == 0 &&
            tm_id16_eq(&rows[some].job, &rows[0].job)) {
        some++;
    }
    return some;
}

/* Those that are due (a command: all of the job) stay in `rows`. */
static size_t choose(const struct task *task, struct tm_hold_row *rows, size_t count)
{
    int64_t now_ms = tm_now_ms();
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        if (task->by_command || (rows[i].due_ms <= now_ms && !is_active(task, &rows[i].job))) {
            rows[chosen++] = rows[i];
        }
    }
    return chosen;
}

static enum tm_code put_all(struct task *task, struct tm_journal *journal, struct tm_err *err)
{
    struct tm_hold_row *rows = NULL;
    size_t count = 0;
    TM_TRY(tm_journal_holds(
            journal, task->by_command ? &task->job : NULL, true, &task->arena, &rows, &count, err));
    count = choose(task, rows, count);
    for (size_t i = 0; i < count;) { /* a cluster that is away keeps no other waiting */
        size_t some = same_job(rows + i, count - i);
        struct tm_err failed = {0};
        if (put_some(task, journal, rows + i, some, &failed) != TM_OK) {
            *err = failed;
        }
        i += some;
    }
    return err->code;
}

static enum tm_code find_job(struct task *task, struct tm_journal *journal, struct tm_err *err)
{
    struct tm_job_row row = {0};
    TM_TRY(tm_journal_get_job(journal, &task->job, &task->arena, &row, &task->found, err));
    task->found = task->found && row.kind == TM_JOB_RESTORE;
    TM_TRY(tm_journal_holds(
            journal, &task->job, false, &task->arena, &task->rows, &task->count, err));
    task->found = task->found || task->count > 0;
    return TM_OK;
}

static void work(void *arg)
{
    struct task *task = arg;
    char path[4096];
    TM_OWN(tm_journal_close) struct tm_journal *journal = NULL;
    struct tm_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/journal.db", task->tmd->config->state.dir);
    pthread_mutex_lock(&one_at_a_time);
    if (tm_journal_open(path, &journal, &task->err) == TM_OK) {
        TM_LATER(put_all(task, journal, &task->err));
        if (task->by_command && find_job(task, journal, &err) != TM_OK) {
            task->err = err;
        }
    }
    pthread_mutex_unlock(&one_at_a_time);
}

static struct task *new_task(struct tmd *tmd)
{
    struct task *task = tm_xalloc(1, sizeof(*task));
    struct tmd_job *job;
    size_t count = 0;
    task->tmd = tmd;
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        count++;
    }
    task->active = tm_arena_alloc(&task->arena, count + 1, sizeof(*task->active));
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        task->active[task->active_count++] = job->row.id;
    }
    return task;
}

static void free_task(struct task *task)
{
    tm_arena_done(&task->arena);
    free(task);
}

/* By the clock -------------------------------------------------------------------------------- */

static void look(uv_timer_t *timer);

static void set_timer(struct tmd_put_back *put_back, int64_t wait_ms)
{
    wait_ms = wait_ms < 0 ? 0 : wait_ms > LOOK_MS ? LOOK_MS : wait_ms;
    tm_assert(uv_timer_start(&put_back->timer, look, (uint64_t)wait_ms, 0) == 0);
    uv_unref((uv_handle_t *)&put_back->timer);
}

static void worked(void *arg)
{
    struct task *task = arg;
    struct tmd_put_back *put_back = task->tmd->put_back;
    bool failed = task->err.code != TM_OK;
    put_back->asking = false;
    if (failed) {
        tm_log(TM_LOG_WARNING, "put-back.failed", task->err.msg,
                TM_LOG_INT("again_in_ms", put_back->again_ms), TM_LOG_END);
    }
    if (!task->tmd->draining) {
        set_timer(put_back, failed ? put_back->again_ms : 0);
    }
    put_back->again_ms = !failed                                 ? AGAIN_MS
                         : put_back->again_ms * 2 < AGAIN_MAX_MS ? put_back->again_ms * 2
                                                                 : AGAIN_MAX_MS;
    free_task(task);
}

struct asked { /* of the journal: when is the next one due? */
    struct tmd *tmd;
    struct task *task;
    int64_t due_ms; /* of those that are not active; INT64_MAX: nothing waits */
};

static void ask_work(struct tmd_keep *keep, void *arg)
{
    struct asked *asked = arg;
    struct tm_hold_row *rows = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    asked->due_ms = INT64_MAX;
    if (tm_journal_holds(keep->journal, NULL, true, &asked->task->arena, &rows, &count, &err) !=
            TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END);
        asked->due_ms = tm_now_ms() + LOOK_MS;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_active(asked->task, &rows[i].job) && rows[i].due_ms < asked->due_ms) {
            asked->due_ms = rows[i].due_ms;
        }
    }
}

static void ask_done(void *arg)
{
    struct asked *asked = arg;
    struct tmd_put_back *put_back = asked->tmd->put_back;
    struct task *task = asked->task;
    int64_t wait_ms = asked->due_ms == INT64_MAX ? INT64_MAX : asked->due_ms - tm_now_ms();
    free(asked);
    put_back->asking = false;
    if (task->tmd->draining || wait_ms == INT64_MAX) { /* the next restore that ends looks again */
        free_task(task);
    } else if (wait_ms <= 0 && tmd_errand(task->tmd, work, worked, task)) {
        put_back->asking = true;
    } else {
        set_timer(put_back, wait_ms <= 0 ? AGAIN_MS : wait_ms);
        free_task(task);
    }
    if (put_back->again && !put_back->asking) {
        put_back->again = false;
        set_timer(put_back, 0);
    }
}

static void look(uv_timer_t *timer)
{
    struct tmd_put_back *put_back = timer->data;
    struct asked *asked = tm_xalloc(1, sizeof(*asked));
    put_back->asking = true;
    *asked = (struct asked){.tmd = put_back->tmd, .task = new_task(put_back->tmd)};
    tmd_keeper_ask(put_back->tmd, ask_work, ask_done, asked);
}

void tmd_put_back_look(struct tmd *tmd)
{
    struct tmd_put_back *put_back = tmd->put_back;
    if (put_back == NULL || tmd->draining || !tmd->ready) {
        return;
    }
    if (put_back->asking) {
        put_back->again = true;
    } else {
        set_timer(put_back, 0);
    }
}

struct tmd_put_back *tmd_put_back_new(struct tmd *tmd)
{
    struct tmd_put_back *put_back = tm_xalloc(1, sizeof(*put_back));
    *put_back = (struct tmd_put_back){.tmd = tmd, .again_ms = AGAIN_MS};
    tm_assert(uv_timer_init(&tmd->loop, &put_back->timer) == 0);
    put_back->timer.data = put_back;
    return put_back;
}

void tmd_put_back_free(struct tmd_put_back *put_back)
{
    free(put_back);
}

void tmd_put_back_start(struct tmd *tmd)
{
    tmd_put_back_look(tmd);
}

void tmd_put_back_stop(struct tmd *tmd)
{
    (void)uv_timer_stop(&tmd->put_back->timer);
}

/* By command ---------------------------------------------------------------------------------- */

static void answer(struct task *task)
{
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (task->err.code != TM_OK) {
        tmd_problem_of(&task->err, &problem);
        task->done(task->arg, NULL, &problem);
    } else if (!task->found) {
        tmd_unknown(&problem, "restore", tm_ulid_format(&task->job, "job_", name));
        task->done(task->arg, NULL, &problem);
    } else {
        char *text = tm_holds_text(&task->job, task->rows, task->count);
        task->done(task->arg, text, NULL);
        free(text);
    }
    free_task(task);
}

static void command_done(void *arg)
{
    struct task *task = arg;
    tmd_put_back_look(task->tmd);
    answer(task);
}

void tmd_control_put_back(void *self, const struct tm_id16 *job, const struct tm_caller *caller,
        tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    struct tm_problem problem = {.status = 409, .slug = "already-running", .retry_after_s = 5};
    struct tmd_job *live = tmd_job_find(tmd, job);
    char name[TM_ULID_NAME_MAX];
    (void)tm_ulid_format(job, "job_", name);
    if (live != NULL) {
        (void)snprintf(problem.detail, sizeof(problem.detail), "the job is still %s",
                tm_job_state_name(live->row.state));
        (void)snprintf(problem.job, sizeof(problem.job), "%s", name);
        done(arg, NULL, &problem);
        return;
    }
    tm_log(TM_LOG_INFO, "audit", "settings put back", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_STR("job", name), TM_LOG_END);
    struct task *task = new_task(tmd);
    task->job = *job;
    task->by_command = true;
    task->done = done;
    task->arg = arg;
    if (!tmd_errand(tmd, work, command_done, task)) {
        tmd_errand_refused(tmd, "nothing can be put back now", &problem);
        done(arg, NULL, &problem);
        free_task(task);
    }
}

static void holds_work(struct tmd_keep *keep, void *arg)
{
    struct task *task = arg;
    TM_LATER(find_job(task, keep->journal, &task->err));
}

static void holds_done(void *arg)
{
    answer(arg);
}

void tmd_control_holds(void *self, const struct tm_id16 *job, tm_done_json done, void *arg)
{
    struct task *task = new_task(self);
    task->job = *job;
    task->done = done;
    task->arg = arg;
    tmd_keeper_ask(self, holds_work, holds_done, task);
}
