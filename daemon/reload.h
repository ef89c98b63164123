/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload - the configuration read again, by SIGHUP, by request, or because the file is another one.
 *
 * All or nothing: it is read and checked on a thread of its own, compared with what is in force, and then takes effect
 * in one turn of the loop, or not at all. What runs goes on as it began. The state directory, addresses and fewer
 * workers need a restart, and the answer says so.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_RELOAD_H
#define TM_DAEMON_RELOAD_H

#include "tmd.h"

struct tmd_reload *tmd_reload_new(struct tmd *tmd, const char *path); /* `path` is borrowed */
void tmd_reload_free(struct tmd_reload *reload); /* and all configurations but the first */
/* The daemon is ready: what was asked for meanwhile, and the watch of the file where it is configured. */
void tmd_reload_start(struct tmd *tmd);
void tmd_reload_stop(struct tmd *tmd); /* no more; who waits is told so */
/*
 * Reload. `done` (may be NULL) gets a document of what changed, or the problem config-invalid or restart-needed. Asked while a reload
 * goes on: another one follows, which answers.
 */
void tmd_reload_ask(struct tmd *tmd, tm_done_json done, void *arg);

/* tm_control_ops.reload. */
void tmd_control_reload(void *self, const struct tm_caller *caller, tm_done_json done, void *arg);

#endif
