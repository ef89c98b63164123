/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault - open a vault, follow its log, commit to it.
 *
 * The log is the truth: state = fold of log/0 .. log/n, and a commit is ONE conditional create of
 * log/<n+1> that carries the hash of log/<n>. There is no lock and no lease; whoever loses the race
 * folds the winner's entry and builds its own anew (docs/format.md, "Commit").
 *
 * Errors name the object ("log/0000000000000007: ...").
 *
 * Threads: a vault may be used by several threads, each with a fold of its own.
 */
#ifndef TM_VAULT_VAULT_H
#define TM_VAULT_VAULT_H

#include "codec/entry.h"
#include "codec/keys.h"
#include "store/store.h"
#include "vault/fold.h"

struct tm_vault;

struct tm_vault_params {
    struct tm_block_params blocks;
    bool light_kdf; /* tests only: a passphrase slot that opens quickly */
};

/*
 * Make a vault: probe the store, create key/<slot> and then log/0 (its last step: without log/0 there
 * is no vault, and init may run again). TM_E_EXISTS when there is one.
 */
enum tm_code tm_vault_init(struct tm_store *store, const struct tm_secret *secret,
        const struct tm_vault_params *params, struct tm_err *err) TM_MUST_CHECK;

/* Is there a vault (log/0 or any later entry)? */
enum tm_code tm_vault_exists(struct tm_store *store, bool *out, struct tm_err *err) TM_MUST_CHECK;

/* The id in the clear headers of the log's oldest and newest entry, without a key; TM_E_MISSING. */
enum tm_code tm_vault_find_id(
        struct tm_store *store, struct tm_id16 *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Open: of at most 32 slots those that `secret` opens, and of them the one with the newest key ring
 * (vault/slots.h). TM_E_MISSING no vault there; TM_E_KEY no slot opens (the message gives the number
 * of slots tried and, of a key file, its fingerprint). `writer` is
 * "host/instance", written into entries. The store is borrowed and must outlive the vault.
 */
enum tm_code tm_vault_open(struct tm_store *store, const struct tm_secret *secret,
        const char *writer, struct tm_vault **out, struct tm_err *err) TM_MUST_CHECK;
void tm_vault_close(struct tm_vault *vault);
TM_OWNABLE(struct tm_vault *, tm_vault_close);

struct tm_store *tm_vault_store(const struct tm_vault *vault);
const struct tm_ring *tm_vault_ring(const struct tm_vault *vault);
const struct tm_id16 *tm_vault_id(const struct tm_vault *vault);
const char *tm_vault_slot(const struct tm_vault *vault); /* "key/...": what the secret opened */
/*
 * TM_E_KEY, and a message of its own, when the vault was opened by a writer's slot: what such a key
 * writes it cannot read. To be asked before a restore or a verification begins.
 */
enum tm_code tm_vault_need_read(const struct tm_vault *vault, struct tm_err *err) TM_MUST_CHECK;
const char *tm_vault_writer(const struct tm_vault *vault);

/*
 * Fold what the log has beyond the fold's head. An empty fold starts at the newest full (`back` of the
 * newest entry names it). TM_E_CORRUPT: an entry is damaged, or the chain is broken; the fold stays as
 * far as it came. A log that is shorter than the fold's head, has another entry there, or is another vault's, is
 * refused ("rolled back or replaced"): TM_E_ROLLED_BACK, the fold unchanged.
 */
enum tm_code tm_vault_refresh(
        struct tm_vault *vault, const struct tm_fold *fold, struct tm_err *err) TM_MUST_CHECK;

/*
 * Build the edits of a commit on the fold as it is now: called again after each lost race, with the
 * fold refreshed. Stream and point ids are the next free ones of that fold. TM_E_CONFLICT gives the
 * commit up (my ranges are no longer contiguous with the watermarks).
 */
typedef enum tm_code (*tm_vault_build)(void *arg, struct tm_edits *out, struct tm_err *err);

/*
 * Commit: build, create log/<n+1>, check the predecessor's hash, apply to the fold. When the deltas
 * since the last full have grown beyond max(1 MiB, its size) or 1,024 entries, a full is written
 * behind it (a failure of that is not a failure of the commit). *out (may be NULL) is the new head.
 * TM_E_UNKNOWN: the answer was lost and the retries' budget is spent; the next refresh decides.
 */
enum tm_code tm_vault_commit(struct tm_vault *vault, const struct tm_fold *fold,
        tm_vault_build build, void *arg, struct tm_head *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * A head as people see it, "SEQ:HASH" (decimal, 64 hex digits): told at each commit, asked for by
 * expect_head. Parsing: TM_E_USAGE.
 */
enum { TM_HEAD_TEXT_MAX = 20 + 1 + 64 + 1 };
char *tm_head_format(const struct tm_head *head, char out[TM_HEAD_TEXT_MAX]); /* gives `out` */
enum tm_code tm_head_parse(const char *text, struct tm_head *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Is the store's log at least as new as `expected`, a head known from elsewhere, and the same up to
 * there? A host without a catalog has no other way to tell a log that was cut off at its end. Lists
 * the log and reads one entry. TM_E_ROLLED_BACK if not. An entry that log GC has removed cannot be
 * compared; then what is older than all of the log is taken as seen.
 */
enum tm_code tm_vault_expect_head(
        struct tm_store *store, const struct tm_head *expected, struct tm_err *err) TM_MUST_CHECK;

/* "pack/<2 hex>/<64 hex>" and "log/<16 hex>" of a hash or number. */
void tm_pack_name(const struct tm_hash *hash, char out[TM_OBJECT_NAME_MAX]);
void tm_log_name(uint64_t seq, char out[TM_OBJECT_NAME_MAX]);

#endif
