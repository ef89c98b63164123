/* SPDX-License-Identifier: Apache-2.0 */
/*
 * points - a point's own row, and the whole rows it stands for. Threads: as the handle; the caller
 * holds a transaction.
 */
#ifndef TM_CATALOG_POINTS_H
#define TM_CATALOG_POINTS_H

#include "catalog/catalog.h"
#include "catalog/rows.h"

/* The columns that tm_points_read_row() reads. */
#define TM_POINTS_SELECT \
    "SELECT p.id, p.chain, p.ulid, p.time_ms, p.cluster_name, p.flags, c.cluster_id, c.policy," \
    " m.note, m.tags, m.hold_until_ms, m.hold_reason" \
    " FROM point p JOIN chain c ON c.id = p.chain LEFT JOIN mark m ON m.point = p.id"

/* The point without its lists, and its mark. */
enum tm_code tm_points_read_row(const struct tm_stmt *stmt, struct tm_arena *arena,
        struct tm_row_point *row, struct tm_row_mark *mark, struct tm_err *err) TM_MUST_CHECK;

/*
 * In point_rows.c: fold the changed rows of the points of `chain` up to point->row.id into whole ones,
 * and the streams they name. O(keys * log(rows)), however many points there are.
 */
enum tm_code tm_point_rows_read(struct tm_sql *sql, int64_t chain, struct tm_arena *arena,
        struct tm_point *point, struct tm_err *err) TM_MUST_CHECK;

#endif
