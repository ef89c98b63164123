/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "narrow.h"
#include "request.h"
#include "router.h"
#include "words.h"

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 500 };

/* Reading ---------------------------------------------------------------------------------- */

/* The byte that the "%XX" at `text` stands for, of which `len` bytes are there; 0: none that may be. */
static char unescape(const char *text, size_t len)
{
    char digits[3] = {0};
    char byte = '\0';
    memcpy(digits, text + 1, len > 2 ? 2 : 0);
    (void)tm_parse_hex(digits, &byte, 1);
    return byte;
}

char *tm_query_unescape(struct tm_arena *arena, const char *text, size_t len, bool plus_is_space)
{
    char *out = tm_arena_alloc(arena, len + 1, 1);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            c = unescape(text + i, len - i);
            i += 2;
        }
        if (c == '\0') {
            return NULL;
        }
        out[used++] = c;
    }
    return tm_is_utf8(tm_slice_of(out, used)) ? out : NULL;
}

static void read_param(struct tm_request *request, const char *text, size_t len)
{
    struct tm_query *query = &request->query;
    if (len == 0) {
        return;
    }
    if (query->count == TM_QUERY_PARAMS_MAX) {
        query->malformed = true;
        return;
    }
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    size_t value_at = equals != NULL ? name_len + 1 : len;
    char *name = tm_query_unescape(&request->arena, text, name_len, true);
    char *value = tm_query_unescape(&request->arena, text + value_at, len - value_at, true);
    if (name == NULL || value == NULL) {
        query->malformed = true;
        return;
    }
    query->params[query->count++] = (struct tm_param){name, value};
}

void tm_query_read(struct tm_request *request, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "&");
        read_param(request, text, len);
        text += len + (text[len] == '&' ? 1 : 0);
    }
}

/* Checking --------------------------------------------------------------------------------- */

static void note(struct tm_request *request, const char *name, const char *detail)
{
    struct tm_field_error error = {.parameter = name, .detail = detail};
    tm_problem_note(request, &error);
}

/* Every GET takes it; answers that are no document have nothing to change. */
static void read_int64(struct tm_request *request, const struct tm_param *param)
{
    request->query.int64_strings = strcmp(param->value, "string") == 0;
    if (!request->query.int64_strings) {
        struct tm_field_error error = {
                .parameter = "int64", .detail = "can only be \"string\"", .allowed = "string"};
        tm_problem_note(request, &error);
    }
}

static void check_param(struct tm_request *request, const struct tm_param *param)
{
    const struct tm_route *route = request->route;
    const char *name = param->name;
    if (tm_words_find(route->params, name) >= 0) {
        return;
    }
    if (strcmp(name, "int64") == 0 && strcmp(route->method, "GET") == 0) {
        read_int64(request, param);
        return;
    }
    const char *nearest = tm_words_nearest(route->params, name, &request->arena);
    note(request, name,
            nearest != NULL ? tm_arena_fmt(&request->arena,
                                      "unknown parameter; did you mean \"%s\"?", nearest)
                            : "unknown parameter");
}

/* Of lists: given several times, with a value each, any of them will do. */
static bool is_repeatable(const struct tm_route *route, const char *name)
{
    static const char repeatable[] = "state kind policy cluster topic";
    return tm_words_find(route->params, "count") >= 0 && tm_words_find(repeatable, name) >= 0;
}

static bool is_again(
        const struct tm_route *route, const struct tm_param *earlier, const struct tm_param *param)
{
    bool other = is_repeatable(route, param->name) && strcmp(earlier->value, param->value) != 0;
    return strcmp(earlier->name, param->name) == 0 && !other;
}

void tm_query_check(struct tm_request *request)
{
    const struct tm_query *query = &request->query;
    if (query->malformed) {
        note(request, "", "the query cannot be read: a bad %-escape, or too many parameters");
        return;
    }
    for (size_t i = 0; i < query->count; i++) {
        size_t earlier = 0;
        while (!is_again(request->route, &query->params[earlier], &query->params[i])) {
            earlier++;
        }
        if (earlier < i) {
            note(request, query->params[i].name, "given twice");
        } else {
            check_param(request, &query->params[i]);
        }
    }
}

/* Getters ---------------------------------------------------------------------------------- */

/* The value as it is, empty or not; NULL where it is not given. */
static const char *find(const struct tm_request *request, const char *name)
{
    tm_assert(tm_words_find(request->route->params, name) >= 0);
    const struct tm_query *query = &request->query;
    for (size_t i = 0; i < query->count; i++) {
        if (strcmp(query->params[i].name, name) == 0) {
            return query->params[i].value;
        }
    }
    return NULL;
}

const char *tm_query_get(struct tm_request *request, const char *name)
{
    const char *value = find(request, name);
    if (value != NULL && value[0] == '\0') {
        note(request, name, "may not be empty");
        return NULL;
    }
    return value;
}

const char *tm_query_cursor(const struct tm_request *request)
{
    const char *value = find(request, "cursor");
    return value != NULL && value[0] != '\0' ? value : NULL; /* scripts begin with an empty one */
}

/* The place of `value`; -1: it is none of the words, which has been noted. */
static int place_of(
        struct tm_request *request, const char *name, const char *value, const char *words)
{
    int place = tm_words_find(words, value);
    if (place < 0) {
        struct tm_field_error error = {
                .parameter = name,
                .detail = tm_arena_fmt(&request->arena, "\"%.100s\" is not one of them", value),
                .allowed = words,
        };
        tm_problem_note(request, &error);
    }
    return place;
}

int tm_query_choice(struct tm_request *request, const char *name, const char *words, int absent)
{
    const char *value = tm_query_get(request, name);
    int place = value != NULL ? place_of(request, name, value, words) : -1;
    return place >= 0 ? place : absent;
}

struct tm_names tm_query_names(struct tm_request *request, const char *name)
{
    const struct tm_query *query = &request->query;
    struct tm_names names = {0};
    tm_assert(tm_words_find(request->route->params, name) >= 0);
    const char **at = tm_arena_alloc(&request->arena, query->count + 1, sizeof(*at));
    for (size_t i = 0; i < query->count; i++) {
        if (strcmp(query->params[i].name, name) != 0) {
            continue;
        }
        if (query->params[i].value[0] == '\0') {
            note(request, name, "may not be empty");
        }
        at[names.count++] = query->params[i].value;
    }
    names.at = at;
    return names;
}

struct tm_select *tm_query_topics(struct tm_request *request)
{
    struct tm_names topics = tm_query_names(request, "topic");
    const struct tm_select_options options = {
            .include = topics.at, .include_count = topics.count, .internal_topics = true};
    struct tm_select *select = NULL;
    struct tm_err err = {0};
    if (topics.count > 0 && tm_select_new(&options, &select, &err) != TM_OK) {
        note(request, "topic", tm_arena_strdup(&request->arena, err.msg));
    }
    return select;
}

unsigned tm_query_choices(struct tm_request *request, const char *name, const char *words)
{
    const struct tm_query *query = &request->query;
    unsigned places = 0;
    if (tm_query_get(request, name) == NULL) {
        return 0;
    }
    for (size_t i = 0; i < query->count; i++) {
        if (strcmp(query->params[i].name, name) == 0) {
            int place = place_of(request, name, query->params[i].value, words);
            places |= place >= 0 ? 1U << place : 0;
        }
    }
    return places;
}

/* A "+01:00" that was not escaped has become " 01:00", which no other time looks like. */
static const char *mend_offset(struct tm_request *request, const char *value)
{
    size_t len = strlen(value);
    if (len < 6 || value[len - 6] != ' ' || value[len - 3] != ':') {
        return value;
    }
    char *mended = tm_arena_strdup(&request->arena, value);
    mended[len - 6] = '+';
    return mended;
}

int64_t tm_query_time(struct tm_request *request, const char *name, int64_t absent)
{
    const char *value = tm_query_get(request, name);
    if (value == NULL) {
        return absent;
    }
    int64_t time_ms = absent;
    struct tm_err err = {0};
    if (tm_time_parse(mend_offset(request, value), tm_now_ms(), &time_ms, &err) != TM_OK) {
        struct tm_field_error error = {
                .parameter = name,
                .detail = tm_arena_strdup(&request->arena, err.msg),
                .time = true,
        };
        tm_problem_note(request, &error);
        return absent;
    }
    tm_assert(request->query.time_count < TM_QUERY_TIMES_MAX);
    request->query.times[request->query.time_count++] = (struct tm_query_time){name, time_ms};
    return time_ms;
}

int64_t tm_query_int(
        struct tm_request *request, const char *name, int64_t absent, int64_t min, int64_t max)
{
    const char *value = tm_query_get(request, name);
    int64_t number = absent;
    struct tm_err err = {0};
    if (value != NULL &&
            (tm_parse_i64(value, &number, &err) != TM_OK || number < min || number > max)) {
        note(request, name,
                tm_arena_fmt(&request->arena, "must be a number from %" PRId64 " to %" PRId64, min,
                        max));
        number = absent;
    }
    return number;
}

int64_t tm_query_wait_ms(struct tm_request *request)
{
    const char *value = tm_query_get(request, "wait");
    if (value == NULL) {
        return 0;
    }
    int64_t wait_ms = 0;
    struct tm_err err = {0};
    if (tm_parse_duration_ms(value, &wait_ms, &err) != TM_OK) {
        note(request, "wait", tm_arena_strdup(&request->arena, err.msg));
    } else if (wait_ms > TM_QUERY_WAIT_MAX_MS) {
        note(request, "wait", "at most 60s");
    }
    return wait_ms;
}

/* Pages ------------------------------------------------------------------------------------ */

enum { CURSOR_BYTES = 1 + 8 + 16, CURSOR_VERSION = 1 };

/* What the list is a list of: the route and its filters, whatever their order. */
static void hash_filter(const struct tm_request *request, uint8_t hash[8])
{
    struct tm_arena arena = {0};
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, request->route->pattern);
    size_t count = 0;
    const char *const *names = tm_words_list(request->route->params, &arena, &count);
    for (size_t i = 0; i < count; i++) {
        bool filters = strcmp(names[i], "limit") != 0 && strcmp(names[i], "cursor") != 0 &&
                       strcmp(names[i], "count") != 0;
        for (size_t k = 0; filters && k < request->query.count; k++) {
            const struct tm_param *param = &request->query.params[k];
            if (strcmp(param->name, names[i]) == 0) {
                tm_buf_add_str(&text, tm_slice_str(names[i]));
                tm_buf_add_str(&text, tm_slice_str(param->value));
            }
        }
    }
    tm_arena_done(&arena);
    struct tm_hash full = tm_sha256_of(tm_buf_slice(&text));
    memcpy(hash, full.bytes, 8);
}

static bool read_cursor(const struct tm_request *request, const char *text, struct tm_id16 *before)
{
    uint8_t bytes[CURSOR_BYTES];
    uint8_t filter[8];
    hash_filter(request, filter);
    if (!tm_parse_hex(text, bytes, sizeof(bytes)) || bytes[0] != CURSOR_VERSION ||
            memcmp(bytes + 1, filter, sizeof(filter)) != 0) {
        return false;
    }
    memcpy(before->bytes, bytes + 9, sizeof(before->bytes));
    return true;
}

static void write_cursor(const struct tm_request *request, const struct tm_id16 *last,
        char text[2 * CURSOR_BYTES + 1])
{
    uint8_t bytes[CURSOR_BYTES] = {CURSOR_VERSION};
    hash_filter(request, bytes + 1);
    memcpy(bytes + 9, last->bytes, sizeof(last->bytes));
    tm_hex(bytes, sizeof(bytes), text);
}

static size_t read_limit(struct tm_request *request)
{
    const char *value = tm_query_get(request, "limit");
    if (value == NULL) {
        return LIMIT_DEFAULT;
    }
    int64_t limit = 0;
    struct tm_err err = {0};
    if (tm_parse_i64(value, &limit, &err) != TM_OK) {
        note(request, "limit", tm_arena_strdup(&request->arena, err.msg));
        return LIMIT_DEFAULT;
    }
    if (limit < 1 || limit > LIMIT_MAX) {
        note(request, "limit", "from 1 to 500");
        return LIMIT_DEFAULT;
    }
    return (size_t)limit;
}

bool tm_query_page(struct tm_request *request)
{
    struct tm_page *page = &request->page;
    page->limit = read_limit(request);
    if (tm_problem_noted(request)) {
        return false;
    }
    const char *cursor = find(request, "cursor");
    page->has_before = cursor != NULL && cursor[0] != '\0'; /* scripts begin with an empty one */
    if (page->has_before && !read_cursor(request, cursor, &page->before)) {
        tm_problem_refuse(request, 400, "bad-cursor",
                "a cursor holds for the list and the filter that gave it; ask again without one");
        return false;
    }
    return true;
}

static void add_escaped(struct tm_buf *out, const char *text)
{
    static const char plain[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            tm_buf_add(out, text, 1);
        } else {
            tm_buf_add_fmt(out, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

static void add_link(struct tm_request *request, const char *cursor)
{
    TM_BUF_OWN struct tm_buf link = {0};
    tm_buf_add_fmt(&link, "%s?", request->route->pattern);
    for (size_t i = 0; i < request->query.count; i++) {
        const struct tm_param *param = &request->query.params[i];
        if (strcmp(param->name, "cursor") != 0) {
            tm_buf_add_fmt(&link, "%s=", param->name);
            add_escaped(&link, param->value);
            tm_buf_add_text(&link, "&");
        }
    }
    tm_request_add_header(
            request, "Link", "<%scursor=%s>; rel=\"next\"", tm_buf_text(&link), cursor);
}

bool tm_query_counted(struct tm_request *request)
{
    request->page.counted = tm_query_choice(request, "count", "false true", 0) == 1;
    return request->page.counted;
}

void tm_query_add_total(const struct tm_request *request, struct tm_json *list, int64_t total)
{
    if (request->page.counted && total >= 0 && !tm_narrow_is(request)) {
        tm_json_add_int(list, "total_count", total);
    }
}

void tm_query_answer_page(
        struct tm_request *request, struct tm_json *list, const struct tm_id16 *last, bool more)
{
    for (size_t i = 0; i < request->query.time_count; i++) {
        tm_json_add_time(list, request->query.times[i].name, request->query.times[i].time_ms);
    }
    if (more && last != NULL) {
        char cursor[2 * CURSOR_BYTES + 1];
        write_cursor(request, last, cursor);
        tm_json_add_str(list, "next_cursor", cursor);
        add_link(request, cursor);
    }
    tm_request_answer_json(request, 200, list);
}

/* The cursor of rows in memory is the number of the next one. */
bool tm_query_rows(struct tm_request *request, size_t count, size_t *from, size_t *rows)
{
    const struct tm_page *page = &request->page;
    size_t at = 0;
    if (tm_words_find(request->route->params, "count") >= 0) {
        (void)tm_query_counted(request);
    }
    if (!tm_query_page(request)) {
        return false;
    }
    for (size_t i = 0; page->has_before && i < sizeof(at); i++) {
        at |= (size_t)page->before.bytes[i] << 8 * i;
    }
    *from = at < count ? at : count;
    *rows = count - *from;
    if (find(request, "limit") != NULL && *rows > page->limit) {
        *rows = page->limit;
    }
    return true;
}

void tm_query_answer_rows(
        struct tm_request *request, struct tm_json *list, size_t end, size_t count)
{
    struct tm_id16 next = {{0}};
    tm_query_add_total(request, list, (int64_t)count);
    for (size_t i = 0; i < sizeof(end); i++) {
        next.bytes[i] = (uint8_t)(end >> 8 * i);
    }
    tm_query_answer_page(request, list, &next, end < count);
}
