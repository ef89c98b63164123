/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live - which packs are still needed, and which may be dropped or merged.
 *
 * A run is live if a retained point's interval meets it, or it was stored less than its stream's
 * archive window (`keep`, the greatest counts) ago, or it ends above the greatest end any point of its
 * partition has had (progress that waits for its point). A pack is kept if it holds a live run, or if a
 * pack that is kept depends on it, be it by way of moves. All others are dead: one entry may drop all
 * of them.
 *
 * The answer is for a moment: a point or an archive window that comes later may need what was dead.
 * Whoever drops asks again in the build of the commit (tm_vault_build), on the fold it is built on.
 *
 * One pass over the points' changed rows and one over the runs. Memory: about 80 bytes a pack and 100 a
 * partition, however many points there are.
 *
 * Threads: as the handle. The caller must not hold a transaction.
 */
#ifndef TM_CATALOG_LIVE_H
#define TM_CATALOG_LIVE_H

#include "catalog/catalog.h"

struct tm_live_query {
    int64_t now_ms;
    const uint64_t
            *removed; /* ids of points (tm_row_point.id) to be taken as gone already, sorted */
    size_t removed_count;
};

struct tm_live_pack {
    struct tm_hash name;
    uint64_t size;
    int64_t stored_ms;
    int64_t live_bytes; /* canonical bytes of its live runs, and of the others */
    int64_t dead_bytes;
    bool has_dependants; /* a pack depends on it, be it by way of moves: it is never thinned */
    bool dead;           /* may be dropped */
    int64_t id;          /* of the catalog's row */
};

struct tm_live {
    struct tm_live_pack *packs; /* sorted by name; in `arena` */
    size_t count;
    uint64_t dead_bytes; /* stored bytes of the dead packs */
    size_t dead_count;
    struct tm_arena arena;
};
void tm_live_done(struct tm_live *live);

/* *out must be zeroed or done; _done afterwards in any case. */
enum tm_code tm_live_read(struct tm_catalog *catalog, const struct tm_live_query *query,
        struct tm_live *out, struct tm_err *err) TM_MUST_CHECK;
/* The pack of that name, or NULL. */
const struct tm_live_pack *tm_live_find(const struct tm_live *live, const struct tm_hash *name);

/* A run of a pack, and whether it is live (tm_live_runs). */
struct tm_live_run {
    struct tm_run run; /* `stream` is the log's number */
    struct tm_hash pack;
    bool live;
};
/*
 * Runs of the packs named, by stream, partition and offset; in `arena`. Names are sorted. The same
 * question as tm_live_read(), for few packs: those of a merge.
 */
enum tm_code tm_live_runs(struct tm_catalog *catalog, const struct tm_live_query *query,
        const struct tm_hash *packs, size_t pack_count, struct tm_arena *arena,
        struct tm_live_run **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

/* What became of a pack ------------------------------------------------------------------- */

enum tm_pack_fate {
    TM_PACK_UNKNOWN, /* the log does not name it (any more): an orphan, if it is stored */
    TM_PACK_HELD,
    TM_PACK_DROPPED, /* at *time_ms */
    TM_PACK_SWEPT,   /* announced at *time_ms; may be deleted at any time */
};
/* *time_ms is 0 where there is none. A pack that moved is dropped, swept or unknown. */
enum tm_code tm_live_fate(struct tm_catalog *catalog, const struct tm_hash *name,
        enum tm_pack_fate *fate, int64_t *time_ms, struct tm_err *err) TM_MUST_CHECK;

/*
 * The packs that have taken the place of `name`, those that are there now; itself when it is. Empty:
 * it was dropped, or was never there.
 */
enum tm_code tm_live_successors(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_hash **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

#endif
