/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec - typed growing arrays: TM_VEC(struct tm_run) runs = {0}; *tm_vec_push(&runs) = run;
 *
 * The array owns its elements' memory, not what they point to. Growth aborts when memory is gone:
 * callers bound counts that come from outside. Threads: one at a time.
 */
#ifndef TM_BASE_VEC_H
#define TM_BASE_VEC_H

#include <stdlib.h>

#include "base/own.h"

#define TM_VEC(type) \
    struct { \
        type *at; \
        size_t count; \
        size_t capacity; \
    }

/* Append a zeroed element and give its address (valid until the next push). */
#define tm_vec_push(vec) \
    ((vec)->at = tm_vec_room((vec)->at, (vec)->count, &(vec)->capacity, sizeof(*(vec)->at)), \
            &(vec)->at[(vec)->count++])

#define tm_vec_done(vec) \
    do { \
        free((vec)->at); \
        (vec)->at = NULL; \
        (vec)->count = 0; \
        (vec)->capacity = 0; \
    } while (0)

/* Room for one more element of `size` bytes behind `count`; that element is zeroed. */
void *tm_vec_room(void *at, size_t count, size_t *capacity, size_t size);

#endif
