/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/point_list.h"

#include <stdlib.h>

#include "catalog/handle.h"
#include "catalog/points.h"

/* The policy's index carries the question where there is one, else that of all ULIDs. */
#define FILTERS \
    " AND (?1 IS NULL OR p.cluster_name = ?1) AND p.time_ms >= ?2 AND p.time_ms < ?3" \
    " AND (?4 IS NULL OR p.ulid < ?4) AND (?5 < 0 OR (p.flags & 1) = ?5)" \
    " ORDER BY p.ulid DESC"
_Static_assert(TM_POINT_PARTIAL == 1, "the text above knows it by number");

static const char select_all[] = TM_POINTS_SELECT " WHERE 1" FILTERS;
static const char select_of_policy[] =
        TM_POINTS_SELECT " WHERE p.chain IN (SELECT id FROM chain WHERE policy = ?6)" FILTERS;

static void bind_name(struct tm_stmt *stmt, const char *name)
{
    if (name != NULL) {
        tm_sql_bind_slice(stmt, tm_slice_str(name));
    } else {
        tm_sql_bind_null(stmt);
    }
}

static enum tm_code use_query(struct tm_sql *sql, const struct tm_point_query *query,
        struct tm_stmt *stmt, struct tm_err *err)
{
    const char *text = query->policy != NULL ? select_of_policy : select_all;
    if (tm_sql_use(sql, text, stmt, err) != TM_OK) {
        return err->code;
    }
    bind_name(stmt, query->cluster_name);
    tm_sql_bind_i64(stmt, query->since_ms);
    tm_sql_bind_i64(stmt, query->until_ms);
    if (query->before != NULL) {
        tm_sql_bind_bytes(stmt, query->before->bytes, sizeof(query->before->bytes));
    } else {
        tm_sql_bind_null(stmt);
    }
    tm_sql_bind_i64(stmt, query->partial);
    if (query->policy != NULL) {
        bind_name(stmt, query->policy);
    }
    return TM_OK;
}

/* The points that answer the query, without their sums. */
struct found {
    TM_VEC(struct tm_point_line) lines;
    TM_VEC(int64_t) chains; /* of the lines */
};

static enum tm_code find_lines(struct tm_sql *sql, const struct tm_point_query *query,
        struct tm_arena *arena, struct found *found, struct tm_err *err)
{
    struct tm_presences presences = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (query->topic != NULL && tm_presences_read(sql, query->topic, &presences, err) != TM_OK) {
        tm_presences_done(&presences);
        return err->code;
    }
    bool row = use_query(sql, query, &stmt, err) == TM_OK;
    while (row && found->lines.count < query->limit) {
        if (tm_sql_step(&stmt, &row, err) != TM_OK || !row) {
            break;
        }
        int64_t chain = tm_sql_i64(&stmt, 1);
        if (query->topic != NULL && !tm_presences_has(&presences, chain, tm_sql_i64(&stmt, 0))) {
            continue;
        }
        struct tm_point_line *line = tm_vec_push(&found->lines);
        *tm_vec_push(&found->chains) = chain;
        if (tm_points_read_row(&stmt, arena, &line->row, &line->mark, err) != TM_OK) {
            break;
        }
    }
    tm_presences_done(&presences);
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
