/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output - answers as tables for people and as JSON for programs, and progress on standard error.
 *
 * Tables are made from JSON, whoever made that: the daemon or the command itself. Times are local in
 * tables and UTC in JSON, sizes in KiB, MiB, ... in tables and bytes in JSON.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_OUTPUT_H
#define TM_CLI_OUTPUT_H

#include "base/buf.h"
#include "base/json.h"
#include "cli.h"

struct cli_output {
    bool json;
};

/* "table" or "json"; false: neither. */
bool cli_output_set(struct cli_output *output, const char *word);
#define CLI_OUTPUT_ROW \
    { \
        "output", required_argument, NULL, 'o' \
    }
#define CLI_OUTPUT_HELP "  -o table|json        for people (default), or for programs\n"

enum cli_cell {
    CLI_CELL_TEXT,
    CLI_CELL_COUNT, /* to the right */
    CLI_CELL_BYTES,
    CLI_CELL_TIME,
    CLI_CELL_SECONDS,
    CLI_CELL_RATIO, /* as percent */
};

struct cli_column {
    const char *head; /* "STORED"; of a sheet: "stored" */
    const char *path; /* "progress.done_bytes" */
    enum cli_cell cell;
};

/* A line a row of the array; the heads above, when there is a row. */
void cli_print_rows(
        const struct tm_json_value *rows, const struct cli_column *columns, size_t count);
/* One object, a line a column: "head  value"; what is not there is left out. */
void cli_print_sheet(
        const struct tm_json_value *object, const struct cli_column *columns, size_t count);
/* The value of a path in a form for people, appended; nothing where there is none. */
void cli_cell_add(
        const struct tm_json_value *object, const struct cli_column *column, struct tm_buf *out);

/* Print a document made here: as it is, or by `table`. CLI_DONE. */
int cli_print_json(const struct cli_output *output, const struct tm_json *json,
        void (*table)(const struct tm_json_value *whole));

/* Progress: on a terminal one line drawn again 5 times a second, in a pipe a line each 10 s. */
struct cli_ticker {
    bool tty;
    bool drawn;
    int64_t last_ns;
};
void cli_ticker_start(struct cli_ticker *ticker);
bool cli_ticker_due(const struct cli_ticker *ticker); /* is it time for another? */
void cli_ticker_show(struct cli_ticker *ticker, const char *text);
void cli_ticker_end(struct cli_ticker *ticker); /* clears the line */

#endif
