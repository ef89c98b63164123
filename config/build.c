/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "loader.h"
#include "policy/shown.h"

/* A section of the file and the struct that it fills. */
struct section {
    const char *scope; /* "policies[].limits", as the table has it */
    const char *path;  /* "policies[0].limits", as messages have it */
    void *base;
    struct tm_yaml *node;
};

/* The lists of sections: an array in the configuration is a pointer with its count behind it. */
static const struct {
    const char *path;
    size_t element;
} lists[] = {
        {"clusters", sizeof(struct tm_config_cluster)},
        {"vaults", sizeof(struct tm_config_vault)},
        {"policies", sizeof(struct tm_config_policy)},
        {"verify", sizeof(struct tm_config_verify)},
        {"hooks", sizeof(struct tm_config_hook)},
};

#define COUNT_IS_BEHIND(holder, array, count) \
    _Static_assert(offsetof(holder, count) == offsetof(holder, array) + sizeof(void *), #count)

COUNT_IS_BEHIND(struct tm_config, clusters, cluster_count);
COUNT_IS_BEHIND(struct tm_config, vaults, vault_count);
COUNT_IS_BEHIND(struct tm_config, policies, policy_count);
COUNT_IS_BEHIND(struct tm_config, verify, verify_count);
COUNT_IS_BEHIND(struct tm_config, hooks, hook_count);
COUNT_IS_BEHIND(struct tm_config_hook, events, event_count);
COUNT_IS_BEHIND(struct tm_config_hook, policies, policy_count);
COUNT_IS_BEHIND(struct tm_config_policy, include, include_count);
COUNT_IS_BEHIND(struct tm_config_policy, exclude, exclude_count);
COUNT_IS_BEHIND(struct tm_config, server.cors_origins, server.cors_origin_count);
COUNT_IS_BEHIND(struct tm_config_policy, labels, label_count);
COUNT_IS_BEHIND(struct tm_config_cluster, rdkafka, rdkafka_count);

#define SCHEDULE_IS_BEHIND(holder, text, schedule) \
    _Static_assert(offsetof(holder, schedule) == offsetof(holder, text) + sizeof(void *), #schedule)

SCHEDULE_IS_BEHIND(struct tm_config_policy, schedule_text, schedule);
SCHEDULE_IS_BEHIND(struct tm_config_drill, schedule_text, schedule);
SCHEDULE_IS_BEHIND(struct tm_config_vault, maintenance_text, maintenance);
SCHEDULE_IS_BEHIND(struct tm_config_verify, schedule_text, schedule);

static void build_section(struct tm_loader *loader, const struct section *section);
static void set_defaults(struct tm_loader *loader, const char *scope, void *base);

static const char *join(struct tm_loader *loader, const char *path, const char *key)
{
    return path[0] == '\0' ? key : tm_arena_fmt(&loader->arena, "%s.%s", path, key);
}

static size_t element_size(const char *path)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].path, path) == 0) {
            return lists[i].element;
        }
    }
    tm_assert(false); /* a LIST of options.def that has no struct in the table above */
    return 0;
}

static void build_list(struct tm_spot *spot)
{
    struct tm_loader *loader = spot->loader;
    struct tm_yaml *list = spot->node;
    size_t size = element_size(spot->option->path);
    if (list->kind == TM_YAML_BAD) {
        return;
    }
    if (list->kind != TM_YAML_LIST) {
        tm_value_refuse(spot, "must be a list, not %s", tm_yaml_kind_name(list));
        return;
    }
    char *elements = tm_arena_alloc(&loader->config->arena, list->count, size);
    char *to = (char *)spot->base + spot->option->offset;
    memcpy(to, &elements, sizeof(elements));
    memcpy(to + sizeof(elements), &list->count, sizeof(list->count));

    size_t index = 0;
    const char *scope = tm_arena_fmt(&loader->arena, "%s[]", spot->option->path);
    for (struct tm_yaml *node = list->first; node != NULL; node = node->next, index++) {
        struct section section = {
                .scope = scope,
                .path = tm_arena_fmt(&loader->arena, "%s[%zu]", spot->path, index),
                .base = elements + index * size,
                .node = node,
        };
        set_defaults(loader, scope, section.base);
        build_section(loader, &section);
    }
}

static void build_option(struct tm_spot *spot)
{
    if (spot->option->kind == TM_OPTION_LIST) {
        build_list(spot);
    } else if (spot->option->kind == TM_OPTION_MAP) {
        struct section section = {
                .scope = spot->option->path,
                .path = spot->path,
                .base = spot->base,
                .node = spot->node,
        };
        build_section(spot->loader, &section);
    } else {
        tm_value_read(spot);
    }
}

static void refuse_key(
        struct tm_loader *loader, const struct section *section, const struct tm_yaml *node)
{
    char shown[TM_SHOWN_MAX];
    (void)tm_shown(node->key, strlen(node->key), shown);
    const char *near = tm_option_nearest(section->scope, node->key);
    if (tm_option_is_later(section->scope, node->key)) {
        tm_findings_error(&loader->findings, node->key_at, section->path,
                "\"%s\" is not built yet in this version", shown);
    } else if (near != NULL) {
        tm_findings_error(&loader->findings, node->key_at, section->path,
                "unknown key \"%s\"; did you mean \"%s\"?", shown, near);
    } else {
        tm_findings_error(
                &loader->findings, node->key_at, section->path, "unknown key \"%s\"", shown);
    }
}

static void report_missing(
        struct tm_loader *loader, const struct section *section, const struct tm_option *option)
{
    const char *key = tm_option_key(option->path);
    if (strcmp(option->path, "vaults[].path") == 0) {
        const struct tm_yaml *type = tm_yaml_get(section->node, "type");
        if (type != NULL && type->value != NULL && strcmp(type->value, "disk") != 0) {
            return;
        }
        tm_findings_error(&loader->findings, section->node->at, section->path,
                "\"%s\" is required when type is disk", key);
    } else if (strcmp(option->path, "policies[].schedule") == 0) {
        tm_findings_error(&loader->findings, section->node->at, section->path,
                "\"%s\" is required; write \"\" to run by request only", key);
    } else {
        tm_findings_error(
                &loader->findings, section->node->at, section->path, "\"%s\" is required", key);
    }
}

/* All options of a struct, so that those that are absent or wrong have a value, too. */
static void set_defaults(struct tm_loader *loader, const char *scope, void *base)
{
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (tm_option_is_in(option, scope) && option->kind == TM_OPTION_MAP) {
            set_defaults(loader, option->path, base);
        } else if (tm_option_is_in(option, scope)) {
            tm_value_default(loader, option, base);
        }
    }
}

/* Nothing behind "server:" is a section in which all lines are comments. */
static bool is_nothing(const struct tm_yaml *node)
{
    return node->kind == TM_YAML_TEXT && node->plain && node->text[0] == '\0';
}

static void build_section(struct tm_loader *loader, const struct section *section)
{
    struct tm_yaml *node = section->node;
    if (node->kind == TM_YAML_BAD) {
        return;
    }
    if (node->kind != TM_YAML_MAP && !is_nothing(node)) {
        tm_findings_error(&loader->findings, section->node->at, section->path,
                "must be a map of options, not %s", tm_yaml_kind_name(node));
        return;
    }
    for (struct tm_yaml *at = node->first; at != NULL; at = at->next) {
        const struct tm_option *option = tm_option_find(section->scope, at->key);
        if (option == NULL) {
            refuse_key(loader, section, at);
            continue;
        }
        struct tm_spot spot = {
                .loader = loader,
                .option = option,
                .node = at,
                .path = join(loader, section->path, at->key),
                .base = section->base,
        };
        build_option(&spot);
    }
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (option->fallback == NULL && tm_option_is_in(option, section->scope) &&
                tm_yaml_get(node, tm_option_key(option->path)) == NULL) {
            report_missing(loader, section, option);
        }
    }
}

void tm_build(struct tm_loader *loader, struct tm_yaml *root)
{
    struct section top = {.scope = "", .path = "", .base = loader->config, .node = root};
    set_defaults(loader, "", loader->config);
    build_section(loader, &top);
}
