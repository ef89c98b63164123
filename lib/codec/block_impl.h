/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_impl - what open, sealed and opened blocks share; for block*.c and pack.c alone.
 *
 * Threads: as block.h says.
 */
#ifndef TM_CODEC_BLOCK_IMPL_H
#define TM_CODEC_BLOCK_IMPL_H

#include "codec/block.h"

enum {
    TM_FRAME_RAW = 0,
    TM_FRAME_ZSTD = 1,
    TM_FRAME_BYTES_MAX = INT32_MAX, /* of a frame before compression */
    TM_CANONICAL_MIN = 3,           /* no headers, null key, null value */
    TM_TOOLS_KEEP = 32 << 20,       /* larger buffers are given back after use */
};

/* A run of an open block: its records begin at number `record`, their bytes at `content`. */
struct tm_open_run {
    struct tm_run run; /* `length` follows the newest record, or tm_block_extend() */
    size_t record;
    size_t content;
    int32_t leader_epoch; /* of its newest record */
};

/*
 * Invariants: the runs are in order of partition and first, and share neither records nor bytes;
 * every run but the newest holds a record; content.len is the sum of their bytes.
 */
struct tm_block {
    const struct tm_ring *ring;
    struct tm_block_params params;
    uint64_t cut_factor; /* floor(2^64 / block.mean), saturating */
    uint32_t epoch;
    uint32_t stream;
    bool closed;      /* tm_block_add() said so: nothing may follow */
    bool solo;        /* then `closed` too, and one record */
    size_t value_len; /* solo: the value is the last so many bytes of `content` */
    struct tm_buf content;
    TM_VEC(struct tm_open_run) runs;
    size_t count; /* records; the arrays below have room for `capacity` */
    size_t capacity;
    size_t append_count; /* of LogAppendTime */
    int64_t *offsets;
    int64_t *stamps;
    struct tm_id16 *tags;
    bool *appends;
};

struct tm_block_tools {
    struct tm_zstd *zstd;
    struct tm_buf raw;    /* a positions frame being built */
    struct tm_buf packed; /* compressed */
    struct tm_buf opened; /* decrypted */
    struct tm_buf plain;  /* decompressed */
};

/* Give back buffers that one large record made large. */
void tm_block_tools_trim(struct tm_block_tools *tools);

/* Does (partition, first) of `b` lie behind all of `a`? */
bool tm_run_follows(const struct tm_run *a, const struct tm_run *b);

/* What is wrong with an index row by itself (static text), or NULL: flags, runs, sums, frames. */
const char *tm_block_info_check(const struct tm_block_info *info);
/* Likewise with a locator of the row's content frame, its own or one found elsewhere. */
const char *tm_content_frame_check(
        const struct tm_block_info *info, const struct tm_frame *content);

#endif
