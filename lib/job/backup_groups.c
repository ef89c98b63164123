/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/backup_run.h"

enum {
    REQUEST_MS = 30 * 1000,
    LAG_MS = 5 * 1000, /* no run waits longer for what is only shown */
    IDLE_MS = 5 * 60 * 1000,
    NAMED_IN_WARNING = 5,
};

static const char own_prefix[] = "tidemark.";

static int64_t request_ms(const struct backup_run *run)
{
    return run->options->request_ms > 0 ? run->options->request_ms : REQUEST_MS;
}

static struct backup_topic *find_topic(struct backup_run *run, const char *name)
{
    size_t low = 0;
    size_t high = run->count;
    while (low < high) { /* by name */
        size_t mid = low + (high - low) / 2;
        int order = strcmp(run->at[mid].info->name, name);
        if (order == 0) {
            return &run->at[mid];
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return NULL;
}

static bool is_of_run(void *arg, const char *topic)
{
    return find_topic(arg, topic) != NULL;
}

/* Asking -------------------------------------------------------------------------------------- */

static void warn_unknown(struct backup_run *run, const char *detail)
{
    run->groups_unknown = true;
    tm_backup_warn(run, NULL, -1, "groups-unknown", detail);
}

static const char *advice(enum tm_code code)
{
    return code == TM_E_DENIED ? " (grant Describe on the Group, and Describe on the Cluster)" : "";
}

/* A group that answers with an error keeps its rows of the newest point: they are only older. */
static void warn_of_groups(struct backup_run *run)
{
    size_t failed = 0;
    for (size_t i = 0; i < run->groups.count; i++) {
        const struct tm_group *group = &run->groups.at[i];
        if (group->code != TM_OK && failed++ < NAMED_IN_WARNING) {
            tm_backup_warn(run, NULL, -1, "group-unknown",
                    tm_arena_fmt(run->arena,
                            "group %s: %s%s; the point keeps what was known of it before",
                            group->name, group->error, advice(group->code)));
        }
    }
    if (failed > 0 && failed == run->groups.count) {
        run->groups_unknown = true;
    }
    if (failed > NAMED_IN_WARNING) {
        tm_backup_warn(run, NULL, -1, "group-unknown",
                tm_arena_fmt(run->arena, "and %zu more groups", failed - NAMED_IN_WARNING));
    }
}

/* Tidemark's own groups only tell how far it is. */
static void drop_own(struct tm_group_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->at[i].name, own_prefix, sizeof(own_prefix) - 1) != 0) {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
}

/*
 * A list that was denied looks like one of no groups. So an empty one is believed only of a cluster that
 * says that this principal is shown everything.
 */
static bool is_believable(struct backup_run *run)
{
    if (run->groups.count > 0 || run->groups.complete) {
        return true;
    }
    warn_unknown(run,
            "the cluster lists no consumer groups, and would list none that this principal "
            "may not describe: grant Describe on the Cluster, and Describe on the Groups, "
            "or set consumer_groups: false");
    return false;
}

static enum tm_code need_handle(struct backup_run *run, struct tm_err *err)
{
    return run->groups_kafka != NULL
                   ? TM_OK
                   : tm_kafka_open(run->options->groups_options, &run->groups_kafka, err);
}

static void ask(struct backup_run *run)
{
    struct tm_err err = {0};
    enum tm_code code = need_handle(run, &err);
    struct tm_kafka *kafka = run->groups_kafka;
    code = code == TM_OK ? tm_kafka_groups(kafka, request_ms(run), &run->groups, &err) : code;
    if (code == TM_OK) {
        drop_own(&run->groups);
        if (!is_believable(run)) {
            return;
        }
        code = tm_kafka_group_offsets(kafka, run->groups.at, run->groups.count, is_of_run, run,
                request_ms(run), &run->groups.arena, &err);
    }
    if (code == TM_E_UNSUPPORTED) {
        run->groups_unknown = true; /* a mock: nothing that anybody could mend */
    } else if (code != TM_OK) {
        warn_unknown(run, tm_arena_fmt(run->arena, "%s%s", err.msg, advice(code)));
    } else {
        warn_of_groups(run);
    }
}

static bool is_by_hand(const struct tm_backup_options *options)
{
    return options->note != NULL || options->tag_count > 0 || options->hold_until_ms != 0;
}

/*
 * Groups move when nothing else does: while they catch up. Then a point is worth making, but not at
 * every tick of the schedule.
 */
static bool is_idle_due(struct backup_run *run)
{
    const struct tm_backup_options *options = run->options;
    struct tm_point newest = {0};
    struct tm_arena arena = {0};
    struct tm_err ignored = {0};
    int64_t idle_ms = options->groups_idle_ms > 0 ? options->groups_idle_ms : IDLE_MS;
    bool due = tm_catalog_newest_point(options->catalog, run->cluster_id,
                       tm_slice_str(options->policy), &arena, &newest, &ignored) == TM_OK &&
               newest.row.id != 0 && tm_now_ms() - newest.row.time_ms >= idle_ms;
    tm_arena_done(&arena);
    return due;
}

void tm_backup_capture_groups(struct backup_run *run, bool news)
{
    const struct tm_backup_options *options = run->options;
    if (options->no_groups || options->groups_options == NULL) {
        run->groups_asked = true;
        run->groups_unknown = true;
    } else if (news || is_by_hand(options) || is_idle_due(run)) {
        run->groups_asked = true;
        ask(run);
    }
}

/* Rows ---------------------------------------------------------------------------------------- */

static int by_row(const void *left, const void *right)
{
    const struct tm_row_group *a = left;
    const struct tm_row_group *b = right;
    int order = tm_slice_cmp(a->group, b->group);
    if (order == 0) {
        order = (a->stream > b->stream) - (a->stream < b->stream);
    }
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Where the partition's row of the point will end; false: it has none. */
static bool end_of(const struct backup_topic *topic, int32_t partition,
        const struct tm_row_point *newest, int64_t *end)
{
    if (topic->assigned == 0 || (size_t)partition >= topic->part_count) {
        return false;
    }
    const struct backup_part *part = &topic->parts[partition];
    *end = part->watermark;
    if (!part->unanswered) {
        return true;
    }
    for (size_t i = 0; i < newest->part_count; i++) {
        if (newest->parts[i].stream == topic->assigned && newest->parts[i].partition == partition) {
            *end = newest->parts[i].end;
            return true;
        }
    }
    return false;
}

/*
 * The groups were asked after the ends were fixed: what they have consumed by then lies before their
 * offsets. One that is beyond the end of the point has nothing of the point left to read, and stands
 * at its end: the records behind belong to later points, where it must not have read them yet.
 */
static void add_group(struct backup_run *run, const struct tm_group *group,
        const struct tm_row_point *newest, tm_backup_group_rows *rows)
{
    for (size_t i = 0; i < group->offset_count; i++) {
        const struct tm_group_offset *offset = &group->offsets[i];
        const struct backup_topic *topic = find_topic(run, offset->topic);
        int64_t end = 0;
        if (topic != NULL && end_of(topic, offset->partition, newest, &end)) {
            *tm_vec_push(rows) = (struct tm_row_group){
                    .group = tm_slice_str(group->name),
                    .stream = topic->assigned,
                    .partition = offset->partition,
                    .offset = offset->offset < end ? offset->offset : end,
                    .metadata = offset->metadata,
            };
        }
    }
}

static const struct tm_row_group *find_row(
        const struct tm_row_group *rows, size_t count, const struct tm_row_group *key)
{
    return count > 0 ? bsearch(key, rows, count, sizeof(*rows), by_row) : NULL;
}

static const struct tm_group *find_group(const struct tm_group_list *list, struct tm_slice name)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = tm_slice_cmp(tm_slice_str(list->at[mid].name), name);
        if (order == 0) {
            return &list->at[mid];
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return NULL;
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

/* Has the group, as far as can be told, no offset there any more? */
static bool is_withdrawn(const struct backup_run *run, const struct tm_row_group *old)
{
    const struct tm_group *group = find_group(&run->groups, old->group);
    bool told = group != NULL ? group->code == TM_OK : run->groups.complete;
    return told && is_named(run, old->stream);
}

void tm_backup_group_changes(struct backup_run *run, const struct tm_row_point *newest,
        struct tm_edits *edits, tm_backup_group_rows *out)
{
    if (!run->groups_asked || run->groups_unknown) {
        return;
    }
    tm_backup_group_rows rows = {0};
    for (size_t i = 0; i < run->groups.count; i++) {
        add_group(run, &run->groups.at[i], newest, &rows);
    }
    if (rows.count > 0) {
        qsort(rows.at, rows.count, sizeof(*rows.at), by_row);
    }
    for (size_t i = 0; i < rows.count; i++) {
        struct tm_row_group row = rows.at[i];
        const struct tm_row_group *old = find_row(newest->groups, newest->group_count, &row);
        if (old == NULL || old->offset != row.offset || !tm_slice_eq(old->metadata, row.metadata)) {
            row.group = tm_arena_dup(&edits->arena, row.group);
            row.metadata = tm_arena_dup(&edits->arena, row.metadata);
            *tm_vec_push(out) = row;
        }
    }
    for (size_t i = 0; i < newest->group_count; i++) {
        struct tm_row_group row = newest->groups[i];
        if (find_row(rows.at, rows.count, &row) == NULL && is_withdrawn(run, &row)) {
            row.offset = -1;
            row.metadata = tm_slice_str("");
            *tm_vec_push(out) = row;
        }
    }
    tm_vec_done(&rows);
}

bool tm_backup_groups_unknown(const struct backup_run *run, const struct tm_row_point *newest)
{
    bool before = newest->id == 0 || (newest->flags & TM_POINT_GROUPS_UNKNOWN) != 0;
    if (!run->groups_asked) {
        return before;
    }
    return run->groups_unknown || (run->options->only_count > 0 && before);
}

/* Lag ----------------------------------------------------------------------------------------- */

/* The offsets that ordinary lag tools show: how far the log has come, of what it has news of. */
static size_t lag_rows(struct backup_run *run, struct tm_group_offset *rows)
{
    size_t count = 0;
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        for (size_t p = 0; p < topic->part_count; p++) {
            struct backup_part *part = &topic->parts[p];
            if (!part->named || topic->recreated || part->committed == part->shown) {
                continue;
            }
            part->shown = part->committed;
            rows[count++] = (struct tm_group_offset){
                    .topic = topic->info->name,
                    .partition = part->partition,
                    .offset = part->committed,
                    .metadata = tm_slice_str(""),
            };
        }
    }
    return count;
}

void tm_backup_show_lag(struct backup_run *run)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    size_t most = 0;
    if (!run->options->lag_group || run->options->groups_options == NULL || run->lag_failed) {
        return;
    }
    pthread_mutex_lock(&run->lock);
    for (size_t t = 0; t < run->count; t++) {
        most += run->at[t].part_count;
    }
    struct tm_group_offset *rows = tm_arena_alloc(&arena, most + 1, sizeof(*rows));
    size_t count = lag_rows(run, rows);
    pthread_mutex_unlock(&run->lock);
    const char *group = tm_arena_fmt(&arena, "%s%s", own_prefix, run->options->policy);
    int64_t wait_ms = request_ms(run) < LAG_MS ? request_ms(run) : LAG_MS;
    enum tm_code code = count > 0 ? need_handle(run, &err) : TM_OK;
    if (code == TM_OK && count > 0) {
        code = tm_kafka_set_group_offsets(
                run->groups_kafka, group, rows, count, wait_ms, &arena, &err);
    }
    run->lag_failed = code != TM_OK; /* once is enough: the records are stored all the same */
    if (code != TM_OK && code != TM_E_UNSUPPORTED) {
        tm_backup_warn(run, NULL, -1, "lag-group",
                tm_arena_fmt(&arena, "%s%s", err.msg,
                        code == TM_E_DENIED ? " (grant Read on the Group, or set lag_group: false)"
                                            : ""));
    }
    tm_arena_done(&arena);
}
