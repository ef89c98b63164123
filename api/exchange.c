/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"
#include "idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "channel.h"
#include "cors.h"
#include "router.h"
#include "words.h"

/* What is read and thrown away of a body without a length before the connection is dropped. */
enum { SWALLOW_MAX = 1 << 20 };

static const double ns_per_second = 1e9;

/* Headers ---------------------------------------------------------------------------------- */

void *tm_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct tm_api *api = tm_server_of(cls);
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct tm_peer *peer = tm_server_peer_of(info->socket_context);
    peer->busy = true;
    return tm_request_new(api, connection, peer, uri);
}

/* Printable, without spaces: it goes into a header, a log line and a URI. */
static void adopt_id(struct tm_request *request)
{
    const char *id = tm_request_header(request, "X-Request-Id");
    size_t len = id != NULL ? strlen(id) : 0;
    bool printable = len > 0 && len <= TM_REQUEST_ID_MAX;
    for (size_t i = 0; i < len && printable; i++) {
        printable = id[i] > ' ' && id[i] < 0x7f;
    }
    if (printable) {
        memcpy(request->id, id, len + 1);
    }
}

/* Bytes of body announced; -1: there is one of unknown length. MHD has refused what is no number. */
static int64_t body_length(const struct tm_request *request)
{
    const char *length = tm_request_header(request, "Content-Length");
    if (tm_request_header(request, "Transfer-Encoding") != NULL) {
        return -1;
    }
    if (length == NULL) {
        return 0;
    }
    int64_t value = 0;
    struct tm_err err = {0};
    return tm_parse_i64(length, &value, &err) == TM_OK ? value : INT64_MAX;
}

static bool is_type(const char *content_type, const char *type)
{
    size_t len = strlen(type);
    if (content_type == NULL || strncasecmp(content_type, type, len) != 0) {
        return false;
    }
    content_type += len;
    content_type += strspn(content_type, " \t");
    return *content_type == '\0' || *content_type == ';';
}

static void refuse_size(struct tm_request *request)
{
    size_t limit = request->api->options.max_body;
    struct tm_json *problem =
            tm_problem_begin(request, 413, "too-large", "the body has more bytes than the limit");
    tm_json_add_int(problem, "limit_bytes", (int64_t)limit);
    tm_problem_send(request, 413, problem);
}

/* What a body may be, the usual first. */
static const char *types_of(const struct tm_request *request)
{
    if (strcmp(request->route->pattern, "/v1/config/check") == 0) {
        return "application/yaml text/yaml application/x-yaml application/json";
    }
    return strcmp(request->method, "PATCH") == 0 ? "application/json application/merge-patch+json"
                                                 : "application/json";
}

static void check_body_headers(struct tm_request *request, int64_t length)
{
    if (length > (int64_t)request->api->options.max_body) {
        refuse_size(request);
        return;
    }
    bool takes_body = strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0 &&
                      strcmp(request->method, "DELETE") != 0;
    const char *type = tm_request_header(request, "Content-Type");
    const char *types = types_of(request);
    if (length == 0 || !takes_body) {
        return;
    }
    size_t count = 0;
    const char *const *all = tm_words_list(types, &request->arena, &count);
    for (size_t i = 0; i < count; i++) {
        if (is_type(type, all[i])) {
            return;
        }
    }
    struct tm_json *problem = tm_problem_begin(request, 415, "unsupported-media-type",
            tm_arena_fmt(&request->arena, "send the body as \"Content-Type: %s\"", all[0]));
    (void)tm_json_add(problem, "supported", tm_words_json(types));
    tm_problem_send(request, 415, problem);
}

static void refuse_method(struct tm_request *request, const char *allow)
{
    tm_request_add_header(request, "Allow", "%s", allow);
    struct tm_json *problem = tm_problem_begin(
            request, 405, "method-not-allowed", "the path does not take this method");
    tm_json_add_str(problem, "allow", allow);
    tm_problem_send(request, 405, problem);
}

/* Everything that the first line and the headers decide: who, what, and whether they may. */
static void check_headers(struct tm_request *request)
{
    struct tm_route_match match = tm_router_find(request, request->method, request->path);
    request->route = match.route;
    request->name = match.name;
    bool open = match.route != NULL && match.route->scope == 0;
    tm_cors_add(request);
    if (!tm_auth_host(request)) {
        return;
    }
    /* A browser sends no token with its preflight. */
    if (match.allow[0] != '\0' && tm_cors_preflight(request, match.allow)) {
        return;
    }
    if (!tm_auth_identity(request, open)) {
        return;
    }
    if (match.route == NULL && match.allow[0] != '\0') {
        refuse_method(request, match.allow);
    } else if (match.route == NULL) {
        tm_problem_not_found(request, "path", request->path, match.similar);
    } else if (open || tm_auth_scope(request, match.route->scope)) {
        check_body_headers(request, body_length(request));
    }
}

/* Answers ---------------------------------------------------------------------------------- */

static struct MHD_Response *make_body(struct tm_request *request)
{
    if (request->channel != NULL) {
        return tm_channel_response(request);
    }
    size_t len = request->answer.body.len;
    char *text = tm_buf_take_text(&request->answer.body);
    struct MHD_Response *response =
            MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
    }
    return response;
}

static struct MHD_Response *make_response(struct tm_request *request)
{
    struct tm_answer *answer = &request->answer;
    struct MHD_Response *response = make_body(request);
    if (response == NULL) {
        return NULL;
    }
    (void)MHD_add_response_header(response, "X-Request-Id", request->id);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->content_type != NULL) {
        (void)MHD_add_response_header(response, "Content-Type", answer->content_type);
    }
    for (size_t i = 0; i < answer->headers.count; i++) {
        (void)MHD_add_response_header(
                response, answer->headers.at[i].name, answer->headers.at[i].value);
    }
    if (request->api->quiesced) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    return response;
}

static enum MHD_Result queue_answer(struct tm_request *request)
{
    struct MHD_Response *response = make_response(request);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result queued =
            MHD_queue_response(request->connection, (unsigned)request->answer.status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Steps ------------------------------------------------------------------------------------ */

static enum MHD_Result take_headers(struct tm_request *request, const char *method)
{
    request->begun = true;
    request->method = tm_arena_strdup(&request->arena, method);
    adopt_id(request);
    check_headers(request);
    /*
     * Answering now closes the connection and leaves the body unread. That is for bodies that are too
     * large, and for clients that wait for a 100 and have not sent theirs.
     */
    bool now = request->answer.status == 413 ||
               (tm_request_header(request, "Expect") != NULL && request->held_until_ns == 0);
    return request->answered && now ? queue_answer(request) : MHD_YES;
}

static enum MHD_Result take_body(struct tm_request *request, const char *data, size_t size)
{
    size_t limit = request->api->options.max_body;
    request->body_seen += size;
    if (request->body_seen > limit + SWALLOW_MAX) {
        return MHD_NO;
    }
    if (request->body_seen <= limit && !request->answered) {
        tm_buf_add(&request->body, data, size);
    } else {
        tm_buf_done(&request->body);
    }
    return MHD_YES;
}

static void dispatch(struct tm_request *request)
{
    request->dispatched = true;
    request->peer->deadline_ns = 0;
    if (request->answered) {
        return;
    }
    if (request->body_seen > request->api->options.max_body) {
        refuse_size(request);
        return;
    }
    tm_query_check(request);
    if (!tm_idempotency_ask(request)) {
        tm_narrow_dispatch(request);
    }
}

/* NOLINTNEXTLINE(readability-function-size): the eight parameters are MHD's */
enum MHD_Result tm_exchange_step(void *cls, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *data, size_t *size, void **slot)
{
    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    struct tm_request *request = tm_request_of(*slot);
    if (!request->begun) {
        return take_headers(request, method);
    }
    if (*size > 0) {
        enum MHD_Result taken = take_body(request, data, *size);
        *size = 0;
        return taken;
    }
    if (!request->dispatched) {
        dispatch(request);
    }
    if (request->answered && tm_mono_ns() >= request->held_until_ns) {
        return queue_answer(request);
    }
    tm_assert(request->asked || request->answered);
    request->suspended = true;
    MHD_suspend_connection(request->connection);
    if (request->end_wait != NULL) {
        tm_server_watch(request);
    }
    return MHD_YES;
}

/* End -------------------------------------------------------------------------------------- */

/* One of few values: a label made of what clients send would have no bound. */
static const char *method_label(const struct tm_request *request)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(request->method, known[i]) == 0) {
            return known[i];
        }
    }
    return "other";
}

static void report(const struct tm_request *request)
{
    int64_t spent_ns = tm_mono_ns() - request->start_ns;
    const char *route = request->route != NULL ? request->route->pattern : "none";
    const char *method = method_label(request);
    char status[12];
    (void)snprintf(status, sizeof(status), "%d", request->answer.status);
    tm_metric_add(TM_M_HTTP_REQUESTS, TM_LABELS(route, method, status), 1);
    if (!request->waited) {
        tm_metric_observe(
                TM_M_HTTP_DURATION, TM_LABELS(route, method), (double)spent_ns / ns_per_second);
    }
    /* What changes something is told by default: who, what, with what outcome. */
    bool changes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
    enum tm_log_level level = changes ? TM_LOG_INFO : TM_LOG_DEBUG;
    tm_log(request->answer.status == 500 ? TM_LOG_ERROR : level, "api.request", "request answered",
            TM_LOG_STR("method", method), TM_LOG_STR("route", route),
            TM_LOG_INT("status", request->answer.status), TM_LOG_STR("who", request->who),
            TM_LOG_STR("request_id", request->id), TM_LOG_INT("spent_ms", spent_ns / 1000000),
            request->job_id[0] != '\0' ? TM_LOG_STR("job", request->job_id) : TM_LOG_END,
            TM_LOG_END);
}

void tm_exchange_end(void *cls, struct MHD_Connection *connection, void **slot,
        enum MHD_RequestTerminationCode how)
{
    (void)connection;
    (void)how;
    struct tm_api *api = tm_server_of(cls);
    struct tm_request *request = tm_request_of(*slot);
    *slot = NULL;
    if (request->answered) {
        report(request);
    }
    request->peer->busy = false;
    /* A server that wants to stop waits for no further request. */
    int64_t patience_ns = api->quiesced ? 0 : api->options.header_ms * 1000000;
    request->peer->deadline_ns = tm_mono_ns() + patience_ns;
    tm_request_let_go(request);
}
