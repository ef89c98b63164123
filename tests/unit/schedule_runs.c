/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planned runs, for a test that knows them from elsewhere (tests/system/test_schedules.py). Each line of the input,
 * "SCHEDULE|ZONE|AFTER_MS|UNTIL_MS|COUNT", is answered with a line: the runs in between in ms since the epoch, COUNT of them
 * at most, as a scheduler meets them whose clock jumps from each to the next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/schedule.h"

enum { FIELDS = 5, LINE_MAX_BYTES = 512 };

static bool split(char *line, char *fields[FIELDS])
{
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = line;
        line += strcspn(line, "|");
        if ((*line == '\0') != (i == FIELDS - 1)) {
            return false;
        }
        *line++ = '\0';
    }
    return true;
}

static void answer(char *fields[FIELDS], struct tm_arena *arena)
{
    struct tm_schedule schedule;
    struct tm_err err = {0};
    int64_t at_ms = 0;
    int64_t until_ms = 0;
    int64_t left = 0;
    if (tm_schedule_parse(fields[0], &schedule, &err) != TM_OK ||
            tm_zone_load(fields[1], arena, &schedule.zone, &err) != TM_OK ||
            tm_parse_i64(fields[2], &at_ms, &err) != TM_OK ||
            tm_parse_i64(fields[3], &until_ms, &err) != TM_OK ||
            tm_parse_i64(fields[4], &left, &err) != TM_OK) {
        (void)printf("error: %s\n", err.msg);
        return;
    }
    for (; left > 0; left--) {
        if (!tm_schedule_next(&schedule, at_ms, &at_ms) || at_ms >= until_ms) {
            break;
        }
        (void)printf("%" PRId64 " ", at_ms);
    }
    (void)printf("\n");
}

int main(void)
{
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *fields[FIELDS];
        if (!split(line, fields)) {
            (void)fprintf(stderr, "not SCHEDULE|ZONE|AFTER_MS|UNTIL_MS|COUNT\n");
            return EXIT_FAILURE;
        }
        struct tm_arena arena = {0};
        answer(fields, &arena);
        tm_arena_done(&arena);
    }
    return EXIT_SUCCESS;
}
