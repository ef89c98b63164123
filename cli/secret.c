/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"
#include "codec/keys.h"

enum { NAME_MAX_LEN = 64 };

static const char *const scopes[] = {"read", "operate", "restore", "admin"};
enum { SCOPES = sizeof(scopes) / sizeof(scopes[0]) };

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static enum tm_code check_name(const char *name, struct tm_err *err)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        if (!is_name_character(name[i])) {
            len = 0;
        }
    }
    if (len == 0 || len > NAME_MAX_LEN) {
        return tm_err_set(err, TM_E_USAGE,
                "--name takes 1 to %d letters, digits, \".\", \"_\" and \"-\"", NAME_MAX_LEN);
    }
    return TM_OK;
}

static int find_scope(struct tm_slice word)
{
    for (int i = 0; i < SCOPES; i++) {
        if (tm_slice_is(word, scopes[i])) {
            return i;
        }
    }
    return -1;
}

static enum tm_code check_scopes(const char *text, struct tm_err *err)
{
    unsigned seen = 0;
    for (const char *at = text;; at++) {
        struct tm_slice word = tm_slice_of(at, strcspn(at, ","));
        int scope = find_scope(word);
        if (scope < 0) {
            return tm_err_set(err, TM_E_USAGE,
                    "--scope: no scope \"%.*s\"; there are: read, operate, restore, admin",
                    (int)(word.len > 64 ? 64 : word.len), at);
        }
        if ((seen & 1U << scope) != 0) {
            return tm_err_set(err, TM_E_USAGE, "--scope: %s is given twice", scopes[scope]);
        }
        seen |= 1U << scope;
        at += word.len;
        if (*at == '\0') {
            return TM_OK;
        }
    }
}

static const char *const narrows[CLI_NARROW] = {"policies", "clusters", "target"};

static enum tm_code check_narrow(const struct cli_token *token, struct tm_err *err)
{
    for (size_t i = 0; i < CLI_NARROW; i++) {
        const char *text = token->narrow[i];
        if (text == NULL) {
            continue;
        }
        size_t len = strlen(text);
        if (len == 0 || text[0] == ',' || text[len - 1] == ',' || strstr(text, ",,") != NULL ||
                strpbrk(text, " \t\r\n#") != NULL) {
            return tm_err_set(err, TM_E_USAGE, "--%s: names are written a,b,c", narrows[i]);
        }
    }
    return TM_OK;
}

enum tm_code cli_token_check(const struct cli_token *token, struct tm_err *err)
{
    TM_TRY(check_name(token->name, err));
    TM_TRY(check_scopes(token->scopes, err));
    return check_narrow(token, err);
}

void cli_token_make(struct cli_token *token)
{
    uint8_t bytes[CLI_TOKEN_BYTES];
    TM_BUF_OWN struct tm_buf text = {0};
    tm_random(bytes, sizeof(bytes));
    tm_buf_reserve(&text, sizeof(token->secret)); /* so that growing leaves no copy behind */
    tm_buf_add_text(&text, "tm_");
    tm_base64url_add(&text, tm_slice_of(bytes, sizeof(bytes)));
    tm_assert(text.len + 1 == sizeof(token->secret));
    memcpy(token->secret, tm_buf_text(&text), sizeof(token->secret));
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(text.at, text.len);
}

void cli_token_line(const struct cli_token *token, struct tm_buf *out)
{
    struct tm_hash hash = tm_sha256_of(tm_slice_str(token->secret));
    tm_buf_add_fmt(out, "%s %s sha256:", token->name, token->scopes);
    tm_buf_add_hex(out, hash.bytes, sizeof(hash.bytes));
    for (size_t i = 0; i < CLI_NARROW; i++) {
        if (token->narrow[i] != NULL) {
            tm_buf_add_fmt(out, " %s=%s", narrows[i], token->narrow[i]);
        }
    }
    if (token->expires_ms != 0) {
        char time[TM_TIME_TEXT_MAX];
        tm_buf_add_fmt(out, " expires=%s", tm_time_format(token->expires_ms, time));
    }
}

static enum tm_code sync_folder_of(const char *path, struct tm_err *err)
{
    const char *slash = strrchr(path, '/');
    TM_BUF_OWN struct tm_buf folder = {0};
    if (slash == NULL) {
        tm_buf_add_text(&folder, ".");
    } else {
        tm_buf_add(&folder, path, (size_t)(slash - path) + 1);
    }
    return tm_fs_sync_dir(tm_buf_text(&folder), err);
}

static enum tm_code fill_key_file(int fd, const char *path, struct tm_err *err)
{
    uint8_t *key = tm_secret_new(TM_KEY_FILE_BYTES);
    tm_random(key, TM_KEY_FILE_BYTES);
    enum tm_code code = tm_fs_write_all(fd, path, tm_slice_of(key, TM_KEY_FILE_BYTES), err);
    tm_secret_free(key);
    if (code == TM_OK && fsync(fd) != 0) {
        code = tm_err_set(err, tm_fs_code(errno), "%s: %s", path, tm_errno_text(errno));
    }
    return code == TM_OK ? sync_folder_of(path, err) : code;
}

enum tm_code cli_make_key_file(const char *path, struct tm_err *err)
{
    TM_FD_OWN int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return tm_err_set(err, TM_E_EXISTS,
                "%s is there already, and a key that opens a vault cannot be had again; hint: "
                "choose another name",
                path);
    }
    if (fd < 0) {
        return tm_err_set(err, tm_fs_code(errno), "%s: %s", path, tm_errno_text(errno));
    }
    enum tm_code code = fill_key_file(fd, path, err);
    if (code != TM_OK) {
        (void)unlink(path); /* ours, and useless */
    }
    return code;
}
