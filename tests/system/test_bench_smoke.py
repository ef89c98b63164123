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
    assert {"produce", "consume", "backup", "restore"} <= rows.keys(), done.stdout
    assert any(line.startswith("backup against consume: ") for line in lines)
    assert any(line.startswith("restore against produce: ") for line in lines)
