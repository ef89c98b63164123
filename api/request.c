/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "channel.h"
#include "idempotency.h"
#include "router.h"

enum { REQUEST_MAGIC = 0x746d5251, HEADER_VALUE_MAX = 1024 };

struct tm_request *tm_request_of(void *cls)
{
    struct tm_request *request = cls;
    tm_assert(request != NULL && request->magic == REQUEST_MAGIC);
    return request;
}

struct tm_request *tm_request_new(struct tm_api *api, struct MHD_Connection *connection,
        struct tm_peer *peer, const char *uri)
{
    struct tm_request *request = tm_xalloc(1, sizeof(*request));
    request->magic = REQUEST_MAGIC;
    request->api = api;
    request->connection = connection;
    request->peer = peer;
    request->method = "";
    request->start_ns = tm_mono_ns();

    char made[TM_ULID_NAME_MAX];
    struct tm_id16 ulid = tm_ulid_make(tm_now_ms());
    (void)snprintf(request->id, sizeof(request->id), "%s", tm_ulid_format(&ulid, "req_", made));

    size_t len = strcspn(uri, "?");
    request->path = tm_arena_str(&request->arena, tm_slice_of(uri, len));
    tm_query_read(request, uri[len] == '?' ? uri + len + 1 : "");
    LIST_INSERT_HEAD(&api->requests, request, beside);
    return request;
}

static void free_request(struct tm_request *request)
{
    tm_assert(!request->asked && request->connection == NULL);
    tm_idempotency_release(request);
    tm_assert(request->channel == NULL);
    request->magic = 0;
    tm_buf_done(&request->body);
    tm_buf_done(&request->answer.body);
    tm_vec_done(&request->answer.headers);
    tm_vec_done(&request->errors);
    free(request->wait.started);
    tm_arena_done(&request->arena);
    free(request);
}

void tm_request_let_go(struct tm_request *request)
{
    LIST_REMOVE(request, beside);
    tm_channel_free(request->channel);
    request->channel = NULL;
    request->api = NULL;
    request->connection = NULL;
    request->peer = NULL;
    if (!request->asked) {
        free_request(request);
    }
}

const struct tm_control *tm_request_control(const struct tm_request *request)
{
    return &request->api->options.control;
}

const char *tm_request_header(const struct tm_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct tm_caller tm_request_caller(const struct tm_request *request)
{
    struct tm_caller caller = {.body = tm_buf_text(&request->body),
            .key = request->key.key != NULL ? &request->key : NULL};
    (void)snprintf(caller.who, sizeof(caller.who), "%s", request->who);
    (void)snprintf(caller.request_id, sizeof(caller.request_id), "%s", request->id);
    return caller;
}

/* Asking control --------------------------------------------------------------------------- */

void tm_request_ask(struct tm_request *request)
{
    tm_assert(!request->asked && !request->answered);
    request->asked = true;
}

void tm_request_forget(struct tm_request *request)
{
    tm_assert(request->asked);
    request->asked = false;
}

struct tm_request *tm_request_told(void *arg)
{
    struct tm_request *request = tm_request_of(arg);
    tm_request_forget(request);
    request->end_wait = NULL;
    if (request->connection == NULL) {
        free_request(request);
        return NULL;
    }
    return request;
}

/* Answers ---------------------------------------------------------------------------------- */

void tm_request_add_header(struct tm_request *request, const char *name, const char *fmt, ...)
{
    char value[HEADER_VALUE_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(value)) {
        return; /* none of those that can be that long (Link) is needed to go on */
    }
    *tm_vec_push(&request->answer.headers) = (struct tm_answer_header){
            .name = name,
            .value = tm_arena_strdup(&request->arena, value),
    };
}

/* The answer is complete: MHD gets it when it next asks, which it does once resumed. */
static void finish(struct tm_request *request)
{
    tm_assert(!request->answered && !request->asked);
    request->answered = true;
    if (!request->suspended) {
        return;
    }
    request->suspended = false;
    tm_server_unwatch(request);
    MHD_resume_connection(request->connection);
    tm_server_wake(request->api);
}

void tm_request_answer_text(
        struct tm_request *request, int status, const char *content_type, struct tm_buf *text)
{
    request->answer.status = status;
    request->answer.content_type = content_type;
    request->answer.body = *text;
    *text = (struct tm_buf){0};
    finish(request);
}

void tm_request_answer_document(
        struct tm_request *request, int status, const char *content_type, const char *text)
{
    struct tm_buf body = {0};
    if (request->query.int64_strings && status < 300) {
        tm_json_quote_integers(text, &body);
    } else {
        tm_buf_add_text(&body, text);
    }
    tm_buf_add_text(&body, "\n"); /* for terminals */
    tm_request_answer_text(request, status, content_type, &body);
}

static void answer_document(
        struct tm_request *request, int status, const char *content_type, struct tm_json *json)
{
    char *text = tm_json_text(json);
    tm_json_free(json);
    tm_request_answer_document(request, status, content_type, text);
    free(text);
}

void tm_request_answer_json(struct tm_request *request, int status, struct tm_json *json)
{
    answer_document(request, status, "application/json", json);
}

void tm_request_answer_problem_json(struct tm_request *request, int status, struct tm_json *json)
{
    answer_document(request, status, "application/problem+json", json);
}
