/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/vault/packer and pack_reader: what goes into packs comes out of them, or an error. */
#include "vault/packer.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"
#include "base/hash.h"
#include "vault/pack_reader.h"
#include "vault_rig.h"

enum {
    WRITERS = 3,
    STREAMS = 2,
    PARTITIONS = 3, /* of each stream, a writer's own */
    OFFSETS = 400,
    KEY_TEXT = 32,
    VALUE_MAX = 20000,
};

static const struct tm_block_params small = {
        .block_min = 2000,
        .block_mean = 4000,
        .block_max = 16000,
        .solo_min = 8000,
        .pack_target = 50000,
};

/* Blocks that close when the test wants it. */
static const struct tm_block_params roomy = {
        .block_min = 1 << 24,
        .block_mean = 1 << 24,
        .block_max = 1 << 24,
        .solo_min = 1 << 24,
        .pack_target = 50000,
};

static struct vault_rig rig;
static struct tm_vault *vault;
static struct tm_pool *pool;

static void setup(void)
{
    rig_make(&rig);
    rig_init_vault(rig.store);
    vault = rig_open_vault(rig.store);
    tm_vault_set_retry_ms(vault, 0);
    pool = tm_pool_new("seal", 2);
}

static void teardown(void)
{
    tm_pool_free(pool);
    tm_vault_close(vault);
    rig_drop(&rig);
}

/* Records ---------------------------------------------------------------------------------- */

/* Where a record stands. Everything in it follows from this. */
struct spot {
    uint32_t stream;
    int32_t partition;
    int64_t offset;
};

struct made {
    struct tm_record record;
    struct tm_header headers[2];
    char key[KEY_TEXT];
    char value[VALUE_MAX];
};

static uint64_t mix(const struct spot *spot)
{
    uint64_t state = (uint64_t)spot->offset * 1000 + (uint64_t)spot->partition * 10 + spot->stream;
    (void)rig_below(&state, 2);
    (void)rig_below(&state, 2);
    return state;
}

static bool is_hole(const struct spot *spot)
{
    uint64_t state = mix(spot);
    return rig_below(&state, 5) == 0;
}

static void make_record(const struct spot *spot, struct made *out)
{
    uint64_t state = mix(spot) + 1;
    uint32_t kind = rig_below(&state, 20);
    size_t len = kind == 0 ? 9000 + rig_below(&state, 9000) : rig_below(&state, 300);
    for (size_t i = 0; i < len; i++) {
        out->value[i] = (char)(kind < 10 ? rig_below(&state, 256) : 'a' + i % 7);
    }
    (void)snprintf(
            out->key, sizeof(out->key), "key-%d-%" PRId64, (int)spot->partition, spot->offset);
    out->headers[0] = (struct tm_header){tm_slice_str("h"), TM_SLICE_NULL};
    out->headers[1] = (struct tm_header){tm_slice_str("h"), tm_slice_str("x")};
    out->record = (struct tm_record){
            .offset = spot->offset,
            .timestamp_ms = 1700000000000 + (int64_t)rig_below(&state, 100000),
            .timestamp_type = TM_TIMESTAMP_CREATE,
            .leader_epoch = 3,
            .key = kind == 1 ? TM_SLICE_NULL : tm_slice_str(out->key),
            .value = kind == 2 ? TM_SLICE_NULL : tm_slice_of(out->value, len),
            .headers = out->headers,
            .header_count = kind % 3,
    };
}

static void check_record(const struct tm_record *record, const struct spot *spot)
{
    struct made *made = tm_xalloc(1, sizeof(*made));
    make_record(spot, made);
    ck_assert_int_eq(record->offset, spot->offset);
    ck_assert(tm_record_same(record, &made->record));
    free(made);
}

static struct tm_packer *make_packer(const struct tm_block_params *params, size_t budget_bytes)
{
    struct tm_packer_options options = {
            .vault = vault,
            .sealers = pool,
            .params = *params,
            .level = 1,
            .budget_bytes = budget_bytes,
    };
    struct tm_packer *packer = tm_packer_new(&options);
    /* Numbers in no order, so that none is by chance the pack's own. */
    for (uint32_t stream = STREAMS; stream-- > 0;) {
        char topic[KEY_TEXT];
        (void)snprintf(topic, sizeof(topic), "topic-%u", stream);
        tm_packer_add_stream(
                packer, 100 + stream, tm_slice_str("cluster"), tm_slice_str(topic), 1 + stream);
    }
    return packer;
}

/* A block of the offsets from `spot` to `end`. */
static struct tm_block *make_block(struct spot spot, int64_t end)
{
    struct made *made = tm_xalloc(1, sizeof(*made));
    struct tm_block *block = tm_block_new(tm_vault_ring(vault), &roomy, 100 + spot.stream);
    tm_block_begin(block, spot.partition, spot.offset);
    for (; spot.offset < end; spot.offset++) {
        make_record(&spot, made);
        ck_assert(is_hole(&spot) || !tm_block_add(block, &made->record));
    }
    tm_block_extend(block, end);
    free(made);
    return block;
}

/* Writing from several threads ------------------------------------------------------------- */

struct writer {
    struct tm_packer *packer;
    int number;
    pthread_t thread;
};

/* What a writer has open for one partition. */
struct filling {
    struct tm_block *block;
    struct spot spot;
};

static void put(struct tm_packer *packer, struct tm_block *block)
{
    ck_assert_tm_ok(tm_packer_put(packer, block, &err));
}

static struct tm_block *begin(const struct spot *spot)
{
    struct tm_block *block = tm_block_new(tm_vault_ring(vault), &small, 100 + spot->stream);
    tm_block_begin(block, spot->partition, spot->offset);
    return block;
}

/* Put what is open, or forget a block that holds no record: its offsets go into the next one. */
static int64_t close_filling(struct tm_packer *packer, struct filling *filling)
{
    struct tm_block *block = TM_TAKE(filling->block);
    if (block == NULL || tm_block_records(block) == 0) {
        int64_t first = block != NULL ? tm_block_run(block, 0).first : filling->spot.offset;
        tm_block_free(block);
        return first;
    }
    struct tm_run run = tm_block_run(block, 0);
    put(packer, block);
    return run.first + run.length;
}

/* Give the partition's next offset to its block. */
static void fill(struct tm_packer *packer, struct filling *filling, struct made *made)
{
    struct spot *spot = &filling->spot;
    if (!is_hole(spot)) {
        make_record(spot, made);
        bool solo = tm_block_wants_solo(&small, &made->record);
        if (solo && filling->block != NULL && tm_block_records(filling->block) > 0) {
            struct spot from = *spot;
            from.offset = close_filling(packer, filling);
            filling->block = begin(&from);
        }
        if (filling->block == NULL) {
            filling->block = begin(spot);
        }
        if (tm_block_add(filling->block, &made->record)) {
            put(packer, TM_TAKE(filling->block));
        }
    } else if (filling->block == NULL) {
        filling->block = begin(spot);
    }
    spot->offset++;
}

static void *write_all(void *arg)
{
    const struct writer *writer = arg;
    struct filling open[STREAMS * PARTITIONS] = {0};
    for (size_t i = 0; i < LENGTH(open); i++) {
        open[i].spot.stream = (uint32_t)(i % STREAMS);
        open[i].spot.partition = (int32_t)(writer->number * PARTITIONS + (int)i / STREAMS);
    }
    struct made *made = tm_xalloc(1, sizeof(*made));
    uint64_t random = (uint64_t)writer->number;
    for (int left = OFFSETS * (int)LENGTH(open); left > 0;) {
        struct filling *filling = &open[rig_below(&random, LENGTH(open))];
        if (filling->spot.offset < OFFSETS) {
            fill(writer->packer, filling, made);
            left--;
        }
    }
    for (size_t i = 0; i < LENGTH(open); i++) {
        (void)close_filling(writer->packer, &open[i]);
    }
    free(made);
    return NULL;
}

/* Reading back ----------------------------------------------------------------------------- */

static uint32_t stream_of(const struct tm_pack_index *index, uint32_t id)
{
    for (size_t i = 0; i < index->stream_count; i++) {
        const struct tm_pack_stream *stream = &index->streams[i];
        if (stream->id == id) {
            ck_assert(tm_slice_is(stream->cluster_id, "cluster"));
            ck_assert_uint_eq(stream->topic.len, strlen("topic-0"));
            uint32_t number = (uint32_t)(stream->topic.at[6] - '0');
            ck_assert_uint_eq(stream->incarnation, 1 + number);
            return number;
        }
    }
    ck_abort_msg("stream %u is not in the index", id);
    return 0;
}

static void check_run_records(
        const struct tm_block_view *view, size_t index, uint32_t stream, const struct tm_run *run)
{
    struct tm_block_iter iter;
    tm_block_iter_init(&iter, view, index);
    struct spot spot = {stream, run->partition, run->first};
    struct tm_record record = {0};
    int64_t count = 0;
    for (; spot.offset < run->first + run->length; spot.offset++) {
        if (!is_hole(&spot)) {
            ck_assert(tm_block_iter_next(&iter, &record));
            check_record(&record, &spot);
            count++;
        }
    }
    ck_assert(!tm_block_iter_next(&iter, &record));
    ck_assert_int_eq(count, run->count);
    tm_block_iter_done(&iter);
}

static bool same_run(const struct tm_run *a, const struct tm_run *b)
{
    return a->partition == b->partition && a->first == b->first && a->length == b->length &&
           a->count == b->count && a->bytes == b->bytes && a->largest == b->largest &&
           a->ts_min == b->ts_min && a->ts_max == b->ts_max;
}

static void check_is_packed(
        const struct tm_packed *packed, uint32_t stream, const struct tm_run *run)
{
    size_t found = 0;
    for (size_t i = 0; i < packed->runs.count; i++) {
        const struct tm_run *other = &packed->runs.at[i].run;
        found += other->stream == 100 + stream && same_run(other, run);
    }
    ck_assert_uint_eq(found, 1);
}

/* A nonce used twice under a key gives away what it hides. */
static void check_nonces(const struct tm_pack_index *index)
{
    bool *used = tm_xalloc(2 * index->block_count, sizeof(*used));
    for (size_t i = 0; i < 2 * index->block_count; i++) {
        const struct tm_block_info *info = &index->blocks[i / 2];
        const struct tm_frame *frame = i % 2 == 0 ? &info->positions : &info->content;
        ck_assert_uint_eq(frame->key, 0);
        ck_assert_uint_lt(frame->counter, 2 * index->block_count);
        ck_assert(!used[frame->counter]);
        used[frame->counter] = true;
    }
    free(used);
}

/* Read every record of a pack. */
static void check_pack(const struct tm_packed *packed)
{
    struct tm_pack *pack = NULL;
    ck_assert_tm_ok(tm_pack_open(vault, &packed->name, packed->size, &pack, &err));
    ck_assert(tm_hash_eq(tm_pack_hash(pack), &packed->name));
    const struct tm_pack_index *index = tm_pack_index(pack);
    check_nonces(index);
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    size_t runs = 0;
    for (size_t i = 0; i < index->block_count; i++) {
        ck_assert_uint_eq(tm_pack_block_epoch(pack, i), 1);
        ck_assert_tm_ok(tm_pack_read_block(pack, i, tools, &view, &err));
        for (size_t r = 0; r < index->blocks[i].run_count; r++) {
            const struct tm_run *run = &index->blocks[i].runs[r].run;
            uint32_t stream = stream_of(index, run->stream);
            check_is_packed(packed, stream, run);
            check_run_records(&view, r, stream, run);
            runs++;
        }
    }
    ck_assert_uint_eq(runs, packed->runs.count);
    tm_block_view_done(&view);
    tm_pack_close(pack);

    TM_BUF_OWN struct tm_buf object = {0};
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packed->name, name);
    ck_assert_tm_ok(tm_store_get(rig.store, name, TM_PACK_BYTES_MAX, &object, &err));
    struct tm_hash hash = tm_sha256_of(tm_buf_slice(&object));
    ck_assert(tm_hash_eq(&hash, &packed->name));
}

static void check_tail(const struct tm_packed_run *packed)
{
    struct spot spot = {packed->run.stream - 100, packed->run.partition, packed->tail.offset};
    ck_assert(!is_hole(&spot));
    struct made *made = tm_xalloc(1, sizeof(*made));
    make_record(&spot, made);
    TM_BUF_OWN struct tm_buf canonical = {0};
    tm_record_encode(&made->record, &canonical);
    struct tm_id16 tag = tm_ring_tag(tm_vault_ring(vault), 1, tm_buf_slice(&canonical));
    ck_assert(tm_id16_eq(&tag, &packed->tail.tag));
    ck_assert_int_eq(packed->tail.timestamp_ms, made->record.timestamp_ms);
    ck_assert_int_eq(packed->tail.leader_epoch, 3);
    free(made);
}

/* The runs of the packs, in the order given, continue each partition without hole or overlap. */
static void check_prefix(const tm_packed_list *packs, int64_t next[STREAMS][WRITERS * PARTITIONS])
{
    for (size_t p = 0; p < packs->count; p++) {
        for (size_t r = 0; r < packs->at[p].runs.count; r++) {
            const struct tm_packed_run *packed = &packs->at[p].runs.at[r];
            int64_t *at = &next[packed->run.stream - 100][packed->run.partition];
            ck_assert_int_eq(packed->run.first, *at);
            *at = packed->run.first + packed->run.length;
            check_tail(packed);
        }
    }
}

static bool is_all(int64_t next[STREAMS][WRITERS * PARTITIONS])
{
    for (uint32_t stream = 0; stream < STREAMS; stream++) {
        for (int32_t partition = 0; partition < WRITERS * PARTITIONS; partition++) {
            struct spot spot = {stream, partition, next[stream][partition]};
            while (spot.offset < OFFSETS && is_hole(&spot)) {
                spot.offset++; /* holes behind the last record are in no run */
            }
            if (spot.offset < OFFSETS) {
                return false;
            }
        }
    }
    return true;
}

START_TEST(every_record_comes_back_and_each_cut_is_a_prefix)
{
    struct tm_packer *packer = make_packer(&small, _i == 0 ? 1 : 200000);
    struct writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.packer = packer, .number = i};
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_all, &writers[i]), 0);
    }
    int64_t next[STREAMS][WRITERS * PARTITIONS] = {0};
    size_t packs = 0;
    uint64_t stored = 0;
    for (bool joined = false;;) {
        tm_packed_list cut = {0};
        ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
        check_prefix(&cut, next);
        for (size_t i = 0; i < cut.count; i++) {
            check_pack(&cut.at[i]);
            stored += cut.at[i].size;
        }
        packs += cut.count;
        tm_packed_list_done(&cut);
        if (joined) {
            break;
        }
        for (int i = 0; i < WRITERS && packs > 5; i++) {
            ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
            joined = true;
        }
        tm_sleep_ms(5);
    }
    ck_assert(is_all(next));
    ck_assert_uint_gt(packs, 10);
    ck_assert_uint_eq(tm_packer_stored_bytes(packer), stored);
    ck_assert_uint_eq(tm_packer_pending_bytes(packer), 0);
    tm_packer_free(packer);
}
END_TEST

START_TEST(a_pack_closes_at_its_target)
{
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&small, 100000);
    for (int64_t first = 0; first < 3000; first += 50) {
        put(packer, make_block((struct spot){0, 0, first}, first + 50));
    }
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_gt(cut.count, 2);
    for (size_t i = 0; i + 1 < cut.count; i++) {
        ck_assert_uint_ge(cut.at[i].size, small.pack_target);
        ck_assert_uint_lt(cut.at[i].size, 3 * small.pack_target);
    }
    tm_packed_list_done(&cut);
}
END_TEST

START_TEST(runs_of_several_partitions_share_a_block)
{
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&small, 100000);
    struct tm_block *block = make_block((struct spot){1, 0, 0}, 10);
    TM_OWN(tm_block_free) struct tm_block *second = make_block((struct spot){1, 1, 0}, 10);
    tm_block_join(block, second);
    put(packer, block);
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_eq(cut.count, 1);
    ck_assert_uint_eq(cut.at[0].runs.count, 2);
    check_pack(&cut.at[0]);
    tm_packed_list_done(&cut);
}
END_TEST

START_TEST(pending_bytes_are_those_since_the_last_cut)
{
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&small, 100000);
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_eq(cut.count, 0);

    struct tm_block *block = make_block((struct spot){0, 0, 0}, 10);
    size_t bytes = tm_block_bytes(block);
    put(packer, block);
    ck_assert_uint_eq(tm_packer_pending_bytes(packer), bytes);
    int64_t before_ms = tm_now_ms();
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_eq(cut.count, 1);
    ck_assert_int_ge(cut.at[0].stored_ms, before_ms);
    ck_assert_uint_eq(tm_packer_pending_bytes(packer), 0);
    ck_assert_uint_eq(tm_packer_stored_bytes(packer), cut.at[0].size);
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_eq(cut.count, 1);
    tm_packed_list_done(&cut);
}
END_TEST

START_TEST(what_no_cut_took_is_dropped)
{
    struct tm_packer *packer = make_packer(&small, 100000);
    for (int64_t first = 0; first < 1000; first += 50) {
        put(packer, make_block((struct spot){0, 0, first}, first + 50));
    }
    tm_packer_free(packer);
}
END_TEST

/* Budget ----------------------------------------------------------------------------------- */

struct second_put {
    struct tm_packer *packer;
    struct tm_block *block;
    atomic_bool returned;
};

static void hold_sealer(void *arg)
{
    sem_t *go = arg;
    ck_assert_int_eq(sem_wait(go), 0);
}

static void *put_second(void *arg)
{
    struct second_put *second = arg;
    put(second->packer, second->block);
    atomic_store(&second->returned, true);
    return NULL;
}

START_TEST(put_waits_while_the_budget_is_used_up)
{
    sem_t go;
    ck_assert_int_eq(sem_init(&go, 0, 0), 0);
    tm_pool_submit(pool, hold_sealer, &go);
    tm_pool_submit(pool, hold_sealer, &go);

    struct tm_block *first = make_block((struct spot){0, 0, 0}, 50);
    struct second_put second = {.block = make_block((struct spot){0, 0, 50}, 100)};
    size_t both = tm_block_memory(first) + tm_block_memory(second.block);
    second.packer = make_packer(&small, _i == 0 ? both - 1 : both);
    put(second.packer, first);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, put_second, &second), 0);
    if (_i == 0) {
        tm_sleep_ms(100);
        ck_assert(!atomic_load(&second.returned));
    } else {
        ck_assert_int_eq(pthread_join(thread, NULL), 0); /* there is room: no sealer is needed */
    }
    ck_assert_int_eq(sem_post(&go), 0);
    ck_assert_int_eq(sem_post(&go), 0);
    if (_i == 0) {
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(second.packer, &cut, &err));
    ck_assert_uint_eq(cut.at[0].runs.count, 2);
    tm_packed_list_done(&cut);
    tm_packer_free(second.packer);
    ck_assert_int_eq(sem_destroy(&go), 0);
}
END_TEST

/* A store whose puts wait for the test: a directory's table of functions with two of its own. */
static struct {
    const struct tm_store_ops *real;
    struct tm_store_ops ops;
    sem_t go;
    atomic_int spools;
} slow;

static enum tm_code slow_put(
        struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    ck_assert_int_eq(sem_wait(&slow.go), 0);
    return slow.real->put(store, name, spool, err);
}

static enum tm_code slow_spool(struct tm_store *store, struct tm_spool *out, struct tm_err *err)
{
    (void)atomic_fetch_add(&slow.spools, 1);
    return slow.real->spool_open(store, out, err);
}

static void make_slow(void)
{
    ck_assert_int_eq(sem_init(&slow.go, 0, 0), 0);
    slow.real = rig.store->ops;
    slow.ops = *slow.real;
    slow.ops.put = slow_put;
    slow.ops.spool_open = slow_spool;
    rig.store->ops = &slow.ops;
}

enum { MANY = 40 };

static void *put_many(void *arg)
{
    for (int64_t i = 0; i < MANY; i++) {
        put(arg, make_block((struct spot){0, 0, i * 100}, i * 100 + 100));
    }
    return NULL;
}

START_TEST(packs_that_wait_for_the_store_are_few)
{
    make_slow();
    struct tm_packer *packer = make_packer(&small, 1 << 20);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, put_many, packer), 0);
    while (atomic_load(&slow.spools) < 4) {
        tm_sleep_ms(1);
    }
    tm_sleep_ms(300);
    ck_assert_int_eq(
            atomic_load(&slow.spools), 4); /* closed, each of them, and the first in its put */
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(sem_post(&slow.go), 0);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_gt(cut.count, 4);
    tm_packed_list_done(&cut);
    tm_packer_free(packer);
    ck_assert_int_eq(sem_destroy(&slow.go), 0);
}
END_TEST

/* Failures --------------------------------------------------------------------------------- */

struct put_faults {
    enum tm_store_op op;
    enum tm_store_fault fault;
    int times; /* -1: each time */
};

static enum tm_store_fault fail_op(void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)name;
    (void)count;
    struct put_faults *faults = arg;
    if (op != faults->op || faults->times == 0) {
        return TM_FAULT_NONE;
    }
    faults->times -= faults->times > 0 ? 1 : 0;
    return faults->fault;
}

static const struct {
    enum tm_store_op op;
    enum tm_store_fault fault;
    enum tm_code code;
} failures[] = {
        {TM_OP_SPOOL, TM_FAULT_FULL, TM_E_FULL},
        {TM_OP_SPOOL, TM_FAULT_IO, TM_E_IO},
        {TM_OP_PUT, TM_FAULT_FULL, TM_E_FULL},
        {TM_OP_PUT, TM_FAULT_IO, TM_E_IO},
        {TM_OP_PUT, TM_FAULT_LOST_ACK, TM_E_UNKNOWN},
};

/* Have the vault lie behind a store that fails. */
static struct tm_store *make_failing(struct put_faults *faults)
{
    struct tm_store *store = tm_store_fault_new(rig_open_store(rig.dir), fail_op, faults);
    tm_vault_close(vault);
    vault = rig_open_vault(store);
    tm_vault_set_retry_ms(vault, 0);
    return store;
}

START_TEST(the_first_failure_stays)
{
    struct put_faults faults = {failures[_i].op, failures[_i].fault, -1};
    struct tm_store *store = make_failing(&faults);
    struct tm_packer *packer = make_packer(&small, 100000);
    struct tm_err first = {0};
    enum tm_code code = tm_packer_put(packer, make_block((struct spot){0, 0, 0}, 50), &first);
    tm_packed_list cut = {0};
    if (code == TM_OK) {
        code = tm_packer_cut(packer, &cut, &first);
    }
    ck_assert_int_eq(code, failures[_i].code);

    faults.times = 0; /* too late */
    struct tm_err again = {0};
    ck_assert_int_eq(tm_packer_put(packer, make_block((struct spot){0, 0, 50}, 99), &again), code);
    ck_assert_str_eq(again.msg, first.msg);
    struct tm_err at_cut = {0};
    ck_assert_int_eq(tm_packer_cut(packer, &cut, &at_cut), code);
    ck_assert_str_eq(at_cut.msg, first.msg);
    ck_assert_uint_eq(cut.count, 0);
    tm_packer_free(packer);
    tm_vault_close(TM_TAKE(vault));
    tm_store_free(store);
}
END_TEST

START_TEST(a_failed_put_wakes_who_waits_for_room)
{
    struct put_faults faults = {TM_OP_PUT, TM_FAULT_FULL, -1};
    struct tm_store *store = make_failing(&faults);
    struct tm_packer *packer = make_packer(&small, 1);
    enum tm_code code = TM_OK;
    struct tm_err failed = {0};
    for (int64_t first = 0; code == TM_OK; first += 50) {
        ck_assert_int_lt(first, 100000);
        code = tm_packer_put(packer, make_block((struct spot){0, 0, first}, first + 50), &failed);
    }
    ck_assert_int_eq(code, TM_E_FULL);
    tm_packer_free(packer);
    tm_vault_close(TM_TAKE(vault));
    tm_store_free(store);
}
END_TEST

START_TEST(a_put_whose_answer_is_lost_is_done_again)
{
    struct put_faults faults = {TM_OP_PUT, TM_FAULT_LOST_ACK, 1};
    struct tm_store *store = make_failing(&faults);
    tm_vault_set_retry_ms(vault, 1000);
    struct tm_packer *packer = make_packer(&small, 100000);
    put(packer, make_block((struct spot){0, 0, 0}, 50));
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_int_eq(faults.times, 0);
    check_pack(&cut.at[0]);
    tm_packed_list_done(&cut);
    tm_packer_free(packer);
    tm_vault_close(TM_TAKE(vault));
    tm_store_free(store);
}
END_TEST

/* Damage ----------------------------------------------------------------------------------- */

/* Open a pack and read all its blocks; every record that comes out must be the right one. */
static enum tm_code read_pack(const struct tm_packed *packed, struct tm_err *err)
{
    TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
    enum tm_code code = tm_pack_open(vault, &packed->name, packed->size, &pack, err);
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    for (size_t i = 0; code == TM_OK && i < tm_pack_index(pack)->block_count; i++) {
        code = tm_pack_read_block(pack, i, tools, &view, err);
        const struct tm_block_info *info = &tm_pack_index(pack)->blocks[i];
        for (size_t r = 0; code == TM_OK && r < info->run_count; r++) {
            const struct tm_run *run = &info->runs[r].run;
            check_run_records(&view, r, stream_of(tm_pack_index(pack), run->stream), run);
        }
    }
    tm_block_view_done(&view);
    return code;
}

/* A pack of some blocks; its name and bytes. */
static struct tm_packed pack_of(int64_t blocks, int64_t records, struct tm_buf *bytes)
{
    TM_OWN(tm_packer_free)
    struct tm_packer *packer = make_packer(&tm_block_params_default, 1 << 20);
    for (int64_t i = 0; i < blocks; i++) {
        put(packer, make_block((struct spot){0, 0, i * records}, (i + 1) * records));
    }
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_eq(cut.count, 1);
    struct tm_packed packed = cut.at[0];
    cut.at[0] = (struct tm_packed){0};
    tm_packed_list_done(&cut);
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packed.name, name);
    ck_assert_tm_ok(tm_store_get(rig.store, name, TM_PACK_BYTES_MAX, bytes, &err));
    return packed;
}

static void expect_damage(const struct tm_packed *packed, const char *name, size_t byte)
{
    struct tm_err err = {0};
    enum tm_code code = read_pack(packed, &err);
    ck_assert_msg(code != TM_OK, "flipped byte %zu was not found", byte);
    ck_assert_msg(strncmp(err.msg, name, strlen(name)) == 0, "byte %zu: %s", byte, err.msg);
}

/* A small pack is read from its tail alone, a larger one by several gets. */
START_TEST(every_flipped_byte_of_a_pack_is_found_and_named)
{
    TM_BUF_OWN struct tm_buf bytes = {0};
    struct tm_packed packed = pack_of(_i == 0 ? 2 : 20, _i == 0 ? 6 : 100, &bytes);
    ck_assert(_i == 0 ? bytes.len < 65536 : bytes.len > 2 * 65536);
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packed.name, name);
    char path[256];
    rig_path(&rig, name, path);
    ck_assert_int_eq(chmod(path, 0600), 0);
    size_t step = _i == 0 ? 1 : 4001;
    for (size_t i = 0; i < bytes.len; i += step) {
        bytes.at[i] ^= (uint8_t)(1U << (i % 8));
        rig_write(&rig, name, bytes.at, bytes.len);
        expect_damage(&packed, name, i);
        bytes.at[i] ^= (uint8_t)(1U << (i % 8));
    }
    rig_write(&rig, name, bytes.at, bytes.len);
    ck_assert_tm_ok(read_pack(&packed, &err));
    tm_vec_done(&packed.runs);
}
END_TEST

START_TEST(a_pack_of_another_size_is_damaged)
{
    TM_BUF_OWN struct tm_buf bytes = {0};
    struct tm_packed packed = pack_of(1, 10, &bytes);
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packed.name, name);
    tm_buf_add_u8(&bytes, 0);
    size_t len = _i == 0 ? bytes.len : bytes.len - 2;
    rig_write(&rig, name, bytes.at, len);
    struct tm_err err = {0};
    ck_assert_int_eq(read_pack(&packed, &err), TM_E_CORRUPT);
    char message[TM_ERR_MSG_MAX];
    (void)snprintf(
            message, sizeof(message), "%s: has %zu bytes, not %zu", name, len, bytes.len - 1);
    ck_assert_str_eq(err.msg, message);
    tm_vec_done(&packed.runs);
}
END_TEST

START_TEST(a_pack_that_is_gone_is_missing)
{
    TM_BUF_OWN struct tm_buf bytes = {0};
    struct tm_packed packed = pack_of(1, 10, &bytes);
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packed.name, name);
    ck_assert_tm_ok(tm_store_remove(rig.store, name, &err));
    struct tm_err gone = {0};
    ck_assert_int_eq(read_pack(&packed, &gone), TM_E_MISSING);
    ck_assert_ptr_nonnull(strstr(gone.msg, name));
    tm_vec_done(&packed.runs);
}
END_TEST

/* A host whose key opens a writer's slot may see what a pack holds, and read none of it. */
START_TEST(a_writers_ring_reads_the_index_and_no_block)
{
    TM_BUF_OWN struct tm_buf bytes = {0};
    struct tm_packed packed = pack_of(1, 10, &bytes);
    const uint8_t file[TM_KEY_FILE_BYTES] = {42};
    struct tm_secret secret = {TM_SECRET_KEY_FILE, {file, sizeof(file)}};
    TM_BUF_OWN struct tm_buf slot = {0};
    ck_assert_tm_ok(tm_slot_encode(
            tm_vault_ring(vault), tm_vault_id(vault), &secret, true, false, &slot, &err));
    ck_assert_tm_ok(tm_store_create(rig.store, "key/0000000000000001", tm_buf_slice(&slot), &err));
    tm_vault_close(vault);
    ck_assert_tm_ok(tm_vault_open(rig.store, &secret, "writer", &vault, &err));

    TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
    ck_assert_tm_ok(tm_pack_open(vault, &packed.name, packed.size, &pack, &err));
    ck_assert_uint_eq(tm_pack_index(pack)->block_count, 1);
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    struct tm_err refused = {0};
    ck_assert_int_eq(tm_pack_read_block(pack, 0, tools, &view, &refused), TM_E_KEY);
    ck_assert_ptr_nonnull(strstr(refused.msg, ": block 0: "));
    tm_vec_done(&packed.runs);
}
END_TEST

/* Foreign content -------------------------------------------------------------------------- */

/* A solo block of one record: it has a content id. */
static struct tm_block *make_solo(int64_t offset, const char *value, size_t len)
{
    struct tm_block *block = tm_block_new(tm_vault_ring(vault), &small, 100);
    tm_block_begin(block, 0, offset);
    struct tm_record record = {
            .offset = offset,
            .timestamp_ms = offset,
            .timestamp_type = TM_TIMESTAMP_CREATE,
            .leader_epoch = -1,
            .value = tm_slice_of(value, len),
    };
    ck_assert(tm_block_add(block, &record));
    return block;
}

/* Seal a block of which the content may be left out. */
static struct tm_sealed seal_block(
        const struct tm_block *block, const struct tm_data_key *key, uint64_t counter, bool foreign)
{
    struct tm_seal_options options = {
            .vault_id = tm_vault_id(vault),
            .key = key,
            .counter = counter,
            .level = 1,
            .foreign = foreign,
    };
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_sealed sealed = {0};
    ck_assert_tm_ok(tm_block_seal(block, &options, tools, &sealed, &err));
    return sealed;
}

static void store_pack(struct tm_slice bytes, struct tm_packed *out)
{
    *out = (struct tm_packed){.name = tm_sha256_of(bytes), .size = bytes.len};
    struct tm_spool spool;
    ck_assert_tm_ok(tm_store_spool_open(rig.store, &spool, &err));
    ck_assert_int_eq(write(spool.fd, bytes.at, bytes.len), (ssize_t)bytes.len);
    spool.size = bytes.len;
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&out->name, name);
    ck_assert_tm_ok(tm_store_put(rig.store, name, &spool, &err));
    tm_store_spool_drop(rig.store, &spool);
}

/*
 * A pack with a whole block, the same content again (dep 0), and content that is in `dep` (dep 1): all
 * as runs of one record at offsets 0, 1 and 2.
 */
static struct tm_packed pack_with_foreign(
        const struct tm_hash *dep, const char *own, const char *other, size_t len)
{
    struct tm_pack_key key = {.epoch = 1};
    TM_OWN(tm_data_key_free)
    struct tm_data_key *data_key = tm_data_key_new(tm_vault_ring(vault), 1, key.stored);
    TM_BUF_OWN struct tm_buf bytes = {0};
    tm_pack_header_encode(tm_vault_id(vault), &key, 1, &bytes);
    TM_BUF_OWN struct tm_buf header = {0};
    tm_buf_add(&header, bytes.at, bytes.len);

    const char *values[] = {own, own, other};
    struct tm_sealed sealed[LENGTH(values)];
    struct tm_block_info infos[LENGTH(values)];
    for (size_t i = 0; i < LENGTH(values); i++) {
        TM_OWN(tm_block_free) struct tm_block *block = make_solo((int64_t)i, values[i], len);
        sealed[i] = seal_block(block, data_key, 2 * i, i > 0);
        sealed[i].info.positions.offset = bytes.len;
        tm_buf_add(&bytes, sealed[i].positions.at, sealed[i].positions.len);
        sealed[i].info.content.offset = bytes.len;
        tm_buf_add(&bytes, sealed[i].content.at, sealed[i].content.len);
        sealed[i].info.runs[0].run.stream = 1;
        sealed[i].info.dep = i == 2 ? 1 : 0;
        infos[i] = sealed[i].info;
    }
    struct tm_pack_stream stream = {1, tm_slice_str("cluster"), tm_slice_str("topic-0"), 1};
    struct tm_hash deps[] = {*dep};
    struct tm_pack_index index = {
            .streams = &stream,
            .stream_count = 1,
            .deps = deps,
            .dep_count = 1,
            .blocks = infos,
            .block_count = LENGTH(infos),
    };
    tm_pack_index_encode(&index, tm_vault_ring(vault), tm_buf_slice(&header), &bytes);
    for (size_t i = 0; i < LENGTH(sealed); i++) {
        tm_sealed_done(&sealed[i]);
    }
    struct tm_packed packed;
    store_pack(tm_buf_slice(&bytes), &packed);
    return packed;
}

START_TEST(foreign_content_is_found_in_the_pack_or_its_dep)
{
    enum { LEN = 9000 };
    char own[LEN];
    char other[LEN];
    memset(own, 'o', sizeof(own));
    memset(other, _i == 2 ? 'x' : 'e', sizeof(other));

    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&small, 100000);
    char in_dep[LEN];
    memset(in_dep, 'e', sizeof(in_dep));
    put(packer, make_solo(0, in_dep, LEN));
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    struct tm_packed packed = pack_with_foreign(&cut.at[0].name, own, other, LEN);
    char dep_name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&cut.at[0].name, dep_name);
    if (_i == 1) {
        ck_assert_tm_ok(tm_store_remove(rig.store, dep_name, &err));
    }
    tm_packed_list_done(&cut);

    TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
    ck_assert_tm_ok(tm_pack_open(vault, &packed.name, packed.size, &pack, &err));
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    const enum tm_code last[] = {TM_OK, TM_E_MISSING, TM_E_CORRUPT};
    for (size_t i = 0; i < 3; i++) {
        struct tm_err err = {0};
        enum tm_code code = tm_pack_read_block(pack, i, tools, &view, &err);
        ck_assert_msg(code == (i < 2 ? TM_OK : last[_i]), "block %zu: %s", i, err.msg);
        ck_assert(code == TM_OK || strstr(err.msg, dep_name) != NULL);
        struct tm_block_iter iter = {0};
        struct tm_record record = {0};
        if (code == TM_OK) {
            tm_block_iter_init(&iter, &view, 0);
            ck_assert(tm_block_iter_next(&iter, &record));
            ck_assert_int_eq(record.offset, (int64_t)i);
            ck_assert(tm_slice_eq(record.value, tm_slice_of(i < 2 ? own : other, LEN)));
            tm_block_iter_done(&iter);
        }
    }
    tm_block_view_done(&view);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("packer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_record_comes_back_and_each_cut_is_a_prefix, 0, 2);
    tcase_add_test(tcase, a_pack_closes_at_its_target);
    tcase_add_test(tcase, runs_of_several_partitions_share_a_block);
    tcase_add_test(tcase, pending_bytes_are_those_since_the_last_cut);
    tcase_add_test(tcase, what_no_cut_took_is_dropped);
    tcase_add_loop_test(tcase, put_waits_while_the_budget_is_used_up, 0, 2);
    tcase_add_test(tcase, packs_that_wait_for_the_store_are_few);
    tcase_add_loop_test(tcase, the_first_failure_stays, 0, (int)LENGTH(failures));
    tcase_add_test(tcase, a_failed_put_wakes_who_waits_for_room);
    tcase_add_test(tcase, a_put_whose_answer_is_lost_is_done_again);
    tcase_add_loop_test(tcase, every_flipped_byte_of_a_pack_is_found_and_named, 0, 2);
    tcase_add_loop_test(tcase, a_pack_of_another_size_is_damaged, 0, 2);
    tcase_add_test(tcase, a_pack_that_is_gone_is_missing);
    tcase_add_test(tcase, a_writers_ring_reads_the_index_and_no_block);
    tcase_add_loop_test(tcase, foreign_content_is_found_in_the_pack_or_its_dep, 0, 3);

    Suite *suite = suite_create("packer");
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
