/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of api: limits, pages, headers and what is counted. */
#include "api_rig.h"

static struct rig *start_with(struct tm_api_options options)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_start(rig, options);
    return rig;
}

static struct rig *start(void)
{
    return start_with((struct tm_api_options){.kind = TM_API_SOCKET, .metrics_here = true});
}

static void stop(struct rig *rig)
{
    rig_stop(rig);
    free(rig);
}

static const struct ask backup_waiting = {
        "POST", "/v1/backups?wait=30s", NULL, "{\"policy\":\"p\"}"};

/* Limits ----------------------------------------------------------------------------------- */

enum { BODY_MAX = 1 << 20 };

/* {"policy":"xxx...x"} of `len` bytes */
static char *make_body(size_t len)
{
    static const char start_text[] = "{\"policy\":\"";
    struct tm_buf body = {0};
    tm_buf_add_text(&body, start_text);
    size_t rest = len - strlen(start_text) - 2;
    memset(tm_buf_extend(&body, rest), 'x', rest);
    tm_buf_add_text(&body, "\"}");
    ck_assert_uint_eq(body.len, len);
    return tm_buf_take_text(&body);
}

START_TEST(a_body_of_one_mebibyte_is_taken)
{
    struct rig *rig = start();
    char *body = make_body(BODY_MAX);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, body}, &reply);
    ck_assert_int_eq(reply.status, 202);
    free(body);
    stop(rig);
}
END_TEST

START_TEST(a_body_announced_too_large_is_refused_unread)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send(rig, fd,
            "POST /v1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: 1048577\r\n\r\n");
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    assert_problem(&reply, 413, "too-large");
    ck_assert_int_eq(int_at(&reply, "limit_bytes"), BODY_MAX);
    (void)close(fd);
    stop(rig);
}
END_TEST

/* A chunk of `len` bytes, and the last one if it is to be the end. */
static bool send_chunk(struct rig *rig, int fd, size_t len, bool last)
{
    TM_BUF_OWN struct tm_buf chunk = {0};
    tm_buf_add_fmt(&chunk, "%zx\r\n", len);
    memset(tm_buf_extend(&chunk, len), ' ', len);
    tm_buf_add_text(&chunk, last ? "\r\n0\r\n\r\n" : "\r\n");
    return rig_send_bytes(rig, fd, (const char *)chunk.at, chunk.len);
}

START_TEST(a_body_that_grows_too_large_is_refused)
{
    struct rig *rig = start();
    static const char head[] =
            "POST /v1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n";
    int fd = rig_connect(rig);
    rig_send(rig, fd, head);
    ck_assert(send_chunk(rig, fd, BODY_MAX + 1, true));
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    assert_problem(&reply, 413, "too-large");
    (void)close(fd);

    /* Without an end, the connection is dropped. */
    fd = rig_connect(rig);
    rig_send(rig, fd, head);
    bool open = true;
    for (int i = 0; i < 8 && open; i++) {
        open = send_chunk(rig, fd, BODY_MAX, false);
    }
    ck_assert(!open);
    (void)close(fd);
    ck_assert_uint_eq(rig->fake.calls, 0);
    stop(rig);
}
END_TEST

START_TEST(a_refused_body_does_not_cost_the_connection)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &(struct ask){"POST", "/v1/nothing", NULL, "{\"policy\":\"p\"}"});
    REPLY_OWN struct reply first = {0};
    rig_read(rig, fd, false, &first);
    assert_problem(&first, 404, "not-found");
    rig_send_ask(rig, fd, &(struct ask){.path = "/v1"});
    REPLY_OWN struct reply second = {0};
    rig_read(rig, fd, false, &second);
    ck_assert_int_eq(second.status, 200);
    ck_assert_str_eq(str_at(&second, "version"), "1.2.3");
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(who_waits_for_a_100_is_refused_before_the_body)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send(rig, fd,
            "POST /v1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
            "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    assert_problem(&reply, 415, "unsupported-media-type");
    (void)close(fd);
    stop(rig);
}
END_TEST

/* clang-format off */
static const char *const starts[] = {
    "",
    "GET /v1 HTTP/1.1\r\nHost: loc",
    "POST /v1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
};
/* clang-format on */

START_TEST(a_request_that_is_not_in_after_a_while_is_dropped)
{
    struct rig *rig = start_with((struct tm_api_options){.kind = TM_API_SOCKET, .header_ms = 500});
    int64_t begin_ns = tm_mono_ns();
    int fd = rig_connect(rig);
    rig_send(rig, fd, starts[_i]);
    /* Bytes that trickle in do not help. */
    char byte = 'x';
    for (int i = 0; i < 3; i++) {
        bool dropped = rig_run(rig, fd, 20);
        ck_assert(!dropped || tm_mono_ns() - begin_ns >= 499 * 1000000LL);
        (void)send(fd, &byte, starts[_i][0] != '\0' ? 1 : 0, MSG_NOSIGNAL);
    }
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, 0);
    int64_t spent_ms = (tm_mono_ns() - begin_ns) / 1000000;
    ck_assert_int_ge(spent_ms, 499);
    ck_assert_int_lt(spent_ms, 10000); /* of a busy machine */
    ck_assert_uint_eq(tm_api_connections(rig->api), 0);
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(a_wait_outlives_the_time_for_a_request)
{
    struct rig *rig = start_with((struct tm_api_options){.kind = TM_API_SOCKET, .header_ms = 50});
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &backup_waiting);
    ck_assert(!rig_run(rig, fd, 200));
    rig->fake.job_done(rig->fake.arg, &rig->fake.job, false, NULL);
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, 202);
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(no_more_than_so_many_connections_are_taken)
{
    struct rig *rig =
            start_with((struct tm_api_options){.kind = TM_API_SOCKET, .max_connections = 2});
    int fds[3];
    for (size_t i = 0; i < LENGTH(fds); i++) {
        fds[i] = rig_connect(rig);
    }
    (void)rig_run(rig, -1, 30);
    ck_assert_uint_eq(tm_api_connections(rig->api), 2);
    for (size_t i = 0; i < LENGTH(fds); i++) {
        (void)close(fds[i]);
    }
    stop(rig);
}
END_TEST

/* Pages ------------------------------------------------------------------------------------ */

static void make_jobs(struct tm_job_view jobs[2])
{
    jobs[0].row = (struct tm_job_row){.id = rig_ulid("01K9ZQ4V6M3T8R2X7B5N1C0D9F", "")};
    jobs[1].row = (struct tm_job_row){.id = rig_ulid("01K9ZQ4V6M3T8R2X7B5N1C0D9E", "")};
}

START_TEST(a_cursor_leads_to_the_next_page)
{
    struct rig *rig = start();
    struct tm_job_view jobs[2] = {0};
    make_jobs(jobs);
    rig->fake.jobs = jobs;
    rig->fake.job_count = 2;
    rig->fake.more = true;
    REPLY_OWN struct reply first = {0};
    rig_ask(rig, (struct ask){.path = "/v1/jobs?policy=a%26b&limit=2&state=failed"}, &first);
    ck_assert_int_eq(first.status, 200);
    ck_assert_uint_eq(json_at(first.json, "items")->count, 2);
    const char *cursor = str_at(&first, "next_cursor");
    ck_assert_ptr_nonnull(cursor);
    char path[512];
    char value[512];
    (void)snprintf(path, sizeof(path),
            "</v1/jobs?policy=a%%26b&limit=2&state=failed&cursor=%s>; rel=\"next\"", cursor);
    ck_assert_str_eq(reply_header(&first, "Link", value), path);

    /* The order of the parameters and the limit do not matter. */
    rig->fake.more = false;
    (void)snprintf(
            path, sizeof(path), "/v1/jobs?cursor=%s&state=failed&limit=3&policy=a%%26b", cursor);
    REPLY_OWN struct reply second = {0};
    rig_ask(rig, (struct ask){.path = path}, &second);
    ck_assert_int_eq(second.status, 200);
    ck_assert_ptr_null(json_at(second.json, "next_cursor"));
    ck_assert_ptr_null(reply_header(&second, "Link", value));
    ck_assert_str_eq(rig->fake.seen,
            "jobs kinds=0 states=16 policy=a&b since=-9223372036854775808 limit=3 "
            "before=01K9ZQ4V6M3T8R2X7B5N1C0D9E");

    static const char *const others[] = {"/v1/jobs?policy=a%%26b&state=partial&cursor=%s",
            "/v1/jobs?cursor=%s", "/v1/backups?policy=a%%26b&state=failed&cursor=%s"};
    (void)snprintf(path, sizeof(path), "%s", others[_i]);
    *strstr(path, "%s") = '\0';
    for (char *at = strstr(path, "%%"); at != NULL; at = strstr(path, "%%")) {
        memmove(at, at + 1, strlen(at));
    }
    (void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s", cursor);
    REPLY_OWN struct reply other = {0};
    rig_ask(rig, (struct ask){.path = path}, &other);
    assert_problem(&other, 400, "bad-cursor");
    stop(rig);
}
END_TEST

/* Headers and the rest --------------------------------------------------------------------- */

static const char *const gets[] = {"/v1", "/v1/status", "/v1/policies", "/v1/backups",
        "/v1/recovery-points", "/v1/restores", "/v1/jobs", ("/v1/jobs/" JOB_ID), "/metrics",
        "/livez", "/readyz"};

START_TEST(head_is_get_without_the_body)
{
    struct rig *rig = start();
    char get_value[512];
    char head_value[512];
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &(struct ask){.method = "HEAD", .path = gets[_i]});
    REPLY_OWN struct reply head = {0};
    rig_read(rig, fd, true, &head);
    ck_assert_int_eq(head.status, 200);
    /* Were there a body, it would be taken for the next answer. */
    rig_send_ask(rig, fd, &(struct ask){.path = gets[_i]});
    REPLY_OWN struct reply get = {0};
    rig_read(rig, fd, false, &get);
    ck_assert_int_eq(get.status, 200);
    ck_assert_str_eq(reply_header(&get, "Content-Type", get_value),
            reply_header(&head, "Content-Type", head_value));
    ck_assert_ptr_nonnull(reply_header(&head, "Content-Length", head_value));
    ck_assert_str_ne(head_value, "0");
    (void)close(fd);
    stop(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *sent;
    bool taken;
} ids[] = {
    {"abc-1", true},
    {"!~", true},
    {"0123456789012345678901234567890123456789012345678901234567890123", true},
    {"01234567890123456789012345678901234567890123456789012345678901234", false},
    {"a b", false},
    {"\xc3\xa9", false},
};
/* clang-format on */

START_TEST(a_request_id_is_taken_over_when_it_is_fit)
{
    struct rig *rig = start();
    char header[256];
    char value[512];
    (void)snprintf(header, sizeof(header), "X-Request-Id: %s\r\n", ids[_i].sent);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/nowhere", .headers = header}, &reply);
    const char *id = reply_header(&reply, "X-Request-Id", value);
    ck_assert_ptr_nonnull(id);
    ck_assert_int_eq(strcmp(id, ids[_i].sent) == 0, ids[_i].taken);
    ck_assert_int_eq(strncmp(id, "req_", 4) == 0, !ids[_i].taken);
    ck_assert_str_eq(str_at(&reply, "instance") + strlen("/requests/"), id);
    stop(rig);
}
END_TEST

START_TEST(readiness_is_what_control_says)
{
    struct rig *rig = start();
    char value[512];
    rig->fake.not_ready = "starting";
    REPLY_OWN struct reply starting = {0};
    rig_ask(rig, (struct ask){.path = "/readyz"}, &starting);
    assert_problem(&starting, 503, "starting");
    ck_assert_str_eq(reply_header(&starting, "Retry-After", value), "5");
    rig->fake.not_ready = "draining";
    REPLY_OWN struct reply draining = {0};
    rig_ask(rig, (struct ask){.path = "/readyz"}, &draining);
    assert_problem(&draining, 503, "draining");
    REPLY_OWN struct reply live = {0};
    rig_ask(rig, (struct ask){.path = "/livez"}, &live);
    ck_assert_int_eq(live.status, 200);
    ck_assert_str_eq(str_at(&live, "status"), "live");
    stop(rig);
}
END_TEST

/* clang-format off */
static const char *const counted[] = {
    "tidemark_http_requests_total{route=\"/v1/jobs/{id}\",method=\"GET\",code=\"200\"} 2\n",
    "tidemark_http_requests_total{route=\"/v1/jobs/{id}\",method=\"GET\",code=\"404\"} 1\n",
    "tidemark_http_requests_total{route=\"none\",method=\"GET\",code=\"404\"} 1\n",
    "tidemark_http_requests_total{route=\"none\",method=\"other\",code=\"404\"} 1\n",
    "tidemark_http_request_duration_seconds_count{route=\"/v1/jobs/{id}\",method=\"GET\"} 3\n",
};
/* clang-format on */

START_TEST(requests_are_counted_by_the_pattern_of_their_route)
{
    struct rig *rig = start();
    char value[512];
    static const char *const paths[] = {
            "/v1/jobs/" JOB_ID, "/v1/jobs/nope", "/v1/jobs/" JOB_ID, "/secret/path"};
    for (size_t i = 0; i < LENGTH(paths); i++) {
        REPLY_OWN struct reply reply = {0};
        rig_ask(rig, (struct ask){.path = paths[i]}, &reply);
    }
    REPLY_OWN struct reply odd = {0};
    rig_ask(rig, (struct ask){.method = "BREW", .path = "/coffee"}, &odd);
    REPLY_OWN struct reply metrics = {0};
    rig_ask(rig, (struct ask){.path = "/metrics"}, &metrics);
    ck_assert_int_eq(metrics.status, 200);
    ck_assert_uint_eq(rig->fake.refreshed, 1);
    ck_assert_str_eq(reply_header(&metrics, "Content-Type", value),
            "text/plain; version=0.0.4; charset=utf-8");
    for (size_t i = 0; i < LENGTH(counted); i++) {
        ck_assert_msg(strstr(metrics.body, counted[i]) != NULL, "not there: %s", counted[i]);
    }
    ck_assert_ptr_null(strstr(metrics.body, "secret"));
    stop(rig);
}
END_TEST

START_TEST(waiting_is_no_latency)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &backup_waiting);
    ck_assert(!rig_run(rig, fd, 20));
    rig->fake.job_done(rig->fake.arg, &rig->fake.job, false, NULL);
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    REPLY_OWN struct reply metrics = {0};
    rig_ask(rig, (struct ask){.path = "/metrics"}, &metrics);
    ck_assert_ptr_nonnull(
            strstr(metrics.body, "tidemark_http_requests_total{route=\"/v1/backups\""));
    ck_assert_ptr_null(strstr(
            metrics.body, "tidemark_http_request_duration_seconds_count{route=\"/v1/backups\""));
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(metrics_are_there_only_where_they_are_wanted)
{
    struct rig *rig = start_with((struct tm_api_options){.kind = TM_API_SOCKET});
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/metrics"}, &reply);
    assert_problem(&reply, 404, "not-found");
    stop(rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_http");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, a_body_of_one_mebibyte_is_taken);
    tcase_add_test(tcase, a_body_announced_too_large_is_refused_unread);
    tcase_add_test(tcase, a_body_that_grows_too_large_is_refused);
    tcase_add_test(tcase, a_refused_body_does_not_cost_the_connection);
    tcase_add_test(tcase, who_waits_for_a_100_is_refused_before_the_body);
    tcase_add_loop_test(
            tcase, a_request_that_is_not_in_after_a_while_is_dropped, 0, (int)LENGTH(starts));
    tcase_add_test(tcase, a_wait_outlives_the_time_for_a_request);
    tcase_add_test(tcase, no_more_than_so_many_connections_are_taken);
    tcase_add_loop_test(tcase, a_cursor_leads_to_the_next_page, 0, 3);
    tcase_add_loop_test(tcase, head_is_get_without_the_body, 0, (int)LENGTH(gets));
    tcase_add_loop_test(tcase, a_request_id_is_taken_over_when_it_is_fit, 0, (int)LENGTH(ids));
    tcase_add_test(tcase, readiness_is_what_control_says);
    tcase_add_test(tcase, requests_are_counted_by_the_pattern_of_their_route);
    tcase_add_test(tcase, waiting_is_no_latency);
    tcase_add_test(tcase, metrics_are_there_only_where_they_are_wanted);
    return rig_main(tcase, "api_http");
}
