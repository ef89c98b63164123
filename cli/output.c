/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum { COLUMNS_MAX = 16, TTY_EVERY_MS = 200, PIPE_EVERY_MS = 10 * 1000 };

bool cli_output_set(struct cli_output *output, const char *word)
{
    output->json = strcmp(word, "json") == 0;
    cli_fail_in_json(output->json);
    return output->json || strcmp(word, "table") == 0;
}

/* Cells -------------------------------------------------------------------------------------- */

static const struct tm_json_value *at_path(const struct tm_json_value *object, const char *path)
{
    char key[64];
    while (object != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        tm_assert(len < sizeof(key));
        memcpy(key, path, len);
        key[len] = '\0';
        object = tm_json_get(object, key);
        path += len + (path[len] == '.' ? 1 : 0);
    }
    return object;
}

static void add_bytes(int64_t bytes, struct tm_buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    tm_buf_add_fmt(out, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void add_time(const char *text, struct tm_buf *out)
{
    int64_t time_ms;
    struct tm_err ignored = {0};
    struct tm local;
    char shown[48];
    if (tm_time_parse(text, tm_now_ms(), &time_ms, &ignored) != TM_OK) {
        tm_buf_add_text(out, text);
        return;
    }
    time_t seconds = (time_t)(time_ms / 1000);
    if (localtime_r(&seconds, &local) == NULL ||
            strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M:%S %Z", &local) == 0) {
        tm_buf_add_text(out, text);
        return;
    }
    tm_buf_add_text(out, shown);
}

static void add_seconds(const struct tm_json_value *value, struct tm_buf *out)
{
    char text[24];
    int64_t seconds = value->kind == TM_JSON_REAL ? (int64_t)value->real : value->integer;
    tm_buf_add_text(out, tm_format_duration(seconds * 1000, text));
}

/* Text from outside: no control character of it reaches the terminal. */
static void add_text(const char *text, struct tm_buf *out)
{
    for (; *text != '\0'; text++) {
        bool plain = (unsigned char)*text >= ' ' && *text != 0x7f;
        tm_buf_add_u8(out, plain ? (uint8_t)*text : '?');
    }
}

static void add_plain(const struct tm_json_value *value, struct tm_buf *out)
{
    switch (value->kind) {
    case TM_JSON_STRING:
        add_text(value->string, out);
        break;
    case TM_JSON_INT:
        tm_buf_add_fmt(out, "%" PRId64, value->integer);
        break;
    case TM_JSON_REAL:
        tm_buf_add_fmt(out, "%g", value->real);
        break;
    case TM_JSON_BOOL:
        tm_buf_add_text(out, value->boolean ? "yes" : "no");
        break;
    case TM_JSON_ARRAY:
        for (const struct tm_json_value *each = value->first; each != NULL; each = each->next) {
            add_plain(each, out);
            tm_buf_add_text(out, each->next != NULL ? "," : "");
        }
        break;
    case TM_JSON_OBJECT:
        tm_buf_add_text(out, "yes");
        break;
    case TM_JSON_NULL:
        break;
    }
}

void cli_cell_add(
        const struct tm_json_value *object, const struct cli_column *column, struct tm_buf *out)
{
    const struct tm_json_value *value = at_path(object, column->path);
    bool number = value != NULL && (value->kind == TM_JSON_INT || value->kind == TM_JSON_REAL);
    if (value == NULL) {
        return;
    }
    if (column->cell == CLI_CELL_BYTES && value->kind == TM_JSON_INT) {
        add_bytes(value->integer, out);
    } else if (column->cell == CLI_CELL_TIME && value->kind == TM_JSON_STRING) {
        add_time(value->string, out);
    } else if (column->cell == CLI_CELL_SECONDS && number) {
        add_seconds(value, out);
    } else if (column->cell == CLI_CELL_RATIO && number) {
        double ratio = value->kind == TM_JSON_REAL ? value->real : (double)value->integer;
        tm_buf_add_fmt(out, "%.0f %%", 100 * ratio);
    } else {
        add_plain(value, out);
    }
}

/* Tables ------------------------------------------------------------------------------------- */

static bool is_right(enum cli_cell cell)
{
    return cell == CLI_CELL_COUNT || cell == CLI_CELL_BYTES || cell == CLI_CELL_RATIO ||
           cell == CLI_CELL_SECONDS;
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
    size_t len = strlen(text);
    int fill = (int)(width > len ? width - len : 0);
    if (right) {
        (void)printf("%*s%s%s", fill, "", text, last ? "\n" : "  ");
    } else {
        (void)printf("%s%*s%s", text, last ? 0 : fill, "", last ? "\n" : "  ");
    }
}

void cli_print_rows(
        const struct tm_json_value *rows, const struct cli_column *columns, size_t count)
{
    size_t widths[COLUMNS_MAX];
    TM_BUF_OWN struct tm_buf text = {0};
    tm_assert(count <= COLUMNS_MAX);
    if (rows == NULL || rows->first == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        widths[i] = strlen(columns[i].head);
        for (const struct tm_json_value *row = rows->first; row != NULL; row = row->next) {
            tm_buf_clear(&text);
            cli_cell_add(row, &columns[i], &text);
            widths[i] = text.len > widths[i] ? text.len : widths[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        print_cell(columns[i].head, widths[i], is_right(columns[i].cell), i + 1 == count);
    }
    for (const struct tm_json_value *row = rows->first; row != NULL; row = row->next) {
        for (size_t i = 0; i < count; i++) {
            tm_buf_clear(&text);
            cli_cell_add(row, &columns[i], &text);
            print_cell(tm_buf_text(&text), widths[i], is_right(columns[i].cell), i + 1 == count);
        }
    }
}

void cli_print_sheet(
        const struct tm_json_value *object, const struct cli_column *columns, size_t count)
{
    size_t width = 0;
    TM_BUF_OWN struct tm_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(columns[i].head);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < count; i++) {
        tm_buf_clear(&text);
        cli_cell_add(object, &columns[i], &text);
        if (text.len > 0) {
            (void)printf("%-*s  %s\n", (int)width, columns[i].head, tm_buf_text(&text));
        }
    }
}

int cli_print_json(const struct cli_output *output, const struct tm_json *json,
        void (*table)(const struct tm_json_value *whole))
{
    char *text = tm_json_text(json);
    int status = CLI_DONE;
    if (output->json) {
        (void)puts(text);
    } else {
        struct tm_arena arena = {0};
        const struct tm_json_value *whole = NULL;
        struct tm_err err = {0};
        if (tm_json_read(tm_slice_str(text), &arena, &whole, NULL, &err) == TM_OK) {
            table(whole);
        } else {
            (void)tm_err_wrap(&err, "the answer is too large for a table; hint: -o json");
            status = cli_fail(&err);
        }
        tm_arena_done(&arena);
    }
    free(text);
    return status;
}

/* Progress ----------------------------------------------------------------------------------- */

void cli_ticker_start(struct cli_ticker *ticker)
{
    *ticker = (struct cli_ticker){.tty = isatty(STDERR_FILENO) == 1, .last_ns = tm_mono_ns()};
}

bool cli_ticker_due(const struct cli_ticker *ticker)
{
    int64_t every_ms = ticker->tty ? TTY_EVERY_MS : PIPE_EVERY_MS;
    return tm_mono_ns() - ticker->last_ns >= every_ms * 1000 * 1000;
}

void cli_ticker_show(struct cli_ticker *ticker, const char *text)
{
    (void)fprintf(stderr, ticker->tty ? "\r\033[K%s" : "%s\n", text);
    ticker->drawn = true;
    ticker->last_ns = tm_mono_ns();
}

void cli_ticker_end(struct cli_ticker *ticker)
{
    if (ticker->tty && ticker->drawn) {
        (void)fputs("\r\033[K", stderr);
    }
    ticker->drawn = false;
}
