/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/record.h"

#include "codec/varint.h"

enum { HEADER_BYTES_MIN = 2, FIRST_ROOM = 8 };

/* Bytes of a "+1" length and what follows it. */
static size_t nullable_length(struct tm_slice bytes)
{
    return bytes.at == NULL ? 1 : tm_varint_length((uint64_t)bytes.len + 1) + bytes.len;
}

size_t tm_record_length(const struct tm_record *record)
{
    size_t length = tm_varint_length(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct tm_header *header = &record->headers[i];
        length += tm_varint_length(header->name.len) + header->name.len;
        length += nullable_length(header->value);
    }
    return length + nullable_length(record->key) + nullable_length(record->value);
}

static uint8_t *put_bytes(uint8_t *at, struct tm_slice bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return at + bytes.len;
}

static uint8_t *put_nullable(uint8_t *at, struct tm_slice bytes)
{
    if (bytes.at == NULL) {
        *at = 0;
        return at + 1;
    }
    return put_bytes(tm_varint_put(at, (uint64_t)bytes.len + 1), bytes);
}

void tm_record_encode(const struct tm_record *record, struct tm_buf *out)
{
    /* The length is computed first so that the buffer is asked for room once. */
    size_t length = tm_record_length(record);
    uint8_t *start = tm_buf_extend(out, length);
    uint8_t *at = tm_varint_put(start, record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct tm_header *header = &record->headers[i];
        at = put_bytes(tm_varint_put(at, header->name.len), header->name);
        at = put_nullable(at, header->value);
    }
    at = put_nullable(at, record->key);
    at = put_nullable(at, record->value);
    tm_assert((size_t)(at - start) == length);
}

static struct tm_slice read_bytes(struct tm_rd *rd, uint64_t length)
{
    if (length > tm_rd_left(rd)) {
        tm_rd_fail(rd, "a length exceeds what is left");
        return TM_SLICE_NULL;
    }
    return tm_rd_bytes(rd, (size_t)length);
}

static struct tm_slice read_nullable(struct tm_rd *rd)
{
    uint64_t plus_one = tm_rd_v(rd);
    return plus_one == 0 ? TM_SLICE_NULL : read_bytes(rd, plus_one - 1);
}

void tm_record_headers_decode(struct tm_rd *rd, struct tm_header_room *room, struct tm_record *out)
{
    size_t count = tm_rd_count(rd, HEADER_BYTES_MIN);
    if (count > room->capacity) {
        room->capacity = count > FIRST_ROOM ? count : FIRST_ROOM;
        room->at = tm_xgrow(room->at, room->capacity, sizeof(*room->at));
    }
    for (size_t i = 0; i < count && tm_rd_ok(rd); i++) {
        room->at[i].name = read_bytes(rd, tm_rd_v(rd));
        room->at[i].value = read_nullable(rd);
    }
    struct tm_slice key = read_nullable(rd);
    if (tm_rd_ok(rd)) {
        out->headers = room->at;
        out->header_count = count;
        out->key = key;
    }
}

void tm_record_decode(struct tm_rd *rd, struct tm_header_room *room, struct tm_record *out)
{
    struct tm_record read = *out;
    tm_record_headers_decode(rd, room, &read);
    read.value = read_nullable(rd);
    if (tm_rd_ok(rd)) {
        *out = read;
    }
}

void tm_record_headers_skip(struct tm_rd *rd)
{
    size_t count = tm_rd_count(rd, HEADER_BYTES_MIN);
    for (size_t i = 0; i < count && tm_rd_ok(rd); i++) {
        (void)read_bytes(rd, tm_rd_v(rd));
        (void)read_nullable(rd);
    }
    (void)read_nullable(rd);
}

void tm_record_skip(struct tm_rd *rd)
{
    tm_record_headers_skip(rd);
    (void)read_nullable(rd);
}

static bool same_nullable(struct tm_slice a, struct tm_slice b)
{
    if (a.at == NULL || b.at == NULL) {
        return a.at == b.at;
    }
    return tm_slice_eq(a, b);
}

bool tm_record_same(const struct tm_record *a, const struct tm_record *b)
{
    if (a->timestamp_ms != b->timestamp_ms || a->timestamp_type != b->timestamp_type ||
            !same_nullable(a->key, b->key) || !same_nullable(a->value, b->value) ||
            a->header_count != b->header_count) {
        return false;
    }
    for (size_t i = 0; i < a->header_count; i++) {
        if (!tm_slice_eq(a->headers[i].name, b->headers[i].name) ||
                !same_nullable(a->headers[i].value, b->headers[i].value)) {
            return false;
        }
    }
    return true;
}
