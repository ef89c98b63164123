/* SPDX-License-Identifier: Apache-2.0 */
#include "job/export.h"

#include <inttypes.h>

#include "base/fault.h"
#include "job/chosen.h"
#include "job/record_json.h"

enum {
    CHUNK_BYTES = 256 << 10, /* handed to the sink at once, but for one large record */
    LOOK_RECORDS = 512,      /* between looks at cancel */
    TMVX_VERSION = 1,
    LENGTH_BYTES = 4,
};

/* A partition to be exported. */
struct plan_part {
    const struct tm_stream *stream;
    const char *topic;
    bool begins; /* the topic's first */
    struct tm_chosen_range *range;
};

struct export_run {
    const struct tm_export_options *options;
    struct tm_job_env *env;
    struct tm_export_result *result;
    struct tm_pack_cache *cache;
    struct tm_arena arena;
    TM_VEC(struct plan_part) plan;
    struct tm_buf out;       /* not handed to the sink yet */
    struct tm_buf canonical; /* of the record in hand */
};

/* What was given of a partition since the last mark, digested. */
struct checker {
    const struct tm_ring *ring;
    struct tm_proof *proof;
    uint32_t epoch;
    int64_t count;
    int64_t first; /* offset of the first one */
    size_t marks;  /* compared so far */
};

void tm_export_result_done(struct tm_export_result *result)
{
    tm_vec_done(&result->parts);
    tm_arena_done(&result->arena);
}

/* The plan ------------------------------------------------------------------------------------ */

static bool takes_partition(const struct tm_export_options *options, int32_t partition)
{
    bool taken = options->partition_count == 0;
    for (size_t i = 0; !taken && i < options->partition_count; i++) {
        taken = options->partitions[i] == partition;
    }
    return taken;
}

static enum tm_code plan_part(struct export_run *run, const struct tm_stream *stream,
        const struct tm_row_part *row, bool begins, struct tm_err *err)
{
    const struct tm_export_options *options = run->options;
    struct plan_part part = {
            .stream = stream, .topic = tm_arena_str(&run->arena, stream->topic), .begins = begins};
    struct tm_chosen_part chosen = {.stream = stream,
            .partition = row->partition,
            .start = row->start > options->from ? row->start : options->from,
            .end = row->end < options->until ? row->end : options->until};
    chosen.end = chosen.end > chosen.start ? chosen.end : chosen.start;
    part.range = tm_arena_alloc(&run->arena, 1, sizeof(*part.range));
    enum tm_code code = tm_chosen_range(
            options->catalog, options->choice, &chosen, &run->arena, part.range, err);
    if (code == TM_OK && !options->continue_on_gap) {
        code = tm_chosen_need_whole(part.range, err);
    }
    part.range->source.exact = true;
    *tm_vec_push(&run->plan) = part;
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s/%" PRId32, part.topic, row->partition);
}

static enum tm_code plan_topic(
        struct export_run *run, const struct tm_stream *stream, struct tm_err *err)
{
    const struct tm_row_point *point = &run->options->point->row;
    bool begins = true;
    for (size_t i = 0; i < point->part_count; i++) {
        if (point->parts[i].stream == stream->id &&
                takes_partition(run->options, point->parts[i].partition)) {
            TM_TRY(plan_part(run, stream, &point->parts[i], begins, err));
            begins = false;
        }
    }
    run->result->topics += begins ? 0 : 1;
    return TM_OK;
}

static int by_topic(const void *left, const void *right)
{
    const struct tm_stream *const *a = left;
    const struct tm_stream *const *b = right;
    return tm_slice_cmp((*a)->topic, (*b)->topic);
}

static enum tm_code make_plan(struct export_run *run, struct tm_err *err)
{
    const struct tm_point *point = run->options->point;
    const struct tm_stream **streams =
            tm_arena_alloc(&run->arena, point->stream_count + 1, sizeof(struct tm_stream *));
    size_t count = 0;
    for (size_t i = 0; i < point->stream_count; i++) {
        const char *topic = tm_arena_str(&run->arena, point->streams[i].topic);
        if (run->options->select == NULL || tm_select_matches(run->options->select, topic)) {
            streams[count++] = &point->streams[i];
        }
    }
    qsort(streams, count, sizeof(struct tm_stream *), by_topic);
    for (size_t i = 0; i < count; i++) {
        TM_TRY(plan_topic(run, streams[i], err));
    }
    return run->plan.count > 0 ? TM_OK
                               : tm_err_set(err, TM_E_MISSING,
                                         "the recovery point has no topic and partition of those "
                                         "that are asked for");
}

/* Records ------------------------------------------------------------------------------------- */

static enum tm_code flush(struct export_run *run, struct tm_err *err)
{
    const struct tm_export_sink *sink = &run->options->sink;
    if (run->out.len > 0) {
        TM_TRY(sink->write(sink->arg, tm_buf_slice(&run->out), err));
        if (run->out.capacity > 16 * (size_t)CHUNK_BYTES) {
            tm_buf_done(&run->out); /* one record's room is not kept for the rest */
        }
        tm_buf_clear(&run->out);
    }
    return TM_OK;
}

static enum tm_code begin_topic(
        struct export_run *run, const struct plan_part *part, struct tm_err *err)
{
    const struct tm_export_sink *sink = &run->options->sink;
    TM_TRY(flush(run, err));
    TM_TRY(sink->topic(sink->arg, part->topic, err));
    if (run->options->format == TM_EXPORT_BINARY) {
        tm_buf_add(&run->out, "TMVX", 4);
        tm_buf_add_u16(&run->out, TMVX_VERSION);
        tm_buf_add_str(&run->out, part->stream->cluster_id);
        tm_buf_add_str(&run->out, part->stream->topic);
    }
    return TM_OK;
}

/* The length goes before what it counts. */
static void add_binary(struct export_run *run, int32_t partition, const struct tm_record *record)
{
    size_t at = run->out.len;
    tm_buf_add_u32(&run->out, 0);
    tm_buf_add_v(&run->out, (uint64_t)partition);
    tm_buf_add_v(&run->out, (uint64_t)record->offset);
    tm_buf_add_z(&run->out, record->timestamp_ms);
    tm_buf_add_u8(&run->out, record->timestamp_type == TM_TIMESTAMP_APPEND ? 1 : 0);
    tm_buf_add(&run->out, run->canonical.at, run->canonical.len);
    size_t length = run->out.len - at - LENGTH_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        run->out.at[at + i] = (uint8_t)(length >> (8 * i));
    }
}

static enum tm_code give_record(struct export_run *run, const struct plan_part *part,
        const struct tm_record *record, struct tm_err *err)
{
    if (run->options->format == TM_EXPORT_BINARY) {
        add_binary(run, part->range->source.partition, record);
    } else {
        tm_record_json_add(part->topic, part->range->source.partition, record, NULL, &run->out);
        tm_buf_add_u8(&run->out, '\n');
    }
    return run->out.len >= CHUNK_BYTES ? flush(run, err) : TM_OK;
}

static void digest_record(struct export_run *run, struct checker *checker, uint32_t epoch,
        const struct tm_record *record)
{
    if (checker->proof == NULL || checker->epoch != epoch) {
        tm_proof_free(checker->proof);
        checker->proof = tm_proof_new(checker->ring, epoch);
        checker->epoch = epoch;
    }
    checker->first = checker->count == 0 ? record->offset : checker->first;
    checker->count++;
    tm_buf_clear(&run->canonical);
    tm_record_encode(record, &run->canonical);
    struct tm_id16 tag = tm_ring_tag(checker->ring, epoch, tm_buf_slice(&run->canonical));
    tm_proof_add(checker->proof, record->timestamp_ms, &tag);
}

/* The source has left a mark: what was given up to there must arrive at it. */
static enum tm_code check_mark(
        struct checker *checker, const struct tm_source *source, int64_t last, struct tm_err *err)
{
    const tm_source_marks *marks = tm_source_marks_of(source);
    if (checker->marks == marks->count) {
        return TM_OK;
    }
    const struct tm_source_mark *mark = &marks->at[checker->marks++];
    struct tm_id16 digest = tm_proof_take(checker->proof);
    bool same = checker->marks == marks->count && checker->count == mark->count &&
                checker->epoch == mark->epoch && tm_id16_eq(&digest, &mark->proof);
    checker->count = 0;
    return same ? TM_OK
                : tm_err_set(err, TM_E_CORRUPT,
                          "offsets %" PRId64 " to %" PRId64
                          ": the records differ from their content proof",
                          checker->first, last);
}

static void count_record(struct export_run *run, struct tm_export_part *line,
        const struct tm_record *record, size_t bytes)
{
    line->first_offset = line->records == 0 ? record->offset : line->first_offset;
    line->last_offset = record->offset;
    line->records++;
    line->bytes += (int64_t)bytes;
    atomic_fetch_add_explicit(&run->env->progress->done_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(
            &run->env->progress->done_bytes, (int64_t)bytes, memory_order_relaxed);
}

static enum tm_code pump(struct export_run *run, const struct plan_part *part,
        struct tm_source *source, struct tm_export_part *line, struct checker *checker,
        struct tm_err *err)
{
    struct tm_record record;
    bool more = true;
    for (;;) {
        TM_TRY(tm_source_next(source, &record, &more, err));
        TM_TRY(check_mark(checker, source, line->last_offset, err));
        if (!more) {
            return TM_OK;
        }
        if (TM_FAULT_FAILS("job.export.altered")) {
            record.timestamp_ms++;
        }
        digest_record(run, checker, tm_source_epoch(source), &record);
        TM_TRY(give_record(run, part, &record, err));
        count_record(run, line, &record, run->canonical.len);
        TM_FAULT("job.export.record");
        if (line->records % LOOK_RECORDS == 0 && tm_job_cancelled(run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
    }
}

static enum tm_code export_part(
        struct export_run *run, const struct plan_part *part, struct tm_err *err)
{
    struct tm_export_part line = {.topic = tm_arena_strdup(&run->result->arena, part->topic),
            .partition = part->range->source.partition,
            .first_offset = -1,
            .last_offset = -1};
    struct checker checker = {.ring = tm_vault_ring(run->options->vault)};
    TM_OWN(tm_source_free) struct tm_source *source = NULL;
    enum tm_code code = tm_chosen_open(run->options->vault, run->cache, part->range, &source, err);
    code = code == TM_OK ? pump(run, part, source, &line, &checker, err) : code;
    tm_proof_free(checker.proof);
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s/%" PRId32, part->topic, part->range->source.partition);
    }
    run->result->records += line.records;
    run->result->bytes += line.bytes;
    *tm_vec_push(&run->result->parts) = line;
    return TM_OK;
}

static enum tm_code export_all(struct export_run *run, struct tm_err *err)
{
    TM_TRY(make_plan(run, err));
    TM_TRY(tm_pack_cache_follow(run->cache, run->options->catalog, err));
    atomic_store(&run->env->progress->phase, TM_PHASE_READING);
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct plan_part *part = &run->plan.at[i];
        if (part->begins) {
            TM_TRY(begin_topic(run, part, err));
        }
        TM_TRY(export_part(run, part, err));
    }
    return flush(run, err);
}

enum tm_code tm_export_run(const struct tm_export_options *options, struct tm_job_env *env,
        struct tm_export_result *out, struct tm_err *err)
{
    TM_TRY(tm_vault_need_read(options->vault, err));
    struct export_run run = {.options = options, .env = env, .result = out};
    run.cache = tm_pack_cache_new(options->vault);
    enum tm_code code = export_all(&run, err);
    tm_pack_cache_free(run.cache);
    tm_vec_done(&run.plan);
    tm_buf_done(&run.out);
    tm_buf_done(&run.canonical);
    tm_arena_done(&run.arena);
    atomic_store(&env->progress->phase, TM_PHASE_DONE);
    return code;
}
