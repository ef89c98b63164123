/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/journal_map.h"

#include "base/vec.h"
#include "catalog/journal_impl.h"
#include "catalog/rows.h"

enum { AT_ONCE = 256 };

static const char make_tables[] =
        "CREATE TABLE IF NOT EXISTS offset_map ("
        " job BLOB NOT NULL, topic TEXT NOT NULL, target TEXT NOT NULL, part INTEGER NOT NULL,"
        " first INTEGER NOT NULL, last INTEGER NOT NULL, target_part INTEGER NOT NULL,"
        " target_first INTEGER NOT NULL, target_last INTEGER NOT NULL, records INTEGER NOT NULL,"
        " PRIMARY KEY (job, topic, part, first, target_part)) STRICT, WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS group_report ("
        " job BLOB PRIMARY KEY, report TEXT NOT NULL) STRICT, WITHOUT ROWID;";

enum tm_code tm_journal_map_open(struct tm_journal *journal, struct tm_err *err)
{
    return tm_sql_exec(journal->sql, make_tables, err);
}

#define ENDED "(SELECT id FROM job WHERE state > 1 AND created_ms < ?)"
static const char prune_maps[] = "DELETE FROM offset_map WHERE job IN " ENDED;
static const char prune_reports[] = "DELETE FROM group_report WHERE job IN " ENDED;

enum tm_code tm_journal_map_prune(struct tm_journal *journal, int64_t before_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt maps = {0};
    TM_STMT_OWN struct tm_stmt reports = {0};
    TM_TRY(tm_sql_use(journal->sql, prune_maps, &maps, err));
    TM_TRY(tm_sql_use(journal->sql, prune_reports, &reports, err));
    tm_sql_bind_i64(&maps, before_ms);
    tm_sql_bind_i64(&reports, before_ms);
    TM_TRY(tm_sql_run(&maps, err));
    return tm_sql_run(&reports, err);
}

/* The map ------------------------------------------------------------------------------------- */

static const char clear_map[] = "DELETE FROM offset_map WHERE job = ? AND topic = ?";
static const char put_row[] =
        "INSERT OR REPLACE INTO offset_map (job, topic, target, part, first, last, target_part,"
        " target_first, target_last, records) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum tm_code put(struct tm_sql *sql, const struct tm_id16 *job, const char *topic,
        const char *target, const struct tm_map_row *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, put_row, &stmt, err));
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    tm_sql_bind_text(&stmt, topic);
    tm_sql_bind_text(&stmt, target);
    tm_sql_bind_i64(&stmt, row->source_partition);
    tm_sql_bind_i64(&stmt, row->source_first);
    tm_sql_bind_i64(&stmt, row->source_last);
    tm_sql_bind_i64(&stmt, row->target_partition);
    tm_sql_bind_i64(&stmt, row->target_first);
    tm_sql_bind_i64(&stmt, row->target_last);
    tm_sql_bind_i64(&stmt, row->records);
    return tm_sql_run(&stmt, err);
}

static enum tm_code clear(
        struct tm_sql *sql, const struct tm_id16 *job, const char *topic, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(sql, clear_map, &stmt, err));
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    tm_sql_bind_text(&stmt, topic);
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_journal_put_map(struct tm_journal *journal, const struct tm_id16 *job,
        const char *topic, const char *target,
        size_t (*next)(void *arg, struct tm_map_row *rows, size_t most), void *arg,
        struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    struct tm_map_row rows[AT_ONCE];
    TM_TRY(tm_sql_begin_write(journal->sql, &txn, err));
    TM_TRY(clear(journal->sql, job, topic, err));
    for (size_t count = next(arg, rows, AT_ONCE); count > 0; count = next(arg, rows, AT_ONCE)) {
        for (size_t i = 0; i < count; i++) {
            TM_TRY(put(journal->sql, job, topic, target, &rows[i], err));
        }
    }
    return tm_sql_commit(&txn, err);
}

static const char get_map[] =
        "SELECT topic, target, part, first, last, target_part, target_first, target_last, records"
        " FROM offset_map WHERE job = ?1 AND (?2 IS NULL OR topic = ?2) AND (?3 < 0 OR part = ?3)"
        " ORDER BY topic, part, first, target_part LIMIT ?4 OFFSET ?5";

static struct tm_map_row read_row(const struct tm_stmt *stmt, struct tm_arena *arena)
{
    return (struct tm_map_row){
            .topic = tm_sql_text(stmt, 0, arena),
            .target = tm_sql_text(stmt, 1, arena),
            .source_partition = (int32_t)tm_sql_i64(stmt, 2),
            .source_first = tm_sql_i64(stmt, 3),
            .source_last = tm_sql_i64(stmt, 4),
            .target_partition = (int32_t)tm_sql_i64(stmt, 5),
            .target_first = tm_sql_i64(stmt, 6),
            .target_last = tm_sql_i64(stmt, 7),
            .records = tm_sql_i64(stmt, 8),
    };
}

enum tm_code tm_journal_map(struct tm_journal *journal, const struct tm_map_query *query,
        struct tm_arena *arena, struct tm_map_row **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, get_map, &stmt, err));
    tm_sql_bind_bytes(&stmt, query->job.bytes, sizeof(query->job.bytes));
    tm_sql_bind_text(&stmt, query->topic);
    tm_sql_bind_i64(&stmt, query->partition);
    tm_sql_bind_i64(&stmt, query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
    tm_sql_bind_i64(&stmt, query->from);
    TM_VEC(struct tm_map_row) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = read_row(&stmt, arena);
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}

/* Groups -------------------------------------------------------------------------------------- */

static const char put_report[] = "INSERT OR REPLACE INTO group_report (job, report) VALUES (?, ?)";
static const char get_report[] = "SELECT report FROM group_report WHERE job = ?";

enum tm_code tm_journal_put_groups(struct tm_journal *journal, const struct tm_id16 *job,
        const char *report, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_TRY(tm_sql_use(journal->sql, put_report, &stmt, err));
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    tm_sql_bind_text(&stmt, report);
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_journal_groups(struct tm_journal *journal, const struct tm_id16 *job,
        struct tm_arena *arena, const char **out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    *out = NULL;
    TM_TRY(tm_sql_use(journal->sql, get_report, &stmt, err));
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    TM_TRY(tm_sql_step(&stmt, &row, err));
    *out = row ? tm_sql_text(&stmt, 0, arena) : NULL;
    return TM_OK;
}
