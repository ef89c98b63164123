/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/retained.h"

#include "catalog/handle.h"
#include "catalog/points.h"

static const char select_heads[] = TM_POINTS_SELECT " ORDER BY c.cluster_id, c.policy, p.id";
static const char select_head[] = TM_POINTS_SELECT " WHERE p.ulid = ?";

static enum tm_code read_head(const struct tm_stmt *stmt, struct tm_arena *arena,
        struct tm_point_head *out, struct tm_err *err)
{
    struct tm_row_point row;
    if (tm_points_read_row(stmt, arena, &row, &out->mark, err) != TM_OK) {
        return err->code;
    }
    out->id = row.id;
    out->ulid = row.ulid;
    out->time_ms = row.time_ms;
    out->flags = row.flags;
    out->cluster_id = row.cluster_id;
    out->cluster_name = row.cluster_name;
    out->policy = row.policy;
    return TM_OK;
}

enum tm_code tm_catalog_point_heads(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_point_head **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_heads, &stmt, err) != TM_OK) {
        return err->code;
    }
    TM_VEC(struct tm_point_head) heads = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        if (read_head(&stmt, arena, tm_vec_push(&heads), err) != TM_OK) {
            break;
        }
    }
    if (err->code != TM_OK) {
        tm_vec_done(&heads);
        return err->code;
    }
    tm_rows_keep(&heads, arena, out, count);
    return TM_OK;
}

enum tm_code tm_catalog_point_head(struct tm_catalog *catalog, const struct tm_id16 *ulid,
        struct tm_arena *arena, struct tm_point_head *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    struct tm_point_head head = {0};
    bool row = false;
    if (tm_sql_use(catalog->sql, select_head, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, ulid->bytes, sizeof(ulid->bytes));
    if (tm_sql_step(&stmt, &row, err) != TM_OK ||
            (row && read_head(&stmt, arena, &head, err) != TM_OK)) {
        return err->code;
    }
    *out = head;
    return TM_OK;
}

/* From one stream to the next by the index: a policy has many rows, and few streams. */
static const char select_next_stream[] =
        "SELECT min(stream) FROM point_part WHERE chain ="
        " (SELECT id FROM chain WHERE cluster_id = ?1 AND policy = ?2) AND stream > ?3";

enum tm_code tm_catalog_policy_streams(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, struct tm_arena *arena, uint32_t **out, size_t *count,
        struct tm_err *err)
{
    TM_VEC(uint32_t) streams = {0};
    int64_t last = 0;
    bool more = true;
    while (more && err->code == TM_OK) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        bool row = false;
        if (tm_sql_use(catalog->sql, select_next_stream, &stmt, err) != TM_OK) {
            break;
        }
        tm_sql_bind_slice(&stmt, cluster_id);
        tm_sql_bind_slice(&stmt, policy);
        tm_sql_bind_i64(&stmt, last);
        if (tm_sql_step(&stmt, &row, err) != TM_OK) {
            break;
        }
        more = row && !tm_sql_is_null(&stmt, 0);
        if (more) {
            last = tm_sql_i64(&stmt, 0);
            *tm_vec_push(&streams) = (uint32_t)last;
        }
    }
    if (err->code != TM_OK) {
        tm_vec_done(&streams);
        return err->code;
    }
    tm_rows_keep(&streams, arena, out, count);
    return TM_OK;
}

/* A stream stays in the points that follow until one says that it is gone; its rows come after that. */
static const char select_has[] =
        "SELECT (SELECT max(t.point) FROM point_topic t WHERE t.chain = c.id AND t.stream = ?3)"
        " >= coalesce((SELECT max(g.point) FROM point_gone g WHERE g.chain = c.id"
        " AND g.stream = ?3), 0) FROM chain c WHERE c.cluster_id = ?1 AND c.policy = ?2";

enum tm_code tm_catalog_policy_has(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, uint32_t stream, bool *has, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(catalog->sql, select_has, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, cluster_id);
    tm_sql_bind_slice(&stmt, policy);
    tm_sql_bind_i64(&stmt, stream);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *has = row && !tm_sql_is_null(&stmt, 0) && tm_sql_i64(&stmt, 0) != 0;
    return TM_OK;
}

static const char select_keeps[] =
        "SELECT stream, policy, seconds FROM keep ORDER BY stream, policy";

enum tm_code tm_catalog_keeps(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_row_keep **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_keeps, &stmt, err) != TM_OK) {
        return err->code;
    }
    TM_VEC(struct tm_row_keep) keeps = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&keeps) = (struct tm_row_keep){
                .stream = (uint32_t)tm_sql_i64(&stmt, 0),
                .policy = tm_rows_slice(&stmt, 1, arena),
                .seconds = (uint64_t)tm_sql_i64(&stmt, 2),
        };
    }
    if (err->code != TM_OK) {
        tm_vec_done(&keeps);
        return err->code;
    }
    tm_rows_keep(&keeps, arena, out, count);
    return TM_OK;
}
