# SPDX-License-Identifier: Apache-2.0
"""docs/format.md is enough to read a vault: an independent reader (tests/reader) gives back what an independent client
saw on the broker: key, value, null against empty, headers, timestamp and its type, partition, offset."""

import json
import random
import shutil
import subprocess
import sys

import pytest

from reader import reader
from rig import jobs, records
from rig.daemon import REPOSITORY, build_dir, write_private
from rig.records import record

# A client shows a record without timestamp as one of CreateTime.
KINDS = {"none": records.CREATE_TIME, "create": records.CREATE_TIME, "append": records.LOG_APPEND_TIME}
OLD = 1_600_000_000_000


def as_read(one):
    """A record of the reader as a client would show it."""
    headers = tuple((name.decode(), value) for name, value in one.headers)
    return records.Record(one.offset, one.key, one.value, headers, one.timestamp, KINDS[one.timestamp_type])


def open_vault(daemon):
    return reader.Vault(reader.Folder(daemon.directory / "vault"), key_file=daemon.key_path.read_bytes())


def read_point(vault, topic, partitions, **choice):
    found = [[] for _ in range(partitions)]
    for one in vault.records(choice.pop("point", "latest"), topic=topic, **choice):
        found[one.partition].append(as_read(one))
    return found


def assert_read(daemon, bootstrap, topics, isolation="read_committed"):
    """The newest point as the reader has it is what the broker has: the topics are not written to any more."""
    vault = open_vault(daemon)
    for topic in topics:
        expected = records.read_topic(bootstrap, topic, isolation)
        found = records.difference(expected, read_point(vault, topic, len(expected)), offsets=True)
        assert found is None, f"{topic}: {found}"
    return vault


def odd(rng, number):
    """Every kind of null and empty, in keys, values and headers."""
    bytes_of = lambda: rng.choice([None, b"", b"%d" % number, rng.randbytes(rng.randrange(300))])
    headers = rng.choice([(), (("a", None), ("a", b"")), (("n\u00e4me", b"\xff"), ("", b"x"), ("n\u00e4me", b"%d" % number))])
    return record(bytes_of(), bytes_of(), headers, rng.choice([-1, -(1 << 40), 1, OLD + rng.randrange(1 << 30)]))


def write_transactions(bootstrap, topic, rng):
    """Committed and aborted ones, so that markers and aborted records leave holes."""
    client = records.producer(bootstrap, transactional_id=topic)
    client.init_transactions()
    for number in range(40):
        client.begin_transaction()
        for index in range(25):
            records.send(client, topic, odd(rng, 100 * number + index), index % 2)
        assert client.flush(30) == 0
        client.abort_transaction() if number % 3 == 1 else client.commit_transaction()


def write_compacted(bootstrap, topic, rng):
    """Until the cleaner has been there: fewer records than offsets."""
    for number in range(3000):
        yield record(b"k%d" % rng.randrange(40), None if rng.random() < 0.2 else rng.randbytes(60), (), OLD + number)


def wait_compacted(bootstrap, topic):
    def cleaned():
        # The active segment is never cleaned; a record more rolls it.
        records.produce(bootstrap, topic, [record(b"roll", b"x")])
        part = records.read_topic(bootstrap, topic)[0]
        return part[-1].offset + 1 > len(part) + 500

    records.wait_until(cleaned, f"{topic} to be compacted", timeout=90)


@pytest.mark.timeout(300)
def test_reader_sees_what_the_broker_has(tidemarkd, bootstrap, new_topic):
    rng = random.Random(9)
    plain, narrow, stamped = new_topic(3), new_topic(200), new_topic(1, message_timestamp_type="LogAppendTime")
    large, empty = new_topic(1, max_message_bytes=4_000_000), new_topic(2)
    transactions = new_topic(2)
    compacted = new_topic(1, cleanup_policy="compact", segment_ms=300, min_cleanable_dirty_ratio=0.01, delete_retention_ms=100)
    topics = [plain, narrow, stamped, large, empty, transactions, compacted]
    daemon = tidemarkd({"policies": [jobs.policy(*topics)]})

    records.produce(bootstrap, compacted, write_compacted(bootstrap, compacted, rng))
    records.produce(bootstrap, plain, (odd(rng, number) for number in range(4000)), lambda index, _: index % 3)
    records.produce(bootstrap, narrow, (odd(rng, number) for number in range(600)), lambda index, _: index % 200)
    records.produce(bootstrap, stamped, (odd(rng, number) for number in range(500)))
    values = [rng.randbytes(size) for size in (70_000, 3_000_000, 65_536, 65_535)]
    records.produce(bootstrap, large, [record(b"k", value, (("h", None),), OLD) for value in values] + [record(b"", b"")],
                    message_max_bytes=4_000_000)
    write_transactions(bootstrap, transactions, rng)
    daemon.backup("p")  # the first half, so that points build on each other
    records.produce(bootstrap, plain, (odd(rng, number) for number in range(400)), 1)
    # The type changes in the middle of a partition: both kinds in one block.
    records.set_topic_config(bootstrap, stamped, "message.timestamp.type", "CreateTime")
    records.produce(bootstrap, stamped, (odd(rng, number) for number in range(500)))
    wait_compacted(bootstrap, compacted)
    daemon.backup("p")

    vault = assert_read(daemon, bootstrap, [plain, narrow, stamped, large, empty, transactions])
    point = vault.view("latest", "p")
    assert point["name"] == jobs.newest(daemon)["id"]
    assert sorted({vault.streams[stream][1] for stream, _ in point["parts"]}) == sorted(topics)
    # A compacted topic's vault holds the records as each backup saw them: all that is still there, and more.
    kept = records.read_topic(bootstrap, compacted)[0]
    stored = {one.offset: one for one in read_point(vault, compacted, 1)[0]}
    assert [stored.get(one.offset) for one in kept if one.offset < jobs.ends(jobs.newest(daemon))[compacted, 0]] == \
        [one for one in kept if one.offset < jobs.ends(jobs.newest(daemon))[compacted, 0]]
    # What the reader was there to read was there.
    flags = {flag for name in vault.packs for block in vault.pack(name).blocks for flag in (1, 4, 8) if block[0] & flag}
    assert flags == {1, 4, 8}
    assert max(len(block[1]) for name in vault.packs for block in vault.pack(name).blocks) == 200


def test_mixed_timestamp_types_in_one_block(tidemarkd, bootstrap, new_topic):
    rng = random.Random(10)
    topic = new_topic(1)
    for kind in ("CreateTime", "LogAppendTime", "CreateTime"):
        records.set_topic_config(bootstrap, topic, "message.timestamp.type", kind)
        records.produce(bootstrap, topic, (odd(rng, number) for number in range(100)))
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    vault = assert_read(daemon, bootstrap, [topic])
    assert [block[0] & 16 for name in vault.packs for block in vault.pack(name).blocks] == [16]


def test_it_is_a_program_too_and_notices_a_changed_byte(tidemarkd, bootstrap, new_topic):
    topic = new_topic(1)
    records.produce(bootstrap, topic, [record(b"k", None, (("h", None),), OLD)])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")

    def run(*arguments):
        command = [sys.executable, REPOSITORY / "tests/reader/reader.py", daemon.directory / "vault", "--key-file", daemon.key_path]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)

    done = run("--point", "latest", "--policy", "p")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) | {"cluster_id": ""} == {
        "cluster_id": "", "topic": topic, "incarnation": 1, "partition": 0, "offset": 0, "timestamp": OLD,
        "timestamp_type": "create", "key": "aw==", "value": None, "headers": [["aA==", None]]}
    assert json.loads(run("--list").stdout)["name"] == jobs.newest(daemon)["id"]

    pack, = (path for path in (daemon.directory / "vault" / "pack").rglob("*") if path.is_file())
    whole = bytearray(pack.read_bytes())
    whole[150] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(whole)
    done = run()
    assert done.returncode == 1
    assert done.stderr == f"reader.py: pack {pack.name} has another SHA-256 than its name\n"


def mirrored(bootstrap, topics, count):
    """The same records in each topic, with content that does not shrink; offsets and timestamps are their own."""
    rng = random.Random(11)
    values = [rng.randbytes(1000) for _ in range(count)]
    for number, topic in enumerate(topics):
        records.produce(bootstrap, topic, [record(b"k%d" % i, value, (("h", None),), OLD + number * 1000 + i)
                                           for i, value in enumerate(values)])


def shapes(vault):
    """What blocks there are: of content elsewhere in the pack, and in another; and the most data keys of a pack."""
    packs = [vault.pack(name) for name in vault.packs]
    elsewhere = {block[3] > 0 for pack in packs for block in pack.blocks if block[0] & 2}
    return elsewhere, max(len(pack.keys) for pack in packs)


@pytest.mark.timeout(300)
def test_reader_finds_content_that_is_elsewhere_and_has_moved(tidemarkd, bootstrap, new_topic):
    orders, mirror, large = new_topic(prefix="orders"), new_topic(prefix="mirror"), new_topic(max_message_bytes=1_000_000)
    payload = random.Random(12).randbytes(100_000)
    daemon = tidemarkd({"policies": [jobs.policy(topic, name=topic) for topic in (orders, mirror, large)]})
    mirrored(bootstrap, [orders, mirror], 6000)
    for number in range(3):
        records.produce(bootstrap, large, [record(b"%d" % i, payload, (), OLD + i) for i in range(number, number + 4)])
        daemon.backup(large)
    daemon.backup(orders)
    daemon.backup(mirror)
    topics = [orders, mirror, large]
    for number in range(4):  # small packs, to be merged
        for topic in topics:
            records.produce(bootstrap, topic, [record(b"more", b"%d" % number)])
            daemon.backup(topic)
    daemon.stop()

    def check():
        vault = open_vault(daemon)
        for topic in topics:
            expected = records.read_topic(bootstrap, topic)
            stored = [[as_read(one) for one in vault.records(topic=topic)]]
            assert records.difference(expected, stored, offsets=True) is None
        return vault

    assert shapes(check()) == ({False, True}, 1)
    tool = build_dir() / "tests" / "reader" / "merge_vault"
    done = subprocess.run([tool, daemon.directory / "vault", daemon.key_path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    merged, made, swept = map(int, done.stdout.split())
    assert merged == swept == 17 and 1 <= made < merged
    vault = check()
    assert len(vault.packs) == made and len(vault.moved) == merged
    assert shapes(vault)[1] > 1

    # Without a log the packs still say where everything is.
    shutil.rmtree(daemon.directory / "vault" / "log")
    done = subprocess.run([build_dir() / "cli" / "tidemark", "vault", "rebuild-log", "--vault", daemon.directory / "vault",
                           "--key-file", daemon.key_path], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    check()
    shutil.rmtree(daemon.directory / "state")
    daemon.start()
    daemon.backup(orders)  # folds the new log
    point = daemon.get("/v1/recovery-points?policy=recovered")["items"][0]["id"]
    jobs.restore(daemon, point=point, suffix=".back", topics={"include": [mirror, large]})
    for topic in (mirror, large):
        jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.back")
        records.delete_topic(bootstrap, f"{topic}.back")


def test_reader_opens_every_epoch_and_passphrases(tidemarkd, bootstrap, new_topic):
    """After a rotation the packs of both epochs; by whichever secret."""
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    vault_path = daemon.directory / "vault"
    records.produce(bootstrap, topic, [record(b"old", b"epoch", (), OLD)])
    daemon.backup("p")
    daemon.stop()
    phrase = write_private(daemon.directory / "phrase", "correct horse\n")
    done = subprocess.run([build_dir() / "cli" / "tidemark", "key", "rotate", "--vault", vault_path, "--key-file", daemon.key_path,
                           "--for-key-file", daemon.key_path, "--for-passphrase-file", phrase, "--yes"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    daemon.start()
    records.produce(bootstrap, topic, [record(b"new", b"epoch", (), OLD)])
    daemon.backup("p")
    expected = records.read_topic(bootstrap, topic)
    for secret in ({"key_file": daemon.key_path.read_bytes()}, {"passphrase": phrase.read_bytes()}):
        vault = reader.Vault(reader.Folder(vault_path), **secret)
        assert sorted(vault.ring.epochs) == [1, 2]
        assert records.difference(expected, read_point(vault, topic, 1), offsets=True) is None
    with pytest.raises(reader.Broken, match="no key slot of 2 opens with this key"):
        reader.Vault(reader.Folder(vault_path), key_file=bytes(32))
