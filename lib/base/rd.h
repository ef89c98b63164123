/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rd - read the vault's primitive types out of untrusted bytes.
 *
 * A reader that has failed stays failed and gives zeros, so that a sequence of reads needs one check
 * at its end (tm_rd_finish). Counts and lengths are compared with the bytes that remain before
 * anything is allocated for them.
 *
 * Threads: one at a time.
 */
#ifndef TM_BASE_RD_H
#define TM_BASE_RD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct tm_rd {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const char *failed; /* what was wrong first, static text; NULL while all is well */
    size_t failed_at;   /* byte at which that was read */
};

struct tm_rd tm_rd_of(struct tm_slice bytes);
size_t tm_rd_left(const struct tm_rd *rd);
bool tm_rd_ok(const struct tm_rd *rd);
void tm_rd_fail(struct tm_rd *rd, const char *why); /* `why` static; the first one is kept */

uint8_t tm_rd_u8(struct tm_rd *rd);
uint16_t tm_rd_u16(struct tm_rd *rd);
uint32_t tm_rd_u32(struct tm_rd *rd);
uint64_t tm_rd_u64(struct tm_rd *rd);
uint64_t tm_rd_v(struct tm_rd *rd); /* minimal LEB128 of at most 10 bytes, else failure */
int64_t tm_rd_z(struct tm_rd *rd);
int64_t tm_rd_v63(struct tm_rd *rd);                     /* v that must be <= INT64_MAX */
struct tm_slice tm_rd_bytes(struct tm_rd *rd, size_t n); /* borrowed; failure when fewer remain */
struct tm_slice tm_rd_str(struct tm_rd *rd);             /* v length <= 65,535, then bytes */
void tm_rd_copy(struct tm_rd *rd, void *to, size_t n);   /* zeros on failure */

/* A count of elements that take at least `min_bytes` (>= 1) each of what remains; else failure. */
size_t tm_rd_count(struct tm_rd *rd, size_t min_bytes);

/*
 * TM_OK when nothing failed and every byte was read; else TM_E_CORRUPT, with
 * "<subject>: <why> at byte N". Trailing bytes are a failure.
 */
enum tm_code tm_rd_finish(struct tm_rd *rd, const char *subject, struct tm_err *err) TM_MUST_CHECK;

#endif
