/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words - lists of names written as one string, "missing never", as routes.def has them.
 *
 * Threads: any.
 */
#ifndef TM_API_WORDS_H
#define TM_API_WORDS_H

#include "base/arena.h"
#include "base/json.h"

/* The place of `word` in the list, from 0; -1 where it is not in it. */
int tm_words_find(const char *words, const char *word);
/* The words as an array of strings in `arena`. */
const char *const *tm_words_list(const char *words, struct tm_arena *arena, size_t *count);
/* The word nearest to `given`, in `arena`; NULL where none is near. */
const char *tm_words_nearest(const char *words, const char *given, struct tm_arena *arena);
/* The words as a JSON array. */
struct tm_json *tm_words_json(const char *words);

#endif
