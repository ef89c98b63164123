/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz what is read of a pack: header, footer, and the index after decryption.
 *
 * Input: one byte that chooses (0 index, 1 header, 2 footer), then the bytes. No input may crash a
 * reader, and what it accepts must be what the writer writes.
 */
#include "codec/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tm_id16 vault_id = {{1, 2, 3, 4}};

/* The plain bytes of an index that was written by the encoder. */
static void written(const struct tm_pack_index *index, struct tm_buf *out)
{
    static struct tm_ring *ring; /* one for all inputs: making it costs more than parsing */
    static struct tm_zstd *zstd;
    if (ring == NULL) {
        ring = tm_ring_new(0);
        zstd = tm_zstd_new();
    }
    TM_BUF_OWN struct tm_buf end = {0};
    TM_BUF_OWN struct tm_buf packed = {0};
    struct tm_slice header = tm_slice_str("header");
    tm_pack_index_encode(index, ring, header, &end);
    struct tm_slice sealed = tm_slice_of(end.at, end.len - TM_PACK_FOOTER_BYTES);
    struct tm_err err = {0};
    enum tm_code code = tm_ring_open(ring, 1, TM_KEY_INDEX, header, sealed, &packed, &err);
    tm_assert(code == TM_OK);
    code = tm_zstd_unpack(zstd, tm_buf_slice(&packed), TM_PACK_INDEX_MAX, out, &err);
    tm_assert(code == TM_OK);
}

static void try_index(struct tm_slice plain)
{
    static const struct tm_pack_bounds bounds = {
            .frames_begin = 112, .frames_end = 1 << 26, .key_count = 3};
    struct tm_pack_index index = {0};
    struct tm_err err = {0};
    if (tm_pack_index_parse(plain, &bounds, &index, &err) == TM_OK) {
        TM_BUF_OWN struct tm_buf again = {0};
        written(&index, &again);
        tm_assert(tm_slice_eq(plain, tm_buf_slice(&again)));
        tm_pack_index_done(&index);
    } else {
        tm_assert(err.code == TM_E_CORRUPT && index.arena.chunks == NULL);
    }
}

static void try_header(struct tm_slice header)
{
    struct tm_arena arena = {0};
    struct tm_pack_key *keys = NULL;
    size_t count = 0;
    size_t length = 0;
    struct tm_err err = {0};
    bool has_length = tm_pack_header_length(header, &length, &err) == TM_OK;
    err = (struct tm_err){0};
    if (tm_pack_header_decode(header, &vault_id, &arena, &keys, &count, &err) == TM_OK) {
        TM_BUF_OWN struct tm_buf again = {0};
        tm_assert(has_length && length == header.len);
        tm_pack_header_encode(&vault_id, keys, count, &again);
        tm_assert(tm_slice_eq(header, tm_buf_slice(&again)));
    }
    tm_arena_done(&arena);
}

static void try_footer(struct tm_slice footer)
{
    uint32_t epoch = 0;
    uint32_t length = 0;
    struct tm_err err = {0};
    if (tm_pack_footer_decode(footer, &epoch, &length, &err) == TM_OK) {
        TM_BUF_OWN struct tm_buf again = {0};
        tm_buf_add_u32(&again, epoch);
        tm_buf_add_u32(&again, length);
        tm_buf_add_text(&again, "TMVE");
        tm_assert(tm_slice_eq(footer, tm_buf_slice(&again)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_codec_init();
    if (size < 1) {
        return 0;
    }
    struct tm_slice bytes = tm_slice_of(data + 1, size - 1);
    if (data[0] == 0) {
        try_index(bytes);
    } else if (data[0] == 1) {
        try_header(bytes);
    } else {
        try_footer(bytes);
    }
    return 0;
}
