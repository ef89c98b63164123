/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/keys: slots, rings, data keys and proofs, against libsodium used by hand. */
#include "codec/keys.h"

#include <check.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum {
    HEAD = 84,
    EPOCH_BYTES = 108,
    TAG = 16,
    NONCE_AT = 56,
    SALT_AT = 24,
    OPS_AT = 40,
    MEM_AT = 48
};

static const struct tm_id16 vault_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static const uint8_t key_file[TM_KEY_FILE_BYTES] = "thirty-two bytes of a key file.";
static const uint8_t wrong_file[TM_KEY_FILE_BYTES] = "thirty-two bytes of another one";

static struct tm_secret file_secret(void)
{
    return (struct tm_secret){TM_SECRET_KEY_FILE, tm_slice_of(key_file, sizeof(key_file))};
}

static struct tm_secret passphrase(const char *text)
{
    return (struct tm_secret){TM_SECRET_PASSPHRASE, tm_slice_str(text)};
}

static void slot_of(
        const struct tm_ring *ring, struct tm_secret secret, bool writer, struct tm_buf *out)
{
    struct tm_err err = {0};
    ck_assert_msg(tm_slot_encode(ring, &vault_id, &secret, writer, true, out, &err) == TM_OK, "%s",
            err.msg);
}

static struct tm_ring *opened(const struct tm_buf *slot, struct tm_secret secret)
{
    struct tm_ring *ring = NULL;
    struct tm_err err = {0};
    ck_assert_msg(tm_slot_decode(tm_buf_slice(slot), &secret, &ring, &err) == TM_OK, "%s", err.msg);
    return ring;
}

static void assert_same_keys(const struct tm_ring *a, const struct tm_ring *b, uint32_t epoch)
{
    struct tm_slice bytes = tm_slice_str("a record");
    struct tm_id16 tag_a = tm_ring_tag(a, epoch, bytes);
    struct tm_id16 tag_b = tm_ring_tag(b, epoch, bytes);
    ck_assert(tm_id16_eq(&tag_a, &tag_b));
    struct tm_hash id_a = tm_ring_content_id(a, epoch, bytes);
    struct tm_hash id_b = tm_ring_content_id(b, epoch, bytes);
    ck_assert(tm_hash_eq(&id_a, &id_b));
}

/* Every slot there can be opens with its secret, and its ring can what it should. */
START_TEST(a_slot_gives_back_the_ring)
{
    bool writer = (_i & 1) != 0;
    struct tm_secret secret = (_i & 2) != 0 ? passphrase("correct horse") : file_secret();
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(1700000000000);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, secret, writer, &slot);
    ck_assert_uint_eq(slot.len, HEAD + 2 + EPOCH_BYTES + TAG);

    struct tm_slot_info info = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_slot_peek(tm_buf_slice(&slot), &info, &err), TM_OK);
    ck_assert(tm_id16_eq(&info.vault_id, &vault_id));
    ck_assert_int_eq(info.kind, secret.kind);
    ck_assert_int_eq(info.writer, writer);
    ck_assert_uint_eq(info.epochs, 1);

    TM_OWN(tm_ring_free) struct tm_ring *back = opened(&slot, secret);
    ck_assert_int_eq(tm_ring_can_read(back), !writer);
    ck_assert_uint_eq(tm_ring_epoch(back), 1);
    assert_same_keys(ring, back, 1);
    char print[17];
    char print_back[17];
    tm_ring_fingerprint(ring, print);
    tm_ring_fingerprint(back, print_back);
    ck_assert_str_eq(print, print_back);
    ck_assert_uint_eq(strlen(print), 16);
}
END_TEST

START_TEST(a_passphrase_may_be_empty_and_long)
{
    char longest[1000] = {0};
    memset(longest, 'x', sizeof(longest) - 1);
    const char *texts[] = {"", longest};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
        TM_BUF_OWN struct tm_buf slot = {0};
        slot_of(ring, passphrase(texts[i]), false, &slot);
        TM_OWN(tm_ring_free) struct tm_ring *back = opened(&slot, passphrase(texts[i]));
        assert_same_keys(ring, back, 1);
    }
}
END_TEST

static enum tm_code refusal(const struct tm_buf *slot, struct tm_secret secret, char *msg)
{
    struct tm_ring *ring = NULL;
    struct tm_err err = {0};
    enum tm_code code = tm_slot_decode(tm_buf_slice(slot), &secret, &ring, &err);
    ck_assert_int_ne(code, TM_OK);
    ck_assert_ptr_null(ring);
    (void)snprintf(msg, TM_ERR_MSG_MAX, "%s", err.msg);
    return code;
}

START_TEST(a_wrong_secret_is_a_wrong_key)
{
    char msg[TM_ERR_MSG_MAX];
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf by_file = {0};
    TM_BUF_OWN struct tm_buf by_passphrase = {0};
    slot_of(ring, file_secret(), false, &by_file);
    slot_of(ring, passphrase("right"), false, &by_passphrase);

    struct tm_secret other = {TM_SECRET_KEY_FILE, tm_slice_of(wrong_file, sizeof(wrong_file))};
    ck_assert_int_eq(refusal(&by_file, other, msg), TM_E_KEY);
    ck_assert_str_eq(msg, "key slot: the key file does not open it");
    ck_assert_int_eq(refusal(&by_passphrase, passphrase("wrong"), msg), TM_E_KEY);
    ck_assert_str_eq(msg, "key slot: the passphrase does not open it");
    ck_assert_int_eq(refusal(&by_file, passphrase("right"), msg), TM_E_KEY);
    ck_assert_str_eq(msg, "key slot: it opens with a key file, not with a passphrase");
    ck_assert_int_eq(refusal(&by_passphrase, file_secret(), msg), TM_E_KEY);
    ck_assert_str_eq(msg, "key slot: it opens with a passphrase, not with a key file");

    struct tm_secret cut = {TM_SECRET_KEY_FILE, tm_slice_of(key_file, 31)};
    ck_assert_int_eq(refusal(&by_file, cut, msg), TM_E_KEY);
    ck_assert_str_eq(msg, "key file: it holds 31 bytes, not 32");
    struct tm_err err = {0};
    TM_BUF_OWN struct tm_buf none = {0};
    ck_assert_int_eq(tm_slot_encode(ring, &vault_id, &cut, false, true, &none, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, "key file: it holds 31 bytes, not 32");
    ck_assert_uint_eq(none.len, 0);
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    char msg[TM_ERR_MSG_MAX];
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, file_secret(), false, &slot);
    for (size_t at = 0; at < slot.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            slot.at[at] = (uint8_t)(slot.at[at] ^ (1U << bit));
            enum tm_code code = refusal(&slot, file_secret(), msg);
            bool layout = code == TM_E_CORRUPT || (code == TM_E_VERSION && (at == 4 || at == 5));
            ck_assert_msg(layout || code == TM_E_KEY, "byte %zu: %s", at, msg);
            ck_assert_msg(at < HEAD || code == TM_E_KEY, "byte %zu: %s", at, msg);
            slot.at[at] = (uint8_t)(slot.at[at] ^ (1U << bit));
        }
    }
    for (size_t len = 0; len < slot.len; len++) {
        struct tm_buf cut = {.at = slot.at, .len = len};
        ck_assert_int_eq(refusal(&cut, file_secret(), msg), TM_E_CORRUPT);
    }
    tm_buf_add_u8(&slot, 0);
    ck_assert_int_eq(refusal(&slot, file_secret(), msg), TM_E_CORRUPT);
    ck_assert_str_eq(msg, "key slot: its length is not what it says");
    slot.at[80]++; /* what it says */
    ck_assert_int_eq(refusal(&slot, file_secret(), msg), TM_E_CORRUPT);
    ck_assert_str_eq(msg, "key slot: no ring has its length");
}
END_TEST

/* Numbers of an altered slot; all are refused before a second or a gigabyte is spent on them. */
/* clang-format off */
static const struct {
    uint8_t kdf;
    uint8_t ring;
    uint64_t ops;
    uint64_t mem;
    const char *message;
} costs[] = {
    {1, 1, 0,          8 << 20,        "key slot: a key derivation's cost out of bounds"},
    {1, 1, 17,         8 << 20,        "key slot: a key derivation's cost out of bounds"},
    {1, 1, UINT64_MAX, 8 << 20,        "key slot: a key derivation's cost out of bounds"},
    {1, 1, 1,          8191,           "key slot: a key derivation's cost out of bounds"},
    {1, 1, 1,          (1 << 30) + 1,  "key slot: a key derivation's cost out of bounds"},
    {1, 1, 1,          UINT64_MAX,     "key slot: a key derivation's cost out of bounds"},
    {2, 1, 1,          0,              "key slot: a key file's slot with a passphrase's cost"},
    {2, 1, 0,          1,              "key slot: a key file's slot with a passphrase's cost"},
    {0, 1, 0,          0,              "key slot: a key derivation that is not known"},
    {3, 1, 0,          0,              "key slot: a key derivation that is not known"},
    {2, 0, 0,          0,              "key slot: a kind of ring that is not known"},
    {2, 3, 0,          0,              "key slot: a kind of ring that is not known"},
};
/* clang-format on */

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

START_TEST(costs_are_bounded_before_the_derivation_runs)
{
    char msg[TM_ERR_MSG_MAX];
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, file_secret(), false, &slot);
    slot.at[6] = costs[_i].kdf;
    slot.at[7] = costs[_i].ring;
    put_u64(slot.at + OPS_AT, costs[_i].ops);
    put_u64(slot.at + MEM_AT, costs[_i].mem);
    ck_assert_int_eq(refusal(&slot, passphrase("x"), msg), TM_E_CORRUPT);
    ck_assert_str_eq(msg, costs[_i].message);

    struct tm_slot_info info = {.writer = true};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_slot_peek(tm_buf_slice(&slot), &info, &err), TM_E_CORRUPT);
    ck_assert(info.writer); /* untouched */
}
END_TEST

START_TEST(a_later_version_is_told_from_damage)
{
    char msg[TM_ERR_MSG_MAX];
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, file_secret(), false, &slot);
    slot.at[4] = 2;
    ck_assert_int_eq(refusal(&slot, file_secret(), msg), TM_E_VERSION);
    ck_assert_str_eq(msg, "key slot: version 2, this program knows 1");
    slot.at[0] = 'X';
    ck_assert_int_eq(refusal(&slot, file_secret(), msg), TM_E_CORRUPT);
    ck_assert_str_eq(msg, "key slot: not a key slot");
}
END_TEST

/* The ring's bytes, opened as docs/format.md tells it, without any code of the library. */
static void open_by_hand(const struct tm_buf *slot, uint8_t *kek, uint8_t *ring)
{
    (void)crypto_generichash(kek, 32, slot->at + SALT_AT, 16, key_file, 32);
    ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(ring, NULL, NULL, slot->at + HEAD,
                             slot->len - HEAD, slot->at, HEAD, slot->at + NONCE_AT, kek),
            0);
}

/* Put back other bytes of the ring, well sealed. */
static void seal_by_hand(struct tm_buf *slot, const uint8_t *kek, const uint8_t *ring)
{
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(slot->at + HEAD, NULL, ring,
            slot->len - HEAD - TAG, slot->at, HEAD, NULL, slot->at + NONCE_AT, kek);
}

START_TEST(keys_are_derived_as_the_format_says)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0x1122334455667788);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, file_secret(), false, &slot);
    ck_assert_mem_eq(slot.at, "TMVK\1\0\2\1", 8);
    ck_assert_mem_eq(slot.at + 8, vault_id.bytes, 16);

    uint8_t kek[32];
    uint8_t plain[2 + EPOCH_BYTES];
    open_by_hand(&slot, kek, plain);
    ck_assert_mem_eq(plain, "\1\0\1\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11", 14);
    const uint8_t *meta_root = plain + 14;
    const uint8_t *pk = plain + 46;
    const uint8_t *sk = plain + 78;

    uint8_t k_index[32];
    uint8_t k_id[32];
    uint8_t k_rec[16];
    uint8_t k_mix[32];
    (void)crypto_kdf_derive_from_key(k_index, 32, 2, "tmvault1", meta_root);
    (void)crypto_kdf_derive_from_key(k_id, 32, 3, "tmvault1", meta_root);
    (void)crypto_kdf_derive_from_key(k_rec, 16, 4, "tmvault1", meta_root);
    (void)crypto_kdf_derive_from_key(k_mix, 32, 5, "tmvault1", meta_root);

    struct tm_slice bytes = tm_slice_str("any bytes");
    uint8_t expected[32];
    (void)crypto_shorthash_siphashx24(expected, bytes.at, bytes.len, k_rec);
    struct tm_id16 tag = tm_ring_tag(ring, 1, bytes);
    ck_assert_mem_eq(tag.bytes, expected, 16);
    (void)crypto_generichash(expected, 32, bytes.at, bytes.len, k_id, 32);
    struct tm_hash id = tm_ring_content_id(ring, 1, bytes);
    ck_assert_mem_eq(id.bytes, expected, 32);
    (void)crypto_generichash(expected, 32, pk, 32, NULL, 0);
    char print[17];
    char print_expected[17];
    tm_ring_fingerprint(ring, print);
    ck_assert_str_eq(print, sodium_bin2hex(print_expected, sizeof(print_expected), expected, 8));

    /* A pack's data key, and a frame under it. */
    uint8_t stored[TM_SEALED_KEY];
    TM_OWN(tm_data_key_free) struct tm_data_key *key = tm_data_key_new(ring, 1, stored);
    uint8_t seed[32];
    ck_assert_int_eq(crypto_box_seal_open(seed, stored, TM_SEALED_KEY, pk, sk), 0);
    uint8_t data_key[32];
    (void)crypto_generichash(data_key, 32, seed, 32, k_mix, 32);
    TM_BUF_OWN struct tm_buf frame = {0};
    tm_frame_seal(key, &vault_id, TM_FRAME_CONTENT, 0x0102, bytes, &frame);
    uint8_t aad[17];
    memcpy(aad, vault_id.bytes, 16);
    aad[16] = 'C';
    uint8_t nonce[24] = {0x02, 0x01};
    uint8_t back[9];
    ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(
                             back, NULL, NULL, frame.at, frame.len, aad, 17, nonce, data_key),
            0);
    ck_assert_mem_eq(back, bytes.at, 9);

    TM_BUF_OWN struct tm_buf index = {0};
    tm_ring_seal(ring, 1, TM_KEY_INDEX, tm_slice_str("aad"), bytes, &index);
    ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(back, NULL, NULL, index.at + 24,
                             index.len - 24, (const uint8_t *)"aad", 3, index.at, k_index),
            0);
    ck_assert_mem_eq(back, bytes.at, 9);
}
END_TEST

/* Rings that are well sealed and still cannot be: a bug of a writer, or a hostile one. */
START_TEST(a_ring_that_cannot_be_is_refused)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *message;
    } edits[] = {
            {0, 0, "key slot: the ring's length is not what it says"},
            {0, 1, "key slot: the ring's length is not what it says"},
            {0, 3, "key slot: the ring's length is not what it says"},
            {2 + EPOCH_BYTES, 1, "key slot: epochs out of order or twice"},
            {2 + EPOCH_BYTES, 0, "key slot: epochs out of order or twice"},
            {2 + 12 + 40, 0x55, "key slot: secret and public key of epoch 1 do not fit"},
            {2 + EPOCH_BYTES + 12 + 70, 0x55,
                    "key slot: secret and public key of epoch 2 do not fit"},
    };
    char msg[TM_ERR_MSG_MAX];
    TM_OWN(tm_ring_free) struct tm_ring *first = tm_ring_new(0);
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_rotate(first, 1);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, file_secret(), false, &slot);
    uint8_t kek[32];
    uint8_t plain[2 + 2 * EPOCH_BYTES];
    open_by_hand(&slot, kek, plain);
    for (size_t i = 0; i < LENGTH(edits); i++) {
        uint8_t forged[sizeof(plain)];
        memcpy(forged, plain, sizeof(plain));
        forged[edits[i].at] = edits[i].value;
        seal_by_hand(&slot, kek, forged);
        ck_assert_int_eq(refusal(&slot, file_secret(), msg), TM_E_CORRUPT);
        ck_assert_str_eq(msg, edits[i].message);
    }

    TM_BUF_OWN struct tm_buf writer = {0};
    slot_of(first, file_secret(), true, &writer);
    open_by_hand(&writer, kek, plain);
    ck_assert(sodium_is_zero(plain + 78, 32)); /* the secret key never left */
    plain[78] = 1;
    seal_by_hand(&writer, kek, plain);
    ck_assert_int_eq(refusal(&writer, file_secret(), msg), TM_E_CORRUPT);
    ck_assert_str_eq(msg, "key slot: secret and public key of epoch 1 do not fit");
}
END_TEST

START_TEST(a_rotated_ring_keeps_its_older_epochs)
{
    TM_OWN(tm_ring_free) struct tm_ring *first = tm_ring_new(0);
    TM_OWN(tm_ring_free) struct tm_ring *second = tm_ring_rotate(first, 5);
    ck_assert_uint_eq(tm_ring_epoch(first), 1);
    ck_assert_uint_eq(tm_ring_epoch(second), 2);
    ck_assert(tm_ring_has_epoch(second, 1) && tm_ring_has_epoch(second, 2));
    ck_assert(!tm_ring_has_epoch(second, 3) && !tm_ring_has_epoch(first, 2));
    assert_same_keys(first, second, 1);
    struct tm_id16 old_tag = tm_ring_tag(second, 1, tm_slice_str("x"));
    struct tm_id16 new_tag = tm_ring_tag(second, 2, tm_slice_str("x"));
    ck_assert(!tm_id16_eq(&old_tag, &new_tag));

    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(second, file_secret(), false, &slot);
    TM_OWN(tm_ring_free) struct tm_ring *back = opened(&slot, file_secret());
    assert_same_keys(second, back, 1);
    assert_same_keys(second, back, 2);
}
END_TEST

START_TEST(a_writer_can_seal_what_only_the_full_ring_opens)
{
    TM_OWN(tm_ring_free) struct tm_ring *full = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(full, file_secret(), true, &slot);
    TM_OWN(tm_ring_free) struct tm_ring *writer = opened(&slot, file_secret());

    uint8_t stored[TM_SEALED_KEY];
    TM_OWN(tm_data_key_free) struct tm_data_key *key = tm_data_key_new(writer, 1, stored);
    TM_BUF_OWN struct tm_buf frame = {0};
    tm_frame_seal(key, &vault_id, TM_FRAME_POSITIONS, 7, tm_slice_str("offsets"), &frame);

    struct tm_data_key *opened_key = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_data_key_open(writer, 1, stored, &opened_key, &err), TM_E_KEY);
    ck_assert_str_eq(err.msg, "data key: the key ring is a writer's, it cannot read");
    ck_assert_ptr_null(opened_key);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_data_key_open(full, 1, stored, &opened_key, &err), TM_OK);
    TM_BUF_OWN struct tm_buf back = {0};
    ck_assert_int_eq(tm_frame_open(opened_key, &vault_id, TM_FRAME_POSITIONS, 7,
                             tm_buf_slice(&frame), &back, &err),
            TM_OK);
    ck_assert_str_eq(tm_buf_text(&back), "offsets");
    tm_data_key_free(opened_key);

    stored[3] ^= 1;
    opened_key = NULL;
    ck_assert_int_eq(tm_data_key_open(full, 1, stored, &opened_key, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "data key: it was altered, or is of another key ring");
}
END_TEST

START_TEST(a_frame_opens_in_its_own_place_only)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    uint8_t stored[TM_SEALED_KEY];
    TM_OWN(tm_data_key_free) struct tm_data_key *key = tm_data_key_new(ring, 1, stored);
    TM_OWN(tm_data_key_free) struct tm_data_key *other_key = tm_data_key_new(ring, 1, stored);
    struct tm_id16 other_vault = vault_id;
    other_vault.bytes[15] ^= 1;
    TM_BUF_OWN struct tm_buf sealed = {0};
    tm_frame_seal(key, &vault_id, TM_FRAME_POSITIONS, 1, tm_slice_str("x"), &sealed);
    const struct {
        const struct tm_data_key *key;
        const struct tm_id16 *vault;
        enum tm_frame_kind kind;
        uint64_t counter;
        size_t len;
        const char *message;
    } places[] = {
            {other_key, &vault_id, TM_FRAME_POSITIONS, 1, 17,
                    "frame: it was altered, or belongs elsewhere"},
            {key, &other_vault, TM_FRAME_POSITIONS, 1, 17,
                    "frame: it was altered, or belongs elsewhere"},
            {key, &vault_id, TM_FRAME_CONTENT, 1, 17,
                    "frame: it was altered, or belongs elsewhere"},
            {key, &vault_id, TM_FRAME_POSITIONS, 2, 17,
                    "frame: it was altered, or belongs elsewhere"},
            {key, &vault_id, TM_FRAME_POSITIONS, 1ULL << 32, 17,
                    "frame: it was altered, or belongs elsewhere"},
            {key, &vault_id, TM_FRAME_POSITIONS, 1, 16,
                    "frame: it was altered, or belongs elsewhere"},
            {key, &vault_id, TM_FRAME_POSITIONS, 1, 15, "frame: cut short"},
    };
    for (size_t i = 0; i < LENGTH(places); i++) {
        TM_BUF_OWN struct tm_buf out = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(
                tm_frame_open(places[i].key, places[i].vault, places[i].kind, places[i].counter,
                        tm_slice_of(sealed.at, places[i].len), &out, &err),
                TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, places[i].message);
        ck_assert_uint_eq(out.len, 0);
    }
}
END_TEST

START_TEST(sealed_bytes_open_with_their_key_and_context_only)
{
    TM_OWN(tm_ring_free) struct tm_ring *first = tm_ring_new(0);
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_rotate(first, 0);
    TM_BUF_OWN struct tm_buf sealed = {0};
    TM_BUF_OWN struct tm_buf again = {0};
    tm_ring_seal(ring, 2, TM_KEY_INDEX, tm_slice_str("aad"), tm_slice_str("plain"), &sealed);
    tm_ring_seal(ring, 2, TM_KEY_INDEX, tm_slice_str("aad"), tm_slice_str("plain"), &again);
    ck_assert_uint_eq(sealed.len, TM_AEAD_NONCE + 5 + TM_AEAD_TAG);
    ck_assert(memcmp(sealed.at, again.at, TM_AEAD_NONCE) != 0); /* a fresh nonce each time */

    const struct {
        uint32_t epoch;
        enum tm_subkey key;
        const char *aad;
        size_t len;
        enum tm_code code;
    } tries[] = {
            {2, TM_KEY_INDEX, "aad", 45, TM_OK},
            {1, TM_KEY_INDEX, "aad", 45, TM_E_CORRUPT},
            {2, TM_KEY_LOG, "aad", 45, TM_E_CORRUPT},
            {2, TM_KEY_INDEX, "aae", 45, TM_E_CORRUPT},
            {2, TM_KEY_INDEX, "aad", 44, TM_E_CORRUPT},
            {2, TM_KEY_INDEX, "aad", 39, TM_E_CORRUPT},
    };
    for (size_t i = 0; i < LENGTH(tries); i++) {
        TM_BUF_OWN struct tm_buf out = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(
                tm_ring_open(ring, tries[i].epoch, tries[i].key, tm_slice_str(tries[i].aad),
                        tm_slice_of(sealed.at, tries[i].len), &out, &err),
                tries[i].code);
        ck_assert_str_eq(tm_buf_text(&out), tries[i].code == TM_OK ? "plain" : "");
    }
}
END_TEST

START_TEST(a_proof_is_one_hash_over_all_rows)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf slot = {0};
    slot_of(ring, file_secret(), false, &slot);
    uint8_t kek[32];
    uint8_t plain[2 + EPOCH_BYTES];
    open_by_hand(&slot, kek, plain);
    uint8_t k_id[32];
    (void)crypto_kdf_derive_from_key(k_id, 32, 3, "tmvault1", plain + 14);

    TM_OWN(tm_proof_free) struct tm_proof *proof = tm_proof_new(ring, 1);
    static const int counts[] = {0, 1, 63, 64, 65, 200}; /* around the rows gathered at a time */
    for (size_t i = 0; i < LENGTH(counts); i++) {
        TM_BUF_OWN struct tm_buf rows = {0};
        for (int row = 0; row < counts[i]; row++) {
            struct tm_id16 tag = {{(uint8_t)row, 1, 2}};
            int64_t stamp = row == 0 ? -1 : row * 1000000007LL;
            tm_proof_add(proof, stamp, &tag);
            tm_buf_add_u64(&rows, (uint64_t)stamp);
            tm_buf_add(&rows, tag.bytes, sizeof(tag.bytes));
        }
        uint8_t expected[16];
        (void)crypto_generichash(expected, 16, rows.at, rows.len, k_id, 32);
        struct tm_id16 digest = tm_proof_take(proof);
        ck_assert_mem_eq(digest.bytes, expected, 16);
    }
}
END_TEST

START_TEST(an_epoch_that_is_not_there_is_a_bug)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    (void)tm_ring_tag(ring, 2, tm_slice_str("x")); /* aborts */
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("slot");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_slot_gives_back_the_ring, 0, 4);
    tcase_add_test(tcase, a_passphrase_may_be_empty_and_long);
    tcase_add_test(tcase, a_wrong_secret_is_a_wrong_key);
    tcase_add_test(tcase, every_flipped_bit_is_refused);
    tcase_add_loop_test(tcase, costs_are_bounded_before_the_derivation_runs, 0, (int)LENGTH(costs));
    tcase_add_test(tcase, a_later_version_is_told_from_damage);
    tcase_add_test(tcase, keys_are_derived_as_the_format_says);
    tcase_add_test(tcase, a_ring_that_cannot_be_is_refused);
    tcase_add_test(tcase, a_rotated_ring_keeps_its_older_epochs);
    tcase_add_test(tcase, a_writer_can_seal_what_only_the_full_ring_opens);
    tcase_add_test(tcase, a_frame_opens_in_its_own_place_only);
    tcase_add_test(tcase, sealed_bytes_open_with_their_key_and_context_only);
    tcase_add_test(tcase, a_proof_is_one_hash_over_all_rows);
    tcase_add_test_raise_signal(tcase, an_epoch_that_is_not_there_is_a_bug, SIGABRT);

    Suite *suite = suite_create("slot");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
