/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "catalog/apply.h"
#include "catalog/rows.h"

static const char select_incarnation[] =
        "SELECT max(incarnation) FROM stream WHERE cluster_id = ? AND topic = ?";
static const char insert_stream[] =
        "INSERT INTO stream (id, cluster_id, topic, incarnation, topic_id, created_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)";
static const char select_cluster[] = "SELECT cluster_id FROM stream WHERE id = ?";
static const char replace_keep[] =
        "INSERT OR REPLACE INTO keep (stream, policy, seconds) VALUES (?, ?, ?)";
static const char delete_keep[] = "DELETE FROM keep WHERE stream = ? AND policy = ?";
static const char insert_writer[] =
        "INSERT INTO writer (cluster_id, policy, writer, time_ms) VALUES (?, ?, ?, ?)";
static const char replace_writer[] =
        "INSERT OR REPLACE INTO writer (cluster_id, policy, writer, time_ms) VALUES (?, ?, ?, ?)";

/* Ids and incarnations are the next free ones: two writers cannot both have given them. */
static enum tm_code check_new_stream(
        struct tm_apply *apply, const struct tm_row_stream *row, struct tm_err *err)
{
    if (row->id != apply->last_stream + 1) {
        return tm_err_set(err, TM_E_CORRUPT,
                "stream %" PRIu32 " is new, but %" PRIu32 " is the next number", row->id,
                apply->last_stream + 1);
    }
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool found = false;
    if (tm_sql_use(apply->sql, select_incarnation, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, row->cluster_id);
    tm_sql_bind_slice(&stmt, row->topic);
    if (tm_sql_step(&stmt, &found, err) != TM_OK) {
        return err->code;
    }
    int64_t next = tm_sql_i64(&stmt, 0) + 1; /* max() of no row is null, which reads as 0 */
    if ((int64_t)row->incarnation != next) {
        return tm_err_set(err, TM_E_CORRUPT,
                "stream %" PRIu32 " is incarnation %" PRIu32 " of its topic, but %" PRId64
                " is the next one",
                row->id, row->incarnation, next);
    }
    return TM_OK;
}

static enum tm_code add_stream(
        struct tm_apply *apply, const struct tm_row_stream *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (check_new_stream(apply, row, err) != TM_OK ||
            tm_sql_use(apply->sql, insert_stream, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, row->id);
    tm_sql_bind_slice(&stmt, row->cluster_id);
    tm_sql_bind_slice(&stmt, row->topic);
    tm_sql_bind_i64(&stmt, row->incarnation);
    tm_sql_bind_bytes(&stmt, row->topic_id.bytes, sizeof(row->topic_id.bytes));
    tm_sql_bind_i64(&stmt, row->created_ms);
    if (tm_sql_run(&stmt, err) != TM_OK) {
        return err->code;
    }
    apply->last_stream = row->id;
    return TM_OK;
}

static enum tm_code apply_keep(
        struct tm_apply *apply, const struct tm_row_keep *row, struct tm_err *err)
{
    if (tm_apply_check_stream(apply, row->stream, TM_SLICE_NULL, "archive window", err) != TM_OK) {
        return err->code;
    }
    if (row->seconds > INT64_MAX || (row->seconds == 0 && apply->edits->full)) {
        return tm_err_set(err, TM_E_CORRUPT,
                "archive window of stream %" PRIu32 ": %" PRIu64 " seconds cannot be", row->stream,
                row->seconds);
    }
    TM_STMT_OWN struct tm_stmt stmt = {0};
    const char *text = row->seconds > 0 ? replace_keep : delete_keep;
    if (tm_sql_use(apply->sql, text, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, row->stream);
    tm_sql_bind_slice(&stmt, row->policy);
    if (row->seconds > 0) {
        tm_sql_bind_i64(&stmt, (int64_t)row->seconds);
    }
    return tm_sql_run(&stmt, err);
}

enum tm_code tm_apply_streams(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    for (size_t i = 0; i < edits->streams.count; i++) {
        if (add_stream(apply, &edits->streams.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    apply->cluster_of = tm_arena_alloc(
            &apply->arena, (size_t)apply->last_stream + 1, sizeof(*apply->cluster_of));
    for (size_t i = 0; i < edits->keeps.count; i++) {
        if (apply_keep(apply, &edits->keeps.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* The cluster of a stream that is there. */
static enum tm_code look_up_cluster(
        struct tm_apply *apply, uint32_t stream, struct tm_slice *out, struct tm_err *err)
{
    struct tm_slice *known = &apply->cluster_of[stream];
    if (known->at == NULL) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        bool row = false;
        if (tm_sql_use(apply->sql, select_cluster, &stmt, err) != TM_OK) {
            return err->code;
        }
        tm_sql_bind_i64(&stmt, stream);
        if (tm_sql_step(&stmt, &row, err) != TM_OK) {
            return err->code;
        }
        *known = row ? tm_rows_slice(&stmt, 0, &apply->arena) : tm_slice_str("");
    }
    *out = *known;
    return TM_OK;
}

enum tm_code tm_apply_check_stream(struct tm_apply *apply, uint32_t stream,
        struct tm_slice cluster_id, const char *what, struct tm_err *err)
{
    if (stream < 1 || stream > apply->last_stream) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: there is no stream %" PRIu32, what, stream);
    }
    struct tm_slice cluster = TM_SLICE_NULL;
    if (cluster_id.at == NULL) {
        return TM_OK;
    }
    if (look_up_cluster(apply, stream, &cluster, err) != TM_OK) {
        return err->code;
    }
    if (!tm_slice_eq(cluster, cluster_id)) {
        return tm_err_set(
                err, TM_E_CORRUPT, "%s: stream %" PRIu32 " is of another cluster", what, stream);
    }
    return TM_OK;
}

/* Writers ---------------------------------------------------------------------------------- */

static enum tm_code put_writer(struct tm_apply *apply, const char *sql_text,
        const struct tm_row_writer *row, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(apply->sql, sql_text, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, row->cluster_id);
    tm_sql_bind_slice(&stmt, row->policy);
    tm_sql_bind_slice(&stmt, row->writer);
    tm_sql_bind_i64(&stmt, row->time_ms);
    return tm_sql_run(&stmt, err);
}

static enum tm_code put_entry_writer(
        struct tm_apply *apply, struct tm_slice cluster_id, struct tm_err *err)
{
    struct tm_row_writer row = {
            .cluster_id = cluster_id,
            .policy = apply->edits->policy,
            .writer = apply->edits->writer,
            .time_ms = apply->edits->time_ms,
    };
    return put_writer(apply, replace_writer, &row, err);
}

/* An entry does not name its cluster: its points and the streams of its tails do. */
enum tm_code tm_apply_writers(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    for (size_t i = 0; i < edits->writers.count; i++) {
        if (put_writer(apply, insert_writer, &edits->writers.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    if (edits->full || edits->policy.len == 0) {
        return TM_OK;
    }
    struct tm_slice last = TM_SLICE_NULL; /* nearly every entry is of one cluster */
    for (size_t i = 0; i < edits->points.count; i++) {
        last = edits->points.at[i].cluster_id;
        if (put_entry_writer(apply, last, err) != TM_OK) {
            return err->code;
        }
    }
    for (size_t i = 0; i < edits->tails.count; i++) {
        struct tm_slice cluster = TM_SLICE_NULL;
        if (look_up_cluster(apply, edits->tails.at[i].stream, &cluster, err) != TM_OK) {
            return err->code;
        }
        if (last.at != NULL && tm_slice_eq(cluster, last)) {
            continue;
        }
        last = cluster;
        if (put_entry_writer(apply, last, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}
