/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/vec.h"
#include "live.h"

enum { SERVERS_MAX = 3 };

struct listener {
    enum tm_api_kind kind;
    bool metrics_here;
    int fd; /* servers listen on copies of it */
};

struct server {
    struct tmd *tmd;
    struct tm_api *api; /* NULL: it has ended */
    bool leaving;       /* another one has its place */
    uv_poll_t poll;
    uv_timer_t timer;
};

struct tmd_http {
    struct listener listeners[SERVERS_MAX];
    struct server *servers[SERVERS_MAX]; /* one a listener */
    size_t count;
    TM_VEC(struct server *) before; /* they lie here until the loop has closed their handles */
    TM_VEC(struct tmd_tls *) tls_before;
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

static void end_server(struct server *server)
{
    (void)uv_poll_stop(&server->poll);
    (void)uv_timer_stop(&server->timer);
    tm_api_stop(server->api);
    server->api = NULL;
}

static void run(struct server *server)
{
    if (server->api == NULL) {
        return;
    }
    tm_api_run(server->api);
    if (server->leaving && tm_api_connections(server->api) == 0) {
        end_server(server);
        return;
    }
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
        run(http->servers[i]);
    }
    for (size_t i = 0; i < http->before.count; i++) {
        run(http->before.at[i]);
    }
}

/* A server that answers on `listener`, as `config` says. */
static enum tm_code start_server(struct tmd *tmd, const struct listener *listener,
        const struct tm_config *config, const struct tmd_tls *tls, struct server **out,
        struct tm_err *err)
{
    int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return tm_err_set(err, TM_E_IO, "listen once more: %s", tm_errno_text(errno));
    }
    struct tm_api_options options = {
            .kind = listener->kind,
            .listen_fd = fd,
            .control = tmd_control(tmd),
            .tokens = tmd->http->tokens,
            .token_count = tmd->config->server.token_count,
            .tls = listener->kind == TM_API_TCP ? tmd_tls_api(tls) : NULL,
            .max_body = (size_t)config->server.max_body,
            .max_connections = (unsigned)config->server.max_connections,
            .feed = tmd_live_feed(tmd),
            .rate_limit = config->server.rate_limit,
            .version = TM_VERSION,
            .ui = config->server.ui,
            .cors_origins = config->server.cors_origins,
            .cors_origin_count =
                    listener->kind == TM_API_TCP ? config->server.cors_origin_count : 0,
            .metrics_here = listener->metrics_here,
            .wake = wake,
            .wake_arg = tmd->http,
    };
    struct tm_api *api = NULL;
    TM_TRY(tm_api_start(&options, &api, err));
    struct server *server = tm_xalloc(1, sizeof(*server));
    server->tmd = tmd;
    server->api = api;
    *out = server;
    return TM_OK;
}

static void watch(struct server *server)
{
    server->poll.data = server;
    server->timer.data = server;
    uv_loop_t *loop = &server->tmd->loop;
    tm_assert(uv_timer_init(loop, &server->timer) == 0);
    tm_assert(uv_poll_init(loop, &server->poll, tm_api_fd(server->api)) == 0);
    tm_assert(uv_poll_start(&server->poll, UV_READABLE, readable) == 0);
    run(server);
}

static enum tm_code add_server(
        struct tmd *tmd, enum tm_api_kind kind, int fd, bool metrics_here, struct tm_err *err)
{
    struct tmd_http *http = tmd->http;
    struct listener *listener = &http->listeners[http->count];
    struct server *server = NULL;
    *listener = (struct listener){.kind = kind, .metrics_here = metrics_here, .fd = fd};
    enum tm_code code = start_server(tmd, listener, tmd->config, http->tls, &server, err);
    if (code != TM_OK) {
        tm_fd_close(&listener->fd);
        return code;
    }
    http->servers[http->count++] = server;
    watch(server);
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

/* Other servers at the same sockets ----------------------------------------------------------- */

static bool same_origins(const struct tm_config *a, const struct tm_config *b)
{
    bool same = a->server.cors_origin_count == b->server.cors_origin_count;
    for (size_t i = 0; same && i < a->server.cors_origin_count; i++) {
        same = strcmp(a->server.cors_origins[i], b->server.cors_origins[i]) == 0;
    }
    return same;
}

bool tmd_http_has_tls(const struct tmd *tmd, const struct tmd_tls *tls)
{
    return tmd_tls_same(tmd->http->tls, tls);
}

static bool is_served(
        const struct tmd *tmd, const struct tm_config *next, const struct tmd_tls *tls)
{
    const struct tm_config *now = tmd->config;
    return now->server.max_body == next->server.max_body &&
           now->server.max_connections == next->server.max_connections &&
           now->server.rate_limit == next->server.rate_limit && now->server.ui == next->server.ui &&
           same_origins(now, next) && tmd_http_has_tls(tmd, tls);
}

/* Its connections end when they have been answered; MHD takes its leave of the socket. */
static void retire(struct tmd_http *http, struct server *server)
{
    server->leaving = true;
    tm_api_quiesce(server->api);
    *tm_vec_push(&http->before) = server; /* NOLINT(bugprone-sizeof-expression) */
    run(server);
}

/* `fresh`: NULLs. By a failure none is left. */
static enum tm_code start_all(struct tmd *tmd, const struct tm_config *next,
        const struct tmd_tls *tls, struct server *fresh[SERVERS_MAX], struct tm_err *err)
{
    struct tmd_http *http = tmd->http;
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < http->count; i++) {
        code = start_server(tmd, &http->listeners[i], next, tls, &fresh[i], err);
    }
    for (size_t i = 0; code != TM_OK && i < http->count; i++) {
        if (fresh[i] != NULL) {
            tm_api_stop(fresh[i]->api);
            free(fresh[i]);
        }
    }
    return code;
}

enum tm_code tmd_http_adopt(
        struct tmd *tmd, const struct tm_config *next, struct tmd_tls *tls, struct tm_err *err)
{
    struct tmd_http *http = tmd->http;
    struct server *fresh[SERVERS_MAX] = {NULL};
    if (is_served(tmd, next, tls)) {
        tmd_tls_free(tls);
        return TM_OK;
    }
    enum tm_code code = start_all(tmd, next, tls, fresh, err);
    if (code != TM_OK) {
        tmd_tls_free(tls);
        return code;
    }
    /* Those that leave may hold on to it. */
    *tm_vec_push(&http->tls_before) = http->tls; /* NOLINT(bugprone-sizeof-expression) */
    http->tls = tls;
    for (size_t i = 0; i < http->count; i++) {
        tm_assert(fresh[i] != NULL); /* one a listener */
        retire(http, http->servers[i]);
        http->servers[i] = fresh[i];
        watch(fresh[i]);
    }
    return TM_OK;
}

static void set_tokens(struct tmd_http *http, struct server *server, size_t count)
{
    if (server->api != NULL) {
        tm_api_set_tokens(server->api, http->tokens, count);
    }
}

void tmd_http_take_tokens(struct tmd *tmd)
{
    struct tmd_http *http = tmd->http;
    struct tm_api_token *before = http->tokens;
    size_t count = tmd->config->server.token_count;
    copy_tokens(http, tmd->config);
    for (size_t i = 0; i < http->count; i++) {
        set_tokens(http, http->servers[i], count);
    }
    for (size_t i = 0; i < http->before.count; i++) {
        set_tokens(http, http->before.at[i], count);
    }
    free(before);
}

/* The end ------------------------------------------------------------------------------------- */

void tmd_http_quiesce(struct tmd *tmd)
{
    for (size_t i = 0; tmd->http != NULL && i < tmd->http->count; i++) {
        tm_fd_close(&tmd->http->listeners[i].fd);
        tm_api_quiesce(tmd->http->servers[i]->api);
        run(tmd->http->servers[i]);
    }
}

static unsigned connections(const struct server *server)
{
    return server->api != NULL ? tm_api_connections(server->api) : 0;
}

unsigned tmd_http_connections(const struct tmd *tmd)
{
    unsigned count = 0;
    for (size_t i = 0; tmd->http != NULL && i < tmd->http->count; i++) {
        count += connections(tmd->http->servers[i]);
    }
    for (size_t i = 0; tmd->http != NULL && i < tmd->http->before.count; i++) {
        count += connections(tmd->http->before.at[i]);
    }
    return count;
}

void tmd_http_stop(struct tmd *tmd)
{
    struct tmd_http *http = tmd->http;
    for (size_t i = 0; http != NULL && i < http->count; i++) {
        tm_fd_close(&http->listeners[i].fd);
        end_server(http->servers[i]);
    }
    for (size_t i = 0; http != NULL && i < http->before.count; i++) {
        end_server(http->before.at[i]);
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
    struct tmd_http *http = tmd->http;
    if (http == NULL) { /* after the loop has closed its handles, which lie in here */
        return;
    }
    for (size_t i = 0; i < http->count; i++) {
        free(http->servers[i]);
    }
    for (size_t i = 0; i < http->before.count; i++) {
        free(http->before.at[i]);
    }
    for (size_t i = 0; i < http->tls_before.count; i++) {
        tmd_tls_free(http->tls_before.at[i]);
    }
    tm_vec_done(&http->before);
    tm_vec_done(&http->tls_before);
    tmd_tls_free(http->tls);
    free(http->tokens);
    free(http);
}
