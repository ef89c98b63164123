/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cors - web pages of other origins: only those that are configured, by exact comparison (the Fetch standard, "CORS
 * protocol"). No cookies are used, so no credentials are allowed.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_CORS_H
#define TM_API_CORS_H

#include "request.h"

/* What the answer has to say of it, whatever the answer is. */
void tm_cors_add(struct tm_request *request);
/* Answer a preflight of an origin that may ask; false: it is none. */
bool tm_cors_preflight(struct tm_request *request, const char *allow);

#endif
