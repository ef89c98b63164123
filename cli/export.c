/* SPDX-License-Identifier: Apache-2.0 */
/* The records of a recovery point out of a vault, without Kafka and without a daemon. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/ulid.h"
#include "direct_job.h"
#include "direct_point.h"
#include "export_place.h"
#include "restore_choice.h"

struct request { /* what the command line asks for */
    int32_t partitions[CLI_ARGS_MAX];
    struct tm_select *select;
    struct tm_choice choice;
    struct tm_arena arena; /* of the choice */
    struct tm_export_options options;
    bool json; /* the summary */
};

static enum tm_code read_offset(
        const struct cli_args *args, const char *name, int64_t *out, struct tm_err *err)
{
    const char *text = cli_arg(args, name);
    return text == NULL || (tm_parse_i64(text, out, err) == TM_OK && *out >= 0)
                   ? TM_OK
                   : tm_err_set(err, TM_E_USAGE, "--%s takes an offset", name);
}

static enum tm_code read_partitions(
        const struct cli_args *args, struct request *out, struct tm_err *err)
{
    const char *text = NULL;
    for (size_t at = 0; (text = cli_arg_next(args, "partition", &at)) != NULL;) {
        int64_t number = -1;
        if (tm_parse_i64(text, &number, err) != TM_OK || number < 0 || number > INT32_MAX) {
            return tm_err_set(err, TM_E_USAGE, "--partition takes a number");
        }
        out->partitions[out->options.partition_count++] = (int32_t)number;
    }
    out->options.partitions = out->partitions;
    return TM_OK;
}

/* Which records. A point that is named is cut by record time; offsets of every partition go without it. */
static enum tm_code read_choice(
        const struct cli_args *args, struct request *out, struct tm_err *err)
{
    if (cli_arg(args, "as-of") != NULL) {
        return tm_err_set(err, TM_E_USAGE, "--as-of goes with restore: here the point is named");
    }
    TM_TRY(cli_choice_read(args, &out->arena, &out->choice, err));
    bool offsets = out->options.from > 0 || out->options.until < INT64_MAX;
    if (offsets && (out->choice.has_from || out->choice.window_count > 0)) {
        return tm_err_set(err, TM_E_USAGE,
                "--from-offset and --until-offset do not go with --from and --window, which reach "
                "below the point: --window TOPIC/PARTITION@FROM..TO takes offsets");
    }
    out->options.choice = &out->choice;
    return TM_OK;
}

static enum tm_code read_request(
        const struct cli_args *args, struct request *out, struct tm_err *err)
{
    const char *format = cli_arg(args, "format");
    const char *gap = cli_arg(args, "on-gap");
    struct tm_export_options *options = &out->options;
    options->until = INT64_MAX;
    options->continue_on_gap = gap != NULL && strcmp(gap, "continue") == 0;
    options->format =
            format != NULL && strcmp(format, "binary") == 0 ? TM_EXPORT_BINARY : TM_EXPORT_JSON;
    out->json = args->output.json;
    if (format != NULL && strcmp(format, "json") != 0 && strcmp(format, "binary") != 0) {
        return tm_err_set(err, TM_E_USAGE, "--format takes json or binary");
    }
    if (gap != NULL && strcmp(gap, "fail") != 0 && !options->continue_on_gap) {
        return tm_err_set(err, TM_E_USAGE, "--on-gap takes fail or continue");
    }
    TM_TRY(read_offset(args, "from-offset", &options->from, err));
    TM_TRY(read_offset(args, "until-offset", &options->until, err));
    TM_TRY(read_partitions(args, out, err));
    TM_TRY(read_choice(args, out, err));
    return cli_direct_topics(args, &out->select, err);
}

/* The binary form has one topic in a file. */
static enum tm_code check_topics(const struct request *request, const struct tm_point *point,
        const struct cli_export_place *place, struct tm_arena *arena, struct tm_err *err)
{
    size_t topics = 0;
    for (size_t i = 0; i < point->stream_count; i++) {
        const char *topic = tm_arena_str(arena, point->streams[i].topic);
        topics += request->select == NULL || tm_select_matches(request->select, topic) ? 1 : 0;
    }
    return topics <= 1 || place->folder != NULL || request->options.format == TM_EXPORT_JSON
                   ? TM_OK
                   : tm_err_set(err, TM_E_USAGE,
                             "%zu topics: in the binary form each has a file of its own; give a "
                             "folder: --to FOLDER/",
                             topics);
}

/* The summary --------------------------------------------------------------------------------- */

static void print_summary(const struct tm_export_result *result)
{
    for (size_t i = 0; i < result->parts.count; i++) {
        const struct tm_export_part *part = &result->parts.at[i];
        if (part->records == 0) {
            (void)fprintf(stderr, "%s/%" PRId32 ": no records\n", part->topic, part->partition);
            continue;
        }
        (void)fprintf(stderr,
                "%s/%" PRId32 ": %" PRId64 " records, offsets %" PRId64 " to %" PRId64
                ", identical to what was stored\n",
                part->topic, part->partition, part->records, part->first_offset, part->last_offset);
    }
    (void)fprintf(stderr,
            "exported %" PRId64 " records (%" PRId64 " bytes) of %" PRId64
            " topics, identical to what was stored\n",
            result->records, result->bytes, result->topics);
}

static void print_summary_json(const struct tm_export_result *result)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "message_type", "summary");
    tm_json_add_str(json, "proof", "identical");
    tm_json_add_int(json, "topics_count", result->topics);
    tm_json_add_int(json, "messages_count", result->records);
    tm_json_add_int(json, "source_bytes", result->bytes);
    struct tm_json *parts = tm_json_add(json, "partitions", tm_json_array());
    for (size_t i = 0; i < result->parts.count; i++) {
        const struct tm_export_part *part = &result->parts.at[i];
        struct tm_json *row = tm_json_push(parts, tm_json_object());
        tm_json_add_str(row, "topic", part->topic);
        tm_json_add_int(row, "partition", part->partition);
        tm_json_add_int(row, "messages_count", part->records);
        if (part->records > 0) {
            tm_json_add_int(row, "first_offset", part->first_offset);
            tm_json_add_int(row, "last_offset", part->last_offset);
        }
    }
    char *text = tm_json_text(json);
    (void)fprintf(stderr, "%s\n", text);
    free(text);
}

/* The export ---------------------------------------------------------------------------------- */

static enum tm_code export_to(
        struct cli_export_place *place, struct request *request, struct tm_err *err)
{
    struct tm_export_result result = {0};
    struct cli_direct_job *job = tm_xalloc(1, sizeof(*job));
    request->options.sink = cli_export_place_sink(place);
    cli_direct_job_begin(job);
    enum tm_code code = tm_export_run(&request->options, &job->env, &result, err);
    cli_direct_job_end(job);
    free(job);
    code = code == TM_OK ? cli_export_place_finish(place, err) : code;
    if (code == TM_OK) {
        (request->json ? print_summary_json : print_summary)(&result);
    }
    tm_export_result_done(&result);
    return code;
}

static int export_point(
        const struct cli_args *args, struct request *request, struct cli_export_place *place)
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    struct tm_arena arena = {0};
    struct tm_point point = {0};
    struct tm_err err = {0};
    int status = cli_direct_open(&args->direct, true, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    enum tm_code code = cli_direct_point(args, args->operands[0], &direct, &arena, &point, &err);
    request->options.vault = direct.vault;
    request->options.catalog = direct.catalog;
    request->options.point = &point;
    request->options.select = request->select;
    if (code == TM_OK) {
        code = cli_export_place_open(place, cli_arg(args, "to"), request->options.format, &err);
    }
    code = code == TM_OK ? check_topics(request, &point, place, &arena, &err) : code;
    code = code == TM_OK ? export_to(place, request, &err) : code;
    tm_arena_done(&arena);
    return code == TM_OK          ? CLI_DONE
           : code == TM_E_CORRUPT ? cli_fail_as(&err, CLI_DIFFERENT)
                                  : cli_fail(&err);
}

static int run_export(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.direct = true,
            .options = "policy topic exclude partition from-offset until-offset format to "
                       "on-gap" CLI_CHOICE_OPTIONS,
            .least = 1,
            .most = 1};
    struct cli_args args = {0};
    struct request request = {.json = false};
    struct cli_export_place place = {0};
    struct tm_err err = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    const char *wrong = cli_direct_misuse(&args.direct);
    if (wrong != NULL) {
        return cli_misuse(command, "%s", wrong);
    }
    if (read_request(&args, &request, &err) != TM_OK) {
        tm_select_free(request.select);
        tm_arena_done(&request.arena);
        return cli_misuse(command, "%s", err.msg);
    }
    const char *to = cli_arg(&args, "to");
    bool screen = (to == NULL || strcmp(to, "-") == 0) && isatty(STDOUT_FILENO) == 1;
    status = screen && request.options.format == TM_EXPORT_BINARY
                     ? cli_misuse(command, "the binary form is not for a screen: give --to FILE")
                     : export_point(&args, &request, &place);
    cli_export_place_done(&place);
    tm_select_free(request.select);
    tm_arena_done(&request.arena);
    return status;
}

const struct cli_command cli_export = {
        .words = "export",
        .operands =
                "(POINT | latest --policy P) [--topic T]... [--exclude T]... [--partition N]...\n"
                "           [--from-offset N] [--until-offset N] [--format json|binary]\n"
                "           [--to FILE | --to FOLDER/] [--on-gap fail|continue]",
        .does = "the records of a recovery point, without Kafka",
        .help = "Read the records of a point straight from a vault: as JSON, one object a line "
                "(default), or\n"
                "in the binary form TMVX; see docs/export.md. Topics are names, globs or "
                "/regular expressions/.\n"
                "Without --to they go to standard output; in a folder each topic has its file. A "
                "file appears\n"
                "when all of it is written and compared with its content proof; one that is there "
                "is not\n"
                "replaced. What was exported is said on standard error. Exit status 9: the stored "
                "records are\n"
                "damaged.\n"
                "\n"
                "  --from-offset N      offsets at or above N, of every partition chosen\n"
                "  --until-offset N     and below N\n"
                "  --on-gap continue    export around what the source had deleted before it was "
                "captured\n"
                "\n" CLI_CHOICE_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark export latest --policy payments --topic payments.eu --vault "
                "/srv/tidemark --key-file\n"
                "      vault.key | jq .value\n"
                "  tidemark export rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E --format binary --to dump/ "
                "--vault\n"
                "      s3://backup/prod --key-file vault.key\n",
        .run = run_export,
};
