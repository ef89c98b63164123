/* SPDX-License-Identifier: Apache-2.0 */
#include "asks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { PAGE = 500, QUERY_MAX = 12, ROWS_MAX = 100000 };

static int print_reply(const struct cli_args *args, const struct cli_reply *reply,
        void (*table)(const struct tm_json_value *whole))
{
    if (reply->status == 0) {
        return CLI_DONE; /* --curl */
    }
    if (args->output.json) {
        (void)puts(tm_buf_text(&reply->text));
    } else if (reply->json == NULL) {
        struct tm_err err = {0};
        (void)tm_err_set(&err, TM_E_LIMIT, "the answer is too large for a table; hint: -o json");
        return cli_fail(&err);
    } else if (table != NULL) {
        table(reply->json);
    }
    return CLI_DONE;
}

int cli_ask_and_print(const struct cli_args *args, const struct cli_request *request,
        void (*table)(const struct tm_json_value *whole))
{
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    int status = cli_client_open(&args->client, &client);
    if (status == CLI_DONE) {
        status = cli_ask(client, request, &reply);
    }
    return status == CLI_DONE ? print_reply(args, &reply, table) : status;
}

int cli_ask_job(const struct cli_args *args, const struct cli_request *request,
        void (*table)(const struct tm_json_value *job))
{
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    CLI_REPLY_OWN struct cli_reply ended = {0};
    int status = cli_client_open(&args->client, &client);
    if (status == CLI_DONE) {
        status = cli_ask(client, request, &reply);
    }
    if (status != CLI_DONE || reply.status == 0) {
        return status;
    }
    const struct tm_json_value *id = tm_json_get(reply.json, "id");
    if (id == NULL || id->kind != TM_JSON_STRING) {
        struct tm_err err = {0};
        (void)tm_err_set(&err, TM_E_VERSION, "the daemon's answer names no job");
        return cli_fail(&err);
    }
    if (cli_arg(args, "no-wait") != NULL) {
        (void)printf("%s\n", args->output.json ? tm_buf_text(&reply.text) : id->string);
        return CLI_DONE;
    }
    status = cli_follow(client, id->string, &ended);
    if (ended.status / 100 == 2) { /* what a failed job found is printed too */
        int printed = print_reply(args, &ended, table);
        status = status == CLI_DONE ? printed : status;
    }
    return status;
}

int cli_run_about(
        const struct cli_command *command, const struct cli_about *about, int argc, char **argv)
{
    const struct cli_takes takes = {
            .client = true, .options = about->job ? "wait no-wait" : "", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    struct cli_request request = {.method = about->method,
            .path = cli_path(about->collection, args.operands[0], about->rest, &path)};
    return about->job ? cli_ask_job(&args, &request, about->table)
                      : cli_ask_and_print(&args, &request, about->table);
}

/* Lists -------------------------------------------------------------------------------------- */

struct pages {
    const struct cli_args *args;
    struct cli_client *client;
    struct cli_query query[QUERY_MAX];
    size_t query_count; /* the last two are limit and cursor */
    const char *path;
    int64_t left;       /* rows still wanted */
    struct tm_buf rows; /* the elements so far, with commas */
    char cursor[512];   /* "": no more pages */
};

/* Where the text of the first array named "items" begins and ends: rows are passed on as they came. */
static struct tm_slice items_of(const struct tm_buf *text)
{
    static const char before[] = "\"items\":[";
    const char *at = strstr(tm_buf_text(text), before);
    if (at == NULL) {
        return TM_SLICE_NULL;
    }
    at += sizeof(before) - 1;
    int depth = 0;
    bool quoted = false;
    for (const char *end = at; *end != '\0'; end++) {
        if (quoted && *end == '\\' && end[1] != '\0') {
            end++;
        } else if (quoted) {
            quoted = *end != '"';
        } else if (*end == '"') {
            quoted = true;
        } else if (*end == ']' && depth == 0) {
            return tm_slice_of(at, (size_t)(end - at));
        } else {
            depth += (*end == '[' || *end == '{') - (*end == ']' || *end == '}');
        }
    }
    return TM_SLICE_NULL;
}

static int ask_page(struct pages *pages, int64_t rows)
{
    CLI_REPLY_OWN struct cli_reply reply = {0};
    char limit[24];
    (void)snprintf(limit, sizeof(limit), "%" PRId64, rows);
    pages->query[pages->query_count - 2] = (struct cli_query){"limit", limit};
    pages->query[pages->query_count - 1] =
            (struct cli_query){"cursor", pages->cursor[0] != '\0' ? pages->cursor : NULL};
    struct cli_request request = {.method = "GET",
            .path = pages->path,
            .query = pages->query,
            .query_count = pages->query_count};
    int status = cli_ask(pages->client, &request, &reply);
    pages->cursor[0] = '\0';
    if (status != CLI_DONE || reply.status == 0) {
        return status;
    }
    struct tm_slice items = items_of(&reply.text);
    const struct tm_json_value *cursor = tm_json_get(reply.json, "next_cursor");
    const struct tm_json_value *list = tm_json_get(reply.json, "items");
    pages->left -= list != NULL ? (int64_t)list->count : pages->left;
    if (items.len > 0) {
        tm_buf_add_text(&pages->rows, pages->rows.len > 0 ? "," : "");
        tm_buf_add(&pages->rows, items.at, items.len);
    }
    if (cursor != NULL && cursor->kind == TM_JSON_STRING) {
        (void)snprintf(pages->cursor, sizeof(pages->cursor), "%s", cursor->string);
    }
    return CLI_DONE;
}

static int print_pages(const struct pages *pages, void (*table)(const struct tm_json_value *whole))
{
    CLI_REPLY_OWN struct cli_reply whole = {.status = 200};
    struct tm_err ignored = {0};
    tm_buf_add_fmt(&whole.text, "{\"items\":[%s]}", tm_buf_text(&pages->rows));
    if (tm_json_read(tm_buf_slice(&whole.text), &whole.arena, &whole.json, NULL, &ignored) !=
            TM_OK) {
        whole.json = NULL;
    }
    return print_reply(pages->args, &whole, table);
}

int cli_ask_list(const struct cli_args *args, const char *path, const struct cli_query *query,
        size_t query_count, void (*table)(const struct tm_json_value *whole))
{
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    struct pages pages = {.args = args, .path = path, .query_count = query_count + 2, .left = 50};
    const char *limit = cli_arg(args, "limit");
    struct tm_err err = {0};
    tm_assert(pages.query_count <= QUERY_MAX);
    memcpy(pages.query, query, query_count * sizeof(*query));
    if (cli_arg(args, "all") != NULL) {
        pages.left = ROWS_MAX;
    } else if (limit != NULL && (tm_parse_i64(limit, &pages.left, &err) != TM_OK ||
                                        pages.left < 1 || pages.left > ROWS_MAX)) {
        err = (struct tm_err){0};
        (void)tm_err_set(&err, TM_E_USAGE, "--limit takes 1 to %d", (int)ROWS_MAX);
        return cli_fail(&err);
    }
    int status = cli_client_open(&args->client, &client);
    pages.client = client;
    for (bool more = true; status == CLI_DONE && more;) {
        status = ask_page(&pages, pages.left < PAGE ? pages.left : PAGE);
        more = pages.cursor[0] != '\0' && pages.left > 0;
    }
    if (status == CLI_DONE && !args->client.curl) {
        status = print_pages(&pages, table);
    }
    tm_buf_done(&pages.rows);
    return status;
}

void cli_add_all(
        struct tm_json *body, const char *key, const struct cli_args *args, const char *option)
{
    struct tm_json *list = NULL;
    size_t at = 0;
    for (const char *value; (value = cli_arg_next(args, option, &at)) != NULL;) {
        list = list != NULL ? list : tm_json_add(body, key, tm_json_array());
        tm_json_push_str(list, value);
    }
}
