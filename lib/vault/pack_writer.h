/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack_writer - one pack from its header to its name, in a spool. For this folder's files only.
 *
 * Frames are placed (their offsets given out) one block at a time, and written side by side; the
 * order of the blocks in the index is the order of placing, so offsets only grow. The name is made
 * from what lies in the spool at the end, read back in order.
 *
 * Threads: _place under the owner's lock; _write by many at once; the rest by one.
 */
#ifndef TM_VAULT_PACK_WRITER_H
#define TM_VAULT_PACK_WRITER_H

#include "codec/pack.h"
#include "vault/vault.h"

struct tm_pack_writer;

/* Open a spool, make a data key, write the header. */
enum tm_code tm_pack_writer_open(
        struct tm_vault *vault, struct tm_pack_writer **out, struct tm_err *err) TM_MUST_CHECK;
void tm_pack_writer_free(struct tm_pack_writer *writer); /* drops the spool */
TM_OWNABLE(struct tm_pack_writer *, tm_pack_writer_free);

/* The data key is number 0 of the header. */
const struct tm_data_key *tm_pack_writer_key(const struct tm_pack_writer *writer);
uint64_t tm_pack_writer_bytes(const struct tm_pack_writer *writer); /* placed so far */

/*
 * The number by which blocks refer to a pack until this one is finished, at least 1. Under the owner's lock.
 * Then `info.dep` of what is placed is such a number, or 0: this pack.
 */
uint32_t tm_pack_writer_dep(struct tm_pack_writer *writer, const struct tm_hash *pack);
/* The packs referred to; sorted once finished. Borrowed. */
const struct tm_hash *tm_pack_writer_deps(const struct tm_pack_writer *writer, size_t *count);

/*
 * Give the frames their offsets and put the block's row into the index, its runs under `stream` (a
 * number of this pack). The row moves out of `sealed`; the ciphertexts stay there. Gives the offset
 * of the first frame.
 */
uint64_t tm_pack_writer_place(
        struct tm_pack_writer *writer, struct tm_sealed *sealed, uint32_t stream);
/* Write the ciphertexts at that offset. */
enum tm_code tm_pack_writer_write(struct tm_pack_writer *writer, uint64_t offset,
        const struct tm_sealed *sealed, struct tm_err *err) TM_MUST_CHECK;

/*
 * Index, footer, name, store. Everything placed must have been written. `streams` are sorted by id.
 * TM_E_LIMIT when the pack would exceed TM_PACK_BYTES_MAX.
 */
enum tm_code tm_pack_writer_finish(struct tm_pack_writer *writer, struct tm_pack_stream *streams,
        size_t stream_count, struct tm_hash *name, uint64_t *size,
        struct tm_err *err) TM_MUST_CHECK;

/* Copies ---------------------------------------------------------------------------------- */

/*
 * A pack of blocks copied from other packs as they are: the header carries the sealed data keys they
 * need. The caller knows where each frame goes (the first at tm_pack_writer_bytes()), writes it there
 * with _copy, and gives the whole index at the end; `end` is where the frames end.
 */
enum tm_code tm_pack_writer_open_copy(struct tm_vault *vault, const struct tm_pack_key *keys,
        size_t key_count, struct tm_pack_writer **out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_pack_writer_copy(struct tm_pack_writer *writer, uint64_t offset,
        struct tm_slice bytes, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_pack_writer_finish_copy(struct tm_pack_writer *writer,
        const struct tm_pack_index *index, uint64_t end, struct tm_hash *name, uint64_t *size,
        struct tm_err *err) TM_MUST_CHECK;

#endif
