# SPDX-License-Identifier: Apache-2.0
"""mode: continuous. Between planned runs what is new can be restored after seconds, and leaves no heap of points."""

import datetime
import time

import pytest

from rig import jobs, records
from rig.records import record

FLUSH = "tidemark:flush"
NEVER = "0 0 29 2 *"  # planned, but not in this test


def points(daemon):
    return daemon.get("/v1/recovery-points?policy=p&limit=500")["items"]


def flushed(daemon):
    return [FLUSH in point.get("tags", []) for point in points(daemon)]


def stored(daemon):
    return jobs.newest(daemon)["messages_count"]


def some(count, first=0):
    return [record(b"%d" % number, b"value %d" % number) for number in range(first, first + count)]


@pytest.fixture
def continuous(bootstrap, new_topic, tidemarkd):
    """A daemon that flushes each second, with one planned run behind it."""
    def start(schedule=NEVER, clusters=None, prefix="t", **more):
        topic = new_topic(2, prefix=prefix)
        records.produce(bootstrap, topic, some(100), lambda index, _: index % 2)
        config = {"policies": [jobs.policy(topic, schedule=schedule, mode="continuous", flush="1s", **more)]}
        daemon = tidemarkd(config | ({"clusters": clusters} if clusters else {}), bootstrap=bootstrap)
        daemon.topic = topic
        if schedule == NEVER:
            time.sleep(1.5)  # the first run is a planned one: no flush comes before it
            assert points(daemon) == []
            daemon.backup("p")
        return daemon

    return start


def test_what_is_new_can_be_restored_after_a_flush(bootstrap, continuous):
    daemon = continuous()
    assert flushed(daemon) == [False]
    total = 100
    for _ in range(3):
        records.produce(bootstrap, daemon.topic, some(50, total), lambda index, _: index % 2)
        total += 50
        records.wait_until(lambda: stored(daemon) == total, "the flush", timeout=30)
        assert flushed(daemon)[0] and not flushed(daemon)[-1]
    records.wait_until(lambda: flushed(daemon) == [True, False], "all but the newest to go", timeout=60)  # after twelve flushes
    row, = daemon.get("/v1/status")["items"]
    assert row["state"] == "ok" and row["exposure_seconds"] <= 10, row
    policy = daemon.get("/v1/policies/p")
    assert policy["mode"] == "continuous" and policy["flush_seconds"] == 1
    assert [job["kind"] for job in daemon.get("/v1/jobs")["items"]] == ["backup"], "flushes are in no list"
    jobs.restore(daemon, suffix=".back")
    jobs.assert_restored(records.read_topic(bootstrap, daemon.topic), bootstrap, f"{daemon.topic}.back")
    records.produce(bootstrap, daemon.topic, some(10, total), lambda index, _: index % 2)
    records.wait_until(lambda: stored(daemon) == total + 10, "the flush", timeout=10)
    daemon.backup("p")  # finds nothing new: the flush's point is its own
    records.wait_until(lambda: flushed(daemon) == [False, False], "the newest to stay, the other to go", timeout=60)
    assert "event=flush.unsettled" not in daemon.log() and "level=error" not in daemon.log()
    assert daemon.run_job("/v1/verifications", {"vault": "local", "depth": "full"})["result"]["faults_count"] == 0


def test_planned_runs_make_points_that_stay(bootstrap, continuous):
    begun = time.time()
    daemon = continuous(schedule="@every 4s")
    while time.time() < begun + 18:
        records.produce(bootstrap, daemon.topic, some(1))
        time.sleep(0.2)
    planned = (time.time() - begun) / 4
    kept = [datetime.datetime.fromisoformat(point["captured_at"]).timestamp()
            for point in points(daemon) if FLUSH not in point.get("tags", [])]
    assert planned - 2 <= len(kept) <= planned + 2, (planned, kept)
    assert sum(flushed(daemon)) <= 16, flushed(daemon)


def test_retention_counts_no_flush(bootstrap, continuous):
    """keep_last: 2 keeps two planned points, however many flushes came since."""
    daemon = continuous(retention={"keep_last": 2})
    for number in range(3):
        records.produce(bootstrap, daemon.topic, some(1, number))
        daemon.backup("p")
        for _ in range(3):
            records.produce(bootstrap, daemon.topic, some(1))
            time.sleep(1.1)
    plan = daemon.api("POST", "/v1/retention/plan", json={"vault": "local"}).json()["points"]
    kept = [point["kept_by"] for point in plan if point["action"] == "keep"]
    assert sum("keep_last" in rules for rules in kept) == 2 and sum(rules == ["flush"] or rules == ["newest", "flush"] for rules in kept) >= 1, plan
    assert "flush" in points(daemon)[0]["kept_by"]
    daemon.run_job("/v1/retention/run", {"vault": "local"})
    assert flushed(daemon).count(False) == 2


def test_a_kill_leaves_nothing_that_the_next_flush_does_not_clear(bootstrap, continuous):
    daemon = continuous()
    for number in range(6):
        records.produce(bootstrap, daemon.topic, some(20, number * 20), lambda index, _: index % 2)
        time.sleep(0.3 + number / 10)
        daemon.kill()
        daemon.start()
    total = 220
    records.produce(bootstrap, daemon.topic, some(1))
    records.wait_until(lambda: stored(daemon) == total + 1, "the flush")
    records.wait_until(lambda: flushed(daemon) == [True, False], "those before it to go", timeout=60)
    jobs.restore(daemon, suffix=".back")
    jobs.assert_restored(records.read_topic(bootstrap, daemon.topic), bootstrap, f"{daemon.topic}.back")


def test_a_run_goes_before_a_flush_and_loses_nothing_of_it(bootstrap, continuous):
    daemon = continuous(clusters=jobs.slow_reading("source", bootstrap))
    records.produce(bootstrap, daemon.topic, some(6000), lambda index, _: index % 2, batch_num_messages=1)
    records.wait_until(lambda: daemon.get("/v1/policies/p").get("running_job"), "a flush to begin", timeout=10)
    job = daemon.backup("p")
    assert job["state"] == "succeeded" and stored(daemon) == 6100, job
    assert daemon.get("/v1/policies/p")["last_result"] == "succeeded"


def test_a_topic_that_is_made_again_keeps_what_was_flushed_of_it(bootstrap, continuous):
    """The point of the last flush is the only one that has its last records: it becomes a point like others."""
    daemon = continuous()
    records.produce(bootstrap, daemon.topic, some(60, 100), lambda index, _: index % 2)
    records.wait_until(lambda: stored(daemon) == 160, "the flush")
    expected = records.read_topic(bootstrap, daemon.topic)
    before = points(daemon)[0]["id"]
    records.delete_topic(bootstrap, daemon.topic)
    records.create_topic(bootstrap, daemon.topic, 2, config={"retention.ms": "-1"})
    records.produce(bootstrap, daemon.topic, some(5), lambda index, _: index % 2)
    records.wait_until(lambda: stored(daemon) == 5, "a flush of the new topic", timeout=90)
    records.wait_until(lambda: FLUSH not in daemon.get(f"/v1/recovery-points/{before}").get("tags", []), "the old point to stay", timeout=60)
    jobs.restore(daemon, point=before, suffix=".old")
    jobs.assert_restored(expected, bootstrap, f"{daemon.topic}.old")


def test_a_restore_by_the_point_of_a_flush_goes_on_while_others_come(bootstrap, continuous):
    clusters = jobs.clusters(source=bootstrap, slow=bootstrap)
    clusters[1]["rdkafka"] = {"batch.num.messages": 10}
    daemon = continuous(clusters=clusters)
    records.produce(bootstrap, daemon.topic, some(4000, 100), lambda index, _: index % 2)
    records.wait_until(lambda: stored(daemon) == 4100, "the flush")
    expected = records.read_topic(bootstrap, daemon.topic)
    point = points(daemon)[0]["id"]
    body = jobs.restore_body(point=point, cluster="slow", suffix=".back") | {"limits": {"write_bytes_per_second": 6_000}}
    job = daemon.api("POST", "/v1/restores", json=body).json()
    jobs.wait_arrived(daemon, job["id"], bootstrap, f"{daemon.topic}.back", 500)
    for number in range(3):
        records.produce(bootstrap, daemon.topic, some(5, number), lambda index, _: index % 2)
        time.sleep(1.2)
    daemon.kill()
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["resumed_count"] == 1 and job["result"]["proof"] == "identical", job
    jobs.assert_restored(expected, bootstrap, f"{daemon.topic}.back")
    records.produce(bootstrap, daemon.topic, some(1))
    records.wait_until(lambda: flushed(daemon) == [True, False], "the points to go when nobody reads by them", timeout=60)


def test_a_policy_that_is_continuous_no_more_keeps_its_newest_point_and_no_other_of_flushes(bootstrap, continuous):
    daemon = continuous()
    for number in range(3):
        records.produce(bootstrap, daemon.topic, some(1, number))
        records.wait_until(lambda: stored(daemon) == 101 + number, "the flush")
    assert sum(flushed(daemon)) >= 1
    daemon.configure({"policies": [jobs.policy(daemon.topic)]})
    assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 200
    daemon.backup("p")
    assert flushed(daemon) == [False, False] and stored(daemon) == 103


def test_a_cluster_that_is_away_is_not_flushed_at_each_second(own_broker, tidemarkd):
    broker = own_broker()
    records.create_topic(broker.bootstrap, "t", 1)
    records.produce(broker.bootstrap, "t", some(10))
    daemon = tidemarkd({"policies": [jobs.policy("t", schedule=NEVER, mode="continuous", flush="1s")]}, bootstrap=broker.bootstrap)
    daemon.backup("p")
    broker.kill()
    records.wait_until(lambda: daemon.get("/v1/policies/p").get("last_result") == "failed", "a flush to fail", timeout=60)
    failed = daemon.get("/v1/policies/p")["last_attempt_at"]
    for _ in range(5):
        time.sleep(1)
        assert daemon.get("/v1/policies/p")["last_attempt_at"] == failed and "running_job" not in daemon.get("/v1/policies/p")
    broker.start()
    records.produce(broker.bootstrap, "t", some(1))
    assert daemon.backup("p")["state"] == "succeeded"  # one by hand comes at once, and ends the rest
    records.produce(broker.bootstrap, "t", some(1))
    records.wait_until(lambda: stored(daemon) == 12, "flushes to go on", timeout=20)
