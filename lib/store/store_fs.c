/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/ulid.h"
#include "store/dir_names.h"

/* The folders of a vault, as indices of fs_store.lasting; pack/<2 hex>/ are the first 256. */
enum { FOLDER_KEY = 256, FOLDER_LOG, FOLDER_PACK, FOLDER_TMP, FOLDERS };

enum {
    FILE_MODE = 0600,
    FOLDER_MODE = 0700,
    FOLDER_NAME_MAX = 8, /* "pack/ab" and NUL */
};

static const int64_t tmp_age_max_ms = INT64_C(24) * 60 * 60 * 1000;

/*
 * Invariant: base is the first member. Where lasting[i] is true, this process saw to it that the name
 * of folder i is on disk; a folder that is there may have been made by one that crashed before.
 */
struct fs_store {
    struct tm_store base;
    char *root;  /* absolute */
    int root_fd; /* a disk mounted over the folder, or unmounted, does not redirect what follows */
    atomic_bool lasting[FOLDERS];
};

static struct fs_store *fs_of(struct tm_store *store)
{
    return (struct fs_store *)store;
}

static enum tm_code report(const struct fs_store *fs, enum tm_code code, const char *name,
        const char *action, struct tm_err *err)
{
    return tm_err_set(
            err, code, "%s/%s: %s: %s", fs->base.where, name, action, tm_errno_text(errno));
}

/* Report the failure that errno tells of: "/srv/vault/log/0000000000000007: open: ...". */
static enum tm_code failed(
        const struct fs_store *fs, const char *name, const char *action, struct tm_err *err)
{
    return report(fs, tm_fs_code(errno), name, action, err);
}

/* The same for what makes objects: where a folder has gone, that is no missing object. */
static enum tm_code failed_making(
        const struct fs_store *fs, const char *name, const char *action, struct tm_err *err)
{
    enum tm_code code = tm_fs_code(errno);
    return report(fs, code == TM_E_MISSING ? TM_E_IO : code, name, action, err);
}

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* The folder that holds an object. */
static int folder_of(const char *name)
{
    switch (name[0]) {
    case 'k':
        return FOLDER_KEY;
    case 'l':
        return FOLDER_LOG;
    case 'p':
        return (int)(16 * hex_value(name[strlen("pack/")]) + hex_value(name[strlen("pack/") + 1]));
    default:
        return FOLDER_TMP;
    }
}

static const char *folder_name(int folder, char name[FOLDER_NAME_MAX])
{
    static const char *const names[] = {"key", "log", "pack", "tmp"};
    if (folder >= FOLDER_KEY) {
        return names[folder - FOLDER_KEY];
    }
    (void)snprintf(name, FOLDER_NAME_MAX, "pack/%02x", (unsigned)folder);
    return name;
}

/* fsync a folder of the vault, "." being the vault's own. */
static enum tm_code sync_folder(const struct fs_store *fs, const char *name, struct tm_err *err)
{
    TM_FD_OWN int fd = openat(fs->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* EINVAL: a file system on which folders need no sync, or have none to offer. */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        return failed_making(fs, name, "sync", err);
    }
    return TM_OK;
}

/* Make a folder unless it is there, and its name lasting unless this process did so before. */
static enum tm_code make_folder(struct fs_store *fs, int folder, struct tm_err *err)
{
    if (atomic_load_explicit(&fs->lasting[folder], memory_order_acquire)) {
        return TM_OK;
    }
    char buffer[FOLDER_NAME_MAX];
    const char *name = folder_name(folder, buffer);
    if (folder < FOLDER_KEY) {
        enum tm_code code = make_folder(fs, FOLDER_PACK, err);
        if (code != TM_OK) {
            return code;
        }
    }
    if (mkdirat(fs->root_fd, name, FOLDER_MODE) != 0 && errno != EEXIST) {
        return failed_making(fs, name, "make folder", err);
    }
    TM_FAULT("store.fs.folder-made");
    enum tm_code code = sync_folder(fs, folder < FOLDER_KEY ? "pack" : ".", err);
    if (code == TM_OK) {
        atomic_store_explicit(&fs->lasting[folder], true, memory_order_release);
    }
    return code;
}

/* A folder was removed while this process ran: people tidy up empty folders. */
static void forget_folder(struct fs_store *fs, int folder)
{
    atomic_store_explicit(&fs->lasting[folder], false, memory_order_release);
    if (folder < FOLDER_KEY) {
        atomic_store_explicit(&fs->lasting[FOLDER_PACK], false, memory_order_release);
    }
}

/* Open a new file of a random name in tmp/; the name goes to `name`. */
static enum tm_code open_tmp(
        struct fs_store *fs, char name[TM_OBJECT_NAME_MAX], int *out, struct tm_err *err)
{
    char ulid_text[TM_ULID_NAME_MAX];
    struct tm_id16 ulid = tm_ulid_make(tm_now_ms());
    (void)snprintf(name, TM_OBJECT_NAME_MAX, "tmp/%s.part", tm_ulid_format(&ulid, "", ulid_text));
    for (int attempt = 0;; attempt++) {
        enum tm_code code = make_folder(fs, FOLDER_TMP, err);
        if (code != TM_OK) {
            return code;
        }
        int fd = openat(fs->root_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        if (fd >= 0) {
            *out = fd;
            return TM_OK;
        }
        if (errno != ENOENT || attempt > 0) {
            return failed_making(fs, name, "make file", err);
        }
        forget_folder(fs, FOLDER_TMP);
    }
}

/* Is `name` a name of the open file? */
static bool is_name_of(const struct fs_store *fs, int fd, const char *name)
{
    struct stat file;
    struct stat named;
    return fstat(fd, &file) == 0 && fstatat(fs->root_fd, name, &named, 0) == 0 &&
           file.st_ino == named.st_ino && file.st_dev == named.st_dev;
}

/*
 * link(2), which gives 0 or an errno. On NFS a link may be made and its answer lost, and the
 * repetition then finds the name taken: the file that holds the name decides.
 */
static int try_link(const struct fs_store *fs, int fd, const char *tmp_name, const char *name)
{
    if (linkat(fs->root_fd, tmp_name, fs->root_fd, name, 0) == 0) {
        return 0;
    }
    int sys_errno = errno;
    return is_name_of(fs, fd, name) ? 0 : sys_errno;
}

/* Give the file its final name; *taken says that another has it. */
static enum tm_code link_to(struct fs_store *fs, int fd, const char *tmp_name, const char *name,
        bool *taken, struct tm_err *err)
{
    int folder = folder_of(name);
    int sys_errno = ENOENT;
    for (int attempt = 0; sys_errno == ENOENT && attempt < 2; attempt++) {
        if (attempt > 0) {
            forget_folder(fs, folder);
        }
        enum tm_code code = make_folder(fs, folder, err);
        if (code != TM_OK) {
            return code;
        }
        sys_errno = try_link(fs, fd, tmp_name, name);
    }
    *taken = sys_errno == EEXIST;
    if (sys_errno == 0 || *taken) {
        return TM_OK;
    }
    if (sys_errno == EPERM || sys_errno == EOPNOTSUPP || sys_errno == ENOSYS) {
        return tm_err_set(err, TM_E_UNSUPPORTED,
                "%s/%s: this file system has no hard links; hint: put the vault on another",
                fs->base.where, name);
    }
    errno = sys_errno;
    return failed_making(fs, name, "link", err);
}

static enum tm_code sync_folder_of(const struct fs_store *fs, const char *name, struct tm_err *err)
{
    char folder[FOLDER_NAME_MAX];
    return sync_folder(fs, folder_name(folder_of(name), folder), err);
}

/* Write the object beside its place, and give it its name when it is whole. */
static enum tm_code create_by_way_of(struct fs_store *fs, int fd, const char *tmp_name,
        const char *name, struct tm_slice bytes, struct tm_err *err)
{
    if (TM_FAULT_FAILS("store.fs.full")) {
        errno = ENOSPC;
        return failed(fs, name, "write", err);
    }
    enum tm_code code = tm_fs_write_all(fd, tmp_name, bytes, err);
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s/%s", fs->base.where, name);
    }
    if (fsync(fd) != 0) {
        return failed(fs, name, "sync", err);
    }
    TM_FAULT("store.fs.created");
    bool taken = false;
    code = link_to(fs, fd, tmp_name, name, &taken, err);
    if (code != TM_OK) {
        return code;
    }
    if (taken) {
        return tm_err_set(err, TM_E_EXISTS, "%s/%s: exists already", fs->base.where, name);
    }
    TM_FAULT("store.fs.linked");
    struct tm_err sync_err = {0};
    if (sync_folder_of(fs, name, &sync_err) != TM_OK) {
        /* Others see the object, a power cut may undo it: neither failed nor done. */
        return tm_err_set(err, TM_E_UNKNOWN, "%s", sync_err.msg);
    }
    TM_FAULT("store.fs.synced");
    return TM_OK;
}

static enum tm_code fs_create(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    struct fs_store *fs = fs_of(store);
    char tmp_name[TM_OBJECT_NAME_MAX];
    TM_FD_OWN int fd = -1;
    enum tm_code code = open_tmp(fs, tmp_name, &fd, err);
    if (code != TM_OK) {
        return code;
    }
    code = create_by_way_of(fs, fd, tmp_name, name, bytes, err);
    (void)unlinkat(fs->root_fd, tmp_name, 0); /* what is left here is removed a day later */
    return code;
}

static enum tm_code fs_spool_open(struct tm_store *store, struct tm_spool *out, struct tm_err *err)
{
    struct fs_store *fs = fs_of(store);
    char name[TM_OBJECT_NAME_MAX];
    int fd = -1;
    enum tm_code code = open_tmp(fs, name, &fd, err);
    if (code == TM_OK) {
        out->fd = fd;
        out->size = 0;
        (void)snprintf(out->path, sizeof(out->path), "%s/%s", fs->root, name);
    }
    return code;
}

/* The spool's name as seen from the vault's folder. */
static const char *inside(const struct fs_store *fs, const struct tm_spool *spool)
{
    size_t root = strlen(fs->root);
    tm_assert(strncmp(spool->path, fs->root, root) == 0 && spool->path[root] == '/');
    return spool->path + root + 1;
}

static void fs_spool_drop(struct tm_store *store, struct tm_spool *spool)
{
    const struct fs_store *fs = fs_of(store);
    if (spool->path[0] != '\0') { /* "": never opened, or dropped before */
        (void)unlinkat(fs->root_fd, inside(fs, spool), 0);
        tm_fd_close(&spool->fd);
        spool->path[0] = '\0';
    }
}

static enum tm_code size_differs(const struct fs_store *fs, const char *name, uint64_t has,
        uint64_t expected, struct tm_err *err)
{
    return tm_err_set(err, TM_E_CORRUPT, "%s/%s: has %" PRIu64 " bytes, not %" PRIu64,
            fs->base.where, name, has, expected);
}

/* The object that holds the name must be the spool's bytes: it was named by their hash. */
static enum tm_code check_same(const struct fs_store *fs, const char *name,
        const struct tm_spool *spool, struct tm_err *err)
{
    struct stat info;
    if (fstatat(fs->root_fd, name, &info, 0) != 0) {
        return failed(fs, name, "stat", err);
    }
    return (uint64_t)info.st_size == spool->size
                   ? TM_OK
                   : size_differs(fs, name, (uint64_t)info.st_size, spool->size, err);
}

static enum tm_code fs_put(
        struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    struct fs_store *fs = fs_of(store);
    struct stat info;
    if (fstat(spool->fd, &info) != 0 || fsync(spool->fd) != 0) {
        return failed(fs, name, "sync", err);
    }
    if ((uint64_t)info.st_size != spool->size) {
        return size_differs(fs, name, (uint64_t)info.st_size, spool->size, err);
    }
    TM_FAULT("store.fs.spooled");
    bool taken = false;
    enum tm_code code = link_to(fs, spool->fd, inside(fs, spool), name, &taken, err);
    if (code == TM_OK && taken) {
        code = check_same(fs, name, spool, err);
    }
    if (code != TM_OK) {
        return code;
    }
    TM_FAULT("store.fs.put-linked");
    /* Also when the name was taken: who made it may have died before this. */
    code = sync_folder_of(fs, name, err);
    TM_FAULT("store.fs.put-synced");
    return code;
}

/* Open an object for reading and tell its size. */
static enum tm_code open_object(
        const struct fs_store *fs, const char *name, int *out, uint64_t *size, struct tm_err *err)
{
    int fd = openat(fs->root_fd, name, O_RDONLY | O_CLOEXEC);
    struct stat info = {0};
    if (fd < 0 || fstat(fd, &info) != 0) {
        enum tm_code code = failed(fs, name, "open", err);
        tm_fd_close(&fd);
        return code;
    }
    if (!S_ISREG(info.st_mode)) {
        tm_fd_close(&fd);
        return tm_err_set(err, TM_E_CORRUPT, "%s/%s: is not a file", fs->base.where, name);
    }
    *size = (uint64_t)info.st_size;
    *out = fd;
    return TM_OK;
}

static enum tm_code fs_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    const struct fs_store *fs = fs_of(store);
    TM_FD_OWN int fd = -1;
    uint64_t size = 0;
    enum tm_code code = open_object(fs, name, &fd, &size, err);
    if (code != TM_OK) {
        return code;
    }
    if (size > max_bytes) {
        return tm_err_set(err, TM_E_LIMIT, "%s/%s: has %" PRIu64 " bytes, more than %zu",
                fs->base.where, name, size, max_bytes);
    }
    code = tm_fs_read_range(fd, name, 0, (size_t)size, out, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", fs->base.where);
}

static enum tm_code fs_range(struct tm_store *store, const char *name, uint64_t offset, size_t len,
        struct tm_buf *out, struct tm_err *err)
{
    const struct fs_store *fs = fs_of(store);
    TM_FD_OWN int fd = -1;
    uint64_t size = 0;
    enum tm_code code = open_object(fs, name, &fd, &size, err);
    if (code != TM_OK) {
        return code;
    }
    if (offset > size || len > size - offset) {
        return tm_err_set(err, TM_E_CORRUPT,
                "%s/%s: has %" PRIu64 " bytes; %zu were asked for from byte %" PRIu64,
                fs->base.where, name, size, len, offset);
    }
    code = tm_fs_read_range(fd, name, offset, len, out, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", fs->base.where);
}

static void info_of(const struct stat *from, struct tm_object_info *out)
{
    out->size = (uint64_t)from->st_size;
    out->modified_ms = (int64_t)from->st_mtim.tv_sec * 1000 + from->st_mtim.tv_nsec / 1000000;
}

static enum tm_code fs_stat(
        struct tm_store *store, const char *name, struct tm_object_info *out, struct tm_err *err)
{
    const struct fs_store *fs = fs_of(store);
    struct stat info;
    if (fstatat(fs->root_fd, name, &info, 0) != 0) {
        return failed(fs, name, "stat", err);
    }
    info_of(&info, out);
    return TM_OK;
}

static enum tm_code fs_remove(struct tm_store *store, const char *name, struct tm_err *err)
{
    const struct fs_store *fs = fs_of(store);
    int folder = folder_of(name);
    if (unlinkat(fs->root_fd, name, 0) != 0 && errno != ENOENT) {
        return failed(fs, name, "remove", err);
    }
    TM_FAULT("store.fs.removed");
    if (folder != FOLDER_KEY && folder != FOLDER_LOG) {
        return TM_OK; /* a pack that a power cut brings back is an orphan, and swept again */
    }
    /* A key slot stays revoked; and the log loses its oldest entries first, on disk too. */
    struct tm_err sync_err = {0};
    enum tm_code code = sync_folder_of(fs, name, &sync_err);
    if (code != TM_OK && sync_err.sys_errno != ENOENT) {
        *err = sync_err;
        return code;
    }
    return TM_OK;
}

struct walk {
    const struct fs_store *fs;
    const char *prefix;
    enum tm_code (*each)(
            void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err);
    void *arg;
};

static enum tm_code walk_folder(const struct walk *walk, int folder, struct tm_err *err)
{
    char buffer[FOLDER_NAME_MAX];
    const char *folder_text = folder_name(folder, buffer);
    size_t common =
            strlen(walk->prefix) < strlen(folder_text) ? strlen(walk->prefix) : strlen(folder_text);
    if (strncmp(walk->prefix, folder_text, common) != 0) {
        return TM_OK;
    }
    TM_DIR_NAMES_OWN struct tm_dir_names found = {0};
    int sys_errno = tm_dir_names_read(walk->fs->root_fd, folder_text, walk->prefix, &found);
    if (sys_errno != 0) {
        errno = sys_errno;
        return failed(walk->fs, folder_text, "list", err);
    }
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < found.list.count; i++) {
        const char *name = found.list.at[i].text;
        struct stat info;
        struct tm_object_info object;
        if (fstatat(walk->fs->root_fd, name, &info, 0) != 0) {
            /* Removed since it was listed: as if it had been removed before. */
            code = errno == ENOENT ? TM_OK : failed(walk->fs, name, "stat", err);
        } else if (S_ISREG(info.st_mode)) {
            info_of(&info, &object);
            code = walk->each(walk->arg, name, &object, err);
        }
    }
    return code;
}

static enum tm_code fs_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    struct walk walk = {.fs = fs_of(store), .prefix = prefix, .each = each, .arg = arg};
    enum tm_code code = walk_folder(&walk, FOLDER_KEY, err);
    if (code == TM_OK) {
        code = walk_folder(&walk, FOLDER_LOG, err);
    }
    for (int folder = 0; code == TM_OK && folder < FOLDER_KEY; folder++) {
        code = walk_folder(&walk, folder, err);
    }
    return code == TM_OK ? walk_folder(&walk, FOLDER_TMP, err) : code;
}

static void fs_free(struct tm_store *store)
{
    struct fs_store *fs = fs_of(store);
    tm_fd_close(&fs->root_fd);
    free(fs->root);
    free(fs);
}

static const struct tm_store_ops fs_ops = {
        .get = fs_get,
        .range = fs_range,
        .create = fs_create,
        .spool_open = fs_spool_open,
        .spool_drop = fs_spool_drop,
        .put = fs_put,
        .list = fs_list,
        .remove = fs_remove,
        .stat = fs_stat,
        .free = fs_free,
};

/* Remove what crashes left in tmp/. The store works without this, so failures are not reported. */
static void sweep_tmp(const struct fs_store *fs)
{
    TM_DIR_NAMES_OWN struct tm_dir_names found = {0};
    int64_t now_ms = tm_now_ms();
    (void)tm_dir_names_read(fs->root_fd, "tmp", "tmp/", &found);
    for (size_t i = 0; i < found.list.count; i++) {
        const char *name = found.list.at[i].text;
        struct stat info;
        struct tm_object_info object;
        if (fstatat(fs->root_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) {
            continue;
        }
        info_of(&info, &object);
        if (now_ms - object.modified_ms > tmp_age_max_ms) {
            (void)unlinkat(fs->root_fd, name, 0);
        }
    }
}

static enum tm_code open_root(const char *path, bool make, struct fs_store *fs, struct tm_err *err)
{
    if (make) {
        enum tm_code code = tm_fs_mkdirs(path, FOLDER_MODE, err);
        if (code != TM_OK) {
            return code;
        }
    }
    fs->root = realpath(path, NULL);
    fs->root_fd = fs->root != NULL ? open(fs->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int sys_errno = errno;
    if (fs->root_fd >= 0) {
        return TM_OK;
    }
    if (sys_errno == ENOENT) {
        return tm_err_set(err, TM_E_MISSING,
                "%s: no such folder; hint: is its disk mounted? a new vault needs \"create: true\"",
                path);
    }
    if (sys_errno == ENOTDIR) {
        return tm_err_set(err, TM_E_USAGE, "%s: is not a folder", path);
    }
    return tm_err_set(err, tm_fs_code(sys_errno), "%s: open: %s", path, tm_errno_text(sys_errno));
}

enum tm_code tm_store_fs_open(
        const char *path, bool make, struct tm_store **out, struct tm_err *err)
{
    struct fs_store *fs = tm_xalloc(1, sizeof(*fs));
    TM_OWN(tm_store_free) struct tm_store *store = &fs->base;
    fs->base.ops = &fs_ops;
    fs->base.backend = "disk";
    fs->root_fd = -1;
    (void)snprintf(fs->base.where, sizeof(fs->base.where), "%s", path);

    enum tm_code code = open_root(path, make, fs, err);
    if (code != TM_OK) {
        return code;
    }
    struct tm_spool spool;
    if (strlen(fs->root) + 1 + TM_OBJECT_NAME_MAX >= sizeof(spool.path)) {
        return tm_err_set(err, TM_E_LIMIT, "%s: the folder's path is too long", fs->base.where);
    }
    sweep_tmp(fs);
    *out = TM_TAKE(store);
    return TM_OK;
}
