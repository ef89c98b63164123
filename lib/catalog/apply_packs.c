/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "catalog/apply.h"

enum { NAME_SHOWN = 8, NAME_TEXT = 2 * NAME_SHOWN + 1 };

/* The start of a pack's name: enough to find it. */
static const char *name_text(const struct tm_hash *name, char text[NAME_TEXT])
{
    tm_hex(name->bytes, NAME_SHOWN, text);
    return text;
}

/* Use a statement whose first parameter is a pack's name. */
static enum tm_code use_named(struct tm_apply *apply, const char *text, const struct tm_hash *name,
        struct tm_stmt *stmt, struct tm_err *err)
{
    if (tm_sql_use(apply->sql, text, stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_bytes(stmt, name->bytes, sizeof(name->bytes));
    return TM_OK;
}

/* Run a statement of a name and, where `other` is there, another one. */
static enum tm_code run_names(struct tm_apply *apply, const char *text, const struct tm_hash *name,
        const struct tm_hash *other, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (use_named(apply, text, name, &stmt, err) != TM_OK) {
        return err->code;
    }
    if (other != NULL) {
        tm_sql_bind_bytes(&stmt, other->bytes, sizeof(other->bytes));
    }
    return tm_sql_run(&stmt, err);
}

static enum tm_code run_dated(struct tm_apply *apply, const char *text, const struct tm_hash *name,
        int64_t time_ms, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (use_named(apply, text, name, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, time_ms);
    return tm_sql_run(&stmt, err);
}

/* Packs gone ------------------------------------------------------------------------------- */

static const char select_pack[] = "SELECT id FROM pack WHERE name = ?";
static const char select_runs[] = "SELECT stream, part, first, length FROM run WHERE pack = ?";
static const char delete_runs[] = "DELETE FROM run WHERE pack = ?";
static const char delete_deps[] = "DELETE FROM dep WHERE pack = ?";
static const char delete_pack[] = "DELETE FROM pack WHERE id = ?";
static const char insert_dropped[] = "INSERT INTO dropped (name, time_ms) VALUES (?, ?)";
static const char insert_moved[] = "INSERT INTO moved (name, successor) VALUES (?, ?)";

/* The number of a pack in this catalog; 0: it is not there. */
static enum tm_code find_pack(
        struct tm_apply *apply, const struct tm_hash *name, int64_t *out, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (use_named(apply, select_pack, name, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    *out = row ? tm_sql_i64(&stmt, 0) : 0;
    return TM_OK;
}

/* What a merge may hold is what its sources held. */
static enum tm_code note_freed(struct tm_apply *apply, int64_t pack, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    if (tm_sql_use(apply->sql, select_runs, &stmt, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, pack);
    bool row = false;
    while (tm_sql_step(&stmt, &row, err) == TM_OK && row) {
        int64_t first = tm_sql_i64(&stmt, 2);
        *tm_vec_push(&apply->freed) = (struct tm_freed){
                .stream = (uint32_t)tm_sql_i64(&stmt, 0),
                .partition = (int32_t)tm_sql_i64(&stmt, 1),
                .from = first,
                .end = first + tm_sql_i64(&stmt, 3),
        };
    }
    return err->code;
}

static enum tm_code remove_pack(struct tm_apply *apply, int64_t pack, struct tm_err *err)
{
    const char *const texts[] = {delete_runs, delete_deps, delete_pack};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        if (tm_sql_use(apply->sql, texts[i], &stmt, err) != TM_OK) {
            return err->code;
        }
        tm_sql_bind_i64(&stmt, pack);
        if (tm_sql_run(&stmt, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct tm_row_pack *x = a;
    const struct tm_row_pack *y = b;
    return memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
}

/* The packs that take the place of `row` are of this entry: with that they are a merge. */
static enum tm_code note_successors(
        struct tm_apply *apply, const struct tm_row_successors *row, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    for (size_t i = 0; i < row->successor_count; i++) {
        struct tm_row_pack key = {.name = row->successors[i]};
        const struct tm_row_pack *found =
                edits->packs.count == 0
                        ? NULL
                        : bsearch(&key, edits->packs.at, edits->packs.count, sizeof(key), by_name);
        if (found == NULL) {
            char old[NAME_TEXT];
            char new[NAME_TEXT];
            return tm_err_set(err, TM_E_CORRUPT, "pack %s: its successor %s is not in the entry",
                    name_text(&row->name, old), name_text(&row->successors[i], new));
        }
        apply->merged[found - edits->packs.at] = true;
        if (run_names(apply, insert_moved, &row->name, &row->successors[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code drop_pack(
        struct tm_apply *apply, const struct tm_row_successors *row, struct tm_err *err)
{
    int64_t pack = 0;
    if (find_pack(apply, &row->name, &pack, err) != TM_OK) {
        return err->code;
    }
    if (pack == 0) {
        char text[NAME_TEXT];
        return tm_err_set(err, TM_E_CORRUPT, "pack %s is dropped, but is not there",
                name_text(&row->name, text));
    }
    if (note_freed(apply, pack, err) != TM_OK || remove_pack(apply, pack, err) != TM_OK ||
            run_dated(apply, insert_dropped, &row->name, apply->edits->time_ms, err) != TM_OK) {
        return err->code;
    }
    return note_successors(apply, row, err);
}

/* New packs -------------------------------------------------------------------------------- */

static const char select_known[] = "SELECT CASE"
                                   " WHEN EXISTS (SELECT 1 FROM pack WHERE name = ?1) THEN 1"
                                   " WHEN EXISTS (SELECT 1 FROM dropped WHERE name = ?1) THEN 2"
                                   " WHEN EXISTS (SELECT 1 FROM swept WHERE name = ?1) THEN 3"
                                   " WHEN EXISTS (SELECT 1 FROM moved WHERE name = ?1) THEN 4"
                                   " ELSE 0 END";
static const char insert_pack[] = "INSERT INTO pack (name, size, stored_ms) VALUES (?, ?, ?)";
static const char insert_dep[] = "INSERT INTO dep (pack, target) VALUES (?2, ?1)";

/* A name is used once: an object that is about to be deleted must not come back into use. */
static enum tm_code check_unused(
        struct tm_apply *apply, const struct tm_hash *name, struct tm_err *err)
{
    static const char *const known_as[] = {"", "held", "dropped", "swept", "moved"};
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (use_named(apply, select_known, name, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    int64_t known = tm_sql_i64(&stmt, 0);
    if (known != 0) {
        char text[NAME_TEXT];
        return tm_err_set(err, TM_E_CORRUPT, "pack %s is new, but is already %s",
                name_text(name, text), known_as[known]);
    }
    return TM_OK;
}

static enum tm_code add_pack(struct tm_apply *apply, size_t index, struct tm_err *err)
{
    const struct tm_row_pack *row = &apply->edits->packs.at[index];
    char text[NAME_TEXT];
    if (row->size > INT64_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "pack %s: %" PRIu64 " bytes cannot be",
                name_text(&row->name, text), row->size);
    }
    TM_STMT_OWN struct tm_stmt stmt = {0};
    TM_STMT_OWN struct tm_stmt dep = {0};
    if (check_unused(apply, &row->name, err) != TM_OK ||
            use_named(apply, insert_pack, &row->name, &stmt, err) != TM_OK ||
            tm_sql_use(apply->sql, insert_dep, &dep, err) != TM_OK) {
        return err->code;
    }
    tm_sql_bind_i64(&stmt, (int64_t)row->size);
    tm_sql_bind_i64(&stmt, row->stored_ms);
    if (tm_sql_run(&stmt, err) != TM_OK) {
        return err->code;
    }
    apply->pack_ids[index] = tm_sql_last_id(apply->sql);

    for (size_t i = 0; i < row->dep_count; i++) {
        tm_sql_bind_bytes(&dep, row->deps[i].bytes, sizeof(row->deps[i].bytes));
        tm_sql_bind_i64(&dep, apply->pack_ids[index]);
        if (tm_sql_run(&dep, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* Dependencies ----------------------------------------------------------------------------- */

/* Is a pack there that is ?1, or has taken its place? */
static const char select_reachable[] =
        "WITH RECURSIVE at (name) AS ("
        " VALUES (?1) UNION SELECT m.successor FROM moved m JOIN at ON m.name = at.name)"
        " SELECT 1 FROM at JOIN pack USING (name) LIMIT 1";
/* A pack that depends on ?1, or on one whose place it has taken. */
static const char select_dependant[] =
        "WITH RECURSIVE at (name) AS ("
        " VALUES (?1) UNION SELECT m.name FROM moved m JOIN at ON m.successor = at.name)"
        " SELECT p.name FROM at JOIN dep d ON d.target = at.name JOIN pack p ON p.id = d.pack"
        " LIMIT 1";

static enum tm_code check_deps(
        struct tm_apply *apply, const struct tm_row_pack *pack, struct tm_err *err)
{
    for (size_t i = 0; i < pack->dep_count; i++) {
        TM_STMT_OWN struct tm_stmt stmt = {0};
        bool row = false;
        if (use_named(apply, select_reachable, &pack->deps[i], &stmt, err) != TM_OK ||
                tm_sql_step(&stmt, &row, err) != TM_OK) {
            return err->code;
        }
        if (!row) {
            char text[NAME_TEXT];
            char dep[NAME_TEXT];
            return tm_err_set(err, TM_E_CORRUPT, "pack %s depends on pack %s, which is not there",
                    name_text(&pack->name, text), name_text(&pack->deps[i], dep));
        }
    }
    return TM_OK;
}

static enum tm_code check_no_dependant(
        struct tm_apply *apply, const struct tm_hash *gone, struct tm_err *err)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    if (use_named(apply, select_dependant, gone, &stmt, err) != TM_OK ||
            tm_sql_step(&stmt, &row, err) != TM_OK) {
        return err->code;
    }
    if (row) {
        struct tm_hash dependant;
        char text[NAME_TEXT];
        char other[NAME_TEXT];
        tm_sql_copy(&stmt, 0, dependant.bytes, sizeof(dependant.bytes));
        return tm_err_set(err, TM_E_CORRUPT, "pack %s is dropped, but pack %s depends on it",
                name_text(gone, text), name_text(&dependant, other));
    }
    return TM_OK;
}

static enum tm_code check_all_deps(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    for (size_t i = 0; i < edits->packs.count; i++) {
        if (check_deps(apply, &edits->packs.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    for (size_t i = 0; i < edits->packs_gone.count; i++) {
        const struct tm_row_successors *gone = &edits->packs_gone.at[i];
        if (gone->successor_count == 0 && check_no_dependant(apply, &gone->name, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

/* Sweep, and the lists of a full ------------------------------------------------------------ */

static const char delete_dropped[] = "DELETE FROM dropped WHERE name = ?";
static const char replace_swept[] = "INSERT OR REPLACE INTO swept (name, time_ms) VALUES (?, ?)";

static enum tm_code sweep_pack(
        struct tm_apply *apply, const struct tm_hash *name, struct tm_err *err)
{
    int64_t pack = 0;
    if (find_pack(apply, name, &pack, err) != TM_OK) {
        return err->code;
    }
    if (pack != 0) {
        char text[NAME_TEXT];
        return tm_err_set(
                err, TM_E_CORRUPT, "pack %s is swept, but is in use", name_text(name, text));
    }
    return run_names(apply, delete_dropped, name, NULL, err) == TM_OK
                   ? run_dated(apply, replace_swept, name, apply->edits->time_ms, err)
                   : err->code;
}

static enum tm_code load_moved(
        struct tm_apply *apply, const struct tm_row_successors *row, struct tm_err *err)
{
    char text[NAME_TEXT];
    if (row->successor_count == 0) {
        return tm_err_set(
                err, TM_E_CORRUPT, "pack %s has moved nowhere", name_text(&row->name, text));
    }
    for (size_t i = 0; i < row->successor_count; i++) {
        if (run_names(apply, insert_moved, &row->name, &row->successors[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

static enum tm_code load_lists(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    for (size_t i = 0; i < edits->dropped.count; i++) {
        const struct tm_row_dated *row = &edits->dropped.at[i];
        if (run_dated(apply, insert_dropped, &row->name, row->time_ms, err) != TM_OK) {
            return err->code;
        }
    }
    for (size_t i = 0; i < edits->moved.count; i++) {
        if (load_moved(apply, &edits->moved.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    for (size_t i = 0; i < edits->swept.count; i++) {
        const struct tm_row_dated *row = &edits->swept.at[i];
        if (run_dated(apply, replace_swept, &row->name, row->time_ms, err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}

enum tm_code tm_apply_packs(struct tm_apply *apply, struct tm_err *err)
{
    const struct tm_edits *edits = apply->edits;
    size_t count = edits->packs.count;
    apply->pack_ids = tm_arena_alloc(&apply->arena, count, sizeof(*apply->pack_ids));
    apply->merged = tm_arena_alloc(&apply->arena, count, sizeof(*apply->merged));

    for (size_t i = 0; i < edits->packs_gone.count; i++) {
        if (drop_pack(apply, &edits->packs_gone.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    if (load_lists(apply, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < count; i++) {
        if (add_pack(apply, i, err) != TM_OK) {
            return err->code;
        }
    }
    if (check_all_deps(apply, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < edits->sweep.count; i++) {
        if (sweep_pack(apply, &edits->sweep.at[i], err) != TM_OK) {
            return err->code;
        }
    }
    return TM_OK;
}
