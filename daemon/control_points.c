/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTTP side asks about recovery points: the keeper looks into the catalogs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/findings.h"
#include "job/point_topics.h"
#include "point_rules.h"
#include "tmd.h"

/* Points -------------------------------------------------------------------------------------- */

struct points_question {
    struct tm_arena arena;
    struct tm_points_query query;
    struct tm_id16 before;
    struct tm_points_answer answer;
    struct tm_err err;
    tm_done_points done;
    void *arg;
};

struct merged {
    const struct tm_point_line *line;
    const char *vault;
    uint32_t kept_by;
};

static int newest_first(const void *left, const void *right)
{
    const struct merged *a = left;
    const struct merged *b = right;
    return memcmp(b->line->row.ulid.bytes, a->line->row.ulid.bytes, sizeof(a->line->row.ulid));
}

typedef TM_VEC(struct merged) merged_list;

/* The points of one vault, each with what keeps it. */
static enum tm_code add_points(const struct tmd_keep *keep, size_t vault,
        struct points_question *question, merged_list *all, struct tm_err *err)
{
    struct tm_arena *arena = &question->arena;
    int64_t here = 0;
    struct tm_point_line *lines = NULL;
    struct tmd_point_rule *rules = NULL;
    size_t count = 0;
    size_t rule_count = 0;
    struct tm_point_query query = question->query.catalog;
    if (question->query.topics.count > 0) {
        TM_TRY(tm_point_topics(
                keep->catalogs[vault], &question->query.topics, arena, &query.topics, err));
        if (query.topics.count == 0) {
            return TM_OK; /* none would mean any */
        }
    }
    TM_TRY(tm_catalog_points(keep->catalogs[vault], &query, arena, &lines, &count, err));
    if (question->query.counted) {
        TM_TRY(tm_catalog_count_points(keep->catalogs[vault], &query, &here, err));
        question->answer.total += here;
    }
    if (count > 0) {
        TM_TRY(tmd_point_rules(keep, vault, arena, &rules, &rule_count, err));
    }
    for (size_t i = 0; i < count; i++) {
        *tm_vec_push(all) = (struct merged){&lines[i], keep->config->vaults[vault].name,
                tmd_point_rule_of(rules, rule_count, &lines[i].row.ulid)};
    }
    return TM_OK;
}

static void take_newest(struct points_question *question, size_t limit, merged_list *all)
{
    struct tm_points_answer *answer = &question->answer;
    struct tm_arena *arena = &question->arena;
    qsort(all->at, all->count, sizeof(*all->at), newest_first);
    answer->more = all->count > limit;
    answer->count = all->count > limit ? limit : all->count;
    uint32_t *kept_by = tm_arena_alloc(arena, answer->count + 1, sizeof(*kept_by));
    answer->at = tm_arena_alloc(arena, answer->count + 1, sizeof(*answer->at));
    answer->vaults = tm_arena_alloc(arena, answer->count + 1, sizeof(*answer->vaults));
    answer->kept_by = kept_by;
    for (size_t i = 0; i < answer->count; i++) {
        answer->at[i] = *all->at[i].line;
        answer->vaults[i] = all->at[i].vault;
        kept_by[i] = all->at[i].kept_by;
    }
}

/* One more than asked for from each vault; the newest of them all are the answer. */
static void points_work(struct tmd_keep *keep, void *arg)
{
    struct points_question *question = arg;
    size_t limit = question->query.catalog.limit;
    merged_list all = {0};
    question->query.catalog.limit = limit + 1;
    for (size_t v = 0; v < keep->config->vault_count && question->err.code == TM_OK; v++) {
        if (keep->catalogs[v] != NULL) {
            TM_LATER(add_points(keep, v, question, &all, &question->err));
        }
    }
    if (all.count > 0) {
        take_newest(question, limit, &all);
    }
    tm_vec_done(&all);
}

static void points_done(void *arg)
{
    struct points_question *question = arg;
    struct tm_problem problem;
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, &problem);
    } else {
        question->done(question->arg, &question->answer, NULL);
    }
    tm_arena_done(&question->arena);
    free(question);
}

void tmd_points(void *self, const struct tm_points_query *query, tm_done_points done, void *arg)
{
    struct points_question *question = tm_xalloc(1, sizeof(*question));
    question->done = done;
    question->arg = arg;
    question->query = *query;
    struct tm_point_query *catalog = &question->query.catalog;
    catalog->clusters = tm_names_copy(&catalog->clusters, &question->arena);
    catalog->policies = tm_names_copy(&catalog->policies, &question->arena);
    question->query.topics = tm_names_copy(&question->query.topics, &question->arena);
    catalog->tag = tm_arena_strdup(&question->arena, catalog->tag);
    if (catalog->before != NULL) {
        question->before = *catalog->before;
        catalog->before = &question->before;
    }
    tmd_keeper_ask(self, points_work, points_done, question);
}

struct point_question {
    struct tm_arena arena;
    struct tm_id16 ulid;
    struct tm_point_answer answer;
    struct tm_err err;
    tm_done_point done;
    void *arg;
};

static enum tm_code fill_parts(struct tm_catalog *catalog, struct point_question *question)
{
    struct tm_point_answer *answer = &question->answer;
    size_t count = answer->point.row.part_count;
    answer->totals = tm_arena_alloc(&question->arena, count + 1, sizeof(*answer->totals));
    answer->gaps = tm_arena_alloc(&question->arena, count + 1, sizeof(struct tm_row_gap *));
    answer->gap_counts = tm_arena_alloc(&question->arena, count + 1, sizeof(size_t));
    answer->gaps_before = tm_arena_alloc(&question->arena, count + 1, sizeof(struct tm_row_gap *));
    answer->gap_before_counts = tm_arena_alloc(&question->arena, count + 1, sizeof(size_t));
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        const struct tm_row_part *part = &answer->point.row.parts[i];
        code = tm_catalog_part_totals(catalog, part->stream, part->partition, part->start,
                part->end, &answer->totals[i], &question->err);
        if (code == TM_OK) {
            code = tm_catalog_gaps(catalog, part->stream, part->partition, part->start, part->end,
                    &question->arena, &answer->gaps[i], &answer->gap_counts[i], &question->err);
        }
        if (code == TM_OK && part->start > 0) {
            code = tm_catalog_gaps(catalog, part->stream, part->partition, 0, part->start,
                    &question->arena, &answer->gaps_before[i], &answer->gap_before_counts[i],
                    &question->err);
        }
    }
    return code;
}

static enum tm_code fill_rule(
        const struct tmd_keep *keep, size_t vault, struct point_question *question)
{
    struct tmd_point_rule *rules = NULL;
    size_t count = 0;
    enum tm_code code =
            tmd_point_rules(keep, vault, &question->arena, &rules, &count, &question->err);
    if (code == TM_OK) {
        question->answer.kept_by = tmd_point_rule_of(rules, count, &question->ulid);
    }
    return code;
}

/* Is the point in this catalog? Then all that is told of it is in the answer, or its `err`. */
static enum tm_code look_for_point(const struct tmd_keep *keep, size_t vault,
        struct point_question *question, bool *found, struct tm_err *err)
{
    struct tm_catalog *catalog = keep->catalogs[vault];
    TM_TRY(tm_catalog_point(
            catalog, &question->ulid, &question->arena, &question->answer.point, err));
    *found = question->answer.point.row.id != 0;
    const struct tm_row_point *row = &question->answer.point.row;
    if (*found && fill_parts(catalog, question) == TM_OK &&
            fill_rule(keep, vault, question) == TM_OK) {
        TM_LATER(tm_findings_looked(
                catalog, row->parts, row->part_count, &question->answer.looked, &question->err));
    }
    return TM_OK;
}

static void point_work(struct tmd_keep *keep, void *arg)
{
    struct point_question *question = arg;
    struct tm_err failure = {0}; /* the first; what another vault answers goes before it */
    bool found = false;
    for (size_t v = 0; !found && v < keep->config->vault_count; v++) {
        struct tm_catalog *catalog = keep->catalogs[v];
        struct tm_err err = {0};
        question->answer.vault = keep->config->vaults[v].name;
        if (catalog != NULL && look_for_point(keep, v, question, &found, &err) != TM_OK &&
                failure.code == TM_OK) {
            failure = err;
        }
    }
    if (!found) {
        question->err = failure;
    }
}

static void point_done(void *arg)
{
    struct point_question *question = arg;
    struct tm_problem problem;
    char name[TM_ULID_NAME_MAX];
    if (question->err.code != TM_OK) {
        tmd_problem_of(&question->err, &problem);
        question->done(question->arg, NULL, &problem);
    } else if (question->answer.point.row.id == 0) {
        tmd_unknown(&problem, "recovery-point", tm_ulid_format(&question->ulid, "rp_", name));
        question->done(question->arg, NULL, &problem);
    } else {
        question->done(question->arg, &question->answer, NULL);
    }
    tm_arena_done(&question->arena);
    free(question);
}

void tmd_point(void *self, const struct tm_id16 *ulid, tm_done_point done, void *arg)
{
    struct point_question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct point_question){.ulid = *ulid, .done = done, .arg = arg};
    tmd_keeper_ask(self, point_work, point_done, question);
}
