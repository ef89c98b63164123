/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that a restore holds at its target: what they are, and put back at once. */
#include "body.h"
#include "jobs.h"
#include "routes.h"

void tm_restores_holds(struct tm_request *request)
{
    struct tm_id16 id;
    if (!tm_jobs_read_id(request, &id)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->holds(control->self, &id, tm_problem_or_json, request);
}

void tm_restores_put_back(struct tm_request *request)
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
    control->ops->put_back(control->self, &id, &caller, tm_problem_or_json, request);
}
