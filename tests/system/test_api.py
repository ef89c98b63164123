# SPDX-License-Identifier: Apache-2.0
"""The control API from outside: who may do what, what is refused and in which words, lists, waiting, metrics."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import stat
import subprocess
import time

import pytest

from rig import jobs, records
from rig.daemon import write_private
from rig.records import record

NOBODY = 65534
POINT = "rp_" + "0" * 26
JOB = "job_" + "0" * 26


@pytest.fixture
def quiet(tidemarkd):
    """A daemon that needs no cluster."""
    return tidemarkd({"policies": [jobs.policy("t", name="payments")]}, bootstrap="127.0.0.1:1")


# What is refused

SOURCE = {"policy": "payments"}
TARGET = {"cluster": "source"}
WRONG_REQUESTS = [
    # method, path, body, status, slug, pointer or parameter (or a word of the detail)
    ("POST", "/v1/backups", {}, 422, "invalid-request", "/policy"),
    ("POST", "/v1/backups", {"policy": 7}, 422, "invalid-request", "/policy"),
    ("POST", "/v1/backups", {"polcy": "payments"}, 422, "invalid-request", "/polcy"),
    ("POST", "/v1/backups", {"policy": "payments", "topics": []}, 422, "invalid-request", "/topics"),
    ("POST", "/v1/backups", {"policy": "payments", "topics": ["t", 5]}, 422, "invalid-request", "/topics/1"),
    ("POST", "/v1/backups", {"policy": "payments", "topics": ["u"]}, 422, "invalid-request", "/topics/0"),
    ("POST", "/v1/backups", {"policy": "payments", "if_running": "wait"}, 422, "invalid-request", "/if_running"),
    ("POST", "/v1/backups", {"policy": "payments", "hold": 1}, 422, "invalid-request", "/hold"),
    ("POST", "/v1/backups", {"policy": "payment"}, 404, "not-found", "payments"),
    ("POST", "/v1/backups?wait=soon", {"policy": "payments"}, 422, "invalid-request", "wait"),
    ("POST", "/v1/restores", {}, 422, "invalid-request", "/source"),
    ("POST", "/v1/restores", {"source": SOURCE}, 422, "invalid-request", "/target"),
    ("POST", "/v1/restores", {"source": SOURCE, "target": {}}, 422, "invalid-request", "/target/cluster"),
    ("POST", "/v1/restores", {"source": {"recovery_point": "x"}, "target": TARGET}, 422, "invalid-request",
     "/source/recovery_point"),
    ("POST", "/v1/restores", {"source": SOURCE, "target": TARGET, "existing": "overwrite"}, 422, "invalid-request",
     "/existing"),
    ("POST", "/v1/restores", {"source": SOURCE, "target": TARGET, "plan_digest": "sha256:0"}, 422, "invalid-request",
     "/plan_digest"),
    ("POST", "/v1/restores", {"source": SOURCE, "target": TARGET, "topics": {"include": "t"}}, 422,
     "invalid-request", "/topics/include"),
    ("POST", "/v1/restores", {"source": {"policy": "x"}, "target": TARGET}, 404, "not-found", "x"),
    ("POST", "/v1/restores", {"source": SOURCE, "target": TARGET}, 404, "not-found", "has no point yet"),
    ("POST", "/v1/restores", {"source": {"recovery_point": POINT}, "target": TARGET}, 404, "not-found", POINT),
    ("POST", "/v1/restores", {"source": {"recovery_point": POINT}, "target": {"cluster": "sourc"}}, 404, "not-found",
     "source"),
    ("GET", f"/v1/recovery-points/{POINT}", None, 404, "not-found", POINT),
    ("GET", "/v1/recovery-points/nonsense", None, 404, "not-found", "nonsense"),
    ("GET", "/v1/recovery-points/latest", None, 422, "invalid-request", "policy"),
    ("GET", "/v1/recovery-points/latest?policy=payments", None, 404, "not-found", "payments"),
    ("GET", "/v1/recovery-points?limit=0", None, 422, "invalid-request", "limit"),
    ("GET", "/v1/recovery-points?since=yesterday", None, 400, "bad-time", "since"),
    ("GET", "/v1/recovery-points?polcy=payments", None, 422, "invalid-request", "polcy"),
    ("GET", "/v1/recovery-points?cursor=x", None, 400, "bad-cursor", "cursor"),
    ("GET", f"/v1/jobs/{JOB}", None, 404, "not-found", JOB),
    ("POST", f"/v1/jobs/{JOB}/cancel", None, 404, "not-found", JOB),
    ("GET", "/v1/jobs?state=done", None, 422, "invalid-request", "state"),
    ("GET", "/v1/policies/payment", None, 404, "not-found", "payments"),
    ("GET", "/v1/dril", None, 404, "not-found", "/v1/drills"),
    ("DELETE", "/v1/backups", None, 405, "method-not-allowed", "GET"),
]


@pytest.mark.parametrize("way", ["socket", "tcp"])
def test_wrong_requests_are_refused_and_told_where_they_are_wrong(way, quiet):
    ask = quiet.api if way == "socket" else quiet.tcp
    for method, path, body, status, slug, words in WRONG_REQUESTS:
        response = ask(method, path, json=body)
        shown = f"{method} {path} {body}: {response.status_code} {response.text}"
        assert response.status_code == status, shown
        assert response.headers["Content-Type"] == "application/problem+json", shown
        problem = response.json()
        assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status), shown
        if slug == "invalid-request" and words.startswith("/"):
            assert words in [error["pointer"] for error in problem["errors"]], shown
        else:
            assert words in response.text, shown
    assert quiet.get("/v1/jobs")["items"] == []


def test_all_errors_of_a_request_are_told_at_once(quiet):
    body = {"source": {"recovery_point": "x", "at": "soon"}, "target": {"cluster": 1, "sufix": "z"},
            "existing": "overwrite"}
    errors = {error["pointer"] for error in quiet.api("POST", "/v1/restores", json=body).json()["errors"]}
    assert errors >= {"/source/recovery_point", "/source/at", "/target/cluster", "/target/sufix", "/existing"}


def test_bodies_that_are_no_json_are_refused_with_their_place(quiet):
    def post(data, kind="application/json"):
        return quiet.api("POST", "/v1/backups", data=data, headers={"Content-Type": kind})

    broken = post('{"policy":\n  "payments",}')
    assert broken.status_code == 400 and broken.json()["type"] == "/problems/malformed-json"
    assert broken.json()["line"] == 2
    assert post('{"policy":"payments","policy":"payments"}').status_code == 400
    assert post('{"policy":"payments"}', "text/plain").status_code == 415
    assert post(b'{"policy":"' + b"x" * (1 << 20) + b'"}').status_code == 413
    assert post("[" * 100 + "]" * 100).status_code == 422


# Who may ask

def tokens(daemon, **scopes):
    """Give the daemon these tokens: {name: secret}."""
    secrets = {name: f"tm_{name}{'0' * 30}" for name in scopes}
    lines = [f"{name} {scope} sha256:{hashlib.sha256(secrets[name].encode()).hexdigest()}"
             for name, scope in scopes.items()]
    write_private(daemon.tokens_path, "\n".join(lines) + "\n")
    return secrets


def test_a_token_may_do_what_its_scopes_say_and_no_more(tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy("t")]}, bootstrap="127.0.0.1:1", start=False)
    secrets = tokens(daemon, reader="read", operator="operate", restorer="restore", late="read")
    lines = daemon.tokens_path.read_text()
    write_private(daemon.tokens_path, re.sub(r"^(late .*)$", r"\1 expires=2020-01-01T00:00:00Z", lines, flags=re.M))
    daemon.start()
    routes = {
        "read": ("GET", "/v1/jobs", None),
        "operate": ("POST", f"/v1/jobs/{JOB}/cancel", None),
        "restore": ("POST", "/v1/restores", {}),
    }
    scope_of = {"reader": "read", "operator": "operate", "restorer": "restore"}
    for name, own in scope_of.items():
        for scope, (method, path, body) in routes.items():
            response = daemon.tcp(method, path, json=body, token=secrets[name])
            if scope == own:
                assert response.status_code in (200, 404, 422), response.text
            else:
                assert response.status_code == 403, response.text
                problem = response.json()
                assert problem["type"] == "/problems/scope-missing"
                assert (problem["required_scope"], problem["scopes"]) == (scope, [own])
    for token in ("", "tm_" + "1" * 40, secrets["reader"][:-1], secrets["late"]):
        response = daemon.tcp("GET", "/v1/jobs", token=token)
        assert response.status_code == 401, response.text
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="tidemark"')
        assert daemon.tcp("GET", "/livez", token=token).status_code == 200
    for secret in secrets.values():
        assert secret not in daemon.log()


def test_a_page_elsewhere_cannot_reach_the_daemon_by_a_name_that_means_loopback(quiet):
    response = quiet.tcp("GET", "/v1/jobs", headers={"Host": "evil.example"})
    assert response.status_code == 421, response.text


def test_the_socket_needs_no_token_and_is_closed_to_others(quiet):
    assert quiet.api("GET", "/v1/jobs").status_code == 200
    assert stat.S_IMODE(quiet.socket.stat().st_mode) == 0o600
    if os.geteuid() != 0:
        pytest.skip("only root can ask as somebody else")
    quiet.directory.chmod(0o755)  # so that the socket's own mode decides
    done = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--clear-groups", "curl", "-sS", "--unix-socket",
                           str(quiet.socket), "http://localhost/v1/jobs"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    assert done.returncode == 7, done.stdout  # curl: could not connect


# Jobs, lists, caching

@pytest.fixture
def filled(bootstrap, new_topic, tidemarkd):
    """A daemon with five points of a topic."""
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.topic = topic
    for number in range(5):
        records.produce(bootstrap, topic, [record(b"k", b"%d" % number)], enable_idempotence=False)
        body = {"policy": "p", "note": f"point {number}", "tags": ["even" if number % 2 == 0 else "odd"]}
        job = daemon.run_job("/v1/backups", body)
        assert job["state"] == "succeeded" and job["result"]["messages_count"] == 1, job
    return daemon


def test_lists_are_read_page_by_page_from_the_newest_to_the_oldest(filled):
    whole = filled.get("/v1/recovery-points")["items"]
    assert [point["note"] for point in whole] == [f"point {number}" for number in (4, 3, 2, 1, 0)]
    for path, expected in (("/v1/recovery-points", whole), ("/v1/jobs", filled.get("/v1/jobs")["items"])):
        found, cursor = [], ""
        while True:
            response = filled.api("GET", f"{path}?limit=2&cursor={cursor}")
            page = response.json()
            found += page["items"]
            cursor = page.get("next_cursor")
            assert bool(cursor) == ('rel="next"' in response.headers.get("Link", ""))
            if not cursor:
                break
        assert found == expected
    assert len(filled.get("/v1/jobs?kind=restore")["items"]) == 0
    assert len(filled.get("/v1/recovery-points?policy=other")["items"]) == 0
    assert len(filled.get(f"/v1/recovery-points?topic={filled.topic}")["items"]) == 5
    since = whole[1]["captured_at"]
    assert filled.get(f"/v1/recovery-points?since={since}")["items"] == whole[:2]


def test_lists_tell_how_much_there_is_and_which_points_reach_a_time(filled):
    whole = filled.get("/v1/recovery-points")["items"]
    for path in ("/v1/recovery-points?policy=p", "/v1/jobs?kind=backup", "/v1/backups?state=succeeded"):
        first = filled.get(f"{path}&count=true&limit=2")
        assert first["total_count"] == 5 and len(first["items"]) == 2, first
        second = filled.get(f"{path}&limit=2&cursor={first['next_cursor']}")  # a cursor does not depend on it
        assert "total_count" not in second and len(second["items"]) == 2
    assert filled.get("/v1/recovery-points?count=true&tag=even")["total_count"] == 3
    assert filled.get("/v1/policies?count=true")["total_count"] == 1
    assert filled.get("/v1/status?count=true&policy=other")["total_count"] == 0
    for number, point in enumerate(whole):
        reaching = filled.get(f"/v1/recovery-points?policy=p&at={point['captured_at']}")
        assert reaching["items"] == whole[:number + 1] and reaching["at"] == point["captured_at"]
    assert filled.get("/v1/recovery-points?at=2001-01-01T00:00:00Z&count=true") == {
        "items": [], "at": "2001-01-01T00:00:00.000Z", "total_count": 0}


def as_strings(value):
    if isinstance(value, dict):
        return {name: as_strings(one) for name, one in value.items()}
    if isinstance(value, list):
        return [as_strings(one) for one in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_integers_come_as_strings_for_those_whose_numbers_are_doubles(filled):
    point = jobs.newest(filled)
    job = filled.get("/v1/jobs?limit=1")["items"][0]
    for path in (f"/v1/recovery-points/{point['id']}", f"/v1/jobs/{job['id']}", "/v1/recovery-points"):
        plain = filled.api("GET", path)
        quoted = filled.api("GET", f"{path}?int64=string")
        assert quoted.json() == as_strings(plain.json()) != plain.json()
        assert quoted.headers.get("ETag") == plain.headers.get("ETag")
    page = filled.api("GET", "/v1/recovery-points?int64=string&limit=2")
    assert "int64=string" in page.headers["Link"]


def test_readiness_lists_its_checks_when_asked(filled):
    assert filled.get("/readyz") == {"status": "ready"}
    filled.get("/v1/vaults")  # which asks the vaults that nobody has probed yet
    checks = filled.get("/readyz?verbose=1")["checks"]
    assert [check["name"] for check in checks] == ["configuration", "catalog", "vaults"]
    assert all(check["ok"] for check in checks), checks
    assert checks[2]["detail"] == "1 of 1 answered the last probe"


def test_a_policy_has_an_etag(filled):
    response = filled.api("GET", "/v1/policies/p")
    known = {"If-None-Match": response.headers["ETag"]}
    again = filled.api("GET", "/v1/policies/p", headers=known)
    assert again.status_code == 304 and again.content == b"" and again.headers["ETag"] == response.headers["ETag"]
    filled.api("POST", "/v1/policies/p/pause", json={"reason": "etag"})
    changed = filled.api("GET", "/v1/policies/p", headers=known)
    assert changed.status_code == 200 and changed.headers["ETag"] != response.headers["ETag"]


def test_a_point_is_told_whole_and_has_an_etag(filled):
    point = jobs.newest(filled)
    assert point["state"] == "complete" and point["note"] == "point 4" and point["tags"] == ["even"]
    assert (point["messages_count"], point["topics_count"], point["partitions_count"]) == (5, 1, 1)
    assert point["topics"][0]["config"] == {"retention.ms": "-1"}
    response = filled.api("GET", f"/v1/recovery-points/{point['id']}")
    again = filled.api("GET", f"/v1/recovery-points/{point['id']}", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    head = filled.api("HEAD", f"/v1/recovery-points/{point['id']}")
    assert head.status_code == 200 and head.headers["ETag"] == response.headers["ETag"] and head.content == b""


def test_waiting_gives_the_job_as_it_ended_or_as_it_is(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    written = [record(b"k", b"%d" % number) for number in range(2000)]
    records.produce(bootstrap, topic, written, batch_num_messages=1)
    daemon = tidemarkd({"clusters": jobs.slow_reading("source", bootstrap), "policies": [jobs.policy(topic)]})
    begun = time.monotonic()
    response = daemon.api("POST", "/v1/backups?wait=200ms", json={"policy": "p"},
                          headers={"X-Request-Id": "of-this-test"})
    assert response.status_code == 202 and 0.2 <= time.monotonic() - begun < 2
    job = response.json()
    assert job["state"] == "running" and job["requested_by"] == f"socket:uid={os.geteuid()}"
    assert job["request_id"] == response.headers["X-Request-Id"] == "of-this-test"
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"

    conflict = daemon.api("POST", "/v1/backups", json={"policy": "p"})
    assert conflict.status_code == 409 and conflict.json()["type"] == "/problems/already-running"
    assert conflict.json()["job"] == job["id"] and int(conflict.headers["Retry-After"]) > 0
    joined = daemon.api("POST", "/v1/backups?wait=60s", json={"policy": "p", "if_running": "join"})
    assert joined.status_code == 200 and joined.json()["id"] == job["id"]
    assert joined.json()["state"] == "succeeded"
    assert daemon.get(f"/v1/jobs/{job['id']}?wait=60s") == joined.json()


# Status and metrics

def test_status_tells_what_would_be_lost(bootstrap, filled):
    def row():
        rows = filled.get("/v1/status")["items"]
        assert len(rows) == 1 and rows[0]["topic"] == filled.topic
        return rows[0]

    assert row()["state"] == "ok" and row()["behind_messages"] == 0
    client = records.producer(bootstrap, transactional_id=filled.topic)
    client.init_transactions()
    client.begin_transaction()
    for _ in range(7):
        records.send(client, filled.topic, record(b"k", b"open"))
    client.flush()
    filled.backup("p")
    assert row()["behind_messages"] == 7
    client.abort_transaction()


def samples(text):
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[:1] != "#"}


def test_metrics_pass_promtool_and_count_what_happened(filled, tool):
    jobs.restore(filled, suffix=".restored")
    text = filled.api("GET", "/metrics").text
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    found = samples(text)
    labels = 'kafka_cluster="source",policy="p"'
    assert found[f'tidemark_backup_runs_total{{{labels},result="success"}}'] == 5
    assert found[f'tidemark_backup_runs_total{{{labels},result="failure"}}'] == 0
    assert found[f"tidemark_recovery_points{{{labels}}}"] == 5
    assert found[f'tidemark_backup_messages_total{{{labels},topic="{filled.topic}"}}'] == 5
    assert found['tidemark_restore_runs_total{kafka_cluster="source",result="success"}'] == 1
    assert found['tidemark_restore_messages_total{kafka_cluster="source"}'] == 5
    stop_and_start = filled.get("/v1/policies")["items"][0]["last_success_at"]
    filled.stop()
    filled.start()
    after = samples(filled.api("GET", "/metrics").text)
    assert after[f"tidemark_recovery_points{{{labels}}}"] == 5
    assert filled.get("/v1/policies")["items"][0]["last_success_at"] == stop_and_start  # a restart clears no alert
    name = f"tidemark_backup_last_success_timestamp_seconds{{{labels}}}"
    assert after[name] == pytest.approx(found[name], abs=0.01)


def test_the_metrics_listener_serves_metrics_and_health_and_nothing_else(tidemarkd):
    daemon = tidemarkd(bootstrap="127.0.0.1:1", start=False)
    metrics = daemon.port
    config = daemon.default_config()["server"] | {"listen": "", "metrics_listen": f"127.0.0.1:{metrics}"}
    daemon.configure({"server": config})
    daemon.start()
    for path, status in (("/metrics", 200), ("/livez", 200), ("/readyz", 200), ("/v1/jobs", 404), ("/v1", 404)):
        response = daemon.tcp("GET", path, token="")
        assert response.status_code == status, f"{path}: {response.status_code} {response.text}"


# Idempotency-Key

def keyed(daemon, key, body, path="/v1/backups"):
    return daemon.api("POST", path, json=body, headers={"Idempotency-Key": key})


def test_a_request_with_a_key_makes_one_job_however_often_it_is_sent(bootstrap, new_topic, tidemarkd):
    """Answered with the first one's job, through a kill -9 as well; another request with the key is refused, and what was
    refused has not used it up."""
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic), jobs.policy(topic, name="q")]})
    assert keyed(daemon, "first", {"policy": "no such"}).status_code == 404
    first = keyed(daemon, "first", {"policy": "p", "note": "before 4.2"})
    assert first.status_code == 202 and "Idempotency-Replayed" not in first.headers
    again = keyed(daemon, "first", {"policy": "p", "note": "before 4.2"})
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"] and again.headers["Location"] == first.headers["Location"]
    ended = daemon.api("POST", "/v1/backups?wait=30s", json={"policy": "p", "note": "before 4.2"},
                       headers={"Idempotency-Key": "first"})
    assert ended.status_code == 200 and ended.json()["state"] == "succeeded"
    other = keyed(daemon, "first", {"policy": "q"})
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reuse")
    assert keyed(daemon, "second", {"policy": "q"}).json()["id"] != first.json()["id"]
    for wrong in ("", "x" * 256, "caf\u00e9"):
        answer = daemon.api("POST", "/v1/backups", json={"policy": "p"}, headers={"Idempotency-Key": wrong.encode()})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-idempotency-key"), wrong
    restore = jobs.restore_body(suffix=".keyed")
    made = keyed(daemon, "restore", restore, "/v1/restores").json()["id"]
    daemon.kill()
    daemon.start()
    assert keyed(daemon, "restore", restore, "/v1/restores").json()["id"] == made
    assert keyed(daemon, "first", {"policy": "p", "note": "before 4.2"}).json()["id"] == first.json()["id"]
    assert daemon.wait_job(made)["state"] == "succeeded"
    assert len(daemon.get("/v1/jobs?kind=restore")["items"]) == 1
    records.delete_topic(bootstrap, f"{topic}.keyed")


def test_of_many_requests_with_a_key_at_once_one_is_taken(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    body = jobs.restore_body(suffix=".many")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: daemon.tcp("POST", "/v1/restores", json=body, headers={"Idempotency-Key": "many"}), range(36)))
    assert {answer.status_code for answer in answers} <= {202, 200, 409}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert all(answer.json()["type"] == "/problems/idempotency-in-progress" for answer in refused)
    made, = {answer.json()["id"] for answer in answers if answer.status_code != 409}
    assert daemon.wait_job(made)["state"] == "succeeded"
    assert [job["id"] for job in daemon.get("/v1/jobs?kind=restore")["items"]] == [made]
    records.delete_topic(bootstrap, f"{topic}.many")


def test_the_configuration_in_force_is_shown_without_its_secrets(tidemarkd):
    clusters = [{"name": "source", "bootstrap": ["127.0.0.1:1"], "rdkafka": {"sasl.password": "planted-secret"}}]
    daemon = tidemarkd({"clusters": clusters, "jobs": {"max_running": 3}}, start=False)
    daemon.config_path.chmod(0o600)
    daemon.start()
    shown = daemon.api("GET", "/v1/config")
    assert shown.json()["jobs"]["max_running"] == 3 and shown.json()["clusters"][0]["rdkafka"] == {"sasl.password": "[redacted]"}
    assert "planted" not in shown.text
    daemon.configure({"clusters": clusters, "jobs": {"max_running": 2}})
    daemon.config_path.chmod(0o600)
    assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 200
    assert daemon.get("/v1/config")["jobs"]["max_running"] == 2


def test_states_and_kinds_may_be_several_and_topics_of_the_status_a_pattern(bootstrap, new_topic, tidemarkd):
    one, other = new_topic(), new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(one, other), jobs.policy("none-of-that-name", name="q")]})
    for topic in (one, other):
        records.produce(bootstrap, topic, [record(b"k", b"v")])
    done = daemon.backup("p")["id"]
    verified = daemon.run_job("/v1/verifications", {"vault": "local", "depth": "catalog"})["id"]

    def ids(query):
        return [row["id"] for row in daemon.get(f"/v1/jobs?{query}")["items"]]
    assert ids("state=succeeded&state=failed&kind=backup&kind=verify") == [verified, done]
    assert ids("kind=backup&kind=drill") == [done] and ids("state=failed&state=partial") == []
    assert len(daemon.get("/v1/recovery-points?state=complete&state=damaged")["items"]) == 1
    assert daemon.get("/v1/recovery-points?state=partial&state=damaged")["items"] == []
    assert {row["name"] for row in daemon.get("/v1/policies?state=ok&state=never")["items"]} == {"p", "q"}

    def topics(pattern):
        return {row["topic"] for row in daemon.api("GET", "/v1/status", params={"topic": pattern}).json()["items"]}
    assert topics(one[:-1] + "*") >= {one} and topics(f"{{{one},{other}}}") == {one, other} and topics(f"/{other}/") == {other}
    wrong = daemon.api("GET", "/v1/status", params={"topic": "a]["})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["parameter"] == "topic"


def test_names_may_be_several_and_topics_of_points_patterns(bootstrap, new_topic, tidemarkd):
    one, other = new_topic(), new_topic()
    twin = jobs.clusters(source=bootstrap, twin=bootstrap)
    daemon = tidemarkd({"clusters": twin, "policies": [
        jobs.policy(one), jobs.policy(other, name="q"), jobs.policy(one, other, name="r", cluster="twin")]})
    for topic in (one, other):
        records.produce(bootstrap, topic, [record(b"k", b"v")])
    points, backups = {}, {}
    for name in "pqr":
        job = daemon.backup(name)
        points[name], backups[name] = job["result"]["recovery_point"], job["id"]

    def listed(path, known, **params):
        rows = daemon.api("GET", path, params=params).json()["items"]
        return "".join(sorted(name for name, one in known.items() if one in {row["id"] for row in rows}))

    def found(**params):
        return listed("/v1/recovery-points", points, **params)

    assert listed("/v1/jobs", backups, policy=["p", "r", "none"]) == listed("/v1/backups", backups, policy=["r", "p"]) == "pr"
    assert found(policy=["q", "r"]) == "qr" and found(cluster=["source", "twin"]) == "pqr" and found(cluster="twin") == "r"
    assert found(policy=["p", "q"], cluster="twin") == "" and found(policy="none") == ""
    assert found(topic=one) == "pr" and found(topic=[one, other]) == "pqr" == found(topic=f"{one[:3]}*")
    assert found(topic=f"/{other}/", policy=["p", "q"]) == "q" and found(topic="none*") == ""
    counted = daemon.api("GET", "/v1/recovery-points", params={"topic": f"{{{one},{other}}}", "policy": ["p", "r"], "count": "true", "limit": 1}).json()
    assert counted["total_count"] == 2 and counted["items"][0]["id"] == points["r"]
    more = {"cursor": counted["next_cursor"], "topic": f"{{{one},{other}}}", "limit": 1}
    second = daemon.api("GET", "/v1/recovery-points", params=more | {"policy": ["p", "r"]})
    assert [row["id"] for row in second.json()["items"]] == [points["p"]]
    for policies in ("p", ["p", "r", "q"]):  # a cursor is for its filter, all of it
        refused = daemon.api("GET", "/v1/recovery-points", params=more | {"policy": policies})
        assert refused.status_code == 400 and refused.json()["type"] == "/problems/bad-cursor", refused.text
    assert {row["policy"] for row in daemon.api("GET", "/v1/status", params={"policy": ["p", "r"], "topic": [one, "none"]}).json()["items"]} == {"p", "r"}
    assert {row["name"] for row in daemon.api("GET", "/v1/policies", params={"cluster": ["twin", "none"]}).json()["items"]} == {"r"}
    wrong = daemon.api("GET", "/v1/recovery-points", params={"topic": "a]["})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["parameter"] == "topic"


def test_what_a_problem_links_to_is_served(tidemarkd):
    daemon = tidemarkd({"policies": []})
    refused = daemon.api("GET", "/v1/policies/none")
    page = daemon.tcp("GET", refused.json()["type"], token="")
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "There is no such thing" in page.text and "List what there is." in page.text
    near = daemon.api("GET", "/problems/not-fond")
    assert near.status_code == 404 and near.json()["similar"] == ["not-found"]
    root = pathlib.Path(__file__).resolve().parents[2]
    texts = [line for line in (root / "api/problems.def").read_text().splitlines() if line.startswith("X(")]
    assert len(texts) > 50 and not any(one in line for line in texts for one in "<>&")
