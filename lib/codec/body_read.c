/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/rd.h"
#include "codec/edits.h"
#include "codec/parts.h"

/* Fewest bytes that a row of each list takes: bounds the counts. */
enum {
    MIN_NUMBER = 1,
    MIN_STR = 1,
    MIN_HASH = 32,
    MIN_PARAM = 2,
    MIN_STREAM = 21,
    MIN_KEEP = 3,
    MIN_POINT = 27,
    MIN_TOPIC = 4,
    MIN_CONFIG = 2,
    MIN_PART = 7,
    MIN_GROUP = 5,
    MIN_ACL = 2,
    MIN_MARK = 5,
    MIN_PACK = 36,
    MIN_RUN = 9,
    MIN_SUCCESSORS = 33,
    MIN_GAP = 5,
    MIN_TAIL = 5,
    MIN_DATED = 33,
    MIN_WRITER = 4,
};

struct reader {
    struct tm_rd rd;
    struct tm_arena *arena;
};

static bool ok(const struct reader *r)
{
    return tm_rd_ok(&r->rd);
}

static size_t count_of(struct reader *r, size_t min_bytes)
{
    return tm_rd_count(&r->rd, min_bytes);
}

static uint64_t number(struct reader *r)
{
    return tm_rd_v(&r->rd);
}

static uint64_t number_to(struct reader *r, uint64_t most, const char *why)
{
    uint64_t value = tm_rd_v(&r->rd);
    if (value > most) {
        tm_rd_fail(&r->rd, why);
        return 0;
    }
    return value;
}

static uint32_t number32(struct reader *r)
{
    return (uint32_t)number_to(r, UINT32_MAX, "number larger than 32 bits");
}

static int32_t partition(struct reader *r)
{
    return (int32_t)number_to(r, INT32_MAX, "partition larger than 31 bits");
}

static int64_t number63(struct reader *r)
{
    return tm_rd_v63(&r->rd);
}

static int64_t signed_number(struct reader *r)
{
    return tm_rd_z(&r->rd);
}

static struct tm_slice str(struct reader *r)
{
    return tm_rd_str(&r->rd);
}

static void id16(struct reader *r, struct tm_id16 *id)
{
    tm_rd_copy(&r->rd, id->bytes, sizeof(id->bytes));
}

static void hash(struct reader *r, struct tm_hash *to)
{
    tm_rd_copy(&r->rd, to->bytes, sizeof(to->bytes));
}

static struct tm_hash *hashes(struct reader *r, size_t *count)
{
    size_t n = count_of(r, MIN_HASH);
    struct tm_hash *at = tm_arena_alloc(r->arena, n, sizeof(*at));
    for (size_t i = 0; i < n; i++) {
        hash(r, &at[i]);
    }
    *count = n;
    return at;
}

static struct tm_slice *strs(struct reader *r, size_t *count)
{
    size_t n = count_of(r, MIN_STR);
    struct tm_slice *at = tm_arena_alloc(r->arena, n, sizeof(*at));
    for (size_t i = 0; i < n && ok(r); i++) {
        at[i] = str(r);
    }
    *count = n;
    return at;
}

/* Lists, in the order of the format ----------------------------------------------------------- */

static void read_params(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_PARAM); n > 0 && ok(r); n--) {
        struct tm_row_param *row = tm_vec_push(&edits->params);
        row->name = str(r);
        row->value = str(r);
    }
}

static void read_streams(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_STREAM); n > 0 && ok(r); n--) {
        struct tm_row_stream *row = tm_vec_push(&edits->streams);
        row->id = number32(r);
        row->cluster_id = str(r);
        row->topic = str(r);
        row->incarnation = number32(r);
        id16(r, &row->topic_id);
        row->created_ms = signed_number(r);
    }
}

static void read_keeps(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_KEEP); n > 0 && ok(r); n--) {
        struct tm_row_keep *row = tm_vec_push(&edits->keeps);
        row->stream = number32(r);
        row->policy = str(r);
        row->seconds = number(r);
    }
}

static void read_gone(struct reader *r, struct tm_row_point *point)
{
    point->gone_count = count_of(r, MIN_NUMBER);
    point->gone = tm_arena_alloc(r->arena, point->gone_count, sizeof(*point->gone));
    for (size_t i = 0; i < point->gone_count; i++) {
        point->gone[i] = number32(r);
    }
}

static void read_topics(struct reader *r, struct tm_row_point *point)
{
    point->topic_count = count_of(r, MIN_TOPIC);
    point->topics = tm_arena_alloc(r->arena, point->topic_count, sizeof(*point->topics));
    for (size_t i = 0; i < point->topic_count && ok(r); i++) {
        struct tm_row_topic *row = &point->topics[i];
        row->stream = number32(r);
        row->partitions = number32(r);
        row->replication_factor = number32(r);
        row->config_count = count_of(r, MIN_CONFIG);
        row->configs = tm_arena_alloc(r->arena, row->config_count, sizeof(*row->configs));
        for (size_t at = 0; at < row->config_count && ok(r); at++) {
            row->configs[at].key = str(r);
            row->configs[at].value = str(r);
        }
    }
}

/* Those of a full stay as they are written; each is read to see that it is one. */
static void read_parts(struct reader *r, bool full, struct tm_row_point *point)
{
    struct tm_row_part passed;
    point->part_count = count_of(r, MIN_PART);
    const uint8_t *start = r->rd.at;
    if (!full) {
        point->parts = tm_arena_alloc(r->arena, point->part_count, sizeof(*point->parts));
    }
    for (size_t i = 0; i < point->part_count && ok(r); i++) {
        tm_parts_read(&r->rd, full ? &passed : &point->parts[i]);
    }
    if (full && ok(r)) {
        point->packed_parts = tm_slice_of(start, (size_t)(r->rd.at - start));
    }
}

static void read_groups(struct reader *r, struct tm_row_point *point)
{
    point->group_count = count_of(r, MIN_GROUP);
    point->groups = tm_arena_alloc(r->arena, point->group_count, sizeof(*point->groups));
    for (size_t i = 0; i < point->group_count && ok(r); i++) {
        struct tm_row_group *row = &point->groups[i];
        row->group = str(r);
        row->stream = number32(r);
        row->partition = partition(r);
        row->offset = number63(r) - 1;
        row->metadata = str(r);
    }
}

static void read_acls(struct reader *r, struct tm_row_point *point)
{
    point->acl_count = count_of(r, MIN_ACL);
    point->acls = tm_arena_alloc(r->arena, point->acl_count, sizeof(*point->acls));
    for (size_t i = 0; i < point->acl_count && ok(r); i++) {
        point->acls[i].stream = number32(r);
        point->acls[i].acls = strs(r, &point->acls[i].acl_count);
    }
}

static void read_points(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_POINT); n > 0 && ok(r); n--) {
        struct tm_row_point *row = tm_vec_push(&edits->points);
        row->id = number(r);
        id16(r, &row->ulid);
        row->time_ms = signed_number(r);
        row->cluster_id = str(r);
        row->cluster_name = str(r);
        row->policy = str(r);
        row->flags = number32(r);
        read_gone(r, row);
        read_topics(r, row);
        read_parts(r, edits->full, row);
        read_groups(r, row);
        read_acls(r, row);
    }
}

static void read_points_gone(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_NUMBER); n > 0 && ok(r); n--) {
        *tm_vec_push(&edits->points_gone) = number(r);
    }
}

static void read_marks(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_MARK); n > 0 && ok(r); n--) {
        struct tm_row_mark *row = tm_vec_push(&edits->marks);
        row->point = number(r);
        row->note = str(r);
        row->tags = strs(r, &row->tag_count);
        row->hold_until_ms = signed_number(r);
        row->hold_reason = str(r);
    }
}

static void read_run(struct reader *r, struct tm_run *run)
{
    run->stream = number32(r);
    run->partition = partition(r);
    run->first = number63(r);
    run->length = number63(r);
    run->count = number63(r);
    run->bytes = number63(r);
    run->largest = number63(r);
    run->ts_min = signed_number(r);
    run->ts_max = (int64_t)((uint64_t)run->ts_min + number(r));
}

static void read_packs(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_PACK); n > 0 && ok(r); n--) {
        struct tm_row_pack *row = tm_vec_push(&edits->packs);
        hash(r, &row->name);
        row->size = number(r);
        row->stored_ms = signed_number(r);
        row->deps = hashes(r, &row->dep_count);
        row->run_count = count_of(r, MIN_RUN);
        row->runs = tm_arena_alloc(r->arena, row->run_count, sizeof(*row->runs));
        for (size_t i = 0; i < row->run_count && ok(r); i++) {
            read_run(r, &row->runs[i]);
        }
    }
}

static void read_successors(struct reader *r, struct tm_row_successors *row)
{
    hash(r, &row->name);
    row->successors = hashes(r, &row->successor_count);
}

static void read_gaps(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_GAP); n > 0 && ok(r); n--) {
        struct tm_row_gap *row = tm_vec_push(&edits->gaps);
        row->stream = number32(r);
        row->partition = partition(r);
        row->from = number63(r);
        row->length = number63(r);
        row->reason = (enum tm_gap_reason)number_to(
                r, TM_GAP_CORRUPT_ON_BROKER, "a gap's reason that is not known");
    }
}

static void read_tails(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_TAIL); n > 0 && ok(r); n--) {
        struct tm_row_tail *row = tm_vec_push(&edits->tails);
        row->stream = number32(r);
        row->partition = partition(r);
        row->next = number63(r);
        row->covered = number63(r);
        row->back = number63(r);
        row->leader_epoch = -1;
        if (row->back > 0) {
            uint64_t plus_one =
                    number_to(r, (uint64_t)INT32_MAX + 1, "leader epoch larger than 31 bits");
            row->leader_epoch = (int32_t)((int64_t)plus_one - 1);
            row->timestamp_ms = signed_number(r);
            id16(r, &row->tag);
        }
    }
}

static void read_dated(struct reader *r, struct tm_row_dated *row)
{
    hash(r, &row->name);
    row->time_ms = signed_number(r);
}

static void read_full_only(struct reader *r, struct tm_edits *edits)
{
    for (size_t n = count_of(r, MIN_DATED); n > 0 && ok(r); n--) {
        read_dated(r, tm_vec_push(&edits->dropped));
    }
    for (size_t n = count_of(r, MIN_SUCCESSORS); n > 0 && ok(r); n--) {
        read_successors(r, tm_vec_push(&edits->moved));
    }
    for (size_t n = count_of(r, MIN_DATED); n > 0 && ok(r); n--) {
        read_dated(r, tm_vec_push(&edits->swept));
    }
    for (size_t n = count_of(r, MIN_WRITER); n > 0 && ok(r); n--) {
        struct tm_row_writer *row = tm_vec_push(&edits->writers);
        row->cluster_id = str(r);
        row->policy = str(r);
        row->writer = str(r);
        row->time_ms = signed_number(r);
    }
}

static void read_state(struct reader *r, struct tm_edits *edits)
{
    read_params(r, edits);
    read_streams(r, edits);
    read_keeps(r, edits);
    read_points(r, edits);
    read_points_gone(r, edits);
    read_marks(r, edits);
    read_packs(r, edits);
    for (size_t n = count_of(r, MIN_SUCCESSORS); n > 0 && ok(r); n--) {
        read_successors(r, tm_vec_push(&edits->packs_gone));
    }
    for (size_t n = count_of(r, MIN_HASH); n > 0 && ok(r); n--) {
        hash(r, tm_vec_push(&edits->sweep));
    }
    read_gaps(r, edits);
    read_tails(r, edits);
    if (edits->full) {
        read_full_only(r, edits);
    }
}

static enum tm_code read_body(struct tm_slice body, struct tm_edits *edits, struct tm_err *err)
{
    struct reader r = {.rd = tm_rd_of(body), .arena = &edits->arena};
    edits->time_ms = signed_number(&r);
    edits->writer = str(&r);
    edits->policy = str(&r);
    if (edits->full) {
        hash(&r, &edits->state_hash);
    }
    struct tm_slice state = tm_slice_of(r.rd.at, tm_rd_left(&r.rd));
    read_state(&r, edits);
    if (tm_rd_finish(&r.rd, "body", err) != TM_OK) {
        return err->code;
    }
    if (tm_edits_check(edits, err) != TM_OK) {
        return tm_err_wrap(err, "body");
    }
    if (edits->full) {
        struct tm_hash actual = tm_sha256_of(state);
        if (!tm_hash_eq(&actual, &edits->state_hash)) {
            return tm_err_set(err, TM_E_CORRUPT, "body: the state is not the one of its hash");
        }
    }
    return TM_OK;
}

enum tm_code tm_body_decode(
        struct tm_slice body, bool full, struct tm_edits *out, struct tm_err *err)
{
    struct tm_edits edits = {.full = full};
    if (read_body(body, &edits, err) != TM_OK) {
        tm_edits_done(&edits);
        return err->code;
    }
    *out = edits;
    return TM_OK;
}
