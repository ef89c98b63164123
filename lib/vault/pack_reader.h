/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_reader - open a pack by its name and read blocks out of it with ranged gets.
 *
 * Header, footer and index are authenticated when the pack is opened, each frame when its block is
 * read; the SHA-256 of the whole object is scrub's business. Errors name the object and the block.
 *
 * Threads: an open pack is read-only; several threads may read blocks of it, each with its own tools
 * and view.
 */
#ifndef TM_VAULT_PACK_READER_H
#define TM_VAULT_PACK_READER_H

#include "codec/pack.h"
#include "vault/vault.h"

struct tm_pack;

/* `size` is the pack's size as the log knows it; an object of another size is TM_E_CORRUPT. */
enum tm_code tm_pack_open(struct tm_vault *vault, const struct tm_hash *name, uint64_t size,
        struct tm_pack **out, struct tm_err *err) TM_MUST_CHECK;
void tm_pack_close(struct tm_pack *pack);
TM_OWNABLE(struct tm_pack *, tm_pack_close);
const struct tm_pack_index *tm_pack_index(const struct tm_pack *pack); /* borrowed */
const struct tm_hash *tm_pack_hash(const struct tm_pack *pack);
/* The ring's epoch that made the block's tags and proofs. */
uint32_t tm_pack_block_epoch(const struct tm_pack *pack, size_t block);

/* Does the pack itself hold the content of that id? */
bool tm_pack_holds(const struct tm_pack *pack, const struct tm_hash *id);

/* The sealed data keys of the header; borrowed. */
const struct tm_pack_key *tm_pack_keys(const struct tm_pack *pack);

/*
 * Where content is looked for that lies in another pack. `take` gives an open pack that holds the content
 * `id`, which lay in pack `dep` when it was referred to, or in one that took its place since; TM_E_MISSING
 * when there is none. It is given back after the call. Both are called by whoever reads.
 */
struct tm_pack_deps {
    void *self;
    enum tm_code (*take)(void *self, const struct tm_hash *dep, const struct tm_hash *id,
            struct tm_pack **out, struct tm_err *err);
    void (*give)(void *self, struct tm_pack *pack);
};
/* Before the first block is read; copied. Without it the pack `dep` is opened anew for each call. */
void tm_pack_set_deps(struct tm_pack *pack, const struct tm_pack_deps *deps);

/*
 * Blocks will be read in the order of the index by one thread: a read that begins where the one before it ended
 * fetches up to `window_bytes`, so that a pack takes few requests. Others may read it meanwhile, at their own cost.
 */
void tm_pack_read_ahead(struct tm_pack *pack, size_t window_bytes);

/* Read, decrypt and check block `block`, and the content it refers to. */
enum tm_code tm_pack_read_block(struct tm_pack *pack, size_t block, struct tm_block_tools *tools,
        struct tm_block_view *view, struct tm_err *err) TM_MUST_CHECK;

#endif
