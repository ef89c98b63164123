/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice - borrowed bytes, and ids of fixed size.
 *
 * A slice never owns what it points to; the declaration says who does. Where null and empty differ
 * (keys, values, header values of Kafka records) null is `at == NULL`, and an empty slice points to
 * something.
 *
 * Threads: plain values.
 */
#ifndef TM_BASE_SLICE_H
#define TM_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tm_slice {
    const uint8_t *at;
    size_t len;
};

struct tm_hash { /* SHA-256 */
    uint8_t bytes[32];
};

struct tm_id16 { /* vault ids, topic ids, ULIDs, record tags, proofs */
    uint8_t bytes[16];
};

#define TM_SLICE_NULL ((struct tm_slice){NULL, 0})

/* The bytes of a C string, without its NUL. */
static inline struct tm_slice tm_slice_str(const char *text)
{
    return (struct tm_slice){(const uint8_t *)text, strlen(text)};
}

static inline struct tm_slice tm_slice_of(const void *at, size_t len)
{
    return (struct tm_slice){at, len};
}

/* Bytewise, shorter first where one is the start of the other: the order of the vault's lists. */
static inline int tm_slice_cmp(struct tm_slice a, struct tm_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.at, b.at, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool tm_slice_eq(struct tm_slice a, struct tm_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool tm_slice_is(struct tm_slice a, const char *text)
{
    return tm_slice_eq(a, tm_slice_str(text));
}

static inline bool tm_hash_eq(const struct tm_hash *a, const struct tm_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool tm_id16_eq(const struct tm_id16 *a, const struct tm_id16 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool tm_id16_is_zero(const struct tm_id16 *a)
{
    static const struct tm_id16 zero;
    return tm_id16_eq(a, &zero);
}

#endif
