# SPDX-License-Identifier: Apache-2.0
"""The rig itself: a test of Tidemark is worth what its broker and its reader are worth."""

from rig import records
from rig.records import Record, record

NOW = 1_700_000_000_000  # past: a broker refuses the future

EXACT = [
    record(b"key", b"value", timestamp=NOW),
    record(None, b"no key", timestamp=NOW + 1),
    record(b"", b"an empty key", timestamp=NOW + 2),
    record(b"a tombstone", None, timestamp=NOW + 3),
    record(b"an empty value", b"", timestamp=NOW + 4),
    record(b"headers", b"v", [("a", b"1"), ("a", b"2"), ("a", None), ("b", b""), ("c", b"\xff\x00")], NOW + 5),
    record(b"earlier", b"v", timestamp=1),
]


def stored(written):
    return [one._replace(offset=offset) for offset, one in enumerate(written)]


def test_what_is_written_is_read_back_with_null_apart_from_empty(bootstrap, new_topic):
    topic = new_topic(partitions=2)
    records.produce(bootstrap, topic, EXACT, partition=1)
    assert records.read_topic(bootstrap, topic) == [[], stored(EXACT)]


def test_reading_leaves_out_aborted_and_open_transactions(bootstrap, new_topic):
    topic = new_topic()
    client = records.producer(bootstrap, transactional_id=topic)
    client.init_transactions()
    for value, finish in ((b"aborted", client.abort_transaction), (b"committed", client.commit_transaction)):
        client.begin_transaction()
        records.send(client, topic, record(None, value, timestamp=NOW))
        client.flush()
        finish()
    client.begin_transaction()
    records.send(client, topic, record(None, b"open", timestamp=NOW))
    client.flush()

    values = [one.value for one in records.read_topic(bootstrap, topic)[0]]
    everything = [one.value for one in records.read_topic(bootstrap, topic, "read_uncommitted")[0]]
    client.abort_transaction()
    assert values == [b"committed"]
    assert everything == [b"aborted", b"committed", b"open"]


def test_a_killed_broker_comes_back_with_its_data(own_broker):
    broker = own_broker()
    records.create_topic(broker.bootstrap, "kept", config={"retention.ms": "-1"})
    records.produce(broker.bootstrap, "kept", EXACT)
    broker.kill()
    broker.start()
    assert records.read_topic(broker.bootstrap, "kept") == [stored(EXACT)]


def test_difference_names_the_first_record_that_differs():
    one = [Record(0, b"k", b"", (), NOW), Record(2, b"k", b"v", (), NOW)]
    changes = {
        "partition 0, record 0": [one[0]._replace(value=None), one[1]],
        "partition 0, record 1": [one[0], one[1]._replace(headers=(("h", None),))],
        "partition 0: 1 records, not 2": one[:1],
        "partition 0: 3 records, not 2": one + one[:1],
    }
    for words, other in changes.items():
        assert records.difference([one], [other]).startswith(words)
    assert records.difference([one], [one], offsets=True) is None
    moved = [one[0], one[1]._replace(offset=1)]
    assert records.difference([one], [moved]) is None
    assert records.difference([one], [moved], offsets=True).startswith("partition 0, record 1")
    assert records.difference([one], [one, []]) == "2 partitions, not 1"
