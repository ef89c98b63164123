/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body - a request's JSON, field by field, with every error noted and not the first only.
 *
 * A getter gives "not given" (NULL, `absent`) for a field that is wrong, after noting it; a handler
 * reads everything it knows and then asks tm_problem_noted() once. Texts lie in the document's arena,
 * the request's.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_BODY_H
#define TM_API_BODY_H

#include "request.h"

struct tm_part { /* an object of the body */
    struct tm_request *request;
    const struct tm_json_value *object; /* NULL: not given, or wrong */
    const char *pointer;                /* JSON Pointer of it; "" for the whole body */
};

/* Fields an object takes, and fields it will take: two lists of words (words.h). */
struct tm_known {
    const char *now;
    const char *later;
};

/*
 * Read the body as one object and check its field names. False: it is not JSON, and the request has
 * been refused. An empty body is an empty object where `may_be_empty`.
 */
bool tm_body_read(
        struct tm_request *request, struct tm_known known, bool may_be_empty, struct tm_part *out);

/* A field that is an object itself; its names are checked. `object` is NULL where it is not given. */
struct tm_part tm_body_object(const struct tm_part *part, const char *name, struct tm_known known);

/* A field that is an object whose names are anything. False: it is not given, or wrong. */
bool tm_body_map(const struct tm_part *part, const char *name, struct tm_part *out);
/* A field that is an array of at most `max` objects; their names are checked. How many; 0 where it is wrong. */
size_t tm_body_objects(const struct tm_part *part, const char *name, struct tm_known known,
        size_t max, struct tm_part **out);

bool tm_body_has(const struct tm_part *part, const char *name);
/* Note that a required field is not there. */
void tm_body_require(const struct tm_part *part, const char *name);
/* Note an error of a field. */
void tm_body_wrong(const struct tm_part *part, const char *name, const char *fmt, ...)
        TM_PRINTF(3, 4);

const char *tm_body_str(const struct tm_part *part, const char *name); /* not empty */
const char *tm_body_text(
        const struct tm_part *part, const char *name, size_t max); /* may be empty */
int64_t tm_body_int(const struct tm_part *part, const char *name, int64_t min, int64_t max);
bool tm_body_bool(const struct tm_part *part, const char *name, bool absent);
/* A number from 0, which it must exceed, to 1. */
double tm_body_ratio(const struct tm_part *part, const char *name, double absent);
/* The place of the value in `words.now`; 0, the default, where it is not given. */
int tm_body_choice(const struct tm_part *part, const char *name, struct tm_known words);
/* An array of strings that are not empty, each at most `max` bytes and none twice. */
const char *const *tm_body_strings(
        const struct tm_part *part, const char *name, size_t max, size_t *count);
/* An object whose values are strings that are not empty. */
struct tm_rename *tm_body_pairs(const struct tm_part *part, const char *name, size_t *count);

#endif
