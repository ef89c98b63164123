/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct - a vault opened by the command itself, without a daemon: what is left when host and catalog
 * are gone.
 *
 * The catalog is a file in a temporary folder, folded from the vault's log, and removed at the end,
 * also when a signal ends the command.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_DIRECT_H
#define TM_CLI_DIRECT_H

#include "catalog/catalog.h"
#include "secret_file.h"
#include "vault/vault.h"

struct cli_direct_options {
    const char *vault; /* a folder, file://FOLDER or s3://BUCKET[/PREFIX][?...]; NULL: not given */
    const char *key_file;
    const char *passphrase_file;
    const char *expect_head; /* SEQ:HASH, or NULL */
};

/* Rows for a table of long options, and what takes them: false when the option is another. */
#define CLI_DIRECT_ROWS \
    {"vault", required_argument, NULL, 'V'}, {"key-file", required_argument, NULL, 'k'}, \
            {"passphrase-file", required_argument, NULL, 'p'}, \
    { \
        "expect-head", required_argument, NULL, 'E' \
    }
bool cli_direct_option(struct cli_direct_options *options, int option);
/* NULL, or what is wrong with the options as they are. */
const char *cli_direct_misuse(const struct cli_direct_options *options);
#define CLI_DIRECT_HELP \
    "  --vault URL          a folder, file:///FOLDER or " \
    "s3://BUCKET/PREFIX?region=R&endpoint=URL\n" \
    "  --key-file F         opened by the 32 bytes in F\n" \
    "  --passphrase-file F  or by the text in F\n" \
    "  --expect-head S:H    refuse a log that lacks this entry: see docs/security.md\n"

struct cli_direct {
    struct tm_store *store;
    struct tm_vault *vault;     /* NULL where no key was asked for */
    struct tm_catalog *catalog; /* NULL where none was asked for */
    struct tm_id16 id;
    struct cli_secret secret;
    char folder[64]; /* of the catalog; "": none */
};

/* The store alone, and which vault lies there; no key. */
int cli_direct_reach(const struct cli_direct_options *options, struct cli_direct *out);
/*
 * The vault, opened, and, `with_catalog`, its log folded. CLI_DONE, or the status to end with, when
 * what failed has been said. `out` zeroed; _done in any case.
 */
int cli_direct_open(
        const struct cli_direct_options *options, bool with_catalog, struct cli_direct *out);
void cli_direct_done(struct cli_direct *direct);
#define CLI_DIRECT_OWN __attribute__((cleanup(cli_direct_done)))

#endif
