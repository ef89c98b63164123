/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/vec.h"

enum {
    MOST_ENTRIES = 400 * 1000,
    PART_ENTRIES_MIN = 64,
    PART_ENTRIES_MAX = 65536,
    PAIRS_MAX = 256 * 1024,
};

struct entry {
    int64_t source_first;
    int64_t source_last;
    int64_t target_first;
    int64_t target_last;
    int64_t records;
};

/* The answer to a watch. */
struct reached {
    int64_t target;
    bool exact;
};

/* What went from one source partition to one target partition. */
struct pair {
    int32_t target;
    TM_VEC(struct entry) entries;
    int64_t at_least; /* records an entry takes before another one is begun, at equal distance or not */
    struct reached *reached; /* to the first reached_count of the part's watches */
    size_t reached_count;
};

struct part {
    pthread_mutex_t lock;
    TM_VEC(struct pair) pairs; /* by target */
    size_t newest;             /* the pair of the newest note: the next one is mostly its */
    size_t entry_count;        /* of all pairs */
    TM_VEC(int64_t) watches;   /* source offsets, ascending, each once, when `sorted` */
    bool sorted;
    bool overflowed; /* records went uncharted: more pairs than are kept */
};

struct stream {
    uint32_t id;
    int32_t count;
    struct part *parts;
};

struct tm_restore_map {
    TM_VEC(struct stream) streams;
    size_t part_count;
    size_t most;
    atomic_size_t pairs; /* of all parts, and what they have of cells */
    atomic_size_t cells;
};

struct tm_restore_map *tm_restore_map_new(size_t most)
{
    struct tm_restore_map *map = tm_xalloc(1, sizeof(*map));
    map->most = most > 0 ? most : MOST_ENTRIES;
    return map;
}

static void clear_part(struct tm_restore_map *map, struct part *part)
{
    atomic_fetch_sub(&map->pairs, part->pairs.count);
    atomic_fetch_sub(&map->cells, part->pairs.count * part->watches.count);
    for (size_t i = 0; i < part->pairs.count; i++) {
        tm_vec_done(&part->pairs.at[i].entries);
        free(part->pairs.at[i].reached);
    }
    tm_vec_done(&part->pairs);
    part->newest = 0;
    part->entry_count = 0;
    part->overflowed = false;
}

void tm_restore_map_free(struct tm_restore_map *map)
{
    if (map == NULL) {
        return;
    }
    for (size_t s = 0; s < map->streams.count; s++) {
        struct stream *stream = &map->streams.at[s];
        for (int32_t p = 0; p < stream->count; p++) {
            clear_part(map, &stream->parts[p]);
            tm_vec_done(&stream->parts[p].watches);
            pthread_mutex_destroy(&stream->parts[p].lock);
        }
        free(stream->parts);
    }
    tm_vec_done(&map->streams);
    free(map);
}

void tm_restore_map_add(struct tm_restore_map *map, uint32_t stream, int32_t partitions)
{
    struct stream *added = tm_vec_push(&map->streams);
    *added = (struct stream){.id = stream, .count = partitions > 0 ? partitions : 0};
    added->parts = tm_xalloc((size_t)added->count + 1, sizeof(*added->parts));
    for (int32_t p = 0; p < added->count; p++) {
        tm_assert(pthread_mutex_init(&added->parts[p].lock, NULL) == 0);
    }
    map->part_count += (size_t)added->count;
}

static struct part *find_part(struct tm_restore_map *map, uint32_t stream, int32_t partition)
{
    for (size_t s = 0; map != NULL && s < map->streams.count; s++) {
        const struct stream *at = &map->streams.at[s];
        if (at->id == stream) {
            return partition >= 0 && partition < at->count ? &at->parts[partition] : NULL;
        }
    }
    return NULL;
}

/* Watches ------------------------------------------------------------------------------------- */

static int by_offset(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void tm_restore_map_watch(struct tm_restore_map *map, uint32_t stream, int32_t source_partition,
        int64_t source_offset)
{
    struct part *part = find_part(map, stream, source_partition);
    if (part != NULL) {
        *tm_vec_push(&part->watches) = source_offset;
        part->sorted = false;
    }
}

static void sort_watches(struct part *part)
{
    if (part->sorted) {
        return;
    }
    part->sorted = true;
    size_t kept = 0;
    if (part->watches.count > 0) {
        qsort(part->watches.at, part->watches.count, sizeof(int64_t), by_offset);
    }
    for (size_t i = 0; i < part->watches.count; i++) {
        if (kept == 0 || part->watches.at[i] != part->watches.at[kept - 1]) {
            part->watches.at[kept++] = part->watches.at[i];
        }
    }
    part->watches.count = kept;
}

/* The watch of that offset; false when there is none. */
static bool find_watch(const struct part *part, int64_t offset, size_t *out)
{
    const int64_t *found = part->watches.count == 0
                                   ? NULL
                                   : bsearch(&offset, part->watches.at, part->watches.count,
                                             sizeof(offset), by_offset);
    *out = found != NULL ? (size_t)(found - part->watches.at) : 0;
    return found != NULL;
}

/* Records of a pair come in source order: the first at or after a watched offset is its answer. */
static void reach_watches(
        const struct part *part, struct pair *pair, int64_t source, int64_t target)
{
    while (pair->reached_count < part->watches.count &&
            part->watches.at[pair->reached_count] <= source) {
        bool exact = part->watches.at[pair->reached_count] == source;
        pair->reached[pair->reached_count++] = (struct reached){target, exact};
    }
}

/* Pairs --------------------------------------------------------------------------------------- */

/* The first pair whose target is not below. */
static size_t pair_position(const struct part *part, int32_t target)
{
    size_t low = 0;
    size_t high = part->pairs.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (part->pairs.at[mid].target < target) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct pair *find_pair(const struct part *part, int32_t target)
{
    size_t at = pair_position(part, target);
    return at < part->pairs.count && part->pairs.at[at].target == target ? &part->pairs.at[at]
                                                                         : NULL;
}

/* Count one more pair of the part; false: there are too many. */
static bool count_pair(struct tm_restore_map *map, const struct part *part)
{
    size_t cells = part->watches.count;
    bool fits = atomic_fetch_add(&map->pairs, 1) < PAIRS_MAX;
    fits &= atomic_fetch_add(&map->cells, cells) <= TM_MAP_ANSWERS_MAX - cells;
    if (!fits) {
        atomic_fetch_sub(&map->pairs, 1);
        atomic_fetch_sub(&map->cells, cells);
    }
    return fits;
}

/* NULL: there are more than are kept. */
static struct pair *take_pair(struct tm_restore_map *map, struct part *part, int32_t target)
{
    if (part->newest < part->pairs.count && part->pairs.at[part->newest].target == target) {
        return &part->pairs.at[part->newest];
    }
    size_t at = pair_position(part, target);
    if (at == part->pairs.count || part->pairs.at[at].target != target) {
        if (part->watches.count > TM_MAP_ANSWERS_MAX || !count_pair(map, part)) {
            return NULL;
        }
        (void)tm_vec_push(&part->pairs);
        memmove(&part->pairs.at[at + 1], &part->pairs.at[at],
                (part->pairs.count - 1 - at) * sizeof(*part->pairs.at));
        part->pairs.at[at] = (struct pair){.target = target, .at_least = 1};
        part->pairs.at[at].reached =
                tm_xalloc(part->watches.count + 1, sizeof(*part->pairs.at[at].reached));
    }
    part->newest = at;
    return &part->pairs.at[at];
}

static bool is_even(const struct entry *entry)
{
    return entry->source_last - entry->source_first + 1 == entry->records &&
           entry->target_last - entry->target_first + 1 == entry->records;
}

/* Join entries by twos; from now on they are to be twice as large. */
static void thin_pair(struct part *part, struct pair *pair)
{
    size_t kept = 0;
    for (size_t i = 0; i < pair->entries.count; i += 2) {
        struct entry joined = pair->entries.at[i];
        if (i + 1 < pair->entries.count) {
            const struct entry *other = &pair->entries.at[i + 1];
            joined.source_last = other->source_last;
            joined.target_last = other->target_last;
            joined.records += other->records;
        }
        pair->entries.at[kept++] = joined;
    }
    part->entry_count -= pair->entries.count - kept;
    pair->entries.count = kept;
    pair->at_least *= 2;
}

static size_t most_of_part(const struct tm_restore_map *map, const struct part *part)
{
    size_t share = map->most / (map->part_count > 0 ? map->part_count : 1);
    size_t most = share < PART_ENTRIES_MIN   ? PART_ENTRIES_MIN
                  : share > PART_ENTRIES_MAX ? PART_ENTRIES_MAX
                                             : share;
    /* Each pair has one entry at least: thinning is to make room, not to run at every record. */
    return most > 4 * part->pairs.count ? most : 4 * part->pairs.count;
}

static void extend(struct pair *pair, struct part *part, int64_t source, int64_t target)
{
    struct entry *last =
            pair->entries.count > 0 ? &pair->entries.at[pair->entries.count - 1] : NULL;
    bool follows = last != NULL && source == last->source_last + 1 &&
                   target == last->target_last + 1 && is_even(last);
    if (last != NULL && (follows || last->records < pair->at_least)) {
        last->source_last = source;
        last->target_last = target;
        last->records++;
        return;
    }
    *tm_vec_push(&pair->entries) = (struct entry){source, source, target, target, 1};
    part->entry_count++;
}

void tm_restore_map_note(struct tm_restore_map *map, uint32_t stream, int32_t source_partition,
        int64_t source_offset, int32_t target_partition, int64_t target_offset)
{
    struct part *part = find_part(map, stream, source_partition);
    if (part == NULL) {
        return;
    }
    pthread_mutex_lock(&part->lock);
    sort_watches(part);
    struct pair *pair = take_pair(map, part, target_partition);
    if (pair != NULL) {
        extend(pair, part, source_offset, target_offset);
        reach_watches(part, pair, source_offset, target_offset);
    } else {
        part->overflowed = true;
    }
    if (part->entry_count > most_of_part(map, part)) {
        for (size_t i = 0; i < part->pairs.count; i++) {
            thin_pair(part, &part->pairs.at[i]);
        }
    }
    pthread_mutex_unlock(&part->lock);
}

void tm_restore_map_forget(struct tm_restore_map *map, uint32_t stream, int32_t source_partition)
{
    struct part *part = find_part(map, stream, source_partition);
    if (part != NULL) {
        pthread_mutex_lock(&part->lock);
        clear_part(map, part);
        pthread_mutex_unlock(&part->lock);
    }
}

/* Questions ----------------------------------------------------------------------------------- */

const char *tm_map_answer_name(enum tm_map_answer answer)
{
    static const char *const names[] = {"beyond", "exact", "next", "before"};
    return names[answer];
}

/* The first entry that ends at or after the offset. */
static size_t entry_position(const struct pair *pair, int64_t offset)
{
    size_t low = 0;
    size_t high = pair->entries.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (pair->entries.at[mid].source_last < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/*
 * Within a joined entry: at most source_last - offset + 1 of its records lie at or after the offset, so
 * at least the others lie before; and each takes one target offset at least.
 */
static int64_t lowest_target(const struct entry *entry, int64_t offset)
{
    int64_t after = entry->source_last - offset + 1;
    int64_t before = entry->records > after ? entry->records - after : 0;
    return entry->target_first + before;
}

static enum tm_map_answer look(const struct pair *pair, int64_t offset, int64_t *target)
{
    size_t at = entry_position(pair, offset);
    if (at == pair->entries.count) {
        *target = pair->entries.at[at - 1].target_last + 1; /* a pair has one entry at least */
        return TM_MAP_BEYOND;
    }
    const struct entry *entry = &pair->entries.at[at];
    if (offset <= entry->source_first) {
        *target = entry->target_first;
        return offset == entry->source_first ? TM_MAP_EXACT : TM_MAP_NEXT;
    }
    *target = lowest_target(entry, offset);
    return is_even(entry) ? TM_MAP_EXACT : TM_MAP_BEFORE;
}

static enum tm_map_answer answer_of(
        const struct part *part, const struct pair *pair, int64_t offset, int64_t *target)
{
    size_t watch = 0;
    enum tm_map_answer answer = look(pair, offset, target);
    if (answer == TM_MAP_BEFORE && find_watch(part, offset, &watch) &&
            watch < pair->reached_count) {
        *target = pair->reached[watch].target;
        answer = pair->reached[watch].exact ? TM_MAP_EXACT : TM_MAP_NEXT;
    }
    return answer;
}

bool tm_restore_map_find(struct tm_restore_map *map, uint32_t stream, int32_t source_partition,
        int64_t source_offset, int32_t target_partition, enum tm_map_answer *answer,
        int64_t *target_offset)
{
    struct part *part = find_part(map, stream, source_partition);
    *answer = TM_MAP_BEYOND;
    if (part == NULL) {
        return false;
    }
    pthread_mutex_lock(&part->lock);
    sort_watches(part);
    const struct pair *pair = find_pair(part, target_partition);
    bool known = pair != NULL || !part->overflowed;
    if (pair != NULL) {
        *answer = answer_of(part, pair, source_offset, target_offset);
    }
    pthread_mutex_unlock(&part->lock);
    return known;
}

static size_t copy_part(
        struct part *part, int32_t partition, size_t *skip, size_t most, struct tm_map_entry *out)
{
    size_t copied = 0;
    pthread_mutex_lock(&part->lock);
    for (size_t i = 0; i < part->pairs.count; i++) {
        const struct pair *pair = &part->pairs.at[i];
        size_t first = *skip < pair->entries.count ? *skip : pair->entries.count;
        *skip -= first;
        for (size_t e = first; e < pair->entries.count && copied < most; e++) {
            const struct entry *entry = &pair->entries.at[e];
            out[copied++] = (struct tm_map_entry){
                    .source_partition = partition,
                    .target_partition = pair->target,
                    .source_first = entry->source_first,
                    .source_last = entry->source_last,
                    .target_first = entry->target_first,
                    .target_last = entry->target_last,
                    .records = entry->records,
            };
        }
    }
    pthread_mutex_unlock(&part->lock);
    return copied;
}

size_t tm_restore_map_entries(struct tm_restore_map *map, uint32_t stream, size_t from, size_t most,
        struct tm_map_entry *out)
{
    size_t copied = 0;
    struct part *part = find_part(map, stream, 0);
    for (int32_t p = 0; part != NULL && copied < most; p++) {
        copied += copy_part(part, p, &from, most - copied, out + copied);
        part = find_part(map, stream, p + 1);
    }
    return copied;
}
