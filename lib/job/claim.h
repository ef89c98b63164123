/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim - one reader at a time for a topic of a cluster handle.
 *
 * librdkafka reads a partition once per handle; two policies over one topic may run at the same time.
 * The second waits here for the first. Threads: any.
 */
#ifndef TM_JOB_CLAIM_H
#define TM_JOB_CLAIM_H

#include <stdatomic.h>

#include "base/err.h"
#include "kafka/kafka.h"

/* Wait until the topic is free on that handle, then hold it. TM_E_CANCELLED when *cancel turns true. */
enum tm_code tm_claim_topic(const struct tm_kafka *kafka, const char *topic,
        const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;
void tm_claim_release(const struct tm_kafka *kafka, const char *topic);

#endif
