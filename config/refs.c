/* SPDX-License-Identifier: Apache-2.0 */
#include "refs.h"

#include <stdlib.h>
#include <string.h>

#include "policy/shown.h"

enum { CREDENTIAL_NAME_MAX = 255 };

static const struct {
    const char *opening;
    enum tm_ref_kind kind;
} kinds[] = {
        {"${env:", TM_REF_ENV},
        {"${file:", TM_REF_FILE},
        {"${credential:", TM_REF_CREDENTIAL},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static bool is_env_name(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && name[len] == '\0' && !(name[0] >= '0' && name[0] <= '9');
}

/* NULL, or why the name will not do. */
static const char *check_name(const struct tm_ref *ref)
{
    switch (ref->kind) {
    case TM_REF_ENV:
        return is_env_name(ref->name) ? NULL : "the name of a variable has letters, digits and _";
    case TM_REF_FILE:
        return ref->name[0] == '/' ? NULL : "the path must be absolute";
    case TM_REF_CREDENTIAL: {
        bool good = ref->name[0] != '\0' && ref->name[0] != '.' && strchr(ref->name, '/') == NULL &&
                    strlen(ref->name) <= CREDENTIAL_NAME_MAX;
        return good ? NULL : "the name of a credential is a file's name, without a folder";
    }
    case TM_REF_NONE:
        break;
    }
    return NULL;
}

/* A text in which a reference stands among other characters. */
static enum tm_code refuse_inside(const char *text, struct tm_ref *out, struct tm_err *err)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strstr(text, kinds[i].opening) != NULL) {
            return tm_err_set(err, TM_E_USAGE,
                    "a reference such as %sNAME} has to be the whole value", kinds[i].opening);
        }
    }
    *out = (struct tm_ref){.kind = TM_REF_NONE, .text = text};
    return TM_OK;
}

enum tm_code tm_ref_parse(
        const char *text, struct tm_arena *arena, struct tm_ref *out, struct tm_err *err)
{
    size_t len = strlen(text);
    char shown[TM_SHOWN_MAX];
    if (strncmp(text, "${", 2) != 0 || text[len - 1] != '}' ||
            strchr(text, '}') != text + len - 1) {
        return refuse_inside(text, out, err);
    }
    struct tm_ref ref = {.text = text};
    for (size_t i = 0; i < KINDS && ref.kind == TM_REF_NONE; i++) {
        size_t opening = strlen(kinds[i].opening);
        if (strncmp(text, kinds[i].opening, opening) == 0) {
            ref.kind = kinds[i].kind;
            ref.name = tm_arena_str(
                    arena, tm_slice_of((const uint8_t *)text + opening, len - opening - 1));
        }
    }
    (void)tm_shown(text, len, shown);
    if (ref.kind == TM_REF_NONE) {
        return tm_err_set(err, TM_E_USAGE,
                "unknown reference \"%s\"; there are ${env:NAME}, ${env:NAME:-default}, "
                "${file:/path} and ${credential:name}",
                shown);
    }
    const char *fallback = ref.kind == TM_REF_ENV ? strstr(ref.name, ":-") : NULL;
    if (fallback != NULL) {
        ref.fallback = fallback + 2;
        ref.name = tm_arena_str(arena, tm_slice_of(ref.name, (size_t)(fallback - ref.name)));
    }
    const char *wrong = check_name(&ref);
    if (wrong != NULL) {
        return tm_err_set(err, TM_E_USAGE, "%s: %s", shown, wrong);
    }
    *out = ref;
    return TM_OK;
}

static const char *read_env(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody sets any */
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum tm_code env_value(const struct tm_ref *ref, struct tm_safe *safe,
        struct tm_ref_value *out, struct tm_err *err)
{
    const char *value = read_env(ref->name);
    bool is_fallback = value == NULL;
    value = is_fallback ? ref->fallback : value;
    if (value == NULL) {
        return tm_err_set(err, TM_E_MISSING,
                "%s: %s is not set; set it, or write ${env:%s:-default}", ref->text, ref->name,
                ref->name);
    }
    size_t len = strlen(value);
    len -= len > 0 && value[len - 1] == '\n' ? 1 : 0;
    if (len > TM_REF_VALUE_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "%s: the value has more than %d bytes", ref->text,
                (int)TM_REF_VALUE_MAX);
    }
    *out = (struct tm_ref_value){
            .text = tm_safe_text(safe, tm_slice_of(value, len)),
            .is_fallback = is_fallback,
    };
    return TM_OK;
}

enum tm_code tm_ref_file(
        const struct tm_ref *ref, struct tm_arena *arena, const char **out, struct tm_err *err)
{
    if (ref->kind == TM_REF_FILE) {
        *out = ref->name;
        return TM_OK;
    }
    if (ref->kind == TM_REF_CREDENTIAL) {
        const char *folder = read_env("CREDENTIALS_DIRECTORY");
        folder = folder != NULL ? folder : read_env("TIDEMARK_CREDENTIALS_DIRECTORY");
        if (folder == NULL) {
            return tm_err_set(err, TM_E_MISSING,
                    "%s: neither CREDENTIALS_DIRECTORY (systemd's LoadCredential=) nor "
                    "TIDEMARK_CREDENTIALS_DIRECTORY is set",
                    ref->text);
        }
        *out = tm_arena_fmt(arena, "%s/%s", folder, ref->name);
        return TM_OK;
    }
    const char *path = ref->kind == TM_REF_ENV ? read_env(ref->name) : NULL;
    path = path != NULL ? path : ref->fallback;
    if (path == NULL) {
        return tm_err_set(err, TM_E_MISSING,
                "%s: %s is not set; set it, or write ${env:%s:-default}", ref->text, ref->name,
                ref->name);
    }
    *out = tm_arena_strdup(arena, path);
    return TM_OK;
}

enum tm_code tm_ref_value(const struct tm_ref *ref, struct tm_safe *safe, struct tm_ref_value *out,
        struct tm_err *err)
{
    if (ref->kind == TM_REF_ENV) {
        return env_value(ref, safe, out, err);
    }
    struct tm_arena arena = {0};
    const char *path = NULL;
    struct tm_safe_file file = {0};
    enum tm_code code = tm_ref_file(ref, &arena, &path, err);
    if (code == TM_OK) {
        code = tm_safe_read(safe, path, TM_REF_VALUE_MAX, &file, err);
        code = code != TM_OK ? tm_err_wrap(err, "%s", ref->text) : TM_OK;
    }
    tm_arena_done(&arena);
    if (code != TM_OK) {
        return code;
    }
    size_t len = file.bytes.len;
    len -= len > 0 && file.bytes.at[len - 1] == '\n' ? 1 : 0;
    if (len == 0) {
        return tm_err_set(err, TM_E_USAGE, "%s: the file is empty", ref->text);
    }
    if (memchr(file.bytes.at, 0, len) != NULL) {
        return tm_err_set(
                err, TM_E_USAGE, "%s: the file holds a NUL byte, a text is needed", ref->text);
    }
    *out = (struct tm_ref_value){.text = tm_safe_text(safe, tm_slice_of(file.bytes.at, len))};
    return TM_OK;
}
