/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/text.h"
#include "http/curl_code.h"
#include "http/guard.h"
#include "http/pace.h"
#include "http/url.h"

enum {
    IDLE_MAX = 32, /* handles, each with its connections, that are kept for the next request */
    CONNECTIONS_PER_HANDLE = 4,
    CONNECT_TIMEOUT_MS = 10 * 1000,
    STALL_TIMEOUT_MS = 30 * 1000,
    STALL_BYTES_PER_SECOND = 100,
    RECEIVE_BUFFER = 256 * 1024,
    UPLOAD_BUFFER = 256 * 1024,
    KEEPALIVE_S = 30,
};

/* Invariant: idle[0..idle_count) are handles that no thread uses. */
struct tm_http {
    char *ca_file;
    char *unix_socket;
    char *proxy;
    char *user_agent;
    int64_t connect_timeout_ms;
    int64_t stall_timeout_ms;
    enum tm_http_reach reach;
    struct tm_pace sending;
    struct tm_pace receiving;
    pthread_mutex_t lock;
    CURL *idle[IDLE_MAX];
    size_t idle_count;
};

enum { EXCHANGE_MAGIC = 0x7e5c4a11 };

/* One request on its way; what curl's callbacks are given. */
struct exchange {
    unsigned magic;
    struct tm_http *http;
    const struct tm_http_request *request;
    struct tm_http_response *response;
    struct tm_err *err;  /* set by a callback: curl's own error is only its consequence */
    uint64_t body_size;  /* of the request */
    uint64_t body_taken; /* by curl */
    bool refused;        /* the last address, by what the client may reach */
};

static pthread_once_t curl_ready = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    tm_assert(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text != NULL ? text : "");
    tm_assert(copy != NULL);
    return copy;
}

struct tm_http *tm_http_new(const struct tm_http_options *options)
{
    pthread_once(&curl_ready, start_curl);
    struct tm_http *http = tm_xalloc(1, sizeof(*http));
    http->ca_file = copy_text(options->ca_file);
    http->unix_socket = copy_text(options->unix_socket);
    http->proxy = copy_text(options->proxy);
    bool named = options->user_agent != NULL && options->user_agent[0] != '\0';
    http->user_agent = copy_text(named ? options->user_agent : "tidemark");
    http->connect_timeout_ms =
            options->connect_timeout_ms > 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    http->stall_timeout_ms =
            options->stall_timeout_ms > 0 ? options->stall_timeout_ms : STALL_TIMEOUT_MS;
    http->reach = options->reach;
    tm_pace_init(&http->sending, options->bytes_per_second);
    tm_pace_init(&http->receiving, options->bytes_per_second);
    pthread_mutex_init(&http->lock, NULL);
    return http;
}

void tm_http_free(struct tm_http *http)
{
    if (http == NULL) {
        return;
    }
    for (size_t i = 0; i < http->idle_count; i++) {
        curl_easy_cleanup(http->idle[i]);
    }
    pthread_mutex_destroy(&http->lock);
    tm_pace_done(&http->receiving);
    tm_pace_done(&http->sending);
    free(http->user_agent);
    free(http->proxy);
    free(http->unix_socket);
    free(http->ca_file);
    free(http);
}

/* A handle of one's own; the last one put back, whose connection is the warmest. */
static CURL *take_handle(struct tm_http *http)
{
    CURL *curl = NULL;
    pthread_mutex_lock(&http->lock);
    if (http->idle_count > 0) {
        curl = http->idle[--http->idle_count];
    }
    pthread_mutex_unlock(&http->lock);
    if (curl == NULL) {
        curl = curl_easy_init();
        tm_assert(curl != NULL);
    }
    return curl;
}

static void put_handle(struct tm_http *http, CURL *curl)
{
    curl_easy_reset(curl); /* keeps connections, TLS sessions and names that were looked up */
    pthread_mutex_lock(&http->lock);
    bool room = http->idle_count < IDLE_MAX;
    if (room) {
        http->idle[http->idle_count++] = curl;
    }
    pthread_mutex_unlock(&http->lock);
    if (!room) {
        curl_easy_cleanup(curl);
    }
}

static struct exchange *exchange_of(void *arg)
{
    struct exchange *exchange = arg;
    tm_assert(exchange->magic == EXCHANGE_MAGIC);
    return exchange;
}

static bool is_success(const struct tm_http_response *response)
{
    return response->status >= 200 && response->status <= 299;
}

/* "HTTP/1.1 200 OK" begins the headers of an answer; those of a 100 that came before are void. */
static bool take_status_line(struct tm_http_response *response, struct tm_slice line)
{
    if (line.len < 5 || memcmp(line.at, "HTTP/", 5) != 0) {
        return false;
    }
    const uint8_t *space = memchr(line.at, ' ', line.len);
    int status = 0;
    size_t at = space != NULL ? (size_t)(space - line.at) + 1 : line.len;
    for (size_t i = 0; i < 3 && at + i < line.len; i++) {
        uint8_t c = line.at[at + i];
        status = c >= '0' && c <= '9' ? status * 10 + (c - '0') : 1000;
    }
    response->status = status <= 999 ? status : 0;
    tm_buf_clear(&response->headers);
    return true;
}

static size_t on_header(char *at, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = exchange_of(arg);
    struct tm_http_response *response = exchange->response;
    struct tm_slice line = tm_slice_of(at, size * count);
    while (line.len > 0 && strchr(" \t\r\n", line.at[line.len - 1]) != NULL) {
        line.len--;
    }
    if (line.len == 0 || take_status_line(response, line)) {
        return size * count;
    }
    if (response->headers.len + line.len >= TM_HTTP_HEADERS_MAX) {
        (void)tm_err_set(exchange->err, TM_E_LIMIT, "the answer has more than %d bytes of headers",
                TM_HTTP_HEADERS_MAX);
        return 0;
    }
    size_t start = response->headers.len;
    tm_buf_add(&response->headers, line.at, line.len);
    uint8_t *name = response->headers.at + start;
    for (size_t i = 0; i < line.len && name[i] != ':'; i++) {
        name[i] = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + 32) : name[i];
    }
    tm_buf_add_u8(&response->headers, '\n');
    return size * count;
}

/* The body of an answer that is no success: people read its beginning, nobody needs the rest. */
static void keep_error_body(struct tm_http_response *response, struct tm_slice bytes)
{
    size_t room = TM_HTTP_ERROR_BODY_MAX - response->body.len;
    tm_buf_add(&response->body, bytes.at, bytes.len < room ? bytes.len : room);
}

static size_t on_body(char *at, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = exchange_of(arg);
    const struct tm_http_request *request = exchange->request;
    struct tm_http_response *response = exchange->response;
    struct tm_slice bytes = tm_slice_of(at, size * count);
    tm_pool_beat();
    tm_pace_pass(&exchange->http->receiving, bytes.len);
    response->received += bytes.len;
    if (!is_success(response)) {
        keep_error_body(response, bytes);
        return bytes.len;
    }
    if (request->on_body != NULL) {
        return request->on_body(request->arg, bytes, exchange->err) == TM_OK ? bytes.len : 0;
    }
    if (response->received > request->max_bytes) {
        (void)tm_err_set(exchange->err, TM_E_LIMIT, "the answer has more than %zu bytes",
                request->max_bytes);
        return 0;
    }
    tm_buf_add(request->into != NULL ? request->into : &response->body, bytes.at, bytes.len);
    return bytes.len;
}

static size_t read_file(struct exchange *exchange, void *into, size_t len)
{
    ssize_t got = pread(exchange->request->fd, into, len, (off_t)exchange->body_taken);
    if (got > 0) {
        return (size_t)got;
    }
    (void)tm_err_set(exchange->err, TM_E_IO, "read of the file that is sent: %s",
            got < 0 ? tm_errno_text(errno) : "it is shorter than it was");
    return CURL_READFUNC_ABORT;
}

static size_t on_read(char *into, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = exchange_of(arg);
    uint64_t left = exchange->body_size - exchange->body_taken;
    size_t len = left < size * count ? (size_t)left : size * count;
    if (len == 0) {
        return 0;
    }
    tm_pool_beat();
    tm_pace_pass(&exchange->http->sending, len);
    if (exchange->request->has_fd) {
        len = read_file(exchange, into, len);
        if (len == CURL_READFUNC_ABORT) {
            return len;
        }
    } else {
        memcpy(into, exchange->request->body.at + exchange->body_taken, len);
    }
    exchange->body_taken += len;
    return len;
}

/* curl sends a request anew where a kept connection turns out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct exchange *exchange = exchange_of(arg);
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->body_size) {
        return CURL_SEEKFUNC_FAIL;
    }
    exchange->body_taken = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* An option that this libcurl must know. */
#define SET(curl, option, value) tm_assert(curl_easy_setopt(curl, option, value) == CURLE_OK)

static void set_connection(CURL *curl, const struct tm_http *http)
{
    SET(curl, CURLOPT_NOSIGNAL, 1L);
    SET(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(curl, CURLOPT_PROXY, http->proxy); /* "" also turns the environment's off */
    SET(curl, CURLOPT_PATH_AS_IS, 1L);     /* what was signed is what is sent */
    SET(curl, CURLOPT_USERAGENT, http->user_agent);
    SET(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
    SET(curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_SECOND);
    SET(curl, CURLOPT_LOW_SPEED_TIME, (long)((http->stall_timeout_ms + 999) / 1000));
    SET(curl, CURLOPT_MAXCONNECTS, (long)CONNECTIONS_PER_HANDLE);
    SET(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    SET(curl, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    SET(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
    SET(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->ca_file[0] != '\0') {
        SET(curl, CURLOPT_CAINFO, http->ca_file);
        SET(curl, CURLOPT_CAPATH, NULL);
    }
    if (http->unix_socket[0] != '\0') {
        SET(curl, CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
    }
}

/* What the name has led to: looked at with each connection, so that no name server is believed. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = exchange_of(arg);
    (void)purpose;
    exchange->refused = !tm_guard_allows(exchange->http->reach, &address->addr);
    return exchange->refused
                   ? CURL_SOCKET_BAD
                   : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_progress(
        void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total, (void)up;
    return atomic_load(exchange_of(arg)->request->stop) ? 1 : 0;
}

static void set_bounds(CURL *curl, struct exchange *exchange)
{
    if (exchange->http->reach != TM_HTTP_ANYWHERE) {
        SET(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
        SET(curl, CURLOPT_OPENSOCKETDATA, exchange);
    }
    if (exchange->request->stop != NULL) {
        SET(curl, CURLOPT_NOPROGRESS, 0L);
        SET(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        SET(curl, CURLOPT_XFERINFODATA, exchange);
    }
}

static bool has_body(const struct tm_http_request *request)
{
    return request->has_fd || request->body.at != NULL || strcmp(request->method, "PUT") == 0 ||
           strcmp(request->method, "POST") == 0;
}

static void set_request(CURL *curl, struct exchange *exchange, struct curl_slist *headers)
{
    const struct tm_http_request *request = exchange->request;
    SET(curl, CURLOPT_URL, request->url);
    SET(curl, CURLOPT_CUSTOMREQUEST, request->method);
    SET(curl, CURLOPT_HTTPHEADER, headers);
    SET(curl, CURLOPT_HEADERFUNCTION, on_header);
    SET(curl, CURLOPT_HEADERDATA, exchange);
    SET(curl, CURLOPT_WRITEFUNCTION, on_body);
    SET(curl, CURLOPT_WRITEDATA, exchange);
    if (strcmp(request->method, "HEAD") == 0) {
        SET(curl, CURLOPT_NOBODY, 1L);
    }
    if (has_body(request)) {
        SET(curl, CURLOPT_UPLOAD, 1L);
        SET(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->body_size);
        SET(curl, CURLOPT_READFUNCTION, on_read);
        SET(curl, CURLOPT_READDATA, exchange);
        SET(curl, CURLOPT_SEEKFUNCTION, on_seek);
        SET(curl, CURLOPT_SEEKDATA, exchange);
    }
    if (request->timeout_ms > 0) {
        SET(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    }
}

static struct curl_slist *add_line(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    tm_assert(longer != NULL);
    return longer;
}

static struct curl_slist *list_headers(const struct tm_http_request *request)
{
    struct curl_slist *list = add_line(NULL, "Expect:");
    for (size_t i = 0; i < request->header_count; i++) {
        const struct tm_http_header *header = &request->headers[i];
        TM_BUF_OWN struct tm_buf line = {0};
        tm_buf_add_text(&line, header->name);
        /* A line "name:" would remove the header. */
        tm_buf_add_text(&line, header->value[0] != '\0' ? ": " : ";");
        tm_buf_add_text(&line, header->value);
        list = add_line(list, tm_buf_text(&line));
        explicit_bzero(line.at, line.len); /* tokens are sent in headers */
    }
    return list;
}

static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *line = list; line != NULL; line = line->next) {
        explicit_bzero(line->data, strlen(line->data));
    }
    curl_slist_free_all(list);
}

/* "HOST:PORT: why (NAME)": what a callback said, else what curl says. */
static enum tm_code report(const struct exchange *exchange, CURLcode curl_code, char *why,
        const struct tm_url *url, struct tm_err *err)
{
    if (exchange->err->code != TM_OK) {
        return tm_err_wrap(err, "%.*s", (int)url->host.len, (const char *)url->host.at);
    }
    if (exchange->refused) {
        return tm_err_set(err, TM_E_DENIED,
                "%.*s: its address is link-local, private or of this host, which is not allowed",
                (int)url->host.len, (const char *)url->host.at);
    }
    char name[40];
    enum tm_code code = tm_curl_code(curl_code, name);
    size_t len = strcspn(why, "\r\n");
    why[len] = '\0';
    return tm_err_set(err, code, "%.*s: %s (%s)", (int)url->host.len, (const char *)url->host.at,
            len > 0 ? why : curl_easy_strerror(curl_code), name);
}

static enum tm_code perform(
        struct exchange *exchange, CURL *curl, const struct tm_url *url, struct tm_err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = list_headers(exchange->request);
    set_connection(curl, exchange->http);
    set_request(curl, exchange, headers);
    set_bounds(curl, exchange);
    SET(curl, CURLOPT_ERRORBUFFER, why);
    tm_pool_beat();
    CURLcode curl_code = curl_easy_perform(curl);
    tm_pool_beat();
    long request_bytes = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &request_bytes);
    exchange->response->sent = request_bytes > 0;
    free_headers(headers);
    if (curl_code != CURLE_OK) {
        return report(exchange, curl_code, why, url, err);
    }
    if (exchange->response->status == 0) {
        return tm_err_set(err, TM_E_IO, "%.*s: the answer has no status", (int)url->host.len,
                (const char *)url->host.at);
    }
    return TM_OK;
}

enum tm_code tm_http_send(struct tm_http *http, const struct tm_http_request *request,
        struct tm_http_response *response, struct tm_err *err)
{
    tm_buf_clear(&response->headers);
    tm_buf_clear(&response->body);
    response->status = 0;
    response->sent = false;
    response->received = 0;
    struct tm_url url;
    TM_TRY(tm_url_split(request->url, &url, err));
    struct exchange exchange = {
            .magic = EXCHANGE_MAGIC,
            .http = http,
            .request = request,
            .response = response,
            .err = err,
            .body_size = request->has_fd ? request->fd_size : request->body.len,
    };
    size_t into_len = request->into != NULL ? request->into->len : 0;
    CURL *curl = take_handle(http);
    enum tm_code code = perform(&exchange, curl, &url, err);
    put_handle(http, curl);
    if (code != TM_OK && request->into != NULL && request->into->at != NULL) {
        request->into->len = into_len;
        request->into->at[into_len] = '\0';
    }
    return code;
}

void tm_http_response_done(struct tm_http_response *response)
{
    tm_buf_done(&response->headers);
    tm_buf_done(&response->body);
}

struct tm_slice tm_http_header(const struct tm_http_response *response, const char *name)
{
    size_t name_len = strlen(name);
    const char *line = tm_buf_text(&response->headers);
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        if (len > name_len && line[name_len] == ':' && strncmp(line, name, name_len) == 0) {
            const char *value = line + name_len + 1;
            size_t spaces = strspn(value, " \t");
            size_t rest = len - name_len - 1;
            return tm_slice_of(value + (spaces < rest ? spaces : rest),
                    rest - (spaces < rest ? spaces : rest));
        }
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    return TM_SLICE_NULL;
}

const char *tm_http_header_text(
        const struct tm_http_response *response, const char *name, char *text, size_t size)
{
    struct tm_slice value = tm_http_header(response, name);
    size_t len = value.len < size ? value.len : 0;
    if (len > 0) {
        memcpy(text, value.at, len);
    }
    text[len] = '\0';
    return text;
}
