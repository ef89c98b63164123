/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - the certificate files of server.tls, read for the HTTP server.
 *
 * Threads: the loop's; tmd_tls_load(): any.
 */
#ifndef TM_DAEMON_TLS_H
#define TM_DAEMON_TLS_H

#include "tm_api.h"
#include "tm_config.h"

struct tmd_tls;

/*
 * *out is NULL where server.tls is not set. TM_E_MISSING, TM_E_DENIED, TM_E_IO or TM_E_LIMIT (files have at most
 * 1 MiB) name the file.
 */
enum tm_code tmd_tls_load(
        const struct tm_config *config, struct tmd_tls **out, struct tm_err *err) TM_MUST_CHECK;
/* For the servers' lives; NULL for NULL. */
const struct tm_api_tls *tmd_tls_api(const struct tmd_tls *tls);
/* Do both (NULL: no TLS) give the same certificate, key, authorities and scopes of clients? */
bool tmd_tls_same(const struct tmd_tls *a, const struct tmd_tls *b);
void tmd_tls_free(struct tmd_tls *tls); /* wipes the key; NULL is fine */

#endif
