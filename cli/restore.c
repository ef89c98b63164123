/* SPDX-License-Identifier: Apache-2.0 */
/* A restore: by a daemon, or by the command itself, straight from a vault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asks.h"
#include "direct_restore.h"
#include "report.h"
#include "restore_choice.h"
#include "restore_groups.h"
#include "restore_into.h"

/* The body of POST /v1/restores ------------------------------------------------------------- */

static struct tm_json *add_source(struct tm_json *body, const struct cli_args *args)
{
    struct tm_json *source = tm_json_add(body, "source", tm_json_object());
    bool found = strcmp(args->operands[0], "latest") == 0 && cli_arg(args, "at") != NULL;
    if (!found) { /* else the policy's point is found by the time */
        tm_json_add_str(source, "recovery_point", args->operands[0]);
    }
    tm_json_add_str(source, "policy", cli_arg(args, "policy"));
    return source;
}

static void add_list(
        struct tm_json *object, const char *key, const struct cli_args *args, const char *option)
{
    const char *text = NULL;
    struct tm_json *list = NULL;
    for (size_t at = 0; (text = cli_arg_next(args, option, &at)) != NULL;) {
        list = list != NULL ? list : tm_json_add(object, key, tm_json_array());
        tm_json_push_str(list, text);
    }
}

/* False: a --rename is no pair. */
static bool add_target(struct tm_json *body, const struct cli_args *args)
{
    struct tm_json *target = tm_json_add(body, "target", tm_json_object());
    struct tm_json *renames = NULL;
    const char *text = NULL;
    tm_json_add_str(target, "cluster", cli_arg(args, "target"));
    tm_json_add_str(target, "prefix", cli_arg(args, "prefix"));
    tm_json_add_str(target, "suffix", cli_arg(args, "suffix"));
    for (size_t at = 0; (text = cli_arg_next(args, "rename", &at)) != NULL;) {
        TM_BUF_OWN struct tm_buf from = {0};
        const char *equals = strchr(text, '=');
        if (equals == NULL) {
            return false;
        }
        tm_buf_add(&from, text, (size_t)(equals - text));
        renames = renames != NULL ? renames : tm_json_add(target, "rename", tm_json_object());
        tm_json_add_str(renames, tm_buf_text(&from), equals + 1);
    }
    return true;
}

static struct tm_json *make_body(const struct cli_args *args, const struct tm_choice *choice)
{
    static const char *const plain[][2] = {{"create_topics", "create-topics"},
            {"existing", "existing"}, {"retention", "retention"},
            {"topic_configs", "topic-configs"}, {"on_gap", "on-gap"}};
    struct tm_json *body = tm_json_object();
    struct tm_json *source = add_source(body, args);
    struct tm_json *topics = tm_json_add(body, "topics", tm_json_object());
    add_list(topics, "include", args, "topic");
    add_list(topics, "exclude", args, "exclude");
    cli_choice_add(args, choice, body, source, topics);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        tm_json_add_str(body, plain[i][0], cli_arg(args, plain[i][1]));
    }
    tm_json_add_raw(body, "replication_factor", cli_arg(args, "replication-factor"));
    if (!add_target(body, args)) {
        tm_json_free(body);
        return NULL;
    }
    return body;
}

/* Asking ------------------------------------------------------------------------------------- */

static bool is_digits(const char *text)
{
    return text == NULL || (text[0] != '\0' && strspn(text, "0123456789") == strlen(text));
}

/* Show the plan; *digest is what was shown, in `arena`. */
static int ask_plan(const struct cli_args *args, const struct tm_json *body, struct tm_arena *arena,
        const char **digest)
{
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    struct cli_request request = {.method = "POST", .path = "/v1/restores/plan", .body = body};
    int status = cli_client_open(&args->client, &client);
    if (status == CLI_DONE) {
        status = cli_ask(client, &request, &reply);
    }
    if (status != CLI_DONE || reply.json == NULL) {
        return status;
    }
    bool dry = cli_arg(args, "dry-run") != NULL;
    if (dry && args->output.json) {
        (void)puts(tm_buf_text(&reply.text));
    } else if (!args->output.json) {
        cli_print_plan(reply.json);
    }
    const struct tm_json_value *plan = tm_json_get(reply.json, "plan_digest");
    const struct tm_json_value *blocking = tm_json_get(reply.json, "blocking");
    *digest = plan != NULL && plan->kind == TM_JSON_STRING ? tm_arena_strdup(arena, plan->string)
                                                           : NULL;
    return blocking != NULL && blocking->count > 0 ? CLI_CONFLICT : CLI_DONE;
}

static int ask_restore(const struct cli_args *args, struct tm_json *body)
{
    struct tm_arena arena = {0};
    const char *digest = NULL;
    int status = ask_plan(args, body, &arena, &digest);
    if (status == CLI_DONE && cli_arg(args, "dry-run") == NULL) {
        if (digest != NULL && !cli_restore_confirmed(args, cli_arg(args, "target"))) {
            status = CLI_USE;
        } else { /* what was shown, and nothing else, is done */
            tm_json_add_str(body, "plan_digest", digest);
            struct cli_request request = {.method = "POST", .path = "/v1/restores", .body = body};
            status = cli_ask_job(args, &request, cli_print_report);
        }
    }
    tm_arena_done(&arena);
    return status;
}

static int run_restore(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true,
            .direct = true,
            .options = "policy topic exclude rename prefix suffix create-topics existing retention "
                       "topic-configs on-gap replication-factor target bootstrap rdkafka dry-run "
                       "yes job state-dir no-wait" CLI_CHOICE_OPTIONS CLI_RESTORE_INTO_OPTIONS
                               CLI_RESTORE_GROUPS_OPTIONS,
            .least = 1,
            .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if (args.direct.vault != NULL) {
        const char *wrong = cli_direct_misuse(&args.direct);
        if (wrong == NULL && cli_restore_has_into(&args)) {
            wrong = "--into-partitions, --partition-count, --confirm and --write-rate go with "
                    "--target: "
                    "a daemon does that";
        }
        return wrong != NULL ? cli_misuse(command, "%s", wrong)
                             : cli_restore_directly(command, &args);
    }
    if (cli_arg(&args, "target") == NULL || cli_arg(&args, "bootstrap") != NULL) {
        return cli_misuse(command,
                "--target CLUSTER asks a daemon; --vault with --bootstrap goes without one");
    }
    if (!is_digits(cli_arg(&args, "replication-factor"))) {
        return cli_misuse(command, "--replication-factor takes a number");
    }
    struct tm_arena arena = {0};
    struct tm_choice choice;
    struct tm_err err = {0};
    struct tm_restore_groups groups;
    if (cli_choice_read(&args, &arena, &choice, &err) != TM_OK ||
            cli_groups_read(&args, &arena, &groups, &err) != TM_OK) {
        tm_arena_done(&arena);
        return cli_misuse(command, "%s", err.msg);
    }
    TM_OWN(tm_json_free) struct tm_json *body = make_body(&args, &choice);
    if (body != NULL) {
        cli_groups_add(&groups, body);
    }
    tm_arena_done(&arena);
    const char *wrong =
            body == NULL ? "--rename takes SOURCE=TARGET" : cli_restore_add_into(body, &args);
    return wrong == NULL ? ask_restore(&args, body) : cli_misuse(command, "%s", wrong);
}

const struct cli_command cli_restore = {
        .words = "restore",
        .operands = "(POINT | latest --policy P) --target CLUSTER [OPTION...]\n"
                    "       tidemark restore (POINT | latest --policy P) --vault URL --key-file F "
                    "--bootstrap HOST:PORT\n"
                    "           [--rdkafka NAME=VALUE]... [OPTION...]",
        .does = "a recovery point into a cluster, proved record by record",
        .help = "Restore into a cluster of the daemon's configuration, or, straight from a vault, "
                "into any cluster.\n"
                "The plan is shown first; --yes, or typing the target's name, goes on. Exit status "
                "0: "
                "the target was\n"
                "read back and is identical; 9: it differs.\n"
                "\n"
                "  --topic T, --exclude T   of the point's topics; may be repeated\n"
                "  --rename SOURCE=TARGET   may be repeated; others get --prefix P and --suffix S\n"
                "  --create-topics W        missing (default), never or recreate\n"
                "  --existing W             fail (default), empty_only, append or purge\n"
                "  --confirm T              this topic's records may be deleted (recreate, purge); "
                "may be repeated\n"
                "  --into-partitions W      same (default), hash or a map like 0=3,1=2\n"
                "  --partition-count N      of topics that are made, with hash or a map\n"
                "  --write-rate N           at most so many bytes a second\n"
                "  --retention W            hold (default): restored topics keep what is old; "
                "original\n"
                "  --topic-configs W        original (default) or broker\n"
                "  --replication-factor N   of topics that are made; as captured\n"
                "  --on-gap W               fail (default) or continue\n"
                "  --dry-run                the plan, and nothing else\n"
                "  --yes                    do not ask\n"
                "\n" CLI_CHOICE_HELP CLI_GROUPS_HELP "Straight from a vault:\n"
                "  --bootstrap HOST:PORT    the target, with --rdkafka NAME=VALUE as in the "
                "configuration\n"
                "  --state-dir DIR          keeps the journal there; else in a temporary folder\n"
                "  --job ID                 go on with a restore that was interrupted\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark restore latest --policy payments --target dr --at 2026-11-22T14:00:00Z "
                "--skip orders/7@4711\n"
                "  tidemark restore latest --policy payments --vault s3://backup/prod --key-file "
                "vault.key --bootstrap new:9092\n",
        .run = run_restore,
};
