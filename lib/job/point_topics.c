/* SPDX-License-Identifier: Apache-2.0 */
#include "job/point_topics.h"

#include "policy/select.h"

enum tm_code tm_point_topics(struct tm_catalog *catalog, const struct tm_names *patterns,
        struct tm_arena *arena, struct tm_names *out, struct tm_err *err)
{
    const struct tm_select_options options = {
            .include = patterns->at, .include_count = patterns->count, .internal_topics = true};
    TM_OWN(tm_select_free) struct tm_select *select = NULL;
    struct tm_stream *streams = NULL;
    size_t count = 0;
    TM_TRY(tm_select_new(&options, &select, err));
    TM_TRY(tm_catalog_streams(catalog, arena, &streams, &count, err));
    const char **found = tm_arena_alloc(arena, count + 1, sizeof(*found));
    *out = (struct tm_names){found, 0};
    for (size_t i = 0; i < count; i++) {
        const char *topic = tm_arena_str(arena, streams[i].topic);
        if (tm_select_matches(select, topic)) {
            found[out->count++] = topic; /* once for each incarnation; that does no harm */
        }
    }
    return TM_OK;
}
