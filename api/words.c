/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <string.h>

#include "base/text.h"

/* The next word at or after *at, which moves behind it; null at the end. */
static struct tm_slice next_word(const char **at)
{
    *at += strspn(*at, " ");
    size_t len = strcspn(*at, " ");
    struct tm_slice word = len > 0 ? tm_slice_of(*at, len) : TM_SLICE_NULL;
    *at += len;
    return word;
}

int tm_words_find(const char *words, const char *word)
{
    struct tm_slice at = next_word(&words);
    for (int i = 0; at.at != NULL; i++) {
        if (tm_slice_is(at, word)) {
            return i;
        }
        at = next_word(&words);
    }
    return -1;
}

const char *const *tm_words_list(const char *words, struct tm_arena *arena, size_t *count)
{
    size_t most = strlen(words) / 2 + 1;
    const char **list = tm_arena_alloc(arena, most, sizeof(*list));
    *count = 0;
    for (struct tm_slice at = next_word(&words); at.at != NULL; at = next_word(&words)) {
        list[(*count)++] = tm_arena_str(arena, at);
    }
    return list;
}

const char *tm_words_nearest(const char *words, const char *given, struct tm_arena *arena)
{
    size_t count = 0;
    const char *const *list = tm_words_list(words, arena, &count);
    return tm_nearest(given, list, count);
}

struct tm_json *tm_words_json(const char *words)
{
    struct tm_arena arena = {0};
    size_t count = 0;
    const char *const *list = tm_words_list(words, &arena, &count);
    struct tm_json *json = tm_json_array();
    for (size_t i = 0; i < count; i++) {
        tm_json_push_str(json, list[i]);
    }
    tm_arena_done(&arena);
    return json;
}
