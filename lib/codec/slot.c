/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sodium.h>

#include "base/rd.h"
#include "codec/ring_impl.h"

enum {
    VERSION = 1,
    KDF_ARGON2ID = 1,
    KDF_KEY_FILE = 2,
    RING_FULL = 1,
    RING_WRITER = 2,
    SALT_BYTES = 16,
    HEAD_BYTES = 84, /* everything before the ciphertext: its AAD */
    NONCE_AT = 56,
    CIPHER_MAX = 64 * 1024,
    EPOCH_BYTES = 4 + 8 + 3 * 32,
    RING_BYTES_MIN = 2 + EPOCH_BYTES,
    MEM_MIN = 8192, /* Argon2's own floor */
    OPS = 3,
    MEM = 256 << 20,
    OPS_LIGHT = 1,
    MEM_LIGHT = 8 << 20,
};

_Static_assert(crypto_pwhash_SALTBYTES == SALT_BYTES, "Argon2id salt");
_Static_assert(HEAD_BYTES + CIPHER_MAX == TM_SLOT_BYTES_MAX, "largest slot");
_Static_assert(2 + TM_RING_EPOCHS_MAX * EPOCH_BYTES + TM_AEAD_TAG <= CIPHER_MAX, "largest ring");

/* The first 84 bytes, read and found well formed. */
struct slot_head {
    struct tm_id16 vault_id;
    uint8_t kdf;
    uint8_t ring;
    uint8_t salt[SALT_BYTES];
    uint8_t nonce[TM_AEAD_NONCE];
    uint64_t ops;
    uint64_t mem;
    size_t epochs;
};

static bool secret_fits(const struct tm_secret *secret)
{
    return secret->kind != TM_SECRET_KEY_FILE || secret->bytes.len == TM_KEY_FILE_BYTES;
}

/* The key-encryption key, into locked memory. Bounds of ops and mem have been checked. */
static enum tm_code derive_kek(const struct slot_head *head, const struct tm_secret *secret,
        uint8_t kek[32], struct tm_err *err)
{
    if (head->kdf == KDF_KEY_FILE) {
        (void)crypto_generichash(
                kek, 32, head->salt, SALT_BYTES, secret->bytes.at, secret->bytes.len);
        return TM_OK;
    }
    const char *passphrase = secret->bytes.len > 0 ? (const char *)secret->bytes.at : "";
    if (crypto_pwhash(kek, 32, passphrase, secret->bytes.len, head->salt, head->ops,
                (size_t)head->mem, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return tm_err_set(err, TM_E_LIMIT,
                "key slot: %" PRIu64 " MiB of memory for the passphrase are not to be had",
                head->mem >> 20);
    }
    return TM_OK;
}

/* Encoding ----------------------------------------------------------------------------------- */

static void put_head(const struct slot_head *head, const struct tm_ring *ring, struct tm_buf *out)
{
    tm_buf_add_text(out, "TMVK");
    tm_buf_add_u16(out, VERSION);
    tm_buf_add_u8(out, head->kdf);
    tm_buf_add_u8(out, head->ring);
    tm_buf_add(out, head->vault_id.bytes, sizeof(head->vault_id.bytes));
    tm_buf_add(out, head->salt, sizeof(head->salt));
    tm_buf_add_u64(out, head->ops);
    tm_buf_add_u64(out, head->mem);
    tm_buf_add(out, head->nonce, sizeof(head->nonce));
    tm_buf_add_u32(out, (uint32_t)(2 + ring->count * EPOCH_BYTES + TM_AEAD_TAG));
}

static void put_le(uint8_t *at, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* The ring as bytes. Not a tm_buf: growing one leaves copies of the secret in freed memory. */
static uint8_t *ring_bytes(const struct tm_ring *ring, bool writer, size_t *len)
{
    *len = 2 + ring->count * EPOCH_BYTES;
    uint8_t *bytes = tm_secret_new(*len);
    put_le(bytes, ring->count, 2);
    uint8_t *at = bytes + 2;
    for (size_t i = 0; i < ring->count; i++, at += EPOCH_BYTES) {
        const struct tm_epoch *epoch = &ring->epochs[i];
        put_le(at, epoch->number, 4);
        put_le(at + 4, (uint64_t)epoch->created_ms, 8);
        memcpy(at + 12, epoch->meta_root, 32);
        memcpy(at + 44, epoch->pk, 32);
        memset(at + 76, 0, 32);
        if (!writer) {
            memcpy(at + 76, epoch->sk, 32);
        }
    }
    return bytes;
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_slot_encode(const struct tm_ring *ring, const struct tm_id16 *vault_id,
        const struct tm_secret *secret, bool writer, bool light, struct tm_buf *out,
        struct tm_err *err)
{
    tm_assert(writer || ring->can_read);
    if (!secret_fits(secret)) {
        return tm_err_set(err, TM_E_USAGE, "key file: it holds %zu bytes, not %d",
                secret->bytes.len, TM_KEY_FILE_BYTES);
    }
    bool by_passphrase = secret->kind == TM_SECRET_PASSPHRASE;
    struct slot_head head = {
            .vault_id = *vault_id,
            .kdf = by_passphrase ? KDF_ARGON2ID : KDF_KEY_FILE,
            .ring = writer ? RING_WRITER : RING_FULL,
            .ops = !by_passphrase ? 0 : (light ? OPS_LIGHT : OPS),
            .mem = !by_passphrase ? 0 : (light ? MEM_LIGHT : MEM),
    };
    randombytes_buf(head.salt, sizeof(head.salt));
    randombytes_buf(head.nonce, sizeof(head.nonce));

    uint8_t *kek = tm_secret_new(32);
    enum tm_code code = derive_kek(&head, secret, kek, err);
    if (code == TM_OK) {
        size_t start = out->len;
        size_t len = 0;
        uint8_t *plain = ring_bytes(ring, writer, &len);
        put_head(&head, ring, out);
        tm_buf_reserve(out, len + TM_AEAD_TAG); /* the AAD must not move while it is read */
        tm_ring_seal_under(kek, head.nonce, tm_slice_of(out->at + start, HEAD_BYTES),
                tm_slice_of(plain, len), out);
        tm_secret_free(plain);
    }
    tm_secret_free(kek);
    return code;
}

/* Decoding ----------------------------------------------------------------------------------- */

static const char *check_kdf(const struct slot_head *head)
{
    if (head->kdf == KDF_KEY_FILE) {
        return head->ops == 0 && head->mem == 0 ? NULL
                                                : "a key file's slot with a passphrase's cost";
    }
    if (head->kdf != KDF_ARGON2ID) {
        return "a key derivation that is not known";
    }
    /* Before the KDF runs: an altered slot must not cost an hour or all memory. */
    bool bounded = head->ops >= 1 && head->ops <= TM_KDF_OPS_MAX && head->mem >= MEM_MIN &&
                   head->mem <= TM_KDF_MEM_MAX;
    return bounded ? NULL : "a key derivation's cost out of bounds";
}

static enum tm_code read_head(struct tm_slice object, struct slot_head *head, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(object);
    struct tm_slice magic = tm_rd_bytes(&rd, 4);
    uint16_t version = tm_rd_u16(&rd);
    if (!tm_rd_ok(&rd) || !tm_slice_is(magic, "TMVK")) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: not a key slot");
    }
    if (version != VERSION) {
        return tm_err_set(
                err, TM_E_VERSION, "key slot: version %u, this program knows 1", (unsigned)version);
    }
    head->kdf = tm_rd_u8(&rd);
    head->ring = tm_rd_u8(&rd);
    tm_rd_copy(&rd, head->vault_id.bytes, sizeof(head->vault_id.bytes));
    tm_rd_copy(&rd, head->salt, sizeof(head->salt));
    head->ops = tm_rd_u64(&rd);
    head->mem = tm_rd_u64(&rd);
    tm_rd_copy(&rd, head->nonce, sizeof(head->nonce));
    uint32_t cipher_len = tm_rd_u32(&rd);
    if (!tm_rd_ok(&rd)) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: cut short");
    }
    const char *bad_kdf = check_kdf(head);
    if (bad_kdf != NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: %s", bad_kdf);
    }
    if (head->ring != RING_FULL && head->ring != RING_WRITER) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: a kind of ring that is not known");
    }
    if (cipher_len > CIPHER_MAX || cipher_len < RING_BYTES_MIN + TM_AEAD_TAG ||
            cipher_len != tm_rd_left(&rd)) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: its length is not what it says");
    }
    if ((cipher_len - TM_AEAD_TAG - 2) % EPOCH_BYTES != 0) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: no ring has its length");
    }
    head->epochs = (cipher_len - TM_AEAD_TAG - 2) / EPOCH_BYTES;
    return TM_OK;
}

enum tm_code tm_slot_peek(struct tm_slice object, struct tm_slot_info *out, struct tm_err *err)
{
    struct slot_head head = {0};
    enum tm_code code = read_head(object, &head, err);
    if (code == TM_OK) {
        *out = (struct tm_slot_info){
                .vault_id = head.vault_id,
                .kind = head.kdf == KDF_KEY_FILE ? TM_SECRET_KEY_FILE : TM_SECRET_PASSPHRASE,
                .writer = head.ring == RING_WRITER,
                .epochs = head.epochs,
        };
    }
    return code;
}

/* Does the secret key belong to the public one; or, in a writer's ring, is it absent? */
static bool pair_fits(const struct tm_epoch *epoch, bool can_read)
{
    if (!can_read) {
        return sodium_is_zero(epoch->sk, sizeof(epoch->sk)) == 1;
    }
    uint8_t pk[32];
    return crypto_scalarmult_base(pk, epoch->sk) == 0 &&
           sodium_memcmp(pk, epoch->pk, sizeof(pk)) == 0;
}

static enum tm_code read_ring(
        struct tm_slice plain, bool can_read, struct tm_ring **out, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(plain);
    size_t count = tm_rd_u16(&rd);
    if (count == 0 || count > TM_RING_EPOCHS_MAX || tm_rd_left(&rd) != count * EPOCH_BYTES) {
        return tm_err_set(err, TM_E_CORRUPT, "key slot: the ring's length is not what it says");
    }
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_of(count, can_read);
    for (size_t i = 0; i < count; i++) {
        struct tm_epoch *epoch = &ring->epochs[i];
        epoch->number = tm_rd_u32(&rd);
        epoch->created_ms = (int64_t)tm_rd_u64(&rd);
        tm_rd_copy(&rd, epoch->meta_root, sizeof(epoch->meta_root));
        tm_rd_copy(&rd, epoch->pk, sizeof(epoch->pk));
        tm_rd_copy(&rd, epoch->sk, sizeof(epoch->sk));
        if (i > 0 && epoch->number <= epoch[-1].number) {
            return tm_err_set(err, TM_E_CORRUPT, "key slot: epochs out of order or twice");
        }
        if (!pair_fits(epoch, can_read)) {
            return tm_err_set(err, TM_E_CORRUPT,
                    "key slot: secret and public key of epoch %" PRIu32 " do not fit",
                    epoch->number);
        }
    }
    tm_ring_finish(ring);
    *out = TM_TAKE(ring);
    return TM_OK;
}

static enum tm_code open_ring(struct tm_slice object, const struct slot_head *head,
        const uint8_t *kek, struct tm_ring **out, struct tm_err *err)
{
    size_t cipher_len = object.len - HEAD_BYTES;
    size_t len = cipher_len - TM_AEAD_TAG;
    uint8_t *plain = tm_secret_new(len);
    enum tm_code code;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, object.at + HEAD_BYTES,
                cipher_len, object.at, HEAD_BYTES, object.at + NONCE_AT, kek) != 0) {
        code = tm_err_set(err, TM_E_KEY, "key slot: the %s does not open it",
                head->kdf == KDF_KEY_FILE ? "key file" : "passphrase");
    } else {
        code = read_ring(tm_slice_of(plain, len), head->ring == RING_FULL, out, err);
    }
    tm_secret_free(plain);
    return code;
}

enum tm_code tm_slot_decode(struct tm_slice object, const struct tm_secret *secret,
        struct tm_ring **out, struct tm_err *err)
{
    struct slot_head head = {0};
    enum tm_code code = read_head(object, &head, err);
    if (code != TM_OK) {
        return code;
    }
    bool by_file = head.kdf == KDF_KEY_FILE;
    if (by_file != (secret->kind == TM_SECRET_KEY_FILE)) {
        return tm_err_set(err, TM_E_KEY, "key slot: it opens with a %s, not with a %s",
                by_file ? "key file" : "passphrase", by_file ? "passphrase" : "key file");
    }
    if (!secret_fits(secret)) {
        return tm_err_set(err, TM_E_KEY, "key file: it holds %zu bytes, not %d", secret->bytes.len,
                TM_KEY_FILE_BYTES);
    }
    uint8_t *kek = tm_secret_new(32);
    code = derive_kek(&head, secret, kek, err);
    if (code == TM_OK) {
        code = open_ring(object, &head, kek, out, err);
    }
    tm_secret_free(kek);
    return code;
}
