/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { SHORT_NAME = 4, NAME_MAX_COMPARED = 64, DURATION_TEXT_MAX = 24, REAL_TEXT_MAX = 32 };

static const int64_t duration_max_ms = INT64_C(36525) * 86400000; /* 100 years */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
        {"w", 7 * INT64_C(86400000)},
        {"d", INT64_C(86400000)},
        {"h", 3600000},
        {"m", 60000},
        {"s", 1000},
        {"ms", 1},
};

static const struct unit size_units[] = {
        {"", 1},
        {"KiB", INT64_C(1) << 10},
        {"MiB", INT64_C(1) << 20},
        {"GiB", INT64_C(1) << 30},
        {"TiB", INT64_C(1) << 40},
        {"KB", 1000},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", INT64_C(1000000000)},
        {"TB", INT64_C(1000000000000)},
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum found { NONE, FOUND, TOO_LARGE };

/* Read a canonical decimal at *cursor, moving the cursor past its digits. strtoull() would take
 * " +07". */
static enum found read_digits(const char **cursor, uint64_t *out)
{
    const char *start = *cursor;
    const char *at = start;
    uint64_t value = 0;
    bool fits = true;
    for (; *at >= '0' && *at <= '9'; at++) {
        fits = fits && !__builtin_mul_overflow(value, 10U, &value) &&
               !__builtin_add_overflow(value, (unsigned)(*at - '0'), &value);
    }
    if (at == start || (*start == '0' && at - start > 1)) {
        return NONE;
    }
    *cursor = at;
    *out = value;
    return fits ? FOUND : TOO_LARGE;
}

enum tm_code tm_parse_i64(const char *text, int64_t *out, struct tm_err *err)
{
    bool negative = text[0] == '-';
    const char *cursor = text + (negative ? 1 : 0);
    uint64_t value = 0;
    enum found found = read_digits(&cursor, &value);
    bool whole = found != NONE && *cursor == '\0';
    if (!whole || (negative && found == FOUND && value == 0)) {
        return tm_err_set(err, TM_E_USAGE, "\"%s\" is not a whole number", text);
    }
    if (found == TOO_LARGE || value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return tm_err_set(err, TM_E_USAGE, "\"%s\" does not fit 64 bits", text);
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return TM_OK;
}

/* Read "<digits><unit>"; TOO_LARGE beyond `max`. */
static enum found read_with_unit(
        const char *text, const struct unit *units, size_t count, int64_t max, int64_t *out)
{
    const char *cursor = text;
    uint64_t number = 0;
    enum found found = read_digits(&cursor, &number);
    const struct unit *unit = NULL;
    for (size_t i = 0; i < count && unit == NULL; i++) {
        unit = strcmp(cursor, units[i].name) == 0 ? &units[i] : NULL;
    }
    if (found == NONE || unit == NULL) {
        return NONE;
    }
    int64_t product = 0;
    if (found == TOO_LARGE || __builtin_mul_overflow(number, unit->factor, &product) ||
            product > max) {
        return TOO_LARGE;
    }
    *out = product;
    return FOUND;
}

enum tm_code tm_parse_duration_ms(const char *text, int64_t *out, struct tm_err *err)
{
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return TM_OK;
    }
    enum found found =
            read_with_unit(text, duration_units, LENGTH(duration_units), duration_max_ms, out);
    if (found == TOO_LARGE) {
        return tm_err_set(err, TM_E_USAGE, "\"%s\" is longer than 100 years", text);
    }
    if (found == NONE) {
        return tm_err_set(err, TM_E_USAGE,
                "\"%s\" is not a duration; accepted: a whole number and ms, s, m, h, d or w, as in "
                "500ms, 90s, 15m, 12h, 30d, 2w",
                text);
    }
    return TM_OK;
}

enum tm_code tm_parse_size(const char *text, int64_t *out, struct tm_err *err)
{
    enum found found = read_with_unit(text, size_units, LENGTH(size_units), INT64_MAX, out);
    if (found == TOO_LARGE) {
        return tm_err_set(err, TM_E_USAGE, "\"%s\" does not fit 64 bits", text);
    }
    if (found == NONE) {
        return tm_err_set(err, TM_E_USAGE,
                "\"%s\" is not a size; accepted: a whole number of bytes, or one with KiB, MiB, "
                "GiB, TiB, KB, MB, GB or TB, as in 512KiB",
                text);
    }
    return TM_OK;
}

enum { NO_DIGIT = 16 };

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : NO_DIGIT;
}

bool tm_parse_hex(const char *text, void *out, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++) {
        if (digit_value(text[i]) == NO_DIGIT) { /* the NUL of a shorter text, too */
            return false;
        }
    }
    if (text[2 * n] != '\0') {
        return false;
    }
    uint8_t *bytes = out;
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
    }
    return true;
}

bool tm_parse_numbered_hash(const char *text, int64_t *number, struct tm_hash *hash)
{
    char digits[20];
    size_t len = strcspn(text, ":");
    int64_t value;
    struct tm_hash read;
    struct tm_err ignored = {0};
    if (text[len] != ':' || len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (tm_parse_i64(digits, &value, &ignored) != TM_OK || value < 0 ||
            !tm_parse_hex(text + len + 1, read.bytes, sizeof(read.bytes))) {
        return false;
    }
    *number = value;
    *hash = read;
    return true;
}

void tm_hex(const void *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[from[i] >> 4];
        out[2 * i + 1] = digits[from[i] & 15];
    }
    out[2 * n] = '\0';
}

const char *tm_format_duration(int64_t ms, char *text)
{
    if (ms == 0) {
        (void)snprintf(text, DURATION_TEXT_MAX, "0");
        return text;
    }
    const struct unit *unit = duration_units;
    while (ms % unit->factor != 0) { /* ends at "ms" */
        unit++;
    }
    (void)snprintf(text, DURATION_TEXT_MAX, "%" PRId64 "%s", ms / unit->factor, unit->name);
    return text;
}

/* RFC 3629, section 4: what may follow each first byte. */
size_t tm_utf8_len(struct tm_slice bytes)
{
    if (bytes.len == 0) {
        return 0;
    }
    uint8_t first = bytes.at[0];
    if (first < 0x80) {
        return 1;
    }
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.len < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((bytes.at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = bytes.at[1];
    bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool surrogate = first == 0xed && second > 0x9f;
    bool beyond = first == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

bool tm_is_utf8(struct tm_slice bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        size_t len = tm_utf8_len(tm_slice_of(bytes.at + at, bytes.len - at));
        if (len == 0 || bytes.at[at] == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

void tm_utf8_clean(struct tm_slice bytes, struct tm_buf *out)
{
    size_t clean_from = 0;
    size_t at = 0;
    while (at < bytes.len) {
        size_t len = tm_utf8_len(tm_slice_of(bytes.at + at, bytes.len - at));
        if (len == 0) {
            tm_buf_add(out, bytes.at + clean_from, at - clean_from);
            tm_buf_add_text(out, "\xef\xbf\xbd");
            clean_from = at + 1;
        }
        at += len > 0 ? len : 1;
    }
    if (at > clean_from) {
        tm_buf_add(out, bytes.at + clean_from, at - clean_from);
    }
}

const char *tm_format_real(double value, char text[REAL_TEXT_MAX])
{
    if (isnan(value) || isinf(value)) {
        const char *name = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
        (void)snprintf(text, REAL_TEXT_MAX, "%s", name);
        return text;
    }
    /* "%.15g" would write 10^15 as 1e+15; every whole number below 2^53 is exact. */
    if (fabs(value) < 9007199254740992.0 && (double)(int64_t)value == value) {
        (void)snprintf(text, REAL_TEXT_MAX, "%.0f", value);
        return text;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, REAL_TEXT_MAX, "%.*g", digits, value);
        double again = strtod(text, NULL);
        if (!(again < value) && !(again > value)) {
            break;
        }
    }
    return text;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The rows of the table of distances that are still needed: each column of a row tells how far the
 * beginnings of the two words are apart. */
struct rows {
    size_t before_last[NAME_MAX_COMPARED];
    size_t last[NAME_MAX_COMPARED];
    size_t row[NAME_MAX_COMPARED];
};

/* The row for the first i letters of `a`. */
static void fill_row(struct rows *rows, const char *a, size_t i, const char *b)
{
    rows->row[0] = i;
    for (size_t j = 1; b[j - 1] != '\0'; j++) {
        size_t change = rows->last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
        size_t nearest = least(change, least(rows->last[j], rows->row[j - 1]) + 1);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
            nearest = least(nearest, rows->before_last[j - 2] + 1);
        }
        rows->row[j] = nearest;
    }
}

/* Insertions, deletions, changes and swaps of neighbours that make `b` of `a`; both are shorter
 * than NAME_MAX_COMPARED. */
static size_t edit_distance(const char *a, const char *b)
{
    struct rows rows = {0};
    size_t b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++) {
        rows.row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        memcpy(rows.before_last, rows.last, sizeof(rows.last));
        memcpy(rows.last, rows.row, sizeof(rows.row));
        fill_row(&rows, a, i, b);
    }
    return rows.row[b_len];
}

const char *tm_nearest(const char *given, const char *const *names, size_t count)
{
    size_t len = strlen(given);
    if (len == 0 || len >= NAME_MAX_COMPARED) {
        return NULL;
    }
    size_t nearest_distance = len <= SHORT_NAME ? 2 : 3; /* first distance that is too far */
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) >= NAME_MAX_COMPARED) {
            continue;
        }
        size_t distance = edit_distance(given, names[i]);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

const char *tm_errno_text(int sys_errno)
{
    const char *text = strerrordesc_np(sys_errno); /* untranslated and static, unlike strerror() */
    return text != NULL ? text : "unknown error";
}
