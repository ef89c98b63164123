# SPDX-License-Identifier: Apache-2.0
"""Consumer groups: kept in the points, where they stood when the point's data ended, and put back by restores to the
right record. Who checks is confluent-kafka: its admin client, and consumers of the groups themselves."""

import threading
import time
import urllib.parse

import pytest

import pytest

from rig import groups, jobs, records
from rig.records import record

NOW = int(time.time() * 1000) - 3_600_000


def some_records(count, first=0):
    return [record(b"key %d" % number, b"value %d" % number, timestamp=NOW + number)
            for number in range(first, first + count)]


def in_point(point):
    """{group: {(topic, partition): (offset, metadata)}} of a point."""
    return {group["group"]: {(one["topic"], one["partition"]): (one["offset"], one.get("metadata", ""))
                             for one in group["offsets"]} for group in point["consumer_groups"]}


def warnings(job):
    return {warning["code"]: warning["detail"] for warning in job.get("warnings", [])}


@pytest.mark.both_kafkas
def test_a_point_has_the_offsets_and_metadata_of_the_groups_of_its_topics(bootstrap, new_topic, tidemarkd):
    """Rows that change go into the next point, groups that are gone go out of it, and older points stay as they were."""
    topic, other = new_topic(3), new_topic()
    for partition in range(3):
        records.produce(bootstrap, topic, some_records(20), partition=partition)
    first, second = f"g1-{topic}", f"g2-{topic}"
    groups.commit(bootstrap, first, {(topic, 0): 7, (topic, 2): 20, (other, 0): 0}, metadata="by hand \u00e9")
    groups.commit(bootstrap, second, {(topic, 1): 5})
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    old = jobs.newest(daemon)
    kept = in_point(old)
    assert {first, second} <= set(kept) and not any(name.startswith("tidemark.") for name in kept)
    assert kept[first] == {(topic, 0): (7, "by hand \u00e9"), (topic, 2): (20, "by hand \u00e9")}
    assert kept[second] == {(topic, 1): (5, "")}

    groups.commit(bootstrap, second, {(topic, 1): 6})
    records.settle(records.admin(bootstrap), "delete_consumer_groups", [first])
    records.produce(bootstrap, topic, some_records(1))
    daemon.backup("p")
    newer = in_point(jobs.newest(daemon))
    assert first not in newer and newer[second] == {(topic, 1): (6, "")}
    assert in_point(daemon.get(f"/v1/recovery-points/{old['id']}")) == kept

    # A run that finds nothing new makes no point for a group that moved a moment ago; asked for by hand it does.
    groups.commit(bootstrap, second, {(topic, 1): 9})
    assert daemon.run_job("/v1/backups", {"policy": "p"})["result"]["unchanged"]
    assert daemon.run_job("/v1/backups", {"policy": "p", "note": "now"})["state"] == "succeeded"
    assert in_point(jobs.newest(daemon))[second] == {(topic, 1): (9, "")}


def test_progress_is_shown_as_the_offsets_of_a_group(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    records.produce(bootstrap, topic, some_records(30), lambda index, _: index % 2)
    daemon = tidemarkd({"policies": [jobs.policy(topic, name=f"lag-{topic}"),
                                     jobs.policy(topic, name=f"quiet-{topic}", lag_group=False)]})
    daemon.backup(f"lag-{topic}")
    daemon.backup(f"quiet-{topic}")
    assert groups.committed(bootstrap, f"tidemark.lag-{topic}") == {(topic, 0): 15, (topic, 1): 15}
    assert f"tidemark.quiet-{topic}" not in groups.names(bootstrap)
    records.produce(bootstrap, topic, some_records(4), partition=1)
    daemon.backup(f"lag-{topic}")
    assert groups.committed(bootstrap, f"tidemark.lag-{topic}") == {(topic, 0): 15, (topic, 1): 19}


def test_groups_and_configurations_are_left_out_where_the_policy_says_so(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(3))
    groups.commit(bootstrap, f"g-{topic}", {(topic, 0): 2})
    daemon = tidemarkd({"policies": [jobs.policy(topic, consumer_groups=False, topic_configs=False)]})
    daemon.backup("p")
    point = jobs.newest(daemon)
    assert "consumer_groups" not in point and "config" not in point["topics"][0]


@pytest.fixture
def two_clusters(tidemarkd, broker, target_broker):
    """two_clusters(topic, ...): a daemon with the clusters `source` and `target` that has backed the topics up."""

    def make(*topics, backup=True, **policy):
        clusters = jobs.clusters(source=broker.bootstrap, target=target_broker.bootstrap)
        daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(*topics, **policy)]})
        if backup:
            daemon.backup("p")
        return daemon

    return make


def write_with_holes(bootstrap, topic, partition, rounds=40):
    """Transactions, of which every third is aborted: markers and records that no reader is given lie between."""
    client = records.producer(bootstrap, transactional_id=f"{topic}-{partition}")
    client.init_transactions(30)
    for number in range(rounds):
        client.begin_transaction()
        for one in some_records(1 + number % 4, 10 * number):
            records.send(client, topic, one, partition)
        if number % 3 == 2:
            client.flush(30)  # else nothing of it reaches the log
            client.abort_transaction(30)
        else:
            client.commit_transaction(30)


def offsets_of(bootstrap, topic):
    """What a reader is given: a list of offsets a partition."""
    return [[one.offset for one in part] for part in records.read_topic(bootstrap, topic)]


def expected_rest(bootstrap, topic, partition, offset):
    """(key, value) of the records that a group at this offset of the source has not read yet."""
    return [(one.key, one.value) for one in records.read_topic(bootstrap, topic)[partition] if one.offset >= offset]


def given(messages):
    return [(message.key(), message.value()) for message in messages]


def report(job):
    return {group["group"]: group for group in job["result"]["consumer_groups"]}


def offset_map(daemon, job, **query):
    """All rows of a job's offset map, read in pages."""
    rows, cursor = [], None
    while True:
        more = query | ({"cursor": cursor} if cursor else {})
        page = daemon.get(f"/v1/restores/{job['id']}/offset-map?{urllib.parse.urlencode(more)}")
        rows += page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return rows


def test_trap_group_offsets(bootstrap, target_broker, new_topic, two_clusters):
    """A consumer goes on, after a restore, at exactly the record that it would have read next: wherever it stood, on a
    record, on a marker, in what was aborted, before the first and behind the last."""
    topic = new_topic(3)
    for partition in range(2):  # the third stays empty
        write_with_holes(bootstrap, topic, partition)
    there = offsets_of(bootstrap, topic)
    end = jobs.log_ends(bootstrap, topic)[topic, 0]
    holes = sorted(set(range(end)) - set(there[0]))
    assert len(holes) > 20 and end - 1 in holes  # the last one is a marker
    stands = {"start": 0, "record": there[0][17], "hole": holes[9], "last": there[0][-1], "marker": end - 1, "end": end}
    for name, offset in stands.items():
        groups.commit(bootstrap, f"{name}-{topic}", {(topic, 0): offset, (topic, 1): there[1][5], (topic, 2): 0},
                      metadata=f"of {name}")
    daemon = two_clusters(topic)
    target, renamed = target_broker.bootstrap, f"{topic}.restored"
    job = jobs.restore(daemon, cluster="target", rename={topic: renamed},
                       consumer_groups={"mode": "translate", "groups": [f"*-{topic}"]})
    restored = offsets_of(target, renamed)
    assert [len(part) for part in restored] == [len(part) for part in there]
    for name, offset in stands.items():
        group = f"{name}-{topic}"
        told = report(job)[group]
        assert (told["state"], told["target"], told["offsets_count"]) == ("committed", group, 3)
        place = next(one for one in told["offsets"] if one["partition"] == 0)
        consumed = sum(one < offset for one in there[0])
        assert place["offset"] == offset and place["target_offset"] == consumed
        assert place["found"] == ("exact" if offset in there[0] else "end" if consumed == len(there[0]) else "next")
        set_there = groups.committed(target, group, metadata=True)
        assert set_there == {(renamed, 0): (consumed, f"of {name}"), (renamed, 1): (5, f"of {name}"),
                             (renamed, 2): (0, f"of {name}")}
    rows = offset_map(daemon, job, limit=7)
    assert sum(row["messages_count"] for row in rows) == sum(len(part) for part in there)
    expected = [(p, offset, number) for p, part in enumerate(there) for number, offset in enumerate(part)]
    assert expected == [(row["partition"], row["first_offset"] + n, row["target_first_offset"] + n)
                        for row in rows for n in range(row["messages_count"])]
    answer = daemon.api("GET", f"/v1/restores/{job['id']}/offset-map?partition=1", headers={"Accept": "text/csv"})
    assert answer.headers["Content-Type"] == "text/csv" and len(answer.text.split("\r\n")) == 2 + sum(
        row["partition"] == 1 for row in rows)
    assert daemon.api("GET", f"/v1/restores/{job['id']}/offset-map?limit=x").status_code == 422

    for name in ("hole", "record", "marker"):
        rest = groups.resumed(target, f"{name}-{topic}", renamed)
        assert given(rest[renamed, 0]) == expected_rest(bootstrap, topic, 0, stands[name])
        assert given(rest[renamed, 1]) == expected_rest(bootstrap, topic, 1, there[1][5])
        assert rest[renamed, 2] == []


def test_a_group_finds_its_place_among_the_holes_of_compaction(bootstrap, target_broker, new_topic, two_clusters):
    """Hundreds of holes of one record, restored without them: the answer for each offset is the one counted."""
    topic = new_topic(cleanup_policy="compact", segment_ms=300, min_cleanable_dirty_ratio=0.01)
    records.produce(bootstrap, topic, [record(b"%d" % (number if number % 3 else 0), b"v%d" % number, timestamp=NOW)
                                       for number in range(1500)])
    records.produce(bootstrap, topic, [record(b"roll", b"it", timestamp=NOW + 1000)])  # the segment's time is over
    records.wait_until(lambda: len(records.read_topic(bootstrap, topic)[0]) < 1010, "compaction")
    there = offsets_of(bootstrap, topic)[0]
    stands = {f"g{offset}-{topic}": offset for offset in (0, 1, 298, 299, 300, 301, 1499, there[-1], there[-1] + 1)}
    for group, offset in stands.items():
        groups.commit(bootstrap, group, {(topic, 0): offset})
    daemon = two_clusters(topic)
    job = jobs.restore(daemon, cluster="target", topic_configs="broker", consumer_groups={"mode": "translate"})
    target = target_broker.bootstrap
    for group, offset in stands.items():
        assert groups.committed(target, group) == {(topic, 0): sum(one < offset for one in there)}, group
    rest = groups.resumed(target, f"g300-{topic}", topic)
    assert given(rest[topic, 0]) == expected_rest(bootstrap, topic, 0, 300)


def test_groups_are_renamed_reported_only_or_refused_while_their_members_are_there(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(30))
    mine, other = f"mine-{topic}", f"other-{topic}"
    groups.commit(bootstrap, mine, {(topic, 0): 12}, metadata="m")
    groups.commit(bootstrap, other, {(topic, 0): 3})
    daemon = two_clusters(topic)
    target = target_broker.bootstrap

    job = jobs.restore(daemon, cluster="target", suffix=".a")
    assert "consumer_groups" not in job["result"]
    job = jobs.restore(daemon, cluster="target", suffix=".b",
                       consumer_groups={"mode": "report", "groups": [mine, "nobody"]})
    assert [(one["group"], one["state"]) for one in job["result"]["consumer_groups"]] == [(mine, "reported")]
    assert report(job)[mine]["offsets"][0]["target_offset"] == 12
    assert '"nobody"' in warnings(job)["group-missing"]
    assert not {mine, other} & groups.names(target)

    wanted = {"mode": "translate", "groups": [mine], "rename": {mine: f"new-{topic}"}}
    body = jobs.restore_body(cluster="target", suffix=".c", consumer_groups=wanted)
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    assert plan["groups"] == [{"group": mine, "target": f"new-{topic}", "offsets_count": 1, "exists": False}]
    job = jobs.restore(daemon, cluster="target", suffix=".c", consumer_groups=wanted, plan_digest=plan["plan_digest"])
    assert groups.committed(target, f"new-{topic}", metadata=True) == {(f"{topic}.c", 0): (12, "m")}
    assert not {mine, other} & groups.names(target)

    records.create_topic(target, f"{topic}.busy")
    records.produce(target, f"{topic}.busy", some_records(1))
    body = jobs.restore_body(cluster="target", suffix=".d", consumer_groups={"mode": "translate", "groups": [mine]})
    with groups.member(target, mine, f"{topic}.busy", auto_offset_reset="earliest"):
        plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
        assert [one["code"] for one in plan["blocking"]] == ["groups-active"] and mine in plan["blocking"][0]["detail"]
        refused = daemon.api("POST", "/v1/restores", json=body)
        assert refused.status_code == 422 and refused.json()["type"] == "/problems/groups-active", refused.text
    assert f"{topic}.d" not in records.topic_names(target)
    jobs.restore(daemon, **{key: value for key, value in body.items() if key == "consumer_groups"}, cluster="target",
                 suffix=".d")
    assert groups.committed(target, mine)[f"{topic}.d", 0] == 12


def test_a_group_that_becomes_active_during_the_restore_is_left_alone_and_the_job_says_so(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(20))
    groups.commit(bootstrap, f"g-{topic}", {(topic, 0): 7})
    daemon = two_clusters(topic)
    target = target_broker.bootstrap
    records.create_topic(target, f"{topic}.busy")
    records.produce(target, f"{topic}.busy", some_records(1))
    daemon.stop()
    daemon.start(env={"TM_FAULTS": "job.restore.proved:crash"})
    body = jobs.restore_body(cluster="target", consumer_groups={"mode": "translate"})
    job = daemon.api("POST", "/v1/restores", json=body).json()
    records.wait_until(lambda: not daemon.running, "the crash before the groups are set")
    with groups.member(target, f"g-{topic}", f"{topic}.busy", auto_offset_reset="earliest"):
        daemon.start()
        job = daemon.wait_job(job["id"])
        assert job["state"] == "partial" and job["result"]["proof"] == "identical", job
        told = report(job)[f"g-{topic}"]
        assert told["state"] == "failed" and "active members" in told["detail"]
    assert (topic, 0) not in groups.committed(target, f"g-{topic}")


def test_a_restore_killed_before_and_after_its_groups_were_set_sets_them_once(
        bootstrap, target_broker, new_topic, two_clusters):
    topic = new_topic()
    write_with_holes(bootstrap, topic, 0)
    there = offsets_of(bootstrap, topic)[0]
    groups.commit(bootstrap, f"g-{topic}", {(topic, 0): there[20]})
    daemon = two_clusters(topic)
    target = target_broker.bootstrap
    for number, fault in enumerate(("groups.restore.set", "job.restore.groups")):
        renamed = f"{topic}.{number}"
        daemon.stop()
        daemon.start(env={"TM_FAULTS": f"{fault}:crash"})
        wanted = {"mode": "translate", "rename": {f"g-{topic}": f"g{number}-{topic}"}}
        body = jobs.restore_body(cluster="target", rename={topic: renamed}, consumer_groups=wanted)
        job = daemon.api("POST", "/v1/restores", json=body).json()
        records.wait_until(lambda: not daemon.running, f"{fault} to crash")
        consumed = 0
        if fault == "job.restore.groups":  # its consumer begins at once, and is not thrown back
            assert groups.committed(target, f"g{number}-{topic}") == {(renamed, 0): 20}
            groups.commit(target, f"g{number}-{topic}", {(renamed, 0): 25})
            consumed = 5
        daemon.start()
        job = daemon.wait_job(job["id"])
        assert job["state"] == "succeeded" and job["resumed_count"] == 1, job
        assert report(job)[f"g-{topic}"]["offsets"][0]["target_offset"] == 20
        assert groups.committed(target, f"g{number}-{topic}") == {(renamed, 0): 20 + consumed}


def test_trap_group_snapshot_at_the_captured_end(bootstrap, target_broker, new_topic, two_clusters):
    """A group that stands behind the end of the point has read all of it and nothing behind: the restored one is given
    what comes next, once. It stands there for sure where an open transaction holds the end back; and while producers and
    consumers are at work, every point has its group within its ends."""
    topic = new_topic(2)
    group = f"g-{topic}"
    records.produce(bootstrap, topic, some_records(50), lambda index, _: index % 2)
    client = records.producer(bootstrap, transactional_id=topic)
    client.init_transactions(30)
    client.begin_transaction()
    for one in some_records(5, 1000):
        records.send(client, topic, one, 0)
    client.flush(30)
    records.produce(bootstrap, topic, some_records(5, 2000), partition=0)
    groups.commit(bootstrap, group, {(topic, 0): 33, (topic, 1): 20})  # it reads uncommitted records
    daemon = two_clusters(topic)
    first = jobs.newest(daemon)
    assert jobs.ends(first) == {(topic, 0): 25, (topic, 1): 25}
    assert in_point(first)[group] == {(topic, 0): (25, ""), (topic, 1): (20, "")}
    client.commit_transaction(30)

    stop = threading.Event()

    def work():  # the group commits what was written a moment ago: mostly behind the end of the point
        number = 3000
        while not stop.is_set():
            records.produce(bootstrap, topic, some_records(20, number), lambda index, _: index % 2)
            ends = jobs.log_ends(bootstrap, topic)
            groups.commit(bootstrap, group, {(topic, p): ends[topic, p] for p in range(2)})
            number += 20

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(5):
            assert daemon.run_job("/v1/backups", {"policy": "p", "note": f"{number}"})["state"] == "succeeded"
    finally:
        stop.set()
        worker.join()
    daemon.backup("p")
    points = daemon.get("/v1/recovery-points?policy=p")["items"]
    for line in points:
        point = daemon.get(f"/v1/recovery-points/{line['id']}")
        ends = jobs.ends(point)
        assert all(offset <= ends[key] for key, (offset, _) in in_point(point)[group].items())
    for point in (first, daemon.get(f"/v1/recovery-points/{points[1]['id']}")):
        ends, kept = jobs.ends(point), in_point(point)[group]
        renamed, new = f"{topic}.{point['id']}", f"{group}.{point['id']}"
        jobs.restore(daemon, point=point["id"], cluster="target", rename={topic: renamed},
                     consumer_groups={"mode": "translate", "groups": [group], "rename": {group: new}})
        rest = groups.resumed(target_broker.bootstrap, new, renamed)
        for partition, all_of_it in enumerate(records.read_topic(bootstrap, topic)):
            expected = [one for one in all_of_it if kept[topic, partition][0] <= one.offset < ends[topic, partition]]
            assert given(rest[renamed, partition]) == [(one.key, one.value) for one in expected]


def test_trap_group_offsets_belong_to_a_point(bootstrap, target_broker, new_topic, two_clusters):
    """Each point has the offsets of its own time: an old one is not paired with newer offsets."""
    topic = new_topic()
    group = f"g-{topic}"
    daemon = two_clusters(topic, backup=False)
    points = []
    for number in range(3):
        records.produce(bootstrap, topic, some_records(10, 10 * number))
        groups.commit(bootstrap, group, {(topic, 0): 10 * number + 4}, metadata=f"run {number}")
        daemon.backup("p")
        points.append(jobs.newest(daemon)["id"])
    groups.commit(bootstrap, group, {(topic, 0): 30})
    for number, point in enumerate(points):
        renamed = f"{topic}.{number}"
        jobs.restore(daemon, point=point, cluster="target", rename={topic: renamed},
                     consumer_groups={"mode": "translate", "rename": {group: f"{group}.{number}"}})
        assert groups.committed(target_broker.bootstrap, f"{group}.{number}", metadata=True) == {
            (renamed, 0): (10 * number + 4, f"run {number}")}
        rest = groups.resumed(target_broker.bootstrap, f"{group}.{number}", renamed)
        assert [int(key.split()[1]) for key, _ in given(rest[renamed, 0])] == list(
            range(10 * number + 4, 10 * number + 10))


def unread_by(stands, written):
    """(key, value) of what a group has not read; written: {partition: [record, ...]} of the source, without holes."""
    return {(one.key, one.value) for partition, part in written.items() for one in part[stands[partition]:]}


def lowest(part, unread):
    """The first place of a restored partition that holds something unread; its end where all was read."""
    return next((place for place, one in enumerate(part) if (one.key, one.value) in unread), len(part))


def test_groups_stand_at_the_first_unread_record_of_what_was_put_together(
        bootstrap, target_broker, new_topic, two_clusters):
    """By key into another count, by a map that swaps, and by one that merges: nothing unread is passed over, and what
    is read again is no more than must be. A group that has read one source partition only begins with the others."""
    topic = new_topic(3)
    target = target_broker.bootstrap
    written = {partition: [record(b"key %d" % (number * 3 + partition), b"%d@%d" % (partition, number),
                                  timestamp=NOW + number * 3 + partition) for number in range(120)]
               for partition in range(3)}
    for partition, part in written.items():
        records.produce(bootstrap, topic, part, partition=partition)
    stands = {"some": {0: 40, 1: 65, 2: 90}, "begun": {0: 120, 1: 0, 2: 0}, "done": {0: 120, 1: 120, 2: 120}}
    for name, offsets in stands.items():
        groups.commit(bootstrap, f"{name}-{topic}", {(topic, number): offset for number, offset in offsets.items()},
                      metadata=name)
    groups.commit(bootstrap, f"one-{topic}", {(topic, 0): 100})
    stands["one"] = {0: 100, 1: 0, 2: 0}
    daemon = two_clusters(topic)

    def restored_as(suffix, **how):
        job = jobs.restore(daemon, cluster="target", suffix=suffix, consumer_groups={
            "mode": "translate", "groups": [f"*-{topic}"], "rename": {f"{name}-{topic}": f"{name}-{topic}{suffix}"
                                                                      for name in stands}}, **how)
        told = report(job)
        assert {group["state"] for group in told.values()} == {"committed"} and len(told) == len(stands)
        return records.read_topic(target, f"{topic}{suffix}"), told

    for suffix, how in ((".hash", {"partitions": "hash", "partition_count": 4}),
                        (".map", {"partitions": {"0": 1, "1": 1, "2": 0}})):
        there, told = restored_as(suffix, **how)
        assert sum(map(len, there)) == 360
        for name, offsets in stands.items():
            unread = unread_by(offsets, written)
            at = groups.committed(target, f"{name}-{topic}{suffix}")
            shared = range(len(there)) if suffix == ".hash" else [1]
            expected = {(f"{topic}{suffix}", number): lowest(there[number], unread) for number in shared}
            if suffix == ".map" and name != "one":
                expected[f"{topic}{suffix}", 0] = offsets[2]  # the only source of this one
            assert at == expected, (suffix, name)
            if set(at) == {(f"{topic}{suffix}", number) for number in range(len(there))}:
                rest = groups.resumed(target, f"{name}-{topic}{suffix}", f"{topic}{suffix}")
                assert unread <= {one for part in rest.values() for one in given(part)}, (suffix, name)
        assert {one["found"] for one in told[f"some-{topic}"]["offsets"]} <= {"lowest", "exact"}

    there, _ = restored_as(".swap", partitions={"0": 2, "1": 0, "2": 1})
    jobs.assert_restored([written[1], written[2], written[0]], target, f"{topic}.swap")
    for name in ("some", "begun", "done"):
        assert groups.committed(target, f"{name}-{topic}.swap") == {
            (f"{topic}.swap", to): stands[name][source] for source, to in ((0, 2), (1, 0), (2, 1))}


def test_groups_go_behind_what_a_live_topic_held(bootstrap, target_broker, new_topic, two_clusters):
    """Appended records lie behind those of strangers and between markers of our transactions; the group goes on at
    the record it would have read next, and does not read the stranger's again."""
    topic = new_topic(2)
    target = target_broker.bootstrap
    for partition in range(2):
        write_with_holes(bootstrap, topic, partition, rounds=30)
    there = offsets_of(bootstrap, topic)
    stands = {0: there[0][10], 1: there[1][-1] + 1}
    groups.commit(bootstrap, f"g-{topic}", {(topic, number): offset for number, offset in stands.items()})
    daemon = two_clusters(topic)
    records.create_topic(target, topic, 2)
    for partition, count in ((0, 7), (1, 31)):
        records.produce(target, topic, [record(b"stranger", b"%d" % number) for number in range(count)],
                        partition=partition)
    job = jobs.restore(daemon, cluster="target", existing="append",
                       consumer_groups={"mode": "translate", "groups": [f"g-{topic}"]})
    assert report(job)[f"g-{topic}"]["state"] == "committed"
    behind = [[one for one in part if one.key != b"stranger"] for part in records.read_topic(target, topic)]
    assert [len(part) for part in behind] == [len(part) for part in there]
    at = groups.committed(target, f"g-{topic}")
    assert at[topic, 0] == behind[0][10].offset > 7
    assert behind[1][-1].offset < at[topic, 1] <= jobs.log_ends(target, topic)[topic, 1]
    rest = groups.resumed(target, f"g-{topic}", topic)
    assert given(rest[topic, 0]) == expected_rest(bootstrap, topic, 0, stands[0]) and rest[topic, 1] == []
