/* SPDX-License-Identifier: Apache-2.0 */
#include "restore_groups.h"

#include <string.h>

static const char *const modes[] = {[TM_GROUPS_NONE] = "none",
        [TM_GROUPS_TRANSLATE] = "translate",
        [TM_GROUPS_REPORT] = "report"};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static enum tm_code read_mode(
        const struct cli_args *args, enum tm_groups_mode *out, struct tm_err *err)
{
    const char *given = cli_arg(args, "groups");
    bool named = cli_arg(args, "group") != NULL || cli_arg(args, "group-rename") != NULL;
    size_t at = 0;
    while (given != NULL && at < MODES && strcmp(given, modes[at]) != 0) {
        at++;
    }
    if (at == MODES) {
        return tm_err_set(err, TM_E_USAGE, "--groups takes none, translate or report");
    }
    if (named && at == TM_GROUPS_NONE) {
        return tm_err_set(err, TM_E_USAGE,
                "--group and --group-rename go with --groups translate or --groups report");
    }
    *out = (enum tm_groups_mode)at;
    return TM_OK;
}

static enum tm_code read_rename(
        const char *text, struct tm_arena *arena, struct tm_rename *out, struct tm_err *err)
{
    char *from = tm_arena_strdup(arena, text);
    char *equals = strchr(from, '=');
    if (equals == NULL || equals == from || equals[1] == '\0') {
        return tm_err_set(err, TM_E_USAGE, "--group-rename takes GROUP=NAME");
    }
    *equals = '\0';
    *out = (struct tm_rename){.from = from, .to = equals + 1};
    return TM_OK;
}

enum tm_code cli_groups_read(const struct cli_args *args, struct tm_arena *arena,
        struct tm_restore_groups *out, struct tm_err *err)
{
    const char *text = NULL;
    const char **patterns = tm_arena_alloc(arena, CLI_ARGS_MAX, sizeof(*patterns));
    struct tm_rename *renames = tm_arena_alloc(arena, CLI_ARGS_MAX, sizeof(*renames));
    *out = (struct tm_restore_groups){.patterns = patterns, .renames = renames};
    TM_TRY(read_mode(args, &out->mode, err));
    for (size_t at = 0; (text = cli_arg_next(args, "group", &at)) != NULL;) {
        patterns[out->pattern_count++] = tm_arena_strdup(arena, text);
    }
    for (size_t at = 0; (text = cli_arg_next(args, "group-rename", &at)) != NULL;) {
        TM_TRY(read_rename(text, arena, &renames[out->rename_count], err));
        out->rename_count++;
    }
    return TM_OK;
}

void cli_groups_add(const struct tm_restore_groups *groups, struct tm_json *body)
{
    if (groups->mode == TM_GROUPS_NONE) {
        return;
    }
    struct tm_json *object = tm_json_add(body, "consumer_groups", tm_json_object());
    tm_json_add_str(object, "mode", modes[groups->mode]);
    struct tm_json *list =
            groups->pattern_count > 0 ? tm_json_add(object, "groups", tm_json_array()) : NULL;
    for (size_t i = 0; i < groups->pattern_count; i++) {
        tm_json_push_str(list, groups->patterns[i]);
    }
    struct tm_json *renames =
            groups->rename_count > 0 ? tm_json_add(object, "rename", tm_json_object()) : NULL;
    for (size_t i = 0; i < groups->rename_count; i++) {
        tm_json_add_str(renames, groups->renames[i].from, groups->renames[i].to);
    }
}
