/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "base/buf.h"
#include "policy/shown.h"

/* A list or map whose end has not been read. */
struct level {
    struct tm_yaml *node;
    struct tm_yaml *last;
    size_t index;    /* of what comes next, for paths of lists */
    const char *key; /* of what comes next; NULL: a key is due */
    struct tm_place key_at;
    bool dropped; /* what comes next is read and left out */
};

struct reader {
    yaml_parser_t parser;
    struct tm_slice text;
    struct tm_findings *findings;
    struct tm_arena *arena;
    struct tm_yaml *root;
    struct level levels[TM_YAML_DEPTH_MAX];
    size_t depth;
    size_t events;
    unsigned documents;
    bool stopped; /* at the end, or where going on makes no sense */
    bool broken;  /* the tree is not whole */
};

static struct tm_place place_of(const struct reader *reader, yaml_mark_t mark)
{
    return (struct tm_place){
            .file = reader->findings->file,
            .line = (unsigned)mark.line + 1,
            .column = (unsigned)mark.column + 1,
    };
}

/* "policies[0].topics", of what is being read. */
static const char *path_of(const struct reader *reader)
{
    struct tm_buf path = {0};
    for (size_t i = 0; i < reader->depth; i++) {
        const struct level *level = &reader->levels[i];
        if (level->node->kind == TM_YAML_LIST) {
            tm_buf_add_fmt(&path, "[%zu]", level->index);
        } else if (level->key != NULL) {
            char shown[TM_SHOWN_MAX];
            tm_buf_add_fmt(&path, "%s%s", path.len > 0 ? "." : "",
                    tm_shown(level->key, strlen(level->key), shown));
        }
    }
    const char *copy = tm_arena_str(reader->arena, tm_buf_slice(&path));
    tm_buf_done(&path);
    return copy;
}

static void refuse(struct reader *reader, yaml_mark_t mark, const char *what)
{
    tm_findings_error(reader->findings, place_of(reader, mark), path_of(reader), "%s", what);
}

static void stop(struct reader *reader, yaml_mark_t mark, const char *what)
{
    refuse(reader, mark, what);
    reader->stopped = true;
    reader->broken = true;
}

/* The place of a byte, for the errors that libyaml finds before it counts lines. */
static struct tm_place place_of_byte(struct tm_slice text, size_t offset)
{
    struct tm_place at = {.line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        bool ends = text.at[i] == '\n';
        bool continues = (text.at[i] & 0xc0) == 0x80;
        at.line += ends ? 1 : 0;
        at.column = ends ? 1 : at.column + (continues ? 0 : 1);
    }
    return at;
}

static bool is_tab(struct tm_slice text, yaml_mark_t mark)
{
    struct tm_place wanted = {.line = (unsigned)mark.line + 1, .column = (unsigned)mark.column + 1};
    struct tm_place at = {.line = 1, .column = 1};
    for (size_t i = 0; i < text.len && at.line <= wanted.line; i++) {
        if (at.line == wanted.line && at.column >= wanted.column) {
            return text.at[i] == '\t';
        }
        at = text.at[i] == '\n' ? (struct tm_place){.line = at.line + 1, .column = 1}
                                : (struct tm_place){.line = at.line, .column = at.column + 1};
    }
    return false;
}

/* What libyaml was in the middle of, in a reader's words; NULL when that does not help. */
static const char *context_name(const char *context)
{
    static const char *const names[][2] = {
            {"while parsing a block collection", "list"},
            {"while parsing a flow sequence", "list"},
            {"while parsing a block mapping", "map"},
            {"while parsing a flow mapping", "map"},
            {"while scanning a quoted scalar", "text"},
            {"while scanning a simple key", "key"},
    };
    for (size_t i = 0; context != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(context, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return NULL;
}

static void report_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    struct tm_place at = place_of(reader, parser->problem_mark);
    const char *started = context_name(parser->context);
    if (parser->error == YAML_READER_ERROR) {
        at = place_of_byte(reader->text, parser->problem_offset);
        tm_findings_error(reader->findings, at, NULL, "%s; the file has to be UTF-8 text", problem);
    } else if (strstr(problem, "tab character") != NULL ||
               is_tab(reader->text, parser->problem_mark)) {
        tm_findings_error(reader->findings, at, NULL, "tab used for indentation");
    } else if (started != NULL) {
        tm_findings_error(reader->findings, at, NULL, "%s (%s started at line %zu)", problem,
                started, parser->context_mark.line + 1);
    } else {
        tm_findings_error(reader->findings, at, NULL, "%s", problem);
    }
}

static struct tm_yaml *find(const struct tm_yaml *map, const char *key)
{
    for (struct tm_yaml *at = map->first; at != NULL; at = at->next) {
        if (strcmp(at->key, key) == 0) {
            return at;
        }
    }
    return NULL;
}

struct tm_yaml *tm_yaml_get(const struct tm_yaml *map, const char *key)
{
    return map != NULL && map->kind == TM_YAML_MAP ? find(map, key) : NULL;
}

const char *tm_yaml_kind_name(const struct tm_yaml *node)
{
    switch (node->kind) {
    case TM_YAML_TEXT:
        return node->plain && node->text[0] == '\0' ? "nothing" : "text";
    case TM_YAML_LIST:
        return "a list";
    case TM_YAML_MAP:
        return "a map";
    case TM_YAML_BAD:
        break;
    }
    return "what cannot be read";
}

/* Is the next event of this level a key? */
static bool key_due(const struct reader *reader)
{
    const struct level *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;
    return level != NULL && level->node->kind == TM_YAML_MAP && level->key == NULL;
}

/* Put a new node where it belongs. */
static struct tm_yaml *attach(struct reader *reader, enum tm_yaml_kind kind, yaml_mark_t mark)
{
    struct tm_yaml *node = tm_arena_alloc(reader->arena, 1, sizeof(*node));
    node->kind = kind;
    node->at = place_of(reader, mark);
    if (reader->depth == 0) {
        reader->root = node;
        return node;
    }
    struct level *level = &reader->levels[reader->depth - 1];
    node->key = level->key;
    node->key_at = level->key_at;
    if (level->dropped) {
        return node;
    }
    if (level->last == NULL) {
        level->node->first = node;
    } else {
        level->last->next = node;
    }
    level->last = node;
    level->node->count++;
    return node;
}

/* A value has been read to its end. */
static void go_on(struct reader *reader)
{
    if (reader->depth > 0) {
        struct level *level = &reader->levels[reader->depth - 1];
        level->index++;
        level->key = NULL;
        level->dropped = false;
    }
}

static void read_key(struct reader *reader, const yaml_event_t *event, const char *text)
{
    struct level *level = &reader->levels[reader->depth - 1];
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const struct tm_yaml *before = find(level->node, text);
    if (plain && strcmp(text, "<<") == 0) {
        refuse(reader, event->start_mark, "merge keys (<<) are not supported");
        level->dropped = true;
    }
    level->key = text;
    level->key_at = place_of(reader, event->start_mark);
    if (before != NULL) {
        tm_findings_error(reader->findings, level->key_at, path_of(reader),
                "key given twice (first at line %u)", before->key_at.line);
        level->dropped = true;
    }
}

static void check_properties(struct reader *reader, const yaml_char_t *anchor,
        const yaml_char_t *tag, const yaml_event_t *event)
{
    if (anchor != NULL) {
        refuse(reader, event->start_mark, "anchors (&x) are not supported");
    }
    if (tag != NULL) {
        refuse(reader, event->start_mark, "tags (!x) are not supported");
    }
}

static void read_scalar(struct reader *reader, const yaml_event_t *event)
{
    check_properties(reader, event->data.scalar.anchor, event->data.scalar.tag, event);
    struct tm_slice bytes = {event->data.scalar.value, event->data.scalar.length};
    bool has_nul = bytes.len > 0 && memchr(bytes.at, 0, bytes.len) != NULL;
    const char *text = tm_arena_str(reader->arena, bytes);
    if (has_nul) {
        refuse(reader, event->start_mark, "a text cannot hold a NUL character (\\0)");
    }
    if (key_due(reader)) {
        read_key(reader, event, text);
        return;
    }
    struct tm_yaml *node = attach(reader, has_nul ? TM_YAML_BAD : TM_YAML_TEXT, event->start_mark);
    node->text = text;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    go_on(reader);
}

static void begin(struct reader *reader, enum tm_yaml_kind kind, const yaml_event_t *event)
{
    bool is_list = kind == TM_YAML_LIST;
    check_properties(reader,
            is_list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor,
            is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag, event);
    if (key_due(reader)) {
        stop(reader, event->start_mark, "a key must be text, not a list or map");
        return;
    }
    if (reader->depth == TM_YAML_DEPTH_MAX) {
        stop(reader, event->start_mark, "lists and maps are nested more than 16 deep");
        return;
    }
    struct tm_yaml *node = attach(reader, kind, event->start_mark);
    reader->levels[reader->depth++] = (struct level){.node = node};
}

static void read_alias(struct reader *reader, const yaml_event_t *event)
{
    refuse(reader, event->start_mark, "aliases (*x) are not supported");
    if (key_due(reader)) {
        struct level *level = &reader->levels[reader->depth - 1];
        level->key = "*";
        level->dropped = true;
        return;
    }
    (void)attach(reader, TM_YAML_BAD, event->start_mark);
    go_on(reader);
}

static void begin_document(struct reader *reader, const yaml_event_t *event)
{
    bool has_tags = event->data.document_start.tag_directives.start !=
                    event->data.document_start.tag_directives.end;
    if (has_tags) {
        refuse(reader, event->start_mark, "tags (%TAG) are not supported");
    }
    if (++reader->documents > 1) {
        stop(reader, event->start_mark, "a second document (---) is not supported");
    }
}

static void read_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        read_scalar(reader, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        begin(reader, TM_YAML_LIST, event);
        break;
    case YAML_MAPPING_START_EVENT:
        begin(reader, TM_YAML_MAP, event);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        tm_assert(reader->depth > 0);
        reader->depth--;
        go_on(reader);
        break;
    case YAML_ALIAS_EVENT:
        read_alias(reader, event);
        break;
    case YAML_DOCUMENT_START_EVENT:
        begin_document(reader, event);
        break;
    case YAML_STREAM_END_EVENT:
        reader->stopped = true;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
}

static void read_all(struct reader *reader)
{
    while (!reader->stopped) {
        yaml_event_t event;
        if (yaml_parser_parse(&reader->parser, &event) == 0) {
            report_syntax(reader);
            reader->broken = true;
            return;
        }
        if (++reader->events > TM_YAML_EVENTS_MAX) {
            stop(reader, event.start_mark, "more than 10000 keys and values in one file");
        } else {
            read_event(reader, &event);
        }
        if (event.type == YAML_SCALAR_EVENT) { /* may be a secret */
            explicit_bzero(event.data.scalar.value, event.data.scalar.length);
        }
        yaml_event_delete(&event);
    }
}

/* What libyaml has read and decoded lies in two buffers of its own, which it frees as they are. */
static void wipe_buffers(yaml_parser_t *parser)
{
    if (parser->raw_buffer.start != NULL) {
        explicit_bzero(parser->raw_buffer.start,
                (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    }
    if (parser->buffer.start != NULL) {
        explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    }
}

struct tm_yaml *tm_yaml_read(
        struct tm_slice text, struct tm_findings *findings, struct tm_arena *arena)
{
    const struct tm_place start = {.line = 1, .column = 1};
    if (text.len > TM_YAML_BYTES_MAX) {
        tm_findings_error(findings, start, NULL, "the file is larger than 1 MiB");
        return NULL;
    }
    static const char mark[] = "\xef\xbb\xbf"; /* would count as a character of the first line */
    size_t mark_len = sizeof(mark) - 1;
    if (text.len >= mark_len && memcmp(text.at, mark, mark_len) == 0) {
        text = tm_slice_of(text.at + mark_len, text.len - mark_len);
    }
    struct reader reader = {.text = text, .findings = findings, .arena = arena};
    tm_assert(yaml_parser_initialize(&reader.parser) == 1); /* fails without memory alone */
    const unsigned char *bytes = text.len > 0 ? text.at : (const unsigned char *)"";
    yaml_parser_set_input_string(&reader.parser, bytes, text.len);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    read_all(&reader);
    wipe_buffers(&reader.parser);
    yaml_parser_delete(&reader.parser);
    if (reader.root == NULL && !reader.broken) {
        tm_findings_error(findings, start, NULL, "the file is empty");
    }
    return reader.broken ? NULL : reader.root;
}
