/* SPDX-License-Identifier: Apache-2.0 */
#include "drills.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "job/drill.h"
#include "kinds.h"
#include "proofs.h"

enum { LOOK_MS = 30 * 1000 }; /* a timer is never set farther ahead: the wall clock may jump */

struct planned_drill {
    struct tmd *tmd;
    const struct tm_config_policy *policy;
    uv_timer_t timer;
    int64_t next_ms; /* 0: never */
};

struct tmd_drills {
    TM_VEC(struct planned_drill *)
    all; /* one a policy that is or was there, also of those that have none */
};

/* By request ---------------------------------------------------------------------------------- */

struct drill_question {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_drill_request request; /* texts in `arena` */
    const struct tm_config_policy *policy;
    struct tm_caller caller;
    bool planned;
    struct tm_id16 point;
    bool found;
    struct tm_err err;
    tm_done_job done;
    void *arg;
};

static void end_question(struct drill_question *question, const struct tm_problem *problem)
{
    if (problem != NULL) {
        question->done(question->arg, NULL, false, problem);
    }
    tm_arena_done(&question->arena);
    free(question);
}

/* The newest point that is whole and not known to be damaged, or the one that was asked for. */
static enum tm_code look_for_point(
        struct tm_catalog *catalog, struct drill_question *question, struct tm_err *err)
{
    if (question->request.point != NULL) {
        struct tm_point point = {0};
        TM_TRY(tm_catalog_point(catalog, &question->point, &question->arena, &point, err));
        question->found = point.row.id != 0;
        return TM_OK;
    }
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_point_query query = {.policies = tm_names_one(&question->policy->name),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .states = 1U << TM_POINT_IS_COMPLETE,
            .limit = 1};
    TM_TRY(tm_catalog_points(catalog, &query, &question->arena, &lines, &count, err));
    question->found = count > 0;
    if (question->found) {
        question->point = lines[0].row.ulid;
    }
    return TM_OK;
}

static void find_work(struct tmd_keep *keep, void *arg)
{
    struct drill_question *question = arg;
    struct tm_catalog *catalog = tmd_keep_catalog(keep, question->policy->vault->name);
    if (catalog != NULL) {
        TM_LATER(look_for_point(catalog, question, &question->err));
    }
}

static void found(void *arg)
{
    struct drill_question *question = arg;
    struct tm_problem problem = {
            .status = 404, .slug = "not-found", .kind = "recovery-point", .name = "latest"};
    char name[TM_ULID_NAME_MAX];
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        end_question(question, &problem);
        return;
    }
    if (!question->found && question->request.point != NULL) {
        tmd_unknown(&problem, "recovery-point", question->request.point);
        end_question(question, &problem);
        return;
    }
    if (!question->found) {
        (void)snprintf(problem.detail, sizeof(problem.detail),
                "policy \"%.200s\" has no complete recovery point yet", question->policy->name);
        end_question(question, &problem);
        return;
    }
    question->request.point = tm_ulid_format(&question->point, "rp_", name);
    tmd_drill(question->tmd, &question->request, question->policy,
            question->planned ? NULL : &question->caller, question->done, question->arg);
    end_question(question, NULL);
}

static struct tm_problem invalid(const char *pointer, const char *detail)
{
    struct tm_problem problem = {.status = 422, .slug = "invalid-request"};
    (void)snprintf(problem.pointer, sizeof(problem.pointer), "%s", pointer);
    (void)snprintf(problem.detail, sizeof(problem.detail), "%s", detail);
    return problem;
}

/* What is not asked for is as the policy's configuration has it. */
static bool fill_in(struct drill_question *question, struct tm_problem *problem)
{
    struct tm_drill_request *request = &question->request;
    const struct tm_config_drill *config = &question->policy->drill;
    const struct tmd *tmd = question->tmd;
    if (request->target == NULL && config->target != NULL) {
        request->target = config->target->name;
    }
    request->prefix = request->prefix != NULL ? request->prefix : config->topic_prefix;
    request->max_bytes = request->max_bytes >= 0 ? request->max_bytes : config->max_bytes;
    request->cleanup = request->cleanup >= 0 ? request->cleanup : config->cleanup;
    request->allow_source =
            request->allow_source >= 0 ? request->allow_source : config->allow_source;
    if (request->target == NULL) {
        *problem = invalid("/target/cluster", "is needed: the policy has no drill.target_cluster");
        return false;
    }
    const struct tm_config_cluster *target = tm_config_find_cluster(tmd->config, request->target);
    if (target == NULL) {
        tmd_unknown(problem, "cluster", request->target);
        return false;
    }
    if (target == question->policy->cluster &&
            (request->allow_source == 0 || request->prefix[0] == '\0')) {
        *problem = invalid("/target/cluster",
                "is the cluster that is backed up; a drill into it needs a prefix and "
                "\"allow_source\": true");
        return false;
    }
    return true;
}

void tmd_control_drill(void *self, const struct tm_drill_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    struct tmd *tmd = self;
    struct drill_question *question = tm_xalloc(1, sizeof(*question));
    struct tm_problem problem;
    *question = (struct drill_question){.tmd = tmd,
            .policy = tm_config_find_policy(tmd->config, request->policy),
            .planned = caller == NULL,
            .done = done,
            .arg = arg};
    if (caller != NULL) {
        question->caller = *caller;
        question->caller.body = NULL; /* borrowed; the journal gets the request as understood */
    }
    tmd_drill_request_copy(request, &question->arena, &question->request);
    if (question->policy == NULL) {
        tmd_unknown(&problem, "policy", request->policy);
        end_question(question, &problem);
    } else if (request->point != NULL && !tm_ulid_parse(request->point, "rp_", &question->point)) {
        tmd_unknown(&problem, "recovery-point", request->point);
        end_question(question, &problem);
    } else if (!fill_in(question, &problem)) {
        end_question(question, &problem);
    } else {
        tmd_keeper_ask(tmd, find_work, found, question);
    }
}

/* By schedule --------------------------------------------------------------------------------- */

static struct planned_drill *find_planned(struct tmd_drills *drills, const char *policy)
{
    for (size_t i = 0; i < drills->all.count; i++) {
        if (strcmp(drills->all.at[i]->policy->name, policy) == 0) {
            return drills->all.at[i];
        }
    }
    return NULL;
}

/* For each policy of the configuration; one that went keeps what it had, and its timer rests. */
static void take_policies(struct tmd *tmd, struct tmd_drills *drills)
{
    const struct tm_config *config = tmd->config;
    for (size_t i = 0; i < config->policy_count; i++) {
        struct planned_drill *planned = find_planned(drills, config->policies[i].name);
        if (planned == NULL) {
            planned = tm_xalloc(1, sizeof(*planned));
            planned->tmd = tmd;
            tm_assert(uv_timer_init(&tmd->loop, &planned->timer) == 0);
            planned->timer.data = planned;
            *tm_vec_push(&drills->all) = planned; /* NOLINT(bugprone-sizeof-expression) */
        }
        planned->policy = &config->policies[i];
    }
}

struct tmd_drills *tmd_drills_new(struct tmd *tmd)
{
    struct tmd_drills *drills = tm_xalloc(1, sizeof(*drills));
    take_policies(tmd, drills);
    return drills;
}

void tmd_drills_free(struct tmd_drills *drills)
{
    if (drills != NULL) {
        for (size_t i = 0; i < drills->all.count; i++) {
            free(drills->all.at[i]);
        }
        tm_vec_done(&drills->all);
        free(drills);
    }
}

static void look(uv_timer_t *timer);

static void set_timer(struct planned_drill *planned)
{
    int64_t wait_ms = planned->next_ms - tm_now_ms();
    wait_ms = wait_ms < 0 ? 0 : wait_ms > LOOK_MS ? LOOK_MS : wait_ms;
    tm_assert(uv_timer_start(&planned->timer, look, (uint64_t)wait_ms, 0) == 0);
    uv_unref((uv_handle_t *)&planned->timer);
}

static void plan_next(struct planned_drill *planned, int64_t after_ms)
{
    const struct tm_config_drill *drill = &planned->policy->drill;
    if (drill->target == NULL || !tm_schedule_next(&drill->schedule, after_ms, &planned->next_ms)) {
        planned->next_ms = 0;
        return;
    }
    set_timer(planned);
}

static void accepted(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    struct planned_drill *planned = arg;
    (void)job;
    (void)created;
    if (problem != NULL) { /* a drill that does not happen is not to be taken for one that passed */
        const struct tm_config_policy *policy = planned->policy;
        tm_metric_add(
                TM_M_DRILL_RUNS, TM_LABELS(policy->cluster->name, policy->name, "failure"), 1);
        tm_log(TM_LOG_ERROR, "drill.failed", problem->detail, TM_LOG_STR("policy", policy->name),
                TM_LOG_STR("code", problem->slug), TM_LOG_END);
    }
}

static void look(uv_timer_t *timer)
{
    struct planned_drill *planned = timer->data;
    int64_t now_ms = tm_now_ms();
    if (now_ms < planned->next_ms) {
        set_timer(planned);
        return;
    }
    if (tmd_job_of_drill(planned->tmd, planned->policy->name) == NULL && !planned->tmd->draining) {
        struct tm_drill_request request = {.policy = planned->policy->name,
                .max_bytes = -1,
                .cleanup = -1,
                .allow_source = -1};
        tmd_control_drill(planned->tmd, &request, NULL, accepted, planned);
    }
    plan_next(planned, now_ms);
}

static void start_planned(struct planned_drill *planned)
{
    const struct tm_config_policy *policy = planned->policy;
    if (policy->drill.target != NULL) { /* so that an alert has something to stand on */
        static const char *const results[] = {"success", "failure"};
        for (size_t r = 0; r < 2; r++) {
            tm_metric_add(
                    TM_M_DRILL_RUNS, TM_LABELS(policy->cluster->name, policy->name, results[r]), 0);
        }
    }
    int64_t now_ms = tm_now_ms();
    if (planned->next_ms > 0 && planned->next_ms <= now_ms) { /* due just when a reload came */
        set_timer(planned);
    } else {
        plan_next(planned, now_ms);
    }
}

void tmd_drills_start(struct tmd *tmd)
{
    take_policies(tmd, tmd->drills);
    tmd_drills_stop(tmd);
    for (size_t i = 0; i < tmd->drills->all.count; i++) {
        struct planned_drill *planned = tmd->drills->all.at[i];
        if (tm_config_find_policy(tmd->config, planned->policy->name) != NULL) {
            start_planned(planned);
        }
    }
}

void tmd_drills_stop(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->drills->all.count; i++) {
        (void)uv_timer_stop(&tmd->drills->all.at[i]->timer);
    }
}

/* The job ------------------------------------------------------------------------------------- */

enum tm_code tmd_drill_resume(struct tmd_job *job, struct tm_err *err)
{
    TM_TRY(tmd_drill_request_read(job->row.request, &job->arena, &job->drill, err));
    job->policy = tm_config_find_policy(job->tmd->config, job->row.policy);
    if (job->policy == NULL) {
        return tm_err_set(err, TM_E_MISSING, "there is no policy \"%s\" any more", job->row.policy);
    }
    if (tm_config_find_cluster(job->tmd->config, job->drill.target) == NULL) {
        return tm_err_set(
                err, TM_E_MISSING, "there is no cluster \"%s\" any more", job->drill.target);
    }
    job->vault = job->policy->vault;
    return TM_OK;
}

/* A daemon that stops takes its drill up again: nothing is removed then. */
static bool goes_on_later(void *arg)
{
    const struct tmd_job *job = arg;
    return !job->cancelled_by_user;
}

static enum tm_code drill(struct tmd_job *job, struct tmd_restore_setup *setup,
        struct tm_drill_result *result, struct tm_err *err)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/journal.db", job->tmd->config->state.dir);
    TM_OWN(tm_journal_close) struct tm_journal *journal = NULL;
    struct tm_restore_request request = {
            .point = job->drill.point,
            .target = job->drill.target,
            .prefix = job->drill.prefix,
            .retention = TM_RETENTION_ORIGINAL, /* the topics go: there is nothing to put back */
            .original_configs = true,
            .continue_on_gap = true, /* what is stored is proved; what is not, is warned of */
    };
    TM_TRY(tmd_restore_setup(job->tmd, &request, job->vault, setup, err));
    TM_TRY(tm_journal_open(path, &journal, err));
    setup->options.job = job->row.id;
    setup->options.journal = journal;
    struct tm_drill_options options = {
            .restore = setup->options,
            .policy = job->row.policy,
            .max_bytes = job->drill.max_bytes,
            .cleanup = job->drill.cleanup != 0,
            .allow_source = job->drill.allow_source != 0,
            .keep = goes_on_later,
            .keep_arg = job,
    };
    struct tm_job_env env = tmd_run_env(job);
    return tm_drill_run(&options, &env, result, err);
}

void tmd_run_drill(struct tmd_job *job)
{
    struct tmd_outcome *outcome = job->outcome;
    struct tmd_restore_setup setup = {0};
    struct tm_drill_result result = {0};
    struct tm_err err = {0};
    if (drill(job, &setup, &result, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        outcome->state = TM_JOB_SUCCEEDED;
    }
    if (result.report != NULL) {
        outcome->result = tmd_run_keep(job, result.report);
        result.report = NULL;
    }
    outcome->drill_ms = result.duration_ms;
    outcome->written_messages = result.written_messages;
    outcome->written_bytes = result.written_bytes;
    outcome->warnings = tmd_run_keep(job, tmd_notes_text(&result.warnings));
    tmd_run_log(job, outcome->state == TM_JOB_SUCCEEDED ? "drill.passed" : "drill.failed",
            err.code != TM_OK ? err.msg : NULL);
    tm_drill_result_done(&result);
    tmd_restore_setup_done(&setup);
}

void tmd_drill_ended(struct tmd_job *job)
{
    if (job->row.finished_ms == 0 || job->row.started_ms == 0 || job->policy == NULL) {
        return;
    }
    const char *cluster = job->policy->cluster->name;
    const char *policy = job->policy->name;
    bool passed = job->row.state == TM_JOB_SUCCEEDED;
    if (job->row.state == TM_JOB_CANCELLED) {
        return; /* somebody wanted it so: it has neither passed nor failed */
    }
    tm_metric_add(TM_M_DRILL_RUNS, TM_LABELS(cluster, policy, passed ? "success" : "failure"), 1);
    if (passed) {
        tmd_proof(job->tmd, &(struct tm_proof_row){.kind = TM_JOB_DRILL,
                                    .of = cluster,
                                    .how = policy,
                                    .at_ms = job->row.finished_ms});
    }
    if (job->outcome->drill_ms > 0) {
        tm_metric_set(TM_M_DRILL_LAST_DURATION, TM_LABELS(cluster, policy),
                (double)job->outcome->drill_ms / 1000);
    }
}
