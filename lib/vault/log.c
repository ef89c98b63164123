/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/log.h"

#include <inttypes.h>

#include "base/hash.h"

enum { STARTS_MAX = 10 }; /* lists of the log in one refresh */

/* TM_E_MISSING when there is none; `out` zeroed or done, and to be done in any case. */
static enum tm_code read_entry(
        struct tm_vault *vault, uint64_t seq, struct tm_log_entry *out, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    TM_BUF_OWN struct tm_buf object = {0};
    enum tm_code code = tm_store_get(tm_vault_store(vault), name, TM_ENTRY_BYTES_MAX, &object, err);
    if (code != TM_OK) {
        return code;
    }
    out->bytes = object.len;
    out->hash = tm_sha256_of(tm_buf_slice(&object));
    code = tm_entry_decode(tm_buf_slice(&object), seq, tm_vault_id(vault), tm_vault_ring(vault),
            &out->place, &out->edits, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", name);
}

struct tm_head tm_log_head(const struct tm_log_entry *entry)
{
    return (struct tm_head){.seq = entry->place.seq, .hash = entry->hash};
}

static bool same_head(const struct tm_head *a, const struct tm_head *b)
{
    return a->seq == b->seq && tm_hash_eq(&a->hash, &b->hash);
}

/* Does the entry follow the fold's head? */
static enum tm_code check_chain(
        const struct tm_log_entry *entry, const struct tm_fold_state *state, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(entry->place.seq, name);
    if (!tm_hash_eq(&entry->place.prev, &state->head.hash)) {
        char before[TM_OBJECT_NAME_MAX];
        tm_log_name(state->head.seq, before);
        return tm_err_set(err, TM_E_CORRUPT, "%s: chain broken, it does not follow the %s folded",
                name, before);
    }
    uint64_t full_seq = entry->place.seq - entry->place.back;
    if (!entry->edits.full && full_seq != state->full_seq) {
        return tm_err_set(err, TM_E_CORRUPT,
                "%s: names entry %" PRIu64 " as the newest full, which is %" PRIu64, name, full_seq,
                state->full_seq);
    }
    return TM_OK;
}

/* Is the fold at or behind `seq`, maybe by another handle on the same database? */
static bool is_past(const struct tm_fold *fold, uint64_t seq)
{
    struct tm_fold_state state;
    struct tm_err ignored = {0};
    return fold->ops->state(fold->self, &state, &ignored) == TM_OK && !state.empty &&
           state.head.seq >= seq;
}

enum tm_code tm_log_apply(
        const struct tm_fold *fold, const struct tm_log_entry *entry, struct tm_err *err)
{
    struct tm_err why = {0};
    enum tm_code code = fold->ops->apply(
            fold->self, &entry->place, &entry->hash, entry->bytes, &entry->edits, &why);
    if (code == TM_OK || (code == TM_E_CONFLICT && is_past(fold, entry->place.seq))) {
        return TM_OK;
    }
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(entry->place.seq, name);
    *err = why;
    return tm_err_wrap(err, "%s", name);
}

struct walk {
    struct tm_vault *vault;
    const struct tm_fold *fold;
    struct tm_head base; /* where this refresh began to fold */
    uint64_t reach;      /* entries up to here are known to be there */
    bool vanished;       /* an entry that was listed, or named, is not there */
    struct tm_log_watch *watch;
};

static enum tm_code apply_read(
        const struct walk *walk, const struct tm_log_entry *entry, struct tm_err *err)
{
    enum tm_code code = tm_log_apply(walk->fold, entry, err);
    struct tm_head head = tm_log_head(entry);
    if (code == TM_OK && walk->watch != NULL && same_head(&walk->watch->head, &head)) {
        walk->watch->met = true;
    }
    return code;
}

/* The full that the newest entry is, or names; `read` is room for it. NULL: see `err`. */
static const struct tm_log_entry *find_full(struct walk *walk, const struct tm_log_entry *newest,
        struct tm_log_entry *read, struct tm_err *err)
{
    if (newest->place.back == 0) {
        return newest;
    }
    uint64_t seq = newest->place.seq - newest->place.back;
    enum tm_code code = read_entry(walk->vault, seq, read, err);
    if (code == TM_OK && read->edits.full) {
        return read;
    }
    if (code == TM_OK) {
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name(seq, name);
        (void)tm_err_set(err, TM_E_CORRUPT, "%s: not a full", name);
    } else if (code == TM_E_MISSING) {
        err->code = TM_E_CORRUPT;
        walk->vanished = true;
    }
    (void)tm_err_wrap(err, "newest full of entry %" PRIu64, newest->place.seq);
    return NULL;
}

/* Fold the newest full into an empty fold; it is the walk's base. */
static enum tm_code apply_full(
        struct walk *walk, const struct tm_log_entry *newest, struct tm_err *err)
{
    struct tm_log_entry read = {0};
    const struct tm_log_entry *full = find_full(walk, newest, &read, err);
    enum tm_code code = full != NULL ? apply_read(walk, full, err) : err->code;
    if (full != NULL && code == TM_OK) {
        walk->base = tm_log_head(full);
    }
    tm_edits_done(&read.edits);
    return code;
}

static enum tm_code rolled_back(uint64_t seq, const char *now, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    return tm_err_set(err, TM_E_ROLLED_BACK,
            "%s: the log was rolled back or replaced: the entry folded before is %s", name, now);
}

/* Another object is where the fold's head was. Damage of that one entry is no rollback. */
static enum tm_code other_head(
        struct tm_vault *vault, const struct tm_head *known, struct tm_err *err)
{
    struct tm_log_entry entry = {0};
    struct tm_err why = {0};
    enum tm_code code = read_entry(vault, known->seq, &entry, &why);
    tm_edits_done(&entry.edits);
    if (code != TM_OK && code != TM_E_MISSING) {
        *err = why;
        return code;
    }
    return rolled_back(known->seq, "not the one in the store", err);
}

/*
 * Start an empty fold at the newest full. When `known` is not NULL the fold holds that head, which the
 * log no longer has: then log GC must have gone past it, else the log was rolled back or replaced.
 */
static enum tm_code start_once(struct walk *walk, const struct tm_head *known, struct tm_err *err)
{
    int64_t since_ns = tm_vault_now_ns(walk->vault);
    struct tm_log_span span;
    enum tm_code code = tm_log_list(tm_vault_store(walk->vault), &span, err);
    if (code != TM_OK) {
        return code;
    }
    if (known != NULL && (span.empty || span.newest < known->seq)) {
        return rolled_back(known->seq, "newer than all in the store", err);
    }
    if (span.empty) {
        return tm_err_set(err, TM_E_MISSING, "log/: no entry is there");
    }
    walk->reach = span.newest;

    struct tm_log_entry newest = {0};
    code = read_entry(walk->vault, span.newest, &newest, err);
    if (code == TM_E_MISSING) {
        err->code = code = TM_E_CORRUPT; /* listed, but not there: not "no vault" */
        walk->vanished = true;
    }
    /* Only now is `back` authentic, and only now may what was folded be forgotten. */
    if (code == TM_OK && known != NULL && span.newest - newest.place.back <= known->seq) {
        code = other_head(walk->vault, known, err);
    }
    if (code == TM_OK && known != NULL) {
        code = walk->fold->ops->reset(walk->fold->self, err);
    }
    if (code == TM_OK) {
        code = apply_full(walk, &newest, err);
    }
    if (code == TM_OK) {
        tm_vault_trust(walk->vault, &walk->base, since_ns);
    }
    tm_edits_done(&newest.edits);
    return code;
}

/* Has the log grown since it was listed? Then what vanished may have been removed by log GC. */
static enum tm_code look_for_growth(const struct walk *walk, bool *grown, struct tm_err *err)
{
    struct tm_log_span span;
    TM_TRY(tm_log_list(tm_vault_store(walk->vault), &span, err));
    *grown = !span.empty && span.newest > walk->reach;
    return TM_OK;
}

/* Start, and once more when log GC was quicker than the reading of what was listed: a week lay between. */
static enum tm_code start(struct walk *walk, const struct tm_head *known, struct tm_err *err)
{
    for (int tries = 1;; tries++) {
        walk->vanished = false;
        struct tm_err why = {0};
        enum tm_code code = start_once(walk, known, &why);
        bool again = code == TM_E_CORRUPT && walk->vanished && tries < STARTS_MAX;
        enum tm_code look_code = again ? look_for_growth(walk, &again, err) : TM_OK;
        if (look_code != TM_OK) {
            return look_code;
        }
        if (!again) {
            *err = code == TM_OK ? *err : why;
            return code;
        }
        struct tm_fold_state state;
        look_code = walk->fold->ops->state(walk->fold->self, &state, err);
        if (look_code != TM_OK) {
            return look_code;
        }
        known = state.empty ? NULL : known;
    }
}

/* Having read what follows it: is the fold's head still in the store, or need that not be asked? */
static enum tm_code look_at_head(
        const struct walk *walk, const struct tm_head *head, bool *there, struct tm_err *err)
{
    if (tm_vault_trusts(walk->vault, &walk->base)) {
        *there = true;
        return TM_OK;
    }
    return tm_log_holds(tm_vault_store(walk->vault), head, there, err);
}

/*
 * The entry after the fold's head does not follow it: `why` says so. When that head was taken on trust
 * and is not there any more, all of the log was rolled back or replaced since; else one entry is wrong.
 */
static enum tm_code not_following(
        struct walk *walk, const struct tm_head *head, const struct tm_err *why, struct tm_err *err)
{
    bool there = true;
    TM_TRY(tm_log_holds(tm_vault_store(walk->vault), head, &there, err));
    if (!there) {
        tm_vault_doubt(walk->vault);
        return start(walk, head, err);
    }
    *err = *why;
    return why->code;
}

/*
 * Fold the entry after the fold's head; *end: there is none. When log GC has gone past that head, fold
 * anew from the newest full.
 */
static enum tm_code step(
        struct walk *walk, struct tm_log_entry *entry, bool *end, struct tm_err *err)
{
    struct tm_fold_state state;
    enum tm_code code = walk->fold->ops->state(walk->fold->self, &state, err);
    if (code != TM_OK) {
        return code;
    }
    if (state.empty) {
        return tm_err_set(err, TM_E_CONFLICT, "log/: another handle folds the log anew");
    }
    uint64_t seq = state.head.seq + 1;
    struct tm_err read_err = {0};
    enum tm_code read_code = read_entry(walk->vault, seq, entry, &read_err);
    if (read_code != TM_OK && read_code != TM_E_MISSING) {
        *err = read_err;
        return read_code;
    }
    bool there;
    code = look_at_head(walk, &state.head, &there, err);
    if (code != TM_OK) {
        return code;
    }
    if (!there) {
        return start(walk, &state.head, err);
    }
    *end = read_code == TM_E_MISSING;
    if (*end && seq <= walk->reach) {
        return tm_err_set(err, TM_E_CORRUPT, "%s; later entries are there", read_err.msg);
    }
    if (*end) {
        return TM_OK;
    }
    struct tm_err chain_err = {0};
    if (check_chain(entry, &state, &chain_err) != TM_OK) {
        return not_following(walk, &state.head, &chain_err, err);
    }
    return apply_read(walk, entry, err);
}

static enum tm_code walk_on(struct walk *walk, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    for (bool end = false; code == TM_OK && !end;) {
        struct tm_log_entry entry = {0};
        code = step(walk, &entry, &end, err);
        tm_edits_done(&entry.edits);
    }
    return code;
}

static enum tm_code begin(struct walk *walk, struct tm_err *err)
{
    struct tm_fold_state state;
    enum tm_code code = walk->fold->ops->state(walk->fold->self, &state, err);
    if (code != TM_OK) {
        return code;
    }
    if (state.empty) {
        return start(walk, NULL, err);
    }
    if (!tm_id16_eq(&state.vault_id, tm_vault_id(walk->vault))) {
        return tm_err_set(err, TM_E_ROLLED_BACK,
                "%s: the log was replaced: another vault's was folded before",
                tm_vault_store(walk->vault)->where);
    }
    walk->base = state.head;
    return TM_OK;
}

enum tm_code tm_log_refresh(struct tm_vault *vault, const struct tm_fold *fold,
        struct tm_log_watch *watch, struct tm_err *err)
{
    struct walk walk = {.vault = vault, .fold = fold, .watch = watch};
    int64_t since_ns = tm_vault_now_ns(vault);
    enum tm_code code = begin(&walk, err);
    if (code == TM_OK) {
        code = walk_on(&walk, err);
    }
    struct tm_fold_state state;
    if (code == TM_OK) {
        code = fold->ops->state(fold->self, &state, err);
    }
    if (code == TM_OK) {
        tm_vault_trust(vault, &state.head, since_ns);
    }
    return code;
}

enum tm_code tm_vault_refresh(
        struct tm_vault *vault, const struct tm_fold *fold, struct tm_err *err)
{
    return tm_log_refresh(vault, fold, NULL, err);
}
