/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli.h"
#include "secret_file.h"
#include "store/store_open.h"
#include "vault/vault.h"

static enum tm_code init_vault(
        const char *folder, const struct tm_secret *secret, struct tm_err *err)
{
    TM_OWN(tm_store_free) struct tm_store *store = NULL;
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    TM_TRY(tm_store_open_url(folder, true, &store, err));
    return tm_vault_init(store, secret, &params, err);
}

static int run_vault_init(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            {"key-file", required_argument, NULL, 'k'},
            {"passphrase-file", required_argument, NULL, 'p'},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    const char *key_file = NULL;
    const char *passphrase_file = NULL;
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (option == 'k') {
            key_file = optarg;
        } else if (option == 'p') {
            passphrase_file = optarg;
        } else {
            return cli_answer(command, option);
        }
    }
    if (argc - optind != 1 || (key_file == NULL) == (passphrase_file == NULL)) {
        return cli_misuse(
                command, "DIR or URL and one of --key-file and --passphrase-file are needed");
    }
    CLI_SECRET_OWN struct cli_secret secret = {.room = NULL};
    struct tm_err err = {0};
    enum tm_code code = cli_secret_read(key_file, passphrase_file, &secret, &err);
    if (code == TM_OK) {
        code = init_vault(argv[optind], &secret.secret, &err);
    }
    if (code != TM_OK) {
        return cli_fail(&err);
    }
    (void)fprintf(stderr, "%s: a new vault\n", argv[optind]);
    return CLI_DONE;
}

const struct cli_command cli_vault_init = {
        .words = "vault init",
        .operands = "(DIR | URL) (--key-file F | --passphrase-file F)",
        .does = "make a vault in a folder or a bucket",
        .help = "Make an empty vault in DIR, which is made too where it is missing, or in a "
                "bucket:\n"
                "s3://BUCKET/PREFIX, with credentials and region as AWS's own clients find them, "
                "and\n"
                "?endpoint=URL for other servers. What holds a vault is left alone (exit status "
                "8).\n"
                "\n"
                "  --key-file F         opened by the 32 bytes in F: see tidemark key new\n"
                "  --passphrase-file F  opened by the text in F, one newline at its end left out\n"
                "\n"
                "examples:\n"
                "  tidemark vault init /srv/tidemark --key-file /etc/tidemark/vault.key\n"
                "  tidemark vault init s3://acme-backups/prod --key-file /etc/tidemark/vault.key\n",
        .run = run_vault_init,
};
