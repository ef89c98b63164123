/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/rows.h"

#include "base/rd.h"

void tm_rows_add_strings(const struct tm_slice *strings, size_t count, struct tm_buf *out)
{
    tm_buf_add_v(out, count);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_str(out, strings[i]);
    }
}

void tm_rows_add_pairs(const struct tm_config_pair *pairs, size_t count, struct tm_buf *out)
{
    tm_buf_add_v(out, count);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_str(out, pairs[i].key);
        tm_buf_add_str(out, pairs[i].value);
    }
}

static enum tm_code finish(const struct tm_stmt *stmt, struct tm_rd *rd, struct tm_err *err)
{
    return tm_rd_finish(rd, "list", err) == TM_OK ? TM_OK
                                                  : tm_err_wrap(err, "%s", tm_sql_path(stmt->sql));
}

enum tm_code tm_rows_read_strings(const struct tm_stmt *stmt, int column, struct tm_arena *arena,
        struct tm_slice **out, size_t *count, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(tm_rows_slice(stmt, column, arena));
    size_t n = tm_rd_count(&rd, 1);
    struct tm_slice *strings = tm_arena_alloc(arena, n, sizeof(*strings));
    for (size_t i = 0; i < n; i++) {
        strings[i] = tm_rd_str(&rd);
    }
    if (finish(stmt, &rd, err) != TM_OK) {
        return err->code;
    }
    *out = strings;
    *count = n;
    return TM_OK;
}

enum tm_code tm_rows_read_pairs(const struct tm_stmt *stmt, int column, struct tm_arena *arena,
        struct tm_config_pair **out, size_t *count, struct tm_err *err)
{
    struct tm_rd rd = tm_rd_of(tm_rows_slice(stmt, column, arena));
    size_t n = tm_rd_count(&rd, 2);
    struct tm_config_pair *pairs = tm_arena_alloc(arena, n, sizeof(*pairs));
    for (size_t i = 0; i < n; i++) {
        pairs[i].key = tm_rd_str(&rd);
        pairs[i].value = tm_rd_str(&rd);
    }
    if (finish(stmt, &rd, err) != TM_OK) {
        return err->code;
    }
    *out = pairs;
    *count = n;
    return TM_OK;
}

void *tm_rows_dup(struct tm_arena *arena, const void *at, size_t count, size_t size)
{
    void *copy = tm_arena_alloc(arena, count, size);
    if (count > 0) {
        memcpy(copy, at, count * size);
    }
    return copy;
}

struct tm_slice tm_rows_slice(const struct tm_stmt *stmt, int column, struct tm_arena *arena)
{
    return tm_arena_dup(arena, tm_sql_bytes(stmt, column));
}
