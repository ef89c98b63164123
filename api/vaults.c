/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"
#include "jobs.h"
#include "routes.h"
#include "view.h"

static void list_done(void *arg, const struct tm_vault_view *vaults, size_t count,
        const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < count; i++) {
        (void)tm_json_push(items, tm_view_vault(&vaults[i]));
    }
    tm_request_answer_json(request, 200, list);
}

static void one_done(void *arg, const struct tm_vault_view *vaults, size_t count,
        const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    tm_assert(count == 1);
    tm_request_answer_json(request, 200, tm_view_vault(vaults));
}

void tm_vaults_list(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->vaults(control->self, NULL, list_done, request);
}

void tm_vaults_get(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->vaults(control->self, request->name, one_done, request);
}

void tm_vaults_probe(struct tm_request *request)
{
    struct tm_part body;
    if (!tm_body_read(request, (struct tm_known){"", ""}, true, &body) ||
            tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->probe(control->self, request->name, &caller, one_done, request);
}
