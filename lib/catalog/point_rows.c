/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "catalog/points.h"
#include "catalog/rows.h"
#include "catalog/streams.h"

/* The stream left the points at `point`; rows of an earlier point are no longer in it. */
struct gone {
    uint32_t stream;
    int64_t point;
};

/* A point whose whole rows are being looked up. */
struct lookup {
    struct tm_sql *sql;
    struct tm_arena *arena;
    int64_t chain;
    int64_t point;
    TM_VEC(struct gone) gone; /* by stream */
    TM_VEC(struct tm_row_topic) topics;
    TM_VEC(struct tm_row_part) parts;
    TM_VEC(struct tm_row_group) groups;
    TM_VEC(struct tm_row_acl) acls;
};

static void lookup_done(struct lookup *lookup)
{
    tm_vec_done(&lookup->gone);
    tm_vec_done(&lookup->topics);
    tm_vec_done(&lookup->parts);
    tm_vec_done(&lookup->groups);
    tm_vec_done(&lookup->acls);
}

static int by_stream(const void *a, const void *b)
{
    const struct gone *x = a;
    const struct gone *y = b;
    return (x->stream > y->stream) - (x->stream < y->stream);
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* The newest point up to the one looked up that says the stream is gone; 0: none does. */
static int64_t gone_at(const struct lookup *lookup, uint32_t stream)
{
    if (lookup->gone.count == 0) {
        return 0;
    }
    struct gone key = {.stream = stream};
    const struct gone *found =
            bsearch(&key, lookup->gone.at, lookup->gone.count, sizeof(key), by_stream);
    return found != NULL ? found->point : 0;
}

static const char select_gone[] = "SELECT stream, max(point) FROM point_gone"
                                  " WHERE chain = ? AND point <= ? GROUP BY stream ORDER BY stream";

static enum tm_code read_gone(struct lookup *lookup, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(lookup->sql, select_gone, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, lookup->chain);
    tm_sql_bind_i64(&stmt, lookup->point);
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        *tm_vec_push(&lookup->gone) = (struct gone){
                .stream = (uint32_t)tm_sql_i64(&stmt, 0),
                .point = tm_sql_i64(&stmt, 1),
        };
    }
    return err->code;
}

/* Whole rows ------------------------------------------------------------------------------- */

struct key {
    int64_t stream;
    int64_t partition;
    struct tm_slice name; /* of a group */
};

/*
 * A table of changed rows. A row of the point is the newest one of its key up to the point, unless
 * its stream was gone after that. Keys are found one after the other by seeking in the index, so the
 * cost is two seeks a key, however many points there are.
 */
struct table {
    const char *next_key; /* the first key above the one given: stream [, part [, name]] */
    const char *newest;   /* of a key: point, then what `add` reads */
    int key_columns;
    enum tm_code (*add)(struct lookup *lookup, const struct tm_stmt *stmt, const struct key *key,
            struct tm_err *err);
};

static void bind_key(struct tm_stmt *stmt, const struct table *table, const struct key *key)
{
    tm_sql_bind_i64(stmt, key->stream);
    if (table->key_columns > 1) {
        tm_sql_bind_i64(stmt, key->partition);
    }
    if (table->key_columns > 2) {
        tm_sql_bind_slice(stmt, key->name);
    }
}

/* Move the key on; *more is false behind the last one. */
static enum tm_code find_next_key(struct lookup *lookup, const struct table *table,
        struct tm_stmt *stmt, struct key *key, bool *more, struct tm_err *err)
{
    tm_sql_rewind(stmt);
    tm_sql_bind_i64(stmt, lookup->chain);
    bind_key(stmt, table, key);
    if (tm_sql_step(stmt, more, err) != TM_OK || !*more) {
        return err->code;
    }
    key->stream = tm_sql_i64(stmt, 0);
    key->partition = table->key_columns > 1 ? tm_sql_i64(stmt, 1) : 0;
    key->name = table->key_columns > 2 ? tm_rows_slice(stmt, 2, lookup->arena) : TM_SLICE_NULL;
    return TM_OK;
}

static enum tm_code read_newest(struct lookup *lookup, const struct table *table,
        struct tm_stmt *stmt, const struct key *key, struct tm_err *err)
{
    bool row = false;
    tm_sql_rewind(stmt);
    tm_sql_bind_i64(stmt, lookup->chain);
    bind_key(stmt, table, key);
    tm_sql_bind_i64(stmt, lookup->point);
    if (tm_sql_step(stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (!row || tm_sql_i64(stmt, 0) < gone_at(lookup, (uint32_t)key->stream)) {
        return TM_OK;
    }
    return table->add(lookup, stmt, key, err);
}

static enum tm_code read_table(struct lookup *lookup, const struct table *table, struct tm_err *err)
{
    struct key key = {.stream = -1, .partition = -1};
    TM_STMT_OWN struct tm_stmt next = {0};
    TM_STMT_OWN struct tm_stmt newest = {0};
    if (tm_sql_use(lookup->sql, table->next_key, &next, err) != TM_OK ||
            tm_sql_use(lookup->sql, table->newest, &newest, err) != TM_OK) {
        return err->code;
    }
    for (;;) {
        bool more = false;
        if (find_next_key(lookup, table, &next, &key, &more, err) != TM_OK || !more) {
            return err->code;
        }
        if (read_newest(lookup, table, &newest, &key, err) != TM_OK) {
            return err->code;
        }
    }
}

static const char next_topic[] = "SELECT stream FROM point_topic WHERE chain = ? AND stream > ?"
                                 " ORDER BY stream LIMIT 1";
static const char newest_topic[] =
        "SELECT point, partitions, replication_factor, configs FROM point_topic"
        " WHERE chain = ? AND stream = ? AND point <= ? ORDER BY point DESC LIMIT 1";

static enum tm_code add_topic(struct lookup *lookup, const struct tm_stmt *stmt,
        const struct key *key, struct tm_err *err)
{
    struct tm_row_topic *row = tm_vec_push(&lookup->topics);
    row->stream = (uint32_t)key->stream;
    row->partitions = (uint32_t)tm_sql_i64(stmt, 1);
    row->replication_factor = (uint32_t)tm_sql_i64(stmt, 2);
    return tm_rows_read_pairs(stmt, 3, lookup->arena, &row->configs, &row->config_count, err);
}

static const char next_part[] =
        "SELECT stream, part FROM point_part WHERE chain = ? AND (stream, part) > (?, ?)"
        " ORDER BY stream, part LIMIT 1";
static const char newest_part[] =
        "SELECT point, start, end, lso, high_watermark, status FROM point_part"
        " WHERE chain = ? AND stream = ? AND part = ? AND point <= ? ORDER BY point DESC LIMIT 1";

static enum tm_code add_part(struct lookup *lookup, const struct tm_stmt *stmt,
        const struct key *key, struct tm_err *err)
{
    *tm_vec_push(&lookup->parts) = (struct tm_row_part){
            .stream = (uint32_t)key->stream,
            .partition = (int32_t)key->partition,
            .start = tm_sql_i64(stmt, 1),
            .end = tm_sql_i64(stmt, 2),
            .lso = tm_sql_i64(stmt, 3),
            .high_watermark = tm_sql_i64(stmt, 4),
            .status = (enum tm_part_status)tm_sql_i64(stmt, 5),
    };
    return err->code;
}

static const char next_group[] =
        "SELECT stream, part, name FROM point_group"
        " WHERE chain = ? AND (stream, part, name) > (?, ?, ?) ORDER BY stream, part, name LIMIT 1";
static const char newest_group[] =
        "SELECT point, next, metadata FROM point_group"
        " WHERE chain = ? AND stream = ? AND part = ? AND name = ? AND point <= ?"
        " ORDER BY point DESC LIMIT 1";

static enum tm_code add_group(struct lookup *lookup, const struct tm_stmt *stmt,
        const struct key *key, struct tm_err *err)
{
    if (tm_sql_i64(stmt, 1) >= 0) { /* -1: the group has no offset there any more */
        *tm_vec_push(&lookup->groups) = (struct tm_row_group){
                .group = key->name,
                .stream = (uint32_t)key->stream,
                .partition = (int32_t)key->partition,
                .offset = tm_sql_i64(stmt, 1),
                .metadata = tm_rows_slice(stmt, 2, lookup->arena),
        };
    }
    return err->code;
}

static const char next_acl[] = "SELECT stream FROM point_acl WHERE chain = ? AND stream > ?"
                               " ORDER BY stream LIMIT 1";
static const char newest_acl[] =
        "SELECT point, acls FROM point_acl WHERE chain = ? AND stream = ? AND point <= ?"
        " ORDER BY point DESC LIMIT 1";

static enum tm_code add_acl(struct lookup *lookup, const struct tm_stmt *stmt,
        const struct key *key, struct tm_err *err)
{
    struct tm_row_acl *row = tm_vec_push(&lookup->acls);
    row->stream = (uint32_t)key->stream;
    return tm_rows_read_strings(stmt, 1, lookup->arena, &row->acls, &row->acl_count, err);
}

static enum tm_code read_tables(struct lookup *lookup, struct tm_err *err)
{
    static const struct table tables[] = {
            {next_topic, newest_topic, 1, add_topic},
            {next_part, newest_part, 2, add_part},
            {next_group, newest_group, 3, add_group},
            {next_acl, newest_acl, 1, add_acl},
    };
    if (read_gone(lookup, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (read_table(lookup, &tables[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* The point -------------------------------------------------------------------------------- */

/* Every stream the rows name, by id. */
static enum tm_code read_streams(
        const struct lookup *lookup, struct tm_point *point, struct tm_err *err)
{
    TM_VEC(uint32_t) ids = {0};
    for (size_t i = 0; i < lookup->topics.count; i++) {
        *tm_vec_push(&ids) = lookup->topics.at[i].stream;
    }
    for (size_t i = 0; i < lookup->parts.count; i++) {
        *tm_vec_push(&ids) = lookup->parts.at[i].stream;
    }
    for (size_t i = 0; i < lookup->groups.count; i++) {
        *tm_vec_push(&ids) = lookup->groups.at[i].stream;
    }
    for (size_t i = 0; i < lookup->acls.count; i++) {
        *tm_vec_push(&ids) = lookup->acls.at[i].stream;
    }
    if (ids.count > 0) {
        qsort(ids.at, ids.count, sizeof(*ids.at), by_number);
    }
    point->streams = tm_arena_alloc(lookup->arena, ids.count, sizeof(*point->streams));
    for (size_t i = 0; i < ids.count; i++) {
        if (i > 0 && ids.at[i] == ids.at[i - 1]) {
            continue;
        }
        struct tm_stream *stream = &point->streams[point->stream_count++];
        if (tm_streams_read(lookup->sql, ids.at[i], lookup->arena, stream, err) != TM_OK) {
            break;
        }
    }
    tm_vec_done(&ids);
    return err->code;
}

/* The format sorts groups by name first. */
static int by_group(const void *a, const void *b)
{
    const struct tm_row_group *x = a;
    const struct tm_row_group *y = b;
    int order = tm_slice_cmp(x->group, y->group);
    if (order == 0) {
        order = (x->stream > y->stream) - (x->stream < y->stream);
    }
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static void keep_rows(struct lookup *lookup, struct tm_row_point *row)
{
    if (lookup->groups.count > 0) {
        qsort(lookup->groups.at, lookup->groups.count, sizeof(*lookup->groups.at), by_group);
    }
    tm_rows_keep(&lookup->topics, lookup->arena, &row->topics, &row->topic_count);
    tm_rows_keep(&lookup->parts, lookup->arena, &row->parts, &row->part_count);
    tm_rows_keep(&lookup->groups, lookup->arena, &row->groups, &row->group_count);
    tm_rows_keep(&lookup->acls, lookup->arena, &row->acls, &row->acl_count);
}

enum tm_code tm_point_rows_read(struct tm_sql *sql, int64_t chain, struct tm_arena *arena,
        struct tm_point *point, struct tm_err *err)
{
    struct lookup lookup = {
            .sql = sql, .arena = arena, .chain = chain, .point = (int64_t)point->row.id};
    if (read_tables(&lookup, err) == TM_OK && read_streams(&lookup, point, err) == TM_OK) {
        keep_rows(&lookup, &point->row);
    }
    lookup_done(&lookup);
    return err->code;
}
