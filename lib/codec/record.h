/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record - a Kafka record as the vault sees it, and its canonical bytes.
 *
 * Canonical form (docs/format.md, "Records"):
 *   v nheaders, nheaders x { v length, name, v vlen+1, value }, v klen+1, key, v vlen+1, value
 * A "+1" length of 0 is null: tombstones, null keys and null header values are exact; header order
 * and repeats are kept. Offset and timestamp are not part of it.
 *
 * Threads: plain values; a record borrows everything it points to.
 */
#ifndef TM_CODEC_RECORD_H
#define TM_CODEC_RECORD_H

#include <stdint.h>

#include "base/buf.h"
#include "base/rd.h"

enum tm_timestamp_type {
    TM_TIMESTAMP_NONE,   /* the record has no timestamp; timestamp_ms is -1 */
    TM_TIMESTAMP_CREATE, /* CreateTime */
    TM_TIMESTAMP_APPEND, /* LogAppendTime */
};

struct tm_header {
    struct tm_slice name;  /* never null */
    struct tm_slice value; /* at == NULL: null */
};

struct tm_record {
    int64_t offset;
    int64_t timestamp_ms;
    enum tm_timestamp_type timestamp_type;
    int32_t leader_epoch;  /* -1: not known */
    struct tm_slice key;   /* at == NULL: null */
    struct tm_slice value; /* at == NULL: null, a tombstone */
    const struct tm_header *headers;
    size_t header_count;
};

/* A reusable array for decoded headers. Zeroed is empty; free(at) at the end. */
struct tm_header_room {
    struct tm_header *at;
    size_t capacity;
};

/* Append the canonical bytes of `record` to `out`. */
void tm_record_encode(const struct tm_record *record, struct tm_buf *out);
/* Length of those bytes. */
size_t tm_record_length(const struct tm_record *record);

/*
 * Read one canonical record; key, value and headers of *out borrow from the reader's bytes and from
 * `room`. Offset, timestamp and epoch of *out are left alone. On damage the reader is failed.
 */
void tm_record_decode(struct tm_rd *rd, struct tm_header_room *room, struct tm_record *out);
/* Step over one canonical record; the reader fails where tm_record_decode() would fail it. */
void tm_record_skip(struct tm_rd *rd);

/* The same for headers and key alone, which is how a solo block's positions frame ends. */
void tm_record_headers_decode(struct tm_rd *rd, struct tm_header_room *room, struct tm_record *out);
void tm_record_headers_skip(struct tm_rd *rd);

/* Are key, value (null against empty told apart), headers, timestamp and its type the same? */
bool tm_record_same(const struct tm_record *a, const struct tm_record *b);

#endif
