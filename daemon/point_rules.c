/* SPDX-License-Identifier: Apache-2.0 */
#include "point_rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "catalog/findings.h"
#include "catalog/retained.h"
#include "job/flush.h"
#include "job/marks.h"

/* The rules for a point; NULL: its policy is not configured for the vault. */
static const struct tm_gfs_rules *rules_of(
        const struct tm_config *config, size_t vault, const struct tm_point_head *point)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct tm_config_policy *policy = &config->policies[i];
        if (policy->vault == &config->vaults[vault] && tm_slice_is(point->policy, policy->name) &&
                tm_slice_is(point->cluster_name, policy->cluster->name)) {
            return &policy->retention;
        }
    }
    return NULL;
}

static int by_policy_and_time(const void *a, const void *b)
{
    const struct tm_point_head *x = a;
    const struct tm_point_head *y = b;
    int order = tm_slice_cmp(x->cluster_id, y->cluster_id);
    order = order != 0 ? order : tm_slice_cmp(x->policy, y->policy);
    return order != 0 ? order : (y->time_ms > x->time_ms) - (y->time_ms < x->time_ms);
}

static int by_ulid(const void *a, const void *b)
{
    const struct tmd_point_rule *x = a;
    const struct tmd_point_rule *y = b;
    return memcmp(x->ulid.bytes, y->ulid.bytes, sizeof(x->ulid.bytes));
}

static int ids_in_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tm_id16));
}

struct damaged {
    struct tm_id16 *at; /* ascending */
    size_t count;
};

static bool is_damaged(const struct damaged *damaged, const struct tm_id16 *ulid)
{
    return damaged->count > 0 &&
           bsearch(ulid, damaged->at, damaged->count, sizeof(*damaged->at), ids_in_order) != NULL;
}

/* Points [0, count) are those of one policy, newest first. */
static void decide(const struct tm_gfs_rules *rules, const struct tm_point_head *heads,
        size_t count, const struct damaged *damaged, struct tmd_point_rule *out)
{
    int64_t now_ms = tm_now_ms();
    struct tm_gfs_point *points = tm_xalloc(count, sizeof(*points));
    for (size_t i = 0; i < count; i++) {
        points[i] = (struct tm_gfs_point){
                .time_ms = heads[i].time_ms,
                .whole = (heads[i].flags & TM_POINT_PARTIAL) == 0 &&
                         !is_damaged(damaged, &heads[i].ulid),
                .held = tm_marks_held(&heads[i].mark, now_ms),
                .passing = tm_flush_is(&heads[i].mark),
        };
    }
    tm_gfs_decide(rules, now_ms, points, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t kept_by = points[i].kept_by;
        out[i] = (struct tmd_point_rule){heads[i].ulid, kept_by != 0 ? kept_by : TM_POINT_GOES};
    }
    free(points);
}

enum tm_code tmd_point_rules(const struct tmd_keep *keep, size_t vault, struct tm_arena *arena,
        struct tmd_point_rule **out, size_t *count, struct tm_err *err)
{
    struct tm_point_head *heads = NULL;
    struct damaged damaged = {0};
    size_t total = 0;
    size_t made = 0;
    TM_TRY(tm_catalog_point_heads(keep->catalogs[vault], arena, &heads, &total, err));
    TM_TRY(tm_findings_points(keep->catalogs[vault], arena, &damaged.at, &damaged.count, err));
    struct tmd_point_rule *rules = tm_arena_alloc(arena, total + 1, sizeof(*rules));
    if (total > 0) {
        qsort(heads, total, sizeof(*heads), by_policy_and_time);
    }
    for (size_t start = 0, end = 0; start < total; start = end) {
        end = start + 1;
        while (end < total && tm_slice_eq(heads[end].cluster_id, heads[start].cluster_id) &&
                tm_slice_eq(heads[end].policy, heads[start].policy)) {
            end++;
        }
        const struct tm_gfs_rules *of = rules_of(keep->config, vault, &heads[start]);
        if (of != NULL) {
            decide(of, heads + start, end - start, &damaged, rules + made);
            made += end - start;
        }
    }
    if (made > 0) {
        qsort(rules, made, sizeof(*rules), by_ulid);
    }
    *out = rules;
    *count = made;
    return TM_OK;
}

uint32_t tmd_point_rule_of(
        const struct tmd_point_rule *rules, size_t count, const struct tm_id16 *ulid)
{
    struct tmd_point_rule key = {.ulid = *ulid};
    const struct tmd_point_rule *found =
            count > 0 ? bsearch(&key, rules, count, sizeof(*rules), by_ulid) : NULL;
    return found != NULL ? found->kept_by : 0;
}
