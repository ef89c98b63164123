/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "loader.h"
#include "policy/shown.h"

enum { NAMES_LISTED_MAX = 10, DURATION_TEXT_MAX = 24 };

/* The members of one list: their nodes, and a text that each has. */
struct named {
    const char *path; /* "clusters" */
    const struct tm_yaml *list;
    size_t count;
    const char *(*get)(const struct tm_config *config, size_t index);
};

static const char *cluster_name(const struct tm_config *config, size_t index)
{
    return config->clusters[index].name;
}

static const char *vault_name(const struct tm_config *config, size_t index)
{
    return config->vaults[index].name;
}

static const char *vault_path(const struct tm_config *config, size_t index)
{
    return config->vaults[index].path;
}

static const char *policy_name(const struct tm_config *config, size_t index)
{
    return config->policies[index].name;
}

static struct tm_place place_of(const struct tm_yaml *section, const char *key)
{
    const struct tm_yaml *node = tm_yaml_get(section, key);
    return node != NULL ? node->at : section->at;
}

/* The value came by a reference: it is not shown, as it may be secret. */
static bool is_by_reference(const struct tm_yaml *node)
{
    return node != NULL && node->kind == TM_YAML_TEXT && node->value != NULL &&
           node->value != node->text;
}

/* "policies[3].name: "payments" is already the name of policies[0] (line 38)" */
static void check_unique(struct tm_loader *loader, const struct named *named, const char *key)
{
    size_t i = 0;
    for (const struct tm_yaml *at = named->count > 0 ? named->list->first : NULL; at != NULL;
            at = at->next, i++) {
        const char *text = named->get(loader->config, i);
        const struct tm_yaml *first = named->list->first;
        size_t before = 0;
        while (before < i && strcmp(named->get(loader->config, before), text) != 0) {
            before++;
            first = first->next;
        }
        if (text[0] == '\0' || before == i) {
            continue;
        }
        const char *path = tm_arena_fmt(&loader->arena, "%s[%zu].%s", named->path, i, key);
        const struct tm_yaml *node = tm_yaml_get(at, key);
        const char *shown = is_by_reference(node)
                                    ? tm_arena_fmt(&loader->arena, "the value of %s", node->text)
                                    : tm_arena_fmt(&loader->arena, "\"%s\"", text);
        struct tm_place node_at = place_of(at, key);
        tm_findings_error(&loader->findings, node_at, path, "%s is already the %s of %s[%zu] (%s)",
                shown, key, named->path, before,
                tm_findings_where(&loader->findings, node_at.file, place_of(first, key)));
    }
}

/* "main, local", the first ten. */
static const char *list_names(struct tm_loader *loader, const struct named *named)
{
    TM_BUF_OWN struct tm_buf out = {0};
    size_t listed = 0;
    for (size_t i = 0; i < named->count && listed <= NAMES_LISTED_MAX; i++) {
        const char *name = named->get(loader->config, i);
        if (name[0] != '\0') {
            bool last = listed == NAMES_LISTED_MAX;
            tm_buf_add_fmt(&out, "%s%s", listed > 0 ? ", " : "", last ? "..." : name);
            listed++;
        }
    }
    return tm_arena_str(&loader->arena, tm_buf_slice(&out));
}

/* The index of the cluster or vault that a section names; `count` when there is none, reported. */
static size_t find_named(struct tm_loader *loader, const struct tm_yaml *section,
        const char *section_path, const struct named *named, const char *key)
{
    const struct tm_yaml *node = tm_yaml_get(section, key);
    const char *name = node != NULL ? node->value : NULL;
    if (name == NULL) {
        return named->count;
    }
    for (size_t i = 0; i < named->count; i++) {
        if (strcmp(named->get(loader->config, i), name) == 0) {
            return i;
        }
    }
    char shown[TM_SHOWN_MAX];
    (void)tm_shown(name, strlen(name), shown);
    const char *path = tm_arena_fmt(&loader->arena, "%s.%s", section_path, key);
    if (is_by_reference(node)) {
        tm_findings_error(&loader->findings, node->at, path, "no %s has the name that %s holds",
                key, node->text);
        return named->count;
    }
    const char *names = list_names(loader, named);
    tm_findings_error(&loader->findings, node->at, path, "no %s named \"%s\"; there %s%s", key,
            shown, names[0] != '\0' ? "are: " : "are none", names);
    return named->count;
}

/* One entry of a list of topics by itself, to say where it stands. */
static bool check_pattern(struct tm_loader *loader, const struct tm_yaml *node, const char *path)
{
    if (node->value == NULL) {
        return true;
    }
    TM_OWN(tm_select_free) struct tm_select *select = NULL;
    const struct tm_select_options options = {.include = &node->value, .include_count = 1};
    struct tm_err err = {0};
    if (tm_select_new(&options, &select, &err) == TM_OK) {
        return true;
    }
    if (is_by_reference(node)) {
        tm_findings_error(&loader->findings, node->at, path,
                "the value of %s is no topic pattern; it is not shown, as it may be secret",
                node->text);
    } else {
        tm_findings_error(&loader->findings, node->at, path, "%s", err.msg);
    }
    return false;
}

static bool check_patterns(struct tm_loader *loader, const struct tm_yaml *node, const char *path)
{
    if (node == NULL || node->kind != TM_YAML_LIST) {
        return node == NULL || check_pattern(loader, node, path);
    }
    bool good = true;
    size_t index = 0;
    for (const struct tm_yaml *at = node->first; at != NULL; at = at->next) {
        const char *element = tm_arena_fmt(&loader->arena, "%s[%zu]", path, index++);
        good = check_pattern(loader, at, element) && good;
    }
    return good;
}

static void check_topics(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    struct tm_config_policy *policy = &loader->config->policies[index];
    const struct tm_yaml *topics = tm_yaml_get(node, "topics");
    const char *path = tm_arena_fmt(&loader->arena, "policies[%zu].topics", index);
    bool good = check_patterns(loader, tm_yaml_get(topics, "include"),
            tm_arena_fmt(&loader->arena, "%s.include", path));
    good = check_patterns(loader, tm_yaml_get(topics, "exclude"),
                   tm_arena_fmt(&loader->arena, "%s.exclude", path)) &&
           good;
    const struct tm_select_options options = {
            .include = policy->include,
            .include_count = policy->include_count,
            .exclude = policy->exclude,
            .exclude_count = policy->exclude_count,
            .internal_topics = policy->internal_topics,
    };
    struct tm_err err = {0};
    if (good && tm_select_new(&options, &policy->select, &err) != TM_OK) {
        tm_findings_error(&loader->findings, place_of(node, "topics"), path, "%s", err.msg);
    }
}

static void check_rpo(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    const struct tm_config_policy *policy = &loader->config->policies[index];
    const struct tm_yaml *schedule = tm_yaml_get(node, "schedule");
    bool scheduled = policy->schedule.kind != TM_SCHEDULE_BY_HAND;
    bool by_hand = schedule != NULL && schedule->value != NULL && schedule->value[0] == '\0';
    char rpo[DURATION_TEXT_MAX];
    char apart[DURATION_TEXT_MAX];
    if (policy->rpo_ms == 0 || (!scheduled && !by_hand)) {
        return;
    }
    const char *path = tm_arena_fmt(&loader->arena, "policies[%zu]", index);
    (void)tm_format_duration(policy->rpo_ms, rpo);
    if (by_hand) {
        tm_findings_warning(&loader->findings, place_of(node, "rpo"), path,
                "rpo is %s but the schedule is empty; the objective holds only while others ask "
                "for runs",
                rpo);
        return;
    }
    int64_t interval_ms =
            policy->continuous ? policy->flush_ms : tm_schedule_interval_ms(&policy->schedule);
    if (interval_ms > policy->rpo_ms) {
        tm_findings_warning(&loader->findings, place_of(node, "rpo"), path,
                "rpo is %s but runs are up to %s apart; the objective will be breached every run",
                rpo, tm_format_duration(interval_ms, apart));
    }
}

/* Does anything keep points for as long as max_age lets them live? Else it never applies. */
static void check_retention(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    const struct tm_config_policy *policy = &loader->config->policies[index];
    const struct tm_gfs_rules *rules = &policy->retention;
    int64_t interval_ms = tm_schedule_interval_ms(&policy->schedule);
    bool last_alone = rules->keep_last > 0 && rules->keep_hourly == 0 && rules->keep_daily == 0 &&
                      rules->keep_weekly == 0 && rules->keep_monthly == 0;
    const int64_t covers_ms = (int64_t)rules->keep_last * interval_ms;
    char apart[DURATION_TEXT_MAX];
    char covers[DURATION_TEXT_MAX];
    char age[DURATION_TEXT_MAX];
    if (!last_alone || interval_ms == 0 || rules->max_age_ms <= covers_ms) {
        return;
    }
    tm_findings_warning(&loader->findings, place_of(node, "retention"),
            tm_arena_fmt(&loader->arena, "policies[%zu].retention", index),
            "keep_last %u x %s covers %s, max_age %s never applies without keep_daily, keep_weekly "
            "or keep_monthly",
            rules->keep_last, tm_format_duration(interval_ms, apart),
            tm_format_duration(covers_ms, covers), tm_format_duration(rules->max_age_ms, age));
}

/* Whose clock the policy's times go by. */
static void check_zone(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    struct tm_config_policy *policy = &loader->config->policies[index];
    const struct tm_zone *zone = NULL;
    struct tm_err err = {0};
    if (policy->timezone == NULL) {
        return; /* told already */
    }
    if (tm_zone_load(policy->timezone, &loader->config->arena, &zone, &err) != TM_OK) {
        tm_findings_error(&loader->findings, place_of(node, "timezone"),
                tm_arena_fmt(&loader->arena, "policies[%zu].timezone", index), "%s", err.msg);
    }
    policy->schedule.zone = zone;
    policy->drill.schedule.zone = zone;
    policy->window.zone = zone;
}

/* Runs must not come so late that the next ones are due. */
static void check_jitter(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    const struct tm_config_policy *policy = &loader->config->policies[index];
    int64_t next_ms = 0;
    int64_t after_ms = 0;
    char apart[DURATION_TEXT_MAX];
    if (policy->jitter_ms > 0 && tm_schedule_next(&policy->schedule, 0, &next_ms) &&
            tm_schedule_next(&policy->schedule, next_ms, &after_ms) &&
            policy->jitter_ms >= after_ms - next_ms) {
        tm_findings_error(&loader->findings, place_of(node, "jitter"),
                tm_arena_fmt(&loader->arena, "policies[%zu].jitter", index),
                "must be less than what lies between two runs, %s",
                tm_format_duration(after_ms - next_ms, apart));
    }
}

static void check_window(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    struct tm_config_policy *policy = &loader->config->policies[index];
    int64_t unused_ms = 0;
    struct tm_err err = {0};
    if (policy->window_text == NULL) {
        return; /* told already */
    }
    const char *path = tm_arena_fmt(&loader->arena, "policies[%zu].window", index);
    const struct tm_zone *zone = policy->window.zone;
    enum tm_code code = tm_window_parse(policy->window_text, &policy->window, &err);
    policy->window.zone = zone;
    if (code != TM_OK) {
        tm_findings_error(&loader->findings, place_of(node, "window"), path, "%s", err.msg);
    } else if (policy->schedule.kind != TM_SCHEDULE_BY_HAND &&
               !tm_window_next_run(&policy->window, &policy->schedule, 0, &unused_ms)) {
        tm_findings_error(&loader->findings, place_of(node, "window"), path,
                "no run of the schedule lies within the window; move one of them");
    }
}

static void check_drill(struct tm_loader *loader, const struct tm_yaml *node, size_t index,
        const struct named *clusters)
{
    struct tm_config_policy *policy = &loader->config->policies[index];
    const struct tm_yaml *drill = tm_yaml_get(node, "drill");
    const char *path = tm_arena_fmt(&loader->arena, "policies[%zu].drill", index);
    bool planned = policy->drill.schedule.kind != TM_SCHEDULE_BY_HAND;
    if (drill == NULL || drill->kind != TM_YAML_MAP) {
        return;
    }
    if (tm_value_is_empty(tm_yaml_get(drill, "target_cluster"))) {
        if (planned) {
            tm_findings_error(&loader->findings, place_of(drill, "schedule"), path,
                    "\"target_cluster\" is required with a schedule");
        }
        return;
    }
    size_t target = find_named(loader, drill, path, clusters, "target_cluster");
    policy->drill.target = target < clusters->count ? &loader->config->clusters[target] : NULL;
    if (policy->drill.target != NULL && policy->drill.target == policy->cluster &&
            (!policy->drill.allow_source || policy->drill.topic_prefix[0] == '\0')) {
        tm_findings_error(&loader->findings, place_of(drill, "target_cluster"),
                tm_arena_fmt(&loader->arena, "%s.target_cluster", path),
                "\"%s\" is the source; set topic_prefix and allow_source: true, or another cluster",
                policy->cluster->name);
    }
}

static void check_policy(struct tm_loader *loader, const struct tm_yaml *node, size_t index,
        const struct named *clusters, const struct named *vaults)
{
    struct tm_config *config = loader->config;
    struct tm_config_policy *policy = &config->policies[index];
    const char *path = tm_arena_fmt(&loader->arena, "policies[%zu]", index);
    size_t cluster = find_named(loader, node, path, clusters, "cluster");
    size_t vault = find_named(loader, node, path, vaults, "vault");
    policy->cluster = cluster < clusters->count ? &config->clusters[cluster] : NULL;
    policy->vault = vault < vaults->count ? &config->vaults[vault] : NULL;
    if (policy->vault != NULL && policy->vault->read_only) {
        tm_findings_error(&loader->findings, place_of(node, "vault"),
                tm_arena_fmt(&loader->arena, "%s.vault", path),
                "%s is read_only; a policy needs a vault that it can write to",
                policy->vault->name);
    }
    if (node->kind == TM_YAML_MAP) {
        check_topics(loader, node, index);
        check_zone(loader, node, index);
        check_jitter(loader, node, index);
        check_rpo(loader, node, index);
        check_window(loader, node, index);
        check_retention(loader, node, index);
        check_drill(loader, node, index, clusters);
    }
}

static void check_verify(
        struct tm_loader *loader, const struct tm_yaml *root, const struct named *vaults)
{
    struct tm_config *config = loader->config;
    const struct tm_yaml *list = tm_yaml_get(root, "verify");
    size_t index = 0;
    for (const struct tm_yaml *at = config->verify_count > 0 ? list->first : NULL; at != NULL;
            at = at->next) {
        const char *path = tm_arena_fmt(&loader->arena, "verify[%zu]", index);
        size_t vault = find_named(loader, at, path, vaults, "vault");
        config->verify[index++].vault = vault < vaults->count ? &config->vaults[vault] : NULL;
    }
}

static void check_expect_head(
        struct tm_loader *loader, const struct tm_yaml *node, const struct tm_config_vault *vault)
{
    int64_t seq;
    struct tm_hash hash;
    const struct tm_yaml *head = tm_yaml_get(node, "expect_head");
    if (head != NULL && vault->expect_head[0] != '\0' &&
            !tm_parse_numbered_hash(vault->expect_head, &seq, &hash)) {
        size_t index = (size_t)(vault - loader->config->vaults);
        tm_findings_error(&loader->findings, head->at,
                tm_arena_fmt(&loader->arena, "vaults[%zu].expect_head", index),
                "must be SEQ:HASH, a number and 64 hex digits, as the log tells it at each commit "
                "(event vault.head)");
    }
}

/* Options of the one type of store that have a value with the other. */
static void check_strangers(struct tm_loader *loader, const struct tm_yaml *node, const char *path,
        const char *const *keys, const char *types[2])
{
    for (; *keys != NULL; keys++) {
        const struct tm_yaml *given = tm_yaml_get(node, *keys);
        if (!tm_value_is_empty(given)) {
            tm_findings_error(&loader->findings, given->key_at, path,
                    "\"%s\" is for type %s; this vault is of type %s", *keys, types[0], types[1]);
        }
    }
}

void tm_check_static(
        struct tm_loader *loader, const struct tm_yaml *node, const char *path, bool is_static)
{
    static const char *const keys[] = {"access_key_id", "secret_access_key"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct tm_yaml *given = tm_yaml_get(node, keys[i]);
        bool empty = tm_value_is_empty(given);
        if (is_static && empty) {
            tm_findings_error(&loader->findings, place_of(node, "credentials"), path,
                    "\"%s\" is required when credentials is static", keys[i]);
        } else if (!is_static && !empty) {
            tm_findings_error(&loader->findings, given->key_at, path,
                    "\"%s\" is given; write \"credentials: static\" to use it", keys[i]);
        }
    }
}

/* Where the vault is: what its type needs is there, and nothing of another type. */
static void check_store(struct tm_loader *loader, const struct tm_yaml *node, const char *path,
        const struct tm_config_vault *vault)
{
    static const char *const of_disk[] = {"path", NULL};
    static const char *const of_s3[] = {
            "bucket", "prefix", "endpoint", "ca_file", "access_key_id", "secret_access_key", NULL};
    const struct tm_yaml *type = tm_yaml_get(node, "type");
    if (type == NULL || type->value == NULL) {
        return;
    }
    if (strcmp(type->value, "disk") == 0) {
        check_strangers(loader, node, path, of_s3, (const char *[2]){"s3", "disk"});
        return;
    }
    if (strcmp(type->value, "s3") != 0) {
        return;
    }
    check_strangers(loader, node, path, of_disk, (const char *[2]){"disk", "s3"});
    if (tm_value_is_empty(tm_yaml_get(node, "bucket"))) {
        tm_findings_error(
                &loader->findings, node->at, path, "\"bucket\" is required when type is s3");
    }
    tm_check_static(loader, node, path, vault->s3.is_static);
    const char *endpoint = vault->s3.endpoint;
    if (endpoint[0] != '\0' && strncmp(endpoint, "https://", 8) != 0 &&
            strncmp(endpoint, "http://", 7) != 0) {
        tm_findings_error(&loader->findings, place_of(node, "endpoint"), path,
                "\"endpoint\" must begin with https:// or http://");
    }
}

static void check_vault(struct tm_loader *loader, const struct tm_yaml *node, size_t index)
{
    struct tm_config_vault *vault = &loader->config->vaults[index];
    const struct tm_yaml *compression = tm_yaml_get(node, "compression");
    const struct tm_yaml *passphrase = tm_yaml_get(node, "passphrase");
    const struct tm_yaml *key_file = tm_yaml_get(node, "key_file");
    const char *path = tm_arena_fmt(&loader->arena, "vaults[%zu]", index);
    if (compression != NULL && compression->value != NULL &&
            strcmp(compression->value, "none") == 0) {
        vault->compression_level = 0;
    }
    if (node->kind != TM_YAML_MAP) {
        return;
    }
    check_expect_head(loader, node, vault);
    check_store(loader, node, path, vault);
    if (vault->read_only && vault->create) {
        tm_findings_error(&loader->findings, place_of(node, "create"), path,
                "\"create\" and \"read_only\" are both true; a vault that is only read is not "
                "made");
    }
    if (tm_value_is_empty(key_file) && tm_value_is_empty(passphrase)) {
        tm_findings_error(
                &loader->findings, node->at, path, "\"key_file\" or \"passphrase\" is required");
    } else if (!tm_value_is_empty(key_file) && !tm_value_is_empty(passphrase)) {
        tm_findings_error(&loader->findings, passphrase->key_at, path,
                "\"key_file\" and \"passphrase\" are both given; take one out");
    }
}

void tm_check(struct tm_loader *loader, struct tm_yaml *root)
{
    const struct tm_config *config = loader->config;
    const struct named clusters = {
            "clusters", tm_yaml_get(root, "clusters"), config->cluster_count, cluster_name};
    const struct named vaults = {
            "vaults", tm_yaml_get(root, "vaults"), config->vault_count, vault_name};
    const struct named paths = {"vaults", vaults.list, config->vault_count, vault_path};
    const struct named policies = {
            "policies", tm_yaml_get(root, "policies"), config->policy_count, policy_name};
    tm_check_server(loader, root);
    check_unique(loader, &clusters, "name");
    check_unique(loader, &vaults, "name");
    check_unique(loader, &paths, "path");
    check_unique(loader, &policies, "name");
    size_t index = 0;
    for (const struct tm_yaml *at = clusters.count > 0 ? clusters.list->first : NULL; at != NULL;
            at = at->next) {
        tm_cluster_files(loader, &loader->config->clusters[index]);
        tm_check_cluster(loader, at, index++);
    }
    index = 0;
    for (const struct tm_yaml *at = vaults.count > 0 ? vaults.list->first : NULL; at != NULL;
            at = at->next) {
        check_vault(loader, at, index++);
    }
    index = 0;
    for (const struct tm_yaml *at = policies.count > 0 ? policies.list->first : NULL; at != NULL;
            at = at->next) {
        check_policy(loader, at, index++, &clusters, &vaults);
    }
    check_verify(loader, root, &vaults);
    tm_check_hooks(loader, root);
}
