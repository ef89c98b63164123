/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/vec.h"
#include "errand.h"
#include "series.h"

enum {
    POINTS_MAX = 500,
    SERIES_POINTS_MAX = 10000, /* of a series: each is a handful of questions to the catalog */
    BASES_MAX = 16,
};

struct tick { /* a point, seen from the topic */
    struct tm_id16 ulid;
    int64_t at_ms;
    const char *policy;
    const char *vault;
    const char *state;
    int64_t messages; /* that it has and the policy's point before it has not */
    int64_t bytes;
    int64_t lost;        /* offsets likewise that were gone before they were captured */
    int64_t earliest_ms; /* of those records; INT64_MAX: none */
};

struct seen { /* the newest point of a policy so far: where it ends in the topic's partitions */
    const char *policy;
    TM_VEC(struct tm_row_part) parts;
};

struct timeline {
    struct tmd *tmd;
    const struct tm_config *config;
    struct tm_arena arena;
    struct tm_timeline_query query; /* texts in `arena` */
    int64_t caught_up_ms;           /* until when all that there was is stored; 0: not known */
    TM_VEC(struct tick) ticks;
    TM_VEC(struct seen) seen;
    bool more;     /* there are older ones than are looked at */
    bool has_base; /* and one from before the time asked for */
    char *text;
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static void timeline_done(struct timeline *timeline)
{
    for (size_t i = 0; i < timeline->seen.count; i++) {
        tm_vec_done(&timeline->seen.at[i].parts);
    }
    tm_vec_done(&timeline->seen);
    tm_vec_done(&timeline->ticks);
    tm_arena_done(&timeline->arena);
    free(timeline->text);
    free(timeline);
}

/* Points -------------------------------------------------------------------------------------- */

static struct seen *seen_of(struct timeline *timeline, const char *policy)
{
    for (size_t i = 0; i < timeline->seen.count; i++) {
        if (strcmp(timeline->seen.at[i].policy, policy) == 0) {
            return &timeline->seen.at[i];
        }
    }
    struct seen *made = tm_vec_push(&timeline->seen);
    made->policy = policy;
    return made;
}

static int64_t end_before(const struct seen *seen, const struct tm_row_part *part)
{
    for (size_t i = 0; i < seen->parts.count; i++) {
        const struct tm_row_part *old = &seen->parts.at[i];
        if (old->stream == part->stream && old->partition == part->partition) {
            return old->end < part->end ? old->end : part->end;
        }
    }
    return part->start;
}

static enum tm_code add_parts(struct timeline *timeline, struct tm_catalog *catalog,
        const struct tm_point *point, struct tick *tick, struct tm_err *err)
{
    struct seen *seen = seen_of(timeline, tick->policy);
    TM_VEC(struct tm_row_part) fresh = {0};
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < point->row.part_count; i++) {
        const struct tm_row_part *part = &point->row.parts[i];
        struct tm_part_totals totals = {0};
        if (!tm_slice_is(tm_point_topic(point, part->stream), timeline->query.topic)) {
            continue;
        }
        code = tm_catalog_part_totals(catalog, part->stream, part->partition,
                end_before(seen, part), part->end, &totals, err);
        tick->messages += totals.messages;
        tick->bytes += totals.bytes;
        tick->lost += totals.lost;
        tick->earliest_ms = totals.messages > 0 && totals.ts_min < tick->earliest_ms
                                    ? totals.ts_min
                                    : tick->earliest_ms;
        *tm_vec_push(&fresh) = *part;
    }
    tm_vec_done(&seen->parts);
    memcpy(&seen->parts, &fresh, sizeof(seen->parts));
    return code;
}

static enum tm_code add_point(struct timeline *timeline, struct tm_catalog *catalog,
        const struct tm_point_line *line, const char *vault, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_point point = {0};
    struct tick tick = {
            .ulid = line->row.ulid,
            .at_ms = line->row.time_ms,
            .policy = tm_arena_str(&timeline->arena, line->row.policy),
            .vault = vault,
            .state = line->damaged                               ? "damaged"
                     : (line->row.flags & TM_POINT_PARTIAL) != 0 ? "partial"
                                                                 : "complete",
            .earliest_ms = INT64_MAX,
    };
    enum tm_code code = tm_catalog_point(catalog, &line->row.ulid, &arena, &point, err);
    if (code == TM_OK) { /* one that has gone meanwhile has no parts */
        code = add_parts(timeline, catalog, &point, &tick, err);
        *tm_vec_push(&timeline->ticks) = tick;
    }
    tm_arena_done(&arena);
    return code;
}

/* The newest points from before the time asked for, one a policy: what they have is not new. */
static enum tm_code add_bases(
        struct timeline *timeline, struct tm_catalog *catalog, struct tm_err *err)
{
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_point_query query = {
            .clusters = tm_names_one(&timeline->query.cluster),
            .topics = tm_names_one(&timeline->query.topic),
            .since_ms = INT64_MIN,
            .until_ms = timeline->query.since_ms,
            .limit = BASES_MAX,
    };
    TM_TRY(tm_catalog_points(catalog, &query, &timeline->arena, &lines, &count, err));
    for (size_t i = 0; i < count; i++) {
        const char *policy = tm_arena_str(&timeline->arena, lines[i].row.policy);
        if (seen_of(timeline, policy)->parts.count == 0) {
            TM_TRY(add_point(timeline, catalog, &lines[i], "", err));
            timeline->ticks.count--; /* it is none of those asked for */
            timeline->has_base = true;
        }
    }
    return TM_OK;
}

static enum tm_code add_vault(
        struct timeline *timeline, const struct tm_config_vault *vault, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    size_t most = timeline->query.step_ms > 0 ? SERIES_POINTS_MAX : POINTS_MAX;
    struct tm_point_query query = {
            .clusters = tm_names_one(&timeline->query.cluster),
            .topics = tm_names_one(&timeline->query.topic),
            .since_ms = timeline->query.since_ms,
            .until_ms = timeline->query.until_ms,
            .limit = most + 1,
    };
    TM_TRY(tmd_catalog(timeline->tmd, vault, &catalog, err));
    TM_TRY(tm_catalog_points(catalog, &query, &timeline->arena, &lines, &count, err));
    TM_TRY(add_bases(timeline, catalog, err));
    timeline->more |= count > most;
    count = count > most ? most : count;
    for (size_t i = count; i > 0; i--) { /* the oldest first */
        TM_TRY(add_point(timeline, catalog, &lines[i - 1], vault->name, err));
    }
    return TM_OK;
}

/* The document -------------------------------------------------------------------------------- */

static int by_time(const void *left, const void *right)
{
    const struct tick *a = left;
    const struct tick *b = right;
    return (a->at_ms > b->at_ms) - (a->at_ms < b->at_ms);
}

struct interval {
    int64_t from_ms;
    int64_t to_ms;
    const char *state;
    int64_t lost;
};

/* A stretch that is as the one before it is part of that one. */
static void flush_interval(struct tm_json *list, const struct interval *interval)
{
    if (interval->state == NULL || interval->to_ms <= interval->from_ms) {
        return;
    }
    struct tm_json *json = tm_json_push(list, tm_json_object());
    tm_json_add_time(json, "from", interval->from_ms);
    tm_json_add_time(json, "to", interval->to_ms);
    tm_json_add_str(json, "state", interval->state);
    if (interval->lost > 0) {
        tm_json_add_int(json, "lost_offsets", interval->lost);
    }
}

static void extend(
        struct tm_json *list, struct interval *last, int64_t to_ms, const char *state, int64_t lost)
{
    if (last->state != NULL && strcmp(last->state, state) == 0 && lost == 0 && last->lost == 0) {
        last->to_ms = to_ms;
        return;
    }
    flush_interval(list, last);
    *last = (struct interval){last->to_ms, to_ms, state, lost};
}

static void add_intervals(struct tm_json *json, const struct timeline *timeline)
{
    struct tm_json *list = tm_json_add(json, "intervals", tm_json_array());
    int64_t end_ms = timeline->query.until_ms;
    struct interval last = {.from_ms = timeline->query.since_ms, .to_ms = timeline->query.since_ms};
    if (timeline->ticks.count > 0 && !timeline->has_base) { /* it has what is older, too */
        int64_t begin_ms = timeline->ticks.at[0].earliest_ms;
        begin_ms = begin_ms < timeline->ticks.at[0].at_ms ? begin_ms : timeline->ticks.at[0].at_ms;
        last.to_ms = begin_ms > last.to_ms ? begin_ms : last.to_ms;
    }
    for (size_t i = 0; i < timeline->ticks.count; i++) {
        const struct tick *tick = &timeline->ticks.at[i];
        extend(list, &last, tick->at_ms > last.to_ms ? tick->at_ms : last.to_ms,
                tick->lost > 0 ? "gap" : "covered", tick->lost);
    }
    bool any = timeline->ticks.count > 0 || timeline->has_base;
    if (any && timeline->caught_up_ms > last.to_ms) { /* runs that found nothing new */
        extend(list, &last, timeline->caught_up_ms < end_ms ? timeline->caught_up_ms : end_ms,
                "covered", 0);
    }
    if (end_ms > last.to_ms) {
        extend(list, &last, end_ms, "exposed", 0);
    }
    flush_interval(list, &last);
}

static void add_ticks(struct tm_json *json, const struct timeline *timeline)
{
    char id[TM_ULID_NAME_MAX];
    struct tm_json *list = tm_json_add(json, "points", tm_json_array());
    for (size_t i = 0; i < timeline->ticks.count; i++) {
        const struct tick *tick = &timeline->ticks.at[i];
        struct tm_json *row = tm_json_push(list, tm_json_object());
        tm_json_add_str(row, "id", tm_ulid_format(&tick->ulid, "rp_", id));
        tm_json_add_str(row, "policy", tick->policy);
        tm_json_add_str(row, "vault", tick->vault);
        tm_json_add_time(row, "at", tick->at_ms);
        tm_json_add_str(row, "state", tick->state);
        tm_json_add_int(row, "new_messages_count", tick->messages);
        tm_json_add_int(row, "new_source_bytes", tick->bytes);
        if (tick->lost > 0) {
            tm_json_add_int(row, "lost_offsets", tick->lost);
        }
    }
}

static void add_series(struct tm_json *json, const struct timeline *timeline)
{
    const struct tm_timeline_query *query = &timeline->query;
    struct tmd_series series;
    if (query->step_ms <= 0) {
        return;
    }
    tmd_series_init(&series, query->since_ms, query->until_ms, query->step_ms);
    for (size_t i = 0; i < timeline->ticks.count; i++) {
        const struct tick *tick = &timeline->ticks.at[i];
        tmd_series_add(&series, tick->at_ms, tick->messages, tick->bytes, tick->lost);
    }
    tmd_series_write(&series, json);
    tmd_series_done(&series);
}

static void work(void *arg)
{
    struct timeline *timeline = arg;
    for (size_t v = 0; v < timeline->config->vault_count; v++) {
        struct tm_err err = {0};
        if (add_vault(timeline, &timeline->config->vaults[v], &err) != TM_OK &&
                timeline->err.code == TM_OK) {
            timeline->err = err; /* told, unless another vault has something */
        }
    }
    if (timeline->ticks.count > 0) {
        qsort(timeline->ticks.at, timeline->ticks.count, sizeof(*timeline->ticks.at), by_time);
        timeline->err = (struct tm_err){0};
    }
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "topic", timeline->query.topic);
    tm_json_add_time(json, "since", timeline->query.since_ms);
    tm_json_add_time(json, "until", timeline->query.until_ms);
    tm_json_add_bool(json, "has_older", timeline->more);
    add_intervals(json, timeline);
    add_ticks(json, timeline);
    add_series(json, timeline);
    timeline->text = tm_json_text(json);
}

static void worked(void *arg)
{
    struct timeline *timeline = arg;
    struct tm_problem problem;
    if (timeline->err.code != TM_OK) {
        tmd_problem_of(&timeline->err, &problem);
        timeline->done(timeline->arg, NULL, &problem);
    } else {
        timeline->done(timeline->arg, timeline->text, NULL);
    }
    timeline_done(timeline);
}

/* Until when the last runs have stored all of the topic that there was: of the policy that is ahead. */
static int64_t caught_up_ms(struct tmd *tmd, const struct tm_timeline_query *query)
{
    const struct tm_status_row *rows = NULL;
    size_t count = tmd_status_rows(tmd, &rows);
    int64_t now_ms = tm_now_ms();
    int64_t newest_ms = 0;
    for (size_t i = 0; i < count; i++) {
        bool same = strcmp(rows[i].topic, query->topic) == 0 &&
                    (query->cluster == NULL || strcmp(rows[i].cluster, query->cluster) == 0);
        if (same && rows[i].exposure_ms >= 0 && now_ms - rows[i].exposure_ms > newest_ms) {
            newest_ms = now_ms - rows[i].exposure_ms;
        }
    }
    return newest_ms;
}

void tmd_control_timeline(
        void *self, const struct tm_timeline_query *query, tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    struct timeline *timeline = tm_xalloc(1, sizeof(*timeline));
    *timeline = (struct timeline){
            .tmd = tmd, .config = tmd->config, .query = *query, .done = done, .arg = arg};
    timeline->query.topic = tm_arena_strdup(&timeline->arena, query->topic);
    timeline->query.cluster = tm_arena_strdup(&timeline->arena, query->cluster);
    timeline->caught_up_ms = caught_up_ms(tmd, query);
    if (!tmd_errand(tmd, work, worked, timeline)) {
        struct tm_problem problem;
        tmd_errand_refused(tmd, "no timeline can be made now", &problem);
        done(arg, NULL, &problem);
        timeline_done(timeline);
    }
}
