# SPDX-License-Identifier: Apache-2.0
"""The end of the soak: every incarnation of every topic is restored, read by a client that is not ours, and compared record
by record with what Kafka held when the incarnation ended, and that with the journals of the producers."""

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


def need(holds, text):
    if not holds:
        raise Mismatch(text)


def compare_journal(what, life, source):
    """What Kafka holds against what it acknowledged, so that a fault of the rig is not taken for one of ours: each record at
    its offset; beside them only what nobody knows of, and what Kafka wrote twice. Gives (doubtful, doubled)."""
    doubtful = doubled = 0
    for partition, records_there in enumerate(source):
        missing = {offset: one for (part, offset), one in life.stored.items() if part == partition}
        known = {number_of(one): one for one in missing.values()}
        for one in records_there:
            if (acknowledged := missing.pop(one.offset, None)) is not None:
                need(acknowledged.content() == one.content(), f"{what}/{partition}: {records.shown(one)} is not what was sent")
                continue
            twin, doubt = known.get(number_of(one)), life.doubts.get(number_of(one))
            same = [other for other in (twin, doubt) if other is not None and other.content() == one.content()]
            need(same, f"{what}/{partition}: nobody wrote {records.shown(one)}")
            doubled += twin is not None
            doubtful += twin is None
        need(not missing, f"Kafka has lost {what}/{partition}@{min(missing, default=None)}")
    gone = [place for place in life.stored if place[0] >= len(source)]
    need(not gone, f"Kafka has lost {what}: {gone[:1]}")
    return doubtful, doubled


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


def compare_kept(writer, source):
    """Of a compacted topic Kafka still holds what it likes; what it holds is what was sent."""
    for (partition, offset), one in writer.life.stored.items():
        there = {} if partition >= len(source) else {other.offset: other for other in source[partition]}
        need(offset not in there or there[offset].content() == one.content(), f"{writer.topic}/{partition}@{offset} differs")


def prove_life(writer, life, restored, totals):
    """life.source is the topic as Kafka held it when the life ended: what is restored is that, record by record."""
    if writer.compacted:
        compare_kept(writer, life.source)
        compare_compacted(writer.topic, life, restored, life.source)
        return
    what = f"{writer.topic}, life {life.number}"
    doubtful, doubled = compare_journal(what, life, life.source)
    totals["doubtful_found"] += doubtful
    totals["doubled_by_kafka"] += doubled
    shared = min(len(life.source), len(restored))  # a partition added last may be newer than the point, and is empty
    found = records.difference(life.source[:shared], restored[:shared])
    need(found is None, f"{what} against Kafka: {found}")
    need(not any(life.source[shared:] + restored[shared:]), f"{what}: {len(restored)} partitions, not {len(life.source)}")


def prove(daemon, bootstrap, writers, say):
    """Raises Mismatch; gives what was compared."""
    known = incarnations(daemon)
    totals = {"records": 0, "incarnations": 0, "doubtful_found": 0, "doubled_by_kafka": 0}
    for writer in writers:
        have = known.get(writer.topic, {})
        need(sorted(have) == [life.number for life in writer.lives],
             f"{writer.topic}: incarnations {sorted(have)} in the vault, {len(writer.lives)} lives")
        writer.life.source = records.read_topic(bootstrap, writer.topic)
        for life in writer.lives:
            point, ends = have[life.number]
            behind = {part: end for part, end in life.ends().items() if ends.get(part, 0) < end}
            need(not behind, f"{writer.topic}, life {life.number}: {point} ends at {ends}, acknowledged were {behind}")
            suffix = f".restored-{life.number}"
            jobs.restore(daemon, timeout=300, point=point, suffix=suffix, topics={"include": [writer.topic]})
            restored = records.read_topic(bootstrap, writer.topic + suffix)
            prove_life(writer, life, restored, totals)
            totals["records"] += sum(map(len, restored))
            totals["incarnations"] += 1
            say(f"  {writer.topic + suffix}: {sum(map(len, restored))} records, as they were")
    return totals
