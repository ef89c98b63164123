/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_choice - which records `tidemark restore` takes: --at, --from, --window, --skip, --partitions, --newest.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_RESTORE_CHOICE_H
#define TM_CLI_RESTORE_CHOICE_H

#include "args.h"
#include "base/json.h"
#include "job/choice.h"

#define CLI_CHOICE_OPTIONS " at as-of from window skip partitions newest"

/* Into `arena`; TM_E_USAGE says which option takes what. A relative time is one from now. */
enum tm_code cli_choice_read(const struct cli_args *args, struct tm_arena *arena,
        struct tm_choice *out, struct tm_err *err) TM_MUST_CHECK;
/* A job that may be taken up again must mean the same then: TM_E_USAGE where a time is relative. */
enum tm_code cli_choice_absolute(const struct cli_args *args, struct tm_err *err) TM_MUST_CHECK;
/* The same for a daemon: into the body of POST /v1/restores, its "source" and its "topics". */
void cli_choice_add(const struct cli_args *args, const struct tm_choice *choice,
        struct tm_json *body, struct tm_json *source, struct tm_json *topics);

#define CLI_CHOICE_HELP \
    "Which records (docs/restore.md); times are RFC 3339, epoch milliseconds, or \"-2h\":\n" \
    "  --at TIME                with a timestamp below it; --as-of capture_time: the point taken " \
    "then\n" \
    "  --from TIME              with that timestamp or a later one\n" \
    "  --window T/P@FROM..TO    offsets of a partition, TO excluded; or T@TIME..TIME; may be " \
    "repeated\n" \
    "  --skip T/P@FIRST[-LAST]  not these, LAST included; may be repeated\n" \
    "  --partitions T=P,P...    of topic T only these; may be repeated\n" \
    "  --newest N               the last N of each partition\n" \
    "\n"

#endif
