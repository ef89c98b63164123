/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problem - refusals as application/problem+json (RFC 9457), with the slugs of docs/api.md.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_PROBLEM_H
#define TM_API_PROBLEM_H

#include "base/json.h"
#include "base/vec.h"
#include "tm_control.h"

struct tm_request;

enum { TM_FIELD_ERRORS_MAX = 100 };

/* One thing that is wrong with what was asked. Texts live as long as the request. */
struct tm_field_error {
    const char *pointer;   /* JSON Pointer into the body; NULL: not there */
    const char *parameter; /* name of a query parameter; NULL likewise */
    const char *detail;
    const char *allowed; /* words.h; NULL: not a matter of choice */
    bool time;           /* not a time */
};
typedef TM_VEC(struct tm_field_error) tm_field_errors;

/* Note an error; TM_FIELD_ERRORS_MAX are kept. */
void tm_problem_note(struct tm_request *request, const struct tm_field_error *error);
/* Refuse the request for the errors noted, all of them; false if there are none. */
bool tm_problem_noted(struct tm_request *request);

/* Refuse the request. */
void tm_problem_answer(struct tm_request *request, const struct tm_problem *problem);
void tm_problem_refuse(struct tm_request *request, int status, const char *slug, const char *fmt,
        ...) TM_PRINTF(4, 5);
void tm_problem_not_found(
        struct tm_request *request, const char *kind, const char *name, const char *similar);

/* A problem with members of its own: begin, add them, send (which frees). */
struct tm_json *tm_problem_begin(
        const struct tm_request *request, int status, const char *slug, const char *detail);
void tm_problem_send(struct tm_request *request, int status, struct tm_json *problem);

/*
 * First thing in a `done` (request.h): the request that still wants its answer. NULL: nobody waits any more, or
 * there was a problem, which was its answer.
 */
struct tm_request *tm_problem_told(void *arg, const struct tm_problem *problem);

/* The `done` of an answer that is JSON already, or a problem; `arg` is the request. */
void tm_problem_or_json(void *arg, const char *json, const struct tm_problem *problem);

#endif
