/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - the servers of the socket and the addresses, driven by the loop.
 *
 * Where a reload changes what a server was started with, another one takes its place at the same listening socket; the
 * one before answers what it has in hand, ends what waits, and goes with its last connection.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_HTTP_H
#define TM_DAEMON_HTTP_H

#include "tls.h"
#include "tmd.h"

enum tm_code tmd_http_start(struct tmd *tmd, struct tm_err *err) TM_MUST_CHECK;
/* Do the servers have that certificate and what belongs to it? */
bool tmd_http_has_tls(const struct tmd *tmd, const struct tmd_tls *tls);
/*
 * Serve as `next` says, but for its tokens, from now on. `tls` is taken over, also by a failure: then all is as it was. To be
 * called before tmd->config becomes `next`.
 */
enum tm_code tmd_http_adopt(struct tmd *tmd, const struct tm_config *next, struct tmd_tls *tls,
        struct tm_err *err) TM_MUST_CHECK;
void tmd_http_take_tokens(struct tmd *tmd); /* those of the configuration from now on */
void tmd_http_quiesce(struct tmd *tmd);
unsigned tmd_http_connections(const struct tmd *tmd);
void tmd_http_stop(struct tmd *tmd);
void tmd_http_remove_socket(const struct tmd *tmd); /* its name, if it is ours */
void tmd_http_free(struct tmd *tmd);                /* once the loop has closed its handles */

#endif
