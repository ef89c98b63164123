# SPDX-License-Identifier: Apache-2.0
"""The main job: what was committed when a point was made comes back from it exactly once, in order, byte for byte."""

import os
import random
import shutil
import threading
import time

import pytest

from rig import jobs, records
from rig.records import record

KILLS = 20
ROUNDS = KILLS  # of producing: one goes on while the daemon waits to be killed
NOW = 1_700_000_000_000


def seeded():
    """The random numbers of a test; TM_SEED repeats a run, as far as threads and brokers let it."""
    seed = int(os.environ.get("TM_SEED") or time.time_ns() % 1_000_000_000)
    print(f"TM_SEED={seed}")
    return random.Random(seed)


def some_headers(rng, number):
    choices = [
        (),
        (("n", b"%d" % number),),
        (("twice", b"1"), ("other", b"\xff\x00"), ("twice", b"2"), ("twice", None)),
        (("null", None), ("empty", b"")),
        (("", b"a header without a name"), ("n\u00e4me", b"not ASCII")),
    ]
    return rng.choice(choices)


def some_timestamp(rng):
    """None, from before 1970 on up to now, in no order: a broker refuses the future, and the client takes 0 for now."""
    return rng.choice([-1, -(1 << 40), 1, rng.randrange(1, NOW), 631_152_000_000, int(time.time() * 1000)])


def mixed(rng, number, size=300):
    key = rng.choice([None, b"", b"key-%d" % rng.randrange(1000), rng.randbytes(16)])
    value = rng.choice([None, b"", b'{"order":%d,"state":"new"}' % number, b"v" * rng.randrange(size),
                        rng.randbytes(rng.randrange(size))])
    return record(key, value, some_headers(rng, number), some_timestamp(rng))


class Corpus:
    """200,000 records on four topics, written in rounds; knows at which offset each record that counts lies."""

    def __init__(self, bootstrap, new_topic, rng):
        self.bootstrap = bootstrap
        self.rng = rng
        self.number = 0
        self.refused = []
        self.plain = new_topic(4, "plain")
        self.tx = new_topic(2, "tx")
        self.large = new_topic(1, "large", max_message_bytes=4_000_000)
        self.compacted = new_topic(2, "compacted", cleanup_policy="compact", segment_ms=300,
                                   min_cleanable_dirty_ratio=0.01, delete_retention_ms=100)
        self.topics = [self.plain, self.tx, self.large, self.compacted]
        self.stored = {topic: {} for topic in self.topics}  # (partition, offset) -> Record
        self.producer = records.producer(bootstrap, message_max_bytes=4_000_000)
        self.transactional = [self.new_transactional(name) for name in ("a", "b", "c")]

    def new_transactional(self, name):
        client = records.producer(self.bootstrap, transactional_id=f"{self.tx}-{name}")
        client.init_transactions()
        return client

    def next_number(self):
        self.number += 1
        return self.number

    def send(self, client, topic, one, partition, into=None):
        """into: where a delivered record is noted; that of the topic itself if none is given."""
        noted = self.stored[topic] if into is None else into

        def delivered(error, message):
            if error is None:
                noted[partition, message.offset()] = one._replace(offset=message.offset())
            elif into is None:
                self.refused.append(error)

        records.send(client, topic, one, partition, delivered)
        client.poll(0)

    def write_plain(self, count):
        for _ in range(count):
            self.send(self.producer, self.plain, mixed(self.rng, self.next_number()), self.rng.randrange(4))

    def write_large(self, count):
        """Two values of a megabyte and one of three among small ones."""
        for index in range(count):
            number = self.next_number()
            size = {0: 1_000_000, 1: 1 << 20, 2: 3_000_000}.get(index)
            value = self.rng.randbytes(size // 2) + b"=" * (size // 2) if size else b"small %d" % number
            self.send(self.producer, self.large, record(b"%d" % number, value, (), some_timestamp(self.rng)), 0)

    def write_compacted(self, count):
        """Few keys, so that most records have a later one of the same key; the number tells them apart."""
        for _ in range(count):
            number = self.next_number()
            value = None if self.rng.random() < 0.2 else self.rng.randbytes(40)
            one = record(b"key-%d" % self.rng.randrange(50), value, (("n", b"%d" % number),), some_timestamp(self.rng))
            self.send(self.producer, self.compacted, one, self.rng.randrange(2))

    def write_transactions(self, count):
        """Transactions of three producers that interleave on both partitions; one in three is aborted."""
        while count > 0:
            noted = [{} for _ in self.transactional]
            size = min(count, self.rng.randrange(1, 900))
            count -= size
            for client in self.transactional:
                client.begin_transaction()
            for _ in range(size):
                chosen = self.rng.randrange(3)
                self.send(self.transactional[chosen], self.tx, mixed(self.rng, self.next_number(), 100),
                          self.rng.randrange(2), noted[chosen])
            for client, mine in zip(self.transactional, noted):
                assert client.flush(30) == 0  # what is aborted lies in the log too
                if self.rng.random() < 1 / 3:
                    client.abort_transaction()
                else:
                    client.commit_transaction()
                    self.stored[self.tx].update(mine)

    def write_round(self):
        """10,000 records."""
        self.write_plain(6000)
        self.write_compacted(1500)
        self.write_transactions(2450)
        self.write_large(50)

    def finish(self):
        assert self.producer.flush(60) == 0
        assert self.refused == []

    def partition(self, topic, number, end):
        """The records that count below `end`, in order."""
        return [one for (part, offset), one in sorted(self.stored[topic].items()) if part == number and offset < end]


class Writing(threading.Thread):
    """Writes one round of the corpus each time it is let."""

    def __init__(self, corpus):
        super().__init__(daemon=True)
        self.corpus = corpus
        self.allowed = threading.Semaphore(0)
        self.error = None

    def run(self):
        try:
            for _ in range(ROUNDS):
                self.allowed.acquire()
                self.corpus.write_round()
            self.corpus.finish()
        except BaseException as error:  # for the thread that waits
            self.error = error

    def let_one_more(self):
        if self.error:
            raise self.error
        self.allowed.release()

    def wait(self):
        self.join(120)
        assert not self.is_alive(), "producing took too long"
        if self.error:
            raise self.error


def back_up_until_nothing_is_new(daemon):
    for _ in range(10):
        job = daemon.run_job("/v1/backups", {"policy": "p", "if_running": "join"})
        assert job["state"] == "succeeded", job
        if job["result"]["unchanged"]:
            return
    raise AssertionError("there is always something new")


def assert_committed(corpus, topic, point_ends, restored):
    for number, actual in enumerate(restored):
        expected = corpus.partition(topic, number, point_ends[topic, number])
        assert expected and point_ends[topic, number] > expected[-1].offset
        found = records.difference([expected], [actual])
        assert found is None, f"{topic}/{number}: {found}"
        everything = corpus.partition(topic, number, 1 << 62)
        assert len(everything) == len(expected), f"{topic}/{number}: the point stops short"


def assert_compacted(corpus, topic, point_ends, restored):
    """What compaction has taken before a run came by is nobody's; the rest is there once and in order."""
    survivors = records.read_topic(corpus.bootstrap, topic)
    for number, actual in enumerate(restored):
        written = corpus.partition(topic, number, point_ends[topic, number])
        offsets = {one.headers: one.offset for one in written}
        contents = {one.offset: one.content() for one in written}
        found = [offsets[one.headers] for one in actual]
        assert all(left < right for left, right in zip(found, found[1:])), f"{topic}/{number}: order"
        for offset, one in zip(found, actual):
            assert one.content() == contents[offset], f"{topic}/{number}: {records.shown(one)}"
        missing = {one.offset for one in survivors[number]} - set(found)
        assert not missing, f"{topic}/{number}: offsets {sorted(missing)[:5]}... are in Kafka, not in the point"


def test_every_committed_record_comes_back_once_after_twenty_kills_while_producing_goes_on(
        bootstrap, new_topic, tidemarkd):
    rng = seeded()
    corpus = Corpus(bootstrap, new_topic, rng)
    daemon = tidemarkd({"policies": [jobs.policy(*corpus.topics, schedule="@every 1s")]})
    writing = Writing(corpus)
    writing.start()
    for _ in range(KILLS):
        writing.let_one_more()
        time.sleep(rng.uniform(0.0, 2.5))
        daemon.kill()
        daemon.start()
    writing.wait()
    assert corpus.number == 200_000
    assert daemon.log().count("job.resumed") > 0, "no kill met a run"
    back_up_until_nothing_is_new(daemon)

    point = jobs.newest(daemon)
    assert point["state"] == "complete"
    # The broker's own configuration: the source's would have the restored topic compacted while it is compared.
    job = jobs.restore(daemon, suffix=".restored", topic_configs="broker")
    restored = {topic: records.read_topic(bootstrap, f"{topic}.restored") for topic in corpus.topics}
    assert job["result"]["messages_count"] == sum(len(part) for topic in restored.values() for part in topic)
    for topic in (corpus.plain, corpus.tx, corpus.large):
        assert_committed(corpus, topic, jobs.ends(point), restored[topic])
    assert_compacted(corpus, corpus.compacted, jobs.ends(point), restored[corpus.compacted])


EXACT = [
    record(b"key", b"value", timestamp=NOW),
    record(None, b"no key", timestamp=NOW + 1),
    record(b"", b"an empty key", timestamp=1),
    record(b"a tombstone", None, timestamp=NOW),
    record(None, None, timestamp=NOW - 1),
    record(b"an empty value", b"", timestamp=NOW + 4),
    record(b"headers", b"v", [("a", b"1"), ("a", b"2"), ("a", None), ("b", b""), ("c", b"\xff\x00")], NOW + 5),
    record(b"a header without a name", b"v", [("", b"")], NOW + 6),
    record(b"1990", b"v", timestamp=631_152_000_000),
    record(b"1935", b"v", timestamp=-(1 << 40)),
    record(b"no timestamp", b"v", timestamp=-1),
    record(b"nearly a megabyte", b"=" * 999_000, timestamp=NOW + 7),
]


@pytest.mark.both_kafkas
def test_null_empty_headers_and_timestamps_come_back_as_they_were(bootstrap, new_topic, tidemarkd):
    topic = new_topic(3)
    records.produce(bootstrap, topic, EXACT, partition=2)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    job = daemon.backup("p")
    assert job["result"]["messages_count"] == len(EXACT)
    jobs.restore(daemon, rename={topic: f"{topic}.again"})
    jobs.assert_restored([[], [], EXACT], bootstrap, f"{topic}.again")


def test_a_run_without_news_stores_nothing_and_names_the_newest_point(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    records.produce(bootstrap, topic, EXACT)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    first = daemon.backup("p")["result"]
    assert not first["unchanged"]
    before = jobs.vault_files(daemon)
    second = daemon.backup("p")["result"]
    assert second["unchanged"]
    assert second["recovery_point"] == first["recovery_point"]
    assert second["messages_count"] == 0 and second["stored_bytes"] == 0
    assert jobs.vault_files(daemon) == before
    assert len(daemon.get("/v1/recovery-points")["items"]) == 1


@pytest.mark.both_kafkas
def test_a_run_with_one_new_record_stores_that_record_alone(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    records.produce(bootstrap, topic, EXACT)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    first = daemon.backup("p")["result"]
    before = jobs.vault_files(daemon)
    records.produce(bootstrap, topic, [record(b"one", b"more", timestamp=NOW)], partition=1)
    second = daemon.backup("p")["result"]
    after = jobs.vault_files(daemon)
    assert second["messages_count"] == 1 and not second["unchanged"]
    assert second["recovery_point"] != first["recovery_point"]
    assert {name: after[name] for name in before} == before  # what is there is never written again
    assert sorted(name.split("/")[0] for name in after.keys() - before.keys()) == ["log", "pack"]
    assert len(daemon.get("/v1/recovery-points")["items"]) == 2
    jobs.restore(daemon, point=first["recovery_point"], suffix=".first")
    jobs.restore(daemon, suffix=".second")
    jobs.assert_restored([EXACT, []], bootstrap, f"{topic}.first")
    jobs.assert_restored([EXACT, [record(b"one", b"more", timestamp=NOW)]], bootstrap, f"{topic}.second")


@pytest.mark.both_kafkas
def test_a_hanging_transaction_holds_the_point_at_the_last_stable_offset_until_it_ends(
        bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    client = records.producer(bootstrap, transactional_id=topic)
    client.init_transactions()
    records.produce(bootstrap, topic, EXACT[:2])
    client.begin_transaction()
    records.send(client, topic, record(b"in the transaction", b"v", timestamp=NOW))
    client.flush()
    records.produce(bootstrap, topic, [record(b"after it began", b"v", timestamp=NOW)])

    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    assert daemon.backup("p")["result"]["messages_count"] == 2
    part = jobs.newest(daemon)["topics"][0]["partitions"][0]
    assert (part["end_offset"], part["last_stable_offset"], part["high_watermark"]) == (2, 2, 4)
    assert daemon.backup("p")["result"]["unchanged"]

    client.commit_transaction()
    records.wait_until(lambda: len(records.read_topic(bootstrap, topic)[0]) == 4, "the commit to be seen")
    assert daemon.backup("p")["result"]["messages_count"] == 2
    jobs.restore(daemon, suffix=".restored")
    keys = [one.key for one in records.read_topic(bootstrap, f"{topic}.restored")[0]]
    assert keys == [b"key", None, b"in the transaction", b"after it began"]


def test_points_are_the_same_after_the_catalog_was_deleted(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    daemon = tidemarkd({"policies": [jobs.policy(topic), jobs.policy(topic, name="other")]})
    for number in range(3):
        records.produce(bootstrap, topic, EXACT, partition=number % 2)
        daemon.backup("p")
    daemon.backup("other")
    lines = daemon.get("/v1/recovery-points")
    points = [daemon.get(f"/v1/recovery-points/{line['id']}") for line in lines["items"]]
    assert len(points) == 4
    daemon.stop()
    shutil.rmtree(daemon.directory / "state" / "catalog")
    daemon.start()
    assert daemon.get("/v1/recovery-points") == lines
    assert [daemon.get(f"/v1/recovery-points/{line['id']}") for line in lines["items"]] == points
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored([EXACT + EXACT, EXACT], bootstrap, f"{topic}.restored")
    assert daemon.backup("p")["result"]["unchanged"]


def test_a_host_without_any_state_goes_on_with_the_vault(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, EXACT)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    lines = daemon.get("/v1/recovery-points")
    daemon.kill()
    shutil.rmtree(daemon.directory / "state")
    daemon.start()
    assert daemon.get("/v1/recovery-points") == lines
    records.produce(bootstrap, topic, EXACT[:1])
    assert daemon.backup("p")["result"]["messages_count"] == 1
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored([EXACT + EXACT[:1]], bootstrap, f"{topic}.restored")
