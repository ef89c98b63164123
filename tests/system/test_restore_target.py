# SPDX-License-Identifier: Apache-2.0
"""Where a restore puts records, and how: other partitions by key or by a map, topics that are purged, made anew or
appended to beside other writers, at a limited rate, cancelled."""

import collections
import threading
import time

import pytest
from confluent_kafka import Producer

from rig import jobs, records
from rig.daemon import ENDED
from rig.records import record

NOW = int(time.time() * 1000) - 3_600_000


@pytest.fixture
def stored(tidemarkd, broker, target_broker):
    """stored(topic, ...): a daemon with the clusters `source` and `target` that has backed the topics up."""

    def make(*topics, target_settings=None):
        clusters = jobs.clusters(source=broker.bootstrap, target=target_broker.bootstrap)
        clusters[1]["rdkafka"] = target_settings or {}
        daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(*topics)]})
        daemon.backup("p")
        return daemon

    return make


def made(count, keys=100, size=20, start=NOW):
    """Records of so many keys; each value says which it is."""
    return [record(b"key %d" % (number * 7919 % keys), b"%d " % number + b"v" * size, (("n", b"%d" % number),),
                   start + number) for number in range(count)]


def refused(daemon, status, words, **more):
    response = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target", **more))
    assert response.status_code == status and words in response.text, response.text


def by_key(partitions):
    """{key: [(partition, value), ...]}, in the order of each partition."""
    found = collections.defaultdict(list)
    for number, part in enumerate(partitions):
        for one in part:
            found[one.key].append((number, one.value))
    return found


def as_murmur2(bootstrap, name, keys, partitions):
    """{key: partition} as librdkafka's partitioner that is made to be that of Java puts them."""
    records.create_topic(bootstrap, name, partitions)
    client = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    where = {}
    for key in keys:
        client.produce(name, key=key, value=b"", on_delivery=lambda _, message: where.__setitem__(
            message.key(), message.partition()))
    client.flush(60)
    assert len(where) == len(keys)
    return where


def test_trap_partition_count_differs(bootstrap, target_broker, new_topic, stored):
    """# trap: keys_use_another_partitioner
    Six partitions into four: refused as they are; by key, each key in one partition, the one that other clients look
    in, and its records in their order. The default keeps the partition that the producer chose, whatever its rule."""
    topic = new_topic(6)
    target = target_broker.bootstrap
    written = made(6000, keys=300)
    # A rule of the producer's own: the records of a key are in one partition, but not in that of murmur2.
    records.produce(bootstrap, topic, written, lambda _, one: int(one.key.split()[1]) % 6)
    without_key = [record(None, b"none %d" % number, (), NOW + 10_000 + number) for number in range(60)]
    records.produce(bootstrap, topic, without_key, lambda number, _: number % 6)
    daemon = stored(topic)
    records.create_topic(target, f"{topic}.four", 4)
    refused(daemon, 422, "\\\"partitions\\\": \\\"hash\\\"", suffix=".four", existing="empty_only")

    job = jobs.restore(daemon, cluster="target", suffix=".four", existing="empty_only", partitions="hash")
    assert job["result"]["messages_count"] == 6060
    restored = records.read_topic(target, f"{topic}.four")
    found = by_key(restored)
    expected = as_murmur2(target, f"{topic}.model", sorted({one.key for one in written}), 4)
    for key, partition in expected.items():
        assert {number for number, _ in found[key]} == {partition}, key
        assert [value for _, value in found[key]] == [one.value for one in written if one.key == key]
    none = found[None]
    assert len(none) == 60 and all(number == int(value.split()[1]) % 6 % 4 for number, value in none)
    assert {one.content() for part in restored for one in part} == {one.content() for one in written + without_key}
    assert all(part == sorted(part, key=lambda one: one.timestamp) for part in restored)

    jobs.restore(daemon, cluster="target", suffix=".nine", partitions="hash", partition_count=9)
    assert records.partition_count(target, f"{topic}.nine") == 9
    assert sum(map(len, records.read_topic(target, f"{topic}.nine"))) == 6060

    jobs.restore(daemon, cluster="target", suffix=".same")  # the default leaves each where it was
    jobs.assert_restored(records.read_topic(bootstrap, topic), target, f"{topic}.same")


def test_a_map_moves_partitions_and_merges_them_in_the_order_of_time(bootstrap, target_broker, new_topic, stored):
    topic = new_topic(3)
    written = made(900)
    records.produce(bootstrap, topic, written, lambda number, _: number % 3)
    daemon = stored(topic)
    refused(daemon, 422, "does not say where partition 1", partitions={"0": 3, "2": 0}, suffix=".map")
    jobs.restore(daemon, cluster="target", suffix=".map", partitions={"0": 3, "1": 1, "2": 3})
    merged = [one for number, one in enumerate(written) if number % 3 != 1]
    jobs.assert_restored([[], written[1::3], [], merged], target_broker.bootstrap, f"{topic}.map")


def test_a_hashed_restore_that_is_killed_goes_on(bootstrap, target_broker, new_topic, stored):
    topic = new_topic(4)
    target = target_broker.bootstrap
    written = made(40_000, keys=1000)
    records.produce(bootstrap, topic, written, lambda _, one: int(one.key.split()[1]) % 4)
    daemon = stored(topic, target_settings={"batch.num.messages": 10})
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(
        cluster="target", suffix=".h", partitions="hash", partition_count=3,
        limits={"write_bytes_per_second": 500_000})).json()
    jobs.wait_arrived(daemon, job["id"], target, f"{topic}.h", 5_000)
    daemon.kill()
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    assert job["resumed_count"] == 1 and job["result"]["written_messages_count"] < 40_000
    found = by_key(records.read_topic(target, f"{topic}.h"))
    for key in {one.key for one in written}:
        assert [value for _, value in found[key]] == [one.value for one in written if one.key == key]


def test_trap_topics_owned_by_an_operator(bootstrap, target_broker, new_topic, stored):
    """A topic that something else manages is purged, not deleted: it keeps its id, its configuration and its offsets'
    course. Never without being named."""
    topic = new_topic(2)
    target = target_broker.bootstrap
    written = made(400)
    records.produce(bootstrap, topic, written, lambda number, _: number % 2)
    daemon = stored(topic)
    records.create_topic(target, topic, 2, config={"retention.ms": "604800000"})
    records.produce(target, topic, made(50, start=NOW), partition=1)
    before = records.topic_config(target, topic)
    refused(daemon, 409, f"name it in", existing="purge")
    assert sum(map(len, records.read_topic(target, topic))) == 50  # nothing has happened

    plan = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(
        cluster="target", existing="purge", confirm=[topic])).json()
    assert plan["topics"][0]["actions"] == ["purge", "produce"] and plan["blocking"] == [], plan
    jobs.restore(daemon, cluster="target", existing="purge", confirm=[topic])
    restored = records.read_topic(target, topic)
    assert records.difference([written[0::2], written[1::2]], restored) is None
    assert [part[0].offset for part in restored] == [0, 50]
    assert records.topic_config(target, topic) == before

    records.create_topic(target, f"{topic}.c", 2, config={"cleanup.policy": "compact"})
    refused(daemon, 422, "cleanup.policy=compact", existing="purge", suffix=".c", confirm=[f"{topic}.c"])


def test_a_topic_is_made_anew_where_it_is_named(bootstrap, target_broker, new_topic, stored):
    topic = new_topic(2, segment_bytes=20_000_000)
    target = target_broker.bootstrap
    written = made(300)
    records.produce(bootstrap, topic, written, lambda number, _: number % 2)
    daemon = stored(topic)
    records.create_topic(target, topic, 5)
    records.produce(target, topic, made(10))
    refused(daemon, 409, "would be deleted and made anew", create_topics="recreate")
    refused(daemon, 409, "would be deleted and made anew", create_topics="recreate", confirm=["another"])
    jobs.restore(daemon, cluster="target", create_topics="recreate", confirm=[topic])
    jobs.assert_restored([written[0::2], written[1::2]], target, topic)
    assert records.topic_config(target, topic)["segment.bytes"] == "20000000"


@pytest.mark.parametrize("point,how", [
    *[(point, {"create_topics": "recreate"}) for point in ("recreate-journalled", "deleted", "journalled", "created")],
    *[(point, {"existing": "purge"}) for point in ("purge-journalled", "purged")]])
def test_a_restore_killed_while_it_clears_a_topic_goes_on(
        bootstrap, target_broker, new_topic, stored, point, how):
    topic = new_topic(1)
    written = made(30)
    records.produce(bootstrap, topic, written)
    daemon = stored(topic)
    records.create_topic(target_broker.bootstrap, topic, 1)
    records.produce(target_broker.bootstrap, topic, made(10))
    daemon.stop()
    daemon.start(env={"TM_FAULTS": f"job.restore.{point}:crash"})
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target", confirm=[topic], **how)).json()
    assert daemon.wait() == -9
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded", job
    jobs.assert_restored([written], target_broker.bootstrap, topic)


def test_a_restore_keeps_its_rate_says_how_long_and_stops_at_once(bootstrap, target_broker, new_topic, stored):
    topic = new_topic(2)
    written = made(6000, size=1000)
    records.produce(bootstrap, topic, written, lambda number, _: number % 2)
    daemon = stored(topic)
    total = sum(len(one.key) + len(one.value) for one in written)
    rate = total // 5
    started = time.monotonic()
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(
        cluster="target", limits={"write_bytes_per_second": rate, "max_in_flight_partitions": 1})).json()
    jobs.wait_progress(daemon, job["id"], 2500)
    progress = daemon.get(f"/v1/jobs/{job['id']}")["progress"]
    assert progress["phase"] == "producing" and 0.4 < progress["done_ratio"] < 0.9, progress
    assert progress["partitions"]["running"] == 1
    assert 0.7 * rate < progress["throughput_bytes_per_second"] < 1.3 * rate, (progress, rate)
    assert 0 <= progress["eta_seconds"] <= 5, progress
    job = daemon.wait_job(job["id"])
    took = time.monotonic() - started
    assert job["state"] == "succeeded" and 4.5 < took < 12, (took, job)

    slow = daemon.api("POST", "/v1/restores", json=jobs.restore_body(
        cluster="target", suffix=".slow", limits={"write_bytes_per_second": 50_000})).json()
    jobs.wait_progress(daemon, slow["id"], 10)
    asked = time.monotonic()
    assert daemon.api("POST", f"/v1/jobs/{slow['id']}/cancel").status_code == 202
    assert daemon.wait_job(slow["id"])["state"] == "cancelled"
    assert time.monotonic() - asked < 3


def test_a_restore_whose_target_is_away_stops_when_asked(bootstrap, new_topic, tidemarkd, own_broker):
    topic = new_topic(1)
    records.produce(bootstrap, topic, made(20_000, size=200))
    target = own_broker()
    clusters = jobs.clusters(source=bootstrap, target=target.bootstrap)
    clusters[1]["rdkafka"] = {"batch.num.messages": 1}
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(topic)]})
    daemon.backup("p")
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target")).json()
    jobs.wait_progress(daemon, job["id"], 500)
    target.kill()
    asked = time.monotonic()
    daemon.api("POST", f"/v1/jobs/{job['id']}/cancel")
    assert daemon.wait_job(job["id"])["state"] == "cancelled"
    assert time.monotonic() - asked < 5


class Stranger(threading.Thread):
    """Somebody else who writes to the topic all the time, in transactions or not, until told to stop."""

    def __init__(self, bootstrap, topic, partitions):
        super().__init__(daemon=True)
        self.client = records.producer(bootstrap)
        self.topic, self.partitions = topic, partitions
        self.over = threading.Event()
        self.count = 0

    def run(self):
        while not self.over.is_set():
            records.send(self.client, self.topic, record(b"stranger", b"%d" % self.count), self.count % self.partitions)
            self.count += 1
            self.client.poll(0)
            time.sleep(0.001)
        self.client.flush(60)

    def stop(self):
        self.over.set()
        self.join(90)


def groups(bootstrap):
    return [one.group_id for one in records.admin(bootstrap).list_consumer_groups().result(30).valid]


def test_trap_restore_onto_a_live_topic(bootstrap, target_broker, new_topic, stored):
    """Refused unless asked for. Then records go behind what is there, beside another producer, killed three times
    with -9: a reader of committed records sees each once and in order, and everything of the stranger."""
    topic = new_topic(2)
    target = target_broker.bootstrap
    written = made(60_000)
    records.produce(bootstrap, topic, written, lambda number, _: number % 2)
    daemon = stored(topic)
    records.create_topic(target, topic, 2)
    records.produce(target, topic, [record(b"old", b"%d" % number) for number in range(100)])
    refused(daemon, 409, "topic-exists")
    stranger = Stranger(target, topic, 2)
    stranger.start()
    body = jobs.restore_body(cluster="target", existing="append", limits={"write_bytes_per_second": 700_000})
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    assert plan["topics"][0]["actions"] == ["append"] and plan["blocking"] == [], plan
    job = daemon.api("POST", "/v1/restores", json=body).json()
    for messages in (7_000, 25_000, 45_000):
        jobs.wait_progress(daemon, job["id"], messages)
        daemon.kill()
        daemon.start()
    job = daemon.wait_job(job["id"])
    stranger.stop()
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    assert job["resumed_count"] == 3 and job["result"]["written_messages_count"] < 60_000
    restored = records.read_topic(target, topic)
    ours = [[one for one in part if one.key.startswith(b"key")] for part in restored]
    assert records.difference([written[0::2], written[1::2]], ours) is None
    theirs = [int(one.value) for part in restored for one in part if one.key == b"stranger"]
    assert sorted(theirs) == list(range(stranger.count))
    assert sum(one.key == b"old" for one in restored[0]) == 100
    assert not any(name.startswith("tidemark.restore.") for name in groups(target))


@pytest.mark.parametrize("point", ["txn-journalled", "txn-committed"])
def test_an_appending_restore_killed_around_a_commit_doubles_nothing(
        bootstrap, target_broker, new_topic, stored, point):
    topic = new_topic(3)
    target = target_broker.bootstrap
    written = made(12_000, keys=50)
    records.produce(bootstrap, topic, written, lambda _, one: int(one.key.split()[1]) % 3)
    daemon = stored(topic)
    records.create_topic(target, topic, 2)
    records.produce(target, topic, [record(b"old", b"%d" % number) for number in range(10)])
    daemon.stop()
    daemon.start(env={"TM_FAULTS": f"job.restore.{point}:crash@2"})
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(
        cluster="target", existing="append", partitions="hash")).json()
    assert daemon.wait(60) == -9
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    found = by_key(records.read_topic(target, topic))
    for key in {one.key for one in written}:
        assert [value for _, value in found[key]] == [one.value for one in written if one.key == key]
        assert len({number for number, _ in found[key]}) == 1


def test_what_was_appended_is_proved_record_by_record(bootstrap, target_broker, new_topic, stored):
    """A broker that compacts what was appended, before it is proved: the job says that it is not all there."""
    topic = new_topic(1)
    target = target_broker.bootstrap
    records.produce(bootstrap, topic, made(2000))
    daemon = stored(topic)
    records.create_topic(target, topic, 1)
    records.produce(target, topic, made(5))
    daemon.stop()
    daemon.start(env={"TM_FAULTS": "job.restore.written:crash"})
    job = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="target", existing="append")).json()
    assert daemon.wait(60) == -9
    offset = jobs.log_ends(target, topic)[topic, 0] - 500
    client = records.admin(target)
    from confluent_kafka import TopicPartition
    records.settle(client, "delete_records", [TopicPartition(topic, 0, offset)])
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "partial" and job["result"]["proof"] == "failed", job
    assert job["result"]["failures"][0]["topic"] == topic and job["result"]["failures"][0]["partition"] == 0
