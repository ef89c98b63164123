/* SPDX-License-Identifier: Apache-2.0 */
#include "job/marks.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ulid.h"

bool tm_marks_held(const struct tm_row_mark *mark, int64_t now_ms)
{
    return mark->hold_until_ms == -1 || mark->hold_until_ms > now_ms;
}

struct change {
    struct tm_catalog *catalog;
    const struct tm_id16 *ulid;
    const struct tm_row_mark *was;
    const struct tm_row_mark *will; /* NULL: the point is to go */
};

static int by_text(const void *left, const void *right)
{
    return tm_slice_cmp(*(const struct tm_slice *)left, *(const struct tm_slice *)right);
}

/* Its tags sorted, each once; texts are those of `from`. */
static struct tm_row_mark normal_mark(const struct tm_row_mark *from, struct tm_arena *arena)
{
    struct tm_row_mark mark = *from;
    mark.tags = tm_arena_alloc(arena, from->tag_count + 1, sizeof(*mark.tags));
    mark.tag_count = 0;
    if (from->tag_count > 0) {
        memcpy(mark.tags, from->tags, from->tag_count * sizeof(*mark.tags));
        qsort(mark.tags, from->tag_count, sizeof(*mark.tags), by_text);
    }
    for (size_t i = 0; i < from->tag_count; i++) {
        if (mark.tag_count == 0 || !tm_slice_eq(mark.tags[i], mark.tags[mark.tag_count - 1])) {
            mark.tags[mark.tag_count++] = mark.tags[i];
        }
    }
    return mark;
}

static bool same_marks(
        const struct tm_row_mark *left, const struct tm_row_mark *right, struct tm_arena *arena)
{
    struct tm_row_mark a = normal_mark(left, arena);
    struct tm_row_mark b = normal_mark(right, arena);
    bool same = a.tag_count == b.tag_count && a.hold_until_ms == b.hold_until_ms &&
                tm_slice_eq(a.note, b.note) && tm_slice_eq(a.hold_reason, b.hold_reason);
    for (size_t i = 0; same && i < a.tag_count; i++) {
        same = tm_slice_eq(a.tags[i], b.tags[i]);
    }
    return same;
}

static enum tm_code find_point(const struct change *change, struct tm_arena *arena,
        struct tm_point *out, struct tm_err *err)
{
    char name[TM_ULID_NAME_MAX];
    TM_TRY(tm_catalog_point(change->catalog, change->ulid, arena, out, err));
    if (out->row.id == 0) {
        return tm_err_set(err, TM_E_MISSING, "there is no recovery point %s",
                tm_ulid_format(change->ulid, "rp_", name));
    }
    return TM_OK;
}

static enum tm_code build_marks(void *arg, struct tm_edits *out, struct tm_err *err)
{
    struct change *change = arg;
    struct tm_point point = {0};
    char name[TM_ULID_NAME_MAX];
    TM_TRY(find_point(change, &out->arena, &point, err));
    if (!same_marks(&point.mark, change->was, &out->arena)) {
        return tm_err_set(err, TM_E_CONFLICT,
                "note, tags or hold of %s have been changed meanwhile",
                tm_ulid_format(change->ulid, "rp_", name));
    }
    struct tm_row_mark mark = normal_mark(change->will, &out->arena);
    mark.point = point.row.id;
    *tm_vec_push(&out->marks) = mark;
    return TM_OK;
}

static enum tm_code build_delete(void *arg, struct tm_edits *out, struct tm_err *err)
{
    struct change *change = arg;
    struct tm_point point = {0};
    char name[TM_ULID_NAME_MAX];
    TM_TRY(find_point(change, &out->arena, &point, err));
    if (tm_marks_held(&point.mark, tm_now_ms())) {
        return tm_err_set(err, TM_E_CONFLICT, "%s is held: %.*s",
                tm_ulid_format(change->ulid, "rp_", name), (int)point.mark.hold_reason.len,
                (const char *)point.mark.hold_reason.at);
    }
    *tm_vec_push(&out->points_gone) = point.row.id;
    return TM_OK;
}

enum tm_code tm_marks_set(struct tm_vault *vault, struct tm_catalog *catalog,
        const struct tm_id16 *point, const struct tm_row_mark *was, const struct tm_row_mark *will,
        struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct change change = {.catalog = catalog, .ulid = point, .was = was, .will = will};
    struct tm_fold fold = tm_catalog_fold(catalog);
    bool same = same_marks(was, will, &arena);
    tm_arena_done(&arena);
    if (same) {
        return TM_OK;
    }
    return tm_vault_commit(vault, &fold, build_marks, &change, NULL, err);
}

enum tm_code tm_marks_delete_point(struct tm_vault *vault, struct tm_catalog *catalog,
        const struct tm_id16 *point, struct tm_err *err)
{
    struct change change = {.catalog = catalog, .ulid = point};
    struct tm_fold fold = tm_catalog_fold(catalog);
    return tm_vault_commit(vault, &fold, build_delete, &change, NULL, err);
}
