/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/fault: armed points fail or crash at their pass; none exist in a release. */
#include "base/fault.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"

#ifdef TM_FAULT_POINTS

static void arm(const char *faults)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    ck_assert_int_eq(setenv("TM_FAULTS", faults, 1), 0);
}

/* What each of five passes of "a.b" says, as letters. */
static void assert_passes(const char *expected)
{
    char passes[6] = {0};
    for (int i = 0; i < 5; i++) {
        passes[i] = TM_FAULT_FAILS("a.b") ? 'F' : '-';
    }
    ck_assert_str_eq(passes, expected);
}

START_TEST(unarmed_points_are_passed)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    (void)unsetenv("TM_FAULTS");
    TM_FAULT("a.b");
    assert_passes("-----");
}
END_TEST

START_TEST(fail_without_number_is_each_pass)
{
    arm("other:fail,a.b:fail");
    assert_passes("FFFFF");
}
END_TEST

START_TEST(fail_with_number_is_that_pass_alone)
{
    arm("a.b:fail@3,other:crash");
    assert_passes("--F--");
}
END_TEST

START_TEST(longer_names_are_other_points)
{
    arm("a.b.c:fail,a:fail");
    assert_passes("-----");
}
END_TEST

START_TEST(crash_kills_at_its_pass)
{
    arm("a.b:crash@2");
    ck_assert(!TM_FAULT_FAILS("a.b"));
    TM_FAULT("a.b"); /* killed */
    ck_abort_msg("alive");
}
END_TEST

START_TEST(crash_without_number_is_the_first_pass)
{
    arm("a.b:crash");
    TM_FAULT("a.b"); /* killed */
    ck_abort_msg("alive");
}
END_TEST

START_TEST(misspelt_action_is_a_bug)
{
    arm("a.b:explode");
    TM_FAULT("c"); /* aborts */
}
END_TEST

START_TEST(misspelt_pass_is_a_bug)
{
    arm("a.b:fail@0");
    TM_FAULT("c"); /* aborts */
}
END_TEST

START_TEST(each_name_is_listed_once)
{
    char path[] = "/tmp/test_fault_XXXXXX";
    int made = mkstemp(path);
    ck_assert_int_ge(made, 0);
    (void)close(made);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    ck_assert_int_eq(setenv("TM_FAULTS_LIST", path, 1), 0);
    arm("never.passed:fail");
    TM_FAULT("b");
    TM_FAULT("a");
    TM_FAULT("b");
    TM_BUF_OWN struct tm_buf list = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_fs_read(path, 1000, &list, &err), TM_OK);
    (void)unlink(path);
    ck_assert_str_eq(tm_buf_text(&list), "b\na\n");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, unarmed_points_are_passed);
    tcase_add_test(tcase, fail_without_number_is_each_pass);
    tcase_add_test(tcase, fail_with_number_is_that_pass_alone);
    tcase_add_test(tcase, longer_names_are_other_points);
    tcase_add_test_raise_signal(tcase, crash_kills_at_its_pass, SIGKILL);
    tcase_add_test_raise_signal(tcase, crash_without_number_is_the_first_pass, SIGKILL);
    tcase_add_test_raise_signal(tcase, misspelt_action_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, misspelt_pass_is_a_bug, SIGABRT);
    tcase_add_test(tcase, each_name_is_listed_once);
}

#else

START_TEST(release_has_no_points)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    ck_assert_int_eq(setenv("TM_FAULTS", "a.b:fail", 1), 0);
    TM_FAULT("a.b");
    ck_assert(!TM_FAULT_FAILS("a.b"));
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, release_has_no_points);
}

#endif

int main(void)
{
    TCase *tcase = tcase_create("fault");
    add_tests(tcase);

    Suite *suite = suite_create("fault");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
