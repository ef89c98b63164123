/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/internal.h"

/*
 * Of all topics, though none are wanted: for "those in use" librdkafka asks with leave to create them
 * when all that it knows are names somebody has just asked for.
 */
enum tm_code tm_kafka_brokers(
        struct tm_kafka *kafka, int64_t timeout_ms, int32_t *out, struct tm_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t failed =
            rd_kafka_metadata(kafka->client.rk, 1, NULL, &metadata, tm_rdkafka_timeout(timeout_ms));
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tm_client_fail(&kafka->client, failed, NULL, err);
        return tm_err_wrap(err, "cluster %s: list of brokers", kafka->client.cluster);
    }
    tm_client_succeeded(&kafka->client);
    *out = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    return TM_OK;
}
