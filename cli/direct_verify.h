/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct_verify - a vault verified by the command itself. Threads: the main thread.
 */
#ifndef TM_CLI_DIRECT_VERIFY_H
#define TM_CLI_DIRECT_VERIFY_H

#include "args.h"

/*
 * Verify the vault that the arguments name; what is found is printed as the daemon's job would be. A
 * scrub needs no key. Ctrl-C stops it. CLI_DIFFERENT when there was a fault.
 */
int cli_verify_directly(const struct cli_command *command, const struct cli_args *args,
        const char *depth, void (*table)(const struct tm_json_value *job));

#endif
