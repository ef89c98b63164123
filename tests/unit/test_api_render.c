/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of api: how points, jobs, plans, policies and the status read, and that 64 bits survive. */
#include "api_rig.h"

#include "codec/entry.h"

#define BEYOND_DOUBLE INT64_C(9007199254740993) /* 2^53 + 1 */

static struct rig *start(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_start(rig, (struct tm_api_options){.kind = TM_API_SOCKET});
    return rig;
}

static void stop(struct rig *rig)
{
    rig_stop(rig);
    free(rig);
}

/* The whole body is exactly that. */
static void assert_body(struct rig *rig, const char *path, const char *expected)
{
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = path}, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_ptr_nonnull(reply.json);
    ck_assert_str_eq(reply.body, expected);
}

/* Jobs ------------------------------------------------------------------------------------- */

/* The value at a path that must be there. */
static const struct tm_json_value *there(const struct reply *reply, const char *path)
{
    const struct tm_json_value *value = json_at(reply->json, path);
    tm_assert(value != NULL);
    return value;
}

START_TEST(a_job_that_waits_shows_what_is_known)
{
    struct rig *rig = start();
    assert_body(rig, "/v1/jobs/" JOB_ID,
            "{\"id\":\"" JOB_ID "\",\"kind\":\"backup\",\"state\":\"queued\","
            "\"requested_by\":\"schedule\",\"created_at\":\"2025-11-22T23:30:00.000Z\","
            "\"links\":{\"self\":\"/v1/jobs/" JOB_ID "\",\"cancel\":\"/v1/jobs/" JOB_ID
            "/cancel\"}}\n");
    stop(rig);
}
END_TEST

START_TEST(a_running_job_shows_its_progress)
{
    struct rig *rig = start();
    rig->fake.job = (struct tm_job_view){
            .row =
                    {
                            .id = rig_ulid(JOB_ID, "job_"),
                            .kind = TM_JOB_RESTORE,
                            .state = TM_JOB_RUNNING,
                            .policy = "payments",
                            .cluster = "dr",
                            .requested_by = "token:oncall",
                            .request_id = "r1",
                            .created_ms = 1763854200000,
                            .started_ms = 1763854200412,
                            .resumed = 2,
                    },
            .live = true,
            .progress =
                    {
                            .phase = TM_PHASE_PRODUCING,
                            .done_messages = 1,
                            .total_messages = 3,
                            .done_bytes = BEYOND_DOUBLE,
                            .total_bytes = INT64_MAX,
                            .parts_waiting = 17,
                            .parts_running = 4,
                            .parts_done = 3,
                            .parts_failed = 1,
                            .bytes_per_second = 58720256,
                            .eta_seconds = 55,
                    },
    };
    assert_body(rig, "/v1/jobs/" JOB_ID,
            "{\"id\":\"" JOB_ID "\",\"kind\":\"restore\",\"state\":\"running\","
            "\"requested_by\":\"token:oncall\",\"request_id\":\"r1\","
            "\"created_at\":\"2025-11-22T23:30:00.000Z\","
            "\"started_at\":\"2025-11-22T23:30:00.412Z\",\"resumed_count\":2,"
            "\"policy\":\"payments\",\"cluster\":\"dr\",\"progress\":{\"phase\":\"producing\","
            "\"done_messages\":1,\"total_messages\":3,\"done_bytes\":9007199254740993,"
            "\"total_bytes\":9223372036854775807,\"done_ratio\":0.3333,"
            "\"throughput_bytes_per_second\":58720256,\"eta_seconds\":55,"
            "\"partitions\":{\"done\":3,\"running\":4,\"waiting\":17,\"failed\":1}},"
            "\"links\":{\"self\":\"/v1/jobs/" JOB_ID "\",\"cancel\":\"/v1/jobs/" JOB_ID
            "/cancel\"}}\n");

    rig->fake.job.progress.eta_seconds = -1;
    rig->fake.job.progress.total_messages = 0;
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/v1/jobs/" JOB_ID}, &reply);
    ck_assert_ptr_null(json_at(reply.json, "progress/eta_seconds"));
    ck_assert_ptr_null(json_at(reply.json, "progress/done_ratio"));
    stop(rig);
}
END_TEST

START_TEST(a_finished_job_shows_its_result_as_it_was_written)
{
    struct rig *rig = start();
    struct tm_job_row *row = &rig->fake.job.row;
    row->state = TM_JOB_PARTIAL;
    row->finished_ms = 1763854260000;
    row->result = "{\"messages_count\":9223372036854775807}";
    row->error = "{\"type\":\"/problems/interrupted\"}";
    row->warnings = "[{\"code\":\"target-retention\"}]";
    assert_body(rig, "/v1/jobs/" JOB_ID,
            "{\"id\":\"" JOB_ID "\",\"kind\":\"backup\",\"state\":\"partial\","
            "\"requested_by\":\"schedule\",\"created_at\":\"2025-11-22T23:30:00.000Z\","
            "\"finished_at\":\"2025-11-22T23:31:00.000Z\","
            "\"result\":{\"messages_count\":9223372036854775807},"
            "\"error\":{\"type\":\"/problems/interrupted\"},"
            "\"warnings\":[{\"code\":\"target-retention\"}],"
            "\"links\":{\"self\":\"/v1/jobs/" JOB_ID "\"}}\n");
    stop(rig);
}
END_TEST

/* Points ----------------------------------------------------------------------------------- */

static struct tm_slice slice(const char *text)
{
    return tm_slice_str(text);
}

static struct tm_row_point make_row(void)
{
    return (struct tm_row_point){
            .id = 1,
            .ulid = rig_ulid(POINT_ID, "rp_"),
            .time_ms = 1763853904120,
            .cluster_id = slice("lkc-abc"),
            .cluster_name = slice("prod"),
            .policy = slice("payments"),
            .flags = TM_POINT_GROUPS_UNKNOWN | TM_POINT_CONFIGS_UNKNOWN,
    };
}

START_TEST(a_list_of_points_shows_their_sums)
{
    struct rig *rig = start();
    struct tm_slice tags[] = {slice("a"), slice("b")};
    struct tm_point_line lines[] = {
            {.row = make_row(),
                    .topics = 12,
                    .partitions = 96,
                    .messages = BEYOND_DOUBLE,
                    .source_bytes = INT64_MAX},
            {.row = make_row(),
                    .mark = {.note = slice("before \"4.2\""),
                            .tags = tags,
                            .tag_count = 2,
                            .hold_until_ms = -1,
                            .hold_reason = slice("audit")}},
    };
    const char *vaults[] = {"main", "second"};
    lines[1].row.flags |= TM_POINT_PARTIAL;
    uint32_t kept_by[] = {TM_GFS_KEEP_LAST | TM_GFS_NEWEST, 0};
    rig->fake.points = (struct tm_points_answer){
            .at = lines, .vaults = vaults, .kept_by = kept_by, .count = 2};
    assert_body(rig, "/v1/recovery-points",
            "{\"items\":[{\"id\":\"" POINT_ID "\",\"policy\":\"payments\",\"cluster\":\"prod\","
            "\"cluster_id\":\"lkc-abc\",\"vault\":\"main\",\"state\":\"complete\","
            "\"captured_at\":\"2025-11-22T23:25:04.120Z\",\"tags\":[],\"topics_count\":12,"
            "\"partitions_count\":96,\"messages_count\":9007199254740993,"
            "\"source_bytes\":9223372036854775807,"
            "\"kept_by\":[\"keep_last\",\"newest\"]},"
            "{\"id\":\"" POINT_ID "\",\"policy\":\"payments\",\"cluster\":\"prod\","
            "\"cluster_id\":\"lkc-abc\",\"vault\":\"second\",\"state\":\"partial\","
            "\"captured_at\":\"2025-11-22T23:25:04.120Z\",\"note\":\"before \\\"4.2\\\"\","
            "\"tags\":[\"a\",\"b\"],\"hold\":{\"reason\":\"audit\"},\"topics_count\":0,"
            "\"partitions_count\":0,\"messages_count\":0,\"source_bytes\":0}]}\n");
    stop(rig);
}
END_TEST

/* A point of one topic with two partitions: one whole, one failed and empty. */
struct sample {
    struct tm_stream stream;
    struct tm_config_pair configs[2];
    struct tm_row_topic topic;
    struct tm_row_part parts[2];
    struct tm_part_totals totals[2];
    struct tm_row_gap gap_rows[3];
    struct tm_row_gap *gaps[2];
    size_t gap_counts[2];
    struct tm_row_group groups[3];
};

static void make_point(struct sample *sample, struct tm_point_answer *answer)
{
    *sample = (struct sample){
            .stream = {.id = 7, .incarnation = 2, .topic = slice("payments.eu")},
            .configs = {{slice("cleanup.policy"), slice("delete")},
                    {slice("retention.ms"), slice("604800000")}},
            .topic = {.stream = 7, .partitions = 2, .replication_factor = 3, .config_count = 2},
            .parts = {{7, 0, 5, INT64_MAX, INT64_MAX, BEYOND_DOUBLE, TM_PART_WHOLE},
                    {7, 1, 0, 0, -1, -1, TM_PART_FAILED}},
            .totals = {{BEYOND_DOUBLE, INT64_MAX, 9, 1763853904120, 1763853904121, 4, 2},
                    {.ts_min = INT64_MAX, .ts_max = INT64_MIN}},
            .gap_rows = {{7, 0, 1, 9, TM_GAP_RETENTION}, {7, 0, 20, 1, TM_GAP_NO_RECORDS},
                    {7, 0, 30, 2, TM_GAP_UNKNOWN}},
            .gap_counts = {3, 0},
            .groups = {{slice("billing"), 7, 0, 50100, TM_SLICE_NULL},
                    {slice("billing"), 7, 1, 3, TM_SLICE_NULL},
                    {slice("search"), 7, 0, INT64_MAX, TM_SLICE_NULL}},
    };
    memset(&sample->stream.topic_id, 0xfb, sizeof(sample->stream.topic_id));
    sample->topic.configs = sample->configs;
    sample->gaps[0] = sample->gap_rows;
    *answer = (struct tm_point_answer){
            .point = {.row = make_row(), .streams = &sample->stream, .stream_count = 1},
            .totals = sample->totals,
            .gaps = sample->gaps,
            .gap_counts = sample->gap_counts,
            .vault = "main",
    };
    answer->point.row.flags = 0;
    answer->point.row.topics = &sample->topic;
    answer->point.row.topic_count = 1;
    answer->point.row.parts = sample->parts;
    answer->point.row.part_count = 2;
    answer->point.row.groups = sample->groups;
    answer->point.row.group_count = 3;
}

static const char point_text[] =
        "{\"id\":\"" POINT_ID "\",\"policy\":\"payments\",\"cluster\":\"prod\","
        "\"cluster_id\":\"lkc-abc\",\"vault\":\"main\",\"state\":\"complete\","
        "\"captured_at\":\"2025-11-22T23:25:04.120Z\",\"tags\":[],\"topics_count\":1,"
        "\"partitions_count\":2,\"messages_count\":9007199254740993,"
        "\"source_bytes\":9223372036854775807,"
        "\"earliest_record_at\":\"2025-11-22T23:25:04.120Z\","
        "\"latest_record_at\":\"2025-11-22T23:25:04.121Z\","
        "\"topics\":[{\"name\":\"payments.eu\",\"incarnation\":2,"
        "\"topic_id\":\"-_v7-_v7-_v7-_v7-_v7-w\",\"replication_factor\":3,\"partitions\":["
        "{\"partition\":0,\"start_offset\":5,\"end_offset\":9223372036854775807,"
        "\"last_stable_offset\":9223372036854775807,\"high_watermark\":9007199254740993,"
        "\"status\":\"whole\",\"messages_count\":9007199254740993,"
        "\"source_bytes\":9223372036854775807,\"holes_count\":4,\"holes_class\":\"transactions\","
        "\"earliest_record_at\":\"2025-11-22T23:25:04.120Z\","
        "\"latest_record_at\":\"2025-11-22T23:25:04.121Z\",\"gaps\":["
        "{\"start_offset\":5,\"end_offset\":10,\"reason\":\"source-retention\"},"
        "{\"start_offset\":30,\"end_offset\":32,\"reason\":\"unknown\"}]},"
        "{\"partition\":1,\"start_offset\":0,\"end_offset\":0,\"status\":\"failed\","
        "\"messages_count\":0,\"source_bytes\":0,\"holes_count\":0,\"gaps\":[]}],"
        "\"config\":{\"cleanup.policy\":\"delete\",\"retention.ms\":\"604800000\"}}],"
        "\"consumer_groups\":[{\"group\":\"billing\",\"offsets\":["
        "{\"topic\":\"payments.eu\",\"partition\":0,\"offset\":50100},"
        "{\"topic\":\"payments.eu\",\"partition\":1,\"offset\":3}]},"
        "{\"group\":\"search\",\"offsets\":[{\"topic\":\"payments.eu\",\"partition\":0,"
        "\"offset\":9223372036854775807}]}],"
        "\"verified\":{\"result\":\"partly\",\"packs_count\":3,\"unverified_packs_count\":1}}\n";

START_TEST(a_point_shows_every_partition)
{
    struct rig *rig = start();
    struct sample sample;
    make_point(&sample, &rig->fake.point);
    rig->fake.point.looked = (struct tm_looked){.packs = 3, .never = 1, .oldest_ms = 7};
    assert_body(rig, "/v1/recovery-points/" POINT_ID, point_text);
    ck_assert_str_eq(rig->fake.seen, "point " POINT_ID);
    stop(rig);
}
END_TEST

START_TEST(a_point_is_verified_from_the_oldest_look_on)
{
    static const struct {
        struct tm_looked looked;
        bool damaged;
        const char *result;
        const char *at;
    } looks[] = {
            {{3, 0, 1763854200000}, false, "ok", "2025-11-22T23:30:00.000Z"},
            {{3, 1, 1763854200000}, false, "partly", NULL},
            {{3, 3, 0}, false, "never", NULL},
            {{0, 0, 0}, false, "ok", NULL}, /* it has no records */
            {{3, 0, 1763854200000}, true, "damaged", "2025-11-22T23:30:00.000Z"},
            {{3, 2, 1763854200000}, true, "damaged", NULL},
    };
    struct rig *rig = start();
    for (size_t i = 0; i < LENGTH(looks); i++) {
        struct sample sample;
        REPLY_OWN struct reply reply = {0};
        make_point(&sample, &rig->fake.point);
        rig->fake.point.looked = looks[i].looked;
        rig->fake.point.point.damaged = looks[i].damaged;
        rig_ask(rig, (struct ask){.path = "/v1/recovery-points/" POINT_ID}, &reply);
        ck_assert_str_eq(str_at(&reply, "verified/result"), looks[i].result);
        ck_assert_int_eq(json_at(reply.json, "verified/at") != NULL, looks[i].at != NULL);
        if (looks[i].at != NULL) {
            ck_assert_str_eq(str_at(&reply, "verified/at"), looks[i].at);
        }
    }
    stop(rig);
}
END_TEST

START_TEST(what_a_point_does_not_know_is_left_out)
{
    struct rig *rig = start();
    struct sample sample;
    make_point(&sample, &rig->fake.point);
    rig->fake.point.point.row.flags = TM_POINT_GROUPS_UNKNOWN | TM_POINT_CONFIGS_UNKNOWN;
    sample.stream.topic_id = (struct tm_id16){0};
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points/" POINT_ID}, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_ptr_null(json_at(reply.json, "consumer_groups"));
    ck_assert_ptr_null(json_at(reply.json, "topics/0/config"));
    ck_assert_ptr_null(json_at(reply.json, "topics/0/topic_id"));
    stop(rig);
}
END_TEST

START_TEST(a_group_whose_first_offset_is_gone_keeps_the_others)
{
    struct rig *rig = start();
    struct sample sample;
    make_point(&sample, &rig->fake.point);
    sample.groups[1].group = slice("search");
    sample.groups[1].offset = -1; /* billing 0, search 1 (gone), search 0 */
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points/" POINT_ID}, &reply);
    ck_assert_str_eq(str_at(&reply, "consumer_groups/0/group"), "billing");
    ck_assert_uint_eq(there(&reply, "consumer_groups/0/offsets")->count, 1);
    ck_assert_str_eq(str_at(&reply, "consumer_groups/1/group"), "search");
    ck_assert_uint_eq(there(&reply, "consumer_groups/1/offsets")->count, 1);
    stop(rig);
}
END_TEST

/* ETag ------------------------------------------------------------------------------------- */

/* %s stands for the point's ETag. */
static const struct {
    const char *header;
    int status;
} matches[] = {
        {"If-None-Match: %s\r\n", 304},
        {"If-None-Match: W/%s\r\n", 304},
        {"If-None-Match: \"x\", %s , \"y\"\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"x\"\r\n", 200},
        {"If-None-Match: %.5s\"\r\n", 200},
        {"If-None-Match: \r\n", 200},
};

START_TEST(a_point_that_has_not_changed_is_not_sent_again)
{
    struct rig *rig = start();
    struct sample sample;
    char etag[512];
    char value[512];
    make_point(&sample, &rig->fake.point);
    REPLY_OWN struct reply first = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points/" POINT_ID}, &first);
    ck_assert_ptr_nonnull(reply_header(&first, "ETag", etag));

    TM_BUF_OWN struct tm_buf header = {0};
    const char *text = matches[_i].header;
    const char *place = strstr(text, "%");
    size_t before = place != NULL ? (size_t)(place - text) : strlen(text);
    tm_buf_add(&header, text, before);
    if (place != NULL) {
        bool whole = place[1] == 's';
        tm_buf_add_fmt(&header, "%.*s%s", whole ? 100 : 5, etag, strchr(place, 's') + 1);
    }
    REPLY_OWN struct reply second = {0};
    rig_ask(rig,
            (struct ask){.path = "/v1/recovery-points/" POINT_ID, .headers = tm_buf_text(&header)},
            &second);
    ck_assert_int_eq(second.status, matches[_i].status);
    ck_assert_str_eq(reply_header(&second, "ETag", value), etag);
    ck_assert_int_eq(second.body == NULL, second.status == 304);

    sample.totals[0].messages++;
    REPLY_OWN struct reply changed = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points/" POINT_ID}, &changed);
    ck_assert_str_ne(reply_header(&changed, "ETag", value), etag);
    stop(rig);
}
END_TEST

/* Policies and status ---------------------------------------------------------------------- */

static void make_policies(struct fake *fake)
{
    static const char *const include[] = {"payments.*"};
    fake->policies[0] = (struct tm_policy_view){
            .name = "payments",
            .cluster = "prod",
            .vault = "main",
            .schedule = "@every 5m",
            .include = include,
            .include_count = 1,
            .rpo_ms = 900000,
            .next_run_ms = 1763854200000,
            .last_success_ms = 1763853900000,
            .last_attempt_ms = 1763853901000,
            .last_result = "failed",
            .last_error = "{\"code\":\"kafka\"}",
            .running_job = JOB_ID,
            .newest_point = POINT_ID,
            .newest_point_ms = 1763853900000,
            .oldest_point_ms = 1763850000000,
            .interval_ms = 300500,
    };
    fake->policies[1] = (struct tm_policy_view){
            .name = "logs", .cluster = "dr", .vault = "main", .schedule = ""};
    fake->policy_count = 2;
}

#define PAYMENTS \
    "{\"name\":\"payments\",\"cluster\":\"prod\",\"vault\":\"main\"," \
    "\"topics\":{\"include\":[\"payments.*\"],\"exclude\":[]},\"schedule\":\"@every 5m\"," \
    "\"interval_seconds\":300.5,\"rpo_seconds\":900,\"newest_point\":\"" POINT_ID "\"," \
    "\"newest_point_at\":\"2025-11-22T23:25:00.000Z\"," \
    "\"oldest_point_at\":\"2025-11-22T22:20:00.000Z\"," \
    "\"last_success_at\":\"2025-11-22T23:25:00.000Z\",\"last_result\":\"failed\"," \
    "\"last_error\":{\"code\":\"kafka\"}," \
    "\"next_run_at\":\"2025-11-22T23:30:00.000Z\"," \
    "\"last_attempt_at\":\"2025-11-22T23:25:01.000Z\",\"running_job\":\"" JOB_ID "\"}"
#define LOGS \
    "{\"name\":\"logs\",\"cluster\":\"dr\",\"vault\":\"main\"," \
    "\"topics\":{\"include\":[],\"exclude\":[]}}"

START_TEST(policies_show_their_last_and_next_run)
{
    struct rig *rig = start();
    make_policies(&rig->fake);
    assert_body(rig, "/v1/policies", "{\"items\":[" PAYMENTS "," LOGS "]}\n");
    assert_body(rig, "/v1/policies?cluster=dr", "{\"items\":[" LOGS "]}\n");
    assert_body(rig, "/v1/policies/payments", PAYMENTS "\n");

    REPLY_OWN struct reply missing = {0};
    rig_ask(rig, (struct ask){.path = "/v1/policies/payment"}, &missing);
    assert_problem(&missing, 404, "not-found");
    ck_assert_str_eq(str_at(&missing, "kind"), "policy");
    ck_assert_str_eq(str_at(&missing, "similar/0"), "payments");

    REPLY_OWN struct reply pointless = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points/latest?policy=logs"}, &pointless);
    assert_problem(&pointless, 404, "not-found");
    ck_assert_str_eq(str_at(&pointless, "detail"), "policy \"logs\" has no point yet");
    stop(rig);
}
END_TEST

START_TEST(the_status_names_the_worst)
{
    struct rig *rig = start();
    make_policies(&rig->fake);
    const struct tm_policy_view *payments = &rig->fake.policies[0];
    rig->fake.rows[0] = (struct tm_status_row){
            "dr", "logs", "app", "ok", 30999, 0, 0, -1, false, 0, &rig->fake.policies[1]};
    rig->fake.rows[1] = (struct tm_status_row){
            "prod", "payments", "payments.us", "never", -1, -1, 0, 90500, true, 7200000, payments};
    rig->fake.rows[2] = (struct tm_status_row){"prod", "payments", "payments.eu", "breached",
            1320000, BEYOND_DOUBLE, INT64_MAX, -1, false, 0, payments};
    rig->fake.rows[3] = (struct tm_status_row){
            "prod", "payments", "", "late", 0, -1, 0, -1, false, 0, payments};
    rig->fake.row_count = 4;

    REPLY_OWN struct reply all = {0};
    rig_ask(rig, (struct ask){.path = "/v1/status"}, &all);
    ck_assert_int_eq(all.status, 200);
    ck_assert(!there(&all, "ok")->boolean);
    ck_assert_ptr_nonnull(str_at(&all, "as_of"));
    ck_assert_str_eq(str_at(&all, "worst/topic"), "payments.eu");
    ck_assert_str_eq(str_at(&all, "worst/state"), "breached");
    ck_assert_int_eq(int_at(&all, "worst/exposure_seconds"), 1320);
    ck_assert_int_eq(int_at(&all, "worst/rpo_seconds"), 900);
    ck_assert_int_eq(int_at(&all, "breached_count"), 1);
    ck_assert_uint_eq(there(&all, "items")->count, 4);
    ck_assert_str_eq(str_at(&all, "items/0/topic"), "payments.eu");
    ck_assert_str_eq(str_at(&all, "items/1/topic"), "payments.us");
    ck_assert_str_eq(str_at(&all, "items/2/state"), "late");
    ck_assert_str_eq(str_at(&all, "items/3/topic"), "app");
    ck_assert_int_eq(int_at(&all, "items/0/behind_messages"), BEYOND_DOUBLE);
    ck_assert_int_eq(int_at(&all, "items/0/coverage_gap_offsets"), INT64_MAX);
    ck_assert_int_eq(int_at(&all, "items/0/rpo_seconds"), 900);
    ck_assert_str_eq(str_at(&all, "items/0/newest_point"), POINT_ID);
    ck_assert_str_eq(str_at(&all, "items/0/last_result"), "failed");
    ck_assert_ptr_null(json_at(all.json, "items/1/behind_messages"));
    ck_assert_ptr_null(json_at(all.json, "items/1/exposure_seconds"));
    ck_assert_int_eq(int_at(&all, "items/3/exposure_seconds"), 30);
    ck_assert_ptr_null(json_at(all.json, "items/2/topic"));
    ck_assert_ptr_null(json_at(all.json, "items/3/newest_point"));

    REPLY_OWN struct reply one = {0};
    rig_ask(rig, (struct ask){.path = "/v1/status?topic=payments.us&cluster=prod"}, &one);
    ck_assert_uint_eq(there(&one, "items")->count, 1);
    ck_assert_str_eq(str_at(&one, "worst/topic"), "payments.us");

    REPLY_OWN struct reply good = {0};
    rig_ask(rig, (struct ask){.path = "/v1/status?policy=logs"}, &good);
    ck_assert(there(&good, "ok")->boolean);
    ck_assert_ptr_null(json_at(good.json, "worst"));
    ck_assert_int_eq(int_at(&good, "breached_count"), 0);
    stop(rig);
}
END_TEST

/* Plans ------------------------------------------------------------------------------------ */

/* clang-format off */
static const struct {
    const char *more;    /* of the request's body */
    const char *fresh;   /* actions for a topic that does not exist */
} plans[] = {
    {"",                                 "[\"create\",\"produce\",\"hold-retention\"]"},
    {",\"retention\":\"original\"",      "[\"create\",\"produce\"]"},
    {",\"create_topics\":\"never\"",     "[\"produce\"]"},
};
/* clang-format on */

START_TEST(a_plan_says_what_would_be_done)
{
    struct rig *rig = start();
    struct tm_restore_plan *plan = &rig->fake.plan;
    plan->point.row = make_row();
    plan->messages = BEYOND_DOUBLE;
    plan->bytes = INT64_MAX;
    (void)snprintf(plan->digest, sizeof(plan->digest), "sha256:9c1f");
    *tm_vec_push(&plan->topics) = (struct tm_restore_topic){.source = "a",
            .target = "b",
            .partitions = 6,
            .target_partitions = 6,
            .messages = BEYOND_DOUBLE,
            .bytes = INT64_MAX,
            .lost = 4};
    *tm_vec_push(&plan->topics) =
            (struct tm_restore_topic){.source = "c", .target = "c", .exists = true};
    *tm_vec_push(&plan->warnings) =
            (struct tm_job_note){.code = "target-retention", .detail = "d", .partition = -1};
    *tm_vec_push(&plan->blocking) = (struct tm_job_note){
            .code = "topic-exists", .detail = "c is there", .topic = "c", .partition = 3};

    char body[256];
    char expected[1024];
    (void)snprintf(body, sizeof(body),
            "{\"source\":{\"policy\":\"p\"},\"target\":{\"cluster\":\"dr\"}%s}", plans[_i].more);
    (void)snprintf(expected, sizeof(expected),
            "{\"plan_digest\":\"sha256:9c1f\",\"recovery_point\":\"" POINT_ID "\","
            "\"resolved_at\":\"2025-11-22T23:25:04.120Z\",\"source\":{\"recovery_points\":[]},"
            "\"counts_exact\":false,\"topics\":[{\"source\":\"a\","
            "\"target\":\"b\",\"exists\":false,\"partitions_count\":6,"
            "\"messages_count\":9007199254740993,\"source_bytes\":9223372036854775807,"
            "\"counts_exact\":false,\"gap_offsets\":4,\"actions\":%s},{\"source\":\"c\",\"target\":"
            "\"c\",\"exists\":true,"
            "\"partitions_count\":0,\"messages_count\":0,\"source_bytes\":0,\"counts_exact\":false,"
            "\"gap_offsets\":0,"
            "\"actions\":[\"produce\"]}],\"messages_count\":9007199254740993,"
            "\"write_bytes\":9223372036854775807,"
            "\"warnings\":[{\"code\":\"target-retention\",\"detail\":\"d\"}],"
            "\"blocking\":[{\"code\":\"topic-exists\",\"detail\":\"c is there\",\"topic\":\"c\","
            "\"partition\":3}]}\n",
            plans[_i].fresh);
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/restores/plan", NULL, body}, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply.body, expected);
    tm_vec_done(&plan->topics);
    tm_vec_done(&plan->warnings);
    tm_vec_done(&plan->blocking);
    stop(rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_render");
    tcase_add_test(tcase, a_job_that_waits_shows_what_is_known);
    tcase_add_test(tcase, a_running_job_shows_its_progress);
    tcase_add_test(tcase, a_finished_job_shows_its_result_as_it_was_written);
    tcase_add_test(tcase, a_list_of_points_shows_their_sums);
    tcase_add_test(tcase, a_point_shows_every_partition);
    tcase_add_test(tcase, a_point_is_verified_from_the_oldest_look_on);
    tcase_add_test(tcase, what_a_point_does_not_know_is_left_out);
    tcase_add_test(tcase, a_group_whose_first_offset_is_gone_keeps_the_others);
    tcase_add_loop_test(
            tcase, a_point_that_has_not_changed_is_not_sent_again, 0, (int)LENGTH(matches));
    tcase_add_test(tcase, policies_show_their_last_and_next_run);
    tcase_add_test(tcase, the_status_names_the_worst);
    tcase_add_loop_test(tcase, a_plan_says_what_would_be_done, 0, (int)LENGTH(plans));
    return rig_main(tcase, "api_render");
}
