/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64 - bytes as text (RFC 4648): the plain alphabet, and the one for URLs. Threads: any.
 */
#ifndef TM_BASE_BASE64_H
#define TM_BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* Append `bytes` as text: "+", "/" and padding. */
void tm_base64_add(struct tm_buf *out, struct tm_slice bytes);

/* Append `bytes` as text: "-", "_", no padding. */
void tm_base64url_add(struct tm_buf *out, struct tm_slice bytes);

/* Append the bytes that `text` stands for; one or two "=" at its end are passed over. False for anything else. */
bool tm_base64url_read(struct tm_buf *out, struct tm_slice text);

#endif
