/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loader.h"
#include "policy/shown.h"

enum { CLIENTS_MAX = 1000 };

/* One word of a list, or the only one. False when it is no scope, which has been reported. */
static bool add_scope(struct tm_spot *spot, struct tm_yaml *node, unsigned *bits)
{
    struct tm_spot word = *spot;
    word.node = node;
    const char *text = node->kind == TM_YAML_TEXT ? tm_value_text(&word) : NULL;
    unsigned bit = text != NULL ? tm_scope_bit(text) : 0;
    if (bit == 0) {
        tm_value_refuse(&word, "must be read, operate, restore or admin, or a list of these");
        return false;
    }
    *bits |= bit;
    return true;
}

static bool read_client(
        struct tm_spot *map, struct tm_yaml *node, struct tm_config_client_scopes *out)
{
    char shown[TM_SHOWN_MAX];
    struct tm_spot spot = *map;
    bool good = node->kind != TM_YAML_BAD;
    spot.node = node;
    spot.path = tm_arena_fmt(
            &map->loader->arena, "%s.%s", map->path, tm_shown(node->key, strlen(node->key), shown));
    *out = (struct tm_config_client_scopes){
            .identity = tm_arena_strdup(&map->loader->config->arena, node->key)};
    if (node->kind != TM_YAML_LIST) {
        return good && add_scope(&spot, node, &out->scopes);
    }
    for (struct tm_yaml *word = node->first; word != NULL; word = word->next) {
        good = add_scope(&spot, word, &out->scopes) && good;
    }
    return good;
}

void tm_client_scopes_read(struct tm_spot *spot)
{
    struct tm_yaml *map = spot->node;
    struct tm_config *config = spot->loader->config;
    if (map->kind == TM_YAML_BAD) {
        return;
    }
    if (map->kind != TM_YAML_MAP || map->count > CLIENTS_MAX) {
        tm_value_refuse(spot,
                "must be a map of at most %d names of client certificates to scopes, not %s",
                CLIENTS_MAX, tm_yaml_kind_name(map));
        return;
    }
    config->server.clients =
            tm_arena_alloc(&config->arena, map->count + 1, sizeof(*config->server.clients));
    for (struct tm_yaml *node = map->first; node != NULL; node = node->next) {
        struct tm_config_client_scopes *client =
                &config->server.clients[config->server.client_count];
        config->server.client_count += read_client(spot, node, client) ? 1 : 0;
    }
}
