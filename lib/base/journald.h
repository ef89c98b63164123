/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journald - lines of the log as entries of systemd's journal, each field by itself.
 *
 * A field "job" becomes TIDEMARK_JOB, so that "journalctl TIDEMARK_JOB=job_..." has the lines of a job. The protocol is one
 * datagram an entry: systemd's "Native Journal Protocol".
 *
 * Threads: any.
 */
#ifndef TM_BASE_JOURNALD_H
#define TM_BASE_JOURNALD_H

#include <stdbool.h>

#include "base/log.h"

/* Send one entry; false: there is no journal, or it does not take it. `priority` is syslog's. */
bool tm_journald_send(
        int priority, const char *event, const char *msg, const struct tm_log_field *fields);

#endif
