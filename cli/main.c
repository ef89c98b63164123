/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidemark - the command line beside the daemon: asks it, and opens vaults, keys and configurations
 * itself.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "cli.h"
#include "codec/keys.h"
#include "kafka/kafka.h"

enum { WORDS_MAX = 2 };

static int run_version(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {CLI_HELP_OPTION, {NULL, 0, NULL, 0}};
    int option = cli_next_option(argc, argv, longs);
    if (option != -1) {
        return cli_answer(command, option);
    }
    (void)printf("tidemark %s (librdkafka %s)\n", TM_VERSION, tm_kafka_library_version());
    return CLI_DONE;
}

const struct cli_command cli_version = {
        .words = "version",
        .operands = "",
        .does = "the versions of this program and of its Kafka library",
        .help = "Print the version of this program and of librdkafka in it.\n"
                "\n"
                "examples:\n"
                "  tidemark version\n"
                "  tidemark version | cut -d' ' -f2\n",
        .run = run_version,
};

/* Longer words before those they begin with. */
static const struct cli_command *const commands[] = {
        &cli_backup,
        &cli_check_config,
        &cli_clusters,
        &cli_demo_compare,
        &cli_demo,
        &cli_drill_list,
        &cli_drill_run,
        &cli_drill_show,
        &cli_export,
        &cli_jobs_cancel,
        &cli_jobs_list,
        &cli_jobs_log,
        &cli_jobs_show,
        &cli_jobs_watch,
        &cli_key_add,
        &cli_key_fingerprint,
        &cli_key_list,
        &cli_key_new,
        &cli_key_remove,
        &cli_key_rotate,
        &cli_peek,
        &cli_points_delete,
        &cli_points_hold,
        &cli_points_list,
        &cli_points_note,
        &cli_points_show,
        &cli_points_unhold,
        &cli_policies_list,
        &cli_policies_next,
        &cli_policies_pause,
        &cli_policies_resume,
        &cli_policies_show,
        &cli_reload,
        &cli_restore_offset_map,
        &cli_restore_put_back,
        &cli_report,
        &cli_restore,
        &cli_retention_plan,
        &cli_retention_run,
        &cli_status_command,
        &cli_token_new,
        &cli_topics,
        &cli_vault_check,
        &cli_vault_import,
        &cli_vault_init,
        &cli_vault_list,
        &cli_vault_merge,
        &cli_vault_probe,
        &cli_vault_rebuild_log,
        &cli_vault_repair,
        &cli_vault_scrub,
        &cli_vault_stats,
        &cli_verify,
        &cli_version,
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *to)
{
    (void)fputs("usage: tidemark COMMAND [OPTION...]\n\ncommands:\n", to);
    for (size_t i = 0; i < COMMANDS; i++) {
        (void)fprintf(to, "  %-20s %s\n", commands[i]->words, commands[i]->does);
    }
    (void)fputs("\n"
                "Each command has --help. The daemon is tidemarkd; it is controlled over HTTP.\n"
                "\n"
                "exit status: 0 done; 1 failed, or an objective is breached; 2 wrong use; 3 done "
                "in part, or\n"
                "configuration refused; 5 no daemon answers; 6 access denied;\n"
                "7 nothing there; 8 exists already, or in use; 9 a verification or comparison "
                "found a fault;\n"
                "10 no vault there; 12 wrong key; 75 busy, try again\n"
                "\n"
                "examples:\n"
                "  tidemark demo\n"
                "  tidemark check-config /etc/tidemark/tidemark.yaml\n",
            to);
}

/* How many arguments behind the program's name are the command's words; 0: another command. */
static int match(const struct cli_command *command, int argc, char **argv)
{
    const char *rest = command->words;
    int count = 0;
    while (count < WORDS_MAX && count + 1 < argc && *rest != '\0') {
        size_t len = strcspn(rest, " ");
        if (strlen(argv[count + 1]) != len || memcmp(argv[count + 1], rest, len) != 0) {
            return 0;
        }
        rest += len + (rest[len] == ' ' ? 1 : 0);
        count++;
    }
    return *rest == '\0' ? count : 0;
}

static int run(int argc, char **argv)
{
    static char name[64]; /* what getopt_long() calls the program in its messages */
    for (size_t i = 0; i < COMMANDS; i++) {
        int words = match(commands[i], argc, argv);
        if (words > 0) {
            (void)snprintf(name, sizeof(name), "tidemark %s", commands[i]->words);
            argv[words] = name;
            return commands[i]->run(commands[i], argc - words, argv + words);
        }
    }
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        print_usage(stdout);
        return CLI_DONE;
    }
    if (strcmp(first, "--version") == 0) {
        return run_version(&cli_version, 1, argv);
    }
    if (argc > 1) {
        (void)fprintf(stderr, "tidemark: no command \"%s%s%s\"\n", first, argc > 2 ? " " : "",
                argc > 2 ? argv[2] : "");
    }
    print_usage(stderr);
    return CLI_USE;
}

int main(int argc, char **argv)
{
    umask(0077); /* whatever is written here is nobody else's business */
    (void)signal(SIGPIPE, SIG_IGN);
    tm_log_init(TM_LOG_WARNING, TM_LOG_FORMAT_AUTO);
    tm_codec_init();
    int status = run(argc, argv);
    if (fflush(stdout) != 0 && status == CLI_DONE) {
        (void)fputs("tidemark: standard output could not be written\n", stderr);
        status = CLI_FAILED;
    }
    return status;
}
