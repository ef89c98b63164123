/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "asks.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

static const struct cli_column topics[] = {
        {"SOURCE", "source", CLI_CELL_TEXT},
        {"TARGET", "target", CLI_CELL_TEXT},
        {"PARTITIONS", "partitions_count", CLI_CELL_COUNT},
        {"MESSAGES", "messages_count", CLI_CELL_COUNT},
        {"SIZE", "source_bytes", CLI_CELL_BYTES},
        {"ACTIONS", "actions", CLI_CELL_TEXT},
};

/* "head" and a line a note. */
static void print_notes(const char *head, const struct tm_json_value *notes)
{
    static const struct cli_column columns[] = {
            {"CODE", "code", CLI_CELL_TEXT},
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"PARTITION", "partition", CLI_CELL_COUNT},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    if (notes != NULL && notes->count > 0) {
        (void)printf("\n%s\n", head);
        cli_print_rows(notes, columns, COUNT(columns));
    }
}

void cli_print_plan(const struct tm_json_value *plan)
{
    static const struct cli_column columns[] = {
            {"point", "recovery_point", CLI_CELL_TEXT},
            {"captured", "resolved_at", CLI_CELL_TIME},
            {"messages", "messages_count", CLI_CELL_COUNT},
            {"size", "write_bytes", CLI_CELL_BYTES},
            {"plan", "plan_digest", CLI_CELL_TEXT},
    };
    cli_print_sheet(plan, columns, COUNT(columns));
    (void)puts("");
    cli_print_rows(tm_json_get(plan, "topics"), topics, COUNT(topics));
    print_notes("warnings", tm_json_get(plan, "warnings"));
    print_notes("in the way", tm_json_get(plan, "blocking"));
}

/* The one sentence that a report is made for. */
static void print_verdict(const struct tm_json_value *job)
{
    const struct tm_json_value *result = tm_json_get(job, "result");
    const struct tm_json_value *proof = tm_json_get(result, "proof");
    const struct tm_json_value *count = tm_json_get(result, "messages_count");
    TM_BUF_OWN struct tm_buf text = {0};
    static const struct cli_column messages = {"", "messages_count", CLI_CELL_COUNT};
    if (proof == NULL || proof->kind != TM_JSON_STRING || count == NULL) {
        return;
    }
    cli_cell_add(result, &messages, &text);
    if (strcmp(proof->string, "identical") == 0) {
        (void)printf("identical, %s records\n\n", tm_buf_text(&text));
    } else {
        (void)puts("NOT PROVED: what was restored differs, or could not be read back; see "
                   "failures\n");
    }
}

void cli_print_report(const struct tm_json_value *job)
{
    static const struct cli_column columns[] = {
            {"job", "id", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"point", "result.recovery_point", CLI_CELL_TEXT},
            {"cluster", "result.target_cluster", CLI_CELL_TEXT},
            {"requested by", "requested_by", CLI_CELL_TEXT},
            {"started", "started_at", CLI_CELL_TIME},
            {"finished", "finished_at", CLI_CELL_TIME},
            {"recovery time", "result.duration_seconds", CLI_CELL_SECONDS},
            {"messages", "result.messages_count", CLI_CELL_COUNT},
            {"written", "result.written_messages_count", CLI_CELL_COUNT},
            {"written bytes", "result.written_bytes", CLI_CELL_BYTES},
            {"error", "error.detail", CLI_CELL_TEXT},
    };
    static const struct cli_column checks[] = {
            {"CHECK", "name", CLI_CELL_TEXT},
            {"RESULT", "result", CLI_CELL_TEXT},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    const struct tm_json_value *result = tm_json_get(job, "result");
    print_verdict(job);
    cli_print_sheet(job, columns, COUNT(columns));
    if (tm_json_get(result, "checks") != NULL) {
        (void)puts("");
        cli_print_rows(tm_json_get(result, "checks"), checks, COUNT(checks));
    }
    if (tm_json_get(result, "topics") != NULL) {
        (void)puts("");
        cli_print_rows(tm_json_get(result, "topics"), topics, COUNT(topics) - 1);
    }
    print_notes("failures", tm_json_get(result, "failures"));
    print_notes("warnings", tm_json_get(job, "warnings"));
}

static int run_report(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "GET", .collection = "jobs", .table = cli_print_report};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_report = {
        .words = "report",
        .operands = "JOB",
        .does = "what came of a restore or a drill, and its proof",
        .help = "Show the report of a restore or a drill: whether what was restored is identical, "
                "topic by topic,\n"
                "and each difference by partition and offset. As a page for a browser or a "
                "printer:\n"
                "GET /v1/restores/JOB with Accept: text/html.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark report job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark report rst_01K9ZQ4V6M3T8R2X7B5N1C0D9E -o json\n",
        .run = run_report,
};
