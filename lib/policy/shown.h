/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shown - a piece of what somebody wrote, made fit for a message.
 *
 * Messages are one line of UTF-8; what is quoted in them comes from files and requests.
 * Threads: any.
 */
#ifndef TM_POLICY_SHOWN_H
#define TM_POLICY_SHOWN_H

#include <stddef.h>

enum { TM_SHOWN_MAX = 84 }; /* 80 bytes, "..." and NUL */

/* At most 80 bytes of `text`; what is not printable ASCII becomes '?'. Gives `shown`. */
const char *tm_shown(const char *text, size_t len, char shown[TM_SHOWN_MAX]);

#endif
