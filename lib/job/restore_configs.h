/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_configs - the settings of a target topic: while records are written, and afterwards.
 *
 * While records are restored nothing may delete, compact, refuse or re-stamp them: a topic that is made
 * begins with settings that hold all of that off, and gets those of the recovery point in the end.
 *
 * Threads: pure, but for the arena they fill.
 */
#ifndef TM_JOB_RESTORE_CONFIGS_H
#define TM_JOB_RESTORE_CONFIGS_H

#include "job/restore.h"

/* What holds, by name; `count` of them. max.message.bytes, which is no constant, comes on top. */
const struct tm_pair *tm_restore_held(size_t *count);
/* The value that holds this setting off; NULL: it is none of those. */
const char *tm_restore_held_value(const char *name);
/* retention.ms, retention.bytes: what stays held after the restore, and is put back later. */
bool tm_restore_is_retention(const char *name);

/* The captured value; NULL: not set on the source topic. */
const char *tm_restore_captured(
        const struct tm_row_topic *captured, const char *name, struct tm_arena *arena);
/* Largest request-side size of a record whose canonical bytes are so many, as the broker counts it. */
int64_t tm_restore_record_bytes(int64_t largest);
/* max.message.bytes while records are written: no less than captured, than a batch, than the largest. */
int64_t tm_restore_message_bytes(
        const struct tm_row_topic *captured, int64_t largest, struct tm_arena *arena);

/* The settings that a topic is made with; those the target refuses (line->refused) are left out. */
size_t tm_restore_first_configs(const struct tm_restore_options *options,
        const struct tm_restore_topic *line, const struct tm_row_topic *captured,
        struct tm_arena *arena, struct tm_pair **out);
/*
 * What is set in the end: of the held ones the captured value, or NULL for the broker's default. With
 * `retention` the two that may stay held are among them, else not.
 */
size_t tm_restore_last_configs(const struct tm_restore_options *options,
        const struct tm_restore_topic *line, const struct tm_row_topic *captured, bool retention,
        struct tm_arena *arena, struct tm_pair **out);
bool tm_restore_refused(const struct tm_restore_topic *line, const char *name);

#endif
