/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader.h"

enum { REFUSAL_MAX = 600 };

void tm_value_refuse(struct tm_spot *spot, const char *fmt, ...)
{
    struct tm_findings *findings = &spot->loader->findings;
    char text[REFUSAL_MAX];
    if (spot->ref != NULL) {
        tm_findings_error(findings, spot->node->at, spot->path,
                "the value of %s will not do here; it is not shown, as it may be secret",
                spot->ref);
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tm_findings_error(findings, spot->node->at, spot->path, "%s", text);
}

/* Text as it stands there; NULL when there is none, which has been reported. */
static const char *written(struct tm_spot *spot)
{
    const struct tm_yaml *node = spot->node;
    struct tm_findings *findings = &spot->loader->findings;
    if (node->kind == TM_YAML_BAD) {
        return NULL;
    }
    if (node->kind != TM_YAML_TEXT) {
        tm_findings_error(findings, node->at, spot->path, "must be one value, not %s",
                tm_yaml_kind_name(node));
        return NULL;
    }
    if (node->plain && node->text[0] == '\0') {
        tm_findings_error(
                findings, node->at, spot->path, "has no value; write one, or take the line out");
        return NULL;
    }
    return node->text;
}

static bool parse_ref(struct tm_spot *spot, const char *text, struct tm_ref *ref)
{
    struct tm_err err = {0};
    if (tm_ref_parse(text, &spot->loader->arena, ref, &err) == TM_OK) {
        return true;
    }
    tm_findings_error(&spot->loader->findings, spot->node->at, spot->path, "%s", err.msg);
    return false;
}

const char *tm_value_text(struct tm_spot *spot)
{
    const char *text = written(spot);
    struct tm_ref ref = {0};
    spot->ref = NULL;
    if (text == NULL || !parse_ref(spot, text, &ref)) {
        return NULL;
    }
    if (ref.kind == TM_REF_NONE) {
        spot->node->value = text;
        return text;
    }
    if (!spot->loader->options->read_secrets) {
        return NULL;
    }
    struct tm_ref_value value = {0};
    struct tm_err err = {0};
    if (tm_ref_value(&ref, &spot->loader->loaded->safe, &value, &err) != TM_OK) {
        tm_findings_error(&spot->loader->findings, spot->node->at, spot->path, "%s", err.msg);
        return NULL;
    }
    spot->ref = value.is_fallback ? NULL : text;
    spot->node->value = value.text;
    return value.text;
}

const char *tm_value_file(struct tm_spot *spot, struct tm_ref *ref)
{
    const char *text = written(spot);
    if (text == NULL || !parse_ref(spot, text, ref)) {
        return NULL;
    }
    spot->node->value = text;
    if (ref->kind == TM_REF_NONE) {
        return tm_value_resolve(spot->loader, text);
    }
    const char *path = NULL;
    struct tm_err err = {0};
    if (!spot->loader->options->read_secrets) {
        return NULL;
    }
    if (tm_ref_file(ref, &spot->loader->arena, &path, &err) != TM_OK) {
        tm_findings_error(&spot->loader->findings, spot->node->at, spot->path, "%s", err.msg);
        return NULL;
    }
    return tm_value_resolve(spot->loader, path);
}

const char *tm_value_resolve(struct tm_loader *loader, const char *path)
{
    struct tm_arena *arena = &loader->config->arena;
    if (path[0] == '/' || path[0] == '\0' || loader->folder[0] == '\0') {
        return tm_arena_strdup(arena, path);
    }
    path += strncmp(path, "./", 2) == 0 ? 2 : 0;
    const char *slash = strcmp(loader->folder, "/") == 0 ? "" : "/";
    return tm_arena_fmt(arena, "%s%s%s", loader->folder, slash, path);
}

void tm_value_check_exposed(struct tm_spot *spot)
{
    struct tm_loader *loader = spot->loader;
    unsigned mode = loader->modes[spot->node->at.file];
    if (spot->ref != NULL) { /* the default of ${env:NAME:-default} stands in the file */
        return;
    }
    if ((mode & 0004) != 0) {
        tm_findings_error(&loader->findings, spot->node->at, spot->path,
                "a secret stands in this file, which everybody can read (mode %04o); use "
                "${file:/path} or ${credential:name}, or chmod 0600",
                mode);
    } else {
        tm_findings_warning(&loader->findings, spot->node->at, spot->path,
                "a secret stands in this file; better use ${file:/path} or ${credential:name}");
    }
}

/* Enums and bools are numbers of their size, too. */
static void store_number(const struct tm_spot *spot, int64_t value)
{
    char *at = (char *)spot->base + spot->option->offset;
    if (spot->option->size == sizeof(int64_t)) {
        memcpy(at, &value, sizeof(value));
    } else if (spot->option->size == sizeof(int32_t)) {
        int32_t narrow = (int32_t)value;
        memcpy(at, &narrow, sizeof(narrow));
    } else if (spot->option->size == sizeof(bool)) {
        bool flag = value != 0;
        memcpy(at, &flag, sizeof(flag));
    } else {
        tm_assert(spot->option->size == 0);
    }
}

static void store_text(const struct tm_spot *spot, const char *text)
{
    if (spot->option->size == 0) {
        return;
    }
    tm_assert(spot->option->size == sizeof(const char *));
    bool is_path = spot->option->kind == TM_OPTION_PATH;
    const char *copy = is_path ? tm_value_resolve(spot->loader, text)
                               : tm_arena_strdup(&spot->loader->config->arena, text);
    memcpy((char *)spot->base + spot->option->offset, &copy, sizeof(copy));
}

static bool is_number(enum tm_option_kind kind)
{
    return kind == TM_OPTION_WORD || kind == TM_OPTION_BOOL || kind == TM_OPTION_INT ||
           kind == TM_OPTION_SIZE || kind == TM_OPTION_DURATION || kind == TM_OPTION_RATIO;
}

static bool is_text(enum tm_option_kind kind)
{
    return kind == TM_OPTION_TEXT || kind == TM_OPTION_NAME || kind == TM_OPTION_PATH ||
           kind == TM_OPTION_ADDRESS || kind == TM_OPTION_SCHEDULE;
}

static void read_scalar(struct tm_spot *spot)
{
    const char *text = tm_value_text(spot);
    int64_t number = 0;
    if (text == NULL) {
        return;
    }
    if (is_number(spot->option->kind)) {
        if (tm_scalar_number(spot, text, &number)) {
            store_number(spot, number);
        }
    } else if (tm_scalar_check(spot, text) || spot->option->kind == TM_OPTION_NAME) {
        store_text(spot, text); /* a bad name, too: who refers to it made no second mistake */
    }
}

void tm_value_read(struct tm_spot *spot)
{
    switch (spot->option->kind) {
    case TM_OPTION_TEXTS:
        tm_value_texts(spot);
        break;
    case TM_OPTION_BOOTSTRAP:
        tm_value_bootstrap(spot);
        break;
    case TM_OPTION_PAIRS:
        tm_value_pairs(spot);
        break;
    case TM_OPTION_LABELS:
        tm_value_labels(spot);
        break;
    case TM_OPTION_KEY:
        tm_key_file_read(spot);
        break;
    case TM_OPTION_PASSPHRASE:
        tm_passphrase_read(spot);
        break;
    case TM_OPTION_SECRET_TEXT:
        tm_secret_text_read(spot);
        break;
    case TM_OPTION_TOKENS:
        tm_tokens_read(spot);
        break;
    case TM_OPTION_CLIENT_SCOPES:
        tm_client_scopes_read(spot);
        break;
    case TM_OPTION_MAP:
    case TM_OPTION_LIST:
        break;
    case TM_OPTION_TEXT:
    case TM_OPTION_NAME:
    case TM_OPTION_PATH:
    case TM_OPTION_ADDRESS:
    case TM_OPTION_WORD:
    case TM_OPTION_BOOL:
    case TM_OPTION_INT:
    case TM_OPTION_SIZE:
    case TM_OPTION_DURATION:
    case TM_OPTION_RATIO:
    case TM_OPTION_SCHEDULE:
        read_scalar(spot);
        break;
    }
}

void tm_value_default(struct tm_loader *loader, const struct tm_option *option, void *base)
{
    struct tm_yaml nowhere = {.kind = TM_YAML_TEXT};
    struct tm_spot spot = {.loader = loader,
            .option = option,
            .node = &nowhere,
            .path = option->path,
            .base = base};
    const char *text = option->fallback != NULL ? option->fallback : "";
    if (option->kind == TM_OPTION_SCHEDULE && text[0] != '\0') {
        bool good = tm_scalar_check(&spot, text);
        tm_assert(good); /* options.def contradicts itself */
    }
    if (is_text(option->kind) || option->kind == TM_OPTION_SECRET_TEXT) {
        store_text(&spot, text);
    } else if (is_number(option->kind) && option->fallback != NULL) {
        int64_t number = 0;
        bool read = tm_scalar_number(&spot, text, &number);
        tm_assert(read); /* options.def contradicts itself */
        store_number(&spot, number);
    }
}
