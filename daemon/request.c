/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "request_choice.h"
#include "request_groups.h"
#include "request_into.h"
#include "tmd.h"

/* What the journal keeps is our own writing: read leniently, but an absent field is its default. */

static void add_strings(
        struct tm_json *object, const char *key, const char *const *at, size_t count)
{
    struct tm_json *array = tm_json_add(object, key, tm_json_array());
    for (size_t i = 0; i < count; i++) {
        tm_json_push_str(array, at[i]);
    }
}

static const char *get_string(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_STRING ? value->string : NULL;
}

static int64_t get_int(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_INT ? value->integer : 0;
}

static double get_real(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_REAL  ? value->real
           : value != NULL && value->kind == TM_JSON_INT ? (double)value->integer
                                                         : 0;
}

static bool get_bool(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    return value != NULL && value->kind == TM_JSON_BOOL && value->boolean;
}

static size_t get_strings(const struct tm_json_value *object, const char *key,
        struct tm_arena *arena, const char *const **out)
{
    const struct tm_json_value *array = tm_json_get(object, key);
    size_t most = array != NULL ? array->count : 0;
    const char **texts = tm_arena_alloc(arena, most + 1, sizeof(*texts));
    size_t count = 0;
    for (const struct tm_json_value *at = most > 0 ? array->first : NULL; at != NULL;
            at = at->next) {
        if (at->kind == TM_JSON_STRING) {
            texts[count++] = at->string;
        }
    }
    *out = texts;
    return count;
}

static enum tm_code read_object(const char *text, struct tm_arena *arena,
        const struct tm_json_value **out, struct tm_err *err)
{
    struct tm_json_pos pos;
    TM_TRY(tm_json_read(tm_slice_str(text), arena, out, &pos, err));
    return (*out)->kind == TM_JSON_OBJECT
                   ? TM_OK
                   : tm_err_set(err, TM_E_CORRUPT, "the journal's request is not an object");
}

char *tmd_backup_request_text(const struct tm_backup_request *request)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "policy", request->policy);
    add_strings(json, "topics", request->topics, request->topic_count);
    tm_json_add_str(json, "note", request->note);
    add_strings(json, "tags", request->tags, request->tag_count);
    tm_json_add_int(json, "hold_until_ms", request->hold_until_ms);
    tm_json_add_str(json, "hold_reason", request->hold_reason);
    tm_json_add_bool(json, "outside_window", request->outside_window);
    return tm_json_text(json);
}

enum tm_code tmd_backup_request_read(
        const char *text, struct tm_arena *arena, struct tm_backup_request *out, struct tm_err *err)
{
    const struct tm_json_value *json = NULL;
    TM_TRY(read_object(text, arena, &json, err));
    struct tm_backup_request request = {
            .policy = get_string(json, "policy"),
            .note = get_string(json, "note"),
            .hold_until_ms = get_int(json, "hold_until_ms"),
            .hold_reason = get_string(json, "hold_reason"),
            .outside_window = get_bool(json, "outside_window"),
    };
    request.topic_count = get_strings(json, "topics", arena, &request.topics);
    request.tag_count = get_strings(json, "tags", arena, &request.tags);
    if (request.policy == NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "the journal's backup names no policy");
    }
    *out = request;
    return TM_OK;
}

static void add_renames(struct tm_json *json, const struct tm_restore_request *request)
{
    struct tm_json *renames = tm_json_add(json, "rename", tm_json_array());
    for (size_t i = 0; i < request->rename_count; i++) {
        struct tm_json *pair = tm_json_push(renames, tm_json_object());
        tm_json_add_str(pair, "from", request->renames[i].from);
        tm_json_add_str(pair, "to", request->renames[i].to);
    }
}

char *tmd_restore_request_text(const struct tm_restore_request *request)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "point", request->point);
    tm_json_add_str(json, "policy", request->policy);
    add_strings(json, "include", request->include, request->include_count);
    add_strings(json, "exclude", request->exclude, request->exclude_count);
    tm_json_add_str(json, "target", request->target);
    add_renames(json, request);
    tm_json_add_str(json, "prefix", request->prefix);
    tm_json_add_str(json, "suffix", request->suffix);
    tm_json_add_int(json, "create_topics", request->create_topics);
    tm_json_add_int(json, "existing", request->existing);
    tm_json_add_int(json, "retention", request->retention);
    tm_json_add_int(json, "retention_hold_ms", request->retention_hold_ms);
    tm_json_add_bool(json, "original_configs", request->original_configs);
    tm_json_add_int(json, "replication_factor", request->replication_factor);
    tm_json_add_bool(json, "continue_on_gap", request->continue_on_gap);
    tmd_request_into_add(json, &request->into);
    tmd_choice_add(json, request);
    tmd_request_add_groups(json, &request->groups);
    return tm_json_text(json);
}

static void read_renames(const struct tm_json_value *json, struct tm_arena *arena,
        struct tm_restore_request *request)
{
    const struct tm_json_value *array = tm_json_get(json, "rename");
    size_t most = array != NULL ? array->count : 0;
    struct tm_rename *renames = tm_arena_alloc(arena, most + 1, sizeof(*renames));
    for (const struct tm_json_value *at = most > 0 ? array->first : NULL; at != NULL;
            at = at->next) {
        struct tm_rename pair = {get_string(at, "from"), get_string(at, "to")};
        if (pair.from != NULL && pair.to != NULL) {
            renames[request->rename_count++] = pair;
        }
    }
    request->renames = renames;
}

enum tm_code tmd_restore_request_read(const char *text, struct tm_arena *arena,
        struct tm_restore_request *out, struct tm_err *err)
{
    const struct tm_json_value *json = NULL;
    TM_TRY(read_object(text, arena, &json, err));
    struct tm_restore_request request = {
            .point = get_string(json, "point"),
            .policy = get_string(json, "policy"),
            .target = get_string(json, "target"),
            .prefix = get_string(json, "prefix"),
            .suffix = get_string(json, "suffix"),
            .create_topics = (enum tm_create_topics)get_int(json, "create_topics"),
            .existing = (enum tm_existing)get_int(json, "existing"),
            .retention = (enum tm_restore_retention)get_int(json, "retention"),
            .retention_hold_ms = get_int(json, "retention_hold_ms"),
            .original_configs = get_bool(json, "original_configs"),
            .replication_factor = (int32_t)get_int(json, "replication_factor"),
            .continue_on_gap = get_bool(json, "continue_on_gap"),
    };
    request.include_count = get_strings(json, "include", arena, &request.include);
    request.exclude_count = get_strings(json, "exclude", arena, &request.exclude);
    read_renames(json, arena, &request);
    tmd_request_into_read(json, arena, &request.into);
    TM_TRY(tmd_choice_read(json, arena, &request, err));
    tmd_request_read_groups(json, arena, &request.groups);
    if (request.point == NULL || request.target == NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "the journal's restore names no point or no target");
    }
    *out = request;
    return TM_OK;
}

static const char *const *copy_strings(
        const char *const *from, size_t count, struct tm_arena *arena)
{
    const char **to = tm_arena_alloc(arena, count + 1, sizeof(*to));
    for (size_t i = 0; i < count; i++) {
        to[i] = tm_arena_strdup(arena, from[i]);
    }
    return to;
}

void tmd_backup_request_copy(
        const struct tm_backup_request *from, struct tm_arena *arena, struct tm_backup_request *to)
{
    *to = *from;
    to->policy = tm_arena_strdup(arena, from->policy);
    to->topics = copy_strings(from->topics, from->topic_count, arena);
    to->note = tm_arena_strdup(arena, from->note);
    to->tags = copy_strings(from->tags, from->tag_count, arena);
    to->hold_reason = tm_arena_strdup(arena, from->hold_reason);
}

void tmd_restore_request_copy(const struct tm_restore_request *from, struct tm_arena *arena,
        struct tm_restore_request *to)
{
    *to = *from;
    to->point = tm_arena_strdup(arena, from->point);
    to->policy = tm_arena_strdup(arena, from->policy);
    to->include = copy_strings(from->include, from->include_count, arena);
    to->exclude = copy_strings(from->exclude, from->exclude_count, arena);
    to->target = tm_arena_strdup(arena, from->target);
    to->prefix = tm_arena_strdup(arena, from->prefix);
    to->suffix = tm_arena_strdup(arena, from->suffix);
    to->plan_digest = tm_arena_strdup(arena, from->plan_digest);
    tmd_request_into_copy(&from->into, arena, &to->into);
    struct tm_rename *renames = tm_arena_alloc(arena, from->rename_count + 1, sizeof(*renames));
    for (size_t i = 0; i < from->rename_count; i++) {
        renames[i].from = tm_arena_strdup(arena, from->renames[i].from);
        renames[i].to = tm_arena_strdup(arena, from->renames[i].to);
    }
    to->renames = renames;
    tmd_choice_copy(from, arena, to);
    tmd_request_copy_groups(&from->groups, arena, &to->groups);
}

/* Jobs of a vault ----------------------------------------------------------------------------- */

char *tmd_vault_request_text(const struct tm_vault_request *request)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "vault", request->vault);
    tm_json_add_str(json, "point", request->point);
    tm_json_add_int(json, "depth", request->depth);
    tm_json_add_real(json, "sample_ratio", request->sample_ratio);
    tm_json_add_bool(json, "repair", request->repair);
    tm_json_add_int(json, "budget_bytes", request->budget_bytes);
    add_strings(json, "policies", request->policies, request->policy_count);
    tm_json_add_bool(json, "merge", request->merge);
    tm_json_add_str(json, "plan_digest", request->plan_digest);
    return tm_json_text(json);
}

enum tm_code tmd_vault_request_read(
        const char *text, struct tm_arena *arena, struct tm_vault_request *out, struct tm_err *err)
{
    const struct tm_json_value *json = NULL;
    TM_TRY(read_object(text, arena, &json, err));
    struct tm_vault_request request = {
            .vault = get_string(json, "vault"),
            .point = get_string(json, "point"),
            .depth = (int)get_int(json, "depth"),
            .sample_ratio = get_real(json, "sample_ratio"),
            .repair = get_bool(json, "repair"),
            .budget_bytes = get_int(json, "budget_bytes"),
            .merge = get_bool(json, "merge"),
            .plan_digest = get_string(json, "plan_digest"),
    };
    request.policy_count = get_strings(json, "policies", arena, &request.policies);
    if (request.vault == NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "the journal's job names no vault");
    }
    *out = request;
    return TM_OK;
}

void tmd_vault_request_copy(
        const struct tm_vault_request *from, struct tm_arena *arena, struct tm_vault_request *to)
{
    *to = *from;
    to->vault = tm_arena_strdup(arena, from->vault);
    to->point = tm_arena_strdup(arena, from->point);
    to->policies = copy_strings(from->policies, from->policy_count, arena);
    to->plan_digest = tm_arena_strdup(arena, from->plan_digest);
}
