/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>

#include "codec/block.h"

int tm_runs_compare(const void *left, const void *right)
{
    const struct tm_run *a = left;
    const struct tm_run *b = right;
    if (a->stream != b->stream) {
        return a->stream < b->stream ? -1 : 1;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    return (a->first > b->first) - (a->first < b->first);
}

static bool touch(const struct tm_run *a, const struct tm_run *b)
{
    return a->stream == b->stream && a->partition == b->partition &&
           a->first + a->length == b->first;
}

size_t tm_runs_join(struct tm_run *runs, size_t count)
{
    size_t kept = 0;
    if (count > 1) {
        qsort(runs, count, sizeof(*runs), tm_runs_compare);
    }
    for (size_t i = 0; i < count; i++) {
        struct tm_run *last = kept > 0 ? &runs[kept - 1] : NULL;
        const struct tm_run *next = &runs[i];
        if (last == NULL || !touch(last, next)) {
            runs[kept++] = *next;
            continue;
        }
        last->length += next->length;
        last->count += next->count;
        last->bytes += next->bytes;
        last->largest = next->largest > last->largest ? next->largest : last->largest;
        last->ts_min = next->ts_min < last->ts_min ? next->ts_min : last->ts_min;
        last->ts_max = next->ts_max > last->ts_max ? next->ts_max : last->ts_max;
    }
    return kept;
}
