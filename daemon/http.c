/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "live.h"
#include "tls.h"
#include "tmd.h"

enum { SERVERS_MAX = 3 };

struct server {
    struct tmd *tmd;
    struct tm_api *api;
    uv_poll_t poll;
    uv_timer_t timer;
};

struct tmd_http {
    struct server servers[SERVERS_MAX];
    size_t count;
    bool has_socket; /* we listen on server.socket: its name is ours to take away */
    uv_async_t wake;
    struct tm_api_token *tokens;
    struct tmd_tls *tls; /* NULL: none */
};

static void run(struct server *server);

static void timer_due(uv_timer_t *timer)
{
    run(timer->data);
}

static void run(struct server *server)
{
    tm_api_run(server->api);
    int64_t wait_ms = tm_api_timeout_ms(server->api); /* relative */
    if (wait_ms >= 0) {
        tm_assert(uv_timer_start(&server->timer, timer_due, (uint64_t)wait_ms, 0) == 0);
    } else {
        (void)uv_timer_stop(&server->timer);
    }
}

static void readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

/* An answer was given to a suspended request: run the servers from the loop, not from under it. */
static void wake(void *arg)
{
    struct tmd_http *http = arg;
    (void)uv_async_send(&http->wake);
}

static void woken(uv_async_t *async)
{
    struct tmd_http *http = async->data;
    for (size_t i = 0; i < http->count; i++) {
        run(&http->servers[i]);
    }
}

static enum tm_code add_server(
        struct tmd *tmd, enum tm_api_kind kind, int fd, bool metrics_here, struct tm_err *err)
{
    struct tmd_http *http = tmd->http;
    struct server *server = &http->servers[http->count];
    struct tm_api_options options = {
            .kind = kind,
            .listen_fd = fd,
            .control = tmd_control(tmd),
            .tokens = http->tokens,
            .token_count = tmd->config->server.token_count,
            .tls = kind == TM_API_TCP ? tmd_tls_api(http->tls) : NULL,
            .max_body = (size_t)tmd->config->server.max_body,
            .max_connections = (unsigned)tmd->config->server.max_connections,
            .feed = tmd_live_feed(tmd),
            .rate_limit = tmd->config->server.rate_limit,
            .version = TM_VERSION,
            .ui = tmd->config->server.ui,
            .cors_origins = tmd->config->server.cors_origins,
            .cors_origin_count = kind == TM_API_TCP ? tmd->config->server.cors_origin_count : 0,
            .metrics_here = metrics_here,
            .wake = wake,
            .wake_arg = http,
    };
    TM_TRY(tm_api_start(&options, &server->api, err));
    server->tmd = tmd;
    server->poll.data = server;
    server->timer.data = server;
    tm_assert(uv_timer_init(&tmd->loop, &server->timer) == 0);
    tm_assert(uv_poll_init(&tmd->loop, &server->poll, tm_api_fd(server->api)) == 0);
    tm_assert(uv_poll_start(&server->poll, UV_READABLE, readable) == 0);
    http->count++;
    run(server);
    return TM_OK;
}

static void copy_tokens(struct tmd_http *http, const struct tm_config *config)
{
    http->tokens = tm_xalloc(config->server.token_count + 1, sizeof(*http->tokens));
    for (size_t i = 0; i < config->server.token_count; i++) {
        const struct tm_config_token *token = &config->server.tokens[i];
        http->tokens[i] = (struct tm_api_token){
                .name = token->name,
                .scopes = token->scopes,
                .sha256 = token->sha256,
                .expires_ms = token->expires_ms,
                .narrow = {.policies = token->policies.at,
                        .policy_count = token->policies.count,
                        .clusters = token->clusters.at,
                        .cluster_count = token->clusters.count,
                        .targets = token->targets.at,
                        .target_count = token->targets.count},
        };
    }
}

static enum tm_code add_socket(struct tmd *tmd, struct tm_err *err)
{
    const struct tm_config *config = tmd->config;
    int fd = -1;
    if (config->server.socket[0] == '\0') {
        return TM_OK;
    }
    TM_TRY(tmd_listen_fd(config->server.socket, &fd, err));
    if (fd < 0) {
        TM_TRY(tm_api_listen_unix(config->server.socket, config->server.socket_group, &fd, err));
        tmd->http->has_socket = true;
    }
    return add_server(tmd, TM_API_SOCKET, fd, true, err);
}

static enum tm_code add_address(struct tmd *tmd, enum tm_api_kind kind, const char *address,
        bool metrics_here, struct tm_err *err)
{
    int fd = -1;
    if (address[0] == '\0') {
        return TM_OK;
    }
    TM_TRY(tm_api_listen_tcp(address, &fd, err));
    return add_server(tmd, kind, fd, metrics_here, err);
}

enum tm_code tmd_http_start(struct tmd *tmd, struct tm_err *err)
{
    const struct tm_config *config = tmd->config;
    bool metrics_apart = config->server.metrics_listen[0] != '\0';
    tmd->http = tm_xalloc(1, sizeof(*tmd->http));
    copy_tokens(tmd->http, config);
    tmd->http->wake.data = tmd->http;
    tm_assert(uv_async_init(&tmd->loop, &tmd->http->wake, woken) == 0);
    TM_TRY(tmd_tls_load(config, &tmd->http->tls, err));
    TM_TRY(add_socket(tmd, err));
    TM_TRY(add_address(tmd, TM_API_TCP, config->server.listen, !metrics_apart, err));
    return add_address(tmd, TM_API_METRICS, config->server.metrics_listen, true, err);
}

void tmd_http_take_tokens(struct tmd *tmd)
{
    struct tm_api_token *before = tmd->http->tokens;
    copy_tokens(tmd->http, tmd->config);
    for (size_t i = 0; i < tmd->http->count; i++) {
        tm_api_set_tokens(
                tmd->http->servers[i].api, tmd->http->tokens, tmd->config->server.token_count);
    }
    free(before);
}

void tmd_http_quiesce(struct tmd *tmd)
{
    for (size_t i = 0; tmd->http != NULL && i < tmd->http->count; i++) {
        tm_api_quiesce(tmd->http->servers[i].api);
        run(&tmd->http->servers[i]);
    }
}

unsigned tmd_http_connections(const struct tmd *tmd)
{
    unsigned count = 0;
    for (size_t i = 0; tmd->http != NULL && i < tmd->http->count; i++) {
        count += tm_api_connections(tmd->http->servers[i].api);
    }
    return count;
}

void tmd_http_stop(struct tmd *tmd)
{
    struct tmd_http *http = tmd->http;
    for (size_t i = 0; http != NULL && i < http->count; i++) {
        struct server *server = &http->servers[i];
        (void)uv_poll_stop(&server->poll);
        (void)uv_timer_stop(&server->timer);
        tm_api_stop(server->api);
        server->api = NULL;
    }
    tmd_http_remove_socket(tmd);
}

void tmd_http_remove_socket(const struct tmd *tmd)
{
    if (tmd->http != NULL && tmd->http->has_socket) { /* not that of a daemon before us */
        (void)unlink(tmd->config->server.socket);
    }
}

void tmd_http_free(struct tmd *tmd)
{
    if (tmd->http != NULL) { /* after the loop has closed its handles, which lie in here */
        tmd_tls_free(tmd->http->tls);
        free(tmd->http->tokens);
        free(tmd->http);
    }
}
