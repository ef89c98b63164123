/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put_back - settings that a restore held at a cluster, given back as they were to be.
 *
 * Only what still is as it was held is changed: what somebody set in between is theirs.
 *
 * Threads: blocks its caller's.
 */
#ifndef TM_JOB_PUT_BACK_H
#define TM_JOB_PUT_BACK_H

#include "catalog/journal_holds.h"
#include "kafka/kafka.h"

/*
 * Put back the rows, which are of one cluster and wait; each gets its new state, its note (in `arena`)
 * and `now_ms`. TM_OK: each has been dealt with, or waits for a right that is missing (its note says
 * which). Else the cluster does not answer; rows that were reached are as they are then.
 */
enum tm_code tm_put_back(struct tm_kafka *kafka, struct tm_hold_row *rows, size_t count,
        int64_t now_ms, int64_t timeout_ms, struct tm_arena *arena,
        struct tm_err *err) TM_MUST_CHECK;

#endif
