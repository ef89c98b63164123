#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the documents say what the code declares? Metrics, error codes, routes, links; and README's length.

    tests/check_docs.py            # check; closes with "N passed, N failed"
    tests/check_docs.py --write    # write the pages that are made from declarations anew
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def rows(path, fields):
    """The arguments of each X(...) of a .def file, quotes taken off."""
    found = []
    for match in re.finditer(r"^X\((.*)\)$", (ROOT / path).read_text(), re.M):
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"|([A-Za-z_0-9]+)', match.group(1))
        values = [text if text or not word else word for text, word in parts]
        assert len(values) == fields, (path, match.group(0))
        found.append(values)
    return found


def metrics_page():
    lines = ["# Metrics", "",
             "`GET /metrics` in Prometheus' text format. This page is made from `lib/base/metrics.def` by `tests/check_docs.py --write`.", "",
             "A series appears with its first value; counters of configured policies begin at 0. Times are Unix seconds.", "",
             "| Name | Type | Labels | Meaning |", "|---|---|---|---|"]
    for _, name, kind, labels, text in rows("lib/base/metrics.def", 5):
        kind = "histogram" if kind.startswith("histogram") else kind
        lines.append(f"| `{name}` | {kind} | {', '.join(labels.split()) or '-'} | {text} |")
    return "\n".join(lines) + "\n"


def errors_page():
    lines = ["# Error codes", "",
             "The `code` of a failed job's error, and of log lines. A name never changes. Made from `lib/base/err_codes.def` by",
             "`tests/check_docs.py --write`.", "",
             "| Code | May succeed later | Meaning |", "|---|---|---|"]
    for _, name, retryable, _, text in rows("lib/base/err_codes.def", 5):
        lines.append(f"| `{name}` | {'yes' if retryable == 'true' else 'no'} | {text} |")
    return "\n".join(lines) + "\n"


RUNBOOK = "docs/runbook.md"
MADE = "<!-- What follows is made from api/problems.def by tests/check_docs.py --write. -->"


def runbook_page():
    """What people wrote, and a section for each problem that an answer can name."""
    written = (ROOT / RUNBOOK).read_text().partition(MADE)[0]
    lines = [MADE, "", "## Problems", "", "What an answer's `type` (`/problems/SLUG`, which the daemon serves, too) means, and what helps.", ""]
    for slug, title, cause, what in rows("api/problems.def", 4):
        lines += [f"### {slug}", "", f"{title}. {cause} {what}", ""]
    return written + "\n".join(lines)


PAGES = {"docs/metrics.md": metrics_page, "docs/errors.md": errors_page, RUNBOOK: runbook_page}


def check_pages():
    for path, make in PAGES.items():
        page = ROOT / path
        if not page.exists() or page.read_text() != make():
            yield f"{path} is not what the declarations say: run tests/check_docs.py --write"


def check_routes():
    text = (ROOT / "docs/api.md").read_text()
    for method, pattern, *_ in rows("api/routes.def", 6):
        if f"{method} {pattern}" not in text.replace("`", ""):
            yield f"docs/api.md does not name {method} {pattern}"


def check_problems():
    known = {row[0] for row in rows("api/problems.def", 4)}
    table = (ROOT / "docs/api.md").read_text()
    listed = {slug for line in re.findall(r"^\| (`[a-z0-9-]+`.*?) \| [0-9]{3} \|", table, re.M) for slug in re.findall(r"`([a-z0-9-]+)`", line)}
    for slug in sorted(listed - known):
        yield f"docs/api.md lists the problem {slug}, which api/problems.def has not"
    for folder in ("api", "daemon"):
        for path in sorted((ROOT / folder).glob("*.c")):
            text = path.read_text()
            used = re.findall(r'slug = "([a-z0-9-]+)"', text) + re.findall(r'tm_problem_(?:refuse|begin)\(\s*request, [0-9]{3}, "([a-z0-9-]+)"', text)
            for slug in sorted(set(used) - known):
                yield f"{folder}/{path.name} answers with the problem {slug}, which api/problems.def has not"


def check_links():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http:", "https:")) and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)} links to {target}, which is not there"


def check_readme():
    length = len((ROOT / "README.md").read_text().splitlines())
    if length >= 200:
        yield f"README.md has {length} lines; it must stay under 200"


def check_options():
    """Every option that README's configuration uses is one that config declares."""
    declared = (ROOT / "config/options.def").read_text()
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    for key in re.findall(r"([a-z_]+):(?=\s)", re.sub(r"#.*", "", block)):
        if not re.search(rf'[".\]]{key}["\[.]', declared) and f'"{key}' not in declared:
            yield f"README.md uses the option {key}, which config/options.def does not declare"


CHECKS = (check_pages, check_routes, check_problems, check_links, check_readme, check_options)


def main():
    if sys.argv[1:] == ["--write"]:
        for path, make in PAGES.items():
            (ROOT / path).write_text(make())
        return 0
    failed = 0
    for check in CHECKS:
        problems = list(check())
        failed += bool(problems)
        for problem in problems:
            print(problem)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
