/* SPDX-License-Identifier: Apache-2.0 */
#include "clusters.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/metrics.h"
#include "clusters_look.h"
#include "errand.h"

enum {
    FIRST_MS = 10 * 1000,
    EVERY_MS = 5 * 60 * 1000,
    AGAIN_MS = 2 * 1000, /* the look before it is still at it */
};

struct tmd_clusters {
    uv_timer_t timer;
    tmd_seen_list seen;
    bool looking; /* by the timer */
    atomic_bool over;
};

static void seen_list_done(tmd_seen_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        tmd_seen_done(&list->at[i]);
    }
    tm_vec_done(list);
}

static const struct tmd_seen *find_seen(const struct tmd_clusters *clusters, const char *name)
{
    for (size_t i = 0; i < clusters->seen.count; i++) {
        if (strcmp(clusters->seen.at[i].config->name, name) == 0) {
            return &clusters->seen.at[i];
        }
    }
    return NULL;
}

/* Keeping what was seen ------------------------------------------------------------------------ */

static void show(const struct tm_config *config, const struct tmd_seen *seen)
{
    const struct tm_config_cluster *cluster = tm_config_find_cluster(config, seen->config->name);
    if (!tmd_cluster_is_read(config, cluster)) {
        return;
    }
    tm_metric_set(TM_M_KAFKA_UP, TM_LABELS(seen->config->name), seen->why == NULL ? 1 : 0);
    if (seen->why == NULL) {
        tm_metric_set(TM_M_TOPICS_UNPROTECTED, TM_LABELS(seen->config->name), (double)seen->bare);
    }
}

/* One that does not answer now keeps the counts of when it did. */
static void keep(struct tmd_clusters *clusters, struct tmd_seen *fresh)
{
    for (size_t i = 0; i < clusters->seen.count; i++) {
        struct tmd_seen *old = &clusters->seen.at[i];
        if (strcmp(old->config->name, fresh->config->name) != 0) {
            continue;
        }
        if (fresh->why != NULL) {
            free(old->why);
            old->why = fresh->why;
            fresh->why = NULL;
            old->looked_ms = fresh->looked_ms;
            old->config = fresh->config;
            return;
        }
        tmd_seen_done(old);
        *old = *fresh;
        *fresh = (struct tmd_seen){0};
        return;
    }
    *tm_vec_push(&clusters->seen) = *fresh;
    *fresh = (struct tmd_seen){0};
}

/* Is that still the cluster which has its name? */
static bool is_in_force(const struct tm_config *config, const struct tmd_seen *seen)
{
    const struct tm_config_cluster *now = tm_config_find_cluster(config, seen->config->name);
    return now != NULL && tm_config_same_cluster(now, seen->config);
}

static void keep_all(struct tmd_look *look)
{
    for (size_t i = 0; i < look->found.count; i++) {
        struct tmd_seen *seen = &look->found.at[i];
        if (is_in_force(look->tmd->config, seen)) {
            show(look->tmd->config, seen);
            keep(look->tmd->clusters, seen);
        }
    }
}

void tmd_clusters_adopt(struct tmd *tmd)
{
    tmd_seen_list *list = &tmd->clusters->seen;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct tmd_seen seen = list->at[i];
        if (is_in_force(tmd->config, &seen)) {
            list->at[kept++] = seen;
            continue;
        }
        if (tm_config_find_cluster(tmd->config, seen.config->name) == NULL) {
            tm_metric_forget("kafka_cluster", seen.config->name);
        }
        tmd_seen_done(&seen);
    }
    list->count = kept;
}

static void look_done(struct tmd_look *look)
{
    seen_list_done(&look->found);
    tm_topic_list_done(&look->list);
    tm_arena_done(&look->arena);
    free(look->text);
    free(look);
}

static void timer_due(uv_timer_t *timer);

static void set_timer(struct tmd *tmd, uint64_t wait_ms)
{
    struct tmd_clusters *clusters = tmd->clusters;
    if (!atomic_load(&clusters->over)) {
        clusters->timer.data = tmd;
        tm_assert(uv_timer_start(&clusters->timer, timer_due, wait_ms, 0) == 0);
        uv_unref((uv_handle_t *)&clusters->timer);
    }
}

static void looked(void *arg)
{
    struct tmd_look *look = arg;
    look->tmd->clusters->looking = false;
    keep_all(look);
    look_done(look);
}

static struct tmd_look *new_look(struct tmd *tmd)
{
    struct tmd_look *look = tm_xalloc(1, sizeof(*look));
    *look = (struct tmd_look){.tmd = tmd, .config = tmd->config, .over = &tmd->clusters->over};
    return look;
}

static void timer_due(uv_timer_t *timer)
{
    struct tmd *tmd = timer->data;
    struct tmd_look *look = new_look(tmd);
    if (tmd->clusters->looking || !tmd_errand(tmd, tmd_look_work, looked, look)) {
        look_done(look);
        set_timer(tmd, AGAIN_MS);
        return;
    }
    tmd->clusters->looking = true;
    set_timer(tmd, EVERY_MS);
}

struct tmd_clusters *tmd_clusters_new(struct tmd *tmd)
{
    struct tmd_clusters *clusters = tm_xalloc(1, sizeof(*clusters));
    tm_assert(uv_timer_init(&tmd->loop, &clusters->timer) == 0);
    return clusters;
}

void tmd_clusters_free(struct tmd_clusters *clusters)
{
    if (clusters != NULL) {
        seen_list_done(&clusters->seen);
        free(clusters);
    }
}

void tmd_clusters_start(struct tmd *tmd)
{
    set_timer(tmd, FIRST_MS);
}

void tmd_clusters_stop(struct tmd *tmd)
{
    atomic_store(&tmd->clusters->over, true);
    (void)uv_timer_stop(&tmd->clusters->timer);
}

int64_t tmd_clusters_unprotected(const struct tmd *tmd)
{
    int64_t sum = -1;
    const struct tm_config *config = tmd->config;
    for (size_t i = 0; i < config->cluster_count; i++) {
        const struct tmd_seen *seen = find_seen(tmd->clusters, config->clusters[i].name);
        if (seen != NULL && seen->topics > 0 && tmd_cluster_is_read(config, &config->clusters[i])) {
            sum = (sum < 0 ? 0 : sum) + seen->bare;
        }
    }
    return sum;
}

/* Answers --------------------------------------------------------------------------------------- */

static void add_seen(struct tm_json *json, const struct tmd_seen *seen)
{
    tm_json_add_bool(json, "up", seen->why == NULL);
    tm_json_add_time(json, "looked_at", seen->looked_ms);
    tm_json_add_str(json, "detail", seen->why);
    tm_json_add_str(json, "cluster_id", seen->id);
    if (seen->brokers > 0) { /* it has answered once */
        tm_json_add_int(json, "brokers_count", seen->brokers);
        tm_json_add_int(json, "topics_count", seen->topics);
        tm_json_add_int(json, "protected_topics_count", seen->covered);
        tm_json_add_int(json, "unprotected_topics_count", seen->bare);
        tm_json_add_int(json, "internal_topics_count", seen->internal);
    }
}

static struct tm_json *view_cluster(struct tmd *tmd, const struct tm_config_cluster *cluster)
{
    const struct tm_config *config = tmd->config;
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", cluster->name);
    tm_json_add_str(json, "bootstrap", cluster->bootstrap);
    struct tm_json *policies = tm_json_add(json, "policies", tm_json_array());
    for (size_t i = 0; i < config->policy_count; i++) {
        if (config->policies[i].cluster == cluster) {
            tm_json_push_str(policies, config->policies[i].name);
        }
    }
    const struct tmd_seen *seen = find_seen(tmd->clusters, cluster->name);
    if (seen != NULL) {
        add_seen(json, seen);
    }
    return json;
}

static void answer(tm_done_json done, void *arg, struct tm_json *json)
{
    char *text = tm_json_text(json);
    tm_json_free(json);
    done(arg, text, NULL);
    free(text);
}

void tmd_control_clusters(void *self, tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < tmd->config->cluster_count; i++) {
        (void)tm_json_push(items, view_cluster(tmd, &tmd->config->clusters[i]));
    }
    answer(done, arg, list);
}

static void answer_look(void *arg)
{
    struct tmd_look *look = arg;
    struct tmd *tmd = look->tmd;
    struct tm_problem problem = {0};
    keep_all(look);
    const struct tm_config_cluster *now = tm_config_find_cluster(tmd->config, look->one->name);
    if (look->query == NULL) {
        answer(look->done, look->arg, view_cluster(tmd, now != NULL ? now : look->one));
    } else if (look->err.code != TM_OK) {
        tmd_problem_of(&look->err, &problem);
        look->done(look->arg, NULL, &problem);
    } else {
        look->done(look->arg, look->text, NULL);
    }
    look_done(look);
}

static void refuse_unknown(const struct tmd *tmd, const char *name, tm_done_json done, void *arg)
{
    struct tm_problem problem;
    size_t count = tmd->config->cluster_count;
    const char **names = tm_xalloc(count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        names[i] = tmd->config->clusters[i].name;
    }
    tmd_unknown_among(&problem, "cluster", name, names, count);
    free(names);
    done(arg, NULL, &problem);
}

static void ask_one(struct tmd *tmd, const char *name, const struct tm_topics_query *query,
        tm_done_json done, void *arg)
{
    const struct tm_config_cluster *cluster = tm_config_find_cluster(tmd->config, name);
    if (cluster == NULL) {
        refuse_unknown(tmd, name, done, arg);
        return;
    }
    struct tmd_look *look = new_look(tmd);
    look->one = cluster;
    look->done = done;
    look->arg = arg;
    if (query != NULL) {
        struct tm_topics_query *own = tm_arena_alloc(&look->arena, 1, sizeof(*own));
        *own = *query;
        own->contains =
                query->contains != NULL ? tm_arena_strdup(&look->arena, query->contains) : NULL;
        own->after = query->after != NULL ? tm_arena_strdup(&look->arena, query->after) : NULL;
        look->query = own;
    }
    if (!tmd_errand(tmd, tmd_look_work, answer_look, look)) {
        struct tm_problem problem;
        tmd_errand_refused(tmd, "no cluster can be asked now", &problem);
        done(arg, NULL, &problem);
        look_done(look);
    }
}

void tmd_control_cluster(void *self, const char *name, tm_done_json done, void *arg)
{
    ask_one(self, name, NULL, done, arg);
}

void tmd_control_cluster_topics(
        void *self, const struct tm_topics_query *query, tm_done_json done, void *arg)
{
    ask_one(self, query->cluster, query, done, arg);
}
