/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of a backup run: the end of a window, bytes per second, and what an unanswering cluster must not be taken for. */
#include "job_rig.h"

enum { RECORDS = 2000 };

START_TEST(a_run_that_meets_the_end_of_its_window_is_partial_and_the_next_goes_on)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, RECORDS);
    struct tm_backup_options options = backup_options(&rig);
    options.timeout_ms = 3600 * 1000;
    options.stop_at_ms = tm_now_ms() + 30;
    tm_mock_round_trip(rig.kafka.mock, 1, 100);
    back_up_with(&rig, &options, &result);
    tm_mock_round_trip(rig.kafka.mock, 1, 0);
    ck_assert(result.partial);
    ck_assert_uint_eq(result.failures.count, 1);
    ck_assert_str_eq(result.failures.at[0].code, "not-reached");
    ck_assert_ptr_nonnull(strstr(result.failures.at[0].detail, "the policy's window is closed"));
    int64_t stored = result.messages_count;
    tm_backup_result_done(&result);
    options.stop_at_ms = tm_now_ms() - 1; /* it closed while the job waited for its turn */
    back_up_with(&rig, &options, &result);
    ck_assert(result.partial);
    ck_assert_int_eq(result.messages_count, 0);
    tm_backup_result_done(&result);
    expect_backup(&rig, RECORDS - stored);
    assert_stored(&rig, "orders", 0, 0, RECORDS);
    rig_down(&rig);
}
END_TEST

/* Several workers share the bound; what is left of it is not saved up, and a cancel is heard while they wait. */
START_TEST(a_run_takes_no_more_bytes_in_a_second_than_it_may)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "one", 1);
    rig_topic(&rig, "two", 1);
    write_made(&rig.kafka, "one", 0, 0, RECORDS);
    write_made(&rig.kafka, "two", 0, 0, RECORDS);
    struct tm_backup_options options = backup_options(&rig);
    int64_t begun = tm_mono_ns();
    options.bytes_per_second = 200000;
    back_up_with(&rig, &options, &result);
    int64_t spent_ms = (tm_mono_ns() - begun) / 1000000;
    ck_assert(!result.partial);
    ck_assert_int_eq(result.messages_count, 2 * RECORDS);
    ck_assert_int_ge(spent_ms, result.source_bytes * 1000 / 200000 - 200);
    tm_backup_result_done(&result);
    assert_stored(&rig, "one", 0, 0, RECORDS);
    assert_stored(&rig, "two", 0, 0, RECORDS);

    write_made(&rig.kafka, "one", 0, RECORDS, 2 * RECORDS);
    options.bytes_per_second = 100; /* hours */
    options.timeout_ms = 700;
    begun = tm_mono_ns();
    back_up_with(&rig, &options, &result);
    ck_assert(result.partial);
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 5000);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("limits");
    tcase_add_test(tcase, a_run_that_meets_the_end_of_its_window_is_partial_and_the_next_goes_on);
    tcase_add_test(tcase, a_run_takes_no_more_bytes_in_a_second_than_it_may);
    return run_case(tcase, "job_limits");
}
