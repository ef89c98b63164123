/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/head.h"

#include <inttypes.h>

static const char select_head[] =
        "SELECT vault_id, seq, hash, full_seq, full_bytes, delta_bytes FROM head";
static const char replace_head[] = "INSERT OR REPLACE INTO head"
                                   " (one, vault_id, seq, hash, full_seq, full_bytes, delta_bytes) "
                                   "VALUES (1, ?, ?, ?, ?, ?, ?)";

enum tm_code tm_head_read(struct tm_sql *sql, struct tm_fold_state *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_head, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (!row) {
        *out = (struct tm_fold_state){.empty = true};
        return TM_OK;
    }
    *out = (struct tm_fold_state){
            .head.seq = (uint64_t)tm_sql_i64(&stmt, 1),
            .full_seq = (uint64_t)tm_sql_i64(&stmt, 3),
            .full_bytes = (uint64_t)tm_sql_i64(&stmt, 4),
            .delta_bytes = (uint64_t)tm_sql_i64(&stmt, 5),
    };
    tm_sql_copy(&stmt, 0, out->vault_id.bytes, sizeof(out->vault_id.bytes));
    tm_sql_copy(&stmt, 2, out->head.hash.bytes, sizeof(out->head.hash.bytes));
    return TM_OK;
}

enum tm_code tm_head_write(
        struct tm_sql *sql, const struct tm_fold_state *state, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, replace_head, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, state->vault_id.bytes, sizeof(state->vault_id.bytes));
    tm_sql_bind_i64(&stmt, (int64_t)state->head.seq);
    tm_sql_bind_bytes(&stmt, state->head.hash.bytes, sizeof(state->head.hash.bytes));
    tm_sql_bind_i64(&stmt, (int64_t)state->full_seq);
    tm_sql_bind_i64(&stmt, (int64_t)state->full_bytes);
    tm_sql_bind_i64(&stmt, (int64_t)state->delta_bytes);
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_head_check(const struct tm_fold_state *state, const struct tm_entry_place *place,
        bool full, struct tm_err *err)
{
    if (place->seq > INT64_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "entry number %" PRIu64 " is too large", place->seq);
    }
    if (full && place->back != 0) {
        return tm_err_set(err, TM_E_CORRUPT, "a full names a newer full, %" PRIu32 " entries back",
                place->back);
    }
    if (state->empty) {
        return full ? TM_OK
                    : tm_err_set(err, TM_E_CONFLICT,
                              "nothing is folded yet, and entry %" PRIu64 " is not a full",
                              place->seq);
    }
    if (!tm_id16_eq(&place->vault_id, &state->vault_id)) {
        return tm_err_set(err, TM_E_CORRUPT, "the entry belongs to another vault");
    }
    if (place->seq != state->head.seq + 1) {
        return tm_err_set(err, TM_E_CONFLICT,
                "entry %" PRIu64 " cannot follow entry %" PRIu64 ", the last one folded",
                place->seq, state->head.seq);
    }
    if (!tm_hash_eq(&place->prev, &state->head.hash)) {
        return tm_err_set(err, TM_E_CORRUPT,
                "the entry follows another entry %" PRIu64 " than the one that is folded",
                state->head.seq);
    }
    uint64_t back = place->seq - state->full_seq;
    if (!full && place->back != back) {
        return tm_err_set(err, TM_E_CORRUPT,
                "the newest full is %" PRIu64 " entries back, the entry says %" PRIu32, back,
                place->back);
    }
    return TM_OK;
}

struct tm_fold_state tm_head_after(const struct tm_fold_state *state,
        const struct tm_entry_place *place, const struct tm_hash *hash, uint64_t object_bytes,
        bool full)
{
    struct tm_fold_state after = *state;
    after.empty = false;
    after.vault_id = place->vault_id;
    after.head = (struct tm_head){.seq = place->seq, .hash = *hash};
    if (full) {
        after.full_seq = place->seq;
        after.full_bytes = object_bytes;
        after.delta_bytes = 0;
    } else {
        after.delta_bytes += object_bytes;
    }
    return after;
}
