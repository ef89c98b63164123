/* SPDX-License-Identifier: Apache-2.0 */
#include "safe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/locked.h"
#include "base/own.h"
#include "base/text.h"

struct tm_safe_box {
    struct tm_safe_box *next;
    size_t len;
    uint8_t bytes[];
};

void tm_safe_wipe(struct tm_safe *safe)
{
    while (safe->boxes != NULL) {
        struct tm_safe_box *box = safe->boxes;
        safe->boxes = box->next;
        tm_locked_free(box, sizeof(*box) + box->len + 1);
    }
    for (size_t i = 0; i < safe->files.count; i++) {
        free(safe->files.at[i]);
    }
    tm_vec_done(&safe->files);
}

uint8_t *tm_safe_alloc(struct tm_safe *safe, size_t len)
{
    struct tm_safe_box *box = tm_locked_new(sizeof(*box) + len + 1); /* zeroed */
    box->len = len;
    box->next = safe->boxes;
    safe->boxes = box;
    return box->bytes;
}

const char *tm_safe_text(struct tm_safe *safe, struct tm_slice text)
{
    uint8_t *copy = tm_safe_alloc(safe, text.len);
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    return (const char *)copy;
}

static enum tm_code failed(const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(
            err, tm_fs_code(sys_errno), "cannot read %s: %s", path, tm_errno_text(sys_errno));
}

void tm_safe_note(struct tm_safe *safe, const char *path)
{
    char *name = strdup(path);
    tm_assert(name != NULL);
    *tm_vec_push(&safe->files) = name; /* NOLINT(bugprone-sizeof-expression) */
}

/* Fill `room` bytes or less, to the end of the file. */
static enum tm_code fill(
        int fd, const char *path, uint8_t *at, size_t room, size_t *len, struct tm_err *err)
{
    size_t have = 0;
    while (have < room) {
        ssize_t got = read(fd, at + have, room - have);
        if (got < 0 && errno != EINTR) {
            return failed(path, err);
        }
        if (got == 0) {
            break;
        }
        have += got > 0 ? (size_t)got : 0;
    }
    *len = have;
    return TM_OK;
}

enum tm_code tm_safe_read(struct tm_safe *safe, const char *path, size_t max_bytes,
        struct tm_safe_file *out, struct tm_err *err)
{
    tm_safe_note(safe, path);
    /* Not to hang on a FIFO, which is refused below. */
    TM_FD_OWN int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat file;
    if (fd < 0 && errno == ENOENT) {
        return tm_err_set(err, TM_E_MISSING, "no file %s", path);
    }
    if (fd < 0 || fstat(fd, &file) != 0) {
        return failed(path, err);
    }
    if (!S_ISREG(file.st_mode)) {
        return tm_err_set(err, TM_E_IO, "%s is not a regular file", path);
    }
    /* One byte more shows that there is more; size 0 is what /proc says. */
    size_t room = file.st_size > 0 && (size_t)file.st_size < max_bytes ? (size_t)file.st_size + 1
                                                                       : max_bytes + 1;
    uint8_t *at = tm_safe_alloc(safe, room);
    size_t len = 0;
    enum tm_code code = fill(fd, path, at, room, &len, err);
    if (code != TM_OK) {
        return code;
    }
    if (len > max_bytes || (len == room && room <= max_bytes)) {
        return tm_err_set(err, TM_E_LIMIT, "%s has more than %zu bytes", path, max_bytes);
    }
    *out = (struct tm_safe_file){
            .bytes = tm_slice_of(at, len),
            .mode = file.st_mode & 07777,
    };
    return TM_OK;
}
