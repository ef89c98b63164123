/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the policies when the daemon starts, and of their points when some have gone. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kinds.h"
#include "policies_table.h"

enum { HISTORY = 50 }; /* jobs of a policy looked through for its last success */

/* The first that is not below it. */
static size_t place_of(const struct policy *policy, const char *topic)
{
    size_t low = 0;
    size_t high = policy->topics.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(policy->topics.at[mid].topic, topic) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

struct topic_state *tmd_topic_find(struct policy *policy, const char *topic)
{
    size_t at = place_of(policy, topic);
    bool there = at < policy->topics.count && strcmp(policy->topics.at[at].topic, topic) == 0;
    return there ? &policy->topics.at[at] : NULL;
}

struct topic_state *tmd_topic_add(struct policy *policy, const char *topic)
{
    size_t at = place_of(policy, topic);
    (void)tm_vec_push(&policy->topics);
    struct topic_state *state = &policy->topics.at[at];
    memmove(state + 1, state, (policy->topics.count - 1 - at) * sizeof(*state));
    *state = (struct topic_state){.topic = strdup(topic)};
    tm_assert(state->topic != NULL);
    return state;
}

char *tmd_policy_error(enum tm_job_state state, const char *error)
{
    char *copy = state == TM_JOB_FAILED && error != NULL ? strdup(error) : NULL;
    tm_assert(copy != NULL || state != TM_JOB_FAILED || error == NULL);
    return copy;
}

struct load {
    struct tmd *tmd;
    void (*done)(struct tmd *tmd); /* NULL: points alone, the rest is known */
    size_t count;
    struct found {
        const struct tm_config_policy *policy;
        bool fresh; /* its history is asked for */
        int64_t last_success_ms;
        int64_t success_began_ms;
        int64_t last_attempt_ms;
        const char *last_result;
        char *last_error; /* the policy's, in the end */
        bool known;       /* totals and newest point */
        bool has_newest;
        struct tm_id16 newest;
        struct tm_point_totals totals;
        const char **topics; /* of the newest point, in `arena` */
        size_t topic_count;
        struct tm_arena arena;
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
    struct tm_job_query query = {.kinds = 1U << TM_JOB_BACKUP,
            .policies = tm_names_one(&policy),
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
            found->last_error = tmd_policy_error(rows[i].state, rows[i].error);
        }
        if (found->last_success_ms == 0 && rows[i].state == TM_JOB_SUCCEEDED &&
                was_of_all(&rows[i], &arena)) {
            found->last_success_ms = rows[i].finished_ms;
            found->success_began_ms = rows[i].started_ms;
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
    struct tm_point_query query = {.policies = tm_names_one(&policy),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .limit = 1};
    if (tm_catalog_point_totals(catalog, policy, &found->totals, &err) != TM_OK ||
            tm_catalog_points(catalog, &query, &arena, &lines, &count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "catalog.unusable", err.msg, TM_LOG_STR("policy", policy), TM_LOG_END);
        tm_arena_done(&arena);
        return;
    }
    found->known = true;
    found->has_newest = count > 0;
    if (count > 0) {
        found->newest = lines[0].row.ulid;
    }
    tm_arena_done(&arena);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Before the first run of this process the topics are those of the newest point. */
static void load_topics(struct tm_catalog *catalog, struct found *found)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_point point = {0};
    if (tm_catalog_point(catalog, &found->newest, &arena, &point, &err) == TM_OK) {
        found->topics = tm_arena_alloc(&found->arena, point.stream_count + 1, sizeof(const char *));
        for (size_t i = 0; i < point.stream_count; i++) {
            found->topics[found->topic_count++] =
                    tm_arena_str(&found->arena, point.streams[i].topic);
        }
        if (found->topic_count > 0) { /* in order, each is added behind the one before */
            qsort(found->topics, found->topic_count, sizeof(const char *), by_name);
        }
    }
    tm_arena_done(&arena);
}

static void load_work(struct tmd_keep *keep, void *arg)
{
    struct load *load = arg;
    for (size_t i = 0; i < load->count; i++) {
        struct found *found = &load->found[i];
        const char *policy = found->policy->name;
        struct tm_catalog *catalog = tmd_keep_catalog(keep, found->policy->vault->name);
        if (found->fresh) {
            load_history(keep, policy, found);
        }
        if (catalog != NULL) {
            load_points(catalog, policy, found);
        }
        if (found->fresh && found->has_newest) {
            load_topics(catalog, found);
        }
    }
}

static void take_history(struct policy *policy, const struct found *found)
{
    policy->last_success_ms = found->last_success_ms;
    policy->last_attempt_ms = found->last_attempt_ms;
    policy->caught_up_ms = found->success_began_ms;
    policy->last_result = found->last_result;
    free(policy->last_error);
    policy->last_error = found->last_error;
    policy->zeroed = false;
    for (size_t i = 0; i < found->topic_count; i++) {
        if (i > 0 && strcmp(found->topics[i], found->topics[i - 1]) == 0) {
            continue; /* two histories of one name */
        }
        struct topic_state *state = tmd_topic_add(policy, found->topics[i]);
        state->behind = -1;
        state->retention_ms = -1;
        state->caught_up_ms = found->success_began_ms;
    }
}

static void take(struct policy *policy, const struct found *found)
{
    if (found->fresh) {
        take_history(policy, found);
    }
    if (found->known) {
        policy->totals = found->totals;
        policy->newest[0] = '\0';
    }
    if (found->has_newest) {
        (void)tm_ulid_format(&found->newest, "rp_", policy->newest);
    }
}

static void load_done(void *arg)
{
    struct load *load = arg;
    struct tmd *tmd = load->tmd;
    for (size_t i = 0; i < load->count; i++) {
        struct policy *policy = tmd_policy_find(tmd, load->found[i].policy->name);
        if (policy != NULL) { /* else it went while the catalogs were asked */
            take(policy, &load->found[i]);
        } else {
            free(load->found[i].last_error);
        }
        tm_arena_done(&load->found[i].arena);
    }
    void (*done)(struct tmd * tmd) = load->done;
    free(load->found);
    free(load);
    if (done != NULL) {
        done(tmd);
    }
}

static void ask_load(struct tmd *tmd, void (*done)(struct tmd *tmd))
{
    struct load *load = tm_xalloc(1, sizeof(*load));
    load->tmd = tmd;
    load->done = done;
    load->count = tmd->policies->count;
    load->found = tm_xalloc(load->count + 1, sizeof(*load->found));
    for (size_t i = 0; i < load->count; i++) {
        const struct policy *policy = tmd->policies->at[i];
        load->found[i].policy = policy->config;
        load->found[i].fresh = done != NULL && policy->fresh;
    }
    tmd_keeper_ask(tmd, load_work, load_done, load);
}

void tmd_policies_load(struct tmd *tmd, void (*done)(struct tmd *tmd))
{
    tm_assert(done != NULL);
    ask_load(tmd, done);
}

void tmd_policies_reload(struct tmd *tmd)
{
    ask_load(tmd, NULL);
}
