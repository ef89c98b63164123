/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of api: who may ask what, over which socket. */
#include "api_rig.h"

#include <fcntl.h>
#include <grp.h>

#include "base/hash.h"
#include "base/metrics.h"

enum { NOBODY = 65534, SOMEGROUP = 12345 };

/* Tokens ----------------------------------------------------------------------------------- */

static struct tm_api_token tokens[] = {
        {.name = "reader", .scopes = TM_API_READ},
        {.name = "oncall", .scopes = TM_API_READ | TM_API_OPERATE | TM_API_RESTORE},
        {.name = "old", .scopes = TM_API_READ, .expires_ms = 1},
        {.name = "young", .scopes = TM_API_READ, .expires_ms = INT64_MAX},
        {.name = "writer", .scopes = TM_API_OPERATE},
        {.name = "admin", .scopes = TM_API_ADMIN},
};

static void make_tokens(void)
{
    for (size_t i = 0; i < LENGTH(tokens); i++) {
        char secret[64];
        (void)snprintf(secret, sizeof(secret), "tm_%s-secret", tokens[i].name);
        tokens[i].sha256 = tm_sha256_of(tm_slice_str(secret));
    }
}

static struct rig *start(enum tm_api_kind kind)
{
    make_tokens();
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_start(rig, (struct tm_api_options){
                           .kind = kind,
                           .tokens = tokens,
                           .token_count = LENGTH(tokens),
                           .metrics_here = true,
                   });
    return rig;
}

static void stop(struct rig *rig)
{
    rig_stop(rig);
    free(rig);
}

#define BEARER(name) "Authorization: Bearer tm_" name "-secret\r\n"

/* clang-format off */
static const struct {
    const char *path;
    const char *headers;
    int status;
    const char *reason; /* counted; NULL: let through */
    const char *detail;
} asks[] = {
    {"/v1/jobs", NULL,                                401, "no-token", "send \"Authorization: Bearer tm_...\" with a token"},
    {"/v1/jobs", "Authorization: Basic dTpw\r\n",     401, "invalid-token", "the Authorization header holds no bearer token"},
    {"/v1/jobs", "Authorization: Bearer\r\n",         401, "invalid-token", "the Authorization header holds no bearer token"},
    {"/v1/jobs", "Authorization: Bearer tm_x\r\n",    401, "invalid-token", "the token is not known"},
    {"/v1/jobs", "Authorization: Bearer tm_reader-secre\r\n", 401, "invalid-token", "the token is not known"},
    {"/v1/jobs", "Authorization: Bearer tm_reader-secrett\r\n", 401, "invalid-token", "the token is not known"},
    {"/v1/jobs", BEARER("old"),                       401, "expired", "the token has expired"},
    {"/v1/jobs", BEARER("reader"),                    200, NULL, NULL},
    {"/v1/jobs", BEARER("young"),                     200, NULL, NULL},
    {"/v1/jobs", "Authorization: bearer  tm_reader-secret\r\n", 200, NULL, NULL},
    {"/v1/nothing", NULL,                             401, "no-token", "send \"Authorization: Bearer tm_...\" with a token"},
    {"/metrics", NULL,                                401, "no-token", "send \"Authorization: Bearer tm_...\" with a token"},
    {"/metrics", BEARER("reader"),                    200, NULL, NULL},
    {"/v1",      NULL,                                200, NULL, NULL},
    {"/livez",   NULL,                                200, NULL, NULL},
    {"/readyz",  NULL,                                200, NULL, NULL},
};
/* clang-format on */

START_TEST(tcp_takes_known_tokens_only)
{
    struct rig *rig = start(TM_API_TCP);
    char value[512];
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = asks[_i].path, .headers = asks[_i].headers}, &reply);
    if (asks[_i].reason == NULL) {
        ck_assert_int_eq(reply.status, asks[_i].status);
        stop(rig);
        return;
    }
    assert_problem(&reply, asks[_i].status, "invalid-token");
    ck_assert_str_eq(str_at(&reply, "detail"), asks[_i].detail);
    ck_assert_str_eq(reply_header(&reply, "WWW-Authenticate", value),
            "Bearer realm=\"tidemark\", error=\"invalid_token\"");
    ck_assert_double_eq(tm_metric_value(TM_M_AUTH_FAILURES, TM_LABELS(asks[_i].reason)), 1);
    ck_assert_uint_eq(rig->fake.calls, 0);
    stop(rig);
}
END_TEST

START_TEST(without_tokens_nobody_gets_in)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_start(rig, (struct tm_api_options){.kind = TM_API_TCP});
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/v1/status", .headers = BEARER("reader")}, &reply);
    assert_problem(&reply, 401, "invalid-token");
    stop(rig);
}
END_TEST

/* Scopes ----------------------------------------------------------------------------------- */

#define RESTORE_BODY "{\"source\":{\"policy\":\"p\"},\"target\":{\"cluster\":\"c\"}}"

/* clang-format off */
static const struct {
    struct ask ask;
    int status;
    const char *missing; /* NULL: let through */
} scopes[] = {
    {{"GET",  "/v1/status", BEARER("reader"), NULL},                              200, NULL},
    {{"GET",  "/v1/status", BEARER("writer"), NULL},                              403, "read"},
    {{"GET",  "/v1/status", BEARER("admin"), NULL},                               403, "read"},
    {{"POST", "/v1/backups", BEARER("reader"), "{\"policy\":\"p\"}"},             403, "operate"},
    {{"POST", "/v1/backups", BEARER("writer"), "{\"policy\":\"p\"}"},             202, NULL},
    {{"POST", "/v1/restores", BEARER("writer"), RESTORE_BODY},                    403, "restore"},
    {{"POST", "/v1/restores", BEARER("oncall"), RESTORE_BODY},                    202, NULL},
    {{"POST", "/v1/restores/plan", BEARER("reader"), RESTORE_BODY},               200, NULL},
    {{"POST", "/v1/jobs/" JOB_ID "/cancel", BEARER("reader"), NULL},              403, "operate"},
    {{"POST", "/v1/jobs/" JOB_ID "/cancel", BEARER("oncall"), NULL},              202, NULL},
    {{"GET",  "/v1/restores/" JOB_ID "/put-back", BEARER("reader"), NULL},        200, NULL},
    {{"POST", "/v1/restores/" JOB_ID "/put-back", BEARER("reader"), NULL},        403, "restore"},
    {{"POST", "/v1/restores/" JOB_ID "/put-back", BEARER("oncall"), NULL},        200, NULL},
    {{"GET",  "/metrics", BEARER("writer"), NULL},                                403, "read"},
};
/* clang-format on */

START_TEST(a_token_may_do_what_its_scopes_say)
{
    struct rig *rig = start(TM_API_TCP);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, scopes[_i].ask, &reply);
    if (scopes[_i].missing == NULL) {
        ck_assert_int_eq(reply.status, scopes[_i].status);
    } else {
        assert_problem(&reply, 403, "scope-missing");
        ck_assert_str_eq(str_at(&reply, "required_scope"), scopes[_i].missing);
        ck_assert_uint_eq(json_at(reply.json, "scopes")->count, 1);
        ck_assert_double_eq(tm_metric_value(TM_M_AUTH_FAILURES, TM_LABELS("scope")), 1);
        ck_assert_uint_eq(rig->fake.calls, 0);
    }
    stop(rig);
}
END_TEST

START_TEST(control_hears_who_asks)
{
    struct rig *rig = start(TM_API_TCP);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig,
            (struct ask){"POST", "/v1/backups", BEARER("oncall") "X-Request-Id: r\r\n",
                    "{\"policy\":\"p\"}"},
            &reply);
    ck_assert_str_eq(rig->fake.seen,
            "backup policy=p topics= note=- tags= join=0 who=token:oncall id=r "
            "body={\"policy\":\"p\"}");
    stop(rig);
}
END_TEST

/* Host ------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
    const char *headers;
    bool let_in;
} hosts[] = {
    {"Host: localhost\r\n",           true},
    {"Host: LOCALHOST:8484\r\n",      true},
    {"Host: 127.0.0.1:8484\r\n",      true},
    {"Host: [::1]:8484\r\n",          true},
    {"Host: [::1]\r\n",               true},
    {"Host: evil.example\r\n",        false},
    {"Host: localhost.evil\r\n",      false},
    {"Host: 127.0.0.1.evil\r\n",      false},
    {"Host: evil:127.0.0.1\r\n",      false},
    {"Host: \r\n",                    false},
};
/* clang-format on */

static void check_host(enum tm_api_kind kind, const char *headers, bool let_in)
{
    struct rig *rig = start(kind);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/livez", .headers = headers}, &reply);
    if (let_in) {
        ck_assert_int_eq(reply.status, 200);
    } else {
        assert_problem(&reply, 421, "wrong-host");
        ck_assert_double_eq(tm_metric_value(TM_M_AUTH_FAILURES, TM_LABELS("host")), 1);
    }
    stop(rig);
}

START_TEST(loopback_answers_to_its_own_names_only)
{
    check_host(TM_API_TCP, hosts[_i].headers, hosts[_i].let_in);
    check_host(TM_API_SOCKET, hosts[_i].headers, true);
}
END_TEST

START_TEST(the_metrics_listener_checks_the_host_too)
{
    check_host(TM_API_METRICS, hosts[_i].headers, hosts[_i].let_in);
}
END_TEST

START_TEST(an_old_client_without_host_is_let_in)
{
    struct rig *rig = start(TM_API_TCP);
    int fd = rig_connect(rig);
    rig_send(rig, fd, "GET /livez HTTP/1.0\r\n\r\n");
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, 200);
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(the_address_listened_on_is_a_name_of_ours)
{
    struct tm_err err = {0};
    int fd = -1;
    make_tokens();
    struct rig *rig = calloc(1, sizeof(*rig));
    socklen_t len = sizeof(rig->address);
    ck_assert_int_eq(tm_api_listen_tcp("127.0.0.7:0", &fd, &err), TM_OK);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&rig->address, &len), 0);
    struct tm_api_options options = {
            .kind = TM_API_TCP, .listen_fd = fd, .control = {&rig->fake, &fake_ops}};
    ck_assert_int_eq(tm_api_start(&options, &rig->api, &err), TM_OK);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/livez", .headers = "Host: 127.0.0.7:1\r\n"}, &reply);
    ck_assert_int_eq(reply.status, 200);
    stop(rig);
}
END_TEST

/* Metrics listener ------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
    const char *path;
    int status;
} metrics_paths[] = {
    {"/metrics",    200},
    {"/livez",      200},
    {"/readyz",     200},
    {"/v1",         404},
    {"/v1/status",  404},
    {"/v1/jobs",    404},
};
/* clang-format on */

START_TEST(the_metrics_listener_serves_metrics_and_probes_without_a_token)
{
    struct rig *rig = start(TM_API_METRICS);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = metrics_paths[_i].path}, &reply);
    ck_assert_int_eq(reply.status, metrics_paths[_i].status);
    stop(rig);
}
END_TEST

/* Unix socket ------------------------------------------------------------------------------ */

START_TEST(the_daemons_own_user_may_do_everything_on_the_socket)
{
    struct rig *rig = start(TM_API_SOCKET);
    struct stat file;
    ck_assert_int_eq(stat(rig->path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 07777, 0600);
    REPLY_OWN struct reply read = {0};
    rig_ask(rig, (struct ask){.path = "/v1/status"}, &read);
    ck_assert_int_eq(read.status, 200);
    REPLY_OWN struct reply restore = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/restores", NULL, RESTORE_BODY}, &restore);
    ck_assert_int_eq(restore.status, 202);
    stop(rig);
}
END_TEST

/* clang-format off */
static const struct {
    mode_t mode;   /* of the socket's file */
    gid_t main_group;
    gid_t other_group;
    bool let_in;
} strangers[] = {
    {0666, NOBODY,    NOBODY,    false},
    {0660, SOMEGROUP, NOBODY,    true},
    {0660, NOBODY,    SOMEGROUP, true},
};
/* clang-format on */

/* Another user's connection can only be made by root. */
static int connect_as(struct rig *rig, gid_t main_group, gid_t other_group)
{
    ck_assert_int_eq(setgroups(1, &other_group), 0);
    ck_assert_int_eq(setegid(main_group), 0);
    ck_assert_int_eq(seteuid(NOBODY), 0);
    int fd = rig_connect(rig);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
    return fd;
}

START_TEST(others_on_the_socket_must_be_in_its_group)
{
    if (geteuid() != 0) {
        (void)puts("others_on_the_socket_must_be_in_its_group: not run, needs root");
        return;
    }
    struct rig *rig = calloc(1, sizeof(*rig));
    struct tm_err err = {0};
    int listener = -1;
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/tidemark-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->folder));
    ck_assert_int_eq(chmod(rig->folder, 0755), 0);
    (void)snprintf(rig->path, sizeof(rig->path), "%s/s", rig->folder);
    ck_assert_int_eq(tm_api_listen_unix(rig->path, NULL, &listener, &err), TM_OK);
    ck_assert_int_eq(chown(rig->path, 0, SOMEGROUP), 0);
    ck_assert_int_eq(chmod(rig->path, strangers[_i].mode), 0);
    struct tm_api_options options = {
            .kind = TM_API_SOCKET, .listen_fd = listener, .control = {&rig->fake, &fake_ops}};
    ck_assert_int_eq(tm_api_start(&options, &rig->api, &err), TM_OK);

    int fd = connect_as(rig, strangers[_i].main_group, strangers[_i].other_group);
    rig_send_ask(rig, fd, &(struct ask){.path = "/v1/status"});
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    if (strangers[_i].let_in) {
        ck_assert_int_eq(reply.status, 200);
    } else {
        assert_problem(&reply, 403, "scope-missing");
        ck_assert_str_eq(str_at(&reply, "detail"), "socket:uid=65534 has no scope \"read\"");
        ck_assert_uint_eq(json_at(reply.json, "scopes")->count, 0);
    }
    (void)close(fd);
    stop(rig);
}
END_TEST

/* Listening -------------------------------------------------------------------------------- */

START_TEST(a_dead_socket_is_replaced_and_a_live_one_is_not)
{
    struct tm_err err = {0};
    char folder[] = "/tmp/tidemark-api-XXXXXX";
    char path[64];
    int first = -1;
    int second = -1;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    ck_assert_int_eq(tm_api_listen_unix(path, "", &first, &err), TM_OK);

    char expected[256];
    (void)snprintf(expected, sizeof(expected), "another process listens on \"%s\"", path);
    ck_assert_int_eq(tm_api_listen_unix(path, "", &second, &err), TM_E_EXISTS);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_int_eq(second, -1);

    (void)close(first);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_api_listen_unix(path, "", &second, &err), TM_OK);
    (void)close(second);
    (void)unlink(path);
    (void)rmdir(folder);
}
END_TEST

START_TEST(a_file_in_the_place_of_a_socket_stays)
{
    struct tm_err err = {0};
    char path[] = "/tmp/tidemark-api-XXXXXX";
    char expected[256];
    int fd = mkstemp(path);
    int listener = -1;
    ck_assert_int_ge(fd, 0);
    (void)snprintf(expected, sizeof(expected), "\"%s\" is there and is not a socket", path);
    ck_assert_int_eq(tm_api_listen_unix(path, "", &listener, &err), TM_E_EXISTS);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_int_eq(access(path, F_OK), 0);
    (void)close(fd);
    (void)unlink(path);
}
END_TEST

START_TEST(a_group_that_is_not_there_is_named)
{
    struct tm_err err = {0};
    char folder[] = "/tmp/tidemark-api-XXXXXX";
    char path[64];
    int fd = -1;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    ck_assert_int_eq(tm_api_listen_unix(path, "no-such-group-here", &fd, &err), TM_E_MISSING);
    ck_assert_str_eq(err.msg, "there is no group \"no-such-group-here\"");
    ck_assert_int_eq(access(path, F_OK), -1);
    (void)rmdir(folder);
}
END_TEST

START_TEST(a_group_gets_a_socket_it_may_write_to)
{
    struct tm_err err = {0};
    char folder[] = "/tmp/tidemark-api-XXXXXX";
    char path[64];
    int fd = -1;
    struct stat file;
    struct group own;
    struct group *found = NULL;
    char names[4096];
    ck_assert_int_eq(getgrgid_r(getegid(), &own, names, sizeof(names), &found), 0);
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    ck_assert_int_eq(tm_api_listen_unix(path, found->gr_name, &fd, &err), TM_OK);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 07777, 0660);
    ck_assert_uint_eq(file.st_gid, getegid());
    (void)close(fd);
    (void)unlink(path);
    (void)rmdir(folder);
}
END_TEST

static const char *const no_addresses[] = {"", "localhost", ":8484", "127.0.0.1:", "127.0.0.1:x",
        "127.0.0.1:65536", "127.0.0.1:123456", "::1:8484", "[::1:8484", "127.0.0.1:-1"};

START_TEST(an_address_that_is_none_is_refused)
{
    struct tm_err err = {0};
    char expected[128];
    int fd = -1;
    (void)snprintf(expected, sizeof(expected), "\"%s\" is not host:port", no_addresses[_i]);
    ck_assert_int_eq(tm_api_listen_tcp(no_addresses[_i], &fd, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(an_address_in_use_is_named)
{
    struct tm_err err = {0};
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    char text[64];
    char expected[128];
    int first = -1;
    int second = -1;
    ck_assert_int_eq(tm_api_listen_tcp("localhost:0", &first, &err), TM_OK);
    (void)close(first);
    ck_assert_int_eq(tm_api_listen_tcp("127.0.0.1:0", &first, &err), TM_OK);
    ck_assert_int_eq(getsockname(first, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    ck_assert_int_eq(tm_api_listen_tcp(text, &second, &err), TM_E_EXISTS);
    (void)snprintf(expected, sizeof(expected), "listen on \"%s\": Address already in use", text);
    ck_assert_str_eq(err.msg, expected);
    (void)close(first);
}
END_TEST

START_TEST(a_relative_socket_path_is_refused)
{
    struct tm_err err = {0};
    int fd = -1;
    ck_assert_int_eq(tm_api_listen_unix("api.sock", "", &fd, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg,
            "the path of a socket begins with / and has at most 107 bytes, got \"api.sock\"");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_auth");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, tcp_takes_known_tokens_only, 0, (int)LENGTH(asks));
    tcase_add_test(tcase, without_tokens_nobody_gets_in);
    tcase_add_loop_test(tcase, a_token_may_do_what_its_scopes_say, 0, (int)LENGTH(scopes));
    tcase_add_test(tcase, control_hears_who_asks);
    tcase_add_loop_test(tcase, loopback_answers_to_its_own_names_only, 0, (int)LENGTH(hosts));
    tcase_add_loop_test(tcase, the_metrics_listener_checks_the_host_too, 0, (int)LENGTH(hosts));
    tcase_add_test(tcase, an_old_client_without_host_is_let_in);
    tcase_add_test(tcase, the_address_listened_on_is_a_name_of_ours);
    tcase_add_loop_test(tcase, the_metrics_listener_serves_metrics_and_probes_without_a_token, 0,
            (int)LENGTH(metrics_paths));
    tcase_add_test(tcase, the_daemons_own_user_may_do_everything_on_the_socket);
    tcase_add_loop_test(
            tcase, others_on_the_socket_must_be_in_its_group, 0, (int)LENGTH(strangers));
    tcase_add_test(tcase, a_dead_socket_is_replaced_and_a_live_one_is_not);
    tcase_add_test(tcase, a_file_in_the_place_of_a_socket_stays);
    tcase_add_test(tcase, a_group_that_is_not_there_is_named);
    tcase_add_test(tcase, a_group_gets_a_socket_it_may_write_to);
    tcase_add_loop_test(tcase, an_address_that_is_none_is_refused, 0, (int)LENGTH(no_addresses));
    tcase_add_test(tcase, an_address_in_use_is_named);
    tcase_add_test(tcase, a_relative_socket_path_is_refused);
    return rig_main(tcase, "api_auth");
}
