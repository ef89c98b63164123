/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/watch.h"

#include "base/vec.h"
#include "catalog/handle.h"
#include "catalog/rows.h"

static const char select_watch[] =
        "SELECT part, whole_ms, stuck_at, stuck_ms, old_ms, old_start, old_end, new_ms, new_start,"
        " new_end FROM watch WHERE stream = ? ORDER BY part";
static const char insert_watch[] =
        "INSERT OR REPLACE INTO watch (stream, part, whole_ms, stuck_at, stuck_ms, old_ms,"
        " old_start, old_end, new_ms, new_start, new_end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/* Rows of all chains: whoever stored it, it is stored. */
#define FROM_ROWS \
    " FROM chain c JOIN point_part r ON r.chain = c.id AND r.stream = ?1 AND r.part = ?2" \
    " JOIN point p ON p.id = r.point WHERE "
static const char select_whole[] =
        "SELECT coalesce(max(p.time_ms), 0)" FROM_ROWS "r.end = ?3 AND r.status = 0";
static const char select_stuck[] =
        "SELECT coalesce(min(p.time_ms), 0)" FROM_ROWS "r.lso = ?3 AND r.high_watermark > ?3";

static struct tm_watch_mark read_mark(const struct tm_stmt *stmt, int column)
{
    return (struct tm_watch_mark){
            .at_ms = tm_sql_i64(stmt, column),
            .start = tm_sql_i64(stmt, column + 1),
            .end = tm_sql_i64(stmt, column + 2),
    };
}

enum tm_code tm_watch_read(struct tm_catalog *catalog, uint32_t stream, struct tm_arena *arena,
        struct tm_watch **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_watch) rows = {0};
    bool row = false;
    TM_TRY(tm_sql_use(catalog->sql, select_watch, &stmt, err));
    tm_sql_bind_i64(&stmt, stream);
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_watch){
                .stream = stream,
                .partition = (int32_t)tm_sql_i64(&stmt, 0),
                .whole_ms = tm_sql_i64(&stmt, 1),
                .stuck_at = tm_sql_i64(&stmt, 2),
                .stuck_ms = tm_sql_i64(&stmt, 3),
                .old = read_mark(&stmt, 4),
                .young = read_mark(&stmt, 7),
        };
    }
    if (err->code == TM_OK) {
        tm_rows_keep(&rows, arena, out, count);
    }
    tm_vec_done(&rows);
    return err->code;
}

static void bind_mark(struct tm_stmt *stmt, const struct tm_watch_mark *mark)
{
    tm_sql_bind_i64(stmt, mark->at_ms);
    tm_sql_bind_i64(stmt, mark->start);
    tm_sql_bind_i64(stmt, mark->end);
}

static enum tm_code put(struct tm_sql *sql, const struct tm_watch *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, insert_watch, &stmt, err));
    tm_sql_bind_i64(&stmt, row->stream);
    tm_sql_bind_i64(&stmt, row->partition);
    tm_sql_bind_i64(&stmt, row->whole_ms);
    tm_sql_bind_i64(&stmt, row->stuck_at);
    tm_sql_bind_i64(&stmt, row->stuck_ms);
    bind_mark(&stmt, &row->old);
    bind_mark(&stmt, &row->young);
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_watch_put(
        struct tm_catalog *catalog, const struct tm_watch *rows, size_t count, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    if (count == 0) {
        return TM_OK;
    }
    TM_TRY(tm_sql_begin_write(catalog->sql, &txn, err));
    for (size_t i = 0; i < count; i++) {
        TM_TRY(put(catalog->sql, &rows[i], err));
    }
    return tm_sql_commit(&txn, err);
}

/* A time that points tell of a partition and an offset of it. */
static enum tm_code ask(struct tm_catalog *catalog, const char *text, int64_t stream,
        int64_t partition, int64_t offset, int64_t *time_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(tm_sql_use(catalog->sql, text, &stmt, err));
    tm_sql_bind_i64(&stmt, stream);
    tm_sql_bind_i64(&stmt, partition);
    tm_sql_bind_i64(&stmt, offset);
    TM_TRY(tm_sql_step(&stmt, &row, err));
    *time_ms = tm_sql_i64(&stmt, 0);
    return TM_OK;
}

enum tm_code tm_watch_whole_of(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t end, int64_t *time_ms, struct tm_err *err)
{
    return ask(catalog, select_whole, stream, partition, end, time_ms, err);
}

enum tm_code tm_watch_stuck_of(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t lso, int64_t *time_ms, struct tm_err *err)
{
    return ask(catalog, select_stuck, stream, partition, lso, time_ms, err);
}
