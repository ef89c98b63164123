/* SPDX-License-Identifier: Apache-2.0 */
#include "report_page.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/ulid.h"
#include "view.h"

static const char head[] =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
        "body{font:15px/1.45 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111}\n"
        "h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}\n"
        "table{border-collapse:collapse;width:100%}\n"
        "td,th{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top;"
        "overflow-wrap:anywhere}\n"
        "td.n,th.n{text-align:right;white-space:nowrap}\n"
        ".good{border-left:.4em solid #2a7d2a;padding-left:.6em}\n"
        ".bad{border-left:.4em solid #b00020;padding-left:.6em}\n"
        "@media print{body{margin:0;max-width:none}thead{display:table-header-group}"
        "tr{break-inside:avoid}}\n"
        "</style>\n";

/* Writing ------------------------------------------------------------------------------------ */

static void add_escaped(struct tm_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            tm_buf_add_text(out, "&lt;");
            break;
        case '>':
            tm_buf_add_text(out, "&gt;");
            break;
        case '&':
            tm_buf_add_text(out, "&amp;");
            break;
        case '"':
            tm_buf_add_text(out, "&quot;");
            break;
        case '\'':
            tm_buf_add_text(out, "&#39;");
            break;
        default:
            tm_buf_add(out, text, 1);
        }
    }
}

/* A value in words; nothing for what is not there. */
static void add_value(struct tm_buf *out, const struct tm_json_value *value)
{
    if (value == NULL) {
        return;
    }
    switch (value->kind) {
    case TM_JSON_STRING:
        add_escaped(out, value->string);
        break;
    case TM_JSON_INT:
        tm_buf_add_fmt(out, "%" PRId64, value->integer);
        break;
    case TM_JSON_REAL:
        tm_buf_add_fmt(out, "%.3f", value->real);
        break;
    case TM_JSON_BOOL:
        tm_buf_add_text(out, value->boolean ? "yes" : "no");
        break;
    case TM_JSON_ARRAY:
    case TM_JSON_OBJECT:
        for (const struct tm_json_value *at = value->first; at != NULL; at = at->next) {
            if (at->key != NULL) {
                add_escaped(out, at->key);
                tm_buf_add_text(out, " = ");
            }
            add_value(out, at);
            tm_buf_add_text(out, at->next != NULL ? ", " : "");
        }
        break;
    case TM_JSON_NULL:
        break;
    }
}

static void add_row(struct tm_buf *out, const char *name, const struct tm_json_value *value)
{
    if (value != NULL) {
        tm_buf_add_fmt(out, "<tr><th>%s</th><td>", name);
        add_value(out, value);
        tm_buf_add_text(out, "</td></tr>\n");
    }
}

static void add_text_row(struct tm_buf *out, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        tm_buf_add_fmt(out, "<tr><th>%s</th><td>", name);
        add_escaped(out, text);
        tm_buf_add_text(out, "</td></tr>\n");
    }
}

static void add_time_row(struct tm_buf *out, const char *name, int64_t time_ms)
{
    char text[TM_TIME_TEXT_MAX];
    if (time_ms != 0) {
        add_text_row(out, name, tm_time_format(time_ms, text));
    }
}

struct column {
    const char *name;
    const char *key;
    bool number;
};

/* A table of an array of objects, under a heading; nothing for none. */
static void add_table(struct tm_buf *out, const char *title, const struct tm_json_value *rows,
        const struct column *columns, size_t count)
{
    if (rows == NULL || rows->kind != TM_JSON_ARRAY || rows->first == NULL) {
        return;
    }
    tm_buf_add_fmt(out, "<h2>%s</h2>\n<table><thead><tr>", title);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_fmt(
                out, "<th%s>%s</th>", columns[i].number ? " class=\"n\"" : "", columns[i].name);
    }
    tm_buf_add_text(out, "</tr></thead><tbody>\n");
    for (const struct tm_json_value *row = rows->first; row != NULL; row = row->next) {
        tm_buf_add_text(out, "<tr>");
        for (size_t i = 0; i < count; i++) {
            tm_buf_add_fmt(out, "<td%s>", columns[i].number ? " class=\"n\"" : "");
            add_value(out, tm_json_get(row, columns[i].key));
            tm_buf_add_text(out, "</td>");
        }
        tm_buf_add_text(out, "</tr>\n");
    }
    tm_buf_add_text(out, "</tbody></table>\n");
}

/* The page ----------------------------------------------------------------------------------- */

/* The one sentence that the page is for. */
static void add_verdict(
        struct tm_buf *out, const struct tm_job_view *job, const struct tm_json_value *result)
{
    const struct tm_json_value *proof = tm_json_get(result, "proof");
    const struct tm_json_value *count = tm_json_get(result, "messages_count");
    bool identical = proof != NULL && proof->kind == TM_JSON_STRING &&
                     strcmp(proof->string, "identical") == 0;
    bool good = identical && job->row.state == TM_JOB_SUCCEEDED;
    if (!tm_view_job_ended(job)) {
        tm_buf_add_fmt(out, "<p>Not finished: %s.</p>\n", tm_job_state_name(job->row.state));
        return;
    }
    tm_buf_add_fmt(out, "<p class=\"%s\"><strong>", good ? "good" : "bad");
    if (identical) {
        tm_buf_add_text(out, "Identical, ");
        add_value(out, count);
        tm_buf_add_text(out, " records: the target was read back and every record compared.");
    } else if (proof != NULL) {
        tm_buf_add_text(out, "Not proved: see the failures below.");
    } else {
        tm_buf_add_fmt(out, "Nothing was proved: the job has %s.",
                job->row.state == TM_JOB_CANCELLED ? "been cancelled" : "failed");
    }
    tm_buf_add_text(out, "</strong></p>\n");
}

static void add_facts(struct tm_buf *out, const struct tm_job_view *job,
        const struct tm_json_value *result, const struct tm_json_value *error)
{
    char name[TM_ULID_NAME_MAX];
    tm_buf_add_text(out, "<table><tbody>\n");
    add_text_row(out, "Job", tm_ulid_format(&job->row.id, "job_", name));
    add_text_row(out, "State", tm_job_state_name(job->row.state));
    add_text_row(out, "Policy", job->row.policy);
    add_row(out, "Recovery point", tm_json_get(result, "recovery_point"));
    add_text_row(out, "Target cluster", job->row.cluster);
    add_text_row(out, "Requested by", job->row.requested_by);
    add_time_row(out, "Started", job->row.started_ms);
    add_time_row(out, "Finished", job->row.finished_ms);
    add_row(out, "Recovery time in seconds", tm_json_get(result, "duration_seconds"));
    add_row(out, "Topics", tm_json_get(result, "topics_count"));
    add_row(out, "Partitions", tm_json_get(result, "partitions_count"));
    add_row(out, "Messages", tm_json_get(result, "messages_count"));
    add_row(out, "Messages written", tm_json_get(result, "written_messages_count"));
    add_row(out, "Bytes written", tm_json_get(result, "written_bytes"));
    add_row(out, "Newest records of each partition", tm_json_get(result, "newest_per_partition"));
    add_row(out, "Options", tm_json_get(result, "options"));
    add_row(out, "Error", tm_json_get(error, "detail"));
    tm_buf_add_text(out, "</tbody></table>\n");
}

static const struct tm_json_value *read_text(const char *text, struct tm_arena *arena)
{
    const struct tm_json_value *json = NULL;
    struct tm_err ignored = {0};
    bool read =
            text != NULL && tm_json_read(tm_slice_str(text), arena, &json, NULL, &ignored) == TM_OK;
    return read ? json : NULL;
}

void tm_report_page(const struct tm_job_view *job, struct tm_buf *out)
{
    static const struct column checks[] = {{"Check", "name", false}, {"Result", "result", false},
            {"Expected", "expected", true}, {"Actual", "actual", true},
            {"Detail", "detail", false}};
    static const struct column topics[] = {{"Source", "source", false}, {"Target", "target", false},
            {"Partitions", "partitions_count", true}, {"Messages", "messages_count", true},
            {"Bytes", "source_bytes", true}};
    static const struct column notes[] = {{"Code", "code", false}, {"Topic", "topic", false},
            {"Partition", "partition", true}, {"Detail", "detail", false}};
    struct tm_arena arena = {0};
    const struct tm_json_value *result = read_text(job->row.result, &arena);
    const struct tm_json_value *error = read_text(job->row.error, &arena);
    const struct tm_json_value *warnings = read_text(job->row.warnings, &arena);
    const char *title = job->row.kind == TM_JOB_DRILL ? "Restore drill" : "Restore";
    tm_buf_add_text(out, head);
    tm_buf_add_fmt(out, "<title>%s</title></head>\n<body>\n<h1>%s</h1>\n", title, title);
    add_verdict(out, job, result);
    add_facts(out, job, result, error);
    add_table(out, "Checks", tm_json_get(result, "checks"), checks, 5);
    add_table(out, "Failures", tm_json_get(result, "failures"), notes, 4);
    add_table(out, "Topics", tm_json_get(result, "topics"), topics, 5);
    add_table(out, "Warnings", warnings, notes, 4);
    tm_buf_add_text(out, "</body></html>\n");
    tm_arena_done(&arena);
}

/* Answers ------------------------------------------------------------------------------------ */

/* Does Accept name text/html, before JSON? A browser's does; what says nothing gets JSON. */
static bool wants_page(const struct tm_request *request)
{
    const char *accept = tm_request_header(request, "Accept");
    const char *html = accept != NULL ? strcasestr(accept, "text/html") : NULL;
    const char *json = accept != NULL ? strcasestr(accept, "application/json") : NULL;
    return html != NULL && (json == NULL || html < json);
}

static void answer_page(struct tm_request *request, const struct tm_job_view *job)
{
    struct tm_buf page = {0};
    tm_report_page(job, &page);
    tm_request_add_header(request, "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    tm_request_add_header(request, "X-Content-Type-Options", "nosniff");
    tm_request_answer_text(request, 200, "text/html; charset=utf-8", &page);
}

static void job_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    if (job->row.kind != request->report_kind) {
        tm_problem_not_found(request, tm_job_kind_name(request->report_kind), request->name, NULL);
    } else if (wants_page(request)) {
        answer_page(request, job);
    } else {
        tm_request_answer_json(request, 200, tm_view_job(job));
    }
}

void tm_report_answer(struct tm_request *request, enum tm_job_kind kind)
{
    struct tm_id16 id;
    const char *own = kind == TM_JOB_DRILL ? "drl_" : "rst_";
    if (tm_problem_noted(request)) {
        return;
    }
    if (!tm_ulid_parse(request->name, own, &id) && !tm_ulid_parse(request->name, "job_", &id)) {
        tm_problem_not_found(request, tm_job_kind_name(kind), request->name, NULL);
        return;
    }
    request->report_kind = kind;
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->job(control->self, &id, 0, job_done, request);
}
