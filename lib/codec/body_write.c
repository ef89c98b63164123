/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "codec/edits.h"
#include "codec/parts.h"

struct writer {
    struct tm_buf *out;
    bool too_long; /* a text was */
};

static void put(struct writer *w, uint64_t number)
{
    tm_buf_add_v(w->out, number);
}

/* A number that the edits' check has found to be 0 or more. */
static void put_i64(struct writer *w, int64_t number)
{
    tm_buf_add_v(w->out, (uint64_t)number);
}

static void put_time(struct writer *w, int64_t ms)
{
    tm_buf_add_z(w->out, ms);
}

static void put_str(struct writer *w, struct tm_slice text)
{
    if (text.len > TM_STR_MAX) {
        w->too_long = true;
        return;
    }
    tm_buf_add_str(w->out, text);
}

static void put_id16(struct writer *w, const struct tm_id16 *id)
{
    tm_buf_add(w->out, id->bytes, sizeof(id->bytes));
}

static void put_hash(struct writer *w, const struct tm_hash *hash)
{
    tm_buf_add(w->out, hash->bytes, sizeof(hash->bytes));
}

static void put_hashes(struct writer *w, const struct tm_hash *hashes, size_t count)
{
    put(w, count);
    for (size_t i = 0; i < count; i++) {
        put_hash(w, &hashes[i]);
    }
}

static void put_strs(struct writer *w, const struct tm_slice *texts, size_t count)
{
    put(w, count);
    for (size_t i = 0; i < count; i++) {
        put_str(w, texts[i]);
    }
}

/* Lists, in the order of the format ----------------------------------------------------------- */

static void put_params(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->params.count);
    for (size_t i = 0; i < edits->params.count; i++) {
        put_str(w, edits->params.at[i].name);
        put_str(w, edits->params.at[i].value);
    }
}

static void put_streams(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->streams.count);
    for (size_t i = 0; i < edits->streams.count; i++) {
        const struct tm_row_stream *row = &edits->streams.at[i];
        put(w, row->id);
        put_str(w, row->cluster_id);
        put_str(w, row->topic);
        put(w, row->incarnation);
        put_id16(w, &row->topic_id);
        put_time(w, row->created_ms);
    }
}

static void put_keeps(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->keeps.count);
    for (size_t i = 0; i < edits->keeps.count; i++) {
        const struct tm_row_keep *row = &edits->keeps.at[i];
        put(w, row->stream);
        put_str(w, row->policy);
        put(w, row->seconds);
    }
}

static void put_topics(struct writer *w, const struct tm_row_point *point)
{
    put(w, point->topic_count);
    for (size_t i = 0; i < point->topic_count; i++) {
        const struct tm_row_topic *row = &point->topics[i];
        put(w, row->stream);
        put(w, row->partitions);
        put(w, row->replication_factor);
        put(w, row->config_count);
        for (size_t at = 0; at < row->config_count; at++) {
            put_str(w, row->configs[at].key);
            put_str(w, row->configs[at].value);
        }
    }
}

static void put_parts(struct writer *w, const struct tm_row_point *point)
{
    put(w, point->part_count);
    if (point->parts != NULL) {
        tm_parts_pack(point->parts, point->part_count, w->out);
    } else {
        tm_buf_add(w->out, point->packed_parts.at, point->packed_parts.len);
    }
}

static void put_groups(struct writer *w, const struct tm_row_point *point)
{
    put(w, point->group_count);
    for (size_t i = 0; i < point->group_count; i++) {
        const struct tm_row_group *row = &point->groups[i];
        put_str(w, row->group);
        put(w, row->stream);
        put_i64(w, row->partition);
        put_i64(w, row->offset + 1);
        put_str(w, row->metadata);
    }
}

static void put_points(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->points.count);
    for (size_t i = 0; i < edits->points.count; i++) {
        const struct tm_row_point *row = &edits->points.at[i];
        put(w, row->id);
        put_id16(w, &row->ulid);
        put_time(w, row->time_ms);
        put_str(w, row->cluster_id);
        put_str(w, row->cluster_name);
        put_str(w, row->policy);
        put(w, row->flags);
        put(w, row->gone_count);
        for (size_t at = 0; at < row->gone_count; at++) {
            put(w, row->gone[at]);
        }
        put_topics(w, row);
        put_parts(w, row);
        put_groups(w, row);
        put(w, row->acl_count);
        for (size_t at = 0; at < row->acl_count; at++) {
            put(w, row->acls[at].stream);
            put_strs(w, row->acls[at].acls, row->acls[at].acl_count);
        }
    }
}

static void put_points_gone(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->points_gone.count);
    for (size_t i = 0; i < edits->points_gone.count; i++) {
        put(w, edits->points_gone.at[i]);
    }
}

static void put_marks(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->marks.count);
    for (size_t i = 0; i < edits->marks.count; i++) {
        const struct tm_row_mark *row = &edits->marks.at[i];
        put(w, row->point);
        put_str(w, row->note);
        put_strs(w, row->tags, row->tag_count);
        put_time(w, row->hold_until_ms);
        put_str(w, row->hold_reason);
    }
}

static void put_run(struct writer *w, const struct tm_run *run)
{
    put(w, run->stream);
    put_i64(w, run->partition);
    put_i64(w, run->first);
    put_i64(w, run->length);
    put_i64(w, run->count);
    put_i64(w, run->bytes);
    put_i64(w, run->largest);
    put_time(w, run->ts_min);
    put(w, (uint64_t)run->ts_max - (uint64_t)run->ts_min);
}

static void put_packs(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->packs.count);
    for (size_t i = 0; i < edits->packs.count; i++) {
        const struct tm_row_pack *row = &edits->packs.at[i];
        put_hash(w, &row->name);
        put(w, row->size);
        put_time(w, row->stored_ms);
        put_hashes(w, row->deps, row->dep_count);
        put(w, row->run_count);
        for (size_t at = 0; at < row->run_count; at++) {
            put_run(w, &row->runs[at]);
        }
    }
}

static void put_successors(struct writer *w, const struct tm_row_successors *rows, size_t count)
{
    put(w, count);
    for (size_t i = 0; i < count; i++) {
        put_hash(w, &rows[i].name);
        put_hashes(w, rows[i].successors, rows[i].successor_count);
    }
}

static void put_gaps(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->gaps.count);
    for (size_t i = 0; i < edits->gaps.count; i++) {
        const struct tm_row_gap *row = &edits->gaps.at[i];
        put(w, row->stream);
        put_i64(w, row->partition);
        put_i64(w, row->from);
        put_i64(w, row->length);
        put(w, row->reason);
    }
}

static void put_tails(struct writer *w, const struct tm_edits *edits)
{
    put(w, edits->tails.count);
    for (size_t i = 0; i < edits->tails.count; i++) {
        const struct tm_row_tail *row = &edits->tails.at[i];
        put(w, row->stream);
        put_i64(w, row->partition);
        put_i64(w, row->next);
        put_i64(w, row->covered);
        put_i64(w, row->back);
        if (row->back > 0) {
            put_i64(w, (int64_t)row->leader_epoch + 1);
            put_time(w, row->timestamp_ms);
            put_id16(w, &row->tag);
        }
    }
}

static void put_dated(struct writer *w, const struct tm_row_dated *rows, size_t count)
{
    put(w, count);
    for (size_t i = 0; i < count; i++) {
        put_hash(w, &rows[i].name);
        put_time(w, rows[i].time_ms);
    }
}

static void put_full_only(struct writer *w, const struct tm_edits *edits)
{
    put_dated(w, edits->dropped.at, edits->dropped.count);
    put_successors(w, edits->moved.at, edits->moved.count);
    put_dated(w, edits->swept.at, edits->swept.count);
    put(w, edits->writers.count);
    for (size_t i = 0; i < edits->writers.count; i++) {
        const struct tm_row_writer *row = &edits->writers.at[i];
        put_str(w, row->cluster_id);
        put_str(w, row->policy);
        put_str(w, row->writer);
        put_time(w, row->time_ms);
    }
}

static void put_state(struct writer *w, const struct tm_edits *edits)
{
    put_params(w, edits);
    put_streams(w, edits);
    put_keeps(w, edits);
    put_points(w, edits);
    put_points_gone(w, edits);
    put_marks(w, edits);
    put_packs(w, edits);
    put_successors(w, edits->packs_gone.at, edits->packs_gone.count);
    put_hashes(w, edits->sweep.at, edits->sweep.count);
    put_gaps(w, edits);
    put_tails(w, edits);
    if (edits->full) {
        put_full_only(w, edits);
    }
}

/* Leave in `out` what was there before. */
static void undo(struct tm_buf *out, size_t start)
{
    out->len = start;
    if (out->at != NULL) {
        out->at[start] = 0;
    }
}

enum tm_code tm_body_encode(struct tm_edits *edits, struct tm_buf *out, struct tm_err *err)
{
    if (tm_edits_check(edits, err) != TM_OK) {
        return tm_err_wrap(err, "body");
    }
    size_t start = out->len;
    struct writer w = {.out = out};
    put_time(&w, edits->time_ms);
    put_str(&w, edits->writer);
    put_str(&w, edits->policy);
    size_t hash_at = out->len;
    if (edits->full) {
        (void)tm_buf_extend(out, sizeof(struct tm_hash));
    }
    size_t state_at = out->len;
    put_state(&w, edits);

    if (w.too_long) {
        undo(out, start);
        return tm_err_set(err, TM_E_LIMIT, "body: a text longer than %d bytes", TM_STR_MAX);
    }
    if (out->len - start > TM_ENTRY_BODY_MAX) {
        size_t len = out->len - start;
        undo(out, start);
        return tm_err_set(err, TM_E_LIMIT, "body: %zu bytes, at most 256 MiB", len);
    }
    if (edits->full) {
        edits->state_hash = tm_sha256_of(tm_slice_of(out->at + state_at, out->len - state_at));
        memcpy(out->at + hash_at, edits->state_hash.bytes, sizeof(edits->state_hash.bytes));
    }
    return TM_OK;
}
