/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/text.h"
#include "catalog/apply.h"
#include "catalog/dump.h"
#include "catalog/handle.h"
#include "catalog/head.h"
#include "catalog/rows.h"
#include "catalog/schema.h"

enum { MAGIC = 0x7ca7a106 };

enum tm_code tm_catalog_open(const char *path, struct tm_catalog **out, struct tm_err *err)
{
    struct tm_sql *sql = NULL;
    if (tm_sql_open(path, &tm_schema_catalog, &sql, err) != TM_OK) {
        return err->code;
    }
    struct tm_catalog *catalog = tm_xalloc(1, sizeof(*catalog));
    *catalog = (struct tm_catalog){.magic = MAGIC, .sql = sql};
    *out = catalog;
    return TM_OK;
}

enum tm_code tm_catalog_twin(
        const struct tm_catalog *catalog, struct tm_catalog **out, struct tm_err *err)
{
    return tm_catalog_open(tm_sql_path(catalog->sql), out, err);
}

void tm_catalog_close(struct tm_catalog *catalog)
{
    if (catalog != NULL) {
        tm_sql_close(catalog->sql);
        catalog->magic = 0;
        free(catalog);
    }
}

const char *tm_catalog_sqlite_version(void)
{
    return sqlite3_libversion();
}

/* The fold --------------------------------------------------------------------------------- */

static struct tm_catalog *from_self(void *self)
{
    struct tm_catalog *catalog = self;
    tm_assert(catalog != NULL && catalog->magic == MAGIC);
    return catalog;
}

static enum tm_code fold_state(void *self, struct tm_fold_state *out, struct tm_err *err)
{
    return tm_head_read(from_self(self)->sql, out, err);
}

static enum tm_code fold_apply(void *self, const struct tm_entry_place *place,
        const struct tm_hash *hash, uint64_t object_bytes, const struct tm_edits *edits,
        struct tm_err *err)
{
    return tm_apply_entry(from_self(self)->sql, place, hash, object_bytes, edits, err);
}

static enum tm_code fold_check(void *self, const struct tm_entry_place *place,
        const struct tm_edits *edits, struct tm_err *err)
{
    return tm_apply_check(from_self(self)->sql, place, edits, err);
}

static enum tm_code fold_overtaken(
        void *self, const struct tm_edits *edits, int64_t now_ms, struct tm_err *err)
{
    return tm_apply_overtaken(from_self(self)->sql, edits, now_ms, err);
}

/* What is pruned for the dump comes back: the full that is made of it prunes when it is applied. */
static enum tm_code fold_dump(void *self, int64_t now_ms, struct tm_edits *out, struct tm_err *err)
{
    struct tm_sql *sql = from_self(self)->sql;
    TM_TXN_OWN struct tm_txn txn = {0};
    if (tm_sql_begin_write(sql, &txn, err) != TM_OK || tm_dump_prune(sql, now_ms, err) != TM_OK) {
        return err->code;
    }
    struct tm_edits edits = {0};
    if (tm_dump_state(sql, now_ms, &edits, err) != TM_OK) {
        return err->code;
    }
    *out = edits;
    return TM_OK;
}

static enum tm_code fold_reset(void *self, struct tm_err *err)
{
    struct tm_sql *sql = from_self(self)->sql;
    TM_TXN_OWN struct tm_txn txn = {0};
    if (tm_sql_begin_write(sql, &txn, err) != TM_OK ||
            tm_sql_exec(sql, tm_schema_catalog_empty, err) != TM_OK) {
        return err->code;
    }
    return tm_sql_commit(&txn, err);
}

struct tm_fold tm_catalog_fold(struct tm_catalog *catalog)
{
    static const struct tm_fold_ops ops = {
            .state = fold_state,
            .apply = fold_apply,
            .check = fold_check,
            .overtaken = fold_overtaken,
            .dump = fold_dump,
            .reset = fold_reset,
    };
    return (struct tm_fold){.self = catalog, .ops = &ops};
}

/* Params ----------------------------------------------------------------------------------- */

static const char select_param[] = "SELECT value FROM param WHERE name = ?";

/* The param of that name, if it is there. */
static enum tm_code read_param(
        struct tm_sql *sql, const char *name, uint32_t *value, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(sql, select_param, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, tm_slice_str(name));
    if (tm_sql_step(&stmt, &row, err) != TM_OK || !row) {
        return err->code;
    }
    TM_BUF_OWN struct tm_buf text = {0};
    struct tm_slice bytes = tm_sql_bytes(&stmt, 0);
    tm_buf_add(&text, bytes.at, bytes.len);
    struct tm_err why = {0};
    int64_t number = 0;
    if (tm_parse_i64(tm_buf_text(&text), &number, &why) != TM_OK || number < 1 ||
            number > UINT32_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: param \"%s\" cannot be %s", tm_sql_path(sql),
                name, tm_buf_text(&text));
    }
    *value = (uint32_t)number;
    return TM_OK;
}

enum tm_code tm_catalog_params(
        struct tm_catalog *catalog, struct tm_block_params *out, struct tm_err *err)
{
    struct tm_block_params params = tm_block_params_default;
    const struct {
        const char *name;
        uint32_t *value;
    } names[] = {
            {"block.min", &params.block_min},
            {"block.mean", &params.block_mean},
            {"block.max", &params.block_max},
            {"solo.min", &params.solo_min},
            {"pack.target", &params.pack_target},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (read_param(catalog->sql, names[i].name, names[i].value, err) != TM_OK) {
            return err->code;
        }
    }
    *out = params;
    return TM_OK;
}

/* Packs ------------------------------------------------------------------------------------ */

static const char select_places[] =
        "WITH RECURSIVE at (name) AS ("
        " VALUES (?) UNION SELECT m.successor FROM moved m JOIN at ON m.name = at.name)"
        " SELECT p.name, p.size FROM at JOIN pack p USING (name) ORDER BY p.name";

enum tm_code tm_catalog_pack_places(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_pack_place **out, size_t *count, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_VEC(struct tm_pack_place) places = {0};
    if (tm_sql_use(catalog->sql, select_places, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(&stmt, name->bytes, sizeof(name->bytes));
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        struct tm_pack_place *place = tm_vec_push(&places);
        tm_sql_copy(&stmt, 0, place->name.bytes, sizeof(place->name.bytes));
        place->size = (uint64_t)tm_sql_i64(&stmt, 1);
    }
    if (err->code == TM_OK) {
        size_t bytes = places.count * sizeof(*places.at);
        *out = tm_arena_alloc(arena, places.count, sizeof(*places.at));
        if (bytes > 0) {
            memcpy(*out, places.at, bytes);
        }
        *count = places.count;
    }
    tm_vec_done(&places);
    return err->code;
}

/* Totals and writers ------------------------------------------------------------------------ */

static const char select_packs[] = "SELECT count(*), coalesce(sum(size), 0) FROM pack";
static const char select_sums[] =
        "SELECT (SELECT count(*) FROM point), coalesce(sum(bytes), 0) FROM run";
static const char select_bytes[] =
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";

enum tm_code tm_catalog_vault_totals(
        struct tm_catalog *catalog, struct tm_vault_totals *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt packs = {0};
    TM_STMT_OWN struct tm_stmt sums = {0};
    TM_STMT_OWN struct tm_stmt bytes = {0};
    bool row = false;
    if (tm_sql_use(catalog->sql, select_packs, &packs, err) != TM_OK ||
            tm_sql_use(catalog->sql, select_sums, &sums, err) != TM_OK ||
            tm_sql_use(catalog->sql, select_bytes, &bytes, err) != TM_OK ||
            tm_sql_step(&packs, &row, err) != TM_OK || tm_sql_step(&sums, &row, err) != TM_OK ||
            tm_sql_step(&bytes, &row, err) != TM_OK) {
        return err->code;
    }
    TM_BUF_OWN struct tm_buf wal = {0};
    struct stat info = {0};
    tm_buf_add_fmt(&wal, "%s-wal", tm_sql_path(catalog->sql));
    int64_t wal_bytes = stat(tm_buf_text(&wal), &info) == 0 ? (int64_t)info.st_size : 0;
    *out = (struct tm_vault_totals){
            .points = tm_sql_i64(&sums, 0),
            .source_bytes = tm_sql_i64(&sums, 1),
            .packs = tm_sql_i64(&packs, 0),
            .stored_bytes = tm_sql_i64(&packs, 1),
            .database_bytes = tm_sql_i64(&bytes, 0) + wal_bytes,
    };
    return TM_OK;
}

static const char select_writer[] = "SELECT cluster_id, policy, writer, time_ms FROM writer WHERE "
                                    "cluster_id = ? AND policy = ?";

enum tm_code tm_catalog_writer(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, struct tm_arena *arena, struct tm_row_writer *out,
        struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (tm_sql_use(catalog->sql, select_writer, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_slice(&stmt, cluster_id);
    tm_sql_bind_slice(&stmt, policy);
    if (tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = (struct tm_row_writer){0};
    if (row) {
        *out = (struct tm_row_writer){
                .cluster_id = tm_rows_slice(&stmt, 0, arena),
                .policy = tm_rows_slice(&stmt, 1, arena),
                .writer = tm_rows_slice(&stmt, 2, arena),
                .time_ms = tm_sql_i64(&stmt, 3),
        };
    }
    return TM_OK;
}
