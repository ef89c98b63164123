/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "loader.h"
#include "policy/shown.h"

enum { LABELS_MAX = 64, LABEL_NAME_MAX = 64 };

/* An array in the configuration is a pointer with its count behind it. */
struct array {
    void *at;
    size_t count;
};

static void store_array(const struct tm_spot *spot, struct array array)
{
    char *to = (char *)spot->base + spot->option->offset;
    memcpy(to, &array.at, sizeof(array.at));
    memcpy(to + sizeof(array.at), &array.count, sizeof(array.count));
}

/* The spot of a list's element. */
static struct tm_spot element_of(const struct tm_spot *list, struct tm_yaml *node, size_t index)
{
    struct tm_spot element = *list;
    element.node = node;
    element.path = tm_arena_fmt(&list->loader->arena, "%s[%zu]", list->path, index);
    return element;
}

/* Read a list of texts, or one text. Each goes through `take`. */
static void each_text(struct tm_spot *spot,
        void (*take)(struct tm_spot *spot, const char *text, void *arg), void *arg)
{
    if (spot->node->kind != TM_YAML_LIST) {
        const char *text = tm_value_text(spot);
        if (text != NULL) {
            take(spot, text, arg);
        }
        return;
    }
    if (spot->node->count == 0 && spot->option->min > 0) {
        tm_value_refuse(spot, "the list is empty");
    }
    size_t index = 0;
    for (struct tm_yaml *node = spot->node->first; node != NULL; node = node->next) {
        struct tm_spot element = element_of(spot, node, index++);
        const char *text = tm_value_text(&element);
        if (text != NULL) {
            take(&element, text, arg);
        }
    }
}

struct texts {
    const char **at;
    size_t count;
};

static void take_text(struct tm_spot *spot, const char *text, void *arg)
{
    struct texts *texts = arg;
    texts->at[texts->count++] = tm_arena_strdup(&spot->loader->config->arena, text);
}

void tm_value_texts(struct tm_spot *spot)
{
    bool is_list = spot->node->kind == TM_YAML_LIST;
    size_t room = is_list ? spot->node->count + 1 : 1;
    struct texts texts = {.at = tm_arena_alloc(&spot->loader->config->arena, room, sizeof(char *))};
    each_text(spot, take_text, &texts);
    store_array(spot, (struct array){texts.at, texts.count});
}

/* One broker: HOST:PORT or [IPV6]:PORT. */
static bool is_broker(const char *text, size_t len)
{
    char host[256];
    if (len == 0 || len >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    char *colon = strrchr(host, ':');
    struct tm_err ignored = {0};
    int64_t port = 0;
    if (colon == NULL || colon == host || strpbrk(host, " \t\"'/?#@") != NULL ||
            tm_parse_i64(colon + 1, &port, &ignored) != TM_OK || port < 1 || port > 65535) {
        return false;
    }
    *colon = '\0';
    return strchr(host, ':') == NULL || (host[0] == '[' && colon[-1] == ']');
}

static void take_brokers(struct tm_spot *spot, const char *text, void *arg)
{
    struct tm_buf *joined = arg;
    char shown[TM_SHOWN_MAX];
    for (const char *at = text;; at++) {
        at += strspn(at, " ");
        size_t len = strcspn(at, ",");
        size_t trimmed = len;
        while (trimmed > 0 && at[trimmed - 1] == ' ') {
            trimmed--;
        }
        if (!is_broker(at, trimmed)) {
            tm_value_refuse(
                    spot, "\"%s\" is not a broker; write HOST:PORT", tm_shown(at, trimmed, shown));
            return;
        }
        tm_buf_add_text(joined, joined->len > 0 ? "," : "");
        tm_buf_add(joined, at, trimmed);
        at += len;
        if (*at == '\0') {
            return;
        }
    }
}

void tm_value_bootstrap(struct tm_spot *spot)
{
    TM_BUF_OWN struct tm_buf joined = {0};
    each_text(spot, take_brokers, &joined);
    struct tm_config_cluster *cluster = spot->base;
    cluster->bootstrap = tm_arena_str(&spot->loader->config->arena, tm_buf_slice(&joined));
}

/* May the property of that name hold a secret? */
static bool is_sensitive(const char *name)
{
    static const char *const parts[] = {
            "password", "secret", "ssl.key.pem", "sasl.oauthbearer.config", "jaas", "assertion"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(name, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void check_property(struct tm_spot *spot, const char *name, const char *value)
{
    struct tm_loader *loader = spot->loader;
    struct tm_err err = {0};
    char shown[TM_SHOWN_MAX];
    tm_config_property_check check = loader->options->check_property;
    if (check == NULL || check(name, value, &err) == TM_OK) {
        return;
    }
    bool secret = spot->ref != NULL || is_sensitive(name);
    if (secret && value[0] != '\0' && strstr(err.msg, value) != NULL) {
        tm_findings_error(&loader->findings, spot->node->key_at, spot->path,
                "librdkafka does not take the value of \"%s\"; it is not shown, as it may be "
                "secret",
                tm_shown(name, strlen(name), shown));
        return;
    }
    tm_findings_error(&loader->findings, spot->node->key_at, spot->path, "%s", err.msg);
}

/* The spot of a map's member: "clusters[0].rdkafka.client.id". */
static struct tm_spot member_of(const struct tm_spot *map, struct tm_yaml *node)
{
    char shown[TM_SHOWN_MAX];
    struct tm_spot member = *map;
    member.node = node;
    member.path = tm_arena_fmt(
            &map->loader->arena, "%s.%s", map->path, tm_shown(node->key, strlen(node->key), shown));
    return member;
}

/* Read one member into `pair`; false when there is nothing to keep. */
typedef bool (*read_pair)(struct tm_spot *map, struct tm_yaml *node, struct tm_pair *pair);

static bool read_property(struct tm_spot *map, struct tm_yaml *node, struct tm_pair *pair)
{
    struct tm_spot spot = member_of(map, node);
    const char *value = tm_value_text(&spot);
    if (value == NULL) {
        return false;
    }
    if (is_sensitive(node->key)) {
        tm_value_check_exposed(&spot);
    }
    spot.path = map->path;
    check_property(&spot, node->key, value);
    pair->name = tm_arena_strdup(&map->loader->config->arena, node->key);
    pair->value = tm_safe_text(&map->loader->loaded->safe, tm_slice_str(value));
    return true;
}

static bool read_label(struct tm_spot *map, struct tm_yaml *node, struct tm_pair *pair)
{
    struct tm_spot spot = member_of(map, node);
    const char *value = tm_value_text(&spot);
    if (value == NULL) {
        return false;
    }
    if (node->key[0] == '\0' || strlen(node->key) > LABEL_NAME_MAX) {
        tm_value_refuse(&spot, "the name of a label has 1 to %d bytes", LABEL_NAME_MAX);
        return false;
    }
    if (strlen(value) > (size_t)map->option->max) {
        tm_value_refuse(&spot, "is longer than %d bytes", (int)map->option->max);
        return false;
    }
    pair->name = tm_arena_strdup(&map->loader->config->arena, node->key);
    pair->value = tm_arena_strdup(&map->loader->config->arena, value);
    return true;
}

static void read_pairs(struct tm_spot *spot, const char *of_what, read_pair read)
{
    struct tm_yaml *map = spot->node;
    if (map->kind == TM_YAML_BAD) {
        return;
    }
    if (map->kind != TM_YAML_MAP) {
        tm_value_refuse(spot, "must be a map of %s, not %s", of_what, tm_yaml_kind_name(map));
        return;
    }
    struct tm_pair *pairs =
            tm_arena_alloc(&spot->loader->config->arena, map->count, sizeof(*pairs));
    size_t count = 0;
    for (struct tm_yaml *node = map->first; node != NULL; node = node->next) {
        count += read(spot, node, &pairs[count]) ? 1 : 0;
    }
    store_array(spot, (struct array){pairs, count});
}

void tm_value_pairs(struct tm_spot *spot)
{
    read_pairs(spot, "properties", read_property);
}

void tm_value_labels(struct tm_spot *spot)
{
    if (spot->node->kind == TM_YAML_MAP && spot->node->count > LABELS_MAX) {
        tm_value_refuse(spot, "has more than %d labels", LABELS_MAX);
        return;
    }
    read_pairs(spot, "labels", read_label);
}
