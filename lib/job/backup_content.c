/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "job/backup_run.h"
#include "vault/pack_reader.h"

enum {
    /* What a run spends at its start on indexes that the catalog does not know; the next goes on. */
    INDEX_PACKS = 512,
    INDEX_MS = 2000,
};

/* Indexing ------------------------------------------------------------------------------------ */

static void log_pack(const struct backup_run *run, const char *event, const struct tm_hash *pack,
        const struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(pack, name);
    tm_log(TM_LOG_WARNING, event, err->msg, TM_LOG_STR("job", run->env->job_id),
            TM_LOG_STR("policy", run->options->policy), TM_LOG_STR("object", name), TM_LOG_END);
}

/* The ids of the content that a pack holds itself. */
static enum tm_code read_ids(struct backup_run *run, const struct tm_content_pack *pack,
        tm_hash_list *ids, struct tm_err *err)
{
    TM_OWN(tm_pack_close) struct tm_pack *open = NULL;
    TM_TRY(tm_pack_open(run->options->vault, &pack->name, pack->size, &open, err));
    const struct tm_pack_index *index = tm_pack_index(open);
    for (size_t i = 0; i < index->block_count; i++) {
        const struct tm_block_info *block = &index->blocks[i];
        if ((block->flags & TM_BLOCK_HAS_ID) != 0 && (block->flags & TM_BLOCK_FOREIGN) == 0) {
            *tm_vec_push(ids) = block->content_id;
        }
    }
    return TM_OK;
}

/* A pack that cannot be read is never referred to; a store that does not answer ends it for now. */
static enum tm_code index_pack(
        struct backup_run *run, const struct tm_content_pack *pack, struct tm_err *err)
{
    tm_hash_list ids = {0};
    struct tm_err why = {0};
    enum tm_code code = read_ids(run, pack, &ids, &why);
    if (code == TM_OK) {
        code = tm_content_add(run->content, &pack->name, ids.at, ids.count, err);
    } else if (code == TM_E_CORRUPT || code == TM_E_MISSING || code == TM_E_VERSION) {
        log_pack(run, "backup.pack-unreadable", &pack->name, &why);
        code = tm_content_forget(run->content, &pack->name, err);
    } else {
        *err = why;
    }
    tm_vec_done(&ids);
    return code;
}

static enum tm_code index_some(struct backup_run *run, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_content_pack *packs = NULL;
    size_t count = 0;
    int64_t end_ns = tm_mono_ns() + INDEX_MS * INT64_C(1000000);
    TM_TRY(tm_content_prune(run->content, err));
    TM_TRY(tm_content_missing(run->content, INDEX_PACKS, arena, &packs, &count, err));
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        if (tm_mono_ns() >= end_ns || tm_job_cancelled(run->env)) {
            break;
        }
        code = index_pack(run, &packs[i], err);
    }
    return code;
}

enum tm_code tm_backup_open_content(struct backup_run *run, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_err why = {0};
    TM_TRY(tm_content_open(run->options->catalog, &run->content, err));
    /* Without it less is deduplicated; what is wrong with the store will show where it matters. */
    if (index_some(run, &arena, &why) != TM_OK) {
        tm_log(TM_LOG_WARNING, "backup.not-indexed", why.msg, TM_LOG_STR("job", run->env->job_id),
                TM_LOG_STR("policy", run->options->policy), TM_LOG_END);
    }
    tm_arena_done(&arena);
    return TM_OK;
}

/* Packs that others refer to ------------------------------------------------------------------ */

struct tm_row_pack tm_backup_pack_row(const struct tm_packed *pack, struct tm_edits *edits)
{
    struct tm_row_pack row = {
            .name = pack->name,
            .size = pack->size,
            .stored_ms = pack->stored_ms,
            .dep_count = pack->deps.count,
    };
    if (row.dep_count > 0) {
        row.deps = tm_arena_alloc(&edits->arena, row.dep_count, sizeof(*row.deps));
        memcpy(row.deps, pack->deps.at, row.dep_count * sizeof(*row.deps));
    }
    return row;
}

static int by_bytes(const void *left, const void *right)
{
    const struct tm_hash *a = left;
    const struct tm_hash *b = right;
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Every pack that a pack of the entry refers to, sorted, each once. */
static void list_deps(const struct tm_edits *edits, tm_hash_list *out)
{
    out->count = 0;
    for (size_t i = 0; i < edits->packs.count; i++) {
        const struct tm_row_pack *row = &edits->packs.at[i];
        for (size_t d = 0; d < row->dep_count; d++) {
            *tm_vec_push(out) = row->deps[d];
        }
    }
    if (out->count > 0) {
        qsort(out->at, out->count, sizeof(*out->at), by_bytes);
    }
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (kept == 0 || !tm_hash_eq(&out->at[kept - 1], &out->at[i])) {
            out->at[kept++] = out->at[i];
        }
    }
    out->count = kept;
}

static bool is_in_entry(const struct tm_edits *edits, const struct tm_hash *name)
{
    for (size_t i = 0; i < edits->packs.count; i++) {
        if (tm_hash_eq(&edits->packs.at[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Index in the list, or its count. */
static size_t find_packed(const tm_packed_list *packs, const struct tm_hash *name)
{
    size_t at = 0;
    while (at < packs->count && !tm_hash_eq(&packs->at[at].name, name)) {
        at++;
    }
    return at;
}

/* Is the pack, or what took its place, held by the vault as it is folded now? */
static enum tm_code is_held(
        struct backup_run *run, const struct tm_hash *name, bool *out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_pack_place *places = NULL;
    size_t count = 0;
    enum tm_code code =
            tm_catalog_pack_places(run->options->catalog, name, &arena, &places, &count, err);
    *out = count > 0;
    tm_arena_done(&arena);
    return code;
}

/* See that the pack is there once the entry is: by the entry, or before it. */
static enum tm_code provide(struct backup_run *run, const struct tm_hash *name, bool *added,
        struct tm_edits *edits, struct tm_err *err)
{
    if (is_in_entry(edits, name)) {
        return TM_OK;
    }
    size_t at = find_packed(&run->packs, name);
    if (at < run->packs.count) {
        added[at] = true;
        *tm_vec_push(&edits->packs) = tm_backup_pack_row(&run->packs.at[at], edits);
        return TM_OK;
    }
    bool held = false;
    TM_TRY(is_held(run, name, &held, err));
    at = find_packed(&run->left_out, name);
    if (!held && at < run->left_out.count) {
        *tm_vec_push(&edits->packs) = tm_backup_pack_row(&run->left_out.at[at], edits);
        held = true;
    }
    if (!held) {
        char object[TM_OBJECT_NAME_MAX];
        tm_pack_name(name, object);
        return tm_err_set(err, TM_E_CONFLICT,
                "%s: it holds content that is referred to, and was dropped meanwhile", object);
    }
    return TM_OK;
}

enum tm_code tm_backup_add_deps(
        struct backup_run *run, bool *added, struct tm_edits *edits, struct tm_err *err)
{
    tm_hash_list deps = {0};
    enum tm_code code = TM_OK;
    size_t before;
    do { /* what is added may refer to others in turn */
        before = edits->packs.count;
        list_deps(edits, &deps);
        for (size_t i = 0; code == TM_OK && i < deps.count; i++) {
            code = provide(run, &deps.at[i], added, edits, err);
        }
    } while (code == TM_OK && edits->packs.count > before);
    tm_vec_done(&deps);
    return code;
}

/* After a commit ------------------------------------------------------------------------------ */

static void index_own(struct backup_run *run, const struct tm_packed *pack)
{
    struct tm_err err = {0};
    if (tm_content_add(run->content, &pack->name, pack->ids.at, pack->ids.count, &err) != TM_OK) {
        log_pack(run, "backup.not-indexed", &pack->name, &err); /* a later run reads its index */
    }
}

static void set_aside(struct backup_run *run, struct tm_packed *pack)
{
    tm_vec_done(&pack->runs);
    tm_vec_done(&pack->ids);
    *tm_vec_push(&run->left_out) = *pack;
    *pack = (struct tm_packed){0};
}

void tm_backup_settle_content(struct backup_run *run, const bool *added)
{
    uint64_t last = 0;
    for (size_t i = 0; i < run->packs.count; i++) {
        struct tm_packed *pack = &run->packs.at[i];
        last = pack->number > last ? pack->number : last;
        if (added[i]) {
            index_own(run, pack);
        } else {
            set_aside(run, pack);
        }
    }
    tm_packer_settle(run->packer, last);
    tm_packed_list_done(&run->packs);
}
