/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_s3 - a vault in a bucket of S3, or of a server that speaks its protocol.
 *
 * Create is PUT with "If-None-Match: *": 412 means taken. A create whose answer was lost is sent
 * again with the same bytes; 412 may then be one's own, and who called compares (vault/log.h). When no
 * answer comes within the budget it is TM_E_UNKNOWN. Put is a plain PUT of a name made from the bytes,
 * spooled to a file without a name. Each PUT carries its SHA-256 for the server to compare.
 *
 * 500, 502, 503, 504, 429, 408, 409, resets, and bodies that stall are tried again, after a random
 * pause of up to 0.1 s, 0.2 s, ... 10 s, or what Retry-After says, until the budget is used up.
 *
 * TM_E_MISSING is said of an object alone: a bucket that is not there, a wrong region, a refused key, or
 * a clock that is off is TM_E_DENIED, and says what to do. Messages end with the request's id.
 *
 * Threads: as store.h; each has its own connection.
 */
#ifndef TM_STORE_STORE_S3_H
#define TM_STORE_STORE_S3_H

#include "aws/credentials.h"
#include "store/store.h"

enum tm_s3_lock { TM_S3_LOCK_NONE, TM_S3_LOCK_GOVERNANCE, TM_S3_LOCK_COMPLIANCE };

/* Texts are copied; NULL or "" is the default. */
struct tm_store_s3_options {
    const char *bucket;
    const char *prefix;   /* of all names; a "/" is added where it has none at its end */
    const char *region;   /* default: us-east-1 */
    const char *endpoint; /* "https://HOST[:PORT][/PATH]"; default: AWS's of the region */
    bool path_style;      /* ENDPOINT/BUCKET/NAME instead of BUCKET.ENDPOINT/NAME */
    const char *ca_file;
    struct tm_aws_options credentials; /* its region is that above */
    int64_t bytes_per_second;          /* each way; 0: no bound */
    const char *spool_folder;          /* made where it is not there; default: /var/tmp */
    int64_t budget_ms;                 /* of an operation with its repetitions; default 60 s */
    int64_t stall_timeout_ms;          /* of a transfer that does not move; default 30 s */
    int64_t first_pause_ms;            /* default 100 ms */
    enum tm_s3_lock lock_mode;
    int64_t lock_ms;     /* packs and keys cannot be deleted for so long */
    int64_t lock_log_ms; /* nor log entries; default 37 days */
};

/* TM_E_USAGE when the options make no sense. No request is sent. */
enum tm_code tm_store_s3_open(const struct tm_store_s3_options *options, struct tm_store **out,
        struct tm_err *err) TM_MUST_CHECK;

/* Requests that were sent so far, each repetition counted. */
struct tm_s3_requests {
    uint64_t get; /* objects and ranges */
    uint64_t put;
    uint64_t list;
    uint64_t remove;
    uint64_t head;
};
struct tm_s3_requests tm_store_s3_requests(const struct tm_store *store);

#endif
