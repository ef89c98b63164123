/* SPDX-License-Identifier: Apache-2.0 */
/* space_run - what the steps of space.h share. For space*.c alone. Threads: as space.h. */
#ifndef TM_JOB_SPACE_RUN_H
#define TM_JOB_SPACE_RUN_H

#include "catalog/live.h"
#include "job/space.h"

struct space_run {
    struct tm_space_options options; /* defaults filled in */
    struct tm_job_env *env;          /* NULL in a plan */
    struct tm_space_result *result;  /* likewise */
};

/* An object of pack/, as the store lists it. */
struct space_object {
    struct tm_hash name;
    uint64_t size;
    int64_t modified_ms;
    enum tm_pack_fate fate; /* as the fold has it; filled in by tm_space_sort_out() */
    int64_t fate_ms;
    bool due; /* to be announced (or was), and then deleted */
};
typedef TM_VEC(struct space_object) space_objects;

/* The packs of the store, in order of name. To be called before the log is read. */
enum tm_code tm_space_list(
        const struct space_run *run, space_objects *out, struct tm_err *err) TM_MUST_CHECK;
/*
 * What the fold says of each, and which are due. Those in use are left out. TM_E_IO and the like when
 * the store's clock cannot be asked, which is done where an orphan might be due.
 */
enum tm_code tm_space_sort_out(
        const struct space_run *run, space_objects *objects, struct tm_err *err) TM_MUST_CHECK;

enum tm_code tm_space_sweep(struct space_run *run, struct tm_err *err) TM_MUST_CHECK;

/* The packs of the next merge (names, sorted): none when there are too few. */
typedef TM_VEC(const struct tm_live_pack *) space_picks;
void tm_space_pick(const struct space_run *run, const struct tm_live *live, space_picks *out);
enum tm_code tm_space_merge(struct space_run *run, struct tm_err *err) TM_MUST_CHECK;

/* The store's own time, by an object made for that; the answer of one store needs no common clock. */
enum tm_code tm_space_store_now(
        struct tm_store *store, int64_t *out, struct tm_err *err) TM_MUST_CHECK;

enum tm_code tm_space_check_cancel(const struct space_run *run, struct tm_err *err) TM_MUST_CHECK;
void tm_space_phase(const struct space_run *run, enum tm_phase phase);

#endif
