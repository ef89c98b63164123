/* SPDX-License-Identifier: Apache-2.0 */
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
