/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/dump.h"
#include "catalog/rows.h"
#include "codec/parts.h"

static const char select_points[] =
        "SELECT p.id, p.ulid, p.time_ms, c.cluster_id, p.cluster_name, c.policy, p.flags"
        " FROM point p JOIN chain c ON c.id = p.chain ORDER BY p.id";
static const char select_marks[] =
        "SELECT point, note, tags, hold_until_ms, hold_reason FROM mark ORDER BY point";

static void read_point(const struct tm_stmt *stmt, struct tm_edits *out)
{
    struct tm_row_point *row = tm_vec_push(&out->points);
    *row = (struct tm_row_point){
            .id = (uint64_t)tm_sql_i64(stmt, 0),
            .time_ms = tm_sql_i64(stmt, 2),
            .cluster_id = tm_rows_slice(stmt, 3, &out->arena),
            .cluster_name = tm_rows_slice(stmt, 4, &out->arena),
            .policy = tm_rows_slice(stmt, 5, &out->arena),
            .flags = (uint32_t)tm_sql_i64(stmt, 6),
    };
    tm_sql_copy(stmt, 1, row->ulid.bytes, sizeof(row->ulid.bytes));
}

/* Changed rows of one point; the statement is bound to it. ---------------------------------- */

typedef enum tm_code (*read_rows)(struct tm_stmt *stmt, struct tm_row_point *point,
        struct tm_arena *arena, struct tm_err *err);

static const char select_gone[] = "SELECT stream FROM point_gone WHERE point = ? ORDER BY stream";

static enum tm_code read_gone(struct tm_stmt *stmt, struct tm_row_point *point,
        struct tm_arena *arena, struct tm_err *err)
{
    TM_VEC(uint32_t) rows = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (uint32_t)tm_sql_i64(stmt, 0);
    }
    tm_rows_keep(&rows, arena, &point->gone, &point->gone_count);
    return err->code;
}

static const char select_topics[] =
        "SELECT stream, partitions, replication_factor, configs FROM point_topic WHERE point = ?"
        " ORDER BY stream";

static enum tm_code read_topics(struct tm_stmt *stmt, struct tm_row_point *point,
        struct tm_arena *arena, struct tm_err *err)
{
    TM_VEC(struct tm_row_topic) rows = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        struct tm_row_topic *topic = tm_vec_push(&rows);
        topic->stream = (uint32_t)tm_sql_i64(stmt, 0);
        topic->partitions = (uint32_t)tm_sql_i64(stmt, 1);
        topic->replication_factor = (uint32_t)tm_sql_i64(stmt, 2);
        if (tm_rows_read_pairs(stmt, 3, arena, &topic->configs, &topic->config_count, err) !=
                TM_OK) {
            break;
        }
    }
    tm_rows_keep(&rows, arena, &point->topics, &point->topic_count);
    return err->code;
}

static const char select_parts[] =
        "SELECT stream, part, start, end, lso, high_watermark, status FROM point_part"
        " WHERE point = ? ORDER BY stream, part";

/* Packed: there may be millions of them in all. */
static enum tm_code read_parts(struct tm_stmt *stmt, struct tm_row_point *point,
        struct tm_arena *arena, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf packed = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        struct tm_row_part part = {
                .stream = (uint32_t)tm_sql_i64(stmt, 0),
                .partition = (int32_t)tm_sql_i64(stmt, 1),
                .start = tm_sql_i64(stmt, 2),
                .end = tm_sql_i64(stmt, 3),
                .lso = tm_sql_i64(stmt, 4),
                .high_watermark = tm_sql_i64(stmt, 5),
                .status = (enum tm_part_status)tm_sql_i64(stmt, 6),
        };
        tm_parts_pack(&part, 1, &packed);
        point->part_count++;
    }
    point->packed_parts = tm_arena_dup(arena, tm_buf_slice(&packed));
    return err->code;
}

static const char select_groups[] =
        "SELECT name, stream, part, next, metadata FROM point_group WHERE point = ?"
        " ORDER BY name, stream, part";

static enum tm_code read_groups(struct tm_stmt *stmt, struct tm_row_point *point,
        struct tm_arena *arena, struct tm_err *err)
{
    TM_VEC(struct tm_row_group) rows = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_row_group){
                .group = tm_rows_slice(stmt, 0, arena),
                .stream = (uint32_t)tm_sql_i64(stmt, 1),
                .partition = (int32_t)tm_sql_i64(stmt, 2),
                .offset = tm_sql_i64(stmt, 3),
                .metadata = tm_rows_slice(stmt, 4, arena),
        };
    }
    tm_rows_keep(&rows, arena, &point->groups, &point->group_count);
    return err->code;
}

static const char select_acls[] =
        "SELECT stream, acls FROM point_acl WHERE point = ? ORDER BY stream";

static enum tm_code read_acls(struct tm_stmt *stmt, struct tm_row_point *point,
        struct tm_arena *arena, struct tm_err *err)
{
    TM_VEC(struct tm_row_acl) rows = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        struct tm_row_acl *acl = tm_vec_push(&rows);
        acl->stream = (uint32_t)tm_sql_i64(stmt, 0);
        if (tm_rows_read_strings(stmt, 1, arena, &acl->acls, &acl->acl_count, err) != TM_OK) {
            break;
        }
    }
    tm_rows_keep(&rows, arena, &point->acls, &point->acl_count);
    return err->code;
}

static enum tm_code read_changed(
        struct tm_sql *sql, struct tm_row_point *point, struct tm_arena *arena, struct tm_err *err)
{
    static const struct {
        const char *text;
        read_rows read;
    } tables[] = {
            {select_gone, read_gone},
            {select_topics, read_topics},
            {select_parts, read_parts},
            {select_groups, read_groups},
            {select_acls, read_acls},
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        if (tm_sql_use(sql, tables[i].text, &stmt, err) != TM_OK) {
            return err->code;
        }
        tm_sql_bind_i64(&stmt, (int64_t)point->id);
        if (tables[i].read(&stmt, point, arena, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code read_mark(const struct tm_stmt *stmt, struct tm_arena *arena,
        struct tm_row_mark *mark, struct tm_err *err)
{
    *mark = (struct tm_row_mark){
            .point = (uint64_t)tm_sql_i64(stmt, 0),
            .note = tm_rows_slice(stmt, 1, arena),
            .hold_until_ms = tm_sql_i64(stmt, 3),
            .hold_reason = tm_rows_slice(stmt, 4, arena),
    };
    return tm_rows_read_strings(stmt, 2, arena, &mark->tags, &mark->tag_count, err);
}

enum tm_code tm_dump_points(struct tm_sql *sql, struct tm_edits *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt points = {0};
    TM_STMT_OWN struct tm_stmt marks = {0};
    bool row = false;
    if (tm_sql_use(sql, select_points, &points, err) != TM_OK ||
            tm_sql_use(sql, select_marks, &marks, err) != TM_OK) {
        return err->code;
    }
    while (tm_sql_step(&points, &row, err) == TM_OK && row) {
        read_point(&points, out);
    }
    for (size_t i = 0; i < out->points.count && err->code == TM_OK; i++) {
        (void)read_changed(sql, &out->points.at[i], &out->arena, err);
    }
    if (err->code != TM_OK) {
        return err->code;
    }
    while (tm_sql_step(&marks, &row, err) == TM_OK && row) {
        if (read_mark(&marks, &out->arena, tm_vec_push(&out->marks), err) != TM_OK) {
            return err->code;
        }
    }
    return err->code;
}
