/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live_points - which offsets of each stream partition the retained points need, and which runs are
 * thereby live. For live.c alone. Threads: as the handle; the caller holds a transaction.
 */
#ifndef TM_CATALOG_LIVE_POINTS_H
#define TM_CATALOG_LIVE_POINTS_H

#include "catalog/live.h"
#include "catalog/sql.h"

struct tm_live_points;

/* One pass over the points' changed rows. */
enum tm_code tm_live_points_read(struct tm_sql *sql, const struct tm_live_query *query,
        struct tm_live_points **out, struct tm_err *err) TM_MUST_CHECK;
void tm_live_points_free(struct tm_live_points *points);
TM_OWNABLE(struct tm_live_points *, tm_live_points_free);

/* Is the run live, of a pack stored at `stored_ms`? */
bool tm_live_points_need(
        const struct tm_live_points *points, const struct tm_run *run, int64_t stored_ms);

#endif
