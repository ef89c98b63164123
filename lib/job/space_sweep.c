/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "base/ulid.h"
#include "job/space_run.h"

enum {
    ANNOUNCED_MAX = 1 << 18, /* in one entry, 8 MiB; the rest is for the next run */
    TMP_AGE_MS = 24 * 3600 * 1000,
};

/* Listing ---------------------------------------------------------------------------------- */

static enum tm_code collect(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)err;
    space_objects *objects = arg;
    struct space_object object = {.size = info->size, .modified_ms = info->modified_ms};
    const char *slash = strrchr(name, '/');
    if (slash == NULL || strlen(slash + 1) != 2 * sizeof(object.name.bytes) ||
            !tm_parse_hex(slash + 1, object.name.bytes, sizeof(object.name.bytes))) {
        return TM_OK; /* not ours to touch */
    }
    char whole[TM_OBJECT_NAME_MAX];
    tm_pack_name(&object.name, whole);
    if (strcmp(whole, name) == 0) {
        *tm_vec_push(objects) = object;
    }
    return TM_OK;
}

enum tm_code tm_space_list(const struct space_run *run, space_objects *out, struct tm_err *err)
{
    return tm_store_list(tm_vault_store(run->options.vault), "pack/", collect, out, err);
}

enum tm_code tm_space_store_now(struct tm_store *store, int64_t *out, struct tm_err *err)
{
    char text[TM_ULID_NAME_MAX];
    struct tm_id16 ulid = tm_ulid_make(tm_now_ms());
    char name[TM_OBJECT_NAME_MAX];
    (void)snprintf(name, sizeof(name), "tmp/clock-%s", tm_ulid_format(&ulid, "", text));
    struct tm_object_info info;
    TM_TRY(tm_store_create(store, name, tm_slice_str("clock"), err));
    enum tm_code code = tm_store_stat(store, name, &info, err);
    struct tm_err ignored = {0}; /* what is left in tmp/ is removed a day later */
    TM_LATER(tm_store_remove(store, name, &ignored));
    if (code == TM_OK) {
        *out = info.modified_ms;
    }
    return code;
}

/* Which are due ---------------------------------------------------------------------------- */

static bool is_due(const struct space_run *run, const struct space_object *object,
        int64_t store_now_ms, int64_t now_ms)
{
    const struct tm_space_options *options = &run->options;
    int64_t age_ms = store_now_ms - object->modified_ms;
    if (age_ms < options->lock_ms) {
        return false;
    }
    switch (object->fate) {
    case TM_PACK_SWEPT: /* announced by a run that was stopped before it had deleted all */
        return true;
    case TM_PACK_DROPPED:
        return now_ms - object->fate_ms >= options->grace_ms;
    case TM_PACK_UNKNOWN:
        return age_ms >= options->orphan_ms;
    case TM_PACK_HELD:
        break;
    }
    return false;
}

/* What the fold says of each object; those in use are left out. */
static enum tm_code look_up(const struct space_run *run, space_objects *objects, struct tm_err *err)
{
    size_t left = 0;
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < objects->count; i++) {
        struct space_object object = objects->at[i];
        code = tm_live_fate(run->options.catalog, &object.name, &object.fate, &object.fate_ms, err);
        if (object.fate != TM_PACK_HELD) {
            objects->at[left++] = object;
        }
    }
    objects->count = left;
    return code;
}

enum tm_code tm_space_sort_out(
        const struct space_run *run, space_objects *objects, struct tm_err *err)
{
    TM_TRY(look_up(run, objects, err));
    if (objects->count == 0) {
        return TM_OK;
    }
    int64_t store_now_ms = 0;
    TM_TRY(tm_space_store_now(tm_vault_store(run->options.vault), &store_now_ms, err));
    int64_t now_ms = run->options.now_ms();
    for (size_t i = 0; i < objects->count; i++) {
        objects->at[i].due = is_due(run, &objects->at[i], store_now_ms, now_ms);
    }
    return TM_OK;
}

/* Announcing ------------------------------------------------------------------------------- */

struct sweep {
    struct space_run *run;
    space_objects objects;
};

/* What the fold says of an object now: one in use is due no more, one swept need not be announced. */
static enum tm_code announce_one(const struct space_run *run, struct space_object *object,
        struct tm_edits *edits, struct tm_err *err)
{
    TM_TRY(tm_live_fate(run->options.catalog, &object->name, &object->fate, &object->fate_ms, err));
    bool named = object->fate != TM_PACK_HELD && object->fate != TM_PACK_SWEPT;
    if (named && edits->sweep.count < ANNOUNCED_MAX) {
        *tm_vec_push(&edits->sweep) = object->name;
    } else if (named || object->fate == TM_PACK_HELD) {
        object->due = false;
    }
    return TM_OK;
}

static enum tm_code build_sweep(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct sweep *sweep = arg;
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < sweep->objects.count; i++) {
        if (sweep->objects.at[i].due) {
            code = announce_one(sweep->run, &sweep->objects.at[i], edits, err);
        }
    }
    TM_TRY(code);
    return edits->sweep.count > 0 ? TM_OK
                                  : tm_err_set(err, TM_E_EXISTS, "nothing is to be announced");
}

static enum tm_code announce(struct sweep *sweep, struct tm_err *err)
{
    struct space_run *run = sweep->run;
    if (TM_FAULT_FAILS("space.sweep.unannounced")) { /* the model shows what becomes of that */
        return TM_OK;
    }
    struct tm_fold fold = tm_catalog_fold(run->options.catalog);
    enum tm_code code = tm_vault_commit(run->options.vault, &fold, build_sweep, sweep, NULL, err);
    if (code ==
            TM_E_EXISTS) { /* build_sweep() found none; what is still due was announced before */
        *err = (struct tm_err){0};
        return TM_OK;
    }
    if (code == TM_OK) {
        TM_FAULT("space.sweep.announced");
    }
    return code;
}

/* Deleting --------------------------------------------------------------------------------- */

static enum tm_code delete_one(struct space_run *run, const struct space_object *object,
        int64_t *locked, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&object->name, name);
    TM_TRY(tm_space_check_cancel(run, err));
    enum tm_code code = tm_store_remove(tm_vault_store(run->options.vault), name, err);
    if (code == TM_E_DENIED) {
        *err = (struct tm_err){0};
        (*locked)++;
        return TM_OK;
    }
    if (code != TM_OK) {
        return code;
    }
    TM_FAULT("space.sweep.deleted");
    run->result->packs_swept++;
    run->result->orphans += object->fate == TM_PACK_UNKNOWN ? 1 : 0;
    run->result->bytes_reclaimed += (int64_t)object->size;
    return TM_OK;
}

static enum tm_code delete_due(struct sweep *sweep, struct tm_err *err)
{
    struct space_run *run = sweep->run;
    int64_t locked = 0;
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < sweep->objects.count; i++) {
        if (sweep->objects.at[i].due) {
            code = delete_one(run, &sweep->objects.at[i], &locked, err);
        }
    }
    if (locked > 0) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                "%" PRId64 " packs could not be deleted: object lock, or no right to delete",
                locked);
        tm_job_note_add(
                &run->result->warnings, &run->result->arena, "space-locked", NULL, -1, text);
    }
    return code;
}

/* What crashes and probes left in tmp/: no entry ever names it, so nothing is announced. */
struct leftovers {
    int64_t store_now_ms;
    struct tm_arena arena;
    TM_VEC(const char *) names;
};

static enum tm_code collect_leftover(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)err;
    struct leftovers *leftovers = arg;
    if (leftovers->store_now_ms - info->modified_ms >= TMP_AGE_MS) {
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
        *tm_vec_push(&leftovers->names) = tm_arena_strdup(&leftovers->arena, name);
    }
    return TM_OK;
}

static enum tm_code delete_leftovers(struct space_run *run, struct tm_err *err)
{
    struct tm_store *store = tm_vault_store(run->options.vault);
    struct leftovers leftovers = {0};
    enum tm_code code = tm_space_store_now(store, &leftovers.store_now_ms, err);
    if (code == TM_OK) {
        code = tm_store_list(store, "tmp/", collect_leftover, &leftovers, err);
    }
    for (size_t i = 0; code == TM_OK && i < leftovers.names.count; i++) {
        code = tm_store_remove(store, leftovers.names.at[i], err);
    }
    tm_vec_done(&leftovers.names);
    tm_arena_done(&leftovers.arena);
    return code;
}

enum tm_code tm_space_sweep(struct space_run *run, struct tm_err *err)
{
    tm_space_phase(run, TM_PHASE_SWEEPING);
    struct tm_fold fold = tm_catalog_fold(run->options.catalog);
    struct sweep sweep = {.run = run};
    enum tm_code code = tm_space_list(run, &sweep.objects, err);
    TM_FAULT("space.sweep.listed");
    if (code == TM_OK) { /* behind the listing: what is listed and in use by now is in the fold */
        code = tm_vault_refresh(run->options.vault, &fold, err);
    }
    if (code == TM_OK) {
        code = tm_space_sort_out(run, &sweep.objects, err);
    }
    if (code == TM_OK) {
        code = announce(&sweep, err);
    }
    if (code == TM_OK) {
        code = delete_due(&sweep, err);
    }
    tm_vec_done(&sweep.objects);
    return code == TM_OK ? delete_leftovers(run, err) : code;
}
