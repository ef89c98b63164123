# SPDX-License-Identifier: Apache-2.0
"""Two daemons by mistake on one vault and policy: nothing is lost, nothing is stored twice, one metric says so, and the
second takes over when the first dies. Counted by a reader that is not ours (tests/reader)."""

import contextlib
import threading
import time

import pytest

from reader import reader
from rig import jobs, records
from rig.records import record, wait_until

INTERVAL = 2  # seconds


def pair(tidemarkd, topic, schedule=f"@every {INTERVAL}s"):
    """Two daemons, each with a state of its own, on the vault of the first."""
    policies = [jobs.policy(topic, schedule=schedule)]
    first = tidemarkd({"policies": policies})
    vaults = first.default_config()["vaults"]
    second = tidemarkd({"policies": policies, "vaults": vaults}, start=False)
    return first, second


def metric(daemon, name, **labels):
    """0 when there is no such series."""
    for line in daemon.api("GET", "/metrics").text.splitlines():
        if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    return 0


def skipped(daemon):
    return metric(daemon, "tidemark_schedule_runs_missed_total", policy="p", reason="other_writer")


def writers(daemon):
    """Who wrote each entry of the log that has a policy."""
    vault = reader.Vault(reader.Folder(daemon.directory / "vault"), key_file=daemon.key_path.read_bytes())
    return [writer for writer, policy in vault.written if policy == "p"]


@contextlib.contextmanager
def producing(bootstrap, topic, partitions):
    """A producer at work: gives a function that ends it and says how many records there are."""
    stop = threading.Event()
    failures = []
    count = 0

    def run():
        nonlocal count
        client = records.producer(bootstrap)
        while not stop.wait(0.01):
            for _ in range(10):
                one = record(b"%d" % count, b"value %d" % count)
                records.send(client, topic, one, count % partitions, lambda error, _: error and failures.append(error))
                count += 1
            client.poll(0)
        assert client.flush(30) == 0

    def end():
        stop.set()
        thread.join(60)
        assert not failures
        return count

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield end
    finally:
        stop.set()
        thread.join(60)


def assert_stored_once(daemon, bootstrap, topic, partitions):
    """The vault holds each record of the topic, once; the reader refuses what is there twice or out of order."""
    vault = reader.Vault(reader.Folder(daemon.directory / "vault"), key_file=daemon.key_path.read_bytes())
    stored = [[] for _ in range(partitions)]
    for one in vault.records(topic=topic):
        stored[one.partition].append((one.offset, one.key, one.value))
    on_broker = [[(one.offset, one.key, one.value) for one in part] for part in records.read_topic(bootstrap, topic)]
    assert stored == on_broker
    assert vault.gaps == []
    assert len(vault.streams) == 1


@pytest.mark.timeout(300)
def test_two_daemons_on_one_policy(tidemarkd, bootstrap, new_topic):
    topic = new_topic(3)
    first, second = pair(tidemarkd, topic)
    with producing(bootstrap, topic, 3) as end:
        wait_until(lambda: jobs_done(first) >= 1, "the first run of the first daemon")
        second.start()
        begun = time.monotonic()
        wait_until(lambda: skipped(first) + skipped(second) >= 60 / INTERVAL, "runs to be skipped for a minute", timeout=150)
        # One works, one stands by: of the time that both were there, about every planned run of one was left out.
        assert time.monotonic() - begun < 2 * 60
        leader, standby = (first, second) if skipped(second) > skipped(first) else (second, first)
        assert skipped(leader) <= 3  # while it was settled who leads
        leader.kill()
        killed = time.monotonic()
        done = jobs_done(standby)
        wait_until(lambda: jobs_done(standby) > done, "the other daemon to take over")
        assert time.monotonic() - killed < 5 * INTERVAL
        count = end()
    wait_until(lambda: sum(jobs.ends(jobs.newest(standby)).values()) == count, "the last records to be stored")
    if leader is first:
        assert len(set(writers(first))) == 2
    assert_stored_once(first, bootstrap, topic, 3)


def jobs_done(daemon):
    return metric(daemon, "tidemark_backup_runs_total", policy="p", result="success")


def test_a_run_by_hand_is_never_skipped(tidemarkd, bootstrap, new_topic):
    """Both at once, by hand, over and over: whoever loses the race for an entry builds on the winner's.
    trap: manifest_overwritten_by_two_writers"""
    topic = new_topic(3)
    first, second = pair(tidemarkd, topic, schedule="")
    second.start()
    with producing(bootstrap, topic, 3) as end:
        for _ in range(15):
            threads = [threading.Thread(target=one.run_job, args=("/v1/backups", {"policy": "p"})) for one in (first, second)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        end()
    first.backup("p")
    assert skipped(first) == skipped(second) == 0
    ended = [job["state"] for daemon in (first, second) for job in daemon.get("/v1/jobs?limit=100")["items"]]
    assert len(ended) == 31 and set(ended) == {"succeeded"}
    assert len(set(writers(first))) == 2
    assert_stored_once(first, bootstrap, topic, 3)


def test_an_entry_from_before_the_start_is_no_reason_to_wait(tidemarkd, bootstrap, new_topic):
    """A daemon that replaces another one begins at once, however long the interval."""
    topic = new_topic(1)
    first, second = pair(tidemarkd, topic, schedule="* * * * *")
    records.produce(bootstrap, topic, [record(b"k", b"1")])
    first.backup("p")
    first.kill()
    records.produce(bootstrap, topic, [record(b"k", b"2")])
    second.start()
    wait_until(lambda: jobs_done(second) + skipped(second) >= 1, "the first planned run", timeout=75)
    assert skipped(second) == 0
    assert_stored_once(first, bootstrap, topic, 1)


def everything_in(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")}


def test_a_vault_that_is_read_only_is_followed_and_restored_from_and_nothing_is_written(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k%d" % n, b"v%d" % n) for n in range(50)])
    writer = tidemarkd({"policies": [jobs.policy(topic)]})
    point = writer.backup("p")["result"]["recovery_point"]
    vault = writer.directory / "vault"
    theirs = {"name": "theirs", "type": "disk", "path": str(vault), "key_file": str(writer.key_path), "read_only": True}
    reader = tidemarkd({"vaults": [theirs], "policies": []})
    assert [row["id"] for row in reader.get("/v1/recovery-points")["items"]] == [point]
    records.produce(bootstrap, topic, [record(b"later", b"v")])
    later = writer.backup("p")["result"]["recovery_point"]
    before = everything_in(vault)

    shown = reader.api("POST", "/v1/vaults/theirs/probe").json()
    assert shown["read_only"] and shown["up"] and shown["recovery_points_count"] == 2, shown
    assert [row["id"] for row in reader.get("/v1/recovery-points")["items"]] == [later, point]
    jobs.restore(reader, point=later, suffix=".read")
    jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.read")
    assert reader.run_job("/v1/verifications", {"vault": "theirs", "depth": "full"})["state"] == "succeeded"
    assert reader.run_job("/v1/vaults/theirs/import-catalog", None)["state"] == "succeeded"

    etag = reader.api("GET", f"/v1/recovery-points/{point}").headers["ETag"]
    refusals = [reader.api("POST", "/v1/retention/run", json={"vault": "theirs"}),
                reader.api("POST", "/v1/verifications", json={"vault": "theirs", "depth": "scrub", "repair": True}),
                reader.api("DELETE", f"/v1/recovery-points/{point}"),
                reader.api("PATCH", f"/v1/recovery-points/{point}", json={"note": "x"}, headers={"If-Match": etag})]
    for refused in refusals:
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/vault-read-only"), refused.text
        assert refused.json()["vault"] == "theirs" and "read_only" in refused.json()["detail"]
    assert everything_in(vault) == before

    whole = {"vaults": [theirs], "policies": [jobs.policy(topic, vault="theirs")]}
    reader.configure(whole)
    refused = reader.api("POST", "/v1/config/reload")
    assert refused.status_code == 422 and "policies[0].vault: theirs is read_only" in refused.json()["detail"], refused.text
