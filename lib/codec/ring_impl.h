/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_impl - what a key ring is made of; for ring.c, frames.c, slot.c and entry.c alone.
 *
 * Threads: as keys.h says.
 */
#ifndef TM_CODEC_RING_IMPL_H
#define TM_CODEC_RING_IMPL_H

#include "codec/keys.h"

/* Invariant of a finished ring: the derived keys belong to `meta_root`; sk is zero or fits pk. */
struct tm_epoch {
    int64_t created_ms;
    uint32_t number;
    uint8_t meta_root[32];
    uint8_t pk[32];
    uint8_t sk[32];
    uint8_t log_key[32];
    uint8_t index_key[32];
    uint8_t id_key[32];
    uint8_t mix_key[32];
    uint8_t record_key[16];
};

/* Invariant: count >= 1; numbers ascend strictly. `epochs` is read-only memory once finished. */
struct tm_ring {
    size_t count;
    bool can_read;
    struct tm_epoch *epochs; /* sodium_malloc */
};

/* Room for `count` epochs, to be filled in and then given to tm_ring_finish(). */
struct tm_ring *tm_ring_of(size_t count, bool can_read);
void tm_ring_finish(struct tm_ring *ring); /* derive the subkeys, make the memory read-only */

/* The epoch of that number, which must be in the ring. */
const struct tm_epoch *tm_ring_find(const struct tm_ring *ring, uint32_t epoch);

/* tm_ring_seal() with a nonce that the caller made and wrote himself: appends ciphertext alone. */
void tm_ring_seal_under(const uint8_t key[32], const uint8_t nonce[TM_AEAD_NONCE],
        struct tm_slice aad, struct tm_slice plain, struct tm_buf *out);

#endif
