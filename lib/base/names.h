/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - some names of which any will do; none: every name will.
 *
 * Threads: plain data; array and texts belong to whoever made it.
 */
#ifndef TM_BASE_NAMES_H
#define TM_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct tm_names {
    const char *const *at;
    size_t count;
};

/* The one name, or every one where it is NULL; it lives as long as the variable or member that `text` points to. */
static inline struct tm_names tm_names_one(const char *const *text)
{
    return (struct tm_names){text, *text != NULL ? 1 : 0};
}

/* As an initializer: TM_NAMES("a", "b"). */
#define TM_NAMES(...) \
    { \
        (const char *const[]){__VA_ARGS__}, \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *) \
    }

bool tm_names_has(const struct tm_names *names, const char *name);
/* A copy, texts too, in `arena`. */
struct tm_names tm_names_copy(const struct tm_names *names, struct tm_arena *arena);
/* A JSON array of them in `arena`, for SQL's json_each(); NULL: every name will do. */
const char *tm_names_json(const struct tm_names *names, struct tm_arena *arena);

#endif
