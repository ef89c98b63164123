/* SPDX-License-Identifier: Apache-2.0 */
/* ui_files - the files of api/ui, put into the program at build by api/ui/embed.py. */
#ifndef TM_API_UI_FILES_H
#define TM_API_UI_FILES_H

#include <stddef.h>

struct tm_ui_file {
    const char *name; /* NULL ends the table */
    const char *type; /* of its content */
    const unsigned char *bytes;
    size_t len;
};

extern const struct tm_ui_file tm_ui_files[];

#endif
