/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two configurations, option by option of the table. What the table does not place (keys, tokens,
 * names of other sections) is compared by hand, below.
 */
#include <stddef.h>
#include <string.h>

#include "options.h"
#include "tm_config.h"

/* What takes effect with a restart alone. Lists of sections are looked at one by one. */
static const char *const at_start[] = {"server.socket", "server.listen", "server.metrics_listen",
        "server.socket_group", "state.dir"};

static bool is_reloaded(const char *path, const struct tm_config *now, const struct tm_config *next)
{
    for (size_t i = 0; i < sizeof(at_start) / sizeof(at_start[0]); i++) {
        if (strcmp(at_start[i], path) == 0) {
            return false;
        }
    }
    /* Threads that work are not taken away. */
    return strcmp(path, "workers.max") != 0 || next->workers.max >= now->workers.max;
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

bool tm_config_same_vault(const struct tm_config_vault *a, const struct tm_config_vault *b)
{
    return same_section("vaults[]", a, b) && a->key_is_passphrase == b->key_is_passphrase &&
           tm_slice_eq(a->key, b->key) && a->compression_level == b->compression_level;
}

bool tm_config_same_cluster(const struct tm_config_cluster *a, const struct tm_config_cluster *b)
{
    return same_section("clusters[]", a, b) && memcmp(&a->files, &b->files, sizeof(a->files)) == 0;
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
            bool reload = is_reloaded(option->path, now, next);
            tell(told, arg, reload ? TM_CONFIG_CHANGED : TM_CONFIG_RESTART, option->path, NULL);
        }
    }
}

/* A list of sections, which all begin with their name. */
struct sections {
    const char *path;
    const void *at;
    size_t count;
    size_t size; /* of one */
    bool (*same)(const void *a, const void *b);
};

static const void *section_at(const struct sections *list, size_t i)
{
    return (const char *)list->at + i * list->size;
}

static const char *section_name(const void *section)
{
    return *(const char *const *)section;
}

static const void *find_section(const struct sections *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(section_name(section_at(list, i)), name) == 0) {
            return section_at(list, i);
        }
    }
    return NULL;
}

static void tell_sections(
        const struct sections *now, const struct sections *next, tm_config_told told, void *arg)
{
    for (size_t i = 0; i < next->count; i++) {
        const void *section = section_at(next, i);
        const void *before = find_section(now, section_name(section));
        if (before == NULL) {
            tell(told, arg, TM_CONFIG_ADDED, next->path, section_name(section));
        } else if (!next->same(before, section)) {
            tell(told, arg, TM_CONFIG_CHANGED, next->path, section_name(section));
        }
    }
    for (size_t i = 0; i < now->count; i++) {
        const char *name = section_name(section_at(now, i));
        if (find_section(next, name) == NULL) {
            tell(told, arg, TM_CONFIG_REMOVED, now->path, name);
        }
    }
}

static bool same_clusters(const void *a, const void *b)
{
    return tm_config_same_cluster(a, b);
}

static bool same_vaults(const void *a, const void *b)
{
    return tm_config_same_vault(a, b);
}

static bool same_policies(const void *a, const void *b)
{
    return same_policy(a, b);
}

static bool same_hooks(const void *a, const void *b)
{
    return tm_config_same_hook(a, b);
}

enum { LISTS = 4 };

/* In the order in which they are told. */
static void list_sections(const struct tm_config *config, struct sections out[LISTS])
{
    _Static_assert(offsetof(struct tm_config_cluster, name) == 0, "section_name()");
    _Static_assert(offsetof(struct tm_config_vault, name) == 0, "section_name()");
    _Static_assert(offsetof(struct tm_config_policy, name) == 0, "section_name()");
    _Static_assert(offsetof(struct tm_config_hook, name) == 0, "section_name()");
    out[0] = (struct sections){"clusters", config->clusters, config->cluster_count,
            sizeof(*config->clusters), same_clusters};
    out[1] = (struct sections){
            "vaults", config->vaults, config->vault_count, sizeof(*config->vaults), same_vaults};
    out[2] = (struct sections){"policies", config->policies, config->policy_count,
            sizeof(*config->policies), same_policies};
    out[3] = (struct sections){
            "hooks", config->hooks, config->hook_count, sizeof(*config->hooks), same_hooks};
}

bool tm_config_same_verify(const struct tm_config_verify *a, const struct tm_config_verify *b)
{
    return same_section("verify[]", a, b) && strcmp(a->vault->name, b->vault->name) == 0;
}

static bool same_verifies(const struct tm_config *now, const struct tm_config *next)
{
    bool same = now->verify_count == next->verify_count;
    for (size_t i = 0; same && i < now->verify_count; i++) {
        same = tm_config_same_verify(&now->verify[i], &next->verify[i]);
    }
    return same;
}

bool tm_config_same_hook(const struct tm_config_hook *a, const struct tm_config_hook *b)
{
    return same_section("hooks[]", a, b);
}

void tm_config_differ(
        const struct tm_config *now, const struct tm_config *next, tm_config_told told, void *arg)
{
    tell_options(now, next, "", told, arg);
    if (!same_clients(now, next)) {
        tell(told, arg, TM_CONFIG_CHANGED, "server.client_scopes", NULL);
    }
    if (!same_tokens(now, next)) {
        tell(told, arg, TM_CONFIG_CHANGED, "server.tokens_file", NULL);
    }
    struct sections before[LISTS];
    struct sections after[LISTS];
    list_sections(now, before);
    list_sections(next, after);
    for (size_t i = 0; i < LISTS; i++) {
        tell_sections(&before[i], &after[i], told, arg);
    }
    if (!same_verifies(now, next)) { /* they have no names */
        tell(told, arg, TM_CONFIG_CHANGED, "verify", NULL);
    }
}
