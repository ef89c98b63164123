/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_impl - what the files journal*.c share, and nothing else.
 *
 * Threads: as journal.h.
 */
#ifndef TM_CATALOG_JOURNAL_IMPL_H
#define TM_CATALOG_JOURNAL_IMPL_H

#include "catalog/journal.h"
#include "catalog/sql.h"

struct tm_journal {
    struct tm_sql *sql;
};

/* journal_holds.c: its table, where an older version made the file. */
enum tm_code tm_journal_holds_open(struct tm_journal *journal, struct tm_err *err) TM_MUST_CHECK;
/* journal_map.c: its tables, where an older version made the file. */
enum tm_code tm_journal_map_open(struct tm_journal *journal, struct tm_err *err) TM_MUST_CHECK;
/* Part of the caller's transaction: those of jobs that have ended and were created before. */
enum tm_code tm_journal_map_prune(
        struct tm_journal *journal, int64_t before_ms, struct tm_err *err) TM_MUST_CHECK;
/* journal_pauses.c: its table, where an older version made the file. */
enum tm_code tm_journal_pauses_open(struct tm_journal *journal, struct tm_err *err) TM_MUST_CHECK;
/* journal_keys.c: its table, where an older version made the file. */
enum tm_code tm_journal_keys_open(struct tm_journal *journal, struct tm_err *err) TM_MUST_CHECK;
/* journal_proofs.c: likewise. */
enum tm_code tm_journal_proofs_open(struct tm_journal *journal, struct tm_err *err) TM_MUST_CHECK;
/* journal_places.c: likewise. */
enum tm_code tm_journal_places_open(struct tm_journal *journal, struct tm_err *err) TM_MUST_CHECK;

#endif
