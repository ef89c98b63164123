/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "job/claim.h"
#include "job/restore_differ.h"
#include "kafka/reader.h"

enum { WAIT_MS = 200, LOOK_RECORDS = 512 /* between looks at cancel */ };

/* Walking a target partition beside the marks that its records must arrive at. */
struct check {
    struct restore_run *run;
    struct restore_part *part;
    struct tm_proof *proof;
    uint32_t epoch;
    size_t mark;
    size_t place;       /* of part->places: where the record read last might lie */
    int64_t in_mark;    /* records seen of that mark */
    int64_t mark_begin; /* target offset of its first one */
    int64_t passed;     /* records of the marks before */
    struct tm_buf bytes;
    bool differs;
    struct tm_restore_stretch unlike; /* whose digest is another one; count 0: none */
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

/* Is it one of this restore's, or of somebody who writes to the topic, too? Asked by rising offsets. */
static bool is_ours(struct check *check, int64_t offset)
{
    const tm_txn_places *places = &check->part->places;
    if (!check->part->topic->line->append) {
        return true;
    }
    while (check->place < places->count &&
            offset >= places->at[check->place].offset + places->at[check->place].count) {
        check->place++;
    }
    return check->place < places->count && offset >= places->at[check->place].offset;
}

static void check_record(struct check *check, const struct tm_record *record)
{
    if (!is_ours(check, record->offset)) {
        return;
    }
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
        check->differs = true; /* said when the reader is through: name_difference() */
        check->unlike = (struct tm_restore_stretch){
                check->passed, mark->count, check->mark_begin, record->offset + 1};
    }
    check->passed += mark->count;
    check->mark++;
    check->in_mark = 0;
}

/* The digest says that something differs; reading both sides again says what. Without a reader running. */
static void name_difference(struct check *check)
{
    const struct tm_restore_stretch *unlike = &check->unlike;
    TM_BUF_OWN struct tm_buf first = {0};
    TM_BUF_OWN struct tm_buf text = {0};
    if (unlike->count == 0) {
        return;
    }
    tm_buf_add_fmt(&text,
            "target offsets %" PRId64 " to %" PRId64 ": content differs from what is stored",
            unlike->target_begin, unlike->target_end - 1);
    /* What goes into a lane comes from several partitions: there is no one source to read beside it. */
    if (!check->part->topic->lanes && tm_restore_differ(check->run, check->part, unlike, &first)) {
        tm_buf_add_fmt(&text, "; the first: %s", tm_buf_text(&first));
    }
    tm_restore_fail(check->run, check->part, "content-differs", tm_buf_text(&text));
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

/* Where the restore's records begin and end in the target; others may lie between and around them. */
static void find_span(const struct restore_part *part, int64_t *from, int64_t *end)
{
    const tm_txn_places *places = &part->places;
    *from = part->base;
    *end = part->base + part->count;
    if (part->topic->line->append && places->count > 0) {
        *from = places->at[0].offset;
        *end = places->at[places->count - 1].offset + places->at[places->count - 1].count;
    }
}

static enum tm_code open_reader(struct check *check, struct tm_reader **out, struct tm_err *err)
{
    const struct restore_part *part = check->part;
    struct tm_reader_options options = {.topic = part->topic->line->target};
    struct tm_kafka *kafka = check->run->options->kafka;
    TM_OWN(tm_reader_free) struct tm_reader *reader = NULL;
    struct tm_offsets ends = {.topic = options.topic, .partition = part->partition};
    TM_TRY(tm_restore_offsets(check->run, &ends, 1, err));
    if (ends.code != TM_OK) {
        return tm_err_set(err, ends.code, "%s", ends.error);
    }
    int64_t from = 0;
    int64_t end = 0;
    find_span(part, &from, &end);
    if (!part->topic->line->append && ends.high_watermark != end) {
        return tm_err_set(err, TM_E_CONFLICT, "the target ends at %" PRId64 ", not at %" PRId64,
                ends.high_watermark, end);
    }
    TM_TRY(tm_reader_new(kafka, &options, &reader, err));
    enum tm_code code =
            part->count == 0 ? TM_OK : tm_reader_start(reader, part->partition, from, end, err);
    *out = code == TM_OK ? TM_TAKE(reader) : NULL;
    return code;
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
    tm_reader_free(reader);
    name_difference(&check);
    part->failed = check.differs;
    tm_claim_release(&claim);
    tm_proof_free(check.proof);
    tm_buf_done(&check.bytes);
}

void tm_restore_prove(struct restore_run *run)
{
    atomic_store(&run->env->progress->phase, TM_PHASE_PROVING);
    tm_restore_each(run, prove_part);
}
