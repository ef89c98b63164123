/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry - a log entry: a set of edits of the vault's state, as structs and as bytes.
 *
 *    0  4 "TMVL"   4 2 version=1   6 1 kind (1 delta, 2 full)   7 1 zero
 *    8 16 vault id   24 4 key epoch   28 4 back   32 8 seq   40 32 prev (SHA-256 of log/<seq-1>)
 *   72 24 nonce   96 . XChaCha20-Poly1305(K_log, nonce, AAD = bytes 0..95, zstd(body))
 *
 * (Bytes 72..95 are the nonce and part of the AAD.) A full is the whole state written as edits of the
 * empty state: same grammar, same code. Every list is sorted by its leading fields, duplicates are an
 * error: one state has one encoding, and its hash (state_hash) is well defined. docs/format.md.
 *
 * Threads: pure functions; edits belong to one thread at a time.
 */
#ifndef TM_CODEC_ENTRY_H
#define TM_CODEC_ENTRY_H

#include "base/arena.h"
#include "codec/block.h"

enum {
    TM_ENTRY_HEADER = 96,
    TM_ENTRY_BODY_MAX = 256 << 20,
    TM_ENTRY_BYTES_MAX = (256 << 20) + (1 << 20),
};

struct tm_row_param {
    struct tm_slice name;
    struct tm_slice value; /* decimal text */
};

struct tm_row_stream {
    uint32_t id; /* from 1 */
    struct tm_slice cluster_id;
    struct tm_slice topic;
    uint32_t incarnation;    /* from 1 */
    struct tm_id16 topic_id; /* zero: not known */
    int64_t created_ms;
};

struct tm_row_keep { /* archive window; 0 seconds removes */
    uint32_t stream;
    struct tm_slice policy;
    uint64_t seconds;
};

struct tm_config_pair {
    struct tm_slice key;
    struct tm_slice value;
};

struct tm_row_topic { /* `c` of a point */
    uint32_t stream;
    uint32_t partitions;
    uint32_t replication_factor;
    struct tm_config_pair *configs; /* sorted by key */
    size_t config_count;
};

enum tm_part_status { TM_PART_WHOLE = 0, TM_PART_FAILED = 1, TM_PART_NOT_REACHED = 2 };

struct tm_row_part { /* `p` of a point */
    uint32_t stream;
    int32_t partition;
    int64_t start;
    int64_t end;
    int64_t lso;
    int64_t high_watermark;
    enum tm_part_status status;
};

struct tm_row_group { /* `g` of a point */
    struct tm_slice group;
    uint32_t stream;
    int32_t partition;
    int64_t offset; /* -1: none any more */
    struct tm_slice metadata;
};

struct tm_row_acl { /* `a` of a point: not captured yet, kept when read */
    uint32_t stream;
    struct tm_slice *acls;
    size_t acl_count;
};

enum {
    TM_POINT_PARTIAL = 1,
    TM_POINT_READ_UNCOMMITTED = 2,
    TM_POINT_GROUPS_UNKNOWN = 4,
    TM_POINT_CONFIGS_UNKNOWN = 8,
    TM_POINT_FLAGS = 15,
};

struct tm_row_point {
    uint64_t id; /* from 1 */
    struct tm_id16 ulid;
    int64_t time_ms;
    struct tm_slice cluster_id;
    struct tm_slice cluster_name;
    struct tm_slice policy;
    uint32_t flags;
    uint32_t *gone; /* `x`: streams no longer in the point, sorted */
    size_t gone_count;
    struct tm_row_topic *topics;
    size_t topic_count;
    struct tm_row_part *parts; /* NULL: none, or in `packed_parts` */
    size_t part_count;
    struct tm_slice packed_parts; /* of fulls, which may have millions: codec/parts.h */
    struct tm_row_group *groups;
    size_t group_count;
    struct tm_row_acl *acls;
    size_t acl_count;
};

/* The row of that partition in a point whose parts are sorted by stream and partition; NULL: there is none. */
const struct tm_row_part *tm_row_point_part(
        const struct tm_row_point *point, uint32_t stream, int32_t partition);

struct tm_row_mark {
    uint64_t point;
    struct tm_slice note;
    struct tm_slice *tags; /* sorted */
    size_t tag_count;
    int64_t hold_until_ms; /* 0 none, -1 without end */
    struct tm_slice hold_reason;
};

struct tm_row_pack {
    struct tm_hash name;
    uint64_t size;
    int64_t stored_ms;
    struct tm_hash *deps; /* sorted */
    size_t dep_count;
    struct tm_run *runs; /* sorted by stream, partition, first */
    size_t run_count;
};

struct tm_row_successors { /* a dropped pack, or a `moved` row */
    struct tm_hash name;
    struct tm_hash *successors; /* sorted */
    size_t successor_count;
};

struct tm_row_dated { /* `dropped` and `swept` of a full */
    struct tm_hash name;
    int64_t time_ms;
};

enum tm_gap_reason {
    TM_GAP_NO_RECORDS = 1, /* nothing visible there: not a loss */
    TM_GAP_RETENTION = 2,
    TM_GAP_DELETED = 3,
    TM_GAP_UNKNOWN = 4,
    TM_GAP_SKIPPED = 5,
    TM_GAP_LOST_IN_VAULT = 6,
    TM_GAP_CORRUPT_ON_BROKER = 7,
};
/* "no-records", "source-retention", ...; static. */
const char *tm_gap_reason_name(enum tm_gap_reason reason);

struct tm_row_gap {
    uint32_t stream;
    int32_t partition;
    int64_t from;
    int64_t length;
    enum tm_gap_reason reason;
};

struct tm_row_tail {
    uint32_t stream;
    int32_t partition;
    int64_t next;         /* the watermark */
    int64_t covered;      /* greatest end any point has had */
    int64_t back;         /* next - offset of the last stored record; 0: none */
    int32_t leader_epoch; /* -1: not known; this and the rest only when back > 0 */
    int64_t timestamp_ms;
    struct tm_id16 tag;
};

struct tm_row_writer {
    struct tm_slice cluster_id;
    struct tm_slice policy;
    struct tm_slice writer;
    int64_t time_ms;
};

/* What an entry says. Slices and nested arrays borrow from `arena` or from the maker. */
struct tm_edits {
    int64_t time_ms;
    struct tm_slice writer; /* "host/instance" */
    struct tm_slice policy; /* empty for maintenance */
    bool full;
    struct tm_hash state_hash; /* full only; set by tm_entry_encode() */
    TM_VEC(struct tm_row_param) params;
    TM_VEC(struct tm_row_stream) streams;
    TM_VEC(struct tm_row_keep) keeps;
    TM_VEC(struct tm_row_point) points;
    TM_VEC(uint64_t) points_gone;
    TM_VEC(struct tm_row_mark) marks;
    TM_VEC(struct tm_row_pack) packs;
    TM_VEC(struct tm_row_successors) packs_gone;
    TM_VEC(struct tm_hash) sweep;
    TM_VEC(struct tm_row_gap) gaps;
    TM_VEC(struct tm_row_tail) tails;
    TM_VEC(struct tm_row_dated) dropped; /* this and the rest: full only */
    TM_VEC(struct tm_row_successors) moved;
    TM_VEC(struct tm_row_dated) swept;
    TM_VEC(struct tm_row_writer) writers;
    struct tm_arena arena;
    struct tm_buf body; /* of an entry read by tm_entry_decode(): its slices borrow from here */
};
void tm_edits_done(struct tm_edits *edits);
/* Bring every list (nested ones too) into the order of the format. */
void tm_edits_sort(struct tm_edits *edits);

struct tm_entry_place {
    struct tm_id16 vault_id;
    uint64_t seq;
    uint32_t back;       /* seq minus the seq of the newest full; 0 in a full */
    struct tm_hash prev; /* zero for seq 0 */
};

/*
 * Append the object's bytes. The edits must be sorted (tm_edits_sort). TM_E_LIMIT when the body is
 * larger than 256 MiB or a string than 65,535 bytes; a list out of order or with a duplicate is a
 * bug of the caller's and is TM_E_CORRUPT.
 */
enum tm_code tm_entry_encode(struct tm_edits *edits, const struct tm_entry_place *place,
        const struct tm_ring *ring, struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Read and check an object: name (seq), vault, AEAD, grammar, order, and for a full its state_hash.
 * The place that stands in it goes to *place.
 */
enum tm_code tm_entry_decode(struct tm_slice object, uint64_t seq, const struct tm_id16 *vault_id,
        const struct tm_ring *ring, struct tm_entry_place *place, struct tm_edits *out,
        struct tm_err *err) TM_MUST_CHECK;

/*
 * The pure part, for the fuzzer and for state_hash: body bytes <-> edits. What is read borrows from
 * `body`; a full's state_hash is checked.
 */
enum tm_code tm_body_encode(
        struct tm_edits *edits, struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_body_decode(
        struct tm_slice body, bool full, struct tm_edits *out, struct tm_err *err) TM_MUST_CHECK;

#endif
