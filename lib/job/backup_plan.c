/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "catalog/holes.h"
#include "catalog/retained.h"
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
            tm_backup_missing(run, text);
        } else if (!met) {
            char detail[TM_SELECT_PATTERN_MAX + 64];
            (void)snprintf(detail, sizeof(detail), "no topic matches \"%s\"", text);
            tm_backup_warn(run, NULL, -1, "pattern-empty", detail);
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
            tm_backup_missing(run, name);
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

/* Leave out the topics that the cluster lists with an error: they fail, and stay in the point. */
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

/* Topics that were listed and cannot be described: nothing of them can be trusted to belong. */
static void fail_undescribed(struct backup_run *run)
{
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        if (topic->info->code != TM_OK) {
            topic->failed = true;
            topic->part_count = 0;
            tm_backup_fail(run, topic->info->name, -1, "topic-unreadable", topic->info->error);
        }
    }
}

static void take_offsets(
        struct backup_run *run, struct backup_part *part, const struct tm_offsets *row)
{
    if (row->code != TM_OK) {
        part->unanswered = true;
        part->state = PART_FAILED;
        tm_backup_fail(run, row->topic, part->partition, "offsets", row->error);
        return;
    }
    part->log_start = row->log_start;
    part->lso = row->lso;
    part->high_watermark = row->high_watermark;
    part->end = run->options->read_uncommitted ? part->high_watermark : part->lso;
}

static enum tm_code ask_offsets(struct backup_run *run, struct tm_err *err)
{
    size_t total = 0;
    for (size_t t = 0; t < run->count; t++) {
        total += run->at[t].part_count;
    }
    struct tm_offsets *rows = tm_arena_alloc(run->arena, total + 1, sizeof(*rows));
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
        for (size_t p = 0; p < run->at[t].part_count; p++) {
            take_offsets(run, &run->at[t].parts[p], &rows[at++]);
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
    return code == TM_OK ? tm_backup_load_watch(topic, err) : code;
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

enum tm_code tm_backup_has_freed(const struct backup_topic *topic, bool *freed, struct tm_err *err)
{
    const struct backup_run *run = topic->run;
    struct tm_catalog *catalog = run->options->catalog;
    bool has = false;
    *freed = false;
    TM_TRY(tm_catalog_policy_has(catalog, run->cluster_id, tm_slice_str(run->options->policy),
            topic->stream.id, &has, err));
    for (size_t p = 0; !has && !*freed && p < topic->part_count; p++) {
        const struct backup_part *part = &topic->parts[p];
        struct tm_holes_range range = {
                topic->stream.id, part->partition, part->log_start, part->tail.next};
        if (part->named && !part->unanswered) {
            TM_TRY(tm_holes_any(catalog, &range, freed, err));
        }
    }
    return TM_OK;
}

/* Why the topic has to be read from its start as another stream; NULL: it goes on where it was. */
static enum tm_code judge_topic(struct backup_topic *topic, const char **why, struct tm_err *err)
{
    bool freed = false;
    *why = other_lineage(topic);
    if (*why == NULL) {
        TM_TRY(tm_backup_has_freed(topic, &freed, err));
    }
    if (freed) {
        *why = "records that the cluster still has were freed while no point had the topic";
    }
    return *why == NULL ? tm_backup_missed_tombstones(topic, why, err) : TM_OK;
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
    enum tm_gap_reason reason = tm_backup_why_gone(topic, part);
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

static void number_topic(struct backup_run *run, struct backup_topic *topic)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    *tm_vec_push(&run->numbers) = topic;
    topic->number = ++run->last_number;
}

void tm_backup_reincarnate(struct backup_topic *topic)
{
    struct backup_run *run = topic->run;
    pthread_mutex_lock(&run->lock);
    if (topic->number > 0) {
        run->numbers.at[topic->number - 1] = NULL; /* what was read of it is not committed */
    }
    number_topic(run, topic);
    topic->stream = (struct tm_stream){.incarnation = topic->stream.incarnation + 1};
    topic->shrunk = false;
    topic->passed = 0;
    topic->whole_ms = 0;
    for (size_t p = 0; p < topic->part_count; p++) {
        struct backup_part *part = &topic->parts[p];
        part->named = false;
        part->watch = (struct tm_watch){0};
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
    /* Asked in any case: whether a topic is compacted says what to make of a record that is gone. */
    bool kept = !run->options->no_configs;
    run->configs_unknown = !kept;
    if (run->count > 0 && tm_kafka_topic_configs(run->options->kafka, rows, run->count,
                                  request_ms(run), run->arena, &err) != TM_OK) {
        run->configs_unknown = true;
        if (kept &&
                err.code == TM_E_UNSUPPORTED) { /* as ever: not worth a line in each run's log */
            tm_job_note_add(
                    &run->result->warnings, run->arena, "configs-unknown", NULL, -1, err.msg);
        } else if (kept) {
            tm_backup_warn(run, NULL, -1, "configs-unknown", err.msg);
        }
        return;
    }
    for (size_t t = 0; t < run->count; t++) {
        run->at[t].config = rows[t];
        run->at[t].config_known = rows[t].code == TM_OK;
        run->configs_unknown |= rows[t].code != TM_OK;
        if (kept && rows[t].code != TM_OK) {
            tm_backup_warn(run, rows[t].topic, -1, "configs-unknown", rows[t].error);
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
        number_topic(run, topic);
    }
}

/*
 * First what is stored, then what there is: another run may commit in between, and what it has stored
 * by then would lie above log ends that were asked for before, as if the topic had been cut off.
 */
static enum tm_code ask_cluster(struct backup_run *run, struct tm_err *err)
{
    struct tm_kafka *kafka = run->options->kafka;
    TM_TRY(tm_kafka_cluster_id(kafka, request_ms(run), run->arena, &run->cluster_id, err));
    TM_TRY(tm_kafka_topics(kafka, request_ms(run), &run->topics, err));
    select_topics(run);
    drop_unreadable(run);
    make_topics(run);
    enum tm_code code = TM_OK;
    for (size_t t = 0; code == TM_OK && t < run->count; t++) {
        code = load_tails(&run->at[t], err);
    }
    if (code == TM_OK) {
        code = tm_kafka_topic_ids(kafka, request_ms(run), &run->topics, err);
    }
    run->planned_ms = tm_now_ms();
    if (code == TM_OK) {
        fail_undescribed(run);
        code = ask_offsets(run, err);
    }
    return code == TM_OK ? tm_backup_watch_transactions(run, err) : code;
}

static bool is_as_stored(const struct backup_topic *topic)
{
    bool same = topic->stream.id != 0;
    for (size_t p = 0; same && p < topic->part_count; p++) {
        const struct backup_part *part = &topic->parts[p];
        same = part->named && part->tail.next == part->end && part->log_start <= part->tail.next;
    }
    return same;
}

/* Does any partition look other than the vault has it? Then what goes with the data is read too. */
static bool any_news(const struct backup_run *run)
{
    bool news = false;
    for (size_t t = 0; !news && t < run->count; t++) {
        news = !is_as_stored(&run->at[t]);
    }
    return news;
}

enum tm_code tm_backup_plan(struct backup_run *run, struct tm_err *err)
{
    atomic_store(&run->env->progress->phase, TM_PHASE_PLANNING);
    if (ask_cluster(run, err) != TM_OK) {
        return tm_err_wrap(err, "policy %s: plan", run->options->policy);
    }
    bool news = any_news(run);
    if (news) {
        capture_configs(run);
    }
    tm_backup_capture_groups(run, news);
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        bool judge = topic->stream.id != 0 && !topic->failed;
        const char *why = NULL;
        if (judge && judge_topic(topic, &why, err) != TM_OK) {
            return tm_err_wrap(err, "policy %s: plan", run->options->policy);
        }
        if (topic->stream.id == 0) {
            topic->stream.incarnation = 1;
        }
        if (why != NULL) {
            tm_backup_warn(run, topic->info->name, -1, "new-incarnation", why);
            tm_backup_reincarnate(topic);
        } else {
            plan_topic(topic);
        }
        run->todo += topic->news ? 1 : 0;
    }
    tm_backup_warn_headroom(run);
    return TM_OK;
}
