/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/journald.h"
#include "base/text.h"

enum { LEVELS = TM_LOG_DEBUG + 1 };

/* The priorities are syslog's, as systemd takes them: sd-daemon(3). */
static const struct {
    const char *name;
    const char *prefix;
    int priority;
} levels[LEVELS] = {
        [TM_LOG_ERROR] = {"error", "<3>", 3},
        [TM_LOG_WARNING] = {"warning", "<4>", 4},
        [TM_LOG_INFO] = {"info", "<6>", 6},
        [TM_LOG_DEBUG] = {"debug", "<7>", 7},
};

static atomic_int max_level = TM_LOG_INFO;
static atomic_int line_format = TM_LOG_FORMAT_AUTO;
static atomic_uint_least64_t counts[LEVELS];

typedef void (*log_tap)(enum tm_log_level level, const char *job, const char *line);
static _Atomic(log_tap) tap;

static pthread_once_t journal_once = PTHREAD_ONCE_INIT;
static bool to_journal;

/* A shell started by a service of the user has JOURNAL_STREAM, too; there, stderr is a terminal. */
static void look_for_journal(void)
{
    const char *stream =
            getenv("JOURNAL_STREAM"); /* NOLINT(concurrency-mt-unsafe): set by nobody */
    to_journal = stream != NULL && stream[0] != '\0' && isatty(STDERR_FILENO) == 0;
}

void tm_log_init(enum tm_log_level level, enum tm_log_format format)
{
    tm_log_set_level(level);
    tm_log_set_format(format);
}

void tm_log_set_format(enum tm_log_format format)
{
    atomic_store(&line_format, (int)format);
}

void tm_log_set_level(enum tm_log_level level)
{
    atomic_store(&max_level, (int)level);
}

void tm_log_set_tap(void (*fn)(enum tm_log_level level, const char *job, const char *line))
{
    atomic_store(&tap, fn);
}

/* Lines of a job are for those who follow it, too. */
static void tell_tap(enum tm_log_level level, const struct tm_log_field *fields,
        const struct tm_buf *line, size_t prefix)
{
    log_tap to = atomic_load_explicit(&tap, memory_order_acquire);
    for (; to != NULL && fields->name != NULL; fields++) {
        if (fields->text != NULL && strcmp(fields->name, "job") == 0) {
            to(level, fields->text, tm_buf_text(line) + prefix);
            return;
        }
    }
}

const char *tm_log_level_name(enum tm_log_level level)
{
    return levels[level].name;
}

uint64_t tm_log_count(enum tm_log_level level)
{
    return atomic_load_explicit(&counts[level], memory_order_relaxed);
}

static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

static void add_escaped(struct tm_buf *line, uint8_t byte)
{
    if (byte == '\n') {
        tm_buf_add_text(line, "\\n");
    } else if (byte == '\t') {
        tm_buf_add_text(line, "\\t");
    } else if (is_control(byte)) {
        tm_buf_add_fmt(line, "\\u%04x", byte);
    } else if (byte == '"' || byte == '\\') {
        tm_buf_add_fmt(line, "\\%c", byte);
    } else {
        tm_buf_add_u8(line, byte);
    }
}

/* A string with the escapes that JSON and readers of logfmt share. */
static void add_quoted(struct tm_buf *line, const char *text)
{
    TM_BUF_OWN struct tm_buf clean = {0};
    tm_utf8_clean(tm_slice_str(text), &clean);
    tm_buf_add_u8(line, '"');
    for (size_t i = 0; i < clean.len; i++) {
        add_escaped(line, clean.at[i]);
    }
    tm_buf_add_u8(line, '"');
}

static bool is_plain(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == ' ' || *at == '=' || *at == '"' || *at == '\\' || is_control((uint8_t)*at)) {
            return false;
        }
    }
    return text[0] != '\0' && tm_is_utf8(tm_slice_str(text));
}

/* Where the line stands: how a name and its value are written. */
struct writer {
    struct tm_buf *line;
    bool json;
    bool first;
};

static void add_name(struct writer *writer, const char *name)
{
    if (!writer->first) {
        tm_buf_add_u8(writer->line, writer->json ? ',' : ' ');
    }
    writer->first = false;
    if (writer->json) {
        add_quoted(writer->line, name);
        tm_buf_add_u8(writer->line, ':');
    } else {
        tm_buf_add_text(writer->line, name);
        tm_buf_add_u8(writer->line, '=');
    }
}

static void add_text(struct writer *writer, const char *name, const char *text)
{
    add_name(writer, name);
    if (writer->json || !is_plain(text)) {
        add_quoted(writer->line, text);
    } else {
        tm_buf_add_text(writer->line, text);
    }
}

/* One write(2), so that lines of several threads do not mix; what cannot be written is lost. */
static void write_line(const struct tm_buf *line)
{
    size_t done = 0;
    while (done < line->len) {
        ssize_t wrote = write(STDERR_FILENO, line->at + done, line->len - done);
        if (wrote < 0 && errno != EINTR) {
            return;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
}

static void add_fields(struct writer *writer, const struct tm_log_field *fields)
{
    for (; fields->name != NULL; fields++) {
        if (fields->text != NULL) {
            add_text(writer, fields->name, fields->text);
        } else {
            add_name(writer, fields->name);
            tm_buf_add_fmt(writer->line, "%" PRId64, fields->number);
        }
    }
}

/* For machines. */
static void add_line(struct tm_buf *line, bool json, bool timed, enum tm_log_level level,
        const char *event, const char *msg, const struct tm_log_field *fields)
{
    struct writer writer = {.line = line, .json = json, .first = true};
    tm_buf_add_text(line, json ? "{" : "");
    if (timed) {
        char now[TM_TIME_TEXT_MAX];
        add_text(&writer, "ts", tm_time_format(tm_now_ms(), now));
    }
    add_text(&writer, "level", levels[level].name);
    add_text(&writer, "event", event);
    add_text(&writer, "msg", msg);
    add_fields(&writer, fields);
    tm_buf_add_text(line, json ? "}\n" : "\n");
}

/* For eyes: what happened first, what it is about behind it. No control character reaches the terminal. */
static void add_text_line(struct tm_buf *line, enum tm_log_level level, const char *event,
        const char *msg, const struct tm_log_field *fields)
{
    char now[TM_TIME_TEXT_MAX];
    struct writer writer = {.line = line};
    TM_BUF_OWN struct tm_buf clean = {0};
    tm_utf8_clean(tm_slice_str(msg), &clean);
    tm_buf_add_fmt(
            line, "%s %-7s %s: ", tm_time_format(tm_now_ms(), now), levels[level].name, event);
    for (size_t i = 0; i < clean.len; i++) {
        if (is_control(clean.at[i])) {
            add_escaped(line, clean.at[i]);
        } else {
            tm_buf_add_u8(line, clean.at[i]);
        }
    }
    add_fields(&writer, fields);
    tm_buf_add_text(line, "\n");
}

void tm_log_fields(enum tm_log_level level, const char *event, const char *msg,
        const struct tm_log_field *fields)
{
    if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed)) {
        return;
    }
    int kept = errno; /* who logs a failure may not have reported it yet */
    (void)pthread_once(&journal_once, look_for_journal);
    (void)atomic_fetch_add_explicit(&counts[level], 1, memory_order_relaxed);

    TM_BUF_OWN struct tm_buf line = {0};
    enum tm_log_format format = (enum tm_log_format)atomic_load(&line_format);
    bool prefixed = to_journal && format != TM_LOG_FORMAT_JOURNALD;
    tm_buf_add_text(&line, prefixed ? levels[level].prefix : "");
    if (format == TM_LOG_FORMAT_TEXT) {
        add_text_line(&line, level, event, msg, fields);
    } else {
        add_line(&line, format == TM_LOG_FORMAT_JSON, !prefixed, level, event, msg, fields);
    }
    if (format != TM_LOG_FORMAT_JOURNALD ||
            !tm_journald_send(levels[level].priority, event, msg, fields)) {
        write_line(&line);
    }
    tell_tap(level, fields, &line, prefixed ? strlen(levels[level].prefix) : 0);
    errno = kept;
}
