/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what the commands of `tidemark` share: how they are found, how they fail, how they end.
 *
 * A command is a table row: its words, its help, and a function that gets the arguments behind the
 * words and gives the exit status. Data goes to standard output, talk to standard error.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_CLI_H
#define TM_CLI_CLI_H

#include <getopt.h>

#include "base/err.h"
#include "base/slice.h"

/* Exit statuses; scripts rest on them. What is not listed is a failure too. */
enum cli_status {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USE = 2,       /* wrong use of the command line */
    CLI_REFUSED = 3,   /* the configuration is refused */
    CLI_DENIED = 6,    /* credentials or scope */
    CLI_MISSING = 7,   /* nothing there */
    CLI_CONFLICT = 8,  /* exists, held, running */
    CLI_DIFFERENT = 9, /* a comparison found a fault */
    CLI_WRONG_KEY = 12,
};

struct cli_command {
    const char *words;    /* "key new" */
    const char *operands; /* "[--flag X] FILE", for the usage line */
    const char *does;     /* one line, for the list of commands */
    const char *help;     /* what is behind the usage line; ends with two examples */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

extern const struct cli_command cli_check_config;
extern const struct cli_command cli_demo;
extern const struct cli_command cli_demo_compare;
extern const struct cli_command cli_key_new;
extern const struct cli_command cli_token_new;
extern const struct cli_command cli_vault_init;
extern const struct cli_command cli_version;

/* Print the failure to standard error; the status that its code means. */
int cli_fail(const struct tm_err *err);
/* Say what is wrong with the command line, and where help is; CLI_USE. */
int cli_misuse(const struct cli_command *command, const char *fmt, ...) TM_PRINTF(2, 3);
/* Answer an option that the command does not handle itself: --help, or one it does not know. */
int cli_answer(const struct cli_command *command, int option);

/* getopt_long(), and getenv(), for a process whose other threads do neither. */
int cli_next_option(int argc, char **argv, const struct option *longs);
const char *cli_environment(const char *name);

/* The row that every table of long options has in common. */
#define CLI_HELP_OPTION \
    { \
        "help", no_argument, NULL, 'h' \
    }

#endif
