/* SPDX-License-Identifier: Apache-2.0 */
#include "restore_into.h"

#include <string.h>

#include "base/text.h"

/* "0=3,1=2" as {"0":3,"1":2}. */
static bool add_map(struct tm_json *body, const char *text)
{
    struct tm_json *map = tm_json_add(body, "partitions", tm_json_object());
    while (*text != '\0') {
        TM_BUF_OWN struct tm_buf from = {0};
        TM_BUF_OWN struct tm_buf to = {0};
        struct tm_err ignored = {0};
        int64_t number = 0;
        size_t len = strcspn(text, "=,");
        size_t end = len + strcspn(text + len, ",");
        if (text[len] != '=') {
            return false;
        }
        tm_buf_add(&from, text, len);
        tm_buf_add(&to, text + len + 1, end - len - 1);
        if (tm_parse_i64(tm_buf_text(&to), &number, &ignored) != TM_OK) {
            return false;
        }
        tm_json_add_int(map, tm_buf_text(&from), number);
        text += end + (text[end] == ',' ? 1 : 0);
    }
    return true;
}

static bool add_number(struct tm_json *object, const char *key, const char *text)
{
    int64_t number = 0;
    struct tm_err ignored = {0};
    if (text == NULL) {
        return true;
    }
    if (tm_parse_i64(text, &number, &ignored) != TM_OK) {
        return false;
    }
    tm_json_add_int(object, key, number);
    return true;
}

bool cli_restore_has_into(const struct cli_args *args)
{
    return cli_arg(args, "into-partitions") != NULL || cli_arg(args, "partition-count") != NULL ||
           cli_arg(args, "confirm") != NULL || cli_arg(args, "write-rate") != NULL;
}

const char *cli_restore_add_into(struct tm_json *body, const struct cli_args *args)
{
    const char *partitions = cli_arg(args, "into-partitions");
    bool word = partitions != NULL &&
                (strcmp(partitions, "same") == 0 || strcmp(partitions, "hash") == 0);
    if (word) {
        tm_json_add_str(body, "partitions", partitions);
    } else if (partitions != NULL && !add_map(body, partitions)) {
        return "--into-partitions takes same, hash or pairs like 0=3,1=2";
    }
    if (!add_number(body, "partition_count", cli_arg(args, "partition-count"))) {
        return "--partition-count takes a number";
    }
    const char *topic = NULL;
    struct tm_json *confirm = NULL;
    for (size_t at = 0; (topic = cli_arg_next(args, "confirm", &at)) != NULL;) {
        confirm = confirm != NULL ? confirm : tm_json_add(body, "confirm", tm_json_array());
        tm_json_push_str(confirm, topic);
    }
    if (cli_arg(args, "write-rate") != NULL) {
        struct tm_json *limits = tm_json_add(body, "limits", tm_json_object());
        if (!add_number(limits, "write_bytes_per_second", cli_arg(args, "write-rate"))) {
            return "--write-rate takes bytes a second";
        }
    }
    return NULL;
}
