/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/fs and lib/base/hash: files whole or not at all, digests as published. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { PATH_ROOM = 256 };

static char folder[] = "/tmp/test_fs_XXXXXX";

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[PATH_ROOM];
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* A path in the test's folder; in one of four buffers, taken in turn. */
static const char *in_folder(const char *name)
{
    static char paths[4][PATH_ROOM];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, PATH_ROOM, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void assert_file(const char *path, const char *expected)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_fs_read(path, 1000000, &buf, &err) == TM_OK, "%s", err.msg);
    ck_assert_str_eq(tm_buf_text(&buf), expected);
}

START_TEST(file_is_read_whole_behind_what_is_there)
{
    const char *path = in_folder("a");
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    write_file(path, "hello");
    tm_buf_add_text(&buf, "> ");
    ck_assert_int_eq(tm_fs_read(path, 5, &buf, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&buf), "> hello");
    write_file(path, "");
    ck_assert_int_eq(tm_fs_read(path, 0, &buf, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&buf), "> hello");
    /* Its size is said to be 0. */
    ck_assert_int_eq(tm_fs_read("/proc/self/status", 100000, &buf, &err), TM_OK);
    ck_assert_uint_gt(buf.len, 200);
}
END_TEST

START_TEST(large_file_is_read_in_steps)
{
    const char *path = in_folder("large");
    enum { SIZE = 300001 };
    TM_BUF_OWN struct tm_buf large = {0};
    for (unsigned i = 0; i < SIZE; i++) {
        tm_buf_add_u8(&large, (uint8_t)(i % 251));
    }
    struct tm_err err = {0};
    ck_assert_int_eq(tm_fs_replace(path, tm_buf_slice(&large), 0600, &err), TM_OK);
    TM_BUF_OWN struct tm_buf buf = {0};
    ck_assert_int_eq(tm_fs_read(path, SIZE, &buf, &err), TM_OK);
    ck_assert(tm_slice_eq(tm_buf_slice(&buf), tm_buf_slice(&large)));
}
END_TEST

START_TEST(unreadable_files_are_told_apart_and_leave_the_buffer)
{
    const char *path = in_folder("six");
    TM_BUF_OWN struct tm_buf buf = {0};
    char expected[2 * PATH_ROOM];
    struct tm_err err = {0};
    tm_buf_add_text(&buf, "kept");

    write_file(path, "123456");
    ck_assert_int_eq(tm_fs_read(path, 5, &buf, &err), TM_E_LIMIT);
    (void)snprintf(expected, sizeof(expected), "read %s: more than 5 bytes", path);
    ck_assert_str_eq(err.msg, expected);

    err = (struct tm_err){0};
    path = in_folder("none");
    ck_assert_int_eq(tm_fs_read(path, 5, &buf, &err), TM_E_MISSING);
    (void)snprintf(expected, sizeof(expected), "open %s: No such file or directory", path);
    ck_assert_str_eq(err.msg, expected);

    err = (struct tm_err){0};
    ck_assert_int_eq(tm_fs_read(folder, 5, &buf, &err), TM_E_IO);
    (void)snprintf(expected, sizeof(expected), "read %s: Is a directory", folder);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_int_eq(err.sys_errno, EISDIR);
    ck_assert_str_eq(tm_buf_text(&buf), "kept");
}
END_TEST

START_TEST(range_is_read_or_found_beyond_the_end)
{
    const char *path = in_folder("digits");
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    write_file(path, "0123456789");
    TM_FD_OWN int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(tm_fs_read_range(fd, path, 3, 4, &buf, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&buf), "3456");
    ck_assert_int_eq(tm_fs_read_range(fd, path, 10, 0, &buf, &err), TM_OK);
    ck_assert_int_eq(tm_fs_read_range(fd, path, 7, 4, &buf, &err), TM_E_CORRUPT);
    char expected[2 * PATH_ROOM];
    (void)snprintf(expected, sizeof(expected), "read %s: ends at byte 10, before byte 11", path);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_str_eq(tm_buf_text(&buf), "3456");

    err = (struct tm_err){0};
    ck_assert_int_eq(tm_fs_read_range(-1, "x", 0, 1, &buf, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "read x: Bad file descriptor");
    ck_assert_str_eq(tm_buf_text(&buf), "3456");
}
END_TEST

START_TEST(replace_gives_the_new_bytes_and_the_mode)
{
    const char *path = in_folder("config");
    struct tm_err err = {0};
    struct stat info;
    (void)umask(077);
    write_file(path, "old and longer");
    ck_assert_int_eq(tm_fs_replace(path, tm_slice_str("new"), 0644, &err), TM_OK);
    assert_file(path, "new");
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0644);

    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(tm_fs_replace("beside", tm_slice_str("x"), 0600, &err), TM_OK);
    assert_file(in_folder("beside"), "x");
}
END_TEST

static int files_in_folder(void)
{
    char command[PATH_ROOM];
    (void)snprintf(command, sizeof(command), "exit $(ls -A %s | wc -l)", folder);
    return WEXITSTATUS(system(command)); /* NOLINT(concurrency-mt-unsafe): one thread */
}

START_TEST(failed_replace_keeps_the_old_file_and_leaves_no_other)
{
    const char *path = in_folder("full");
    struct tm_err err = {0};
    write_file(path, "old");
    struct rlimit small = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0); /* a disk with 10 bytes left */
    enum tm_code code = tm_fs_replace(path, tm_slice_str("more than ten bytes"), 0600, &err);
    small.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(code, TM_E_IO);
    ck_assert_int_eq(err.sys_errno, EFBIG);
    ck_assert_ptr_nonnull(strstr(err.msg, "File too large"));
    assert_file(path, "old");
    ck_assert_int_eq(files_in_folder(), 1);

    err = (struct tm_err){0};
    path = in_folder("folder");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(tm_fs_replace(path, tm_slice_str("x"), 0600, &err), TM_E_IO);
    char expected[2 * PATH_ROOM];
    (void)snprintf(expected, sizeof(expected), "rename to %s: Is a directory", path);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_int_eq(files_in_folder(), 2);

    err = (struct tm_err){0};
    ck_assert_int_eq(tm_fs_replace(in_folder("no/x"), tm_slice_str("x"), 0600, &err), TM_E_MISSING);
}
END_TEST

START_TEST(full_disk_is_told_apart)
{
    TM_FD_OWN int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    struct tm_err err = {0};
    ck_assert_int_eq(tm_fs_write_all(fd, "/dev/full", tm_slice_str("x"), &err), TM_E_FULL);
    ck_assert_str_eq(err.msg, "write /dev/full: No space left on device");
    ck_assert_int_eq(err.sys_errno, ENOSPC);
}
END_TEST

START_TEST(folders_are_made_down_to_the_last)
{
    struct tm_err err = {0};
    struct stat info;
    (void)umask(077);
    ck_assert_int_eq(tm_fs_mkdirs(in_folder("a//b/c/"), 0750, &err), TM_OK);
    ck_assert_int_eq(stat(in_folder("a/b/c"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0750);
    ck_assert_int_eq(stat(in_folder("a"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0750);

    ck_assert_int_eq(chmod(in_folder("a"), 0700), 0);
    ck_assert_int_eq(tm_fs_mkdirs(in_folder("a/b/c/d"), 0755, &err), TM_OK);
    ck_assert_int_eq(stat(in_folder("a"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0700); /* what was there keeps its mode */

    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(tm_fs_mkdirs("r/s", 0700, &err), TM_OK);
    ck_assert_int_eq(tm_fs_sync_dir("r/s", &err), TM_OK);

    write_file(in_folder("file"), "");
    ck_assert_int_eq(tm_fs_mkdirs("file/x", 0700, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "make folder file: Not a directory");
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_fs_sync_dir("none", &err), TM_E_MISSING);
    ck_assert_str_eq(err.msg, "open none: No such file or directory");
}
END_TEST

START_TEST(each_errno_has_its_code)
{
    ck_assert_int_eq(tm_fs_code(ENOENT), TM_E_MISSING);
    ck_assert_int_eq(tm_fs_code(ENOSPC), TM_E_FULL);
    ck_assert_int_eq(tm_fs_code(EDQUOT), TM_E_FULL);
    ck_assert_int_eq(tm_fs_code(EACCES), TM_E_DENIED);
    ck_assert_int_eq(tm_fs_code(EPERM), TM_E_DENIED);
    ck_assert_int_eq(tm_fs_code(EIO), TM_E_IO);
}
END_TEST

START_TEST(descriptor_closes_with_its_scope_and_errno_stays)
{
    int kept = 0;
    {
        TM_FD_OWN int fd = dup(STDERR_FILENO);
        ck_assert_int_ge(fd, 0);
        kept = fd;
        errno = ENOSPC;
    }
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert_int_eq(fcntl(kept, F_GETFD), -1);
    ck_assert_int_eq(errno, EBADF);
    errno = ENOSPC;
    tm_fd_close(&kept); /* fails: it is closed */
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert_int_eq(kept, -1);
    tm_fd_close(&kept);
}
END_TEST

/* Hashes ----------------------------------------------------------------------------------- */

static void assert_hash(struct tm_hash hash, const char *hex)
{
    char text[65];
    tm_hex(hash.bytes, sizeof(hash.bytes), text);
    ck_assert_str_eq(text, hex);
}

/* NIST's examples for SHA-256 (CSRC, "SHA256.pdf") and the empty text. */
/* clang-format off */
static const struct {
    const char *text;
    const char *hex;
} digests[] = {
    {"",    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};
/* clang-format on */

START_TEST(sha256_agrees_with_nist)
{
    struct tm_slice text = tm_slice_str(digests[_i].text);
    assert_hash(tm_sha256_of(text), digests[_i].hex);

    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    for (int round = 0; round < 2; round++) { /* taking starts anew */
        for (size_t i = 0; i < text.len; i++) {
            tm_sha256_add(sha, text.at + i, 1);
        }
        tm_sha256_add(sha, NULL, 0);
        assert_hash(tm_sha256_take(sha), digests[_i].hex);
    }
    tm_sha256_free(NULL);
}
END_TEST

START_TEST(null_slice_hashes_as_no_bytes)
{
    assert_hash(tm_sha256_of(TM_SLICE_NULL), digests[0].hex);
}
END_TEST

/* RFC 4231, test cases 1, 2, 6 and the HMAC of nothing under no key. */
START_TEST(hmac_agrees_with_rfc_4231)
{
    uint8_t key[131];
    memset(key, 0x0b, 20);
    assert_hash(tm_hmac_sha256(tm_slice_of(key, 20), tm_slice_str("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_hash(tm_hmac_sha256(tm_slice_str("Jefe"), tm_slice_str("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    assert_hash(tm_hmac_sha256(tm_slice_of(key, sizeof(key)),
                        tm_slice_str("Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_hash(tm_hmac_sha256(TM_SLICE_NULL, TM_SLICE_NULL),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(constant_time_comparison_sees_each_byte)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    ck_assert(tm_equal_ct(a, b, sizeof(a)));
    ck_assert(tm_equal_ct(a, b, 0));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] = 0x80;
        ck_assert(!tm_equal_ct(a, b, sizeof(a)));
        b[i] = 0;
    }
}
END_TEST

int main(void)
{
    TCase *files = tcase_create("fs");
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, file_is_read_whole_behind_what_is_there);
    tcase_add_test(files, large_file_is_read_in_steps);
    tcase_add_test(files, unreadable_files_are_told_apart_and_leave_the_buffer);
    tcase_add_test(files, range_is_read_or_found_beyond_the_end);
    tcase_add_test(files, replace_gives_the_new_bytes_and_the_mode);
    tcase_add_test(files, failed_replace_keeps_the_old_file_and_leaves_no_other);
    tcase_add_test(files, full_disk_is_told_apart);
    tcase_add_test(files, folders_are_made_down_to_the_last);
    tcase_add_test(files, each_errno_has_its_code);
    tcase_add_test(files, descriptor_closes_with_its_scope_and_errno_stays);

    TCase *hashes = tcase_create("hash");
    tcase_add_loop_test(hashes, sha256_agrees_with_nist, 0, (int)LENGTH(digests));
    tcase_add_test(hashes, null_slice_hashes_as_no_bytes);
    tcase_add_test(hashes, hmac_agrees_with_rfc_4231);
    tcase_add_test(hashes, constant_time_comparison_sees_each_byte);

    Suite *suite = suite_create("fs_hash");
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, hashes);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
