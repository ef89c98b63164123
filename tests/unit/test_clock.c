/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/clock: times as people write them, and clocks that go forward. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t now = 1795390200000; /* 2026-11-22T23:30:00Z */

/* By `date -u -d TEXT +%s`. */
/* clang-format off */
static const struct {
    int64_t ms;
    const char *text;
} times[] = {
    {0,                "1970-01-01T00:00:00.000Z"},
    {-1,               "1969-12-31T23:59:59.999Z"},
    {1795390200000,    "2026-11-22T23:30:00.000Z"},
    {951782400000,     "2000-02-29T00:00:00.000Z"},
    {4107542399999,    "2100-02-28T23:59:59.999Z"},
    {4107542400000,    "2100-03-01T00:00:00.000Z"},
    {-62167219200000,  "0000-01-01T00:00:00.000Z"},
    {253402300799999,  "9999-12-31T23:59:59.999Z"},
    {-62167219200001,  "-62167219200001"},
    {253402300800000,  "253402300800000"},
    {INT64_MAX,        "9223372036854775807"},
    {INT64_MIN,        "-9223372036854775808"},
};
/* clang-format on */

START_TEST(time_is_written_in_utc_with_milliseconds)
{
    char text[TM_TIME_TEXT_MAX];
    ck_assert_str_eq(tm_time_format(times[_i].ms, text), times[_i].text);
}
END_TEST

/* gmtime_r() is the other opinion: every 31 hours through four centuries. */
START_TEST(calendar_agrees_with_libc)
{
    for (int64_t s = INT64_C(-6000000000); s < INT64_C(7000000000); s += INT64_C(111600)) {
        struct tm parts;
        time_t time = (time_t)s;
        ck_assert_ptr_nonnull(gmtime_r(&time, &parts));
        char expected[64];
        ck_assert_uint_gt(
                strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000Z", &parts), 0);
        char text[TM_TIME_TEXT_MAX];
        int64_t again = 0;
        struct tm_err err = {0};
        if (strcmp(tm_time_format(s * 1000, text), expected) != 0 ||
                tm_time_parse(text, now, &again, &err) != TM_OK || again != s * 1000) {
            ck_abort_msg("%s is not %s, or reads as %lld", text, expected, (long long)again);
        }
    }
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    int64_t ms;
} accepted[] = {
    {"2026-11-22T23:30:00Z",             1795390200000},
    {"2026-11-22T23:30:00.5Z",           1795390200500},
    {"2026-11-22T23:30:00.123456789Z",   1795390200123},
    {"2026-11-22T23:30:00.9999Z",        1795390200999},
    {"2026-11-22t23:30:00z",             1795390200000},
    {"2026-11-22 23:30:00+00:00",        1795390200000},
    {"2026-11-23T00:30:00+01:00",        1795390200000},
    {"2026-11-22T18:00:00-05:30",        1795390200000},
    {"2026-11-22T23:30:00-00:00",        1795390200000},
    {"2000-02-29T00:00:00Z",             951782400000},
    {"1969-12-31T23:59:59.999Z",         -1},
    {"1795390200000",                    1795390200000},
    {"now",                              1795390200000},
    {"-2h",                              1795390200000 - 7200000},
    {"now-2h",                           1795390200000 - 7200000},
    {"2h ago",                           1795390200000 - 7200000},
    {"0 ago",                            1795390200000},
    {"now-90s",                          1795390200000 - 90000},
    {"30d ago",                          1795390200000 - INT64_C(2592000000)},
};

static const char *const refused[] = {
    "",
    "yesterday",
    "2026-11-22",
    "2026-11-22T23:30:00",       /* which zone? */
    "2026-11-22T23:30Z",
    "2026-11-22T23:30:00.Z",
    "2026-11-22T23:30:00Z ",
    " 2026-11-22T23:30:00Z",
    "2026-11-22T23:30:60Z",
    "2026-11-22T23:60:00Z",
    "2026-11-22T24:00:00Z",
    "2026-11-31T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "26-01-01T00:00:00Z",
    "2026-1-1T00:00:00Z",
    "2026-11-22T23:30:00+0100",
    "2026-11-22T23:30:00+01",
    "2026-11-22T23:30:00+24:00",
    "2026-11-22T23:30:00+01:60",
    "179539020000",              /* seconds and milliseconds must not be mixed up */
    "1795390200",
    "17953902000000",
    "179539020000x",
    "-1795390200000",
    "2h",
    "+2h",
    "now+2h",
    "now-",
    "-",
    " ago",
    "ago",
    "2h  ago",
    "-2h ago",
    "now -2h",
    "-99999999999999999999999999999999999999h",
    "Now",
};
/* clang-format on */

START_TEST(accepted_forms_are_read)
{
    int64_t ms = 0;
    struct tm_err err = {0};
    enum tm_code code = tm_time_parse(accepted[_i].text, now, &ms, &err);
    ck_assert_msg(code == TM_OK, "%s: %s", accepted[_i].text, err.msg);
    ck_assert_msg(ms == accepted[_i].ms, "%s: %lld", accepted[_i].text, (long long)ms);
}
END_TEST

START_TEST(others_are_refused_with_what_is_accepted)
{
    int64_t ms = -77;
    struct tm_err err = {0};
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected),
            "\"%s\" is not a time; accepted: 2026-11-22T23:30:00Z (RFC 3339 with an offset), epoch "
            "milliseconds (13 digits), -2h, now-2h, \"2h ago\", now",
            refused[_i]);
    ck_assert_int_eq(tm_time_parse(refused[_i], now, &ms, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_int_eq(ms, -77);
}
END_TEST

START_TEST(clocks_go_forward)
{
    int64_t wall = tm_now_ms();
    int64_t mono = tm_mono_ns();
    int64_t boot = tm_boot_ns();
    ck_assert_int_gt(wall, INT64_C(1700000000000)); /* milliseconds, not another unit */
    tm_sleep_ms(20);
    ck_assert_int_ge(tm_mono_ns() - mono, 20000000);
    ck_assert_int_ge(tm_boot_ns() - boot, 20000000);
    ck_assert_int_lt(tm_mono_ns() - mono, INT64_C(10000000000));
    tm_sleep_ms(0);
    tm_sleep_ms(-5);
}
END_TEST

START_TEST(time_ahead_is_normal_and_capped)
{
    struct timespec soon = tm_mono_after_ms(1500);
    int64_t ahead_ns = soon.tv_sec * INT64_C(1000000000) + soon.tv_nsec - tm_mono_ns();
    ck_assert_int_le(ahead_ns, 1500000000);
    ck_assert_int_gt(ahead_ns, 0);
    struct timespec never = tm_mono_after_ms(INT64_MAX);
    ck_assert_int_ge(never.tv_nsec, 0);
    ck_assert_int_lt(never.tv_nsec, 1000000000);
    ck_assert_int_gt(never.tv_sec, soon.tv_sec + INT64_C(3000000000));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("clock");
    tcase_add_loop_test(tcase, time_is_written_in_utc_with_milliseconds, 0, (int)LENGTH(times));
    tcase_add_test(tcase, calendar_agrees_with_libc);
    tcase_add_loop_test(tcase, accepted_forms_are_read, 0, (int)LENGTH(accepted));
    tcase_add_loop_test(tcase, others_are_refused_with_what_is_accepted, 0, (int)LENGTH(refused));
    tcase_add_test(tcase, clocks_go_forward);
    tcase_add_test(tcase, time_ahead_is_normal_and_capped);

    Suite *suite = suite_create("clock");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
