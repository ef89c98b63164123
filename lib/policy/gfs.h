/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gfs - which recovery points of a policy stay: grandfather, father, son.
 *
 * Each of keep_last, keep_hourly, keep_daily, keep_weekly and keep_monthly keeps the newest point of
 * each of the newest N buckets that have one (keep_last: of each point; UTC hours, days, weeks from
 * Monday, months), as restic's "forget" does. With none of them set every point is kept, until max_age.
 *
 * What a thoughtless rule must not do: a point that is not whole never takes the place of a whole
 * one. It fills a bucket only where that has no whole point. A held point, the newest point, and the
 * newest min_points whole ones stay whatever the rules say.
 *
 * max_age is stronger than the buckets: what is older goes, but for those last three.
 *
 * Threads: pure functions.
 */
#ifndef TM_POLICY_GFS_H
#define TM_POLICY_GFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a point stays; bits. */
enum tm_gfs_rule {
    TM_GFS_KEEP_LAST = 1,
    TM_GFS_KEEP_HOURLY = 2,
    TM_GFS_KEEP_DAILY = 4,
    TM_GFS_KEEP_WEEKLY = 8,
    TM_GFS_KEEP_MONTHLY = 16,
    TM_GFS_WITHIN_MAX_AGE = 32, /* no bucket rule is set, and it is young enough */
    TM_GFS_MIN_POINTS = 64,
    TM_GFS_NEWEST = 128,
    TM_GFS_HELD = 256,
    TM_GFS_NO_RULE = 512, /* the policy has no retention: nothing is removed */
    TM_GFS_FLUSH = 1024,  /* it is a flush's: the next ones remove it */
};
enum { TM_GFS_RULES = 11 };

struct tm_gfs_rules { /* zeroed: nothing is ever removed */
    uint32_t keep_last;
    uint32_t keep_hourly;
    uint32_t keep_daily;
    uint32_t keep_weekly;
    uint32_t keep_monthly;
    int64_t max_age_ms;  /* 0: none */
    uint32_t min_points; /* 0 counts as 1 */
};

struct tm_gfs_point {
    int64_t time_ms;  /* in: when it was captured */
    bool whole;       /* in: neither partial nor damaged */
    bool held;        /* in: a hold is in force */
    bool passing;     /* in: a flush's, which goes by itself: no rule counts it */
    bool too_old;     /* out: older than max_age */
    uint32_t kept_by; /* out: enum tm_gfs_rule; 0: it goes */
};

/* Is any rule set by which a point could go? */
bool tm_gfs_removes(const struct tm_gfs_rules *rules);

/* Decide over all points of one policy of one cluster, newest first. O(count). */
void tm_gfs_decide(const struct tm_gfs_rules *rules, int64_t now_ms, struct tm_gfs_point *points,
        size_t count);

/* "keep_last", "held", ... of one bit; static. */
const char *tm_gfs_rule_name(enum tm_gfs_rule rule);

/*
 * How far apart kept points get: what is freed between them is what topic retention and keep_data do
 * not span (docs/retention.md).
 */
struct tm_gfs_spacing {
    int64_t widest_ms; /* 0: points go by age alone, or not at all */
    int64_t from_ms;   /* ages of points that lie so far apart */
    int64_t until_ms;
};
/* `interval_ms` is that of the schedule; 0: by hand. */
struct tm_gfs_spacing tm_gfs_spacing(const struct tm_gfs_rules *rules, int64_t interval_ms);

#endif
