/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/point_list.h"

#include <stdlib.h>

/* A topic may have several streams, and a cluster several policies. */
static const char select_pairs[] =
        "SELECT c.id, s.id FROM stream s JOIN chain c ON c.cluster_id = s.cluster_id"
        " WHERE s.topic = ?";
static const char select_gone[] =
        "SELECT point FROM point_gone WHERE chain = ? AND stream = ? ORDER BY point";
static const char select_first[] = "SELECT min(point) FROM point_part"
                                   " WHERE chain = ? AND stream = ? AND point >= ? AND point < ?";

struct pair {
    int64_t chain;
    int64_t stream;
};

void tm_presences_done(struct tm_presences *presences)
{
    tm_vec_done(&presences->list);
}

/* Between two points that say the stream is gone it is there from its first row on. */
static enum tm_code add_between(struct tm_sql *sql, const struct pair *pair, int64_t from,
        int64_t until, struct tm_presences *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_first, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, pair->chain);
    tm_sql_bind_i64(&stmt, pair->stream);
    tm_sql_bind_i64(&stmt, from);
    tm_sql_bind_i64(&stmt, until);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (!tm_sql_is_null(&stmt, 0)) {
        *tm_vec_push(&out->list) = (struct tm_presence){
                .chain = pair->chain, .from = tm_sql_i64(&stmt, 0), .until = until};
    }
    return TM_OK;
}

static enum tm_code add_pair(
        struct tm_sql *sql, const struct pair *pair, struct tm_presences *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_gone, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, pair->chain);
    tm_sql_bind_i64(&stmt, pair->stream);
    int64_t from = 0;
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        int64_t gone = tm_sql_i64(&stmt, 0);
        if (add_between(sql, pair, from, gone, out, err) != TM_OK) {
            return err->code;
        }
        from = gone; /* a point that says so may name the stream again: its rows come after */
    }
    return err->code == TM_OK ? add_between(sql, pair, from, INT64_MAX, out, err) : err->code;
}

enum tm_code tm_presences_read(
        struct tm_sql *sql, const char *topic, struct tm_presences *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_pairs, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, tm_slice_str(topic));
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct pair pair = {.chain = tm_sql_i64(&stmt, 0), .stream = tm_sql_i64(&stmt, 1)};
        if (add_pair(sql, &pair, out, err) != TM_OK) {
            return err->code;
        }
    }
    return err->code;
}

static int by_place(const void *a, const void *b)
{
    const struct tm_presence *x = a;
    const struct tm_presence *y = b;
    int order = (x->chain > y->chain) - (x->chain < y->chain);
    return order != 0 ? order : (x->from > y->from) - (x->from < y->from);
}

void tm_presences_join(struct tm_presences *presences)
{
    if (presences->list.count == 0) {
        return;
    }
    struct tm_presence *at = presences->list.at;
    qsort(at, presences->list.count, sizeof(*at), by_place);
    size_t last = 0;
    for (size_t i = 1; i < presences->list.count; i++) {
        if (at[i].chain == at[last].chain && at[i].from <= at[last].until) {
            at[last].until = at[i].until > at[last].until ? at[i].until : at[last].until;
        } else {
            at[++last] = at[i];
        }
    }
    presences->list.count = last + 1;
}

bool tm_presences_has(const struct tm_presences *presences, int64_t chain, int64_t point)
{
    for (size_t i = 0; i < presences->list.count; i++) {
        const struct tm_presence *presence = &presences->list.at[i];
        if (presence->chain == chain && presence->from <= point && point < presence->until) {
            return true;
        }
    }
    return false;
}
