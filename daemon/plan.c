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
    bool found;
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
    tmd_post(planning->tmd, planned, planning);
    return NULL;
}

static bool look_in(struct planning *planning, struct tm_catalog *catalog)
{
    struct tm_err err = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    if (planning->request.point != NULL) {
        struct tm_point point = {0};
        return tm_catalog_point(catalog, &planning->point, &planning->arena, &point, &err) ==
                       TM_OK &&
               point.row.id != 0;
    }
    struct tm_point_query query = {.policy = planning->request.policy,
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .partial = -1,
            .limit = 1};
    if (tm_catalog_points(catalog, &query, &planning->arena, &lines, &count, &err) != TM_OK ||
            count == 0) {
        return false;
    }
    planning->point = lines[0].row.ulid;
    return true;
}

static void find_work(struct tmd_keep *keep, void *arg)
{
    struct planning *planning = arg;
    for (size_t v = 0; v < keep->config->vault_count && !planning->found; v++) {
        if (keep->catalogs[v] != NULL && look_in(planning, keep->catalogs[v])) {
            planning->found = true;
            planning->vault = &keep->config->vaults[v];
        }
    }
}

static void find_done(void *arg)
{
    struct planning *planning = arg;
    if (!planning->found && planning->request.point != NULL) {
        not_found(planning, "recovery-point", planning->request.point, NULL);
        return;
    }
    if (!planning->found) {
        struct tm_problem problem = {
                .status = 404, .slug = "not-found", .kind = "recovery-point", .name = "latest"};
        (void)snprintf(problem.detail, sizeof(problem.detail), "policy \"%.200s\" has no point yet",
                planning->request.policy);
        answer(planning, &problem);
        return;
    }
    char name[TM_ULID_NAME_MAX];
    planning->request.point =
            tm_arena_strdup(&planning->arena, tm_ulid_format(&planning->point, "rp_", name));
    tm_assert(pthread_create(&planning->thread, NULL, plan, planning) == 0);
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
    const char *point = planning->request.point;
    if (plans > PLANS_MAX || tmd->draining || !tmd->ready) {
        struct tm_problem problem = {.status = 503, .slug = "queue-full", .retry_after_s = 2};
        problem.slug = tmd->draining ? "draining" : !tmd->ready ? "starting" : problem.slug;
        (void)snprintf(problem.detail, sizeof(problem.detail), "no restore can be planned now");
        answer(planning, &problem);
    } else if (tm_config_find_cluster(tmd->config, request->target) == NULL) {
        not_found(planning, "cluster", request->target,
                nearest_cluster(tmd->config, request->target));
    } else if (point != NULL && !tm_ulid_parse(point, "rp_", &planning->point)) {
        not_found(planning, "recovery-point", point, NULL);
    } else if (point == NULL && tm_config_find_policy(tmd->config, request->policy) == NULL) {
        not_found(planning, "policy", request->policy, NULL);
    } else {
        tmd_keeper_ask(tmd, find_work, find_done, planning);
    }
}

size_t tmd_plans(void)
{
    return plans;
}
