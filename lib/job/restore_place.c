/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/text.h"
#include "job/restore_run.h"
#include "kafka/removal.h"

enum { REMOVE_MS = 60 * 1000, LOOK_MS = 100, ID_TEXT = 33 };

enum tm_placing tm_restore_placing(const char *configs)
{
    struct tm_arena arena = {0};
    const struct tm_json_value *json = NULL;
    struct tm_json_pos pos;
    struct tm_err ignored = {0};
    enum tm_placing placing = TM_PLACING_NONE;
    if (configs != NULL &&
            tm_json_read(tm_slice_str(configs), &arena, &json, &pos, &ignored) == TM_OK) {
        bool object = json->kind == TM_JSON_OBJECT;
        placing = json->kind == TM_JSON_ARRAY                       ? TM_PLACING_TAKEN
                  : object && tm_json_get(json, "purge") != NULL    ? TM_PLACING_PURGE
                  : object && tm_json_get(json, "recreate") != NULL ? TM_PLACING_RECREATE
                                                                    : TM_PLACING_NONE;
    }
    tm_arena_done(&arena);
    return placing;
}

static enum tm_code put_row(struct restore_run *run, const struct restore_topic *topic,
        const char *word, const char *text, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, word, text);
    char *configs = tm_json_text(json);
    struct tm_restore_target target = {.topic = topic->line->target, .configs = configs};
    enum tm_code code = tm_journal_put_target(options->journal, &options->job, &target, err);
    free(configs);
    return code;
}

enum tm_code tm_restore_purge(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err)
{
    TM_TRY(put_row(run, topic, "purge", "begun", err));
    TM_FAULT("job.restore.purge-journalled");
    TM_TRY(tm_kafka_delete_records(run->options->kafka, topic->line->target,
            topic->line->target_partitions, tm_restore_request_ms(run->options), err));
    TM_FAULT("job.restore.purged");
    return TM_OK;
}

/* The id of the topic as it is now, in hex; "" where the cluster gives none. */
static enum tm_code id_of(struct restore_run *run, const char *topic, bool *there,
        char text[ID_TEXT], struct tm_err *err)
{
    struct tm_topic_list list = {0};
    const struct tm_restore_options *options = run->options;
    enum tm_code code = tm_kafka_topics(options->kafka, tm_restore_request_ms(options), &list, err);
    struct tm_topic_info *found = NULL;
    for (size_t i = 0; code == TM_OK && i < list.count; i++) {
        found = strcmp(list.at[i].name, topic) == 0 ? &list.at[i] : found;
    }
    *there = found != NULL;
    text[0] = '\0';
    if (found != NULL) {
        struct tm_topic_list one = {.at = found, .count = 1};
        code = tm_kafka_topic_ids(options->kafka, tm_restore_request_ms(options), &one, err);
        if (code == TM_OK && found->has_id) {
            tm_hex(found->id.bytes, sizeof(found->id.bytes), text);
        }
        tm_arena_done(&one.arena);
    }
    tm_topic_list_done(&list);
    return code;
}

/* The id that was to be deleted when this restore was interrupted; "" when none was. */
static enum tm_code begun_with(
        struct restore_run *run, const char *topic, char text[ID_TEXT], struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_restore_target *rows = NULL;
    size_t count = 0;
    text[0] = '\0';
    enum tm_code code = tm_journal_targets(
            run->options->journal, &run->options->job, &arena, &rows, &count, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        const struct tm_json_value *json = NULL;
        struct tm_json_pos pos;
        if (strcmp(rows[i].topic, topic) != 0 ||
                tm_restore_placing(rows[i].configs) != TM_PLACING_RECREATE) {
            continue;
        }
        code = tm_json_read(tm_slice_str(rows[i].configs), &arena, &json, &pos, err);
        const struct tm_json_value *id = code == TM_OK ? tm_json_get(json, "recreate") : NULL;
        if (id != NULL && id->kind == TM_JSON_STRING && strlen(id->string) < ID_TEXT) {
            memcpy(text, id->string, strlen(id->string) + 1);
        }
    }
    tm_arena_done(&arena);
    return code;
}

static enum tm_code wait_gone(struct restore_run *run, const char *topic, struct tm_err *err)
{
    int64_t give_up_ns = tm_mono_ns() + REMOVE_MS * INT64_C(1000000);
    for (;;) {
        char now[ID_TEXT];
        bool there = false;
        TM_TRY(id_of(run, topic, &there, now, err));
        if (!there) {
            return TM_OK;
        }
        if (tm_job_cancelled(run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
        if (tm_mono_ns() > give_up_ns) {
            return tm_err_set(err, TM_E_TIMEOUT, "it was deleted, but is still there");
        }
        tm_sleep_ms(LOOK_MS);
    }
}

enum tm_code tm_restore_delete(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err)
{
    const char *name = topic->line->target;
    char begun[ID_TEXT];
    char now[ID_TEXT];
    bool there = false;
    TM_TRY(begun_with(run, name, begun, err));
    TM_TRY(id_of(run, name, &there, now, err));
    if (there && begun[0] != '\0' && strcmp(begun, now) != 0) {
        return tm_err_set(err, TM_E_CONFLICT,
                "it was deleted for this restore, and something else has made it again since");
    }
    TM_TRY(put_row(run, topic, "recreate", now, err));
    TM_FAULT("job.restore.recreate-journalled");
    if (there) {
        TM_TRY(tm_kafka_delete_topic(
                run->options->kafka, name, tm_restore_request_ms(run->options), err));
        TM_FAULT("job.restore.deleted");
        TM_TRY(wait_gone(run, name, err));
    }
    return TM_OK;
}
