/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "tmd.h"

/* sd_notify(3): one datagram to the socket named by NOTIFY_SOCKET; "@" means an abstract name. */
void tmd_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe): never changed */
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path)) {
        return;
    }
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') {
        to.sun_path[0] = '\0';
    }
    TM_FD_OWN int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd >= 0) { /* a manager that does not listen is not our failure */
        (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, len);
    }
}

enum { LISTEN_FDS_START = 3 }; /* sd_listen_fds(3) */

enum tm_code tmd_listen_fd(const char *path, int *out, struct tm_err *err)
{
    const char *pid = getenv("LISTEN_PID"); /* NOLINT(concurrency-mt-unsafe): never changed */
    const char *fds = getenv("LISTEN_FDS"); /* NOLINT(concurrency-mt-unsafe): never changed */
    int64_t meant = 0;
    struct tm_err ignored = {0};
    *out = -1;
    if (pid == NULL || fds == NULL || tm_parse_i64(pid, &meant, &ignored) != TM_OK ||
            meant != getpid()) {
        return TM_OK; /* not for us */
    }
    struct sockaddr_un at = {0};
    socklen_t len = sizeof(at) - 1;
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (strcmp(fds, "1") != 0 ||
            getsockopt(LISTEN_FDS_START, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
            listens == 0 || getsockname(LISTEN_FDS_START, (struct sockaddr *)&at, &len) != 0 ||
            at.sun_family != AF_UNIX) {
        return tm_err_set(err, TM_E_USAGE,
                "LISTEN_FDS=%s: one Unix socket that listens can be passed, for server.socket",
                fds);
    }
    if (strcmp(at.sun_path, path) != 0) {
        return tm_err_set(err, TM_E_USAGE,
                "the socket that was passed is \"%s\", and server.socket is \"%s\": make them the "
                "same",
                at.sun_path, path);
    }
    if (fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC) != 0 ||
            fcntl(LISTEN_FDS_START, F_SETFL, O_NONBLOCK) != 0) {
        return tm_err_set(err, TM_E_IO, "the socket that was passed: %s", tm_errno_text(errno));
    }
    *out = LISTEN_FDS_START;
    return TM_OK;
}

int64_t tmd_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"); /* NOLINT(concurrency-mt-unsafe): never changed */
    const char *pid = getenv("WATCHDOG_PID");   /* NOLINT(concurrency-mt-unsafe): never changed */
    int64_t value = 0;
    struct tm_err ignored = {0};
    if (usec == NULL || tm_parse_i64(usec, &value, &ignored) != TM_OK || value <= 0) {
        return 0;
    }
    int64_t meant = 0;
    if (pid != NULL && (tm_parse_i64(pid, &meant, &ignored) != TM_OK || meant != getpid())) {
        return 0;
    }
    int64_t half = value / 2000;
    return half > 0 ? half : 1;
}
