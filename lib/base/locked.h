/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locked - memory for secrets, where libsodium is not to be had: never swapped, not in core dumps,
 * wiped when it is freed. lib/codec has the same with guard pages (tm_secret_new).
 *
 * Threads: any.
 */
#ifndef TM_BASE_LOCKED_H
#define TM_BASE_LOCKED_H

#include <stddef.h>

/*
 * `size` zeroed bytes on pages of their own; aborts when there is no memory. Where locking is refused
 * (RLIMIT_MEMLOCK) the memory is as good as any other, but for dumps and wiping.
 */
void *tm_locked_new(size_t size);
void tm_locked_free(void *at, size_t size); /* NULL is nothing */

#endif
