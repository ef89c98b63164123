/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/edits.h"

#include <inttypes.h>
#include <stdlib.h>

#include "codec/parts.h"

const struct tm_row_part *tm_row_point_part(
        const struct tm_row_point *point, uint32_t stream, int32_t partition)
{
    size_t low = 0;
    size_t high = point->part_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct tm_row_part *row = &point->parts[mid];
        if (row->stream == stream && row->partition == partition) {
            return row;
        }
        bool below = row->stream < stream || (row->stream == stream && row->partition < partition);
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    return NULL;
}

const char *tm_gap_reason_name(enum tm_gap_reason reason)
{
    switch (reason) {
    case TM_GAP_NO_RECORDS:
        return "no-records";
    case TM_GAP_RETENTION:
        return "source-retention";
    case TM_GAP_DELETED:
        return "source-delete";
    case TM_GAP_UNKNOWN:
        return "unknown";
    case TM_GAP_SKIPPED:
        return "skipped";
    case TM_GAP_LOST_IN_VAULT:
        return "lost-in-vault";
    case TM_GAP_CORRUPT_ON_BROKER:
        return "corrupt-on-broker";
    }
    tm_assert(false); /* no other value is one of the enum */
    return NULL;
}

void tm_edits_done(struct tm_edits *edits)
{
    tm_vec_done(&edits->params);
    tm_vec_done(&edits->streams);
    tm_vec_done(&edits->keeps);
    tm_vec_done(&edits->points);
    tm_vec_done(&edits->points_gone);
    tm_vec_done(&edits->marks);
    tm_vec_done(&edits->packs);
    tm_vec_done(&edits->packs_gone);
    tm_vec_done(&edits->sweep);
    tm_vec_done(&edits->gaps);
    tm_vec_done(&edits->tails);
    tm_vec_done(&edits->dropped);
    tm_vec_done(&edits->moved);
    tm_vec_done(&edits->swept);
    tm_vec_done(&edits->writers);
    tm_arena_done(&edits->arena);
    tm_buf_done(&edits->body);
    *edits = (struct tm_edits){0};
}

/* Orders: one function a kind of row, by the row's leading fields ----------------------------- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return COMPARE(*x, *y);
}

static int by_stream_number(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return COMPARE(*x, *y);
}

/* For every row that begins with a hash, and for hashes. */
static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tm_hash));
}

static int by_slice(const void *a, const void *b)
{
    const struct tm_slice *x = a;
    const struct tm_slice *y = b;
    return tm_slice_cmp(*x, *y);
}

static int by_param(const void *a, const void *b)
{
    const struct tm_row_param *x = a;
    const struct tm_row_param *y = b;
    return tm_slice_cmp(x->name, y->name);
}

static int by_stream(const void *a, const void *b)
{
    const struct tm_row_stream *x = a;
    const struct tm_row_stream *y = b;
    return COMPARE(x->id, y->id);
}

static int by_keep(const void *a, const void *b)
{
    const struct tm_row_keep *x = a;
    const struct tm_row_keep *y = b;
    int order = COMPARE(x->stream, y->stream);
    return order != 0 ? order : tm_slice_cmp(x->policy, y->policy);
}

static int by_point(const void *a, const void *b)
{
    const struct tm_row_point *x = a;
    const struct tm_row_point *y = b;
    return COMPARE(x->id, y->id);
}

static int by_topic(const void *a, const void *b)
{
    const struct tm_row_topic *x = a;
    const struct tm_row_topic *y = b;
    return COMPARE(x->stream, y->stream);
}

static int by_config(const void *a, const void *b)
{
    const struct tm_config_pair *x = a;
    const struct tm_config_pair *y = b;
    return tm_slice_cmp(x->key, y->key);
}

static int by_part(const void *a, const void *b)
{
    const struct tm_row_part *x = a;
    const struct tm_row_part *y = b;
    int order = COMPARE(x->stream, y->stream);
    return order != 0 ? order : COMPARE(x->partition, y->partition);
}

static int by_group(const void *a, const void *b)
{
    const struct tm_row_group *x = a;
    const struct tm_row_group *y = b;
    int order = tm_slice_cmp(x->group, y->group);
    order = order != 0 ? order : COMPARE(x->stream, y->stream);
    return order != 0 ? order : COMPARE(x->partition, y->partition);
}

static int by_acl_stream(const void *a, const void *b)
{
    const struct tm_row_acl *x = a;
    const struct tm_row_acl *y = b;
    return COMPARE(x->stream, y->stream);
}

static int by_mark(const void *a, const void *b)
{
    const struct tm_row_mark *x = a;
    const struct tm_row_mark *y = b;
    return COMPARE(x->point, y->point);
}

static int by_gap(const void *a, const void *b)
{
    const struct tm_row_gap *x = a;
    const struct tm_row_gap *y = b;
    int order = COMPARE(x->stream, y->stream);
    order = order != 0 ? order : COMPARE(x->partition, y->partition);
    return order != 0 ? order : COMPARE(x->from, y->from);
}

static int by_tail(const void *a, const void *b)
{
    const struct tm_row_tail *x = a;
    const struct tm_row_tail *y = b;
    int order = COMPARE(x->stream, y->stream);
    return order != 0 ? order : COMPARE(x->partition, y->partition);
}

static int by_writer(const void *a, const void *b)
{
    const struct tm_row_writer *x = a;
    const struct tm_row_writer *y = b;
    int order = tm_slice_cmp(x->cluster_id, y->cluster_id);
    order = order != 0 ? order : tm_slice_cmp(x->policy, y->policy);
    return order != 0 ? order : tm_slice_cmp(x->writer, y->writer);
}

_Static_assert(offsetof(struct tm_row_pack, name) == 0, "by_hash");
_Static_assert(offsetof(struct tm_row_successors, name) == 0, "by_hash");
_Static_assert(offsetof(struct tm_row_dated, name) == 0, "by_hash");

/* Lists -------------------------------------------------------------------------------------- */

struct list {
    const char *name;
    void *at;
    size_t count;
    size_t size; /* of an element */
    int (*compare)(const void *, const void *);
};

/* Called with every list; false stops. */
struct visitor {
    bool (*visit)(struct visitor *visitor, const struct list *list);
    struct tm_err *err;
};

#define LIST(name, array, length, order) \
    ((struct list){(name), (array), (length), sizeof(*(array)), (order)})
#define VEC(name, vec, order) LIST(name, (vec).at, (vec).count, order)

static bool visit_all(struct visitor *visitor, const struct list *lists, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!visitor->visit(visitor, &lists[i])) {
            return false;
        }
    }
    return true;
}

static bool visit_point(struct visitor *visitor, const struct tm_row_point *point)
{
    const struct list lists[] = {
            LIST("a point's streams gone", point->gone, point->gone_count, by_stream_number),
            LIST("a point's topics", point->topics, point->topic_count, by_topic),
            LIST("a point's partitions", point->parts, point->parts != NULL ? point->part_count : 0,
                    by_part), /* else: in order */
            LIST("a point's groups", point->groups, point->group_count, by_group),
            LIST("a point's access rules", point->acls, point->acl_count, by_acl_stream),
    };
    bool ok = visit_all(visitor, lists, sizeof(lists) / sizeof(lists[0]));
    for (size_t i = 0; i < point->topic_count && ok; i++) {
        const struct tm_row_topic *topic = &point->topics[i];
        ok = visitor->visit(visitor,
                &LIST("a topic's configuration", topic->configs, topic->config_count, by_config));
    }
    for (size_t i = 0; i < point->acl_count && ok; i++) {
        const struct tm_row_acl *acl = &point->acls[i];
        ok = visitor->visit(
                visitor, &LIST("a topic's access rules", acl->acls, acl->acl_count, by_slice));
    }
    return ok;
}

static bool visit_successors(
        struct visitor *visitor, const struct tm_row_successors *rows, size_t count)
{
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = visitor->visit(visitor,
                &LIST("a pack's successors", rows[i].successors, rows[i].successor_count, by_hash));
    }
    return ok;
}

static bool visit_nested(struct visitor *visitor, const struct tm_edits *edits)
{
    bool ok = true;
    for (size_t i = 0; i < edits->points.count && ok; i++) {
        ok = visit_point(visitor, &edits->points.at[i]);
    }
    for (size_t i = 0; i < edits->marks.count && ok; i++) {
        const struct tm_row_mark *mark = &edits->marks.at[i];
        ok = visitor->visit(visitor, &LIST("a mark's tags", mark->tags, mark->tag_count, by_slice));
    }
    for (size_t i = 0; i < edits->packs.count && ok; i++) {
        const struct tm_row_pack *pack = &edits->packs.at[i];
        const struct list lists[] = {
                LIST("a pack's dependencies", pack->deps, pack->dep_count, by_hash),
                LIST("a pack's runs", pack->runs, pack->run_count, tm_runs_compare),
        };
        ok = visit_all(visitor, lists, sizeof(lists) / sizeof(lists[0]));
    }
    return ok && visit_successors(visitor, edits->packs_gone.at, edits->packs_gone.count) &&
           visit_successors(visitor, edits->moved.at, edits->moved.count);
}

static bool visit_lists(struct visitor *visitor, const struct tm_edits *edits)
{
    const struct list lists[] = {
            VEC("params", edits->params, by_param),
            VEC("streams", edits->streams, by_stream),
            VEC("archive windows", edits->keeps, by_keep),
            VEC("points", edits->points, by_point),
            VEC("points gone", edits->points_gone, by_number),
            VEC("marks", edits->marks, by_mark),
            VEC("packs", edits->packs, by_hash),
            VEC("packs gone", edits->packs_gone, by_hash),
            VEC("packs to be swept", edits->sweep, by_hash),
            VEC("gaps", edits->gaps, by_gap),
            VEC("tails", edits->tails, by_tail),
            VEC("dropped packs", edits->dropped, by_hash),
            VEC("moved packs", edits->moved, by_hash),
            VEC("swept packs", edits->swept, by_hash),
            VEC("writers", edits->writers, by_writer),
    };
    return visit_all(visitor, lists, sizeof(lists) / sizeof(lists[0])) &&
           visit_nested(visitor, edits);
}

static bool sort_list(struct visitor *visitor, const struct list *list)
{
    (void)visitor;
    if (list->count > 1) {
        qsort(list->at, list->count, list->size, list->compare);
    }
    return true;
}

void tm_edits_sort(struct tm_edits *edits)
{
    struct visitor visitor = {.visit = sort_list};
    (void)visit_lists(&visitor, edits);
}

static bool check_order(struct visitor *visitor, const struct list *list)
{
    const char *at = list->at;
    for (size_t i = 1; i < list->count; i++) {
        if (list->compare(at + (i - 1) * list->size, at + i * list->size) >= 0) {
            (void)tm_err_set(visitor->err, TM_E_CORRUPT,
                    "%s: number %zu is out of order, or there twice", list->name, i);
            return false;
        }
    }
    return true;
}

/* Bounds ------------------------------------------------------------------------------------- */

static bool is_range(int64_t first, int64_t length)
{
    return first >= 0 && length >= 1 && length <= INT64_MAX - first;
}

static const char *check_part(const struct tm_row_part *part)
{
    int64_t distance = 0;
    if (part->partition < 0 || part->start < 0 || part->end < part->start ||
            part->status > TM_PART_NOT_REACHED) {
        return "a point's partition is out of bounds";
    }
    if (__builtin_sub_overflow(part->lso, part->end, &distance) ||
            __builtin_sub_overflow(part->high_watermark, part->end, &distance)) {
        return "a point's watermarks are out of bounds";
    }
    return NULL;
}

static const char *check_parts(const struct tm_row_point *point)
{
    struct tm_parts_walk walk = tm_parts_walk(point);
    struct tm_row_part part;
    const char *bad = NULL;
    while (bad == NULL && tm_parts_next(&walk, &part)) {
        bad = check_part(&part);
    }
    bool packed = point->part_count > 0 && point->parts == NULL;
    bool whole = !packed || bad != NULL || (tm_rd_ok(&walk.rd) && tm_rd_left(&walk.rd) == 0);
    return whole ? bad : "a point's partition is out of bounds";
}

static const char *check_point(const struct tm_row_point *point)
{
    if ((point->flags & ~(unsigned)TM_POINT_FLAGS) != 0) {
        return "a point with a flag that is not known";
    }
    for (size_t i = 0; i < point->group_count; i++) {
        const struct tm_row_group *group = &point->groups[i];
        if (group->partition < 0 || group->offset < -1 || group->offset == INT64_MAX) {
            return "a group's offset is out of bounds";
        }
    }
    return check_parts(point);
}

static const char *check_pack(const struct tm_row_pack *pack)
{
    for (size_t i = 0; i < pack->run_count; i++) {
        const struct tm_run *run = &pack->runs[i];
        const char *bad = tm_run_check(run);
        if (bad != NULL) {
            return bad;
        }
        const struct tm_run *before = i > 0 ? run - 1 : NULL;
        if (before != NULL && before->stream == run->stream &&
                before->partition == run->partition &&
                run->first - before->first < before->length) {
            return "a pack's runs overlap";
        }
    }
    return NULL;
}

static const char *check_tail(const struct tm_row_tail *tail)
{
    bool fits = tail->partition >= 0 && tail->next >= 0 && tail->covered >= 0 && tail->back >= 0 &&
                tail->back <= tail->next && (tail->back == 0 || tail->leader_epoch >= -1);
    return fits ? NULL : "a tail is out of bounds";
}

static const char *check_gap(const struct tm_row_gap *gap)
{
    if (gap->partition < 0 || !is_range(gap->from, gap->length)) {
        return "a gap's offsets are no range";
    }
    bool known = gap->reason >= TM_GAP_NO_RECORDS && gap->reason <= TM_GAP_CORRUPT_ON_BROKER;
    return known ? NULL : "a gap's reason is not known";
}

/* A full is written as edits of the empty state; only it tells what became of packs. */
static const char *check_kind(const struct tm_edits *edits)
{
    if (edits->full) {
        size_t removals = edits->points_gone.count + edits->packs_gone.count + edits->sweep.count;
        return removals > 0 ? "a full removes something" : NULL;
    }
    size_t states =
            edits->dropped.count + edits->moved.count + edits->swept.count + edits->writers.count;
    return states > 0 ? "a delta holds lists of a full" : NULL;
}

static const char *check_bounds(const struct tm_edits *edits)
{
    const char *bad = check_kind(edits);
    for (size_t i = 0; i < edits->points.count && bad == NULL; i++) {
        bad = check_point(&edits->points.at[i]);
    }
    for (size_t i = 0; i < edits->marks.count && bad == NULL; i++) {
        bad = edits->marks.at[i].hold_until_ms < -1 ? "a hold's end is out of bounds" : NULL;
    }
    for (size_t i = 0; i < edits->packs.count && bad == NULL; i++) {
        bad = check_pack(&edits->packs.at[i]);
    }
    for (size_t i = 0; i < edits->gaps.count && bad == NULL; i++) {
        bad = check_gap(&edits->gaps.at[i]);
    }
    for (size_t i = 0; i < edits->tails.count && bad == NULL; i++) {
        bad = check_tail(&edits->tails.at[i]);
    }
    return bad;
}

/* What check_order() does, for rows that are packed. */
static enum tm_code check_packed_order(const struct tm_row_point *point, struct tm_err *err)
{
    struct tm_parts_walk walk = tm_parts_walk(point);
    struct tm_row_part before;
    struct tm_row_part part;
    for (size_t i = 0; tm_parts_next(&walk, &part); i++) {
        if (i > 0 && by_part(&before, &part) >= 0) {
            return tm_err_set(err, TM_E_CORRUPT,
                    "a point's partitions: number %zu is out of order, or there twice", i);
        }
        before = part;
    }
    return TM_OK;
}

enum tm_code tm_edits_check(const struct tm_edits *edits, struct tm_err *err)
{
    struct visitor visitor = {.visit = check_order, .err = err};
    if (!visit_lists(&visitor, edits)) {
        return err->code;
    }
    for (size_t i = 0; i < edits->points.count; i++) {
        const struct tm_row_point *point = &edits->points.at[i];
        if (point->parts == NULL && check_packed_order(point, err) != TM_OK) {
            return err->code;
        }
    }
    const char *bad = check_bounds(edits);
    return bad == NULL ? TM_OK : tm_err_set(err, TM_E_CORRUPT, "%s", bad);
}
