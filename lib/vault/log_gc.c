/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/log_gc.h"

#include <inttypes.h>

#include "base/fault.h"
#include "base/rd.h"
#include "vault/log.h"

struct object {
    uint64_t seq;
    uint64_t size;
    int64_t modified_ms;
};

struct gc {
    struct tm_vault *vault;
    const struct tm_fold *fold;
    const struct tm_log_gc_options *options;
    struct tm_log_gc_result *result;
    TM_VEC(struct object) objects; /* in order of seq: that of their names */
};

static enum tm_code collect(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)err;
    struct gc *gc = arg;
    uint64_t seq;
    if (tm_log_parse_name(name, "log", &seq)) {
        *tm_vec_push(&gc->objects) = (struct object){seq, info->size, info->modified_ms};
    }
    return TM_OK;
}

static const struct object *find_object(const struct gc *gc, uint64_t seq)
{
    size_t low = 0;
    size_t high = gc->objects.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool below = gc->objects.at[mid].seq < seq;
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    bool there = low < gc->objects.count && gc->objects.at[low].seq == seq;
    return there ? &gc->objects.at[low] : NULL;
}

static bool is_old(const struct gc *gc, const struct object *object)
{
    return gc->options->now_ms - object->modified_ms >= gc->options->age_ms;
}

/* The full that entry `seq` names in its header, which is authenticated when that full is read. */
static enum tm_code peek_full(
        struct gc *gc, uint64_t seq, uint64_t *out, bool *known, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    TM_BUF_OWN struct tm_buf header = {0};
    *known = false;
    enum tm_code code =
            tm_store_range(tm_vault_store(gc->vault), name, 0, TM_ENTRY_HEADER, &header, err);
    if (code == TM_E_MISSING) { /* another collector is at work */
        *err = (struct tm_err){0};
        return TM_OK;
    }
    if (code != TM_OK) {
        return code;
    }
    struct tm_rd rd = tm_rd_of(tm_slice_of(header.at + 28, 4));
    uint32_t back = tm_rd_u32(&rd);
    if (back > seq) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: names a full before the first entry", name);
    }
    *out = seq - back;
    *known = true;
    return TM_OK;
}

/* Is it truly a full of this vault, whole and readable? Nothing below it is needed then. */
static enum tm_code check_full(struct gc *gc, uint64_t seq, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    TM_BUF_OWN struct tm_buf object = {0};
    struct tm_entry_place place;
    struct tm_edits edits = {0};
    enum tm_code code =
            tm_store_get(tm_vault_store(gc->vault), name, TM_ENTRY_BYTES_MAX, &object, err);
    if (code != TM_OK) {
        return code;
    }
    code = tm_entry_decode(tm_buf_slice(&object), seq, tm_vault_id(gc->vault),
            tm_vault_ring(gc->vault), &place, &edits, err);
    if (code == TM_OK && !edits.full) {
        code = tm_err_set(err, TM_E_CORRUPT, "not a full, though a later entry says so");
    }
    tm_edits_done(&edits);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", name);
}

/* The newest full that is old enough; *found false: there is none. */
static enum tm_code find_full(
        struct gc *gc, uint64_t newest, uint64_t *out, bool *found, struct tm_err *err)
{
    *found = false;
    uint64_t seq = newest;
    for (;;) {
        const struct object *object = find_object(gc, seq);
        if (object == NULL) {
            return TM_OK;
        }
        if (is_old(gc, object)) {
            *out = seq;
            *found = true;
            return check_full(gc, seq, err);
        }
        bool known = false;
        if (seq == 0 || find_object(gc, seq - 1) == NULL) {
            return TM_OK;
        }
        enum tm_code code = peek_full(gc, seq - 1, &seq, &known, err);
        if (code != TM_OK || !known) {
            return code;
        }
    }
}

static enum tm_code remove_below(struct gc *gc, uint64_t full, struct tm_err *err)
{
    for (size_t i = 0; i < gc->objects.count && gc->objects.at[i].seq < full; i++) {
        if (gc->options->cancel != NULL && atomic_load(gc->options->cancel)) {
            return tm_err_set(err, TM_E_CANCELLED, "log/: stopped while old entries are removed");
        }
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name(gc->objects.at[i].seq, name);
        enum tm_code code = tm_store_remove(tm_vault_store(gc->vault), name, err);
        if (code == TM_E_DENIED) {
            *err = (struct tm_err){0};
            gc->result->denied = true;
            return TM_OK;
        }
        if (code != TM_OK) {
            return code;
        }
        TM_FAULT("gc.log.removed");
        gc->result->removed++;
        gc->result->removed_bytes += gc->objects.at[i].size;
    }
    return TM_OK;
}

static enum tm_code write_full_if_old(struct gc *gc, struct tm_err *err)
{
    struct tm_fold_state state;
    TM_TRY(gc->fold->ops->state(gc->fold->self, &state, err));
    const struct object *full = find_object(gc, state.full_seq);
    if (full == NULL || !is_old(gc, full) || state.head.seq == state.full_seq) {
        return TM_OK;
    }
    TM_TRY(tm_log_write_full(gc->vault, gc->fold, err));
    struct tm_fold_state after;
    TM_TRY(gc->fold->ops->state(gc->fold->self, &after, err));
    gc->result->full_written = after.full_seq != state.full_seq;
    TM_FAULT("gc.log.full");
    return TM_OK;
}

static enum tm_code run(struct gc *gc, struct tm_err *err)
{
    struct tm_fold_state state;
    uint64_t full = 0;
    bool found = false;
    TM_TRY(tm_store_list(tm_vault_store(gc->vault), "log/", collect, gc, err));
    TM_TRY(gc->fold->ops->state(gc->fold->self, &state, err));
    if (state.empty) {
        return TM_OK;
    }
    /* The full that is old now goes on being the one below which is removed. */
    TM_TRY(find_full(gc, state.full_seq, &full, &found, err));
    TM_TRY(write_full_if_old(gc, err));
    return found ? remove_below(gc, full, err) : TM_OK;
}

enum tm_code tm_log_gc(struct tm_vault *vault, const struct tm_fold *fold,
        const struct tm_log_gc_options *options, struct tm_log_gc_result *out, struct tm_err *err)
{
    *out = (struct tm_log_gc_result){0};
    struct gc gc = {.vault = vault, .fold = fold, .options = options, .result = out};
    enum tm_code code = tm_vault_refresh(vault, fold, err);
    if (code == TM_OK) {
        code = run(&gc, err);
    }
    tm_vec_done(&gc.objects);
    return code;
}
