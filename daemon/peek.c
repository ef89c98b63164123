/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a recovery point for somebody who waits: find the vault, then read on a thread of its own. */
#include "job/peek.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "errand.h"
#include "tmd.h"

struct peeking {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_peek_request request; /* texts in `arena` */
    struct tm_caller caller;
    const struct tm_config_vault *vault; /* NULL: not found */
    struct tm_buf text;
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static void answer(struct peeking *peeking, const struct tm_problem *problem)
{
    peeking->done(peeking->arg, problem == NULL ? tm_buf_text(&peeking->text) : NULL, problem);
    tm_buf_done(&peeking->text);
    tm_arena_done(&peeking->arena);
    free(peeking);
}

static enum tm_code peek(struct peeking *peeking, struct tm_err *err)
{
    TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(peeking->tmd);
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_peek_options options = {
            .point = peeking->request.point,
            .topic = peeking->request.topic,
            .partition = peeking->request.partition,
            .offset = peeking->request.offset,
            .limit = peeking->request.limit,
    };
    TM_TRY(tmd_vault(lease, peeking->vault, &options.vault, err));
    TM_TRY(tmd_catalog(peeking->tmd, peeking->vault, &catalog, err));
    options.catalog = catalog;
    return tm_peek(&options, &peeking->text, err);
}

static void work(void *arg)
{
    struct peeking *peeking = arg;
    TM_LATER(peek(peeking, &peeking->err));
}

static void worked(void *arg)
{
    struct peeking *peeking = arg;
    struct tm_problem problem;
    char point[TM_ULID_NAME_MAX];
    if (peeking->err.code != TM_OK) {
        tmd_problem_of(&peeking->err, &problem);
        answer(peeking, &problem);
        return;
    }
    /* Who has looked at contents stands in the log. */
    tm_log(TM_LOG_INFO, "point.peeked", "records were shown",
            TM_LOG_STR("point", tm_ulid_format(&peeking->request.point, "rp_", point)),
            TM_LOG_STR("topic", peeking->request.topic),
            TM_LOG_INT("partition", peeking->request.partition),
            TM_LOG_STR("by", peeking->caller.who),
            TM_LOG_STR("request_id", peeking->caller.request_id), TM_LOG_END);
    answer(peeking, NULL);
}

static void find_work(struct tmd_keep *keep, void *arg)
{
    struct peeking *peeking = arg;
    for (size_t v = 0; v < keep->config->vault_count && peeking->vault == NULL; v++) {
        struct tm_point point = {0};
        struct tm_err ignored = {0}; /* another vault may have it */
        if (keep->catalogs[v] != NULL &&
                tm_catalog_point(keep->catalogs[v], &peeking->request.point, &peeking->arena,
                        &point, &ignored) == TM_OK &&
                point.row.id != 0) {
            peeking->vault = &keep->config->vaults[v];
        }
    }
}

static void found(void *arg)
{
    struct peeking *peeking = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (peeking->vault == NULL) {
        tmd_unknown(
                &problem, "recovery-point", tm_ulid_format(&peeking->request.point, "rp_", name));
        answer(peeking, &problem);
    } else if (!tmd_errand(peeking->tmd, work, worked, peeking)) {
        tmd_errand_refused(peeking->tmd, "no records can be read now", &problem);
        answer(peeking, &problem);
    }
}

void tmd_control_peek(void *self, const struct tm_peek_request *request,
        const struct tm_caller *caller, tm_done_json done, void *arg)
{
    struct peeking *peeking = tm_xalloc(1, sizeof(*peeking));
    *peeking = (struct peeking){
            .tmd = self, .request = *request, .caller = *caller, .done = done, .arg = arg};
    peeking->caller.body = NULL;
    peeking->request.topic = tm_arena_strdup(&peeking->arena, request->topic);
    tmd_keeper_ask(self, find_work, found, peeking);
}
