/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

/* Fetched once: EVP_sha256() makes OpenSSL 3 look the provider up at every start of a digest. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    tm_assert(sha256 != NULL);
}

struct tm_sha256 {
    EVP_MD_CTX *evp;
};

struct tm_sha256 *tm_sha256_new(void)
{
    tm_assert(pthread_once(&sha256_once, fetch_sha256) == 0);
    struct tm_sha256 *sha = tm_xalloc(1, sizeof(*sha));
    sha->evp = EVP_MD_CTX_new();
    tm_assert(sha->evp != NULL);
    tm_assert(EVP_DigestInit_ex2(sha->evp, sha256, NULL) == 1);
    return sha;
}

void tm_sha256_free(struct tm_sha256 *sha)
{
    if (sha != NULL) {
        EVP_MD_CTX_free(sha->evp);
        free(sha);
    }
}

void tm_sha256_add(struct tm_sha256 *sha, const void *bytes, size_t len)
{
    if (len > 0) {
        tm_assert(EVP_DigestUpdate(sha->evp, bytes, len) == 1);
    }
}

struct tm_hash tm_sha256_take(struct tm_sha256 *sha)
{
    struct tm_hash hash;
    unsigned len = 0;
    tm_assert(EVP_DigestFinal_ex(sha->evp, hash.bytes, &len) == 1);
    tm_assert(len == sizeof(hash.bytes));
    tm_assert(EVP_DigestInit_ex2(sha->evp, NULL, NULL) == 1);
    return hash;
}

struct tm_hash tm_sha256_of(struct tm_slice bytes)
{
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    tm_sha256_add(sha, bytes.at, bytes.len);
    return tm_sha256_take(sha);
}

struct tm_hash tm_hmac_sha256(struct tm_slice key, struct tm_slice bytes)
{
    tm_assert(key.len <= INT_MAX);
    struct tm_hash hash;
    unsigned len = 0;
    /* HMAC() takes a NULL key for "the key of the call before". */
    const void *key_at = key.at != NULL ? (const void *)key.at : "";
    const uint8_t *result =
            HMAC(EVP_sha256(), key_at, (int)key.len, bytes.at, bytes.len, hash.bytes, &len);
    tm_assert(result != NULL && len == sizeof(hash.bytes));
    return hash;
}

bool tm_equal_ct(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}
