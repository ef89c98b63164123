/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_groups - what `tidemark restore` does with consumer groups: --groups, --group, --group-rename.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_RESTORE_GROUPS_H
#define TM_CLI_RESTORE_GROUPS_H

#include "args.h"
#include "base/json.h"
#include "job/restore.h"

#define CLI_RESTORE_GROUPS_OPTIONS " groups group group-rename"

/* Into `arena`, which the texts are copied to; TM_E_USAGE says which option takes what. */
enum tm_code cli_groups_read(const struct cli_args *args, struct tm_arena *arena,
        struct tm_restore_groups *out, struct tm_err *err) TM_MUST_CHECK;
/* The same for a daemon: as "consumer_groups" of the body of POST /v1/restores. */
void cli_groups_add(const struct tm_restore_groups *groups, struct tm_json *body);

#define CLI_GROUPS_HELP \
    "Consumer groups of the restored topics, once all is proved:\n" \
    "  --groups W               none (default); translate: they go on at the target where they " \
    "stood; report\n" \
    "  --group G                only these names, globs and regular expressions; may be " \
    "repeated\n" \
    "  --group-rename G=NAME    the group's name at the target; may be repeated\n" \
    "\n"

#endif
