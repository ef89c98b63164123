/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/slice.h"
#include "base/text.h"

enum { MS_PER_SECOND = 1000, NS_PER_MS = 1000000, MS_PER_DAY = 86400000, EPOCH_MS_DIGITS = 13 };

static const int64_t ns_per_second = 1000000000;

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
static const int64_t first_written_ms = -62167219200000;
static const int64_t last_written_ms = 253402300799999;

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    tm_assert(clock_gettime(clock, &now) == 0);
    return now.tv_sec * ns_per_second + now.tv_nsec;
}

int64_t tm_now_ms(void)
{
    return read_ns(CLOCK_REALTIME) / NS_PER_MS;
}

int64_t tm_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t tm_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

struct timespec tm_mono_after_ms(int64_t ms)
{
    const int64_t century_ms = INT64_C(36525) * MS_PER_DAY;
    int64_t bounded_ms = ms < 0 ? 0 : ms > century_ms ? century_ms : ms;
    int64_t then_ns = tm_mono_ns() + bounded_ms * NS_PER_MS;
    return (struct timespec){.tv_sec = then_ns / ns_per_second, .tv_nsec = then_ns % ns_per_second};
}

void tm_sleep_ms(int64_t ms)
{
    if (ms <= 0) {
        return;
    }
    struct timespec left = {
            .tv_sec = ms / MS_PER_SECOND, .tv_nsec = ms % MS_PER_SECOND * NS_PER_MS};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

struct date {
    int64_t year;
    unsigned month; /* from 1 */
    unsigned day;   /* from 1 */
};

/*
 * Days since 1970-01-01 and back in the proleptic Gregorian calendar, by eras of 400 years that
 * begin on 1 March: https://howardhinnant.github.io/date_algorithms.html. timegm() would take the
 * 31st of February for the 3rd of March.
 */
static int64_t days_of_date(struct date date)
{
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct date date_of_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct date){
            .year = year_of_era + era * 400 + (month <= 2 ? 1 : 0),
            .month = (unsigned)month,
            .day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

const char *tm_time_format(int64_t time_ms, char text[TM_TIME_TEXT_MAX])
{
    if (time_ms < first_written_ms || time_ms > last_written_ms) {
        (void)snprintf(text, TM_TIME_TEXT_MAX, "%" PRId64, time_ms);
        return text;
    }
    int64_t days = time_ms / MS_PER_DAY - (time_ms % MS_PER_DAY < 0 ? 1 : 0);
    unsigned ms = (unsigned)(time_ms - days * MS_PER_DAY);
    struct date date = date_of_days(days);
    (void)snprintf(text, TM_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
            (unsigned)date.year, date.month, date.day, ms / 3600000, ms / 60000 % 60,
            ms / 1000 % 60, ms % 1000);
    return text;
}

/* Read exactly `digits` digits, at most `max`, moving the cursor past them. */
static bool read_digits(const char **cursor, unsigned digits, unsigned max, unsigned *out)
{
    unsigned value = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = (*cursor)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(c - '0');
    }
    *cursor += digits;
    *out = value;
    return value <= max;
}

static bool read_char(const char **cursor, const char *allowed)
{
    if (**cursor == '\0' || strchr(allowed, **cursor) == NULL) {
        return false;
    }
    (*cursor)++;
    return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_date(const char **cursor, int64_t *ms)
{
    unsigned year = 0;
    unsigned month = 0;
    unsigned day = 0;
    if (!read_digits(cursor, 4, 9999, &year) || !read_char(cursor, "-") ||
            !read_digits(cursor, 2, 12, &month) || month == 0 || !read_char(cursor, "-") ||
            !read_digits(cursor, 2, days_in_month(year, month), &day) || day == 0) {
        return false;
    }
    *ms = days_of_date((struct date){.year = year, .month = month, .day = day}) * MS_PER_DAY;
    return true;
}

/* "hh:mm:ss" and a fraction, of which milliseconds count. Leap seconds have no epoch millisecond. */
static bool read_time_of_day(const char **cursor, int64_t *ms)
{
    unsigned hour = 0;
    unsigned minute = 0;
    unsigned second = 0;
    if (!read_digits(cursor, 2, 23, &hour) || !read_char(cursor, ":") ||
            !read_digits(cursor, 2, 59, &minute) || !read_char(cursor, ":") ||
            !read_digits(cursor, 2, 59, &second)) {
        return false;
    }
    *ms = ((int64_t)hour * 3600 + (int64_t)minute * 60 + second) * MS_PER_SECOND;
    if (!read_char(cursor, ".")) {
        return true;
    }
    unsigned digit = 0;
    unsigned weight = 100;
    if (!read_digits(cursor, 1, 9, &digit)) {
        return false;
    }
    do {
        *ms += (int64_t)digit * weight;
        weight /= 10;
    } while (read_digits(cursor, 1, 9, &digit));
    return true;
}

static bool read_offset(const char **cursor, int64_t *ms)
{
    if (read_char(cursor, "Zz")) {
        *ms = 0;
        return true;
    }
    bool west = **cursor == '-';
    unsigned hour = 0;
    unsigned minute = 0;
    if (!read_char(cursor, "+-") || !read_digits(cursor, 2, 23, &hour) || !read_char(cursor, ":") ||
            !read_digits(cursor, 2, 59, &minute)) {
        return false;
    }
    int64_t offset_ms = ((int64_t)hour * 60 + minute) * 60 * MS_PER_SECOND;
    *ms = west ? -offset_ms : offset_ms;
    return true;
}

static bool parse_rfc3339(const char *text, int64_t *out)
{
    const char *cursor = text;
    int64_t date_ms = 0;
    int64_t day_ms = 0;
    int64_t offset_ms = 0;
    if (!read_date(&cursor, &date_ms) || !read_char(&cursor, "Tt ") ||
            !read_time_of_day(&cursor, &day_ms) || !read_offset(&cursor, &offset_ms) ||
            *cursor != '\0') {
        return false;
    }
    *out = date_ms + day_ms - offset_ms;
    return true;
}

static bool parse_epoch_ms(const char *text, int64_t *out)
{
    size_t len = strlen(text);
    int64_t value = 0;
    struct tm_err ignored = {0};
    if (len != EPOCH_MS_DIGITS || strspn(text, "0123456789") != len ||
            tm_parse_i64(text, &value, &ignored) != TM_OK) {
        return false;
    }
    *out = value;
    return true;
}

/* "now", "-2h", "now-2h", "2h ago" */
static bool parse_relative(const char *text, int64_t now_ms, int64_t *out)
{
    static const char ago[] = " ago";
    char span[32];
    size_t len = strlen(text);
    if (strcmp(text, "now") == 0) {
        *out = now_ms;
        return true;
    }
    if (strncmp(text, "now-", 4) == 0) {
        text += 4;
        len -= 4;
    } else if (text[0] == '-') {
        text++;
        len--;
    } else if (len > sizeof(ago) - 1 && strcmp(text + len - (sizeof(ago) - 1), ago) == 0) {
        len -= sizeof(ago) - 1;
    } else {
        return false;
    }
    if (len >= sizeof(span)) {
        return false;
    }
    memcpy(span, text, len);
    span[len] = '\0';

    int64_t span_ms = 0;
    struct tm_err ignored = {0};
    if (tm_parse_duration_ms(span, &span_ms, &ignored) != TM_OK) {
        return false;
    }
    *out = now_ms - span_ms;
    return true;
}

enum tm_code tm_time_parse(const char *text, int64_t now_ms, int64_t *out, struct tm_err *err)
{
    if (parse_rfc3339(text, out) || parse_epoch_ms(text, out) ||
            parse_relative(text, now_ms, out)) {
        return TM_OK;
    }
    return tm_err_set(err, TM_E_USAGE,
            "\"%s\" is not a time; accepted: 2026-11-22T23:30:00Z (RFC 3339 with an offset), epoch "
            "milliseconds (13 digits), -2h, now-2h, \"2h ago\", now",
            text);
}
