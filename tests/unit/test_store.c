/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/store: names, the vault in a folder, and the store that misbehaves on purpose. */
#include "store/store.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/metrics.h"
#include "store/store_fault.h"
#include "store/store_fs.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define LOG_0  "log/0000000000000000"
#define LOG_1  "log/0000000000000001"
#define PACK_A "pack/ab/ab00000000000000000000000000000000000000000000000000000000000000"
#define PACK_B "pack/0c/0c00000000000000000000000000000000000000000000000000000000000000"

static char folder[64];
static struct tm_store *store;

static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/test-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void open_store(void)
{
    struct tm_err err = {0};
    make_folder();
    ck_assert_msg(tm_store_fs_open(folder, false, &store, &err) == TM_OK, "%s", err.msg);
}

static void remove_folder(void)
{
    char command[128];
    tm_store_free(store);
    store = NULL;
    (void)snprintf(command, sizeof(command), "rm -rf -- %s", folder);
    ck_assert_int_eq(system(command), 0); /* NOLINT: the name is mkdtemp's */
}

static char *inside(const char *name, char path[160])
{
    (void)snprintf(path, 160, "%s/%s", folder, name);
    return path;
}

static void expect_message(const struct tm_err *err, const char *form)
{
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected), "%s%s", folder, form);
    ck_assert_str_eq(err->msg, expected);
}

static enum tm_code create(const char *name, const char *text, struct tm_err *err)
{
    *err = (struct tm_err){0};
    return tm_store_create(store, name, tm_slice_str(text), err);
}

static void must_create(const char *name, const char *text)
{
    struct tm_err err;
    ck_assert_msg(create(name, text, &err) == TM_OK, "%s", err.msg);
}

static void expect_holds(const char *name, const char *text)
{
    TM_BUF_OWN struct tm_buf got = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_store_get(store, name, 1000, &got, &err) == TM_OK, "%s", err.msg);
    ck_assert_str_eq(tm_buf_text(&got), text);
}

static struct tm_spool spool_of(const char *text)
{
    struct tm_spool spool;
    struct tm_err err = {0};
    ck_assert_msg(tm_store_spool_open(store, &spool, &err) == TM_OK, "%s", err.msg);
    ck_assert_uint_eq(spool.size, 0);
    ck_assert_int_eq(tm_fs_write_all(spool.fd, spool.path, tm_slice_str(text), &err), TM_OK);
    spool.size = strlen(text);
    return spool;
}

/* Every name below `prefix`, one a line. */
static enum tm_code add_line(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)err;
    tm_buf_add_fmt(arg, "%s %d\n", name, (int)info->size);
    return TM_OK;
}

static void expect_list(const char *prefix, const char *lines)
{
    TM_BUF_OWN struct tm_buf got = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_store_list(store, prefix, add_line, &got, &err) == TM_OK, "%s", err.msg);
    ck_assert_str_eq(tm_buf_text(&got), lines);
}

/* clang-format off */
static const char *const bad_names[] = {
    "", "log", "log/", "log/..", "../log/0000000000000000", "log/000000000000000", "/etc/passwd",
    "log/00000000000000000", "log/000000000000000A", "log/000000000000000g", "logs/000000000000000",
    "key/../log/00000000", "pack/ab", "pack/ab/", "pack/AB/ab", "pack/ab/../../etc/passwd", "hhh",
    "key/hhhhhhhhhhhhhhhh", "tmp", "tmp/", "tmp/.", "tmp/..", "tmp/a/b", "tmp/../a", "tmp/a b", "tmp/\n",
    "pack/ab/ab0000000000000000000000000000000000000000000000000000000000000",
    "pack/ab/ab000000000000000000000000000000000000000000000000000000000000000",
    "tmp/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};
/* clang-format on */

START_TEST(only_names_of_the_format_are_let_through)
{
    const char *name = bad_names[_i];
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_object_info info;
    struct tm_err err = {0};
    char expected[200];
    (void)snprintf(expected, sizeof(expected), ": \"%.80s\" is not the name of an object", name);
    ck_assert_int_eq(tm_store_get(store, name, 10, &out, &err), TM_E_USAGE);
    expect_message(&err, expected);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_range(store, name, 0, 1, &out, &err), TM_E_USAGE);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_stat(store, name, &info, &err), TM_E_USAGE);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_remove(store, name, &err), TM_E_USAGE);
    ck_assert_int_eq(create(name, "x", &err), TM_E_USAGE);
    struct tm_spool spool = spool_of("x");
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_put(store, name, &spool, &err), TM_E_USAGE);
    tm_store_spool_drop(store, &spool);
}
END_TEST

START_TEST(an_object_is_read_back_as_it_was_created)
{
    must_create("key/0123456789abcdef", "slot");
    must_create(LOG_0, "entry");
    must_create("tmp/a-b_c.D9", "");
    expect_holds("key/0123456789abcdef", "slot");
    expect_holds(LOG_0, "entry");
    expect_holds("tmp/a-b_c.D9", "");
    ck_assert_str_eq(store->backend, "disk");
    ck_assert_str_eq(store->where, folder);

    struct tm_object_info info;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_store_stat(store, LOG_0, &info, &err), TM_OK);
    ck_assert_uint_eq(info.size, 5);
    ck_assert(llabs(info.modified_ms - tm_now_ms()) < 60000);
}
END_TEST

START_TEST(files_are_the_owners_alone)
{
    struct stat info;
    char path[160];
    must_create(LOG_0, "entry");
    ck_assert_int_eq(stat(inside(LOG_0, path), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert_uint_eq(info.st_nlink, 1);
    ck_assert_int_eq(stat(inside("log", path), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0700);
    expect_list("tmp/", ""); /* the way there is cleared */
}
END_TEST

START_TEST(create_refuses_a_name_that_is_taken)
{
    struct tm_err err;
    must_create(LOG_0, "first");
    ck_assert_int_eq(create(LOG_0, "second", &err), TM_E_EXISTS);
    expect_message(&err, "/" LOG_0 ": exists already");
    expect_holds(LOG_0, "first");
    expect_list("", LOG_0 " 5\n");
}
END_TEST

enum { RACERS = 8, ROUNDS = 40 };

struct racer {
    pthread_t thread;
    char text[2];
    bool won[ROUNDS];
    bool failed; /* otherwise than by a name that is taken */
};

static pthread_barrier_t start_line;

static void *race(void *arg)
{
    struct racer *racer = arg;
    for (int round = 0; round < ROUNDS; round++) {
        char name[TM_OBJECT_NAME_MAX];
        struct tm_err err = {0};
        (void)snprintf(name, sizeof(name), "log/%016x", (unsigned)round);
        (void)pthread_barrier_wait(&start_line);
        enum tm_code code = tm_store_create(store, name, tm_slice_str(racer->text), &err);
        racer->won[round] = code == TM_OK;
        racer->failed = racer->failed || (code != TM_OK && code != TM_E_EXISTS);
    }
    return NULL;
}

START_TEST(of_eight_threads_that_create_one_name_exactly_one_wins)
{
    static struct racer racers[RACERS];
    ck_assert_int_eq(pthread_barrier_init(&start_line, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i].text[0] = (char)('a' + i);
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        ck_assert_int_eq(pthread_join(racers[i].thread, NULL), 0);
        ck_assert(!racers[i].failed);
    }
    for (int round = 0; round < ROUNDS; round++) {
        char name[TM_OBJECT_NAME_MAX];
        int winners = 0;
        (void)snprintf(name, sizeof(name), "log/%016x", (unsigned)round);
        for (int i = 0; i < RACERS; i++) {
            winners += racers[i].won[round] ? 1 : 0;
            if (racers[i].won[round]) {
                expect_holds(name, racers[i].text);
            }
        }
        ck_assert_int_eq(winners, 1);
    }
    expect_list("tmp/", "");
    (void)pthread_barrier_destroy(&start_line);
}
END_TEST

START_TEST(put_is_done_once_and_can_be_repeated)
{
    struct tm_err err = {0};
    struct tm_spool spool = spool_of("packed");
    ck_assert_msg(tm_store_put(store, PACK_A, &spool, &err) == TM_OK, "%s", err.msg);
    expect_holds(PACK_A, "packed");
    ck_assert_int_eq(tm_store_put(store, PACK_A, &spool, &err), TM_OK);
    tm_store_spool_drop(store, &spool);
    tm_store_spool_drop(store, &spool); /* twice does no harm */

    spool = spool_of("packed");
    ck_assert_int_eq(tm_store_put(store, PACK_A, &spool, &err), TM_OK);
    tm_store_spool_drop(store, &spool);
    expect_list("", PACK_A " 6\n"); /* and no spool is left */
}
END_TEST

START_TEST(put_finds_an_object_that_cannot_be_the_same)
{
    struct tm_err err = {0};
    must_create(PACK_A, "cut");
    struct tm_spool spool = spool_of("packed");
    ck_assert_int_eq(tm_store_put(store, PACK_A, &spool, &err), TM_E_CORRUPT);
    expect_message(&err, "/" PACK_A ": has 3 bytes, not 6");
    expect_holds(PACK_A, "cut");

    /* And a spool that is not what was written to it. */
    err = (struct tm_err){0};
    ck_assert_int_eq(ftruncate(spool.fd, 2), 0);
    ck_assert_int_eq(tm_store_put(store, PACK_B, &spool, &err), TM_E_CORRUPT);
    expect_message(&err, "/" PACK_B ": has 2 bytes, not 6");
    tm_store_spool_drop(store, &spool);
    expect_list("", PACK_A " 3\n");
}
END_TEST

START_TEST(a_dropped_spool_leaves_nothing)
{
    struct tm_spool spool = spool_of("never put");
    ck_assert_int_eq(access(spool.path, F_OK), 0);
    char path[sizeof(spool.path)];
    memcpy(path, spool.path, sizeof(path));
    tm_store_spool_drop(store, &spool);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(spool.fd, -1);

    struct tm_spool never_opened = {0};
    tm_store_spool_drop(store, &never_opened);
    ck_assert_int_ne(fcntl(0, F_GETFD), -1); /* descriptor 0 is not a spool's */
}
END_TEST

START_TEST(list_is_in_bytewise_order_and_keeps_to_the_prefix)
{
    char path[160];
    must_create(LOG_1, "b");
    must_create(PACK_A, "xyz");
    must_create("log/00000000000000ff", "ccc");
    must_create("tmp/z", "");
    must_create("tmp/B", "");
    must_create(PACK_B, "x");
    must_create(LOG_0, "aa");
    must_create("key/ffffffffffffffff", "k");
    /* What is not ours is passed over: strange names, folders, things too deep. */
    ck_assert_int_eq(close(creat(inside("log/README", path), 0600)), 0);
    ck_assert_int_eq(close(creat(inside("log/.0000000000000007", path), 0600)), 0);
    ck_assert_int_eq(mkdir(inside("log/0000000000000007", path), 0700), 0);
    ck_assert_int_eq(mkdir(inside("lost+found", path), 0700), 0);
    ck_assert_int_eq(mkdir(inside("pack/zz", path), 0700), 0);

    expect_list("", "key/ffffffffffffffff 1\n" LOG_0 " 2\n" LOG_1
                    " 1\nlog/00000000000000ff 3\n" PACK_B " 1\n" PACK_A " 3\ntmp/B 0\ntmp/z 0\n");
    expect_list("log/", LOG_0 " 2\n" LOG_1 " 1\nlog/00000000000000ff 3\n");
    expect_list("log/000000000000000", LOG_0 " 2\n" LOG_1 " 1\n");
    expect_list("lo", LOG_0 " 2\n" LOG_1 " 1\nlog/00000000000000ff 3\n");
    expect_list(LOG_1, LOG_1 " 1\n");
    expect_list("log/1", "");
    expect_list("pack/", PACK_B " 1\n" PACK_A " 3\n");
    expect_list("pack/ab/", PACK_A " 3\n");
    expect_list("pack/a", PACK_A " 3\n");
    expect_list("pack/ac/", "");
    expect_list("tmp/", "tmp/B 0\ntmp/z 0\n");
}
END_TEST

START_TEST(list_refuses_what_begins_no_name)
{
    static const char *const prefixes[] = {"/", "..", "log/..", "logs/", "log/x", "pack/ab/../"};
    for (size_t i = 0; i < LENGTH(prefixes); i++) {
        struct tm_err err = {0};
        char expected[100];
        (void)snprintf(expected, sizeof(expected), ": \"%s\" is not the start of an object's name",
                prefixes[i]);
        ck_assert_int_eq(tm_store_list(store, prefixes[i], add_line, NULL, &err), TM_E_USAGE);
        expect_message(&err, expected);
    }
}
END_TEST

static enum tm_code stop_at_second(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    int *seen = arg;
    (void)info;
    return ++*seen == 2 ? tm_err_set(err, TM_E_CANCELLED, "stopped at %s", name) : TM_OK;
}

START_TEST(list_ends_with_the_readers_error)
{
    int seen = 0;
    struct tm_err err = {0};
    must_create(LOG_0, "a");
    must_create(LOG_1, "b");
    must_create("tmp/z", "");
    ck_assert_int_eq(tm_store_list(store, "", stop_at_second, &seen, &err), TM_E_CANCELLED);
    ck_assert_str_eq(err.msg, "stopped at " LOG_1);
    ck_assert_int_eq(seen, 2);
}
END_TEST

static enum tm_code remove_all(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)arg;
    (void)name;
    (void)info;
    enum tm_code code = tm_store_remove(store, LOG_0, err);
    return code == TM_OK ? tm_store_remove(store, LOG_1, err) : code;
}

START_TEST(an_object_removed_while_it_is_listed_is_passed_over)
{
    struct tm_err err = {0};
    must_create(LOG_0, "a");
    must_create(LOG_1, "b");
    ck_assert_msg(tm_store_list(store, "log/", remove_all, NULL, &err) == TM_OK, "%s", err.msg);
    expect_list("", "");
}
END_TEST

START_TEST(get_has_a_bound_and_leaves_the_buffer_alone)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    must_create(LOG_0, "12345");
    tm_buf_add_text(&out, "before");
    ck_assert_int_eq(tm_store_get(store, LOG_0, 4, &out, &err), TM_E_LIMIT);
    expect_message(&err, "/" LOG_0 ": has 5 bytes, more than 4");
    ck_assert_str_eq(tm_buf_text(&out), "before");
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_get(store, LOG_0, 5, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out), "before12345");
}
END_TEST

/* clang-format off */
static const struct {
    uint64_t offset;
    size_t len;
    const char *text; /* NULL: past the end */
} ranges[] = {
    {0, 5, "12345"}, {1, 3, "234"}, {4, 1, "5"}, {5, 0, ""}, {0, 0, ""},
    {0, 6, NULL}, {4, 2, NULL}, {5, 1, NULL}, {6, 0, NULL}, {UINT64_MAX, 1, NULL}, {1, SIZE_MAX, NULL},
};
/* clang-format on */

START_TEST(a_range_past_the_end_is_damage_and_names_the_object)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    must_create(PACK_A, "12345");
    enum tm_code code =
            tm_store_range(store, PACK_A, ranges[_i].offset, ranges[_i].len, &out, &err);
    if (ranges[_i].text != NULL) {
        ck_assert_msg(code == TM_OK, "%s", err.msg);
        ck_assert_str_eq(tm_buf_text(&out), ranges[_i].text);
        return;
    }
    char expected[200];
    (void)snprintf(expected, sizeof(expected),
            "/" PACK_A ": has 5 bytes; %zu were asked for from byte %llu", ranges[_i].len,
            (unsigned long long)ranges[_i].offset);
    ck_assert_int_eq(code, TM_E_CORRUPT);
    expect_message(&err, expected);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(what_is_not_there_is_missing_and_removing_it_succeeds)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_object_info info;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_store_get(store, LOG_0, 10, &out, &err), TM_E_MISSING);
    expect_message(&err, "/" LOG_0 ": open: No such file or directory");
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_range(store, PACK_A, 0, 1, &out, &err), TM_E_MISSING);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_stat(store, LOG_0, &info, &err), TM_E_MISSING);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_remove(store, LOG_0, &err), TM_OK); /* not even its folder is there */
    ck_assert_int_eq(tm_store_remove(store, PACK_A, &err), TM_OK);
    must_create(LOG_0, "x");
    ck_assert_int_eq(tm_store_remove(store, LOG_0, &err), TM_OK);
    ck_assert_int_eq(tm_store_remove(store, LOG_0, &err), TM_OK);
    ck_assert_int_eq(tm_store_stat(store, LOG_0, &info, &err), TM_E_MISSING);
}
END_TEST

START_TEST(a_folder_in_an_objects_place_is_damage)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    char path[160];
    ck_assert_int_eq(mkdir(inside("log", path), 0700), 0);
    ck_assert_int_eq(mkdir(inside(LOG_0, path), 0700), 0);
    ck_assert_int_eq(tm_store_get(store, LOG_0, 10, &out, &err), TM_E_CORRUPT);
    expect_message(&err, "/" LOG_0 ": is not a file");
}
END_TEST

START_TEST(folders_tidied_away_are_made_again)
{
    char path[160];
    struct tm_err err = {0};
    must_create(PACK_A, "1");
    ck_assert_int_eq(tm_store_remove(store, PACK_A, &err), TM_OK);
    ck_assert_int_eq(rmdir(inside("pack/ab", path)), 0);
    ck_assert_int_eq(rmdir(inside("pack", path)), 0);
    ck_assert_int_eq(rmdir(inside("tmp", path)), 0);
    must_create(PACK_A, "2");
    expect_holds(PACK_A, "2");
}
END_TEST

START_TEST(a_folder_that_is_missing_is_not_made_unasked)
{
    struct tm_store *none = NULL;
    struct tm_err err = {0};
    char path[160];
    (void)inside("a/b", path);
    ck_assert_int_eq(tm_store_fs_open(path, false, &none, &err), TM_E_MISSING);
    expect_message(&err,
            "/a/b: no such folder; hint: is its disk mounted? a new vault needs \"create: true\"");
    ck_assert_ptr_null(none);
    ck_assert_int_eq(access(inside("a", path), F_OK), -1);

    err = (struct tm_err){0};
    (void)inside("a/b", path);
    ck_assert_int_eq(tm_store_fs_open(path, true, &none, &err), TM_OK);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0700);
    tm_store_free(none);
}
END_TEST

START_TEST(a_file_is_no_vault)
{
    struct tm_store *none = NULL;
    struct tm_err err = {0};
    char path[160];
    ck_assert_int_eq(close(creat(inside("file", path), 0600)), 0);
    ck_assert_int_eq(tm_store_fs_open(path, false, &none, &err), TM_E_USAGE);
    expect_message(&err, "/file: is not a folder");
    ck_assert_ptr_null(none);
}
END_TEST

static void make_old(const char *name, int64_t age_ms)
{
    char path[160];
    int64_t then_ms = tm_now_ms() - age_ms;
    struct timespec when = {.tv_sec = (time_t)(then_ms / 1000)};
    struct timespec times[2] = {when, when};
    ck_assert_int_eq(utimensat(AT_FDCWD, inside(name, path), times, 0), 0);
}

START_TEST(old_leftovers_are_removed_and_young_ones_kept)
{
    const int64_t day_ms = INT64_C(24) * 60 * 60 * 1000;
    struct tm_err err = {0};
    must_create("tmp/old", "1");
    must_create("tmp/young", "22");
    must_create("tmp/future", "333");
    must_create(LOG_0, "4444");
    make_old("tmp/old", day_ms + 60000);
    make_old("tmp/young", day_ms - 60000);
    make_old("tmp/future", -day_ms);
    make_old(LOG_0, 1000 * day_ms);
    tm_store_free(store);
    ck_assert_int_eq(tm_store_fs_open(folder, false, &store, &err), TM_OK);
    expect_list("", LOG_0 " 4\ntmp/future 3\ntmp/young 2\n");
}
END_TEST

START_TEST(probe_passes_and_leaves_nothing)
{
    struct tm_err err = {0};
    ck_assert_msg(tm_store_probe(store, &err) == TM_OK, "%s", err.msg);
    expect_list("", "");
}
END_TEST

/* A full disk. */

static bool write_text(const char *path, const char *text)
{
    TM_FD_OWN int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Into a mount namespace of this test's own: as root, or as root of a user namespace. */
static bool leave_mounts(void)
{
    char uids[32];
    char gids[32];
    (void)snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)geteuid());
    (void)snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWNS) != 0 &&
            (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write_text("/proc/self/uid_map", uids) ||
                    !write_text("/proc/self/setgroups", "deny") ||
                    !write_text("/proc/self/gid_map", gids))) {
        return false;
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Mount a tmpfs of 128 KiB on the folder; false and a word on standard output when not permitted. */
static bool mount_small_disk(void)
{
    if (!leave_mounts() || mount("small", folder, "tmpfs", 0, "size=128k") != 0) {
        (void)printf("test_store: no small tmpfs: %s; the full disk is a simulated one\n",
                strerrordesc_np(errno));
        return false;
    }
    return true;
}

START_TEST(a_full_disk_fails_as_full_and_shows_nothing)
{
    struct tm_err err = {0};
    make_folder();
    if (!mount_small_disk()) {
        ck_assert_int_eq(rmdir(folder), 0);
        return; /* the store of faults stands in, below */
    }
    ck_assert_int_eq(tm_store_fs_open(folder, false, &store, &err), TM_OK);
    must_create(LOG_0, "fits");
    char *large = tm_xalloc(200000, 1);
    memset(large, 'x', 199999);
    ck_assert_int_eq(create(LOG_1, large, &err), TM_E_FULL);
    ck_assert(tm_code_retryable(err.code));
    ck_assert_ptr_nonnull(strstr(err.msg, LOG_1));
    ck_assert_ptr_nonnull(strstr(err.msg, "No space left on device"));
    expect_list("", LOG_0 " 4\n");

    struct tm_spool spool;
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_spool_open(store, &spool, &err), TM_OK);
    ck_assert_int_eq(tm_fs_write_all(spool.fd, spool.path, tm_slice_str(large), &err), TM_E_FULL);
    tm_store_spool_drop(store, &spool);
    expect_list("", LOG_0 " 4\n");
    must_create(LOG_1, "fits too"); /* what failed gave its room back */
    free(large);
    tm_store_free(store);
    store = NULL;
    ck_assert_int_eq(umount(folder), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* The store that misbehaves. */

struct plan {
    enum tm_store_op op;
    enum tm_store_fault fault;
    char seen[1000];
};

static enum tm_store_fault follow_plan(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    struct plan *plan = arg;
    size_t len = strlen(plan->seen);
    (void)snprintf(
            plan->seen + len, sizeof(plan->seen) - len, "%d:%d:%s ", (int)count, (int)op, name);
    return op == plan->op ? plan->fault : TM_FAULT_NONE;
}

static struct plan plan;

static void open_faulty(void)
{
    open_store();
    memset(&plan, 0, sizeof(plan));
    must_create(LOG_0, "entry");
    store = tm_store_fault_new(store, follow_plan, &plan);
}

/* Do one operation of each kind, of which `op` is told. */
static enum tm_code run_op(enum tm_store_op op, struct tm_buf *out, struct tm_err *err)
{
    struct tm_object_info info;
    struct tm_spool spool = {0};
    enum tm_code code = TM_OK;
    switch (op) {
    case TM_OP_GET:
        return tm_store_get(store, LOG_0, 100, out, err);
    case TM_OP_RANGE:
        return tm_store_range(store, LOG_0, 1, 3, out, err);
    case TM_OP_CREATE:
        return tm_store_create(store, LOG_1, tm_slice_str("new"), err);
    case TM_OP_SPOOL:
        code = tm_store_spool_open(store, &spool, err);
        tm_store_spool_drop(store, &spool);
        return code;
    case TM_OP_PUT:
        spool = spool_of("packed");
        code = tm_store_put(store, PACK_A, &spool, err);
        tm_store_spool_drop(store, &spool);
        return code;
    case TM_OP_LIST:
        return tm_store_list(store, "log/", add_line, out, err);
    case TM_OP_REMOVE:
        return tm_store_remove(store, LOG_0, err);
    case TM_OP_STAT:
        return tm_store_stat(store, LOG_0, &info, err);
    }
    return TM_OK;
}

/* clang-format off */
static const struct {
    enum tm_store_fault fault;
    enum tm_code code;
    const char *message;
} refusals[] = {
    {TM_FAULT_IO,      TM_E_IO,      ": injected failure"},
    {TM_FAULT_FULL,    TM_E_FULL,    ": injected full store"},
    {TM_FAULT_MISSING, TM_E_MISSING, ": injected absence"},
};
static const char *const subjects[] = {
    LOG_0, LOG_0, LOG_1, "spool", PACK_A, "log/", LOG_0, LOG_0,
};
/* clang-format on */

START_TEST(a_fault_before_the_operation_leaves_it_undone)
{
    enum tm_store_op op = (enum tm_store_op)(_i % (int)LENGTH(subjects));
    size_t which = (size_t)_i / LENGTH(subjects);
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    char expected[200];
    plan.op = op;
    plan.fault = refusals[which].fault;
    ck_assert_int_eq(run_op(op, &out, &err), refusals[which].code);
    (void)snprintf(expected, sizeof(expected), "/%s%s", subjects[op], refusals[which].message);
    expect_message(&err, expected);
    ck_assert_uint_eq(out.len, 0);
    plan.fault = TM_FAULT_NONE;
    expect_list("", LOG_0 " 5\n");
}
END_TEST

START_TEST(a_lost_answer_comes_after_the_deed)
{
    enum tm_store_op op = (enum tm_store_op)_i;
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    char expected[200];
    plan.op = op;
    plan.fault = TM_FAULT_LOST_ACK;
    ck_assert_int_eq(run_op(op, &out, &err), TM_E_UNKNOWN);
    (void)snprintf(expected, sizeof(expected), "/%s: injected lost answer", subjects[op]);
    expect_message(&err, expected);
    ck_assert_uint_eq(out.len, op == TM_OP_LIST ? strlen(LOG_0 " 5\n") : 0);
    plan.fault = TM_FAULT_NONE;
    expect_list("", op == TM_OP_CREATE   ? LOG_0 " 5\n" LOG_1 " 3\n"
                    : op == TM_OP_PUT    ? LOG_0 " 5\n" PACK_A " 6\n"
                    : op == TM_OP_REMOVE ? ""
                                         : LOG_0 " 5\n");
}
END_TEST

START_TEST(an_operation_that_failed_by_itself_keeps_its_own_error)
{
    struct tm_err err;
    plan.op = TM_OP_CREATE;
    plan.fault = TM_FAULT_LOST_ACK;
    ck_assert_int_eq(create(LOG_0, "again", &err), TM_E_EXISTS);
}
END_TEST

START_TEST(answers_are_flipped_and_cut)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    tm_buf_add_text(&out, "before ");
    plan.op = TM_OP_GET;
    plan.fault = TM_FAULT_FLIP;
    ck_assert_int_eq(run_op(TM_OP_GET, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out), "before endry"); /* 't' and 'd' differ by one bit */
    tm_buf_clear(&out);
    plan.fault = TM_FAULT_SHORT;
    ck_assert_int_eq(run_op(TM_OP_GET, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out), "entr");

    tm_buf_clear(&out);
    plan.op = TM_OP_RANGE;
    plan.fault = TM_FAULT_FLIP;
    ck_assert_int_eq(run_op(TM_OP_RANGE, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out), "ndr");
    tm_buf_clear(&out);
    plan.fault = TM_FAULT_SHORT;
    ck_assert_int_eq(run_op(TM_OP_RANGE, &out, &err), TM_E_CORRUPT);
    expect_message(&err, "/" LOG_0 ": injected short object");
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(operations_are_counted_and_pass_through)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    plan.fault = TM_FAULT_NONE;
    static const enum tm_store_op ops[] = {TM_OP_GET, TM_OP_RANGE, TM_OP_CREATE, TM_OP_SPOOL,
            TM_OP_PUT, TM_OP_LIST, TM_OP_STAT, TM_OP_REMOVE};
    for (size_t i = 0; i < LENGTH(ops); i++) {
        ck_assert_msg(run_op(ops[i], &out, &err) == TM_OK, "%zu: %s", i, err.msg);
    }
    ck_assert_str_eq(tm_buf_text(&out), "entryntr" LOG_0 " 5\n" LOG_1 " 3\n");
    ck_assert_str_eq(plan.seen,
            "1:0:" LOG_0 " 2:1:" LOG_0 " 3:2:" LOG_1 " 4:3:spool 5:3:spool 6:4:" PACK_A
            " 7:5:log/ 8:7:" LOG_0 " 9:6:" LOG_0 " ");
    ck_assert_uint_eq(tm_store_fault_count(store), 9);
    ck_assert_str_eq(store->backend, "fault");
}
END_TEST

START_TEST(probe_tells_of_a_store_that_fails)
{
    struct tm_err err = {0};
    plan.op = TM_OP_CREATE;
    plan.fault = TM_FAULT_IO;
    ck_assert_int_eq(tm_store_probe(store, &err), TM_E_IO);
    ck_assert_int_eq(strncmp(err.msg, "probe of the store: ", 20), 0);
    plan.fault = TM_FAULT_NONE;
    expect_list("", LOG_0 " 5\n");
}
END_TEST

/* A store without conditional create: what is there is removed first. */
static struct tm_store_ops careless_ops;
static enum tm_code (*careful_create)(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err);

static enum tm_code careless_create(
        struct tm_store *any, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    enum tm_code code = tm_store_remove(any, name, err);
    return code == TM_OK ? careful_create(any, name, bytes, err) : code;
}

START_TEST(probe_refuses_a_store_that_creates_twice)
{
    struct tm_err err = {0};
    careless_ops = *store->ops;
    careful_create = store->ops->create;
    careless_ops.create = careless_create;
    store->ops = &careless_ops;
    ck_assert_int_eq(tm_store_probe(store, &err), TM_E_UNSUPPORTED);
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected),
            "probe of the store: %s: an object was created twice under one name, so two writers "
            "could "
            "overwrite each other here; hint: use a store with conditional writes",
            folder);
    ck_assert_str_eq(err.msg, expected);
    expect_list("", "");
}
END_TEST

START_TEST(a_store_that_creates_twice_can_be_trusted_to_have_one_writer)
{
    struct tm_err err = {0};
    careless_ops = *store->ops;
    careful_create = store->ops->create;
    careless_ops.create = careless_create;
    store->ops = &careless_ops;
    store->trust_single_writer = true;
    ck_assert_msg(tm_store_probe(store, &err) == TM_OK, "%s", err.msg);
    expect_list("", "");
}
END_TEST

START_TEST(operations_are_counted_for_the_vault)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    must_create(LOG_0, "before it has a name");
    tm_store_set_vault(store, "main");
    must_create(LOG_1, "1");
    ck_assert_int_eq(create(LOG_1, "1", &err), TM_E_EXISTS);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_get(store, LOG_1, 0, &out, &err), TM_E_LIMIT);
    ck_assert_int_eq(
            (int)tm_metric_value(TM_M_VAULT_OPERATIONS, TM_LABELS("main", "create", "success")), 2);
    ck_assert_int_eq(
            (int)tm_metric_value(TM_M_VAULT_OPERATIONS, TM_LABELS("main", "get", "error")), 1);
    ck_assert_int_eq((int)tm_metric_value(TM_M_VAULT_DURATION, TM_LABELS("main", "create")), 2);
}
END_TEST

static enum tm_code list_backwards(struct tm_store *any, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    struct tm_object_info info = {0};
    (void)any;
    (void)prefix;
    enum tm_code code = each(arg, LOG_1, &info, err);
    return code == TM_OK ? each(arg, LOG_0, &info, err) : code;
}

START_TEST(a_listing_out_of_order_is_refused)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    careless_ops = *store->ops;
    careless_ops.list = list_backwards;
    store->ops = &careless_ops;
    ck_assert_int_eq(tm_store_list(store, "", add_line, &out, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "listing: " LOG_0 " comes after " LOG_1);
}
END_TEST

static void add_fs_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, only_names_of_the_format_are_let_through, 0, (int)LENGTH(bad_names));
    tcase_add_test(tcase, an_object_is_read_back_as_it_was_created);
    tcase_add_test(tcase, files_are_the_owners_alone);
    tcase_add_test(tcase, create_refuses_a_name_that_is_taken);
    tcase_add_test(tcase, of_eight_threads_that_create_one_name_exactly_one_wins);
    tcase_add_test(tcase, put_is_done_once_and_can_be_repeated);
    tcase_add_test(tcase, put_finds_an_object_that_cannot_be_the_same);
    tcase_add_test(tcase, a_dropped_spool_leaves_nothing);
    tcase_add_test(tcase, list_is_in_bytewise_order_and_keeps_to_the_prefix);
    tcase_add_test(tcase, list_refuses_what_begins_no_name);
    tcase_add_test(tcase, list_ends_with_the_readers_error);
    tcase_add_test(tcase, an_object_removed_while_it_is_listed_is_passed_over);
    tcase_add_test(tcase, get_has_a_bound_and_leaves_the_buffer_alone);
    tcase_add_loop_test(
            tcase, a_range_past_the_end_is_damage_and_names_the_object, 0, (int)LENGTH(ranges));
    tcase_add_test(tcase, what_is_not_there_is_missing_and_removing_it_succeeds);
    tcase_add_test(tcase, a_folder_in_an_objects_place_is_damage);
    tcase_add_test(tcase, folders_tidied_away_are_made_again);
    tcase_add_test(tcase, a_folder_that_is_missing_is_not_made_unasked);
    tcase_add_test(tcase, a_file_is_no_vault);
    tcase_add_test(tcase, old_leftovers_are_removed_and_young_ones_kept);
    tcase_add_test(tcase, probe_passes_and_leaves_nothing);
    tcase_add_test(tcase, probe_refuses_a_store_that_creates_twice);
    tcase_add_test(tcase, a_store_that_creates_twice_can_be_trusted_to_have_one_writer);
    tcase_add_test(tcase, operations_are_counted_for_the_vault);
    tcase_add_test(tcase, a_listing_out_of_order_is_refused);
}

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *fs = tcase_create("fs");
    tcase_set_timeout(fs, 60);
    tcase_add_checked_fixture(fs, open_store, remove_folder);
    add_fs_tests(fs);
    suite_add_tcase(suite, fs);

    TCase *full = tcase_create("full");
    tcase_add_test(full, a_full_disk_fails_as_full_and_shows_nothing);
    suite_add_tcase(suite, full);

    TCase *fault = tcase_create("fault");
    tcase_add_checked_fixture(fault, open_faulty, remove_folder);
    tcase_add_loop_test(fault, a_fault_before_the_operation_leaves_it_undone, 0,
            (int)(LENGTH(refusals) * LENGTH(subjects)));
    tcase_add_loop_test(fault, a_lost_answer_comes_after_the_deed, 0, (int)LENGTH(subjects));
    tcase_add_test(fault, an_operation_that_failed_by_itself_keeps_its_own_error);
    tcase_add_test(fault, answers_are_flipped_and_cut);
    tcase_add_test(fault, operations_are_counted_and_pass_through);
    tcase_add_test(fault, probe_tells_of_a_store_that_fails);
    suite_add_tcase(suite, fault);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
