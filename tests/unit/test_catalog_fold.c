/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fold under random entries: folding one by one and loading a full give the same state, and points
 * read as a naive model holds them.
 */
#include <check.h>

#include "catalog_model.h"

enum { ENTRIES = 60, SEEDS = 12 };

/* A full of the state, through its bytes. */
static void load_copy(const struct rig *from, struct rig *to, int64_t now_ms)
{
    EDITS_OWN struct tm_edits full = rig_dump(from, now_ms);
    struct tm_err err = {0};
    struct tm_entry_place place = rig_place(from, true);
    ok(rig_apply_at(to, &place, &full, &err), &err);
}

static void assert_equal(const struct rig *a, const struct rig *b, int64_t now_ms, const char *why)
{
    TM_BUF_OWN struct tm_buf a_body = {0};
    TM_BUF_OWN struct tm_buf b_body = {0};
    rig_body(a, now_ms, &a_body);
    rig_body(b, now_ms, &b_body);
    assert_same_body(&a_body, &b_body, why);
}

/* Points against the model ------------------------------------------------------------------- */

static void assert_topics(const struct tm_point *got, const struct m_whole *whole)
{
    size_t at = 0;
    for (int stream = 0; stream < M_STREAMS; stream++) {
        if (whole->topics[stream] == 0) {
            continue;
        }
        struct tm_arena arena = {0};
        struct tm_row_topic topic = m_topic(&arena, stream, whole->topics[stream]);
        ck_assert_uint_lt(at, got->row.topic_count);
        const struct tm_row_topic *row = &got->row.topics[at++];
        ck_assert_uint_eq(row->stream, topic.stream);
        ck_assert_uint_eq(row->partitions, topic.partitions);
        ck_assert_uint_eq(row->replication_factor, topic.replication_factor);
        ck_assert_uint_eq(row->config_count, topic.config_count);
        if (row->config_count > 0) {
            ck_assert(tm_slice_eq(row->configs[0].key, topic.configs[0].key));
            ck_assert(tm_slice_eq(row->configs[0].value, topic.configs[0].value));
        }
        tm_arena_done(&arena);
    }
    ck_assert_uint_eq(at, got->row.topic_count);
}

static void assert_acls(const struct tm_point *got, const struct m_whole *whole)
{
    size_t at = 0;
    for (int stream = 0; stream < M_STREAMS; stream++) {
        if (whole->acls[stream] == 0) {
            continue;
        }
        struct tm_arena arena = {0};
        struct tm_row_acl acl = m_acl(&arena, stream, whole->acls[stream]);
        ck_assert_uint_lt(at, got->row.acl_count);
        const struct tm_row_acl *row = &got->row.acls[at++];
        ck_assert_uint_eq(row->stream, acl.stream);
        ck_assert_uint_eq(row->acl_count, acl.acl_count);
        ck_assert(acl.acl_count == 0 || tm_slice_eq(row->acls[0], acl.acls[0]));
        tm_arena_done(&arena);
    }
    ck_assert_uint_eq(at, got->row.acl_count);
}

static void assert_part(const struct tm_row_part *row, const struct tm_row_part *expected)
{
    ck_assert_uint_eq(row->stream, expected->stream);
    ck_assert_int_eq(row->partition, expected->partition);
    ck_assert_int_eq(row->start, expected->start);
    ck_assert_int_eq(row->end, expected->end);
    ck_assert_int_eq(row->lso, expected->lso);
    ck_assert_int_eq(row->high_watermark, expected->high_watermark);
    ck_assert_int_eq(row->status, expected->status);
}

static void assert_parts(const struct tm_point *got, const struct m_whole *whole)
{
    size_t at = 0;
    for (int slot = 0; slot < M_STREAMS * M_PARTS; slot++) {
        int stream = slot / M_PARTS;
        int part = slot % M_PARTS;
        if (!whole->parts[stream][part].there) {
            continue;
        }
        struct tm_row_part expected = m_part_row(stream, part, &whole->parts[stream][part]);
        ck_assert_uint_lt(at, got->row.part_count);
        assert_part(&got->row.parts[at++], &expected);
    }
    ck_assert_uint_eq(at, got->row.part_count);
}

static void assert_groups(const struct tm_point *got, const struct m_whole *whole)
{
    size_t at = 0;
    for (int slot = 0; slot < M_GROUPS * M_STREAMS * M_PARTS; slot++) {
        int group = slot / (M_STREAMS * M_PARTS);
        int stream = slot / M_PARTS % M_STREAMS;
        int part = slot % M_PARTS;
        int offset = whole->groups[group][stream][part];
        if (offset == 0) {
            continue;
        }
        ck_assert_uint_lt(at, got->row.group_count);
        const struct tm_row_group *row = &got->row.groups[at++];
        ck_assert(tm_slice_is(row->group, m_groups[group]));
        ck_assert_uint_eq(row->stream, (unsigned)stream + 1);
        ck_assert_int_eq(row->partition, part);
        ck_assert_int_eq(row->offset, offset);
        ck_assert(tm_slice_is(row->metadata, "m"));
    }
    ck_assert_uint_eq(at, got->row.group_count);
}

static void assert_streams(
        const struct tm_point *got, const struct model *model, const struct m_whole *whole)
{
    size_t at = 0;
    for (int stream = 0; stream < M_STREAMS; stream++) {
        if (!whole->in[stream]) {
            continue;
        }
        ck_assert_uint_lt(at, got->stream_count);
        const struct tm_stream *row = &got->streams[at++];
        ck_assert_uint_eq(row->id, (unsigned)stream + 1);
        ck_assert(tm_slice_is(row->cluster_id, m_clusters[m_cluster_of(stream)]));
        ck_assert(tm_slice_is(row->topic, model->stream_topic[stream] == 'a' ? "a" : "b"));
    }
    ck_assert_uint_eq(at, got->stream_count);
}

static void assert_note(const struct tm_row_mark *mark, const struct m_point *point)
{
    static const char *const notes[] = {"", "one", "two"};
    ck_assert(tm_slice_is(mark->note, notes[point->note]));
}

static void assert_point(const struct rig *rig, const struct model *model, int index)
{
    const struct m_point *point = &model->points[index];
    struct tm_arena arena = {0};
    struct tm_point got = {0};
    struct tm_err err = {0};
    struct tm_id16 ulid = id16((unsigned)index + 1);
    ok(tm_catalog_point(rig->catalog, &ulid, &arena, &got, &err), &err);
    ck_assert_uint_eq(got.row.id, point->removed ? 0 : point->id);
    if (!point->removed) {
        ck_assert_int_eq(got.row.time_ms, point->time_ms);
        ck_assert_uint_eq(got.row.flags, point->flags);
        ck_assert(tm_slice_is(got.row.policy, m_policies[point->policy]));
        ck_assert_uint_eq(got.row.gone_count, 0);
        assert_topics(&got, &point->whole);
        assert_parts(&got, &point->whole);
        assert_groups(&got, &point->whole);
        assert_acls(&got, &point->whole);
        assert_streams(&got, model, &point->whole);
        assert_note(&got.mark, point);
    }
    tm_arena_done(&arena);
}

/* Sums against the model --------------------------------------------------------------------- */

/* What of `amount` lies below `offset`, where it is spread over the run. */
static int64_t part_below(const struct tm_run *run, int64_t amount, int64_t offset)
{
    int64_t reach = offset - run->first;
    reach = reach < 0 ? 0 : reach;
    reach = reach > run->length ? run->length : reach;
    return amount * reach / run->length;
}

static struct tm_part_totals model_totals(
        const struct model *model, int stream, int part, int64_t start, int64_t end)
{
    struct tm_part_totals totals = {0};
    for (int i = 0; i < model->run_count; i++) {
        const struct tm_run *run = &model->runs[i].run;
        if (model->runs[i].pack == 0 || run->stream != (uint32_t)stream + 1 ||
                run->partition != part) {
            continue;
        }
        totals.messages += part_below(run, run->count, end) - part_below(run, run->count, start);
        totals.bytes += part_below(run, run->bytes, end) - part_below(run, run->bytes, start);
    }
    return totals;
}

static void add_stream_sums(struct tm_point_line *line, const struct model *model,
        const struct m_whole *whole, int stream)
{
    int64_t before = line->partitions;
    for (int part = 0; part < M_PARTS; part++) {
        const struct m_part *row = &whole->parts[stream][part];
        if (row->there) {
            struct tm_part_totals totals = model_totals(model, stream, part, row->start, row->end);
            line->partitions++;
            line->messages += totals.messages;
            line->source_bytes += totals.bytes;
        }
    }
    line->topics += line->partitions > before;
}

static bool has_topic(const struct model *model, const struct m_whole *whole, int topic)
{
    bool has = false;
    for (int stream = 0; stream < model->stream_count; stream++) {
        has = has || (whole->in[stream] && model->stream_topic[stream] == topic);
    }
    return has;
}

/* All points newest first, or those with a topic. */
static void assert_list(const struct rig *rig, const struct model *model, const char *topic)
{
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    size_t at = 0;
    struct tm_point_query query = {.topics = tm_names_one(&topic),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .limit = 500};
    ok(tm_catalog_points(rig->catalog, &query, &arena, &lines, &count, &err), &err);
    for (int i = model->point_count - 1; i >= 0; i--) {
        const struct m_point *point = &model->points[i];
        if (point->removed || (topic != NULL && !has_topic(model, &point->whole, topic[0]))) {
            continue;
        }
        struct tm_point_line expected = {0};
        for (int stream = 0; stream < M_STREAMS; stream++) {
            add_stream_sums(&expected, model, &point->whole, stream);
        }
        ck_assert_uint_lt(at, count);
        const struct tm_point_line *line = &lines[at++];
        ck_assert_uint_eq(line->row.id, point->id);
        ck_assert_int_eq(line->topics, expected.topics);
        ck_assert_int_eq(line->partitions, expected.partitions);
        ck_assert_int_eq(line->messages, expected.messages);
        ck_assert_int_eq(line->source_bytes, expected.source_bytes);
        assert_note(&line->mark, point);
    }
    ck_assert_uint_eq(at, count);
    tm_arena_done(&arena);
}

static void assert_totals(const struct rig *rig, struct model *model)
{
    int stream = below(model, M_STREAMS);
    int part = below(model, M_PARTS);
    int64_t start = below(model, 400);
    int64_t end = start + below(model, 400);
    struct tm_part_totals expected = model_totals(model, stream, part, start, end);
    struct tm_part_totals got = {0};
    struct tm_err err = {0};
    ok(tm_catalog_part_totals(rig->catalog, (uint32_t)stream + 1, part, start, end, &got, &err),
            &err);
    ck_assert_int_eq(got.messages, expected.messages);
    ck_assert_int_eq(got.bytes, expected.bytes);
}

static void assert_agrees(const struct rig *rig, struct model *model)
{
    for (int i = 0; i < model->point_count; i++) {
        assert_point(rig, model, i);
    }
    assert_list(rig, model, NULL);
    assert_list(rig, model, "a");
    assert_list(rig, model, "b");
    for (int i = 0; i < 10; i++) {
        assert_totals(rig, model);
    }
}

/* Tests ------------------------------------------------------------------------------------ */

static struct model *new_model(int seed)
{
    struct model *model = tm_xalloc(1, sizeof(*model));
    model->random = (uint32_t)seed * 7919U + 1;
    model->now_ms = 1000000;
    return model;
}

START_TEST(points_read_as_a_model_that_keeps_them_whole)
{
    struct model *model = new_model(_i);
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_start(&rig);
    for (int i = 0; i < ENTRIES; i++) {
        EDITS_OWN struct tm_edits edits = m_entry(model);
        rig_must(&rig, &edits);
        if (i % 6 == 5) {
            assert_agrees(&rig, model);
        }
    }
    free(model);
}
END_TEST

START_TEST(a_full_loads_into_the_state_it_was_made_of)
{
    struct model *model = new_model(_i);
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_start(&rig);
    for (int i = 0; i < ENTRIES; i++) {
        EDITS_OWN struct tm_edits edits = m_entry(model);
        rig_must(&rig, &edits);
        if (i % 5 == 0) {
            RIG_OWN struct rig copy = rig_open(":memory:");
            load_copy(&rig, &copy, model->now_ms);
            assert_equal(&rig, &copy, model->now_ms, "loaded");
        }
    }
    free(model);
}
END_TEST

/* One fold goes through the whole log; the other begins at each full anew. */
START_TEST(a_fold_that_began_at_a_full_goes_on_like_one_that_did_not)
{
    struct model *model = new_model(1000 + _i);
    RIG_OWN struct rig whole = rig_open(":memory:");
    RIG_OWN struct rig late = rig_open(":memory:");
    rig_start(&whole);
    rig_start(&late);
    for (int i = 0; i < ENTRIES; i++) {
        EDITS_OWN struct tm_edits edits = m_entry(model);
        rig_must(&whole, &edits);
        rig_must(&late, &edits);
        if (i % 8 == 7) {
            EDITS_OWN struct tm_edits full = rig_dump(&whole, model->now_ms);
            struct tm_err err = {0};
            struct tm_entry_place place = rig_place(&whole, true);
            ok(rig_apply_at(&late, &place, &full, &err), &err);
            ok(rig_apply_at(&whole, &place, &full, &err), &err);
            ok(late.fold.ops->reset(late.fold.self, &err), &err);
            ok(rig_apply_at(&late, &place, &full, &err), &err);
        }
        assert_equal(&whole, &late, model->now_ms, "side by side");
    }
    assert_agrees(&late, model);
    free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("catalog_fold");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, points_read_as_a_model_that_keeps_them_whole, 0, SEEDS);
    tcase_add_loop_test(tcase, a_full_loads_into_the_state_it_was_made_of, 0, SEEDS);
    tcase_add_loop_test(tcase, a_fold_that_began_at_a_full_goes_on_like_one_that_did_not, 0, SEEDS);

    Suite *suite = suite_create("catalog_fold");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
