# SPDX-License-Identifier: Apache-2.0
"""README's section "When something is lost", its lines run as they stand. `systemctl` is a script of this test."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from rig import records
from rig.daemon import build_dir
from rig.records import record

README = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
SOURCE = "payments.eu"
SYSTEMCTL = """#!/bin/bash
# stop|start tidemarkd: of this folder
set -e
case $1 in
start)
    : > log
    setpriv --pdeathsig KILL build/daemon/tidemarkd --config tidemark.yaml >> log 2>&1 < /dev/null &
    echo $! > pid
    for _ in $(seq 200); do
        if grep -q daemon.started log; then exit 0; fi
        kill -0 $! || { cat log; exit 1; }
        sleep 0.1
    done
    exit 1 ;;
stop)
    [ -f pid ] || exit 0
    kill -TERM $(cat pid) 2>/dev/null || true
    while kill -0 $(cat pid) 2>/dev/null; do sleep 0.05; done
    rm pid ;;
esac
"""


def blocks():
    """{what was lost: the lines}."""
    section = README.split("## When something is lost\n")[1].split("\n## ")[0]
    found = re.findall(r"\*\*(.*?)\*\*.*?```sh\n(.*?)```", section, re.S)
    return {name.rstrip(".").lower(): text for name, text in found}


BLOCKS = blocks()
START_OF_T = next(line for line in README.splitlines() if line.startswith('T="curl'))


class Place:
    """A folder as README has it, and what is done in it."""

    def __init__(self, folder, bootstrap):
        self.folder = folder
        (folder / "build").symlink_to(build_dir())
        (folder / "bin").mkdir()
        (folder / "bin" / "systemctl").write_text(SYSTEMCTL.replace("setpriv --pdeathsig KILL ", ""))
        (folder / "bin" / "systemctl").chmod(0o755)
        text = re.search(r"```yaml\n(.*?)```", README, re.S).group(1)
        text = text.replace("localhost:9092", bootstrap).replace("metrics_listen: 127.0.0.1:9484", "metrics_listen: \"\"")
        (folder / "tidemark.yaml").write_text(text.replace('schedule: "@every 5m"', 'schedule: "@every 24h"'))

    def sh(self, command):
        script = f"export PATH={self.folder}/bin:$PATH\n{START_OF_T}\n{command}"
        out = self.folder / "out"  # not a pipe: the daemon that a command starts must not hold it open
        with open(out, "w") as to:
            status = subprocess.run(["bash", "-eu", "-c", script], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=to,
                                    stderr=subprocess.STDOUT, timeout=120, check=False).returncode
        assert status == 0, f"{command}\n{out.read_text()}{self.log()}"
        return out.read_text()

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def post(self, path, body):
        return json.loads(self.sh(f"$T/{path}?wait=60s -H 'Content-Type: application/json' -d '{json.dumps(body)}'"))

    def backup(self):
        job = self.post("backups", {"policy": "payments"})
        assert job["state"] == "succeeded", job
        return job

    def points(self, policy="payments"):
        return json.loads(self.sh(f"$T/recovery-points?policy={policy}"))["items"]

    def restore(self, target, **source):
        job = self.post("restores", {"source": source or {"policy": "payments"}, "target": {"cluster": "prod", "rename": {SOURCE: target}}})
        assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job


@pytest.fixture
def place(tmp_path, bootstrap):
    records.create_topic(bootstrap, SOURCE, 2, config={"retention.ms": "-1"})
    one = Place(tmp_path, bootstrap)
    setup = next(text for text in re.findall(r"```sh\n(.*?)```", README, re.S) if "tidemark key new" in text)
    one.sh("\n".join(line for line in setup.splitlines() if line.startswith("build/")))
    one.sh("systemctl start tidemarkd")
    yield one
    one.sh("systemctl stop tidemarkd")
    for name in records.topic_names(bootstrap):
        if name == SOURCE or name.startswith("back."):
            records.delete_topic(bootstrap, name)


def produce(bootstrap, start, count):
    records.produce(bootstrap, SOURCE, [record(b"k%d" % i, b"v%d" % i, [("h", None)]) for i in range(start, start + count)],
                    lambda index, _: index % 2)


def assert_same(bootstrap, target):
    found = records.difference(records.read_topic(bootstrap, SOURCE), records.read_topic(bootstrap, target))
    assert found is None, found


@pytest.mark.timeout(300)
def test_readme_when_something_is_lost(place, bootstrap):
    assert set(BLOCKS) == {"a second copy", "the host is gone", "the catalog is gone or damaged", "the vault was rolled back",
                           "the log is gone", "a pack is damaged", "no copy has that pack"}
    produce(bootstrap, 0, 400)
    place.backup()
    place.sh(BLOCKS["a second copy"])
    produce(bootstrap, 400, 100)
    place.backup()
    place.sh(BLOCKS["a second copy"])  # again, while the original went on
    known = [point["id"] for point in place.points()]
    assert len(known) == 2

    # A pack of the original is damaged: the one of the copy takes its place.
    pack = max((path for path in (place.folder / "vault/pack").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = pack.read_bytes()
    pack.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    place.sh(BLOCKS["a pack is damaged"])
    assert pack.read_bytes() == whole
    assert (place.folder / "bad").read_text().split() == [str(pack.relative_to(place.folder / "vault"))]

    # Once more, and Kafka has to help.
    pack.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    repaired = json.loads(place.sh(BLOCKS["no copy has that pack"]))
    assert repaired["state"] == "succeeded" and repaired["result"]["faults_count"] > 0, repaired
    place.restore("back.repaired")
    assert_same(bootstrap, "back.repaired")
    place.sh(BLOCKS["a second copy"])

    # The host, its state and its disk are gone; another one goes on with the copy.
    place.sh("systemctl stop tidemarkd")
    shutil.rmtree(place.folder / "vault")
    shutil.rmtree(place.folder / "state")
    (place.folder / "old").mkdir()
    shutil.copytree(place.folder / "copy", place.folder / "old/copy")  # a copy that will be behind
    shown = place.sh(BLOCKS["the host is gone"])
    assert [point["id"] for point in json.loads(shown)["items"]] == known
    place.restore("back.host")
    assert_same(bootstrap, "back.host")

    # Backups go on in the copy: no gap, nothing twice.
    produce(bootstrap, 500, 30)
    assert place.backup()["result"]["messages_count"] == 30
    place.sh(BLOCKS["the catalog is gone or damaged"])
    assert len(place.points()) == 3
    place.restore("back.catalog")
    assert_same(bootstrap, "back.catalog")

    # The copy is rolled back: refused until the catalog is deleted; then what is missing is read again.
    place.sh("systemctl stop tidemarkd")
    shutil.rmtree(place.folder / "copy")
    shutil.copytree(place.folder / "old/copy", place.folder / "copy")
    place.sh("systemctl start tidemarkd")
    refused = place.post("backups", {"policy": "payments"})
    assert (refused["state"], refused["error"]["type"]) == ("failed", "/problems/vault-rolled-back"), refused
    again = place.sh(BLOCKS["the vault was rolled back"])
    assert json.loads(again)["result"]["messages_count"] == 30
    place.restore("back.rollback")
    assert_same(bootstrap, "back.rollback")

    # The log is gone.
    shown = place.sh(BLOCKS["the log is gone"])
    point, = json.loads(shown[shown.index('{"items"'):])["items"]
    assert '"records":530' in shown
    place.restore("back.log", recovery_point=point["id"])
    assert_same(bootstrap, "back.log")
