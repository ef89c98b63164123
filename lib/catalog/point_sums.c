/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/point_list.h"
#include "catalog/runs.h"

struct gone {
    int64_t stream;
    int64_t point;
};

/* A run, with what lies in all runs before it. */
struct summed {
    int64_t first;
    int64_t length;
    int64_t count;
    int64_t bytes;
    int64_t count_before;
    int64_t bytes_before;
};

struct amount {
    int64_t messages;
    int64_t bytes;
};

/* The row of a partition that holds at the point looked at. */
struct current {
    int64_t point; /* 0: none yet */
    int64_t start;
    int64_t end;
    bool summed; /* `amount` is that of [start, end) */
    struct amount amount;
};

struct sums {
    struct tm_sql *sql;
    const struct tm_listed *points;
    size_t count;
    int64_t stream; /* the partition at work */
    int64_t partition;
    bool runs_read;
    TM_VEC(struct summed) runs; /* of that partition */
    TM_VEC(struct gone) gone;   /* of the chain, by stream and point */
    size_t gone_from;           /* first of the stream at work, or behind it */
    int64_t *counted;           /* by point: the last stream counted as a topic */
    struct tm_arena arena;
};

static void sums_done(struct sums *sums)
{
    tm_vec_done(&sums->runs);
    tm_vec_done(&sums->gone);
    tm_arena_done(&sums->arena);
}

/* Amounts ---------------------------------------------------------------------------------- */

static const char select_runs[] =
        "SELECT first, length, count, bytes FROM run WHERE stream = ? AND part = ? ORDER BY first";

static enum tm_code read_runs(struct sums *sums, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sums->sql, select_runs, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, sums->stream);
    tm_sql_bind_i64(&stmt, sums->partition);
    sums->runs.count = 0;
    struct amount before = {0};
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct summed *run = tm_vec_push(&sums->runs);
        *run = (struct summed){
                .first = tm_sql_i64(&stmt, 0),
                .length = tm_sql_i64(&stmt, 1),
                .count = tm_sql_i64(&stmt, 2),
                .bytes = tm_sql_i64(&stmt, 3),
                .count_before = before.messages,
                .bytes_before = before.bytes,
        };
        before.messages += run->count;
        before.bytes += run->bytes;
    }
    sums->runs_read = true;
    return err->code;
}

/* What lies below an offset. */
static struct amount amount_below(const struct sums *sums, int64_t offset)
{
    size_t low = 0; /* the first run at or behind the offset */
    size_t high = sums->runs.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sums->runs.at[mid].first < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == 0) {
        return (struct amount){0};
    }
    const struct summed *run = &sums->runs.at[low - 1];
    return (struct amount){
            .messages =
                    run->count_before + tm_runs_share(run->count, run->first, run->length, offset),
            .bytes = run->bytes_before + tm_runs_share(run->bytes, run->first, run->length, offset),
    };
}

static enum tm_code sum_current(struct sums *sums, struct current *current, struct tm_err *err)
{
    if (current->summed) {
        return TM_OK;
    }
    current->summed = true;
    current->amount = (struct amount){0};
    if (current->start == current->end) {
        return TM_OK;
    }
    if (!sums->runs_read && read_runs(sums, err) != TM_OK) {
        return err->code;
    }
    struct amount below_start = amount_below(sums, current->start);
    struct amount below_end = amount_below(sums, current->end);
    current->amount.messages = below_end.messages - below_start.messages;
    current->amount.bytes = below_end.bytes - below_start.bytes;
    return TM_OK;
}

/* One partition, through all points ---------------------------------------------------------- */

/* From the row that holds at the oldest point ?4 to the one that does at the newest ?5. */
static const char select_rows[] =
        "SELECT point, start, end FROM point_part"
        " WHERE chain = ?1 AND stream = ?2 AND part = ?3 AND point <= ?5"
        " AND point >= coalesce((SELECT max(point) FROM point_part"
        " WHERE chain = ?1 AND stream = ?2 AND part = ?3 AND point <= ?4), 0)"
        " ORDER BY point";

/* Go on to the row that holds at `point`; the statement stands on the first one behind it. */
static enum tm_code advance(struct tm_stmt *rows, bool *more, int64_t point,
        struct current *current, struct tm_err *err)
{
    while (*more && tm_sql_i64(rows, 0) <= point) {
        *current = (struct current){
                .point = tm_sql_i64(rows, 0),
                .start = tm_sql_i64(rows, 1),
                .end = tm_sql_i64(rows, 2),
        };
        if (tm_sql_step(rows, more, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* The newest point up to `point` that says the stream is gone; `at` moves along the list. */
static int64_t gone_before(const struct sums *sums, size_t *at, int64_t point)
{
    while (*at < sums->gone.count && sums->gone.at[*at].stream == sums->stream &&
            sums->gone.at[*at].point <= point) {
        (*at)++;
    }
    return *at > sums->gone_from ? sums->gone.at[*at - 1].point : 0;
}

static enum tm_code count_in(
        struct sums *sums, size_t index, struct current *current, struct tm_err *err)
{
    struct tm_point_line *line = sums->points[index].line;
    if (sum_current(sums, current, err) != TM_OK) {
        return err->code;
    }
    line->topics += sums->counted[index] != sums->stream;
    sums->counted[index] = sums->stream;
    line->partitions++;
    line->messages += current->amount.messages;
    line->source_bytes += current->amount.bytes;
    return TM_OK;
}

static enum tm_code sum_partition(struct sums *sums, struct tm_stmt *rows, struct tm_err *err)
{
    tm_sql_rewind(rows);
    tm_sql_bind_i64(rows, sums->points[0].chain);
    tm_sql_bind_i64(rows, sums->stream);
    tm_sql_bind_i64(rows, sums->partition);
    tm_sql_bind_i64(rows, (int64_t)sums->points[0].line->row.id);
    tm_sql_bind_i64(rows, (int64_t)sums->points[sums->count - 1].line->row.id);
    bool more = false;
    if (tm_sql_step(rows, &more, err) != TM_OK) {
        return err->code;
    }
    sums->runs_read = false;
    struct current current = {0};
    size_t gone_at = sums->gone_from;
    for (size_t i = 0; i < sums->count; i++) {
        int64_t point = (int64_t)sums->points[i].line->row.id;
        if (advance(rows, &more, point, &current, err) != TM_OK) {
            return err->code;
        }
        bool present = current.point > 0 && current.point >= gone_before(sums, &gone_at, point);
        if (present && count_in(sums, i, &current, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* All partitions --------------------------------------------------------------------------- */

static const char next_part[] =
        "SELECT stream, part FROM point_part WHERE chain = ? AND (stream, part) > (?, ?)"
        " ORDER BY stream, part LIMIT 1";
static const char select_gone[] =
        "SELECT stream, point FROM point_gone WHERE chain = ? ORDER BY stream, point";

static enum tm_code read_gone(struct sums *sums, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sums->sql, select_gone, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, sums->points[0].chain);
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&sums->gone) =
                (struct gone){.stream = tm_sql_i64(&stmt, 0), .point = tm_sql_i64(&stmt, 1)};
    }
    return err->code;
}

/* The next partition that any point of the chain has a row of. */
static enum tm_code find_next(
        struct sums *sums, struct tm_stmt *next, bool *more, struct tm_err *err)
{
    tm_sql_rewind(next);
    tm_sql_bind_i64(next, sums->points[0].chain);
    tm_sql_bind_i64(next, sums->stream);
    tm_sql_bind_i64(next, sums->partition);
    if (tm_sql_step(next, more, err) != TM_OK || !*more) {
        return err->code;
    }
    sums->stream = tm_sql_i64(next, 0);
    sums->partition = tm_sql_i64(next, 1);
    while (sums->gone_from < sums->gone.count &&
            sums->gone.at[sums->gone_from].stream < sums->stream) {
        sums->gone_from++;
    }
    return TM_OK;
}

static enum tm_code sum_partitions(struct sums *sums, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt next = {0};
    TM_STMT_OWN struct tm_stmt rows = {0};
    if (tm_sql_use(sums->sql, next_part, &next, err) != TM_OK ||
            tm_sql_use(sums->sql, select_rows, &rows, err) != TM_OK ||
            read_gone(sums, err) != TM_OK) {
        return err->code;
    }
    for (;;) {
        bool more = false;
        if (find_next(sums, &next, &more, err) != TM_OK || !more) {
            return err->code;
        }
        if (sum_partition(sums, &rows, err) != TM_OK) {
            return err->code;
        }
    }
}

enum tm_code tm_point_sums_fill(
        struct tm_sql *sql, const struct tm_listed *points, size_t count, struct tm_err *err)
{
    struct sums sums = {
            .sql = sql, .points = points, .count = count, .stream = -1, .partition = -1};
    sums.counted = tm_arena_alloc(&sums.arena, count, sizeof(*sums.counted));
    enum tm_code code = sum_partitions(&sums, err);
    sums_done(&sums);
    return code;
}
