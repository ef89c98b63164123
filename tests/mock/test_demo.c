/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's producer against the mock cluster: it never gives the mock more than it can keep. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "demo_feed.h"
#include "demo_records.h"
#include "kafka/mock.h"

enum { ROUNDS_MAX = 100000, SETTLE_EVERY = 1000 };

static const struct {
    const char *topic;
    int32_t partition;
} partitions[] = {{"customers", 0}, {"customers", 1}, {"orders", 0}, {"orders", 1}, {"orders", 2},
        {"orders", 3}};

enum { PARTITIONS = sizeof(partitions) / sizeof(partitions[0]) };

struct rig {
    struct tm_mock *mock;
    struct demo_feed *feed;
    struct tm_err err;
};

static struct rig start(void)
{
    struct rig rig = {.mock = tm_mock_new(3)};
    ck_assert_int_eq(tm_mock_topic(rig.mock, "orders", DEMO_ORDERS_PARTITIONS, &rig.err), TM_OK);
    ck_assert_int_eq(
            tm_mock_topic(rig.mock, "customers", DEMO_CUSTOMERS_PARTITIONS, &rig.err), TM_OK);
    ck_assert_int_eq(demo_feed_open(tm_mock_bootstrap(rig.mock), &rig.feed, &rig.err), TM_OK);
    return rig;
}

static void stop(struct rig *rig)
{
    demo_feed_close(rig->feed);
    tm_mock_free(rig->mock);
}

/* Nothing has been dropped, and the ends are those that the feed says. */
static void check_all_there(struct rig *rig)
{
    struct tm_kafka_options options = {
            .cluster = "demo", .bootstrap = tm_mock_bootstrap(rig->mock)};
    TM_OWN(tm_kafka_close) struct tm_kafka *kafka = NULL;
    TM_BUF_OWN struct tm_buf meant = {0};
    TM_BUF_OWN struct tm_buf is = {0};
    struct tm_offsets rows[PARTITIONS];
    for (size_t i = 0; i < PARTITIONS; i++) {
        rows[i] = (struct tm_offsets){
                .topic = partitions[i].topic, .partition = partitions[i].partition};
    }
    ck_assert_int_eq(tm_kafka_open(&options, &kafka, &rig->err), TM_OK);
    ck_assert_int_eq(tm_kafka_offsets(kafka, rows, PARTITIONS, 10000, &rig->err), TM_OK);
    tm_buf_add_text(&is, "{\"topics\":[");
    for (size_t i = 0; i < PARTITIONS; i++) {
        ck_assert_int_eq(rows[i].log_start, 0);
        if (rows[i].partition == 0) {
            tm_buf_add_fmt(
                    &is, "%s{\"name\":\"%s\",\"partitions\":[", i > 0 ? "]}," : "", rows[i].topic);
        }
        tm_buf_add_fmt(&is, "%s{\"partition\":%d,\"end_offset\":%lld}",
                rows[i].partition > 0 ? "," : "", (int)rows[i].partition,
                (long long)rows[i].high_watermark);
    }
    tm_buf_add_text(&is, "]}]}\n");
    demo_feed_ends(rig->feed, &meant);
    ck_assert_str_eq(tm_buf_text(&is), tm_buf_text(&meant));
}

START_TEST(fill_is_acknowledged_when_it_returns)
{
    struct rig rig = start();
    ck_assert_int_eq(demo_feed_fill(rig.feed, &rig.err), TM_OK);
    ck_assert_int_eq(demo_feed_orders(rig.feed), DEMO_ORDERS);
    ck_assert_int_eq(demo_feed_customers(rig.feed), DEMO_CUSTOMERS);
    check_all_there(&rig);
    stop(&rig);
}
END_TEST

START_TEST(feed_is_full_before_the_mock_drops_anything)
{
    struct rig rig = start();
    bool full = false;
    int rounds = 0;
    ck_assert_int_eq(demo_feed_fill(rig.feed, &rig.err), TM_OK);
    for (; !full && rounds < ROUNDS_MAX; rounds++) {
        ck_assert_int_eq(demo_feed_more(rig.feed, &full, &rig.err), TM_OK);
        if (rounds % SETTLE_EVERY == 0) {
            ck_assert_int_eq(demo_feed_settle(rig.feed, &rig.err), TM_OK);
        }
    }
    ck_assert(full);
    ck_assert_int_gt(
            demo_feed_orders(rig.feed), INT64_C(5) * DEMO_ORDERS); /* it went on for long */
    int64_t orders = demo_feed_orders(rig.feed);
    ck_assert_int_eq(demo_feed_more(rig.feed, &full, &rig.err), TM_OK);
    ck_assert_int_eq(demo_feed_orders(rig.feed), orders);
    ck_assert_int_eq(demo_feed_settle(rig.feed, &rig.err), TM_OK);
    check_all_there(&rig);
    stop(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("demo");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, fill_is_acknowledged_when_it_returns);
    tcase_add_test(tcase, feed_is_full_before_the_mock_drops_anything);

    Suite *suite = suite_create("demo");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
