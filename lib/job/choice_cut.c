/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "job/choice.h"

static int by_from(const void *left, const void *right)
{
    const struct tm_choice_span *a = left;
    const struct tm_choice_span *b = right;
    return (a->from > b->from) - (a->from < b->from);
}

/* Sort the spans and join those that touch; how many are left. */
static size_t join(struct tm_choice_span *spans, size_t count)
{
    if (count < 2) {
        return count;
    }
    qsort(spans, count, sizeof(*spans), by_from);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        struct tm_choice_span *last = &spans[kept - 1];
        if (spans[i].from <= last->to) {
            last->to = spans[i].to > last->to ? spans[i].to : last->to;
        } else {
            spans[kept++] = spans[i];
        }
    }
    return kept;
}

static bool is_listed(const struct tm_choice *choice, const char *topic, int32_t partition)
{
    bool named = false;
    for (size_t i = 0; i < choice->partition_count; i++) {
        const struct tm_choice_partitions *entry = &choice->partitions[i];
        if (strcmp(entry->topic, topic) != 0) {
            continue;
        }
        named = true;
        for (size_t p = 0; p < entry->count; p++) {
            if (entry->at[p] == partition) {
                return true;
            }
        }
    }
    return !named;
}

static void cut_windows(const struct tm_choice *choice, const char *topic, int32_t partition,
        struct tm_arena *arena, struct tm_choice_cut *out)
{
    struct tm_choice_span *offsets =
            tm_arena_alloc(arena, choice->window_count + 1, sizeof(*offsets));
    struct tm_choice_span *times = tm_arena_alloc(arena, choice->window_count + 1, sizeof(*times));
    for (size_t i = 0; i < choice->window_count; i++) {
        const struct tm_choice_window *window = &choice->windows[i];
        bool ours = (window->partition == -1 || window->partition == partition) &&
                    strcmp(window->topic, topic) == 0;
        if (ours && window->by_time) {
            times[out->time_count++] = (struct tm_choice_span){window->from, window->to};
        } else if (ours) {
            offsets[out->offset_count++] = (struct tm_choice_span){window->from, window->to};
        }
    }
    out->offset_count = join(offsets, out->offset_count);
    out->time_count = join(times, out->time_count);
    out->offsets = offsets;
    out->times = times;
    out->windowed = choice->window_count > 0;
}

static void cut_skips(const struct tm_choice *choice, const char *topic, int32_t partition,
        struct tm_arena *arena, struct tm_choice_cut *out)
{
    TM_VEC(struct tm_choice_span) skips = {0};
    for (size_t i = 0; i < choice->skip_count; i++) {
        const struct tm_choice_skip *skip = &choice->skips[i];
        if (skip->partition == partition && strcmp(skip->topic, topic) == 0) {
            *tm_vec_push(&skips) = (struct tm_choice_span){skip->first, skip->last + 1};
        }
    }
    struct tm_choice_span *kept = tm_arena_alloc(arena, skips.count + 1, sizeof(*kept));
    if (skips.count > 0) {
        memcpy(kept, skips.at, skips.count * sizeof(*kept));
    }
    out->skip_count = join(kept, skips.count);
    out->skips = kept;
    tm_vec_done(&skips);
}

void tm_choice_cut(const struct tm_choice *choice, const char *topic, int32_t partition,
        struct tm_arena *arena, struct tm_choice_cut *out)
{
    *out = (struct tm_choice_cut){.time = {INT64_MIN, INT64_MAX}};
    if (choice == NULL) {
        return;
    }
    out->time.from = choice->has_from ? choice->from_ms : INT64_MIN;
    out->time.to = choice->has_until ? choice->until_ms : INT64_MAX;
    out->newest = choice->newest;
    cut_windows(choice, topic, partition, arena, out);
    cut_skips(choice, topic, partition, arena, out);
    out->nothing = !is_listed(choice, topic, partition) ||
                   (out->windowed && out->offset_count + out->time_count == 0);
}

/* Judging -------------------------------------------------------------------------------------- */

/* The first span that ends behind `at`; NULL: none does. */
static const struct tm_choice_span *reaching(
        const struct tm_choice_span *spans, size_t count, int64_t at)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans[middle].to <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count ? &spans[low] : NULL;
}

static bool within(const struct tm_choice_span *spans, size_t count, int64_t at)
{
    const struct tm_choice_span *span = reaching(spans, count, at);
    return span != NULL && span->from <= at;
}

/* How much of what lies in [first, last] do the spans hold? */
static enum tm_taken held(
        const struct tm_choice_span *spans, size_t count, int64_t first, int64_t last)
{
    const struct tm_choice_span *span = reaching(spans, count, first);
    if (span == NULL || span->from > last) {
        return TM_TAKEN_NONE;
    }
    return span->from <= first && span->to > last ? TM_TAKEN_ALL : TM_TAKEN_SOME;
}

/* An end of INT64_MAX stands for no end: it holds that very timestamp too. */
static bool in_time(const struct tm_choice_span *time, int64_t at)
{
    return at >= time->from && (at < time->to || time->to == INT64_MAX);
}

static bool meets_time(const struct tm_choice_span *time, int64_t from_ms, int64_t last_ms)
{
    return last_ms >= time->from && (from_ms < time->to || time->to == INT64_MAX);
}

static enum tm_taken both(enum tm_taken left, enum tm_taken right)
{
    return left < right ? left : right;
}

static enum tm_taken judge_windows(const struct tm_choice_cut *cut, const struct tm_run *run)
{
    if (!cut->windowed) {
        return TM_TAKEN_ALL;
    }
    enum tm_taken offsets =
            held(cut->offsets, cut->offset_count, run->first, run->first + run->length - 1);
    enum tm_taken times = held(cut->times, cut->time_count, run->ts_min, run->ts_max);
    return offsets > times ? offsets : times;
}

static enum tm_taken judge_skips(const struct tm_choice_cut *cut, const struct tm_run *run)
{
    enum tm_taken skipped =
            held(cut->skips, cut->skip_count, run->first, run->first + run->length - 1);
    return skipped == TM_TAKEN_ALL    ? TM_TAKEN_NONE
           : skipped == TM_TAKEN_NONE ? TM_TAKEN_ALL
                                      : TM_TAKEN_SOME;
}

static enum tm_taken judge_bounds(const struct tm_choice_cut *cut, const struct tm_run *run)
{
    bool meets = meets_time(&cut->time, run->ts_min, run->ts_max) &&
                 run->first + run->length > cut->first;
    bool all = in_time(&cut->time, run->ts_min) && in_time(&cut->time, run->ts_max) &&
               run->first >= cut->first;
    return !meets ? TM_TAKEN_NONE : all ? TM_TAKEN_ALL : TM_TAKEN_SOME;
}

enum tm_taken tm_choice_run(const struct tm_choice_cut *cut, const struct tm_run *run)
{
    if (cut->nothing) {
        return TM_TAKEN_NONE;
    }
    return both(judge_bounds(cut, run), both(judge_windows(cut, run), judge_skips(cut, run)));
}

bool tm_choice_record(const struct tm_choice_cut *cut, const struct tm_record *record)
{
    return !cut->nothing && record->offset >= cut->first &&
           in_time(&cut->time, record->timestamp_ms) &&
           (!cut->windowed || within(cut->offsets, cut->offset_count, record->offset) ||
                   within(cut->times, cut->time_count, record->timestamp_ms)) &&
           !within(cut->skips, cut->skip_count, record->offset);
}

/* What is not stored ---------------------------------------------------------------------------- */

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Offsets of [from, to) that no skip names; *first is set to the first of them unless it is set already. */
static int64_t not_skipped(
        const struct tm_choice_cut *cut, int64_t from, int64_t to, int64_t *first)
{
    int64_t count = 0;
    const struct tm_choice_span *skip = reaching(cut->skips, cut->skip_count, from);
    while (from < to) {
        bool inside = skip != NULL && skip->from <= from;
        int64_t end = skip == NULL ? to : smaller(to, inside ? skip->to : skip->from);
        if (!inside) {
            *first = *first < 0 ? from : *first;
            count += end - from;
        } else {
            skip = skip + 1 < cut->skips + cut->skip_count ? skip + 1 : NULL;
        }
        from = end;
    }
    return count;
}

int64_t tm_choice_missing(
        const struct tm_choice_cut *cut, const struct tm_choice_absent *absent, int64_t *first)
{
    int64_t from = greater(absent->offsets.from, cut->first);
    int64_t to = absent->offsets.to;
    *first = -1;
    if (cut->nothing || from >= to || !meets_time(&cut->time, absent->time.from, absent->time.to)) {
        return 0;
    }
    bool asked = !cut->windowed || held(cut->times, cut->time_count, absent->time.from,
                                           absent->time.to) != TM_TAKEN_NONE;
    if (absent->by_time && asked) {
        return not_skipped(cut, from, to, first);
    }
    int64_t count = 0;
    for (size_t i = 0; i < cut->offset_count; i++) {
        count += not_skipped(
                cut, greater(from, cut->offsets[i].from), smaller(to, cut->offsets[i].to), first);
    }
    return count;
}
