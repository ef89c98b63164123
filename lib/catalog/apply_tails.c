/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "catalog/apply.h"

/* How far the entry's points reach in a partition. */
struct reach {
    uint32_t stream;
    int32_t partition;
    int64_t end;
    bool empty; /* [end, end): covers nothing */
};

struct reaches {
    struct reach *at;
    size_t count;
};

struct old_tail {
    bool there;
    int64_t next;
    int64_t covered;
    int64_t back;
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_places(
        uint32_t a_stream, int32_t a_partition, uint32_t b_stream, int32_t b_partition)
{
    int order = COMPARE(a_stream, b_stream);
    return order != 0 ? order : COMPARE(a_partition, b_partition);
}

static int by_reach_place(const void *a, const void *b)
{
    const struct reach *x = a;
    const struct reach *y = b;
    return compare_places(x->stream, x->partition, y->stream, y->partition);
}

static struct reaches collect_reaches(struct tm_apply *apply)
{
    const struct tm_edits *edits = apply->edits;
    size_t count = 0;
    if (edits->full) {
        return (struct reaches){0}; /* states its tails: nothing is told against them */
    }
    for (size_t i = 0; i < edits->points.count; i++) {
        count += edits->points.at[i].part_count;
    }
    struct reach *at = tm_arena_alloc(&apply->arena, count, sizeof(*at));
    struct reach *next = at;
    for (size_t i = 0; i < edits->points.count; i++) {
        const struct tm_row_point *point = &edits->points.at[i];
        for (size_t p = 0; p < point->part_count; p++) {
            const struct tm_row_part *part = &point->parts[p];
            *next++ = (struct reach){
                    part->stream, part->partition, part->end, part->end == part->start};
        }
    }
    if (count > 0) {
        qsort(at, count, sizeof(*at), by_reach_place);
    }
    return (struct reaches){.at = at, .count = count};
}

static enum tm_code refuse(const struct tm_row_tail *tail, const char *what, int64_t is,
        int64_t should_be, struct tm_err *err)
{
    return tm_err_set(err, TM_E_CORRUPT,
            "stream %" PRIu32 " partition %" PRId32 ": %s %" PRId64 ", not %" PRId64, tail->stream,
            tail->partition, what, should_be, is);
}

static const char select_tail[] =
        "SELECT next, covered, back FROM tail WHERE stream = ? AND part = ?";
static const char replace_tail[] =
        "INSERT OR REPLACE INTO tail"
        " (stream, part, next, covered, back, leader_epoch, timestamp_ms, tag)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

static enum tm_code read_old(struct tm_apply *apply, const struct tm_row_tail *tail,
        struct old_tail *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(apply->sql, select_tail, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, tail->stream);
    tm_sql_bind_i64(&stmt, tail->partition);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (row) {
        *out = (struct old_tail){
                true, tm_sql_i64(&stmt, 0), tm_sql_i64(&stmt, 1), tm_sql_i64(&stmt, 2)};
    }
    return TM_OK;
}

/* Where the partition's history now ends. */
static enum tm_code check_next(const struct tm_row_tail *tail, const struct tm_grown *grown,
        const struct old_tail *old, struct tm_err *err)
{
    if (grown != NULL && old->there && grown->from != old->next) {
        return refuse(tail, "runs and gaps join at", grown->from, old->next, err);
    }
    int64_t end = grown != NULL ? grown->end : old->there ? old->next : tail->next;
    return tail->next == end ? TM_OK : refuse(tail, "the tail's next is", tail->next, end, err);
}

/* The last stored record lies in the last run: what an entry without runs names stays. */
static enum tm_code check_back(const struct tm_row_tail *tail, const struct tm_grown *grown,
        const struct old_tail *old, struct tm_err *err)
{
    int64_t last = tail->back > 0 ? tail->next - tail->back : -1;
    if (grown != NULL && grown->last_run >= 0) {
        if (last < grown->last_run || last >= grown->last_run_end) {
            return tm_err_set(err, TM_E_CORRUPT,
                    "stream %" PRIu32 " partition %" PRId32 ": the last run is [%" PRId64
                    ", %" PRId64 "), the tail's last record is %" PRId64,
                    tail->stream, tail->partition, grown->last_run, grown->last_run_end, last);
        }
        return TM_OK;
    }
    int64_t before = old->back > 0 ? old->next - old->back : -1;
    return last == before ? TM_OK : refuse(tail, "the last record is", last, before, err);
}

/*
 * `covered` decides what may be freed, so it is neither taken back nor ahead of the points. An empty
 * range may count as reaching its end (where nothing is stored to be freed), and a partition that is
 * named first may start covered up to its base.
 */
static enum tm_code check_covered(const struct tm_row_tail *tail, const struct tm_grown *grown,
        const struct old_tail *old, const struct reaches *reaches, struct tm_err *err)
{
    int64_t least = old->covered;
    int64_t most = old->covered;
    if (!old->there) {
        most = grown != NULL ? grown->from : tail->next;
    }
    struct reach key = {tail->stream, tail->partition, 0, false};
    struct reach *found = reaches->count == 0 ? NULL
                                              : bsearch(&key, reaches->at, reaches->count,
                                                        sizeof(key), by_reach_place);
    while (found != NULL && found > reaches->at && by_reach_place(found - 1, &key) == 0) {
        found--;
    }
    for (; found != NULL && found < reaches->at + reaches->count; found++) {
        if (by_reach_place(found, &key) != 0) {
            break;
        }
        int64_t end = found->end < tail->next ? found->end : tail->next;
        most = end > most ? end : most;
        least = end > least && !found->empty ? end : least;
    }
    if (tail->covered < least) {
        return refuse(tail, "a point reaches", tail->covered, least, err);
    }
    return tail->covered <= most
                   ? TM_OK
                   : refuse(tail, "points reach no further than", tail->covered, most, err);
}

static enum tm_code put_tail(
        struct tm_apply *apply, const struct tm_row_tail *tail, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(apply->sql, replace_tail, &stmt, err) != TM_OK) {
        return err->code;
    }
    struct tm_id16 no_tag = {0};
    bool has_record = tail->back > 0;
    tm_sql_bind_i64(&stmt, tail->stream);
    tm_sql_bind_i64(&stmt, tail->partition);
    tm_sql_bind_i64(&stmt, tail->next);
    tm_sql_bind_i64(&stmt, tail->covered);
    tm_sql_bind_i64(&stmt, tail->back);
    tm_sql_bind_i64(&stmt, has_record ? tail->leader_epoch : -1);
    tm_sql_bind_i64(&stmt, has_record ? tail->timestamp_ms : 0);
    tm_sql_bind_bytes(&stmt, has_record ? tail->tag.bytes : no_tag.bytes, sizeof(no_tag.bytes));
    return tm_sql_run(&stmt, err);
}

/* A full states its tails; they must be at or behind what it lists. */
static enum tm_code check_full_tail(
        const struct tm_row_tail *tail, const struct tm_grown *grown, struct tm_err *err)
{
    if (grown != NULL && grown->end > tail->next) {
        return refuse(tail, "the tail's next is", tail->next, grown->end, err);
    }
    return tail->covered <= tail->next
                   ? TM_OK
                   : refuse(tail, "points reach no further than", tail->covered, tail->next, err);
}

static enum tm_code apply_tail(struct tm_apply *apply, const struct tm_row_tail *tail,
        const struct tm_grown *grown, const struct reaches *reaches, struct tm_err *err)
{
    struct old_tail old = {0};
    if (tm_apply_check_stream(apply, tail->stream, TM_SLICE_NULL, "tail", err) != TM_OK ||
            read_old(apply, tail, &old, err) != TM_OK) {
        return err->code;
    }
    if (apply->edits->full) {
        return check_full_tail(tail, grown, err) == TM_OK ? put_tail(apply, tail, err) : err->code;
    }
    if (check_next(tail, grown, &old, err) != TM_OK ||
            check_back(tail, grown, &old, err) != TM_OK ||
            check_covered(tail, grown, &old, reaches, err) != TM_OK) {
        return err->code;
    }
    return put_tail(apply, tail, err);
}

/* What the tail's partition grows by, if it does; *skipped when a partition before it has no tail. */
static const struct tm_grown *find_grown(
        const struct tm_apply *apply, const struct tm_row_tail *tail, size_t next, bool *skipped)
{
    if (next == apply->grown.count) {
        return NULL;
    }
    const struct tm_grown *grown = &apply->grown.at[next];
    int order = compare_places(grown->stream, grown->partition, tail->stream, tail->partition);
    *skipped = order < 0;
    return order == 0 ? grown : NULL;
}

/* Both lists are in order of place: go through them side by side. */
enum tm_code tm_apply_tails(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    struct reaches reaches = collect_reaches(apply);
    size_t next = 0;
    bool skipped = false;
    for (size_t i = 0; i < edits->tails.count && !skipped; i++) {
        const struct tm_row_tail *tail = &edits->tails.at[i];
        const struct tm_grown *grown = find_grown(apply, tail, next, &skipped);
        next += grown != NULL;
        if (!skipped && apply_tail(apply, tail, grown, &reaches, err) != TM_OK) {
            return err->code;
        }
    }
    if (next < apply->grown.count) {
        const struct tm_grown *grown = &apply->grown.at[next];
        return tm_err_set(err, TM_E_CORRUPT,
                "stream %" PRIu32 " partition %" PRId32 ": grows without a tail", grown->stream,
                grown->partition);
    }
    return TM_OK;
}
