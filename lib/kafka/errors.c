/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "kafka/internal.h"

/* What is not here is TM_E_KAFKA. */
/* clang-format off */
static const struct {
    rd_kafka_resp_err_t err;
    enum tm_code code;
} codes[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR,                             TM_OK},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION,                      TM_E_DENIED},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,           TM_E_DENIED},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,           TM_E_DENIED},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,           TM_E_DENIED},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,         TM_E_DENIED},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TM_E_DENIED},
    {RD_KAFKA_RESP_ERR__TIMED_OUT,                           TM_E_TIMEOUT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,                     TM_E_TIMEOUT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,                       TM_E_TIMEOUT},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,                    TM_E_TIMEOUT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,                TM_E_MISSING},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID,                     TM_E_MISSING},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,                       TM_E_MISSING},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,                   TM_E_MISSING},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,                 TM_E_EXISTS},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE,                 TM_E_UNSUPPORTED},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION,                  TM_E_UNSUPPORTED},
    {RD_KAFKA_RESP_ERR__INVALID_ARG,                         TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,                      TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG,                       TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,                   TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,           TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST,                      TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION,                     TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,                    TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD,                       TM_E_USAGE},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,                   TM_E_LIMIT},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,                TM_E_LIMIT},
};
/* clang-format on */

enum tm_code tm_rdkafka_code(rd_kafka_resp_err_t err)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].err == err) {
            return codes[i].code;
        }
    }
    return TM_E_KAFKA;
}

void tm_rdkafka_needs(struct tm_err *err, const char *right)
{
    size_t len = strlen(err->msg);
    if (err->code == TM_E_DENIED && strstr(err->msg, "AUTHORIZATION_FAILED") != NULL) {
        (void)snprintf(err->msg + len, sizeof(err->msg) - len, "; needs the right %s", right);
    }
}

bool tm_rdkafka_is_silence(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           err == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE || err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ||
           err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__RETRY;
}

int tm_rdkafka_timeout(int64_t timeout_ms)
{
    enum { HOUR_MS = 3600 * 1000 };
    if (timeout_ms < 1) {
        return 1;
    }
    return timeout_ms > HOUR_MS ? HOUR_MS : (int)timeout_ms;
}
