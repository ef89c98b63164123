/* SPDX-License-Identifier: Apache-2.0 */
#include "job/flush.h"

#include "base/clock.h"
#include "base/vec.h"
#include "job/marks.h"

enum { FLUSHES_MAX = 100, LOOK_BACK = 50 };

/* Points -------------------------------------------------------------------------------------- */

/* Is all of `old` in `fresh`, but for what lies below its start and is in `base`? */
static bool is_part_covered(const struct tm_row_part *old, const struct tm_row_point *fresh,
        const struct tm_row_point *base)
{
    const struct tm_row_part *now = tm_row_point_part(fresh, old->stream, old->partition);
    if (old->start == old->end) {
        return true;
    }
    if (now == NULL || now->end < old->end) {
        return false;
    }
    const struct tm_row_part *below = tm_row_point_part(base, old->stream, old->partition);
    return now->start <= old->start ||
           (below != NULL && below->start <= old->start && below->end >= now->start);
}

static bool is_covered(const struct tm_row_point *old, const struct tm_row_point *fresh,
        const struct tm_row_point *base)
{
    for (size_t i = 0; i < old->part_count; i++) {
        if (!is_part_covered(&old->parts[i], fresh, base)) {
            return false;
        }
    }
    return true;
}

bool tm_flush_is(const struct tm_row_mark *mark)
{
    for (size_t i = 0; i < mark->tag_count; i++) {
        if (tm_slice_is(mark->tags[i], TM_FLUSH_TAG)) {
            return true;
        }
    }
    return false;
}

static struct tm_point_query query_of(const struct tm_flush_options *options)
{
    return (struct tm_point_query){
            .clusters = tm_names_one(&options->cluster),
            .policies = tm_names_one(&options->policy),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
    };
}

/* The newest point of the policy that no flush made; its id is 0 where there is none. */
static enum tm_code find_base(const struct tm_flush_options *options, struct tm_arena *arena,
        struct tm_point *out, struct tm_err *err)
{
    struct tm_point_query query = query_of(options);
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    query.limit = LOOK_BACK;
    TM_TRY(tm_catalog_points(options->catalog, &query, arena, &lines, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (!tm_flush_is(&lines[i].mark)) {
            return tm_catalog_point(options->catalog, &lines[i].row.ulid, arena, out, err);
        }
    }
    return TM_OK;
}

/* Settling ------------------------------------------------------------------------------------ */

/* It is a point like others from now on. */
static enum tm_code untag(const struct tm_flush_options *options, const struct tm_point_line *line,
        struct tm_arena *arena, struct tm_err *err)
{
    struct tm_row_mark will = line->mark;
    will.tag_count = 0;
    will.tags = tm_arena_alloc(arena, line->mark.tag_count + 1, sizeof(*will.tags));
    for (size_t i = 0; i < line->mark.tag_count; i++) {
        if (!tm_slice_is(line->mark.tags[i], TM_FLUSH_TAG)) {
            will.tags[will.tag_count++] = line->mark.tags[i];
        }
    }
    return tm_marks_set(options->vault, options->catalog, &line->row.ulid, &line->mark, &will, err);
}

struct settling {
    const struct tm_flush_options *options;
    struct tm_arena arena;
    bool loaded;           /* the next two */
    struct tm_point fresh; /* of the run that has ended */
    struct tm_point base;
    TM_VEC(struct tm_id16) going;
};

/* All of them in one commit; one that went, or is held, meanwhile is left out. */
static enum tm_code build_going(void *arg, struct tm_edits *out, struct tm_err *err)
{
    const struct settling *settling = arg;
    for (size_t i = 0; i < settling->going.count; i++) {
        struct tm_point point = {0};
        TM_TRY(tm_catalog_point(
                settling->options->catalog, &settling->going.at[i], &out->arena, &point, err));
        if (point.row.id != 0 && tm_flush_is(&point.mark) &&
                !tm_marks_held(&point.mark, tm_now_ms())) {
            *tm_vec_push(&out->points_gone) = point.row.id;
        }
    }
    return out->points_gone.count > 0 ? TM_OK
                                      : tm_err_set(err, TM_E_EXISTS, "they are gone already");
}

static enum tm_code remove_going(struct settling *settling, struct tm_err *err)
{
    const struct tm_flush_options *options = settling->options;
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    if (settling->going.count == 0) {
        return TM_OK;
    }
    enum tm_code code = tm_vault_commit(options->vault, &fold, build_going, settling, NULL, err);
    if (code == TM_E_EXISTS) {
        *err = (struct tm_err){0};
        code = TM_OK;
    }
    return code;
}

static enum tm_code load(struct settling *settling, struct tm_err *err)
{
    const struct tm_flush_options *options = settling->options;
    if (settling->loaded) {
        return TM_OK;
    }
    settling->loaded = true;
    TM_TRY(tm_catalog_point(
            options->catalog, &options->point, &settling->arena, &settling->fresh, err));
    return find_base(options, &settling->arena, &settling->base, err);
}

static enum tm_code settle_old(
        struct settling *settling, const struct tm_point_line *line, struct tm_err *err)
{
    const struct tm_flush_options *options = settling->options;
    struct tm_point old = {0};
    int64_t now_ms = tm_now_ms();
    if (options->keep || now_ms - line->row.time_ms < options->grace_ms ||
            tm_marks_held(&line->mark, now_ms)) {
        return TM_OK;
    }
    TM_TRY(load(settling, err));
    TM_TRY(tm_catalog_point(options->catalog, &line->row.ulid, &settling->arena, &old, err));
    if (old.row.id != 0 && !is_covered(&old.row, &settling->fresh.row, &settling->base.row)) {
        return untag(options, line, &settling->arena, err);
    }
    *tm_vec_push(&settling->going) = line->row.ulid;
    return TM_OK;
}

static enum tm_code settle_all(struct settling *settling, struct tm_err *err)
{
    const struct tm_flush_options *options = settling->options;
    struct tm_point_query query = query_of(options);
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    query.tag = TM_FLUSH_TAG;
    query.since_ms = options->since_ms;
    query.limit = FLUSHES_MAX;
    TM_TRY(tm_catalog_points(options->catalog, &query, &settling->arena, &lines, &count, err));
    for (size_t i = 0; i < count; i++) {
        bool newest = tm_id16_eq(&lines[i].row.ulid, &options->point);
        if (!newest) {
            TM_TRY(settle_old(settling, &lines[i], err));
        } else if (options->planned) {
            TM_TRY(untag(options, &lines[i], &settling->arena, err));
        }
    }
    return remove_going(settling, err);
}

enum tm_code tm_flush_settle(const struct tm_flush_options *options, struct tm_err *err)
{
    struct settling settling = {.options = options};
    enum tm_code code = settle_all(&settling, err);
    tm_vec_done(&settling.going);
    tm_arena_done(&settling.arena);
    return code;
}
