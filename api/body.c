/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "words.h"

/* Errors ----------------------------------------------------------------------------------- */

/* The JSON Pointer (RFC 6901) of a field, in the request's arena. */
static const char *pointer_of(const struct tm_part *part, const char *name)
{
    TM_BUF_OWN struct tm_buf pointer = {0};
    tm_buf_add_fmt(&pointer, "%s/", part->pointer);
    for (; *name != '\0'; name++) {
        if (*name == '~' || *name == '/') {
            tm_buf_add_text(&pointer, *name == '~' ? "~0" : "~1");
        } else {
            tm_buf_add(&pointer, name, 1);
        }
    }
    return tm_arena_strdup(&part->request->arena, tm_buf_text(&pointer));
}

static void note(const struct tm_part *part, const char *pointer, const char *detail)
{
    struct tm_field_error error = {.pointer = pointer, .detail = detail};
    tm_problem_note(part->request, &error);
}

void tm_body_wrong(const struct tm_part *part, const char *name, const char *fmt, ...)
{
    char detail[TM_ERR_MSG_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    note(part, pointer_of(part, name), tm_arena_strdup(&part->request->arena, detail));
}

/* Documents and objects -------------------------------------------------------------------- */

static void check_names(const struct tm_part *part, struct tm_known known)
{
    struct tm_arena *arena = &part->request->arena;
    for (const struct tm_json_value *at = part->object->first; at != NULL; at = at->next) {
        if (tm_words_find(known.now, at->key) >= 0) {
            continue;
        }
        const char *nearest = tm_words_nearest(known.now, at->key, arena);
        if (tm_words_find(known.later, at->key) >= 0) {
            tm_body_wrong(part, at->key, "not built yet");
        } else if (nearest != NULL) {
            tm_body_wrong(part, at->key, "unknown field; did you mean \"%s\"?", nearest);
        } else {
            tm_body_wrong(part, at->key, "unknown field");
        }
        if (part->request->errors.count == TM_FIELD_ERRORS_MAX) {
            return;
        }
    }
}

static void refuse_malformed(
        struct tm_request *request, const struct tm_json_pos *pos, const char *detail)
{
    struct tm_json *problem = tm_problem_begin(request, 400, "malformed-json", detail);
    tm_json_add_int(problem, "offset", (int64_t)pos->offset);
    tm_json_add_int(problem, "line", pos->line);
    tm_json_add_int(problem, "column", pos->column);
    tm_problem_send(request, 400, problem);
}

bool tm_body_read(
        struct tm_request *request, struct tm_known known, bool may_be_empty, struct tm_part *out)
{
    static const struct tm_json_value empty = {.kind = TM_JSON_OBJECT};
    *out = (struct tm_part){.request = request, .object = &empty, .pointer = ""};
    if (request->body.len == 0 && may_be_empty) {
        return true;
    }
    struct tm_err err = {0};
    struct tm_json_pos pos = {0};
    enum tm_code code =
            tm_json_read(tm_buf_slice(&request->body), &request->arena, &out->object, &pos, &err);
    if (code == TM_E_LIMIT) { /* JSON it is, but too deep or too much of it */
        note(out, "", tm_arena_strdup(&request->arena, err.msg));
        (void)tm_problem_noted(request);
        return false;
    }
    if (code != TM_OK) {
        refuse_malformed(request, &pos, err.msg);
        return false;
    }
    if (out->object->kind != TM_JSON_OBJECT) {
        note(out, "", "the body must be an object");
        (void)tm_problem_noted(request);
        return false;
    }
    check_names(out, known);
    return true;
}

/* The field's value if it is of that kind; NULL if it is not given or wrong. */
static const struct tm_json_value *get(
        const struct tm_part *part, const char *name, enum tm_json_kind kind, const char *what)
{
    const struct tm_json_value *value = tm_json_get(part->object, name);
    if (value != NULL && value->kind != kind) {
        tm_body_wrong(part, name, "must be %s", what);
        return NULL;
    }
    return value;
}

struct tm_part tm_body_object(const struct tm_part *part, const char *name, struct tm_known known)
{
    struct tm_part object = {
            .request = part->request,
            .object = get(part, name, TM_JSON_OBJECT, "an object"),
            .pointer = pointer_of(part, name),
    };
    if (object.object != NULL) {
        check_names(&object, known);
    }
    return object;
}

bool tm_body_map(const struct tm_part *part, const char *name, struct tm_part *out)
{
    *out = (struct tm_part){
            .request = part->request,
            .object = get(part, name, TM_JSON_OBJECT, "an object"),
            .pointer = pointer_of(part, name),
    };
    return out->object != NULL;
}

size_t tm_body_objects(const struct tm_part *part, const char *name, struct tm_known known,
        size_t max, struct tm_part **out)
{
    const struct tm_json_value *array = get(part, name, TM_JSON_ARRAY, "an array of objects");
    size_t count = 0;
    *out = NULL;
    if (array == NULL) {
        return 0;
    }
    if (array->count > max) {
        tm_body_wrong(part, name, "at most %zu may be given", max);
        return 0;
    }
    const struct tm_part list = {part->request, array, pointer_of(part, name)};
    struct tm_part *parts = tm_arena_alloc(&part->request->arena, array->count + 1, sizeof(*parts));
    for (const struct tm_json_value *at = array->first; at != NULL; at = at->next, count++) {
        char place[24];
        (void)snprintf(place, sizeof(place), "%zu", count);
        if (at->kind != TM_JSON_OBJECT) {
            tm_body_wrong(&list, place, "must be an object");
            return 0;
        }
        parts[count] = (struct tm_part){part->request, at, pointer_of(&list, place)};
        check_names(&parts[count], known);
    }
    *out = parts;
    return count;
}

bool tm_body_has(const struct tm_part *part, const char *name)
{
    return tm_json_get(part->object, name) != NULL;
}

void tm_body_require(const struct tm_part *part, const char *name)
{
    if (!tm_body_has(part, name)) {
        tm_body_wrong(part, name, "is needed");
    }
}

/* Fields ----------------------------------------------------------------------------------- */

const char *tm_body_str(const struct tm_part *part, const char *name)
{
    const struct tm_json_value *value = get(part, name, TM_JSON_STRING, "a string");
    if (value == NULL) {
        return NULL;
    }
    if (value->string[0] == '\0') {
        tm_body_wrong(part, name, "may not be empty");
        return NULL;
    }
    return value->string;
}

const char *tm_body_text(const struct tm_part *part, const char *name, size_t max)
{
    const struct tm_json_value *value = get(part, name, TM_JSON_STRING, "a string");
    if (value != NULL && strlen(value->string) > max) {
        tm_body_wrong(part, name, "may have %zu bytes", max);
        return NULL;
    }
    return value != NULL ? value->string : NULL;
}

int64_t tm_body_int(const struct tm_part *part, const char *name, int64_t min, int64_t max)
{
    const struct tm_json_value *value = get(part, name, TM_JSON_INT, "a whole number");
    if (value == NULL) {
        return 0;
    }
    if (value->integer < min || value->integer > max) {
        tm_body_wrong(part, name, "must be from %" PRId64 " to %" PRId64 ", not %" PRId64, min, max,
                value->integer);
        return 0;
    }
    return value->integer;
}

bool tm_body_bool(const struct tm_part *part, const char *name, bool absent)
{
    const struct tm_json_value *value = get(part, name, TM_JSON_BOOL, "true or false");
    return value != NULL ? value->boolean : absent;
}

double tm_body_ratio(const struct tm_part *part, const char *name, double absent)
{
    const struct tm_json_value *value = tm_json_get(part->object, name);
    double ratio = value == NULL                 ? absent
                   : value->kind == TM_JSON_REAL ? value->real
                   : value->kind == TM_JSON_INT  ? (double)value->integer
                                                 : 0;
    if (ratio > 0 && ratio <= 1) {
        return ratio;
    }
    tm_body_wrong(part, name, "must be a number above 0 and at most 1");
    return absent;
}

int tm_body_choice(const struct tm_part *part, const char *name, struct tm_known words)
{
    const struct tm_json_value *value = get(part, name, TM_JSON_STRING, "a string");
    int place = value != NULL ? tm_words_find(words.now, value->string) : 0;
    if (place >= 0) {
        return place;
    }
    bool later = tm_words_find(words.later, value->string) >= 0;
    struct tm_field_error error = {
            .pointer = pointer_of(part, name),
            .detail = tm_arena_fmt(&part->request->arena,
                    later ? "\"%.100s\" is not built yet" : "\"%.100s\" is not one of them",
                    value->string),
            .allowed = words.now,
    };
    tm_problem_note(part->request, &error);
    return 0;
}

/* A string of an array that is not empty, not too long, and not among those before it. */
static bool check_element(
        const struct tm_part *array, size_t place, const struct tm_json_value *value, size_t max)
{
    char name[24];
    (void)snprintf(name, sizeof(name), "%zu", place);
    if (value->kind != TM_JSON_STRING) {
        tm_body_wrong(array, name, "must be a string");
    } else if (value->string[0] == '\0') {
        tm_body_wrong(array, name, "may not be empty");
    } else if (strlen(value->string) > max) {
        tm_body_wrong(array, name, "may have %zu bytes", max);
    } else {
        return true;
    }
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted rather than compared pair by pair: a body may hold 100,000 of them. */
static void check_twice(const struct tm_part *array, const char *const *list, size_t count)
{
    if (count < 2) {
        return;
    }
    const char **sorted = tm_xalloc(count, sizeof(*sorted));
    memcpy(sorted, list, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_text);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0) {
            note(array, array->pointer,
                    tm_arena_fmt(&array->request->arena, "\"%.100s\" is given twice", sorted[i]));
            break;
        }
    }
    free(sorted);
}

const char *const *tm_body_strings(
        const struct tm_part *part, const char *name, size_t max, size_t *count)
{
    *count = 0;
    struct tm_part array = {
            .request = part->request,
            .object = get(part, name, TM_JSON_ARRAY, "an array of strings"),
            .pointer = pointer_of(part, name),
    };
    if (array.object == NULL) {
        return NULL;
    }
    const char **list =
            tm_arena_alloc(&part->request->arena, array.object->count + 1, sizeof(*list));
    size_t place = 0;
    for (const struct tm_json_value *at = array.object->first; at != NULL; at = at->next) {
        if (check_element(&array, place++, at, max)) {
            list[(*count)++] = at->string;
        }
    }
    check_twice(&array, list, *count);
    return list;
}

struct tm_rename *tm_body_pairs(const struct tm_part *part, const char *name, size_t *count)
{
    *count = 0;
    struct tm_part map = {
            .request = part->request,
            .object = get(part, name, TM_JSON_OBJECT, "an object of strings"),
            .pointer = pointer_of(part, name),
    };
    if (map.object == NULL) {
        return NULL;
    }
    struct tm_rename *list =
            tm_arena_alloc(&part->request->arena, map.object->count + 1, sizeof(*list));
    for (const struct tm_json_value *at = map.object->first; at != NULL; at = at->next) {
        bool fits = at->kind == TM_JSON_STRING && at->string[0] != '\0';
        if (fits) {
            list[(*count)++] = (struct tm_rename){.from = at->key, .to = at->string};
        } else {
            tm_body_wrong(&map, at->key, "must be a string that is not empty");
        }
    }
    return list;
}
