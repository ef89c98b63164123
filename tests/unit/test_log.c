/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/log: lines as logfmt and JSON, on the terminal and in the journal. */
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Standard error of the test goes into a file, which `logged` reads back. */
static int log_fd = -1;
static struct tm_buf logged;

static void redirect(void)
{
    (void)unsetenv("JOURNAL_STREAM"); /* NOLINT(concurrency-mt-unsafe): one thread */
    log_fd = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(log_fd, 0);
    ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
}

static void pretend_journal(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    ck_assert_int_eq(setenv("JOURNAL_STREAM", "8:12345", 1), 0);
}

static void close_log(void)
{
    tm_buf_done(&logged);
    (void)close(log_fd);
}

static const char *read_log(void)
{
    tm_buf_clear(&logged);
    uint8_t bytes[4096];
    ssize_t got = 0;
    off_t at = 0;
    while ((got = pread(log_fd, bytes, sizeof(bytes), at)) > 0) {
        tm_buf_add(&logged, bytes, (size_t)got);
        at += got;
    }
    return tm_buf_text(&logged);
}

static void log_one(const char *event, const char *msg, const char *value, int64_t number)
{
    tm_log(TM_LOG_WARNING, event, msg, TM_LOG_STR("v", value), TM_LOG_INT("n", number), TM_LOG_END);
}

START_TEST(line_is_logfmt_with_the_time_in_front)
{
    int64_t before_ms = tm_now_ms();
    tm_log(TM_LOG_INFO, "job.started", "the job has begun", TM_LOG_STR("job", "job_1"),
            TM_LOG_INT("partition", -3), TM_LOG_END);
    const char *line = read_log();

    static const char rest[] = " level=info event=job.started msg=\"the job has begun\" job=job_1 "
                               "partition=-3\n";
    char time[TM_TIME_TEXT_MAX] = {0};
    ck_assert(strncmp(line, "ts=", 3) == 0);
    memcpy(time, line + 3, strlen("2026-11-22T23:30:00.000Z"));
    ck_assert_str_eq(line + 3 + strlen(time), rest);
    int64_t ms = 0;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_time_parse(time, 0, &ms, &err), TM_OK);
    ck_assert_int_ge(ms, before_ms);
    ck_assert_int_le(ms, tm_now_ms());
}
END_TEST

START_TEST(journal_gets_a_priority_and_no_time)
{
    pretend_journal();
    tm_log_init(TM_LOG_DEBUG, TM_LOG_FORMAT_AUTO);
    tm_log(TM_LOG_ERROR, "a", "m", TM_LOG_END);
    tm_log(TM_LOG_WARNING, "b", "m", TM_LOG_END);
    tm_log(TM_LOG_INFO, "c", "m", TM_LOG_END);
    tm_log(TM_LOG_DEBUG, "d", "m", TM_LOG_END);
    tm_log_init(TM_LOG_DEBUG, TM_LOG_FORMAT_JSON);
    tm_log(TM_LOG_INFO, "e", "m", TM_LOG_END);
    ck_assert_str_eq(read_log(), "<3>level=error event=a msg=m\n"
                                 "<4>level=warning event=b msg=m\n"
                                 "<6>level=info event=c msg=m\n"
                                 "<7>level=debug event=d msg=m\n"
                                 "<6>{\"level\":\"info\",\"event\":\"e\",\"msg\":\"m\"}\n");
}
END_TEST

/* clang-format off */
static const struct {
    const char *value;
    const char *logfmt;
    const char *json;
} values[] = {
    {"plain-1.2:3/x",    "plain-1.2:3/x",          "\"plain-1.2:3/x\""},
    {"",                 "\"\"",                   "\"\""},
    {NULL,               "\"\"",                   "\"\""},
    {"two words",        "\"two words\"",          "\"two words\""},
    {"a=b",              "\"a=b\"",                "\"a=b\""},
    {"a\"b",             "\"a\\\"b\"",             "\"a\\\"b\""},
    {"a\\b",             "\"a\\\\b\"",             "\"a\\\\b\""},
    {"a\nlevel=error",   "\"a\\nlevel=error\"",    "\"a\\nlevel=error\""}, /* no forged line */
    {"a\tb",             "\"a\\tb\"",              "\"a\\tb\""},
    {"a\x01\x1b[0m\x7f", "\"a\\u0001\\u001b[0m\\u007f\"", "\"a\\u0001\\u001b[0m\\u007f\""},
    {"\xc3\xa4",         "\xc3\xa4",               "\"\xc3\xa4\""},
    {"a\xff",            "\"a\xef\xbf\xbd\"",      "\"a\xef\xbf\xbd\""},
};
/* clang-format on */

START_TEST(values_are_quoted_where_they_must_be)
{
    pretend_journal();
    TM_BUF_OWN struct tm_buf expected = {0};
    log_one("e", "m", values[_i].value, INT64_MIN);
    tm_buf_add_fmt(&expected, "<4>level=warning event=e msg=m v=%s n=%" PRId64 "\n",
            values[_i].logfmt, INT64_MIN);
    tm_log_init(TM_LOG_INFO, TM_LOG_FORMAT_JSON);
    log_one("e", "m", values[_i].value, INT64_MAX);
    tm_buf_add_fmt(&expected,
            "<4>{\"level\":\"warning\",\"event\":\"e\",\"msg\":\"m\",\"v\":%s,\"n\":%" PRId64 "}\n",
            values[_i].json, INT64_MAX);
    ck_assert_str_eq(read_log(), tm_buf_text(&expected));
}
END_TEST

START_TEST(json_line_is_a_document)
{
    tm_log_init(TM_LOG_INFO, TM_LOG_FORMAT_JSON);
    log_one("e", "say \"hi\"\n\x02", "x\xffy", 9007199254740993);
    (void)read_log();
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_err err = {0};
    enum tm_code code = tm_json_read(tm_buf_slice(&logged), &arena, &root, NULL, &err);
    ck_assert_msg(code == TM_OK, "%s", err.msg);
    ck_assert_str_eq(tm_json_get(root, "msg")->string, "say \"hi\"\n\x02");
    ck_assert_str_eq(tm_json_get(root, "v")->string, "x\xef\xbf\xbdy");
    ck_assert_int_eq(tm_json_get(root, "n")->integer, 9007199254740993);
    ck_assert_str_eq(root->first->key, "ts");
    tm_arena_done(&arena);
}
END_TEST

START_TEST(level_decides_what_is_written_and_counted)
{
    pretend_journal();
    tm_log(TM_LOG_DEBUG, "a", "m", TM_LOG_END); /* info is the level without _init */
    tm_log(TM_LOG_INFO, "b", "m", TM_LOG_END);
    tm_log_set_level(TM_LOG_ERROR);
    tm_log(TM_LOG_WARNING, "c", "m", TM_LOG_END);
    tm_log(TM_LOG_ERROR, "d", "m", TM_LOG_END);
    tm_log(TM_LOG_ERROR, "e", "m", TM_LOG_END);
    ck_assert_str_eq(read_log(), "<6>level=info event=b msg=m\n"
                                 "<3>level=error event=d msg=m\n"
                                 "<3>level=error event=e msg=m\n");
    ck_assert_uint_eq(tm_log_count(TM_LOG_DEBUG), 0);
    ck_assert_uint_eq(tm_log_count(TM_LOG_INFO), 1);
    ck_assert_uint_eq(tm_log_count(TM_LOG_WARNING), 0);
    ck_assert_uint_eq(tm_log_count(TM_LOG_ERROR), 2);
    ck_assert_str_eq(tm_log_level_name(TM_LOG_WARNING), "warning");
}
END_TEST

START_TEST(logging_keeps_errno)
{
    errno = ENOSPC;
    log_one("e", "m", "v", 1);
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert_int_eq(close(STDERR_FILENO), 0); /* nobody to tell */
    errno = ENOENT;
    log_one("e", "m", "v", 1);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

enum { THREADS = 4, LINES = 300, ALL_LINES = THREADS * LINES };

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        log_one("e", "a message of some words", arg, i);
    }
    return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
    static char word[] = "a-value-of-a-field-that-is-long-enough-to-be-cut-if-it-could-be";
    int flags = fcntl(log_fd, F_GETFL);
    ck_assert_int_eq(fcntl(log_fd, F_SETFL, flags | O_APPEND), 0);
    pretend_journal();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_many, word), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    static const char start[] = "<4>level=warning event=e msg=\"a message of some words\" v=";
    size_t lines = 0;
    const char *at = read_log();
    while (*at != '\0') {
        ck_assert(strncmp(at, start, strlen(start)) == 0);
        at += strlen(start);
        ck_assert(strncmp(at, word, strlen(word)) == 0);
        const char *end = strchr(at, '\n');
        ck_assert_ptr_nonnull(end);
        at = end + 1;
        lines++;
    }
    ck_assert_uint_eq(lines, ALL_LINES);
    ck_assert_uint_eq(tm_log_count(TM_LOG_WARNING), ALL_LINES);
}
END_TEST

START_TEST(text_is_for_eyes_and_keeps_to_its_line)
{
    tm_log_init(TM_LOG_INFO, TM_LOG_FORMAT_TEXT);
    tm_log(TM_LOG_WARNING, "a.b", "two words\nand \x1b[0m more", TM_LOG_STR("job", "job_1"),
            TM_LOG_INT("n", 3), TM_LOG_END);
    const char *line = read_log();
    ck_assert_uint_eq(strcspn(line, " "), strlen("2026-11-22T23:30:00.000Z"));
    ck_assert_str_eq(
            strchr(line, ' '), " warning a.b: two words\\nand \\u001b[0m more job=job_1 n=3\n");
}
END_TEST

/* A socket in the journal's place. */
static int listen_as_journal(char path[64])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(path, 64, "/tmp/tidemark-journal-%d", (int)getpid());
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    ck_assert_int_eq(setenv("TIDEMARK_JOURNAL_SOCKET", path, 1), 0);
    return fd;
}

START_TEST(journald_gets_each_field_by_itself)
{
    char path[64];
    char got[1024] = {0};
    int fd = listen_as_journal(path);
    tm_log_init(TM_LOG_INFO, TM_LOG_FORMAT_JOURNALD);
    tm_log(TM_LOG_ERROR, "job.failed", "it broke", TM_LOG_STR("job", "job_1"),
            TM_LOG_STR("spent-ms", "a\nPRIORITY=0"), TM_LOG_INT("n", -2), TM_LOG_END);
    static const char first[] = "MESSAGE\n";
    static const char rest[] =
            "PRIORITY=3\nSYSLOG_IDENTIFIER=tidemarkd\nTIDEMARK_EVENT=job.failed\n"
            "TIDEMARK_JOB=job_1\nTIDEMARK_SPENT_MS\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n"
            "TIDEMARK_N=-2\n";
    static const char message[] = "job.failed: it broke job=job_1 spent-ms=a\nPRIORITY=0 n=-2";
    ssize_t len = recv(fd, got, sizeof(got), MSG_DONTWAIT);
    size_t at = sizeof(first) - 1;
    ck_assert_int_eq(len, (ssize_t)(at + 8 + sizeof(message) + sizeof(rest) - 1));
    ck_assert_int_eq(memcmp(got, first, at), 0);
    ck_assert_uint_eq((uint8_t)got[at], sizeof(message) - 1);
    ck_assert_int_eq(memcmp(got + at + 8, message, sizeof(message) - 1), 0);
    ck_assert_int_eq(memcmp(got + at + 8 + sizeof(message), rest, sizeof(rest) - 1), 0);
    ck_assert_str_eq(read_log(), ""); /* once is enough */

    (void)close(fd); /* the journal has gone: the line goes where it can */
    tm_log(TM_LOG_INFO, "b", "m", TM_LOG_END);
    ck_assert_ptr_nonnull(strstr(read_log(), " level=info event=b msg=m\n"));
    (void)unlink(path);
}
END_TEST

static char tapped[256];

static void tap(enum tm_log_level level, const char *job, const char *line)
{
    ck_assert_int_eq(level, TM_LOG_INFO);
    (void)snprintf(tapped, sizeof(tapped), "%s: %s", job, line);
}

START_TEST(lines_of_a_job_are_tapped_without_the_prefix)
{
    pretend_journal();
    tm_log_set_tap(tap);
    tm_log(TM_LOG_INFO, "a", "m", TM_LOG_STR("policy", "p"), TM_LOG_END);
    ck_assert_str_eq(tapped, "");
    tm_log(TM_LOG_DEBUG, "a", "m", TM_LOG_STR("job", "job_1"),
            TM_LOG_END); /* is not written, either */
    ck_assert_str_eq(tapped, "");
    tm_log(TM_LOG_INFO, "a", "m", TM_LOG_STR("job", "job_1"), TM_LOG_END);
    ck_assert_str_eq(tapped, "job_1: level=info event=a msg=m job=job_1\n");
    tm_log_set_tap(NULL);
    tm_log(TM_LOG_INFO, "b", "m", TM_LOG_STR("job", "job_2"), TM_LOG_END);
    ck_assert_str_eq(tapped, "job_1: level=info event=a msg=m job=job_1\n");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, redirect, close_log);
    tcase_add_test(tcase, line_is_logfmt_with_the_time_in_front);
    tcase_add_test(tcase, journal_gets_a_priority_and_no_time);
    tcase_add_loop_test(tcase, values_are_quoted_where_they_must_be, 0, (int)LENGTH(values));
    tcase_add_test(tcase, json_line_is_a_document);
    tcase_add_test(tcase, level_decides_what_is_written_and_counted);
    tcase_add_test(tcase, logging_keeps_errno);
    tcase_add_test(tcase, lines_of_threads_do_not_mix);
    tcase_add_test(tcase, text_is_for_eyes_and_keeps_to_its_line);
    tcase_add_test(tcase, journald_gets_each_field_by_itself);
    tcase_add_test(tcase, lines_of_a_job_are_tapped_without_the_prefix);

    Suite *suite = suite_create("log");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
