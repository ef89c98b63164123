/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what the table of options gives, for docs/config.md and examples/tidemark.yaml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tm_config.h"

int main(int argc, char **argv)
{
    TM_BUF_OWN struct tm_buf text = {0};
    if (argc == 2 && strcmp(argv[1], "reference") == 0) {
        tm_config_reference(&text);
    } else if (argc == 2 && strcmp(argv[1], "example") == 0) {
        tm_config_example(&text);
    } else if (argc == 2 && strcmp(argv[1], "schema") == 0) {
        tm_config_schema(&text);
    } else {
        (void)fputs("usage: tidemark-config-docs reference|example|schema\n", stderr);
        return EXIT_FAILURE;
    }
    return fputs(tm_buf_text(&text), stdout) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS
                                                                         : EXIT_FAILURE;
}
