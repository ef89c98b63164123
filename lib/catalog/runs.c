/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/runs.h"

#include "catalog/handle.h"
#include "catalog/rows.h"

/* Products of two offsets do not fit 64 bits. */
__extension__ typedef unsigned __int128 wide;

int64_t tm_runs_share(int64_t amount, int64_t first, int64_t length, int64_t offset)
{
    if (offset <= first) {
        return 0;
    }
    if (offset - first >= length) {
        return amount;
    }
    return (int64_t)((wide)(uint64_t)amount * (uint64_t)(offset - first) / (uint64_t)length);
}

/*
 * Rows of a stream partition that meet [start, end). What is listed there does not overlap, so only the
 * last row that begins at or before `start` can reach into it.
 */
#define MEETS(table) \
    " stream = ?1 AND part = ?2 AND first < ?4 AND first + length > ?3 AND ?3 < ?4" \
    " AND first >= coalesce((SELECT max(first) FROM " table \
    " WHERE stream = ?1 AND part = ?2 AND first <= ?3), ?3)"

static const char select_runs[] =
        "SELECT r.first, r.length, r.count, r.bytes, r.largest, r.ts_min, r.ts_max, p.name, p.size"
        " FROM run r JOIN pack p ON p.id = r.pack WHERE" MEETS("run") " ORDER BY r.first";
static const char select_gaps[] =
        "SELECT first, length, reason FROM gap WHERE" MEETS("gap") " ORDER BY first";

static void bind_range(
        struct tm_stmt *stmt, uint32_t stream, int32_t partition, int64_t start, int64_t end)
{
    tm_sql_bind_i64(stmt, stream);
    tm_sql_bind_i64(stmt, partition);
    tm_sql_bind_i64(stmt, start);
    tm_sql_bind_i64(stmt, end);
}

/* NOLINTNEXTLINE(readability-function-size): nine parameters, each needed */
enum tm_code tm_catalog_runs(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, struct tm_arena *arena, struct tm_stored_run **out,
        size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_runs, &stmt, err) != TM_OK) {
        return err->code;
    }
    bind_range(&stmt, stream, partition, start, end);
    TM_VEC(struct tm_stored_run) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_stored_run *stored = tm_vec_push(&rows);
        stored->run = (struct tm_run){
                .stream = stream,
                .partition = partition,
                .first = tm_sql_i64(&stmt, 0),
                .length = tm_sql_i64(&stmt, 1),
                .count = tm_sql_i64(&stmt, 2),
                .bytes = tm_sql_i64(&stmt, 3),
                .largest = tm_sql_i64(&stmt, 4),
                .ts_min = tm_sql_i64(&stmt, 5),
                .ts_max = tm_sql_i64(&stmt, 6),
        };
        tm_sql_copy(&stmt, 7, stored->pack.bytes, sizeof(stored->pack.bytes));
        stored->pack_size = (uint64_t)tm_sql_i64(&stmt, 8);
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}

/* NOLINTNEXTLINE(readability-function-size): nine parameters, each needed */
enum tm_code tm_catalog_gaps(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, struct tm_arena *arena, struct tm_row_gap **out, size_t *count,
        struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_gaps, &stmt, err) != TM_OK) {
        return err->code;
    }
    bind_range(&stmt, stream, partition, start, end);
    TM_VEC(struct tm_row_gap) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_row_gap){
                .stream = stream,
                .partition = partition,
                .from = tm_sql_i64(&stmt, 0),
                .length = tm_sql_i64(&stmt, 1),
                .reason = (enum tm_gap_reason)tm_sql_i64(&stmt, 2),
        };
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}

/* Totals ----------------------------------------------------------------------------------- */

static const char select_amounts[] =
        "SELECT first, length, count, bytes, largest, ts_min, ts_max FROM run WHERE" MEETS("run");
static const char select_losses[] =
        "SELECT first, length, reason FROM gap WHERE" MEETS("gap") " AND reason <> 5";
_Static_assert(TM_GAP_SKIPPED == 5, "the text above knows it by number");

/* What lies in [start, end) of an amount of a row. */
static int64_t within(const struct tm_stmt *stmt, int64_t amount, int64_t start, int64_t end)
{
    int64_t first = tm_sql_i64(stmt, 0);
    int64_t length = tm_sql_i64(stmt, 1);
    return tm_runs_share(amount, first, length, end) - tm_runs_share(amount, first, length, start);
}

static void add_run(
        const struct tm_stmt *stmt, int64_t start, int64_t end, struct tm_part_totals *totals)
{
    int64_t records = within(stmt, tm_sql_i64(stmt, 2), start, end);
    totals->messages += records;
    totals->holes += within(stmt, tm_sql_i64(stmt, 1), start, end) - records;
    totals->bytes += within(stmt, tm_sql_i64(stmt, 3), start, end);

    int64_t largest = tm_sql_i64(stmt, 4);
    int64_t ts_min = tm_sql_i64(stmt, 5);
    int64_t ts_max = tm_sql_i64(stmt, 6);
    totals->largest = largest > totals->largest ? largest : totals->largest;
    totals->ts_min = ts_min < totals->ts_min ? ts_min : totals->ts_min;
    totals->ts_max = ts_max > totals->ts_max ? ts_max : totals->ts_max;
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_catalog_part_totals(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, struct tm_part_totals *out, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt runs = {0};
    TM_STMT_OWN struct tm_stmt gaps = {0};
    if (tm_sql_begin_read(catalog->sql, &txn, err) != TM_OK ||
            tm_sql_use(catalog->sql, select_amounts, &runs, err) != TM_OK ||
            tm_sql_use(catalog->sql, select_losses, &gaps, err) != TM_OK) {
        return err->code;
    }
    struct tm_part_totals totals = {.ts_min = INT64_MAX, .ts_max = INT64_MIN};
    bool row = false;
    bind_range(&runs, stream, partition, start, end);
    while (tm_sql_step(&runs, &row, err) == TM_OK && row) {
        add_run(&runs, start, end, &totals);
    }
    if (err->code != TM_OK) {
        return err->code;
    }
    bind_range(&gaps, stream, partition, start, end);
    while (tm_sql_step(&gaps, &row, err) == TM_OK && row) {
        bool hole = tm_sql_i64(&gaps, 2) == TM_GAP_NO_RECORDS;
        *(hole ? &totals.holes : &totals.lost) += within(&gaps, tm_sql_i64(&gaps, 1), start, end);
    }
    if (err->code != TM_OK) {
        return err->code;
    }
    *out = totals;
    return TM_OK;
}
