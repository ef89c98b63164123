/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one event a line on standard error, for people and machines.
 *
 *   tm_log(TM_LOG_WARNING, "backup.partition-failed", "the partition could not be read to its end",
 *           TM_LOG_STR("job", id), TM_LOG_INT("partition", 3), TM_LOG_END);
 *
 * logfmt (ts= level= event= msg= key=value...), or another form by tm_log_init(). Under
 * systemd (JOURNAL_STREAM set) the "<N>" priority goes before and ts is left out. Event names are
 * API: they do not change. Never a secret, key or record content in a field.
 *
 * Libraries below lib/job never log at info or above: they return errors.
 *
 * Threads: any; a line is one write(2).
 */
#ifndef TM_BASE_LOG_H
#define TM_BASE_LOG_H

#include <stdint.h>

enum tm_log_level { TM_LOG_ERROR, TM_LOG_WARNING, TM_LOG_INFO, TM_LOG_DEBUG };
enum tm_log_format {
    TM_LOG_FORMAT_AUTO,
    TM_LOG_FORMAT_LOGFMT,
    TM_LOG_FORMAT_JSON,
    TM_LOG_FORMAT_TEXT,     /* for eyes: "TIME warning event: msg name=value" */
    TM_LOG_FORMAT_JOURNALD, /* entries of systemd's journal (journald.h); logfmt where there is none */
};

struct tm_log_field {
    const char *name; /* NULL ends the list */
    const char *text; /* NULL: `number` is the value */
    int64_t number;
};

#define TM_LOG_STR(name, text)   ((struct tm_log_field){(name), (text) != NULL ? (text) : "", 0})
#define TM_LOG_INT(name, number) ((struct tm_log_field){(name), NULL, (number)})
#define TM_LOG_END               ((struct tm_log_field){NULL, NULL, 0})

/* Before other threads start. Without it: level info, format auto (logfmt). */
void tm_log_init(enum tm_log_level level, enum tm_log_format format);
void tm_log_set_level(enum tm_log_level level);
void tm_log_set_format(enum tm_log_format format);

#define tm_log(level, event, msg, ...) \
    tm_log_fields((level), (event), (msg), (const struct tm_log_field[]){__VA_ARGS__})
void tm_log_fields(enum tm_log_level level, const char *event, const char *msg,
        const struct tm_log_field *fields);

/*
 * Have tap(level, job, line) called for each line that has a field "job", on the thread that logs, after it was written;
 * `line` ends with a newline. It must not log. NULL: no more.
 */
void tm_log_set_tap(void (*fn)(enum tm_log_level level, const char *job, const char *line));

const char *tm_log_level_name(enum tm_log_level level);
uint64_t tm_log_count(enum tm_log_level level); /* lines of that level since start, for metrics */

#endif
