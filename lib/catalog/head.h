/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head - how far the log is folded: the one row that says so.
 */
#ifndef TM_CATALOG_HEAD_H
#define TM_CATALOG_HEAD_H

#include "catalog/sql.h"
#include "vault/fold.h"

enum tm_code tm_head_read(
        struct tm_sql *sql, struct tm_fold_state *out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_head_write(
        struct tm_sql *sql, const struct tm_fold_state *state, struct tm_err *err) TM_MUST_CHECK;

/* May an entry of this place follow? TM_E_CONFLICT or TM_E_CORRUPT, as docs/catalog.md says. */
enum tm_code tm_head_check(const struct tm_fold_state *state, const struct tm_entry_place *place,
        bool full, struct tm_err *err) TM_MUST_CHECK;
/* The state once an entry of `object_bytes` at `place` is applied. */
struct tm_fold_state tm_head_after(const struct tm_fold_state *state,
        const struct tm_entry_place *place, const struct tm_hash *hash, uint64_t object_bytes,
        bool full);

#endif
