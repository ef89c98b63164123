/* SPDX-License-Identifier: Apache-2.0 */
#include "offset_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

struct asking {
    struct tm_arena arena;
    struct tm_map_query query; /* its topic lies in `arena` */
    bool csv;
    bool found;
    struct tm_map_row *rows;
    size_t count;
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static void work(struct tmd_keep *keep, void *arg)
{
    struct asking *asking = arg;
    struct tm_job_row job = {0};
    enum tm_code code = tm_journal_get_job(
            keep->journal, &asking->query.job, &asking->arena, &job, &asking->found, &asking->err);
    asking->found = asking->found && job.kind == TM_JOB_RESTORE;
    if (code == TM_OK && asking->found) {
        TM_LATER(tm_journal_map(keep->journal, &asking->query, &asking->arena, &asking->rows,
                &asking->count, &asking->err));
    }
}

/* Topic names have no character that CSV would quote. */
static char *as_csv(const struct asking *asking)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, "topic,partition,first_offset,last_offset,target,target_partition,"
                           "target_first_offset,target_last_offset,messages_count\r\n");
    for (size_t i = 0; i < asking->count; i++) {
        const struct tm_map_row *row = &asking->rows[i];
        tm_buf_add_fmt(&text,
                "%s,%" PRId32 ",%" PRId64 ",%" PRId64 ",%s,%" PRId32 ",%" PRId64 ",%" PRId64
                ",%" PRId64 "\r\n",
                row->topic, row->source_partition, row->source_first, row->source_last, row->target,
                row->target_partition, row->target_first, row->target_last, row->records);
    }
    char *copy = strdup(tm_buf_text(&text));
    tm_assert(copy != NULL);
    return copy;
}

static char *as_json(const struct asking *asking)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    struct tm_json *items = tm_json_add(json, "items", tm_json_array());
    for (size_t i = 0; i < asking->count; i++) {
        const struct tm_map_row *row = &asking->rows[i];
        struct tm_json *item = tm_json_push(items, tm_json_object());
        tm_json_add_str(item, "topic", row->topic);
        tm_json_add_int(item, "partition", row->source_partition);
        tm_json_add_int(item, "first_offset", row->source_first);
        tm_json_add_int(item, "last_offset", row->source_last);
        tm_json_add_str(item, "target", row->target);
        tm_json_add_int(item, "target_partition", row->target_partition);
        tm_json_add_int(item, "target_first_offset", row->target_first);
        tm_json_add_int(item, "target_last_offset", row->target_last);
        tm_json_add_int(item, "messages_count", row->records);
    }
    if (asking->count == asking->query.limit) {
        char cursor[24];
        (void)snprintf(
                cursor, sizeof(cursor), "%" PRId64, asking->query.from + (int64_t)asking->count);
        tm_json_add_str(json, "next_cursor", cursor);
    }
    return tm_json_text(json);
}

static void told(void *arg)
{
    struct asking *asking = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (asking->err.code != TM_OK) {
        tmd_problem_of(&asking->err, &problem);
        asking->done(asking->arg, NULL, &problem);
    } else if (!asking->found) {
        tmd_unknown(&problem, "restore", tm_ulid_format(&asking->query.job, "rst_", name));
        asking->done(asking->arg, NULL, &problem);
    } else {
        char *text = asking->csv ? as_csv(asking) : as_json(asking);
        asking->done(asking->arg, text, NULL);
        free(text);
    }
    tm_arena_done(&asking->arena);
    free(asking);
}

void tmd_control_offset_map(
        void *self, const struct tm_map_query *query, bool csv, tm_done_json done, void *arg)
{
    struct asking *asking = tm_xalloc(1, sizeof(*asking));
    asking->query = *query;
    asking->query.topic = tm_arena_strdup(&asking->arena, query->topic);
    asking->csv = csv;
    asking->done = done;
    asking->arg = arg;
    tmd_keeper_ask(self, work, told, asking);
}
