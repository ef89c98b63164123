/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "job/pack_cache.h"
#include "job/verify_run.h"

enum { WINDOW_BYTES = 8 << 20 }; /* read at once of a pack that is opened from end to end */

/* Shared by the tasks. */
struct blocks {
    struct verify_run *run;
    struct verify_scope scope;   /* of the point */
    struct tm_pack_cache *cache; /* packs that are looked at, and those they refer to */
    bool *seen; /* by place in run->streams: a block of it was chosen; job's thread */
    pthread_mutex_t lock;
    pthread_cond_t room;
    size_t in_use; /* memory of blocks that are open; under `lock` */
};

/* Memory ----------------------------------------------------------------------------------- */

static size_t cost_of(const struct tm_block_info *info)
{
    uint64_t bytes = info->positions.raw + info->positions.stored + info->content.stored;
    for (size_t r = 0; r < info->run_count; r++) {
        bytes += (uint64_t)info->runs[r].run.bytes;
    }
    return (size_t)bytes;
}

/* Wait for room in the job's memory; one block goes through, however large. */
static void take_room(struct blocks *blocks, size_t cost)
{
    size_t limit = blocks->run->env->memory_bytes;
    pthread_mutex_lock(&blocks->lock);
    while (blocks->in_use > 0 && blocks->in_use + cost > limit) {
        tm_pool_rest();
        pthread_cond_wait(&blocks->room, &blocks->lock);
        tm_pool_beat();
    }
    blocks->in_use += cost;
    pthread_mutex_unlock(&blocks->lock);
}

static void give_room(struct blocks *blocks, size_t cost)
{
    pthread_mutex_lock(&blocks->lock);
    blocks->in_use -= cost;
    pthread_cond_broadcast(&blocks->room);
    pthread_mutex_unlock(&blocks->lock);
}

/* Choosing --------------------------------------------------------------------------------- */

/* A number that follows from the seed, a pack and a block (the finaliser of splitmix64). */
static uint64_t lot(uint64_t seed, const struct tm_hash *pack, size_t block)
{
    uint64_t x = seed + 0x9e3779b97f4a7c15U * (block + 1);
    for (size_t i = 0; i < sizeof(x); i++) {
        x ^= (uint64_t)pack->bytes[i] << (8 * i);
    }
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static bool meets(const struct verify_scope *scope, const struct tm_run *run)
{
    size_t low = 0;
    size_t high = scope->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct tm_row_part *part = &scope->parts[mid];
        if (part->stream == run->stream && part->partition == run->partition) {
            return part->start < run->first + run->length && part->end > run->first;
        }
        bool before = part->stream != run->stream ? part->stream < run->stream
                                                  : part->partition < run->partition;
        low = before ? mid + 1 : low;
        high = before ? high : mid;
    }
    return false;
}

/* The log's ids of the streams of an index, by the pack's own number; 0: the log has none. */
struct stream_ids {
    const struct tm_pack_index *index;
    uint32_t *at; /* in the order of index->streams */
};

static uint32_t id_of(const struct stream_ids *ids, uint32_t number)
{
    for (size_t i = 0; i < ids->index->stream_count; i++) {
        if (ids->index->streams[i].id == number) {
            return ids->at[i];
        }
    }
    return 0;
}

static struct stream_ids read_ids(struct verify_task *task, const struct tm_pack_index *index)
{
    struct stream_ids ids = {
            index, tm_arena_alloc(&task->arena, index->stream_count + 1, sizeof(uint32_t))};
    for (size_t i = 0; i < index->stream_count; i++) {
        ids.at[i] = tm_verify_stream_id(task->run, &index->streams[i]);
    }
    return ids;
}

/* The block's runs under the log's streams; those of streams that the log has. */
static size_t runs_of(const struct stream_ids *ids, const struct tm_block_info *info,
        struct tm_arena *arena, struct tm_run **out)
{
    struct tm_run *runs = tm_arena_alloc(arena, info->run_count + 1, sizeof(*runs));
    size_t count = 0;
    for (size_t r = 0; r < info->run_count; r++) {
        runs[count] = info->runs[r].run;
        runs[count].stream = id_of(ids, info->runs[r].run.stream);
        count += runs[count].stream != 0 ? 1 : 0;
    }
    *out = runs;
    return count;
}

/* Choose blocks: those of the scope, and of a sample those that drew a lot. */
static bool *choose(struct verify_task *task, const struct stream_ids *ids)
{
    const struct tm_verify_options *options = task->run->options;
    const struct tm_pack_index *index = ids->index;
    bool *chosen = tm_arena_alloc(&task->arena, index->block_count + 1, sizeof(*chosen));
    bool sample = options->depth == TM_VERIFY_SAMPLE;
    double bound = ldexp(options->sample_ratio, 64);
    uint64_t *lots = tm_arena_alloc(&task->arena, index->block_count + 1, sizeof(*lots));
    for (size_t b = 0; b < index->block_count; b++) {
        struct tm_run *runs = NULL;
        size_t count = runs_of(ids, &index->blocks[b], &task->arena, &runs);
        bool within = task->scope == NULL;
        for (size_t r = 0; r < count && !within; r++) {
            within = meets(task->scope, &runs[r]);
        }
        lots[b] = lot(task->run->result->sample_seed, &task->pack.name, b);
        chosen[b] = within && (!sample || (double)lots[b] < bound);
        lots[b] = within && count > 0 ? lots[b] : UINT64_MAX;
    }
    for (size_t i = 0; i < task->streams_due_count; i++) {
        size_t least = SIZE_MAX;
        for (size_t b = 0; b < index->block_count; b++) {
            const struct tm_block_info *info = &index->blocks[b];
            bool of_stream = lots[b] != UINT64_MAX &&
                             id_of(ids, info->runs[0].run.stream) == task->streams_due[i];
            if (of_stream && (least == SIZE_MAX || lots[b] < lots[least])) {
                least = b;
            }
        }
        if (least != SIZE_MAX) {
            chosen[least] = true;
        }
    }
    return chosen;
}

/* The index against the log ---------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct tm_run *x = a;
    const struct tm_run *y = b;
    int order = (x->stream > y->stream) - (x->stream < y->stream);
    order = order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
    return order != 0 ? order : (x->first > y->first) - (x->first < y->first);
}

/* Does `at` begin the stretch of `run` that is still open, or go on with it? */
static bool is_part(const struct tm_run *run, const struct tm_run *at)
{
    return at->stream == run->stream && at->partition == run->partition &&
           at->first >= run->first && at->first + at->length <= run->first + run->length;
}

static bool is_same(const struct tm_run *a, const struct tm_run *b)
{
    return a->length == b->length && a->count == b->count && a->bytes == b->bytes &&
           a->largest == b->largest && a->ts_min == b->ts_min && a->ts_max == b->ts_max;
}

/* Join the runs of blocks that lie within a run of the log; they must give just that run. */
static bool holds_run(
        const struct tm_run *run, const struct tm_run *blocks, size_t count, size_t *next)
{
    struct tm_run sum = {.ts_min = INT64_MAX, .ts_max = INT64_MIN};
    int64_t end = run->first;
    while (*next < count && by_place(&blocks[*next], run) < 0) {
        (*next)++; /* not in the log: of a stream that was begun anew while it was read */
    }
    for (; *next < count && is_part(run, &blocks[*next]); (*next)++) {
        const struct tm_run *at = &blocks[*next];
        if (at->first != end) {
            return false;
        }
        end += at->length;
        sum.length += at->length;
        sum.count += at->count;
        sum.bytes += at->bytes;
        sum.largest = at->largest > sum.largest ? at->largest : sum.largest;
        sum.ts_min = at->ts_min < sum.ts_min ? at->ts_min : sum.ts_min;
        sum.ts_max = at->ts_max > sum.ts_max ? at->ts_max : sum.ts_max;
    }
    return is_same(run, &sum);
}

static void check_index(struct verify_task *task, const struct stream_ids *ids)
{
    const struct tm_pack_index *index = ids->index;
    TM_VEC(struct tm_run) blocks = {0};
    for (size_t b = 0; b < index->block_count; b++) {
        struct tm_run *runs = NULL;
        size_t count = runs_of(ids, &index->blocks[b], &task->arena, &runs);
        for (size_t r = 0; r < count; r++) {
            *tm_vec_push(&blocks) = runs[r];
        }
    }
    if (blocks.count > 0) {
        qsort(blocks.at, blocks.count, sizeof(*blocks.at), by_place);
    }
    size_t next = 0;
    for (size_t i = 0; i < task->run_count; i++) {
        if (!holds_run(&task->runs[i], blocks.at, blocks.count, &next)) {
            tm_verify_found(task, TM_FINDING_MISMATCH, -1, &task->runs[i], 1,
                    "the pack's index does not hold what the log says");
        }
    }
    tm_vec_done(&blocks);
}

/* A pack ----------------------------------------------------------------------------------- */

/* Of the failure of a read: a fault, or a reason to stop. */
static void note_failed(struct verify_task *task, int64_t block, const struct tm_run *runs,
        size_t run_count, const struct tm_err *why)
{
    if (why->code == TM_E_MISSING && block < 0) {
        tm_verify_found(task, TM_FINDING_MISSING_PACK, -1, NULL, 0, "it is not in the store");
    } else if (tm_verify_is_fault(why->code)) {
        tm_verify_found(task, TM_FINDING_CORRUPT_PACK, block, runs, run_count, why->msg);
    } else {
        task->err = *why;
    }
}

static void look_at_block(struct verify_task *task, struct verify_tools *tools,
        struct tm_pack *pack, size_t block, const struct stream_ids *ids)
{
    struct blocks *blocks = task->shared;
    const struct tm_block_info *info = &ids->index->blocks[block];
    size_t cost = cost_of(info);
    struct tm_err err = {0};
    take_room(blocks, cost);
    enum tm_code code = tm_verify_block(tools, pack, block, &task->records_count, &err);
    give_room(blocks, cost);
    task->blocks_count++;
    task->bytes_read += (int64_t)(info->positions.stored + info->content.stored);
    if (code != TM_OK) {
        struct tm_run *runs = NULL;
        size_t count = runs_of(ids, info, &task->arena, &runs);
        note_failed(task, (int64_t)block, runs, count, &err);
    }
}

static void look_at_pack(struct verify_task *task)
{
    struct blocks *blocks = task->shared;
    struct tm_vault *vault = task->run->options->vault;
    struct tm_pack *pack = NULL;
    struct tm_err err = {0};
    if (tm_pack_cache_take(blocks->cache, &task->pack.name, task->pack.size, &pack, &err) !=
            TM_OK) {
        note_failed(task, -1, NULL, 0, &err);
        return;
    }
    if (!task->partly) {
        tm_pack_read_ahead(pack, WINDOW_BYTES);
    }
    struct stream_ids ids = read_ids(task, tm_pack_index(pack));
    const bool *chosen = choose(task, &ids);
    check_index(task, &ids);
    TM_OWN(tm_verify_tools_free) struct verify_tools *tools = tm_verify_tools_new(vault);
    for (size_t b = 0; b < ids.index->block_count && task->err.code == TM_OK; b++) {
        if (chosen[b] && !tm_job_cancelled(task->run->env)) {
            look_at_block(task, tools, pack, b, &ids);
        }
    }
    tm_pack_read_ahead(pack, 0);
    tm_pack_cache_give(blocks->cache, pack);
}

/* The run ---------------------------------------------------------------------------------- */

static bool is_within(const struct verify_scope *scope, const struct verify_task *task)
{
    bool within = false;
    for (size_t i = 0; i < task->run_count && !within; i++) {
        within = meets(scope, &task->runs[i]);
    }
    return within;
}

/* Streams of the pack of which nothing was chosen yet. */
static void find_due(struct blocks *blocks, struct verify_task *task)
{
    const struct verify_run *run = blocks->run;
    uint32_t *due = tm_arena_alloc(&task->arena, task->run_count + 1, sizeof(*due));
    for (size_t i = 0; i < task->run_count; i++) {
        const struct tm_stream *stream = tm_verify_stream(run, task->runs[i].stream);
        bool counts = task->scope == NULL || meets(task->scope, &task->runs[i]);
        if (stream != NULL && counts && !blocks->seen[stream - run->streams]) {
            blocks->seen[stream - run->streams] = true;
            due[task->streams_due_count++] = stream->id;
        }
    }
    task->streams_due = due;
}

static enum tm_code prepare(void *arg, struct verify_task *task, bool *skip, struct tm_err *err)
{
    struct blocks *blocks = arg;
    const struct tm_verify_options *options = blocks->run->options;
    (void)err;
    task->shared = blocks;
    task->partly = options->point != NULL || options->depth == TM_VERIFY_SAMPLE;
    task->scope = options->point != NULL ? &blocks->scope : NULL;
    *skip = task->scope != NULL && !is_within(task->scope, task);
    if (!*skip && options->depth == TM_VERIFY_SAMPLE) {
        find_due(blocks, task);
    }
    return TM_OK;
}

static enum tm_code read_scope(struct blocks *blocks, struct tm_arena *arena, struct tm_err *err)
{
    const struct tm_verify_options *options = blocks->run->options;
    struct tm_point point = {0};
    if (options->point == NULL) {
        return TM_OK;
    }
    TM_TRY(tm_catalog_point(options->catalog, options->point, arena, &point, err));
    if (point.row.id == 0) {
        return tm_err_set(err, TM_E_MISSING, "verify: the vault has no such recovery point");
    }
    blocks->scope = (struct verify_scope){point.row.parts, point.row.part_count};
    return TM_OK;
}

/* Packs in an order that follows from the seed, so that a stream is not looked at where it begins. */
static int by_lot(const void *a, const void *b)
{
    const struct tm_kept_pack *x = a;
    const struct tm_kept_pack *y = b;
    return (x->looked_ms > y->looked_ms) - (x->looked_ms < y->looked_ms);
}

static void shuffle(const struct verify_run *run, struct tm_kept_pack *packs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        packs[i].looked_ms =
                (int64_t)(lot(run->result->sample_seed, &packs[i].name, SIZE_MAX) >> 1);
    }
    if (count > 0) {
        qsort(packs, count, sizeof(*packs), by_lot);
    }
}

static enum tm_code look_at_packs(struct blocks *blocks, struct tm_arena *arena, struct tm_err *err)
{
    struct verify_run *run = blocks->run;
    struct tm_kept_pack *packs = NULL;
    size_t count = 0;
    TM_TRY(read_scope(blocks, arena, err));
    TM_TRY(tm_findings_packs(run->options->catalog, true, arena, &packs, &count, err));
    blocks->seen = tm_arena_alloc(arena, run->stream_count + 1, sizeof(*blocks->seen));
    if (run->options->depth == TM_VERIFY_SAMPLE) {
        shuffle(run, packs, count);
    }
    struct verify_packs look = {
            .look = look_at_pack,
            .prepare = prepare,
            .arg = blocks,
            .packs = packs,
            .count = count,
    };
    return tm_verify_packs(run, &look, err);
}

enum tm_code tm_verify_blocks(struct verify_run *run, struct tm_err *err)
{
    struct blocks blocks = {
            .run = run,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .room = PTHREAD_COND_INITIALIZER,
    };
    struct tm_arena arena = {0};
    run->result->sample_seed = run->options->sample_seed;
    while (run->options->depth == TM_VERIFY_SAMPLE && run->result->sample_seed == 0) {
        tm_random(&run->result->sample_seed, sizeof(run->result->sample_seed));
        run->result->sample_seed >>= 1; /* a number that JSON readers take */
    }
    blocks.cache = tm_pack_cache_new(run->options->vault);
    enum tm_code code = tm_pack_cache_follow(blocks.cache, run->options->catalog, err);
    if (code == TM_OK) {
        code = look_at_packs(&blocks, &arena, err);
    }
    tm_pack_cache_free(blocks.cache);
    pthread_mutex_destroy(&blocks.lock);
    pthread_cond_destroy(&blocks.room);
    tm_arena_done(&arena);
    return code;
}
