/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "cli.h"
#include "store/store_fs.h"
#include "vault/vault.h"

enum { PASSPHRASE_MAX = 1024 };

/* Wiped by its owner. */
struct secret_room {
    uint8_t bytes[PASSPHRASE_MAX + 2]; /* one newline, and one byte to see that there is more */
    size_t len;
};

static void wipe(struct secret_room *room)
{
    explicit_bzero(room, sizeof(*room));
}

static enum tm_code io_failed(const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(err, tm_fs_code(sys_errno), "%s: %s", path, tm_errno_text(sys_errno));
}

/* Read the file, or as much of it as there is room for. */
static enum tm_code read_secret(const char *path, struct secret_room *room, struct tm_err *err)
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
    while (room->len < sizeof(room->bytes)) {
        ssize_t got = read(fd, room->bytes + room->len, sizeof(room->bytes) - room->len);
        if (got < 0 && errno != EINTR) {
            return io_failed(path, err);
        }
        if (got == 0) {
            break;
        }
        room->len += got > 0 ? (size_t)got : 0;
    }
    return TM_OK;
}

static enum tm_code read_key(
        const char *path, struct secret_room *room, struct tm_secret *out, struct tm_err *err)
{
    TM_TRY(read_secret(path, room, err));
    if (room->len != TM_KEY_FILE_BYTES) {
        return tm_err_set(err, TM_E_USAGE,
                "%s has %s%zu bytes, %d are needed; make one with \"tidemark key new\"", path,
                room->len == sizeof(room->bytes) ? "more than " : "",
                room->len - (room->len == sizeof(room->bytes) ? 1 : 0), TM_KEY_FILE_BYTES);
    }
    *out = (struct tm_secret){TM_SECRET_KEY_FILE, tm_slice_of(room->bytes, room->len)};
    return TM_OK;
}

static enum tm_code read_passphrase(
        const char *path, struct secret_room *room, struct tm_secret *out, struct tm_err *err)
{
    TM_TRY(read_secret(path, room, err));
    size_t len = room->len;
    len -= len > 0 && room->bytes[len - 1] == '\n' ? 1 : 0;
    if (len == 0 || len > PASSPHRASE_MAX) {
        return tm_err_set(
                err, TM_E_USAGE, "%s: a passphrase has 1 to %d bytes", path, PASSPHRASE_MAX);
    }
    *out = (struct tm_secret){TM_SECRET_PASSPHRASE, tm_slice_of(room->bytes, len)};
    return TM_OK;
}

static enum tm_code init_vault(
        const char *folder, const struct tm_secret *secret, struct tm_err *err)
{
    TM_OWN(tm_store_free) struct tm_store *store = NULL;
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    TM_TRY(tm_store_fs_open(folder, true, &store, err));
    return tm_vault_init(store, secret, &params, err);
}

static int run_vault_init(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            {"key-file", required_argument, NULL, 'k'},
            {"passphrase-file", required_argument, NULL, 'p'},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    const char *key_file = NULL;
    const char *passphrase_file = NULL;
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (option == 'k') {
            key_file = optarg;
        } else if (option == 'p') {
            passphrase_file = optarg;
        } else {
            return cli_answer(command, option);
        }
    }
    if (argc - optind != 1 || (key_file == NULL) == (passphrase_file == NULL)) {
        return cli_misuse(command, "DIR and one of --key-file and --passphrase-file are needed");
    }
    struct secret_room room = {.len = 0};
    struct tm_secret secret;
    struct tm_err err = {0};
    enum tm_code code = key_file != NULL ? read_key(key_file, &room, &secret, &err)
                                         : read_passphrase(passphrase_file, &room, &secret, &err);
    if (code == TM_OK) {
        code = init_vault(argv[optind], &secret, &err);
    }
    wipe(&room);
    if (code != TM_OK) {
        return cli_fail(&err);
    }
    (void)fprintf(stderr, "%s: a new vault\n", argv[optind]);
    return CLI_DONE;
}

const struct cli_command cli_vault_init = {
        .words = "vault init",
        .operands = "DIR (--key-file F | --passphrase-file F)",
        .does = "make a vault in a folder",
        .help = "Make an empty vault in DIR, which is made too where it is missing. A folder that\n"
                "holds a vault is left alone (exit status 8).\n"
                "\n"
                "  --key-file F         opened by the 32 bytes in F: see tidemark key new\n"
                "  --passphrase-file F  opened by the text in F, one newline at its end left out\n"
                "\n"
                "examples:\n"
                "  tidemark vault init /srv/tidemark --key-file /etc/tidemark/vault.key\n"
                "  tidemark vault init /srv/tidemark --passphrase-file /dev/stdin\n",
        .run = run_vault_init,
};
