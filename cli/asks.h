/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asks - what the commands that ask a daemon have in common.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_ASKS_H
#define TM_CLI_ASKS_H

#include "args.h"

/* Ask once and print the answer: as it came, or by `table` (NULL: nothing). */
int cli_ask_and_print(const struct cli_args *args, const struct cli_request *request,
        void (*table)(const struct tm_json_value *whole));

/*
 * Ask for what makes a job, and follow the job unless --no-wait was given; its result is printed in
 * the end, by `table` or as the job's JSON. Without waiting the job's id is printed.
 */
int cli_ask_job(const struct cli_args *args, const struct cli_request *request,
        void (*table)(const struct tm_json_value *job));

/*
 * Pages of a list until --limit rows (50 unless given; all of them with --all) are there, printed as
 * one: {"items": [...]}. `query` has room for two more parameters.
 */
int cli_ask_list(const struct cli_args *args, const char *path, const struct cli_query *query,
        size_t query_count, void (*table)(const struct tm_json_value *whole));

/*
 * A command that takes one operand, what it is about, and asks one thing of it. With `job` the answer is a job, which is
 * followed as cli_ask_job() does (it takes --no-wait then).
 */
struct cli_about {
    const char *method;
    const char *collection; /* "jobs" of /v1/jobs/OPERAND/cancel */
    const char *rest;       /* "cancel"; NULL: nothing behind the operand */
    void (*table)(const struct tm_json_value *whole); /* NULL: nothing is printed */
    bool job;
};
int cli_run_about(
        const struct cli_command *command, const struct cli_about *about, int argc, char **argv);

/* {"text": value} of every option that was given more than once. */
void cli_add_all(
        struct tm_json *body, const char *key, const struct cli_args *args, const char *option);

#endif
