/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_gc - remove the entries of the log that nobody needs for a fold any more.
 *
 * Those are the ones below the newest full that is a week old: whoever folds begins at a full, and what
 * a slow writer still believes to be the head is younger than that, or its writer finds out
 * (docs/format.md, "Commit", step 4). The oldest goes first, so that the log never has a hole but at its
 * beginning.
 *
 * Threads: as vault.h.
 */
#ifndef TM_VAULT_LOG_GC_H
#define TM_VAULT_LOG_GC_H

#include <stdatomic.h>

#include "vault/vault.h"

struct tm_log_gc_options {
    int64_t now_ms;            /* by the store's clock */
    int64_t age_ms;            /* of the full below which is removed */
    const atomic_bool *cancel; /* NULL: never */
};

struct tm_log_gc_result {
    int64_t removed;
    uint64_t removed_bytes;
    bool full_written; /* the newest full was older than age_ms, and is no more */
    bool denied;       /* the store refuses to remove an entry (object lock): the rest stays too */
};

/*
 * `fold` is refreshed. A full is written first where the newest one is older than `age_ms` and has entries
 * behind it. What was removed stands in *out in any case. TM_E_CANCELLED between two entries.
 */
enum tm_code tm_log_gc(struct tm_vault *vault, const struct tm_fold *fold,
        const struct tm_log_gc_options *options, struct tm_log_gc_result *out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
