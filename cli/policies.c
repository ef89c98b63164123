/* SPDX-License-Identifier: Apache-2.0 */
/* The policies of a daemon: what they are, when they run, paused and set going again. */
#include "asks.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

static void print_policies(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"POLICY", "name", CLI_CELL_TEXT},
            {"CLUSTER", "cluster", CLI_CELL_TEXT},
            {"VAULT", "vault", CLI_CELL_TEXT},
            {"SCHEDULE", "schedule", CLI_CELL_TEXT},
            {"RPO", "rpo_seconds", CLI_CELL_SECONDS},
            {"LAST RUN", "last_result", CLI_CELL_TEXT},
            {"LAST SUCCESS", "last_success_at", CLI_CELL_TIME},
            {"NEXT RUN", "next_run_at", CLI_CELL_TIME},
            {"PAUSED SINCE", "paused.since", CLI_CELL_TIME},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static void print_policy(const struct tm_json_value *policy)
{
    static const struct cli_column columns[] = {
            {"policy", "name", CLI_CELL_TEXT},
            {"cluster", "cluster", CLI_CELL_TEXT},
            {"vault", "vault", CLI_CELL_TEXT},
            {"mode", "mode", CLI_CELL_TEXT},
            {"flush", "flush_seconds", CLI_CELL_SECONDS},
            {"schedule", "schedule", CLI_CELL_TEXT},
            {"time zone", "timezone", CLI_CELL_TEXT},
            {"rpo", "rpo_seconds", CLI_CELL_SECONDS},
            {"last run", "last_result", CLI_CELL_TEXT},
            {"last success", "last_success_at", CLI_CELL_TIME},
            {"newest point", "newest_point", CLI_CELL_TEXT},
            {"running", "running_job", CLI_CELL_TEXT},
            {"next run", "next_run_at", CLI_CELL_TIME},
            {"paused since", "paused.since", CLI_CELL_TIME},
            {"paused until", "paused.until", CLI_CELL_TIME},
            {"paused by", "paused.by", CLI_CELL_TEXT},
            {"reason", "paused.reason", CLI_CELL_TEXT},
    };
    cli_print_sheet(policy, columns, COUNT(columns));
}

static void print_planned(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"AT", "at", CLI_CELL_TIME},
            {"BY THE POLICY'S CLOCK", "local", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static int run_list(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true, .options = "cluster"};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const struct cli_query query[] = {{"cluster", cli_arg(&args, "cluster")}};
    struct cli_request request = {
            .method = "GET", .path = "/v1/policies", .query = query, .query_count = COUNT(query)};
    return cli_ask_and_print(&args, &request, print_policies);
}

static int run_show(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "GET", .collection = "policies", .table = print_policy};
    return cli_run_about(command, &about, argc, argv);
}

static int run_next(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "count", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const struct cli_query query[] = {{"count", cli_arg(&args, "count")}};
    struct cli_request request = {.method = "GET",
            .path = cli_path("policies", args.operands[0], "schedule", &path),
            .query = query,
            .query_count = COUNT(query)};
    return cli_ask_and_print(&args, &request, print_planned);
}

static int run_pause(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "until reason", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    tm_json_add_str(body, "until", cli_arg(&args, "until"));
    tm_json_add_str(body, "reason", cli_arg(&args, "reason"));
    struct cli_request request = {.method = "POST",
            .path = cli_path("policies", args.operands[0], "pause", &path),
            .body = body};
    return cli_ask_and_print(&args, &request, print_policy);
}

static int run_resume(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "POST", .collection = "policies", .rest = "resume", .table = print_policy};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_policies_list = {
        .words = "policies list",
        .operands = "[--cluster C]",
        .does = "the policies, their last and their next run",
        .help = "List the policies of the daemon's configuration.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark policies list\n"
                "  tidemark policies list --cluster prod -o json\n",
        .run = run_list,
};

const struct cli_command cli_policies_show = {
        .words = "policies show",
        .operands = "POLICY",
        .does = "one policy",
        .help = "Show a policy and how it stands.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark policies show payments\n"
                "  tidemark policies show payments -o json\n",
        .run = run_show,
};

const struct cli_command cli_policies_next = {
        .words = "policies next",
        .operands = "POLICY [--count N]",
        .does = "when a policy runs next",
        .help = "List the next planned runs (10 of them), by your clock and by that of the "
                "policy's time zone.\n"
                "\n"
                "  --count N    so many, up to 500\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark policies next payments\n"
                "  tidemark policies next payments --count 100\n",
        .run = run_next,
};

const struct cli_command cli_policies_pause = {
        .words = "policies pause",
        .operands = "POLICY [--until TIME] [--reason TEXT]",
        .does = "let planned runs of a policy wait",
        .help = "Planned runs do not start, and backups by request are refused, until the policy "
                "is resumed or\n"
                "the time is over. A run that is under way goes on. It outlives a restart of the "
                "daemon. Of a\n"
                "policy that is paused already the time and the reason are replaced.\n"
                "\n"
                "  --until TIME   RFC 3339, or from now on: \"2h\"\n"
                "  --reason TEXT  shown to everybody who asks\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP
                "\n"
                "examples:\n"
                "  tidemark policies pause payments --reason 'brokers are being moved'\n"
                "  tidemark policies pause payments --until 2026-11-27T06:00:00Z\n",
        .run = run_pause,
};

const struct cli_command cli_policies_resume = {
        .words = "policies resume",
        .operands = "POLICY",
        .does = "let planned runs of a policy go on",
        .help = "The next planned run starts when its time has come; what was missed meanwhile is "
                "in it.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark policies resume payments\n"
                "  tidemark policies resume payments && tidemark backup payments\n",
        .run = run_resume,
};
