# SPDX-License-Identifier: Apache-2.0
"""Retention against a real broker: the plan says which rule keeps or removes each point, the run does just that, the
space of what nothing needs any more is freed on the disk, and what stays is restored byte for byte. A daemon that is
killed in the middle does the rest after its restart."""

import random
import signal

import pytest
import requests

from confluent_kafka import TopicPartition

from rig import jobs, records
from rig.records import record

ROUNDS = 6
EACH = 150  # records of a round, a partition
SIZE = 2000  # bytes of each, which do not compress
KEPT = 2  # keep_last


def rounds_of(seed):
    """[[records of partition 0, of partition 1], ...]: what each round writes."""
    rng = random.Random(seed)
    return [[[record(b"k%d" % number, rng.randbytes(SIZE), timestamp=1_700_000_000_000 + number)
              for number in range(EACH)] for _ in range(2)] for _ in range(ROUNDS)]


def config(daemon_vaults, topic, **retention):
    vaults = [vault | {"sweep_grace": "0", "maintenance": ""} for vault in daemon_vaults]
    return {"vaults": vaults,
            "policies": [jobs.policy(topic, retention={"keep_last": KEPT, "keep_data": "0"} | retention)]}


def make_points(daemon, bootstrap, topic, rounds):
    """A point a round, each of which has that round alone: the source deletes what is backed up."""
    ids = []
    for written in rounds:
        for number, some in enumerate(written):
            records.produce(bootstrap, topic, some, number)
        ids.append(daemon.backup("p")["result"]["recovery_point"])
        ends = [TopicPartition(topic, number, end) for (_, number), end in jobs.log_ends(bootstrap, topic).items()]
        records.settle(records.admin(bootstrap), "delete_records", ends)
    return ids


def started(tidemarkd, topic, **retention):
    daemon = tidemarkd(start=False)
    daemon.configure(config(daemon.default_config()["vaults"], topic, **retention))
    return daemon.start()


def plan(daemon):
    response = daemon.api("POST", "/v1/retention/plan", json={"vault": "local"})
    assert response.status_code == 200, response.text
    return response.json()


def stored_bytes(daemon):
    return sum(size for name, (size, _) in jobs.vault_files(daemon).items() if name.startswith("pack/"))


def metric(daemon, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in daemon.api("GET", "/metrics").text.splitlines()
               if line.startswith(name + "{"))


def hold(daemon, point, **what):
    etag = daemon.api("GET", f"/v1/recovery-points/{point}").headers["ETag"]
    response = daemon.api("PATCH", f"/v1/recovery-points/{point}", json={"hold": what}, headers={"If-Match": etag})
    assert response.status_code == 200, response.text
    return response.json()


def assert_round_restored(daemon, bootstrap, topic, point, written, suffix):
    jobs.restore(daemon, point=point, suffix=suffix)
    jobs.assert_restored(written, bootstrap, topic + suffix)


def test_points_go_by_the_rule_the_plan_names_and_their_space_is_freed(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    daemon = started(tidemarkd, topic)
    rounds = rounds_of(1)
    ids = make_points(daemon, bootstrap, topic, rounds)
    first = plan(daemon)
    by_id = {point["recovery_point"]: point for point in first["points"]}
    assert [point["recovery_point"] for point in first["points"]] == ids[::-1]  # newest first
    assert {by_id[one]["action"] for one in ids[:-KEPT]} == {"remove"}
    assert {by_id[one]["removed_by"] for one in ids[:-KEPT]} == {"no_rule_keeps_it"}
    assert by_id[ids[-1]]["kept_by"] == ["keep_last", "min_points", "newest"]
    assert by_id[ids[-2]]["kept_by"] == ["keep_last"]
    assert (first["remove_count"], first["keep_count"]) == (ROUNDS - KEPT, KEPT)
    assert first["freed_bytes"] > 2 * EACH * SIZE * (ROUNDS - KEPT)

    held = hold(daemon, ids[0], reason="case 4711")
    assert held["hold"] == {"reason": "case 4711"}
    refused = daemon.api("DELETE", f"/v1/recovery-points/{ids[0]}")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/point-held")
    stale = daemon.api("POST", "/v1/retention/run", json={"vault": "local", "plan_digest": first["plan_digest"]})
    second = plan(daemon)
    assert stale.status_code == 412 and stale.json()["current_plan_digest"] == second["plan_digest"]
    assert second["remove_count"] == ROUNDS - KEPT - 1
    assert {point["recovery_point"]: point for point in second["points"]}[ids[0]]["kept_by"] == ["held"]

    before = stored_bytes(daemon)
    job = daemon.run_job("/v1/retention/run", {"vault": "local", "plan_digest": second["plan_digest"]})
    assert job["state"] == "succeeded", job
    assert job["result"]["points_removed_count"] == ROUNDS - KEPT - 1
    reclaimed = job["result"]["reclaimed_bytes"]
    if reclaimed == 0:  # dropped and looked at in the same millisecond
        reclaimed = daemon.run_job("/v1/retention/run", {"vault": "local"})["result"]["reclaimed_bytes"]
    assert before - stored_bytes(daemon) == reclaimed
    assert reclaimed > 2 * EACH * SIZE * (ROUNDS - KEPT - 1)
    assert metric(daemon, "tidemark_retention_deleted_points_total") == ROUNDS - KEPT - 1
    assert metric(daemon, "tidemark_retention_reclaimed_bytes_total") == reclaimed
    assert metric(daemon, "tidemark_recovery_points") == KEPT + 1
    assert plan(daemon)["remove_count"] == 0

    for one in ids[1:-KEPT]:
        assert daemon.api("GET", f"/v1/recovery-points/{one}").status_code == 404
    for number in (0, ROUNDS - 2, ROUNDS - 1):
        assert_round_restored(daemon, bootstrap, topic, ids[number], rounds[number], f".{number}")


def test_min_points_and_an_archive_window_keep_what_the_rules_would_free(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    daemon = started(tidemarkd, topic, keep_last=0, max_age="1s", min_points=2, keep_data="1h")
    rounds = rounds_of(2)[:4]
    ids = make_points(daemon, bootstrap, topic, rounds)
    records.wait_until(lambda: plan(daemon)["points"][1]["kept_by"] == ["min_points"], "all but the newest are too old")
    found = plan(daemon)
    assert [point.get("removed_by") for point in found["points"]] == [None, None, "max_age", "max_age"]
    assert found["points"][1]["kept_by"] == ["min_points"]
    assert found["keep_data_changes_count"] == 1  # the archive window is written by the run, in the same commit
    before = stored_bytes(daemon)
    job = daemon.run_job("/v1/retention/run", {"vault": "local"})
    assert (job["state"], job["result"]["points_removed_count"]) == ("succeeded", 2)
    assert stored_bytes(daemon) == before  # their records are in the archive window
    again = plan(daemon)
    assert (again["keep_data_changes_count"], again["freed_bytes"]) == (0, 0)
    assert_round_restored(daemon, bootstrap, topic, ids[-1], rounds[-1], ".newest")


@pytest.mark.parametrize("point", ["job.retention.expired", "space.drop.committed", "space.sweep.announced"])
def test_a_daemon_killed_in_the_middle_does_the_rest(bootstrap, new_topic, tidemarkd, point):
    topic = new_topic(2)
    daemon = started(tidemarkd, topic)
    rounds = rounds_of(3)[:4]
    ids = make_points(daemon, bootstrap, topic, rounds)
    daemon.stop()
    daemon.start(env={"TM_FAULTS": f"{point}:crash"})
    response = None
    try:
        response = daemon.api("POST", "/v1/retention/run", json={"vault": "local"})
    except requests.RequestException:
        pass  # it was quicker
    status = daemon.wait()
    if status == 0:
        pytest.skip("this build has no fault points: meson configure -Dfault_points=true")
    assert status == -signal.SIGKILL
    daemon.start()
    jobs_seen = daemon.get("/v1/jobs?kind=retention")["items"]
    assert len(jobs_seen) == 1 and (response is None or jobs_seen[0]["id"] == response.json()["id"])
    job = daemon.wait_job(jobs_seen[0]["id"])
    assert (job["state"], job["resumed_count"]) == ("succeeded", 1), job
    left = daemon.get("/v1/recovery-points")["items"]
    assert [one["id"] for one in left] == ids[:-KEPT - 1:-1]
    daemon.run_job("/v1/retention/run", {"vault": "local"})
    assert stored_bytes(daemon) < 2 * EACH * SIZE * (KEPT + 1)
    assert_round_restored(daemon, bootstrap, topic, ids[-1], rounds[-1], ".after")


def test_a_flipped_byte_is_found_named_and_told_everywhere(bootstrap, new_topic, tidemarkd):
    topic = new_topic(2)
    daemon = started(tidemarkd, topic)
    ids = make_points(daemon, bootstrap, topic, rounds_of(4)[:2])
    for depth in ("catalog", "scrub", "sample", "full"):
        job = daemon.run_job("/v1/verifications", {"vault": "local", "depth": depth})
        assert (job["state"], job["result"]["faults_count"]) == ("succeeded", 0), job
    name = max((name for name in jobs.vault_files(daemon) if name.startswith("pack/")),
               key=lambda name: (daemon.directory / "vault" / name).stat().st_mtime)
    path = daemon.directory / "vault" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    job = daemon.run_job("/v1/verifications", {"vault": "local", "depth": "full"})
    assert job["state"] == "failed" and job["error"]["type"] == "/problems/vault-damaged"
    fault = job["result"]["faults"][0]
    assert (fault["kind"], fault["object"], fault["topic"]) == ("corrupt_pack", name, topic)
    assert job["result"]["damaged_recovery_points"] == [ids[-1]]
    assert [one["id"] for one in daemon.get("/v1/recovery-points?state=damaged")["items"]] == [ids[-1]]
    assert daemon.get("/v1/vaults/local")["findings_count"] > 0
    assert metric(daemon, "tidemark_verify_faults_total") > 0
