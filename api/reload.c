/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, read again. */
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
