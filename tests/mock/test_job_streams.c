/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams whose history is not what Kafka holds now, and writers that meet: the mock can neither
 * re-create a topic nor wait for another daemon, so here the log says what they would have made it say.
 */
#include "catalog/retained.h"
#include "job_rig.h"

/* A second daemon's hands on the same vault: a store of its own that never fails, its own catalog. */
struct other {
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
};

static void other_up(struct other *other, struct job_rig *rig)
{
    struct tm_err err = {0};
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/vault", rig->dir);
    ASSERT_OK(tm_store_fs_open(path, false, &other->store, &err), err);
    ASSERT_OK(tm_vault_open(other->store, &key, "host/other", &other->vault, &err), err);
    other->catalog = rig_catalog(rig);
}

static void other_down(struct other *other)
{
    tm_catalog_close(other->catalog);
    tm_vault_close(other->vault);
    tm_store_free(other->store);
}

/* What the other writer commits about one partition. */
struct lie {
    struct other *other;
    struct job_rig *rig;
    const char *topic; /* where the log does not know it, a stream with this one partition */
    int32_t partition;
    int64_t base;         /* of a partition that the log does not know */
    int64_t gap;          /* offsets passed over from the watermark on */
    bool record;          /* then one record, whose pack is nowhere */
    int32_t leader_epoch; /* of the last record, where that is changed */
    bool point;           /* a point of policy "q" up to there, */
    struct tm_id16 ulid;  /* and its name, once it is told */
    const char *policy;   /* NULL: "q", another one than the run's */
};

static const struct tm_row_tail *find_tail(
        const struct tm_row_tail *tails, size_t count, int32_t partition)
{
    for (size_t i = 0; i < count; i++) {
        if (tails[i].partition == partition) {
            return &tails[i];
        }
    }
    return NULL;
}

static void add_record(const struct lie *lie, struct tm_row_tail *tail, struct tm_edits *edits)
{
    struct tm_run *run = tm_arena_alloc(&edits->arena, 1, sizeof(*run));
    *run = (struct tm_run){.stream = tail->stream,
            .partition = tail->partition,
            .first = tail->next,
            .length = 1,
            .count = 1,
            .bytes = 9,
            .largest = 9,
            .ts_min = 5,
            .ts_max = 5};
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    *pack = (struct tm_row_pack){.size = 1000, .stored_ms = 1, .runs = run, .run_count = 1};
    memset(pack->name.bytes, 0x5a, sizeof(pack->name.bytes));
    tail->next++;
    tail->back = 1;
    tail->timestamp_ms = 5;
    tail->leader_epoch = lie->leader_epoch;
}

static enum tm_code find_stream(
        const struct lie *lie, struct tm_stream *out, struct tm_edits *edits, struct tm_err *err)
{
    uint32_t last_stream = 0;
    uint64_t last_point = 0;
    *out = stream_of(lie->rig, lie->other->catalog, lie->topic, &edits->arena);
    if (out->id != 0) {
        return TM_OK;
    }
    TM_TRY(tm_catalog_last_ids(lie->other->catalog, &last_stream, &last_point, err));
    TM_TRY(tm_kafka_cluster_id(lie->rig->kafka.kafka, 10000, &edits->arena, &out->cluster_id, err));
    out->id = last_stream + 1;
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){
            .id = out->id,
            .cluster_id = out->cluster_id,
            .topic = tm_slice_str(lie->topic),
            .incarnation = 1,
    };
    return TM_OK;
}

static enum tm_code add_point(struct lie *lie, const struct tm_stream *stream,
        const struct tm_row_tail *tail, struct tm_edits *edits, struct tm_err *err)
{
    uint32_t last_stream = 0;
    uint64_t last_point = 0;
    TM_TRY(tm_catalog_last_ids(lie->other->catalog, &last_stream, &last_point, err));
    struct tm_row_part *part = tm_arena_alloc(&edits->arena, 1, sizeof(*part));
    struct tm_row_topic *topic = tm_arena_alloc(&edits->arena, 1, sizeof(*topic));
    *topic = (struct tm_row_topic){.stream = stream->id, .partitions = 1};
    *part = (struct tm_row_part){.stream = stream->id,
            .partition = tail->partition,
            .end = tail->next,
            .lso = tail->next,
            .high_watermark = tail->next};
    *tm_vec_push(&edits->points) = (struct tm_row_point){
            .id = last_point + 1,
            .ulid = lie->ulid = tm_ulid_make(tm_now_ms()),
            .time_ms = tm_now_ms(),
            .cluster_id = stream->cluster_id,
            .cluster_name = tm_slice_str("mock"),
            .policy = tm_slice_str(lie->policy != NULL ? lie->policy : "q"),
            .topics = topic,
            .topic_count = 1,
            .parts = part,
            .part_count = 1,
    };
    return TM_OK;
}

static enum tm_code build_lie(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct lie *lie = arg;
    struct tm_row_tail *tails = NULL;
    size_t count = 0;
    struct tm_stream stream = {0};
    TM_TRY(find_stream(lie, &stream, edits, err));
    TM_TRY(tm_catalog_tails(lie->other->catalog, stream.id, &edits->arena, &tails, &count, err));
    const struct tm_row_tail *found = find_tail(tails, count, lie->partition);
    struct tm_row_tail tail = found != NULL ? *found
                                            : (struct tm_row_tail){.next = lie->base,
                                                      .stream = stream.id,
                                                      .partition = lie->partition,
                                                      .leader_epoch = -1};
    edits->policy = tm_slice_str(lie->policy != NULL ? lie->policy : "q");
    if (lie->gap > 0) {
        *tm_vec_push(&edits->gaps) =
                (struct tm_row_gap){stream.id, lie->partition, tail.next, lie->gap, TM_GAP_UNKNOWN};
        tail.next += lie->gap;
        tail.back += tail.back > 0 ? lie->gap : 0;
    }
    if (lie->record) {
        add_record(lie, &tail, edits);
    }
    if (lie->point) {
        TM_TRY(add_point(lie, &stream, &tail, edits, err));
        tail.covered = tail.next;
    }
    *tm_vec_push(&edits->tails) = tail;
    return TM_OK;
}

static void tell_lie(struct lie *lie)
{
    struct tm_err err = {0};
    struct tm_fold fold = tm_catalog_fold(lie->other->catalog);
    ASSERT_OK(tm_vault_commit(lie->other->vault, &fold, build_lie, lie, NULL, &err), err);
}

/* New incarnations ---------------------------------------------------------------------------- */

/* The run must warn of a new incarnation, store all of the topic again, and keep the old stream. */
static void expect_new_incarnation(struct job_rig *rig, int64_t records)
{
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    struct tm_stream before = stream_of(rig, rig->catalog, "orders", &arena);
    back_up(rig, &result);
    ck_assert(!result.partial);
    ck_assert(has_note(&result.warnings, "new-incarnation"));
    ck_assert_int_eq(result.messages_count, records);
    struct tm_stream after = stream_of(rig, rig->catalog, "orders", &arena);
    ck_assert_uint_eq(after.incarnation, before.incarnation + 1);
    ck_assert_uint_ne(after.id, before.id);

    /* The point is of the new stream alone. */
    struct tm_point point = point_of(rig, &result.point, &arena);
    for (size_t i = 0; i < point.row.part_count; i++) {
        ck_assert_uint_eq(point.row.parts[i].stream, after.id);
    }
    ck_assert_int_eq(atomic_load(&rig->progress.parts_waiting), 0);
    ck_assert_int_eq(atomic_load(&rig->progress.parts_running), 0);
    tm_backup_result_done(&result);
    expect_backup(rig, 0);
    tm_arena_done(&arena);
}

/* A stream of `stored` records in each of two partitions. */
static void rig_with_stream(struct job_rig *rig, struct other *other, int64_t stored)
{
    rig_up_brokers(rig, 2);
    rig_topic(rig, "orders", 2);
    tm_mock_leader(rig->kafka.mock, "orders", 0, 1);
    tm_mock_leader(rig->kafka.mock, "orders", 1, 1);
    write_made(&rig->kafka, "orders", 0, 0, stored);
    write_made(&rig->kafka, "orders", 1, 0, stored);
    expect_backup(rig, 2 * stored);
    other_up(other, rig);
}

START_TEST(a_log_that_ends_below_the_watermark_is_another_one)
{
    struct job_rig rig;
    struct other other;
    rig_with_stream(&rig, &other, 50);
    struct lie lie = {&other, &rig, .topic = "orders", .partition = 1, .gap = 10};
    tell_lie(&lie);
    write_made(&rig.kafka, "orders", 0, 50, 60);
    expect_new_incarnation(&rig, 110);
    assert_stored(&rig, "orders", 0, 0, 60);
    assert_stored(&rig, "orders", 1, 0, 50);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

START_TEST(another_record_where_the_last_one_was_stored_is_another_log)
{
    struct job_rig rig;
    struct other other;
    rig_with_stream(&rig, &other, 50);
    struct lie lie = {&other, &rig, .topic = "orders", .partition = 1, .record = true};
    lie.leader_epoch = -1;
    tell_lie(&lie);
    write_made(&rig.kafka, "orders", 0, 50, 60);
    write_made(&rig.kafka, "orders", 1, 50, 70);
    expect_new_incarnation(&rig, 130);
    assert_stored(&rig, "orders", 0, 0, 60);
    assert_stored(&rig, "orders", 1, 0, 70);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

START_TEST(fewer_partitions_than_are_stored_are_another_topic)
{
    struct job_rig rig;
    struct other other;
    rig_with_stream(&rig, &other, 50);
    struct lie lie = {&other, &rig, .topic = "orders", .partition = 2, .gap = 10};
    tell_lie(&lie);
    expect_new_incarnation(&rig, 100);
    assert_stored(&rig, "orders", 1, 0, 50);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

/* The points of the old incarnation go on naming it. */
START_TEST(the_old_incarnation_stays_as_it_was)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result first;
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 50);
    back_up(&rig, &first);
    other_up(&other, &rig);
    struct tm_stream old = stream_of(&rig, rig.catalog, "orders", &arena);
    struct lie lie = {&other, &rig, .topic = "orders", .gap = 10};
    tell_lie(&lie);
    expect_new_incarnation(&rig, 50);

    struct tm_fold fold = tm_catalog_fold(rig.catalog);
    ASSERT_OK(tm_vault_refresh(rig.vault, &fold, &err), err);
    struct tm_point point = point_of(&rig, &first.point, &arena);
    ck_assert_uint_eq(point.row.part_count, 1);
    ck_assert_uint_eq(point.row.parts[0].stream, old.id);
    ck_assert_int_eq(point.row.parts[0].end, 50);
    assert_stream(&rig, rig.catalog, &old, 0, 0, 50);
    tm_backup_result_done(&first);
    other_down(&other);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

/* `from: latest` is for topics that are seen first, not for partitions that were added to them. */
START_TEST(a_partition_that_was_added_is_read_from_its_start)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "orders", 3);
    other_up(&other, &rig);
    struct lie lie = {&other, &rig, .topic = "orders"};
    tell_lie(&lie);
    write_made(&rig.kafka, "orders", 0, 0, 20);
    write_made(&rig.kafka, "orders", 2, 0, 30);
    struct tm_backup_options options = backup_options(&rig);
    options.from = TM_FROM_LATEST;
    back_up_with(&rig, &options, &result);
    ck_assert_int_eq(result.messages_count, 50);
    tm_backup_result_done(&result);
    assert_stored(&rig, "orders", 0, 0, 20);
    assert_stored(&rig, "orders", 1, 0, 0);
    assert_stored(&rig, "orders", 2, 0, 30);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

/*
 * A point that begins below what the log has of the partition: the fold does not forbid it, and a
 * restore that writes what there is must not call that the topic as it was.
 */
START_TEST(a_point_that_reaches_below_what_is_stored_is_not_restored)
{
    struct job_rig rig;
    struct other other;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    rig_topic(&rig, "orders.back", 1);
    write_made(&rig.kafka, "orders", 0, 0, 50);
    other_up(&other, &rig);
    struct lie lie = {&other, &rig, .topic = "orders", .base = 10, .point = true, .policy = "p"};
    tell_lie(&lie);
    expect_backup(&rig, 40);
    lie = (struct lie){&other, &rig, .topic = "orders", .point = true};
    tell_lie(&lie);
    restore_setup(&rig, &lie.ulid, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(!back.proved);
    ck_assert_uint_eq(back.failures.count, 1);
    ck_assert_ptr_nonnull(strstr(back.failures.at[0].detail, "offset 0 is not stored"));
    assert_partition(&rig, "orders.back", 0, 0);
    tm_restore_result_done(&back);

    setup.options.continue_on_gap = true;
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(back.proved);
    ck_assert(has_note(&back.warnings, "gap"));
    ck_assert_int_eq(back.messages_count, 40);
    tm_restore_result_done(&back);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

/* The policy's points are removed, and the packs that they alone had are dropped. */
static enum tm_code build_freed(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct tm_catalog *catalog = arg;
    struct tm_point_head *heads = NULL;
    struct tm_stored_run *runs = NULL;
    size_t count = 0;
    TM_TRY(tm_catalog_point_heads(catalog, &edits->arena, &heads, &count, err));
    for (size_t i = 0; i < count; i++) {
        *tm_vec_push(&edits->points_gone) = heads[i].id;
    }
    TM_TRY(tm_catalog_runs(catalog, 1, 0, 0, INT64_MAX, &edits->arena, &runs, &count, err));
    ck_assert_uint_eq(count, 1);
    *tm_vec_push(&edits->packs_gone) = (struct tm_row_successors){.name = runs[0].pack};
    return TM_OK;
}

/* A topic that left its policy for so long that all of it was freed, and comes back. */
START_TEST(what_was_freed_and_is_still_in_kafka_is_read_again)
{
    struct job_rig rig;
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 50);
    expect_backup(&rig, 50);
    struct tm_fold fold = tm_catalog_fold(rig.catalog);
    ASSERT_OK(tm_vault_commit(rig.vault, &fold, build_freed, rig.catalog, NULL, &err), err);
    expect_new_incarnation(&rig, 50); /* though nothing new is there */
    assert_stored(&rig, "orders", 0, 0, 50);
    write_made(&rig.kafka, "orders", 0, 50, 60);
    expect_backup(&rig, 10);
    assert_stored(&rig, "orders", 0, 0, 60);
    rig_down(&rig);
}
END_TEST

/* Meeting another writer ---------------------------------------------------------------------- */

/* Tells its lie at the first operation of that kind, in that phase, and then waits. */
struct ambush {
    struct lie lie;
    struct job_rig *rig;
    enum tm_store_op op;
    enum tm_phase phase;
    const char *name; /* a start of the object's name */
    int64_t wait_ms;
    atomic_bool sprung;
};

static enum tm_store_fault spring(void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    struct ambush *ambush = arg;
    (void)count;
    if (op != ambush->op || strncmp(name, ambush->name, strlen(ambush->name)) != 0 ||
            (enum tm_phase)atomic_load(&ambush->rig->progress.phase) != ambush->phase ||
            atomic_exchange(&ambush->sprung, true)) {
        return TM_FAULT_NONE;
    }
    if (ambush->lie.other != NULL) {
        tell_lie(&ambush->lie);
    }
    if (ambush->wait_ms > 0) {
        tm_sleep_ms(ambush->wait_ms);
    }
    return TM_FAULT_NONE;
}

static void set_ambush(struct ambush *ambush, struct job_rig *rig)
{
    ambush->rig = rig;
    rig->hook_arg = ambush;
    rig->hook = spring;
}

/* A run was cut short: its progress is stored, and no point covers it yet. */
static void rig_with_progress(struct job_rig *rig, struct other *other)
{
    rig_with_stream(rig, other, 50);
    struct lie lie = {other, rig, .topic = "orders", .gap = 1};
    tell_lie(&lie);
    write_made(&rig->kafka, "orders", 0, 50, 200);
}

/* Tells its lie while the run waits for the answer to where the logs end. */
static void *lie_at_plan(void *arg)
{
    struct ambush *ambush = arg;
    while ((enum tm_phase)atomic_load(&ambush->rig->progress.phase) != TM_PHASE_PLANNING) {
        tm_sleep_ms(1);
    }
    tm_sleep_ms(ambush->wait_ms);
    ck_assert_int_eq(atomic_load(&ambush->rig->progress.phase), TM_PHASE_PLANNING);
    tell_lie(&ambush->lie);
    return NULL;
}

/*
 * Another run, in the same daemon, stores what has come since this one asked where the log ends. That
 * is no log that was cut off.
 */
START_TEST(what_is_stored_while_a_run_is_planned_is_no_other_log)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result result;
    pthread_t thread;
    rig_with_stream(&rig, &other, 50);
    tm_catalog_close(other.catalog);
    struct tm_err err = {0};
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/catalog-0.db", rig.dir);
    ASSERT_OK(tm_catalog_open(path, &other.catalog, &err), err); /* the run's own */
    struct ambush ambush = {
            .lie = {&other, &rig, .topic = "orders", .gap = 10}, .rig = &rig, .wait_ms = 1500};
    atomic_store(&rig.progress.phase, TM_PHASE_QUEUED);
    tm_mock_round_trip(rig.kafka.mock, 1, 1000);
    tm_mock_round_trip(rig.kafka.mock, 2, 1000);
    ck_assert_int_eq(pthread_create(&thread, NULL, lie_at_plan, &ambush), 0);
    back_up(&rig, &result);
    pthread_join(thread, NULL);
    tm_mock_round_trip(rig.kafka.mock, 1, 0);
    tm_mock_round_trip(rig.kafka.mock, 2, 0);
    ck_assert(!has_note(&result.warnings, "new-incarnation"));
    ck_assert(!result.partial);
    ck_assert_int_eq(result.messages_count, 0);
    ck_assert_int_eq(tail_of(&rig, rig.catalog, "orders", 0).next, 60);
    tm_backup_result_done(&result);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

/*
 * While records [51, 200) are read, the other policy makes a point of what is stored: the watermark
 * stays, what is covered does not.
 */
START_TEST(a_point_made_while_progress_is_committed_is_respected)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result result;
    rig_with_progress(&rig, &other);
    rig_topic(&rig, "slow", 1); /* keeps the run alive until its progress is committed */
    tm_mock_leader(rig.kafka.mock, "slow", 0, 2);
    write_made(&rig.kafka, "slow", 0, 0, 10);
    struct ambush ambush = {
            .lie = {&other, &rig, .topic = "orders", .point = true},
            .op = TM_OP_PUT,
            .name = "pack/",
            .phase = TM_PHASE_READING,
    };
    struct tm_backup_options options = backup_options(&rig);
    options.checkpoint_ms = 1;
    tm_mock_round_trip(rig.kafka.mock, 2, 400);
    set_ambush(&ambush, &rig);
    back_up_with(&rig, &options, &result);
    ck_assert(atomic_load(&ambush.sprung));
    ck_assert(!result.partial);
    tm_backup_result_done(&result);
    rig.hook = NULL;
    tm_mock_round_trip(rig.kafka.mock, 2, 0);
    expect_backup(&rig, 0);
    ck_assert_int_eq(tail_of(&rig, rig.catalog, "orders", 0).next, 200);
    assert_stored(&rig, "slow", 0, 0, 10);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

/* The run could not read the partition; the other one stored more of it: the point covers that. */
START_TEST(what_another_writer_stored_is_covered_where_this_run_has_nothing)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    rig_with_progress(&rig, &other);
    struct ambush ambush = {
            .lie = {&other, &rig, .topic = "orders", .gap = 20},
            .op = TM_OP_GET,
            .name = "log/",
            .phase = TM_PHASE_COMMITTING,
    };
    set_ambush(&ambush, &rig);
    tm_mock_request_errors(rig.kafka.mock, API_FETCH, TOPIC_AUTHORIZATION_FAILED, 1);
    back_up(&rig, &result);
    ck_assert(atomic_load(&ambush.sprung));
    ck_assert(result.partial);
    ck_assert(has_note(&result.failures, "fence"));
    struct tm_point point = point_of(&rig, &result.point, &arena);
    ck_assert_int_eq(row_of(&point, "orders", 0)->end, 71);
    ck_assert_int_eq(row_of(&point, "orders", 0)->status, TM_PART_FAILED);
    tm_backup_result_done(&result);
    rig.hook = NULL;
    expect_backup(&rig, 200 - 71);
    other_down(&other);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

/* Both have stored the same offsets: who comes second throws its own away and plans anew. */
START_TEST(a_run_that_lost_its_ranges_plans_anew)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result result;
    rig_with_progress(&rig, &other);
    struct ambush ambush = {
            .lie = {&other, &rig, .topic = "orders", .gap = 20},
            .op = TM_OP_GET,
            .name = "log/",
            .phase = TM_PHASE_COMMITTING,
    };
    struct tm_backup_options options = backup_options(&rig);
    options.checkpoint_ms = 60000;
    set_ambush(&ambush, &rig);
    back_up_with(&rig, &options, &result);
    ck_assert(atomic_load(&ambush.sprung));
    ck_assert(!result.partial);
    ck_assert_int_eq(result.messages_count, 200 - 71);
    ck_assert_int_eq(atomic_load(&rig.progress.done_messages), 200 - 71);
    ck_assert_int_eq(atomic_load(&rig.progress.total_messages), 200 - 71);
    tm_backup_result_done(&result);
    rig.hook = NULL;
    expect_backup(&rig, 0);
    ck_assert_int_eq(tail_of(&rig, rig.catalog, "orders", 0).next, 200);
    other_down(&other);
    rig_down(&rig);
}
END_TEST

/* So many large records that the mock drops what lies before them. */
static void outrun(struct job_rig *rig, const char *topic, int32_t partition, int64_t from)
{
    enum { COUNT = 100, BYTES = 60000 };
    static const uint8_t bytes[BYTES];
    struct tm_writer_partition *part = NULL;
    struct tm_err err = {0};
    ASSERT_OK(tm_writer_partition(rig->kafka.writer, topic, partition, from, &part, &err), err);
    for (int64_t i = 0; i < COUNT; i++) {
        struct tm_record record = {.timestamp_ms = 7, .value = tm_slice_of(bytes, BYTES)};
        ASSERT_OK(tm_writer_send(part, &record, NULL, &err), err);
        if (i % 10 == 9) { /* a batch for itself: whole batches are dropped */
            ASSERT_OK(tm_writer_flush(rig->kafka.writer, 10000, NULL, &err), err);
        }
    }
}

START_TEST(records_that_are_gone_before_they_were_read_are_a_gap)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    struct tm_part_totals totals;
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    expect_backup(&rig, 10);
    outrun(&rig, "orders", 0, 10);
    back_up(&rig, &result);
    ck_assert(!result.partial);
    ck_assert(has_note(&result.warnings, "gap"));
    ck_assert_int_eq(result.gaps_count, 1);
    ck_assert_uint_eq(result.topics.count, 1);
    ck_assert_int_gt(result.topics.at[0].lost, 0);
    ck_assert_int_eq(result.topics.at[0].lost + result.messages_count, 100);
    struct tm_point point = point_of(&rig, &result.point, &arena);
    const struct tm_row_part *row = row_of(&point, "orders", 0);
    ck_assert_int_eq(row->start, 10 + result.topics.at[0].lost);
    ck_assert_int_eq(row->end, 110);
    ASSERT_OK(tm_catalog_part_totals(rig.catalog, row->stream, 0, 0, 110, &totals, &err), err);
    ck_assert_int_eq(totals.lost, result.topics.at[0].lost);
    tm_backup_result_done(&result);
    expect_backup(&rig, 0);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

/*
 * Progress of one topic is being committed, and another topic's gap with it, when that one turns out
 * to be a new incarnation. What is then stored of it must not go to the old stream.
 */
START_TEST(a_topic_that_starts_anew_while_progress_is_committed)
{
    struct job_rig rig;
    struct other other;
    struct tm_backup_result result;
    struct tm_arena arena = {0};
    rig_up_brokers(&rig, 2);
    rig_topic(&rig, "orders", 1);
    rig_topic(&rig, "renewed", 2);
    tm_mock_leader(rig.kafka.mock, "orders", 0, 1);
    tm_mock_leader(rig.kafka.mock, "renewed", 0, 2);
    tm_mock_leader(rig.kafka.mock, "renewed", 1, 2);
    write_made(&rig.kafka, "renewed", 0, 0, 10);
    write_made(&rig.kafka, "renewed", 1, 0, 10);
    expect_backup(&rig, 20);
    outrun(&rig, "renewed", 1, 10); /* the gap */
    other_up(&other, &rig);
    struct lie lie = {&other, &rig, .topic = "renewed", .record = true};
    lie.leader_epoch = -1;
    tell_lie(&lie);
    struct tm_stream before = stream_of(&rig, other.catalog, "renewed", &arena);
    write_made(&rig.kafka, "renewed", 0, 10, 600);
    write_made(&rig.kafka, "orders", 0, 0, 10);

    /* The entry is created only when the fence has had its answer. */
    struct ambush ambush = {
            .op = TM_OP_CREATE, .name = "log/", .phase = TM_PHASE_READING, .wait_ms = 1500};
    struct tm_backup_options options = backup_options(&rig);
    options.checkpoint_ms = 1;
    options.checkpoint_bytes = 1;
    set_ambush(&ambush, &rig);
    tm_mock_round_trip(rig.kafka.mock, 2, 400);
    back_up_with(&rig, &options, &result);
    ck_assert(atomic_load(&ambush.sprung));
    ck_assert(has_note(&result.warnings, "new-incarnation"));
    ck_assert(!result.partial);
    struct tm_point point = point_of(&rig, &result.point, &arena);
    const struct tm_row_part *row = row_of(&point, "renewed", 1);
    ck_assert_int_eq(row->end, 110);
    ck_assert_int_eq(result.messages_count, 10 + 600 + row->end - row->start); /* at once */
    tm_backup_result_done(&result);
    rig.hook = NULL;
    tm_mock_round_trip(rig.kafka.mock, 2, 0);
    struct tm_stream after = stream_of(&rig, rig.catalog, "renewed", &arena);
    ck_assert_uint_eq(after.incarnation, before.incarnation + 1);
    assert_stored(&rig, "renewed", 0, 0, 600);
    assert_stored(&rig, "orders", 0, 0, 10);
    ck_assert_int_eq(tail_of(&rig, rig.catalog, "renewed", 1).next, 110);
    expect_backup(&rig, 0);
    other_down(&other);
    tm_arena_done(&arena);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("streams");
    tcase_add_test(tcase, a_log_that_ends_below_the_watermark_is_another_one);
    tcase_add_test(tcase, another_record_where_the_last_one_was_stored_is_another_log);
    tcase_add_test(tcase, fewer_partitions_than_are_stored_are_another_topic);
    tcase_add_test(tcase, the_old_incarnation_stays_as_it_was);
    tcase_add_test(tcase, a_partition_that_was_added_is_read_from_its_start);
    tcase_add_test(tcase, a_point_that_reaches_below_what_is_stored_is_not_restored);
    tcase_add_test(tcase, what_was_freed_and_is_still_in_kafka_is_read_again);
    tcase_add_test(tcase, what_is_stored_while_a_run_is_planned_is_no_other_log);
    tcase_add_test(tcase, a_point_made_while_progress_is_committed_is_respected);
    tcase_add_test(tcase, what_another_writer_stored_is_covered_where_this_run_has_nothing);
    tcase_add_test(tcase, a_run_that_lost_its_ranges_plans_anew);
    tcase_add_test(tcase, records_that_are_gone_before_they_were_read_are_a_gap);
    tcase_add_test(tcase, a_topic_that_starts_anew_while_progress_is_committed);
    return run_case(tcase, "job_streams");
}
