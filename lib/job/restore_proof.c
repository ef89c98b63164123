/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "job/claim.h"
#include "job/restore_run.h"
#include "kafka/reader.h"

enum { WAIT_MS = 200, LOOK_RECORDS = 512 /* between looks at cancel */ };

/* Walking a target partition beside the marks that its records must arrive at. */
struct check {
    struct restore_run *run;
    struct restore_part *part;
    struct tm_proof *proof;
    uint32_t epoch;
    size_t mark;
    int64_t in_mark;    /* records seen of that mark */
    int64_t mark_begin; /* target offset of its first one */
    struct tm_buf bytes;
    bool differs;
};

static void fail_check(struct check *check, int64_t end, const char *what)
{
    char detail[200];
    (void)snprintf(detail, sizeof(detail), "target offsets %" PRId64 " to %" PRId64 ": %s",
            check->mark_begin, end - 1, what);
    check->differs = true;
    tm_restore_fail(check->run, check->part, "content-differs", detail);
}

static void fail_unread(struct check *check, const char *code, const char *why)
{
    check->differs = true;
    tm_restore_fail(check->run, check->part, code, why);
}

static void begin_mark(struct check *check, int64_t offset)
{
    const struct tm_source_mark *mark = &check->part->marks.at[check->mark];
    if (check->proof == NULL || check->epoch != mark->epoch) {
        tm_proof_free(check->proof);
        check->proof = tm_proof_new(tm_vault_ring(check->run->options->vault), mark->epoch);
        check->epoch = mark->epoch;
    }
    check->in_mark = 0;
    check->mark_begin = offset;
}

static void check_record(struct check *check, const struct tm_record *record)
{
    if (check->mark >= check->part->marks.count) {
        fail_check(check, record->offset + 1, "more records than were restored");
        return;
    }
    const struct tm_source_mark *mark = &check->part->marks.at[check->mark];
    if (check->in_mark == 0) {
        begin_mark(check, record->offset);
    }
    tm_buf_clear(&check->bytes);
    tm_record_encode(record, &check->bytes);
    struct tm_id16 tag = tm_ring_tag(
            tm_vault_ring(check->run->options->vault), mark->epoch, tm_buf_slice(&check->bytes));
    tm_proof_add(check->proof, record->timestamp_ms, &tag);
    if (++check->in_mark < mark->count) {
        return;
    }
    struct tm_id16 digest = tm_proof_take(check->proof);
    if (!tm_id16_eq(&digest, &mark->proof)) {
        fail_check(check, record->offset + 1, "content differs from what is stored");
    }
    check->mark++;
    check->in_mark = 0;
}

static void read_back(struct check *check, struct tm_reader *reader)
{
    struct tm_read_event event = {0};
    unsigned since_look = 0;
    while (!check->differs && tm_reader_running(reader) > 0) {
        tm_reader_next(reader, WAIT_MS, &event);
        if (event.kind == TM_READ_RECORD) {
            check_record(check, &event.record);
        } else if (event.kind == TM_READ_FAILED) {
            fail_unread(check, "proof-unread", event.err.msg);
        }
        bool look = event.kind == TM_READ_IDLE || ++since_look % LOOK_RECORDS == 0;
        if (look && !check->differs && tm_job_cancelled(check->run->env)) {
            fail_unread(check, "cancelled", "cancelled before it was proved");
        }
    }
    if (!check->differs && check->mark < check->part->marks.count) {
        fail_check(check, check->part->base + check->part->count, "records are missing");
    }
}

static enum tm_code open_reader(struct check *check, struct tm_reader **out, struct tm_err *err)
{
    const struct restore_part *part = check->part;
    struct tm_reader_options options = {.topic = part->topic->line->target};
    struct tm_kafka *kafka = check->run->options->kafka;
    TM_OWN(tm_reader_free) struct tm_reader *reader = NULL;
    struct tm_offsets ends = {.topic = options.topic, .partition = part->partition};
    TM_TRY(tm_kafka_offsets(kafka, &ends, 1, tm_restore_request_ms(check->run->options), err));
    if (ends.code != TM_OK) {
        return tm_err_set(err, ends.code, "%s", ends.error);
    }
    if (ends.high_watermark != part->base + part->count) {
        return tm_err_set(err, TM_E_CONFLICT, "the target ends at %" PRId64 ", not at %" PRId64,
                ends.high_watermark, part->base + part->count);
    }
    TM_TRY(tm_reader_new(kafka, &options, &reader, err));
    if (part->count > 0) {
        TM_TRY(tm_reader_start(reader, part->partition, part->base, part->base + part->count, err));
    }
    *out = TM_TAKE(reader);
    return TM_OK;
}

static void prove_part(struct restore_run *run, struct restore_part *part)
{
    if (part->failed) {
        return;
    }
    struct check check = {.run = run, .part = part};
    struct tm_err err = {0};
    /* A policy may be backing the target up: librdkafka reads a partition once per handle. */
    struct tm_claim claim = {run->options->kafka, part->topic->line->target, run};
    if (tm_claim_topic(&claim, run->env->cancel, 0, &err) != TM_OK) {
        fail_unread(&check, "cancelled", "cancelled before it was proved");
        part->failed = true;
        return;
    }
    struct tm_reader *reader = NULL;
    if (open_reader(&check, &reader, &err) == TM_OK) {
        read_back(&check, reader);
    } else {
        fail_unread(&check, "proof-unread", err.msg);
    }
    part->failed = check.differs;
    tm_reader_free(reader);
    tm_claim_release(&claim);
    tm_proof_free(check.proof);
    tm_buf_done(&check.bytes);
}

void tm_restore_prove(struct restore_run *run)
{
    atomic_store(&run->env->progress->phase, TM_PHASE_PROVING);
    tm_restore_each(run, prove_part);
}
