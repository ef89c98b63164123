/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/pack: header, index and footer, and what reading them refuses. */
#include "codec/pack.h"

#include <check.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) \
    { \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static const struct tm_id16 vault_id = {{1, 2, 3, 4}};

/* Header and footer -------------------------------------------------------------------------- */

static void some_header(size_t key_count, struct tm_buf *out)
{
    struct tm_pack_key *keys = tm_xalloc(key_count, sizeof(*keys));
    for (size_t i = 0; i < key_count; i++) {
        keys[i].epoch = (uint32_t)(i + 1);
        memset(keys[i].stored, (int)(i & 0x7f), sizeof(keys[i].stored));
    }
    tm_pack_header_encode(&vault_id, keys, key_count, out);
    free(keys);
}

START_TEST(a_header_reads_back)
{
    static const size_t counts[] = {1, 2, TM_PACK_KEYS_MAX};
    TM_BUF_OWN struct tm_buf header = {0};
    some_header(counts[_i], &header);
    ck_assert_mem_eq(header.at, "TMVP\1\0\0\0\1\2\3\4", 12);

    struct tm_err err = {0};
    size_t length = 0;
    ck_assert_int_eq(
            tm_pack_header_length(tm_slice_of(header.at, TM_PACK_HEADER_FIXED), &length, &err),
            TM_OK);
    ck_assert_uint_eq(length, header.len);
    ck_assert_uint_eq(length, 28 + 84 * counts[_i]);

    struct tm_arena arena = {0};
    struct tm_pack_key *keys = NULL;
    size_t count = 0;
    ck_assert_int_eq(
            tm_pack_header_decode(tm_buf_slice(&header), &vault_id, &arena, &keys, &count, &err),
            TM_OK);
    ck_assert_uint_eq(count, counts[_i]);
    ck_assert_uint_eq(keys[count - 1].epoch, count);
    ck_assert_uint_eq(keys[count - 1].stored[79], (count - 1) & 0x7f);
    tm_arena_done(&arena);
}
END_TEST

/* clang-format off */
static const struct {
    size_t at;      /* this byte of a header with two keys ... */
    uint8_t value;  /* ... becomes this; 0 and 'T': nothing changes */
    int longer;     /* bytes more than the header has */
    enum tm_code code;
    const char *message;
} bad_headers[] = {
    {0,  'X', 0,  TM_E_CORRUPT, "pack header: not a pack"},
    {4,  2,   0,  TM_E_VERSION, "pack header: version 2, flags 0; this program knows version 1 without flags"},
    {7,  1,   0,  TM_E_VERSION, "pack header: version 1, flags 256; this program knows version 1 without flags"},
    {8,  9,   0,  TM_E_CORRUPT, "pack header: it is of another vault"},
    {24, 0,   0,  TM_E_CORRUPT, "pack header: 0 data keys"},
    {26, 1,   0,  TM_E_CORRUPT, "pack header: 65538 data keys"},
    {24, 1,   0,  TM_E_CORRUPT, "pack header: its length is not what it says"},
    {0,  'T', 1,  TM_E_CORRUPT, "pack header: its length is not what it says"},
    {0,  'T', -1, TM_E_CORRUPT, "pack header: its length is not what it says"},
    {0,  'T', -169, TM_E_CORRUPT, "pack header: not a pack"},
};
/* clang-format on */

START_TEST(a_header_that_cannot_be_is_refused)
{
    TM_BUF_OWN struct tm_buf header = {0};
    some_header(2, &header);
    header.at[bad_headers[_i].at] = bad_headers[_i].value;
    tm_buf_add_u8(&header, 0);
    size_t len = (size_t)((int)header.len - 1 + bad_headers[_i].longer);
    struct tm_arena arena = {0};
    struct tm_pack_key *keys = NULL;
    size_t count = 77;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_pack_header_decode(
                             tm_slice_of(header.at, len), &vault_id, &arena, &keys, &count, &err),
            bad_headers[_i].code);
    ck_assert_str_eq(err.msg, bad_headers[_i].message);
    ck_assert(keys == NULL && count == 77);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_footer_says_where_the_index_is)
{
    static const struct {
        struct tm_slice bytes;
        const char *message; /* NULL: it is well */
    } footers[] = {
            {TEXT("\2\0\0\0\51\1\0\0TMVE"), NULL},
            {TEXT("\2\0\0\0\50\0\0\0TMVE"), NULL},
            {TEXT("\2\0\0\0\47\0\0\0TMVE"), "pack footer: an index of 39 bytes"},
            {TEXT("\2\0\0\0\1\0\0\100TMVE"), "pack footer: an index of 1073741825 bytes"},
            {TEXT("\2\0\0\0\51\1\0\0TMVP"), "pack footer: not the end of a pack"},
            {TEXT("\2\0\0\0\51\1\0\0TMV"), "pack footer: not the end of a pack"},
            {TEXT("\2\0\0\0\51\1\0\0TMVE\0"), "pack footer: not the end of a pack"},
    };
    for (size_t i = 0; i < LENGTH(footers); i++) {
        uint32_t epoch = 77;
        uint32_t length = 77;
        struct tm_err err = {0};
        enum tm_code code = tm_pack_footer_decode(footers[i].bytes, &epoch, &length, &err);
        if (footers[i].message == NULL) {
            ck_assert_int_eq(code, TM_OK);
            ck_assert_uint_eq(epoch, 2);
            ck_assert_uint_eq(length, i == 0 ? 297 : 40);
        } else {
            ck_assert_int_eq(code, TM_E_CORRUPT);
            ck_assert_str_eq(err.msg, footers[i].message);
            ck_assert(epoch == 77 && length == 77);
        }
    }
}
END_TEST

/* Index -------------------------------------------------------------------------------------- */

/* A pack of three blocks; each test gets one of its own and may spoil it. */
struct sample {
    struct tm_pack_stream streams[2];
    struct tm_hash deps[2];
    struct tm_block_run runs[4];
    struct tm_block_info blocks[3];
    struct tm_pack_index index;
};

static const struct tm_pack_bounds bounds = {.frames_begin = 112,
        .frames_end = 1000,
        .key_count = 2};

static struct tm_frame frame_at(uint64_t offset, uint64_t raw)
{
    return (struct tm_frame){
            .key = 1, .counter = offset, .offset = offset, .stored = raw + 16, .raw = raw};
}

static struct tm_block_run run_at(uint32_t stream, int32_t partition, int64_t first, int64_t bytes)
{
    return (struct tm_block_run){
            .run = {.stream = stream,
                    .partition = partition,
                    .first = first,
                    .length = 10,
                    .count = 1,
                    .bytes = bytes,
                    .largest = bytes,
                    .ts_min = -5,
                    .ts_max = -5},
            .proof = {{(uint8_t)first, 7}},
    };
}

static void fill_sample(struct sample *s)
{
    *s = (struct sample){
            .streams = {{.id = 3,
                                .cluster_id = TEXT("c"),
                                .topic = TEXT("orders"),
                                .incarnation = 1},
                    {.id = 9, .cluster_id = TEXT(""), .topic = TEXT("x"), .incarnation = 300}},
            .deps = {{{1}}, {{2}}},
            .runs = {run_at(3, 0, 5, 40), run_at(9, 1, 0, 20), run_at(9, 1, 10, 30),
                    run_at(3, 7, 50, 8)},
    };
    s->runs[0].run.ts_min = INT64_MIN; /* the widest there is */
    s->runs[0].run.ts_max = INT64_MAX;
    s->blocks[0] = (struct tm_block_info){.flags = TM_BLOCK_HAS_ID | TM_BLOCK_LOG_APPEND,
            .runs = &s->runs[0],
            .run_count = 1,
            .positions = frame_at(112, 11),
            .content = frame_at(139, 40),
            .content_id = {{0xaa}}};
    s->blocks[1] = (struct tm_block_info){.flags = TM_BLOCK_MIXED_TYPES,
            .runs = &s->runs[1],
            .run_count = 2,
            .positions = frame_at(195, 6),
            .content = frame_at(217, 50)};
    s->blocks[1].content.codec = 1;
    s->blocks[1].content.stored = 40;
    s->blocks[2] = (struct tm_block_info){.flags = TM_BLOCK_FOREIGN,
            .runs = &s->runs[3],
            .run_count = 1,
            .positions = frame_at(300, 2),
            .dep = 2,
            .content_id = {{0xbb}}};
    s->index = (struct tm_pack_index){.streams = s->streams,
            .stream_count = 2,
            .deps = s->deps,
            .dep_count = 2,
            .blocks = s->blocks,
            .block_count = 3};
}

static void assert_same_frame(const struct tm_frame *a, const struct tm_frame *b)
{
    ck_assert_uint_eq(a->key, b->key);
    ck_assert_uint_eq(a->counter, b->counter);
    ck_assert_uint_eq(a->offset, b->offset);
    ck_assert_uint_eq(a->stored, b->stored);
    ck_assert_uint_eq(a->codec, b->codec);
    ck_assert_uint_eq(a->raw, b->raw);
}

static void assert_same_block(const struct tm_block_info *a, const struct tm_block_info *b)
{
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->run_count, b->run_count);
    for (size_t i = 0; i < a->run_count; i++) {
        const struct tm_run *x = &a->runs[i].run;
        const struct tm_run *y = &b->runs[i].run;
        ck_assert(x->stream == y->stream && x->partition == y->partition && x->first == y->first);
        ck_assert(x->length == y->length && x->count == y->count && x->bytes == y->bytes);
        ck_assert(x->largest == y->largest && x->ts_min == y->ts_min && x->ts_max == y->ts_max);
        ck_assert(tm_id16_eq(&a->runs[i].proof, &b->runs[i].proof));
    }
    assert_same_frame(&a->positions, &b->positions);
    assert_same_frame(&a->content, &b->content);
    ck_assert_uint_eq(a->dep, b->dep);
    ck_assert(tm_hash_eq(&a->content_id, &b->content_id));
}

static void assert_same_index(const struct tm_pack_index *a, const struct tm_pack_index *b)
{
    ck_assert_uint_eq(a->stream_count, b->stream_count);
    for (size_t i = 0; i < a->stream_count; i++) {
        ck_assert_uint_eq(a->streams[i].id, b->streams[i].id);
        ck_assert(tm_slice_eq(a->streams[i].cluster_id, b->streams[i].cluster_id));
        ck_assert(tm_slice_eq(a->streams[i].topic, b->streams[i].topic));
        ck_assert_uint_eq(a->streams[i].incarnation, b->streams[i].incarnation);
    }
    ck_assert_uint_eq(a->dep_count, b->dep_count);
    for (size_t i = 0; i < a->dep_count; i++) {
        ck_assert(tm_hash_eq(&a->deps[i], &b->deps[i]));
    }
    ck_assert_uint_eq(a->block_count, b->block_count);
    for (size_t i = 0; i < a->block_count; i++) {
        assert_same_block(&a->blocks[i], &b->blocks[i]);
    }
}

static void sealed_index(const struct sample *s, const struct tm_ring *ring,
        const struct tm_buf *header, struct tm_buf *out)
{
    tm_pack_index_encode(&s->index, ring, tm_buf_slice(header), out);
}

START_TEST(an_index_reads_back)
{
    struct sample s;
    fill_sample(&s);
    if (_i == 1) { /* and one of nothing */
        s.index = (struct tm_pack_index){0};
    }
    TM_OWN(tm_ring_free) struct tm_ring *first = tm_ring_new(0);
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_rotate(first, 0);
    TM_BUF_OWN struct tm_buf header = {0};
    TM_BUF_OWN struct tm_buf end = {0};
    some_header(2, &header);
    sealed_index(&s, ring, &header, &end);

    uint32_t epoch = 0;
    uint32_t length = 0;
    struct tm_err err = {0};
    struct tm_slice footer = tm_slice_of(end.at + end.len - 12, 12);
    ck_assert_int_eq(tm_pack_footer_decode(footer, &epoch, &length, &err), TM_OK);
    ck_assert_uint_eq(epoch, 2);
    ck_assert_uint_eq(length, end.len - 12);
    struct tm_slice sealed = tm_slice_of(end.at, length);
    struct tm_pack_index back = {0};
    ck_assert_msg(tm_pack_index_decode(sealed, epoch, ring, tm_buf_slice(&header), &bounds, &back,
                          &err) == TM_OK,
            "%s", err.msg);
    assert_same_index(&s.index, &back);
    tm_pack_index_done(&back);

    ck_assert_int_eq(
            tm_pack_index_decode(sealed, epoch, first, tm_buf_slice(&header), &bounds, &back, &err),
            TM_E_KEY);
    ck_assert_str_eq(err.msg, "pack index: the key ring has no epoch 2");
    header.at[100] ^= 1; /* the header is bound to the index */
    err = (struct tm_err){0};
    ck_assert_int_eq(
            tm_pack_index_decode(sealed, epoch, ring, tm_buf_slice(&header), &bounds, &back, &err),
            TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "pack index: ciphertext: it was altered, or belongs elsewhere");
    ck_assert_ptr_null(back.arena.chunks);
}
END_TEST

START_TEST(a_flipped_byte_of_the_index_is_found)
{
    struct sample s;
    fill_sample(&s);
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_BUF_OWN struct tm_buf header = {0};
    TM_BUF_OWN struct tm_buf end = {0};
    some_header(2, &header);
    sealed_index(&s, ring, &header, &end);
    for (size_t at = 0; at < end.len - 12; at++) {
        struct tm_pack_index back = {0};
        struct tm_err err = {0};
        end.at[at] ^= 0x10;
        ck_assert_int_eq(tm_pack_index_decode(tm_slice_of(end.at, end.len - 12), 1, ring,
                                 tm_buf_slice(&header), &bounds, &back, &err),
                TM_E_CORRUPT);
        end.at[at] ^= 0x10;
    }
}
END_TEST

/* The plain bytes of the sample's index, by opening what was sealed. */
static void plain_index(const struct sample *s, struct tm_buf *out)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    TM_BUF_OWN struct tm_buf header = {0};
    TM_BUF_OWN struct tm_buf end = {0};
    TM_BUF_OWN struct tm_buf packed = {0};
    some_header(2, &header);
    sealed_index(s, ring, &header, &end);
    struct tm_err err = {0};
    ck_assert_int_eq(tm_ring_open(ring, 1, TM_KEY_INDEX, tm_buf_slice(&header),
                             tm_slice_of(end.at, end.len - 12), &packed, &err),
            TM_OK);
    ck_assert_int_eq(tm_zstd_unpack(zstd, tm_buf_slice(&packed), 1 << 20, out, &err), TM_OK);
}

/* Plain bytes may be anything: what is accepted must be what the encoder writes. */
START_TEST(no_cut_or_flipped_index_is_taken_for_another)
{
    struct sample s;
    fill_sample(&s);
    TM_BUF_OWN struct tm_buf plain = {0};
    plain_index(&s, &plain);
    for (size_t at = 0; at < plain.len; at++) {
        struct tm_pack_index back = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(
                tm_pack_index_parse(tm_slice_of(plain.at, at), &bounds, &back, &err), TM_E_CORRUPT);
        for (unsigned bit = 0; bit < 8; bit++) {
            plain.at[at] = (uint8_t)(plain.at[at] ^ (1U << bit));
            err = (struct tm_err){0};
            if (tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err) == TM_OK) {
                struct sample other = {.index = back};
                TM_BUF_OWN struct tm_buf again = {0};
                plain_index(&other, &again);
                ck_assert_msg(tm_slice_eq(tm_buf_slice(&plain), tm_buf_slice(&again)),
                        "byte %zu, bit %u", at, bit);
                tm_pack_index_done(&back);
            }
            plain.at[at] = (uint8_t)(plain.at[at] ^ (1U << bit));
        }
    }
}
END_TEST

START_TEST(an_index_lives_longer_than_its_bytes)
{
    struct sample s;
    fill_sample(&s);
    struct tm_buf plain = {0};
    plain_index(&s, &plain);
    struct tm_pack_index back = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err), TM_OK);
    memset(plain.at, 0, plain.len);
    tm_buf_done(&plain);
    assert_same_index(&s.index, &back);
    tm_pack_index_done(&back);
}
END_TEST

/* Rows that cannot be. They are written by hand, for the encoder asserts that a row can be. */
enum field {
    FLAGS,
    STREAM,
    PARTITION,
    FIRST,
    LEN,
    COUNT,
    BYTES,
    LARGEST,
    SPAN,
    P_KEY,
    P_OFFSET,
    P_STORED,
    P_CODEC,
    P_RAW,
    C_KEY,
    C_OFFSET,
    C_STORED,
    C_CODEC,
    C_RAW,
    DEP,
    FIELDS
};

static const uint64_t good_row[FIELDS] = {[STREAM] = 3,
        [PARTITION] = 1,
        [FIRST] = 5,
        [LEN] = 4,
        [COUNT] = 2,
        [BYTES] = 10,
        [LARGEST] = 7,
        [P_OFFSET] = 112,
        [P_STORED] = 20,
        [P_RAW] = 4,
        [C_OFFSET] = 132,
        [C_STORED] = 26,
        [C_RAW] = 10};

/* clang-format off */
static const struct {
    const char *message; /* NULL: nothing is wrong */
    struct {
        enum field field;
        uint64_t value;
    } edits[5]; /* zeros behind the last one */
} rows[] = {
    {NULL, {{FLAGS, 0}}},
    {NULL, {{FLAGS, 31 - 16 - 1 - 2}}},
    {NULL, {{SPAN, UINT64_MAX}}},
    {NULL, {{C_OFFSET, 974}}},
    {"a flag that is not known",                         {{FLAGS, 32}}},
    {"a flag that is not known",                         {{FLAGS, 256}}},
    {"mixed timestamp types, and one type for all",      {{FLAGS, 24}}},
    {"more than one record, and solo",                   {{FLAGS, 1}}},
    {"a dependency that is not listed",                  {{FLAGS, 2}, {DEP, 2}}},
    {NULL,                                               {{FLAGS, 2}, {DEP, 1}}},
    {NULL,                                               {{FLAGS, 2}, {DEP, 0}}},
    {"number larger than 32 bits",                       {{STREAM, 1ULL << 32}}},
    {"a run of a stream that is not listed",             {{STREAM, 4}}},
    {"partition larger than 31 bits",                    {{PARTITION, 1ULL << 31}}},
    {"number larger than 63 bits",                       {{FIRST, 1ULL << 63}}},
    {"a run's offsets are no range",                     {{LEN, 0}, {COUNT, 0}}},
    {"a run's offsets are no range",                     {{LEN, INT64_MAX - 4}}},
    {NULL,                                               {{LEN, INT64_MAX - 5}}},
    {"a run's count of records does not fit its length", {{COUNT, 0}}},
    {"a run's count of records does not fit its length", {{COUNT, 5}}},
    {"a run holds fewer bytes than its records need",    {{COUNT, 4}}},
    {"a run holds fewer bytes than its records need",    {{LARGEST, 2}}},
    {"a run holds more bytes than its records can have", {{LARGEST, 4}}},
    {"a run's largest record does not fit its bytes",    {{LARGEST, 11}}},
    {"a run's largest record does not fit its bytes",    {{LARGEST, 0}, {BYTES, 0}}},
    {"a run larger than 2 GiB",                          {{BYTES, 1ULL << 31}, {LARGEST, 1ULL << 31}}},
    {"a run's timestamps are no range",                  {{SPAN, 1ULL << 63}, {FIRST, 1000}}},
    {"a data key that the header does not hold",         {{P_KEY, 2}}},
    {"a data key that the header does not hold",         {{C_KEY, 2}}},
    {"frames out of order, or that overlap",             {{P_OFFSET, 111}}},
    {"frames out of order, or that overlap",             {{C_OFFSET, 131}}},
    {"a frame behind the last one's place",              {{C_OFFSET, 975}}},
    {"a frame behind the last one's place",              {{C_OFFSET, 1001}}},
    {"a frame behind the last one's place",              {{C_STORED, UINT64_MAX}}},
    {"a codec that is not known",                        {{P_CODEC, 2}}},
    {"a raw frame's two lengths differ",                 {{P_RAW, 5}}},
    {"a raw frame's two lengths differ",                 {{C_STORED, 27}}},
    {"a frame shorter than its authenticator",           {{P_STORED, 15}}},
    {"a compressed frame that is not smaller",           {{C_CODEC, 1}}},
    {NULL,                                               {{C_CODEC, 1}, {C_STORED, 25}}},
    {"a frame larger than 2 GiB",                        {{P_CODEC, 1}, {P_RAW, 1ULL << 31}}},
    {NULL,                                               {{P_CODEC, 1}, {P_STORED, 19}, {P_RAW, INT32_MAX}}},
    {"positions shorter than the records need",          {{P_STORED, 19}, {P_RAW, 3}}},
    {"the content's length is not the sum of the runs' bytes", {{C_STORED, 25}, {C_RAW, 9}}},
    {NULL,                                               {{FLAGS, 1}, {COUNT, 1}, {LARGEST, 10}, {C_STORED, 16}, {C_RAW, 0}}},
    {"a solo record smaller than its value",             {{FLAGS, 1}, {COUNT, 1}, {LARGEST, 10}, {C_STORED, 24}, {C_RAW, 8}}},
};
/* clang-format on */

static void put_row(const uint64_t row[FIELDS], struct tm_buf *out)
{
    static const uint8_t zeros[32];
    tm_buf_add_v(out, row[FLAGS]);
    tm_buf_add_v(out, 1);
    for (int field = STREAM; field <= LARGEST; field++) {
        tm_buf_add_v(out, row[field]);
    }
    tm_buf_add_z(out, row[SPAN] == UINT64_MAX ? INT64_MIN : 0);
    tm_buf_add_v(out, row[SPAN]);
    tm_buf_add(out, zeros, 16);
    for (int field = P_KEY; field <= P_RAW; field++) {
        tm_buf_add_v(out, row[field]);
        if (field == P_KEY) {
            tm_buf_add_v(out, 0); /* counter */
        }
    }
    if ((row[FLAGS] & TM_BLOCK_FOREIGN) != 0) {
        tm_buf_add_v(out, row[DEP]);
    } else {
        for (int field = C_KEY; field <= C_RAW; field++) {
            tm_buf_add_v(out, row[field]);
            if (field == C_KEY) {
                tm_buf_add_v(out, 1);
            }
        }
    }
    if ((row[FLAGS] & (TM_BLOCK_FOREIGN | TM_BLOCK_HAS_ID)) != 0) {
        tm_buf_add(out, zeros, 32);
    }
}

/* Stream 3 and one dependency, before the blocks. */
static void put_lists(struct tm_buf *out)
{
    static const uint8_t zeros[32];
    tm_buf_add(out, "\1\3\1c\1t\1", 7);
    tm_buf_add_v(out, 1);
    tm_buf_add(out, zeros, sizeof(zeros));
}

START_TEST(a_row_that_cannot_be_is_refused)
{
    uint64_t row[FIELDS];
    memcpy(row, good_row, sizeof(row));
    for (size_t i = 0; i < LENGTH(rows[_i].edits); i++) {
        if (rows[_i].edits[i].value != 0 || rows[_i].edits[i].field != FLAGS) {
            row[rows[_i].edits[i].field] = rows[_i].edits[i].value;
        }
    }
    TM_BUF_OWN struct tm_buf plain = {0};
    put_lists(&plain);
    tm_buf_add_v(&plain, 1);
    put_row(row, &plain);

    struct tm_pack_index back = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err);
    if (rows[_i].message == NULL) {
        ck_assert_msg(code == TM_OK, "%s", err.msg);
        tm_pack_index_done(&back);
        return;
    }
    ck_assert_int_eq(code, TM_E_CORRUPT);
    char *behind = strstr(err.msg, " at byte ");
    ck_assert_ptr_nonnull(behind);
    *behind = '\0';
    ck_assert_mem_eq(err.msg, "pack index: ", 12);
    ck_assert_str_eq(err.msg + 12, rows[_i].message);
    ck_assert_ptr_null(back.blocks);
}
END_TEST

START_TEST(frames_of_two_blocks_may_not_overlap)
{
    TM_BUF_OWN struct tm_buf plain = {0};
    put_lists(&plain);
    tm_buf_add_v(&plain, 2);
    uint64_t row[FIELDS];
    memcpy(row, good_row, sizeof(row));
    put_row(row, &plain);
    row[P_OFFSET] = (uint64_t)(158 - _i);
    row[C_OFFSET] = 200;
    put_row(row, &plain);
    struct tm_pack_index back = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err);
    ck_assert_int_eq(code, _i == 0 ? TM_OK : TM_E_CORRUPT);
    ck_assert(_i == 0 || strstr(err.msg, "frames out of order, or that overlap") != NULL);
    tm_pack_index_done(&back);
}
END_TEST

START_TEST(lists_of_an_index_are_sorted)
{
    static const struct {
        struct tm_slice bytes;
        const char *message;
    } lists[] = {
            {TEXT("\2\3\0\0\1\3\0\0\1\0\0"),
                    "pack index: streams out of order, or one twice at byte 6"},
            {TEXT("\2\3\0\0\1\2\0\0\1\0\0"),
                    "pack index: streams out of order, or one twice at byte 6"},
            {TEXT("\1\3\0\0\1\0\0\0"), "pack index: trailing bytes at byte 7"},
            {TEXT("\5\3\0\0\1\0\0\0"), "pack index: count larger than what follows at byte 0"},
            {TEXT("\0\2"), "pack index: count larger than what follows at byte 1"},
            {TEXT("\0\0\1"), "pack index: count larger than what follows at byte 2"},
            {TEXT(""), "pack index: cut short at byte 0"},
    };
    for (size_t i = 0; i < LENGTH(lists); i++) {
        struct tm_pack_index back = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(tm_pack_index_parse(lists[i].bytes, &bounds, &back, &err), TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, lists[i].message);
    }
    for (uint8_t second = 4; second <= 6; second++) {
        TM_BUF_OWN struct tm_buf plain = {0};
        uint8_t dep[32] = {5};
        tm_buf_add(&plain, "\0\2", 2);
        tm_buf_add(&plain, dep, sizeof(dep));
        dep[0] = second;
        tm_buf_add(&plain, dep, sizeof(dep));
        tm_buf_add_u8(&plain, 0);
        struct tm_pack_index back = {0};
        struct tm_err err = {0};
        enum tm_code code = tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err);
        ck_assert_int_eq(code, second == 6 ? TM_OK : TM_E_CORRUPT);
        ck_assert_str_eq(err.msg,
                second == 6 ? ""
                            : "pack index: dependencies out of order, or one twice at byte 66");
        tm_pack_index_done(&back);
    }
}
END_TEST

START_TEST(runs_of_a_block_are_sorted_and_apart)
{
    static const struct {
        int32_t partition;
        int64_t first;
        bool fits;
    } seconds[] = {{1, 10, true}, {1, 9, false}, {1, 0, false}, {0, 50, false}, {2, 0, true}};
    for (size_t i = 0; i < LENGTH(seconds); i++) {
        struct sample s;
        fill_sample(&s);
        TM_BUF_OWN struct tm_buf plain = {0};
        plain_index(&s, &plain);
        /* The second block's second run; each number there is one byte. */
        static const uint8_t run[] = {9, 1, 10, 10, 1, 30, 30, 9, 0, 10, 7};
        uint8_t *at = memmem(plain.at, plain.len, run, sizeof(run));
        ck_assert_ptr_nonnull(at);
        at[1] = (uint8_t)seconds[i].partition;
        at[2] = (uint8_t)seconds[i].first;
        struct tm_pack_index back = {0};
        struct tm_err err = {0};
        enum tm_code code = tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err);
        ck_assert_int_eq(code, seconds[i].fits ? TM_OK : TM_E_CORRUPT);
        ck_assert(seconds[i].fits || strstr(err.msg, "runs out of order, or that overlap") != NULL);
        tm_pack_index_done(&back);

        at[0] = 3; /* of another stream */
        at[1] = 1;
        at[2] = 10;
        err = (struct tm_err){0};
        ck_assert_int_eq(
                tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err), TM_E_CORRUPT);
        ck_assert(strstr(err.msg, "runs of more than one stream") != NULL);
    }
}
END_TEST

START_TEST(a_block_with_an_id_holds_one_run)
{
    for (unsigned flag = 1; flag <= 4; flag *= 2) {
        struct sample s;
        fill_sample(&s);
        TM_BUF_OWN struct tm_buf plain = {0};
        plain_index(&s, &plain);
        static const uint8_t row[] = {TM_BLOCK_MIXED_TYPES, 2, 9, 1};
        uint8_t *at = memmem(plain.at, plain.len, row, sizeof(row));
        ck_assert_ptr_nonnull(at);
        *at = (uint8_t)flag;
        if (flag == TM_BLOCK_FOREIGN) {
            continue; /* its row has another form; the check is the same */
        }
        struct tm_pack_index back = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(
                tm_pack_index_parse(tm_buf_slice(&plain), &bounds, &back, &err), TM_E_CORRUPT);
        ck_assert(strstr(err.msg, "several runs where one must be") != NULL);
    }
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("pack");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_header_reads_back, 0, 3);
    tcase_add_loop_test(tcase, a_header_that_cannot_be_is_refused, 0, (int)LENGTH(bad_headers));
    tcase_add_test(tcase, a_footer_says_where_the_index_is);
    tcase_add_loop_test(tcase, an_index_reads_back, 0, 2);
    tcase_add_test(tcase, a_flipped_byte_of_the_index_is_found);
    tcase_add_test(tcase, no_cut_or_flipped_index_is_taken_for_another);
    tcase_add_test(tcase, an_index_lives_longer_than_its_bytes);
    tcase_add_loop_test(tcase, a_row_that_cannot_be_is_refused, 0, (int)LENGTH(rows));
    tcase_add_loop_test(tcase, frames_of_two_blocks_may_not_overlap, 0, 2);
    tcase_add_test(tcase, lists_of_an_index_are_sorted);
    tcase_add_test(tcase, runs_of_a_block_are_sorted_and_apart);
    tcase_add_test(tcase, a_block_with_an_id_holds_one_run);

    Suite *suite = suite_create("pack");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
