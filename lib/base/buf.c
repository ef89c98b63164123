/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64, VARINT_MAX = 10 };

void tm_buf_done(struct tm_buf *buf)
{
    free(buf->at);
    *buf = (struct tm_buf){0};
}

void tm_buf_clear(struct tm_buf *buf)
{
    buf->len = 0;
    if (buf->at != NULL) {
        buf->at[0] = 0;
    }
}

/* Kept out of line, so that the callers' common path is a comparison. */
static __attribute__((noinline)) void grow(struct tm_buf *buf, size_t extra)
{
    tm_assert(extra < SIZE_MAX / 2 - buf->len);
    size_t needed = buf->len + extra + 1; /* the NUL */
    size_t capacity = buf->capacity > 0 ? 2 * buf->capacity : FIRST_CAPACITY;
    capacity = capacity < needed ? needed : capacity;
    buf->at = tm_xgrow(buf->at, capacity, 1);
    buf->at[buf->len] = 0;
    buf->capacity = capacity;
}

/* An empty buffer has capacity 0, so it always grows: `at` need not be looked at. */
static inline void make_room(struct tm_buf *buf, size_t extra)
{
    if (__builtin_expect(buf->capacity - buf->len <= extra, 0)) {
        grow(buf, extra);
    }
}

static inline void append(struct tm_buf *buf, const void *bytes, size_t len)
{
    make_room(buf, len);
    memcpy(buf->at + buf->len, bytes, len);
    buf->len += len;
    buf->at[buf->len] = 0;
}

void tm_buf_reserve(struct tm_buf *buf, size_t extra)
{
    make_room(buf, extra);
}

uint8_t *tm_buf_extend(struct tm_buf *buf, size_t len)
{
    make_room(buf, len);
    uint8_t *at = buf->at + buf->len;
    buf->len += len;
    buf->at[buf->len] = 0;
    return at;
}

struct tm_slice tm_buf_slice(const struct tm_buf *buf)
{
    return tm_slice_of(tm_buf_text(buf), buf->len);
}

const char *tm_buf_text(const struct tm_buf *buf)
{
    return buf->at != NULL ? (const char *)buf->at : "";
}

char *tm_buf_take_text(struct tm_buf *buf)
{
    make_room(buf, 0);
    char *text = (char *)buf->at;
    *buf = (struct tm_buf){0};
    return text;
}

void tm_buf_add(struct tm_buf *buf, const void *bytes, size_t len)
{
    if (len > 0) { /* memcpy() may not be given NULL, which a null slice holds */
        append(buf, bytes, len);
    }
}

void tm_buf_add_text(struct tm_buf *buf, const char *text)
{
    append(buf, text, strlen(text));
}

void tm_buf_add_fmt(struct tm_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);

    make_room(buf, FIRST_CAPACITY);
    size_t room = buf->capacity - buf->len;
    int len = vsnprintf((char *)buf->at + buf->len, room, fmt, args);
    tm_assert(len >= 0);
    if ((size_t)len >= room) {
        make_room(buf, (size_t)len);
        (void)vsnprintf((char *)buf->at + buf->len, (size_t)len + 1, fmt, again);
    }
    buf->len += (size_t)len;

    va_end(again);
    va_end(args);
}

void tm_buf_add_u8(struct tm_buf *buf, uint8_t value)
{
    append(buf, &value, sizeof(value));
}

void tm_buf_add_u16(struct tm_buf *buf, uint16_t value)
{
    uint16_t little = htole16(value);
    append(buf, &little, sizeof(little));
}

void tm_buf_add_u32(struct tm_buf *buf, uint32_t value)
{
    uint32_t little = htole32(value);
    append(buf, &little, sizeof(little));
}

void tm_buf_add_u64(struct tm_buf *buf, uint64_t value)
{
    uint64_t little = htole64(value);
    append(buf, &little, sizeof(little));
}

static inline void append_varint(struct tm_buf *buf, uint64_t value)
{
    make_room(buf, VARINT_MAX);
    uint8_t *at = buf->at + buf->len;
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    *at = 0;
    buf->len = (size_t)(at - buf->at);
}

void tm_buf_add_v(struct tm_buf *buf, uint64_t value)
{
    append_varint(buf, value);
}

void tm_buf_add_z(struct tm_buf *buf, int64_t value)
{
    uint64_t sign = value < 0 ? UINT64_MAX : 0;
    append_varint(buf, ((uint64_t)value << 1) ^ sign);
}

void tm_buf_add_str(struct tm_buf *buf, struct tm_slice text)
{
    append_varint(buf, text.len);
    tm_buf_add(buf, text.at, text.len);
}

void tm_buf_add_hex(struct tm_buf *buf, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    tm_assert(len < SIZE_MAX / 4);
    uint8_t *to = tm_buf_extend(buf, 2 * len);
    for (size_t i = 0; i < len; i++) {
        to[2 * i] = (uint8_t)digits[from[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[from[i] & 15];
    }
}
