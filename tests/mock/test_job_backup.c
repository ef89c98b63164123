/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backup runs against the mock cluster: what a point says is what is stored, however a run was cut
 * short, and the next run goes on without a hole or a record twice.
 */
#include "job_rig.h"

enum { MANY = 25000 }; /* records that take a reader a while; the mock keeps 5 MiB a partition */

/* Points -------------------------------------------------------------------------------------- */

START_TEST(a_run_stores_only_what_is_new)
{
    struct job_rig rig;
    struct tm_backup_result first;
    struct tm_backup_result second;
    struct tm_backup_result third;
    rig_up(&rig);
    rig_topic(&rig, "orders", 3);
    write_made(&rig.kafka, "orders", 0, 0, 100);
    back_up(&rig, &first);

    back_up(&rig, &second);
    ck_assert(second.unchanged);
    ck_assert_int_eq(second.stored_bytes, 0);
    ck_assert(tm_id16_eq(&second.point, &first.point));

    write_made(&rig.kafka, "orders", 0, 100, 101);
    back_up(&rig, &third);
    ck_assert(!third.unchanged);
    ck_assert_int_eq(third.messages_count, 1);
    ck_assert(!tm_id16_eq(&third.point, &first.point));
    assert_stored(&rig, "orders", 0, 0, 101);
    assert_stored(&rig, "orders", 1, 0, 0);
    tm_backup_result_done(&first);
    tm_backup_result_done(&second);
    tm_backup_result_done(&third);
    rig_down(&rig);
}
END_TEST

START_TEST(a_cluster_without_topics_has_a_point_that_says_so)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    back_up(&rig, &result);
    ck_assert(result.has_point);
    ck_assert(!result.unchanged);
    ck_assert(!result.partial);
    ck_assert(has_note(&result.warnings, "pattern-empty"));
    ck_assert_int_eq(result.topics_count, 0);
    tm_backup_result_done(&result);
    back_up(&rig, &result);
    ck_assert(result.unchanged);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

START_TEST(a_topic_begun_at_its_end_names_what_it_skipped)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    struct tm_row_gap *gaps = NULL;
    size_t count = 0;
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 2);
    write_made(&rig.kafka, "orders", 0, 0, 100);
    struct tm_backup_options options = backup_options(&rig);
    options.from = TM_FROM_LATEST;
    back_up_with(&rig, &options, &result);
    ck_assert_int_eq(result.messages_count, 0);
    ck_assert_int_eq(result.gaps_count, 0); /* nothing was lost: it was not wanted */

    struct tm_point point = point_of(&rig, &result.point, &arena);
    const struct tm_row_part *row = row_of(&point, "orders", 0);
    ck_assert_int_eq(row->start, 0);
    ck_assert_int_eq(row->end, 100);
    ASSERT_OK(
            tm_catalog_gaps(rig.catalog, row->stream, 0, 0, 100, &arena, &gaps, &count, &err), err);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(gaps[0].from, 0);
    ck_assert_int_eq(gaps[0].length, 100);
    ck_assert_int_eq(gaps[0].reason, TM_GAP_SKIPPED);
    tm_backup_result_done(&result);

    /* What comes later is stored, of partitions too that were empty then. */
    write_made(&rig.kafka, "orders", 0, 100, 150);
    write_made(&rig.kafka, "orders", 1, 0, 10);
    back_up_with(&rig, &options, &result);
    ck_assert_int_eq(result.messages_count, 60);
    tm_backup_result_done(&result);
    assert_stored(&rig, "orders", 0, 100, 150);
    assert_stored(&rig, "orders", 1, 0, 10);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

START_TEST(a_note_makes_a_point_of_nothing_new)
{
    static const char *const tags[] = {"b", "a", "b"};
    struct job_rig rig;
    struct tm_backup_result first;
    struct tm_backup_result second;
    struct tm_arena arena = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    back_up(&rig, &first);

    struct tm_backup_options options = backup_options(&rig);
    options.note = "before the upgrade";
    options.tags = tags; /* one of them twice */
    options.tag_count = LENGTH(tags);
    back_up_with(&rig, &options, &second);
    ck_assert(!second.unchanged);
    ck_assert(!tm_id16_eq(&second.point, &first.point));
    struct tm_point point = point_of(&rig, &second.point, &arena);
    ck_assert(tm_slice_is(point.mark.note, "before the upgrade"));
    ck_assert_uint_eq(point.mark.tag_count, 2);
    ck_assert(tm_slice_is(point.mark.tags[0], "a"));
    ck_assert(tm_slice_is(point.mark.tags[1], "b"));
    ck_assert_int_eq(row_of(&point, "orders", 0)->end, 10);
    /* The run did not ask for configurations, so it knows no more of them than the one before. */
    ck_assert_uint_ne(point.row.flags & TM_POINT_CONFIGS_UNKNOWN, 0);
    tm_backup_result_done(&first);
    tm_backup_result_done(&second);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

/* Subsets ------------------------------------------------------------------------------------- */

START_TEST(a_subset_leaves_the_other_topics_as_they_are)
{
    static const char *const only[] = {"orders"};
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    rig_topic(&rig, "payments", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    write_made(&rig.kafka, "payments", 0, 0, 20);
    expect_backup(&rig, 30);
    write_made(&rig.kafka, "orders", 0, 10, 11);
    write_made(&rig.kafka, "payments", 0, 20, 22);

    struct tm_backup_options options = backup_options(&rig);
    options.only = only;
    options.only_count = 1;
    back_up_with(&rig, &options, &result);
    ck_assert_int_eq(result.messages_count, 1);
    struct tm_point point = point_of(&rig, &result.point, &arena);
    ck_assert_int_eq(row_of(&point, "orders", 0)->end, 11);
    ck_assert_int_eq(row_of(&point, "payments", 0)->end, 20);
    tm_backup_result_done(&result);
    expect_backup(&rig, 2);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

START_TEST(a_topic_asked_for_that_is_not_there_is_a_failure)
{
    static const char *const only[] = {"orders", "order"};
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    struct tm_backup_options options = backup_options(&rig);
    options.only = only;
    options.only_count = LENGTH(only);
    back_up_with(&rig, &options, &result);
    ck_assert(result.partial);
    ck_assert_uint_eq(result.failures.count, 1);
    ck_assert_str_eq(result.failures.at[0].code, "topic-missing");
    ck_assert_str_eq(result.failures.at[0].topic, "order");
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

/* A partition that cannot be read makes a point that says so, until it was read. */
START_TEST(a_subset_does_not_hide_what_failed_before)
{
    static const char *const only[] = {"orders"};
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    rig_topic(&rig, "payments", 1);
    write_made(&rig.kafka, "payments", 0, 0, 20);
    tm_mock_request_errors(rig.kafka.mock, API_FETCH, TOPIC_AUTHORIZATION_FAILED, 1);
    back_up(&rig, &result);
    ck_assert(result.partial);
    struct tm_point point = point_of(&rig, &result.point, &arena);
    ck_assert_int_eq(row_of(&point, "payments", 0)->status, TM_PART_FAILED);
    ck_assert_int_eq(row_of(&point, "payments", 0)->end, 0);
    tm_backup_result_done(&result);

    struct tm_backup_options options = backup_options(&rig);
    options.only = only;
    options.only_count = 1;
    options.note = "make a point";
    back_up_with(&rig, &options, &result);
    ck_assert(!result.partial); /* the run did what it was asked to do */
    point = point_of(&rig, &result.point, &arena);
    ck_assert_int_eq(row_of(&point, "payments", 0)->status, TM_PART_FAILED);
    ck_assert_uint_ne(point.row.flags & TM_POINT_PARTIAL, 0); /* the point is what it is */
    tm_backup_result_done(&result);

    back_up(&rig, &result);
    point = point_of(&rig, &result.point, &arena);
    ck_assert_uint_eq(point.row.flags & TM_POINT_PARTIAL, 0);
    assert_stored(&rig, "payments", 0, 0, 20);
    tm_backup_result_done(&result);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

/* Runs that are cut short --------------------------------------------------------------------- */

START_TEST(a_cancelled_run_keeps_what_it_has)
{
    struct job_rig rig;
    struct canceller canceller;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, MANY);
    cancel_begin(&canceller, &rig, 500);
    back_up(&rig, &result);
    cancel_end(&canceller);
    ck_assert(result.partial);
    ck_assert(has_note(&result.failures, "not-reached"));
    ck_assert_msg(result.messages_count < MANY, "%" PRId64 " records were read all the same",
            result.messages_count);
    struct tm_point point = point_of(&rig, &result.point, &arena);
    ck_assert_uint_ne(point.row.flags & TM_POINT_PARTIAL, 0);
    const struct tm_row_part *row = row_of(&point, "orders", 0);
    ck_assert_int_eq(row->status, TM_PART_NOT_REACHED);
    ck_assert_int_lt(row->end, MANY);
    assert_stored(&rig, "orders", 0, 0, row->end);

    expect_backup(&rig, MANY - result.messages_count);
    assert_stored(&rig, "orders", 0, 0, MANY);
    tm_backup_result_done(&result);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

START_TEST(a_run_cancelled_before_it_read_makes_no_point)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_err err;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    atomic_store(&rig.cancel, true);
    struct tm_backup_options options = backup_options(&rig);
    ck_assert_int_eq(try_back_up(&rig, &options, &result, &err), TM_E_CANCELLED);
    ck_assert(!result.has_point);
    tm_backup_result_done(&result);
    atomic_store(&rig.cancel, false);
    expect_backup(&rig, 10);
    rig_down(&rig);
}
END_TEST

/* The broker is slow when the fence asks for the stored record: a run that stops does not go past. */
START_TEST(a_run_cancelled_at_its_fence_ends)
{
    struct job_rig rig;
    struct canceller canceller;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    expect_backup(&rig, 10);
    write_made(&rig.kafka, "orders", 0, 10, 20);
    tm_mock_request_errors(rig.kafka.mock, API_FETCH, NOT_LEADER, 1000);
    struct tm_backup_options options = backup_options(&rig);
    options.timeout_ms = 1500;
    cancel_begin(&canceller, &rig, INT64_MAX);
    back_up_with(&rig, &options, &result);
    cancel_end(&canceller);
    ck_assert(result.partial);
    ck_assert_int_eq(result.messages_count, 0);
    assert_stored(&rig, "orders", 0, 0, 10);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

START_TEST(a_run_over_its_time_ends_partial_and_the_next_one_goes_on)
{
    struct job_rig rig;
    struct tm_backup_result result;
    int64_t stored = 0;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, MANY);
    struct tm_backup_options options = backup_options(&rig);
    options.timeout_ms = 30;
    tm_mock_round_trip(rig.kafka.mock, 1, 100); /* so that not even one fetch is back in time */
    back_up_with(&rig, &options, &result);
    tm_mock_round_trip(rig.kafka.mock, 1, 0);
    ck_assert(result.partial);
    ck_assert(has_note(&result.failures, "not-reached"));
    stored = result.messages_count;
    ck_assert_int_lt(stored, MANY);
    assert_stored(&rig, "orders", 0, 0, stored);
    tm_backup_result_done(&result);
    expect_backup(&rig, MANY - stored);
    assert_stored(&rig, "orders", 0, 0, MANY);
    rig_down(&rig);
}
END_TEST

/* Takes the broker away once so many records have passed. */
static void *broker_away(void *arg)
{
    struct job_rig *rig = arg;
    while (atomic_load(&rig->progress.done_messages) < 500) {
        tm_sleep_ms(1);
    }
    tm_mock_broker_down(rig->kafka.mock, 1, true);
    return NULL;
}

START_TEST(a_broker_that_goes_away_leaves_what_was_read)
{
    struct job_rig rig;
    pthread_t thread;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "orders", 2);
    write_made(&rig.kafka, "orders", 0, 0, MANY);
    write_made(&rig.kafka, "orders", 1, 0, MANY);
    ck_assert_int_eq(pthread_create(&thread, NULL, broker_away, &rig), 0);
    struct tm_backup_options options = backup_options(&rig);
    options.stall_ms = 500;
    back_up_with(&rig, &options, &result);
    pthread_join(thread, NULL);
    ck_assert(result.partial);
    ck_assert(has_note(&result.failures, "read"));
    ck_assert_int_ge(result.messages_count, 500);
    ck_assert_int_lt(result.messages_count, 2 * MANY);

    tm_mock_broker_down(rig.kafka.mock, 1, false);
    expect_backup(&rig, 2 * MANY - result.messages_count);
    assert_stored(&rig, "orders", 0, 0, MANY);
    assert_stored(&rig, "orders", 1, 0, MANY);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

START_TEST(passing_errors_of_fetches_are_waited_out)
{
    static const int errors[] = {NOT_LEADER};
    struct job_rig rig;
    rig_up(&rig);
    rig_topic(&rig, "orders", 2);
    for (size_t i = 0; i < LENGTH(errors); i++) {
        int64_t from = (int64_t)i * 100;
        write_made(&rig.kafka, "orders", 0, from, from + 100);
        tm_mock_request_errors(rig.kafka.mock, API_FETCH, errors[i], 2);
        expect_backup(&rig, 100);
    }
    assert_stored(&rig, "orders", 0, 0, 100 * (int64_t)LENGTH(errors));
    rig_down(&rig);
}
END_TEST

START_TEST(a_down_cluster_is_a_failure_and_commits_nothing)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_err err;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    expect_backup(&rig, 10);
    tm_mock_broker_down(rig.kafka.mock, 1, true);
    struct tm_backup_options options = backup_options(&rig);
    options.request_ms = 1000;
    enum tm_code code = try_back_up(&rig, &options, &result, &err);
    ck_assert_msg(code == TM_E_KAFKA || code == TM_E_TIMEOUT, "%s", tm_code_name(code));
    ck_assert(!result.has_point);
    tm_backup_result_done(&result);
    tm_mock_broker_down(rig.kafka.mock, 1, false);
    expect_backup(&rig, 0);
    rig_down(&rig);
}
END_TEST

/* Much in little ------------------------------------------------------------------------------ */

START_TEST(many_partitions_fit_into_little_memory)
{
    enum { TOPICS = 4, PARTITIONS = 40, RECORDS = 60 };
    static const char *const names[TOPICS] = {"a", "b", "c", "d"};
    struct job_rig rig;
    struct tm_progress *progress;
    rig_up(&rig);
    progress = &rig.progress;
    rig.env.memory_bytes = 16 << 10;
    for (size_t t = 0; t < TOPICS; t++) {
        rig_topic(&rig, names[t], PARTITIONS);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            write_made(&rig.kafka, names[t], p, 0, p % RECORDS);
        }
    }
    int64_t total = 0;
    for (int64_t p = 0; p < PARTITIONS; p++) {
        total += p % RECORDS;
    }
    expect_backup(&rig, TOPICS * total);
    for (size_t t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p += 13) {
            assert_stored(&rig, names[t], p, 0, p % RECORDS);
        }
    }
    ck_assert_int_eq(atomic_load(&progress->done_messages), TOPICS * total);
    ck_assert_int_eq(atomic_load(&progress->total_messages), TOPICS * total);
    ck_assert_int_eq(atomic_load(&progress->parts_waiting), 0);
    ck_assert_int_eq(atomic_load(&progress->parts_running), 0);
    ck_assert_int_eq(atomic_load(&progress->parts_failed), 0);
    ck_assert_int_eq(atomic_load(&progress->parts_done), TOPICS * (PARTITIONS - 1));
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("backup");
    tcase_add_test(tcase, a_run_stores_only_what_is_new);
    tcase_add_test(tcase, a_cluster_without_topics_has_a_point_that_says_so);
    tcase_add_test(tcase, a_topic_begun_at_its_end_names_what_it_skipped);
    tcase_add_test(tcase, a_note_makes_a_point_of_nothing_new);
    tcase_add_test(tcase, a_subset_leaves_the_other_topics_as_they_are);
    tcase_add_test(tcase, a_topic_asked_for_that_is_not_there_is_a_failure);
    tcase_add_test(tcase, a_subset_does_not_hide_what_failed_before);
    tcase_add_test(tcase, a_cancelled_run_keeps_what_it_has);
    tcase_add_test(tcase, a_run_cancelled_before_it_read_makes_no_point);
    tcase_add_test(tcase, a_run_cancelled_at_its_fence_ends);
    tcase_add_test(tcase, a_run_over_its_time_ends_partial_and_the_next_one_goes_on);
    tcase_add_test(tcase, a_broker_that_goes_away_leaves_what_was_read);
    tcase_add_test(tcase, passing_errors_of_fetches_are_waited_out);
    tcase_add_test(tcase, a_down_cluster_is_a_failure_and_commits_nothing);
    tcase_add_test(tcase, many_partitions_fit_into_little_memory);
    return run_case(tcase, "job_backup");
}
