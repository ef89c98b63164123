/* SPDX-License-Identifier: Apache-2.0 */
/* Note, tags and hold of a recovery point, changed by a commit on a thread of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control_vault.h"
#include "errand.h"
#include "job/marks.h"

struct patching {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_id16 ulid;
    struct tm_row_mark was; /* texts in `arena`, like the next one's */
    struct tm_row_mark will;
    const struct tm_config_vault *vault; /* NULL: the point is nowhere */
    struct tm_err err;
    tm_done_point done;
    void *arg;
};

static void copy_mark(
        const struct tm_row_mark *from, struct tm_arena *arena, struct tm_row_mark *to)
{
    *to = *from;
    to->note = tm_arena_dup(arena, from->note);
    to->hold_reason = tm_arena_dup(arena, from->hold_reason);
    to->tags = tm_arena_alloc(arena, from->tag_count + 1, sizeof(*to->tags));
    for (size_t i = 0; i < from->tag_count; i++) {
        to->tags[i] = tm_arena_dup(arena, from->tags[i]);
    }
}

/* `will` is what `was` becomes. */
static void apply_patch(struct patching *patching, const struct tm_point_patch *patch)
{
    struct tm_row_mark *will = &patching->will;
    struct tm_arena *arena = &patching->arena;
    copy_mark(&patching->was, arena, will);
    if (patch->has_note) {
        will->note = tm_slice_str(tm_arena_strdup(arena, patch->note));
    }
    if (patch->has_tags) {
        will->tags = tm_arena_alloc(arena, patch->tag_count + 1, sizeof(*will->tags));
        will->tag_count = patch->tag_count;
        for (size_t i = 0; i < patch->tag_count; i++) {
            will->tags[i] = tm_slice_str(tm_arena_strdup(arena, patch->tags[i]));
        }
    }
    if (patch->has_hold) {
        will->hold_until_ms = patch->hold_until_ms;
        will->hold_reason = tm_slice_str(
                tm_arena_strdup(arena, patch->hold_until_ms != 0 ? patch->hold_reason : ""));
    }
}

static void find_vault(struct tmd_keep *keep, void *arg)
{
    struct patching *patching = arg;
    for (size_t v = 0; patching->vault == NULL && v < keep->config->vault_count; v++) {
        struct tm_point point = {0};
        if (keep->catalogs[v] != NULL &&
                tm_catalog_point(keep->catalogs[v], &patching->ulid, &patching->arena, &point,
                        &patching->err) == TM_OK &&
                point.row.id != 0) {
            patching->vault = &keep->config->vaults[v];
        }
    }
}

static enum tm_code commit_marks(struct patching *patching, struct tm_err *err)
{
    TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(patching->tmd);
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_vault *vault = NULL;
    TM_TRY(tmd_vault(lease, patching->vault, &vault, err));
    TM_TRY(tmd_catalog(patching->tmd, patching->vault, &catalog, err));
    return tm_marks_set(vault, catalog, &patching->ulid, &patching->was, &patching->will, err);
}

static void commit_work(void *arg)
{
    struct patching *patching = arg;
    patching->err = (struct tm_err){0};
    TM_LATER(commit_marks(patching, &patching->err));
}

static void end_patching(struct patching *patching, const struct tm_problem *problem)
{
    if (problem != NULL) {
        patching->done(patching->arg, NULL, problem);
    } else { /* the keeper's catalog is the same file: it sees what was committed */
        tmd_point(patching->tmd, &patching->ulid, patching->done, patching->arg);
    }
    tm_arena_done(&patching->arena);
    free(patching);
}

static void committed(void *arg)
{
    struct patching *patching = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (patching->err.code == TM_OK) {
        end_patching(patching, NULL);
        return;
    }
    tmd_problem_of(&patching->err, &problem);
    if (patching->err.code == TM_E_MISSING) {
        tmd_unknown(&problem, "recovery-point", tm_ulid_format(&patching->ulid, "rp_", name));
    } else if (patching->err.code == TM_E_CONFLICT) {
        problem.status = 412;
        problem.slug = "precondition-failed";
    }
    end_patching(patching, &problem);
}

static void vault_found(void *arg)
{
    struct patching *patching = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (patching->vault == NULL) {
        tmd_unknown(&problem, "recovery-point", tm_ulid_format(&patching->ulid, "rp_", name));
        end_patching(patching, &problem);
    } else if (!tmd_vault_is_writable(patching->vault, &problem)) {
        end_patching(patching, &problem);
    } else if (!tmd_errand(patching->tmd, commit_work, committed, patching)) {
        tmd_errand_refused(patching->tmd, "no recovery point can be changed now", &problem);
        end_patching(patching, &problem);
    }
}

void tmd_control_patch_point(void *self, const struct tm_id16 *ulid,
        const struct tm_point_patch *patch, const struct tm_caller *caller, tm_done_point done,
        void *arg)
{
    struct patching *patching = tm_xalloc(1, sizeof(*patching));
    char name[TM_ULID_NAME_MAX];
    *patching = (struct patching){.tmd = self, .ulid = *ulid, .done = done, .arg = arg};
    copy_mark(&patch->was, &patching->arena, &patching->was);
    apply_patch(patching, patch);
    tm_log(TM_LOG_INFO, "audit", "recovery point changed", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id),
            TM_LOG_STR("point", tm_ulid_format(ulid, "rp_", name)), TM_LOG_END);
    tmd_keeper_ask(self, find_vault, vault_found, patching);
}
