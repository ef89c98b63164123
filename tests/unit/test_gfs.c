/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/policy/gfs: tables, and a model that asks of each point by itself. */
#include "policy/gfs.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int64_t at(const char *time)
{
    int64_t ms = 0;
    struct tm_err err = {0};
    ck_assert_msg(tm_time_parse(time, 0, &ms, &err) == TM_OK, "%s", err.msg);
    return ms;
}

enum { HOUR = 3600 * 1000 };
#define DAY (INT64_C(24) * HOUR)

/* Points one hour apart, newest first, all whole. */
static void hourly(struct tm_gfs_point *points, size_t count, const char *newest)
{
    for (size_t i = 0; i < count; i++) {
        points[i] = (struct tm_gfs_point){.time_ms = at(newest) - (int64_t)i * HOUR, .whole = true};
    }
}

static size_t kept(const struct tm_gfs_point *points, size_t count, uint32_t rules)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += (points[i].kept_by & rules) != 0 ? 1 : 0;
    }
    return found;
}

START_TEST(without_rules_nothing_goes)
{
    struct tm_gfs_point points[1000];
    struct tm_gfs_rules rules = {0};
    hourly(points, LENGTH(points), "2026-11-22T23:30:00Z");
    ck_assert(!tm_gfs_removes(&rules));
    tm_gfs_decide(&rules, at("2036-01-01T00:00:00Z"), points, LENGTH(points));
    ck_assert_uint_eq(kept(points, LENGTH(points), TM_GFS_NO_RULE), LENGTH(points));
}
END_TEST

START_TEST(the_newest_point_of_each_bucket_stays)
{
    struct tm_gfs_point points[24 * 70];
    struct tm_gfs_rules rules = {
            .keep_last = 3, .keep_hourly = 5, .keep_daily = 4, .keep_weekly = 3, .keep_monthly = 2};
    hourly(points, LENGTH(points), "2026-11-22T23:30:00Z"); /* a Sunday */
    tm_gfs_decide(&rules, at("2026-11-22T23:40:00Z"), points, LENGTH(points));
    for (size_t i = 0; i < LENGTH(points); i++) {
        uint32_t want = 0;
        want |= i < 3 ? TM_GFS_KEEP_LAST : 0;
        want |= i < 5 ? TM_GFS_KEEP_HOURLY : 0;
        want |= i % 24 == 0 && i / 24 < 4 ? TM_GFS_KEEP_DAILY : 0;
        want |= i % 168 == 0 && i / 168 < 3 ? TM_GFS_KEEP_WEEKLY : 0;
        /* the newest of November, and 2026-10-31T23:30 */
        want |= i == 0 || i == 22 * 24 ? TM_GFS_KEEP_MONTHLY : 0;
        want |= i == 0 ? TM_GFS_MIN_POINTS | TM_GFS_NEWEST : 0;
        ck_assert_msg(
                points[i].kept_by == want, "point %zu: %u, not %u", i, points[i].kept_by, want);
        ck_assert(!points[i].too_old);
    }
}
END_TEST

START_TEST(empty_buckets_do_not_count)
{
    struct tm_gfs_point points[] = {
            {.time_ms = at("2026-11-22T10:00:00Z"), .whole = true},
            {.time_ms = at("2026-11-01T10:00:00Z"), .whole = true},
            {.time_ms = at("2026-11-01T09:00:00Z"), .whole = true},
            {.time_ms = at("2025-01-01T00:00:00Z"), .whole = true},
            {.time_ms = at("2024-01-01T00:00:00Z"), .whole = true},
    };
    struct tm_gfs_rules rules = {.keep_daily = 3};
    tm_gfs_decide(&rules, at("2026-11-22T11:00:00Z"), points, LENGTH(points));
    ck_assert_uint_ne(points[1].kept_by, 0);
    ck_assert_uint_eq(points[2].kept_by, 0);
    ck_assert_uint_eq(points[3].kept_by, TM_GFS_KEEP_DAILY);
    ck_assert_uint_eq(points[4].kept_by, 0);
}
END_TEST

START_TEST(times_before_1970_have_buckets_too)
{
    struct tm_gfs_point points[] = {
            {.time_ms = 1, .whole = true},
            {.time_ms = -1, .whole = true},
            {.time_ms = -HOUR, .whole = true},
            {.time_ms = -HOUR - 1, .whole = true},
    };
    struct tm_gfs_rules rules = {.keep_hourly = 3};
    tm_gfs_decide(&rules, 2, points, LENGTH(points));
    ck_assert_uint_ne(points[0].kept_by & TM_GFS_KEEP_HOURLY, 0);
    ck_assert_uint_ne(points[1].kept_by & TM_GFS_KEEP_HOURLY, 0);
    ck_assert_uint_eq(points[2].kept_by, 0); /* the hour of points[1] */
    ck_assert_uint_ne(points[3].kept_by & TM_GFS_KEEP_HOURLY, 0);
}
END_TEST

START_TEST(a_point_that_is_not_whole_takes_no_whole_ones_place)
{
    struct tm_gfs_point points[] = {
            {.time_ms = at("2026-11-22T23:00:00Z"), .whole = false},
            {.time_ms = at("2026-11-22T22:00:00Z"), .whole = false},
            {.time_ms = at("2026-11-22T21:00:00Z"), .whole = true},
            {.time_ms = at("2026-11-21T21:00:00Z"), .whole = false}, /* alone in its day */
            {.time_ms = at("2026-11-20T21:00:00Z"), .whole = true},
    };
    struct tm_gfs_rules rules = {.keep_last = 1, .keep_daily = 2};
    tm_gfs_decide(&rules, at("2026-11-22T23:40:00Z"), points, LENGTH(points));
    ck_assert_uint_eq(points[0].kept_by, TM_GFS_NEWEST);
    ck_assert_uint_eq(points[1].kept_by, 0);
    ck_assert_uint_eq(points[2].kept_by, TM_GFS_KEEP_LAST | TM_GFS_KEEP_DAILY | TM_GFS_MIN_POINTS);
    ck_assert_uint_eq(points[3].kept_by, TM_GFS_KEEP_DAILY);
    ck_assert_uint_eq(points[4].kept_by, 0);
}
END_TEST

START_TEST(where_no_point_is_whole_the_newest_stay)
{
    struct tm_gfs_point points[] = {{.time_ms = 3}, {.time_ms = 2}, {.time_ms = 1}};
    struct tm_gfs_rules rules = {.keep_last = 2, .min_points = 3};
    tm_gfs_decide(&rules, 10, points, LENGTH(points));
    ck_assert_uint_eq(points[0].kept_by, TM_GFS_KEEP_LAST | TM_GFS_NEWEST);
    ck_assert_uint_eq(points[1].kept_by, TM_GFS_KEEP_LAST);
    ck_assert_uint_eq(points[2].kept_by, 0);
}
END_TEST

START_TEST(max_age_is_stronger_than_the_buckets_but_not_than_what_protects)
{
    struct tm_gfs_point points[100];
    struct tm_gfs_rules rules = {.keep_hourly = 1000, .max_age_ms = 10 * HOUR, .min_points = 2};
    hourly(points, LENGTH(points), "2026-11-22T23:30:00Z");
    points[50].held = true;
    tm_gfs_decide(&rules, points[0].time_ms + HOUR, points, LENGTH(points));
    for (size_t i = 0; i < LENGTH(points); i++) {
        bool too_old = i + 1 > 10; /* exactly max_age is not too old */
        ck_assert_msg(points[i].too_old == too_old, "point %zu", i);
        ck_assert_msg((points[i].kept_by != 0) == (!too_old || i == 50), "point %zu", i);
    }
    ck_assert_uint_eq(points[50].kept_by, TM_GFS_HELD);

    /* All of them are too old: what protects stays. */
    tm_gfs_decide(&rules, at("2036-01-01T00:00:00Z"), points, LENGTH(points));
    ck_assert_uint_eq(kept(points, LENGTH(points), UINT32_MAX), 3);
    ck_assert_uint_eq(points[0].kept_by, TM_GFS_NEWEST | TM_GFS_MIN_POINTS);
    ck_assert_uint_eq(points[1].kept_by, TM_GFS_MIN_POINTS);
}
END_TEST

START_TEST(max_age_alone_keeps_all_that_is_younger)
{
    struct tm_gfs_point points[100];
    struct tm_gfs_rules rules = {.max_age_ms = 10 * HOUR};
    hourly(points, LENGTH(points), "2026-11-22T23:30:00Z");
    tm_gfs_decide(&rules, points[0].time_ms, points, LENGTH(points));
    ck_assert_uint_eq(kept(points, LENGTH(points), TM_GFS_WITHIN_MAX_AGE), 11);
    ck_assert_uint_eq(kept(points, LENGTH(points), UINT32_MAX), 11);
}
END_TEST

START_TEST(a_clock_that_was_wrong_removes_nothing_as_too_old)
{
    struct tm_gfs_point points[] = {
            {.time_ms = 5 * HOUR, .whole = true}, {.time_ms = 4 * HOUR, .whole = true}};
    struct tm_gfs_rules rules = {.max_age_ms = HOUR};
    tm_gfs_decide(&rules, 0, points, LENGTH(points)); /* both lie in the future */
    ck_assert(!points[1].too_old);
    ck_assert_uint_ne(points[1].kept_by, 0);
}
END_TEST

/* clang-format off */
static const struct {
    struct tm_gfs_rules rules;
    int64_t interval_ms;
    struct tm_gfs_spacing spacing;
} spacings[] = {
    {{0},                                  300000, {0}},
    {{.max_age_ms = 100},                  300000, {0}},
    {{.keep_last = 24},                    300000, {300000, 0, 24 * 300000}},
    {{.keep_last = 24},                    0,      {0}}, /* by hand */
    {{.keep_last = 24, .keep_hourly = 48}, 300000, {HOUR, 24 * 300000, 48 * HOUR}},
    {{.keep_last = 24, .keep_hourly = 1},  300000, {300000, 0, 24 * 300000}},
    {{.keep_monthly = 12},                 300000, {31 * DAY, 0, 12 * 31 * DAY}},
    {{.keep_hourly = 48, .keep_daily = 14, .keep_weekly = 8}, 0, {7 * DAY, 14 * DAY, 56 * DAY}},
    {{.keep_hourly = 48, .keep_daily = 14, .max_age_ms = 40 * HOUR}, 0, {HOUR, 0, 40 * HOUR}},
};
/* clang-format on */

START_TEST(how_far_apart_points_get_is_known_beforehand)
{
    struct tm_gfs_spacing got = tm_gfs_spacing(&spacings[_i].rules, spacings[_i].interval_ms);
    ck_assert_int_eq(got.widest_ms, spacings[_i].spacing.widest_ms);
    ck_assert_int_eq(got.from_ms, spacings[_i].spacing.from_ms);
    ck_assert_int_eq(got.until_ms, spacings[_i].spacing.until_ms);
}
END_TEST

/* Of a point by itself: how many newer buckets have a point, and is it the best of its own? */
static bool model_keeps(const struct tm_gfs_point *points, size_t count, size_t index,
        int64_t width_ms, uint32_t limit)
{
    int64_t own = points[index].time_ms / width_ms;
    size_t newer = 0;
    int64_t last = INT64_MAX;
    for (size_t i = 0; i < index; i++) {
        int64_t bucket = points[i].time_ms / width_ms;
        newer += bucket != own && bucket != last ? 1 : 0;
        last = bucket;
    }
    for (size_t i = 0; i < count; i++) {
        bool better = (points[i].whole && !points[index].whole) ||
                      (points[i].whole == points[index].whole && i < index);
        if (points[i].time_ms / width_ms == own && better) {
            return false;
        }
    }
    return newer < limit;
}

START_TEST(decisions_are_those_of_a_model)
{
    unsigned seed = (unsigned)_i;
    struct tm_gfs_point points[60];
    int64_t time = INT64_C(1795300000000);
    for (size_t i = 0; i < LENGTH(points); i++) {
        time -= rand_r(&seed) % (5 * HOUR);
        points[i] = (struct tm_gfs_point){.time_ms = time, .whole = rand_r(&seed) % 4 != 0};
    }
    struct tm_gfs_rules rules = {.keep_hourly = (uint32_t)(rand_r(&seed) % 20),
            .keep_daily = (uint32_t)(rand_r(&seed) % 8),
            .keep_last = 1};
    tm_gfs_decide(&rules, points[0].time_ms, points, LENGTH(points));
    for (size_t i = 0; i < LENGTH(points); i++) {
        bool hour = model_keeps(points, LENGTH(points), i, HOUR, rules.keep_hourly);
        bool day = model_keeps(points, LENGTH(points), i, 24 * HOUR, rules.keep_daily);
        ck_assert_msg(((points[i].kept_by & TM_GFS_KEEP_HOURLY) != 0) == hour, "point %zu", i);
        ck_assert_msg(((points[i].kept_by & TM_GFS_KEEP_DAILY) != 0) == day, "point %zu", i);
    }
}
END_TEST

START_TEST(rules_have_names)
{
    ck_assert_str_eq(tm_gfs_rule_name(TM_GFS_KEEP_LAST), "keep_last");
    ck_assert_str_eq(tm_gfs_rule_name(TM_GFS_KEEP_MONTHLY), "keep_monthly");
    ck_assert_str_eq(tm_gfs_rule_name(TM_GFS_HELD), "held");
    ck_assert_str_eq(tm_gfs_rule_name(TM_GFS_NO_RULE), "no_rule");
    ck_assert_str_eq(tm_gfs_rule_name(TM_GFS_FLUSH), "flush");
}
END_TEST

START_TEST(points_of_flushes_are_counted_by_no_rule)
{
    static const struct tm_gfs_rules rules = {.keep_last = 1};
    struct tm_gfs_point points[] = {
            {.time_ms = 5000, .whole = true, .passing = true},
            {.time_ms = 4000, .whole = true, .passing = true, .held = true},
            {.time_ms = 3000, .whole = true},
            {.time_ms = 2000, .whole = true, .passing = true},
            {.time_ms = 1000, .whole = true},
    };
    tm_gfs_decide(&rules, 6000, points, 5);
    ck_assert_uint_eq(points[0].kept_by, TM_GFS_FLUSH | TM_GFS_NEWEST);
    ck_assert_uint_eq(points[1].kept_by, TM_GFS_FLUSH | TM_GFS_HELD);
    ck_assert_uint_eq(points[2].kept_by, TM_GFS_KEEP_LAST | TM_GFS_MIN_POINTS);
    ck_assert_uint_eq(points[3].kept_by, TM_GFS_FLUSH);
    ck_assert_uint_eq(points[4].kept_by, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gfs");
    TCase *tcase = tcase_create("gfs");
    tcase_add_test(tcase, without_rules_nothing_goes);
    tcase_add_test(tcase, points_of_flushes_are_counted_by_no_rule);
    tcase_add_test(tcase, the_newest_point_of_each_bucket_stays);
    tcase_add_test(tcase, empty_buckets_do_not_count);
    tcase_add_test(tcase, times_before_1970_have_buckets_too);
    tcase_add_test(tcase, a_point_that_is_not_whole_takes_no_whole_ones_place);
    tcase_add_test(tcase, where_no_point_is_whole_the_newest_stay);
    tcase_add_test(tcase, max_age_is_stronger_than_the_buckets_but_not_than_what_protects);
    tcase_add_test(tcase, max_age_alone_keeps_all_that_is_younger);
    tcase_add_test(tcase, a_clock_that_was_wrong_removes_nothing_as_too_old);
    tcase_add_loop_test(
            tcase, how_far_apart_points_get_is_known_beforehand, 0, (int)LENGTH(spacings));
    tcase_add_loop_test(tcase, decisions_are_those_of_a_model, 0, 200);
    tcase_add_test(tcase, rules_have_names);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
