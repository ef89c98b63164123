/* SPDX-License-Identifier: Apache-2.0 */
#include "base/journald.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

static const char usual_path[] = "/run/systemd/journal/socket";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int journal = -1; /* connected; -1: there is none */

static void connect_once(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* Another one, for tests and for containers. NOLINTNEXTLINE(concurrency-mt-unsafe): set by nobody */
    const char *path = getenv("TIDEMARK_JOURNAL_SOCKET");
    path = path != NULL ? path : usual_path;
    if (strlen(path) >= sizeof(address.sun_path)) {
        return;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        journal = fd;
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

/* A value with a newline is sent with its length in front: it cannot forge a field. */
static void add_field(struct tm_buf *out, const char *name, const char *value)
{
    TM_BUF_OWN struct tm_buf clean = {0};
    tm_utf8_clean(tm_slice_str(value), &clean);
    for (; *name != '\0'; name++) {
        bool plain = isalnum((unsigned char)*name) != 0;
        tm_buf_add_u8(out, plain ? (uint8_t)toupper((unsigned char)*name) : '_');
    }
    if (memchr(clean.at, '\n', clean.len) == NULL) {
        tm_buf_add_u8(out, '=');
    } else {
        tm_buf_add_u8(out, '\n');
        for (int i = 0; i < 64; i += 8) {
            tm_buf_add_u8(out, (uint8_t)((uint64_t)clean.len >> i));
        }
    }
    tm_buf_add(out, clean.at, clean.len);
    tm_buf_add_u8(out, '\n');
}

/* What journalctl shows by itself: the text, and what it is about. */
static void add_message(
        struct tm_buf *out, const char *event, const char *msg, const struct tm_log_field *fields)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_fmt(&text, "%s: %s", event, msg);
    for (; fields->name != NULL; fields++) {
        if (fields->text != NULL) {
            tm_buf_add_fmt(&text, " %s=%s", fields->name, fields->text);
        } else {
            tm_buf_add_fmt(&text, " %s=%" PRId64, fields->name, fields->number);
        }
    }
    add_field(out, "MESSAGE", tm_buf_text(&text));
}

bool tm_journald_send(
        int priority, const char *event, const char *msg, const struct tm_log_field *fields)
{
    (void)pthread_once(&once, connect_once);
    if (journal < 0) {
        return false;
    }
    TM_BUF_OWN struct tm_buf out = {0};
    add_message(&out, event, msg, fields);
    tm_buf_add_fmt(&out, "PRIORITY=%d\nSYSLOG_IDENTIFIER=tidemarkd\n", priority);
    add_field(&out, "TIDEMARK_EVENT", event);
    for (; fields->name != NULL; fields++) {
        TM_BUF_OWN struct tm_buf name = {0};
        TM_BUF_OWN struct tm_buf number = {0};
        tm_buf_add_fmt(&name, "TIDEMARK_%s", fields->name);
        tm_buf_add_fmt(&number, "%" PRId64, fields->number);
        add_field(&out, tm_buf_text(&name),
                fields->text != NULL ? fields->text : tm_buf_text(&number));
    }
    return send(journal, out.at, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
}
