/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a vault of a daemon: verified, repaired, its catalog made anew, its space freed. */
#include <stdio.h>
#include <string.h>

#include "asks.h"
#include "direct_verify.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

/* Verifying ---------------------------------------------------------------------------------- */

static void print_verification(const struct tm_json_value *job)
{
    static const struct cli_column columns[] = {
            {"job", "id", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"packs", "result.packs_count", CLI_CELL_COUNT},
            {"blocks", "result.blocks_count", CLI_CELL_COUNT},
            {"messages", "result.messages_count", CLI_CELL_COUNT},
            {"read", "result.read_bytes", CLI_CELL_BYTES},
            {"faults", "result.faults_count", CLI_CELL_COUNT},
            {"damaged points", "result.damaged_recovery_points", CLI_CELL_TEXT},
    };
    static const struct cli_column faults[] = {
            {"KIND", "kind", CLI_CELL_TEXT},
            {"OBJECT", "object", CLI_CELL_TEXT},
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"PARTITION", "partition", CLI_CELL_COUNT},
            {"FIRST", "first_offset", CLI_CELL_COUNT},
            {"LAST", "last_offset", CLI_CELL_COUNT},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    cli_print_sheet(job, columns, COUNT(columns));
    cli_print_rows(tm_json_get(tm_json_get(job, "result"), "faults"), faults, COUNT(faults));
}

static int64_t faults_of(const struct tm_json_value *job)
{
    const struct tm_json_value *faults = tm_json_get(tm_json_get(job, "result"), "faults_count");
    return faults != NULL && faults->kind == TM_JSON_INT ? faults->integer : 0;
}

static bool found_faults; /* what the table saw, also when JSON was printed */

static void see_verification(const struct tm_json_value *job)
{
    found_faults = faults_of(job) > 0;
    print_verification(job);
}

/* Ask for a verification; exit status 9 when it found something. */
static int verify(const struct cli_args *args, struct tm_json *body)
{
    struct cli_request request = {.method = "POST", .path = "/v1/verifications", .body = body};
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    CLI_REPLY_OWN struct cli_reply ended = {0};
    int status = cli_client_open(&args->client, &client);
    if (status == CLI_DONE) {
        status = cli_ask(client, &request, &reply);
    }
    const struct tm_json_value *id = tm_json_get(reply.json, "id");
    if (status != CLI_DONE || reply.status == 0 || id == NULL) {
        return status;
    }
    if (cli_arg(args, "no-wait") != NULL) {
        (void)printf("%s\n", args->output.json ? tm_buf_text(&reply.text) : id->string);
        return CLI_DONE;
    }
    status = cli_follow(client, id->string, &ended);
    if (ended.json == NULL) {
        return status;
    }
    if (args->output.json) {
        (void)puts(tm_buf_text(&ended.text));
        found_faults = faults_of(ended.json) > 0;
    } else {
        see_verification(ended.json);
    }
    return found_faults ? CLI_DIFFERENT : status;
}

/* Is the text a JSON number between 0 and 1? */
static bool is_ratio(const char *text)
{
    size_t digits = strspn(text, "0123456789.");
    const char *dot = strchr(text, '.');
    return digits == strlen(text) && digits > 0 && digits < 16 &&
           (text[0] == '0' || strcmp(text, "1") == 0) &&
           (dot == NULL ? strlen(text) == 1
                        : dot == text + 1 && dot[1] != '\0' && strchr(dot + 1, '.') == NULL);
}

static int run_verify(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true,
            .direct = true,
            .options = "depth sample-ratio point repair wait no-wait",
            .least = 0,
            .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const char *depth = cli_arg(&args, "depth");
    const char *ratio = cli_arg(&args, "sample-ratio");
    if (ratio != NULL && !is_ratio(ratio)) {
        return cli_misuse(command, "--sample-ratio takes a number such as 0.02, at most 1");
    }
    if ((args.direct.vault != NULL) == (args.operand_count == 1)) {
        return cli_misuse(command, "a VAULT of the daemon or --vault URL is needed");
    }
    depth = depth != NULL ? depth : "sample";
    if (args.direct.vault != NULL) {
        return cli_arg(&args, "repair") != NULL
                       ? cli_misuse(command, "--repair needs a daemon, which knows the clusters")
                       : cli_verify_directly(command, &args, depth, print_verification);
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    tm_json_add_str(body, "vault", args.operands[0]);
    tm_json_add_str(body, "depth", depth);
    tm_json_add_raw(body, "sample_ratio", ratio);
    tm_json_add_str(body, "recovery_point", cli_arg(&args, "point"));
    if (cli_arg(&args, "repair") != NULL) {
        tm_json_add_bool(body, "repair", true);
    }
    return verify(&args, body);
}

const struct cli_command cli_verify = {
        .words = "verify",
        .operands = "(VAULT | --vault URL ...) [--depth catalog|scrub|sample|full]\n"
                    "           [--sample-ratio R] [--point POINT] [--repair] [--no-wait]",
        .does = "is what a vault says it holds there, and whole?",
        .help = "Verify a vault of the daemon, or straight one that --vault names, and wait for "
                "the end.\n"
                "Exit status 9 when a fault was found.\n"
                "\n"
                "  --depth D         catalog: the log and what should be there; scrub: hashes of "
                "packs;\n"
                "                    sample (default): some blocks opened; full: all of them\n"
                "  --sample-ratio R  of the blocks, 0.02 for one in fifty\n"
                "  --point POINT     what this recovery point needs alone\n"
                "  --repair          read again from Kafka what is damaged and still there\n"
                "  --no-wait         print the job's id and end\n" CLI_CLIENT_HELP CLI_DIRECT_HELP
                        CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark verify main --depth sample --sample-ratio 0.02 --repair\n"
                "  tidemark verify --vault /srv/tidemark --key-file vault.key --depth full\n",
        .run = run_verify,
};

static int run_depth(
        const struct cli_command *command, int argc, char **argv, const char *depth, bool repair)
{
    static const struct cli_takes takes = {
            .client = true, .direct = true, .options = "wait no-wait", .least = 0, .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if ((args.direct.vault != NULL) == (args.operand_count == 1)) {
        return cli_misuse(command, "a VAULT of the daemon or --vault URL is needed");
    }
    if (args.direct.vault != NULL) {
        return repair ? cli_misuse(command, "it needs a daemon, which knows the clusters")
                      : cli_verify_directly(command, &args, depth, print_verification);
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    tm_json_add_str(body, "vault", args.operands[0]);
    tm_json_add_str(body, "depth", depth);
    if (repair) {
        tm_json_add_bool(body, "repair", true);
    }
    return verify(&args, body);
}

static int run_vault_check(const struct cli_command *command, int argc, char **argv)
{
    return run_depth(command, argc, argv, "catalog", false);
}

static int run_vault_scrub(const struct cli_command *command, int argc, char **argv)
{
    return run_depth(command, argc, argv, "scrub", false);
}

static int run_vault_repair(const struct cli_command *command, int argc, char **argv)
{
    return run_depth(command, argc, argv, "full", true);
}

const struct cli_command cli_vault_check = {
        .words = "vault check",
        .operands = "(VAULT | --vault URL (--key-file F | --passphrase-file F)) [--no-wait]",
        .does = "is the log whole, and every pack there?",
        .help = "The same as tidemark verify VAULT --depth catalog.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault check main\n"
                "  tidemark vault check main --no-wait\n",
        .run = run_vault_check,
};

const struct cli_command cli_vault_scrub = {
        .words = "vault scrub",
        .operands = "(VAULT | --vault URL) [--no-wait]",
        .does = "do packs have the hashes that they are named by?",
        .help = "The same as tidemark verify VAULT --depth scrub: every pack is read.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault scrub main\n"
                "  tidemark vault scrub main -o json | jq .result.faults_count\n",
        .run = run_vault_scrub,
};

const struct cli_command cli_vault_repair = {
        .words = "vault repair",
        .operands = "VAULT [--no-wait]",
        .does = "verify all of a vault and put right what can be",
        .help = "The same as tidemark verify VAULT --depth full --repair: what is damaged is read "
                "again\n"
                "from Kafka where it is still there; the rest becomes gaps of reason "
                "lost-in-vault.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault repair main\n"
                "  tidemark vault repair main --no-wait\n",
        .run = run_vault_repair,
};

static void print_job(const struct tm_json_value *job)
{
    static const struct cli_column columns[] = {
            {"job", "id", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"head", "result.head", CLI_CELL_TEXT},
            {"points", "result.recovery_points_count", CLI_CELL_COUNT},
            {"packs", "result.packs_count", CLI_CELL_COUNT},
    };
    cli_print_sheet(job, columns, COUNT(columns));
}

static int run_import(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {.method = "POST",
            .collection = "vaults",
            .rest = "import-catalog",
            .table = print_job,
            .job = true};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_vault_import = {
        .words = "vault import-catalog",
        .operands = "VAULT [--no-wait]",
        .does = "make the daemon's catalog of a vault anew",
        .help = "Forget what the daemon knows of the vault and fold its log from the start.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark vault import-catalog main\n"
                "  tidemark vault import-catalog main --no-wait\n",
        .run = run_import,
};

/* Freeing ------------------------------------------------------------------------------------ */

static void print_plan(const struct tm_json_value *plan)
{
    static const struct cli_column points[] = {
            {"POINT", "recovery_point", CLI_CELL_TEXT},
            {"POLICY", "policy", CLI_CELL_TEXT},
            {"CAPTURED", "captured_at", CLI_CELL_TIME},
            {"ACTION", "action", CLI_CELL_TEXT},
            {"KEPT BY", "kept_by", CLI_CELL_TEXT},
            {"REMOVED BY", "removed_by", CLI_CELL_TEXT},
    };
    static const struct cli_column sums[] = {
            {"kept", "keep_count", CLI_CELL_COUNT},
            {"removed", "remove_count", CLI_CELL_COUNT},
            {"freed", "freed_bytes", CLI_CELL_BYTES},
            {"deleted now", "space.sweep_bytes", CLI_CELL_BYTES},
            {"packs to merge", "space.packs_to_merge_count", CLI_CELL_COUNT},
            {"plan digest", "plan_digest", CLI_CELL_TEXT},
    };
    static const struct cli_column warnings[] = {
            {"WARNING", "code", CLI_CELL_TEXT},
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(plan, "points"), points, COUNT(points));
    cli_print_rows(tm_json_get(plan, "warnings"), warnings, COUNT(warnings));
    cli_print_sheet(plan, sums, COUNT(sums));
}

static void print_freed(const struct tm_json_value *job)
{
    static const struct cli_column columns[] = {
            {"job", "id", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"points removed", "result.points_removed_count", CLI_CELL_COUNT},
            {"packs dropped", "result.packs_dropped_count", CLI_CELL_COUNT},
            {"packs merged", "result.packs_merged_count", CLI_CELL_COUNT},
            {"objects deleted", "result.objects_swept_count", CLI_CELL_COUNT},
            {"reclaimed", "result.reclaimed_bytes", CLI_CELL_BYTES},
    };
    cli_print_sheet(job, columns, COUNT(columns));
}

static struct tm_json *retention_body(const struct cli_args *args)
{
    struct tm_json *body = tm_json_object();
    tm_json_add_str(body, "vault", args->operands[0]);
    cli_add_all(body, "policies", args, "policy");
    if (cli_arg(args, "no-merge") != NULL) {
        tm_json_add_bool(body, "merge", false);
    }
    return body;
}

static const struct cli_takes of_retention = {.client = true,
        .options = "policy no-merge wait no-wait",
        .least = 1,
        .most = 1};

static int run_plan(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &of_retention, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = retention_body(&args);
    struct cli_request request = {.method = "POST", .path = "/v1/retention/plan", .body = body};
    return cli_ask_and_print(&args, &request, print_plan);
}

const struct cli_command cli_retention_plan = {
        .words = "retention plan",
        .operands = "VAULT [--policy P]... [--no-merge]",
        .does = "what retention would remove now, and by which rule",
        .help = "Show each recovery point with the rule that keeps or removes it, and the space "
                "that\n"
                "would be freed. Nothing is changed.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark retention plan main\n"
                "  tidemark retention plan main --policy payments -o json\n",
        .run = run_plan,
};

static int run_retention(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &of_retention, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = retention_body(&args);
    struct cli_request request = {.method = "POST", .path = "/v1/retention/run", .body = body};
    return cli_ask_job(&args, &request, print_freed);
}

const struct cli_command cli_retention_run = {
        .words = "retention run",
        .operands = "VAULT [--policy P]... [--no-merge] [--no-wait]",
        .does = "remove what retention no longer keeps, free its space",
        .help = "Expire points, drop and sweep packs that nothing needs, merge small ones. Packs "
                "are\n"
                "deleted a day after they were dropped.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark retention run main\n"
                "  tidemark retention run main --policy payments --no-merge\n",
        .run = run_retention,
};
