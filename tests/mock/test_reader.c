/* SPDX-License-Identifier: Apache-2.0 */
/* lib/kafka/reader against a mock cluster: ranges read exactly, and what its faults look like. */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>

START_TEST(a_range_is_read_with_its_nulls_empties_and_headers)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 1, 0, 500);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 1, 0, 500, &fixture.err), fixture.err);
    ck_assert_uint_eq(tm_reader_running(reader), 1);
    expect_range(reader, 1, 0, 500);
    ck_assert_uint_eq(tm_reader_running(reader), 0);

    struct tm_read_event event;
    tm_reader_next(reader, 0, &event);
    ck_assert_int_eq(event.kind, TM_READ_IDLE);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

/* Neither the log's end nor a full batch is waited for. */
START_TEST(records_and_the_end_are_given_at_once)
{
    enum { TIMES = 20, LIMIT_MS = TIMES * 250 };
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 3);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    int64_t begun = tm_mono_ns();
    for (int i = 0; i < TIMES; i++) {
        ASSERT_OK(tm_reader_start(reader, 0, 1, 3, &fixture.err), fixture.err);
        struct tm_read_event event;
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        tm_reader_next(reader, 0, &event);
        ck_assert_int_eq(event.kind, TM_READ_END);
    }
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, LIMIT_MS);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(reading_stops_exactly_at_an_end_inside_the_log)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 2000);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, 17, 1234, &fixture.err), fixture.err);
    expect_range(reader, 0, 17, 1234);
    /* The same partition again, overlapping what lay behind the end in queue and batch. */
    ASSERT_OK(tm_reader_start(reader, 0, 1000, 1300, &fixture.err), fixture.err);
    expect_range(reader, 0, 1000, 1300);
    ASSERT_OK(tm_reader_start(reader, 0, 3, 4, &fixture.err), fixture.err);
    expect_range(reader, 0, 3, 4);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

enum { PARTITIONS = 4, RECORDS = 3000, RANGES = 200, AT_ONCE = 3 };

struct range {
    bool runs;
    int64_t next;
    int64_t end;
};

static int64_t next_below(unsigned *state, unsigned bound)
{
    *state = *state * 1664525U + 1013904223U; /* Numerical Recipes' LCG; the high bits are good */
    return (int64_t)((*state >> 16) % bound);
}

/* Start one range if there is room and the partition that chance picks is free. */
static bool start_some_range(
        struct fixture *fixture, struct tm_reader *reader, struct range *ranges, unsigned *random)
{
    int32_t pick = (int32_t)next_below(random, PARTITIONS);
    if (tm_reader_running(reader) >= AT_ONCE || ranges[pick].runs) {
        return false;
    }
    int64_t from = next_below(random, RECORDS - 1);
    int64_t end = from + 1 + next_below(random, 300);
    ranges[pick] = (struct range){true, from, end > RECORDS ? RECORDS : end};
    ASSERT_OK(tm_reader_start(reader, pick, from, ranges[pick].end, &fixture->err), fixture->err);
    return true;
}

/* True when a range came to its end. */
static bool check_next(struct tm_reader *reader, struct range *ranges)
{
    struct tm_read_event event;
    next_event(reader, &event);
    struct range *range = &ranges[event.partition];
    ck_assert(range->runs);
    if (event.kind == TM_READ_RECORD) {
        assert_made(&event.record, range->next++);
        return false;
    }
    ck_assert_int_eq(event.kind, TM_READ_END);
    ck_assert_int_eq(range->next, range->end);
    ck_assert_int_eq(event.next, range->end);
    range->runs = false;
    return true;
}

/* Any order of ranges, several at a time, in one queue. */
START_TEST(many_ranges_are_read_exactly)
{
    struct fixture fixture = fixture_up(2);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", PARTITIONS, &fixture.err), fixture.err);
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        write_made(&fixture, "orders", partition, 0, RECORDS);
    }
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    struct range ranges[PARTITIONS] = {0};
    unsigned random = 1;
    int started = 0;
    int ended = 0;
    while (ended < RANGES) {
        if (started < RANGES) {
            started += start_some_range(&fixture, reader, ranges, &random) ? 1 : 0;
        }
        if (tm_reader_running(reader) > 0) {
            ended += check_next(reader, ranges) ? 1 : 0;
        }
    }
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_start_behind_the_log_is_out_of_range)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 10);
    write_made(&fixture, "orders", 1, 0, 10);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, 11, 20, &fixture.err), fixture.err);
    struct tm_read_event event;
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_FAILED);
    ck_assert_int_eq(event.partition, 0);
    ck_assert_int_eq(event.next, 11);
    ck_assert(event.out_of_range);
    ck_assert_str_eq(event.err.msg,
            "orders/0 at offset 11: _AUTO_OFFSET_RESET: fetch failed due to requested offset not "
            "available on the broker: Broker: Offset out of range (broker 1)");
    /* The other partition of the reader is not concerned. */
    ASSERT_OK(tm_reader_start(reader, 1, 0, 10, &fixture.err), fixture.err);
    expect_range(reader, 1, 0, 10);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_start_before_the_log_is_out_of_range)
{
    enum { BIG = 64 * 1024, COUNT = 200 }; /* the mock keeps 5 MiB */
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_writer_partition *part = NULL;
    ASSERT_OK(
            tm_writer_partition(fixture.writer, "orders", 0, 0, &part, &fixture.err), fixture.err);
    char *bytes = tm_xalloc(BIG, 1);
    for (int i = 0; i < COUNT; i++) {
        struct tm_record record = {.timestamp_ms = 1, .value = tm_slice_of(bytes, BIG)};
        ASSERT_OK(tm_writer_send(part, &record, NULL, &fixture.err), fixture.err);
    }
    ASSERT_OK(tm_writer_flush(fixture.writer, 30000, NULL, &fixture.err), fixture.err);
    free(bytes);
    struct tm_offsets row = {.topic = "orders"};
    ASSERT_OK(tm_kafka_offsets(fixture.kafka, &row, 1, 10000, &fixture.err), fixture.err);
    ck_assert_int_gt(row.log_start, 0);

    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, row.log_start - 1, COUNT, &fixture.err), fixture.err);
    struct tm_read_event event;
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_FAILED);
    ck_assert(event.out_of_range);
    ck_assert_int_eq(event.next, row.log_start - 1);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_broker_that_goes_away_and_comes_back_costs_nothing)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 1000);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    tm_mock_round_trip(fixture.mock, 1, 50);
    /* Beyond what is there, so that reading is under way when the broker goes. */
    ASSERT_OK(tm_reader_start(reader, 0, 0, 2000, &fixture.err), fixture.err);
    struct tm_read_event event;
    for (int64_t number = 0; number < 1000; number++) {
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        assert_made(&event.record, number);
    }
    tm_mock_broker_down(fixture.mock, 1, true);
    tm_reader_next(reader, 300, &event);
    ck_assert_int_eq(event.kind, TM_READ_IDLE);
    tm_mock_broker_down(fixture.mock, 1, false);
    write_made(&fixture, "orders", 0, 1000, 2000);
    expect_range(reader, 0, 1000, 2000);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_broker_that_stays_away_fails_the_partitions_with_its_address)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 10);
    write_made(&fixture, "orders", 1, 0, 10);
    struct tm_reader *reader = new_reader(&fixture, "orders", 2000);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 10, &fixture.err), fixture.err);
    expect_range(reader, 0, 0, 10);
    tm_mock_broker_down(fixture.mock, 1, true);
    int64_t begun = tm_mono_ns();
    ASSERT_OK(tm_reader_start(reader, 0, 0, 10, &fixture.err), fixture.err);
    ASSERT_OK(tm_reader_start(reader, 1, 3, 10, &fixture.err), fixture.err);
    char address[80];
    (void)snprintf(address, sizeof(address), "_TRANSPORT: %s/", tm_mock_bootstrap(fixture.mock));
    for (int32_t partition = 0; partition < 2; partition++) {
        struct tm_read_event event;
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_FAILED);
        ck_assert_int_eq(event.partition, partition);
        ck_assert_int_eq(event.next, partition == 0 ? 0 : 3);
        ck_assert(!event.out_of_range);
        ck_assert_int_eq(event.err.code, TM_E_KAFKA);
        ck_assert(tm_code_retryable(event.err.code));
        ck_assert_ptr_nonnull(strstr(event.err.msg, ": nothing came for 2 s: _TRANSPORT: "));
        ck_assert_msg(
                strstr(event.err.msg, address) != NULL, "%s has no %s", event.err.msg, address);
    }
    int64_t took_ms = (tm_mono_ns() - begun) / 1000000;
    ck_assert_int_ge(took_ms, 1900);
    ck_assert_int_lt(took_ms, 10000);
    ck_assert_uint_eq(tm_reader_running(reader), 0);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

/* The time that the caller spends elsewhere is not the cluster's fault. */
START_TEST(a_slow_caller_is_no_stall)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 3);
    struct tm_reader *reader = new_reader(&fixture, "orders", 300);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 3, &fixture.err), fixture.err);
    tm_sleep_ms(600);
    expect_range(reader, 0, 0, 3);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(an_end_that_the_log_does_not_reach_is_a_stall_that_says_so)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 1);
    struct tm_reader *reader = new_reader(&fixture, "orders", 1000);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 5, &fixture.err), fixture.err);
    struct tm_read_event event;
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_RECORD);
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_FAILED);
    ck_assert_int_eq(event.err.code, TM_E_TIMEOUT);
    ck_assert_int_eq(event.next, 1);
    ck_assert_str_eq(event.err.msg,
            "orders/0 at offset 1: the log ends at 1, below 5: nothing came "
            "for 1 s: _TIMED_OUT: no answer from the brokers");
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_leader_that_moves_costs_nothing)
{
    struct fixture fixture = fixture_up(3);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    tm_mock_leader(fixture.mock, "orders", 0, 1);
    write_made(&fixture, "orders", 0, 0, 1000);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 3000, &fixture.err), fixture.err);
    struct tm_read_event event;
    for (int64_t number = 0; number < 1000; number++) {
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        assert_made(&event.record, number);
    }
    tm_mock_leader(fixture.mock, "orders", 0, 2);
    write_made(&fixture, "orders", 0, 1000, 2000);
    for (int64_t number = 1000; number < 2000; number++) {
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        assert_made(&event.record, number);
    }
    tm_mock_leader(fixture.mock, "orders", 0, 3);
    write_made(&fixture, "orders", 0, 2000, 3000);
    expect_range(reader, 0, 2000, 3000);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

/* Answers that librdkafka itself deals with. */
static const struct {
    int16_t api;
    int error;
} passing[] = {
        {API_FETCH, NOT_LEADER},
        {API_FETCH, LEADER_NOT_AVAILABLE},
        {API_METADATA, LEADER_NOT_AVAILABLE},
};

START_TEST(passing_errors_cost_nothing)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 100);
    tm_mock_request_errors(fixture.mock, passing[_i].api, passing[_i].error, 3);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 100, &fixture.err), fixture.err);
    expect_range(reader, 0, 0, 100);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

/* Those that it hands on must arrive with their partition, though records are taken in batches. */
/* clang-format off */
static const struct {
    int error;
    enum tm_code code;
    const char *message;
} refusing[] = {
    {COORDINATOR_LOADING, TM_E_KAFKA,
     "orders/1 at offset 5: COORDINATOR_LOAD_IN_PROGRESS: Fetch from broker 1 failed at offset 5 "
     "(leader epoch -1): Broker: Coordinator load in progress"},
    {UNKNOWN_SERVER_ERROR, TM_E_KAFKA,
     "orders/1 at offset 5: UNKNOWN: Fetch from broker 1 failed at offset 5 (leader epoch -1): "
     "Unknown broker error"},
    {TOPIC_AUTHORIZATION_FAILED, TM_E_DENIED,
     "orders/1 at offset 5: TOPIC_AUTHORIZATION_FAILED: Fetch from broker 1 failed: Broker: Topic "
     "authorization failed; needs the right READ on Topic"},
};
/* clang-format on */

START_TEST(a_partition_error_fails_its_partition)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 1, 0, 100);
    tm_mock_request_errors(fixture.mock, API_FETCH, refusing[_i].error, 1);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 1, 5, 100, &fixture.err), fixture.err);
    struct tm_read_event event;
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_FAILED);
    ck_assert_int_eq(event.partition, 1);
    ck_assert_int_eq(event.next, 5);
    ck_assert_int_eq(event.err.code, refusing[_i].code);
    ck_assert_str_eq(event.err.msg, refusing[_i].message);
    ck_assert(!event.out_of_range);
    /* And it can be started again. */
    ASSERT_OK(tm_reader_start(reader, 1, 5, 100, &fixture.err), fixture.err);
    expect_range(reader, 1, 5, 100);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

/* librdkafka does not say for which partition, so the reader finds out. */
START_TEST(a_partition_that_is_not_there_fails_alone)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 1, 0, 100);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 7, 0, 100, &fixture.err), fixture.err);
    ASSERT_OK(tm_reader_start(reader, 1, 0, 200, &fixture.err), fixture.err);
    int64_t records = 0;
    struct tm_read_event event;
    bool failed = false;
    while (!failed || records < 100) {
        next_event(reader, &event);
        if (event.kind == TM_READ_RECORD) {
            assert_made(&event.record, records++);
            continue;
        }
        ck_assert_int_eq(event.kind, TM_READ_FAILED);
        ck_assert_int_eq(event.partition, 7);
        ck_assert_int_eq(event.err.code, TM_E_MISSING);
        ck_assert_str_eq(event.err.msg, "orders/7 at offset 0: the topic has only 2 partitions");
        failed = true;
    }
    ck_assert_uint_eq(tm_reader_running(reader), 1);
    write_made(&fixture, "orders", 1, 100, 200);
    expect_range(reader, 1, 100, 200);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

/* Once librdkafka knows how many partitions there are, it never says that one is not. */
START_TEST(a_partition_that_is_not_there_fails_though_nothing_is_said)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 1, 0, 1);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 1, 0, 1, &fixture.err), fixture.err);
    expect_range(reader, 1, 0, 1);
    ASSERT_OK(tm_reader_start(reader, 7, 0, 100, &fixture.err), fixture.err);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 1, &fixture.err), fixture.err);
    struct tm_read_event event;
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_FAILED);
    ck_assert_int_eq(event.partition, 7);
    ck_assert_int_eq(event.err.code, TM_E_MISSING);
    ck_assert_str_eq(event.err.msg, "orders/7 at offset 0: the topic has only 2 partitions");
    ck_assert_uint_eq(tm_reader_running(reader), 1);
    tm_reader_free(reader);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_topic_that_is_not_there_fails_all_partitions)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    struct tm_kafka *kafka = NULL;
    struct tm_pair at_once = {"topic.metadata.propagation.max.ms", "0"};
    struct tm_kafka_options options = {.cluster = "mock",
            .bootstrap = tm_mock_bootstrap(fixture.mock),
            .properties = &at_once,
            .property_count = 1};
    ASSERT_OK(tm_kafka_open(&options, &kafka, &fixture.err), fixture.err);
    struct tm_reader *reader = NULL;
    struct tm_reader_options gone = {.topic = "gone"};
    ASSERT_OK(tm_reader_new(kafka, &gone, &reader, &fixture.err), fixture.err);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 1, &fixture.err), fixture.err);
    ASSERT_OK(tm_reader_start(reader, 1, 0, 1, &fixture.err), fixture.err);
    for (int32_t partition = 0; partition < 2; partition++) {
        struct tm_read_event event;
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_FAILED);
        ck_assert_int_eq(event.partition, partition);
        ck_assert_msg(event.err.code == TM_E_MISSING, "%s", event.err.msg);
    }
    tm_reader_free(reader);
    tm_kafka_close(kafka);
    fixture_down(&fixture);
}
END_TEST

struct work {
    struct fixture *fixture;
    int32_t partition;
    int64_t count;
    int64_t seen;
};

static void *read_alone(void *arg)
{
    struct work *work = arg;
    struct tm_err err = {0};
    struct tm_reader *reader = NULL;
    struct tm_reader_options options = {.topic = "orders"};
    struct tm_read_event event;
    if (tm_reader_new(work->fixture->kafka, &options, &reader, &err) != TM_OK ||
            tm_reader_start(reader, work->partition, 0, work->count, &err) != TM_OK) {
        return NULL;
    }
    for (next_event(reader, &event); event.kind == TM_READ_RECORD; next_event(reader, &event)) {
        work->seen += event.record.offset == work->seen ? 1 : INT64_MIN / 2;
    }
    tm_reader_free(reader);
    return NULL;
}

START_TEST(readers_of_several_threads_share_a_handle)
{
    enum { THREADS = 4, EACH = 5000 };
    struct fixture fixture = fixture_up(2);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", THREADS, &fixture.err), fixture.err);
    pthread_t threads[THREADS];
    struct work works[THREADS];
    for (int32_t i = 0; i < THREADS; i++) {
        write_made(&fixture, "orders", i, 0, EACH);
        works[i] = (struct work){&fixture, i, EACH, 0};
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_alone, &works[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(works[i].seen, EACH);
    }
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_reader_can_go_while_it_reads)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 3, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 0, 0, 2000);
    write_made(&fixture, "orders", 2, 0, 2000);
    for (int i = 0; i < 10; i++) {
        struct tm_reader *reader = new_reader(&fixture, "orders", 0);
        ASSERT_OK(tm_reader_start(reader, 0, 0, 2000, &fixture.err), fixture.err);
        ASSERT_OK(tm_reader_start(reader, 2, 0, 2000, &fixture.err), fixture.err);
        struct tm_read_event event;
        for (int n = 0; n < i * 100; n++) {
            next_event(reader, &event);
        }
        tm_reader_free(reader);
    }
    fixture_down(&fixture);
}
END_TEST

START_TEST(starting_a_partition_twice_is_a_bug)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_reader *reader = new_reader(&fixture, "orders", 0);
    ASSERT_OK(tm_reader_start(reader, 0, 0, 10, &fixture.err), fixture.err);
    (void)!tm_reader_start(reader, 0, 0, 10, &fixture.err); /* aborts */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reader");
    tcase_add_test(tcase, a_range_is_read_with_its_nulls_empties_and_headers);
    tcase_add_test(tcase, records_and_the_end_are_given_at_once);
    tcase_add_test(tcase, reading_stops_exactly_at_an_end_inside_the_log);
    tcase_add_test(tcase, many_ranges_are_read_exactly);
    tcase_add_test(tcase, a_start_behind_the_log_is_out_of_range);
    tcase_add_test(tcase, a_start_before_the_log_is_out_of_range);
    tcase_add_test(tcase, a_broker_that_goes_away_and_comes_back_costs_nothing);
    tcase_add_test(tcase, a_broker_that_stays_away_fails_the_partitions_with_its_address);
    tcase_add_test(tcase, a_slow_caller_is_no_stall);
    tcase_add_test(tcase, an_end_that_the_log_does_not_reach_is_a_stall_that_says_so);
    tcase_add_test(tcase, a_leader_that_moves_costs_nothing);
    tcase_add_loop_test(tcase, passing_errors_cost_nothing, 0, (int)LENGTH(passing));
    tcase_add_loop_test(tcase, a_partition_error_fails_its_partition, 0, (int)LENGTH(refusing));
    tcase_add_test(tcase, a_partition_that_is_not_there_fails_alone);
    tcase_add_test(tcase, a_partition_that_is_not_there_fails_though_nothing_is_said);
    tcase_add_test(tcase, a_topic_that_is_not_there_fails_all_partitions);
    tcase_add_test(tcase, readers_of_several_threads_share_a_handle);
    tcase_add_test(tcase, a_reader_can_go_while_it_reads);
    tcase_add_test_raise_signal(tcase, starting_a_partition_twice_is_a_bug, SIGABRT);
    return run_case(tcase, "reader");
}
