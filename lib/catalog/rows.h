/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows - lists of the log's rows that lie in one column each, and arrays of rows.
 *
 * A list is `v count`, then its strings; pairs are two strings each. Threads: pure functions.
 */
#ifndef TM_CATALOG_ROWS_H
#define TM_CATALOG_ROWS_H

#include "catalog/sql.h"
#include "codec/entry.h"

/* Append a list to `out`. */
void tm_rows_add_strings(const struct tm_slice *strings, size_t count, struct tm_buf *out);
void tm_rows_add_pairs(const struct tm_config_pair *pairs, size_t count, struct tm_buf *out);

/* Read a list; all of it is copied into `arena`. TM_E_CORRUPT names the table. */
enum tm_code tm_rows_read_strings(const struct tm_stmt *stmt, int column, struct tm_arena *arena,
        struct tm_slice **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_rows_read_pairs(const struct tm_stmt *stmt, int column, struct tm_arena *arena,
        struct tm_config_pair **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

/* A copy of `count` elements of `size` bytes in `arena`. */
void *tm_rows_dup(struct tm_arena *arena, const void *at, size_t count, size_t size);
/* End a TM_VEC: its elements into the arena as *out and *count, its own memory freed. */
#define tm_rows_keep(vec, arena, out, count_out) \
    do { \
        *(out) = tm_rows_dup((arena), (vec)->at, (vec)->count, sizeof(*(vec)->at)); \
        *(count_out) = (vec)->count; \
        tm_vec_done(vec); \
    } while (0)

/* The column's bytes, copied. */
struct tm_slice tm_rows_slice(const struct tm_stmt *stmt, int column, struct tm_arena *arena);

#endif
