#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does every fault that hurt backups of Kafka before have a test, and does docs/traps.md name it?

    tests/check_traps.py            # check; closes with "N passed, N failed"
    tests/check_traps.py --lenient  # a trap that has no test yet, or is not named yet, is told and counts as passed
    tests/check_traps.py --write    # write the column of tests anew

A test proves a trap when it is called test_trap_SLUG, or when a comment or docstring of it says "trap: SLUG".
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/traps.md"
FOLDERS = ("tests/system", "tests/mock", "tests/unit", "tests/model", "tests/soak")

# Rows that have to be there: whoever takes one out says here why.
SLUGS = """
restore_by_time_is_by_every_record erased_data_stays_out restored_records_carry_nothing_added
partition_count_differs keys_use_another_partitioner duplicates_on_retry order_with_retries restore_onto_a_live_topic
topics_owned_by_an_operator restore_memory_is_bounded
logappendtime old_timestamps_and_retention compaction_during_restore message_too_large config_of_managed_clusters
internal_topics_never_restored_raw
group_offsets group_snapshot_at_the_captured_end group_offsets_belong_to_a_point empty_snapshot_replaces_nothing
compaction_removes_batch_tail empty_fetch_before_end control_records_and_aborted_data hanging_transaction_pins_lso
lso_as_end_offset offset_gaps_are_not_loss retention_outruns_backup headers_in_order_repeated_null_not_utf8
timestamps_at_the_edges big_headers_empty_keys_large_values schema_registry_topic_by_name backup_reads_with_manners
msk_iam_token_expiry broker_restarts_at_patching
validation_compares_content
topic_deleted_and_recreated unclean_election manifest_overwritten_by_two_writers bucket_lifecycle_rule
puts_at_tight_rpo watermark_ahead_of_memory resumable_restore error_taken_for_first_write
""".split()

MARKER = re.compile(r"\btrap: ([a-z0-9_]+(?:, [a-z0-9_]+)*)")
# The name of a test, where it begins and how its end is known: a marker between belongs to it, one before to the next.
TESTS = {".py": re.compile(r"^def (test_\w+)\(", re.M), ".c": re.compile(r"^START_TEST\((\w+)\)", re.M)}
BODY_ENDS = {".py": re.compile(r"^(?=\S)", re.M), ".c": re.compile(r"^END_TEST", re.M)}


def tests_of(text, suffix):
    """(name, begin, end) of each test in a file."""
    for match in TESTS[suffix].finditer(text):
        end = BODY_ENDS[suffix].search(text, text.index("\n", match.end()))
        yield match.group(1), match.start(), end.start() if end else len(text)


def proved():
    """{slug: ["file::test", ...]} of all tests."""
    found = {}
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in TESTS):
        text = path.read_text()
        tests = list(tests_of(text, path.suffix))
        name = path.relative_to(ROOT / "tests").as_posix()
        for test, *_ in tests:
            if test.startswith("test_trap_"):
                found.setdefault(test.removeprefix("test_trap_"), set()).add(f"{name}::{test}")
        for marker in MARKER.finditer(text):
            around = [test for test, begin, end in tests if begin <= marker.start() < end]
            behind = [test for test, begin, _ in tests if begin > marker.start()]
            for slug in marker.group(1).split(", "):
                found.setdefault(slug, set()).add(f"{name}::{(around + behind + ['?'])[0]}")
    return {slug: sorted(places) for slug, places in found.items()}


def rows(text):
    """{slug: (the line, its cells)} of the table."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"\| `([a-z0-9_]+)` \|", line):
            found[match.group(1)] = (line, line.strip("|").split("|"))
    return found


def shown(places):
    return "<br>".join(f"`{place}`" for place in places) or "none yet"


def write(tests):
    text = PAGE.read_text()
    for slug, (line, cells) in rows(text).items():
        cells[-1] = f" {shown(tests.get(slug, []))} "
        text = text.replace(line, f"|{'|'.join(cells)}|")
    PAGE.write_text(text)


def problems_of(slug, table, tests):
    if slug not in table:
        yield f"docs/traps.md has no row for {slug}"
        return
    if slug not in SLUGS:
        yield f"docs/traps.md has a row for {slug}, which tests/check_traps.py does not know"
    if not tests.get(slug):
        yield f"no test proves {slug}: call one test_trap_{slug}, or say \"trap: {slug}\" in a comment of it"
    elif table[slug][1][-1].strip() != shown(tests[slug]):
        yield f"docs/traps.md does not name the tests of {slug} as they are: run tests/check_traps.py --write"


def main():
    tests = proved()
    if sys.argv[1:] == ["--write"]:
        write(tests)
        return 0
    table = rows(PAGE.read_text())
    failed = 0
    for slug in sorted(set(SLUGS) | set(table)):
        problems = list(problems_of(slug, table, tests))
        failed += bool(problems) and sys.argv[1:] != ["--lenient"]
        for problem in problems:
            print(problem)
    unknown = sorted(set(tests) - set(SLUGS))
    for slug in unknown:
        print(f"{', '.join(tests[slug])}: there is no trap {slug}")
    failed += bool(unknown)
    print(f"{len(set(SLUGS) | set(table)) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
