/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a growing byte buffer, and the writers of the vault's primitive types.
 *
 * Invariant: at[len] == 0 whenever at != NULL, so that text in a buffer is a C string. A zeroed
 * struct is a valid empty buffer. Growth aborts when memory is gone: what is appended has been
 * bounded by its caller.
 *
 * Encodings (docs/format.md): integers little endian; v = unsigned LEB128, minimal; z = zigzag v;
 * str = v length + bytes.
 *
 * Threads: one at a time.
 */
#ifndef TM_BASE_BUF_H
#define TM_BASE_BUF_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/slice.h"

struct tm_buf {
    uint8_t *at;
    size_t len;
    size_t capacity;
};

void tm_buf_done(struct tm_buf *buf);  /* free the bytes; the buffer is empty again */
void tm_buf_clear(struct tm_buf *buf); /* forget the bytes, keep the memory */
void tm_buf_reserve(struct tm_buf *buf, size_t extra);  /* room for `extra` more bytes */
uint8_t *tm_buf_extend(struct tm_buf *buf, size_t len); /* append unset bytes; where they lie */
struct tm_slice tm_buf_slice(const struct tm_buf *buf); /* borrowed until the next change */
const char *tm_buf_text(const struct tm_buf *buf);      /* never NULL; borrowed likewise */
char *tm_buf_take_text(struct tm_buf *buf); /* the bytes as a string for free(); leaves it empty */

void tm_buf_add(struct tm_buf *buf, const void *bytes, size_t len);
void tm_buf_add_text(struct tm_buf *buf, const char *text);
void tm_buf_add_fmt(struct tm_buf *buf, const char *fmt, ...) TM_PRINTF(2, 3);
void tm_buf_add_u8(struct tm_buf *buf, uint8_t value);
void tm_buf_add_u16(struct tm_buf *buf, uint16_t value);
void tm_buf_add_u32(struct tm_buf *buf, uint32_t value);
void tm_buf_add_u64(struct tm_buf *buf, uint64_t value);
void tm_buf_add_v(struct tm_buf *buf, uint64_t value);
void tm_buf_add_z(struct tm_buf *buf, int64_t value);
void tm_buf_add_str(struct tm_buf *buf, struct tm_slice text);
void tm_buf_add_hex(struct tm_buf *buf, const void *bytes, size_t len); /* lower case */

/* Cleanup of a buffer on the stack: TM_BUF_OWN struct tm_buf buf = {0}; */
#define TM_BUF_OWN __attribute__((cleanup(tm_buf_done)))

#endif
