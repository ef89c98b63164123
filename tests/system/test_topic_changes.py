# SPDX-License-Identifier: Apache-2.0
"""What happens to topics between and during runs: deleted and made again, records taken by retention or by hand, more
partitions, gone for good. Nothing that was stored is lost, nothing is taken for what it is not."""

import signal
import threading
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions

from rig import jobs, records
from rig.records import record

NOW = int(time.time() * 1000) - 3_600_000


def some_records(count, word, start=NOW):
    return [record(b"key", b"%s %d" % (word.encode(), number), timestamp=start + number) for number in range(count)]


def recreate(bootstrap, topic, written, partitions=1):
    records.delete_topic(bootstrap, topic)
    records.create_topic(bootstrap, topic, partitions, config={"retention.ms": "-1"})
    records.produce(bootstrap, topic, written)


def codes(job, where):
    notes = job.get("warnings", []) if where == "warnings" else job["result"].get("failures", [])
    return [note["code"] for note in notes]


@pytest.mark.both_kafkas
def test_a_topic_that_was_made_again_is_another_history_and_both_are_kept(bootstrap, new_topic, tidemarkd):
    """Longer or shorter than what is stored: the rest of the old one is never joined to the new one."""
    for again in (30, 10, 20):
        topic = new_topic()
        old, new = some_records(20, "old"), some_records(again, "new")
        records.produce(bootstrap, topic, old)
        daemon = tidemarkd({"policies": [jobs.policy(topic)]})
        first = daemon.backup("p")["result"]
        recreate(bootstrap, topic, new)
        job = daemon.backup("p")
        assert codes(job, "warnings") == ["new-incarnation"]
        assert job["result"]["messages_count"] == again
        assert jobs.newest(daemon)["topics"][0]["incarnation"] == 2
        jobs.restore(daemon, point=first["recovery_point"], suffix=".old")
        jobs.restore(daemon, suffix=".new")
        jobs.assert_restored([old], bootstrap, f"{topic}.old")
        jobs.assert_restored([new], bootstrap, f"{topic}.new")
        assert daemon.backup("p")["result"]["unchanged"]
        daemon.stop()


def test_a_topic_that_is_made_again_while_it_is_read_is_not_mixed(bootstrap, new_topic, tidemarkd):
    """librdkafka reads on at the old offset in the new topic without a word: only the topic's id tells."""
    topic = new_topic()
    old, new = some_records(4000, "old"), some_records(6000, "new")
    records.produce(bootstrap, topic, old, batch_num_messages=1)
    daemon = tidemarkd({"clusters": jobs.slow_reading("source", bootstrap), "policies": [jobs.policy(topic)]})
    job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
    jobs.wait_progress(daemon, job["id"], 500)
    daemon.signal(signal.SIGSTOP)  # so that no error of the moment without a topic reaches it
    recreate(bootstrap, topic, new)
    daemon.signal(signal.SIGCONT)
    job = daemon.wait_job(job["id"])
    assert job["state"] == "partial" and "topic-recreated" in codes(job, "failures"), job
    daemon.backup("p")
    jobs.restore(daemon, suffix=".new")
    jobs.assert_restored([new], bootstrap, f"{topic}.new")


def test_a_topic_that_is_deleted_fails_the_run_and_older_points_keep_it(bootstrap, new_topic, tidemarkd):
    topic, other = new_topic(), new_topic()
    old = some_records(20, "old")
    records.produce(bootstrap, topic, old)
    daemon = tidemarkd({"policies": [jobs.policy(topic, other)]})
    first = daemon.backup("p")["result"]
    records.delete_topic(bootstrap, topic)
    records.produce(bootstrap, other, some_records(3, "other"))
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "partial" and codes(job, "failures") == ["topic-missing"], job
    assert [one["name"] for one in jobs.newest(daemon)["topics"]] == [other]
    jobs.restore(daemon, point=first["recovery_point"], suffix=".old", topics={"include": [topic]})
    jobs.assert_restored([old], bootstrap, f"{topic}.old")


def delete_before(bootstrap, topic, offset):
    records.settle(records.admin(bootstrap), "delete_records", [TopicPartition(topic, 0, offset)])


def test_records_deleted_before_they_were_captured_leave_a_gap_that_is_told(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    written = some_records(100, "v")
    records.produce(bootstrap, topic, written[:40])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    first = daemon.backup("p")["result"]
    records.produce(bootstrap, topic, written[40:])
    delete_before(bootstrap, topic, 70)
    job = daemon.backup("p")
    assert job["result"]["gaps_count"] == 1 and job["result"]["messages_count"] == 30
    gap = [note for note in job["warnings"] if note["code"] == "gap"]
    assert len(gap) == 1 and gap[0]["topic"] == topic and gap[0]["partition"] == 0
    assert "offsets 40 to 69" in gap[0]["detail"]
    status = daemon.get("/v1/status")["items"][0]
    assert (status["state"], status["coverage_gap_offsets"]) == ("gap", 30)
    part = jobs.newest(daemon)["topics"][0]["partitions"][0]
    assert (part["start_offset"], part["end_offset"], part["messages_count"]) == (70, 100, 30)  # as Kafka held it
    jobs.restore(daemon, point=first["recovery_point"], suffix=".first")
    jobs.restore(daemon, suffix=".second")
    jobs.assert_restored([written[:40]], bootstrap, f"{topic}.first")
    jobs.assert_restored([written[70:]], bootstrap, f"{topic}.second")


def test_what_retention_took_after_it_was_captured_is_still_restored(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    written = some_records(50, "v", 631_152_000_000)
    records.produce(bootstrap, topic, written)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    first = daemon.backup("p")["result"]
    records.set_topic_config(bootstrap, topic, "retention.ms", "604800000")
    records.wait_until(lambda: records.read_topic(bootstrap, topic) == [[]], "retention to take all records")
    job = daemon.backup("p")
    assert job["result"]["gaps_count"] == 0 and job["result"]["messages_count"] == 0
    part = jobs.newest(daemon)["topics"][0]["partitions"][0]
    assert (part["start_offset"], part["end_offset"], part["messages_count"]) == (50, 50, 0)
    jobs.restore(daemon, point=first["recovery_point"], suffix=".first")
    jobs.restore(daemon, suffix=".second")
    jobs.assert_restored([written], bootstrap, f"{topic}.first")
    jobs.assert_restored([[]], bootstrap, f"{topic}.second")


def test_partitions_that_were_added_are_backed_up_too(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    written = some_records(10, "v")
    records.produce(bootstrap, topic, written)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    records.settle(records.admin(bootstrap), "create_partitions", [NewPartitions(topic, 3)])
    records.wait_until(lambda: records.partition_count(bootstrap, topic) == 3, "the new partitions")
    records.produce(bootstrap, topic, written[:4], partition=2)
    assert daemon.backup("p")["result"]["messages_count"] == 4
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored([written, [], written[:4]], bootstrap, f"{topic}.restored")


def test_a_policy_finds_new_topics_by_its_patterns_and_leaves_out_what_it_excludes(bootstrap, new_topic, tidemarkd):
    prefix = f"found-{time.time_ns()}"
    one = new_topic(prefix=prefix)
    policy = jobs.policy(f"{prefix}-*")
    policy["topics"]["exclude"] = ["*.tmp", "*.restored"]
    daemon = tidemarkd({"policies": [policy]})
    records.produce(bootstrap, one, some_records(2, "one"))
    daemon.backup("p")
    two = new_topic(prefix=prefix)
    records.create_topic(bootstrap, f"{two}.tmp")
    records.produce(bootstrap, two, some_records(3, "two"))
    assert daemon.backup("p")["result"]["messages_count"] == 3
    assert sorted(topic["name"] for topic in jobs.newest(daemon)["topics"]) == sorted([one, two])


def test_two_policies_over_one_topic_at_the_same_time_store_each_record_once(bootstrap, new_topic, tidemarkd):
    topic = new_topic(3)
    written = some_records(9000, "v")
    records.produce(bootstrap, topic, written, lambda index, _: index % 3, batch_num_messages=10)
    names = ["one", "two", "three"]
    daemon = tidemarkd({"clusters": jobs.slow_reading("source", bootstrap),
                        "policies": [jobs.policy(topic, name=name) for name in names]})
    ended = {}
    threads = [threading.Thread(target=lambda name=name: ended.update({name: daemon_backup(daemon, name)}))
               for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == sorted(names)
    assert sum(job["result"]["messages_count"] for job in ended.values()) == len(written)
    for name in names:
        jobs.restore(daemon, name=name, suffix=f".{name}")
        jobs.assert_restored([written[0::3], written[1::3], written[2::3]], bootstrap, f"{topic}.{name}")


def daemon_backup(daemon, name):
    """As Daemon.backup(), over TCP: a session of its own for each thread."""
    job = daemon.tcp("POST", "/v1/backups?wait=60s", json={"policy": name}).json()
    assert job["state"] == "succeeded", job
    return job
