#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hold the source tree to its house rules, those that no compiler knows.

    tests/check_layers.py               # the tree this file lies in; exit 1 and file:line for each break
    tests/check_layers.py --self-test   # break each rule in a tree made for it and see it found

Rules: `layer` who may include whom; `third-party` which folder may include which foreign header; `banned` functions;
`comment` no // comments; `licence` the SPDX line first; `function` and `file` no longer than they may be.
The last line is "N passed, N failed", counted in rules (in plants for the self-test).
"""

import pathlib
import posixpath
import re
import sys
import tempfile
from typing import NamedTuple

# What each folder inside lib/ may include, besides itself and base.
LIB = {
    "base": (),
    "http": (),
    "aws": ("http",),
    "codec": (),
    "store": ("http", "aws"),
    "kafka": ("aws", "codec"),  # codec: struct tm_record is what readers give and writers take
    "vault": ("store", "codec"),
    "catalog": ("vault", "codec"),
    "policy": (),
    "job": ("vault", "catalog", "kafka", "policy"),
}

# What each folder at the top may include, besides itself; tests may include anything.
TOP = {
    "api": tuple(f"lib/{folder}" for folder in LIB),
    "config": ("lib/base", "lib/policy"),
    "daemon": ("api", "config", *(f"lib/{folder}" for folder in LIB)),
    "cli": ("config", *(f"lib/{folder}" for folder in LIB)),
}
# All that others may see of these two.
PUBLIC = {"api": ("tm_api.h", "tm_control.h", "tm_feed.h"), "config": ("tm_config.h",)}

# The folder, or the beginning of a path, that may include a foreign header.
THIRD_PARTY = {
    "librdkafka/": "lib/kafka/",
    "rdkafka": "lib/kafka/",
    "sodium": "lib/codec/",
    "zstd": "lib/codec/",
    "sqlite3": "lib/catalog/",
    "curl/": "lib/http/",
    "expat": "lib/http/",
    "openssl/": "lib/base/hash.c",
    "cjson/": "lib/base/json",
    "cJSON": "lib/base/json",
    "microhttpd": "api/",
    "gnutls/": "api/",
    "uv.h": "daemon/",
    "uv/": "daemon/",
    "yaml": "config/",
    "check.h": "tests/",
}

# Headers of C17, POSIX and Linux. What is in neither table has to be thought about first.
SYSTEM = set("""
    assert ctype endian errno fcntl fenv float getopt glob grp inttypes iso646 limits locale malloc math netdb poll
    pthread pwd regex sched semaphore setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib
    stdnoreturn string strings syslog termios tgmath time uchar unistd wchar wctype dirent dlfcn execinfo ftw libgen
    byteswap fnmatch ifaddrs link
""".split())
SYSTEM_FOLDERS = ("arpa/", "linux/", "net/", "netinet/", "sys/", "sanitizer/")

BANNED = {
    **dict.fromkeys("strtol strtoll strtoul strtoull strtoimax strtoumax atoi atol atoll atof sscanf".split(),
                    "it takes spaces, signs and rubbish behind the number: base/text.h"),
    **dict.fromkeys("sprintf vsprintf strcpy strcat stpcpy gets".split(), "it knows no bound: base/buf.h"),
    **dict.fromkeys("gmtime localtime asctime ctime strtok strerror".split(),
                    "its answer is shared by all threads: the _r form, or base/text.h"),
    "alloca": "stack use is bounded",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 600
MAX_TEST_LINES = 1300  # tables of cases are long, and read row by row
RULES = ("layer", "third-party", "banned", "comment", "licence", "function", "file")
LAST_LINE_OF_HEAD = 2  # a script's licence line may follow its #! line
SKIPPED_FOLDERS = re.compile(r"^(\.git|\.cache|\.pytest_cache|__pycache__|build.*|venv.*)$")


class Break(NamedTuple):
    path: str
    line: int
    rule: str
    words: str


def files_of(root):
    """(path from the root, text) of every file that may be ours."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(SKIPPED_FOLDERS.match(part) for part in parts[:-1]) or not path.is_file() or path.is_symlink():
            continue
        if "corpus" in parts:  # inputs of fuzz targets
            continue
        try:
            yield "/".join(parts), path.read_text()
        except UnicodeDecodeError:
            continue


def blank(match):
    """Spaces instead of text; lines stay lines."""
    return re.sub(r"[^\n]", " ", match.group())


def code_only(text):
    """The text with comments and literals blanked, // comments kept: line and column stay what they were."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return token.sub(lambda match: match.group() if match.group().startswith("//") else blank(match), text)


def folder_of(path):
    """lib/base for lib/base/err.c, api for api/router.c and api/ui/x.h."""
    parts = path.split("/")
    if len(parts) == 1:
        return ""
    return "/".join(parts[:2]) if parts[0] == "lib" and len(parts) > 2 else parts[0]


def resolve(path, name, tree):
    """Where #include "name" in this file leads, or None. As the compiler looks: beside the file, then by -I."""
    beside = path.rpartition("/")[0]
    for base in (beside, "lib", "config", "api", "daemon", "cli", "tests"):
        candidate = posixpath.normpath(f"{base}/{name}")
        if candidate in tree:
            return candidate
    return None


def may_include(source, target, target_path):
    """None, or why a file of the folder source may not include this file of the folder target."""
    if source == target or not source.startswith(("lib", *TOP)):
        return None
    if source not in known_folders() or target not in known_folders():
        return f"{source} and {target} have to be in the tables of tests/check_layers.py"
    if source.startswith("lib/"):
        allowed = ("lib/base", *(f"lib/{folder}" for folder in LIB[source[4:]]))
    else:
        allowed = TOP[source]
    if target not in allowed:
        return f"{source} may not include {target} (it may: {', '.join(allowed)})"
    name = target_path.split("/")[-1]
    if target in PUBLIC and name not in PUBLIC[target]:
        return f"{target_path} is not a public header of {target} (they are: {', '.join(PUBLIC[target])})"
    return None


def known_folders():
    return {f"lib/{folder}" for folder in LIB} | set(TOP)


def check_quoted(path, number, name, tree):
    source = folder_of(path)
    target_path = resolve(path, name, tree)
    if target_path is None:
        if not any(name.startswith(foreign) for foreign in THIRD_PARTY):
            yield Break(path, number, "layer", f'"{name}" is not in the tree')
        else:
            yield from check_foreign(path, number, name)
        return
    words = may_include(source, folder_of(target_path), target_path)
    if words:
        yield Break(path, number, "layer", words)
    elif source.startswith("lib/") and "/" not in name:
        yield Break(path, number, "layer", f'"{name}": inside lib write the folder too, "{target_path[4:]}"')


def check_foreign(path, number, name):
    if name.startswith(SYSTEM_FOLDERS) or name.removesuffix(".h") in SYSTEM:
        return
    homes = [home for foreign, home in THIRD_PARTY.items() if name.startswith(foreign)]
    if name == "threads.h":
        yield Break(path, number, "banned", "<threads.h>: librdkafka's archive may define the same names; use pthreads")
    elif not homes:
        yield Break(path, number, "third-party", f"<{name}> is in no table of tests/check_layers.py: think, then add it")
    elif not path.startswith("tests/") and not path.startswith(homes[0]):
        yield Break(path, number, "third-party", f"<{name}> belongs to {homes[0]} alone")


def check_includes(path, text, tree):
    include = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
    for number, line in enumerate(text.splitlines(), start=1):
        match = include.match(line)
        if match and match.group(1):
            yield from check_quoted(path, number, match.group(1), tree)
        elif match:
            yield from check_foreign(path, number, match.group(2))


def check_code(path, text):
    opened = None
    for number, line in enumerate(code_only(text).splitlines(), start=1):
        code, slashes, _ = line.partition("//")
        if slashes:
            yield Break(path, number, "comment", "// is for what must not be committed; write /* */")
        for match in BANNED_CALL.finditer(code):
            yield Break(path, number, "banned", f"{match.group(1)}(): {BANNED[match.group(1)]}")
        # .clang-format puts a function's braces, and no others', alone at the beginning of a line.
        if line.rstrip() == "{":
            opened = number
        elif line.startswith("}") and opened is not None:
            if number - opened - 1 > MAX_FUNCTION_LINES:
                yield Break(path, opened, "function", f"{number - opened - 1} lines; the limit is {MAX_FUNCTION_LINES}")
            opened = None


def check_licence(path, text):
    name = path.split("/")[-1]
    lines = text.split("\n", LAST_LINE_OF_HEAD)[:LAST_LINE_OF_HEAD]
    if name.endswith((".c", ".h", ".def")):
        if lines[0] != "/* SPDX-License-Identifier: Apache-2.0 */":
            yield Break(path, 1, "licence", "the first line is /* SPDX-License-Identifier: Apache-2.0 */")
    elif name.endswith((".py", ".sh")) or name == "meson.build" or lines[0].startswith("#!"):
        if "# SPDX-License-Identifier: Apache-2.0" not in lines:
            yield Break(path, 1, "licence", "the first line (after #!) is # SPDX-License-Identifier: Apache-2.0")


def check(root):
    """Every break of a rule in the tree."""
    files = dict(files_of(root))
    for path, text in files.items():
        yield from check_licence(path, text)
        if not path.endswith((".c", ".h")):
            continue
        yield from check_includes(path, text, files)
        yield from check_code(path, text)
        length = text.count("\n")
        limit = MAX_TEST_LINES if path.startswith("tests/") else MAX_FILE_LINES
        if length > limit:
            yield Break(path, length, "file", f"{length} lines; the limit is {limit}")


SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
LONG_BODY = "    x();\n" * (MAX_FUNCTION_LINES + 1)

# A tree that breaks nothing, with what a careless checker would take for a break.
CLEAN = {
    "lib/base/err.h": SPDX + "struct tm_err {\n    int code;\n};\n",
    "lib/base/err.c": SPDX + '#include "base/err.h"\n\n#include <string.h>\n\n/* not strcpy( and no // here */\n'
                             'const char *url = "http://strtol(x)";\nint a = gmtime_r(x), b = y->strtol(z);\n',
    "lib/base/hash.c": SPDX + "#include <openssl/evp.h>\n",
    "lib/base/json_write.c": SPDX + "#include <cjson/cJSON.h>\n",
    "lib/policy/cron.h": SPDX + '#include "base/err.h"\n',
    "lib/vault/vault.h": SPDX + '#include "base/err.h"\n',
    "lib/vault/impl.h": SPDX,
    "lib/vault/vault.c": SPDX + '#include "vault/impl.h"\n\n#include <sys/stat.h>\n',
    "lib/job/job.c": SPDX + '#include "vault/vault.h"\nint f(void)\n{\n' + LONG_BODY[:-9] + "}\n",
    "lib/kafka/client.c": SPDX + "#include <librdkafka/rdkafka.h>\n",
    "config/tm_config.h": SPDX + '#include "policy/cron.h"\n',
    "config/tree.h": SPDX,
    "config/tree.c": SPDX + '#include "tree.h"\n\n#include <yaml.h>\n',
    "api/tm_api.h": SPDX,
    "api/router.h": SPDX,
    "api/router.c": SPDX + '#include "router.h"\n#include "tm_api.h"\n\n#include <microhttpd.h>\n',
    "daemon/main.h": SPDX,
    "daemon/main.c": SPDX + '#include "tm_api.h"\n#include "tm_config.h"\n#include "vault/vault.h"\n\n#include <uv.h>\n',
    "cli/main.c": SPDX + '#include "tm_config.h"\n',
    "tests/unit/test_x.c": SPDX + '#include "vault/impl.h"\n\n#include <check.h>\n#include <sodium.h>\n',
    "tests/unit/x.h": SPDX,
    "tests/run": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n",
    "meson.build": "# SPDX-License-Identifier: Apache-2.0\n",
}

# Each: the file to add or replace, the text, the rule that has to be found broken and at which line.
PLANTS = [
    ("lib/base/a.c", SPDX + '#include "vault/vault.h"\n', "layer", 2),
    ("lib/vault/a.c", SPDX + '\n#include "job/job.h"\n', "layer", 3),
    ("lib/policy/a.c", SPDX + '#include "tm_config.h"\n', "layer", 2),
    ("lib/job/a.c", SPDX + '#include "../../daemon/main.h"\n', "layer", 2),
    ("lib/base/a.c", SPDX + '#include "err.h"\n', "layer", 2),
    ("lib/novel/a.c", SPDX + '#include "base/err.h"\n', "layer", 2),
    ("lib/base/a.c", SPDX + '#include "unit/x.h"\n', "layer", 2),
    ("lib/base/a.c", SPDX + '#include "base/nowhere.h"\n', "layer", 2),
    ("api/a.c", SPDX + '#include "tm_config.h"\n', "layer", 2),
    ("config/a.c", SPDX + '#include "vault/vault.h"\n', "layer", 2),
    ("cli/a.c", SPDX + '#include "tm_api.h"\n', "layer", 2),
    ("daemon/a.c", SPDX + '#include "router.h"\n', "layer", 2),
    ("daemon/a.c", SPDX + '#include "tree.h"\n', "layer", 2),
    ("lib/vault/a.c", SPDX + "#include <sodium.h>\n", "third-party", 2),
    ("lib/base/a.c", SPDX + "#include <openssl/evp.h>\n", "third-party", 2),
    ("lib/job/a.c", SPDX + '#include "rdkafka.h"\n', "third-party", 2),
    ("api/a.c", SPDX + "#  include <uv.h>\n", "third-party", 2),
    ("daemon/a.c", SPDX + "#include <zlib.h>\n", "third-party", 2),
    ("lib/base/a.c", SPDX + "#include <threads.h>\n", "banned", 2),
    ("lib/base/a.c", SPDX + "int f = 1;\nlong g = strtol(text, NULL, 10);\n", "banned", 3),
    ("tests/unit/a.c", SPDX + "char *g = /* x */ strerror (errno);\n", "banned", 2),
    ("lib/base/a.c", SPDX + "char *u = \"//\"; // fix me\n", "comment", 2),
    ("lib/base/a.c", "\n" + SPDX, "licence", 1),
    ("lib/base/a.def", "X(a)\n", "licence", 1),
    ("tests/rig/a.py", "#!/usr/bin/env python3\nimport os\n", "licence", 1),
    ("examples/quick", "#!/bin/sh\nset -e\n", "licence", 1),
    ("lib/base/a.c", SPDX + "int f(void)\n{\n" + LONG_BODY + "}\n", "function", 3),
    ("lib/base/a.c", SPDX + "int x;\n" * MAX_FILE_LINES, "file", MAX_FILE_LINES + 1),
]


def found_in(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return list(check(root))


def self_test():
    """The number of plants that were found as they are, and of those that were not."""
    failed = 0
    breaks = found_in(CLEAN)
    for one in breaks:
        print(f"self-test: found where nothing is broken: {one.path}:{one.line}: {one.rule}: {one.words}")
    failed += bool(breaks)
    for path, text, rule, line in PLANTS:
        found = [(one.path, one.rule, one.line) for one in found_in(CLEAN | {path: text})]
        if found != [(path, rule, line)]:
            print(f"self-test: planted {rule} at {path}:{line}, found {found}:\n{text[len(SPDX):200]}")
            failed += 1
    return len(PLANTS) + 1 - failed, failed


def check_tree():
    """The number of rules kept, and of those broken."""
    breaks = list(check(pathlib.Path(__file__).resolve().parents[1]))
    for one in breaks:
        print(f"{one.path}:{one.line}: {one.rule}: {one.words}")
    failed = len({one.rule for one in breaks})
    return len(RULES) - failed, failed


def main():
    if sys.argv[1:] not in ([], ["--self-test"]):
        sys.exit(__doc__)
    passed, failed = self_test() if sys.argv[1:] else check_tree()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
