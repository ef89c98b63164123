/* SPDX-License-Identifier: Apache-2.0 */
#include "job/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/text.h"
#include "job/flush.h"
#include "job/marks.h"
#include "job/retention_warn.h"

/* What is decided on one state of the fold. */
struct decision {
    const struct tm_retention_options *options;
    struct tm_retention_plan *plan;
    int64_t now_ms;
};

void tm_retention_plan_done(struct tm_retention_plan *plan)
{
    tm_vec_done(&plan->lines);
    tm_vec_done(&plan->keeps);
    tm_vec_done(&plan->warnings);
    tm_arena_done(&plan->arena);
}

void tm_retention_result_done(struct tm_retention_result *result)
{
    tm_vec_done(&result->removed);
    tm_space_result_done(&result->space);
    tm_vec_done(&result->warnings);
    tm_arena_done(&result->arena);
}

/* Points ----------------------------------------------------------------------------------- */

const struct tm_retention_policy *tm_retention_policy_of(
        const struct tm_retention_options *options, const struct tm_point_head *point)
{
    for (size_t i = 0; i < options->policy_count; i++) {
        const struct tm_retention_policy *policy = &options->policies[i];
        if (tm_slice_eq(point->policy, tm_slice_str(policy->policy)) &&
                tm_slice_eq(point->cluster_name, tm_slice_str(policy->cluster))) {
            return policy;
        }
    }
    return NULL;
}

static bool same_policy(const struct tm_point_head *a, const struct tm_point_head *b)
{
    return tm_slice_eq(a->cluster_id, b->cluster_id) && tm_slice_eq(a->policy, b->policy);
}

/* By cluster id and policy, newest first; the clock of a host may have gone back between two points. */
static int by_policy_and_time(const void *a, const void *b)
{
    const struct tm_retention_line *x = a;
    const struct tm_retention_line *y = b;
    int order = tm_slice_cmp(x->point.cluster_id, y->point.cluster_id);
    order = order != 0 ? order : tm_slice_cmp(x->point.policy, y->point.policy);
    if (order != 0) {
        return order;
    }
    if (x->point.time_ms != y->point.time_ms) {
        return x->point.time_ms > y->point.time_ms ? -1 : 1;
    }
    return x->point.id > y->point.id ? -1 : x->point.id < y->point.id;
}

static enum tm_code read_lines(struct decision *decision, struct tm_err *err)
{
    struct tm_retention_plan *plan = decision->plan;
    struct tm_point_head *heads = NULL;
    size_t count = 0;
    TM_TRY(tm_catalog_point_heads(decision->options->catalog, &plan->arena, &heads, &count, err));
    for (size_t i = 0; i < count; i++) {
        *tm_vec_push(&plan->lines) = (struct tm_retention_line){
                .point = heads[i],
                .configured = tm_retention_policy_of(decision->options, &heads[i]) != NULL,
                .whole = (heads[i].flags & TM_POINT_PARTIAL) == 0,
        };
    }
    if (count > 1) {
        qsort(plan->lines.at, count, sizeof(*plan->lines.at), by_policy_and_time);
    }
    return TM_OK;
}

/*
 * Lines [from, until) are of one policy and cluster id. The rules are those of the newest point's
 * name for the cluster: a cluster that was renamed in the configuration stays under one set of rules.
 */
static void decide_policy(struct decision *decision, size_t from, size_t until)
{
    struct tm_retention_plan *plan = decision->plan;
    const struct tm_retention_policy *policy =
            tm_retention_policy_of(decision->options, &plan->lines.at[from].point);
    struct tm_gfs_point *points = tm_xalloc(until - from, sizeof(*points));
    for (size_t i = from; i < until; i++) {
        const struct tm_retention_line *line = &plan->lines.at[i];
        points[i - from] = (struct tm_gfs_point){
                .time_ms = line->point.time_ms,
                .whole = line->whole,
                .held = tm_marks_held(&line->point.mark, decision->now_ms),
                .passing = tm_flush_is(&line->point.mark),
        };
    }
    if (policy != NULL) {
        tm_gfs_decide(&policy->rules, decision->now_ms, points, until - from);
    }
    for (size_t i = from; i < until; i++) {
        struct tm_retention_line *line = &plan->lines.at[i];
        line->configured = policy != NULL;
        line->kept_by = points[i - from].kept_by;
        line->too_old = points[i - from].too_old;
        line->goes = policy != NULL && line->kept_by == 0;
        plan->goes_count += line->goes ? 1 : 0;
    }
    free(points);
}

static void decide_points(struct decision *decision)
{
    const struct tm_retention_plan *plan = decision->plan;
    size_t from = 0;
    while (from < plan->lines.count) {
        size_t until = from + 1;
        while (until < plan->lines.count &&
                same_policy(&plan->lines.at[from].point, &plan->lines.at[until].point)) {
            until++;
        }
        decide_policy(decision, from, until);
        from = until;
    }
}

/* Archive windows -------------------------------------------------------------------------- */

static uint64_t window_in_force(
        const struct tm_row_keep *keeps, size_t count, uint32_t stream, struct tm_slice policy)
{
    for (size_t i = 0; i < count; i++) {
        if (keeps[i].stream == stream && tm_slice_eq(keeps[i].policy, policy)) {
            return keeps[i].seconds;
        }
    }
    return 0;
}

/* What the policy says of its streams now, where the vault has it otherwise. */
static enum tm_code decide_windows_of(struct decision *decision, const struct tm_point_head *point,
        const struct tm_row_keep *keeps, size_t keep_count, struct tm_err *err)
{
    struct tm_retention_plan *plan = decision->plan;
    const struct tm_retention_policy *policy = tm_retention_policy_of(decision->options, point);
    uint32_t *streams = NULL;
    size_t count = 0;
    TM_TRY(tm_catalog_policy_streams(decision->options->catalog, point->cluster_id, point->policy,
            &plan->arena, &streams, &count, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t seconds = (uint64_t)policy->keep_data_s;
        if (window_in_force(keeps, keep_count, streams[i], point->policy) != seconds) {
            *tm_vec_push(&plan->keeps) = (struct tm_row_keep){streams[i], point->policy, seconds};
        }
    }
    return TM_OK;
}

static enum tm_code decide_windows(struct decision *decision, struct tm_err *err)
{
    struct tm_retention_plan *plan = decision->plan;
    struct tm_row_keep *keeps = NULL;
    size_t count = 0;
    TM_TRY(tm_catalog_keeps(decision->options->catalog, &plan->arena, &keeps, &count, err));
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < plan->lines.count; i++) {
        const struct tm_retention_line *line = &plan->lines.at[i];
        bool first = i == 0 || !same_policy(&line[-1].point, &line->point);
        if (first && line->configured) {
            code = decide_windows_of(decision, &line->point, keeps, count, err);
        }
    }
    return code;
}

/* The whole -------------------------------------------------------------------------------- */

static void digest_plan(struct tm_retention_plan *plan)
{
    char hex[2 * sizeof(struct tm_hash) + 1];
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    for (size_t i = 0; i < plan->lines.count; i++) {
        if (plan->lines.at[i].goes) {
            const struct tm_id16 *ulid = &plan->lines.at[i].point.ulid;
            tm_sha256_add(sha, ulid->bytes, sizeof(ulid->bytes));
        }
    }
    for (size_t i = 0; i < plan->keeps.count; i++) {
        const struct tm_row_keep *keep = &plan->keeps.at[i];
        char text[64];
        int len = snprintf(
                text, sizeof(text), "%" PRIu32 ":%" PRIu64 ":", keep->stream, keep->seconds);
        tm_sha256_add(sha, text, (size_t)len);
        tm_sha256_add(sha, keep->policy.at, keep->policy.len);
    }
    struct tm_hash hash = tm_sha256_take(sha);
    tm_hex(hash.bytes, sizeof(hash.bytes), hex);
    (void)snprintf(plan->digest, sizeof(plan->digest), "sha256:%s", hex);
}

static enum tm_code decide(struct decision *decision, struct tm_err *err)
{
    TM_TRY(read_lines(decision, err));
    decide_points(decision);
    TM_TRY(decide_windows(decision, err));
    digest_plan(decision->plan);
    return TM_OK;
}

static struct tm_space_options space_options(const struct tm_retention_options *options)
{
    struct tm_space_options space = options->space;
    space.vault = options->vault;
    space.catalog = options->catalog;
    return space;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Ids of the points that go, sorted; for free(). */
static uint64_t *gone_ids(const struct tm_retention_plan *plan)
{
    uint64_t *ids = tm_xalloc(plan->goes_count + 1, sizeof(*ids));
    size_t count = 0;
    for (size_t i = 0; i < plan->lines.count; i++) {
        if (plan->lines.at[i].goes) {
            ids[count++] = plan->lines.at[i].point.id;
        }
    }
    qsort(ids, count, sizeof(*ids), by_number);
    return ids;
}

enum tm_code tm_retention_plan(const struct tm_retention_options *options, struct tm_job_env *env,
        struct tm_retention_plan *out, struct tm_err *err)
{
    struct decision decision = {options, out, tm_now_ms()};
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    atomic_store(&env->progress->phase, TM_PHASE_PLANNING);
    TM_TRY(tm_vault_refresh(options->vault, &fold, err));
    TM_TRY(decide(&decision, err));
    TM_TRY(tm_retention_warn(options, out, err));
    uint64_t *ids = gone_ids(out);
    struct tm_space_options space = space_options(options);
    enum tm_code code = tm_space_plan(&space, ids, out->goes_count, &out->space, err);
    free(ids);
    return code;
}

/* Run -------------------------------------------------------------------------------------- */

struct running {
    const struct tm_retention_options *options;
    struct tm_retention_plan plan; /* of the newest attempt */
    bool nothing;
};

static enum tm_code build(void *arg, struct tm_edits *out, struct tm_err *err)
{
    struct running *running = arg;
    tm_retention_plan_done(&running->plan);
    running->plan = (struct tm_retention_plan){0};
    struct decision decision = {running->options, &running->plan, tm_now_ms()};
    TM_TRY(decide(&decision, err));
    const struct tm_retention_plan *plan = &running->plan;
    const char *asked = running->options->plan_digest;
    if (asked != NULL && strcmp(asked, plan->digest) != 0) {
        return tm_err_set(err, TM_E_CONFLICT,
                "what retention would do has changed since the plan: it is %s now; plan again",
                plan->digest);
    }
    for (size_t i = 0; i < plan->lines.count; i++) {
        if (plan->lines.at[i].goes) {
            *tm_vec_push(&out->points_gone) = plan->lines.at[i].point.id;
        }
    }
    for (size_t i = 0; i < plan->keeps.count; i++) {
        *tm_vec_push(&out->keeps) = plan->keeps.at[i];
    }
    return TM_OK;
}

/* An entry is made only when there is something to say; the digest is compared in any case. */
static enum tm_code expire(struct running *running, struct tm_err *err)
{
    struct tm_fold fold = tm_catalog_fold(running->options->catalog);
    struct tm_edits probe = {0};
    TM_TRY(tm_vault_refresh(running->options->vault, &fold, err));
    enum tm_code code = build(running, &probe, err);
    tm_edits_done(&probe);
    if (code != TM_OK || (running->plan.goes_count == 0 && running->plan.keeps.count == 0)) {
        return code;
    }
    return tm_vault_commit(running->options->vault, &fold, build, running, NULL, err);
}

static void count_removed(const struct running *running, struct tm_retention_result *out)
{
    const struct tm_retention_options *options = running->options;
    for (size_t p = 0; p < options->policy_count; p++) {
        struct tm_retention_removed *row = tm_vec_push(&out->removed);
        row->policy = tm_arena_strdup(&out->arena, options->policies[p].policy);
        row->cluster = tm_arena_strdup(&out->arena, options->policies[p].cluster);
    }
    for (size_t i = 0; i < running->plan.lines.count; i++) {
        const struct tm_retention_line *line = &running->plan.lines.at[i];
        const struct tm_retention_policy *policy = tm_retention_policy_of(options, &line->point);
        out->points_removed += line->goes ? 1 : 0;
        out->points_kept += line->goes ? 0 : 1;
        if (line->goes && policy != NULL) {
            out->removed.at[policy - options->policies].points++;
        }
    }
}

/* A warning that cannot be made is no reason to keep what is to go. */
static void take_warnings(struct running *running, struct tm_retention_result *out)
{
    struct tm_retention_plan *plan = &running->plan;
    struct tm_err ignored = {0};
    TM_LATER(tm_retention_warn(running->options, plan, &ignored));
    for (size_t i = 0; i < plan->warnings.count; i++) {
        const struct tm_job_note *note = &plan->warnings.at[i];
        tm_job_note_add(&out->warnings, &out->arena, note->code, note->topic, note->partition,
                note->detail);
    }
}

enum tm_code tm_retention_run(const struct tm_retention_options *options, struct tm_job_env *env,
        struct tm_retention_result *out, struct tm_err *err)
{
    struct running running = {.options = options};
    atomic_store(&env->progress->phase, TM_PHASE_PLANNING);
    enum tm_code code = expire(&running, err);
    if (code == TM_OK) {
        TM_FAULT("job.retention.expired");
        count_removed(&running, out);
        take_warnings(&running, out);
    }
    tm_retention_plan_done(&running.plan);
    if (code != TM_OK) {
        return code;
    }
    struct tm_space_options space = space_options(options);
    return tm_space_run(&space, env, &out->space, err);
}
