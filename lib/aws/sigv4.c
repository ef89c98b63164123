/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/text.h"
#include "http/url.h"

enum { DATE_LEN = 8, QUERY_MAX = 256 };

static const char algorithm[] = "AWS4-HMAC-SHA256";

struct pair {
    struct tm_slice name;
    struct tm_slice value;
};

/* What a signature is made from, step by step. */
struct signing {
    const struct tm_sigv4_request *request;
    char time[TM_SIGV4_TIME_MAX];
    struct tm_http_header headers[TM_SIGV4_HEADERS_MAX]; /* sorted by name */
    size_t header_count;
    struct tm_buf names; /* "host;x-amz-date" */
    struct tm_buf scope; /* "20150830/us-east-1/iam/aws4_request" */
};

static void signing_done(struct signing *signing)
{
    tm_buf_done(&signing->names);
    tm_buf_done(&signing->scope);
}

static void write_time(int64_t time_ms, char out[TM_SIGV4_TIME_MAX])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    tm_assert(gmtime_r(&seconds, &parts) != NULL);
    tm_assert(strftime(out, TM_SIGV4_TIME_MAX, "%Y%m%dT%H%M%SZ", &parts) == TM_SIGV4_TIME_MAX - 1);
}

static int by_header(const void *a, const void *b)
{
    const struct tm_http_header *left = a;
    const struct tm_http_header *right = b;
    return strcasecmp(left->name, right->name);
}

static void add_header(struct signing *signing, const char *name, const char *value)
{
    tm_assert(signing->header_count < TM_SIGV4_HEADERS_MAX);
    signing->headers[signing->header_count++] = (struct tm_http_header){name, value};
}

static void add_lower(struct tm_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        tm_buf_add_u8(out, (uint8_t)(*text >= 'A' && *text <= 'Z' ? *text + 32 : *text));
    }
}

/* Sort what is signed, and list its names. */
static void end_headers(struct signing *signing)
{
    qsort(signing->headers, signing->header_count, sizeof(signing->headers[0]), by_header);
    for (size_t i = 0; i < signing->header_count; i++) {
        tm_buf_add_text(&signing->names, i > 0 ? ";" : "");
        add_lower(&signing->names, signing->headers[i].name);
    }
}

static void begin(struct signing *signing, const struct tm_sigv4_request *request)
{
    signing->request = request;
    write_time(request->time_ms, signing->time);
    tm_buf_add_fmt(&signing->scope, "%.*s/%s/%s/aws4_request", DATE_LEN, signing->time,
            request->region, request->service);
    for (size_t i = 0; i < request->header_count; i++) {
        add_header(signing, request->headers[i].name, request->headers[i].value);
    }
}

/* A value without spaces around it, and with one where it has several. */
static void add_value(struct tm_buf *out, const char *value)
{
    value += strspn(value, " ");
    while (*value != '\0') {
        size_t word = strcspn(value, " ");
        tm_buf_add(out, value, word);
        value += word;
        value += strspn(value, " ");
        tm_buf_add_text(out, *value != '\0' ? " " : "");
    }
}

static int by_pair(const void *a, const void *b)
{
    const struct pair *left = a;
    const struct pair *right = b;
    int order = tm_slice_cmp(left->name, right->name);
    return order != 0 ? order : tm_slice_cmp(left->value, right->value);
}

static struct pair pair_of(struct tm_slice part)
{
    const uint8_t *equals = part.len > 0 ? memchr(part.at, '=', part.len) : NULL;
    size_t name = equals != NULL ? (size_t)(equals - part.at) : part.len;
    struct pair pair = {.name = tm_slice_of(part.at, name), .value = tm_slice_str("")};
    if (equals != NULL) {
        pair.value = tm_slice_of(equals + 1, part.len - name - 1);
    }
    return pair;
}

/* The parameters in the order of their names, each with a "=". */
static void add_query(struct tm_buf *out, struct tm_slice query)
{
    struct pair pairs[QUERY_MAX];
    size_t count = 0;
    while (query.len > 0) {
        const uint8_t *end = memchr(query.at, '&', query.len);
        size_t len = end != NULL ? (size_t)(end - query.at) : query.len;
        tm_assert(count < QUERY_MAX);
        pairs[count++] = pair_of(tm_slice_of(query.at, len));
        size_t passed = end != NULL ? len + 1 : len;
        query = tm_slice_of(query.at + passed, query.len - passed);
    }
    qsort(pairs, count, sizeof(pairs[0]), by_pair);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_text(out, i > 0 ? "&" : "");
        tm_buf_add(out, pairs[i].name.at, pairs[i].name.len);
        tm_buf_add_u8(out, '=');
        tm_buf_add(out, pairs[i].value.at, pairs[i].value.len);
    }
}

/* Step 1: the canonical request. */
static struct tm_hash hash_request(const struct signing *signing, struct tm_slice query)
{
    const struct tm_sigv4_request *request = signing->request;
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_fmt(&text, "%s\n", request->method);
    if (request->path.len == 0) {
        tm_buf_add_u8(&text, '/');
    } else if (strcmp(request->service, "s3") == 0) {
        tm_buf_add(&text, request->path.at, request->path.len);
    } else {
        tm_url_encode(&text, request->path, "/");
    }
    tm_buf_add_u8(&text, '\n');
    add_query(&text, query);
    tm_buf_add_u8(&text, '\n');
    for (size_t i = 0; i < signing->header_count; i++) {
        add_lower(&text, signing->headers[i].name);
        tm_buf_add_u8(&text, ':');
        add_value(&text, signing->headers[i].value);
        tm_buf_add_u8(&text, '\n');
    }
    tm_buf_add_fmt(&text, "\n%s\n%s", tm_buf_text(&signing->names), request->payload);
    struct tm_hash hash = tm_sha256_of(tm_buf_slice(&text));
    explicit_bzero(text.at, text.len); /* it may hold the session token */
    return hash;
}

/* Steps 2 and 3: the key of the day, region and service, and what it signs; 64 hex digits and NUL. */
static void sign_hash(const struct signing *signing, const struct tm_hash *hash, char out[65])
{
    const struct tm_sigv4_request *request = signing->request;
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_fmt(&text, "%s\n%s\n%s\n", algorithm, signing->time, tm_buf_text(&signing->scope));
    tm_buf_add_hex(&text, hash->bytes, sizeof(hash->bytes));

    char secret[4 + TM_AWS_KEY_MAX];
    (void)snprintf(secret, sizeof(secret), "AWS4%s", request->credentials->secret);
    struct tm_slice date = tm_slice_of(signing->time, DATE_LEN);
    struct tm_hash key = tm_hmac_sha256(tm_slice_str(secret), date);
    key = tm_hmac_sha256(tm_slice_of(key.bytes, sizeof(key.bytes)), tm_slice_str(request->region));
    key = tm_hmac_sha256(tm_slice_of(key.bytes, sizeof(key.bytes)), tm_slice_str(request->service));
    key = tm_hmac_sha256(tm_slice_of(key.bytes, sizeof(key.bytes)), tm_slice_str("aws4_request"));
    struct tm_slice key_bytes = tm_slice_of(key.bytes, sizeof(key.bytes));
    struct tm_hash signature = tm_hmac_sha256(key_bytes, tm_buf_slice(&text));
    tm_hex(signature.bytes, sizeof(signature.bytes), out);
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(&key, sizeof(key));
}

void tm_sigv4_sign(const struct tm_sigv4_request *request, struct tm_sigv4_headers *out)
{
    struct signing signing = {0};
    begin(&signing, request);
    add_header(&signing, "x-amz-date", signing.time);
    if (request->credentials->session_token[0] != '\0') {
        add_header(&signing, "x-amz-security-token", request->credentials->session_token);
    }
    end_headers(&signing);
    struct tm_hash hash = hash_request(&signing, request->query);
    char signature[65];
    sign_hash(&signing, &hash, signature);
    memcpy(out->date, signing.time, sizeof(out->date));
    tm_buf_clear(&out->authorization);
    tm_buf_add_fmt(&out->authorization, "%s Credential=%s/%s,SignedHeaders=%s,Signature=%s",
            algorithm, request->credentials->access_key_id, tm_buf_text(&signing.scope),
            tm_buf_text(&signing.names), signature);
    signing_done(&signing);
}

void tm_sigv4_headers_done(struct tm_sigv4_headers *headers)
{
    tm_buf_done(&headers->authorization);
}

static void add_parameter(struct tm_buf *query, const char *name, const char *value)
{
    tm_buf_add_fmt(query, "%s%s=", query->len > 0 ? "&" : "", name);
    tm_url_encode(query, tm_slice_str(value), "");
}

void tm_sigv4_presign(
        const struct tm_sigv4_request *request, unsigned expires_s, struct tm_buf *query)
{
    struct signing signing = {0};
    begin(&signing, request);
    end_headers(&signing);
    TM_BUF_OWN struct tm_buf whole = {0};
    TM_BUF_OWN struct tm_buf credential = {0};
    char seconds[16];
    tm_buf_add(&whole, request->query.at, request->query.len);
    tm_buf_add_fmt(
            &credential, "%s/%s", request->credentials->access_key_id, tm_buf_text(&signing.scope));
    (void)snprintf(seconds, sizeof(seconds), "%u", expires_s);
    add_parameter(&whole, "X-Amz-Algorithm", algorithm);
    add_parameter(&whole, "X-Amz-Credential", tm_buf_text(&credential));
    add_parameter(&whole, "X-Amz-Date", signing.time);
    add_parameter(&whole, "X-Amz-Expires", seconds);
    if (request->credentials->session_token[0] != '\0') {
        add_parameter(&whole, "X-Amz-Security-Token", request->credentials->session_token);
    }
    add_parameter(&whole, "X-Amz-SignedHeaders", tm_buf_text(&signing.names));
    struct tm_hash hash = hash_request(&signing, tm_buf_slice(&whole));
    char signature[65];
    sign_hash(&signing, &hash, signature);
    add_parameter(&whole, "X-Amz-Signature", signature);
    tm_buf_add(query, whole.at, whole.len);
    signing_done(&signing);
}
