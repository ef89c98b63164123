# SPDX-License-Identifier: Apache-2.0
"""What a target would refuse, delete or alter is found before the first record; what a restore holds there is put back:
when it is due, by command, and after kill -9."""

import json
import time

import pytest
from test_cli import tidemark

from rig import jobs, records
from rig.records import record

NOW = int(time.time() * 1000) - 60_000
YEAR_1990 = 631_152_000_000
HOUR_MS, WEEK_MS = "3600000", "604800000"


def some_records(count, start=NOW):
    return [record(b"key %d" % number, b"value %d" % number, (("n", b"%d" % number),), start + number)
            for number in range(count)]


@pytest.fixture
def two_clusters(tidemarkd, broker, target_broker):
    """two_clusters(topic, ...): a daemon with the clusters `source` and `target` that has backed the topics up."""

    def make(*topics, target=None):
        clusters = jobs.clusters(source=broker.bootstrap, target=target or target_broker.bootstrap)
        daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(*topics)]})
        daemon.backup("p")
        return daemon

    return make


def plan_of(daemon, **request):
    response = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(cluster="target", **request))
    assert response.status_code == 200, response.text
    return response.json()


def codes(notes):
    return [note["code"] for note in notes]


def details(notes):
    return {note["code"]: note["detail"] for note in notes}


def holds(daemon, job):
    """{(topic, setting): row} of what a restore holds."""
    rows = daemon.get(f"/v1/restores/{job['id']}/put-back")["items"]
    return {(row["topic"], row["setting"]): row for row in rows}


# Findings


def test_each_finding_is_told_before_a_record_is_written_and_hold_all_does_away_with_it(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic(message_timestamp_before_max_ms=9223372036854775807)
    written = some_records(20, YEAR_1990) + [record(b"big", b"=" * 200_000, timestamp=YEAR_1990)]
    records.produce(bootstrap, topic, written)
    daemon = two_clusters(topic)
    target = target_broker.bootstrap
    cases = {
        ".small": ({"max.message.bytes": "100000", "retention.ms": "-1"}, "message-too-large", "200"),
        ".before": ({"message.timestamp.before.max.ms": "86400000", "retention.ms": "-1"}, "timestamps-refused",
                    "21 of 21"),
        ".append": ({"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}, "timestamps-rewritten", "21"),
        ".week": ({"retention.ms": WEEK_MS}, "target-retention", "21 of 21"),
    }
    for suffix, (config, code, number) in cases.items():
        records.create_topic(target, topic + suffix, config=config)
        body = {"suffix": suffix, "existing": "empty_only"}
        plan = plan_of(daemon, **body)
        assert codes(plan["blocking"]) == [code], (suffix, plan)
        assert number in details(plan["blocking"])[code] and topic + suffix in details(plan["blocking"])[code]
        setting = next(name for name in config if name != "retention.ms" or suffix == ".week")
        assert f"--add-config {setting}=" in details(plan["blocking"])[code]
        refused = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target", **body))
        assert (refused.status_code, refused.json()["type"]) == (409, f"/problems/{code}"), refused.text
        assert sum(jobs.log_ends(target, topic + suffix).values()) == 0
        held = plan_of(daemon, retention="hold_all", **body)
        assert held["blocking"] == [] and held["plan_digest"] != plan["plan_digest"]
        assert "hold-retention" in held["topics"][0]["actions"]
        job = jobs.restore(daemon, cluster="target", retention="hold_all", **body)
        jobs.assert_restored([written], target, topic + suffix)
        after = records.topic_config(target, topic + suffix)
        kept = {"retention.ms": "-1"}  # until it is put back
        assert {name: after.get(name) for name in config} == config | kept, suffix
        if suffix == ".week":
            assert holds(daemon, job)[topic + suffix, "retention.ms"]["original"] == WEEK_MS


def test_a_compacted_target_is_a_warning_and_too_few_brokers_are_told(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(5))
    daemon = two_clusters(topic)
    records.create_topic(target_broker.bootstrap, f"{topic}.compact", config={"cleanup.policy": "compact"})
    plan = plan_of(daemon, suffix=".compact", existing="empty_only")
    assert plan["blocking"] == [] and codes(plan["warnings"]) == ["target-compacted"]
    assert plan_of(daemon, suffix=".compact", existing="empty_only", retention="hold_all")["warnings"] == []
    plan = plan_of(daemon, suffix=".wide", replication_factor=3)
    assert codes(plan["blocking"]) == ["target-refuses"] and "replication" in plan["blocking"][0]["detail"].lower()


def test_old_records_are_counted_and_when_they_may_be_deleted_is_told(bootstrap, new_topic, two_clusters):
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(30, YEAR_1990))
    daemon = two_clusters(topic)
    records.produce(bootstrap, topic, some_records(10))
    daemon.backup("p")
    for request, when in (({"retention": "original"}, "when the restore has ended"),
                          ({}, "1d after the restore"), ({"retention_hold_for": "90m"}, "90m after the restore")):
        plan = plan_of(daemon, suffix=".new", topic_configs="broker", **request)
        assert plan["blocking"] == [] and codes(plan["warnings"]) == ["target-retention"]
        assert when in plan["warnings"][0]["detail"] and WEEK_MS in plan["warnings"][0]["detail"]
        assert "30 of 40" in plan["warnings"][0]["detail"]  # two runs, one of them old
    assert plan_of(daemon, suffix=".new")["warnings"] == []  # the source's own retention is -1
    wrong = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(
        cluster="target", retention="original", retention_hold_for="1h"))
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["pointer"] == "/retention_hold_for"


def test_trap_internal_topics_never_restored_raw(bootstrap, target_broker, new_topic, two_clusters):
    """Offsets of another cluster's groups, written into this one's, would move its consumers."""
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(3))
    daemon = two_clusters(topic)
    before = records.topic_names(target_broker.bootstrap)
    for name in ("__consumer_offsets", "__transaction_state", "__share_group_state"):
        plan = plan_of(daemon, rename={topic: name}, existing="empty_only", retention="hold_all")
        assert "internal-topic" in codes(plan["blocking"])
        refused = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target", rename={topic: name}))
        assert refused.status_code in (409, 422), refused.text
    assert records.topic_names(target_broker.bootstrap) == before
    jobs.restore(daemon, cluster="target", rename={topic: f"copy.of.__consumer_offsets-{topic}"})


def test_trap_message_too_large(bootstrap, target_broker, new_topic, two_clusters):
    """A record of 2 MB: a topic made here takes it, with whatever limit it ends; batches fit small limits."""
    topic = new_topic(max_message_bytes=3_000_000)
    written = some_records(2000) + [record(b"big", bytes(range(250)) * 8000, timestamp=NOW)] + some_records(2000)
    records.produce(bootstrap, topic, written, message_max_bytes=3_000_000)
    daemon = two_clusters(topic)
    target = target_broker.bootstrap
    jobs.restore(daemon, cluster="target")
    jobs.assert_restored([written], target, topic)
    assert records.topic_config(target, topic)["max.message.bytes"] == "3000000"
    jobs.restore(daemon, cluster="target", suffix=".default", topic_configs="broker")
    jobs.assert_restored([written], target, f"{topic}.default")
    assert "max.message.bytes" not in records.topic_config(target, f"{topic}.default")
    small = new_topic(max_message_bytes=20_000)
    records.produce(bootstrap, small, some_records(2000), batch_size=10_000)
    records.create_topic(target, f"{small}.there", config={"max.message.bytes": "20000"})
    daemon = two_clusters(small)
    jobs.restore(daemon, cluster="target", suffix=".there", existing="empty_only")
    jobs.assert_restored([some_records(2000)], target, f"{small}.there")


def test_trap_config_of_managed_clusters(tidemarkd, own_broker, target_broker):
    """Kafka 3.9 has topics that Kafka 4 would not make: what is refused is left out and named, the rest is set."""
    old = own_broker(version="3.9.2")
    config = {"segment.bytes": "500000", "cleanup.policy": "compact,delete", "retention.ms": WEEK_MS,
              "min.compaction.lag.ms": "60000", "compression.type": "lz4"}
    topic = f"managed-{old.port}"
    records.create_topic(old.bootstrap, topic, config=config)
    written = some_records(50)
    records.produce(old.bootstrap, topic, written)
    clusters = jobs.clusters(source=old.bootstrap, target=target_broker.bootstrap)
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(topic)]}, bootstrap=old.bootstrap)
    daemon.backup("p")
    plan = plan_of(daemon)
    assert plan["blocking"] == [] and codes(plan["warnings"]) == ["topic-configs"]
    assert "segment.bytes=500000" in plan["warnings"][0]["detail"]
    job = jobs.restore(daemon, cluster="target", retention="original")
    jobs.assert_restored([written], target_broker.bootstrap, topic)
    del config["segment.bytes"]
    assert records.topic_config(target_broker.bootstrap, topic) == config  # the list among it
    assert codes(job["warnings"]) == ["topic-configs"]


# Put back


def test_trap_old_timestamps_and_retention(bootstrap, target_broker, new_topic, two_clusters):
    """Records of 1990 in a topic that keeps an hour: whole after the broker has looked, gone by the topic's own rule
    once that is put back. At the source a fresh record keeps its one segment; the target has several."""
    topic = new_topic(segment_ms=2**63 - 1)  # a record so much younger would begin another segment
    old = [record(b"%d" % number, b"=" * 10_000, timestamp=YEAR_1990 + number) for number in range(300)]
    fresh = record(b"fresh", b"v", timestamp=int(time.time() * 1000))
    records.produce(bootstrap, topic, [*old, fresh])
    records.set_topic_config(bootstrap, topic, "retention.ms", HOUR_MS)
    records.set_topic_config(bootstrap, topic, "segment.bytes", "1048576")
    daemon = two_clusters(topic)
    target = target_broker.bootstrap
    job = jobs.restore(daemon, cluster="target")
    records.create_topic(target, f"{topic}.control", config={"retention.ms": HOUR_MS})
    records.produce(target, f"{topic}.control", old)
    records.wait_until(lambda: records.read_topic(target, f"{topic}.control") == [[]], "the broker's look at retention")
    jobs.assert_restored([[*old, fresh]], target, topic)
    assert records.topic_config(target, topic)["retention.ms"] == "-1"
    put = daemon.api("POST", f"/v1/restores/{job['id']}/put-back")
    assert put.status_code == 200, put.text
    assert records.topic_config(target, topic)["retention.ms"] == HOUR_MS
    records.wait_until(lambda: len(records.read_topic(target, topic)[0]) < 300, "retention, which counts again")


def test_retention_is_put_back_when_due_but_not_what_somebody_changed(
        bootstrap, target_broker, new_topic, two_clusters):
    one, two = new_topic(retention_ms=WEEK_MS), new_topic(retention_ms=WEEK_MS, retention_bytes=10**9)
    for topic in (one, two):
        records.produce(bootstrap, topic, some_records(3))
    daemon = two_clusters(one, two)
    target = target_broker.bootstrap
    job = jobs.restore(daemon, cluster="target", retention_hold_for="4s")
    assert records.topic_config(target, one)["retention.ms"] == "-1"
    assert {row["state"] for row in holds(daemon, job).values()} == {"held"}
    assert {row["setting"]: row.get("original") for row in job["result"]["held"] if row["topic"] == two} == \
        {"retention.ms": WEEK_MS, "retention.bytes": "1000000000"}
    records.set_topic_config(target, two, "retention.ms", "12345000")
    records.wait_until(lambda: "held" not in {row["state"] for row in holds(daemon, job).values()}, "what is due")
    found = holds(daemon, job)
    assert records.topic_config(target, one)["retention.ms"] == WEEK_MS
    assert "retention.bytes" not in records.topic_config(target, one)  # the broker's, as at the source
    after = records.topic_config(target, two)
    assert after["retention.ms"] == "12345000" and after["retention.bytes"] == "1000000000"
    assert found[one, "retention.ms"]["state"] == found[two, "retention.bytes"]["state"] == "put-back"
    assert found[two, "retention.ms"]["state"] == "left" and "12345000" in found[two, "retention.ms"]["detail"]
    assert "event=put-back.done" in daemon.log() or '"put-back.done"' in daemon.log()


def test_retention_is_put_back_by_command(bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic(retention_ms=WEEK_MS)
    records.produce(bootstrap, topic, some_records(3))
    daemon = two_clusters(topic)
    job = jobs.restore(daemon, cluster="target")
    command = ("restore", "put-back", job["id"], "--socket", daemon.socket)
    shown = json.loads(tidemark(*command, "--dry-run", "-o", "json").stdout)
    assert {row["state"] for row in shown["items"]} == {"held"}
    assert records.topic_config(target_broker.bootstrap, topic)["retention.ms"] == "-1"
    assert "put-back" in tidemark(*command).stdout
    assert records.topic_config(target_broker.bootstrap, topic)["retention.ms"] == WEEK_MS
    again = json.loads(tidemark(*command, "-o", "json").stdout)
    assert {row["state"] for row in again["items"]} == {"put-back"}
    unknown = daemon.api("POST", "/v1/restores/job_01K9ZQ4V6M3T8R2X7B5N1C0D9E/put-back")
    assert unknown.status_code == 404 and unknown.json()["kind"] == "restore"


def test_what_is_held_is_put_back_after_kill_9_and_when_the_cluster_is_back(
        bootstrap, new_topic, two_clusters, own_broker):
    """The daemon is killed in the middle of a restore into a topic that was there, and again when retention is due
    while the cluster is away."""
    topic = new_topic()
    written = some_records(200, YEAR_1990)
    records.produce(bootstrap, topic, written)
    target = own_broker()
    config = {"retention.ms": WEEK_MS, "message.timestamp.type": "LogAppendTime"}
    records.create_topic(target.bootstrap, topic, config=config)
    daemon = two_clusters(topic, target=target.bootstrap)
    daemon.stop()
    daemon.start(env={"TM_FAULTS": "job.restore.written:crash"})
    body = jobs.restore_body(cluster="target", existing="empty_only", retention="hold_all", retention_hold_for="5s")
    job = daemon.api("POST", "/v1/restores", json=body).json()
    assert daemon.wait(60) != 0
    held = {"retention.ms": "-1", "message.timestamp.type": "CreateTime"}
    assert held.items() <= records.topic_config(target.bootstrap, topic).items()
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    daemon.kill()
    assert records.topic_config(target.bootstrap, topic) == config | {"retention.ms": "-1"}
    target.kill()
    daemon.start()
    assert holds(daemon, job)[topic, "retention.ms"]["state"] == "held"
    target.start()
    records.wait_until(lambda: holds(daemon, job)[topic, "retention.ms"]["state"] == "put-back", "the cluster", 90)
    assert records.topic_config(target.bootstrap, topic) == config
