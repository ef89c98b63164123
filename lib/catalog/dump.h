/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump - the folded state as the edits of a full.
 *
 * Threads: as the handle. The caller holds a transaction.
 */
#ifndef TM_CATALOG_DUMP_H
#define TM_CATALOG_DUMP_H

#include "catalog/sql.h"
#include "codec/entry.h"

/*
 * Forget what a full made at `now_ms` leaves out: `swept` ids after 30 days; `moved` ids that are
 * neither dropped nor swept (so at least 30 days after the move) and that no pack depends on, be it by
 * way of other moves.
 */
enum tm_code tm_dump_prune(struct tm_sql *sql, int64_t now_ms, struct tm_err *err) TM_MUST_CHECK;

/* All that is there. `out` is a zeroed struct, and is one again after a failure. */
enum tm_code tm_dump_state(
        struct tm_sql *sql, int64_t now_ms, struct tm_edits *out, struct tm_err *err) TM_MUST_CHECK;

/* The part of it in dump_points.c: points with their changed rows, and marks. */
enum tm_code tm_dump_points(
        struct tm_sql *sql, struct tm_edits *out, struct tm_err *err) TM_MUST_CHECK;

#endif
