/* SPDX-License-Identifier: Apache-2.0 */
/*
 * points - one recovery point as an answer, and its ETag. Threads: the loop's.
 */
#ifndef TM_API_POINTS_H
#define TM_API_POINTS_H

#include "etag.h"
#include "request.h"

/* The point that the path names, or "latest" with `policy`. False: the request has been refused. */
bool tm_points_read_id(struct tm_request *request, struct tm_id16 *out);
/* 200 with the point and its ETag; 304 where If-None-Match names that. */
void tm_points_answer(struct tm_request *request, const struct tm_point_answer *answer);
void tm_points_etag(const struct tm_point_answer *answer, char out[TM_ETAG_MAX]);

#endif
