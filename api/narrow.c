/* SPDX-License-Identifier: Apache-2.0 */
#include "narrow.h"

#include <string.h>

#include "base/metrics.h"
#include "jobs.h"
#include "points.h"
#include "router.h"

static bool lists(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool tm_narrow_is(const struct tm_request *request)
{
    return request->narrow.policy_count > 0 || request->narrow.cluster_count > 0;
}

/* The cluster that a configured policy reads; NULL: there is no such policy. */
static const char *cluster_of(const struct tm_request *request, const char *policy)
{
    const struct tm_control *control = tm_request_control(request);
    const struct tm_policy_view *policies = NULL;
    size_t count = control->ops->policies(control->self, &policies);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(policies[i].name, policy) == 0) {
            return policies[i].cluster;
        }
    }
    return NULL;
}

bool tm_narrow_sees(struct tm_request *request, const char *policy, const char *cluster)
{
    const struct tm_narrow *narrow = &request->narrow;
    if (!tm_narrow_is(request)) {
        return true;
    }
    if (policy == NULL || policy[0] == '\0' ||
            (narrow->policy_count > 0 && !lists(narrow->policies, narrow->policy_count, policy))) {
        return false;
    }
    const char *now = cluster_of(request, policy);
    cluster = now != NULL ? now : cluster;
    return narrow->cluster_count == 0 ||
           (cluster != NULL && lists(narrow->clusters, narrow->cluster_count, cluster));
}

bool tm_narrow_sees_slices(
        struct tm_request *request, struct tm_slice policy, struct tm_slice cluster)
{
    return !tm_narrow_is(request) || tm_narrow_sees(request, tm_arena_str(&request->arena, policy),
                                             tm_arena_str(&request->arena, cluster));
}

/* Refusing ---------------------------------------------------------------------------------- */

static bool refuse(struct tm_request *request, const char *slug, const char *detail)
{
    tm_metric_add(TM_M_AUTH_FAILURES, TM_LABELS("narrowed"), 1);
    tm_problem_refuse(request, 403, slug, "%s %s", request->who, detail);
    return false;
}

static bool refuse_narrowed(struct tm_request *request)
{
    return refuse(request, "narrowed",
            "is for certain policies or clusters, and this is about others, or about all");
}

bool tm_narrow_policy(struct tm_request *request, const char *policy)
{
    return tm_narrow_sees(request, policy, NULL) || refuse_narrowed(request);
}

bool tm_narrow_source(struct tm_request *request, const char *cluster)
{
    const struct tm_narrow *narrow = &request->narrow;
    bool all =
            narrow->policy_count == 0 &&
            (narrow->cluster_count == 0 || lists(narrow->clusters, narrow->cluster_count, cluster));
    return all || refuse_narrowed(request);
}

bool tm_narrow_target(struct tm_request *request, const char *cluster)
{
    const struct tm_narrow *narrow = &request->narrow;
    if (narrow->target_count == 0) {
        return true;
    }
    if (cluster == NULL) {
        return refuse(request, "target-not-allowed",
                "is for certain targets: the request has to name its target cluster");
    }
    return lists(narrow->targets, narrow->target_count, cluster) ||
           refuse(request, "target-not-allowed", "may not write into that cluster");
}

/* What the path names ----------------------------------------------------------------------- */

static void point_done(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    if (tm_narrow_sees_slices(request, answer->point.row.policy, answer->point.row.cluster_name)) {
        request->allowed(request);
    } else {
        (void)refuse_narrowed(request);
    }
}

void tm_narrow_point(struct tm_request *request, const struct tm_id16 *ulid,
        void (*then)(struct tm_request *request))
{
    if (!tm_narrow_is(request)) {
        then(request);
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    request->allowed = then;
    tm_request_ask(request);
    control->ops->point(control->self, ulid, point_done, request);
}

/* Into the cluster that a job restored to. */
static bool writes(const struct tm_request *request)
{
    return request->route->narrow == TM_NARROW_JOB && request->route->scope == TM_API_RESTORE;
}

static void job_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    const char *cluster = job->row.kind == TM_JOB_BACKUP ? job->row.cluster : NULL;
    if (!tm_narrow_sees(request, job->row.policy, cluster)) {
        (void)refuse_narrowed(request);
    } else if (!writes(request) || tm_narrow_target(request, job->row.cluster)) {
        request->route->handler(request);
    }
}

static void check_job(struct tm_request *request)
{
    struct tm_id16 id;
    if (tm_jobs_read_id(request, &id)) {
        const struct tm_control *control = tm_request_control(request);
        tm_request_ask(request);
        control->ops->job(control->self, &id, 0, job_done, request);
    }
}

static void check_point(struct tm_request *request)
{
    struct tm_id16 ulid;
    if (tm_points_read_id(request, &ulid)) {
        tm_narrow_point(request, &ulid, request->route->handler);
    }
}

void tm_narrow_dispatch(struct tm_request *request)
{
    bool narrow = tm_narrow_is(request) || (request->narrow.target_count > 0 && writes(request));
    enum tm_narrow_by by = narrow ? request->route->narrow : TM_NARROW_ANY;
    switch (by) {
    case TM_NARROW_WHOLE:
        (void)refuse_narrowed(request);
        return;
    case TM_NARROW_POINT:
        check_point(request);
        return;
    case TM_NARROW_JOB:
        check_job(request);
        return;
    case TM_NARROW_POLICY:
        if (!tm_narrow_policy(request, request->name)) {
            return;
        }
        break;
    case TM_NARROW_CLUSTER:
        if (!tm_narrow_source(request, request->name)) {
            return;
        }
        break;
    case TM_NARROW_ANY:
    case TM_NARROW_SELF:
        break;
    }
    request->route->handler(request);
}
