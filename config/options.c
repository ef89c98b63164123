/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tm_config.h"

enum { NEAREST_MAX = 64 };

#define LENGTH(array)        (sizeof(array) / sizeof((array)[0]))
#define REQUIRED             NULL
#define OPEN                 false
#define SECRET               true
#define NOWHERE              0, 0
#define INTO(holder, member) offsetof(holder, member), sizeof(((holder *)NULL)->member)
#define ROW(path, kind, ...) {path, TM_OPTION_##kind, __VA_ARGS__},
#define OPT(path, kind, ...) ROW(path, kind, __VA_ARGS__)
#define LATER(path)

static const struct tm_option options[] = {
#include "options.def"
};

#undef OPT
#undef LATER
#define OPT(path, kind, ...)
#define LATER(path) path,

static const char *const later[] = {
#include "options.def"
};

size_t tm_option_count(void)
{
    return LENGTH(options);
}

const struct tm_option *tm_option_at(size_t index)
{
    return &options[index];
}

size_t tm_option_later_count(void)
{
    return LENGTH(later);
}

const char *tm_option_later_at(size_t index)
{
    return later[index];
}

const char *tm_option_key(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

/* Does `path` lie directly in `scope`? */
static bool is_in(const char *path, const char *scope)
{
    const char *key = tm_option_key(path);
    size_t len = key > path ? (size_t)(key - path) - 1 : 0;
    return len == strlen(scope) && strncmp(path, scope, len) == 0;
}

bool tm_option_is_in(const struct tm_option *option, const char *scope)
{
    return is_in(option->path, scope);
}

const struct tm_option *tm_option_find(const char *scope, const char *key)
{
    for (size_t i = 0; i < LENGTH(options); i++) {
        if (is_in(options[i].path, scope) && strcmp(tm_option_key(options[i].path), key) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

bool tm_option_is_later(const char *scope, const char *key)
{
    for (size_t i = 0; i < LENGTH(later); i++) {
        if (is_in(later[i], scope) && strcmp(tm_option_key(later[i]), key) == 0) {
            return true;
        }
    }
    return false;
}

const char *tm_option_nearest(const char *scope, const char *key)
{
    const char *keys[NEAREST_MAX];
    size_t count = 0;
    for (size_t i = 0; i < LENGTH(options) && count < NEAREST_MAX; i++) {
        if (is_in(options[i].path, scope)) {
            keys[count++] = tm_option_key(options[i].path);
        }
    }
    return tm_nearest(key, keys, count);
}

const char *tm_option_word(const struct tm_option *option, size_t index, size_t *len)
{
    const char *at = option->words;
    for (size_t i = 0;; i++) {
        at += strspn(at, " ");
        *len = strcspn(at, " ");
        if (*len == 0 || at[0] == '|') {
            return NULL;
        }
        if (i == index) {
            return at;
        }
        at += *len;
    }
}

static bool has_later_word(const struct tm_option *option, const char *word)
{
    const char *at = strchr(option->words, '|');
    size_t wanted = strlen(word);
    for (at = at != NULL ? at + 1 : ""; *at != '\0';) {
        at += strspn(at, " ");
        size_t len = strcspn(at, " ");
        if (len > 0 && len == wanted && strncmp(at, word, len) == 0) {
            return true;
        }
        at += len;
    }
    return false;
}

int tm_option_find_word(const struct tm_option *option, const char *word)
{
    size_t len = 0;
    const char *at = tm_option_word(option, 0, &len);
    for (size_t i = 0; at != NULL; at = tm_option_word(option, ++i, &len)) {
        if (len == strlen(word) && strncmp(at, word, len) == 0) {
            return (int)i;
        }
    }
    return has_later_word(option, word) ? -2 : -1;
}

static void format_size(int64_t bytes, char *text)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(text, TM_OPTION_TEXT_MAX, "%" PRId64 "%s", bytes, units[unit]);
}

const char *tm_option_format(
        const struct tm_option *option, int64_t value, char text[TM_OPTION_TEXT_MAX])
{
    if (option->kind == TM_OPTION_SIZE) {
        format_size(value, text);
    } else if (option->kind == TM_OPTION_DURATION) {
        (void)tm_format_duration(value, text);
    } else if (option->kind == TM_OPTION_RATIO) {
        (void)tm_format_real((double)value / 1e6, text);
    } else {
        (void)snprintf(text, TM_OPTION_TEXT_MAX, "%" PRId64, value);
    }
    return text;
}

const char *tm_option_text(const struct tm_option *option, const void *base)
{
    const char *text = NULL;
    memcpy(&text, (const char *)base + option->offset, sizeof(text));
    return text != NULL ? text : "";
}

const void *tm_option_array(const struct tm_option *option, const void *base, size_t *count)
{
    const char *at = (const char *)base + option->offset;
    const void *array = NULL;
    memcpy(&array, at, sizeof(array));
    memcpy(count, at + sizeof(array), sizeof(*count));
    return array;
}
