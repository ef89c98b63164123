/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild_impl - what the three steps of a rebuild share: read the packs, choose, write the entry.
 * For this folder's files only.
 *
 * Threads: one.
 */
#ifndef TM_VAULT_REBUILD_IMPL_H
#define TM_VAULT_REBUILD_IMPL_H

#include "base/arena.h"
#include "codec/pack.h"
#include "vault/rebuild.h"

struct tm_rebuild_stream {
    struct tm_slice cluster_id;
    struct tm_slice topic;
    uint32_t incarnation;
    uint32_t id; /* of the log; given when the entry is built */
};

struct tm_rebuild_pack {
    struct tm_hash name;
    uint64_t size;
    int64_t stored_ms;
    uint32_t keys; /* data keys in use: a merge has more than one */
    int64_t only;  /* offsets that no other pack has in a run of the same bounds */
    bool listed;   /* in the new log */
};

struct tm_rebuild_run { /* a run of a block */
    struct tm_run run;  /* `stream` is a number of `streams` */
    struct tm_id16 proof;
    uint32_t epoch;
    uint32_t pack; /* number in `packs` */
    uint32_t block;
    uint32_t index; /* in the block */
    bool lost;      /* its content is nowhere */
    bool chosen;
};

struct tm_rebuild_content { /* where a block's content is, or where it is needed from */
    struct tm_hash id;
    struct tm_hash dep; /* needed: the pack that is named */
    bool own;           /* needed from the pack itself */
    uint32_t pack;
    size_t run; /* needed: the block's only run */
};

struct tm_rebuild {
    const struct tm_rebuild_options *options;
    struct tm_vault *vault;
    struct tm_rebuild_result *result;
    struct tm_arena arena; /* of the slices */
    TM_VEC(struct tm_rebuild_stream) streams;
    uint32_t *by_name; /* numbers of `streams`, in order of cluster id, topic, incarnation */
    size_t by_name_room;
    TM_VEC(struct tm_rebuild_pack) packs; /* in order of their names */
    TM_VEC(struct tm_rebuild_run) runs;
    TM_VEC(struct tm_rebuild_content) have;
    TM_VEC(struct tm_rebuild_content) need;
};

void tm_rebuild_note(struct tm_rebuild *rebuild, const char *fmt, ...) TM_PRINTF(2, 3);

/* Order of cluster id, topic, incarnation. */
int tm_rebuild_by_stream(const struct tm_rebuild_stream *a, const struct tm_rebuild_stream *b);

/* Mark the runs that the new log is to hold, and the packs. */
void tm_rebuild_choose(struct tm_rebuild *rebuild);

/* Of a needed content: the pack it is to be taken from (a listed one if there is); NULL: nowhere. */
const struct tm_rebuild_content *tm_rebuild_find(
        const struct tm_rebuild *rebuild, const struct tm_rebuild_content *need);

/* The edits of log/0. Reads the last record of each partition where the ring can. */
enum tm_code tm_rebuild_edits(
        struct tm_rebuild *rebuild, struct tm_edits *out, struct tm_err *err) TM_MUST_CHECK;

#endif
