/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/packer.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/pool.h"
#include "vault/own_ids.h"
#include "vault/pack_writer.h"

enum {
    /* Packs closed but not yet in the store: what lies in the spool's file system is bounded. */
    UNSTORED_MAX = 4,
    /* What a pack may hold at worst, so that with its index it stays below TM_PACK_BYTES_MAX. */
    PACK_ROOM = TM_PACK_BYTES_MAX - (128 << 20),
    /* A record's place in a positions frame, and a block's or run's row, at worst. */
    RECORD_BYTES = 21,
    ROW_BYTES = 256,
};

enum pack_state {
    PACK_OPEN,   /* takes blocks */
    PACK_CLOSED, /* takes no more; some may still be with a sealer */
    PACK_STORED,
};

struct pack {
    enum pack_state state;
    struct tm_pack_writer *writer; /* NULL once stored */
    TM_VEC(struct tm_pack_stream) streams;
    struct tm_packed packed; /* name, size, time and deps when stored */
    uint64_t counter;        /* next free nonce */
    uint64_t worst;          /* bytes, if nothing compresses */
    size_t put_bytes;        /* of content */
    size_t sealing;          /* blocks put and not yet written */
};

struct stream {
    uint32_t number; /* the caller's */
    struct tm_pack_stream names;
    uint64_t in; /* number of the newest pack that has it, */
    uint32_t id; /* and its own number there */
};

struct tm_packer {
    struct tm_packer_options options;
    pthread_t uploader;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    TM_VEC(struct stream) streams; /* sorted by number */
    struct tm_arena arena;         /* of their names: they stay where they are */
    TM_VEC(struct pack *) packs;   /* begun and not given by a cut, in the order they were begun */
    uint64_t begun;                /* packs, ever */
    struct pack *open;             /* the last of them, or NULL */
    struct tm_own_packs own;       /* what its own packs hold, until told to settle */
    TM_VEC(struct tm_block_tools *) tools; /* not in use */
    size_t in_flight;                      /* bytes of blocks */
    size_t jobs;                           /* blocks with a sealer, or waiting for one */
    size_t unstored;                       /* packs closed and not stored */
    bool stopping;
    struct tm_err failure; /* the first; code TM_OK: none */
    atomic_size_t stored_bytes;
    atomic_size_t pending_bytes;
};

/* A block on its way through a sealer. */
struct job {
    struct tm_packer *packer;
    struct pack *pack;
    struct tm_block *block;
    uint32_t stream; /* in the pack */
    uint64_t counter;
    size_t memory;
    bool has_id;
    struct tm_hash id; /* of its content, which is */
    bool foreign;      /* in */
    uint32_t dep;      /* that pack, by the writer's number; 0: the same one */
};

/* What is known of a block's content before it goes into a pack. */
struct content {
    bool has_id;
    struct tm_hash id;
    bool found; /* by the look-up, in `pack` */
    struct tm_hash pack;
};

static void lock(struct tm_packer *packer)
{
    (void)pthread_mutex_lock(&packer->lock);
}

static void unlock(struct tm_packer *packer)
{
    (void)pthread_mutex_unlock(&packer->lock);
}

/* Every function from here to the sealers needs the lock. */

static void wait_for_change(struct tm_packer *packer)
{
    tm_pool_rest();
    (void)pthread_cond_wait(&packer->changed, &packer->lock);
    tm_pool_beat();
}

static void tell_change(struct tm_packer *packer)
{
    (void)pthread_cond_broadcast(&packer->changed);
}

static void fail(struct tm_packer *packer, const struct tm_err *err)
{
    if (packer->failure.code == TM_OK) {
        packer->failure = *err;
    }
}

static bool has_failed(const struct tm_packer *packer)
{
    return packer->failure.code != TM_OK;
}

static void close_pack(struct tm_packer *packer)
{
    packer->open->state = PACK_CLOSED;
    packer->open = NULL;
    packer->unstored++;
}

static void free_pack(struct pack *pack)
{
    tm_pack_writer_free(pack->writer);
    tm_vec_done(&pack->streams);
    tm_packed_done(&pack->packed);
    free(pack);
}

/* Index of the first stream at or above `number`. */
static size_t find_stream(const struct tm_packer *packer, uint32_t number)
{
    size_t low = 0;
    size_t high = packer->streams.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (packer->streams.at[mid].number < number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool is_stream(const struct tm_packer *packer, size_t index, uint32_t number)
{
    return index < packer->streams.count && packer->streams.at[index].number == number;
}

/* The number of the stream within the pack; a stream new to it gets the next one. */
static uint32_t stream_in_pack(struct tm_packer *packer, struct pack *pack, uint32_t number)
{
    size_t index = find_stream(packer, number);
    tm_assert(is_stream(packer, index, number));
    struct stream *stream = &packer->streams.at[index];
    if (stream->in != pack->packed.number) {
        stream->in = pack->packed.number;
        stream->id = (uint32_t)pack->streams.count + 1;
        struct tm_pack_stream names = stream->names;
        names.id = stream->id;
        *tm_vec_push(&pack->streams) = names;
    }
    return stream->id;
}

static uint64_t worst_bytes(const struct tm_block *block)
{
    return tm_block_bytes(block) + RECORD_BYTES * (uint64_t)tm_block_records(block) +
           ROW_BYTES * (1 + (uint64_t)tm_block_runs(block));
}

/* May the block not go in yet? Closes the open pack when it is the one without room. */
static bool must_wait(struct tm_packer *packer, const struct tm_block *block)
{
    if (packer->in_flight > 0 &&
            packer->in_flight + tm_block_memory(block) > packer->options.budget_bytes) {
        return true;
    }
    if (packer->open != NULL && packer->open->worst + worst_bytes(block) > PACK_ROOM) {
        close_pack(packer);
        tell_change(packer);
    }
    return packer->open == NULL && packer->unstored >= UNSTORED_MAX;
}

static enum tm_code wait_for_room(
        struct tm_packer *packer, const struct tm_block *block, struct tm_err *err)
{
    while (!has_failed(packer) && must_wait(packer, block)) {
        wait_for_change(packer);
    }
    if (has_failed(packer)) {
        *err = packer->failure;
        return err->code;
    }
    return TM_OK;
}

static enum tm_code begin_pack(struct tm_packer *packer, struct tm_err *err)
{
    struct tm_pack_writer *writer = NULL;
    enum tm_code code = tm_pack_writer_open(packer->options.vault, &writer, err);
    if (code != TM_OK) {
        fail(packer, err);
        tell_change(packer);
        return code;
    }
    struct pack *pack = tm_xalloc(1, sizeof(*pack));
    pack->packed.number = ++packer->begun;
    pack->writer = writer;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    *tm_vec_push(&packer->packs) = pack;
    packer->open = pack;
    return TM_OK;
}

/* Does the block refer to content elsewhere (packer.h says where that may be)? Else it holds its own. */
static void settle_content(struct tm_packer *packer, const struct content *content, struct job *job)
{
    struct pack *pack = job->pack;
    if (!content->has_id) {
        return;
    }
    job->has_id = true;
    job->id = content->id;
    uint64_t number = tm_own_ids_find(&packer->own.ids, &content->id);
    const struct tm_hash *holder = number > 0 ? tm_own_packs_name_of(&packer->own, number) : NULL;
    if (holder == NULL && content->found) {
        holder = &content->pack;
    }
    if (number == pack->packed.number) {
        job->foreign = true;
    } else if (holder != NULL) {
        job->foreign = true;
        job->dep = tm_pack_writer_dep(pack->writer, holder);
    } else {
        tm_own_ids_add(&packer->own.ids, &content->id, pack->packed.number);
        *tm_vec_push(&pack->packed.ids) = content->id;
    }
    pack->packed.deduplicated_bytes += job->foreign ? (int64_t)tm_block_bytes(job->block) : 0;
}

/* Enter the block into the open pack. */
static struct job *enter_block(
        struct tm_packer *packer, struct tm_block *block, const struct content *content)
{
    struct pack *pack = packer->open;
    struct job *job = tm_xalloc(1, sizeof(*job));
    *job = (struct job){
            .packer = packer,
            .pack = pack,
            .block = block,
            .stream = stream_in_pack(packer, pack, tm_block_stream(block)),
            .counter = pack->counter,
            .memory = tm_block_memory(block),
    };
    settle_content(packer, content, job);
    for (size_t i = 0; i < tm_block_runs(block); i++) {
        *tm_vec_push(&pack->packed.runs) = (struct tm_packed_run){
                .run = tm_block_run(block, i),
                .tail = tm_block_tail(block, i),
        };
    }
    pack->counter += 2;
    pack->worst += worst_bytes(block);
    pack->put_bytes += tm_block_bytes(block);
    pack->sealing++;
    packer->jobs++;
    packer->in_flight += job->memory;
    (void)atomic_fetch_add(&packer->pending_bytes, tm_block_bytes(block));
    return job;
}

static struct tm_block_tools *take_tools(struct tm_packer *packer)
{
    if (packer->tools.count == 0) {
        return tm_block_tools_new();
    }
    return packer->tools.at[--packer->tools.count];
}

/* Sealers ---------------------------------------------------------------------------------- */

static enum tm_code seal(struct job *job, struct tm_block_tools *tools, struct tm_err *err)
{
    struct tm_packer *packer = job->packer;
    struct pack *pack = job->pack;
    struct tm_seal_options options = {
            .vault_id = tm_vault_id(packer->options.vault),
            .key = tm_pack_writer_key(pack->writer),
            .counter = job->counter,
            .level = packer->options.level,
            .foreign = job->foreign,
            .content_id = job->has_id ? &job->id : NULL,
    };
    struct tm_sealed sealed = {0};
    enum tm_code code = tm_block_seal(job->block, &options, tools, &sealed, err);
    if (code == TM_OK) {
        sealed.info.dep = job->dep;
        lock(packer);
        uint64_t offset = tm_pack_writer_place(pack->writer, &sealed, job->stream);
        unlock(packer);
        code = tm_pack_writer_write(pack->writer, offset, &sealed, err);
    }
    tm_sealed_done(&sealed);
    return code;
}

static void seal_job(void *arg)
{
    struct job *job = arg;
    struct tm_packer *packer = job->packer;
    lock(packer);
    struct tm_block_tools *tools = take_tools(packer);
    bool go_on = !has_failed(packer) && !packer->stopping;
    unlock(packer);

    struct tm_err err = {0};
    enum tm_code code = go_on ? seal(job, tools, &err) : TM_OK;
    tm_block_free(job->block);

    lock(packer);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    *tm_vec_push(&packer->tools) = tools;
    if (code != TM_OK) {
        fail(packer, &err);
    }
    struct pack *pack = job->pack;
    pack->sealing--;
    if (packer->open == pack &&
            tm_pack_writer_bytes(pack->writer) >= packer->options.params.pack_target) {
        close_pack(packer);
    }
    packer->in_flight -= job->memory;
    packer->jobs--;
    tell_change(packer);
    unlock(packer); /* the packer may be freed from here on */
    free(job);
}

/* Without the lock: a look-up may take its time. */
static enum tm_code look_up(struct tm_packer *packer, const struct tm_block *block,
        struct content *out, struct tm_err *err)
{
    const struct tm_content_lookup *lookup = &packer->options.lookup;
    out->has_id = tm_block_content_id(block, &out->id);
    if (!out->has_id || lookup->find == NULL) {
        return TM_OK;
    }
    return lookup->find(lookup->self, &out->id, &out->found, &out->pack, err);
}

enum tm_code tm_packer_put(struct tm_packer *packer, struct tm_block *block, struct tm_err *err)
{
    tm_assert(tm_block_records(block) > 0);
    struct content content = {0};
    enum tm_code code = look_up(packer, block, &content, err);
    lock(packer);
    if (code == TM_OK) {
        code = wait_for_room(packer, block, err);
    } else {
        fail(packer, err);
        tell_change(packer);
    }
    if (code == TM_OK && packer->open == NULL) {
        code = begin_pack(packer, err);
    }
    struct job *job = code == TM_OK ? enter_block(packer, block, &content) : NULL;
    unlock(packer);
    if (code != TM_OK) {
        tm_block_free(block);
        return code;
    }
    tm_pool_submit(packer->options.sealers, seal_job, job);
    return TM_OK;
}

/* Uploader --------------------------------------------------------------------------------- */

static struct pack *next_ready(const struct tm_packer *packer)
{
    for (size_t i = 0; i < packer->packs.count; i++) {
        struct pack *pack = packer->packs.at[i];
        if (pack->state == PACK_CLOSED && pack->sealing == 0) {
            return pack;
        }
    }
    return NULL;
}

/* Without the lock: a pack that is closed and sealed belongs to the uploader alone. */
static enum tm_code store_pack(struct pack *pack, struct tm_err *err)
{
    struct tm_packed *packed = &pack->packed;
    enum tm_code code = tm_pack_writer_finish(
            pack->writer, pack->streams.at, pack->streams.count, &packed->name, &packed->size, err);
    if (code == TM_OK) {
        packed->stored_ms = tm_now_ms();
        size_t count = 0;
        const struct tm_hash *deps = tm_pack_writer_deps(pack->writer, &count);
        for (size_t i = 0; i < count; i++) {
            *tm_vec_push(&packed->deps) = deps[i];
        }
        tm_pack_writer_free(pack->writer);
        pack->writer = NULL;
    }
    return code;
}

static void *upload(void *arg)
{
    struct tm_packer *packer = arg;
    lock(packer);
    while (!packer->stopping) {
        struct pack *pack = has_failed(packer) ? NULL : next_ready(packer);
        if (pack == NULL) {
            wait_for_change(packer);
            continue;
        }
        unlock(packer);
        struct tm_err err = {0};
        enum tm_code code = store_pack(pack, &err);
        lock(packer);
        if (code == TM_OK) {
            pack->state = PACK_STORED;
            tm_own_packs_name(&packer->own, pack->packed.number, &pack->packed.name);
            packer->unstored--;
            (void)atomic_fetch_add(&packer->stored_bytes, (size_t)pack->packed.size);
        } else {
            fail(packer, &err);
        }
        tell_change(packer);
    }
    unlock(packer);
    return NULL;
}

/* Cuts ------------------------------------------------------------------------------------- */

static bool are_stored(const struct tm_packer *packer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (packer->packs.at[i]->state != PACK_STORED) {
            return false;
        }
    }
    return true;
}

/* Hand over the first `count` packs. */
static void give(struct tm_packer *packer, size_t count, tm_packed_list *out)
{
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct pack *pack = packer->packs.at[i];
        *tm_vec_push(out) = pack->packed;
        pack->packed = (struct tm_packed){0};
        (void)atomic_fetch_sub(&packer->pending_bytes, pack->put_bytes);
        free_pack(pack);
    }
    packer->packs.count -= count;
    for (size_t i = 0; i < packer->packs.count; i++) {
        packer->packs.at[i] = packer->packs.at[i + count];
    }
}

enum tm_code tm_packer_cut(struct tm_packer *packer, tm_packed_list *out, struct tm_err *err)
{
    lock(packer);
    if (packer->open != NULL) {
        close_pack(packer);
        tell_change(packer);
    }
    size_t count = packer->packs.count;
    while (!has_failed(packer) && !are_stored(packer, count)) {
        wait_for_change(packer);
    }
    enum tm_code code = packer->failure.code;
    if (code == TM_OK) {
        give(packer, count, out);
    } else {
        *err = packer->failure;
    }
    unlock(packer);
    return code;
}

void tm_packed_done(struct tm_packed *packed)
{
    tm_vec_done(&packed->runs);
    tm_vec_done(&packed->deps);
    tm_vec_done(&packed->ids);
}

void tm_packed_list_done(tm_packed_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        tm_packed_done(&list->at[i]);
    }
    tm_vec_done(list);
}

void tm_packer_settle(struct tm_packer *packer, uint64_t number)
{
    lock(packer);
    tm_own_packs_forget(&packer->own, number);
    unlock(packer);
}

/* The packer ------------------------------------------------------------------------------- */

struct tm_packer *tm_packer_new(const struct tm_packer_options *options)
{
    struct tm_packer *packer = tm_xalloc(1, sizeof(*packer));
    packer->options = *options;
    tm_assert(pthread_mutex_init(&packer->lock, NULL) == 0);
    tm_assert(pthread_cond_init(&packer->changed, NULL) == 0);
    tm_assert(pthread_create(&packer->uploader, NULL, upload, packer) == 0);
    return packer;
}

void tm_packer_free(struct tm_packer *packer)
{
    if (packer == NULL) {
        return;
    }
    lock(packer);
    packer->stopping = true;
    tell_change(packer);
    while (packer->jobs > 0) {
        wait_for_change(packer);
    }
    unlock(packer);
    (void)pthread_join(packer->uploader, NULL);

    for (size_t i = 0; i < packer->packs.count; i++) {
        free_pack(packer->packs.at[i]);
    }
    tm_vec_done(&packer->packs);
    for (size_t i = 0; i < packer->tools.count; i++) {
        tm_block_tools_free(packer->tools.at[i]);
    }
    tm_vec_done(&packer->tools);
    tm_vec_done(&packer->streams);
    tm_own_packs_done(&packer->own);
    tm_arena_done(&packer->arena);
    (void)pthread_cond_destroy(&packer->changed);
    (void)pthread_mutex_destroy(&packer->lock);
    free(packer);
}

void tm_packer_add_stream(struct tm_packer *packer, uint32_t stream, struct tm_slice cluster_id,
        struct tm_slice topic, uint32_t incarnation)
{
    lock(packer);
    size_t index = find_stream(packer, stream);
    tm_assert(!is_stream(packer, index, stream));
    (void)tm_vec_push(&packer->streams);
    struct stream *at = packer->streams.at + index;
    memmove(at + 1, at, (packer->streams.count - 1 - index) * sizeof(*at));
    *at = (struct stream){
            .number = stream,
            .names.cluster_id = tm_arena_dup(&packer->arena, cluster_id),
            .names.topic = tm_arena_dup(&packer->arena, topic),
            .names.incarnation = incarnation,
    };
    unlock(packer);
}

size_t tm_packer_stored_bytes(const struct tm_packer *packer)
{
    return atomic_load(&packer->stored_bytes);
}

size_t tm_packer_pending_bytes(const struct tm_packer *packer)
{
    return atomic_load(&packer->pending_bytes);
}
