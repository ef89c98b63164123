/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/journal_pauses.h"

#include "base/vec.h"
#include "catalog/journal_impl.h"
#include "catalog/rows.h"

static const char make_table[] =
        "CREATE TABLE IF NOT EXISTS pause ("
        " policy TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
        " reason TEXT NOT NULL, who TEXT NOT NULL) STRICT, WITHOUT ROWID";

enum tm_code tm_journal_pauses_open(struct tm_journal *journal, struct tm_err *err)
{
    return tm_sql_exec(journal->sql, make_table, err);
}

static const char put_pause[] = "INSERT OR REPLACE INTO pause (policy, since_ms, until_ms, reason,"
                                " who) VALUES (?, ?, ?, ?, ?)";

enum tm_code tm_journal_put_pause(
        struct tm_journal *journal, const struct tm_pause_row *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, put_pause, &stmt, err));
    tm_sql_bind_text(&stmt, row->policy);
    tm_sql_bind_i64(&stmt, row->since_ms);
    tm_sql_bind_i64(&stmt, row->until_ms);
    tm_sql_bind_text(&stmt, row->reason);
    tm_sql_bind_text(&stmt, row->who);
    return tm_sql_run(&stmt, err);
}

static const char remove_pause[] = "DELETE FROM pause WHERE policy = ?";

enum tm_code tm_journal_remove_pause(
        struct tm_journal *journal, const char *policy, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, remove_pause, &stmt, err));
    tm_sql_bind_text(&stmt, policy);
    return tm_sql_run(&stmt, err);
}

static const char get_pauses[] =
        "SELECT policy, since_ms, until_ms, reason, who FROM pause ORDER BY policy";

enum tm_code tm_journal_pauses(struct tm_journal *journal, struct tm_arena *arena,
        struct tm_pause_row **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, get_pauses, &stmt, err));
    TM_VEC(struct tm_pause_row) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_pause_row){
                .policy = tm_sql_text(&stmt, 0, arena),
                .since_ms = tm_sql_i64(&stmt, 1),
                .until_ms = tm_sql_i64(&stmt, 2),
                .reason = tm_sql_text(&stmt, 3, arena),
                .who = tm_sql_text(&stmt, 4, arena),
        };
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}
