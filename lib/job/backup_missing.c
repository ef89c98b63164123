/* SPDX-License-Identifier: Apache-2.0 */
#include "job/backup_run.h"
#include "kafka/cluster_config.h"

enum { ASK_MS = 10 * 1000 };

/*
 * A cluster lists the topics that the principal may describe, and says nothing of the others. Asked for one
 * by name it tells a topic that is not there from one that may not be seen.
 */
void tm_backup_missing(struct backup_run *run, const char *topic)
{
    struct tm_rights rights = {.topic = topic};
    struct tm_arena arena = {0};
    struct tm_err ignored = {0};
    enum tm_code code =
            tm_kafka_topic_rights(run->options->kafka, &rights, 1, ASK_MS, &arena, &ignored);
    bool unseen = code == TM_OK && rights.code == TM_E_DENIED;
    tm_arena_done(&arena);
    if (unseen) {
        tm_backup_fail(run, topic, -1, "topic-missing",
                "the cluster shows no topic of this name to this client: it is not there, or it "
                "needs the rights DESCRIBE and READ on Topic");
    } else {
        tm_backup_fail(run, topic, -1, "topic-missing", "the cluster has no topic of this name");
    }
}
