/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge - copy the blocks of many small packs into few large ones, ciphertext as it is.
 *
 * Nothing is decrypted: a host whose ring cannot read merges as well as any. The sealed data keys of the
 * sources are carried along, the new index is sealed with K_index. Blocks are ordered by stream,
 * partition and offset. What is copied was compared with the source's name (its SHA-256) first.
 *
 * Thinning: a block all of whose runs are dead stays behind, unless others depend on its pack, or a
 * block that is copied refers to its content. A run that the log does not list (its writer gave it up)
 * must not come back by way of the new index: its block stays behind, too, and where it cannot, its
 * pack is left as it is.
 *
 * References: content in the same new pack is dep 0; any other reference goes on by the name it had,
 * which resolves through `moved`.
 *
 * Threads: one at a time per result.
 */
#ifndef TM_VAULT_MERGE_H
#define TM_VAULT_MERGE_H

#include <stdatomic.h>

#include "vault/vault.h"

struct tm_merge_run {
    struct tm_run run; /* as the log lists it: its stream is the log's number */
    bool live;
};

struct tm_merge_source {
    struct tm_hash name;
    uint64_t size;
    int64_t stored_ms;
    bool whole; /* others depend on it: it is copied whole */
    const struct tm_merge_run *runs;
    size_t run_count;
};

struct tm_merge_stream { /* what the log's number means */
    uint32_t id;
    struct tm_slice cluster_id;
    struct tm_slice topic;
    uint32_t incarnation;
};

struct tm_merge_options {
    struct tm_vault *vault;
    const struct tm_merge_source *sources;
    size_t source_count;
    const struct tm_merge_stream *streams; /* all that the sources' runs name */
    size_t stream_count;
    uint64_t target_bytes;     /* of a new pack; it may be one block larger */
    const atomic_bool *cancel; /* NULL: never */
};

struct tm_merge_left { /* a source that was left as it is, and why (static text) */
    struct tm_hash name;
    enum tm_code code; /* TM_E_CORRUPT, TM_E_MISSING: damage; TM_E_UNSUPPORTED: see the head */
    char why[256];
};

struct tm_merge_result { /* for one log entry; nested arrays in `arena` */
    TM_VEC(struct tm_row_pack) packs;
    TM_VEC(struct tm_row_successors) gone; /* sources without successors held nothing live */
    TM_VEC(struct tm_hash) thinned;        /* sources of which blocks stayed behind */
    TM_VEC(struct tm_merge_left) left;
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct tm_arena arena;
};
void tm_merge_result_done(struct tm_merge_result *result);

/*
 * Make the new packs and store them. They count only when an entry adds them and drops the sources; until
 * then they are orphans. Sources that cannot be merged are in out->left, the others are merged without
 * them; a source found damaged while it is copied is TM_E_CORRUPT, and then out->left names it: call again
 * without it. TM_E_CANCELLED between two sources. `out` must be zeroed; _done in any case.
 */
enum tm_code tm_merge_packs(const struct tm_merge_options *options, struct tm_merge_result *out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
