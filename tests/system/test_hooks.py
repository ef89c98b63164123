# SPDX-License-Identifier: Apache-2.0
"""Who is told what happens, by a receiver of our own that takes, refuses, hangs and redirects."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest

from rig import jobs, records
from rig.records import record


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what is posted, and answers as `answers` says: the next status, 0 for nothing at all; then 200."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got = []  # (path, headers, body)
        self.answers = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()

    def events(self, *types):
        told = [json.loads(body) for _, _, body in list(self.got)]
        return [event for event in told if not types or event["type"] in types]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.got.append((self.path, dict(self.headers), body))
        if status == 0:
            self.server.over.wait(60)
            return
        self.send_response(status)
        if 300 <= status <= 399:
            self.send_header("Location", self.server.url + "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


def hook(receiver, *events, name="ops", path="/in", **more):
    return {"name": name, "url": receiver.url + path, "on": list(events), "allow_private": True} | more


def counted(daemon, result, event, name="ops"):
    wanted = f'tidemark_notifications_total{{hook="{name}",event="{event}",result="{result}"}} '
    found, = [line for line in daemon.api("GET", "/metrics").text.splitlines() if line.startswith(wanted)]
    return float(found[len(wanted):])


def test_events_come_signed_and_a_breach_is_told_once_until_it_is_over(own_broker, tidemarkd, receiver):
    broker = own_broker()
    records.create_topic(broker.bootstrap, "orders")
    records.produce(broker.bootstrap, "orders", [record(b"k", b"v")])
    wanted = ("backup.succeeded", "backup.failed", "rpo.breached", "rpo.recovered", "daemon.started", "daemon.stopped")
    clusters = [{"name": "source", "bootstrap": [broker.bootstrap], "rdkafka": {"socket.timeout.ms": 1000}}]
    policies = [jobs.policy("orders", rpo="6s", labels={"team": "shop"}), jobs.policy("other", name="other")]
    daemon = tidemarkd({"clusters": clusters, "policies": policies, "hooks": [
        hook(receiver, *wanted, secret="${env:HOOK_SECRET}"),
        hook(receiver, "backup.failed", name="of-other", path="/other", policies=["other"])]}, bootstrap=broker.bootstrap,
                       env={"HOOK_SECRET": "s3cret"})
    records.wait_until(lambda: receiver.events("daemon.started"), "the first event")
    daemon.backup("p")
    records.wait_until(lambda: receiver.events("backup.succeeded"), "the backup to be told")
    event, = receiver.events("backup.succeeded")
    assert (event["specversion"], event["subject"], event["data"]["policy"]) == ("1.0", "p", "p")
    assert event["data"]["labels"] == {"team": "shop"}
    assert event["data"]["result"]["messages_count"] == 1 and event["id"].startswith("evt_")
    for path, headers, body in receiver.got:
        assert path == "/in" and headers["Content-Type"].startswith("application/cloudevents+json")
        at, _, signature = headers["Tidemark-Signature"].partition(",v1=")
        assert abs(int(at.removeprefix("t=")) - time.time()) < 30
        assert signature == hmac.new(b"s3cret", at[2:].encode() + b"." + body, hashlib.sha256).hexdigest()

    broker.stop()
    records.wait_until(lambda: receiver.events("rpo.breached"), "the breach to be told")
    breach, = receiver.events("rpo.breached")
    assert breach["data"]["rpo_seconds"] == 6 and breach["data"]["worst"]["topic"] == "orders"
    broker.start()
    daemon.backup("p")
    records.wait_until(lambda: receiver.events("rpo.recovered"), "the recovery to be told")
    assert len(receiver.events("rpo.breached")) == 1 and counted(daemon, "success", "rpo.breached") == 1
    daemon.stop()
    assert receiver.events("daemon.stopped")
    assert not [path for path, _, _ in receiver.got if path == "/other"]


def test_a_receiver_that_fails_hangs_or_redirects_holds_nothing_up(bootstrap, new_topic, tidemarkd, receiver):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    other = Receiver()
    try:
        daemon = tidemarkd({"policies": [jobs.policy(topic)], "hooks": [
            hook(receiver, "backup.succeeded"), hook(other, "backup.succeeded", name="second")]})
        receiver.answers = [503, 200]
        daemon.backup("p")
        records.wait_until(lambda: counted(daemon, "success", "backup.succeeded") == 1, "the second try")
        first, again = receiver.got
        assert first[2] == again[2]  # the same event, with the same id
        receiver.answers = [302]
        daemon.backup("p")
        records.wait_until(lambda: counted(daemon, "failure", "backup.succeeded") == 1, "the redirect to be given up")
        assert not [path for path, _, _ in receiver.got if path != "/in"]
        row, _ = daemon.get("/v1/hooks")["items"]
        assert (row["name"], row["last"]["ok"], row["last"]["status"]) == ("ops", False, 302)
        assert "redirects are not followed" in row["last"]["error"] and receiver.url not in json.dumps(row)

        receiver.answers = [0]
        before = len(other.got)
        for number in range(1, 4):
            daemon.backup("p")
            records.wait_until(lambda: len(other.got) == before + number, "the other receiver to be told")
        begun = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begun < 5
        assert "event=hook.failed" in daemon.log()
    finally:
        other.close()


def test_healthchecks_are_pinged_with_each_start_success_and_failure(bootstrap, new_topic, tidemarkd, receiver):
    topic, other = new_topic(), Receiver()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd(start=False)
    local, = daemon.default_config()["vaults"]
    daemon.configure({
        "vaults": [local, local | {"name": "gone", "path": str(daemon.directory / "gone"), "create": False}],
        "policies": [jobs.policy(topic), jobs.policy(topic, name="bad") | {"vault": "gone"}],
        "hooks": [hook(receiver, "backup.succeeded", path="/ping/uuid?rid=1", format="healthchecks"),
                  hook(other, "backup.failed", name="json")]})
    daemon.start()
    daemon.backup("p")
    records.wait_until(lambda: len(receiver.got) == 2, "two pings")
    for number in (4, 6):
        job = daemon.api("POST", "/v1/backups", json={"policy": "bad"}).json()
        assert daemon.wait_job(job["id"])["state"] == "failed"
        records.wait_until(lambda: len(receiver.got) == number, "two more pings")
    paths = [path for path, _, _ in receiver.got]
    assert paths == ["/ping/uuid/start?rid=1", "/ping/uuid?rid=1"] + ["/ping/uuid/start?rid=1", "/ping/uuid/fail?rid=1"] * 2
    assert len(other.events()) == 1 and other.events()[0]["subject"] == "bad"  # what goes on failing is told once
    other.close()


def test_a_hook_is_tested_and_does_not_reach_inside(tidemarkd, receiver):
    daemon = tidemarkd({"hooks": [
        hook(receiver, "backup.failed"),
        hook(receiver, "backup.failed", name="guarded", allow_private=False),
        {"name": "metadata", "url": "http://169.254.169.254/", "on": ["backup.failed"], "allow_private": True},
        {"name": "mapped", "url": f"http://[::ffff:127.0.0.1]:{receiver.server_port}/", "on": ["backup.failed"]}]})
    answer = daemon.api("POST", "/v1/hooks/ops/test")
    assert (answer.status_code, answer.json()) == (200, {"hook": "ops", "status": 200})
    assert receiver.events()[0]["type"] == "hook.test"
    for name in ("guarded", "metadata", "mapped"):
        refused = daemon.api("POST", f"/v1/hooks/{name}/test")
        assert (refused.status_code, refused.json()["type"]) == (502, "/problems/hook-failed")
        assert "is not allowed" in refused.json()["detail"] and refused.json()["cause"] == "denied"
    assert len(receiver.got) == 1
    receiver.answers = [500]
    failed = daemon.api("POST", "/v1/hooks/ops/test")
    assert failed.status_code == 502 and "answered 500" in failed.json()["detail"]
    assert daemon.api("POST", "/v1/hooks/none/test").status_code == 404
    assert [row["name"] for row in daemon.get("/v1/hooks")["items"]] == ["ops", "guarded", "metadata", "mapped"]


def test_a_reload_that_is_refused_is_told_until_one_is_taken(tidemarkd, receiver):
    hook = {"name": "h", "url": receiver.url, "on": ["config.refused"], "allow_private": True}
    daemon = tidemarkd({"hooks": [hook]}, bootstrap="127.0.0.1:1")
    good = daemon.config_path.read_text()
    for _ in range(2):
        daemon.config_path.write_text(good.replace('"clusters"', '"clutsers"'))
        assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 422
        records.wait_until(lambda: receiver.events("config.refused"), "the event")
        assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 422
        event, = receiver.events("config.refused")  # lasts: told once
        assert event["data"]["reason"] == "config-invalid" and "clutsers" in event["data"]["detail"], event
        daemon.config_path.write_text(good)
        assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 200
        receiver.got.clear()


def test_hooks_come_change_and_go_with_a_reload(bootstrap, new_topic, tidemarkd, receiver):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    whole = {"policies": [jobs.policy(topic)], "hooks": [hook(receiver, "backup.succeeded", "config.refused", name="kept"),
                                                         hook(receiver, "backup.succeeded", name="goes", path="/goes")]}
    daemon = tidemarkd(whole)

    def reload(hooks):
        daemon.configure(whole | {"hooks": hooks})
        answer = daemon.api("POST", "/v1/config/reload")
        assert answer.status_code == 200, answer.text
        return [(one["change"], one["path"], one["name"]) for one in answer.json()["changes"]]

    def paths():
        return sorted(path for path, _, body in receiver.got if json.loads(body)["type"] == "backup.succeeded")
    receiver.answers = [500]  # tried again in a second: what is queued is sent, whatever becomes of its hook
    daemon.backup("p")
    told = reload([whole["hooks"][0], hook(receiver, "backup.succeeded", name="new", path="/new")])
    assert told == [("added", "hooks", "new"), ("removed", "hooks", "goes")]
    records.wait_until(lambda: set(paths()) == {"/in", "/goes"} and len(paths()) == 3, "both to be told, one of them twice")
    records.wait_until(lambda: sum(counted(daemon, "success", "backup.succeeded", name) for name in ("kept", "goes")) == 2, "both to have taken it")
    receiver.got.clear()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon.backup("p")
    records.wait_until(lambda: paths() == ["/in", "/new"], "those that are configured to be told, and no other")
    assert [one["name"] for one in daemon.get("/v1/hooks")["items"]] == ["kept", "new"]
    assert reload([]) == [("removed", "hooks", "kept"), ("removed", "hooks", "new")]
    assert daemon.get("/v1/hooks")["items"] == []
    for number in range(30):  # each with a thread of its own, which ends
        reload([hook(receiver, "backup.failed", name=f"h{number}")])
    threads = [line for line in open(f"/proc/{daemon.process.pid}/status").read().splitlines() if line.startswith("Threads:")]
    assert int(threads[0].split()[1]) < 30, threads
