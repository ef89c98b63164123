/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - certificates: ours, and those of clients.
 *
 * libmicrohttpd asks for a client's certificate when it is given authorities, and then serves whoever
 * comes, with one or without (measured on 0.9.75): each request is checked here.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_TLS_H
#define TM_API_TLS_H

#include "request.h"

enum { TM_CLIENT_NAME_MAX = 96 };

/* What is wrong with the certificates of `tls`, before a server is started with them; TM_E_USAGE. */
enum tm_code tm_tls_check(const struct tm_api_tls *tls, struct tm_err *err) TM_MUST_CHECK;

/*
 * The name in the certificate of the request's connection: its SAN URI, else its common name. TM_E_DENIED with
 * the reason: there is none, none of our authorities signed it, it has expired or is not valid yet, it has no name.
 */
enum tm_code tm_tls_client(const struct tm_request *request, char name[TM_CLIENT_NAME_MAX],
        struct tm_err *err) TM_MUST_CHECK;

#endif
