/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/metrics: series, and Prometheus' text format 0.0.4. */
#include "base/metrics.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void assert_rendered(const char *expected)
{
    TM_BUF_OWN struct tm_buf out = {0};
    tm_metrics_render(&out);
    ck_assert_str_eq(tm_buf_text(&out), expected);
}

START_TEST(nothing_is_rendered_before_the_first_touch)
{
    ck_assert_double_eq(tm_metric_value(TM_M_WORKERS_MAX, TM_NO_LABELS), 0);
    assert_rendered("");
}
END_TEST

START_TEST(families_come_as_declared_and_series_by_their_labels)
{
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, 4);
    tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS("main", "success"), 1);
    tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS("main", "failure"), 0);
    tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS("eu", "success"), 2);
    tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS("main", "success"), 1);
    tm_metric_add(TM_M_LOG_MESSAGES, TM_LABELS("info"), 1000000000000000);
    assert_rendered("# HELP tidemark_restore_runs_total Finished restores.\n"
                    "# TYPE tidemark_restore_runs_total counter\n"
                    "tidemark_restore_runs_total{kafka_cluster=\"eu\",result=\"success\"} 2\n"
                    "tidemark_restore_runs_total{kafka_cluster=\"main\",result=\"failure\"} 0\n"
                    "tidemark_restore_runs_total{kafka_cluster=\"main\",result=\"success\"} 2\n"
                    "# HELP tidemark_workers_max Configured worker limit.\n"
                    "# TYPE tidemark_workers_max gauge\n"
                    "tidemark_workers_max 4\n"
                    "# HELP tidemark_log_messages_total Log lines by level.\n"
                    "# TYPE tidemark_log_messages_total counter\n"
                    "tidemark_log_messages_total{level=\"info\"} 1000000000000000\n");
    ck_assert_double_eq(tm_metric_value(TM_M_RESTORE_RUNS, TM_LABELS("main", "success")), 2);
    ck_assert_double_eq(tm_metric_value(TM_M_RESTORE_RUNS, TM_LABELS("us", "success")), 0);
}
END_TEST

/* clang-format off */
static const struct {
    const char *value;
    const char *written;
} labels[] = {
    {"",                 ""},
    {"plain",            "plain"},
    {"a\"b",             "a\\\"b"},
    {"a\\b",             "a\\\\b"},
    {"a\nb",             "a\\nb"},
    {"\\n",              "\\\\n"},
    {"tab\tcr\r",        "tab\tcr\r"},
    {"{}=,",             "{}=,"},
    {"\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80"},
    {"bad\xff",          "bad\xef\xbf\xbd"},
};
/* clang-format on */

START_TEST(label_values_are_escaped)
{
    tm_metric_set(TM_M_KAFKA_UP, TM_LABELS(labels[_i].value), 1);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
            "# HELP tidemark_kafka_up Whether the last metadata request to the cluster succeeded "
            "(1).\n# TYPE tidemark_kafka_up gauge\ntidemark_kafka_up{kafka_cluster=\"%s\"} 1\n",
            labels[_i].written);
    assert_rendered(expected);
}
END_TEST

START_TEST(histogram_counts_up_through_its_buckets)
{
    const char *const *route = TM_LABELS("/v1/jobs", "GET");
    tm_metric_observe(TM_M_HTTP_DURATION, route, 0.001); /* a bound belongs to its bucket */
    tm_metric_observe(TM_M_HTTP_DURATION, route, 0.0011);
    tm_metric_observe(TM_M_HTTP_DURATION, route, 0.3);
    tm_metric_observe(TM_M_HTTP_DURATION, route, 2.5);
    tm_metric_observe(TM_M_HTTP_DURATION, route, 99);
    ck_assert_double_eq(tm_metric_value(TM_M_HTTP_DURATION, route), 5);

    /* clang-format off */
    static const struct {
        const char *le;
        int count;
    } buckets[] = {
        {"0.001", 1}, {"0.0025", 2}, {"0.005", 2}, {"0.01", 2}, {"0.025", 2}, {"0.05", 2},
        {"0.1", 2}, {"0.25", 2}, {"0.5", 3}, {"1", 3}, {"2.5", 4}, {"+Inf", 5},
    };
    /* clang-format on */
    TM_BUF_OWN struct tm_buf expected = {0};
    const char *name = "tidemark_http_request_duration_seconds";
    const char *series = "route=\"/v1/jobs\",method=\"GET\"";
    tm_buf_add_fmt(&expected, "# HELP %s API request latency.\n# TYPE %s histogram\n", name, name);
    for (size_t i = 0; i < LENGTH(buckets); i++) {
        tm_buf_add_fmt(&expected, "%s_bucket{%s,le=\"%s\"} %d\n", name, series, buckets[i].le,
                buckets[i].count);
    }
    tm_buf_add_fmt(&expected, "%s_sum{%s} 101.8021\n%s_count{%s} 5\n", name, series, name, series);
    assert_rendered(tm_buf_text(&expected));
}
END_TEST

START_TEST(histogram_without_labels_has_le_alone)
{
    tm_metric_observe(TM_M_LOOP_BLOCKED, TM_NO_LABELS, 0.0005);
    TM_BUF_OWN struct tm_buf out = {0};
    tm_metrics_render(&out);
    const char *text = tm_buf_text(&out);
    ck_assert_ptr_nonnull(
            strstr(text, "\ntidemark_event_loop_blocked_seconds_bucket{le=\"0.001\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\ntidemark_event_loop_blocked_seconds_bucket{le=\"1\"} 1\n"
                                       "tidemark_event_loop_blocked_seconds_bucket{le=\"+Inf\"} 1\n"
                                       "tidemark_event_loop_blocked_seconds_sum 0.0005\n"
                                       "tidemark_event_loop_blocked_seconds_count 1\n"));
}
END_TEST

START_TEST(forgetting_drops_all_series_of_a_label_value)
{
    tm_metric_set(TM_M_POINTS, TM_LABELS("main", "payments"), 3);
    tm_metric_set(TM_M_POINTS, TM_LABELS("main", "orders"), 4);
    tm_metric_set(TM_M_POINTS, TM_LABELS("payments", "orders"), 5); /* another label's value */
    tm_metric_add(TM_M_BACKUP_MESSAGES, TM_LABELS("main", "payments", "a"), 1);
    tm_metric_add(TM_M_BACKUP_MESSAGES, TM_LABELS("main", "payments", "b"), 1);
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, 4);
    tm_metric_forget("policy", "payments");
    assert_rendered("# HELP tidemark_recovery_points Restorable recovery points in the catalog.\n"
                    "# TYPE tidemark_recovery_points gauge\n"
                    "tidemark_recovery_points{kafka_cluster=\"main\",policy=\"orders\"} 4\n"
                    "tidemark_recovery_points{kafka_cluster=\"payments\",policy=\"orders\"} 5\n"
                    "# HELP tidemark_workers_max Configured worker limit.\n"
                    "# TYPE tidemark_workers_max gauge\n"
                    "tidemark_workers_max 4\n");
    tm_metric_set(TM_M_POINTS, TM_LABELS("main", "payments"), 1); /* made anew */
    ck_assert_double_eq(tm_metric_value(TM_M_POINTS, TM_LABELS("main", "payments")), 1);
}
END_TEST

START_TEST(gauges_move_both_ways_and_counters_only_up)
{
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, 4);
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, -1);
    tm_metric_add(TM_M_WORKERS_MAX, TM_NO_LABELS, -1.5);
    ck_assert_double_eq(tm_metric_value(TM_M_WORKERS_MAX, TM_NO_LABELS), -2.5);

    tm_metric_set(TM_M_LOG_MESSAGES, TM_LABELS("info"), 10);
    tm_metric_set(TM_M_LOG_MESSAGES, TM_LABELS("info"), 7);
    ck_assert_double_eq(tm_metric_value(TM_M_LOG_MESSAGES, TM_LABELS("info")), 10);
}
END_TEST

START_TEST(many_series_in_any_order_come_sorted)
{
    enum { SERIES = 500 };
    for (int i = 0; i < SERIES; i++) {
        char topic[16];
        (void)snprintf(
                topic, sizeof(topic), "t%03d", i * 321 % SERIES); /* 321 and 500 are coprime */
        tm_metric_add(TM_M_BACKUP_MESSAGES, TM_LABELS("c", "p", topic), i * 321 % SERIES);
    }
    TM_BUF_OWN struct tm_buf expected = {0};
    tm_buf_add_text(&expected, "# HELP tidemark_backup_messages_total Messages captured.\n"
                               "# TYPE tidemark_backup_messages_total counter\n");
    for (int i = 0; i < SERIES; i++) {
        tm_buf_add_fmt(&expected,
                "tidemark_backup_messages_total{kafka_cluster=\"c\",policy=\"p\",topic=\"t%03d\"} "
                "%d\n",
                i, i);
    }
    assert_rendered(tm_buf_text(&expected));
}
END_TEST

enum { THREADS = 4, TOUCHES = 2000 };

static void *touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < TOUCHES; i++) {
        char topic[16];
        (void)snprintf(topic, sizeof(topic), "%d", i % 50);
        tm_metric_add(TM_M_BACKUP_MESSAGES, TM_LABELS("c", "p", topic), 1);
        tm_metric_observe(TM_M_LOOP_BLOCKED, TM_NO_LABELS, 0.1);
    }
    return NULL;
}

START_TEST(threads_lose_no_count)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, touch, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    double total = 0;
    for (int i = 0; i < 50; i++) {
        char topic[16];
        (void)snprintf(topic, sizeof(topic), "%d", i);
        total += tm_metric_value(TM_M_BACKUP_MESSAGES, TM_LABELS("c", "p", topic));
    }
    ck_assert_double_eq(total, THREADS * TOUCHES);
    ck_assert_double_eq(tm_metric_value(TM_M_LOOP_BLOCKED, TM_NO_LABELS), THREADS * TOUCHES);
}
END_TEST

START_TEST(process_families_tell_of_this_process)
{
    tm_metrics_refresh_process();
    double now = (double)tm_now_ms() / 1e3;
    double start = tm_metric_value(TM_M_PROCESS_START, TM_NO_LABELS);
    ck_assert_double_le(start, now + 1);
    ck_assert_double_gt(start, now - 60); /* the child that Check forked a moment ago */
    double rss = tm_metric_value(TM_M_PROCESS_RSS, TM_NO_LABELS);
    ck_assert_double_gt(rss, 500000);
    ck_assert_double_lt(rss, 1e11);
    ck_assert_double_ge(tm_metric_value(TM_M_PROCESS_CPU, TM_NO_LABELS), 0);
    ck_assert_double_gt(tm_metric_value(TM_M_PROCESS_MAX_FDS, TM_NO_LABELS), 10);

    double fds = tm_metric_value(TM_M_PROCESS_FDS, TM_NO_LABELS);
    int one_more = dup(STDERR_FILENO);
    ck_assert_int_ge(one_more, 0);
    tm_metrics_refresh_process();
    ck_assert_double_eq(tm_metric_value(TM_M_PROCESS_FDS, TM_NO_LABELS), fds + 1);
    ck_assert_double_eq(tm_metric_value(TM_M_PROCESS_START, TM_NO_LABELS), start);
    (void)close(one_more);
}
END_TEST

static void put_topic(const char *policy, const char *topic, double value)
{
    const char *const *of = TM_LABELS("main", policy, topic);
    tm_metric_add(TM_M_BACKUP_MESSAGES, of, value);
    tm_metric_set(TM_M_TOPIC_LAG, of, value);
    tm_metric_set(TM_M_TOPIC_EXPOSURE, of, value);
    tm_metric_set(TM_M_TOPIC_HEADROOM, of, value);
}

static void assert_has(const char *line, bool has)
{
    TM_BUF_OWN struct tm_buf out = {0};
    tm_metrics_render(&out);
    ck_assert_msg(
            (strstr(tm_buf_text(&out), line) != NULL) == has, "%s\n%s", line, tm_buf_text(&out));
}

START_TEST(topics_beyond_the_limit_are_told_together)
{
    tm_metrics_limit_topics(2);
    put_topic("p", "_other", 1); /* may be a topic's name: it is not told twice */
    put_topic("p", "b", 10);
    put_topic("p", "c", 20);
    put_topic("p", "a", 30);
    put_topic("q", "a", 40);
    put_topic("p", "c", 5); /* who was there first stays */
    ck_assert_uint_eq(tm_metrics_topics_dropped(), 3);
    assert_has("messages_total{kafka_cluster=\"main\",policy=\"p\",topic=\"b\"} 10\n", true);
    assert_has("messages_total{kafka_cluster=\"main\",policy=\"p\",topic=\"c\"} 25\n", true);
    assert_has("messages_total{kafka_cluster=\"main\",policy=\"p\",topic=\"_other\"} 31\n", true);
    assert_has("messages_total{kafka_cluster=\"main\",policy=\"q\",topic=\"_other\"} 40\n", true);
    assert_has("lag_messages{kafka_cluster=\"main\",policy=\"p\",topic=\"_other\"} 31\n", true);
    assert_has("exposure_seconds{kafka_cluster=\"main\",policy=\"p\",topic=\"_other\"} 30\n", true);
    assert_has("headroom_seconds{kafka_cluster=\"main\",policy=\"p\",topic=\"_other\"} 1\n", true);
    assert_has("topic=\"a\"", false);

    tm_metric_forget_topic(TM_LABELS("main", "p", "b"));
    ck_assert_uint_eq(tm_metrics_topics_dropped(), 3);
    assert_has("topic=\"b\"", false);
    put_topic("p", "d", 50); /* there is room for one again */
    assert_has("messages_total{kafka_cluster=\"main\",policy=\"p\",topic=\"d\"} 50\n", true);
    tm_metric_forget("policy", "p");
    ck_assert_uint_eq(tm_metrics_topics_dropped(), 1);
    assert_has("policy=\"p\"", false);
}
END_TEST

START_TEST(openmetrics_has_its_own_names_and_its_end)
{
    tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS("eu", "success"), 2);
    tm_metric_observe(TM_M_LOOP_BLOCKED, TM_NO_LABELS, 0.7);
    TM_BUF_OWN struct tm_buf out = {0};
    tm_metrics_render_open(&out);
    const char *text = tm_buf_text(&out);
    ck_assert_ptr_nonnull(strstr(text, "# TYPE tidemark_restore_runs counter\n"
                                       "tidemark_restore_runs_total{kafka_cluster=\"eu\",result="
                                       "\"success\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"0.5\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "_bucket{le=\"1.0\"} 1\n"));
    ck_assert_str_eq(text + out.len - 6, "# EOF\n");
}
END_TEST

enum { MANY = 500, FAST_NS = 20 * 1000 * 1000 };

/* A scrape with 500 topics; the best of a few, on a machine that others use too. */
START_TEST(five_hundred_topics_are_rendered_in_time)
{
    for (int metric = 0; metric < TM_METRIC_COUNT; metric++) {
        for (int i = 0; i < MANY; i++) {
            char topic[64];
            (void)snprintf(topic, sizeof(topic), "a-topic-with-a-long-name-%d", i);
            if (metric >= TM_M_TOPIC_GAPS && metric <= TM_M_TOPIC_OPEN_TXN) {
                tm_metric_set((enum tm_metric)metric, TM_LABELS("main", "p", topic), i);
            }
        }
    }
    int64_t best_ns = INT64_MAX;
    for (int i = 0; i < 10; i++) {
        TM_BUF_OWN struct tm_buf out = {0};
        int64_t begin_ns = tm_mono_ns();
        tm_metrics_render(&out);
        int64_t spent_ns = tm_mono_ns() - begin_ns;
        best_ns = spent_ns < best_ns ? spent_ns : best_ns;
    }
    ck_assert_msg(best_ns < FAST_NS, "%lld ns", (long long)best_ns);
}
END_TEST

/* A series of each family, with labels that need care: `promtool check metrics` reads it where it
 * is there, and names every rule of naming that metrics.def may break. */
START_TEST(promtool_finds_nothing_to_say)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        return;
    }
    static const char *const nasty[] = {"a\"b\\c\nd", "\xc3\xa4", "", "{x=\"y\"} 1"};
    for (int metric = 0; metric < TM_METRIC_COUNT; metric++) {
        enum tm_metric each = (enum tm_metric)metric;
        if (each == TM_M_HTTP_DURATION || each == TM_M_LOOP_BLOCKED ||
                each == TM_M_VAULT_DURATION) {
            tm_metric_observe(each, nasty, 0.2);
        } else {
            tm_metric_add(each, nasty, 1.5);
        }
    }
    tm_metrics_refresh_process();
    TM_BUF_OWN struct tm_buf out = {0};
    tm_metrics_render(&out);
    FILE *promtool = popen("promtool check metrics", "w");
    ck_assert_ptr_nonnull(promtool);
    ck_assert_uint_eq(fwrite(out.at, 1, out.len, promtool), out.len);
    ck_assert_int_eq(pclose(promtool), 0);
}
END_TEST

START_TEST(counting_down_is_a_bug)
{
    tm_metric_add(TM_M_LOG_MESSAGES, TM_LABELS("info"), -1); /* aborts */
}
END_TEST

START_TEST(observing_what_is_no_histogram_is_a_bug)
{
    tm_metric_observe(TM_M_WORKERS_MAX, TM_NO_LABELS, 1); /* aborts */
}
END_TEST

START_TEST(missing_labels_are_a_bug)
{
    tm_metric_add(TM_M_LOG_MESSAGES, TM_NO_LABELS, 1); /* aborts */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("metrics");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, nothing_is_rendered_before_the_first_touch);
    tcase_add_test(tcase, families_come_as_declared_and_series_by_their_labels);
    tcase_add_loop_test(tcase, label_values_are_escaped, 0, (int)LENGTH(labels));
    tcase_add_test(tcase, histogram_counts_up_through_its_buckets);
    tcase_add_test(tcase, histogram_without_labels_has_le_alone);
    tcase_add_test(tcase, forgetting_drops_all_series_of_a_label_value);
    tcase_add_test(tcase, gauges_move_both_ways_and_counters_only_up);
    tcase_add_test(tcase, many_series_in_any_order_come_sorted);
    tcase_add_test(tcase, threads_lose_no_count);
    tcase_add_test(tcase, process_families_tell_of_this_process);
    tcase_add_test(tcase, topics_beyond_the_limit_are_told_together);
    tcase_add_test(tcase, openmetrics_has_its_own_names_and_its_end);
    tcase_add_test(tcase, five_hundred_topics_are_rendered_in_time);
    tcase_add_test(tcase, promtool_finds_nothing_to_say);
    tcase_add_test_raise_signal(tcase, counting_down_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, observing_what_is_no_histogram_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, missing_labels_are_a_bug, SIGABRT);

    Suite *suite = suite_create("metrics");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
