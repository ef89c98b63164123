/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pack.h"

#include <inttypes.h>

#include "base/rd.h"
#include "codec/block_impl.h"

enum {
    VERSION = 1,
    STR_MAX = 65535,
    LEVEL = 3,
    MIN_STREAM = 4,
    MIN_RUN = 25,
    MIN_FRAME = 6,
    MIN_BLOCK = 2 + MIN_RUN + MIN_FRAME + 1,
    INDEX_MIN = TM_AEAD_NONCE + TM_AEAD_TAG,
};

static const char head_magic[] = "TMVP";
static const char foot_magic[] = "TMVE";

void tm_pack_index_done(struct tm_pack_index *index)
{
    tm_arena_done(&index->arena);
    *index = (struct tm_pack_index){0};
}

/* Header ------------------------------------------------------------------------------------- */

void tm_pack_header_encode(const struct tm_id16 *vault_id, const struct tm_pack_key *keys,
        size_t key_count, struct tm_buf *out)
{
    tm_assert(key_count >= 1 && key_count <= TM_PACK_KEYS_MAX);
    tm_buf_add_text(out, head_magic);
    tm_buf_add_u16(out, VERSION);
    tm_buf_add_u16(out, 0);
    tm_buf_add(out, vault_id->bytes, sizeof(vault_id->bytes));
    tm_buf_add_u32(out, (uint32_t)key_count);
    for (size_t i = 0; i < key_count; i++) {
        tm_buf_add_u32(out, keys[i].epoch);
        tm_buf_add(out, keys[i].stored, sizeof(keys[i].stored));
    }
}

/* The first 28 bytes; vault id and number of keys are given. */
static enum tm_code read_fixed(
        struct tm_rd *rd, struct tm_id16 *vault_id, size_t *key_count, struct tm_err *err)
{
    struct tm_slice magic = tm_rd_bytes(rd, 4);
    uint16_t version = tm_rd_u16(rd);
    uint16_t flags = tm_rd_u16(rd);
    tm_rd_copy(rd, vault_id->bytes, sizeof(vault_id->bytes));
    uint32_t count = tm_rd_u32(rd);
    if (!tm_rd_ok(rd) || !tm_slice_is(magic, head_magic)) {
        return tm_err_set(err, TM_E_CORRUPT, "pack header: not a pack");
    }
    if (version != VERSION || flags != 0) {
        return tm_err_set(err, TM_E_VERSION,
                "pack header: version %u, flags %u; this program knows version 1 without flags",
                (unsigned)version, (unsigned)flags);
    }
    if (count < 1 || count > TM_PACK_KEYS_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "pack header: %" PRIu32 " data keys", count);
    }
    *key_count = count;
    return TM_OK;
}

enum tm_code tm_pack_header_length(struct tm_slice fixed, size_t *out, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(fixed);
    struct tm_id16 vault_id;
    size_t count = 0;
    enum tm_code code = read_fixed(&rd, &vault_id, &count, err);
    if (code == TM_OK) {
        *out = TM_PACK_HEADER_FIXED + count * TM_PACK_KEY_BYTES;
    }
    return code;
}

enum tm_code tm_pack_header_decode(struct tm_slice header, const struct tm_id16 *vault_id,
        struct tm_arena *arena, struct tm_pack_key **keys, size_t *key_count, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(header);
    struct tm_id16 of_vault;
    size_t count = 0;
    enum tm_code code = read_fixed(&rd, &of_vault, &count, err);
    if (code != TM_OK) {
        return code;
    }
    if (!tm_id16_eq(&of_vault, vault_id)) {
        return tm_err_set(err, TM_E_CORRUPT, "pack header: it is of another vault");
    }
    if (tm_rd_left(&rd) != count * TM_PACK_KEY_BYTES) {
        return tm_err_set(err, TM_E_CORRUPT, "pack header: its length is not what it says");
    }
    struct tm_pack_key *read = tm_arena_alloc(arena, count, sizeof(*read));
    for (size_t i = 0; i < count; i++) {
        read[i].epoch = tm_rd_u32(&rd);
        tm_rd_copy(&rd, read[i].stored, sizeof(read[i].stored));
    }
    *keys = read;
    *key_count = count;
    return TM_OK;
}

/* Index, writing ----------------------------------------------------------------------------- */

static void put_frame(const struct tm_frame *frame, struct tm_buf *out)
{
    tm_buf_add_v(out, frame->key);
    tm_buf_add_v(out, frame->counter);
    tm_buf_add_v(out, frame->offset);
    tm_buf_add_v(out, frame->stored);
    tm_buf_add_v(out, frame->codec);
    tm_buf_add_v(out, frame->raw);
}

static void put_run(const struct tm_block_run *row, struct tm_buf *out)
{
    const struct tm_run *run = &row->run;
    tm_buf_add_v(out, run->stream);
    tm_buf_add_v(out, (uint64_t)run->partition);
    tm_buf_add_v(out, (uint64_t)run->first);
    tm_buf_add_v(out, (uint64_t)run->length);
    tm_buf_add_v(out, (uint64_t)run->count);
    tm_buf_add_v(out, (uint64_t)run->bytes);
    tm_buf_add_v(out, (uint64_t)run->largest);
    tm_buf_add_z(out, run->ts_min);
    tm_buf_add_v(out, (uint64_t)run->ts_max - (uint64_t)run->ts_min);
    tm_buf_add(out, row->proof.bytes, sizeof(row->proof.bytes));
}

static bool carries_id(const struct tm_block_info *block)
{
    return (block->flags & (TM_BLOCK_FOREIGN | TM_BLOCK_HAS_ID)) != 0;
}

static void put_block(const struct tm_block_info *block, struct tm_buf *out)
{
    tm_assert(tm_block_info_check(block) == NULL);
    tm_buf_add_v(out, block->flags);
    tm_buf_add_v(out, block->run_count);
    for (size_t i = 0; i < block->run_count; i++) {
        put_run(&block->runs[i], out);
    }
    put_frame(&block->positions, out);
    if ((block->flags & TM_BLOCK_FOREIGN) != 0) {
        tm_buf_add_v(out, block->dep);
    } else {
        put_frame(&block->content, out);
    }
    if (carries_id(block)) {
        tm_buf_add(out, block->content_id.bytes, sizeof(block->content_id.bytes));
    }
}

static void put_index(const struct tm_pack_index *index, struct tm_buf *out)
{
    tm_buf_add_v(out, index->stream_count);
    for (size_t i = 0; i < index->stream_count; i++) {
        const struct tm_pack_stream *stream = &index->streams[i];
        tm_assert(i == 0 || stream[-1].id < stream->id);
        tm_assert(stream->cluster_id.len <= STR_MAX && stream->topic.len <= STR_MAX);
        tm_buf_add_v(out, stream->id);
        tm_buf_add_str(out, stream->cluster_id);
        tm_buf_add_str(out, stream->topic);
        tm_buf_add_v(out, stream->incarnation);
    }
    tm_buf_add_v(out, index->dep_count);
    for (size_t i = 0; i < index->dep_count; i++) {
        const struct tm_hash *dep = &index->deps[i];
        tm_assert(i == 0 || memcmp(dep[-1].bytes, dep->bytes, sizeof(dep->bytes)) < 0);
        tm_buf_add(out, dep->bytes, sizeof(dep->bytes));
    }
    tm_buf_add_v(out, index->block_count);
    for (size_t i = 0; i < index->block_count; i++) {
        put_block(&index->blocks[i], out);
    }
}

void tm_pack_index_encode(const struct tm_pack_index *index, const struct tm_ring *ring,
        struct tm_slice header, struct tm_buf *out)
{
    TM_BUF_OWN struct tm_buf plain = {0};
    TM_BUF_OWN struct tm_buf packed = {0};
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    put_index(index, &plain);
    tm_assert(plain.len <= TM_PACK_INDEX_MAX);
    tm_zstd_pack(zstd, LEVEL, tm_buf_slice(&plain), &packed);

    uint32_t epoch = tm_ring_epoch(ring);
    size_t start = out->len;
    tm_ring_seal(ring, epoch, TM_KEY_INDEX, header, tm_buf_slice(&packed), out);
    size_t length = out->len - start;
    tm_buf_add_u32(out, epoch);
    tm_buf_add_u32(out, (uint32_t)length);
    tm_buf_add_text(out, foot_magic);
}

/* Index, reading ----------------------------------------------------------------------------- */

enum tm_code tm_pack_footer_decode(
        struct tm_slice footer, uint32_t *epoch, uint32_t *index_length, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(footer);
    uint32_t of_epoch = tm_rd_u32(&rd);
    uint32_t length = tm_rd_u32(&rd);
    struct tm_slice magic = tm_rd_bytes(&rd, 4);
    if (!tm_rd_ok(&rd) || tm_rd_left(&rd) > 0 || !tm_slice_is(magic, foot_magic)) {
        return tm_err_set(err, TM_E_CORRUPT, "pack footer: not the end of a pack");
    }
    if (length < INDEX_MIN || length > TM_PACK_BYTES_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "pack footer: an index of %" PRIu32 " bytes", length);
    }
    *epoch = of_epoch;
    *index_length = length;
    return TM_OK;
}

struct reader {
    struct tm_rd rd;
    const struct tm_pack_bounds *bounds;
    struct tm_pack_index *index;
    uint64_t frames_end; /* of the frames read so far */
};

static uint64_t number_to(struct reader *r, uint64_t most, const char *why)
{
    uint64_t value = tm_rd_v(&r->rd);
    if (value > most) {
        tm_rd_fail(&r->rd, why);
        return 0;
    }
    return value;
}

static uint32_t number32(struct reader *r)
{
    return (uint32_t)number_to(r, UINT32_MAX, "number larger than 32 bits");
}

static void read_streams(struct reader *r)
{
    struct tm_pack_index *index = r->index;
    size_t count = tm_rd_count(&r->rd, MIN_STREAM);
    index->streams = tm_arena_alloc(&index->arena, count, sizeof(*index->streams));
    index->stream_count = count;
    for (size_t i = 0; i < count && tm_rd_ok(&r->rd); i++) {
        struct tm_pack_stream *stream = &index->streams[i];
        stream->id = number32(r);
        if (i > 0 && stream->id <= stream[-1].id) {
            tm_rd_fail(&r->rd, "streams out of order, or one twice");
        }
        stream->cluster_id = tm_arena_dup(&index->arena, tm_rd_str(&r->rd));
        stream->topic = tm_arena_dup(&index->arena, tm_rd_str(&r->rd));
        stream->incarnation = number32(r);
    }
}

static void read_deps(struct reader *r)
{
    struct tm_pack_index *index = r->index;
    size_t count = tm_rd_count(&r->rd, sizeof(struct tm_hash));
    index->deps = tm_arena_alloc(&index->arena, count, sizeof(*index->deps));
    index->dep_count = count;
    for (size_t i = 0; i < count; i++) {
        struct tm_hash *dep = &index->deps[i];
        tm_rd_copy(&r->rd, dep->bytes, sizeof(dep->bytes));
        if (i > 0 && memcmp(dep[-1].bytes, dep->bytes, sizeof(dep->bytes)) >= 0) {
            tm_rd_fail(&r->rd, "dependencies out of order, or one twice");
        }
    }
}

static bool has_stream(const struct tm_pack_index *index, uint32_t id)
{
    size_t low = 0;
    size_t high = index->stream_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (index->streams[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < index->stream_count && index->streams[low].id == id;
}

static void read_run(struct reader *r, struct tm_block_run *row)
{
    struct tm_rd *rd = &r->rd;
    struct tm_run *run = &row->run;
    run->stream = number32(r);
    run->partition = (int32_t)number_to(r, INT32_MAX, "partition larger than 31 bits");
    run->first = tm_rd_v63(rd);
    run->length = tm_rd_v63(rd);
    run->count = tm_rd_v63(rd);
    run->bytes = tm_rd_v63(rd);
    run->largest = tm_rd_v63(rd);
    run->ts_min = tm_rd_z(rd);
    run->ts_max = (int64_t)((uint64_t)run->ts_min + tm_rd_v(rd));
    tm_rd_copy(rd, row->proof.bytes, sizeof(row->proof.bytes));
    if (tm_rd_ok(rd) && !has_stream(r->index, run->stream)) {
        tm_rd_fail(rd, "a run of a stream that is not listed");
    }
}

/* A locator. Frames are listed in the order in which they lie, so overlap shows at once. */
static void read_frame(struct reader *r, struct tm_frame *frame)
{
    struct tm_rd *rd = &r->rd;
    frame->key = number32(r);
    frame->counter = tm_rd_v(rd);
    frame->offset = tm_rd_v(rd);
    frame->stored = tm_rd_v(rd);
    frame->codec = (uint8_t)number_to(r, TM_FRAME_ZSTD, "a codec that is not known");
    frame->raw = tm_rd_v(rd);
    if (!tm_rd_ok(rd)) {
        return;
    }
    if (frame->key >= r->bounds->key_count) {
        tm_rd_fail(rd, "a data key that the header does not hold");
    } else if (frame->offset < r->frames_end) {
        tm_rd_fail(rd, "frames out of order, or that overlap");
    } else if (frame->offset > r->bounds->frames_end ||
               frame->stored > r->bounds->frames_end - frame->offset) {
        tm_rd_fail(rd, "a frame behind the last one's place");
    } else {
        r->frames_end = frame->offset + frame->stored;
    }
}

static void read_block(struct reader *r, struct tm_block_info *block)
{
    struct tm_rd *rd = &r->rd;
    struct tm_pack_index *index = r->index;
    block->flags = (uint8_t)number_to(r, TM_BLOCK_FLAGS, "a flag that is not known");
    block->run_count = tm_rd_count(rd, MIN_RUN);
    block->runs = tm_arena_alloc(&index->arena, block->run_count, sizeof(*block->runs));
    for (size_t i = 0; i < block->run_count && tm_rd_ok(rd); i++) {
        read_run(r, &block->runs[i]);
    }
    read_frame(r, &block->positions);
    if ((block->flags & TM_BLOCK_FOREIGN) != 0) {
        block->dep = (uint32_t)number_to(r, index->dep_count, "a dependency that is not listed");
    } else {
        read_frame(r, &block->content);
    }
    if (carries_id(block)) {
        tm_rd_copy(rd, block->content_id.bytes, sizeof(block->content_id.bytes));
    }
    const char *bad = tm_rd_ok(rd) ? tm_block_info_check(block) : NULL;
    if (bad != NULL) {
        tm_rd_fail(rd, bad);
    }
}

enum tm_code tm_pack_index_parse(struct tm_slice plain, const struct tm_pack_bounds *bounds,
        struct tm_pack_index *out, struct tm_err *err)
{
    struct tm_pack_index index = {0};
    struct reader r = {
            .rd = tm_rd_of(plain),
            .bounds = bounds,
            .index = &index,
            .frames_end = bounds->frames_begin,
    };
    read_streams(&r);
    read_deps(&r);
    size_t count = tm_rd_count(&r.rd, MIN_BLOCK);
    index.blocks = tm_arena_alloc(&index.arena, count, sizeof(*index.blocks));
    index.block_count = count;
    for (size_t i = 0; i < count && tm_rd_ok(&r.rd); i++) {
        read_block(&r, &index.blocks[i]);
    }
    enum tm_code code = tm_rd_finish(&r.rd, "pack index", err);
    if (code != TM_OK) {
        tm_pack_index_done(&index);
        return code;
    }
    *out = index;
    return TM_OK;
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_pack_index_decode(struct tm_slice sealed, uint32_t epoch,
        const struct tm_ring *ring, struct tm_slice header, const struct tm_pack_bounds *bounds,
        struct tm_pack_index *out, struct tm_err *err)
{
    if (!tm_ring_has_epoch(ring, epoch)) {
        return tm_err_set(err, TM_E_KEY, "pack index: the key ring has no epoch %" PRIu32, epoch);
    }
    TM_BUF_OWN struct tm_buf packed = {0};
    TM_BUF_OWN struct tm_buf plain = {0};
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    if (tm_ring_open(ring, epoch, TM_KEY_INDEX, header, sealed, &packed, err) != TM_OK ||
            tm_zstd_unpack(zstd, tm_buf_slice(&packed), TM_PACK_INDEX_MAX, &plain, err) != TM_OK) {
        return tm_err_wrap(err, "pack index");
    }
    return tm_pack_index_parse(tm_buf_slice(&plain), bounds, out, err);
}
