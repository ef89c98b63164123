/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_sample - what the tests of blocks share: a ring, random records, sealing and opening.
 *
 * Included by tests/unit/test_block*.c; each has its own copy. Threads: one.
 */
#ifndef TM_TESTS_BLOCK_SAMPLE_H
#define TM_TESTS_BLOCK_SAMPLE_H

#include "codec/block.h"

#include <check.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct tm_id16 vault_id = {{9, 8, 7}};

/* Small bounds, so that cuts are many. */
static const struct tm_block_params small = {.block_min = 256,
        .block_mean = 700,
        .block_max = 2048,
        .solo_min = 512,
        .pack_target = 1};

struct fixture {
    struct tm_ring *ring;
    struct tm_data_key *key;
    struct tm_block_tools *tools;
    uint8_t stored[TM_SEALED_KEY];
};
static struct fixture fix;

static inline void set_up(void)
{
    fix.ring = tm_ring_new(0);
    fix.key = tm_data_key_new(fix.ring, 1, fix.stored);
    fix.tools = tm_block_tools_new();
}

static inline void tear_down(void)
{
    tm_block_tools_free(fix.tools);
    tm_data_key_free(fix.key);
    tm_ring_free(fix.ring);
}

static inline struct tm_seal_options seal_options(int level)
{
    return (struct tm_seal_options){
            .vault_id = &vault_id, .key = fix.key, .key_number = 3, .counter = 40, .level = level};
}

static inline struct tm_sealed sealed_of(const struct tm_block *block, int level)
{
    struct tm_seal_options options = seal_options(level);
    struct tm_sealed sealed = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_block_seal(block, &options, fix.tools, &sealed, &err) == TM_OK, "%s", err.msg);
    return sealed;
}

static inline enum tm_code open_sealed(
        const struct tm_sealed *sealed, struct tm_block_view *view, struct tm_err *err)
{
    struct tm_open_options options = {
            .vault_id = &vault_id,
            .positions_key = fix.key,
            .content_key = fix.key,
            .content_frame = &sealed->info.content,
    };
    return tm_block_open(&sealed->info, &options, tm_buf_slice(&sealed->positions),
            tm_buf_slice(&sealed->content), fix.tools, view, err);
}

static uint64_t random_state;

static inline uint64_t next_random(void)
{
    random_state ^= random_state << 13; /* xorshift64 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static inline uint64_t below(uint64_t bound)
{
    return next_random() % bound;
}

static uint8_t pool[4096]; /* where the bytes of records lie */

static inline void fill_pool(uint64_t seed)
{
    random_state = seed * 2654435761U + 88172645463325252U;
    for (size_t i = 0; i < sizeof(pool); i++) {
        pool[i] = (uint8_t)(i % 3 == 0 ? next_random() : i);
    }
}

static inline struct tm_slice some_bytes(size_t most)
{
    size_t len = (size_t)below(most + 2);
    return len == most + 1 ? TM_SLICE_NULL : tm_slice_of(pool + below(64), len);
}

static const int64_t odd_stamps[] = {-1, 0, 1, -2, -1000, INT64_MAX, INT64_MIN, 1700000000000};

enum { HEADERS_MAX = 6, RECORDS_MAX = 400 };

struct sample {
    struct tm_record records[RECORDS_MAX];
    struct tm_header headers[RECORDS_MAX][HEADERS_MAX];
    int32_t partitions[RECORDS_MAX];
    size_t count;
};
static struct sample sample;

/* How timestamps of a sample are typed. */
enum types { TYPES_CREATE, TYPES_APPEND, TYPES_MIXED, TYPES };

static inline void make_record(
        struct tm_record *record, struct tm_header *headers, enum types types)
{
    bool odd = below(4) == 0;
    int64_t stamp =
            odd ? odd_stamps[below(LENGTH(odd_stamps))] : 1700000000000 + (int64_t)below(100000);
    bool append = types == TYPES_APPEND || (types == TYPES_MIXED && below(2) == 0);
    *record = (struct tm_record){
            .timestamp_ms = stamp,
            .timestamp_type = append ? TM_TIMESTAMP_APPEND : TM_TIMESTAMP_CREATE,
            .leader_epoch = (int32_t)below(5) - 1,
            .key = some_bytes(20),
            .value = some_bytes(300),
            .headers = headers,
            .header_count = (size_t)below(HEADERS_MAX + 1),
    };
    if (stamp == -1) {
        record->timestamp_type = TM_TIMESTAMP_NONE;
    }
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i].name = tm_slice_of(pool, (size_t)below(4)); /* repeats are likely */
        headers[i].value = some_bytes(10);
    }
}

/* The next record of the sample, `skip` offsets behind `next`. */
static inline const struct tm_record *add_to_sample(
        int32_t partition, int64_t offset, enum types types)
{
    ck_assert_uint_lt(sample.count, RECORDS_MAX);
    struct tm_record *record = &sample.records[sample.count];
    make_record(record, sample.headers[sample.count], types);
    record->offset = offset;
    sample.partitions[sample.count] = partition;
    sample.count++;
    return record;
}

#endif
