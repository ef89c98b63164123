/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_ids - hashes of a run, each with a number: which content lies in which of its packs. For this
 * folder's files and their tests only.
 *
 * The hashes are SHA-256 or keyed BLAKE2b, so their bytes are spread as they are. Threads: one at a time.
 */
#ifndef TM_VAULT_OWN_IDS_H
#define TM_VAULT_OWN_IDS_H

#include "base/own.h"
#include "base/slice.h"
#include "base/vec.h"

struct tm_own_id {
    struct tm_hash id;
    uint64_t number; /* 0: a free slot */
};

/* A zeroed struct is empty. */
struct tm_own_ids {
    struct tm_own_id *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};
void tm_own_ids_done(struct tm_own_ids *ids);

/* Note `number` (at least 1) for the id, in place of what was noted before. */
void tm_own_ids_add(struct tm_own_ids *ids, const struct tm_hash *id, uint64_t number);
/* The number noted; 0: none. */
uint64_t tm_own_ids_find(const struct tm_own_ids *ids, const struct tm_hash *id);
/* Forget all with a number up to `last`. */
void tm_own_ids_forget(struct tm_own_ids *ids, uint64_t last);

/* Content ids with the number of the pack they lie in, and the names of those packs. Zeroed: empty. */
struct tm_own_pack {
    uint64_t number;
    struct tm_hash name;
};
struct tm_own_packs {
    struct tm_own_ids ids;
    TM_VEC(struct tm_own_pack) named; /* few: what is stored and not yet forgotten */
};
void tm_own_packs_done(struct tm_own_packs *packs);
void tm_own_packs_name(struct tm_own_packs *packs, uint64_t number, const struct tm_hash *name);
/* The name of a pack, borrowed until the next call; NULL: it has none yet, or is forgotten. */
const struct tm_hash *tm_own_packs_name_of(const struct tm_own_packs *packs, uint64_t number);
void tm_own_packs_forget(struct tm_own_packs *packs, uint64_t last); /* names and ids up to it */

#endif
