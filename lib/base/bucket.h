/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket - a rate that several threads keep together: so many bytes a second on the average.
 *
 * What is taken is paid for afterwards: the next one waits until the bytes before it would have passed at the
 * rate. So an amount larger than a second's is possible, and is made up for. After a pause
 * at most a tenth of a second's bytes go at once.
 *
 * Threads: any.
 */
#ifndef TM_BASE_BUCKET_H
#define TM_BASE_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct tm_bucket { /* zeroed: no limit */
    int64_t per_second;
    _Atomic int64_t next_ns; /* when what was taken so far has passed; CLOCK_MONOTONIC */
};

void tm_bucket_init(struct tm_bucket *bucket, int64_t bytes_per_second); /* 0: no limit */

/* Wait for one's turn and take `bytes`. False: *cancel (may be NULL) turned true while waiting. */
bool tm_bucket_take(struct tm_bucket *bucket, int64_t bytes, const atomic_bool *cancel);

#endif
