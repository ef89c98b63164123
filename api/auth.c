/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "limits.h"
#include "router.h"
#include "tls.h"

enum {
    ALL_SCOPES = TM_API_READ | TM_API_OPERATE | TM_API_RESTORE | TM_API_ADMIN,
    GROUPS_MAX = 256
};

static void count_failure(const char *reason)
{
    tm_metric_add(TM_M_AUTH_FAILURES, TM_LABELS(reason), 1);
}

/* Learning --------------------------------------------------------------------------------- */

static void learn_unix(struct tm_api *api, const struct sockaddr_un *address, socklen_t len)
{
    struct stat file;
    bool has_path = len > offsetof(struct sockaddr_un, sun_path) && address->sun_path[0] != '\0';
    if (has_path && stat(address->sun_path, &file) == 0) {
        api->group = file.st_gid;
        api->group_writes = (file.st_mode & S_IWGRP) != 0;
    }
}

void tm_auth_learn_listener(struct tm_api *api)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len = sizeof(address);
    char text[INET6_ADDRSTRLEN];
    if (getsockname(api->listen_fd, &address.any, &len) != 0) {
        return;
    }
    if (address.any.sa_family == AF_UNIX) {
        learn_unix(api, &address.local, len);
    } else if (address.any.sa_family == AF_INET) {
        api->loopback = (ntohl(address.v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
        (void)snprintf(api->host, sizeof(api->host), "%s",
                inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof(text)));
    } else if (address.any.sa_family == AF_INET6) {
        api->loopback = IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
        (void)snprintf(api->host, sizeof(api->host), "[%s]",
                inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof(text)));
    }
}

static bool is_member(int fd, gid_t main_group, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t len = sizeof(groups);
    if (main_group == group) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0) {
        return false;
    }
    for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

void tm_auth_learn_peer(struct tm_peer *peer)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    const struct tm_api *api = peer->api;
    if (api->options.kind != TM_API_SOCKET ||
            getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0) {
        return;
    }
    peer->uid = who.uid;
    peer->trusted = who.uid == 0 || who.uid == geteuid() ||
                    (api->group_writes && is_member(peer->fd, who.gid, api->group));
}

/* Host ------------------------------------------------------------------------------------- */

/* Is `header`, with or without a port, this host? */
static bool is_host(const char *header, const char *host)
{
    size_t len = strlen(host);
    return len > 0 && strncasecmp(header, host, len) == 0 &&
           (header[len] == '\0' || header[len] == ':');
}

bool tm_auth_host(struct tm_request *request)
{
    const struct tm_api *api = request->api;
    const char *host = tm_request_header(request, "Host");
    /* Browsers always send one; a health check in HTTP/1.0 need not. */
    if (!api->loopback || host == NULL || is_host(host, "localhost") ||
            is_host(host, "127.0.0.1") || is_host(host, "[::1]") || is_host(host, api->host)) {
        return true;
    }
    count_failure("host");
    tm_problem_refuse(request, 421, "wrong-host",
            "the Host header must be localhost, 127.0.0.1, [::1] or the address listened on");
    return false;
}

/* Tokens ----------------------------------------------------------------------------------- */

/* Whoever tries many gets his answers late. */
static void slow_down(struct tm_request *request)
{
    request->held_until_ns = tm_limits_refused(request->api->limits, tm_mono_ns());
}

static bool refuse_token(struct tm_request *request, const char *reason, const char *detail)
{
    count_failure(reason);
    slow_down(request);
    tm_request_add_header(request, "WWW-Authenticate", "%s",
            "Bearer realm=\"tidemark\", error=\"invalid_token\"");
    tm_problem_refuse(request, 401, "invalid-token", "%s", detail);
    return false;
}

/* All are looked at, whichever fits, so that the time taken tells nothing. */
static const struct tm_api_token *find_token(const struct tm_api *api, const char *secret)
{
    const struct tm_api_token *found = NULL;
    struct tm_hash hash = tm_sha256_of(tm_slice_str(secret));
    for (size_t i = 0; i < api->options.token_count; i++) {
        const struct tm_api_token *token = &api->options.tokens[i];
        bool equal = tm_equal_ct(hash.bytes, token->sha256.bytes, sizeof(hash.bytes));
        found = equal ? token : found;
    }
    return found;
}

static bool check_token(struct tm_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = tm_request_header(request, "Authorization");
    if (header == NULL) {
        return refuse_token(
                request, "no-token", "send \"Authorization: Bearer tm_...\" with a token");
    }
    if (strncasecmp(header, scheme, sizeof(scheme) - 1) != 0) {
        return refuse_token(
                request, "invalid-token", "the Authorization header holds no bearer token");
    }
    const char *secret = header + sizeof(scheme) - 1;
    const struct tm_api_token *token = find_token(request->api, secret + strspn(secret, " "));
    if (token == NULL) {
        return refuse_token(request, "invalid-token", "the token is not known");
    }
    if (token->expires_ms != 0 && tm_now_ms() >= token->expires_ms) {
        return refuse_token(request, "expired", "the token has expired");
    }
    (void)snprintf(request->who, sizeof(request->who), "token:%s", token->name);
    request->scopes = token->scopes;
    request->narrow = token->narrow;
    return true;
}

/* Certificates ----------------------------------------------------------------------------- */

/* Learns the scopes of the certificate, too. False: refused. */
static bool check_certificate(struct tm_request *request)
{
    const struct tm_api_tls *tls = request->api->options.tls;
    char name[TM_CLIENT_NAME_MAX];
    struct tm_err err = {0};
    if (tm_tls_client(request, name, &err) != TM_OK) {
        count_failure("certificate");
        slow_down(request);
        tm_problem_refuse(request, 401, "invalid-certificate", "%s", err.msg);
        return false;
    }
    request->scopes = TM_API_READ;
    for (size_t i = 0; i < tls->client_count; i++) {
        if (strcmp(tls->clients[i].identity, name) == 0) {
            request->scopes = tls->clients[i].scopes;
        }
    }
    (void)snprintf(request->who, sizeof(request->who), "certificate:%s", name);
    return true;
}

/* A certificate, where they are asked for, on each request. A token beside it says who asks. */
static bool check_tcp(struct tm_request *request, bool open)
{
    const struct tm_api_tls *tls = request->api->options.tls;
    bool certified = tls != NULL && tls->client_ca_pem != NULL;
    if (certified && !check_certificate(request)) {
        return false;
    }
    return open || (certified && tm_request_header(request, "Authorization") == NULL) ||
           check_token(request);
}

static bool check_rate(struct tm_request *request)
{
    if (request->who[0] == '\0' ||
            tm_limits_take(request->api->limits, request->who, tm_mono_ns())) {
        return true;
    }
    count_failure("rate");
    tm_request_add_header(request, "Retry-After", "%d", 1);
    struct tm_json *problem = tm_problem_begin(request, 429, "rate-limited",
            tm_arena_fmt(&request->arena,
                    "%s has sent more than server.rate_limit (%lld a second) allows", request->who,
                    (long long)request->api->options.rate_limit));
    tm_json_add_int(problem, "retry_after_seconds", 1);
    tm_problem_send(request, 429, problem);
    return false;
}

bool tm_auth_identity(struct tm_request *request, bool open)
{
    switch (request->api->options.kind) {
    case TM_API_SOCKET:
        (void)snprintf(
                request->who, sizeof(request->who), "socket:uid=%u", (unsigned)request->peer->uid);
        request->scopes = request->peer->trusted ? ALL_SCOPES : 0;
        return true;
    case TM_API_TCP:
        return check_tcp(request, open) && check_rate(request);
    case TM_API_METRICS:
        (void)snprintf(request->who, sizeof(request->who), "metrics");
        request->scopes = TM_API_READ;
        return true;
    }
    return false;
}

/* Scopes ----------------------------------------------------------------------------------- */

static const struct {
    unsigned bit;
    const char *name;
} scopes[] = {
        {TM_API_READ, "read"},
        {TM_API_OPERATE, "operate"},
        {TM_API_RESTORE, "restore"},
        {TM_API_ADMIN, "admin"},
};

bool tm_auth_scope(struct tm_request *request, unsigned scope)
{
    if ((request->scopes & scope) == scope) {
        return true;
    }
    count_failure("scope");
    char detail[256];
    const char *needed = "";
    struct tm_json *has = tm_json_array();
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        needed = scopes[i].bit == scope ? scopes[i].name : needed;
        if ((request->scopes & scopes[i].bit) != 0) {
            tm_json_push_str(has, scopes[i].name);
        }
    }
    (void)snprintf(detail, sizeof(detail), "%s has no scope \"%s\"", request->who, needed);
    struct tm_json *problem = tm_problem_begin(request, 403, "scope-missing", detail);
    tm_json_add_str(problem, "required_scope", needed);
    (void)tm_json_add(problem, "scopes", has);
    tm_problem_send(request, 403, problem);
    return false;
}
