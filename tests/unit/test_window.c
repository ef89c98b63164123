/* SPDX-License-Identifier: Apache-2.0 */
/* Windows of the day, against a count of minutes. */
#include <check.h>
#include <stdlib.h>

#include "policy/window.h"

#define MINUTE INT64_C(60000)
#define DAY    (24 * 60 * MINUTE)

static struct tm_window parse(const char *text)
{
    struct tm_window window;
    struct tm_err err = {0};
    ck_assert_msg(tm_window_parse(text, &window, &err) == TM_OK, "%s", err.msg);
    return window;
}

START_TEST(texts_that_are_no_windows_are_refused)
{
    static const char *const wrong[] = {"22:00", "22:00-24:00", "22:60-06:00", "2:00-06:00",
            "22:00 -06:00", "22:00-06:00 ", "22.00-06:00", "-1:00-06:00", "22:00-22:00", "always",
            "22:00/06:00"};
    struct tm_window window;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_window_parse(wrong[_i], &window, &err), TM_E_USAGE);
    ck_assert_str_ne(err.msg, "");
}
END_TEST

/* Over a day and before 1970, minute by minute: open where a naive count says so, and the next turn where it is. */
START_TEST(a_window_is_open_in_its_hours_and_says_when_that_changes)
{
    static const struct {
        const char *text;
        int from;
        int until;
    } rows[] = {{"22:00-06:00", 22 * 60, 6 * 60}, {"09:30-17:45", 9 * 60 + 30, 17 * 60 + 45},
            {"00:00-23:59", 0, 23 * 60 + 59}, {"23:59-00:00", 23 * 60 + 59, 0}};
    struct tm_window window = parse(rows[_i].text);
    for (int64_t minute = -24 * 60; minute < 48 * 60; minute++) {
        int64_t at = minute * MINUTE + 17;
        int64_t of_day = ((minute % 1440) + 1440) % 1440;
        bool wraps = rows[_i].from > rows[_i].until;
        bool after = of_day >= rows[_i].from;
        bool before = of_day < rows[_i].until;
        bool open = wraps ? after || before : after && before;
        ck_assert_int_eq(tm_window_is_open(&window, at), open);
        int64_t turn = open ? tm_window_closes_ms(&window, at) : tm_window_opens_ms(&window, at);
        ck_assert_int_gt(turn, at);
        ck_assert_int_le(turn, at + DAY);
        ck_assert_int_ne(tm_window_is_open(&window, turn), open);
        ck_assert_int_eq(tm_window_is_open(&window, turn - 1), open);
        ck_assert_int_eq(
                open ? tm_window_opens_ms(&window, at) : tm_window_closes_ms(&window, at), at);
    }
}
END_TEST

START_TEST(without_a_window_it_is_always_open)
{
    struct tm_window window = parse("");
    ck_assert(tm_window_is_open(&window, 12345));
    ck_assert_int_eq(tm_window_closes_ms(&window, 12345), INT64_MAX);
    ck_assert_int_eq(tm_window_opens_ms(&window, 12345), 12345);
}
END_TEST

START_TEST(planned_runs_are_those_within_the_window)
{
    struct tm_window window = parse("22:00-06:00");
    struct tm_schedule schedule;
    struct tm_err err = {0};
    int64_t next = 0;
    ck_assert_int_eq(tm_schedule_parse("@every 5m", &schedule, &err), TM_OK);
    ck_assert(tm_window_next_run(&window, &schedule, 5 * 60 * MINUTE, &next));
    ck_assert_int_eq(next, (5 * 60 + 5) * MINUTE);
    ck_assert(tm_window_next_run(&window, &schedule, (5 * 60 + 55) * MINUTE, &next));
    ck_assert_int_eq(next, 22 * 60 * MINUTE);
    ck_assert_int_eq(tm_schedule_parse("0 4,12 * * *", &schedule, &err), TM_OK);
    ck_assert(tm_window_next_run(&window, &schedule, 4 * 60 * MINUTE, &next));
    ck_assert_int_eq(next, DAY + 4 * 60 * MINUTE);
    ck_assert_int_eq(tm_schedule_parse("0 12 * * *", &schedule, &err), TM_OK);
    ck_assert(!tm_window_next_run(&window, &schedule, 0, &next));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *tcase = tcase_create("window");
    tcase_add_loop_test(tcase, texts_that_are_no_windows_are_refused, 0, 11);
    tcase_add_loop_test(tcase, a_window_is_open_in_its_hours_and_says_when_that_changes, 0, 4);
    tcase_add_test(tcase, without_a_window_it_is_always_open);
    tcase_add_test(tcase, planned_runs_are_those_within_the_window);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
