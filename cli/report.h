/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - a restore, its plan and its result, as text. Threads: the main thread.
 */
#ifndef TM_CLI_REPORT_H
#define TM_CLI_REPORT_H

#include "output.h"

/* The answer of POST /v1/restores/plan, and what the command plans itself. */
void cli_print_plan(const struct tm_json_value *plan);
/* A job of kind restore or drill, that has ended or not. */
void cli_print_report(const struct tm_json_value *job);

#endif
