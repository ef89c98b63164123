/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/findings.h"

#include "catalog/handle.h"
#include "catalog/rows.h"

const char *tm_finding_kind_name(enum tm_finding_kind kind)
{
    switch (kind) {
    case TM_FINDING_MISSING_PACK:
        return "missing_pack";
    case TM_FINDING_CORRUPT_PACK:
        return "corrupt_pack";
    case TM_FINDING_MISMATCH:
        return "catalog_mismatch";
    }
    return NULL;
}

static bool is_none(const struct tm_hash *hash)
{
    static const struct tm_hash none;
    return tm_hash_eq(hash, &none);
}

/* Use a statement whose first parameter is a pack's name. */
static enum tm_code use_named(struct tm_sql *sql, const char *text, const struct tm_hash *name,
        struct tm_stmt *stmt, struct tm_err *err)
{
    TM_TRY(tm_sql_use(sql, text, stmt, err));
    tm_sql_bind_bytes(stmt, name->bytes, sizeof(name->bytes));
    return TM_OK;
}

/* Findings --------------------------------------------------------------------------------- */

static const char delete_findings[] = "DELETE FROM finding WHERE pack = ?";
static const char insert_finding[] =
        "INSERT OR REPLACE INTO finding"
        " (pack, stream, part, first, length, kind, block, found_ms, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char insert_looked[] = "INSERT OR REPLACE INTO looked (pack, at_ms) VALUES (?, ?)";

static enum tm_code run_named(
        struct tm_sql *sql, const char *text, const struct tm_hash *name, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    enum tm_code code = use_named(sql, text, name, &stmt, err);
    return code == TM_OK ? tm_sql_run(&stmt, err) : code;
}

static enum tm_code note_looked(
        struct tm_sql *sql, const struct tm_hash *pack, int64_t now_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(use_named(sql, insert_looked, pack, &stmt, err));
    tm_sql_bind_i64(&stmt, now_ms);
    return tm_sql_run(&stmt, err);
}

static enum tm_code insert(struct tm_sql *sql, const struct tm_hash *pack, int64_t now_ms,
        const struct tm_finding *finding, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(use_named(sql, insert_finding, pack, &stmt, err));
    tm_sql_bind_i64(&stmt, finding->stream);
    tm_sql_bind_i64(&stmt, finding->partition);
    tm_sql_bind_i64(&stmt, finding->first);
    tm_sql_bind_i64(&stmt, finding->length);
    tm_sql_bind_i64(&stmt, finding->kind);
    tm_sql_bind_i64(&stmt, finding->block);
    tm_sql_bind_i64(&stmt, now_ms);
    tm_sql_bind_text(&stmt, finding->detail);
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_findings_put(struct tm_catalog *catalog, const struct tm_hash *pack, int64_t now_ms,
        const struct tm_finding *findings, size_t count, struct tm_err *err)
{
    struct tm_sql *sql = catalog->sql;
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_TRY(tm_sql_begin_write(sql, &txn, err));
    TM_TRY(run_named(sql, delete_findings, pack, err));
    for (size_t i = 0; i < count; i++) {
        TM_TRY(insert(sql, pack, now_ms, &findings[i], err));
    }
    if (!is_none(pack)) {
        TM_TRY(note_looked(sql, pack, now_ms, err));
    }
    return tm_sql_commit(&txn, err);
}

static const char delete_whole[] = "DELETE FROM finding WHERE pack = ? AND block < 0";

enum tm_code tm_findings_add(struct tm_catalog *catalog, const struct tm_hash *pack, int64_t now_ms,
        const struct tm_finding *findings, size_t count, bool looked, struct tm_err *err)
{
    struct tm_sql *sql = catalog->sql;
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_TRY(tm_sql_begin_write(sql, &txn, err));
    if (looked) {
        TM_TRY(run_named(sql, delete_whole, pack, err));
        TM_TRY(note_looked(sql, pack, now_ms, err));
    }
    for (size_t i = 0; i < count; i++) {
        TM_TRY(insert(sql, pack, now_ms, &findings[i], err));
    }
    return tm_sql_commit(&txn, err);
}

static const char tidy_rows[] =
        "DELETE FROM finding WHERE pack <> zeroblob(32)"
        " AND NOT EXISTS (SELECT 1 FROM pack p WHERE p.name = finding.pack);"
        "DELETE FROM looked"
        " WHERE NOT EXISTS (SELECT 1 FROM pack p WHERE p.name = looked.pack);";

enum tm_code tm_findings_tidy(struct tm_catalog *catalog, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_TRY(tm_sql_begin_write(catalog->sql, &txn, err));
    TM_TRY(tm_sql_exec(catalog->sql, tidy_rows, err));
    return tm_sql_commit(&txn, err);
}

#define IN_USE          "(f.pack = zeroblob(32) OR EXISTS (SELECT 1 FROM pack p WHERE p.name = f.pack))"
#define FINDING_COLUMNS "pack, kind, block, stream, part, first, length, found_ms, detail"

static const char select_all[] = "SELECT " FINDING_COLUMNS " FROM finding f WHERE " IN_USE
                                 " ORDER BY pack, stream, part, first";
static const char select_of_pack[] = "SELECT " FINDING_COLUMNS " FROM finding f WHERE pack = ?"
                                     " AND " IN_USE " ORDER BY stream, part, first";
static const char select_count[] = "SELECT count(*) FROM finding f WHERE " IN_USE;

static void read_finding(const struct tm_stmt *stmt, struct tm_arena *arena, struct tm_finding *out)
{
    tm_sql_copy(stmt, 0, out->pack.bytes, sizeof(out->pack.bytes));
    out->kind = (enum tm_finding_kind)tm_sql_i64(stmt, 1);
    out->block = tm_sql_i64(stmt, 2);
    out->stream = (uint32_t)tm_sql_i64(stmt, 3);
    out->partition = (int32_t)tm_sql_i64(stmt, 4);
    out->first = tm_sql_i64(stmt, 5);
    out->length = tm_sql_i64(stmt, 6);
    out->found_ms = tm_sql_i64(stmt, 7);
    out->detail = tm_sql_text(stmt, 8, arena);
}

enum tm_code tm_findings_list(struct tm_catalog *catalog, const struct tm_hash *pack,
        struct tm_arena *arena, struct tm_finding **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_finding) found = {0};
    bool row = false;
    enum tm_code code = pack != NULL ? use_named(catalog->sql, select_of_pack, pack, &stmt, err)
                                     : tm_sql_use(catalog->sql, select_all, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        read_finding(&stmt, arena, tm_vec_push(&found));
    }
    if (code == TM_OK) {
        tm_rows_keep(&found, arena, out, count);
    }
    tm_vec_done(&found);
    return code;
}

enum tm_code tm_findings_count(struct tm_catalog *catalog, int64_t *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(tm_sql_use(catalog->sql, select_count, &stmt, err));
    TM_TRY(tm_sql_step(&stmt, &row, err));
    *out = tm_sql_i64(&stmt, 0);
    return TM_OK;
}

/* Packs ------------------------------------------------------------------------------------ */

#define PACK_COLUMNS \
    "SELECT p.name, p.size, p.stored_ms, coalesce(l.at_ms, 0) FROM pack p" \
    " LEFT JOIN looked l ON l.pack = p.name"

static const char select_by_name[] = PACK_COLUMNS " ORDER BY p.name";
static const char select_by_age[] = PACK_COLUMNS " ORDER BY coalesce(l.at_ms, 0), p.id";
static const char select_pack[] = PACK_COLUMNS " WHERE p.name = ?";

static void read_pack(const struct tm_stmt *stmt, struct tm_kept_pack *out)
{
    tm_sql_copy(stmt, 0, out->name.bytes, sizeof(out->name.bytes));
    out->size = (uint64_t)tm_sql_i64(stmt, 1);
    out->stored_ms = tm_sql_i64(stmt, 2);
    out->looked_ms = tm_sql_i64(stmt, 3);
}

enum tm_code tm_findings_packs(struct tm_catalog *catalog, bool by_age, struct tm_arena *arena,
        struct tm_kept_pack **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_kept_pack) packs = {0};
    bool row = false;
    enum tm_code code =
            tm_sql_use(catalog->sql, by_age ? select_by_age : select_by_name, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        read_pack(&stmt, tm_vec_push(&packs));
    }
    if (code == TM_OK) {
        tm_rows_keep(&packs, arena, out, count);
    }
    tm_vec_done(&packs);
    return code;
}

enum tm_code tm_findings_pack(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_kept_pack *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    TM_TRY(use_named(catalog->sql, select_pack, name, &stmt, err));
    TM_TRY(tm_sql_step(&stmt, &row, err));
    *out = (struct tm_kept_pack){0};
    if (row) {
        read_pack(&stmt, out);
    }
    return TM_OK;
}

static const char select_pack_runs[] = "SELECT r.stream, r.part, r.first, r.length, r.count, "
                                       "r.bytes, r.largest, r.ts_min, r.ts_max"
                                       " FROM run r JOIN pack p ON p.id = r.pack WHERE p.name = ?"
                                       " ORDER BY r.stream, r.part, r.first";

enum tm_code tm_findings_pack_runs(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_run **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_run) runs = {0};
    bool row = false;
    enum tm_code code = use_named(catalog->sql, select_pack_runs, name, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        *tm_vec_push(&runs) = (struct tm_run){
                .stream = (uint32_t)tm_sql_i64(&stmt, 0),
                .partition = (int32_t)tm_sql_i64(&stmt, 1),
                .first = tm_sql_i64(&stmt, 2),
                .length = tm_sql_i64(&stmt, 3),
                .count = tm_sql_i64(&stmt, 4),
                .bytes = tm_sql_i64(&stmt, 5),
                .largest = tm_sql_i64(&stmt, 6),
                .ts_min = tm_sql_i64(&stmt, 7),
                .ts_max = tm_sql_i64(&stmt, 8),
        };
    }
    if (code == TM_OK) {
        tm_rows_keep(&runs, arena, out, count);
    }
    tm_vec_done(&runs);
    return code;
}

static const char select_dependants[] =
        "WITH RECURSIVE at (name) AS ("
        " VALUES (?1) UNION SELECT m.name FROM moved m JOIN at ON m.successor = at.name)"
        " SELECT DISTINCT p.name FROM at JOIN dep d ON d.target = at.name"
        " JOIN pack p ON p.id = d.pack WHERE p.name <> ?1 ORDER BY p.name";

enum tm_code tm_findings_dependants(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_hash **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_hash) names = {0};
    bool row = false;
    enum tm_code code = use_named(catalog->sql, select_dependants, name, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        struct tm_hash *at = tm_vec_push(&names);
        tm_sql_copy(&stmt, 0, at->bytes, sizeof(at->bytes));
    }
    if (code == TM_OK) {
        tm_rows_keep(&names, arena, out, count);
    }
    tm_vec_done(&names);
    return code;
}

static const char select_loose[] =
        "SELECT p.name, d.target FROM dep d JOIN pack p ON p.id = d.pack WHERE NOT EXISTS ("
        " WITH RECURSIVE at (name) AS ("
        " SELECT d.target UNION SELECT m.successor FROM moved m JOIN at ON m.name = at.name)"
        " SELECT 1 FROM at JOIN pack q ON q.name = at.name) ORDER BY p.name, d.target";

enum tm_code tm_findings_loose_deps(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_loose_dep **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_loose_dep) deps = {0};
    bool row = false;
    enum tm_code code = tm_sql_use(catalog->sql, select_loose, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        struct tm_loose_dep *at = tm_vec_push(&deps);
        tm_sql_copy(&stmt, 0, at->pack.bytes, sizeof(at->pack.bytes));
        tm_sql_copy(&stmt, 1, at->target.bytes, sizeof(at->target.bytes));
    }
    if (code == TM_OK) {
        tm_rows_keep(&deps, arena, out, count);
    }
    tm_vec_done(&deps);
    return code;
}
