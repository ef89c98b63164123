/* SPDX-License-Identifier: Apache-2.0 */
#include "job/chosen.h"

#include <inttypes.h>
#include <stdlib.h>

/* What is missing ------------------------------------------------------------------------------ */

struct walk { /* along the runs and gaps of a range, in offset order */
    struct tm_chosen_range *range;
    const struct tm_chosen_part *part;
    const struct tm_row_gap *gaps;
    size_t gap_count;
    size_t run;
    size_t gap;
    int64_t next; /* offsets below are seen */
    bool stored;  /* a run or gap has been seen */
};

/* The times that lie around offsets without a record: those of the runs before and behind them. */
static struct tm_choice_span around(const struct walk *walk)
{
    const struct tm_source_range *source = &walk->range->source;
    return (struct tm_choice_span){
            .from = walk->run > 0 ? source->runs[walk->run - 1].run.ts_min : INT64_MIN,
            .to = walk->run < source->run_count ? source->runs[walk->run].run.ts_max : INT64_MAX,
    };
}

static void add_missing(struct walk *walk, int64_t from, int64_t to, bool by_time)
{
    struct tm_choice_absent absent = {{from, to}, around(walk), by_time};
    int64_t first = -1;
    int64_t count = tm_choice_missing(&walk->range->cut, &absent, &first);
    walk->range->lost += count;
    if (count > 0 && walk->range->lost_first < 0) {
        walk->range->lost_first = first;
    }
}

/*
 * Offsets in no run and no gap. Below the point's start they were freed, or never stored: before the first
 * that is, only a window by offset can say that there was anything. Within the point they must not be.
 */
static void see_nothing(struct walk *walk, int64_t from, int64_t to)
{
    int64_t bound = to < walk->part->start ? to : walk->part->start;
    if (from < bound) {
        add_missing(walk, from, bound, walk->stored);
        from = bound;
    }
    if (from < to && walk->range->unexplained < 0) {
        struct tm_choice_absent absent = {{from, to}, around(walk), true};
        int64_t first = -1;
        (void)tm_choice_missing(&walk->range->cut, &absent, &first);
        walk->range->unexplained = first;
    }
}

static void see_gap(struct walk *walk, const struct tm_row_gap *gap)
{
    int64_t from = gap->from > walk->next ? gap->from : walk->next;
    int64_t to = gap->from + gap->length;
    to = to < walk->range->source.end ? to : walk->range->source.end;
    if (gap->reason != TM_GAP_NO_RECORDS && gap->reason != TM_GAP_SKIPPED && from < to) {
        add_missing(walk, from, to, true);
    }
}

static void find_missing(struct walk *walk)
{
    const struct tm_source_range *source = &walk->range->source;
    while (walk->next < source->end) {
        const struct tm_run *run =
                walk->run < source->run_count ? &source->runs[walk->run].run : NULL;
        const struct tm_row_gap *gap = walk->gap < walk->gap_count ? &walk->gaps[walk->gap] : NULL;
        bool take_run = run != NULL && (gap == NULL || run->first <= gap->from);
        int64_t first = take_run ? run->first : gap != NULL ? gap->from : source->end;
        if (first > walk->next) {
            see_nothing(walk, walk->next, first < source->end ? first : source->end);
            walk->next = first;
        }
        if (run == NULL && gap == NULL) {
            break;
        }
        if (!take_run) {
            see_gap(walk, gap);
        }
        int64_t end = take_run ? run->first + run->length : gap->from + gap->length;
        walk->next = end > walk->next ? end : walk->next;
        walk->stored = true;
        walk->run += take_run ? 1 : 0;
        walk->gap += take_run ? 0 : 1;
    }
}

enum tm_code tm_chosen_range(struct tm_catalog *catalog, const struct tm_choice *choice,
        const struct tm_chosen_part *part, struct tm_arena *arena, struct tm_chosen_range *out,
        struct tm_err *err)
{
    const struct tm_stream *stream = part->stream;
    struct tm_stored_run *runs = NULL;
    struct tm_row_gap *gaps = NULL;
    size_t run_count = 0;
    size_t gap_count = 0;
    bool reaches = choice != NULL && (choice->window_count > 0 || choice->has_from);
    int64_t start = reaches ? 0 : part->start;
    *out = (struct tm_chosen_range){.lost_first = -1, .unexplained = -1};
    tm_choice_cut(choice, tm_arena_str(arena, stream->topic), part->partition, arena, &out->cut);
    if (!out->cut.nothing) {
        TM_TRY(tm_catalog_runs(catalog, stream->id, part->partition, start, part->end, arena, &runs,
                &run_count, err));
        TM_TRY(tm_catalog_gaps(catalog, stream->id, part->partition, start, part->end, arena, &gaps,
                &gap_count, err));
    }
    out->source = (struct tm_source_range){
            .runs = runs,
            .run_count = run_count,
            .stream = stream->id,
            .cluster_id = stream->cluster_id,
            .topic = stream->topic,
            .incarnation = stream->incarnation,
            .partition = part->partition,
            .start = start,
            .end = part->end,
    };
    struct walk walk = {
            .range = out, .part = part, .gaps = gaps, .gap_count = gap_count, .next = start};
    if (!out->cut.nothing) {
        find_missing(&walk);
    }
    return TM_OK;
}

enum tm_code tm_chosen_need_whole(const struct tm_chosen_range *range, struct tm_err *err)
{
    if (range->unexplained >= 0) {
        return tm_err_set(err, TM_E_CORRUPT,
                "offset %" PRId64 " is not stored, and no gap says why; pass on-gap=continue to "
                "read around it",
                range->unexplained);
    }
    if (range->lost > 0) {
        return tm_err_set(err, TM_E_MISSING,
                "%" PRId64 " offsets, the first of them %" PRId64
                ", are not stored: they were gone from the source before they were captured, or "
                "are lost in the vault; pass on-gap=continue to read around them",
                range->lost, range->lost_first);
    }
    return TM_OK;
}

/* Counting ------------------------------------------------------------------------------------- */

struct counted {
    int64_t messages;
    int64_t bytes;
    int64_t first; /* offset of the first; -1: none */
    bool exact;
};

/* How much of the run is taken; SOME where its range cuts it. */
static enum tm_taken taken_of(const struct tm_chosen_range *range, const struct tm_run *run)
{
    bool whole = run->first >= range->source.start && run->first + run->length <= range->source.end;
    enum tm_taken taken = tm_choice_run(&range->cut, run);
    return taken == TM_TAKEN_ALL && !whole ? TM_TAKEN_SOME : taken;
}

/* Read the run, and count what is taken of it but the first `without`. */
static enum tm_code read_run(const struct tm_chosen_range *range, size_t run, int64_t without,
        const struct tm_chosen_budget *with, struct counted *out, struct tm_err *err)
{
    struct tm_source_range part = range->source;
    part.runs = &range->source.runs[run];
    part.run_count = 1;
    part.cut = &range->cut;
    int64_t first = part.runs->run.first;
    int64_t end = first + part.runs->run.length;
    part.start = first > part.start ? first : part.start;
    part.end = end < part.end ? end : part.end;
    TM_OWN(tm_source_free)
    struct tm_source *source = tm_source_new(with->vault, with->cache, &part);
    struct tm_record record;
    bool more = false;
    *out = (struct counted){.first = -1, .exact = true};
    enum tm_code code = tm_source_next(source, &record, &more, err);
    for (int64_t seen = 0; code == TM_OK && more; seen++) {
        if (seen >= without) {
            out->messages++;
            out->bytes += (int64_t)tm_record_length(&record);
            out->first = out->first < 0 ? record.offset : out->first;
        }
        code = tm_source_next(source, &record, &more, err);
    }
    return code;
}

/* What can be said of the run without reading it: at most so much. */
static struct counted bound_of(const struct tm_chosen_range *range, const struct tm_run *run)
{
    int64_t from = run->first > range->source.start ? run->first : range->source.start;
    int64_t end = run->first + run->length;
    end = end < range->source.end ? end : range->source.end;
    int64_t first = -1;
    struct tm_choice_absent of = {{from, end}, {run->ts_min, run->ts_max}, true};
    int64_t offsets = tm_choice_missing(&range->cut, &of, &first);
    return (struct counted){
            .messages = run->count < offsets ? run->count : offsets,
            .bytes = run->bytes,
            .first = first,
    };
}

/*
 * Count the run: by what the catalog knows where that tells, by reading it where the budget allows (NULL of
 * `left`: always), else by its bound. TM_OK but where reading was a must and failed.
 */
static enum tm_code count_run(const struct tm_chosen_range *range, size_t index, int64_t without,
        const struct tm_chosen_budget *with, struct tm_chosen_budget *left, struct counted *out,
        struct tm_err *err)
{
    const struct tm_run *run = &range->source.runs[index].run;
    enum tm_taken taken = taken_of(range, run);
    *out = (struct counted){.first = -1, .exact = true};
    if (taken == TM_TAKEN_NONE) {
        return TM_OK;
    }
    if (taken == TM_TAKEN_ALL && without == 0) {
        *out = (struct counted){run->count, run->bytes, run->first, true};
        return TM_OK;
    }
    if (left == NULL) {
        return read_run(range, index, without, with, out, err);
    }
    struct tm_err ignored = {0}; /* who restores meets it again, and says so */
    bool may = left->bytes >= run->bytes && left->runs > 0;
    if (may) {
        left->bytes -= run->bytes;
        left->runs--;
    }
    if (!may || read_run(range, index, without, with, out, &ignored) != TM_OK) {
        *out = bound_of(range, run);
    }
    return TM_OK;
}

static void add_counted(
        struct tm_chosen_totals *totals, const struct counted *counted, const struct tm_run *run)
{
    if (counted->messages == 0 && counted->exact) {
        return;
    }
    totals->messages += counted->messages;
    totals->bytes += counted->bytes;
    totals->exact = totals->exact && counted->exact;
    totals->largest = run->largest > totals->largest ? run->largest : totals->largest;
    totals->ts_min = run->ts_min < totals->ts_min ? run->ts_min : totals->ts_min;
    totals->ts_max = run->ts_max > totals->ts_max ? run->ts_max : totals->ts_max;
}

/*
 * From the end back until `newest` records are sure to be there; *first is the offset of the oldest of them, 0
 * where there are not so many, or they could not be counted.
 */
static enum tm_code count_newest(const struct tm_chosen_range *range,
        const struct tm_chosen_budget *with, struct tm_chosen_budget *left,
        struct tm_chosen_totals *out, int64_t *first, struct tm_err *err)
{
    int64_t sure = 0;
    *first = 0;
    for (size_t i = range->source.run_count; i > 0 && sure < range->cut.newest; i--) {
        struct counted counted;
        int64_t wanted = range->cut.newest - sure;
        TM_TRY(count_run(range, i - 1, 0, with, left, &counted, err));
        if (counted.exact && counted.messages > wanted) {
            TM_TRY(count_run(range, i - 1, counted.messages - wanted, with, left, &counted, err));
            *first = counted.exact ? counted.first : 0;
            sure = range->cut.newest;
        } else if (counted.exact) {
            *first = counted.messages == wanted ? counted.first : 0;
            sure += counted.messages;
        }
        add_counted(out, &counted, &range->source.runs[i - 1].run);
    }
    out->messages = out->messages < range->cut.newest ? out->messages : range->cut.newest;
    return TM_OK;
}

void tm_chosen_totals(const struct tm_chosen_range *range, struct tm_chosen_budget *budget,
        struct tm_chosen_totals *out)
{
    struct tm_err never = {0}; /* with a budget, what cannot be read is not counted */
    int64_t first = 0;
    *out = (struct tm_chosen_totals){.exact = true, .ts_min = INT64_MAX, .ts_max = INT64_MIN};
    tm_assert(budget != NULL && (range->source.runs != NULL || range->source.run_count == 0));
    if (range->cut.newest > 0) {
        TM_LATER(count_newest(range, budget, budget, out, &first, &never));
        return;
    }
    for (size_t i = 0; i < range->source.run_count; i++) {
        struct counted counted;
        TM_LATER(count_run(range, i, 0, budget, budget, &counted, &never));
        add_counted(out, &counted, &range->source.runs[i].run);
    }
}

enum tm_code tm_chosen_open(struct tm_vault *vault, struct tm_pack_cache *cache,
        struct tm_chosen_range *range, struct tm_source **out, struct tm_err *err)
{
    if (range->cut.newest > 0 && range->cut.first == 0) {
        const struct tm_chosen_budget with = {.vault = vault, .cache = cache};
        struct tm_chosen_totals totals = {.exact = true};
        TM_TRY(count_newest(range, &with, NULL, &totals, &range->cut.first, err));
    }
    range->source.cut = &range->cut;
    *out = tm_source_new(vault, cache, &range->source);
    return TM_OK;
}
