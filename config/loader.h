/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader - what the parts of a load share, and their entrances.
 *
 * A load reads the tree (yaml_tree), builds the typed configuration by the table of options (build,
 * values, keys, tokens), then looks at what only shows when everything is there (check). Each part
 * reports all it finds and leaves a default where a value is wrong, so that the next can go on.
 *
 * Threads: one load at a time each.
 */
#ifndef TM_CONFIG_LOADER_H
#define TM_CONFIG_LOADER_H

#include "findings.h"
#include "options.h"
#include "refs.h"
#include "safe.h"
#include "tm_config.h"
#include "yaml_tree.h"

enum { TM_DROP_INS_MAX = 100 };

/* What tm_config_free() frees: the configuration and, out of callers' sight, its secrets. */
struct tm_loaded {
    struct tm_config config; /* first: a pointer to it is a pointer to this */
    struct tm_safe safe;
};

struct tm_loader {
    const struct tm_config_load_options *options;
    const char *folder;                  /* relative paths begin there; "": where the process is */
    bool has_drop_ins;                   /* conf.d in that folder is read, too */
    unsigned modes[1 + TM_DROP_INS_MAX]; /* permission bits of the files, by tm_place.file; 0: it is
                                            not one */
    struct tm_findings findings;
    struct tm_arena arena; /* lives as long as the load */
    struct tm_loaded *loaded;
    struct tm_config *config; /* &loaded->config */
};

/* A value being read: what is meant, where it stands, and what it is in. */
struct tm_spot {
    struct tm_loader *loader;
    const struct tm_option *option;
    struct tm_yaml *node;
    const char *path; /* "policies[0].rpo" */
    void *base;       /* the struct of the section */
    const char *ref;  /* the reference that the value came by; NULL: it stands in the file */
};

/* config.c: a file of the configuration into `out`, which the caller wipes. */
enum tm_code tm_config_read_text(
        const char *path, struct tm_buf *out, unsigned *mode, struct tm_err *err) TM_MUST_CHECK;
/*
 * drop_in.c: add to `root` what the files conf.d/NAME.yaml beside the configuration hold, in the order
 * of their names. What is wrong is reported.
 */
void tm_drop_ins_read(struct tm_loader *loader, struct tm_yaml *root);

/* build.c: fill loader->config from the tree. */
void tm_build(struct tm_loader *loader, struct tm_yaml *root);

/* values.c: read one value into spot->base; the default. */
void tm_value_read(struct tm_spot *spot);
void tm_value_default(struct tm_loader *loader, const struct tm_option *option, void *base);

/*
 * The text of a scalar, with its reference resolved (also kept in node->value). NULL when there is
 * none: that has been reported, or secrets are not to be read.
 */
const char *tm_value_text(struct tm_spot *spot);
/* The same for an option that names a file: its path. */
const char *tm_value_file(struct tm_spot *spot, struct tm_ref *ref);
/* Report what is wrong with the value. One that came by a reference is not shown: it may be secret. */
void tm_value_refuse(struct tm_spot *spot, const char *fmt, ...) TM_PRINTF(2, 3);
/* A path as the process can open it, in the configuration's arena. */
const char *tm_value_resolve(struct tm_loader *loader, const char *path);
/* Remark on a secret that stands in the file itself. */
void tm_value_check_exposed(struct tm_spot *spot);

/* scalars.c: typed scalars. False when the text is not valid, which has been reported. */
bool tm_scalar_number(struct tm_spot *spot, const char *text, int64_t *out);
bool tm_scalar_check(struct tm_spot *spot, const char *text);

/* lists.c: values of more than one scalar. */
void tm_value_texts(struct tm_spot *spot);
void tm_value_bootstrap(struct tm_spot *spot);
void tm_value_pairs(struct tm_spot *spot);
void tm_value_labels(struct tm_spot *spot);

/*
 * keys.c, tokens.c: files of secrets. `shown` is how messages call the file. False when it was not
 * read, which has been reported where it is an error.
 */
bool tm_value_read_file(struct tm_spot *spot, size_t max_bytes, struct tm_safe_file *out,
        struct tm_ref *ref, const char **shown);
bool tm_value_is_empty(const struct tm_yaml *node); /* absent or "": the same as not given */
void tm_key_file_read(struct tm_spot *spot);
void tm_passphrase_read(struct tm_spot *spot);
void tm_secret_text_read(struct tm_spot *spot);
void tm_tokens_read(struct tm_spot *spot);
unsigned tm_scope_bit(const char *word); /* enum tm_scope; 0: there is no such scope */
/* client_scopes.c */
void tm_client_scopes_read(struct tm_spot *spot);

/* check.c: what concerns several options. */
void tm_check(struct tm_loader *loader, struct tm_yaml *root);
/* The two texts of static AWS credentials in a section: both, or neither. */
void tm_check_static(
        struct tm_loader *loader, const struct tm_yaml *node, const char *path, bool is_static);
/* check_server.c: where the daemon listens. */
void tm_check_server(struct tm_loader *loader, const struct tm_yaml *root);
/* check_hooks.c: whom the daemon tells what. */
void tm_check_hooks(struct tm_loader *loader, const struct tm_yaml *root);
/* cluster_files.c: take note of what is in the files that the cluster's properties name. */
void tm_cluster_files(struct tm_loader *loader, struct tm_config_cluster *cluster);
/* check_cluster.c: one cluster's way to say who we are. */
void tm_check_cluster(struct tm_loader *loader, const struct tm_yaml *node, size_t index);

/*
 * tokens.c: the lines of a tokens file, into `arena`; what is wrong goes to `findings`. Gives NULL
 * and *count 0 when there is no token.
 */
struct tm_config_token *tm_tokens_parse(struct tm_slice text, int64_t now_ms,
        struct tm_findings *findings, struct tm_arena *arena, size_t *count);

#endif
