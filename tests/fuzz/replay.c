/* SPDX-License-Identifier: Apache-2.0 */
/* Feed every file of the given folders to the fuzz target: the corpus as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 << 20 };

static int replay_file(const char *dir, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    TM_BUF_OWN struct tm_buf bytes = {0};
    struct tm_err err = {0};
    if (tm_fs_read(path, INPUT_MAX, &bytes, &err) != TM_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return EXIT_FAILURE;
    }
    /* A copy of exactly that size: the sanitizer sees a read behind it. */
    uint8_t *copy = tm_xalloc(bytes.len > 0 ? bytes.len : 1, 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.at, bytes.len);
    }
    (void)LLVMFuzzerTestOneInput(copy, bytes.len);
    free(copy);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    unsigned inputs = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            (void)fprintf(stderr, "%s: cannot be opened\n", argv[i]);
            return EXIT_FAILURE;
        }
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            if (entry->d_name[0] != '.' && replay_file(argv[i], entry->d_name) != EXIT_SUCCESS) {
                (void)closedir(dir);
                return EXIT_FAILURE;
            }
            inputs += entry->d_name[0] != '.' ? 1 : 0;
        }
        (void)closedir(dir);
    }
    (void)printf("%u inputs replayed\n", inputs);
    return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus proves nothing */
}
