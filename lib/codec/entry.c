/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/entry.h"

#include <inttypes.h>

#include "base/rd.h"
#include "codec/ring_impl.h"

enum {
    VERSION = 1,
    KIND_DELTA = 1,
    KIND_FULL = 2,
    NONCE_AT = TM_ENTRY_HEADER - TM_AEAD_NONCE,
    LEVEL = 3, /* small and rare next to packs; readers do not care */
};

struct head {
    struct tm_entry_place place;
    uint8_t kind;
    uint32_t epoch;
};

/* Do kind, seq, back and prev agree? A full has no way back; log/0 is a full without predecessor. */
static const char *check_place(const struct tm_entry_place *place, bool full)
{
    static const struct tm_hash zero;
    if (full) {
        if (place->back != 0) {
            return "a full that points back to another";
        }
    } else if (place->back < 1 || place->back > place->seq) {
        return "the full it points back to cannot be";
    }
    bool first = place->seq == 0;
    return first && !tm_hash_eq(&place->prev, &zero) ? "the first entry names one before it" : NULL;
}

enum tm_code tm_entry_encode(struct tm_edits *edits, const struct tm_entry_place *place,
        const struct tm_ring *ring, struct tm_buf *out, struct tm_err *err)
{
    tm_assert(check_place(place, edits->full) == NULL);
    TM_BUF_OWN struct tm_buf body = {0};
    enum tm_code code = tm_body_encode(edits, &body, err);
    if (code != TM_OK) {
        return code;
    }
    TM_BUF_OWN struct tm_buf packed = {0};
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    tm_zstd_pack(zstd, LEVEL, tm_buf_slice(&body), &packed);
    tm_buf_done(&body); /* a full may be large, and is held once at a time */
    if (TM_ENTRY_HEADER + packed.len + TM_AEAD_TAG > TM_ENTRY_BYTES_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "log entry: larger than an entry may be");
    }

    uint32_t epoch = tm_ring_epoch(ring);
    size_t start = out->len;
    tm_buf_reserve(out, TM_ENTRY_HEADER + packed.len + TM_AEAD_TAG); /* the AAD must not move */
    tm_buf_add_text(out, "TMVL");
    tm_buf_add_u16(out, VERSION);
    tm_buf_add_u8(out, edits->full ? KIND_FULL : KIND_DELTA);
    tm_buf_add_u8(out, 0);
    tm_buf_add(out, place->vault_id.bytes, sizeof(place->vault_id.bytes));
    tm_buf_add_u32(out, epoch);
    tm_buf_add_u32(out, place->back);
    tm_buf_add_u64(out, place->seq);
    tm_buf_add(out, place->prev.bytes, sizeof(place->prev.bytes));
    tm_random(tm_buf_extend(out, TM_AEAD_NONCE), TM_AEAD_NONCE);
    tm_assert(out->len - start == TM_ENTRY_HEADER);
    const uint8_t *head = out->at + start;
    tm_ring_seal_under(tm_ring_find(ring, epoch)->log_key, head + NONCE_AT,
            tm_slice_of(head, TM_ENTRY_HEADER), tm_buf_slice(&packed), out);
    return TM_OK;
}

static enum tm_code read_head(struct tm_slice object, struct head *head, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(object);
    struct tm_slice magic = tm_rd_bytes(&rd, 4);
    uint16_t version = tm_rd_u16(&rd);
    if (!tm_rd_ok(&rd) || !tm_slice_is(magic, "TMVL")) {
        return tm_err_set(err, TM_E_CORRUPT, "not a log entry");
    }
    if (version != VERSION) {
        return tm_err_set(err, TM_E_VERSION, "version %u, this program knows 1", (unsigned)version);
    }
    head->kind = tm_rd_u8(&rd);
    uint8_t zero = tm_rd_u8(&rd);
    tm_rd_copy(&rd, head->place.vault_id.bytes, sizeof(head->place.vault_id.bytes));
    head->epoch = tm_rd_u32(&rd);
    head->place.back = tm_rd_u32(&rd);
    head->place.seq = tm_rd_u64(&rd);
    tm_rd_copy(&rd, head->place.prev.bytes, sizeof(head->place.prev.bytes));
    if (!tm_rd_ok(&rd) || tm_rd_left(&rd) < TM_AEAD_NONCE + TM_AEAD_TAG) {
        return tm_err_set(err, TM_E_CORRUPT, "cut short");
    }
    if (object.len > TM_ENTRY_BYTES_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "larger than an entry can be");
    }
    if ((head->kind != KIND_DELTA && head->kind != KIND_FULL) || zero != 0) {
        return tm_err_set(err, TM_E_CORRUPT, "a kind of entry that is not known");
    }
    return TM_OK;
}

static enum tm_code check_head(const struct head *head, uint64_t seq,
        const struct tm_id16 *vault_id, const struct tm_ring *ring, struct tm_err *err)
{
    if (!tm_id16_eq(&head->place.vault_id, vault_id)) {
        return tm_err_set(err, TM_E_CORRUPT, "it is of another vault");
    }
    if (head->place.seq != seq) {
        return tm_err_set(err, TM_E_CORRUPT, "it is entry %" PRIu64, head->place.seq);
    }
    const char *bad = check_place(&head->place, head->kind == KIND_FULL);
    if (bad != NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "%s", bad);
    }
    if (!tm_ring_has_epoch(ring, head->epoch)) {
        return tm_err_set(err, TM_E_KEY,
                "the key ring has no epoch %" PRIu32 "; the keys of the vault were rotated; hint: "
                "open it again (restart the daemon)",
                head->epoch);
    }
    return TM_OK;
}

static enum tm_code read_edits(struct tm_slice object, const struct head *head,
        const struct tm_ring *ring, struct tm_edits *out, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf packed = {0};
    struct tm_slice aad = tm_slice_of(object.at, TM_ENTRY_HEADER);
    struct tm_slice sealed = tm_slice_of(object.at + NONCE_AT, object.len - NONCE_AT);
    enum tm_code code = tm_ring_open(ring, head->epoch, TM_KEY_LOG, aad, sealed, &packed, err);
    if (code != TM_OK) {
        return code;
    }
    TM_BUF_OWN struct tm_buf body = {0};
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    code = tm_zstd_unpack(zstd, tm_buf_slice(&packed), TM_ENTRY_BODY_MAX, &body, err);
    tm_buf_done(&packed);
    if (code != TM_OK) {
        return code;
    }
    struct tm_edits edits = {0};
    code = tm_body_decode(tm_buf_slice(&body), head->kind == KIND_FULL, &edits, err);
    if (code == TM_OK) {
        edits.body = body; /* moves: the edits borrow from it */
        body = (struct tm_buf){0};
        *out = edits;
    }
    return code;
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_entry_decode(struct tm_slice object, uint64_t seq, const struct tm_id16 *vault_id,
        const struct tm_ring *ring, struct tm_entry_place *place, struct tm_edits *out,
        struct tm_err *err)
{
    struct head head = {0};
    enum tm_code code = read_head(object, &head, err);
    if (code == TM_OK) {
        code = check_head(&head, seq, vault_id, ring, err);
    }
    if (code == TM_OK) {
        code = read_edits(object, &head, ring, out, err);
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "log entry %" PRIu64, seq);
    }
    *place = head.place;
    return TM_OK;
}
