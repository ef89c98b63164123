/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/apply.h"

#include <inttypes.h>

#include "catalog/dump.h"
#include "catalog/head.h"
#include "catalog/rows.h"

enum { DECIMAL_MAX = 18 }; /* digits; an int64_t holds them */

/* Params ----------------------------------------------------------------------------------- */

static const char replace_param[] = "INSERT OR REPLACE INTO param (name, value) VALUES (?, ?)";

static bool is_decimal(struct tm_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return text.len > 0 && text.len <= DECIMAL_MAX;
}

static enum tm_code apply_params(struct tm_apply *apply, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(apply->sql, replace_param, &stmt, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < apply->edits->params.count; i++) {
        const struct tm_row_param *row = &apply->edits->params.at[i];
        if (!is_decimal(row->value)) {
            return tm_err_set(err, TM_E_CORRUPT, "param \"%.*s\" is no number", (int)row->name.len,
                    (const char *)row->name.at);
        }
        tm_sql_bind_slice(&stmt, row->name);
        tm_sql_bind_slice(&stmt, row->value);
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* The edits -------------------------------------------------------------------------------- */

static const char select_last_ids[] = "SELECT coalesce((SELECT max(id) FROM stream), 0), "
                                      "coalesce((SELECT max(id) FROM point), 0)";

static enum tm_code read_last_ids(struct tm_apply *apply, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(apply->sql, select_last_ids, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    apply->last_stream = (uint32_t)tm_sql_i64(&stmt, 0);
    apply->last_point = (uint64_t)tm_sql_i64(&stmt, 1);
    return TM_OK;
}

static enum tm_code run_steps(struct tm_apply *apply, struct tm_err *err)
{
    static enum tm_code (*const steps[])(struct tm_apply *, struct tm_err *) = {
            read_last_ids,
            apply_params,
            tm_apply_streams,
            tm_apply_packs,
            tm_apply_ranges,
            tm_apply_points,
            tm_apply_expire,
            tm_apply_writers,
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i](apply, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code apply_edits(
        struct tm_sql *sql, const struct tm_edits *edits, struct tm_err *err)
{
    struct tm_apply apply = {.sql = sql, .edits = edits};
    enum tm_code code = run_steps(&apply, err);
    tm_vec_done(&apply.freed);
    tm_vec_done(&apply.grown);
    tm_arena_done(&apply.arena);
    return code;
}

/*
 * A full behind other entries changes nothing but what it prunes by its own time: what the fold holds
 * then must be the state in it.
 */
static enum tm_code compare_full(
        struct tm_sql *sql, const struct tm_edits *full, struct tm_err *err)
{
    struct tm_edits held = {0};
    TM_BUF_OWN struct tm_buf body = {0};
    if (tm_dump_prune(sql, full->time_ms, err) != TM_OK ||
            tm_dump_state(sql, full->time_ms, &held, err) != TM_OK) {
        return err->code;
    }
    tm_edits_sort(&held);
    enum tm_code code = tm_body_encode(&held, &body, err);
    if (code == TM_OK && !tm_hash_eq(&held.state_hash, &full->state_hash)) {
        code = tm_err_set(
                err, TM_E_CORRUPT, "the state in this full is not what the log before it gives");
    }
    tm_edits_done(&held);
    return code;
}

/* In a transaction of the caller's; *state is what the fold was before. */
static enum tm_code apply_within(struct tm_sql *sql, const struct tm_entry_place *place,
        const struct tm_edits *edits, struct tm_fold_state *state, struct tm_err *err)
{
    if (tm_head_read(sql, state, err) != TM_OK ||
            tm_head_check(state, place, edits->full, err) != TM_OK) {
        return err->code;
    }
    return edits->full && !state->empty ? compare_full(sql, edits, err)
                                        : apply_edits(sql, edits, err);
}

enum tm_code tm_apply_entry(struct tm_sql *sql, const struct tm_entry_place *place,
        const struct tm_hash *hash, uint64_t object_bytes, const struct tm_edits *edits,
        struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    struct tm_fold_state state = {0};
    if (tm_sql_begin_write(sql, &txn, err) != TM_OK ||
            apply_within(sql, place, edits, &state, err) != TM_OK) {
        return err->code;
    }
    struct tm_fold_state after = tm_head_after(&state, place, hash, object_bytes, edits->full);
    return tm_head_write(sql, &after, err) == TM_OK ? tm_sql_commit(&txn, err) : err->code;
}

enum tm_code tm_apply_check(struct tm_sql *sql, const struct tm_entry_place *place,
        const struct tm_edits *edits, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0}; /* undone where it goes out of scope */
    struct tm_fold_state state = {0};
    enum tm_code code = tm_sql_begin_write(sql, &txn, err);
    return code == TM_OK ? apply_within(sql, place, edits, &state, err) : code;
}
