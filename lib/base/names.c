/* SPDX-License-Identifier: Apache-2.0 */
#include "base/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

bool tm_names_has(const struct tm_names *names, const char *name)
{
    bool has = names->count == 0;
    for (size_t i = 0; !has && i < names->count; i++) {
        has = strcmp(names->at[i], name) == 0;
    }
    return has;
}

struct tm_names tm_names_copy(const struct tm_names *names, struct tm_arena *arena)
{
    const char **at = tm_arena_alloc(arena, names->count + 1, sizeof(*at));
    for (size_t i = 0; i < names->count; i++) {
        at[i] = tm_arena_strdup(arena, names->at[i]);
    }
    return (struct tm_names){at, names->count};
}

const char *tm_names_json(const struct tm_names *names, struct tm_arena *arena)
{
    if (names->count == 0) {
        return NULL;
    }
    TM_OWN(tm_json_free) struct tm_json *list = tm_json_array();
    for (size_t i = 0; i < names->count; i++) {
        tm_json_push_str(list, names->at[i]);
    }
    char *text = tm_json_text(list);
    const char *kept = tm_arena_strdup(arena, text);
    free(text);
    return kept;
}
