/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loader.h"
#include "policy/shown.h"

enum { HOOKS_MAX = 32 }; /* each has a thread */

static const char *const names[TM_HOOK_EVENTS] = {
#define X(symbol, name, lasting) [TM_HOOK_##symbol] = name,
#include "hook_events.def"
#undef X
};

const char *tm_hook_event_name(enum tm_hook_event event)
{
    return names[event];
}

bool tm_hook_event_lasts(enum tm_hook_event event)
{
    static const bool lasts[TM_HOOK_EVENTS] = {
#define X(symbol, name, lasting) [TM_HOOK_##symbol] = lasting,
#include "hook_events.def"
#undef X
    };
    return lasts[event];
}

static const char *all_names(struct tm_loader *loader)
{
    TM_BUF_OWN struct tm_buf list = {0};
    for (size_t i = 0; i < TM_HOOK_EVENTS; i++) {
        tm_buf_add_fmt(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return tm_arena_str(&loader->arena, tm_buf_slice(&list));
}

static struct tm_place place_of(const struct tm_yaml *node, const char *key)
{
    const struct tm_yaml *given = tm_yaml_get(node, key);
    return given != NULL ? given->at : node->at;
}

static void check_events(struct tm_loader *loader, const struct tm_yaml *node, const char *path,
        struct tm_config_hook *hook)
{
    char shown[TM_SHOWN_MAX];
    for (size_t i = 0; i < hook->event_count; i++) {
        size_t event = 0;
        while (event < TM_HOOK_EVENTS && strcmp(names[event], hook->events[i]) != 0) {
            event++;
        }
        if (event < TM_HOOK_EVENTS) {
            hook->on |= 1U << event;
            continue;
        }
        tm_findings_error(&loader->findings, place_of(node, "on"), path,
                "there is no event \"%s\"; there are %s",
                tm_shown(hook->events[i], strlen(hook->events[i]), shown), all_names(loader));
    }
}

static void check_policies(struct tm_loader *loader, const struct tm_yaml *node, const char *path,
        const struct tm_config_hook *hook)
{
    char shown[TM_SHOWN_MAX];
    for (size_t i = 0; i < hook->policy_count; i++) {
        if (tm_config_find_policy(loader->config, hook->policies[i]) == NULL) {
            tm_findings_error(&loader->findings, place_of(node, "policies"), path,
                    "there is no policy \"%s\"",
                    tm_shown(hook->policies[i], strlen(hook->policies[i]), shown));
        }
    }
}

static bool is_url(const char *url)
{
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

static void check_hook(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    struct tm_config_hook *hook = &loader->config->hooks[index];
    const char *path = tm_arena_fmt(&loader->arena, "hooks[%zu]", index);
    check_events(loader, node, path, hook);
    check_policies(loader, node, path, hook);
    if (hook->url[0] != '\0' && !is_url(hook->url)) { /* not shown: it may be secret */
        tm_findings_error(&loader->findings, place_of(node, "url"), path,
                "\"url\" must begin with https:// or http://");
    }
    const unsigned runs = 1U << TM_HOOK_BACKUP_SUCCEEDED | 1U << TM_HOOK_DRILL_PASSED;
    if (hook->healthchecks && hook->event_count > 0 && (hook->on & runs) == 0) {
        tm_findings_error(&loader->findings, place_of(node, "on"), path,
                "format healthchecks pings when runs start and end: write backup.succeeded or "
                "drill.passed; their start and failure come with it");
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(loader->config->hooks[i].name, hook->name) == 0 && hook->name[0] != '\0') {
            tm_findings_error(&loader->findings, place_of(node, "name"), path,
                    "the name \"%s\" is taken already", hook->name);
            return;
        }
    }
}

void tm_check_hooks(struct tm_loader *loader, const struct tm_yaml *root)
{
    const struct tm_yaml *list = tm_yaml_get(root, "hooks");
    size_t index = 0;
    if (loader->config->hook_count > HOOKS_MAX) {
        tm_findings_error(&loader->findings, list->at, "hooks", "there are %zu; %d at most",
                loader->config->hook_count, (int)HOOKS_MAX);
        return;
    }
    for (const struct tm_yaml *at = loader->config->hook_count > 0 ? list->first : NULL; at != NULL;
            at = at->next) {
        check_hook(loader, at, index++);
    }
}
