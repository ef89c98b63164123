/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/journal_keys.h"

#include "catalog/journal_impl.h"

static const char make_table[] =
        "CREATE TABLE IF NOT EXISTS idempotency ("
        " who TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, job BLOB NOT NULL,"
        " made_ms INTEGER NOT NULL, PRIMARY KEY (who, key)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX IF NOT EXISTS idempotency_made ON idempotency (made_ms);";

enum tm_code tm_journal_keys_open(struct tm_journal *journal, struct tm_err *err)
{
    return tm_sql_exec(journal->sql, make_table, err);
}

static const char drop_old[] = "DELETE FROM idempotency WHERE made_ms < ?";
static const char put_key[] = "INSERT OR REPLACE INTO idempotency (who, key, request, job, "
                              "made_ms) VALUES (?, ?, ?, ?, ?)";

static enum tm_code keep_key(struct tm_journal *journal, const struct tm_job_row *row,
        const struct tm_key_row *key, int64_t expired_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt drop = {0};
    TM_STMT_OWN struct tm_stmt put = {0};
    TM_TRY(tm_sql_use(journal->sql, drop_old, &drop, err));
    tm_sql_bind_i64(&drop, expired_ms);
    TM_TRY(tm_sql_run(&drop, err));
    TM_TRY(tm_sql_use(journal->sql, put_key, &put, err));
    tm_sql_bind_text(&put, key->who);
    tm_sql_bind_text(&put, key->key);
    tm_sql_bind_bytes(&put, key->request.bytes, sizeof(key->request.bytes));
    tm_sql_bind_bytes(&put, row->id.bytes, sizeof(row->id.bytes));
    tm_sql_bind_i64(&put, row->created_ms);
    return tm_sql_run(&put, err);
}

enum tm_code tm_journal_put_made_job(struct tm_journal *journal, const struct tm_job_row *row,
        const struct tm_key_row *key, int64_t expired_ms, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    if (key == NULL) {
        return tm_journal_put_job(journal, row, err);
    }
    TM_TRY(tm_sql_begin_write(journal->sql, &txn, err));
    TM_TRY(tm_journal_put_job(journal, row, err));
    TM_TRY(keep_key(journal, row, key, expired_ms, err));
    return tm_sql_commit(&txn, err);
}

static const char find_key[] =
        "SELECT job, request FROM idempotency WHERE who = ? AND key = ? AND made_ms >= ?";

enum tm_code tm_journal_find_key(struct tm_journal *journal, const char *who, const char *key,
        int64_t expired_ms, struct tm_id16 *job, struct tm_hash *request, bool *found,
        struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, find_key, &stmt, err));
    tm_sql_bind_text(&stmt, who);
    tm_sql_bind_text(&stmt, key);
    tm_sql_bind_i64(&stmt, expired_ms);
    TM_TRY(tm_sql_step(&stmt, found, err));
    if (*found) {
        tm_sql_copy(&stmt, 0, job->bytes, sizeof(job->bytes));
        tm_sql_copy(&stmt, 1, request->bytes, sizeof(request->bytes));
    }
    return TM_OK;
}
