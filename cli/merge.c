/* SPDX-License-Identifier: Apache-2.0 */
/* Small packs of a vault into large ones, without a daemon. */
#include <stdlib.h>

#include "args.h"
#include "direct_job.h"
#include "job/space.h"

enum { PACKS_MIN = 2 };

static void print_merged(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"packs merged", "packs_merged_count", CLI_CELL_COUNT},
            {"into", "packs_made_count", CLI_CELL_COUNT},
            {"written", "rewritten_bytes", CLI_CELL_BYTES},
            {"head", "head", CLI_CELL_TEXT},
    };
    cli_print_sheet(whole, columns, sizeof(columns) / sizeof(columns[0]));
}

static struct tm_json *view(const struct tm_space_result *result)
{
    char head[TM_HEAD_TEXT_MAX];
    struct tm_json *json = tm_json_object();
    tm_json_add_int(json, "packs_merged_count", result->packs_merged_in);
    tm_json_add_int(json, "packs_made_count", result->packs_merged_out);
    tm_json_add_int(json, "rewritten_bytes", result->bytes_rewritten);
    if (result->packs_merged_in > 0) {
        tm_json_add_str(json, "head", tm_head_format(&result->head, head));
    }
    return json;
}

static int merge(const struct cli_direct *direct, const struct cli_output *output)
{
    struct tm_space_result result = {0};
    struct tm_err err = {0};
    struct tm_space_options options = tm_space_defaults(direct->vault, direct->catalog);
    options.steps = TM_SPACE_MERGE;
    options.merge_min_packs = PACKS_MIN; /* who asks for it wants it now */
    options.merge_age_ms = 1;
    struct cli_direct_job *job = tm_xalloc(1, sizeof(*job));
    cli_direct_job_begin(job);
    enum tm_code code = tm_space_run(&options, &job->env, &result, &err);
    cli_direct_job_end(job);
    free(job);
    int status = CLI_DONE;
    if (code == TM_OK) {
        TM_OWN(tm_json_free) struct tm_json *json = view(&result);
        status = cli_print_json(output, json, print_merged);
    } else {
        status = cli_fail(&err);
    }
    tm_space_result_done(&result);
    return status;
}

static int run_merge(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.direct = true, .options = ""};
    struct cli_args args = {0};
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const char *wrong = cli_direct_misuse(&args.direct);
    if (wrong != NULL) {
        return cli_misuse(command, "%s", wrong);
    }
    status = cli_direct_open(&args.direct, true, &direct);
    return status == CLI_DONE ? merge(&direct, &args.output) : status;
}

const struct cli_command cli_vault_merge = {
        .words = "vault merge",
        .operands = "--vault URL (--key-file F | --passphrase-file F)",
        .does = "copy small packs of a vault into large ones",
        .help = "Merge what small packs there are, without decrypting them: a writer's key is "
                "enough. The\n"
                "old packs stay until retention runs, a day later. A daemon merges by itself, with "
                "its\n"
                "retention; it may use the vault at the same time.\n"
                "\n" CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault merge --vault /srv/tidemark --key-file vault.key\n"
                "  tidemark vault merge --vault 's3://backups/main?region=eu-central-1' --key-file "
                "k -o json\n",
        .run = run_merge,
};
