/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli.h"
#include "kafka/kafka.h"
#include "tm_config.h"

enum { RUNS_SHOWN = 3 };

static void print_policy(const struct tm_config_policy *policy, int64_t now_ms)
{
    (void)printf("policy %s: cluster %s, vault %s, ", policy->name, policy->cluster->name,
            policy->vault->name);
    if (policy->schedule.kind == TM_SCHEDULE_BY_HAND) {
        (void)puts("runs by hand only");
        return;
    }
    (void)printf("\"%s\", runs next\n", policy->schedule_text);
    int64_t at_ms = now_ms;
    for (int i = 0; i < RUNS_SHOWN && tm_schedule_next(&policy->schedule, at_ms, &at_ms); i++) {
        char text[TM_TIME_TEXT_MAX];
        (void)printf("    %s\n", tm_time_format(at_ms, text));
    }
}

static void print_config(const char *path, const struct tm_config *config, unsigned warnings)
{
    (void)printf("%s: no errors, %u warning%s; %zu cluster%s, %zu vault%s, %zu polic%s\n", path,
            warnings, warnings == 1 ? "" : "s", config->cluster_count,
            config->cluster_count == 1 ? "" : "s", config->vault_count,
            config->vault_count == 1 ? "" : "s", config->policy_count,
            config->policy_count == 1 ? "y" : "ies");
    int64_t now_ms = tm_now_ms();
    for (size_t i = 0; i < config->policy_count; i++) {
        print_policy(&config->policies[i], now_ms);
    }
}

static void print_resolved(const struct tm_config *config)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_config_show(config);
    char *text = tm_json_text(json);
    (void)puts(text);
    free(text);
}

static int check(const char *path, bool read_secrets, bool resolve)
{
    struct tm_config_load_options options = {
            .path = path,
            .check_property = tm_kafka_check_property,
            .read_secrets = read_secrets,
    };
    TM_OWN(tm_config_free) struct tm_config *config = NULL;
    struct tm_config_report report = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_config_load(&options, &config, &report, &err);
    (void)fputs(tm_buf_text(&report.text), stderr);
    if (code == TM_OK && resolve) {
        print_resolved(config);
    } else if (code == TM_OK) {
        print_config(path, config, report.warnings);
    } else if (report.errors == 0) {
        (void)cli_fail(&err);
    }
    tm_config_report_done(&report);
    return code == TM_OK ? CLI_DONE : CLI_REFUSED;
}

static int run_check_config(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            {"no-secrets", no_argument, NULL, 's'},
            {"resolve", no_argument, NULL, 'r'},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    bool read_secrets = true;
    bool resolve = false;
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (option != 's' && option != 'r') {
            return cli_answer(command, option);
        }
        read_secrets = read_secrets && option != 's';
        resolve = resolve || option == 'r';
    }
    if (argc - optind > 1) {
        return cli_misuse(command, "only one FILE can be checked at a time");
    }
    const char *path = cli_environment("TIDEMARK_CONFIG");
    path = path != NULL ? path : "/etc/tidemark/tidemark.yaml";
    return check(optind < argc ? argv[optind] : path, read_secrets, resolve);
}

const struct cli_command cli_check_config = {
        .words = "check-config",
        .operands = "[--no-secrets] [--resolve] [FILE]",
        .does = "check a configuration, show when each policy runs",
        .help = "Read the configuration as the daemon would, list everything that is wrong with "
                "its\n"
                "file, line and column (exit status 3), and print the next three runs of each "
                "policy.\n"
                "Nothing is connected to. FILE is $TIDEMARK_CONFIG, or else\n"
                "/etc/tidemark/tidemark.yaml.\n"
                "\n"
                "  --no-secrets  do not open key files and references, which another machine has\n"
                "  --resolve     print all options with their values as JSON, secrets hidden\n"
                "\n"
                "examples:\n"
                "  tidemark check-config\n"
                "  tidemark check-config --no-secrets deploy/tidemark.yaml\n",
        .run = run_check_config,
};
