# SPDX-License-Identifier: Apache-2.0
"""The command line: `tidemark` as a user and a script see it."""

import hashlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from rig import records
from rig.daemon import build_dir, write_private
from rig.records import record
from rig.unix_http import unix_session

NOW = 1_700_000_000_000
SAME = [
    record(b"key", b"value", [("a", b"1"), ("a", b"2"), ("b", None)], NOW),
    record(None, b"", timestamp=NOW + 1),
    record(b"", None, [("c", b"")], NOW - 5),
]
COMMANDS = [
    "backup", "check-config", "clusters", "demo", "demo compare", "jobs cancel", "jobs list", "jobs log", "jobs show", "jobs watch", "key add",
    "key fingerprint", "key list", "key new", "key remove", "key rotate", "points delete", "points hold", "points list",
    "points note", "points show", "points unhold", "retention plan", "retention run", "status", "token new", "topics",
    "vault check", "vault import-catalog", "vault init", "vault list", "vault merge", "vault probe", "vault rebuild-log",
    "vault repair", "vault scrub", "vault stats", "verify", "version"]
FAILED, USE, REFUSED, MISSING, CONFLICT, DIFFERENT = 1, 2, 3, 7, 8, 9


def tidemark(*arguments, status=0, timeout=60, **options):
    """Run it to its end, which has to be this status."""
    done = subprocess.run([build_dir() / "cli" / "tidemark", *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, stdin=options.pop("stdin", subprocess.DEVNULL), **options)
    assert status in (None, done.returncode), done.stdout + done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_the_usage_and_ends_with_two_examples(command):
    lines = tidemark(*command.split(), "--help").stdout.splitlines()
    assert lines[0].startswith(f"usage: tidemark {command}")
    examples = lines[lines.index("examples:") + 1:]
    assert len([line for line in examples if re.match(r"  \S", line)]) == 2
    assert command in tidemark("--help").stdout


@pytest.mark.parametrize("arguments", [
    [], ["nothing"], ["key"], ["key", "old"], ["key", "new"], ["key", "new", "a", "b"], ["key", "new", "--force", "a"],
    ["token", "new", "--name", "x"], ["token", "new", "--name", "x", "--scope", "write"],
    ["token", "new", "--name", "x", "--scope", "read", "--expires", "2001-01-01T00:00:00Z"],
    ["vault", "init", "v"], ["vault", "init", "v", "--key-file", "a", "--passphrase-file", "b"],
    ["demo", "--policy-every", "10ms"], ["demo", "--policy-every", "5"], ["demo", "on"],
    ["demo", "compare", "a", "b"], ["demo", "compare", "--bootstrap", "x", "a", "a"], ["check-config", "a", "b"],
])
def test_wrong_use_is_status_2_and_says_so_on_standard_error(arguments, tmp_path):
    done = tidemark(*arguments, status=USE, cwd=tmp_path)
    assert done.stdout == "" and done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_new_key_opens_a_new_vault_and_neither_is_replaced(tmp_path, tidemarkd, bootstrap, new_topic):
    key = tmp_path / "vault.key"
    tidemark("key", "new", key)
    before = key.read_bytes()
    assert len(before) == 32 and key.stat().st_mode & 0o7777 == 0o600
    assert "is there already" in tidemark("key", "new", key, status=CONFLICT).stderr
    assert key.read_bytes() == before

    tidemark("vault", "init", tmp_path / "vault", "--key-file", key)
    log = (tmp_path / "vault" / "log").iterdir()
    assert len(list(log)) == 1
    tidemark("vault", "init", tmp_path / "vault", "--key-file", key, status=CONFLICT)

    topic = new_topic()
    records.produce(bootstrap, topic, SAME)
    policy = {"name": "p", "cluster": "source", "vault": "local", "topics": {"include": [topic]}, "schedule": ""}
    vault = {"name": "local", "type": "disk", "path": str(tmp_path / "vault"), "key_file": str(key)}  # create: false
    tidemarkd({"vaults": [vault], "policies": [policy]}).backup("p")


def test_a_key_file_that_others_read_or_of_another_length_is_refused(tmp_path):
    key = write_private(tmp_path / "key", b"k" * 32)
    key.chmod(0o640)
    assert "mode 0640" in tidemark("vault", "init", tmp_path / "v", "--key-file", key, status=USE).stderr
    for length, words in ((31, "has 31 bytes"), (33, "has 33 bytes"), (5000, "has more than"), (0, "has 0 bytes")):
        short = write_private(tmp_path / f"key{length}", b"k" * length)
        assert words in tidemark("vault", "init", tmp_path / "v", "--key-file", short, status=USE).stderr
    tidemark("vault", "init", tmp_path / "v", "--key-file", tmp_path / "none", status=MISSING)
    assert not (tmp_path / "v").exists()


def test_a_new_token_is_accepted_by_the_daemon(tidemarkd):
    secret, line = tidemark("token", "new", "--name", "ci", "--scope", "read").stdout.splitlines()
    assert re.fullmatch(r"tm_[A-Za-z0-9_-]{43}", secret)
    assert line == f"ci read sha256:{hashlib.sha256(secret.encode()).hexdigest()}"
    later = tidemark("token", "new", "--name", "later", "--scope", "read,operate", "--expires",
                     "2099-01-01T00:00:00+01:00").stdout.splitlines()
    assert later[1].endswith(" expires=2098-12-31T23:00:00.000Z")

    daemon = tidemarkd(start=False)
    daemon.tokens_path.write_text(f"{line}\n{later[1]}\n")
    daemon.start()
    assert daemon.tcp("GET", "/v1/status", token=secret).status_code == 200
    assert daemon.tcp("GET", "/v1/status", token=later[0]).status_code == 200
    assert daemon.tcp("POST", "/v1/backups", {"policy": "p"}, token=secret).status_code == 403
    assert daemon.tcp("GET", "/v1/status", token=secret[:-1] + "!").status_code == 401


def test_check_config_shows_the_next_runs_or_refuses(tmp_path):
    key = write_private(tmp_path / "vault.key", b"k" * 32)
    config = tmp_path / "tidemark.yaml"
    text = f"""version: 1
clusters: [{{name: dev, bootstrap: ["localhost:9092"]}}]
vaults: [{{name: local, type: disk, path: {tmp_path}/vault, key_file: {key}}}]
policies:
  - {{name: often, cluster: dev, vault: local, topics: {{include: ["*"]}}, schedule: "@every 5m"}}
  - {{name: hand, cluster: dev, vault: local, topics: {{include: ["*"]}}, schedule: ""}}
"""
    config.write_text(text)
    config.chmod(0o600)
    out = tidemark("check-config", config).stdout
    assert len(re.findall(r"^    2\d{3}-\d\d-\d\dT\d\d:\d[05]:00\.000Z$", out, re.MULTILINE)) == 3
    assert "policy hand: cluster dev, vault local, runs by hand only" in out
    assert tidemark("check-config", env=os.environ | {"TIDEMARK_CONFIG": str(config)}).stdout == out

    config.write_text(text.replace("schedule: \"@every 5m\"", "shedule: \"@every 5m\""))
    done = tidemark("check-config", config, status=REFUSED)
    assert f"{config}:5:" in done.stderr and "schedule" in done.stderr and done.stdout == ""
    config.write_text(text.replace("bootstrap:", "rdkafka: {nonsense.property: 1}, bootstrap:"))
    assert "nonsense.property" in tidemark("check-config", config, status=REFUSED).stderr
    tidemark("check-config", tmp_path / "none.yaml", status=REFUSED)

    config.write_text(text.replace("vault.key", "elsewhere.key"))
    tidemark("check-config", config, status=REFUSED)
    tidemark("check-config", "--no-secrets", config)


# Comparing topics of a real broker

def compare(bootstrap, source, target, status=0):
    return tidemark("demo", "compare", "--bootstrap", bootstrap, source, target, status=status).stdout.strip()


def test_compare_finds_topics_identical_whatever_their_offsets(bootstrap, new_topic):
    source, target = new_topic(partitions=2), new_topic(partitions=2)
    client = records.producer(bootstrap, transactional_id=source)
    client.init_transactions()
    for finish in (client.abort_transaction, client.commit_transaction):  # leaves holes in the offsets
        client.begin_transaction()
        for one in SAME:
            records.send(client, source, one, partition=1)
        client.flush()
        finish()
    records.produce(bootstrap, target, SAME, partition=1)
    assert compare(bootstrap, source, target) == "identical: 3 records in 2 partitions"


CHANGES = {
    "the key is \"\", not null": {1: {"key": b""}},
    "the key is null, not \"\"": {2: {"key": None}},
    "the value is \"\", not null": {2: {"value": b""}},
    "the value is null, not \"\"": {1: {"value": None}},
    "the value is \"Value\", not \"value\"": {0: {"value": b"Value"}},
    "the value of header 0 is \"2\", not \"1\"": {0: {"headers": (("a", b"2"), ("a", b"1"), ("b", None))}},
    "the value of header 2 is \"\", not null": {0: {"headers": (("a", b"1"), ("a", b"2"), ("b", b""))}},
    "there are 2 headers, not 3": {0: {"headers": (("a", b"1"), ("a", b"2"))}},
    f"the timestamp is {NOW + 2}, not {NOW + 1}": {1: {"timestamp": NOW + 2}},
}


@pytest.mark.parametrize("words", CHANGES)
def test_compare_names_the_first_difference(bootstrap, new_topic, words):
    source, target = new_topic(), new_topic()
    changes = CHANGES[words]
    records.produce(bootstrap, source, SAME)
    records.produce(bootstrap, target, [one._replace(**changes.get(i, {})) for i, one in enumerate(SAME)])
    at = min(changes)
    assert compare(bootstrap, source, target, DIFFERENT) == (
        f"different: {target}/0 at offset {at} and {source}/0 at offset {at}: {words}")


def test_compare_sees_records_that_are_missing_moved_or_too_many(bootstrap, new_topic):
    whole, short, moved, wide = new_topic(2), new_topic(2), new_topic(2), new_topic(3)
    records.produce(bootstrap, whole, SAME)
    records.produce(bootstrap, short, SAME[:2])
    records.produce(bootstrap, moved, SAME, partition=1)
    assert compare(bootstrap, whole, short, DIFFERENT) == (
        f"different: {whole}/0 has a record at offset 2 where {short}/0 has ended")
    assert compare(bootstrap, short, whole, DIFFERENT) == (
        f"different: {whole}/0 has a record at offset 2 where {short}/0 has ended")
    assert compare(bootstrap, whole, moved, DIFFERENT) == (
        f"different: {whole}/0 has a record at offset 0 where {moved}/0 has ended")
    assert compare(bootstrap, whole, wide, DIFFERENT) == f"different: {wide} has 3 partitions, {whole} has 2"
    assert tidemark("demo", "compare", "--bootstrap", bootstrap, whole, "none-such", status=MISSING).stderr == (
        "tidemark: there is no topic none-such\n")


# The demo

class Demo:
    """A `tidemark demo` that runs: what it said, its folder, its variables."""

    def __init__(self, *arguments, env=None):
        self.process = subprocess.Popen([build_dir() / "cli" / "tidemark", "demo", "--listen", "", *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL, env=os.environ | (env or {}))
        self.said = []

    def hear(self, prefix):
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if line.startswith(prefix):
                return self.said[-1]
        raise AssertionError(f"it ended before it said {prefix!r}:\n{self.said}\n{self.process.stderr.read()}")

    def ready(self):
        self.env_path = self.hear("ready: ").removeprefix("ready: ")
        self.folder = os.path.dirname(self.env_path)
        shell = ["sh", "-ac", '. "$1" && env -0', "sh", self.env_path]
        found = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
        self.variables = dict(one.split("=", 1) for one in found.split("\0") if one)
        self.daemon_pid = int(self.variables["DAEMON_PID"])
        return self

    def end(self, number=signal.SIGTERM, status=0):
        if number:
            self.process.send_signal(number)
        assert self.process.wait(60) == status, self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def point_ends(session):
    point = session.get("http://tidemark/v1/recovery-points/latest?policy=demo")
    if point.status_code != 200:
        return None
    return {(topic["name"], part["partition"]): part["end_offset"]
            for topic in point.json()["topics"] for part in topic["partitions"]}


def test_demo_backs_up_what_it_produces_and_a_restore_is_identical(tmp_path):
    with Demo("--policy-every", "1s", env={"TMPDIR": str(tmp_path)}) as demo:
        demo.ready()
        session = unix_session(demo.variables["SOCKET"])
        demo.process.send_signal(signal.SIGUSR1)
        demo.hear("still: ")
        with open(f"{demo.folder}/still", encoding="utf-8") as still:
            ends = {(topic["name"], part["partition"]): part["end_offset"]
                    for topic in json.load(still)["topics"] for part in topic["partitions"]}
        assert sum(ends.values()) >= 6800
        records.wait_until(lambda: point_ends(session) == ends, "a point that covers all")
        body = {"source": {"policy": "demo", "recovery_point": "latest"}, "topics": {"include": ["orders"]},
                "target": {"cluster": "demo", "rename": {"orders": "orders.restored"}},
                "create_topics": "never", "existing": "empty_only"}
        job = session.post("http://tidemark/v1/restores?wait=60s", json=body, timeout=90).json()
        assert job["state"] == "succeeded", job
        bootstrap = demo.variables["BOOTSTRAP"]
        count = sum(end for (topic, _), end in ends.items() if topic == "orders")
        assert compare(bootstrap, "orders", "orders.restored") == f"identical: {count} records in 4 partitions"
        written, restored = (records.read_topic(bootstrap, name) for name in ("orders", "orders.restored"))
        assert records.difference(written, restored) is None  # by a client that is not ours
        compare(bootstrap, "customers", "customers.restored", DIFFERENT)
        session.close()
        demo.end()
        assert not runs(demo.daemon_pid)
    assert list(tmp_path.iterdir()) == []


def test_demo_keeps_a_folder_that_was_given_and_takes_no_other(tmp_path):
    folder = tmp_path / "it's a \"demo\""
    with Demo("--still", "--dir", folder) as demo:
        demo.ready()
        assert demo.folder == str(folder)
        assert os.path.exists(demo.variables["SOCKET"])
        demo.end(signal.SIGINT)
    left = {path.name for path in folder.iterdir()}
    assert {"vault.key", "tokens", "tidemark.yaml", "tidemarkd.log", "vault", "state"} <= left
    assert not left & {"demo.env", "still", "notify", "api.sock"}
    assert "is not empty" in tidemark("demo", "--dir", folder, status=CONFLICT).stderr
    assert left == {path.name for path in folder.iterdir()}
    assert "shorter --dir" in tidemark("demo", "--dir", tmp_path / ("x" * 100), status=USE).stderr


def test_demo_ends_with_its_daemon_and_the_daemon_with_it(tmp_path):
    with Demo("--still", "--dir", tmp_path / "a") as demo:
        demo.ready()
        os.kill(demo.daemon_pid, signal.SIGKILL)
        demo.end(number=None, status=FAILED)
        assert "tidemarkd has ended by signal 9" in demo.process.stderr.read()
    with Demo("--still", "--dir", tmp_path / "b") as demo:
        demo.ready()
        demo.end(signal.SIGKILL, -signal.SIGKILL)
        records.wait_until(lambda: not runs(demo.daemon_pid), "the daemon to end")


def test_demo_says_why_the_daemon_refused_to_start(tmp_path):
    began = time.monotonic()
    done = tidemark("demo", "--dir", tmp_path / "d", "--listen", "0.0.0.0:1", status=FAILED)
    assert "server.listen" in done.stderr and "tidemarkd has ended with status 3" in done.stderr
    assert time.monotonic() - began < 20
