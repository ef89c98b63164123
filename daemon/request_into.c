/* SPDX-License-Identifier: Apache-2.0 */
#include "request_into.h"

#include <string.h>

#include "base/own.h"

void tmd_request_into_add(struct tm_json *json, const struct tm_restore_into *into)
{
    struct tm_json *out = tm_json_add(json, "into", tm_json_object());
    tm_json_add_int(out, "partitions", into->partitions);
    tm_json_add_int(out, "partition_count", into->partition_count);
    struct tm_json *map = tm_json_add(out, "map", tm_json_array());
    for (size_t i = 0; i < into->map_count; i++) {
        tm_json_push_int(map, into->map[i].from);
        tm_json_push_int(map, into->map[i].to);
    }
    struct tm_json *confirm = tm_json_add(out, "confirm", tm_json_array());
    for (size_t i = 0; i < into->confirm_count; i++) {
        tm_json_push_str(confirm, into->confirm[i]);
    }
    tm_json_add_bool(out, "add_original_position", into->add_original_position);
    tm_json_add_int(out, "write_bytes_per_second", into->write_bytes_per_second);
    tm_json_add_int(out, "max_in_flight", into->max_in_flight);
}

static int64_t get_int(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_INT ? value->integer : 0;
}

static void read_map(
        const struct tm_json_value *array, struct tm_arena *arena, struct tm_restore_into *out)
{
    size_t most = array != NULL ? array->count / 2 : 0;
    struct tm_partition_pair *pairs = tm_arena_alloc(arena, most + 1, sizeof(*pairs));
    const struct tm_json_value *at = most > 0 ? array->first : NULL;
    for (; at != NULL && at->next != NULL && out->map_count < most; at = at->next->next) {
        pairs[out->map_count++] =
                (struct tm_partition_pair){(int32_t)at->integer, (int32_t)at->next->integer};
    }
    out->map = pairs;
}

static void read_confirm(
        const struct tm_json_value *array, struct tm_arena *arena, struct tm_restore_into *out)
{
    size_t most = array != NULL ? array->count : 0;
    const char **texts = tm_arena_alloc(arena, most + 1, sizeof(*texts));
    const struct tm_json_value *at = most > 0 ? array->first : NULL;
    for (; at != NULL; at = at->next) {
        if (at->kind == TM_JSON_STRING) {
            texts[out->confirm_count++] = at->string;
        }
    }
    out->confirm = texts;
}

void tmd_request_into_read(
        const struct tm_json_value *json, struct tm_arena *arena, struct tm_restore_into *out)
{
    const struct tm_json_value *into = tm_json_get(json, "into");
    *out = (struct tm_restore_into){0};
    if (into == NULL || into->kind != TM_JSON_OBJECT) {
        return; /* written by a version that had none of it */
    }
    const struct tm_json_value *position = tm_json_get(into, "add_original_position");
    out->partitions = (enum tm_partitions)get_int(into, "partitions");
    out->partition_count = (int32_t)get_int(into, "partition_count");
    out->write_bytes_per_second = get_int(into, "write_bytes_per_second");
    out->max_in_flight = (int32_t)get_int(into, "max_in_flight");
    out->add_original_position =
            position != NULL && position->kind == TM_JSON_BOOL && position->boolean;
    read_map(tm_json_get(into, "map"), arena, out);
    read_confirm(tm_json_get(into, "confirm"), arena, out);
}

void tmd_request_into_copy(
        const struct tm_restore_into *from, struct tm_arena *arena, struct tm_restore_into *to)
{
    *to = *from;
    struct tm_partition_pair *pairs = tm_arena_alloc(arena, from->map_count + 1, sizeof(*pairs));
    for (size_t i = 0; i < from->map_count; i++) {
        pairs[i] = from->map[i];
    }
    const char **confirm = tm_arena_alloc(arena, from->confirm_count + 1, sizeof(*confirm));
    for (size_t i = 0; i < from->confirm_count; i++) {
        confirm[i] = tm_arena_strdup(arena, from->confirm[i]);
    }
    to->map = pairs;
    to->confirm = confirm;
}
