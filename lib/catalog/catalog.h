/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog - the fold of one vault's log in SQLite (WAL), and the questions asked of it.
 *
 * One file a vault: `<state>/catalog/<vault name>.db`. It is a cache: every row can be made again from the vault, and
 * deleting the file and starting again gives the same answers (a test does that). Rows are written by
 * one function only, the fold's apply, in one transaction an entry; so a reader sees whole entries.
 *
 * Errors: TM_E_CORRUPT damaged database (hint: delete it), TM_E_VERSION newer schema, TM_E_BUSY
 * locked for longer than 10 s, TM_E_FULL, TM_E_IO. Messages name the file.
 *
 * Threads: a handle belongs to one thread at a time; several handles on one file work side by side.
 */
#ifndef TM_CATALOG_CATALOG_H
#define TM_CATALOG_CATALOG_H

#include "base/arena.h"
#include "base/names.h"
#include "codec/entry.h"
#include "vault/fold.h"

struct tm_catalog;

/* Open or make the database; `path` in a folder that exists. */
enum tm_code tm_catalog_open(
        const char *path, struct tm_catalog **out, struct tm_err *err) TM_MUST_CHECK;
void tm_catalog_close(struct tm_catalog *catalog);
TM_OWNABLE(struct tm_catalog *, tm_catalog_close);
const char *tm_catalog_sqlite_version(void);

/* The table of functions by which the vault folds into this catalog; borrowed. */
struct tm_fold tm_catalog_fold(struct tm_catalog *catalog);

/* The vault's params as folded; defaults for those not there. */
enum tm_code tm_catalog_params(
        struct tm_catalog *catalog, struct tm_block_params *out, struct tm_err *err) TM_MUST_CHECK;

/* Streams ---------------------------------------------------------------------------------- */

struct tm_stream {
    uint32_t id; /* 0: none */
    uint32_t incarnation;
    struct tm_id16 topic_id;
    int64_t created_ms;
    struct tm_slice cluster_id;
    struct tm_slice topic;
};

/* The newest incarnation of (cluster id, topic); out->id is 0 when there is none. */
enum tm_code tm_catalog_stream(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice topic, struct tm_arena *arena, struct tm_stream *out,
        struct tm_err *err) TM_MUST_CHECK;
/* All streams, by id. */
enum tm_code tm_catalog_streams(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_stream **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_catalog_stream_by_id(struct tm_catalog *catalog, uint32_t id,
        struct tm_arena *arena, struct tm_stream *out, struct tm_err *err) TM_MUST_CHECK;
/* Greatest ids given so far; 0: none. The next free ones are one above. */
enum tm_code tm_catalog_last_ids(struct tm_catalog *catalog, uint32_t *stream, uint64_t *point,
        struct tm_err *err) TM_MUST_CHECK;

/* Tails (watermarks) of a stream's partitions, by partition; allocated in `arena`. */
enum tm_code tm_catalog_tails(struct tm_catalog *catalog, uint32_t stream, struct tm_arena *arena,
        struct tm_row_tail **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

/* Points ----------------------------------------------------------------------------------- */

/*
 * A point as it reads outside: the changed rows of the log folded into whole ones. `row.id` 0: there
 * is no such point. Rows are sorted by stream and partition. Everything lies in `arena`.
 */
struct tm_point {
    struct tm_row_point row;   /* gone_count is 0: rows are whole */
    struct tm_stream *streams; /* every stream the rows name, by id */
    size_t stream_count;
    struct tm_row_mark mark; /* empty when the point has none */
    bool damaged;            /* verification found a part of it missing or damaged (findings.h) */
};

enum tm_code tm_catalog_point(struct tm_catalog *catalog, const struct tm_id16 *ulid,
        struct tm_arena *arena, struct tm_point *out, struct tm_err *err) TM_MUST_CHECK;
/* The stream of that id, which a row names; NULL: no row does. O(log(streams)), any thread. */
const struct tm_stream *tm_point_stream(const struct tm_point *point, uint32_t id);
/* Its topic's name; "" where there is none. */
struct tm_slice tm_point_topic(const struct tm_point *point, uint32_t id);
/* The newest point of a policy of a cluster. */
enum tm_code tm_catalog_newest_point(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, struct tm_arena *arena, struct tm_point *out,
        struct tm_err *err) TM_MUST_CHECK;

/* What a point can be told as: damaged is what verification found, whatever it was before. */
enum tm_point_state { TM_POINT_IS_COMPLETE, TM_POINT_IS_PARTIAL, TM_POINT_IS_DAMAGED };
struct tm_point_query {
    struct tm_names clusters; /* by the name they had then */
    struct tm_names policies;
    struct tm_names topics;       /* points that have any of these (exact names) */
    int64_t since_ms;             /* captured at or after; INT64_MIN: any */
    int64_t until_ms;             /* captured before; INT64_MAX: any */
    int64_t covers_ms;            /* of policies with a stored record from before; 0: any */
    const struct tm_id16 *before; /* keyset: smaller ULIDs only; NULL: from the newest */
    unsigned states;              /* 1 << enum tm_point_state, of one or several; 0: any */
    const char *tag;              /* points that have this tag; NULL: any */
    int64_t held_ms;              /* only points that are held then; 0: any */
    int64_t not_held_ms;          /* only points that are not held then; 0: any */
    size_t limit;
};

struct tm_point_line {       /* what a list shows */
    struct tm_row_point row; /* without its lists */
    struct tm_row_mark mark;
    int64_t topics;
    int64_t partitions;
    int64_t messages;     /* records stored within the point's ranges */
    int64_t source_bytes; /* canonical bytes of them; runs cut by a bound count by their share */
    bool damaged;         /* as in struct tm_point */
};

/* How many there are, whatever `before` and `limit` say. O(points of the filter's columns). */
enum tm_code tm_catalog_count_points(struct tm_catalog *catalog, const struct tm_point_query *query,
        int64_t *count, struct tm_err *err) TM_MUST_CHECK;
/* Newest first. */
enum tm_code tm_catalog_points(struct tm_catalog *catalog, const struct tm_point_query *query,
        struct tm_arena *arena, struct tm_point_line **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

struct tm_point_totals { /* of all points of a policy, for metrics */
    int64_t count;
    int64_t oldest_ms;
    int64_t newest_ms;
};
enum tm_code tm_catalog_point_totals(struct tm_catalog *catalog, const char *policy,
        struct tm_point_totals *out, struct tm_err *err) TM_MUST_CHECK;

/* What is stored -------------------------------------------------------------------------- */

struct tm_stored_run { /* a run and the pack it lies in */
    struct tm_run run;
    struct tm_hash pack;
    uint64_t pack_size;
};

/* Runs that meet [start, end) of a stream partition, in offset order. */
enum tm_code tm_catalog_runs(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, struct tm_arena *arena, struct tm_stored_run **out,
        size_t *count, struct tm_err *err) TM_MUST_CHECK;
/* Gaps that meet it, in offset order. */
enum tm_code tm_catalog_gaps(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, struct tm_arena *arena, struct tm_row_gap **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

struct tm_part_totals { /* of the records stored in [start, end) */
    int64_t messages;   /* exact for whole runs; runs cut by a bound count by their share */
    int64_t bytes;
    int64_t largest;
    int64_t ts_min; /* INT64_MAX where there is no record */
    int64_t ts_max; /* INT64_MIN likewise */
    int64_t holes;  /* offsets without a record, in runs and in gaps of reason no-records */
    int64_t lost;   /* offsets in gaps that are a loss (any reason but no-records and skipped) */
};
enum tm_code tm_catalog_part_totals(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t start, int64_t end, struct tm_part_totals *out, struct tm_err *err) TM_MUST_CHECK;

/* A pack that is held. */
struct tm_pack_place {
    struct tm_hash name;
    uint64_t size;
};
/* The packs that are `name` or, by way of merges, hold what it held; none: it is gone. */
enum tm_code tm_catalog_pack_places(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_pack_place **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

/* Another handle on the same file, for another thread. */
enum tm_code tm_catalog_twin(const struct tm_catalog *catalog, struct tm_catalog **out,
        struct tm_err *err) TM_MUST_CHECK;

struct tm_vault_totals {
    int64_t points;
    int64_t packs;
    int64_t stored_bytes;
    int64_t source_bytes;   /* canonical bytes of all runs; O(runs) */
    int64_t database_bytes; /* of this file and its WAL */
};
enum tm_code tm_catalog_vault_totals(
        struct tm_catalog *catalog, struct tm_vault_totals *out, struct tm_err *err) TM_MUST_CHECK;

/* The last writer of a policy; writer is empty when there is none. */
enum tm_code tm_catalog_writer(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, struct tm_arena *arena, struct tm_row_writer *out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
