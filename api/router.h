/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router - from method and path to a route of routes.def.
 *
 * Threads: any.
 */
#ifndef TM_API_ROUTER_H
#define TM_API_ROUTER_H

#include "narrow.h"

struct tm_route {
    const char *method;
    const char *pattern; /* "/v1/jobs/{id}": at most one segment in braces */
    unsigned scope;      /* enum tm_api_scope; 0: open to all */
    void (*handler)(struct tm_request *request);
    enum tm_narrow_by narrow;
    const char *params; /* query parameters: words.h */
};

struct tm_route_match {
    const struct tm_route *route; /* NULL: none */
    const char *name;             /* what stands in the braces, unescaped; NULL: nothing does */
    char allow[64];               /* methods of the path when only the method is wrong; "" else */
    const char *similar;          /* nearest path that there is; NULL: none is near */
};

/* HEAD is taken for GET. */
struct tm_route_match tm_router_find(
        struct tm_request *request, const char *method, const char *path);

#endif
