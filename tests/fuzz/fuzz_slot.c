/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz tm_slot_decode(): no object may crash it, and a ring it accepts survives another slot.
 *
 * Input: one byte, then with 0 a whole slot object; else the kind of ring and its bytes, which are
 * sealed here, since no fuzzer guesses an authenticator.
 */
#include <sodium.h>

#include "codec/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 84, TAG = 16 };

static const uint8_t file[TM_KEY_FILE_BYTES] = "a key file for the fuzzer alone";
static const struct tm_id16 vault_id = {{1, 2, 3}};

static void seal_ring(uint8_t kind, struct tm_slice ring, struct tm_buf *out)
{
    static const uint8_t zeros[64];
    tm_buf_add(out, "TMVK\1\0\2", 7);
    tm_buf_add_u8(out, kind);
    tm_buf_add(out, vault_id.bytes, 16);
    tm_buf_add(out, zeros, 16 + 8 + 8 + 24); /* salt, ops, mem, nonce */
    tm_buf_add_u32(out, (uint32_t)ring.len + TAG);
    tm_buf_reserve(out, ring.len + TAG);
    uint8_t kek[32];
    (void)crypto_generichash(kek, sizeof(kek), zeros, 16, file, sizeof(file));
    uint8_t *to = tm_buf_extend(out, ring.len + TAG);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
            to, NULL, ring.at, ring.len, out->at, HEAD, NULL, out->at + 56, kek);
}

/* What was accepted can be written again, and is then the same ring. */
static void write_again(const struct tm_ring *ring, const struct tm_secret *secret)
{
    TM_BUF_OWN struct tm_buf slot = {0};
    struct tm_err err = {0};
    struct tm_ring *back = NULL;
    bool writer = !tm_ring_can_read(ring);
    enum tm_code code = tm_slot_encode(ring, &vault_id, secret, writer, true, &slot, &err);
    tm_assert(code == TM_OK);
    code = tm_slot_decode(tm_buf_slice(&slot), secret, &back, &err);
    tm_assert(code == TM_OK && tm_ring_can_read(back) == !writer);
    uint32_t epoch = tm_ring_epoch(ring);
    struct tm_id16 a = tm_ring_tag(ring, epoch, tm_slice_str("x"));
    struct tm_id16 b = tm_ring_tag(back, epoch, tm_slice_str("x"));
    tm_assert(tm_id16_eq(&a, &b));
    tm_ring_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_codec_init();
    if (size < 2 || size > 70000) {
        return 0;
    }
    TM_BUF_OWN struct tm_buf object = {0};
    if (data[0] == 0) {
        tm_buf_add(&object, data + 1, size - 1);
    } else {
        seal_ring(data[0], tm_slice_of(data + 1, size - 1), &object);
    }
    /* A key file, so that no input can ask for a gigabyte and sixteen passes. */
    struct tm_secret secret = {TM_SECRET_KEY_FILE, tm_slice_of(file, sizeof(file))};
    struct tm_slot_info info;
    struct tm_err err = {0};
    bool peeked = tm_slot_peek(tm_buf_slice(&object), &info, &err) == TM_OK;
    struct tm_ring *ring = NULL;
    err = (struct tm_err){0};
    if (tm_slot_decode(tm_buf_slice(&object), &secret, &ring, &err) == TM_OK) {
        tm_assert(peeked);
        write_again(ring, &secret);
    } else {
        tm_assert(ring == NULL);
    }
    tm_ring_free(ring);
    return 0;
}
