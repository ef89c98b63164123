/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "catalog/apply.h"

/* Runs of fresh packs and gaps join at the watermark; what a merge writes anew does not move it. */
enum kind { FRESH, REWRITTEN };

struct span {
    uint32_t stream;
    int32_t partition;
    enum kind kind;
    int64_t from;
    int64_t end;
    const struct tm_run *run; /* NULL: a gap */
    int64_t pack;             /* of the run */
    enum tm_gap_reason reason;
};

struct spans {
    struct span *at;
    size_t count;
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_place(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;
    int order = COMPARE(x->stream, y->stream);
    order = order != 0 ? order : COMPARE(x->partition, y->partition);
    order = order != 0 ? order : COMPARE(x->kind, y->kind);
    return order != 0 ? order : COMPARE(x->from, y->from);
}

static int by_freed_place(const void *a, const void *b)
{
    const struct tm_freed *x = a;
    const struct tm_freed *y = b;
    int order = COMPARE(x->stream, y->stream);
    order = order != 0 ? order : COMPARE(x->partition, y->partition);
    return order != 0 ? order : COMPARE(x->from, y->from);
}

static enum tm_code refuse(const struct span *span, const char *why, struct tm_err *err)
{
    return tm_err_set(err, TM_E_CORRUPT,
            "stream %" PRIu32 " partition %" PRId32 ": the %s [%" PRId64 ", %" PRId64 ") %s",
            span->stream, span->partition, span->run != NULL ? "run" : "gap", span->from, span->end,
            why);
}

/* All runs and gaps of the entry in order of place, so that they are inserted in order of key too. */
static struct spans collect(struct tm_apply *apply)
{
    const struct tm_edits *edits = apply->edits;
    size_t count = edits->gaps.count;
    for (size_t i = 0; i < edits->packs.count; i++) {
        count += edits->packs.at[i].run_count;
    }
    struct span *at = tm_arena_alloc(&apply->arena, count, sizeof(*at));
    struct span *next = at;
    for (size_t i = 0; i < edits->packs.count; i++) {
        const struct tm_row_pack *pack = &edits->packs.at[i];
        for (size_t r = 0; r < pack->run_count; r++) {
            const struct tm_run *run = &pack->runs[r];
            *next++ = (struct span){run->stream, run->partition,
                    apply->merged[i] ? REWRITTEN : FRESH, run->first, run->first + run->length, run,
                    apply->pack_ids[i], TM_GAP_UNKNOWN};
        }
    }
    for (size_t i = 0; i < edits->gaps.count; i++) {
        const struct tm_row_gap *gap = &edits->gaps.at[i];
        bool lost = gap->reason == TM_GAP_LOST_IN_VAULT && !edits->full;
        *next++ = (struct span){gap->stream, gap->partition, lost ? REWRITTEN : FRESH, gap->from,
                gap->from + gap->length, NULL, 0, gap->reason};
    }
    if (count > 0) {
        qsort(at, count, sizeof(*at), by_place);
    }
    return (struct spans){.at = at, .count = count};
}

/* The end of the spans from `start` on that are of one partition and kind. */
static size_t group_end(const struct spans *spans, size_t start)
{
    const struct span *first = &spans->at[start];
    size_t end = start + 1;
    while (end < spans->count && spans->at[end].stream == first->stream &&
            spans->at[end].partition == first->partition && spans->at[end].kind == first->kind) {
        end++;
    }
    return end;
}

/* Fresh ------------------------------------------------------------------------------------ */

/* A full may have holes: packs were dropped. */
static enum tm_code check_joined(
        const struct span *group, size_t count, bool full, struct tm_err *err)
{
    for (size_t i = 1; i < count; i++) {
        if (group[i].from < group[i - 1].end) {
            return refuse(&group[i], "overlaps the one before it", err);
        }
        if (group[i].from > group[i - 1].end && !full) {
            return refuse(&group[i], "leaves a hole before it", err);
        }
    }
    return TM_OK;
}

static enum tm_code note_grown(
        struct tm_apply *apply, const struct span *group, size_t count, struct tm_err *err)
{
    if (check_joined(group, count, apply->edits->full, err) != TM_OK) {
        return err->code;
    }
    struct tm_grown *grown = tm_vec_push(&apply->grown);
    *grown = (struct tm_grown){
            .stream = group->stream,
            .partition = group->partition,
            .from = group->from,
            .end = group[count - 1].end,
            .last_run = -1,
    };
    for (size_t i = 0; i < count; i++) {
        if (group[i].run != NULL) {
            grown->last_run = group[i].from;
            grown->last_run_end = group[i].end;
        }
    }
    return TM_OK;
}

/* Rewritten -------------------------------------------------------------------------------- */

/* Sort what the dropped packs held, and join what touches. */
static void join_freed(struct tm_apply *apply)
{
    if (apply->freed.count == 0) {
        return;
    }
    qsort(apply->freed.at, apply->freed.count, sizeof(*apply->freed.at), by_freed_place);
    size_t last = 0;
    for (size_t i = 1; i < apply->freed.count; i++) {
        const struct tm_freed *next = &apply->freed.at[i];
        struct tm_freed *before = &apply->freed.at[last];
        if (next->stream == before->stream && next->partition == before->partition &&
                next->from == before->end) {
            before->end = next->end;
        } else {
            apply->freed.at[++last] = *next;
        }
    }
    apply->freed.count = last + 1;
}

/* Does one joined stretch of what was freed hold all of the span? */
static bool within_freed(const struct tm_apply *apply, const struct span *span)
{
    size_t low = 0; /* the first that is behind the span's start */
    size_t high = apply->freed.count;
    struct tm_freed key = {span->stream, span->partition, span->from, 0};
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (by_freed_place(&apply->freed.at[mid], &key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    const struct tm_freed *found = low > 0 ? &apply->freed.at[low - 1] : NULL;
    return found != NULL && found->stream == span->stream && found->partition == span->partition &&
           span->end <= found->end;
}

static enum tm_code check_rewritten(
        struct tm_apply *apply, const struct span *group, size_t count, struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && group[i].from < group[i - 1].end) {
            return refuse(&group[i], "overlaps the one before it", err);
        }
        if (!within_freed(apply, &group[i])) {
            return refuse(&group[i], "is not within the runs of the packs that were dropped", err);
        }
    }
    return TM_OK;
}

/* Rows ------------------------------------------------------------------------------------- */

static const char insert_run[] =
        "INSERT INTO run"
        " (stream, part, first, length, count, bytes, largest, ts_min, ts_max, pack)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char insert_gap[] =
        "INSERT INTO gap (stream, part, first, length, reason) VALUES (?, ?, ?, ?, ?)";

static void bind_place(struct tm_stmt *stmt, const struct span *span)
{
    tm_sql_bind_i64(stmt, span->stream);
    tm_sql_bind_i64(stmt, span->partition);
    tm_sql_bind_i64(stmt, span->from);
    tm_sql_bind_i64(stmt, span->end - span->from);
}

static enum tm_code insert_spans(
        struct tm_apply *apply, const struct spans *spans, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt runs = {0};
    TM_STMT_OWN struct tm_stmt gaps = {0};
    if (tm_sql_use(apply->sql, insert_run, &runs, err) != TM_OK ||
            tm_sql_use(apply->sql, insert_gap, &gaps, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < spans->count; i++) {
        const struct span *span = &spans->at[i];
        struct tm_stmt *stmt = span->run != NULL ? &runs : &gaps;
        bind_place(stmt, span);
        if (span->run != NULL) {
            tm_sql_bind_i64(stmt, span->run->count);
            tm_sql_bind_i64(stmt, span->run->bytes);
            tm_sql_bind_i64(stmt, span->run->largest);
            tm_sql_bind_i64(stmt, span->run->ts_min);
            tm_sql_bind_i64(stmt, span->run->ts_max);
            tm_sql_bind_i64(stmt, span->pack);
        } else {
            tm_sql_bind_i64(stmt, span->reason);
        }
        if (tm_sql_run(stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code check_group(
        struct tm_apply *apply, const struct span *group, size_t count, struct tm_err *err)
{
    const char *what = group->run != NULL ? "run" : "gap";
    if (tm_apply_check_stream(apply, group->stream, TM_SLICE_NULL, what, err) != TM_OK) {
        return err->code;
    }
    return group->kind == FRESH ? note_grown(apply, group, count, err)
                                : check_rewritten(apply, group, count, err);
}

enum tm_code tm_apply_ranges(struct tm_apply *apply, struct tm_err *err)
{
    struct spans spans = collect(apply);
    join_freed(apply);
    for (size_t start = 0; start < spans.count;) {
        size_t end = group_end(&spans, start);
        if (check_group(apply, &spans.at[start], end - start, err) != TM_OK) {
            return err->code;
        }
        start = end;
    }
    /* Rows come last: a run that does not join would be refused as a duplicate row otherwise. */
    return tm_apply_tails(apply, err) == TM_OK ? insert_spans(apply, &spans, err) : err->code;
}
