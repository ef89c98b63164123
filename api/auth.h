/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - who asks, and what may they do.
 *
 * On a Unix socket the peer's uid is the identity: root, the daemon's own user and members of the
 * socket's group (when the file's mode lets them write) may do everything. On TCP a bearer token is
 * needed; its SHA-256 is compared with every configured one in constant time. Where client certificates are asked
 * for, each request needs one that is valid now; without a token it is the identity. On loopback TCP the Host
 * header must name this machine, so that a web page cannot reach the daemon by DNS rebinding.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_AUTH_H
#define TM_API_AUTH_H

#include "request.h"

/* What the listening socket says: its group and mode, its address. */
void tm_auth_learn_listener(struct tm_api *api);
/* Who is at the other end of a Unix socket. */
void tm_auth_learn_peer(struct tm_peer *peer);

/* Each gives false after refusing the request. `open`: the route is for anybody who may connect. */
bool tm_auth_host(struct tm_request *request);
bool tm_auth_identity(struct tm_request *request, bool open);
bool tm_auth_scope(struct tm_request *request, unsigned scope);

#endif
