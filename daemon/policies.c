/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "hooks.h"
#include "kinds.h"
#include "pauses.h"
#include "standby.h"

enum { FLUSH_REST_MS = 60 * 1000 };
enum { FLUSHES_LOOK_MS = 24 * 3600 * 1000 }; /* so old no flush's point is, but for long restores */

/* Planned runs -------------------------------------------------------------------------------- */

static void count_missed(const struct policy *policy, const char *reason)
{
    tm_metric_add(TM_M_SCHEDULE_MISSED,
            TM_LABELS(policy->config->cluster->name, policy->config->name, reason), 1);
}

static void missed(const struct policy *policy, const char *reason)
{
    count_missed(policy, reason);
    tmd_hooks_missed(policy->tmd, policy->config, reason);
    tm_log(TM_LOG_WARNING, "schedule.missed", "a planned run did not start",
            TM_LOG_STR("policy", policy->config->name), TM_LOG_STR("reason", reason), TM_LOG_END);
}

static void refused(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)job;
    (void)created;
    if (problem != NULL) {
        bool full = strcmp(problem->slug, "queue-full") == 0;
        bool met = strcmp(problem->slug, "already-running") == 0;   /* one by hand came first */
        bool closed = strcmp(problem->slug, "outside-window") == 0; /* a queued one came too late */
        missed(arg, full ? "queue_full" : met ? "overlap" : closed ? "window" : "journal");
    }
}

/* The vault was asked who else writes for the policy. */
static void start_unless(void *arg, const char *writer)
{
    struct policy *policy = arg;
    policy->asking = false;
    if (policy->tmd->draining || policy->gone) {
        return;
    }
    policy->stands_by = writer != NULL;
    if (writer == NULL) {
        tmd_backup(policy->tmd, policy->config, NULL, NULL, refused, policy);
        return;
    }
    /* Every interval anew, for as long as the other one lives: no warning. */
    count_missed(policy, "other_writer");
    tm_log(TM_LOG_INFO, "schedule.standby",
            "a planned run did not start: another daemon backs the policy up",
            TM_LOG_STR("policy", policy->config->name), TM_LOG_STR("writer", writer), TM_LOG_END);
}

static void fire(struct policy *policy)
{
    if (tmd_policy_is_paused(policy)) {
        count_missed(policy, "pause"); /* somebody wants it: no warning each time */
    } else if (tmd_job_of_policy(policy->tmd, policy->config->name) == NULL && !policy->asking) {
        policy->asking = true;
        tmd_standby_ask(policy->tmd, policy->config, start_unless, policy);
    } else if (policy->config->overlap == TM_OVERLAP_QUEUE) {
        policy->again = true;
    } else {
        missed(policy, "overlap");
    }
}

static void look(uv_timer_t *timer);

/*
 * Planned runs are those of the schedule that begin within the window; each comes a little later, always as much, but
 * where it would miss the window then.
 */
bool tmd_policy_next_run(const struct policy *policy, int64_t after_ms, int64_t *next_ms)
{
    const struct tm_config_policy *config = policy->config;
    int64_t late_ms = tm_schedule_delay_ms(config->name, config->jitter_ms);
    while (tm_window_next_run(&config->window, &config->schedule, after_ms - late_ms, next_ms)) {
        if (tm_window_is_open(&config->window, *next_ms + late_ms)) {
            *next_ms += late_ms;
            return true;
        }
        if (*next_ms > after_ms) {
            return true;
        }
        late_ms = 0;
    }
    return false;
}

static void set_timer(struct policy *policy)
{
    int64_t wait_ms = policy->next_run_ms - tm_now_ms();
    wait_ms = wait_ms < 0 ? 0 : wait_ms > TMD_LOOK_MS ? TMD_LOOK_MS : wait_ms;
    tm_assert(uv_timer_start(&policy->timer, look, (uint64_t)wait_ms, 0) == 0);
}

static void plan_next(struct policy *policy, int64_t after_ms)
{
    if (!tmd_policy_next_run(policy, after_ms, &policy->next_run_ms)) {
        policy->next_run_ms = 0;
        (void)uv_timer_stop(&policy->timer);
        return;
    }
    set_timer(policy);
}

static void look(uv_timer_t *timer)
{
    struct policy *policy = timer->data;
    int64_t now_ms = tm_now_ms();
    if (now_ms < policy->next_run_ms) {
        int64_t planned_ms = 0; /* the clock went back: the plan is what the schedule says now */
        if (tmd_policy_next_run(policy, now_ms, &planned_ms) && planned_ms < policy->next_run_ms) {
            policy->next_run_ms = planned_ms;
        }
        set_timer(policy);
        return;
    }
    fire(policy);
    plan_next(policy, now_ms);
}

/* Was a run planned while the daemon was down? One makes up for all of them. */
static bool missed_while_down(const struct policy *policy, int64_t now_ms)
{
    int64_t planned_ms = 0;
    return policy->last_attempt_ms > 0 &&
           tmd_policy_next_run(policy, policy->last_attempt_ms, &planned_ms) && planned_ms < now_ms;
}

static void catch_up(struct policy *policy, int64_t now_ms)
{
    bool going_on = tmd_job_of_policy(policy->tmd, policy->config->name) != NULL; /* resumed */
    if (going_on || !missed_while_down(policy, now_ms)) {
        return;
    }
    if (policy->config->catch_up == TM_CATCH_UP_ONCE) {
        if (tm_window_is_open(&policy->config->window, now_ms)) {
            fire(policy);
        } /* else the first planned run of the window makes up for it */
    } else {
        missed(policy, "downtime");
    }
}

/*
 * Between planned runs: what is new goes into the vault. The first run of a policy is a planned one, or asked for; where
 * another daemon does the work, the planned runs look whether it still does.
 */
static void flush_due(uv_timer_t *timer)
{
    struct policy *policy = timer->data;
    bool ours = policy->newest[0] != '\0' && !policy->stands_by && !policy->asking;
    int64_t rest_ms = policy->rests_until_ms - tm_now_ms(); /* the clock may have gone back */
    ours = ours && (rest_ms <= 0 || rest_ms > FLUSH_REST_MS);
    if (ours && !policy->gone && !tmd_policy_is_paused(policy) &&
            tm_window_is_open(&policy->config->window, tm_now_ms())) {
        tmd_flush(policy->tmd, policy->config);
    }
}

static void plan_flushes(struct policy *policy)
{
    uint64_t period_ms = (uint64_t)policy->config->flush_ms;
    if (!policy->config->continuous) {
        (void)uv_timer_stop(&policy->flush);
    } else if (!uv_is_active((uv_handle_t *)&policy->flush) ||
               uv_timer_get_repeat(&policy->flush) != period_ms) {
        tm_assert(uv_timer_start(&policy->flush, flush_due, period_ms, period_ms) == 0);
    }
}

void tmd_policies_start(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        struct policy *policy = tmd->policies->at[i];
        int64_t now_ms = tm_now_ms();
        bool due = policy->next_run_ms > 0 && policy->next_run_ms <= now_ms;
        if (policy->fresh) {
            policy->fresh = false;
            catch_up(policy, now_ms);
        }
        if (!due) { /* else its timer sees to it */
            plan_next(policy, now_ms);
        }
        plan_flushes(policy);
    }
}

void tmd_policies_stop(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        (void)uv_timer_stop(&tmd->policies->at[i]->timer);
        (void)uv_timer_stop(&tmd->policies->at[i]->flush);
        tmd->policies->at[i]->again = false;
    }
}

/* Runs ---------------------------------------------------------------------------------------- */

void tmd_policy_started(struct tmd *tmd, struct tmd_job *job)
{
    struct policy *policy = tmd_policy_find(tmd, job->row.policy);
    if (policy == NULL) {
        return;
    }
    memcpy(policy->running, job->name, sizeof(policy->running));
    policy->started_ms = job->row.started_ms;
    job->flushes_since_ms = !policy->flushes_seen        ? INT64_MIN
                            : policy->config->continuous ? job->row.started_ms - FLUSHES_LOOK_MS
                                                         : INT64_MAX;
    policy->flushes_seen = true;
    tm_metric_set(TM_M_BACKUP_IN_PROGRESS,
            TM_LABELS(policy->config->cluster->name, policy->config->name), 1);
}

/*
 * What the last run says of when the source deletes what is not stored. A run that found nothing new does not ask for
 * the topics' settings: then all was stored when it ran, and retention is as it was when it was asked for.
 */
static void take_headroom(struct topic_state *state, const struct tm_backup_topic *topic,
        const struct topic_state *before, int64_t started_ms)
{
    state->loses_at_ms = topic->loses_at_ms;
    state->margin_ms = topic->margin_ms;
    state->retention_ms = topic->retention_ms;
    state->stuck_ms = topic->stuck_ms;
    bool whole = !topic->failed && topic->behind == 0;
    if (topic->loses_at_ms == 0 && whole && before != NULL && before->retention_ms >= 0) {
        state->retention_ms = before->retention_ms;
        state->margin_ms = before->margin_ms;
        if (__builtin_add_overflow(started_ms, before->retention_ms, &state->loses_at_ms)) {
            state->loses_at_ms = INT64_MAX;
        }
    }
}

static void count_gaps(const struct policy *policy, const struct tm_backup_result *result)
{
    for (int reason = TM_GAP_RETENTION; reason <= TM_GAP_CORRUPT_ON_BROKER; reason++) {
        if (reason != TM_GAP_SKIPPED && reason != TM_GAP_LOST_IN_VAULT) { /* no run makes these */
            tm_metric_add(TM_M_BACKUP_GAPS,
                    TM_LABELS(policy->config->cluster->name, policy->config->name,
                            tm_gap_reason_name((enum tm_gap_reason)reason)),
                    (double)result->gaps_by_reason[reason]);
        }
    }
}

/* Topics that the policy no longer has: numbers that stand still would be alerts that never end. */
static void forget_gone(struct policy *policy, const struct policy *before)
{
    for (size_t i = 0; i < before->topics.count; i++) {
        const char *topic = before->topics.at[i].topic;
        if (tmd_topic_find(policy, topic) == NULL) {
            tm_metric_forget_topic(
                    TM_LABELS(policy->config->cluster->name, policy->config->name, topic));
        }
    }
}

/* A run of a few topics says nothing of the others. */
static void take_topics(struct policy *policy, const struct tmd_job *job)
{
    const struct tm_backup_result *result = &job->outcome->backup;
    struct policy before = {.topics = policy->topics};
    if (job->backup.topic_count == 0) {
        memset(&policy->topics, 0, sizeof(policy->topics));
    }
    for (size_t i = 0; i < result->topics.count; i++) {
        const struct tm_backup_topic *topic = &result->topics.at[i];
        struct topic_state *state = tmd_topic_find(policy, topic->topic);
        state = state != NULL ? state : tmd_topic_add(policy, topic->topic);
        const struct topic_state *known = tmd_topic_find(&before, topic->topic);
        bool whole = !topic->failed && topic->behind == 0;
        state->behind = topic->behind;
        state->caught_up_ms = whole           ? job->row.started_ms
                              : known != NULL ? known->caught_up_ms
                                              : state->caught_up_ms;
        state->lost = topic->lost;
        state->failed = topic->failed;
        take_headroom(state, topic, known, job->row.started_ms);
    }
    if (job->backup.topic_count == 0) {
        forget_gone(policy, &before);
        tmd_topics_clear(&before);
        tm_vec_done(&before.topics);
    }
    count_gaps(policy, result);
    tm_metric_add(TM_M_VAULT_WRITTEN, TM_LABELS(policy->config->vault->name),
            (double)result->stored_bytes);
    tm_metric_add(TM_M_VAULT_DEDUPLICATED, TM_LABELS(policy->config->vault->name),
            (double)result->deduplicated_bytes);
}

static void take_point(struct policy *policy, const struct tm_backup_result *result)
{
    if (!result->has_point || result->unchanged) {
        return;
    }
    int64_t at_ms = tm_ulid_time_ms(&result->point);
    (void)tm_ulid_format(&result->point, "rp_", policy->newest);
    policy->totals.count++;
    policy->totals.newest_ms = at_ms;
    policy->totals.oldest_ms = policy->totals.oldest_ms == 0 ? at_ms : policy->totals.oldest_ms;
}

static void count_run(struct policy *policy, const struct tmd_job *job)
{
    const char *cluster = policy->config->cluster->name;
    const char *name = policy->config->name;
    tm_metric_add(TM_M_BACKUP_RUNS, TM_LABELS(cluster, name, tmd_result_label(job->row.state)), 1);
    tm_metric_set(TM_M_BACKUP_IN_PROGRESS, TM_LABELS(cluster, name), 0);
    if (job->row.started_ms > 0) { /* else it was cancelled while it was queued */
        tm_metric_set(TM_M_BACKUP_LAST_DURATION, TM_LABELS(cluster, name),
                (double)(job->row.finished_ms - job->row.started_ms) / 1000);
    }
    if (job->outcome->code != TM_OK) {
        bool kafka = job->outcome->code == TM_E_KAFKA || job->outcome->code == TM_E_TIMEOUT;
        if (kafka) {
            tm_metric_set(TM_M_KAFKA_UP, TM_LABELS(cluster), 0);
        }
    } else if (job->outcome->has_backup) {
        tm_metric_set(TM_M_KAFKA_UP, TM_LABELS(cluster), 1);
    }
}

/* The run counted under the names that it began with: a reload may have taken them away. */
static void forget_stale(struct policy *policy, const struct tmd_job *job)
{
    bool moved = policy != NULL && job->policy != NULL &&
                 strcmp(policy->config->cluster->name, job->policy->cluster->name) != 0;
    if (policy == NULL || moved) {
        tm_metric_forget("policy", job->row.policy);
    }
    if (moved) {
        policy->zeroed = false;
    }
}

void tmd_policy_ended(struct tmd *tmd, const struct tmd_job *job)
{
    struct policy *policy = tmd_policy_find(tmd, job->row.policy);
    forget_stale(policy, job);
    if (policy == NULL || job->row.finished_ms == 0) {
        return;
    }
    policy->running[0] = '\0';
    if (job->flush && job->row.state == TM_JOB_CANCELLED) {
        tm_metric_set(TM_M_BACKUP_IN_PROGRESS,
                TM_LABELS(policy->config->cluster->name, policy->config->name), 0);
        return; /* a run goes first: what it had is committed, and nothing is amiss */
    }
    policy->last_attempt_ms = job->row.finished_ms;
    /* A cluster that is away must not hold a place that others' runs could have, every few seconds anew. */
    policy->rests_until_ms =
            job->row.state == TM_JOB_FAILED ? job->row.finished_ms + FLUSH_REST_MS : 0;
    policy->last_result = tm_job_state_name(job->row.state);
    free(policy->last_error);
    policy->last_error = tmd_policy_error(job->row.state, job->row.error);
    if (job->row.state == TM_JOB_SUCCEEDED && job->backup.topic_count == 0) {
        policy->last_success_ms = job->row.finished_ms;
        policy->caught_up_ms = job->row.started_ms;
    }
    if (job->outcome->has_backup) {
        take_topics(policy, job);
        take_point(policy, &job->outcome->backup);
    }
    count_run(policy, job);
    if (policy->again && !tmd->draining) {
        policy->again = false;
        fire(policy);
    }
}
