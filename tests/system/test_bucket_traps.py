# SPDX-License-Identifier: Apache-2.0
"""What a bucket does to a vault behind its back."""

from rig import jobs, records
from rig.records import record

COUNT = 200


def test_trap_bucket_lifecycle_rule(bootstrap, new_topic, tidemarkd, s3, bucket):
    """A rule expires what is old: the first pack goes, and the log that names it stays. The next verification names it,
    points that need it say so, a restore of it fails and names it too, and what came later is all there."""
    first, second = new_topic(), new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(first, second)]}, vault=jobs.s3_vault(s3, bucket))
    written = [record(b"k%d" % number, b"v%d" % number, timestamp=1_700_000_000_000 + number) for number in range(COUNT)]
    records.produce(bootstrap, first, written)
    daemon.backup("p")
    old = {key for key in s3.list(bucket) if "/pack/" in key}
    records.produce(bootstrap, second, written)
    daemon.backup("p")
    for key in old:
        s3.delete(bucket, key)

    job = daemon.run_job("/v1/verifications", {"vault": "local", "depth": "catalog"})
    assert job["state"] == "failed" and job["result"]["faults_count"] == len(old) == 1, job
    name = next(iter(old)).rpartition("/")[2]
    fault = job["result"]["faults"][0]
    assert fault["kind"] == "missing_pack" and name in fault["object"], fault
    assert [point["state"] for point in daemon.get("/v1/recovery-points")["items"]] == ["damaged", "damaged"]
    body = jobs.restore_body(suffix=".restored", topics={"include": [first]})
    job = daemon.run_job("/v1/restores", body)
    assert job["state"] in ("failed", "partial") and name in str(job), job
    jobs.restore(daemon, suffix=".restored", topics={"include": [second]})
    jobs.assert_restored([written], bootstrap, f"{second}.restored")
    # The cluster still has the records: the next backup makes it good by itself.
    assert [note["code"] for note in daemon.backup("p")["warnings"]] == ["repaired"]
    jobs.restore(daemon, suffix=".again", topics={"include": [first]})
    jobs.assert_restored([written], bootstrap, f"{first}.again")
