/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/damage.h"

#include <stdlib.h>

#include "catalog/findings.h"
#include "catalog/handle.h"
#include "catalog/rows.h"

/* Points of a range ------------------------------------------------------------------------ */

static const char select_chains[] =
        "SELECT c.id FROM chain c JOIN stream s ON s.cluster_id = c.cluster_id WHERE s.id = ?";
static const char select_reach[] =
        "SELECT min(point), max(point) FROM point_part WHERE chain = ? AND stream = ? AND part = ?";
static const char select_at[] =
        "SELECT start, end FROM point_part WHERE chain = ? AND stream = ? AND part = ?"
        " AND point <= ? ORDER BY point DESC LIMIT 1";
static const char select_gone[] = "SELECT point FROM point_gone WHERE chain = ? AND stream = ?"
                                  " AND point < ? ORDER BY point";
static const char select_back[] = "SELECT coalesce(min(point), 9223372036854775807) FROM point_part"
                                  " WHERE chain = ? AND stream = ? AND part = ? AND point >= ?";

/* A partition in the points of a chain. */
struct place {
    struct tm_sql *sql;
    int64_t chain;
    const struct tm_damaged_range *range;
};

static enum tm_code use_place(
        const struct place *place, const char *text, struct tm_stmt *stmt, struct tm_err *err)
{
    TM_TRY(tm_sql_use(place->sql, text, stmt, err));
    tm_sql_bind_i64(stmt, place->chain);
    tm_sql_bind_i64(stmt, place->range->stream);
    tm_sql_bind_i64(stmt, place->range->partition);
    return TM_OK;
}

struct at_point {
    int64_t start;
    int64_t end;
};

static enum tm_code read_at(
        const struct place *place, int64_t point, struct at_point *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(use_place(place, select_at, &stmt, err));
    tm_sql_bind_i64(&stmt, point);
    TM_TRY(tm_sql_step(&stmt, &row, err));
    tm_assert(row); /* `point` is at or behind the first row */
    *out = (struct at_point){tm_sql_i64(&stmt, 0), tm_sql_i64(&stmt, 1)};
    return TM_OK;
}

static bool reaches(const struct at_point *at, const struct tm_damaged_range *range)
{
    return at->end > range->first;
}

static bool is_past(const struct at_point *at, const struct tm_damaged_range *range)
{
    return at->start >= range->end;
}

/* The least point in [low, high] of which `holds` is true; high + 1 where there is none. */
static enum tm_code find_least(const struct place *place, int64_t low, int64_t high,
        bool (*holds)(const struct at_point *at, const struct tm_damaged_range *range),
        int64_t *out, struct tm_err *err)
{
    while (low <= high) {
        int64_t mid = low + (high - low) / 2;
        struct at_point at;
        TM_TRY(read_at(place, mid, &at, err));
        if (holds(&at, place->range)) {
            high = mid - 1;
        } else {
            low = mid + 1;
        }
    }
    *out = low;
    return TM_OK;
}

/* The first point from `gone` on that has the partition again. */
static enum tm_code find_back(
        const struct place *place, int64_t gone, int64_t *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(use_place(place, select_back, &stmt, err));
    tm_sql_bind_i64(&stmt, gone);
    TM_TRY(tm_sql_step(&stmt, &row, err));
    *out = tm_sql_i64(&stmt, 0);
    return TM_OK;
}

static void add(struct tm_presences *out, int64_t chain, int64_t from, int64_t until)
{
    if (from < until) {
        *tm_vec_push(&out->list) =
                (struct tm_presence){.chain = chain, .from = from, .until = until};
    }
}

/* [from, until), without the points between leaving and coming back of the stream. */
static enum tm_code add_present(const struct place *place, int64_t from, int64_t until,
        struct tm_presences *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(place->sql, select_gone, &stmt, err));
    tm_sql_bind_i64(&stmt, place->chain);
    tm_sql_bind_i64(&stmt, place->range->stream);
    tm_sql_bind_i64(&stmt, until);
    bool row = false;
    enum tm_code code = TM_OK;
    while ((code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        int64_t gone = tm_sql_i64(&stmt, 0);
        int64_t back = 0;
        TM_TRY(find_back(place, gone, &back, err));
        add(out, place->chain, from, gone);
        from = back > from ? back : from;
    }
    add(out, place->chain, from, until);
    return code;
}

static enum tm_code add_of_chain(
        const struct place *place, struct tm_presences *out, struct tm_err *err)
{
    int64_t first = 0;
    int64_t last = 0;
    {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        bool row = false;
        TM_TRY(use_place(place, select_reach, &stmt, err));
        TM_TRY(tm_sql_step(&stmt, &row, err));
        if (tm_sql_is_null(&stmt, 0)) {
            return TM_OK;
        }
        first = tm_sql_i64(&stmt, 0);
        last = tm_sql_i64(&stmt, 1);
    }
    int64_t from = 0;
    int64_t until = 0;
    TM_TRY(find_least(place, first, last, reaches, &from, err));
    TM_TRY(find_least(place, from, last, is_past, &until, err));
    if (from > last) {
        return TM_OK;
    }
    return add_present(place, from, until > last ? INT64_MAX : until, out, err);
}

enum tm_code tm_damage_add(struct tm_sql *sql, const struct tm_damaged_range *range,
        struct tm_presences *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, select_chains, &stmt, err));
    tm_sql_bind_i64(&stmt, range->stream);
    bool row = false;
    enum tm_code code = TM_OK;
    while ((code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        struct place place = {.sql = sql, .chain = tm_sql_i64(&stmt, 0), .range = range};
        TM_TRY(add_of_chain(&place, out, err));
    }
    return code;
}

/* Points of findings ----------------------------------------------------------------------- */

static const char select_ranges[] =
        "SELECT DISTINCT stream, part, first, length FROM finding f WHERE f.pack = zeroblob(32)"
        " OR EXISTS (SELECT 1 FROM pack p WHERE p.name = f.pack)";

enum tm_code tm_damage_read(struct tm_sql *sql, struct tm_presences *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, select_ranges, &stmt, err));
    bool row = false;
    enum tm_code code = TM_OK;
    while ((code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        struct tm_damaged_range range = {
                .stream = tm_sql_i64(&stmt, 0),
                .partition = tm_sql_i64(&stmt, 1),
                .first = tm_sql_i64(&stmt, 2),
                .end = tm_sql_i64(&stmt, 2) + tm_sql_i64(&stmt, 3),
        };
        TM_TRY(tm_damage_add(sql, &range, out, err));
    }
    tm_presences_join(out);
    return code;
}

static const char select_points[] = "SELECT chain, id, ulid FROM point ORDER BY ulid";

static enum tm_code list_points(struct tm_sql *sql, const struct tm_presences *damaged,
        struct tm_arena *arena, struct tm_id16 **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_id16) points = {0};
    bool row = false;
    enum tm_code code = tm_sql_use(sql, select_points, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        if (tm_presences_has(damaged, tm_sql_i64(&stmt, 0), tm_sql_i64(&stmt, 1))) {
            struct tm_id16 *ulid = tm_vec_push(&points);
            tm_sql_copy(&stmt, 2, ulid->bytes, sizeof(ulid->bytes));
        }
    }
    if (code == TM_OK) {
        tm_rows_keep(&points, arena, out, count);
    }
    tm_vec_done(&points);
    return code;
}

enum tm_code tm_findings_points(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_id16 **out, size_t *count, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_TRY(tm_sql_begin_read(catalog->sql, &txn, err));
    struct tm_presences damaged = {0};
    enum tm_code code = tm_damage_read(catalog->sql, &damaged, err);
    if (code == TM_OK) {
        code = list_points(catalog->sql, &damaged, arena, out, count, err);
    }
    tm_presences_done(&damaged);
    return code;
}

static const char select_between[] =
        "SELECT count(*) FROM point WHERE chain = ? AND id >= ? AND id < ?";

static enum tm_code count_points(
        struct tm_sql *sql, const struct tm_presences *presences, int64_t *out, struct tm_err *err)
{
    int64_t sum = 0;
    for (size_t i = 0; i < presences->list.count; i++) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        bool row = false;
        TM_TRY(tm_sql_use(sql, select_between, &stmt, err));
        tm_sql_bind_i64(&stmt, presences->list.at[i].chain);
        tm_sql_bind_i64(&stmt, presences->list.at[i].from);
        tm_sql_bind_i64(&stmt, presences->list.at[i].until);
        TM_TRY(tm_sql_step(&stmt, &row, err));
        sum += tm_sql_i64(&stmt, 0);
    }
    *out = sum;
    return TM_OK;
}

enum tm_code tm_findings_points_of(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t first, int64_t end, int64_t *out, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_TRY(tm_sql_begin_read(catalog->sql, &txn, err));
    struct tm_damaged_range range = {
            .stream = stream, .partition = partition, .first = first, .end = end};
    struct tm_presences presences = {0};
    enum tm_code code = tm_damage_add(catalog->sql, &range, &presences, err);
    if (code == TM_OK) {
        code = count_points(catalog->sql, &presences, out, err);
    }
    tm_presences_done(&presences);
    return code;
}
