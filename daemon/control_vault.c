/* SPDX-License-Identifier: Apache-2.0 */
#include "control_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "errand.h"
#include "job/marks.h"
#include "kinds.h"
#include "retention.h"

void tmd_unknown_vault(const struct tmd *tmd, const char *name, struct tm_problem *out)
{
    size_t count = tmd->config->vault_count;
    const char **names = tm_xalloc(count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        names[i] = tmd->config->vaults[i].name;
    }
    tmd_unknown_among(out, "vault", name, names, count);
    free(names);
}

/* Jobs of a vault ----------------------------------------------------------------------------- */

struct job_question { /* a job that names a point: where is that, and is it held? */
    struct tmd *tmd;
    struct tm_arena arena;
    enum tm_job_kind kind;
    struct tm_vault_request request;
    struct tm_caller caller;
    struct tm_id16 point;
    const char *vault; /* where it is; NULL: nowhere */
    bool held;
    const char *reason; /* of the hold */
    struct tm_err err;
    tm_done_job done;
    void *arg;
};

static void look_for_point(struct tmd_keep *keep, void *arg)
{
    struct job_question *question = arg;
    for (size_t v = 0; question->vault == NULL && v < keep->config->vault_count; v++) {
        struct tm_point point = {0};
        if (keep->catalogs[v] == NULL ||
                tm_catalog_point(keep->catalogs[v], &question->point, &question->arena, &point,
                        &question->err) != TM_OK ||
                point.row.id == 0) {
            continue;
        }
        question->vault = keep->config->vaults[v].name;
        question->held = tm_marks_held(&point.mark, tm_now_ms());
        question->reason = tm_arena_str(&question->arena, point.mark.hold_reason);
    }
}

static void refuse_held(const struct job_question *question)
{
    struct tm_problem problem = {.status = 409, .slug = "point-held", .member = "hold"};
    (void)snprintf(problem.detail, sizeof(problem.detail),
            "%s is held; remove its hold first (PATCH with \"hold\":null)",
            question->request.point);
    (void)snprintf(problem.value, sizeof(problem.value), "%s", question->reason);
    question->done(question->arg, NULL, false, &problem);
}

static void found_point(void *arg)
{
    struct job_question *question = arg;
    struct tm_vault_request *request = &question->request;
    struct tm_problem problem;
    bool elsewhere = question->vault != NULL && request->vault != NULL &&
                     strcmp(request->vault, question->vault) != 0;
    if (question->vault == NULL && question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, false, &problem);
    } else if (question->vault == NULL || elsewhere) {
        tmd_unknown(&problem, "recovery-point", request->point);
        question->done(question->arg, NULL, false, &problem);
    } else if (question->held && question->kind == TM_JOB_DELETE) {
        refuse_held(question);
    } else {
        request->vault = question->vault;
        tmd_vault_job(question->tmd, question->kind, request, &question->caller, question->done,
                question->arg);
    }
    tm_arena_done(&question->arena);
    free(question);
}

/* A policy of the request that the vault does not keep; NULL: there is none. */
static const char *find_foreign(const struct tmd *tmd, const struct tm_vault_request *request)
{
    for (size_t i = 0; i < request->policy_count; i++) {
        const struct tm_config_policy *policy =
                tm_config_find_policy(tmd->config, request->policies[i]);
        if (policy == NULL || strcmp(policy->vault->name, request->vault) != 0) {
            return request->policies[i];
        }
    }
    return NULL;
}

/* Is what the request names there? */
static bool check_names(
        const struct tmd *tmd, const struct tm_vault_request *request, struct tm_problem *problem)
{
    if (request->vault == NULL) {
        return true; /* where the point is */
    }
    if (tm_config_find_vault(tmd->config, request->vault) == NULL) {
        tmd_unknown_vault(tmd, request->vault, problem);
        return false;
    }
    const char *foreign = find_foreign(tmd, request);
    if (foreign != NULL) {
        tmd_unknown(problem, "policy", foreign);
        (void)snprintf(problem->detail, sizeof(problem->detail), "vault %s has no policy \"%s\"",
                request->vault, foreign);
        return false;
    }
    return true;
}

/* Retention: the plan, and whether it is still the one that was seen ------------------------- */

struct plan_question {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_vault_request request;
    struct tm_caller caller; /* of a run */
    char *text;
    char digest[72];
    struct tm_err err;
    tm_done_json done; /* of a plan */
    tm_done_job run;   /* of a run; NULL: a plan */
    void *arg;
};

static void plan_work(void *arg)
{
    struct plan_question *question = arg;
    TM_LATER(tmd_retention_plan_text(
            question->tmd, &question->request, &question->text, question->digest, &question->err));
}

static void answer_run(struct plan_question *question, const struct tm_problem *problem)
{
    struct tm_problem changed = {
            .status = 412, .slug = "plan-changed", .member = "current_plan_digest"};
    if (problem == NULL && strcmp(question->digest, question->request.plan_digest) != 0) {
        (void)snprintf(changed.detail, sizeof(changed.detail),
                "what would be done has changed since the plan");
        (void)snprintf(changed.value, sizeof(changed.value), "%s", question->digest);
        problem = &changed;
    }
    if (problem != NULL) {
        question->run(question->arg, NULL, false, problem);
    } else { /* the job compares again, on the head it works on */
        tmd_vault_job(question->tmd, TM_JOB_RETENTION, &question->request, &question->caller,
                question->run, question->arg);
    }
}

static void end_plan(struct plan_question *question, const struct tm_problem *problem)
{
    if (question->run != NULL) {
        answer_run(question, problem);
    } else {
        question->done(question->arg, problem == NULL ? question->text : NULL, problem);
    }
    free(question->text);
    tm_arena_done(&question->arena);
    free(question);
}

static void planned(void *arg)
{
    struct plan_question *question = arg;
    struct tm_problem problem;
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        end_plan(question, &problem);
    } else {
        end_plan(question, NULL);
    }
}

static void ask_plan(struct plan_question *question, const struct tm_vault_request *request)
{
    struct tmd *tmd = question->tmd;
    tmd_vault_request_copy(request, &question->arena, &question->request);
    if (tmd->ready && tmd_errand(tmd, plan_work, planned, question)) {
        return;
    }
    struct tm_problem problem = {.status = 503, .retry_after_s = 2};
    problem.slug = tmd->draining ? "draining" : !tmd->ready ? "starting" : "queue-full";
    (void)snprintf(problem.detail, sizeof(problem.detail), "no retention can be planned now");
    end_plan(question, &problem);
}

static void check_plan(struct tmd *tmd, const struct tm_vault_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    struct plan_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct plan_question){.tmd = tmd, .caller = *caller, .run = done, .arg = arg};
    question->caller.body = NULL; /* borrowed; the journal gets the request as understood */
    ask_plan(question, request);
}

void tmd_control_retention_plan(
        void *self, const struct tm_vault_request *request, tm_done_json done, void *arg)
{
    struct tm_problem problem;
    if (!check_names(self, request, &problem)) {
        done(arg, NULL, &problem);
        return;
    }
    struct plan_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct plan_question){.tmd = self, .done = done, .arg = arg};
    ask_plan(question, request);
}

void tmd_control_vault_job(void *self, enum tm_job_kind kind,
        const struct tm_vault_request *request, const struct tm_caller *caller, tm_done_job done,
        void *arg)
{
    struct tmd *tmd = self;
    struct tm_problem problem;
    if (!check_names(tmd, request, &problem)) {
        done(arg, NULL, false, &problem);
        return;
    }
    if (request->point == NULL && request->plan_digest != NULL) {
        check_plan(tmd, request, caller, done, arg);
        return;
    }
    if (request->point == NULL) {
        tmd_vault_job(tmd, kind, request, caller, done, arg);
        return;
    }
    struct job_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct job_question){
            .tmd = tmd, .kind = kind, .caller = *caller, .done = done, .arg = arg};
    question->caller.body = NULL; /* borrowed; the journal gets the request as understood */
    tmd_vault_request_copy(request, &question->arena, &question->request);
    if (!tm_ulid_parse(request->point, "rp_", &question->point)) {
        tmd_unknown(&problem, "recovery-point", request->point);
        done(arg, NULL, false, &problem);
        tm_arena_done(&question->arena);
        free(question);
        return;
    }
    tmd_keeper_ask(tmd, look_for_point, found_point, question);
}
