# SPDX-License-Identifier: Apache-2.0
"""A vault without space: the run fails and says so, earlier points stay restorable, the next run goes on."""

import os
import random
import subprocess

import pytest

from rig import jobs, records
from rig.records import record


def random_records(count, size, seed):
    rng = random.Random(seed)  # nothing that compression could make small
    return [record(b"%d" % number, rng.randbytes(size), timestamp=1_700_000_000_000 + number)
            for number in range(count)]


def assert_vault_full(daemon, job):
    assert job["state"] == "failed", job
    assert (job["error"]["type"], job["error"]["status"]) == ("/problems/vault-full", 507), job
    assert str(daemon.directory / "vault") in job["error"]["detail"]


@pytest.fixture
def small_vault(tidemarkd):
    """small_vault(topic): a daemon whose vault lies on a file system of 4 MiB."""
    mounted = []

    def make(topic):
        daemon = tidemarkd({"policies": [jobs.policy(topic)]}, start=False)
        path = daemon.directory / "vault"
        path.mkdir(mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", path], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            pytest.skip(f"a small file system cannot be mounted here: {done.stdout.strip()}")
        mounted.append((daemon, path))
        return daemon.start()

    yield make
    for daemon, path in mounted:
        if daemon.running:
            daemon.stop()
        subprocess.run(["umount", path], check=True)


def test_a_run_that_finds_the_disk_full_fails_and_the_next_one_goes_on(bootstrap, new_topic, small_vault):
    topic = new_topic()
    first, second = random_records(20, 50_000, 1), random_records(20, 50_000, 2)
    records.produce(bootstrap, topic, first)
    daemon = small_vault(topic)
    vault = daemon.directory / "vault"
    point = daemon.backup("p")["result"]["recovery_point"]

    with open(vault / "filler", "wb") as filler:  # somebody else's, down to less than the next run needs
        space = os.statvfs(vault)
        filler.write(bytes(space.f_bavail * space.f_frsize - 300_000))
    records.produce(bootstrap, topic, second)
    before = jobs.vault_files(daemon)
    for _ in range(2):
        assert_vault_full(daemon, daemon.run_job("/v1/backups", {"policy": "p"}))
    assert jobs.vault_files(daemon) == before
    assert list((vault / "tmp").iterdir()) == []  # what could not be finished gives its space back
    assert [line["id"] for line in daemon.get("/v1/recovery-points")["items"]] == [point]
    jobs.restore(daemon, point=point, suffix=".early")
    jobs.assert_restored([first], bootstrap, f"{topic}.early")

    (vault / "filler").unlink()
    assert daemon.backup("p")["result"]["messages_count"] == len(second)
    jobs.restore(daemon, suffix=".late")
    jobs.assert_restored([first + second], bootstrap, f"{topic}.late")


def test_a_commit_for_which_there_is_no_space_changes_nothing(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    first, second = random_records(5, 100, 1), random_records(5, 100, 2)
    records.produce(bootstrap, topic, first)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    points = daemon.get("/v1/recovery-points")
    records.produce(bootstrap, topic, second)
    daemon.stop()
    daemon.start(env={"TM_FAULTS": "store.fs.full:fail"})
    assert_vault_full(daemon, daemon.run_job("/v1/backups", {"policy": "p"}))
    assert daemon.get("/v1/recovery-points") == points
    daemon.stop()
    daemon.start()
    assert daemon.backup("p")["result"]["messages_count"] == len(second)
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored([first + second], bootstrap, f"{topic}.restored")
