/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checks - what must hold of the model's world at any moment.
 *
 *   - what is stored folds, and to the same bytes as every entry there ever was, from the first on;
 *   - the object of each pack in use is there, and so is what it refers to;
 *   - each offset of a retained point, and of progress that waits for its point, is stored, once;
 *   - what was acknowledged is in the fold: ranges, and points unless someone set out to remove them;
 *   - (deep) every record reads as Kafka held it.
 */
#ifndef TM_TESTS_CHECKS_H
#define TM_TESTS_CHECKS_H

#include "world.h"

static inline bool check_ok(const char *what, enum tm_code code, const struct tm_err *err)
{
    if (code != TM_OK) {
        violate(what, err->msg);
    }
    return code == TM_OK;
}

/* The state of a fold as the body of a full. */
static inline bool dump_fold(struct daemon *daemon, struct tm_edits *edits, struct tm_buf *body)
{
    struct tm_err err = {0};
    enum tm_code code = daemon->fold.ops->dump(daemon->fold.self, world.now_ms, edits, &err);
    if (code == TM_OK) {
        tm_edits_sort(edits);
        code = tm_body_encode(edits, body, &err);
    }
    return check_ok("dump", code, &err);
}

static inline bool fold_both(void)
{
    struct daemon *folds[] = {&world.fresh, &world.follower};
    struct tm_err err = {0};
    tm_vault_doubt(world.fresh.vault);
    tm_vault_doubt(world.follower.vault);
    return check_ok("fresh fold", world.fresh.fold.ops->reset(world.fresh.fold.self, &err), &err) &&
           check_ok("fresh fold", tm_vault_refresh(folds[0]->vault, &folds[0]->fold, &err), &err) &&
           check_ok("fold of all", tm_vault_refresh(folds[1]->vault, &folds[1]->fold, &err), &err);
}

static inline void check_packs(const struct tm_edits *state)
{
    for (size_t i = 0; i < state->packs.count; i++) {
        const struct tm_row_pack *pack = &state->packs.at[i];
        char name[TM_OBJECT_NAME_MAX];
        tm_pack_name(&pack->name, name);
        const struct mem_object *object = mem_find(&world.objects, name);
        if (object == NULL || object->len != pack->size) {
            violate("a pack in use is missing", name);
        }
        for (size_t d = 0; d < pack->dep_count; d++) {
            struct tm_arena arena = {0};
            struct tm_hash *names = NULL;
            size_t count = 0;
            struct tm_err err = {0};
            enum tm_code code = tm_live_successors(
                    world.fresh.catalog, &pack->deps[d], &arena, &names, &count, &err);
            if (check_ok("successors", code, &err) && count == 0) {
                violate("a reference leads nowhere", name);
            }
            tm_arena_done(&arena);
        }
    }
}

/* From `next` on, how far do the runs and gaps reach without a hole? Neither overlap: the fold sees to it. */
static inline int64_t reach(const struct tm_stored_run *runs, size_t run_count,
        const struct tm_row_gap *gaps, size_t gap_count, int64_t next)
{
    size_t r = 0;
    size_t g = 0;
    for (;;) {
        if (r < run_count && runs[r].run.first <= next) {
            next = runs[r].run.first + runs[r].run.length;
            r++;
        } else if (g < gap_count && gaps[g].from <= next) {
            next = gaps[g].from + gaps[g].length;
            g++;
        } else {
            return next;
        }
    }
}

/* Is [start, end) of the partition stored without a hole, but for what a repair has told as lost? */
static inline bool is_stored(int32_t partition, int64_t start, int64_t end)
{
    struct tm_arena arena = {0};
    struct tm_stored_run *runs = NULL;
    struct tm_row_gap *gaps = NULL;
    size_t run_count = 0;
    size_t gap_count = 0;
    struct tm_err err = {0};
    struct tm_catalog *catalog = world.fresh.catalog;
    enum tm_code code =
            tm_catalog_runs(catalog, 1, partition, start, end, &arena, &runs, &run_count, &err);
    if (code == TM_OK) {
        code = tm_catalog_gaps(catalog, 1, partition, start, end, &arena, &gaps, &gap_count, &err);
    }
    int64_t next = reach(runs, run_count, gaps, gap_count, start);
    tm_arena_done(&arena);
    return check_ok("runs", code, &err) && next >= end;
}

static inline void check_point(const struct tm_id16 *ulid)
{
    struct tm_arena arena = {0};
    struct tm_point point = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_catalog_point(world.fresh.catalog, ulid, &arena, &point, &err);
    (void)check_ok("point", code, &err);
    for (size_t i = 0; code == TM_OK && i < point.row.part_count; i++) {
        const struct tm_row_part *part = &point.row.parts[i];
        if (!is_stored(part->partition, part->start, part->end)) {
            char text[120];
            (void)snprintf(text, sizeof(text), "point %d partition %d [%d, %d)", (int)point.row.id,
                    (int)part->partition, (int)part->start, (int)part->end);
            violate("what a point covers is lost", text);
        }
    }
    tm_arena_done(&arena);
}

static inline void check_tails(const struct tm_edits *state)
{
    int64_t next[PARTS] = {0};
    for (size_t i = 0; i < state->tails.count; i++) {
        const struct tm_row_tail *tail = &state->tails.at[i];
        next[tail->partition] = tail->next;
        if (tail->covered < tail->next && !is_stored(tail->partition, tail->covered, tail->next)) {
            violate("progress is lost", "");
        }
    }
    for (int p = 0; p < PARTS; p++) {
        if (next[p] < world.acked[p]) {
            char text[120];
            (void)snprintf(text, sizeof(text), "partition %d: %d, not %d", p, (int)next[p],
                    (int)world.acked[p]);
            violate("an acknowledged range is lost", text);
        }
    }
}

static inline void check_points(const struct tm_edits *state)
{
    for (size_t i = 0; i < state->points.count; i++) {
        check_point(&state->points.at[i].ulid);
    }
    for (size_t i = 0; i < world.acked_points.count; i++) {
        const struct tm_id16 *ulid = &world.acked_points.at[i];
        bool there = has_id(world.expiring.at, world.expiring.count, ulid);
        for (size_t p = 0; p < state->points.count && !there; p++) {
            there = tm_id16_eq(&state->points.at[p].ulid, ulid);
        }
        if (!there) {
            violate("an acknowledged point is lost", "");
        }
    }
}

static inline void check_records(void)
{
    for (int32_t p = 0; p < PARTS; p++) {
        struct tm_arena arena = {0};
        struct tm_stored_run *runs = NULL;
        size_t count = 0;
        struct tm_err err = {0};
        enum tm_code code = tm_catalog_runs(
                world.fresh.catalog, 1, p, 0, INT64_MAX, &arena, &runs, &count, &err);
        for (size_t i = 0; code == TM_OK && i < count; i++) {
            code = tiny_check_run(
                    world.fresh.vault, world.fresh.catalog, &runs[i], content_of, &err);
        }
        (void)check_ok("records", code, &err);
        tm_arena_done(&arena);
    }
}

static inline void check_world(bool deep)
{
    struct tm_edits state = {0};
    struct tm_edits all = {0};
    TM_BUF_OWN struct tm_buf fresh = {0};
    TM_BUF_OWN struct tm_buf follower = {0};
    if (fold_both() && dump_fold(&world.fresh, &state, &fresh) &&
            dump_fold(&world.follower, &all, &follower)) {
        if (!tm_slice_eq(tm_buf_slice(&fresh), tm_buf_slice(&follower))) {
            violate("two folds of one log differ", "");
        }
        check_packs(&state);
        check_tails(&state);
        check_points(&state);
        if (deep) {
            check_records();
        }
    }
    tm_edits_done(&state);
    tm_edits_done(&all);
}

#endif
