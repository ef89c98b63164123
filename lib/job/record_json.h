/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_json - a record outside Kafka, as one JSON object (docs/export.md).
 *
 *   {"topic":"t","partition":0,"offset":7,"timestamp_ms":1,"timestamp_type":"create","key":"k",
 *    "value":null,"headers":[{"name":"n","value":"v"}]}
 *
 * Bytes that are not UTF-8, or hold a NUL, come as base64 under "key_base64", "value_base64" and
 * "name_base64" instead. What is written has no line end in it by any reader's rule: control characters
 * and the line separators of Unicode are escaped.
 *
 * Threads: any.
 */
#ifndef TM_JOB_RECORD_JSON_H
#define TM_JOB_RECORD_JSON_H

#include "vault/pack_reader.h"

/* What is longer is cut, and "truncated" says what it was: {"value_bytes":10485760}. */
struct tm_record_json_limits {
    size_t field_bytes;   /* of a key, a value, a header's name or value */
    size_t headers_bytes; /* names and values of all headers given */
    size_t header_count;
};

/* Append the object, without a line end. `limits` NULL: the record comes whole. */
void tm_record_json_add(const char *topic, int32_t partition, const struct tm_record *record,
        const struct tm_record_json_limits *limits, struct tm_buf *out);

#endif
