/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "catalog/apply.h"
#include "catalog/rows.h"
#include "codec/parts.h"

enum { WHAT_MAX = 40 };

/* A point being added, and how refusals begin. */
struct adding {
    struct tm_apply *apply;
    const struct tm_row_point *row;
    int64_t chain;
    char what[WHAT_MAX]; /* "point 7" */
};

static enum tm_code check_stream(struct adding *adding, uint32_t stream, struct tm_err *err)
{
    struct tm_slice cluster = adding->row->cluster_id;
    if (cluster.at == NULL) {
        cluster = tm_slice_str(""); /* null would be any */
    }
    return tm_apply_check_stream(adding->apply, stream, cluster, adding->what, err);
}

/* The point's row -------------------------------------------------------------------------- */

static const char select_ulid[] = "SELECT id FROM point WHERE ulid = ?";
static const char select_chain[] = "SELECT id FROM chain WHERE cluster_id = ? AND policy = ?";
static const char insert_chain[] = "INSERT INTO chain (cluster_id, policy) VALUES (?, ?)";
static const char insert_point[] = "INSERT INTO point"
                                   " (id, ulid, chain, time_ms, cluster_name, flags)"
                                   " VALUES (?, ?, ?, ?, ?, ?)";

static enum tm_code check_ulid(struct adding *adding, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(adding->apply->sql, select_ulid, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, adding->row->ulid.bytes, sizeof(adding->row->ulid.bytes));
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    return !row ? TM_OK
                : tm_err_set(err, TM_E_CORRUPT, "%s has the ULID of point %" PRId64, adding->what,
                          tm_sql_i64(&stmt, 0));
}

/* The number of (cluster id, policy) in this catalog, a new one if need be. */
static enum tm_code find_chain(struct adding *adding, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt find = {0};
    TM_STMT_OWN struct tm_stmt add = {0};
    bool row = false;
    if (tm_sql_use(adding->apply->sql, select_chain, &find, err) != TM_OK ||
            tm_sql_use(adding->apply->sql, insert_chain, &add, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&find, adding->row->cluster_id);
    tm_sql_bind_slice(&find, adding->row->policy);
    if (tm_sql_step(&find, &row, err) != TM_OK) {
        return err->code;
    }
    if (row) {
        adding->chain = tm_sql_i64(&find, 0);
        return TM_OK;
    }
    tm_sql_bind_slice(&add, adding->row->cluster_id);
    tm_sql_bind_slice(&add, adding->row->policy);
    if (tm_sql_run(&add, err) != TM_OK) {
        return err->code;
    }
    adding->chain = tm_sql_last_id(adding->apply->sql);
    return TM_OK;
}

static enum tm_code add_row(struct adding *adding, struct tm_err *err)
{
    const struct tm_row_point *row = adding->row;
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (check_ulid(adding, err) != TM_OK || find_chain(adding, err) != TM_OK ||
            tm_sql_use(adding->apply->sql, insert_point, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, (int64_t)row->id);
    tm_sql_bind_bytes(&stmt, row->ulid.bytes, sizeof(row->ulid.bytes));
    tm_sql_bind_i64(&stmt, adding->chain);
    tm_sql_bind_i64(&stmt, row->time_ms);
    tm_sql_bind_slice(&stmt, row->cluster_name);
    tm_sql_bind_i64(&stmt, row->flags);
    return tm_sql_run(&stmt, err);
}

/* Its changed rows ------------------------------------------------------------------------- */

static const char insert_gone[] = "INSERT INTO point_gone (point, stream, chain) VALUES (?, ?, ?)";
static const char insert_topic[] =
        "INSERT INTO point_topic"
        " (point, stream, chain, partitions, replication_factor, configs)"
        " VALUES (?, ?, ?, ?, ?, ?)";
static const char insert_part[] =
        "INSERT INTO point_part"
        " (point, stream, chain, part, start, end, lso, high_watermark, status)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char insert_group[] =
        "INSERT INTO point_group (point, stream, chain, part, name, next, metadata)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)";
static const char insert_acl[] =
        "INSERT INTO point_acl (point, stream, chain, acls) VALUES (?, ?, ?, ?)";

/* Check a row's stream and bind what every row begins with. */
static enum tm_code begin_row(
        struct adding *adding, struct tm_stmt *stmt, uint32_t stream, struct tm_err *err)
{
    if (check_stream(adding, stream, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(stmt, (int64_t)adding->row->id);
    tm_sql_bind_i64(stmt, stream);
    tm_sql_bind_i64(stmt, adding->chain);
    return TM_OK;
}

static enum tm_code add_gone(struct adding *adding, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(adding->apply->sql, insert_gone, &stmt, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < adding->row->gone_count; i++) {
        if (begin_row(adding, &stmt, adding->row->gone[i], err) != TM_OK ||
                tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code add_topics(struct adding *adding, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf configs = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(adding->apply->sql, insert_topic, &stmt, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < adding->row->topic_count; i++) {
        const struct tm_row_topic *topic = &adding->row->topics[i];
        if (begin_row(adding, &stmt, topic->stream, err) != TM_OK) {
            return err->code;
        }
        tm_buf_clear(&configs);
        tm_rows_add_pairs(topic->configs, topic->config_count, &configs);
        tm_sql_bind_i64(&stmt, topic->partitions);
        tm_sql_bind_i64(&stmt, topic->replication_factor);
        tm_sql_bind_slice(&stmt, tm_buf_slice(&configs));
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code add_parts(struct adding *adding, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(adding->apply->sql, insert_part, &stmt, err) != TM_OK) {
        return err->code;
    }
    struct tm_parts_walk walk = tm_parts_walk(adding->row);
    struct tm_row_part part;
    while (tm_parts_next(&walk, &part)) {
        if (begin_row(adding, &stmt, part.stream, err) != TM_OK) {
            return err->code;
        }
        tm_sql_bind_i64(&stmt, part.partition);
        tm_sql_bind_i64(&stmt, part.start);
        tm_sql_bind_i64(&stmt, part.end);
        tm_sql_bind_i64(&stmt, part.lso);
        tm_sql_bind_i64(&stmt, part.high_watermark);
        tm_sql_bind_i64(&stmt, part.status);
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code add_groups(struct adding *adding, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(adding->apply->sql, insert_group, &stmt, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < adding->row->group_count; i++) {
        const struct tm_row_group *group = &adding->row->groups[i];
        if (begin_row(adding, &stmt, group->stream, err) != TM_OK) {
            return err->code;
        }
        tm_sql_bind_i64(&stmt, group->partition);
        tm_sql_bind_slice(&stmt, group->group);
        tm_sql_bind_i64(&stmt, group->offset);
        tm_sql_bind_slice(&stmt, group->metadata);
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code add_acls(struct adding *adding, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf acls = {0};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(adding->apply->sql, insert_acl, &stmt, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < adding->row->acl_count; i++) {
        const struct tm_row_acl *acl = &adding->row->acls[i];
        if (begin_row(adding, &stmt, acl->stream, err) != TM_OK) {
            return err->code;
        }
        tm_buf_clear(&acls);
        tm_rows_add_strings(acl->acls, acl->acl_count, &acls);
        tm_sql_bind_slice(&stmt, tm_buf_slice(&acls));
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* Points are numbered on from the greatest there is; a full lists those that are left. */
static enum tm_code check_id(struct tm_apply *apply, size_t index, struct tm_err *err)
{
    uint64_t id = apply->edits->points.at[index].id;
    if (apply->edits->full) {
        return id >= 1 && id < INT64_MAX
                       ? TM_OK
                       : tm_err_set(err, TM_E_CORRUPT, "a point cannot have number %" PRIu64, id);
    }
    uint64_t next = apply->last_point + 1 + index;
    return id == next ? TM_OK
                      : tm_err_set(err, TM_E_CORRUPT,
                                "point %" PRIu64 " is new, but %" PRIu64 " is the next number", id,
                                next);
}

static enum tm_code add_point(struct tm_apply *apply, size_t index, struct tm_err *err)
{
    struct adding adding = {.apply = apply, .row = &apply->edits->points.at[index]};
    (void)snprintf(adding.what, sizeof(adding.what), "point %" PRIu64, adding.row->id);
    if (check_id(apply, index, err) != TM_OK || add_row(&adding, err) != TM_OK ||
            add_gone(&adding, err) != TM_OK || add_topics(&adding, err) != TM_OK ||
            add_parts(&adding, err) != TM_OK || add_groups(&adding, err) != TM_OK ||
            add_acls(&adding, err) != TM_OK) {
        return err->code;
    }
    return TM_OK;
}

/* What new points cover must be stored, or known to be missing: below the watermark. */
static const char select_uncovered[] =
        "SELECT p.point, p.stream, p.part, p.end, coalesce(t.next, 0), coalesce(t.covered, 0)"
        " FROM point_part p LEFT JOIN tail t ON t.stream = p.stream AND t.part = p.part"
        " WHERE p.point > ? AND p.end > p.start"
        " AND (t.next IS NULL OR p.end > t.next OR p.end > t.covered) LIMIT 1";

static enum tm_code check_covered(struct tm_apply *apply, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(apply->sql, select_uncovered, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, (int64_t)apply->last_point);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    return !row ? TM_OK
                : tm_err_set(err, TM_E_CORRUPT,
                          "point %" PRId64 ": stream %" PRId64 " partition %" PRId64
                          " ends at %" PRId64 ", its tail has next %" PRId64 ", covered %" PRId64,
                          tm_sql_i64(&stmt, 0), tm_sql_i64(&stmt, 1), tm_sql_i64(&stmt, 2),
                          tm_sql_i64(&stmt, 3), tm_sql_i64(&stmt, 4), tm_sql_i64(&stmt, 5));
}

enum tm_code tm_apply_points(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    for (size_t i = 0; i < edits->points.count; i++) {
        if (add_point(apply, i, err) != TM_OK) {
            return err->code;
        }
    }
    return edits->points.count > 0 ? check_covered(apply, err) : TM_OK;
}
