/* SPDX-License-Identifier: Apache-2.0 */
#include "job/retention_warn.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

enum {
    TOPICS_SHOWN = 20, /* a policy; the rest are counted */
    CONFIG_TEXT = 32,
    SPAN = 24, /* of tm_format_duration() */
    WORDS = 400,
};

/* log.retention.hours of a broker that nobody has set: Kafka's documentation, broker configs. */
static const int64_t broker_default_ms = INT64_C(7) * 24 * 3600 * 1000;

static const struct tm_config_pair *find_config(const struct tm_row_topic *topic, const char *key)
{
    for (size_t i = 0; i < topic->config_count; i++) {
        if (tm_slice_eq(topic->configs[i].key, tm_slice_str(key))) {
            return &topic->configs[i];
        }
    }
    return NULL;
}

/* How long the topic itself keeps records; INT64_MAX: for ever, or as long as they are the newest. */
static int64_t topic_keeps_ms(const struct tm_row_topic *topic)
{
    const struct tm_config_pair *policy = find_config(topic, "cleanup.policy");
    const struct tm_config_pair *retention = find_config(topic, "retention.ms");
    char text[CONFIG_TEXT];
    int64_t ms = broker_default_ms;
    struct tm_err ignored = {0};
    if (policy != NULL && tm_slice_eq(policy->value, tm_slice_str("compact"))) {
        return INT64_MAX;
    }
    if (retention == NULL || retention->value.len >= sizeof(text)) {
        return broker_default_ms;
    }
    (void)snprintf(text, sizeof(text), "%.*s", (int)retention->value.len,
            (const char *)retention->value.at);
    if (tm_parse_i64(text, &ms, &ignored) != TM_OK) {
        return broker_default_ms;
    }
    return ms < 0 ? INT64_MAX : ms;
}

static void warn_topic(struct tm_retention_plan *plan, const struct tm_retention_policy *policy,
        const struct tm_gfs_spacing *spacing, const char *topic, int64_t keeps_ms)
{
    char words[WORDS];
    char from[SPAN];
    char apart[SPAN];
    char keeps[SPAN];
    char until[SPAN];
    char window[SPAN];
    (void)snprintf(words, sizeof(words),
            "policy %s: from an age of %s on its points lie %s apart, and topic %s keeps records "
            "for "
            "%s: what lies between two points is freed; set keep_data to %s or more (it is %s)",
            policy->policy, tm_format_duration(spacing->from_ms, from),
            tm_format_duration(spacing->widest_ms, apart), topic,
            tm_format_duration(keeps_ms, keeps), tm_format_duration(spacing->until_ms, until),
            tm_format_duration(policy->keep_data_s * 1000, window));
    tm_job_note_add(&plan->warnings, &plan->arena, "frees-between-points", topic, -1, words);
}

/* Of the policy's newest point: what it holds is what the next ones will. */
static enum tm_code warn_policy(const struct tm_retention_options *options,
        const struct tm_retention_policy *policy, const struct tm_point_head *newest,
        struct tm_retention_plan *plan, struct tm_err *err)
{
    struct tm_gfs_spacing spacing = tm_gfs_spacing(&policy->rules, policy->interval_ms);
    struct tm_point point = {0};
    if (spacing.widest_ms == 0 || policy->keep_data_s >= spacing.until_ms / 1000) {
        return TM_OK;
    }
    TM_TRY(tm_catalog_point(options->catalog, &newest->ulid, &plan->arena, &point, err));
    size_t more = 0;
    size_t shown = 0;
    for (size_t i = 0; i < point.row.topic_count; i++) {
        const struct tm_row_topic *topic = &point.row.topics[i];
        int64_t keeps_ms = topic_keeps_ms(topic);
        bool warn = spacing.widest_ms > keeps_ms;
        if (warn && shown < TOPICS_SHOWN) {
            const char *name = tm_arena_str(&plan->arena, tm_point_topic(&point, topic->stream));
            warn_topic(plan, policy, &spacing, name, keeps_ms);
            shown++;
        } else {
            more += warn ? 1 : 0;
        }
    }
    if (more > 0) {
        char words[WORDS];
        (void)snprintf(words, sizeof(words), "policy %s: the same of %zu more topics",
                policy->policy, more);
        tm_job_note_add(&plan->warnings, &plan->arena, "frees-between-points", NULL, -1, words);
    }
    return TM_OK;
}

static void warn_unknown(
        struct tm_retention_plan *plan, const struct tm_point_head *point, size_t count)
{
    char words[WORDS];
    (void)snprintf(words, sizeof(words),
            "policy %.*s of cluster %.*s is not configured here: its %zu recovery points stay",
            (int)point->policy.len, (const char *)point->policy.at, (int)point->cluster_name.len,
            (const char *)point->cluster_name.at, count);
    tm_job_note_add(&plan->warnings, &plan->arena, "policy-not-configured", NULL, -1, words);
}

enum tm_code tm_retention_warn(const struct tm_retention_options *options,
        struct tm_retention_plan *plan, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    size_t from = 0;
    while (code == TM_OK && from < plan->lines.count) {
        const struct tm_point_head *newest = &plan->lines.at[from].point;
        size_t until = from + 1;
        while (until < plan->lines.count &&
                tm_slice_eq(plan->lines.at[until].point.policy, newest->policy) &&
                tm_slice_eq(plan->lines.at[until].point.cluster_id, newest->cluster_id)) {
            until++;
        }
        const struct tm_retention_policy *policy = tm_retention_policy_of(options, newest);
        if (policy != NULL) {
            code = warn_policy(options, policy, newest, plan, err);
        } else if (options->all_policies) {
            warn_unknown(plan, newest, until - from);
        }
        from = until;
    }
    return code;
}
