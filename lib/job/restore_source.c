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

/* Find the block runs that make up the log's run; together they must cover it, and no more. */
static enum tm_code find_stretches(
        struct tm_source *source, const struct tm_stored_run *run, struct tm_err *err)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    uint32_t stream = stream_in(source, index);
    int64_t end = run->run.first + run->run.length;
    int64_t covered = 0;
    for (size_t b = 0; stream != 0 && b < index->block_count; b++) {
        const struct tm_block_info *block = &index->blocks[b];
        for (size_t r = 0; r < block->run_count; r++) {
            const struct tm_run *at = &block->runs[r].run;
            if (at->stream == stream && at->partition == source->range.partition &&
                    at->first >= run->run.first && at->first + at->length <= end) {
                covered += at->length;
                *tm_vec_push(&source->stretches) = (struct stretch){b, r, at->first};
            }
        }
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

/* Open the pack of the next run that has anything to give; *more is false when there is none. */
static enum tm_code enter_run(struct tm_source *source, bool *more, struct tm_err *err)
{
    leave_pack(source);
    *more = source->next_run < source->range.run_count;
    if (!*more) {
        return TM_OK;
    }
    const struct tm_stored_run *run = &source->range.runs[source->next_run++];
    TM_TRY(tm_pack_cache_take(source->cache, &run->pack, run->pack_size, &source->pack, err));
    return find_stretches(source, run, err);
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

static enum tm_code enter_stretch(
        struct tm_source *source, const struct stretch *at, struct tm_err *err)
{
    const struct tm_source_range *range = &source->range;
    if (source->walking) {
        tm_block_iter_done(&source->iter);
        source->walking = false;
    }
    if (source->loaded_block != at->block) {
        TM_TRY(tm_pack_read_block(source->pack, at->block, source->tools, &source->view, err));
        source->loaded_block = at->block;
    }
    source->run = &tm_pack_index(source->pack)->blocks[at->block].runs[at->index];
    const struct tm_run *run = &source->run->run;
    bool in_range = run->first >= range->start && run->first + run->length <= range->end;
    source->whole = in_range && (run->ts_min > 0 || run->ts_max < 0);
    begin_proofs(source, tm_pack_block_epoch(source->pack, at->block));
    source->taken_count = 0;
    tm_block_iter_init(&source->iter, &source->view, at->index);
    source->walking = true;
    return TM_OK;
}

/* Leave a mark for the target: the run's own proof, or the digest of what was taken of it. */
static enum tm_code leave_stretch(struct tm_source *source, struct tm_err *err)
{
    source->walking = false;
    tm_block_iter_done(&source->iter);
    struct tm_id16 proof = source->run->proof;
    if (!source->whole) {
        struct tm_id16 stored = tm_proof_take(source->stored);
        proof = tm_proof_take(source->taken);
        if (!tm_id16_eq(&stored, &source->run->proof)) {
            return pack_error(source, &source->range.runs[source->next_run - 1],
                    "records differ from their content proof", err);
        }
    }
    if (source->taken_count > 0) {
        *tm_vec_push(&source->marks) = (struct tm_source_mark){
                .count = source->taken_count,
                .epoch = source->epoch,
                .proof = proof,
        };
    }
    return TM_OK;
}

/* Digest the record where only a part of its run is taken, and say whether it is of that part. */
static bool take_record(struct tm_source *source, struct tm_record *record)
{
    bool within = record->offset >= source->range.start && record->offset < source->range.end;
    source->taken_count += within ? 1 : 0;
    if (source->whole) {
        return true;
    }
    struct tm_id16 tag = tm_ring_tag(
            tm_vault_ring(source->vault), source->epoch, tm_block_iter_canonical(&source->iter));
    tm_proof_add(source->stored, record->timestamp_ms, &tag);
    if (!within) {
        return false;
    }
    if (record->timestamp_ms == 0) {
        record->timestamp_ms = 1; /* librdkafka takes 0 for "now" */
        source->zero_stamps++;
    }
    tm_proof_add(source->taken, record->timestamp_ms, &tag);
    return true;
}

enum tm_code tm_source_next(
        struct tm_source *source, struct tm_record *out, bool *more, struct tm_err *err)
{
    for (;;) {
        struct tm_record record;
        if (source->walking && tm_block_iter_next(&source->iter, &record)) {
            if (take_record(source, &record)) {
                *out = record;
                *more = true;
                return TM_OK;
            }
            continue;
        }
        if (source->walking) {
            TM_TRY(leave_stretch(source, err));
        }
        if (source->next_stretch < source->stretches.count) {
            TM_TRY(enter_stretch(source, &source->stretches.at[source->next_stretch++], err));
            continue;
        }
        bool another = false;
        TM_TRY(enter_run(source, &another, err));
        if (!another) {
            *more = false;
            return TM_OK;
        }
    }
}
