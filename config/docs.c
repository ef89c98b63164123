/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "options.h"
#include "tm_config.h"

enum { WIDTH = 98, INDENT = 2 };

/* The example file ---------------------------------------------------------------------------- */

static const char example_head[] =
        "# yaml-language-server: $schema=/usr/share/doc/tidemark/tidemark.schema.json\n"
        "# tidemark.yaml: every option of this version. What is not written here has its default.\n"
        "# ${env:NAME}, ${env:NAME:-default}, ${file:/path} and ${credential:name} stand for "
        "values\n"
        "# that are kept elsewhere. docs/config.md has the same as tables.\n";

/* Levels of sections and lists that a path lies in. */
static size_t depth_of(const char *path)
{
    size_t depth = 0;
    for (; *path != '\0'; path++) {
        depth += *path == '.' || *path == '[' ? 1 : 0;
    }
    return depth;
}

static void add_indent(struct tm_buf *out, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        tm_buf_add_text(out, " ");
    }
}

/* Text as a comment, wrapped at words. */
static void add_comment(struct tm_buf *out, size_t indent, const char *text)
{
    size_t column = 0;
    for (const char *at = text; *at != '\0'; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (column > 0 && column + 1 + len > WIDTH) {
            tm_buf_add_text(out, "\n");
            column = 0;
        }
        if (column == 0) {
            add_indent(out, indent);
            tm_buf_add_text(out, "#");
            column = indent + 1;
        }
        tm_buf_add_fmt(out, " %.*s", (int)len, at);
        column += 1 + len;
        at += len;
    }
    tm_buf_add_text(out, "\n");
}

/* The example's value; lines after the first go one level deeper. */
static void add_value(struct tm_buf *out, size_t indent, const char *value)
{
    if (value[0] == '\0') {
        tm_buf_add_text(out, " \"\"\n");
        return;
    }
    tm_buf_add_text(out, value[0] == '\n' ? "" : " ");
    for (; *value != '\0'; value++) {
        tm_buf_add(out, value, 1);
        if (*value == '\n') {
            add_indent(out, indent + INDENT);
        }
    }
    tm_buf_add_text(out, "\n");
}

static const char *default_text(const struct tm_option *option)
{
    return option->fallback[0] != '\0' ? option->fallback : "\"\"";
}

static bool is_section(const struct tm_option *option)
{
    return option->kind == TM_OPTION_MAP || option->kind == TM_OPTION_LIST;
}

static bool is_list_of_values(const struct tm_option *option)
{
    return option->kind == TM_OPTION_TEXTS || option->kind == TM_OPTION_PAIRS ||
           option->kind == TM_OPTION_LABELS || option->kind == TM_OPTION_CLIENT_SCOPES;
}

static void add_help(struct tm_buf *out, size_t indent, const struct tm_option *option)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, option->help);
    if (!is_section(option) && option->fallback == NULL) {
        tm_buf_add_text(&text, " Required.");
    } else if (option->example[0] != '\0' && option->fallback[0] != '\0') {
        tm_buf_add_fmt(&text, " Default: %s.", option->fallback);
    }
    add_comment(out, indent, tm_buf_text(&text));
}

void tm_config_example(struct tm_buf *out)
{
    bool begins_element = false;
    tm_buf_add_text(out, example_head);
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        size_t indent = depth_of(option->path) * INDENT;
        if (indent == 0) {
            tm_buf_add_text(out, "\n");
        }
        add_help(out, indent, option);
        add_indent(out, begins_element ? indent - INDENT : indent);
        tm_buf_add_fmt(out, "%s%s:", begins_element ? "- " : "", tm_option_key(option->path));
        begins_element = option->kind == TM_OPTION_LIST;
        if (is_section(option)) {
            tm_buf_add_text(out, "\n");
        } else {
            add_value(out, indent, option->example[0] != '\0' ? option->example : option->fallback);
        }
    }
}

/* The reference page -------------------------------------------------------------------------- */

static const char reference_head[] =
        "# Configuration\n"
        "\n"
        "<!-- Written by `tidemark-config-docs reference` from config/options.def: edit that. -->\n"
        "\n"
        "One YAML file (JSON is YAML, too); `examples/tidemark.yaml` shows every option, and "
        "editors learn\n"
        "them from `tidemark.schema.json` (built in `build/config`, installed in "
        "`/usr/share/doc/tidemark`).\n"
        "The smallest that works:\n"
        "\n"
        "```yaml\n"
        "version: 1\n"
        "clusters: [{name: dev, bootstrap: [\"localhost:9092\"]}]\n"
        "vaults:   [{name: local, type: disk, path: ./vault, key_file: ./vault.key, create: "
        "true}]\n"
        "policies: [{name: all, cluster: dev, vault: local, topics: {include: [\"*\"]}, schedule: "
        "\"@every 5m\"}]\n"
        "```\n"
        "\n"
        "Files `conf.d/NAME.yaml` beside it are read after it, in the order of their names "
        "(bytes), "
        "and add to\n"
        "its lists: `clusters`, `vaults`, `policies` and `hooks` alone, so that a package or a "
        "ConfigMap can\n"
        "drop one in. All files together are checked as one configuration; relative paths begin in "
        "the folder of\n"
        "the main one, and each file may hold `version: 1`, for editors.\n"
        "\n"
        "Everything is checked before anything runs, and all errors are listed, each with its "
        "place:\n"
        "`FILE:LINE:COL: error: PATH: what; what to do`.\n"
        "\n"
        "## Values\n"
        "\n"
        "- Durations: a whole number and `ms`, `s`, `m`, `h`, `d` or `w`: `90s`, `15m`, `30d`.\n"
        "- Sizes: bytes, or with `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB`, `GB`, `TB`: `96MiB`.\n"
        "- Yes and no are `true` and `false` only.\n"
        "- Paths that do not begin with `/` begin in the folder of the configuration file.\n"
        "- References stand for a whole value: `${env:NAME}`, `${env:NAME:-default}`, "
        "`${file:/path}`\n"
        "  and `${credential:name}`, a file in `$CREDENTIALS_DIRECTORY` (systemd's "
        "`LoadCredential=`)\n"
        "  or else in `$TIDEMARK_CREDENTIALS_DIRECTORY`. One newline at the end is taken away. "
        "For\n"
        "  `key_file` and `tokens_file` the last two name the file itself, and `${env:NAME}` holds "
        "its\n"
        "  path. What is not set is an error, never an empty text. What came by a reference is in "
        "no\n"
        "  message.\n"
        "- One YAML document, UTF-8, at most 1 MiB, 10,000 keys and values and 16 levels; no "
        "anchors,\n"
        "  aliases, tags or merge keys; a key stands once.\n"
        "\n"
        "## Options\n";

static const char reference_tokens[] =
        "\n"
        "## The key of a vault\n"
        "\n"
        "Whoever has it reads the backups, and without it nobody does: keep a copy elsewhere.\n"
        "\n"
        "```sh\n"
        "(umask 077 && head -c 32 /dev/urandom >vault.key)\n"
        "```\n"
        "\n"
        "## The tokens file\n"
        "\n"
        "One token a line, `#` begins a comment:\n"
        "\n"
        "```\n"
        "# name  scopes        SHA-256 of the whole token, tm_ included, and what it is narrowed "
        "to\n"
        "oncall  read,operate  "
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  "
        "expires=2027-01-31T00:00:00Z\n"
        "ci      read,restore  "
        "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752  "
        "policies=orders target=test\n"
        "```\n"
        "\n"
        "`policies=A,B`: the token sees and works on these policies alone; `clusters=A,B`: on the "
        "policies\n"
        "that back up these; `target=A,B`: it restores into these alone. [api.md](api.md) says of "
        "each route what\n"
        "that means. `tidemark token new` writes such lines.\n"
        "\n"
        "Scopes, each without the others: `read` (see everything but records), `operate` (run "
        "backups,\n"
        "cancel), `restore` (write to clusters), `admin`. A new token and its hash:\n"
        "\n"
        "```sh\n"
        "token=tm_$(head -c 30 /dev/urandom | base64 | tr -dc A-Za-z0-9)\n"
        "echo \"$token\"; printf %s \"$token\" | sha256sum\n"
        "```\n";

static const char reference_later[] =
        "\n"
        "## Not built yet\n"
        "\n"
        "These are designed and give an error, so that nobody believes that they work:\n"
        "\n";

static const char *kind_name(const struct tm_option *option)
{
    static const char *const names[] = {
            [TM_OPTION_MAP] = "section",
            [TM_OPTION_LIST] = "list of sections",
            [TM_OPTION_TEXT] = "text",
            [TM_OPTION_NAME] = "name",
            [TM_OPTION_PATH] = "path",
            [TM_OPTION_ADDRESS] = "HOST:PORT",
            [TM_OPTION_WORD] = "word",
            [TM_OPTION_BOOL] = "true or false",
            [TM_OPTION_INT] = "number",
            [TM_OPTION_SIZE] = "size",
            [TM_OPTION_DURATION] = "duration",
            [TM_OPTION_RATIO] = "ratio",
            [TM_OPTION_SCHEDULE] = "schedule",
            [TM_OPTION_TEXTS] = "list of texts",
            [TM_OPTION_BOOTSTRAP] = "list of texts, or text",
            [TM_OPTION_PAIRS] = "properties",
            [TM_OPTION_LABELS] = "map of texts",
            [TM_OPTION_KEY] = "path or reference",
            [TM_OPTION_PASSPHRASE] = "text",
            [TM_OPTION_SECRET_TEXT] = "text",
            [TM_OPTION_TOKENS] = "path or reference",
            [TM_OPTION_CLIENT_SCOPES] = "map of scopes",
    };
    return names[option->kind];
}

static void add_words(struct tm_buf *out, const struct tm_option *option)
{
    size_t len = 0;
    const char *word = tm_option_word(option, 0, &len);
    for (size_t i = 0; word != NULL; word = tm_option_word(option, ++i, &len)) {
        tm_buf_add_fmt(out, "%s`%.*s`", i > 0 ? ", " : "", (int)len, word);
    }
}

/* Numbers of all kinds with their limits, words one by one, else the kind. */
static void add_accepted(struct tm_buf *out, const struct tm_option *option)
{
    char low[TM_OPTION_TEXT_MAX];
    char high[TM_OPTION_TEXT_MAX];
    bool is_range = option->kind == TM_OPTION_INT || option->kind == TM_OPTION_SIZE ||
                    option->kind == TM_OPTION_DURATION || option->kind == TM_OPTION_RATIO;
    if (option->kind == TM_OPTION_WORD) {
        add_words(out, option);
    } else if (is_range && option->min == option->max) {
        tm_buf_add_fmt(out, "%" PRId64, option->min);
    } else if (is_range) {
        tm_buf_add_fmt(out, "%s, %s to %s%s", kind_name(option),
                tm_option_format(option, option->min, low),
                tm_option_format(option, option->max, high),
                option->words[0] == '0' ? ", or 0" : "");
    } else {
        tm_buf_add_text(out, kind_name(option));
    }
}

static void add_row(struct tm_buf *out, const struct tm_option *option, const char *scope)
{
    const char *shown = option->path + strlen(scope);
    tm_buf_add_fmt(out, "| `%s` | ", *shown == '.' ? shown + 1 : shown);
    add_accepted(out, option);
    if (is_section(option)) {
        tm_buf_add_text(out, option->fallback == NULL ? " | required" : " |");
    } else if (option->fallback == NULL) {
        tm_buf_add_text(out, " | required");
    } else if (option->fallback[0] == '\0' && is_list_of_values(option)) {
        tm_buf_add_text(out, " | none");
    } else {
        tm_buf_add_fmt(out, " | `%s`", default_text(option));
    }
    tm_buf_add_fmt(out, " | %s%s |\n", option->help, option->secret ? " *Secret.*" : "");
}

/* Does the path lie in the section, however deep? */
static bool is_below(const char *path, const char *section)
{
    size_t len = strlen(section);
    return strncmp(path, section, len) == 0 && (path[len] == '.' || path[len] == '[');
}

static void add_table(struct tm_buf *out, const struct tm_option *section)
{
    TM_BUF_OWN struct tm_buf scope = {0};
    tm_buf_add_fmt(&scope, "%s%s", section->path, section->kind == TM_OPTION_LIST ? "[]" : "");
    tm_buf_add_fmt(out, "\n### %s\n\n%s\n\n", tm_buf_text(&scope), section->help);
    tm_buf_add_text(out, "| Option | Takes | Default | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < tm_option_count(); i++) {
        if (is_below(tm_option_at(i)->path, section->path)) {
            add_row(out, tm_option_at(i), tm_buf_text(&scope));
        }
    }
}

void tm_config_reference(struct tm_buf *out)
{
    tm_buf_add_text(out, reference_head);
    tm_buf_add_text(out, "\n| Option | Takes | Default | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (tm_option_is_in(option, "") && !is_section(option)) {
            add_row(out, option, "");
        }
    }
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (tm_option_is_in(option, "") && is_section(option)) {
            add_table(out, option);
        }
    }
    tm_buf_add_text(out, reference_tokens);
    tm_buf_add_text(out, reference_later);
    for (size_t i = 0; i < tm_option_later_count(); i++) {
        tm_buf_add_fmt(out, "- `%s`\n", tm_option_later_at(i));
    }
    for (size_t i = 0; i < tm_option_count(); i++) {
        const char *bar = strchr(tm_option_at(i)->words, '|');
        if (bar != NULL) {
            tm_buf_add_fmt(out, "- `%s`:%s\n", tm_option_at(i)->path, bar + 1);
        }
    }
    tm_buf_add_text(out, "- schedules with `@after`\n");
}
