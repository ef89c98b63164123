/* SPDX-License-Identifier: Apache-2.0 */
#include "store/dir_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int by_text(const void *a, const void *b)
{
    const struct tm_dir_name *first = a;
    const struct tm_dir_name *second = b;
    return strcmp(first->text, second->text);
}

/* Read on to the end; 0 or an errno. */
static int read_all(DIR *dir, const char *folder, const char *prefix, struct tm_dir_names *names)
{
    for (;;) {
        struct tm_dir_name name;
        errno = 0;
        const struct dirent *entry = readdir(dir); /* NOLINT: the stream is this thread's own */
        if (entry == NULL) {
            return errno;
        }
        int len = snprintf(name.text, sizeof(name.text), "%s/%s", folder, entry->d_name);
        bool whole = len > 0 && (size_t)len < sizeof(name.text) && entry->d_name[0] != '.';
        if (whole && strncmp(name.text, prefix, strlen(prefix)) == 0) {
            *tm_vec_push(&names->list) = name;
        }
    }
}

int tm_dir_names_read(
        int root_fd, const char *folder, const char *prefix, struct tm_dir_names *names)
{
    int fd = openat(root_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : errno;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int failed = errno;
        (void)close(fd);
        return failed;
    }
    int failed = read_all(dir, folder, prefix, names);
    (void)closedir(dir);
    if (names->list.count > 0) {
        qsort(names->list.at, names->list.count, sizeof(*names->list.at), by_text);
    }
    return failed;
}

void tm_dir_names_done(struct tm_dir_names *names)
{
    tm_vec_done(&names->list);
}
