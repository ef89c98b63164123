/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "plan.h"

enum { PLANS_MAX = 4 };

static size_t plans; /* the loop's: threads that plan now */

/* A restore request on its way: find its point, plan on a thread of its own, answer. */
struct planning {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_restore_request request; /* texts in `arena` */
    const struct tm_config_vault *vault;
    struct tm_id16 point;
    int found; /* vaults that have it */
    pthread_t thread;
    struct tm_restore_plan plan;
    struct tm_err err;
    tmd_planned done;
    void *arg;
};

static void answer(struct planning *planning, const struct tm_problem *problem)
{
    struct tmd_plan_answer found = {
            .plan = problem == NULL ? &planning->plan : NULL,
            .request = &planning->request,
            .vault = planning->vault,
            .problem = problem,
    };
    planning->done(planning->arg, &found);
    plans--;
    tm_restore_plan_done(&planning->plan);
    tm_arena_done(&planning->arena);
    free(planning);
}

/* `similar` may be NULL. */
static void not_found(
        struct planning *planning, const char *kind, const char *name, const char *similar)
{
    struct tm_problem problem = {.status = 404, .slug = "not-found"};
    (void)snprintf(problem.detail, sizeof(problem.detail), "no %s \"%s\"", kind, name);
    (void)snprintf(problem.kind, sizeof(problem.kind), "%s", kind);
    (void)snprintf(problem.name, sizeof(problem.name), "%s", name);
    (void)snprintf(problem.similar, sizeof(problem.similar), "%s", similar != NULL ? similar : "");
    answer(planning, &problem);
}

static const char *nearest_cluster(const struct tm_config *config, const char *name)
{
    const char **names = tm_xalloc(config->cluster_count + 1, sizeof(*names));
    for (size_t i = 0; i < config->cluster_count; i++) {
        names[i] = config->clusters[i].name;
    }
    const char *nearest = tm_nearest(name, names, config->cluster_count);
    free(names);
    return nearest;
}

static void planned(void *arg)
{
    struct planning *planning = arg;
    pthread_join(planning->thread, NULL);
    if (planning->err.code != TM_OK) {
        struct tm_problem problem;
        tmd_problem_of(&planning->err, &problem);
        answer(planning, &problem);
        return;
    }
    answer(planning, NULL);
}

static void *plan(void *arg)
{
    struct planning *planning = arg;
    struct tmd_restore_setup setup = {0};
    atomic_bool never = false;
    struct tm_progress progress = {0};
    struct tm_job_env env = {.job_id = "plan", .cancel = &never, .progress = &progress};
    if (tmd_restore_setup(planning->tmd, &planning->request, planning->vault, &setup,
                &planning->err) == TM_OK) {
        TM_LATER(tm_restore_plan(&setup.options, &env, &planning->plan, &planning->err));
    }
    tmd_restore_setup_done(&setup);
    if (planning->err.code == TM_E_ROLLED_BACK) {
        tmd_vault_alarm(planning->vault, &planning->err);
    }
    tmd_post(planning->tmd, planned, planning);
    return NULL;
}

/* Points by what the catalog has of policy, cluster and time. False: it has none. */
static bool pick_points(struct planning *planning, struct tm_catalog *catalog)
{
    struct tm_restore_request *request = &planning->request;
    const struct tm_point_ask ask = {
            .policy = request->policy,
            .cluster = request->cluster,
            .has_at = request->has_at,
            .at_ms = request->at_ms,
            .as_of = request->as_of,
    };
    struct tm_point_head *heads = NULL;
    struct tm_point_picks picks = {0};
    struct tm_err err = {0};
    size_t count = 0;
    if (tm_catalog_point_heads(catalog, &planning->arena, &heads, &count, &err) != TM_OK) {
        return false;
    }
    tm_point_pick(heads, count, &ask, &planning->arena, &picks);
    if (picks.count == 0) {
        return false;
    }
    const char **more = tm_arena_alloc(&planning->arena, picks.count, sizeof(*more));
    for (size_t i = 1; i < picks.count; i++) {
        char name[TM_ULID_NAME_MAX];
        more[i - 1] =
                tm_arena_strdup(&planning->arena, tm_ulid_format(&picks.at[i]->ulid, "rp_", name));
    }
    planning->point = picks.at[0]->ulid;
    request->more_points = more;
    request->more_point_count = picks.count - 1;
    request->late_ms =
            request->has_at && request->as_of == TM_AS_OF_RECORD_TIME ? picks.newest_ms : 0;
    return true;
}

static bool look_in(struct planning *planning, struct tm_catalog *catalog)
{
    struct tm_err err = {0};
    struct tm_point point = {0};
    if (planning->request.point == NULL) {
        return pick_points(planning, catalog);
    }
    return tm_catalog_point(catalog, &planning->point, &planning->arena, &point, &err) == TM_OK &&
           point.row.id != 0;
}

static void find_work(struct tmd_keep *keep, void *arg)
{
    struct planning *planning = arg;
    bool all = planning->request.cluster != NULL; /* its policies may have several vaults */
    for (size_t v = 0; v < keep->config->vault_count && (all || planning->found == 0); v++) {
        if (keep->catalogs[v] != NULL && look_in(planning, keep->catalogs[v])) {
            planning->found++;
            planning->vault = &keep->config->vaults[v];
        }
    }
}

/* The source, by its words, led to no point, or to too many. */
static void refuse_source(struct planning *planning)
{
    const struct tm_restore_request *request = &planning->request;
    bool policy = request->policy != NULL;
    struct tm_problem problem = {
            .status = 404, .slug = "not-found", .kind = "recovery-point", .name = "latest"};
    if (planning->found > 1) {
        problem = (struct tm_problem){
                .status = 422, .slug = "invalid-request", .pointer = "/source/cluster"};
        (void)snprintf(problem.detail, sizeof(problem.detail),
                "points of cluster \"%.200s\" are in %d vaults, and a restore reads one: name the "
                "policy",
                request->cluster, planning->found);
    } else {
        (void)snprintf(problem.detail, sizeof(problem.detail), "%s \"%.200s\" has no point %s",
                policy ? "policy" : "cluster", policy ? request->policy : request->cluster,
                request->has_at && request->as_of == TM_AS_OF_CAPTURE_TIME
                        ? "that was taken at that time or before"
                        : "yet");
    }
    answer(planning, &problem);
}

static void find_done(void *arg)
{
    struct planning *planning = arg;
    if (planning->found == 0 && planning->request.point != NULL) {
        not_found(planning, "recovery-point", planning->request.point, NULL);
        return;
    }
    if (planning->found != 1) {
        refuse_source(planning);
        return;
    }
    char name[TM_ULID_NAME_MAX];
    planning->request.point =
            tm_arena_strdup(&planning->arena, tm_ulid_format(&planning->point, "rp_", name));
    tm_assert(pthread_create(&planning->thread, NULL, plan, planning) == 0);
}

/* Do the names of the source stand in the configuration? False: it has been refused. */
static bool check_names(struct planning *planning)
{
    const struct tm_config *config = planning->tmd->config;
    const struct tm_restore_request *request = &planning->request;
    if (tm_config_find_cluster(config, request->target) == NULL) {
        not_found(planning, "cluster", request->target, nearest_cluster(config, request->target));
    } else if (request->point != NULL && !tm_ulid_parse(request->point, "rp_", &planning->point)) {
        not_found(planning, "recovery-point", request->point, NULL);
    } else if (request->policy != NULL && tm_config_find_policy(config, request->policy) == NULL) {
        not_found(planning, "policy", request->policy, NULL);
    } else if (request->cluster != NULL &&
               tm_config_find_cluster(config, request->cluster) == NULL) {
        not_found(planning, "cluster", request->cluster, nearest_cluster(config, request->cluster));
    } else {
        return true;
    }
    return false;
}

void tmd_plan(
        struct tmd *tmd, const struct tm_restore_request *request, tmd_planned done, void *arg)
{
    struct planning *planning = tm_xalloc(1, sizeof(*planning));
    planning->tmd = tmd;
    planning->done = done;
    planning->arg = arg;
    tmd_restore_request_copy(request, &planning->arena, &planning->request);
    plans++;
    if (plans > PLANS_MAX || tmd->draining || !tmd->ready) {
        struct tm_problem problem = {.status = 503, .slug = "queue-full", .retry_after_s = 2};
        problem.slug = tmd->draining ? "draining" : !tmd->ready ? "starting" : problem.slug;
        (void)snprintf(problem.detail, sizeof(problem.detail), "no restore can be planned now");
        answer(planning, &problem);
    } else if (check_names(planning)) {
        tmd_keeper_ask(tmd, find_work, find_done, planning);
    }
}

size_t tmd_plans(void)
{
    return plans;
}
