/* SPDX-License-Identifier: Apache-2.0 */
/* merge_impl - which block goes where: between merge_layout.c and merge.c. Threads: as merge.h. */
#ifndef TM_VAULT_MERGE_IMPL_H
#define TM_VAULT_MERGE_IMPL_H

#include "vault/merge.h"
#include "vault/pack_reader.h"
#include "vault/pack_writer.h"

struct merge_stream {
    struct tm_merge_stream names;
    size_t in;    /* one above the number of the newest output that has it, */
    uint32_t own; /* and its own number there */
};

struct merge_source {
    const struct tm_merge_source *given;
    struct tm_pack *pack;          /* NULL: left as it is */
    struct merge_stream **streams; /* of the pack's streams, in their order; NULL: not known */
    bool *kept;                    /* by block */
    bool thinned;
};

struct merge_block { /* a block to be copied */
    size_t source;
    size_t number;   /* in its pack */
    uint32_t stream; /* the log's */
    int32_t partition;
    int64_t first;
    size_t output;
    struct tm_block_info info; /* as it will be in the new index */
};

struct merge_output {
    size_t first; /* blocks [first, end) of the layout */
    size_t end;
    TM_VEC(struct tm_pack_key) keys;
    TM_VEC(struct tm_pack_stream) streams;
    TM_VEC(struct tm_hash) deps; /* sorted, no duplicates */
    uint64_t frames_end;
    int64_t stored_ms; /* the newest of its sources */
    struct tm_pack_writer *writer;
    struct tm_hash name; /* once it is stored, */
    uint64_t size;       /* likewise */
};

struct merge {
    const struct tm_merge_options *options;
    struct tm_merge_result *result;
    struct merge_source *sources;
    struct merge_stream *streams;      /* sorted by their names */
    TM_VEC(struct merge_block) blocks; /* in the order of the new packs */
    TM_VEC(struct merge_output) outputs;
    struct tm_arena arena;
};

/* Open the sources, decide what is kept, and lay it out; nothing is written. */
enum tm_code tm_merge_layout(struct merge *merge, struct tm_err *err) TM_MUST_CHECK;
/* Note a source that stays as it is. */
void tm_merge_leave(struct merge *merge, size_t source, enum tm_code code, const char *why);

#endif
