# SPDX-License-Identifier: Apache-2.0
"""Records out of a vault without Kafka and without a daemon. What comes out is read by parsers of this file alone, made
from docs/export.md, and compared with what an independent client wrote and reads."""

import base64
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import time

import pytest

from rig import groups, jobs, records
from rig.daemon import build_dir
from rig.records import record
from test_cli import tidemark

FAILED, USE, MISSING, CONFLICT, DIFFERENT = 1, 2, 7, 8, 9
NOW = int(time.time() * 1000) - 3_600_000
KINDS = {"none": records.NO_TIMESTAMP, "create": records.CREATE_TIME, "append": records.LOG_APPEND_TIME}


# Readers of the two forms

def from_json(line):
    """(topic, partition, Record) of a line."""
    one = json.loads(line)

    def get(holder, name):
        return base64.b64decode(holder[f"{name}_base64"], validate=True) if f"{name}_base64" in holder \
            else None if holder[name] is None else holder[name].encode()

    headers = tuple((get(header, "name").decode("latin-1"), get(header, "value")) for header in one["headers"])
    return one["topic"], one["partition"], records.Record(
        one["offset"], get(one, "key"), get(one, "value"), headers, one["timestamp_ms"], KINDS[one["timestamp_type"]])


def json_topics(text):
    """{topic: {partition: [Record]}}; a line is what ends with a line feed, and every reader agrees."""
    assert text == "" or text.endswith("\n")
    lines = text.split("\n")[:-1]
    assert lines == text.splitlines()
    found = {}
    for line in lines:
        topic, partition, one = from_json(line)
        found.setdefault(topic, {}).setdefault(partition, []).append(one)
    return found


class Tmvx:
    """A file of the binary form."""

    def __init__(self, data):
        self.data, self.at = data, 0
        assert self.take(4) == b"TMVX" and struct.unpack("<H", self.take(2)) == (1,)
        self.cluster_id = self.take(self.varint()).decode()
        self.topic = self.take(self.varint()).decode()
        self.partitions = {}
        while self.at < len(data):
            (length,) = struct.unpack("<I", self.take(4))
            end = self.at + length
            partition, one = self.record()
            assert self.at == end
            self.partitions.setdefault(partition, []).append(one)

    def take(self, count):
        assert self.at + count <= len(self.data)
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def nullable(self):
        length = self.varint()
        return None if length == 0 else self.take(length - 1)

    def record(self):
        partition, offset, zigzag = self.varint(), self.varint(), self.varint()
        timestamp = (zigzag >> 1) ^ -(zigzag & 1)
        kind = records.LOG_APPEND_TIME if self.take(1)[0] else records.CREATE_TIME
        headers = tuple((self.take(self.varint()).decode("latin-1"), self.nullable()) for _ in range(self.varint()))
        key, value = self.nullable(), self.nullable()
        return partition, records.Record(offset, key, value, headers, timestamp,
                                         records.NO_TIMESTAMP if timestamp == -1 else kind)


def odd_records():
    """What is hard to write down."""
    every = bytes(range(256))
    yield from (record(bytes([byte]), b"a" + bytes([byte]) + b"z", ((f"h{byte}", bytes([byte])),), NOW + byte)
                for byte in range(256))
    yield from [
        record(None, None, (), NOW), record(b"", b"", (("", b""), ("n", None), ("n", b"2")), NOW),
        record(every, every * 1000, (("all", every),), 1), record("ä\u2028\u2029\u0085\"\\/".encode(), "😀\r\n\t".encode(), (), -5),
        record(b"\xed\xa0\x80", b"\xc0\x80", (), 253_402_300_799_999), record(b"big", b"=" * 900_000, (), NOW),
    ]


@pytest.fixture(scope="module")
def dump(broker, tmp_path_factory):
    """A vault with topics of every kind of record, and no daemon: .export(...), .topics."""
    from rig.daemon import Daemon
    names = {name: f"{name}-{os.getpid()}" for name in ("odd", "plain", "stamped", "empty")}
    settings = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}
    for name, topic in names.items():
        more = {"message.timestamp.type": "LogAppendTime"} if name == "stamped" else {}
        records.create_topic(broker.bootstrap, topic, 3, config=settings | more)
    records.produce(broker.bootstrap, names["odd"], odd_records(), lambda index, _: index % 3)
    records.produce(broker.bootstrap, names["plain"], [record(b"k%d" % i, b"v%d" % i, (), NOW + i) for i in range(3000)],
                    lambda index, _: index % 2)
    records.produce(broker.bootstrap, names["stamped"], [record(b"k", b"v%d" % i) for i in range(20)])
    groups.commit(broker.bootstrap, f"g-{names['plain']}", {(names["plain"], 0): 700, (names["plain"], 1): 1500})
    daemon = Daemon({"policies": [jobs.policy(*names.values())]}, bootstrap=broker.bootstrap)
    try:
        daemon.start()
        daemon.backup("p")
        daemon.point = jobs.newest(daemon)["id"]
        daemon.stop()
        daemon.names = names
        daemon.access = ["--vault", daemon.directory / "vault", "--key-file", daemon.key_path]
        daemon.export = lambda *arguments, **options: tidemark("export", daemon.point, *daemon.access, *arguments, **options)
        daemon.topics = {topic: records.read_topic(broker.bootstrap, topic) for topic in names.values()}
        yield daemon
    finally:
        daemon.close()
        for topic in names.values():
            records.delete_topic(broker.bootstrap, topic)


def as_read(partitions):
    """As read_topic() gives it: partitions without records are there too."""
    return [partitions.get(number, []) for number in range(3)]


def test_json_lines_hold_every_record_as_it_was(dump):
    done = dump.export()
    found = json_topics(done.stdout)
    for topic in (dump.names[name] for name in ("odd", "plain", "stamped")):
        assert records.difference(dump.topics[topic], as_read(found[topic]), offsets=True) is None
    assert dump.names["empty"] not in found
    total = sum(len(part) for topic in dump.topics.values() for part in topic)
    assert f"exported {total} records" in done.stderr and "identical to what was stored" in done.stderr
    assert f"{dump.names['empty']}/0: no records" in done.stderr


def test_the_binary_form_is_read_by_a_reader_of_its_description(dump, tmp_path):
    dump.export("--format", "binary", "--to", f"{tmp_path}/out/")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{name}.tmvx" for name in dump.topics)
    for topic, expected in dump.topics.items():
        found = Tmvx((tmp_path / "out" / f"{topic}.tmvx").read_bytes())
        assert (found.topic, len(found.cluster_id)) == (topic, 22)
        assert records.difference(expected, as_read(found.partitions), offsets=True) is None
    piped = subprocess.run([build_dir() / "cli" / "tidemark", "export", dump.point, *dump.access, "--topic",
                            dump.names["plain"], "--format", "binary"], capture_output=True, check=True, timeout=60)
    assert piped.stdout == (tmp_path / "out" / f"{dump.names['plain']}.tmvx").read_bytes()
    refused = dump.export("--format", "binary", "--to", tmp_path / "one", status=USE)
    assert "a folder" in refused.stderr and not (tmp_path / "one").exists()


def test_topics_partitions_and_offsets_are_chosen(dump):
    plain = dump.names["plain"]
    found = json_topics(dump.export("--topic", "p*", "--topic", "odd-*", "--exclude", "/odd.*/", "--partition", "1",
                                    "--from-offset", "100", "--until-offset", "110").stdout)
    assert found == {plain: {1: dump.topics[plain][1][100:110]}}
    latest = tidemark("export", "latest", "--policy", "p", *dump.access, "--topic", plain, "-o", "json")
    summary = json.loads(latest.stderr)
    assert (summary["messages_count"], summary["proof"]) == (3000, "identical")
    dump.export("--topic", "nothing-like-it", status=MISSING)
    tidemark("export", "rp_01ARZ3NDEKTSV4RRFFQ69G5FAV", *dump.access, status=MISSING)


def test_records_are_chosen_as_a_restore_chooses_them(dump):
    """By record time, windows, skips, partitions and the newest few; offsets of every partition do not go with those
    that reach below the point."""
    plain = dump.names["plain"]
    zero, one, _ = dump.topics[plain]

    def chosen(*options):
        return json_topics(dump.export("--topic", plain, *options).stdout)[plain]

    def at(number):
        return str(NOW + number)  # of "k<number>", which lies in partition number % 2

    assert chosen("--from", at(1000), "--at", at(1010)) == {0: zero[500:505], 1: one[500:505]}
    assert chosen("--newest", "3") == {0: zero[-3:], 1: one[-3:]}
    assert chosen("--partitions", f"{plain}=1", "--skip", f"{plain}/1@5-9", "--until-offset", "12") == {
        1: one[:5] + one[10:12]}
    assert chosen("--window", f"{plain}/0@7..9", "--window", f"{plain}@{at(100)}..{at(102)}") == {
        0: zero[7:9] + zero[50:51], 1: one[50:51]}
    assert "do not go with" in dump.export("--from", at(0), "--from-offset", "4", status=USE).stderr
    assert "--skip" in dump.export("--skip", "nonsense", status=USE).stderr
    assert "the point is named" in dump.export("--as-of", "capture_time", status=USE).stderr


def test_a_file_appears_whole_or_not_at_all(dump, tmp_path):
    target = tmp_path / "all.jsonl"
    dump.export("--to", target)
    before = target.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]
    assert "is there already" in dump.export("--to", target, status=CONFLICT).stderr
    assert target.read_bytes() == before
    killed = subprocess.Popen([build_dir() / "cli" / "tidemark", "export", dump.point, *dump.access, "--to", tmp_path / "no"],
                              stderr=subprocess.DEVNULL, env=os.environ | {"TM_FAULTS": "job.export.record:crash@2500"})
    assert killed.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "no").exists()


def test_a_full_disk_and_a_closed_pipe_end_in_a_clear_error(dump):
    full = dump.export("--to", "/dev/full", status=FAILED)
    assert "/dev/full: No space left on device" in full.stderr and "exported" not in full.stderr
    reads = subprocess.Popen([build_dir() / "cli" / "tidemark", "export", dump.point, *dump.access], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    reads.stdout.readline()
    reads.stdout.close()
    said = reads.stderr.read()
    assert reads.wait(60) == FAILED and "standard output: Broken pipe" in said and "exported" not in said


def test_records_are_looked_at_with_and_without_a_daemon(dump):
    odd, point = dump.names["odd"], dump.point
    expected = [one for one in dump.topics[odd][0] if one.offset >= 80]

    def shown(document):
        return [from_json(json.dumps(item))[2] for item in document["items"]]

    direct = json.loads(tidemark("peek", f"{point}/{odd}/0@80", *dump.access, "--limit", 4, "-o", "json").stdout)
    assert shown(direct) == expected[:4] and direct["next_offset"] == 84
    dump.start()
    try:
        url = f"/v1/recovery-points/{point}/messages?topic={odd}&partition=0"
        assert dump.get(f"{url}&offset=80&limit=4") == direct
        assert len(dump.get(url)["items"]) == 10
        table = tidemark("peek", "latest", "--policy", "p", "--topic", odd, "--partition", 0, "--socket", dump.socket).stdout
        assert "HEADER" in table and "next offset  10" in table
        last = dump.get(f"/v1/recovery-points/latest/messages?policy=p&topic={odd}&partition=0&offset=80&limit=100")
        assert last["items"][-1]["truncated"] == {"value_bytes": 900_000} and "next_offset" not in last
        assert last["items"][-1]["value"] == "=" * 65536 and len(last["items"]) == len(expected)
        for status, query in ((404, f"topic={odd}&partition=9"), (404, "topic=none&partition=0"), (422, f"topic={odd}"),
                              (422, f"topic={odd}&partition=0&offset=100000"), (422, f"topic={odd}&partition=0&limit=101")):
            assert dump.api("GET", f"/v1/recovery-points/{point}/messages?{query}").status_code == status, query
        assert dump.api("GET", url.replace(point, "rp_01ARZ3NDEKTSV4RRFFQ69G5FAV")).status_code == 404
        assert "event=point.peeked" in dump.log() and f"topic={odd}" in dump.log()
        with open(dump.tokens_path, "a") as tokens:  # another token: every scope but that of contents
            tokens.write(f"looker read,operate,admin sha256:{hashlib.sha256(b'tm_looker').hexdigest()}\n")
        dump.stop()
        dump.start()
        assert dump.tcp("GET", url, token="tm_looker").status_code == 403
    finally:
        dump.stop()


def test_damage_in_the_vault_is_status_9_and_names_the_offsets(dump, tmp_path):
    packs = [path for path in (dump.directory / "vault" / "pack").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    whole = pack.read_bytes()
    pack.chmod(0o600)
    try:
        pack.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
        said = dump.export("--to", tmp_path / "out", status=DIFFERENT).stderr
    finally:
        pack.write_bytes(whole)
    assert "pack/" in said and not (tmp_path / "out").exists()


# Restore without a daemon

def restored(bootstrap, dump, suffix):
    for topic, expected in dump.topics.items():
        # What the source's broker stamped keeps its time; who set it then is the target's affair.
        expected = [[one._replace(timestamp_type=records.CREATE_TIME) for one in part] for part in expected]
        actual = [[one._replace(timestamp_type=records.CREATE_TIME) for one in part]
                  for part in records.read_topic(bootstrap, f"{topic}{suffix}")]
        assert records.difference(expected, actual) is None


def test_a_vault_and_a_key_are_enough_to_restore_into_another_cluster(dump, target_broker):
    into = ["restore", "latest", "--policy", "p", *dump.access, "--bootstrap", target_broker.bootstrap, "--rdkafka",
            "client.id=a-person", "--suffix", ".direct"]
    plan = json.loads(tidemark(*into, "--dry-run", "-o", "json").stdout)
    assert {topic["target"] for topic in plan["topics"]} == {f"{topic}.direct" for topic in dump.topics}
    assert not [name for name in records.topic_names(target_broker.bootstrap) if name.endswith(".direct")]

    no = tidemark(*into, status=USE)  # nobody types a name
    assert "nothing was done" in no.stderr
    assert not [name for name in records.topic_names(target_broker.bootstrap) if name.endswith(".direct")]

    for when in (("--at", "-2h"), ("--window", f"{dump.names['plain']}@-2h..")):
        assert f"{when[0]}: give the time itself" in tidemark(*into, *when, status=USE).stderr
    group = f"g-{dump.names['plain']}"
    assert "takes none, translate or report" in tidemark(*into, "--groups", "all", status=USE).stderr
    assert "go with --groups" in tidemark(*into, "--group", group, status=USE).stderr
    done = tidemark(*into, "--yes", "--groups", "translate", "--group", group, "--group-rename", f"{group}=trial-{group}",
                    timeout=120)
    total = sum(len(part) for topic in dump.topics.values() for part in topic)
    assert f"identical, {total} records\n" in done.stdout and dump.names["odd"] in done.stdout
    restored(target_broker.bootstrap, dump, ".direct")
    topic = f"{dump.names['plain']}.direct"
    assert groups.committed(target_broker.bootstrap, f"trial-{group}") == {(topic, 0): 700, (topic, 1): 1500}
    again = tidemark(*into, "--yes", status=CONFLICT)
    assert "in the way" in again.stdout and "topic-exists" in again.stdout


def test_a_direct_restore_that_was_killed_is_taken_up_again(dump, target_broker, tmp_path):
    into = ["restore", dump.point, *dump.access, "--bootstrap", target_broker.bootstrap, "--topic", dump.names["plain"],
            "--suffix", ".again", "--yes", "--state-dir", tmp_path / "state"]
    killed = subprocess.run([build_dir() / "cli" / "tidemark", *map(str, into)], capture_output=True, text=True, timeout=60,
                            check=False, env=os.environ | {"TM_FAULTS": "job.restore.sent:crash@1500"})
    assert killed.returncode == -signal.SIGKILL
    job = re.search(r"job_\w+", killed.stderr).group(0)
    other = [dump.names["odd"] if argument == dump.names["plain"] else argument for argument in into]
    assert "other options" in tidemark(*other, "--job", job, status=CONFLICT).stderr
    done = json.loads(tidemark(*into, "--job", job, "-o", "json", timeout=120).stdout)
    assert (done["id"], done["state"], done["result"]["proof"]) == (job, "succeeded", "identical")
    assert done["result"]["messages_count"] == 3000
    jobs.assert_restored(dump.topics[dump.names["plain"]], target_broker.bootstrap, f"{dump.names['plain']}.again")


def test_a_restore_by_the_daemon_from_the_command_line_and_its_report(dump, bootstrap):
    dump.start()
    try:
        into = ["restore", dump.point, "--socket", dump.socket, "--target", "source", "--topic", dump.names["plain"],
                "--rename", f"{dump.names['plain']}={dump.names['plain']}.cli"]
        assert f"{dump.names['plain']}.cli" in tidemark(*into, "--dry-run").stdout
        group = f"g-{dump.names['plain']}"
        job = json.loads(tidemark(*into, "--yes", "--groups", "report", "--group", group, "-o", "json", timeout=120).stdout)
        told, = job["result"]["consumer_groups"]
        assert (told["group"], told["state"], told["offsets_count"]) == (group, "reported", 2)
        report = tidemark("report", job["id"], "--socket", dump.socket).stdout
        assert report.startswith("identical, 3000 records\n") and dump.point in report
        assert job["result"]["options"]["rename"] == {dump.names["plain"]: f"{dump.names['plain']}.cli"}
        jobs.assert_restored(dump.topics[dump.names["plain"]], bootstrap, f"{dump.names['plain']}.cli")
    finally:
        dump.stop()
        if f"{dump.names['plain']}.cli" in records.topic_names(bootstrap):
            records.delete_topic(bootstrap, f"{dump.names['plain']}.cli")
