/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "job/backup_run.h"

/* The rows of the point being made, whole; compared afterwards with those of the newest one. */
struct rows {
    TM_VEC(struct tm_row_part) parts;
    TM_VEC(struct tm_row_topic) topics;
    TM_VEC(uint32_t) gone;
    tm_backup_group_rows groups;
};

static void rows_done(struct rows *rows)
{
    tm_vec_done(&rows->parts);
    tm_vec_done(&rows->topics);
    tm_vec_done(&rows->gone);
    tm_vec_done(&rows->groups);
}

static const struct tm_row_topic *find_topic(const struct tm_row_point *point, uint32_t stream)
{
    for (size_t i = 0; i < point->topic_count; i++) {
        if (point->topics[i].stream == stream) {
            return &point->topics[i];
        }
    }
    return NULL;
}

static enum tm_part_status status_of(const struct backup_part *part)
{
    switch (part->state) {
    case PART_IDLE:
    case PART_DONE:
        return TM_PART_WHOLE;
    case PART_TODO:
        return TM_PART_NOT_REACHED;
    case PART_FAILED:
        return TM_PART_FAILED;
    }
    return TM_PART_FAILED;
}

static void add_part(struct rows *rows, const struct backup_topic *topic,
        const struct backup_part *part, const struct tm_row_part *old)
{
    if (part->unanswered) {
        if (old !=
                NULL) { /* what is stored stays restorable; the row says that it was not reached */
            *tm_vec_push(&rows->parts) = *old;
            rows->parts.at[rows->parts.count - 1].status = TM_PART_FAILED;
        }
        return;
    }
    int64_t end = part->watermark;
    /* A run that was held up for long: what lies below the newest point's start may be freed by now. */
    bool later = old != NULL && old->start > part->log_start;
    int64_t start = later ? old->start : part->log_start;
    *tm_vec_push(&rows->parts) = (struct tm_row_part){
            .stream = topic->assigned,
            .partition = part->partition,
            .start = start < end ? start : end,
            .end = end,
            .lso = part->lso,
            .high_watermark = part->high_watermark,
            .status = status_of(part),
    };
}

static int by_key(const void *left, const void *right)
{
    const struct tm_config_pair *a = left;
    const struct tm_config_pair *b = right;
    return tm_slice_cmp(a->key, b->key);
}

static void add_topic(struct rows *rows, struct tm_edits *edits, const struct backup_topic *topic,
        const struct tm_row_topic *old)
{
    struct tm_row_topic row = {
            .stream = topic->assigned,
            .partitions = (uint32_t)topic->part_count,
            .replication_factor = (uint32_t)topic->info->replication_factor,
    };
    if (topic->config_known && !topic->run->options->no_configs) {
        row.config_count = topic->config.set_count;
        row.configs = tm_arena_alloc(
                &edits->arena, row.config_count > 0 ? row.config_count : 1, sizeof(*row.configs));
        for (size_t i = 0; i < row.config_count; i++) {
            row.configs[i].key = tm_slice_str(topic->config.set[i].name);
            row.configs[i].value = tm_slice_str(topic->config.set[i].value);
        }
        qsort(row.configs, row.config_count, sizeof(*row.configs), by_key);
    } else if (old != NULL) { /* not asked in a run that found nothing: as it was */
        row.configs = old->configs;
        row.config_count = old->config_count;
    }
    *tm_vec_push(&rows->topics) = row;
}

static bool same_topic(const struct tm_row_topic *a, const struct tm_row_topic *b)
{
    bool same = a->partitions == b->partitions && a->replication_factor == b->replication_factor &&
                a->config_count == b->config_count;
    for (size_t i = 0; same && i < a->config_count; i++) {
        same = tm_slice_eq(a->configs[i].key, b->configs[i].key) &&
               tm_slice_eq(a->configs[i].value, b->configs[i].value);
    }
    return same;
}

static bool same_part(const struct tm_row_part *a, const struct tm_row_part *b)
{
    return a->start == b->start && a->end == b->end && a->lso == b->lso &&
           a->high_watermark == b->high_watermark && a->status == b->status;
}

/* Is the topic still there, only not to be read or not to be trusted in this run? Then it stays. */
static bool is_in_doubt(const struct backup_run *run, struct tm_slice topic)
{
    for (size_t i = 0; i < run->unreadable.count; i++) {
        if (tm_slice_is(topic, run->unreadable.at[i])) {
            return true;
        }
    }
    for (size_t t = 0; t < run->count; t++) {
        if (run->at[t].assigned == 0 && tm_slice_is(topic, run->at[t].info->name)) {
            return true;
        }
    }
    return false;
}

static bool is_named(const struct backup_run *run, uint32_t stream)
{
    for (size_t t = 0; t < run->count; t++) {
        if (run->at[t].assigned == stream) {
            return true;
        }
    }
    return false;
}

/* Streams of the newest point that this one does not name: gone from the cluster, or deselected. */
static void find_gone(struct backup_run *run, const struct tm_point *newest, struct rows *rows)
{
    if (run->options->only_count > 0) {
        return; /* a subset: the others keep their rows */
    }
    for (size_t i = 0; i < newest->stream_count; i++) {
        const struct tm_stream *stream = &newest->streams[i];
        if (!is_named(run, stream->id) && !is_in_doubt(run, stream->topic)) {
            *tm_vec_push(&rows->gone) = stream->id;
        }
    }
}

/* Keep only the rows that differ from the newest point's. */
static void keep_changed(struct rows *rows, const struct tm_row_point *newest)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->parts.count; i++) {
        const struct tm_row_part *row = &rows->parts.at[i];
        const struct tm_row_part *old = tm_row_point_part(newest, row->stream, row->partition);
        if (old == NULL || !same_part(old, row)) {
            rows->parts.at[kept++] = *row;
        }
    }
    rows->parts.count = kept;
    kept = 0;
    for (size_t i = 0; i < rows->topics.count; i++) {
        const struct tm_row_topic *row = &rows->topics.at[i];
        const struct tm_row_topic *old = find_topic(newest, row->stream);
        if (old == NULL || !same_topic(old, row)) {
            rows->topics.at[kept++] = *row;
        }
    }
    rows->topics.count = kept;
}

static void collect(struct backup_run *run, struct tm_edits *edits, const struct tm_point *newest,
        struct rows *rows)
{
    for (size_t t = 0; t < run->count; t++) {
        const struct backup_topic *topic = &run->at[t];
        if (topic->assigned == 0) {
            continue; /* created anew while it was read: the next run begins its new incarnation */
        }
        for (size_t p = 0; p < topic->part_count; p++) {
            const struct backup_part *part = &topic->parts[p];
            add_part(rows, topic, part,
                    tm_row_point_part(&newest->row, topic->assigned, part->partition));
        }
        add_topic(rows, edits, topic, find_topic(&newest->row, topic->assigned));
    }
    find_gone(run, newest, rows);
    keep_changed(rows, &newest->row);
    tm_backup_group_changes(run, &newest->row, edits, &rows->groups);
}

static bool is_gone(const struct rows *rows, uint32_t stream)
{
    for (size_t i = 0; i < rows->gone.count; i++) {
        if (rows->gone.at[i] == stream) {
            return true;
        }
    }
    return false;
}

/* Do rows that this point takes over, of topics that the run did not look at, stop short? */
static bool keeps_partial(
        const struct backup_run *run, const struct rows *rows, const struct tm_row_point *newest)
{
    for (size_t i = 0; i < newest->part_count; i++) {
        const struct tm_row_part *row = &newest->parts[i];
        if (row->status != TM_PART_WHOLE && !is_named(run, row->stream) &&
                !is_gone(rows, row->stream)) {
            return true;
        }
    }
    return false;
}

static uint32_t point_flags(
        const struct backup_run *run, const struct rows *rows, const struct tm_row_point *newest)
{
    uint32_t flags = tm_backup_groups_unknown(run, newest) ? TM_POINT_GROUPS_UNKNOWN : 0;
    bool partial = run->result->failures.count > 0 || keeps_partial(run, rows, newest);
    bool unknown = run->configs_unknown;
    for (size_t t = 0; t < run->count; t++) {
        for (size_t p = 0; p < run->at[t].part_count; p++) {
            partial |= status_of(&run->at[t].parts[p]) != TM_PART_WHOLE;
        }
    }
    if (!run->configs_asked || run->options->only_count > 0) {
        unknown |= (newest->flags & TM_POINT_CONFIGS_UNKNOWN) != 0; /* rows taken over */
    }
    flags |= partial ? TM_POINT_PARTIAL : 0;
    flags |= run->options->read_uncommitted ? TM_POINT_READ_UNCOMMITTED : 0;
    flags |= unknown ? TM_POINT_CONFIGS_UNKNOWN : 0;
    return flags;
}

static void copy_rows(struct tm_edits *edits, const struct rows *rows, struct tm_row_point *point)
{
    struct tm_arena *arena = &edits->arena;
    point->part_count = rows->parts.count;
    point->parts = tm_arena_alloc(arena, rows->parts.count + 1, sizeof(*point->parts));
    point->topic_count = rows->topics.count;
    point->topics = tm_arena_alloc(arena, rows->topics.count + 1, sizeof(*point->topics));
    point->gone_count = rows->gone.count;
    point->gone = tm_arena_alloc(arena, rows->gone.count + 1, sizeof(*point->gone));
    point->group_count = rows->groups.count;
    point->groups = tm_arena_alloc(arena, rows->groups.count + 1, sizeof(*point->groups));
    if (rows->groups.count > 0) {
        memcpy(point->groups, rows->groups.at, rows->groups.count * sizeof(*point->groups));
    }
    if (rows->parts.count > 0) {
        memcpy(point->parts, rows->parts.at, rows->parts.count * sizeof(*point->parts));
    }
    if (rows->topics.count > 0) {
        memcpy(point->topics, rows->topics.at, rows->topics.count * sizeof(*point->topics));
    }
    if (rows->gone.count > 0) {
        memcpy(point->gone, rows->gone.at, rows->gone.count * sizeof(*point->gone));
    }
}

static int by_text(const void *left, const void *right)
{
    const struct tm_slice *a = left;
    const struct tm_slice *b = right;
    return tm_slice_cmp(*a, *b);
}

static void add_mark(const struct backup_run *run, struct tm_edits *edits, uint64_t point)
{
    const struct tm_backup_options *options = run->options;
    size_t tag_count = options->tag_count + (options->own_tag != NULL ? 1 : 0);
    if (options->note == NULL && tag_count == 0 && options->hold_until_ms == 0) {
        return;
    }
    struct tm_row_mark mark = {
            .point = point,
            .note = tm_slice_str(options->note != NULL ? options->note : ""),
            .tags = tm_arena_alloc(&edits->arena, tag_count + 1, sizeof(*mark.tags)),
            .hold_until_ms = options->hold_until_ms,
            .hold_reason = tm_slice_str(options->hold_reason != NULL ? options->hold_reason : ""),
    };
    for (size_t i = 0; i < tag_count; i++) {
        mark.tags[i] = tm_slice_str(i < options->tag_count ? options->tags[i] : options->own_tag);
    }
    if (tag_count > 0) {
        qsort(mark.tags, tag_count, sizeof(*mark.tags), by_text);
    }
    for (size_t i = 0; i < tag_count; i++) { /* a tag given twice is one */
        if (mark.tag_count == 0 || !tm_slice_eq(mark.tags[i], mark.tags[mark.tag_count - 1])) {
            mark.tags[mark.tag_count++] = mark.tags[i];
        }
    }
    *tm_vec_push(&edits->marks) = mark;
}

/* The point's number and name; the same ULID however often the commit is built. */
static enum tm_code add_row(struct backup_run *run, struct tm_edits *edits, const struct rows *rows,
        uint32_t flags, struct tm_err *err)
{
    uint32_t last_stream = 0;
    uint64_t last_point = 0;
    TM_TRY(tm_catalog_last_ids(run->options->catalog, &last_stream, &last_point, err));
    if (tm_id16_is_zero(&run->point)) {
        run->point = tm_ulid_make(tm_now_ms());
    }
    run->result->point = run->point;
    run->result->has_point = true;
    struct tm_row_point point = {
            .id = last_point + 1,
            .ulid = run->result->point,
            .time_ms = tm_ulid_time_ms(&run->point),
            .cluster_id = run->cluster_id,
            .cluster_name = tm_slice_str(run->options->cluster),
            .policy = tm_slice_str(run->options->policy),
            .flags = flags,
    };
    copy_rows(edits, rows, &point);
    *tm_vec_push(&edits->points) = point;
    add_mark(run, edits, point.id);
    return TM_OK;
}

enum tm_code tm_backup_point(struct backup_run *run, struct tm_edits *edits,
        const struct tm_point *newest, bool *made, struct tm_err *err)
{
    struct rows rows = {0};
    collect(run, edits, newest, &rows);
    uint32_t flags = point_flags(run, &rows, &newest->row);
    bool differs = newest->row.id == 0 || rows.parts.count > 0 || rows.topics.count > 0 ||
                   rows.gone.count > 0 || rows.groups.count > 0 || edits->packs.count > 0;
    bool asked = run->options->note != NULL || run->options->tag_count > 0 ||
                 run->options->hold_until_ms != 0;
    /* A run that is partial for want of a topic, and so was the one before, tells nothing new. */
    bool worse = (flags & TM_POINT_PARTIAL) != (newest->row.flags & TM_POINT_PARTIAL);
    bool learnt = (newest->row.flags & ~flags & TM_POINT_GROUPS_UNKNOWN) != 0;
    enum tm_code code = TM_OK;
    *made = differs || asked || worse || learnt;
    if (*made) {
        code = add_row(run, edits, &rows, flags, err);
    }
    rows_done(&rows);
    return code;
}
