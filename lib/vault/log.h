/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - what init, open, refresh and commit share: the objects of the log. For this folder's files
 * and its tests only.
 *
 * Threads: as vault.h.
 */
#ifndef TM_VAULT_LOG_H
#define TM_VAULT_LOG_H

#include "vault/vault.h"

/* Objects ---------------------------------------------------------------------------------- */

/* "<kind>/<16 hex>" of the names; false: some other name. */
bool tm_log_parse_name(const char *name, const char *kind, uint64_t *out);

/* The entries in the store; with holes where log GC is at work. */
struct tm_log_span {
    bool empty; /* no entry at all: the rest is zero */
    uint64_t oldest;
    uint64_t newest;
};
enum tm_code tm_log_list(
        struct tm_store *store, struct tm_log_span *out, struct tm_err *err) TM_MUST_CHECK;

/* The vault id in the clear header of an entry: not yet authenticated. */
enum tm_code tm_log_peek_vault(struct tm_store *store, uint64_t seq, struct tm_id16 *out,
        struct tm_err *err) TM_MUST_CHECK;

/* Is log/<seq> there, with that hash? */
enum tm_code tm_log_holds(struct tm_store *store, const struct tm_head *head, bool *out,
        struct tm_err *err) TM_MUST_CHECK;

/* Pauses between tries, each twice as long as the one before, until a budget is spent. */
struct tm_log_patience {
    int64_t deadline_ns;
    int64_t pause_ms;
};
struct tm_log_patience tm_log_patience(int64_t budget_ms);
bool tm_log_wait(struct tm_log_patience *patience); /* false, at once, when it is spent */

/*
 * Create an object, trying again with the same bytes for up to `budget_ms` while the answer is lost
 * or the store fails. *mine: does the name hold these bytes now? (else another's). TM_E_UNKNOWN when
 * the budget is spent: the object may or may not be there, now or later.
 */
enum tm_code tm_log_create(struct tm_store *store, const char *name, struct tm_slice bytes,
        int64_t budget_ms, bool *mine, struct tm_err *err) TM_MUST_CHECK;

/* tm_vault_open() of the vault with that id, whatever log/ holds: for a vault that has lost it. */
enum tm_code tm_vault_open_as(struct tm_store *store, const struct tm_secret *secret,
        const struct tm_id16 *id, const char *writer, struct tm_vault **out,
        struct tm_err *err) TM_MUST_CHECK;

/* Folding ---------------------------------------------------------------------------------- */

struct tm_log_entry {
    struct tm_entry_place place;
    struct tm_hash hash; /* of the object, */
    uint64_t bytes;      /* and its size */
    struct tm_edits edits;
};
struct tm_head tm_log_head(const struct tm_log_entry *entry);

/* Apply to the fold; success too when another handle on the same database has done it already. */
enum tm_code tm_log_apply(const struct tm_fold *fold, const struct tm_log_entry *entry,
        struct tm_err *err) TM_MUST_CHECK;

/* An entry that may be met while the log is folded. */
struct tm_log_watch {
    struct tm_head head;
    bool met; /* it was folded, as part of the chain */
};
/* tm_vault_refresh(), with an eye on an entry; `watch` may be NULL. */
enum tm_code tm_log_refresh(struct tm_vault *vault, const struct tm_fold *fold,
        struct tm_log_watch *watch, struct tm_err *err) TM_MUST_CHECK;

/* Write a full behind the fold's head. Losing the race for that number is success too. */
enum tm_code tm_log_write_full(
        struct tm_vault *vault, const struct tm_fold *fold, struct tm_err *err) TM_MUST_CHECK;

/* State of the vault that refresh and commit keep ------------------------------------------- */

enum { TM_LOG_RETRY_MS = 60 * 1000 };

/* How long creates and post-checks are tried; TM_LOG_RETRY_MS unless set. Before any commit. */
void tm_vault_set_retry_ms(struct tm_vault *vault, int64_t budget_ms);
int64_t tm_vault_retry_ms(const struct tm_vault *vault);

/*
 * An entry that was the head of the log, or its newest full, within the last day. Log GC removes
 * nothing above it: what it removes is below a full that is a week old. So the number after it holds
 * what was first written there. Of any other entry it must be seen that it is still there, after what
 * follows it was read: GC goes from the oldest up, so then nothing above it was removed either, and
 * no sleeping writer can have put a stale entry there.
 */
bool tm_vault_trusts(struct tm_vault *vault, const struct tm_head *head);
void tm_vault_trust(struct tm_vault *vault, const struct tm_head *head, int64_t since_ns);
void tm_vault_doubt(struct tm_vault *vault);           /* trust no entry */
int64_t tm_vault_now_ns(const struct tm_vault *vault); /* CLOCK_BOOTTIME: a laptop's sleep counts */
void tm_vault_set_clock(struct tm_vault *vault, int64_t (*now_ns)(void)); /* for tests */

/* The wall clock that entries are dated by; tm_now_ms() unless set, for tests. */
int64_t tm_vault_wall_ms(const struct tm_vault *vault);
void tm_vault_set_wall(struct tm_vault *vault, int64_t (*now_ms)(void));

/*
 * A pack whose put began at `put_ns` (tm_vault_now_ns), and is not committed yet. Whoever lists the
 * store takes an object that no entry names for an orphan after a day, so an entry that adds a pack
 * put longer ago than that is given up: TM_E_CONFLICT.
 */
void tm_vault_note_put(struct tm_vault *vault, const struct tm_hash *pack, int64_t put_ns);
enum tm_code tm_vault_check_puts(
        struct tm_vault *vault, const struct tm_edits *edits, struct tm_err *err) TM_MUST_CHECK;
/* The packs of an entry that was committed need not be remembered any more. */
void tm_vault_forget_puts(struct tm_vault *vault, const struct tm_edits *edits);

#endif
