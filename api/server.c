/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "channel.h"
#include "exchange.h"
#include "limits.h"
#include "tls.h"

enum {
    SERVER_MAGIC = 0x746d5356,
    PEER_MAGIC = 0x746d5045,
    BODY_MAX = 1 << 20,
    CONNECTIONS_MAX = 128,
    HEADER_MS = 30000,
    IDLE_SECONDS = 30,         /* without a byte moving, by MHD */
    CONNECTION_MEMORY = 32768, /* first line and headers */
    EVENTS = 64,
};

struct tm_api *tm_server_of(void *cls)
{
    struct tm_api *api = cls;
    tm_assert(api != NULL && api->magic == SERVER_MAGIC);
    return api;
}

struct tm_peer *tm_server_peer_of(void *cls)
{
    struct tm_peer *peer = cls;
    tm_assert(peer != NULL && peer->magic == PEER_MAGIC);
    return peer;
}

/* Connections ------------------------------------------------------------------------------ */

static void begin_peer(struct tm_api *api, struct MHD_Connection *connection, void **slot)
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct tm_peer *peer = tm_xalloc(1, sizeof(*peer));
    peer->magic = PEER_MAGIC;
    peer->api = api;
    peer->fd = info->connect_fd;
    peer->deadline_ns = tm_mono_ns() + api->options.header_ms * 1000000;
    tm_auth_learn_peer(peer);
    LIST_INSERT_HEAD(&api->peers, peer, beside);
    api->peer_count++;
    *slot = peer;
}

static void end_peer(struct tm_api *api, void **slot)
{
    struct tm_peer *peer = tm_server_peer_of(*slot);
    LIST_REMOVE(peer, beside);
    api->peer_count--;
    peer->magic = 0;
    free(peer);
    *slot = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **slot,
        enum MHD_ConnectionNotificationCode what)
{
    struct tm_api *api = tm_server_of(cls);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        begin_peer(api, connection, slot);
    } else if (*slot != NULL) {
        end_peer(api, slot);
    }
}

/* MHD closes a connection whose other end is shut; it offers no call for that. */
static void drop_peer(struct tm_peer *peer)
{
    peer->deadline_ns = 0;
    (void)shutdown(peer->fd, SHUT_RDWR);
}

static void drop_late_peers(struct tm_api *api)
{
    int64_t now_ns = tm_mono_ns();
    struct tm_peer *peer;
    LIST_FOREACH(peer, &api->peers, beside)
    {
        if (peer->deadline_ns != 0 && now_ns >= peer->deadline_ns) {
            drop_peer(peer);
        }
    }
}

/* Starting --------------------------------------------------------------------------------- */

static void log_line(void *cls, const char *fmt, va_list args)
{
    (void)cls;
    char text[TM_ERR_MSG_MAX];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* MHD's own formats */
    (void)vsnprintf(text, sizeof(text), fmt, args);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    tm_log(TM_LOG_DEBUG, "api.http", text, TM_LOG_END);
}

enum { TLS_OPTIONS = 5 };

/* MHD's options for TLS, and none without it. */
static void list_tls(const struct tm_api_tls *tls, struct MHD_OptionItem out[TLS_OPTIONS])
{
    static const char versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    union {
        const char *from;
        void *to;
    } text;
    size_t count = 0;
    if (tls != NULL) {
        text.from = tls->cert_pem;
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, text.to};
        text.from = tls->key_pem;
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, text.to};
        text.from = versions;
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, text.to};
    }
    if (tls != NULL && tls->client_ca_pem != NULL) {
        text.from = tls->client_ca_pem;
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, text.to};
    }
    out[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

static enum tm_code start_mhd(struct tm_api *api, struct tm_err *err)
{
    const struct tm_api_tls *tls = api->options.tls;
    struct MHD_OptionItem secure[TLS_OPTIONS];
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                     (tls != NULL ? MHD_USE_TLS : 0);
    list_tls(tls, secure);
    api->mhd = MHD_start_daemon(flags, 0, NULL, NULL, tm_exchange_step, api,
            MHD_OPTION_EXTERNAL_LOGGER, log_line, NULL, MHD_OPTION_LISTEN_SOCKET,
            (MHD_socket)api->listen_fd, MHD_OPTION_NOTIFY_CONNECTION, on_connection, api,
            MHD_OPTION_URI_LOG_CALLBACK, tm_exchange_begin, api, MHD_OPTION_NOTIFY_COMPLETED,
            tm_exchange_end, api, MHD_OPTION_CONNECTION_LIMIT, api->options.max_connections,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, secure, MHD_OPTION_END);
    if (api->mhd == NULL) { /* and has closed the listening socket */
        return tm_err_set(err, TM_E_IO, "start the HTTP server: %s", tm_errno_text(errno));
    }
    struct epoll_event event = {.events = EPOLLIN};
    int inner = MHD_get_daemon_info(api->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    if (epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, inner, &event) != 0) {
        return tm_err_set(err, TM_E_IO, "watch the HTTP server: %s", tm_errno_text(errno));
    }
    return TM_OK;
}

enum tm_code tm_api_start(
        const struct tm_api_options *options, struct tm_api **out, struct tm_err *err)
{
    struct tm_api *api = tm_xalloc(1, sizeof(*api));
    api->magic = SERVER_MAGIC;
    api->options = *options;
    api->listen_fd = options->listen_fd;
    if (api->options.max_body == 0) {
        api->options.max_body = BODY_MAX;
    }
    if (api->options.max_connections == 0) {
        api->options.max_connections = CONNECTIONS_MAX;
    }
    if (api->options.header_ms == 0) {
        api->options.header_ms = HEADER_MS;
    }
    api->limits = tm_limits_new(api->options.rate_limit);
    tm_auth_learn_listener(api);
    enum tm_code code = options->tls != NULL ? tm_tls_check(options->tls, err) : TM_OK;
    api->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (code != TM_OK) {
        (void)close(api->listen_fd);
    } else if (api->epoll_fd < 0) {
        code = tm_err_set(err, TM_E_IO, "make an epoll descriptor: %s", tm_errno_text(errno));
        (void)close(api->listen_fd);
    } else {
        code = start_mhd(api, err);
    }
    if (code != TM_OK) {
        tm_api_stop(api);
        return code;
    }
    *out = api;
    return TM_OK;
}

/* Running ---------------------------------------------------------------------------------- */

int tm_api_fd(const struct tm_api *api)
{
    return api->epoll_fd;
}

unsigned tm_api_connections(const struct tm_api *api)
{
    return api->peer_count;
}

void tm_server_wake(struct tm_api *api)
{
    api->resumed = true;
    if (api->options.wake != NULL) {
        api->options.wake(api->options.wake_arg);
    }
}

void tm_server_watch(struct tm_request *request)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = request};
    request->watched =
            epoll_ctl(request->api->epoll_fd, EPOLL_CTL_ADD, request->peer->fd, &event) == 0;
}

void tm_server_unwatch(struct tm_request *request)
{
    if (request->watched) {
        request->watched = false;
        (void)epoll_ctl(request->api->epoll_fd, EPOLL_CTL_DEL, request->peer->fd, NULL);
    }
}

static void end_wait(struct tm_request *request)
{
    tm_server_unwatch(request);
    if (request->channel != NULL) {
        tm_channel_end(request->channel);
    } else if (request->end_wait != NULL) {
        request->end_wait(request);
    }
}

/* A client that has closed its end waits no longer. Should it only be half closed, it is answered. */
static void end_lost_waits(struct tm_api *api)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(api->epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr != NULL) {
            end_wait(tm_request_of(events[i].data.ptr));
        }
    }
}

/* Answers that were held back and whose time has come, and streams in which nothing has moved for long. */
static void let_go(struct tm_api *api)
{
    int64_t now_ns = tm_mono_ns();
    struct tm_request *request;
    LIST_FOREACH(request, &api->requests, beside)
    {
        if (request->channel != NULL) {
            tm_channel_keep_alive(request->channel, now_ns);
        } else if (request->suspended && request->answered && now_ns >= request->held_until_ns) {
            request->suspended = false;
            MHD_resume_connection(request->connection);
        }
    }
}

void tm_api_run(struct tm_api *api)
{
    api->resumed = false;
    end_lost_waits(api);
    drop_late_peers(api);
    let_go(api);
    (void)MHD_run(api->mhd);
}

/* The shorter of a wait, -1 being none, and the time until `at_ns`. */
static int64_t until(int64_t timeout_ms, int64_t at_ns, int64_t now_ns)
{
    int64_t left_ms = (at_ns - now_ns) / 1000000 + 1;
    left_ms = left_ms > 0 ? left_ms : 0;
    return timeout_ms < 0 || left_ms < timeout_ms ? left_ms : timeout_ms;
}

int64_t tm_api_timeout_ms(const struct tm_api *api)
{
    MHD_UNSIGNED_LONG_LONG mhd_ms = 0;
    int64_t timeout_ms = -1;
    if (api->resumed) {
        return 0;
    }
    if (MHD_get_timeout(api->mhd, &mhd_ms) == MHD_YES) {
        timeout_ms = (int64_t)mhd_ms;
    }
    int64_t now_ns = tm_mono_ns();
    const struct tm_peer *peer;
    LIST_FOREACH(peer, &api->peers, beside)
    {
        timeout_ms =
                peer->deadline_ns != 0 ? until(timeout_ms, peer->deadline_ns, now_ns) : timeout_ms;
    }
    const struct tm_request *request;
    LIST_FOREACH(request, &api->requests, beside)
    {
        bool waits = request->suspended && request->answered;
        int64_t due_ns =
                request->channel != NULL ? request->channel->alive_ns : request->held_until_ns;
        timeout_ms = waits ? until(timeout_ms, due_ns, now_ns) : timeout_ms;
    }
    return timeout_ms;
}

/* Stopping --------------------------------------------------------------------------------- */

void tm_api_set_tokens(struct tm_api *api, const struct tm_api_token *tokens, size_t count)
{
    api->options.tokens = tokens;
    api->options.token_count = count;
}

void tm_api_quiesce(struct tm_api *api)
{
    if (api->quiesced) {
        return;
    }
    api->quiesced = true;
    (void)MHD_quiesce_daemon(api->mhd);
    (void)close(api->listen_fd);
    api->listen_fd = -1;

    struct tm_request *request;
    LIST_FOREACH(request, &api->requests, beside)
    {
        end_wait(request);
    }
    struct tm_peer *peer;
    LIST_FOREACH(peer, &api->peers, beside)
    {
        if (!peer->busy) {
            drop_peer(peer);
        }
    }
}

/* MHD cannot be stopped with suspended connections; what they wait for is called off. */
static void release(struct tm_api *api)
{
    const struct tm_control *control = &api->options.control;
    struct tm_request *request;
    LIST_FOREACH(request, &api->requests, beside)
    {
        if (request->end_wait != NULL) {
            request->end_wait = NULL;
            control->ops->job_forget(control->self, request);
            tm_request_forget(request);
        }
        if (request->suspended) {
            request->suspended = false;
            MHD_resume_connection(request->connection);
        }
    }
}

void tm_api_stop(struct tm_api *api)
{
    if (api == NULL) {
        return;
    }
    release(api);
    if (api->mhd != NULL) {
        MHD_stop_daemon(api->mhd); /* closes the listening socket, unless it has been given up */
    }
    tm_assert(LIST_EMPTY(&api->requests) && LIST_EMPTY(&api->peers));
    if (api->epoll_fd >= 0) {
        (void)close(api->epoll_fd);
    }
    tm_limits_free(api->limits);
    api->magic = 0;
    free(api);
}
