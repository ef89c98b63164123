/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "vault/rebuild_impl.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int64_t end_of(const struct tm_run *run)
{
    return run->first + run->length;
}

/* Where content is ------------------------------------------------------------------------- */

static int by_content(const void *a, const void *b)
{
    const struct tm_rebuild_content *x = a;
    const struct tm_rebuild_content *y = b;
    int order = memcmp(x->id.bytes, y->id.bytes, sizeof(x->id.bytes));
    return order != 0 ? order : COMPARE(x->pack, y->pack);
}

const struct tm_rebuild_content *tm_rebuild_find(
        const struct tm_rebuild *rebuild, const struct tm_rebuild_content *need)
{
    size_t low = 0; /* the first with that id */
    size_t high = rebuild->have.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = memcmp(rebuild->have.at[mid].id.bytes, need->id.bytes, sizeof(need->id.bytes));
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    const struct tm_rebuild_content *best = NULL;
    for (size_t i = low; i < rebuild->have.count; i++) {
        const struct tm_rebuild_content *at = &rebuild->have.at[i];
        if (!tm_hash_eq(&at->id, &need->id)) {
            break;
        }
        const struct tm_rebuild_pack *pack = &rebuild->packs.at[at->pack];
        bool named = tm_hash_eq(&pack->name, &need->dep);
        if (need->own && !named) {
            continue;
        }
        if (named && pack->listed) {
            return at;
        }
        if (best == NULL || (pack->listed && !rebuild->packs.at[best->pack].listed)) {
            best = at;
        }
    }
    return best;
}

static void mark_lost(struct tm_rebuild *rebuild)
{
    if (rebuild->have.count > 0) {
        qsort(rebuild->have.at, rebuild->have.count, sizeof(*rebuild->have.at), by_content);
    }
    for (size_t i = 0; i < rebuild->need.count; i++) {
        const struct tm_rebuild_content *need = &rebuild->need.at[i];
        if (tm_rebuild_find(rebuild, need) == NULL) {
            rebuild->runs.at[need->run].lost = true;
        }
    }
}

/* Runs of the same bounds ------------------------------------------------------------------- */

static int by_bounds(const void *a, const void *b)
{
    const struct tm_rebuild_run *x = *(struct tm_rebuild_run *const *)a;
    const struct tm_rebuild_run *y = *(struct tm_rebuild_run *const *)b;
    int order = COMPARE(x->run.stream, y->run.stream);
    order = order != 0 ? order : COMPARE(x->run.partition, y->run.partition);
    order = order != 0 ? order : COMPARE(end_of(&x->run), end_of(&y->run));
    order = order != 0 ? order : COMPARE(x->run.first, y->run.first);
    order = order != 0 ? order : COMPARE(x->pack, y->pack);
    return order != 0 ? order : COMPARE(x->block, y->block);
}

static bool same_bounds(const struct tm_run *a, const struct tm_run *b)
{
    return a->stream == b->stream && a->partition == b->partition && a->first == b->first &&
           a->length == b->length;
}

/* One of them is as good as the other; take merges, then packs that are needed anyway. */
static bool is_better(const struct tm_rebuild *rebuild, const struct tm_rebuild_run *a,
        const struct tm_rebuild_run *b)
{
    const struct tm_rebuild_pack *x = &rebuild->packs.at[a->pack];
    const struct tm_rebuild_pack *y = &rebuild->packs.at[b->pack];
    int order = COMPARE(x->keys, y->keys);
    order = order != 0 ? order : COMPARE(x->only, y->only);
    order = order != 0 ? order : COMPARE(x->size, y->size);
    return order > 0; /* else the one whose name comes first */
}

static const char *run_text(
        const struct tm_rebuild *rebuild, const struct tm_rebuild_run *run, char text[512])
{
    const struct tm_rebuild_stream *stream = &rebuild->streams.at[run->run.stream];
    (void)snprintf(text, 512,
            "%.*s (incarnation %" PRIu32 ") partition %" PRId32 " offsets %" PRId64 " to %" PRId64,
            (int)(stream->topic.len < 256 ? stream->topic.len : 256),
            (const char *)stream->topic.at, stream->incarnation, run->run.partition, run->run.first,
            end_of(&run->run) - 1);
    return text;
}

static void note_pair(struct tm_rebuild *rebuild, const struct tm_rebuild_run *kept,
        const struct tm_rebuild_run *other, const char *what)
{
    char text[512];
    char names[2][TM_OBJECT_NAME_MAX];
    tm_pack_name(&rebuild->packs.at[other->pack].name, names[0]);
    if (kept != NULL) {
        tm_pack_name(&rebuild->packs.at[kept->pack].name, names[1]);
        tm_rebuild_note(rebuild, "%s: %s in %s; taken from %s", run_text(rebuild, other, text),
                what, names[0], names[1]);
    } else {
        tm_rebuild_note(rebuild, "%s: %s in %s", run_text(rebuild, other, text), what, names[0]);
    }
}

/* Candidates of one partition, one for each bounds, in order of their ends. */
struct line {
    struct tm_rebuild_run **at;
    size_t count;
};

/* The group [start, end) of `all` has the same bounds: its best one. */
static struct tm_rebuild_run *best_of(
        struct tm_rebuild *rebuild, struct tm_rebuild_run *const *all, size_t start, size_t end)
{
    struct tm_rebuild_run *best = NULL;
    for (size_t i = start; i < end; i++) {
        if (!all[i]->lost && (best == NULL || is_better(rebuild, all[i], best))) {
            best = all[i];
        }
    }
    for (size_t i = start; i < end && best != NULL; i++) {
        if (all[i]->epoch == best->epoch && !tm_id16_eq(&all[i]->proof, &best->proof)) {
            rebuild->result->conflicts++;
            note_pair(rebuild, best, all[i], "has another content");
        }
    }
    return best;
}

static size_t group_end(struct tm_rebuild_run *const *all, size_t start, size_t count)
{
    size_t end = start + 1;
    while (end < count && same_bounds(&all[start]->run, &all[end]->run)) {
        end++;
    }
    return end;
}

/* What only one pack has makes that pack needed. */
static void count_only(struct tm_rebuild *rebuild, struct tm_rebuild_run *const *all, size_t count)
{
    for (size_t start = 0; start < count;) {
        size_t end = group_end(all, start, count);
        if (end == start + 1 && !all[start]->lost) {
            rebuild->packs.at[all[start]->pack].only += all[start]->run.length;
        }
        start = end;
    }
}

/* Which of them ----------------------------------------------------------------------------- */

struct step { /* the best that can be done with the candidates up to here */
    int64_t covered;
    bool taken;  /* the last of them is part of it, */
    size_t rest; /* behind the best of so many */
};

/* How many candidates, of the first `count`, end at or before `first`. */
static size_t before(const struct line *line, size_t count, int64_t first)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool behind = end_of(&line->at[mid]->run) <= first;
        low = behind ? mid + 1 : low;
        high = behind ? high : mid;
    }
    return low;
}

/* Is all of it covered by what was chosen? `line` is in order of ends, and so is what was chosen. */
static bool is_covered(const struct line *line, const struct tm_run *run)
{
    int64_t next = run->first;
    for (size_t i = before(line, line->count, run->first); i < line->count; i++) {
        const struct tm_run *at = &line->at[i]->run;
        if (!line->at[i]->chosen) {
            continue;
        }
        if (at->first > next || next >= end_of(run)) {
            break;
        }
        next = end_of(at);
    }
    return next >= end_of(run);
}

/*
 * Choose so that as many offsets as can be are covered, none twice. Committed runs join at their bounds,
 * and a run that was never committed begins at such a bound: so this covers everything, unless a pack
 * between them is gone.
 */
static void choose_line(struct tm_rebuild *rebuild, const struct line *line)
{
    struct tm_arena arena = {0};
    struct step *steps = tm_arena_alloc(&arena, line->count + 1, sizeof(*steps));
    for (size_t i = 0; i < line->count; i++) {
        const struct tm_run *run = &line->at[i]->run;
        size_t rest = before(line, i, run->first);
        int64_t covered = steps[rest].covered + run->length;
        steps[i + 1] = covered > steps[i].covered ? (struct step){covered, true, rest}
                                                  : (struct step){steps[i].covered, false, i};
    }
    for (size_t i = line->count; i > 0; i = steps[i].rest) {
        line->at[i - 1]->chosen = steps[i].taken;
    }
    for (size_t i = 0; i < line->count; i++) {
        if (!line->at[i]->chosen && !is_covered(line, &line->at[i]->run)) {
            rebuild->result->lost++;
            note_pair(rebuild, NULL, line->at[i],
                    "overlaps other runs and is not in the new log, but there");
        }
    }
    tm_arena_done(&arena);
}

static void note_lost(
        struct tm_rebuild *rebuild, struct tm_rebuild_run *const *all, size_t start, size_t end)
{
    for (size_t i = start; i < end; i++) {
        rebuild->result->lost++;
        note_pair(
                rebuild, NULL, all[i], "its content is in a pack that is gone; its positions are");
    }
}

static void choose_runs(struct tm_rebuild *rebuild, struct tm_rebuild_run **all, size_t count)
{
    for (size_t start = 0; start < count;) {
        struct line line = {.at = all + start}; /* written over what was read already */
        const struct tm_run *first = &all[start]->run;
        uint32_t stream = first->stream;
        int32_t partition = first->partition;
        while (start < count && all[start]->run.stream == stream &&
                all[start]->run.partition == partition) {
            size_t end = group_end(all, start, count);
            struct tm_rebuild_run *best = best_of(rebuild, all, start, end);
            if (best != NULL) {
                line.at[line.count++] = best;
            } else {
                note_lost(rebuild, all, start, end);
            }
            start = end;
        }
        choose_line(rebuild, &line);
    }
}

/* A pack is listed for its runs, or for content that others need. */
static void list_packs(struct tm_rebuild *rebuild)
{
    for (size_t i = 0; i < rebuild->runs.count; i++) {
        if (rebuild->runs.at[i].chosen) {
            rebuild->packs.at[rebuild->runs.at[i].pack].listed = true;
        }
    }
    for (size_t i = 0; i < rebuild->need.count; i++) {
        if (rebuild->runs.at[rebuild->need.at[i].run].chosen) {
            const struct tm_rebuild_content *have = tm_rebuild_find(rebuild, &rebuild->need.at[i]);
            rebuild->packs.at[have->pack].listed = true;
        }
    }
}

void tm_rebuild_choose(struct tm_rebuild *rebuild)
{
    struct tm_arena arena = {0};
    size_t count = rebuild->runs.count;
    struct tm_rebuild_run **all =
            tm_arena_alloc(&arena, count + 1, sizeof(struct tm_rebuild_run *));
    for (size_t i = 0; i < count; i++) {
        all[i] = &rebuild->runs.at[i];
    }
    qsort(all, count, sizeof(struct tm_rebuild_run *), by_bounds);
    mark_lost(rebuild);
    count_only(rebuild, all, count);
    choose_runs(rebuild, all, count);
    list_packs(rebuild);
    tm_arena_done(&arena);
}
