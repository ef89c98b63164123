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
    CLI_USE = 2,         /* wrong use of the command line */
    CLI_REFUSED = 3,     /* the configuration is refused; or done in part */
    CLI_STATE = 4,       /* state directory or catalog cannot be used */
    CLI_UNREACHABLE = 5, /* no daemon answers */
    CLI_DENIED = 6,      /* credentials or scope */
    CLI_MISSING = 7,     /* nothing there */
    CLI_CONFLICT = 8,    /* exists, held, running */
    CLI_DIFFERENT = 9,   /* a comparison found a fault */
    CLI_NO_VAULT = 10,   /* there is no vault */
    CLI_WRONG_KEY = 12,
    CLI_AGAIN = 75, /* busy: try again */
};

struct cli_command {
    const char *words;    /* "key new" */
    const char *operands; /* "[--flag X] FILE", for the usage line */
    const char *does;     /* one line, for the list of commands */
    const char *help;     /* what is behind the usage line; ends with two examples */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

extern const struct cli_command cli_backup;
extern const struct cli_command cli_check_config;
extern const struct cli_command cli_clusters;
extern const struct cli_command cli_demo;
extern const struct cli_command cli_demo_compare;
extern const struct cli_command cli_drill_list;
extern const struct cli_command cli_drill_run;
extern const struct cli_command cli_drill_show;
extern const struct cli_command cli_export;
extern const struct cli_command cli_jobs_cancel;
extern const struct cli_command cli_jobs_list;
extern const struct cli_command cli_jobs_log;
extern const struct cli_command cli_policies_list;
extern const struct cli_command cli_policies_next;
extern const struct cli_command cli_policies_pause;
extern const struct cli_command cli_policies_resume;
extern const struct cli_command cli_policies_show;
extern const struct cli_command cli_reload;
extern const struct cli_command cli_jobs_show;
extern const struct cli_command cli_jobs_watch;
extern const struct cli_command cli_key_add;
extern const struct cli_command cli_key_fingerprint;
extern const struct cli_command cli_key_list;
extern const struct cli_command cli_key_new;
extern const struct cli_command cli_key_remove;
extern const struct cli_command cli_key_rotate;
extern const struct cli_command cli_peek;
extern const struct cli_command cli_points_delete;
extern const struct cli_command cli_points_hold;
extern const struct cli_command cli_points_list;
extern const struct cli_command cli_points_note;
extern const struct cli_command cli_points_show;
extern const struct cli_command cli_points_unhold;
extern const struct cli_command cli_report;
extern const struct cli_command cli_restore;
extern const struct cli_command cli_restore_offset_map;
extern const struct cli_command cli_restore_put_back;
extern const struct cli_command cli_retention_plan;
extern const struct cli_command cli_retention_run;
extern const struct cli_command cli_status_command;
extern const struct cli_command cli_token_new;
extern const struct cli_command cli_topics;
extern const struct cli_command cli_vault_check;
extern const struct cli_command cli_vault_import;
extern const struct cli_command cli_vault_init;
extern const struct cli_command cli_vault_list;
extern const struct cli_command cli_vault_merge;
extern const struct cli_command cli_vault_probe;
extern const struct cli_command cli_vault_rebuild_log;
extern const struct cli_command cli_vault_repair;
extern const struct cli_command cli_vault_scrub;
extern const struct cli_command cli_vault_stats;
extern const struct cli_command cli_verify;
extern const struct cli_command cli_version;

/* Print the failure to standard error; the status that its code means. */
int cli_fail(const struct tm_err *err);
/* As a status of another meaning, where the command knows better. */
int cli_fail_as(const struct tm_err *err, int status);
/* With -o json a failure is one JSON object on standard error. */
void cli_fail_in_json(bool in_json);
/* Say what is wrong with the command line, and where help is; CLI_USE. */
int cli_misuse(const struct cli_command *command, const char *fmt, ...) TM_PRINTF(2, 3);
/* Answer an option that the command does not handle itself: --help, or one it does not know. */
int cli_answer(const struct cli_command *command, int option);

/* getopt_long(), and getenv(), for a process whose other threads do neither. */
int cli_next_option(int argc, char **argv, const struct option *longs);
/* The same, and the row of the option in *row. */
int cli_next_option_row(int argc, char **argv, const struct option *longs, int *row);
const char *cli_environment(const char *name);

/* The row that every table of long options has in common. */
#define CLI_HELP_OPTION \
    { \
        "help", no_argument, NULL, 'h' \
    }

#endif
