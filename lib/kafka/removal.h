/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removal - what deletes something of a cluster: records, topics. Asked for by name, each time.
 *
 * Errors and threads: as in kafka.h. TM_E_UNSUPPORTED where the cluster has no controller (the mock).
 */
#ifndef TM_KAFKA_REMOVAL_H
#define TM_KAFKA_REMOVAL_H

#include "kafka/kafka.h"

/* Delete every record that partitions 0 to `partitions` - 1 of the topic hold now: DeleteRecords. The topic stays,
 * and its offsets go on. TM_E_USAGE: of a topic that is only compacted no records can be deleted. */
enum tm_code tm_kafka_delete_records(struct tm_kafka *kafka, const char *topic, int32_t partitions,
        int64_t timeout_ms, struct tm_err *err) TM_MUST_CHECK;

/* Delete the topic. Other brokers may know it for a moment longer. TM_OK too when it is not there. */
enum tm_code tm_kafka_delete_topic(struct tm_kafka *kafka, const char *topic, int64_t timeout_ms,
        struct tm_err *err) TM_MUST_CHECK;

/* Delete a consumer group that has no members. TM_OK too when it is not there. */
enum tm_code tm_kafka_delete_group(struct tm_kafka *kafka, const char *group, int64_t timeout_ms,
        struct tm_err *err) TM_MUST_CHECK;

#endif
