/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/vec.h"
#include "loader.h"
#include "policy/shown.h"

enum {
    TOKENS_FILE_MAX = 1 << 20,
    TOKENS_MAX = 1000,
    NAME_BYTES_MAX = 64,
    FIELDS_MAX = 16,
    NAMES_MAX = 100,
    FIELDS_NEEDED = 3, /* name, scopes, hash */
    TOKEN_MIN = 20,
    RFC3339_MIN = sizeof("2026-11-22T23:30:00Z") - 1,
};

#define LINE \
    "name scope[,scope] sha256:HEX [policies=A,B] [clusters=A,B] [target=A,B] [expires=RFC3339]"

static const struct {
    const char *name;
    enum tm_scope scope;
} scopes[] = {
        {"read", TM_SCOPE_READ},
        {"operate", TM_SCOPE_OPERATE},
        {"restore", TM_SCOPE_RESTORE},
        {"admin", TM_SCOPE_ADMIN},
};

enum { SCOPES = sizeof(scopes) / sizeof(scopes[0]) };

struct field {
    const char *text;
    struct tm_place at;
};

struct parser {
    int64_t now_ms;
    struct tm_findings *findings;
    struct tm_arena *arena;
    TM_VEC(struct tm_config_token) tokens;
    TM_VEC(unsigned) lines; /* where each stands */
};

static const char path[] = "server.tokens_file";

static void refuse(const struct parser *parser, const struct field *field, const char *what)
{
    char shown[TM_SHOWN_MAX];
    tm_findings_error(parser->findings, field->at, path, "\"%s\" %s",
            tm_shown(field->text, strlen(field->text), shown), what);
}

static bool read_name(struct parser *parser, const struct field *field, const char **out)
{
    static const char letters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";
    size_t len = strlen(field->text);
    if (len > NAME_BYTES_MAX || strspn(field->text, letters) != len) {
        refuse(parser, field, "is not a name; write up to 64 of a-z A-Z 0-9 . _ - @");
        return false;
    }
    for (size_t i = 0; i < parser->tokens.count; i++) {
        if (strcmp(parser->tokens.at[i].name, field->text) == 0) {
            tm_findings_error(parser->findings, field->at, path,
                    "\"%s\" is already the name of a token (line %u)", field->text,
                    parser->lines.at[i]);
            return false;
        }
    }
    *out = field->text;
    return true;
}

unsigned tm_scope_bit(const char *word)
{
    for (size_t i = 0; i < SCOPES; i++) {
        if (strcmp(word, scopes[i].name) == 0) {
            return (unsigned)scopes[i].scope;
        }
    }
    return 0;
}

static void refuse_scope(const struct parser *parser, struct tm_place at, const char *word)
{
    const char *names[SCOPES];
    char shown[TM_SHOWN_MAX];
    for (size_t i = 0; i < SCOPES; i++) {
        names[i] = scopes[i].name;
    }
    (void)tm_shown(word, strlen(word), shown);
    const char *near = tm_nearest(word, names, SCOPES);
    if (near != NULL) {
        tm_findings_error(parser->findings, at, path, "unknown scope \"%s\"; did you mean \"%s\"?",
                shown, near);
    } else {
        tm_findings_error(parser->findings, at, path,
                "unknown scope \"%s\"; there are read, operate, restore, admin", shown);
    }
}

static bool read_scopes(struct parser *parser, const struct field *field, unsigned *out)
{
    unsigned bits = 0;
    bool good = true;
    const char *at = field->text;
    for (bool more = true; more;) {
        size_t len = strcspn(at, ",");
        const char *word = tm_arena_str(parser->arena, tm_slice_of(at, len));
        unsigned bit = tm_scope_bit(word);
        if (bit == 0) {
            struct tm_place place = field->at;
            place.column += (unsigned)(at - field->text);
            refuse_scope(parser, place, word);
            good = false;
        }
        bits |= bit;
        more = at[len] == ',';
        at += len + (more ? 1 : 0);
    }
    *out = bits;
    return good;
}

static bool read_hash(struct parser *parser, const struct field *field, struct tm_hash *out)
{
    static const char prefix[] = "sha256:";
    size_t len = sizeof(prefix) - 1;
    if (strncmp(field->text, prefix, len) != 0 ||
            !tm_parse_hex(field->text + len, out->bytes, sizeof(out->bytes))) {
        tm_findings_error(parser->findings, field->at, path,
                "the hash of a token is written sha256: and 64 hexadecimal digits");
        return false;
    }
    for (size_t i = 0; i < parser->tokens.count; i++) {
        if (tm_hash_eq(&parser->tokens.at[i].sha256, out)) {
            tm_findings_error(parser->findings, field->at, path,
                    "the token of \"%s\" (line %u) stands here again", parser->tokens.at[i].name,
                    parser->lines.at[i]);
            return false;
        }
    }
    return true;
}

/* A time by itself: not the "-2h" or milliseconds that tm_time_parse() takes as well. */
static bool is_rfc3339(const char *text)
{
    return strlen(text) >= RFC3339_MIN && text[4] == '-' && (text[10] == 'T' || text[10] == 't');
}

static bool read_expiry(
        struct parser *parser, const struct field *field, struct tm_config_token *token)
{
    const char *text = field->text + strlen("expires=");
    struct tm_err err = {0};
    int64_t expires_ms = 0;
    if (!is_rfc3339(text) || tm_time_parse(text, 0, &expires_ms, &err) != TM_OK ||
            expires_ms <= 0) {
        refuse(parser, field, "is no time; write expires=2027-01-31T00:00:00Z");
        return false;
    }
    if (token->expires_ms != 0) {
        refuse(parser, field, "is given twice");
        return false;
    }
    token->expires_ms = expires_ms;
    if (expires_ms <= parser->now_ms) {
        tm_findings_warning(
                parser->findings, field->at, path, "\"%s\" expired at %s", token->name, text);
    }
    return true;
}

/* "a,b,c". To ignore a mistake here would make the token stronger than meant. */
static bool read_names(struct parser *parser, const struct field *field, const char *text,
        struct tm_config_names *out)
{
    if (out->count > 0) {
        refuse(parser, field, "is given twice");
        return false;
    }
    TM_VEC(const char *) names = {0};
    bool good = true;
    for (bool more = true; more && good;) {
        size_t len = strcspn(text, ",");
        good = len > 0 && names.count < NAMES_MAX;
        if (good) {
            *tm_vec_push(&names) = tm_arena_str(parser->arena, tm_slice_of(text, len));
        }
        more = text[len] == ',';
        text += len + (more ? 1 : 0);
    }
    if (!good) {
        refuse(parser, field, "is no list of names; write them as a,b,c");
    } else {
        const char **copy = tm_arena_alloc(parser->arena, names.count, sizeof(*copy));
        memcpy(copy, names.at, names.count * sizeof(*copy));
        *out = (struct tm_config_names){copy, names.count};
    }
    tm_vec_done(&names);
    return good;
}

static bool read_rest(
        struct parser *parser, const struct field *field, struct tm_config_token *token)
{
    if (strncmp(field->text, "expires=", 8) == 0) {
        return read_expiry(parser, field, token);
    }
    struct tm_config_names *const lists[] = {&token->policies, &token->clusters, &token->targets};
    static const char *const names[] = {"policies=", "clusters=", "target="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);
        if (strncmp(field->text, names[i], len) == 0) {
            return read_names(parser, field, field->text + len, lists[i]);
        }
    }
    refuse(parser, field, "is not known; a line is: " LINE);
    return false;
}

/* The token itself where its hash is wanted: to be told, and not shown. */
static bool holds_token(struct parser *parser, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(fields[i].text, "tm_", 3) == 0 && strlen(fields[i].text) >= TOKEN_MIN) {
            tm_findings_error(parser->findings, fields[i].at, path,
                    "a token itself stands here; write sha256: and its hash, from printf %%s TOKEN "
                    "| sha256sum");
            return true;
        }
    }
    return false;
}

static void read_fields(struct parser *parser, const struct field *fields, size_t count)
{
    struct tm_config_token token = {.name = ""};
    if (holds_token(parser, fields, count)) {
        return;
    }
    if (count < FIELDS_NEEDED) {
        tm_findings_error(parser->findings, fields[0].at, path, "a line is: " LINE);
        return;
    }
    bool good = read_name(parser, &fields[0], &token.name);
    good = read_scopes(parser, &fields[1], &token.scopes) && good;
    good = read_hash(parser, &fields[2], &token.sha256) && good;
    for (size_t i = FIELDS_NEEDED; i < count; i++) {
        good = read_rest(parser, &fields[i], &token) && good;
    }
    if (good) {
        *tm_vec_push(&parser->tokens) = token;
        *tm_vec_push(&parser->lines) = fields[0].at.line;
    }
}

/* Split at spaces and tabs; what is behind the FIELDS_MAXth field is part of it. */
static size_t split(struct parser *parser, struct tm_slice line, unsigned number,
        struct field fields[FIELDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < line.len && count < FIELDS_MAX; i++) {
        size_t begin = i;
        while (i < line.len && line.at[i] != ' ' && line.at[i] != '\t') {
            i++;
        }
        if (i > begin) {
            i = count == FIELDS_MAX - 1 ? line.len : i;
            fields[count++] = (struct field){
                    .text = tm_arena_str(parser->arena, tm_slice_of(line.at + begin, i - begin)),
                    .at = {.line = number, .column = (unsigned)begin + 1},
            };
        }
    }
    return count;
}

static void read_line(struct parser *parser, struct tm_slice line, unsigned number)
{
    struct field fields[FIELDS_MAX];
    const uint8_t *comment = line.len > 0 ? memchr(line.at, '#', line.len) : NULL;
    line.len = comment != NULL ? (size_t)(comment - line.at) : line.len;
    line.len -= line.len > 0 && line.at[line.len - 1] == '\r' ? 1 : 0;
    if (line.len > 0 && memchr(line.at, 0, line.len) != NULL) {
        tm_findings_error(parser->findings, (struct tm_place){.line = number, .column = 1}, path,
                "the line holds a NUL byte");
        return;
    }
    size_t count = split(parser, line, number, fields);
    if (count > 0) {
        read_fields(parser, fields, count);
    }
}

struct tm_config_token *tm_tokens_parse(struct tm_slice text, int64_t now_ms,
        struct tm_findings *findings, struct tm_arena *arena, size_t *count)
{
    struct parser parser = {.now_ms = now_ms, .findings = findings, .arena = arena};
    unsigned number = 0;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;
        read_line(&parser, tm_slice_of(text.at, len), ++number);
        len += end != NULL ? 1 : 0;
        text = tm_slice_of(text.at + len, text.len - len);
        if (parser.tokens.count > TOKENS_MAX) {
            tm_findings_error(findings, (struct tm_place){.line = number, .column = 1}, path,
                    "more than %d tokens in one file", (int)TOKENS_MAX);
            break;
        }
    }
    struct tm_config_token *tokens = NULL;
    *count = parser.tokens.count;
    if (parser.tokens.count > 0) {
        tokens = tm_arena_alloc(arena, parser.tokens.count, sizeof(*tokens));
        memcpy(tokens, parser.tokens.at, parser.tokens.count * sizeof(*tokens));
    }
    tm_vec_done(&parser.tokens);
    tm_vec_done(&parser.lines);
    return tokens;
}

void tm_tokens_read(struct tm_spot *spot)
{
    struct tm_loader *loader = spot->loader;
    struct tm_config *config = loader->config;
    struct tm_safe_file file = {0};
    struct tm_ref ref = {0};
    const char *shown = NULL;
    if (tm_value_is_empty(spot->node) ||
            !tm_value_read_file(spot, TOKENS_FILE_MAX, &file, &ref, &shown)) {
        return;
    }
    unsigned here = loader->findings.file;
    (void)tm_findings_file(&loader->findings, shown);
    config->server.tokens = tm_tokens_parse(file.bytes, tm_now_ms(), &loader->findings,
            &config->arena, &config->server.token_count);
    loader->findings.file = here;
}
