/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/policy/cron: what five fields mean, when they match next, and what is refused. */
#include "policy/cron.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/slice.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t minute_ms = 60 * 1000;
static const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;

static struct tm_cron parsed(const char *text)
{
    struct tm_cron cron;
    struct tm_err err = {0};
    ck_assert_msg(tm_cron_parse(text, &cron, &err) == TM_OK, "\"%s\": %s", text, err.msg);
    return cron;
}

static int64_t at(const char *text)
{
    int64_t ms = 0;
    struct tm_err err = {0};
    ck_assert_msg(tm_time_parse(text, 0, &ms, &err) == TM_OK, "%s", err.msg);
    return ms;
}

/* 22 November 2026 is a Sunday. */
/* clang-format off */
static const struct {
    const char *text;
    const char *after;
    const char *next;
} nexts[] = {
    {"* * * * *",           "2026-11-22T10:00:00Z",     "2026-11-22T10:01:00Z"},
    {"* * * * *",           "2026-11-22T10:00:59.999Z", "2026-11-22T10:01:00Z"},
    {"* * * * *",           "1969-12-31T23:58:59.999Z", "1969-12-31T23:59:00Z"},
    {"0 4 * * *",           "2026-11-22T03:59:59.999Z", "2026-11-22T04:00:00Z"},
    {"0 4 * * *",           "2026-11-22T04:00:00Z",     "2026-11-23T04:00:00Z"},
    {"*/15 * * * *",        "2026-11-22T10:46:00Z",     "2026-11-22T11:00:00Z"},
    {"7/20 * * * *",        "2026-11-22T10:28:00Z",     "2026-11-22T10:47:00Z"},
    {"7/20 * * * *",        "2026-11-22T10:47:00Z",     "2026-11-22T11:07:00Z"},
    {"05 08 * * *",         "2026-11-22T10:00:00Z",     "2026-11-23T08:05:00Z"},
    {"0 9-17/4 * * *",      "2026-11-22T13:00:00Z",     "2026-11-22T17:00:00Z"},
    {"0 22-23,0-6 * * *",   "2026-11-22T06:30:00Z",     "2026-11-22T22:00:00Z"},
    {"59 23 31 12 *",       "2026-12-31T23:59:00Z",     "2027-12-31T23:59:00Z"},
    {"0 0 31 * *",          "2026-11-22T00:00:00Z",     "2026-12-31T00:00:00Z"},
    {"0 0 30 2,4 *",        "2026-11-22T00:00:00Z",     "2027-04-30T00:00:00Z"},
    {"0 0 29 2 *",          "2026-11-22T00:00:00Z",     "2028-02-29T00:00:00Z"},
    {"0 0 29 2 *",          "2096-02-29T00:00:00Z",     "2104-02-29T00:00:00Z"},
    {"0 0 29 2 */7",        "2026-11-22T00:00:00Z",     "2032-02-29T00:00:00Z"},
    {"0 0 29 2 */7",        "2088-02-29T00:00:00Z",     "2128-02-29T00:00:00Z"},
    {"0 0 * JAN,jul *",     "2026-11-22T00:00:00Z",     "2027-01-01T00:00:00Z"},
    {"0 0 * feb-mar mon",   "2026-11-22T00:00:00Z",     "2027-02-01T00:00:00Z"},
    {"0 4 * * 0",           "2026-11-22T04:00:00Z",     "2026-11-29T04:00:00Z"},
    {"0 4 * * 7",           "2026-11-22T03:00:00Z",     "2026-11-22T04:00:00Z"},
    {"0 4 * * fri-sun",     "2026-11-21T04:00:00Z",     "2026-11-22T04:00:00Z"},
    {"0 4 * * fri-sun",     "2026-11-22T04:00:00Z",     "2026-11-27T04:00:00Z"},
    {"0 4 * * 5-7",         "2026-11-22T04:00:00Z",     "2026-11-27T04:00:00Z"},
    {"0 4 * * 7-1",         "2026-11-23T04:00:00Z",     "2026-11-29T04:00:00Z"},
    {"0 4 * * 7-7",         "2026-11-22T04:00:00Z",     "2026-11-29T04:00:00Z"},
    {"0 4 * * 0-7",         "2026-11-22T04:00:00Z",     "2026-11-23T04:00:00Z"},
    {"0 0 13 * fri",        "2026-11-22T00:00:00Z",     "2026-11-27T00:00:00Z"}, /* either */
    {"0 0 13 * fri",        "2026-12-11T00:00:00Z",     "2026-12-13T00:00:00Z"},
    {"0 0 */2 * mon",       "2026-11-22T00:00:00Z",     "2026-11-23T00:00:00Z"}, /* both */
    {"0 0 */2 * mon",       "2026-11-23T00:00:00Z",     "2026-12-07T00:00:00Z"},
    {"0 0 1-7 * */7",       "2026-11-22T00:00:00Z",     "2026-12-06T00:00:00Z"},
    {"\t0  4 *\t* * ",      "2026-11-22T00:00:00Z",     "2026-11-22T04:00:00Z"},
    {"@hourly",             "2026-11-22T10:00:00Z",     "2026-11-22T11:00:00Z"},
    {"@daily",              "2026-11-22T10:00:00Z",     "2026-11-23T00:00:00Z"},
    {"@weekly",             "2026-11-22T10:00:00Z",     "2026-11-29T00:00:00Z"},
    {"@monthly",            "2026-11-22T10:00:00Z",     "2026-12-01T00:00:00Z"},
    {"@yearly",             "2026-11-22T10:00:00Z",     "2027-01-01T00:00:00Z"},
};
/* clang-format on */

START_TEST(next_is_the_first_match_strictly_after)
{
    struct tm_cron cron = parsed(nexts[_i].text);
    int64_t next = -1;
    char got[TM_TIME_TEXT_MAX];
    ck_assert(tm_cron_next(&cron, at(nexts[_i].after), &next));
    ck_assert_msg(next == at(nexts[_i].next), "\"%s\" after %s: got %s", nexts[_i].text,
            nexts[_i].after, tm_time_format(next, got));
}
END_TEST

START_TEST(next_ends_with_the_year_9999)
{
    struct tm_cron cron = parsed("59 23 31 12 *");
    int64_t next = -1;
    ck_assert(tm_cron_next(&cron, at("9998-12-31T23:59:00Z"), &next));
    ck_assert_int_eq(next, at("9999-12-31T23:59:00Z"));
    next = -1;
    ck_assert(!tm_cron_next(&cron, at("9999-12-31T23:59:00Z"), &next));
    ck_assert(!tm_cron_next(&cron, INT64_MAX, &next));
    ck_assert_int_eq(next, -1); /* unchanged */
    ck_assert(tm_cron_next(&cron, INT64_MIN, &next));
}
END_TEST

/*
 * A model that cannot be wrong: the values of each field as flags, and every minute looked at in turn,
 * with the C library's calendar.
 */
struct model {
    bool values[5][64];
    bool star[5];
    char text[160];
};

/* A number in [0, bound), from a generator that gives every machine the same numbers. */
static unsigned next_below(uint32_t *state, unsigned bound)
{
    *state = *state * 1664525U + 1013904223U; /* Numerical Recipes' LCG; the high bits are good */
    return (*state >> 16) % bound;
}

static const unsigned lows[] = {0, 0, 1, 1, 0};
static const unsigned highs[] = {59, 23, 31, 12, 6};

static size_t add_text(char *to, size_t room, const char *form, unsigned a, unsigned b, unsigned c)
{
    int wrote = 0;
    if (strcmp(form, "*") == 0) {
        wrote = snprintf(to, room, "*");
    } else if (strcmp(form, "*/c") == 0) {
        wrote = snprintf(to, room, "*/%u", c);
    } else if (strcmp(form, "a") == 0) {
        wrote = snprintf(to, room, "%u", a);
    } else {
        wrote = snprintf(to, room, "%u-%u/%u", a, b, c);
    }
    ck_assert(wrote > 0 && (size_t)wrote < room);
    return (size_t)wrote;
}

static void make_field(struct model *model, size_t field, uint32_t *random)
{
    static const char *const forms[] = {"*", "*", "a", "a", "*/c", "a-b/c"};
    unsigned low = lows[field];
    unsigned high = highs[field];
    unsigned items = 1 + next_below(random, 3);
    size_t len = strlen(model->text);
    for (unsigned item = 0; item < items; item++) {
        const char *form = forms[next_below(random, (unsigned)LENGTH(forms))];
        unsigned a = low + next_below(random, high - low + 1);
        unsigned b = a + next_below(random, high - a + 1);
        unsigned c = 1 + next_below(random, high);
        model->star[field] = model->star[field] || (item == 0 && form[0] == '*');
        if (item > 0) {
            model->text[len++] = ',';
        }
        len += add_text(model->text + len, sizeof(model->text) - len, form, a, b, c);
        unsigned first = form[0] == '*' ? low : a;
        unsigned last = form[0] == '*' ? high : strcmp(form, "a") == 0 ? a : b;
        unsigned step = strchr(form, '/') != NULL ? c : 1;
        for (unsigned value = first; value <= last; value += step) {
            model->values[field][value] = true;
        }
    }
    model->text[len] = field < 4 ? ' ' : '\0';
    model->text[len + 1] = '\0';
}

static bool model_has_day(const struct model *model, int64_t day)
{
    time_t seconds = (time_t)(day * (day_ms / 1000));
    struct tm when;
    ck_assert_ptr_nonnull(gmtime_r(&seconds, &when));
    bool date = model->values[2][when.tm_mday];
    bool weekday = model->values[4][when.tm_wday];
    bool both = model->star[2] || model->star[4];
    return model->values[3][when.tm_mon + 1] && (both ? date && weekday : date || weekday);
}

START_TEST(next_agrees_with_looking_at_every_minute)
{
    enum { DAYS = 1500, MINUTES_PER_DAY = 24 * 60 };
    uint32_t random = (uint32_t)_i;
    struct model model = {.text = ""};
    for (size_t field = 0; field < 5; field++) {
        make_field(&model, field, &random);
    }
    struct tm_cron cron;
    struct tm_err err = {0};
    bool happens = tm_cron_parse(model.text, &cron, &err) == TM_OK;
    ck_assert_msg(happens || strstr(err.msg, "never happens") != NULL, "%s", err.msg);

    /* Anywhere in 1990..2108, leap years and 2100 among them. */
    int64_t first_day = 7305 + next_below(&random, 42000);
    int64_t expected = first_day * day_ms - 1;
    char text[TM_TIME_TEXT_MAX];
    ck_assert(!happens || tm_cron_next(&cron, expected, &expected));
    for (int64_t day = first_day; day < first_day + DAYS; day++) {
        bool has_day = model_has_day(&model, day);
        for (int minute = 0; has_day && minute < MINUTES_PER_DAY; minute++) {
            if (!model.values[0][minute % 60] || !model.values[1][minute / 60]) {
                continue;
            }
            int64_t now = day * day_ms + minute * minute_ms;
            if (!happens || now != expected || !tm_cron_next(&cron, now, &expected)) {
                ck_abort_msg("\"%s\": %s is skipped", model.text, tm_time_format(now, text));
            }
        }
    }
    ck_assert_msg(!happens || expected >= (first_day + DAYS) * day_ms, "\"%s\": %s does not match",
            model.text, tm_time_format(expected, text));
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    int64_t minutes;
} gaps[] = {
    {"* * * * *",              1},
    {"*/5 * * * *",            5},
    {"*/7 * * * *",            7}, /* and 4 at the end of the hour */
    {"0,50 * * * *",           50},
    {"30 4 * * *",             24 * 60},
    {"0 4,6 * * *",            22 * 60},
    {"0 9-17 * * mon-fri",     (2 * 24 + 16) * 60},
    {"0 4 * * 0",              7 * 24 * 60},
    {"@monthly",               31 * 24 * 60},
    {"0 0 31 * *",             61 * 24 * 60}, /* from August to October */
    {"@yearly",                366 * 24 * 60},
    {"0 0 29 2 *",             (8 * 365 + 1) * 24 * 60},
    {"0 0 29 2 */7",           (40 * 365 + 9) * 24 * 60},
};
/* clang-format on */

START_TEST(longest_gap_is_that_of_the_whole_calendar)
{
    struct tm_cron cron = parsed(gaps[_i].text);
    ck_assert_msg(tm_cron_longest_gap_ms(&cron) == gaps[_i].minutes * minute_ms, "\"%s\": %d min",
            gaps[_i].text, (int)(tm_cron_longest_gap_ms(&cron) / minute_ms));
}
END_TEST

START_TEST(longest_gap_agrees_with_stepping_through_400_years)
{
    uint32_t random = (uint32_t)_i + 1000;
    struct model model = {.text = ""};
    struct tm_cron cron;
    struct tm_err err = {0};
    model.text[0] = (char)('0' + _i % 10);
    memcpy(model.text + 1, " 3,9 ", 6);
    for (size_t field = 2; field < 5; field++) {
        make_field(&model, field, &random);
    }
    if (tm_cron_parse(model.text, &cron, &err) != TM_OK) {
        return;
    }
    int64_t first = 0;
    ck_assert(tm_cron_next(&cron, at("2000-03-01T00:00:00Z"), &first));
    int64_t before = first;
    int64_t longest = 0;
    while (before < first + 146097 * day_ms) {
        int64_t next = 0;
        if (!tm_cron_next(&cron, before, &next)) {
            ck_abort_msg("\"%s\" ends", model.text);
        }
        longest = next - before > longest ? next - before : longest;
        before = next;
    }
    ck_assert_msg(tm_cron_longest_gap_ms(&cron) == longest, "\"%s\"", model.text);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    const char *message;
} refused[] = {
    {"0 25 * * *",      "field 2 (hour) is 0..23, got 25"},
    {"60 * * * *",      "field 1 (minute) is 0..59, got 60"},
    {"* * 0 * *",       "field 3 (day) is 1..31, got 0"},
    {"* * 32 * *",      "field 3 (day) is 1..31, got 32"},
    {"* * * 13 *",      "field 4 (month) is 1..12 or jan..dec, got 13"},
    {"* * * * 8",       "field 5 (weekday) is 0..7 or sun..sat, got 8"},
    {"* * * * mondey",  "field 5 (weekday) is 0..7 or sun..sat, got \"mondey\""},
    {"* * * july *",    "field 4 (month) is 1..12 or jan..dec, got \"july\""},
    {"jan * * * *",     "field 1 (minute) is 0..59, got \"jan\""},
    {"* * L * *",       "field 3 (day) is 1..31, got \"L\""},
    {"* * 15W * *",     "field 3 (day) is 1..31, got \"15W\""},
    {"* * ? * *",       "field 3 (day) is 1..31, got \"?\""},
    {"* * * * 5#2",     "field 5 (weekday) is 0..7 or sun..sat, got \"5#2\""},
    {"1,,2 * * * *",    "field 1 (minute) is 0..59, got \"\""},
    {"1, * * * *",      "field 1 (minute) is 0..59, got \"\""},
    {"1- * * * *",      "field 1 (minute) is 0..59, got \"1-\""},
    {"-1 * * * *",      "field 1 (minute) is 0..59, got \"-1\""},
    {"1-2-3 * * * *",   "field 1 (minute) is 0..59, got \"1-2-3\""},
    {"*-2 * * * *",     "field 1 (minute) is 0..59, got \"*-2\""},
    {"** * * * *",      "field 1 (minute) is 0..59, got \"**\""},
    {"*/ * * * *",      "field 1 (minute) is 0..59, got \"*/\""},
    {"*/-1 * * * *",    "field 1 (minute) is 0..59, got \"*/-1\""},
    {"*/2/3 * * * *",   "field 1 (minute) is 0..59, got \"*/2/3\""},
    {"0 9-25 * * *",    "field 2 (hour) is 0..23, got 25"},
    {"*/0 * * * *",     "field 1 (minute): a step is 1..59, got 0"},
    {"*/90 * * * *",    "field 1 (minute): a step is 1..59, got 90"},
    {"0 22-6 * * *",    "field 2 (hour): range 22-6 runs backwards; write 22-23,0-6"},
    {"0 0 * * fri-mon", "field 5 (weekday): range 5-1 runs backwards; write 5-6,0-1"},
    {"0 99999999999999999999 * * *", "field 2 (hour) is 0..23, got 99999999999999999999"},
    {"0 4294967296 * * *",           "field 2 (hour) is 0..23, got 4294967296"},
    {"0 0 30 2 *",      "\"0 0 30 2 *\" never happens"},
    {"0 0 31 4,6,9,11 *", "\"0 0 31 4,6,9,11 *\" never happens"},
    {"0 0 30 2 */2",    "\"0 0 30 2 */2\" never happens"},
    {"0 0 * * * *",     "schedule has 6 fields; seconds and years (Quartz) are not supported, "
                        "use 5 fields or \"@every 30s\""},
    {"0 0 * * * ? *",   "schedule has 7 fields; seconds and years (Quartz) are not supported, "
                        "use 5 fields or \"@every 30s\""},
    {"0 0 * *",         "schedule has 4 fields; 5 are needed: minute hour day month weekday"},
    {"5m",              "schedule has 1 field; 5 are needed: minute hour day month weekday"},
    {"",                "schedule has 0 fields; 5 are needed: minute hour day month weekday"},
    {" ",               "schedule has 0 fields; 5 are needed: minute hour day month weekday"},
    {"@dayly",          "unknown word \"@dayly\"; did you mean \"@daily\"?"},
    {"@reboot",         "unknown word \"@reboot\"; there are @hourly, @daily, @weekly, @monthly, "
                        "@yearly and \"@every DURATION\""},
    {"\x01\xc3\xa4 * * * *", "field 1 (minute) is 0..59, got \"???\""},
    {"0 0 * *\n*",      "schedule has 4 fields; 5 are needed: minute hour day month weekday"},
};
/* clang-format on */

START_TEST(parse_says_what_is_wrong_and_gives_nothing)
{
    struct tm_cron cron = {.minutes = 77};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_cron_parse(refused[_i].text, &cron, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, refused[_i].message);
    ck_assert_uint_eq(cron.minutes, 77);
}
END_TEST

START_TEST(text_longer_than_256_bytes_is_refused)
{
    char text[300];
    struct tm_cron cron;
    struct tm_err err = {0};
    memset(text, ' ', sizeof(text));
    memcpy(text, "* * * * *", 9);
    text[256] = '\0';
    ck_assert_int_eq(tm_cron_parse(text, &cron, &err), TM_OK);
    text[256] = ' ';
    text[257] = '\0';
    ck_assert_int_eq(tm_cron_parse(text, &cron, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, "schedule is longer than 256 bytes");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cron");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, next_is_the_first_match_strictly_after, 0, (int)LENGTH(nexts));
    tcase_add_test(tcase, next_ends_with_the_year_9999);
    tcase_add_loop_test(tcase, next_agrees_with_looking_at_every_minute, 0, 100);
    tcase_add_loop_test(tcase, longest_gap_is_that_of_the_whole_calendar, 0, (int)LENGTH(gaps));
    tcase_add_loop_test(tcase, longest_gap_agrees_with_stepping_through_400_years, 0, 20);
    tcase_add_loop_test(tcase, parse_says_what_is_wrong_and_gives_nothing, 0, (int)LENGTH(refused));
    tcase_add_test(tcase, text_longer_than_256_bytes_is_refused);

    Suite *suite = suite_create("cron");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
