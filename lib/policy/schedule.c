/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schedule.h"

#include <string.h>

#include "base/text.h"
#include "policy/shown.h"

/* Below this a run would be due before the last one's commit could be. */
static const int64_t shortest_every_ms = 1000;

static const int64_t hour_ms = INT64_C(60) * 60 * 1000;
static const int64_t end_of_9999_ms = INT64_C(253402300800000);

static enum tm_code parse_every(const char *duration, int64_t *out, struct tm_err *err)
{
    char shown[TM_SHOWN_MAX]; /* no duration has the characters that this replaces */
    int64_t every_ms = 0;
    duration += strspn(duration, " \t");
    if (*duration == '\0') {
        return tm_err_set(err, TM_E_USAGE, "\"@every\" needs a duration: \"@every 5m\"");
    }
    (void)tm_shown(duration, strlen(duration), shown);
    enum tm_code code = tm_parse_duration_ms(shown, &every_ms, err);
    if (code != TM_OK) {
        return tm_err_wrap(err, "@every");
    }
    if (every_ms < shortest_every_ms) {
        return tm_err_set(err, TM_E_USAGE, "@every: at least 1s, got %s", shown);
    }
    *out = every_ms;
    return TM_OK;
}

enum tm_code tm_schedule_parse(const char *text, struct tm_schedule *out, struct tm_err *err)
{
    static const char every[] = "@every";
    size_t word = strcspn(text, " \t");
    struct tm_schedule schedule = {.kind = TM_SCHEDULE_BY_HAND};
    enum tm_code code = TM_OK;

    if (word == strlen(every) && strncmp(text, every, word) == 0) {
        schedule.kind = TM_SCHEDULE_EVERY;
        code = parse_every(text + word, &schedule.every_ms, err);
    } else if (*text != '\0') {
        schedule.kind = TM_SCHEDULE_CRON;
        code = tm_cron_parse(text, &schedule.cron, err);
    }
    if (code == TM_OK) {
        *out = schedule;
    }
    return code;
}

static bool next_multiple(int64_t every_ms, int64_t after_ms, int64_t *next_ms)
{
    int64_t passed = after_ms / every_ms - (after_ms % every_ms < 0 ? 1 : 0);
    int64_t next = 0;
    if (__builtin_mul_overflow(passed + 1, every_ms, &next) || next >= end_of_9999_ms) {
        return false;
    }
    *next_ms = next;
    return true;
}

static bool is_every_hour(const struct tm_cron *cron)
{
    return cron->hours == (1U << 24) - 1;
}

/* With real time: within each stretch between two changes the wall's clock is UTC and something. */
static bool next_hourly(const struct tm_schedule *schedule, int64_t after_ms, int64_t *next_ms)
{
    int64_t offset_ms = tm_zone_offset_ms(schedule->zone, after_ms);
    for (;;) {
        int64_t change_ms = tm_zone_next_change_ms(schedule->zone, after_ms);
        int64_t wall_ms = 0;
        bool any = tm_cron_next(&schedule->cron, after_ms + offset_ms, &wall_ms);
        if (any && wall_ms - offset_ms < change_ms) {
            *next_ms = wall_ms - offset_ms;
            return true;
        }
        if (change_ms == INT64_MAX) {
            return false;
        }
        offset_ms = tm_zone_offset_ms(schedule->zone, change_ms);
        after_ms = change_ms - 1; /* the moment itself may match */
        if (tm_cron_next(&schedule->cron, after_ms + offset_ms, &wall_ms) &&
                wall_ms - offset_ms == change_ms) {
            *next_ms = change_ms;
            return true;
        }
        after_ms = change_ms;
    }
}

static bool next_on_the_wall(const struct tm_schedule *schedule, int64_t after_ms, int64_t *next_ms)
{
    int64_t wall_ms = after_ms + tm_zone_offset_ms(schedule->zone, after_ms);
    while (tm_cron_next(&schedule->cron, wall_ms, &wall_ms)) {
        *next_ms = tm_zone_instant_ms(schedule->zone, wall_ms);
        if (*next_ms > after_ms) { /* else the hour comes for the second time */
            return true;
        }
    }
    return false;
}

static bool next_of_cron(const struct tm_schedule *schedule, int64_t after_ms, int64_t *next_ms)
{
    if (schedule->zone == NULL) {
        return tm_cron_next(&schedule->cron, after_ms, next_ms);
    }
    return is_every_hour(&schedule->cron) ? next_hourly(schedule, after_ms, next_ms)
                                          : next_on_the_wall(schedule, after_ms, next_ms);
}

bool tm_schedule_next(const struct tm_schedule *schedule, int64_t after_ms, int64_t *next_ms)
{
    switch (schedule->kind) {
    case TM_SCHEDULE_BY_HAND:
        return false;
    case TM_SCHEDULE_CRON:
        return next_of_cron(schedule, after_ms, next_ms);
    case TM_SCHEDULE_EVERY:
        return next_multiple(schedule->every_ms, after_ms, next_ms);
    }
    return false;
}

int64_t tm_schedule_interval_ms(const struct tm_schedule *schedule)
{
    switch (schedule->kind) {
    case TM_SCHEDULE_BY_HAND:
        return 0;
    case TM_SCHEDULE_CRON:
        return tm_cron_longest_gap_ms(&schedule->cron) +
               (is_every_hour(&schedule->cron) ||
                                       tm_zone_next_change_ms(schedule->zone, 0) == INT64_MAX
                               ? 0
                               : hour_ms);
    case TM_SCHEDULE_EVERY:
        return schedule->every_ms;
    }
    return 0;
}

int64_t tm_schedule_delay_ms(const char *name, int64_t jitter_ms)
{
    uint64_t hash =
            UINT64_C(14695981039346656037); /* FNV-1a: names spread, and stay where they are */
    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    }
    return jitter_ms > 0 ? (int64_t)((hash >> 16) % (uint64_t)jitter_ms) : 0;
}
