/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/policy/select: which topics names, globs and regular expressions mean. */
#include "policy/select.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct tm_select *selection(const struct tm_select_options *options)
{
    struct tm_select *select = NULL;
    struct tm_err err = {0};
    ck_assert_msg(tm_select_new(options, &select, &err) == TM_OK, "%s", err.msg);
    return select;
}

/* clang-format off */
static const struct {
    const char *pattern;
    const char *topic;
    bool matches;
} patterns[] = {
    {"orders",             "orders",           true},
    {"orders",             "orders2",          false},
    {"orders",             "order",            false},
    {"a.b",                "aXb",              false},
    {"*",                  "orders",           true},
    {"payments.*",         "payments.eu",      true},
    {"payments.*",         "payments.",        true},
    {"payments.*",         "paymentsXeu",      false},
    {"payments.*",         "my.payments.eu",   false},
    {"*.tmp",              "a.b.tmp",          true},
    {"*.tmp",              "a.tmp.b",          false},
    {"a*b*c",              "aXXbYYc",          true},
    {"a*b*c",              "aXXcYYb",          false},
    {"orders-?",           "orders-1",         true},
    {"orders-?",           "orders-12",        false},
    {"orders-?",           "orders-",          false},
    {"shard-[0-3]",        "shard-2",          true},
    {"shard-[0-3]",        "shard-4",          false},
    {"shard-[ac]",         "shard-b",          false},
    {"shard-[!0-3]",       "shard-4",          true},
    {"shard-[!0-3]",       "shard-2",          false},
    {"shard-[^0-3]",       "shard-2",          false},
    {"[a.]x",              ".x",               true},
    {"{orders,payments}",  "payments",         true},
    {"{orders,payments}",  "payments2",        false},
    {"{a,b*}.{eu,us}",     "bcd.us",           true},
    {"{a,b*}.{eu,us}",     "bcd.uk",           false},
    {"a{,.tmp}",           "a",                true},
    {"a{,.tmp}",           "a.tmp",            true},
    {"a{,.tmp}",           "a.tm",             false},
    {"{a,{b,c}d}",         "cd",               true},
    {"{a,{b,c}d}",         "ad",               false},
    {"/orders-v[0-9]+/",   "orders-v12",       true},
    {"/^orders-v[0-9]+$/", "orders-v12",       true},
    {"/orders-v[0-9]+/",   "orders-v",         false},
    {"/orders-v[0-9]+/",   "my-orders-v1",     false}, /* anchored without being asked */
    {"/orders-v[0-9]+/",   "orders-v1-old",    false},
    {"/a|b/",              "b",                true},
    {"/a|b/",              "ab",               false}, /* both branches are anchored */
    {"/a|ab|abc/",         "abc",              true},  /* nor does the first branch win */
    {"/a)|b/",             "axx",              false}, /* a stray bracket opens no way out */
    {"/a)|b/",             "b",                true},
    {"/x{2,3}/",           "xxx",              true},
    {"/x{2,3}/",           "xxxx",             false},
    {"/a\\.b/",            "a.b",              true},
    {"/a\\.b/",            "axb",              false},
    {"/[[:digit:]]{1}/",   "7",                true},
    {"/ORDERS/",           "orders",           false},
};
/* clang-format on */

START_TEST(a_pattern_matches_the_whole_name)
{
    struct tm_select_options options = {.include = &patterns[_i].pattern, .include_count = 1};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    ck_assert_msg(tm_select_matches(select, patterns[_i].topic) == patterns[_i].matches, "%s: %s",
            patterns[_i].pattern, patterns[_i].topic);
}
END_TEST

/* clang-format off */
static const struct {
    const char *topic;
    bool matches;
} mixed[] = {
    {"payments.eu",       true},
    {"payments.eu.tmp",   false},
    {"payments.secret",   false},
    {"orders-v1",         true},
    {"orders-v2",         false},
    {"audit",             true},
    {"audit2",            false},
    {"never",             false},
    {"",                  false},
};
/* clang-format on */

START_TEST(exclude_wins_over_include)
{
    const char *include[] = {"payments.*", "/^orders-v[0-9]+$/", "never", "audit"};
    const char *exclude[] = {"*.tmp", "payments.secret", "/.*-v2/", "never"};
    struct tm_select_options options = {include, 4, exclude, 4, false};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    for (size_t i = 0; i < LENGTH(mixed); i++) {
        ck_assert_msg(tm_select_matches(select, mixed[i].topic) == mixed[i].matches, "%s",
                mixed[i].topic);
    }
}
END_TEST

START_TEST(internal_topics_need_their_plain_names_or_the_option)
{
    const char *include[] = {"*", "/_.*/", "__named"};
    struct tm_select_options options = {.include = include, .include_count = 3};
    TM_OWN(tm_select_free) struct tm_select *closed = selection(&options);
    ck_assert(!tm_select_matches(closed, "__consumer_offsets"));
    ck_assert(!tm_select_matches(closed, "_schemas"));
    ck_assert(tm_select_matches(closed, "__named"));
    ck_assert(tm_select_matches(closed, "_schemas2"));
    ck_assert(tm_select_matches(closed, "_one"));
    ck_assert(!tm_select_entry_matches(closed, 0, "_schemas"));

    options.internal_topics = true;
    TM_OWN(tm_select_free) struct tm_select *open = selection(&options);
    ck_assert(tm_select_matches(open, "__consumer_offsets"));
    ck_assert(tm_select_matches(open, "_schemas"));
    ck_assert(tm_select_entry_matches(open, 0, "_schemas"));

    const char *schemas = "_schemas";
    options = (struct tm_select_options){.include = &schemas, .include_count = 1};
    TM_OWN(tm_select_free) struct tm_select *named = selection(&options);
    ck_assert(tm_select_matches(named, "_schemas"));
}
END_TEST

START_TEST(an_exclude_pattern_reaches_internal_topics)
{
    const char *include = "__a";
    const char *exclude = "__*";
    struct tm_select_options options = {&include, 1, &exclude, 1, false};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    ck_assert(!tm_select_matches(select, "__a"));
}
END_TEST

START_TEST(entries_are_told_apart_in_the_order_given)
{
    const char *include[] = {"zebra", "a*", "/b/", "apple"};
    const char *exclude[] = {"apple"};
    struct tm_select_options options = {include, 4, exclude, 1, false};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    ck_assert_uint_eq(tm_select_count(select), 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(tm_select_entry(select, i), include[i]);
        ck_assert_int_eq(tm_select_entry_is_name(select, i), i == 0 || i == 3);
    }
    ck_assert(tm_select_entry_matches(select, 0, "zebra"));
    ck_assert(!tm_select_entry_matches(select, 0, "apple"));
    ck_assert(tm_select_entry_matches(
            select, 1, "apple")); /* excluded, but not for want of a match */
    ck_assert(tm_select_entry_matches(select, 2, "b"));
    ck_assert(tm_select_entry_matches(select, 3, "apple"));
    ck_assert(!tm_select_matches(select, "apple"));
}
END_TEST

START_TEST(nothing_included_selects_nothing)
{
    struct tm_select_options options = {0};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    ck_assert_uint_eq(tm_select_count(select), 0);
    ck_assert(!tm_select_matches(select, "orders"));
}
END_TEST

/* clang-format off */
static const struct {
    const char *pattern;
    const char *message;
} refused[] = {
    {"",            "a topic pattern is empty"},
    {"a[",          "topic pattern \"a[\": \"[\" is not closed"},
    {"a[]",         "topic pattern \"a[]\": \"[]\" matches nothing"},
    {"a[!]",        "topic pattern \"a[!]\": \"[]\" matches nothing"},
    {"a[z-b]",      "topic pattern \"a[z-b]\": invalid range end"},
    {"a[$]",        "topic pattern \"a[$]\": a character in \"[]\" cannot be in a topic's name"},
    {"a[[:alpha:]]", "topic pattern \"a[[:alpha:]]\": a character in \"[]\" cannot be in a topic's name"},
    {"{a,b",        "topic pattern \"{a,b\": \"{\" is not closed"},
    {"a}b",         "topic pattern \"a}b\": \"}\" without \"{\""},
    {"a,b",         "topic pattern \"a,b\": \",\" outside of \"{}\"; write a list of topics"},
    {"^orders.*$",  "topic pattern \"^orders.*$\": a character that cannot be in a topic's name; a "
                    "regular expression is written between slashes: \"/^a.*$/\""},
    {"a b",         "topic pattern \"a b\": a character that cannot be in a topic's name; a "
                    "regular expression is written between slashes: \"/^a.*$/\""},
    {"a\n\xc3\xa4", "topic pattern \"a???\": a character that cannot be in a topic's name; a "
                    "regular expression is written between slashes: \"/^a.*$/\""},
    {"/",           "topic pattern \"/\": the closing \"/\" is missing"},
    {"/abc",        "topic pattern \"/abc\": the closing \"/\" is missing"},
    {"//",          "topic pattern \"//\": the regular expression is empty"},
    {"/a(/",        "topic pattern \"/a(/\": unmatched ( or \\("},
    {"/a)|(b/",     "topic pattern \"/a)|(b/\": unmatched ( or \\("},
    {"/[a/",        "topic pattern \"/[a/\": unmatched [, [^, [:, [., or [="},
    {"/(a)\\1/",    "topic pattern \"/(a)\\1/\": back-references are not supported"},
    {"/a{256}/",    "topic pattern \"/a{256}/\": the counts in {} multiply to more than 255"},
    {"/(a{16}){1,16}/", "topic pattern \"/(a{16}){1,16}/\": the counts in {} multiply to more than 255"},
    {"/a{99999999999999999999999}/",
     "topic pattern \"/a{99999999999999999999999}/\": the counts in {} multiply to more than 255"},
};
/* clang-format on */

START_TEST(a_bad_pattern_is_named_and_gives_nothing)
{
    const char *patterns_given[] = {"fine", refused[_i].pattern};
    struct tm_select *select = NULL;
    struct tm_err err = {0};
    struct tm_select_options options = {.include = patterns_given, .include_count = 2};
    ck_assert_int_eq(tm_select_new(&options, &select, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, refused[_i].message);
    ck_assert_ptr_null(select);

    err = (struct tm_err){0};
    options = (struct tm_select_options){.exclude = patterns_given, .exclude_count = 2};
    ck_assert_int_eq(tm_select_new(&options, &select, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, refused[_i].message);
    ck_assert_ptr_null(select);
}
END_TEST

START_TEST(patterns_have_a_bounded_length)
{
    char text[TM_SELECT_PATTERN_MAX + 2];
    const char *pattern = text;
    struct tm_select *select = NULL;
    struct tm_err err = {0};
    struct tm_select_options options = {.include = &pattern, .include_count = 1};
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(tm_select_new(&options, &select, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg,
            "topic pattern "
            "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "...\": longer than 512 bytes");

    text[TM_SELECT_PATTERN_MAX] = '\0';
    TM_OWN(tm_select_free) struct tm_select *longest = selection(&options);
    ck_assert(tm_select_matches(longest, text));
}
END_TEST

START_TEST(lists_have_a_bounded_length)
{
    enum { TOO_MANY = TM_SELECT_ENTRIES_MAX + 1 };
    const char **entries = tm_xalloc(TOO_MANY, sizeof(*entries));
    struct tm_select *select = NULL;
    struct tm_err err = {0};
    for (size_t i = 0; i < TOO_MANY; i++) {
        entries[i] = "a";
    }
    struct tm_select_options options = {.include = entries, .include_count = TOO_MANY};
    ck_assert_int_eq(tm_select_new(&options, &select, &err), TM_E_LIMIT);
    ck_assert_str_eq(err.msg, "10001 topic patterns are more than 10000");
    free(entries);
}
END_TEST

START_TEST(a_glob_of_many_stars_is_still_quick)
{
    const char *glob = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab";
    char topic[250];
    struct tm_select_options options = {.include = &glob, .include_count = 1};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    memset(topic, 'a', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    ck_assert(
            !tm_select_matches(select, topic)); /* a matcher that tries back would take for ever */
}
END_TEST

START_TEST(asking_for_an_entry_that_is_not_there_is_a_bug)
{
    struct tm_select_options options = {0};
    TM_OWN(tm_select_free) struct tm_select *select = selection(&options);
    (void)tm_select_entry(select, 0); /* aborts */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("select");
    tcase_add_loop_test(tcase, a_pattern_matches_the_whole_name, 0, (int)LENGTH(patterns));
    tcase_add_test(tcase, exclude_wins_over_include);
    tcase_add_test(tcase, internal_topics_need_their_plain_names_or_the_option);
    tcase_add_test(tcase, an_exclude_pattern_reaches_internal_topics);
    tcase_add_test(tcase, entries_are_told_apart_in_the_order_given);
    tcase_add_test(tcase, nothing_included_selects_nothing);
    tcase_add_loop_test(tcase, a_bad_pattern_is_named_and_gives_nothing, 0, (int)LENGTH(refused));
    tcase_add_test(tcase, patterns_have_a_bounded_length);
    tcase_add_test(tcase, lists_have_a_bounded_length);
    tcase_add_test(tcase, a_glob_of_many_stars_is_still_quick);
    tcase_add_test_raise_signal(tcase, asking_for_an_entry_that_is_not_there_is_a_bug, SIGABRT);

    Suite *suite = suite_create("select");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
