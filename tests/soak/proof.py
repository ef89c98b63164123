# SPDX-License-Identifier: Apache-2.0
"""The end of the soak: every incarnation of every topic is restored, read by a client that is not ours, and compared record
by record with what Kafka held when the incarnation ended, and that with the journals of the producers."""

from rig import jobs, records
from soak.writers import number_of

TWICE_WITHIN = 200  # records: what a producer has under way, and may send again


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
    """What Kafka holds against what it acknowledged, so that a fault of the rig is not taken for one of ours: each record is
    there, in order; beside them only what nobody knows of, and what Kafka wrote twice. Gives (doubtful, doubled)."""
    doubtful = doubled = 0
    for partition, records_there in enumerate(source):
        wanted = {number: one for (part, number), one in life.stored.items() if part == partition}
        seen = []
        for one in records_there:
            sent = wanted.get(number_of(one), life.doubts.get(number_of(one)))
            need(sent is not None, f"{what}/{partition}: nobody wrote {records.shown(one)}")
            need(one.content() == sent.content(), f"{what}/{partition}: {records.shown(one)} is not what was sent")
            again = number_of(one) in seen[-TWICE_WITHIN:]
            need(again or not seen or number_of(one) > max(seen[-TWICE_WITHIN:]), f"{what}/{partition}: out of order: {records.shown(one)}")
            doubled += again
            doubtful += number_of(one) not in wanted and not again
            seen.append(number_of(one))
        missing = set(wanted) - set(seen)
        need(not missing, f"Kafka has lost {what}/{partition}: {[wanted[one] for one in sorted(missing)[:3]]}")
    gone = [place for place in life.stored if place[0] >= len(source)]
    need(not gone, f"Kafka has lost {what}: {gone[:1]}")
    return doubtful, doubled


def compare_compacted(what, life, restored, source):
    """Compaction takes what it likes of what has a later record of its key; all else is there, once and in order."""
    for partition, there in enumerate(restored):
        wanted = {number: one for (part, number), one in life.stored.items() if part == partition}
        found = []
        for one in there:
            known = wanted.get(number_of(one))
            need(known is not None or number_of(one) in life.doubts, f"{what}/{partition}: unknown {records.shown(one)}")
            if known is not None:
                need(one.content() == known.content(), f"{what}/{partition}: {records.shown(one)}")
                found.append(number_of(one))
        need(all(left < right for left, right in zip(found, found[1:])), f"{what}/{partition}: twice, or out of order")
        still = {number_of(one) for one in source[partition]} & set(wanted)
        need(still <= set(found), f"{what}/{partition}: Kafka holds {sorted(still - set(found))[:5]}, the restore does not")
        last = {one.key: (number, one) for number, one in sorted(wanted.items())}
        for number, one in last.values():
            need(one.value is None or number in found, f"{what}/{partition}: the last record of a key is missing: {one}")


def compare_kept(writer, source):
    """Of a compacted topic Kafka still holds what it likes; what it holds is what was sent."""
    for partition, there in enumerate(source):
        for one in there:
            sent = writer.life.stored.get((partition, number_of(one)), writer.life.doubts.get(number_of(one)))
            need(sent is not None and sent.content() == one.content(), f"{writer.topic}/{partition}: {records.shown(one)} differs")


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
