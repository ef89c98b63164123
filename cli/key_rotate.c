/* SPDX-License-Identifier: Apache-2.0 */
/* A new epoch of a vault's keys. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "direct.h"
#include "vault/slots.h"

enum { OPT_FOR_KEY = 1000, OPT_FOR_WRITER, OPT_FOR_PASSPHRASE, OPT_YES };

struct rotate_options {
    struct cli_direct_options direct;
    const char *files[TM_SLOTS_MAX]; /* secrets that shall open the new ring, */
    int kinds[TM_SLOTS_MAX];         /* and the options they came by */
    size_t count;
    bool yes;
};

struct granted {
    struct cli_secret secrets[TM_SLOTS_MAX];
    struct tm_slot_grant grants[TM_SLOTS_MAX];
};

static enum tm_code read_grants(
        const struct rotate_options *given, struct granted *out, struct tm_err *err)
{
    for (size_t i = 0; i < given->count; i++) {
        bool by_file = given->kinds[i] != OPT_FOR_PASSPHRASE;
        TM_TRY(cli_secret_read(by_file ? given->files[i] : NULL, by_file ? NULL : given->files[i],
                &out->secrets[i], err));
        out->grants[i] = (struct tm_slot_grant){
                &out->secrets[i].secret, given->kinds[i] == OPT_FOR_WRITER, false};
    }
    return TM_OK;
}

/* Is the slot opened by one of the secrets? Those that are not are locked out, and told beforehand. */
static enum tm_code show_plan(
        const struct cli_direct *direct, const struct rotate_options *given, struct tm_err *err)
{
    tm_slot_list slots = {0};
    enum tm_code code = tm_slots_list(direct->store, &direct->id, &slots, err);
    for (size_t i = 0; code == TM_OK && i < slots.count; i++) {
        const struct tm_slot *slot = &slots.at[i];
        if (slot->sound) {
            (void)printf("remove  %s  %s, %s\n", slot->name,
                    slot->info.kind == TM_SECRET_KEY_FILE ? "key file" : "passphrase",
                    slot->info.writer ? "writer" : "full");
        }
    }
    for (size_t i = 0; code == TM_OK && i < given->count; i++) {
        (void)printf("add     %s  %s\n", given->files[i],
                given->kinds[i] == OPT_FOR_WRITER ? "writer" : "full");
    }
    if (code == TM_OK) {
        (void)fputs("nothing was changed: --yes does it. Keys and passphrases that are not named "
                    "here\nwill not open the vault any more.\n",
                stderr);
    }
    tm_vec_done(&slots);
    return code;
}

static int rotate(const struct cli_direct *direct, const struct rotate_options *given,
        struct granted *granted)
{
    struct tm_rotation rotation = {0};
    struct tm_err err = {0};
    enum tm_code code = read_grants(given, granted, &err);
    if (code == TM_OK && !given->yes) {
        code = show_plan(direct, given, &err);
        return code == TM_OK ? CLI_DONE : cli_fail(&err);
    }
    if (code == TM_OK) {
        code = tm_slots_rotate(direct->vault, granted->grants, given->count, &rotation, &err);
    }
    if (code == TM_OK) {
        (void)fprintf(stderr,
                "epoch %" PRIu32 ": %zu slots made, %zu removed. Daemons write with the new keys "
                "once they are\nrestarted; until then they go on with those they have\n",
                rotation.epoch, rotation.made, rotation.removed);
        return CLI_DONE;
    }
    int status = cli_fail(&err);
    if (rotation.made > 0) {
        (void)fprintf(stderr,
                "of %zu slots %zu were made and %zu old ones removed: rotate again, with a key "
                "that "
                "has\na new slot\n",
                given->count, rotation.made, rotation.removed);
    }
    return status;
}

static int read_options(int argc, char **argv, struct rotate_options *out)
{
    static const struct option longs[] = {
            CLI_DIRECT_ROWS,
            {"for-key-file", required_argument, NULL, OPT_FOR_KEY},
            {"for-writer-key-file", required_argument, NULL, OPT_FOR_WRITER},
            {"for-passphrase-file", required_argument, NULL, OPT_FOR_PASSPHRASE},
            {"yes", no_argument, NULL, OPT_YES},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (cli_direct_option(&out->direct, option)) {
            continue;
        }
        if (option == OPT_YES) {
            out->yes = true;
        } else if (option >= OPT_FOR_KEY && option <= OPT_FOR_PASSPHRASE &&
                   out->count < TM_SLOTS_MAX) {
            out->kinds[out->count] = option;
            out->files[out->count++] = optarg;
        } else {
            return option == 'h' ? 'h' : '?';
        }
    }
    return 0;
}

static int run_key_rotate(const struct cli_command *command, int argc, char **argv)
{
    struct rotate_options given = {.count = 0};
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    int option = read_options(argc, argv, &given);
    if (option != 0) {
        return cli_answer(command, option);
    }
    const char *wrong = cli_direct_misuse(&given.direct);
    if (wrong == NULL && given.count == 0) {
        wrong = "--for-key-file, --for-passphrase-file: who shall open the vault from now on?";
    }
    if (wrong != NULL || optind < argc) {
        return cli_misuse(command, "%s", wrong != NULL ? wrong : "it takes only options");
    }
    int status = cli_direct_open(&given.direct, false, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    struct granted *granted = tm_xalloc(1, sizeof(*granted));
    status = rotate(&direct, &given, granted);
    for (size_t i = 0; i < given.count; i++) {
        cli_secret_done(&granted->secrets[i]);
    }
    free(granted);
    return status;
}

const struct cli_command cli_key_rotate = {
        .words = "key rotate",
        .operands =
                "--vault URL (--key-file F | --passphrase-file F)\n"
                "           (--for-key-file F | --for-passphrase-file F | --for-writer-key-file "
                "F)... [--yes]",
        .does = "begin a new epoch of a vault's keys",
        .help = "Make new keys for what is written from now on. What is stored stays as it is and\n"
                "readable; retention lets it age out. Only the secrets named open the vault "
                "afterwards:\n"
                "new slots are made for them first, then all old ones are removed. Killed in "
                "between,\n"
                "it is done again. Restart the daemons when it is done. Without --yes it only says "
                "what\n"
                "it would do.\n"
                "\n" CLI_DIRECT_HELP "  --for-key-file F         opens the vault from now on "
                "(repeatable, as the next two)\n"
                "  --for-passphrase-file F  likewise\n"
                "  --for-writer-key-file F  likewise, but cannot read\n"
                "  --yes                    do it\n"
                "\n"
                "examples:\n"
                "  tidemark key rotate --vault /srv/tidemark --key-file vault.key --for-key-file "
                "vault.key\n"
                "  tidemark key rotate --vault /srv/tidemark --key-file vault.key --yes \\\n"
                "      --for-key-file vault.key --for-writer-key-file host7-new.key\n",
        .run = run_key_rotate,
};
