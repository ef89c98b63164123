# SPDX-License-Identifier: Apache-2.0
"""Restore drills: a point into a scratch cluster, proved, timed, and taken away again; and what finds content that
is not what was stored though its count is."""

import json
import re
import time

import pytest

from rig import jobs, records
from rig.records import record
from test_cli import tidemark

NOW = int(time.time() * 1000) - 3_600_000
FAILED = 1


def some_records(count, mark=b"v"):
    return [record(b"k%d" % number, mark + b"%d" % number, (("h", b"%d" % number),), NOW + number)
            for number in range(count)]


@pytest.fixture
def drilled(tidemarkd, broker, target_broker, new_topic):
    """drilled(count, **drill settings): a daemon with a backed up topic of two partitions, and a drill section."""

    def make(count=600, start=True, **drill):
        topic = new_topic(2, prefix="d")
        records.produce(broker.bootstrap, topic, some_records(count), lambda index, _: index % 2)
        settings = {"target_cluster": "scratch", "topic_prefix": f"drill.{topic}."} | drill
        daemon = tidemarkd({"clusters": jobs.clusters(source=broker.bootstrap, scratch=target_broker.bootstrap),
                            "policies": [jobs.policy(topic, drill=settings)]})
        daemon.topic, daemon.made = topic, f"drill.{topic}.{topic}"
        daemon.backup("p")
        return daemon

    return make


def drill(daemon, **body):
    return daemon.run_job("/v1/drills", {"policy": "p"} | body)


def metric(daemon, name, **labels):
    wanted = set(labels.items())
    for line in daemon.api("GET", "/metrics").text.splitlines():
        found = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
        if found and found[1] == name and wanted <= set(re.findall(r'(\w+)="([^"]*)"', found[2])):
            return float(found[3])
    return None


def checks(job):
    return {check["name"]: check["result"] for check in job["result"]["checks"]}


def test_a_drill_restores_proves_measures_and_leaves_nothing_behind(drilled, target_broker):
    daemon = drilled()
    records.create_topic(target_broker.bootstrap, f"{daemon.made}.other")  # somebody else's, under the prefix
    job = drill(daemon)
    assert (job["state"], job["kind"], job["policy"]) == ("succeeded", "drill", "p"), job
    result = job["result"]
    assert (result["result"], result["proof"], result["messages_count"]) == ("passed", "identical", 600)
    assert checks(job) == {"message-count": "passed", "content-digest": "passed", "cleanup": "passed"}
    assert 0 < result["duration_seconds"] < 120
    names = records.topic_names(target_broker.bootstrap)
    assert daemon.made not in names and f"{daemon.made}.other" in names
    assert metric(daemon, "tidemark_drill_runs_total", kafka_cluster="source", policy="p", result="success") == 1
    assert metric(daemon, "tidemark_drill_runs_total", kafka_cluster="source", policy="p", result="failure") == 0
    assert metric(daemon, "tidemark_drill_last_duration_seconds", policy="p") == pytest.approx(result["duration_seconds"])
    passed = metric(daemon, "tidemark_drill_last_success_timestamp_seconds", policy="p")
    assert time.time() - passed < 120
    daemon.kill()  # what is overdue is not hidden by a restart
    daemon.start()
    records.wait_until(lambda: "tidemark_drill_last_success" in daemon.api("GET", "/metrics").text, "the last drill to be known")
    assert metric(daemon, "tidemark_drill_last_success_timestamp_seconds", policy="p") == passed

    drl = job["id"].replace("job_", "drl_")
    assert daemon.get(f"/v1/drills/{drl}") == daemon.get(f"/v1/jobs/{job['id']}")
    assert [one["id"] for one in daemon.get("/v1/drills?policy=p")["items"]] == [job["id"]]
    page = daemon.api("GET", f"/v1/drills/{drl}", headers={"Accept": "text/html,*/*"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Identical, 600 records" in page.text and daemon.made in page.text and "<script" not in page.text
    assert daemon.api("GET", f"/v1/restores/{job['id']}").status_code == 404  # it is none
    text = tidemark("report", drl, "--socket", daemon.socket).stdout
    assert text.startswith("identical, 600 records\n") and "content-digest" in text
    assert daemon.made in tidemark("drill", "show", drl, "--socket", daemon.socket).stdout
    assert job["id"] in tidemark("drill", "list", "--socket", daemon.socket).stdout


def test_a_drill_keeps_within_its_bytes_and_may_leave_the_topics(drilled, target_broker):
    daemon = drilled(max_bytes=6000, cleanup=False)
    job = drill(daemon)
    assert job["state"] == "succeeded", job
    found = records.read_topic(target_broker.bootstrap, daemon.made)
    newest = job["result"]["newest_per_partition"]
    assert 1 < newest < 300 and [len(part) for part in found] == [newest, newest]
    expected = some_records(600)
    assert records.difference([expected[0::2][-newest:], expected[1::2][-newest:]], found) is None
    again = drill(daemon)  # what the first one left is in the way, and is not this one's to remove
    assert again["state"] == "failed" and "exists" in again["error"]["detail"]
    assert daemon.made in records.topic_names(target_broker.bootstrap)
    assert metric(daemon, "tidemark_drill_runs_total", policy="p", result="failure") == 1
    assert "event=drill.failed" in daemon.log()


def test_the_source_is_no_place_for_a_drill_unless_it_is_said(drilled, bootstrap):
    daemon = drilled()
    refused = daemon.api("POST", "/v1/drills", json={"policy": "p", "target": {"cluster": "source"}})
    assert refused.status_code == 422 and "allow_source" in refused.json()["detail"]
    job = drill(daemon, target={"cluster": "source"}, allow_source=True)
    assert job["state"] == "succeeded" and daemon.made not in records.topic_names(bootstrap)
    assert daemon.topic in records.topic_names(bootstrap)
    for status, body in ((404, {"policy": "q"}), (404, {"policy": "p", "target": {"cluster": "q"}}),
                         (404, {"policy": "p", "recovery_point": "rp_01ARZ3NDEKTSV4RRFFQ69G5FAV"}), (422, {"policy": "p", "x": 1})):
        assert daemon.api("POST", "/v1/drills", json=body).status_code == status, body


@pytest.mark.parametrize("fault", ["job.restore.sent:crash@200", "job.drill.found:crash", "job.drill.removed:crash"])
def test_a_drill_that_was_killed_cleans_up_when_it_is_taken_up_again(drilled, target_broker, fault):
    daemon = drilled()
    daemon.stop()
    daemon.start(env={"TM_FAULTS": fault})
    response = daemon.api("POST", "/v1/drills", json={"policy": "p"})
    daemon.wait(60)
    daemon.start()
    job = daemon.wait_job(response.json()["id"])
    assert job["state"] == "succeeded" and job["resumed_count"] == 1, job
    assert job["result"]["result"] == "passed" and checks(job)["cleanup"] == "passed"
    assert job["result"]["messages_count"] == 600
    assert daemon.made not in records.topic_names(target_broker.bootstrap)


def test_drills_come_by_schedule(drilled):
    daemon = drilled(schedule="@every 2s")
    records.wait_until(lambda: [one for one in daemon.get("/v1/drills?state=succeeded")["items"]
                                if one["requested_by"] == "schedule"], "a planned drill to pass")


def test_a_drill_of_a_damaged_vault_fails_loudly_and_cleans_up(drilled, target_broker):
    daemon = drilled()
    pack = max((path for path in (daemon.directory / "vault" / "pack").rglob("*") if path.is_file()),
               key=lambda path: path.stat().st_size)
    whole = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    done = tidemark("drill", "run", "p", "--socket", daemon.socket, status=FAILED)
    assert "NOT PROVED" in done.stdout or "failed" in done.stdout
    (job,) = daemon.get("/v1/drills?state=failed")["items"]
    assert job["result"]["result"] == "failed" and checks(job)["cleanup"] == "passed"
    assert daemon.made not in records.topic_names(target_broker.bootstrap)
    assert metric(daemon, "tidemark_drill_runs_total", policy="p", result="failure") == 1
    assert "event=drill.failed" in daemon.log()


def test_trap_validation_compares_content(drilled, target_broker, new_topic):
    """Counts and offsets are right, one value is not: something exchanged the topic between writing and proof."""
    daemon = drilled()
    daemon.stop()
    daemon.start(env={"TM_FAULTS": "job.restore.written:crash"})
    response = daemon.api("POST", "/v1/restores", json=jobs.restore_body(cluster="scratch", suffix=".proof"))
    daemon.wait(60)
    target = f"{daemon.topic}.proof"
    right = records.read_topic(target_broker.bootstrap, target)
    records.delete_topic(target_broker.bootstrap, target)
    records.create_topic(target_broker.bootstrap, target, 2, config={"retention.ms": "-1"})
    wrong = [one._replace(value=b"other!!" if one.offset == 123 else one.value) for one in right[1]]
    records.produce(target_broker.bootstrap, target, right[0], 0)
    records.produce(target_broker.bootstrap, target, wrong, 1)
    daemon.start()
    job = daemon.wait_job(response.json()["id"])
    assert job["state"] == "partial" and job["result"]["proof"] == "failed", job
    assert job["result"]["messages_count"] == 600  # as many as there have to be
    (failure,) = job["result"]["failures"]
    assert (failure["code"], failure["topic"], failure["partition"]) == ("content-differs", target, 1)
    assert "target offset 123" in failure["detail"] and "source offset 123" in failure["detail"]
    assert "value" in failure["detail"] and "other!!" not in failure["detail"]  # contents are not for logs

    page = daemon.api("GET", f"/v1/restores/{job['id']}", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "Not proved" in page.text and "target offset 123" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert json.loads(daemon.api("GET", f"/v1/restores/{job['id']}").text) == job
    assert "NOT PROVED" in tidemark("report", job["id"], "--socket", daemon.socket).stdout
