/* SPDX-License-Identifier: Apache-2.0 */
#include "direct_restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/ulid.h"
#include "direct_job.h"
#include "direct_point.h"
#include "job/report.h"
#include "report.h"
#include "restore_choice.h"
#include "restore_groups.h"

enum { STATE_MODE = 0700, REPLICATION_MAX = 32767 };

struct restore { /* what the command line asks for, and what it needs */
    const struct cli_args *args;
    struct cli_direct direct;
    struct tm_arena arena;
    struct tm_point point;
    struct tm_select *select;
    struct tm_kafka_options kafka;
    struct tm_restore_options options;
    struct tm_choice choice;
    struct tm_restore_plan plan;
    char folder[4096]; /* of the journal */
    char job[TM_ULID_NAME_MAX];
    bool resumed;
};

/* The options --------------------------------------------------------------------------------- */

/* The place of the option's value among `words`; -1: it is none of them, 0 where it is not given. */
static int choice(const struct cli_args *args, const char *name, const char *const *words)
{
    const char *given = cli_arg(args, name);
    int at = 0;
    while (given != NULL && words[at] != NULL && strcmp(words[at], given) != 0) {
        at++;
    }
    return given == NULL ? 0 : words[at] != NULL ? at : -1;
}

static enum tm_code read_choices(struct restore *restore, struct tm_err *err)
{
    static const char *const creates[] = {"missing", "never", NULL};
    static const char *const existing[] = {"fail", "empty_only", NULL};
    static const char *const retention[] = {"hold", "original", NULL};
    static const char *const configs[] = {"original", "broker", NULL};
    static const char *const gaps[] = {"fail", "continue", NULL};
    const struct cli_args *args = restore->args;
    int values[] = {choice(args, "create-topics", creates), choice(args, "existing", existing),
            choice(args, "retention", retention), choice(args, "topic-configs", configs),
            choice(args, "on-gap", gaps)};
    static const char *const names[] = {"create-topics takes missing or never",
            "existing takes fail or empty_only", "retention takes hold or original",
            "topic-configs takes original or broker", "on-gap takes fail or continue"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (values[i] < 0) {
            return tm_err_set(err, TM_E_USAGE, "--%s", names[i]);
        }
    }
    struct tm_restore_options *options = &restore->options;
    options->create_topics = values[0] == 0 ? TM_CREATE_MISSING : TM_CREATE_NEVER;
    options->existing = values[1] == 0 ? TM_EXISTING_FAIL : TM_EXISTING_EMPTY_ONLY;
    options->retention = values[2] == 0 ? TM_RETENTION_HOLD : TM_RETENTION_ORIGINAL;
    options->original_configs = values[3] == 0;
    options->no_daemon = true;
    options->continue_on_gap = values[4] == 1;
    return TM_OK;
}

/* "name=value", split in a copy; the value may hold "=". */
static enum tm_code split(struct restore *restore, const char *option, const char *text,
        const char **name, const char **value, struct tm_err *err)
{
    char *copy = tm_arena_strdup(&restore->arena, text);
    char *equals = strchr(copy, '=');
    if (equals == NULL || equals == copy) {
        return tm_err_set(err, TM_E_USAGE, "--%s takes NAME=VALUE", option);
    }
    *equals = '\0';
    *name = copy;
    *value = equals + 1;
    return TM_OK;
}

static enum tm_code read_names(struct restore *restore, struct tm_err *err)
{
    const struct cli_args *args = restore->args;
    struct tm_rename *renames = tm_arena_alloc(&restore->arena, CLI_ARGS_MAX, sizeof(*renames));
    size_t count = 0;
    const char *text = NULL;
    for (size_t at = 0; (text = cli_arg_next(args, "rename", &at)) != NULL; count++) {
        TM_TRY(split(restore, "rename", text, &renames[count].from, &renames[count].to, err));
    }
    restore->options.renames = renames;
    restore->options.rename_count = count;
    restore->options.prefix = cli_arg(args, "prefix");
    restore->options.suffix = cli_arg(args, "suffix");
    text = cli_arg(args, "replication-factor");
    int64_t factor = 0;
    if (text != NULL &&
            (tm_parse_i64(text, &factor, err) != TM_OK || factor < 1 || factor > REPLICATION_MAX)) {
        return tm_err_set(
                err, TM_E_USAGE, "--replication-factor takes 1 to %d", (int)REPLICATION_MAX);
    }
    restore->options.replication_factor = (int32_t)factor;
    return cli_direct_topics(args, &restore->select, err);
}

/* There is no daemon to look for points: --at cuts the one that is named. */
static enum tm_code read_choice(struct restore *restore, struct tm_err *err)
{
    if (cli_arg(restore->args, "as-of") != NULL) {
        return tm_err_set(err, TM_E_USAGE,
                "--as-of goes with --target: a point that is named is "
                "cut by record time");
    }
    TM_TRY(cli_choice_absolute(restore->args, err));
    TM_TRY(cli_choice_read(restore->args, &restore->arena, &restore->choice, err));
    restore->options.choice = &restore->choice;
    return cli_groups_read(restore->args, &restore->arena, &restore->options.groups, err);
}

static enum tm_code read_cluster(struct restore *restore, struct tm_err *err)
{
    struct tm_pair *properties = tm_arena_alloc(&restore->arena, CLI_ARGS_MAX, sizeof(*properties));
    const char *text = NULL;
    size_t count = 0;
    for (size_t at = 0; (text = cli_arg_next(restore->args, "rdkafka", &at)) != NULL; count++) {
        TM_TRY(split(
                restore, "rdkafka", text, &properties[count].name, &properties[count].value, err));
        if (tm_kafka_check_property(properties[count].name, properties[count].value, err) !=
                TM_OK) {
            return tm_err_wrap(err, "--rdkafka %s", properties[count].name);
        }
    }
    restore->options.target = cli_arg(restore->args, "bootstrap");
    if (restore->options.target == NULL || restore->options.target[0] == '\0') {
        return tm_err_set(err, TM_E_USAGE, "--bootstrap HOST:PORT is needed with --vault");
    }
    restore->kafka = (struct tm_kafka_options){.cluster = restore->options.target,
            .bootstrap = restore->options.target,
            .properties = properties,
            .property_count = count};
    return TM_OK;
}

/* The journal --------------------------------------------------------------------------------- */

static enum tm_code make_state(struct restore *restore, struct tm_err *err)
{
    const char *given = cli_arg(restore->args, "state-dir");
    if (given != NULL) {
        if (strlen(given) >= sizeof(restore->folder) - 32) {
            return tm_err_set(err, TM_E_USAGE, "--state-dir: the path is too long");
        }
        (void)snprintf(restore->folder, sizeof(restore->folder), "%s", given);
        return tm_fs_mkdirs(given, STATE_MODE, err);
    }
    const char *base = cli_environment("TMPDIR");
    base = base != NULL && base[0] == '/' && strlen(base) < 1024 ? base : "/tmp";
    (void)snprintf(restore->folder, sizeof(restore->folder), "%s/tidemark-restore-XXXXXX", base);
    if (mkdtemp(restore->folder) == NULL) {
        int sys_errno = errno;
        return tm_err_set(
                err, tm_fs_code(sys_errno), "%s: %s", restore->folder, tm_errno_text(sys_errno));
    }
    return TM_OK;
}

/* A temporary one is of no use once all is proved. */
static void remove_state(struct restore *restore)
{
    static const char *const files[] = {"journal.db", "journal.db-wal", "journal.db-shm"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[sizeof(restore->folder) + 32];
        (void)snprintf(path, sizeof(path), "%s/%s", restore->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(restore->folder);
}

/* What must be the same when the job is taken up again. */
static char *request_text(const struct restore *restore)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    char point[TM_ULID_NAME_MAX];
    char vault[2 * sizeof(restore->direct.id) + 1];
    tm_hex(restore->direct.id.bytes, sizeof(restore->direct.id.bytes), vault);
    tm_json_add_str(json, "vault", vault);
    tm_json_add_str(json, "point", tm_ulid_format(&restore->options.point, "rp_", point));
    struct tm_json *given = tm_json_add(json, "given", tm_json_array());
    for (size_t i = 0; i < restore->args->count; i++) {
        const char *name = restore->args->given[i].name;
        if (strcmp(name, "yes") != 0 && strcmp(name, "job") != 0 && strcmp(name, "rdkafka") != 0 &&
                strcmp(name, "state-dir") != 0 && strcmp(name, "policy") != 0 &&
                strcmp(name, "bootstrap") != 0) {
            tm_json_push_str(given, name);
            tm_json_push_str(given, restore->args->given[i].value);
        }
    }
    return tm_json_text(json);
}

/* The job's row: made now, or, of --job, found and compared. */
static enum tm_code take_job(
        struct restore *restore, struct tm_journal *journal, struct tm_err *err)
{
    const char *given = cli_arg(restore->args, "job");
    struct tm_job_row row = {.kind = TM_JOB_RESTORE, .state = TM_JOB_RUNNING};
    bool found = false;
    char *text = request_text(restore);
    const char *request = tm_arena_strdup(&restore->arena, text);
    free(text);
    if (given != NULL) {
        TM_TRY(tm_journal_get_job(
                journal, &restore->options.job, &restore->arena, &row, &found, err));
        if (!found) {
            return tm_err_set(
                    err, TM_E_MISSING, "there is no job %s in %s", given, restore->folder);
        }
        if (strcmp(row.request, request) != 0) {
            return tm_err_set(err, TM_E_CONFLICT,
                    "%s was started with other options, or of another point", given);
        }
        return TM_OK;
    }
    row.id = restore->options.job;
    row.policy = "";
    row.cluster = restore->options.target;
    row.requested_by = "command";
    row.request_id = "";
    row.request = request;
    row.created_ms = tm_now_ms();
    row.started_ms = row.created_ms;
    return tm_journal_put_job(journal, &row, err);
}

/* The restore --------------------------------------------------------------------------------- */

bool cli_restore_confirmed(const struct cli_args *args, const char *target)
{
    char typed[512];
    if (cli_arg(args, "yes") != NULL) {
        return true;
    }
    (void)fprintf(stderr, "Type the name of the target (%s) to restore into it: ", target);
    if (fgets(typed, sizeof(typed), stdin) != NULL) {
        typed[strcspn(typed, "\n")] = '\0';
        if (strcmp(typed, target) == 0) {
            return true;
        }
    }
    (void)fputs("tidemark: nothing was done; hint: --yes\n", stderr);
    return false;
}

static enum tm_code setup(struct restore *restore, struct tm_err *err)
{
    const struct cli_args *args = restore->args;
    const char *job = cli_arg(args, "job");
    TM_TRY(cli_direct_point(
            args, args->operands[0], &restore->direct, &restore->arena, &restore->point, err));
    struct tm_restore_options *options = &restore->options;
    options->point = restore->point.row.ulid;
    options->vault = restore->direct.vault;
    options->catalog = restore->direct.catalog;
    options->select = restore->select;
    options->kafka_options = &restore->kafka;
    options->job = tm_ulid_make(tm_now_ms());
    if (job != NULL && !tm_ulid_parse(job, "job_", &options->job)) {
        return tm_err_set(err, TM_E_USAGE, "--job: not the id of a job");
    }
    (void)tm_ulid_format(&options->job, "job_", restore->job);
    if (options->groups.mode != TM_GROUPS_NONE) {
        struct tm_kafka_options groups = restore->kafka;
        groups.groups = true;
        TM_TRY(tm_kafka_open(&groups, &options->groups_kafka, err));
    }
    return tm_kafka_open(&restore->kafka, &options->kafka, err);
}

/* A job that is taken up again knows the topics it has made: it is planned with its journal. */
static enum tm_code plan(struct restore *restore, struct cli_direct_job *job, struct tm_err *err)
{
    job->env.job_id = restore->job;
    return tm_restore_plan(&restore->options, &job->env, &restore->plan, err);
}

static int print_plan(struct restore *restore)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_report_plan(&restore->plan);
    int status = CLI_DONE;
    if (cli_arg(restore->args, "dry-run") != NULL || !restore->args->output.json) {
        status = cli_print_json(&restore->args->output, json, cli_print_plan);
    }
    return restore->plan.blocking.count > 0 ? CLI_CONFLICT : status;
}

static int print_result(
        struct restore *restore, const struct tm_restore_result *result, int64_t started_ms)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "id", restore->job);
    tm_json_add_str(json, "kind", "restore");
    bool whole = result->proved && result->groups_failed == 0;
    tm_json_add_str(json, "state", whole ? "succeeded" : "partial");
    tm_json_add_time(json, "started_at", started_ms);
    tm_json_add_time(json, "finished_at", tm_now_ms());
    (void)tm_json_add(json, "result", tm_report_restore(&restore->options, result));
    if (result->warnings.count > 0) {
        (void)tm_json_add(json, "warnings", tm_report_notes(&result->warnings));
    }
    int status = cli_print_json(&restore->args->output, json, cli_print_report);
    return !result->proved ? CLI_DIFFERENT : !whole ? CLI_REFUSED : status;
}

static void say_how_to_go_on(const struct restore *restore)
{
    (void)fprintf(stderr,
            "tidemark: to go on, or to prove it again, give the same options and --state-dir %s "
            "--job %s\n",
            restore->folder, restore->job);
}

static int execute(struct restore *restore, struct cli_direct_job *job)
{
    char path[sizeof(restore->folder) + 32];
    struct tm_err err = {0};
    struct tm_restore_result result = {0};
    TM_OWN(tm_journal_close) struct tm_journal *journal = NULL;
    int64_t started_ms = tm_now_ms();
    (void)snprintf(path, sizeof(path), "%s/journal.db", restore->folder);
    enum tm_code code = tm_journal_open(path, &journal, &err);
    code = code == TM_OK ? take_job(restore, journal, &err) : code;
    restore->options.journal = journal;
    if (code == TM_OK) {
        (void)fprintf(stderr, "%s, its journal in %s\n", restore->job, restore->folder);
        code = tm_restore_run(&restore->options, &job->env, &result, &err);
    }
    int status = code == TM_OK ? print_result(restore, &result, started_ms) : cli_fail(&err);
    if (status != CLI_DONE) {
        say_how_to_go_on(restore);
    } else if (cli_arg(restore->args, "state-dir") == NULL) {
        tm_journal_close(TM_TAKE(journal));
        remove_state(restore);
    }
    tm_restore_result_done(&result);
    return status;
}

static int plan_and_execute(struct restore *restore, struct cli_direct_job *job)
{
    struct tm_err err = {0};
    bool resumed = cli_arg(restore->args, "job") != NULL;
    if (!resumed) { /* what was confirmed once is not asked again */
        if (plan(restore, job, &err) != TM_OK) {
            return cli_fail(&err);
        }
        int status = print_plan(restore);
        if (status != CLI_DONE || cli_arg(restore->args, "dry-run") != NULL) {
            return status;
        }
    }
    if (!cli_restore_confirmed(restore->args, restore->options.target)) {
        return CLI_USE;
    }
    if (make_state(restore, &err) != TM_OK) {
        return cli_fail(&err);
    }
    job->env.job_id = restore->job;
    return execute(restore, job);
}

static int restore_point(struct restore *restore)
{
    struct tm_err err = {0};
    int status = cli_direct_open(&restore->args->direct, true, &restore->direct);
    if (status != CLI_DONE) {
        return status;
    }
    if (setup(restore, &err) != TM_OK) {
        return cli_fail(&err);
    }
    struct cli_direct_job *job = tm_xalloc(1, sizeof(*job));
    cli_direct_job_begin(job);
    status = plan_and_execute(restore, job);
    cli_direct_job_end(job);
    free(job);
    return status;
}

int cli_restore_directly(const struct cli_command *command, const struct cli_args *args)
{
    struct restore restore = {.args = args};
    struct tm_err err = {0};
    int status = CLI_DONE;
    if (cli_arg(args, "job") != NULL && cli_arg(args, "state-dir") == NULL) {
        return cli_misuse(command, "--job needs the --state-dir that has its journal");
    }
    enum tm_code code = read_choices(&restore, &err);
    code = code == TM_OK ? read_names(&restore, &err) : code;
    code = code == TM_OK ? read_choice(&restore, &err) : code;
    code = code == TM_OK ? read_cluster(&restore, &err) : code;
    status = code == TM_OK ? restore_point(&restore) : cli_misuse(command, "%s", err.msg);
    tm_restore_plan_done(&restore.plan);
    tm_kafka_close(restore.options.groups_kafka);
    tm_kafka_close(restore.options.kafka);
    cli_direct_done(&restore.direct);
    tm_select_free(restore.select);
    tm_arena_done(&restore.arena);
    return status;
}
