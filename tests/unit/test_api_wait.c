/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of api: jobs that are started, waited for and left, and the end of the server. */
#include "api_rig.h"

static struct rig *start(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_start(rig, (struct tm_api_options){.kind = TM_API_SOCKET, .metrics_here = true});
    return rig;
}

static void stop(struct rig *rig)
{
    rig_stop(rig);
    free(rig);
}

#define SOURCE "\"source\":{\"policy\":\"p\"},\"target\":{\"cluster\":\"c\"}"

/* Jobs and waits --------------------------------------------------------------------------- */

static const struct ask backup_waiting = {
        "POST", "/v1/backups?wait=30s", NULL, "{\"policy\":\"p\"}"};

START_TEST(a_started_job_is_accepted_with_its_place)
{
    struct rig *rig = start();
    char value[512];
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, "{\"policy\":\"p\"}"}, &reply);
    ck_assert_int_eq(reply.status, 202);
    ck_assert_str_eq(reply_header(&reply, "Location", value), "/v1/jobs/" JOB_ID);
    ck_assert_str_eq(reply_header(&reply, "Retry-After", value), "2");
    ck_assert_str_eq(reply_header(&reply, "Cache-Control", value), "no-store");
    ck_assert_str_eq(reply_header(&reply, "Content-Type", value), "application/json");
    ck_assert_str_eq(str_at(&reply, "id"), JOB_ID);
    ck_assert_str_eq(str_at(&reply, "state"), "queued");

    rig->fake.joined = true;
    REPLY_OWN struct reply joined = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, "{\"policy\":\"p\"}"}, &joined);
    ck_assert_int_eq(joined.status, 200);
    stop(rig);
}
END_TEST

START_TEST(a_wait_ends_with_the_job)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &backup_waiting);
    ck_assert(!rig_run(rig, fd, 30));
    ck_assert_str_eq(rig->fake.seen, "job " JOB_ID " wait=30000");

    rig->fake.job.row.state = TM_JOB_SUCCEEDED;
    rig->fake.job_done(rig->fake.arg, &rig->fake.job, false, NULL);
    ck_assert_uint_eq(rig->wakes, 1);
    ck_assert_int_eq(tm_api_timeout_ms(rig->api), 0);
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(str_at(&reply, "state"), "succeeded");

    /* The connection lives on, and nothing of the wait is left when the client goes. */
    rig_send_ask(rig, fd, &(struct ask){.path = "/livez"});
    REPLY_OWN struct reply next = {0};
    rig_read(rig, fd, false, &next);
    ck_assert_int_eq(next.status, 200);
    (void)close(fd);
    (void)rig_run(rig, -1, 30);
    ck_assert_uint_eq(tm_api_connections(rig->api), 0);
    ck_assert_uint_eq(rig->fake.forgotten, 0);
    stop(rig);
}
END_TEST

START_TEST(a_wait_that_is_too_short_is_no_error)
{
    struct rig *rig = start();
    char value[512];
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &backup_waiting);
    ck_assert(!rig_run(rig, fd, 30));
    rig->fake.job.row.state = TM_JOB_RUNNING;
    rig->fake.job_done(rig->fake.arg, &rig->fake.job, false, NULL);
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, 202);
    ck_assert_str_eq(str_at(&reply, "state"), "running");
    ck_assert_str_eq(reply_header(&reply, "Location", value), "/v1/jobs/" JOB_ID);

    /* Nor is it one that the look at the job failed: it has been started. */
    struct tm_problem problem = {.status = 500, .slug = "internal"};
    rig_send_ask(rig, fd, &backup_waiting);
    ck_assert(!rig_run(rig, fd, 30));
    rig->fake.job_done(rig->fake.arg, NULL, false, &problem);
    REPLY_OWN struct reply second = {0};
    rig_read(rig, fd, false, &second);
    ck_assert_int_eq(second.status, 202);
    ck_assert_str_eq(str_at(&second, "id"), JOB_ID);
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(a_job_is_waited_for)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &(struct ask){.path = "/v1/jobs/" JOB_ID "?wait=1500ms"});
    ck_assert(!rig_run(rig, fd, 30));
    ck_assert_str_eq(rig->fake.seen, "job " JOB_ID " wait=1500");
    rig->fake.job.row.state = TM_JOB_FAILED;
    rig->fake.job_done(rig->fake.arg, &rig->fake.job, false, NULL);
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(str_at(&reply, "state"), "failed");
    (void)close(fd);
    stop(rig);
}
END_TEST

static const struct ask waits[] = {
        {"POST", "/v1/backups?wait=30s", NULL, "{\"policy\":\"p\"}"},
        {"POST", "/v1/restores?wait=30s", NULL, "{" SOURCE "}"},
        {"GET", "/v1/jobs/" JOB_ID "?wait=30s", NULL, NULL},
};

START_TEST(a_client_that_goes_away_ends_its_wait)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &waits[_i]);
    ck_assert(!rig_run(rig, fd, 30));
    ck_assert_uint_eq(tm_api_connections(rig->api), 1);
    ck_assert_uint_eq(rig->fake.forgotten, 0);

    (void)close(fd);
    (void)rig_run(rig, -1, 50);
    ck_assert_uint_eq(rig->fake.forgotten, 1);
    ck_assert_uint_eq(tm_api_connections(rig->api), 0);
    stop(rig);
}
END_TEST

START_TEST(a_client_that_closes_its_end_only_is_answered)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &waits[_i]);
    ck_assert(!rig_run(rig, fd, 30));
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    REPLY_OWN struct reply reply = {0};
    rig_read(rig, fd, false, &reply);
    ck_assert_int_eq(reply.status, waits[_i].body != NULL ? 202 : 200);
    ck_assert_str_eq(str_at(&reply, "id"), JOB_ID);
    ck_assert_uint_eq(rig->fake.forgotten, 1);
    (void)close(fd);
    stop(rig);
}
END_TEST

START_TEST(a_client_that_goes_away_while_control_works_is_forgotten_later)
{
    struct rig *rig = start();
    rig->fake.hold = true;
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &(struct ask){.path = "/v1/recovery-points"});
    ck_assert(!rig_run(rig, fd, 30));
    (void)close(fd);
    (void)rig_run(rig, -1, 30);
    ck_assert_uint_eq(rig->fake.forgotten, 0);
    rig->fake.points_done(rig->fake.arg, &rig->fake.points, NULL);
    (void)rig_run(rig, -1, 30);
    ck_assert_uint_eq(tm_api_connections(rig->api), 0);
    stop(rig);
}
END_TEST

START_TEST(a_cancelled_job_is_accepted)
{
    struct rig *rig = start();
    char expected[256];
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig,
            (struct ask){"POST", "/v1/jobs/" JOB_ID "/cancel", "X-Request-Id: stop\r\n",
                    _i == 0 ? NULL : "{}"},
            &reply);
    ck_assert_int_eq(reply.status, 202);
    (void)snprintf(expected, sizeof(expected), "cancel " JOB_ID " who=socket:uid=%u id=stop",
            (unsigned)getuid());
    ck_assert_str_eq(rig->fake.seen, expected);
    stop(rig);
}
END_TEST

/* Stopping --------------------------------------------------------------------------------- */

START_TEST(quiescing_ends_waits_and_takes_no_more)
{
    struct rig *rig = start();
    int idle = rig_connect(rig);
    int waiting = rig_connect(rig);
    rig_send_ask(rig, waiting, &waits[_i]);
    ck_assert(!rig_run(rig, waiting, 30));
    ck_assert_uint_eq(tm_api_connections(rig->api), 2);

    tm_api_quiesce(rig->api);
    tm_api_quiesce(rig->api);
    REPLY_OWN struct reply reply = {0};
    char value[512];
    rig_read(rig, waiting, false, &reply);
    ck_assert_int_eq(reply.status, waits[_i].body != NULL ? 202 : 200);
    ck_assert_str_eq(reply_header(&reply, "Connection", value), "close");
    REPLY_OWN struct reply none = {0};
    rig_read(rig, idle, false, &none);
    ck_assert_int_eq(none.status, 0);
    (void)rig_run(rig, -1, 30);
    ck_assert_uint_eq(tm_api_connections(rig->api), 0);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, rig->path, sizeof(address.sun_path));
    int late = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(late, (struct sockaddr *)&address, sizeof(address)), -1);
    (void)close(late);
    (void)close(idle);
    (void)close(waiting);
    stop(rig);
}
END_TEST

START_TEST(stopping_calls_waits_off)
{
    struct rig *rig = start();
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &waits[_i]);
    ck_assert(!rig_run(rig, fd, 30));
    tm_api_stop(rig->api);
    ck_assert_uint_eq(rig->fake.forgotten, 1);
    (void)close(fd);
    (void)unlink(rig->path);
    (void)rmdir(rig->folder);
    free(rig);
}
END_TEST

START_TEST(an_answer_that_comes_after_the_stop_is_dropped)
{
    struct rig *rig = start();
    rig->fake.hold = true;
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &waits[_i]);
    ck_assert(!rig_run(rig, fd, 30));
    tm_api_stop(rig->api);
    bool look = waits[_i].body == NULL; /* a wait can be called off, a start cannot */
    ck_assert_uint_eq(rig->fake.forgotten, look ? 1 : 0);
    if (!look) {
        rig->fake.job_done(rig->fake.arg, &rig->fake.job, true, NULL);
    }
    (void)close(fd);
    (void)unlink(rig->path);
    (void)rmdir(rig->folder);
    free(rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_wait");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, a_started_job_is_accepted_with_its_place);
    tcase_add_test(tcase, a_wait_ends_with_the_job);
    tcase_add_test(tcase, a_wait_that_is_too_short_is_no_error);
    tcase_add_test(tcase, a_job_is_waited_for);
    tcase_add_loop_test(tcase, a_client_that_goes_away_ends_its_wait, 0, (int)LENGTH(waits));
    tcase_add_loop_test(
            tcase, a_client_that_closes_its_end_only_is_answered, 0, (int)LENGTH(waits));
    tcase_add_test(tcase, a_client_that_goes_away_while_control_works_is_forgotten_later);
    tcase_add_loop_test(tcase, a_cancelled_job_is_accepted, 0, 2);
    tcase_add_loop_test(tcase, quiescing_ends_waits_and_takes_no_more, 0, (int)LENGTH(waits));
    tcase_add_loop_test(tcase, stopping_calls_waits_off, 0, (int)LENGTH(waits));
    tcase_add_loop_test(
            tcase, an_answer_that_comes_after_the_stop_is_dropped, 0, (int)LENGTH(waits));
    return rig_main(tcase, "api_wait");
}
