/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options as a JSON Schema (2020-12), for editors that know YAML. */
#include <stdlib.h>

#include "base/json.h"
#include "options.h"
#include "tm_config.h"

#define REFERENCE "^\\$\\{(env|file|credential):[^}]+\\}$"

static struct tm_json *of_type(const char *type)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "type", type);
    return json;
}

static struct tm_json *text_like(const char *pattern)
{
    struct tm_json *json = of_type("string");
    tm_json_add_str(json, "pattern", pattern);
    return json;
}

/* A value, or a reference in its place; texts hold both. */
static struct tm_json *or_reference(struct tm_json *value)
{
    struct tm_json *json = tm_json_object();
    struct tm_json *any = tm_json_add(json, "anyOf", tm_json_array());
    (void)tm_json_push(any, value);
    (void)tm_json_push(any, text_like(REFERENCE));
    return json;
}

static struct tm_json *one_of_words(const struct tm_option *option)
{
    struct tm_json *json = tm_json_object();
    struct tm_json *words = tm_json_add(json, "enum", tm_json_array());
    size_t len = 0;
    const char *at = tm_option_word(option, 0, &len);
    for (size_t i = 1; at != NULL; at = tm_option_word(option, i++, &len)) {
        TM_BUF_OWN struct tm_buf word = {0};
        tm_buf_add(&word, at, len);
        tm_json_push_str(words, tm_buf_text(&word));
    }
    return json;
}

static struct tm_json *whole_number(const struct tm_option *option)
{
    struct tm_json *json = of_type("integer");
    tm_json_add_int(json, "minimum", option->min);
    tm_json_add_int(json, "maximum", option->max);
    return json;
}

/* A text or a whole number: "96MiB", 1024. */
static struct tm_json *with_unit(const char *pattern)
{
    struct tm_json *json = tm_json_object();
    struct tm_json *types = tm_json_add(json, "type", tm_json_array());
    tm_json_push_str(types, "string");
    tm_json_push_str(types, "integer");
    tm_json_add_str(json, "pattern", pattern);
    return json;
}

/* A scalar as text; one that is plain in YAML may look like a number. */
static struct tm_json *any_scalar(void)
{
    struct tm_json *json = tm_json_object();
    struct tm_json *types = tm_json_add(json, "type", tm_json_array());
    tm_json_push_str(types, "string");
    tm_json_push_str(types, "number");
    tm_json_push_str(types, "boolean");
    return json;
}

static struct tm_json *one_or_several(void)
{
    struct tm_json *json = tm_json_object();
    struct tm_json *any = tm_json_add(json, "anyOf", tm_json_array());
    (void)tm_json_push(any, any_scalar());
    struct tm_json *list = tm_json_push(any, of_type("array"));
    (void)tm_json_add(list, "items", any_scalar());
    return json;
}

static struct tm_json *map_of(struct tm_json *value)
{
    struct tm_json *json = of_type("object");
    (void)tm_json_add(json, "additionalProperties", value);
    return json;
}

static struct tm_json *scopes(void)
{
    static const char *const names[] = {"read", "operate", "restore", "admin"};
    struct tm_json *list = of_type("array");
    struct tm_json *items = tm_json_add(list, "items", tm_json_object());
    struct tm_json *words = tm_json_add(items, "enum", tm_json_array());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tm_json_push_str(words, names[i]);
    }
    return list;
}

static struct tm_json *section(const char *scope);

static struct tm_json *list_of(const struct tm_option *option)
{
    TM_BUF_OWN struct tm_buf scope = {0};
    tm_buf_add_fmt(&scope, "%s[]", option->path);
    struct tm_json *json = of_type("array");
    (void)tm_json_add(json, "items", section(tm_buf_text(&scope)));
    return json;
}

static struct tm_json *value_of(const struct tm_option *option)
{
    switch (option->kind) {
    case TM_OPTION_MAP:
        return section(option->path);
    case TM_OPTION_LIST:
        return list_of(option);
    case TM_OPTION_TEXT:
    case TM_OPTION_NAME:
    case TM_OPTION_PATH:
    case TM_OPTION_ADDRESS:
    case TM_OPTION_SCHEDULE:
        return any_scalar();
    case TM_OPTION_WORD:
        return or_reference(one_of_words(option));
    case TM_OPTION_BOOL:
        return or_reference(of_type("boolean"));
    case TM_OPTION_INT:
        return or_reference(whole_number(option));
    case TM_OPTION_SIZE:
        return or_reference(with_unit("^[0-9]+([KMGT]i?B)?$"));
    case TM_OPTION_DURATION:
        return or_reference(with_unit("^(0|[0-9]+(ms|s|m|h|d|w))$"));
    case TM_OPTION_RATIO:
        return or_reference(of_type("number"));
    case TM_OPTION_TEXTS:
    case TM_OPTION_BOOTSTRAP:
        return one_or_several();
    case TM_OPTION_PAIRS:
    case TM_OPTION_LABELS:
        return map_of(any_scalar());
    case TM_OPTION_CLIENT_SCOPES:
        return map_of(scopes());
    case TM_OPTION_KEY:
    case TM_OPTION_PASSPHRASE:
    case TM_OPTION_SECRET_TEXT:
    case TM_OPTION_TOKENS:
        break;
    }
    return of_type("string");
}

static struct tm_json *section(const char *scope)
{
    struct tm_json *json = of_type("object");
    struct tm_json *properties = tm_json_add(json, "properties", tm_json_object());
    struct tm_json *required = tm_json_array();
    bool any = false;
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (!tm_option_is_in(option, scope)) {
            continue;
        }
        struct tm_json *value =
                tm_json_add(properties, tm_option_key(option->path), value_of(option));
        tm_json_add_str(value, "description", option->help);
        /* A path is required of a disk alone. */
        bool needed = option->fallback == NULL && option->kind != TM_OPTION_PATH;
        if (needed) {
            tm_json_push_str(required, tm_option_key(option->path));
            any = true;
        }
    }
    tm_json_add_bool(json, "additionalProperties", false);
    if (any) {
        (void)tm_json_add(json, "required", required);
    } else {
        tm_json_free(required);
    }
    return json;
}

void tm_config_schema(struct tm_buf *out)
{
    TM_OWN(tm_json_free) struct tm_json *json = section("");
    tm_json_add_str(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
    tm_json_add_str(json, "title", "tidemark.yaml");
    char *text = tm_json_text(json);
    tm_buf_add_text(out, text);
    tm_buf_add_text(out, "\n");
    free(text);
}
