/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/text.h"
#include "catalog/apply.h"

enum { NAME_SHOWN = 8, NAME_TEXT = 2 * NAME_SHOWN + 1 };

static enum tm_code refuse(const struct tm_hash *pack, const char *why, struct tm_err *err)
{
    char text[NAME_TEXT];
    tm_hex(pack->bytes, NAME_SHOWN, text);
    return tm_err_set(err, TM_E_CONFLICT, "pack %s %s", text, why);
}

static const char select_known[] = "SELECT CASE"
                                   " WHEN EXISTS (SELECT 1 FROM pack WHERE name = ?1) THEN 1"
                                   " WHEN EXISTS (SELECT 1 FROM swept WHERE name = ?1) THEN 2"
                                   " WHEN EXISTS (SELECT 1 FROM dropped WHERE name = ?1) THEN 3"
                                   " WHEN EXISTS (SELECT 1 FROM moved WHERE name = ?1) THEN 4"
                                   " ELSE 0 END";

enum known { UNKNOWN, HELD, SWEPT, DROPPED, MOVED };

static enum tm_code look_up(
        struct tm_sql *sql, const struct tm_hash *name, enum known *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_known, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, name->bytes, sizeof(name->bytes));
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = (enum known)tm_sql_i64(&stmt, 0);
    return TM_OK;
}

/* New packs -------------------------------------------------------------------------------- */

static bool is_new(const struct tm_edits *edits, const struct tm_hash *name)
{
    for (size_t i = 0; i < edits->packs.count; i++) {
        if (tm_hash_eq(&edits->packs.at[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool names(const struct tm_row_successors *gone, const struct tm_hash *name)
{
    for (size_t i = 0; i < gone->successor_count; i++) {
        if (tm_hash_eq(&gone->successors[i], name)) {
            return true;
        }
    }
    return false;
}

/* Does the entry put the pack in the place of others? Then what it refers to was kept for their sake. */
static bool is_successor(const struct tm_edits *edits, const struct tm_hash *name)
{
    for (size_t i = 0; i < edits->packs_gone.count; i++) {
        if (names(&edits->packs_gone.at[i], name)) {
            return true;
        }
    }
    return false;
}

/*
 * A fresh pack refers to packs in use. One that has moved will not do: a merge leaves out what nobody
 * referred to when it was made, and that may be the very content.
 */
static enum tm_code check_dep(struct tm_sql *sql, const struct tm_edits *edits,
        const struct tm_hash *dep, struct tm_err *err)
{
    enum known known = UNKNOWN;
    if (look_up(sql, dep, &known, err) != TM_OK) {
        return err->code;
    }
    return known == HELD || is_new(edits, dep)
                   ? TM_OK
                   : refuse(dep, "was dropped or merged meanwhile, and a new pack refers to it",
                             err);
}

static enum tm_code check_pack(struct tm_sql *sql, const struct tm_edits *edits,
        const struct tm_row_pack *pack, struct tm_err *err)
{
    static const char *const why[] = {
            [HELD] = "is in use already",
            [SWEPT] = "was swept meanwhile: it lay unused for too long",
            [DROPPED] = "was dropped meanwhile",
            [MOVED] = "was merged meanwhile",
    };
    enum known known = UNKNOWN;
    if (look_up(sql, &pack->name, &known, err) != TM_OK) {
        return err->code;
    }
    if (known != UNKNOWN) {
        return refuse(&pack->name, why[known], err);
    }
    bool fresh = !is_successor(edits, &pack->name);
    for (size_t i = 0; fresh && i < pack->dep_count; i++) {
        if (check_dep(sql, edits, &pack->deps[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* What goes -------------------------------------------------------------------------------- */

static enum tm_code check_gone(struct tm_sql *sql, const struct tm_hash *name, struct tm_err *err)
{
    enum known known = UNKNOWN;
    if (look_up(sql, name, &known, err) != TM_OK) {
        return err->code;
    }
    return known == HELD ? TM_OK : refuse(name, "is not there any more", err);
}

static enum tm_code check_swept(struct tm_sql *sql, const struct tm_hash *name, struct tm_err *err)
{
    enum known known = UNKNOWN;
    if (look_up(sql, name, &known, err) != TM_OK) {
        return err->code;
    }
    return known != HELD ? TM_OK : refuse(name, "was taken into use meanwhile", err);
}

static const char select_point[] = "SELECT coalesce(m.hold_until_ms, 0) FROM point p"
                                   " LEFT JOIN mark m ON m.point = p.id WHERE p.id = ?";

static enum tm_code check_point(
        struct tm_sql *sql, uint64_t point, int64_t now_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_point, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, (int64_t)point);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    int64_t until_ms = row ? tm_sql_i64(&stmt, 0) : 0;
    if (!row) {
        return tm_err_set(
                err, TM_E_CONFLICT, "point %" PRIu64 " was removed by another meanwhile", point);
    }
    if (until_ms == -1 || until_ms > now_ms) {
        return tm_err_set(err, TM_E_CONFLICT, "point %" PRIu64 " is held", point);
    }
    return TM_OK;
}

enum tm_code tm_apply_overtaken(
        struct tm_sql *sql, const struct tm_edits *edits, int64_t now_ms, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    enum tm_code code = tm_sql_begin_read(sql, &txn, err);
    for (size_t i = 0; code == TM_OK && i < edits->packs.count; i++) {
        code = check_pack(sql, edits, &edits->packs.at[i], err);
    }
    for (size_t i = 0; code == TM_OK && i < edits->packs_gone.count; i++) {
        code = check_gone(sql, &edits->packs_gone.at[i].name, err);
    }
    for (size_t i = 0; code == TM_OK && i < edits->sweep.count; i++) {
        code = check_swept(sql, &edits->sweep.at[i], err);
    }
    for (size_t i = 0; code == TM_OK && i < edits->points_gone.count; i++) {
        code = check_point(sql, edits->points_gone.at[i], now_ms, err);
    }
    return code;
}
