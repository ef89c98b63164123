/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, read again or checked; the log's level for a while. */
#include "base/text.h"
#include "body.h"
#include "routes.h"

void tm_config_reload(struct tm_request *request)
{
    struct tm_part body;
    if (!tm_body_read(request, (struct tm_known){"", ""}, true, &body) ||
            tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->reload(control->self, &caller, tm_problem_or_json, request);
}

void tm_config_get(struct tm_request *request)
{
    if (!tm_problem_noted(request)) {
        const struct tm_control *control = tm_request_control(request);
        tm_request_answer_json(request, 200, control->ops->config(control->self));
    }
}

void tm_config_check(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->check_config(
            control->self, tm_buf_slice(&request->body), tm_problem_or_json, request);
}

void tm_config_log_level(struct tm_request *request)
{
    static const struct tm_known levels = {"error warning info debug", ""}; /* enum tm_log_level */
    struct tm_part body;
    struct tm_err err = {0};
    int64_t for_ms = 0;
    if (!tm_body_read(request, (struct tm_known){"level for", ""}, false, &body)) {
        return;
    }
    tm_body_require(&body, "level");
    enum tm_log_level level = (enum tm_log_level)tm_body_choice(&body, "level", levels);
    const char *text = tm_body_str(&body, "for");
    if (text != NULL && tm_parse_duration_ms(text, &for_ms, &err) != TM_OK) {
        tm_body_wrong(&body, "for", "%s", err.msg);
    } else if (text != NULL && for_ms == 0) {
        tm_body_wrong(&body, "for", "must be above 0; leave it out for no end");
    }
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->log_level(control->self, level, for_ms, &caller, tm_problem_or_json, request);
}
