/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/ulid: ids that sort as they were made, and their text. */
#include "base/ulid.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct tm_id16 id_of(const char *hex)
{
    struct tm_id16 id;
    ck_assert(tm_parse_hex(hex, id.bytes, sizeof(id.bytes)));
    return id;
}

/* Worked out apart from this code: the id as one number, five bits a digit, in Python. */
/* clang-format off */
static const struct {
    const char *hex;
    const char *text;
} known[] = {
    {"00000000000000000000000000000000", "00000000000000000000000000"},
    {"00000000000000000000000000000001", "00000000000000000000000001"},
    {"ffffffffffffffffffffffffffffffff", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
    {"0123456789abcdeffedcba9876543210", "014D2PF2DBSQQZXQ5TK1V58CGG"},
    {"0156f57eb0d4a05f3ad42fe6fe44ec43", "01AVTQXC6MM1FKNN1FWVZ49V23"},
};
/* clang-format on */

START_TEST(text_is_crockfords_base32)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_id16 id = id_of(known[_i].hex);
    ck_assert_str_eq(tm_ulid_format(&id, "", name), known[_i].text);

    struct tm_id16 again;
    ck_assert(tm_ulid_parse(name, "", &again));
    ck_assert(tm_id16_eq(&again, &id));
}
END_TEST

START_TEST(name_carries_its_prefix_in_either_case_of_digits)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_id16 id = id_of(known[4].hex);
    ck_assert_str_eq(tm_ulid_format(&id, "job_", name), "job_01AVTQXC6MM1FKNN1FWVZ49V23");
    ck_assert_str_eq(tm_ulid_format(&id, "five_", name), "five_01AVTQXC6MM1FKNN1FWVZ49V23");

    struct tm_id16 again;
    ck_assert(tm_ulid_parse("job_01avtqxc6mm1fknn1fwvz49v23", "job_", &again));
    ck_assert(tm_id16_eq(&again, &id));
}
END_TEST

static const char *const wrong[] = {
        "",
        "rp_",
        "rp_01AVTQXC6MM1FKNN1FWVZ49V2",   /* 25 */
        "rp_01AVTQXC6MM1FKNN1FWVZ49V233", /* 27 */
        "job_01AVTQXC6MM1FKNN1FWVZ49V23",
        "01AVTQXC6MM1FKNN1FWVZ49V23",
        "RP_01AVTQXC6MM1FKNN1FWVZ49V23",
        "rp_81AVTQXC6MM1FKNN1FWVZ49V23", /* more than 128 bits */
        "rp_01AVTQXC6MM1FKNN1FWVZ49V2U",
        "rp_01AVTQXC6MM1FKNN1FWVZ49V2I",
        "rp_01AVTQXC6MM1FKNN1FWVZ49V2l",
        "rp_01AVTQXC6MM1FKNN1FWVZ49V2o",
        "rp_01AVTQXC6MM1FKNN1FWVZ49V2 ",
        "rp_ 1AVTQXC6MM1FKNN1FWVZ49V23",
        "rp_01AVTQXC6MM1FKNN1FWVZ49V\xc3\xa4",
};

START_TEST(other_names_are_refused_and_leave_the_id)
{
    struct tm_id16 id = id_of(known[3].hex);
    ck_assert_msg(!tm_ulid_parse(wrong[_i], "rp_", &id), "%s", wrong[_i]);
    struct tm_id16 before = id_of(known[3].hex);
    ck_assert(tm_id16_eq(&id, &before));
}
END_TEST

START_TEST(time_comes_back)
{
    static const int64_t times[] = {0, 1, 1795390200123, (INT64_C(1) << 48) - 1};
    for (size_t i = 0; i < LENGTH(times); i++) {
        struct tm_id16 id = tm_ulid_make(times[i]);
        ck_assert_int_eq(tm_ulid_time_ms(&id), times[i]);
    }
    struct tm_id16 early = tm_ulid_make(-5);
    ck_assert_int_eq(tm_ulid_time_ms(&early), 0);
    struct tm_id16 late = tm_ulid_make(INT64_MAX);
    ck_assert_int_eq(tm_ulid_time_ms(&late), (INT64_C(1) << 48) - 1);
}
END_TEST

START_TEST(one_millisecond_sorts_as_made_even_with_others_between)
{
    enum { MADE = 2000 };
    struct tm_id16 last = tm_ulid_make(1795390200000);
    for (int i = 0; i < MADE; i++) {
        (void)tm_ulid_make(1795390200001 + i % 3);
        struct tm_id16 next = tm_ulid_make(1795390200000);
        ck_assert_int_lt(memcmp(last.bytes, next.bytes, sizeof(last.bytes)), 0);
        ck_assert_int_eq(tm_ulid_time_ms(&next), 1795390200000);
        last = next;
    }
}
END_TEST

START_TEST(texts_sort_as_ids_do)
{
    char earlier[TM_ULID_NAME_MAX];
    char later[TM_ULID_NAME_MAX];
    for (int64_t ms = 1795390200000; ms < 1795390201000; ms++) {
        struct tm_id16 first = tm_ulid_make(ms);
        struct tm_id16 second = tm_ulid_make(ms + 1);
        ck_assert_str_lt(
                tm_ulid_format(&first, "rp_", earlier), tm_ulid_format(&second, "rp_", later));
    }
}
END_TEST

START_TEST(new_milliseconds_get_new_random_bits)
{
    struct tm_id16 first = tm_ulid_make(1000);
    struct tm_id16 second = tm_ulid_make(2000);
    ck_assert(memcmp(first.bytes + 6, second.bytes + 6, 10) != 0);
}
END_TEST

enum { THREADS = 4, PER_THREAD = 2000 };

static void *make_many(void *arg)
{
    struct tm_id16 *made = arg;
    for (int i = 0; i < PER_THREAD; i++) {
        made[i] = tm_ulid_make(1795390200000 + i / 100);
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tm_id16));
}

START_TEST(threads_never_make_the_same_id)
{
    static struct tm_id16 made[THREADS][PER_THREAD];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_many, made[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    struct tm_id16 *all = made[0];
    size_t count = sizeof(made) / sizeof(made[0][0]);
    qsort(all, count, sizeof(all[0]), compare_ids);
    for (size_t i = 1; i < count; i++) {
        ck_assert(!tm_id16_eq(&all[i - 1], &all[i]));
    }
}
END_TEST

START_TEST(prefix_of_more_than_five_characters_is_a_bug)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_id16 id = tm_ulid_make(0);
    (void)tm_ulid_format(&id, "sixsix", name); /* aborts */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("ulid");
    tcase_add_loop_test(tcase, text_is_crockfords_base32, 0, (int)LENGTH(known));
    tcase_add_test(tcase, name_carries_its_prefix_in_either_case_of_digits);
    tcase_add_loop_test(tcase, other_names_are_refused_and_leave_the_id, 0, (int)LENGTH(wrong));
    tcase_add_test(tcase, time_comes_back);
    tcase_add_test(tcase, one_millisecond_sorts_as_made_even_with_others_between);
    tcase_add_test(tcase, texts_sort_as_ids_do);
    tcase_add_test(tcase, new_milliseconds_get_new_random_bits);
    tcase_add_test(tcase, threads_never_make_the_same_id);
    tcase_add_test_raise_signal(tcase, prefix_of_more_than_five_characters_is_a_bug, SIGABRT);

    Suite *suite = suite_create("ulid");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
