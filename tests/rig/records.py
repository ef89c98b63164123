# SPDX-License-Identifier: Apache-2.0
"""Topics and records through confluent-kafka: a client that is not ours, so that it cannot share our mistakes.

A record is a Record: every field that a restore has to give back, with null apart from empty."""

import time
from typing import NamedTuple, Optional

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewTopic,
                                   ResourceType)

# KIP-101's names: who set the timestamp.
NO_TIMESTAMP, CREATE_TIME, LOG_APPEND_TIME = 0, 1, 2


class Record(NamedTuple):
    offset: int
    key: Optional[bytes]
    value: Optional[bytes]
    headers: tuple  # of (name, bytes or None), in order, repeats kept
    timestamp: int  # ms; -1: none; None, of one to be written: now
    timestamp_type: int = CREATE_TIME

    def content(self):
        """What a restore keeps when offsets may differ."""
        return self[1:]


def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


def settle(client, call, *arguments, timeout=30):
    """Make an admin call and wait for all of it; the first failure is raised. The client has to live until then."""
    futures = getattr(client, call)(*arguments)
    return {key: future.result(timeout) for key, future in futures.items()}


def create_topic(bootstrap, name, partitions=1, replicas=1, config=None):
    """Make a topic and wait until it is to be seen."""
    client = admin(bootstrap)
    topic = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=config or {})
    settle(client, "create_topics", [topic])
    wait_until(lambda: partition_count(bootstrap, name, client) == partitions, f"topic {name} to appear")


def delete_topic(bootstrap, name):
    """Delete a topic and wait until it is gone."""
    client = admin(bootstrap)
    settle(client, "delete_topics", [name])
    wait_until(lambda: partition_count(bootstrap, name, client) == 0, f"topic {name} to go")


def topic_names(bootstrap):
    return sorted(admin(bootstrap).list_topics(timeout=30).topics)


def topic_config(bootstrap, name):
    """The topic's own settings; what it has from the broker is left out."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    entries = settle(admin(bootstrap), "describe_configs", [resource])[resource]
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {entry.name: entry.value for entry in entries.values() if entry.source == own}


def set_topic_config(bootstrap, name, key, value):
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    settle(admin(bootstrap), "incremental_alter_configs", [resource])


def partition_count(bootstrap, name, client=None):
    """0: there is no such topic."""
    topic = (client or admin(bootstrap)).list_topics(name, timeout=30).topics[name]
    return 0 if topic.error else len(topic.partitions)


def wait_until(condition, what, timeout=30):
    """Ask until true; the time limit is a failure that says what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.05)


def producer(bootstrap, **config):
    """An idempotent producer; names as librdkafka's with underscores for dots."""
    settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5}
    settings |= {name.replace("_", "."): value for name, value in config.items()}
    return Producer(settings)


def send(client, topic, record, partition=0, on_delivery=None):
    """Queue one record (its offset is not used); waits while the client's queue is full."""
    arguments = {"key": record.key, "value": record.value, "partition": partition, "on_delivery": on_delivery}
    if record.headers:
        arguments["headers"] = list(record.headers)
    if record.timestamp is not None:
        arguments["timestamp"] = record.timestamp
    while True:
        try:
            client.produce(topic, **arguments)
            return
        except BufferError:
            client.poll(0.1)


def produce(bootstrap, topic, records, partition=0, **config):
    """Write records and wait until each is stored; the number of them. partition: a number, or a function of
    (index, record)."""
    failures = []
    client = producer(bootstrap, **config)
    choose = partition if callable(partition) else lambda *_: partition

    def delivered(error, _message):
        if error is not None:
            failures.append(error)

    count = 0
    for count, record in enumerate(records, start=1):
        send(client, topic, record, choose(count - 1, record), delivered)
        client.poll(0)
    left = client.flush(120)
    if failures or left:
        raise AssertionError(f"{len(failures)} records refused ({failures[:1]}), {left} never answered for")
    return count


def record(key=None, value=None, headers=(), timestamp=None):
    """A record to write. Its timestamp may lie before 1970; the client takes None, and 0, for now."""
    return Record(-1, key, value, tuple(headers), timestamp)


def read_topic(bootstrap, topic, isolation="read_committed", timeout=120):
    """All records of a topic: one list a partition, in offset order, up to the end as it is now."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "tidemark-tests",  # asked for by the client; nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation,
        "fetch.wait.max.ms": 50,
        "check.crcs": True,
    })
    try:
        # Asked of the consumer itself: one that learns of the topic later waits for half a second.
        partitions = partition_count(bootstrap, topic, consumer)
        if partitions == 0:
            raise AssertionError(f"there is no topic {topic}")
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
        return read_to_end(consumer, partitions, time.monotonic() + timeout)
    finally:
        consumer.close()


def read_to_end(consumer, partitions, deadline):
    found = [[] for _ in range(partitions)]
    open_partitions = set(range(partitions))
    while open_partitions:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no end seen of partitions {sorted(open_partitions)}")
        for message in consumer.consume(10000, timeout=0.05):
            error = message.error()
            if error is None:
                found[message.partition()].append(as_record(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            elif not error.retriable():
                raise KafkaException(error)
    return found


def as_record(message):
    kind, timestamp = message.timestamp()
    return Record(message.offset(), message.key(), message.value(), tuple(message.headers() or ()),
                  -1 if kind == NO_TIMESTAMP else timestamp, kind)


def difference(expected, actual, offsets=False):
    """None when two readings of a topic are the same, else the first difference in words. offsets: compare them too."""
    if len(expected) != len(actual):
        return f"{len(actual)} partitions, not {len(expected)}"
    for number, (left, right) in enumerate(zip(expected, actual)):
        for index, (one, other) in enumerate(zip(left, right)):
            same = one == other if offsets else one.content() == other.content()
            if not same:
                return f"partition {number}, record {index}: {shown(other)}, not {shown(one)}"
        if len(left) != len(right):
            extra = (left if len(left) > len(right) else right)[min(len(left), len(right))]
            return f"partition {number}: {len(right)} records, not {len(left)}; the first odd one: {shown(extra)}"
    return None


def shown(one, limit=200):
    text = repr(one)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
