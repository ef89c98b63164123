/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_proofs - when a vault was last verified and a policy last drilled with success. Kept longer than the jobs that did
 * it, so that a restart of the daemon hides nothing that is overdue.
 *
 * Threads: as journal.h.
 */
#ifndef TM_CATALOG_JOURNAL_PROOFS_H
#define TM_CATALOG_JOURNAL_PROOFS_H

#include "catalog/journal.h"

/* TM_JOB_VERIFY: of a vault, to a depth. TM_JOB_DRILL: of a cluster's policy. */
struct tm_proof_row {
    enum tm_job_kind kind;
    const char *of;  /* vault; cluster */
    const char *how; /* depth; policy */
    int64_t at_ms;
};

/* Insert or replace, by all but the time. */
enum tm_code tm_journal_put_proof(struct tm_journal *journal, const struct tm_proof_row *row,
        struct tm_err *err) TM_MUST_CHECK;
/* All of them, in `arena`. */
enum tm_code tm_journal_proofs(struct tm_journal *journal, struct tm_arena *arena,
        struct tm_proof_row **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

#endif
