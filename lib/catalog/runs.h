/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs - how much of a run lies below an offset, for the sums of this folder. Threads: any.
 */
#ifndef TM_CATALOG_RUNS_H
#define TM_CATALOG_RUNS_H

#include <stdint.h>

/*
 * The part of `amount`, spread evenly over [first, first + length), that lies below `offset`, rounded
 * down. Exact at both ends, and parts of neighbouring ranges add up to the whole.
 */
int64_t tm_runs_share(int64_t amount, int64_t first, int64_t length, int64_t offset);

#endif
