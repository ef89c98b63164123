/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock - librdkafka's mock cluster: a Kafka that lives in this process, for tests and the demo.
 *
 * It keeps at most 5 MiB or 100,000 batches a partition (the oldest are dropped), has no topic
 * creation by clients, no topic configurations, no transactions' markers. Any process can connect.
 *
 * Threads: any.
 */
#ifndef TM_KAFKA_MOCK_H
#define TM_KAFKA_MOCK_H

#include "kafka/kafka.h"

struct tm_mock;

struct tm_mock *tm_mock_new(int brokers); /* aborts when librdkafka cannot start it */
void tm_mock_free(struct tm_mock *mock);
TM_OWNABLE(struct tm_mock *, tm_mock_free);
const char *tm_mock_bootstrap(const struct tm_mock *mock); /* "127.0.0.1:43601,..."; borrowed */

enum tm_code tm_mock_topic(struct tm_mock *mock, const char *topic, int32_t partitions,
        struct tm_err *err) TM_MUST_CHECK;

/* Faults, for tests. */
void tm_mock_broker_down(struct tm_mock *mock, int32_t broker, bool down); /* brokers from 1 */
void tm_mock_round_trip(struct tm_mock *mock, int32_t broker, int rtt_ms);
void tm_mock_leader(struct tm_mock *mock, const char *topic, int32_t partition, int32_t broker);
/* The next `count` answers to requests of `api_key` (Kafka's number) carry this Kafka error code. */
void tm_mock_request_errors(struct tm_mock *mock, int16_t api_key, int error_code, size_t count);

#endif
