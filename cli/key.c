/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of a vault: list, add, remove, and whose key is whose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli.h"
#include "direct.h"
#include "output.h"
#include "vault/slots.h"

enum { OPT_NEW_KEY = 1000, OPT_NEW_PASSPHRASE, OPT_OTHER_KEY, OPT_OTHER_PASSPHRASE };

struct key_options {
    struct cli_direct_options direct;
    struct cli_output output;
    const char *key;        /* --new-key-file or --other-key-file */
    const char *passphrase; /* likewise */
    bool writer;
};

static const struct option longs[] = {
        CLI_DIRECT_ROWS,
        CLI_OUTPUT_ROW,
        {"new-key-file", required_argument, NULL, OPT_NEW_KEY},
        {"new-passphrase-file", required_argument, NULL, OPT_NEW_PASSPHRASE},
        {"other-key-file", required_argument, NULL, OPT_OTHER_KEY},
        {"other-passphrase-file", required_argument, NULL, OPT_OTHER_PASSPHRASE},
        {"writer", no_argument, NULL, 'w'},
        CLI_HELP_OPTION,
        {NULL, 0, NULL, 0},
};

/* 0, or the option that the command does not take ('h' among them). */
static int read_options(int argc, char **argv, const int *allowed, struct key_options *out)
{
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (cli_direct_option(&out->direct, option)) {
            continue;
        }
        if (option == 'o' && cli_output_set(&out->output, optarg)) {
            continue;
        }
        const int *at = allowed;
        while (*at != 0 && *at != option) {
            at++;
        }
        if (*at == 0) {
            return option;
        }
        if (option == 'w') {
            out->writer = true;
        } else if (option == OPT_NEW_KEY || option == OPT_OTHER_KEY) {
            out->key = optarg;
        } else {
            out->passphrase = optarg;
        }
    }
    return 0;
}

/* --help, or an option of another command: getopt_long() has said nothing of that one. */
static int answer(const struct cli_command *command, int option)
{
    return option == 'h' || option == '?' ? cli_answer(command, option)
                                          : cli_misuse(command, "an option that it does not take");
}

/* List --------------------------------------------------------------------------------------- */

static void print_slots(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"SLOT", "slot", CLI_CELL_TEXT},
            {"OPENED BY", "opened_by", CLI_CELL_TEXT},
            {"KEYS", "ring", CLI_CELL_TEXT},
            {"EPOCHS", "epochs_count", CLI_CELL_COUNT},
            {"STORED", "stored_at", CLI_CELL_TIME},
            {"THIS KEY", "opens", CLI_CELL_TEXT},
            {"TROUBLE", "trouble", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, sizeof(columns) / sizeof(columns[0]));
}

static struct tm_json *view_slots(const tm_slot_list *slots, const char *opened)
{
    struct tm_json *json = tm_json_object();
    struct tm_json *items = tm_json_add(json, "items", tm_json_array());
    for (size_t i = 0; i < slots->count; i++) {
        const struct tm_slot *slot = &slots->at[i];
        struct tm_json *row = tm_json_push(items, tm_json_object());
        tm_json_add_str(row, "slot", slot->name);
        if (slot->sound) {
            bool by_file = slot->info.kind == TM_SECRET_KEY_FILE;
            tm_json_add_str(row, "opened_by", by_file ? "key file" : "passphrase");
            tm_json_add_str(row, "ring", slot->info.writer ? "writer" : "full");
            tm_json_add_int(row, "epochs_count", (int64_t)slot->info.epochs);
        }
        tm_json_add_time(row, "stored_at", slot->stored_ms);
        if (strcmp(slot->name, opened) == 0) {
            tm_json_add_bool(row, "opens", true);
        }
        if (!slot->sound) {
            tm_json_add_str(row, "trouble", slot->trouble);
        }
    }
    return json;
}

static int run_key_list(const struct cli_command *command, int argc, char **argv)
{
    static const int allowed[] = {0};
    struct key_options given = {0};
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    int option = read_options(argc, argv, allowed, &given);
    if (option != 0) {
        return answer(command, option);
    }
    bool keyless = given.direct.key_file == NULL && given.direct.passphrase_file == NULL;
    if (optind < argc || given.direct.vault == NULL) {
        return cli_misuse(command, "--vault is needed, and nothing without an option");
    }
    int status = keyless ? cli_direct_reach(&given.direct, &direct)
                         : cli_direct_open(&given.direct, false, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    tm_slot_list slots = {0};
    struct tm_err err = {0};
    if (tm_slots_list(direct.store, &direct.id, &slots, &err) == TM_OK) {
        TM_OWN(tm_json_free)
        struct tm_json *json = view_slots(&slots, keyless ? "" : tm_vault_slot(direct.vault));
        status = cli_print_json(&given.output, json, print_slots);
    } else {
        status = cli_fail(&err);
    }
    tm_vec_done(&slots);
    return status;
}

const struct cli_command cli_key_list = {
        .words = "key list",
        .operands = "--vault URL [--key-file F | --passphrase-file F]",
        .does = "the key slots of a vault",
        .help = "List who may open the vault. No key is needed; with one, the slot that it opens "
                "is\n"
                "marked. Keys \"writer\": the host can back up, but cannot read what is stored.\n"
                "\n" CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark key list --vault /srv/tidemark\n"
                "  tidemark key list --vault /srv/tidemark --key-file vault.key -o json\n",
        .run = run_key_list,
};

/* Add ---------------------------------------------------------------------------------------- */

static int run_key_add(const struct cli_command *command, int argc, char **argv)
{
    static const int allowed[] = {OPT_NEW_KEY, OPT_NEW_PASSPHRASE, 'w', 0};
    struct key_options given = {0};
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    CLI_SECRET_OWN struct cli_secret secret = {.room = NULL};
    int option = read_options(argc, argv, allowed, &given);
    if (option != 0) {
        return answer(command, option);
    }
    const char *wrong = cli_direct_misuse(&given.direct);
    if (wrong == NULL && (given.key == NULL) == (given.passphrase == NULL)) {
        wrong = "one of --new-key-file and --new-passphrase-file is needed";
    }
    if (wrong != NULL || optind < argc) {
        return cli_misuse(command, "%s", wrong != NULL ? wrong : "it takes only options");
    }
    int status = cli_direct_open(&given.direct, false, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    char name[TM_OBJECT_NAME_MAX];
    struct tm_err err = {0};
    if (cli_secret_read(given.key, given.passphrase, &secret, &err) != TM_OK ||
            tm_slots_add(direct.vault, &secret.secret, given.writer, false, name, &err) != TM_OK) {
        return cli_fail(&err);
    }
    (void)printf("%s\n", name);
    (void)fprintf(stderr, "%s: a new slot; who has that secret can %s\n", name,
            given.writer ? "back up, but not read" : "read and write everything");
    return CLI_DONE;
}

const struct cli_command cli_key_add = {
        .words = "key add",
        .operands = "--vault URL (--key-file F | --passphrase-file F)\n"
                    "           (--new-key-file F | --new-passphrase-file F) [--writer]",
        .does = "let another key or passphrase open a vault",
        .help = "Add a key slot; prints its name. Daemons need not be stopped.\n"
                "\n" CLI_DIRECT_HELP
                "  --new-key-file F         the key file that shall open the vault too\n"
                "  --new-passphrase-file F  or the passphrase\n"
                "  --writer                 without the keys for reading: for a host that only "
                "backs "
                "up\n"
                "\n"
                "examples:\n"
                "  tidemark key add --vault /srv/tidemark --key-file vault.key \\\n"
                "      --new-passphrase-file /dev/stdin\n"
                "  tidemark key add --vault /srv/tidemark --key-file vault.key \\\n"
                "      --new-key-file host7.key --writer\n",
        .run = run_key_add,
};

/* Remove ------------------------------------------------------------------------------------- */

static int run_key_remove(const struct cli_command *command, int argc, char **argv)
{
    static const int allowed[] = {OPT_OTHER_KEY, OPT_OTHER_PASSPHRASE, 0};
    struct key_options given = {0};
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    CLI_SECRET_OWN struct cli_secret other = {.room = NULL};
    int option = read_options(argc, argv, allowed, &given);
    if (option != 0) {
        return answer(command, option);
    }
    const char *wrong = cli_direct_misuse(&given.direct);
    if (wrong != NULL || argc - optind != 1 || (given.key != NULL && given.passphrase != NULL)) {
        return cli_misuse(command, "%s", wrong != NULL ? wrong : "one SLOT is needed");
    }
    int status = cli_direct_open(&given.direct, false, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    struct tm_err err = {0};
    bool has_other = given.key != NULL || given.passphrase != NULL;
    if (has_other && cli_secret_read(given.key, given.passphrase, &other, &err) != TM_OK) {
        return cli_fail(&err);
    }
    /* Without another secret the own one may open another slot: after a rotation that was killed. */
    const struct tm_secret *proof = has_other ? &other.secret : &direct.secret.secret;
    if (tm_slots_remove(direct.vault, argv[optind], proof, &err) != TM_OK) {
        return cli_fail(&err);
    }
    (void)fprintf(stderr,
            "%s: removed. Who opened it before may still know the keys: see tidemark key rotate\n",
            argv[optind]);
    return CLI_DONE;
}

const struct cli_command cli_key_remove = {
        .words = "key remove",
        .operands = "--vault URL (--key-file F | --passphrase-file F) SLOT\n"
                    "           [--other-key-file F | --other-passphrase-file F]",
        .does = "take a key slot out of a vault",
        .help = "Remove a slot, named as tidemark key list does. Refused: the last one that gives "
                "the\n"
                "keys for reading (exit status 8), and the one that the vault was opened with, "
                "unless\n"
                "another secret is shown to open the vault as well.\n"
                "\n" CLI_DIRECT_HELP
                "  --other-key-file F         shows that another key file opens the vault\n"
                "  --other-passphrase-file F  or another passphrase\n"
                "\n"
                "examples:\n"
                "  tidemark key remove --vault /srv/tidemark --key-file vault.key "
                "key/81c0d3aa90e1f277\n"
                "  tidemark key remove --vault /srv/tidemark --key-file old.key --other-key-file "
                "new.key \\\n"
                "      key/3fa9120b77c85d1e\n",
        .run = run_key_remove,
};

/* Fingerprint -------------------------------------------------------------------------------- */

static void print_fingerprints(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"key file", "key_fingerprint", CLI_CELL_TEXT},
            {"vault", "vault_fingerprint", CLI_CELL_TEXT},
            {"vault id", "vault_id", CLI_CELL_TEXT},
            {"epochs", "epochs_count", CLI_CELL_COUNT},
            {"slot", "slot", CLI_CELL_TEXT},
            {"keys", "ring", CLI_CELL_TEXT},
    };
    cli_print_sheet(whole, columns, sizeof(columns) / sizeof(columns[0]));
}

static struct tm_json *view_fingerprints(
        const struct tm_secret *secret, const struct tm_vault *vault)
{
    char text[33];
    struct tm_json *json = tm_json_object();
    tm_secret_fingerprint(secret, text);
    tm_json_add_str(json, "key_fingerprint", text[0] != '\0' ? text : NULL);
    if (vault != NULL) {
        const struct tm_ring *ring = tm_vault_ring(vault);
        tm_ring_fingerprint(ring, text);
        tm_json_add_str(json, "vault_fingerprint", text);
        tm_hex(tm_vault_id(vault)->bytes, sizeof(tm_vault_id(vault)->bytes), text);
        tm_json_add_str(json, "vault_id", text);
        tm_json_add_int(json, "epochs_count", (int64_t)tm_ring_epochs(ring));
        tm_json_add_str(json, "slot", tm_vault_slot(vault));
        tm_json_add_str(json, "ring", tm_ring_can_read(ring) ? "full" : "writer");
    }
    return json;
}

static int run_key_fingerprint(const struct cli_command *command, int argc, char **argv)
{
    static const int allowed[] = {0};
    struct key_options given = {0};
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    int option = read_options(argc, argv, allowed, &given);
    if (option != 0) {
        return answer(command, option);
    }
    bool of_file = given.direct.vault == NULL && argc - optind == 1;
    const char *wrong = of_file ? NULL : cli_direct_misuse(&given.direct);
    if (wrong != NULL || (!of_file && optind < argc)) {
        return cli_misuse(command, "one FILE, or --vault and a key, is needed");
    }
    struct tm_err err = {0};
    if (of_file && cli_secret_read(argv[optind], NULL, &direct.secret, &err) != TM_OK) {
        return cli_fail(&err);
    }
    int status = of_file ? CLI_DONE : cli_direct_open(&given.direct, false, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    TM_OWN(tm_json_free)
    struct tm_json *json = view_fingerprints(&direct.secret.secret, direct.vault);
    return cli_print_json(&given.output, json, print_fingerprints);
}

const struct cli_command cli_key_fingerprint = {
        .words = "key fingerprint",
        .operands = "(FILE | --vault URL (--key-file F | --passphrase-file F))",
        .does = "which key file this is, and which vault's keys",
        .help = "Print the fingerprint of a key file: the first 16 digits of b2sum -l 256 FILE. A "
                "key\n"
                "that does not open a vault is named by it. With a vault, which the key must "
                "open,\n"
                "also the fingerprint of the vault's key ring, the same for every key that opens "
                "it.\n"
                "\n" CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark key fingerprint /etc/tidemark/vault.key\n"
                "  tidemark key fingerprint --vault /srv/tidemark --key-file vault.key\n",
        .run = run_key_fingerprint,
};
