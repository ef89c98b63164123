/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_into - the options of `tidemark restore` that say where in the target records go, and how fast.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_RESTORE_INTO_H
#define TM_CLI_RESTORE_INTO_H

#include "args.h"
#include "base/json.h"

#define CLI_RESTORE_INTO_OPTIONS " into-partitions partition-count confirm write-rate"

/* Add them to the body of POST /v1/restores. Else what is wrong, static. */
const char *cli_restore_add_into(struct tm_json *body, const struct cli_args *args);
/* Is one of them given? */
bool cli_restore_has_into(const struct cli_args *args);

#endif
