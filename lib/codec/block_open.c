/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/block_impl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "codec/varint.h"

enum { POSITION_BYTES_MIN = 2, SOLO_PREFIX_MIN = 2 };

/* Index rows --------------------------------------------------------------------------------- */

const char *tm_run_check(const struct tm_run *run)
{
    if (run->partition < 0) {
        return "a partition below 0";
    }
    if (run->first < 0 || run->length < 1 || run->length > INT64_MAX - run->first) {
        return "a run's offsets are no range";
    }
    if (run->count < 1 || run->count > run->length) {
        return "a run's count of records does not fit its length";
    }
    if (run->largest < 1 || run->largest > run->bytes) {
        return "a run's largest record does not fit its bytes";
    }
    return run->ts_min > run->ts_max ? "a run's timestamps are no range" : NULL;
}

/* What only a block's runs must fulfil: the numbers are those of its frames. */
static const char *check_run_sums(const struct tm_run *run)
{
    const char *bad = tm_run_check(run);
    if (bad != NULL) {
        return bad;
    }
    int64_t least = 0;
    if (__builtin_mul_overflow(run->count, (int64_t)TM_CANONICAL_MIN, &least) ||
            run->bytes < least || run->largest < TM_CANONICAL_MIN) {
        return "a run holds fewer bytes than its records need";
    }
    int64_t most = 0;
    if (!__builtin_mul_overflow(run->count, run->largest, &most) && run->bytes > most) {
        return "a run holds more bytes than its records can have";
    }
    return run->bytes > TM_FRAME_BYTES_MAX ? "a run larger than 2 GiB" : NULL;
}

static const char *check_flags(const struct tm_block_info *info)
{
    if ((info->flags & ~(unsigned)TM_BLOCK_FLAGS) != 0) {
        return "a flag that is not known";
    }
    if ((info->flags & TM_BLOCK_LOG_APPEND) != 0 && (info->flags & TM_BLOCK_MIXED_TYPES) != 0) {
        return "mixed timestamp types, and one type for all";
    }
    if (info->run_count == 0) {
        return "it has no run";
    }
    bool one_run = (info->flags & (TM_BLOCK_SOLO | TM_BLOCK_FOREIGN | TM_BLOCK_HAS_ID)) != 0;
    if (one_run && info->run_count != 1) {
        return "several runs where one must be";
    }
    if ((info->flags & TM_BLOCK_SOLO) != 0 &&
            (info->runs[0].run.count != 1 || (info->flags & TM_BLOCK_MIXED_TYPES) != 0)) {
        return "more than one record, and solo";
    }
    return NULL;
}

static const char *check_frame(const struct tm_frame *frame)
{
    if (frame->raw > TM_FRAME_BYTES_MAX) {
        return "a frame larger than 2 GiB";
    }
    if (frame->stored < TM_AEAD_TAG) {
        return "a frame shorter than its authenticator";
    }
    uint64_t inner = frame->stored - TM_AEAD_TAG;
    if (frame->codec == TM_FRAME_RAW) {
        return inner != frame->raw ? "a raw frame's two lengths differ" : NULL;
    }
    if (frame->codec != TM_FRAME_ZSTD) {
        return "a codec that is not known";
    }
    return inner >= frame->raw ? "a compressed frame that is not smaller" : NULL;
}

const char *tm_content_frame_check(const struct tm_block_info *info, const struct tm_frame *content)
{
    const char *bad = check_frame(content);
    if (bad != NULL) {
        return bad;
    }
    if ((info->flags & TM_BLOCK_SOLO) != 0) {
        uint64_t tail = tm_varint_length(content->raw + 1) + content->raw;
        bool fits = (uint64_t)info->runs[0].run.bytes >= tail + SOLO_PREFIX_MIN;
        return fits ? NULL : "a solo record smaller than its value";
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < info->run_count; i++) {
        bytes += (uint64_t)info->runs[i].run.bytes; /* each below 2^31, their count below 2^32 */
    }
    return bytes != content->raw ? "the content's length is not the sum of the runs' bytes" : NULL;
}

/* Every run, and its place among the others; `records` becomes the sum of their counts. */
static const char *check_runs(const struct tm_block_info *info, uint64_t *records)
{
    *records = 0;
    for (size_t i = 0; i < info->run_count; i++) {
        const struct tm_run *run = &info->runs[i].run;
        const char *bad = check_run_sums(run);
        if (bad != NULL) {
            return bad;
        }
        if (i > 0 && run->stream != info->runs[i - 1].run.stream) {
            return "runs of more than one stream";
        }
        if (i > 0 && !tm_run_follows(&info->runs[i - 1].run, run)) {
            return "runs out of order, or that overlap";
        }
        *records += (uint64_t)run->count;
    }
    return NULL;
}

const char *tm_block_info_check(const struct tm_block_info *info)
{
    uint64_t records = 0;
    const char *bad = check_flags(info);
    bad = bad != NULL ? bad : check_runs(info, &records);
    bad = bad != NULL ? bad : check_frame(&info->positions);
    if (bad == NULL && info->positions.raw < records * POSITION_BYTES_MIN) {
        bad = "positions shorter than the records need";
    }
    if (bad == NULL && (info->flags & TM_BLOCK_FOREIGN) == 0) {
        bad = tm_content_frame_check(info, &info->content);
    }
    return bad;
}

/* Frames ------------------------------------------------------------------------------------- */

/* A frame to be opened. */
struct opening {
    const struct tm_data_key *key;
    const struct tm_id16 *vault_id;
    enum tm_frame_kind kind;
    const struct tm_frame *frame;
    struct tm_slice sealed;
};

static enum tm_code unseal(const struct opening *job, struct tm_block_tools *tools,
        struct tm_buf *out, struct tm_err *err)
{
    const struct tm_frame *frame = job->frame;
    if (job->sealed.len != frame->stored) {
        return tm_err_set(err, TM_E_CORRUPT, "%zu bytes, not the %" PRIu64 " of its index row",
                job->sealed.len, frame->stored);
    }
    if (out->capacity > TM_TOOLS_KEEP && frame->raw < TM_TOOLS_KEEP) {
        tm_buf_done(out);
    }
    bool raw = frame->codec == TM_FRAME_RAW;
    struct tm_buf *opened = raw ? out : &tools->opened;
    tm_buf_clear(out);
    tm_buf_clear(opened);
    enum tm_code code = tm_frame_open(
            job->key, job->vault_id, job->kind, frame->counter, job->sealed, opened, err);
    if (code == TM_OK && !raw) {
        code = tm_zstd_unpack(tools->zstd, tm_buf_slice(opened), (size_t)frame->raw, out, err);
    }
    if (code == TM_OK && out->len != frame->raw) {
        code = tm_err_set(
                err, TM_E_CORRUPT, "%zu bytes when opened, not %" PRIu64, out->len, frame->raw);
    }
    return code;
}

/* Checks of what was opened ------------------------------------------------------------------ */

/* The readers of both frames, at the run that is looked at. */
struct walk {
    struct tm_rd positions;
    struct tm_rd content;
};

static size_t place(const struct tm_rd *rd)
{
    return (size_t)(rd->at - rd->start);
}

static void check_offsets(struct tm_rd *rd, const struct tm_run *run)
{
    int64_t next = run->first;
    int64_t end = run->first + run->length;
    for (int64_t i = 0; i < run->count && tm_rd_ok(rd); i++) {
        uint64_t skipped = tm_rd_v(rd);
        if (skipped >= (uint64_t)(end - next)) {
            tm_rd_fail(rd, "an offset outside of its run");
            return;
        }
        next += (int64_t)skipped + 1;
    }
}

static void check_stamps(struct tm_rd *rd, const struct tm_run *run)
{
    uint64_t stamp = (uint64_t)run->ts_min;
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;
    for (int64_t i = 0; i < run->count && tm_rd_ok(rd); i++) {
        stamp += (uint64_t)tm_rd_z(rd);
        least = (int64_t)stamp < least ? (int64_t)stamp : least;
        most = (int64_t)stamp > most ? (int64_t)stamp : most;
    }
    if (tm_rd_ok(rd) && (least != run->ts_min || most != run->ts_max)) {
        tm_rd_fail(rd, "timestamps are not those of the index row");
    }
}

static void check_types(struct tm_rd *rd, const struct tm_run *run)
{
    struct tm_slice bits = tm_rd_bytes(rd, ((size_t)run->count + 7) / 8);
    unsigned used = (unsigned)(run->count % 8);
    if (tm_rd_ok(rd) && used != 0 && bits.at[bits.len - 1] >> used != 0) {
        tm_rd_fail(rd, "bits behind the last timestamp type");
    }
}

static void check_records(struct tm_rd *rd, const struct tm_run *run)
{
    const uint8_t *start = rd->at;
    int64_t largest = 0;
    for (int64_t i = 0; i < run->count && tm_rd_ok(rd); i++) {
        const uint8_t *record = rd->at;
        tm_record_skip(rd);
        largest = rd->at - record > largest ? rd->at - record : largest;
    }
    if (tm_rd_ok(rd) && (rd->at - start != run->bytes || largest != run->largest)) {
        tm_rd_fail(rd, "records' lengths are not those of the index row");
    }
}

/* A solo record's headers and key lie in the positions; the content is its value. */
static void check_solo(struct walk *walk, const struct tm_run *run)
{
    size_t start = place(&walk->positions);
    tm_record_headers_skip(&walk->positions);
    size_t prefix = place(&walk->positions) - start;
    size_t value = tm_rd_left(&walk->content);
    (void)tm_rd_bytes(&walk->content, value);
    size_t bytes = prefix + tm_varint_length((uint64_t)value + 1) + value;
    if (tm_rd_ok(&walk->positions) && (int64_t)bytes != run->bytes) {
        tm_rd_fail(&walk->positions, "the record's length is not that of the index row");
    }
}

static void check_run(struct walk *walk, const struct tm_block_info *info, const struct tm_run *run,
        struct tm_run_place *where)
{
    *where = (struct tm_run_place){
            .offsets = place(&walk->positions), .content = place(&walk->content)};
    check_offsets(&walk->positions, run);
    where->stamps = place(&walk->positions);
    check_stamps(&walk->positions, run);
    where->types = place(&walk->positions);
    if ((info->flags & TM_BLOCK_MIXED_TYPES) != 0) {
        check_types(&walk->positions, run);
    }
    if ((info->flags & TM_BLOCK_SOLO) != 0) {
        check_solo(walk, run);
    } else {
        check_records(&walk->content, run);
    }
    where->end = place(&walk->positions);
}

static enum tm_code check_frames(
        const struct tm_block_info *info, struct tm_block_view *view, struct tm_err *err)
{
    if (view->place_capacity < info->run_count) {
        view->places = tm_xgrow(view->places, info->run_count, sizeof(*view->places));
        view->place_capacity = info->run_count;
    }
    struct walk walk = {
            .positions = tm_rd_of(tm_buf_slice(&view->positions)),
            .content = tm_rd_of(tm_buf_slice(&view->content)),
    };
    for (size_t i = 0; i < info->run_count; i++) {
        check_run(&walk, info, &info->runs[i].run, &view->places[i]);
        if (!tm_rd_ok(&walk.positions) || !tm_rd_ok(&walk.content)) {
            break;
        }
    }
    /* A failed frame makes the other one's rest unread: the failure is the one to be told. */
    if (!tm_rd_ok(&walk.content)) {
        return tm_rd_finish(&walk.content, "block: content", err);
    }
    enum tm_code code = tm_rd_finish(&walk.positions, "block: positions", err);
    return code == TM_OK ? tm_rd_finish(&walk.content, "block: content", err) : code;
}

/* Views -------------------------------------------------------------------------------------- */

void tm_block_view_done(struct tm_block_view *view)
{
    tm_buf_done(&view->positions);
    tm_buf_done(&view->content);
    free(view->places);
    *view = (struct tm_block_view){0};
}

/* NOLINTNEXTLINE(readability-function-size): seven parameters, each needed */
enum tm_code tm_block_open(const struct tm_block_info *info, const struct tm_open_options *options,
        struct tm_slice positions, struct tm_slice content, struct tm_block_tools *tools,
        struct tm_block_view *view, struct tm_err *err)
{
    bool foreign = (info->flags & TM_BLOCK_FOREIGN) != 0;
    tm_assert(!foreign || options->content_frame != NULL);
    const struct tm_frame *content_frame = foreign ? options->content_frame : &info->content;
    view->info = NULL;

    const char *bad = tm_block_info_check(info);
    if (bad == NULL && foreign) {
        bad = tm_content_frame_check(info, content_frame);
    }
    if (bad != NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "block: %s", bad);
    }
    struct opening job = {
            .key = options->positions_key,
            .vault_id = options->vault_id,
            .kind = TM_FRAME_POSITIONS,
            .frame = &info->positions,
            .sealed = positions,
    };
    if (unseal(&job, tools, &view->positions, err) != TM_OK) {
        return tm_err_wrap(err, "block: positions");
    }
    job.key = options->content_key;
    job.kind = TM_FRAME_CONTENT;
    job.frame = content_frame;
    job.sealed = content;
    if (unseal(&job, tools, &view->content, err) != TM_OK) {
        return tm_err_wrap(err, "block: content");
    }
    tm_block_tools_trim(tools);
    enum tm_code code = check_frames(info, view, err);
    view->info = code == TM_OK ? info : NULL;
    return code;
}
