/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every store has to do, on the store that TM_STORE_URL names, which is empty at first; on a folder where it
 * names none. tests/system/test_s3_store.py runs this on a real S3 server.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"
#include "store/store_open.h"

enum { WRITERS = 8, PAGES_OBJECTS = 1203, LARGE_BYTES = 3 << 20 };

#define LOG_0 "log/0000000000000000"
#define LOG_1 "log/0000000000000001"
#define KEY_1 "key/00000000000000aa"

static char folder[] = "/tmp/tidemark-store-XXXXXX";
static struct tm_store *store;

static void open_store(void)
{
    struct tm_err err = {0};
    (void)signal(SIGPIPE, SIG_IGN);
    const char *url = getenv("TM_STORE_URL");
    if (url == NULL) {
        memcpy(strrchr(folder, '-'), "-XXXXXX", 8);
        ck_assert_ptr_nonnull(mkdtemp(folder));
    }
    enum tm_code code = tm_store_open_url(url != NULL ? url : folder, false, &store, &err);
    ck_assert_msg(code == TM_OK, "%s", err.msg);
}

static enum tm_code remember(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)info;
    (void)err;
    tm_buf_add_fmt(arg, "%s\n", name);
    return TM_OK;
}

static void empty_store(void)
{
    TM_BUF_OWN struct tm_buf names = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_store_list(store, "", remember, &names, &err) == TM_OK, "%s", err.msg);
    for (const char *line = tm_buf_text(&names); *line != '\0'; line = strchr(line, '\n') + 1) {
        char name[TM_OBJECT_NAME_MAX + 1];
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, "\n"), line);
        ck_assert_msg(tm_store_remove(store, name, &err) == TM_OK, "%s", err.msg);
    }
}

static void close_store(void)
{
    empty_store();
    tm_store_free(store);
    store = NULL;
    if (getenv("TM_STORE_URL") == NULL) {
        char command[200];
        (void)snprintf(command, sizeof(command), "rm -r %s", folder);
        ck_assert_int_eq(system(command), 0);
    }
}

static enum tm_code create(const char *name, const char *bytes, struct tm_err *err)
{
    memset(err, 0, sizeof(*err));
    return tm_store_create(store, name, tm_slice_str(bytes), err);
}

static void must_create(const char *name, const char *bytes)
{
    struct tm_err err;
    ck_assert_msg(create(name, bytes, &err) == TM_OK, "%s", err.msg);
}

static void expect_object(const char *name, const char *bytes)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_store_get(store, name, 1000, &out, &err) == TM_OK, "%s", err.msg);
    ck_assert_str_eq(tm_buf_text(&out), bytes);
}

START_TEST(a_name_is_created_once)
{
    struct tm_err err;
    must_create(LOG_0, "first");
    ck_assert_int_eq(create(LOG_0, "second", &err), TM_E_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.msg, LOG_0));
    expect_object(LOG_0, "first");
    must_create(LOG_1, "");
    expect_object(LOG_1, "");
}
END_TEST

static void *race(void *arg)
{
    char bytes[16];
    struct tm_err err = {0};
    (void)snprintf(bytes, sizeof(bytes), "writer %d", *(int *)arg);
    enum tm_code code = tm_store_create(store, LOG_0, tm_slice_str(bytes), &err);
    *(int *)arg = code == TM_OK ? 1 : code == TM_E_EXISTS ? 0 : 100;
    return NULL;
}

START_TEST(of_eight_that_create_one_name_one_wins)
{
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    int won = 0;
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &numbers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        won += numbers[i];
    }
    ck_assert_int_eq(won, 1);
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_store_get(store, LOG_0, 100, &out, &err), TM_OK);
    ck_assert_int_eq(strncmp(tm_buf_text(&out), "writer ", 7), 0);
}
END_TEST

/* A spool of `len` bytes that are not all the same, and the name that their hash gives. */
static struct tm_spool spool_of(size_t len, char name[TM_OBJECT_NAME_MAX + 1], struct tm_buf *bytes)
{
    struct tm_spool spool = {0};
    struct tm_err err = {0};
    for (uint32_t i = 0; bytes->len < len; i++) {
        tm_buf_add_u32(bytes, i * 2654435761U);
    }
    bytes->len = len;
    struct tm_hash hash = tm_sha256_of(tm_buf_slice(bytes));
    char hex[65];
    tm_hex(hash.bytes, sizeof(hash.bytes), hex);
    (void)snprintf(name, TM_OBJECT_NAME_MAX + 1, "pack/%.2s/%s", hex, hex);
    ck_assert_msg(tm_store_spool_open(store, &spool, &err) == TM_OK, "%s", err.msg);
    ck_assert_int_eq(tm_fs_write_all(spool.fd, spool.path, tm_buf_slice(bytes), &err), TM_OK);
    spool.size = len;
    return spool;
}

START_TEST(a_pack_is_put_and_read_by_ranges)
{
    char name[TM_OBJECT_NAME_MAX + 1];
    TM_BUF_OWN struct tm_buf bytes = {0};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    struct tm_spool spool = spool_of(LARGE_BYTES, name, &bytes);
    ck_assert_msg(tm_store_put(store, name, &spool, &err) == TM_OK, "%s", err.msg);
    ck_assert_msg(tm_store_put(store, name, &spool, &err) == TM_OK, "%s", err.msg);
    tm_store_spool_drop(store, &spool);
    ck_assert_int_eq(tm_store_get(store, name, LARGE_BYTES, &out, &err), TM_OK);
    ck_assert(tm_slice_eq(tm_buf_slice(&out), tm_buf_slice(&bytes)));
    tm_buf_clear(&out);
    ck_assert_int_eq(tm_store_get(store, name, LARGE_BYTES - 1, &out, &err), TM_E_LIMIT);
    ck_assert_uint_eq(out.len, 0);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_range(store, name, 1000, 70000, &out, &err), TM_OK);
    ck_assert(tm_slice_eq(tm_buf_slice(&out), tm_slice_of(bytes.at + 1000, 70000)));
    tm_buf_clear(&out);
    ck_assert_int_eq(tm_store_range(store, name, LARGE_BYTES - 5, 5, &out, &err), TM_OK);
    ck_assert_uint_eq(out.len, 5);
    ck_assert_int_eq(tm_store_range(store, name, LARGE_BYTES, 0, &out, &err), TM_OK);
    ck_assert_int_eq(tm_store_range(store, name, LARGE_BYTES - 5, 6, &out, &err), TM_E_CORRUPT);
    char expected[100];
    (void)snprintf(expected, sizeof(expected), ": has %d bytes; 6 were asked for from byte %d",
            LARGE_BYTES, LARGE_BYTES - 5);
    ck_assert_ptr_nonnull(strstr(err.msg, expected));
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_range(store, name, LARGE_BYTES + 9, 1, &out, &err), TM_E_CORRUPT);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_range(store, name, LARGE_BYTES + 9, 0, &out, &err), TM_E_CORRUPT);
    ck_assert_uint_eq(out.len, 5);
}
END_TEST

START_TEST(what_is_not_there_is_missing)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_object_info info;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_store_get(store, KEY_1, 100, &out, &err), TM_E_MISSING);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_range(store, KEY_1, 0, 4, &out, &err), TM_E_MISSING);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_stat(store, KEY_1, &info, &err), TM_E_MISSING);
    err = (struct tm_err){0};
    ck_assert_msg(tm_store_remove(store, KEY_1, &err) == TM_OK, "%s", err.msg);
}
END_TEST

START_TEST(stat_tells_size_and_time)
{
    struct tm_object_info info;
    struct tm_err err = {0};
    int64_t before_ms = tm_now_ms();
    must_create(KEY_1, "twelve bytes");
    ck_assert_msg(tm_store_stat(store, KEY_1, &info, &err) == TM_OK, "%s", err.msg);
    ck_assert_uint_eq(info.size, 12);
    ck_assert_int_ge(info.modified_ms, before_ms - 1500); /* HTTP's times have whole seconds */
    ck_assert_int_le(info.modified_ms, tm_now_ms() + 1500);
}
END_TEST

START_TEST(a_removed_name_is_free_again)
{
    struct tm_err err = {0};
    must_create(LOG_0, "first");
    ck_assert_msg(tm_store_remove(store, LOG_0, &err) == TM_OK, "%s", err.msg);
    must_create(LOG_0, "second");
    expect_object(LOG_0, "second");
}
END_TEST

START_TEST(a_listing_is_whole_and_in_order_over_pages)
{
    TM_BUF_OWN struct tm_buf expected = {0};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    must_create(KEY_1, "not in the listing");
    for (int i = 0; i < PAGES_OBJECTS; i++) {
        char name[TM_OBJECT_NAME_MAX + 1];
        (void)snprintf(name, sizeof(name), "log/%016x", (unsigned)(i * 7));
        must_create(name, "");
        tm_buf_add_fmt(&expected, "%s\n", name);
    }
    ck_assert_msg(tm_store_list(store, "log/", remember, &out, &err) == TM_OK, "%s", err.msg);
    ck_assert_str_eq(tm_buf_text(&out), tm_buf_text(&expected));
    tm_buf_clear(&out);
    ck_assert_int_eq(tm_store_list(store, "pack/", remember, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out), "");
}
END_TEST

START_TEST(the_probe_passes_and_leaves_nothing)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_store_probe(store, &err) == TM_OK, "%s", err.msg);
    ck_assert_int_eq(tm_store_list(store, "", remember, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_url");
    TCase *tcase = tcase_create("any store");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, open_store, close_store);
    tcase_add_test(tcase, a_name_is_created_once);
    tcase_add_test(tcase, of_eight_that_create_one_name_one_wins);
    tcase_add_test(tcase, a_pack_is_put_and_read_by_ranges);
    tcase_add_test(tcase, what_is_not_there_is_missing);
    tcase_add_test(tcase, stat_tells_size_and_time);
    tcase_add_test(tcase, a_removed_name_is_free_again);
    tcase_add_test(tcase, a_listing_is_whole_and_in_order_over_pages);
    tcase_add_test(tcase, the_probe_passes_and_leaves_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
