# SPDX-License-Identifier: Apache-2.0
"""The five ways to lose data that Tidemark is there for, each from end to end as an operator meets it: a daemon with a
policy on a schedule, the disaster, what the operator does then, and a client that is not ours to compare everything."""

import itertools
import os
import time

from confluent_kafka import Consumer, TopicPartition

from rig import groups, jobs, records
from rig.records import record

HOUR = 3_600_000
NOW = int(time.time() * 1000)
FOREVER = {"retention.ms": "-1"}
numbers = itertools.count(1)


def new_name(word):
    return f"{word}-{os.getpid()}-{next(numbers)}"


def some_records(count, word, start=NOW - HOUR):
    return [record(b"key %d" % (number % 7), b"%s %d" % (word.encode(), number),
                   [("trace", b"%d" % number), ("trace", None)], start + number) for number in range(count)]


def protect(tidemarkd, bootstrap, *topics, **more):
    """A daemon that backs these topics up every two seconds."""
    return tidemarkd({"policies": [jobs.policy(*topics, schedule="@every 2s", **more)]}, bootstrap=bootstrap)


def wait_saved(daemon, bootstrap, *topics):
    """Until the newest point reaches the ends of the logs as they are now."""
    wanted = {}
    for topic in topics:
        wanted |= jobs.log_ends(bootstrap, topic)

    def saved():
        response = daemon.api("GET", "/v1/recovery-points/latest?policy=p")
        ends = jobs.ends(response.json()) if response.status_code == 200 else {}
        return all(ends.get(part, -1) >= end for part, end in wanted.items())

    records.wait_until(saved, f"a point that covers {wanted}", 60)
    return jobs.newest(daemon)["id"]


def assert_holds(bootstrap, topic, expected):
    found = records.difference(expected, records.read_topic(bootstrap, topic))
    assert found is None, f"{topic}: {found}"


def test_followers_behind_an_unclean_leader_election(cluster, tidemarkd):
    """The follower was away when orders came in, then the leader died: the follower leads, and what it had not got is
    cut off. The orders come back from the vault, and those taken since are in the topic."""
    topic = new_name("orders")
    cluster.create_topic(topic, [[1, 2]], FOREVER | {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"})
    before, lost, after = some_records(400, "before"), some_records(250, "lost"), some_records(350, "after")
    daemon = protect(tidemarkd, cluster.bootstrap, topic)
    records.produce(cluster.bootstrap, topic, before)
    cluster.stop(2)
    cluster.wait_alone(topic, 1)
    records.produce(cluster.bootstrap, topic, lost)
    point = wait_saved(daemon, cluster.bootstrap, topic)
    cluster.elect_unclean(topic, 1, 2, lambda: records.produce(cluster.bootstrap, topic, after))
    assert_holds(cluster.bootstrap, topic, [before + after])
    records.wait_until(lambda: jobs.newest(daemon)["topics"][0]["incarnation"] == 2, "the next backup to notice", 60)
    told = [line for line in daemon.log().splitlines() if "event=topic.new-incarnation" in line and f"topic={topic} " in line]
    assert len(told) == 1
    jobs.restore(daemon, point=point, suffix=".before-the-election")
    assert_holds(cluster.bootstrap, f"{topic}.before-the-election", [before + lost])
    wait_saved(daemon, cluster.bootstrap, topic)
    jobs.restore(daemon, suffix=".since", topics={"include": [topic]})
    assert_holds(cluster.bootstrap, f"{topic}.since", [before + after])


def test_no_replication_and_the_only_brokers_disk_lost(own_broker, tidemarkd):
    """One broker, one replica, and its disk is gone. A new one stands at the same address with nothing on it: the topic
    is there again, under its name, and the policy goes on with it."""
    broker = own_broker()
    topic = new_name("payments")
    records.create_topic(broker.bootstrap, topic, 2, config=FOREVER | {"max.message.bytes": "2000000"})
    written = [some_records(300, "first"), some_records(200, "second")]
    for partition, some in enumerate(written):
        records.produce(broker.bootstrap, topic, some, partition)
    daemon = protect(tidemarkd, broker.bootstrap, topic)
    point = wait_saved(daemon, broker.bootstrap, topic)
    broker.kill()
    broker.wipe()
    broker.start()
    assert topic not in records.topic_names(broker.bootstrap)
    jobs.restore(daemon, point=point, topics={"include": [topic]}, retention="original")  # newer ones know its loss
    assert_holds(broker.bootstrap, topic, written)
    config = records.topic_config(broker.bootstrap, topic)
    assert (config["max.message.bytes"], config["retention.ms"]) == ("2000000", "-1")
    more = some_records(50, "since")
    records.produce(broker.bootstrap, topic, more)
    wait_saved(daemon, broker.bootstrap, topic)
    jobs.restore(daemon, suffix=".proof", topics={"include": [topic]})
    assert_holds(broker.bootstrap, f"{topic}.proof", [written[0] + more, written[1]])


def test_all_brokers_lost_and_the_cluster_rebuilt_empty_from_the_vault(cluster, tidemarkd):
    """Three nodes and their disks are gone. A new cluster is filled from the vault: topics with their partitions,
    replicas and configuration, every record, and the groups go on where they were."""
    plain, compacted, wide = new_name("plain"), new_name("compacted"), new_name("wide")
    configs = {
        plain: FOREVER | {"min.insync.replicas": "2", "max.message.bytes": "3000000"},
        compacted: {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.9", "delete.retention.ms": "123456789"},
        wide: {"cleanup.policy": "compact,delete", "retention.ms": "999999999999", "segment.bytes": "20000000"},
    }
    shapes = {plain: [[1, 2, 3], [2, 3, 1]], compacted: [[3, 1, 2]], wide: [[1, 2], [2, 3], [3, 1], [1, 3]]}
    written = {topic: [some_records(150, f"{topic} {number}") for number in range(len(shape))]
               for topic, shape in shapes.items()}
    for topic, shape in shapes.items():
        cluster.create_topic(topic, shape, configs[topic])
        for number, some in enumerate(written[topic]):
            records.produce(cluster.bootstrap, topic, some, number)
    billing = {(plain, 0): 100, (plain, 1): 150, (wide, 2): 0}
    groups.commit(cluster.bootstrap, "billing", billing, metadata="node 3")
    daemon = protect(tidemarkd, cluster.bootstrap, *shapes)
    point = wait_saved(daemon, cluster.bootstrap, *shapes)
    cluster.rebuild_empty()
    assert not set(shapes) & set(records.topic_names(cluster.bootstrap))
    jobs.restore(daemon, point=point, retention="original", timeout=240, consumer_groups={"mode": "translate"})
    for topic, shape in shapes.items():
        assert_holds(cluster.bootstrap, topic, written[topic])
        assert {len(replicas) for _, replicas, _ in cluster.partitions(topic).values()} == {len(shape[0])}
        assert records.topic_config(cluster.bootstrap, topic) == configs[topic]
    assert groups.committed(cluster.bootstrap, "billing") == billing
    rest = groups.resumed(cluster.bootstrap, "billing", plain)
    assert [one.value() for one in rest[plain, 0]] == [one.value for one in written[plain][0][100:]] and not rest[plain, 1]


def test_a_topic_deleted_by_accident(cluster, tidemarkd):
    """Deleted with all its replicas, which no replication helps against. The backup says that it is missing, and it comes
    back under its name; what its owner writes then is protected as before."""
    topic, other = new_name("deleted"), new_name("kept")
    for name in (topic, other):
        cluster.create_topic(name, [[1, 2, 3], [2, 3, 1]], FOREVER)
    written = [some_records(500, "zero"), some_records(400, "one")]
    for number, some in enumerate(written):
        records.produce(cluster.bootstrap, topic, some, number)
    daemon = protect(tidemarkd, cluster.bootstrap, topic, other)
    point = wait_saved(daemon, cluster.bootstrap, topic, other)
    records.delete_topic(cluster.bootstrap, topic)

    def told():
        found = daemon.get("/v1/jobs?kind=backup&limit=5")["items"]
        return any(note["code"] == "topic-missing" and note["topic"] == topic
                   for job in found for note in (job.get("result") or {}).get("failures", []))

    records.wait_until(told, "a backup that says so", 60)
    jobs.restore(daemon, point=point, topics={"include": [topic]})
    assert_holds(cluster.bootstrap, topic, written)
    more = some_records(30, "since")
    records.produce(cluster.bootstrap, topic, more)
    wait_saved(daemon, cluster.bootstrap, topic)
    jobs.restore(daemon, suffix=".proof", topics={"include": [topic]})
    assert_holds(cluster.bootstrap, f"{topic}.proof", [written[0] + more, written[1]])


def consume(bootstrap, topic, group):
    """What a consumer of this group is given, to the end of the topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "enable.partition.eof": True})
    count = records.partition_count(bootstrap, topic)
    try:
        consumer.assign(consumer.committed([TopicPartition(topic, number) for number in range(count)], 30))
        found = records.read_to_end(consumer, count, time.monotonic() + 60)
        consumer.commit(offsets=consumer.position([TopicPartition(topic, number) for number in range(count)]),
                        asynchronous=False)
        return found
    finally:
        consumer.close()


def test_records_processed_wrongly_found_days_after_retention_removed_them_and_reprocessed_from_a_chosen_moment(
        bootstrap, new_topic, tidemarkd):
    """Since Tuesday a consumer has booked orders wrongly; by Friday the topic no longer has them. They are restored from
    that moment on, by each record's own time (some came late), into a topic beside, and processed again."""
    topic = new_topic(2, prefix="orders")
    days = [some_records(120, f"day {day}", NOW - (5 - day) * 24 * HOUR) for day in range(4)]
    written = [[], []]
    for day, some in enumerate(days):
        late = [record(b"late", b"day %d, late" % day, timestamp=NOW - (6 - day) * 24 * HOUR - 1)]  # of the day before
        written[0] += some[0::2] + late
        written[1] += some[1::2]
    for partition, some in enumerate(written):
        records.produce(bootstrap, topic, some, partition)
    daemon = protect(tidemarkd, bootstrap, topic)
    wait_saved(daemon, bootstrap, topic)
    assert sum(map(len, consume(bootstrap, topic, "booking"))) == sum(map(len, written))  # and books them wrongly
    records.set_topic_config(bootstrap, topic, "retention.ms", str(HOUR))  # the days pass
    records.wait_until(lambda: records.read_topic(bootstrap, topic) == [[], []], "retention to take all records", 60)
    wait_saved(daemon, bootstrap, topic)
    moment = NOW - 4 * 24 * HOUR
    jobs.restore(daemon, suffix=".again", **{"from": str(moment)})  # of the newest point, in whose topic nothing is left
    again = consume(bootstrap, f"{topic}.again", "booking-again")
    wanted = [[one for one in part if one.timestamp >= moment] for part in written]
    assert 0 < sum(map(len, wanted)) < sum(map(len, written))
    found = records.difference(wanted, again)
    assert found is None, found
