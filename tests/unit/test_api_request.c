/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of api: requests right and wrong, and what control hears of them. */
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

/* Wrong requests --------------------------------------------------------------------------- */

#define BACKUPS  "POST", "/v1/backups"
#define RESTORES "POST", "/v1/restores"
#define SOURCE   "\"source\":{\"policy\":\"p\"},\"target\":{\"cluster\":\"c\"}"

/* clang-format off */
static const struct {
    const char *method;
    const char *path;
    const char *body;
    int status;
    const char *slug;
    const char *where; /* pointer or parameter of the first error */
    const char *detail; /* of it, or of the problem where `where` is NULL */
} wrong[] = {
    {"GET",  "/",                   NULL, 404, "not-found", NULL, "there is no path \"/\""},
    {"GET",  "/v2/status",          NULL, 404, "not-found", NULL, "there is no path \"/v2/status\""},
    {"GET",  "/v1/clocks",          NULL, 404, "not-found", NULL, "there is no path \"/v1/clocks\""},
    {"GET",  "/v1/jobs/",           NULL, 404, "not-found", NULL, "there is no path \"/v1/jobs/\""},
    {"GET",  "/v1/jobs/x/y/z",      NULL, 404, "not-found", NULL, "there is no path \"/v1/jobs/x/y/z\""},
    {"GET",  "/v1/jobs/nope",       NULL, 404, "not-found", NULL, "there is no job \"nope\""},
    {"GET",  "/v1/jobs/%zz",        NULL, 404, "not-found", NULL, "there is no path \"/v1/jobs/%zz\""},
    {"GET",  "/v1/jobs/%00",        NULL, 404, "not-found", NULL, "there is no path \"/v1/jobs/%00\""},
    {"GET",  "/v1/jobs/a%2Fb",      NULL, 404, "not-found", NULL, "there is no job \"a/b\""},
    {"GET",  "/v1/recovery-points/" JOB_ID, NULL, 404, "not-found", NULL, "there is no recovery-point \"" JOB_ID "\""},
    {"GET",  "/v1/policies/none",   NULL, 404, "not-found", NULL, "there is no policy \"none\""},
    {"PUT",  "/v1/jobs",            NULL, 405, "method-not-allowed", NULL, "the path does not take this method"},
    {"DELETE", "/v1/backups",       NULL, 405, "method-not-allowed", NULL, "the path does not take this method"},
    {"POST", "/v1/status",          NULL, 405, "method-not-allowed", NULL, "the path does not take this method"},
    {"OPTIONS", "/v1",              NULL, 405, "method-not-allowed", NULL, "the path does not take this method"},
    {"BREW", "/metrics",            NULL, 405, "method-not-allowed", NULL, "the path does not take this method"},

    {"GET",  "/v1/jobs?limti=3",    NULL, 422, "invalid-request", "limti", "unknown parameter; did you mean \"limit\"?"},
    {"GET",  "/v1/jobs?count=yes",  NULL, 422, "invalid-request", "count", "\"yes\" is not one of them"},
    {"GET",  "/v1/jobs?int64=number", NULL, 422, "invalid-request", "int64", "can only be \"string\""},
    {"POST", "/v1/backups?int64=string", "{\"policy\":\"p\"}", 422, "invalid-request", "int64", "unknown parameter"},
    {"GET",  "/v1?x=1",             NULL, 422, "invalid-request", "x", "unknown parameter"},
    {"GET",  "/livez?x",            NULL, 422, "invalid-request", "x", "unknown parameter"},
    {"GET",  "/v1/jobs?%zz=1",      NULL, 422, "invalid-request", "", "the query cannot be read: a bad %-escape, or too many parameters"},
    {"GET",  "/v1/jobs?policy=a&policy=b&policy=a", NULL, 422, "invalid-request", "policy", "given twice"},
    {"GET",  "/v1/jobs?since=now&since=-1h", NULL, 422, "invalid-request", "since", "given twice"},
    {"GET",  "/v1/jobs?policy=a&policy=", NULL, 422, "invalid-request", "policy", "may not be empty"},
    {"GET",  "/v1/recovery-points/latest?policy=a&policy=b", NULL, 422, "invalid-request", "policy", "given twice"},
    {"GET",  "/v1/recovery-points?topic=a&topic=a%20b", NULL, 422, "invalid-request", "topic", NULL},
    {"GET",  "/v1/jobs?state=failed&state=done", NULL, 422, "invalid-request", "state", "\"done\" is not one of them"},
    {"GET",  "/v1/jobs?state=broken", NULL, 422, "invalid-request", "state", "\"broken\" is not one of them"},
    {"GET",  "/v1/jobs?kind=",      NULL, 422, "invalid-request", "kind", "may not be empty"},
    {"GET",  "/v1/jobs?limit=0",    NULL, 422, "invalid-request", "limit", "from 1 to 500"},
    {"GET",  "/v1/jobs?limit=501",  NULL, 422, "invalid-request", "limit", "from 1 to 500"},
    {"GET",  "/v1/jobs?limit=ten",  NULL, 422, "invalid-request", "limit", "\"ten\" is not a whole number"},
    {"GET",  "/v1/jobs?cursor=zz",  NULL, 400, "bad-cursor", NULL, "a cursor holds for the list and the filter that gave it; ask again without one"},
    {"GET",  "/v1/jobs/" JOB_ID "?wait=61s", NULL, 422, "invalid-request", "wait", "at most 60s"},
    {"GET",  "/v1/recovery-points?at=noon", NULL, 400, "bad-time", "at", NULL},
    {"GET",  "/v1/recovery-points?state=broken", NULL, 422, "invalid-request", "state", "\"broken\" is not one of them"},
    {"GET",  "/v1/recovery-points/latest", NULL, 422, "invalid-request", "policy", "is needed with \"latest\""},
    {"GET",  "/v1/recovery-points/" POINT_ID "?policy=p", NULL, 422, "invalid-request", "policy", "goes with \"latest\" only"},
    {"GET",  "/v1/recovery-points/latest?policy=x", NULL, 404, "not-found", NULL, "there is no policy \"x\""},

    {BACKUPS, "",                          400, "malformed-json", NULL, "line 1, column 1: a value is missing"},
    {BACKUPS, "{\"policy\":\n 7x}",        400, "malformed-json", NULL, "line 2, column 3: ',' or '}' is missing"},
    {BACKUPS, "{\"policy\":\"p\",\"policy\":\"q\"}", 400, "malformed-json", NULL, "line 1, column 15: key \"policy\" given twice (first at line 1)"},
    {BACKUPS, "[]",                        422, "invalid-request", "", "the body must be an object"},
    {BACKUPS, "{}",                        422, "invalid-request", "/policy", "is needed"},
    {BACKUPS, "{\"policy\":7}",            422, "invalid-request", "/policy", "must be a string"},
    {BACKUPS, "{\"policy\":null}",         422, "invalid-request", "/policy", "must be a string"},
    {BACKUPS, "{\"policy\":\"\"}",         422, "invalid-request", "/policy", "may not be empty"},
    {BACKUPS, "{\"polcy\":\"p\"}",         422, "invalid-request", "/polcy", "unknown field; did you mean \"policy\"?"},
    {BACKUPS, "{\"policy\":\"p\",\"a/b~c\":1}", 422, "invalid-request", "/a~1b~0c", "unknown field"},
    {BACKUPS, "{\"policy\":\"p\",\"hold\":1}", 422, "invalid-request", "/hold", "must be an object"},
    {BACKUPS, "{\"policy\":\"p\",\"hold\":{\"until\":\"2001-01-01T00:00:00Z\"}}", 422, "invalid-request", "/hold/until", "must be a time to come; null is without end"},
    {BACKUPS, "{\"policy\":\"p\",\"hold\":{\"reson\":\"x\"}}", 422, "invalid-request", "/hold/reson", "unknown field; did you mean \"reason\"?"},
    {BACKUPS, "{\"policy\":\"p\",\"topics\":[]}", 422, "invalid-request", "/topics", "may not be empty; leave it out for all topics"},
    {BACKUPS, "{\"policy\":\"p\",\"topics\":\"t\"}", 422, "invalid-request", "/topics", "must be an array of strings"},
    {BACKUPS, "{\"policy\":\"p\",\"topics\":[\"t\",1]}", 422, "invalid-request", "/topics/1", "must be a string"},
    {BACKUPS, "{\"policy\":\"p\",\"tags\":[\"tidemark:flush\"]}", 422, "invalid-request", "/tags", "may not begin with \"tidemark:\""},
    {BACKUPS, "{\"policy\":\"p\",\"tags\":[\"b\",\"a\",\"b\"]}", 422, "invalid-request", "/tags", "\"b\" is given twice"},
    {BACKUPS, "{\"policy\":\"p\",\"if_running\":\"wait\"}", 422, "invalid-request", "/if_running", "\"wait\" is not one of them"},
    {"POST", "/v1/backups?wait=1", "{\"policy\":\"p\"}", 422, "invalid-request", "wait", NULL},

    {RESTORES, "{}",                       422, "invalid-request", "/source", "is needed"},
    {RESTORES, "{\"source\":{},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/policy", "is needed, or \"recovery_point\""},
    {RESTORES, "{\"source\":{\"recovery_point\":\"latest\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/policy", "is needed with \"latest\""},
    {RESTORES, "{\"source\":{\"recovery_point\":\"rp_1\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/recovery_point", "must be \"rp_\" and 26 characters, or \"latest\""},
    {RESTORES, "{\"source\":{\"recovery_point\":\"" POINT_ID "\",\"policy\":\"p\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/policy", "goes with \"recovery_point\":\"latest\" only"},
    {RESTORES, "{\"source\":{\"policy\":\"p\",\"at\":\"noon\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/at", NULL},
    {RESTORES, "{\"source\":{\"policy\":\"p\",\"as_of\":\"capture_time\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/as_of", "goes with \"at\""},
    {RESTORES, "{\"source\":{\"policy\":\"p\",\"at\":\"now\",\"as_of\":\"x\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/as_of", "\"x\" is not one of them"},
    {RESTORES, "{\"source\":{\"policy\":\"p\",\"cluster\":\"c\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/cluster", "goes without \"policy\""},
    {RESTORES, "{\"source\":{\"recovery_point\":\"" POINT_ID "\",\"at\":\"now\",\"as_of\":\"capture_time\"},\"target\":{\"cluster\":\"c\"}}", 422, "invalid-request", "/source/as_of", "a point that is named has its own capture time"},
    {RESTORES, "{\"source\":{\"policy\":\"p\"}}", 422, "invalid-request", "/target", "is needed"},
    {RESTORES, "{\"source\":{\"policy\":\"p\"},\"target\":{}}", 422, "invalid-request", "/target/cluster", "is needed"},
    {RESTORES, "{\"source\":{\"policy\":\"p\"},\"target\":{\"cluster\":\"c\",\"rename\":{\"a\":1}}}", 422, "invalid-request", "/target/rename/a", "must be a string that is not empty"},
    {RESTORES, "{" SOURCE ",\"topics\":{\"partitions\":{\"t\":0}}}", 422, "invalid-request", "/topics/partitions/t", "must be an array of partition numbers, at most 10000"},
    {RESTORES, "{" SOURCE ",\"topics\":{\"partitions\":{\"t\":[-1]}}}", 422, "invalid-request", "/topics/partitions/t", "must be an array of partition numbers, at most 10000"},
    {RESTORES, "{" SOURCE ",\"windows\":{}}", 422, "invalid-request", "/windows", "must be an array of objects"},
    {RESTORES, "{" SOURCE ",\"windows\":[1]}", 422, "invalid-request", "/windows/0", "must be an object"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"topik\":\"t\"}]}", 422, "invalid-request", "/windows/0/topik", "unknown field; did you mean \"topic\"?"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"from_offset\":1,\"partition\":0}]}", 422, "invalid-request", "/windows/0/topic", "is needed"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"topic\":\"t\",\"from_offset\":1}]}", 422, "invalid-request", "/windows/0/partition", "is needed"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"topic\":\"t\",\"partition\":0,\"to_offset\":1}]}", 422, "invalid-request", "/windows/0/from_offset", "is needed"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"topic\":\"t\",\"partition\":0,\"from_offset\":2,\"to_offset\":2}]}", 422, "invalid-request", "/windows/0/to_offset", "must lie behind its beginning"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"topic\":\"t\",\"partition\":0,\"from_offset\":2,\"to\":\"now\"}]}", 422, "invalid-request", "/windows/0/from", "a window is by offset or by record time, not both"},
    {RESTORES, "{" SOURCE ",\"windows\":[{\"topic\":\"t\"}]}", 422, "invalid-request", "/windows/0/from", "is needed, or \"to\", or \"from_offset\""},
    {RESTORES, "{" SOURCE ",\"skip\":[\"t/0@x\"]}", 422, "invalid-request", "/skip", "\"t/0@x\" must be like \"orders/7@4711\" or \"orders/7@5000-5010\""},
    {RESTORES, "{" SOURCE ",\"subset\":{\"newest\":0}}", 422, "invalid-request", "/subset/newest", NULL},
    {RESTORES, "{" SOURCE ",\"subset\":{\"key_sample_ratio\":0.1}}", 422, "invalid-request", "/subset/key_sample_ratio", "not built yet"},
    {RESTORES, "{" SOURCE ",\"mask\":{}}", 422, "invalid-request", "/mask", "not built yet"},
    {RESTORES, "{" SOURCE ",\"delete_after\":\"1h\"}", 422, "invalid-request", "/delete_after", "not built yet"},
    {RESTORES, "{" SOURCE ",\"partitions\":{\"x\":1}}", 422, "invalid-request", "/partitions", "\"x\": a map is of partition numbers, like {\"0\": 3}"},
    {RESTORES, "{" SOURCE ",\"partitions\":{\"0\":-1}}", 422, "invalid-request", "/partitions", "\"0\": a map is of partition numbers, like {\"0\": 3}"},
    {RESTORES, "{" SOURCE ",\"partitions\":{}}", 422, "invalid-request", "/partitions", "as a map it has 1 to 100000 entries"},
    {RESTORES, "{" SOURCE ",\"partitions\":3}", 422, "invalid-request", "/partitions", "must be \"same\", \"hash\" or a map like {\"0\": 3}"},
    {RESTORES, "{" SOURCE ",\"partition_count\":3}", 422, "invalid-request", "/partition_count", "goes with \"partitions\": \"hash\" or a map: with \"same\" there are as many as the source has"},
    {RESTORES, "{" SOURCE ",\"transactions\":\"all\"}", 422, "invalid-request", "/transactions", "can only be \"committed\": a recovery point of a policy that reads committed records holds no others"},
    {RESTORES, "{" SOURCE ",\"offsets\":\"exact\"}", 422, "invalid-request", "/offsets", "can only be \"append\": Kafka numbers records itself, and to come to the original numbers records would have to be invented where the source has gaps"},
    {RESTORES, "{" SOURCE ",\"timestamps\":\"now\"}", 422, "invalid-request", "/timestamps", "can only be \"preserve\": a restored record has the time it was written at; to set others comes later"},
    {RESTORES, "{" SOURCE ",\"limits\":{\"write_bytes_per_second\":1}}", 422, "invalid-request", "/limits/write_bytes_per_second", "must be from 1024 to 1125899906842624, not 1"},
    {RESTORES, "{" SOURCE ",\"on_gap\":\"stop\"}", 422, "invalid-request", "/on_gap", "\"stop\" is not one of them"},
    {RESTORES, "{" SOURCE ",\"replication_factor\":0}", 422, "invalid-request", "/replication_factor", "must be from 1 to 32767, not 0"},
    {RESTORES, "{" SOURCE ",\"replication_factor\":1.5}", 422, "invalid-request", "/replication_factor", "must be a whole number"},
    {RESTORES, "{" SOURCE ",\"replication_factor\":9223372036854775807}", 422, "invalid-request", "/replication_factor", "must be from 1 to 32767, not 9223372036854775807"},
    {RESTORES, "{" SOURCE ",\"plan_digest\":\"md5:1\"}", 422, "invalid-request", "/plan_digest", "must be \"sha256:\" and 64 hex digits, as a plan gave it"},
    {"POST", "/v1/restores/plan", "{}",    422, "invalid-request", "/source", "is needed"},
    {"POST", "/v1/restores/plan?wait=1s", "{}", 422, "invalid-request", "wait", "unknown parameter"},
    {"POST", "/v1/jobs/" JOB_ID "/cancel", "{\"why\":1}", 422, "invalid-request", "/why", "unknown field"},
    {RESTORES, "{" SOURCE ",\"retention_hold_for\":\"soon\"}", 422, "invalid-request", "/retention_hold_for", NULL},
    {RESTORES, "{" SOURCE ",\"retention_hold_for\":\"0s\"}", 422, "invalid-request", "/retention_hold_for", "must be above 0; \"retention\":\"original\" holds nothing"},
    {RESTORES, "{" SOURCE ",\"retention\":\"original\",\"retention_hold_for\":\"1h\"}", 422, "invalid-request", "/retention_hold_for", "must be above 0; \"retention\":\"original\" holds nothing"},
    {"POST", "/v1/restores/" JOB_ID "/put-back", "{\"why\":1}", 422, "invalid-request", "/why", "unknown field"},
    {"POST", "/v1/restores/nope/put-back", NULL, 404, "not-found", NULL, "there is no job \"nope\""},
    {"GET", "/v1/restores/nope/put-back", NULL, 404, "not-found", NULL, "there is no job \"nope\""},
    {"POST", "/v1/jobs/nope/cancel", NULL, 404, "not-found", NULL, "there is no job \"nope\""},
};
/* clang-format on */

START_TEST(a_wrong_request_gets_a_problem_that_says_which_field)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig,
            (struct ask){
                    .method = wrong[_i].method, .path = wrong[_i].path, .body = wrong[_i].body},
            &reply);

    assert_problem(&reply, wrong[_i].status, wrong[_i].slug);
    const char *where = str_at(&reply, "errors/0/pointer");
    where = where != NULL ? where : str_at(&reply, "errors/0/parameter");
    if (wrong[_i].where != NULL) {
        ck_assert_ptr_nonnull(where);
        ck_assert_str_eq(where, wrong[_i].where);
    } else {
        ck_assert_ptr_null(where);
    }
    if (wrong[_i].detail != NULL) {
        ck_assert_str_eq(
                str_at(&reply, where != NULL ? "errors/0/detail" : "detail"), wrong[_i].detail);
    }
    ck_assert_uint_eq(rig->fake.calls, 0); /* control has not heard of it */
    stop(rig);
}
END_TEST

START_TEST(all_errors_of_a_request_are_reported)
{
    static const char *const places[] = {"/sorce", "/cluster", "/source", "/topics/include",
            "/topics/exclude/0", "/target/cluster", "/target/rename/a~1b", "/existing"};
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig,
            (struct ask){
                    .method = "POST",
                    .path = "/v1/restores?wiat=1s",
                    .body = "{\"sorce\":{},\"cluster\":1,\"topics\":{\"include\":1,"
                            "\"exclude\":[\"\"]},\"target\":{\"cluster\":[],"
                            "\"rename\":{\"a/b\":2}},\"existing\":\"maybe\"}",
            },
            &reply);

    assert_problem(&reply, 422, "invalid-request");
    ck_assert_uint_eq(json_at(reply.json, "errors")->count, LENGTH(places) + 1);
    ck_assert_str_eq(str_at(&reply, "errors/0/parameter"), "wiat");
    for (size_t i = 0; i < LENGTH(places); i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "errors/%zu/pointer", i + 1);
        ck_assert_str_eq(str_at(&reply, path), places[i]);
    }
    ck_assert_str_eq(str_at(&reply, "errors/1/detail"), "unknown field; did you mean \"source\"?");
    ck_assert_str_eq(str_at(&reply, "errors/8/allowed/0"), "fail");
    ck_assert_str_eq(str_at(&reply, "errors/8/allowed/1"), "empty_only");
    ck_assert_str_eq(str_at(&reply, "detail"),
            "wiat: unknown parameter; did you mean \"wait\"?; and 8 more");
    stop(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *start;
    const char *each; /* with its number */
    const char *end;
} floods[] = {
    {"{\"policy\":\"p\"",               ",\"x%d\":1", "}"},
    {"{\"policy\":\"p\",\"tags\":[\"t\"", ",%d",       "]}"},
};
/* clang-format on */

START_TEST(a_thousand_errors_are_cut_at_a_hundred)
{
    struct rig *rig = start();
    TM_BUF_OWN struct tm_buf body = {0};
    tm_buf_add_text(&body, floods[_i].start);
    for (int i = 0; i < 1000; i++) {
        const char *number = strstr(floods[_i].each, "%d");
        tm_buf_add(&body, floods[_i].each, (size_t)(number - floods[_i].each));
        tm_buf_add_fmt(&body, "%d%s", i, number + 2);
    }
    tm_buf_add_text(&body, floods[_i].end);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, tm_buf_text(&body)}, &reply);

    assert_problem(&reply, 422, "invalid-request");
    ck_assert_uint_eq(json_at(reply.json, "errors")->count, 100);
    stop(rig);
}
END_TEST

START_TEST(a_time_that_is_none_is_bad_time)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points?since=yesterday&until=x"}, &reply);
    assert_problem(&reply, 400, "bad-time");
    ck_assert_str_eq(str_at(&reply, "errors/0/parameter"), "since");
    ck_assert_str_eq(str_at(&reply, "errors/1/parameter"), "until");

    REPLY_OWN struct reply mixed = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points?since=yesterday&limit=0"}, &mixed);
    assert_problem(&mixed, 422, "invalid-request");
    stop(rig);
}
END_TEST

START_TEST(a_body_nested_deeper_than_32_is_refused)
{
    struct rig *rig = start();
    char body[256] = "{\"policy\":";
    memset(body + strlen(body), '[', 32);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, body}, &reply);
    assert_problem(&reply, 422, "invalid-request");
    ck_assert_str_eq(str_at(&reply, "errors/0/detail"), "line 1, column 42: nested deeper than 32");
    stop(rig);
}
END_TEST

START_TEST(a_malformed_body_is_refused_with_its_place)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, "{\n  \"policy\": tru\n}"}, &reply);
    assert_problem(&reply, 400, "malformed-json");
    ck_assert_int_eq(int_at(&reply, "offset"), 14);
    ck_assert_int_eq(int_at(&reply, "line"), 2);
    ck_assert_int_eq(int_at(&reply, "column"), 13);
    stop(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *path;
    const char *similar;
} lost[] = {
    {"/v1/job",                        "/v1/jobs"},
    {"/v1/jobs/",                      "/v1/jobs"},
    {"/v1/recovery-point/" POINT_ID,   "/v1/recovery-points/" POINT_ID},
    {"/v1/jobs/" JOB_ID "/cancle",     "/v1/jobs/" JOB_ID "/cancel"},
    {"/metric",                        "/metrics"},
};
/* clang-format on */

START_TEST(a_path_that_is_not_there_names_the_nearest)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = lost[_i].path}, &reply);
    assert_problem(&reply, 404, "not-found");
    ck_assert_str_eq(str_at(&reply, "kind"), "path");
    ck_assert_str_eq(str_at(&reply, "name"), lost[_i].path);
    ck_assert_str_eq(str_at(&reply, "similar/0"), lost[_i].similar);
    stop(rig);
}
END_TEST

START_TEST(a_wrong_method_names_those_allowed)
{
    struct rig *rig = start();
    char value[512];
    REPLY_OWN struct reply both = {0};
    rig_ask(rig, (struct ask){.method = "PATCH", .path = "/v1/backups"}, &both);
    assert_problem(&both, 405, "method-not-allowed");
    ck_assert_str_eq(reply_header(&both, "Allow", value), "POST, GET, HEAD");
    ck_assert_str_eq(str_at(&both, "allow"), "POST, GET, HEAD");

    REPLY_OWN struct reply post = {0};
    rig_ask(rig, (struct ask){.path = "/v1/restores/plan"}, &post);
    assert_problem(&post, 405, "method-not-allowed");
    ck_assert_str_eq(reply_header(&post, "Allow", value), "POST");
    stop(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *headers;
    int status;
} types[] = {
    {"Content-Type: application/json\r\n",                 202},
    {"Content-Type: Application/JSON; charset=utf-8\r\n",  202},
    {"Content-Type: application/json ;x\r\n",              202},
    {"Content-Type: application/jsonp\r\n",                415},
    {"Content-Type: text/plain\r\n",                       415},
    {"Content-Type: application/x-www-form-urlencoded\r\n", 415},
};
/* clang-format on */

START_TEST(only_json_is_taken)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", types[_i].headers, "{\"policy\":\"p\"}"},
            &reply);
    ck_assert_int_eq(reply.status, types[_i].status);
    if (reply.status == 415) {
        assert_problem(&reply, 415, "unsupported-media-type");
        ck_assert_str_eq(str_at(&reply, "supported/0"), "application/json");
    }
    stop(rig);
}
END_TEST

/* What control answers --------------------------------------------------------------------- */

START_TEST(a_refusal_of_control_is_told_with_its_members)
{
    struct rig *rig = start();
    struct tm_problem problem = {
            .status = 409,
            .slug = "already-running",
            .detail = "policy \"p\" is being backed up",
            .job = JOB_ID,
            .retry_after_s = 7,
    };
    char value[512];
    rig->fake.problem = &problem;
    REPLY_OWN struct reply busy = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, "{\"policy\":\"p\"}"}, &busy);
    assert_problem(&busy, 409, "already-running");
    ck_assert_str_eq(str_at(&busy, "detail"), "policy \"p\" is being backed up");
    ck_assert_str_eq(str_at(&busy, "job"), JOB_ID);
    ck_assert_str_eq(reply_header(&busy, "Retry-After", value), "7");

    problem = (struct tm_problem){
            .status = 404,
            .slug = "not-found",
            .detail = "there is no policy \"paymets\"",
            .kind = "policy",
            .name = "paymets",
            .similar = "payments",
            .pointer = "/source/policy",
    };
    REPLY_OWN struct reply missing = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/restores", NULL, "{" SOURCE "}"}, &missing);
    assert_problem(&missing, 404, "not-found");
    ck_assert_str_eq(str_at(&missing, "kind"), "policy");
    ck_assert_str_eq(str_at(&missing, "name"), "paymets");
    ck_assert_str_eq(str_at(&missing, "similar/0"), "payments");
    ck_assert_str_eq(str_at(&missing, "errors/0/pointer"), "/source/policy");

    problem = (struct tm_problem){.status = 500, .slug = "internal", .detail = "no"};
    REPLY_OWN struct reply internal = {0};
    rig_ask(rig, (struct ask){.path = "/v1/jobs", .headers = "X-Request-Id: r1\r\n"}, &internal);
    assert_problem(&internal, 500, "internal");
    ck_assert_str_eq(str_at(&internal, "request_id"), "r1");
    stop(rig);
}
END_TEST

START_TEST(requests_reach_control_as_they_were_meant)
{
    struct rig *rig = start();
    char expected[512];
    REPLY_OWN struct reply backup = {0};
    static const char body[] =
            "{\"policy\":\"p\",\"topics\":[\"a\",\"b\"],\"note\":\"n\",\"tags\":[\"t\"],"
            "\"if_running\":\"join\"}";
    rig_ask(rig, (struct ask){"POST", "/v1/backups", "X-Request-Id: r1\r\n", body}, &backup);
    (void)snprintf(expected, sizeof(expected),
            "backup policy=p topics=a,b note=n tags=t join=1 who=socket:uid=%u id=r1 body=%s",
            (unsigned)getuid(), body);
    ck_assert_str_eq(rig->fake.seen, expected);

    REPLY_OWN struct reply restore = {0};
    rig_ask(rig,
            (struct ask){"POST", "/v1/restores", NULL,
                    "{\"source\":{\"policy\":\"p\",\"recovery_point\":\"latest\"},"
                    "\"topics\":{\"include\":[\"a*\"],\"exclude\":[\"ab\"]},"
                    "\"target\":{\"cluster\":\"dr\",\"rename\":{\"a1\":\"b1\"},\"prefix\":\"p.\","
                    "\"suffix\":\".s\"},\"create_topics\":\"never\",\"existing\":\"empty_only\","
                    "\"retention\":\"original\",\"topic_configs\":\"broker\","
                    "\"replication_factor\":3,\"on_gap\":\"continue\",\"plan_digest\":\"sha256:"
                    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}"},
            &restore);
    ck_assert_int_eq(restore.status, 202);
    ck_assert_str_eq(rig->fake.seen,
            "restore point=- policy=p include=a* exclude=ab target=dr renames=a1>b1; prefix=p. "
            "suffix=.s create=1 existing=1 retention=1 original=0 factor=3 continue=1 "
            "digest=sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");

    REPLY_OWN struct reply plain = {0};
    rig_ask(rig,
            (struct ask){"POST", "/v1/restores", NULL,
                    "{\"source\":{\"recovery_point\":\"" POINT_ID
                    "\"},\"target\":{\"cluster\":\"dr\"}}"},
            &plain);
    ck_assert_str_eq(rig->fake.seen,
            "restore point=" POINT_ID " policy=- include= exclude= target=dr renames= prefix=- "
            "suffix=- create=0 existing=0 retention=0 original=1 factor=0 continue=0 digest=-");
    stop(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *path;
    const char *seen;
} lists[] = {
    {"/v1/jobs",                    "jobs kinds=0 states=0 policy=- since=-9223372036854775808 limit=50 before=-"},
    {"/v1/jobs?kind=restore&state=cancelled&policy=a%20b&limit=500&since=1763854200000",
                                    "jobs kinds=2 states=32 policy=a b since=1763854200000 limit=500 before=-"},
    {"/v1/jobs?policy=a+b&cursor=", "jobs kinds=0 states=0 policy=a b since=-9223372036854775808 limit=50 before=-"},
    {"/v1/jobs?state=failed&state=partial&kind=drill&kind=backup",
                                    "jobs kinds=65 states=24 policy=- since=-9223372036854775808 limit=50 before=-"},
    {"/v1/backups?state=queued",    "jobs kinds=1 states=1 policy=- since=-9223372036854775808 limit=50 before=-"},
    {"/v1/restores?limit=1",        "jobs kinds=2 states=0 policy=- since=-9223372036854775808 limit=1 before=-"},
    {"/v1/recovery-points",         "points cluster=- policy=- topic=- since=-9223372036854775808 until=9223372036854775807 states=0 limit=50 before=-"},
    {"/v1/jobs?policy=a&policy=b",  "jobs kinds=0 states=0 policy=a|b since=-9223372036854775808 limit=50 before=-"},
    {"/v1/recovery-points?cluster=c&policy=p&policy=\xc3\xa9&topic=o*&topic=a&cluster=d&state=partial&since=2025-11-22T23:30:00Z&until=2025-11-23T00:30:00+01:00",
                                    "points cluster=c|d policy=p|\xc3\xa9 topic=o*|a since=1763854200000 until=1763854200000 states=2 limit=50 before=-"},
    {"/v1/recovery-points?state=complete&", "points cluster=- policy=- topic=- since=-9223372036854775808 until=9223372036854775807 states=1 limit=50 before=-"},
    {"/v1/recovery-points/latest?policy=payments", "point " POINT_ID},
    {"/v1/jobs/" JOB_ID,            "job " JOB_ID " wait=0"},
    {"/v1/jobs/rst_01K9ZQ4V6M3T8R2X7B5N1C0D9F", "job " JOB_ID " wait=0"},
};
/* clang-format on */

START_TEST(filters_reach_control)
{
    struct rig *rig = start();
    rig->fake.policies[0] = (struct tm_policy_view){
            .name = "payments", .cluster = "prod", .vault = "main", .newest_point = POINT_ID};
    rig->fake.policy_count = 1;
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = lists[_i].path}, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(rig->fake.seen, lists[_i].seen);
    stop(rig);
}
END_TEST

START_TEST(times_are_told_as_they_were_understood)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig,
            (struct ask){
                    .path = "/v1/recovery-points?until=2025-11-23T00:30:00+01:00&since=2h+ago"},
            &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(str_at(&reply, "until"), "2025-11-22T23:30:00.000Z");
    int64_t since_ms = 0;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_time_parse(str_at(&reply, "since"), 0, &since_ms, &err), TM_OK);
    ck_assert_int_le(since_ms, tm_now_ms() - 7200000);
    ck_assert_int_ge(since_ms, tm_now_ms() - 7260000);
    stop(rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_request");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(
            tcase, a_wrong_request_gets_a_problem_that_says_which_field, 0, (int)LENGTH(wrong));
    tcase_add_test(tcase, all_errors_of_a_request_are_reported);
    tcase_add_loop_test(tcase, a_thousand_errors_are_cut_at_a_hundred, 0, (int)LENGTH(floods));
    tcase_add_test(tcase, a_time_that_is_none_is_bad_time);
    tcase_add_test(tcase, a_body_nested_deeper_than_32_is_refused);
    tcase_add_test(tcase, a_malformed_body_is_refused_with_its_place);
    tcase_add_loop_test(tcase, a_path_that_is_not_there_names_the_nearest, 0, (int)LENGTH(lost));
    tcase_add_test(tcase, a_wrong_method_names_those_allowed);
    tcase_add_loop_test(tcase, only_json_is_taken, 0, (int)LENGTH(types));
    tcase_add_test(tcase, a_refusal_of_control_is_told_with_its_members);
    tcase_add_test(tcase, requests_reach_control_as_they_were_meant);
    tcase_add_loop_test(tcase, filters_reach_control, 0, (int)LENGTH(lists));
    tcase_add_test(tcase, times_are_told_as_they_were_understood);
    return rig_main(tcase, "api_request");
}
