# SPDX-License-Identifier: Apache-2.0
"""What is captured, exactly: gaps and their causes, headroom, transactions, compaction, corrupt batches, selection, and
manners towards the cluster."""

import contextlib
import pathlib
import re
import struct
import subprocess
import time

import pytest
from confluent_kafka import Producer, TopicPartition

from rig import jobs, records
from rig.records import record
from test_cli import tidemark

NOW = int(time.time() * 1000)
WEEK_MS = 7 * 24 * 3600 * 1000


def some_records(count, word="v", start=None, size=0):
    start = NOW if start is None else start
    return [record(b"key %d" % number, b"%s %d %s" % (word.encode(), number, b"x" * size), timestamp=start + number)
            for number in range(count)]


def notes(job, code, where="warnings"):
    found = job.get("warnings", []) if where == "warnings" else job["result"].get("failures", [])
    return [note for note in found if note["code"] == code]


def run(daemon, name="p"):
    return daemon.run_job("/v1/backups", {"policy": name})


def part_of(daemon, topic, partition=0, name="p"):
    point = jobs.newest(daemon, name)
    parts = [one for one in point["topics"] if one["name"] == topic][0]["partitions"]
    return parts[partition]


def metric(daemon, name, **labels):
    """The value of a series; None: there is none."""
    text = daemon.api("GET", "/metrics").text
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rpartition(" ")[2])
    return None


def events(daemon, name):
    return [line for line in daemon.log().splitlines() if f"event={name} " in line]


def delete_before(bootstrap, topic, offset):
    records.settle(records.admin(bootstrap), "delete_records", [TopicPartition(topic, 0, offset)])


def transactional(bootstrap, name, timeout_ms=60000):
    client = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{name}-{time.time_ns()}",
                       "transaction.timeout.ms": timeout_ms, "linger.ms": 0})
    client.init_transactions(30)
    return client


def in_transaction(client, topic, written, end):
    """Write records in a transaction; end: "commit", "abort", or None, which leaves it open."""
    client.begin_transaction()
    for one in written:
        records.send(client, topic, one)
    client.flush(30)
    if end == "commit":
        client.commit_transaction(30)
    elif end == "abort":
        client.abort_transaction(30)


def wait_for_records(bootstrap, topic, count):
    """The end of a transaction is written to its partitions after it was answered."""
    records.wait_until(lambda: len(records.read_topic(bootstrap, topic)[0]) == count, "the end of the transaction")


# Gaps

def test_what_was_deleted_by_hand_is_told_apart_from_what_retention_took(bootstrap, new_topic, tidemarkd):
    """The same hole in three topics: without retention, with one that has not come to it, and with one that has."""
    topics = {"none": new_topic(), "long": new_topic(retention_ms=WEEK_MS), "passed": new_topic()}
    old = NOW - 2 * WEEK_MS
    for name, topic in topics.items():
        records.produce(bootstrap, topic, some_records(10, start=old if name == "passed" else None))
    daemon = tidemarkd({"policies": [jobs.policy(*topics.values())]})
    daemon.backup("p")
    for name, topic in topics.items():
        records.produce(bootstrap, topic, some_records(20, start=old if name == "passed" else None))
        delete_before(bootstrap, topic, 25)
    records.set_topic_config(bootstrap, topics["passed"], "retention.ms", str(WEEK_MS))
    records.wait_until(lambda: part_start(bootstrap, topics["passed"]) == 30, "retention to take the rest too")
    job = run(daemon)
    assert job["state"] == "succeeded" and job["result"]["gaps_count"] == 3, job
    expected = {"none": "source-delete", "long": "source-delete", "passed": "source-retention"}
    for name, topic in topics.items():
        part = part_of(daemon, topic)
        end = 30 if name == "passed" else 25
        assert part["gaps_before"] == [{"start_offset": 10, "end_offset": end, "reason": expected[name]}], (name, part)
        assert part["start_offset"] == end and part["gaps"] == []
    assert len(events(daemon, "backup.gap")) == 3
    assert metric(daemon, "tidemark_backup_gaps_total", reason="source-delete") == 2
    assert metric(daemon, "tidemark_backup_gaps_total", reason="source-retention") == 1
    shown = tidemark("points", "show", "latest", "--policy", "p", "--socket", str(daemon.socket)).stdout
    assert "gap before it: partition 0, offsets 10 to 24: source-delete" in shown, shown


def part_start(bootstrap, topic):
    consumer = records.Consumer({"bootstrap.servers": bootstrap, "group.id": "tidemark-tests"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[0]
    finally:
        consumer.close()


def test_trap_offset_gaps_are_not_loss(bootstrap, new_topic, tidemarkd):
    """Markers and what compaction took are holes, counted and classed, and no gaps: count and holes make the range."""
    written, kept = new_topic(), new_topic(cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    client = transactional(bootstrap, "holes")
    for end in ("commit", "abort", "commit", "abort"):
        in_transaction(client, written, some_records(5), end)
    compact_away(bootstrap, kept)
    daemon = tidemarkd({"policies": [jobs.policy(written, kept)]})
    result = daemon.backup("p")["result"]
    assert result["gaps_count"] == 0
    for topic, kind in ((written, "transactions"), (kept, "compaction")):
        part = part_of(daemon, topic)
        assert part["holes_count"] > 0 and part["holes_class"] == kind and part["gaps"] == [], part
        assert part["messages_count"] + part["holes_count"] == part["end_offset"] - part["start_offset"], part
    assert daemon.get("/v1/status")["ok"], daemon.get("/v1/status")
    before = part_of(daemon, written)["end_offset"]
    in_transaction(client, written, some_records(5), "abort")  # and a run that meets nothing else
    records.wait_until(lambda: jobs.log_ends(bootstrap, written)[written, 0] == before + 6, "the marker")
    assert daemon.backup("p")["result"]["gaps_count"] == 0
    part = part_of(daemon, written)
    assert part["end_offset"] == before + 6 and part["gaps"] == [], part
    assert part["messages_count"] + part["holes_count"] == part["end_offset"], part


def compact_away(bootstrap, topic, keys=5, rounds=20):
    """Write the same keys over and over until the cleaner has been there."""
    written = [record(b"k%d" % (number % keys), b"round %d" % number) for number in range(keys * rounds)]
    records.produce(bootstrap, topic, written, batch_num_messages=7)
    deadline = time.monotonic() + 60
    while True:  # each new record may roll a segment, so that the ones before are cleaned
        records.produce(bootstrap, topic, [record(b"roll", b"it")])
        if len(records.read_topic(bootstrap, topic)[0]) < keys * rounds // 2:
            return
        assert time.monotonic() < deadline, "the cleaner did not come"
        time.sleep(0.3)


# Transactions

@pytest.mark.both_kafkas
def test_trap_control_records_and_aborted_data(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    client = transactional(bootstrap, "aborted")
    good = some_records(10, "committed")
    in_transaction(client, topic, good[:5], "commit")
    in_transaction(client, topic, some_records(7, "aborted"), "abort")
    in_transaction(client, topic, good[5:], "commit")
    in_transaction(client, topic, some_records(3, "aborted"), "abort")
    wait_for_records(bootstrap, topic, 10)
    daemon = tidemarkd({"policies": [jobs.policy(topic), jobs.policy(topic, name="raw", isolation="read_uncommitted")]})
    assert daemon.backup("p")["result"]["messages_count"] == 10
    jobs.restore(daemon, suffix=".committed")
    jobs.assert_restored([good], bootstrap, f"{topic}.committed")
    # One vault keeps one history of a topic: what a policy wants to have of aborted data, it has to capture itself.
    raw = tidemarkd({"policies": [jobs.policy(topic, name="raw", isolation="read_uncommitted")]})
    raw.backup("raw")
    jobs.restore(raw, name="raw", suffix=".raw")
    everything = records.read_topic(bootstrap, topic, isolation="read_uncommitted")
    assert len(everything[0]) == 20
    jobs.assert_restored(everything, bootstrap, f"{topic}.raw")


def test_trap_lso_as_end_offset(bootstrap, new_topic, tidemarkd):
    """The point has both ends; what is committed behind an open transaction is not lost, only later."""
    topic = new_topic()
    before, inside, behind = some_records(5, "before"), some_records(4, "inside"), some_records(6, "behind")
    records.produce(bootstrap, topic, before)
    client = transactional(bootstrap, "open")
    in_transaction(client, topic, inside, None)
    records.produce(bootstrap, topic, behind)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    assert daemon.backup("p")["result"]["messages_count"] == 5
    part = part_of(daemon, topic)
    assert (part["end_offset"], part["last_stable_offset"], part["high_watermark"]) == (5, 5, 15)
    client.commit_transaction(30)
    wait_for_records(bootstrap, topic, 15)
    assert daemon.backup("p")["result"]["messages_count"] == 10
    part = part_of(daemon, topic)
    assert (part["end_offset"], part["last_stable_offset"], part["high_watermark"]) == (16, 16, 16)
    jobs.restore(daemon, suffix=".whole")
    jobs.assert_restored([before + inside + behind], bootstrap, f"{topic}.whole")


def test_trap_hanging_transaction_pins_lso(bootstrap, new_topic, tidemarkd):
    """It is told with its age, which a restart of the daemon, and the loss of its catalog, do not set back."""
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(5))
    client = transactional(bootstrap, "hanging", 600_000)
    in_transaction(client, topic, some_records(4), None)
    daemon = tidemarkd({"policies": [jobs.policy(topic, open_transaction_after="2s")]})
    begun = time.monotonic()
    assert not notes(daemon.backup("p"), "open-transaction")
    daemon.stop()
    records.wait_until(lambda: time.monotonic() > begun + 2.1, "the transaction to grow old")
    daemon.start()
    records.produce(bootstrap, topic, some_records(2))
    job = daemon.backup("p")
    told = notes(job, "open-transaction")
    assert len(told) == 1 and (told[0]["topic"], told[0]["partition"]) == (topic, 0), job
    age = int(re.search(r"open for (\d+) s at least", told[0]["detail"])[1])
    assert 2 <= age <= time.monotonic() - begun and "stands at 5, 6 below" in told[0]["detail"]
    assert metric(daemon, "tidemark_topic_open_transaction_seconds", topic=topic) >= 2
    assert metric(daemon, "tidemark_topic_lag_messages", topic=topic) == 6
    assert daemon.get("/v1/status")["items"][0]["open_transaction_seconds"] >= 2
    assert len(events(daemon, "backup.open-transaction")) == 1
    daemon.stop()
    for path in (daemon.directory / "state" / "catalog").iterdir():
        path.unlink()
    daemon.start()
    assert notes(daemon.backup("p"), "open-transaction"), "the points know since when"
    client.abort_transaction(30)
    wait_for_records(bootstrap, topic, 7)
    assert not notes(daemon.backup("p"), "open-transaction")
    assert metric(daemon, "tidemark_topic_open_transaction_seconds", topic=topic) == 0
    part = part_of(daemon, topic)
    assert part["end_offset"] == part["high_watermark"] == 12 and part["messages_count"] == 7


# Corrupt batches

def batches(path):
    """(position, base offset, last offset) of each batch of a segment."""
    data, at, found = path.read_bytes(), 0, []
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        found.append((at, base, base + struct.unpack_from(">i", data, at + 23)[0]))
        at += 12 + length
    return found


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def segment_of(broker, topic):
    return broker.directory / "data" / f"{topic}-0" / f"{0:020}.log"


def set_times(path, timestamp):
    """Give the only batch of a segment other times, as a producer could have sent it."""
    data = bytearray(path.read_bytes())
    assert len(batches(path)) == 1
    struct.pack_into(">qq", data, 27, timestamp, timestamp)
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    path.write_bytes(data)


def damage(broker, topic, which, meanwhile=lambda: None):
    """Flip a byte of those batches on the broker's disk, behind their checksum; their (base, last offsets)."""
    path = segment_of(broker, topic)
    broker.stop()
    meanwhile()
    found = [batches(path)[index] for index in which]
    with open(path, "r+b") as segment:
        for position, _, _ in found:
            segment.seek(position + 65)
            byte = segment.read(1)[0]
            segment.seek(position + 65)
            segment.write(bytes([byte ^ 0x40]))
    broker.start()
    return [(base, last) for _, base, last in found]


def test_a_corrupt_batch_fails_its_partition_or_is_passed_over_as_a_gap(own_broker, tidemarkd):
    broker = own_broker()
    records.create_topic(broker.bootstrap, "good", config={"retention.ms": "-1"})
    records.create_topic(broker.bootstrap, "bad", config={"retention.ms": "-1"})
    written = some_records(400)
    for topic in ("good", "bad"):
        for at in range(0, 400, 40):
            records.produce(broker.bootstrap, topic, written[at:at + 40], batch_num_messages=20)
    records.create_topic(broker.bootstrap, "zero", config={"retention.ms": "-1"})
    records.produce(broker.bootstrap, "zero", [record(b"k", b"at the epoch", timestamp=NOW)])
    hit = damage(broker, "bad", [3, 4, 9, 19], lambda: set_times(segment_of(broker, "zero"), 0))
    assert hit[-1][1] == 399
    daemon = tidemarkd({"policies": [jobs.policy("good", "bad"),
                                     jobs.policy("good", "bad", name="skip", on_corrupt="skip"),
                                     jobs.policy("zero", name="zero")]},
                       bootstrap=broker.bootstrap)
    for _ in range(2):
        job = run(daemon)
        failed = notes(job, "read", "failures")
        assert job["state"] == "partial" and len(failed) == 1, job
        assert (failed[0]["topic"], failed[0]["partition"]) == ("bad", 0)
        assert f"offset {hit[0][0]}" in failed[0]["detail"], failed
        part = part_of(daemon, "bad")
        assert (part["end_offset"], part["status"]) == (hit[0][0], "failed")
        assert part_of(daemon, "good")["messages_count"] == 400

    job = run(daemon, "skip")
    assert job["state"] == "succeeded" and job["result"]["gaps_count"] == 4, job
    gone = [(hit[0][0], hit[1][1]), hit[2], hit[3]]  # two of them touch
    part = part_of(daemon, "bad", name="skip")
    assert part["status"] == "whole" and part["end_offset"] == 400
    assert merged(part["gaps"]) == gone and {gap["reason"] for gap in part["gaps"]} == {"corrupt-on-broker"}, part
    assert events(daemon, "backup.corrupt-skipped")
    assert metric(daemon, "tidemark_backup_gaps_total", policy="skip", reason="corrupt-on-broker") == 4
    refused = daemon.api("POST", "/v1/restores", json=jobs.restore_body(name="skip", suffix=".r"))
    assert refused.status_code == 422 and "80 offsets of bad are not stored" in refused.json()["detail"]
    jobs.restore(daemon, name="skip", suffix=".r", on_gap="continue")
    left = [one for offset, one in enumerate(written) if not any(low <= offset <= high for low, high in gone)]
    jobs.assert_restored([written], broker.bootstrap, "good.r")
    jobs.assert_restored([left], broker.bootstrap, "bad.r")
    # Timestamp 0 is stored as it is; librdkafka takes it for "now" when it writes, so that 1 comes back, and that is told.
    assert records.read_topic(broker.bootstrap, "zero")[0][0].timestamp == 0
    daemon.backup("zero")
    assert jobs.newest(daemon, "zero")["latest_record_at"] == "1970-01-01T00:00:00.000Z"
    job = jobs.restore(daemon, name="zero", suffix=".r")
    assert [note for note in job["warnings"] if "timestamp 0" in note["detail"]], job
    assert records.read_topic(broker.bootstrap, "zero.r")[0][0][1:5] == (b"k", b"at the epoch", (), 1)
    # What is stored cannot be compared any more once its own batch is damaged: the topic's id has to do.
    records.produce(broker.bootstrap, "bad", written[:3])
    assert run(daemon, "skip")["state"] == "succeeded"
    damage(broker, "bad", [20])
    records.produce(broker.bootstrap, "bad", written[:2])
    job = run(daemon, "skip")
    assert job["state"] == "succeeded" and job["result"]["messages_count"] == 2, job
    assert jobs.newest(daemon, "skip")["topics"][0]["incarnation"] == 1


def merged(gaps):
    found = []
    for gap in gaps:
        if found and found[-1][1] + 1 == gap["start_offset"]:
            found[-1] = (found[-1][0], gap["end_offset"] - 1)
        else:
            found.append((gap["start_offset"], gap["end_offset"] - 1))
    return found


# Headroom

def test_trap_retention_outruns_backup(bootstrap, new_topic, tidemarkd):
    """Told before it happens, with the partition and the time that is left; and when it has happened, as what it is."""
    topic = new_topic(retention_ms=600_000, segment_ms=1000)
    records.produce(bootstrap, topic, some_records(3000, size=100, start=int(time.time() * 1000) - 3000), batch_num_messages=1)
    daemon = tidemarkd({"policies": [jobs.policy(topic, schedule="@every 1h", timeout="4s",  # of the 12 that it takes
                                                 limits={"read_bytes_per_second": "25KB"})]})
    job = run(daemon)
    assert job["state"] == "partial", job
    told = notes(job, "retention-headroom")
    assert len(told) == 1 and told[0]["partition"] == 0, job
    stored = part_of(daemon, topic)["end_offset"]
    left = re.fullmatch(rf"{topic}/0 loses unsaved records in (\d+) min \(by retention.ms\): offsets from {stored} on "
                        r"are not stored", told[0]["detail"])
    assert left and 8 <= int(left[1]) <= 10, told
    assert len(events(daemon, "backup.retention-headroom")) == 1
    row = daemon.get("/v1/status")["items"][0]
    assert row["state"] == "never" or row["state"] == "losing", row
    assert 480 <= row["retention_headroom_seconds"] <= 600
    seconds = metric(daemon, "tidemark_topic_retention_headroom_seconds", topic=topic)
    assert 480 <= seconds <= 600
    records.wait_until(lambda: metric(daemon, "tidemark_topic_retention_headroom_seconds", topic=topic) < seconds,
                       "the metric to count down")
    records.set_topic_config(bootstrap, topic, "retention.ms", "1000")
    records.wait_until(lambda: part_start(bootstrap, topic) > stored, "retention to win")
    job = run(daemon)
    assert job["result"]["gaps_count"] == 1
    gap = part_of(daemon, topic)["gaps_before"][0]
    assert (gap["start_offset"], gap["reason"]) == (stored, "source-retention")


def test_headroom_by_size_is_told_by_the_rate_of_writing(bootstrap, new_topic, tidemarkd):
    """5 MB are kept and some are written in the seconds between two runs: they are full again within the hour."""
    topic, forever = new_topic(retention_bytes=5_000_000, segment_bytes=1_048_576), new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic, forever)]})
    records.produce(bootstrap, topic, some_records(300, size=1000))
    records.produce(bootstrap, forever, some_records(3))
    assert not notes(daemon.backup("p"), "retention-headroom")
    begun = time.monotonic()
    records.wait_until(lambda: time.monotonic() > begun + 1.2, "a time over which a rate can be taken")
    records.produce(bootstrap, topic, some_records(300, size=1000))
    told = notes(daemon.backup("p"), "retention-headroom")
    assert len(told) == 1 and "by retention.bytes" in told[0]["detail"] and f"{topic}/0 loses" in told[0]["detail"], told
    seconds = metric(daemon, "tidemark_topic_retention_headroom_seconds", topic=topic)
    assert 5 < seconds < 600, seconds
    assert metric(daemon, "tidemark_topic_retention_headroom_seconds", topic=forever) == float("inf")
    rows = {row["topic"]: row for row in daemon.get("/v1/status")["items"]}
    assert rows[topic]["state"] == "losing" and "retention_headroom_seconds" not in rows[forever]


# Compaction

def test_trap_compaction_removes_batch_tail(bootstrap, new_topic, tidemarkd):
    """The last records of batches, and whole batches, are gone: the run comes to its end, and so does the next one."""
    topic = new_topic(cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    compact_away(bootstrap, topic)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p", timeout=30)
    expected = jobs.backed_up(daemon, bootstrap, topic)
    part = part_of(daemon, topic)
    assert part["end_offset"] == part["high_watermark"] and part["messages_count"] <= len(expected[0]) + 100
    jobs.restore(daemon, suffix=".first")
    compact_away(bootstrap, topic)
    daemon.backup("p", timeout=30)
    part = part_of(daemon, topic)
    assert part["end_offset"] == part["high_watermark"]
    jobs.restore(daemon, suffix=".second")
    assert latest(records.read_topic(bootstrap, f"{topic}.second")) == latest(records.read_topic(bootstrap, topic))


def latest(parts):
    """What a consumer of a compacted topic ends up with."""
    state = {}
    for one in parts[0]:
        state.pop(one.key, None)
        if one.value is not None:
            state[one.key] = one.value
    return state


def test_a_tombstone_that_went_unseen_does_not_bring_its_key_back(bootstrap, new_topic, tidemarkd):
    """Two daemons that are away for longer than tombstones stay. One has the rule switched off, and that is what it is for."""
    topic = new_topic(cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.001, delete_retention_ms=2000)
    records.produce(bootstrap, topic, [record(b"gone", b"a secret"), record(b"kept", b"1")])
    with_rule = tidemarkd({"policies": [jobs.policy(topic)]})
    without = tidemarkd({"policies": [jobs.policy(topic, on_compaction_outage="warn")]})
    for daemon in (with_rule, without):
        daemon.backup("p")
    records.produce(bootstrap, topic, [record(b"gone", None), record(b"kept", b"2")])
    deadline = time.monotonic() + 60
    while any(one.key == b"gone" for one in records.read_topic(bootstrap, topic)[0]):
        assert time.monotonic() < deadline, "the cleaner did not come"
        records.produce(bootstrap, topic, [record(b"roll", b"it")])
        time.sleep(0.3)
    for daemon, incarnation in ((with_rule, 2), (without, 1)):
        job = daemon.backup("p")
        told = notes(job, "compaction-outage")
        assert len(told) == 1 and "delete.retention.ms" in told[0]["detail"], job
        assert jobs.newest(daemon)["topics"][0]["incarnation"] == incarnation
        assert len(events(daemon, "backup.compaction-outage")) == 1
    assert metric(with_rule, "tidemark_topic_incarnations_total", topic=topic) == 1
    jobs.restore(with_rule, suffix=".right")
    jobs.restore(without, suffix=".wrong")
    assert latest(records.read_topic(bootstrap, f"{topic}.right")) == latest(records.read_topic(bootstrap, topic))
    assert latest(records.read_topic(bootstrap, f"{topic}.wrong"))[b"gone"] == b"a secret"
    # Whoever comes back in time, or finds nothing new, has missed nothing.
    assert not notes(with_rule.backup("p"), "compaction-outage")
    begun = time.monotonic()
    records.wait_until(lambda: time.monotonic() > begun + 2.2, "tombstones to have had their time")
    assert not notes(with_rule.backup("p"), "compaction-outage")
    records.produce(bootstrap, topic, [record(b"new", b"1")])
    assert not notes(with_rule.backup("p"), "compaction-outage")


# Selection

def test_trap_schema_registry_topic_by_name(bootstrap, tidemarkd):
    """A pattern that matches everything leaves it out; its name, or internal_topics, takes it."""
    prefix = f"sel-{time.time_ns()}"
    records.create_topic(bootstrap, "_schemas", config={"cleanup.policy": "compact"})
    records.create_topic(bootstrap, f"{prefix}-a")
    try:
        records.produce(bootstrap, "_schemas", [record(b'{"keytype":"SCHEMA"}', b"{}")])
        daemon = tidemarkd({"policies": [
            jobs.policy("_*", f"{prefix}*"), jobs.policy("_schemas", name="named"),
            jobs.policy("_s*", name="all", internal_topics=True)]})
        job = daemon.backup("p")
        assert [topic["name"] for topic in jobs.newest(daemon)["topics"]] == [f"{prefix}-a"]
        assert [note["detail"] for note in notes(job, "pattern-empty")] == ['no topic matches "_*"']
        for name in ("named", "all"):
            daemon.backup(name)
            assert [topic["name"] for topic in jobs.newest(daemon, name)["topics"]] == ["_schemas"]
        jobs.restore(daemon, name="named", suffix=f".{prefix}")
        assert len(records.read_topic(bootstrap, f"_schemas.{prefix}")[0]) == 1
    finally:
        records.delete_topic(bootstrap, "_schemas")


def test_a_named_topic_that_is_missing_fails_alone_and_patterns_take_what_is_there(bootstrap, tidemarkd):
    prefix = f"sel-{time.time_ns()}"
    for name in ("orders-v1", "orders-v12", "orders-vx", "pay.eu", "pay.tmp"):
        records.create_topic(bootstrap, f"{prefix}-{name}")
        records.produce(bootstrap, f"{prefix}-{name}", some_records(2))
    policy = jobs.policy(f"/{prefix}-orders-v[0-9]+/", f"{prefix}-pay.*", f"{prefix}-nothere", f"{prefix}-none-*")
    policy["topics"]["exclude"] = ["*.tmp"]
    daemon = tidemarkd({"policies": [policy]})
    job = run(daemon)
    assert job["state"] == "partial", job
    assert [note["topic"] for note in notes(job, "topic-missing", "failures")] == [f"{prefix}-nothere"]
    assert len(notes(job, "pattern-empty")) == 1
    found = [topic["name"] for topic in jobs.newest(daemon)["topics"]]
    assert found == [f"{prefix}-{name}" for name in ("orders-v1", "orders-v12", "pay.eu")]
    assert job["result"]["messages_count"] == 6
    records.create_topic(bootstrap, f"{prefix}-nothere", 2)
    records.create_topic(bootstrap, f"{prefix}-none-now")
    job = daemon.backup("p")
    assert not job.get("warnings") and job["result"]["topics_count"] == 5


# Manners

def established(pid, port):
    """How many connections a process has to a port of this host."""
    inodes = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
            inodes |= {match[1]} if match else set()
    lines = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return sum(1 for row in rows if row[9] in inodes and row[3] == "01" and row[2].endswith(f":{port:04X}"))


def set_quota(broker, client_id, rate):
    """A quota of the broker for a client, in bytes per second."""
    done = subprocess.run(broker.java_command(
        "kafka.admin.ConfigCommand", "--bootstrap-server", broker.bootstrap, "--alter", "--entity-type", "clients",
        "--entity-name", client_id, "--add-config", f"consumer_byte_rate={rate}"), capture_output=True, text=True,
        timeout=60, cwd=broker.directory, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_trap_empty_fetch_before_end(broker, bootstrap, new_topic, tidemarkd):
    """A broker that holds a client to its quota answers fetches with nothing, again and again, though there is more: no
    answer without records is taken for the end. The run says that it was held back."""
    topic = new_topic(2)
    written = some_records(600, size=2000)
    records.produce(bootstrap, topic, written, lambda index, _: index % 2)
    set_quota(broker, f"held-{topic}", 90_000)
    clusters = [{"name": "source", "bootstrap": [bootstrap],
                 "rdkafka": {"client.id": f"held-{topic}", "client.rack": "a", "fetch.message.max.bytes": 100_000}}]
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(topic)]})
    job = daemon.backup("p")
    assert job["result"]["messages_count"] == 600 and job["result"]["throttled_seconds"] > 0.3, job
    told = notes(job, "quota-throttled")
    assert len(told) == 1 and "within its quota" in told[0]["detail"]
    assert metric(daemon, "tidemark_kafka_throttle_seconds_total", kafka_cluster="source") > 0.3
    assert len(events(daemon, "backup.quota-throttled")) == 1
    part = part_of(daemon, topic)
    assert part["end_offset"] == part["high_watermark"] == 300
    daemon.stop()
    daemon.configure({"policies": [jobs.policy(topic)]})  # under a name without a quota
    daemon.start()
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored([written[0::2], written[1::2]], bootstrap, f"{topic}.restored")


def test_trap_backup_reads_with_manners(broker, bootstrap, new_topic, tidemarkd):
    """A bound of bytes per second over all workers, few connections whatever the number of topics, and memory that does
    not grow with what waits."""
    topics = [new_topic(2) for _ in range(4)]
    for topic in topics:
        records.produce(bootstrap, topic, some_records(1000, size=3000), lambda index, _: index % 2)
    limited = jobs.policy(*topics, name="limited", limits={"read_bytes_per_second": "3MB", "workers": 4})
    daemon = tidemarkd({"policies": [limited]})
    begun = time.monotonic()
    job = daemon.api("POST", "/v1/backups", json={"policy": "limited"}).json()
    most = 0
    while True:
        now = daemon.get(f"/v1/jobs/{job['id']}")
        most = max(most, established(daemon.process.pid, broker.port))
        if now["state"] not in ("queued", "running"):
            break
        time.sleep(0.1)
    spent = time.monotonic() - begun
    assert now["state"] == "succeeded" and now["result"]["messages_count"] == 4000, now
    rate = now["result"]["source_bytes"] / spent
    assert 1_000_000 < rate < 3_300_000, rate
    assert 1 <= most <= 3, most  # to start with, to the broker, to the coordinator of the lag group
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 250_000


def closed_window():
    """Hours that are not now, nor within the next minutes."""
    minutes = int(time.time() // 60) % 1440
    begin, end = (minutes + 120) % 1440, (minutes + 240) % 1440
    return f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


def test_outside_its_window_a_policy_does_not_run_unless_it_is_told_to(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(3))
    daemon = tidemarkd({"policies": [jobs.policy(topic, window=closed_window(), schedule="@every 1s"),
                                     jobs.policy(topic, name="free", schedule="@every 1s")]})
    refused = daemon.api("POST", "/v1/backups", json={"policy": "p"})
    assert refused.status_code == 409 and refused.json()["type"] == "/problems/outside-window", refused.text
    assert 3600 < int(refused.headers["Retry-After"]) <= 7201
    records.wait_until(lambda: daemon.get("/v1/status") and daemon.get("/v1/policies/free").get("last_success_at"),
                       "the other policy to run")
    policy = daemon.get("/v1/policies/p")
    assert "last_attempt_at" not in policy and policy["next_run_at"] > policy_time(3600), policy
    job = daemon.run_job("/v1/backups", {"policy": "p", "outside_window": True})
    assert job["state"] == "succeeded", job
    told = tidemark("backup", "p", "--socket", daemon.socket, status=8).stderr
    assert "--outside-window" in told
    tidemark("backup", "p", "--outside-window", "--socket", daemon.socket)


def policy_time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + seconds))
