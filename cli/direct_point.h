/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct_point - which recovery point and which of its topics a command that opens a vault itself means.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_DIRECT_POINT_H
#define TM_CLI_DIRECT_POINT_H

#include "args.h"
#include "policy/select.h"

/*
 * The id, or "latest" with --policy: the newest point of that policy on any cluster. TM_E_MISSING: there is
 * none.
 */
enum tm_code cli_direct_point(const struct cli_args *args, const char *given,
        struct cli_direct *direct, struct tm_arena *arena, struct tm_point *out,
        struct tm_err *err) TM_MUST_CHECK;

/* --topic and --exclude; NULL: neither is given. */
enum tm_code cli_direct_topics(
        const struct cli_args *args, struct tm_select **out, struct tm_err *err) TM_MUST_CHECK;

#endif
