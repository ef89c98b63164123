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

static void add_check(struct tm_json *checks, const char *name, bool ok, const char *detail)
{
    struct tm_json *check = tm_json_push(checks, tm_json_object());
    tm_json_add_str(check, "name", name);
    tm_json_add_bool(check, "ok", ok);
    tm_json_add_str(check, "detail", detail);
}

/* No names and no causes: nobody has said who asks. Vaults that are away do not unset ready. */
static void checks_done(void *arg, const struct tm_vault_view *vaults, size_t count,
        const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    size_t up = 0;
    for (size_t i = 0; i < count; i++) {
        up += vaults[i].opened && vaults[i].up ? 1 : 0;
    }
    char detail[64];
    (void)snprintf(detail, sizeof(detail), "%zu of %zu answered the last probe", up, count);
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "status", "ready");
    struct tm_json *checks = tm_json_add(json, "checks", tm_json_array());
    add_check(checks, "configuration", true, NULL); /* it is not ready before these two are */
    add_check(checks, "catalog", true, NULL);
    add_check(checks, "vaults", up == count, detail);
    tm_request_answer_json(request, 200, json);
}

void tm_meta_readyz(struct tm_request *request)
{
    bool verbose = tm_query_choice(request, "verbose", "0 1", 0) == 1;
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    const char *why_not = "starting";
    bool ready = control->ops->ready(control->self, &why_not);
    if (ready && verbose) {
        tm_request_ask(request);
        control->ops->vaults(control->self, NULL, checks_done, request);
        return;
    }
    if (ready) {
        answer_state(request, "ready");
        return;
    }
    tm_request_add_header(request, "Retry-After", "%d", (int)READY_RETRY_S);
    const char *slug = strcmp(why_not, "draining") == 0 ? "draining" : "starting";
    tm_problem_refuse(request, 503, slug, "not ready: %s", why_not);
}
