/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/journal_holds.h"

#include "base/vec.h"
#include "catalog/journal_impl.h"
#include "catalog/rows.h"

static const char make_table[] =
        "CREATE TABLE IF NOT EXISTS hold ("
        " job BLOB NOT NULL, cluster TEXT NOT NULL, topic TEXT NOT NULL, name TEXT NOT NULL,"
        " held TEXT NOT NULL, original TEXT, due_ms INTEGER NOT NULL, state INTEGER NOT NULL,"
        " note TEXT, done_ms INTEGER NOT NULL, PRIMARY KEY (job, topic, name)"
        ") STRICT, WITHOUT ROWID";

enum tm_code tm_journal_holds_open(struct tm_journal *journal, struct tm_err *err)
{
    return tm_sql_exec(journal->sql, make_table, err);
}

const char *tm_hold_state_name(enum tm_hold_state state)
{
    static const char *const names[] = {
            [TM_HOLD_WAITING] = "held",
            [TM_HOLD_PUT_BACK] = "put-back",
            [TM_HOLD_LEFT] = "left",
            [TM_HOLD_GONE] = "gone",
    };
    return names[state];
}

static const char put_hold[] =
        "INSERT OR REPLACE INTO hold (job, cluster, topic, name, held, original, due_ms, state,"
        " note, done_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum tm_code put(struct tm_stmt *stmt, const struct tm_hold_row *row, struct tm_err *err)
{
    tm_sql_bind_bytes(stmt, row->job.bytes, sizeof(row->job.bytes));
    tm_sql_bind_text(stmt, row->cluster);
    tm_sql_bind_text(stmt, row->topic);
    tm_sql_bind_text(stmt, row->name);
    tm_sql_bind_text(stmt, row->held);
    tm_sql_bind_text(stmt, row->original);
    tm_sql_bind_i64(stmt, row->due_ms);
    tm_sql_bind_i64(stmt, row->state);
    tm_sql_bind_text(stmt, row->note);
    tm_sql_bind_i64(stmt, row->done_ms);
    return tm_sql_run(stmt, err);
}

enum tm_code tm_journal_put_holds(struct tm_journal *journal, const struct tm_hold_row *rows,
        size_t count, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (count == 0) {
        return TM_OK;
    }
    TM_TRY(tm_sql_begin_write(journal->sql, &txn, err));
    TM_TRY(tm_sql_use(journal->sql, put_hold, &stmt, err));
    for (size_t i = 0; i < count; i++) {
        TM_TRY(put(&stmt, &rows[i], err));
    }
    return tm_sql_commit(&txn, err);
}

static const char get_holds[] =
        "SELECT job, cluster, topic, name, held, original, due_ms, state, note, done_ms FROM hold"
        " WHERE (?1 IS NULL OR job = ?1) AND (?2 = 0 OR state = 0)"
        " ORDER BY cluster, job, topic, name";

_Static_assert(TM_HOLD_WAITING == 0, "the text above knows it by number");

static void read_hold(const struct tm_stmt *stmt, struct tm_arena *arena, struct tm_hold_row *out)
{
    int64_t state = tm_sql_i64(stmt, 7);
    bool known = state >= 0 && state <= TM_HOLD_GONE; /* a damaged row is left alone */
    *out = (struct tm_hold_row){
            .cluster = tm_sql_text(stmt, 1, arena),
            .topic = tm_sql_text(stmt, 2, arena),
            .name = tm_sql_text(stmt, 3, arena),
            .held = tm_sql_text(stmt, 4, arena),
            .original = tm_sql_text(stmt, 5, arena),
            .due_ms = tm_sql_i64(stmt, 6),
            .state = known ? (enum tm_hold_state)state : TM_HOLD_LEFT,
            .note = tm_sql_text(stmt, 8, arena),
            .done_ms = tm_sql_i64(stmt, 9),
    };
    tm_sql_copy(stmt, 0, out->job.bytes, sizeof(out->job.bytes));
}

enum tm_code tm_journal_holds(struct tm_journal *journal, const struct tm_id16 *job, bool waiting,
        struct tm_arena *arena, struct tm_hold_row **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, get_holds, &stmt, err));
    if (job != NULL) {
        tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    } else {
        tm_sql_bind_null(&stmt);
    }
    tm_sql_bind_i64(&stmt, waiting);

    TM_VEC(struct tm_hold_row) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        read_hold(&stmt, arena, tm_vec_push(&rows));
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}
