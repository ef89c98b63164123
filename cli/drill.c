/* SPDX-License-Identifier: Apache-2.0 */
/* Restore drills of a daemon. */
#include <string.h>

#include "asks.h"
#include "report.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

static void print_drills(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"DRILL", "id", CLI_CELL_TEXT},
            {"POLICY", "policy", CLI_CELL_TEXT},
            {"CLUSTER", "cluster", CLI_CELL_TEXT},
            {"STATE", "state", CLI_CELL_TEXT},
            {"RESULT", "result.result", CLI_CELL_TEXT},
            {"POINT", "result.recovery_point", CLI_CELL_TEXT},
            {"MESSAGES", "result.messages_count", CLI_CELL_COUNT},
            {"RECOVERY TIME", "result.duration_seconds", CLI_CELL_SECONDS},
            {"STARTED", "started_at", CLI_CELL_TIME},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static int run_drill_run(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true,
            .options = "point target prefix keep allow-source no-wait",
            .least = 1,
            .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    tm_json_add_str(body, "policy", args.operands[0]);
    tm_json_add_str(body, "recovery_point", cli_arg(&args, "point"));
    struct tm_json *target = tm_json_add(body, "target", tm_json_object());
    tm_json_add_str(target, "cluster", cli_arg(&args, "target"));
    tm_json_add_str(target, "prefix", cli_arg(&args, "prefix"));
    if (cli_arg(&args, "keep") != NULL) {
        tm_json_add_bool(body, "cleanup", false);
    }
    if (cli_arg(&args, "allow-source") != NULL) {
        tm_json_add_bool(body, "allow_source", true);
    }
    struct cli_request request = {.method = "POST", .path = "/v1/drills", .body = body};
    return cli_ask_job(&args, &request, cli_print_report);
}

const struct cli_command cli_drill_run = {
        .words = "drill run",
        .operands = "POLICY [--point P] [--target CLUSTER] [--prefix P] [--allow-source] [--keep]\n"
                    "           [--no-wait]",
        .does = "restore a point to see that it can be, and clean up",
        .help = "Restore the policy's newest complete point, or --point, into its scratch cluster; "
                "prove it,\n"
                "measure the time, and remove the topics that were made. What is not given is as "
                "the policy's\n"
                "drill section has it. --keep leaves the topics there.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark drill run payments\n"
                "  tidemark drill run payments --target scratch --prefix drill. --keep\n",
        .run = run_drill_run,
};

static int run_drill_list(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "policy state since limit all"};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const struct cli_query query[] = {{"policy", cli_arg(&args, "policy")},
            {"state", cli_arg(&args, "state")}, {"since", cli_arg(&args, "since")}};
    return cli_ask_list(&args, "/v1/drills", query, COUNT(query), print_drills);
}

const struct cli_command cli_drill_list = {
        .words = "drill list",
        .operands = "[--policy P] [--state S] [--since T] [--limit N | --all]",
        .does = "drills, newest first",
        .help = "List restore drills: passed or failed, and the recovery time that was measured.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark drill list --policy payments\n"
                "  tidemark drill list --state failed --since -30d -o json\n",
        .run = run_drill_list,
};

static int run_drill_show(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "GET", .collection = "drills", .table = cli_print_report};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_drill_show = {
        .words = "drill show",
        .operands = "DRILL",
        .does = "the report of a drill",
        .help = "Show the report of a drill.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark drill show drl_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark drill show drl_01K9ZQ4V6M3T8R2X7B5N1C0D9E -o json\n",
        .run = run_drill_show,
};
