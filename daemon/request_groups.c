/* SPDX-License-Identifier: Apache-2.0 */
#include "request_groups.h"

void tmd_request_add_groups(struct tm_json *json, const struct tm_restore_groups *groups)
{
    if (groups->mode == TM_GROUPS_NONE) {
        return;
    }
    struct tm_json *object = tm_json_add(json, "consumer_groups", tm_json_object());
    tm_json_add_int(object, "mode", groups->mode);
    struct tm_json *patterns = tm_json_add(object, "groups", tm_json_array());
    for (size_t i = 0; i < groups->pattern_count; i++) {
        tm_json_push_str(patterns, groups->patterns[i]);
    }
    struct tm_json *renames = tm_json_add(object, "rename", tm_json_array());
    for (size_t i = 0; i < groups->rename_count; i++) { /* from, to, from, to, ... */
        tm_json_push_str(renames, groups->renames[i].from);
        tm_json_push_str(renames, groups->renames[i].to);
    }
}

static size_t read_texts(const struct tm_json_value *object, const char *key,
        struct tm_arena *arena, const char *const **out)
{
    const struct tm_json_value *array = tm_json_get(object, key);
    const struct tm_json_value *at = array != NULL ? array->first : NULL;
    const char **texts =
            tm_arena_alloc(arena, (array != NULL ? array->count : 0) + 1, sizeof(*texts));
    size_t count = 0;
    for (; at != NULL; at = at->next) {
        if (at->kind == TM_JSON_STRING) {
            texts[count++] = at->string;
        }
    }
    *out = texts;
    return count;
}

void tmd_request_read_groups(
        const struct tm_json_value *json, struct tm_arena *arena, struct tm_restore_groups *out)
{
    const struct tm_json_value *object = tm_json_get(json, "consumer_groups");
    const struct tm_json_value *mode = tm_json_get(object, "mode");
    const char *const *names = NULL;
    *out = (struct tm_restore_groups){0};
    if (mode == NULL || mode->kind != TM_JSON_INT || mode->integer < TM_GROUPS_NONE ||
            mode->integer > TM_GROUPS_REPORT) {
        return;
    }
    out->mode = (enum tm_groups_mode)mode->integer;
    out->pattern_count = read_texts(object, "groups", arena, &out->patterns);
    out->rename_count = read_texts(object, "rename", arena, &names) / 2;
    struct tm_rename *renames = tm_arena_alloc(arena, out->rename_count + 1, sizeof(*renames));
    for (size_t i = 0; i < out->rename_count; i++) {
        renames[i] = (struct tm_rename){names[2 * i], names[2 * i + 1]};
    }
    out->renames = renames;
}

void tmd_request_copy_groups(
        const struct tm_restore_groups *from, struct tm_arena *arena, struct tm_restore_groups *to)
{
    const char **patterns = tm_arena_alloc(arena, from->pattern_count + 1, sizeof(*patterns));
    struct tm_rename *renames = tm_arena_alloc(arena, from->rename_count + 1, sizeof(*renames));
    for (size_t i = 0; i < from->pattern_count; i++) {
        patterns[i] = tm_arena_strdup(arena, from->patterns[i]);
    }
    for (size_t i = 0; i < from->rename_count; i++) {
        renames[i].from = tm_arena_strdup(arena, from->renames[i].from);
        renames[i].to = tm_arena_strdup(arena, from->renames[i].to);
    }
    *to = *from;
    to->patterns = patterns;
    to->renames = renames;
}
