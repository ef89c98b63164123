/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "catalog/journal_keys.h"
#include "kinds.h"

/* A request with the key is on its way to a job. */
struct tmd_key {
    LIST_ENTRY(tmd_key) link;
    char *who;
    char *key;
};

struct question {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tmd_key *held; /* ours from now on, unless there is a job already */
    struct tm_hash request;
    struct tm_hash made; /* the request that the key was used for */
    struct tm_job_view view;
    bool found;
    bool has_row; /* the job's row is still there */
    struct tm_err err;
    tm_done_key done;
    void *arg;
};

static char *copy(const char *text)
{
    char *out = strdup(text);
    tm_assert(out != NULL);
    return out;
}

void tmd_control_release_key(void *self, struct tmd_key *key)
{
    (void)self;
    LIST_REMOVE(key, link);
    free(key->who);
    free(key->key);
    free(key);
}

static void find_work(struct tmd_keep *keep, void *arg)
{
    struct question *question = arg;
    struct tm_id16 job = {{0}};
    int64_t expired_ms = tm_now_ms() - keep->config->jobs.idempotency_ms;
    enum tm_code code = tm_journal_find_key(keep->journal, question->held->who, question->held->key,
            expired_ms, &job, &question->made, &question->found, &question->err);
    if (code == TM_OK && question->found) {
        TM_LATER(tm_journal_get_job(keep->journal, &job, &question->arena, &question->view.row,
                &question->has_row, &question->err));
    }
}

static void find_done(void *arg)
{
    struct question *question = arg;
    struct tmd *tmd = question->tmd;
    struct tm_problem problem;
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        tmd_control_release_key(tmd, question->held);
        question->done(question->arg, NULL, NULL, &problem);
    } else if (!question->found || !question->has_row) {
        question->done(question->arg, question->held, NULL, NULL);
    } else if (memcmp(&question->made, &question->request, sizeof(question->made)) != 0) {
        problem = (struct tm_problem){.status = 422,
                .slug = "idempotency-key-reuse",
                .detail = "the Idempotency-Key was used for another request; take a new one"};
        tmd_control_release_key(tmd, question->held);
        question->done(question->arg, NULL, NULL, &problem);
    } else {
        const struct tmd_job *live = tmd_job_find(tmd, &question->view.row.id);
        if (live != NULL) {
            tmd_job_view(live, &question->view);
        }
        tmd_control_release_key(tmd, question->held);
        question->done(question->arg, NULL, &question->view, NULL);
    }
    tm_arena_done(&question->arena);
    free(question);
}

static bool is_held(const struct tmd *tmd, const struct tm_key_request *request)
{
    const struct tmd_key *key;
    LIST_FOREACH(key, &tmd->keys, link)
    {
        if (strcmp(key->who, request->who) == 0 && strcmp(key->key, request->key) == 0) {
            return true;
        }
    }
    return false;
}

void tmd_control_key(void *self, const struct tm_key_request *request, tm_done_key done, void *arg)
{
    struct tmd *tmd = self;
    if (is_held(tmd, request)) {
        struct tm_problem problem = {.status = 409,
                .slug = "idempotency-in-progress",
                .retry_after_s = 1,
                .detail = "a request with this Idempotency-Key is still being accepted"};
        done(arg, NULL, NULL, &problem);
        return;
    }
    struct question *question = tm_xalloc(1, sizeof(*question));
    *question =
            (struct question){.tmd = tmd, .request = request->request, .done = done, .arg = arg};
    question->held = tm_xalloc(1, sizeof(*question->held));
    question->held->who = copy(request->who);
    question->held->key = copy(request->key);
    LIST_INSERT_HEAD(&tmd->keys, question->held, link);
    tmd_keeper_ask(tmd, find_work, find_done, question);
}
