/* SPDX-License-Identifier: Apache-2.0 */
#include "asks.h"

static void print_map(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"PARTITION", "partition", CLI_CELL_COUNT},
            {"FIRST", "first_offset", CLI_CELL_COUNT},
            {"LAST", "last_offset", CLI_CELL_COUNT},
            {"TARGET", "target", CLI_CELL_TEXT},
            {"PARTITION", "target_partition", CLI_CELL_COUNT},
            {"FIRST", "target_first_offset", CLI_CELL_COUNT},
            {"LAST", "target_last_offset", CLI_CELL_COUNT},
            {"MESSAGES", "messages_count", CLI_CELL_COUNT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, sizeof(columns) / sizeof(columns[0]));
}

static int run_offset_map(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true, .options = "", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    (void)cli_path("restores", args.operands[0], "offset-map", &path);
    tm_buf_add_text(&path, "?limit=10000");
    struct cli_request request = {.method = "GET", .path = tm_buf_text(&path)};
    return cli_ask_and_print(&args, &request, print_map);
}

const struct cli_command cli_restore_offset_map = {
        .words = "restore offset-map",
        .operands = "JOB",
        .does = "where the records of a restore went",
        .help = "One line for each stretch of offsets that went to the target at one distance; the "
                "first\n"
                "10,000 of them. The API gives all, and CSV.\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark restore offset-map job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark restore offset-map job_01K9ZQ4V6M3T8R2X7B5N1C0D9E -o json\n",
        .run = run_offset_map,
};
