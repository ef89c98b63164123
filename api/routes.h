/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes - the handlers that routes.def names.
 */
#ifndef TM_API_ROUTES_H
#define TM_API_ROUTES_H

#include "request.h"

#define X(method, pattern, scope, handler, narrow, params) void handler(struct tm_request *request);
#include "routes.def"
#undef X

/* policies.c: the policy that the path names; NULL: there is none, and that was answered. */
const struct tm_policy_view *tm_policies_find(struct tm_request *request);

#endif
