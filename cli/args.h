/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args - the options of the commands that ask a daemon or open a vault, read by one table.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_ARGS_H
#define TM_CLI_ARGS_H

#include "client.h"
#include "direct.h"
#include "output.h"

enum { CLI_ARGS_MAX = 128 };

struct cli_args {
    struct cli_direct_options direct;
    struct cli_client_options client;
    struct cli_output output;
    struct {
        const char *name;  /* "policy" */
        const char *value; /* "" of an option that takes none */
    } given[CLI_ARGS_MAX];
    size_t count;
    char **operands; /* what stands without an option */
    int operand_count;
};

/* What a command takes besides -o and --help. */
struct cli_takes {
    bool client;         /* --server ... */
    bool direct;         /* --vault ... */
    const char *options; /* names of others, separated by spaces */
    int least;           /* operands */
    int most;
};

/*
 * Read the command line. True: go on. False: end with *status, for --help or wrong use, which has been
 * answered.
 */
bool cli_args_read(const struct cli_command *command, const struct cli_takes *takes, int argc,
        char **argv, struct cli_args *out, int *status);

/* The value given last; NULL: the option was not given. */
const char *cli_arg(const struct cli_args *args, const char *name);
/* The next value of an option that may be repeated; *at is 0 before the first. NULL: no more. */
const char *cli_arg_next(const struct cli_args *args, const char *name, size_t *at);

#endif
