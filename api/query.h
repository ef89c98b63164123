/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - the parameters behind the "?", and the pages of lists.
 *
 * A getter that finds something wrong notes it (problem.h) and gives the value for "not given"; a
 * handler reads everything it knows and then asks tm_problem_noted() once.
 *
 * Cursors: version, a hash of the filter, the last ULID of the page, all in hex. They are opaque to
 * clients and hold for the filter that made them only.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_QUERY_H
#define TM_API_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/names.h"
#include "base/slice.h"
#include "policy/select.h"

struct tm_request;

enum { TM_QUERY_PARAMS_MAX = 32, TM_QUERY_TIMES_MAX = 3, TM_QUERY_WAIT_MAX_MS = 60000 };

struct tm_param {
    const char *name;
    const char *value;
};

struct tm_query_time { /* a parameter that is a time, as it was understood */
    const char *name;
    int64_t time_ms;
};

struct tm_query {
    struct tm_param params[TM_QUERY_PARAMS_MAX];
    size_t count;
    struct tm_query_time times[TM_QUERY_TIMES_MAX];
    size_t time_count;
    bool int64_strings; /* int64=string */
    bool malformed;     /* a bad escape, not UTF-8, or too many */
};

/*
 * `len` bytes of a URI with their escapes resolved, in `arena`; NULL for a bad escape, NUL or what is
 * not UTF-8.
 */
char *tm_query_unescape(struct tm_arena *arena, const char *text, size_t len, bool plus_is_space);

void tm_query_read(struct tm_request *request, const char *text);
/* Note what the route does not take, or takes once only. */
void tm_query_check(struct tm_request *request);

/* NULL where it is not given. An empty value is an error. */
const char *tm_query_get(struct tm_request *request, const char *name);
/* The place of the value in `words` (words.h); `absent` where it is not given. */
int tm_query_choice(struct tm_request *request, const char *name, const char *words, int absent);
/*
 * All values of one that may be given several times; none where it is not given. In the request's arena, texts too.
 */
struct tm_names tm_query_names(struct tm_request *request, const char *name);
/* The patterns of `topic`, of which any will do; NULL where there are none, or one is no pattern, which has been noted. */
struct tm_select *tm_query_topics(struct tm_request *request);
/* Of one that may be given several times: 1 << place of each value; 0 where it is not given. */
unsigned tm_query_choices(struct tm_request *request, const char *name, const char *words);
int64_t tm_query_time(struct tm_request *request, const char *name, int64_t absent);
/* A number in [min, max]; `absent` where it is not given. */
int64_t tm_query_int(
        struct tm_request *request, const char *name, int64_t absent, int64_t min, int64_t max);
const char *tm_query_cursor(const struct tm_request *request); /* as it is; NULL: from the first */
int64_t tm_query_wait_ms(struct tm_request *request);          /* `wait`; 0: do not */

struct tm_page {
    size_t limit;
    bool has_before;
    bool counted;
    struct tm_id16 before;
};

/* `limit` and `cursor`, read last. False: the request has been refused, for any error noted. */
bool tm_query_page(struct tm_request *request);
/*
 * Of a list that is in memory: which of `count` rows are on the page; *from is its first. Without `limit` all are. False: refused.
 */
bool tm_query_rows(struct tm_request *request, size_t count, size_t *from, size_t *rows);
/* Such a page; `end` is the row behind its last. `list` is freed. */
void tm_query_answer_rows(
        struct tm_request *request, struct tm_json *list, size_t end, size_t count);
/* `count`: is total_count asked for? A narrowed token is not told, since it would count what it may not see. */
bool tm_query_counted(struct tm_request *request);
/* Where it is, and `total` is known (0 and above). */
void tm_query_add_total(const struct tm_request *request, struct tm_json *list, int64_t total);
/*
 * Answer with a page whose last item is `last`; `more`: others follow. The times asked for are told
 * as they were understood. `list` is freed.
 */
void tm_query_answer_page(
        struct tm_request *request, struct tm_json *list, const struct tm_id16 *last, bool more);

#endif
