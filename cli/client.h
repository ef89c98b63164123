/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - asks the daemon over its control API, on the Unix socket or, with a token, over TCP.
 *
 * A refusal (application/problem+json) is printed, and becomes the exit status that its meaning has.
 * With --curl nothing is asked: the curl command that would do the same is printed instead.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_CLIENT_H
#define TM_CLI_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli.h"

struct cli_client_options {
    const char *server;     /* "https://HOST:PORT"; NULL: the socket */
    const char *token_file; /* needed with a server */
    const char *ca_file;
    const char *
            socket; /* NULL: what `config` says, else $TIDEMARK_SOCKET, else /run/tidemark/api.sock */
    const char *config;
    bool curl;
};

#define CLI_CLIENT_ROWS \
    {"server", required_argument, NULL, 'S'}, {"token-file", required_argument, NULL, 'T'}, \
            {"ca-file", required_argument, NULL, 'C'}, {"socket", required_argument, NULL, 'U'}, \
            {"config", required_argument, NULL, 'c'}, \
    { \
        "curl", no_argument, NULL, 'X' \
    }
bool cli_client_option(struct cli_client_options *options, int option);
#define CLI_CLIENT_HELP \
    "  --socket PATH        the daemon's socket; default $TIDEMARK_SOCKET, else " \
    "/run/tidemark/api.sock\n" \
    "  --config FILE        or the socket that this configuration names\n" \
    "  --server URL         or a daemon elsewhere, with --token-file F [--ca-file F]\n" \
    "  --curl               print the curl command that does the same, and do nothing\n"

struct cli_client;

/* CLI_DONE, or the status to end with, when what failed has been said. */
int cli_client_open(const struct cli_client_options *options, struct cli_client **out);
void cli_client_close(struct cli_client *client);
TM_OWNABLE(struct cli_client *, cli_client_close);

struct cli_query { /* of a URL: a parameter is left out where its value is NULL */
    const char *name;
    const char *value;
};

struct cli_request {
    const char *method;
    const char *path; /* "/v1/jobs/%s/cancel" is made by cli_path() */
    const struct cli_query *query;
    size_t query_count;
    const struct tm_json *body; /* NULL: none */
    bool if_match;              /* send "If-Match: *" */
    int64_t patience_ms;        /* how long the answer may take; 0: 30 s */
};

/* What came. Zeroed before, _done after, in any case. */
struct cli_reply {
    int status; /* 0: nothing was asked (--curl) */
    struct tm_buf text;
    const struct tm_json_value *json; /* the text, read; NULL: too large for that */
    struct tm_arena arena;
};
void cli_reply_done(struct cli_reply *reply);
#define CLI_REPLY_OWN __attribute__((cleanup(cli_reply_done)))

/* Ask. CLI_DONE with a 2xx answer (or --curl), else the status to end with; all has been said. */
int cli_ask(struct cli_client *client, const struct cli_request *request, struct cli_reply *out);

/* "/v1/<collection>/<id>[/<rest>]", `id` percent-encoded; in `out`. */
const char *cli_path(const char *collection, const char *id, const char *rest, struct tm_buf *out);

/*
 * Follow the job of the reply (its body is the job) to its end, with progress on standard error, and
 * put the job as it ended into `out`. Ctrl-C leaves the job alone and says how to go on. The status by
 * its state: CLI_DONE, CLI_REFUSED for partial, CLI_FAILED or what its error means.
 */
int cli_follow(struct cli_client *client, const char *job, struct cli_reply *out);

#endif
