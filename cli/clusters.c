/* SPDX-License-Identifier: Apache-2.0 */
/* The clusters of a daemon, and which of their topics are backed up. */
#include "asks.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

static void print_clusters(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"CLUSTER", "name", CLI_CELL_TEXT},
            {"UP", "up", CLI_CELL_TEXT},
            {"LOOKED AT", "looked_at", CLI_CELL_TIME},
            {"BROKERS", "brokers_count", CLI_CELL_COUNT},
            {"TOPICS", "topics_count", CLI_CELL_COUNT},
            {"PROTECTED", "protected_topics_count", CLI_CELL_COUNT},
            {"UNPROTECTED", "unprotected_topics_count", CLI_CELL_COUNT},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static void print_topics(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"TOPIC", "name", CLI_CELL_TEXT},
            {"PARTITIONS", "partitions_count", CLI_CELL_COUNT},
            {"PROTECTED", "protected", CLI_CELL_TEXT},
            {"POLICIES", "policies", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static int run_clusters(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    struct cli_request request = {.method = "GET", .path = "/v1/clusters"};
    return cli_ask_and_print(&args, &request, print_clusters);
}

static int run_topics(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "contains unprotected limit all", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const struct cli_query query[4] = {
            {"q", cli_arg(&args, "contains")},
            {"protected", cli_arg(&args, "unprotected") != NULL ? "false" : NULL},
    };
    return cli_ask_list(
            &args, cli_path("clusters", args.operands[0], "topics", &path), query, 2, print_topics);
}

const struct cli_command cli_clusters = {
        .words = "clusters",
        .operands = "",
        .does = "the clusters, and how many of their topics are backed up",
        .help = "List the clusters of the daemon's configuration as they were last seen. Those "
                "that a policy\n"
                "reads are looked at every five minutes.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark clusters\n"
                "  tidemark clusters -o json\n",
        .run = run_clusters,
};

const struct cli_command cli_topics = {
        .words = "topics",
        .operands = "CLUSTER [--unprotected] [--contains TEXT] [--limit N | --all]",
        .does = "topics of a cluster, and which policies back them up",
        .help = "List the topics that a cluster has now, with the policies that select them.\n"
                "\n"
                "  --unprotected    those that no policy selects\n"
                "  --contains TEXT  those whose name contains it\n"
                "  --limit N        at most so many; default 50\n"
                "  --all            all of them\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark topics prod --unprotected --all\n"
                "  tidemark topics prod --contains orders -o json\n",
        .run = run_topics,
};
