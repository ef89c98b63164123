/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 1024, CHUNK_MAX = 65536 };

/* Chunks are zeroed when made and never used twice, so what is handed out is zero. */
struct tm_arena_chunk {
    struct tm_arena_chunk *next;
    size_t used;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

void tm_arena_wipe(struct tm_arena *arena)
{
    for (struct tm_arena_chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->next) {
        explicit_bzero(chunk->bytes, chunk->size);
    }
    tm_arena_done(arena);
}

void tm_arena_done(struct tm_arena *arena)
{
    struct tm_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct tm_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
}

/* Bytes for an object: never none, so that each has an address, and the next one is aligned. */
static size_t round_up(size_t bytes)
{
    const size_t align = alignof(max_align_t);
    tm_assert(bytes < SIZE_MAX / 2);
    bytes = bytes > 0 ? bytes : 1;
    return (bytes + align - 1) / align * align;
}

static struct tm_arena_chunk *new_chunk(size_t size)
{
    struct tm_arena_chunk *chunk = tm_xalloc(1, sizeof(*chunk) + size);
    chunk->size = size;
    return chunk;
}

/* An object that would waste much of a chunk gets one of its own, behind the one being filled. */
static void *alloc_apart(struct tm_arena *arena, size_t bytes)
{
    struct tm_arena_chunk *chunk = new_chunk(bytes);
    chunk->used = bytes;
    if (arena->chunks != NULL) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        arena->chunks = chunk;
    }
    return chunk->bytes;
}

void *tm_arena_alloc(struct tm_arena *arena, size_t count, size_t size)
{
    size_t bytes = 0;
    tm_assert(!__builtin_mul_overflow(count, size, &bytes));
    bytes = round_up(bytes);

    struct tm_arena_chunk *head = arena->chunks;
    if (head == NULL || head->size - head->used < bytes) {
        if (bytes > CHUNK_MAX / 4) {
            return alloc_apart(arena, bytes);
        }
        size_t next_size = head != NULL && head->size >= FIRST_CHUNK ? 2 * head->size : FIRST_CHUNK;
        next_size = next_size < 4 * bytes ? 4 * bytes : next_size;
        struct tm_arena_chunk *fresh = new_chunk(next_size < CHUNK_MAX ? next_size : CHUNK_MAX);
        fresh->next = head;
        arena->chunks = fresh;
        head = fresh;
    }
    void *at = head->bytes + head->used;
    head->used += bytes;
    return at;
}

struct tm_slice tm_arena_dup(struct tm_arena *arena, struct tm_slice bytes)
{
    if (bytes.at == NULL) {
        return TM_SLICE_NULL;
    }
    uint8_t *copy = tm_arena_alloc(arena, bytes.len, 1);
    memcpy(copy, bytes.at, bytes.len);
    return tm_slice_of(copy, bytes.len);
}

char *tm_arena_str(struct tm_arena *arena, struct tm_slice text)
{
    char *copy = tm_arena_alloc(arena, text.len + 1, 1);
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    return copy;
}

char *tm_arena_strdup(struct tm_arena *arena, const char *text)
{
    return text != NULL ? tm_arena_str(arena, tm_slice_str(text)) : NULL;
}

char *tm_arena_vfmt(struct tm_arena *arena, const char *fmt, va_list args)
{
    tm_assert(fmt != NULL); /* gcc 12 with -fsanitize=undefined takes it for NULL below */
    va_list again;
    va_copy(again, args);
    char probe[1];
    int len = vsnprintf(probe, sizeof(probe), fmt, args);
    tm_assert(len >= 0);
    char *text = tm_arena_alloc(arena, (size_t)len + 1, 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

char *tm_arena_fmt(struct tm_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = tm_arena_vfmt(arena, fmt, args);
    va_end(args);
    return text;
}
