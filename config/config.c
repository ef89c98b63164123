/* SPDX-License-Identifier: Apache-2.0 */
#include "tm_config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "loader.h"

enum { MODE_BITS = 07777, TEXT_SPARE = 1 << 18 };

void tm_config_free(struct tm_config *config)
{
    if (config == NULL) {
        return;
    }
    struct tm_loaded *loaded = (struct tm_loaded *)config;
    for (size_t i = 0; i < config->policy_count; i++) {
        tm_select_free(config->policies[i].select);
    }
    tm_safe_wipe(&loaded->safe);
    tm_arena_done(&config->arena);
    free(loaded);
}

void tm_config_report_done(struct tm_config_report *report)
{
    tm_buf_done(&report->text);
}

static void load_tree(struct tm_loader *loader, struct tm_slice text)
{
    struct tm_yaml *root = tm_yaml_read(text, &loader->findings, &loader->arena);
    if (root != NULL && root->kind == TM_YAML_MAP && loader->has_drop_ins) {
        tm_drop_ins_read(loader, root);
    }
    if (root != NULL) {
        tm_build(loader, root);
        tm_check(loader, root);
    }
}

/* What follows is common to files and texts: `loader` knows folder and mode. */
static enum tm_code load(struct tm_loader *loader, struct tm_slice text, const char *name,
        struct tm_config **out, struct tm_config_report *report, struct tm_err *err)
{
    loader->loaded = tm_xalloc(1, sizeof(*loader->loaded));
    loader->config = &loader->loaded->config;
    (void)tm_findings_file(&loader->findings, name);
    load_tree(loader, text);

    unsigned errors = loader->findings.errors;
    tm_findings_write(&loader->findings, report);
    tm_findings_done(&loader->findings);
    tm_arena_wipe(&loader->arena); /* secrets stand in the tree where they stand in the file */
    if (errors > 0) {
        tm_config_free(loader->config);
        return tm_err_set(err, TM_E_USAGE, "%s: %u error%s", name, errors, errors == 1 ? "" : "s");
    }
    *out = loader->config;
    return TM_OK;
}

/* The folder of a path as it is written; "" for the process's own. */
static const char *folder_of(struct tm_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return "";
    }
    return slash == path ? "/" : tm_arena_str(arena, tm_slice_of(path, (size_t)(slash - path)));
}

enum tm_code tm_config_parse(struct tm_slice text, const char *name,
        const struct tm_config_load_options *options, struct tm_config **out,
        struct tm_config_report *report, struct tm_err *err)
{
    struct tm_loader loader = {.options = options};
    loader.folder = folder_of(&loader.arena, options->path != NULL ? options->path : name);
    return load(&loader, text, name, out, report, err);
}

/* The folder by its full name: some of what is found from there must be, a socket's path for one. */
static void set_folder(struct tm_loader *loader, const char *path)
{
    const char *folder = folder_of(&loader->arena, path);
    char *full = realpath(folder[0] != '\0' ? folder : ".", NULL);
    loader->folder = full != NULL ? tm_arena_strdup(&loader->arena, full) : folder;
    free(full);
}

enum tm_code tm_config_read_text(
        const char *path, struct tm_buf *out, unsigned *mode, struct tm_err *err)
{
    struct stat file;
    *mode = stat(path, &file) == 0 ? file.st_mode & MODE_BITS : 0;
    tm_buf_reserve(out, TM_YAML_BYTES_MAX + TEXT_SPARE); /* growing would leave copies behind */
    return tm_fs_read(path, TM_YAML_BYTES_MAX, out, err);
}

enum tm_code tm_config_load(const struct tm_config_load_options *options, struct tm_config **out,
        struct tm_config_report *report, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf text = {0};
    struct tm_loader loader = {.options = options, .has_drop_ins = true};
    enum tm_code code = tm_config_read_text(options->path, &text, &loader.modes[0], err);
    if (code != TM_OK) {
        return tm_err_wrap(err, "configuration");
    }
    set_folder(&loader, options->path);
    code = load(&loader, tm_buf_slice(&text), options->path, out, report, err);
    explicit_bzero(text.at, text.len);
    return code;
}

const struct tm_config_policy *tm_config_find_policy(
        const struct tm_config *config, const char *name)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        if (strcmp(config->policies[i].name, name) == 0) {
            return &config->policies[i];
        }
    }
    return NULL;
}

const struct tm_config_cluster *tm_config_find_cluster(
        const struct tm_config *config, const char *name)
{
    for (size_t i = 0; i < config->cluster_count; i++) {
        if (strcmp(config->clusters[i].name, name) == 0) {
            return &config->clusters[i];
        }
    }
    return NULL;
}

const struct tm_config_vault *tm_config_find_vault(const struct tm_config *config, const char *name)
{
    for (size_t i = 0; i < config->vault_count; i++) {
        if (strcmp(config->vaults[i].name, name) == 0) {
            return &config->vaults[i];
        }
    }
    return NULL;
}
