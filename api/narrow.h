/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrow - what a token is good for besides its scopes.
 *
 * A token may be narrowed to policies, to clusters that are backed up (of whatever policy), and to clusters that are
 * restored into. routes.def says of each route how the first two are kept: a route that says nothing is refused, so that a
 * new one gives nothing away. Names are the configuration's.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_NARROW_H
#define TM_API_NARROW_H

#include "request.h"

/* How a route keeps to what a token is narrowed to. */
enum tm_narrow_by {
    TM_NARROW_WHOLE,   /* it is about more than that: refused */
    TM_NARROW_ANY,     /* it gives nothing away */
    TM_NARROW_POLICY,  /* the path names a policy, */
    TM_NARROW_CLUSTER, /* a cluster, */
    TM_NARROW_POINT,   /* a recovery point, */
    TM_NARROW_JOB,     /* a job */
    TM_NARROW_SELF,    /* its handler asks below: of rows it lists, of what its body names */
};

/* Call the route's handler, once the token may have what the path names; or refuse the request. */
void tm_narrow_dispatch(struct tm_request *request);

/* May the token see what belongs to that policy? `cluster`: of one that is not configured any more; NULL: not known. */
bool tm_narrow_sees(struct tm_request *request, const char *policy, const char *cluster);
bool tm_narrow_sees_slices(
        struct tm_request *request, struct tm_slice policy, struct tm_slice cluster);
bool tm_narrow_is(const struct tm_request *request); /* to policies or clusters */

/* Each gives false after refusing the request. NULL is not told, and is refused where it would have to be. */
bool tm_narrow_policy(struct tm_request *request, const char *policy);
bool tm_narrow_source(struct tm_request *request, const char *cluster); /* all policies of it */
bool tm_narrow_target(struct tm_request *request, const char *cluster);
/* then(request) if the token may have that point. */
void tm_narrow_point(struct tm_request *request, const struct tm_id16 *ulid,
        void (*then)(struct tm_request *request));

#endif
