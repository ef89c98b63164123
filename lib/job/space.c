/* SPDX-License-Identifier: Apache-2.0 */
#include "job/space.h"

#include "base/clock.h"
#include "base/fault.h"
#include "job/space_run.h"
#include "vault/log_gc.h"

static const int64_t hour_ms = INT64_C(3600) * 1000;

struct tm_space_options tm_space_defaults(struct tm_vault *vault, struct tm_catalog *catalog)
{
    return (struct tm_space_options){
            .vault = vault,
            .catalog = catalog,
            .steps = TM_SPACE_ALL,
            .grace_ms = 24 * hour_ms,
            .orphan_ms = 24 * hour_ms,
            .merge_min_packs = 64,
            .merge_small_bytes = UINT64_C(16) << 20,
            .merge_age_ms = hour_ms,
            .merge_target_bytes = UINT64_C(64) << 20,
            .merge_max_packs = 512,
            .log_gc_ms = INT64_C(7) * 24 * hour_ms,
            .now_ms = tm_now_ms,
    };
}

/* Options without a clock stand for the usual ones, but for the lock. */
static struct tm_space_options fill_in(const struct tm_space_options *options)
{
    struct tm_space_options filled = *options;
    if (options->now_ms == NULL) {
        filled = tm_space_defaults(options->vault, options->catalog);
        filled.steps = options->steps != 0 ? options->steps : filled.steps;
        filled.lock_ms = options->lock_ms;
    }
    return filled;
}

void tm_space_result_done(struct tm_space_result *result)
{
    tm_vec_done(&result->warnings);
    tm_arena_done(&result->arena);
}

enum tm_code tm_space_check_cancel(const struct space_run *run, struct tm_err *err)
{
    return tm_job_cancelled(run->env)
                   ? tm_err_set(err, TM_E_CANCELLED, "stopped; what was done until then stays done")
                   : TM_OK;
}

void tm_space_phase(const struct space_run *run, enum tm_phase phase)
{
    atomic_store_explicit(&run->env->progress->phase, (int)phase, memory_order_relaxed);
}

/* Drop ------------------------------------------------------------------------------------- */

struct drop {
    const struct space_run *run;
    int64_t packs;
    int64_t bytes;
};

/* Asked anew on each head: a point that came meanwhile may need what was dead before. */
static enum tm_code build_drop(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct drop *drop = arg;
    struct tm_live live = {0};
    struct tm_live_query query = {.now_ms = drop->run->options.now_ms()};
    TM_TRY(tm_live_read(drop->run->options.catalog, &query, &live, err));
    drop->packs = 0;
    drop->bytes = 0;
    for (size_t i = 0; i < live.count; i++) {
        if (live.packs[i].dead) {
            *tm_vec_push(&edits->packs_gone) =
                    (struct tm_row_successors){.name = live.packs[i].name};
            drop->packs++;
            drop->bytes += (int64_t)live.packs[i].size;
        }
    }
    tm_live_done(&live);
    return drop->packs > 0 ? TM_OK : tm_err_set(err, TM_E_EXISTS, "no pack is dead");
}

static enum tm_code drop_dead(struct space_run *run, struct tm_err *err)
{
    tm_space_phase(run, TM_PHASE_DROPPING);
    struct drop drop = {.run = run};
    struct tm_fold fold = tm_catalog_fold(run->options.catalog);
    enum tm_code code = tm_vault_commit(run->options.vault, &fold, build_drop, &drop, NULL, err);
    if (code == TM_E_EXISTS) { /* build_drop() found none */
        *err = (struct tm_err){0};
        return TM_OK;
    }
    if (code == TM_OK) {
        run->result->packs_dropped += drop.packs;
        run->result->bytes_dropped += drop.bytes;
        TM_FAULT("space.drop.committed");
    }
    return code;
}

/* Log -------------------------------------------------------------------------------------- */

static enum tm_code collect_log(struct space_run *run, struct tm_err *err)
{
    struct tm_fold fold = tm_catalog_fold(run->options.catalog);
    struct tm_log_gc_options options = {
            .now_ms = run->options.now_ms(),
            .age_ms = run->options.log_gc_ms,
            .cancel = run->env->cancel,
    };
    struct tm_log_gc_result gone;
    enum tm_code code = tm_log_gc(run->options.vault, &fold, &options, &gone, err);
    run->result->log_entries_removed += gone.removed;
    run->result->bytes_reclaimed += (int64_t)gone.removed_bytes;
    run->result->full_written = run->result->full_written || gone.full_written;
    if (gone.denied) {
        tm_job_note_add(&run->result->warnings, &run->result->arena, "log-locked", NULL, -1,
                "the store does not let old log entries be removed: object lock, or no right to "
                "delete");
    }
    return code;
}

/* The whole -------------------------------------------------------------------------------- */

static enum tm_code run_steps(struct space_run *run, struct tm_err *err)
{
    static const struct {
        unsigned step;
        enum tm_code (*go)(struct space_run *run, struct tm_err *err);
    } steps[] = {
            {TM_SPACE_DROP, drop_dead},
            {TM_SPACE_MERGE, tm_space_merge},
            {TM_SPACE_SWEEP, tm_space_sweep},
            {TM_SPACE_LOG, collect_log},
    };
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
        bool wanted = (run->options.steps & steps[i].step) != 0;
        code = wanted ? tm_space_check_cancel(run, err) : TM_OK;
        if (wanted && code == TM_OK) {
            code = steps[i].go(run, err);
        }
    }
    return code;
}

enum tm_code tm_space_run(const struct tm_space_options *options, struct tm_job_env *env,
        struct tm_space_result *out, struct tm_err *err)
{
    struct space_run run = {.options = fill_in(options), .env = env, .result = out};
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    tm_space_phase(&run, TM_PHASE_PLANNING);
    enum tm_code code = tm_vault_refresh(options->vault, &fold, err);
    if (code == TM_OK) {
        code = run_steps(&run, err);
    }
    struct tm_fold_state state;
    struct tm_err ignored = {0};
    if (fold.ops->state(fold.self, &state, &ignored) == TM_OK) {
        out->head = state.head;
    }
    return code;
}

/* Plan ------------------------------------------------------------------------------------- */

static void plan_objects(const space_objects *objects, struct tm_space_plan *plan)
{
    for (size_t i = 0; i < objects->count; i++) {
        const struct space_object *object = &objects->at[i];
        bool orphan = object->fate == TM_PACK_UNKNOWN;
        int64_t bytes = (int64_t)object->size;
        if (object->due) {
            plan->packs_to_sweep += orphan ? 0 : 1;
            plan->bytes_to_sweep += orphan ? 0 : bytes;
            plan->orphans += orphan ? 1 : 0;
            plan->bytes_orphans += orphan ? bytes : 0;
        } else if (!orphan) {
            plan->packs_waiting++;
            plan->bytes_waiting += bytes;
        }
    }
}

static enum tm_code plan_live(const struct space_run *run, const struct tm_live_query *query,
        struct tm_space_plan *plan, struct tm_err *err)
{
    struct tm_live live = {0};
    TM_TRY(tm_live_read(run->options.catalog, query, &live, err));
    plan->packs_dead = (int64_t)live.dead_count;
    plan->bytes_dead = (int64_t)live.dead_bytes;
    space_picks picks = {0};
    tm_space_pick(run, &live, &picks);
    plan->packs_to_merge = (int64_t)picks.count;
    for (size_t i = 0; i < picks.count; i++) {
        plan->bytes_to_merge += (int64_t)picks.at[i]->size;
    }
    tm_vec_done(&picks);
    tm_live_done(&live);
    return TM_OK;
}

enum tm_code tm_space_plan(const struct tm_space_options *options, const uint64_t *removed,
        size_t removed_count, struct tm_space_plan *out, struct tm_err *err)
{
    struct space_run run = {.options = fill_in(options)};
    struct tm_live_query query = {
            .now_ms = run.options.now_ms(), .removed = removed, .removed_count = removed_count};
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    struct tm_space_plan plan = {0};
    space_objects objects = {0};
    enum tm_code code = tm_space_list(&run, &objects, err);
    if (code == TM_OK) {
        code = tm_vault_refresh(options->vault, &fold, err);
    }
    if (code == TM_OK) {
        code = tm_space_sort_out(&run, &objects, err);
    }
    if (code == TM_OK) {
        code = plan_live(&run, &query, &plan, err);
    }
    if (code == TM_OK) {
        plan_objects(&objects, &plan);
        *out = plan;
    }
    tm_vec_done(&objects);
    return code;
}
