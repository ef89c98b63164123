# SPDX-License-Identifier: Apache-2.0
"""Three nodes that die, lead in turn and lose records: what a cluster does to its logs, and what the vault then holds."""

import itertools
import os
import pathlib
import signal
import time

import pytest
from confluent_kafka.admin import NewPartitions

from rig import jobs, records
from rig.records import record

NOW = int(time.time() * 1000) - 3_600_000
UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1", "retention.ms": "-1"}
numbers = itertools.count(1)


def new_name(word):
    return f"{word}-{os.getpid()}-{next(numbers)}"


def some_records(count, word):
    return [record(b"key", b"%s %d" % (word.encode(), number), timestamp=NOW + number) for number in range(count)]


def incarnations(daemon, topic):
    """What the metric says of the topic."""
    for line in daemon.api("GET", "/metrics").text.splitlines():
        if line.startswith("tidemark_topic_incarnations_total{") and f'topic="{topic}"' in line:
            return int(line.rpartition(" ")[2])
    return None


def warned(job, topic):
    return [note["detail"] for note in job.get("warnings", [])
            if note["code"] == "new-incarnation" and note["topic"] == topic]


def logged(daemon, topic):
    return [line for line in daemon.log().splitlines()
            if "event=topic.new-incarnation" in line and f"topic={topic} " in line]


def restored(daemon, cluster, topic, point, suffix):
    """What an independent client finds in a restore of this point."""
    jobs.restore(daemon, point=point, suffix=suffix, topics={"include": [topic]})
    return records.read_topic(cluster.bootstrap, topic + suffix)


def assert_same(expected, actual):
    found = records.difference(expected, actual)
    assert found is None, found


def test_trap_unclean_election(cluster, tidemarkd):
    """A replica that was behind leads: records that were acknowledged, and that a backup holds, are cut off. Refilled
    beyond what is stored, up to less than that, or up to just that: each is another history, by itself, and both are
    restored as they were. The last one is noticed with its first record more: its ends alone say nothing."""
    refills = {new_name("beyond"): 900, new_name("below"): 60, new_name("equal"): 300}
    both, lost = some_records(500, "both"), some_records(300, "lost")
    for topic in refills:
        cluster.create_topic(topic, [[1, 2], [2, 1]], UNCLEAN)
        for partition in (0, 1):
            records.produce(cluster.bootstrap, topic, both, partition)
    daemon = tidemarkd({"policies": [jobs.policy(*refills)]}, bootstrap=cluster.bootstrap)
    daemon.backup("p")
    cluster.stop(2)
    for topic in refills:
        cluster.wait_alone(topic, 1)
        records.produce(cluster.bootstrap, topic, lost)
    held = daemon.backup("p")["result"]["recovery_point"]

    def refill():
        for topic, count in refills.items():
            cluster.wait_leader(topic, 2)
            records.produce(cluster.bootstrap, topic, some_records(count, "new"))

    cluster.elect_unclean(next(iter(refills)), 1, 2, refill)
    job = daemon.backup("p")
    late = [record(b"key", b"late", timestamp=NOW)]
    *_, equal = refills
    for topic in refills:
        cluster.wait_in_sync(topic)
        if topic == equal:
            assert warned(job, topic) == [] and incarnations(daemon, topic) == 0
            records.produce(cluster.bootstrap, topic, late)
            job = daemon.backup("p")
        assert len(warned(job, topic)) == 1, job
        assert incarnations(daemon, topic) == 1
        assert len(logged(daemon, topic)) == 1
    for topic, count in refills.items():
        new = both + some_records(count, "new") + (late if topic == equal else [])
        on_cluster = records.read_topic(cluster.bootstrap, topic)
        assert_same([new, both], on_cluster)
        assert_same([both + lost, both], restored(daemon, cluster, topic, held, ".held"))
        assert_same(on_cluster, restored(daemon, cluster, topic, "latest", ".now"))
    assert daemon.backup("p")["result"]["unchanged"]


def test_trap_topic_deleted_and_recreated(cluster, tidemarkd):
    """Between runs, and while it is read; a partition more is no other topic. Each life stays restorable."""
    topic = new_name("again")
    lives = [some_records(3000, f"life {number}") for number in range(4)]

    def recreate(life):
        records.delete_topic(cluster.bootstrap, topic)
        cluster.create_topic(topic, [[1, 2, 3]], {"retention.ms": "-1"})
        records.produce(cluster.bootstrap, topic, lives[life], batch_num_messages=1 if life == 1 else 1000)

    cluster.create_topic(topic, [[1, 2, 3]], {"retention.ms": "-1"})
    records.produce(cluster.bootstrap, topic, lives[0])
    slow = jobs.slow_reading("source", cluster.nodes[1].bootstrap)
    daemon = tidemarkd({"clusters": slow, "policies": [jobs.policy(topic)]}, bootstrap=cluster.bootstrap)
    points = {0: daemon.backup("p")["result"]["recovery_point"]}
    recreate(1)
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    jobs.wait_progress(daemon, job["id"], 300)
    daemon.signal(signal.SIGSTOP)  # so that it sees no moment without a topic
    recreate(2)
    daemon.signal(signal.SIGCONT)
    job = daemon.wait_job(job["id"])
    assert job["state"] == "partial", job  # of the second life a part may be stored, of the third nothing yet
    points[2] = daemon.backup("p")["result"]["recovery_point"]
    begun = incarnations(daemon, topic)
    assert begun >= 1 and len(logged(daemon, topic)) == begun
    records.settle(cluster.admin(), "create_partitions", [NewPartitions(topic, 2)])
    records.wait_until(lambda: records.partition_count(cluster.bootstrap, topic) == 2, "the new partition")
    records.produce(cluster.bootstrap, topic, lives[0][:50], partition=1)
    job = daemon.backup("p")
    assert warned(job, topic) == [] and incarnations(daemon, topic) == begun
    points["grown"] = job["result"]["recovery_point"]
    recreate(3)
    points[3] = daemon.backup("p")["result"]["recovery_point"]
    assert incarnations(daemon, topic) == begun + 1
    expected = {0: [lives[0]], 2: [lives[2]], "grown": [lives[2], lives[0][:50]], 3: [lives[3]]}
    for life, point in points.items():
        assert_same(expected[life], restored(daemon, cluster, topic, point, f".{life}"))


def test_leaders_that_move_or_die_are_no_other_history(cluster, tidemarkd):
    """Every epoch is another, no record is lost: one history, and nothing of it twice."""
    topic = new_name("moving")
    cluster.create_topic(topic, [[1, 2, 3], [2, 3, 1], [3, 1, 2]], {"retention.ms": "-1", "min.insync.replicas": "2"})
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, bootstrap=cluster.bootstrap)
    written = [[], [], []]

    def more(word):
        for partition in range(3):
            some = some_records(200, f"{word} {partition}")
            records.produce(cluster.bootstrap, topic, some, partition)
            written[partition] += some

    def move():
        for partition, leader in enumerate((2, 3, 1)):
            cluster.move_leader(topic, partition, leader)

    more("first")
    daemon.backup("p")
    for word, fault in (("moved", move), ("died", lambda: cluster.kill(3)), ("back", lambda: cluster.start_node(3))):
        fault()
        cluster.wait_for(topic, lambda leader, *_: leader is not None and cluster.nodes[leader].running, "leaders")
        assert warned(daemon.backup("p"), topic) == []
        more(word)
        assert warned(daemon.backup("p"), topic) == []
    assert incarnations(daemon, topic) == 0
    assert_same(written, restored(daemon, cluster, topic, "latest", ".now"))


@pytest.mark.parametrize("kept", [True, False], ids=["settings kept", "settings left out"])
def test_a_stored_last_record_that_compaction_takes_is_no_other_history(kept, bootstrap, new_topic, tidemarkd):
    """Whether the topic is compacted is asked for, also where the policy does not keep topics' settings."""
    topic = new_topic(cleanup_policy="compact", segment_ms=300, min_cleanable_dirty_ratio=0.01)
    records.produce(bootstrap, topic, some_records(20, "first"))
    daemon = tidemarkd({"policies": [jobs.policy(topic, topic_configs=kept)]})
    daemon.backup("p")

    def taken():
        records.produce(bootstrap, topic, [record(b"key", b"later")])  # at a later time, which begins another segment
        return all(one.offset != 19 for one in records.read_topic(bootstrap, topic)[0])

    records.wait_until(taken, "compaction to take the last record that is stored", 60)
    assert warned(daemon.backup("p"), topic) == []
    assert jobs.newest(daemon)["topics"][0]["incarnation"] == 1


def test_a_log_that_is_cut_off_between_the_comparison_and_the_reading_is_another_history(cluster, tidemarkd):
    """The daemon stops right after it found its last stored record; meanwhile a replica that was behind leads, and the
    log is filled again beyond what is stored."""
    topic = new_name("between")
    both, lost, new = some_records(500, "both"), some_records(300, "lost"), some_records(900, "new")
    cluster.create_topic(topic, [[1, 2]], UNCLEAN)
    records.produce(cluster.bootstrap, topic, both)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, bootstrap=cluster.bootstrap)
    daemon.backup("p")
    cluster.stop(2)
    cluster.wait_alone(topic, 1)
    records.produce(cluster.bootstrap, topic, lost)
    held = daemon.backup("p")["result"]["recovery_point"]
    records.produce(cluster.bootstrap, topic, lost[:10])
    daemon.stop()
    daemon.start(env={"TM_FAULTS": "job.backup.fenced:stop@1"})
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    state = pathlib.Path(f"/proc/{daemon.process.pid}/stat")
    records.wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "the comparison to be over")

    def refill():
        cluster.wait_leader(topic, 2)
        records.produce(cluster.bootstrap, topic, new)

    cluster.elect_unclean(topic, 1, 2, refill)
    daemon.signal(signal.SIGCONT)
    job = daemon.wait_job(job["id"])
    if job["state"] != "succeeded":  # the cluster was seen in the middle of its troubles: then at the next run
        assert job["state"] in ("failed", "partial"), job
        job = daemon.backup("p")
    assert len(warned(job, topic)) == 1 and incarnations(daemon, topic) == 1, job
    assert_same([both + lost], restored(daemon, cluster, topic, held, ".held"))
    daemon.backup("p")  # its end was that of the log as it was before
    assert_same([both + new], restored(daemon, cluster, topic, "latest", ".now"))
