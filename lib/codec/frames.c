/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <stdlib.h>

#include "codec/ring_impl.h"

/* Data keys ---------------------------------------------------------------------------------- */

enum { SEED_BYTES = 32 }; /* r */

struct tm_data_key { /* lies in locked memory */
    uint8_t bytes[32];
};

_Static_assert(crypto_box_SEALBYTES + SEED_BYTES == TM_SEALED_KEY, "sealed data key");

/* DK = BLAKE2b-256(r, key = K_mix): who breaks X25519 one day still needs the ring. */
static struct tm_data_key *mix(const struct tm_epoch *epoch, const uint8_t seed[SEED_BYTES])
{
    struct tm_data_key *key = tm_secret_new(sizeof(*key));
    (void)crypto_generichash(key->bytes, sizeof(key->bytes), seed, SEED_BYTES, epoch->mix_key,
            sizeof(epoch->mix_key));
    (void)sodium_mprotect_readonly(key);
    return key;
}

struct tm_data_key *tm_data_key_new(
        const struct tm_ring *ring, uint32_t epoch, uint8_t stored[TM_SEALED_KEY])
{
    const struct tm_epoch *found = tm_ring_find(ring, epoch);
    uint8_t *seed = tm_secret_new(SEED_BYTES);
    randombytes_buf(seed, SEED_BYTES);
    int bad = crypto_box_seal(stored, seed, SEED_BYTES, found->pk);
    tm_assert(bad == 0); /* only a public key of low order fails, and ours is not */
    struct tm_data_key *key = mix(found, seed);
    tm_secret_free(seed);
    return key;
}

enum tm_code tm_data_key_open(const struct tm_ring *ring, uint32_t epoch,
        const uint8_t stored[TM_SEALED_KEY], struct tm_data_key **out, struct tm_err *err)
{
    const struct tm_epoch *found = tm_ring_find(ring, epoch);
    if (!ring->can_read) {
        return tm_err_set(err, TM_E_KEY, "data key: the key ring is a writer's, it cannot read");
    }
    uint8_t *seed = tm_secret_new(SEED_BYTES);
    enum tm_code code = TM_OK;
    if (crypto_box_seal_open(seed, stored, TM_SEALED_KEY, found->pk, found->sk) == 0) {
        *out = mix(found, seed);
    } else {
        code = tm_err_set(err, TM_E_CORRUPT, "data key: it was altered, or is of another key ring");
    }
    tm_secret_free(seed);
    return code;
}

void tm_data_key_free(struct tm_data_key *key)
{
    tm_secret_free(key);
}

/* Frames ------------------------------------------------------------------------------------- */

enum { FRAME_AAD = sizeof(struct tm_id16) + 1 };

static void frame_aad(const struct tm_id16 *vault_id, enum tm_frame_kind kind, uint8_t *aad)
{
    memcpy(aad, vault_id->bytes, sizeof(vault_id->bytes));
    aad[sizeof(vault_id->bytes)] = (uint8_t)kind;
}

static void frame_nonce(uint64_t counter, uint8_t *nonce)
{
    memset(nonce, 0, TM_AEAD_NONCE);
    for (int i = 0; i < 8; i++) {
        nonce[i] = (uint8_t)(counter >> (8 * i));
    }
}

void tm_frame_seal(const struct tm_data_key *key, const struct tm_id16 *vault_id,
        enum tm_frame_kind kind, uint64_t counter, struct tm_slice plain, struct tm_buf *out)
{
    uint8_t aad[FRAME_AAD];
    uint8_t nonce[TM_AEAD_NONCE];
    frame_aad(vault_id, kind, aad);
    frame_nonce(counter, nonce);
    tm_ring_seal_under(key->bytes, nonce, tm_slice_of(aad, sizeof(aad)), plain, out);
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_frame_open(const struct tm_data_key *key, const struct tm_id16 *vault_id,
        enum tm_frame_kind kind, uint64_t counter, struct tm_slice sealed, struct tm_buf *out,
        struct tm_err *err)
{
    if (sealed.len < TM_AEAD_TAG) {
        return tm_err_set(err, TM_E_CORRUPT, "frame: cut short");
    }
    uint8_t aad[FRAME_AAD];
    uint8_t nonce[TM_AEAD_NONCE];
    frame_aad(vault_id, kind, aad);
    frame_nonce(counter, nonce);

    size_t start = out->len;
    tm_buf_reserve(out, sealed.len);
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(out->at + start, NULL, NULL, sealed.at,
            sealed.len, aad, sizeof(aad), nonce, key->bytes);
    if (bad != 0) {
        return tm_err_set(err, TM_E_CORRUPT, "frame: it was altered, or belongs elsewhere");
    }
    (void)tm_buf_extend(out, sealed.len - TM_AEAD_TAG);
    return TM_OK;
}

/* Proofs ------------------------------------------------------------------------------------- */

enum { PROOF_ROW = sizeof(int64_t) + sizeof(struct tm_id16), PROOF_ROWS = 64 };

/* Rows are gathered, since hashing 24 bytes at a time costs more than the hash. Invariant:
 * gathered < PROOF_ROWS between calls. Lies in locked memory, for the state holds the key. */
struct tm_proof {
    crypto_generichash_state state;
    uint8_t rows[PROOF_ROWS * PROOF_ROW];
    size_t gathered;
    const struct tm_epoch *epoch;
};

_Static_assert(sizeof(struct tm_proof) % 64 == 0, "sodium_malloc() aligns the end, not the start");

static void restart(struct tm_proof *proof)
{
    (void)crypto_generichash_init(&proof->state, proof->epoch->id_key, sizeof(proof->epoch->id_key),
            sizeof(struct tm_id16));
    proof->gathered = 0;
}

struct tm_proof *tm_proof_new(const struct tm_ring *ring, uint32_t epoch)
{
    struct tm_proof *proof = tm_secret_new(sizeof(*proof));
    proof->epoch = tm_ring_find(ring, epoch);
    restart(proof);
    return proof;
}

void tm_proof_free(struct tm_proof *proof)
{
    tm_secret_free(proof);
}

static void hash_rows(struct tm_proof *proof)
{
    (void)crypto_generichash_update(&proof->state, proof->rows, proof->gathered * PROOF_ROW);
    proof->gathered = 0;
}

void tm_proof_add(struct tm_proof *proof, int64_t timestamp_ms, const struct tm_id16 *tag)
{
    uint8_t *row = proof->rows + proof->gathered * PROOF_ROW;
    for (size_t i = 0; i < sizeof(timestamp_ms); i++) {
        row[i] = (uint8_t)((uint64_t)timestamp_ms >> (8 * i));
    }
    memcpy(row + sizeof(timestamp_ms), tag->bytes, sizeof(tag->bytes));
    if (++proof->gathered == PROOF_ROWS) {
        hash_rows(proof);
    }
}

struct tm_id16 tm_proof_take(struct tm_proof *proof)
{
    struct tm_id16 digest;
    hash_rows(proof);
    (void)crypto_generichash_final(&proof->state, digest.bytes, sizeof(digest.bytes));
    restart(proof);
    return digest;
}
