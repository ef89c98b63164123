/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack - header, index and footer of a pack object as bytes, and back.
 *
 *    0  4 "TMVP"   4 2 version=1   6 2 flags=0   8 16 vault id   24 4 n keys (1..65535)
 *   28  n x 84     u32 epoch, 80 bytes sealed data key
 *    .  frames     AEAD ciphertexts back to back
 *    .  index      24 nonce || XChaCha20-Poly1305(K_index, AAD = whole header, zstd(index))
 *    .  8          u32 key epoch of the index, u32 index length (nonce and tag included)
 *    .  4          "TMVE"
 *
 * Threads: pure functions.
 */
#ifndef TM_CODEC_PACK_H
#define TM_CODEC_PACK_H

#include "base/arena.h"
#include "codec/block.h"

enum {
    TM_PACK_HEADER_FIXED = 28,
    TM_PACK_KEY_BYTES = 84,
    TM_PACK_FOOTER_BYTES = 12,
    TM_PACK_KEYS_MAX = 65535,
    TM_PACK_BYTES_MAX = 1 << 30,
    TM_PACK_INDEX_MAX = 256 << 20, /* raw bytes */
};

struct tm_pack_stream {
    uint32_t id; /* within this pack */
    struct tm_slice cluster_id;
    struct tm_slice topic;
    uint32_t incarnation;
};

struct tm_pack_key {
    uint32_t epoch;
    uint8_t stored[TM_SEALED_KEY];
};

/* Everything in a pack but its frames. Decoded: all memory lies in `arena`. */
struct tm_pack_index {
    struct tm_pack_stream *streams; /* sorted by id */
    size_t stream_count;
    struct tm_hash *deps; /* sorted */
    size_t dep_count;
    struct tm_block_info *blocks; /* in the order of their frames in the pack */
    size_t block_count;
    struct tm_arena arena;
};
void tm_pack_index_done(struct tm_pack_index *index);

/* Append the header for these keys. */
void tm_pack_header_encode(const struct tm_id16 *vault_id, const struct tm_pack_key *keys,
        size_t key_count, struct tm_buf *out);
/* Bytes of the whole header, from its first 28; TM_E_CORRUPT or TM_E_VERSION. */
enum tm_code tm_pack_header_length(
        struct tm_slice fixed, size_t *out, struct tm_err *err) TM_MUST_CHECK;
/* `keys` is allocated in `arena`. The vault id must be the given one. */
enum tm_code tm_pack_header_decode(struct tm_slice header, const struct tm_id16 *vault_id,
        struct tm_arena *arena, struct tm_pack_key **keys, size_t *key_count,
        struct tm_err *err) TM_MUST_CHECK;

/* Append index and footer, to follow the frames. */
void tm_pack_index_encode(const struct tm_pack_index *index, const struct tm_ring *ring,
        struct tm_slice header, struct tm_buf *out);
/* From the last 12 bytes: key epoch and length of the index before them. */
enum tm_code tm_pack_footer_decode(struct tm_slice footer, uint32_t *epoch, uint32_t *index_length,
        struct tm_err *err) TM_MUST_CHECK;
/*
 * Open and check an index: sorted lists, frames inside [header, header + frame bytes) without
 * overlap, key numbers below `key_count`, lengths and counts that can be. Nothing is trusted.
 */
struct tm_pack_bounds {
    uint64_t frames_begin;
    uint64_t frames_end;
    size_t key_count;
};
enum tm_code tm_pack_index_decode(struct tm_slice sealed, uint32_t epoch,
        const struct tm_ring *ring, struct tm_slice header, const struct tm_pack_bounds *bounds,
        struct tm_pack_index *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * The pure part of that, for the fuzzer: `plain` is the index after decryption and decompression.
 */
enum tm_code tm_pack_index_parse(struct tm_slice plain, const struct tm_pack_bounds *bounds,
        struct tm_pack_index *out, struct tm_err *err) TM_MUST_CHECK;

#endif
