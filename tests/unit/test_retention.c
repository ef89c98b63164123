/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/job/retention: which points go, archive windows, digests, warnings. */
#include "job/retention.h"

#include <string.h>

#include "base/clock.h"
#include "job/marks.h"
#include "vault_rig.h"

enum {
    HOUR = 3600 * 1000,
    POINTS = 72, /* of policy "p", one an hour; the newest has the greatest id */
};

struct retention_rig {
    struct vault_rig disk;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_fold fold;
    atomic_bool cancel;
    struct tm_progress progress;
    struct tm_job_env env;
    struct tm_retention_policy policy;
    struct tm_retention_options options;
};

static struct tm_id16 ulid_of(uint64_t number)
{
    return (struct tm_id16){{[14] = (uint8_t)(number >> 8), [15] = (uint8_t)number}};
}

static struct tm_row_point *new_point(struct tm_edits *edits, uint64_t id, const char *policy)
{
    struct tm_row_point *point = tm_vec_push(&edits->points);
    *point = (struct tm_row_point){
            .id = id,
            .ulid = ulid_of(id),
            .time_ms = tm_now_ms() - (POINTS - (int64_t)id) * HOUR,
            .cluster_id = tm_slice_str("c1"),
            .cluster_name = tm_slice_str("prod"),
            .policy = tm_slice_str(policy),
    };
    return point;
}

/* A stream "orders" that keeps its records for an hour, POINTS points of "p", and one of "q". */
static enum tm_code build_points(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)arg;
    (void)err;
    static struct tm_config_pair configs[1];
    static struct tm_row_topic topics[] = {{.stream = 1, .partitions = 1, .replication_factor = 1}};
    static struct tm_row_part parts[] = {{.stream = 1}};
    configs[0] = (struct tm_config_pair){tm_slice_str("retention.ms"), tm_slice_str("3600000")};
    topics[0].configs = configs;
    topics[0].config_count = 1;
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){
            .id = 1,
            .cluster_id = tm_slice_str("c1"),
            .topic = tm_slice_str("orders"),
            .incarnation = 1,
    };
    *tm_vec_push(&edits->tails) = (struct tm_row_tail){.stream = 1, .leader_epoch = -1};
    for (uint64_t id = 1; id <= POINTS + 1; id++) {
        struct tm_row_point *point = new_point(edits, id, id <= POINTS ? "p" : "q");
        point->parts = id == 1 ? parts : NULL;
        point->part_count = id == 1 ? 1 : 0;
        point->topics = id == 1 ? topics : NULL;
        point->topic_count = id == 1 ? 1 : 0;
    }
    return TM_OK;
}

static void rig_up(struct retention_rig *rig)
{
    *rig = (struct retention_rig){.policy = {.policy = "p", .cluster = "prod"}};
    rig_make(&rig->disk);
    rig_init_vault(rig->disk.store);
    rig->vault = rig_open_vault(rig->disk.store);
    ck_assert_tm_ok(tm_catalog_open(":memory:", &rig->catalog, &err));
    rig->fold = tm_catalog_fold(rig->catalog);
    ck_assert_tm_ok(tm_vault_commit(rig->vault, &rig->fold, build_points, NULL, NULL, &err));
    rig->env = (struct tm_job_env){
            .job_id = "job_test", .cancel = &rig->cancel, .progress = &rig->progress};
    rig->options = (struct tm_retention_options){
            .vault = rig->vault,
            .catalog = rig->catalog,
            .policies = &rig->policy,
            .policy_count = 1,
            .space = tm_space_defaults(rig->vault, rig->catalog),
    };
}

static void rig_down(struct retention_rig *rig)
{
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    rig_drop(&rig->disk);
}

static void plan(struct retention_rig *rig, struct tm_retention_plan *out)
{
    *out = (struct tm_retention_plan){0};
    ck_assert_tm_ok(tm_retention_plan(&rig->options, &rig->env, out, &err));
}

static void run(struct retention_rig *rig, struct tm_retention_result *out)
{
    *out = (struct tm_retention_result){0};
    ck_assert_tm_ok(tm_retention_run(&rig->options, &rig->env, out, &err));
}

static size_t points_left(struct retention_rig *rig)
{
    struct tm_arena arena = {0};
    struct tm_point_head *heads = NULL;
    size_t count = 0;
    ck_assert_tm_ok(tm_catalog_point_heads(rig->catalog, &arena, &heads, &count, &err));
    tm_arena_done(&arena);
    return count;
}

static bool is_left(struct retention_rig *rig, uint64_t id)
{
    struct tm_arena arena = {0};
    struct tm_point_head head;
    struct tm_id16 ulid = ulid_of(id);
    ck_assert_tm_ok(tm_catalog_point_head(rig->catalog, &ulid, &arena, &head, &err));
    tm_arena_done(&arena);
    return head.id != 0;
}

static uint64_t head_seq(const struct retention_rig *rig)
{
    struct tm_fold_state state;
    ck_assert_tm_ok(rig->fold.ops->state(rig->fold.self, &state, &err));
    return state.head.seq;
}

static const struct tm_job_note *find_note(const tm_job_notes *notes, const char *code)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (strcmp(notes->at[i].code, code) == 0) {
            return &notes->at[i];
        }
    }
    return NULL;
}

START_TEST(a_plan_says_of_each_point_what_keeps_it)
{
    struct retention_rig rig;
    struct tm_retention_plan out;
    rig_up(&rig);
    rig.policy.rules = (struct tm_gfs_rules){.keep_last = 3, .keep_hourly = 10};
    plan(&rig, &out);
    ck_assert_uint_eq(out.lines.count, POINTS + 1);
    for (size_t i = 0; i < POINTS; i++) { /* newest first */
        const struct tm_retention_line *line = &out.lines.at[i];
        ck_assert_uint_eq(line->point.id, POINTS - i);
        ck_assert(line->configured && line->whole && !line->too_old);
        ck_assert(line->goes == (i >= 10));
        ck_assert((line->kept_by & TM_GFS_KEEP_HOURLY) == (i < 10 ? TM_GFS_KEEP_HOURLY : 0));
    }
    ck_assert(!out.lines.at[POINTS].configured && !out.lines.at[POINTS].goes);
    ck_assert_uint_eq(out.goes_count, POINTS - 10);
    ck_assert_uint_eq(points_left(&rig), POINTS + 1); /* a plan changes nothing */
    tm_retention_plan_done(&out);
    rig_down(&rig);
}
END_TEST

START_TEST(a_run_removes_what_the_plan_said_and_no_more)
{
    struct retention_rig rig;
    struct tm_retention_plan out;
    struct tm_retention_result result;
    rig_up(&rig);
    rig.policy.rules = (struct tm_gfs_rules){.keep_last = 3, .keep_hourly = 10};
    plan(&rig, &out);
    rig.options.plan_digest = out.digest;
    run(&rig, &result);
    ck_assert_int_eq(result.points_removed, POINTS - 10);
    ck_assert_int_eq(result.points_kept, 11);
    ck_assert_uint_eq(result.removed.count, 1);
    ck_assert_int_eq(result.removed.at[0].points, POINTS - 10);
    for (size_t i = 0; i < out.lines.count; i++) {
        ck_assert(is_left(&rig, out.lines.at[i].point.id) == !out.lines.at[i].goes);
    }
    tm_retention_result_done(&result);
    tm_retention_plan_done(&out);
    rig_down(&rig);
}
END_TEST

START_TEST(without_rules_no_point_goes_and_nothing_is_committed)
{
    struct retention_rig rig;
    struct tm_retention_result result;
    rig_up(&rig);
    uint64_t seq = head_seq(&rig);
    run(&rig, &result);
    ck_assert_int_eq(result.points_removed, 0);
    ck_assert_uint_eq(points_left(&rig), POINTS + 1);
    ck_assert_uint_eq(head_seq(&rig), seq);
    tm_retention_result_done(&result);
    rig_down(&rig);
}
END_TEST

START_TEST(a_point_held_since_the_plan_changes_the_digest_and_stays)
{
    struct retention_rig rig;
    struct tm_retention_plan out;
    struct tm_retention_result result = {0};
    struct tm_err why = {0};
    struct tm_id16 ulid = ulid_of(5);
    struct tm_row_mark was = {0};
    struct tm_row_mark will = {.hold_until_ms = -1, .hold_reason = tm_slice_str("audit")};
    rig_up(&rig);
    rig.policy.rules = (struct tm_gfs_rules){.keep_last = 3};
    plan(&rig, &out);
    ck_assert_tm_ok(tm_marks_set(rig.vault, rig.catalog, &ulid, &was, &will, &err));
    rig.options.plan_digest = out.digest;
    ck_assert_int_eq(tm_retention_run(&rig.options, &rig.env, &result, &why), TM_E_CONFLICT);
    ck_assert_ptr_nonnull(
            strstr(why.msg, "what retention would do has changed since the plan: it is sha256:"));
    ck_assert_uint_eq(points_left(&rig), POINTS + 1);
    tm_retention_result_done(&result);
    rig.options.plan_digest = NULL;
    run(&rig, &result);
    ck_assert(is_left(&rig, 5));
    ck_assert(!is_left(&rig, 4) && !is_left(&rig, 6));
    ck_assert_uint_eq(points_left(&rig), 3 + 1 + 1);
    tm_retention_result_done(&result);
    tm_retention_plan_done(&out);
    rig_down(&rig);
}
END_TEST

START_TEST(points_of_another_cluster_of_the_configuration_are_not_meant)
{
    struct retention_rig rig;
    struct tm_retention_plan out;
    rig_up(&rig);
    rig.policy.cluster = "dr";
    rig.policy.rules = (struct tm_gfs_rules){.keep_last = 1};
    rig.options.all_policies = true;
    plan(&rig, &out);
    ck_assert_uint_eq(out.goes_count, 0);
    ck_assert_uint_eq(out.warnings.count, 2);
    ck_assert_str_eq(out.warnings.at[0].code, "policy-not-configured");
    ck_assert_str_eq(out.warnings.at[0].detail,
            "policy p of cluster prod is not configured here: its 72 recovery points stay");
    tm_retention_plan_done(&out);
    rig_down(&rig);
}
END_TEST

static uint64_t window(struct retention_rig *rig)
{
    struct tm_arena arena = {0};
    struct tm_row_keep *keeps = NULL;
    size_t count = 0;
    ck_assert_tm_ok(tm_catalog_keeps(rig->catalog, &arena, &keeps, &count, &err));
    ck_assert_uint_le(count, 1);
    uint64_t seconds = count > 0 ? keeps[0].seconds : 0;
    tm_arena_done(&arena);
    return seconds;
}

START_TEST(archive_windows_follow_the_configuration)
{
    static const int64_t seconds[] = {86400, 86400, 3600, 0};
    struct retention_rig rig;
    struct tm_retention_result result;
    rig_up(&rig);
    for (size_t i = 0; i < LENGTH(seconds); i++) {
        uint64_t seq = head_seq(&rig);
        rig.policy.keep_data_s = seconds[i];
        run(&rig, &result);
        ck_assert_uint_eq(window(&rig), (uint64_t)seconds[i]);
        ck_assert_uint_eq(head_seq(&rig), seq + (i == 1 ? 0 : 1)); /* said once */
        tm_retention_result_done(&result);
    }
    rig_down(&rig);
}
END_TEST

START_TEST(a_policy_that_frees_records_between_its_points_is_told)
{
    struct retention_rig rig;
    struct tm_retention_plan out;
    rig_up(&rig);
    rig.policy.rules = (struct tm_gfs_rules){.keep_hourly = 24, .keep_daily = 14};
    rig.policy.keep_data_s = 3600;
    plan(&rig, &out);
    const struct tm_job_note *note = find_note(&out.warnings, "frees-between-points");
    ck_assert_ptr_nonnull(note);
    ck_assert_str_eq(note->topic, "orders");
    ck_assert_str_eq(note->detail, "policy p: from an age of 1d on its points lie 1d apart, and "
                                   "topic orders keeps records "
                                   "for 1h: what lies between two points is freed; set keep_data "
                                   "to 2w or more (it is 1h)");
    tm_retention_plan_done(&out);
    rig.policy.keep_data_s = INT64_C(14) * 24 * 3600;
    plan(&rig, &out);
    ck_assert_uint_eq(out.warnings.count, 0);
    tm_retention_plan_done(&out);
    rig.policy.keep_data_s = 0;
    rig.policy.rules =
            (struct tm_gfs_rules){.keep_hourly = 24}; /* as far apart as the topic keeps */
    plan(&rig, &out);
    ck_assert_uint_eq(out.warnings.count, 0);
    tm_retention_plan_done(&out);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retention");
    TCase *tcase = tcase_create("retention");
    tcase_add_test(tcase, a_plan_says_of_each_point_what_keeps_it);
    tcase_add_test(tcase, a_run_removes_what_the_plan_said_and_no_more);
    tcase_add_test(tcase, without_rules_no_point_goes_and_nothing_is_committed);
    tcase_add_test(tcase, a_point_held_since_the_plan_changes_the_digest_and_stays);
    tcase_add_test(tcase, points_of_another_cluster_of_the_configuration_are_not_meant);
    tcase_add_test(tcase, archive_windows_follow_the_configuration);
    tcase_add_test(tcase, a_policy_that_frees_records_between_its_points_is_told);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
