/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores into other partitions than the records came from. What lies in the target afterwards is compared
 * with a model: the source's records, merged one by one by the simplest rule, each put where its key says.
 */
#include "job_rig.h"

#include "kafka/partitioner.h"

enum { PARTS_MAX = 8, MANY = 9000 };

struct expected { /* numbers of made records, a list a target partition */
    TM_VEC(int64_t) at[PARTS_MAX];
};

static int32_t place_of(
        const struct tm_restore_into *into, int64_t number, int32_t source, int32_t partitions)
{
    struct scratch scratch;
    struct tm_record record = made_record(number, &scratch);
    if (into->partitions == TM_PARTITIONS_MAP) {
        for (size_t i = 0; i < into->map_count; i++) {
            if (into->map[i].from == source) {
                return into->map[i].to;
            }
        }
    }
    return record.key.at == NULL ? source % partitions
                                 : (int32_t)(tm_murmur2(record.key) & 0x7fffffff) % partitions;
}

static int64_t time_of(int64_t number)
{
    struct scratch scratch;
    return made_record(number, &scratch).timestamp_ms;
}

static void model(const struct tm_restore_into *into, const int64_t *counts, int32_t sources,
        int32_t targets, struct expected *out)
{
    int64_t next[PARTS_MAX] = {0};
    memset(out, 0, sizeof(*out));
    for (;;) {
        int32_t best = -1;
        for (int32_t p = 0; p < sources; p++) {
            if (next[p] < counts[p] && (best < 0 || time_of(next[p]) < time_of(next[best]))) {
                best = p;
            }
        }
        if (best < 0) {
            return;
        }
        int32_t to = place_of(into, next[best], best, targets);
        *tm_vec_push(&out->at[to]) = next[best]++;
    }
}

static void assert_target(struct job_rig *rig, const char *topic, int32_t partition,
        const int64_t *numbers, size_t count)
{
    struct tm_offsets ends = {.topic = topic, .partition = partition};
    struct tm_err err = {0};
    ASSERT_OK(tm_kafka_offsets(rig->kafka.kafka, &ends, 1, 10000, &err), err);
    ck_assert_int_eq(ends.high_watermark, (int64_t)count);
    if (count == 0) {
        return;
    }
    struct tm_reader *reader = new_reader(&rig->kafka, topic, 0);
    ASSERT_OK(tm_reader_start(reader, partition, 0, (int64_t)count, &err), err);
    for (size_t i = 0; i < count; i++) {
        struct tm_read_event event;
        struct scratch scratch;
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        struct tm_record made = made_record(numbers[i], &scratch);
        ck_assert_msg(tm_record_same(&event.record, &made),
                "partition %" PRId32 " offset %zu is not record %" PRId64, partition, i,
                numbers[i]);
    }
    tm_reader_free(reader);
}

static void assert_model(struct job_rig *rig, const struct tm_restore_into *into,
        const int64_t *counts, int32_t sources, int32_t targets)
{
    struct expected expected;
    model(into, counts, sources, targets, &expected);
    for (int32_t p = 0; p < targets; p++) {
        assert_target(rig, "orders.back", p, expected.at[p].at, expected.at[p].count);
        tm_vec_done(&expected.at[p]);
    }
}

static void up(struct job_rig *rig, const int64_t *counts, int32_t sources, int32_t targets,
        struct tm_backup_result *backup, struct restore_setup *setup)
{
    rig_up(rig);
    rig_topic(rig, "orders", sources);
    for (int32_t p = 0; p < sources; p++) {
        if (counts[p] > 0) {
            write_made(&rig->kafka, "orders", p, 0, counts[p]);
        }
    }
    back_up(rig, backup);
    rig_topic(rig, "orders.back", targets);
    restore_setup(rig, &backup->point, setup);
}

static void down(struct job_rig *rig, struct tm_backup_result *backup)
{
    tm_backup_result_done(backup);
    rig_down(rig);
}

static void expect_restored(struct job_rig *rig, struct restore_setup *setup, int64_t messages)
{
    struct tm_restore_result back;
    struct tm_err err;
    ASSERT_OK(try_restore(rig, setup, &back, &err), err);
    ck_assert_msg(back.proved, "%s", back.failures.count > 0 ? back.failures.at[0].detail : "");
    ck_assert_int_eq(back.messages_count, messages);
    tm_restore_result_done(&back);
}

START_TEST(keys_go_where_their_hash_says_in_the_order_of_time)
{
    static const int64_t counts[] = {700, 0, 31, 512, 1};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    up(&rig, counts, 5, 3, &backup, &setup);
    setup.options.into.partitions = TM_PARTITIONS_HASH;
    expect_restored(&rig, &setup, 1244);
    assert_model(&rig, &setup.options.into, counts, 5, 3);
    ck_assert_int_eq(atomic_load(&rig.progress.parts_done), 3);
    ck_assert_int_eq(atomic_load(&rig.progress.done_messages), 1244);
    down(&rig, &backup);
}
END_TEST

/* trap: restore_memory_is_bounded: with next to no memory the sources are read in small pieces. */
START_TEST(with_little_memory_the_outcome_is_the_same)
{
    static const int64_t counts[] = {3000, 3000, 100, 2999};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    up(&rig, counts, 4, 4, &backup, &setup);
    rig.env.memory_bytes = 1; /* a window of 16 KiB a source: dozens of them */
    setup.options.into.partitions = TM_PARTITIONS_HASH;
    expect_restored(&rig, &setup, 9099);
    assert_model(&rig, &setup.options.into, counts, 4, 4);
    down(&rig, &backup);
}
END_TEST

START_TEST(a_map_merges_partitions_and_moves_them)
{
    static const int64_t counts[] = {40, 800, 0, 900};
    static const struct tm_partition_pair map[] = {{0, 5}, {1, 2}, {3, 2}};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    up(&rig, counts, 4, 6, &backup, &setup);
    setup.options.into = (struct tm_restore_into){
            .partitions = TM_PARTITIONS_MAP, .map = map, .map_count = LENGTH(map)};
    expect_restored(&rig, &setup, 1740);
    assert_model(&rig, &setup.options.into, counts, 4, 6);
    down(&rig, &backup);
}
END_TEST

START_TEST(a_map_that_leaves_records_without_a_place_is_refused)
{
    static const int64_t counts[] = {4, 8, 0};
    static const struct tm_partition_pair short_map[] = {{1, 0}};
    static const struct tm_partition_pair wide_map[] = {{0, 0}, {1, 7}};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    up(&rig, counts, 3, 2, &backup, &setup);
    setup.options.into = (struct tm_restore_into){
            .partitions = TM_PARTITIONS_MAP, .map = short_map, .map_count = 1};
    ck_assert_int_eq(try_restore(&rig, &setup, &back, &err), TM_E_CONFLICT);
    ck_assert_msg(strstr(err.msg, "where partition 0 of orders goes") != NULL, "%s", err.msg);
    tm_restore_result_done(&back);
    setup.options.into.map = wide_map;
    setup.options.into.map_count = 2;
    ck_assert_int_eq(try_restore(&rig, &setup, &back, &err), TM_E_CONFLICT);
    ck_assert_msg(
            strstr(err.msg, "names partition 7, but topic orders.back") != NULL, "%s", err.msg);
    tm_restore_result_done(&back);
    down(&rig, &backup);
}
END_TEST

/*
 * trap: resumable_restore
 * Stopped in the middle, as by a kill: what lies in each target partition is a prefix of what the merge gives
 * it, and the next process leaves out just that.
 */
START_TEST(a_hashed_restore_that_was_stopped_is_taken_up)
{
    static const int64_t counts[] = {MANY, MANY, MANY};
    struct job_rig rig;
    struct canceller canceller;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    up(&rig, counts, 3, 2, &backup, &setup);
    setup.options.into.partitions = TM_PARTITIONS_HASH;
    setup.options.into.write_bytes_per_second = 400000; /* slow enough to be met */
    cancel_begin(&canceller, &rig, 3000);
    ck_assert_int_eq(try_restore(&rig, &setup, &back, &err), TM_E_CANCELLED);
    cancel_end(&canceller);
    tm_restore_result_done(&back);
    struct tm_offsets ends[2] = {
            {.topic = "orders.back"}, {.topic = "orders.back", .partition = 1}};
    ASSERT_OK(tm_kafka_offsets(rig.kafka.kafka, ends, 2, 10000, &err), err);
    int64_t there = ends[0].high_watermark + ends[1].high_watermark;
    ck_assert_int_lt(there, INT64_C(3) * MANY);

    setup.options.into.write_bytes_per_second = 0;
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert_msg(back.proved, "%s", back.failures.count > 0 ? back.failures.at[0].detail : "");
    ck_assert_int_eq(back.written_count, INT64_C(3) * MANY - there);
    tm_restore_result_done(&back);
    assert_model(&rig, &setup.options.into, counts, 3, 2);
    down(&rig, &backup);
}
END_TEST

/*
 * trap: duplicates_on_retry
 * trap: order_with_retries
 * The broker refuses batches for a while: they are sent again, each once and in order.
 */
START_TEST(what_is_sent_again_is_there_once_and_in_order)
{
    static const int64_t counts[] = {MANY, 10, MANY};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    up(&rig, counts, 3, 4, &backup, &setup);
    setup.options.into.partitions = TM_PARTITIONS_HASH;
    tm_mock_request_errors(rig.kafka.mock, API_PRODUCE, NOT_LEADER, 2);
    tm_mock_request_errors(rig.kafka.mock, API_PRODUCE, REQUEST_TIMED_OUT, 2);
    tm_mock_request_errors(rig.kafka.mock, API_PRODUCE, NOT_ENOUGH_REPLICAS, 2);
    expect_restored(&rig, &setup, INT64_C(2) * MANY + 10);
    assert_model(&rig, &setup.options.into, counts, 3, 4);
    down(&rig, &backup);
}
END_TEST

START_TEST(a_header_says_where_a_record_lay_only_where_it_was_asked_for)
{
    static const int64_t counts[] = {0, 9};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    struct tm_read_event event;
    struct tm_err err = {0};
    up(&rig, counts, 2, 2, &backup, &setup);
    setup.options.into.add_original_position = true;
    expect_restored(&rig, &setup, 9);
    struct tm_reader *reader = new_reader(&rig.kafka, "orders.back", 0);
    ASSERT_OK(tm_reader_start(reader, 1, 0, 9, &err), err);
    for (int64_t number = 0; number < 9; number++) {
        struct scratch scratch;
        char position[32];
        next_event(reader, &event);
        struct tm_record made = made_record(number, &scratch);
        ck_assert_uint_eq(event.record.header_count, made.header_count + 1);
        const struct tm_header *last = &event.record.headers[made.header_count];
        (void)snprintf(position, sizeof(position), "orders/1@%" PRId64, number);
        ck_assert(
                tm_slice_is(last->name, TM_POSITION_HEADER) && tm_slice_is(last->value, position));
        event.record.header_count--;
        ck_assert(tm_record_same(&event.record, &made));
    }
    tm_reader_free(reader);
    down(&rig, &backup);
}
END_TEST

START_TEST(a_strangers_record_among_hashed_ones_is_a_conflict)
{
    static const int64_t counts[] = {200, 200};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    up(&rig, counts, 2, 3, &backup, &setup);
    setup.options.into.partitions = TM_PARTITIONS_HASH;
    expect_restored(&rig, &setup, 400);
    struct tm_offsets end = {.topic = "orders.back", .partition = 2};
    ASSERT_OK(tm_kafka_offsets(rig.kafka.kafka, &end, 1, 10000, &err), err);
    write_made(&rig.kafka, "orders.back", 2, end.high_watermark, end.high_watermark + 1);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(!back.proved);
    ck_assert_msg(strstr(back.failures.at[0].detail, "something else wrote to it") != NULL, "%s",
            back.failures.at[0].detail);
    tm_restore_result_done(&back);
    down(&rig, &backup);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("target");
    tcase_add_test(tcase, keys_go_where_their_hash_says_in_the_order_of_time);
    tcase_add_test(tcase, with_little_memory_the_outcome_is_the_same);
    tcase_add_test(tcase, a_map_merges_partitions_and_moves_them);
    tcase_add_test(tcase, a_map_that_leaves_records_without_a_place_is_refused);
    tcase_add_test(tcase, a_hashed_restore_that_was_stopped_is_taken_up);
    tcase_add_test(tcase, what_is_sent_again_is_there_once_and_in_order);
    tcase_add_test(tcase, a_header_says_where_a_record_lay_only_where_it_was_asked_for);
    tcase_add_test(tcase, a_strangers_record_among_hashed_ones_is_a_conflict);
    return run_case(tcase, "job_target");
}
