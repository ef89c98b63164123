/* SPDX-License-Identifier: Apache-2.0 */
/* conf.d/: files beside the configuration that add clusters, vaults, policies and hooks to it. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/text.h"
#include "loader.h"
#include "policy/shown.h"

static const char folder_name[] = "conf.d";
static const char suffix[] = ".yaml";

/* The names in it, in order; -1 with errno. */
struct names {
    struct dirent **at;
    int count;
};

static int is_drop_in(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    size_t tail = sizeof(suffix) - 1;
    return entry->d_name[0] != '.' && len > tail && strcmp(entry->d_name + len - tail, suffix) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* of bytes, whatever the locale */
}

static struct names list_names(const char *folder)
{
    struct names names = {0};
    names.count = scandir(folder, &names.at, is_drop_in, by_name);
    return names;
}

static void free_names(struct names *names)
{
    for (int i = 0; i < names->count; i++) {
        free(names->at[i]);
    }
    free(names->at);
}

/* Merging ------------------------------------------------------------------------------------- */

static struct tm_yaml *last_of(struct tm_yaml *holder)
{
    struct tm_yaml *last = holder->first;
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    return last;
}

/* Put `first` and what comes behind it at the end of a list or map. */
static void append(struct tm_yaml *holder, struct tm_yaml *first, size_t count)
{
    struct tm_yaml *last = last_of(holder);
    if (last == NULL) {
        holder->first = first;
    } else {
        last->next = first;
    }
    holder->count += count;
}

static bool is_version(const struct tm_yaml *node)
{ /* editors that know the schema want it in every file */
    return strcmp(node->key, "version") == 0 && node->kind == TM_YAML_TEXT &&
           strcmp(node->text, "1") == 0;
}

static bool may_add(const char *key)
{
    static const char *const keys[] = {"clusters", "vaults", "policies", "hooks"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* One key of a drop-in; `node` stands alone. */
static void merge_key(struct tm_loader *loader, struct tm_yaml *root, struct tm_yaml *node)
{
    char shown[TM_SHOWN_MAX];
    if (is_version(node) || node->kind == TM_YAML_BAD) {
        return;
    }
    if (!may_add(node->key)) {
        tm_findings_error(&loader->findings, node->key_at, NULL,
                "\"%s\" cannot stand in %s; it may add clusters, vaults, policies and hooks",
                tm_shown(node->key, strlen(node->key), shown), folder_name);
        return;
    }
    if (node->kind != TM_YAML_LIST) {
        tm_findings_error(&loader->findings, node->at, node->key, "must be a list, not %s",
                tm_yaml_kind_name(node));
        return;
    }
    struct tm_yaml *list = tm_yaml_get(root, node->key);
    if (list == NULL) {
        append(root, node, 1);
    } else if (list->kind == TM_YAML_LIST) { /* else that is what is told */
        append(list, node->first, node->count);
    }
}

static void merge(struct tm_loader *loader, struct tm_yaml *root, struct tm_yaml *added)
{
    if (added->kind != TM_YAML_MAP) {
        tm_findings_error(&loader->findings, added->at, NULL, "must be a map of options, not %s",
                tm_yaml_kind_name(added));
        return;
    }
    for (struct tm_yaml *node = added->first; node != NULL;) {
        struct tm_yaml *next = node->next;
        node->next = NULL;
        merge_key(loader, root, node);
        node = next;
    }
}

static void read_one(struct tm_loader *loader, struct tm_yaml *root, const char *path)
{
    const struct tm_place start = {.line = 1, .column = 1};
    TM_BUF_OWN struct tm_buf text = {0};
    struct tm_err err = {0};
    unsigned number = tm_findings_file(&loader->findings, path);
    if (tm_config_read_text(path, &text, &loader->modes[number], &err) != TM_OK) {
        tm_findings_error(&loader->findings, start, NULL, "%s", err.msg);
        return;
    }
    struct tm_yaml *added = tm_yaml_read(tm_buf_slice(&text), &loader->findings, &loader->arena);
    if (added != NULL) {
        merge(loader, root, added);
    }
    explicit_bzero(text.at, text.len);
}

void tm_drop_ins_read(struct tm_loader *loader, struct tm_yaml *root)
{
    const struct tm_place start = {.line = 1, .column = 1};
    const char *beside = loader->folder[0] != '\0' ? loader->folder : ".";
    const char *folder = tm_arena_fmt(&loader->arena, "%s/%s", beside, folder_name);
    struct names names = list_names(folder);
    if (names.count < 0 && errno != ENOENT && errno != ENOTDIR) {
        tm_findings_error(&loader->findings, start, NULL, "%s cannot be read: %s", folder,
                tm_errno_text(errno));
    } else if (names.count > TM_DROP_INS_MAX) {
        tm_findings_error(&loader->findings, start, NULL, "%s holds %d files; %d are read at most",
                folder, names.count, TM_DROP_INS_MAX);
    } else {
        for (int i = 0; i < names.count; i++) {
            read_one(loader, root,
                    tm_arena_fmt(&loader->arena, "%s/%s", folder, names.at[i]->d_name));
        }
    }
    loader->findings.file = 0;
    free_names(&names);
}

/* Watching ------------------------------------------------------------------------------------ */

/* What tells one state of a file from another; nothing of one that is away for a moment. */
static bool add_stamp(struct tm_buf *out, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return false;
    }
    tm_buf_add_fmt(out, "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 ".%09ld\n", path,
            (uint64_t)info.st_dev, (uint64_t)info.st_ino, (int64_t)info.st_size,
            (int64_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    return true;
}

/* Files of secrets and certificates. */
static bool add_named(struct tm_buf *out, const struct tm_config *config)
{
    const struct tm_loaded *loaded = (const struct tm_loaded *)config;
    const char *tls[] = {config->server.tls_cert_file, config->server.tls_key_file,
            config->server.tls_client_ca_file};
    bool whole = true;
    for (size_t i = 0; whole && i < loaded->safe.files.count; i++) {
        whole = add_stamp(out, loaded->safe.files.at[i]);
    }
    for (size_t i = 0; whole && i < sizeof(tls) / sizeof(tls[0]); i++) {
        whole = tls[i][0] == '\0' || add_stamp(out, tls[i]);
    }
    return whole;
}

bool tm_config_stamp(const char *path, const struct tm_config *config, struct tm_buf *out)
{
    const char *slash = strrchr(path, '/');
    TM_BUF_OWN struct tm_buf folder = {0};
    if (slash != NULL) {
        tm_buf_add(&folder, path, (size_t)(slash - path) + 1);
    }
    tm_buf_add_text(&folder, folder_name);
    struct names names = list_names(tm_buf_text(&folder));
    bool whole = add_stamp(out, path);
    for (int i = 0; whole && i < names.count; i++) {
        TM_BUF_OWN struct tm_buf one = {0};
        tm_buf_add_fmt(&one, "%s/%s", tm_buf_text(&folder), names.at[i]->d_name);
        whole = add_stamp(out, tm_buf_text(&one));
    }
    free_names(&names);
    return whole && (config == NULL || add_named(out, config));
}
