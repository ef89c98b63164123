/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_pauses - which policies are paused, so that a restart of the daemon does not set them going again.
 *
 * Threads: as journal.h.
 */
#ifndef TM_CATALOG_JOURNAL_PAUSES_H
#define TM_CATALOG_JOURNAL_PAUSES_H

#include "catalog/journal.h"

struct tm_pause_row {
    const char *policy;
    int64_t since_ms;
    int64_t until_ms;   /* 0: until it is resumed */
    const char *reason; /* "": none was given */
    const char *who;
};

/* Insert or replace, by policy; durable when this returns. */
enum tm_code tm_journal_put_pause(struct tm_journal *journal, const struct tm_pause_row *row,
        struct tm_err *err) TM_MUST_CHECK;
/* Durable when this returns; a policy that is not paused is no error. */
enum tm_code tm_journal_remove_pause(
        struct tm_journal *journal, const char *policy, struct tm_err *err) TM_MUST_CHECK;
/* All of them by policy, in `arena`. */
enum tm_code tm_journal_pauses(struct tm_journal *journal, struct tm_arena *arena,
        struct tm_pause_row **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

#endif
