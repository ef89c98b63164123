# SPDX-License-Identifier: Apache-2.0
"""tests/bench/run works: its figures are for docs/performance.md, its being there is for us."""

import subprocess
import sys

import pytest

from rig.daemon import REPOSITORY, build_dir


def test_the_benchmark_prints_its_table_for_a_small_corpus():
    program = build_dir() / "tests" / "bench" / "bench"
    if not program.exists():
        pytest.skip(f"{program} is not built: meson configure -Dtests=true")
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests" / "bench" / "run", "--mb", "8", "--rounds", "1", "--corpus", "orders",
         "--program", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    assert {"produce", "consume", "backup", "restore", "mirror", "restore of it"} <= rows.keys(), done.stdout
    assert any(line.startswith("backup against consume: ") for line in lines)
    assert any(line.startswith("restore against produce: ") for line in lines)
    assert any(line.startswith("mirror against backup: ") for line in lines)


def test_a_long_log_is_folded_and_planned_on_in_little_memory():
    """A day of 300 partitions; docs/performance.md has a month of 10,000."""
    program = build_dir() / "tests" / "bench" / "scale"
    if not program.exists():
        pytest.skip(f"{program} is not built: meson configure -Dtests=true")
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests" / "bench" / "run-scale", "--partitions", "300", "--days", "1", "--program",
         program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=200,
        check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {cells[1]: cells[2:] for cells in ([cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()
                                              if line.startswith("| ") and "wall" not in line)}
    assert rows["make"][0] == "289 entries"
    assert rows["fold"][0] == "289 deltas"
    assert rows["points"][0] == "100 points"
    assert rows["all-points"][0] == "288 points"
    assert rows["retention"][0] == "0 points gone"
    assert rows["live"][0] == "0 packs to merge"
    for name, cells in rows.items():
        assert int(cells[3]) <= 64, f"{name} took {cells[3]} MiB"
