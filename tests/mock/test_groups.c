/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/kafka/groups against a mock cluster: coordinators that are not ready, groups that are refused. (It answers no
 * question for all partitions of a group: that offsets are read back as they were set, a real broker has to show.)
 */
#include "fixture.h"
#include "kafka/groups.h"

enum { API_OFFSET_COMMIT = 8, API_OFFSET_FETCH = 9 };
enum { NOT_COORDINATOR = 16, UNKNOWN_MEMBER_ID = 25, GROUP_AUTHORIZATION_FAILED = 30 };

static struct tm_kafka *open_groups(struct fixture *fixture)
{
    struct tm_kafka_options options = {
            .cluster = "mock", .bootstrap = tm_mock_bootstrap(fixture->mock), .groups = true};
    struct tm_kafka *kafka = NULL;
    ASSERT_OK(tm_kafka_open(&options, &kafka, &fixture->err), fixture->err);
    return kafka;
}

static struct tm_group_offset row(const char *topic, int32_t partition, int64_t offset)
{
    return (struct tm_group_offset){
            .topic = topic, .partition = partition, .offset = offset, .metadata = tm_slice_str("")};
}

/* The coordinator answers, at once, that it is another broker's: librdkafka crashes on a handle without a group. */
START_TEST(a_coordinator_that_has_moved_is_no_crash)
{
    struct fixture fixture = fixture_up(1);
    struct tm_arena arena = {0};
    struct tm_kafka *kafka = open_groups(&fixture);
    tm_mock_request_errors(fixture.mock, API_OFFSET_FETCH, NOT_COORDINATOR, 2);
    struct tm_group group = {.name = "billing"};
    ASSERT_OK(tm_kafka_group_offsets(kafka, &group, 1, NULL, NULL, 20000, &arena, &fixture.err),
            fixture.err);
    ck_assert_msg(group.code == TM_OK, "%s", group.error);
    tm_arena_done(&arena);
    tm_kafka_close(kafka);
    fixture_down(&fixture);
}
END_TEST

static void set_some(struct fixture *fixture, struct tm_arena *arena)
{
    ASSERT_OK(tm_mock_topic(fixture->mock, "orders", 3, &fixture->err), fixture->err);
    ASSERT_OK(tm_mock_topic(fixture->mock, "bills", 1, &fixture->err), fixture->err);
    struct tm_group_offset rows[] = {
            row("orders", 2, 7), row("orders", 0, INT64_C(1) << 40), row("bills", 0, 3)};
    rows[0].metadata = tm_slice_of("a\0b \xff", 5);
    ASSERT_OK(tm_kafka_set_group_offsets(
                      fixture->kafka, "billing", rows, LENGTH(rows), 20000, arena, &fixture->err),
            fixture->err);
}

START_TEST(a_coordinator_on_its_way_is_asked_again)
{
    struct fixture fixture = fixture_up(1);
    struct tm_arena arena = {0};
    tm_mock_request_errors(fixture.mock, API_OFFSET_COMMIT, NOT_COORDINATOR, 2);
    set_some(&fixture, &arena);
    tm_mock_request_errors(fixture.mock, API_OFFSET_FETCH, COORDINATOR_LOADING, 2);
    struct tm_group group = {.name = "billing"};
    ASSERT_OK(tm_kafka_group_offsets(
                      fixture.kafka, &group, 1, NULL, NULL, 20000, &arena, &fixture.err),
            fixture.err);
    ck_assert_msg(group.code == TM_OK, "%s", group.error);
    tm_arena_done(&arena);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_group_with_members_or_without_leave_is_told_apart)
{
    struct fixture fixture = fixture_up(1);
    struct tm_arena arena = {0};
    set_some(&fixture, &arena);
    struct tm_group_offset rows[] = {row("orders", 1, 1), row("bills", 0, 2)};
    tm_mock_request_errors(fixture.mock, API_OFFSET_COMMIT, UNKNOWN_MEMBER_ID, 1);
    ck_assert_int_eq(tm_kafka_set_group_offsets(
                             fixture.kafka, "billing", rows, 2, 20000, &arena, &fixture.err),
            TM_E_CONFLICT);
    ck_assert_msg(strstr(fixture.err.msg, "group billing has active members") != NULL, "%s",
            fixture.err.msg);
    fixture.err = (struct tm_err){0};
    tm_mock_request_errors(fixture.mock, API_OFFSET_FETCH, GROUP_AUTHORIZATION_FAILED, 1);
    struct tm_group group = {.name = "billing"};
    ASSERT_OK(tm_kafka_group_offsets(
                      fixture.kafka, &group, 1, NULL, NULL, 20000, &arena, &fixture.err),
            fixture.err);
    ck_assert_int_eq(group.code, TM_E_DENIED);
    ck_assert_uint_eq(group.offset_count, 0);
    tm_arena_done(&arena);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_cluster_that_cannot_list_groups_says_so_at_once)
{
    struct fixture fixture = fixture_up(1);
    struct tm_group_list list = {0};
    int64_t begun = tm_mono_ns();
    ck_assert_int_eq(tm_kafka_groups(fixture.kafka, 30000, &list, &fixture.err), TM_E_UNSUPPORTED);
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 3000);
    ck_assert_uint_eq(list.count, 0);
    tm_group_list_done(&list);
    fixture_down(&fixture);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("groups");
    tcase_add_test(tcase, a_coordinator_that_has_moved_is_no_crash);
    tcase_add_test(tcase, a_coordinator_on_its_way_is_asked_again);
    tcase_add_test(tcase, a_group_with_members_or_without_leave_is_told_apart);
    tcase_add_test(tcase, a_cluster_that_cannot_list_groups_says_so_at_once);
    return run_case(tcase, "groups");
}
