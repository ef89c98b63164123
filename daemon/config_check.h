/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_check - a configuration that somebody sent is checked as a file would be, and the log's level changes for a while.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_CONFIG_CHECK_H
#define TM_DAEMON_CONFIG_CHECK_H

#include "tmd.h"

/* tm_control_ops.check_config: references and files of the text are not opened. */
void tmd_control_check_config(void *self, struct tm_slice text, tm_done_json done, void *arg);
/* tm_control_ops.log_level. for_ms 0: until a restart or a reload. */
void tmd_control_log_level(void *self, enum tm_log_level level, int64_t for_ms,
        const struct tm_caller *caller, tm_done_json done, void *arg);
/* That of the configuration, from now on. */
void tmd_log_level_reset(const struct tmd *tmd);

#endif
