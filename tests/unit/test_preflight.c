/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of what is found before a restore: limits out of settings, findings out of limits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/block.h"
#include "job/restore_preflight.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TOPIC         TM_SETTING_TOPIC
enum { HOUR = 3600 * 1000 };

/* Limits -------------------------------------------------------------------------------------- */

START_TEST(limits_are_read_from_the_settings_of_a_topic)
{
    struct tm_setting at[] = {
            {"cleanup.policy", "compact,delete", TOPIC},
            {"max.message.bytes", "2097152", TOPIC},
            {"message.timestamp.after.max.ms", "3600000", TOPIC},
            {"message.timestamp.before.max.ms", "9223372036854775807", TOPIC},
            {"message.timestamp.difference.max.ms", "86400000", TOPIC},
            {"message.timestamp.type", "LogAppendTime", TOPIC},
            {"min.insync.replicas", "2", TOPIC},
            {"retention.bytes", "-1", TOPIC},
            {"retention.ms", "604800000", TOPIC},
    };
    struct tm_settings settings = {.at = at, .count = LENGTH(at)};
    struct tm_preflight_limits limits;
    tm_preflight_of_topic(&settings, &limits);
    ck_assert_int_eq(limits.max_message_bytes, 2097152);
    ck_assert_int_eq(limits.before_max_ms, 86400000); /* the narrower of the two */
    ck_assert_int_eq(limits.after_max_ms, 3600000);
    ck_assert_int_eq(limits.retention_ms, 604800000);
    ck_assert_int_eq(limits.retention_bytes, -1);
    ck_assert_int_eq(limits.min_insync, 2);
    ck_assert(limits.append_time && limits.compacts);
    at[0].value = "compact"; /* nothing is deleted for its age */
    tm_preflight_of_topic(&settings, &limits);
    ck_assert_int_eq(limits.retention_ms, -1);
}
END_TEST

START_TEST(defaults_are_read_from_the_settings_of_a_broker)
{
    struct tm_setting at[] = {
            {"log.cleanup.policy", "delete", TM_SETTING_DEFAULT},
            {"log.message.timestamp.type", "CreateTime", TM_SETTING_DEFAULT},
            {"log.retention.bytes", "1000", TM_SETTING_BROKER},
            {"log.retention.hours", "168", TM_SETTING_BROKER},
            {"log.retention.minutes", NULL, TM_SETTING_DEFAULT},
            {"log.retention.ms", NULL, TM_SETTING_DEFAULT},
            {"message.max.bytes", "1048588", TM_SETTING_DEFAULT},
    };
    struct tm_settings settings = {.at = at, .count = LENGTH(at)};
    struct tm_preflight_limits limits;
    tm_preflight_of_broker(&settings, &limits);
    ck_assert_int_eq(limits.retention_ms, INT64_C(168) * HOUR);
    ck_assert_int_eq(limits.retention_bytes, 1000);
    ck_assert_int_eq(limits.max_message_bytes, 1048588);
    ck_assert_int_eq(limits.before_max_ms, INT64_MAX); /* not told: open */
    at[5].value = "5000";                              /* the finest unit counts */
    tm_preflight_of_broker(&settings, &limits);
    ck_assert_int_eq(limits.retention_ms, 5000);
    at[5].value = "a week"; /* no number: the next one */
    tm_preflight_of_broker(&settings, &limits);
    ck_assert_int_eq(limits.retention_ms, INT64_C(168) * HOUR);
}
END_TEST

/* Counts -------------------------------------------------------------------------------------- */

static const struct {
    int64_t count, ts_min, ts_max, cut, older;
} counts[] = {
        {10, 100, 200, 100, 0}, {10, 100, 200, 201, 10}, {100, 0, 99, 50, 50},
        {10, 100, 200, 101, 1}, /* at least the one that is known */
        {1000, 0, 9, 5, 500},   /* many of one moment */
        {10, -1, -1, 1000, 0},  /* without timestamps */
        {10, -1, 500, 400, 0},  /* some without: only what is certain */
        {10, -1, 500, 501, 10}, {5, INT64_MIN, INT64_MAX, 0, 2}, {0, 0, 0, 10, 0},
        {10, -5000, -1000, 0, 10}, /* before 1970 */
};

START_TEST(records_older_than_a_moment_are_counted_by_runs)
{
    struct tm_run run = {
            .count = counts[_i].count, .ts_min = counts[_i].ts_min, .ts_max = counts[_i].ts_max};
    ck_assert_int_eq(tm_preflight_older(&run, counts[_i].cut), counts[_i].older);
}
END_TEST

/* Findings ------------------------------------------------------------------------------------ */

enum { EXISTS = 1, HELD = 2, APPEND = 4, COMPACT = 8 };

static const struct finding_case {
    const char *name;
    unsigned flags;
    int64_t record_bytes, max_bytes, early, late, retention_ms, expired, retention_bytes,
            part_bytes;
    int64_t replicas, min_insync;
    const char *blocking; /* the codes, in order, "" none */
    const char *warnings;
} cases[] = {
        {"nothing", EXISTS, 100, 1000, 0, 0, -1, 0, -1, 10, 1, 1, "", ""},
        {"large", EXISTS, 1001, 1000, 0, 0, -1, 0, -1, 10, 1, 1, "message-too-large ", ""},
        {"just so large", EXISTS, 1000, 1000, 0, 0, -1, 0, -1, 10, 1, 1, "", ""},
        {"old", EXISTS, 1, 9, 7, 0, -1, 0, -1, 10, 1, 1, "timestamps-refused ", ""},
        {"old and new", 0, 1, 9, 7, 1, -1, 0, -1, 10, 1, 1,
                "timestamps-refused timestamps-refused ", ""},
        {"append time", EXISTS | APPEND, 1, 9, 7, 0, -1, 0, -1, 10, 1, 1, "timestamps-rewritten ",
                ""},
        {"compacted", EXISTS | COMPACT, 1, 9, 0, 0, -1, 0, -1, 10, 1, 1, "", "target-compacted "},
        {"some expire", EXISTS, 1, 9, 0, 0, HOUR, 5, -1, 10, 1, 1, "", "target-retention "},
        {"all expire", EXISTS, 1, 9, 0, 0, HOUR, 10, -1, 10, 1, 1, "target-retention ", ""},
        {"all expire, but later", HELD, 1, 9, 0, 0, HOUR, 10, -1, 10, 1, 1, "",
                "target-retention "},
        {"all expire, held where it was", EXISTS | HELD, 1, 9, 0, 0, HOUR, 10, -1, 10, 1, 1, "",
                "target-retention "},
        {"too many bytes", EXISTS, 1, 9, 0, 0, HOUR, 0, 9, 10, 1, 1, "", "target-retention "},
        {"too few replicas", EXISTS, 1, 9, 0, 0, -1, 0, -1, 10, 1, 2, "not-enough-replicas ", ""},
        {"replicas not known", EXISTS, 1, 9, 0, 0, -1, 0, -1, 10, 0, 2, "", ""},
};

static void codes_of(const tm_job_notes *notes, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < notes->count; i++) {
        size_t len = strlen(out);
        (void)snprintf(out + len, size - len, "%s ", notes->at[i].code);
    }
}

START_TEST(findings_are_those_of_the_table)
{
    const struct finding_case *given = &cases[_i];
    struct tm_preflight_limits later = tm_preflight_open();
    struct tm_preflight_facts facts = {
            .source = "orders",
            .target = "orders.back",
            .cluster = "dr",
            .exists = (given->flags & EXISTS) != 0,
            .held = (given->flags & HELD) != 0,
            .put_back_ms = HOUR,
            .messages = 10,
            .record_bytes = given->record_bytes,
            .part_bytes = given->part_bytes,
            .early = given->early,
            .late = given->late,
            .expired = given->expired,
            .replicas = given->replicas,
    };
    struct tm_restore_plan plan = {0};
    char blocking[200];
    char warnings[200];
    later.max_message_bytes = given->max_bytes;
    later.retention_ms = given->retention_ms;
    later.retention_bytes = given->retention_bytes;
    later.min_insync = given->min_insync;
    later.append_time = (given->flags & APPEND) != 0;
    later.compacts = (given->flags & COMPACT) != 0;
    tm_preflight_judge(&later, &later, &facts, &plan);
    codes_of(&plan.blocking, blocking, sizeof(blocking));
    codes_of(&plan.warnings, warnings, sizeof(warnings));
    ck_assert_msg(strcmp(blocking, given->blocking) == 0, "%s: blocking %s", given->name, blocking);
    ck_assert_msg(strcmp(warnings, given->warnings) == 0, "%s: warnings %s", given->name, warnings);
    for (size_t i = 0; i < plan.blocking.count; i++) { /* each names the topic and what to do */
        ck_assert_ptr_nonnull(strstr(plan.blocking.at[i].detail, "orders.back"));
    }
    tm_restore_plan_done(&plan);
}
END_TEST

START_TEST(a_finding_says_the_numbers_and_the_exact_command)
{
    struct tm_preflight_limits limits = tm_preflight_open();
    struct tm_preflight_facts facts = {.source = "orders",
            .target = "orders.back",
            .cluster = "dr",
            .exists = true,
            .messages = 10,
            .record_bytes = 2000512};
    struct tm_restore_plan plan = {0};
    limits.max_message_bytes = 1048588;
    tm_preflight_judge(&limits, &limits, &facts, &plan);
    ck_assert_uint_eq(plan.blocking.count, 1);
    const char *detail = plan.blocking.at[0].detail;
    ck_assert_ptr_nonnull(strstr(detail, "2000512 bytes"));
    ck_assert_ptr_nonnull(strstr(detail, "max.message.bytes=1048588"));
    ck_assert_ptr_nonnull(strstr(detail,
            "kafka-configs.sh --alter --entity-type topics --entity-name orders.back --add-config "
            "max.message.bytes=2000512"));
    ck_assert_ptr_nonnull(strstr(detail, "\"retention\": \"hold_all\""));
    tm_restore_plan_done(&plan);
}
END_TEST

START_TEST(topics_of_kafka_itself_are_known)
{
    ck_assert(tm_preflight_internal("__consumer_offsets"));
    ck_assert(tm_preflight_internal("__transaction_state"));
    ck_assert(tm_preflight_internal("__share_group_state"));
    ck_assert(tm_preflight_internal("__cluster_metadata"));
    ck_assert(!tm_preflight_internal("restored.__consumer_offsets"));
    ck_assert(!tm_preflight_internal("_schemas"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preflight");
    TCase *tcase = tcase_create("preflight");
    tcase_add_test(tcase, limits_are_read_from_the_settings_of_a_topic);
    tcase_add_test(tcase, defaults_are_read_from_the_settings_of_a_broker);
    tcase_add_loop_test(
            tcase, records_older_than_a_moment_are_counted_by_runs, 0, (int)LENGTH(counts));
    tcase_add_loop_test(tcase, findings_are_those_of_the_table, 0, (int)LENGTH(cases));
    tcase_add_test(tcase, a_finding_says_the_numbers_and_the_exact_command);
    tcase_add_test(tcase, topics_of_kafka_itself_are_known);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
