/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/live_points.h"

#include <stdlib.h>

#include "base/vec.h"

struct interval {
    int64_t from;
    int64_t end;
};

/* The newest row of a chain for a partition: it speaks for its point and those after it. */
struct pending {
    int64_t chain;
    int64_t point;
    struct interval range;
};

struct part {
    uint32_t stream;
    int32_t partition;
    int64_t covered;
    TM_VEC(struct interval) needed; /* sorted, apart from each other */
    TM_VEC(struct pending) pending; /* one a chain */
};

struct retained {
    int64_t chain;
    int64_t point;
};

struct window {
    uint32_t stream;
    int64_t ms; /* INT64_MAX: for ever */
};

struct tm_live_points {
    int64_t now_ms;
    TM_VEC(struct part) parts;        /* sorted by stream, partition */
    TM_VEC(struct retained) retained; /* sorted by chain, point */
    TM_VEC(struct window) windows;    /* sorted by stream */
};

void tm_live_points_free(struct tm_live_points *points)
{
    if (points == NULL) {
        return;
    }
    for (size_t i = 0; i < points->parts.count; i++) {
        tm_vec_done(&points->parts.at[i].needed);
        tm_vec_done(&points->parts.at[i].pending);
    }
    tm_vec_done(&points->parts);
    tm_vec_done(&points->retained);
    tm_vec_done(&points->windows);
    free(points);
}

/* Loading ---------------------------------------------------------------------------------- */

static const char select_tails[] = "SELECT stream, part, covered FROM tail ORDER BY stream, part";
static const char select_points[] = "SELECT chain, id FROM point ORDER BY chain, id";
static const char select_windows[] =
        "SELECT stream, max(seconds) FROM keep GROUP BY stream ORDER BY stream";

static enum tm_code load_parts(
        struct tm_sql *sql, struct tm_live_points *points, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_tails, &stmt, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct part *part = tm_vec_push(&points->parts);
        part->stream = (uint32_t)tm_sql_i64(&stmt, 0);
        part->partition = (int32_t)tm_sql_i64(&stmt, 1);
        part->covered = tm_sql_i64(&stmt, 2);
    }
    return err->code;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_removed(const struct tm_live_query *query, uint64_t point)
{
    return query->removed_count > 0 &&
           bsearch(&point, query->removed, query->removed_count, sizeof(point), by_number) != NULL;
}

static enum tm_code load_retained(struct tm_sql *sql, const struct tm_live_query *query,
        struct tm_live_points *points, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_points, &stmt, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct retained one = {.chain = tm_sql_i64(&stmt, 0), .point = tm_sql_i64(&stmt, 1)};
        if (!is_removed(query, (uint64_t)one.point)) {
            *tm_vec_push(&points->retained) = one;
        }
    }
    return err->code;
}

static enum tm_code load_windows(
        struct tm_sql *sql, struct tm_live_points *points, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_windows, &stmt, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        int64_t seconds = tm_sql_i64(&stmt, 1); /* what does not fit lies there as negative */
        bool for_ever = seconds < 0 || seconds > INT64_MAX / 1000;
        *tm_vec_push(&points->windows) = (struct window){
                .stream = (uint32_t)tm_sql_i64(&stmt, 0),
                .ms = for_ever ? INT64_MAX : seconds * 1000,
        };
    }
    return err->code;
}

/* Finding ---------------------------------------------------------------------------------- */

static bool is_below(const struct part *part, uint32_t stream, int32_t partition)
{
    return part->stream < stream || (part->stream == stream && part->partition < partition);
}

/* Index of the first partition at or behind that place. */
static size_t lower_bound(const struct tm_live_points *points, uint32_t stream, int32_t partition)
{
    size_t low = 0;
    size_t high = points->parts.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool below = is_below(&points->parts.at[mid], stream, partition);
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    return low;
}

static struct part *find_part(
        const struct tm_live_points *points, uint32_t stream, int32_t partition)
{
    size_t at = lower_bound(points, stream, partition);
    bool there = at < points->parts.count && points->parts.at[at].stream == stream &&
                 points->parts.at[at].partition == partition;
    return there ? &points->parts.at[at] : NULL;
}

/* Is a point of the chain retained, with its number in [from, until)? */
static bool has_retained(
        const struct tm_live_points *points, int64_t chain, int64_t from, int64_t until)
{
    size_t low = 0;
    size_t high = points->retained.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct retained *at = &points->retained.at[mid];
        bool below = at->chain < chain || (at->chain == chain && at->point < from);
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    return low < points->retained.count && points->retained.at[low].chain == chain &&
           points->retained.at[low].point < until;
}

/* The points' rows ------------------------------------------------------------------------- */

/* Intervals come nearly in order, and nearly all of them touch the last one. */
static void add_needed(struct part *part, struct interval range)
{
    size_t count = part->needed.count;
    size_t first = count; /* of those that touch the new one, */
    while (first > 0 && part->needed.at[first - 1].end >= range.from) {
        first--;
    }
    size_t behind = first; /* and the first that does not any more */
    while (behind < count && part->needed.at[behind].from <= range.end) {
        const struct interval *old = &part->needed.at[behind++];
        range.from = old->from < range.from ? old->from : range.from;
        range.end = old->end > range.end ? old->end : range.end;
    }
    if (behind == first) {
        (void)tm_vec_push(&part->needed);
        memmove(&part->needed.at[first + 1], &part->needed.at[first],
                (count - first) * sizeof(range));
    } else {
        memmove(&part->needed.at[first + 1], &part->needed.at[behind],
                (count - behind) * sizeof(range));
        part->needed.count -= behind - first - 1;
    }
    part->needed.at[first] = range;
}

/* The row is at its end before point `until`: does a retained point go by it? */
static void settle(struct tm_live_points *points, struct part *part, size_t index, int64_t until)
{
    const struct pending *row = &part->pending.at[index];
    if (row->range.from < row->range.end && has_retained(points, row->chain, row->point, until)) {
        add_needed(part, row->range);
    }
    part->pending.at[index] = part->pending.at[--part->pending.count];
}

static void settle_chain(
        struct tm_live_points *points, struct part *part, int64_t chain, int64_t until)
{
    for (size_t i = part->pending.count; i > 0; i--) {
        if (part->pending.at[i - 1].chain == chain) {
            settle(points, part, i - 1, until);
        }
    }
}

/* Rows of `x` end the rows of their stream, before the point's own rows are taken. */
struct gone {
    struct tm_stmt stmt;
    bool row; /* one lies in `stmt` that was not taken yet */
};

static const char select_gone[] =
        "SELECT point, stream, chain FROM point_gone ORDER BY point, stream";
static const char select_rows[] = "SELECT point, stream, part, chain, start, end FROM point_part"
                                  " ORDER BY point, stream, part";

static enum tm_code take_gone(
        struct tm_live_points *points, struct gone *gone, int64_t point, struct tm_err *err)
{
    while (gone->row && tm_sql_i64(&gone->stmt, 0) <= point) {
        uint32_t stream = (uint32_t)tm_sql_i64(&gone->stmt, 1);
        size_t at = lower_bound(points, stream, INT32_MIN);
        for (; at < points->parts.count && points->parts.at[at].stream == stream; at++) {
            settle_chain(points, &points->parts.at[at], tm_sql_i64(&gone->stmt, 2),
                    tm_sql_i64(&gone->stmt, 0));
        }
        if (tm_sql_step(&gone->stmt, &gone->row, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static void take_row(struct tm_live_points *points, const struct tm_stmt *stmt)
{
    struct pending row = {
            .point = tm_sql_i64(stmt, 0),
            .chain = tm_sql_i64(stmt, 3),
            .range = {tm_sql_i64(stmt, 4), tm_sql_i64(stmt, 5)},
    };
    struct part *part =
            find_part(points, (uint32_t)tm_sql_i64(stmt, 1), (int32_t)tm_sql_i64(stmt, 2));
    if (part != NULL) { /* else its range is empty: the fold has seen to that */
        settle_chain(points, part, row.chain, row.point);
        *tm_vec_push(&part->pending) = row;
    }
}

static enum tm_code read_rows(
        struct tm_sql *sql, struct tm_live_points *points, struct gone *gone, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt rows = {0};
    if (tm_sql_use(sql, select_rows, &rows, err) != TM_OK ||
            tm_sql_use(sql, select_gone, &gone->stmt, err) != TM_OK ||
            tm_sql_step(&gone->stmt, &gone->row, err) != TM_OK) {
        return err->code;
    }
    bool row = false;
    while (tm_sql_step(&rows, &row, err) == TM_OK && row) {
        if (take_gone(points, gone, tm_sql_i64(&rows, 0), err) != TM_OK) {
            return err->code;
        }
        take_row(points, &rows);
    }
    return err->code == TM_OK ? take_gone(points, gone, INT64_MAX, err) : err->code;
}

enum tm_code tm_live_points_read(struct tm_sql *sql, const struct tm_live_query *query,
        struct tm_live_points **out, struct tm_err *err)
{
    TM_OWN(tm_live_points_free)
    struct tm_live_points *points = tm_xalloc(1, sizeof(*points));
    points->now_ms = query->now_ms;
    struct gone gone = {0};
    if (load_parts(sql, points, err) != TM_OK || load_retained(sql, query, points, err) != TM_OK ||
            load_windows(sql, points, err) != TM_OK) {
        return err->code;
    }
    enum tm_code code = read_rows(sql, points, &gone, err);
    tm_sql_stmt_done(&gone.stmt);
    if (code != TM_OK) {
        return code;
    }
    for (size_t i = 0; i < points->parts.count; i++) {
        struct part *part = &points->parts.at[i];
        while (part->pending.count > 0) {
            settle(points, part, part->pending.count - 1, INT64_MAX);
        }
    }
    *out = TM_TAKE(points);
    return TM_OK;
}

/* Runs ------------------------------------------------------------------------------------- */

static bool in_window(const struct tm_live_points *points, uint32_t stream, int64_t stored_ms)
{
    size_t low = 0;
    size_t high = points->windows.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool below = points->windows.at[mid].stream < stream;
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    if (low == points->windows.count || points->windows.at[low].stream != stream) {
        return false;
    }
    int64_t ms = points->windows.at[low].ms;
    return ms > 0 && (ms == INT64_MAX || stored_ms > points->now_ms - ms);
}

bool tm_live_points_need(
        const struct tm_live_points *points, const struct tm_run *run, int64_t stored_ms)
{
    const struct part *part = find_part(points, run->stream, run->partition);
    int64_t end = run->first + run->length;
    if (part == NULL || end > part->covered || in_window(points, run->stream, stored_ms)) {
        return true;
    }
    size_t low = 0; /* the first that ends behind the run's start */
    size_t high = part->needed.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool before = part->needed.at[mid].end <= run->first;
        low = before ? mid + 1 : low;
        high = before ? high : mid;
    }
    return low < part->needed.count && part->needed.at[low].from < end;
}
