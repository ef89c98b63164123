/* SPDX-License-Identifier: Apache-2.0 */
#include "router.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "routes.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NONE = 0,
    READ = TM_API_READ,
    OPERATE = TM_API_OPERATE,
    RESTORE = TM_API_RESTORE,
    ADMIN = TM_API_ADMIN,
};

static const struct tm_route routes[] = {
#define X(method, pattern, scope, handler, narrow, params) \
    {method, pattern, scope, handler, TM_NARROW_##narrow, params},
#include "routes.def"
#undef X
};

/* The metrics listener answers few; elsewhere /metrics and the dashboard can be switched off. */
static bool is_served(const struct tm_api *api, const struct tm_route *route)
{
    bool is_ui = strncmp(route->pattern, "/ui", 3) == 0;
    if (api->options.kind == TM_API_METRICS) {
        return strncmp(route->pattern, "/v1", 3) != 0 && !is_ui;
    }
    if (is_ui && !api->options.ui) {
        return false;
    }
    return api->options.metrics_here || strcmp(route->pattern, "/metrics") != 0;
}

/* Does the path have the pattern's segments? What stands in the braces goes to *name. */
static bool fits(const char *pattern, const char *path, struct tm_slice *name)
{
    for (;;) {
        size_t pattern_len = strcspn(pattern, "/");
        size_t path_len = strcspn(path, "/");
        if (pattern[0] == '{' && path_len > 0) {
            *name = tm_slice_of(path, path_len);
        } else if (pattern_len != path_len || memcmp(pattern, path, path_len) != 0) {
            return false;
        }
        pattern += pattern_len;
        path += path_len;
        if (*pattern == '\0' || *path == '\0') {
            return *pattern == *path;
        }
        pattern++;
        path++;
    }
}

/* The pattern with its braces filled from the path: a path that could have been meant. */
static const char *fill(struct tm_arena *arena, const char *pattern, const char *path)
{
    TM_BUF_OWN struct tm_buf filled = {0};
    for (;;) {
        size_t pattern_len = strcspn(pattern, "/");
        size_t path_len = strcspn(path, "/");
        if (pattern[0] == '{' && path_len > 0) {
            tm_buf_add(&filled, path, path_len);
        } else {
            tm_buf_add(&filled, pattern, pattern_len);
        }
        pattern += pattern_len;
        path += path_len;
        if (*pattern == '\0') {
            return tm_arena_strdup(arena, tm_buf_text(&filled));
        }
        tm_buf_add_text(&filled, "/");
        pattern++;
        path += *path != '\0' ? 1 : 0;
    }
}

static const char *find_similar(
        const struct tm_request *request, struct tm_arena *arena, const char *path)
{
    const char *candidates[LENGTH(routes)];
    size_t count = 0;
    for (size_t i = 0; i < LENGTH(routes); i++) {
        if (is_served(request->api, &routes[i])) {
            candidates[count++] = fill(arena, routes[i].pattern, path);
        }
    }
    return tm_nearest(path, candidates, count);
}

static void allow(struct tm_route_match *match, const char *method)
{
    size_t len = strlen(match->allow);
    (void)snprintf(match->allow + len, sizeof(match->allow) - len, "%s%s%s", len > 0 ? ", " : "",
            method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

struct tm_route_match tm_router_find(
        struct tm_request *request, const char *method, const char *path)
{
    struct tm_route_match match = {0};
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    bool literal = false; /* "/v1/restores/plan" is no restore of that name */
    for (size_t i = 0; i < LENGTH(routes); i++) {
        struct tm_slice name = TM_SLICE_NULL;
        if (!is_served(request->api, &routes[i]) || !fits(routes[i].pattern, path, &name) ||
                (literal && name.at != NULL)) {
            continue;
        }
        literal = name.at == NULL;
        if (strcmp(routes[i].method, wanted) != 0) {
            allow(&match, routes[i].method);
            continue;
        }
        const char *text = (const char *)name.at;
        match.name =
                text != NULL ? tm_query_unescape(&request->arena, text, name.len, false) : NULL;
        match.route = text == NULL || match.name != NULL ? &routes[i] : NULL;
        match.allow[0] = '\0';
        return match;
    }
    if (match.allow[0] == '\0') {
        match.similar = find_similar(request, &request->arena, path);
    }
    return match;
}
