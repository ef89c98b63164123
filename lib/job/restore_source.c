/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_source.h"

#include <inttypes.h>
#include <stdlib.h>

#include "job/pack_cache.h"

/* A run within a block of the pack that is open now. */
struct stretch {
    size_t block;
    size_t index; /* of the run in the block */
    int64_t first;
};

struct tm_source {
    struct tm_vault *vault;
    struct tm_pack_cache *cache;
    struct tm_source_range range;
    struct tm_arena arena; /* of runs that were asked for again */
    int64_t listed_at;     /* offset from which they were asked for again last; -1: not yet */
    size_t next_run;
    struct tm_pack *pack; /* of the run before next_run */
    TM_VEC(struct stretch) stretches;
    size_t next_stretch;
    size_t loaded_block; /* in `view`; SIZE_MAX: none */
    struct tm_block_tools *tools;
    struct tm_block_view view;
    bool walking;
    struct tm_block_iter iter;
    const struct tm_block_run *run; /* being walked */
    bool whole;                     /* all of it is taken, as it is */
    uint32_t epoch;
    struct tm_proof *stored; /* digest of all its records */
    struct tm_proof *taken;  /* of those given, as they are given */
    int64_t taken_count;
    int64_t zero_stamps;
    tm_source_marks marks;
};

struct tm_source *tm_source_new(
        struct tm_vault *vault, struct tm_pack_cache *cache, const struct tm_source_range *range)
{
    struct tm_source *source = tm_xalloc(1, sizeof(*source));
    source->vault = vault;
    source->cache = cache;
    source->range = *range;
    source->loaded_block = SIZE_MAX;
    source->listed_at = -1;
    source->tools = tm_block_tools_new();
    return source;
}

static void leave_pack(struct tm_source *source)
{
    if (source->walking) {
        tm_block_iter_done(&source->iter);
        source->walking = false;
    }
    if (source->pack != NULL) {
        tm_pack_cache_give(source->cache, source->pack);
        source->pack = NULL;
    }
    source->loaded_block = SIZE_MAX;
    source->stretches.count = 0;
    source->next_stretch = 0;
}

void tm_source_free(struct tm_source *source)
{
    if (source == NULL) {
        return;
    }
    leave_pack(source);
    tm_vec_done(&source->stretches);
    tm_arena_done(&source->arena);
    tm_vec_done(&source->marks);
    tm_block_view_done(&source->view);
    tm_block_tools_free(source->tools);
    tm_proof_free(source->stored);
    tm_proof_free(source->taken);
    free(source);
}

const tm_source_marks *tm_source_marks_of(const struct tm_source *source)
{
    return &source->marks;
}

int64_t tm_source_zero_stamps(const struct tm_source *source)
{
    return source->zero_stamps;
}

uint32_t tm_source_epoch(const struct tm_source *source)
{
    return source->epoch;
}

static int by_first(const void *left, const void *right)
{
    const struct stretch *a = left;
    const struct stretch *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

/* The pack's own number of our stream; 0: it does not know it. */
static uint32_t stream_in(const struct tm_source *source, const struct tm_pack_index *index)
{
    for (size_t i = 0; i < index->stream_count; i++) {
        const struct tm_pack_stream *stream = &index->streams[i];
        if (stream->incarnation == source->range.incarnation &&
                tm_slice_eq(stream->cluster_id, source->range.cluster_id) &&
                tm_slice_eq(stream->topic, source->range.topic)) {
            return stream->id;
        }
    }
    return 0;
}

static enum tm_code pack_error(const struct tm_source *source, const struct tm_stored_run *run,
        const char *what, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&run->pack, name);
    (void)source;
    return tm_err_set(err, TM_E_CORRUPT, "%s: %s (offsets %" PRId64 " to %" PRId64 ")", name, what,
            run->run.first, run->run.first + run->run.length - 1);
}

/* The block's runs that are part of the log's run; how many offsets they cover. */
static int64_t add_stretches(struct tm_source *source, const struct tm_stored_run *run,
        uint32_t stream, size_t block_number)
{
    const struct tm_block_info *block = &tm_pack_index(source->pack)->blocks[block_number];
    int64_t end = run->run.first + run->run.length;
    int64_t covered = 0;
    for (size_t r = 0; r < block->run_count; r++) {
        const struct tm_run *at = &block->runs[r].run;
        if (at->stream == stream && at->partition == source->range.partition &&
                at->first >= run->run.first && at->first + at->length <= end) {
            covered += at->length;
            *tm_vec_push(&source->stretches) = (struct stretch){block_number, r, at->first};
        }
    }
    return covered;
}

/* Find the block runs that make up the log's run; together they must cover it, and no more. */
static enum tm_code find_stretches(
        struct tm_source *source, const struct tm_stored_run *run, struct tm_err *err)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    uint32_t stream = stream_in(source, index);
    int64_t covered = 0;
    for (size_t b = 0; stream != 0 && b < index->block_count; b++) {
        covered += add_stretches(source, run, stream, b);
    }
    if (covered != run->run.length) {
        return pack_error(source, run, "the pack does not hold what the log says", err);
    }
    qsort(source->stretches.at, source->stretches.count, sizeof(*source->stretches.at), by_first);
    int64_t next = run->run.first;
    for (size_t i = 0; i < source->stretches.count; i++) {
        const struct stretch *at = &source->stretches.at[i];
        if (at->first != next) {
            return pack_error(source, run, "runs in the pack overlap", err);
        }
        next += index->blocks[at->block].runs[at->index].run.length;
    }
    return TM_OK;
}

/*
 * A pack was not there: it was merged, and swept, since the runs were listed. List what is left, from
 * offset `from` on, by the newest state of the log. False where there is no hope: that has been done at
 * this offset before, or the log knows no better.
 */
static bool list_again(struct tm_source *source, int64_t from)
{
    struct tm_source_range *range = &source->range;
    struct tm_pack_cache_ask ask = {range->stream, range->partition, from, range->end};
    struct tm_stored_run *runs = NULL;
    struct tm_err ignored = {0}; /* what was missing is the better message */
    size_t count = 0;
    if (range->stream == 0 || source->listed_at == from ||
            tm_pack_cache_refold(source->cache, &ask, &source->arena, &runs, &count, &ignored) !=
                    TM_OK ||
            count == 0 || runs[0].run.first > from) {
        return false;
    }
    source->listed_at = from;
    range->runs = runs;
    range->run_count = count;
    /* A run that the merge has joined may begin with what was given already. */
    range->start = from > range->start ? from : range->start;
    source->next_run = 0;
    return true;
}

static enum tm_code take_pack(struct tm_source *source, struct tm_err *err)
{
    for (;;) {
        const struct tm_stored_run *run = &source->range.runs[source->next_run];
        enum tm_code code =
                tm_pack_cache_take(source->cache, &run->pack, run->pack_size, &source->pack, err);
        if (code != TM_E_MISSING || !list_again(source, run->run.first)) {
            return code;
        }
        *err = (struct tm_err){0};
    }
}

/* How much of a run, of the log or of a block, is given. */
static enum tm_taken taken_of(const struct tm_source *source, const struct tm_run *run)
{
    const struct tm_source_range *range = &source->range;
    int64_t end = run->first + run->length;
    if (end <= range->start || run->first >= range->end) {
        return TM_TAKEN_NONE;
    }
    enum tm_taken taken = range->cut != NULL ? tm_choice_run(range->cut, run) : TM_TAKEN_ALL;
    bool whole = run->first >= range->start && end <= range->end;
    return taken == TM_TAKEN_ALL && !whole ? TM_TAKEN_SOME : taken;
}

/* Open the pack of the next run that has anything to give; *more is false when there is none. */
static enum tm_code enter_run(struct tm_source *source, bool *more, struct tm_err *err)
{
    leave_pack(source);
    while (source->next_run < source->range.run_count &&
            taken_of(source, &source->range.runs[source->next_run].run) == TM_TAKEN_NONE) {
        source->next_run++;
    }
    *more = source->next_run < source->range.run_count;
    if (!*more) {
        return TM_OK;
    }
    TM_TRY(take_pack(source, err));
    return find_stretches(source, &source->range.runs[source->next_run++], err);
}

static void begin_proofs(struct tm_source *source, uint32_t epoch)
{
    if (source->stored != NULL && source->epoch == epoch) {
        return;
    }
    const struct tm_ring *ring = tm_vault_ring(source->vault);
    tm_proof_free(source->stored);
    tm_proof_free(source->taken);
    source->stored = tm_proof_new(ring, epoch);
    source->taken = tm_proof_new(ring, epoch);
    source->epoch = epoch;
}

static enum tm_code load_block(struct tm_source *source, size_t block, struct tm_err *err)
{
    if (source->loaded_block == block) {
        return TM_OK;
    }
    source->loaded_block = SIZE_MAX; /* a failure leaves the view empty */
    TM_TRY(tm_pack_read_block(source->pack, block, source->tools, &source->view, err));
    source->loaded_block = block;
    return TM_OK;
}

/* Compare the whole run with its proof, before a part of it is given. */
static enum tm_code prove_run(
        struct tm_source *source, const struct stretch *at, struct tm_err *err)
{
    const struct tm_ring *ring = tm_vault_ring(source->vault);
    struct tm_block_iter iter;
    struct tm_record record;
    tm_block_iter_init(&iter, &source->view, at->index);
    while (tm_block_iter_next(&iter, &record)) {
        struct tm_id16 tag = tm_ring_tag(ring, source->epoch, tm_block_iter_canonical(&iter));
        tm_proof_add(source->stored, record.timestamp_ms, &tag);
    }
    tm_block_iter_done(&iter);
    struct tm_id16 stored = tm_proof_take(source->stored);
    return tm_id16_eq(&stored, &source->run->proof)
                   ? TM_OK
                   : pack_error(source, &source->range.runs[source->next_run - 1],
                             "records differ from their content proof", err);
}

static enum tm_code enter_stretch(
        struct tm_source *source, const struct stretch *at, struct tm_err *err)
{
    if (source->walking) {
        tm_block_iter_done(&source->iter);
        source->walking = false;
    }
    TM_TRY(load_block(source, at->block, err));
    source->run = &tm_pack_index(source->pack)->blocks[at->block].runs[at->index];
    const struct tm_run *run = &source->run->run;
    const struct tm_source_range *range = &source->range;
    source->whole = taken_of(source, run) == TM_TAKEN_ALL &&
                    (range->exact || run->ts_min > 0 || run->ts_max < 0);
    begin_proofs(source, tm_pack_block_epoch(source->pack, at->block));
    source->taken_count = 0;
    if (!source->whole || range->prove) {
        TM_TRY(prove_run(source, at, err));
    }
    tm_block_iter_init(&source->iter, &source->view, at->index);
    source->walking = true;
    return TM_OK;
}

/* Leave a mark for the target: the run's own proof, or the digest of what was taken of it. */
static void leave_stretch(struct tm_source *source)
{
    source->walking = false;
    tm_block_iter_done(&source->iter);
    struct tm_id16 proof = source->whole ? source->run->proof : tm_proof_take(source->taken);
    if (source->taken_count > 0) {
        *tm_vec_push(&source->marks) = (struct tm_source_mark){
                .count = source->taken_count,
                .epoch = source->epoch,
                .proof = proof,
        };
    }
}

/* Say whether the record is given, and digest it where only a part of its run is. */
static bool take_record(struct tm_source *source, struct tm_record *record)
{
    const struct tm_source_range *range = &source->range;
    bool given =
            source->whole || (record->offset >= range->start && record->offset < range->end &&
                                     (range->cut == NULL || tm_choice_record(range->cut, record)));
    source->taken_count += given ? 1 : 0;
    if (source->whole || !given) {
        return given;
    }
    struct tm_id16 tag = tm_ring_tag(
            tm_vault_ring(source->vault), source->epoch, tm_block_iter_canonical(&source->iter));
    if (record->timestamp_ms == 0 && !range->exact) {
        record->timestamp_ms = 1; /* librdkafka takes 0 for "now" */
        source->zero_stamps++;
    }
    tm_proof_add(source->taken, record->timestamp_ms, &tag);
    return true;
}

/* Pass over runs of blocks that have nothing to give. */
static void skip_stretches(struct tm_source *source)
{
    while (source->next_stretch < source->stretches.count) {
        const struct stretch *at = &source->stretches.at[source->next_stretch];
        const struct tm_block_info *block = &tm_pack_index(source->pack)->blocks[at->block];
        if (taken_of(source, &block->runs[at->index].run) != TM_TAKEN_NONE) {
            break;
        }
        source->next_stretch++;
    }
}

/* Go on to what is walked next: the next stretch, or the next run; *more is false behind the last. */
static enum tm_code go_on(struct tm_source *source, bool *more, struct tm_err *err)
{
    if (source->walking) {
        leave_stretch(source);
    }
    *more = true;
    skip_stretches(source);
    if (source->next_stretch < source->stretches.count) {
        struct stretch at = source->stretches.at[source->next_stretch++];
        enum tm_code code = enter_stretch(source, &at, err);
        if (code != TM_E_MISSING || !list_again(source, at.first)) {
            return code;
        }
        *err = (struct tm_err){0};
    }
    return enter_run(source, more, err);
}

enum tm_code tm_source_next(
        struct tm_source *source, struct tm_record *out, bool *more, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    bool another = true;
    while (code == TM_OK && another) {
        struct tm_record record;
        if (!source->walking || !tm_block_iter_next(&source->iter, &record)) {
            code = go_on(source, &another, err);
        } else if (take_record(source, &record)) {
            *out = record;
            break;
        }
    }
    if (code == TM_OK) {
        *more = another;
    }
    return code;
}
