/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "store/store_metrics.h"

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_free(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

/* The forms of names; 'h' stands for a lower-case hex digit. */
static const char *const forms[] = {
        "key/hhhhhhhhhhhhhhhh",
        "log/hhhhhhhhhhhhhhhh",
        "pack/hh/hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh",
};

static const char tmp_folder[] = "tmp/";

/* How many characters of `name` follow `form`: all of them when it is a name or the start of one. */
static size_t follows(const char *name, const char *form)
{
    size_t i = 0;
    /* The "h" of a form is no letter of the folders' names. */
    while (name[i] != '\0' && (form[i] == 'h' ? is_hex(name[i]) : name[i] == form[i])) {
        i++;
    }
    return i;
}

/* Is it tmp/ and a word that is no way out of the folder? An empty word only where `start` is. */
static bool is_tmp(const char *name, bool start)
{
    size_t folder = sizeof(tmp_folder) - 1;
    if (strncmp(name, tmp_folder, folder) != 0) {
        return start && strncmp(tmp_folder, name, strlen(name)) == 0;
    }
    const char *word = name + folder;
    size_t len = 0;
    while (is_free(word[len])) {
        len++;
    }
    bool way_out = strcmp(word, ".") == 0 || strcmp(word, "..") == 0;
    return word[len] == '\0' && (start || (len > 0 && !way_out));
}

/* Is it the name of an object, or, with `start`, the beginning of one? */
static bool is_name(const char *name, bool start)
{
    if (strnlen(name, TM_OBJECT_NAME_MAX + 1) > TM_OBJECT_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t len = follows(name, forms[i]);
        if (name[len] == '\0' && (start || forms[i][len] == '\0')) {
            return true;
        }
    }
    return is_tmp(name, start);
}

static enum tm_code check_name(const struct tm_store *store, const char *name, struct tm_err *err)
{
    if (!is_name(name, false)) {
        return tm_err_set(err, TM_E_USAGE, "%s: \"%.*s\" is not the name of an object",
                store->where, (int)TM_OBJECT_NAME_MAX, name);
    }
    return TM_OK;
}

/* For what would write. */
static enum tm_code check_writable(
        const struct tm_store *store, const char *action, struct tm_err *err)
{
    if (store->read_only) {
        return tm_err_set(err, TM_E_DENIED,
                "%s: the vault is read_only here, so nothing is %s; hint: ask the daemon that "
                "backs up into it",
                store->where, action);
    }
    return TM_OK;
}

void tm_store_free(struct tm_store *store)
{
    if (store != NULL) {
        store->ops->free(store);
    }
}

enum tm_code tm_store_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    TM_TRY(check_name(store, name, err));
    int64_t begin_ns = tm_mono_ns();
    size_t before = out->len;
    enum tm_code code = store->ops->get(store, name, max_bytes, out, err);
    tm_store_count_read(store, code == TM_OK ? out->len - before : 0);
    return tm_store_observe(store, "get", begin_ns, code);
}

enum tm_code tm_store_range(struct tm_store *store, const char *name, uint64_t offset, size_t len,
        struct tm_buf *out, struct tm_err *err)
{
    TM_TRY(check_name(store, name, err));
    int64_t begin_ns = tm_mono_ns();
    size_t before = out->len;
    enum tm_code code = store->ops->range(store, name, offset, len, out, err);
    tm_store_count_read(store, code == TM_OK ? out->len - before : 0);
    return tm_store_observe(store, "range", begin_ns, code);
}

enum tm_code tm_store_create(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    TM_TRY(check_name(store, name, err));
    TM_TRY(check_writable(store, "stored", err));
    int64_t begin_ns = tm_mono_ns();
    enum tm_code code = store->ops->create(store, name, bytes, err);
    return tm_store_observe(store, "create", begin_ns, code);
}

enum tm_code tm_store_spool_open(struct tm_store *store, struct tm_spool *out, struct tm_err *err)
{
    TM_TRY(check_writable(store, "stored", err));
    return store->ops->spool_open(store, out, err);
}

void tm_store_spool_drop(struct tm_store *store, struct tm_spool *spool)
{
    store->ops->spool_drop(store, spool);
}

enum tm_code tm_store_put(
        struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    TM_TRY(check_name(store, name, err));
    TM_TRY(check_writable(store, "stored", err));
    int64_t begin_ns = tm_mono_ns();
    enum tm_code code = store->ops->put(store, name, spool, err);
    return tm_store_observe(store, "put", begin_ns, code);
}

/* What stands between a backend's listing and its reader. */
struct listing {
    const char *prefix;
    char last[TM_OBJECT_NAME_MAX + 1]; /* the name given before; "" at first */
    enum tm_code (*each)(
            void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err);
    void *arg;
    bool refused; /* each() ended it */
};

/* Folders and buckets hold other things too; and readers merge listings, so order is a promise. */
static enum tm_code pass_on(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    struct listing *listing = arg;
    if (!is_name(name, false) || strncmp(name, listing->prefix, strlen(listing->prefix)) != 0) {
        return TM_OK;
    }
    if (strcmp(name, listing->last) <= 0) {
        return tm_err_set(err, TM_E_IO, "listing: %s comes after %s", name, listing->last);
    }
    memcpy(listing->last, name, strlen(name) + 1);
    enum tm_code code = listing->each(listing->arg, name, info, err);
    listing->refused = code != TM_OK;
    return code;
}

enum tm_code tm_store_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    if (!is_name(prefix, true)) {
        return tm_err_set(err, TM_E_USAGE, "%s: \"%.*s\" is not the start of an object's name",
                store->where, (int)TM_OBJECT_NAME_MAX, prefix);
    }
    struct listing listing = {.prefix = prefix, .each = each, .arg = arg};
    int64_t begin_ns = tm_mono_ns();
    enum tm_code code = store->ops->list(store, prefix, pass_on, &listing, err);
    /* What the reader of the listing says is no failure of the store. */
    return listing.refused ? code : tm_store_observe(store, "list", begin_ns, code);
}

enum tm_code tm_store_remove(struct tm_store *store, const char *name, struct tm_err *err)
{
    TM_TRY(check_name(store, name, err));
    TM_TRY(check_writable(store, "removed", err));
    int64_t begin_ns = tm_mono_ns();
    enum tm_code code = store->ops->remove(store, name, err);
    return tm_store_observe(store, "remove", begin_ns, code);
}

enum tm_code tm_store_stat(
        struct tm_store *store, const char *name, struct tm_object_info *out, struct tm_err *err)
{
    TM_TRY(check_name(store, name, err));
    int64_t begin_ns = tm_mono_ns();
    enum tm_code code = store->ops->stat(store, name, out, err);
    return tm_store_observe(store, "stat", begin_ns, code);
}

/* The second create of a name: the answer must be that it is taken. */
static enum tm_code create_again(struct tm_store *store, const char *name, struct tm_err *err)
{
    struct tm_err second = {0};
    enum tm_code code = tm_store_create(store, name, tm_slice_str("second"), &second);
    if (code == TM_E_EXISTS) {
        return TM_OK;
    }
    if (code == TM_OK && store->trust_single_writer) {
        return TM_OK;
    }
    if (code == TM_OK) {
        return tm_err_set(err, TM_E_UNSUPPORTED,
                "%s: an object was created twice under one name, so two writers could overwrite "
                "each other here; hint: use a store with conditional writes",
                store->where);
    }
    *err = second;
    return code;
}

static enum tm_code pass_over(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)arg;
    (void)name;
    (void)info;
    (void)err;
    return TM_OK;
}

enum tm_code tm_store_probe(struct tm_store *store, struct tm_err *err)
{
    if (store->read_only) {
        enum tm_code listed = tm_store_list(store, "key/", pass_over, NULL, err);
        return listed == TM_OK ? TM_OK : tm_err_wrap(err, "probe of the store");
    }
    char ulid_text[TM_ULID_NAME_MAX];
    char name[TM_OBJECT_NAME_MAX + 1];
    struct tm_id16 ulid = tm_ulid_make(tm_now_ms());
    (void)snprintf(name, sizeof(name), "tmp/probe-%s", tm_ulid_format(&ulid, "", ulid_text));

    struct tm_err first = {0};
    enum tm_code code = tm_store_create(store, name, tm_slice_str("first"), &first);
    /* Nobody else has this name: where it is taken, an answer was lost and the create sent again. */
    if (code == TM_OK || code == TM_E_EXISTS) {
        code = create_again(store, name, err);
    } else {
        *err = first;
    }
    /* Also after a failure, which may have come behind the deed. What cannot be removed is no proof
     * against the store: tmp/ is swept in any case. */
    struct tm_err remove_err = {0};
    enum tm_code removed = tm_store_remove(store, name, &remove_err);
    (void)removed;
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "probe of the store");
}
