/* SPDX-License-Identifier: Apache-2.0 */
/* The vaults of a daemon, and, to look at, one opened by the command itself. */
#include <stdio.h>

#include "asks.h"
#include "base/text.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

static void print_vaults(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"VAULT", "name", CLI_CELL_TEXT},
            {"TYPE", "type", CLI_CELL_TEXT},
            {"WHERE", "where", CLI_CELL_TEXT},
            {"UP", "up", CLI_CELL_TEXT},
            {"KEYS", "key_ring", CLI_CELL_TEXT},
            {"POINTS", "recovery_points_count", CLI_CELL_COUNT},
            {"PACKS", "packs_count", CLI_CELL_COUNT},
            {"STORED", "stored_bytes", CLI_CELL_BYTES},
            {"SOURCE", "source_bytes", CLI_CELL_BYTES},
            {"FREE", "free_bytes", CLI_CELL_BYTES},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static void print_vault(const struct tm_json_value *vault)
{
    static const struct cli_column columns[] = {
            {"vault", "name", CLI_CELL_TEXT},
            {"type", "type", CLI_CELL_TEXT},
            {"where", "where", CLI_CELL_TEXT},
            {"up", "up", CLI_CELL_TEXT},
            {"trouble", "detail", CLI_CELL_TEXT},
            {"vault id", "vault_id", CLI_CELL_TEXT},
            {"key ring", "key_fingerprint", CLI_CELL_TEXT},
            {"keys", "key_ring", CLI_CELL_TEXT},
            {"head", "head", CLI_CELL_TEXT},
            {"points", "recovery_points_count", CLI_CELL_COUNT},
            {"packs", "packs_count", CLI_CELL_COUNT},
            {"stored", "stored_bytes", CLI_CELL_BYTES},
            {"source", "source_bytes", CLI_CELL_BYTES},
            {"reduction", "reduction_ratio", CLI_CELL_TEXT},
            {"capacity", "capacity_bytes", CLI_CELL_BYTES},
            {"free", "free_bytes", CLI_CELL_BYTES},
            {"findings", "findings_count", CLI_CELL_COUNT},
            {"scrubbed", "scrubbed_at", CLI_CELL_TIME},
    };
    cli_print_sheet(vault, columns, COUNT(columns));
}

/* Straight on a vault ------------------------------------------------------------------------ */

static enum tm_code view_direct(struct cli_direct *direct, struct tm_json *json, struct tm_err *err)
{
    struct tm_vault_totals totals;
    struct tm_fold_state state;
    char text[TM_HEAD_TEXT_MAX];
    struct tm_arena arena = {0};
    struct tm_point_query query = {
            .since_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = SIZE_MAX / 4096};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_fold fold = tm_catalog_fold(direct->catalog);
    TM_TRY(fold.ops->state(fold.self, &state, err));
    TM_TRY(tm_catalog_vault_totals(direct->catalog, &totals, err));
    enum tm_code code = tm_catalog_points(direct->catalog, &query, &arena, &lines, &count, err);
    tm_arena_done(&arena);
    TM_TRY(code);
    const struct tm_ring *ring = tm_vault_ring(direct->vault);
    tm_json_add_str(json, "type", direct->store->backend);
    tm_json_add_str(json, "where", direct->store->where);
    tm_hex(direct->id.bytes, sizeof(direct->id.bytes), text);
    tm_json_add_str(json, "vault_id", text);
    tm_ring_fingerprint(ring, text);
    tm_json_add_str(json, "key_fingerprint", text);
    tm_json_add_str(json, "key_ring", tm_ring_can_read(ring) ? "full" : "writer");
    tm_json_add_str(json, "head", tm_head_format(&state.head, text));
    tm_json_add_int(json, "recovery_points_count", (int64_t)count);
    tm_json_add_int(json, "packs_count", totals.packs);
    tm_json_add_int(json, "stored_bytes", totals.stored_bytes);
    return TM_OK;
}

static int show_directly(
        const struct cli_args *args, void (*table)(const struct tm_json_value *whole))
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    struct tm_err err = {0};
    int status = cli_direct_open(&args->direct, true, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *whole = tm_json_object();
    bool listed = table == print_vaults;
    struct tm_json *vault =
            listed ? tm_json_push(tm_json_add(whole, "items", tm_json_array()), tm_json_object())
                   : whole;
    return view_direct(&direct, vault, &err) == TM_OK ? cli_print_json(&args->output, whole, table)
                                                      : cli_fail(&err);
}

static int probe_directly(const struct cli_args *args)
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    struct tm_err err = {0};
    int status = cli_direct_reach(&args->direct, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    if (tm_store_probe(direct.store, &err) != TM_OK) {
        return cli_fail(&err);
    }
    (void)fprintf(stderr,
            "%s: written, refused a second time as it must be, read back and removed\n",
            direct.store->where);
    return CLI_DONE;
}

/* Looking ------------------------------------------------------------------------------------ */

/* Options and operands of a command on one vault: NAME, or --vault URL. False: end with *status. */
static bool read_one(const struct cli_command *command, bool keyless, int argc, char **argv,
        struct cli_args *args, int *status)
{
    static const struct cli_takes takes = {
            .client = true, .direct = true, .options = "wait no-wait", .least = 0, .most = 1};
    if (!cli_args_read(command, &takes, argc, argv, args, status)) {
        return false;
    }
    const char *wrong = NULL;
    if ((args->direct.vault != NULL) == (args->operand_count == 1)) {
        wrong = "a VAULT of the daemon or --vault URL is needed";
    } else if (args->direct.vault != NULL && !keyless) {
        wrong = cli_direct_misuse(&args->direct);
    }
    if (wrong != NULL) {
        *status = cli_misuse(command, "%s", wrong);
    }
    return wrong == NULL;
}

static int run_vault_list(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true, .direct = true, .options = ""};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if (args.direct.vault != NULL) {
        const char *wrong = cli_direct_misuse(&args.direct);
        return wrong != NULL ? cli_misuse(command, "%s", wrong)
                             : show_directly(&args, print_vaults);
    }
    struct cli_request request = {.method = "GET", .path = "/v1/vaults"};
    return cli_ask_and_print(&args, &request, print_vaults);
}

const struct cli_command cli_vault_list = {
        .words = "vault list",
        .operands = "[--vault URL (--key-file F | --passphrase-file F)]",
        .does = "the vaults of the daemon",
        .help = "List the vaults of a daemon, or look at the one that --vault names.\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault list\n"
                "  tidemark vault list -o json | jq '.items[].free_bytes'\n",
        .run = run_vault_list,
};

static int run_vault_stats(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!read_one(command, false, argc, argv, &args, &status)) {
        return status;
    }
    if (args.direct.vault != NULL) {
        return show_directly(&args, print_vault);
    }
    struct cli_request request = {
            .method = "GET", .path = cli_path("vaults", args.operands[0], NULL, &path)};
    return cli_ask_and_print(&args, &request, print_vault);
}

const struct cli_command cli_vault_stats = {
        .words = "vault stats",
        .operands = "(VAULT | --vault URL (--key-file F | --passphrase-file F))",
        .does = "one vault: its head, its keys, its size",
        .help = "Show a vault of a daemon, or, with --vault, one that is opened by this command. "
                "head is\n"
                "the newest entry of its log: what --expect-head takes.\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault stats main\n"
                "  tidemark vault stats --vault /srv/tidemark --key-file vault.key\n",
        .run = run_vault_stats,
};

static int run_vault_probe(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!read_one(command, true, argc, argv, &args, &status)) {
        return status;
    }
    if (args.direct.vault != NULL) {
        return probe_directly(&args);
    }
    struct cli_request request = {
            .method = "POST", .path = cli_path("vaults", args.operands[0], "probe", &path)};
    return cli_ask_and_print(&args, &request, print_vault);
}

const struct cli_command cli_vault_probe = {
        .words = "vault probe",
        .operands = "(VAULT | --vault URL)",
        .does = "write, read and remove an object of a vault",
        .help = "Prove that the store can be written, and that it refuses to write a name twice: "
                "the\n"
                "whole safety of a vault rests on that. No key is needed.\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault probe main\n"
                "  tidemark vault probe --vault /srv/tidemark\n",
        .run = run_vault_probe,
};
