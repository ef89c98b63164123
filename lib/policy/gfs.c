/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/gfs.h"

#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/own.h"

enum { RULES_OF_BUCKETS = 5 };

static const int64_t second_ms = 1000;
static const int64_t hour_ms = INT64_C(3600) * 1000;
static const int64_t day_ms = INT64_C(24) * 3600 * 1000;

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

/* The number of the bucket that a time lies in; two times of one bucket have the same number. */
static int64_t bucket_of(enum tm_gfs_rule rule, int64_t time_ms)
{
    if (rule == TM_GFS_KEEP_HOURLY) {
        return floor_div(time_ms, hour_ms);
    }
    if (rule == TM_GFS_KEEP_DAILY) {
        return floor_div(time_ms, day_ms);
    }
    if (rule == TM_GFS_KEEP_WEEKLY) { /* 1970-01-01 was a Thursday */
        return floor_div(floor_div(time_ms, day_ms) + 3, 7);
    }
    struct tm parts = {0};
    time_t seconds = (time_t)floor_div(time_ms, second_ms);
    tm_assert(gmtime_r(&seconds, &parts) != NULL);
    return (int64_t)parts.tm_year * 12 + parts.tm_mon;
}

static uint32_t wanted(const struct tm_gfs_rules *rules, size_t index)
{
    const uint32_t counts[RULES_OF_BUCKETS] = {rules->keep_last, rules->keep_hourly,
            rules->keep_daily, rules->keep_weekly, rules->keep_monthly};
    return counts[index];
}

static bool has_buckets(const struct tm_gfs_rules *rules)
{
    bool any = false;
    for (size_t i = 0; i < RULES_OF_BUCKETS; i++) {
        any = any || wanted(rules, i) > 0;
    }
    return any;
}

bool tm_gfs_removes(const struct tm_gfs_rules *rules)
{
    return has_buckets(rules) || rules->max_age_ms > 0;
}

/* keep_last: the newest N whole points, and what is not whole only while there are fewer of them. */
static void keep_last(uint32_t limit, struct tm_gfs_point *points, size_t count)
{
    size_t whole = 0;
    for (size_t i = 0; i < count; i++) {
        whole += points[i].whole ? 1 : 0;
    }
    size_t left = limit;
    size_t spare = limit > whole ? limit - whole : 0;
    for (size_t i = 0; i < count && left > 0; i++) {
        bool take = points[i].whole || spare > 0;
        spare -= !points[i].whole && spare > 0 ? 1 : 0;
        points[i].kept_by |= take ? TM_GFS_KEEP_LAST : 0;
        left -= take ? 1 : 0;
    }
}

/* The newest whole point of each of the newest buckets; the newest of all where none is whole. */
static void keep_buckets(
        enum tm_gfs_rule rule, uint32_t limit, struct tm_gfs_point *points, size_t count)
{
    uint32_t buckets = 0;
    size_t i = 0;
    while (i < count && buckets < limit) {
        int64_t bucket = bucket_of(rule, points[i].time_ms);
        size_t best = i;
        while (i < count && bucket_of(rule, points[i].time_ms) == bucket) {
            best = points[i].whole && !points[best].whole ? i : best;
            i++;
        }
        points[best].kept_by |= (uint32_t)rule;
        buckets++;
    }
}

static void keep_at_least(uint32_t min_points, struct tm_gfs_point *points, size_t count)
{
    uint32_t left = min_points > 0 ? min_points : 1;
    for (size_t i = 0; i < count && left > 0; i++) {
        if (points[i].whole) {
            points[i].kept_by |= TM_GFS_MIN_POINTS;
            left--;
        }
    }
}

/* What the buckets kept goes again when it is too old; what protects a point comes after. */
static void drop_old(
        const struct tm_gfs_rules *rules, int64_t now_ms, struct tm_gfs_point *points, size_t count)
{
    bool buckets = has_buckets(rules);
    for (size_t i = 0; i < count; i++) {
        struct tm_gfs_point *point = &points[i];
        point->too_old = rules->max_age_ms > 0 && now_ms > point->time_ms &&
                         now_ms - point->time_ms > rules->max_age_ms;
        if (point->too_old) {
            point->kept_by = 0;
        } else if (!buckets) {
            point->kept_by |= TM_GFS_WITHIN_MAX_AGE;
        }
    }
}

/* By the rules alone. */
static void decide_counted(
        const struct tm_gfs_rules *rules, int64_t now_ms, struct tm_gfs_point *points, size_t count)
{
    keep_last(rules->keep_last, points, count);
    for (size_t i = 1; i < RULES_OF_BUCKETS; i++) {
        keep_buckets((enum tm_gfs_rule)(1U << i), wanted(rules, i), points, count);
    }
    if (tm_gfs_removes(rules)) {
        drop_old(rules, now_ms, points, count);
    }
    keep_at_least(rules->min_points, points, count);
}

void tm_gfs_decide(
        const struct tm_gfs_rules *rules, int64_t now_ms, struct tm_gfs_point *points, size_t count)
{
    struct tm_gfs_point *counted = tm_xalloc(count + 1, sizeof(*counted));
    size_t counted_count = 0;
    for (size_t i = 0; i < count; i++) {
        tm_assert(i == 0 || points[i].time_ms <= points[i - 1].time_ms);
        points[i].kept_by = points[i].passing ? (uint32_t)TM_GFS_FLUSH : 0;
        points[i].too_old = false;
        if (!points[i].passing) {
            counted[counted_count++] = points[i];
        }
    }
    decide_counted(rules, now_ms, counted, counted_count);
    for (size_t i = 0, at = 0; i < count; i++) {
        if (!points[i].passing) {
            points[i] = counted[at++];
        }
        points[i].kept_by |= i == 0 ? TM_GFS_NEWEST : 0;
        points[i].kept_by |= points[i].held ? TM_GFS_HELD : 0;
        points[i].kept_by |= tm_gfs_removes(rules) ? 0 : TM_GFS_NO_RULE;
    }
    free(counted);
}

const char *tm_gfs_rule_name(enum tm_gfs_rule rule)
{
    static const char *const names[TM_GFS_RULES] = {"keep_last", "keep_hourly", "keep_daily",
            "keep_weekly", "keep_monthly", "within_max_age", "min_points", "newest", "held",
            "no_rule", "flush"};
    size_t index = 0;
    while (index < TM_GFS_RULES && (uint32_t)rule != 1U << index) {
        index++;
    }
    tm_assert(index < TM_GFS_RULES);
    return names[index];
}

struct tm_gfs_spacing tm_gfs_spacing(const struct tm_gfs_rules *rules, int64_t interval_ms)
{
    const int64_t spacing[RULES_OF_BUCKETS] = {
            interval_ms, hour_ms, day_ms, 7 * day_ms, 31 * day_ms};
    int64_t reach = 0; /* the age up to which finer rules keep points */
    struct tm_gfs_spacing widest = {0};
    for (size_t i = 0; i < RULES_OF_BUCKETS; i++) {
        int64_t count = (int64_t)wanted(rules, i);
        int64_t end = count > 0 && spacing[i] > INT64_MAX / count ? INT64_MAX : count * spacing[i];
        end = rules->max_age_ms > 0 && end > rules->max_age_ms ? rules->max_age_ms : end;
        if (count > 1 && end > reach &&
                spacing[i] > widest.widest_ms) { /* one has nothing between */
            widest = (struct tm_gfs_spacing){spacing[i], reach, end};
        }
        reach = end > reach ? end : reach;
    }
    return widest;
}
