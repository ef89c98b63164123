/* SPDX-License-Identifier: Apache-2.0 */
#include "asks.h"

static void print_holds(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"SETTING", "setting", CLI_CELL_TEXT},
            {"HELD", "held", CLI_CELL_TEXT},
            {"ORIGINAL", "original", CLI_CELL_TEXT},
            {"STATE", "state", CLI_CELL_TEXT},
            {"PUT BACK", "put_back_at", CLI_CELL_TIME},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, sizeof(columns) / sizeof(columns[0]));
}

static int run_put_back(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "dry-run", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    struct cli_request request = {.method = cli_arg(&args, "dry-run") != NULL ? "GET" : "POST",
            .path = cli_path("restores", args.operands[0], "put-back", &path)};
    return cli_ask_and_print(&args, &request, print_holds);
}

const struct cli_command cli_restore_put_back = {
        .words = "restore put-back",
        .operands = "JOB [--dry-run]",
        .does = "put back what a restore holds at its target",
        .help = "A restore with \"retention\": \"hold\" leaves retention off on its topics, and "
                "puts "
                "it back\n"
                "after retention_hold_for. This does it now. A setting that somebody changed in "
                "between is\n"
                "left alone (state \"left\").\n"
                "\n"
                "  --dry-run    only show what is held\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark restore put-back job_01K9ZQ4V6M3T8R2X7B5N1C0D9E --dry-run\n"
                "  tidemark restore put-back job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n",
        .run = run_put_back,
};
