/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys - the key ring of a vault, its key slots, and everything derived from it.
 *
 *   passphrase --Argon2id--> KEK       key file (32 random bytes): KEK = BLAKE2b-256(salt, key = file)
 *   slot object: XChaCha20-Poly1305(KEK, ring)
 *   ring: epochs of { meta_root, X25519 pk, sk or zero }; a ring without sk is a writer's
 *   meta_root -> K_log K_index K_id K_rec K_mix (crypto_kdf, context "tmvault1")
 *
 * Secret bytes lie in memory from sodium_malloc (locked, guarded, wiped). The slot's bytes:
 *
 *    0  4 "TMVK"   4 2 version=1   6 1 kdf (1 argon2id13, 2 key file)   7 1 ring (1 full, 2 writer)
 *    8 16 vault id   24 16 salt   40 8 ops   48 8 mem bytes (both 0 for kdf 2)
 *   56 24 nonce   80 4 ciphertext length (<= 64 KiB)   84 ciphertext, AAD = bytes 0..83
 *
 * Threads: a ring is read-only once made; any thread may use it.
 */
#ifndef TM_CODEC_KEYS_H
#define TM_CODEC_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/slice.h"

enum {
    TM_KEY_FILE_BYTES = 32,
    TM_SLOT_BYTES_MAX = 84 + 64 * 1024,
    TM_KDF_OPS_MAX = 16,
    TM_KDF_MEM_MAX = 1 << 30, /* bytes; checked before the KDF runs */
    TM_RING_EPOCHS_MAX = 600, /* what fits a slot's 64 KiB */
};

/*
 * What opens a slot. Bytes are borrowed, and belong in locked memory (tm_secret_new()); a passphrase
 * is without its trailing newline.
 */
enum tm_secret_kind { TM_SECRET_KEY_FILE, TM_SECRET_PASSPHRASE };
struct tm_secret {
    enum tm_secret_kind kind;
    struct tm_slice bytes; /* a key file: exactly 32 */
};

struct tm_ring;

/*
 * Which key file it is, without saying what is in it: first 8 bytes of BLAKE2b-256 over the file, as 16
 * hex digits and NUL; what `b2sum -l 256 FILE` begins with. "" for a passphrase: a hash of one could be
 * guessed at.
 */
void tm_secret_fingerprint(const struct tm_secret *secret, char out[17]);

/* Locked, guarded memory; aborts, never NULL. Freeing wipes; NULL is nothing. */
void *tm_secret_new(size_t size);
void tm_secret_free(void *at);

/* libsodium, once before anything else of this folder; aborts when it cannot start. */
void tm_codec_init(void);

/* A new ring with one epoch (number 1), made from random bytes. */
struct tm_ring *tm_ring_new(int64_t now_ms);
/* A copy of a full ring with one epoch more; store it in new slots before anything uses it. */
struct tm_ring *tm_ring_rotate(const struct tm_ring *ring, int64_t now_ms);
void tm_ring_free(struct tm_ring *ring); /* wipes */
TM_OWNABLE(struct tm_ring *, tm_ring_free);
bool tm_ring_can_read(const struct tm_ring *ring);  /* has it the secret keys? */
uint32_t tm_ring_epoch(const struct tm_ring *ring); /* newest epoch: new packs use it */
size_t tm_ring_epochs(const struct tm_ring *ring);  /* how many */
bool tm_ring_has_epoch(const struct tm_ring *ring, uint32_t epoch);
/* First 8 bytes of BLAKE2b-256 over all public keys, as 16 hex digits and NUL. */
void tm_ring_fingerprint(const struct tm_ring *ring, char out[17]);

/*
 * Encode a slot object for `ring` into `out`. `writer` leaves the secret keys out. Passphrases use
 * ops 3 and mem 256 MiB unless `light` (tests: ops 1, 8 MiB).
 */
enum tm_code tm_slot_encode(const struct tm_ring *ring, const struct tm_id16 *vault_id,
        const struct tm_secret *secret, bool writer, bool light, struct tm_buf *out,
        struct tm_err *err) TM_MUST_CHECK;

struct tm_slot_info {
    struct tm_id16 vault_id;
    enum tm_secret_kind kind;
    bool writer;
    size_t epochs; /* in its ring: its length gives them away. True once it has been opened */
};

/* Check the layout of a slot object and read what needs no key. TM_E_CORRUPT or TM_E_VERSION. */
enum tm_code tm_slot_peek(
        struct tm_slice object, struct tm_slot_info *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Open a slot object. TM_E_KEY when the secret is of the other kind or does not open it (a wrong key
 * and a flipped byte cannot be told apart), TM_E_CORRUPT when the layout is wrong.
 */
enum tm_code tm_slot_decode(struct tm_slice object, const struct tm_secret *secret,
        struct tm_ring **out, struct tm_err *err) TM_MUST_CHECK;

/* Keyed primitives of an epoch; the epoch must be in the ring (tm_ring_has_epoch). ---------- */

enum { TM_AEAD_NONCE = 24, TM_AEAD_TAG = 16, TM_SEALED_KEY = 80 };

enum tm_subkey { TM_KEY_LOG, TM_KEY_INDEX };

/* Append nonce (24 random bytes, given back at the front of the ciphertext) || ciphertext. */
void tm_ring_seal(const struct tm_ring *ring, uint32_t epoch, enum tm_subkey key,
        struct tm_slice aad, struct tm_slice plain, struct tm_buf *out);
/* Append the plain bytes; `sealed` = nonce || ciphertext. TM_E_CORRUPT when it does not open. */
enum tm_code tm_ring_open(const struct tm_ring *ring, uint32_t epoch, enum tm_subkey key,
        struct tm_slice aad, struct tm_slice sealed, struct tm_buf *out,
        struct tm_err *err) TM_MUST_CHECK;

/* Record tag: SipHash-2-4-128(K_rec, bytes). The hot path: one call a record. */
struct tm_id16 tm_ring_tag(const struct tm_ring *ring, uint32_t epoch, struct tm_slice bytes);

/* Content proof: BLAKE2b-128(K_id, (timestamp int64 LE || tag) of records in order). */
struct tm_proof;
struct tm_proof *tm_proof_new(const struct tm_ring *ring, uint32_t epoch);
void tm_proof_free(struct tm_proof *proof);
TM_OWNABLE(struct tm_proof *, tm_proof_free);
void tm_proof_add(struct tm_proof *proof, int64_t timestamp_ms, const struct tm_id16 *tag);
struct tm_id16 tm_proof_take(struct tm_proof *proof); /* the digest; starts anew */

/* Content id: BLAKE2b-256(K_id, bytes). */
struct tm_hash tm_ring_content_id(
        const struct tm_ring *ring, uint32_t epoch, struct tm_slice bytes);

/* A pack's data key: r random, stored = crypto_box_seal(r, pk), DK = BLAKE2b-256(r, key = K_mix). */
struct tm_data_key; /* DK in locked memory */
struct tm_data_key *tm_data_key_new(
        const struct tm_ring *ring, uint32_t epoch, uint8_t stored[TM_SEALED_KEY]);
/* TM_E_KEY when the ring is a writer's; TM_E_CORRUPT when it does not open. */
enum tm_code tm_data_key_open(const struct tm_ring *ring, uint32_t epoch,
        const uint8_t stored[TM_SEALED_KEY], struct tm_data_key **out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_data_key_free(struct tm_data_key *key);
TM_OWNABLE(struct tm_data_key *, tm_data_key_free);

enum tm_frame_kind { TM_FRAME_POSITIONS = 'P', TM_FRAME_CONTENT = 'C' };

/* XChaCha20-Poly1305(DK, nonce = LE64 counter || 16 zero bytes, AAD = vault id || kind). */
void tm_frame_seal(const struct tm_data_key *key, const struct tm_id16 *vault_id,
        enum tm_frame_kind kind, uint64_t counter, struct tm_slice plain, struct tm_buf *out);
enum tm_code tm_frame_open(const struct tm_data_key *key, const struct tm_id16 *vault_id,
        enum tm_frame_kind kind, uint64_t counter, struct tm_slice sealed, struct tm_buf *out,
        struct tm_err *err) TM_MUST_CHECK;

void tm_random(void *out, size_t len); /* from the operating system */

#endif
