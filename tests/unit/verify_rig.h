/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_rig - a small vault made by the packer, its catalog and pools, for the tests of verification.
 *
 * Streams 1 "orders" and 2 "logs" of cluster "c1". Pack A (by its place in `packs`): orders 0 has blocks [0, 40)
 * and [40, 80), orders 1 shares a block of runs [0, 30) with orders 2 [0, 20); pack B: logs 0 [0, 50), with
 * a hole at every fifth offset, and logs 0 [50, 51), a solo block; pack C: orders 0 [80, 100). Point 1 covers
 * A, point 2 all of it.
 */
#ifndef TM_TESTS_VERIFY_RIG_H
#define TM_TESTS_VERIFY_RIG_H

#include <sys/stat.h>

#include "catalog/findings.h"
#include "job/verify.h"
#include "vault/pack_reader.h"
#include "vault/packer.h"
#include "vault_rig.h"

enum { PACK_A, PACK_B, PACK_C, PACKS };

struct verify_rig {
    struct vault_rig base;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_pool *pool;
    struct tm_pool *one; /* a single sealer: blocks lie in the order they were put */
    char catalog_path[128];
    struct tm_hash packs[PACKS];
    char names[PACKS][TM_OBJECT_NAME_MAX];
    struct tm_id16 points[2];
    atomic_bool cancel;
    struct tm_progress progress;
    struct tm_job_env env;
};

/* Blocks close when the rig wants it, but for one of a large value. */
static const struct tm_block_params verify_params = {
        .block_min = 1 << 24,
        .block_mean = 1 << 24,
        .block_max = 1 << 24,
        .solo_min = 100 << 10,
        .pack_target = 1 << 26,
};

struct verify_span {
    uint32_t stream;
    int32_t partition;
    int64_t first;
    int64_t end;
};

/* The record at an offset; `room` is for its value. */
static inline struct tm_record verify_record(int64_t offset, size_t bytes, char *room)
{
    for (size_t i = 0; i < bytes; i++) {
        room[i] = (char)('a' + ((size_t)offset * 31 + i * i) % 23);
    }
    return (struct tm_record){
            .offset = offset,
            .timestamp_ms = 1700000000000 + offset,
            .timestamp_type = TM_TIMESTAMP_CREATE,
            .leader_epoch = 3,
            .key = tm_slice_of(room, 4),
            .value = tm_slice_of(room, bytes),
    };
}

static inline struct tm_block *verify_block(
        struct verify_rig *rig, const struct verify_span *spans, size_t count, size_t bytes)
{
    char *room = tm_xalloc(bytes, 1);
    struct tm_block *block =
            tm_block_new(tm_vault_ring(rig->vault), &verify_params, spans[0].stream);
    for (size_t i = 0; i < count; i++) {
        bool closed = false;
        tm_block_begin(block, spans[i].partition, spans[i].first);
        for (int64_t offset = spans[i].first; offset < spans[i].end; offset++) {
            if (spans[i].stream == 2 && offset % 5 == 4) {
                continue;
            }
            struct tm_record record = verify_record(offset, bytes, room);
            closed = tm_block_add(block, &record);
        }
        if (!closed) {
            tm_block_extend(block, spans[i].end);
        }
    }
    free(room);
    return block;
}

/* What a commit of the rig holds. */
struct verify_commit {
    struct verify_rig *rig;
    const tm_packed_list *packed;
    int number; /* of the commit: 0 makes the streams */
};

static inline void verify_add_part(
        struct tm_row_point *point, uint32_t stream, int32_t partition, int64_t end)
{
    point->parts[point->part_count++] = (struct tm_row_part){.stream = stream,
            .partition = partition,
            .end = end,
            .lso = end,
            .high_watermark = end};
}

static inline void verify_add_point(struct tm_edits *edits, const struct verify_commit *commit)
{
    struct tm_row_point *point = tm_vec_push(&edits->points);
    *point = (struct tm_row_point){
            .id = (uint64_t)commit->number + 1,
            .ulid = commit->rig->points[commit->number],
            .time_ms = 1000 + commit->number,
            .cluster_id = tm_slice_str("c1"),
            .cluster_name = tm_slice_str("main"),
            .policy = tm_slice_str("p"),
            .parts = tm_arena_alloc(&edits->arena, 8, sizeof(struct tm_row_part)),
    };
    if (commit->number == 0) {
        verify_add_part(point, 1, 0, 80);
        verify_add_part(point, 1, 1, 30);
        verify_add_part(point, 1, 2, 20);
    } else {
        verify_add_part(point, 1, 0, 100);
        verify_add_part(point, 2, 0, 51);
    }
}

/* Runs of the pack, joined where they touch, and the tails they leave. */
static inline void verify_add_pack(struct tm_edits *edits, const struct tm_packed *packed)
{
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    *pack = (struct tm_row_pack){.name = packed->name, .size = packed->size, .stored_ms = 5000};
    pack->runs = tm_arena_alloc(&edits->arena, packed->runs.count, sizeof(*pack->runs));
    for (size_t i = 0; i < packed->runs.count; i++) {
        const struct tm_run *run = &packed->runs.at[i].run;
        const struct tm_tail *tail = &packed->runs.at[i].tail;
        struct tm_run *last = pack->run_count > 0 ? &pack->runs[pack->run_count - 1] : NULL;
        int64_t end = run->first + run->length;
        if (last != NULL && last->stream == run->stream && last->partition == run->partition &&
                last->first + last->length == run->first) {
            last->length += run->length;
            last->count += run->count;
            last->bytes += run->bytes;
            last->largest = run->largest > last->largest ? run->largest : last->largest;
            last->ts_max = run->ts_max;
            edits->tails.count--;
        } else {
            pack->runs[pack->run_count++] = *run;
        }
        *tm_vec_push(&edits->tails) = (struct tm_row_tail){run->stream, run->partition, end, end,
                end - tail->offset, tail->leader_epoch, tail->timestamp_ms, tail->tag};
    }
}

static inline enum tm_code verify_build(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    const struct verify_commit *commit = arg;
    (void)err;
    edits->time_ms = 2000 + commit->number;
    edits->policy = tm_slice_str("p");
    for (uint32_t id = 1; id <= 2 && commit->number == 0; id++) {
        *tm_vec_push(&edits->streams) = (struct tm_row_stream){
                .id = id,
                .cluster_id = tm_slice_str("c1"),
                .topic = tm_slice_str(id == 1 ? "orders" : "logs"),
                .incarnation = 1,
        };
    }
    for (size_t i = 0; i < commit->packed->count; i++) {
        verify_add_pack(edits, &commit->packed->at[i]);
    }
    verify_add_point(edits, commit);
    return TM_OK;
}

static inline struct tm_packer *verify_packer(struct verify_rig *rig)
{
    struct tm_packer_options options = {
            .vault = rig->vault,
            .sealers = rig->one,
            .params = verify_params,
            .level = 1,
            .budget_bytes = 1 << 24,
    };
    struct tm_packer *packer = tm_packer_new(&options);
    tm_packer_add_stream(packer, 1, tm_slice_str("c1"), tm_slice_str("orders"), 1);
    tm_packer_add_stream(packer, 2, tm_slice_str("c1"), tm_slice_str("logs"), 1);
    return packer;
}

static inline void verify_fill(struct verify_rig *rig)
{
    static const struct verify_span spans[] = {{1, 0, 0, 40}, {1, 0, 40, 80}, {1, 1, 0, 30},
            {1, 2, 0, 20}, {2, 0, 0, 50}, {2, 0, 50, 51}, {1, 0, 80, 100}};
    struct tm_fold fold = tm_catalog_fold(rig->catalog);
    tm_packed_list packed = {0};
    TM_OWN(tm_packer_free) struct tm_packer *packer = verify_packer(rig);
    ck_assert_tm_ok(tm_vault_refresh(rig->vault, &fold, &err));
    ck_assert_tm_ok(tm_packer_put(packer, verify_block(rig, &spans[0], 1, 200), &err));
    ck_assert_tm_ok(tm_packer_put(packer, verify_block(rig, &spans[1], 1, 200), &err));
    ck_assert_tm_ok(tm_packer_put(packer, verify_block(rig, &spans[2], 2, 200), &err));
    ck_assert_tm_ok(tm_packer_cut(packer, &packed, &err));
    struct verify_commit first = {.rig = rig, .packed = &packed};
    ck_assert_tm_ok(tm_vault_commit(rig->vault, &fold, verify_build, &first, NULL, &err));
    rig->packs[PACK_A] = packed.at[0].name;
    tm_packed_list_done(&packed);

    ck_assert_tm_ok(tm_packer_put(packer, verify_block(rig, &spans[4], 1, 200), &err));
    ck_assert_tm_ok(tm_packer_put(packer, verify_block(rig, &spans[5], 1, 200 << 10), &err));
    ck_assert_tm_ok(tm_packer_cut(packer, &packed, &err));
    ck_assert_tm_ok(tm_packer_put(packer, verify_block(rig, &spans[6], 1, 200), &err));
    ck_assert_tm_ok(tm_packer_cut(packer, &packed, &err));
    struct verify_commit second = {.rig = rig, .packed = &packed, .number = 1};
    ck_assert_tm_ok(tm_vault_commit(rig->vault, &fold, verify_build, &second, NULL, &err));
    rig->packs[PACK_B] = packed.at[0].name;
    rig->packs[PACK_C] = packed.at[1].name;
    tm_packed_list_done(&packed);
    for (size_t i = 0; i < PACKS; i++) {
        tm_pack_name(&rig->packs[i], rig->names[i]);
    }
}

static inline void verify_up(struct verify_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig_make(&rig->base);
    rig_init_vault(rig->base.store);
    rig->vault = rig_open_vault(rig->base.store);
    tm_vault_set_retry_ms(rig->vault, 0);
    rig->pool = tm_pool_new("seal", 2);
    rig->one = tm_pool_new("one", 1);
    (void)snprintf(rig->catalog_path, sizeof(rig->catalog_path), "%s/catalog.db", rig->base.dir);
    ck_assert_tm_ok(tm_catalog_open(rig->catalog_path, &rig->catalog, &err));
    rig->points[0].bytes[15] = 1;
    rig->points[1].bytes[15] = 2;
    rig->env = (struct tm_job_env){
            .job_id = "job_test",
            .workers = rig->pool,
            .sealers = rig->pool,
            .memory_bytes = 1 << 20,
            .cancel = &rig->cancel,
            .progress = &rig->progress,
    };
    verify_fill(rig);
}

static inline void verify_down(struct verify_rig *rig)
{
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    tm_pool_free(rig->pool);
    tm_pool_free(rig->one);
    rig_drop(&rig->base);
}

/* Damage ----------------------------------------------------------------------------------- */

static inline struct tm_buf verify_read(const struct verify_rig *rig, const char *name)
{
    struct tm_buf bytes = {0};
    ck_assert_tm_ok(tm_store_get(rig->base.store, name, 1 << 28, &bytes, &err));
    return bytes;
}

static inline void verify_replace(
        const struct verify_rig *rig, const char *name, struct tm_slice bytes)
{
    char path[256];
    rig_path(&rig->base, name, path);
    ck_assert_int_eq(chmod(path, 0600), 0);
    rig_write(&rig->base, name, bytes.at, bytes.len);
}

static inline void verify_flip(const struct verify_rig *rig, const char *name, size_t at)
{
    struct tm_buf bytes = verify_read(rig, name);
    ck_assert_uint_lt(at, bytes.len);
    bytes.at[at] ^= 0x10;
    verify_replace(rig, name, tm_buf_slice(&bytes));
    tm_buf_done(&bytes);
}

static inline void verify_unlink(const struct verify_rig *rig, const char *name)
{
    char path[256];
    rig_path(&rig->base, name, path);
    ck_assert_int_eq(unlink(path), 0);
}

/* A frame of a block of the pack. */
static inline struct tm_frame verify_frame(
        const struct verify_rig *rig, size_t pack, size_t block, char kind)
{
    struct tm_pack *open = NULL;
    struct tm_object_info info;
    ck_assert_tm_ok(tm_store_stat(rig->base.store, rig->names[pack], &info, &err));
    ck_assert_tm_ok(tm_pack_open(rig->vault, &rig->packs[pack], info.size, &open, &err));
    const struct tm_block_info *at = &tm_pack_index(open)->blocks[block];
    struct tm_frame frame = kind == 'P' ? at->positions : at->content;
    tm_pack_close(open);
    return frame;
}

#endif
