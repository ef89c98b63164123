/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

/* A struct tm_json is a cJSON under another name, so that cJSON.h stays in here. */
static cJSON *item_of(struct tm_json *json)
{
    return (cJSON *)(void *)json;
}

static struct tm_json *json_of(cJSON *item)
{
    tm_assert(item != NULL); /* cJSON gives NULL when memory is gone */
    return (struct tm_json *)(void *)item;
}

struct tm_json *tm_json_object(void)
{
    return json_of(cJSON_CreateObject());
}

struct tm_json *tm_json_array(void)
{
    return json_of(cJSON_CreateArray());
}

void tm_json_free(struct tm_json *json)
{
    cJSON_Delete(item_of(json));
}

static cJSON *new_string(const char *text)
{
    TM_BUF_OWN struct tm_buf clean = {0};
    if (!tm_is_utf8(tm_slice_str(text))) {
        tm_utf8_clean(tm_slice_str(text), &clean);
        text = tm_buf_text(&clean);
    }
    return cJSON_CreateString(text);
}

static cJSON *new_int(int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    return cJSON_CreateRaw(text);
}

static void add_member(struct tm_json *object, const char *key, cJSON *item)
{
    tm_assert(cJSON_IsObject(item_of(object)) && item != NULL);
    TM_BUF_OWN struct tm_buf clean = {0};
    if (!tm_is_utf8(tm_slice_str(key))) {
        tm_utf8_clean(tm_slice_str(key), &clean);
        key = tm_buf_text(&clean);
    }
    tm_assert(cJSON_AddItemToObject(item_of(object), key, item));
}

static void push_element(struct tm_json *array, cJSON *item)
{
    tm_assert(cJSON_IsArray(item_of(array)) && item != NULL);
    tm_assert(cJSON_AddItemToArray(item_of(array), item));
}

void tm_json_add_str(struct tm_json *object, const char *key, const char *text)
{
    if (text != NULL) {
        add_member(object, key, new_string(text));
    }
}

void tm_json_add_pairs(
        struct tm_json *object, const char *key, const struct tm_pair *pairs, size_t count)
{
    struct tm_json *map = count > 0 ? tm_json_add(object, key, tm_json_object()) : NULL;
    for (size_t i = 0; i < count; i++) {
        tm_json_add_str(map, pairs[i].name, pairs[i].value);
    }
}

void tm_json_add_slice(struct tm_json *object, const char *key, struct tm_slice text)
{
    TM_BUF_OWN struct tm_buf copy = {0};
    tm_buf_add(&copy, text.at, text.len);
    tm_json_add_str(object, key, tm_buf_text(&copy));
}

void tm_json_add_int(struct tm_json *object, const char *key, int64_t value)
{
    add_member(object, key, new_int(value));
}

void tm_json_add_real(struct tm_json *object, const char *key, double value)
{
    if (isnan(value) || isinf(value)) { /* JSON has no such numbers */
        tm_json_add_null(object, key);
        return;
    }
    char text[32];
    add_member(object, key, cJSON_CreateRaw(tm_format_real(value, text)));
}

void tm_json_add_bool(struct tm_json *object, const char *key, bool value)
{
    add_member(object, key, cJSON_CreateBool(value));
}

void tm_json_add_null(struct tm_json *object, const char *key)
{
    add_member(object, key, cJSON_CreateNull());
}

void tm_json_add_time(struct tm_json *object, const char *key, int64_t time_ms)
{
    char text[TM_TIME_TEXT_MAX];
    tm_json_add_str(object, key, tm_time_format(time_ms, text));
}

void tm_json_add_raw(struct tm_json *object, const char *key, const char *json)
{
    if (json != NULL) {
        add_member(object, key, cJSON_CreateRaw(json));
    }
}

struct tm_json *tm_json_add(struct tm_json *object, const char *key, struct tm_json *part)
{
    add_member(object, key, item_of(part));
    return part;
}

void tm_json_push_str(struct tm_json *array, const char *text)
{
    push_element(array, new_string(text));
}

void tm_json_push_int(struct tm_json *array, int64_t value)
{
    push_element(array, new_int(value));
}

struct tm_json *tm_json_push(struct tm_json *array, struct tm_json *part)
{
    push_element(array, item_of(part));
    return part;
}

char *tm_json_text(const struct tm_json *json)
{
    char *text = cJSON_PrintUnformatted((const cJSON *)(const void *)json);
    tm_assert(text != NULL);
    return text;
}

/* Bytes of the string that begins at `text`, with its quotes; of one that does not end, all of them. */
static size_t string_len(const char *text)
{
    size_t len = 1;
    while (text[len] != '\0' && text[len] != '"') {
        len += text[len] == '\\' && text[len + 1] != '\0' ? 2 : 1;
    }
    return text[len] == '"' ? len + 1 : len;
}

void tm_json_quote_integers(const char *text, struct tm_buf *out)
{
    while (*text != '\0') {
        bool begins = strchr("-0123456789", *text) != NULL;
        size_t number = begins ? strspn(text, "-+.eE0123456789") : 0;
        bool integer = begins && strspn(text + 1, "0123456789") + 1 == number;
        size_t len = *text == '"' ? string_len(text) : begins ? number : 1;
        tm_buf_add(out, "\"", integer ? 1 : 0);
        tm_buf_add(out, text, len);
        tm_buf_add(out, "\"", integer ? 1 : 0);
        text += len;
    }
}
