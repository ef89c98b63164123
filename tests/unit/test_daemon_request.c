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

START_TEST(a_restore_reads_as_it_was_written)
{
    static const struct tm_rename renames[] = {{"a", "b"}, {"\"", "\\"}};
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
                    .continue_on_gap = true},
            {.point = "rp_1", .target = "t", .prefix = "", .suffix = ""},
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
    tm_arena_done(&second);
}
END_TEST

START_TEST(what_is_no_request_is_an_error)
{
    static const char *const backups[] = {"", "[]", "{}", "{\"policy\":1}", "{\"topics\":[]}", "{"};
    static const char *const restores[] = {"null", "{}", "{\"point\":\"rp_1\"}",
            "{\"target\":\"t\"}", "{\"point\":1,\"target\":2}"};
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
