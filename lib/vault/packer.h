/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packer - turn filled blocks into durable packs, with the sealing done by a pool of threads.
 *
 * A block gets its pack and nonce counters when it is put, in the order of putting; sealers work side
 * by side; frames lie in the pack in the order they were finished. A pack closes when it has
 * pack.target bytes; then index and footer follow, its name is its SHA-256, and it is put into the
 * store. Packs are numbered in the order they were begun: the blocks of one partition, put in offset
 * order, thus never lie in a later pack before an earlier one, and a prefix of the packs holds a
 * prefix of every partition. That is what a progress commit rests on.
 *
 * A block that was closed by a cut has a content id (codec/block.h). It is sealed without its content, which
 * is then named as that of another pack, when that content lies in (the first that applies)
 * - the pack the block goes into;
 * - an earlier pack of this packer that is stored, so that its name is known. Such a pack is given by the same
 *   cut or an earlier one. It must be committed in the same entry or an earlier one, even where nobody wants its own
 *   runs any more: see `deps` below;
 * - a pack that the look-up names: a committed one.
 * Anything else would be a name nobody knows yet, or a promise nobody keeps.
 *
 * Memory: blocks in flight draw on `budget_bytes`; put waits when it is used up.
 *
 * Threads: any may put; one at a time may cut.
 */
#ifndef TM_VAULT_PACKER_H
#define TM_VAULT_PACKER_H

#include <stdatomic.h>

#include "base/pool.h"
#include "codec/pack.h"
#include "vault/content_lookup.h"
#include "vault/vault.h"

struct tm_packer;

struct tm_packer_options {
    struct tm_vault *vault;
    struct tm_pool *sealers;
    struct tm_block_params params;
    int level;                       /* zstd, 0: none */
    size_t budget_bytes;             /* of blocks in flight; at least one block goes through */
    struct tm_content_lookup lookup; /* `find` NULL: only this packer's own packs are referred to */
};

/* What a stream number of the blocks means; copied. Add before the first block that carries it. */
struct tm_packer *tm_packer_new(const struct tm_packer_options *options);
/* Waits for sealers at work, drops what was not taken by a cut. */
void tm_packer_free(struct tm_packer *packer);
TM_OWNABLE(struct tm_packer *, tm_packer_free);
void tm_packer_add_stream(struct tm_packer *packer, uint32_t stream, struct tm_slice cluster_id,
        struct tm_slice topic, uint32_t incarnation);

/*
 * Hand over a block (ownership moves, also on failure). Waits for room. Once a block or pack has
 * failed, every later call fails with that first failure.
 */
enum tm_code tm_packer_put(
        struct tm_packer *packer, struct tm_block *block, struct tm_err *err) TM_MUST_CHECK;

/* A run as a block held it, with the tail of its last record; in the order the blocks were put. */
struct tm_packed_run {
    struct tm_run run; /* `stream` is the caller's number */
    struct tm_tail tail;
};

typedef TM_VEC(struct tm_hash) tm_hash_list;

struct tm_packed {
    uint64_t number; /* of this packer's packs, from 1, as they were begun */
    struct tm_hash name;
    uint64_t size;
    int64_t stored_ms;
    TM_VEC(struct tm_packed_run) runs;
    tm_hash_list deps;          /* packs it refers to, sorted; without them it cannot be read */
    tm_hash_list ids;           /* of the content it holds itself */
    int64_t deduplicated_bytes; /* of records whose content was not stored again */
};
typedef TM_VEC(struct tm_packed) tm_packed_list;
void tm_packed_done(struct tm_packed *packed);
void tm_packed_list_done(tm_packed_list *list);

/*
 * Close the open pack, wait until everything put before this call is durable, and append the packs
 * that no earlier cut gave. Blocks put meanwhile by other threads go to a new pack.
 */
enum tm_code tm_packer_cut(
        struct tm_packer *packer, tm_packed_list *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * The ids of the packs up to this number need not be remembered: the look-up knows them, or nobody shall
 * refer to them. Packs that are being made may already refer to them.
 */
void tm_packer_settle(struct tm_packer *packer, uint64_t number);

size_t tm_packer_stored_bytes(const struct tm_packer *packer); /* of finished packs, so far */
/* Bytes put since the last cut: what a crash now would cost. */
size_t tm_packer_pending_bytes(const struct tm_packer *packer);

#endif
