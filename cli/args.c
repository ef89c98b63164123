/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <stdio.h>
#include <string.h>

enum { OTHER = 2000 }; /* what has no letter of its own */

static const struct option longs[] = {
        CLI_DIRECT_ROWS,
        CLI_CLIENT_ROWS,
        CLI_OUTPUT_ROW,
        {"all", no_argument, NULL, OTHER},
        {"allow-source", no_argument, NULL, OTHER},
        {"as-of", required_argument, NULL, OTHER},
        {"at", required_argument, NULL, OTHER},
        {"bootstrap", required_argument, NULL, OTHER},
        {"cluster", required_argument, NULL, OTHER},
        {"contains", required_argument, NULL, OTHER},
        {"confirm", required_argument, NULL, OTHER},
        {"count", required_argument, NULL, OTHER},
        {"create-topics", required_argument, NULL, OTHER},
        {"depth", required_argument, NULL, OTHER},
        {"dry-run", no_argument, NULL, OTHER},
        {"exclude", required_argument, NULL, OTHER},
        {"existing", required_argument, NULL, OTHER},
        {"format", required_argument, NULL, OTHER},
        {"from", required_argument, NULL, OTHER},
        {"from-offset", required_argument, NULL, OTHER},
        {"group", required_argument, NULL, OTHER},
        {"group-rename", required_argument, NULL, OTHER},
        {"groups", required_argument, NULL, OTHER},
        {"into-partitions", required_argument, NULL, OTHER},
        {"job", required_argument, NULL, OTHER},
        {"keep", no_argument, NULL, OTHER},
        {"kind", required_argument, NULL, OTHER},
        {"level", required_argument, NULL, OTHER},
        {"limit", required_argument, NULL, OTHER},
        {"live", no_argument, NULL, OTHER},
        {"newest", required_argument, NULL, OTHER},
        {"no-merge", no_argument, NULL, OTHER},
        {"no-wait", no_argument, NULL, OTHER},
        {"note", required_argument, NULL, OTHER},
        {"offset", required_argument, NULL, OTHER},
        {"on-gap", required_argument, NULL, OTHER},
        {"outside-window", no_argument, NULL, OTHER},
        {"partition", required_argument, NULL, OTHER},
        {"partition-count", required_argument, NULL, OTHER},
        {"partitions", required_argument, NULL, OTHER},
        {"point", required_argument, NULL, OTHER},
        {"policy", required_argument, NULL, OTHER},
        {"prefix", required_argument, NULL, OTHER},
        {"rdkafka", required_argument, NULL, OTHER},
        {"reason", required_argument, NULL, OTHER},
        {"rename", required_argument, NULL, OTHER},
        {"repair", no_argument, NULL, OTHER},
        {"replication-factor", required_argument, NULL, OTHER},
        {"retention", required_argument, NULL, OTHER},
        {"sample-ratio", required_argument, NULL, OTHER},
        {"skip", required_argument, NULL, OTHER},
        {"since", required_argument, NULL, OTHER},
        {"state", required_argument, NULL, OTHER},
        {"state-dir", required_argument, NULL, OTHER},
        {"suffix", required_argument, NULL, OTHER},
        {"tag", required_argument, NULL, OTHER},
        {"target", required_argument, NULL, OTHER},
        {"to", required_argument, NULL, OTHER},
        {"topic", required_argument, NULL, OTHER},
        {"topic-configs", required_argument, NULL, OTHER},
        {"unprotected", no_argument, NULL, OTHER},
        {"until", required_argument, NULL, OTHER},
        {"until-offset", required_argument, NULL, OTHER},
        {"wait", no_argument, NULL, OTHER},
        {"window", required_argument, NULL, OTHER},
        {"write-rate", required_argument, NULL, OTHER},
        {"yes", no_argument, NULL, OTHER},
        CLI_HELP_OPTION,
        {NULL, 0, NULL, 0},
};

static bool is_among(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = names; *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == len && memcmp(at, name, len) == 0) {
            return true;
        }
        at += word;
    }
    return false;
}

/* Is it an option that the command takes? What is wrong has been said when it is not. */
static bool take(const struct cli_command *command, const struct cli_takes *takes, int option,
        const char *name, struct cli_args *out)
{
    if (option == 'o') {
        bool known = cli_output_set(&out->output, optarg);
        if (!known) {
            (void)cli_misuse(command, "-o takes table or json");
        }
        return known;
    }
    if ((takes->direct && cli_direct_option(&out->direct, option)) ||
            (takes->client && cli_client_option(&out->client, option))) {
        return true;
    }
    if (option != OTHER || !is_among(takes->options, name)) {
        (void)cli_misuse(command, "it takes no --%s", name);
        return false;
    }
    if (out->count == CLI_ARGS_MAX) {
        (void)cli_misuse(command, "more than %d options", (int)CLI_ARGS_MAX);
        return false;
    }
    out->given[out->count].name = name;
    out->given[out->count++].value = optarg != NULL ? optarg : "";
    return true;
}

bool cli_args_read(const struct cli_command *command, const struct cli_takes *takes, int argc,
        char **argv, struct cli_args *out, int *status)
{
    int row = -1;
    for (int option; (option = cli_next_option_row(argc, argv, longs, &row)) != -1; row = -1) {
        if (option == 'h' || option == '?') {
            *status = cli_answer(command, option);
            return false;
        }
        const char *name = row >= 0 ? longs[row].name : "o";
        if (!take(command, takes, option, name, out)) {
            *status = CLI_USE;
            return false;
        }
    }
    out->operands = argv + optind;
    out->operand_count = argc - optind;
    if (out->operand_count < takes->least || out->operand_count > takes->most) {
        *status = cli_misuse(command, "%s",
                out->operand_count < takes->least ? "something is missing" : "too much is given");
        return false;
    }
    if (takes->client && takes->direct && out->direct.vault != NULL && out->client.server != NULL) {
        *status = cli_misuse(command, "--vault goes without a daemon, --server asks one");
        return false;
    }
    return true;
}

const char *cli_arg(const struct cli_args *args, const char *name)
{
    const char *found = NULL;
    const char *value = NULL;
    for (size_t at = 0; (value = cli_arg_next(args, name, &at)) != NULL;) {
        found = value;
    }
    return found;
}

const char *cli_arg_next(const struct cli_args *args, const char *name, size_t *at)
{
    while (*at < args->count) {
        size_t here = (*at)++;
        if (strcmp(args->given[here].name, name) == 0) {
            return args->given[here].value;
        }
    }
    return NULL;
}
