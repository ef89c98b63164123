/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: who is told what, how the last time went, and a test. */
#include "body.h"
#include "routes.h"

void tm_hooks_list(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->hooks(control->self, tm_problem_or_json, request);
}

void tm_hooks_test(struct tm_request *request)
{
    struct tm_part body;
    if (!tm_body_read(request, (struct tm_known){"", ""}, true, &body) ||
            tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->hook_test(control->self, request->name, &caller, tm_problem_or_json, request);
}
