/* SPDX-License-Identifier: Apache-2.0 */
#include "direct_point.h"

#include <string.h>

#include "base/ulid.h"

enum tm_code cli_direct_point(const struct cli_args *args, const char *given,
        struct cli_direct *direct, struct tm_arena *arena, struct tm_point *out, struct tm_err *err)
{
    struct tm_id16 ulid;
    if (strcmp(given, "latest") == 0) {
        const char *policy = cli_arg(args, "policy");
        struct tm_point_query query = {.policies = tm_names_one(&policy),
                .since_ms = INT64_MIN,
                .until_ms = INT64_MAX,
                .limit = 1};
        struct tm_point_line *lines = NULL;
        size_t count = 0;
        TM_TRY(tm_catalog_points(direct->catalog, &query, arena, &lines, &count, err));
        if (count == 0) {
            return tm_err_set(err, TM_E_MISSING, "there is no such recovery point");
        }
        ulid = lines[0].row.ulid;
    } else if (!tm_ulid_parse(given, "rp_", &ulid)) {
        return tm_err_set(err, TM_E_USAGE, "\"%.64s\" is not the id of a recovery point", given);
    }
    TM_TRY(tm_catalog_point(direct->catalog, &ulid, arena, out, err));
    return out->row.id != 0
                   ? TM_OK
                   : tm_err_set(err, TM_E_MISSING, "recovery point %.64s does not exist", given);
}

static size_t collect(const struct cli_args *args, const char *name, const char **out)
{
    size_t count = 0;
    for (size_t at = 0; (out[count] = cli_arg_next(args, name, &at)) != NULL;) {
        count++;
    }
    return count;
}

enum tm_code cli_direct_topics(
        const struct cli_args *args, struct tm_select **out, struct tm_err *err)
{
    static const char *const everything[] = {"*"};
    const char *include[CLI_ARGS_MAX + 1];
    const char *exclude[CLI_ARGS_MAX + 1];
    struct tm_select_options options = {.include = include,
            .include_count = collect(args, "topic", include),
            .exclude = exclude,
            .exclude_count = collect(args, "exclude", exclude),
            .internal_topics = true};
    if (options.include_count + options.exclude_count == 0) {
        *out = NULL;
        return TM_OK;
    }
    if (options.include_count == 0) {
        options.include = everything;
        options.include_count = 1;
    }
    return tm_select_new(&options, out, err);
}
