/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge_vault DIR KEY_FILE - merge all packs of a vault at once, whatever their number and age, and delete their
 * sources: so that the independent reader has a merged vault to read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "job/space.h"
#include "store/store_fs.h"

static enum tm_code merge(
        const char *folder, const char *key_file, struct tm_space_result *out, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf key = {0};
    TM_OWN(tm_store_free) struct tm_store *store = NULL;
    TM_OWN(tm_vault_close) struct tm_vault *vault = NULL;
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    TM_TRY(tm_fs_read(key_file, TM_KEY_FILE_BYTES, &key, err));
    struct tm_secret secret = {TM_SECRET_KEY_FILE, tm_buf_slice(&key)};
    TM_TRY(tm_store_fs_open(folder, false, &store, err));
    TM_TRY(tm_vault_open(store, &secret, "test/merge", &vault, err));
    TM_TRY(tm_catalog_open(":memory:", &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    TM_TRY(tm_vault_refresh(vault, &fold, err));

    atomic_bool never = false;
    struct tm_progress progress = {0};
    struct tm_job_env env = {.job_id = "merge", .cancel = &never, .progress = &progress};
    struct tm_space_options options = tm_space_defaults(vault, catalog);
    options.steps = TM_SPACE_MERGE | TM_SPACE_SWEEP;
    options.now_ms = tm_now_ms;
    options.merge_min_packs = 2;
    options.merge_age_ms = 0;
    options.grace_ms = 0;
    return tm_space_run(&options, &env, out, err);
}

int main(int argc, char **argv)
{
    struct tm_space_result result = {0};
    struct tm_err err = {0};
    tm_codec_init();
    if (argc != 3 || merge(argv[1], argv[2], &result, &err) != TM_OK) {
        (void)fprintf(stderr, "merge_vault: %s\n", argc == 3 ? err.msg : "DIR KEY_FILE");
        return 1;
    }
    (void)printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", result.packs_merged_in,
            result.packs_merged_out, result.packs_swept);
    tm_space_result_done(&result);
    return 0;
}
