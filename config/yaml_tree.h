/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_tree - a YAML file as a tree of texts, lists and maps, each with its place.
 *
 * Less than YAML on purpose: one document; no anchors, aliases, tags or merge keys; keys are texts and
 * stand once in a map; at most 1 MiB, 10,000 events and 16 levels. Scalars stay text: "no", "010" and
 * "1.10" are what the schema makes of them.
 *
 * Threads: one at a time.
 */
#ifndef TM_CONFIG_YAML_TREE_H
#define TM_CONFIG_YAML_TREE_H

#include "base/arena.h"
#include "base/slice.h"
#include "findings.h"

enum {
    TM_YAML_DEPTH_MAX = 16,
    TM_YAML_BYTES_MAX = 1 << 20,
    TM_YAML_EVENTS_MAX = 10000,
};

/* TM_YAML_BAD: what stood there has been reported already. */
enum tm_yaml_kind { TM_YAML_TEXT, TM_YAML_LIST, TM_YAML_MAP, TM_YAML_BAD };

struct tm_yaml {
    enum tm_yaml_kind kind;
    struct tm_place at;
    const char *key; /* in a map; NULL in a list */
    struct tm_place key_at;
    const char *text;      /* of TM_YAML_TEXT; never NULL there */
    bool plain;            /* not quoted: an empty one means that nothing was written */
    struct tm_yaml *first; /* of TM_YAML_LIST and TM_YAML_MAP, in file order */
    struct tm_yaml *next;  /* in what holds this one */
    size_t count;
    const char *value; /* for the reader of the tree: the text, or what its reference stands for */
};

/*
 * Read `text`. What is wrong goes to `findings`; NULL when there is nothing to go on with, else the
 * root, in which wrong parts are TM_YAML_BAD or left out.
 */
struct tm_yaml *tm_yaml_read(
        struct tm_slice text, struct tm_findings *findings, struct tm_arena *arena);

/* The member of that name; NULL when there is none, or `map` is NULL or no map. */
struct tm_yaml *tm_yaml_get(const struct tm_yaml *map, const char *key);

/* "text", "a list", "a map", "nothing" */
const char *tm_yaml_kind_name(const struct tm_yaml *node);

#endif
