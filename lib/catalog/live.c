/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/live.h"

#include <stdlib.h>

#include "base/vec.h"
#include "catalog/handle.h"
#include "catalog/live_points.h"
#include "catalog/rows.h"

struct edge { /* `from` depends on `to`; indices of packs, in the order of their ids */
    size_t from;
    size_t to;
};

struct work {
    struct tm_sql *sql;
    struct tm_live_points *points;
    TM_VEC(struct tm_live_pack) packs; /* sorted by id, until they are kept */
    TM_VEC(struct edge) edges;         /* sorted by `from` */
    size_t live;                       /* packs that stay, so far */
};

static void work_done(struct work *work)
{
    tm_live_points_free(work->points);
    tm_vec_done(&work->packs);
    tm_vec_done(&work->edges);
}

void tm_live_done(struct tm_live *live)
{
    tm_arena_done(&live->arena);
    *live = (struct tm_live){0};
}

/* Packs and runs --------------------------------------------------------------------------- */

static const char select_packs[] = "SELECT id, name, size, stored_ms FROM pack ORDER BY id";
static const char select_runs[] =
        "SELECT stream, part, first, length, count, bytes, largest, ts_min, ts_max, pack FROM run"
        " ORDER BY stream, part, first";

static enum tm_code load_packs(struct work *work, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(work->sql, select_packs, &stmt, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_live_pack *pack = tm_vec_push(&work->packs);
        pack->id = tm_sql_i64(&stmt, 0);
        tm_sql_copy(&stmt, 1, pack->name.bytes, sizeof(pack->name.bytes));
        pack->size = (uint64_t)tm_sql_i64(&stmt, 2);
        pack->stored_ms = tm_sql_i64(&stmt, 3);
        pack->dead = true; /* until something needs it */
    }
    return err->code;
}

/* The place of the pack of that id; it is there, in one snapshot of the catalog. */
static size_t place_of(const struct work *work, int64_t id)
{
    size_t low = 0;
    size_t high = work->packs.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool below = work->packs.at[mid].id < id;
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    tm_assert(low < work->packs.count && work->packs.at[low].id == id);
    return low;
}

static struct tm_run read_run(const struct tm_stmt *stmt)
{
    return (struct tm_run){
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

static enum tm_code weigh_runs(struct work *work, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(work->sql, select_runs, &stmt, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_run run = read_run(&stmt);
        struct tm_live_pack *pack = &work->packs.at[place_of(work, tm_sql_i64(&stmt, 9))];
        if (tm_live_points_need(work->points, &run, pack->stored_ms)) {
            pack->live_bytes += run.bytes;
            pack->dead = false;
        } else {
            pack->dead_bytes += run.bytes;
        }
    }
    return err->code;
}

/* Dependencies ----------------------------------------------------------------------------- */

static const char select_deps[] = "SELECT pack, target FROM dep ORDER BY pack, target";
static const char select_reached[] =
        "WITH RECURSIVE at (name) AS ("
        " VALUES (?1) UNION SELECT m.successor FROM moved m JOIN at ON m.name = at.name)"
        " SELECT pack.id, pack.name FROM at JOIN pack USING (name) ORDER BY pack.name";

static enum tm_code add_edges(
        struct work *work, size_t from, struct tm_slice target, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(work->sql, select_reached, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, target);
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        size_t to = place_of(work, tm_sql_i64(&stmt, 0));
        work->packs.at[to].has_dependants = true;
        *tm_vec_push(&work->edges) = (struct edge){from, to};
    }
    return err->code;
}

static enum tm_code load_edges(struct work *work, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(work->sql, select_deps, &stmt, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        size_t from = place_of(work, tm_sql_i64(&stmt, 0));
        if (add_edges(work, from, tm_sql_bytes(&stmt, 1), err) != TM_OK) {
            return err->code;
        }
    }
    return err->code;
}

static size_t first_edge(const struct work *work, size_t from)
{
    size_t low = 0;
    size_t high = work->edges.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool below = work->edges.at[mid].from < from;
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    return low;
}

typedef TM_VEC(size_t) places;

/* What the pack depends on stays. */
static void keep_targets(struct work *work, size_t from, places *todo)
{
    for (size_t e = first_edge(work, from); e < work->edges.count && work->edges.at[e].from == from;
            e++) {
        struct tm_live_pack *to = &work->packs.at[work->edges.at[e].to];
        if (to->dead) {
            to->dead = false;
            *tm_vec_push(todo) = work->edges.at[e].to;
        }
    }
}

/* What a pack that stays depends on stays too. */
static void spread(struct work *work)
{
    places todo = {0};
    for (size_t i = 0; i < work->packs.count; i++) {
        if (!work->packs.at[i].dead) {
            *tm_vec_push(&todo) = i;
        }
    }
    while (todo.count > 0) {
        keep_targets(work, todo.at[--todo.count], &todo);
    }
    tm_vec_done(&todo);
}

/* The whole -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct tm_live_pack *x = a;
    const struct tm_live_pack *y = b;
    return memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
}

static void keep(struct work *work, struct tm_live *out)
{
    struct tm_live live = {0};
    if (work->packs.count > 0) {
        qsort(work->packs.at, work->packs.count, sizeof(*work->packs.at), by_name);
    }
    for (size_t i = 0; i < work->packs.count; i++) {
        const struct tm_live_pack *pack = &work->packs.at[i];
        live.dead_count += pack->dead ? 1 : 0;
        live.dead_bytes += pack->dead ? pack->size : 0;
    }
    tm_rows_keep(&work->packs, &live.arena, &live.packs, &live.count);
    *out = live;
}

enum tm_code tm_live_read(struct tm_catalog *catalog, const struct tm_live_query *query,
        struct tm_live *out, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    struct work work = {.sql = catalog->sql};
    enum tm_code code = tm_sql_begin_read(catalog->sql, &txn, err);
    if (code == TM_OK) {
        code = tm_live_points_read(catalog->sql, query, &work.points, err);
    }
    if (code == TM_OK) {
        code = load_packs(&work, err);
    }
    if (code == TM_OK) {
        code = weigh_runs(&work, err);
    }
    if (code == TM_OK) {
        code = load_edges(&work, err);
    }
    if (code == TM_OK) {
        spread(&work);
        keep(&work, out);
    }
    work_done(&work);
    return code;
}

const struct tm_live_pack *tm_live_find(const struct tm_live *live, const struct tm_hash *name)
{
    struct tm_live_pack key = {.name = *name};
    return live->count == 0 ? NULL : bsearch(&key, live->packs, live->count, sizeof(key), by_name);
}

/* Runs of some packs ------------------------------------------------------------------------ */

static const char select_runs_of[] =
        "SELECT r.stream, r.part, r.first, r.length, r.count, r.bytes, r.largest, r.ts_min,"
        " r.ts_max, p.stored_ms FROM pack p JOIN run r ON r.pack = p.id WHERE p.name = ?";

typedef TM_VEC(struct tm_live_run) run_list;

static enum tm_code add_runs_of(struct tm_sql *sql, const struct tm_live_points *points,
        const struct tm_hash *pack, run_list *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_runs_of, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, pack->bytes, sizeof(pack->bytes));
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_live_run *run = tm_vec_push(out);
        run->run = read_run(&stmt);
        run->pack = *pack;
        run->live = tm_live_points_need(points, &run->run, tm_sql_i64(&stmt, 9));
    }
    return err->code;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_place(const void *a, const void *b)
{
    const struct tm_run *x = &((const struct tm_live_run *)a)->run;
    const struct tm_run *y = &((const struct tm_live_run *)b)->run;
    int order = COMPARE(x->stream, y->stream);
    order = order != 0 ? order : COMPARE(x->partition, y->partition);
    return order != 0 ? order : COMPARE(x->first, y->first);
}

/* NOLINTNEXTLINE(readability-function-size): eight parameters, each needed */
enum tm_code tm_live_runs(struct tm_catalog *catalog, const struct tm_live_query *query,
        const struct tm_hash *packs, size_t pack_count, struct tm_arena *arena,
        struct tm_live_run **out, size_t *count, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_OWN(tm_live_points_free) struct tm_live_points *points = NULL;
    if (tm_sql_begin_read(catalog->sql, &txn, err) != TM_OK ||
            tm_live_points_read(catalog->sql, query, &points, err) != TM_OK) {
        return err->code;
    }
    run_list runs = {0};
    for (size_t i = 0; i < pack_count; i++) {
        if (add_runs_of(catalog->sql, points, &packs[i], &runs, err) != TM_OK) {
            tm_vec_done(&runs);
            return err->code;
        }
    }
    if (runs.count > 0) {
        qsort(runs.at, runs.count, sizeof(*runs.at), by_place);
    }
    tm_rows_keep(&runs, arena, out, count);
    return TM_OK;
}

/* What became of a pack -------------------------------------------------------------------- */

static const char select_fate[] =
        "SELECT 1, 0 FROM pack WHERE name = ?1"
        " UNION ALL SELECT 2, time_ms FROM dropped WHERE name = ?1"
        " UNION ALL SELECT 3, time_ms FROM swept WHERE name = ?1 ORDER BY 1 LIMIT 1";

enum tm_code tm_live_fate(struct tm_catalog *catalog, const struct tm_hash *name,
        enum tm_pack_fate *fate, int64_t *time_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_fate, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, name->bytes, sizeof(name->bytes));
    bool row = false;
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *fate = row ? (enum tm_pack_fate)tm_sql_i64(&stmt, 0) : TM_PACK_UNKNOWN;
    *time_ms = row ? tm_sql_i64(&stmt, 1) : 0;
    return TM_OK;
}

enum tm_code tm_live_successors(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_hash **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(catalog->sql, select_reached, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, name->bytes, sizeof(name->bytes));
    TM_VEC(struct tm_hash) names = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_hash *one = tm_vec_push(&names);
        tm_sql_copy(&stmt, 1, one->bytes, sizeof(one->bytes));
    }
    if (err->code != TM_OK) {
        tm_vec_done(&names);
        return err->code;
    }
    tm_rows_keep(&names, arena, out, count);
    return TM_OK;
}
