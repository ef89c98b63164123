# SPDX-License-Identifier: Apache-2.0
"""Policies as an operator handles them: paused and set going again, and when they run, by the clock of their zone."""

import datetime
import json
import time
import zoneinfo

from rig import jobs, records
from rig.records import record
from test_cli import tidemark

CONFLICT, MISSING = 8, 7


def missed(daemon, policy, reason):
    wanted = f'tidemark_schedule_runs_missed_total{{kafka_cluster="source",policy="{policy}",reason="{reason}"}}'
    for line in daemon.api("GET", "/metrics").text.splitlines():
        if line.startswith(wanted):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no {wanted}")


def ran(daemon, policy="p"):
    return len(daemon.get(f"/v1/jobs?policy={policy}&limit=500")["items"])


def test_a_paused_policy_waits_through_a_restart_until_it_is_resumed(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic, schedule="@every 1s")]})
    records.wait_until(lambda: ran(daemon) > 0, "a planned run")
    told = json.loads(tidemark("policies", "pause", "p", "--reason", "brokers are being moved", "--socket", daemon.socket,
                               "-o", "json").stdout)
    assert told["paused"]["reason"] == "brokers are being moved" and "until" not in told["paused"]
    records.wait_until(lambda: missed(daemon, "p", "pause") >= 2, "planned runs to be missed")
    before = ran(daemon)
    assert [row["state"] for row in daemon.get("/v1/status")["items"]] == ["paused"]
    refused = daemon.api("POST", "/v1/backups", json={"policy": "p"})
    assert refused.status_code == 409 and refused.json()["type"] == "/problems/policy-paused"
    assert "brokers are being moved" in refused.json()["detail"] and "resume it" in refused.json()["detail"]
    assert "brokers are being moved" in tidemark("backup", "p", "--socket", daemon.socket, status=CONFLICT).stderr
    assert 'tidemark_policy_paused{kafka_cluster="source",policy="p"} 1' in daemon.api("GET", "/metrics").text

    daemon.kill()
    daemon.start()
    records.wait_until(lambda: missed(daemon, "p", "pause") >= 2, "planned runs to be missed by the next daemon")
    assert ran(daemon) == before
    assert daemon.get("/v1/policies/p")["paused"]["by"] == told["paused"]["by"]
    assert "brokers" in tidemark("policies", "show", "p", "--socket", daemon.socket).stdout
    assert "paused" not in json.loads(tidemark("policies", "resume", "p", "--socket", daemon.socket, "-o", "json").stdout)
    records.wait_until(lambda: ran(daemon) > before, "a planned run again")
    audits = [line for line in daemon.log().splitlines() if "event=audit" in line and "policy=p" in line]
    assert any('"policy paused"' in line for line in audits) and any('"policy resumed"' in line for line in audits)


def test_a_pause_ends_by_the_clock(bootstrap, new_topic, tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy(new_topic(), schedule="@every 1s")]})
    until = datetime.datetime.fromisoformat(daemon.api("POST", "/v1/policies/p/pause", json={"until": "3s"}).json()["paused"]["until"])
    assert 0 < until.timestamp() - time.time() <= 3
    before = ran(daemon)
    records.wait_until(lambda: ran(daemon) > before, "a run once the time is over")
    assert time.time() >= until.timestamp() and "paused" not in daemon.get("/v1/policies/p")
    assert "event=policy.resumed" in daemon.log()


def test_what_cannot_be_paused_is_told(new_topic, tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy(new_topic())]})
    answer = daemon.api("POST", "/v1/policies/q/pause", json={})
    assert answer.status_code == 404 and answer.json()["similar"] == ["p"] or answer.json()["similar"] == "p"
    assert tidemark("policies", "pause", "nothing", "--socket", daemon.socket, status=MISSING)
    for body in ({"until": "yesterday"}, {"until": "-2h"}, {"until": 7}, {"why": "x"}, {"reason": "x" * 2000}):
        assert daemon.api("POST", "/v1/policies/p/pause", json=body).status_code == 422, body
    assert daemon.api("GET", "/v1/policies/p/schedule?count=0").status_code == 422
    assert daemon.get("/v1/policies/p/schedule")["items"] == []


def test_runs_are_planned_by_the_clock_of_the_zone(new_topic, tidemarkd):
    """Over both changes of the clocks, against Python's own time zones; the delay of a policy stays what it is."""
    topic = new_topic()
    zones = {"berlin": "Europe/Berlin", "york": "America/New_York", "howe": "Australia/Lord_Howe", "utc": "UTC"}
    daemon = tidemarkd({"policies": [
        *[jobs.policy(topic, name=name, schedule="30 12 * * *", timezone=zone) for name, zone in zones.items()],
        *[jobs.policy(topic, name=f"late-{number}", schedule="@every 10m", jitter="5m") for number in range(3)]]})
    for name, zone in zones.items():
        planned = daemon.get(f"/v1/policies/{name}/schedule?count=400")
        assert planned["timezone"] == zone and len(planned["items"]) == 400
        days = []
        for row in planned["items"]:
            at = datetime.datetime.fromisoformat(row["at"])
            local = at.astimezone(zoneinfo.ZoneInfo(zone))
            assert (local.hour, local.minute, local.second) == (12, 30, 0)
            assert datetime.datetime.fromisoformat(row["local"]) == local
            assert row["local"] == local.isoformat()
            days.append(local.date())
        assert days == [days[0] + datetime.timedelta(n) for n in range(400)]
    delays = set()
    for number in range(3):
        rows = daemon.get(f"/v1/policies/late-{number}/schedule?count=5")["items"]
        seconds = [datetime.datetime.fromisoformat(row["at"]).timestamp() % 600 for row in rows]
        assert len(set(seconds)) == 1 and 0 <= seconds[0] < 300
        delays.add(seconds[0])
    assert len(delays) > 1
    assert "+0" in tidemark("policies", "next", "berlin", "--socket", daemon.socket).stdout
    assert "late-0" in tidemark("policies", "list", "--socket", daemon.socket).stdout


def test_lists_in_pages_and_by_state(tidemarkd):
    """Status and policies are in memory: pages of them join, and a cursor of another filter is refused."""
    names = [f"p{number}" for number in range(5)]
    daemon = tidemarkd({"policies": [jobs.policy("t", name=name) for name in names]}, bootstrap="127.0.0.1:1")
    for path, field in (("/v1/policies", "name"), ("/v1/status", "policy")):
        assert [item[field] for item in daemon.get(path)["items"]] == names
        found, cursor = [], ""
        while cursor is not None:
            page = daemon.get(f"{path}?limit=2&cursor={cursor}")
            found.append([item[field] for item in page["items"]])
            cursor = page.get("next_cursor")
        assert found == [names[:2], names[2:4], names[4:]], path
        first = daemon.get(f"{path}?limit=2")["next_cursor"]
        other = daemon.api("GET", f"{path}?limit=2&cluster=source&cursor={first}")
        assert other.status_code == 400 and other.json()["type"] == "/problems/bad-cursor"
    assert [item["name"] for item in daemon.get("/v1/policies?state=never")["items"]] == names
    assert daemon.get("/v1/policies?state=ok")["items"] == []
    assert daemon.get("/v1/status?breached=true")["items"] == [] and len(daemon.get("/v1/status?breached=false")["items"]) == 5
    assert daemon.api("GET", "/v1/policies?state=fine").status_code == 422


def test_jobs_of_a_time(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    first, second = daemon.backup("p"), daemon.backup("p")
    until = second["created_at"]
    assert [job["id"] for job in daemon.get(f"/v1/jobs?until={until}")["items"]] == [first["id"]]
    assert [job["id"] for job in daemon.get(f"/v1/backups?since={until}")["items"]] == [second["id"]]
    assert daemon.get("/v1/drills?result=passed")["items"] == []
