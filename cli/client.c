/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "http/http.h"
#include "secret_file.h"
#include "tm_config.h"

enum {
    ANSWER_MAX = 64 << 20,
    PATIENCE_MS = 30 * 1000,
    TOKEN_MAX = 512,
};

struct cli_client {
    struct tm_http *http;
    char *socket; /* NULL: over TCP */
    char *server; /* without a slash at its end */
    char *ca_file;
    char *token_file;
    char *bearer; /* "Bearer tm_...", in locked memory; NULL: none */
    bool curl;
};

bool cli_client_option(struct cli_client_options *options, int option)
{
    switch (option) {
    case 'S':
        options->server = optarg;
        return true;
    case 'T':
        options->token_file = optarg;
        return true;
    case 'C':
        options->ca_file = optarg;
        return true;
    case 'U':
        options->socket = optarg;
        return true;
    case 'c':
        options->config = optarg;
        return true;
    case 'X':
        options->curl = true;
        return true;
    default:
        return false;
    }
}

/* Opening ----------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
    char *made = text != NULL ? strdup(text) : NULL;
    tm_assert(text == NULL || made != NULL);
    return made;
}

static enum tm_code socket_of(const char *path, char **out, struct tm_err *err)
{
    struct tm_config_load_options options = {.path = path};
    struct tm_config_report report = {0};
    TM_OWN(tm_config_free) struct tm_config *config = NULL;
    enum tm_code code = tm_config_load(&options, &config, &report, err);
    tm_config_report_done(&report);
    TM_TRY(code);
    if (config->server.socket[0] == '\0') {
        return tm_err_set(err, TM_E_USAGE, "%s: server.socket is turned off; hint: --server", path);
    }
    *out = copy(config->server.socket);
    return TM_OK;
}

/* "Authorization: Bearer ..." of the one line that the file holds. */
static enum tm_code read_token(const char *path, char **out, struct tm_err *err)
{
    static const char before[] = "Bearer ";
    CLI_SECRET_OWN struct cli_secret line = {.room = NULL};
    TM_TRY(cli_secret_read(NULL, path, &line, err));
    struct tm_slice token = line.secret.bytes;
    for (size_t i = 0; i < token.len; i++) {
        if (token.at[i] <= ' ' || token.at[i] >= 0x7f || token.len > TOKEN_MAX) {
            return tm_err_set(err, TM_E_USAGE,
                    "%s: not a token: one line \"tm_...\", as tidemark token new prints it", path);
        }
    }
    char *bearer = tm_secret_new(sizeof(before) + token.len);
    memcpy(bearer, before, sizeof(before) - 1);
    memcpy(bearer + sizeof(before) - 1, token.at, token.len);
    bearer[sizeof(before) - 1 + token.len] = '\0';
    *out = bearer;
    return TM_OK;
}

static enum tm_code fill(
        const struct cli_client_options *options, struct cli_client *client, struct tm_err *err)
{
    client->curl = options->curl;
    client->ca_file = copy(options->ca_file);
    client->token_file = copy(options->token_file);
    if (options->server != NULL) {
        client->server = copy(options->server);
        size_t len = strlen(client->server);
        while (len > 0 && client->server[len - 1] == '/') {
            client->server[--len] = '\0';
        }
    } else if (options->socket == NULL && options->config != NULL) {
        TM_TRY(socket_of(options->config, &client->socket, err));
    } else {
        const char *usual = cli_environment("TIDEMARK_SOCKET");
        usual = usual != NULL && usual[0] != '\0' ? usual : "/run/tidemark/api.sock";
        client->socket = copy(options->socket != NULL ? options->socket : usual);
    }
    if (options->token_file != NULL && !client->curl) {
        TM_TRY(read_token(options->token_file, &client->bearer, err));
    }
    struct tm_http_options http = {.ca_file = options->ca_file,
            .unix_socket = client->socket,
            .user_agent = "tidemark",
            .stall_timeout_ms = 2 * PATIENCE_MS};
    client->http = tm_http_new(&http);
    return TM_OK;
}

int cli_client_open(const struct cli_client_options *options, struct cli_client **out)
{
    struct tm_err err = {0};
    struct cli_client *client = tm_xalloc(1, sizeof(*client));
    if (fill(options, client, &err) != TM_OK) {
        cli_client_close(client);
        return cli_fail(&err);
    }
    *out = client;
    return CLI_DONE;
}

void cli_client_close(struct cli_client *client)
{
    if (client != NULL) {
        tm_http_free(client->http);
        tm_secret_free(client->bearer);
        free(client->socket);
        free(client->server);
        free(client->ca_file);
        free(client->token_file);
        free(client);
    }
}

/* URLs -------------------------------------------------------------------------------------- */

static void add_encoded(const char *text, struct tm_buf *out)
{
    for (; *text != '\0'; text++) {
        char c = *text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) != NULL;
        if (plain) {
            tm_buf_add_u8(out, (uint8_t)c);
        } else {
            tm_buf_add_fmt(out, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

const char *cli_path(const char *collection, const char *id, const char *rest, struct tm_buf *out)
{
    tm_buf_clear(out);
    tm_buf_add_fmt(out, "/v1/%s/", collection);
    add_encoded(id, out);
    if (rest != NULL) {
        tm_buf_add_fmt(out, "/%s", rest);
    }
    return tm_buf_text(out);
}

static void add_url(
        const struct cli_client *client, const struct cli_request *request, struct tm_buf *out)
{
    tm_buf_add_fmt(out, "%s%s", client->server != NULL ? client->server : "http://localhost",
            request->path);
    char separator = '?';
    for (size_t i = 0; i < request->query_count; i++) {
        if (request->query[i].value != NULL) {
            tm_buf_add_fmt(out, "%c%s=", separator, request->query[i].name);
            add_encoded(request->query[i].value, out);
            separator = '&';
        }
    }
}

/* As a shell reads it back. */
static void add_quoted(const char *text, struct tm_buf *out)
{
    tm_buf_add_text(out, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            tm_buf_add_text(out, "'\\''");
        } else {
            tm_buf_add_u8(out, (uint8_t)*text);
        }
    }
    tm_buf_add_text(out, "'");
}

static void print_curl(const struct cli_client *client, const struct cli_request *request,
        const char *url, const char *body)
{
    TM_BUF_OWN struct tm_buf line = {0};
    tm_buf_add_text(&line, "curl -sS --fail-with-body");
    if (client->socket != NULL) {
        tm_buf_add_text(&line, " --unix-socket ");
        add_quoted(client->socket, &line);
    }
    if (client->ca_file != NULL) {
        tm_buf_add_text(&line, " --cacert ");
        add_quoted(client->ca_file, &line);
    }
    if (client->token_file != NULL) { /* its content does not belong on a command line */
        tm_buf_add_text(&line, " -H \"Authorization: Bearer $(cat ");
        add_quoted(client->token_file, &line);
        tm_buf_add_text(&line, ")\"");
    }
    if (strcmp(request->method, "GET") != 0) {
        tm_buf_add_fmt(&line, " -X %s", request->method);
    }
    if (request->if_match) {
        tm_buf_add_text(&line, " -H 'If-Match: *'");
    }
    if (body != NULL) {
        tm_buf_add_text(&line, " -H 'Content-Type: application/json' -d ");
        add_quoted(body, &line);
    }
    tm_buf_add_text(&line, " ");
    add_quoted(url, &line);
    (void)printf("%s\n", tm_buf_text(&line));
}

/* Refusals ---------------------------------------------------------------------------------- */

static int status_of(int http, const char *slug)
{
    if (strcmp(slug, "wrong-key") == 0) {
        return CLI_WRONG_KEY;
    }
    switch (http) {
    case 401:
    case 403:
        return CLI_DENIED;
    case 404:
    case 410:
        return CLI_MISSING;
    case 409:
    case 412:
        return CLI_CONFLICT;
    case 400:
    case 413:
    case 422:
        return CLI_USE;
    case 429:
    case 503:
        return CLI_AGAIN;
    default:
        return CLI_FAILED;
    }
}

static const char *text_of(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_STRING ? value->string : "";
}

/* Say what a problem says; the status that it means. */
static int refused(int http, const struct tm_json_value *problem)
{
    const char *type = text_of(problem, "type");
    const char *slash = strrchr(type, '/');
    const char *slug = slash != NULL ? slash + 1 : type;
    const char *detail = text_of(problem, "detail");
    struct tm_err err = {0};
    (void)tm_err_set(&err, TM_E_IO, "%s (%s%s%d)", detail[0] != '\0' ? detail : "refused", slug,
            slug[0] != '\0' ? ", " : "", http);
    int status = cli_fail_as(&err, status_of(http, slug));
    const struct tm_json_value *errors = tm_json_get(problem, "errors");
    bool several = errors != NULL && errors->count > 1; /* one is the detail */
    for (const struct tm_json_value *at = several ? errors->first : NULL; at != NULL;
            at = at->next) {
        const char *where = text_of(at, "pointer");
        (void)fprintf(
                stderr, "  %s%s%s\n", where, where[0] != '\0' ? ": " : "", text_of(at, "detail"));
    }
    return status;
}

/* Asking ------------------------------------------------------------------------------------ */

void cli_reply_done(struct cli_reply *reply)
{
    tm_buf_done(&reply->text);
    tm_arena_done(&reply->arena);
    reply->json = NULL;
}

static enum tm_code send(struct cli_client *client, const struct cli_request *request,
        const char *url, const char *body, struct tm_http_response *response, struct tm_err *err)
{
    struct tm_http_header headers[3];
    size_t count = 0;
    if (body != NULL) {
        headers[count++] = (struct tm_http_header){"Content-Type", "application/json"};
    }
    if (client->bearer != NULL) {
        headers[count++] = (struct tm_http_header){"Authorization", client->bearer};
    }
    if (request->if_match) {
        headers[count++] = (struct tm_http_header){"If-Match", "*"};
    }
    struct tm_http_request sent = {
            .method = request->method,
            .url = url,
            .headers = headers,
            .header_count = count,
            .body = body != NULL ? tm_slice_str(body) : TM_SLICE_NULL,
            .max_bytes = ANSWER_MAX,
            .timeout_ms = request->patience_ms > 0 ? request->patience_ms : PATIENCE_MS,
    };
    return tm_http_send(client->http, &sent, response, err);
}

static int unreachable(const struct cli_client *client, struct tm_err *err)
{
    if (client->socket != NULL && access(client->socket, R_OK | W_OK) != 0) {
        int sys_errno = errno; /* says more than curl, which knows of a "localhost" alone */
        *err = (struct tm_err){0};
        (void)tm_err_set(err, TM_E_IO, "%s: %s; hint: is tidemarkd running?", client->socket,
                tm_errno_text(sys_errno));
    } else if (client->socket != NULL) {
        (void)tm_err_wrap(err, "%s: no daemon answers", client->socket);
    }
    return cli_fail_as(err, CLI_UNREACHABLE);
}

int cli_ask(struct cli_client *client, const struct cli_request *request, struct cli_reply *out)
{
    TM_BUF_OWN struct tm_buf url = {0};
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    struct tm_err err = {0};
    add_url(client, request, &url);
    char *body = request->body != NULL ? tm_json_text(request->body) : NULL;
    cli_reply_done(out);
    out->status = 0;
    if (client->curl) {
        print_curl(client, request, tm_buf_text(&url), body);
        free(body);
        return CLI_DONE;
    }
    enum tm_code code = send(client, request, tm_buf_text(&url), body, &response, &err);
    free(body);
    if (code != TM_OK) {
        return response.status == 0 ? unreachable(client, &err) : cli_fail(&err);
    }
    struct tm_err ignored = {0};
    out->status = response.status;
    tm_buf_add(&out->text, response.body.at, response.body.len);
    if (tm_json_read(tm_buf_slice(&out->text), &out->arena, &out->json, NULL, &ignored) != TM_OK) {
        out->json = NULL;
    }
    return out->status / 100 == 2 ? CLI_DONE : refused(out->status, out->json);
}
