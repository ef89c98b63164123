/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/block: what goes into a block comes out of it. */
#include "block_sample.h"

/* Everything that is told of a run, from the sample. */
static void assert_run_of_sample(
        const struct tm_block *block, size_t index, size_t first_record, size_t count)
{
    struct tm_run run = tm_block_run(block, index);
    const struct tm_record *last = &sample.records[first_record + count - 1];
    int64_t bytes = 0;
    int64_t largest = 0;
    int64_t ts_min = INT64_MAX;
    int64_t ts_max = INT64_MIN;
    for (size_t i = first_record; i < first_record + count; i++) {
        const struct tm_record *record = &sample.records[i];
        int64_t length = (int64_t)tm_record_length(record);
        bytes += length;
        largest = length > largest ? length : largest;
        ts_min = record->timestamp_ms < ts_min ? record->timestamp_ms : ts_min;
        ts_max = record->timestamp_ms > ts_max ? record->timestamp_ms : ts_max;
    }
    ck_assert_int_eq(run.partition, sample.partitions[first_record]);
    ck_assert_uint_eq((size_t)run.count, count);
    ck_assert_int_eq(run.bytes, bytes);
    ck_assert_int_eq(run.largest, largest);
    ck_assert_int_eq(run.ts_min, ts_min);
    ck_assert_int_eq(run.ts_max, ts_max);

    TM_BUF_OWN struct tm_buf canonical = {0};
    tm_record_encode(last, &canonical);
    struct tm_id16 tag = tm_ring_tag(fix.ring, 1, tm_buf_slice(&canonical));
    struct tm_tail tail = tm_block_tail(block, index);
    ck_assert_int_eq(tail.offset, last->offset);
    ck_assert_int_eq(tail.timestamp_ms, last->timestamp_ms);
    ck_assert_int_eq(tail.leader_epoch, last->leader_epoch);
    ck_assert(tm_id16_eq(&tail.tag, &tag));
}

/* Walk run `index` and compare with `count` records of the sample; proof and bytes too. */
static void assert_walk(const struct tm_block_view *view, size_t index, const size_t *records)
{
    const struct tm_block_run *row = &view->info->runs[index];
    TM_OWN(tm_proof_free) struct tm_proof *proof = tm_proof_new(fix.ring, 1);
    struct tm_block_iter iter;
    tm_block_iter_init(&iter, view, index);
    struct tm_record record;
    int64_t walked = 0;
    while (tm_block_iter_next(&iter, &record)) {
        const struct tm_record *expected = &sample.records[records[walked]];
        ck_assert_int_eq(record.offset, expected->offset);
        ck_assert_msg(tm_record_same(&record, expected), "record %zu", records[walked]);
        TM_BUF_OWN struct tm_buf canonical = {0};
        tm_record_encode(expected, &canonical);
        ck_assert(tm_slice_eq(tm_block_iter_canonical(&iter), tm_buf_slice(&canonical)));
        struct tm_id16 tag = tm_ring_tag(fix.ring, 1, tm_buf_slice(&canonical));
        tm_proof_add(proof, record.timestamp_ms, &tag);
        walked++;
    }
    ck_assert_int_eq(walked, row->run.count);
    ck_assert(!tm_block_iter_next(&iter, &record)); /* the end stays the end */
    struct tm_id16 digest = tm_proof_take(proof);
    ck_assert(tm_id16_eq(&digest, &row->proof));
    tm_block_iter_done(&iter);
}

static size_t numbers[RECORDS_MAX]; /* 0, 1, 2 ... */

static void fill_numbers(void)
{
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        numbers[i] = i;
    }
}

/* Round trips -------------------------------------------------------------------------------- */

/* Any records, in runs with holes before, between and behind them. */
START_TEST(a_block_gives_back_what_went_in)
{
    fill_pool((uint64_t)_i);
    fill_numbers();
    enum types types = (enum types)(_i % TYPES);
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, &tm_block_params_default, 5);
    size_t starts[8] = {0};
    size_t runs = 1 + (size_t)below(4);
    int64_t ends[8];
    int32_t partition = 0;
    for (size_t run = 0; run < runs; run++) {
        int64_t first = run == 0 && below(2) == 0 ? INT64_MAX - 100000 : (int64_t)below(1000);
        partition += 1 + (int32_t)below(3);
        starts[run] = sample.count;
        tm_block_begin(block, partition, first);
        int64_t next = first;
        size_t records = 1 + (size_t)below(60);
        for (size_t i = 0; i < records; i++) {
            int64_t offset = next + (below(3) == 0 ? (int64_t)below(300) : 0);
            ck_assert(!tm_block_add(block, add_to_sample(partition, offset, types)));
            next = offset + 1;
        }
        ends[run] = next + (int64_t)below(50);
        tm_block_extend(block, ends[run]);
    }
    starts[runs] = sample.count;
    ck_assert_uint_eq(tm_block_runs(block), runs);
    ck_assert_uint_eq((size_t)tm_block_records(block), sample.count);
    ck_assert_uint_eq(tm_block_stream(block), 5);

    struct tm_sealed sealed = sealed_of(block, _i % 2 == 0 ? 0 : 3);
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_msg(open_sealed(&sealed, &view, &err) == TM_OK, "%s", err.msg);
    ck_assert_uint_eq(sealed.info.run_count, runs);
    for (size_t run = 0; run < runs; run++) {
        struct tm_run said = sealed.info.runs[run].run;
        ck_assert_int_eq(said.first + said.length, ends[run]);
        ck_assert_uint_eq(said.stream, 5);
        assert_run_of_sample(block, run, starts[run], starts[run + 1] - starts[run]);
        assert_walk(&view, run, numbers + starts[run]);
    }
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

START_TEST(flags_tell_the_timestamp_types)
{
    static const struct {
        enum tm_timestamp_type types[3];
        unsigned flags;
    } cases[] = {
            {{TM_TIMESTAMP_CREATE, TM_TIMESTAMP_CREATE, TM_TIMESTAMP_CREATE}, 0},
            {{TM_TIMESTAMP_NONE, TM_TIMESTAMP_NONE, TM_TIMESTAMP_NONE}, 0},
            {{TM_TIMESTAMP_NONE, TM_TIMESTAMP_CREATE, TM_TIMESTAMP_NONE}, 0},
            {{TM_TIMESTAMP_APPEND, TM_TIMESTAMP_APPEND, TM_TIMESTAMP_APPEND}, TM_BLOCK_LOG_APPEND},
            {{TM_TIMESTAMP_APPEND, TM_TIMESTAMP_CREATE, TM_TIMESTAMP_APPEND}, TM_BLOCK_MIXED_TYPES},
            {{TM_TIMESTAMP_APPEND, TM_TIMESTAMP_NONE, TM_TIMESTAMP_APPEND}, TM_BLOCK_MIXED_TYPES},
    };
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, &tm_block_params_default, 1);
    tm_block_begin(block, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        enum tm_timestamp_type type = cases[_i].types[i];
        struct tm_record record = {.offset = (int64_t)i,
                .timestamp_ms = type == TM_TIMESTAMP_NONE ? -1 : 5,
                .timestamp_type = type};
        (void)tm_block_add(block, &record);
    }
    struct tm_sealed sealed = sealed_of(block, 1);
    ck_assert_uint_eq(sealed.info.flags, cases[_i].flags);
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_OK);
    struct tm_block_iter iter;
    struct tm_record record;
    tm_block_iter_init(&iter, &view, 0);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(tm_block_iter_next(&iter, &record));
        ck_assert_int_eq(record.timestamp_type, cases[_i].types[i]);
    }
    tm_block_iter_done(&iter);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

START_TEST(ten_thousand_headers_come_back)
{
    enum { MANY = 10000 };
    struct tm_header *headers = tm_xalloc(MANY, sizeof(*headers));
    for (size_t i = 0; i < MANY; i++) {
        headers[i].name = tm_slice_str(i % 2 == 0 ? "same" : "");
        headers[i].value = i % 3 == 0 ? TM_SLICE_NULL : tm_slice_str("v");
    }
    struct tm_record record = {.timestamp_ms = -1, .headers = headers, .header_count = MANY};
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, &tm_block_params_default, 1);
    tm_block_begin(block, 0, 0);
    ck_assert(!tm_block_add(block, &record));
    struct tm_sealed sealed = sealed_of(block, 1);
    ck_assert_uint_eq(sealed.info.content.codec, 1);
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_OK);
    struct tm_block_iter iter;
    struct tm_record back;
    tm_block_iter_init(&iter, &view, 0);
    ck_assert(tm_block_iter_next(&iter, &back) && tm_record_same(&record, &back));
    tm_block_iter_done(&iter);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
    free(headers);
}
END_TEST

START_TEST(the_last_offset_there_is_can_be_stored)
{
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, &tm_block_params_default, 1);
    struct tm_record record = {.offset = INT64_MAX - 1, .timestamp_ms = -1};
    tm_block_begin(block, INT32_MAX, 0);
    ck_assert(!tm_block_add(block, &record));
    struct tm_run run = tm_block_run(block, 0);
    ck_assert_int_eq(run.length, INT64_MAX);
    struct tm_sealed sealed = sealed_of(block, 1);
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_msg(open_sealed(&sealed, &view, &err) == TM_OK, "%s", err.msg);
    struct tm_block_iter iter;
    struct tm_record back;
    tm_block_iter_init(&iter, &view, 0);
    ck_assert(tm_block_iter_next(&iter, &back));
    ck_assert_int_eq(back.offset, INT64_MAX - 1);
    tm_block_iter_done(&iter);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

/* Two frames under one key need two nonces; what does not shrink is stored as it is. */
START_TEST(frames_say_how_they_are_stored)
{
    fill_pool(7);
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, &tm_block_params_default, 1);
    tm_block_begin(block, 0, 0);
    for (int64_t i = 0; i < 500; i++) {
        struct tm_record record = {.offset = i,
                .timestamp_ms = 1000 + i,
                .timestamp_type = TM_TIMESTAMP_CREATE,
                .value = tm_slice_of(pool, 200)};
        (void)tm_block_add(block, &record);
    }
    struct tm_sealed sealed = sealed_of(block, 1);
    const struct tm_frame *frames[] = {&sealed.info.positions, &sealed.info.content};
    for (size_t i = 0; i < LENGTH(frames); i++) {
        ck_assert_uint_eq(frames[i]->key, 3);
        ck_assert_uint_eq(frames[i]->counter, 40 + i);
        ck_assert_uint_eq(frames[i]->codec, 1);
        ck_assert_uint_lt(frames[i]->stored, frames[i]->raw);
    }
    ck_assert_uint_eq(sealed.info.positions.raw, 1000);
    ck_assert_uint_eq(sealed.info.content.raw, tm_block_bytes(block));
    ck_assert_uint_eq(sealed.positions.len, sealed.info.positions.stored);
    ck_assert_uint_eq(sealed.content.len, sealed.info.content.stored);
    tm_sealed_done(&sealed);

    TM_OWN(tm_block_free)
    struct tm_block *tiny = tm_block_new(fix.ring, &tm_block_params_default, 1);
    struct tm_record record = {.timestamp_ms = -1};
    tm_block_begin(tiny, 0, 0);
    (void)tm_block_add(tiny, &record);
    sealed = sealed_of(tiny, 19);
    ck_assert_uint_eq(sealed.info.content.codec, 0);
    ck_assert_uint_eq(sealed.info.content.stored, 3 + TM_AEAD_TAG);
    ck_assert_uint_eq(sealed.info.positions.stored, 2 + TM_AEAD_TAG);
    tm_sealed_done(&sealed);
}
END_TEST

/* Solo blocks -------------------------------------------------------------------------------- */

START_TEST(a_large_value_is_a_block_of_its_own)
{
    static const struct {
        size_t value_len;
        bool null;
        bool solo;
    } values[] = {{511, false, false}, {512, false, true}, {513, false, true}, {0, true, false}};
    struct tm_slice value = tm_slice_of(pool, values[_i].value_len);
    struct tm_record record = {.value = values[_i].null ? TM_SLICE_NULL : value};
    ck_assert_int_eq(tm_block_wants_solo(&small, &record), values[_i].solo);
}
END_TEST

START_TEST(a_solo_block_gives_back_its_record)
{
    fill_pool((uint64_t)_i);
    sample.count = 0;
    fill_numbers();
    struct tm_record *record = &sample.records[0];
    make_record(record, sample.headers[0], _i % 2 == 0 ? TYPES_CREATE : TYPES_APPEND);
    record->value = tm_slice_of(pool, 512 + (size_t)below(3000));
    record->offset = 17;
    sample.partitions[0] = 2;
    sample.count = 1;

    TM_OWN(tm_block_free) struct tm_block *block = tm_block_new(fix.ring, &small, 1);
    tm_block_begin(block, 2, 10);
    ck_assert(tm_block_add(block, record));
    struct tm_sealed sealed = sealed_of(block, _i % 3);
    unsigned flags = TM_BLOCK_SOLO | TM_BLOCK_HAS_ID |
                     (record->timestamp_type == TM_TIMESTAMP_APPEND ? TM_BLOCK_LOG_APPEND : 0U);
    ck_assert_uint_eq(sealed.info.flags, flags);
    ck_assert_uint_eq(sealed.info.content.raw, record->value.len);
    assert_run_of_sample(block, 0, 0, 1);

    uint8_t named[17] = {'s'};
    struct tm_id16 tag = tm_ring_tag(fix.ring, 1, record->value);
    memcpy(named + 1, tag.bytes, sizeof(tag.bytes));
    struct tm_hash expected = tm_ring_content_id(fix.ring, 1, tm_slice_of(named, sizeof(named)));
    ck_assert(tm_hash_eq(&sealed.info.content_id, &expected));

    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_msg(open_sealed(&sealed, &view, &err) == TM_OK, "%s", err.msg);
    assert_walk(&view, 0, numbers);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

/* A block whose content is elsewhere: positions of its own, content of the other one. */
START_TEST(foreign_content_is_read_with_its_own_locator)
{
    fill_pool(3);
    sample.count = 0;
    fill_numbers();
    struct tm_block_params params = small;
    params.block_mean = 1;
    struct tm_sealed sealed[2];
    for (int copy = 0; copy < 2; copy++) {
        fill_pool(3);
        sample.count = 0;
        TM_OWN(tm_block_free) struct tm_block *block = tm_block_new(fix.ring, &params, 1);
        tm_block_begin(block, copy, copy * 1000);
        int64_t offset = copy * 1000;
        while (!tm_block_add(block, add_to_sample(copy, offset, TYPES_MIXED))) {
            offset += 1 + copy;
        }
        struct tm_seal_options options = seal_options(1);
        options.counter = 40 + 2 * (uint64_t)copy;
        options.foreign = copy == 1;
        struct tm_err err = {0};
        sealed[copy] = (struct tm_sealed){0};
        ck_assert_int_eq(tm_block_seal(block, &options, fix.tools, &sealed[copy], &err), TM_OK);
    }
    ck_assert(tm_hash_eq(&sealed[0].info.content_id, &sealed[1].info.content_id));
    ck_assert_uint_eq(sealed[1].content.len, 0);
    ck_assert_uint_eq(sealed[1].info.flags & (TM_BLOCK_FOREIGN | TM_BLOCK_HAS_ID),
            TM_BLOCK_FOREIGN | TM_BLOCK_HAS_ID);

    struct tm_open_options options = {
            .vault_id = &vault_id,
            .positions_key = fix.key,
            .content_key = fix.key,
            .content_frame = &sealed[0].info.content,
    };
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_block_open(&sealed[1].info, &options, tm_buf_slice(&sealed[1].positions),
                          tm_buf_slice(&sealed[0].content), fix.tools, &view, &err) == TM_OK,
            "%s", err.msg);
    assert_walk(&view, 0, numbers);

    struct tm_frame other = sealed[0].info.content;
    other.raw--;
    options.content_frame = &other;
    ck_assert_int_eq(tm_block_open(&sealed[1].info, &options, tm_buf_slice(&sealed[1].positions),
                             tm_buf_slice(&sealed[0].content), fix.tools, &view, &err),
            TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "block: the content's length is not the sum of the runs' bytes");
    ck_assert_ptr_null(view.info);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed[0]);
    tm_sealed_done(&sealed[1]);
}
END_TEST

/* Joins -------------------------------------------------------------------------------------- */

/* Blocks of one run each, joined in any order, are one block with the runs in order. */
START_TEST(joined_blocks_hold_all_runs_in_order)
{
    enum { BLOCKS = 6 };
    fill_pool((uint64_t)_i + 50);
    sample.count = 0;
    fill_numbers();
    struct tm_block *blocks[BLOCKS];
    size_t starts[BLOCKS + 1];
    for (size_t b = 0; b < BLOCKS; b++) {
        starts[b] = sample.count;
        blocks[b] = tm_block_new(fix.ring, &tm_block_params_default, 1);
        int32_t partition = (int32_t)(b / 2); /* two runs of each partition */
        int64_t offset = (int64_t)(b % 2) * 100;
        tm_block_begin(blocks[b], partition, offset);
        for (size_t n = 1 + (size_t)below(30); n > 0; n--) {
            (void)tm_block_add(blocks[b], add_to_sample(partition, offset++, TYPES_MIXED));
        }
    }
    starts[BLOCKS] = sample.count;
    size_t order[BLOCKS] = {0, 1, 2, 3, 4, 5};
    for (size_t i = BLOCKS - 1; i > 0 && _i > 0; i--) { /* pass 0 joins them as they are */
        size_t j = (size_t)below(i + 1);
        size_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    struct tm_block *all = blocks[order[0]];
    for (size_t i = 1; i < BLOCKS; i++) {
        struct tm_block *from = blocks[order[i]];
        tm_block_join(all, from);
        ck_assert_uint_eq(tm_block_runs(from), 0);
        ck_assert_uint_eq(tm_block_bytes(from), 0);
        ck_assert_int_eq(tm_block_records(from), 0);
        tm_block_free(from);
    }
    ck_assert_uint_eq(tm_block_runs(all), BLOCKS);
    struct tm_sealed sealed = sealed_of(all, 1);
    ck_assert_uint_eq(sealed.info.flags & TM_BLOCK_HAS_ID, 0);
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_msg(open_sealed(&sealed, &view, &err) == TM_OK, "%s", err.msg);
    for (size_t run = 0; run < BLOCKS; run++) {
        assert_run_of_sample(all, run, starts[run], starts[run + 1] - starts[run]);
        assert_walk(&view, run, numbers + starts[run]);
    }
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
    tm_block_free(all);
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("block");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, a_block_gives_back_what_went_in, 0, 60);
    tcase_add_loop_test(tcase, flags_tell_the_timestamp_types, 0, 6);
    tcase_add_test(tcase, ten_thousand_headers_come_back);
    tcase_add_test(tcase, the_last_offset_there_is_can_be_stored);
    tcase_add_test(tcase, frames_say_how_they_are_stored);
    tcase_add_loop_test(tcase, a_large_value_is_a_block_of_its_own, 0, 4);
    tcase_add_loop_test(tcase, a_solo_block_gives_back_its_record, 0, 12);
    tcase_add_test(tcase, foreign_content_is_read_with_its_own_locator);
    tcase_add_loop_test(tcase, joined_blocks_hold_all_runs_in_order, 0, 10);

    Suite *suite = suite_create("block");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
