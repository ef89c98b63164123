/* SPDX-License-Identifier: Apache-2.0 */
/* Whether all that a point needs has been read and found whole, and since when. */
#include <stdlib.h>

#include "catalog/findings.h"
#include "catalog/handle.h"

static const char select_packs[] = "SELECT DISTINCT pack FROM run WHERE stream = ? AND part = ?"
                                   " AND first < ? AND first + length > ?";
/* What the pack refers to lies where that is now. */
static const char select_targets[] =
        "WITH RECURSIVE at (name) AS (SELECT target FROM dep WHERE pack = ?"
        " UNION SELECT m.successor FROM moved m JOIN at ON m.name = at.name)"
        " SELECT q.id FROM at JOIN pack q ON q.name = at.name";
static const char select_looked[] = "SELECT coalesce(l.at_ms, 0) FROM pack p"
                                    " LEFT JOIN looked l ON l.pack = p.name WHERE p.id = ?";

typedef TM_VEC(int64_t) id_list;

/* The ids that the statement gives. */
static enum tm_code add_ids(struct tm_stmt *stmt, id_list *out, struct tm_err *err)
{
    bool row = false;
    enum tm_code code = TM_OK;
    while ((code = tm_sql_step(stmt, &row, err)) == TM_OK && row) {
        *tm_vec_push(out) = tm_sql_i64(stmt, 0);
    }
    return code;
}

static enum tm_code add_packs(
        struct tm_sql *sql, const struct tm_row_part *part, id_list *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, select_packs, &stmt, err));
    tm_sql_bind_i64(&stmt, part->stream);
    tm_sql_bind_i64(&stmt, part->partition);
    tm_sql_bind_i64(&stmt, part->end);
    tm_sql_bind_i64(&stmt, part->start);
    return add_ids(&stmt, out, err);
}

static enum tm_code add_targets(struct tm_sql *sql, int64_t pack, id_list *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, select_targets, &stmt, err));
    tm_sql_bind_i64(&stmt, pack);
    return add_ids(&stmt, out, err);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sort_out(id_list *list)
{
    size_t kept = 0;
    if (list->count > 0) {
        qsort(list->at, list->count, sizeof(*list->at), by_id);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || list->at[i] != list->at[kept - 1]) {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
}

static enum tm_code count_pack(
        struct tm_sql *sql, int64_t pack, struct tm_looked *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(tm_sql_use(sql, select_looked, &stmt, err));
    tm_sql_bind_i64(&stmt, pack);
    TM_TRY(tm_sql_step(&stmt, &row, err));
    int64_t looked_ms = row ? tm_sql_i64(&stmt, 0) : 0;
    out->packs++;
    out->never += looked_ms == 0 ? 1 : 0;
    if (looked_ms != 0 && (out->oldest_ms == 0 || looked_ms < out->oldest_ms)) {
        out->oldest_ms = looked_ms;
    }
    return TM_OK;
}

static enum tm_code find_packs(struct tm_sql *sql, const struct tm_row_part *parts, size_t count,
        id_list *packs, struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        TM_TRY(add_packs(sql, &parts[i], packs, err));
    }
    sort_out(packs);
    size_t own = packs->count;
    for (size_t i = 0; i < own; i++) {
        TM_TRY(add_targets(sql, packs->at[i], packs, err));
    }
    sort_out(packs);
    return TM_OK;
}

enum tm_code tm_findings_looked(struct tm_catalog *catalog, const struct tm_row_part *parts,
        size_t count, struct tm_looked *out, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    id_list packs = {0};
    *out = (struct tm_looked){0};
    TM_TRY(tm_sql_begin_read(catalog->sql, &txn, err));
    enum tm_code code = find_packs(catalog->sql, parts, count, &packs, err);
    for (size_t i = 0; code == TM_OK && i < packs.count; i++) {
        code = count_pack(catalog->sql, packs.at[i], out, err);
    }
    tm_vec_done(&packs);
    return code;
}
