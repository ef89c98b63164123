# SPDX-License-Identifier: Apache-2.0
"""Records at the edges of what Kafka takes, through a backup and a restore, compared with an independent client."""

import time

import pytest

from rig import jobs, records
from rig.records import record

NOW = int(time.time() * 1000)
YEAR_9999 = 253_402_300_799_999


@pytest.fixture
def through(bootstrap, new_topic, tidemarkd):
    """through(records, **settings of the topic): written, backed up and restored, and then the same in every field."""

    def go(written, producer=None, **settings):
        topic = new_topic(**settings)
        count = records.produce(bootstrap, topic, written, **(producer or {}))
        daemon = tidemarkd({"policies": [jobs.policy(topic)]})
        assert daemon.backup("p")["result"]["messages_count"] == count
        original = records.read_topic(bootstrap, topic)
        assert len(original[0]) == count
        job = jobs.restore(daemon, suffix=".restored")
        restored = records.read_topic(bootstrap, f"{topic}.restored")
        return original, restored, job

    return go


def test_trap_headers_in_order_repeated_null_not_utf8(through):
    """Order, repeats, null apart from empty, names of several bytes a letter, values of any bytes; keys and values likewise."""
    headers = [("b", b"2"), ("a", b"1"), ("b", None), ("b", b""), ("a", b"\x00\xff\xfe\xc3("), ("", b"no name"),
               ("\u00fc\u20ac\U0001f600", b"\x80" * 300), ("b", b"2"), ("n" * 2000, b"long")]
    odd = bytes(range(256)) + b"\xc3\x28\xa0\xa1\xed\xa0\x80"
    written = [record(odd, odd, headers, NOW), record(None, None, headers[:1], NOW), record(b"", b"", [("h", None)], NOW),
               record(b"", None, (), NOW), record(None, b"", [("h", b"")], NOW), record(b"\x00", b"\x00\x00", headers * 3, NOW)]
    original, restored, _ = through(written)
    assert [one.content() for one in original[0]] == [one.content() for one in written]  # the rig itself loses nothing
    assert records.difference(original, restored) is None


def test_trap_timestamps_at_the_edges(bootstrap, through):
    """None, the first milliseconds, before 1970, year 9999, in no order; and times that the broker sets."""
    lawful = {"message_timestamp_after_max_ms": 2**63 - 1, "message_timestamp_before_max_ms": 2**63 - 1}
    edges = [NOW, 1, YEAR_9999, 2, -1_000_000_000_000, 999, YEAR_9999, 86_400_000, NOW - 5, -2, 1]
    written = [record(b"k", b"%d" % number, timestamp=edge) for number, edge in enumerate(edges)]
    original, restored, _ = through(written, **lawful)
    assert [one.timestamp for one in original[0]] == edges
    assert records.difference(original, restored) is None
    original, restored, _ = through(written, message_timestamp_type="LogAppendTime")
    assert all(abs(one.timestamp - time.time() * 1000) < 600_000 and one.timestamp_type == records.LOG_APPEND_TIME
               for one in original[0])
    assert [one[1:5] for one in restored[0]] == [one[1:5] for one in original[0]]


def test_trap_big_headers_empty_keys_large_values(through):
    """10,000 headers, keys and values of nothing and of 10 MB, beside small ones."""
    large = bytes(range(256)) * 40_000  # 10.24 MB
    many = [(f"h{number % 100}", b"%d" % number if number % 7 else None) for number in range(10_000)]
    written = [record(b"small", b"1", timestamp=NOW), record(b"", large, timestamp=NOW), record(b"", b"", timestamp=NOW),
               record(large, b"", timestamp=NOW), record(b"many", b"x", many, NOW), record(None, large[:-1], many[:50], NOW),
               record(b"small", b"2", timestamp=NOW)]
    size = {"message_max_bytes": 30_000_000}
    original, restored, _ = through(written, size, max_message_bytes=30_000_000)
    assert [len(one.headers) for one in original[0]] == [0, 0, 0, 0, 10_000, 50, 0]
    assert records.difference(original, restored) is None


def test_a_record_without_a_time_keeps_none(through):
    """Timestamp -1, as very old producers leave it. (0, which this client cannot write, is in test_capture.py.)"""
    original, restored, job = through([record(b"k", b"none", timestamp=-1), record(b"k", b"some", timestamp=NOW)])
    assert [one.timestamp for one in original[0]] == [-1, NOW]
    assert records.difference(original, restored) is None
    assert job["result"]["messages_count"] == 2
