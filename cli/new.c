/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "secret.h"

static int run_key_new(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {CLI_HELP_OPTION, {NULL, 0, NULL, 0}};
    int option = cli_next_option(argc, argv, longs);
    if (option != -1) {
        return cli_answer(command, option);
    }
    if (argc - optind != 1) {
        return cli_misuse(command, "one FILE is needed");
    }
    struct tm_err err = {0};
    if (cli_make_key_file(argv[optind], &err) != TM_OK) {
        return cli_fail(&err);
    }
    (void)fprintf(stderr,
            "%s: a new key, readable by you alone. Keep a copy in another place: nobody can read\n"
            "a vault without its key.\n",
            argv[optind]);
    return CLI_DONE;
}

const struct cli_command cli_key_new = {
        .words = "key new",
        .operands = "FILE",
        .does = "make a key file for a vault",
        .help = "Write 32 random bytes into FILE, which must not be there yet (mode 0600).\n"
                "It opens the vaults that are made with it: vaults[].key_file.\n"
                "\n"
                "examples:\n"
                "  tidemark key new /etc/tidemark/vault.key\n"
                "  tidemark key new vault.key && tidemark vault init ./vault --key-file "
                "vault.key\n",
        .run = run_key_new,
};

struct token_options {
    const char *name;
    const char *scopes;
    const char *expires;
    const char *narrow[CLI_NARROW];
};

static int print_token(const struct cli_command *command, const struct token_options *given)
{
    struct tm_err err = {0};
    TM_BUF_OWN struct tm_buf line = {0};
    struct cli_token token = {.name = given->name, .scopes = given->scopes};
    memcpy(token.narrow, given->narrow, sizeof(token.narrow));
    int64_t now_ms = tm_now_ms();
    if (given->expires != NULL) {
        if (tm_time_parse(given->expires, now_ms, &token.expires_ms, &err) != TM_OK) {
            return cli_misuse(command, "--expires: %s", err.msg);
        }
        if (token.expires_ms <= now_ms) {
            return cli_misuse(command, "--expires: %s is not in the future", given->expires);
        }
    }
    if (cli_token_check(&token, &err) != TM_OK) {
        return cli_misuse(command, "%s", err.msg);
    }
    cli_token_make(&token);
    cli_token_line(&token, &line);
    (void)fputs(
            "the secret, which is shown this once, and the line for server.tokens_file:\n", stderr);
    (void)printf("%s\n%s\n", token.secret, tm_buf_text(&line));
    explicit_bzero(token.secret, sizeof(token.secret));
    return CLI_DONE;
}

static int run_token_new(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            {"name", required_argument, NULL, 'n'},
            {"scope", required_argument, NULL, 's'},
            {"expires", required_argument, NULL, 'e'},
            {"policies", required_argument, NULL, 'p'},
            {"clusters", required_argument, NULL, 'c'},
            {"target", required_argument, NULL, 't'},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    struct token_options given = {0};
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        switch (option) {
        case 'n':
            given.name = optarg;
            break;
        case 's':
            given.scopes = optarg;
            break;
        case 'e':
            given.expires = optarg;
            break;
        case 'p':
            given.narrow[CLI_NARROW_POLICIES] = optarg;
            break;
        case 'c':
            given.narrow[CLI_NARROW_CLUSTERS] = optarg;
            break;
        case 't':
            given.narrow[CLI_NARROW_TARGET] = optarg;
            break;
        default:
            return cli_answer(command, option);
        }
    }
    if (optind < argc || given.name == NULL || given.scopes == NULL) {
        return cli_misuse(command, "--name and --scope are needed, and nothing else");
    }
    return print_token(command, &given);
}

const struct cli_command cli_token_new = {
        .words = "token new",
        .operands = "--name N --scope read[,operate,restore,admin] [--policies P,...] [--clusters "
                    "C,...] "
                    "[--target C,...] [--expires RFC3339]",
        .does = "make a bearer token for the control API",
        .help = "Print a new secret, and the line that makes the daemon accept it. The line holds\n"
                "only the secret's SHA-256; the secret itself is nowhere kept.\n"
                "\n"
                "  --name N      who it is for; shown in the log and with each job\n"
                "  --scope S,... read: see everything; operate: run backups, cancel; restore: "
                "write\n"
                "                to clusters; admin. None of them includes another\n"
                "  --policies P,...  it sees and works on these alone,\n"
                "  --clusters C,...  or on the policies that back these up\n"
                "  --target C,...    it restores into these alone\n"
                "  --expires T   2027-01-01T00:00:00Z; without it the token does not expire\n"
                "\n"
                "examples:\n"
                "  tidemark token new --name ci --scope read,restore --policies orders --target "
                "test\n"
                "  tidemark token new --name oncall --scope read,operate,restore \\\n"
                "      --expires 2030-01-01T00:00:00Z | tail -n 1 >> /etc/tidemark/tokens\n",
        .run = run_token_new,
};
