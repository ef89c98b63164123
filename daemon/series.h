/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series - what was captured, step by step: sums over equal stretches of time, for a plot.
 *
 * Steps begin at whole multiples of their length since 1970 (UTC), so that two questions have the same ones.
 *
 * Threads: one at a time.
 */
#ifndef TM_DAEMON_SERIES_H
#define TM_DAEMON_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

struct tmd_series {
    int64_t begin_ms; /* of the first step */
    int64_t step_ms;
    size_t count;
    struct tmd_series_step *at;
};

/* Steps of `step_ms` (> 0) that cover [since_ms, until_ms); the caller has seen to it that there are not too many. */
void tmd_series_init(
        struct tmd_series *series, int64_t since_ms, int64_t until_ms, int64_t step_ms);
void tmd_series_done(struct tmd_series *series);
/* A point of that time, with what it has that the one before it has not; outside of all steps: nothing. */
void tmd_series_add(struct tmd_series *series, int64_t at_ms, int64_t messages, int64_t bytes,
        int64_t lost_offsets);
/* As arrays of equal length, under "series". */
void tmd_series_write(const struct tmd_series *series, struct tm_json *json);

#endif
