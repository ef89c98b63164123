/* SPDX-License-Identifier: Apache-2.0 */
/* Planned runs of a policy: which come next, paused and set going again. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "body.h"
#include "hold.h"
#include "query.h"
#include "routes.h"
#include "view.h"

enum { COUNT_DEFAULT = 10, COUNT_MAX = 500 };

static void answer(void *arg, const struct tm_policy_view *policy, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request != NULL) {
        tm_request_answer_json(request, 200, tm_view_policy(policy));
    }
}

void tm_policies_pause(struct tm_request *request)
{
    struct tm_part body;
    if (!tm_body_read(request, (struct tm_known){"until reason", ""}, true, &body)) {
        return;
    }
    struct tm_pause_request pause = {.policy = request->name};
    (void)tm_body_until(&body, &pause.until_ms);
    pause.reason = tm_body_text(&body, "reason", TM_HOLD_REASON_MAX);
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->pause(control->self, &pause, &caller, answer, request);
}

void tm_policies_resume(struct tm_request *request)
{
    struct tm_part body;
    if (!tm_body_read(request, (struct tm_known){"", ""}, true, &body) ||
            tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->resume(control->self, request->name, &caller, answer, request);
}

/* "2026-03-29T03:00:00+02:00" */
static void add_wall_time(struct tm_json *row, int64_t at_ms, int64_t offset_ms)
{
    char text[TM_TIME_TEXT_MAX];
    char whole[TM_TIME_TEXT_MAX + 16];
    int64_t minutes = offset_ms / 60000;
    int64_t size = minutes < 0 ? -minutes : minutes;
    (void)tm_time_format(at_ms + offset_ms, text); /* ...T03:00:00.000Z */
    (void)snprintf(whole, sizeof(whole), "%.19s%c%02" PRId64 ":%02" PRId64, text,
            minutes < 0 ? '-' : '+', size / 60, size % 60);
    tm_json_add_str(row, "local", whole);
}

void tm_policies_schedule(struct tm_request *request)
{
    int64_t at_ms[COUNT_MAX];
    int64_t offset_ms[COUNT_MAX];
    int64_t count = tm_query_int(request, "count", COUNT_DEFAULT, 1, COUNT_MAX);
    const struct tm_policy_view *policy = tm_policies_find(request);
    if (policy == NULL || tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    size_t planned =
            control->ops->planned(control->self, request->name, at_ms, offset_ms, (size_t)count);
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "policy", policy->name);
    tm_json_add_str(json, "schedule", policy->schedule);
    tm_json_add_str(json, "timezone", policy->timezone);
    tm_view_add_pause(json, policy);
    struct tm_json *items = tm_json_add(json, "items", tm_json_array());
    for (size_t i = 0; i < planned; i++) {
        struct tm_json *row = tm_json_push(items, tm_json_object());
        tm_json_add_time(row, "at", at_ms[i]);
        add_wall_time(row, at_ms[i], offset_ms[i]);
    }
    tm_request_answer_json(request, 200, json);
}
