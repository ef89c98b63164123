/* SPDX-License-Identifier: Apache-2.0 */
/* lib/kafka against a mock cluster: questions to a cluster, its properties, and clusters that are away. */
#include "fixture.h"

START_TEST(topics_are_listed_by_name_with_their_partitions)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 4, &fixture.err), fixture.err);
    ASSERT_OK(tm_mock_topic(fixture.mock, "__consumer_offsets", 2, &fixture.err), fixture.err);
    ASSERT_OK(tm_mock_topic(fixture.mock, "bills", 1, &fixture.err), fixture.err);
    ck_assert_int_eq(tm_mock_topic(fixture.mock, "bills", 1, &fixture.err), TM_E_EXISTS);
    struct tm_topic_list list = {0};
    fixture.err = (struct tm_err){0};
    ASSERT_OK(tm_kafka_topics(fixture.kafka, 10000, &list, &fixture.err), fixture.err);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_str_eq(list.at[0].name, "__consumer_offsets");
    ck_assert(list.at[0].internal);
    ck_assert_str_eq(list.at[1].name, "bills");
    ck_assert_int_eq(list.at[1].partitions, 1);
    ck_assert_str_eq(list.at[2].name, "orders");
    ck_assert_int_eq(list.at[2].partitions, 4);
    ck_assert_int_eq(list.at[2].replication_factor, 1);
    ck_assert(!list.at[2].internal && !list.at[2].has_id);
    ck_assert_int_eq(list.at[2].code, TM_OK);
    ck_assert_ptr_null(list.at[2].error);
    tm_topic_list_done(&list);
    ck_assert_uint_eq(list.count, 0);
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_cluster_without_a_controller_has_no_ids_and_says_so_at_once)
{
    struct fixture fixture = fixture_up(1);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    struct tm_topic_list list = {0};
    ASSERT_OK(tm_kafka_topics(fixture.kafka, 10000, &list, &fixture.err), fixture.err);
    int64_t begun = tm_mono_ns();
    ASSERT_OK(tm_kafka_topic_ids(fixture.kafka, 30000, &list, &fixture.err), fixture.err);
    ASSERT_OK(tm_kafka_topic_ids(fixture.kafka, 30000, &list, &fixture.err), fixture.err);
    ck_assert(!list.at[0].has_id);

    struct tm_topic_config config = {.topic = "orders"};
    ck_assert_int_eq(
            tm_kafka_topic_configs(fixture.kafka, &config, 1, 30000, &list.arena, &fixture.err),
            TM_E_UNSUPPORTED);
    ck_assert_str_eq(fixture.err.msg,
            "cluster mock: it has no controller, so topics can neither be "
            "configured nor created");
    struct tm_topic_spec spec = {.name = "bills", .partitions = 1};
    fixture.err = (struct tm_err){0};
    ck_assert_int_eq(
            tm_kafka_create_topic(fixture.kafka, &spec, 30000, &fixture.err), TM_E_UNSUPPORTED);
    struct tm_pair change = {"retention.ms", "1"};
    fixture.err = (struct tm_err){0};
    ck_assert_int_eq(tm_kafka_alter_topic(fixture.kafka, "orders", &change, 1, 30000, &fixture.err),
            TM_E_UNSUPPORTED);
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 3000);
    tm_topic_list_done(&list);
    fixture_down(&fixture);
}
END_TEST

START_TEST(offsets_of_many_partitions_are_told_in_one_call)
{
    struct fixture fixture = fixture_up(3);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 2, &fixture.err), fixture.err);
    write_made(&fixture, "orders", 1, 0, 25);
    struct tm_offsets rows[] = {
            {.topic = "orders", .partition = 1}, {.topic = "orders", .partition = 0},
            {.topic = "orders", .partition = 9}, {.topic = "gone", .partition = 0},
            {.topic = "orders", .partition = 1}, /* asked twice */
    };
    ASSERT_OK(
            tm_kafka_offsets(fixture.kafka, rows, LENGTH(rows), 10000, &fixture.err), fixture.err);
    for (size_t i = 0; i < 5; i += 4) {
        ck_assert_int_eq(rows[i].code, TM_OK);
        ck_assert_int_eq(rows[i].log_start, 0);
        ck_assert_int_eq(rows[i].lso, 25);
        ck_assert_int_eq(rows[i].high_watermark, 25);
    }
    ck_assert_int_eq(rows[1].high_watermark, 0);
    ck_assert_int_eq(rows[2].code, TM_E_MISSING);
    ck_assert_str_eq(rows[2].error, "_UNKNOWN_PARTITION: Local: Unknown partition");
    ck_assert_int_eq(rows[3].code, TM_E_MISSING);
    ck_assert_str_eq(rows[3].error, "UNKNOWN_TOPIC_OR_PART: Broker: Unknown topic or partition");
    ASSERT_OK(tm_kafka_offsets(fixture.kafka, rows, 0, 10000, &fixture.err), fixture.err);

    /* Alone, such a partition is an error of the whole call in librdkafka. */
    for (size_t i = 2; i < 4; i++) {
        ASSERT_OK(tm_kafka_offsets(fixture.kafka, &rows[i], 1, 10000, &fixture.err), fixture.err);
        ck_assert_int_eq(rows[i].code, TM_E_MISSING);
        ck_assert_int_eq(rows[i].high_watermark, -1);
    }
    fixture_down(&fixture);
}
END_TEST

START_TEST(offsets_of_thousands_of_partitions_are_told_in_seconds)
{
    enum { TOPICS = 30, PARTITIONS = 100, COUNT = TOPICS * PARTITIONS };
    struct fixture fixture = fixture_up(3);
    char names[TOPICS][24];
    struct tm_offsets *rows = tm_xalloc(COUNT, sizeof(*rows));
    for (int i = 0; i < TOPICS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "topic-%d", i);
        ASSERT_OK(tm_mock_topic(fixture.mock, names[i], PARTITIONS, &fixture.err), fixture.err);
        for (int j = 0; j < PARTITIONS; j++) {
            rows[i * PARTITIONS + j] = (struct tm_offsets){.topic = names[i], .partition = j};
        }
    }
    write_made(&fixture, "topic-17", 42, 0, 3);
    int64_t begun = tm_mono_ns();
    ASSERT_OK(tm_kafka_offsets(fixture.kafka, rows, COUNT, 30000, &fixture.err), fixture.err);
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 10000);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(rows[i].code, TM_OK);
        ck_assert_int_eq(rows[i].high_watermark, i == 17 * PARTITIONS + 42 ? 3 : 0);
    }
    free(rows);
    fixture_down(&fixture);
}
END_TEST

START_TEST(offsets_follow_a_leader_that_has_moved)
{
    struct fixture fixture = fixture_up(3);
    ASSERT_OK(tm_mock_topic(fixture.mock, "orders", 1, &fixture.err), fixture.err);
    for (int32_t leader = 1; leader <= 3; leader++) {
        tm_mock_leader(fixture.mock, "orders", 0, leader);
        struct tm_offsets row = {.topic = "orders"};
        ASSERT_OK(tm_kafka_offsets(fixture.kafka, &row, 1, 10000, &fixture.err), fixture.err);
        ck_assert_msg(row.code == TM_OK, "leader %d: %s", (int)leader, row.error);
    }
    fixture_down(&fixture);
}
END_TEST

START_TEST(a_cluster_that_is_away_is_named_with_the_reason)
{
    char address[64];
    int holder = -1;
    dead_address(address, &holder);
    struct tm_err err = {0};
    struct tm_kafka *kafka = NULL;
    struct tm_kafka_options options = {.cluster = "prod", .bootstrap = address};
    ASSERT_OK(tm_kafka_open(&options, &kafka, &err), err);
    ck_assert_str_eq(tm_kafka_cluster(kafka), "prod");
    int64_t begun = tm_mono_ns();
    char expected[256];

    struct tm_topic_list list = {0};
    ck_assert_int_eq(tm_kafka_topics(kafka, 1000, &list, &err), TM_E_KAFKA);
    (void)snprintf(expected, sizeof(expected),
            "cluster prod: list of topics: _TRANSPORT: %s/bootstrap: Connect to ipv4#%s failed: "
            "Connection refused",
            address, address);
    ck_assert_str_eq(err.msg, expected);
    ck_assert(tm_code_retryable(err.code));
    ck_assert_uint_eq(list.count, 0);

    struct tm_offsets row = {.topic = "orders"};
    err = (struct tm_err){0};
    enum tm_code code = tm_kafka_offsets(kafka, &row, 1, 1000, &err);
    ck_assert_int_eq(code == TM_OK ? row.code : code, TM_E_KAFKA);
    const char *text = code == TM_OK ? row.error : err.msg;
    ck_assert_msg(strstr(text, address) != NULL, "%s has no %s", text, address);

    struct tm_arena arena = {0};
    struct tm_slice id = TM_SLICE_NULL;
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_kafka_cluster_id(kafka, 1000, &arena, &id, &err), TM_E_KAFKA);
    ck_assert_ptr_null(id.at);
    tm_arena_done(&arena);
    ck_assert_int_lt((tm_mono_ns() - begun) / 1000000, 10000);
    tm_kafka_close(kafka);
    close(holder);
}
END_TEST

START_TEST(a_cluster_tells_its_id)
{
    struct fixture fixture = fixture_up(1);
    struct tm_arena arena = {0};
    struct tm_slice id = TM_SLICE_NULL;
    ASSERT_OK(tm_kafka_cluster_id(fixture.kafka, 10000, &arena, &id, &fixture.err), fixture.err);
    ck_assert_int_eq(strncmp((const char *)id.at, "mockCluster", 11), 0);
    tm_arena_done(&arena);
    fixture_down(&fixture);
}
END_TEST

/* clang-format off */
static const struct {
    const char *name;
    const char *value;
    const char *message; /* NULL: accepted */
} properties[] = {
    {"security.protocol", "sasl_ssl", NULL},
    {"sasl.mechanism", "SCRAM-SHA-512", NULL},
    {"sasl.password", "secret", NULL},
    {"client.rack", "a", NULL},
    {"batch.size", "500000", NULL},
    {"compression.codec", "lz4", NULL},
    {"group.id", "x", "property 'group.id' is Tidemark's own to set"},
    {"isolation.level", "read_uncommitted", "property 'isolation.level' is Tidemark's own to set"},
    {"enable.auto.commit", "true", "property 'enable.auto.commit' is Tidemark's own to set"},
    {"metadata.broker.list", "a:1", "property 'metadata.broker.list' is Tidemark's own to set"},
    {"plugin.library.paths", "x", "property 'plugin.library.paths' is Tidemark's own to set"},
    {"transactional.id", "x", "property 'transactional.id' is Tidemark's own to set"},
    {"security.protocol", "tls",
     "property 'security.protocol': Invalid value \"tls\" for configuration property \"security.protocol\""},
    {"ssl.ca.locatoin", "x",
     "property 'ssl.ca.locatoin' is not known to librdkafka; did you mean 'ssl.ca.location'?"},
    {"request.timeout.m", "x",
     "property 'request.timeout.m' is not known to librdkafka; did you mean 'request.timeout.ms'?"},
    {"bananas", "x", "property 'bananas' is not known to librdkafka"},
    {"linger.ms", "5", "property 'linger.ms' is Tidemark's own to set"},
    {"socket.timeout.ms", "5",
     "property 'socket.timeout.ms': Configuration property \"socket.timeout.ms\" value 5 is outside "
     "allowed range 10..300000"},
};
/* clang-format on */

START_TEST(a_property_is_accepted_or_refused_with_the_reason)
{
    struct tm_err err = {0};
    enum tm_code code = tm_kafka_check_property(properties[_i].name, properties[_i].value, &err);
    if (properties[_i].message == NULL) {
        ck_assert_msg(code == TM_OK, "%s", err.msg);
    } else {
        ck_assert_int_eq(code, TM_E_USAGE);
        ck_assert_str_eq(err.msg, properties[_i].message);
    }
}
END_TEST

START_TEST(a_handle_with_a_refused_property_is_not_opened)
{
    struct tm_err err = {0};
    struct tm_kafka *kafka = NULL;
    struct tm_pair property = {"group.id", "x"};
    struct tm_kafka_options options = {.cluster = "prod",
            .bootstrap = "127.0.0.1:1",
            .properties = &property,
            .property_count = 1};
    ck_assert_int_eq(tm_kafka_open(&options, &kafka, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, "cluster prod: property 'group.id' is Tidemark's own to set");

    property = (struct tm_pair){"security.protocol", "ssl"};
    struct tm_pair both[] = {property, {"ssl.ca.location", "/nowhere/ca.pem"}};
    options.properties = both;
    options.property_count = 2;
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_kafka_open(&options, &kafka, &err), TM_E_USAGE);
    ck_assert_msg(strstr(err.msg, "ssl.ca.location failed") != NULL, "%s", err.msg);
    struct tm_writer *writer = NULL;
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_writer_open(&options, &writer, &err), TM_E_USAGE);
    ck_assert(kafka == NULL && writer == NULL);
}
END_TEST

START_TEST(the_library_tells_its_version)
{
    ck_assert_int_ge(tm_kafka_library_version()[0], '2');
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("admin");
    tcase_add_test(tcase, topics_are_listed_by_name_with_their_partitions);
    tcase_add_test(tcase, a_cluster_without_a_controller_has_no_ids_and_says_so_at_once);
    tcase_add_test(tcase, offsets_of_many_partitions_are_told_in_one_call);
    tcase_add_test(tcase, offsets_of_thousands_of_partitions_are_told_in_seconds);
    tcase_add_test(tcase, offsets_follow_a_leader_that_has_moved);
    tcase_add_test(tcase, a_cluster_that_is_away_is_named_with_the_reason);
    tcase_add_test(tcase, a_cluster_tells_its_id);
    tcase_add_loop_test(
            tcase, a_property_is_accepted_or_refused_with_the_reason, 0, (int)LENGTH(properties));
    tcase_add_test(tcase, a_handle_with_a_refused_property_is_not_opened);
    tcase_add_test(tcase, the_library_tells_its_version);
    return run_case(tcase, "admin");
}
