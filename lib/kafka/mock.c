/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/mock.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "base/log.h"

struct tm_mock {
    rd_kafka_t *rk; /* never used as a client; the cluster lives in it */
    rd_kafka_mock_cluster_t *cluster;
};

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    tm_log(TM_LOG_DEBUG, "kafka.mock", text, TM_LOG_STR("facility", facility), TM_LOG_END);
}

struct tm_mock *tm_mock_new(int brokers)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, on_log);
    struct tm_mock *mock = tm_xalloc(1, sizeof(*mock));
    mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    tm_assert(mock->rk != NULL);
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, brokers);
    tm_assert(mock->cluster != NULL);
    return mock;
}

void tm_mock_free(struct tm_mock *mock)
{
    if (mock != NULL) {
        rd_kafka_mock_cluster_destroy(mock->cluster);
        rd_kafka_destroy(mock->rk);
        free(mock);
    }
}

const char *tm_mock_bootstrap(const struct tm_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

enum tm_code tm_mock_topic(
        struct tm_mock *mock, const char *topic, int32_t partitions, struct tm_err *err)
{
    rd_kafka_resp_err_t failed = rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1);
    if (failed == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return tm_err_set(err, TM_E_EXISTS, "topic %s is there already", topic);
    }
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tm_err_set(err, TM_E_KAFKA, "topic %s: %s: %s", topic, rd_kafka_err2name(failed),
                rd_kafka_err2str(failed));
    }
    return TM_OK;
}

void tm_mock_broker_down(struct tm_mock *mock, int32_t broker, bool down)
{
    rd_kafka_resp_err_t failed = down ? rd_kafka_mock_broker_set_down(mock->cluster, broker)
                                      : rd_kafka_mock_broker_set_up(mock->cluster, broker);
    tm_assert(failed == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void tm_mock_round_trip(struct tm_mock *mock, int32_t broker, int rtt_ms)
{
    tm_assert(rd_kafka_mock_broker_set_rtt(mock->cluster, broker, rtt_ms) ==
              RD_KAFKA_RESP_ERR_NO_ERROR);
}

void tm_mock_leader(struct tm_mock *mock, const char *topic, int32_t partition, int32_t broker)
{
    tm_assert(rd_kafka_mock_partition_set_leader(mock->cluster, topic, partition, broker) ==
              RD_KAFKA_RESP_ERR_NO_ERROR);
}

void tm_mock_request_errors(struct tm_mock *mock, int16_t api_key, int error_code, size_t count)
{
    rd_kafka_resp_err_t *errors = tm_xalloc(count, sizeof(*errors));
    for (size_t i = 0; i < count; i++) {
        errors[i] = (rd_kafka_resp_err_t)error_code;
    }
    rd_kafka_mock_push_request_errors_array(mock->cluster, api_key, count, errors);
    free(errors);
}
