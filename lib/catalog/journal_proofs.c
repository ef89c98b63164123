/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/journal_proofs.h"

#include "base/vec.h"
#include "catalog/journal_impl.h"
#include "catalog/rows.h"

static const char make_table[] =
        "CREATE TABLE IF NOT EXISTS proof ("
        " kind INTEGER NOT NULL, of TEXT NOT NULL, how TEXT NOT NULL, at_ms INTEGER NOT NULL,"
        " PRIMARY KEY (kind, of, how)) STRICT, WITHOUT ROWID";

enum tm_code tm_journal_proofs_open(struct tm_journal *journal, struct tm_err *err)
{
    return tm_sql_exec(journal->sql, make_table, err);
}

static const char put_proof[] =
        "INSERT OR REPLACE INTO proof (kind, of, how, at_ms) VALUES (?, ?, ?, ?)";

enum tm_code tm_journal_put_proof(
        struct tm_journal *journal, const struct tm_proof_row *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, put_proof, &stmt, err));
    tm_sql_bind_i64(&stmt, row->kind);
    tm_sql_bind_text(&stmt, row->of);
    tm_sql_bind_text(&stmt, row->how);
    tm_sql_bind_i64(&stmt, row->at_ms);
    return tm_sql_run(&stmt, err);
}

static const char get_proofs[] = "SELECT kind, of, how, at_ms FROM proof ORDER BY kind, of, how";

enum tm_code tm_journal_proofs(struct tm_journal *journal, struct tm_arena *arena,
        struct tm_proof_row **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_proof_row) rows = {0};
    bool row = false;
    enum tm_code code = tm_sql_use(journal->sql, get_proofs, &stmt, err);
    while (code == TM_OK && (code = tm_sql_step(&stmt, &row, err)) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_proof_row){
                .kind = (enum tm_job_kind)tm_sql_i64(&stmt, 0),
                .of = tm_sql_text(&stmt, 1, arena),
                .how = tm_sql_text(&stmt, 2, arena),
                .at_ms = tm_sql_i64(&stmt, 3),
        };
    }
    if (code == TM_OK) {
        tm_rows_keep(&rows, arena, out, count);
    }
    tm_vec_done(&rows);
    return code;
}
