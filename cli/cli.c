/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

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
    case TM_E_ROLLED_BACK:
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

static bool fails_in_json; /* set once, by the command line */

void cli_fail_in_json(bool in_json)
{
    fails_in_json = in_json;
}

int cli_fail_as(const struct tm_err *err, int status)
{
    if (!fails_in_json) {
        (void)fprintf(stderr, "tidemark: %s\n", err->msg);
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "message_type", "exit_error");
    tm_json_add_int(json, "code", status);
    tm_json_add_str(json, "error", tm_code_name(err->code));
    tm_json_add_str(json, "message", err->msg);
    char *text = tm_json_text(json);
    (void)fprintf(stderr, "%s\n", text);
    free(text);
    return status;
}

int cli_fail(const struct tm_err *err)
{
    return cli_fail_as(err, status_of(err->code));
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

int cli_next_option_row(int argc, char **argv, const struct option *longs, int *row)
{
    return getopt_long(argc, argv, "ho:", longs, row); /* NOLINT(concurrency-mt-unsafe) */
}

int cli_next_option(int argc, char **argv, const struct option *longs)
{
    return cli_next_option_row(argc, argv, longs, NULL);
}

const char *cli_environment(const char *name)
{
    return getenv(name); /* NOLINT(concurrency-mt-unsafe) */
}
