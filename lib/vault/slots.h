/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots - the key slots of a vault: who may open it, and with which keys new data is written.
 *
 * A slot is a write-once object key/<16 hex> that holds the key ring under one secret. What no key is
 * needed for is in its clear header: full or writer, passphrase or key file, and, by its length, how
 * many epochs its ring has. So the newest ring can be told without opening any.
 *
 * Rotation appends an epoch. Slots of secrets that are not at hand cannot be written anew, so the
 * caller names every secret that shall open the new ring; their slots are made first, all old ones
 * are removed last. The first new slot has a name derived from the old ring, which makes its create
 * the one and only beginning of an epoch: two rotations at once, or one taken up with another secret,
 * can never give one epoch two keys. A kill in between leaves slots of both rings, and whoever opens
 * both takes the newer. New slots are never taken back: a daemon may have written with their epoch.
 *
 * Threads: functions on plain values; a list belongs to its caller.
 */
#ifndef TM_VAULT_SLOTS_H
#define TM_VAULT_SLOTS_H

#include "base/vec.h"
#include "vault/vault.h"

enum {
    TM_SLOTS_MAX = 32,        /* tried when a vault is opened, in name order */
    TM_SLOTS_SEEN_MAX = 1024, /* listed; a folder of more is refused */
};

struct tm_slot {
    char name[TM_OBJECT_NAME_MAX];
    int64_t stored_ms;            /* by the store's clock */
    bool sound;                   /* else it opens nothing: another vault's, damaged, too new */
    struct tm_slot_info info;     /* when it is sound */
    enum tm_code why;             /* when it is not, with */
    char trouble[TM_ERR_MSG_MAX]; /* the reason in words */
};
typedef TM_VEC(struct tm_slot) tm_slot_list;

/* All slots in name order; no key is needed. `vault_id`: whose slots are sound ones. */
enum tm_code tm_slots_list(struct tm_store *store, const struct tm_id16 *vault_id,
        tm_slot_list *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Add a slot for `secret`, with all keys or, `writer`, without the secret ones; it is read back and
 * opened before this returns. `name` gets its name. TM_E_LIMIT: there are TM_SLOTS_MAX. TM_E_KEY: a
 * ring without secret keys cannot make a full slot. TM_E_EXISTS: the secret opens such a slot.
 * TM_E_CONFLICT: another slot holds a newer ring than the vault was opened with.
 */
enum tm_code tm_slots_add(struct tm_vault *vault, const struct tm_secret *secret, bool writer,
        bool light_kdf, char name[TM_OBJECT_NAME_MAX], struct tm_err *err) TM_MUST_CHECK;

/*
 * Remove a slot. TM_E_MISSING no such slot. TM_E_CONFLICT when it would leave no full slot with as
 * many epochs; or when it is the one the vault was opened with and `proof` (NULL: none) opens no
 * other full one with as many. TM_E_VERSION: the slot is of a newer format.
 */
enum tm_code tm_slots_remove(struct tm_vault *vault, const char *name,
        const struct tm_secret *proof, struct tm_err *err) TM_MUST_CHECK;

/* One secret that shall open the new ring. */
struct tm_slot_grant {
    const struct tm_secret *secret;
    bool writer;
    bool light_kdf; /* tests only */
};

struct tm_rotation {
    uint32_t epoch; /* the new one */
    size_t made;    /* slots of the new ring that are there and open */
    size_t removed; /* of the old one */
};

/*
 * Begin a new epoch: make a slot for each grant (one of them full), see that each opens, then remove
 * every slot of the old ring. *out is kept up to date, also on failure: what is not done then is done
 * by rotating again, with a secret that opens the newest slot.
 * TM_E_KEY the vault was opened without secret keys; TM_E_USAGE no full grant; TM_E_LIMIT too many
 * slots; TM_E_CONFLICT another slot holds a newer ring, or another rotation has begun.
 */
enum tm_code tm_slots_rotate(struct tm_vault *vault, const struct tm_slot_grant *grants,
        size_t count, struct tm_rotation *out, struct tm_err *err) TM_MUST_CHECK;

/* For vault.c ------------------------------------------------------------------------------ */

/*
 * The ring of the slot that `secret` opens, of the first TM_SLOTS_MAX: of several the one with the
 * most epochs, and of those one with secret keys. `name` gets the slot's name. Errors as
 * tm_vault_open() says.
 */
enum tm_code tm_slots_open(struct tm_store *store, const struct tm_secret *secret,
        const struct tm_id16 *vault_id, struct tm_ring **out, char name[TM_OBJECT_NAME_MAX],
        struct tm_err *err) TM_MUST_CHECK;

/* Create a slot object of these bytes under a random name, given in `name`. */
enum tm_code tm_slots_create(struct tm_store *store, struct tm_slice slot, int64_t retry_ms,
        char name[TM_OBJECT_NAME_MAX], struct tm_err *err) TM_MUST_CHECK;

#endif
