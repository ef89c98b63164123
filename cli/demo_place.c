/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_place.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "cli.h"

enum {
    SOCKET_PATH_MAX = 107,                     /* sun_path, with a NUL */
    SOCKET_NAME_LEN = sizeof("/api.sock") - 1, /* the longest */
    OPEN_FOLDERS = 16,                         /* of nftw(3) at once */
};

static const char *const transient[] = {"demo.env", "still", "notify"}; /* of this run alone */

static enum tm_code io_failed(const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(err, tm_fs_code(sys_errno), "%s: %s", path, tm_errno_text(sys_errno));
}

void demo_place_path(const struct demo_place *place, const char *name, struct tm_buf *out)
{
    tm_buf_add_fmt(out, "%s/%s", tm_buf_text(&place->folder), name);
}

/* The folder ---------------------------------------------------------------------------------- */

static enum tm_code make_temporary(struct demo_place *place, struct tm_err *err)
{
    const char *parent = cli_environment("TMPDIR");
    TM_BUF_OWN struct tm_buf path = {0};
    tm_buf_add_fmt(
            &path, "%s/tidemark-demo.XXXXXX", parent != NULL && parent[0] == '/' ? parent : "/tmp");
    if (mkdtemp((char *)path.at) == NULL) {
        return io_failed(tm_buf_text(&path), err);
    }
    tm_buf_add_text(&place->folder, tm_buf_text(&path));
    place->is_ours = true;
    return TM_OK;
}

static enum tm_code check_empty(const char *path, struct tm_err *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return io_failed(path, err);
    }
    size_t count = 0;
    while (readdir(folder) != NULL) { /* NOLINT: the stream is this thread's own */
        count++;
    }
    (void)closedir(folder);
    if (count > 2) { /* "." and ".." */
        return tm_err_set(err, TM_E_EXISTS,
                "%s is not empty; hint: a demo starts anew each time, give it a new folder", path);
    }
    return TM_OK;
}

static enum tm_code take_given(struct demo_place *place, const char *given, struct tm_err *err)
{
    TM_TRY(tm_fs_mkdirs(given, 0700, err));
    TM_TRY(check_empty(given, err));
    char *absolute = realpath(given, NULL);
    if (absolute == NULL) {
        return io_failed(given, err);
    }
    tm_buf_add_text(&place->folder, absolute);
    free(absolute);
    return TM_OK;
}

static enum tm_code check_path(const struct demo_place *place, struct tm_err *err)
{
    for (const char *at = tm_buf_text(&place->folder); *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            return tm_err_set(err, TM_E_USAGE, "the folder's path holds a control character");
        }
    }
    if (place->folder.len + SOCKET_NAME_LEN > SOCKET_PATH_MAX) {
        return tm_err_set(err, TM_E_USAGE,
                "%s is too long for the path of a socket in it; hint: give a shorter --dir",
                tm_buf_text(&place->folder));
    }
    return TM_OK;
}

enum tm_code demo_place_make(struct demo_place *place, const char *given, struct tm_err *err)
{
    TM_TRY(given != NULL ? take_given(place, given, err) : make_temporary(place, err));
    return check_path(place, err);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_file(const struct demo_place *place, const char *name)
{
    TM_BUF_OWN struct tm_buf path = {0};
    demo_place_path(place, name, &path);
    (void)unlink(tm_buf_text(&path));
}

void demo_place_leave(struct demo_place *place)
{
    if (place->is_ours) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread walks or changes folder */
        (void)nftw(tm_buf_text(&place->folder), remove_entry, OPEN_FOLDERS,
                FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    } else if (place->folder.len > 0) {
        for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
            remove_file(place, transient[i]);
        }
    }
    tm_buf_done(&place->folder);
    explicit_bzero(&place->token, sizeof(place->token));
}

/* What is in it ------------------------------------------------------------------------------- */

void demo_yaml_text(const char *text, struct tm_buf *out)
{
    tm_buf_add_text(out, "\"");
    for (; *text != '\0'; text++) {
        tm_buf_add_text(out, *text == '"' || *text == '\\' ? "\\" : "");
        tm_buf_add_u8(out, (uint8_t)*text);
    }
    tm_buf_add_text(out, "\"");
}

void demo_shell_text(const char *text, struct tm_buf *out)
{
    tm_buf_add_text(out, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            tm_buf_add_text(out, "'\\'");
        }
        tm_buf_add_u8(out, (uint8_t)*text);
    }
    tm_buf_add_text(out, "'");
}

static void add_path(
        const struct demo_place *place, const char *before, const char *name, struct tm_buf *out)
{
    TM_BUF_OWN struct tm_buf path = {0};
    demo_place_path(place, name, &path);
    tm_buf_add_text(out, before);
    demo_yaml_text(tm_buf_text(&path), out);
}

static void write_config(
        const struct demo_place *place, const struct demo_settings *settings, struct tm_buf *out)
{
    char every[24];
    tm_buf_add_text(out,
            "# Written by tidemark demo. The cluster is a mock inside of that process.\n"
            "version: 1\n\nserver:\n");
    add_path(place, "  socket: ", "api.sock", out);
    tm_buf_add_text(out, "\n  listen: ");
    demo_yaml_text(settings->listen, out);
    tm_buf_add_text(out, "\n  metrics_listen: \"\"          # on `listen` and the socket\n");
    add_path(place, "  tokens_file: ", "tokens", out);
    add_path(place, "\n\nstate:\n  dir: ", "state", out);
    tm_buf_add_text(out, "\n\nclusters:\n  - name: demo\n    bootstrap: ");
    demo_yaml_text(settings->bootstrap, out);
    tm_buf_add_text(out, "\n\nvaults:\n  - name: demo\n    type: disk\n");
    add_path(place, "    path: ", "vault", out);
    add_path(place, "\n    key_file: ", "vault.key", out);
    tm_buf_add_text(out, "\n    create: true\n\npolicies:\n  - name: demo\n    cluster: demo\n"
                         "    vault: demo\n    topics: {include: [orders, customers]}\n");
    tm_buf_add_fmt(
            out, "    schedule: \"@every %s\"\n", tm_format_duration(settings->every_ms, every));
}

static enum tm_code write_file(
        const struct demo_place *place, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf path = {0};
    demo_place_path(place, name, &path);
    return tm_fs_replace(tm_buf_text(&path), bytes, 0600, err);
}

enum tm_code demo_place_configure(
        struct demo_place *place, const struct demo_settings *settings, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf key = {0};
    TM_BUF_OWN struct tm_buf tokens = {0};
    TM_BUF_OWN struct tm_buf config = {0};
    demo_place_path(place, "vault.key", &key);
    TM_TRY(cli_make_key_file(tm_buf_text(&key), err));
    place->token = (struct cli_token){.name = "demo", .scopes = "read,operate,restore,admin"};
    cli_token_make(&place->token);
    cli_token_line(&place->token, &tokens);
    tm_buf_add_text(&tokens, "\n");
    TM_TRY(write_file(place, "tokens", tm_buf_slice(&tokens), err));
    write_config(place, settings, &config);
    return write_file(place, "tidemark.yaml", tm_buf_slice(&config), err);
}

static void add_variable(const char *name, const char *value, struct tm_buf *out)
{
    tm_buf_add_fmt(out, "%s=", name);
    demo_shell_text(value, out);
    tm_buf_add_text(out, "\n");
}

enum tm_code demo_place_write_env(const struct demo_place *place,
        const struct demo_settings *settings, pid_t daemon, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf path = {0};
    TM_BUF_OWN struct tm_buf url = {0};
    TM_BUF_OWN struct tm_buf text = {0};
    demo_place_path(place, "api.sock", &path);
    if (settings->listen[0] != '\0') {
        tm_buf_add_fmt(&url, "http://%s", settings->listen);
    }
    tm_buf_add_text(&text, "# Written by tidemark demo when it was ready: . this file.\n");
    add_variable("BOOTSTRAP", settings->bootstrap, &text);
    add_variable("SOCKET", tm_buf_text(&path), &text);
    add_variable("URL", tm_buf_text(&url), &text);
    add_variable("TOKEN", place->token.secret, &text);
    tm_buf_add_fmt(&text, "DEMO_PID=%d\nDAEMON_PID=%d\n", (int)getpid(), (int)daemon);
    return write_file(place, "demo.env", tm_buf_slice(&text), err);
}

enum tm_code demo_place_write_still(
        const struct demo_place *place, struct tm_slice ends, struct tm_err *err)
{
    return write_file(place, "still", ends, err);
}
