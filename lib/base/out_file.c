/* SPDX-License-Identifier: Apache-2.0 */
#include "base/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

struct tm_out_file {
    int fd;
    bool regular;
    char *path;      /* as messages name it */
    char *temporary; /* NULL: written under its own name */
};

static enum tm_code failed(const char *action, const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(
            err, tm_fs_code(sys_errno), "%s %s: %s", action, path, tm_errno_text(sys_errno));
}

static char *copy(const char *text, const char *suffix)
{
    struct tm_buf buf = {0};
    tm_buf_add_fmt(&buf, "%s%s", text, suffix);
    return tm_buf_take_text(&buf);
}

/* A file of its own, beside the name that it will have. */
static enum tm_code open_temporary(struct tm_out_file *file, const char *path, struct tm_err *err)
{
    file->temporary = copy(path, ".tmp-XXXXXX");
    file->fd = mkostemp(file->temporary, O_CLOEXEC);
    if (file->fd < 0) {
        enum tm_code code = failed("create", file->temporary, err);
        free(TM_TAKE(file->temporary));
        return code;
    }
    return TM_OK;
}

static enum tm_code open_path(struct tm_out_file *file, const char *path, struct tm_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return errno == ENOENT ? open_temporary(file, path, err) : failed("look at", path, err);
    }
    if (S_ISREG(info.st_mode)) {
        return tm_err_set(err, TM_E_EXISTS, "%s is there already", path);
    }
    file->fd = open(path, O_WRONLY | O_CLOEXEC);
    return file->fd >= 0 ? TM_OK : failed("open", path, err);
}

enum tm_code tm_out_file_open(const char *path, struct tm_out_file **out, struct tm_err *err)
{
    struct stat info;
    TM_OWN(tm_out_file_free) struct tm_out_file *file = tm_xalloc(1, sizeof(*file));
    file->fd = STDOUT_FILENO;
    file->path = copy(path != NULL ? path : "standard output", "");
    if (path != NULL) {
        file->fd = -1;
        TM_TRY(open_path(file, path, err));
    }
    file->regular = fstat(file->fd, &info) == 0 && S_ISREG(info.st_mode);
    *out = TM_TAKE(file);
    return TM_OK;
}

enum tm_code tm_out_file_write(struct tm_out_file *file, struct tm_slice bytes, struct tm_err *err)
{
    return tm_fs_write_all(file->fd, file->path, bytes, err);
}

static enum tm_code name_it(struct tm_out_file *file, struct tm_err *err)
{
    if (rename(file->temporary, file->path) != 0) {
        return failed("rename to", file->path, err);
    }
    free(TM_TAKE(file->temporary));
    char *parent = tm_fs_parent(file->path);
    enum tm_code code = tm_fs_sync_dir(parent, err);
    free(parent);
    return code;
}

enum tm_code tm_out_file_finish(struct tm_out_file *file, struct tm_err *err)
{
    if (file->regular && fsync(file->fd) != 0) {
        return failed("sync", file->path, err);
    }
    if (file->fd != STDOUT_FILENO) {
        int fd = file->fd;
        file->fd = -1;
        if (close(fd) != 0) { /* NFS tells of a full disk here */
            return failed("close", file->path, err);
        }
    }
    return file->temporary != NULL ? name_it(file, err) : TM_OK;
}

void tm_out_file_free(struct tm_out_file *file)
{
    if (file == NULL) {
        return;
    }
    if (file->fd >= 0 && file->fd != STDOUT_FILENO) {
        (void)close(file->fd);
    }
    if (file->temporary != NULL) {
        (void)unlink(file->temporary);
    }
    free(file->temporary);
    free(file->path);
    free(file);
}
