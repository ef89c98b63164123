/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_place - room for a restore where something is: records purged, or topics deleted and made anew.
 *
 * Each begins with a row of the journal, so that a restore that was killed knows what it had begun: a purge is
 * done again as long as no record of the restore can lie in the topic; a topic is deleted again only while it is
 * the very topic, by its id, that was to be deleted.
 *
 * Threads: the job's.
 */
#ifndef TM_JOB_RESTORE_PLACE_H
#define TM_JOB_RESTORE_PLACE_H

#include "job/restore.h"

struct restore_run;
struct restore_topic;

enum tm_placing { /* what tm_restore_target.configs says of a topic that was there */
    TM_PLACING_NONE,
    TM_PLACING_TAKEN, /* offsets at which the records of the restore begin */
    TM_PLACING_PURGE,
    TM_PLACING_RECREATE,
};
enum tm_placing tm_restore_placing(const char *configs); /* NULL: none */

/* Delete the topic's records. Then it is empty, or something else writes to it. */
enum tm_code tm_restore_purge(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err) TM_MUST_CHECK;
/* Delete the topic. Returns when the brokers no longer know it. */
enum tm_code tm_restore_delete(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err) TM_MUST_CHECK;

#endif
