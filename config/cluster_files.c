/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a cluster's librdkafka properties name: a client reads them once, so what is in them belongs to its
 * settings. A certificate that was renewed in its place makes the cluster another one.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/hash.h"
#include "loader.h"

enum { FILE_MAX = 4 << 20 }; /* a bundle of all authorities has a quarter of that */

static bool names_file(const char *property)
{
    static const char end[] = ".location";
    size_t len = strlen(property);
    return len > strlen(end) && strncmp(property, "ssl.", 4) == 0 &&
           strcmp(property + len - strlen(end), end) == 0;
}

/* Not to hang on a FIFO. */
static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

void tm_cluster_files(struct tm_loader *loader, struct tm_config_cluster *cluster)
{
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    for (size_t i = 0; loader->options->read_secrets && i < cluster->rdkafka_count; i++) {
        const struct tm_pair *pair = &cluster->rdkafka[i];
        TM_BUF_OWN struct tm_buf bytes = {0};
        struct tm_err ignored = {0}; /* the client itself will complain */
        if (names_file(pair->name) && is_file(pair->value) &&
                tm_fs_read(pair->value, FILE_MAX, &bytes, &ignored) == TM_OK) {
            struct tm_hash hash = tm_sha256_of(tm_buf_slice(&bytes));
            tm_sha256_add(sha, &hash, sizeof(hash));
            tm_safe_note(&loader->loaded->safe, pair->value);
        }
        if (bytes.len > 0) {
            explicit_bzero(bytes.at, bytes.len);
        }
    }
    cluster->files = tm_sha256_take(sha);
}
