# SPDX-License-Identifier: Apache-2.0
"""README's commands, run as they stand: a key, a vault, the configuration, back up, list, plan, restore."""

import json
import pathlib
import re
import subprocess

import pytest

from rig import records
from rig.daemon import build_dir
from rig.records import record, wait_until

README = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
SOURCE, TARGET = "payments.eu", "restored.payments.eu"


def block(language, word):
    """The one fenced block of that language with that word in it."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.S) if word in text]
    assert len(found) == 1, f"README has {len(found)} {language} blocks with {word!r}"
    return found[0]


def shell(command, folder):
    done = subprocess.run(["bash", "-euc", command], cwd=folder, capture_output=True, text=True, timeout=90, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def topics(bootstrap):
    records.create_topic(bootstrap, SOURCE, 2, config={"retention.ms": "-1"})
    yield
    for topic in (SOURCE, TARGET):
        if records.partition_count(bootstrap, topic):
            records.delete_topic(bootstrap, topic)


@pytest.fixture
def folder(tmp_path, bootstrap):
    """A folder in which README's paths lead to the programs under test, and its cluster is the test's."""
    (tmp_path / "build").symlink_to(build_dir())
    configuration = block("yaml", "policies:").replace("localhost:9092", bootstrap)
    configuration = configuration.replace("metrics_listen: 127.0.0.1:9484", "metrics_listen: \"\"")
    (tmp_path / "tidemark.yaml").write_text(configuration)
    return tmp_path


def test_readme_backs_up_lists_plans_and_restores(folder, bootstrap, topics):
    records.produce(bootstrap, SOURCE, [record(f"k{i}".encode(), f"v{i}".encode(), [("h", None)]) for i in range(500)])
    setup = [line for line in block("sh", "tidemark key new").splitlines() if line.startswith("build/")]
    shell("\n".join(setup), folder)
    check, start = block("sh", "check-config").strip().splitlines()
    shell(check, folder)

    with open(folder / "log", "w") as log:
        daemon = subprocess.Popen(start.split(), cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: (folder / "api.sock").exists() and "daemon.started" in (folder / "log").read_text(), "the daemon")
        lines = block("sh", "restores/plan").splitlines()
        answers = [shell(f"{lines[0]}\n{line}", folder) for line in lines[1:] if line.startswith("$T")]
    finally:
        daemon.terminate()
        assert daemon.wait(20) == 0, (folder / "log").read_text()

    backup, points, plan, restore, overview = answers
    assert json.loads(backup)["state"] == "succeeded"
    assert json.loads(points)["items"][0]["messages_count"] == 500
    assert json.loads(plan)["blocking"] == []
    assert json.loads(restore)["result"]["proof"] == "identical"
    assert "\"state\":\"ok\"" in overview
    assert records.difference(records.read_topic(bootstrap, SOURCE), records.read_topic(bootstrap, TARGET)) is None
