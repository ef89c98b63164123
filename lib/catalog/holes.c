/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/holes.h"

#include "base/vec.h"
#include "catalog/handle.h"
#include "catalog/rows.h"

static const char select_tails[] = "SELECT stream, part, next FROM tail ORDER BY stream, part";
static const char select_spans[] =
        "SELECT first, length FROM run WHERE stream = ?1 AND part = ?2"
        " UNION ALL SELECT first, length FROM gap WHERE stream = ?1 AND part = ?2 ORDER BY first";
/* The widest part of a hole that a point has: rows of all chains of the stream's cluster. */
static const char select_needed[] =
        "SELECT min(max(r.start, ?3)), max(min(r.end, ?4)) FROM stream s"
        " JOIN chain c ON c.cluster_id = s.cluster_id"
        " JOIN point_part r ON r.chain = c.id AND r.stream = s.id AND r.part = ?2"
        " WHERE s.id = ?1 AND r.start < ?4 AND r.end > ?3 AND r.start < r.end";

/* Does any chain begin below ?3? Starts only grow, so its first row has the least. */
static const char select_below[] =
        "SELECT 1 FROM stream s JOIN chain c ON c.cluster_id = s.cluster_id"
        " WHERE s.id = ?1 AND (SELECT r.start FROM point_part r WHERE r.chain = c.id"
        " AND r.stream = s.id AND r.part = ?2 ORDER BY r.point LIMIT 1) < ?3 LIMIT 1";

struct place {
    struct tm_sql *sql;
    int64_t stream;
    int64_t partition;
    int64_t watermark;
};

struct found {
    TM_VEC(struct tm_run) holes;
};

static enum tm_code add_needed(const struct place *place, int64_t from, int64_t end,
        struct found *found, struct tm_err *err)
{
    if (from >= end) {
        return TM_OK;
    }
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(tm_sql_use(place->sql, select_needed, &stmt, err));
    tm_sql_bind_i64(&stmt, place->stream);
    tm_sql_bind_i64(&stmt, place->partition);
    tm_sql_bind_i64(&stmt, from);
    tm_sql_bind_i64(&stmt, end);
    TM_TRY(tm_sql_step(&stmt, &row, err));
    if (tm_sql_is_null(&stmt, 0)) {
        return TM_OK;
    }
    int64_t first = tm_sql_i64(&stmt, 0);
    *tm_vec_push(&found->holes) = (struct tm_run){
            .stream = (uint32_t)place->stream,
            .partition = (int32_t)place->partition,
            .first = first,
            .length = tm_sql_i64(&stmt, 1) - first,
    };
    return TM_OK;
}

/* What was dropped below the first that is there, or never was: is it asked for? */
static enum tm_code is_below(
        const struct place *place, int64_t first, bool *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(place->sql, select_below, &stmt, err));
    tm_sql_bind_i64(&stmt, place->stream);
    tm_sql_bind_i64(&stmt, place->partition);
    tm_sql_bind_i64(&stmt, first);
    return tm_sql_step(&stmt, out, err);
}

static enum tm_code look_at(const struct place *place, struct found *found, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(place->sql, select_spans, &stmt, err));
    tm_sql_bind_i64(&stmt, place->stream);
    tm_sql_bind_i64(&stmt, place->partition);
    int64_t next = 0;
    bool row = false;
    bool below = true;
    enum tm_code code = TM_OK;
    while ((code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        int64_t first = tm_sql_i64(&stmt, 0);
        int64_t end = first + tm_sql_i64(&stmt, 1);
        if (next == 0 && first > 0) {
            TM_TRY(is_below(place, first, &below, err));
            next = below ? 0 : first;
        }
        TM_TRY(add_needed(place, next, first, found, err));
        next = end > next ? end : next;
    }
    TM_TRY(code);
    return add_needed(place, next, place->watermark, found, err);
}

static enum tm_code look_at_all(struct tm_sql *sql, struct found *found, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_begin_read(sql, &txn, err));
    TM_TRY(tm_sql_use(sql, select_tails, &stmt, err));
    bool row = false;
    enum tm_code code = TM_OK;
    while ((code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        struct place place = {
                sql, tm_sql_i64(&stmt, 0), tm_sql_i64(&stmt, 1), tm_sql_i64(&stmt, 2)};
        TM_TRY(look_at(&place, found, err));
    }
    return code;
}

enum tm_code tm_holes_needed(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_run **out, size_t *count, struct tm_err *err)
{
    struct found found = {0};
    enum tm_code code = look_at_all(catalog->sql, &found, err);
    if (code == TM_OK) {
        tm_rows_keep(&found.holes, arena, out, count);
    }
    tm_vec_done(&found.holes);
    return code;
}

/* Rows that meet [?3, ?4): from the last one that begins at or below it. They do not overlap. */
#define MEETING(table) \
    "SELECT first, length FROM " table " WHERE stream = ?1 AND part = ?2 AND first < ?4" \
    " AND first >= coalesce((SELECT max(first) FROM " table \
    " WHERE stream = ?1 AND part = ?2 AND first <= ?3), ?3)"
static const char select_covered[] =
        "SELECT coalesce(sum(min(first + length, ?4) - max(first, ?3)), 0) FROM (" MEETING(
                "run") " UNION ALL " MEETING("gap") ") WHERE first + length > ?3";

enum tm_code tm_holes_any(struct tm_catalog *catalog, const struct tm_holes_range *range, bool *any,
        struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    *any = false;
    if (range->from >= range->end) {
        return TM_OK;
    }
    TM_TRY(tm_sql_use(catalog->sql, select_covered, &stmt, err));
    tm_sql_bind_i64(&stmt, range->stream);
    tm_sql_bind_i64(&stmt, range->partition);
    tm_sql_bind_i64(&stmt, range->from);
    tm_sql_bind_i64(&stmt, range->end);
    TM_TRY(tm_sql_step(&stmt, &row, err));
    *any = tm_sql_i64(&stmt, 0) < range->end - range->from;
    return TM_OK;
}
