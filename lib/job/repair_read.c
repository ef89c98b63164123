/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "job/claim.h"
#include "job/repair_run.h"
#include "kafka/reader.h"

enum { REQUEST_MS = 30 * 1000, WAIT_MS = 200 };

/* What Kafka holds of a stretch, as it is read. */
struct reading {
    const struct repair_stretch *stretch;
    const struct tm_ring *ring;
    struct tm_proof *proof; /* NULL: nothing to compare with */
    struct tm_buf canonical;
    struct tm_run sum;        /* count, bytes, largest and times of what was read */
    struct repair_sink *sink; /* NULL: only look */
};

/* The topic that a stream comes from, as it is now. */
struct source {
    struct tm_kafka *kafka;
    const char *topic;
    bool compacted;
};

static enum tm_code take(
        struct reading *reading, const struct tm_record *record, struct tm_err *err)
{
    int64_t bytes = (int64_t)tm_record_length(record);
    struct tm_run *sum = &reading->sum;
    sum->count++;
    sum->bytes += bytes;
    sum->largest = bytes > sum->largest ? bytes : sum->largest;
    sum->ts_min = record->timestamp_ms < sum->ts_min ? record->timestamp_ms : sum->ts_min;
    sum->ts_max = record->timestamp_ms > sum->ts_max ? record->timestamp_ms : sum->ts_max;
    if (reading->proof != NULL) {
        tm_buf_clear(&reading->canonical);
        tm_record_encode(record, &reading->canonical);
        struct tm_id16 tag = tm_ring_tag(
                reading->ring, reading->stretch->epoch, tm_buf_slice(&reading->canonical));
        tm_proof_add(reading->proof, record->timestamp_ms, &tag);
    }
    return reading->sink != NULL ? tm_repair_sink_add(reading->sink, record, err) : TM_OK;
}

/* Read [from, end of the run) of the partition. */
static enum tm_code read_range(struct repair_pack *at, const struct source *source,
        struct reading *reading, int64_t from, struct tm_err *err)
{
    const struct tm_run *run = &reading->stretch->run;
    struct tm_reader_options options = {.topic = source->topic};
    TM_OWN(tm_reader_free) struct tm_reader *reader = NULL;
    struct tm_read_event event = {0};
    TM_TRY(tm_reader_new(source->kafka, &options, &reader, err));
    TM_TRY(tm_reader_start(reader, run->partition, from, run->first + run->length, err));
    for (;;) {
        tm_reader_next(reader, WAIT_MS, &event);
        if (event.kind == TM_READ_RECORD) {
            TM_TRY(take(reading, &event.record, err));
        } else if (event.kind == TM_READ_END) {
            return TM_OK;
        } else if (event.kind == TM_READ_FAILED) {
            *err = event.err;
            return err->code;
        }
        if (tm_job_cancelled(at->run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled while a repair read from Kafka");
        }
        int64_t deadline_ns = at->run->options->deadline_ns;
        if (deadline_ns != 0 && tm_mono_ns() >= deadline_ns) {
            return tm_err_set(err, TM_E_TIMEOUT, "the repair's time was over");
        }
    }
}

/* Like read_range(), while no other job reads the topic. */
static enum tm_code read_claimed(struct repair_pack *at, const struct source *source,
        struct reading *reading, int64_t from, struct tm_err *err)
{
    struct tm_claim claim = {source->kafka, source->topic, at->run};
    TM_TRY(tm_claim_topic(&claim, at->run->env->cancel, at->run->options->deadline_ns, err));
    enum tm_code code = read_range(at, source, reading, from, err);
    tm_claim_release(&claim);
    return code;
}

static enum tm_code read_stretch(struct repair_pack *at, const struct source *source,
        struct repair_stretch *stretch, struct repair_sink *sink, struct tm_run *sum,
        struct tm_id16 *proof, struct tm_err *err)
{
    struct reading reading = {
            .stretch = stretch,
            .ring = tm_vault_ring(at->run->options->vault),
            .sum = {.ts_min = INT64_MAX, .ts_max = INT64_MIN},
            .sink = sink,
    };
    if (stretch->has_proof) {
        reading.proof = tm_proof_new(reading.ring, stretch->epoch);
    }
    enum tm_code code = read_claimed(at, source, &reading, stretch->from, err);
    if (reading.proof != NULL) {
        *proof = tm_proof_take(reading.proof);
    }
    *sum = reading.sum;
    tm_proof_free(reading.proof);
    tm_buf_done(&reading.canonical);
    return code;
}

/* The source ------------------------------------------------------------------------------- */

static bool is_compacted(struct tm_kafka *kafka, const char *topic, struct tm_arena *arena)
{
    struct tm_topic_config config = {.topic = topic};
    struct tm_err ignored = {0}; /* a cluster that does not tell is taken for one that keeps all */
    if (tm_kafka_topic_configs(kafka, &config, 1, REQUEST_MS, arena, &ignored) != TM_OK ||
            config.code != TM_OK) {
        return false;
    }
    for (size_t i = 0; i < config.set_count; i++) {
        if (strcmp(config.set[i].name, "cleanup.policy") == 0) {
            return strstr(config.set[i].value, "compact") != NULL;
        }
    }
    return false;
}

/* NULL: Kafka's topic is the one that the stream came from; else why it is not, or cannot be asked. */
static const char *why_not_topic(
        struct tm_kafka *kafka, const struct tm_stream *stream, const char *name)
{
    struct tm_topic_list list = {0};
    struct tm_err err = {0};
    const char *why = "the cluster has no topic of this name any more";
    if (tm_kafka_topics(kafka, REQUEST_MS, &list, &err) != TM_OK ||
            tm_kafka_topic_ids(kafka, REQUEST_MS, &list, &err) != TM_OK) {
        tm_topic_list_done(&list);
        return "the cluster does not answer";
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct tm_topic_info *info = &list.at[i];
        if (strcmp(info->name, name) != 0) {
            continue;
        }
        bool other = info->has_id && !tm_id16_is_zero(&stream->topic_id) &&
                     !tm_id16_eq(&info->id, &stream->topic_id);
        why = other ? "the topic was deleted and created again" : NULL;
        why = info->code != TM_OK ? "the cluster does not describe the topic" : why;
        break;
    }
    tm_topic_list_done(&list);
    return why;
}

/* NULL: the stretch may be read again from `source`; else why not. */
static const char *find_source(struct repair_pack *at, const struct tm_stream *stream,
        struct source *source, struct tm_err *err)
{
    const struct tm_repair_options *options = at->run->options;
    struct tm_stream newest;
    if (stream == NULL || options->kafka == NULL) {
        return "no cluster is there to be asked";
    }
    source->kafka = options->kafka(options->kafka_arg, stream->cluster_id);
    if (source->kafka == NULL) {
        return "no cluster with the stream's cluster id is configured";
    }
    if (tm_catalog_stream(options->catalog, stream->cluster_id, stream->topic, &at->arena, &newest,
                err) != TM_OK) {
        return "";
    }
    if (newest.id != stream->id) {
        return "the topic was deleted and created again";
    }
    source->topic = tm_arena_str(&at->arena, stream->topic);
    const char *why = why_not_topic(source->kafka, stream, source->topic);
    if (why == NULL) {
        source->compacted = is_compacted(source->kafka, source->topic, &at->arena);
    }
    return why;
}

/* Asking ----------------------------------------------------------------------------------- */

static bool is_same(
        const struct repair_stretch *stretch, const struct tm_run *sum, const struct tm_id16 *proof)
{
    const struct tm_run *run = &stretch->run;
    return stretch->from == run->first && sum->count == run->count && sum->bytes == run->bytes &&
           sum->largest == run->largest && sum->ts_min == run->ts_min &&
           sum->ts_max == run->ts_max &&
           (!stretch->has_proof || tm_id16_eq(&stretch->proof, proof));
}

/* May it be what is left of the records that were stored? */
static bool is_rest(
        const struct repair_stretch *stretch, const struct source *source, const struct tm_run *sum)
{
    const struct tm_run *run = &stretch->run;
    bool fewer_expected = source->compacted || stretch->from > run->first;
    return fewer_expected && sum->count > 0 && sum->count <= run->count &&
           sum->largest <= run->largest && sum->ts_min >= run->ts_min && sum->ts_max <= run->ts_max;
}

static void judge(struct repair_stretch *stretch, const struct source *source,
        const struct tm_run *sum, const struct tm_id16 *proof)
{
    stretch->records = sum->count;
    stretch->identical = is_same(stretch, sum, proof);
    stretch->taken = stretch->identical || is_rest(stretch, source, sum);
    if (stretch->identical) {
        stretch->why = NULL;
    } else if (stretch->from > stretch->run.first) {
        stretch->why = "Kafka no longer holds all of it: the log starts above";
    } else if (stretch->taken) {
        stretch->why = "the topic is compacted, and has fewer records by now";
    } else {
        stretch->why = sum->count == 0 ? "Kafka holds no record of it any more"
                                       : "Kafka holds other records there";
    }
}

static enum tm_code ask_stretch(struct repair_pack *at, const struct source *source,
        struct repair_stretch *stretch, struct tm_err *err)
{
    const struct tm_run *run = &stretch->run;
    struct tm_offsets row = {.topic = source->topic, .partition = run->partition};
    struct tm_err why = {0};
    int64_t end = run->first + run->length;
    struct tm_run sum;
    struct tm_id16 proof = {{0}};
    if (tm_kafka_offsets(source->kafka, &row, 1, REQUEST_MS, &why) != TM_OK || row.code != TM_OK) {
        stretch->why = "the cluster does not tell the partition's offsets";
        return TM_OK;
    }
    if (row.high_watermark < end) {
        stretch->why = "Kafka's log ends below it: truncated or created again";
        return TM_OK;
    }
    stretch->from = row.log_start > run->first ? row.log_start : run->first;
    if (stretch->from >= end) {
        stretch->why = "Kafka no longer holds it: the log starts above";
        return TM_OK;
    }
    enum tm_code code = read_stretch(at, source, stretch, NULL, &sum, &proof, &why);
    if (code == TM_E_CANCELLED) {
        *err = why;
        return code;
    }
    if (code != TM_OK) {
        stretch->why = tm_arena_strdup(at->run->arena, why.msg);
        return TM_OK;
    }
    judge(stretch, source, &sum, &proof);
    return TM_OK;
}

/* Sources are asked for once a stream; stretches are in order of stream. */
enum tm_code tm_repair_ask(struct repair_pack *at, struct tm_err *err)
{
    uint32_t stream = 0;
    struct source source = {0};
    const char *why = NULL;
    for (size_t i = 0; i < at->lost.count; i++) {
        struct repair_stretch *stretch = &at->lost.at[i];
        if (stretch->run.stream != stream) {
            stream = stretch->run.stream;
            why = find_source(at, tm_verify_stream(&at->run->streams, stream), &source, err);
            TM_TRY(err->code);
        }
        stretch->why = why;
        if (why == NULL) {
            TM_TRY(ask_stretch(at, &source, stretch, err));
        }
    }
    return TM_OK;
}

enum tm_code tm_repair_fetch(struct repair_pack *at, struct tm_err *err)
{
    const struct tm_repair_options *options = at->run->options;
    for (size_t i = 0; i < at->lost.count; i++) {
        struct repair_stretch *stretch = &at->lost.at[i];
        const struct tm_stream *stream = tm_verify_stream(&at->run->streams, stretch->run.stream);
        if (!stretch->taken) {
            continue;
        }
        struct source source = {
                .kafka = options->kafka(options->kafka_arg, stream->cluster_id),
                .topic = tm_arena_str(&at->arena, stream->topic),
        };
        struct repair_sink sink = {
                .packer = at->packer,
                .ring = tm_vault_ring(options->vault),
                .stream = stretch->run.stream,
                .partition = stretch->run.partition,
                .next = stretch->from,
        };
        struct tm_run sum;
        struct tm_id16 proof = {{0}};
        enum tm_code code = read_stretch(at, &source, stretch, &sink, &sum, &proof, err);
        bool same =
                stretch->identical ? is_same(stretch, &sum, &proof) : sum.count == stretch->records;
        if (code == TM_OK && !same) {
            code = tm_err_set(err, TM_E_CONFLICT,
                    "topic %s partition %" PRId32
                    ": its records changed while they were read again",
                    source.topic, stretch->run.partition);
        }
        if (code == TM_OK) {
            code = tm_repair_sink_end(&sink, stretch->run.first + stretch->run.length, err);
        }
        tm_block_free(sink.open);
        TM_TRY(code);
        at->row.records_read += sum.count;
    }
    return TM_OK;
}
