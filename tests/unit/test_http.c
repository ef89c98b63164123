/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>

#include "base/clock.h"
#include "base/fs.h"
#include "http_script.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PLAY(steps)   script_begin(&script, steps, LENGTH(steps))

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name:  a b \r\nX-Empty:\r\n\r\nhello"

static struct script script;
static struct tm_http *http;
static struct tm_http_response response;
static char url[128];
static char text[1024];

static void begin(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    struct tm_http_options options = {.stall_timeout_ms = 1000};
    http = tm_http_new(&options);
}

static void end(void)
{
    tm_http_free(http);
    tm_http_response_done(&response);
    script_forget(&script);
}

static enum tm_code send_it(struct tm_http_request request, struct tm_err *err)
{
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/some/path?q=1", script.port);
    request.method = request.method != NULL ? request.method : "GET";
    request.url = url;
    request.max_bytes = request.max_bytes > 0 ? request.max_bytes : 1000;
    memset(err, 0, sizeof(*err));
    return tm_http_send(http, &request, &response, err);
}

/* The message without the port, which differs from run to run. */
static void expect_message(const struct tm_err *err, const char *expected)
{
    char whole[TM_ERR_MSG_MAX];
    (void)snprintf(whole, sizeof(whole), "127.0.0.1:%d: %s", script.port, expected);
    ck_assert_str_eq(err->msg, whole);
}

START_TEST(a_request_is_sent_as_it_was_given)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, OK_HELLO}};
    static const struct tm_http_header headers[] = {{"X-One", "1"}, {"X-None", ""}};
    struct tm_err err;
    PLAY(steps);
    struct tm_http_request request = {.headers = headers, .header_count = 2};
    ck_assert_int_eq(send_it(request, &err), TM_OK);
    script_end(&script);
    ck_assert_int_eq(response.status, 200);
    ck_assert_str_eq(tm_buf_text(&response.body), "hello");
    ck_assert_uint_eq(response.received, 5);
    ck_assert(response.sent);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
            "GET /some/path?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: tidemark\r\n"
            "Accept: */*\r\nX-One: 1\r\nX-None:\r\n\r\n",
            script.port);
    ck_assert_str_eq(tm_buf_text(&script.requests[0]), expected);
}
END_TEST

START_TEST(headers_are_found_whatever_their_case)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, "HTTP/1.1 100 Continue\r\nX-Name: early\r\n\r\n" OK_HELLO}};
    struct tm_err err;
    PLAY(steps);
    ck_assert_int_eq(send_it((struct tm_http_request){0}, &err), TM_OK);
    script_end(&script);
    ck_assert_str_eq(tm_http_header_text(&response, "x-name", text, sizeof(text)), "a b");
    ck_assert_str_eq(tm_http_header_text(&response, "x-name", text, 3), "");
    ck_assert_ptr_nonnull(tm_http_header(&response, "x-empty").at);
    ck_assert_uint_eq(tm_http_header(&response, "x-empty").len, 0);
    ck_assert_ptr_null(tm_http_header(&response, "x-nam").at);
    ck_assert_str_eq(tm_buf_text(&response.headers), "content-length: 5\nx-name:  a b\nx-empty:\n");
}
END_TEST

START_TEST(a_connection_is_used_again_and_replaced_when_it_has_gone)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_CLOSE, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO}};
    struct tm_err err;
    PLAY(steps);
    for (int i = 0; i < 3; i++) {
        struct tm_http_request request = {.method = "PUT", .body = tm_slice_str("abc")};
        ck_assert_msg(send_it(request, &err) == TM_OK, "%d: %s", i, err.msg);
    }
    script_end(&script);
    ck_assert_uint_eq(script.accepted, 2);
    ck_assert(tm_slice_is(script_body(&script, 2), "abc"));
}
END_TEST

START_TEST(bodies_come_from_memory_and_from_files)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO}};
    struct tm_err err;
    PLAY(steps);
    char *large = tm_xalloc(1500001, 1);
    memset(large, 'x', 1500000);
    struct tm_http_request request = {.method = "POST", .body = tm_slice_str(large)};
    ck_assert_int_eq(send_it(request, &err), TM_OK);
    TM_FD_OWN int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "0123456789", 10), 10);
    request = (struct tm_http_request){.method = "PUT", .has_fd = true, .fd = fd, .fd_size = 10};
    ck_assert_int_eq(send_it(request, &err), TM_OK);
    ck_assert_int_eq(send_it((struct tm_http_request){.method = "PUT"}, &err), TM_OK);
    script_end(&script);
    ck_assert(tm_slice_is(script_body(&script, 0), large));
    ck_assert_str_eq(script_asked(&script, 0, "Content-Length", text), "1500000");
    ck_assert_str_eq(script_asked(&script, 0, "Expect", text), "");
    ck_assert(tm_slice_is(script_body(&script, 1), "0123456789"));
    ck_assert_str_eq(script_asked(&script, 2, "Content-Length", text), "0");
    free(large);
}
END_TEST

START_TEST(a_file_that_became_shorter_is_an_error)
{
    static const struct script_step steps[1];
    struct tm_err err;
    script_begin(&script, steps, 0);
    TM_FD_OWN int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "01234", 5), 5);
    struct tm_http_request request = {.method = "PUT", .has_fd = true, .fd = fd, .fd_size = 10};
    ck_assert_int_eq(send_it(request, &err), TM_E_IO);
    expect_message(&err, "read of the file that is sent: it is shorter than it was");
    script_end(&script);
}
END_TEST

START_TEST(an_answer_beyond_the_bound_is_refused_and_the_buffer_left_alone)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO},
            {SCRIPT_ANSWER, "HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\nmissing"}};
    struct tm_err err;
    TM_BUF_OWN struct tm_buf into = {0};
    tm_buf_add_text(&into, "before ");
    PLAY(steps);
    struct tm_http_request request = {.max_bytes = 4, .into = &into};
    ck_assert_int_eq(send_it(request, &err), TM_E_LIMIT);
    expect_message(&err, "the answer has more than 4 bytes");
    ck_assert_str_eq(tm_buf_text(&into), "before ");
    request.max_bytes = 5;
    ck_assert_int_eq(send_it(request, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&into), "before hello");
    ck_assert_uint_eq(response.body.len, 0);
    request.max_bytes = 2;
    ck_assert_int_eq(send_it(request, &err), TM_OK); /* of an error people read the text */
    ck_assert_str_eq(tm_buf_text(&into), "before hello");
    ck_assert_str_eq(tm_buf_text(&response.body), "missing");
    ck_assert_int_eq(response.status, 404);
    script_end(&script);
}
END_TEST

static enum tm_code refuse_second(void *arg, struct tm_slice bytes, struct tm_err *err)
{
    struct tm_buf *seen = arg;
    tm_buf_add(seen, bytes.at, bytes.len);
    return seen->len > 5 ? tm_err_set(err, TM_E_CANCELLED, "enough") : TM_OK;
}

START_TEST(a_body_can_be_given_piece_by_piece_and_stopped)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO}};
    struct tm_err err;
    TM_BUF_OWN struct tm_buf seen = {0};
    PLAY(steps);
    struct tm_http_request request = {.on_body = refuse_second, .arg = &seen};
    ck_assert_int_eq(send_it(request, &err), TM_OK);
    ck_assert_int_eq(send_it(request, &err), TM_E_CANCELLED);
    expect_message(&err, "enough");
    ck_assert_str_eq(tm_buf_text(&seen), "hellohello");
    script_end(&script);
}
END_TEST

/* clang-format off */
static const struct {
    struct script_step step;
    enum tm_code code;
    bool sent;
    const char *message;
} failures[] = {
    {{SCRIPT_CLOSE, NULL}, TM_E_IO, true, "Empty reply from server (GOT_NOTHING)"},
    {{SCRIPT_RESET, NULL}, TM_E_IO, true, "Recv failure: Connection reset by peer (RECV_ERROR)"},
    {{SCRIPT_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"}, TM_E_IO, true,
     "transfer closed with 4 bytes remaining to read (PARTIAL_FILE)"},
    {{SCRIPT_HOLD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"}, TM_E_TIMEOUT, true,
     "Operation too slow. Less than 100 bytes/sec transferred the last 1 seconds (OPERATION_TIMEDOUT)"},
    {{SCRIPT_CLOSE, "rubbish\r\n\r\n"}, TM_E_IO, true,
     "Received HTTP/0.9 when not allowed (UNSUPPORTED_PROTOCOL)"},
};
/* clang-format on */

START_TEST(a_failed_exchange_says_how)
{
    struct tm_err err;
    TM_BUF_OWN struct tm_buf into = {0};
    script_begin(&script, &failures[_i].step, 1);
    ck_assert_int_eq(send_it((struct tm_http_request){.into = &into}, &err), failures[_i].code);
    expect_message(&err, failures[_i].message);
    ck_assert_int_eq(response.sent, failures[_i].sent);
    ck_assert_uint_eq(into.len, 0);
    script_end(&script);
}
END_TEST

START_TEST(what_never_left_is_known_not_to_be_sent)
{
    static const struct script_step steps[1];
    struct tm_err err;
    script_begin(&script, steps, 0);
    script_end(&script); /* nobody listens at the port now */
    ck_assert_int_eq(send_it((struct tm_http_request){0}, &err), TM_E_IO);
    ck_assert(!response.sent);
    ck_assert_int_eq(response.status, 0);
    ck_assert_ptr_nonnull(strstr(err.msg, " (COULDNT_CONNECT)"));
}
END_TEST

START_TEST(a_deadline_ends_the_exchange)
{
    static const struct script_step steps[] = {{SCRIPT_HOLD, NULL}};
    struct tm_err err;
    PLAY(steps);
    ck_assert_int_eq(send_it((struct tm_http_request){.timeout_ms = 50}, &err), TM_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(err.msg, " (OPERATION_TIMEDOUT)"));
    script_end(&script);
}
END_TEST

START_TEST(the_bound_of_bytes_is_shared_by_all_transfers)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO}, {SCRIPT_ANSWER, OK_HELLO}};
    struct tm_err err;
    struct tm_http_options options = {.bytes_per_second = 100000};
    tm_http_free(http);
    http = tm_http_new(&options);
    PLAY(steps);
    char bytes[10001];
    memset(bytes, 'x', 10000);
    bytes[10000] = '\0';
    int64_t begin_ns = tm_mono_ns();
    for (int i = 0; i < 3; i++) {
        struct tm_http_request request = {.method = "PUT", .body = tm_slice_str(bytes)};
        ck_assert_int_eq(send_it(request, &err), TM_OK);
    }
    /* The third waits for the time of the two before it: 20000 bytes. */
    int64_t took_ms = (tm_mono_ns() - begin_ns) / 1000000;
    ck_assert_int_ge(took_ms, 200);
    script_end(&script);
}
END_TEST

START_TEST(proxies_of_the_environment_are_not_asked)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, OK_HELLO}};
    struct tm_err err;
    ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    PLAY(steps);
    ck_assert_msg(send_it((struct tm_http_request){0}, &err) == TM_OK, "%s", err.msg);
    script_end(&script);
}
END_TEST

START_TEST(a_redirect_is_an_answer_like_others)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, "HTTP/1.1 307 Elsewhere\r\nLocation: "
                            "http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}};
    struct tm_err err;
    PLAY(steps);
    ck_assert_int_eq(send_it((struct tm_http_request){0}, &err), TM_OK);
    ck_assert_int_eq(response.status, 307);
    script_end(&script);
}
END_TEST

START_TEST(a_ca_file_that_is_none_is_named)
{
    struct tm_err err = {0};
    struct tm_http_options options = {.ca_file = "/nowhere/ca.pem"};
    tm_http_free(http);
    http = tm_http_new(&options);
    struct tm_http_request request = {.method = "GET", .url = "https://127.0.0.1:1/"};
    ck_assert_int_eq(tm_http_send(http, &request, &response, &err), TM_E_IO); /* connects first */
    request.url = "ftp://127.0.0.1/";
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_http_send(http, &request, &response, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, "\"ftp://127.0.0.1/\" begins with neither https:// nor http://");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_request_is_sent_as_it_was_given);
    tcase_add_test(tcase, headers_are_found_whatever_their_case);
    tcase_add_test(tcase, a_connection_is_used_again_and_replaced_when_it_has_gone);
    tcase_add_test(tcase, bodies_come_from_memory_and_from_files);
    tcase_add_test(tcase, a_file_that_became_shorter_is_an_error);
    tcase_add_test(tcase, an_answer_beyond_the_bound_is_refused_and_the_buffer_left_alone);
    tcase_add_test(tcase, a_body_can_be_given_piece_by_piece_and_stopped);
    tcase_add_loop_test(tcase, a_failed_exchange_says_how, 0, (int)LENGTH(failures));
    tcase_add_test(tcase, what_never_left_is_known_not_to_be_sent);
    tcase_add_test(tcase, a_deadline_ends_the_exchange);
    tcase_add_test(tcase, the_bound_of_bytes_is_shared_by_all_transfers);
    tcase_add_test(tcase, proxies_of_the_environment_are_not_asked);
    tcase_add_test(tcase, a_redirect_is_an_answer_like_others);
    tcase_add_test(tcase, a_ca_file_that_is_none_is_named);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
