/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture - a mock cluster, a handle and a writer; records made from a number alone, so that what is
 * read can be compared with what must have been written.
 */
#ifndef TM_TESTS_MOCK_FIXTURE_H
#define TM_TESTS_MOCK_FIXTURE_H

#include <arpa/inet.h>
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/mock.h"
#include "kafka/reader.h"
#include "kafka/writer.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED        __attribute__((unused))

/* Kafka's numbers of requests and errors. */
enum { API_PRODUCE = 0, API_FETCH = 1, API_METADATA = 3, API_INIT_PRODUCER_ID = 22 };
enum {
    UNKNOWN_SERVER_ERROR = -1,
    LEADER_NOT_AVAILABLE = 5,
    NOT_LEADER = 6,
    REQUEST_TIMED_OUT = 7,
    COORDINATOR_LOADING = 14,
    NOT_ENOUGH_REPLICAS = 19,
    TOPIC_AUTHORIZATION_FAILED = 29,
    CLUSTER_AUTHORIZATION_FAILED = 31,
    INVALID_TIMESTAMP = 32,
};

struct fixture {
    struct tm_mock *mock;
    struct tm_kafka *kafka;
    struct tm_writer *writer;
    struct tm_err err;
};

#define ASSERT_OK(call, err_) \
    do { \
        enum tm_code code_ = (call); \
        ck_assert_msg(code_ == TM_OK, "%s: %s: %s", #call, tm_code_name(code_), (err_).msg); \
    } while (0)

UNUSED static struct fixture fixture_up(int brokers)
{
    struct fixture fixture = {.mock = tm_mock_new(brokers)};
    struct tm_kafka_options options = {
            .cluster = "mock", .bootstrap = tm_mock_bootstrap(fixture.mock)};
    ASSERT_OK(tm_kafka_open(&options, &fixture.kafka, &fixture.err), fixture.err);
    ASSERT_OK(tm_writer_open(&options, &fixture.writer, &fixture.err), fixture.err);
    return fixture;
}

UNUSED static void fixture_down(struct fixture *fixture)
{
    tm_writer_close(fixture->writer);
    tm_kafka_close(fixture->kafka);
    tm_mock_free(fixture->mock);
}

/* A record that is made from `number`; it borrows from `scratch`. */
struct scratch {
    char key[32];
    char value[64];
    struct tm_header headers[3];
};

static inline struct tm_record made_record(int64_t number, struct scratch *scratch)
{
    static const char nothing[1] = "";
    struct tm_record record = {
            .offset = number,
            .timestamp_ms = number == 2 ? -1 : 1 + number * 1000,
            .timestamp_type = number == 2 ? TM_TIMESTAMP_NONE : TM_TIMESTAMP_CREATE,
            .leader_epoch = -1,
            .headers = scratch->headers,
            .header_count = (size_t)(number % 4),
    };
    int key_len = snprintf(scratch->key, sizeof(scratch->key), "key %" PRId64, number);
    int value_len = snprintf(scratch->value, sizeof(scratch->value), "value %" PRId64 " %0*d",
            number, (int)(number % 20), 0);
    switch (number % 3) {
    case 0:
        break; /* null */
    case 1:
        record.key = tm_slice_of(nothing, 0);
        break;
    default:
        record.key = tm_slice_of(scratch->key, (size_t)key_len);
    }
    switch (number % 5) {
    case 0:
        break; /* null */
    case 1:
        record.value = tm_slice_of(nothing, 0);
        break;
    default:
        record.value = tm_slice_of(scratch->value, (size_t)value_len);
    }
    scratch->headers[0] = (struct tm_header){tm_slice_str("again"), TM_SLICE_NULL};
    scratch->headers[1] = (struct tm_header){tm_slice_str("again"), tm_slice_of(nothing, 0)};
    scratch->headers[2] = (struct tm_header){tm_slice_str(""), tm_slice_of("\0\xff", 2)};
    return record;
}

UNUSED static void assert_made(const struct tm_record *record, int64_t number)
{
    struct scratch scratch;
    struct tm_record made = made_record(number, &scratch);
    ck_assert_int_eq(record->offset, number);
    ck_assert_msg(tm_record_same(record, &made), "record %" PRId64 " is not as written", number);
}

/* Write records [from, end) of one partition, whose log is at `from`, and wait for them. */
UNUSED static void write_made(
        struct fixture *fixture, const char *topic, int32_t partition, int64_t from, int64_t end)
{
    struct tm_writer_partition *part = NULL;
    ASSERT_OK(tm_writer_partition(fixture->writer, topic, partition, from, &part, &fixture->err),
            fixture->err);
    struct scratch scratch;
    for (int64_t number = from; number < end; number++) {
        struct tm_record record = made_record(number, &scratch);
        ASSERT_OK(tm_writer_send(part, &record, NULL, &fixture->err), fixture->err);
    }
    ASSERT_OK(tm_writer_flush(fixture->writer, 30000, NULL, &fixture->err), fixture->err);
}

UNUSED static struct tm_reader *new_reader(
        struct fixture *fixture, const char *topic, int64_t stall_ms)
{
    struct tm_reader *reader = NULL;
    struct tm_reader_options options = {.topic = topic, .stall_ms = stall_ms};
    ASSERT_OK(tm_reader_new(fixture->kafka, &options, &reader, &fixture->err), fixture->err);
    return reader;
}

/* The next event that is not idle; the time allowed is for slow machines. */
UNUSED static void next_event(struct tm_reader *reader, struct tm_read_event *out)
{
    int64_t give_up = tm_mono_ns() + INT64_C(60000000000);
    do {
        tm_reader_next(reader, 1000, out);
        ck_assert_msg(tm_mono_ns() < give_up, "no event within 60 s");
    } while (out->kind == TM_READ_IDLE);
}

/* Expect exactly the records [from, end) of a partition, and its end. */
UNUSED static void expect_range(
        struct tm_reader *reader, int32_t partition, int64_t from, int64_t end)
{
    struct tm_read_event event;
    for (int64_t number = from; number < end; number++) {
        next_event(reader, &event);
        ck_assert_msg(event.kind == TM_READ_RECORD, "at %" PRId64 ": kind %d, next %" PRId64 ": %s",
                number, (int)event.kind, event.next,
                event.kind == TM_READ_FAILED ? event.err.msg : "");
        ck_assert_int_eq(event.partition, partition);
        assert_made(&event.record, number);
    }
    next_event(reader, &event);
    ck_assert_int_eq(event.kind, TM_READ_END);
    ck_assert_int_eq(event.partition, partition);
    ck_assert_int_eq(event.next, end);
}

/* An address at which nobody listens: taken for as long as *holder is open. */
UNUSED static void dead_address(char out[64], int *holder)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(address);
    *holder = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(*holder, 0);
    ck_assert_int_eq(bind(*holder, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(getsockname(*holder, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(out, 64, "127.0.0.1:%d", (int)ntohs(address.sin_port));
}

UNUSED static int run_case(TCase *tcase, const char *name)
{
    tcase_set_timeout(tcase, 120);
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
