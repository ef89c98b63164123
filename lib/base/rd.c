/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rd.h"

#include <endian.h>
#include <string.h>

enum { STR_MAX = 65535 };

static const char cut_short[] = "cut short";

struct tm_rd tm_rd_of(struct tm_slice bytes)
{
    static const uint8_t nothing[1];
    const uint8_t *start = bytes.at != NULL ? bytes.at : nothing;
    tm_assert(bytes.at != NULL || bytes.len == 0);
    return (struct tm_rd){.start = start, .at = start, .end = start + bytes.len};
}

size_t tm_rd_left(const struct tm_rd *rd)
{
    return (size_t)(rd->end - rd->at);
}

bool tm_rd_ok(const struct tm_rd *rd)
{
    return rd->failed == NULL;
}

/* A failed reader stands at its end: every later read then takes the path of "no bytes left", and
 * the paths of success need not look at `failed`. */
static __attribute__((noinline)) void fail(struct tm_rd *rd, const char *why, const uint8_t *where)
{
    if (rd->failed == NULL) {
        rd->failed = why;
        rd->failed_at = (size_t)(where - rd->start);
    }
    rd->at = rd->end;
}

void tm_rd_fail(struct tm_rd *rd, const char *why)
{
    fail(rd, why, rd->at);
}

static inline bool take(struct tm_rd *rd, void *to, size_t n)
{
    if (__builtin_expect(tm_rd_left(rd) < n, 0)) {
        fail(rd, cut_short, rd->at);
        return false;
    }
    memcpy(to, rd->at, n);
    rd->at += n;
    return true;
}

uint8_t tm_rd_u8(struct tm_rd *rd)
{
    uint8_t value;
    return take(rd, &value, sizeof(value)) ? value : 0;
}

uint16_t tm_rd_u16(struct tm_rd *rd)
{
    uint16_t value;
    return take(rd, &value, sizeof(value)) ? le16toh(value) : 0;
}

uint32_t tm_rd_u32(struct tm_rd *rd)
{
    uint32_t value;
    return take(rd, &value, sizeof(value)) ? le32toh(value) : 0;
}

uint64_t tm_rd_u64(struct tm_rd *rd)
{
    uint64_t value;
    return take(rd, &value, sizeof(value)) ? le64toh(value) : 0;
}

/* A varint of two bytes or more, or none at all. */
static __attribute__((noinline)) uint64_t read_long_varint(struct tm_rd *rd)
{
    const uint8_t *start = rd->at;
    const uint8_t *at = start;
    uint64_t value = 0;
    for (unsigned shift = 0; at < rd->end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) {
            fail(rd, "number larger than 64 bits", start);
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte >= 0x80) {
            continue;
        }
        if (byte == 0 && shift > 0) {
            fail(rd, "number not in its shortest form", start);
            return 0;
        }
        rd->at = at;
        return value;
    }
    fail(rd, cut_short, start);
    return 0;
}

static inline uint64_t read_varint(struct tm_rd *rd)
{
    if (__builtin_expect(rd->at < rd->end && *rd->at < 0x80, 1)) {
        return *rd->at++;
    }
    return read_long_varint(rd);
}

uint64_t tm_rd_v(struct tm_rd *rd)
{
    return read_varint(rd);
}

int64_t tm_rd_z(struct tm_rd *rd)
{
    uint64_t value = read_varint(rd);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

int64_t tm_rd_v63(struct tm_rd *rd)
{
    const uint8_t *start = rd->at;
    uint64_t value = read_varint(rd);
    if (value > INT64_MAX) {
        fail(rd, "number larger than 63 bits", start);
        return 0;
    }
    return (int64_t)value;
}

struct tm_slice tm_rd_bytes(struct tm_rd *rd, size_t n)
{
    if (rd->failed != NULL || tm_rd_left(rd) < n) {
        fail(rd, cut_short, rd->at);
        return TM_SLICE_NULL;
    }
    struct tm_slice bytes = {rd->at, n};
    rd->at += n;
    return bytes;
}

struct tm_slice tm_rd_str(struct tm_rd *rd)
{
    const uint8_t *start = rd->at;
    uint64_t len = read_varint(rd);
    if (len > STR_MAX) {
        fail(rd, "text longer than 65535 bytes", start);
        return TM_SLICE_NULL;
    }
    return tm_rd_bytes(rd, (size_t)len);
}

void tm_rd_copy(struct tm_rd *rd, void *to, size_t n)
{
    if (n > 0 && !take(rd, to, n)) {
        memset(to, 0, n);
    }
}

size_t tm_rd_count(struct tm_rd *rd, size_t min_bytes)
{
    tm_assert(min_bytes > 0);
    const uint8_t *start = rd->at;
    uint64_t count = read_varint(rd);
    if (count > tm_rd_left(rd) / min_bytes) {
        fail(rd, "count larger than what follows", start);
        return 0;
    }
    return (size_t)count;
}

enum tm_code tm_rd_finish(struct tm_rd *rd, const char *subject, struct tm_err *err)
{
    if (rd->at < rd->end) {
        fail(rd, "trailing bytes", rd->at);
    }
    if (rd->failed == NULL) {
        return TM_OK;
    }
    return tm_err_set(err, TM_E_CORRUPT, "%s: %s at byte %zu", subject, rd->failed, rd->failed_at);
}
