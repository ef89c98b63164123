/* SPDX-License-Identifier: Apache-2.0 */
#include "direct.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "cli.h"
#include "store/store_open.h"

bool cli_direct_option(struct cli_direct_options *options, int option)
{
    switch (option) {
    case 'V':
        options->vault = optarg;
        return true;
    case 'k':
        options->key_file = optarg;
        return true;
    case 'p':
        options->passphrase_file = optarg;
        return true;
    case 'E':
        options->expect_head = optarg;
        return true;
    default:
        return false;
    }
}

const char *cli_direct_misuse(const struct cli_direct_options *options)
{
    if (options->vault == NULL || options->vault[0] == '\0') {
        return "--vault is needed";
    }
    if ((options->key_file == NULL) == (options->passphrase_file == NULL)) {
        return "one of --key-file and --passphrase-file is needed";
    }
    return NULL;
}

/* The temporary catalog --------------------------------------------------------------------- */

static const char *const catalog_files[] = {"catalog.db", "catalog.db-wal", "catalog.db-shm"};
enum { CATALOG_FILES = sizeof(catalog_files) / sizeof(catalog_files[0]) };

/* What a signal has to remove: whole paths, made beforehand. */
static char left_files[CATALOG_FILES][96];
static char left_folder[64];

static void remove_left(void)
{
    if (left_folder[0] != '\0') {
        for (size_t i = 0; i < CATALOG_FILES; i++) {
            (void)unlink(left_files[i]);
        }
        (void)rmdir(left_folder);
        left_folder[0] = '\0';
    }
}

static void end_by_signal(int number)
{
    remove_left();
    _exit(128 + number);
}

static enum tm_code make_folder(struct cli_direct *direct, struct tm_err *err)
{
    const char *base = cli_environment("TMPDIR");
    base = base != NULL && base[0] == '/' && strlen(base) < 32 ? base : "/tmp";
    (void)snprintf(direct->folder, sizeof(direct->folder), "%s/tidemark-XXXXXX", base);
    if (mkdtemp(direct->folder) == NULL) {
        int sys_errno = errno;
        enum tm_code code = tm_err_set(
                err, tm_fs_code(sys_errno), "%s: %s", direct->folder, tm_errno_text(sys_errno));
        direct->folder[0] = '\0';
        return code;
    }
    for (size_t i = 0; i < CATALOG_FILES; i++) {
        (void)snprintf(
                left_files[i], sizeof(left_files[i]), "%s/%s", direct->folder, catalog_files[i]);
    }
    memcpy(left_folder, direct->folder, sizeof(left_folder));
    (void)signal(SIGINT, end_by_signal);
    (void)signal(SIGTERM, end_by_signal);
    return TM_OK;
}

static enum tm_code fold(struct cli_direct *direct, struct tm_err *err)
{
    TM_TRY(make_folder(direct, err));
    TM_TRY(tm_catalog_open(left_files[0], &direct->catalog, err));
    struct tm_fold table = tm_catalog_fold(direct->catalog);
    return tm_vault_refresh(direct->vault, &table, err);
}

/* Opening ----------------------------------------------------------------------------------- */

static enum tm_code reach(
        const struct cli_direct_options *options, struct cli_direct *out, struct tm_err *err)
{
    struct tm_head head;
    if (options->expect_head != NULL) {
        TM_TRY(tm_head_parse(options->expect_head, &head, err));
    }
    TM_TRY(tm_store_open_url(options->vault, false, &out->store, err));
    if (options->expect_head != NULL) {
        TM_TRY(tm_vault_expect_head(out->store, &head, err));
    }
    return tm_vault_find_id(out->store, &out->id, err);
}

/* What is missing here is a vault. */
static int status_of(const struct tm_err *err)
{
    return err->code == TM_E_MISSING ? cli_fail_as(err, CLI_NO_VAULT) : cli_fail(err);
}

int cli_direct_reach(const struct cli_direct_options *options, struct cli_direct *out)
{
    struct tm_err err = {0};
    return reach(options, out, &err) == TM_OK ? CLI_DONE : status_of(&err);
}

int cli_direct_open(
        const struct cli_direct_options *options, bool with_catalog, struct cli_direct *out)
{
    char writer[96] = "localhost";
    struct tm_err err = {0};
    if (cli_secret_read(options->key_file, options->passphrase_file, &out->secret, &err) != TM_OK) {
        return cli_fail(&err);
    }
    int status = cli_direct_reach(options, out);
    if (status != CLI_DONE) {
        return status;
    }
    (void)gethostname(writer, 64);
    writer[63] = '\0';
    size_t len = strlen(writer);
    (void)snprintf(writer + len, sizeof(writer) - len, "/tidemark-%d", (int)getpid());
    enum tm_code code = tm_vault_open(out->store, &out->secret.secret, writer, &out->vault, &err);
    if (code == TM_OK && with_catalog) {
        code = fold(out, &err);
    }
    return code == TM_OK ? CLI_DONE : cli_fail(&err);
}

void cli_direct_done(struct cli_direct *direct)
{
    tm_catalog_close(direct->catalog);
    tm_vault_close(direct->vault);
    tm_store_free(direct->store);
    cli_secret_done(&direct->secret);
    if (direct->folder[0] != '\0') {
        remove_left();
    }
    *direct = (struct cli_direct){.store = NULL};
}
