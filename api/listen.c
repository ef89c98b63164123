/* SPDX-License-Identifier: Apache-2.0 */
#include "tm_api.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

enum { BACKLOG = 128, GROUP_BUFFER = 16384 };

/* Unix socket ------------------------------------------------------------------------------ */

static enum tm_code find_group(const char *name, gid_t *out, struct tm_err *err)
{
    struct group entry;
    struct group *found = NULL;
    char buffer[GROUP_BUFFER];
    if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
        return tm_err_set(err, TM_E_MISSING, "there is no group \"%s\"", name);
    }
    *out = found->gr_gid;
    return TM_OK;
}

/* Does a process listen there? A socket file whose process is gone refuses. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true;
    }
    bool alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                 (errno != ECONNREFUSED && errno != ENOENT);
    (void)close(fd);
    return alive;
}

/* Take away what a process that is gone left there; anything but a dead socket stays. */
static enum tm_code clear_path(const struct sockaddr_un *address, struct tm_err *err)
{
    struct stat file;
    const char *path = address->sun_path;
    if (lstat(path, &file) != 0) {
        return TM_OK;
    }
    if (!S_ISSOCK(file.st_mode)) {
        return tm_err_set(err, TM_E_EXISTS, "\"%s\" is there and is not a socket", path);
    }
    if (is_alive(address)) {
        return tm_err_set(err, TM_E_EXISTS, "another process listens on \"%s\"", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return tm_err_set(err, TM_E_IO, "remove old socket \"%s\": %s", path, tm_errno_text(errno));
    }
    return TM_OK;
}

static enum tm_code bind_unix(
        int fd, const struct sockaddr_un *address, const char *group, struct tm_err *err)
{
    const char *path = address->sun_path;
    bool shared = group != NULL && group[0] != '\0';
    gid_t gid = 0;
    if (shared) {
        enum tm_code code = find_group(group, &gid, err);
        if (code != TM_OK) {
            return code;
        }
    }
    /* The mode goes onto the descriptor first: bind(2) makes the file with it, never wider. */
    if (fchmod(fd, 0600) != 0 ||
            bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        return tm_err_set(err, TM_E_IO, "bind \"%s\": %s", path, tm_errno_text(errno));
    }
    if (shared && (chown(path, (uid_t)-1, gid) != 0 || chmod(path, 0660) != 0)) {
        return tm_err_set(
                err, TM_E_IO, "give \"%s\" to group \"%s\": %s", path, group, tm_errno_text(errno));
    }
    if (listen(fd, BACKLOG) != 0) {
        return tm_err_set(err, TM_E_IO, "listen on \"%s\": %s", path, tm_errno_text(errno));
    }
    return TM_OK;
}

enum tm_code tm_api_listen_unix(const char *path, const char *group, int *fd, struct tm_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path)) {
        return tm_err_set(err, TM_E_USAGE,
                "the path of a socket begins with / and has at most %zu bytes, got \"%s\"",
                sizeof(address.sun_path) - 1, path);
    }
    memcpy(address.sun_path, path, strlen(path));
    enum tm_code code = clear_path(&address, err);
    if (code != TM_OK) {
        return code;
    }
    int fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fresh < 0) {
        return tm_err_set(err, TM_E_IO, "make a socket: %s", tm_errno_text(errno));
    }
    code = bind_unix(fresh, &address, group, err);
    if (code != TM_OK) {
        (void)close(fresh);
        return code;
    }
    *fd = fresh;
    return TM_OK;
}

/* TCP -------------------------------------------------------------------------------------- */

struct host_port {
    char host[256];
    char port[8];
};

/* "127.0.0.1:8484", "[::1]:8484", "localhost:8484" */
static bool split(const char *text, struct host_port *out)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) {
        return false;
    }
    size_t len = (size_t)(colon - text);
    bool bracketed = text[0] == '[' && text[len - 1] == ']' && len > 2;
    if (bracketed) {
        text++;
        len -= 2;
    }
    size_t port_len = strlen(colon + 1);
    if (len >= sizeof(out->host) || port_len == 0 || port_len > 5 ||
            strspn(colon + 1, "0123456789") != port_len ||
            (!bracketed && memchr(text, ':', len) != NULL)) {
        return false;
    }
    memcpy(out->host, text, len);
    memcpy(out->port, colon + 1, port_len);
    return true;
}

static enum tm_code bind_tcp(
        int fd, const struct addrinfo *at, const char *host_port, struct tm_err *err)
{
    static const int one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
            bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        return tm_err_set(err, errno == EADDRINUSE ? TM_E_EXISTS : TM_E_IO, "listen on \"%s\": %s",
                host_port, tm_errno_text(errno));
    }
    return TM_OK;
}

enum tm_code tm_api_listen_tcp(const char *host_port, int *fd, struct tm_err *err)
{
    struct host_port parts = {0};
    int64_t port = 0;
    struct tm_err ignored = {0};
    if (!split(host_port, &parts) || tm_parse_i64(parts.port, &port, &ignored) != TM_OK ||
            port > UINT16_MAX) {
        return tm_err_set(err, TM_E_USAGE, "\"%s\" is not host:port", host_port);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(parts.host, parts.port, &hints, &found);
    if (failed != 0) {
        return tm_err_set(
                err, TM_E_IO, "find the address of \"%s\": %s", host_port, gai_strerror(failed));
    }
    enum tm_code code = TM_OK;
    int fresh = socket(
            found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, found->ai_protocol);
    if (fresh < 0) {
        code = tm_err_set(err, TM_E_IO, "make a socket: %s", tm_errno_text(errno));
    } else {
        code = bind_tcp(fresh, found, host_port, err);
    }
    freeaddrinfo(found);
    if (code != TM_OK) {
        if (fresh >= 0) {
            (void)close(fresh);
        }
        return code;
    }
    *fd = fresh;
    return TM_OK;
}
