/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_look - a look at the target before a restore: what restore_preflight.c and restore_creation.c share.
 *
 * Threads: the plan's.
 */
#ifndef TM_JOB_RESTORE_LOOK_H
#define TM_JOB_RESTORE_LOOK_H

#include "job/restore_preflight.h"
#include "job/restore_run.h"

struct restore_look { /* at the target */
    const struct tm_restore_options *options;
    struct tm_restore_plan *plan;
    int64_t now_ms;
    int32_t brokers;
    struct tm_preflight_limits defaults; /* of a new topic */
    bool no_deletion;                    /* delete.topic.enable=false */
    struct tm_settings *settings;        /* one a topic of the plan; count 0: not known */
    struct tm_rights *rights;
    bool unsupported; /* said already */
};

/* A finding of the plan, about a topic of the source or, NULL, about none. `detail` lies in the plan's arena. */
void tm_look_warn(
        struct restore_look *look, const char *code, const char *topic, const char *detail);
void tm_look_block(
        struct restore_look *look, const char *code, const char *topic, const char *detail);
/*
 * A question that got no answer. That a cluster does not offer or allow it is a warning; TM_OK: go on.
 * That it does not answer at all is a failure like any other.
 */
enum tm_code tm_look_not_known(struct restore_look *look, const char *topic, const char *what,
        const char *acl, struct tm_err *err) TM_MUST_CHECK;

/* What the cluster itself says to a topic that is to be made, with everything that would be asked for. */
enum tm_code tm_look_check_creation(struct restore_look *look, struct tm_restore_topic *line,
        const struct tm_row_topic *captured, struct tm_err *err) TM_MUST_CHECK;
/* Replicas: as captured, at most as many as there are brokers; and a topic must take records. */
void tm_look_choose_replicas(struct restore_look *look, struct tm_restore_topic *line,
        const struct tm_row_topic *captured);

#endif
