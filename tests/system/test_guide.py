# SPDX-License-Identifier: Apache-2.0
"""docs/guide.md, its blocks run one after another as they stand."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from rig import records
from rig.daemon import build_dir
from rig.records import record

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```(sh|yaml)\n(.*?)^```", (ROOT / "docs" / "guide.md").read_text(), re.M | re.S)
RESTORED = ("orders.restored", "orders.before.restored", "orders.sample.restored", "orders.alone.restored")


@pytest.fixture
def orders(bootstrap):
    records.create_topic(bootstrap, "orders", 2, config={"retention.ms": "-1"})
    written = [record(b"key-%d" % number, b"order %d" % number) for number in range(300)]
    records.produce(bootstrap, "orders", written, lambda index, _: index % 2)
    yield
    for topic in records.topic_names(bootstrap):
        if topic.startswith(("orders", "drill.")):
            records.delete_topic(bootstrap, topic)


def test_the_guide_does_what_it_says(bootstrap, orders, tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("jq is not here: run tests/rig/install test")
    (tmp_path / "bin").mkdir()
    for folder, program in (("cli", "tidemark"), ("daemon", "tidemarkd")):
        (tmp_path / "bin" / program).symlink_to(build_dir() / folder / program)
    script = ["set -euo pipefail", "trap 'kill %1 && wait %1' EXIT"]
    for number, (kind, text) in enumerate(BLOCKS):
        text = text.replace("localhost:9092", bootstrap).replace("metrics_listen: 127.0.0.1:9484", 'metrics_listen: ""')
        if kind == "yaml":
            (tmp_path / "tidemark.yaml").write_text(text)
            continue
        script.append(f"echo '## block {number}'\n{text}")
        if "tidemarkd" in text:
            script.append("for _ in $(seq 300); do [ -S api.sock ] && tidemark vault list >/dev/null && break; sleep 0.1; done")
    # Its own group of processes, so that the daemon in it ends with it whatever happens.
    done = subprocess.Popen(["bash", "-c", "\n".join(script)], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.STDOUT, start_new_session=True,
                            env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TZ": "UTC"})
    try:
        told, _ = done.communicate(timeout=240)
    finally:
        if done.poll() is None:
            os.killpg(done.pid, signal.SIGKILL)
    assert done.returncode == 0, told
    for words in ("the first one", "identical", "order ", "keep_last", "passed", "changed"):
        assert words in told, f"no {words!r} in what was told:\n{told}"
    source = records.read_topic(bootstrap, "orders")
    counts = [sum(map(len, records.read_topic(bootstrap, topic))) for topic in RESTORED]
    assert counts == [300, 299, 20, 300]
    for topic in ("orders.restored", "orders.alone.restored"):
        assert records.difference(source, records.read_topic(bootstrap, topic)) is None
    assert len((tmp_path / "orders.jsonl").read_text().splitlines()) == 300
    assert not any(topic.startswith("drill.") for topic in records.topic_names(bootstrap))
