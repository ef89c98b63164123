/* SPDX-License-Identifier: Apache-2.0 */
/* guard - which addresses a client may connect to. Threads: any. */
#ifndef TM_HTTP_GUARD_H
#define TM_HTTP_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "http/http.h"

/* An address that is neither IPv4 nor IPv6 is not allowed. */
bool tm_guard_allows(enum tm_http_reach reach, const struct sockaddr *address);

#endif
