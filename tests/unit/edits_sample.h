/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edits_sample - random edits of every kind, and edits as text, for the tests of log entries.
 *
 * The text knows nothing of the encoding, so two edits of the same text are the same edits.
 * Threads: one.
 */
#ifndef TM_TESTS_EDITS_SAMPLE_H
#define TM_TESTS_EDITS_SAMPLE_H

#include <inttypes.h>
#include <stdlib.h>

#include "codec/entry.h"
#include "codec/parts.h"

static uint64_t edits_random_state;

static inline uint64_t edits_random(uint64_t bound)
{
    edits_random_state ^= edits_random_state << 13; /* xorshift64 */
    edits_random_state ^= edits_random_state >> 7;
    edits_random_state ^= edits_random_state << 17;
    return edits_random_state % bound;
}

/* Making ------------------------------------------------------------------------------------- */

static inline struct tm_slice random_text(struct tm_edits *edits)
{
    static const char *const texts[] = {"", "a", "orders", "\xc3\xa4", "tab\there", "9"};
    if (edits_random(8) == 0) {
        char *longer = tm_arena_fmt(&edits->arena, "%0*d", (int)edits_random(300) + 1, 7);
        return tm_slice_str(longer);
    }
    return tm_slice_str(texts[edits_random(sizeof(texts) / sizeof(texts[0]))]);
}

/* A text that no other call gives. */
static inline struct tm_slice unique_text(struct tm_edits *edits, size_t number)
{
    return tm_slice_str(
            tm_arena_fmt(&edits->arena, "%x-%zu", (unsigned)edits_random(4096), number));
}

static inline int64_t random_time(void)
{
    static const int64_t odd[] = {0, -1, 1, INT64_MAX, INT64_MIN};
    return edits_random(4) == 0 ? odd[edits_random(5)]
                                : 1700000000000 + (int64_t)edits_random(99999);
}

static inline struct tm_hash unique_hash(size_t number)
{
    struct tm_hash hash;
    for (size_t i = 0; i < sizeof(hash.bytes); i++) {
        hash.bytes[i] = (uint8_t)edits_random(256);
    }
    hash.bytes[31] = (uint8_t)number;
    return hash;
}

static inline struct tm_hash *random_hashes(struct tm_edits *edits, size_t *count)
{
    *count = (size_t)edits_random(4);
    struct tm_hash *at = tm_arena_alloc(&edits->arena, *count, sizeof(*at));
    for (size_t i = 0; i < *count; i++) {
        at[i] = unique_hash(i);
    }
    return at;
}

/* Numbers that are not sorted, and each there once: 0 .. 96, for up to 97 calls. */
static inline uint32_t scattered(size_t number)
{
    return (uint32_t)(number * 31 + 5) % 97;
}

static inline struct tm_run random_run(size_t number)
{
    int64_t length = 1 + (int64_t)edits_random(1000);
    int64_t largest = 1 + (int64_t)edits_random(5000);
    int64_t stamp = random_time();
    return (struct tm_run){
            .stream = scattered(number),
            .partition = (int32_t)edits_random(3),
            .first = (int64_t)edits_random(1000000),
            .length = length,
            .count = 1 + (int64_t)edits_random((uint64_t)length),
            .bytes = largest + (int64_t)edits_random(100000),
            .largest = largest,
            .ts_min = stamp,
            .ts_max = stamp > INT64_MAX - 1000 ? INT64_MAX : stamp + (int64_t)edits_random(1000),
    };
}

static inline void make_topics(struct tm_edits *edits, struct tm_row_point *point)
{
    point->topic_count = (size_t)edits_random(3);
    point->topics = tm_arena_alloc(&edits->arena, point->topic_count, sizeof(*point->topics));
    for (size_t i = 0; i < point->topic_count; i++) {
        struct tm_row_topic *row = &point->topics[i];
        *row = (struct tm_row_topic){.stream = scattered(i),
                .partitions = (uint32_t)edits_random(200),
                .replication_factor = (uint32_t)edits_random(5)};
        row->config_count = (size_t)edits_random(4);
        row->configs = tm_arena_alloc(&edits->arena, row->config_count, sizeof(*row->configs));
        for (size_t c = 0; c < row->config_count; c++) {
            row->configs[c].key = unique_text(edits, c);
            row->configs[c].value = random_text(edits);
        }
    }
}

static inline void make_parts(struct tm_edits *edits, struct tm_row_point *point)
{
    point->part_count = (size_t)edits_random(5);
    point->parts = tm_arena_alloc(&edits->arena, point->part_count, sizeof(*point->parts));
    for (size_t i = 0; i < point->part_count; i++) {
        int64_t start = (int64_t)edits_random(1000);
        int64_t end = start + (int64_t)edits_random(1000000);
        point->parts[i] = (struct tm_row_part){.stream = scattered(i) % 7,
                .partition = (int32_t)scattered(i),
                .start = start,
                .end = end,
                .lso = end - (int64_t)edits_random(10),
                .high_watermark = edits_random(5) == 0 ? -1 : end + (int64_t)edits_random(10),
                .status = (enum tm_part_status)edits_random(3)};
    }
}

static inline void make_groups(struct tm_edits *edits, struct tm_row_point *point)
{
    point->group_count = (size_t)edits_random(4);
    point->groups = tm_arena_alloc(&edits->arena, point->group_count, sizeof(*point->groups));
    for (size_t i = 0; i < point->group_count; i++) {
        point->groups[i] = (struct tm_row_group){.group = random_text(edits),
                .stream = scattered(i),
                .partition = (int32_t)edits_random(INT32_MAX),
                .offset = (int64_t)edits_random(500) - 1,
                .metadata = random_text(edits)};
    }
    point->acl_count = (size_t)edits_random(3);
    point->acls = tm_arena_alloc(&edits->arena, point->acl_count, sizeof(*point->acls));
    for (size_t i = 0; i < point->acl_count; i++) {
        struct tm_row_acl *row = &point->acls[i];
        row->stream = scattered(i);
        row->acl_count = (size_t)edits_random(3);
        row->acls = tm_arena_alloc(&edits->arena, row->acl_count, sizeof(*row->acls));
        for (size_t a = 0; a < row->acl_count; a++) {
            row->acls[a] = unique_text(edits, a);
        }
    }
}

static inline void make_points(struct tm_edits *edits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tm_row_point *row = tm_vec_push(&edits->points);
        row->id = scattered(i) * 1000000007ULL;
        row->ulid = (struct tm_id16){{(uint8_t)i, 3}};
        row->time_ms = random_time();
        row->cluster_id = random_text(edits);
        row->cluster_name = random_text(edits);
        row->policy = random_text(edits);
        row->flags = (uint32_t)edits_random(TM_POINT_FLAGS + 1);
        row->gone_count = (size_t)edits_random(4);
        row->gone = tm_arena_alloc(&edits->arena, row->gone_count, sizeof(*row->gone));
        for (size_t g = 0; g < row->gone_count; g++) {
            row->gone[g] = scattered(g);
        }
        make_topics(edits, row);
        make_parts(edits, row);
        make_groups(edits, row);
    }
}

static inline void make_plain_rows(struct tm_edits *edits, size_t i)
{
    *tm_vec_push(&edits->params) = (struct tm_row_param){unique_text(edits, i), random_text(edits)};
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){.id = scattered(i),
            .cluster_id = random_text(edits),
            .topic = random_text(edits),
            .incarnation = (uint32_t)edits_random(400),
            .topic_id = {{(uint8_t)edits_random(256)}},
            .created_ms = random_time()};
    *tm_vec_push(&edits->keeps) =
            (struct tm_row_keep){scattered(i) % 5, unique_text(edits, i), edits_random(1000000)};
    struct tm_row_mark *mark = tm_vec_push(&edits->marks);
    mark->point = scattered(i);
    mark->note = random_text(edits);
    mark->tag_count = (size_t)edits_random(4);
    mark->tags = tm_arena_alloc(&edits->arena, mark->tag_count, sizeof(*mark->tags));
    for (size_t t = 0; t < mark->tag_count; t++) {
        mark->tags[t] = unique_text(edits, t);
    }
    mark->hold_until_ms = (int64_t)edits_random(5) - 1;
    mark->hold_reason = random_text(edits);
    *tm_vec_push(&edits->gaps) =
            (struct tm_row_gap){scattered(i), (int32_t)edits_random(9), (int64_t)edits_random(999),
                    1 + (int64_t)edits_random(99), (enum tm_gap_reason)(1 + edits_random(7))};
    struct tm_row_tail tail = {scattered(i), (int32_t)edits_random(9), .leader_epoch = -1};
    tail.next = (int64_t)edits_random(100000);
    tail.covered = (int64_t)edits_random(100000);
    tail.back = (int64_t)edits_random((uint64_t)tail.next + 1) * (int64_t)edits_random(2);
    if (tail.back > 0) {
        tail.leader_epoch = (int32_t)edits_random(9) - 1;
        tail.timestamp_ms = random_time();
        tail.tag = (struct tm_id16){{(uint8_t)edits_random(256), 1}};
    }
    *tm_vec_push(&edits->tails) = tail;
}

static inline void make_packs(struct tm_edits *edits, size_t i)
{
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    pack->name = unique_hash(i);
    pack->size = edits_random(UINT64_MAX);
    pack->stored_ms = random_time();
    pack->deps = random_hashes(edits, &pack->dep_count);
    pack->run_count = (size_t)edits_random(6);
    pack->runs = tm_arena_alloc(&edits->arena, pack->run_count, sizeof(*pack->runs));
    for (size_t r = 0; r < pack->run_count; r++) {
        pack->runs[r] = random_run(r);
    }
}

static inline void make_removals(struct tm_edits *edits, size_t i)
{
    *tm_vec_push(&edits->points_gone) = scattered(i) * 77ULL;
    struct tm_row_successors *gone = tm_vec_push(&edits->packs_gone);
    gone->name = unique_hash(i);
    gone->successors = random_hashes(edits, &gone->successor_count);
    *tm_vec_push(&edits->sweep) = unique_hash(i);
}

static inline void make_full_only(struct tm_edits *edits, size_t i)
{
    *tm_vec_push(&edits->dropped) = (struct tm_row_dated){unique_hash(i), random_time()};
    struct tm_row_successors *moved = tm_vec_push(&edits->moved);
    moved->name = unique_hash(i);
    moved->successors = random_hashes(edits, &moved->successor_count);
    *tm_vec_push(&edits->swept) = (struct tm_row_dated){unique_hash(i), random_time()};
    *tm_vec_push(&edits->writers) = (struct tm_row_writer){
            random_text(edits), random_text(edits), unique_text(edits, i), random_time()};
}

/* Edits of up to `rows` rows a list, out of order; the same ones for the same seed. */
static inline void make_edits(struct tm_edits *edits, uint64_t seed, bool full, size_t rows)
{
    edits_random_state = seed * 2654435761U + 88172645463325252U;
    edits->full = full;
    edits->time_ms = random_time();
    edits->writer = random_text(edits);
    edits->policy = random_text(edits);
    make_points(edits, (size_t)edits_random(rows + 1));
    size_t counts[4];
    for (size_t i = 0; i < 4; i++) {
        counts[i] = (size_t)edits_random(rows + 1);
    }
    for (size_t i = 0; i < counts[0]; i++) {
        make_plain_rows(edits, i);
    }
    for (size_t i = 0; i < counts[1]; i++) {
        make_packs(edits, i);
    }
    for (size_t i = 0; i < counts[2]; i++) {
        if (full) {
            make_full_only(edits, i);
        } else {
            make_removals(edits, i);
        }
    }
}

/* Telling ------------------------------------------------------------------------------------ */

static inline void tell_text(struct tm_buf *out, struct tm_slice text)
{
    tm_buf_add_text(out, " '");
    tm_buf_add(out, text.at, text.len);
    tm_buf_add_text(out, "'");
}

static inline void tell_hex(struct tm_buf *out, const void *bytes, size_t len)
{
    tm_buf_add_text(out, " ");
    tm_buf_add_hex(out, bytes, len);
}

static inline void tell_hashes(struct tm_buf *out, const struct tm_hash *hashes, size_t count)
{
    tm_buf_add_fmt(out, " %zu:", count);
    for (size_t i = 0; i < count; i++) {
        tell_hex(out, hashes[i].bytes, 32);
    }
}

static inline void tell_point(struct tm_buf *out, const struct tm_row_point *p)
{
    tm_buf_add_fmt(out, "point %" PRIu64, p->id);
    tell_hex(out, p->ulid.bytes, 16);
    tm_buf_add_fmt(out, " %" PRId64, p->time_ms);
    tell_text(out, p->cluster_id);
    tell_text(out, p->cluster_name);
    tell_text(out, p->policy);
    tm_buf_add_fmt(out, " %" PRIu32 " gone", p->flags);
    for (size_t i = 0; i < p->gone_count; i++) {
        tm_buf_add_fmt(out, " %" PRIu32, p->gone[i]);
    }
    for (size_t i = 0; i < p->topic_count; i++) {
        const struct tm_row_topic *t = &p->topics[i];
        tm_buf_add_fmt(out, "\n topic %" PRIu32 " %" PRIu32 " %" PRIu32, t->stream, t->partitions,
                t->replication_factor);
        for (size_t c = 0; c < t->config_count; c++) {
            tell_text(out, t->configs[c].key);
            tell_text(out, t->configs[c].value);
        }
    }
    struct tm_parts_walk walk = tm_parts_walk(p);
    struct tm_row_part q;
    while (tm_parts_next(&walk, &q)) {
        tm_buf_add_fmt(out,
                "\n part %" PRIu32 " %" PRId32 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                " %d",
                q.stream, q.partition, q.start, q.end, q.lso, q.high_watermark, (int)q.status);
    }
    for (size_t i = 0; i < p->group_count; i++) {
        const struct tm_row_group *g = &p->groups[i];
        tm_buf_add_text(out, "\n group");
        tell_text(out, g->group);
        tm_buf_add_fmt(
                out, " %" PRIu32 " %" PRId32 " %" PRId64, g->stream, g->partition, g->offset);
        tell_text(out, g->metadata);
    }
    for (size_t i = 0; i < p->acl_count; i++) {
        tm_buf_add_fmt(out, "\n acl %" PRIu32, p->acls[i].stream);
        for (size_t a = 0; a < p->acls[i].acl_count; a++) {
            tell_text(out, p->acls[i].acls[a]);
        }
    }
    tm_buf_add_text(out, "\n");
}

static inline void tell_pack(struct tm_buf *out, const struct tm_row_pack *pack)
{
    tm_buf_add_text(out, "pack");
    tell_hex(out, pack->name.bytes, 32);
    tm_buf_add_fmt(out, " %" PRIu64 " %" PRId64, pack->size, pack->stored_ms);
    tell_hashes(out, pack->deps, pack->dep_count);
    for (size_t i = 0; i < pack->run_count; i++) {
        const struct tm_run *r = &pack->runs[i];
        tm_buf_add_fmt(out,
                "\n run %" PRIu32 " %" PRId32 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                " %" PRId64 " %" PRId64 " %" PRId64,
                r->stream, r->partition, r->first, r->length, r->count, r->bytes, r->largest,
                r->ts_min, r->ts_max);
    }
    tm_buf_add_text(out, "\n");
}

static inline void tell_small_rows(struct tm_buf *out, const struct tm_edits *e)
{
    for (size_t i = 0; i < e->params.count; i++) {
        tm_buf_add_text(out, "\nparam");
        tell_text(out, e->params.at[i].name);
        tell_text(out, e->params.at[i].value);
    }
    for (size_t i = 0; i < e->streams.count; i++) {
        const struct tm_row_stream *s = &e->streams.at[i];
        tm_buf_add_fmt(out, "\nstream %" PRIu32, s->id);
        tell_text(out, s->cluster_id);
        tell_text(out, s->topic);
        tm_buf_add_fmt(out, " %" PRIu32 " %" PRId64, s->incarnation, s->created_ms);
        tell_hex(out, s->topic_id.bytes, 16);
    }
    for (size_t i = 0; i < e->keeps.count; i++) {
        tm_buf_add_fmt(
                out, "\nkeep %" PRIu32 " %" PRIu64, e->keeps.at[i].stream, e->keeps.at[i].seconds);
        tell_text(out, e->keeps.at[i].policy);
    }
    for (size_t i = 0; i < e->gaps.count; i++) {
        const struct tm_row_gap *g = &e->gaps.at[i];
        tm_buf_add_fmt(out, "\ngap %" PRIu32 " %" PRId32 " %" PRId64 " %" PRId64 " %s", g->stream,
                g->partition, g->from, g->length, tm_gap_reason_name(g->reason));
    }
    for (size_t i = 0; i < e->tails.count; i++) {
        const struct tm_row_tail *t = &e->tails.at[i];
        tm_buf_add_fmt(out,
                "\ntail %" PRIu32 " %" PRId32 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId32
                " %" PRId64,
                t->stream, t->partition, t->next, t->covered, t->back, t->leader_epoch,
                t->timestamp_ms);
        tell_hex(out, t->tag.bytes, 16);
    }
    for (size_t i = 0; i < e->marks.count; i++) {
        const struct tm_row_mark *m = &e->marks.at[i];
        tm_buf_add_fmt(out, "\nmark %" PRIu64 " %" PRId64, m->point, m->hold_until_ms);
        tell_text(out, m->note);
        tell_text(out, m->hold_reason);
        for (size_t t = 0; t < m->tag_count; t++) {
            tell_text(out, m->tags[t]);
        }
    }
    tm_buf_add_text(out, "\n");
}

static inline void tell_successors(
        struct tm_buf *out, const struct tm_row_successors *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_text(out, "successors of");
        tell_hex(out, rows[i].name.bytes, 32);
        tell_hashes(out, rows[i].successors, rows[i].successor_count);
        tm_buf_add_text(out, "\n");
    }
}

static inline void tell_dated(struct tm_buf *out, const struct tm_row_dated *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tell_hex(out, rows[i].name.bytes, 32);
        tm_buf_add_fmt(out, " at %" PRId64 "\n", rows[i].time_ms);
    }
}

static inline void tell_edits(struct tm_buf *out, const struct tm_edits *e)
{
    tm_buf_add_fmt(out, "%s %" PRId64, e->full ? "full" : "delta", e->time_ms);
    tell_text(out, e->writer);
    tell_text(out, e->policy);
    tell_small_rows(out, e);
    for (size_t i = 0; i < e->points.count; i++) {
        tell_point(out, &e->points.at[i]);
    }
    for (size_t i = 0; i < e->points_gone.count; i++) {
        tm_buf_add_fmt(out, "point gone %" PRIu64 "\n", e->points_gone.at[i]);
    }
    for (size_t i = 0; i < e->packs.count; i++) {
        tell_pack(out, &e->packs.at[i]);
    }
    tell_successors(out, e->packs_gone.at, e->packs_gone.count);
    tell_hashes(out, e->sweep.at, e->sweep.count);
    tm_buf_add_text(out, "\ndropped\n");
    tell_dated(out, e->dropped.at, e->dropped.count);
    tell_successors(out, e->moved.at, e->moved.count);
    tm_buf_add_text(out, "swept\n");
    tell_dated(out, e->swept.at, e->swept.count);
    for (size_t i = 0; i < e->writers.count; i++) {
        const struct tm_row_writer *w = &e->writers.at[i];
        tm_buf_add_fmt(out, "writer %" PRId64, w->time_ms);
        tell_text(out, w->cluster_id);
        tell_text(out, w->policy);
        tell_text(out, w->writer);
    }
}

#endif
