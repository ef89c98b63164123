/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "plan.h"
#include "tmd.h"

enum { NAMES_MAX = 1000 };

static struct tm_problem problem_of(int status, const char *slug, const char *detail)
{
    struct tm_problem problem = {.status = status, .slug = slug};
    (void)snprintf(problem.detail, sizeof(problem.detail), "%s", detail);
    return problem;
}

static struct tm_problem unknown(const char *kind, const char *name)
{
    struct tm_problem problem = {.status = 404, .slug = "not-found"};
    (void)snprintf(problem.detail, sizeof(problem.detail), "no %s \"%s\"", kind, name);
    (void)snprintf(problem.kind, sizeof(problem.kind), "%s", kind);
    (void)snprintf(problem.name, sizeof(problem.name), "%s", name);
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
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, (double)tmd->config->workers.max);
    tm_metrics_refresh_process();
}

/* Points -------------------------------------------------------------------------------------- */

struct points_question {
    struct tm_arena arena;
    struct tm_points_query query;
    struct tm_id16 before;
    struct tm_points_answer answer;
    struct tm_err err;
    tm_done_points done;
    void *arg;
};

struct merged {
    const struct tm_point_line *line;
    const char *vault;
};

static int newest_first(const void *left, const void *right)
{
    const struct merged *a = left;
    const struct merged *b = right;
    return memcmp(b->line->row.ulid.bytes, a->line->row.ulid.bytes, sizeof(a->line->row.ulid));
}

/* One more than asked for from each vault; the newest of them all are the answer. */
static void points_work(struct tmd_keep *keep, void *arg)
{
    struct points_question *question = arg;
    size_t limit = question->query.catalog.limit;
    TM_VEC(struct merged) all = {0};
    question->query.catalog.limit = limit + 1;
    for (size_t v = 0; v < keep->config->vault_count && question->err.code == TM_OK; v++) {
        struct tm_point_line *lines = NULL;
        size_t count = 0;
        if (keep->catalogs[v] == NULL ||
                tm_catalog_points(keep->catalogs[v], &question->query.catalog, &question->arena,
                        &lines, &count, &question->err) != TM_OK) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            *tm_vec_push(&all) = (struct merged){&lines[i], keep->config->vaults[v].name};
        }
    }
    if (all.count > 0) {
        qsort(all.at, all.count, sizeof(*all.at), newest_first);
    }
    struct tm_points_answer *answer = &question->answer;
    answer->more = all.count > limit;
    answer->count = all.count > limit ? limit : all.count;
    answer->at = tm_arena_alloc(&question->arena, answer->count + 1, sizeof(*answer->at));
    answer->vaults = tm_arena_alloc(&question->arena, answer->count + 1, sizeof(*answer->vaults));
    for (size_t i = 0; i < answer->count; i++) {
        answer->at[i] = *all.at[i].line;
        answer->vaults[i] = all.at[i].vault;
    }
    tm_vec_done(&all);
}

static void points_done(void *arg)
{
    struct points_question *question = arg;
    struct tm_problem problem;
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, &problem);
    } else {
        question->done(question->arg, &question->answer, NULL);
    }
    tm_arena_done(&question->arena);
    free(question);
}

static void points(void *self, const struct tm_points_query *query, tm_done_points done, void *arg)
{
    struct points_question *question = tm_xalloc(1, sizeof(*question));
    question->done = done;
    question->arg = arg;
    question->query = *query;
    struct tm_point_query *catalog = &question->query.catalog;
    catalog->cluster_name = tm_arena_strdup(&question->arena, catalog->cluster_name);
    catalog->policy = tm_arena_strdup(&question->arena, catalog->policy);
    catalog->topic = tm_arena_strdup(&question->arena, catalog->topic);
    if (catalog->before != NULL) {
        question->before = *catalog->before;
        catalog->before = &question->before;
    }
    tmd_keeper_ask(self, points_work, points_done, question);
}

struct point_question {
    struct tm_arena arena;
    struct tm_id16 ulid;
    struct tm_point_answer answer;
    struct tm_err err;
    tm_done_point done;
    void *arg;
};

static enum tm_code fill_parts(struct tm_catalog *catalog, struct point_question *question)
{
    struct tm_point_answer *answer = &question->answer;
    size_t count = answer->point.row.part_count;
    answer->totals = tm_arena_alloc(&question->arena, count + 1, sizeof(*answer->totals));
    answer->gaps = tm_arena_alloc(&question->arena, count + 1, sizeof(struct tm_row_gap *));
    answer->gap_counts = tm_arena_alloc(&question->arena, count + 1, sizeof(size_t));
    for (size_t i = 0; i < count; i++) {
        const struct tm_row_part *part = &answer->point.row.parts[i];
        TM_TRY(tm_catalog_part_totals(catalog, part->stream, part->partition, part->start,
                part->end, &answer->totals[i], &question->err));
        TM_TRY(tm_catalog_gaps(catalog, part->stream, part->partition, part->start, part->end,
                &question->arena, &answer->gaps[i], &answer->gap_counts[i], &question->err));
    }
    return TM_OK;
}

static void point_work(struct tmd_keep *keep, void *arg)
{
    struct point_question *question = arg;
    struct tm_err failure = {0}; /* the first; what another vault answers goes before it */
    for (size_t v = 0; v < keep->config->vault_count; v++) {
        struct tm_catalog *catalog = keep->catalogs[v];
        struct tm_err err = {0};
        if (catalog == NULL) {
            continue;
        }
        if (tm_catalog_point(catalog, &question->ulid, &question->arena, &question->answer.point,
                    &err) != TM_OK) {
            failure = failure.code == TM_OK ? err : failure;
        } else if (question->answer.point.row.id != 0) {
            question->answer.vault = keep->config->vaults[v].name;
            TM_LATER(fill_parts(catalog, question));
            return;
        }
    }
    question->err = failure;
}

static void point_done(void *arg)
{
    struct point_question *question = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, &problem);
    } else if (question->answer.point.row.id == 0) {
        problem = unknown("recovery-point", tm_ulid_format(&question->ulid, "rp_", name));
        question->done(question->arg, NULL, &problem);
    } else {
        question->done(question->arg, &question->answer, NULL);
    }
    tm_arena_done(&question->arena);
    free(question);
}

static void point(void *self, const struct tm_id16 *ulid, tm_done_point done, void *arg)
{
    struct point_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct point_question){.ulid = *ulid, .done = done, .arg = arg};
    tmd_keeper_ask(self, point_work, point_done, question);
}

/* Jobs ---------------------------------------------------------------------------------------- */

struct jobs_question {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_job_query query;
    struct tm_id16 before;
    struct tm_job_row *rows;
    size_t count;
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
}

static void jobs_done(void *arg)
{
    struct jobs_question *question = arg;
    if (question->err.code != TM_OK) {
        struct tm_problem problem;
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, 0, false, &problem);
    } else {
        bool more = question->count > question->query.limit;
        size_t count = more ? question->query.limit : question->count;
        struct tm_job_view *views = tm_xalloc(count + 1, sizeof(*views));
        for (size_t i = 0; i < count; i++) {
            const struct tmd_job *live = tmd_job_find(question->tmd, &question->rows[i].id);
            views[i].row = question->rows[i];
            if (live != NULL) {
                tmd_job_view(live, &views[i]);
            }
        }
        question->done(question->arg, views, count, more, NULL);
        free(views);
    }
    tm_arena_done(&question->arena);
    free(question);
}

static void jobs(void *self, const struct tm_job_query *query, tm_done_jobs done, void *arg)
{
    struct jobs_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct jobs_question){.tmd = self, .query = *query, .done = done, .arg = arg};
    question->query.policy = tm_arena_strdup(&question->arena, query->policy);
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
    } else if (wait_ms > 0 && live->row.finished_ms == 0) {
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
        struct tm_problem problem = unknown("policy", request->policy);
        const char *names[NAMES_MAX];
        size_t count = 0;
        for (; count < tmd->config->policy_count && count < NAMES_MAX; count++) {
            names[count] = tmd->config->policies[count].name;
        }
        const char *near = tm_nearest(request->policy, names, count);
        (void)snprintf(problem.similar, sizeof(problem.similar), "%s", near != NULL ? near : "");
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
            {"no-coverage", 422}};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (strcmp(statuses[i].slug, slug) == 0) {
            return statuses[i].status;
        }
    }
    return 409;
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
        tmd_restore(question->tmd, answer->request, answer->vault, &question->caller,
                question->done, question->arg);
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

struct tm_control tmd_control(struct tmd *tmd)
{
    static const struct tm_control_ops ops = {
            .policies = policies,
            .status = status,
            .ready = ready,
            .refresh_metrics = refresh_metrics,
            .points = points,
            .point = point,
            .jobs = jobs,
            .job = job,
            .job_forget = job_forget,
            .cancel = cancel,
            .backup = backup,
            .restore = restore,
            .restore_plan = restore_plan,
    };
    return (struct tm_control){.self = tmd, .ops = &ops};
}
