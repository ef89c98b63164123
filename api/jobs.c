/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ulid.h"
#include "body.h"
#include "idempotency.h"
#include "router.h"
#include "routes.h"
#include "view.h"
#include "words.h"

/* The names that enum tm_job_state and enum tm_job_kind have outside, in their order. */
static const char states[] = "queued running succeeded partial failed cancelled";
static const char kinds[] = "backup restore verify retention delete import drill";

/* Lists ------------------------------------------------------------------------------------ */

static void list_done(void *arg, const struct tm_job_view *jobs, size_t count, bool more,
        int64_t total, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < count; i++) {
        const struct tm_job_row *row = &jobs[i].row;
        const char *source = row->kind == TM_JOB_BACKUP ? row->cluster : NULL;
        if (tm_narrow_sees(request, row->policy, source)) {
            (void)tm_json_push(items, tm_view_job(&jobs[i]));
        }
    }
    tm_query_add_total(request, list, total);
    tm_query_answer_page(request, list, count > 0 ? &jobs[count - 1].row.id : NULL, more);
}

void tm_jobs_answer_list(struct tm_request *request, unsigned kinds_asked)
{
    const char *params = request->route->params;
    struct tm_job_query query = {
            .kinds = kinds_asked,
            .states = tm_query_choices(request, "state", states),
            .since_ms = tm_query_time(request, "since", INT64_MIN),
            .until_ms = tm_query_time(request, "until", 0),
    };
    if (tm_words_find(params, "result") >= 0) {
        enum { PASSED, FAILED };
        int result = tm_query_choice(request, "result", "passed failed", -1);
        query.states = result == PASSED   ? 1U << TM_JOB_SUCCEEDED
                       : result == FAILED ? 1U << TM_JOB_FAILED
                                          : query.states;
    }
    if (tm_words_find(params, "kind") >= 0) {
        query.kinds = tm_query_choices(request, "kind", kinds);
    }
    if (tm_words_find(params, "policy") >= 0) {
        query.policies = tm_query_names(request, "policy");
    }
    query.counted = tm_query_counted(request);
    if (!tm_query_page(request)) {
        return;
    }
    query.limit = request->page.limit;
    query.before = request->page.has_before ? &request->page.before : NULL;
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->jobs(control->self, &query, list_done, request);
}

void tm_jobs_list(struct tm_request *request)
{
    tm_jobs_answer_list(request, 0);
}

/* One job ---------------------------------------------------------------------------------- */

static void remember_job(struct tm_request *request, const struct tm_job_view *job)
{
    (void)tm_ulid_format(&job->row.id, "job_", request->job_id);
}

static void job_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    tm_request_answer_json(request, 200, tm_view_job(job));
}

/* The wait for a job is over before its time: take the job as it is. */
static void end_look(struct tm_request *request)
{
    const struct tm_control *control = tm_request_control(request);
    request->end_wait = NULL;
    control->ops->job_forget(control->self, request);
    control->ops->job(control->self, &request->wait.job, 0, job_done, request);
}

/* A restore or drill has its job's ULID: rst_X, drl_X and job_X name the same thing. */
bool tm_jobs_read_id(struct tm_request *request, struct tm_id16 *out)
{
    if (tm_ulid_parse(request->name, "job_", out) || tm_ulid_parse(request->name, "rst_", out) ||
            tm_ulid_parse(request->name, "drl_", out)) {
        return true;
    }
    tm_problem_not_found(request, "job", request->name, NULL);
    return false;
}

/* Nobody is kept waiting by a server that wants to stop. */
static void begin_wait(struct tm_request *request, void (*end)(struct tm_request *request))
{
    request->waited = request->wait.ms > 0;
    request->end_wait = request->waited ? end : NULL;
    tm_request_ask(request);
}

void tm_jobs_get(struct tm_request *request)
{
    const struct tm_control *control = tm_request_control(request);
    int64_t wait_ms = tm_query_wait_ms(request);
    if (tm_problem_noted(request) || !tm_jobs_read_id(request, &request->wait.job)) {
        return;
    }
    request->wait.ms = request->api->quiesced ? 0 : wait_ms;
    begin_wait(request, end_look);
    control->ops->job(control->self, &request->wait.job, request->wait.ms, job_done, request);
}

static void cancel_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    remember_job(request, job);
    tm_request_answer_json(request, 202, tm_view_job(job));
}

void tm_jobs_cancel(struct tm_request *request)
{
    struct tm_part body;
    struct tm_id16 id;
    if (!tm_body_read(request, (struct tm_known){"", ""}, true, &body) ||
            tm_problem_noted(request) || !tm_jobs_read_id(request, &id)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->cancel(control->self, &id, &caller, cancel_done, request);
}

/* Jobs that a request started -------------------------------------------------------------- */

static void answer_started(struct tm_request *request, int status, const char *text)
{
    struct tm_buf body = {0};
    tm_buf_add_text(&body, text);
    tm_buf_add_text(&body, "\n");
    tm_request_add_header(request, "Location", "/v1/jobs/%s", request->job_id);
    if (status == 202) {
        tm_request_add_header(request, "Retry-After", "2");
    }
    tm_request_answer_text(request, status, "application/json", &body);
}

static void answer_job(struct tm_request *request, int status, const struct tm_job_view *job)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_view_job(job);
    char *text = tm_json_text(json);
    answer_started(request, status, text);
    free(text);
}

static void wait_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_request_told(arg);
    if (request == NULL) {
        return;
    }
    if (problem != NULL) {
        answer_started(request, 202, request->wait.started); /* it has been started all the same */
    } else {
        answer_job(request, tm_view_job_ended(job) ? 200 : 202, job);
    }
}

static void end_started(struct tm_request *request)
{
    const struct tm_control *control = tm_request_control(request);
    request->end_wait = NULL;
    control->ops->job_forget(control->self, request);
    tm_request_forget(request);
    answer_started(request, 202, request->wait.started);
}

void tm_jobs_started(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    tm_idempotency_release(tm_request_of(arg)); /* the journal knows it, or it made no job */
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    remember_job(request, job);
    bool ended = tm_view_job_ended(job);
    if (ended || request->wait.ms == 0 || request->api->quiesced) {
        bool has_waited = ended && request->wait.ms > 0;
        answer_job(request, created && !has_waited ? 202 : 200, job);
        return;
    }
    TM_OWN(tm_json_free) struct tm_json *json = tm_view_job(job);
    request->wait.started = tm_json_text(json);
    request->wait.job = job->row.id;
    begin_wait(request, end_started);
    if (request->suspended) {
        tm_server_watch(request);
    }
    const struct tm_control *control = tm_request_control(request);
    control->ops->job(control->self, &request->wait.job, request->wait.ms, wait_done, request);
}
