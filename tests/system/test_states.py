# SPDX-License-Identifier: Apache-2.0
"""The daemon in states that it should not come into: a thousand jobs that wait, state of a newer version, a catalog that is locked,
a vault that is away when it starts."""

import datetime
import glob
import json
import re
import secrets
import socket
import sqlite3
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from rig import jobs, records
from rig.kafka import HOST
from rig.records import record

STATE_UNUSABLE = 4
WAITING = 1000


def slow_turns(daemon, longer_than="0.1"):
    """Turns of the event loop that took longer, and how many there were."""
    turns = dict(re.findall(r'^tidemark_event_loop_blocked_seconds_bucket{le="(.+)"} (\d+)$', daemon.api("GET", "/metrics").text, re.M))
    return int(turns["+Inf"]) - int(turns[longer_than]), int(turns["+Inf"])


def waiting(daemon, state="queued"):
    found, cursor = [], ""
    while cursor is not None:
        page = daemon.get(f"/v1/jobs?state={state}&limit=500&cursor={cursor}")
        found += page["items"]
        cursor = page.get("next_cursor")
    return found


def test_a_thousand_queued_jobs_survive_a_kill_and_are_answered_for(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    # Another cluster by name, since what is asked of one that is being read waits behind its fetches, half a second each.
    slow = jobs.policy(topic, name="slow", cluster="twin", limits={"read_bytes_per_second": 20_000})
    daemon = tidemarkd({"policies": [jobs.policy(topic), slow], "log": {"level": "info"},
                        "clusters": [{"name": "source", "bootstrap": bootstrap}, {"name": "twin", "bootstrap": bootstrap}],
                        "jobs": {"max_running": 1, "max_queued": WAITING}})
    point = daemon.backup("p")["result"]["recovery_point"]
    records.produce(bootstrap, topic, [record(b"k", secrets.token_bytes(1000)) for _ in range(5000)])
    daemon.api("POST", "/v1/backups", json={"policy": "slow"})  # keeps the only place for 250 s
    begun = time.monotonic()
    for number in range(WAITING):
        answer = daemon.api("POST", "/v1/restores", json={
            "source": {"recovery_point": point}, "target": {"cluster": "source", "suffix": f".{number}"}})
        assert answer.status_code == 202, answer.text
    took = time.monotonic() - begun
    full = daemon.api("POST", "/v1/restores", json={
        "source": {"recovery_point": point}, "target": {"cluster": "source", "suffix": ".more"}})
    assert full.status_code == 503 and full.json()["type"] == "/problems/queue-full" and "Retry-After" in full.headers
    ids = {job["id"] for job in waiting(daemon)}
    assert len(ids) == WAITING
    daemon.kill()
    begun = time.monotonic()
    daemon.start()
    back = time.monotonic() - begun
    records.wait_until(lambda: len(waiting(daemon)) >= WAITING - 1, "the jobs to be taken up again")
    assert {job["id"] for job in waiting(daemon) + waiting(daemon, "running")} >= ids - {job["id"] for job in waiting(daemon, "succeeded")}
    begun = time.monotonic()
    for job in waiting(daemon):
        answer = daemon.api("POST", f"/v1/jobs/{job['id']}/cancel")
        assert answer.status_code in (202, 409), answer.text
    gone = time.monotonic() - begun
    records.wait_until(lambda: not waiting(daemon), "the queue to be empty", 60)
    late, turns = slow_turns(daemon)
    print(f"{WAITING} accepted in {took:.1f} s, taken up in {back:.1f} s, cancelled in {gone:.1f} s; {late} of {turns} turns over 100 ms")
    assert back < 15 and late <= turns / 100
    daemon.stop()


def test_state_of_a_newer_version_is_refused_and_left_as_it_is(new_topic, tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy(new_topic())]})
    daemon.stop()
    path = daemon.directory / "state" / "journal.db"
    with sqlite3.connect(path) as journal:
        version = journal.execute("PRAGMA user_version").fetchone()[0]
        journal.execute(f"PRAGMA user_version = {version + 1}")
    journal.close()
    daemon.start(wait_ready=False)
    assert daemon.wait() == STATE_UNUSABLE
    assert f"newer version (schema {version + 1}, this one knows {version})" in daemon.log()
    with sqlite3.connect(path) as journal:
        assert journal.execute("PRAGMA user_version").fetchone()[0] == version + 1
        journal.execute(f"PRAGMA user_version = {version}")
    journal.close()
    daemon.start()
    daemon.stop()


def test_a_locked_catalog_delays_and_loses_nothing(bootstrap, new_topic, tidemarkd):
    """Somebody has it open in sqlite3 and holds a write lock, at the start and while a backup commits."""
    topic = new_topic()
    expected = [record(b"%d" % number, b"v") for number in range(50)]
    records.produce(bootstrap, topic, expected)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    records.produce(bootstrap, topic, [record(b"more", b"v")])
    other = sqlite3.connect(daemon.directory / "state" / "catalog" / "local.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    records.wait_until(lambda: daemon.get(f"/v1/jobs/{job['id']}")["state"] != "queued", "the run to begin")
    assert daemon.get("/v1/status")["items"]  # what is asked meanwhile is answered
    other.execute("ROLLBACK")
    job = daemon.wait_job(job["id"])
    if job["state"] == "failed":  # it waited as long as it waits; the next one makes it good
        assert "locked" in job["error"]["detail"] or "busy" in job["error"]["detail"], job
        daemon.backup("p")
    jobs.restore(daemon, suffix=".restored")
    assert records.difference(records.read_topic(bootstrap, topic), records.read_topic(bootstrap, topic + ".restored")) is None
    other.execute("BEGIN IMMEDIATE")
    daemon.kill()
    daemon.start(timeout=60)
    assert daemon.get("/v1/recovery-points?policy=p")["items"]
    other.execute("ROLLBACK")
    other.close()
    daemon.backup("p")


def test_a_vault_that_is_away_at_the_start_is_used_once_it_is_there(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    daemon.stop()
    vault = daemon.directory / "vault"
    away = vault.rename(daemon.directory / "away")
    daemon.start()
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "failed" and "mounted" in job["error"]["detail"], job
    assert not vault.exists() or not any(vault.rglob("*")), "a vault was made where one was known"
    if vault.exists():
        vault.rmdir()
    away.rename(vault)
    records.produce(bootstrap, topic, [record(b"k", b"w")])
    job = daemon.backup("p")
    assert job["result"]["messages_count"] == 1


def test_a_clock_that_jumps_delays_no_run_for_long_and_mixes_up_no_points(bootstrap, new_topic, tidemarkd, tmp_path):
    """By libfaketime: two days ahead, then back before the start. Monotonic time goes on, as it does on a real machine."""
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        pytest.skip("libfaketime is not here: run tests/rig/install test")
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    env = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    daemon = tidemarkd({"policies": [jobs.policy(topic, schedule="@every 2s"), jobs.policy(topic, name="daily", schedule="@daily"),
                                     jobs.policy(topic, name="hand")]}, env=env)

    def ran(policy):
        return len(daemon.get(f"/v1/jobs?policy={policy}&limit=500")["items"])

    def newest():
        return daemon.get("/v1/policies/hand")["newest_point"]
    first = daemon.backup("hand")["result"]["recovery_point"]
    records.wait_until(lambda: ran("p") >= 2, "runs")
    assert ran("daily") == 0
    clock.write_text("+2d\n")
    records.wait_until(lambda: ran("daily") == 1, "the run that was due meanwhile", 45)
    records.produce(bootstrap, topic, [record(b"k", b"v2")])
    second = daemon.backup("hand")["result"]["recovery_point"]
    assert newest() == second != first
    clock.write_text("-1d\n")
    before = ran("p")
    records.wait_until(lambda: ran("p") >= before + 3, "runs to go on", 45)
    records.produce(bootstrap, topic, [record(b"k", b"v3")])
    third = daemon.backup("hand")["result"]["recovery_point"]
    assert newest() == third and third not in (first, second)
    listed = [row["id"] for row in daemon.get("/v1/recovery-points?policy=hand")["items"]]
    assert listed == [second, first, third]  # by when they say that they were made; the newest is what was stored last
    jobs.restore(daemon, name="hand", suffix=".back")
    jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.back")
    midnight = (datetime.datetime.now(datetime.timezone.utc)).replace(hour=0, minute=0, second=0, microsecond=0)
    records.wait_until(lambda: datetime.datetime.fromisoformat(daemon.get("/v1/policies/daily")["next_run_at"]) == midnight, "the next daily run by the new clock", 45)
    assert ran("daily") == 1


def test_many_vaults_are_all_looked_at(tidemarkd):
    """More than there are threads for such looks at once."""
    daemon = tidemarkd({}, start=False)
    names = [f"v{number}" for number in range(20)]
    daemon.configure({"vaults": [{"name": name, "type": "disk", "path": str(daemon.directory / name), "key_file": str(daemon.key_path),
                                  "create": True} for name in names]})
    daemon.start()
    records.wait_until(lambda: all(one.get("up") for one in daemon.get("/v1/vaults")["items"]), "20 vaults to be looked at")
    assert [one["name"] for one in daemon.get("/v1/vaults")["items"]] == names


def test_a_vault_that_never_answers_keeps_no_other_waiting(bootstrap, new_topic, tidemarkd):
    """A bucket whose server takes the connection and says nothing is being opened all the while."""
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    with socket.create_server((HOST, 0)) as server:
        stuck = {"name": "stuck", "type": "s3", "bucket": "bucket", "region": "r", "path_style": True, "credentials": "static",
                 "endpoint": f"http://{HOST}:{server.getsockname()[1]}", "access_key_id": "a", "secret_access_key": "${env:STUCK}"}
        daemon = tidemarkd({"policies": [jobs.policy(topic)]}, env={"STUCK": "secret"})
        whole = json.loads(daemon.config_path.read_text())
        stuck["key_file"] = whole["vaults"][0]["key_file"]
        daemon.configure({"policies": [jobs.policy(topic)], "vaults": [stuck, *whole["vaults"]]})
        daemon.config_path.chmod(0o600)
        assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 200
        server.settimeout(30)
        taken, _ = server.accept()  # it is being opened
        with taken:
            begin = time.monotonic()
            daemon.backup("p")
            jobs.restore(daemon, suffix=".restored")
            assert daemon.get("/v1/vaults/local")["up"] and "up" not in daemon.get("/v1/vaults/stuck")
            assert time.monotonic() - begin < 15
        daemon.kill()  # a stop would wait for what never answers


TOPICS = 10_000


def create_many(bootstrap, names):
    client = AdminClient({"bootstrap.servers": bootstrap})
    for start in range(0, len(names), 500):
        some = [NewTopic(name, 1, 1, config={"retention.ms": "-1"}) for name in names[start:start + 500]]
        for future in client.create_topics(some, operation_timeout=120).values():
            future.result(120)


def test_ten_thousand_topics_in_a_cluster(own_broker, tidemarkd):
    """All of them are stored, listed, told of and restored from, and the event loop hardly notices."""
    broker = own_broker()
    names = [f"topic-{number:05}" for number in range(TOPICS)]
    create_many(broker.bootstrap, names)
    records.wait_until(lambda: set(names) <= set(records.topic_names(broker.bootstrap)), "the broker to know them all", 120)
    producer = records.producer(broker.bootstrap)
    for name in names[::100]:
        producer.produce(name, b"value of " + name.encode(), b"key")
    producer.flush(60)
    daemon = tidemarkd({"policies": [jobs.policy("topic-*", rpo="1h"), jobs.policy("topic-0000?", name="few")]}, bootstrap=broker.bootstrap)
    result = daemon.backup("p", timeout=300)["result"]
    assert (result["topics_count"], result["messages_count"]) == (TOPICS, TOPICS // 100), result
    assert daemon.backup("few")["result"]["topics_count"] == 10
    assert daemon.backup("p", timeout=300)["result"]["unchanged"] is True

    listed, cursor = [], ""
    while cursor is not None:
        page = daemon.get(f"/v1/clusters/source/topics?limit=500&cursor={cursor}")
        listed += [row["name"] for row in page["items"] if row["name"].startswith("topic-")]
        cursor = page.get("next_cursor")
    assert listed == names
    status = daemon.get("/v1/status?count=true&limit=10")
    assert status["total_count"] == TOPICS + 10 and status["ok"] and len(status["items"]) == 10
    (row,) = daemon.get("/v1/status?topic=topic-07700&policy=p")["items"]
    assert row["state"] == "ok" and row["behind_messages"] == 0
    point = jobs.newest(daemon)
    assert len(point["topics"]) == TOPICS and point["messages_count"] == TOPICS // 100
    text = daemon.api("GET", "/metrics").text
    assert text.count("\ntidemark_topic_exposure_seconds{") == 502  # metrics.max_topics, and the others of each policy together
    assert f"\ntidemark_metrics_topics_dropped {TOPICS + 10 - 500}\n" in text
    daemon.run_job("/v1/restores", jobs.restore_body(suffix=".r") | {"topics": {"include": ["topic-09?00"]}})
    assert {name for name in records.topic_names(broker.bootstrap) if name.endswith(".r")} == {f"topic-09{n}00.r" for n in range(10)}
    late, turns = slow_turns(daemon, "0.25")
    busy, _ = slow_turns(daemon, "0.001")
    print(f"{late} of {turns} turns over 250 ms, {busy} over 1 ms")
    assert late == 0 < busy  # it is measured, and no answer is long in the making
