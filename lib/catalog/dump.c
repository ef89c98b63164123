/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/dump.h"

#include "catalog/rows.h"

static const int64_t swept_kept_ms = INT64_C(30) * 86400000;

/* Pruning ---------------------------------------------------------------------------------- */

static const char delete_swept[] = "DELETE FROM swept WHERE time_ms < ?";
static const char delete_moved[] = "DELETE FROM moved WHERE name NOT IN (SELECT name FROM dropped)"
                                   " AND name NOT IN (SELECT name FROM swept)"
                                   " AND name NOT IN (SELECT target FROM dep)"
                                   " AND name NOT IN (SELECT successor FROM moved)";

enum tm_code tm_dump_prune(struct tm_sql *sql, int64_t now_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt swept = {0};
    TM_STMT_OWN struct tm_stmt moved = {0};
    if (tm_sql_use(sql, delete_swept, &swept, err) != TM_OK ||
            tm_sql_use(sql, delete_moved, &moved, err) != TM_OK) {
        return err->code;
    }
    int64_t before = now_ms < INT64_MIN + swept_kept_ms ? INT64_MIN : now_ms - swept_kept_ms;
    tm_sql_bind_i64(&swept, before);
    if (tm_sql_run(&swept, err) != TM_OK) {
        return err->code;
    }
    /* A move out of use may have been all that kept the next one. */
    do {
        if (tm_sql_run(&moved, err) != TM_OK) {
            return err->code;
        }
    } while (tm_sql_changes(sql) > 0);
    return TM_OK;
}

/* Rows ------------------------------------------------------------------------------------- */

/* Step through the rows of `text`; `read` adds one to `out`. */
typedef void (*read_row)(const struct tm_stmt *stmt, struct tm_edits *out);

static enum tm_code read_all(struct tm_sql *sql, const char *text, read_row read,
        struct tm_edits *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, text, &stmt, err) != TM_OK) {
        return err->code;
    }
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        read(&stmt, out);
    }
    return err->code;
}

static const char select_params[] = "SELECT name, value FROM param ORDER BY name";

static void read_param(const struct tm_stmt *stmt, struct tm_edits *out)
{
    *tm_vec_push(&out->params) = (struct tm_row_param){
            .name = tm_rows_slice(stmt, 0, &out->arena),
            .value = tm_rows_slice(stmt, 1, &out->arena),
    };
}

static const char select_streams[] =
        "SELECT id, cluster_id, topic, incarnation, topic_id, created_ms FROM stream ORDER BY id";

static void read_stream(const struct tm_stmt *stmt, struct tm_edits *out)
{
    struct tm_row_stream *row = tm_vec_push(&out->streams);
    *row = (struct tm_row_stream){
            .id = (uint32_t)tm_sql_i64(stmt, 0),
            .cluster_id = tm_rows_slice(stmt, 1, &out->arena),
            .topic = tm_rows_slice(stmt, 2, &out->arena),
            .incarnation = (uint32_t)tm_sql_i64(stmt, 3),
            .created_ms = tm_sql_i64(stmt, 5),
    };
    tm_sql_copy(stmt, 4, row->topic_id.bytes, sizeof(row->topic_id.bytes));
}

static const char select_keeps[] =
        "SELECT stream, policy, seconds FROM keep ORDER BY stream, policy";

static void read_keep(const struct tm_stmt *stmt, struct tm_edits *out)
{
    *tm_vec_push(&out->keeps) = (struct tm_row_keep){
            .stream = (uint32_t)tm_sql_i64(stmt, 0),
            .policy = tm_rows_slice(stmt, 1, &out->arena),
            .seconds = (uint64_t)tm_sql_i64(stmt, 2),
    };
}

static const char select_gaps[] =
        "SELECT stream, part, first, length, reason FROM gap ORDER BY stream, part, first";

static void read_gap(const struct tm_stmt *stmt, struct tm_edits *out)
{
    *tm_vec_push(&out->gaps) = (struct tm_row_gap){
            .stream = (uint32_t)tm_sql_i64(stmt, 0),
            .partition = (int32_t)tm_sql_i64(stmt, 1),
            .from = tm_sql_i64(stmt, 2),
            .length = tm_sql_i64(stmt, 3),
            .reason = (enum tm_gap_reason)tm_sql_i64(stmt, 4),
    };
}

static const char select_tails[] =
        "SELECT stream, part, next, covered, back, leader_epoch, timestamp_ms, tag FROM tail"
        " ORDER BY stream, part";

static void read_tail(const struct tm_stmt *stmt, struct tm_edits *out)
{
    struct tm_row_tail *row = tm_vec_push(&out->tails);
    *row = (struct tm_row_tail){
            .stream = (uint32_t)tm_sql_i64(stmt, 0),
            .partition = (int32_t)tm_sql_i64(stmt, 1),
            .next = tm_sql_i64(stmt, 2),
            .covered = tm_sql_i64(stmt, 3),
            .back = tm_sql_i64(stmt, 4),
            .leader_epoch = (int32_t)tm_sql_i64(stmt, 5),
            .timestamp_ms = tm_sql_i64(stmt, 6),
    };
    tm_sql_copy(stmt, 7, row->tag.bytes, sizeof(row->tag.bytes));
}

static const char select_dropped[] = "SELECT name, time_ms FROM dropped ORDER BY name";
static const char select_swept[] = "SELECT name, time_ms FROM swept ORDER BY name";

static void read_dated(const struct tm_stmt *stmt, struct tm_row_dated *row)
{
    row->time_ms = tm_sql_i64(stmt, 1);
    tm_sql_copy(stmt, 0, row->name.bytes, sizeof(row->name.bytes));
}

static void read_dropped(const struct tm_stmt *stmt, struct tm_edits *out)
{
    read_dated(stmt, tm_vec_push(&out->dropped));
}

static void read_swept(const struct tm_stmt *stmt, struct tm_edits *out)
{
    read_dated(stmt, tm_vec_push(&out->swept));
}

static const char select_writers[] =
        "SELECT cluster_id, policy, writer, time_ms FROM writer ORDER BY cluster_id, policy";

static void read_writer(const struct tm_stmt *stmt, struct tm_edits *out)
{
    *tm_vec_push(&out->writers) = (struct tm_row_writer){
            .cluster_id = tm_rows_slice(stmt, 0, &out->arena),
            .policy = tm_rows_slice(stmt, 1, &out->arena),
            .writer = tm_rows_slice(stmt, 2, &out->arena),
            .time_ms = tm_sql_i64(stmt, 3),
    };
}

/* Packs ------------------------------------------------------------------------------------ */

static const char select_packs[] = "SELECT id, name, size, stored_ms FROM pack ORDER BY name";
static const char select_deps[] = "SELECT target FROM dep WHERE pack = ? ORDER BY target";
static const char select_runs[] =
        "SELECT stream, part, first, length, count, bytes, largest, ts_min, ts_max FROM run"
        " WHERE pack = ? ORDER BY stream, part, first";

static enum tm_code read_deps(
        struct tm_stmt *stmt, struct tm_row_pack *pack, struct tm_arena *arena, struct tm_err *err)
{
    TM_VEC(struct tm_hash) deps = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        struct tm_hash *dep = tm_vec_push(&deps);
        tm_sql_copy(stmt, 0, dep->bytes, sizeof(dep->bytes));
    }
    tm_rows_keep(&deps, arena, &pack->deps, &pack->dep_count);
    return err->code;
}

static enum tm_code read_runs(
        struct tm_stmt *stmt, struct tm_row_pack *pack, struct tm_arena *arena, struct tm_err *err)
{
    TM_VEC(struct tm_run) runs = {0};
    bool row = false;
    while (tm_sql_step(stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&runs) = (struct tm_run){
                .stream = (uint32_t)tm_sql_i64(stmt, 0),
                .partition = (int32_t)tm_sql_i64(stmt, 1),
                .first = tm_sql_i64(stmt, 2),
                .length = tm_sql_i64(stmt, 3),
                .count = tm_sql_i64(stmt, 4),
                .bytes = tm_sql_i64(stmt, 5),
                .largest = tm_sql_i64(stmt, 6),
                .ts_min = tm_sql_i64(stmt, 7),
                .ts_max = tm_sql_i64(stmt, 8),
        };
    }
    tm_rows_keep(&runs, arena, &pack->runs, &pack->run_count);
    return err->code;
}

static enum tm_code read_packs(struct tm_sql *sql, struct tm_edits *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt packs = {0};
    TM_STMT_OWN struct tm_stmt deps = {0};
    TM_STMT_OWN struct tm_stmt runs = {0};
    if (tm_sql_use(sql, select_packs, &packs, err) != TM_OK ||
            tm_sql_use(sql, select_deps, &deps, err) != TM_OK ||
            tm_sql_use(sql, select_runs, &runs, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&packs, &row, err) == TM_OK && row) {
        struct tm_row_pack *pack = tm_vec_push(&out->packs);
        pack->size = (uint64_t)tm_sql_i64(&packs, 2);
        pack->stored_ms = tm_sql_i64(&packs, 3);
        tm_sql_copy(&packs, 1, pack->name.bytes, sizeof(pack->name.bytes));
        tm_sql_bind_i64(&deps, tm_sql_i64(&packs, 0));
        tm_sql_bind_i64(&runs, tm_sql_i64(&packs, 0));
        if (read_deps(&deps, pack, &out->arena, err) != TM_OK ||
                read_runs(&runs, pack, &out->arena, err) != TM_OK) {
            return err->code;
        }
    }
    return err->code;
}

static const char select_moved[] = "SELECT name, successor FROM moved ORDER BY name, successor";

/* The successors of the pack named last, while its rows are read. */
struct successors {
    TM_VEC(struct tm_hash) list;
};

static void end_moved(struct successors *successors, struct tm_edits *out)
{
    if (out->moved.count == 0) {
        return;
    }
    struct tm_row_successors *last = &out->moved.at[out->moved.count - 1];
    tm_rows_keep(&successors->list, &out->arena, &last->successors, &last->successor_count);
}

/* One row of the format is all rows of one name. */
static void read_move(
        const struct tm_stmt *stmt, struct successors *successors, struct tm_edits *out)
{
    struct tm_hash name;
    tm_sql_copy(stmt, 0, name.bytes, sizeof(name.bytes));
    size_t count = out->moved.count;
    if (count == 0 || !tm_hash_eq(&out->moved.at[count - 1].name, &name)) {
        end_moved(successors, out);
        tm_vec_push(&out->moved)->name = name;
    }
    struct tm_hash *successor = tm_vec_push(&successors->list);
    tm_sql_copy(stmt, 1, successor->bytes, sizeof(successor->bytes));
}

static enum tm_code read_moved(struct tm_sql *sql, struct tm_edits *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_moved, &stmt, err) != TM_OK) {
        return err->code;
    }
    struct successors successors = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        read_move(&stmt, &successors, out);
    }
    end_moved(&successors, out);
    return err->code;
}

/* The state -------------------------------------------------------------------------------- */

static enum tm_code read_state(struct tm_sql *sql, struct tm_edits *out, struct tm_err *err)
{
    static const struct {
        const char *text;
        read_row read;
    } simple[] = {
            {select_params, read_param},
            {select_streams, read_stream},
            {select_keeps, read_keep},
            {select_gaps, read_gap},
            {select_tails, read_tail},
            {select_dropped, read_dropped},
            {select_swept, read_swept},
            {select_writers, read_writer},
    };
    for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
        if (read_all(sql, simple[i].text, simple[i].read, out, err) != TM_OK) {
            return err->code;
        }
    }
    if (tm_dump_points(sql, out, err) != TM_OK || read_packs(sql, out, err) != TM_OK) {
        return err->code;
    }
    return read_moved(sql, out, err);
}

enum tm_code tm_dump_state(
        struct tm_sql *sql, int64_t now_ms, struct tm_edits *out, struct tm_err *err)
{
    out->full = true;
    out->time_ms = now_ms;
    if (read_state(sql, out, err) != TM_OK) {
        tm_edits_done(out);
        *out = (struct tm_edits){0};
        return err->code;
    }
    return TM_OK;
}
