/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/ulid.h"
#include "job/restore_aim.h"
#include "job/restore_groups.h"
#include "job/restore_preflight.h"
#include "job/restore_run.h"

enum {
    REQUEST_MS = 30 * 1000,
    TOPIC_NAME_MAX = 249,
    COUNT_BYTES = 64 << 20, /* that a plan reads to count what is chosen: about a second */
    COUNT_RUNS = 64,
};

int64_t tm_restore_request_ms(const struct tm_restore_options *options)
{
    return options->request_ms > 0 ? options->request_ms : REQUEST_MS;
}

void tm_restore_plan_done(struct tm_restore_plan *plan)
{
    tm_vec_done(&plan->topics);
    tm_vec_done(&plan->groups);
    tm_vec_done(&plan->warnings);
    tm_vec_done(&plan->blocking);
    tm_arena_done(&plan->arena);
}

static void block(
        struct tm_restore_plan *plan, const char *slug, const char *topic, const char *detail)
{
    tm_job_note_add(&plan->blocking, &plan->arena, slug, topic, -1, detail);
}

/* The name that the topic gets: renamed if it is listed, else prefix and suffix around it. */
static const char *target_name(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, const char *source)
{
    for (size_t i = 0; i < options->rename_count; i++) {
        if (strcmp(options->renames[i].from, source) == 0) {
            return tm_arena_strdup(&plan->arena, options->renames[i].to);
        }
    }
    return tm_arena_fmt(&plan->arena, "%s%s%s", options->prefix != NULL ? options->prefix : "",
            source, options->suffix != NULL ? options->suffix : "");
}

/* Kafka's own rule for topic names (org.apache.kafka.common.internals.Topic). */
static bool valid_name(const char *name)
{
    size_t len = strlen(name);
    bool legal =
            len > 0 && len <= TOPIC_NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    for (size_t i = 0; legal && i < len; i++) {
        char c = name[i];
        legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '_' || c == '-';
    }
    return legal;
}

static enum tm_code add_topic(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, const struct tm_row_topic *row,
        struct tm_chosen_budget *budget, struct tm_err *err)
{
    const struct tm_stream *stream = tm_point_stream(&plan->point, row->stream);
    tm_assert(stream != NULL);
    const char *source = tm_arena_str(&plan->arena, stream->topic);
    bool selected = options->select == NULL || tm_select_matches(options->select, source);
    if (!selected || !tm_restore_wants(options, source)) {
        return TM_OK;
    }
    struct tm_restore_topic topic = {
            .source = source,
            .target = target_name(options, plan, source),
            .stream = row->stream,
            .partitions = (int32_t)row->partitions,
            .target_partitions = (int32_t)row->partitions,
            .ts_min = INT64_MAX,
            .ts_max = INT64_MIN,
    };
    TM_TRY(tm_restore_count(options, plan, &topic, budget, err));
    *tm_vec_push(&plan->topics) = topic;
    plan->messages += topic.messages;
    plan->bytes += topic.bytes;
    plan->exact = plan->exact && topic.exact;
    return TM_OK;
}

static int by_source(const void *left, const void *right)
{
    const struct tm_restore_topic *a = left;
    const struct tm_restore_topic *b = right;
    return strcmp(a->source, b->source);
}

static enum tm_code add_topics(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    const struct tm_row_point *point = &plan->point.row;
    TM_OWN(tm_pack_cache_free)
    struct tm_pack_cache *cache = tm_pack_cache_new(options->vault);
    struct tm_chosen_budget budget = {options->vault, cache, COUNT_BYTES, COUNT_RUNS};
    enum tm_code code = tm_pack_cache_follow(cache, options->catalog, err);
    plan->exact = true;
    for (size_t i = 0; code == TM_OK && i < point->topic_count; i++) {
        code = add_topic(options, plan, &point->topics[i], &budget, err);
    }
    if (plan->topics.count > 0) { /* the point has them as its run happened to reach them */
        qsort(plan->topics.at, plan->topics.count, sizeof(*plan->topics.at), by_source);
    }
    bool windowed = options->choice != NULL && options->choice->window_count > 0;
    if (code == TM_OK && plan->topics.count == 0 && !windowed) { /* a window says which */
        block(plan, "not-found", NULL, "the point has no topic that the request selects");
    }
    return code;
}

/* A name that stands for nothing may be a slip: what was meant goes where it was not meant to. */
static void check_renames(const struct tm_restore_options *options, struct tm_restore_plan *plan)
{
    for (size_t i = 0; i < options->rename_count; i++) {
        const char *from = options->renames[i].from;
        bool met = false;
        for (size_t t = 0; t < plan->topics.count && !met; t++) {
            met = strcmp(plan->topics.at[t].source, from) == 0;
        }
        if (!met) {
            tm_job_note_add(&plan->warnings, &plan->arena, "rename-unused", from, -1,
                    "no topic of this name is restored: its new name is not used");
        }
    }
}

static void check_same_target(struct tm_restore_plan *plan, const struct tm_restore_topic *topic,
        const struct tm_restore_topic *other)
{
    if (strcmp(topic->target, other->target) == 0) {
        block(plan, "invalid-request", topic->source,
                tm_arena_fmt(&plan->arena, "%s and %s would both be restored into %s",
                        other->source, topic->source, topic->target));
    }
}

static void check_names(struct tm_restore_plan *plan)
{
    for (size_t i = 0; i < plan->topics.count; i++) {
        const struct tm_restore_topic *topic = &plan->topics.at[i];
        if (!valid_name(topic->target)) {
            block(plan, "invalid-request", topic->source,
                    tm_arena_fmt(
                            &plan->arena, "\"%s\" is not a topic name Kafka takes", topic->target));
        }
        for (size_t other = 0; other < i; other++) {
            check_same_target(plan, topic, &plan->topics.at[other]);
        }
    }
}

static const struct tm_restore_target *find_ours(
        const struct tm_restore_target *targets, size_t count, const char *topic)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(targets[i].topic, topic) == 0) {
            return &targets[i];
        }
    }
    return NULL;
}

/* Is there a record in the topic? Or is it not to be known? Either blocks. */
static enum tm_code check_empty(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, const struct tm_restore_topic *topic, struct tm_err *err)
{
    struct tm_offsets *rows =
            tm_arena_alloc(&plan->arena, (size_t)topic->target_partitions + 1, sizeof(*rows));
    for (int32_t p = 0; p < topic->target_partitions; p++) {
        rows[p] = (struct tm_offsets){.topic = topic->target, .partition = p};
    }
    TM_TRY(tm_kafka_offsets(options->kafka, rows, (size_t)topic->target_partitions,
            tm_restore_request_ms(options), err));
    for (int32_t p = 0; p < topic->target_partitions; p++) {
        if (rows[p].code != TM_OK || rows[p].log_start != rows[p].high_watermark) {
            block(plan, "topic-exists", topic->source,
                    tm_arena_fmt(&plan->arena,
                            "topic %s on %s is not empty (partition %" PRId32 ")", topic->target,
                            options->target, p));
            return TM_OK;
        }
    }
    return TM_OK;
}

static enum tm_code check_existing(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_restore_topic *topic,
        const struct tm_topic_info *info, struct tm_err *err)
{
    size_t blocking = plan->blocking.count;
    topic->exists = true;
    topic->replicas = info->replication_factor;
    if (tm_restore_aim(options, plan, topic, info) || topic->ours ||
            plan->blocking.count > blocking) {
        return TM_OK;
    }
    if (options->existing == TM_EXISTING_FAIL) {
        block(plan, "topic-exists", topic->source,
                tm_arena_fmt(&plan->arena,
                        "topic %s exists on %s; rename, or restore into it with "
                        "\"existing\": \"empty_only\" if it is empty",
                        topic->target, options->target));
        return TM_OK;
    }
    return check_empty(options, plan, topic, err);
}

static enum tm_code check_target(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    struct tm_restore_target *ours = NULL;
    size_t ours_count = 0;
    struct tm_topic_list list = {0};
    enum tm_code code = TM_OK;
    if (options->journal != NULL) {
        code = tm_journal_targets(
                options->journal, &options->job, &plan->arena, &ours, &ours_count, err);
    }
    if (code == TM_OK) {
        code = tm_kafka_topics(options->kafka, tm_restore_request_ms(options), &list, err);
    }
    for (size_t i = 0; code == TM_OK && i < plan->topics.count; i++) {
        struct tm_restore_topic *topic = &plan->topics.at[i];
        const struct tm_topic_info *info = NULL;
        for (size_t t = 0; t < list.count && info == NULL; t++) {
            info = strcmp(list.at[t].name, topic->target) == 0 ? &list.at[t] : NULL;
        }
        const struct tm_restore_target *known = find_ours(ours, ours_count, topic->target);
        topic->ours = known != NULL && !tm_restore_aim_pending(known);
        topic->created = known != NULL && known->created;
        topic->configured = known != NULL && known->configured && info != NULL;
        if (info != NULL) {
            code = check_existing(options, plan, topic, info, err);
        } else if (options->create_topics == TM_CREATE_NEVER) {
            block(plan, "not-found", topic->source,
                    tm_arena_fmt(&plan->arena, "topic %s is not on %s, and create_topics is never",
                            topic->target, options->target));
        } else {
            (void)tm_restore_aim(options, plan, topic, NULL);
        }
    }
    tm_topic_list_done(&list);
    return code == TM_OK ? tm_restore_aim_check(options, plan, err) : code;
}

static void check_coverage(const struct tm_restore_options *options, struct tm_restore_plan *plan)
{
    for (size_t i = 0; i < plan->topics.count; i++) {
        const struct tm_restore_topic *topic = &plan->topics.at[i];
        if (topic->lost == 0) {
            continue;
        }
        const char *detail = tm_arena_fmt(&plan->arena,
                "%" PRId64 " offsets of %s are not stored, the first of them partition %" PRId32
                " offset %" PRId64 ": they were gone from the source before they were "
                "captured, or are freed or lost in the vault%s",
                topic->lost, topic->source, topic->lost_partition, topic->lost_first,
                options->continue_on_gap
                        ? ""
                        : "; pass \"on_gap\": \"continue\" to restore around them");
        if (options->continue_on_gap) {
            tm_job_note_add(&plan->warnings, &plan->arena, "gap", topic->source, -1, detail);
        } else {
            block(plan, "no-coverage", topic->source, detail);
        }
    }
    if ((plan->point.row.flags & TM_POINT_PARTIAL) != 0) {
        tm_job_note_add(&plan->warnings, &plan->arena, "partial-point", NULL, -1,
                "the point is partial: some partitions stop short of where Kafka was");
    }
    if ((plan->point.row.flags & TM_POINT_CONFIGS_UNKNOWN) != 0 && options->original_configs) {
        tm_job_note_add(&plan->warnings, &plan->arena, "configs-unknown", NULL, -1,
                "the source cluster did not tell topic configurations: the target's defaults "
                "apply");
    }
}

/* What would be done, as one hash: if it differs at the restore, something moved in between. */
static void digest(const struct tm_restore_options *options, struct tm_restore_plan *plan)
{
    TM_BUF_OWN struct tm_buf text = {0};
    char point[TM_ULID_NAME_MAX];
    tm_buf_add_fmt(&text, "%s\n%s\n%d %d %d %d %d %d\n",
            tm_ulid_format(&plan->point.row.ulid, "rp_", point), options->target,
            (int)options->create_topics, (int)options->existing, (int)options->retention,
            (int)options->original_configs, (int)options->replication_factor,
            (int)options->continue_on_gap);
    tm_restore_describe_choice(options, &text);
    tm_restore_aim_digest(&options->into, &text);
    for (size_t i = 0; i < plan->topics.count; i++) {
        const struct tm_restore_topic *topic = &plan->topics.at[i];
        tm_buf_add_fmt(&text, "%s\n%s\n%d %" PRId32 " %" PRId32 " %" PRId64 " %" PRId64 "\n",
                topic->source, topic->target, topic->exists ? 1 : 0, topic->partitions,
                topic->target_partitions, topic->messages, topic->bytes);
    }
    tm_preflight_digest(options, plan, &text);
    tm_restore_describe_groups(options, plan, &text);
    struct tm_hash hash = tm_sha256_of(tm_buf_slice(&text));
    memcpy(plan->digest, "sha256:", 7);
    tm_hex(hash.bytes, sizeof(hash.bytes), plan->digest + 7);
}

enum tm_code tm_restore_plan(const struct tm_restore_options *options, struct tm_job_env *env,
        struct tm_restore_plan *out, struct tm_err *err)
{
    atomic_store(&env->progress->phase, TM_PHASE_PLANNING);
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    TM_TRY(tm_vault_need_read(options->vault, err)); /* before anything is made at the target */
    TM_TRY(tm_vault_refresh(options->vault, &fold, err));
    TM_TRY(tm_restore_read_point(options, out, err));
    TM_TRY(add_topics(options, out, err));
    check_names(out);
    check_renames(options, out);
    TM_TRY(tm_restore_check_choice(options, out, err));
    TM_TRY(check_target(options, out, err));
    check_coverage(options, out);
    TM_TRY(tm_restore_preflight(options, out, err));
    TM_TRY(tm_restore_plan_groups(options, out, err));
    digest(options, out);
    return TM_OK;
}
