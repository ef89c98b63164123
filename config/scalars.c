/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "loader.h"
#include "policy/shown.h"

enum { HOST_MAX = 256, NAME_BYTES_MAX = 64 };

/* Numbers ------------------------------------------------------------------------------------ */

static bool is_in_range(struct tm_spot *spot, int64_t value, const char *shown)
{
    const struct tm_option *option = spot->option;
    bool zero_allowed = option->kind == TM_OPTION_DURATION && option->words[0] == '0';
    if ((value >= option->min && value <= option->max) || (zero_allowed && value == 0)) {
        return true;
    }
    char low[TM_OPTION_TEXT_MAX];
    char high[TM_OPTION_TEXT_MAX];
    if (option->min == option->max) {
        tm_value_refuse(spot, "%s is not known to this version; write %s", shown,
                tm_option_format(option, option->min, low));
    } else {
        tm_value_refuse(spot, "%s is out of range; write %s to %s%s", shown,
                tm_option_format(option, option->min, low),
                tm_option_format(option, option->max, high), zero_allowed ? ", or 0" : "");
    }
    return false;
}

static bool is_digits(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static bool read_word(struct tm_spot *spot, const char *text, int64_t *out)
{
    const struct tm_option *option = spot->option;
    char shown[TM_SHOWN_MAX];
    (void)tm_shown(text, strlen(text), shown);
    int index = tm_option_find_word(option, text);
    if (index >= 0) {
        *out = index;
        return true;
    }
    if (index == -2) {
        tm_value_refuse(spot, "\"%s\" is not built yet in this version", shown);
        return false;
    }
    TM_BUF_OWN struct tm_buf words = {0};
    size_t len = 0;
    const char *word = tm_option_word(option, 0, &len);
    for (size_t i = 0; word != NULL; word = tm_option_word(option, ++i, &len)) {
        tm_buf_add_fmt(&words, "%s%.*s", i > 0 ? ", " : "", (int)len, word);
    }
    tm_value_refuse(spot, "\"%s\" is not known; write one of: %s", shown, tm_buf_text(&words));
    return false;
}

static bool read_bool(struct tm_spot *spot, const char *text, int64_t *out)
{
    char shown[TM_SHOWN_MAX];
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0) {
        tm_value_refuse(
                spot, "\"%s\" is neither true nor false", tm_shown(text, strlen(text), shown));
        return false;
    }
    *out = yes ? 1 : 0;
    return true;
}

/* INT, SIZE and DURATION. */
static bool read_amount(struct tm_spot *spot, const char *text, int64_t *out)
{
    struct tm_err err = {0};
    char shown[TM_SHOWN_MAX];
    enum tm_option_kind kind = spot->option->kind;
    (void)tm_shown(text, strlen(text), shown); /* no number has what this replaces */
    bool bare = kind == TM_OPTION_DURATION && is_digits(shown) && strcmp(shown, "0") != 0;
    if (bare) {
        tm_value_refuse(spot, "\"%s\" has no unit; write %ss, %sm, %sh or %sd", shown, shown, shown,
                shown, shown);
        return false;
    }
    int64_t value = 0;
    enum tm_code code = kind == TM_OPTION_INT    ? tm_parse_i64(shown, &value, &err)
                        : kind == TM_OPTION_SIZE ? tm_parse_size(shown, &value, &err)
                                                 : tm_parse_duration_ms(shown, &value, &err);
    if (code != TM_OK) {
        tm_value_refuse(spot, "%s", err.msg);
        return false;
    }
    if (!is_in_range(spot, value, shown)) {
        return false;
    }
    *out = value;
    return true;
}

/* "0.02", "1": at most six digits behind the point. */
static bool read_ratio(struct tm_spot *spot, const char *text, int64_t *out)
{
    char shown[TM_SHOWN_MAX];
    (void)tm_shown(text, strlen(text), shown);
    size_t whole = strspn(text, "0123456789");
    size_t point = text[whole] == '.' ? 1 : 0;
    size_t part = strspn(text + whole + point, "0123456789");
    bool good = whole > 0 && whole <= 9 && part <= 6 && part >= point &&
                text[whole + point + part] == '\0';
    int64_t value = 0;
    for (size_t i = 0; good && i < whole + 6; i++) {
        size_t behind = i - whole; /* digits behind the point, zeros where there are none */
        char digit = i < whole ? text[i] : behind < part ? text[whole + point + behind] : '0';
        value = value * 10 + (digit - '0');
    }
    if (!good) {
        tm_value_refuse(
                spot, "\"%s\" is not a ratio; write one like 0.02, with at most 6 digits", shown);
        return false;
    }
    if (!is_in_range(spot, value, shown)) {
        return false;
    }
    *out = value;
    return true;
}

bool tm_scalar_number(struct tm_spot *spot, const char *text, int64_t *out)
{
    if (spot->option->kind == TM_OPTION_WORD) {
        return read_word(spot, text, out);
    }
    if (spot->option->kind == TM_OPTION_BOOL) {
        return read_bool(spot, text, out);
    }
    if (spot->option->kind == TM_OPTION_RATIO) {
        return read_ratio(spot, text, out);
    }
    return read_amount(spot, text, out);
}

/* Texts -------------------------------------------------------------------------------------- */

/* "127.0.0.1:8484", "[::1]:8484", "localhost:8484"; false when it has another form. */
static bool split_address(const char *text, char host[HOST_MAX])
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (len == 0 || len >= HOST_MAX || !is_digits(colon + 1) || strlen(colon + 1) > 5 ||
            (!bracketed && memchr(text, ':', len) != NULL)) {
        return false;
    }
    struct tm_err ignored = {0};
    int64_t port = 0;
    if (tm_parse_i64(colon + 1, &port, &ignored) != TM_OK || port > 65535) {
        return false;
    }
    size_t skipped = bracketed ? 1 : 0;
    memcpy(host, text + skipped, len - 2 * skipped);
    host[len - 2 * skipped] = '\0';
    return true;
}

static bool check_address(struct tm_spot *spot, const char *text)
{
    char host[HOST_MAX];
    char shown[TM_SHOWN_MAX];
    (void)tm_shown(text, strlen(text), shown);
    if (text[0] == '\0') {
        return true;
    }
    if (!split_address(text, host)) {
        tm_value_refuse(spot, "\"%s\" is not an address; write HOST:PORT, or \"\" for none", shown);
        return false;
    }
    return true;
}

static bool check_name(struct tm_spot *spot, const char *text)
{
    static const char letters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(text);
    char shown[TM_SHOWN_MAX];
    bool good = len > 0 && len <= NAME_BYTES_MAX && strspn(text, letters) == len &&
                strchr("._-", text[0]) == NULL;
    if (!good) {
        tm_value_refuse(spot,
                "\"%s\" is not a name; write up to 64 of a-z A-Z 0-9 . _ - with a letter or digit "
                "first",
                tm_shown(text, len, shown));
    }
    return good;
}

static bool check_length(struct tm_spot *spot, const char *text)
{
    const struct tm_option *option = spot->option;
    int64_t len = (int64_t)strlen(text);
    if (len < option->min) {
        tm_value_refuse(spot, "is empty");
        return false;
    }
    if (len > option->max) {
        tm_value_refuse(
                spot, "has %" PRId64 " bytes; at most %" PRId64 " are possible", len, option->max);
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f') {
            tm_value_refuse(spot, "has a control character");
            return false;
        }
    }
    return true;
}

static bool check_schedule(struct tm_spot *spot, const char *text)
{
    /* Behind the text in its struct: tm_config.h */
    struct tm_schedule *schedule =
            (void *)((char *)spot->base + spot->option->offset + sizeof(const char *));
    struct tm_err err = {0};
    if (strncmp(text, "@after", 6) == 0) {
        tm_value_refuse(spot, "\"@after\" is not built yet in this version");
        return false;
    }
    if (tm_schedule_parse(text, schedule, &err) != TM_OK) {
        tm_value_refuse(spot, "%s", err.msg);
        return false;
    }
    return true;
}

bool tm_scalar_check(struct tm_spot *spot, const char *text)
{
    if (spot->option->kind == TM_OPTION_NAME) {
        return check_name(spot, text);
    }
    if (!check_length(spot, text)) {
        return false;
    }
    switch ((int)spot->option->kind) {
    case TM_OPTION_ADDRESS:
        return check_address(spot, text);
    case TM_OPTION_SCHEDULE:
        return check_schedule(spot, text);
    default:
        return true;
    }
}
