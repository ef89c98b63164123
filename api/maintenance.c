/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of a vault that people ask for: retention, verification, its catalog made anew. */
#include "body.h"
#include "digest.h"
#include "jobs.h"
#include "routes.h"

enum { NAME_MAX_BYTES = 64 };

static void start_job(
        struct tm_request *request, enum tm_job_kind kind, const struct tm_vault_request *job)
{
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->vault_job(control->self, kind, job, &caller, tm_jobs_started, request);
}

/* Retention -------------------------------------------------------------------------------- */

/* False: the request has been refused. */
static bool read_retention(struct tm_request *request, struct tm_vault_request *out)
{
    static const struct tm_known known = {"vault policies merge plan_digest", ""};
    struct tm_part body;
    if (!tm_body_read(request, known, false, &body)) {
        return false;
    }
    tm_body_require(&body, "vault");
    *out = (struct tm_vault_request){
            .vault = tm_body_str(&body, "vault"),
            .merge = tm_body_bool(&body, "merge", true),
            .plan_digest = tm_digest_read(&body),
    };
    out->policies = tm_body_strings(&body, "policies", NAME_MAX_BYTES, &out->policy_count);
    if (out->policies != NULL && out->policy_count == 0) {
        tm_body_wrong(&body, "policies", "may not be empty; leave it out for all policies");
    }
    return !tm_problem_noted(request);
}

void tm_retention_plan_route(struct tm_request *request)
{
    struct tm_vault_request retention;
    if (!read_retention(request, &retention)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->retention_plan(control->self, &retention, tm_problem_or_json, request);
}

void tm_retention_run_route(struct tm_request *request)
{
    struct tm_vault_request retention;
    request->wait.ms = tm_query_wait_ms(request);
    if (read_retention(request, &retention)) {
        start_job(request, TM_JOB_RETENTION, &retention);
    }
}

/* Verification ----------------------------------------------------------------------------- */

void tm_verifications_start(struct tm_request *request)
{
    static const struct tm_known known = {"vault depth sample_ratio recovery_point repair", ""};
    static const struct tm_known depths = {"catalog scrub sample full", ""};
    enum { SCRUB = 1, SAMPLE = 2 };
    struct tm_part body;
    request->wait.ms = tm_query_wait_ms(request);
    if (!tm_body_read(request, known, false, &body)) {
        return;
    }
    tm_body_require(&body, "vault");
    struct tm_vault_request job = {
            .vault = tm_body_str(&body, "vault"),
            .depth = tm_body_choice(&body, "depth", depths),
            .sample_ratio = tm_body_ratio(&body, "sample_ratio", 0.02),
            .point = tm_body_str(&body, "recovery_point"),
            .repair = tm_body_bool(&body, "repair", false),
    };
    if (tm_body_has(&body, "sample_ratio") && job.depth != SAMPLE) {
        tm_body_wrong(&body, "sample_ratio", "goes with \"depth\":\"sample\" only");
    }
    if (job.point != NULL && job.depth <= SCRUB) {
        tm_body_wrong(&body, "recovery_point", "goes with \"depth\":\"sample\" or \"full\"");
    }
    if (!tm_problem_noted(request)) {
        start_job(request, TM_JOB_VERIFY, &job);
    }
}

/* Catalog ---------------------------------------------------------------------------------- */

void tm_vaults_import(struct tm_request *request)
{
    struct tm_part body;
    request->wait.ms = tm_query_wait_ms(request);
    if (!tm_body_read(request, (struct tm_known){"", ""}, true, &body) ||
            tm_problem_noted(request)) {
        return;
    }
    start_job(request, TM_JOB_IMPORT, &(struct tm_vault_request){.vault = request->name});
}
