/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings - what verification found to be damaged, and when packs were last looked at.
 *
 * Local rows beside the fold: no part of a dump, kept when the fold is begun anew, lost with the file. A
 * finding counts while its pack is in the fold (so a pack that is dropped or replaced takes its findings along)
 * and while something still looks at what it says: a point is damaged when one of its ranges meets a finding.
 *
 * Threads: as the handle. Errors as catalog.h.
 */
#ifndef TM_CATALOG_FINDINGS_H
#define TM_CATALOG_FINDINGS_H

#include "catalog/catalog.h"

enum tm_finding_kind {
    TM_FINDING_MISSING_PACK = 1,
    TM_FINDING_CORRUPT_PACK = 2,
    TM_FINDING_MISMATCH = 3, /* the log holds no run or gap for what a point needs; of no pack */
};
/* "missing_pack", "corrupt_pack", "catalog_mismatch"; static. */
const char *tm_finding_kind_name(enum tm_finding_kind kind);

/* One damaged range; a pack that is damaged as a whole has one for each of its runs. */
struct tm_finding {
    struct tm_hash pack; /* zero: of no pack */
    enum tm_finding_kind kind;
    int64_t block; /* of the pack; -1: the pack as a whole */
    uint32_t stream;
    int32_t partition;
    int64_t first;
    int64_t length;
    int64_t found_ms;
    const char *detail;
};

/*
 * The pack was looked at: these `count` findings (their `pack` and `found_ms` are taken from the arguments) take
 * the place of what was known of it; none: it is whole. A zero pack: the findings of no pack.
 */
enum tm_code tm_findings_put(struct tm_catalog *catalog, const struct tm_hash *pack, int64_t now_ms,
        const struct tm_finding *findings, size_t count, struct tm_err *err) TM_MUST_CHECK;
/*
 * Add to what is known of the pack (a finding at the same place is replaced). With `looked` the pack counts as
 * looked at, and of what is known of it as a whole (block -1) only what is given now stays.
 */
enum tm_code tm_findings_add(struct tm_catalog *catalog, const struct tm_hash *pack, int64_t now_ms,
        const struct tm_finding *findings, size_t count, bool looked,
        struct tm_err *err) TM_MUST_CHECK;
/* Forget what is known of packs that are no longer in the fold. */
enum tm_code tm_findings_tidy(struct tm_catalog *catalog, struct tm_err *err) TM_MUST_CHECK;

/* Those of packs that are in the fold, and of none, by pack and place; `pack` not NULL: only its own. */
enum tm_code tm_findings_list(struct tm_catalog *catalog, const struct tm_hash *pack,
        struct tm_arena *arena, struct tm_finding **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_findings_count(
        struct tm_catalog *catalog, int64_t *out, struct tm_err *err) TM_MUST_CHECK;

/* In damage.c: ULIDs of the points that are damaged now, ascending. */
enum tm_code tm_findings_points(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_id16 **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
/* How many points have any of [first, end) of the stream partition. */
enum tm_code tm_findings_points_of(struct tm_catalog *catalog, uint32_t stream, int32_t partition,
        int64_t first, int64_t end, int64_t *out, struct tm_err *err) TM_MUST_CHECK;

/* Packs ------------------------------------------------------------------------------------ */

struct tm_kept_pack { /* a pack of the fold */
    struct tm_hash name;
    uint64_t size;
    int64_t stored_ms;
    int64_t looked_ms; /* when it was last looked at, by scrub or verification; 0: never */
};
/* All packs of the fold: by name, or those first that were not looked at for longest. */
enum tm_code tm_findings_packs(struct tm_catalog *catalog, bool by_age, struct tm_arena *arena,
        struct tm_kept_pack **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
/*
 * In looked.c: the packs in which the ranges of a point's `parts` lie, and those they refer to. O(runs of the ranges).
 */
struct tm_looked {
    int64_t packs;
    int64_t never;     /* of them not looked at yet */
    int64_t oldest_ms; /* when the other one was looked at that was not for longest; 0: none */
};
enum tm_code tm_findings_looked(struct tm_catalog *catalog, const struct tm_row_part *parts,
        size_t count, struct tm_looked *out, struct tm_err *err) TM_MUST_CHECK;
/* One pack; out->size is 0 when the fold does not have it. */
enum tm_code tm_findings_pack(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_kept_pack *out, struct tm_err *err) TM_MUST_CHECK;
/* Its runs, by stream, partition and offset. */
enum tm_code tm_findings_pack_runs(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_run **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;
/* Packs that depend on it, be it by way of moves; by name. */
enum tm_code tm_findings_dependants(struct tm_catalog *catalog, const struct tm_hash *name,
        struct tm_arena *arena, struct tm_hash **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;
/* A pack and a dependency of it that leads to no pack that is there. */
struct tm_loose_dep {
    struct tm_hash pack;
    struct tm_hash target;
};
enum tm_code tm_findings_loose_deps(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_loose_dep **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

#endif
