# SPDX-License-Identifier: Apache-2.0
"""Consumer groups through confluent-kafka: where they stand, setting it, and consuming with them."""

import contextlib
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, TopicPartition

from rig import records

# The coordinator of a cluster that was started a moment ago is on its way.
PASSING = {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}


def commit(bootstrap, group, offsets, metadata=None):
    """Set a group's offsets, {(topic, partition): offset}, as an administrator does; metadata: of all of them."""
    partitions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
    if metadata is not None:
        partitions = [TopicPartition(one.topic, one.partition, one.offset, metadata=metadata) for one in partitions]
    client = records.admin(bootstrap)
    asked = ConsumerGroupTopicPartitions(group, partitions)
    deadline = time.monotonic() + 30
    while True:
        future, = client.alter_consumer_group_offsets([asked]).values()
        errors = [one.error for one in future.result(30).topic_partitions if one.error is not None]
        if not errors:
            return
        if errors[0].code() not in PASSING or time.monotonic() > deadline:
            raise AssertionError(f"{group}: {errors}")
        time.sleep(0.1)


def committed(bootstrap, group, metadata=False):
    """{(topic, partition): offset} of a group, or (offset, metadata)."""
    client = records.admin(bootstrap)
    answer, = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    return {(one.topic, one.partition): (one.offset, one.metadata) if metadata else one.offset
            for one in answer.result(30).topic_partitions if one.offset >= 0}


def names(bootstrap):
    client = records.admin(bootstrap)
    return {one.group_id for one in client.list_consumer_groups().result(30).valid}


@contextlib.contextmanager
def member(bootstrap, group, *topics, **config):
    """A consumer that has joined the group and has its partitions."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
                         "auto.offset.reset": "error", "fetch.wait.max.ms": 50, "enable.partition.eof": True,
                         "session.timeout.ms": 6000} | {name.replace("_", "."): value for name, value in config.items()})
    got = []
    try:
        consumer.subscribe(list(topics), on_assign=lambda _, partitions: got.extend(partitions))
        first = []  # what comes while it joins
        records.wait_until(lambda: poll_into(consumer, first) or got, f"{group} to have partitions", 60)
        yield Member(consumer, got, first)
    finally:
        consumer.close()


def poll_into(consumer, into):
    message = consumer.poll(0.1)
    if message is not None:
        into.append(message)
    return False


class Member:
    def __init__(self, consumer, partitions, first):
        self.consumer = consumer
        self.partitions = partitions
        self.first = first

    def rest(self, timeout=60):
        """Consume on to the end of each partition: {(topic, partition): [message, ...]}."""
        found = {(one.topic, one.partition): [] for one in self.partitions}
        ended = set()
        deadline = time.monotonic() + timeout

        def step():
            message = self.first.pop(0) if self.first else self.consumer.poll(0.1)
            if message is None:
                return
            key = message.topic(), message.partition()
            if message.error() is None:
                found[key].append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(key)
            else:
                raise AssertionError(f"{message.error()}")

        while not ended >= set(found):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{timeout} s: the ends of {sorted(set(found) - ended)} are not reached")
            step()
        return found


def resumed(bootstrap, group, *topics, **config):
    """What a consumer of the group is given that starts now, up to the ends."""
    with member(bootstrap, group, *topics, **config) as one:
        return one.rest()
