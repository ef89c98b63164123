/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/policy/schedule: by hand, cron, and every so often since the epoch. */
#include "policy/schedule.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct tm_schedule parsed(const char *text)
{
    struct tm_schedule schedule;
    struct tm_err err = {0};
    ck_assert_msg(tm_schedule_parse(text, &schedule, &err) == TM_OK, "\"%s\": %s", text, err.msg);
    return schedule;
}

START_TEST(an_empty_schedule_runs_by_hand_only)
{
    struct tm_schedule schedule = parsed("");
    int64_t next = -7;
    ck_assert_int_eq(schedule.kind, TM_SCHEDULE_BY_HAND);
    ck_assert(!tm_schedule_next(&schedule, 0, &next));
    ck_assert_int_eq(next, -7); /* unchanged */
    ck_assert_int_eq(tm_schedule_interval_ms(&schedule), 0);
}
END_TEST

START_TEST(cron_and_its_words_are_schedules)
{
    struct tm_schedule schedule = parsed("*/5 * * * *");
    int64_t next = 0;
    ck_assert_int_eq(schedule.kind, TM_SCHEDULE_CRON);
    ck_assert(tm_schedule_next(&schedule, 300000, &next));
    ck_assert_int_eq(next, 600000);
    ck_assert_int_eq(tm_schedule_interval_ms(&schedule), 300000);

    schedule = parsed("@daily");
    ck_assert(tm_schedule_next(&schedule, 1, &next));
    ck_assert_int_eq(next, 86400000);
    ck_assert_int_eq(tm_schedule_interval_ms(&schedule), 86400000);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    int64_t after_ms;
    int64_t next_ms;
} every[] = {
    {"@every 5m",     0,             300000},
    {"@every 5m",     299999,        300000},
    {"@every 5m",     300000,        600000},
    {"@every 5m",     1795300000123, 1795300200000}, /* the rhythm comes from the clock alone */
    {"@every 7m",     1795300000123, 1795300080000},
    {"@every 5m",     -1,            0},
    {"@every 5m",     -300000,       0},
    {"@every 5m",     -300001,       -300000},
    {"@every  \t30s", 29999,         30000},
    {"@every 1s",     5,             1000},
    {"@every 1500ms", 1500,          3000},
    {"@every 2w",     1,             1209600000},
};
/* clang-format on */

START_TEST(every_runs_at_multiples_since_the_epoch)
{
    struct tm_schedule schedule = parsed(every[_i].text);
    int64_t next = 0;
    ck_assert_int_eq(schedule.kind, TM_SCHEDULE_EVERY);
    ck_assert(tm_schedule_next(&schedule, every[_i].after_ms, &next));
    ck_assert_int_eq(next, every[_i].next_ms);
    ck_assert_int_eq(next % tm_schedule_interval_ms(&schedule), 0);
}
END_TEST

START_TEST(nothing_is_due_after_the_year_9999)
{
    struct tm_schedule schedule = parsed("@every 1s");
    int64_t next = -7;
    ck_assert(tm_schedule_next(&schedule, INT64_C(253402300798999), &next));
    ck_assert_int_eq(next, INT64_C(253402300799000));
    next = -7;
    ck_assert(!tm_schedule_next(&schedule, INT64_C(253402300799000), &next));
    ck_assert(!tm_schedule_next(&schedule, INT64_MAX, &next));
    ck_assert_int_eq(next, -7);
    ck_assert(tm_schedule_next(&schedule, INT64_MIN, &next));
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    const char *message;
} refused[] = {
    {"@every",       "\"@every\" needs a duration: \"@every 5m\""},
    {"@every ",      "\"@every\" needs a duration: \"@every 5m\""},
    {"@every 0",     "@every: at least 1s, got 0"},
    {"@every 999ms", "@every: at least 1s, got 999ms"},
    {"@every5m",     "unknown word \"@every5m\"; there are @hourly, @daily, @weekly, @monthly, "
                     "@yearly and \"@every DURATION\""},
    {"0 25 * * *",   "field 2 (hour) is 0..23, got 25"},
    {"5m",           "schedule has 1 field; 5 are needed: minute hour day month weekday"},
    {" ",            "schedule has 0 fields; 5 are needed: minute hour day month weekday"},
};
/* clang-format on */

START_TEST(parse_says_what_is_wrong_and_gives_nothing)
{
    struct tm_schedule schedule = {.every_ms = 77};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_schedule_parse(refused[_i].text, &schedule, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, refused[_i].message);
    ck_assert_int_eq(schedule.every_ms, 77);
}
END_TEST

START_TEST(a_bad_duration_is_reported_behind_its_word)
{
    struct tm_schedule schedule;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_schedule_parse("@every 15", &schedule, &err), TM_E_USAGE);
    ck_assert_int_eq(strncmp(err.msg, "@every: \"15\"", 12), 0);

    err = (struct tm_err){0};
    ck_assert_int_eq(tm_schedule_parse("@every 1\n5m", &schedule, &err), TM_E_USAGE);
    ck_assert_int_eq(strncmp(err.msg, "@every: \"1?5m\"", 14), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("schedule");
    tcase_add_test(tcase, an_empty_schedule_runs_by_hand_only);
    tcase_add_test(tcase, cron_and_its_words_are_schedules);
    tcase_add_loop_test(tcase, every_runs_at_multiples_since_the_epoch, 0, (int)LENGTH(every));
    tcase_add_test(tcase, nothing_is_due_after_the_year_9999);
    tcase_add_loop_test(tcase, parse_says_what_is_wrong_and_gives_nothing, 0, (int)LENGTH(refused));
    tcase_add_test(tcase, a_bad_duration_is_reported_behind_its_word);

    Suite *suite = suite_create("schedule");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
