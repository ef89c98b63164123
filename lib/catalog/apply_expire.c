/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "catalog/apply.h"
#include "catalog/rows.h"

/* Points gone ------------------------------------------------------------------------------ */

/* Rows of ?1 go to the next point ?2, whose own rows win, and whose `gone` came after them. */
#define MOVE(table) \
    "UPDATE OR IGNORE " table " SET point = ?2 WHERE point = ?1" \
    " AND stream NOT IN (SELECT stream FROM point_gone WHERE point = ?2)"
#define CLEAR(table) "DELETE FROM " table " WHERE point = ?1"

/* `gone` is moved last: until then ?2 has its own alone. */
static const char *const moves[] = {
        MOVE("point_topic"),
        MOVE("point_part"),
        MOVE("point_group"),
        MOVE("point_acl"),
        "UPDATE OR IGNORE point_gone SET point = ?2 WHERE point = ?1",
};
static const char *const clears[] = {
        CLEAR("point_topic"),
        CLEAR("point_part"),
        CLEAR("point_group"),
        CLEAR("point_acl"),
        CLEAR("point_gone"),
        CLEAR("mark"),
        "DELETE FROM point WHERE id = ?1",
};
static const char select_next[] =
        "SELECT (SELECT min(n.id) FROM point n WHERE n.chain = p.chain AND n.id > p.id)"
        " FROM point p WHERE p.id = ?";

static enum tm_code run_each(struct tm_apply *apply, const char *const *texts, size_t count,
        const int64_t args[2], struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        if (tm_sql_use(apply->sql, texts[i], &stmt, err) != TM_OK) {
            return err->code;
        }
        tm_sql_bind_i64(&stmt, args[0]);
        if (args[1] != 0) {
            tm_sql_bind_i64(&stmt, args[1]);
        }
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code remove_point(struct tm_apply *apply, uint64_t id, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(apply->sql, select_next, &stmt, err) != TM_OK) {
        return err->code;
    }
    /* One above the greatest was not there when the entry was made. */
    tm_sql_bind_i64(&stmt, id <= apply->last_point ? (int64_t)id : 0);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (!row) {
        return tm_err_set(err, TM_E_CORRUPT, "point %" PRIu64 " is removed, but is not there", id);
    }
    const int64_t merge[2] = {(int64_t)id, tm_sql_i64(&stmt, 0)};
    const int64_t clear[2] = {(int64_t)id, 0};
    tm_sql_rewind(&stmt);
    if (merge[1] != 0 &&
            run_each(apply, moves, sizeof(moves) / sizeof(moves[0]), merge, err) != TM_OK) {
        return err->code;
    }
    return run_each(apply, clears, sizeof(clears) / sizeof(clears[0]), clear, err);
}

/* Marks ------------------------------------------------------------------------------------ */

static const char select_point[] = "SELECT 1 FROM point WHERE id = ?";
static const char delete_mark[] = "DELETE FROM mark WHERE point = ?";
static const char replace_mark[] =
        "INSERT OR REPLACE INTO mark (point, note, tags, hold_until_ms, hold_reason)"
        " VALUES (?, ?, ?, ?, ?)";

static bool is_empty(const struct tm_row_mark *mark)
{
    return mark->note.len == 0 && mark->tag_count == 0 && mark->hold_until_ms == 0 &&
           mark->hold_reason.len == 0;
}

static enum tm_code check_marked(
        struct tm_apply *apply, const struct tm_row_mark *mark, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(apply->sql, select_point, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, mark->point <= INT64_MAX ? (int64_t)mark->point : 0);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (!row) {
        return tm_err_set(
                err, TM_E_CORRUPT, "point %" PRIu64 " is marked, but is not there", mark->point);
    }
    return !apply->edits->full || !is_empty(mark)
                   ? TM_OK
                   : tm_err_set(
                             err, TM_E_CORRUPT, "point %" PRIu64 " has an empty mark", mark->point);
}

static enum tm_code put_mark(
        struct tm_apply *apply, const struct tm_row_mark *mark, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf tags = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    const char *text = is_empty(mark) ? delete_mark : replace_mark;
    if (check_marked(apply, mark, err) != TM_OK ||
            tm_sql_use(apply->sql, text, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, (int64_t)mark->point);
    if (!is_empty(mark)) {
        tm_rows_add_strings(mark->tags, mark->tag_count, &tags);
        tm_sql_bind_slice(&stmt, mark->note);
        tm_sql_bind_slice(&stmt, tm_buf_slice(&tags));
        tm_sql_bind_i64(&stmt, mark->hold_until_ms);
        tm_sql_bind_slice(&stmt, mark->hold_reason);
    }
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_apply_expire(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    /* The newest first: the order makes no difference, but so each row is moved once at most. */
    for (size_t i = edits->points_gone.count; i > 0; i--) {
        if (remove_point(apply, edits->points_gone.at[i - 1], err) != TM_OK) {
            return err->code;
        }
    }
    for (size_t i = 0; i < edits->marks.count; i++) {
        if (put_mark(apply, &edits->marks.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}
