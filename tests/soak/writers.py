# SPDX-License-Identifier: Apache-2.0
"""Producers of the soak, each a thread with a journal of its own: what was acknowledged, where, and in which life of its
topic. A record carries its number in a header, so that it is known again wherever it lies."""

import random
import threading
import time

from confluent_kafka import KafkaError, KafkaException

from rig import records
from rig.records import record

PAUSE_S = 0.05
BATCH = 12


class Life:
    """A topic from its creation (or from an election that cut it off) on.

    A record is known by its number. Offsets of delivery reports are taken for how far the topic has come, and for no
    more: a batch that was sent again may be acknowledged as a duplicate, whose place librdkafka does not know, or, of
    records behind the first, makes up (it counts on from -1).
    """

    def __init__(self, topic, number, stored=None, doubts=None):
        self.topic = topic
        self.number = number  # from 1, as incarnations are
        self.stored = dict(stored or {})  # (partition, number): record; acknowledged
        self.doubts = dict(doubts or {})  # number: record; nobody knows whether these are in the log
        self.reached = {}     # partition: offset behind the last acknowledged record
        self.source = None    # the topic as Kafka held it when this life ended, a list a partition

    def acknowledged(self, partition, one, offset):
        self.stored[partition, number_of(one)] = one
        if offset is not None:
            self.reached[partition] = max(self.reached.get(partition, 0), offset + 1)

    def ends(self):
        """{partition: offset behind the last acknowledged record}"""
        return dict(self.reached)


def number_of(one):
    return int(dict(one.headers)["n"])


class Writer(threading.Thread):
    """Writes until it is told to end; pause() returns when nothing is under way."""

    compacted = False

    def __init__(self, bootstrap, topic, partitions, seed):
        super().__init__(name=f"writer of {topic}", daemon=True)
        self.bootstrap = bootstrap
        self.topic = topic
        self.partitions = partitions
        self.rng = random.Random(seed)
        self.number = 0
        self.lives = [Life(topic, 1)]
        self.client = None
        self.error = None
        self.failed_deliveries = 0
        self.ending = threading.Event()
        self.working = threading.Lock()  # held while anything is under way

    @property
    def life(self):
        return self.lives[-1]

    def new_client(self):
        return records.producer(self.bootstrap, message_timeout_ms=240_000, socket_timeout_ms=20_000,
                                metadata_max_age_ms=5000)

    def next_record(self):
        self.number += 1
        key = self.rng.choice([None, b"", b"key-%d" % self.rng.randrange(50)])
        value = self.rng.choice([None, b"", self.rng.randbytes(self.rng.randrange(200)), b'{"order":%d}' % self.number])
        return self.numbered(key, value)

    def numbered(self, key, value):
        headers = (("n", b"%d" % self.number), ("life", b"%d" % self.life.number))
        return record(key, value, headers, int(time.time() * 1000) - self.rng.randrange(10_000))

    def send(self, one, partition, noted):
        """noted(partition, record, whether it failed, its offset or None) is called with what became of it."""
        def delivered(error, message):
            self.failed_deliveries += error is not None
            noted(partition, one, error is not None, message.offset())

        def queued():
            try:
                records.send(self.client, self.topic, one, partition, delivered)
                return True
            except KafkaException as error:
                if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                    raise
                return False  # it was added a moment ago, and the client has not heard of it

        records.wait_until(queued, f"{self.topic}/{partition} to be known", 60)
        self.client.poll(0)

    def run(self):
        try:
            while not self.ending.is_set():
                with self.working:
                    self.client = self.client or self.new_client()
                    self.write_some()
                self.ending.wait(PAUSE_S * (0.5 + self.rng.random()))
            with self.working:
                self.settle()
        except BaseException as error:  # told by the main thread
            self.error = error

    def write_some(self):
        life = self.life

        def noted(partition, one, failed, offset):
            if failed:
                life.doubts[number_of(one)] = one
            else:
                life.acknowledged(partition, one, offset)

        for _ in range(self.rng.randrange(1, BATCH)):
            self.send(self.next_record(), self.rng.randrange(self.partitions), noted)

    def settle(self):
        if self.client is not None and self.client.flush(300) != 0:
            raise TimeoutError(f"{self.topic}: records that were never answered for")

    def pause(self):
        """Nothing is under way until resume()."""
        self.working.acquire()
        self.settle()

    def resume(self):
        self.working.release()

    def begin_life(self, kept=None):
        """While paused: the topic was made again, or cut off by an election that left what `kept` acknowledged."""
        self.lives.append(Life(self.topic, self.life.number + 1, kept, self.life.doubts if kept else None))
        self.client = None  # what it knew of sequence numbers is gone with the log

    def stop(self):
        self.ending.set()
        self.join(360)
        if self.is_alive():
            raise TimeoutError(f"{self.topic}: its writer does not end")
        if self.error:
            raise self.error


class CompactedWriter(Writer):
    """Few keys, so that most records have a later one of the same key; some are tombstones."""

    compacted = True

    def next_record(self):
        self.number += 1
        value = None if self.rng.random() < 0.15 else self.rng.randbytes(self.rng.randrange(1, 150))
        return self.numbered(b"key-%d" % self.rng.randrange(40), value)


class TransactionalWriter(Writer):
    """Transactions that commit or abort. One whose end nobody can tell is a doubt as a whole."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.committed = self.aborted = self.unknown = 0
        self.doubtful = []  # of transactions: what became of each record

    def new_client(self):
        client = records.producer(self.bootstrap, transactional_id=self.topic, message_timeout_ms=240_000,
                                  transaction_timeout_ms=250_000, metadata_max_age_ms=5000)
        repeat(lambda: client.init_transactions(30))
        return client

    def write_some(self):
        written = []
        commit = self.rng.random() < 0.7
        try:
            self.client.begin_transaction()
            for _ in range(self.rng.randrange(1, 3 * BATCH)):
                self.send(self.next_record(), self.rng.randrange(self.partitions),
                          lambda *what: written.append(what))
            if self.client.flush(300) != 0:
                raise TimeoutError(f"{self.topic}: records that were never answered for")
        except KafkaException as error:
            self.abort(error)
            return
        self.end(commit, written)

    def end(self, commit, written):
        try:
            if not commit:
                repeat(lambda: self.client.abort_transaction(30))
                self.aborted += 1
                return
            repeat(lambda: self.client.commit_transaction(30))
            assert not any(failed for _, _, failed, _ in written), "committed a record that was not delivered"
            for partition, one, _, offset in written:
                self.life.acknowledged(partition, one, offset)
            self.committed += 1
        except KafkaException as error:
            if commit and not error.args[0].txn_requires_abort():
                self.unknown += 1
                self.doubtful.append(written)
                self.life.doubts.update({number_of(one): one for _, one, _, _ in written})
            self.abort(error)

    def abort(self, error):
        if error.args[0].txn_requires_abort():
            repeat(lambda: self.client.abort_transaction(30))
            self.aborted += 1
        else:
            self.client = None  # a new one of the same id puts an end to what is open


def repeat(call, seconds=240):
    """A call of the transactional producer that may be made again says so."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
