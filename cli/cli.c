/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int status_of(enum tm_code code)
{
    switch (code) {
    case TM_OK:
        return CLI_DONE;
    case TM_E_USAGE:
        return CLI_USE;
    case TM_E_MISSING:
        return CLI_MISSING;
    case TM_E_EXISTS:
    case TM_E_BUSY:
    case TM_E_CONFLICT:
        return CLI_CONFLICT;
    case TM_E_KEY:
        return CLI_WRONG_KEY;
    case TM_E_DENIED:
        return CLI_DENIED;
    case TM_E_LIMIT:
    case TM_E_CORRUPT:
    case TM_E_VERSION:
    case TM_E_IO:
    case TM_E_FULL:
    case TM_E_KAFKA:
    case TM_E_TIMEOUT:
    case TM_E_CANCELLED:
    case TM_E_UNKNOWN:
    case TM_E_UNSUPPORTED:
        break;
    }
    return CLI_FAILED;
}

int cli_fail(const struct tm_err *err)
{
    (void)fprintf(stderr, "tidemark: %s\n", err->msg);
    return status_of(err->code);
}

int cli_misuse(const struct cli_command *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "tidemark %s: ", command->words);
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "; see tidemark %s --help\n", command->words);
    va_end(args);
    return CLI_USE;
}

int cli_answer(const struct cli_command *command, int option)
{
    if (option == 'h') {
        (void)printf(
                "usage: tidemark %s %s\n\n%s", command->words, command->operands, command->help);
        return CLI_DONE;
    }
    /* getopt_long() has named the option. */
    (void)fprintf(stderr, "usage: tidemark %s %s\n", command->words, command->operands);
    return CLI_USE;
}

int cli_next_option(int argc, char **argv, const struct option *longs)
{
    return getopt_long(argc, argv, "h", longs, NULL); /* NOLINT(concurrency-mt-unsafe) */
}

const char *cli_environment(const char *name)
{
    return getenv(name); /* NOLINT(concurrency-mt-unsafe) */
}
