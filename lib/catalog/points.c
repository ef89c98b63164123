/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/points.h"

#include <stdlib.h>

#include "catalog/damage.h"
#include "catalog/handle.h"

static const char select_point[] = TM_POINTS_SELECT " WHERE p.ulid = ?";
static const char select_newest[] =
        TM_POINTS_SELECT " WHERE c.cluster_id = ? AND c.policy = ? ORDER BY p.id DESC LIMIT 1";

enum tm_code tm_points_read_row(const struct tm_stmt *stmt, struct tm_arena *arena,
        struct tm_row_point *row, struct tm_row_mark *mark, struct tm_err *err)
{
    *row = (struct tm_row_point){
            .id = (uint64_t)tm_sql_i64(stmt, 0),
            .time_ms = tm_sql_i64(stmt, 3),
            .cluster_name = tm_rows_slice(stmt, 4, arena),
            .flags = (uint32_t)tm_sql_i64(stmt, 5),
            .cluster_id = tm_rows_slice(stmt, 6, arena),
            .policy = tm_rows_slice(stmt, 7, arena),
    };
    tm_sql_copy(stmt, 2, row->ulid.bytes, sizeof(row->ulid.bytes));
    *mark = (struct tm_row_mark){0};
    if (tm_sql_is_null(stmt, 8)) {
        return TM_OK;
    }
    mark->point = row->id;
    mark->note = tm_rows_slice(stmt, 8, arena);
    mark->hold_until_ms = tm_sql_i64(stmt, 10);
    mark->hold_reason = tm_rows_slice(stmt, 11, arena);
    return tm_rows_read_strings(stmt, 9, arena, &mark->tags, &mark->tag_count, err);
}

static enum tm_code is_damaged(
        struct tm_sql *sql, int64_t chain, uint64_t point, bool *out, struct tm_err *err)
{
    struct tm_presences damaged = {0};
    enum tm_code code = tm_damage_read(sql, &damaged, err);
    *out = code == TM_OK && tm_presences_has(&damaged, chain, (int64_t)point);
    tm_presences_done(&damaged);
    return code;
}

/* The point that the statement, once bound, gives; row.id is 0 when it gives none. */
static enum tm_code read_point(
        struct tm_stmt *stmt, struct tm_arena *arena, struct tm_point *out, struct tm_err *err)
{
    bool found = false;
    struct tm_point point = {0};
    if (tm_sql_step(stmt, &found, err) != TM_OK) {
        return err->code;
    }
    if (found) {
        int64_t chain = tm_sql_i64(stmt, 1);
        if (tm_points_read_row(stmt, arena, &point.row, &point.mark, err) != TM_OK ||
                tm_point_rows_read(stmt->sql, chain, arena, &point, err) != TM_OK ||
                is_damaged(stmt->sql, chain, point.row.id, &point.damaged, err) != TM_OK) {
            return err->code;
        }
    }
    *out = point;
    return TM_OK;
}

enum tm_code tm_catalog_point(struct tm_catalog *catalog, const struct tm_id16 *ulid,
        struct tm_arena *arena, struct tm_point *out, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_begin_read(catalog->sql, &txn, err) != TM_OK ||
            tm_sql_use(catalog->sql, select_point, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, ulid->bytes, sizeof(ulid->bytes));
    return read_point(&stmt, arena, out, err);
}

enum tm_code tm_catalog_newest_point(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, struct tm_arena *arena, struct tm_point *out, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_begin_read(catalog->sql, &txn, err) != TM_OK ||
            tm_sql_use(catalog->sql, select_newest, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, cluster_id);
    tm_sql_bind_slice(&stmt, policy);
    return read_point(&stmt, arena, out, err);
}

static const char select_totals[] =
        "SELECT count(*), coalesce(min(time_ms), 0), coalesce(max(time_ms), 0) FROM point"
        " WHERE chain IN (SELECT id FROM chain WHERE policy = ?)";

enum tm_code tm_catalog_point_totals(struct tm_catalog *catalog, const char *policy,
        struct tm_point_totals *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(catalog->sql, select_totals, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, tm_slice_str(policy));
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = (struct tm_point_totals){
            .count = tm_sql_i64(&stmt, 0),
            .oldest_ms = tm_sql_i64(&stmt, 1),
            .newest_ms = tm_sql_i64(&stmt, 2),
    };
    return TM_OK;
}

/* A point that was read ---------------------------------------------------------------------- */

static int by_id(const void *id, const void *stream)
{
    uint32_t a = *(const uint32_t *)id;
    uint32_t b = ((const struct tm_stream *)stream)->id;
    return (a > b) - (a < b);
}

const struct tm_stream *tm_point_stream(const struct tm_point *point, uint32_t id)
{
    return point->stream_count > 0 ? bsearch(&id, point->streams, point->stream_count,
                                             sizeof(*point->streams), by_id)
                                   : NULL;
}

struct tm_slice tm_point_topic(const struct tm_point *point, uint32_t id)
{
    const struct tm_stream *stream = tm_point_stream(point, id);
    return stream != NULL ? stream->topic : tm_slice_str("");
}
