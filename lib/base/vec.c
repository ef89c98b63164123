/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"

enum { FIRST_CAPACITY = 8 };

void *tm_vec_room(void *at, size_t count, size_t *capacity, size_t size)
{
    if (count == *capacity) {
        tm_assert(count <= SIZE_MAX / 4);
        *capacity = count > 0 ? 2 * count : FIRST_CAPACITY;
        at = tm_xgrow(at, *capacity, size);
    }
    memset((char *)at + count * size, 0, size);
    return at;
}
