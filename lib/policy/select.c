/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/select.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "policy/shown.h"

enum {
    REPEAT_MAX = 255, /* product of the counts in a regular expression; a name has 249 characters */
    RE_MESSAGE_MAX = 100,
};

/* Invariant: `text` is set once the entry exists; `regex` only when has_regex. */
struct entry {
    char *text;
    bool has_regex; /* else the entry is a plain name */
    regex_t regex;
};

struct entry_list {
    struct entry *at;
    size_t count;
    const char **names; /* the plain ones, sorted, borrowed from `at` */
    size_t name_count;
};

struct tm_select {
    struct entry_list include;
    struct entry_list exclude;
    bool internal_topics;
};

static void done_list(struct entry_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i].has_regex) {
            regfree(&list->at[i].regex);
        }
        free(list->at[i].text);
    }
    free(list->at);
    free(list->names);
}

void tm_select_free(struct tm_select *select)
{
    if (select != NULL) {
        done_list(&select->include);
        done_list(&select->exclude);
        free(select);
    }
}

static bool is_topic_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/*
 * From here to compile(), functions give what is wrong with a pattern, as text for the message, and
 * NULL when nothing is.
 */

/* Translate "[a-z]" or "[!a-z]" at *cursor, moving it past the bracket. */
static const char *add_bracket(const char **cursor, struct tm_buf *regex)
{
    const char *at = *cursor + 1;
    bool negated = *at == '!' || *at == '^';
    at += negated ? 1 : 0;
    const char *close = strchr(at, ']');
    if (close == NULL) {
        return "\"[\" is not closed";
    }
    if (close == at) {
        return "\"[]\" matches nothing";
    }
    tm_buf_add_text(regex, negated ? "[^" : "[");
    for (; at < close; at++) {
        if (!is_topic_char(*at)) {
            return "a character in \"[]\" cannot be in a topic's name";
        }
        tm_buf_add(regex, at, 1);
    }
    tm_buf_add_text(regex, "]");
    *cursor = close + 1;
    return NULL;
}

/* Translate one character of a glob. `depth` counts the braces that are open. */
static const char *add_char(char c, size_t *depth, struct tm_buf *regex)
{
    switch (c) {
    case '*':
        tm_buf_add_text(regex, ".*");
        return NULL;
    case '?':
    case '.':
        tm_buf_add_text(regex, c == '?' ? "." : "\\.");
        return NULL;
    case '{':
        ++*depth;
        tm_buf_add_text(regex, "(");
        return NULL;
    case '}':
        if (*depth == 0) {
            return "\"}\" without \"{\"";
        }
        --*depth;
        tm_buf_add_text(regex, ")");
        return NULL;
    case ',':
        tm_buf_add_text(regex, "|");
        return *depth == 0 ? "\",\" outside of \"{}\"; write a list of topics" : NULL;
    default:
        tm_buf_add(regex, &c, 1);
        return is_topic_char(c) ? NULL
                                : "a character that cannot be in a topic's name; a regular "
                                  "expression is written between slashes: \"/^a.*$/\"";
    }
}

static const char *glob_to_regex(const char *glob, struct tm_buf *regex)
{
    size_t depth = 0;
    while (*glob != '\0') {
        const char *wrong = NULL;
        if (*glob == '[') {
            wrong = add_bracket(&glob, regex);
        } else {
            wrong = add_char(*glob, &depth, regex);
            glob++;
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return depth > 0 ? "\"{\" is not closed" : NULL;
}

/* The larger count of "{2}", "{2,}", "{2,5}" behind `brace`; 1 where no count stands. */
static size_t repeat_count(const char *brace)
{
    size_t largest = 1;
    size_t value = 0;
    for (const char *at = brace + 1; (*at >= '0' && *at <= '9') || *at == ','; at++) {
        value = *at == ',' ? 0 : value * 10 + (size_t)(*at - '0');
        value = value <= REPEAT_MAX ? value : REPEAT_MAX + 1;
        largest = value > largest ? value : largest;
    }
    return largest;
}

/* libc multiplies counted repetitions out when it compiles, and tries back-references one by one. */
static const char *check_cost(const char *regex)
{
    size_t repeats = 1;
    for (const char *at = regex; *at != '\0'; at++) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '9') {
            return "back-references are not supported";
        }
        if (at[0] == '\\' && at[1] != '\0') {
            at++;
        } else if (at[0] == '{') {
            repeats *= repeat_count(at);
        }
        if (repeats > REPEAT_MAX) {
            return "the counts in {} multiply to more than 255";
        }
    }
    return NULL;
}

/* The text between the slashes. */
static const char *read_regex(const char *pattern, struct tm_buf *regex)
{
    size_t len = strlen(pattern);
    if (len < 2 || pattern[len - 1] != '/') {
        return "the closing \"/\" is missing";
    }
    if (len == 2) {
        return "the regular expression is empty";
    }
    tm_buf_add(regex, pattern + 1, len - 2);
    return check_cost(tm_buf_text(regex));
}

static const char *compile(const char *text, regex_t *out, char message[RE_MESSAGE_MAX])
{
    TM_BUF_OWN struct tm_buf regex = {0};
    const char *wrong = text[0] == '/' ? read_regex(text, &regex) : glob_to_regex(text, &regex);
    if (wrong != NULL) {
        return wrong;
    }
    int failed = regcomp(out, tm_buf_text(&regex), REG_EXTENDED);
    if (failed == 0) {
        return NULL;
    }
    (void)regerror(failed, out, message, RE_MESSAGE_MAX);
    if (message[0] >= 'A' && message[0] <= 'Z') {
        message[0] = (char)(message[0] | 0x20); /* messages begin in lower case */
    }
    return message;
}

static bool is_name(const char *text)
{
    while (is_topic_char(*text)) {
        text++;
    }
    return *text == '\0';
}

static enum tm_code add_entry(struct entry_list *list, const char *text, struct tm_err *err)
{
    char shown[TM_SHOWN_MAX];
    char message[RE_MESSAGE_MAX];
    size_t len = strlen(text);
    if (len == 0) {
        return tm_err_set(err, TM_E_USAGE, "a topic pattern is empty");
    }
    (void)tm_shown(text, len, shown);
    if (len > TM_SELECT_PATTERN_MAX) {
        return tm_err_set(err, TM_E_USAGE, "topic pattern \"%s\": longer than %d bytes", shown,
                (int)TM_SELECT_PATTERN_MAX);
    }
    struct entry *entry = &list->at[list->count];
    if (is_name(text)) {
        entry->text = strdup(text);
        tm_assert(entry->text != NULL);
        list->names[list->name_count++] = entry->text;
        list->count++;
        return TM_OK;
    }
    const char *wrong = compile(text, &entry->regex, message);
    if (wrong != NULL) {
        return tm_err_set(err, TM_E_USAGE, "topic pattern \"%s\": %s", shown, wrong);
    }
    entry->has_regex = true;
    entry->text = strdup(text);
    tm_assert(entry->text != NULL);
    list->count++;
    return TM_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum tm_code fill(
        struct entry_list *list, const char *const *texts, size_t count, struct tm_err *err)
{
    if (count > TM_SELECT_ENTRIES_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "%zu topic patterns are more than %d", count,
                (int)TM_SELECT_ENTRIES_MAX);
    }
    list->at = tm_xalloc(count + 1, sizeof(*list->at));
    list->names = tm_xalloc(count + 1, sizeof(*list->names));
    for (size_t i = 0; i < count; i++) {
        enum tm_code code = add_entry(list, texts[i], err);
        if (code != TM_OK) {
            return code;
        }
    }
    qsort(list->names, list->name_count, sizeof(*list->names), by_name);
    return TM_OK;
}

enum tm_code tm_select_new(
        const struct tm_select_options *options, struct tm_select **out, struct tm_err *err)
{
    TM_OWN(tm_select_free) struct tm_select *select = tm_xalloc(1, sizeof(*select));
    select->internal_topics = options->internal_topics;
    enum tm_code code = fill(&select->include, options->include, options->include_count, err);
    if (code == TM_OK) {
        code = fill(&select->exclude, options->exclude, options->exclude_count, err);
    }
    if (code == TM_OK) {
        *out = TM_TAKE(select);
    }
    return code;
}

static bool has_name(const struct entry_list *list, const char *topic)
{
    return bsearch(&topic, list->names, list->name_count, sizeof(*list->names), by_name) != NULL;
}

/*
 * Anchored without "^(...)$" around the expression, out of which an "a)|b" would break: POSIX gives
 * the leftmost match and of these the longest, so a match of the whole name is found if there is one.
 */
static bool meets(const struct entry *entry, const char *topic)
{
    regmatch_t found;
    return entry->has_regex && regexec(&entry->regex, topic, 1, &found, 0) == 0 &&
           found.rm_so == 0 && topic[found.rm_eo] == '\0';
}

static bool has_pattern(const struct entry_list *list, const char *topic)
{
    for (size_t i = 0; i < list->count; i++) {
        if (meets(&list->at[i], topic)) {
            return true;
        }
    }
    return false;
}

/* May a pattern reach this topic, or only its own name? */
static bool open_to_patterns(const struct tm_select *select, const char *topic)
{
    bool internal = strncmp(topic, "__", 2) == 0 || strcmp(topic, "_schemas") == 0;
    return select->internal_topics || !internal;
}

bool tm_select_matches(const struct tm_select *select, const char *topic)
{
    bool included = has_name(&select->include, topic) ||
                    (open_to_patterns(select, topic) && has_pattern(&select->include, topic));
    return included && !has_name(&select->exclude, topic) && !has_pattern(&select->exclude, topic);
}

size_t tm_select_count(const struct tm_select *select)
{
    return select->include.count;
}

static const struct entry *entry_at(const struct tm_select *select, size_t index)
{
    tm_assert(index < select->include.count);
    return &select->include.at[index];
}

const char *tm_select_entry(const struct tm_select *select, size_t index)
{
    return entry_at(select, index)->text;
}

bool tm_select_entry_is_name(const struct tm_select *select, size_t index)
{
    return !entry_at(select, index)->has_regex;
}

bool tm_select_entry_matches(const struct tm_select *select, size_t index, const char *topic)
{
    const struct entry *entry = entry_at(select, index);
    return entry->has_regex ? open_to_patterns(select, topic) && meets(entry, topic)
                            : strcmp(entry->text, topic) == 0;
}
