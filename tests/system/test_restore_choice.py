# SPDX-License-Identifier: Apache-2.0
"""What is restored: by time, by windows, without what is skipped, the newest few. Each restore is compared with what
plain Python chooses of the records that an independent client reads from the source."""

import random
import time
from datetime import datetime, timezone

from confluent_kafka import TopicPartition

from rig import jobs, records
from rig.records import record
from test_cli import tidemark

MINUTE = 60_000


def now_ms():
    return int(time.time() * 1000)


def rfc3339(time_ms):
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def shuffled(count, around, rng, name=b"r"):
    """Records whose timestamps are in no order, within a minute around a moment."""
    return [record(b"%s-%d" % (name, number), b"v" * rng.randrange(40), (("n", b"%d" % number), ("n", None)),
                   around + rng.randrange(-MINUTE, MINUTE)) for number in range(count)]


def chosen(bootstrap, topic, takes):
    """What plain Python takes of the topic: takes(partition, record)."""
    return [[one for one in part if takes(number, one)]
            for number, part in enumerate(records.read_topic(bootstrap, topic))]


def restored(daemon, bootstrap, topic, expected, source=None, suffix=".r", **request):
    """Restore under a name of its own, compare, and give the plan: it has to have counted what was written."""
    body = jobs.restore_body(suffix=suffix, **request)
    body["source"] = source or body["source"]
    body.setdefault("topics", {"include": [topic]})
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    assert plan.get("blocking") == [], plan
    job = daemon.run_job("/v1/restores", body | {"plan_digest": plan["plan_digest"]})
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    jobs.assert_restored(expected, bootstrap, topic + suffix)
    assert plan["counts_exact"] and plan["messages_count"] == sum(len(part) for part in expected), plan
    records.delete_topic(bootstrap, topic + suffix)
    return plan


def backed_up_at(daemon):
    """Back up; the new point, and a moment that is surely behind it."""
    daemon.backup("p")
    point = jobs.newest(daemon)
    time.sleep(0.01)
    return point["id"], now_ms()


def refused(daemon, status, words, **request):
    body = jobs.restore_body(suffix=".r") | request
    plan = daemon.api("POST", "/v1/restores/plan", json=body)
    answer = daemon.api("POST", "/v1/restores", json=body)
    assert answer.status_code == status and words in answer.text, (answer.status_code, answer.text)
    return plan.json()


def test_trap_restore_by_time_is_by_every_record(tidemarkd, bootstrap, new_topic):
    """Three points, timestamps in no order in each: as of a moment between two points, it is every record that counts,
    also those that came late, and none besides."""
    rng = random.Random(5)
    topic = new_topic(2)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    batches = []
    moments = []
    for name in (b"one", b"two", b"three"):
        batch = shuffled(400, now_ms(), rng, name)
        records.produce(bootstrap, topic, batch, lambda index, _: index % 2)
        batches.append(batch)
        moments.append(backed_up_at(daemon))
    (first, at), (second, _), (_third, _) = moments

    source = {"policy": "p", "at": rfc3339(at)}
    plan = restored(daemon, bootstrap, topic, chosen(bootstrap, topic, lambda _, one: one.timestamp < at), source)
    assert [point["id"] for point in plan["source"]["recovery_points"]] == [second]
    assert plan["source"]["at"] == rfc3339(at) and plan["source"]["as_of"] == "record_time"

    limits = [[200, 400, 600][place] for place in range(3)]  # of each partition, in the three points
    source = {"recovery_point": second, "at": str(at)}
    restored(daemon, bootstrap, topic,
             chosen(bootstrap, topic, lambda _, one: one.timestamp < at and one.offset < limits[1]), source)
    plan = restored(daemon, bootstrap, topic, chosen(bootstrap, topic, lambda _, one: one.offset < limits[0]),
                    {"policy": "p", "at": rfc3339(at), "as_of": "capture_time"})
    assert [point["id"] for point in plan["source"]["recovery_points"]] == [first]

    plan = restored(daemon, bootstrap, topic, chosen(bootstrap, topic, lambda _, one: one.timestamp >= at),
                    **{"from": rfc3339(at)})
    later = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(suffix=".r") | {
        "source": {"policy": "p", "at": rfc3339(now_ms() + MINUTE)}}).json()
    assert [note["code"] for note in later["warnings"]] == ["point-before-at"], later
    early = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body() | {
        "source": {"policy": "p", "at": "-30d", "as_of": "capture_time"}})
    assert early.status_code == 404 and "has no point that was taken" in early.text


def test_trap_erased_data_stays_out(tidemarkd, bootstrap, new_topic):
    """What is on the skip list is in no restore, and not in a restore of a backup of that."""
    topic = new_topic(2)
    erased = b"somebody's name"
    written = [record(b"%d" % number, erased if number % 7 == 0 else b"v") for number in range(300)]
    records.produce(bootstrap, topic, written, lambda index, _: index % 2)
    daemon = tidemarkd({"policies": [jobs.policy(topic), jobs.policy(f"{topic}.kept", name="again")]})
    daemon.backup("p")
    skip = [f"{topic}/{number}@{one.offset}" for number, part in enumerate(records.read_topic(bootstrap, topic))
            for one in part if one.value == erased]
    skip += [f"{topic}/1@100-109", "elsewhere/0@5", f"{topic}/0@900"]
    expected = chosen(bootstrap, topic, lambda number, one: one.value != erased and not (
        number == 1 and 100 <= one.offset <= 109))
    plan = restored(daemon, bootstrap, topic, expected, skip=skip)
    assert [(note["code"], note["topic"]) for note in plan["warnings"] if note["code"] == "skip-unused"] == \
        [("skip-unused", "elsewhere"), ("skip-unused", topic)]
    refused(daemon, 422, "has 2 partitions", skip=[f"{topic}/2@1"])

    jobs.restore(daemon, suffix=".kept", skip=skip)
    daemon.backup("again")
    jobs.restore(daemon, name="again", suffix=".again")
    jobs.assert_restored(expected, bootstrap, f"{topic}.kept.again")
    assert not any(erased in (one.value or b"") for part in records.read_topic(bootstrap, f"{topic}.kept.again")
                   for one in part)


def test_trap_restored_records_carry_nothing_added(tidemarkd, bootstrap, new_topic):
    """A restore of a backup of a restore, chosen by time each time, is what was written: no header more."""
    topic = new_topic()
    base = now_ms()
    written = [record(None if number % 5 == 0 else b"k%d" % number, None if number % 3 == 0 else b"",
                      (("a", None), ("a", b""), ("\u00e4", b"\xff\xfe")) if number % 2 else (), base - number * 1000)
               for number in range(200)]
    records.produce(bootstrap, topic, written)
    daemon = tidemarkd({"policies": [jobs.policy(topic), jobs.policy(f"{topic}.1", name="q")]})
    daemon.backup("p")
    bound = {"from": rfc3339(base - 150_000)}
    jobs.restore(daemon, suffix=".1", **bound)
    daemon.backup("q")
    jobs.restore(daemon, name="q", suffix=".2", **bound)
    expected = [[one for one in written if one.timestamp >= base - 150_000]]
    assert len(expected[0]) == 151
    jobs.assert_restored(expected, bootstrap, f"{topic}.1")
    jobs.assert_restored(expected, bootstrap, f"{topic}.1.2")


def test_windows_partitions_and_the_newest_few(tidemarkd, bootstrap, new_topic):
    rng = random.Random(6)
    topic = new_topic(3)
    other = new_topic()
    middle = now_ms() - 10 * MINUTE
    records.produce(bootstrap, topic, shuffled(900, middle, rng), lambda index, _: index % 3)
    records.produce(bootstrap, other, shuffled(10, middle, rng))
    daemon = tidemarkd({"policies": [jobs.policy(topic, other)]})
    daemon.backup("p")
    windows = [{"topic": topic, "partition": 0, "from_offset": 10, "to_offset": 20},
               {"topic": topic, "partition": 0, "from_offset": 15, "to_offset": 30},
               {"topic": topic, "partition": 1, "from_offset": 290},
               {"topic": topic, "from": rfc3339(middle), "to": middle + 500}]

    def in_windows(number, one):
        return (number == 0 and 10 <= one.offset < 30) or (number == 1 and one.offset >= 290) or \
            middle <= one.timestamp < middle + 500

    plan = restored(daemon, bootstrap, topic, chosen(bootstrap, topic, in_windows), windows=windows,
                    topics={"include": ["*"]})
    assert "no-window" in [note["code"] for note in plan["warnings"]]
    assert other in [note["detail"] for note in plan["warnings"] if note["code"] == "no-window"][0]

    restored(daemon, bootstrap, topic, chosen(
        bootstrap, topic, lambda number, one: number == 1 and in_windows(number, one) and one.offset != 295),
        windows=windows, skip=[f"{topic}/1@295"], topics={"include": ["t-*"], "partitions": {topic: [1]}})
    newest = [part[-7:] for part in chosen(bootstrap, topic, lambda _, one: one.timestamp < middle)]
    assert all(len(part) == 7 for part in newest)
    restored(daemon, bootstrap, topic, newest, {"policy": "p", "at": middle}, subset={"newest": 7})
    restored(daemon, bootstrap, topic, records.read_topic(bootstrap, topic), subset={"newest": 1000})

    refused(daemon, 422, "there is a window of topic absent", windows=[{"topic": "absent", "from": "-1h"}])
    refused(daemon, 422, f"{topic}/3: it has 3 partitions", windows=[
        {"topic": topic, "partition": 3, "from_offset": 0}])
    refused(daemon, 422, "there are partitions listed", topics={"partitions": {topic: [5]}})


def test_windows_reach_what_kafka_has_deleted_and_the_vault_still_holds(tidemarkd, bootstrap, new_topic):
    topic = new_topic(segment_bytes=1 << 20)
    base = now_ms() - 10 * MINUTE
    written = [record(b"%d" % number, b"v", (), base + number * 1000) for number in range(400)]
    records.produce(bootstrap, topic, written[:200])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    records.settle(records.admin(bootstrap), "delete_records", [TopicPartition(topic, 0, 150)])
    records.produce(bootstrap, topic, written[200:])
    daemon.backup("p")
    assert jobs.newest(daemon)["topics"][0]["partitions"][0]["start_offset"] == 150

    restored(daemon, bootstrap, topic, [written[150:]])  # the topic as it was
    restored(daemon, bootstrap, topic, [written[20:120] + written[380:]], windows=[
        {"topic": topic, "partition": 0, "from_offset": 20, "to_offset": 120},
        {"topic": topic, "from": base + 380_000}])
    restored(daemon, bootstrap, topic, [written[100:]], **{"from": rfc3339(base + 100_000)})


def test_offsets_that_are_not_stored_are_refused_where_they_are_asked_for(tidemarkd, bootstrap, new_topic):
    topic = new_topic(segment_bytes=1 << 20)
    base = now_ms() - 10 * MINUTE
    written = [record(b"%d" % number, b"v", (), base + number * 1000) for number in range(300)]
    records.produce(bootstrap, topic, written[:100])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    records.produce(bootstrap, topic, written[100:])
    records.settle(records.admin(bootstrap), "delete_records", [TopicPartition(topic, 0, 200)])
    daemon.backup("p")  # 100 to 199 were never captured

    window = {"topic": topic, "partition": 0, "from_offset": 90, "to_offset": 210}
    plan = refused(daemon, 422, "100 offsets of", windows=[window])
    assert plan["topics"][0]["gap_offsets"] == 100 and "offset 100" in plan["blocking"][0]["detail"]
    refused(daemon, 422, "100 offsets of", **{"from": rfc3339(base + 50_000)})
    restored(daemon, bootstrap, topic, [written[90:100] + written[200:210]], windows=[window], on_gap="continue")
    restored(daemon, bootstrap, topic, [written[40:90]], windows=[
        {"topic": topic, "partition": 0, "from_offset": 40, "to_offset": 90}])
    restored(daemon, bootstrap, topic, [written[90:100] + written[200:210]], windows=[window],
             skip=[f"{topic}/0@100-199"])
    later = [record(b"%d" % number, b"v", (), base + number * 1000) for number in range(300, 400)]
    records.produce(bootstrap, topic, later)
    daemon.backup("p")
    restored(daemon, bootstrap, topic, [later[50:]], **{"from": rfc3339(base + 350_000)})  # the gap is surely older


def test_a_cluster_is_all_of_its_policies(tidemarkd, bootstrap, new_topic):
    one, two = new_topic(prefix="one"), new_topic(prefix="two")
    for topic in (one, two):
        records.produce(bootstrap, topic, [record(b"k", topic.encode())] * 20)
    policies = [jobs.policy(one), jobs.policy(two, name="q"), jobs.policy(one, name="both")]
    daemon = tidemarkd({"policies": policies})
    daemon.backup("p")
    daemon.backup("q")
    source = {"cluster": "source", "at": "now"}
    job = daemon.run_job("/v1/restores", jobs.restore_body(suffix=".all") | {"source": source})
    assert job["state"] == "succeeded" and job["result"]["messages_count"] == 40, job
    for topic in (one, two):
        jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.all")
    daemon.backup("both")
    plan = refused(daemon, 422, "name the policy", source=source)
    assert all(name in plan["blocking"][0]["detail"] for name in (one, "both", "p"))
    body = jobs.restore_body(suffix=".x") | {"source": source, "topics": {"include": [two]}}
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    changed = daemon.api("POST", "/v1/restores", json=body | {"plan_digest": plan["plan_digest"]})
    assert changed.status_code == 412  # "now" is another time by then
    body["source"] = source | {"at": plan["source"]["at"]}
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    job = daemon.run_job("/v1/restores", body | {"plan_digest": plan["plan_digest"]})
    assert job["state"] == "succeeded" and job["result"]["messages_count"] == 20, job


def test_a_killed_restore_of_chosen_records_ends_with_each_of_them_once(tidemarkd, bootstrap, new_topic):
    """What a restart counts in the target are records that were chosen; backups that come in between change nothing."""
    rng = random.Random(7)
    topic = new_topic(2)
    middle = now_ms()
    total = 40_000
    records.produce(bootstrap, topic, shuffled(total, middle, rng), lambda index, _: index % 2)
    clusters = jobs.clusters(source=bootstrap, slow=bootstrap)
    clusters[1]["rdkafka"] = {"batch.num.messages": 10}
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(topic)]})
    daemon.backup("p")
    skip = [f"{topic}/0@{offset}-{offset + 2}" for offset in range(0, total // 2, 50)]
    body = jobs.restore_body(cluster="slow", suffix=".k", skip=skip) | {
        "source": {"policy": "p", "at": middle}, "windows": [{"topic": topic, "from": middle - MINUTE // 2}],
        "limits": {"write_bytes_per_second": 60_000}}  # some seconds
    expected = chosen(bootstrap, topic, lambda number, one: middle - MINUTE // 2 <= one.timestamp < middle and not (
        number == 0 and one.offset % 50 < 3))
    count = sum(len(part) for part in expected)
    assert 8000 < count < 12000
    job = daemon.api("POST", "/v1/restores", json=body).json()
    jobs.wait_arrived(daemon, job["id"], bootstrap, f"{topic}.k", count // 4)
    daemon.kill()
    written = sum(jobs.log_ends(bootstrap, f"{topic}.k").values())
    assert 0 < written < count
    daemon.start()
    records.produce(bootstrap, topic, shuffled(500, middle - MINUTE // 4, rng))  # late, for a point that is none of ours
    daemon.backup("p")
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job
    assert job["resumed_count"] == 1 and job["result"]["written_messages_count"] < count
    assert job["result"]["messages_count"] == count
    jobs.assert_restored(expected, bootstrap, f"{topic}.k")


def test_the_command_line_says_the_same(tidemarkd, bootstrap, new_topic):
    """With a daemon, where a relative time is made absolute for both the plan and the restore, and straight on the vault."""
    topic = new_topic(2)
    base = now_ms() - 60 * MINUTE
    records.produce(bootstrap, topic, [record(b"%d" % number, b"v", (), base + number * 1000) for number in range(400)],
                    lambda index, _: index % 2)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    into = ["restore", "latest", "--policy", "p", "--yes", "--window", f"{topic}/0@10..20",
            "--window", f"{topic}@{rfc3339(base + 300_000)}..", "--skip", f"{topic}/0@12-13", "--skip", f"{topic}/1@199"]
    expected = chosen(bootstrap, topic, lambda number, one: one.timestamp >= base + 300_000 and (number, one.offset) != (1, 199)
                      or number == 0 and one.offset in (10, 11, 14, 15, 16, 17, 18, 19))
    tidemark(*into, "--socket", daemon.socket, "--target", "source", "--suffix", ".w", "--at", "-1m", timeout=120)
    jobs.assert_restored(expected, bootstrap, f"{topic}.w")
    tidemark("restore", "latest", "--policy", "p", "--yes", "--socket", daemon.socket, "--target", "source", "--suffix", ".n",
             "--partitions", f"{topic}=1", "--newest", "3", "--from", rfc3339(base), timeout=120)
    jobs.assert_restored([[], records.read_topic(bootstrap, topic)[1][-3:]], bootstrap, f"{topic}.n")
    daemon.stop()
    direct = ["--vault", daemon.directory / "vault", "--key-file", daemon.key_path, "--bootstrap", bootstrap]
    tidemark(*into, *direct, "--suffix", ".d", "--at", rfc3339(now_ms()), timeout=120)
    jobs.assert_restored(expected, bootstrap, f"{topic}.d")
    assert "give the time itself" in tidemark(*into, *direct, "--suffix", ".e", "--at", "-1m", status=2).stderr
    assert "TOPIC/PARTITION@FROM..TO" in tidemark("restore", "latest", "--policy", "p", "--socket", daemon.socket, "--target",
                                                  "source", "--window", "orders", status=2).stderr
