/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of the policies: by the API, and as metrics. */
#include <math.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "kinds.h"
#include "pauses.h"

enum { STALE_INTERVALS = 2 }; /* without success for longer than that many runs: stale */

/* Views --------------------------------------------------------------------------------------- */

static const char *mode_of(const struct tm_config_policy *config)
{
    return config->continuous ? "continuous" : "scheduled";
}

void tmd_policy_view(const struct policy *policy, struct tm_policy_view *out)
{
    const struct tm_config_policy *config = policy->config;
    *out = (struct tm_policy_view){
            .name = config->name,
            .cluster = config->cluster->name,
            .vault = config->vault->name,
            .mode = mode_of(config),
            .flush_ms = config->continuous ? config->flush_ms : 0,
            .schedule = config->schedule_text,
            .include = config->include,
            .include_count = config->include_count,
            .exclude = config->exclude,
            .exclude_count = config->exclude_count,
            .rpo_ms = config->rpo_ms,
            .next_run_ms = policy->next_run_ms,
            .last_success_ms = policy->last_success_ms,
            .last_attempt_ms = policy->last_attempt_ms,
            .last_result = policy->last_result,
            .last_error = policy->last_error,
            .running_job = policy->running[0] != '\0' ? policy->running : NULL,
            .newest_point = policy->newest[0] != '\0' ? policy->newest : NULL,
            .newest_point_ms = policy->totals.newest_ms,
            .oldest_point_ms = policy->totals.oldest_ms,
            .interval_ms = policy->interval_ms,
            .timezone = config->timezone,
            .jitter_ms = config->jitter_ms,
            .paused = policy->paused,
            .paused_ms = policy->paused ? policy->pause.since_ms : 0,
            .paused_until_ms = policy->paused ? policy->pause.until_ms : 0,
            .pause_reason = policy->paused ? policy->pause.reason : "",
            .paused_by = policy->paused ? policy->pause.who : "",
            .labels = config->labels,
            .label_count = config->label_count,
    };
}

size_t tmd_policy_views(struct tmd *tmd, const struct tm_policy_view **out)
{
    struct tmd_policies *policies = tmd->policies;
    policies->views.count = 0;
    for (size_t i = 0; i < policies->count; i++) {
        (void)tmd_policy_is_paused(policies->at[i]); /* its time may be over */
        tmd_policy_view(policies->at[i], tm_vec_push(&policies->views));
    }
    *out = policies->views.at;
    return policies->views.count;
}

/* Is source retention about to win: within its margin, or before the next run? */
static bool is_losing(const struct policy *policy, const struct topic_state *topic, int64_t now_ms)
{
    if (topic == NULL || topic->loses_at_ms == 0 || topic->loses_at_ms == INT64_MAX) {
        return false;
    }
    return topic->loses_at_ms - now_ms <= topic->margin_ms ||
           (policy->next_run_ms > 0 && topic->loses_at_ms <= policy->next_run_ms);
}

/* -1: never, or not known */
static int64_t headroom_ms(const struct topic_state *topic, int64_t now_ms)
{
    if (topic == NULL || topic->loses_at_ms == 0 || topic->loses_at_ms == INT64_MAX) {
        return -1;
    }
    return topic->loses_at_ms > now_ms ? topic->loses_at_ms - now_ms : 0;
}

/* For how long records may have come in that are not stored; -1: nothing is known. */
static int64_t exposure_ms(
        const struct policy *policy, const struct topic_state *topic, int64_t now_ms)
{
    int64_t since_ms = topic != NULL ? topic->caught_up_ms : policy->caught_up_ms;
    if (since_ms == 0) {
        return -1;
    }
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

/* How a topic stands, in the words of GET /v1/status. */
static const char *state_of(
        const struct policy *policy, const struct topic_state *topic, int64_t now_ms)
{
    int64_t interval_ms = policy->interval_ms;
    int64_t age_ms = now_ms - policy->last_success_ms;
    int64_t rpo_ms = policy->config->rpo_ms;
    if (policy->last_success_ms == 0) {
        return "never";
    }
    if (rpo_ms > 0 && exposure_ms(policy, topic, now_ms) > rpo_ms) {
        return "breached";
    }
    if (is_losing(policy, topic, now_ms)) {
        return "losing";
    }
    if (topic != NULL && topic->lost > 0) {
        return "gap";
    }
    if (policy->paused) {
        return "paused"; /* that it is late is meant */
    }
    if (interval_ms > 0 && age_ms > STALE_INTERVALS * interval_ms) {
        return "stale";
    }
    if ((topic != NULL && topic->failed) ||
            (interval_ms > 0 && age_ms > interval_ms + TMD_LOOK_MS)) {
        return "late";
    }
    return "ok";
}

size_t tmd_status_rows(struct tmd *tmd, const struct tm_status_row **out)
{
    struct tmd_policies *policies = tmd->policies;
    const struct tm_policy_view *views = NULL;
    int64_t now_ms = tm_now_ms();
    (void)tmd_policy_views(tmd, &views);
    policies->rows.count = 0;
    for (size_t i = 0; i < policies->count; i++) {
        const struct policy *policy = policies->at[i];
        size_t topics = policy->topics.count;
        for (size_t t = 0; t < (topics > 0 ? topics : 1); t++) {
            const struct topic_state *topic = topics > 0 ? &policy->topics.at[t] : NULL;
            *tm_vec_push(&policies->rows) = (struct tm_status_row){
                    .cluster = policy->config->cluster->name,
                    .policy = policy->config->name,
                    .topic = topic != NULL ? topic->topic : "",
                    .state = state_of(policy, topic, now_ms),
                    .exposure_ms = exposure_ms(policy, topic, now_ms),
                    .behind_messages = topic != NULL ? topic->behind : -1,
                    .gap_offsets = topic != NULL ? topic->lost : 0,
                    .headroom_ms = headroom_ms(topic, now_ms),
                    .losing = is_losing(policy, topic, now_ms),
                    .open_transaction_ms = topic != NULL ? topic->stuck_ms : 0,
                    .of = &views[i],
            };
        }
    }
    *out = policies->rows.at;
    return policies->rows.count;
}

/* Counters begin at 0, so that increase() sees the first failure. */
static void zero_counters(const struct policy *policy)
{
    const char *cluster = policy->config->cluster->name;
    const char *name = policy->config->name;
    static const char *const results[] = {"success", "partial", "failure"};
    static const char *const reasons[] = {
            "overlap", "downtime", "pause", "queue_full", "journal", "other_writer", "window"};
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        tm_metric_add(TM_M_BACKUP_RUNS, TM_LABELS(cluster, name, results[i]), 0);
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        tm_metric_add(TM_M_SCHEDULE_MISSED, TM_LABELS(cluster, name, reasons[i]), 0);
    }
    tm_metric_add(TM_M_BACKUP_IN_PROGRESS, TM_LABELS(cluster, name), 0);
    for (int reason = TM_GAP_RETENTION; reason <= TM_GAP_CORRUPT_ON_BROKER; reason++) {
        if (reason != TM_GAP_SKIPPED && reason != TM_GAP_LOST_IN_VAULT) { /* no run makes these */
            tm_metric_add(TM_M_BACKUP_GAPS,
                    TM_LABELS(cluster, name, tm_gap_reason_name((enum tm_gap_reason)reason)), 0);
        }
    }
    tm_metric_add(TM_M_RETENTION_POINTS, TM_LABELS(cluster, name), 0);
    tm_metric_set(TM_M_POLICY_INFO, TM_LABELS(cluster, name, mode_of(policy->config)), 1);
}

/* Likewise those of each topic. */
static void zero_topics(struct policy *policy)
{
    if (policy->zeroed) {
        return;
    }
    policy->zeroed = true;
    for (size_t i = 0; i < policy->topics.count; i++) {
        const char *const *labels = TM_LABELS(
                policy->config->cluster->name, policy->config->name, policy->topics.at[i].topic);
        tm_metric_add(TM_M_BACKUP_MESSAGES, labels, 0);
        tm_metric_add(TM_M_BACKUP_BYTES, labels, 0);
        tm_metric_add(TM_M_TOPIC_INCARNATIONS, labels, 0);
    }
}

static void show_exposure(const struct policy *policy, int64_t now_ms)
{
    for (size_t i = 0; i < policy->topics.count; i++) {
        int64_t exposed_ms = exposure_ms(policy, &policy->topics.at[i], now_ms);
        if (exposed_ms >= 0) {
            tm_metric_set(TM_M_TOPIC_EXPOSURE,
                    TM_LABELS(policy->config->cluster->name, policy->config->name,
                            policy->topics.at[i].topic),
                    (double)exposed_ms / 1000);
        }
    }
}

static void show_headroom(const struct policy *policy, int64_t now_ms)
{
    for (size_t i = 0; i < policy->topics.count; i++) {
        const struct topic_state *topic = &policy->topics.at[i];
        if (topic->loses_at_ms != 0) {
            bool never = topic->loses_at_ms == INT64_MAX;
            tm_metric_set(TM_M_TOPIC_HEADROOM,
                    TM_LABELS(policy->config->cluster->name, policy->config->name, topic->topic),
                    never ? HUGE_VAL : (double)headroom_ms(topic, now_ms) / 1000);
        }
    }
}

void tmd_policy_metrics(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        struct policy *policy = tmd->policies->at[i];
        const char *const *labels = TM_LABELS(policy->config->cluster->name, policy->config->name);
        zero_counters(policy);
        zero_topics(policy);
        show_headroom(policy, tm_now_ms());
        show_exposure(policy, tm_now_ms());
        tm_metric_set(TM_M_POINTS, labels, (double)policy->totals.count);
        tm_metric_set(TM_M_POLICY_PAUSED, labels, policy->paused ? 1 : 0);
        tm_metric_set(TM_M_SCHEDULE_INTERVAL, labels, (double)policy->interval_ms / 1000);
        tm_metric_set(TM_M_POLICY_RPO, labels, (double)policy->config->rpo_ms / 1000);
        if (policy->next_run_ms > 0) {
            tm_metric_set(TM_M_SCHEDULE_NEXT_RUN, labels, (double)policy->next_run_ms / 1000);
        }
        if (policy->last_success_ms > 0) {
            tm_metric_set(TM_M_BACKUP_LAST_SUCCESS, labels, (double)policy->last_success_ms / 1000);
        }
        if (policy->last_attempt_ms > 0) {
            tm_metric_set(TM_M_BACKUP_LAST_ATTEMPT, labels, (double)policy->last_attempt_ms / 1000);
        }
        if (policy->totals.count > 0) {
            tm_metric_set(TM_M_POINT_OLDEST, labels, (double)policy->totals.oldest_ms / 1000);
            tm_metric_set(TM_M_POINT_NEWEST, labels, (double)policy->totals.newest_ms / 1000);
        }
    }
}
