/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash - SHA-256 and HMAC-SHA-256 by libcrypto (1.9 GB/s with SHA-NI; libsodium's has 0.4).
 *
 * The only file that includes OpenSSL. Threads: one at a time per context.
 */
#ifndef TM_BASE_HASH_H
#define TM_BASE_HASH_H

#include "base/err.h"
#include "base/own.h"
#include "base/slice.h"

struct tm_sha256;
struct tm_sha256 *tm_sha256_new(void);
void tm_sha256_free(struct tm_sha256 *sha);
TM_OWNABLE(struct tm_sha256 *, tm_sha256_free);
void tm_sha256_add(struct tm_sha256 *sha, const void *bytes, size_t len);
/* The digest of all added so far; the context starts anew. */
struct tm_hash tm_sha256_take(struct tm_sha256 *sha);

struct tm_hash tm_sha256_of(struct tm_slice bytes);
struct tm_hash tm_hmac_sha256(struct tm_slice key, struct tm_slice bytes);

/* Are the n bytes equal? In time that does not depend on where they differ. */
bool tm_equal_ct(const void *a, const void *b, size_t n);

#endif
