/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/point_list.h"

#include <stdlib.h>

#include "catalog/damage.h"
#include "catalog/handle.h"
#include "catalog/points.h"

/* Of a JSON array; names are BLOBs here. */
#define CLUSTERS "(SELECT CAST(value AS BLOB) FROM json_each(?1))"
#define POLICIES "(SELECT CAST(value AS BLOB) FROM json_each(?6))"

/* The policy's index carries the question where there is one, else that of all ULIDs. */
#define FILTERS \
    " AND (?1 IS NULL OR p.cluster_name IN " CLUSTERS ")" \
    " AND p.time_ms >= ?2 AND p.time_ms < ?3 AND (?4 IS NULL OR p.ulid < ?4)" \
    " AND (?5 = 0 OR p.chain IN (SELECT d.chain" \
    " FROM (SELECT DISTINCT chain, stream, part FROM point_part) d WHERE EXISTS (SELECT 1" \
    " FROM run r WHERE r.stream = d.stream AND r.part = d.part AND r.ts_min < ?5)))" \
    " ORDER BY p.ulid DESC"

static const char select_all[] = TM_POINTS_SELECT " WHERE 1" FILTERS;
static const char select_of_policies[] = TM_POINTS_SELECT
        " WHERE p.chain IN (SELECT id FROM chain WHERE policy IN " POLICIES ")" FILTERS;

static enum tm_code use_query(struct tm_sql *sql, const struct tm_point_query *query,
        struct tm_arena *arena, struct tm_stmt *stmt, struct tm_err *err)
{
    const char *text = query->policies.count > 0 ? select_of_policies : select_all;
    if (tm_sql_use(sql, text, stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_text(stmt, tm_names_json(&query->clusters, arena));
    tm_sql_bind_i64(stmt, query->since_ms);
    tm_sql_bind_i64(stmt, query->until_ms);
    if (query->before != NULL) {
        tm_sql_bind_bytes(stmt, query->before->bytes, sizeof(query->before->bytes));
    } else {
        tm_sql_bind_null(stmt);
    }
    tm_sql_bind_i64(stmt, query->covers_ms);
    if (query->policies.count > 0) {
        tm_sql_bind_text(stmt, tm_names_json(&query->policies, arena));
    }
    return TM_OK;
}

/* The points that answer the query, without their sums. */
struct found {
    TM_VEC(struct tm_point_line) lines;
    TM_VEC(int64_t) chains; /* of the lines */
};

/* What no column says of a point: which have the topic asked for, and which are damaged. */
struct filters {
    struct tm_presences topic;
    struct tm_presences damaged;
};

static enum tm_code read_filters(struct tm_sql *sql, const struct tm_point_query *query,
        struct filters *out, struct tm_err *err)
{
    for (size_t i = 0; i < query->topics.count; i++) {
        TM_TRY(tm_presences_read(sql, query->topics.at[i], &out->topic, err));
    }
    tm_presences_join(&out->topic); /* of many topics there are few left */
    return tm_damage_read(sql, &out->damaged, err);
}

static void filters_done(struct filters *filters)
{
    tm_presences_done(&filters->topic);
    tm_presences_done(&filters->damaged);
}

static bool is_in_state(const struct tm_point_query *query, const struct tm_point_line *line)
{
    enum tm_point_state state = line->damaged                               ? TM_POINT_IS_DAMAGED
                                : (line->row.flags & TM_POINT_PARTIAL) != 0 ? TM_POINT_IS_PARTIAL
                                                                            : TM_POINT_IS_COMPLETE;
    return query->states == 0 || (query->states >> state & 1) != 0;
}

static bool is_wanted(const struct tm_point_query *query, const struct filters *filters,
        int64_t chain, int64_t point)
{
    return query->topics.count == 0 || tm_presences_has(&filters->topic, chain, point);
}

static bool has_tag(const struct tm_row_mark *mark, const char *tag)
{
    for (size_t i = 0; i < mark->tag_count; i++) {
        if (tm_slice_is(mark->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

static bool is_held(const struct tm_row_mark *mark, int64_t at_ms)
{
    return mark->hold_until_ms == -1 || mark->hold_until_ms > at_ms;
}

static bool is_marked(const struct tm_point_query *query, const struct tm_row_mark *mark)
{
    return (query->tag == NULL || has_tag(mark, query->tag)) &&
           (query->held_ms == 0 || is_held(mark, query->held_ms)) &&
           (query->not_held_ms == 0 || !is_held(mark, query->not_held_ms));
}

static enum tm_code find_lines(struct tm_sql *sql, const struct tm_point_query *query,
        struct tm_arena *arena, struct found *found, struct tm_err *err)
{
    struct filters filters = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = read_filters(sql, query, &filters, err) == TM_OK &&
               use_query(sql, query, arena, &stmt, err) == TM_OK;
    while (row && found->lines.count < query->limit) {
        if (tm_sql_step(&stmt, &row, err) != TM_OK || !row) {
            break;
        }
        int64_t point = tm_sql_i64(&stmt, 0);
        int64_t chain = tm_sql_i64(&stmt, 1);
        bool damaged = tm_presences_has(&filters.damaged, chain, point);
        if (!is_wanted(query, &filters, chain, point)) {
            continue;
        }
        struct tm_point_line line = {.damaged = damaged};
        if (tm_points_read_row(&stmt, arena, &line.row, &line.mark, err) != TM_OK) {
            break;
        }
        if (is_in_state(query, &line) && is_marked(query, &line.mark)) {
            *tm_vec_push(&found->lines) = line;
            *tm_vec_push(&found->chains) = chain;
        }
    }
    filters_done(&filters);
    return err->code;
}

static int by_chain_and_id(const void *a, const void *b)
{
    const struct tm_listed *x = a;
    const struct tm_listed *y = b;
    int order = (x->chain > y->chain) - (x->chain < y->chain);
    uint64_t x_id = x->line->row.id;
    uint64_t y_id = y->line->row.id;
    return order != 0 ? order : (x_id > y_id) - (x_id < y_id);
}

/* Sums go from point to point of a chain, oldest first. */
static enum tm_code sum_lines(
        struct tm_sql *sql, struct found *found, struct tm_arena *arena, struct tm_err *err)
{
    size_t count = found->lines.count;
    struct tm_listed *listed = tm_arena_alloc(arena, count, sizeof(*listed));
    for (size_t i = 0; i < count; i++) {
        listed[i] = (struct tm_listed){found->chains.at[i], &found->lines.at[i]};
    }
    if (count > 0) {
        qsort(listed, count, sizeof(*listed), by_chain_and_id);
    }
    for (size_t start = 0; start < count;) {
        size_t end = start + 1;
        while (end < count && listed[end].chain == listed[start].chain) {
            end++;
        }
        if (tm_point_sums_fill(sql, listed + start, end - start, err) != TM_OK) {
            return err->code;
        }
        start = end;
    }
    return TM_OK;
}

enum tm_code tm_catalog_points(struct tm_catalog *catalog, const struct tm_point_query *query,
        struct tm_arena *arena, struct tm_point_line **out, size_t *count, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    if (tm_sql_begin_read(catalog->sql, &txn, err) != TM_OK) {
        return err->code;
    }
    struct found found = {0};
    enum tm_code code = find_lines(catalog->sql, query, arena, &found, err);
    if (code == TM_OK) {
        code = sum_lines(catalog->sql, &found, arena, err);
    }
    if (code == TM_OK) {
        *count = found.lines.count;
        *out = tm_rows_dup(arena, found.lines.at, found.lines.count, sizeof(**out));
    }
    tm_vec_done(&found.lines);
    tm_vec_done(&found.chains);
    return code;
}

enum tm_code tm_catalog_count_points(struct tm_catalog *catalog, const struct tm_point_query *query,
        int64_t *count, struct tm_err *err)
{
    struct tm_point_query all = *query;
    all.before = NULL;
    all.limit = SIZE_MAX;
    TM_TXN_OWN struct tm_txn txn = {0};
    if (tm_sql_begin_read(catalog->sql, &txn, err) != TM_OK) {
        return err->code;
    }
    struct tm_arena arena = {0};
    struct found found = {0};
    enum tm_code code = find_lines(catalog->sql, &all, &arena, &found, err);
    *count = (int64_t)found.lines.count;
    tm_vec_done(&found.lines);
    tm_vec_done(&found.chains);
    tm_arena_done(&arena);
    return code;
}
