/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as it is in force: every option with its value, secrets hidden. In the form of the file, as JSON. */
#include <string.h>

#include "options.h"
#include "tm_config.h"

static const char hidden[] = "[redacted]";

static const void *member(const void *base, const struct tm_option *option)
{
    return (const char *)base + option->offset;
}

static int64_t number_of(const void *base, const struct tm_option *option)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    if (option->size == sizeof(bool)) {
        return *(const bool *)member(base, option) ? 1 : 0;
    }
    if (option->size == sizeof(narrow)) {
        memcpy(&narrow, member(base, option), sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, member(base, option), sizeof(wide));
    return wide;
}

static void add_text(struct tm_json *json, const char *key, const char *text, bool secret)
{
    tm_json_add_str(json, key, secret && text[0] != '\0' ? hidden : text);
}

static void add_word(struct tm_json *json, const struct tm_option *option, int64_t number)
{
    size_t len = 0;
    const char *word = tm_option_word(option, (size_t)number, &len);
    if (word != NULL) {
        tm_json_add_slice(json, tm_option_key(option->path), tm_slice_of(word, len));
    }
}

static void add_texts(struct tm_json *json, const void *base, const struct tm_option *option)
{
    size_t count = 0;
    const char *const *texts = tm_option_array(option, base, &count);
    struct tm_json *list = tm_json_add(json, tm_option_key(option->path), tm_json_array());
    for (size_t i = 0; i < count; i++) {
        tm_json_push_str(list, texts[i]);
    }
}

/* Names are shown, values never: one of them may be a password. */
static void add_pairs(struct tm_json *json, const void *base, const struct tm_option *option)
{
    size_t count = 0;
    const struct tm_pair *pairs = tm_option_array(option, base, &count);
    struct tm_json *map = tm_json_add(json, tm_option_key(option->path), tm_json_object());
    for (size_t i = 0; i < count; i++) {
        add_text(map, pairs[i].name, pairs[i].value, option->secret);
    }
}

static void add_bootstrap(struct tm_json *json, const char *key, const char *text)
{
    struct tm_json *list = tm_json_add(json, key, tm_json_array());
    for (;;) {
        size_t len = strcspn(text, ",");
        TM_BUF_OWN struct tm_buf one = {0};
        tm_buf_add(&one, text, len);
        tm_json_push_str(list, tm_buf_text(&one));
        if (text[len] == '\0') {
            return;
        }
        text += len + 1;
    }
}

/* An option that the table places. */
static void add_option(struct tm_json *json, const struct tm_option *option, const void *base)
{
    const char *key = tm_option_key(option->path);
    char text[TM_OPTION_TEXT_MAX];
    switch (option->kind) {
    case TM_OPTION_BOOL:
        tm_json_add_bool(json, key, number_of(base, option) != 0);
        break;
    case TM_OPTION_INT:
        tm_json_add_int(json, key, number_of(base, option));
        break;
    case TM_OPTION_WORD:
        add_word(json, option, number_of(base, option));
        break;
    case TM_OPTION_SIZE:
    case TM_OPTION_DURATION:
        tm_json_add_str(json, key, tm_option_format(option, number_of(base, option), text));
        break;
    case TM_OPTION_RATIO:
        tm_json_add_real(json, key, (double)number_of(base, option) / 1e6);
        break;
    case TM_OPTION_TEXTS:
        add_texts(json, base, option);
        break;
    case TM_OPTION_PAIRS:
    case TM_OPTION_LABELS:
        add_pairs(json, base, option);
        break;
    case TM_OPTION_BOOTSTRAP:
        add_bootstrap(json, key, tm_option_text(option, base));
        break;
    case TM_OPTION_TEXT:
    case TM_OPTION_NAME:
    case TM_OPTION_PATH:
    case TM_OPTION_ADDRESS:
    case TM_OPTION_SCHEDULE:
    case TM_OPTION_SECRET_TEXT:
        add_text(json, key, tm_option_text(option, base), option->secret);
        break;
    case TM_OPTION_MAP:
    case TM_OPTION_LIST:
    case TM_OPTION_KEY:
    case TM_OPTION_PASSPHRASE:
    case TM_OPTION_TOKENS:
    case TM_OPTION_CLIENT_SCOPES:
        break; /* by hand, below */
    }
}

/* The level of a vault that does not compress, the path of one in a bucket: they cannot be written so. */
static bool is_unset(const struct tm_option *option, const void *base)
{
    bool number = option->kind == TM_OPTION_INT;
    bool path = strcmp(option->path, "vaults[].path") == 0;
    return (number && number_of(base, option) < option->min) ||
           (path && tm_option_text(option, base)[0] == '\0');
}

/* Names of other sections are pointers to them. */
static void add_drill_target(struct tm_json *json, const void *base)
{
    const struct tm_config_policy *policy = base;
    if (policy->drill.target != NULL) {
        tm_json_add_str(json, "target_cluster", policy->drill.target->name);
    }
}

/* All options of a section and of the maps in it. */
static void add_section(struct tm_json *json, const char *scope, const void *base)
{
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (!tm_option_is_in(option, scope)) {
            continue;
        }
        if (option->kind == TM_OPTION_MAP) {
            add_section(tm_json_add(json, tm_option_key(option->path), tm_json_object()),
                    option->path, base);
        } else if (strcmp(option->path, "policies[].drill.target_cluster") == 0) {
            add_drill_target(json, base);
        } else if (option->size > 0 && option->kind != TM_OPTION_LIST && !is_unset(option, base)) {
            add_option(json, option, base);
        }
    }
}

static struct tm_json *push_section(struct tm_json *list, const char *scope, const void *base)
{
    struct tm_json *json = tm_json_push(list, tm_json_object());
    add_section(json, scope, base);
    return json;
}

/* What the table does not place ---------------------------------------------------------------- */

static void add_clusters(struct tm_json *json, const struct tm_config *config)
{
    struct tm_json *list = tm_json_add(json, "clusters", tm_json_array());
    for (size_t i = 0; i < config->cluster_count; i++) {
        (void)push_section(list, "clusters[]", &config->clusters[i]);
    }
}

static void add_vaults(struct tm_json *json, const struct tm_config *config)
{
    struct tm_json *list = tm_json_add(json, "vaults", tm_json_array());
    for (size_t i = 0; i < config->vault_count; i++) {
        const struct tm_config_vault *vault = &config->vaults[i];
        struct tm_json *row = push_section(list, "vaults[]", vault);
        tm_json_add_str(row, vault->key_is_passphrase ? "passphrase" : "key_file", hidden);
        tm_json_add_str(row, "compression", vault->compression_level > 0 ? "zstd" : "none");
    }
}

static void add_policies(struct tm_json *json, const struct tm_config *config)
{
    struct tm_json *list = tm_json_add(json, "policies", tm_json_array());
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct tm_config_policy *policy = &config->policies[i];
        struct tm_json *row = push_section(list, "policies[]", policy);
        tm_json_add_str(row, "cluster", policy->cluster->name);
        tm_json_add_str(row, "vault", policy->vault->name);
    }
}

static void add_verify(struct tm_json *json, const struct tm_config *config)
{
    struct tm_json *list = tm_json_add(json, "verify", tm_json_array());
    for (size_t i = 0; i < config->verify_count; i++) {
        struct tm_json *row = push_section(list, "verify[]", &config->verify[i]);
        tm_json_add_str(row, "vault", config->verify[i].vault->name);
    }
}

static void add_hooks(struct tm_json *json, const struct tm_config *config)
{
    struct tm_json *list = tm_json_add(json, "hooks", tm_json_array());
    for (size_t i = 0; i < config->hook_count; i++) {
        (void)push_section(list, "hooks[]", &config->hooks[i]);
    }
}

struct tm_json *tm_config_show(const struct tm_config *config)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_int(json, "version", 1);
    add_section(json, "", config);
    add_clusters(json, config);
    add_vaults(json, config);
    add_policies(json, config);
    add_verify(json, config);
    add_hooks(json, config);
    return json;
}
