/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repairer - an actor that takes a pack for damaged, and writes it anew from Kafka; what Kafka is taken to hold
 * no more becomes gaps, where no other pack refers to it.
 */
#ifndef TM_TESTS_REPAIRER_H
#define TM_TESTS_REPAIRER_H

#include "players.h"

struct repair {
    struct daemon *daemon;
    struct tm_hash damaged;
    bool loses;
    struct tiny_record records[TINY_RECORDS];
    size_t count;
    struct tm_row_gap gaps[TINY_RECORDS];
    size_t gap_count;
    struct tm_row_pack row;
    struct tm_arena arena;
};

/* Does a pack refer to the damaged one? */
static inline enum tm_code is_referred(const struct repair *repair, bool *out, struct tm_err *err)
{
    struct tm_live live = {0};
    struct tm_live_query query = {.now_ms = world.now_ms};
    TM_TRY(tm_live_read(repair->daemon->catalog, &query, &live, err));
    const struct tm_live_pack *pack = tm_live_find(&live, &repair->damaged);
    *out = pack != NULL && pack->has_dependants;
    tm_live_done(&live);
    return TM_OK;
}

static inline enum tm_code build_repair(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct repair *repair = arg;
    bool referred = false;
    TM_TRY(is_referred(repair, &referred, err));
    if (repair->loses && referred) {
        return tm_err_set(err, TM_E_CONFLICT, "a pack refers to what would be lost");
    }
    *tm_vec_push(&edits->packs) = repair->row;
    struct tm_row_successors *gone = tm_vec_push(&edits->packs_gone);
    gone->name = repair->damaged;
    gone->successors = tm_arena_alloc(&edits->arena, 1, sizeof(*gone->successors));
    gone->successors[0] = repair->row.name;
    gone->successor_count = 1;
    for (size_t i = 0; i < repair->gap_count; i++) {
        *tm_vec_push(&edits->gaps) = repair->gaps[i];
    }
    return TM_OK;
}

/* The last record of a run of several is lost, where something is. False: too many records. */
static inline bool take_run(struct repair *repair, const struct tm_run *run)
{
    if (repair->count + (size_t)run->length > TINY_RECORDS) {
        return false;
    }
    int64_t end = run->first + run->length - (repair->loses && run->length > 1 ? 1 : 0);
    for (int64_t o = run->first; o < end; o++) {
        repair->records[repair->count++] =
                (struct tiny_record){run->partition, o, content_of(run->partition, o), NULL};
    }
    if (end < run->first + run->length) {
        repair->gaps[repair->gap_count++] = (struct tm_row_gap){
                .stream = 1,
                .partition = run->partition,
                .from = end,
                .length = 1,
                .reason = TM_GAP_LOST_IN_VAULT,
        };
    }
    return true;
}

/* Choose a pack; repair->count stays 0 when there is none to choose. */
static inline enum tm_code plan_repair(struct repair *repair, struct tm_err *err)
{
    struct tm_live live = {0};
    struct tm_live_query query = {.now_ms = world.now_ms};
    struct tm_live_run *runs = NULL;
    size_t count = 0;
    TM_TRY(tm_vault_refresh(repair->daemon->vault, &repair->daemon->fold, err));
    TM_TRY(tm_live_read(repair->daemon->catalog, &query, &live, err));
    enum tm_code code = TM_OK;
    if (live.count > 0) {
        const struct tm_live_pack *pack = &live.packs[below((uint32_t)live.count)];
        repair->damaged = pack->name;
        repair->loses = !pack->has_dependants && below(2) == 0;
        repair->row.stored_ms = pack->stored_ms;
        code = tm_live_runs(repair->daemon->catalog, &query, &pack->name, 1, &repair->arena, &runs,
                &count, err);
    }
    bool fits = true;
    for (size_t i = 0; i < count && fits; i++) {
        fits = take_run(repair, &runs[i].run);
    }
    repair->count = fits ? repair->count : 0;
    tm_live_done(&live);
    return code;
}

static inline void play_repairer(struct actor *actor)
{
    struct repair *repair = tm_xalloc(1, sizeof(*repair));
    struct tm_err err = {0};
    repair->daemon = daemon_of(actor);
    enum tm_code code = plan_repair(repair, &err);
    if (code == TM_OK && repair->count > 0) {
        int64_t stored_ms = repair->row.stored_ms;
        code = tiny_put(repair->daemon->vault, repair->records, repair->count, 1, &repair->arena,
                &repair->row, &err);
        repair->row.stored_ms = stored_ms;
        if (code == TM_OK) {
            code = tm_vault_commit(
                    repair->daemon->vault, &repair->daemon->fold, build_repair, repair, NULL, &err);
            world.repairs += code == TM_OK ? 1 : 0;
        }
    }
    settle_outcome(actor, "repairer", code, &err);
    tm_arena_done(&repair->arena);
    free(repair);
}

#endif
