/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tm_api - the HTTP side of the daemon: libmicrohttpd, driven by somebody else's event loop.
 *
 * MHD runs without threads (MHD_USE_EPOLL): the loop watches tm_api_fd() for reading, calls
 * tm_api_run() when it is readable or when tm_api_timeout_ms() has passed, and that is all. A request
 * that has to wait is suspended and resumed by its answer.
 *
 * Routes are declared once, in routes.def. Errors are application/problem+json (RFC 9457).
 *
 * Threads: one, the loop's.
 */
#ifndef TM_API_TM_API_H
#define TM_API_TM_API_H

#include "tm_control.h"
#include "tm_feed.h"

enum tm_api_scope { TM_API_READ = 1, TM_API_OPERATE = 2, TM_API_RESTORE = 4, TM_API_ADMIN = 8 };

/* What a token is narrowed to, by names of the configuration; none: to nothing. Borrowed for the process's life. */
struct tm_narrow {
    const char *const *policies;
    size_t policy_count;
    const char *const *clusters; /* that are backed up */
    size_t cluster_count;
    const char *const *targets; /* clusters that are written into */
    size_t target_count;
};

struct tm_api_token {
    const char *name;
    unsigned scopes; /* enum tm_api_scope bits */
    struct tm_hash sha256;
    int64_t expires_ms; /* 0: never */
    struct tm_narrow narrow;
};

struct tm_api_client { /* of client certificates */
    const char *identity;
    unsigned scopes; /* enum tm_api_scope bits */
};

/* PEM texts, borrowed for the server's life. */
struct tm_api_tls {
    const char *cert_pem; /* and the chain behind it */
    const char *key_pem;
    const char *client_ca_pem; /* NULL: no client certificates */
    const struct tm_api_client *clients;
    size_t client_count;
};

enum tm_api_kind {
    TM_API_SOCKET,  /* Unix socket: the peer's uid is the identity, all scopes */
    TM_API_TCP,     /* bearer tokens, client certificates */
    TM_API_METRICS, /* /metrics, /livez and /readyz only, without a token */
};

struct tm_api_options {
    enum tm_api_kind kind;
    int listen_fd; /* bound and listening; ownership moves */
    struct tm_control control;
    const struct tm_api_token *tokens; /* borrowed for the server's life */
    size_t token_count;
    const struct tm_api_tls *tls; /* borrowed; NULL: none */
    struct tm_feed *feed;         /* borrowed: what streams listen to */
    size_t max_body;              /* 0: 1 MiB */
    unsigned max_connections;     /* 0: 128 */
    int64_t rate_limit;           /* requests a second of a token or certificate; 0: any number */
    int64_t header_ms; /* a request must be in so long after its connection, or the answer before it; 0: 30 s */
    const char *version;
    bool ui;                         /* serve the dashboard */
    const char *const *cors_origins; /* borrowed: web pages from there may ask, too */
    size_t cors_origin_count;
    bool metrics_here;       /* serve /metrics on this listener too */
    void (*wake)(void *arg); /* something was resumed: call tm_api_run() from the loop soon */
    void *wake_arg;
};

struct tm_api;

enum tm_code tm_api_start(const struct tm_api_options *options, struct tm_api **out,
        struct tm_err *err) TM_MUST_CHECK;
/* Other tokens from the next request on; borrowed as those of the options are. */
void tm_api_set_tokens(struct tm_api *api, const struct tm_api_token *tokens, size_t count);
/* Stop accepting; requests in hand may finish (drain by running until tm_api_connections() is 0). */
void tm_api_quiesce(struct tm_api *api);
void tm_api_stop(struct tm_api *api); /* drops what is left; answers outstanding are forgotten */

int tm_api_fd(const struct tm_api *api);             /* an epoll descriptor */
void tm_api_run(struct tm_api *api);                 /* do what is ready, without blocking */
int64_t tm_api_timeout_ms(const struct tm_api *api); /* run at the latest then; -1: no need */
unsigned tm_api_connections(const struct tm_api *api);

/* Listening sockets, bound as the daemon needs them. */
enum tm_code tm_api_listen_unix(
        const char *path, const char *group, int *fd, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_api_listen_tcp(const char *host_port, int *fd, struct tm_err *err) TM_MUST_CHECK;

#endif
