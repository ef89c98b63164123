/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etag - entity tags of single documents (RFC 9110, 8.8.3 and 13.1). Threads: the loop's.
 */
#ifndef TM_API_ETAG_H
#define TM_API_ETAG_H

#include <stdbool.h>

struct tm_request;

enum { TM_ETAG_MAX = 40 };

/* The strong tag, with its quotes, of a document as it stands in `text`. */
void tm_etag_of(const char *text, char out[TM_ETAG_MAX]);
/* Is `etag` in the list of an If-Match or If-None-Match header, or does that say "*"? */
bool tm_etag_among(const char *list, const char *etag);
/* 200 with the document `text` and its ETag; 304 where If-None-Match names that. */
void tm_etag_answer(struct tm_request *request, const char *text, const char *etag);

#endif
