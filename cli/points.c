/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery points: of a daemon's vaults, and, to look at, of a vault opened by the command itself. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "asks.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/ulid.h"
#include "direct_point.h"
#include "job/point_topics.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

enum { LIMIT = 50, LIMIT_MAX = 100000 };

static void print_points(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"POINT", "id", CLI_CELL_TEXT},
            {"CAPTURED", "captured_at", CLI_CELL_TIME},
            {"CLUSTER", "cluster", CLI_CELL_TEXT},
            {"POLICY", "policy", CLI_CELL_TEXT},
            {"STATE", "state", CLI_CELL_TEXT},
            {"TOPICS", "topics_count", CLI_CELL_COUNT},
            {"PARTITIONS", "partitions_count", CLI_CELL_COUNT},
            {"MESSAGES", "messages_count", CLI_CELL_COUNT},
            {"SIZE", "source_bytes", CLI_CELL_BYTES},
            {"HELD", "hold", CLI_CELL_TEXT},
            {"NOTE", "note", CLI_CELL_TEXT},
    };
    cli_print_rows(tm_json_get(whole, "items"), columns, COUNT(columns));
}

/* What is missing of a partition, and of the time before the point begins. */
static void print_gaps_of(const struct tm_json_value *part, const char *key, const char *where)
{
    const struct tm_json_value *gaps = tm_json_get(part, key);
    const struct tm_json_value *number = tm_json_get(part, "partition");
    for (const struct tm_json_value *gap = gaps != NULL ? gaps->first : NULL; gap != NULL;
            gap = gap->next) {
        const struct tm_json_value *from = tm_json_get(gap, "start_offset");
        const struct tm_json_value *end = tm_json_get(gap, "end_offset");
        const struct tm_json_value *reason = tm_json_get(gap, "reason");
        if (number != NULL && from != NULL && end != NULL && reason != NULL) {
            printf("gap%s: partition %" PRId64 ", offsets %" PRId64 " to %" PRId64 ": %s\n", where,
                    number->integer, from->integer, end->integer - 1, reason->string);
        }
    }
}

static void print_gaps(const struct tm_json_value *parts)
{
    for (const struct tm_json_value *part = parts != NULL ? parts->first : NULL; part != NULL;
            part = part->next) {
        print_gaps_of(part, "gaps_before", " before it");
        print_gaps_of(part, "gaps", "");
    }
}

static void print_point(const struct tm_json_value *point)
{
    static const struct cli_column columns[] = {
            {"point", "id", CLI_CELL_TEXT},
            {"captured", "captured_at", CLI_CELL_TIME},
            {"cluster", "cluster", CLI_CELL_TEXT},
            {"policy", "policy", CLI_CELL_TEXT},
            {"vault", "vault", CLI_CELL_TEXT},
            {"state", "state", CLI_CELL_TEXT},
            {"messages", "messages_count", CLI_CELL_COUNT},
            {"size", "source_bytes", CLI_CELL_BYTES},
            {"note", "note", CLI_CELL_TEXT},
            {"tags", "tags", CLI_CELL_TEXT},
            {"held", "hold.reason", CLI_CELL_TEXT},
            {"held until", "hold.until", CLI_CELL_TIME},
            {"verified", "verified.result", CLI_CELL_TEXT},
            {"since", "verified.at", CLI_CELL_TIME},
    };
    static const struct cli_column parts[] = {
            {"PARTITION", "partition", CLI_CELL_COUNT},
            {"START", "start_offset", CLI_CELL_COUNT},
            {"END", "end_offset", CLI_CELL_COUNT},
            {"MESSAGES", "messages_count", CLI_CELL_COUNT},
            {"SIZE", "source_bytes", CLI_CELL_BYTES},
            {"HOLES", "holes_count", CLI_CELL_COUNT},
            {"STATUS", "status", CLI_CELL_TEXT},
            {"LATEST RECORD", "latest_record_at", CLI_CELL_TIME},
    };
    cli_print_sheet(point, columns, COUNT(columns));
    const struct tm_json_value *topics = tm_json_get(point, "topics");
    for (const struct tm_json_value *topic = topics != NULL ? topics->first : NULL; topic != NULL;
            topic = topic->next) {
        static const struct cli_column name[] = {{"\ntopic", "name", CLI_CELL_TEXT}};
        cli_print_sheet(topic, name, COUNT(name));
        cli_print_rows(tm_json_get(topic, "partitions"), parts, COUNT(parts));
        print_gaps(tm_json_get(topic, "partitions"));
    }
}

/* Straight on a vault ------------------------------------------------------------------------ */

static struct tm_json *view_point(const struct tm_row_point *row, const struct tm_row_mark *mark)
{
    char id[TM_ULID_NAME_MAX];
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "id", tm_ulid_format(&row->ulid, "rp_", id));
    tm_json_add_slice(json, "policy", row->policy);
    tm_json_add_slice(json, "cluster", row->cluster_name);
    tm_json_add_slice(json, "cluster_id", row->cluster_id);
    tm_json_add_str(json, "state", (row->flags & TM_POINT_PARTIAL) != 0 ? "partial" : "complete");
    tm_json_add_time(json, "captured_at", row->time_ms);
    if (mark->note.len > 0) {
        tm_json_add_slice(json, "note", mark->note);
    }
    struct tm_json *tags = tm_json_add(json, "tags", tm_json_array());
    for (size_t i = 0; i < mark->tag_count; i++) {
        TM_BUF_OWN struct tm_buf tag = {0};
        tm_buf_add(&tag, mark->tags[i].at, mark->tags[i].len);
        tm_json_push_str(tags, tm_buf_text(&tag));
    }
    if (mark->hold_until_ms != 0) {
        struct tm_json *hold = tm_json_add(json, "hold", tm_json_object());
        tm_json_add_slice(hold, "reason", mark->hold_reason);
        if (mark->hold_until_ms > 0) {
            tm_json_add_time(hold, "until", mark->hold_until_ms);
        }
    }
    return json;
}

/* --topic, --policy and so on as given once; none: any. */
static struct tm_names names_of(
        const struct cli_args *args, const char *option, struct tm_arena *arena)
{
    const char *given = cli_arg(args, option);
    const struct tm_names one = tm_names_one(&given);
    return tm_names_copy(&one, arena);
}

static enum tm_code read_query(const struct cli_args *args, struct tm_arena *arena,
        struct tm_point_query *query, struct tm_err *err)
{
    int64_t limit = LIMIT;
    const char *since = cli_arg(args, "since");
    const char *until = cli_arg(args, "until");
    const char *rows = cli_arg(args, "limit");
    const char *state = cli_arg(args, "state");
    *query = (struct tm_point_query){.clusters = names_of(args, "cluster", arena),
            .policies = names_of(args, "policy", arena),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX};
    if (since != NULL) {
        TM_TRY(tm_time_parse(since, tm_now_ms(), &query->since_ms, err));
    }
    if (until != NULL) {
        TM_TRY(tm_time_parse(until, tm_now_ms(), &query->until_ms, err));
    }
    if (rows != NULL) {
        TM_TRY(tm_parse_i64(rows, &limit, err));
    }
    if (state != NULL && strcmp(state, "partial") != 0 && strcmp(state, "complete") != 0) {
        return tm_err_set(err, TM_E_USAGE, "--state takes complete or partial");
    }
    if (state != NULL) {
        query->states =
                1U << (strcmp(state, "partial") == 0 ? TM_POINT_IS_PARTIAL : TM_POINT_IS_COMPLETE);
    }
    limit = cli_arg(args, "all") != NULL ? LIMIT_MAX : limit;
    if (limit < 1 || limit > LIMIT_MAX) {
        return tm_err_set(err, TM_E_USAGE, "--limit takes 1 to %d", (int)LIMIT_MAX);
    }
    query->limit = (size_t)limit;
    return TM_OK;
}

static enum tm_code find_points(const struct cli_args *args, struct tm_catalog *catalog,
        struct tm_point_query *query, struct tm_arena *arena, struct tm_point_line **lines,
        size_t *count, struct tm_err *err)
{
    struct tm_names patterns = names_of(args, "topic", arena);
    *count = 0;
    if (patterns.count > 0) {
        TM_TRY(tm_point_topics(catalog, &patterns, arena, &query->topics, err));
        if (query->topics.count == 0) {
            return TM_OK;
        }
    }
    return tm_catalog_points(catalog, query, arena, lines, count, err);
}

static int list_directly(const struct cli_args *args)
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    struct tm_arena arena = {0};
    struct tm_point_query query;
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_err err = {0};
    if (read_query(args, &arena, &query, &err) != TM_OK) {
        tm_arena_done(&arena);
        return cli_fail(&err);
    }
    int status = cli_direct_open(&args->direct, true, &direct);
    if (status != CLI_DONE) {
        tm_arena_done(&arena);
        return status;
    }
    if (find_points(args, direct.catalog, &query, &arena, &lines, &count, &err) == TM_OK) {
        TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
        struct tm_json *items = tm_json_add(json, "items", tm_json_array());
        for (size_t i = 0; i < count; i++) {
            struct tm_json *row = tm_json_push(items, view_point(&lines[i].row, &lines[i].mark));
            tm_json_add_int(row, "topics_count", lines[i].topics);
            tm_json_add_int(row, "partitions_count", lines[i].partitions);
            tm_json_add_int(row, "messages_count", lines[i].messages);
            tm_json_add_int(row, "source_bytes", lines[i].source_bytes);
        }
        status = cli_print_json(&args->output, json, print_points);
    } else {
        status = cli_fail(&err);
    }
    tm_arena_done(&arena);
    return status;
}

static const char *part_status(enum tm_part_status status)
{
    return status == TM_PART_WHOLE ? "whole" : status == TM_PART_FAILED ? "failed" : "not-reached";
}

static enum tm_code add_gaps(struct cli_direct *direct, const struct tm_row_part *part,
        int64_t start, int64_t end, struct tm_json *list, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_row_gap *gaps = NULL;
    size_t count = 0;
    enum tm_code code = tm_catalog_gaps(
            direct->catalog, part->stream, part->partition, start, end, &arena, &gaps, &count, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        int64_t gap_end = gaps[i].from + gaps[i].length;
        if (gaps[i].reason != TM_GAP_NO_RECORDS) {
            struct tm_json *row = tm_json_push(list, tm_json_object());
            tm_json_add_int(row, "start_offset", gaps[i].from > start ? gaps[i].from : start);
            tm_json_add_int(row, "end_offset", gap_end < end ? gap_end : end);
            tm_json_add_str(row, "reason", tm_gap_reason_name(gaps[i].reason));
        }
    }
    tm_arena_done(&arena);
    return code;
}

static enum tm_code view_gaps(struct cli_direct *direct, const struct tm_row_part *part,
        struct tm_json *row, struct tm_err *err)
{
    struct tm_json *gaps = tm_json_add(row, "gaps", tm_json_array());
    TM_TRY(add_gaps(direct, part, part->start, part->end, gaps, err));
    struct tm_json *before = tm_json_add(row, "gaps_before", tm_json_array());
    return part->start > 0 ? add_gaps(direct, part, 0, part->start, before, err) : TM_OK;
}

static enum tm_code view_parts(struct cli_direct *direct, const struct tm_point *point,
        uint32_t stream, struct tm_json *parts, struct tm_err *err)
{
    for (size_t i = 0; i < point->row.part_count; i++) {
        const struct tm_row_part *part = &point->row.parts[i];
        struct tm_part_totals totals;
        if (part->stream != stream) {
            continue;
        }
        TM_TRY(tm_catalog_part_totals(
                direct->catalog, stream, part->partition, part->start, part->end, &totals, err));
        struct tm_json *row = tm_json_push(parts, tm_json_object());
        tm_json_add_int(row, "partition", part->partition);
        tm_json_add_int(row, "start_offset", part->start);
        tm_json_add_int(row, "end_offset", part->end);
        tm_json_add_str(row, "status", part_status(part->status));
        tm_json_add_int(row, "messages_count", totals.messages);
        tm_json_add_int(row, "source_bytes", totals.bytes);
        tm_json_add_int(row, "holes_count", totals.holes);
        tm_json_add_int(row, "lost_offsets", totals.lost);
        if (totals.ts_min <= totals.ts_max) {
            tm_json_add_time(row, "earliest_record_at", totals.ts_min);
            tm_json_add_time(row, "latest_record_at", totals.ts_max);
        }
        TM_TRY(view_gaps(direct, part, row, err));
    }
    return TM_OK;
}

static enum tm_code view_whole(struct cli_direct *direct, const struct tm_point *point,
        struct tm_json *json, struct tm_err *err)
{
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    for (size_t i = 0; i < point->stream_count; i++) {
        const struct tm_stream *stream = &point->streams[i];
        struct tm_json *topic = tm_json_push(topics, tm_json_object());
        tm_json_add_slice(topic, "name", stream->topic);
        tm_json_add_int(topic, "incarnation", stream->incarnation);
        struct tm_json *parts = tm_json_add(topic, "partitions", tm_json_array());
        TM_TRY(view_parts(direct, point, stream->id, parts, err));
    }
    return TM_OK;
}

static int show_directly(const struct cli_args *args)
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    struct tm_arena arena = {0};
    struct tm_point point = {0};
    struct tm_err err = {0};
    int status = cli_direct_open(&args->direct, true, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *json = NULL;
    enum tm_code code = cli_direct_point(args, args->operands[0], &direct, &arena, &point, &err);
    if (code == TM_OK) {
        json = view_point(&point.row, &point.mark);
        code = view_whole(&direct, &point, json, &err);
    }
    status = code == TM_OK ? cli_print_json(&args->output, json, print_point) : cli_fail(&err);
    tm_arena_done(&arena);
    return status;
}

/* Commands ----------------------------------------------------------------------------------- */

static int run_points_list(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true,
            .direct = true,
            .options = "policy cluster topic state since until limit all"};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if (args.direct.vault != NULL) {
        const char *wrong = cli_direct_misuse(&args.direct);
        return wrong != NULL ? cli_misuse(command, "%s", wrong) : list_directly(&args);
    }
    static const char *const names[] = {"policy", "cluster", "topic", "state", "since", "until"};
    struct cli_query query[COUNT(names)];
    for (size_t i = 0; i < COUNT(names); i++) {
        query[i] = (struct cli_query){names[i], cli_arg(&args, names[i])};
    }
    return cli_ask_list(&args, "/v1/recovery-points", query, COUNT(names), print_points);
}

const struct cli_command cli_points_list = {
        .words = "points list",
        .operands = "[--policy P] [--cluster C] [--topic T] [--state S] [--since T] [--until T]\n"
                    "           [--limit N | --all]",
        .does = "recovery points, newest first",
        .help = "List recovery points of a daemon, or, with --vault, straight of a vault: 50 "
                "unless\n"
                "--limit or --all says otherwise. --topic takes a name, a glob or a /regular "
                "expression/.\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark points list --policy payments --since -7d\n"
                "  tidemark points list --vault /srv/tidemark --key-file vault.key\n",
        .run = run_points_list,
};

static int run_points_show(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .direct = true, .options = "policy", .least = 1, .most = 1};
    struct cli_args args = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if (args.direct.vault != NULL) {
        const char *wrong = cli_direct_misuse(&args.direct);
        return wrong != NULL ? cli_misuse(command, "%s", wrong) : show_directly(&args);
    }
    const struct cli_query query[] = {{"policy", cli_arg(&args, "policy")}};
    struct cli_request request = {.method = "GET",
            .path = cli_path("recovery-points", args.operands[0], NULL, &path),
            .query = query,
            .query_count = COUNT(query)};
    return cli_ask_and_print(&args, &request, print_point);
}

const struct cli_command cli_points_show = {
        .words = "points show",
        .operands = "(POINT | latest --policy P)",
        .does = "one recovery point: topics, partitions, offsets",
        .help = "Show what a recovery point holds.\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark points show latest --policy payments\n"
                "  tidemark points show rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E -o json\n",
        .run = run_points_show,
};

static int patch(const struct cli_args *args, const struct tm_json *body)
{
    TM_BUF_OWN struct tm_buf path = {0};
    struct cli_request request = {.method = "PATCH",
            .path = cli_path("recovery-points", args->operands[0], NULL, &path),
            .body = body,
            .if_match = true};
    return cli_ask_and_print(args, &request, NULL);
}

static int run_points_hold(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {
            .client = true, .options = "until reason", .least = 1, .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    struct tm_json *hold = tm_json_add(body, "hold", tm_json_object());
    tm_json_add_str(hold, "until", cli_arg(&args, "until"));
    const char *reason = cli_arg(&args, "reason");
    tm_json_add_str(hold, "reason", reason != NULL ? reason : "");
    return patch(&args, body);
}

const struct cli_command cli_points_hold = {
        .words = "points hold",
        .operands = "POINT [--until T] [--reason R]",
        .does = "keep a recovery point from retention and deletion",
        .help = "Hold the point until a time, or until tidemark points unhold.\n"
                "\n" CLI_CLIENT_HELP "\n"
                "examples:\n"
                "  tidemark points hold rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E --reason 'case 4711'\n"
                "  tidemark points hold rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E --until "
                "2027-01-01T00:00:00Z\n",
        .run = run_points_hold,
};

static int run_points_unhold(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true, .options = "", .least = 1, .most = 1};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    tm_json_add_null(body, "hold");
    return patch(&args, body);
}

const struct cli_command cli_points_unhold = {
        .words = "points unhold",
        .operands = "POINT",
        .does = "end a hold: retention may remove the point again",
        .help = "Take the hold off a recovery point.\n"
                "\n" CLI_CLIENT_HELP "\n"
                "examples:\n"
                "  tidemark points unhold rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark points unhold rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E --curl\n",
        .run = run_points_unhold,
};

static int run_points_note(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true, .options = "tag", .least = 2, .most = 2};
    struct cli_args args = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    TM_OWN(tm_json_free) struct tm_json *body = tm_json_object();
    if (args.operands[1][0] != '\0') {
        tm_json_add_str(body, "note", args.operands[1]);
    } else {
        tm_json_add_null(body, "note");
    }
    cli_add_all(body, "tags", &args, "tag");
    return patch(&args, body);
}

const struct cli_command cli_points_note = {
        .words = "points note",
        .operands = "POINT TEXT [--tag T]...",
        .does = "write a note on a recovery point",
        .help = "Replace the point's note; \"\" removes it. Tags, where any are given, replace "
                "those it\n"
                "has.\n"
                "\n" CLI_CLIENT_HELP "\n"
                "examples:\n"
                "  tidemark points note rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E 'before the 4.2 rollout'\n"
                "  tidemark points note rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E '' --tag release-4.2\n",
        .run = run_points_note,
};

static int run_points_delete(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_about about = {
            .method = "DELETE", .collection = "recovery-points", .job = true};
    return cli_run_about(command, &about, argc, argv);
}

const struct cli_command cli_points_delete = {
        .words = "points delete",
        .operands = "POINT [--no-wait]",
        .does = "remove a recovery point",
        .help = "Remove the point: its name, and what it alone kept. Space is freed by the next "
                "run of\n"
                "retention. A held point is refused (exit status 8).\n"
                "\n" CLI_CLIENT_HELP "\n"
                "examples:\n"
                "  tidemark points delete rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E\n"
                "  tidemark points delete rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E --no-wait\n",
        .run = run_points_delete,
};
