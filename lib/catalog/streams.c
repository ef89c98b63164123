/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/streams.h"

#include "catalog/handle.h"
#include "catalog/rows.h"

static const char select_newest[] =
        "SELECT id, incarnation, topic_id, created_ms, cluster_id, topic FROM stream"
        " WHERE cluster_id = ? AND topic = ? ORDER BY incarnation DESC LIMIT 1";
static const char select_by_id[] =
        "SELECT id, incarnation, topic_id, created_ms, cluster_id, topic FROM stream WHERE id = ?";

static const char select_streams[] =
        "SELECT id, incarnation, topic_id, created_ms, cluster_id, topic FROM stream ORDER BY id";

static void read_row(const struct tm_stmt *stmt, struct tm_arena *arena, struct tm_stream *out)
{
    out->id = (uint32_t)tm_sql_i64(stmt, 0);
    out->incarnation = (uint32_t)tm_sql_i64(stmt, 1);
    tm_sql_copy(stmt, 2, out->topic_id.bytes, sizeof(out->topic_id.bytes));
    out->created_ms = tm_sql_i64(stmt, 3);
    out->cluster_id = tm_rows_slice(stmt, 4, arena);
    out->topic = tm_rows_slice(stmt, 5, arena);
}

/* The one row of a statement that is bound; a zeroed struct when there is none. */
static enum tm_code read_stream(
        struct tm_stmt *stmt, struct tm_arena *arena, struct tm_stream *out, struct tm_err *err)
{
    bool row = false;
    if (tm_sql_step(stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = (struct tm_stream){0};
    if (row) {
        read_row(stmt, arena, out);
    }
    return TM_OK;
}

enum tm_code tm_catalog_streams(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_stream **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_stream) streams = {0};
    bool row = false;
    enum tm_code code = tm_sql_use(catalog->sql, select_streams, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        read_row(&stmt, arena, tm_vec_push(&streams));
    }
    if (code == TM_OK) {
        tm_rows_keep(&streams, arena, out, count);
    }
    tm_vec_done(&streams);
    return code;
}

enum tm_code tm_streams_read(struct tm_sql *sql, uint32_t id, struct tm_arena *arena,
        struct tm_stream *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_by_id, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, id);
    return read_stream(&stmt, arena, out, err);
}

enum tm_code tm_catalog_stream(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice topic, struct tm_arena *arena, struct tm_stream *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_newest, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, cluster_id);
    tm_sql_bind_slice(&stmt, topic);
    return read_stream(&stmt, arena, out, err);
}

enum tm_code tm_catalog_stream_by_id(struct tm_catalog *catalog, uint32_t id,
        struct tm_arena *arena, struct tm_stream *out, struct tm_err *err)
{
    return tm_streams_read(catalog->sql, id, arena, out, err);
}

static const char select_last_ids[] = "SELECT coalesce((SELECT max(id) FROM stream), 0), "
                                      "coalesce((SELECT max(id) FROM point), 0)";

enum tm_code tm_catalog_last_ids(
        struct tm_catalog *catalog, uint32_t *stream, uint64_t *point, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(catalog->sql, select_last_ids, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *stream = (uint32_t)tm_sql_i64(&stmt, 0);
    *point = (uint64_t)tm_sql_i64(&stmt, 1);
    return TM_OK;
}

static const char select_tails[] =
        "SELECT part, next, covered, back, leader_epoch, timestamp_ms, tag FROM tail"
        " WHERE stream = ? ORDER BY part";

enum tm_code tm_catalog_tails(struct tm_catalog *catalog, uint32_t stream, struct tm_arena *arena,
        struct tm_row_tail **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_tails, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, stream);
    TM_VEC(struct tm_row_tail) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_row_tail *tail = tm_vec_push(&rows);
        *tail = (struct tm_row_tail){
                .stream = stream,
                .partition = (int32_t)tm_sql_i64(&stmt, 0),
                .next = tm_sql_i64(&stmt, 1),
                .covered = tm_sql_i64(&stmt, 2),
                .back = tm_sql_i64(&stmt, 3),
                .leader_epoch = (int32_t)tm_sql_i64(&stmt, 4),
                .timestamp_ms = tm_sql_i64(&stmt, 5),
        };
        tm_sql_copy(&stmt, 6, tail->tag.bytes, sizeof(tail->tag.bytes));
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}
