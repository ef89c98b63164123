/* SPDX-License-Identifier: Apache-2.0 */
/*
 * url - taking http(s) URLs apart, and percent-encoding. Threads: any.
 */
#ifndef TM_HTTP_URL_H
#define TM_HTTP_URL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Parts of a URL, borrowed from it. */
struct tm_url {
    bool tls;
    struct tm_slice host;  /* with its port where the URL names one: "[::1]:9000" */
    struct tm_slice path;  /* "" or from "/", as it stands there */
    struct tm_slice query; /* behind "?"; "" when there is none */
};

/*
 * Take apart "http[s]://HOST[:PORT][/PATH][?QUERY]". TM_E_USAGE for another scheme, an empty host, a
 * user name or a fragment.
 */
enum tm_code tm_url_split(const char *url, struct tm_url *out, struct tm_err *err) TM_MUST_CHECK;

/* Append `text`, with all but A-Z a-z 0-9 - _ . ~ and the characters of `also` as %XX (RFC 3986). */
void tm_url_encode(struct tm_buf *out, struct tm_slice text, const char *also);
/* Append `text` with each %XX as its byte, and "+" as a space. False for a "%" without two digits. */
bool tm_url_decode(struct tm_buf *out, struct tm_slice text);

#endif
