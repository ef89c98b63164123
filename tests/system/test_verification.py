# SPDX-License-Identifier: Apache-2.0
"""A vault that loses something: verification names it, points say so, and what can be had again comes back."""

import json
import random
import signal
import time

import pytest
import requests
from confluent_kafka import TopicPartition

from rig import jobs, records
from rig.records import record

RECORDS = 400


def verify(daemon, depth="full", **more):
    return daemon.run_job("/v1/verifications", {"vault": "local", "depth": depth} | more)


def states(daemon):
    """The states of the points, newest first."""
    return [point["state"] for point in daemon.get("/v1/recovery-points")["items"]]


def metric(daemon, line):
    """The value of a series; 0: there is none."""
    for one in daemon.api("GET", "/metrics").text.splitlines():
        if one.startswith(line + " "):
            return float(one.split()[-1])
    return 0


def packs(daemon):
    return {path for path in (daemon.directory / "vault" / "pack").rglob("*") if path.is_file()}


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(content))


@pytest.fixture
def vault(bootstrap, new_topic, tidemarkd):
    """Two points of a topic, each with a pack of its own; .packs in the order they were made."""
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.topic, daemon.packs, rng = topic, [], random.Random(7)
    for run in range(2):
        some = [record(b"k%d" % number, rng.randbytes(300), (("h", b"v"),), 1_700_000_000_000 + number)
                for number in range(RECORDS)]
        records.produce(bootstrap, topic, some)
        before = packs(daemon)
        daemon.backup("p")
        daemon.packs += packs(daemon) - before
    assert len(daemon.packs) == 2
    daemon.expected = records.read_topic(bootstrap, topic)
    return daemon


@pytest.mark.parametrize("depth", ["scrub", "full"])
def test_the_next_backup_repairs_what_a_verification_found(bootstrap, vault, depth):
    points = [point["id"] for point in vault.get("/v1/recovery-points")["items"]]

    def verified(number):
        answer = vault.api("GET", f"/v1/recovery-points/{points[number]}")
        return answer.json()["verified"], answer.headers["ETag"]

    newest, etag = verified(0)
    assert newest == {"result": "never", "packs_count": 2, "unverified_packs_count": 2}
    assert verified(1)[0]["packs_count"] == 1
    assert verify(vault, depth)["state"] == "succeeded"
    assert states(vault) == ["complete", "complete"]
    newest, etag_now = verified(0)
    assert (newest["result"], newest["unverified_packs_count"], etag_now) == ("ok", 0, etag) and newest["at"]
    broken = vault.packs[1]
    flip(broken, broken.stat().st_size // 2)

    job = verify(vault, depth)
    assert job["result"]["faults_count"] == 1, job
    (fault,) = job["result"]["faults"]
    assert fault["kind"] == "corrupt_pack" and broken.name in fault["object"], fault
    assert (fault["topic"], fault["partition"]) == (vault.topic, 0), fault
    assert (fault["first_offset"], fault["last_offset"]) == (RECORDS, 2 * RECORDS - 1), fault
    assert "event=verify.fault" in vault.log()
    assert states(vault) == ["damaged", "complete"]
    assert len(vault.get("/v1/recovery-points?state=damaged")["items"]) == 1
    assert [verified(number)[0]["result"] for number in (0, 1)] == ["damaged", "ok"]
    assert metric(vault, 'tidemark_verify_faults_total{vault="local",kind="corrupt_pack"}') == 1

    backup = vault.backup("p")
    assert [warning["code"] for warning in backup["warnings"]] == ["repaired"], backup
    assert states(vault) == ["complete", "complete"]
    assert verified(0)[0]["result"] == "partly"  # the pack that took the place of the broken one
    assert verify(vault, "full")["result"]["faults_count"] == 0
    assert verified(0)[0]["result"] == "ok"
    assert verify(vault, "catalog")["result"]["faults_count"] == 0
    jobs.restore(vault, suffix=".restored")
    jobs.assert_restored(vault.expected, bootstrap, f"{vault.topic}.restored")


def test_when_a_vault_was_last_verified_outlives_the_daemon_and_is_of_all_of_it(vault):
    def last(depth):
        return metric(vault, f'tidemark_verify_last_success_timestamp_seconds{{vault="local",depth="{depth}"}}')

    point = jobs.newest(vault)["id"]
    assert verify(vault, "full", recovery_point=point)["state"] == "succeeded"
    assert last("full") == 0, "one point is not the vault"
    assert verify(vault, "full")["state"] == verify(vault, "scrub")["state"] == "succeeded"
    full, scrub = last("full"), last("scrub")
    assert abs(time.time() - full) < 120 and scrub >= full
    flip(vault.packs[0], vault.packs[0].stat().st_size // 2)
    assert verify(vault, "full")["state"] == "failed"
    vault.kill()
    vault.start()
    records.wait_until(lambda: last("full"), "the last verification to be known")
    assert (last("full"), last("scrub")) == (full, scrub)
    whole = json.loads(vault.config_path.read_text())
    for vaults, expected in (([whole["vaults"][0] | {"name": "other", "path": str(vault.directory / "other")}], 0), (whole["vaults"], full)):
        vault.config_path.write_text(json.dumps(whole | {"vaults": vaults, "policies": []}))
        assert vault.api("POST", "/v1/config/reload", json={}).status_code == 200
        records.wait_until(lambda: last("full") == expected, "the vault's series to go or come")


def test_what_kafka_no_longer_holds_is_lost_and_named(bootstrap, vault):
    vault.packs[0].unlink()
    assert verify(vault, "scrub")["result"]["faults"][0]["kind"] == "missing_pack"
    assert states(vault) == ["damaged", "damaged"]
    records.settle(records.admin(bootstrap), "delete_records", [TopicPartition(vault.topic, 0, RECORDS // 2)])

    backup = vault.run_job("/v1/backups", {"policy": "p"})
    (warning,) = [one for one in backup["warnings"] if one["code"] == "damaged"]
    assert "the log starts above" in warning["detail"], warning
    assert states(vault)[-1] == "damaged", "a backup gives nothing up"

    job = verify(vault, "catalog", repair=True)
    (repair,) = job["result"]["repairs"]
    assert repair["repaired"] and repair["lost_offsets_count"] == RECORDS // 2, job
    assert repair["read_again_messages_count"] == RECORDS // 2, job
    assert set(states(vault)) == {"complete"}
    assert verify(vault, "full")["result"]["faults_count"] == 0

    oldest = vault.get("/v1/recovery-points")["items"][-2]["id"]  # both runs' records, as they were then
    gap = vault.get(f"/v1/recovery-points/{oldest}")["topics"][0]["partitions"][0]["gaps"]
    assert gap == [{"start_offset": 0, "end_offset": RECORDS // 2, "reason": "lost-in-vault"}]
    refused = vault.api("POST", "/v1/restores", json=jobs.restore_body(point=oldest, suffix=".no"))
    assert refused.status_code == 422 and refused.json()["type"] == "/problems/no-coverage", refused.text
    jobs.restore(vault, point=oldest, suffix=".some", on_gap="continue")
    left = [part[RECORDS // 2:] for part in vault.expected]
    jobs.assert_restored(left, bootstrap, f"{vault.topic}.some")


@pytest.mark.parametrize("point", ["job.repair.packed", "job.repair.committed"])
def test_a_daemon_killed_in_a_repair_does_it_again_or_has_done_it(bootstrap, vault, point):
    vault.packs[1].unlink()
    verify(vault, "scrub")
    vault.stop()
    vault.start(env={"TM_FAULTS": f"{point}:crash"})
    try:
        vault.api("POST", "/v1/backups", json={"policy": "p"})
    except requests.RequestException:
        pass  # it was quicker
    status = vault.wait()
    if status == 0:
        pytest.skip("this build has no fault points: meson configure -Dfault_points=true")
    assert status == -signal.SIGKILL
    vault.start()
    job = vault.wait_job(vault.get("/v1/jobs?kind=backup")["items"][0]["id"])  # the newest: taken up again
    assert job["resumed_count"] == 1, job
    assert job["state"] == "succeeded", job
    vault.backup("p")
    assert set(states(vault)) == {"complete"}
    assert verify(vault)["result"]["faults_count"] == 0
    assert verify(vault, "catalog")["result"]["faults_count"] == 0
    jobs.restore(vault, suffix=".restored")
    jobs.assert_restored(vault.expected, bootstrap, f"{vault.topic}.restored")


def test_a_pack_that_comes_back_needs_no_repair(vault):
    """A disk that was not mounted, a copy that was put back: a finding goes when the pack is whole."""
    content = vault.packs[0].read_bytes()
    vault.packs[0].unlink()
    verify(vault, "catalog")
    assert states(vault) == ["damaged", "damaged"]
    vault.packs[0].write_bytes(content)
    assert verify(vault, "scrub")["result"]["faults_count"] == 0
    assert states(vault) == ["complete", "complete"]
