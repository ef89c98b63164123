/* SPDX-License-Identifier: Apache-2.0 */
/* Keys out of the files that AWS's command line keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/profile.h"
#include "aws/sources.h"
#include "base/fs.h"

enum { PATH_MAX_BYTES = 1024 };

struct file {
    char path[PATH_MAX_BYTES]; /* "": none, as there is no home */
    bool named;                /* by a variable, so that it has to be there */
    struct tm_buf text;
};

static enum tm_code find(const struct tm_source_env *env, const char *variable, const char *name,
        struct file *file, struct tm_err *err)
{
    const char *named = tm_source_get(env, variable);
    const char *home = tm_source_get(env, "HOME");
    int len = 0;
    file->named = named != NULL;
    if (named != NULL) {
        len = snprintf(file->path, sizeof(file->path), "%s", named);
    } else if (home != NULL) {
        len = snprintf(file->path, sizeof(file->path), "%s/.aws/%s", home, name);
    }
    if (len < 0 || (size_t)len >= sizeof(file->path)) {
        return tm_err_set(err, TM_E_USAGE, "%s has more than %d bytes",
                named != NULL ? variable : "HOME", PATH_MAX_BYTES - 20);
    }
    return TM_OK;
}

/*
 * Add what a file says of the profile. The usual file need not be there, and it may lie in a home that
 * a service may not see: containers often run with HOME=/root as somebody else.
 */
static enum tm_code read_file(struct file *file, const char *name, bool config,
        struct tm_profile *profile, struct tm_err *err)
{
    if (file->path[0] == '\0') {
        return TM_OK;
    }
    struct tm_err local = {0};
    enum tm_code code = tm_fs_read(file->path, TM_SOURCE_FILE_MAX, &file->text, &local);
    if (!file->named && (code == TM_E_MISSING || code == TM_E_DENIED)) {
        return TM_OK;
    }
    if (code != TM_OK) {
        *err = local;
        return code;
    }
    if (tm_profile_read(tm_buf_slice(&file->text), name, config, profile, err) != TM_OK) {
        return tm_err_wrap(err, "%s", file->path);
    }
    return TM_OK;
}

static enum tm_code assume(const struct tm_source_env *env, const struct tm_profile *profile,
        struct tm_source_answer *answer, struct tm_err *err)
{
    char texts[3][PATH_MAX_BYTES] = {{0}};
    const enum tm_profile_setting settings[3] = {
            TM_PROFILE_ROLE_ARN, TM_PROFILE_WEB_IDENTITY_TOKEN_FILE, TM_PROFILE_ROLE_SESSION_NAME};
    for (size_t i = 0; i < 3; i++) {
        struct tm_slice value = profile->settings[settings[i]];
        if (value.len >= sizeof(texts[i])) {
            return tm_err_set(err, TM_E_USAGE, "%s has more than %d bytes",
                    tm_profile_setting_name(settings[i]), PATH_MAX_BYTES - 1);
        }
        if (value.at != NULL) {
            memcpy(texts[i], value.at, value.len);
        }
    }
    TM_TRY(tm_source_assume(env, texts[0], texts[1], texts[2][0] != '\0' ? texts[2] : NULL,
            &answer->credentials, err));
    answer->found = true;
    return TM_OK;
}

/* What the profile says, or what it asks for that is not done here. */
static enum tm_code use(const struct tm_source_env *env, const struct tm_profile *profile,
        struct tm_source_answer *answer, struct tm_err *err)
{
    static const enum tm_profile_setting others[] = {TM_PROFILE_SOURCE_PROFILE,
            TM_PROFILE_CREDENTIAL_SOURCE, TM_PROFILE_CREDENTIAL_PROCESS, TM_PROFILE_SSO_SESSION,
            TM_PROFILE_SSO_START_URL, TM_PROFILE_ROLE_ARN};
    const struct tm_slice *settings = profile->settings;
    if (settings[TM_PROFILE_ROLE_ARN].at != NULL &&
            settings[TM_PROFILE_WEB_IDENTITY_TOKEN_FILE].at != NULL) {
        return assume(env, profile, answer, err);
    }
    bool asks_for_role = settings[TM_PROFILE_ROLE_ARN].at != NULL;
    bool has_id = settings[TM_PROFILE_ACCESS_KEY_ID].at != NULL;
    bool has_secret = settings[TM_PROFILE_SECRET_ACCESS_KEY].at != NULL;
    if (has_id != has_secret && !asks_for_role) {
        return tm_err_set(err, TM_E_USAGE, "it has %s without %s",
                has_id ? "aws_access_key_id" : "aws_secret_access_key",
                has_id ? "aws_secret_access_key" : "aws_access_key_id");
    }
    if (has_id && !asks_for_role) {
        enum tm_code code = tm_source_set(settings[TM_PROFILE_ACCESS_KEY_ID],
                settings[TM_PROFILE_SECRET_ACCESS_KEY], settings[TM_PROFILE_SESSION_TOKEN],
                &answer->credentials, err);
        answer->found = code == TM_OK;
        return code;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (settings[others[i]].at != NULL) {
            return tm_err_set(err, TM_E_UNSUPPORTED,
                    "it says %s, which is not supported; hint: give keys, or role_arn with "
                    "web_identity_token_file",
                    tm_profile_setting_name(others[i]));
        }
    }
    return tm_source_absent(answer, "the profile has no keys");
}

static enum tm_code read_both(const struct tm_source_env *env, const char *name,
        struct file files[2], struct tm_profile *profile, struct tm_err *err)
{
    TM_TRY(find(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials", &files[0], err));
    TM_TRY(find(env, "AWS_CONFIG_FILE", "config", &files[1], err));
    TM_TRY(read_file(&files[0], name, false, profile, err));
    return read_file(&files[1], name, true, profile, err);
}

enum tm_code tm_source_profile(
        const struct tm_source_env *env, struct tm_source_answer *answer, struct tm_err *err)
{
    const char *named = tm_source_get(env, "AWS_PROFILE");
    const char *name = named != NULL ? named : "default";
    struct file *files = tm_xalloc(2, sizeof(*files));
    struct tm_profile profile = {0};
    enum tm_code code = read_both(env, name, files, &profile, err);
    if (code == TM_OK && profile.found) {
        code = use(env, &profile, answer, err);
        code = code == TM_OK ? code : tm_err_wrap(err, "profile \"%s\"", name);
    } else if (code == TM_OK && named != NULL) {
        code = tm_err_set(err, TM_E_USAGE, "AWS_PROFILE names \"%s\", which is not in %s or %s",
                name, files[0].path, files[1].path);
    } else if (code == TM_OK && files[0].path[0] == '\0') {
        code = tm_source_absent(answer, "HOME is not set");
    } else if (code == TM_OK) {
        code = tm_source_absent(answer, "no profile \"default\" in %s", files[0].path);
    }
    tm_source_wipe(&files[0].text);
    tm_source_wipe(&files[1].text);
    free(files);
    return code;
}
