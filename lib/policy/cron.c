/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/cron.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/slice.h"
#include "base/text.h"
#include "policy/shown.h"

enum {
    FIELDS = 5,
    NAME_LEN = 3, /* "jan", "sun" */
    MS_PER_MINUTE = 60 * 1000,
    MINUTES_PER_HOUR = 60,
    MINUTES_PER_DAY = 24 * 60,
    DAYS_PER_CYCLE = 146097, /* 400 years, and a whole number of weeks: then all dates repeat */
    LAST_YEAR = 9999,
};

enum field_index { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const char *const month_names[] = {
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* clang-format off */
static const struct field {
    const char *name;
    const char *takes;        /* for messages */
    const char *const *names; /* of low, low + 1, ... */
    unsigned name_count;
    unsigned low;
    unsigned high;            /* the last value of "*" */
    unsigned highest;         /* the last value that may be written: weekday 7 is 0 */
} fields[FIELDS] = {
    [MINUTE]  = {"minute",  "0..59",             NULL,          0,  0, 59, 59},
    [HOUR]    = {"hour",    "0..23",             NULL,          0,  0, 23, 23},
    [DAY]     = {"day",     "1..31",             NULL,          0,  1, 31, 31},
    [MONTH]   = {"month",   "1..12 or jan..dec", month_names,   12, 1, 12, 12},
    [WEEKDAY] = {"weekday", "0..7 or sun..sat",  weekday_names, 7,  0, 6,  7},
};

static const struct {
    const char *word;
    const char *means;
} words[] = {
    {"@hourly",  "0 * * * *"},
    {"@daily",   "0 0 * * *"},
    {"@weekly",  "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"},
    {"@yearly",  "0 0 1 1 *"},
};
/* clang-format on */

enum { WORDS = sizeof(words) / sizeof(words[0]) };

/* What is being read: one element of a field's list, and how far. */
struct item {
    enum field_index index;
    struct tm_slice text;
    struct tm_slice rest;
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct tm_slice skip(struct tm_slice text, size_t len)
{
    return tm_slice_of(text.at + len, text.len - len);
}

/* Cut off what stands before the first `separator`; false when there is none, and all was taken. */
static bool cut(struct tm_slice *rest, char separator, struct tm_slice *head)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->at, separator, rest->len) : NULL;
    head->at = rest->at;
    head->len = at != NULL ? (size_t)(at - rest->at) : rest->len;
    *rest = skip(*rest, at != NULL ? head->len + 1 : head->len);
    return at != NULL;
}

/* "field 2 (hour) is 0..23, got 25": numbers as they are, all else in quotes. */
static enum tm_code refuse(enum field_index index, struct tm_slice got, struct tm_err *err)
{
    char shown[TM_SHOWN_MAX];
    size_t digits = 0;
    while (digits < got.len && is_digit(got.at[digits])) {
        digits++;
    }
    const char *quote = digits > 0 && digits == got.len ? "" : "\"";
    return tm_err_set(err, TM_E_USAGE, "field %d (%s) is %s, got %s%s%s", (int)index + 1,
            fields[index].name, fields[index].takes, quote,
            tm_shown((const char *)got.at, got.len, shown), quote);
}

/* Read the digits at the front of `rest`; a number too large for any field stays too large. */
static unsigned take_number(struct tm_slice *rest)
{
    enum { TOO_LARGE = 1000 };
    unsigned value = 0;
    while (rest->len > 0 && is_digit(rest->at[0])) {
        value = value * 10 + (unsigned)(rest->at[0] - '0');
        value = value < TOO_LARGE ? value : TOO_LARGE;
        *rest = skip(*rest, 1);
    }
    return value;
}

static bool find_name(const struct field *field, struct tm_slice word, unsigned *out)
{
    for (unsigned i = 0; word.len == NAME_LEN && i < field->name_count; i++) {
        if (strncasecmp((const char *)word.at, field->names[i], NAME_LEN) == 0) {
            *out = field->low + i;
            return true;
        }
    }
    return false;
}

/* Read a number or a name. */
static enum tm_code take_value(struct item *item, unsigned *out, struct tm_err *err)
{
    const struct field *field = &fields[item->index];
    struct tm_slice word = {item->rest.at, 0};
    if (item->rest.len > 0 && is_digit(item->rest.at[0])) {
        unsigned value = take_number(&item->rest);
        word.len = (size_t)(item->rest.at - word.at);
        if (value < field->low || value > field->highest) {
            return refuse(item->index, word, err);
        }
        *out = value;
        return TM_OK;
    }
    while (word.len < item->rest.len && is_letter(item->rest.at[word.len])) {
        word.len++;
    }
    if (!find_name(field, word, out)) {
        return refuse(item->index, item->text, err);
    }
    item->rest = skip(item->rest, word.len);
    return TM_OK;
}

static enum tm_code take_range(
        struct item *item, unsigned *first, unsigned *last, struct tm_err *err)
{
    const struct field *field = &fields[item->index];
    if (item->rest.len > 0 && item->rest.at[0] == '*') {
        item->rest = skip(item->rest, 1);
        *first = field->low;
        *last = field->high;
        return TM_OK;
    }
    enum tm_code code = take_value(item, first, err);
    if (code != TM_OK) {
        return code;
    }
    if (item->rest.len == 0 || item->rest.at[0] != '-') {
        bool steps = item->rest.len > 0 && item->rest.at[0] == '/';
        *last = steps && *first < field->high ? field->high : *first;
        return TM_OK;
    }
    item->rest = skip(item->rest, 1);
    code = take_value(item, last, err);
    if (code != TM_OK) {
        return code;
    }
    if (item->index == WEEKDAY && *first % 7 != 0 && *last == 0) {
        *last = 7; /* "fri-sun": Sunday ends a week as well as it begins one */
    }
    if (item->index == WEEKDAY && *first == 7) {
        *first = 0; /* "7-2" */
        *last = *last == 7 ? 0 : *last;
    }
    if (*first > *last) {
        return tm_err_set(err, TM_E_USAGE,
                "field %d (%s): range %u-%u runs backwards; write %u-%u,%u-%u",
                (int)item->index + 1, field->name, *first, *last, *first, field->high, field->low,
                *last);
    }
    return TM_OK;
}

static enum tm_code take_step(struct item *item, unsigned *out, struct tm_err *err)
{
    const struct field *field = &fields[item->index];
    if (item->rest.len == 0 || item->rest.at[0] != '/') {
        *out = 1;
        return TM_OK;
    }
    item->rest = skip(item->rest, 1);
    if (item->rest.len == 0 || !is_digit(item->rest.at[0])) {
        return refuse(item->index, item->text, err);
    }
    struct tm_slice digits = item->rest;
    unsigned step = take_number(&item->rest);
    if (step < 1 || step > field->highest) {
        char shown[TM_SHOWN_MAX];
        digits.len -= item->rest.len;
        return tm_err_set(err, TM_E_USAGE, "field %d (%s): a step is 1..%u, got %s",
                (int)item->index + 1, field->name, field->highest,
                tm_shown((const char *)digits.at, digits.len, shown));
    }
    *out = step;
    return TM_OK;
}

/* Add the values of one element to `mask`. */
static enum tm_code read_item(struct item *item, uint64_t *mask, struct tm_err *err)
{
    unsigned first = 0;
    unsigned last = 0;
    unsigned step = 1;
    enum tm_code code = take_range(item, &first, &last, err);
    if (code == TM_OK) {
        code = take_step(item, &step, err);
    }
    if (code != TM_OK) {
        return code;
    }
    if (item->rest.len > 0) {
        return refuse(item->index, item->text, err);
    }
    for (unsigned value = first; value <= last; value += step) {
        *mask |= UINT64_C(1) << (item->index == WEEKDAY ? value % 7 : value);
    }
    return TM_OK;
}

static enum tm_code read_field(
        enum field_index index, struct tm_slice text, uint64_t *out, struct tm_err *err)
{
    uint64_t mask = 0;
    for (bool more = true; more;) {
        struct item item = {.index = index};
        more = cut(&text, ',', &item.text);
        item.rest = item.text;
        enum tm_code code = read_item(&item, &mask, err);
        if (code != TM_OK) {
            return code;
        }
    }
    *out = mask;
    return TM_OK;
}

/* Split at spaces and tabs; gives the count of fields, of which the first FIELDS are in `out`. */
static size_t split(struct tm_slice text, struct tm_slice out[FIELDS])
{
    size_t count = 0;
    for (size_t i = 0; i < text.len;) {
        size_t begin = i;
        while (i < text.len && text.at[i] != ' ' && text.at[i] != '\t') {
            i++;
        }
        if (i > begin && count < FIELDS) {
            out[count] = tm_slice_of(text.at + begin, i - begin);
        }
        count += i > begin ? 1 : 0;
        i += i < text.len ? 1 : 0;
    }
    return count;
}

/* A word stands for five fields; anything else for itself. */
static enum tm_code expand_word(const char *text, const char **out, struct tm_err *err)
{
    if (text[0] != '@') {
        *out = text;
        return TM_OK;
    }
    const char *names[WORDS];
    for (size_t i = 0; i < WORDS; i++) {
        if (strcmp(text, words[i].word) == 0) {
            *out = words[i].means;
            return TM_OK;
        }
        names[i] = words[i].word;
    }
    char shown[TM_SHOWN_MAX];
    (void)tm_shown(text, strlen(text), shown);
    const char *nearest = tm_nearest(text, names, WORDS);
    if (nearest != NULL) {
        return tm_err_set(
                err, TM_E_USAGE, "unknown word \"%s\"; did you mean \"%s\"?", shown, nearest);
    }
    return tm_err_set(err, TM_E_USAGE,
            "unknown word \"%s\"; there are @hourly, @daily, @weekly, @monthly, @yearly and "
            "\"@every DURATION\"",
            shown);
}

/* Days of the month in a leap year: what is later never comes. */
static unsigned longest_month(unsigned month)
{
    if (month == 2) {
        return 29;
    }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Over 400 years each date falls on every weekday, 29 February too: the dates alone decide. */
static bool ever_happens(const struct tm_cron *cron)
{
    if (cron->either_day) {
        return true;
    }
    unsigned first_day = (unsigned)__builtin_ctz(cron->days);
    for (unsigned month = 1; month <= 12; month++) {
        if ((cron->months >> month & 1) != 0 && first_day <= longest_month(month)) {
            return true;
        }
    }
    return false;
}

enum tm_code tm_cron_parse(const char *text, struct tm_cron *out, struct tm_err *err)
{
    if (strlen(text) > TM_CRON_TEXT_MAX) {
        return tm_err_set(
                err, TM_E_USAGE, "schedule is longer than %d bytes", (int)TM_CRON_TEXT_MAX);
    }
    const char *expanded = NULL;
    enum tm_code code = expand_word(text, &expanded, err);
    if (code != TM_OK) {
        return code;
    }
    struct tm_slice parts[FIELDS];
    size_t count = split(tm_slice_str(expanded), parts);
    if (count > FIELDS) {
        return tm_err_set(err, TM_E_USAGE,
                "schedule has %zu fields; seconds and years (Quartz) are not supported, use 5 "
                "fields or \"@every 30s\"",
                count);
    }
    if (count < FIELDS) {
        return tm_err_set(err, TM_E_USAGE,
                "schedule has %zu field%s; 5 are needed: minute hour day month weekday", count,
                count == 1 ? "" : "s");
    }
    uint64_t masks[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        code = read_field((enum field_index)i, parts[i], &masks[i], err);
        if (code != TM_OK) {
            return code;
        }
    }
    struct tm_cron cron = {
            .minutes = masks[MINUTE],
            .hours = (uint32_t)masks[HOUR],
            .days = (uint32_t)masks[DAY],
            .months = (uint32_t)masks[MONTH],
            .weekdays = (uint32_t)masks[WEEKDAY],
            .either_day = parts[DAY].at[0] != '*' && parts[WEEKDAY].at[0] != '*',
    };
    if (!ever_happens(&cron)) {
        char shown[TM_SHOWN_MAX];
        return tm_err_set(
                err, TM_E_USAGE, "\"%s\" never happens", tm_shown(text, strlen(text), shown));
    }
    *out = cron;
    return TM_OK;
}

struct date {
    int64_t number; /* days since 1970-01-01 */
    int64_t year;
    unsigned month;
    unsigned day;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

/* Gregorian date of a day: years are counted from 1 March, so that the leap day ends them. */
static struct date date_of(int64_t number)
{
    int64_t from_march_0 = number + 719468;
    int64_t cycle = floor_div(from_march_0, DAYS_PER_CYCLE);
    int64_t of_cycle = from_march_0 - cycle * DAYS_PER_CYCLE;
    int64_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
    int64_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
    int64_t month_from_march = (5 * of_year + 2) / 153;
    unsigned month =
            (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    return (struct date){
            .number = number,
            .year = year + cycle * 400 + (month <= 2 ? 1 : 0),
            .month = month,
            .day = (unsigned)(of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

static unsigned month_length(const struct date *date)
{
    bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    return date->month == 2 && !leap ? 28 : longest_month(date->month);
}

static void go_to_next_month(struct date *date)
{
    date->number += month_length(date) - date->day + 1;
    date->day = 1;
    date->year += date->month == 12 ? 1 : 0;
    date->month = date->month == 12 ? 1 : date->month + 1;
}

static void go_to_next_day(struct date *date)
{
    if (date->day == month_length(date)) {
        go_to_next_month(date);
    } else {
        date->number++;
        date->day++;
    }
}

/* Step to the first matching day from `date` on, itself included; false when it is after LAST_YEAR. */
static bool go_to_match(const struct tm_cron *cron, struct date *date)
{
    while (date->year <= LAST_YEAR) {
        if ((cron->months >> date->month & 1) == 0) {
            go_to_next_month(date);
            continue;
        }
        int64_t week = floor_div(date->number + 4, 7); /* 1970-01-01 was a Thursday */
        unsigned weekday = (unsigned)(date->number + 4 - week * 7);
        bool by_day = (cron->days >> date->day & 1) != 0;
        bool by_weekday = (cron->weekdays >> weekday & 1) != 0;
        if (cron->either_day ? by_day || by_weekday : by_day && by_weekday) {
            return true;
        }
        go_to_next_day(date);
    }
    return false;
}

/* The first matching minute of a day at or after `from`; -1 when there is none. */
static int first_minute(const struct tm_cron *cron, int from)
{
    for (int hour = from / MINUTES_PER_HOUR; hour < 24; hour++) {
        int skipped = hour == from / MINUTES_PER_HOUR ? from % MINUTES_PER_HOUR : 0;
        uint64_t minutes = cron->minutes >> skipped << skipped;
        if ((cron->hours >> hour & 1) != 0 && minutes != 0) {
            return hour * MINUTES_PER_HOUR + __builtin_ctzll(minutes);
        }
    }
    return -1;
}

bool tm_cron_next(const struct tm_cron *cron, int64_t after_ms, int64_t *next_ms)
{
    int64_t minute = floor_div(after_ms, MS_PER_MINUTE) + 1;
    struct date date = date_of(floor_div(minute, MINUTES_PER_DAY));
    int from = (int)(minute - date.number * MINUTES_PER_DAY);

    int64_t today = date.number;
    while (go_to_match(cron, &date)) {
        int found = first_minute(cron, date.number == today ? from : 0);
        if (found >= 0) {
            *next_ms = (date.number * MINUTES_PER_DAY + found) * MS_PER_MINUTE;
            return true;
        }
        go_to_next_day(&date);
    }
    return false;
}

int64_t tm_cron_longest_gap_ms(const struct tm_cron *cron)
{
    int first = first_minute(cron, 0);
    int last = first;
    int64_t longest = 0; /* within a day */
    for (int at = first; at >= 0; at = at + 1 < MINUTES_PER_DAY ? first_minute(cron, at + 1) : -1) {
        longest = at - last > longest ? at - last : longest;
        last = at;
    }

    struct date date = date_of(0);
    bool any = go_to_match(cron, &date);
    tm_assert(any && first >= 0);
    int64_t end = date.number + DAYS_PER_CYCLE; /* the first match comes again */
    int64_t most_days = 0;
    for (int64_t before = date.number; before < end; before = date.number) {
        go_to_next_day(&date);
        any = go_to_match(cron, &date);
        tm_assert(any);
        most_days = date.number - before > most_days ? date.number - before : most_days;
    }
    int64_t over_night = most_days * MINUTES_PER_DAY - last + first;
    return (over_night > longest ? over_night : longest) * MS_PER_MINUTE;
}
