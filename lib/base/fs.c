/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"

enum { READ_STEP = 65536 };

enum tm_code tm_fs_code(int sys_errno)
{
    switch (sys_errno) {
    case ENOENT:
        return TM_E_MISSING;
    case ENOSPC:
    case EDQUOT:
        return TM_E_FULL;
    case EACCES:
    case EPERM:
        return TM_E_DENIED;
    default:
        return TM_E_IO;
    }
}

/* Report the failure that errno tells of. */
static enum tm_code failed(const char *action, const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(
            err, tm_fs_code(sys_errno), "%s %s: %s", action, path, tm_errno_text(sys_errno));
}

void tm_fd_close(int *fd)
{
    if (*fd >= 0) {
        int kept = errno; /* a scope may end between a failure and its report */
        (void)close(*fd);
        errno = kept;
        *fd = -1;
    }
}

static ssize_t read_some(int fd, void *to, size_t len)
{
    for (;;) {
        ssize_t got = read(fd, to, len);
        if (got >= 0 || errno != EINTR) {
            return got;
        }
    }
}

static void cut_to(struct tm_buf *buf, size_t len)
{
    if (buf->at != NULL) {
        buf->len = len;
        buf->at[len] = 0;
    }
}

enum tm_code tm_fs_read(const char *path, size_t max_bytes, struct tm_buf *out, struct tm_err *err)
{
    TM_FD_OWN int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed("open", path, err);
    }
    size_t before = out->len;
    struct stat info;
    size_t step = READ_STEP;
    /* A file in /proc has size 0 and is not empty. */
    if (fstat(fd, &info) == 0 && info.st_size > 0 && info.st_size < READ_STEP) {
        step = (size_t)info.st_size + 1; /* one more, to see the end */
    }
    for (;;) {
        uint8_t *to = tm_buf_extend(out, step);
        ssize_t got = read_some(fd, to, step);
        cut_to(out, out->len - step + (got > 0 ? (size_t)got : 0));
        if (got < 0) {
            cut_to(out, before);
            return failed("read", path, err);
        }
        if (out->len - before > max_bytes) {
            cut_to(out, before);
            return tm_err_set(err, TM_E_LIMIT, "read %s: more than %zu bytes", path, max_bytes);
        }
        if (got == 0) {
            return TM_OK;
        }
    }
}

enum tm_code tm_fs_read_range(int fd, const char *path, uint64_t offset, size_t len,
        struct tm_buf *out, struct tm_err *err)
{
    size_t before = out->len;
    uint8_t *to = tm_buf_extend(out, len);
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, to + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            cut_to(out, before);
            return failed("read", path, err);
        }
        if (got == 0) {
            cut_to(out, before);
            return tm_err_set(err, TM_E_CORRUPT, "read %s: ends at byte %llu, before byte %llu",
                    path, (unsigned long long)(offset + done), (unsigned long long)(offset + len));
        }
        done += (size_t)got;
    }
    return TM_OK;
}

enum tm_code tm_fs_write_all(int fd, const char *path, struct tm_slice bytes, struct tm_err *err)
{
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t wrote = write(fd, bytes.at + done, bytes.len - done);
        if (wrote < 0 && errno != EINTR) {
            return failed("write", path, err);
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return TM_OK;
}

char *tm_fs_parent(const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    struct tm_buf parent = {0};
    tm_buf_add(&parent, len > 0 ? path : ".", len > 0 ? len : 1);
    return tm_buf_take_text(&parent);
}

enum tm_code tm_fs_sync_dir(const char *path, struct tm_err *err)
{
    TM_FD_OWN int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed("open", path, err);
    }
    return fsync(fd) == 0 ? TM_OK : failed("sync", path, err);
}

static enum tm_code write_new(
        int fd, const char *path, struct tm_slice bytes, unsigned mode, struct tm_err *err)
{
    if (fchmod(fd, (mode_t)mode) != 0) {
        return failed("set the mode of", path, err);
    }
    enum tm_code code = tm_fs_write_all(fd, path, bytes, err);
    if (code != TM_OK) {
        return code;
    }
    return fsync(fd) == 0 ? TM_OK : failed("sync", path, err);
}

static enum tm_code replace_by_way_of(
        char *temporary, const char *path, struct tm_slice bytes, unsigned mode, struct tm_err *err)
{
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return failed("create", temporary, err);
    }
    enum tm_code code = write_new(fd, temporary, bytes, mode, err);
    if (close(fd) != 0 && code == TM_OK) { /* NFS tells of a full disk here */
        code = failed("close", temporary, err);
    }
    if (code == TM_OK && rename(temporary, path) != 0) {
        code = failed("rename to", path, err);
    }
    if (code != TM_OK) {
        (void)unlink(temporary);
    }
    return code;
}

enum tm_code tm_fs_replace(
        const char *path, struct tm_slice bytes, unsigned mode, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf temporary = {0};
    tm_buf_add_fmt(&temporary, "%s.tmp-XXXXXX", path);
    enum tm_code code = replace_by_way_of((char *)temporary.at, path, bytes, mode, err);
    if (code != TM_OK) {
        return code;
    }
    char *parent = tm_fs_parent(path);
    code = tm_fs_sync_dir(parent, err);
    free(parent);
    return code;
}

/* Make one folder and have its name last. One that is there already is fine. */
static enum tm_code make_dir(const char *path, unsigned mode, struct tm_err *err)
{
    if (mkdir(path, (mode_t)mode) != 0) {
        struct stat info;
        if (errno == EEXIST && stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
            errno = ENOTDIR;
        }
        return errno == EEXIST ? TM_OK : failed("make folder", path, err);
    }
    if (chmod(path, (mode_t)mode) != 0) { /* whatever the umask */
        return failed("set the mode of", path, err);
    }
    char *parent = tm_fs_parent(path);
    struct tm_err sync_err = {0};
    enum tm_code code = tm_fs_sync_dir(parent, &sync_err);
    free(parent);
    if (code == TM_OK || code == TM_E_DENIED) { /* a parent that we may search but not read */
        return TM_OK;
    }
    *err = sync_err;
    return code;
}

enum tm_code tm_fs_mkdirs(const char *path, unsigned mode, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf prefix = {0};
    for (const char *at = path; *at != '\0';) {
        size_t slashes = strspn(at, "/");
        size_t name = strcspn(at + slashes, "/");
        if (name == 0) {
            break;
        }
        tm_buf_add(&prefix, at, slashes + name);
        at += slashes + name;
        enum tm_code code = make_dir(tm_buf_text(&prefix), mode, err);
        if (code != TM_OK) {
            return code;
        }
    }
    return TM_OK;
}
