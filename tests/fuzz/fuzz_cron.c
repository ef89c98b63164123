/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz tm_schedule_parse(): no text may crash it, and what it accepts must come round: each run is
 * after the one before, and never later than the longest gap.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "policy/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { RUNS = 20 };
    const int64_t november_2026 = INT64_C(1795300000123);
    char *text = tm_xalloc(size + 1, 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    struct tm_schedule schedule;
    struct tm_err err = {0};
    if (tm_schedule_parse(text, &schedule, &err) != TM_OK) {
        tm_assert(err.msg[0] != '\0' && strchr(err.msg, '\n') == NULL);
    } else if (schedule.kind != TM_SCHEDULE_BY_HAND) {
        int64_t gap = tm_schedule_interval_ms(&schedule);
        int64_t before = november_2026;
        for (int run = 0; run < RUNS; run++) {
            int64_t next = 0;
            tm_assert(tm_schedule_next(&schedule, before, &next));
            tm_assert(next > before && next - before <= gap);
            before = next;
        }
    }
    free(text);
    return 0;
}
