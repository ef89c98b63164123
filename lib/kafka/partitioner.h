/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partitioner - the partition that Kafka's own producers choose for a key.
 *
 * The rule of Java's DefaultPartitioner and BuiltInPartitioner, and of librdkafka's `murmur2`:
 * murmur2 of the key with the seed 0x9747b28c, its sign bit cleared, modulo the count of partitions.
 * Producers that use another partitioner (librdkafka's own default is CRC-32) put keys elsewhere.
 *
 * Threads: any.
 */
#ifndef TM_KAFKA_PARTITIONER_H
#define TM_KAFKA_PARTITIONER_H

#include <stdint.h>

#include "base/slice.h"

uint32_t tm_murmur2(
        struct tm_slice bytes); /* org.apache.kafka.common.utils.Utils.murmur2, unsigned */

/* `key` is not null; `partitions` is above 0. */
int32_t tm_partition_of_key(struct tm_slice key, int32_t partitions);

#endif
