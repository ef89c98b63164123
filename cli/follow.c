/* SPDX-License-Identifier: Apache-2.0 */
/* A job of the daemon, followed to its end. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "output.h"

static char left_behind[160]; /* what a signal prints */

static void detach(int number)
{
    ssize_t ignored = write(STDERR_FILENO, left_behind, strlen(left_behind));
    (void)ignored;
    _exit(128 + number);
}

static const char *text_of(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_STRING ? value->string : "";
}

static bool has_ended(const char *state)
{
    return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

static void add_cell(const struct tm_json_value *job, const char *path, enum cli_cell cell,
        const char *before, const char *after, struct tm_buf *out)
{
    struct cli_column column = {"", path, cell};
    TM_BUF_OWN struct tm_buf text = {0};
    cli_cell_add(job, &column, &text);
    if (text.len > 0) {
        tm_buf_add_fmt(out, "%s%s%s", before, tm_buf_text(&text), after);
    }
}

static void add_line(const struct tm_json_value *job, struct tm_buf *out)
{
    const struct tm_json_value *progress = tm_json_get(job, "progress");
    tm_buf_add_fmt(out, "%s %s  ", text_of(job, "kind"), text_of(job, "id"));
    tm_buf_add_text(out, progress != NULL ? text_of(progress, "phase") : text_of(job, "state"));
    add_cell(job, "progress.done_ratio", CLI_CELL_RATIO, "  ", "", out);
    add_cell(job, "progress.done_messages", CLI_CELL_COUNT, "  ", "", out);
    add_cell(job, "progress.total_messages", CLI_CELL_COUNT, "/", " msg", out);
    add_cell(job, "progress.done_bytes", CLI_CELL_BYTES, "  ", "", out);
    add_cell(job, "progress.total_bytes", CLI_CELL_BYTES, "/", "", out);
    add_cell(job, "progress.throughput_bytes_per_second", CLI_CELL_BYTES, "  ", "/s", out);
    add_cell(job, "progress.eta_seconds", CLI_CELL_SECONDS, "  eta ", "", out);
}

/* What the end of a job means; a failure has been said. */
static int status_of(const struct tm_json_value *job)
{
    const char *state = text_of(job, "state");
    const struct tm_json_value *error = tm_json_get(job, "error");
    if (strcmp(state, "succeeded") == 0) {
        return CLI_DONE;
    }
    if (strcmp(state, "partial") == 0) {
        (void)fputs("tidemark: done in part; see failures\n", stderr);
        return CLI_REFUSED;
    }
    struct tm_err err = {0};
    (void)tm_err_set(&err, TM_E_IO, "%s: %s%s%s", text_of(job, "id"), state,
            error != NULL ? ": " : "", text_of(error, "detail"));
    bool wrong_key = strcmp(text_of(error, "code"), "wrong-key") == 0;
    return cli_fail_as(&err, wrong_key ? CLI_WRONG_KEY : CLI_FAILED);
}

int cli_follow(struct cli_client *client, const char *job, struct cli_reply *out)
{
    TM_BUF_OWN struct tm_buf path = {0};
    TM_BUF_OWN struct tm_buf line = {0};
    struct cli_ticker ticker;
    cli_ticker_start(&ticker);
    (void)snprintf(left_behind, sizeof(left_behind),
            "\nthe job goes on: tidemark jobs watch %.64s, or tidemark jobs cancel\n", job);
    const struct cli_query query[] = {{"wait", ticker.tty ? "1s" : "10s"}};
    const struct cli_request request = {.method = "GET",
            .path = cli_path("jobs", job, NULL, &path),
            .query = query,
            .query_count = 1};
    void (*before)(int) = signal(SIGINT, detach);
    int status = CLI_DONE;
    for (bool ended = false; status == CLI_DONE && !ended;) {
        status = cli_ask(client, &request, out);
        if (status == CLI_DONE && out->json == NULL) {
            break; /* --curl, or what is no JSON */
        }
        ended = status == CLI_DONE && has_ended(text_of(out->json, "state"));
        if (status == CLI_DONE && !ended) {
            tm_buf_clear(&line);
            add_line(out->json, &line);
            cli_ticker_show(&ticker, tm_buf_text(&line));
        }
    }
    cli_ticker_end(&ticker);
    (void)signal(SIGINT, before);
    return status == CLI_DONE && out->json != NULL ? status_of(out->json) : status;
}
