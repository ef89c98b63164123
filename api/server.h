/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - one listener: MHD, the connections it holds and the requests in hand.
 *
 * MHD does not look at a suspended connection, so that a client that goes away during a wait would go
 * unnoticed. Hence an epoll descriptor of our own around MHD's: it also watches the sockets of those
 * who wait. MHD's timeout is one of inactivity; that a request is in after 30 s is our own check.
 */
#ifndef TM_API_SERVER_H
#define TM_API_SERVER_H

#include <sys/queue.h>
#include <sys/types.h>

#include "tm_api.h"

struct MHD_Daemon;
struct tm_limits;
struct tm_request;

struct tm_peer { /* a connection */
    unsigned magic;
    struct tm_api *api;
    int fd;              /* MHD's */
    uid_t uid;           /* of a Unix socket's peer */
    bool trusted;        /* ... who may do everything */
    bool busy;           /* a request of it is in hand */
    int64_t deadline_ns; /* its next request must be in by then; 0: it is */
    LIST_ENTRY(tm_peer) beside;
};

struct tm_api {
    unsigned magic;
    struct tm_limits *limits;
    struct tm_api_options options;
    struct MHD_Daemon *mhd;
    int epoll_fd;
    int listen_fd; /* -1: given up by tm_api_quiesce() */
    unsigned peer_count;
    bool quiesced;
    bool resumed;      /* a connection was resumed since the last run */
    bool loopback;     /* listens on loopback TCP: the Host header is checked */
    char host[64];     /* the address it listens on, as a Host header has it */
    gid_t group;       /* of the Unix socket: its members are trusted */
    bool group_writes; /* ... if the file's mode says so */
    LIST_HEAD(, tm_peer) peers;
    LIST_HEAD(, tm_request) requests;
};

/* The server that a callback's `cls` points to. */
struct tm_api *tm_server_of(void *cls);
struct tm_peer *tm_server_peer_of(void *cls);

/* Have the socket of a suspended request watched, or not any more. */
void tm_server_watch(struct tm_request *request);
void tm_server_unwatch(struct tm_request *request);
/* A connection has been resumed: the loop must run MHD soon. */
void tm_server_wake(struct tm_api *api);

#endif
