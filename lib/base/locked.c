/* SPDX-License-Identifier: Apache-2.0 */
#include "base/locked.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

static size_t pages_of(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    tm_assert(size < SIZE_MAX / 2);
    return (size / page + 1) * page;
}

void *tm_locked_new(size_t size)
{
    size_t len = pages_of(size);
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    tm_assert(at != MAP_FAILED);
    (void)madvise(at, len, MADV_DONTDUMP);
    (void)mlock(at, len);
    return at;
}

void tm_locked_free(void *at, size_t size)
{
    if (at != NULL) {
        size_t len = pages_of(size);
        explicit_bzero(at, size);
        (void)munmap(at, len); /* unlocks */
    }
}
