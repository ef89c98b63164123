/* SPDX-License-Identifier: Apache-2.0 */
#include "request_choice.h"

#include <string.h>

/* Writing ------------------------------------------------------------------------------------- */

static void add_lists(struct tm_json *json, const struct tm_choice *choice)
{
    struct tm_json *lists = tm_json_add(json, "partitions", tm_json_array());
    for (size_t i = 0; i < choice->partition_count; i++) {
        const struct tm_choice_partitions *entry = &choice->partitions[i];
        struct tm_json *list = tm_json_push(lists, tm_json_object());
        tm_json_add_str(list, "topic", entry->topic);
        struct tm_json *at = tm_json_add(list, "at", tm_json_array());
        for (size_t p = 0; p < entry->count; p++) {
            tm_json_push_int(at, entry->at[p]);
        }
    }
}

static void add_windows(struct tm_json *json, const struct tm_choice *choice)
{
    struct tm_json *windows = tm_json_add(json, "windows", tm_json_array());
    for (size_t i = 0; i < choice->window_count; i++) {
        const struct tm_choice_window *window = &choice->windows[i];
        struct tm_json *part = tm_json_push(windows, tm_json_object());
        tm_json_add_str(part, "topic", window->topic);
        tm_json_add_int(part, "partition", window->partition);
        tm_json_add_bool(part, "by_time", window->by_time);
        tm_json_add_int(part, "from", window->from);
        tm_json_add_int(part, "to", window->to);
    }
    struct tm_json *skips = tm_json_add(json, "skips", tm_json_array());
    for (size_t i = 0; i < choice->skip_count; i++) {
        const struct tm_choice_skip *skip = &choice->skips[i];
        struct tm_json *part = tm_json_push(skips, tm_json_object());
        tm_json_add_str(part, "topic", skip->topic);
        tm_json_add_int(part, "partition", skip->partition);
        tm_json_add_int(part, "first", skip->first);
        tm_json_add_int(part, "last", skip->last);
    }
}

void tmd_choice_add(struct tm_json *json, const struct tm_restore_request *request)
{
    const struct tm_choice *choice = &request->choice;
    struct tm_json *points = tm_json_add(json, "more_points", tm_json_array());
    for (size_t i = 0; i < request->more_point_count; i++) {
        tm_json_push_str(points, request->more_points[i]);
    }
    tm_json_add_str(json, "source_cluster", request->cluster);
    tm_json_add_bool(json, "has_at", request->has_at);
    tm_json_add_int(json, "at_ms", request->at_ms);
    tm_json_add_int(json, "as_of", request->as_of);
    tm_json_add_int(json, "late_ms", request->late_ms);
    struct tm_json *part = tm_json_add(json, "choice", tm_json_object());
    tm_json_add_bool(part, "has_from", choice->has_from);
    tm_json_add_int(part, "from_ms", choice->from_ms);
    tm_json_add_bool(part, "has_until", choice->has_until);
    tm_json_add_int(part, "until_ms", choice->until_ms);
    tm_json_add_int(part, "newest", choice->newest);
    add_lists(part, choice);
    add_windows(part, choice);
}

/* Reading ------------------------------------------------------------------------------------- */

/* One object of the journal; what is not there or of another kind makes it bad. */
struct field {
    const struct tm_json_value *object;
    bool bad;
};

static int64_t get_int(struct field *field, const char *key, int64_t min, int64_t max)
{
    const struct tm_json_value *value = tm_json_get(field->object, key);
    bool fits = value != NULL && value->kind == TM_JSON_INT && value->integer >= min &&
                value->integer <= max;
    field->bad = field->bad || !fits;
    return fits ? value->integer : 0;
}

static bool get_bool(struct field *field, const char *key)
{
    const struct tm_json_value *value = tm_json_get(field->object, key);
    bool fits = value != NULL && value->kind == TM_JSON_BOOL;
    field->bad = field->bad || !fits;
    return fits && value->boolean;
}

static const char *get_str(struct field *field, const char *key)
{
    const struct tm_json_value *value = tm_json_get(field->object, key);
    bool fits = value != NULL && value->kind == TM_JSON_STRING;
    field->bad = field->bad || !fits;
    return fits ? value->string : "";
}

/* The array's elements, and room for as many of `size` bytes. */
static const struct tm_json_value *get_list(
        struct field *field, const char *key, struct tm_arena *arena, size_t size, void **room)
{
    const struct tm_json_value *value = tm_json_get(field->object, key);
    bool fits = value != NULL && value->kind == TM_JSON_ARRAY;
    field->bad = field->bad || !fits;
    *room = tm_arena_alloc(arena, (fits ? value->count : 0) + 1, size);
    return fits ? value->first : NULL;
}

static void read_lists(struct field *field, struct tm_arena *arena, struct tm_choice *choice)
{
    void *room = NULL;
    const struct tm_json_value *at =
            get_list(field, "partitions", arena, sizeof(*choice->partitions), &room);
    struct tm_choice_partitions *lists = room;
    for (; at != NULL; at = at->next) {
        struct field list = {at, false};
        struct tm_choice_partitions *entry = &lists[choice->partition_count++];
        entry->topic = get_str(&list, "topic");
        const struct tm_json_value *one = get_list(&list, "at", arena, sizeof(*entry->at), &room);
        int32_t *numbers = room;
        for (; one != NULL; one = one->next) {
            list.bad = list.bad || one->kind != TM_JSON_INT;
            numbers[entry->count++] = (int32_t)one->integer;
        }
        entry->at = numbers;
        field->bad = field->bad || list.bad;
    }
    choice->partitions = lists;
}

static void read_windows(struct field *field, struct tm_arena *arena, struct tm_choice *choice)
{
    void *room = NULL;
    const struct tm_json_value *at =
            get_list(field, "windows", arena, sizeof(*choice->windows), &room);
    struct tm_choice_window *windows = room;
    for (; at != NULL; at = at->next) {
        struct field part = {at, false};
        windows[choice->window_count++] = (struct tm_choice_window){
                .topic = get_str(&part, "topic"),
                .partition = (int32_t)get_int(&part, "partition", -1, INT32_MAX),
                .by_time = get_bool(&part, "by_time"),
                .from = get_int(&part, "from", INT64_MIN, INT64_MAX),
                .to = get_int(&part, "to", INT64_MIN, INT64_MAX),
        };
        field->bad = field->bad || part.bad;
    }
    choice->windows = windows;
}

static void read_skips(struct field *field, struct tm_arena *arena, struct tm_choice *choice)
{
    void *room = NULL;
    const struct tm_json_value *at = get_list(field, "skips", arena, sizeof(*choice->skips), &room);
    struct tm_choice_skip *skips = room;
    for (; at != NULL; at = at->next) {
        struct field part = {at, false};
        skips[choice->skip_count++] = (struct tm_choice_skip){
                .topic = get_str(&part, "topic"),
                .partition = (int32_t)get_int(&part, "partition", 0, INT32_MAX),
                .first = get_int(&part, "first", 0, INT64_MAX),
                .last = get_int(&part, "last", 0, INT64_MAX),
        };
        field->bad = field->bad || part.bad;
    }
    choice->skips = skips;
}

static void read_choice(struct field *field, struct tm_arena *arena, struct tm_choice *choice)
{
    choice->has_from = get_bool(field, "has_from");
    choice->from_ms = get_int(field, "from_ms", INT64_MIN, INT64_MAX);
    choice->has_until = get_bool(field, "has_until");
    choice->until_ms = get_int(field, "until_ms", INT64_MIN, INT64_MAX);
    choice->newest = get_int(field, "newest", 0, INT64_MAX);
    read_lists(field, arena, choice);
    read_windows(field, arena, choice);
    read_skips(field, arena, choice);
}

static void read_points(
        struct field *field, struct tm_arena *arena, struct tm_restore_request *request)
{
    void *room = NULL;
    const struct tm_json_value *at =
            get_list(field, "more_points", arena, sizeof(*request->more_points), &room);
    const char **points = room;
    for (; at != NULL; at = at->next) {
        field->bad = field->bad || at->kind != TM_JSON_STRING;
        points[request->more_point_count++] = at->kind == TM_JSON_STRING ? at->string : "";
    }
    request->more_points = points;
}

/* A job of a version that knew no choice has none: it takes everything. But a choice that does not read is not none. */
enum tm_code tmd_choice_read(const struct tm_json_value *json, struct tm_arena *arena,
        struct tm_restore_request *request, struct tm_err *err)
{
    struct field whole = {json, false};
    struct field choice = {tm_json_get(json, "choice"), false};
    if (choice.object == NULL) {
        return TM_OK;
    }
    const struct tm_json_value *cluster = tm_json_get(json, "source_cluster");
    request->cluster = cluster != NULL && cluster->kind == TM_JSON_STRING ? cluster->string : NULL;
    request->has_at = get_bool(&whole, "has_at");
    request->at_ms = get_int(&whole, "at_ms", INT64_MIN, INT64_MAX);
    request->as_of = (enum tm_as_of)get_int(&whole, "as_of", 0, TM_AS_OF_CAPTURE_TIME);
    request->late_ms = get_int(&whole, "late_ms", 0, INT64_MAX);
    read_points(&whole, arena, request);
    read_choice(&choice, arena, &request->choice);
    return whole.bad || choice.bad
                   ? tm_err_set(err, TM_E_CORRUPT,
                             "the journal's restore has a choice that does not read")
                   : TM_OK;
}

/* Copying ------------------------------------------------------------------------------------- */

static void copy_choice(const struct tm_choice *from, struct tm_arena *arena, struct tm_choice *to)
{
    struct tm_choice_partitions *lists =
            tm_arena_alloc(arena, from->partition_count + 1, sizeof(*lists));
    for (size_t i = 0; i < from->partition_count; i++) {
        const struct tm_choice_partitions *entry = &from->partitions[i];
        struct tm_slice bytes = {(const uint8_t *)entry->at, entry->count * sizeof(*entry->at)};
        int32_t *at = tm_arena_alloc(arena, entry->count + 1, sizeof(*at));
        memcpy(at, bytes.at, bytes.len);
        lists[i] = (struct tm_choice_partitions){
                .topic = tm_arena_strdup(arena, entry->topic), .at = at, .count = entry->count};
    }
    struct tm_choice_window *windows =
            tm_arena_alloc(arena, from->window_count + 1, sizeof(*windows));
    for (size_t i = 0; i < from->window_count; i++) {
        windows[i] = from->windows[i];
        windows[i].topic = tm_arena_strdup(arena, from->windows[i].topic);
    }
    struct tm_choice_skip *skips = tm_arena_alloc(arena, from->skip_count + 1, sizeof(*skips));
    for (size_t i = 0; i < from->skip_count; i++) {
        skips[i] = from->skips[i];
        skips[i].topic = tm_arena_strdup(arena, from->skips[i].topic);
    }
    *to = *from;
    to->partitions = lists;
    to->windows = windows;
    to->skips = skips;
}

void tmd_choice_copy(const struct tm_restore_request *from, struct tm_arena *arena,
        struct tm_restore_request *to)
{
    const char **points = tm_arena_alloc(arena, from->more_point_count + 1, sizeof(*points));
    for (size_t i = 0; i < from->more_point_count; i++) {
        points[i] = tm_arena_strdup(arena, from->more_points[i]);
    }
    to->more_points = points;
    to->more_point_count = from->more_point_count;
    to->cluster = tm_arena_strdup(arena, from->cluster);
    to->has_at = from->has_at;
    to->at_ms = from->at_ms;
    to->as_of = from->as_of;
    to->late_ms = from->late_ms;
    copy_choice(&from->choice, arena, &to->choice);
}
