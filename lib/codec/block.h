/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block - about a MiB of records of one stream, in two frames: positions and content.
 *
 * A block holds runs: contiguous covered offset ranges of a partition; offsets in a run without a
 * record are holes. While it is open, content lies as canonical records one behind the other, so that
 * a record's tag is computed over its bytes as they lie.
 *
 * Cut rule, for a block with one run so far, after each record: never below block.min; at block.max
 * always; else where low64(tag) < record_bytes * floor(2^64 / block.mean) (saturating; low64 = first
 * 8 bytes of the tag, little endian). A value >= solo.min closes the block before it and is a block
 * of its own. Bounds and layout: docs/format.md, "Blocks".
 *
 * Threads: an open block belongs to one thread; sealing may be done on another one.
 */
#ifndef TM_CODEC_BLOCK_H
#define TM_CODEC_BLOCK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/vec.h"
#include "codec/keys.h"
#include "codec/record.h"
#include "codec/zstdio.h"

/* The params of log/0 that shape blocks; bytes. */
struct tm_block_params {
    uint32_t block_min;
    uint32_t block_mean;
    uint32_t block_max;
    uint32_t solo_min;
    uint32_t pack_target;
};
extern const struct tm_block_params
        tm_block_params_default; /* 256 KiB, 891290, 4 MiB, 64 KiB, 64 MiB */

enum {
    TM_BLOCK_SOLO = 1,
    TM_BLOCK_FOREIGN = 2, /* content is elsewhere */
    TM_BLOCK_HAS_ID = 4,
    TM_BLOCK_LOG_APPEND = 8,
    TM_BLOCK_MIXED_TYPES = 16,
    TM_BLOCK_FLAGS = 31,
};

/*
 * A run as pack index and log know it. 0 <= `first`, 1 <= `count` <= `length`, `first` + `length` <=
 * INT64_MAX; 1 <= `largest` <= `bytes`; `ts_min` <= `ts_max`.
 */
struct tm_run {
    uint32_t stream; /* number within the pack, or the log's stream id */
    int32_t partition;
    int64_t first;
    int64_t length;
    int64_t count;
    int64_t bytes;   /* of the canonical records */
    int64_t largest; /* canonical bytes of the largest one */
    int64_t ts_min;
    int64_t ts_max;
};

/* What is wrong with a run by itself (static text), or NULL. */
const char *tm_run_check(const struct tm_run *run);

/* In runs.c: qsort()'s order of runs, by stream, partition and first offset. */
int tm_runs_compare(const void *left, const void *right);
/*
 * Runs as the log lists them, the stretches of a pack rather than its blocks: put in that order and
 * joined where they touch, in place; how many are left. They must not overlap. O(count * log(count)).
 */
size_t tm_runs_join(struct tm_run *runs, size_t count);

/* The last record of a run: what the next backup compares (docs/format.md, "tails"). */
struct tm_tail {
    int64_t offset;
    int64_t timestamp_ms;
    int32_t leader_epoch; /* -1: not known */
    struct tm_id16 tag;
};

/* Open block ------------------------------------------------------------------------------- */

struct tm_block;

/* `stream` is a number of the caller's (at most 2^31); tags are made with the ring's newest epoch. */
struct tm_block *tm_block_new(
        const struct tm_ring *ring, const struct tm_block_params *params, uint32_t stream);
void tm_block_free(struct tm_block *block);
TM_OWNABLE(struct tm_block *, tm_block_free);

uint32_t tm_block_stream(const struct tm_block *block);
size_t tm_block_bytes(const struct tm_block *block);  /* content bytes so far */
size_t tm_block_memory(const struct tm_block *block); /* what it holds, for budgets */
size_t tm_block_runs(const struct tm_block *block);
int64_t tm_block_records(const struct tm_block *block);
struct tm_run tm_block_run(const struct tm_block *block, size_t index);
struct tm_tail tm_block_tail(const struct tm_block *block, size_t index); /* of that run */

/* Must `record` be a block of its own? Then no block that holds records may take it. */
bool tm_block_wants_solo(const struct tm_block_params *params, const struct tm_record *record);

/*
 * Begin a run at `first` (all offsets from there to the first record are covered holes). Records then
 * go into that run, until the next call. The runs of a block lie in order of partition and offset: a
 * run must begin behind the one before it, which must hold a record.
 */
void tm_block_begin(struct tm_block *block, int32_t partition, int64_t first);

/*
 * Append a record to the newest run; its offset must be at or above the run's end. True when the
 * block must be closed here (content cut, block.max, or a solo record): nothing may then be added to
 * it, and it has a content id if it holds one run. The canonical bytes must not exceed 2^31 - 1.
 */
bool tm_block_add(struct tm_block *block, const struct tm_record *record);

/* Let the newest run cover offsets up to `end` (exclusive; at or above its end). */
void tm_block_extend(struct tm_block *block, int64_t end);

/*
 * Move the runs of `from` into `block`, keeping the order of runs; `from` is empty afterwards. Used at
 * a flush, so that small runs of a stream share a block. The sum must be within block.max, and
 * neither may have been closed by a cut. Copies `from` alone when its runs follow those of `block`.
 */
void tm_block_join(struct tm_block *block, struct tm_block *from);

/* The content id, of a block closed by a cut that holds one run; else false. Reads every tag. */
bool tm_block_content_id(const struct tm_block *block, struct tm_hash *out);

/* Sealing ---------------------------------------------------------------------------------- */

struct tm_frame {
    uint32_t key;     /* number of the data key in the pack's header */
    uint64_t counter; /* nonce under that key */
    uint64_t offset;  /* in the pack */
    uint64_t stored;  /* ciphertext bytes */
    uint8_t codec;    /* 0 raw, 1 zstd */
    uint64_t raw;     /* bytes of the frame before compression, <= 2^31 - 1 */
};

struct tm_block_run { /* a run within a block, with what the log does not carry */
    struct tm_run run;
    struct tm_id16 proof;
};

/* A block as a pack's index describes it. */
struct tm_block_info {
    uint8_t flags;
    struct tm_block_run *runs;
    size_t run_count;
    struct tm_frame positions;
    struct tm_frame content; /* unless TM_BLOCK_FOREIGN */
    uint32_t dep;            /* TM_BLOCK_FOREIGN: 0 this pack, n: deps[n - 1] */
    struct tm_hash content_id;
};

struct tm_seal_options {
    const struct tm_id16 *vault_id;
    const struct tm_data_key *key;
    uint32_t key_number;
    uint64_t counter; /* two are used: positions, then content */
    int level;        /* zstd level, 0: store raw */
    bool foreign; /* the content is elsewhere: seal positions only; `dep` is the caller's to set */
    const struct tm_hash *content_id; /* what tm_block_content_id() gave, or NULL: not asked yet */
};

/*
 * A sealed block; frames' offsets are filled in by whoever places them in a pack. `info.runs` are in
 * the order of tm_block_run().
 */
struct tm_sealed {
    struct tm_block_info info; /* `runs` belongs to this struct */
    struct tm_buf positions;   /* ciphertext */
    struct tm_buf content;
};
void tm_sealed_done(struct tm_sealed *sealed);

/* Reused buffers and contexts of one sealing (or opening) thread. */
struct tm_block_tools;
struct tm_block_tools *tm_block_tools_new(void);
void tm_block_tools_free(struct tm_block_tools *tools);
TM_OWNABLE(struct tm_block_tools *, tm_block_tools_free);

/*
 * Compress and encrypt the block, then open both frames again and compare them with what went in:
 * TM_E_CORRUPT (faulty memory or a bug) when they differ. `out` must be zeroed or done.
 */
enum tm_code tm_block_seal(const struct tm_block *block, const struct tm_seal_options *options,
        struct tm_block_tools *tools, struct tm_sealed *out, struct tm_err *err) TM_MUST_CHECK;

/* Opening ---------------------------------------------------------------------------------- */

/* Where in the raw frames a run's parts begin. */
struct tm_run_place {
    size_t offsets;
    size_t stamps;
    size_t types; /* the bitmap, of (count + 7) / 8 bytes; there with TM_BLOCK_MIXED_TYPES only */
    size_t end;   /* of the run's positions */
    size_t content;
};

/* An opened block. Records borrow from it until the next open with the same view, or _done. */
struct tm_block_view {
    struct tm_buf positions; /* raw frames */
    struct tm_buf content;
    struct tm_run_place *places; /* one a run */
    size_t place_capacity;
    const struct tm_block_info *info; /* NULL: nothing is open */
};
void tm_block_view_done(struct tm_block_view *view);

/*
 * Decrypt, decompress and check a block's frames against its index row (flags, counts, offsets within
 * runs, timestamps within bounds, every byte used). `info` must outlive the view. For a foreign block
 * `content` is the ciphertext found elsewhere, `content_frame` its locator; else it may be NULL. A
 * zeroed view is empty; after a failure it is empty too. TM_E_CORRUPT says what contradicts what.
 */
struct tm_open_options {
    const struct tm_id16 *vault_id;
    const struct tm_data_key *positions_key;
    const struct tm_data_key *content_key;
    const struct tm_frame *content_frame;
};
enum tm_code tm_block_open(const struct tm_block_info *info, const struct tm_open_options *options,
        struct tm_slice positions, struct tm_slice content, struct tm_block_tools *tools,
        struct tm_block_view *view, struct tm_err *err) TM_MUST_CHECK;

/* Walk the records of run `index` in offset order. */
struct tm_block_iter {
    const struct tm_block_view *view;
    const struct tm_run *run;
    struct tm_rd offsets;
    struct tm_rd stamps;
    struct tm_rd content;
    const uint8_t *types; /* the run's bitmap, or NULL */
    int64_t next_offset;
    int64_t last_stamp;
    int64_t position; /* record number within the run, for the type bitmap */
    struct tm_header_room room;
    struct tm_slice
            raw; /* canonical bytes of the record just given; of a solo block, less its value */
    struct tm_buf scratch;
};
void tm_block_iter_init(struct tm_block_iter *iter, const struct tm_block_view *view, size_t index);
void tm_block_iter_done(struct tm_block_iter *iter);
/* False at the end. Cannot fail: tm_block_open() has checked every byte. */
bool tm_block_iter_next(struct tm_block_iter *iter, struct tm_record *out);
/* Canonical bytes of the record just given, whatever the block; borrowed until the next call. */
struct tm_slice tm_block_iter_canonical(struct tm_block_iter *iter);

#endif
