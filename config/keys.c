/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loader.h"

enum { KEY_BYTES = 32, KEY_FILE_MAX = 4096, OTHERS = 0077 };

bool tm_value_is_empty(const struct tm_yaml *node)
{
    return node == NULL || (node->kind == TM_YAML_TEXT && !node->plain && node->text[0] == '\0');
}

bool tm_value_read_file(struct tm_spot *spot, size_t max_bytes, struct tm_safe_file *out,
        struct tm_ref *ref, const char **shown)
{
    struct tm_loader *loader = spot->loader;
    struct tm_findings *findings = &loader->findings;
    struct tm_err err = {0};
    const char *path = tm_value_file(spot, ref);
    if (path == NULL || !loader->options->read_secrets) {
        return false;
    }
    bool by_env = ref->kind == TM_REF_ENV; /* may hold a secret where a path is wanted */
    if (tm_safe_read(&loader->loaded->safe, path, max_bytes, out, &err) == TM_OK) {
        *shown = by_env ? tm_arena_fmt(&loader->arena, "the file of %s", ref->text) : path;
        return true;
    }
    if (by_env) {
        tm_findings_error(findings, spot->node->at, spot->path,
                "%s: the file that it names cannot be read (%s)", ref->text,
                tm_code_name(err.code));
    } else if (ref->kind != TM_REF_NONE) {
        tm_findings_error(findings, spot->node->at, spot->path, "%s: %s", ref->text, err.msg);
    } else {
        tm_findings_error(findings, spot->node->at, spot->path, "%s", err.msg);
    }
    return false;
}

void tm_key_file_read(struct tm_spot *spot)
{
    struct tm_config_vault *vault = spot->base;
    struct tm_findings *findings = &spot->loader->findings;
    struct tm_safe_file file = {0};
    struct tm_ref ref = {0};
    const char *shown = NULL;
    if (tm_value_is_empty(spot->node)) {
        return;
    }
    vault->key_file = spot->node->kind == TM_YAML_TEXT
                              ? tm_arena_strdup(&spot->loader->config->arena, spot->node->text)
                              : "";
    if (!tm_value_read_file(spot, KEY_FILE_MAX, &file, &ref, &shown)) {
        return;
    }
    /* systemd hands credentials over as it sees fit, in a folder that only the service can enter. */
    if (ref.kind != TM_REF_CREDENTIAL && (file.mode & OTHERS) != 0) {
        tm_findings_error(findings, spot->node->at, spot->path,
                "%s is readable by others (mode %04o); chmod 0600", shown, file.mode);
    }
    if (file.bytes.len != KEY_BYTES) {
        tm_findings_error(findings, spot->node->at, spot->path,
                "%s has %zu bytes, %d are needed; make one with \"tidemark key new\"", shown,
                file.bytes.len, (int)KEY_BYTES);
    }
    vault->key = file.bytes;
    vault->key_is_passphrase = false;
}

void tm_passphrase_read(struct tm_spot *spot)
{
    struct tm_config_vault *vault = spot->base;
    if (tm_value_is_empty(spot->node)) {
        return;
    }
    vault->key_is_passphrase = true;
    const char *text = tm_value_text(spot);
    if (text == NULL) {
        return;
    }
    size_t len = strlen(text);
    if (len == 0 || len > (size_t)spot->option->max) {
        tm_findings_error(&spot->loader->findings, spot->node->at, spot->path,
                "has %zu bytes; write 1 to %d", len, (int)spot->option->max);
        return;
    }
    tm_value_check_exposed(spot);
    vault->key = tm_slice_str(tm_safe_text(&spot->loader->loaded->safe, tm_slice_str(text)));
}

void tm_secret_text_read(struct tm_spot *spot)
{
    if (tm_value_is_empty(spot->node)) {
        return;
    }
    const char *text = tm_value_text(spot);
    if (text == NULL) {
        return;
    }
    size_t len = strlen(text);
    if (len > (size_t)spot->option->max) {
        tm_findings_error(&spot->loader->findings, spot->node->at, spot->path,
                "has %zu bytes; write 1 to %d", len, (int)spot->option->max);
        return;
    }
    tm_value_check_exposed(spot);
    tm_assert(spot->option->size == sizeof(const char *));
    const char *kept = tm_safe_text(&spot->loader->loaded->safe, tm_slice_str(text));
    memcpy((char *)spot->base + spot->option->offset, &kept, sizeof(kept));
}
