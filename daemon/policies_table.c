/* SPDX-License-Identifier: Apache-2.0 */
/* The table of policies: made, found, and changed with the configuration. */
#include "policies_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"

static struct policy *make_policy(struct tmd *tmd, const struct tm_config_policy *config)
{
    struct policy *policy = tm_xalloc(1, sizeof(*policy));
    policy->tmd = tmd;
    policy->config = config;
    policy->fresh = true;
    policy->interval_ms = tm_schedule_interval_ms(&config->schedule);
    tm_assert(uv_timer_init(&tmd->loop, &policy->timer) == 0);
    tm_assert(uv_timer_init(&tmd->loop, &policy->flush) == 0);
    policy->timer.data = policy;
    policy->flush.data = policy;
    return policy;
}

struct tmd_policies *tmd_policies_new(struct tmd *tmd)
{
    struct tmd_policies *policies = tm_xalloc(1, sizeof(*policies));
    const struct tm_config *config = tmd->config;
    policies->tmd = tmd;
    policies->count = config->policy_count;
    policies->at = tm_xalloc(policies->count + 1, sizeof(struct policy *));
    for (size_t i = 0; i < policies->count; i++) {
        policies->at[i] = make_policy(tmd, &config->policies[i]);
    }
    return policies;
}

void tmd_topics_clear(struct policy *policy)
{
    for (size_t i = 0; i < policy->topics.count; i++) {
        free(policy->topics.at[i].topic);
    }
    policy->topics.count = 0;
}

static void free_policy(struct policy *policy)
{
    tmd_topics_clear(policy);
    tm_vec_done(&policy->topics);
    free(policy->last_error);
    tm_arena_done(&policy->pause_texts);
    free(policy);
}

void tmd_policies_free(struct tmd_policies *policies)
{
    if (policies == NULL) {
        return;
    }
    for (size_t i = 0; i < policies->count; i++) {
        free_policy(policies->at[i]);
    }
    for (size_t i = 0; i < policies->gone.count; i++) {
        free_policy(policies->gone.at[i]);
    }
    tm_vec_done(&policies->gone);
    tm_vec_done(&policies->views);
    tm_vec_done(&policies->rows);
    free(policies->at);
    free(policies);
}

struct policy *tmd_policy_find(struct tmd *tmd, const char *name)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        if (strcmp(tmd->policies->at[i]->config->name, name) == 0) {
            return tmd->policies->at[i];
        }
    }
    return NULL;
}

/* Another configuration ----------------------------------------------------------------------- */

/* It is kept for who asked something for it; nothing of it is shown any more. */
static void let_go(struct tmd *tmd, struct policy *policy)
{
    (void)uv_timer_stop(&policy->timer);
    (void)uv_timer_stop(&policy->flush);
    policy->gone = true;
    policy->again = false;
    tmd_hooks_forget(tmd, policy->config->name);
    tm_metric_forget("policy", policy->config->name);
    *tm_vec_push(&tmd->policies->gone) = policy; /* NOLINT(bugprone-sizeof-expression) */
}

static void change_policy(struct policy *policy, const struct tm_config_policy *config)
{
    bool moved = strcmp(policy->config->cluster->name, config->cluster->name) != 0;
    bool unplanned = config->schedule.kind == TM_SCHEDULE_BY_HAND && policy->interval_ms != 0;
    bool other_mode = policy->config->continuous != config->continuous;
    if (moved || unplanned ||
            other_mode) { /* series of the other cluster, or of a next run, would stand still */
        tm_metric_forget("policy", config->name);
        policy->zeroed = false;
    }
    policy->config = config;
    policy->flushes_seen = policy->flushes_seen && !other_mode;
    policy->interval_ms = tm_schedule_interval_ms(&config->schedule);
    policy->pause.policy = config->name;
}

void tmd_policies_adopt(struct tmd *tmd)
{
    struct tmd_policies *policies = tmd->policies;
    const struct tm_config *config = tmd->config;
    struct policy **fresh = tm_xalloc(config->policy_count + 1, sizeof(struct policy *));
    for (size_t i = 0; i < config->policy_count; i++) {
        fresh[i] = tmd_policy_find(tmd, config->policies[i].name);
    }
    for (size_t i = 0; i < policies->count; i++) {
        if (tm_config_find_policy(config, policies->at[i]->config->name) == NULL) {
            let_go(tmd, policies->at[i]);
        }
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        if (fresh[i] != NULL) {
            change_policy(fresh[i], &config->policies[i]);
        } else {
            fresh[i] = make_policy(tmd, &config->policies[i]);
        }
    }
    free(policies->at);
    policies->at = fresh;
    policies->count = config->policy_count;
}
