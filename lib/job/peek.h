/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peek - a few records of a partition of a recovery point, to be looked at.
 *
 * Threads: blocks its caller's; the catalog is the caller's own.
 */
#ifndef TM_JOB_PEEK_H
#define TM_JOB_PEEK_H

#include "base/buf.h"
#include "catalog/catalog.h"
#include "vault/vault.h"

enum { TM_PEEK_RECORDS_MAX = 100 };

struct tm_peek_options {
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_id16 point; /* ULID */
    const char *topic;
    int32_t partition;
    int64_t offset; /* the first record at or above; -1: of the partition */
    int64_t limit;  /* 1 to TM_PEEK_RECORDS_MAX */
};

/*
 * Append a JSON document: "recovery_point", "partition", "start_offset", "end_offset" (of the
 * point), "items" as of record_json.h, and "next_offset" where there is more. What is longer than 64 KiB is cut
 * and says so; the list ends early at 2 MiB. TM_E_MISSING: no such point, topic or partition; TM_E_USAGE:
 * the offset is not within the point.
 */
enum tm_code tm_peek(const struct tm_peek_options *options, struct tm_buf *out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
