#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files of the dashboard as a C table: nothing of them is looked for when the program runs.

    api/ui/embed.py OUT.c FILE...
"""

import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}


def as_c(data):
    return ",\n".join(",".join(str(byte) for byte in data[at:at + 32]) for at in range(0, len(data), 32))


def main():
    out, *paths = (pathlib.Path(argument) for argument in sys.argv[1:])
    lines = ["/* Made by api/ui/embed.py. */", '#include "ui_files.h"', ""]
    rows = []
    for number, path in enumerate(paths):
        data = path.read_bytes()
        lines.append(f"static const unsigned char file_{number}[] = {{\n{as_c(data)}}};")
        rows.append(f'    {{"{path.name}", "{TYPES[path.suffix]}", file_{number}, sizeof(file_{number})}},')
    lines += ["const struct tm_ui_file tm_ui_files[] = {", *rows, "    {NULL, NULL, NULL, 0},", "};", ""]
    out.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
