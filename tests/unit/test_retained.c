/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog/retained and of one question of lib/catalog/holes. */
#include "catalog/holes.h"
#include "catalog/retained.h"

#include "vault_rig.h"

struct retained_rig {
    struct vault_rig disk;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_fold fold;
    struct tm_arena arena;
};

static struct tm_id16 ulid_of(unsigned number)
{
    return (struct tm_id16){{[15] = (uint8_t)number}};
}

static struct tm_row_point *new_point(struct tm_edits *edits, unsigned id, const char *policy)
{
    struct tm_row_point *point = tm_vec_push(&edits->points);
    *point = (struct tm_row_point){
            .id = id,
            .ulid = ulid_of(id),
            .time_ms = 1000 * (int64_t)id,
            .cluster_id = tm_slice_str("c1"),
            .cluster_name = tm_slice_str("prod"),
            .policy = tm_slice_str(policy),
    };
    return point;
}

/* Two streams, and points 1 and 2 of "p", 3 of "q"; 2 and 3 name stream 2 too. */
static enum tm_code build_points(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)arg;
    (void)err;
    static const char *const topics[] = {"orders", "logs"};
    static struct tm_row_part parts[] = {{.stream = 1}, {.stream = 2}};
    static struct tm_row_topic topic_rows[] = {
            {.stream = 1, .partitions = 1, .replication_factor = 1},
            {.stream = 2, .partitions = 1, .replication_factor = 1},
    };
    for (uint32_t i = 0; i < 2; i++) {
        *tm_vec_push(&edits->streams) = (struct tm_row_stream){
                .id = i + 1,
                .cluster_id = tm_slice_str("c1"),
                .topic = tm_slice_str(topics[i]),
                .incarnation = 1,
        };
        *tm_vec_push(&edits->tails) = (struct tm_row_tail){.stream = i + 1, .leader_epoch = -1};
    }
    for (unsigned id = 1; id <= 3; id++) {
        struct tm_row_point *point = new_point(edits, id, id < 3 ? "p" : "q");
        point->topics = id == 3 ? &topic_rows[1] : topic_rows;
        point->topic_count = id == 2 ? 2 : 1;
        point->parts = id == 3 ? &parts[1] : parts;
        point->part_count = id == 2 ? 2 : 1;
    }
    *tm_vec_push(&edits->keeps) = (struct tm_row_keep){2, tm_slice_str("q"), 3600};
    *tm_vec_push(&edits->marks) = (struct tm_row_mark){.point = 1, .note = tm_slice_str("first")};
    return TM_OK;
}

static void rig_up(struct retained_rig *rig)
{
    *rig = (struct retained_rig){0};
    rig_make(&rig->disk);
    rig_init_vault(rig->disk.store);
    rig->vault = rig_open_vault(rig->disk.store);
    ck_assert_tm_ok(tm_catalog_open(":memory:", &rig->catalog, &err));
    rig->fold = tm_catalog_fold(rig->catalog);
    ck_assert_tm_ok(tm_vault_commit(rig->vault, &rig->fold, build_points, NULL, NULL, &err));
}

static void rig_down(struct retained_rig *rig)
{
    tm_arena_done(&rig->arena);
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    rig_drop(&rig->disk);
}

static struct tm_point_head head_of(struct retained_rig *rig, unsigned number)
{
    struct tm_point_head head;
    struct tm_id16 ulid = ulid_of(number);
    ck_assert_tm_ok(tm_catalog_point_head(rig->catalog, &ulid, &rig->arena, &head, &err));
    return head;
}

#define ck_assert_slice(slice, text) ck_assert(tm_slice_eq((slice), tm_slice_str(text)))

START_TEST(heads_come_by_policy_with_what_protects_them)
{
    struct retained_rig rig;
    struct tm_point_head *heads = NULL;
    size_t count = 0;
    rig_up(&rig);
    ck_assert_tm_ok(tm_catalog_point_heads(rig.catalog, &rig.arena, &heads, &count, &err));
    ck_assert_uint_eq(count, 3);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(heads[i].id, i + 1);
        ck_assert_int_eq(heads[i].time_ms, 1000 * (int64_t)(i + 1));
        ck_assert_slice(heads[i].policy, i < 2 ? "p" : "q");
        ck_assert_slice(heads[i].cluster_name, "prod");
        ck_assert_slice(heads[i].mark.note, i == 0 ? "first" : "");
    }
    ck_assert_uint_eq(head_of(&rig, 9).id, 0);
    rig_down(&rig);
}
END_TEST

START_TEST(streams_of_a_policy_and_windows_in_force)
{
    struct retained_rig rig;
    uint32_t *streams = NULL;
    struct tm_row_keep *keeps = NULL;
    size_t count = 0;
    rig_up(&rig);
    ck_assert_tm_ok(tm_catalog_policy_streams(rig.catalog, tm_slice_str("c1"), tm_slice_str("p"),
            &rig.arena, &streams, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(streams[0], 1);
    ck_assert_uint_eq(streams[1], 2);
    ck_assert_tm_ok(tm_catalog_policy_streams(rig.catalog, tm_slice_str("c2"), tm_slice_str("p"),
            &rig.arena, &streams, &count, &err));
    ck_assert_uint_eq(count, 0);
    ck_assert_tm_ok(tm_catalog_keeps(rig.catalog, &rig.arena, &keeps, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(keeps[0].stream, 2);
    ck_assert_uint_eq(keeps[0].seconds, 3600);
    ck_assert_slice(keeps[0].policy, "q");
    rig_down(&rig);
}
END_TEST

/* Point 4 of "p" has only stream 1 left, point 5 has 2 again. */
static enum tm_code build_gone(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)err;
    static uint32_t gone[] = {2};
    static struct tm_row_topic topics[] = {{.stream = 2, .partitions = 1, .replication_factor = 1}};
    const unsigned *id = arg;
    struct tm_row_point *point = new_point(edits, *id, "p");
    point->gone = *id == 4 ? gone : NULL;
    point->gone_count = *id == 4 ? 1 : 0;
    point->topics = *id == 4 ? NULL : topics;
    point->topic_count = *id == 4 ? 0 : 1;
    return TM_OK;
}

static bool policy_has(struct retained_rig *rig, const char *policy, uint32_t stream)
{
    bool has = false;
    ck_assert_tm_ok(tm_catalog_policy_has(
            rig->catalog, tm_slice_str("c1"), tm_slice_str(policy), stream, &has, &err));
    return has;
}

START_TEST(a_stream_is_in_the_newest_point_until_one_says_that_it_is_gone)
{
    static unsigned ids[] = {4, 5};
    struct retained_rig rig;
    rig_up(&rig);
    ck_assert(policy_has(&rig, "p", 1));
    ck_assert(policy_has(&rig, "p", 2));
    ck_assert(!policy_has(&rig, "p", 3));
    ck_assert(!policy_has(&rig, "q", 1));
    ck_assert(policy_has(&rig, "q", 2));
    ck_assert(!policy_has(&rig, "nobody", 1));
    ck_assert_tm_ok(tm_vault_commit(rig.vault, &rig.fold, build_gone, &ids[0], NULL, &err));
    ck_assert(policy_has(&rig, "p", 1));
    ck_assert(!policy_has(&rig, "p", 2));
    ck_assert_tm_ok(tm_vault_commit(rig.vault, &rig.fold, build_gone, &ids[1], NULL, &err));
    ck_assert(policy_has(&rig, "p", 2));
    rig_down(&rig);
}
END_TEST

/* Of partition 0 of stream 1: a run [10, 20), a gap [20, 25), a run [25, 40). */
static enum tm_code build_ranges(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)arg;
    (void)err;
    static struct tm_run runs[] = {
            {.stream = 3, .first = 10, .length = 10, .count = 1, .bytes = 9, .largest = 9},
            {.stream = 3, .first = 25, .length = 15, .count = 1, .bytes = 9, .largest = 9},
    };
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){
            .id = 3,
            .cluster_id = tm_slice_str("c1"),
            .topic = tm_slice_str("ranges"),
            .incarnation = 1,
    };
    *tm_vec_push(&edits->packs) = (struct tm_row_pack){
            .name = {{7}}, .size = 1000, .stored_ms = 1, .runs = runs, .run_count = LENGTH(runs)};
    *tm_vec_push(&edits->gaps) = (struct tm_row_gap){3, 0, 20, 5, TM_GAP_NO_RECORDS};
    *tm_vec_push(&edits->tails) =
            (struct tm_row_tail){.stream = 3, .next = 40, .back = 1, .leader_epoch = -1};
    return TM_OK;
}

/* clang-format off */
static const struct {
    int64_t from;
    int64_t end;
    bool any;
} holes[] = {
    {10, 40, false}, {12, 38, false}, {21, 24, false}, {20, 25, false}, {30, 30, false}, {5, 5, false},
    {9, 40, true},   {10, 41, true},  {0, 5, true},    {40, 50, true},  {39, 41, true},  {0, 100, true},
};
/* clang-format on */

START_TEST(an_offset_that_nothing_covers_is_a_hole)
{
    struct retained_rig rig;
    bool any = !holes[_i].any;
    rig_up(&rig);
    ck_assert_tm_ok(tm_vault_commit(rig.vault, &rig.fold, build_ranges, NULL, NULL, &err));
    struct tm_holes_range range = {3, 0, holes[_i].from, holes[_i].end};
    ck_assert_tm_ok(tm_holes_any(rig.catalog, &range, &any, &err));
    ck_assert(any == holes[_i].any);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retained");
    TCase *tcase = tcase_create("retained");
    tcase_add_test(tcase, heads_come_by_policy_with_what_protects_them);
    tcase_add_test(tcase, streams_of_a_policy_and_windows_in_force);
    tcase_add_test(tcase, a_stream_is_in_the_newest_point_until_one_says_that_it_is_gone);
    tcase_add_loop_test(tcase, an_offset_that_nothing_covers_is_a_hole, 0, (int)LENGTH(holes));
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
