/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/content.h"

#include <pthread.h>
#include <stdlib.h>

#include "catalog/handle.h"

/* Ids of packs that are gone are let lie until they are one in so many. */
enum { GONE_SHARE = 8 };

struct tm_content {
    pthread_mutex_t lock; /* of the connection */
    struct tm_catalog *catalog;
};

enum tm_code tm_content_open(
        const struct tm_catalog *catalog, struct tm_content **out, struct tm_err *err)
{
    struct tm_catalog *own = NULL;
    if (tm_catalog_twin(catalog, &own, err) != TM_OK) {
        return err->code;
    }
    struct tm_content *content = tm_xalloc(1, sizeof(*content));
    content->catalog = own;
    tm_assert(pthread_mutex_init(&content->lock, NULL) == 0);
    *out = content;
    return TM_OK;
}

void tm_content_close(struct tm_content *content)
{
    if (content != NULL) {
        tm_catalog_close(content->catalog);
        (void)pthread_mutex_destroy(&content->lock);
        free(content);
    }
}

/* The connection, until leave(). */
static struct tm_sql *enter(struct tm_content *content)
{
    (void)pthread_mutex_lock(&content->lock);
    return content->catalog->sql;
}

static void leave(struct tm_content *content)
{
    (void)pthread_mutex_unlock(&content->lock);
}

/* Use a statement whose first parameter is a hash. */
static enum tm_code use_hash(struct tm_sql *sql, const char *text, const struct tm_hash *hash,
        struct tm_stmt *stmt, struct tm_err *err)
{
    if (tm_sql_use(sql, text, stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(stmt, hash->bytes, sizeof(hash->bytes));
    return TM_OK;
}

static enum tm_code run_hash(
        struct tm_sql *sql, const char *text, const struct tm_hash *hash, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    return use_hash(sql, text, hash, &stmt, err) == TM_OK ? tm_sql_run(&stmt, err) : err->code;
}

/* What makes a pack of content_pack `c` one to refer to: neither forgotten nor found damaged, and held. */
#define IS_USABLE \
    "c.usable = 1 AND EXISTS (SELECT 1 FROM pack p WHERE p.name = c.name)" \
    " AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.pack = c.name)"

/* Looking up ------------------------------------------------------------------------------- */

static const char select_content[] =
        "SELECT c.name FROM content i JOIN content_pack c ON c.id = i.pack"
        " WHERE i.id = ? AND " IS_USABLE;

static enum tm_code find(struct tm_sql *sql, const struct tm_hash *id, bool *found,
        struct tm_hash *pack, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (use_hash(sql, select_content, id, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (row) {
        tm_sql_copy(&stmt, 0, pack->bytes, sizeof(pack->bytes));
    }
    *found = row;
    return TM_OK;
}

enum tm_code tm_content_find(struct tm_content *content, const struct tm_hash *id, bool *found,
        struct tm_hash *pack, struct tm_err *err)
{
    enum tm_code code = find(enter(content), id, found, pack, err);
    leave(content);
    return code;
}

static enum tm_code find_of_self(
        void *self, const struct tm_hash *id, bool *found, struct tm_hash *pack, struct tm_err *err)
{
    return tm_content_find(self, id, found, pack, err);
}

struct tm_content_lookup tm_content_lookup(struct tm_content *content)
{
    return (struct tm_content_lookup){.self = content, .find = find_of_self};
}

/* Adding and forgetting -------------------------------------------------------------------- */

static const char insert_pack[] = "INSERT INTO content_pack (name, usable) VALUES (?, 1)"
                                  " ON CONFLICT (name) DO NOTHING";
static const char forget_pack[] = "INSERT INTO content_pack (name, usable) VALUES (?, 0)"
                                  " ON CONFLICT (name) DO UPDATE SET usable = 0";
static const char select_usable[] = "SELECT id FROM content_pack WHERE name = ? AND usable = 1";
static const char insert_content[] =
        "INSERT INTO content (id, pack) VALUES (?, ?) ON CONFLICT (id) DO UPDATE"
        " SET pack = excluded.pack WHERE NOT EXISTS (SELECT 1 FROM content_pack c"
        " WHERE c.id = content.pack AND " IS_USABLE ")";

/* The pack's number in this table; 0: it is forgotten. */
static enum tm_code number_of(
        struct tm_sql *sql, const struct tm_hash *pack, int64_t *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (use_hash(sql, select_usable, pack, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = row ? tm_sql_i64(&stmt, 0) : 0;
    return TM_OK;
}

static enum tm_code add_ids(struct tm_sql *sql, int64_t pack, const struct tm_hash *ids,
        size_t count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    enum tm_code code = tm_sql_use(sql, insert_content, &stmt, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        tm_sql_bind_bytes(&stmt, ids[i].bytes, sizeof(ids[i].bytes));
        tm_sql_bind_i64(&stmt, pack);
        code = tm_sql_run(&stmt, err);
    }
    return code;
}

static enum tm_code add(struct tm_sql *sql, const struct tm_hash *pack, const struct tm_hash *ids,
        size_t count, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    int64_t number = 0;
    if (tm_sql_begin_write(sql, &txn, err) != TM_OK ||
            run_hash(sql, insert_pack, pack, err) != TM_OK ||
            number_of(sql, pack, &number, err) != TM_OK) {
        return err->code;
    }
    enum tm_code code = number != 0 ? add_ids(sql, number, ids, count, err) : TM_OK;
    return code == TM_OK ? tm_sql_commit(&txn, err) : code;
}

enum tm_code tm_content_add(struct tm_content *content, const struct tm_hash *pack,
        const struct tm_hash *ids, size_t count, struct tm_err *err)
{
    enum tm_code code = add(enter(content), pack, ids, count, err);
    leave(content);
    return code;
}

enum tm_code tm_content_forget(
        struct tm_content *content, const struct tm_hash *pack, struct tm_err *err)
{
    enum tm_code code = run_hash(enter(content), forget_pack, pack, err);
    leave(content);
    return code;
}

/* Packs and the table ---------------------------------------------------------------------- */

static const char select_missing[] =
        "SELECT p.name, p.size FROM pack p LEFT JOIN content_pack c ON c.name = p.name"
        " WHERE c.id IS NULL ORDER BY p.stored_ms DESC, p.name LIMIT ?";

static enum tm_code missing(struct tm_sql *sql, size_t limit, struct tm_content_pack *packs,
        size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(sql, select_missing, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, (int64_t)limit);
    size_t found = 0;
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_content_pack *pack = &packs[found++];
        tm_sql_copy(&stmt, 0, pack->name.bytes, sizeof(pack->name.bytes));
        pack->size = (uint64_t)tm_sql_i64(&stmt, 1);
    }
    if (err->code == TM_OK) {
        *count = found;
    }
    return err->code;
}

enum tm_code tm_content_missing(struct tm_content *content, size_t limit, struct tm_arena *arena,
        struct tm_content_pack **out, size_t *count, struct tm_err *err)
{
    struct tm_content_pack *packs = tm_arena_alloc(arena, limit, sizeof(*packs));
    enum tm_code code = missing(enter(content), limit, packs, count, err);
    leave(content);
    if (code == TM_OK) {
        *out = packs;
    }
    return code;
}

static const char select_gone[] =
        "SELECT count(*), coalesce(sum(p.name IS NULL), 0) FROM content_pack c"
        " LEFT JOIN pack p ON p.name = c.name";
static const char delete_gone[] = "DELETE FROM content_pack WHERE NOT EXISTS (SELECT 1 FROM pack p"
                                  " WHERE p.name = content_pack.name)";
static const char delete_ids[] =
        "DELETE FROM content WHERE NOT EXISTS (SELECT 1 FROM content_pack c"
        " WHERE c.id = content.pack)";

static enum tm_code is_due(struct tm_sql *sql, bool *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_gone, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    int64_t gone = tm_sql_i64(&stmt, 1);
    *out = gone > 0 && gone >= tm_sql_i64(&stmt, 0) / GONE_SHARE;
    return TM_OK;
}

static enum tm_code prune(struct tm_sql *sql, struct tm_err *err)
{
    TM_TXN_OWN struct tm_txn txn = {0};
    bool due = false;
    if (is_due(sql, &due, err) != TM_OK || !due) {
        return err->code;
    }
    if (tm_sql_begin_write(sql, &txn, err) != TM_OK ||
            tm_sql_exec(sql, delete_gone, err) != TM_OK ||
            tm_sql_exec(sql, delete_ids, err) != TM_OK) {
        return err->code;
    }
    return tm_sql_commit(&txn, err);
}

enum tm_code tm_content_prune(struct tm_content *content, struct tm_err *err)
{
    enum tm_code code = prune(enter(content), err);
    leave(content);
    return code;
}
