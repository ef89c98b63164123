/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space_rig - a vault in memory with real packs of few records, a clock of its own, and a store that fails
 * when it is told to: what the tests of freeing space share.
 */
#ifndef TM_TESTS_SPACE_RIG_H
#define TM_TESTS_SPACE_RIG_H

#include <check.h>

#include "../model/mem_store.h"
#include "../model/tiny_packs.h"
#include "job/space.h"
#include "store/store_fault.h"
#include "vault/log.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t hour_ms = INT64_C(3600000);
static const uint8_t key_file[TM_KEY_FILE_BYTES] = {1, 2, 3};

static int64_t time_ms; /* of the world */

static inline int64_t world_ms(void)
{
    return time_ms;
}

static inline int64_t world_ns(void)
{
    return time_ms * 1000 * 1000;
}

static struct mem_objects objects;
static struct tm_store *store;
static struct tm_vault *vault;
static struct tm_catalog *catalog;
static struct tm_fold fold;
static struct tm_space_options options;
static struct tm_job_env env;
static struct tm_progress progress;
static atomic_bool cancel;
static struct tm_arena arena;
static struct { /* a fault of the store, once */
    enum tm_store_op op;
    enum tm_store_fault fault;
    const char *name; /* how it begins */
    int left;         /* times */
    int skip;         /* times before */
} trouble;

#define must(call) \
    do { \
        struct tm_err err = {0}; \
        ck_assert_msg((call) == TM_OK, "%s: %s", #call, err.msg); \
    } while (0)

static inline enum tm_store_fault hook(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)count;
    if (trouble.left == 0 || op != trouble.op ||
            strncmp(name, trouble.name, strlen(trouble.name)) != 0) {
        return TM_FAULT_NONE;
    }
    if (trouble.skip > 0) {
        trouble.skip--;
        return TM_FAULT_NONE;
    }
    trouble.left--;
    return trouble.fault;
}

static inline struct tm_secret secret(void)
{
    return (struct tm_secret){TM_SECRET_KEY_FILE, {key_file, sizeof(key_file)}};
}

static inline void open_vault(void)
{
    struct tm_secret key = secret();
    must(tm_vault_open(store, &key, "host/test", &vault, &err));
    tm_vault_set_clock(vault, world_ns);
    tm_vault_set_wall(vault, world_ms);
    tm_vault_set_retry_ms(vault, 0);
    must(tm_catalog_open(":memory:", &catalog, &err));
    fold = tm_catalog_fold(catalog);
    must(tm_vault_refresh(vault, &fold, &err));
    options = tm_space_defaults(vault, catalog);
    options.merge_min_packs = 4;
    options.now_ms = world_ms;
}

static inline void setup(void)
{
    tm_codec_init();
    time_ms = INT64_C(1700000000000);
    objects.now_ms = world_ms;
    trouble.left = 0;
    store = tm_store_fault_new(mem_store_new(&objects), hook, NULL);
    struct tm_secret key = secret();
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    must(tm_vault_init(store, &key, &params, &err));
    open_vault();
    env = (struct tm_job_env){.job_id = "job_1", .cancel = &cancel, .progress = &progress};
    atomic_store(&cancel, false);
}

static inline void close_vault(void)
{
    tm_catalog_close(catalog);
    tm_vault_close(vault);
}

static inline void teardown(void)
{
    close_vault();
    tm_store_free(store);
    mem_objects_done(&objects);
    tm_arena_done(&arena);
}

/* What lies at an offset: repeats, so that some can lie elsewhere. */
static inline uint32_t content_of(int32_t partition, int64_t offset)
{
    return (uint32_t)(partition * 7 + offset) % 10;
}

/* Commits ---------------------------------------------------------------------------------- */

struct commit {
    struct tm_row_pack row;
    bool first; /* names the stream */
    uint64_t point;
    int64_t starts[2]; /* of the point */
    int64_t ends[2];   /* watermarks after it */
};

static inline enum tm_code build(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)err;
    struct commit *commit = arg;
    edits->policy = tm_slice_str("p");
    if (commit->first) {
        *tm_vec_push(&edits->streams) = (struct tm_row_stream){
                .id = 1,
                .cluster_id = tm_slice_str("c1"),
                .topic = tm_slice_str("orders"),
                .incarnation = 1,
        };
    }
    if (commit->row.run_count > 0) {
        *tm_vec_push(&edits->packs) = commit->row;
    }
    struct tm_row_part *parts = tm_arena_alloc(&edits->arena, 2, sizeof(*parts));
    for (int32_t p = 0; p < 2; p++) {
        *tm_vec_push(&edits->tails) = (struct tm_row_tail){
                .stream = 1,
                .partition = p,
                .next = commit->ends[p],
                .covered = commit->ends[p],
                .back = commit->ends[p] > 0 ? 1 : 0,
                .leader_epoch = -1,
        };
        parts[p] = (struct tm_row_part){
                .stream = 1, .partition = p, .start = commit->starts[p], .end = commit->ends[p]};
    }
    struct tm_id16 ulid = {{0}};
    ulid.bytes[15] = (uint8_t)commit->point;
    *tm_vec_push(&edits->points) = (struct tm_row_point){
            .id = commit->point,
            .ulid = ulid,
            .time_ms = time_ms,
            .cluster_id = tm_slice_str("c1"),
            .cluster_name = tm_slice_str("main"),
            .policy = tm_slice_str("p"),
            .parts = parts,
            .part_count = 2,
    };
    return TM_OK;
}

static int64_t ends[2];
static uint64_t points;

/* A pack of the next `count` records of each partition and a point [start, end) of both. */
static inline struct tm_hash back_up(int count, int64_t start, const struct tm_hash *elsewhere)
{
    struct tiny_record records[TINY_RECORDS];
    size_t total = 0;
    struct commit commit = {.first = points == 0, .point = points + 1, .starts = {start, start}};
    for (int32_t p = 0; p < 2; p++) {
        for (int i = 0; i < count; i++) {
            records[total++] = (struct tiny_record){p, ends[p], content_of(p, ends[p]), elsewhere};
            ends[p]++;
        }
        commit.ends[p] = ends[p];
    }
    must(tiny_put(vault, records, total, 1, &arena, &commit.row, &err));
    commit.row.stored_ms = time_ms;
    must(tm_vault_commit(vault, &fold, build, &commit, NULL, &err));
    points++;
    return commit.row.name;
}

static inline enum tm_code build_expiry(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)err;
    *tm_vec_push(&edits->points_gone) = *(uint64_t *)arg;
    return TM_OK;
}

static inline void expire(uint64_t point)
{
    must(tm_vault_commit(vault, &fold, build_expiry, &point, NULL, &err));
}

static inline void start(void)
{
    ends[0] = ends[1] = 0;
    points = 0;
}

/* Looking ---------------------------------------------------------------------------------- */

static inline bool is_stored(const struct tm_hash *pack)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(pack, name);
    return mem_find(&objects, name) != NULL;
}

static inline size_t stored_count(const char *prefix)
{
    size_t count = 0;
    for (size_t i = 0; i < objects.list.count; i++) {
        count += strncmp(objects.list.at[i].name, prefix, strlen(prefix)) == 0 ? 1 : 0;
    }
    return count;
}

/* Everything the log lists from `from` on is there, once, and is what it was. */
static inline void check_stored(int64_t from)
{
    for (int32_t p = 0; p < 2; p++) {
        struct tm_arena local = {0};
        struct tm_stored_run *runs = NULL;
        size_t count = 0;
        int64_t next = from;
        must(tm_catalog_runs(catalog, 1, p, from, INT64_MAX, &local, &runs, &count, &err));
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_le(runs[i].run.first, next);
            next = runs[i].run.first + runs[i].run.length;
            must(tiny_check_run(vault, catalog, &runs[i], content_of, &err));
        }
        ck_assert_int_eq(next, ends[p]);
        tm_arena_done(&local);
    }
}

static inline void run_space(unsigned steps, struct tm_space_result *out)
{
    options.steps = steps;
    *out = (struct tm_space_result){0};
    must(tm_space_run(&options, &env, out, &err));
}

static inline void assert_fate(const struct tm_hash *pack, enum tm_pack_fate expected)
{
    enum tm_pack_fate fate = TM_PACK_UNKNOWN;
    int64_t when = 0;
    must(tm_live_fate(catalog, pack, &fate, &when, &err));
    ck_assert_int_eq(fate, expected);
}

/* The fold from nothing gives the same state, byte for byte. */
static inline void check_fold(void)
{
    struct tm_catalog *other = NULL;
    struct tm_buf bodies[2] = {{0}};
    must(tm_catalog_open(":memory:", &other, &err));
    struct tm_fold folds[2] = {fold, tm_catalog_fold(other)};
    tm_vault_doubt(vault);
    must(tm_vault_refresh(vault, &folds[1], &err));
    for (int i = 0; i < 2; i++) {
        struct tm_edits edits = {0};
        must(folds[i].ops->dump(folds[i].self, time_ms, &edits, &err));
        tm_edits_sort(&edits);
        must(tm_body_encode(&edits, &bodies[i], &err));
        tm_edits_done(&edits);
    }
    ck_assert(tm_slice_eq(tm_buf_slice(&bodies[0]), tm_buf_slice(&bodies[1])));
    tm_buf_done(&bodies[0]);
    tm_buf_done(&bodies[1]);
    tm_catalog_close(other);
}

#endif
