/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold - where the vault puts what it folds out of the log.
 *
 * The vault keeps no state: the state is the fold of its log, and this table of functions is the
 * place where it is kept (lib/catalog: SQLite). Deleting that place loses nothing.
 *
 * Threads: an implementation belongs to one thread at a time; two of them over one database may work
 * side by side, and then see each other's applied entries.
 */
#ifndef TM_VAULT_FOLD_H
#define TM_VAULT_FOLD_H

#include "base/err.h"
#include "codec/entry.h"

struct tm_head {
    uint64_t seq;
    struct tm_hash hash; /* SHA-256 of log/<seq> */
};

struct tm_fold_state {
    bool empty; /* nothing folded yet: the rest is zero */
    struct tm_id16 vault_id;
    struct tm_head head;
    uint64_t full_seq;    /* the newest full folded or behind us */
    uint64_t full_bytes;  /* object size of that full */
    uint64_t delta_bytes; /* object bytes of the entries after it */
};

struct tm_fold_ops {
    enum tm_code (*state)(void *self, struct tm_fold_state *out, struct tm_err *err);
    /*
     * Apply one entry in one transaction, by the fold rule of docs/format.md; `object_bytes` is its
     * size. TM_E_CONFLICT when the head is not seq - 1 (unless the entry is a full and the fold is
     * empty, or a full whose state is what the fold holds); TM_E_CORRUPT when the entry breaks the
     * fold rule: then nothing has changed.
     */
    enum tm_code (*apply)(void *self, const struct tm_entry_place *place,
            const struct tm_hash *hash, uint64_t object_bytes, const struct tm_edits *edits,
            struct tm_err *err);
    /*
     * Would apply() take the entry? Same codes, nothing changed. Asked before an entry is created: one
     * that broke the fold rule would stand in the log for ever, and every fold would refuse it.
     */
    enum tm_code (*check)(void *self, const struct tm_entry_place *place,
            const struct tm_edits *edits, struct tm_err *err);
    /*
     * Have others overtaken the edits since they were planned? TM_E_CONFLICT when a pack they add was
     * swept, dropped or taken into use, a pack that a fresh one of theirs refers to was dropped or merged, a pack
     * they drop is not there any more, one they sweep is in use, or a point they remove is gone or held. Asked
     * before check(): what a lost race explains is no breach of the fold rule. NULL: never.
     */
    enum tm_code (*overtaken)(
            void *self, const struct tm_edits *edits, int64_t now_ms, struct tm_err *err);
    /* The whole state as the edits of a full (unsorted lists are sorted by the caller). */
    enum tm_code (*dump)(void *self, int64_t now_ms, struct tm_edits *out, struct tm_err *err);
    /* Forget everything folded: the log on the store contradicts it and is folded anew. */
    enum tm_code (*reset)(void *self, struct tm_err *err);
};

struct tm_fold {
    void *self;
    const struct tm_fold_ops *ops;
};

#endif
