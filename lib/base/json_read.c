/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

enum { UNICODE_SURROGATE = 0xd800, UNICODE_LOW = 0xdc00, UNICODE_AFTER_LOW = 0xe000 };

/* A member of an object, with the place of its name. `value` is first: a member is a value. */
struct member {
    struct tm_json_value value;
    struct tm_json_pos name_pos;
};

struct reader {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *line_start;
    unsigned line;
    unsigned depth;
    size_t values;
    struct tm_arena *arena;
    struct tm_json_pos failed_at;
    struct tm_err *err;
};

static struct tm_json_pos here(const struct reader *rd)
{
    return (struct tm_json_pos){
            .offset = (size_t)(rd->at - rd->start),
            .line = rd->line,
            .column = (unsigned)(rd->at - rd->line_start) + 1,
    };
}

/* A macro, so that the compiler sees the format and its arguments. */
#define fail_at(rd, pos, code, fmt, ...) \
    ((rd)->failed_at = (pos), tm_err_set((rd)->err, (code), "line %u, column %u: " fmt, \
                                      (rd)->failed_at.line, (rd)->failed_at.column, __VA_ARGS__))

static enum tm_code malformed(struct reader *rd, const char *what)
{
    return fail_at(rd, here(rd), TM_E_USAGE, "%s", what);
}

static void skip_space(struct reader *rd)
{
    for (; rd->at < rd->end; rd->at++) {
        if (*rd->at == '\n') {
            rd->line++;
            rd->line_start = rd->at + 1;
        } else if (*rd->at != ' ' && *rd->at != '\t' && *rd->at != '\r') {
            return;
        }
    }
}

/* The next byte, or -1 at the end. */
static int peek(const struct reader *rd)
{
    return rd->at < rd->end ? *rd->at : -1;
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* Strings ---------------------------------------------------------------------------------- */

/* The four hex digits after "\u" at `at`; -1 where they are not four. */
static int read_hex4(const struct reader *rd, const uint8_t *at)
{
    if (rd->end - at < 4) {
        return -1;
    }
    char digits[5] = {0};
    uint8_t bytes[2];
    memcpy(digits, at, 4);
    return tm_parse_hex(digits, bytes, sizeof(bytes)) ? bytes[0] << 8 | bytes[1] : -1;
}

static size_t put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    to[0] = (char)(marks[len] | code);
    return len;
}

/* "\uXXXX", or two of them that make one character; rd->at is at the backslash. */
static enum tm_code read_unicode_escape(struct reader *rd, char **to)
{
    int unit = read_hex4(rd, rd->at + 2);
    if (unit < 0) {
        return malformed(rd, "\\u needs four hex digits");
    }
    if (unit == 0) {
        return malformed(rd, "a string may not hold NUL");
    }
    unsigned code = (unsigned)unit;
    size_t len = 6;
    if (code >= UNICODE_SURROGATE && code < UNICODE_AFTER_LOW) {
        bool pair = code < UNICODE_LOW && rd->end - rd->at >= 12 && rd->at[6] == '\\' &&
                    rd->at[7] == 'u';
        int low = pair ? read_hex4(rd, rd->at + 8) : -1;
        if (low < UNICODE_LOW || low >= UNICODE_AFTER_LOW) {
            return malformed(rd, "half of a surrogate pair");
        }
        code = 0x10000 + ((code - UNICODE_SURROGATE) << 10) + ((unsigned)low - UNICODE_LOW);
        len = 12;
    }
    *to += put_utf8(*to, code);
    rd->at += len;
    return TM_OK;
}

static enum tm_code read_escape(struct reader *rd, char **to)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    int name = rd->end - rd->at >= 2 ? rd->at[1] : 0;
    if (name == 'u') {
        return read_unicode_escape(rd, to);
    }
    const char *found = name != 0 ? strchr(names, name) : NULL;
    if (found == NULL) {
        return malformed(rd, "unknown escape");
    }
    *(*to)++ = meant[found - names];
    rd->at += 2;
    return TM_OK;
}

/* One character that stands for itself. */
static enum tm_code read_plain(struct reader *rd, char **to)
{
    if (*rd->at == 0) {
        return malformed(rd, "a string may not hold NUL");
    }
    if (*rd->at < 0x20) {
        return malformed(rd, "a control character in a string must be escaped");
    }
    size_t len = tm_utf8_len(tm_slice_of(rd->at, (size_t)(rd->end - rd->at)));
    if (len == 0) {
        return malformed(rd, "not UTF-8");
    }
    memcpy(*to, rd->at, len);
    *to += len;
    rd->at += len;
    return TM_OK;
}

/* The quote that ends the string whose first character is at `at`; NULL where none does. */
static const uint8_t *find_quote(const struct reader *rd, const uint8_t *at)
{
    while (at < rd->end && *at != '"') {
        at += *at == '\\' && rd->end - at >= 2 ? 2 : 1;
    }
    return at < rd->end ? at : NULL;
}

static enum tm_code read_string(struct reader *rd, const char **out)
{
    const uint8_t *quote = find_quote(rd, rd->at + 1);
    if (quote == NULL) {
        return malformed(rd, "the string has no end");
    }
    rd->at++;
    /* No escape is shorter than what it stands for. */
    char *text = tm_arena_alloc(rd->arena, (size_t)(quote - rd->at) + 1, 1);
    char *to = text;
    while (rd->at < quote) {
        enum tm_code code = *rd->at == '\\' ? read_escape(rd, &to) : read_plain(rd, &to);
        if (code != TM_OK) {
            return code;
        }
    }
    rd->at++;
    *out = text;
    return TM_OK;
}

/* Numbers and words ------------------------------------------------------------------------ */

static bool skip_digits(struct reader *rd)
{
    const uint8_t *start = rd->at;
    while (is_digit(peek(rd))) {
        rd->at++;
    }
    return rd->at > start;
}

/*
 * Move past a number as RFC 8259 has it; false where reading stopped short of one. *whole becomes the length of an
 * integer, sign and digits, which 2.0 is too (JSON Schema 2020-12, 6.1.1); 0: it is none.
 */
static bool skip_number(struct reader *rd, size_t *whole)
{
    const uint8_t *start = rd->at;
    rd->at += peek(rd) == '-' ? 1 : 0;
    if (!skip_digits(rd)) {
        return false;
    }
    *whole = (size_t)(rd->at - start);
    if (peek(rd) == '.') {
        const uint8_t *fraction = ++rd->at;
        if (!skip_digits(rd)) {
            return false;
        }
        while (fraction < rd->at && *fraction == '0') {
            fraction++;
        }
        *whole = fraction == rd->at ? *whole : 0;
    }
    if (peek(rd) == 'e' || peek(rd) == 'E') {
        *whole = 0;
        rd->at++;
        rd->at += peek(rd) == '+' || peek(rd) == '-' ? 1 : 0;
        if (!skip_digits(rd)) {
            return false;
        }
    }
    return true;
}

static enum tm_code read_number(struct reader *rd, struct tm_json_value *value)
{
    struct tm_json_pos pos = here(rd);
    const uint8_t *start = rd->at;
    const uint8_t *digits = start + (*start == '-' ? 1 : 0);
    size_t whole = 0;
    if (!skip_number(rd, &whole)) {
        return malformed(rd, "a digit is missing");
    }
    if (*digits == '0' && is_digit(digits + 1 < rd->end ? digits[1] : -1)) {
        return fail_at(rd, pos, TM_E_USAGE, "%s", "a number may not begin with 0");
    }

    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add(&text, start, whole > 0 ? whole : (size_t)(rd->at - start));
    struct tm_err too_large = {0};
    if (whole > 0 && tm_slice_is(tm_buf_slice(&text), "-0")) {
        value->kind = TM_JSON_INT;
        return TM_OK;
    }
    if (whole > 0 && tm_parse_i64(tm_buf_text(&text), &value->integer, &too_large) == TM_OK) {
        value->kind = TM_JSON_INT;
        return TM_OK;
    }
    value->kind = TM_JSON_REAL;
    value->real = strtod(tm_buf_text(&text), NULL);
    if (isinf(value->real)) {
        return fail_at(rd, pos, TM_E_USAGE, "%s", "the number is too large");
    }
    return TM_OK;
}

static bool skip_word(struct reader *rd, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(rd->end - rd->at) < len || memcmp(rd->at, word, len) != 0) {
        return false;
    }
    rd->at += len;
    return true;
}

static enum tm_code read_word(struct reader *rd, struct tm_json_value *value)
{
    if (skip_word(rd, "null")) {
        value->kind = TM_JSON_NULL;
    } else if (skip_word(rd, "true")) {
        value->kind = TM_JSON_BOOL;
        value->boolean = true;
    } else if (skip_word(rd, "false")) {
        value->kind = TM_JSON_BOOL;
    } else {
        return malformed(rd, "a value is missing");
    }
    return TM_OK;
}

/* Arrays and objects ----------------------------------------------------------------------- */

static enum tm_code read_value(struct reader *rd, struct tm_json_value *value);

static int by_key_and_place(const void *a, const void *b)
{
    const struct member *left = *(const struct member *const *)a;
    const struct member *right = *(const struct member *const *)b;
    int order = strcmp(left->value.key, right->value.key);
    size_t left_at = left->name_pos.offset;
    size_t right_at = right->name_pos.offset;
    return order != 0 ? order : (left_at > right_at) - (left_at < right_at);
}

/* Sorted rather than compared pair by pair: a request may have 100,000 members. */
static enum tm_code check_keys(struct reader *rd, const struct tm_json_value *object)
{
    if (object->count < 2) {
        return TM_OK;
    }
    const struct member **sorted = tm_xalloc(object->count, sizeof(const struct member *));
    size_t count = 0;
    for (const struct tm_json_value *at = object->first; at != NULL; at = at->next) {
        sorted[count++] = (const struct member *)at;
    }
    qsort(sorted, count, sizeof(const struct member *), by_key_and_place);
    const struct member *first = NULL;
    const struct member *second = NULL;
    for (size_t i = 1; i < count; i++) {
        bool earlier = second == NULL || sorted[i]->name_pos.offset < second->name_pos.offset;
        if (earlier && strcmp(sorted[i - 1]->value.key, sorted[i]->value.key) == 0) {
            first = sorted[i - 1];
            second = sorted[i];
        }
    }
    free(sorted);
    if (second == NULL) {
        return TM_OK;
    }
    return fail_at(rd, second->name_pos, TM_E_USAGE, "key \"%s\" given twice (first at line %u)",
            second->value.key, first->name_pos.line);
}

/* `"name":` and the value behind it. */
static enum tm_code read_member(struct reader *rd, struct tm_json_value **out)
{
    struct member *member = tm_arena_alloc(rd->arena, 1, sizeof(*member));
    member->name_pos = here(rd);
    if (peek(rd) != '"') {
        return malformed(rd, "a key in quotes is missing");
    }
    enum tm_code code = read_string(rd, &member->value.key);
    if (code != TM_OK) {
        return code;
    }
    skip_space(rd);
    if (peek(rd) != ':') {
        return malformed(rd, "':' is missing");
    }
    rd->at++;
    skip_space(rd);
    *out = &member->value;
    return read_value(rd, &member->value);
}

static enum tm_code read_element(struct reader *rd, struct tm_json_value **out)
{
    *out = tm_arena_alloc(rd->arena, 1, sizeof(**out));
    return read_value(rd, *out);
}

/* What stands between the brackets at rd->at, up to and with `close`. */
static enum tm_code read_children(struct reader *rd, struct tm_json_value *parent, char close)
{
    struct tm_json_value **end = &parent->first;
    rd->at++;
    skip_space(rd);
    bool more = peek(rd) != close;
    while (more) {
        struct tm_json_value *child = NULL;
        enum tm_code code =
                parent->kind == TM_JSON_OBJECT ? read_member(rd, &child) : read_element(rd, &child);
        if (code != TM_OK) {
            return code;
        }
        *end = child;
        end = &child->next;
        parent->count++;

        skip_space(rd);
        more = peek(rd) == ',';
        if (more) {
            rd->at++;
            skip_space(rd);
        } else if (peek(rd) != close) {
            return malformed(rd, close == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
        }
    }
    rd->at++;
    return TM_OK;
}

static enum tm_code read_nested(struct reader *rd, struct tm_json_value *value, char close)
{
    if (rd->depth == TM_JSON_DEPTH_MAX) {
        return fail_at(rd, here(rd), TM_E_LIMIT, "nested deeper than %d", (int)TM_JSON_DEPTH_MAX);
    }
    rd->depth++;
    enum tm_code code = read_children(rd, value, close);
    rd->depth--;
    if (code == TM_OK && value->kind == TM_JSON_OBJECT) {
        code = check_keys(rd, value);
    }
    return code;
}

static enum tm_code read_value(struct reader *rd, struct tm_json_value *value)
{
    struct tm_json_pos pos = here(rd);
    value->line = pos.line;
    value->column = pos.column;
    if (++rd->values > TM_JSON_VALUES_MAX) {
        return fail_at(rd, pos, TM_E_LIMIT, "more than %d values", (int)TM_JSON_VALUES_MAX);
    }
    int first = peek(rd);
    if (first == '{') {
        value->kind = TM_JSON_OBJECT;
        return read_nested(rd, value, '}');
    }
    if (first == '[') {
        value->kind = TM_JSON_ARRAY;
        return read_nested(rd, value, ']');
    }
    if (first == '"') {
        value->kind = TM_JSON_STRING;
        return read_string(rd, &value->string);
    }
    return first == '-' || is_digit(first) ? read_number(rd, value) : read_word(rd, value);
}

enum tm_code tm_json_read(struct tm_slice text, struct tm_arena *arena,
        const struct tm_json_value **out, struct tm_json_pos *pos, struct tm_err *err)
{
    text = text.at != NULL ? text : tm_slice_str("");
    struct reader rd = {
            .start = text.at,
            .at = text.at,
            .end = text.at + text.len,
            .line_start = text.at,
            .line = 1,
            .arena = arena,
            .err = err,
    };
    struct tm_json_value *root = tm_arena_alloc(arena, 1, sizeof(*root));
    skip_space(&rd);
    enum tm_code code = read_value(&rd, root);
    if (code == TM_OK) {
        skip_space(&rd);
        if (rd.at < rd.end) {
            code = malformed(&rd, "more text after the document");
        }
    }
    if (pos != NULL) {
        *pos = code == TM_OK ? here(&rd) : rd.failed_at;
    }
    if (code == TM_OK) {
        *out = root;
    }
    return code;
}

const struct tm_json_value *tm_json_get(const struct tm_json_value *object, const char *key)
{
    if (object == NULL || object->kind != TM_JSON_OBJECT) {
        return NULL;
    }
    const struct tm_json_value *at = object->first;
    while (at != NULL && strcmp(at->key, key) != 0) {
        at = at->next;
    }
    return at;
}
