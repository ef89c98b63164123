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

/* {"text": value} of every option that was given more than once. */
void cli_add_all(
        struct tm_json *body, const char *key, const struct cli_args *args, const char *option);

#endif
