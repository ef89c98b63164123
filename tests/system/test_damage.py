# SPDX-License-Identifier: Apache-2.0
"""Bytes that changed in a vault, and a block that came out wrong: an error that names the object, never wrong data,
never a crash."""

import os
import random
import shutil
import time

import pytest

from rig import jobs, records
from rig.records import record

SAMPLES = 5  # of the bytes in the middle of each file, besides those at its ends


def flip(content, at, rng):
    changed = bytearray(content)
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damages(content, rng):
    """(what was done, the damaged bytes): bits flipped at both ends and in between, cut, emptied, prolonged."""
    size = len(content)
    places = {0, 1, 7, 8, size - 9, size - 2, size - 1} | {rng.randrange(size) for _ in range(SAMPLES)}
    for at in sorted(at for at in places if 0 <= at < size):
        yield f"a bit of byte {at} of {size} flipped", flip(content, at, rng)
    yield f"cut to {size - 1} bytes", content[:-1]
    yield f"cut to {size // 2} bytes", content[:size // 2]
    yield "emptied", b""
    yield "prolonged", content + b"\0"


@pytest.fixture
def rng():
    seed = int(os.environ.get("TM_SEED") or time.time_ns() % 1_000_000_000)
    print(f"TM_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def vault(bootstrap, new_topic, tidemarkd, rng):
    """A daemon whose vault has two packs and some log entries; .expected is what its newest point holds."""
    topic = new_topic(2)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    for _ in range(2):
        some = [record(b"k%d" % number, rng.randbytes(200), (("h", b"v"),), 1_700_000_000_000 + number)
                for number in range(300)]
        records.produce(bootstrap, topic, some, lambda index, _: index % 2)
        daemon.backup("p")
    daemon.topic = topic
    daemon.expected = records.read_topic(bootstrap, topic)
    return daemon


def objects(daemon, folder):
    root = daemon.directory / "vault"
    return [path for path in sorted((root / folder).rglob("*")) if path.is_file()]


def replace(path, content):
    """As a disk would do it: the same file, other bytes."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(mode)


def assert_prefix(expected, bootstrap, topic):
    """What there is of the restored topic is right as far as it goes."""
    if topic not in records.topic_names(bootstrap):
        return
    found = records.read_topic(bootstrap, topic)
    cut = [left[:len(right)] for left, right in zip(expected, found)]
    assert records.difference(cut, found) is None


def outcome_text(job):
    return f"{job.get('error')} {job.get('result')}"


def test_no_damage_of_a_pack_gives_wrong_records(bootstrap, vault, rng):
    tried = 0
    for path in objects(vault, "pack"):
        content = path.read_bytes()
        for what, damaged in damages(content, rng):
            tried += 1
            target = f"{vault.topic}.{tried}"
            replace(path, damaged)
            job = vault.run_job("/v1/restores", jobs.restore_body(suffix=f".{tried}"))
            assert vault.running
            assert job["state"] in ("failed", "partial"), f"{path.name}: {what}: {job}"
            assert path.name in outcome_text(job), f"{path.name}: {what}: {outcome_text(job)}"
            assert job.get("result", {}).get("proof") != "identical"
            assert_prefix(vault.expected, bootstrap, target)
        replace(path, content)
    assert tried > 2 * SAMPLES
    jobs.restore(vault, suffix=".whole")
    jobs.assert_restored(vault.expected, bootstrap, f"{vault.topic}.whole")


def test_a_missing_pack_is_named(bootstrap, vault):
    path = objects(vault, "pack")[0]
    path.rename(vault.directory / "aside")
    job = vault.run_job("/v1/restores", jobs.restore_body(suffix=".restored"))
    assert job["state"] in ("failed", "partial") and path.name in outcome_text(job), job
    assert_prefix(vault.expected, bootstrap, f"{vault.topic}.restored")
    (vault.directory / "aside").rename(path)
    jobs.restore(vault, suffix=".whole")
    jobs.assert_restored(vault.expected, bootstrap, f"{vault.topic}.whole")


def forget_catalog(daemon):
    daemon.kill()
    shutil.rmtree(daemon.directory / "state" / "catalog")


@pytest.mark.parametrize("folder", ["log", "key"])
def test_damage_of_what_the_vault_is_read_from_is_named(folder, bootstrap, vault, rng):
    """The log and the key slots are read at the start: each damage is met by a daemon that begins anew."""
    before = vault.get("/v1/recovery-points")
    paths = objects(vault, folder)
    assert paths
    for path in paths:
        content = path.read_bytes()
        for what, damaged in damages(content, rng):
            forget_catalog(vault)
            replace(path, damaged)
            vault.start()
            job = vault.run_job("/v1/backups", {"policy": "p"})
            assert vault.running
            assert job["state"] == "failed", f"{path.name}: {what}: {job}"
            assert path.name in outcome_text(job), f"{path.name}: {what}: {outcome_text(job)}"
            assert path.name in vault.log()
        replace(path, content)
    forget_catalog(vault)
    vault.start()
    assert vault.get("/v1/recovery-points") == before
    jobs.restore(vault, suffix=".whole")
    jobs.assert_restored(vault.expected, bootstrap, f"{vault.topic}.whole")


def test_a_vault_that_vanished_is_not_made_anew(vault):
    """create: true is for a vault that never was; an unmounted disk looks just like that.
    trap: error_taken_for_first_write"""
    vault.stop()
    (vault.directory / "vault").rename(vault.directory / "aside")
    vault.start()
    job = vault.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "failed" and "is the disk mounted?" in job["error"]["detail"], job
    vault.stop()
    assert not (vault.directory / "vault" / "log").exists()
    shutil.rmtree(vault.directory / "vault", ignore_errors=True)
    (vault.directory / "aside").rename(vault.directory / "vault")
    vault.start()
    assert vault.backup("p")["result"]["unchanged"]


def test_another_key_opens_nothing_and_says_so(vault):
    vault.stop()
    vault.key_path.write_bytes(bytes(range(32)))
    vault.start()
    job = vault.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "failed" and job["error"]["type"] == "/problems/wrong-key", job


def test_a_block_that_came_out_wrong_is_never_stored(bootstrap, new_topic, tidemarkd):
    """Each block is opened and compared before it is written; the fault breaks one after it was sealed."""
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, env={"TM_FAULTS": "codec.block.sealed:fail@2"})
    written = [record(b"%d" % number, b"=" * 70_000, timestamp=1_700_000_000_000) for number in range(4)]
    records.produce(bootstrap, topic, written)  # each is a block of its own
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "failed" and "faulty memory, or a bug" in job["error"]["detail"], job
    assert daemon.get("/v1/recovery-points")["items"] == []
    assert daemon.backup("p")["result"]["messages_count"] == 4
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored([written], bootstrap, f"{topic}.restored")
