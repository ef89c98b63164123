/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clusters - what is known of each cluster: whether it answers, and which of its topics no policy backs up.
 *
 * Clusters that a policy reads are looked at every few minutes (one metadata request); others, and those
 * somebody asks for, when they are asked for.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_CLUSTERS_H
#define TM_DAEMON_CLUSTERS_H

#include "tmd.h"

struct tmd_clusters *tmd_clusters_new(struct tmd *tmd);
void tmd_clusters_free(struct tmd_clusters *clusters);
void tmd_clusters_start(struct tmd *tmd); /* looks begin; again after a reload: one comes soon */
void tmd_clusters_stop(struct tmd *tmd);
void tmd_clusters_adopt(
        struct tmd *tmd); /* what was seen of clusters that are gone, or others now, is forgotten */
/* Topics that no policy selects, of all clusters that were looked at; -1: none was. */
int64_t tmd_clusters_unprotected(const struct tmd *tmd);

/* tm_control_ops of the same names. */
void tmd_control_clusters(void *self, tm_done_json done, void *arg);
void tmd_control_cluster(void *self, const char *name, tm_done_json done, void *arg);
void tmd_control_cluster_topics(
        void *self, const struct tm_topics_query *query, tm_done_json done, void *arg);

#endif
