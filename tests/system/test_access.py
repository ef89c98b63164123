# SPDX-License-Identifier: Apache-2.0
"""Who gets in over TCP, how often, and to what: limits by rate, refusals that are held back, tokens that are narrowed."""

import concurrent.futures
import hashlib
import time
import uuid

import pytest
import requests

from rig import jobs, records
from rig.records import record

QUICK = 0.8  # what is held back takes a second


def token_line(name, secret, scopes="read", more=""):
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return f"{name} {scopes} sha256:{digest}{' ' if more else ''}{more}\n"


def add_token(daemon, name, scopes="read", more=""):
    """A token of that name, in the daemon's file: its secret. Known from the next start or reload on."""
    secret = f"tm_{name}{'x' * 40}"
    daemon.tokens_path.write_text(daemon.tokens_path.read_text() + token_line(name, secret, scopes, more))
    return secret


def test_a_token_may_ask_so_often_and_no_other_pays_for_it(tidemarkd):
    daemon = tidemarkd({"server": {"rate_limit": 20}}, bootstrap="127.0.0.1:1", start=False)
    busy, calm = add_token(daemon, "busy"), add_token(daemon, "calm")
    daemon.start()
    begun = time.monotonic()
    answers = [daemon.tcp("GET", "/v1/policies", token=busy) for _ in range(120)]
    allowed = 40 + 20 * (time.monotonic() - begun) + 1
    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(passed) + len(refused) == 120 and 40 <= len(passed) <= allowed, len(passed)
    problem = refused[0].json()
    assert refused[0].headers["Retry-After"] == "1" and problem["retry_after_seconds"] == 1
    assert problem["type"] == "/problems/rate-limited" and "token:busy" in problem["detail"], problem
    assert daemon.tcp("GET", "/v1/policies", token=calm).status_code == 200
    for _ in range(100):
        assert daemon.api("GET", "/v1/policies").status_code == 200  # the socket is not limited
    assert f'tidemark_auth_failures_total{{reason="rate"}} {len(refused)}' in daemon.api("GET", "/metrics").text
    time.sleep(1.1)  # what Retry-After says
    assert daemon.tcp("GET", "/v1/policies", token=busy).status_code == 200


def test_whoever_tries_many_tokens_gets_his_answers_late(tidemarkd):
    """Not so who has the right one; nor does the daemon stand still for it."""
    daemon = tidemarkd(bootstrap="127.0.0.1:1")

    def attempt(number):
        begun = time.monotonic()
        answer = requests.get(f"{daemon.url}/v1/status", headers={"Authorization": f"Bearer tm_{number}"}, timeout=30)
        assert answer.status_code == 401
        return time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        tries = [pool.submit(attempt, number) for number in range(40)]
        time.sleep(0.5)
        for _ in range(5):
            begun = time.monotonic()
            assert daemon.tcp("GET", "/v1/status").status_code == 200
            assert time.monotonic() - begun < QUICK
        took = sorted(one.result() for one in tries)
    assert took[0] < QUICK and sum(one >= 0.9 for one in took) >= 20, took
    assert 'tidemark_auth_failures_total{reason="invalid-token"} 40' in daemon.api("GET", "/metrics").text
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < 5


def slugs(daemon, token, requests_made, **headers):
    """The problem of each request, None where it was let in."""
    found = []
    for method, path, body in requests_made:
        keys = {name.replace("_", "-"): f"{value}-{uuid.uuid4()}" for name, value in headers.items()}
        answer = daemon.tcp(method, path, token=token, json=body, headers=keys)
        problem = answer.json() if answer.status_code >= 400 else {}
        found.append(problem.get("type", "").removeprefix("/problems/") or None)
    return found


@pytest.fixture
def shared(bootstrap, target_broker, new_topic, tidemarkd):
    """A daemon with two policies on two clusters, a point of each, and tokens that are narrowed."""
    ours, theirs = new_topic(), f"{new_topic()}-t"
    records.create_topic(target_broker.bootstrap, theirs)
    records.produce(bootstrap, ours, [record(b"k", b"ours")])
    records.produce(target_broker.bootstrap, theirs, [record(b"k", b"theirs")])
    daemon = tidemarkd({"clusters": jobs.clusters(source=bootstrap, other=target_broker.bootstrap),
                        "policies": [jobs.policy(ours, name="ours"), jobs.policy(theirs, name="theirs", cluster="other")]},
                       start=False)
    scopes = "read,operate,restore,admin"
    daemon.by_policy = add_token(daemon, "by-policy", scopes, "policies=ours")
    daemon.by_cluster = add_token(daemon, "by-cluster", scopes, "clusters=source")
    daemon.by_target = add_token(daemon, "by-target", scopes, "target=other")
    daemon.start()
    daemon.points = {name: daemon.backup(name)["result"]["recovery_point"] for name in ("ours", "theirs")}
    daemon.jobs = {name: daemon.get(f"/v1/jobs?policy={name}")["items"][0]["id"] for name in ("ours", "theirs")}
    yield daemon
    records.delete_topic(target_broker.bootstrap, theirs)


@pytest.mark.parametrize("by", ["by_policy", "by_cluster"])
def test_a_token_for_one_policy_sees_and_touches_no_other(shared, by):
    token = getattr(shared, by)

    def names(path, field="policy"):
        return {item[field] for item in shared.tcp("GET", path, token=token).json()["items"]}

    assert names("/v1/policies", "name") == names("/v1/status") == {"ours"}
    for path in ("/v1/jobs", "/v1/backups", "/v1/recovery-points"):
        assert names(path) == {"ours"}, path
        assert {item["policy"] for item in shared.get(path)["items"]} == {"ours", "theirs"}
    for whose, expected in (("ours", None), ("theirs", "narrowed")):
        point, job = shared.points[whose], shared.jobs[whose]
        topic = shared.get(f"/v1/recovery-points/{point}")["topics"][0]["name"]
        restores = [jobs.restore_body(point=point, suffix=".x"), jobs.restore_body(name=whose, suffix=".x")]
        made = [
            ("GET", f"/v1/policies/{whose}", None), ("GET", f"/v1/policies/{whose}/schedule", None),
            ("POST", f"/v1/policies/{whose}/pause", {}), ("POST", f"/v1/policies/{whose}/resume", {}),
            ("GET", f"/v1/recovery-points/{point}", None), ("GET", f"/v1/recovery-points/latest?policy={whose}", None),
            ("GET", f"/v1/recovery-points/{point}/messages?topic={topic}&partition=0", None),
            ("GET", f"/v1/jobs/{job}", None), ("POST", "/v1/backups", {"policy": whose}),
            *[("POST", "/v1/restores/plan", body) for body in restores]]
        assert slugs(shared, token, made) == [expected] * len(made), whose
    refused = [("DELETE", f"/v1/recovery-points/{shared.points['theirs']}", None),
               ("POST", f"/v1/jobs/{shared.jobs['theirs']}/cancel", {}),
               ("POST", "/v1/restores", jobs.restore_body(name="theirs", suffix=".x")),
               ("POST", "/v1/restores", jobs.restore_body(point=shared.points["theirs"], suffix=".x")),
               ("POST", "/v1/drills", {"policy": "theirs", "target": {"cluster": "other", "prefix": "d."}}),
               ("GET", "/v1/vaults", None), ("GET", "/v1/vaults/local", None), ("GET", "/v1/hooks", None), ("GET", "/v1/clusters", None),
               ("GET", "/v1/clusters/other", None), ("POST", "/v1/verifications", {"vault": "local"}),
               ("POST", "/v1/retention/run", {"vault": "local", "policies": ["ours"]}), ("POST", "/v1/config/reload", {}),
               ("PUT", "/v1/log-level", {"level": "debug"})]
    assert slugs(shared, token, refused) == ["narrowed"] * len(refused)
    assert slugs(shared, token, refused, Idempotency_Key="k") == ["narrowed"] * len(refused), "another way to the handler"
    changed = shared.tcp("PATCH", f"/v1/recovery-points/{shared.points['theirs']}", token=token, json={"note": "x"},
                         headers={"If-Match": "*"})
    assert changed.status_code == 403 and "note" not in shared.get(f"/v1/recovery-points/{shared.points['theirs']}")
    assert shared.tcp("GET", "/v1/clusters/source/topics", token=token).status_code == (200 if by == "by_cluster" else 403)
    body = jobs.restore_body(point=shared.points["ours"], suffix=f".{by}")  # named by its id, it is of a policy all the same
    job = shared.tcp("POST", "/v1/restores?wait=60s", token=token, json=body).json()
    assert job["state"] == "succeeded" and job["policy"] == "ours", job
    followed = [("GET", f"/v1/jobs/{job['id']}", None), ("GET", f"/v1/restores/{job['id']}", None), ("GET", f"/v1/jobs/{job['id']}/log", None)]
    assert slugs(shared, token, followed) == [None] * 3
    answer = shared.tcp("POST", "/v1/backups?wait=60s", token=token, json={"policy": "ours"})  # a wait goes on as it does for others
    assert answer.json()["state"] == "succeeded", answer.text
    assert shared.tcp("GET", f"/v1/jobs/{answer.json()['id']}?wait=10s", token=token).status_code == 200


def test_a_token_for_one_target_restores_into_no_other(shared):
    token = shared.by_target
    refused = [("POST", "/v1/restores/plan", jobs.restore_body(name="ours", suffix=".x")),
               ("POST", "/v1/restores", jobs.restore_body(name="ours", suffix=".x")),
               ("POST", "/v1/drills", {"policy": "ours", "target": {"cluster": "source", "prefix": "d."}}),
               ("POST", "/v1/drills", {"policy": "ours"})]
    assert slugs(shared, token, refused) == ["target-not-allowed"] * len(refused)
    mine = shared.run_job("/v1/restores", jobs.restore_body(name="ours", suffix=".mine"))
    assert slugs(shared, token, [("POST", f"/v1/restores/{mine['id']}/put-back", {}), ("GET", f"/v1/restores/{mine['id']}/put-back", None),
                                 ("GET", "/v1/vaults", None)]) == ["target-not-allowed", None, None]
    answer = shared.tcp("POST", "/v1/restores?wait=60s", token=token, json=jobs.restore_body(name="ours", cluster="other", suffix=".x"))
    assert answer.json()["state"] == "succeeded", answer.text


def test_a_reload_widens_and_narrows_tokens(shared):
    text = shared.tokens_path.read_text()
    shared.tokens_path.write_text(text.replace("policies=ours", "policies=theirs"))
    shared.api("POST", "/v1/config/reload", json={})
    assert slugs(shared, shared.by_policy, [("GET", "/v1/policies/ours", None), ("GET", "/v1/policies/theirs", None)]) == ["narrowed", None]
