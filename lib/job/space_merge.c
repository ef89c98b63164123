/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "job/space_run.h"
#include "vault/merge.h"

enum {
    OUTPUTS_MAX = 16,  /* of one merge: that many spools are open, and so much disk is used */
    ROUNDS_MAX = 1000, /* merges in one run */
};

struct merging {
    struct space_run *run;
    struct tm_live live;
    space_picks picks;
    struct tm_hash *names; /* of the picks, sorted */
    struct tm_live_run *runs;
    size_t run_count;
    struct tm_merge_source *sources;
    struct tm_merge_stream *streams;
    size_t stream_count;
    struct tm_merge_result result;
    struct tm_head planned_on;
    struct tm_arena arena;
};

/* Packs that this run has found unfit: they are not picked again. */
typedef TM_VEC(struct tm_hash) unfit_list;

/* Choosing --------------------------------------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
    const struct tm_live_pack *x = *(const struct tm_live_pack *const *)a;
    const struct tm_live_pack *y = *(const struct tm_live_pack *const *)b;
    int order = (x->stored_ms > y->stored_ms) - (x->stored_ms < y->stored_ms);
    return order != 0 ? order : memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
}

static int by_name(const void *a, const void *b)
{
    const struct tm_live_pack *x = *(const struct tm_live_pack *const *)a;
    const struct tm_live_pack *y = *(const struct tm_live_pack *const *)b;
    return memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tm_hash));
}

static bool is_unfit(const unfit_list *unfit, const struct tm_hash *name)
{
    for (size_t i = 0; unfit != NULL && i < unfit->count; i++) {
        if (tm_hash_eq(&unfit->at[i], name)) {
            return true;
        }
    }
    return false;
}

/* The oldest small packs, as many as go into one entry; sorted by name. */
static void pick(const struct space_run *run, const struct tm_live *live, const unfit_list *unfit,
        space_picks *out)
{
    const struct tm_space_options *options = &run->options;
    int64_t before_ms = options->now_ms() - options->merge_age_ms;
    for (size_t i = 0; i < live->count; i++) {
        const struct tm_live_pack *pack = &live->packs[i];
        if (!pack->dead && pack->size < options->merge_small_bytes &&
                pack->stored_ms <= before_ms && !is_unfit(unfit, &pack->name)) {
            /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
            *tm_vec_push(out) = pack;
        }
    }
    if (out->count < options->merge_min_packs || out->count < 2) {
        out->count = 0;
        return;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    qsort(out->at, out->count, sizeof(*out->at), by_age);
    uint64_t room = OUTPUTS_MAX * options->merge_target_bytes;
    size_t count = 0;
    while (count < out->count && count < options->merge_max_packs && out->at[count]->size <= room) {
        room -= out->at[count++]->size;
    }
    out->count = count;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): likewise */
    qsort(out->at, count, sizeof(*out->at), by_name);
}

void tm_space_pick(const struct space_run *run, const struct tm_live *live, space_picks *out)
{
    pick(run, live, NULL, out);
}

/* Preparing -------------------------------------------------------------------------------- */

static void give_runs(struct merging *merging)
{
    size_t count = merging->picks.count;
    size_t *counts = tm_arena_alloc(&merging->arena, count + 1, sizeof(*counts));
    size_t *of = tm_arena_alloc(&merging->arena, merging->run_count + 1, sizeof(*of));
    for (size_t i = 0; i < merging->run_count; i++) {
        const struct tm_hash *found = bsearch(
                &merging->runs[i].pack, merging->names, count, sizeof(*merging->names), by_hash);
        of[i] = (size_t)(found - merging->names);
        counts[of[i]]++;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): likewise */
    struct tm_merge_run **at = tm_arena_alloc(&merging->arena, count + 1, sizeof(*at));
    for (size_t i = 0; i < count; i++) {
        at[i] = tm_arena_alloc(&merging->arena, counts[i] + 1, sizeof(**at));
        merging->sources[i].runs = at[i];
    }
    for (size_t i = 0; i < merging->run_count; i++) { /* they stay in order of place */
        struct tm_merge_source *source = &merging->sources[of[i]];
        at[of[i]][source->run_count++] =
                (struct tm_merge_run){merging->runs[i].run, merging->runs[i].live};
    }
}

static enum tm_code name_streams(struct merging *merging, struct tm_err *err)
{
    uint32_t last = 0; /* runs are sorted by stream */
    enum tm_code code = TM_OK;
    merging->streams =
            tm_arena_alloc(&merging->arena, merging->run_count + 1, sizeof(*merging->streams));
    for (size_t i = 0; code == TM_OK && i < merging->run_count; i++) {
        uint32_t id = merging->runs[i].run.stream;
        if (id == last) {
            continue;
        }
        struct tm_stream stream = {0};
        code = tm_catalog_stream_by_id(
                merging->run->options.catalog, id, &merging->arena, &stream, err);
        merging->streams[merging->stream_count++] =
                (struct tm_merge_stream){id, stream.cluster_id, stream.topic, stream.incarnation};
        last = id;
    }
    return code;
}

static enum tm_code prepare(struct merging *merging, const unfit_list *unfit, struct tm_err *err)
{
    const struct tm_space_options *options = &merging->run->options;
    struct tm_live_query query = {.now_ms = options->now_ms()};
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    struct tm_fold_state state;
    TM_TRY(fold.ops->state(fold.self, &state, err));
    merging->planned_on = state.head;
    TM_TRY(tm_live_read(options->catalog, &query, &merging->live, err));
    pick(merging->run, &merging->live, unfit, &merging->picks);
    size_t count = merging->picks.count;
    if (count == 0) {
        return TM_OK;
    }
    merging->names = tm_arena_alloc(&merging->arena, count, sizeof(*merging->names));
    merging->sources = tm_arena_alloc(&merging->arena, count, sizeof(*merging->sources));
    for (size_t i = 0; i < count; i++) {
        const struct tm_live_pack *pack = merging->picks.at[i];
        merging->names[i] = pack->name;
        merging->sources[i] = (struct tm_merge_source){
                .name = pack->name,
                .size = pack->size,
                .stored_ms = pack->stored_ms,
                .whole = pack->has_dependants,
        };
    }
    TM_TRY(tm_live_runs(options->catalog, &query, merging->names, count, &merging->arena,
            &merging->runs, &merging->run_count, err));
    give_runs(merging);
    return name_streams(merging, err);
}

/* Committing ------------------------------------------------------------------------------- */

static bool has_thinned(const struct merging *merging)
{
    return merging->result.thinned.count > 0;
}

static bool holds(const struct tm_row_pack *pack, const struct tm_run *run)
{
    for (size_t i = 0; i < pack->run_count; i++) {
        const struct tm_run *at = &pack->runs[i];
        if (at->stream == run->stream && at->partition == run->partition &&
                at->first <= run->first && run->first + run->length <= at->first + at->length) {
            return true;
        }
    }
    return false;
}

static bool is_stored(const struct merging *merging, const struct tm_run *run)
{
    for (size_t i = 0; i < merging->result.packs.count; i++) {
        if (holds(&merging->result.packs.at[i], run)) {
            return true;
        }
    }
    return false;
}

/* What stayed behind was not needed then. Is it needed now, or does a pack refer to it? */
static enum tm_code check_thinned(struct merging *merging, struct tm_err *err)
{
    const struct tm_space_options *options = &merging->run->options;
    struct tm_live_query query = {.now_ms = options->now_ms()};
    struct tm_live live = {0};
    struct tm_arena arena = {0};
    struct tm_live_run *runs = NULL;
    size_t count = 0;
    enum tm_code code = tm_live_read(options->catalog, &query, &live, err);
    if (code == TM_OK) {
        code = tm_live_runs(options->catalog, &query, merging->result.thinned.at,
                merging->result.thinned.count, &arena, &runs, &count, err);
    }
    for (size_t i = 0; code == TM_OK && i < merging->result.thinned.count; i++) {
        const struct tm_live_pack *pack = tm_live_find(&live, &merging->result.thinned.at[i]);
        if (pack != NULL && pack->has_dependants) {
            code = tm_err_set(
                    err, TM_E_CONFLICT, "a pack refers to one that was thinned meanwhile");
        }
    }
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        if (runs[i].live && !is_stored(merging, &runs[i].run)) {
            code = tm_err_set(err, TM_E_CONFLICT, "a point needs what was left out meanwhile");
        }
    }
    tm_arena_done(&arena);
    tm_live_done(&live);
    return code;
}

static enum tm_code build_merge(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct merging *merging = arg;
    struct tm_fold fold = tm_catalog_fold(merging->run->options.catalog);
    struct tm_fold_state state;
    TM_TRY(fold.ops->state(fold.self, &state, err));
    bool moved_on = has_thinned(merging) && state.head.seq != merging->planned_on.seq;
    TM_TRY(moved_on ? check_thinned(merging, err) : TM_OK);
    for (size_t i = 0; i < merging->result.packs.count; i++) {
        *tm_vec_push(&edits->packs) = merging->result.packs.at[i];
    }
    for (size_t i = 0; i < merging->result.gone.count; i++) {
        *tm_vec_push(&edits->packs_gone) = merging->result.gone.at[i];
    }
    return TM_OK;
}

static enum tm_code commit(struct merging *merging, struct tm_err *err)
{
    struct space_run *run = merging->run;
    struct tm_fold fold = tm_catalog_fold(run->options.catalog);
    enum tm_code code = tm_vault_commit(run->options.vault, &fold, build_merge, merging, NULL, err);
    if (code == TM_E_CONFLICT) { /* the copies are orphans now, and swept as such */
        tm_job_note_add(
                &run->result->warnings, &run->result->arena, "space-conflict", NULL, -1, err->msg);
        return code;
    }
    if (code == TM_OK) {
        run->result->packs_merged_in += (int64_t)merging->result.gone.count;
        run->result->packs_merged_out += (int64_t)merging->result.packs.count;
        run->result->bytes_rewritten += (int64_t)merging->result.bytes_out;
        TM_FAULT("merge.committed");
    }
    return code;
}

/* The step --------------------------------------------------------------------------------- */

static void note_left(struct merging *merging, unfit_list *unfit)
{
    struct tm_space_result *result = merging->run->result;
    for (size_t i = 0; i < merging->result.left.count; i++) {
        const struct tm_merge_left *left = &merging->result.left.at[i];
        char name[TM_OBJECT_NAME_MAX];
        char text[TM_OBJECT_NAME_MAX + sizeof(left->why) + 32];
        tm_pack_name(&left->name, name);
        (void)snprintf(text, sizeof(text), "%s was not merged: %s", name, left->why);
        tm_job_note_add(&result->warnings, &result->arena,
                left->code == TM_E_UNSUPPORTED ? "space-not-merged" : "space-damaged", NULL, -1,
                text);
        *tm_vec_push(unfit) = left->name;
    }
}

/* Merge once; *more: there may be more to merge. */
static enum tm_code merge_once(
        struct merging *merging, unfit_list *unfit, bool *more, struct tm_err *err)
{
    const struct space_run *run = merging->run;
    *more = false;
    TM_TRY(prepare(merging, unfit, err));
    if (merging->picks.count == 0) {
        return TM_OK;
    }
    struct tm_merge_options options = {
            .vault = run->options.vault,
            .sources = merging->sources,
            .source_count = merging->picks.count,
            .streams = merging->streams,
            .stream_count = merging->stream_count,
            .target_bytes = run->options.merge_target_bytes,
            .cancel = run->env->cancel,
    };
    enum tm_code code = tm_merge_packs(&options, &merging->result, err);
    note_left(merging, unfit);
    if (code == TM_E_CORRUPT && merging->result.left.count > 0) {
        *err = (struct tm_err){0};
        *more = true; /* once more without what is damaged */
        return TM_OK;
    }
    TM_TRY(code);
    if (merging->result.gone.count == 0) {
        *more = merging->result.left.count > 0;
        return TM_OK;
    }
    code = commit(merging, err);
    *more = code == TM_OK;
    if (code == TM_E_CONFLICT) {
        *err = (struct tm_err){0};
        return TM_OK;
    }
    return code;
}

static void merging_done(struct merging *merging)
{
    tm_merge_result_done(&merging->result);
    tm_vec_done(&merging->picks);
    tm_live_done(&merging->live);
    tm_arena_done(&merging->arena);
}

enum tm_code tm_space_merge(struct space_run *run, struct tm_err *err)
{
    tm_space_phase(run, TM_PHASE_MERGING);
    unfit_list unfit = {0};
    enum tm_code code = TM_OK;
    bool more = true;
    for (int round = 0; code == TM_OK && more && round < ROUNDS_MAX; round++) {
        struct merging merging = {.run = run};
        code = tm_space_check_cancel(run, err);
        if (code == TM_OK) {
            code = merge_once(&merging, &unfit, &more, err);
        }
        merging_done(&merging);
    }
    tm_vec_done(&unfit);
    return code;
}
