/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varint - LEB128 into memory that is known to have room: the hot paths of record and block.
 *
 * tm_buf_add_v() asks for room at every call; these do not. Private to this folder. Threads: any.
 */
#ifndef TM_CODEC_VARINT_H
#define TM_CODEC_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { TM_VARINT_MAX = 10 }; /* bytes of the longest one */

static inline size_t tm_varint_length(uint64_t value)
{
    return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

/* Write `value` at `at`; gives the byte behind it. */
static inline uint8_t *tm_varint_put(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint64_t tm_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

#endif
