/* SPDX-License-Identifier: Apache-2.0 */
#include "idempotency.h"

#include <string.h>

#include "jobs.h"
#include "narrow.h"
#include "router.h"
#include "server.h"
#include "words.h"

enum { KEY_MAX = 255 };

/* Those that start a job are those that can wait for it. */
static bool makes_job(const struct tm_request *request)
{
    return (strcmp(request->method, "POST") == 0 || strcmp(request->method, "DELETE") == 0) &&
           tm_words_find(request->route->params, "wait") >= 0;
}

static bool is_key(const char *text)
{
    size_t len = 0;
    for (; text[len] != '\0'; len++) {
        if (text[len] < ' ' || text[len] > '~' || len == KEY_MAX) {
            return false;
        }
    }
    return len > 0;
}

static struct tm_hash hash_of(const struct tm_request *request)
{
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    const char *name = request->name != NULL ? request->name : "";
    tm_sha256_add(sha, request->method, strlen(request->method) + 1);
    tm_sha256_add(sha, request->route->pattern, strlen(request->route->pattern) + 1);
    tm_sha256_add(sha, name, strlen(name) + 1);
    tm_sha256_add(sha, request->body.at, request->body.len);
    return tm_sha256_take(sha);
}

static void answer(void *arg, struct tmd_key *held, const struct tm_job_view *job,
        const struct tm_problem *problem)
{
    struct tm_request *request = tm_request_of(arg);
    if (job != NULL) {
        if (request->connection != NULL) {
            tm_request_add_header(request, "Idempotency-Replayed", "true");
        }
        tm_jobs_started(request, job, true, NULL); /* it waits for its end as the first one did */
        return;
    }
    request->held = held;
    request = tm_problem_told(request, problem);
    if (request == NULL) {
        return;
    }
    tm_narrow_dispatch(request);
    if (request->suspended && request->end_wait != NULL) {
        tm_server_watch(request);
    }
}

bool tm_idempotency_ask(struct tm_request *request)
{
    const char *key = tm_request_header(request, "Idempotency-Key");
    if (key == NULL || !makes_job(request)) {
        return false;
    }
    if (!is_key(key)) {
        tm_problem_refuse(request, 400, "bad-idempotency-key",
                "the header Idempotency-Key takes 1 to %d printable ASCII characters", KEY_MAX);
        return true;
    }
    request->wait.ms = tm_query_wait_ms(request); /* a job that is there may be waited for, too */
    if (tm_problem_noted(request)) {
        return true;
    }
    const struct tm_control *control = tm_request_control(request);
    request->key.who = request->who;
    request->key.key = tm_arena_strdup(&request->arena, key);
    request->key.request = hash_of(request);
    request->held_by = *control;
    tm_request_ask(request);
    control->ops->key(control->self, &request->key, answer, request);
    return true;
}

void tm_idempotency_release(struct tm_request *request)
{
    struct tmd_key *held = TM_TAKE(request->held);
    if (held != NULL) {
        request->held_by.ops->release_key(request->held_by.self, held);
    }
}
