/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "catalog/journal_map.h"
#include "job/restore_groups.h"
#include "job/restore_lane.h"
#include "kafka/groups.h"

enum { ROWS_SHOWN = 5000 /* of all groups, in the report */ };

/* Where a group is to stand in a partition of the target. */
struct place {
    const struct restore_topic *topic;
    int32_t target_partition;
    int32_t source_partition; /* -1: of several */
    int64_t source_offset;    /* -1: of several */
    int64_t target_offset;
    enum tm_map_answer answer;
    bool known;
    struct tm_slice metadata;
};
typedef TM_VEC(struct place) place_list;

struct setting { /* of all groups */
    struct restore_run *run;
    struct tm_json *report;
    size_t shown;
    struct tm_arena arena;
};

static struct restore_topic *find_topic(struct restore_run *run, uint32_t stream)
{
    for (size_t t = 0; t < run->topic_count; t++) {
        if (run->topics[t].line->stream == stream) {
            return &run->topics[t];
        }
    }
    return NULL;
}

void tm_restore_watch_groups(struct restore_run *run)
{
    const struct tm_restore_plan *plan = run->plan;
    for (size_t i = 0; i < plan->group_row_count; i++) {
        const struct tm_row_group *row = &plan->group_rows[i];
        tm_restore_map_watch(run->map, row->stream, row->partition, row->offset);
    }
}

/* Translating ----------------------------------------------------------------------------------- */

/* May records of this source partition go to that partition of the target? */
static bool goes_to(const struct restore_run *run, int32_t source, int32_t target)
{
    const struct tm_restore_into *into = &run->options->into;
    return into->partitions == TM_PARTITIONS_HASH ||
           tm_restore_goal_of(into, NULL, source, 0) == target;
}

/* Take one source partition into account: the lowest record not consumed yet counts. */
static void add_source(struct restore_run *run, struct place *place, const struct tm_row_group *row,
        int32_t source, int64_t offset, size_t *sources)
{
    enum tm_map_answer answer = TM_MAP_BEYOND;
    int64_t target = place->topic->goals[place->target_partition].base;
    place->known &= tm_restore_map_find(run->map, place->topic->line->stream, source, offset,
            place->target_partition, &answer, &target);
    bool first = *sources == 0;
    bool found = answer != TM_MAP_BEYOND;
    bool held = !first && place->answer != TM_MAP_BEYOND;
    bool lower = found && (!held || target < place->target_offset);
    bool further = !found && !held && (first || target > place->target_offset);
    if (lower || further) {
        place->target_offset = target;
        place->answer = answer;
    }
    if (row != NULL && place->metadata.at == NULL) {
        place->metadata = row->metadata;
    }
    place->source_partition = first ? source : -1;
    place->source_offset = first ? offset : -1;
    (*sources)++;
}

/*
 * The group's place in one partition of the target. A source partition in which it had no offset does
 * not count, unless its records lie among those of others: then all of them are new to the group.
 */
static bool find_place(
        struct restore_run *run, const struct tm_row_group *rows, size_t count, struct place *place)
{
    size_t sources = 0;
    size_t had = 0;
    size_t at = 0;
    for (int32_t p = 0; p < place->topic->line->partitions; p++) {
        bool has = at < count && rows[at].partition == p;
        if (goes_to(run, p, place->target_partition)) {
            add_source(run, place, has ? &rows[at] : NULL, p, has ? rows[at].offset : 0, &sources);
            had += has ? 1 : 0;
        }
        at += has ? 1 : 0;
    }
    return had > 0;
}

/* Rows of one group in one topic. */
static void translate_topic(
        struct restore_run *run, const struct tm_row_group *rows, size_t count, place_list *out)
{
    const struct restore_topic *topic = find_topic(run, rows->stream);
    for (int32_t t = 0; topic != NULL && (size_t)t < topic->goal_count; t++) {
        struct place place = {
                .topic = topic, .target_partition = t, .known = true, .metadata = TM_SLICE_NULL};
        if (find_place(run, rows, count, &place)) {
            *tm_vec_push(out) = place;
        }
    }
}

static void translate(
        struct restore_run *run, const struct tm_row_group *rows, size_t count, place_list *out)
{
    for (size_t start = 0; start < count;) {
        size_t end = start + 1;
        while (end < count && rows[end].stream == rows[start].stream) {
            end++;
        }
        translate_topic(run, &rows[start], end - start, out);
        start = end;
    }
}

/* Setting --------------------------------------------------------------------------------------- */

static struct tm_group_offset *wanted_rows(const place_list *places, struct tm_arena *arena)
{
    struct tm_group_offset *rows = tm_arena_alloc(arena, places->count + 1, sizeof(*rows));
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->at[i];
        rows[i] = (struct tm_group_offset){
                .topic = place->topic->line->target,
                .partition = place->target_partition,
                .offset = place->target_offset,
                .metadata = place->metadata,
        };
    }
    return rows;
}

static int by_partition(const void *left, const void *right)
{
    const struct tm_group_offset *a = left;
    const struct tm_group_offset *b = right;
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static bool is_there(const struct tm_group *group, const struct tm_group_offset *wanted)
{
    const struct tm_group_offset *row =
            group->offset_count == 0 ? NULL
                                     : bsearch(wanted, group->offsets, group->offset_count,
                                               sizeof(*group->offsets), by_partition);
    return row != NULL && row->offset == wanted->offset &&
           tm_slice_eq(row->metadata, wanted->metadata);
}

/* Does the cluster say that the group stands where it is to stand? */
static enum tm_code read_back(struct setting *setting, const char *group,
        const struct tm_group_offset *rows, size_t count, struct tm_err *err)
{
    const struct tm_restore_options *options = setting->run->options;
    struct tm_group there = {.name = group};
    TM_TRY(tm_kafka_group_offsets(options->groups_kafka, &there, 1, NULL, NULL,
            tm_restore_request_ms(options), &setting->arena, err));
    if (there.code != TM_OK) {
        return tm_err_set(err, there.code, "read back: %s", there.error);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_there(&there, &rows[i])) {
            return tm_err_set(err, TM_E_CONFLICT,
                    "read back: topic %s partition %" PRId32 " does not stand at %" PRId64,
                    rows[i].topic, rows[i].partition, rows[i].offset);
        }
    }
    return TM_OK;
}

static enum tm_code check_known(const place_list *places, struct tm_err *err)
{
    for (size_t i = 0; i < places->count; i++) {
        if (!places->at[i].known) {
            return tm_err_set(err, TM_E_LIMIT,
                    "topic %s partition %" PRId32
                    ": too many pairs of source and target partitions to know where records went",
                    places->at[i].topic->line->target, places->at[i].target_partition);
        }
    }
    return TM_OK;
}

/* A job that was killed after it had set them finds them set: members may be at work already. */
static enum tm_code set_group(
        struct setting *setting, const char *group, const place_list *places, struct tm_err *err)
{
    const struct tm_restore_options *options = setting->run->options;
    struct tm_err ignored = {0};
    TM_TRY(check_known(places, err));
    struct tm_group_offset *rows = wanted_rows(places, &setting->arena);
    if (read_back(setting, group, rows, places->count, &ignored) == TM_OK) {
        return TM_OK;
    }
    TM_TRY(tm_kafka_set_group_offsets(options->groups_kafka, group, rows, places->count,
            tm_restore_request_ms(options), &setting->arena, err));
    TM_FAULT("groups.restore.set");
    return read_back(setting, group, rows, places->count, err);
}

/* The report ------------------------------------------------------------------------------------ */

static void add_place(struct tm_json *array, const struct place *place)
{
    struct tm_json *json = tm_json_push(array, tm_json_object());
    bool single = place->source_partition >= 0;
    tm_json_add_str(json, "topic", place->topic->line->source);
    tm_json_add_str(json, "target", place->topic->line->target);
    if (single) {
        tm_json_add_int(json, "partition", place->source_partition);
        tm_json_add_int(json, "offset", place->source_offset);
    }
    tm_json_add_int(json, "target_partition", place->target_partition);
    tm_json_add_int(json, "target_offset", place->target_offset);
    bool beyond = place->answer == TM_MAP_BEYOND;
    tm_json_add_str(json, "found",
            beyond   ? "end"
            : single ? tm_map_answer_name(place->answer)
                     : "lowest");
}

static void add_group(struct setting *setting, const struct tm_restore_group *group,
        const place_list *places, const char *state, const char *detail)
{
    struct tm_json *json = tm_json_push(setting->report, tm_json_object());
    tm_json_add_str(json, "group", group->source);
    tm_json_add_str(json, "target", group->target);
    tm_json_add_str(json, "state", state);
    tm_json_add_str(json, "detail", detail);
    tm_json_add_int(json, "offsets_count", (int64_t)places->count);
    struct tm_json *offsets = tm_json_add(json, "offsets", tm_json_array());
    for (size_t i = 0; i < places->count && setting->shown < ROWS_SHOWN; i++, setting->shown++) {
        add_place(offsets, &places->at[i]);
    }
}

/* One group: `rows` are its offsets in the source. */
static void do_group(struct setting *setting, const struct tm_restore_group *group,
        const struct tm_row_group *rows, size_t count)
{
    struct restore_run *run = setting->run;
    place_list places = {0};
    struct tm_err err = {0};
    const char *state = "reported";
    translate(run, rows, count, &places);
    if (run->result->failures.count > 0) {
        state = "skipped";
        (void)tm_err_set(&err, TM_E_CONFLICT, "not everything was restored and proved");
    } else if (run->options->groups.mode == TM_GROUPS_TRANSLATE) {
        state = set_group(setting, group->target, &places, &err) == TM_OK ? "committed" : "failed";
    }
    if (strcmp(state, "failed") == 0) {
        run->result->groups_failed++;
        tm_log(TM_LOG_ERROR, "restore.group-failed", err.msg, TM_LOG_STR("job", run->env->job_id),
                TM_LOG_STR("group", group->target), TM_LOG_END);
    }
    add_group(setting, group, &places, state, err.code != TM_OK ? err.msg : NULL);
    tm_vec_done(&places);
}

static void do_groups(struct setting *setting)
{
    const struct tm_restore_plan *plan = setting->run->plan;
    size_t start = 0;
    for (size_t g = 0; g < plan->groups.count; g++) {
        const struct tm_restore_group *group = &plan->groups.at[g];
        do_group(setting, group, &plan->group_rows[start], group->offset_count);
        start += group->offset_count;
    }
}

/* What is kept ---------------------------------------------------------------------------------- */

struct copying { /* entries of one topic on their way into the journal */
    struct restore_run *run;
    uint32_t stream;
    size_t from;
};

static size_t next_rows(void *arg, struct tm_map_row *rows, size_t most)
{
    struct copying *copying = arg;
    struct tm_map_entry *entries = tm_xalloc(most, sizeof(*entries));
    size_t count = tm_restore_map_entries(
            copying->run->map, copying->stream, copying->from, most, entries);
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct tm_map_row){
                .source_partition = entries[i].source_partition,
                .target_partition = entries[i].target_partition,
                .source_first = entries[i].source_first,
                .source_last = entries[i].source_last,
                .target_first = entries[i].target_first,
                .target_last = entries[i].target_last,
                .records = entries[i].records,
        };
    }
    free(entries);
    copying->from += count;
    return count;
}

/* Topics that were finished before an interruption have been kept then, and were not read again. */
static enum tm_code keep_map(struct restore_run *run, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    enum tm_code code = TM_OK;
    for (size_t t = 0; code == TM_OK && t < run->topic_count; t++) {
        const struct tm_restore_topic *line = run->topics[t].line;
        struct copying copying = {.run = run, .stream = line->stream};
        if (!line->configured && !run->topics[t].failed) {
            code = tm_journal_put_map(options->journal, &options->job, line->source, line->target,
                    next_rows, &copying, err);
        }
    }
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "keep where the records went");
}

/* A report from before an interruption says how many failed. */
static size_t count_failed(const char *report)
{
    static const char mark[] = "\"state\":\"failed\"";
    size_t count = 0;
    for (const char *at = strstr(report, mark); at != NULL; at = strstr(at + 1, mark)) {
        count++;
    }
    return count;
}

enum tm_code tm_restore_set_groups(struct restore_run *run, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    struct tm_restore_result *result = run->result;
    if (options->journal == NULL) {
        return TM_OK;
    }
    TM_TRY(keep_map(run, err));
    if (options->groups.mode == TM_GROUPS_NONE) {
        return TM_OK;
    }
    TM_TRY(tm_journal_groups(
            options->journal, &options->job, &result->arena, &result->groups, err));
    if (result->groups != NULL) {
        result->groups_failed = count_failed(result->groups);
        return TM_OK;
    }
    struct setting setting = {.run = run, .report = tm_json_array()};
    do_groups(&setting);
    char *text = tm_json_text(setting.report);
    result->groups = tm_arena_strdup(&result->arena, text);
    free(text);
    tm_json_free(setting.report);
    tm_arena_done(&setting.arena);
    if (result->failures.count > 0) {
        return TM_OK; /* the job ends with them; nothing of the groups is done */
    }
    return tm_journal_put_groups(options->journal, &options->job, result->groups, err);
}
