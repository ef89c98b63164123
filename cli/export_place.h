/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_place - where an export goes: standard output, one file, or a folder with a file a topic.
 *
 * Threads: the main thread.
 */
#ifndef TM_CLI_EXPORT_PLACE_H
#define TM_CLI_EXPORT_PLACE_H

#include "base/buf.h"
#include "base/out_file.h"
#include "job/export.h"

struct cli_export_place {
    const char *folder; /* NULL: one stream */
    const char *suffix; /* of a file in it: ".jsonl" */
    struct tm_out_file *file;
    struct tm_buf path;
};

/*
 * `to` NULL or "-": standard output; a folder, or a name that ends with "/": a file a topic. TM_E_EXISTS: the
 * file is there. Zeroed before; _done in any case removes what is not finished.
 */
enum tm_code cli_export_place_open(struct cli_export_place *place, const char *to,
        enum tm_export_format format, struct tm_err *err) TM_MUST_CHECK;
struct tm_export_sink cli_export_place_sink(struct cli_export_place *place);
enum tm_code cli_export_place_finish(
        struct cli_export_place *place, struct tm_err *err) TM_MUST_CHECK;
void cli_export_place_done(struct cli_export_place *place);

#endif
