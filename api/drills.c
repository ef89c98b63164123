/* SPDX-License-Identifier: Apache-2.0 */
/* Drills: start one, list them, and the report of one. */
#include <string.h>

#include "base/ulid.h"
#include "body.h"
#include "jobs.h"
#include "narrow.h"
#include "report_page.h"
#include "routes.h"

enum { AFFIX_MAX = 249 };

static void read_target(const struct tm_part *body, struct tm_drill_request *out)
{
    static const struct tm_known known = {"cluster prefix", ""};
    struct tm_part target = tm_body_object(body, "target", known);
    if (target.object != NULL) {
        out->target = tm_body_str(&target, "cluster");
        out->prefix = tm_body_text(&target, "prefix", AFFIX_MAX);
    }
}

/* -1: as the policy's configuration has it. */
static int read_switch(const struct tm_part *body, const char *name)
{
    return tm_body_has(body, name) ? tm_body_bool(body, name, false) : -1;
}

void tm_drills_start(struct tm_request *request)
{
    static const struct tm_known known = {
            "policy recovery_point target max_bytes cleanup allow_source", ""};
    struct tm_drill_request drill = {.max_bytes = -1};
    struct tm_part body;
    struct tm_id16 ulid;
    request->wait.ms = tm_query_wait_ms(request);
    if (!tm_body_read(request, known, false, &body)) {
        return;
    }
    tm_body_require(&body, "policy");
    drill.policy = tm_body_str(&body, "policy");
    drill.point = tm_body_str(&body, "recovery_point");
    if (drill.point != NULL && strcmp(drill.point, "latest") == 0) {
        drill.point = NULL;
    }
    if (drill.point != NULL && !tm_ulid_parse(drill.point, "rp_", &ulid)) {
        tm_body_wrong(&body, "recovery_point", "must be \"rp_\" and 26 characters, or \"latest\"");
    }
    read_target(&body, &drill);
    if (tm_body_has(&body, "max_bytes")) {
        drill.max_bytes = tm_body_int(&body, "max_bytes", 0, INT64_MAX);
    }
    drill.cleanup = read_switch(&body, "cleanup");
    drill.allow_source = read_switch(&body, "allow_source");
    if (tm_problem_noted(request) || !tm_narrow_policy(request, drill.policy) ||
            !tm_narrow_target(request, drill.target)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->drill(control->self, &drill, &caller, tm_jobs_started, request);
}

void tm_drills_list(struct tm_request *request)
{
    tm_jobs_answer_list(request, 1U << TM_JOB_DRILL);
}

void tm_drills_get(struct tm_request *request)
{
    tm_report_answer(request, TM_JOB_DRILL);
}

void tm_restores_get(struct tm_request *request)
{
    tm_report_answer(request, TM_JOB_RESTORE);
}
