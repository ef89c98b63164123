/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - a request from its first line to the end of its answer.
 *
 * A handler of a route either answers (tm_request_answer_*, tm_problem_*) or asks control for
 * something: tm_request_ask() before, tm_request_told() first thing in the `done`. A request whose
 * handler has returned without an answer is suspended until there is one. Exactly one answer is given.
 *
 * A request is freed when MHD is through with it and control owes it nothing more, whichever comes
 * last.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_REQUEST_H
#define TM_API_REQUEST_H

#include "base/json.h"
#include "base/vec.h"
#include "problem.h"
#include "query.h"
#include "server.h"

struct MHD_Connection;
struct tm_route;
struct tm_point_edit; /* point_edit.c */
struct tm_channel;

enum { TM_REQUEST_ID_MAX = 64 };

struct tm_answer_header {
    const char *name;
    const char *value;
};

struct tm_answer {
    int status;
    const char *content_type; /* static; NULL: no body */
    struct tm_buf body;
    TM_VEC(struct tm_answer_header) headers;
};

struct tm_job_wait { /* for the end of a job */
    struct tm_id16 job;
    int64_t ms;
    char *started; /* answer to give if it does not end in time; NULL: a look at the job as it is */
};

struct tm_request {
    unsigned magic;
    struct tm_api *api;                /* NULL: the server has stopped */
    struct MHD_Connection *connection; /* NULL likewise */
    struct tm_peer *peer;              /* NULL likewise */
    LIST_ENTRY(tm_request) beside;

    /* What is asked; texts lie in `arena`. */
    struct tm_arena arena;
    char id[TM_REQUEST_ID_MAX + 1];
    const char *method;           /* "" until its headers are in */
    const char *path;             /* as sent, without the query */
    const struct tm_route *route; /* NULL: none fits */
    const char *name;             /* what stands where the route has "{...}"; NULL: it has not */
    struct tm_query query;
    struct tm_buf body;
    size_t body_seen; /* bytes received, also those not kept */
    char who[128];
    unsigned scopes;
    struct tm_narrow narrow;
    tm_field_errors errors;

    /* How far it has come. */
    int64_t start_ns;
    bool begun;      /* its headers have been looked at */
    bool dispatched; /* it is in, and its handler has been called */
    bool asked;      /* control owes a `done` */
    bool suspended;
    bool watched;
    bool answered;
    bool waited;           /* for a job: no measure of latency */
    int64_t held_until_ns; /* its answer, a refusal, is not given before; 0: at once */
    /* Not NULL: it waits for a job, and this ends the wait with an answer. */
    void (*end_wait)(struct tm_request *request);
    struct tm_answer answer;

    /* What its handler has to remember. */
    struct tm_page page;
    struct tm_job_wait wait;
    enum tm_job_kind report_kind; /* of a report: what the job has to be */
    const struct tm_restore_request *restore;
    void (*allowed)(
            struct tm_request *request); /* what waits for its point to be looked at: narrow.h */
    struct tm_point_edit *edit;
    struct tm_key_request key;  /* its Idempotency-Key; key.key NULL: it has none */
    struct tmd_key *held;       /* while it is on its way to a job with that key */
    struct tm_control held_by;  /* gives it back, also when the server is gone */
    struct tm_channel *channel; /* the answer goes on; NULL: it does not */
    char job_id[32];            /* a job it started, joined or cancelled, for the log; "" none */
};

struct tm_request *tm_request_new(struct tm_api *api, struct MHD_Connection *connection,
        struct tm_peer *peer, const char *uri);
struct tm_request *tm_request_of(void *cls);
/* MHD is through with it. */
void tm_request_let_go(struct tm_request *request);

const struct tm_control *tm_request_control(const struct tm_request *request);
/* A header of the request by its name; NULL where there is none. */
const char *tm_request_header(const struct tm_request *request, const char *name);
struct tm_caller tm_request_caller(const struct tm_request *request);

/* Control is about to be asked, with the request as `arg` of the `done`. */
void tm_request_ask(struct tm_request *request);
/* The request that a `done` is for, or NULL: nobody waits for the answer any more. */
struct tm_request *tm_request_told(void *arg);
/* Control has forgotten the `done`. */
void tm_request_forget(struct tm_request *request);

/* Before the answer: a header of it. */
void tm_request_add_header(struct tm_request *request, const char *name, const char *fmt, ...)
        TM_PRINTF(3, 4);
/* Answers; `json` is freed. */
void tm_request_answer_json(struct tm_request *request, int status, struct tm_json *json);
void tm_request_answer_problem_json(struct tm_request *request, int status, struct tm_json *json);
/* A document as it stands in `text`, with integers as strings where the request asks for that. */
void tm_request_answer_document(
        struct tm_request *request, int status, const char *content_type, const char *text);
/* Takes the bytes of `text`, which is empty then; content_type NULL: no body. */
void tm_request_answer_text(
        struct tm_request *request, int status, const char *content_type, struct tm_buf *text);

#endif
