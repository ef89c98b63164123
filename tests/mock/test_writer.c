/* SPDX-License-Identifier: Apache-2.0 */
/* lib/kafka/writer against a mock cluster: order, offsets, no duplicates, and how it fails. */
#include "fixture.h"

#include <pthread.h>

static void expect_log_end(
        struct fixture *fixture, const char *topic, int32_t partition, int64_t end)
{
    struct tm_offsets row = {.topic = topic, .partition = partition};
    ASSERT_OK(tm_kafka_offsets(fixture->kafka, &row, 1, 10000, &fixture->err), fixture->err);
    ck_assert_int_eq(row.code, TM_OK);
    ck_assert_int_eq(row.high_watermark, end);
}

static void expect_written(
        struct fixture *fixture, const char *topic, int32_t partition, int64_t end)
{
    expect_log_end(fixture, topic, partition, end);
    struct tm_reader *reader = new_reader(fixture, topic, 0);
    ASSERT_OK(tm_reader_start(reader, partition, 0, end, &fixture->err), fixture->err);
    expect_range(reader, partition, 0, end);
    tm_reader_free(reader);
}

static struct tm_writer_partition *open_partition(
        struct fixture *fixture, struct tm_writer *writer, int32_t partition, int64_t next)
{
    struct tm_writer_partition *part = NULL;
    ASSERT_OK(tm_writer_partition(writer, "orders", partition, next, &part, &fixture->err),
            fixture->err);
    return part;
}

static struct tm_writer *open_writer(struct fixture *fixture)
{
    struct tm_writer *writer = NULL;
    struct tm_kafka_options options = {
            .cluster = "mock", .bootstrap = tm_mock_bootstrap(fixture->mock)};
    ASSERT_OK(tm_writer_open(&options, &writer, &fixture->err), fixture->err);
    return writer;
}

static void send_made(struct fixture *fixture, struct tm_writer_partition *part, int64_t number)
{
    struct scratch scratch;
    struct tm_record record = made_record(number, &scratch);
    ASSERT_OK(tm_writer_send(part, &record, NULL, &fixture->err), fixture->err);
}

/* Send until it fails; the code that it fails with. */
static enum tm_code send_until_failure(
        struct fixture *fixture, struct tm_writer_partition *part, const atomic_bool *cancel)
{
    enum { BIG = 64 * 1024 };
    char *bytes = tm_xalloc(BIG, 1);
    struct tm_record record = {.timestamp_ms = 1, .value = tm_slice_of(bytes, BIG)};
    fixture->err = (struct tm_err){0};
    enum tm_code code = TM_OK;
    while (code == TM_OK) {
        code = tm_writer_send(part, &record, cancel, &fixture->err);
    }
    free(bytes);
    return code;
}

static int64_t bytes_of(const struct tm_record *record)
{
    int64_t bytes = (int64_t)(record->key.len + record->value.len);
    for (size_t i = 0; i < record->header_count; i++) {
        bytes += (int64_t)(record->headers[i].name.len + record->headers[i].value.len);
    }
    return bytes;
}

START_TEST(records_land_in_order_at_their_offsets)
{
    enum { PARTITIONS = 3, RECORDS = 2000 };
    struct fixture fixture = fixture_up(2);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", PARTITIONS, &fixture.err), fixture.err);
    struct tm_writer_partition *parts[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        parts[i] = open_partition(&fixture, fixture.writer, i, 0);
    }
    int64_t bytes = 0;
    for (int64_t number = 0; number < RECORDS; number++) {
        struct scratch scratch;
        struct tm_record record = made_record(number, &scratch);
        bytes += PARTITIONS * bytes_of(&record);
        for (int32_t i = 0; i < PARTITIONS; i++) {
            send_made(&fixture, parts[i], number);
        }
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);
    struct tm_writer_stats stats = tm_writer_stats(fixture.writer);
    ck_assert_int_eq(stats.delivered_records, (int64_t)PARTITIONS * RECORDS);
    ck_assert_int_eq(stats.delivered_bytes, bytes);
    ck_assert_int_eq(stats.timestamps_changed, 0);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        expect_written(&fixture, "orders", i, RECORDS);
    }
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_timestamp_of_zero_is_written_as_one_and_counted)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    static const int64_t times[] = {
            0, 1, INT64_C(253402300799999)}; /* the last: end of year 9999 */
    for (size_t i = 0; i < LENGTH(times); i++) {
        struct tm_record record = {.timestamp_ms = times[i], .value = tm_slice_str("x")};
        ASSERT_OK(tm_writer_send(part, &record, NULL, &fixture.err), fixture.err);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);
    ck_assert_int_eq(tm_writer_stats(fixture.writer).timestamps_changed, 1);

    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 3, &fixture.err), fixture.err);
    for (size_t i = 0; i < LENGTH(times); i++) {
        struct tm_read_event event;
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        ck_assert_int_eq(event.record.timestamp_ms, times[i] == 0 ? 1 : times[i]);
    }
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

static const int retried[] = {NOT_LEADER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS};

START_TEST(a_retried_request_makes_no_duplicate)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    for (int64_t number = 0; number < 3000; number++) {
        if (number % 1000 == 500) {
            tm_mock_request_errors(fixture.mock, API_PRODUCE, retried[_i], 2);
            tm_sleep_ms(50);
        }
        send_made(&fixture, part, number);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 60000, NULL, &fixture.err), fixture.err);
    expect_written(&fixture, "orders", 0, 3000);
    fixture_down(&fixture);
}
END_TEST

/* The mock does not tell a repeated batch from a new one, so none is under way when the broker goes. */
START_TEST(a_broker_that_goes_away_and_comes_back_makes_no_duplicate)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    for (int64_t number = 0; number < 3000; number++) {
        if (number == 1000 || number == 2000) {
            ASSERT_OK(tm_writer_flush(fixture.writer, 60000, NULL, &fixture.err), fixture.err);
            tm_mock_broker_down(fixture.mock, 1, true);
        }
        if (number == 1500 || number == 2500) {
            tm_sleep_ms(200);
            tm_mock_broker_down(fixture.mock, 1, false);
        }
        send_made(&fixture, part, number);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 60000, NULL, &fixture.err), fixture.err);
    expect_written(&fixture, "orders", 0, 3000);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_leader_that_moves_makes_no_duplicate)
{
    struct fixture fixture = fixture_up(3);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    for (int64_t number = 0; number < 3000; number++) {
        if (number % 500 == 0) {
            tm_mock_leader(fixture.mock, "orders", 0, (int32_t)(number / 500 % 3) + 1);
        }
        send_made(&fixture, part, number);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 60000, NULL, &fixture.err), fixture.err);
    expect_written(&fixture, "orders", 0, 3000);
    fixture_down(&fixture);
}
END_TEST

START_TEST(another_writer_is_found_out_by_the_offset)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 4, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 3, 0);
    send_made(&fixture, part, 0);
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);

    struct tm_writer *other = open_writer(&fixture);
    struct tm_writer_partition *theirs = open_partition(&fixture, other, 3, 1);
    send_made(&fixture, theirs, 1);
    ASSERT_OK(tm_writer_flush(other, 30000, NULL, &fixture.err), fixture.err);
    tm_writer_close(other);

    static const char text[] = "orders/3: record meant for offset 1 was delivered at 2: another "
                               "writer is at work on the target";
    send_made(&fixture, part, 1);
    ck_assert_int_eq(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), TM_E_CONFLICT);
    ck_assert_str_eq(fixture.err.msg, text);
    /* For good, and for all partitions. */
    struct tm_writer_partition *another = open_partition(&fixture, fixture.writer, 0, 0);
    struct tm_record record = {.timestamp_ms = 1};
    fixture.err = (struct tm_err){0};
    ck_assert_int_eq(tm_writer_send(another, &record, NULL, &fixture.err), TM_E_CONFLICT);
    ck_assert_str_eq(fixture.err.msg, text);
    ck_assert_int_eq(tm_writer_stats(fixture.writer).delivered_records, 1);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_target_that_is_further_than_thought_is_found_out)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 7);
    send_made(&fixture, part, 7);
    ck_assert_int_eq(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), TM_E_CONFLICT);
    ck_assert_str_eq(fixture.err.msg, "orders/0: record meant for offset 7 was delivered at 0: "
                                      "another writer is at work on the target");
    fixture_down(&fixture);
}
END_TEST

/* What follows a refused record must not land in its place. */
START_TEST(a_refused_record_is_named_and_nothing_lands_behind_it)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 1, 0);
    for (int64_t number = 0; number < 5; number++) {
        send_made(&fixture, part, number);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);
    tm_mock_request_errors(fixture.mock, API_PRODUCE, INVALID_TIMESTAMP, 1);
    send_made(&fixture, part, 5);
    ck_assert_int_eq(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), TM_E_USAGE);
    ck_assert_str_eq(fixture.err.msg, "orders/1: record meant for offset 5 was not delivered: "
                                      "INVALID_TIMESTAMP: Broker: Invalid timestamp");
    struct scratch scratch;
    struct tm_record record = made_record(6, &scratch);
    fixture.err = (struct tm_err){0};
    ck_assert_int_eq(tm_writer_send(part, &record, NULL, &fixture.err), TM_E_USAGE);
    expect_written(&fixture, "orders", 1, 5);
    fixture_down(&fixture);
}
END_TEST

/* The library then drops what it has before it says why: a flush that only counted would find all done. */
START_TEST(a_producer_that_may_not_write_fails_and_names_the_right)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    tm_mock_request_errors(fixture.mock, API_INIT_PRODUCER_ID, CLUSTER_AUTHORIZATION_FAILED, 100);
    /* One that asks from now on: the fixture's has its producer id perhaps. */
    struct tm_writer *writer = open_writer(&fixture);
    struct tm_writer_partition *part = open_partition(&fixture, writer, 1, 0);
    enum tm_code code = TM_OK;
    for (int64_t number = 0; code == TM_OK && number < 5; number++) {
        struct scratch scratch;
        struct tm_record record = made_record(number, &scratch);
        code = tm_writer_send(part, &record, NULL, &fixture.err); /* it may know already */
    }
    code = code == TM_OK ? tm_writer_flush(writer, 30000, NULL, &fixture.err) : code;
    ck_assert_int_eq(code, TM_E_DENIED);
    ck_assert_msg(
            strstr(fixture.err.msg, "CLUSTER_AUTHORIZATION_FAILED") != NULL, "%s", fixture.err.msg);
    ck_assert_msg(strstr(fixture.err.msg, "needs the right WRITE on Topic") != NULL, "%s",
            fixture.err.msg);
    tm_writer_close(writer);
    fixture_down(&fixture);
}
END_TEST

static void *cancel_soon(void *arg)
{
    tm_sleep_ms(500);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

START_TEST(waiting_for_room_can_be_cancelled)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    tm_mock_broker_down(fixture.mock, 1, true);
    atomic_bool cancel = false;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
    int64_t begun = tm_mono_ns();
    ck_assert_int_eq(send_until_failure(&fixture, part, &cancel), TM_E_CANCELLED);
    ck_assert_str_eq(fixture.err.msg, "cancelled while the brokers were waited for");
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 5000);
    pthread_join(thread, NULL);

    fixture.err = (struct tm_err){0};
    ck_assert_int_eq(tm_writer_flush(fixture.writer, 30000, &cancel, &fixture.err), TM_E_CANCELLED);
    begun = tm_mono_ns();
    fixture_down(&fixture); /* drops 32 MiB without waiting for the broker */
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 5000);
}
END_TEST

START_TEST(brokers_that_stay_away_fail_the_writer_with_their_address)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    tm_writer_set_stall(fixture.writer, 1500);
    send_made(&fixture, part, 0);
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);
    tm_sleep_ms(2000); /* nothing to deliver is no stall */
    tm_mock_broker_down(fixture.mock, 1, true);
    ck_assert_int_eq(send_until_failure(&fixture, part, NULL), TM_E_KAFKA);
    char expected[160];
    (void)snprintf(expected, sizeof(expected),
            "cluster mock: nothing was delivered for 2 s: _TRANSPORT: %s/",
            tm_mock_bootstrap(fixture.mock));
    ck_assert_msg(strncmp(fixture.err.msg, expected, strlen(expected)) == 0, "%s", fixture.err.msg);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_flush_that_takes_too_long_says_what_is_missing)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, fixture.writer, 0, 0);
    tm_mock_broker_down(fixture.mock, 1, true);
    send_made(&fixture, part, 0);
    send_made(&fixture, part, 1);
    ck_assert_int_eq(tm_writer_flush(fixture.writer, 200, NULL, &fixture.err), TM_E_TIMEOUT);
    ck_assert_str_eq(fixture.err.msg, "cluster mock: 2 records are not delivered after 200 ms");
    tm_mock_broker_down(fixture.mock, 1, false);
    fixture.err = (struct tm_err){0};
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);
    expect_written(&fixture, "orders", 0, 2);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_partition_that_is_not_there_cannot_be_opened)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    struct tm_writer_partition *part = NULL;
    ck_assert_int_eq(
            tm_writer_partition(fixture.writer, "orders", 2, 0, &part, &fixture.err), TM_E_MISSING);
    ck_assert_str_eq(fixture.err.msg, "cluster mock: orders/2: the topic has only 2 partitions");
    fixture.err = (struct tm_err){0};
    ck_assert_int_eq(
            tm_writer_partition(fixture.writer, "gone", 0, 0, &part, &fixture.err), TM_E_MISSING);
    ck_assert_str_eq(fixture.err.msg,
            "cluster mock: gone/0: UNKNOWN_TOPIC_OR_PART: Broker: Unknown topic or partition");
    ck_assert_ptr_null(part);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_record_beyond_the_library_s_bound_is_a_limit)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_pair small = {"message.max.bytes", "2000"};
    struct tm_kafka_options options = {.cluster = "mock",
            .bootstrap = tm_mock_bootstrap(fixture.mock),
            .properties = &small,
            .property_count = 1};
    struct tm_writer *writer = NULL;
    ASSERT_OK(tm_writer_open(&options, &writer, &fixture.err), fixture.err);
    struct tm_writer_partition *part = open_partition(&fixture, writer, 0, 0);
    static const uint8_t bytes[4000];
    struct tm_record record = {.timestamp_ms = 1, .value = tm_slice_of(bytes, sizeof(bytes))};
    ck_assert_int_eq(tm_writer_send(part, &record, NULL, &fixture.err), TM_E_LIMIT);
    ck_assert_str_eq(
            fixture.err.msg, "orders/0: MSG_SIZE_TOO_LARGE: Broker: Message size too large");
    tm_writer_close(writer);
    fixture_down(&fixture);
}
END_TEST

struct feeder {
    struct tm_writer_partition *part;
    int64_t count;
    struct tm_err err;
};

static void *feed(void *arg)
{
    struct feeder *feeder = arg;
    struct scratch scratch;
    for (int64_t number = 0; number < feeder->count; number++) {
        struct tm_record record = made_record(number, &scratch);
        if (tm_writer_send(feeder->part, &record, NULL, &feeder->err) != TM_OK) {
            return NULL;
        }
    }
    return NULL;
}

START_TEST(partitions_are_fed_by_threads_of_their_own)
{
    enum { THREADS = 4, RECORDS = 5000 };
    struct fixture fixture = fixture_up(2);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", THREADS, &fixture.err), fixture.err);
    struct feeder feeders[THREADS] = {0};
    pthread_t threads[THREADS];
    for (int32_t i = 0; i < THREADS; i++) {
        feeders[i].part = open_partition(&fixture, fixture.writer, i, 0);
        feeders[i].count = RECORDS;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, feed, &feeders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(feeders[i].err.code, TM_OK);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 60000, NULL, &fixture.err), fixture.err);
    for (int32_t i = 0; i < THREADS; i++) {
        expect_written(&fixture, "orders", i, RECORDS);
    }
    fixture_down(&fixture);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("writer");
    tcase_add_test(tcase, records_land_in_order_at_their_offsets);
    tcase_add_test(tcase, a_timestamp_of_zero_is_written_as_one_and_counted);
    tcase_add_loop_test(tcase, a_retried_request_makes_no_duplicate, 0, (int)LENGTH(retried));
    tcase_add_test(tcase, a_broker_that_goes_away_and_comes_back_makes_no_duplicate);
    tcase_add_test(tcase, a_leader_that_moves_makes_no_duplicate);
    tcase_add_test(tcase, another_writer_is_found_out_by_the_offset);
    tcase_add_test(tcase, a_target_that_is_further_than_thought_is_found_out);
    tcase_add_test(tcase, a_refused_record_is_named_and_nothing_lands_behind_it);
    tcase_add_test(tcase, a_producer_that_may_not_write_fails_and_names_the_right);
    tcase_add_test(tcase, waiting_for_room_can_be_cancelled);
    tcase_add_test(tcase, brokers_that_stay_away_fail_the_writer_with_their_address);
    tcase_add_test(tcase, a_flush_that_takes_too_long_says_what_is_missing);
    tcase_add_test(tcase, a_partition_that_is_not_there_cannot_be_opened);
    tcase_add_test(tcase, a_record_beyond_the_library_s_bound_is_a_limit);
    tcase_add_test(tcase, partitions_are_fed_by_threads_of_their_own);
    return run_case(tcase, "writer");
}
