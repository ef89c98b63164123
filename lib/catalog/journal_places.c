/* SPDX-License-Identifier: Apache-2.0 */
/* Where the records of a restore lie that appends to topics others write to. */
#include "base/vec.h"
#include "catalog/journal_impl.h"
#include "catalog/rows.h"

static const char make_table[] =
        "CREATE TABLE IF NOT EXISTS place ("
        " job BLOB NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL,"
        " offset INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (job, topic, part, first)"
        ") STRICT, WITHOUT ROWID;";

enum tm_code tm_journal_places_open(struct tm_journal *journal, struct tm_err *err)
{
    return tm_sql_exec(journal->sql, make_table, err);
}

static const char drop_from[] =
        "DELETE FROM place WHERE job = ? AND topic = ? AND part = ? AND first >= ?";
static const char put_place[] =
        "INSERT INTO place (job, topic, part, first, offset, count) VALUES (?, ?, ?, ?, ?, ?)";
static const char get_places[] = "SELECT first, offset, count FROM place"
                                 " WHERE job = ? AND topic = ? AND part = ? ORDER BY first";
static const char drop_places[] = "DELETE FROM place WHERE job = ?";

static void bind_part(
        struct tm_stmt *stmt, const struct tm_id16 *job, const char *topic, int32_t partition)
{
    tm_sql_bind_bytes(stmt, job->bytes, sizeof(job->bytes));
    tm_sql_bind_text(stmt, topic);
    tm_sql_bind_i64(stmt, partition);
}

enum tm_code tm_journal_put_places(struct tm_journal *journal, const struct tm_id16 *job,
        const char *topic, int32_t partition, const struct tm_journal_place *rows, size_t count,
        struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt drop = {0};
    TM_STMT_OWN struct tm_stmt put = {0};
    tm_assert(count > 0);
    TM_TRY(tm_sql_begin_write(journal->sql, &txn, err));
    TM_TRY(tm_sql_use(journal->sql, drop_from, &drop, err));
    TM_TRY(tm_sql_use(journal->sql, put_place, &put, err));
    bind_part(&drop, job, topic, partition);
    tm_sql_bind_i64(&drop, rows[0].index);
    TM_TRY(tm_sql_run(&drop, err));
    for (size_t i = 0; i < count; i++) {
        bind_part(&put, job, topic, partition);
        tm_sql_bind_i64(&put, rows[i].index);
        tm_sql_bind_i64(&put, rows[i].offset);
        tm_sql_bind_i64(&put, rows[i].count);
        TM_TRY(tm_sql_run(&put, err));
    }
    return tm_sql_commit(&txn, err);
}

enum tm_code tm_journal_places(struct tm_journal *journal, const struct tm_id16 *job,
        const char *topic, int32_t partition, struct tm_arena *arena, struct tm_journal_place **out,
        size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_journal_place) rows = {0};
    bool row = false;
    TM_TRY(tm_sql_use(journal->sql, get_places, &stmt, err));
    bind_part(&stmt, job, topic, partition);
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_journal_place){
                tm_sql_i64(&stmt, 0), tm_sql_i64(&stmt, 1), tm_sql_i64(&stmt, 2)};
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}

enum tm_code tm_journal_drop_places(
        struct tm_journal *journal, const struct tm_id16 *job, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, drop_places, &stmt, err));
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    return tm_sql_run(&stmt, err);
}
