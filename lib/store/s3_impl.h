/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_impl - what the files of store_s3 share: the store, one call, and what an answer means.
 */
#ifndef TM_STORE_S3_IMPL_H
#define TM_STORE_S3_IMPL_H

#include <stdatomic.h>

#include "base/hash.h"
#include "http/http.h"
#include "store/store_s3.h"

enum { TM_S3_HEADERS_MAX = 8, TM_S3_HASH_TEXT = 65, TM_S3_BASE64_HASH = 45 };

enum tm_s3_op { TM_S3_GET, TM_S3_PUT, TM_S3_LIST, TM_S3_REMOVE, TM_S3_HEAD, TM_S3_OPS };

/* Invariant: base is the first member. All texts are owned and set once. */
struct tm_s3 {
    struct tm_store base;
    struct tm_http *http;
    struct tm_aws_provider *provider;
    bool fixed_credentials; /* asking for them again gives the same */
    char *origin;           /* "https://bucket.s3.eu-west-1.amazonaws.com" */
    char *host;             /* of the origin, with its port where it is not the scheme's own */
    char *path;             /* "" or "/bucket", encoded; never with "/" at its end */
    char *prefix;           /* "" or "prod/" */
    char *region;
    char *spool_folder;
    int64_t budget_ms;
    int64_t first_pause_ms;
    enum tm_s3_lock lock_mode;
    int64_t lock_ms;
    int64_t lock_log_ms;
    atomic_uint_least64_t requests[TM_S3_OPS];
};

/* One operation, however often its request is sent. */
struct tm_s3_call {
    const char *action; /* for messages: "get" */
    enum tm_s3_op op;
    const char *method;
    const char *name;  /* object, or what a message calls it */
    bool of_bucket;    /* the request is for the bucket, not for an object */
    const char *query; /* encoded; NULL: none */
    struct tm_http_header headers[TM_S3_HEADERS_MAX]; /* all are signed */
    size_t header_count;
    struct tm_hash payload;
    struct tm_slice body;
    const struct tm_spool *spool; /* instead of a body */
    size_t max_bytes;
    struct tm_buf *into;
    bool conditional; /* a create: what is lost may have been done */
};

/* What the other side said was wrong; "" where it said nothing. */
struct tm_s3_fault {
    char code[64];
    char message[200];
    char region[32];
    char request_time[40];
    char server_time[40];
    char request_id[64];
};

/* What to do about an answer. */
enum tm_s3_verdict {
    TM_S3_DONE,
    TM_S3_AGAIN,   /* the same request may succeed later; what it asked for may have been done */
    TM_S3_REFUSED, /* it will not */
};

/*
 * Send the call's request until it is done, refused, or the budget is used up. `response` is the
 * last answer; with TM_OK its status is 2xx. What is reported names the object and the request.
 */
enum tm_code tm_s3_do(struct tm_s3 *s3, const struct tm_s3_call *call,
        struct tm_http_response *response, struct tm_err *err) TM_MUST_CHECK;

/* Send the request once; TM_OK for an answer of any status. */
enum tm_code tm_s3_send(struct tm_s3 *s3, const struct tm_s3_call *call,
        struct tm_http_response *response, struct tm_err *err) TM_MUST_CHECK;

/* Judge an answer; a refusal or failure is reported in `err`, without the object's name. */
enum tm_s3_verdict tm_s3_judge(struct tm_s3 *s3, const struct tm_s3_call *call,
        const struct tm_http_response *response, struct tm_err *err);

/* Put "s3://bucket/prefix/NAME: ACTION: " before the failure in `err`. */
enum tm_code tm_s3_failed(
        const struct tm_s3 *s3, const struct tm_s3_call *call, struct tm_err *err);

/* SHA-256 as the checksum headers want it, with NUL. */
void tm_s3_base64(const struct tm_hash *hash, char out[TM_S3_BASE64_HASH]);
/* "Wed, 21 Oct 2015 07:28:00 GMT" in UTC milliseconds; false for anything else. */
bool tm_s3_http_time(const char *text, int64_t *out);

extern const struct tm_store_ops tm_s3_ops;

/* The listing (s3_list.c), as in struct tm_store_ops. */
enum tm_code tm_s3_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err) TM_MUST_CHECK;

#endif
