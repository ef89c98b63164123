/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql - SQLite behind the two databases of this folder: opening, statements, transactions, errors.
 *
 * A statement is prepared at its first use and kept with the handle, found by the address of its
 * text: each text is one static array beside the code that uses it. Values are bound in the order
 * of the parameters; names and other bytes that come from the log are BLOBs, so that they are kept
 * and compared as they are.
 *
 * Threads: a handle belongs to one thread at a time; several handles on one file work side by side.
 */
#ifndef TM_CATALOG_SQL_H
#define TM_CATALOG_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/own.h"
#include "base/slice.h"

struct tm_sql;
struct sqlite3_stmt;

/* What a database file is; static. */
struct tm_sql_kind {
    const char *noun;          /* "catalog" */
    const char *hint;          /* what to do with a damaged one */
    int64_t application_id;    /* tells one kind of file from another */
    int64_t version;           /* of the schema: user_version */
    const char *const *schema; /* makes a new one; ends with NULL */
    bool durable;              /* a commit survives a power cut */
    bool disposable;           /* an older version is emptied and made anew, not migrated */
};

/*
 * Open or make the database. TM_E_VERSION when a newer version wrote it, TM_E_CORRUPT when it is
 * damaged or of another kind.
 */
enum tm_code tm_sql_open(const char *path, const struct tm_sql_kind *kind, struct tm_sql **out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_sql_close(struct tm_sql *sql);
TM_OWNABLE(struct tm_sql *, tm_sql_close);
const char *tm_sql_path(const struct tm_sql *sql);
/* How long to wait for another handle's lock; 10 s unless said otherwise (tests). */
void tm_sql_set_busy_timeout(struct tm_sql *sql, int ms);
/* Run statements that give nothing. */
enum tm_code tm_sql_exec(struct tm_sql *sql, const char *text, struct tm_err *err) TM_MUST_CHECK;
/* Rows changed by the last INSERT, UPDATE or DELETE, and the rowid of the last INSERT. */
int64_t tm_sql_changes(const struct tm_sql *sql);
int64_t tm_sql_last_id(const struct tm_sql *sql);

/* Statements ------------------------------------------------------------------------------- */

/* A statement in use: TM_STMT_OWN struct tm_stmt stmt = {0}; it is free again at the end of the scope. */
struct tm_stmt {
    struct tm_sql *sql;
    struct sqlite3_stmt *at;
    int bound;
};
void tm_sql_stmt_done(struct tm_stmt *stmt);
#define TM_STMT_OWN __attribute__((cleanup(tm_sql_stmt_done)))

/* Take the statement of `text` (static storage); it must not be in use. */
enum tm_code tm_sql_use(struct tm_sql *sql, const char *text, struct tm_stmt *out,
        struct tm_err *err) TM_MUST_CHECK;

/* Bind the next parameter. Bytes are borrowed until the statement is run to its end or done. */
void tm_sql_bind_i64(struct tm_stmt *stmt, int64_t value);
void tm_sql_bind_bytes(struct tm_stmt *stmt, const void *at, size_t len);
void tm_sql_bind_slice(struct tm_stmt *stmt, struct tm_slice bytes); /* null is empty */
void tm_sql_bind_text(struct tm_stmt *stmt, const char *text);       /* NULL is NULL */
void tm_sql_bind_null(struct tm_stmt *stmt);

/* One row further; *row is false at the end, and the statement may be bound anew. */
enum tm_code tm_sql_step(struct tm_stmt *stmt, bool *row, struct tm_err *err) TM_MUST_CHECK;
/* Run a statement that gives no row; it may be bound anew then. */
enum tm_code tm_sql_run(struct tm_stmt *stmt, struct tm_err *err) TM_MUST_CHECK;
/* Leave the remaining rows; the statement may be bound anew. */
void tm_sql_rewind(struct tm_stmt *stmt);

int64_t tm_sql_i64(const struct tm_stmt *stmt, int column);
bool tm_sql_is_null(const struct tm_stmt *stmt, int column);
struct tm_slice tm_sql_bytes(const struct tm_stmt *stmt, int column); /* until the next step */
void tm_sql_copy(const struct tm_stmt *stmt, int column, void *to, size_t len);
/* The column as a string in `arena`; NULL for NULL. */
const char *tm_sql_text(const struct tm_stmt *stmt, int column, struct tm_arena *arena);

/* Transactions ----------------------------------------------------------------------------- */

/* TM_TXN_OWN struct tm_txn txn = {0}; what is not committed at the end of the scope is undone. */
struct tm_txn {
    struct tm_sql *sql; /* NULL: none is open */
};
enum tm_code tm_sql_begin_read(
        struct tm_sql *sql, struct tm_txn *out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_sql_begin_write(
        struct tm_sql *sql, struct tm_txn *out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_sql_commit(struct tm_txn *txn, struct tm_err *err) TM_MUST_CHECK;
void tm_sql_txn_done(struct tm_txn *txn);
#define TM_TXN_OWN __attribute__((cleanup(tm_sql_txn_done)))

#endif
