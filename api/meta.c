/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "openapi.h"
#include "routes.h"

enum { READY_RETRY_S = 5 };

void tm_meta_index(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    static const char *const links[] = {
            "status", "policies", "backups", "recovery-points", "restores", "jobs"};
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", "tidemark");
    tm_json_add_str(json, "api", "v1");
    tm_json_add_str(json, "version", request->api->options.version);
    struct tm_json *all = tm_json_add(json, "links", tm_json_object());
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        char link[64];
        (void)snprintf(link, sizeof(link), "/v1/%s", links[i]);
        tm_json_add_str(all, links[i], link);
    }
    tm_request_answer_json(request, 200, json);
}

void tm_meta_metrics(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    control->ops->refresh_metrics(control->self);
    struct tm_buf text = {0};
    const char *accept = tm_request_header(request, "Accept");
    if (accept != NULL && strstr(accept, "application/openmetrics-text") != NULL) {
        tm_metrics_render_open(&text);
        tm_request_answer_text(
                request, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", &text);
        return;
    }
    tm_metrics_render(&text);
    tm_request_answer_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

void tm_meta_openapi(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    struct tm_buf text = {0};
    tm_buf_add_text(&text, tm_openapi);
    tm_request_answer_text(request, 200, "application/json", &text);
}

static void answer_state(struct tm_request *request, const char *state)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "status", state);
    tm_request_answer_json(request, 200, json);
}

/* That it answers at all says that the loop turns. */
void tm_meta_livez(struct tm_request *request)
{
    if (!tm_problem_noted(request)) {
        answer_state(request, "live");
    }
}

void tm_meta_readyz(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    const char *why_not = "starting";
    if (control->ops->ready(control->self, &why_not)) {
        answer_state(request, "ready");
        return;
    }
    tm_request_add_header(request, "Retry-After", "%d", (int)READY_RETRY_S);
    const char *slug = strcmp(why_not, "draining") == 0 ? "draining" : "starting";
    tm_problem_refuse(request, 503, slug, "not ready: %s", why_not);
}
