/* SPDX-License-Identifier: Apache-2.0 */
/* A few records of a recovery point: of a daemon's vault, or of one opened by the command itself. */
#include <stdio.h>
#include <string.h>

#include "asks.h"
#include "base/text.h"
#include "direct_point.h"
#include "job/peek.h"

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

enum { LIMIT = 10 };

struct target { /* POINT, or POINT/TOPIC/PARTITION[@OFFSET] with the options in it */
    char *point;
    const char *topic;
    const char *partition;
    const char *offset;
    const char *limit;
};

static void print_records(const struct tm_json_value *whole)
{
    static const struct cli_column columns[] = {
            {"offset", "offset", CLI_CELL_TEXT},
            {"timestamp", "timestamp_ms", CLI_CELL_TEXT},
            {"set by", "timestamp_type", CLI_CELL_TEXT},
            {"key", "key", CLI_CELL_TEXT},
            {"key (base64)", "key_base64", CLI_CELL_TEXT},
            {"value", "value", CLI_CELL_TEXT},
            {"value (base64)", "value_base64", CLI_CELL_TEXT},
            {"bytes of the key", "truncated.key_bytes", CLI_CELL_TEXT},
            {"bytes of the value", "truncated.value_bytes", CLI_CELL_TEXT},
            {"number of headers", "truncated.headers_count", CLI_CELL_TEXT},
    };
    static const struct cli_column header[] = {
            {"HEADER", "name", CLI_CELL_TEXT},
            {"(BASE64)", "name_base64", CLI_CELL_TEXT},
            {"VALUE", "value", CLI_CELL_TEXT},
            {"(BASE64)", "value_base64", CLI_CELL_TEXT},
    };
    const struct tm_json_value *items = tm_json_get(whole, "items");
    for (const struct tm_json_value *at = items != NULL ? items->first : NULL; at != NULL;
            at = at->next) {
        cli_print_sheet(at, columns, COUNT(columns));
        cli_print_rows(tm_json_get(at, "headers"), header, COUNT(header));
        (void)puts("");
    }
    static const struct cli_column next[] = {{"next offset", "next_offset", CLI_CELL_TEXT}};
    cli_print_sheet(whole, next, COUNT(next));
}

/* Split the operand; what it holds goes before the options. Topic names have no "/". */
static bool read_target(const struct cli_args *args, struct target *out)
{
    char *rest = args->operands[0];
    *out = (struct target){.point = rest,
            .topic = cli_arg(args, "topic"),
            .partition = cli_arg(args, "partition"),
            .offset = cli_arg(args, "offset"),
            .limit = cli_arg(args, "limit")};
    rest = strchr(rest, '/');
    if (rest != NULL) {
        char *partition = strchr(rest + 1, '/');
        char *offset = partition != NULL ? strchr(partition, '@') : NULL;
        if (partition == NULL) {
            return false;
        }
        *rest = '\0';
        *partition = '\0';
        out->topic = rest + 1;
        out->partition = partition + 1;
        if (offset != NULL) {
            *offset = '\0';
            out->offset = offset + 1;
        }
    }
    return out->topic != NULL && out->partition != NULL;
}

static enum tm_code read_number(
        const char *name, const char *text, int64_t most, int64_t *out, struct tm_err *err)
{
    return text == NULL || (tm_parse_i64(text, out, err) == TM_OK && *out >= 0 && *out <= most)
                   ? TM_OK
                   : tm_err_set(err, TM_E_USAGE, "%s: \"%.40s\" is not a number that goes there",
                             name, text);
}

static enum tm_code peek(const struct cli_args *args, const struct target *target,
        struct cli_direct *direct, struct tm_buf *out, struct tm_err *err)
{
    int64_t partition = 0;
    struct tm_arena arena = {0};
    struct tm_point point = {0};
    struct tm_peek_options options = {.vault = direct->vault,
            .catalog = direct->catalog,
            .topic = target->topic,
            .offset = -1,
            .limit = LIMIT};
    TM_TRY(read_number("partition", target->partition, INT32_MAX, &partition, err));
    TM_TRY(read_number("offset", target->offset, INT64_MAX, &options.offset, err));
    TM_TRY(read_number("limit", target->limit, TM_PEEK_RECORDS_MAX, &options.limit, err));
    options.partition = (int32_t)partition;
    enum tm_code code = cli_direct_point(args, target->point, direct, &arena, &point, err);
    options.point = point.row.ulid;
    tm_arena_done(&arena);
    return code == TM_OK ? tm_peek(&options, out, err) : code;
}

static int print_text(const struct cli_args *args, const struct tm_buf *text)
{
    struct tm_arena arena = {0};
    const struct tm_json_value *whole = NULL;
    struct tm_err err = {0};
    int status = CLI_DONE;
    if (args->output.json) {
        (void)puts(tm_buf_text(text));
    } else if (tm_json_read(tm_buf_slice(text), &arena, &whole, NULL, &err) == TM_OK) {
        print_records(whole);
    } else {
        status = cli_fail(&err);
    }
    tm_arena_done(&arena);
    return status;
}

static int peek_directly(const struct cli_args *args, const struct target *target)
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    TM_BUF_OWN struct tm_buf text = {0};
    struct tm_err err = {0};
    int status = cli_direct_open(&args->direct, true, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    return peek(args, target, &direct, &text, &err) == TM_OK ? print_text(args, &text)
                                                             : cli_fail(&err);
}

static int run_peek(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_takes takes = {.client = true,
            .direct = true,
            .options = "policy topic partition offset limit",
            .least = 1,
            .most = 1};
    struct cli_args args = {0};
    struct target target;
    TM_BUF_OWN struct tm_buf path = {0};
    int status;
    if (!cli_args_read(command, &takes, argc, argv, &args, &status)) {
        return status;
    }
    if (!read_target(&args, &target)) {
        return cli_misuse(command, "which topic and partition?");
    }
    if (args.direct.vault != NULL) {
        const char *wrong = cli_direct_misuse(&args.direct);
        return wrong != NULL ? cli_misuse(command, "%s", wrong) : peek_directly(&args, &target);
    }
    const struct cli_query query[] = {{"policy", cli_arg(&args, "policy")}, {"topic", target.topic},
            {"partition", target.partition}, {"offset", target.offset}, {"limit", target.limit}};
    struct cli_request request = {.method = "GET",
            .path = cli_path("recovery-points", target.point, "messages", &path),
            .query = query,
            .query_count = COUNT(query)};
    return cli_ask_and_print(&args, &request, print_records);
}

const struct cli_command cli_peek = {
        .words = "peek",
        .operands = "(POINT | latest --policy P) --topic T --partition N [--offset O] [--limit N]\n"
                    "       tidemark peek POINT/TOPIC/PARTITION[@OFFSET] [--limit N]",
        .does = "look at records of a recovery point",
        .help = "Show up to 100 records (10 unless --limit says otherwise), from the first at or "
                "above the offset.\n"
                "What is longer than 64 KiB is cut, and its length is told. A daemon asks for the "
                "scope restore.\n"
                "\n" CLI_CLIENT_HELP CLI_DIRECT_HELP CLI_OUTPUT_HELP "\n"
                "examples:\n"
                "  tidemark peek rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E/orders/3@1234 --limit 5\n"
                "  tidemark peek latest --policy payments --topic payments.eu --partition 0 -o "
                "json\n",
        .run = run_peek,
};
