/* SPDX-License-Identifier: Apache-2.0 */
#include "restores_groups.h"

enum { PATTERN_MAX = 512 };

void tm_restores_read_groups(const struct tm_part *body, struct tm_restore_groups *out)
{
    static const struct tm_known known = {"mode groups rename", ""};
    static const struct tm_known modes = {"none translate report", ""};
    struct tm_part groups = tm_body_object(body, "consumer_groups", known);
    out->mode = (enum tm_groups_mode)tm_body_choice(&groups, "mode", modes);
    out->patterns = tm_body_strings(&groups, "groups", PATTERN_MAX, &out->pattern_count);
    out->renames = tm_body_pairs(&groups, "rename", &out->rename_count);
    bool named = tm_body_has(&groups, "groups") || tm_body_has(&groups, "rename");
    if (named && out->mode == TM_GROUPS_NONE) {
        tm_body_wrong(
                &groups, "mode", "must be \"translate\" or \"report\" where groups are named");
    }
}
