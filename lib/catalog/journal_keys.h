/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_keys - idempotency keys: which job a request made, so that the same request again makes no second one.
 *
 * Threads: as journal.h.
 */
#ifndef TM_CATALOG_JOURNAL_KEYS_H
#define TM_CATALOG_JOURNAL_KEYS_H

#include "base/hash.h"
#include "catalog/journal.h"

struct tm_key_row {
    const char *who; /* keys of different callers have nothing to do with each other */
    const char *key;
    struct tm_hash request; /* of the route and the body */
};

/*
 * Insert or replace the job's row, and with `key` (NULL: without one) what made it, in one transaction. Keys made
 * before `expired_ms` go. Durable when this returns.
 */
enum tm_code tm_journal_put_made_job(struct tm_journal *journal, const struct tm_job_row *row,
        const struct tm_key_row *key, int64_t expired_ms, struct tm_err *err) TM_MUST_CHECK;
/* The job of a key made at or after `expired_ms`, and the request's hash; *found is false when there is none. */
enum tm_code tm_journal_find_key(struct tm_journal *journal, const char *who, const char *key,
        int64_t expired_ms, struct tm_id16 *job, struct tm_hash *request, bool *found,
        struct tm_err *err) TM_MUST_CHECK;

#endif
