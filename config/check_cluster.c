/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loader.h"
#include "policy/shown.h"

static const char *const auth_names[] = {"rdkafka", "token_file", "msk_iam"};

static struct tm_place place_of(const struct tm_yaml *node, const char *key)
{
    const struct tm_yaml *given = tm_yaml_get(node, key);
    return given != NULL ? given->key_at : node->at;
}

/* Options that have a value and are for another way than the cluster's. */
static void check_strangers(struct tm_loader *loader, const struct tm_yaml *node, const char *path,
        enum tm_cluster_auth auth)
{
    static const struct {
        const char *key;
        enum tm_cluster_auth of;
    } keys[] = {
            {"token_file", TM_CLUSTER_TOKEN_FILE},
            {"region", TM_CLUSTER_MSK_IAM},
            {"access_key_id", TM_CLUSTER_MSK_IAM},
            {"secret_access_key", TM_CLUSTER_MSK_IAM},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct tm_yaml *given = tm_yaml_get(node, keys[i].key);
        if (keys[i].of != auth && !tm_value_is_empty(given)) {
            tm_findings_error(&loader->findings, given->key_at, path,
                    "\"%s\" is for auth: %s; this cluster has auth: %s", keys[i].key,
                    auth_names[keys[i].of], auth_names[auth]);
        }
    }
}

/* Is it a property that says who we are in another way than by tokens of our own? */
static bool says_who(const char *name)
{
    static const char *const names[] = {"sasl.mechanism", "sasl.mechanisms", "sasl.username",
            "sasl.password", "enable.sasl.oauthbearer.unsecure.jwt"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "sasl.oauthbearer.", strlen("sasl.oauthbearer.")) == 0;
}

static void check_properties(struct tm_loader *loader, const struct tm_yaml *node, const char *path,
        enum tm_cluster_auth auth)
{
    const struct tm_yaml *map = tm_yaml_get(node, "rdkafka");
    const struct tm_yaml *at = map != NULL && map->kind == TM_YAML_MAP ? map->first : NULL;
    char shown[TM_SHOWN_MAX];
    for (; at != NULL; at = at->next) {
        if (says_who(at->key)) {
            tm_findings_error(&loader->findings, at->key_at, path,
                    "\"%s\" does not go with auth: %s, which sets SASL OAUTHBEARER; take it out",
                    tm_shown(at->key, strlen(at->key), shown), auth_names[auth]);
        }
    }
}

void tm_check_cluster(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    const struct tm_config_cluster *cluster = &loader->config->clusters[index];
    const char *path = tm_arena_fmt(&loader->arena, "clusters[%zu]", index);
    if (node->kind != TM_YAML_MAP) {
        return;
    }
    check_strangers(loader, node, path, cluster->auth);
    if (cluster->auth == TM_CLUSTER_RDKAFKA) {
        return;
    }
    check_properties(loader, node, path, cluster->auth);
    if (cluster->auth == TM_CLUSTER_MSK_IAM) {
        tm_check_static(loader, node, path, cluster->is_static);
    } else if (tm_value_is_empty(tm_yaml_get(node, "token_file"))) {
        tm_findings_error(&loader->findings, place_of(node, "auth"), path,
                "\"token_file\" is required when auth is token_file");
    }
}
