/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - the certificate files of server.tls, read for the HTTP server.
 *
 * Threads: the loop's.
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
void tmd_tls_free(struct tmd_tls *tls); /* wipes the key; NULL is fine */

#endif
