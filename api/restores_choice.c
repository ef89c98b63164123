/* SPDX-License-Identifier: Apache-2.0 */
/* What of a restore's body says which records: source, from, topics.partitions, windows, skip, subset. */
#include "restores_choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/ulid.h"

enum { TOPIC_MAX = 249, SKIP_MAX = TOPIC_MAX + 64 };

/* A time as text, or as whole milliseconds. False: it is not given, or wrong. */
static bool read_time(const struct tm_part *part, const char *name, int64_t *out)
{
    const struct tm_json_value *value = tm_json_get(part->object, name);
    struct tm_err err = {0};
    if (value != NULL && value->kind == TM_JSON_INT) {
        *out = value->integer;
        return true;
    }
    const char *text = tm_body_str(part, name);
    if (text == NULL) {
        return false;
    }
    if (tm_time_parse(text, tm_now_ms(), out, &err) != TM_OK) {
        tm_body_wrong(part, name, "%s", err.msg);
        return false;
    }
    return true;
}

/* The source ------------------------------------------------------------------------------- */

static void read_point(const struct tm_part *source, struct tm_restore_request *out)
{
    struct tm_id16 ulid;
    const char *point = tm_body_str(source, "recovery_point");
    bool latest = point != NULL && strcmp(point, "latest") == 0;
    out->policy = tm_body_str(source, "policy");
    out->cluster = tm_body_str(source, "cluster");
    out->point = latest ? NULL : point;
    if (out->point != NULL && !tm_ulid_parse(out->point, "rp_", &ulid)) {
        tm_body_wrong(source, "recovery_point", "must be \"rp_\" and 26 characters, or \"latest\"");
    }
    if (out->policy != NULL && out->cluster != NULL) {
        tm_body_wrong(source, "cluster", "goes without \"policy\"");
    }
    if (out->point != NULL && out->policy != NULL) {
        tm_body_wrong(source, "policy", "goes with \"recovery_point\":\"latest\" only");
    }
    if (out->point != NULL && out->cluster != NULL) {
        tm_body_wrong(source, "cluster", "goes with \"recovery_point\":\"latest\" only");
    }
    bool named = tm_body_has(source, "policy") || tm_body_has(source, "cluster");
    if (!named && (latest || !tm_body_has(source, "recovery_point"))) {
        tm_body_wrong(source, "policy",
                latest ? "is needed with \"latest\"" : "is needed, or \"recovery_point\"");
    }
}

void tm_restores_read_source(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known known = {"recovery_point policy cluster at as_of", ""};
    static const struct tm_known as_of = {"record_time capture_time", ""};
    tm_body_require(body, "source");
    struct tm_part source = tm_body_object(body, "source", known);
    if (source.object == NULL) {
        return;
    }
    read_point(&source, out);
    bool has_at = read_time(&source, "at", &out->at_ms);
    out->as_of = (enum tm_as_of)tm_body_choice(&source, "as_of", as_of);
    if (!tm_body_has(&source, "at") && tm_body_has(&source, "as_of")) {
        tm_body_wrong(&source, "as_of", "goes with \"at\"");
    }
    bool named = tm_body_has(&source, "recovery_point");
    if (has_at && named && out->as_of == TM_AS_OF_CAPTURE_TIME) {
        tm_body_wrong(&source, "as_of", "a point that is named has its own capture time");
    }
    out->has_at = has_at && !named; /* a named point is only cut by it */
    if (has_at && out->as_of == TM_AS_OF_RECORD_TIME) {
        out->choice.has_until = true;
        out->choice.until_ms = out->at_ms;
    }
}

/* Partitions ------------------------------------------------------------------------------- */

static void read_listed(const struct tm_part *map, const struct tm_json_value *list,
        struct tm_choice_partitions *out)
{
    int32_t *at = tm_arena_alloc(&map->request->arena, list->count + 1, sizeof(*at));
    size_t count = 0;
    bool fits = list->kind == TM_JSON_ARRAY && list->count > 0 &&
                list->count <= TM_CHOICE_PARTITIONS_MAX;
    for (const struct tm_json_value *one = fits ? list->first : NULL; one != NULL && fits;
            one = one->next) {
        fits = one->kind == TM_JSON_INT && one->integer >= 0 && one->integer <= INT32_MAX;
        at[count++] = fits ? (int32_t)one->integer : 0;
    }
    if (!fits) {
        tm_body_wrong(map, list->key, "must be an array of partition numbers, at most %d",
                TM_CHOICE_PARTITIONS_MAX);
    }
    *out = (struct tm_choice_partitions){.topic = list->key, .at = at, .count = count};
}

void tm_restores_read_partitions(const struct tm_part *topics, struct tm_restore_request *out)
{
    struct tm_part map;
    if (!tm_body_map(topics, "partitions", &map)) {
        return;
    }
    struct tm_choice_partitions *lists =
            tm_arena_alloc(&map.request->arena, map.object->count + 1, sizeof(*lists));
    size_t count = 0;
    for (const struct tm_json_value *at = map.object->first; at != NULL; at = at->next) {
        read_listed(&map, at, &lists[count++]);
    }
    out->choice.partitions = lists;
    out->choice.partition_count = count;
}

/* Windows, skip, subset -------------------------------------------------------------------- */

static void read_offsets(const struct tm_part *window, struct tm_choice_window *out)
{
    tm_body_require(window, "partition");
    tm_body_require(window, "from_offset");
    out->from = tm_body_int(window, "from_offset", 0, INT64_MAX - 1);
    out->to = tm_body_has(window, "to_offset") ? tm_body_int(window, "to_offset", 1, INT64_MAX)
                                               : INT64_MAX;
    if (tm_body_has(window, "from") || tm_body_has(window, "to")) {
        tm_body_wrong(window, "from", "a window is by offset or by record time, not both");
    }
}

static void read_times(const struct tm_part *window, struct tm_choice_window *out)
{
    out->by_time = true;
    bool from = read_time(window, "from", &out->from);
    bool to = read_time(window, "to", &out->to);
    out->from = from ? out->from : INT64_MIN;
    out->to = to ? out->to : INT64_MAX;
    if (!tm_body_has(window, "from") && !tm_body_has(window, "to")) {
        tm_body_wrong(window, "from", "is needed, or \"to\", or \"from_offset\"");
    }
}

static void read_window(const struct tm_part *window, struct tm_choice_window *out)
{
    tm_body_require(window, "topic");
    out->topic = tm_body_str(window, "topic");
    out->partition = tm_body_has(window, "partition")
                             ? (int32_t)tm_body_int(window, "partition", 0, INT32_MAX)
                             : -1;
    if (tm_body_has(window, "from_offset") || tm_body_has(window, "to_offset")) {
        read_offsets(window, out);
    } else {
        read_times(window, out);
    }
    if (out->from >= out->to) {
        tm_body_wrong(window, out->by_time ? "to" : "to_offset", "must lie behind its beginning");
    }
}

static void read_windows(const struct tm_part *body, struct tm_choice *out)
{
    static const struct tm_known known = {"topic partition from_offset to_offset from to", ""};
    struct tm_part *windows = NULL;
    size_t count = tm_body_objects(body, "windows", known, TM_CHOICE_WINDOWS_MAX, &windows);
    struct tm_choice_window *list = tm_arena_alloc(&body->request->arena, count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        read_window(&windows[i], &list[i]);
    }
    out->windows = list;
    out->window_count = count;
}

static void read_skips(const struct tm_part *body, struct tm_choice *out)
{
    struct tm_err err = {0};
    size_t count = 0;
    const char *const *texts = tm_body_strings(body, "skip", SKIP_MAX, &count);
    if (count > TM_CHOICE_SKIPS_MAX) {
        tm_body_wrong(body, "skip", "at most %d may be given", TM_CHOICE_SKIPS_MAX);
        return;
    }
    struct tm_choice_skip *list = tm_arena_alloc(&body->request->arena, count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        if (tm_choice_parse_skip(texts[i], &body->request->arena, &list[i], &err) != TM_OK) {
            tm_body_wrong(body, "skip", "%s", err.msg);
            return;
        }
    }
    out->skips = list;
    out->skip_count = count;
}

static void read_subset(const struct tm_part *body, struct tm_choice *out)
{
    static const struct tm_known known = {"newest", "key_sample_ratio"};
    struct tm_part subset = tm_body_object(body, "subset", known);
    if (subset.object != NULL) {
        tm_body_require(&subset, "newest");
        out->newest = tm_body_int(&subset, "newest", 1, INT64_MAX);
    }
}

void tm_restores_read_choice(const struct tm_part *body, struct tm_restore_request *out)
{
    struct tm_choice *choice = &out->choice;
    choice->has_from = read_time(body, "from", &choice->from_ms);
    if (choice->has_from && choice->has_until && choice->from_ms >= choice->until_ms) {
        tm_body_wrong(body, "from", "must lie before \"at\"");
    }
    read_windows(body, choice);
    read_skips(body, choice);
    read_subset(body, choice);
}

/* The plan's answer ------------------------------------------------------------------------ */

void tm_restores_view_choice(struct tm_json *json, const struct tm_restore_plan *plan,
        const struct tm_restore_request *request)
{
    bool at = request->has_at || request->choice.has_until;
    struct tm_json *source = tm_json_add(json, "source", tm_json_object());
    struct tm_json *points = tm_json_add(source, "recovery_points", tm_json_array());
    for (size_t i = 0; i < plan->point_count; i++) {
        char name[TM_ULID_NAME_MAX];
        const struct tm_row_point *row = plan->points[i];
        struct tm_json *point = tm_json_push(points, tm_json_object());
        tm_json_add_str(point, "id", tm_ulid_format(&row->ulid, "rp_", name));
        tm_json_add_slice(point, "policy", row->policy);
        tm_json_add_time(point, "captured_at", row->time_ms);
    }
    if (at) {
        tm_json_add_time(source, "at", request->at_ms);
        tm_json_add_str(source, "as_of",
                request->as_of == TM_AS_OF_CAPTURE_TIME ? "capture_time" : "record_time");
    }
    if (request->choice.has_from) {
        tm_json_add_time(source, "from", request->choice.from_ms);
    }
    tm_json_add_bool(json, "counts_exact", plan->exact);
}
