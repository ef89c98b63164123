/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena - memory for a tree of small objects that live and die together.
 *
 * Used for what is decoded or queried as one: a log entry, a pack index, a configuration, an answer
 * of the catalog. Not for streaming work. Nothing is freed singly.
 *
 * Threads: one at a time; the whole moves between threads with its owner.
 */
#ifndef TM_BASE_ARENA_H
#define TM_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/slice.h"

struct tm_arena {
    struct tm_arena_chunk *chunks; /* newest first; a zeroed struct is an empty arena */
};

void tm_arena_done(struct tm_arena *arena); /* free everything; the arena is empty again */
/* The same, and no byte of what was in it stays in memory. */
void tm_arena_wipe(struct tm_arena *arena);

/* Zeroed memory for `count` objects of `size` bytes, aligned for any type; aborts, never NULL. */
void *tm_arena_alloc(struct tm_arena *arena, size_t count, size_t size);
struct tm_slice tm_arena_dup(struct tm_arena *arena, struct tm_slice bytes); /* keeps null null */
char *tm_arena_str(struct tm_arena *arena, struct tm_slice text); /* NUL-terminated copy */
char *tm_arena_strdup(struct tm_arena *arena, const char *text);  /* NULL stays NULL */
char *tm_arena_fmt(struct tm_arena *arena, const char *fmt, ...) TM_PRINTF(2, 3);
char *tm_arena_vfmt(struct tm_arena *arena, const char *fmt, va_list args) TM_PRINTF(2, 0);

#endif
