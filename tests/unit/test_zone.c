/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones against the C library, and schedules in them against a count of minutes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "policy/schedule.h"

#define MINUTE INT64_C(60000)
#define DAY    (24 * 60 * MINUTE)

static const char *const zones[] = {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
        "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia", "America/St_Johns", "America/Santiago",
        "Etc/GMT+12"};
enum { ZONES = sizeof(zones) / sizeof(zones[0]) };

/* 1 January of these: clocks of Apia left out a day in 2011; behind 2037 only the footer's rule is left. */
static const int64_t years[] = {
        INT64_C(1293840000000), INT64_C(1767225600000), INT64_C(2366841600000)};

static const struct tm_zone *load(const char *name, struct tm_arena *arena)
{
    const struct tm_zone *zone = NULL;
    struct tm_err err = {0};
    ck_assert_msg(tm_zone_load(name, arena, &zone, &err) == TM_OK, "%s: %s", name, err.msg);
    ck_assert_ptr_nonnull(zone);
    ck_assert_int_eq(setenv("TZ", name, 1), 0);
    tzset();
    return zone;
}

static int64_t offset_by_libc(int64_t utc_ms)
{
    time_t seconds = (time_t)(utc_ms / 1000);
    struct tm parts;
    ck_assert_ptr_nonnull(localtime_r(&seconds, &parts));
    return (int64_t)parts.tm_gmtoff * 1000;
}

START_TEST(offsets_are_those_of_the_c_library)
{
    struct tm_arena arena = {0};
    const struct tm_zone *zone = load(zones[_i], &arena);
    for (int64_t at = INT64_C(-2500000000000); at < INT64_C(4500000000000);
            at += INT64_C(4001) * 60000) {
        ck_assert_int_eq(tm_zone_offset_ms(zone, at), offset_by_libc(at));
    }
    for (int64_t at = years[1]; at < years[1] + 3 * 366 * DAY;) { /* around each change */
        int64_t change = tm_zone_next_change_ms(zone, at);
        int64_t end = change < at + 400 * DAY ? change : at + 400 * DAY;
        for (int64_t t = at; t < end; t += 6 * 60 * MINUTE) {
            ck_assert_int_eq(offset_by_libc(t), offset_by_libc(at));
        }
        if (end == change) {
            ck_assert_int_eq(offset_by_libc(change - 1000), offset_by_libc(at));
            ck_assert_int_ne(offset_by_libc(change), offset_by_libc(at));
        }
        at = end;
    }
    tm_arena_done(&arena);
}
END_TEST

static bool matches(const struct tm_cron *cron, int64_t wall_ms)
{
    int64_t next = 0;
    return tm_cron_next(cron, wall_ms - 1, &next) && next == wall_ms;
}

/* The naive rule: by real minutes. What is not for every hour comes once, and is made up for where clocks go forward. */
static bool is_due(const struct tm_schedule *schedule, int64_t at)
{
    bool hourly = schedule->cron.hours == 0xffffff;
    int64_t wall = at + offset_by_libc(at);
    int64_t before = at - MINUTE + offset_by_libc(at - MINUTE);
    bool due = matches(&schedule->cron, wall);
    for (int64_t skipped = before + MINUTE; !hourly && !due && skipped < wall; skipped += MINUTE) {
        due = matches(&schedule->cron, skipped);
    }
    for (int64_t earlier = at - 3 * 60 * MINUTE; !hourly && due && earlier < at;
            earlier += MINUTE) {
        due = earlier + offset_by_libc(earlier) != wall;
    }
    return due;
}

static const char *const texts[] = {"30 2 * * *", "0 0 * * *", "*/20 * * * *", "15 1-3 * * *",
        "5,55 0,1,2 * * sun", "0 3 31 * *", "59 23 * * *", "45 */2 * * *"};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static void follow(
        const struct tm_schedule *schedule, const char *what, int64_t from, int64_t until)
{
    int64_t next = 0;
    ck_assert(tm_schedule_next(schedule, from - MINUTE, &next));
    for (int64_t at = from; at < until; at += MINUTE) {
        bool due = is_due(schedule, at);
        ck_assert_msg(due == (next == at), "%s at %lld: due %d, next %lld", what, (long long)at,
                due, (long long)next);
        if (due) {
            ck_assert(tm_schedule_next(schedule, at, &next));
        }
    }
}

START_TEST(runs_come_as_a_count_of_minutes_says)
{
    struct tm_arena arena = {0};
    const struct tm_zone *zone = load(zones[_i % ZONES], &arena);
    int64_t year = years[_i / ZONES];
    for (size_t i = 0; i < TEXTS; i++) {
        struct tm_schedule schedule;
        struct tm_err err = {0};
        ck_assert_int_eq(tm_schedule_parse(texts[i], &schedule, &err), TM_OK);
        schedule.zone = zone;
        follow(&schedule, texts[i], year, year + 2 * DAY);
        int64_t change = tm_zone_next_change_ms(zone, year);
        for (; change < year + 366 * DAY; change = tm_zone_next_change_ms(zone, change)) {
            follow(&schedule, texts[i], change - DAY, change + DAY);
        }
    }
    tm_arena_done(&arena);
}
END_TEST

START_TEST(names_that_are_none_are_refused)
{
    static const char *const wrong[] = {"Europe/Berlim", "../../../etc/passwd", "/etc/localtime",
            "Europe//Berlin", "Europe/", "Mars/Phobos", "Europe/Berlin ", "posixrules/x",
            "tzdata.zi", "0123456789012345678901234567890123456789012345678901234567890123"};
    struct tm_arena arena = {0};
    const struct tm_zone *zone = NULL;
    struct tm_err err = {0};
    enum tm_code code = tm_zone_load(wrong[_i], &arena, &zone, &err);
    ck_assert(code == TM_E_USAGE || code == TM_E_CORRUPT);
    ck_assert_str_ne(err.msg, "");
    ck_assert_ptr_null(zone);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_damaged_file_is_refused_and_nothing_worse)
{
    TM_BUF_OWN struct tm_buf file = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_fs_read("/usr/share/zoneinfo/Europe/Berlin", 1 << 20, &file, &err), TM_OK);
    for (size_t len = 0; len < file.len; len++) {
        struct tm_arena arena = {0};
        const struct tm_zone *zone = NULL;
        struct tm_slice cut = {file.at, len};
        ck_assert_int_eq(tm_zone_parse(cut, &arena, &zone, &err), TM_E_CORRUPT);
        err = (struct tm_err){0};
        tm_arena_done(&arena);
    }
    for (size_t at = 0; at < file.len; at++) {
        struct tm_arena arena = {0};
        const struct tm_zone *zone = NULL;
        file.at[at] ^= 0xff;
        if (tm_zone_parse(tm_buf_slice(&file), &arena, &zone, &err) == TM_OK) {
            int64_t change = tm_zone_next_change_ms(zone, years[1]);
            ck_assert_int_gt(change, years[1]);
            (void)tm_zone_instant_ms(zone, years[1]);
        }
        err = (struct tm_err){0};
        file.at[at] ^= 0xff;
        tm_arena_done(&arena);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zone");
    TCase *tests = tcase_create("zone");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, offsets_are_those_of_the_c_library, 0, ZONES);
    tcase_add_loop_test(tests, runs_come_as_a_count_of_minutes_says, 0, ZONES * 3);
    tcase_add_loop_test(tests, names_that_are_none_are_refused, 0, 10);
    tcase_add_test(tests, a_damaged_file_is_refused_and_nothing_worse);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
