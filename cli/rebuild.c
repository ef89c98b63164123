/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cli.h"
#include "direct.h"
#include "store/store_open.h"
#include "vault/rebuild.h"

enum { WRITER_MAX = 256 };

static void print_note(void *arg, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "tidemark: %s\n", text);
}

static enum tm_code rebuild(const char *url, const struct tm_secret *secret,
        struct tm_rebuild_result *out, struct tm_err *err)
{
    TM_OWN(tm_store_free) struct tm_store *store = NULL;
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    char host[WRITER_MAX - 16] = "";
    char writer[WRITER_MAX];
    if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0') {
        (void)snprintf(host, sizeof(host), "localhost");
    }
    (void)snprintf(writer, sizeof(writer), "%s/rebuild", host);
    TM_TRY(tm_store_open_url(url, false, &store, err));
    TM_TRY(tm_store_probe(store, err));
    TM_TRY(tm_catalog_open(":memory:", &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    struct tm_rebuild_options options = {
            .store = store, .secret = secret, .writer = writer, .fold = &fold, .note = print_note};
    return tm_vault_rebuild_log(&options, out, err);
}

/* One line of JSON, for scripts. */
static void print_result(const struct tm_rebuild_result *result)
{
    (void)printf("{\"packs\":%zu,\"unreadable\":%zu,\"left_out\":%zu,\"streams\":%zu,"
                 "\"partitions\":%zu,\"records\":%" PRId64 ",\"gaps\":%zu,\"conflicts\":%zu,"
                 "\"lost\":%zu,\"tails\":%s}\n",
            result->packs, result->unreadable, result->left_out, result->streams,
            result->partitions, result->records, result->gaps, result->conflicts, result->lost,
            result->tails ? "true" : "false");
}

static int run_rebuild(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            CLI_DIRECT_ROWS,
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    struct cli_direct_options given = {0};
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (!cli_direct_option(&given, option)) {
            return cli_answer(command, option);
        }
    }
    const char *misuse = cli_direct_misuse(&given);
    if (argc != optind || misuse != NULL || given.expect_head != NULL) {
        return cli_misuse(command, "%s", misuse != NULL ? misuse : "no such argument here");
    }
    CLI_SECRET_OWN struct cli_secret room = {.room = NULL};
    struct tm_rebuild_result result;
    struct tm_err err = {0};
    enum tm_code code = cli_secret_read(given.key_file, given.passphrase_file, &room, &err);
    if (code == TM_OK) {
        code = rebuild(given.vault, &room.secret, &result, &err);
    }
    if (code != TM_OK) {
        return cli_fail(&err);
    }
    print_result(&result);
    return result.unreadable + result.conflicts + result.lost == 0 ? CLI_DONE : CLI_DIFFERENT;
}

const struct cli_command cli_vault_rebuild_log = {
        .words = "vault rebuild-log",
        .operands = "--vault URL (--key-file F | --passphrase-file F)",
        .does = "write a new log for a vault that has lost it",
        .help = "Read the index of every pack and write log/0 anew. Every range comes back, of "
                "all\n"
                "incarnations; recovery points, group offsets and configurations do not: one point "
                "of\n"
                "the policy \"recovered\" a cluster has all there is. Prints what was found as "
                "JSON.\n"
                "\n"
                "A vault that has a log is left alone (exit status 8): a log that is damaged has "
                "to be\n"
                "moved away first. Daemons that knew the old log refuse the new one until their\n"
                "STATE/catalog/VAULT.db is deleted. Exit status 9: done, but packs were "
                "unreadable,\n"
                "contradict each other or depend on packs that are gone; each has a line on "
                "standard\n"
                "error.\n"
                "\n"
                "  --vault URL          a folder, file:///FOLDER or "
                "s3://BUCKET/PREFIX?region=R&endpoint=URL\n"
                "  --key-file F         opened by the 32 bytes in F\n"
                "  --passphrase-file F  opened by the text in F\n"
                "\n"
                "examples:\n"
                "  tidemark vault rebuild-log --vault /srv/tidemark --key-file "
                "/etc/tidemark/vault.key\n"
                "  mv /srv/tidemark/log /srv/tidemark-log.damaged   # first, when the log is "
                "damaged\n",
        .run = run_rebuild,
};
