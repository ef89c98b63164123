# SPDX-License-Identifier: Apache-2.0
"""What would be lost now: exposure, objective and headroom to the second while the broker is away, and after a restart."""

import datetime
import time

from rig import jobs, records
from rig.records import record


def at(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def metric(daemon, name, **labels):
    """The value of the one series that has these labels; None: there is none."""
    for line in daemon.api("GET", "/metrics").text.splitlines():
        if line.startswith(f"{name}{{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rpartition(" ")[2])
    return None


def begin_of_last_success(daemon):
    return at(next(job["started_at"] for job in daemon.get("/v1/jobs?kind=backup&limit=50")["items"]
                   if job["state"] == "succeeded"))


def test_exposure_and_headroom_are_right_to_the_second_without_the_broker(own_broker, tidemarkd):
    """Counted from the begin of the last run that left nothing behind; the objective is breached in its second."""
    broker = own_broker()
    retention = 3_600_000
    records.create_topic(broker.bootstrap, "orders", 2, config={"retention.ms": str(retention)})
    now = int(time.time() * 1000)
    records.produce(broker.bootstrap, "orders", [record(b"k", b"%d" % number, timestamp=now) for number in range(50)])
    clusters = [{"name": "source", "bootstrap": [broker.bootstrap], "rdkafka": {"socket.timeout.ms": 2000}}]
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy("orders", rpo="12s")]},
                       bootstrap=broker.bootstrap)
    assert [row["state"] for row in daemon.get("/v1/status")["items"]] == ["never"]
    assert metric(daemon, "tidemark_topic_exposure_seconds", topic="orders") is None
    daemon.backup("p")
    began = begin_of_last_success(daemon)
    broker.stop()

    def row():
        before = time.time()
        found, = daemon.get("/v1/status")["items"]
        assert before - began - 1.1 <= found["exposure_seconds"] <= time.time() - began + 0.1
        return found

    first = row()
    assert (first["topic"], first["state"], first["behind_messages"]) == ("orders", "ok", 0)
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()  # finds nobody
    records.wait_until(lambda: row()["state"] == "breached", "the objective to be breached")
    assert 12 <= time.time() - began <= 13.5
    daemon.api("POST", f"/v1/jobs/{job['id']}/cancel")
    assert daemon.wait_job(job["id"])["state"] in ("cancelled", "failed")  # and exposure goes on from where it was
    row()
    whole = daemon.get("/v1/status")
    assert whole["breached_count"] == 1 and not whole["ok"]
    assert (whole["worst"]["topic"], whole["worst"]["rpo_seconds"]) == ("orders", 12)
    exposed = metric(daemon, "tidemark_topic_exposure_seconds", policy="p", topic="orders")
    assert abs(exposed - (time.time() - began)) < 1
    assert metric(daemon, "tidemark_policy_rpo_objective_seconds", policy="p") == 12
    headroom = metric(daemon, "tidemark_topic_retention_headroom_seconds", policy="p", topic="orders")
    assert abs(headroom - (began + retention / 1000 - time.time())) < 2
    assert abs(row()["retention_headroom_seconds"] - headroom) < 2

    daemon.kill()  # the next daemon knows as much before its first run
    daemon.start()
    again = row()
    assert (again["topic"], again["state"]) == ("orders", "breached") and "behind_messages" not in again
    assert abs(metric(daemon, "tidemark_topic_exposure_seconds", topic="orders") - (time.time() - began)) < 1
    broker.start()
    daemon.backup("p")
    began = begin_of_last_success(daemon)
    assert row()["state"] == "ok"


def test_a_topic_that_lags_stays_exposed_while_its_neighbour_is_safe(bootstrap, new_topic, tidemarkd):
    """An open transaction keeps records of one topic out: its exposure goes on, and its lag says in which partition."""
    still, open_one = new_topic(prefix="still"), new_topic(2, prefix="open")
    for topic in (still, open_one):
        records.produce(bootstrap, topic, [record(b"k", b"%d" % number) for number in range(5)], partition=0)
    daemon = tidemarkd({"policies": [jobs.policy(still, open_one)]})
    daemon.backup("p")
    first = begin_of_last_success(daemon)
    client = records.producer(bootstrap, transactional_id=f"open-{open_one}")
    client.init_transactions(30)
    client.begin_transaction()
    for number in range(7):
        records.send(client, open_one, record(b"k", b"open %d" % number), 1)
    client.flush(30)
    records.wait_until(lambda: time.time() - first > 2, "some time to pass")
    daemon.backup("p")
    rows = {row["topic"]: row for row in daemon.get("/v1/status")["items"]}
    assert rows[still]["exposure_seconds"] <= time.time() - begin_of_last_success(daemon) + 0.1
    assert rows[open_one]["exposure_seconds"] >= int(time.time() - first) - 1 >= 1
    assert [row["topic"] for row in daemon.get("/v1/status")["items"]] == [open_one, still]  # the longest exposed first
    assert metric(daemon, "tidemark_topic_lag_max_messages", topic=open_one) == 7
    client.commit_transaction(30)
    daemon.backup("p")
    assert daemon.get(f"/v1/status?topic={open_one}")["items"][0]["exposure_seconds"] <= 2
