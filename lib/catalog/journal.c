/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/journal_impl.h"

#include "base/vec.h"
#include "catalog/rows.h"
#include "catalog/schema.h"
#include "catalog/sql.h"

enum tm_code tm_journal_open(const char *path, struct tm_journal **out, struct tm_err *err)
{
    struct tm_sql *sql = NULL;
    if (tm_sql_open(path, &tm_schema_journal, &sql, err) != TM_OK) {
        return err->code;
    }
    struct tm_journal *journal = tm_xalloc(1, sizeof(*journal));
    journal->sql = sql;
    if (tm_journal_holds_open(journal, err) != TM_OK ||
            tm_journal_map_open(journal, err) != TM_OK ||
            tm_journal_places_open(journal, err) != TM_OK ||
            tm_journal_pauses_open(journal, err) != TM_OK ||
            tm_journal_proofs_open(journal, err) != TM_OK ||
            tm_journal_keys_open(journal, err) != TM_OK) {
        tm_journal_close(journal);
        return err->code;
    }
    *out = journal;
    return TM_OK;
}

void tm_journal_close(struct tm_journal *journal)
{
    if (journal != NULL) {
        tm_sql_close(journal->sql);
        free(journal);
    }
}

const char *tm_job_kind_name(enum tm_job_kind kind)
{
    static const char *const names[] = {
            [TM_JOB_BACKUP] = "backup",
            [TM_JOB_RESTORE] = "restore",
            [TM_JOB_VERIFY] = "verify",
            [TM_JOB_RETENTION] = "retention",
            [TM_JOB_DELETE] = "delete",
            [TM_JOB_IMPORT] = "import",
            [TM_JOB_DRILL] = "drill",
    };
    return names[kind];
}

const char *tm_job_state_name(enum tm_job_state state)
{
    static const char *const names[] = {
            [TM_JOB_QUEUED] = "queued",
            [TM_JOB_RUNNING] = "running",
            [TM_JOB_SUCCEEDED] = "succeeded",
            [TM_JOB_PARTIAL] = "partial",
            [TM_JOB_FAILED] = "failed",
            [TM_JOB_CANCELLED] = "cancelled",
    };
    return names[state];
}

/* Jobs ------------------------------------------------------------------------------------- */

#define JOB_COLUMNS \
    "id, kind, state, policy, cluster, requested_by, request_id, request, result, error," \
    " warnings, created_ms, started_ms, finished_ms, resumed"

static const char put_job[] = "INSERT OR REPLACE INTO job (" JOB_COLUMNS
                              ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char get_job[] = "SELECT " JOB_COLUMNS " FROM job WHERE id = ?";

enum tm_code tm_journal_put_job(
        struct tm_journal *journal, const struct tm_job_row *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(journal->sql, put_job, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, row->id.bytes, sizeof(row->id.bytes));
    tm_sql_bind_i64(&stmt, row->kind);
    tm_sql_bind_i64(&stmt, row->state);
    tm_sql_bind_text(&stmt, row->policy);
    tm_sql_bind_text(&stmt, row->cluster);
    tm_sql_bind_text(&stmt, row->requested_by);
    tm_sql_bind_text(&stmt, row->request_id);
    tm_sql_bind_text(&stmt, row->request);
    tm_sql_bind_text(&stmt, row->result);
    tm_sql_bind_text(&stmt, row->error);
    tm_sql_bind_text(&stmt, row->warnings);
    tm_sql_bind_i64(&stmt, row->created_ms);
    tm_sql_bind_i64(&stmt, row->started_ms);
    tm_sql_bind_i64(&stmt, row->finished_ms);
    tm_sql_bind_i64(&stmt, row->resumed);
    return tm_sql_run(&stmt, err);
}

/* A damaged row must not become a kind or state that no switch knows. */
static int within(int64_t value, int last)
{
    return value >= 0 && value <= last ? (int)value : last;
}

static void read_job(const struct tm_stmt *stmt, struct tm_arena *arena, struct tm_job_row *out)
{
    *out = (struct tm_job_row){
            .kind = (enum tm_job_kind)within(tm_sql_i64(stmt, 1), TM_JOB_KINDS - 1),
            .state = (enum tm_job_state)within(tm_sql_i64(stmt, 2), TM_JOB_CANCELLED),
            .policy = tm_sql_text(stmt, 3, arena),
            .cluster = tm_sql_text(stmt, 4, arena),
            .requested_by = tm_sql_text(stmt, 5, arena),
            .request_id = tm_sql_text(stmt, 6, arena),
            .request = tm_sql_text(stmt, 7, arena),
            .result = tm_sql_text(stmt, 8, arena),
            .error = tm_sql_text(stmt, 9, arena),
            .warnings = tm_sql_text(stmt, 10, arena),
            .created_ms = tm_sql_i64(stmt, 11),
            .started_ms = tm_sql_i64(stmt, 12),
            .finished_ms = tm_sql_i64(stmt, 13),
            .resumed = tm_sql_i64(stmt, 14),
    };
    tm_sql_copy(stmt, 0, out->id.bytes, sizeof(out->id.bytes));
}

enum tm_code tm_journal_get_job(struct tm_journal *journal, const struct tm_id16 *id,
        struct tm_arena *arena, struct tm_job_row *out, bool *found, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(journal->sql, get_job, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, id->bytes, sizeof(id->bytes));
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (row) {
        read_job(&stmt, arena, out);
    }
    *found = row;
    return TM_OK;
}

#define POLICIES "(SELECT value FROM json_each(?5))" /* of a JSON array */

/* One text for each index that can carry the question. */
#define JOBS_WHERE \
    " AND (?1 = 0 OR (?1 >> kind) & 1) AND created_ms >= ?2 AND (?3 IS NULL OR id < ?3)" \
    " AND (?4 = 0 OR (?4 >> state) & 1) AND (?8 < 0 OR state = ?8)" \
    " AND (?5 IS NULL OR policy IN " POLICIES ") AND (?7 = 0 OR created_ms < ?7)" \
    " ORDER BY id DESC LIMIT ?6"

static const char all_jobs[] = "SELECT " JOB_COLUMNS " FROM job WHERE 1" JOBS_WHERE;
static const char jobs_of_policies[] =
        "SELECT " JOB_COLUMNS " FROM job WHERE policy IN " POLICIES JOBS_WHERE;
static const char jobs_in_state[] = "SELECT " JOB_COLUMNS " FROM job WHERE state = ?8" JOBS_WHERE;
static const char jobs_open[] = "SELECT " JOB_COLUMNS " FROM job WHERE state IN (0, 1)" JOBS_WHERE;

_Static_assert(TM_JOB_QUEUED == 0 && TM_JOB_RUNNING == 1, "the texts above know them by number");

/* The only state that is asked for; -1: several, or any. */
static int only_state(const struct tm_job_query *query)
{
    bool one = query->states != 0 && (query->states & (query->states - 1)) == 0;
    return one ? __builtin_ctz(query->states) : -1;
}

static const char *jobs_text(const struct tm_job_query *query)
{
    if (query->states == TM_JOBS_OPEN) {
        return jobs_open;
    }
    if (query->policies.count > 0) {
        return jobs_of_policies;
    }
    return only_state(query) >= 0 ? jobs_in_state : all_jobs;
}

static void bind_query(
        struct tm_stmt *stmt, const struct tm_job_query *query, struct tm_arena *arena)
{
    tm_sql_bind_i64(stmt, query->kinds);
    tm_sql_bind_i64(stmt, query->since_ms);
    if (query->before != NULL) {
        tm_sql_bind_bytes(stmt, query->before->bytes, sizeof(query->before->bytes));
    } else {
        tm_sql_bind_null(stmt);
    }
    tm_sql_bind_i64(stmt, query->states);
    tm_sql_bind_text(stmt, tm_names_json(&query->policies, arena));
    tm_sql_bind_i64(stmt, query->limit < INT64_MAX ? (int64_t)query->limit : INT64_MAX);
    tm_sql_bind_i64(stmt, query->until_ms);
    tm_sql_bind_i64(stmt, only_state(query));
}

enum tm_code tm_journal_count_jobs(struct tm_journal *journal, const struct tm_job_query *query,
        int64_t *count, struct tm_err *err)
{
    static const char text[] = "SELECT count(*) FROM job WHERE 1" JOBS_WHERE;
    struct tm_job_query all = *query;
    all.before = NULL;
    all.limit = 1; /* the one row that counts */
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(journal->sql, text, &stmt, err) != TM_OK) {
        return err->code;
    }
    struct tm_arena arena = {0};
    bind_query(&stmt, &all, &arena);
    enum tm_code code = tm_sql_step(&stmt, &row, err);
    *count = row ? tm_sql_i64(&stmt, 0) : 0;
    tm_arena_done(&arena);
    return code;
}

enum tm_code tm_journal_jobs(struct tm_journal *journal, const struct tm_job_query *query,
        struct tm_arena *arena, struct tm_job_row **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(journal->sql, jobs_text(query), &stmt, err) != TM_OK) {
        return err->code;
    }
    bind_query(&stmt, query, arena);
    TM_VEC(struct tm_job_row) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        read_job(&stmt, arena, tm_vec_push(&rows));
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}

static const char prune_targets[] =
        "DELETE FROM target WHERE job IN (SELECT id FROM job WHERE state > 1 AND created_ms < ?)";
static const char prune_holds[] =
        "DELETE FROM hold WHERE state > 0 AND job IN (SELECT id FROM job WHERE state > 1 AND"
        " created_ms < ?)";
static const char prune_places[] =
        "DELETE FROM place WHERE job IN (SELECT id FROM job WHERE state > 1 AND created_ms < ?)";
static const char prune_jobs[] = "DELETE FROM job WHERE state > 1 AND created_ms < ?";

enum tm_code tm_journal_prune_jobs(
        struct tm_journal *journal, int64_t before_ms, int64_t *removed, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    TM_STMT_OWN struct tm_stmt targets = {0};
    TM_STMT_OWN struct tm_stmt holds = {0};
    TM_STMT_OWN struct tm_stmt places = {0};
    TM_STMT_OWN struct tm_stmt jobs = {0};
    if (tm_sql_begin_write(journal->sql, &txn, err) != TM_OK ||
            tm_sql_use(journal->sql, prune_targets, &targets, err) != TM_OK ||
            tm_sql_use(journal->sql, prune_holds, &holds, err) != TM_OK ||
            tm_sql_use(journal->sql, prune_places, &places, err) != TM_OK ||
            tm_sql_use(journal->sql, prune_jobs, &jobs, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&targets, before_ms);
    tm_sql_bind_i64(&holds, before_ms);
    tm_sql_bind_i64(&places, before_ms);
    tm_sql_bind_i64(&jobs, before_ms);
    TM_TRY(tm_journal_map_prune(journal, before_ms, err));
    if (tm_sql_run(&targets, err) != TM_OK || tm_sql_run(&holds, err) != TM_OK ||
            tm_sql_run(&places, err) != TM_OK || tm_sql_run(&jobs, err) != TM_OK) {
        return err->code;
    }
    int64_t changes = tm_sql_changes(journal->sql);
    if (tm_sql_commit(&txn, err) != TM_OK) {
        return err->code;
    }
    *removed = changes;
    return TM_OK;
}

/* Targets of restores ---------------------------------------------------------------------- */

static const char put_target[] =
        "INSERT OR REPLACE INTO target (job, topic, created, configured, configs)"
        " VALUES (?, ?, ?, ?, ?)";
static const char get_targets[] =
        "SELECT topic, created, configured, configs FROM target WHERE job = ? ORDER BY topic";

enum tm_code tm_journal_put_target(struct tm_journal *journal, const struct tm_id16 *job,
        const struct tm_restore_target *target, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(journal->sql, put_target, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));
    tm_sql_bind_text(&stmt, target->topic);
    tm_sql_bind_i64(&stmt, target->created);
    tm_sql_bind_i64(&stmt, target->configured);
    tm_sql_bind_text(&stmt, target->configs);
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_journal_targets(struct tm_journal *journal, const struct tm_id16 *job,
        struct tm_arena *arena, struct tm_restore_target **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(journal->sql, get_targets, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, job->bytes, sizeof(job->bytes));

    TM_VEC(struct tm_restore_target) rows = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&rows) = (struct tm_restore_target){
                .topic = tm_sql_text(&stmt, 0, arena),
                .created = tm_sql_i64(&stmt, 1) != 0,
                .configured = tm_sql_i64(&stmt, 2) != 0,
                .configs = tm_sql_text(&stmt, 3, arena),
        };
    }
    if (err->code != TM_OK) {
        tm_vec_done(&rows);
        return err->code;
    }
    tm_rows_keep(&rows, arena, out, count);
    return TM_OK;
}
