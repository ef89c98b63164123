/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/text: what is accepted of what people write, and what is said of the rest. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { UNTOUCHED = -77 };

enum reader { I64, DURATION, SIZE };

static enum tm_code parse(enum reader reader, const char *text, int64_t *out, struct tm_err *err)
{
    if (reader == I64) {
        return tm_parse_i64(text, out, err);
    }
    return reader == DURATION ? tm_parse_duration_ms(text, out, err)
                              : tm_parse_size(text, out, err);
}

/* clang-format off */
static const struct {
    enum reader reader;
    const char *text;
    int64_t value;
} accepted[] = {
    {I64,      "0",                    0},
    {I64,      "7",                    7},
    {I64,      "-1",                   -1},
    {I64,      "9223372036854775807",  INT64_MAX},
    {I64,      "-9223372036854775808", INT64_MIN},
    {DURATION, "0",                    0},
    {DURATION, "0s",                   0},
    {DURATION, "500ms",                500},
    {DURATION, "90s",                  90000},
    {DURATION, "15m",                  900000},
    {DURATION, "12h",                  43200000},
    {DURATION, "30d",                  INT64_C(2592000000)},
    {DURATION, "2w",                   INT64_C(1209600000)},
    {DURATION, "36525d",               INT64_C(3155760000000)},
    {SIZE,     "0",                    0},
    {SIZE,     "4096",                 4096},
    {SIZE,     "512KiB",               524288},
    {SIZE,     "3MiB",                 3145728},
    {SIZE,     "10GiB",                INT64_C(10737418240)},
    {SIZE,     "2TiB",                 INT64_C(2199023255552)},
    {SIZE,     "1KB",                  1000},
    {SIZE,     "1kB",                  1000},
    {SIZE,     "5MB",                  5000000},
    {SIZE,     "1GB",                  1000000000},
    {SIZE,     "1TB",                  INT64_C(1000000000000)},
    {SIZE,     "8388607TiB",           INT64_C(8388607) << 40},
};

#define DURATION_HELP " is not a duration; accepted: a whole number and ms, s, m, h, d or w, as in " \
    "500ms, 90s, 15m, 12h, 30d, 2w"
#define SIZE_HELP " is not a size; accepted: a whole number of bytes, or one with KiB, MiB, GiB, " \
    "TiB, KB, MB, GB or TB, as in 512KiB"

static const struct {
    enum reader reader;
    const char *text;
    const char *message;
} refused[] = {
    {I64,      "",                     "\"\" is not a whole number"},
    {I64,      "-",                    "\"-\" is not a whole number"},
    {I64,      "+7",                   "\"+7\" is not a whole number"},
    {I64,      " 7",                   "\" 7\" is not a whole number"},
    {I64,      "7 ",                   "\"7 \" is not a whole number"},
    {I64,      "07",                   "\"07\" is not a whole number"},
    {I64,      "-0",                   "\"-0\" is not a whole number"},
    {I64,      "--1",                  "\"--1\" is not a whole number"},
    {I64,      "0x10",                 "\"0x10\" is not a whole number"},
    {I64,      "1e3",                  "\"1e3\" is not a whole number"},
    {I64,      "9223372036854775808",  "\"9223372036854775808\" does not fit 64 bits"},
    {I64,      "-9223372036854775809", "\"-9223372036854775809\" does not fit 64 bits"},
    {I64,      "99999999999999999999", "\"99999999999999999999\" does not fit 64 bits"},
    {DURATION, "",                     "\"\"" DURATION_HELP},
    {DURATION, "10",                   "\"10\"" DURATION_HELP},
    {DURATION, "00",                   "\"00\"" DURATION_HELP},
    {DURATION, "s",                    "\"s\"" DURATION_HELP},
    {DURATION, "-5m",                  "\"-5m\"" DURATION_HELP},
    {DURATION, "5 m",                  "\"5 m\"" DURATION_HELP},
    {DURATION, "05m",                  "\"05m\"" DURATION_HELP},
    {DURATION, "5M",                   "\"5M\"" DURATION_HELP},
    {DURATION, "1.5h",                 "\"1.5h\"" DURATION_HELP},
    {DURATION, "1h30m",                "\"1h30m\"" DURATION_HELP},
    {DURATION, "36526d",               "\"36526d\" is longer than 100 years"},
    {DURATION, "99999999999999999w",   "\"99999999999999999w\" is longer than 100 years"},
    {DURATION, "99999999999999999999ms", "\"99999999999999999999ms\" is longer than 100 years"},
    {SIZE,     "",                     "\"\"" SIZE_HELP},
    {SIZE,     "KiB",                  "\"KiB\"" SIZE_HELP},
    {SIZE,     "-1",                   "\"-1\"" SIZE_HELP},
    {SIZE,     "1.5GiB",               "\"1.5GiB\"" SIZE_HELP},
    {SIZE,     "1 GiB",                "\"1 GiB\"" SIZE_HELP},
    {SIZE,     "1gib",                 "\"1gib\"" SIZE_HELP},
    {SIZE,     "1G",                   "\"1G\"" SIZE_HELP},
    {SIZE,     "8388608TiB",           "\"8388608TiB\" does not fit 64 bits"},
};
/* clang-format on */

START_TEST(well_formed_values_are_read)
{
    int64_t value = UNTOUCHED;
    struct tm_err err = {0};
    enum tm_code code = parse(accepted[_i].reader, accepted[_i].text, &value, &err);
    ck_assert_msg(code == TM_OK, "%s: %s", accepted[_i].text, err.msg);
    ck_assert_int_eq(value, accepted[_i].value);
}
END_TEST

START_TEST(others_are_refused_by_name_and_leave_the_value)
{
    int64_t value = UNTOUCHED;
    struct tm_err err = {0};
    ck_assert_int_eq(parse(refused[_i].reader, refused[_i].text, &value, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, refused[_i].message);
    ck_assert_int_eq(value, UNTOUCHED);
}
END_TEST

/* clang-format off */
static const struct {
    int64_t ms;
    const char *text;
} durations[] = {
    {0,                     "0"},
    {1,                     "1ms"},
    {1500,                  "1500ms"},
    {60000,                 "1m"},
    {90000,                 "90s"},
    {300000,                "5m"},
    {86400000,              "1d"},
    {INT64_C(1209600000),   "2w"},
    {INT64_C(2592000000),   "30d"},
    {-300000,               "-5m"},
    {INT64_MAX,             "9223372036854775807ms"},
    {INT64_MIN,             "-9223372036854775808ms"},
};
/* clang-format on */

START_TEST(duration_is_written_in_its_largest_exact_unit)
{
    char text[24];
    ck_assert_str_eq(tm_format_duration(durations[_i].ms, text), durations[_i].text);
    int64_t again = UNTOUCHED;
    struct tm_err err = {0};
    if (durations[_i].ms >= 0 && durations[_i].ms < INT64_MAX) {
        ck_assert_int_eq(tm_parse_duration_ms(text, &again, &err), TM_OK);
        ck_assert_int_eq(again, durations[_i].ms);
    }
}
END_TEST

START_TEST(hex_reads_both_cases_and_nothing_else)
{
    uint8_t bytes[3] = {9, 9, 9};
    ck_assert(tm_parse_hex("00aBfF", bytes, 3));
    ck_assert_int_eq(bytes[0], 0);
    ck_assert_int_eq(bytes[1], 0xab);
    ck_assert_int_eq(bytes[2], 0xff);

    static const char *const wrong[] = {"", "00aBf", "00aBfF0", "00aBfF00", "00aBfg", "0x00aB",
            " 0aBfF", "00a:fF", "00a@fF", "00a`fF", "00a/fF"};
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        uint8_t kept[3] = {1, 2, 3};
        ck_assert_msg(!tm_parse_hex(wrong[i], kept, 3), "%s", wrong[i]);
        ck_assert_int_eq(kept[0], 1);
        ck_assert_int_eq(kept[2], 3);
    }
    ck_assert(tm_parse_hex("", bytes, 0));

    char text[7];
    tm_hex(bytes, 3, text);
    ck_assert_str_eq(text, "00abff");
}
END_TEST

/* clang-format off */
static const struct {
    const char *why;
    const char *hex;
    bool good;
    const char *cleaned; /* hex */
} texts[] = {
    {"nothing",                 "",             true,  ""},
    {"ASCII",                   "61627f",       true,  "61627f"},
    {"least of two bytes",      "c280",         true,  "c280"},
    {"greatest of two bytes",   "dfbf",         true,  "dfbf"},
    {"least of three bytes",    "e0a080",       true,  "e0a080"},
    {"before the surrogates",   "ed9fbf",       true,  "ed9fbf"},
    {"after the surrogates",    "ee8080",       true,  "ee8080"},
    {"greatest of three bytes", "efbfbf",       true,  "efbfbf"},
    {"least of four bytes",     "f0908080",     true,  "f0908080"},
    {"U+10FFFF",                "f48fbfbf",     true,  "f48fbfbf"},
    {"NUL",                     "610062",       false, "610062"},
    {"lone continuation",       "6180",         false, "61efbfbd"},
    {"overlong of two",         "c1bf",         false, "efbfbdefbfbd"},
    {"overlong of three",       "e09fbf",       false, "efbfbdefbfbdefbfbd"},
    {"overlong of four",        "f08fbfbf",     false, "efbfbdefbfbdefbfbdefbfbd"},
    {"high surrogate",          "eda080",       false, "efbfbdefbfbdefbfbd"},
    {"low surrogate",           "edbfbf",       false, "efbfbdefbfbdefbfbd"},
    {"beyond U+10FFFF",         "f4908080",     false, "efbfbdefbfbdefbfbdefbfbd"},
    {"F5 begins nothing",       "f5808080",     false, "efbfbdefbfbdefbfbdefbfbd"},
    {"FF begins nothing",       "ff",           false, "efbfbd"},
    {"cut short",               "61e282",       false, "61efbfbdefbfbd"},
    {"broken off",              "e28261c3a4",   false, "efbfbdefbfbd61c3a4"},
};
/* clang-format on */

START_TEST(utf8_is_checked_and_cleaned_as_rfc_3629_says)
{
    uint8_t *bytes = malloc(64);
    size_t len = strlen(texts[_i].hex) / 2;
    uint8_t *at = bytes + 64 - len; /* at the end, so that ASan sees a read beyond */
    ck_assert(tm_parse_hex(texts[_i].hex, at, len));
    ck_assert_msg(tm_is_utf8(tm_slice_of(at, len)) == texts[_i].good, "%s", texts[_i].why);

    TM_BUF_OWN struct tm_buf clean = {0};
    TM_BUF_OWN struct tm_buf hex = {0};
    tm_utf8_clean(tm_slice_of(at, len), &clean);
    tm_buf_add_hex(&hex, clean.at, clean.len);
    ck_assert_msg(strcmp(tm_buf_text(&hex), texts[_i].cleaned) == 0, "%s: %s", texts[_i].why,
            tm_buf_text(&hex));
    free(bytes);
}
END_TEST

/* clang-format off */
static const struct {
    double value;
    const char *text;
} reals[] = {
    {0,                       "0"},
    {1,                       "1"},
    {-17,                     "-17"},
    {0.1,                     "0.1"},
    {0.0025,                  "0.0025"},
    {1.0 / 3,                 "0.3333333333333333"},
    {5e-324,                  "5e-324"},
    {1.7976931348623157e308,  "1.7976931348623157e+308"},
    {1e15,                    "1000000000000000"},
    {1795390199.123,          "1795390199.123"},
    {9007199254740991,        "9007199254740991"},
    {1e300,                   "1e+300"},
};
/* clang-format on */

START_TEST(real_is_the_shortest_text_that_reads_back)
{
    char text[32];
    ck_assert_str_eq(tm_format_real(reals[_i].value, text), reals[_i].text);
    ck_assert_double_eq(strtod(text, NULL), reals[_i].value);
}
END_TEST

START_TEST(what_is_no_number_has_prometheus_name)
{
    char text[32];
    ck_assert_str_eq(tm_format_real((double)NAN, text), "NaN");
    ck_assert_str_eq(tm_format_real((double)INFINITY, text), "+Inf");
    ck_assert_str_eq(tm_format_real(-(double)INFINITY, text), "-Inf");
}
END_TEST

static const char *const names[] = {"schedule", "topics", "retention", "timezone", "vault", "to"};

/* clang-format off */
static const struct {
    const char *given;
    const char *nearest;
} misspelt[] = {
    {"shedule",     "schedule"},
    {"schedulle",   "schedule"},
    {"scheduel",    "schedule"}, /* two letters swapped count as one */
    {"tpoics",      "topics"},
    {"topic",       "topics"},
    {"retetnoin",   "retention"},
    {"retxxxion",   NULL},
    {"valut",       "vault"},
    {"zo",          "to"},
    {"zz",          NULL},
    {"tops",        NULL}, /* short: two away is another word */
    {"",            NULL},
    {"cluster",     NULL},
    {"a-name-of-more-than-sixty-three-characters-which-is-never-near-to-any", NULL},
};
/* clang-format on */

START_TEST(nearest_name_is_found_within_two_edits)
{
    const char *nearest = tm_nearest(misspelt[_i].given, names, LENGTH(names));
    ck_assert_pstr_eq(nearest, misspelt[_i].nearest);
}
END_TEST

START_TEST(nearest_prefers_the_first_of_the_closest)
{
    static const char *const close[] = {"abcdxy", "abcdex", "abcdef", "abcdeg"};
    ck_assert_str_eq(tm_nearest("abcdez", close, LENGTH(close)), "abcdex");
}
END_TEST

START_TEST(errno_has_a_text_whatever_it_is)
{
    ck_assert_str_eq(tm_errno_text(ENOENT), "No such file or directory");
    ck_assert_str_eq(tm_errno_text(99999), "unknown error");
    ck_assert_str_eq(tm_errno_text(-1), "unknown error");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("text");
    tcase_add_loop_test(tcase, well_formed_values_are_read, 0, (int)LENGTH(accepted));
    tcase_add_loop_test(
            tcase, others_are_refused_by_name_and_leave_the_value, 0, (int)LENGTH(refused));
    tcase_add_loop_test(
            tcase, duration_is_written_in_its_largest_exact_unit, 0, (int)LENGTH(durations));
    tcase_add_test(tcase, hex_reads_both_cases_and_nothing_else);
    tcase_add_loop_test(tcase, utf8_is_checked_and_cleaned_as_rfc_3629_says, 0, (int)LENGTH(texts));
    tcase_add_loop_test(tcase, real_is_the_shortest_text_that_reads_back, 0, (int)LENGTH(reals));
    tcase_add_test(tcase, what_is_no_number_has_prometheus_name);
    tcase_add_loop_test(tcase, nearest_name_is_found_within_two_edits, 0, (int)LENGTH(misspelt));
    tcase_add_test(tcase, nearest_prefers_the_first_of_the_closest);
    tcase_add_test(tcase, errno_has_a_text_whatever_it_is);

    Suite *suite = suite_create("text");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
