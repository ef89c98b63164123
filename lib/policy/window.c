/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/window.h"

#include <string.h>

#include "policy/shown.h"

static const int64_t minute_ms = INT64_C(60) * 1000;
static const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;

static bool read_two(const char *text, int max, int *out)
{
    bool digits = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';
    *out = digits ? (text[0] - '0') * 10 + (text[1] - '0') : max;
    return *out < max;
}

/* "HH:MM"; five bytes are there to be read. */
static bool read_time(const char *text, int64_t *out)
{
    int hour = 0;
    int minute = 0;
    bool good = read_two(text, 24, &hour) && text[2] == ':' && read_two(text + 3, 60, &minute);
    *out = ((int64_t)hour * 60 + minute) * minute_ms;
    return good;
}

enum tm_code tm_window_parse(const char *text, struct tm_window *out, struct tm_err *err)
{
    char shown[TM_SHOWN_MAX];
    struct tm_window window = {.limited = true};
    if (text[0] == '\0') {
        *out = (struct tm_window){0};
        return TM_OK;
    }
    if (strlen(text) != strlen("22:00-06:00") || text[5] != '-' ||
            !read_time(text, &window.from_ms) || !read_time(text + 6, &window.until_ms)) {
        return tm_err_set(err, TM_E_USAGE,
                "\"%s\" is no window; write two times of the day, like 22:00-06:00",
                tm_shown(text, strlen(text), shown));
    }
    if (window.from_ms == window.until_ms) {
        return tm_err_set(err, TM_E_USAGE,
                "the window begins where it ends; write \"\" for one that is always open");
    }
    *out = window;
    return TM_OK;
}

static int64_t time_of_day_ms(int64_t now_ms)
{
    int64_t rest = now_ms % day_ms;
    return rest < 0 ? rest + day_ms : rest;
}

/* From a time of the day on to the next `to`, less than a day. */
static int64_t ahead_ms(int64_t from, int64_t to)
{
    return to >= from ? to - from : to - from + day_ms;
}

static int64_t wall_ms_of(const struct tm_window *window, int64_t now_ms)
{
    return now_ms + tm_zone_offset_ms(window->zone, now_ms);
}

/* The instant at which the wall's clock is next at `to`, `now_ms` or later. */
static int64_t next_at(const struct tm_window *window, int64_t now_ms, int64_t to)
{
    int64_t wall_ms = wall_ms_of(window, now_ms);
    int64_t ahead = ahead_ms(time_of_day_ms(wall_ms), to);
    int64_t at_ms = tm_zone_instant_ms(window->zone, wall_ms + ahead);
    return at_ms >= now_ms ? at_ms : now_ms + ahead; /* an hour that comes twice, the second time */
}

bool tm_window_is_open(const struct tm_window *window, int64_t now_ms)
{
    int64_t length_ms = ahead_ms(window->from_ms, window->until_ms);
    int64_t wall_ms = wall_ms_of(window, now_ms);
    return !window->limited || ahead_ms(window->from_ms, time_of_day_ms(wall_ms)) < length_ms;
}

int64_t tm_window_closes_ms(const struct tm_window *window, int64_t now_ms)
{
    if (!window->limited) {
        return INT64_MAX;
    }
    return tm_window_is_open(window, now_ms) ? next_at(window, now_ms, window->until_ms) : now_ms;
}

int64_t tm_window_opens_ms(const struct tm_window *window, int64_t now_ms)
{
    return tm_window_is_open(window, now_ms) ? now_ms : next_at(window, now_ms, window->from_ms);
}

bool tm_window_next_run(const struct tm_window *window, const struct tm_schedule *schedule,
        int64_t after_ms, int64_t *next_ms)
{
    enum { LOOKS = 2 * 366 }; /* each goes on to another opening, so a day or more ahead */
    int64_t at_ms = 0;
    for (int i = 0; i < LOOKS; i++) {
        if (!tm_schedule_next(schedule, after_ms, &at_ms)) {
            return false;
        }
        if (tm_window_is_open(window, at_ms)) {
            *next_ms = at_ms;
            return true;
        }
        after_ms = tm_window_opens_ms(window, at_ms) - 1;
    }
    return false;
}
