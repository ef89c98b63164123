/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim - one job at a time reads a topic on a cluster handle.
 *
 * librdkafka reads a partition once per handle; two policies over one topic may run at the same time.
 * The second waits here for the first.
 *
 * A claim is taken by the thread that reads, and given back by it: so whoever waits, on whatever
 * thread of a pool, waits for a thread that is at work, never for work that is still queued.
 *
 * Threads: any.
 */
#ifndef TM_JOB_CLAIM_H
#define TM_JOB_CLAIM_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "kafka/kafka.h"

struct tm_claim {
    const struct tm_kafka *kafka;
    const char *topic;
    const void *owner; /* the job's run: several of its threads may hold a topic at once */
};

/*
 * Wait until nobody but the owner holds the topic on that handle, then hold it (once more).
 * TM_E_CANCELLED when *cancel turns true, TM_E_TIMEOUT at `deadline_ns` (monotonic; 0: none).
 */
enum tm_code tm_claim_topic(const struct tm_claim *claim, const atomic_bool *cancel,
        int64_t deadline_ns, struct tm_err *err) TM_MUST_CHECK;
void tm_claim_release(const struct tm_claim *claim);

#endif
