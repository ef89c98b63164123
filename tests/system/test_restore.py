# SPDX-License-Identifier: Apache-2.0
"""Restores: into another cluster, with the topic's configuration, refused where they would do harm, taken up again
after a kill."""

import os
import random
import time

import pytest

from rig import jobs, records
from rig.daemon import ENDED
from rig.records import record

NOW = int(time.time() * 1000) - 3_600_000
YEAR_1990 = 631_152_000_000
WEEK_MS = "604800000"


def some_records(count, start=NOW):
    return [record(b"key %d" % number, b"value %d" % number, (("n", b"%d" % number),), start + number)
            for number in range(count)]


@pytest.fixture
def two_clusters(tidemarkd, bootstrap, target_broker):
    """two_clusters(topic, ...): a daemon with the clusters `source` and `target` that has backed the topics up."""

    def make(*topics, target_settings=None):
        clusters = jobs.clusters(source=bootstrap, target=target_broker.bootstrap)
        clusters[1]["rdkafka"] = target_settings or {}
        daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(*topics)]})
        daemon.backup("p")
        return daemon

    return make


def warnings(job):
    return {warning["code"]: warning["detail"] for warning in job.get("warnings", [])}


@pytest.mark.both_kafkas
def test_a_topic_has_its_partitions_and_configuration_on_another_cluster(
        bootstrap, target_broker, new_topic, two_clusters):
    config = {"retention.ms": WEEK_MS, "retention.bytes": "1000000000", "segment.bytes": "20000000",
              "cleanup.policy": "delete", "max.message.bytes": "2000000", "compression.type": "lz4"}
    topic = new_topic(5, **{name.replace(".", "_"): value for name, value in config.items()})
    written = some_records(500)
    records.produce(bootstrap, topic, written, lambda index, _: (0, 1, 4)[index % 3])
    daemon = two_clusters(topic)
    job = jobs.restore(daemon, cluster="target", retention="original")
    jobs.assert_restored([written[0::3], written[1::3], [], [], written[2::3]], target_broker.bootstrap, topic)
    assert records.topic_config(target_broker.bootstrap, topic) == config
    assert "retention-held" not in warnings(job)


def test_retention_is_held_on_a_restored_topic_and_the_job_says_what_it_was(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic(retention_ms=WEEK_MS, segment_bytes=20_000_000)
    records.produce(bootstrap, topic, some_records(10))
    daemon = two_clusters(topic)
    job = jobs.restore(daemon, cluster="target")
    config = records.topic_config(target_broker.bootstrap, topic)
    assert config["retention.ms"] == "-1" and config["retention.bytes"] == "-1"
    assert config["segment.bytes"] == "20000000"
    assert f"when retention.ms={WEEK_MS} is put back" in warnings(job)["retention-held"]


def test_records_of_1990_outlive_a_restore_where_the_broker_would_delete_them(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic(2, segment_bytes=1_048_576)
    written = some_records(300, YEAR_1990) + [record(b"big", b"=" * 500_000, timestamp=YEAR_1990)] * 5
    records.produce(bootstrap, topic, written, lambda index, _: index % 2)
    daemon = two_clusters(topic)
    # Without the source's retention.ms=-1, so that a restored topic that is not held has the broker's week.
    records.create_topic(target_broker.bootstrap, f"{topic}.lost")
    records.produce(target_broker.bootstrap, f"{topic}.lost", some_records(10, YEAR_1990))
    jobs.restore(daemon, cluster="target", topic_configs="broker", suffix=".held")
    records.wait_until(lambda: records.read_topic(target_broker.bootstrap, f"{topic}.lost") == [[]],
                       "the broker to delete what is not held")
    time.sleep(2)  # retention is looked at every second
    jobs.assert_restored([written[0::2], written[1::2]], target_broker.bootstrap, f"{topic}.held")


def test_timestamps_that_the_source_set_stay_though_the_target_sets_its_own_afterwards(
        bootstrap, target_broker, new_topic, two_clusters):
    # trap: logappendtime
    topic = new_topic(message_timestamp_type="LogAppendTime")
    records.produce(bootstrap, topic, some_records(50, YEAR_1990))
    stamped = records.read_topic(bootstrap, topic)[0]
    assert all(one.timestamp_type == records.LOG_APPEND_TIME and one.timestamp > NOW for one in stamped)
    daemon = two_clusters(topic)
    time.sleep(0.1)  # so that a timestamp of the restore would be another one
    jobs.restore(daemon, cluster="target")
    restored = records.read_topic(target_broker.bootstrap, topic)[0]
    assert [one.timestamp for one in restored] == [one.timestamp for one in stamped]
    assert [one.value for one in restored] == [one.value for one in stamped]
    assert records.topic_config(target_broker.bootstrap, topic)["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.both_kafkas
def test_compaction_begins_only_when_all_is_restored_and_proved(bootstrap, target_broker, new_topic, two_clusters):
    """Ten keys on several segments, which a broker compacts within a second where it may.

    # trap: compaction_during_restore
    """
    topic = new_topic(segment_bytes=1 << 20, min_cleanable_dirty_ratio=0.01)
    total = 10_000
    value = bytes(range(256)) * 4
    records.produce(bootstrap, topic, [record(b"%d" % (number % 10), value, timestamp=NOW + number)
                                       for number in range(total)])
    daemon = two_clusters(topic)  # all of it is stored before the source may compact it
    records.set_topic_config(bootstrap, topic, "cleanup.policy", "compact")
    records.produce(bootstrap, topic, [record(b"last", b"v", timestamp=NOW)])
    daemon.backup("p")
    job = jobs.restore(daemon, cluster="target")
    assert job["result"]["messages_count"] == total + 1
    assert records.topic_config(target_broker.bootstrap, topic)["cleanup.policy"] == "compact"
    records.produce(target_broker.bootstrap, topic, [record(b"more", value)] * 3000)  # the active segment is left alone
    records.wait_until(lambda: len(records.read_topic(target_broker.bootstrap, topic)[0]) < total, "compaction")


def test_topics_are_chosen_and_renamed_and_a_plan_says_so_first(
        bootstrap, target_broker, new_topic, two_clusters):
    one, two, three = (new_topic(prefix=name) for name in ("one", "two", "three"))
    for topic in (one, two, three):
        records.produce(bootstrap, topic, some_records(3))
    daemon = two_clusters(one, two, three)
    body = jobs.restore_body(cluster="target", prefix="a.", suffix=".z", rename={two: "renamed"},
                             topics={"include": ["one-*", "t*"], "exclude": ["three-*"]})
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    assert {topic["source"]: topic["target"] for topic in plan["topics"]} == {one: f"a.{one}.z", two: "renamed"}
    assert all(topic["actions"] == ["create", "produce", "hold-retention"] and topic["messages_count"] == 3
               for topic in plan["topics"])
    assert plan["messages_count"] == 6 and plan["blocking"] == []
    assert not {f"a.{one}.z", "renamed"} & set(records.topic_names(target_broker.bootstrap))  # only a plan

    job = daemon.run_job("/v1/restores", body | {"plan_digest": plan["plan_digest"]})
    assert job["state"] == "succeeded", job
    jobs.assert_restored([some_records(3)], target_broker.bootstrap, "renamed")
    jobs.assert_restored([some_records(3)], target_broker.bootstrap, f"a.{one}.z")
    assert not any(three in name for name in records.topic_names(target_broker.bootstrap))

    records.delete_topic(target_broker.bootstrap, f"a.{one}.z")
    again = daemon.api("POST", "/v1/restores", json=body | {"plan_digest": plan["plan_digest"]})
    assert again.status_code == 409, again.text  # "renamed" stands in the way, whatever the digest
    body["target"]["rename"] = {two: "renamed.again"}
    changed = daemon.api("POST", "/v1/restores", json=body | {"plan_digest": plan["plan_digest"]})
    assert changed.status_code == 412 and changed.json()["type"] == "/problems/plan-changed"


def test_a_topic_that_is_there_is_never_written_to_unless_it_is_empty_and_that_was_asked_for(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic(2)
    written = some_records(20)
    records.produce(bootstrap, topic, written, partition=1)
    daemon = two_clusters(topic)
    target = target_broker.bootstrap
    records.create_topic(target, f"{topic}.full", 2)
    records.produce(target, f"{topic}.full", some_records(1))
    records.create_topic(target, f"{topic}.empty", 2)
    records.create_topic(target, f"{topic}.narrow", 1)
    cases = [
        (".full", {}, 409, "topic-exists"),
        (".full", {"existing": "empty_only"}, 409, "topic-exists"),
        (".empty", {}, 409, "topic-exists"),
        (".narrow", {"existing": "empty_only"}, 422, "invalid-request"),
        (".absent", {"create_topics": "never"}, 404, "not-found"),
        (".b@d", {}, 422, "invalid-request"),
    ]
    for suffix, more, status, slug in cases:
        body = jobs.restore_body(cluster="target", suffix=suffix, **more)
        plan = daemon.api("POST", "/v1/restores/plan", json=body)
        assert plan.status_code == 200 and plan.json()["blocking"][0]["code"] == slug, (suffix, plan.text)
        response = daemon.api("POST", "/v1/restores", json=body)
        assert (response.status_code, response.json()["type"]) == (status, f"/problems/{slug}"), response.text
        assert suffix in response.json()["detail"]
    jobs.assert_restored([some_records(1), []], target, f"{topic}.full")
    jobs.restore(daemon, cluster="target", suffix=".empty", existing="empty_only")
    jobs.assert_restored([[], written], target, f"{topic}.empty")
    assert "retention.ms" not in records.topic_config(target, f"{topic}.empty")  # not ours to configure


def test_a_restore_killed_again_and_again_ends_with_every_record_once(
        bootstrap, target_broker, new_topic, two_clusters):
    """trap: resumable_restore"""
    seed = int(os.environ.get("TM_SEED") or time.time_ns() % 1_000_000_000)
    print(f"TM_SEED={seed}")
    rng = random.Random(seed)
    topic = new_topic(4)
    total = 100_000
    written = some_records(total)
    records.produce(bootstrap, topic, written, lambda index, _: index % 4)
    daemon = two_clusters(topic, target_settings={"batch.num.messages": 10})  # slow enough to be met in the middle
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target")).json()
    kills = 0
    for low, high in ((0.01, 0.2), (0.25, 0.5), (0.55, 0.8)):
        wanted = total * rng.uniform(low, high)
        while sum(jobs.log_ends(target_broker.bootstrap, topic).values()) < wanted:
            if daemon.get(f"/v1/jobs/{job['id']}")["state"] in ENDED:  # it was quicker than this question
                break
        if daemon.get(f"/v1/jobs/{job['id']}")["state"] in ENDED:
            break
        daemon.kill()
        kills += 1
        daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    assert kills >= 1 and job["resumed_count"] == kills
    assert job["result"]["messages_count"] == total
    assert job["result"]["written_messages_count"] < total
    jobs.assert_restored([written[number::4] for number in range(4)], target_broker.bootstrap, topic)


def test_a_restore_goes_on_when_the_target_is_back(bootstrap, new_topic, tidemarkd, own_broker):
    topic = new_topic(2)
    written = some_records(40_000)
    records.produce(bootstrap, topic, written, lambda index, _: index % 2)
    target = own_broker()
    clusters = jobs.clusters(source=bootstrap, target=target.bootstrap)
    clusters[1]["rdkafka"] = {"batch.num.messages": 1}  # slow, so that the middle is not missed
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(topic)]})
    daemon.backup("p")
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target")).json()
    records.wait_until(
        lambda: daemon.get(f"/v1/jobs/{job['id']}").get("progress", {}).get("done_messages", 0) > 1000, "some progress")
    target.kill()
    assert daemon.get(f"/v1/jobs/{job['id']}")["state"] == "running"
    target.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    jobs.assert_restored([written[0::2], written[1::2]], target.bootstrap, topic)
