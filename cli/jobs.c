/* SPDX-License-Identifier: Apache-2.0 */
/* status, backup, and the jobs of a daemon. */
#include <stdio.h>
#include <string.h>

#include "asks.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

/* Status ------------------------------------------------------------------------------------- */

static bool is_breached; /* what the table saw */

static void print_status(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"STATE", "state", CLI_CELL_TEXT},
            {"CLUSTER", "cluster", CLI_CELL_TEXT},
            {"POLICY", "policy", CLI_CELL_TEXT},
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"EXPOSED", "exposure_seconds", CLI_CELL_SECONDS},
            {"BEHIND", "behind_messages", CLI_CELL_COUNT},
            {"GAP", "coverage_gap_offsets", CLI_CELL_COUNT},
            {"RPO", "rpo_seconds", CLI_CELL_SECONDS},
            {"NEWEST POINT", "newest_point_at", CLI_CELL_TIME},
            {"LAST RUN", "last_result", CLI_CELL_TEXT},
            {"NEXT RUN", "next_run_at", CLI_CELL_TIME},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static int run_status(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true, .options = "cluster policy topic live"};
    struct cli_args args = {0};
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if (cli_arg(&args, "live") != NULL) {
        struct cli_request live = {.method = "GET", .path = "/livez"};
        return cli_ask_and_print(&args, &live, NULL);
    }
    const struct cli_query query[] = {{"cluster", cli_arg(&args, "cluster")},
            {"policy", cli_arg(&args, "policy")}, {"topic", cli_arg(&args, "topic")}};
    struct cli_request request = {
            .method = "GET", .path = "/v1/status", .query = query, .query_count = COUNT(query)};
    status = cli_client_open(&args.client, &client);
    if (status == CLI_DONE) {
        status = cli_ask(client, &request, &reply);
    }
    if (status != CLI_DONE || reply.status == 0) {
        return status;
    }
    const struct tm_json_value *breached = tm_json_get(reply.json, "breached_count");
    is_breached = breached != NULL && breached->integer > 0;
    if (args.output.json) {
        (void)puts(tm_buf_text(&reply.text));
    } else {
        print_status(reply.json);
    }
    return is_breached ? CLI_FAILED : CLI_DONE;
}

const struct cli_command cli_status_command = {
        .words = "status",
        .operands = "[--policy P] [--cluster C] [--topic T] | --live",
        .does = "what would be lost now",
        .help = "List each policy and topic, worst first. Exit status 1 when an objective (rpo) "
                "is\n"
                "breached.\n"
                "\n"
                "  --live    only ask whether the daemon lives: exit status 0, or not; for health "
                "checks\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark status\n"
                "  tidemark status --policy payments -o json\n",
        .run = run_status,
};

/* Backup ------------------------------------------------------------------------------------- */

static void print_backup(const struct tm_json_value *job)
{
    static const struct cli_column columns[] = {
            {"job", "id", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"point", "result.recovery_point", CLI_CELL_TEXT},
            {"unchanged", "result.unchanged", CLI_CELL_TEXT},
            {"topics", "result.topics_count", CLI_CELL_COUNT},
            {"partitions", "result.partitions_count", CLI_CELL_COUNT},
            {"messages", "result.messages_count", CLI_CELL_COUNT},
            {"read", "result.source_bytes", CLI_CELL_BYTES},
            {"stored", "result.stored_bytes", CLI_CELL_BYTES},
            {"deduplicated", "result.deduplicated_bytes", CLI_CELL_BYTES},
            {"gaps", "result.gaps_count", CLI_CELL_COUNT},
    };
    cli_print_sheet(job, columns, COUNT(columns));
}

static int run_backup(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true,
            .options = "topic note tag wait no-wait outside-window",
            .least = 1,
            .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    tm_json_add_str(body, "policy", args.operands[0]);
    cli_add_all(body, "topics", &args, "topic");
    cli_add_all(body, "tags", &args, "tag");
    tm_json_add_str(body, "note", cli_arg(&args, "note"));
    if (cli_arg(&args, "outside-window") != NULL) {
        tm_json_add_bool(body, "outside_window", true);
    }
    struct cli_request request = {.method = "POST", .path = "/v1/backups", .body = body};
    return cli_ask_job(&args, &request, print_backup);
}

const struct cli_command cli_backup = {
        .words = "backup",
        .operands = "POLICY [--topic T]... [--note N] [--tag T]... [--outside-window] [--no-wait]",
        .does = "back a policy up now",
        .help = "Run the policy and wait for its end (Ctrl-C leaves the run alone). Exit status 3 "
                "when\n"
                "something could not be read to its end.\n"
                "\n"
                "  --topic T    this topic of the policy alone (repeatable)\n"
                "  --note N     kept with the recovery point, as --tag T is (repeatable)\n"
                "  --outside-window  run it though the policy's window is closed\n"
                "  --no-wait    print the job's id and end\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark backup payments\n"
                "  tidemark backup payments --note 'before the 4.2 rollout' --tag release-4.2\n",
        .run = run_backup,
};

/* Jobs --------------------------------------------------------------------------------------- */

static void print_jobs(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"JOB", "id", CLI_CELL_TEXT},
            {"KIND", "kind", CLI_CELL_TEXT},
            {"STATE", "state", CLI_CELL_TEXT},
            {"POLICY", "policy", CLI_CELL_TEXT},
            {"BY", "requested_by", CLI_CELL_TEXT},
            {"CREATED", "created_at", CLI_CELL_TIME},
            {"FINISHED", "finished_at", CLI_CELL_TIME},
            {"ERROR", "error.code", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

static void print_job(const struct tm_json_value *job)
{
    static const struct cli_column columns[] = {
            {"job", "id", CLI_CELL_TEXT},
            {"kind", "kind", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"policy", "policy", CLI_CELL_TEXT},
            {"cluster", "cluster", CLI_CELL_TEXT},
            {"requested by", "requested_by", CLI_CELL_TEXT},
            {"created", "created_at", CLI_CELL_TIME},
            {"started", "started_at", CLI_CELL_TIME},
            {"finished", "finished_at", CLI_CELL_TIME},
            {"phase", "progress.phase", CLI_CELL_TEXT},
            {"done", "progress.done_ratio", CLI_CELL_RATIO},
            {"messages", "progress.done_messages", CLI_CELL_COUNT},
            {"bytes", "progress.done_bytes", CLI_CELL_BYTES},
            {"point", "result.recovery_point", CLI_CELL_TEXT},
            {"proof", "result.proof", CLI_CELL_TEXT},
            {"error", "error.detail", CLI_CELL_TEXT},
    };
    static const struct cli_column notes[] = {
            {"CODE", "code", CLI_CELL_TEXT},
            {"TOPIC", "topic", CLI_CELL_TEXT},
            {"PARTITION", "partition", CLI_CELL_COUNT},
            {"DETAIL", "detail", CLI_CELL_TEXT},
    };
    cli_print_sheet(job, columns, COUNT(columns));
    cli_print_rows(tm_json_get(job, "warnings"), notes, COUNT(notes));
    cli_print_rows(tm_json_get(tm_json_get(job, "result"), "failures"), notes, COUNT(notes));
}

static int run_jobs_list(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "kind state policy since limit all"};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const struct cli_query query[] = {{"kind", cli_arg(&args, "kind")},
            {"state", cli_arg(&args, "state")}, {"policy", cli_arg(&args, "policy")},
            {"since", cli_arg(&args, "since")}};
    return cli_ask_list(&args, "/v1/jobs", query, COUNT(query), print_jobs);
}

const struct cli_command cli_jobs_list = {
        .words = "jobs list",
        .operands = "[--kind K] [--state S] [--policy P] [--since T] [--limit N | --all]",
        .does = "jobs, newest first",
        .help = "List the jobs of a daemon: 50 unless --limit or --all says otherwise.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark jobs list --state failed --since -1d\n"
                "  tidemark jobs list --kind backup --policy payments -o json\n",
        .run = run_jobs_list,
};

static const struct cli_takes one_job = {.client = true, .options = "", .least = 1, .most = 1};

static int run_jobs_show(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "GET", .collection = "jobs", .table = print_job};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_jobs_show = {
        .words = "jobs show",
        .operands = "JOB",
        .does = "one job: progress, result, error",
        .help = "Show a job, with its warnings and what failed of it.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark jobs show job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark jobs show job_01K9ZQ4V6M3T8R2X7B5N1C0D9E -o json | jq .result\n",
        .run = run_jobs_show,
};

static int run_jobs_watch(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {0};
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    int status;
    if (!cli_args_read(command, &one_job, argc, argv, &args, &status)) {
        return status;
    }
    status = cli_client_open(&args.client, &client);
    if (status != CLI_DONE) {
        return status;
    }
    status = cli_follow(client, args.operands[0], &reply);
    if (reply.status / 100 == 2 && args.output.json) {
        (void)puts(tm_buf_text(&reply.text));
    } else if (reply.status / 100 == 2) {
        print_job(reply.json);
    }
    return status;
}

const struct cli_command cli_jobs_watch = {
        .words = "jobs watch",
        .operands = "JOB",
        .does = "follow a job to its end",
        .help = "Show progress until the job has ended, then the job. The exit status is the "
                "job's: 0\n"
                "succeeded, 3 in part, 1 failed or cancelled. Ctrl-C leaves the job alone.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark jobs watch job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark jobs watch \"$(tidemark backup payments --no-wait)\"\n",
        .run = run_jobs_watch,
};

static int run_jobs_cancel(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "POST", .collection = "jobs", .rest = "cancel", .table = print_job};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_jobs_cancel = {
        .words = "jobs cancel",
        .operands = "JOB",
        .does = "ask a job to stop at its next safe point",
        .help = "What was committed until then stays. A job that has ended is exit status 8.\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark jobs cancel job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark jobs cancel job_01K9ZQ4V6M3T8R2X7B5N1C0D9E --curl\n",
        .run = run_jobs_cancel,
};

static int run_jobs_log(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "level", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    TM_OWN(cli_client_close) struct cli_client *client = NULL;
    CLI_REPLY_OWN struct cli_reply reply = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const struct cli_query query[] = {{"level", cli_arg(&args, "level")}};
    struct cli_request request = {.method = "GET",
            .path = cli_path("jobs", args.operands[0], "log", &path),
            .query = query,
            .query_count = 1};
    status = cli_client_open(&args.client, &client);
    status = status == CLI_DONE ? cli_ask(client, &request, &reply) : status;
    if (status == CLI_DONE && reply.status != 0) {
        (void)fputs(tm_buf_text(&reply.text), stdout);
    }
    return status;
}

const struct cli_command cli_jobs_log = {
        .words = "jobs log",
        .operands = "JOB [--level error|warning|info|debug]",
        .does = "what the daemon has logged of a job",
        .help = "Print the lines of the daemon's log that are of the job. They are kept since the "
                "daemon\n"
                "started, the last 5,000 of all jobs; older ones are in its log alone.\n"
                "\n"
                "  --level L  those of that level and what is worse\n"
                "\n" CLI_CLIENT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark jobs log job_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark jobs log job_01K9ZQ4V6M3T8R2X7B5N1C0D9E --level warning\n",
        .run = run_jobs_log,
};
