/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz tm_json_read(): no input may crash it, and what it accepts reads the same when written. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tm_json *rewrite(const struct tm_json_value *value);

/* Scalars are members or elements; cJSON wants them added by what holds them. */
static void add(struct tm_json *to, const struct tm_json_value *value)
{
    /* An array takes its elements as objects of one member: the writer pushes parts alone. */
    struct tm_json *object = value->key != NULL ? to : tm_json_push(to, tm_json_object());
    const char *key = value->key != NULL ? value->key : "e";
    switch (value->kind) {
    case TM_JSON_NULL:
        tm_json_add_null(object, key);
        break;
    case TM_JSON_BOOL:
        tm_json_add_bool(object, key, value->boolean);
        break;
    case TM_JSON_INT:
        tm_json_add_int(object, key, value->integer);
        break;
    case TM_JSON_REAL:
        tm_json_add_real(object, key, value->real);
        break;
    case TM_JSON_STRING:
        tm_json_add_str(object, key, value->string);
        break;
    case TM_JSON_ARRAY:
    case TM_JSON_OBJECT:
        (void)tm_json_add(object, key, rewrite(value));
        break;
    }
}

static struct tm_json *rewrite(const struct tm_json_value *value)
{
    struct tm_json *json = value->kind == TM_JSON_OBJECT ? tm_json_object() : tm_json_array();
    for (const struct tm_json_value *at = value->first; at != NULL; at = at->next) {
        add(json, at);
    }
    return json;
}

/* Is `again` what rewrite() made of `value`? */
static void assert_same(const struct tm_json_value *value, const struct tm_json_value *again)
{
    if (value->kind == TM_JSON_REAL && again->kind == TM_JSON_INT) { /* 1.0 is written as 1 */
        tm_assert(fabs(value->real - (double)again->integer) <= 0);
        return;
    }
    tm_assert(value->kind == again->kind && value->count == again->count);
    tm_assert(value->boolean == again->boolean && value->integer == again->integer);
    tm_assert(fabs(value->real - again->real) <= 0);
    tm_assert(value->kind != TM_JSON_STRING || strcmp(value->string, again->string) == 0);
    const struct tm_json_value *other = again->first;
    for (const struct tm_json_value *at = value->first; at != NULL; at = at->next) {
        tm_assert(at->key == NULL || strcmp(at->key, other->key) == 0);
        assert_same(at, at->key != NULL ? other : other->first);
        other = other->next;
    }
}

static unsigned depth_of(const struct tm_json_value *value)
{
    unsigned deepest = 0;
    for (const struct tm_json_value *at = value->first; at != NULL; at = at->next) {
        unsigned depth = depth_of(at);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static void check_rewritten(const struct tm_json_value *root, struct tm_arena *arena)
{
    if (root->kind != TM_JSON_OBJECT || depth_of(root) > TM_JSON_DEPTH_MAX / 2) {
        return;
    }
    TM_OWN(tm_json_free) struct tm_json *json = rewrite(root);
    char *text = tm_json_text(json);
    const struct tm_json_value *again = NULL;
    struct tm_err err = {0};
    enum tm_code code = tm_json_read(tm_slice_str(text), arena, &again, NULL, &err);
    tm_assert(code == TM_OK || code == TM_E_LIMIT); /* twice the values may be too many */
    if (code == TM_OK) {
        assert_same(root, again);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_json_pos pos = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_json_read(tm_slice_of(data, size), &arena, &root, &pos, &err);
    tm_assert(pos.offset <= size && pos.line >= 1 && pos.column >= 1);
    tm_assert((code == TM_OK) == (root != NULL) && code == err.code);
    if (code == TM_OK) {
        check_rewritten(root, &arena);
    }
    tm_arena_done(&arena);
    return 0;
}
