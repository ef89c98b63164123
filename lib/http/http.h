/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - a blocking HTTP/1.1 client over libcurl: S3, sources of credentials, hooks, the CLI.
 *
 * A request is sent once. No redirect is followed, no proxy is used unless the options name one (the
 * environment is not asked: http_proxy of a login shell must not decide where backups go), no
 * .netrc, no decompression, no "Expect: 100-continue". Connections are kept and used again.
 *
 * An answer of any status is TM_OK. Errors: TM_E_TIMEOUT (connecting, or stalled), TM_E_IO (no
 * connection, reset, cut short), TM_E_DENIED (the server's certificate is not trusted), TM_E_LIMIT
 * (the answer is larger than allowed), TM_E_USAGE (the URL or the CA file). Messages begin with the
 * host and end with curl's own name of the failure: "s3.example:443: ... (COULDNT_CONNECT)".
 *
 * Threads: one client may be used by any number of threads at once, each with its own response.
 * The process has to ignore SIGPIPE.
 */
#ifndef TM_HTTP_HTTP_H
#define TM_HTTP_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

enum {
    TM_HTTP_ERROR_BODY_MAX = 64 * 1024, /* of an answer other than 2xx; the rest is cut off */
    TM_HTTP_HEADERS_MAX = 64 * 1024,    /* of all header lines of an answer */
};

/* Which addresses may be connected to, whatever name led there. */
enum tm_http_reach {
    TM_HTTP_ANYWHERE,
    TM_HTTP_PRIVATE, /* not link-local, where clouds keep metadata, nor multicast */
    TM_HTTP_PUBLIC,  /* nor this host, nor private networks */
};

/* Texts are copied; NULL or "" is the default. A zeroed struct is a client with all defaults. */
struct tm_http_options {
    const char *ca_file;        /* PEM of the authorities that are trusted; default: the system's */
    const char *unix_socket;    /* connect here, whatever the URL's host is */
    const char *proxy;          /* http://host:port; default: none */
    const char *user_agent;     /* default: tidemark */
    int64_t connect_timeout_ms; /* default 10 s, TLS included */
    int64_t stall_timeout_ms; /* give up when less than 100 bytes/s pass for so long; default 30 s */
    enum tm_http_reach reach; /* else TM_E_DENIED */
    int64_t bytes_per_second; /* of all transfers of this client together, each way; 0: no bound */
};

struct tm_http;

struct tm_http *tm_http_new(const struct tm_http_options *options);
void tm_http_free(struct tm_http *http);
TM_OWNABLE(struct tm_http *, tm_http_free);

struct tm_http_header {
    const char *name;
    const char *value; /* "" sends the header without a value */
};

/* Everything is borrowed until tm_http_send() returns. */
struct tm_http_request {
    const char *method; /* "GET", "HEAD", "PUT", "POST", "DELETE" */
    const char *url;
    const struct tm_http_header *headers; /* Host and Content-Length are added where missing */
    size_t header_count;
    struct tm_slice body; /* at == NULL: none, or the bytes [0, fd_size) of `fd` */
    bool has_fd;          /* the file is read by pread, its own position stays */
    int fd;
    uint64_t fd_size;
    size_t max_bytes;   /* of a body with status 2xx; a larger one is TM_E_LIMIT */
    int64_t timeout_ms; /* for the whole exchange; 0: only what the options say */
    struct tm_buf
            *into; /* a 2xx body is appended here; NULL: to the response. As it was on failure */
    /* Given a 2xx body piece by piece instead; anything but TM_OK ends the exchange with its error. */
    enum tm_code (*on_body)(void *arg, struct tm_slice bytes, struct tm_err *err);
    void *arg;
    const atomic_bool
            *stop; /* NULL, or: becomes true when the exchange is to end, within a second */
};

/* A zeroed struct is ready for use; tm_http_send() empties it first. */
struct tm_http_response {
    int status;            /* 0: none came */
    bool sent;             /* may the server have got the request? Also where sending failed */
    uint64_t received;     /* bytes of the body */
    struct tm_buf headers; /* lines "name: value", names in lower case */
    struct tm_buf body; /* of a 2xx answer without `into` and `on_body`, or of any other status */
};

void tm_http_response_done(struct tm_http_response *response);
#define TM_HTTP_RESPONSE_OWN __attribute__((cleanup(tm_http_response_done)))

/* Send the request and read its whole answer. `response` tells what came, also on failure. */
enum tm_code tm_http_send(struct tm_http *http, const struct tm_http_request *request,
        struct tm_http_response *response, struct tm_err *err) TM_MUST_CHECK;

/*
 * The value of the first header of that name, which is given in lower case; TM_SLICE_NULL where
 * there is none. Borrowed from the response.
 */
struct tm_slice tm_http_header(const struct tm_http_response *response, const char *name);
/* The same as text in `text`; "" where there is none or it does not fit. */
const char *tm_http_header_text(
        const struct tm_http_response *response, const char *name, char *text, size_t size);

#endif
