/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's configuration, read again. */
#include <stdio.h>

#include "asks.h"

static void print_changes(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"CHANGE", "change", CLI_CELL_TEXT},
            {"WHERE", "path", CLI_CELL_TEXT},
            {"NAME", "name", CLI_CELL_TEXT},
    };
    const struct tm_json_value *changes = tm_json_get(whole, "changes");
    if (changes == NULL || changes->count == 0) {
        (void)puts("nothing changed");
    }
    cli_print_rows(changes, columns, sizeof(columns) / sizeof(columns[0]));
}

static int run_reload(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    struct cli_request request = {.method = "POST", .path = "/v1/config/reload"};
    return cli_ask_and_print(&args, &request, print_changes);
}

const struct cli_command cli_reload = {
        .words = "reload",
        .does = "have the daemon read its configuration again",
        .help = "The same as SIGHUP, with an answer: what changed, or why the configuration in "
                "force stays. Policies,\n"
                "clusters that come or go, tokens, log.level and jobs can change; the answer names "
                "what needs a\n"
                "restart. What runs goes on as it began.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark reload\n"
                "  tidemark check-config /etc/tidemark/tidemark.yaml && tidemark reload -o json\n",
        .run = run_reload,
};
