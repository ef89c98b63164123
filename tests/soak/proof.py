# SPDX-License-Identifier: Apache-2.0
"""The end of the soak: every incarnation of every topic is restored, read by a client that is not ours, and compared with
the journals of the producers and with what Kafka itself still holds."""

from rig import jobs, records
from soak.writers import number_of


class Mismatch(AssertionError):
    pass


def all_items(daemon, path):
    """A list of the API, page by page."""
    found, cursor = [], None
    while True:
        page = daemon.get(path + (f"&cursor={cursor}" if cursor else ""))
        found += page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def incarnations(daemon):
    """{topic: {incarnation: (id, ends) of the newest point that has it}}"""
    found = {}
    for row in reversed(all_items(daemon, "/v1/recovery-points?policy=p&limit=100")):  # the oldest first
        point = daemon.get(f"/v1/recovery-points/{row['id']}")
        for topic in point["topics"]:
            ends = {part["partition"]: part["end_offset"] for part in topic["partitions"]}
            found.setdefault(topic["name"], {})[topic["incarnation"]] = (row["id"], ends)
    return found


def by_partition(life, partitions):
    """The journal as lists of records in offset order."""
    found = [[] for _ in range(partitions)]
    for (partition, _), one in sorted(life.stored.items()):
        found[partition].append(one)
    return found


def need(holds, text):
    if not holds:
        raise Mismatch(text)


def compare_exactly(what, expected, actual, doubts):
    """Each acknowledged record once and in order, equal in every field; between them only what nobody knows of. offsets
    may differ. Gives how many doubtful records are there."""
    seen = 0
    need(len(actual) >= len(expected), f"{what}: {len(actual)} partitions, not {len(expected)}")
    for partition, records_there in enumerate(actual):
        wanted = iter(expected[partition] if partition < len(expected) else [])
        following = next(wanted, None)
        for one in records_there:
            if following is not None and one.content() == following.content():
                following = next(wanted, None)
                continue
            doubt = doubts.get(number_of(one))
            need(doubt is not None and one.content() == doubt.content(),
                 f"{what}/{partition}: {records.shown(one)}, not {records.shown(following)}")
            seen += 1
        need(following is None, f"{what}/{partition}: {records.shown(following)} is missing")
    return seen


def compare_compacted(what, life, restored, source):
    """Compaction takes what it likes of what has a later record of its key; all else is there, once and in order."""
    offsets = {(partition, number_of(one)): offset for (partition, offset), one in life.stored.items()}
    for partition, there in enumerate(restored):
        found = []
        for one in there:
            known = offsets.get((partition, number_of(one)))
            need(known is not None or number_of(one) in life.doubts, f"{what}/{partition}: unknown {records.shown(one)}")
            if known is not None:
                need(one.content() == life.stored[partition, known].content(), f"{what}/{partition}: {records.shown(one)}")
                found.append(known)
        need(all(left < right for left, right in zip(found, found[1:])), f"{what}/{partition}: twice, or out of order")
        still = {offset for offset in (one.offset for one in source[partition]) if (partition, offset) in life.stored}
        need(still <= set(found), f"{what}/{partition}: Kafka holds {sorted(still - set(found))[:5]}, the restore does not")
        last = {}
        for (part, offset), one in sorted(life.stored.items()):
            if part == partition:
                last[one.key] = (offset, one)
        for offset, one in last.values():
            need(one.value is None or offset in found, f"{what}/{partition}: the last record of a key is missing: {one}")


def compare_source(writer, source):
    """Kafka itself against the journal of the newest life, so that a fault of the rig is not taken for one of ours."""
    life = writer.life
    for (partition, offset), one in life.stored.items():
        there = {} if partition >= len(source) else source[partition]
        need(writer.compacted or offset in there, f"Kafka has lost {writer.topic}/{partition}@{offset}")
        need(offset not in there or there[offset].content() == one.content(), f"{writer.topic}/{partition}@{offset} differs")


def prove(daemon, bootstrap, writers, say):
    """Raises Mismatch; gives what was compared."""
    known = incarnations(daemon)
    totals = {"records": 0, "incarnations": 0, "doubtful_found": 0}
    for writer in writers:
        have = known.get(writer.topic, {})
        need(sorted(have) == [life.number for life in writer.lives],
             f"{writer.topic}: incarnations {sorted(have)} in the vault, {len(writer.lives)} lives")
        source = records.read_topic(bootstrap, writer.topic)
        compare_source(writer, [{one.offset: one for one in part} for part in source])
        for life in writer.lives:
            point, ends = have[life.number]
            behind = {part: end for part, end in life.ends().items() if ends.get(part, 0) < end}
            need(not behind, f"{writer.topic}, life {life.number}: {point} ends at {ends}, acknowledged were {behind}")
            suffix = f".restored-{life.number}"
            jobs.restore(daemon, timeout=300, point=point, suffix=suffix, topics={"include": [writer.topic]})
            restored = records.read_topic(bootstrap, writer.topic + suffix)
            what = writer.topic + suffix
            newest = life is writer.life
            if writer.compacted:
                compare_compacted(what, life, restored, source)
            else:
                expected = by_partition(life, writer.partitions if newest else max([0, *life.ends()]) + 1)
                totals["doubtful_found"] += compare_exactly(what, expected, restored, life.doubts)
                found = records.difference(source, restored) if newest else None
                need(found is None, f"{what} against Kafka: {found}")
            totals["records"] += sum(map(len, restored))
            totals["incarnations"] += 1
            say(f"  {what}: {sum(map(len, restored))} records, as they were")
    return totals
