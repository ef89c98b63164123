/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold_double - a fold in memory, for tests of the vault without a catalog.
 *
 * It keeps params, packs with their runs, and watermarks, and holds entries to the part of the fold
 * rule that matters to commits: the runs of a delta start at their partition's watermark.
 */
#ifndef TM_TESTS_FOLD_DOUBLE_H
#define TM_TESTS_FOLD_DOUBLE_H

#include <check.h>
#include <inttypes.h>

#include "vault/fold.h"

enum { FOLD_DOUBLE_PARTITIONS = 8 };

struct fold_double {
    struct tm_fold_state state;
    int64_t next[FOLD_DOUBLE_PARTITIONS]; /* watermarks; partitions of stream 1 */
    TM_VEC(struct tm_row_param) params;
    TM_VEC(struct tm_row_pack) packs;
    struct tm_arena arena;
    int applied; /* entries, ever */
    int resets;
    bool refuse_checks; /* as if every entry broke a rule */
};

static inline enum tm_code fold_double_state(
        void *self, struct tm_fold_state *out, struct tm_err *err)
{
    (void)err;
    *out = ((struct fold_double *)self)->state;
    return TM_OK;
}

static inline enum tm_code fold_double_check(
        const struct fold_double *fold, const struct tm_edits *edits, struct tm_err *err)
{
    int64_t next[FOLD_DOUBLE_PARTITIONS];
    memcpy(next, fold->next, sizeof(next));
    for (size_t i = 0; i < edits->packs.count; i++) {
        const struct tm_row_pack *pack = &edits->packs.at[i];
        for (size_t r = 0; r < pack->run_count; r++) {
            const struct tm_run *run = &pack->runs[r];
            if (run->first != next[run->partition]) {
                return tm_err_set(err, TM_E_CORRUPT,
                        "run of partition %d at %" PRId64 ", not %" PRId64, (int)run->partition,
                        run->first, next[run->partition]);
            }
            next[run->partition] = run->first + run->length;
        }
    }
    return TM_OK;
}

static inline void fold_double_param(struct fold_double *fold, const struct tm_row_param *param)
{
    struct tm_slice value = tm_arena_dup(&fold->arena, param->value);
    for (size_t i = 0; i < fold->params.count; i++) {
        if (tm_slice_eq(fold->params.at[i].name, param->name)) {
            fold->params.at[i].value = value;
            return;
        }
    }
    struct tm_slice name = tm_arena_dup(&fold->arena, param->name);
    *tm_vec_push(&fold->params) = (struct tm_row_param){name, value};
}

static inline void fold_double_load(struct fold_double *fold, const struct tm_edits *edits)
{
    for (size_t i = 0; i < edits->params.count; i++) {
        fold_double_param(fold, &edits->params.at[i]);
    }
    for (size_t i = 0; i < edits->packs.count; i++) {
        struct tm_row_pack pack = edits->packs.at[i];
        size_t bytes = pack.run_count * sizeof(*pack.runs);
        struct tm_run *runs = tm_arena_alloc(&fold->arena, pack.run_count + 1, sizeof(*runs));
        memcpy(runs, pack.runs, bytes);
        pack.runs = runs;
        pack.deps = NULL;
        ck_assert_uint_eq(pack.dep_count, 0);
        *tm_vec_push(&fold->packs) = pack;
    }
    for (size_t i = 0; i < edits->tails.count; i++) {
        fold->next[edits->tails.at[i].partition] = edits->tails.at[i].next;
    }
}

static inline enum tm_code fold_double_apply(void *self, const struct tm_entry_place *place,
        const struct tm_hash *hash, uint64_t object_bytes, const struct tm_edits *edits,
        struct tm_err *err)
{
    struct fold_double *fold = self;
    struct tm_fold_state *state = &fold->state;
    bool first = state->empty && edits->full;
    if (!first && (state->empty || state->head.seq + 1 != place->seq)) {
        return tm_err_set(err, TM_E_CONFLICT, "head is not %" PRIu64, place->seq - 1);
    }
    if (edits->full && !first && edits->packs.count != fold->packs.count) {
        return tm_err_set(err, TM_E_CONFLICT, "a full of another state");
    }
    if (!edits->full) {
        enum tm_code code = fold_double_check(fold, edits, err);
        if (code != TM_OK) {
            return code;
        }
    }
    if (first || !edits->full) {
        fold_double_load(fold, edits);
    }
    state->empty = false;
    state->vault_id = place->vault_id;
    state->head = (struct tm_head){.seq = place->seq, .hash = *hash};
    state->full_seq = edits->full ? place->seq : state->full_seq;
    state->full_bytes = edits->full ? object_bytes : state->full_bytes;
    state->delta_bytes = edits->full ? 0 : state->delta_bytes + object_bytes;
    fold->applied++;
    return TM_OK;
}

static inline enum tm_code fold_double_dump(
        void *self, int64_t now_ms, struct tm_edits *out, struct tm_err *err)
{
    (void)now_ms;
    (void)err;
    const struct fold_double *fold = self;
    for (size_t i = 0; i < fold->params.count; i++) {
        *tm_vec_push(&out->params) = fold->params.at[i];
    }
    for (size_t i = 0; i < fold->packs.count; i++) {
        *tm_vec_push(&out->packs) = fold->packs.at[i];
    }
    for (int32_t i = 0; i < FOLD_DOUBLE_PARTITIONS; i++) {
        if (fold->next[i] > 0) {
            *tm_vec_push(&out->tails) = (struct tm_row_tail){
                    .stream = 1,
                    .partition = i,
                    .next = fold->next[i],
                    .leader_epoch = -1,
            };
        }
    }
    return TM_OK;
}

static inline void fold_double_clear(struct fold_double *fold)
{
    tm_vec_done(&fold->params);
    tm_vec_done(&fold->packs);
    tm_arena_done(&fold->arena);
    int applied = fold->applied;
    int resets = fold->resets;
    *fold = (struct fold_double){.state.empty = true, .applied = applied, .resets = resets};
}

static inline enum tm_code fold_double_reset(void *self, struct tm_err *err)
{
    (void)err;
    fold_double_clear(self);
    ((struct fold_double *)self)->resets++;
    return TM_OK;
}

static inline enum tm_code fold_double_would(void *self, const struct tm_entry_place *place,
        const struct tm_edits *edits, struct tm_err *err)
{
    const struct fold_double *fold = self;
    (void)edits;
    if (fold->refuse_checks) {
        return tm_err_set(err, TM_E_CORRUPT, "breaks a rule");
    }
    return !fold->state.empty && place->seq != fold->state.head.seq + 1
                   ? tm_err_set(err, TM_E_CONFLICT, "the head has moved")
                   : TM_OK;
}

static inline struct tm_fold fold_double_of(struct fold_double *fold)
{
    static const struct tm_fold_ops ops = {
            .state = fold_double_state,
            .apply = fold_double_apply,
            .check = fold_double_would,
            .dump = fold_double_dump,
            .reset = fold_double_reset,
    };
    return (struct tm_fold){.self = fold, .ops = &ops};
}

#endif
