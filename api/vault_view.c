/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

/* To four digits. */
static double ratio(int64_t whole, int64_t part)
{
    return (double)(int64_t)((double)whole / (double)part * 10000) / 10000;
}

static void add_space(struct tm_json *json, const struct tm_vault_view *vault)
{
    tm_json_add_int(json, "recovery_points_count", vault->points);
    tm_json_add_int(json, "packs_count", vault->packs);
    tm_json_add_int(json, "stored_bytes", vault->stored_bytes);
    tm_json_add_int(json, "source_bytes", vault->source_bytes);
    if (vault->stored_bytes > 0) {
        tm_json_add_real(json, "reduction_ratio", ratio(vault->source_bytes, vault->stored_bytes));
    }
    if (vault->findings >= 0) {
        tm_json_add_int(json, "findings_count", vault->findings);
    }
    tm_view_add_time(json, "scrubbed_at", vault->scrubbed_ms);
}

struct tm_json *tm_view_vault(const struct tm_vault_view *vault)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", vault->name);
    tm_json_add_str(json, "type", vault->type);
    tm_json_add_str(json, "where", vault->where);
    if (vault->read_only) {
        tm_json_add_bool(json, "read_only", true);
    }
    if (vault->opened) {
        tm_json_add_bool(json, "up", vault->up);
        tm_view_add_time(json, "probed_at", vault->probed_ms);
        tm_json_add_str(json, "detail", vault->why);
    }
    tm_json_add_str(json, "vault_id", vault->vault_id);
    if (vault->key != NULL) {
        tm_json_add_str(json, "key_fingerprint", vault->key);
        tm_json_add_str(json, "key_ring", vault->write_only ? "writer" : "full");
    }
    tm_json_add_str(json, "head", vault->head);
    if (vault->read) {
        add_space(json, vault);
    }
    if (vault->capacity_bytes > 0) {
        tm_json_add_int(json, "capacity_bytes", vault->capacity_bytes);
        tm_json_add_int(json, "free_bytes", vault->free_bytes);
    }
    return json;
}
