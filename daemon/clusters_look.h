/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusters_look - asking a cluster what it is and which topics it has, on a thread of an errand.
 *
 * Threads: one look belongs to one thread at a time.
 */
#ifndef TM_DAEMON_CLUSTERS_LOOK_H
#define TM_DAEMON_CLUSTERS_LOOK_H

#include "base/vec.h"
#include "tmd.h"

/* A cluster at the last look. */
struct tmd_seen {
    const struct tm_config_cluster *config; /* as it was looked at */
    int64_t looked_ms;
    char *why; /* it gave no answer; NULL: it did, and the rest is known */
    char *id;  /* NULL: it does not tell */
    int32_t brokers;
    int64_t topics;
    int64_t covered;
    int64_t bare;     /* that no policy selects, */
    int64_t internal; /* but for Kafka's own */
};
typedef TM_VEC(struct tmd_seen) tmd_seen_list;

struct tmd_look {
    struct tmd *tmd;
    const struct tm_config *config; /* of when it began */
    struct tm_arena arena;
    const struct tm_config_cluster *one; /* NULL: all that a policy reads */
    const struct tm_topics_query *query; /* its topics; NULL: only what is known of it */
    struct tm_topic_list list;           /* of the last cluster looked at */
    tmd_seen_list found;
    char *text;
    const atomic_bool *over; /* the daemon stops: no further cluster is asked */
    struct tm_err err;       /* of the last cluster */
    tm_done_json done;
    void *arg;
};

void tmd_seen_done(struct tmd_seen *seen);
/* Does a policy of the configuration back it up? */
bool tmd_cluster_is_read(const struct tm_config *config, const struct tm_config_cluster *cluster);
/* The errand: fills in what was found, of each cluster or of the one, and the page that was asked for. */
void tmd_look_work(void *arg); /* a struct tmd_look */

#endif
