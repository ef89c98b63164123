/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz tm_body_decode(): no body may crash it, and what it accepts it must write back.
 *
 * Input: one byte (odd: a full), then the body. The hash of a full is put in here, since no fuzzer
 * guesses it: the input goes without.
 */
#include "base/hash.h"
#include "base/rd.h"
#include "codec/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_hash(struct tm_slice input, struct tm_buf *out)
{
    struct tm_rd rd = tm_rd_of(input);
    (void)tm_rd_z(&rd);
    (void)tm_rd_str(&rd);
    (void)tm_rd_str(&rd);
    struct tm_slice state = tm_slice_of(rd.at, tm_rd_left(&rd));
    struct tm_hash hash = tm_sha256_of(state);
    tm_buf_add(out, input.at, input.len - state.len);
    tm_buf_add(out, hash.bytes, sizeof(hash.bytes));
    tm_buf_add(out, state.at, state.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    bool full = (data[0] & 1) != 0;
    struct tm_slice input = tm_slice_of(data + 1, size - 1);
    TM_BUF_OWN struct tm_buf body = {0};
    if (full) {
        put_hash(input, &body);
    } else {
        tm_buf_add(&body, input.at, input.len);
    }

    struct tm_edits edits = {0};
    struct tm_err err = {0};
    if (tm_body_decode(tm_buf_slice(&body), full, &edits, &err) == TM_OK) {
        TM_BUF_OWN struct tm_buf again = {0};
        tm_edits_sort(&edits); /* changes nothing */
        enum tm_code code = tm_body_encode(&edits, &again, &err);
        tm_assert(code == TM_OK);
        tm_assert(tm_slice_eq(tm_buf_slice(&body), tm_buf_slice(&again)));
        tm_edits_done(&edits);
    } else {
        tm_assert(err.code == TM_E_CORRUPT && edits.params.at == NULL);
    }
    return 0;
}
