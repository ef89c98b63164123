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

/*
 * Read, decrypt and check block `block`. A foreign block is TM_E_UNSUPPORTED unless its content lies
 * in this pack or one named in its deps (then that one is opened for the call).
 */
enum tm_code tm_pack_read_block(struct tm_pack *pack, size_t block, struct tm_block_tools *tools,
        struct tm_block_view *view, struct tm_err *err) TM_MUST_CHECK;

#endif
