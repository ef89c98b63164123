/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks - what people do to a recovery point by hand: note, tags and hold of it, or that it is to go.
 *
 * All of it lies in the vault: each call is one commit, built anew on the newest head when another
 * writer was faster.
 *
 * Threads: blocks; vault as its header says, the catalog is the caller's own.
 */
#ifndef TM_JOB_MARKS_H
#define TM_JOB_MARKS_H

#include "catalog/catalog.h"
#include "vault/vault.h"

/* Is the hold in force at that time? */
bool tm_marks_held(const struct tm_row_mark *mark, int64_t now_ms);

/*
 * Replace the point's note, tags and hold by those of `will` (its `point` is not looked at; tags in any
 * order). `was`: what the caller believes they are; TM_E_CONFLICT when they are not. TM_E_MISSING: no such
 * point. Nothing is written when `will` is what is there.
 */
enum tm_code tm_marks_set(struct tm_vault *vault, struct tm_catalog *catalog,
        const struct tm_id16 *point, const struct tm_row_mark *was, const struct tm_row_mark *will,
        struct tm_err *err) TM_MUST_CHECK;

/*
 * Remove the point: its name and its ranges; the records are freed by retention once nothing else
 * covers them. TM_E_CONFLICT: it is held. TM_E_MISSING: no such point.
 */
enum tm_code tm_marks_delete_point(struct tm_vault *vault, struct tm_catalog *catalog,
        const struct tm_id16 *point, struct tm_err *err) TM_MUST_CHECK;

#endif
