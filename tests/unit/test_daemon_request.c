/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon/request: what the journal keeps of a request is the request, when it is read again after a
 * restart.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tmd.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define ASSERT_OK(call, err_) \
    do { \
        enum tm_code code_ = (call); \
        ck_assert_msg(code_ == TM_OK, "%s: %s", #call, (err_).msg); \
    } while (0)

void tmd_post(struct tmd *tmd, void (*fn)(void *arg), void *arg) /* main.c has the daemon's */
{
    (void)tmd;
    fn(arg);
}

static void assert_text(const char *a, const char *b)
{
    ck_assert((a == NULL) == (b == NULL));
    if (a != NULL) {
        ck_assert_str_eq(a, b);
    }
}

static void assert_texts(const char *const *a, size_t a_count, const char *const *b, size_t b_count)
{
    ck_assert_uint_eq(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        ck_assert_str_eq(a[i], b[i]);
    }
}

static void assert_same_backup(const struct tm_backup_request *a, const struct tm_backup_request *b)
{
    ck_assert_str_eq(a->policy, b->policy);
    assert_texts(a->topics, a->topic_count, b->topics, b->topic_count);
    assert_text(a->note, b->note);
    assert_texts(a->tags, a->tag_count, b->tags, b->tag_count);
}

static void assert_same_choice(const struct tm_choice *a, const struct tm_choice *b)
{
    TM_BUF_OWN struct tm_buf left = {0};
    TM_BUF_OWN struct tm_buf right = {0};
    tm_choice_describe(a, &left);
    tm_choice_describe(b, &right);
    ck_assert_str_eq(tm_buf_text(&left), tm_buf_text(&right));
}

static void assert_same_restore(
        const struct tm_restore_request *a, const struct tm_restore_request *b)
{
    assert_text(a->point, b->point);
    assert_text(a->policy, b->policy);
    assert_texts(a->include, a->include_count, b->include, b->include_count);
    assert_texts(a->exclude, a->exclude_count, b->exclude, b->exclude_count);
    ck_assert_str_eq(a->target, b->target);
    ck_assert_uint_eq(a->rename_count, b->rename_count);
    for (size_t i = 0; i < a->rename_count; i++) {
        ck_assert_str_eq(a->renames[i].from, b->renames[i].from);
        ck_assert_str_eq(a->renames[i].to, b->renames[i].to);
    }
    assert_text(a->prefix, b->prefix);
    assert_text(a->suffix, b->suffix);
    ck_assert_int_eq(a->create_topics, b->create_topics);
    ck_assert_int_eq(a->existing, b->existing);
    ck_assert_int_eq(a->retention, b->retention);
    ck_assert_int_eq(a->original_configs, b->original_configs);
    ck_assert_int_eq(a->replication_factor, b->replication_factor);
    ck_assert_int_eq(a->continue_on_gap, b->continue_on_gap);
    const struct tm_restore_into *into = &a->into;
    const struct tm_restore_into *other = &b->into;
    ck_assert_int_eq(into->partitions, other->partitions);
    ck_assert_int_eq(into->partition_count, other->partition_count);
    ck_assert_uint_eq(into->map_count, other->map_count);
    for (size_t i = 0; i < into->map_count; i++) {
        ck_assert_int_eq(into->map[i].from, other->map[i].from);
        ck_assert_int_eq(into->map[i].to, other->map[i].to);
    }
    assert_texts(into->confirm, into->confirm_count, other->confirm, other->confirm_count);
    ck_assert_int_eq(into->add_original_position, other->add_original_position);
    ck_assert_int_eq(into->write_bytes_per_second, other->write_bytes_per_second);
    ck_assert_int_eq(into->max_in_flight, other->max_in_flight);
    assert_text(a->cluster, b->cluster);
    assert_texts(a->more_points, a->more_point_count, b->more_points, b->more_point_count);
    ck_assert_int_eq(a->has_at, b->has_at);
    ck_assert_int_eq(a->at_ms, b->at_ms);
    ck_assert_int_eq(a->as_of, b->as_of);
    ck_assert_int_eq(a->late_ms, b->late_ms);
    assert_same_choice(&a->choice, &b->choice);
}

static const char *const some[] = {"orders", "\"quoted\" \\ \xc3\xa4", "", "a.b-c_d"};

START_TEST(a_backup_reads_as_it_was_written)
{
    const struct tm_backup_request requests[] = {
            {.policy = "p"},
            {.policy = "p", .topics = some, .topic_count = LENGTH(some)},
            {.policy = "with space", .note = "line\nbreak \x01", .tags = some, .tag_count = 2},
            {.policy = "p", .note = ""},
    };
    for (size_t i = 0; i < LENGTH(requests); i++) {
        struct tm_arena arena = {0};
        struct tm_backup_request read;
        struct tm_err err = {0};
        char *text = tmd_backup_request_text(&requests[i]);
        ASSERT_OK(tmd_backup_request_read(text, &arena, &read, &err), err);
        free(text);
        assert_same_backup(&requests[i], &read);
        tm_arena_done(&arena);
    }
}
END_TEST

static const int32_t numbers[] = {0, 7, INT32_MAX};
static const struct tm_choice_partitions listed[] = {{"orders", numbers, 3}, {"b", numbers, 1}};
static const struct tm_choice_window windows[] = {
        {"orders", 7, false, 0, INT64_MAX},
        {"\"q\"", -1, true, INT64_MIN, 1763854200000},
};
static const struct tm_choice_skip skips[] = {
        {"orders", 7, 4711, 4711}, {"b", 0, 0, INT64_MAX - 1}};
static const struct tm_restore_request chosen = {.point = "rp_1",
        .target = "t",
        .cluster = "c",
        .has_at = true,
        .at_ms = -1,
        .as_of = TM_AS_OF_CAPTURE_TIME,
        .more_points = some,
        .more_point_count = 2,
        .late_ms = 5,
        .choice = {.has_from = true,
                .from_ms = -62135596800000,
                .has_until = true,
                .until_ms = INT64_MAX,
                .partitions = listed,
                .partition_count = 2,
                .windows = windows,
                .window_count = 2,
                .skips = skips,
                .skip_count = 2,
                .newest = INT64_MAX}};

START_TEST(a_restore_reads_as_it_was_written)
{
    static const struct tm_rename renames[] = {{"a", "b"}, {"\"", "\\"}};
    static const struct tm_partition_pair pairs[] = {{0, 3}, {99999, 0}, {2, 2}};
    const struct tm_restore_request requests[] = {
            {.point = "rp_1", .target = "t"},
            {.point = "rp_1",
                    .policy = "p",
                    .target = "t",
                    .include = some,
                    .include_count = LENGTH(some),
                    .exclude = some,
                    .exclude_count = 1,
                    .renames = renames,
                    .rename_count = LENGTH(renames),
                    .prefix = "x.",
                    .suffix = ".y",
                    .create_topics = TM_CREATE_NEVER,
                    .existing = TM_EXISTING_EMPTY_ONLY,
                    .retention = TM_RETENTION_ORIGINAL,
                    .original_configs = true,
                    .replication_factor = 3,
                    .continue_on_gap = true,
                    .into = {.partitions = TM_PARTITIONS_MAP,
                            .partition_count = 7,
                            .map = pairs,
                            .map_count = LENGTH(pairs),
                            .confirm = some,
                            .confirm_count = 2,
                            .add_original_position = true,
                            .write_bytes_per_second = INT64_C(1) << 40,
                            .max_in_flight = 3}},
            {.point = "rp_1", .target = "t", .prefix = "", .suffix = ""},
            chosen,
    };
    for (size_t i = 0; i < LENGTH(requests); i++) {
        struct tm_arena arena = {0};
        struct tm_restore_request read;
        struct tm_err err = {0};
        char *text = tmd_restore_request_text(&requests[i]);
        ASSERT_OK(tmd_restore_request_read(text, &arena, &read, &err), err);
        free(text);
        assert_same_restore(&requests[i], &read);
        tm_arena_done(&arena);
    }
}
END_TEST

START_TEST(a_copy_stands_on_its_own)
{
    struct tm_arena first = {0};
    struct tm_arena second = {0};
    static const struct tm_rename renames[] = {{"a", "b"}};
    const struct tm_restore_request restore = {.point = "rp_1",
            .target = "t",
            .include = some,
            .include_count = 2,
            .renames = renames,
            .rename_count = 1,
            .plan_digest = "sha256:1"};
    const struct tm_backup_request backup = {.policy = "p",
            .topics = some,
            .topic_count = 2,
            .note = "n",
            .tags = some,
            .tag_count = 3};
    struct tm_restore_request restores[2];
    struct tm_backup_request backups[2];
    tmd_restore_request_copy(&restore, &first, &restores[0]);
    tmd_restore_request_copy(&restores[0], &second, &restores[1]);
    tmd_backup_request_copy(&backup, &first, &backups[0]);
    tmd_backup_request_copy(&backups[0], &second, &backups[1]);
    tm_arena_done(&first);
    assert_same_restore(&restore, &restores[1]);
    ck_assert_str_eq(restores[1].plan_digest, "sha256:1");
    assert_same_backup(&backup, &backups[1]);
    tmd_restore_request_copy(&chosen, &first, &restores[0]);
    tmd_restore_request_copy(&restores[0], &second, &restores[1]);
    tm_arena_done(&first);
    assert_same_restore(&chosen, &restores[1]);
    tm_arena_done(&second);
}
END_TEST

START_TEST(a_job_of_a_vault_reads_as_it_was_written)
{
    static const char *const policies[] = {"p", "q"};
    struct tm_vault_request written = {
            .vault = "main",
            .point = "rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E",
            .depth = 2,
            .sample_ratio = 0.25,
            .repair = true,
            .budget_bytes = INT64_MAX,
            .policies = policies,
            .policy_count = 2,
            .merge = true,
            .plan_digest = "sha256:00",
    };
    struct tm_arena arena = {0};
    struct tm_vault_request read;
    struct tm_vault_request copy;
    struct tm_err err = {0};
    char *text = tmd_vault_request_text(&written);
    ASSERT_OK(tmd_vault_request_read(text, &arena, &read, &err), err);
    free(text);
    tmd_vault_request_copy(&read, &arena, &copy);
    ck_assert_str_eq(copy.vault, "main");
    ck_assert_str_eq(copy.point, written.point);
    ck_assert_int_eq(copy.depth, 2);
    ck_assert_double_eq(copy.sample_ratio, 0.25);
    ck_assert(copy.repair && copy.merge);
    ck_assert_int_eq(copy.budget_bytes, INT64_MAX);
    ck_assert_uint_eq(copy.policy_count, 2);
    ck_assert_str_eq(copy.policies[1], "q");
    ck_assert_str_eq(copy.plan_digest, "sha256:00");
    ck_assert_ptr_ne(copy.policies, read.policies);
    ck_assert_int_eq(tmd_vault_request_read("{}", &arena, &read, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "the journal's job names no vault");
    tm_arena_done(&arena);
}
END_TEST

START_TEST(what_is_no_request_is_an_error)
{
    static const char *const backups[] = {"", "[]", "{}", "{\"policy\":1}", "{\"topics\":[]}", "{"};
    static const char *const restores[] = {"null", "{}", "{\"point\":\"rp_1\"}",
            "{\"target\":\"t\"}", "{\"point\":1,\"target\":2}",
            "{\"point\":\"rp_1\",\"target\":\"t\",\"choice\":{}}"};
    struct tm_arena arena = {0};
    struct tm_backup_request backup;
    struct tm_restore_request restore;
    for (size_t i = 0; i < LENGTH(backups); i++) {
        struct tm_err err = {0};
        ck_assert_msg(tmd_backup_request_read(backups[i], &arena, &backup, &err) != TM_OK, "%s",
                backups[i]);
    }
    for (size_t i = 0; i < LENGTH(restores); i++) {
        struct tm_err err = {0};
        ck_assert_msg(tmd_restore_request_read(restores[i], &arena, &restore, &err) != TM_OK, "%s",
                restores[i]);
    }
    tm_arena_done(&arena);
}
END_TEST

/* Fields that later versions may write, and values of another type, are their defaults. */
START_TEST(what_is_not_known_is_passed_over)
{
    static const char text[] =
            "{\"policy\":\"p\",\"later\":{\"x\":1},\"topics\":[\"a\",7,null,\"b\"],"
            "\"note\":5,\"tags\":\"no list\"}";
    struct tm_arena arena = {0};
    struct tm_backup_request read;
    struct tm_err err = {0};
    ASSERT_OK(tmd_backup_request_read(text, &arena, &read, &err), err);
    ck_assert_uint_eq(read.topic_count, 2);
    ck_assert_str_eq(read.topics[1], "b");
    ck_assert_ptr_null(read.note);
    ck_assert_uint_eq(read.tag_count, 0);
    tm_arena_done(&arena);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("daemon_request");
    tcase_add_test(tcase, a_backup_reads_as_it_was_written);
    tcase_add_test(tcase, a_restore_reads_as_it_was_written);
    tcase_add_test(tcase, a_job_of_a_vault_reads_as_it_was_written);
    tcase_add_test(tcase, a_copy_stands_on_its_own);
    tcase_add_test(tcase, what_is_no_request_is_an_error);
    tcase_add_test(tcase, what_is_not_known_is_passed_over);

    Suite *suite = suite_create("daemon_request");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
