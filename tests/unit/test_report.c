/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: the page, whose texts come from elsewhere, and how a difference is put into words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/ulid.h"
#include "job/drill.h"
#include "job/restore_differ.h"
#include "report_page.h"

static struct tm_job_view job_of(const char *result)
{
    struct tm_job_view job = {.row = {.kind = TM_JOB_RESTORE,
                                      .state = TM_JOB_SUCCEEDED,
                                      .policy = "",
                                      .cluster = "dr",
                                      .requested_by = "token:\"><script>alert(1)</script>",
                                      .request_id = "",
                                      .request = "{}",
                                      .result = result,
                                      .created_ms = 1,
                                      .started_ms = 1,
                                      .finished_ms = 2}};
    return job;
}

START_TEST(nothing_from_elsewhere_is_markup)
{
    struct tm_job_view job = job_of(
            "{\"proof\":\"identical\",\"messages_count\":9007199254740993,\"topics\":[{\"source\":"
            "\"<b>&'\\\"\",\"target\":\"</td><script src=x>\",\"partitions_count\":3}],"
            "\"options\":{\"<i>\":\"a\"}}");
    job.row.warnings = "[{\"code\":\"c\",\"detail\":\"<img onerror=x>\"}]";
    TM_BUF_OWN struct tm_buf page = {0};
    tm_report_page(&job, &page);
    const char *text = tm_buf_text(&page);
    ck_assert_ptr_null(strstr(text, "<script"));
    ck_assert_ptr_null(strstr(text, "<img"));
    ck_assert_ptr_null(strstr(text, "<b>"));
    ck_assert_ptr_null(strstr(text, "<i>"));
    ck_assert_ptr_nonnull(strstr(text, "&lt;b&gt;&amp;&#39;&quot;"));
    ck_assert_ptr_nonnull(strstr(text, "Identical, 9007199254740993 records"));
    ck_assert_ptr_nonnull(strstr(text, "class=\"good\""));
    ck_assert_ptr_nonnull(strstr(text, "</html>"));
}
END_TEST

START_TEST(a_page_claims_no_more_than_was_proved)
{
    static const struct {
        enum tm_job_state state;
        const char *result;
        const char *says;
    } rows[] = {
            {TM_JOB_PARTIAL, "{\"proof\":\"failed\",\"messages_count\":3}", "Not proved"},
            {TM_JOB_FAILED, NULL, "Nothing was proved: the job has failed"},
            {TM_JOB_CANCELLED, NULL, "Nothing was proved: the job has been cancelled"},
            {TM_JOB_RUNNING, NULL, "Not finished: running"},
            {TM_JOB_FAILED, "no json", "Nothing was proved"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tm_job_view job = job_of(rows[i].result);
        job.row.state = rows[i].state;
        job.row.finished_ms = rows[i].state == TM_JOB_RUNNING ? 0 : 2;
        TM_BUF_OWN struct tm_buf page = {0};
        tm_report_page(&job, &page);
        ck_assert_ptr_nonnull(strstr(tm_buf_text(&page), rows[i].says));
        ck_assert_ptr_null(strstr(tm_buf_text(&page), "class=\"good\""));
        ck_assert_ptr_null(strstr(tm_buf_text(&page), "Identical"));
    }
}
END_TEST

START_TEST(a_difference_is_told_by_its_parts_and_never_by_its_contents)
{
    static const struct tm_header header = {{(const uint8_t *)"h", 1}, {NULL, 0}};
    static const struct tm_header other = {{(const uint8_t *)"h", 1}, {(const uint8_t *)"", 0}};
    struct tm_record stored = {.timestamp_ms = 5,
            .key = tm_slice_str("key"),
            .value = tm_slice_str("secret"),
            .headers = &header,
            .header_count = 1};
    struct {
        struct tm_record found;
        const char *says;
    } rows[] = {{stored, ""}, {stored, "the value differs"},
            {stored, "the value differs (9 bytes, not 6)"},
            {stored, "the value differs (null, and was not)"}, {stored, "headers differ"},
            {stored, "the key differs (2 bytes, not 3), the timestamp differs (6, not 5)"}};
    rows[1].found.value = tm_slice_str("Secret");
    rows[2].found.value = tm_slice_str("something");
    rows[3].found.value = TM_SLICE_NULL;
    rows[4].found.headers = &other; /* null and empty are two things */
    rows[5].found.key = tm_slice_str("ke");
    rows[5].found.timestamp_ms = 6;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        TM_BUF_OWN struct tm_buf words = {0};
        bool differs = tm_restore_differ_say(&stored, &rows[i].found, &words);
        ck_assert_int_eq(differs, rows[i].says[0] != '\0');
        ck_assert_str_eq(tm_buf_text(&words), rows[i].says);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("report");
    tcase_add_test(tcase, nothing_from_elsewhere_is_markup);
    tcase_add_test(tcase, a_page_claims_no_more_than_was_proved);
    tcase_add_test(tcase, a_difference_is_told_by_its_parts_and_never_by_its_contents);
    Suite *suite = suite_create("report");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
