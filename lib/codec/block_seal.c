/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/block_impl.h"

#include <stdlib.h>

#include "base/fault.h"
#include "codec/varint.h"

void tm_sealed_done(struct tm_sealed *sealed)
{
    free(sealed->info.runs);
    tm_buf_done(&sealed->positions);
    tm_buf_done(&sealed->content);
    *sealed = (struct tm_sealed){0};
}

struct tm_block_tools *tm_block_tools_new(void)
{
    struct tm_block_tools *tools = tm_xalloc(1, sizeof(*tools));
    tools->zstd = tm_zstd_new();
    return tools;
}

void tm_block_tools_free(struct tm_block_tools *tools)
{
    if (tools != NULL) {
        tm_zstd_free(tools->zstd);
        tm_buf_done(&tools->raw);
        tm_buf_done(&tools->packed);
        tm_buf_done(&tools->opened);
        tm_buf_done(&tools->plain);
        free(tools);
    }
}

void tm_block_tools_trim(struct tm_block_tools *tools)
{
    struct tm_buf *bufs[] = {&tools->raw, &tools->packed, &tools->opened, &tools->plain};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        if (bufs[i]->capacity > TM_TOOLS_KEEP) {
            tm_buf_done(bufs[i]);
        }
    }
}

/* Positions ---------------------------------------------------------------------------------- */

static bool is_mixed(const struct tm_block *block)
{
    return block->append_count > 0 && block->append_count < block->count;
}

static void put_types(const bool *appends, size_t count, struct tm_buf *out)
{
    uint8_t *bits = tm_buf_extend(out, (count + 7) / 8);
    memset(bits, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++) {
        bits[i / 8] = (uint8_t)(bits[i / 8] | (appends[i] ? 1U << (i % 8) : 0));
    }
}

/* Offsets, then timestamps, of one run. */
static void put_positions(
        const struct tm_block *block, const struct tm_open_run *open, struct tm_buf *out)
{
    size_t count = (size_t)open->run.count;
    size_t start = out->len;
    tm_buf_reserve(out, count * 2 * TM_VARINT_MAX);
    uint8_t *at = out->at + start;

    const int64_t *offsets = block->offsets + open->record;
    int64_t next = open->run.first;
    for (size_t i = 0; i < count; i++) {
        at = tm_varint_put(at, (uint64_t)(offsets[i] - next));
        next = offsets[i] + 1;
    }
    /* Unsigned: the difference of two timestamps may not fit an int64_t. */
    const int64_t *stamps = block->stamps + open->record;
    uint64_t last = (uint64_t)open->run.ts_min;
    for (size_t i = 0; i < count; i++) {
        at = tm_varint_put(at, tm_zigzag((int64_t)((uint64_t)stamps[i] - last)));
        last = (uint64_t)stamps[i];
    }
    (void)tm_buf_extend(out, (size_t)(at - out->at) - start);
}

/* The positions frame of a solo block ends with all of the record but its value. */
static struct tm_slice solo_prefix(const struct tm_block *block)
{
    size_t behind = tm_varint_length((uint64_t)block->value_len + 1) + block->value_len;
    return tm_slice_of(block->content.at, block->content.len - behind);
}

static void encode_positions(const struct tm_block *block, struct tm_buf *out)
{
    bool mixed = is_mixed(block);
    for (size_t i = 0; i < block->runs.count; i++) {
        const struct tm_open_run *open = &block->runs.at[i];
        put_positions(block, open, out);
        if (mixed) {
            put_types(block->appends + open->record, (size_t)open->run.count, out);
        }
    }
    if (block->solo) {
        struct tm_slice prefix = solo_prefix(block);
        tm_buf_add(out, prefix.at, prefix.len);
    }
}

static struct tm_slice content_of(const struct tm_block *block)
{
    size_t len = block->solo ? block->value_len : block->content.len;
    return tm_slice_of(block->content.at + (block->content.len - len), len);
}

/* Sealing ------------------------------------------------------------------------------------ */

/* A frame to be sealed. */
struct sealing {
    const struct tm_seal_options *options;
    struct tm_block_tools *tools;
    enum tm_frame_kind kind;
    struct tm_slice raw;
};

/* What goes in must come out: this is where faulty memory and bugs are found while it is early. */
static enum tm_code check_sealed(const struct sealing *job, const struct tm_frame *frame,
        struct tm_slice sealed, struct tm_err *err)
{
    struct tm_block_tools *tools = job->tools;
    tm_buf_clear(&tools->opened);
    enum tm_code code = tm_frame_open(job->options->key, job->options->vault_id, job->kind,
            frame->counter, sealed, &tools->opened, err);
    if (code != TM_OK) {
        return code;
    }
    struct tm_slice back = tm_buf_slice(&tools->opened);
    if (frame->codec == TM_FRAME_ZSTD) {
        tm_buf_clear(&tools->plain);
        code = tm_zstd_unpack(tools->zstd, back, job->raw.len, &tools->plain, err);
        if (code != TM_OK) {
            return code;
        }
        back = tm_buf_slice(&tools->plain);
    }
    if (!tm_slice_eq(back, job->raw)) {
        return tm_err_set(err, TM_E_CORRUPT, "it opens to other bytes");
    }
    return TM_OK;
}

static enum tm_code seal_frame(
        const struct sealing *job, struct tm_buf *out, struct tm_frame *frame, struct tm_err *err)
{
    const struct tm_seal_options *options = job->options;
    bool is_content = job->kind == TM_FRAME_CONTENT;
    bool packed = false;
    tm_assert(job->raw.len <= TM_FRAME_BYTES_MAX);
    if (options->level > 0) {
        tm_buf_clear(&job->tools->packed);
        tm_zstd_pack(job->tools->zstd, options->level, job->raw, &job->tools->packed);
        packed = job->tools->packed.len < job->raw.len;
    }
    struct tm_slice stored = packed ? tm_buf_slice(&job->tools->packed) : job->raw;
    *frame = (struct tm_frame){
            .key = options->key_number,
            .counter = options->counter + (is_content ? 1 : 0),
            .stored = stored.len + TM_AEAD_TAG,
            .codec = packed ? TM_FRAME_ZSTD : TM_FRAME_RAW,
            .raw = job->raw.len,
    };
    tm_frame_seal(options->key, options->vault_id, job->kind, frame->counter, stored, out);
    if (TM_FAULT_FAILS("codec.block.sealed")) {
        out->at[0] ^= 1; /* what a bad memory cell would do */
    }
    if (check_sealed(job, frame, tm_buf_slice(out), err) != TM_OK) {
        return tm_err_wrap(err, "block: sealed %s (faulty memory, or a bug)",
                is_content ? "content" : "positions");
    }
    return TM_OK;
}

static void describe(const struct tm_block *block, const struct tm_seal_options *options,
        struct tm_block_info *info)
{
    bool has_id = options->content_id != NULL;
    if (has_id) {
        tm_assert(block->closed && block->runs.count == 1);
        info->content_id = *options->content_id;
    } else {
        has_id = tm_block_content_id(block, &info->content_id);
    }
    tm_assert(has_id || !options->foreign);
    unsigned flags = (block->solo ? TM_BLOCK_SOLO : 0U) | (has_id ? TM_BLOCK_HAS_ID : 0U) |
                     (options->foreign ? TM_BLOCK_FOREIGN : 0U);
    if (is_mixed(block)) {
        flags |= TM_BLOCK_MIXED_TYPES;
    } else if (block->append_count > 0) {
        flags |= TM_BLOCK_LOG_APPEND;
    }
    info->flags = (uint8_t)flags;
    info->run_count = block->runs.count;
    info->runs = tm_xalloc(block->runs.count, sizeof(*info->runs));

    TM_OWN(tm_proof_free) struct tm_proof *proof = tm_proof_new(block->ring, block->epoch);
    for (size_t i = 0; i < block->runs.count; i++) {
        const struct tm_open_run *open = &block->runs.at[i];
        tm_assert(open->run.count > 0);
        for (size_t at = open->record; at < open->record + (size_t)open->run.count; at++) {
            tm_proof_add(proof, block->stamps[at], &block->tags[at]);
        }
        info->runs[i] = (struct tm_block_run){.run = open->run, .proof = tm_proof_take(proof)};
    }
}

enum tm_code tm_block_seal(const struct tm_block *block, const struct tm_seal_options *options,
        struct tm_block_tools *tools, struct tm_sealed *out, struct tm_err *err)
{
    tm_assert(block->count > 0 && out->info.runs == NULL);
    struct tm_sealed sealed = {0};
    describe(block, options, &sealed.info);

    tm_buf_clear(&tools->raw);
    encode_positions(block, &tools->raw);
    struct sealing job = {
            .options = options,
            .tools = tools,
            .kind = TM_FRAME_POSITIONS,
            .raw = tm_buf_slice(&tools->raw),
    };
    enum tm_code code = seal_frame(&job, &sealed.positions, &sealed.info.positions, err);
    if (code == TM_OK && !options->foreign) {
        job.kind = TM_FRAME_CONTENT;
        job.raw = content_of(block);
        code = seal_frame(&job, &sealed.content, &sealed.info.content, err);
    }
    tm_block_tools_trim(tools);
    if (code != TM_OK) {
        tm_sealed_done(&sealed);
        return code;
    }
    *out = sealed;
    return TM_OK;
}
