/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/block_impl.h"

#include <stdlib.h>

enum { FIRST_RECORDS = 64 };

const struct tm_block_params tm_block_params_default = {
        .block_min = 256 << 10,
        .block_mean = 891290,
        .block_max = 4 << 20,
        .solo_min = 64 << 10,
        .pack_target = 64 << 20,
};

/* floor(2^64 / mean), or the largest number where that does not fit. */
static uint64_t cut_factor(uint32_t mean)
{
    tm_assert(mean >= 1);
    if (mean == 1) {
        return UINT64_MAX;
    }
    return UINT64_MAX / mean + (UINT64_MAX % mean == mean - 1U ? 1 : 0);
}

struct tm_block *tm_block_new(
        const struct tm_ring *ring, const struct tm_block_params *params, uint32_t stream)
{
    struct tm_block *block = tm_xalloc(1, sizeof(*block));
    block->ring = ring;
    block->params = *params;
    block->cut_factor = cut_factor(params->block_mean);
    block->epoch = tm_ring_epoch(ring);
    block->stream = stream;
    return block;
}

/* Free what the records lie in; the block is empty and open again. */
static void clear(struct tm_block *block)
{
    tm_buf_done(&block->content);
    tm_vec_done(&block->runs);
    free(block->offsets);
    free(block->stamps);
    free(block->tags);
    free(block->appends);
    *block = (struct tm_block){
            .ring = block->ring,
            .params = block->params,
            .cut_factor = block->cut_factor,
            .epoch = block->epoch,
            .stream = block->stream,
    };
}

void tm_block_free(struct tm_block *block)
{
    if (block != NULL) {
        clear(block);
        free(block);
    }
}

uint32_t tm_block_stream(const struct tm_block *block)
{
    return block->stream;
}

size_t tm_block_bytes(const struct tm_block *block)
{
    return block->content.len;
}

size_t tm_block_memory(const struct tm_block *block)
{
    size_t record = sizeof(*block->offsets) + sizeof(*block->stamps) + sizeof(*block->tags) +
                    sizeof(*block->appends);
    return sizeof(*block) + block->content.capacity + block->capacity * record +
           block->runs.capacity * sizeof(*block->runs.at);
}

size_t tm_block_runs(const struct tm_block *block)
{
    return block->runs.count;
}

int64_t tm_block_records(const struct tm_block *block)
{
    return (int64_t)block->count;
}

struct tm_run tm_block_run(const struct tm_block *block, size_t index)
{
    tm_assert(index < block->runs.count);
    return block->runs.at[index].run;
}

struct tm_tail tm_block_tail(const struct tm_block *block, size_t index)
{
    tm_assert(index < block->runs.count && block->runs.at[index].run.count > 0);
    const struct tm_open_run *open = &block->runs.at[index];
    size_t last = open->record + (size_t)open->run.count - 1;
    return (struct tm_tail){
            .offset = block->offsets[last],
            .timestamp_ms = block->stamps[last],
            .leader_epoch = open->leader_epoch,
            .tag = block->tags[last],
    };
}

bool tm_block_wants_solo(const struct tm_block_params *params, const struct tm_record *record)
{
    return record->value.at != NULL && record->value.len >= params->solo_min;
}

bool tm_run_follows(const struct tm_run *a, const struct tm_run *b)
{
    if (a->partition != b->partition) {
        return a->partition < b->partition;
    }
    return b->first - a->first >= a->length; /* neither is negative */
}

void tm_block_begin(struct tm_block *block, int32_t partition, int64_t first)
{
    tm_assert(!block->closed && partition >= 0 && first >= 0);
    struct tm_open_run open = {
            .run = {.stream = block->stream, .partition = partition, .first = first},
            .record = block->count,
            .content = block->content.len,
            .leader_epoch = -1,
    };
    if (block->runs.count > 0) {
        const struct tm_run *before = &block->runs.at[block->runs.count - 1].run;
        tm_assert(before->count > 0 && tm_run_follows(before, &open.run));
    }
    *tm_vec_push(&block->runs) = open;
}

static void grow_records(struct tm_block *block)
{
    block->capacity = block->capacity > 0 ? 2 * block->capacity : FIRST_RECORDS;
    block->offsets = tm_xgrow(block->offsets, block->capacity, sizeof(*block->offsets));
    block->stamps = tm_xgrow(block->stamps, block->capacity, sizeof(*block->stamps));
    block->tags = tm_xgrow(block->tags, block->capacity, sizeof(*block->tags));
    block->appends = tm_xgrow(block->appends, block->capacity, sizeof(*block->appends));
}

/* Count a record of `bytes` canonical bytes in the run. */
static void account(struct tm_open_run *open, const struct tm_record *record, int64_t bytes)
{
    struct tm_run *run = &open->run;
    int64_t stamp = record->timestamp_ms;
    run->ts_min = run->count == 0 || stamp < run->ts_min ? stamp : run->ts_min;
    run->ts_max = run->count == 0 || stamp > run->ts_max ? stamp : run->ts_max;
    run->largest = bytes > run->largest ? bytes : run->largest;
    run->bytes += bytes;
    run->count++;
    run->length = record->offset - run->first + 1;
    open->leader_epoch = record->leader_epoch;
}

/* Low 64 bits of a tag, little endian: its first eight bytes. */
static uint64_t low64(const struct tm_id16 *tag)
{
    uint64_t low = 0;
    for (int i = 7; i >= 0; i--) {
        low = low << 8 | tag->bytes[i];
    }
    return low;
}

static bool cuts_here(const struct tm_block *block, const struct tm_id16 *tag, size_t record_bytes)
{
    if (block->content.len >= block->params.block_max) {
        return true;
    }
    if (block->runs.count > 1 || block->content.len < block->params.block_min) {
        return false;
    }
    uint64_t threshold = 0;
    if (__builtin_mul_overflow((uint64_t)record_bytes, block->cut_factor, &threshold)) {
        threshold = UINT64_MAX;
    }
    return low64(tag) < threshold;
}

bool tm_block_add(struct tm_block *block, const struct tm_record *record)
{
    tm_assert(!block->closed && block->runs.count > 0);
    struct tm_open_run *open = &block->runs.at[block->runs.count - 1];
    tm_assert(record->offset >= open->run.first + open->run.length && record->offset < INT64_MAX);
    tm_assert(record->timestamp_type != TM_TIMESTAMP_NONE || record->timestamp_ms == -1);
    bool solo = tm_block_wants_solo(&block->params, record);
    tm_assert(!solo || block->count == 0);

    size_t start = block->content.len;
    tm_record_encode(record, &block->content);
    tm_assert(block->content.len <= TM_FRAME_BYTES_MAX);
    size_t bytes = block->content.len - start;
    struct tm_id16 tag =
            tm_ring_tag(block->ring, block->epoch, tm_slice_of(block->content.at + start, bytes));

    if (block->count == block->capacity) {
        grow_records(block);
    }
    size_t at = block->count++;
    bool append = record->timestamp_type == TM_TIMESTAMP_APPEND;
    block->offsets[at] = record->offset;
    block->stamps[at] = record->timestamp_ms;
    block->tags[at] = tag;
    block->appends[at] = append;
    block->append_count += append ? 1 : 0;
    account(open, record, (int64_t)bytes);

    block->solo = solo;
    block->value_len = solo ? record->value.len : 0;
    block->closed = solo || cuts_here(block, &tag, bytes);
    return block->closed;
}

void tm_block_extend(struct tm_block *block, int64_t end)
{
    tm_assert(!block->closed && block->runs.count > 0);
    struct tm_run *run = &block->runs.at[block->runs.count - 1].run;
    tm_assert(end >= run->first + run->length);
    run->length = end - run->first;
}

/* Copy a run with its records behind those of `block`. */
static void append_run(
        struct tm_block *block, const struct tm_block *from, const struct tm_open_run *open)
{
    size_t count = (size_t)open->run.count;
    struct tm_open_run moved = *open;
    moved.record = block->count;
    moved.content = block->content.len;
    *tm_vec_push(&block->runs) = moved;
    tm_buf_add(&block->content, from->content.at + open->content, (size_t)open->run.bytes);

    while (block->capacity - block->count < count) {
        grow_records(block);
    }
    memcpy(block->offsets + block->count, from->offsets + open->record,
            count * sizeof(*block->offsets));
    memcpy(block->stamps + block->count, from->stamps + open->record,
            count * sizeof(*block->stamps));
    memcpy(block->tags + block->count, from->tags + open->record, count * sizeof(*block->tags));
    memcpy(block->appends + block->count, from->appends + open->record,
            count * sizeof(*block->appends));
    block->count += count;
    for (size_t i = 0; i < count; i++) {
        block->append_count += from->appends[open->record + i] ? 1 : 0;
    }
}

/* All runs of both, in order, into a third block whose insides `block` then takes. */
static void merge(struct tm_block *block, const struct tm_block *from)
{
    struct tm_block merged = {
            .ring = block->ring,
            .params = block->params,
            .cut_factor = block->cut_factor,
            .epoch = block->epoch,
            .stream = block->stream,
    };
    size_t a = 0;
    size_t b = 0;
    while (a < block->runs.count || b < from->runs.count) {
        bool take_a = b == from->runs.count ||
                      (a < block->runs.count &&
                              tm_run_follows(&block->runs.at[a].run, &from->runs.at[b].run));
        const struct tm_block *source = take_a ? block : from;
        const struct tm_open_run *next = &source->runs.at[take_a ? a++ : b++];
        tm_assert(merged.runs.count == 0 ||
                  tm_run_follows(&merged.runs.at[merged.runs.count - 1].run, &next->run));
        append_run(&merged, source, next);
    }
    clear(block);
    *block = merged;
}

static bool every_run_has_records(const struct tm_block *block)
{
    return block->runs.count > 0 && block->runs.at[block->runs.count - 1].run.count > 0;
}

void tm_block_join(struct tm_block *block, struct tm_block *from)
{
    tm_assert(block != from && block->ring == from->ring && block->epoch == from->epoch);
    tm_assert(block->stream == from->stream && !block->closed && !from->closed);
    tm_assert(every_run_has_records(block) && every_run_has_records(from));
    tm_assert(block->content.len + from->content.len <= block->params.block_max);

    const struct tm_run *last = &block->runs.at[block->runs.count - 1].run;
    if (tm_run_follows(last, &from->runs.at[0].run)) {
        for (size_t i = 0; i < from->runs.count; i++) {
            append_run(block, from, &from->runs.at[i]);
        }
    } else {
        merge(block, from);
    }
    clear(from);
}

bool tm_block_content_id(const struct tm_block *block, struct tm_hash *out)
{
    if (!block->closed || block->runs.count != 1) {
        return false;
    }
    if (!block->solo) {
        struct tm_slice tags = tm_slice_of(block->tags, block->count * sizeof(*block->tags));
        *out = tm_ring_content_id(block->ring, block->epoch, tags);
        return true;
    }
    /* Of the value alone, so that the same payload under another key is found again. */
    uint8_t named[1 + sizeof(struct tm_id16)] = {'s'};
    struct tm_slice value = tm_slice_of(
            block->content.at + (block->content.len - block->value_len), block->value_len);
    struct tm_id16 tag = tm_ring_tag(block->ring, block->epoch, value);
    memcpy(named + 1, tag.bytes, sizeof(tag.bytes));
    *out = tm_ring_content_id(block->ring, block->epoch, tm_slice_of(named, sizeof(named)));
    return true;
}
