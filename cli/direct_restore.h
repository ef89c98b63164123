/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct_restore - a restore run by the command itself: from a vault into a cluster, without a daemon.
 *
 * Its journal lies in a folder (--state-dir, else a temporary one): with it, and the job's id, a restore
 * that was interrupted is taken up again.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_DIRECT_RESTORE_H
#define TM_CLI_DIRECT_RESTORE_H

#include "args.h"

/* CLI_DONE: restored and proved (or, with --dry-run, planned and nothing in the way). */
int cli_restore_directly(const struct cli_command *command, const struct cli_args *args);
/* Type the target's name, or have given --yes; false: it has been said that nothing is done. */
bool cli_restore_confirmed(const struct cli_args *args, const char *target);

#endif
