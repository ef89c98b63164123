/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

enum {
    PASSPHRASE_MAX = 1024,
    ROOM = PASSPHRASE_MAX + 2, /* one newline, and one byte to see that there is more */
};

void cli_secret_done(struct cli_secret *secret)
{
    tm_secret_free(secret->room);
    *secret = (struct cli_secret){.room = NULL};
}

static enum tm_code io_failed(const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(err, tm_fs_code(sys_errno), "%s: %s", path, tm_errno_text(sys_errno));
}

/* Read the file, or as much of it as there is room for. */
static enum tm_code fill(const char *path, uint8_t *room, size_t *len, struct tm_err *err)
{
    TM_FD_OWN int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    if (fd < 0 || fstat(fd, &file) != 0) {
        return io_failed(path, err);
    }
    if (S_ISREG(file.st_mode) && (file.st_mode & 077) != 0) {
        return tm_err_set(err, TM_E_USAGE, "%s is readable by others (mode %04o); chmod 0600 %s",
                path, file.st_mode & 07777U, path);
    }
    *len = 0;
    while (*len < ROOM) {
        ssize_t got = read(fd, room + *len, ROOM - *len);
        if (got < 0 && errno != EINTR) {
            return io_failed(path, err);
        }
        if (got == 0) {
            break;
        }
        *len += got > 0 ? (size_t)got : 0;
    }
    return TM_OK;
}

static enum tm_code read_key(const char *path, struct cli_secret *out, struct tm_err *err)
{
    size_t len = 0;
    TM_TRY(fill(path, out->room, &len, err));
    if (len != TM_KEY_FILE_BYTES) {
        return tm_err_set(err, TM_E_USAGE,
                "%s has %s%zu bytes, %d are needed; make one with \"tidemark key new\"", path,
                len == ROOM ? "more than " : "", len - (len == ROOM ? 1 : 0), TM_KEY_FILE_BYTES);
    }
    out->secret = (struct tm_secret){TM_SECRET_KEY_FILE, tm_slice_of(out->room, len)};
    return TM_OK;
}

static enum tm_code read_passphrase(const char *path, struct cli_secret *out, struct tm_err *err)
{
    size_t len = 0;
    TM_TRY(fill(path, out->room, &len, err));
    len -= len > 0 && out->room[len - 1] == '\n' ? 1 : 0;
    if (len == 0 || len > PASSPHRASE_MAX) {
        return tm_err_set(
                err, TM_E_USAGE, "%s: a passphrase has 1 to %d bytes", path, PASSPHRASE_MAX);
    }
    out->secret = (struct tm_secret){TM_SECRET_PASSPHRASE, tm_slice_of(out->room, len)};
    return TM_OK;
}

enum tm_code cli_secret_read(const char *key_file, const char *passphrase_file,
        struct cli_secret *out, struct tm_err *err)
{
    out->room = tm_secret_new(ROOM);
    return key_file != NULL ? read_key(key_file, out, err)
                            : read_passphrase(passphrase_file, out, err);
}
