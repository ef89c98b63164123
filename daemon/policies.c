/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tmd.h"

enum {
    LOOK_MS = 30 * 1000, /* a timer is never set farther ahead: the wall clock may jump */
    HISTORY = 50,        /* jobs of a policy looked through for its last success */
    STALE_INTERVALS = 2, /* without success for longer than that many runs: stale */
};

struct topic_state {
    char *topic;
    int64_t behind;
    int64_t lost;
    bool failed;
};

struct policy {
    struct tmd *tmd;
    const struct tm_config_policy *config;
    uv_timer_t timer;
    int64_t next_run_ms; /* 0: none planned */
    int64_t started_ms;
    bool again; /* overlap: queue, and a planned run came while one was going on */
    int64_t last_success_ms;
    int64_t last_attempt_ms;
    const char *last_result; /* static name of a job state; NULL: none */
    char running[TM_ULID_NAME_MAX];
    char newest[TM_ULID_NAME_MAX];
    struct tm_point_totals totals;
    TM_VEC(struct topic_state) topics;
};

struct tmd_policies {
    struct tmd *tmd;
    struct policy *at;
    size_t count;
    TM_VEC(struct tm_policy_view) views;
    TM_VEC(struct tm_status_row) rows;
};

static const char *const results[] = {"success", "partial", "failure"};

struct tmd_policies *tmd_policies_new(struct tmd *tmd)
{
    struct tmd_policies *policies = tm_xalloc(1, sizeof(*policies));
    policies->tmd = tmd;
    policies->count = tmd->config->policy_count;
    policies->at = tm_xalloc(policies->count + 1, sizeof(*policies->at));
    for (size_t i = 0; i < policies->count; i++) {
        struct policy *policy = &policies->at[i];
        policy->tmd = tmd;
        policy->config = &tmd->config->policies[i];
        tm_assert(uv_timer_init(&tmd->loop, &policy->timer) == 0);
        policy->timer.data = policy;
    }
    return policies;
}

static void clear_topics(struct policy *policy)
{
    for (size_t i = 0; i < policy->topics.count; i++) {
        free(policy->topics.at[i].topic);
    }
    policy->topics.count = 0;
}

void tmd_policies_free(struct tmd_policies *policies)
{
    if (policies == NULL) {
        return;
    }
    for (size_t i = 0; i < policies->count; i++) {
        clear_topics(&policies->at[i]);
        tm_vec_done(&policies->at[i].topics);
    }
    tm_vec_done(&policies->views);
    tm_vec_done(&policies->rows);
    free(policies->at);
    free(policies);
}

static struct policy *find(struct tmd *tmd, const char *name)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        if (strcmp(tmd->policies->at[i].config->name, name) == 0) {
            return &tmd->policies->at[i];
        }
    }
    return NULL;
}

/* What was there before ------------------------------------------------------------------------ */

struct load {
    struct tmd *tmd;
    void (*done)(struct tmd *tmd);
    struct found {
        int64_t last_success_ms;
        int64_t last_attempt_ms;
        const char *last_result;
        bool has_newest;
        struct tm_id16 newest;
        struct tm_point_totals totals;
    } * found; /* one a policy */
};

/* A run of a few topics is no success of its policy. */
static bool was_of_all(const struct tm_job_row *row, struct tm_arena *arena)
{
    struct tm_backup_request request = {0};
    struct tm_err err = {0};
    return tmd_backup_request_read(row->request, arena, &request, &err) == TM_OK &&
           request.topic_count == 0;
}

static void load_history(struct tmd_keep *keep, const char *policy, struct found *found)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_job_row *rows = NULL;
    size_t count = 0;
    struct tm_job_query query = {.kind = TM_JOB_BACKUP,
            .state = -1,
            .policy = policy,
            .since_ms = INT64_MIN,
            .limit = HISTORY};
    if (tm_journal_jobs(keep->journal, &query, &arena, &rows, &count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END);
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].finished_ms == 0) {
            continue;
        }
        if (found->last_attempt_ms == 0) {
            found->last_attempt_ms = rows[i].finished_ms;
            found->last_result = tm_job_state_name(rows[i].state);
        }
        if (found->last_success_ms == 0 && rows[i].state == TM_JOB_SUCCEEDED &&
                was_of_all(&rows[i], &arena)) {
            found->last_success_ms = rows[i].finished_ms;
        }
    }
    tm_arena_done(&arena);
}

static void load_points(struct tm_catalog *catalog, const char *policy, struct found *found)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_point_query query = {.policy = policy,
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .partial = -1,
            .limit = 1};
    if (tm_catalog_point_totals(catalog, policy, &found->totals, &err) != TM_OK ||
            tm_catalog_points(catalog, &query, &arena, &lines, &count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "catalog.unusable", err.msg, TM_LOG_STR("policy", policy), TM_LOG_END);
    } else if (count > 0) {
        found->has_newest = true;
        found->newest = lines[0].row.ulid;
    }
    tm_arena_done(&arena);
}

static void load_work(struct tmd_keep *keep, void *arg)
{
    struct load *load = arg;
    for (size_t i = 0; i < keep->config->policy_count; i++) {
        const struct tm_config_policy *policy = &keep->config->policies[i];
        struct tm_catalog *catalog = keep->catalogs[policy->vault - keep->config->vaults];
        load_history(keep, policy->name, &load->found[i]);
        if (catalog != NULL) {
            load_points(catalog, policy->name, &load->found[i]);
        }
    }
}

static void load_done(void *arg)
{
    struct load *load = arg;
    struct tmd *tmd = load->tmd;
    for (size_t i = 0; i < tmd->policies->count; i++) {
        struct policy *policy = &tmd->policies->at[i];
        const struct found *found = &load->found[i];
        policy->last_success_ms = found->last_success_ms;
        policy->last_attempt_ms = found->last_attempt_ms;
        policy->last_result = found->last_result;
        policy->totals = found->totals;
        if (found->has_newest) {
            (void)tm_ulid_format(&found->newest, "rp_", policy->newest);
        }
    }
    void (*done)(struct tmd * tmd) = load->done;
    free(load->found);
    free(load);
    done(tmd);
}

void tmd_policies_load(struct tmd *tmd, void (*done)(struct tmd *tmd))
{
    struct load *load = tm_xalloc(1, sizeof(*load));
    load->tmd = tmd;
    load->done = done;
    load->found = tm_xalloc(tmd->policies->count + 1, sizeof(*load->found));
    tmd_keeper_ask(tmd, load_work, load_done, load);
}

/* Planned runs -------------------------------------------------------------------------------- */

static void missed(const struct policy *policy, const char *reason)
{
    tm_metric_add(TM_M_SCHEDULE_MISSED,
            TM_LABELS(policy->config->cluster->name, policy->config->name, reason), 1);
    tm_log(TM_LOG_WARNING, "schedule.missed", "a planned run did not start",
            TM_LOG_STR("policy", policy->config->name), TM_LOG_STR("reason", reason), TM_LOG_END);
}

static void refused(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)job;
    (void)created;
    if (problem != NULL) {
        missed(arg, strcmp(problem->slug, "queue-full") == 0 ? "queue_full" : "journal");
    }
}

static void fire(struct policy *policy)
{
    if (tmd_job_of_policy(policy->tmd, policy->config->name) == NULL) {
        tmd_backup(policy->tmd, policy->config, NULL, NULL, refused, policy);
    } else if (policy->config->overlap == TM_OVERLAP_QUEUE) {
        policy->again = true;
    } else {
        missed(policy, "overlap");
    }
}

static void look(uv_timer_t *timer);

static void set_timer(struct policy *policy)
{
    int64_t wait_ms = policy->next_run_ms - tm_now_ms();
    wait_ms = wait_ms < 0 ? 0 : wait_ms > LOOK_MS ? LOOK_MS : wait_ms;
    tm_assert(uv_timer_start(&policy->timer, look, (uint64_t)wait_ms, 0) == 0);
}

static void plan_next(struct policy *policy, int64_t after_ms)
{
    if (!tm_schedule_next(&policy->config->schedule, after_ms, &policy->next_run_ms)) {
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
        if (tm_schedule_next(&policy->config->schedule, now_ms, &planned_ms) &&
                planned_ms < policy->next_run_ms) {
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
           tm_schedule_next(&policy->config->schedule, policy->last_attempt_ms, &planned_ms) &&
           planned_ms < now_ms;
}

void tmd_policies_start(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        struct policy *policy = &tmd->policies->at[i];
        int64_t now_ms = tm_now_ms();
        bool going_on = tmd_job_of_policy(tmd, policy->config->name) != NULL; /* taken up again */
        if (!going_on && missed_while_down(policy, now_ms)) {
            if (policy->config->catch_up == TM_CATCH_UP_ONCE) {
                fire(policy);
            } else {
                missed(policy, "downtime");
            }
        }
        plan_next(policy, now_ms);
    }
}

void tmd_policies_stop(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        (void)uv_timer_stop(&tmd->policies->at[i].timer);
        tmd->policies->at[i].again = false;
    }
}

/* Runs ---------------------------------------------------------------------------------------- */

void tmd_policy_started(struct tmd *tmd, const struct tmd_job *job)
{
    struct policy *policy = find(tmd, job->row.policy);
    if (policy == NULL) {
        return;
    }
    memcpy(policy->running, job->name, sizeof(policy->running));
    policy->started_ms = job->row.started_ms;
    tm_metric_set(TM_M_BACKUP_IN_PROGRESS,
            TM_LABELS(policy->config->cluster->name, policy->config->name), 1);
}

/* The topic's row, if it has one. */
static struct topic_state *find_topic(struct policy *policy, const char *topic)
{
    for (size_t i = 0; i < policy->topics.count; i++) {
        if (strcmp(policy->topics.at[i].topic, topic) == 0) {
            return &policy->topics.at[i];
        }
    }
    return NULL;
}

static struct topic_state *add_topic(struct policy *policy, const char *topic)
{
    struct topic_state *state = tm_vec_push(&policy->topics);
    state->topic = strdup(topic);
    tm_assert(state->topic != NULL);
    return state;
}

/* A run of a few topics says nothing of the others. */
static void take_topics(struct policy *policy, const struct tmd_job *job)
{
    const struct tm_backup_result *result = &job->outcome->backup;
    const char *cluster = policy->config->cluster->name;
    const char *name = policy->config->name;
    bool of_all = job->backup.topic_count == 0;
    if (of_all) {
        clear_topics(policy);
    }
    for (size_t i = 0; i < result->topics.count; i++) {
        const struct tm_backup_topic *topic = &result->topics.at[i];
        struct topic_state *state = of_all ? NULL : find_topic(policy, topic->topic);
        state = state != NULL ? state : add_topic(policy, topic->topic);
        state->behind = topic->behind;
        state->lost = topic->lost;
        state->failed = topic->failed;
        tm_metric_add(TM_M_BACKUP_MESSAGES, TM_LABELS(cluster, name, topic->topic),
                (double)topic->messages);
        tm_metric_add(
                TM_M_BACKUP_BYTES, TM_LABELS(cluster, name, topic->topic), (double)topic->bytes);
        tm_metric_add(TM_M_TOPIC_GAPS, TM_LABELS(cluster, name, topic->topic), (double)topic->lost);
    }
    tm_metric_add(TM_M_VAULT_WRITTEN, TM_LABELS(policy->config->vault->name),
            (double)result->stored_bytes);
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
    const char *result = job->row.state == TM_JOB_SUCCEEDED ? results[0]
                         : job->row.state == TM_JOB_PARTIAL ? results[1]
                                                            : results[2];
    tm_metric_add(TM_M_BACKUP_RUNS, TM_LABELS(cluster, name, result), 1);
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

void tmd_policy_ended(struct tmd *tmd, const struct tmd_job *job)
{
    struct policy *policy = find(tmd, job->row.policy);
    if (policy == NULL || job->row.finished_ms == 0) {
        return;
    }
    policy->running[0] = '\0';
    policy->last_attempt_ms = job->row.finished_ms;
    policy->last_result = tm_job_state_name(job->row.state);
    if (job->row.state == TM_JOB_SUCCEEDED && job->backup.topic_count == 0) {
        policy->last_success_ms = job->row.finished_ms;
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

/* Views --------------------------------------------------------------------------------------- */

static void view(const struct policy *policy, struct tm_policy_view *out)
{
    const struct tm_config_policy *config = policy->config;
    *out = (struct tm_policy_view){
            .name = config->name,
            .cluster = config->cluster->name,
            .vault = config->vault->name,
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
            .running_job = policy->running[0] != '\0' ? policy->running : NULL,
            .newest_point = policy->newest[0] != '\0' ? policy->newest : NULL,
            .newest_point_ms = policy->totals.newest_ms,
            .oldest_point_ms = policy->totals.oldest_ms,
            .interval_ms = tm_schedule_interval_ms(&config->schedule),
    };
}

size_t tmd_policy_views(struct tmd *tmd, const struct tm_policy_view **out)
{
    struct tmd_policies *policies = tmd->policies;
    policies->views.count = 0;
    for (size_t i = 0; i < policies->count; i++) {
        view(&policies->at[i], tm_vec_push(&policies->views));
    }
    *out = policies->views.at;
    return policies->views.count;
}

/* How a topic stands, in the words of GET /v1/status. */
static const char *state_of(
        const struct policy *policy, const struct topic_state *topic, int64_t now_ms)
{
    int64_t interval_ms = tm_schedule_interval_ms(&policy->config->schedule);
    int64_t age_ms = now_ms - policy->last_success_ms;
    int64_t rpo_ms = policy->config->rpo_ms;
    if (policy->last_success_ms == 0) {
        return "never";
    }
    if (rpo_ms > 0 && age_ms > rpo_ms) {
        return "breached";
    }
    if (topic != NULL && topic->lost > 0) {
        return "gap";
    }
    if (interval_ms > 0 && age_ms > STALE_INTERVALS * interval_ms) {
        return "stale";
    }
    if ((topic != NULL && topic->failed) || (interval_ms > 0 && age_ms > interval_ms + LOOK_MS)) {
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
        const struct policy *policy = &policies->at[i];
        size_t topics = policy->topics.count;
        for (size_t t = 0; t < (topics > 0 ? topics : 1); t++) {
            const struct topic_state *topic = topics > 0 ? &policy->topics.at[t] : NULL;
            *tm_vec_push(&policies->rows) = (struct tm_status_row){
                    .cluster = policy->config->cluster->name,
                    .policy = policy->config->name,
                    .topic = topic != NULL ? topic->topic : "",
                    .state = state_of(policy, topic, now_ms),
                    .behind_messages = topic != NULL ? topic->behind : -1,
                    .gap_offsets = topic != NULL ? topic->lost : 0,
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
    static const char *const reasons[] = {"overlap", "downtime", "queue_full", "journal"};
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        tm_metric_add(TM_M_BACKUP_RUNS, TM_LABELS(cluster, name, results[i]), 0);
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        tm_metric_add(TM_M_SCHEDULE_MISSED, TM_LABELS(cluster, name, reasons[i]), 0);
    }
    tm_metric_add(TM_M_BACKUP_IN_PROGRESS, TM_LABELS(cluster, name), 0);
    tm_metric_set(TM_M_POLICY_INFO, TM_LABELS(cluster, name, "scheduled"), 1);
}

void tmd_policy_metrics(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->policies->count; i++) {
        const struct policy *policy = &tmd->policies->at[i];
        const char *const *labels = TM_LABELS(policy->config->cluster->name, policy->config->name);
        zero_counters(policy);
        tm_metric_set(TM_M_POINTS, labels, (double)policy->totals.count);
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
