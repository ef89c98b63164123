/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two configurations, option by option of the table. What the table does not place (keys, tokens,
 * names of other sections) is compared by hand, below.
 */
#include <string.h>

#include "options.h"
#include "tm_config.h"

/* What takes effect without a restart. Lists of sections are looked at one by one. */
static const char *const reloaded[] = {"version", "server.tokens_file", "log.level", "jobs.keep",
        "jobs.max_running", "jobs.max_queued", "jobs.idempotency_ttl"};

static bool is_reloaded(const char *path)
{
    for (size_t i = 0; i < sizeof(reloaded) / sizeof(reloaded[0]); i++) {
        if (strcmp(reloaded[i], path) == 0) {
            return true;
        }
    }
    return false;
}

static bool same_texts(const struct tm_option *option, const void *a, const void *b)
{
    size_t count = 0;
    size_t others = 0;
    const char *const *texts = tm_option_array(option, a, &count);
    const char *const *other = tm_option_array(option, b, &others);
    bool same = count == others;
    for (size_t i = 0; same && i < count; i++) {
        same = strcmp(texts[i], other[i]) == 0;
    }
    return same;
}

static bool same_pairs(const struct tm_option *option, const void *a, const void *b)
{
    size_t count = 0;
    size_t others = 0;
    const struct tm_pair *pairs = tm_option_array(option, a, &count);
    const struct tm_pair *other = tm_option_array(option, b, &others);
    bool same = count == others;
    for (size_t i = 0; same && i < count; i++) {
        same = strcmp(pairs[i].name, other[i].name) == 0 &&
               strcmp(pairs[i].value, other[i].value) == 0;
    }
    return same;
}

/* Of an option that the table places; others are the same here. */
static bool same_option(const struct tm_option *option, const void *a, const void *b)
{
    if (option->size == 0) {
        return true;
    }
    switch (option->kind) {
    case TM_OPTION_TEXT:
    case TM_OPTION_NAME:
    case TM_OPTION_PATH:
    case TM_OPTION_ADDRESS:
    case TM_OPTION_SCHEDULE:
    case TM_OPTION_BOOTSTRAP:
    case TM_OPTION_SECRET_TEXT:
        return strcmp(tm_option_text(option, a), tm_option_text(option, b)) == 0;
    case TM_OPTION_WORD:
    case TM_OPTION_BOOL:
    case TM_OPTION_INT:
    case TM_OPTION_SIZE:
    case TM_OPTION_DURATION:
    case TM_OPTION_RATIO:
        return memcmp((const char *)a + option->offset, (const char *)b + option->offset,
                       option->size) == 0;
    case TM_OPTION_TEXTS:
        return same_texts(option, a, b);
    case TM_OPTION_PAIRS:
    case TM_OPTION_LABELS:
        return same_pairs(option, a, b);
    case TM_OPTION_MAP:
    case TM_OPTION_LIST:
    case TM_OPTION_KEY:
    case TM_OPTION_PASSPHRASE:
    case TM_OPTION_TOKENS:
    case TM_OPTION_CLIENT_SCOPES:
        break;
    }
    return true;
}

/* All options of a section and of the maps in it. */
static bool same_section(const char *scope, const void *a, const void *b)
{
    bool same = true;
    for (size_t i = 0; same && i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (tm_option_is_in(option, scope)) {
            same = option->kind == TM_OPTION_MAP ? same_section(option->path, a, b)
                                                 : same_option(option, a, b);
        }
    }
    return same;
}

static bool same_vault(const struct tm_config_vault *a, const struct tm_config_vault *b)
{
    return same_section("vaults[]", a, b) && a->key_is_passphrase == b->key_is_passphrase &&
           tm_slice_eq(a->key, b->key) && a->compression_level == b->compression_level;
}

bool tm_config_same_cluster(const struct tm_config_cluster *a, const struct tm_config_cluster *b)
{
    return same_section("clusters[]", a, b);
}

static const char *target_of(const struct tm_config_policy *policy)
{
    return policy->drill.target != NULL ? policy->drill.target->name : "";
}

static bool same_policy(const struct tm_config_policy *a, const struct tm_config_policy *b)
{
    return same_section("policies[]", a, b) && strcmp(a->cluster->name, b->cluster->name) == 0 &&
           strcmp(a->vault->name, b->vault->name) == 0 && strcmp(target_of(a), target_of(b)) == 0;
}

static bool same_clients(const struct tm_config *a, const struct tm_config *b)
{
    bool same = a->server.client_count == b->server.client_count;
    for (size_t i = 0; same && i < a->server.client_count; i++) {
        same = a->server.clients[i].scopes == b->server.clients[i].scopes &&
               strcmp(a->server.clients[i].identity, b->server.clients[i].identity) == 0;
    }
    return same;
}

static bool same_names(const struct tm_config_names *a, const struct tm_config_names *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(a->at[i], b->at[i]) == 0;
    }
    return same;
}

static bool same_tokens(const struct tm_config *a, const struct tm_config *b)
{
    bool same = a->server.token_count == b->server.token_count;
    for (size_t i = 0; same && i < a->server.token_count; i++) {
        const struct tm_config_token *one = &a->server.tokens[i];
        const struct tm_config_token *other = &b->server.tokens[i];
        same = strcmp(one->name, other->name) == 0 && one->scopes == other->scopes &&
               one->expires_ms == other->expires_ms &&
               same_names(&one->policies, &other->policies) &&
               same_names(&one->clusters, &other->clusters) &&
               same_names(&one->targets, &other->targets) &&
               memcmp(&one->sha256, &other->sha256, sizeof(one->sha256)) == 0;
    }
    return same;
}

/* Telling ------------------------------------------------------------------------------------- */

static void tell(tm_config_told told, void *arg, enum tm_config_change change, const char *path,
        const char *name)
{
    told(arg, &(struct tm_config_difference){change, path, name});
}

/* The options outside of the lists. */
static void tell_options(const struct tm_config *now, const struct tm_config *next,
        const char *scope, tm_config_told told, void *arg)
{
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (!tm_option_is_in(option, scope)) {
            continue;
        }
        if (option->kind == TM_OPTION_MAP) {
            tell_options(now, next, option->path, told, arg);
        } else if (!same_option(option, now, next)) {
            bool reload = is_reloaded(option->path);
            tell(told, arg, reload ? TM_CONFIG_CHANGED : TM_CONFIG_RESTART, option->path, NULL);
        }
    }
}

static void tell_policies(
        const struct tm_config *now, const struct tm_config *next, tm_config_told told, void *arg)
{
    for (size_t i = 0; i < next->policy_count; i++) {
        const struct tm_config_policy *policy = &next->policies[i];
        const struct tm_config_policy *before = tm_config_find_policy(now, policy->name);
        if (before == NULL) {
            tell(told, arg, TM_CONFIG_ADDED, "policies", policy->name);
        } else if (!same_policy(before, policy)) {
            tell(told, arg, TM_CONFIG_CHANGED, "policies", policy->name);
        }
    }
    for (size_t i = 0; i < now->policy_count; i++) {
        if (tm_config_find_policy(next, now->policies[i].name) == NULL) {
            tell(told, arg, TM_CONFIG_REMOVED, "policies", now->policies[i].name);
        }
    }
}

static void tell_clusters(
        const struct tm_config *now, const struct tm_config *next, tm_config_told told, void *arg)
{
    for (size_t i = 0; i < next->cluster_count; i++) {
        const struct tm_config_cluster *cluster = &next->clusters[i];
        const struct tm_config_cluster *before = tm_config_find_cluster(now, cluster->name);
        if (before == NULL) {
            tell(told, arg, TM_CONFIG_ADDED, "clusters", cluster->name);
        } else if (!tm_config_same_cluster(before, cluster)) {
            tell(told, arg, TM_CONFIG_RESTART, "clusters", cluster->name);
        }
    }
    for (size_t i = 0; i < now->cluster_count; i++) {
        if (tm_config_find_cluster(next, now->clusters[i].name) == NULL) {
            tell(told, arg, TM_CONFIG_REMOVED, "clusters", now->clusters[i].name);
        }
    }
}

/* The order counts: what is known of vaults lies in arrays. */
static bool same_vaults(const struct tm_config *now, const struct tm_config *next)
{
    bool same = now->vault_count == next->vault_count;
    for (size_t i = 0; same && i < now->vault_count; i++) {
        same = same_vault(&now->vaults[i], &next->vaults[i]);
    }
    return same;
}

static bool same_verify(const struct tm_config *now, const struct tm_config *next)
{
    bool same = now->verify_count == next->verify_count;
    for (size_t i = 0; same && i < now->verify_count; i++) {
        same = same_section("verify[]", &now->verify[i], &next->verify[i]) &&
               strcmp(now->verify[i].vault->name, next->verify[i].vault->name) == 0;
    }
    return same;
}

static const struct tm_config_hook *find_hook(const struct tm_config *config, const char *name)
{
    for (size_t i = 0; i < config->hook_count; i++) {
        if (strcmp(config->hooks[i].name, name) == 0) {
            return &config->hooks[i];
        }
    }
    return NULL;
}

bool tm_config_same_hook(const struct tm_config_hook *a, const struct tm_config_hook *b)
{
    return same_section("hooks[]", a, b);
}

static void tell_hooks(
        const struct tm_config *now, const struct tm_config *next, tm_config_told told, void *arg)
{
    for (size_t i = 0; i < next->hook_count; i++) {
        const struct tm_config_hook *hook = &next->hooks[i];
        const struct tm_config_hook *before = find_hook(now, hook->name);
        if (before == NULL) {
            tell(told, arg, TM_CONFIG_ADDED, "hooks", hook->name);
        } else if (!tm_config_same_hook(before, hook)) {
            tell(told, arg, TM_CONFIG_CHANGED, "hooks", hook->name);
        }
    }
    for (size_t i = 0; i < now->hook_count; i++) {
        if (find_hook(next, now->hooks[i].name) == NULL) {
            tell(told, arg, TM_CONFIG_REMOVED, "hooks", now->hooks[i].name);
        }
    }
}

void tm_config_differ(
        const struct tm_config *now, const struct tm_config *next, tm_config_told told, void *arg)
{
    tell_options(now, next, "", told, arg);
    if (!same_clients(now, next)) {
        tell(told, arg, TM_CONFIG_RESTART, "server.client_scopes", NULL);
    }
    if (!same_tokens(now, next)) {
        tell(told, arg, TM_CONFIG_CHANGED, "server.tokens_file", NULL);
    }
    tell_clusters(now, next, told, arg);
    if (!same_vaults(now, next)) {
        tell(told, arg, TM_CONFIG_RESTART, "vaults", NULL);
    }
    tell_policies(now, next, told, arg);
    if (!same_verify(now, next)) {
        tell(told, arg, TM_CONFIG_RESTART, "verify", NULL);
    }
    tell_hooks(now, next, told, arg);
}
