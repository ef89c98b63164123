/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz tm_block_open(): hostile frames behind a good authenticator. What it accepts can be walked to
 * the end, and the walk agrees with the index row.
 *
 * Input: flags, number of runs, per run v partition, v first, v length, v count, v bytes, v largest,
 * z ts_min, z ts_max; v length of the positions frame, the positions; the rest is the content.
 */
#include "base/rd.h"
#include "codec/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RUNS_MAX = 4, SIZE_MAX_IN = 1 << 16 };

static const struct tm_id16 vault_id = {{1, 2, 3}};

/* Made once: inputs differ in frames alone. */
static struct tm_ring *ring;
static struct tm_data_key *key;
static struct tm_block_tools *tools;

static void set_up(void)
{
    if (ring == NULL) {
        uint8_t stored[TM_SEALED_KEY];
        tm_codec_init();
        ring = tm_ring_new(0);
        key = tm_data_key_new(ring, 1, stored);
        tools = tm_block_tools_new();
    }
}

static void read_run(struct tm_rd *rd, struct tm_run *run)
{
    *run = (struct tm_run){
            .partition = (int32_t)(tm_rd_v(rd) & INT32_MAX),
            .first = tm_rd_v63(rd),
            .length = tm_rd_v63(rd),
            .count = tm_rd_v63(rd),
            .bytes = tm_rd_v63(rd),
            .largest = tm_rd_v63(rd),
    };
    run->ts_min = tm_rd_z(rd);
    run->ts_max = tm_rd_z(rd);
}

static void seal(
        enum tm_frame_kind kind, struct tm_slice plain, struct tm_frame *frame, struct tm_buf *out)
{
    *frame =
            (struct tm_frame){.counter = kind, .stored = plain.len + TM_AEAD_TAG, .raw = plain.len};
    tm_frame_seal(key, &vault_id, kind, kind, plain, out);
}

static void walk(const struct tm_block_view *view, size_t index)
{
    const struct tm_run *run = &view->info->runs[index].run;
    struct tm_block_iter iter;
    struct tm_record record;
    int64_t count = 0;
    int64_t bytes = 0;
    int64_t next = run->first;
    TM_BUF_OWN struct tm_buf canonical = {0};
    tm_block_iter_init(&iter, view, index);
    while (tm_block_iter_next(&iter, &record)) {
        tm_assert(record.offset >= next && record.offset < run->first + run->length);
        tm_assert(record.timestamp_ms >= run->ts_min && record.timestamp_ms <= run->ts_max);
        next = record.offset + 1;
        count++;
        tm_buf_clear(&canonical);
        tm_record_encode(&record, &canonical);
        bytes += (int64_t)canonical.len;
        tm_assert(tm_slice_eq(tm_block_iter_canonical(&iter), tm_buf_slice(&canonical)));
    }
    tm_assert(count == run->count && bytes == run->bytes);
    tm_block_iter_done(&iter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    struct tm_rd rd = tm_rd_of(tm_slice_of(data, size));
    struct tm_block_run runs[RUNS_MAX] = {0};
    struct tm_block_info info = {.flags = tm_rd_u8(&rd), .runs = runs};
    info.run_count = tm_rd_u8(&rd) % (RUNS_MAX + 1);
    for (size_t i = 0; i < info.run_count; i++) {
        read_run(&rd, &runs[i].run);
    }
    size_t positions_len = tm_rd_count(&rd, 1);
    struct tm_slice positions = tm_rd_bytes(&rd, positions_len);
    struct tm_slice content = tm_rd_bytes(&rd, tm_rd_left(&rd));
    if (!tm_rd_ok(&rd) || size > SIZE_MAX_IN) {
        return 0;
    }

    TM_BUF_OWN struct tm_buf sealed_positions = {0};
    TM_BUF_OWN struct tm_buf sealed_content = {0};
    seal(TM_FRAME_POSITIONS, positions, &info.positions, &sealed_positions);
    seal(TM_FRAME_CONTENT, content, &info.content, &sealed_content);
    struct tm_open_options options = {
            .vault_id = &vault_id,
            .positions_key = key,
            .content_key = key,
            .content_frame = &info.content,
    };
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    if (tm_block_open(&info, &options, tm_buf_slice(&sealed_positions),
                tm_buf_slice(&sealed_content), tools, &view, &err) == TM_OK) {
        for (size_t i = 0; i < info.run_count; i++) {
            walk(&view, i);
        }
    } else {
        tm_assert(err.code == TM_E_CORRUPT && view.info == NULL);
    }
    tm_block_view_done(&view);
    return 0;
}
