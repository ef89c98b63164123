/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/sql.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUSY_TIMEOUT_MS = 10000,
    CACHE_SLOTS = 512, /* a power of two, well above the number of statements */
};

struct cached {
    const char *text;
    sqlite3_stmt *at;
};

struct tm_sql {
    sqlite3 *db;
    const struct tm_sql_kind *kind;
    char *path;
    int busy_timeout_ms;
    size_t statements;
    struct cached cache[CACHE_SLOTS];
};

/* Report what SQLite said last. */
static enum tm_code fail(const struct tm_sql *sql, struct tm_err *err)
{
    const char *said = sqlite3_errmsg(sql->db);
    int system = sqlite3_system_errno(sql->db);
    errno = system;

    switch (sqlite3_errcode(sql->db) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return tm_err_set(err, TM_E_BUSY, "%s: locked by someone else for longer than %d ms",
                sql->path, sql->busy_timeout_ms);
    case SQLITE_FULL:
        return tm_err_set(err, TM_E_FULL, "%s: no space left", sql->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* our own texts are right, so a table is not what it should be */
        return tm_err_set(err, TM_E_CORRUPT, "%s: the %s is damaged (%s); hint: %s", sql->path,
                sql->kind->noun, said, sql->kind->hint);
    case SQLITE_CONSTRAINT:
        return tm_err_set(err, TM_E_CORRUPT, "%s: a row contradicts others: %s", sql->path, said);
    default:
        return tm_err_set(err, TM_E_IO, "%s: %s", sql->path, said);
    }
}

enum tm_code tm_sql_exec(struct tm_sql *sql, const char *text, struct tm_err *err)
{
    return sqlite3_exec(sql->db, text, NULL, NULL, NULL) == SQLITE_OK ? TM_OK : fail(sql, err);
}

/* The single number a statement gives. */
static enum tm_code read_number(
        struct tm_sql *sql, const char *text, int64_t *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, text, &stmt, err) != TM_OK || tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = row ? tm_sql_i64(&stmt, 0) : 0;
    return TM_OK;
}

static const char select_application[] = "PRAGMA application_id";
static const char select_version[] = "PRAGMA user_version";
static const char select_tables[] = "SELECT count(*) FROM sqlite_master";

/* Is the file ours, and of a version we know? *fresh: its tables are still to be made. */
static enum tm_code check_kind(struct tm_sql *sql, bool *fresh, struct tm_err *err)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    if (read_number(sql, select_application, &application, err) != TM_OK ||
            read_number(sql, select_version, &version, err) != TM_OK ||
            read_number(sql, select_tables, &tables, err) != TM_OK) {
        return err->code;
    }
    *fresh = application == 0 && version == 0 && tables == 0;
    if (!*fresh && application != sql->kind->application_id) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: is not a %s", sql->path, sql->kind->noun);
    }
    if (version > sql->kind->version) {
        return tm_err_set(err, TM_E_VERSION,
                "%s: the %s was written by a newer version (schema %" PRId64
                ", this one knows %" PRId64 ")",
                sql->path, sql->kind->noun, version, sql->kind->version);
    }
    *fresh |= sql->kind->disposable && version < sql->kind->version;
    return TM_OK;
}

static const char select_table[] = "SELECT 'DROP TABLE \"' || name || '\"' FROM sqlite_master"
                                   " WHERE type = 'table' AND name NOT GLOB 'sqlite_*' LIMIT 1";

/* The statement that drops a table, some table; NULL: there is none. */
static enum tm_code next_drop(
        struct tm_sql *sql, struct tm_arena *arena, const char **out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_table, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = row ? tm_arena_str(arena, tm_sql_bytes(&stmt, 0)) : NULL;
    return TM_OK;
}

/* What an older version left: all of it can be had again. */
static enum tm_code drop_tables(struct tm_sql *sql, struct tm_err *err)
{
    struct tm_arena arena = {0};
    const char *text = NULL;
    enum tm_code code = next_drop(sql, &arena, &text, err);
    while (code == TM_OK && text != NULL) {
        code = tm_sql_exec(sql, text, err);
        code = code == TM_OK ? next_drop(sql, &arena, &text, err) : code;
    }
    tm_arena_done(&arena);
    return code;
}

static enum tm_code make_schema(struct tm_sql *sql, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    int64_t version = 0;
    if (tm_sql_begin_write(sql, &txn, err) != TM_OK ||
            read_number(sql, select_version, &version, err) != TM_OK) {
        return err->code;
    }
    if (version == sql->kind->version) {
        return TM_OK; /* someone else made it between our look and our lock */
    }
    if (version != 0 && drop_tables(sql, err) != TM_OK) {
        return err->code;
    }
    char stamp[128];
    (void)snprintf(stamp, sizeof(stamp),
            "PRAGMA application_id = %" PRId64 "; PRAGMA user_version = %" PRId64,
            sql->kind->application_id, sql->kind->version);
    for (const char *const *text = sql->kind->schema; *text != NULL; text++) {
        if (tm_sql_exec(sql, *text, err) != TM_OK) {
            return err->code;
        }
    }
    return tm_sql_exec(sql, stamp, err) == TM_OK ? tm_sql_commit(&txn, err) : err->code;
}

static enum tm_code set_up(struct tm_sql *sql, struct tm_err *err)
{
    static const char pragmas[] = "PRAGMA journal_mode = WAL;"
                                  "PRAGMA foreign_keys = OFF;"
                                  "PRAGMA trusted_schema = OFF;"
                                  "PRAGMA cell_size_check = ON;"
                                  "PRAGMA temp_store = MEMORY;"
                                  "PRAGMA cache_size = -8192;"
                                  "PRAGMA journal_size_limit = 67108864;";
    bool fresh = false;
    const char *synchronous =
            sql->kind->durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";
    tm_sql_set_busy_timeout(sql, BUSY_TIMEOUT_MS);
    if (check_kind(sql, &fresh, err) != TM_OK || tm_sql_exec(sql, pragmas, err) != TM_OK ||
            tm_sql_exec(sql, synchronous, err) != TM_OK) {
        return err->code;
    }
    return fresh ? make_schema(sql, err) : TM_OK;
}

enum tm_code tm_sql_open(
        const char *path, const struct tm_sql_kind *kind, struct tm_sql **out, struct tm_err *err)
{
    TM_OWN(tm_sql_close) struct tm_sql *sql = tm_xalloc(1, sizeof(*sql));
    sql->kind = kind;
    sql->path = tm_xalloc(strlen(path) + 1, 1);
    memcpy(sql->path, path, strlen(path));

    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(path, &sql->db, flags, NULL);
    tm_assert(sql->db != NULL); /* NULL only when memory is gone */
    if (result != SQLITE_OK) {
        return fail(sql, err);
    }
    if (set_up(sql, err) != TM_OK) {
        return err->code;
    }
    *out = TM_TAKE(sql);
    return TM_OK;
}

void tm_sql_close(struct tm_sql *sql)
{
    if (sql == NULL) {
        return;
    }
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        (void)sqlite3_finalize(sql->cache[i].at); /* repeats the last failure of the statement */
    }
    tm_assert(sqlite3_close(sql->db) == SQLITE_OK);
    free(sql->path);
    free(sql);
}

const char *tm_sql_path(const struct tm_sql *sql)
{
    return sql->path;
}

void tm_sql_set_busy_timeout(struct tm_sql *sql, int ms)
{
    sql->busy_timeout_ms = ms;
    tm_assert(sqlite3_busy_timeout(sql->db, ms) == SQLITE_OK);
}

int64_t tm_sql_changes(const struct tm_sql *sql)
{
    return sqlite3_changes64(sql->db);
}

int64_t tm_sql_last_id(const struct tm_sql *sql)
{
    return sqlite3_last_insert_rowid(sql->db);
}

/* Statements ------------------------------------------------------------------------------- */

/* The slot of `text`, or the free one where it belongs. */
static struct cached *slot_of(struct tm_sql *sql, const char *text)
{
    size_t at = ((uintptr_t)text * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (CACHE_SLOTS - 1);
    while (sql->cache[at].text != NULL && sql->cache[at].text != text) {
        at = (at + 1) & (CACHE_SLOTS - 1);
    }
    return &sql->cache[at];
}

enum tm_code tm_sql_use(
        struct tm_sql *sql, const char *text, struct tm_stmt *out, struct tm_err *err)
{
    struct cached *slot = slot_of(sql, text);
    if (slot->text == NULL) {
        sqlite3_stmt *made = NULL;
        if (sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL) !=
                SQLITE_OK) {
            return fail(sql, err);
        }
        tm_assert(++sql->statements < CACHE_SLOTS / 2);
        *slot = (struct cached){.text = text, .at = made};
    }
    tm_assert(sqlite3_stmt_busy(slot->at) == 0);
    *out = (struct tm_stmt){.sql = sql, .at = slot->at};
    return TM_OK;
}

void tm_sql_rewind(struct tm_stmt *stmt)
{
    (void)sqlite3_reset(stmt->at); /* repeats a failure that has been reported */
    stmt->bound = 0;
}

void tm_sql_stmt_done(struct tm_stmt *stmt)
{
    if (stmt->at != NULL) {
        tm_sql_rewind(stmt);
        (void)sqlite3_clear_bindings(stmt->at); /* they may point to memory that goes away */
        stmt->at = NULL;
    }
}

/* Binding fails for a bug (no such parameter, statement in use) or when memory is gone. */

void tm_sql_bind_i64(struct tm_stmt *stmt, int64_t value)
{
    tm_assert(sqlite3_bind_int64(stmt->at, ++stmt->bound, value) == SQLITE_OK);
}

void tm_sql_bind_bytes(struct tm_stmt *stmt, const void *at, size_t len)
{
    /* A null pointer would bind NULL. */
    const void *bytes = len > 0 ? at : "";
    tm_assert(sqlite3_bind_blob64(stmt->at, ++stmt->bound, bytes, len, SQLITE_STATIC) == SQLITE_OK);
}

void tm_sql_bind_slice(struct tm_stmt *stmt, struct tm_slice bytes)
{
    tm_sql_bind_bytes(stmt, bytes.at, bytes.len);
}

void tm_sql_bind_text(struct tm_stmt *stmt, const char *text)
{
    tm_assert(sqlite3_bind_text(stmt->at, ++stmt->bound, text, -1, SQLITE_STATIC) == SQLITE_OK);
}

void tm_sql_bind_null(struct tm_stmt *stmt)
{
    tm_assert(sqlite3_bind_null(stmt->at, ++stmt->bound) == SQLITE_OK);
}

enum tm_code tm_sql_step(struct tm_stmt *stmt, bool *row, struct tm_err *err)
{
    int result = sqlite3_step(stmt->at);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        return fail(stmt->sql, err);
    }
    *row = result == SQLITE_ROW;
    if (!*row) {
        tm_sql_rewind(stmt);
    }
    return TM_OK;
}

enum tm_code tm_sql_run(struct tm_stmt *stmt, struct tm_err *err)
{
    bool row = false;
    if (tm_sql_step(stmt, &row, err) != TM_OK) {
        return err->code;
    }
    tm_assert(!row);
    return TM_OK;
}

int64_t tm_sql_i64(const struct tm_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->at, column);
}

bool tm_sql_is_null(const struct tm_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->at, column) == SQLITE_NULL;
}

struct tm_slice tm_sql_bytes(const struct tm_stmt *stmt, int column)
{
    const void *at = sqlite3_column_blob(stmt->at, column);
    int len = sqlite3_column_bytes(stmt->at, column);
    /* SQLite gives no address for an empty blob; for us that would be null. */
    return at != NULL ? tm_slice_of(at, (size_t)len) : tm_slice_str("");
}

void tm_sql_copy(const struct tm_stmt *stmt, int column, void *to, size_t len)
{
    struct tm_slice bytes = tm_sql_bytes(stmt, column);
    memset(to, 0, len);
    memcpy(to, bytes.at, bytes.len < len ? bytes.len : len);
}

const char *tm_sql_text(const struct tm_stmt *stmt, int column, struct tm_arena *arena)
{
    if (tm_sql_is_null(stmt, column)) {
        return NULL;
    }
    return tm_arena_str(arena, tm_sql_bytes(stmt, column));
}

/* Transactions ----------------------------------------------------------------------------- */

static enum tm_code begin(
        struct tm_sql *sql, const char *text, struct tm_txn *out, struct tm_err *err)
{
    tm_assert(out->sql == NULL);
    if (tm_sql_exec(sql, text, err) != TM_OK) {
        return err->code;
    }
    out->sql = sql;
    return TM_OK;
}

enum tm_code tm_sql_begin_read(struct tm_sql *sql, struct tm_txn *out, struct tm_err *err)
{
    return begin(sql, "BEGIN", out, err);
}

enum tm_code tm_sql_begin_write(struct tm_sql *sql, struct tm_txn *out, struct tm_err *err)
{
    return begin(sql, "BEGIN IMMEDIATE", out, err);
}

enum tm_code tm_sql_commit(struct tm_txn *txn, struct tm_err *err)
{
    struct tm_sql *sql = TM_TAKE(txn->sql);
    if (tm_sql_exec(sql, "COMMIT", err) == TM_OK) {
        return TM_OK;
    }
    (void)sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    return err->code;
}

void tm_sql_txn_done(struct tm_txn *txn)
{
    if (txn->sql != NULL) {
        /* After some failures (no space) SQLite has rolled back by itself: then this one fails. */
        (void)sqlite3_exec(txn->sql->db, "ROLLBACK", NULL, NULL, NULL);
        txn->sql = NULL;
    }
}
