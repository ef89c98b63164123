# SPDX-License-Identifier: Apache-2.0
"""The command line as a client of the daemon: every command against a daemon that runs, and its exit status."""

import http.server
import json
import re
import secrets
import subprocess
import threading
import time
import urllib.parse

import pytest

from rig import jobs, records
from rig.daemon import write_private
from rig.records import record
from test_cli import tidemark

FAILED, USE, UNREACHABLE, DENIED, MISSING, CONFLICT, DIFFERENT, WRONG_KEY = 1, 2, 5, 6, 7, 8, 9, 12


@pytest.fixture
def asked(bootstrap, new_topic, tidemarkd):
    """A daemon with a backed up topic, and .cli(...): the command with its socket; .json(...): what it prints."""
    topic = new_topic(2)
    records.produce(bootstrap, topic, [record(b"k%d" % number, b"v" * 50, timestamp=1_700_000_000_000 + number)
                                       for number in range(100)], lambda index, _: index % 2)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.topic = topic
    daemon.cli = lambda *arguments, **options: tidemark(*arguments, "--socket", daemon.socket, **options)
    daemon.json = lambda *arguments, **options: json.loads(daemon.cli(*arguments, "-o", "json", **options).stdout)
    return daemon


def test_back_up_and_look_at_the_job_and_the_point(asked):
    done = asked.cli("backup", "p", "--note", "by hand", "--tag", "one", "--tag", "two")
    sheet = dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines())
    assert sheet["state"] == "succeeded" and sheet["messages"] == "100" and sheet["partitions"] == "2"
    point = asked.json("points", "show", sheet["point"])
    assert (point["note"], point["tags"], point["messages_count"]) == ("by hand", ["one", "two"], 100)
    assert asked.json("points", "show", "latest", "--policy", "p")["id"] == sheet["point"]
    assert [row["id"] for row in asked.json("points", "list")["items"]] == [sheet["point"]]
    assert asked.topic in asked.cli("points", "show", sheet["point"]).stdout

    assert asked.json("jobs", "show", sheet["job"])["result"]["recovery_point"] == sheet["point"]
    assert asked.cli("jobs", "watch", sheet["job"]).stdout.startswith(f"job           {sheet['job']}\n")
    assert sheet["job"] in asked.cli("jobs", "list", "--kind", "backup", "--state", "succeeded").stdout
    assert asked.json("jobs", "list", "--state", "failed") == {"items": []}
    assert "has ended" in asked.cli("jobs", "cancel", sheet["job"], status=CONFLICT).stderr

    waiting = asked.cli("backup", "p", "--no-wait").stdout.strip()
    assert asked.json("jobs", "watch", waiting)["result"]["unchanged"] is True
    status = asked.json("status")
    assert [(row["policy"], row["state"]) for row in status["items"]] == [("p", "ok")]
    assert asked.cli("status").stdout.split()[-20:].count("ok") == 1


def test_a_breached_objective_is_status_1(asked, bootstrap):
    asked.stop()
    asked.configure({"policies": [jobs.policy(asked.topic, rpo="1s", schedule="@yearly")]})
    asked.start()
    assert asked.json("status", status=0)["items"][0]["state"] == "never"
    asked.backup("p")
    asked.stop()
    records.produce(bootstrap, asked.topic, [record(b"late", b"v", timestamp=1_700_000_000_000)])
    asked.start()
    deadline = time.monotonic() + 30
    breached = asked.cli("status", status=None)
    while breached.returncode != FAILED and time.monotonic() < deadline:  # the last success has to be a second ago
        time.sleep(0.2)
        breached = asked.cli("status", status=None)
    assert breached.returncode == FAILED and "breached" in breached.stdout


def test_points_are_held_noted_and_deleted(asked):
    asked.backup("p")
    point = asked.json("points", "list")["items"][0]["id"]
    asked.cli("points", "hold", point, "--reason", "case 4711", "--until", "2099-01-01T00:00:00Z")
    assert asked.json("points", "show", point)["hold"] == {"reason": "case 4711", "until": "2099-01-01T00:00:00.000Z"}
    assert "held" in asked.cli("points", "delete", point, status=CONFLICT).stderr
    asked.cli("points", "note", point, "it's kept", "--tag", "a b")
    shown = asked.json("points", "show", point)
    assert (shown["note"], shown["tags"], shown["hold"]["reason"]) == ("it's kept", ["a b"], "case 4711")
    asked.cli("points", "unhold", point)
    asked.cli("points", "note", point, "")
    shown = asked.json("points", "show", point)
    assert "hold" not in shown and "note" not in shown
    asked.cli("points", "delete", point)
    assert asked.json("points", "list") == {"items": []}
    asked.cli("points", "show", point, status=MISSING)


def test_vaults_are_listed_and_probed(asked):
    asked.backup("p")
    listed = asked.json("vault", "list")["items"]
    assert [(one["name"], one["type"]) for one in listed] == [("local", "disk")]
    shown = asked.json("vault", "stats", "local")
    assert shown["head"] in asked.log() and shown["key_ring"] == "full" and shown["packs_count"] == 1
    asked.cli("vault", "probe", "local")
    assert "similar" not in asked.cli("vault", "stats", "other", status=MISSING).stderr
    assert str(asked.directory / "vault") in asked.cli("vault", "list").stdout


def test_a_vault_is_verified_repaired_and_imported_by_the_daemon(asked):
    asked.backup("p")
    for depth in ("catalog", "scrub", "sample", "full"):
        job = asked.json("verify", "local", "--depth", depth)
        assert (job["kind"], job["state"], job["result"]["depth"]) == ("verify", "succeeded", depth)
    sheet = asked.cli("verify", "local", "--depth", "sample", "--sample-ratio", "0.5").stdout
    assert "messages        100\n" in sheet and "faults          0\n" in sheet
    for command in ("check", "scrub"):
        assert asked.json("vault", command, "local")["result"]["faults_count"] == 0
    assert asked.json("vault", "import-catalog", "local")["state"] == "succeeded"
    asked.cli("vault", "check", "other", status=MISSING)

    pack = next(path for path in (asked.directory / "vault" / "pack").rglob("*") if path.is_file())
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    found = asked.cli("verify", "local", "--depth", "full", status=DIFFERENT).stdout
    assert pack.name in found and asked.topic in found
    assert asked.json("points", "list")["items"][0]["state"] == "damaged"
    repaired = asked.cli("vault", "repair", "local", "-o", "json", status=None)
    assert json.loads(repaired.stdout)["result"]["repairs"][0]["repaired"] is True, repaired.stdout
    assert asked.json("verify", "local", "--depth", "full")["result"]["faults_count"] == 0
    assert re.search(r"^verified +ok$", asked.cli("points", "show", "latest", "--policy", "p").stdout, re.M)


def test_retention_is_planned_and_run(asked, bootstrap):
    asked.stop()
    asked.configure({"policies": [jobs.policy(asked.topic, retention={"keep_last": 1, "keep_data": "0"})]})
    asked.start()
    for number in range(3):
        records.produce(bootstrap, asked.topic, [record(b"r%d" % number, b"v", timestamp=1_700_000_000_000)])
        asked.backup("p")
    points = [row["id"] for row in asked.json("points", "list")["items"]]
    plan = asked.json("retention", "plan", "local")
    assert {row["recovery_point"]: row["action"] for row in plan["points"]} == {
        points[0]: "keep", points[1]: "remove", points[2]: "remove"}
    table = asked.cli("retention", "plan", "local").stdout
    assert "keep_last" in table and "removed         2\n" in table
    assert asked.json("retention", "run", "local", "--no-merge")["result"]["points_removed_count"] == 2
    assert [row["id"] for row in asked.json("points", "list")["items"]] == points[:1]
    assert "points removed   0\n" in asked.cli("retention", "run", "local").stdout


def test_a_vault_opened_directly_shows_what_the_daemon_shows(asked, tmp_path):
    for _ in range(2):
        asked.backup("p")
    at = ["--vault", asked.directory / "vault", "--key-file", asked.key_path]
    env = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def direct(*command):
        return json.loads(tidemark(*command, *at, "-o", "json", env=env).stdout)

    same = ("id", "policy", "cluster", "captured_at", "state", "topics_count", "partitions_count", "messages_count",
            "source_bytes")
    theirs = asked.json("points", "list")["items"]
    ours = direct("points", "list")["items"]
    assert [[row[key] for key in same] for row in ours] == [[row[key] for key in same] for row in theirs] and ours
    for pattern, some in ((asked.topic, True), (asked.topic[:-1] + "*", True), (f"/.*{asked.topic[1:]}/", True), (asked.topic[:-1], False), ("none*", False)):
        for told in (direct, asked.json):
            assert (told("points", "list", "--topic", pattern)["items"] == (ours if told is direct else theirs)) is some, pattern
    assert direct("points", "list", "--state", "partial")["items"] == [] and direct("points", "list", "--state", "complete")["items"] == ours
    point = ours[0]["id"]
    parts = [[(part["partition"], part["start_offset"], part["end_offset"], part["messages_count"])
              for topic in whole["topics"] for part in topic["partitions"]]
             for whole in (direct("points", "show", point), asked.json("points", "show", point))]
    assert parts[0] == parts[1] and len(parts[0]) == 2
    assert direct("points", "show", "latest", "--policy", "p")["id"] == point
    ours, theirs = direct("vault", "stats"), asked.json("vault", "stats", "local")
    for key in ("vault_id", "key_fingerprint", "key_ring", "head", "recovery_points_count", "packs_count"):
        assert ours[key] == theirs[key], key
    tidemark("vault", "probe", "--vault", asked.directory / "vault")
    tidemark("points", "show", "rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E", *at, status=MISSING, env=env)
    assert list(tmp_path.iterdir()) == []  # the catalog was a temporary one


def test_a_vault_is_verified_without_a_daemon(asked, tmp_path):
    asked.backup("p")
    asked.stop()
    vault = asked.directory / "vault"
    at = ["--vault", vault, "--key-file", asked.key_path]
    for depth in ("catalog", "scrub", "sample", "full"):
        found = json.loads(tidemark("verify", *at, "--depth", depth, "-o", "json").stdout)
        assert found["state"] == "succeeded" and found["result"]["depth"] == depth
    assert found["result"]["messages_count"] == 100
    tidemark("vault", "check", *at)
    assert "packs           1\n" in tidemark("vault", "scrub", "--vault", vault).stdout

    host = write_private(tmp_path / "host.key", secrets.token_bytes(32))
    tidemark("key", "add", *at, "--new-key-file", host, "--writer")
    refused = tidemark("verify", "--vault", vault, "--key-file", host, "--depth", "full", status=WRONG_KEY).stderr
    assert "the key opens a writer's ring that cannot" in refused
    tidemark("vault", "check", "--vault", vault, "--key-file", host)

    pack = next(path for path in (vault / "pack").rglob("*") if path.is_file())
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    for command in (["vault", "scrub", "--vault", vault], ["verify", *at, "--depth", "full"]):
        found = json.loads(tidemark(*command, "-o", "json", status=DIFFERENT).stdout)["result"]
        assert found["faults_count"] > 0 and pack.name in found["faults"][0]["object"]
    assert found["damaged_recovery_points"] and found["faults"][0]["topic"] == asked.topic


def test_small_packs_are_merged_without_a_daemon(asked, bootstrap):
    for number in range(3):
        records.produce(bootstrap, asked.topic, [record(b"m%d" % number, b"v", timestamp=1_700_000_000_000)])
        asked.backup("p")
    at = ["--vault", asked.directory / "vault", "--key-file", asked.key_path]
    before = json.loads(tidemark("points", "show", "latest", *at, "-o", "json").stdout)
    merged = json.loads(tidemark("vault", "merge", *at, "-o", "json").stdout)
    assert (merged["packs_merged_count"], merged["packs_made_count"]) == (3, 1)
    assert json.loads(tidemark("points", "show", "latest", *at, "-o", "json").stdout) == before
    assert json.loads(tidemark("verify", *at, "--depth", "full", "-o", "json").stdout)["result"]["packs_count"] == 1
    assert json.loads(tidemark("vault", "merge", *at, "-o", "json").stdout)["packs_merged_count"] == 0
    jobs.restore(asked, suffix=".back")  # the daemon reads what was merged
    jobs.assert_restored(records.read_topic(bootstrap, asked.topic), bootstrap, f"{asked.topic}.back")


def test_over_tcp_with_a_token(asked, tmp_path):
    asked.backup("p")
    token = write_private(tmp_path / "token", asked.token + "\n")
    wrong = write_private(tmp_path / "wrong", "tm_" + secrets.token_hex(20))
    there = ["--server", asked.url]
    assert len(json.loads(tidemark("points", "list", *there, "--token-file", token, "-o", "json").stdout)["items"]) == 1
    refused = tidemark("points", "list", *there, "--token-file", wrong, "-o", "json", status=DENIED).stderr
    assert json.loads(refused)["code"] == DENIED
    tidemark("points", "list", *there, status=DENIED)
    assert asked.token not in tidemark("points", "list", *there, "--token-file", token, "--curl").stdout
    shared = write_private(tmp_path / "shared", asked.token)
    shared.chmod(0o644)
    assert "readable by others" in tidemark("points", "list", *there, "--token-file", shared, status=USE).stderr


def test_where_no_daemon_is(tmp_path):
    nobody = tidemark("status", "--socket", tmp_path / "none.sock", status=UNREACHABLE).stderr
    assert nobody == f"tidemark: {tmp_path}/none.sock: No such file or directory; hint: is tidemarkd running?\n"
    assert "COULDNT_CONNECT" in tidemark("jobs", "list", "--server", "http://127.0.0.1:1", status=UNREACHABLE).stderr


def test_what_curl_prints_does_the_same(asked):
    asked.backup("p")
    point = asked.json("points", "list")["items"][0]["id"]
    for command in (["points", "list", "--policy", "p", "--since", "2001-01-01T00:00:00+01:00"],
                    ["points", "note", point, "it's $HOME"], ["vault", "probe", "local"], ["status"],
                    ["points", "show", point]):
        line = asked.cli(*command, "--curl").stdout
        assert line.startswith("curl -sS --fail-with-body --unix-socket ")
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True)
        json.loads(done.stdout)
    assert asked.json("points", "show", point)["note"] == "it's $HOME"
    config = tidemark("status", "--config", asked.config_path, "--curl").stdout
    assert str(asked.socket) in config


@pytest.mark.parametrize("command", [
    ["jobs", "show"], ["jobs", "list", "x"], ["points", "note", "rp_x"], ["backup"], ["verify"], ["vault", "probe"],
    ["vault", "stats", "a", "--vault", "b"], ["status", "--depth", "full"], ["points", "list", "-o", "yaml"],
    ["verify", "v", "--sample-ratio", "2"], ["vault", "repair", "--vault", "v"], ["verify", "v", "--vault", "w"],
    ["verify", "--vault", "v", "--key-file", "k", "--depth", "deep"], ["points", "list", "--vault", "v"], ["points", "list", "--limit", "0"],
])
def test_wrong_use(command, tmp_path):
    done = tidemark(*command, status=USE, cwd=tmp_path)
    assert done.stdout == "" and done.stderr


class Pages(http.server.BaseHTTPRequestHandler):
    """Three pages of a list, whose rows hold what would mislead a search for the end of the array."""
    asked = []

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.asked.append({name: values[0] for name, values in query.items()})
        page = int(query.get("cursor", ["0"])[0])
        rows = [{"id": f"job_{page}{row}", "kind": 'a"]\\"', "tags": [["]"], {"x": "}\\"}]} for row in range(2)]
        body = {"items": rows} | ({"next_cursor": str(page + 1)} if page < 2 else {})
        text = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def test_pages_of_a_list_become_one():
    with http.server.HTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            whole = json.loads(tidemark("jobs", "list", "--all", "--kind", "a&b", "--server", url, "-o", "json").stdout)
            assert [row["id"] for row in whole["items"]] == [f"job_{page}{row}" for page in range(3) for row in range(2)]
            assert all(row["kind"] == 'a"]\\"' and row["tags"] == [["]"], {"x": "}\\"}] for row in whole["items"])
            assert [one.get("cursor") for one in Pages.asked] == [None, "1", "2"]
            assert all(one["kind"] == "a&b" for one in Pages.asked)
            assert len(tidemark("jobs", "list", "--all", "--server", url).stdout.splitlines()) == 7
        finally:
            server.shutdown()
            thread.join()
