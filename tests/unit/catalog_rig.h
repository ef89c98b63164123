/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_rig - a catalog in memory, and entries for it in few words.
 *
 * Packs are named by a small number: 7 is the hash of 32 bytes 7. Lists of an entry are put in order when
 * it is applied. Nested lists have room for RIG_ROWS rows.
 */
#ifndef TM_TESTS_CATALOG_RIG_H
#define TM_TESTS_CATALOG_RIG_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "catalog/catalog.h"
#include "catalog/handle.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { RIG_ROWS = 64 };

struct rig {
    struct tm_catalog *catalog;
    struct tm_fold fold;
};

static inline void ok(enum tm_code code, const struct tm_err *err)
{
    ck_assert_msg(code == TM_OK, "%s", err->msg);
}

static inline struct rig rig_open(const char *path)
{
    struct rig rig = {0};
    struct tm_err err = {0};
    ok(tm_catalog_open(path, &rig.catalog, &err), &err);
    rig.fold = tm_catalog_fold(rig.catalog);
    return rig;
}

static inline void rig_done(struct rig *rig)
{
    tm_catalog_close(rig->catalog);
    rig->catalog = NULL;
}
#define RIG_OWN __attribute__((cleanup(rig_done)))

static char rig_temp_folders[8][32];

static inline int rig_remove_file(
        const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void rig_remove_folders(void)
{
    for (size_t i = 0; i < LENGTH(rig_temp_folders); i++) {
        if (rig_temp_folders[i][0] != '\0') {
            (void)nftw(rig_temp_folders[i], rig_remove_file, 8, FTW_DEPTH | FTW_PHYS);
        }
    }
}

/* A path in a new folder of its own; both stay for whoever looks at a failure, and only then. */
static inline void rig_temp_path(char path[128])
{
    char folder[] = "/tmp/tm-catalog-XXXXXX";
    size_t at = 0;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    while (at < LENGTH(rig_temp_folders) && rig_temp_folders[at][0] != '\0') {
        at++;
    }
    ck_assert_uint_lt(at, LENGTH(rig_temp_folders));
    (void)snprintf(rig_temp_folders[at], sizeof(rig_temp_folders[at]), "%s", folder);
    if (at == 0) { /* a test that fails is ended without this */
        ck_assert_int_eq(atexit(rig_remove_folders), 0);
    }
    (void)snprintf(path, 128, "%s/catalog.db", folder);
}

/* Entries ---------------------------------------------------------------------------------- */

static inline struct tm_slice text(const char *string)
{
    return tm_slice_str(string);
}

static inline struct tm_hash pack_name(unsigned number)
{
    struct tm_hash hash;
    memset(hash.bytes, (int)(number & 0xff), sizeof(hash.bytes));
    hash.bytes[31] = (uint8_t)(number >> 8);
    return hash;
}

static inline struct tm_id16 id16(unsigned number)
{
    struct tm_id16 id = {{0}};
    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

static inline void add_param(struct tm_edits *edits, const char *name, const char *value)
{
    *tm_vec_push(&edits->params) = (struct tm_row_param){text(name), text(value)};
}

static inline void add_stream(struct tm_edits *edits, uint32_t id, const char *cluster,
        const char *topic, uint32_t incarnation)
{
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){
            .id = id,
            .cluster_id = text(cluster),
            .topic = text(topic),
            .incarnation = incarnation,
            .topic_id = id16(id),
            .created_ms = 1000 + id,
    };
}

static inline void add_keep(
        struct tm_edits *edits, uint32_t stream, const char *policy, uint64_t seconds)
{
    *tm_vec_push(&edits->keeps) = (struct tm_row_keep){stream, text(policy), seconds};
}

static inline struct tm_row_pack *add_pack(struct tm_edits *edits, unsigned name)
{
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    pack->name = pack_name(name);
    pack->size = 1000 + name;
    pack->stored_ms = 5000 + name;
    pack->deps = tm_arena_alloc(&edits->arena, RIG_ROWS, sizeof(*pack->deps));
    pack->runs = tm_arena_alloc(&edits->arena, RIG_ROWS, sizeof(*pack->runs));
    return pack;
}

static inline void add_dep(struct tm_row_pack *pack, unsigned name)
{
    ck_assert_uint_lt(pack->dep_count, RIG_ROWS);
    pack->deps[pack->dep_count++] = pack_name(name);
}

/* A run of [first, end) with a record at every offset, 10 bytes each. */
static inline struct tm_run *add_run(
        struct tm_row_pack *pack, uint32_t stream, int32_t partition, int64_t first, int64_t end)
{
    ck_assert_uint_lt(pack->run_count, RIG_ROWS);
    struct tm_run *run = &pack->runs[pack->run_count++];
    *run = (struct tm_run){
            .stream = stream,
            .partition = partition,
            .first = first,
            .length = end - first,
            .count = end - first,
            .bytes = 10 * (end - first),
            .largest = 10,
            .ts_min = 100000 + first,
            .ts_max = 100000 + end - 1,
    };
    return run;
}

static inline void add_gap(struct tm_edits *edits, uint32_t stream, int32_t partition, int64_t from,
        int64_t end, enum tm_gap_reason reason)
{
    *tm_vec_push(&edits->gaps) = (struct tm_row_gap){stream, partition, from, end - from, reason};
}

static inline void add_tail(struct tm_edits *edits, uint32_t stream, int32_t partition,
        int64_t next, int64_t covered, int64_t back)
{
    struct tm_row_tail *tail = tm_vec_push(&edits->tails);
    *tail = (struct tm_row_tail){
            .stream = stream,
            .partition = partition,
            .next = next,
            .covered = covered,
            .back = back,
            .leader_epoch = -1,
    };
    if (back > 0) {
        tail->leader_epoch = 3;
        tail->timestamp_ms = 100000 + next - back;
        tail->tag = id16((unsigned)(next - back));
    }
}

/* The same pack gone, for up to RIG_ROWS successors that are added to it. */
static inline struct tm_row_successors *drop_pack(struct tm_edits *edits, unsigned name)
{
    struct tm_row_successors *row = tm_vec_push(&edits->packs_gone);
    row->name = pack_name(name);
    row->successors = tm_arena_alloc(&edits->arena, RIG_ROWS, sizeof(*row->successors));
    return row;
}

static inline void add_successor(struct tm_row_successors *row, unsigned name)
{
    ck_assert_uint_lt(row->successor_count, RIG_ROWS);
    row->successors[row->successor_count++] = pack_name(name);
}

static inline void sweep_pack(struct tm_edits *edits, unsigned name)
{
    *tm_vec_push(&edits->sweep) = pack_name(name);
}

/* A point of cluster "c1"; its ULID is its number, its time 1,000 times that. */
static inline struct tm_row_point *add_point(
        struct tm_edits *edits, uint64_t id, const char *policy)
{
    struct tm_row_point *point = tm_vec_push(&edits->points);
    struct tm_arena *arena = &edits->arena;
    *point = (struct tm_row_point){
            .id = id,
            .ulid = id16((unsigned)id),
            .time_ms = 1000 * (int64_t)id,
            .cluster_id = text("c1"),
            .cluster_name = text("main"),
            .policy = text(policy),
            .gone = tm_arena_alloc(arena, RIG_ROWS, sizeof(*point->gone)),
            .topics = tm_arena_alloc(arena, RIG_ROWS, sizeof(*point->topics)),
            .parts = tm_arena_alloc(arena, RIG_ROWS, sizeof(*point->parts)),
            .groups = tm_arena_alloc(arena, RIG_ROWS, sizeof(*point->groups)),
            .acls = tm_arena_alloc(arena, RIG_ROWS, sizeof(*point->acls)),
    };
    return point;
}

static inline void add_gone(struct tm_row_point *point, uint32_t stream)
{
    ck_assert_uint_lt(point->gone_count, RIG_ROWS);
    point->gone[point->gone_count++] = stream;
}

static inline void add_part(
        struct tm_row_point *point, uint32_t stream, int32_t partition, int64_t start, int64_t end)
{
    ck_assert_uint_lt(point->part_count, RIG_ROWS);
    point->parts[point->part_count++] = (struct tm_row_part){
            .stream = stream,
            .partition = partition,
            .start = start,
            .end = end,
            .lso = end,
            .high_watermark = end + 1,
    };
}

static inline void add_group(struct tm_row_point *point, const char *name, uint32_t stream,
        int32_t partition, int64_t offset)
{
    ck_assert_uint_lt(point->group_count, RIG_ROWS);
    point->groups[point->group_count++] =
            (struct tm_row_group){text(name), stream, partition, offset, text("m")};
}

static inline void add_mark(
        struct tm_edits *edits, uint64_t point, const char *note, int64_t hold_until_ms)
{
    *tm_vec_push(&edits->marks) = (struct tm_row_mark){
            .point = point,
            .note = text(note),
            .hold_until_ms = hold_until_ms,
            .hold_reason = text(""),
    };
}

static inline void remove_point(struct tm_edits *edits, uint64_t id)
{
    *tm_vec_push(&edits->points_gone) = id;
}

#define EDITS_OWN __attribute__((cleanup(tm_edits_done)))

/* An entry of a policy, made at a time. */
static inline struct tm_edits entry(const char *policy, int64_t time_ms)
{
    return (struct tm_edits){.time_ms = time_ms, .writer = text("host/1"), .policy = text(policy)};
}

/* The fold --------------------------------------------------------------------------------- */

static inline struct tm_fold_state rig_state(const struct rig *rig)
{
    struct tm_fold_state state = {0};
    struct tm_err err = {0};
    ok(rig->fold.ops->state(rig->fold.self, &state, &err), &err);
    return state;
}

/* Entry n has the hash of 32 bytes 0x80 + n. */
static inline struct tm_hash entry_hash(uint64_t seq)
{
    return pack_name(0x80U + (unsigned)(seq % 0x80));
}

/* Where the next entry stands. */
static inline struct tm_entry_place rig_place(const struct rig *rig, bool full)
{
    struct tm_fold_state state = rig_state(rig);
    struct tm_entry_place place = {.vault_id = id16(77)};
    if (!state.empty) {
        place.seq = state.head.seq + 1;
        place.prev = state.head.hash;
        place.back = full ? 0 : (uint32_t)(place.seq - state.full_seq);
    }
    return place;
}

/* Apply as the next entry, 100 bytes large; through its bytes, as an entry comes from the log. */
static inline enum tm_code rig_apply_at(struct rig *rig, const struct tm_entry_place *place,
        struct tm_edits *edits, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf body = {0};
    EDITS_OWN struct tm_edits decoded = {0};
    struct tm_err codec = {0};
    tm_edits_sort(edits);
    ok(tm_body_encode(edits, &body, &codec), &codec);
    ok(tm_body_decode(tm_buf_slice(&body), edits->full, &decoded, &codec), &codec);
    struct tm_hash hash = entry_hash(place->seq);
    return rig->fold.ops->apply(rig->fold.self, place, &hash, 100, &decoded, err);
}

static inline enum tm_code rig_apply(struct rig *rig, struct tm_edits *edits, struct tm_err *err)
{
    struct tm_entry_place place = rig_place(rig, edits->full);
    return rig_apply_at(rig, &place, edits, err);
}

static inline void rig_must(struct rig *rig, struct tm_edits *edits)
{
    struct tm_err err = {0};
    ok(rig_apply(rig, edits, &err), &err);
}

/* The state as the edits of a full made at that time. */
static inline struct tm_edits rig_dump(const struct rig *rig, int64_t now_ms)
{
    struct tm_edits edits = {0};
    struct tm_err err = {0};
    ok(rig->fold.ops->dump(rig->fold.self, now_ms, &edits, &err), &err);
    tm_edits_sort(&edits);
    return edits;
}

/* ... and as bytes. */
static inline void rig_body(const struct rig *rig, int64_t now_ms, struct tm_buf *out)
{
    EDITS_OWN struct tm_edits edits = rig_dump(rig, now_ms);
    struct tm_err err = {0};
    ok(tm_body_encode(&edits, out, &err), &err);
}

static inline void assert_same_body(const struct tm_buf *a, const struct tm_buf *b, const char *why)
{
    ck_assert_msg(tm_slice_eq(tm_buf_slice(a), tm_buf_slice(b)), "%s: the states differ (%zu, %zu)",
            why, a->len, b->len);
}

/* log/0, as init writes it. */
static inline void rig_start(struct rig *rig)
{
    EDITS_OWN struct tm_edits edits = entry("", 1000);
    edits.full = true;
    add_param(&edits, "block.min", "262144");
    rig_must(rig, &edits);
}

/*
 * The state most tests begin with. Streams of c1: 1 and 3 "orders" (incarnations 1 and 2), 2 "logs"; 4 is
 * "orders" of c2. Stream 1: partition 0 has run [0, 100) in pack 1, gap [100, 110), run [110, 150) in pack
 * 2; partition 1 run [50, 60) in pack 1; partition 2 only a tail at 500. Point 1 of "p" covers [0, 110) of
 * partition 0.
 */
static inline void rig_fill(struct rig *rig)
{
    rig_start(rig);
    EDITS_OWN struct tm_edits first = entry("p", 2000);
    add_stream(&first, 1, "c1", "orders", 1);
    add_stream(&first, 2, "c1", "logs", 1);
    add_stream(&first, 3, "c1", "orders", 2);
    add_stream(&first, 4, "c2", "orders", 1);
    struct tm_row_pack *pack = add_pack(&first, 1);
    (void)add_run(pack, 1, 0, 0, 100);
    (void)add_run(pack, 1, 1, 50, 60);
    add_gap(&first, 1, 0, 100, 110, TM_GAP_NO_RECORDS);
    add_tail(&first, 1, 0, 110, 110, 11);
    add_tail(&first, 1, 1, 60, 0, 1);
    add_tail(&first, 1, 2, 500, 0, 0);
    struct tm_row_point *point = add_point(&first, 1, "p");
    add_part(point, 1, 0, 0, 110);
    add_keep(&first, 1, "p", 3600);
    rig_must(rig, &first);

    EDITS_OWN struct tm_edits second = entry("p", 3000);
    (void)add_run(add_pack(&second, 2), 1, 0, 110, 150);
    add_tail(&second, 1, 0, 150, 110, 1);
    rig_must(rig, &second);
}

/* Assertions ------------------------------------------------------------------------------- */

/* The entry is refused with that message, and nothing has changed. */
static inline void assert_refused(struct rig *rig, const struct tm_entry_place *place,
        struct tm_edits *edits, enum tm_code code, const char *message)
{
    TM_BUF_OWN struct tm_buf before = {0};
    TM_BUF_OWN struct tm_buf after = {0};
    struct tm_fold_state state = rig_state(rig);
    struct tm_err err = {0};
    rig_body(rig, 9999, &before);
    enum tm_code got = rig_apply_at(rig, place, edits, &err);
    ck_assert_str_eq(err.msg, message);
    ck_assert_int_eq(got, code);
    rig_body(rig, 9999, &after);
    assert_same_body(&before, &after, message);
    ck_assert_uint_eq(rig_state(rig).head.seq, state.head.seq);
    ck_assert_uint_eq(rig_state(rig).delta_bytes, state.delta_bytes);
}

static inline struct tm_row_tail tail_of(const struct rig *rig, uint32_t stream, int32_t partition)
{
    struct tm_arena arena = {0};
    struct tm_row_tail *tails = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    struct tm_row_tail found = {.next = -1};
    ok(tm_catalog_tails(rig->catalog, stream, &arena, &tails, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        found = tails[i].partition == partition ? tails[i] : found;
    }
    tm_arena_done(&arena);
    return found;
}

/* Runs and gaps of a stream partition, as "[0,100)1 (100,110)1": pack or reason behind. */
static inline void assert_ranges(const struct rig *rig, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, const char *expected)
{
    struct tm_arena arena = {0};
    struct tm_stored_run *runs = NULL;
    struct tm_row_gap *gaps = NULL;
    size_t run_count = 0;
    size_t gap_count = 0;
    struct tm_err err = {0};
    TM_BUF_OWN struct tm_buf got = {0};
    struct tm_catalog *catalog = rig->catalog;
    ok(tm_catalog_runs(catalog, stream, partition, start, end, &arena, &runs, &run_count, &err),
            &err);
    ok(tm_catalog_gaps(catalog, stream, partition, start, end, &arena, &gaps, &gap_count, &err),
            &err);
    for (size_t i = 0; i < run_count; i++) {
        const struct tm_run *run = &runs[i].run;
        tm_buf_add_fmt(&got, "[%d,%d)%d ", (int)run->first, (int)(run->first + run->length),
                runs[i].pack.bytes[0]);
        ck_assert_uint_eq(runs[i].pack_size, 1000U + runs[i].pack.bytes[0]);
        ck_assert_uint_eq(run->stream, stream);
        ck_assert_int_eq(run->partition, partition);
    }
    for (size_t i = 0; i < gap_count; i++) {
        tm_buf_add_fmt(&got, "(%d,%d)%d ", (int)gaps[i].from, (int)(gaps[i].from + gaps[i].length),
                (int)gaps[i].reason);
    }
    ck_assert_str_eq(tm_buf_text(&got), expected);
    tm_arena_done(&arena);
}

#endif
