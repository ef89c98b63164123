/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/ring_impl.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/text.h"

/* Numbers of the subkeys; the context is part of the format. */
enum { SUB_LOG = 1, SUB_INDEX = 2, SUB_ID = 3, SUB_RECORD = 4, SUB_MIX = 5 };
static const char kdf_context[crypto_kdf_CONTEXTBYTES + 1] = "tmvault1";

_Static_assert(crypto_box_PUBLICKEYBYTES == 32 && crypto_box_SECRETKEYBYTES == 32, "X25519");
_Static_assert(crypto_kdf_KEYBYTES == 32, "meta_root");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES == 16, "K_rec");
_Static_assert(crypto_shorthash_siphashx24_BYTES == sizeof(struct tm_id16), "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32, "K_log");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == TM_AEAD_NONCE, "nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == TM_AEAD_TAG, "authenticator");

void tm_codec_init(void)
{
    int started = sodium_init();
    tm_assert(started >= 0);
}

void tm_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void *tm_secret_new(size_t size)
{
    void *at = sodium_malloc(size);
    tm_assert(at != NULL);
    return at;
}

void tm_secret_free(void *at)
{
    sodium_free(at); /* wipes */
}

void tm_secret_fingerprint(const struct tm_secret *secret, char out[17])
{
    uint8_t digest[32];
    out[0] = '\0';
    if (secret->kind == TM_SECRET_KEY_FILE) {
        (void)crypto_generichash(
                digest, sizeof(digest), secret->bytes.at, secret->bytes.len, NULL, 0);
        tm_hex(digest, 8, out);
    }
}

struct tm_ring *tm_ring_of(size_t count, bool can_read)
{
    tm_assert(count >= 1 && count <= TM_RING_EPOCHS_MAX);
    struct tm_ring *ring = tm_xalloc(1, sizeof(*ring));
    ring->count = count;
    ring->can_read = can_read;
    ring->epochs = tm_secret_new(count * sizeof(*ring->epochs));
    memset(ring->epochs, 0, count * sizeof(*ring->epochs));
    return ring;
}

static void derive(const struct tm_epoch *epoch, uint64_t number, uint8_t *key, size_t len)
{
    int bad = crypto_kdf_derive_from_key(key, len, number, kdf_context, epoch->meta_root);
    tm_assert(bad == 0);
}

void tm_ring_finish(struct tm_ring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        struct tm_epoch *epoch = &ring->epochs[i];
        tm_assert(i == 0 || epoch[-1].number < epoch->number);
        derive(epoch, SUB_LOG, epoch->log_key, sizeof(epoch->log_key));
        derive(epoch, SUB_INDEX, epoch->index_key, sizeof(epoch->index_key));
        derive(epoch, SUB_ID, epoch->id_key, sizeof(epoch->id_key));
        derive(epoch, SUB_RECORD, epoch->record_key, sizeof(epoch->record_key));
        derive(epoch, SUB_MIX, epoch->mix_key, sizeof(epoch->mix_key));
    }
    (void)sodium_mprotect_readonly(ring->epochs); /* a guard against bugs, not needed to be safe */
}

static void fill_new_epoch(struct tm_epoch *epoch, uint32_t number, int64_t now_ms)
{
    epoch->number = number;
    epoch->created_ms = now_ms;
    randombytes_buf(epoch->meta_root, sizeof(epoch->meta_root));
    int bad = crypto_box_keypair(epoch->pk, epoch->sk);
    tm_assert(bad == 0);
}

struct tm_ring *tm_ring_new(int64_t now_ms)
{
    struct tm_ring *ring = tm_ring_of(1, true);
    fill_new_epoch(&ring->epochs[0], 1, now_ms);
    tm_ring_finish(ring);
    return ring;
}

struct tm_ring *tm_ring_rotate(const struct tm_ring *ring, int64_t now_ms)
{
    tm_assert(ring->can_read); /* a slot of the new ring must open what the old one opened */
    struct tm_ring *next = tm_ring_of(ring->count + 1, true);
    memcpy(next->epochs, ring->epochs, ring->count * sizeof(*ring->epochs));
    fill_new_epoch(&next->epochs[ring->count], tm_ring_epoch(ring) + 1, now_ms);
    tm_ring_finish(next);
    return next;
}

void tm_ring_free(struct tm_ring *ring)
{
    if (ring != NULL) {
        sodium_free(ring->epochs); /* wipes */
        free(ring);
    }
}

bool tm_ring_can_read(const struct tm_ring *ring)
{
    return ring->can_read;
}

uint32_t tm_ring_epoch(const struct tm_ring *ring)
{
    return ring->epochs[ring->count - 1].number;
}

size_t tm_ring_epochs(const struct tm_ring *ring)
{
    return ring->count;
}

/* Newest first: nearly every call asks for that one. */
static const struct tm_epoch *look_up(const struct tm_ring *ring, uint32_t number)
{
    for (size_t i = ring->count; i > 0; i--) {
        if (ring->epochs[i - 1].number == number) {
            return &ring->epochs[i - 1];
        }
    }
    return NULL;
}

bool tm_ring_has_epoch(const struct tm_ring *ring, uint32_t epoch)
{
    return look_up(ring, epoch) != NULL;
}

const struct tm_epoch *tm_ring_find(const struct tm_ring *ring, uint32_t epoch)
{
    const struct tm_epoch *found = look_up(ring, epoch);
    tm_assert(found != NULL);
    return found;
}

void tm_ring_fingerprint(const struct tm_ring *ring, char out[17])
{
    crypto_generichash_state state;
    uint8_t digest[32];
    (void)crypto_generichash_init(&state, NULL, 0, sizeof(digest));
    for (size_t i = 0; i < ring->count; i++) {
        (void)crypto_generichash_update(&state, ring->epochs[i].pk, sizeof(ring->epochs[i].pk));
    }
    (void)crypto_generichash_final(&state, digest, sizeof(digest));
    tm_hex(digest, 8, out);
}

static const uint8_t *subkey(const struct tm_ring *ring, uint32_t epoch, enum tm_subkey key)
{
    const struct tm_epoch *found = tm_ring_find(ring, epoch);
    switch (key) {
    case TM_KEY_LOG:
        return found->log_key;
    case TM_KEY_INDEX:
        return found->index_key;
    }
    tm_assert(false); /* no other value is one of the enum */
    return NULL;
}

void tm_ring_seal_under(const uint8_t key[32], const uint8_t nonce[TM_AEAD_NONCE],
        struct tm_slice aad, struct tm_slice plain, struct tm_buf *out)
{
    uint8_t *to = tm_buf_extend(out, plain.len + TM_AEAD_TAG);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
            to, NULL, plain.at, plain.len, aad.at, aad.len, NULL, nonce, key);
}

void tm_ring_seal(const struct tm_ring *ring, uint32_t epoch, enum tm_subkey key,
        struct tm_slice aad, struct tm_slice plain, struct tm_buf *out)
{
    uint8_t nonce[TM_AEAD_NONCE];
    randombytes_buf(nonce, sizeof(nonce));
    tm_buf_add(out, nonce, sizeof(nonce));
    tm_ring_seal_under(subkey(ring, epoch, key), nonce, aad, plain, out);
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_ring_open(const struct tm_ring *ring, uint32_t epoch, enum tm_subkey key,
        struct tm_slice aad, struct tm_slice sealed, struct tm_buf *out, struct tm_err *err)
{
    if (sealed.len < TM_AEAD_NONCE + TM_AEAD_TAG) {
        return tm_err_set(err, TM_E_CORRUPT, "ciphertext: cut short");
    }
    size_t start = out->len;
    size_t cipher_len = sealed.len - TM_AEAD_NONCE;
    tm_buf_reserve(out, cipher_len);
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(out->at + start, NULL, NULL,
            sealed.at + TM_AEAD_NONCE, cipher_len, aad.at, aad.len, sealed.at,
            subkey(ring, epoch, key));
    if (bad != 0) {
        return tm_err_set(err, TM_E_CORRUPT, "ciphertext: it was altered, or belongs elsewhere");
    }
    (void)tm_buf_extend(out, cipher_len - TM_AEAD_TAG);
    return TM_OK;
}

struct tm_id16 tm_ring_tag(const struct tm_ring *ring, uint32_t epoch, struct tm_slice bytes)
{
    struct tm_id16 tag;
    (void)crypto_shorthash_siphashx24(
            tag.bytes, bytes.at, bytes.len, tm_ring_find(ring, epoch)->record_key);
    return tag;
}

struct tm_hash tm_ring_content_id(const struct tm_ring *ring, uint32_t epoch, struct tm_slice bytes)
{
    struct tm_hash id;
    const struct tm_epoch *found = tm_ring_find(ring, epoch);
    (void)crypto_generichash(
            id.bytes, sizeof(id.bytes), bytes.at, bytes.len, found->id_key, sizeof(found->id_key));
    return id;
}
