/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/entry: the body of log entries as bytes, and what reading it refuses. */
#include "codec/entry.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "edits_sample.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) \
    { \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static void body_of(struct tm_edits *edits, struct tm_buf *out)
{
    struct tm_err err = {0};
    ck_assert_msg(tm_body_encode(edits, out, &err) == TM_OK, "%s", err.msg);
}

static void sample_edits(struct tm_edits *edits, uint64_t seed, bool full, size_t rows)
{
    make_edits(edits, seed, full, rows);
    tm_edits_sort(edits);
}

/* Bodies ------------------------------------------------------------------------------------- */

START_TEST(any_edits_read_back)
{
    bool full = _i % 2 == 1;
    struct tm_edits edits = {0};
    sample_edits(&edits, (uint64_t)_i, full, (size_t)_i % 20);
    TM_BUF_OWN struct tm_buf body = {0};
    tm_buf_add_text(&body, "before");
    body_of(&edits, &body);
    struct tm_slice bytes = tm_slice_of(body.at + 6, body.len - 6);

    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_body_decode(bytes, full, &back, &err) == TM_OK, "%s", err.msg);
    TM_BUF_OWN struct tm_buf told = {0};
    TM_BUF_OWN struct tm_buf told_back = {0};
    tell_edits(&told, &edits);
    tell_edits(&told_back, &back);
    ck_assert_str_eq(tm_buf_text(&told), tm_buf_text(&told_back));
    ck_assert(tm_hash_eq(&edits.state_hash, &back.state_hash));

    TM_BUF_OWN struct tm_buf again = {0};
    body_of(&back, &again);
    ck_assert(tm_slice_eq(bytes, tm_buf_slice(&again)));
    tm_edits_done(&back);
    tm_edits_done(&edits);
}
END_TEST

/* Every list with a row, byte by byte as the format has it. */
/* clang-format off */
#define H1 "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define H2 "\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define U1 "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
static const struct tm_slice delta_bytes = TEXT(
    "\1" "\3h/i" "\1p"                                  /* time -1, writer, policy */
    "\1" "\11block.min" "\3" "512"                      /* params */
    "\1" "\1" "\1c" "\1t" "\2" U1 "\6"                  /* streams: created 3 */
    "\1" "\1" "\1p" "\200\1"                            /* keep: 128 s */
    "\1" "\5" U1 "\2" "\1c" "\1n" "\1p" "\11"           /* a point, flags 9 */
        "\1" "\7"                                       /*   gone */
        "\1" "\1" "\6" "\3" "\1" "\1k" "\1v"            /*   topics */
        "\1" "\1" "\2" "\12" "\5" "\1" "\4" "\2"        /*   [10, 15), lso 14, hw 17, not reached */
        "\2" "\1g" "\1" "\0" "\0" "\0"                  /*   no offset any more */
             "\1g" "\1" "\2" "\13" "\1m"                /*   offset 10 */
        "\1" "\1" "\1" "\1a"                            /*   access rules */
    "\2" "\3" "\4"                                      /* points gone */
    "\1" "\5" "\1n" "\1" "\1t" "\1" "\1r"               /* a mark, held without end */
    "\1" H1 "\144" "\12" "\1" H2                        /* a pack of 100 bytes, stored at 5 */
        "\1" "\1" "\2" "\12" "\5" "\3" "\36" "\17" "\1" "\4" /* a run: 3 in [10, 15), stamps -1 .. 3 */
    "\1" H1 "\1" H2                                     /* a pack gone, its successor */
    "\1" H2                                             /* to be swept */
    "\1" "\1" "\2" "\12" "\5" "\7"                      /* a gap */
    "\2" "\1" "\2" "\12" "\5" "\0"                      /* a tail without record */
         "\1" "\3" "\12" "\5" "\1" "\1" "\6" U1);       /* leader epoch 0, time 3 */
/* clang-format on */

START_TEST(a_delta_is_what_the_format_says)
{
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_body_decode(delta_bytes, false, &back, &err) == TM_OK, "%s", err.msg);
    TM_BUF_OWN struct tm_buf told = {0};
    tell_edits(&told, &back);
    const char *expected = /* clang-format off */
            "delta -1 'h/i' 'p'\n"
            "param 'block.min' '512'\n"
            "stream 1 'c' 't' 2 3 01000000000000000000000000000000\n"
            "keep 1 128 'p'\n"
            "gap 1 2 10 5 corrupt-on-broker\n"
            "tail 1 2 10 5 0 -1 0 00000000000000000000000000000000\n"
            "tail 1 3 10 5 1 0 3 01000000000000000000000000000000\n"
            "mark 5 -1 'n' 'r' 't'\n"
            "point 5 01000000000000000000000000000000 1 'c' 'n' 'p' 9 gone 7\n"
            " topic 1 6 3 'k' 'v'\n"
            " part 1 2 10 15 14 17 2\n"
            " group 'g' 1 0 -1 ''\n"
            " group 'g' 1 2 10 'm'\n"
            " acl 1 'a'\n"
            "point gone 3\n"
            "point gone 4\n"
            "pack 0100000000000000000000000000000000000000000000000000000000000000 100 5"
                " 1: 0200000000000000000000000000000000000000000000000000000000000000\n"
            " run 1 2 10 5 3 30 15 -1 3\n"
            "successors of 0100000000000000000000000000000000000000000000000000000000000000"
                " 1: 0200000000000000000000000000000000000000000000000000000000000000\n"
            " 1: 0200000000000000000000000000000000000000000000000000000000000000\n"
            "dropped\n"
            "swept\n"; /* clang-format on */
    ck_assert_str_eq(tm_buf_text(&told), expected);
    TM_BUF_OWN struct tm_buf again = {0};
    body_of(&back, &again);
    ck_assert(tm_slice_eq(tm_buf_slice(&again), delta_bytes));
    tm_edits_done(&back);
}
END_TEST

START_TEST(a_full_carries_the_hash_of_its_state)
{
    static const struct tm_slice state = TEXT("\0\0\0\0\0\0\0\0\0\0\0" /* the lists of a delta */
                                              "\1" H1 "\4"             /* dropped at 2 */
                                              "\1" H1 "\1" H2          /* moved */
                                              "\1" H2 "\6"             /* swept at 3 */
                                              "\1"
                                              "\1c"
                                              "\1p"
                                              "\1w"
                                              "\10"); /* a writer, at 4 */
    struct tm_edits edits = {.full = true, .time_ms = 7};
    struct tm_hash one = {{1}};
    struct tm_hash two = {{2}};
    *tm_vec_push(&edits.dropped) = (struct tm_row_dated){one, 2};
    *tm_vec_push(&edits.moved) = (struct tm_row_successors){one, &two, 1};
    *tm_vec_push(&edits.swept) = (struct tm_row_dated){two, 3};
    *tm_vec_push(&edits.writers) =
            (struct tm_row_writer){tm_slice_str("c"), tm_slice_str("p"), tm_slice_str("w"), 4};
    TM_BUF_OWN struct tm_buf body = {0};
    body_of(&edits, &body);
    struct tm_hash hash = tm_sha256_of(state);
    ck_assert_uint_eq(body.len, 3 + 32 + state.len);
    ck_assert_mem_eq(body.at, "\16\0\0", 3);
    ck_assert_mem_eq(body.at + 3, hash.bytes, 32);
    ck_assert_mem_eq(body.at + 35, state.at, state.len);
    ck_assert(tm_hash_eq(&edits.state_hash, &hash));

    /* Who wrote it and when is no part of the state. */
    edits.time_ms = 8;
    edits.writer = tm_slice_str("another");
    tm_buf_clear(&body);
    body_of(&edits, &body);
    ck_assert(tm_hash_eq(&edits.state_hash, &hash));

    struct tm_edits back = {0};
    struct tm_err err = {0};
    body.at[body.len - 1] ^= 2; /* still a writer's time */
    ck_assert_int_eq(tm_body_decode(tm_buf_slice(&body), true, &back, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "body: the state is not the one of its hash");
    tm_edits_done(&edits);
}
END_TEST

/* What is accepted must be what the encoder writes; for a full nothing but the original is. */
START_TEST(no_cut_or_flipped_body_is_taken_for_another)
{
    bool full = _i % 2 == 1;
    struct tm_edits edits = {0};
    sample_edits(&edits, (uint64_t)_i, full, 3);
    TM_BUF_OWN struct tm_buf body = {0};
    body_of(&edits, &body);
    for (size_t at = 0; at < body.len; at++) {
        struct tm_edits back = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(tm_body_decode(tm_slice_of(body.at, at), full, &back, &err), TM_E_CORRUPT);
        for (unsigned bit = 0; bit < 8; bit++) {
            body.at[at] = (uint8_t)(body.at[at] ^ (1U << bit));
            err = (struct tm_err){0};
            if (tm_body_decode(tm_buf_slice(&body), full, &back, &err) == TM_OK) {
                TM_BUF_OWN struct tm_buf again = {0};
                body_of(&back, &again);
                ck_assert_msg(tm_slice_eq(tm_buf_slice(&body), tm_buf_slice(&again)),
                        "byte %zu, bit %u", at, bit);
                ck_assert(!full || at < 700); /* the head; its texts may be long */
                tm_edits_done(&back);
            }
            body.at[at] = (uint8_t)(body.at[at] ^ (1U << bit));
        }
    }
    tm_buf_add_u8(&body, 0);
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_body_decode(tm_buf_slice(&body), full, &back, &err), TM_E_CORRUPT);
    tm_edits_done(&edits);
}
END_TEST

/* A row of the fewest bytes in a list of that number; lists of numbers and hashes alone. */
static void add_smallest(struct tm_edits *edits, int list, uint32_t i)
{
    struct tm_hash hash = {{(uint8_t)i}};
    switch (list) { /* clang-format off */
    case 0: tm_vec_push(&edits->streams)->id = i; break;
    case 1: tm_vec_push(&edits->keeps)->stream = i; break;
    case 2: tm_vec_push(&edits->points)->id = i; break;
    case 3: tm_vec_push(&edits->marks)->point = i; break;
    case 4: tm_vec_push(&edits->packs)->name = hash; break;
    case 5: *tm_vec_push(&edits->gaps) = (struct tm_row_gap){i, 0, 0, 1, 1}; break;
    case 6: *tm_vec_push(&edits->tails) = (struct tm_row_tail){.stream = i}; break;
    case 7: *tm_vec_push(&edits->points_gone) = i; break;
    case 8: tm_vec_push(&edits->packs_gone)->name = hash; break;
    case 9: *tm_vec_push(&edits->sweep) = hash; break;
    case 10: tm_vec_push(&edits->dropped)->name = hash; break;
    case 11: tm_vec_push(&edits->moved)->name = hash; break;
    default: tm_vec_push(&edits->swept)->name = hash; break;
    } /* clang-format on */
}

enum { SMALLEST_LISTS = 13, SMALLEST_ROWS = 100 };

/* Counts are bounded by the fewest bytes of a row: so many rows of so few bytes must still pass. */
START_TEST(rows_of_the_fewest_bytes_read_back)
{
    struct tm_edits edits = {.full = _i >= 10};
    for (uint32_t i = 0; i < SMALLEST_ROWS; i++) {
        add_smallest(&edits, _i, i);
    }
    TM_BUF_OWN struct tm_buf body = {0};
    body_of(&edits, &body);
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_msg(
            tm_body_decode(tm_buf_slice(&body), edits.full, &back, &err) == TM_OK, "%s", err.msg);
    tm_edits_done(&back);
    tm_edits_done(&edits);
}
END_TEST

START_TEST(nested_rows_of_the_fewest_bytes_read_back)
{
    struct tm_row_topic topics[SMALLEST_ROWS] = {0};
    struct tm_row_part parts[SMALLEST_ROWS] = {0};
    struct tm_row_group groups[SMALLEST_ROWS] = {0};
    struct tm_row_acl acls[SMALLEST_ROWS] = {0};
    struct tm_run runs[SMALLEST_ROWS] = {0};
    for (uint32_t i = 0; i < SMALLEST_ROWS; i++) {
        topics[i].stream = i;
        parts[i].stream = i;
        groups[i] = (struct tm_row_group){.stream = i, .offset = -1};
        acls[i].stream = i;
        runs[i] = (struct tm_run){.stream = i, .length = 1, .count = 1, .bytes = 1, .largest = 1};
    }
    struct tm_edits edits = {0};
    struct tm_row_point *point = tm_vec_push(&edits.points);
    struct tm_row_pack *pack = tm_vec_push(&edits.packs);
    switch (_i) { /* clang-format off */
    case 0: point->topics = topics; point->topic_count = SMALLEST_ROWS; break;
    case 1: point->parts = parts; point->part_count = SMALLEST_ROWS; break;
    case 2: point->groups = groups; point->group_count = SMALLEST_ROWS; break;
    case 3: point->acls = acls; point->acl_count = SMALLEST_ROWS; break;
    default: pack->runs = runs; pack->run_count = SMALLEST_ROWS; break;
    } /* clang-format on */
    TM_BUF_OWN struct tm_buf body = {0};
    body_of(&edits, &body);
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_body_decode(tm_buf_slice(&body), false, &back, &err) == TM_OK, "%s", err.msg);
    tm_edits_done(&back);
    tm_edits_done(&edits);
}
END_TEST

/* Order -------------------------------------------------------------------------------------- */

static void two_nested(struct tm_edits *edits, int list)
{
    struct tm_row_point *point = tm_vec_push(&edits->points);
    struct tm_row_mark *mark = tm_vec_push(&edits->marks);
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    struct tm_row_successors *gone = tm_vec_push(&edits->packs_gone);
    size_t *counts[] = {&point->gone_count, &point->topic_count, &point->part_count,
            &point->group_count, &point->acl_count, &mark->tag_count, &pack->dep_count,
            &pack->run_count, &gone->successor_count};
    point->gone = tm_arena_alloc(&edits->arena, 2, sizeof(*point->gone));
    point->topics = tm_arena_alloc(&edits->arena, 2, sizeof(*point->topics));
    point->parts = tm_arena_alloc(&edits->arena, 2, sizeof(*point->parts));
    point->groups = tm_arena_alloc(&edits->arena, 2, sizeof(*point->groups));
    point->acls = tm_arena_alloc(&edits->arena, 2, sizeof(*point->acls));
    mark->tags = tm_arena_alloc(&edits->arena, 2, sizeof(*mark->tags));
    pack->deps = tm_arena_alloc(&edits->arena, 2, sizeof(*pack->deps));
    pack->runs = tm_arena_alloc(&edits->arena, 2, sizeof(*pack->runs));
    gone->successors = tm_arena_alloc(&edits->arena, 2, sizeof(*gone->successors));
    if (list < (int)LENGTH(counts)) {
        *counts[list] = 2;
        return;
    }
    point->topic_count = 1;
    point->acl_count = 1;
    point->topics[0].configs = tm_arena_alloc(&edits->arena, 2, sizeof(struct tm_config_pair));
    point->acls[0].acls = tm_arena_alloc(&edits->arena, 2, sizeof(struct tm_slice));
    if (list == (int)LENGTH(counts)) {
        point->topics[0].config_count = 2;
    } else {
        point->acls[0].acl_count = 2;
    }
}

static void two_rows(struct tm_edits *edits, int list)
{
    for (int i = 0; i < 2; i++) {
        switch (list) { /* clang-format off */
        case 0: (void)tm_vec_push(&edits->params); break;
        case 1: (void)tm_vec_push(&edits->streams); break;
        case 2: (void)tm_vec_push(&edits->keeps); break;
        case 3: (void)tm_vec_push(&edits->points); break;
        case 4: (void)tm_vec_push(&edits->points_gone); break;
        case 5: (void)tm_vec_push(&edits->marks); break;
        case 6: (void)tm_vec_push(&edits->packs); break;
        case 7: (void)tm_vec_push(&edits->packs_gone); break;
        case 8: (void)tm_vec_push(&edits->sweep); break;
        case 9: (void)tm_vec_push(&edits->gaps); break;
        case 10: (void)tm_vec_push(&edits->tails); break;
        case 11: (void)tm_vec_push(&edits->dropped); break;
        case 12: (void)tm_vec_push(&edits->moved); break;
        case 13: (void)tm_vec_push(&edits->swept); break;
        default: (void)tm_vec_push(&edits->writers); break;
        } /* clang-format on */
    }
}

static const char *const list_names[] = {"params", "streams", "archive windows", "points",
        "points gone", "marks", "packs", "packs gone", "packs to be swept", "gaps", "tails",
        "dropped packs", "moved packs", "swept packs", "writers", "a point's streams gone",
        "a point's topics", "a point's partitions", "a point's groups", "a point's access rules",
        "a mark's tags", "a pack's dependencies", "a pack's runs", "a pack's successors",
        "a topic's configuration", "a topic's access rules"};

START_TEST(a_row_that_is_there_twice_is_refused)
{
    struct tm_edits edits = {.full = _i >= 11 && _i <= 14};
    if (_i < 15) {
        two_rows(&edits, _i);
    } else {
        two_nested(&edits, _i - 15);
    }
    TM_BUF_OWN struct tm_buf body = {0};
    struct tm_err err = {0};
    tm_edits_sort(&edits);
    ck_assert_int_eq(tm_body_encode(&edits, &body, &err), TM_E_CORRUPT);
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected), "body: %s: number 1 is out of order, or there twice",
            list_names[_i]);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_uint_eq(body.len, 0);
    tm_edits_done(&edits);
}
END_TEST

/* Each field of a row's key decides, in its turn. */
START_TEST(sorting_goes_by_every_leading_field)
{
    struct tm_edits edits = {.full = true};
    static const char *const texts[] = {"a", "aa", "b"};
    struct tm_row_point *point = tm_vec_push(&edits.points);
    struct tm_row_pack *pack = tm_vec_push(&edits.packs);
    enum { ROWS = 27 };
    point->group_count = ROWS;
    point->groups = tm_arena_alloc(&edits.arena, ROWS, sizeof(*point->groups));
    pack->run_count = ROWS;
    pack->runs = tm_arena_alloc(&edits.arena, ROWS, sizeof(*pack->runs));
    for (size_t i = 0; i < ROWS; i++) {
        size_t row = i * 10 % ROWS; /* every combination of three values, out of order */
        size_t x = row / 9;
        size_t y = row / 3 % 3;
        size_t z = row % 3;
        *tm_vec_push(&edits.writers) = (struct tm_row_writer){
                tm_slice_str(texts[x]), tm_slice_str(texts[y]), tm_slice_str(texts[z]), 0};
        *tm_vec_push(&edits.gaps) = (struct tm_row_gap){(uint32_t)x, (int32_t)y, (int64_t)z, 1, 1};
        point->groups[i] = (struct tm_row_group){
                .group = tm_slice_str(texts[x]), .stream = (uint32_t)y, .partition = (int32_t)z};
        pack->runs[i] = (struct tm_run){.stream = (uint32_t)x,
                .partition = (int32_t)y,
                .first = (int64_t)z,
                .length = 1,
                .count = 1,
                .bytes = 1,
                .largest = 1};
        if (z == 0) {
            *tm_vec_push(&edits.keeps) =
                    (struct tm_row_keep){(uint32_t)x, tm_slice_str(texts[y]), 1};
            *tm_vec_push(&edits.tails) =
                    (struct tm_row_tail){.stream = (uint32_t)x, .partition = (int32_t)y};
        }
    }
    tm_edits_sort(&edits);
    for (size_t i = 0; i < ROWS; i++) {
        uint32_t x = (uint32_t)i / 9;
        int32_t y = (int32_t)i / 3 % 3;
        int64_t z = (int64_t)i % 3;
        ck_assert(tm_slice_is(edits.writers.at[i].cluster_id, texts[x]));
        ck_assert(tm_slice_is(edits.writers.at[i].policy, texts[y]));
        ck_assert(tm_slice_is(edits.writers.at[i].writer, texts[z]));
        ck_assert(edits.gaps.at[i].stream == x && edits.gaps.at[i].partition == y);
        ck_assert_int_eq(edits.gaps.at[i].from, z);
        ck_assert(tm_slice_is(point->groups[i].group, texts[x]));
        ck_assert_int_eq(point->groups[i].stream, y);
        ck_assert_int_eq(point->groups[i].partition, z);
        ck_assert(pack->runs[i].stream == x && pack->runs[i].partition == y);
        ck_assert_int_eq(pack->runs[i].first, z);
    }
    TM_BUF_OWN struct tm_buf body = {0};
    body_of(&edits, &body);
    struct tm_row_gap first = edits.gaps.at[0];
    edits.gaps.at[0] = edits.gaps.at[1];
    edits.gaps.at[1] = first;
    tm_buf_clear(&body);
    struct tm_err err = {0};
    ck_assert_int_eq(tm_body_encode(&edits, &body, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "body: gaps: number 1 is out of order, or there twice");
    tm_edits_done(&edits);
}
END_TEST

START_TEST(a_body_out_of_order_is_refused)
{
    static const struct {
        struct tm_slice bytes;
        const char *message;
    } bodies[] = {
            {TEXT("\0\0\0"
                  "\0\0\0\0\2\4\3\0\0\0\0\0\0"),
                    "body: points gone: number 1 is out of order, or there twice"},
            {TEXT("\0\0\0"
                  "\0\0\0\0\2\3\3\0\0\0\0\0\0"),
                    "body: points gone: number 1 is out of order, or there twice"},
            {TEXT("\0\0\0"
                  "\2\1b\0\1a\0\0\0\0\0\0\0\0\0\0\0"),
                    "body: params: number 1 is out of order, or there twice"},
    };
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        struct tm_edits back = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(tm_body_decode(bodies[i].bytes, false, &back, &err), TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, bodies[i].message);
        ck_assert_ptr_null(back.params.at);
    }
}
END_TEST

/* Bounds ------------------------------------------------------------------------------------- */

struct rows { /* one row of each kind that has bounds */
    struct tm_row_point *point;
    struct tm_row_part part;
    struct tm_row_group group;
    struct tm_row_mark *mark;
    struct tm_run runs[2];
    struct tm_row_gap *gap;
    struct tm_row_tail *tail;
};

static void good_rows(struct tm_edits *edits, struct rows *rows)
{
    rows->point = tm_vec_push(&edits->points);
    rows->part = (struct tm_row_part){.start = 5, .end = 10, .lso = 9, .high_watermark = 11};
    rows->group = (struct tm_row_group){.offset = 3};
    rows->point->parts = &rows->part;
    rows->point->part_count = 1;
    rows->point->groups = &rows->group;
    rows->point->group_count = 1;
    rows->mark = tm_vec_push(&edits->marks);
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    rows->runs[0] = (struct tm_run){
            .first = 10, .length = 5, .count = 2, .bytes = 9, .largest = 6, .ts_max = 1};
    rows->runs[1] = rows->runs[0];
    rows->runs[1].first = 15;
    pack->runs = rows->runs;
    pack->run_count = 2;
    rows->gap = tm_vec_push(&edits->gaps);
    *rows->gap = (struct tm_row_gap){.from = 3, .length = 4, .reason = TM_GAP_UNKNOWN};
    rows->tail = tm_vec_push(&edits->tails);
    *rows->tail = (struct tm_row_tail){.next = 20, .covered = 20, .back = 3, .leader_epoch = -1};
}

/* clang-format off */
#define BOUNDS(X) \
    X(point->flags = 15,                       NULL) \
    X(point->flags = 16,                       "a point with a flag that is not known") \
    X(part.partition = -1,                     "a point's partition is out of bounds") \
    X(part.start = -1,                         "a point's partition is out of bounds") \
    X(part.start = 11,                         "a point's partition is out of bounds") \
    X(part.start = 10,                         NULL) \
    X(part.end = INT64_MAX,                    NULL) \
    X(part.lso = INT64_MIN,                    "a point's watermarks are out of bounds") \
    X(part.high_watermark = INT64_MIN,         "a point's watermarks are out of bounds") \
    X(part.lso = INT64_MIN + 10,               NULL) \
    X(part.status = (enum tm_part_status)3,    "a point's partition is out of bounds") \
    X(group.partition = -1,                    "a group's offset is out of bounds") \
    X(group.offset = -2,                       "a group's offset is out of bounds") \
    X(group.offset = -1,                       NULL) \
    X(group.offset = INT64_MAX,                "a group's offset is out of bounds") \
    X(group.offset = INT64_MAX - 1,            NULL) \
    X(mark->hold_until_ms = -2,                "a hold's end is out of bounds") \
    X(mark->hold_until_ms = INT64_MAX,         NULL) \
    X(runs[0].partition = -1,                  "a partition below 0") \
    X(runs[0].first = -1,                      "a run's offsets are no range") \
    X(runs[0].length = 0,                      "a run's offsets are no range") \
    X(runs[0].length = 6,                      "a pack's runs overlap") \
    X(runs[1].length = INT64_MAX - 14,         "a run's offsets are no range") \
    X(runs[1].length = INT64_MAX - 15,         NULL) \
    X(runs[0].count = 0,                       "a run's count of records does not fit its length") \
    X(runs[0].count = 6,                       "a run's count of records does not fit its length") \
    X(runs[0].largest = 0,                     "a run's largest record does not fit its bytes") \
    X(runs[0].largest = 10,                    "a run's largest record does not fit its bytes") \
    X(runs[0].ts_max = -1,                     "a run's timestamps are no range") \
    X(gap->partition = -1,                     "a gap's offsets are no range") \
    X(gap->from = -1,                          "a gap's offsets are no range") \
    X(gap->length = 0,                         "a gap's offsets are no range") \
    X(gap->length = INT64_MAX - 2,             "a gap's offsets are no range") \
    X(gap->length = INT64_MAX - 3,             NULL) \
    X(gap->reason = (enum tm_gap_reason)0,     "a gap's reason is not known") \
    X(gap->reason = (enum tm_gap_reason)8,     "a gap's reason is not known") \
    X(tail->partition = -1,                    "a tail is out of bounds") \
    X(tail->next = -1,                         "a tail is out of bounds") \
    X(tail->covered = -1,                      "a tail is out of bounds") \
    X(tail->back = -1,                         "a tail is out of bounds") \
    X(tail->back = 21,                         "a tail is out of bounds") \
    X(tail->back = 20,                         NULL) \
    X(tail->leader_epoch = -2,                 "a tail is out of bounds") \
    X(tail->leader_epoch = INT32_MAX,          NULL)
/* clang-format on */

#define COUNT_BOUND(edit, message) +1
enum { BOUNDS_COUNT = 0 BOUNDS(COUNT_BOUND) };

START_TEST(numbers_out_of_bounds_are_refused)
{
    struct tm_edits edits = {0};
    struct rows rows;
    good_rows(&edits, &rows);
    const char *expected = NULL;
    const char *edited = NULL;
    int number = 0;
#define APPLY_BOUND(edit, message) \
    if (number++ == _i) { \
        rows.edit; \
        expected = (message); \
        edited = #edit; \
    }
    BOUNDS(APPLY_BOUND)
    TM_BUF_OWN struct tm_buf body = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_body_encode(&edits, &body, &err);
    if (expected == NULL) {
        ck_assert_msg(code == TM_OK, "%s: %s", edited, err.msg);
        struct tm_edits back = {0};
        ck_assert_msg(tm_body_decode(tm_buf_slice(&body), false, &back, &err) == TM_OK, "%s: %s",
                edited, err.msg);
        TM_BUF_OWN struct tm_buf told = {0};
        TM_BUF_OWN struct tm_buf told_back = {0};
        tell_edits(&told, &edits);
        tell_edits(&told_back, &back);
        ck_assert_str_eq(tm_buf_text(&told), tm_buf_text(&told_back));
        tm_edits_done(&back);
    } else {
        ck_assert_int_eq(code, TM_E_CORRUPT);
        ck_assert_msg(strncmp(err.msg, "body: ", 6) == 0 && strcmp(err.msg + 6, expected) == 0,
                "%s: %s", edited, err.msg);
        ck_assert_uint_eq(body.len, 0);
    }
    tm_edits_done(&edits);
}
END_TEST

/* clang-format off */
static const struct {
    struct tm_slice bytes; /* behind time, writer and policy */
    const char *message;
} bad_bodies[] = {
    {TEXT(""),                                    "body: cut short at byte 3"},
    {TEXT("\0\0\0\0\0\0\0\0\0\0\0\0"),            "body: trailing bytes at byte 14"},
    {TEXT("\6\0\0\0\0\0\0\0\0\0\0"),              "body: count larger than what follows at byte 3"},
    {TEXT("\0\377\377\377\377\377\377\377\377\377\1"), "body: count larger than what follows at byte 4"},
    {TEXT("\0\0\0\0\0\0\0\0\0\1\0\0\0\1\10"),       "body: a gap's reason that is not known at byte 18"},
    {TEXT("\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0"),      "body: a gap's reason is not known"},
    {TEXT("\0\0\1\200\200\200\200\20\1p\1"),      "body: number larger than 32 bits at byte 11"},
    {TEXT("\0\0\0\0\0\0\0\0\0\1\0\200\200\200\200\10\1\1\1"),
                                                  "body: partition larger than 31 bits at byte 19"},
    {TEXT("\0\0\0\0\0\0\0\0\0\0\1\0\0\5\0\1\201\200\200\200\10\0" U1),
                                                  "body: leader epoch larger than 31 bits at byte 24"},
    {TEXT("\1\377\377\4\0\0\0\0\0\0\0\0\0\0\0"),  "body: text longer than 65535 bytes at byte 4"},
};
/* clang-format on */

START_TEST(a_body_that_cannot_be_is_refused)
{
    TM_BUF_OWN struct tm_buf body = {0};
    tm_buf_add(&body, "\0\0\0", 3);
    tm_buf_add(&body, bad_bodies[_i].bytes.at, bad_bodies[_i].bytes.len);
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_body_decode(tm_buf_slice(&body), false, &back, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, bad_bodies[_i].message);
}
END_TEST

START_TEST(a_partition_whose_end_overflows_is_refused)
{
    struct tm_edits edits = {0};
    struct rows rows;
    good_rows(&edits, &rows);
    rows.part.start = 0x3fff; /* two bytes, easily found */
    rows.part.end = 0x3fff;
    rows.part.lso = rows.part.high_watermark = 0x3fff;
    TM_BUF_OWN struct tm_buf body = {0};
    body_of(&edits, &body);
    uint8_t *at = memmem(body.at, body.len, "\xff\x7f\0\0\0\0", 6);
    ck_assert_ptr_nonnull(at);
    TM_BUF_OWN struct tm_buf forged = {0};
    tm_buf_add(&forged, body.at, (size_t)(at - body.at) + 2);
    tm_buf_add_v(&forged, INT64_MAX);
    tm_buf_add(&forged, at + 3, body.len - (size_t)(at + 3 - body.at));
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_body_decode(tm_buf_slice(&forged), false, &back, &err), TM_E_CORRUPT);
    ck_assert(strncmp(err.msg, "body: offset larger than 63 bits at byte ", 41) == 0);
    tm_edits_done(&edits);
}
END_TEST

START_TEST(each_kind_has_its_lists)
{
    TM_BUF_OWN struct tm_buf body = {0};
    for (int list = 0; list < 15; list++) {
        for (int full = 0; full < 2; full++) {
            struct tm_edits edits = {.full = full == 1};
            two_rows(&edits, list);
            edits.params.count /= 2; /* one row is enough, and whole */
            edits.streams.count /= 2;
            edits.keeps.count /= 2;
            edits.points.count /= 2;
            edits.points_gone.count /= 2;
            edits.marks.count /= 2;
            edits.packs.count /= 2;
            edits.packs_gone.count /= 2;
            edits.sweep.count /= 2;
            edits.gaps.count = 0; /* a zeroed one cannot be */
            edits.tails.count /= 2;
            edits.dropped.count /= 2;
            edits.moved.count /= 2;
            edits.swept.count /= 2;
            edits.writers.count /= 2;
            bool removes = list == 4 || list == 7 || list == 8;
            const char *expected =
                    full == 1 ? (removes ? "body: a full removes something" : "")
                              : (list > 10 ? "body: a delta holds lists of a full" : "");
            struct tm_err err = {0};
            tm_buf_clear(&body);
            enum tm_code code = tm_body_encode(&edits, &body, &err);
            ck_assert_str_eq(err.msg, expected);
            ck_assert_int_eq(code, *expected == '\0' ? TM_OK : TM_E_CORRUPT);
            tm_edits_done(&edits);
        }
    }
}
END_TEST

START_TEST(a_text_has_its_limit)
{
    static char longest[65537];
    memset(longest, 'x', sizeof(longest) - 1);
    for (size_t len = 65535; len <= 65536; len++) {
        struct tm_edits edits = {.writer = tm_slice_of(longest, len)};
        TM_BUF_OWN struct tm_buf body = {0};
        tm_buf_add_text(&body, "before");
        struct tm_err err = {0};
        enum tm_code code = tm_body_encode(&edits, &body, &err);
        ck_assert_int_eq(code, len == 65535 ? TM_OK : TM_E_LIMIT);
        ck_assert_str_eq(err.msg, code == TM_OK ? "" : "body: a text longer than 65535 bytes");
        ck_assert(code == TM_OK || body.len == 6);
        ck_assert_mem_eq(body.at, "before", 6);
        tm_edits_done(&edits);
    }
}
END_TEST

START_TEST(gap_reasons_have_the_names_of_the_api)
{
    static const char *const names[] = {"no-records", "source-retention", "source-delete",
            "unknown", "skipped", "lost-in-vault", "corrupt-on-broker"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        ck_assert_str_eq(tm_gap_reason_name((enum tm_gap_reason)(i + 1)), names[i]);
    }
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("body");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, any_edits_read_back, 0, 60);
    tcase_add_loop_test(tcase, rows_of_the_fewest_bytes_read_back, 0, SMALLEST_LISTS);
    tcase_add_loop_test(tcase, nested_rows_of_the_fewest_bytes_read_back, 0, 5);
    tcase_add_test(tcase, a_delta_is_what_the_format_says);
    tcase_add_test(tcase, a_full_carries_the_hash_of_its_state);
    tcase_add_loop_test(tcase, no_cut_or_flipped_body_is_taken_for_another, 0, 6);
    tcase_add_loop_test(tcase, a_row_that_is_there_twice_is_refused, 0, (int)LENGTH(list_names));
    tcase_add_test(tcase, sorting_goes_by_every_leading_field);
    tcase_add_test(tcase, a_body_out_of_order_is_refused);
    tcase_add_loop_test(tcase, numbers_out_of_bounds_are_refused, 0, BOUNDS_COUNT);
    tcase_add_loop_test(tcase, a_body_that_cannot_be_is_refused, 0, (int)LENGTH(bad_bodies));
    tcase_add_test(tcase, a_partition_whose_end_overflows_is_refused);
    tcase_add_test(tcase, each_kind_has_its_lists);
    tcase_add_test(tcase, a_text_has_its_limit);
    tcase_add_test(tcase, gap_reasons_have_the_names_of_the_api);

    Suite *suite = suite_create("body");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
