/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4 - AWS Signature Version 4: in headers (S3, STS) and in a query (MSK IAM, presigned URLs).
 *
 * The payload is always hashed; "UNSIGNED-PAYLOAD" is the caller's text and not used by this program.
 * S3's canonical path is the path as it is sent; every other service's is encoded once more
 * ("Create a signed AWS API request", step 1).
 *
 * Threads: any.
 */
#ifndef TM_AWS_SIGV4_H
#define TM_AWS_SIGV4_H

#include <stdint.h>

#include "aws/credentials.h"
#include "base/buf.h"
#include "base/slice.h"
#include "http/http.h"

enum {
    TM_SIGV4_TIME_MAX = 17,    /* "20150830T123600Z" and NUL */
    TM_SIGV4_HEADERS_MAX = 32, /* that are signed */
};

struct tm_sigv4_request {
    const struct tm_aws_credentials *credentials;
    const char *region;
    const char *service; /* "s3", "sts", "kafka-cluster" */
    int64_t time_ms;
    const char *method;
    struct tm_slice path;  /* from "/", encoded as it is sent; "" counts as "/" */
    struct tm_slice query; /* behind "?", encoded as it is sent, in any order */
    /* All that are signed: Host, and whatever else the service wants; any case, any order. */
    const struct tm_http_header *headers;
    size_t header_count;
    const char *payload; /* its SHA-256 in lower-case hex */
};

/* What goes with the request besides its headers. */
struct tm_sigv4_headers {
    char date[TM_SIGV4_TIME_MAX]; /* x-amz-date */
    struct tm_buf authorization;  /* Authorization */
};

/*
 * Sign with headers. Send x-amz-date, Authorization, and x-amz-security-token where the
 * credentials have a token: the latter is signed too. `out` is zeroed or used before.
 */
void tm_sigv4_sign(const struct tm_sigv4_request *request, struct tm_sigv4_headers *out);
void tm_sigv4_headers_done(struct tm_sigv4_headers *headers);
#define TM_SIGV4_OWN __attribute__((cleanup(tm_sigv4_headers_done)))

/* Append the whole query, signature last, which is good for `expires_s` seconds. */
void tm_sigv4_presign(
        const struct tm_sigv4_request *request, unsigned expires_s, struct tm_buf *query);

#endif
