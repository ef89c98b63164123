/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/posix_zone.h"

#include <stddef.h>

enum {
    DAYS_PER_CYCLE = 146097, /* 400 years */
    HOUR_S = 3600,
    MINUTE_S = 60,
    CHANGE_DEFAULT_S = 2 * HOUR_S, /* a change without a time is at 02:00:00 */
};

static const int64_t day_s = INT64_C(24) * 3600;

/* Reading --------------------------------------------------------------------------------------- */

struct reader {
    struct tm_slice rest;
    bool good;
};

static uint8_t first(const struct reader *reader)
{
    return reader->rest.len > 0 ? reader->rest.at[0] : 0;
}

static void skip(struct reader *reader)
{
    reader->rest = tm_slice_of(reader->rest.at + 1, reader->rest.len - 1);
}

static bool take(struct reader *reader, uint8_t character)
{
    if (first(reader) != character) {
        return false;
    }
    skip(reader);
    return true;
}

static int take_number(struct reader *reader, int low, int high)
{
    int value = 0;
    bool any = false;
    while (first(reader) >= '0' && first(reader) <= '9' && value < 100000) {
        value = value * 10 + (first(reader) - '0');
        any = true;
        skip(reader);
    }
    reader->good = reader->good && any && value >= low && value <= high;
    return reader->good ? value : low;
}

/* "CET", "<+0330>": what it is called is of no interest. */
static void skip_name(struct reader *reader)
{
    size_t letters = 0;
    bool quoted = take(reader, '<');
    for (; reader->rest.len > 0; letters++) {
        uint8_t one = first(reader);
        bool letter = (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z');
        bool more = letter || (quoted && ((one >= '0' && one <= '9') || one == '+' || one == '-'));
        if (!more) {
            break;
        }
        skip(reader);
    }
    reader->good = reader->good && letters >= 3 && (!quoted || take(reader, '>'));
}

/* "[+-]hh[:mm[:ss]]" in seconds */
static int32_t take_time(struct reader *reader, int hours_max)
{
    bool minus = take(reader, '-');
    if (!minus) {
        (void)take(reader, '+');
    }
    int32_t seconds = take_number(reader, 0, hours_max) * HOUR_S;
    if (take(reader, ':')) {
        seconds += take_number(reader, 0, 59) * MINUTE_S;
        if (take(reader, ':')) {
            seconds += take_number(reader, 0, 59);
        }
    }
    return minus ? -seconds : seconds;
}

static struct tm_posix_day take_day(struct reader *reader)
{
    struct tm_posix_day day = {.kind = TM_POSIX_ORDINAL, .time_s = CHANGE_DEFAULT_S};
    if (take(reader, 'M')) {
        day.kind = TM_POSIX_WEEKDAY;
        day.month = take_number(reader, 1, 12);
        reader->good = reader->good && take(reader, '.');
        day.week = take_number(reader, 1, 5);
        reader->good = reader->good && take(reader, '.');
        day.day = take_number(reader, 0, 6);
    } else if (take(reader, 'J')) {
        day.kind = TM_POSIX_JULIAN;
        day.day = take_number(reader, 1, 365);
    } else {
        day.day = take_number(reader, 0, 365);
    }
    if (take(reader, '/')) {
        day.time_s = take_time(reader, 167);
    }
    return day;
}

bool tm_posix_zone_parse(struct tm_slice text, struct tm_posix_zone *out)
{
    struct reader reader = {text, true};
    *out = (struct tm_posix_zone){0};
    skip_name(&reader);
    out->standard_s = -take_time(&reader, 24); /* POSIX counts west of Greenwich */
    if (reader.good && reader.rest.len > 0) {
        out->has_summer = true;
        skip_name(&reader);
        bool given = first(&reader) != ',';
        out->summer_s = given ? -take_time(&reader, 24) : out->standard_s + HOUR_S;
        reader.good = reader.good && take(&reader, ',');
        out->begin = take_day(&reader);
        reader.good = reader.good && take(&reader, ',');
        out->end = take_day(&reader);
    }
    return reader.good && reader.rest.len == 0;
}

/* Asking ---------------------------------------------------------------------------------------- */

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970 to 1 January of the year. */
static int64_t days_to_year(int64_t year)
{
    int64_t before = year - 1;
    return 365 * (year - 1970) + (before / 4 - before / 100 + before / 400) -
           (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int64_t year_of(int64_t utc_s)
{
    int64_t days = utc_s / day_s - (utc_s % day_s < 0 ? 1 : 0);
    int64_t year = 1970 + days * 400 / DAYS_PER_CYCLE;
    while (days_to_year(year) > days) {
        year--;
    }
    while (days_to_year(year + 1) <= days) {
        year++;
    }
    return year;
}

static int64_t day_of_month(int64_t year, const struct tm_posix_day *day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t start = days_to_year(year);
    for (int month = 1; month < day->month; month++) {
        start += lengths[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
    }
    int length = lengths[day->month - 1] + (day->month == 2 && is_leap(year) ? 1 : 0);
    int weekday = (int)((start + 4) % 7); /* 1 January 1970 was a Thursday */
    int at = (day->day - (weekday < 0 ? weekday + 7 : weekday) + 7) % 7 + 7 * (day->week - 1);
    return start + (at < length ? at : at - 7);
}

/* When it comes in that year, in seconds of a clock that is `offset_s` ahead of UTC. */
static int64_t instant_of(const struct tm_posix_day *day, int64_t year, int32_t offset_s)
{
    int64_t number = days_to_year(year) + day->day;
    if (day->kind == TM_POSIX_WEEKDAY) {
        number = day_of_month(year, day);
    } else if (day->kind == TM_POSIX_JULIAN) {
        number += is_leap(year) && day->day >= 60 ? 0 : -1; /* 29 February has no number */
    }
    return number * day_s + day->time_s - offset_s;
}

static int64_t floor_s(int64_t utc_ms)
{
    return utc_ms / 1000 - (utc_ms % 1000 < 0 ? 1 : 0);
}

int64_t tm_posix_zone_offset_s(const struct tm_posix_zone *zone, int64_t utc_ms)
{
    int64_t utc_s = floor_s(utc_ms);
    if (!zone->has_summer) {
        return zone->standard_s;
    }
    /* By the last change before, of this year or one of its neighbours. */
    int64_t latest = INT64_MIN;
    int64_t offset_s = zone->standard_s;
    int64_t this_year = year_of(utc_s);
    for (int64_t year = this_year - 1; year <= this_year + 1; year++) {
        int64_t begin = instant_of(&zone->begin, year, zone->standard_s);
        int64_t end = instant_of(&zone->end, year, zone->summer_s);
        if (begin <= utc_s && begin > latest) {
            latest = begin;
            offset_s = zone->summer_s;
        }
        if (end <= utc_s && end > latest) {
            latest = end;
            offset_s = zone->standard_s;
        }
    }
    return offset_s;
}

int64_t tm_posix_zone_next_ms(const struct tm_posix_zone *zone, int64_t utc_ms)
{
    int64_t utc_s = floor_s(utc_ms);
    int64_t next = INT64_MAX;
    int64_t this_year = year_of(utc_s);
    for (int64_t year = this_year - 1; zone->has_summer && year <= this_year + 1; year++) {
        const int64_t both[] = {instant_of(&zone->begin, year, zone->standard_s),
                instant_of(&zone->end, year, zone->summer_s)};
        for (size_t i = 0; i < 2; i++) {
            next = both[i] > utc_s && both[i] < next ? both[i] : next;
        }
    }
    return next == INT64_MAX ? next : next * 1000;
}
