# SPDX-License-Identifier: Apache-2.0
"""A cluster that is down, goes down in the middle of a run or freezes: jobs fail with the cause in their words, in
their time, and the next run is right."""

import time

from rig import jobs, kafka, records
from rig.records import record

NOW = 1_700_000_000_000
LIMIT = 60  # seconds after which a job must have ended; a question to the cluster is given up after 30


def some_records(count):
    return [record(b"k%d" % number, b"v%d" % number, timestamp=NOW + number) for number in range(count)]


def fill(broker, topic, count, **config):
    written = some_records(count)
    records.create_topic(broker.bootstrap, topic, 2, config={"retention.ms": "-1"})
    records.produce(broker.bootstrap, topic, written, lambda index, _: index % 2, **config)
    return [written[0::2], written[1::2]]


def text_of(job):
    return f"{job.get('error')} {job.get('result')}"


def test_a_cluster_that_is_down_fails_jobs_with_its_address_and_is_used_as_soon_as_it_is_back(own_broker, tidemarkd):
    broker = own_broker()
    expected = fill(broker, "t", 100)
    daemon = tidemarkd({"policies": [jobs.policy("t")]}, bootstrap=broker.bootstrap)
    daemon.backup("p")
    daemon.stop()
    broker.kill()
    daemon.start()  # ready without its cluster
    begun = time.monotonic()
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    plan = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(suffix=".restored"))
    assert plan.status_code == 502 and plan.json()["type"] == "/problems/kafka-unreachable", plan.text
    assert broker.bootstrap in plan.json()["detail"] and "refused" in plan.json()["detail"]
    job = daemon.wait_job(job["id"])
    assert time.monotonic() - begun < LIMIT
    assert job["state"] == "failed" and job["error"]["type"] == "/problems/kafka-unreachable", job
    assert broker.bootstrap in job["error"]["detail"] and "refused" in job["error"]["detail"]
    assert daemon.api("GET", "/readyz").status_code == 200
    checks = {check["name"]: check["ok"] for check in daemon.get("/readyz?verbose=1")["checks"]}
    assert checks["configuration"] and checks["catalog"], checks
    broker.start()
    assert daemon.backup("p")["result"]["unchanged"]
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored(expected, broker.bootstrap, "t.restored")


def test_a_cluster_that_dies_or_freezes_while_it_is_read_fails_the_run_and_loses_nothing(tidemarkd):
    """Both at once, since each takes its time."""
    with kafka.Broker() as dying, kafka.Broker() as freezing:
        expected = {broker: fill(broker, "t", 6000, batch_num_messages=1) for broker in (dying, freezing)}
        clusters = jobs.slow_reading("dying", dying.bootstrap) + jobs.slow_reading("freezing", freezing.bootstrap)
        names = {"dying": dying, "freezing": freezing}
        policies = [jobs.policy("t", name=name, cluster=name, timeout="10s") for name in names]
        daemon = tidemarkd({"clusters": clusters, "policies": policies}, bootstrap=dying.bootstrap)
        ids = {name: daemon.api("POST", "/v1/backups", json={"policy": name}).json()["id"] for name in names}
        for job_id in ids.values():
            jobs.wait_progress(daemon, job_id, 300)
        dying.kill()
        freezing.freeze()
        begun = time.monotonic()
        for name, broker in names.items():
            job = daemon.wait_job(ids[name])
            assert job["state"] in ("failed", "partial"), job
            assert f"cluster {name}: " in text_of(job), job
            assert broker is freezing or broker.bootstrap in text_of(job), job
        assert time.monotonic() - begun < LIMIT
        dying.start()
        freezing.thaw()
        for name, broker in names.items():
            while (job := daemon.run_job("/v1/backups", {"policy": name}))["state"] == "partial":
                assert "the run's timeout" in text_of(job), job  # slow reading on a busy machine: the next goes on
            assert job["state"] == "succeeded", job
            jobs.restore(daemon, name=name, cluster=name, suffix=".restored")
            jobs.assert_restored(expected[broker], broker.bootstrap, "t.restored")


def test_a_broker_that_is_restarted_while_it_is_read_costs_nothing(own_broker, tidemarkd):
    broker = own_broker()
    expected = fill(broker, "t", 6000, batch_num_messages=1)
    daemon = tidemarkd({"clusters": jobs.slow_reading("source", broker.bootstrap), "policies": [jobs.policy("t")]},
                       bootstrap=broker.bootstrap)
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    jobs.wait_progress(daemon, job["id"], 300)
    broker.kill()
    broker.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["messages_count"] == 6000, job
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored(expected, broker.bootstrap, "t.restored")


def test_a_stop_is_not_held_up_by_a_cluster_that_does_not_answer(own_broker, tidemarkd):
    """The run is left as a kill would leave it, and taken up again."""
    broker = own_broker()
    expected = fill(broker, "t", 100)
    daemon = tidemarkd({"policies": [jobs.policy("t")]}, bootstrap=broker.bootstrap)
    broker.freeze()
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    records.wait_until(lambda: daemon.get(f"/v1/jobs/{job['id']}")["state"] == "running", "the run to begin")
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < 10 and "event=daemon.stopped-short" in daemon.log()
    assert not daemon.socket.exists()
    broker.thaw()
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["resumed_count"] == 1, job
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored(expected, broker.bootstrap, "t.restored")
