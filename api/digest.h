/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - "plan_digest" of a body: exactly that plan, or nothing. Threads: the loop's.
 */
#ifndef TM_API_DIGEST_H
#define TM_API_DIGEST_H

#include "body.h"

/* "sha256:" and 64 hex digits; NULL: not given, or wrong, which has been noted. */
const char *tm_digest_read(const struct tm_part *body);

#endif
