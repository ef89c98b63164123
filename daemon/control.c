/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "clusters.h"
#include "config_check.h"
#include "control_vault.h"
#include "hooks.h"
#include "keys.h"
#include "offset_map.h"
#include "pauses.h"
#include "plan.h"
#include "put_back.h"
#include "reload.h"
#include "timeline.h"
#include "vaults.h"

enum { NAMES_MAX = 1000 };

static struct tm_problem problem_of(int status, const char *slug, const char *detail)
{
    struct tm_problem problem = {.status = status, .slug = slug};
    (void)snprintf(problem.detail, sizeof(problem.detail), "%s", detail);
    return problem;
}

void tmd_unknown(struct tm_problem *out, const char *kind, const char *name)
{
    *out = (struct tm_problem){.status = 404, .slug = "not-found"};
    (void)snprintf(out->detail, sizeof(out->detail), "no %s \"%s\"", kind, name);
    (void)snprintf(out->kind, sizeof(out->kind), "%s", kind);
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
}

void tmd_unknown_among(struct tm_problem *out, const char *kind, const char *name,
        const char *const *names, size_t count)
{
    const char *near = tm_nearest(name, names, count);
    tmd_unknown(out, kind, name);
    (void)snprintf(out->similar, sizeof(out->similar), "%s", near != NULL ? near : "");
}

void tmd_unknown_policy(const struct tmd *tmd, const char *name, struct tm_problem *out)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (; count < tmd->config->policy_count && count < NAMES_MAX; count++) {
        names[count] = tmd->config->policies[count].name;
    }
    tmd_unknown_among(out, "policy", name, names, count);
}

static struct tm_problem unknown(const char *kind, const char *name)
{
    struct tm_problem problem;
    tmd_unknown(&problem, kind, name);
    return problem;
}

static size_t policies(void *self, const struct tm_policy_view **out)
{
    return tmd_policy_views(self, out);
}

static size_t status(void *self, const struct tm_status_row **out)
{
    return tmd_status_rows(self, out);
}

static bool ready(void *self, const char **why_not)
{
    const struct tmd *tmd = self;
    *why_not = tmd->draining ? "draining" : "starting";
    return tmd->ready && !tmd->draining;
}

static void refresh_metrics(void *self)
{
    struct tmd *tmd = self;
    tmd_policy_metrics(tmd);
    tmd_vaults_metrics(tmd);
    tmd_jobs_metrics(tmd);
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, (double)tmd->config->workers.max);
    tm_metric_set(TM_M_TOPICS_DROPPED, TM_NO_LABELS, (double)tm_metrics_topics_dropped());
    for (size_t i = 0; i < tmd->config->cluster_count; i++) { /* counters begin at 0 */
        static const char *const results[] = {"success", "partial", "failure"};
        const char *cluster = tmd->config->clusters[i].name;
        for (size_t r = 0; r < sizeof(results) / sizeof(results[0]); r++) {
            tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS(cluster, results[r]), 0);
        }
        tm_metric_add(TM_M_RESTORE_MESSAGES, TM_LABELS(cluster), 0);
        tm_metric_add(TM_M_RESTORE_BYTES, TM_LABELS(cluster), 0);
    }
    if (tmd->config->metrics.process) {
        tm_metrics_refresh_process();
    }
}

/* Jobs ---------------------------------------------------------------------------------------- */

struct jobs_question {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_job_query query;
    struct tm_id16 before;
    struct tm_job_row *rows;
    size_t count;
    int64_t total; /* -1: not asked for */
    struct tm_err err;
    tm_done_jobs done;
    void *arg;
};

static void jobs_work(struct tmd_keep *keep, void *arg)
{
    struct jobs_question *question = arg;
    struct tm_job_query query = question->query;
    query.limit++;
    TM_LATER(tm_journal_jobs(keep->journal, &query, &question->arena, &question->rows,
            &question->count, &question->err));
    if (question->err.code == TM_OK && query.counted) {
        TM_LATER(tm_journal_count_jobs(keep->journal, &query, &question->total, &question->err));
    }
}

/* The journal's row, or the job as it is in the table now. */
static void fill_view(struct tmd *tmd, const struct tm_job_row *row, struct tm_job_view *out)
{
    const struct tmd_job *live = tmd_job_find(tmd, &row->id);
    out->row = *row;
    if (live != NULL) {
        tmd_job_view(live, out);
    }
}

static void jobs_done(void *arg)
{
    struct jobs_question *question = arg;
    if (question->err.code != TM_OK) {
        struct tm_problem problem;
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, 0, false, -1, &problem);
    } else {
        bool more = question->count > question->query.limit;
        size_t count = more ? question->query.limit : question->count;
        struct tm_job_view *views = tm_xalloc(count + 1, sizeof(*views));
        for (size_t i = 0; i < count; i++) {
            fill_view(question->tmd, &question->rows[i], &views[i]);
        }
        question->done(question->arg, views, count, more, question->total, NULL);
        free(views);
    }
    tm_arena_done(&question->arena);
    free(question);
}

static void jobs(void *self, const struct tm_job_query *query, tm_done_jobs done, void *arg)
{
    struct jobs_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct jobs_question){
            .tmd = self, .query = *query, .total = -1, .done = done, .arg = arg};
    question->query.policies = tm_names_copy(&query->policies, &question->arena);
    if (query->before != NULL) {
        question->before = *query->before;
        question->query.before = &question->before;
    }
    tmd_keeper_ask(self, jobs_work, jobs_done, question);
}

struct tmd_question { /* for one job; in tmd->questions until it is answered */
    TAILQ_ENTRY(tmd_question) link;
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_id16 id;
    struct tm_job_view view;
    bool found;
    struct tm_err err;
    tm_done_job done; /* NULL: nobody waits any more */
    void *arg;
    bool cancelling;
};

static void job_work(struct tmd_keep *keep, void *arg)
{
    struct tmd_question *question = arg;
    TM_LATER(tm_journal_get_job(keep->journal, &question->id, &question->arena, &question->view.row,
            &question->found, &question->err));
}

static void job_done(void *arg)
{
    struct tmd_question *question = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    TAILQ_REMOVE(&question->tmd->questions, question, link);
    if (question->done == NULL) {
        ; /* the caller has gone */
    } else if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, false, &problem);
    } else if (!question->found) {
        problem = unknown("job", tm_ulid_format(&question->id, "job_", name));
        question->done(question->arg, NULL, false, &problem);
    } else if (question->cancelling) {
        problem = problem_of(409, "conflict", "the job has ended already");
        question->done(question->arg, NULL, false, &problem);
    } else {
        question->done(question->arg, &question->view, false, NULL);
    }
    tm_arena_done(&question->arena);
    free(question);
}

static void ask_journal(
        struct tmd *tmd, const struct tm_id16 *id, bool cancelling, tm_done_job done, void *arg)
{
    struct tmd_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct tmd_question){
            .tmd = tmd, .id = *id, .done = done, .arg = arg, .cancelling = cancelling};
    TAILQ_INSERT_TAIL(&tmd->questions, question, link);
    tmd_keeper_ask(tmd, job_work, job_done, question);
}

static void job(void *self, const struct tm_id16 *id, int64_t wait_ms, tm_done_job done, void *arg)
{
    struct tmd_job *live = tmd_job_find(self, id);
    if (live == NULL) {
        ask_journal(self, id, false, done, arg);
    } else if (wait_ms > 0 && !live->settled) {
        tmd_job_wait(live, wait_ms, done, arg);
    } else {
        struct tm_job_view view;
        tmd_job_view(live, &view);
        done(arg, &view, false, NULL);
    }
}

static void job_forget(void *self, void *arg)
{
    struct tmd *tmd = self;
    struct tmd_question *question;
    tmd_job_forget(tmd, arg);
    TAILQ_FOREACH(question, &tmd->questions, link)
    {
        if (question->arg == arg) {
            question->done = NULL;
        }
    }
}

static void audit(const struct tm_caller *caller, const char *what, const char *name)
{
    tm_log(TM_LOG_INFO, "audit", what, TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_STR("name", name), TM_LOG_END);
}

static void cancel(void *self, const struct tm_id16 *id, const struct tm_caller *caller,
        tm_done_job done, void *arg)
{
    struct tmd_job *live = tmd_job_find(self, id);
    if (live == NULL) {
        ask_journal(self, id, true, done, arg);
        return;
    }
    if (live->row.finished_ms != 0) {
        struct tm_problem problem = problem_of(409, "conflict", "the job has ended already");
        done(arg, NULL, false, &problem);
        return;
    }
    audit(caller, "job cancelled", live->name);
    tmd_job_cancel(live, true);
    struct tm_job_view view;
    tmd_job_view(live, &view);
    done(arg, &view, false, NULL);
}

static void backup(void *self, const struct tm_backup_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    struct tmd *tmd = self;
    const struct tm_config_policy *policy = tm_config_find_policy(tmd->config, request->policy);
    if (policy == NULL) {
        struct tm_problem problem;
        tmd_unknown_policy(tmd, request->policy, &problem);
        done(arg, NULL, false, &problem);
        return;
    }
    for (size_t i = 0; i < request->topic_count; i++) {
        if (!tm_select_matches(policy->select, request->topics[i])) {
            struct tm_problem problem =
                    problem_of(422, "invalid-request", "the policy does not select this topic");
            (void)snprintf(problem.pointer, sizeof(problem.pointer), "/topics/%zu", i);
            done(arg, NULL, false, &problem);
            return;
        }
    }
    struct policy *state = tmd_policy_find(tmd, policy->name);
    if (state != NULL && tmd_policy_is_paused(state)) {
        struct tm_problem problem = problem_of(409, "policy-paused", "");
        (void)snprintf(problem.detail, sizeof(problem.detail),
                "policy %s is paused by %s%s%.500s; resume it first", policy->name,
                state->pause.who, state->pause.reason[0] != '\0' ? ": " : "", state->pause.reason);
        done(arg, NULL, false, &problem);
        return;
    }
    tmd_backup(tmd, policy, request, caller, done, arg);
}

/* Restores ------------------------------------------------------------------------------------ */

struct plan_question {
    tm_done_plan done;
    void *arg;
};

static void plan_answered(void *arg, const struct tmd_plan_answer *answer)
{
    struct plan_question *question = arg;
    question->done(question->arg, answer->plan, answer->problem);
    free(question);
}

static void restore_plan(
        void *self, const struct tm_restore_request *request, tm_done_plan done, void *arg)
{
    struct plan_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct plan_question){.done = done, .arg = arg};
    tmd_plan(self, request, plan_answered, question);
}

struct restore_question {
    struct tmd *tmd;
    struct tm_caller caller;
    char *digest; /* NULL: not given */
    tm_done_job done;
    void *arg;
};

static int status_of(const char *slug)
{
    static const struct {
        const char *slug;
        int status;
    } statuses[] = {{"not-found", 404}, {"topic-exists", 409}, {"invalid-request", 422},
            {"no-coverage", 422}, {"groups-active", 422}};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (strcmp(statuses[i].slug, slug) == 0) {
            return statuses[i].status;
        }
    }
    return 409;
}

/* Whose records are restored, also where the point was named by its id; "": of several policies. */
static const char *policy_of(const struct tmd_plan_answer *answer, struct tm_arena *arena)
{
    const struct tm_restore_request *request = answer->request;
    if (request->policy != NULL) {
        return request->policy;
    }
    return request->more_point_count == 0 ? tm_arena_str(arena, answer->plan->point.row.policy)
                                          : "";
}

static void restore_planned(void *arg, const struct tmd_plan_answer *answer)
{
    struct restore_question *question = arg;
    struct tm_problem problem;
    if (answer->problem != NULL) {
        question->done(question->arg, NULL, false, answer->problem);
    } else if (answer->plan->blocking.count > 0) {
        const struct tm_job_note *first = &answer->plan->blocking.at[0];
        problem = problem_of(status_of(first->code), first->code, first->detail);
        question->done(question->arg, NULL, false, &problem);
    } else if (question->digest != NULL && strcmp(question->digest, answer->plan->digest) != 0) {
        problem = problem_of(412, "plan-changed", "what would be done has changed since the plan");
        question->done(question->arg, NULL, false, &problem);
    } else {
        struct tm_arena arena = {0};
        tmd_restore(question->tmd, answer->request, policy_of(answer, &arena), answer->vault,
                &question->caller, question->done, question->arg);
        tm_arena_done(&arena);
    }
    free(question->digest);
    free(question);
}

static void restore(void *self, const struct tm_restore_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    struct restore_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct restore_question){.tmd = self, .caller = *caller, .done = done, .arg = arg};
    question->caller.body = NULL; /* borrowed; the journal gets the request as understood */
    if (request->plan_digest != NULL) {
        question->digest = strdup(request->plan_digest);
        tm_assert(question->digest != NULL);
    }
    tmd_plan(self, request, restore_planned, question);
}

static struct tm_json *config_shown(void *self)
{
    const struct tmd *tmd = self;
    return tm_config_show(tmd->config);
}

static int64_t unprotected(void *self)
{
    return tmd_clusters_unprotected(self);
}

struct tm_control tmd_control(struct tmd *tmd)
{
    static const struct tm_control_ops ops = {
            .policies = policies,
            .status = status,
            .ready = ready,
            .refresh_metrics = refresh_metrics,
            .points = tmd_points,
            .point = tmd_point,
            .jobs = jobs,
            .job = job,
            .job_forget = job_forget,
            .cancel = cancel,
            .backup = backup,
            .restore = restore,
            .restore_plan = restore_plan,
            .vault_job = tmd_control_vault_job,
            .retention_plan = tmd_control_retention_plan,
            .vaults = tmd_vaults_ask,
            .probe = tmd_vaults_probe,
            .patch_point = tmd_control_patch_point,
            .peek = tmd_control_peek,
            .put_back = tmd_control_put_back,
            .holds = tmd_control_holds,
            .offset_map = tmd_control_offset_map,
            .drill = tmd_control_drill,
            .key = tmd_control_key,
            .release_key = tmd_control_release_key,
            .clusters = tmd_control_clusters,
            .cluster = tmd_control_cluster,
            .cluster_topics = tmd_control_cluster_topics,
            .unprotected = unprotected,
            .timeline = tmd_control_timeline,
            .hooks = tmd_control_hooks,
            .reload = tmd_control_reload,
            .config = config_shown,
            .check_config = tmd_control_check_config,
            .log_level = tmd_control_log_level,
            .hook_test = tmd_control_hook_test,
            .pause = tmd_control_pause,
            .resume = tmd_control_resume,
            .planned = tmd_control_planned,
    };
    return (struct tm_control){.self = tmd, .ops = &ops};
}
