/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "job/backup_run.h"

enum { REQUEST_MS = 30 * 1000 };

static int64_t request_ms(const struct backup_run *run)
{
    return run->options->request_ms > 0 ? run->options->request_ms : REQUEST_MS;
}

static bool asked_for(const struct tm_backup_options *options, const char *topic)
{
    if (!tm_select_matches(options->select, topic)) {
        return false;
    }
    for (size_t i = 0; i < options->only_count; i++) {
        if (strcmp(options->only[i], topic) == 0) {
            return true;
        }
    }
    return options->only_count == 0;
}

/* A named topic that is missing is a failure, a pattern that meets nothing a warning. */
static void tell_of_empty_entries(struct backup_run *run, const struct tm_topic_list *all)
{
    const struct tm_select *select = run->options->select;
    for (size_t entry = 0; entry < tm_select_count(select); entry++) {
        bool met = false;
        for (size_t i = 0; i < all->count && !met; i++) {
            met = tm_select_entry_matches(select, entry, all->at[i].name);
        }
        const char *text = tm_select_entry(select, entry);
        if (!met && tm_select_entry_is_name(select, entry)) {
            tm_backup_fail(run, text, -1, "topic-missing", "the cluster has no topic of this name");
        } else if (!met) {
            char detail[TM_SELECT_PATTERN_MAX + 64];
            (void)snprintf(detail, sizeof(detail), "no topic matches \"%s\"", text);
            tm_job_note_add(&run->result->warnings, run->arena, "pattern-empty", NULL, -1, detail);
        }
    }
}

/* Topics asked for one by one that are not there: the run cannot do what it was asked to do. */
static void tell_of_missing(struct backup_run *run, const struct tm_topic_list *all)
{
    for (size_t i = 0; i < run->options->only_count; i++) {
        const char *name = run->options->only[i];
        bool there = false;
        for (size_t t = 0; t < all->count && !there; t++) {
            there = strcmp(all->at[t].name, name) == 0;
        }
        if (!tm_select_matches(run->options->select, name)) {
            tm_backup_fail(run, name, -1, "topic-missing", "the policy does not select this topic");
        } else if (!there) {
            tm_backup_fail(run, name, -1, "topic-missing", "the cluster has no topic of this name");
        }
    }
}

/* Keep only the topics that are asked for. */
static void select_topics(struct backup_run *run)
{
    struct tm_topic_list *list = &run->topics;
    if (run->options->only_count == 0) {
        tell_of_empty_entries(run, list);
    } else {
        tell_of_missing(run, list);
    }
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (asked_for(run->options, list->at[i].name)) {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
}

/* Leave out the topics that the cluster does not describe: they fail, and stay in the point. */
static void drop_unreadable(struct backup_run *run)
{
    struct tm_topic_list *list = &run->topics;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct tm_topic_info *info = &list->at[i];
        if (info->code != TM_OK) {
            *tm_vec_push(&run->unreadable) = info->name;
            tm_backup_fail(run, info->name, -1, "topic-unreadable", info->error);
            continue;
        }
        list->at[kept++] = *info;
    }
    list->count = kept;
}

static enum tm_code ask_offsets(struct backup_run *run, struct tm_err *err)
{
    size_t total = 0;
    for (size_t t = 0; t < run->count; t++) {
        total += run->at[t].part_count;
    }
    struct tm_offsets *rows = tm_arena_alloc(run->arena, total > 0 ? total : 1, sizeof(*rows));
    size_t at = 0;
    for (size_t t = 0; t < run->count; t++) {
        for (size_t p = 0; p < run->at[t].part_count; p++) {
            rows[at++] = (struct tm_offsets){
                    .topic = run->at[t].info->name, .partition = run->at[t].parts[p].partition};
        }
    }
    enum tm_code code =
            total == 0 ? TM_OK
                       : tm_kafka_offsets(run->options->kafka, rows, total, request_ms(run), err);
    at = 0;
    for (size_t t = 0; code == TM_OK && t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        for (size_t p = 0; p < topic->part_count; p++, at++) {
            struct backup_part *part = &topic->parts[p];
            if (rows[at].code != TM_OK) {
                part->unanswered = true;
                part->state = PART_FAILED;
                tm_backup_fail(run, topic->info->name, part->partition, "offsets", rows[at].error);
                continue;
            }
            part->log_start = rows[at].log_start;
            part->lso = rows[at].lso;
            part->high_watermark = rows[at].high_watermark;
            part->end = run->options->read_uncommitted ? part->high_watermark : part->lso;
        }
    }
    return code;
}

static enum tm_code load_tails(struct backup_topic *topic, struct tm_err *err)
{
    struct backup_run *run = topic->run;
    struct tm_catalog *catalog = run->options->catalog;
    enum tm_code code = tm_catalog_stream(catalog, run->cluster_id, tm_slice_str(topic->info->name),
            run->arena, &topic->stream, err);
    if (code != TM_OK || topic->stream.id == 0) {
        return code;
    }
    struct tm_row_tail *tails = NULL;
    size_t count = 0;
    code = tm_catalog_tails(catalog, topic->stream.id, run->arena, &tails, &count, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        if ((size_t)tails[i].partition >= topic->part_count) {
            topic->shrunk = true;
            continue;
        }
        struct backup_part *part = &topic->parts[tails[i].partition];
        part->named = true;
        part->tail = tails[i];
    }
    return code;
}

/* docs/format.md, "Streams": the signs that need no reading. NULL: none of them. */
static const char *other_lineage(const struct backup_topic *topic)
{
    if (topic->info->has_id && !tm_id16_is_zero(&topic->stream.topic_id) &&
            !tm_id16_eq(&topic->info->id, &topic->stream.topic_id)) {
        return "the topic was deleted and created again (another topic id)";
    }
    if (topic->shrunk) {
        return "the topic was deleted and created again (fewer partitions than are stored)";
    }
    for (size_t p = 0; p < topic->part_count; p++) {
        const struct backup_part *part = &topic->parts[p];
        if (part->named && !part->unanswered && part->high_watermark < part->tail.next) {
            return "the log ends below what is stored of it (truncated or created again)";
        }
    }
    return NULL;
}

static enum tm_gap_reason why_gone(const struct backup_part *part, const struct backup_topic *topic)
{
    if (!topic->config_known) {
        return TM_GAP_UNKNOWN;
    }
    for (size_t i = 0; i < topic->config.set_count; i++) {
        const struct tm_property *set = &topic->config.set[i];
        if (strcmp(set->name, "retention.ms") == 0 || strcmp(set->name, "retention.bytes") == 0) {
            return TM_GAP_RETENTION;
        }
    }
    return part->tail.back > 0 ? TM_GAP_UNKNOWN : TM_GAP_RETENTION;
}

/* Pass over [next, end) of the partition, for that reason. */
static void skip_to(struct backup_part *part, int64_t end, enum tm_gap_reason reason)
{
    *tm_vec_push(&part->gaps) = (struct tm_row_gap){
            .partition = part->partition,
            .from = part->next,
            .length = end - part->next,
            .reason = reason,
    };
    part->next = end;
}

/* The log starts above what is stored of it: what lay in between was never captured. */
static void note_gap(struct backup_topic *topic, struct backup_part *part)
{
    enum tm_gap_reason reason = why_gone(part, topic);
    char detail[160];
    (void)snprintf(detail, sizeof(detail),
            "offsets %" PRId64 " to %" PRId64 " were gone from the source before they were "
            "captured (%s)",
            part->next, part->log_start - 1, tm_gap_reason_name(reason));
    tm_backup_warn(topic->run, topic->info->name, part->partition, "gap", detail);
    topic->lost += part->log_start - part->next;
    skip_to(part, part->log_start, reason);
}

/* Where to begin, and whether there is anything. */
static void plan_part(struct backup_topic *topic, struct backup_part *part)
{
    part->has_stored = part->named;
    part->stored = part->tail;
    if (part->unanswered) {
        return;
    }
    bool latest = topic->run->options->from == TM_FROM_LATEST && topic->stream.id == 0 &&
                  topic->stream.incarnation <= 1;
    part->committed = part->named ? part->tail.next : part->log_start;
    part->watermark = part->committed;
    part->next = part->committed;
    if (part->log_start > part->next) {
        note_gap(topic, part);
    } else if (latest && part->end > part->next) {
        skip_to(part, part->end, TM_GAP_SKIPPED);
    }
    part->state = part->next < part->end ? PART_TODO : PART_IDLE;
    topic->news |= part->state == PART_TODO;
}

static void plan_topic(struct backup_topic *topic)
{
    topic->news = false;
    topic->lost = 0;
    for (size_t p = 0; p < topic->part_count; p++) {
        plan_part(topic, &topic->parts[p]);
    }
}

void tm_backup_reincarnate(struct backup_topic *topic)
{
    struct backup_run *run = topic->run;
    pthread_mutex_lock(&run->lock);
    if (topic->number > 0) {
        run->numbers.at[topic->number - 1] =
                NULL; /* what was read for the old one is not committed */
    }
    *tm_vec_push(&run->numbers) = topic;
    topic->number = ++run->last_number;
    topic->stream = (struct tm_stream){.incarnation = topic->stream.incarnation + 1};
    topic->shrunk = false;
    for (size_t p = 0; p < topic->part_count; p++) {
        struct backup_part *part = &topic->parts[p];
        part->named = false;
        part->runs.count = 0;
        part->gaps.count = 0;
    }
    plan_topic(topic);
    pthread_mutex_unlock(&run->lock);
}

/* Configurations go into the point; a cluster that does not tell them is a warning, not a failure. */
static void capture_configs(struct backup_run *run)
{
    struct tm_topic_config *rows =
            tm_arena_alloc(run->arena, run->count > 0 ? run->count : 1, sizeof(*rows));
    for (size_t t = 0; t < run->count; t++) {
        rows[t].topic = run->at[t].info->name;
    }
    struct tm_err err = {0};
    run->configs_asked = true;
    if (run->count > 0 && tm_kafka_topic_configs(run->options->kafka, rows, run->count,
                                  request_ms(run), run->arena, &err) != TM_OK) {
        run->configs_unknown = true;
        tm_job_note_add(&run->result->warnings, run->arena, "configs-unknown", NULL, -1, err.msg);
        return;
    }
    for (size_t t = 0; t < run->count; t++) {
        run->at[t].config = rows[t];
        run->at[t].config_known = rows[t].code == TM_OK;
        if (rows[t].code != TM_OK) {
            run->configs_unknown = true;
            tm_job_note_add(&run->result->warnings, run->arena, "configs-unknown", rows[t].topic,
                    -1, rows[t].error);
        }
    }
}

static void make_topics(struct backup_run *run)
{
    run->count = run->topics.count;
    run->at = tm_arena_alloc(run->arena, run->count > 0 ? run->count : 1, sizeof(*run->at));
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        topic->run = run;
        topic->info = &run->topics.at[t];
        topic->part_count = (size_t)topic->info->partitions;
        topic->parts = tm_arena_alloc(
                run->arena, topic->part_count > 0 ? topic->part_count : 1, sizeof(*topic->parts));
        for (size_t p = 0; p < topic->part_count; p++) {
            topic->parts[p].partition = (int32_t)p;
        }
        topic->number = ++run->last_number;
        *tm_vec_push(&run->numbers) = topic;
    }
}

static enum tm_code ask_cluster(struct backup_run *run, struct tm_err *err)
{
    struct tm_kafka *kafka = run->options->kafka;
    enum tm_code code =
            tm_kafka_cluster_id(kafka, request_ms(run), run->arena, &run->cluster_id, err);
    if (code == TM_OK) {
        code = tm_kafka_topics(kafka, request_ms(run), &run->topics, err);
    }
    if (code == TM_OK) {
        select_topics(run);
        code = tm_kafka_topic_ids(kafka, request_ms(run), &run->topics, err);
    }
    if (code == TM_OK) {
        drop_unreadable(run);
        make_topics(run);
        code = ask_offsets(run, err);
    }
    return code;
}

/* Does any partition look other than the vault has it? Then what goes with the data is read too. */
static bool any_news(const struct backup_run *run)
{
    for (size_t t = 0; t < run->count; t++) {
        const struct backup_topic *topic = &run->at[t];
        if (topic->stream.id == 0) {
            return true;
        }
        for (size_t p = 0; p < topic->part_count; p++) {
            const struct backup_part *part = &topic->parts[p];
            if (!part->named || part->tail.next != part->end || part->log_start > part->tail.next) {
                return true;
            }
        }
    }
    return false;
}

enum tm_code tm_backup_plan(struct backup_run *run, struct tm_err *err)
{
    atomic_store(&run->env->progress->phase, TM_PHASE_PLANNING);
    enum tm_code code = ask_cluster(run, err);
    for (size_t t = 0; code == TM_OK && t < run->count; t++) {
        code = load_tails(&run->at[t], err);
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "policy %s: plan", run->options->policy);
    }
    if (any_news(run)) {
        capture_configs(run);
    }
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        const char *why = topic->stream.id != 0 ? other_lineage(topic) : NULL;
        if (topic->stream.id == 0) {
            topic->stream.incarnation = 1;
        }
        if (why != NULL) {
            tm_job_note_add(&run->result->warnings, run->arena, "new-incarnation",
                    topic->info->name, -1, why);
            tm_backup_reincarnate(topic);
        } else {
            plan_topic(topic);
        }
        run->todo += topic->news ? 1 : 0;
    }
    return TM_OK;
}
