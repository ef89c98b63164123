/* SPDX-License-Identifier: Apache-2.0 */
/* A drill as the journal keeps it. */
#include "base/json.h"
#include "drills.h"

char *tmd_drill_request_text(const struct tm_drill_request *request)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "policy", request->policy);
    tm_json_add_str(json, "point", request->point);
    tm_json_add_str(json, "target", request->target);
    tm_json_add_str(json, "prefix", request->prefix);
    tm_json_add_int(json, "max_bytes", request->max_bytes);
    tm_json_add_int(json, "cleanup", request->cleanup);
    tm_json_add_int(json, "allow_source", request->allow_source);
    return tm_json_text(json);
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

enum tm_code tmd_drill_request_read(
        const char *text, struct tm_arena *arena, struct tm_drill_request *out, struct tm_err *err)
{
    const struct tm_json_value *json = NULL;
    TM_TRY(tm_json_read(tm_slice_str(text), arena, &json, NULL, err));
    struct tm_drill_request request = {
            .policy = get_string(json, "policy"),
            .point = get_string(json, "point"),
            .target = get_string(json, "target"),
            .prefix = get_string(json, "prefix"),
            .max_bytes = get_int(json, "max_bytes"),
            .cleanup = (int)get_int(json, "cleanup"),
            .allow_source = (int)get_int(json, "allow_source"),
    };
    if (request.policy == NULL || request.point == NULL || request.target == NULL) {
        return tm_err_set(
                err, TM_E_CORRUPT, "the journal's drill names no policy, point or target");
    }
    *out = request;
    return TM_OK;
}

void tmd_drill_request_copy(
        const struct tm_drill_request *from, struct tm_arena *arena, struct tm_drill_request *to)
{
    *to = *from;
    to->policy = tm_arena_strdup(arena, from->policy);
    to->point = tm_arena_strdup(arena, from->point);
    to->target = tm_arena_strdup(arena, from->target);
    to->prefix = tm_arena_strdup(arena, from->prefix);
}
