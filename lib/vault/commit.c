/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/log.h"

#include <inttypes.h>

#include "base/fault.h"
#include "base/hash.h"

enum {
    RACES_MAX = 1000, /* in a row: someone always wins, so this is no livelock but a broken store */
    FULL_BYTES_MIN = 1 << 20,
    FULL_ENTRIES = 1024,
};

/* One try of an entry: what is written, where, and whether it counts. */
struct attempt {
    struct tm_vault *vault;
    const struct tm_fold *fold;
    struct tm_log_entry entry;
    struct tm_buf object;
    bool done; /* committed and folded */
};

static void attempt_clear(struct attempt *attempt)
{
    tm_edits_done(&attempt->entry.edits);
    attempt->entry.edits = (struct tm_edits){0};
    tm_buf_done(&attempt->object);
}

/* Sign and encode the edits to stand behind `head`. */
static enum tm_code encode(
        struct attempt *attempt, const struct tm_fold_state *state, struct tm_err *err)
{
    struct tm_log_entry *entry = &attempt->entry;
    entry->edits.writer = tm_slice_str(tm_vault_writer(attempt->vault));
    tm_edits_sort(&entry->edits);
    uint64_t seq = state->head.seq + 1;
    tm_assert(seq - state->full_seq <= UINT32_MAX);
    entry->place = (struct tm_entry_place){
            .vault_id = *tm_vault_id(attempt->vault),
            .seq = seq,
            .back = entry->edits.full ? 0 : (uint32_t)(seq - state->full_seq),
            .prev = state->head.hash,
    };
    enum tm_code code = tm_entry_encode(
            &entry->edits, &entry->place, tm_vault_ring(attempt->vault), &attempt->object, err);
    if (code != TM_OK) {
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name(seq, name);
        return tm_err_wrap(err, "%s", name);
    }
    entry->bytes = attempt->object.len;
    entry->hash = tm_sha256_of(tm_buf_slice(&attempt->object));
    return TM_OK;
}

/*
 * The entry was created: does it stand behind the one it was built on? A writer that slept for a week
 * finds the number free again that log GC removed: it wrote into a hole and has committed nothing.
 * Another sleeper's stale entry may stand before it, so the hash is compared, not the existence.
 */
static enum tm_code post_check(const struct attempt *attempt, bool *same, struct tm_err *err)
{
    const struct tm_entry_place *place = &attempt->entry.place;
    struct tm_head before = {.seq = place->seq - 1, .hash = place->prev};
    struct tm_log_patience patience = tm_log_patience(tm_vault_retry_ms(attempt->vault));
    if (TM_FAULT_FAILS("vault.commit.unchecked")) { /* the model shows what becomes of that */
        *same = true;
        return TM_OK;
    }
    for (;;) {
        struct tm_err why = {0};
        enum tm_code code = tm_log_holds(tm_vault_store(attempt->vault), &before, same, &why);
        if (code == TM_OK) {
            return TM_OK;
        }
        if (!tm_code_retryable(code) || !tm_log_wait(&patience)) {
            char name[TM_OBJECT_NAME_MAX];
            tm_log_name(place->seq, name);
            return tm_err_set(err, TM_E_UNKNOWN, "%s: created, but not checked: %s", name, why.msg);
        }
    }
}

/* Would the fold take the entry? The model shows what becomes of those who do not ask. */
static enum tm_code check_fold(const struct attempt *attempt, struct tm_err *err)
{
    if (TM_FAULT_FAILS("vault.commit.unseen")) {
        return TM_OK;
    }
    return attempt->fold->ops->check(
            attempt->fold->self, &attempt->entry.place, &attempt->entry.edits, err);
}

/*
 * Give up what others have overtaken while it was planned, or between two tries: a pack referred to that
 * is gone, a pack of this entry that was swept, a point to be removed that is held by now.
 */
static enum tm_code check_overtaken(const struct attempt *attempt, struct tm_err *err)
{
    const struct tm_edits *edits = &attempt->entry.edits;
    const struct tm_fold *fold = attempt->fold;
    if (TM_FAULT_FAILS("vault.commit.unseen")) {
        return TM_OK;
    }
    enum tm_code code = tm_vault_check_puts(attempt->vault, edits, err);
    if (code == TM_OK && fold->ops->overtaken != NULL) {
        code = fold->ops->overtaken(fold->self, edits, edits->time_ms, err);
    }
    return code;
}

/* Create the encoded entry, check it, apply it. attempt->done stays false when it does not count. */
static enum tm_code publish(struct attempt *attempt, struct tm_err *err)
{
    int64_t since_ns = tm_vault_now_ns(attempt->vault);
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(attempt->entry.place.seq, name);
    bool mine;
    enum tm_code code = check_fold(attempt, err);
    if (code == TM_E_CONFLICT) { /* another handle on the same database has folded an entry */
        *err = (struct tm_err){0};
        return TM_OK;
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s: not written", name);
    }
    code = tm_log_create(tm_vault_store(attempt->vault), name, tm_buf_slice(&attempt->object),
            tm_vault_retry_ms(attempt->vault), &mine, err);
    if (code != TM_OK || !mine) {
        return code;
    }
    TM_FAULT("vault.commit.created");
    if (attempt->entry.edits.full) {
        TM_FAULT("vault.full.created");
    }

    bool same;
    code = post_check(attempt, &same, err);
    if (code != TM_OK) {
        return code;
    }
    if (!same) {
        tm_vault_doubt(attempt->vault);
        return TM_OK;
    }
    TM_FAULT("vault.commit.checked");

    code = tm_log_apply(attempt->fold, &attempt->entry, err);
    if (code != TM_OK) {
        return tm_err_wrap(err, "committed, but not folded");
    }
    TM_FAULT("vault.commit.applied");
    struct tm_head head = tm_log_head(&attempt->entry);
    tm_vault_trust(attempt->vault, &head, since_ns);
    attempt->done = true;
    return TM_OK;
}

static enum tm_code try_commit(
        struct attempt *attempt, tm_vault_build build, void *arg, struct tm_err *err)
{
    struct tm_fold_state state;
    enum tm_code code = attempt->fold->ops->state(attempt->fold->self, &state, err);
    if (code != TM_OK) {
        return code;
    }
    code = build(arg, &attempt->entry.edits, err);
    if (code != TM_OK) {
        return code;
    }
    tm_assert(!attempt->entry.edits.full);
    attempt->entry.edits.time_ms = tm_vault_wall_ms(attempt->vault);
    code = check_overtaken(attempt, err);
    if (code == TM_OK) {
        code = encode(attempt, &state, err);
    }
    if (code != TM_OK) {
        return code;
    }
    TM_FAULT("vault.commit.built");
    return publish(attempt, err);
}

enum tm_code tm_log_write_full(
        struct tm_vault *vault, const struct tm_fold *fold, struct tm_err *err)
{
    struct attempt attempt = {.vault = vault, .fold = fold};
    struct tm_edits *edits = &attempt.entry.edits;
    /* The state before the dump: when another handle on the same database folds an entry between the
     * two, the number is taken, and the create below fails. */
    struct tm_fold_state state;
    enum tm_code code = fold->ops->state(fold->self, &state, err);
    if (code != TM_OK) {
        return code;
    }
    int64_t now_ms = tm_vault_wall_ms(vault);
    code = fold->ops->dump(fold->self, now_ms, edits, err);
    if (code == TM_OK) {
        edits->full = true;
        edits->time_ms = now_ms;
        code = encode(&attempt, &state, err);
    }
    if (code == TM_OK) {
        code = publish(&attempt, err);
    }
    attempt_clear(&attempt);
    return code;
}

static bool wants_full(const struct tm_fold_state *state)
{
    uint64_t bound = state->full_bytes > FULL_BYTES_MIN ? state->full_bytes : FULL_BYTES_MIN;
    return state->delta_bytes > bound || state->head.seq - state->full_seq >= FULL_ENTRIES;
}

/* Behind a commit that stands whatever becomes of this; the next commit tries again. */
static void write_full_if_due(struct tm_vault *vault, const struct tm_fold *fold)
{
    struct tm_fold_state state;
    struct tm_err ignored = {0};
    if (fold->ops->state(fold->self, &state, &ignored) == TM_OK && wants_full(&state)) {
        (void)!tm_log_write_full(vault, fold, &ignored);
    }
}

enum tm_code tm_vault_commit(struct tm_vault *vault, const struct tm_fold *fold,
        tm_vault_build build, void *arg, struct tm_head *out, struct tm_err *err)
{
    enum tm_code code = tm_vault_refresh(vault, fold, err);
    struct attempt attempt = {.vault = vault, .fold = fold};
    int races = 0;
    while (code == TM_OK && !attempt.done) {
        if (races++ == RACES_MAX) {
            code = tm_err_set(err, TM_E_BUSY, "log/: lost %d races for the next entry", RACES_MAX);
            break;
        }
        attempt_clear(&attempt);
        code = try_commit(&attempt, build, arg, err);
        if (code == TM_OK && !attempt.done) {
            /* Lost the race, or wrote into a hole. Or neither, and an answer was damaged on its way:
             * then the refresh meets the very entry. */
            struct tm_log_watch watch = {.head = tm_log_head(&attempt.entry)};
            code = tm_log_refresh(vault, fold, &watch, err);
            attempt.done = watch.met;
        }
    }
    struct tm_head head = tm_log_head(&attempt.entry);
    if (code == TM_OK) {
        tm_vault_forget_puts(vault, &attempt.entry.edits);
    }
    attempt_clear(&attempt);
    if (code != TM_OK) {
        return code;
    }
    write_full_if_due(vault, fold);
    if (out != NULL) {
        *out = head;
    }
    return TM_OK;
}
