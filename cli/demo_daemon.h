/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_daemon - tidemarkd as a child: find it, start it, hear that it is ready, stop it.
 *
 * The child has a process group of its own, so that Ctrl-C at a terminal reaches only us, and gets
 * SIGTERM when we die without having stopped it. It says that it is ready as it says so to systemd:
 * by a datagram (sd_notify).
 *
 * Threads: the main thread; SIGCHLD is blocked, and waited for by the caller.
 */
#ifndef TM_CLI_DEMO_DAEMON_H
#define TM_CLI_DEMO_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct demo_daemon {
    pid_t pid;      /* 0: not started */
    int notify_fd;  /* -1: none; readable when the daemon has something to say */
    bool has_ended; /* `status` is that of waitpid(2) */
    int status;
};

struct demo_daemon_options {
    const char *config;
    const char *log;    /* what it says is appended there */
    const char *notify; /* path of the socket to make */
};

/* The program: beside this one (../daemon in the build tree, ../sbin, here), else in PATH. */
enum tm_code demo_daemon_find(struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code demo_daemon_start(const char *program, const struct demo_daemon_options *options,
        struct demo_daemon *out, struct tm_err *err) TM_MUST_CHECK;
/* Read one datagram: did it say that the daemon is ready? */
bool demo_daemon_is_ready(const struct demo_daemon *daemon);
/* After SIGCHLD: has it ended? */
bool demo_daemon_reap(struct demo_daemon *daemon);
/* Append how it ended, "with status 3", "by signal 9". */
void demo_daemon_end(const struct demo_daemon *daemon, struct tm_buf *out);
/* SIGTERM, and SIGKILL if it has not ended after `grace_ms`; returns when it has. */
void demo_daemon_stop(struct demo_daemon *daemon, int64_t grace_ms);

#endif
