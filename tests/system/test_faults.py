# SPDX-License-Identifier: Apache-2.0
"""The daemon crashes at every fault point of backup and restore in turn. What comes after a restart is what would have
come without the crash: the next backup completes, and a restore gives exactly what the source holds."""

import itertools
import os
import re
import signal
import subprocess
import time

import pytest
import requests

from rig import jobs, records
from rig.daemon import REPOSITORY, Daemon, build_dir
from rig.records import record

# Points that a backup and a restore do not pass, and why: names, or how they begin.
NOT_PASSED = {
    "vault.full.created": "the log is read back in full only after thousands of entries",
    "job.repair.": "another kind of job",
    "job.retention.": "another kind of job",
    "gc.": "of freeing space: see below",
    "merge.": "of freeing space",
    "space.": "of freeing space",
    "groups.": "of a restore with consumer groups: test_groups.py",
    "job.drill.": "another kind of job: test_drills.py",
    "job.export.": "of the command line: test_export.py",
    **dict.fromkeys(("job.restore.purge", "job.restore.recreate-", "job.restore.deleted", "job.restore.txn-"),
                    "of a restore into a topic that is there: test_restore_target.py"),
}
OF_BACKENDS = {"disk": "store.fs.", "s3": "store.s3."}
PASSES = (1, 2, 3)  # of a point: while the vault is made, in the first run, in the second


def points_in_source():
    """The names of all TM_FAULT("...") in the sources."""
    found = set()
    for folder in ("lib", "daemon"):
        for path in (REPOSITORY / folder).rglob("*.c"):
            found |= set(re.findall(r'TM_FAULT(?:_FAILS)?\("([a-z0-9.-]+)"\)', path.read_text()))
    return found


def points_to_pass(backend):
    """Those that two backups and a restore pass on a vault of that kind."""
    others = tuple(begin for kind, begin in OF_BACKENDS.items() if kind != backend)
    return {name for name in points_in_source() if not name.startswith((*NOT_PASSED, *others))}


class Crash(Exception):
    """The fault point did what it was armed for."""


def expecting_crash(daemon, step):
    """Do a step of a daemon that may crash in the middle of it."""
    try:
        return step()
    except (requests.RequestException, AssertionError):
        deadline = time.monotonic() + 5
        while daemon.running and time.monotonic() < deadline:
            time.sleep(0.01)
        if daemon.running or daemon.process.returncode != -signal.SIGKILL:
            raise
        raise Crash from None


def two_backups(daemon, bootstrap, topic):
    """A backup, one more record, another backup: Crash at any moment of it."""
    expecting_crash(daemon, daemon.wait_ready)
    expecting_crash(daemon, lambda: daemon.backup("p"))
    one_more = [record(b"one", b"more", timestamp=1_700_000_000_000)]
    records.produce(bootstrap, topic, one_more, enable_idempotence=False)  # which takes half a second to begin
    expecting_crash(daemon, lambda: daemon.backup("p"))


def crashes(daemon, fault, step):
    """Does the daemon, started with that fault, crash in `step`?"""
    daemon.start(wait_ready=False, env={"TM_FAULTS": fault})
    try:
        step()
    except Crash:
        return True
    daemon.stop()
    return False


def finish_backup(daemon):
    """Whatever was going on when it crashed is taken up again; then all that is new is stored."""
    daemon.start()
    job = daemon.run_job("/v1/backups", {"policy": "p", "if_running": "join"})
    assert job["state"] == "succeeded", job
    return daemon.backup("p")


@pytest.fixture(params=OF_BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def new_vault(backend, request):
    """new_vault(): options of a Daemon with an empty vault on the backend."""
    if backend == "disk":
        return dict
    server, bucket = request.getfixturevalue("s3"), request.getfixturevalue("bucket")
    numbers = itertools.count(1)
    return lambda: {"vault": jobs.s3_vault(server, bucket, prefix=f"v{next(numbers)}")}


@pytest.fixture
def topic(bootstrap, new_topic):
    name = new_topic(2)
    some = [record(b"k%d" % number, b"v" * number, timestamp=1_700_000_000_000 + number) for number in range(200)]
    some += [record(b"big", bytes([number]) * 70_000, timestamp=1_700_000_000_000) for number in range(3)]
    records.produce(bootstrap, name, some, lambda index, _: index % 2)
    return name


@pytest.fixture
def passed(bootstrap, topic, tidemarkd, new_vault):
    """The names of the points that two backups and a restore pass."""
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, start=False, **new_vault())
    path = daemon.directory / "points"
    daemon.start(env={"TM_FAULTS_LIST": str(path)})
    two_backups(daemon, bootstrap, topic)
    jobs.restore(daemon, suffix=".listed")
    daemon.stop()
    if not path.exists():
        pytest.skip("this build has no fault points: meson configure -Dfault_points=true")
    return set(path.read_text().split())


def test_a_backup_crashed_at_any_point_is_made_good_by_the_next(bootstrap, topic, passed, backend, new_vault):
    """trap: watermark_ahead_of_memory"""
    assert passed == points_to_pass(backend)
    hits = set()
    for name in sorted(point for point in passed if not point.startswith("job.restore.")):
        for number in PASSES:
            daemon = Daemon({"policies": [jobs.policy(topic)]}, bootstrap=bootstrap, **new_vault())
            fault = f"{name}:crash@{number}"
            try:
                if not crashes(daemon, fault, lambda: two_backups(daemon, bootstrap, topic)):
                    break  # it is not passed that often
                hits.add(name)
                finish_backup(daemon)
                jobs.restore(daemon, suffix=f".{name}.{number}")
                jobs.assert_restored(jobs.backed_up(daemon, bootstrap, topic), bootstrap, f"{topic}.{name}.{number}")
                assert jobs.ends(jobs.newest(daemon)) == jobs.log_ends(bootstrap, topic)
                daemon.stop()
            except BaseException:
                print(f"at {fault}:\n{daemon.log_tail()}")
                raise
            finally:
                daemon.close()
    assert hits == {point for point in passed if not point.startswith("job.restore.")}


def test_a_restore_crashed_at_any_point_is_taken_up_again_and_proved(bootstrap, topic, passed, tidemarkd, new_vault):
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, **new_vault())
    daemon.backup("p")
    daemon.stop()
    expected = records.read_topic(bootstrap, topic)
    faults = [f"{name}:crash@1" for name in sorted(passed) if name.startswith("job.restore.")]
    assert len(faults) >= 6
    for number, fault in enumerate(faults + ["job.restore.sent:crash@100"]):
        body = jobs.restore_body(suffix=f".{number}")
        started = []

        def restore():
            daemon.wait_ready()
            started.append(expecting_crash(daemon, lambda: daemon.api("POST", "/v1/restores", json=body).json()))
            expecting_crash(daemon, lambda: daemon.wait_job(started[0]["id"]))

        assert crashes(daemon, fault, restore), f"{fault} was not passed"
        daemon.start()
        job = daemon.get("/v1/restores")["items"][0]
        job = daemon.wait_job(job["id"])
        assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", (fault, job)
        assert job["resumed_count"] == 1
        jobs.assert_restored(expected, bootstrap, f"{topic}.{number}")
        daemon.stop()


def test_a_restore_crashed_after_its_proof_does_not_miss_what_the_broker_deletes_from_then_on(
        bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"1990", b"v", timestamp=631_152_000_000)] * 10)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    daemon.stop()
    # Without the source's retention.ms=-1 the broker's week comes into force as soon as nothing is held any more.
    body = jobs.restore_body(suffix=".restored", retention="original", topic_configs="broker")

    def restore():
        daemon.wait_ready()
        job = expecting_crash(daemon, lambda: daemon.api("POST", "/v1/restores", json=body).json())
        expecting_crash(daemon, lambda: daemon.wait_job(job["id"]))

    assert crashes(daemon, "job.restore.configured:crash", restore)
    records.wait_until(lambda: records.read_topic(bootstrap, f"{topic}.restored") == [[]], "the broker to delete them")
    daemon.start()
    job = daemon.wait_job(daemon.get("/v1/restores")["items"][0]["id"])
    assert job["state"] == "succeeded" and job["result"]["messages_count"] == 10, job


def test_freeing_space_killed_at_any_point_in_a_bucket_costs_no_record(s3, bucket):
    """As tests/mock does on a disk in every run: drop, merge, sweep and the log's own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TM_FAULTS"))}
    environment |= {"AWS_ACCESS_KEY_ID": s3.access, "AWS_SECRET_ACCESS_KEY": s3.secret, "AWS_REGION": s3.region,
                    "AWS_ENDPOINT_URL_S3": s3.endpoint, "TM_STORE_URL": f"s3://{bucket}", "CK_TIMEOUT_MULTIPLIER": "2"}
    done = subprocess.run([build_dir() / "tests/mock/mock_space_crash"], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False)
    if "built without fault points" in done.stdout:
        pytest.skip("this build has no fault points: meson configure -Dfault_points=true")
    assert done.returncode == 0 and "100%: Checks: 1" in done.stdout, done.stdout
    assert any("/pack/" in name for name in s3.list(bucket))
