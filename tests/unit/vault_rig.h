/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault_rig - vaults in a directory that lasts as long as a test: what the vault's tests share.
 *
 * The directory is in memory where the machine has one (/dev/shm): the tests make thousands of
 * objects, and what they are about is not fsync.
 */
#ifndef TM_TESTS_VAULT_RIG_H
#define TM_TESTS_VAULT_RIG_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store_fault.h"
#include "store/store_fs.h"
#include "vault/log.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct vault_rig {
    char dir[64];
    struct tm_store *store;
};

static const uint8_t rig_key_file[TM_KEY_FILE_BYTES] = {1, 2, 3};

static inline struct tm_secret rig_secret(void)
{
    return (struct tm_secret){TM_SECRET_KEY_FILE, {rig_key_file, sizeof(rig_key_file)}};
}

/* `call` must succeed with `err` as its last argument. */
#define ck_assert_tm_ok(call) \
    do { \
        struct tm_err err = {0}; \
        ck_assert_msg((call) == TM_OK, "%s: %s", #call, err.msg); \
    } while (0)

static inline struct tm_store *rig_open_store(const char *dir)
{
    struct tm_store *store = NULL;
    ck_assert_tm_ok(tm_store_fs_open(dir, true, &store, &err));
    return store;
}

static inline void rig_make(struct vault_rig *rig)
{
    tm_codec_init();
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(rig->dir, sizeof(rig->dir), "%s/tm-vault-XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
    rig->store = rig_open_store(rig->dir);
}

static inline int rig_remove_one(
        const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void rig_drop(struct vault_rig *rig)
{
    tm_store_free(rig->store);
    ck_assert_int_eq(nftw(rig->dir, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void rig_init_vault(struct tm_store *store)
{
    struct tm_secret secret = rig_secret();
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    ck_assert_tm_ok(tm_vault_init(store, &secret, &params, &err));
}

static inline struct tm_vault *rig_open_vault(struct tm_store *store)
{
    struct tm_secret secret = rig_secret();
    struct tm_vault *vault = NULL;
    ck_assert_tm_ok(tm_vault_open(store, &secret, "host/test", &vault, &err));
    return vault;
}

/* A number in [0, bound), from a generator that gives every machine the same numbers. */
static inline uint32_t rig_below(uint64_t *state, uint32_t bound)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
    return (uint32_t)(*state >> 33) % bound;
}

/* The whole bytes of an object, and back: how tests damage one. */
static inline void rig_path(const struct vault_rig *rig, const char *name, char path[256])
{
    (void)snprintf(path, 256, "%s/%s", rig->dir, name);
}

static inline void rig_write(
        const struct vault_rig *rig, const char *name, const void *bytes, size_t len)
{
    char path[256];
    rig_path(rig, name, path);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static inline int rig_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
