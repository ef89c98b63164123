/* SPDX-License-Identifier: Apache-2.0 */
/*
 * damage - which points have something of a range, and which are damaged. Threads: as the handle; the
 * caller holds a transaction.
 */
#ifndef TM_CATALOG_DAMAGE_H
#define TM_CATALOG_DAMAGE_H

#include "catalog/point_list.h"

struct tm_damaged_range { /* offsets [first, end) */
    int64_t stream;
    int64_t partition;
    int64_t first;
    int64_t end;
};

/*
 * Add the points that have any of the range to `out`. Start and end of a partition only grow from point to
 * point, so both bounds are found by halving: O(chains * log(points)) seeks, and a look at each time the stream
 * left the points.
 */
enum tm_code tm_damage_add(struct tm_sql *sql, const struct tm_damaged_range *range,
        struct tm_presences *out, struct tm_err *err) TM_MUST_CHECK;

/* The points that meet any finding that counts; joined where they touch. */
enum tm_code tm_damage_read(
        struct tm_sql *sql, struct tm_presences *out, struct tm_err *err) TM_MUST_CHECK;

#endif
