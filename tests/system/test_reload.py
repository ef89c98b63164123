# SPDX-License-Identifier: Apache-2.0
"""The configuration, read again while the daemon works: by signal, by request, by the file's change."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import secrets
import socket
import time

import pytest
import requests
import yaml

from rig import jobs, records
from rig.daemon import write_private
from rig.records import record
from test_cli import tidemark


def reloaded(daemon, config):
    """What a reload of that configuration answers."""
    daemon.configure(config)
    answer = daemon.api("POST", "/v1/config/reload", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


def changes(answer):
    return {(one["change"], one["path"], one.get("name")) for one in answer["changes"]}


def metric(daemon, line):
    """The value of a series; None where there is none."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", daemon.api("GET", "/metrics").text, re.M)
    return float(found.group(1)) if found else None


def policies(daemon):
    return {one["name"] for one in daemon.get("/v1/policies")["items"]}


def test_policies_come_change_and_go_without_a_restart(bootstrap, new_topic, tidemarkd):
    orders, payments = new_topic(), new_topic()
    for topic in (orders, payments):
        records.produce(bootstrap, topic, [record(b"k", b"v") for _ in range(5)])
    keeps = jobs.policy(orders, name="keeps", schedule="@every 1s")
    goes = jobs.policy(payments, name="goes", rpo="1h")
    daemon = tidemarkd({"policies": [keeps, goes]})
    daemon.backup("goes")
    process = daemon.process.pid
    assert reloaded(daemon, {"policies": [keeps, goes]}) == {"changed": False, "changes": []}

    comes = jobs.policy(payments, name="comes", schedule="@every 1s")
    changed = jobs.policy(orders, name="keeps", schedule="@every 1s", rpo="10m")
    records.wait_until(lambda: daemon.get("/v1/policies/keeps").get("last_success_at"), "a planned run")
    before = daemon.get("/v1/policies/keeps")["last_success_at"]
    assert changes(reloaded(daemon, {"policies": [comes, changed]})) == {
        ("added", "policies", "comes"), ("changed", "policies", "keeps"), ("removed", "policies", "goes")}
    assert policies(daemon) == {"comes", "keeps"} and daemon.process.pid == process and daemon.running
    assert daemon.get("/v1/policies/keeps")["last_success_at"] >= before
    assert daemon.get("/v1/policies/keeps")["rpo_seconds"] == 600
    assert metric(daemon, 'tidemark_policy_rpo_objective_seconds{kafka_cluster="source",policy="keeps"}') == 600
    assert 'policy="goes"' not in daemon.api("GET", "/metrics").text
    assert {row["policy"] for row in daemon.get("/v1/status")["items"]} == {"comes", "keeps"}
    records.wait_until(lambda: daemon.get("/v1/policies/comes").get("last_result") == "succeeded", "a run of the new policy")
    last = daemon.get("/v1/policies/keeps")["last_success_at"]
    records.wait_until(lambda: daemon.get("/v1/policies/keeps")["last_success_at"] > last, "a run of the changed policy")
    assert daemon.api("POST", "/v1/backups", json={"policy": "goes"}).status_code == 404
    # What it had stored is there, and is known again once it is configured again.
    assert len(daemon.get("/v1/recovery-points?policy=goes")["items"]) == 1
    assert changes(reloaded(daemon, {"policies": [comes, changed, goes]})) == {("added", "policies", "goes")}
    again = daemon.get("/v1/policies/goes")
    assert again["newest_point"] and again["last_success_at"]
    restored = payments + ".restored"
    jobs.restore(daemon, name="goes", suffix=".restored")
    assert records.difference(records.read_topic(bootstrap, payments), records.read_topic(bootstrap, restored)) is None


def test_what_runs_goes_on_as_it_began(bootstrap, new_topic, tidemarkd):
    """A backup of a policy that is removed while it reads ends whole; so does one that is only changed."""
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", secrets.token_bytes(1000)) for _ in range(3000)])
    slow = [jobs.policy(topic, name=name, limits={"read_bytes_per_second": "1MiB"}) for name in ("removed", "changed")]
    daemon = tidemarkd({"policies": slow})
    going = [daemon.api("POST", "/v1/backups", json={"policy": one["name"]}).json()["id"] for one in slow]
    for job in going[:1]:
        jobs.wait_progress(daemon, job, 1)
    kept = slow[1] | {"schedule": "@daily"}
    assert len(reloaded(daemon, {"policies": [kept]})["changes"]) == 2
    assert {daemon.wait_job(job)["state"] for job in going} == {"succeeded"}
    assert {point["policy"] for point in daemon.get("/v1/recovery-points")["items"]} == {"removed", "changed"}
    daemon.stop()


def test_a_configuration_that_is_wrong_changes_nothing(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    good = daemon.config_path.read_text()
    assert metric(daemon, "tidemark_config_last_reload_successful") == 1
    since = metric(daemon, "tidemark_config_last_reload_success_timestamp_seconds")
    daemon.config_path.write_text(good.replace('"schedule"', '"shedule"'))
    answer = daemon.api("POST", "/v1/config/reload", json={})
    assert answer.status_code == 422 and answer.json()["type"] == "/problems/config-invalid"
    told = [error["detail"] for error in answer.json()["errors"]]
    assert any(re.match(rf'{re.escape(str(daemon.config_path))}:\d+:\d+: error: .*did you mean "schedule"', line) for line in told)
    assert "stays" in answer.json()["detail"]
    assert metric(daemon, "tidemark_config_last_reload_successful") == 0
    assert metric(daemon, "tidemark_config_last_reload_success_timestamp_seconds") == since
    assert "event=config.refused" in daemon.log()
    assert policies(daemon) == {"p"}
    daemon.backup("p")
    daemon.config_path.unlink()
    assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 422
    daemon.config_path.write_text(good)
    assert daemon.api("POST", "/v1/config/reload", json={}).json() == {"changed": False, "changes": []}
    assert metric(daemon, "tidemark_config_last_reload_successful") == 1


@pytest.mark.parametrize("section, told", [
    ({"state": {"dir": "/tmp/elsewhere"}}, "state.dir"),
    ({"server": {"metrics_listen": "127.0.0.1:1"}}, "server.metrics_listen"),
    ({"workers": {"max": 3}}, "workers.max"),
])
def test_what_is_read_at_start_alone_is_named(bootstrap, new_topic, tidemarkd, section, told):
    """... and then nothing changes, though the rest of the file could."""
    policy = jobs.policy(new_topic())
    daemon = tidemarkd({"policies": [policy]})
    daemon.configure({"policies": [policy, policy | {"name": "q"}]} | section)
    daemon.config_path.chmod(0o600)
    answer = daemon.api("POST", "/v1/config/reload", json={})
    assert answer.status_code == 422 and answer.json()["type"] == "/problems/restart-needed", answer.text
    assert [told in error["detail"] and "restart" in error["detail"] for error in answer.json()["errors"]] == [True]
    assert policies(daemon) == {"p"}


def clients(daemon):
    """How many clients of Kafka the process has: each has one main thread."""
    names = [path.read_text().strip() for path in pathlib.Path(f"/proc/{daemon.process.pid}/task").glob("*/comm")]
    return names.count("rdk:main")


def test_a_cluster_that_differs_is_asked_as_it_is_now(bootstrap, new_topic, tidemarkd):
    """Also while a run reads from it as it was; the client of before is closed behind its last user."""
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", secrets.token_bytes(1000)) for _ in range(3000)])
    slow = jobs.policy(topic, limits={"read_bytes_per_second": "1MiB"}, consumer_groups=False)
    daemon = tidemarkd({"policies": [slow]})
    going = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()["id"]
    jobs.wait_progress(daemon, going, 1)
    dead = [{"name": "source", "bootstrap": "127.0.0.1:1"}]
    assert changes(reloaded(daemon, {"policies": [slow], "clusters": dead})) == {("changed", "clusters", "source")}
    assert daemon.get(f"/v1/jobs/{going}")["state"] == "running"
    assert daemon.wait_job(going)["state"] == "succeeded"
    records.wait_until(lambda: clients(daemon) == 0, "the client of before to be closed")
    assert daemon.get("/v1/clusters/source")["up"] is False and daemon.get("/v1/clusters")["items"][0]["bootstrap"] == "127.0.0.1:1"
    assert metric(daemon, 'tidemark_kafka_up{kafka_cluster="source"}') == 0
    live = [{"name": "source", "bootstrap": bootstrap, "rdkafka": {"client.id": "another"}}]
    assert changes(reloaded(daemon, {"policies": [slow], "clusters": live})) == {("changed", "clusters", "source")}
    assert daemon.get("/v1/clusters/source")["up"] is True
    records.produce(bootstrap, topic, [record(b"k", b"after")])
    assert daemon.backup("p")["result"]["messages_count"] == 1
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored(jobs.backed_up(daemon, bootstrap, topic), bootstrap, topic + ".restored")
    reloaded(daemon, {"policies": [], "clusters": []})
    records.wait_until(lambda: clients(daemon) == 0, "clients of a cluster that is gone to be closed")
    assert "kafka_cluster" not in daemon.api("GET", "/metrics").text
    daemon.stop()


def disk(daemon, name, folder=None, **more):
    return {"name": name, "type": "disk", "path": str(daemon.directory / (folder or name)), "key_file": str(daemon.key_path),
            "create": True} | more


def vault(daemon, name):
    return daemon.get(f"/v1/vaults/{name}")


def test_vaults_come_move_and_go_without_a_restart(bootstrap, new_topic, tidemarkd):
    orders, payments = new_topic(), new_topic()
    for topic in (orders, payments):
        records.produce(bootstrap, topic, [record(b"k", b"v") for _ in range(5)])
    daemon = tidemarkd({"policies": [jobs.policy(orders)]})
    daemon.backup("p")
    process = daemon.process.pid
    p, q = jobs.policy(orders), jobs.policy(payments, name="q", vault="second")
    # Another order, so that nothing may go by where a vault stands.
    both = {"policies": [q, p], "vaults": [disk(daemon, "second"), disk(daemon, "local", "vault")]}
    assert changes(reloaded(daemon, both)) == {("added", "vaults", "second"), ("added", "policies", "q")}
    records.wait_until(lambda: vault(daemon, "second").get("up"), "the new vault to be looked at")
    daemon.backup("q")
    jobs.restore(daemon, name="q", suffix=".restored")
    jobs.assert_restored(jobs.backed_up(daemon, bootstrap, payments, "q"), bootstrap, payments + ".restored")
    assert {one["policy"]: one["vault"] for one in daemon.get("/v1/recovery-points")["items"]} == {"p": "local", "q": "second"}
    assert metric(daemon, 'tidemark_vault_up{vault="second",backend="disk"}') == 1

    # The disk is mounted elsewhere: the same vault at another path, and its backups go on where they were.
    (daemon.directory / "vault").rename(daemon.directory / "moved")
    moved = both | {"vaults": [disk(daemon, "second"), disk(daemon, "local", "moved")]}
    assert changes(reloaded(daemon, moved)) == {("changed", "vaults", "local")}
    records.wait_until(lambda: vault(daemon, "local").get("up"), "the vault at its new place")
    assert vault(daemon, "local")["where"].endswith("/moved") and not (daemon.directory / "vault").exists()
    records.produce(bootstrap, orders, [record(b"k", b"more")])
    assert daemon.backup("p")["result"]["messages_count"] == 1
    jobs.restore(daemon, suffix=".restored")
    jobs.assert_restored(jobs.backed_up(daemon, bootstrap, orders), bootstrap, orders + ".restored")

    # One that goes takes its points from the lists, and its series; it comes back with all of it.
    alone = {"policies": [p], "vaults": [disk(daemon, "local", "moved")]}
    assert changes(reloaded(daemon, alone)) == {("removed", "vaults", "second"), ("removed", "policies", "q")}
    assert {one["policy"] for one in daemon.get("/v1/recovery-points")["items"]} == {"p"}
    assert [one["name"] for one in daemon.get("/v1/vaults")["items"]] == ["local"]
    assert daemon.api("GET", "/v1/vaults/second").status_code == 404
    assert 'vault="second"' not in daemon.api("GET", "/metrics").text
    (daemon.directory / "state" / "catalog" / "second.db").unlink()  # nothing has it open any more
    reloaded(daemon, moved)
    records.wait_until(lambda: vault(daemon, "second").get("recovery_points_count") == 1, "its log to be read again")
    assert jobs.newest(daemon, "q")["vault"] == "second"
    assert daemon.backup("q")["result"]["messages_count"] == 0
    assert daemon.process.pid == process and daemon.running
    daemon.stop()


def test_a_vault_that_goes_while_a_run_writes_to_it_gets_all_of_that_run(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", secrets.token_bytes(1000)) for _ in range(3000)])
    daemon = tidemarkd({})
    slow = jobs.policy(topic, name="q", vault="second", limits={"read_bytes_per_second": "1MiB"})
    both = {"policies": [slow], "vaults": [disk(daemon, "local", "vault"), disk(daemon, "second")]}
    reloaded(daemon, both)
    going = daemon.api("POST", "/v1/backups", json={"policy": "q"}).json()["id"]
    jobs.wait_progress(daemon, going, 1)
    reloaded(daemon, {})
    assert daemon.wait_job(going)["state"] == "succeeded"
    assert daemon.get("/v1/recovery-points")["items"] == []
    reloaded(daemon, both)
    assert jobs.newest(daemon, "q")["messages_count"] == 3000
    jobs.restore(daemon, name="q", suffix=".restored")
    jobs.assert_restored(jobs.backed_up(daemon, bootstrap, topic, "q"), bootstrap, topic + ".restored")
    daemon.stop()


def test_a_key_that_is_another_one_is_tried_and_not_shown(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    right = daemon.key_path.read_bytes()
    write_private(daemon.key_path, secrets.token_bytes(32))
    answer = daemon.api("POST", "/v1/config/reload", json={})
    assert changes(answer.json()) == {("changed", "vaults", "local")} and daemon.key_path.read_bytes().hex() not in answer.text
    records.wait_until(lambda: vault(daemon, "local").get("up") is False, "the vault that this key does not open")
    assert daemon.run_job("/v1/backups", {"policy": "p"})["state"] == "failed"
    write_private(daemon.key_path, right)
    assert daemon.api("POST", "/v1/config/reload", json={}).status_code == 200
    records.wait_until(lambda: vault(daemon, "local").get("up"), "the vault with its key")
    daemon.backup("p")


def test_what_is_done_to_vaults_by_the_clock_follows_the_configuration(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    policies = [jobs.policy(topic)]

    def ended(kind):
        return sum(job["state"] == "succeeded" for job in daemon.get(f"/v1/jobs?kind={kind}&limit=200")["items"])

    often = [disk(daemon, "local", "vault", maintenance="@every 3s")]
    answer = reloaded(daemon, {"policies": policies, "vaults": often, "verify": [{"vault": "local", "schedule": "@every 2s", "depth": "catalog"}]})
    assert changes(answer) == {("changed", "vaults", "local"), ("changed", "verify", None)}
    records.wait_until(lambda: ended("retention") >= 2 and ended("verify") >= 2, "both at the new times")
    reloaded(daemon, {"policies": policies})
    records.wait_until(lambda: not daemon.get("/v1/jobs?state=queued&state=running")["items"], "what had begun to end")
    before = ended("retention"), ended("verify")
    daemon.backup("p")
    time.sleep(3.5)  # there is no event for a job that does not come
    assert (ended("retention"), ended("verify")) == before
    daemon.stop()


def test_tokens_clusters_and_the_log_level_are_taken(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    old, new = daemon.token, "tm_" + secrets.token_hex(20)
    write_private(daemon.tokens_path, f"other admin,read sha256:{hashlib.sha256(new.encode()).hexdigest()}\n")
    twin = {"name": "twin", "bootstrap": bootstrap}
    answer = reloaded(daemon, {"policies": [jobs.policy(topic), jobs.policy(topic, name="q", cluster="twin")],
                               "clusters": [{"name": "source", "bootstrap": bootstrap}, twin], "log": {"level": "warning"}})
    assert changes(answer) == {("added", "clusters", "twin"), ("added", "policies", "q"),
                               ("changed", "server.tokens_file", None), ("changed", "log.level", None)}
    assert daemon.tcp("GET", "/v1/status", token=old).status_code == 401
    assert daemon.tcp("GET", "/v1/status", token=new).status_code == 200
    daemon.backup("q")
    quiet = len(daemon.log())
    daemon.backup("p")
    assert "level=info" not in daemon.log()[quiet:]
    # A cluster that went and comes back as another one is that other one.
    reloaded(daemon, {"policies": [jobs.policy(topic)], "clusters": [{"name": "source", "bootstrap": bootstrap}]})
    reloaded(daemon, {"policies": [jobs.policy(topic), jobs.policy(topic, name="q", cluster="twin")],
                      "clusters": [{"name": "source", "bootstrap": bootstrap}, {"name": "twin", "bootstrap": "127.0.0.1:1"}]})
    assert daemon.api("POST", "/v1/backups", json={"policy": "q"}).status_code == 202
    records.wait_until(lambda: re.search(r"127.0.0.1:1\b.*Connection refused", daemon.log()), "the other address to be asked")


def test_what_the_servers_were_started_with_changes_under_who_is_connected(bootstrap, new_topic, tidemarkd):
    """Requests in hand are answered; what waits is let go, to be asked again; then the connections close."""
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", secrets.token_bytes(1000)) for _ in range(3000)])
    slow = jobs.policy(topic, limits={"read_bytes_per_second": "1MiB"})
    daemon = tidemarkd({"policies": [slow]})
    body = {"policy": "none", "note": "x" * 1500}
    assert daemon.api("POST", "/v1/backups", json=body).status_code == 404
    assert daemon.tcp("GET", "/ui").status_code == 200
    going = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()["id"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs.wait_progress(daemon, going, 1)
        waiting = pool.submit(daemon.tcp, "GET", f"/v1/jobs/{going}?wait=60s")
        stream = daemon.tcp("GET", "/v1/events", stream=True)
        answer = reloaded(daemon, {"policies": [slow], "log": {"level": "info", "format": "json"}, "metrics": {"max_topics": 7},
                                   "server": {"max_body": "1KiB", "ui": False, "max_connections": 3}, "workers": {"max": 9}})
        assert changes(answer) == {("changed", path, None) for path in (
            "server.max_body", "server.ui", "server.max_connections", "log.level", "log.format", "workers.max", "metrics.max_topics")}
        told = waiting.result(timeout=20)
        assert told.status_code == 200 and told.json()["state"] == "running"
        assert stream.raw.read() is not None and stream.raw.closed  # to its end
    assert daemon.api("POST", "/v1/backups", json=body).status_code == 413
    assert daemon.tcp("GET", "/ui").status_code == 404
    assert metric(daemon, "tidemark_workers_max") == 9
    assert json.loads(daemon.log().splitlines()[-1])["event"]
    sessions = [requests.Session() for _ in range(3)]
    for session in sessions:
        session.trust_env = False
        assert session.get(f"{daemon.url}/livez", timeout=20).status_code == 200
    with pytest.raises(requests.Timeout):  # the fourth has to wait
        requests.get(f"{daemon.url}/livez", timeout=2)
    for session in sessions:
        session.close()
    for number in range(20):  # nothing is kept of those before
        reloaded(daemon, {"policies": [slow], "server": {"rate_limit": 200 + number}, "workers": {"max": 9}})
    assert daemon.wait_job(going)["state"] == "succeeded"
    assert daemon.tcp("GET", "/v1/status").status_code == 200
    sockets = [os.readlink(path) for path in pathlib.Path(f"/proc/{daemon.process.pid}/fd").iterdir() if path.is_symlink()]
    assert sum("eventpoll" in one for one in sockets) < 10
    daemon.stop()


def test_a_token_without_admin_may_not_reload(new_topic, tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy(new_topic())]}, start=False)
    few = "tm_" + secrets.token_hex(20)
    write_private(daemon.tokens_path, f"few read,operate,restore sha256:{hashlib.sha256(few.encode()).hexdigest()}\n")
    daemon.start()
    assert daemon.tcp("POST", "/v1/config/reload", json={}, token=few).status_code == 403
    assert tidemark("reload", "--socket", daemon.socket).stdout == "nothing changed\n"
    assert "configuration to be reloaded" in daemon.log()


def test_a_storm_of_signals_while_backups_run(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    expected = [record(b"k%d" % n, b"v") for n in range(200)]
    records.produce(bootstrap, topic, expected)
    some = [jobs.policy(topic, name=f"p{n}", schedule="@every 1s") for n in range(4)]
    daemon = tidemarkd({"policies": some})
    for turn in range(60):
        daemon.configure({"policies": some[:1 + turn % 4], "log": {"level": "info"}})
        for _ in range(5):
            daemon.reload()
        if turn % 10 == 0:
            daemon.get("/v1/status")
    reloaded(daemon, {"policies": some})
    assert policies(daemon) == {"p0", "p1", "p2", "p3"}
    records.wait_until(lambda: daemon.get("/v1/policies/p0").get("last_success_at"), "a planned run")
    last = daemon.get("/v1/policies/p0")["last_success_at"]
    records.wait_until(lambda: daemon.get("/v1/policies/p0")["last_success_at"] > last, "planned runs to go on")
    jobs.restore(daemon, name="p0", suffix=".restored")
    assert records.difference(records.read_topic(bootstrap, topic), records.read_topic(bootstrap, topic + ".restored")) is None
    daemon.reload()  # and in the middle of a stop
    daemon.stop()


def test_systemd_is_told_and_a_signal_before_the_start_is_over_is_not_lost(new_topic, tidemarkd, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        topic = new_topic()
        daemon = tidemarkd({"policies": [jobs.policy(topic)]}, start=False)
        daemon.start(env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        daemon.configure({"policies": [jobs.policy(topic), jobs.policy(topic, name="q")]})
        daemon.reload()
        told = []
        while not told or not (told[-1].startswith("READY=1") and "2 policies" in told[-1]):
            told.append(manager.recv(4096).decode())
        assert [text.partition("\n")[0] for text in told] == ["READY=1", "RELOADING=1", "READY=1"]
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", told[1])
        assert policies(daemon) == {"p", "q"}


def test_a_watched_config_map_is_taken_when_its_link_moves(new_topic, tidemarkd, tmp_path):
    """Kubernetes writes another folder and turns a symbolic link to it."""
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)], "server": {"watch_config": True}}, start=False)
    whole = json.loads(daemon.config_path.read_text())
    for number, names in ((1, ["p"]), (2, ["p", "q"])):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "tidemark.yaml").write_text(
            yaml.safe_dump(whole | {"policies": [jobs.policy(topic, name=name) for name in names]}))
    (tmp_path / "data").symlink_to("v1")
    daemon.config_path.unlink()
    daemon.config_path.symlink_to(tmp_path / "data" / "tidemark.yaml")
    daemon.start()
    assert policies(daemon) == {"p"}
    (tmp_path / "data.new").symlink_to("v2")
    os.replace(tmp_path / "data.new", tmp_path / "data")
    records.wait_until(lambda: policies(daemon) == {"p", "q"}, "the other configuration to be taken", 40)


def test_a_watched_file_of_conf_d_is_taken_and_its_labels_are_shown(new_topic, tidemarkd):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)], "server": {"watch_config": True}})
    folder = daemon.config_path.parent / "conf.d"
    folder.mkdir()
    labels = {"team": "payments", "tier": "1"}
    (folder / "more.yaml").write_text(yaml.safe_dump({"policies": [jobs.policy(topic, name="q", labels=labels)]}))
    records.wait_until(lambda: policies(daemon) == {"p", "q"}, "the added policy to be taken", 40)
    assert daemon.get("/v1/policies/q")["labels"] == labels and "labels" not in daemon.get("/v1/policies/p")
    shown = {policy["name"]: policy for policy in daemon.get("/v1/config")["policies"]}
    assert shown["q"]["labels"] == labels
    (folder / "more.yaml").write_text("log: {level: debug}\n")
    refused = daemon.api("POST", "/v1/config/reload")
    assert refused.status_code == 422 and f"{folder}/more.yaml:1:1: error: " in refused.json()["detail"], refused.text
    assert policies(daemon) == {"p", "q"}
    (folder / "more.yaml").unlink()
    records.wait_until(lambda: policies(daemon) == {"p"}, "the policy to go with its file", 40)


def test_paused_policies_stay_paused_and_due_runs_are_not_lost(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v")])
    one = jobs.policy(topic, schedule="@every 1s")
    daemon = tidemarkd({"policies": [one]})
    daemon.api("POST", "/v1/policies/p/pause", json={"reason": "work"})
    reloaded(daemon, {"policies": [one | {"rpo": "1h"}, one | {"name": "q"}]})
    assert daemon.get("/v1/policies/p")["paused"]["reason"] == "work"
    assert "paused" not in daemon.get("/v1/policies/q")
    records.wait_until(lambda: daemon.get("/v1/policies/q").get("last_success_at"), "a run of the new policy")
    # A reload every few hundred milliseconds must not put planned runs off for ever.
    begun = len(daemon.get("/v1/jobs?policy=q&limit=500")["items"])
    for turn in range(30):
        reloaded(daemon, {"policies": [one, one | {"name": "q", "rpo": f"{turn + 1}h"}]})
    records.wait_until(lambda: len(daemon.get("/v1/jobs?policy=q&limit=500")["items"]) > begun, "planned runs to go on", 5)


def checked(daemon, text, kind="application/yaml"):
    return daemon.api("POST", "/v1/config/check", data=text.encode(), headers={"Content-Type": kind})


def test_a_configuration_is_checked_before_it_is_there(new_topic, tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy(new_topic())]})
    good = daemon.config_path.read_text()
    assert checked(daemon, good).json() == {"valid": True, "findings": []}
    assert checked(daemon, "version: 1\nlog: {level: info}\n", "text/yaml; charset=utf-8").json()["valid"]
    assert checked(daemon, '{"version": 1}', "application/json").json()["valid"]
    answer = checked(daemon, "version: 1\nlog:\n  level: loud\npolices: []\nserver: {insecure_listen: true, listen: '0.0.0.0:1'}\n").json()
    assert answer["valid"] is False
    assert [(one["severity"], one.get("line"), one.get("column")) for one in answer["findings"]][:2] == [("error", 3, 10), ("error", 4, 1)]
    assert 'did you mean "policies"' in answer["findings"][1]["detail"]
    for text in ("", "{", "\x00", "a: &b c\n", "version: 1\n" * 3, "[" * 100, "x: " + "y" * 500_000):
        answer = checked(daemon, text)
        assert answer.status_code == 200 and answer.json()["valid"] is False and answer.json()["findings"], text[:20]
    assert checked(daemon, "x" * 2_000_000).status_code == 413
    assert checked(daemon, good, "text/plain").status_code == 415
    # Nothing is opened for it, so nobody learns which files there are, or what is in them.
    secret = "version: 1\nserver: {tokens_file: '${file:/etc/shadow}'}\nlog: {level: '${env:PATH}'}\n"
    answer = checked(daemon, secret)
    assert "/bin" not in answer.text and "root" not in answer.text
    many = checked(daemon, "version: 1\n" + "".join(f"bad{number}: 1\n" for number in range(70))).json()["findings"]
    assert len(many) == 51 and "20 more" in many[-1]["detail"]


def test_the_log_level_changes_for_a_while(new_topic, tidemarkd):
    daemon = tidemarkd({"policies": [jobs.policy(new_topic())], "log": {"level": "warning"}})
    answer = daemon.api("PUT", "/v1/log-level", json={"level": "debug", "for": "2s"})
    assert answer.status_code == 200 and answer.json()["level"] == "debug" and answer.json()["until"]
    daemon.get("/v1/status")
    assert "level=debug" in daemon.log() and 'msg="log level changed"' in daemon.log()
    records.wait_until(lambda: "event=log.level" in daemon.log() or not daemon.get("/v1/status"), "the time to be over", 10)
    quiet = len(daemon.log())
    daemon.get("/v1/status")
    assert daemon.log()[quiet:] == ""
    assert "until" not in daemon.api("PUT", "/v1/log-level", json={"level": "debug"}).json()
    daemon.api("PUT", "/v1/log-level", json={"level": "error", "for": "1h"})
    reloaded(daemon, {"policies": [jobs.policy(new_topic())], "log": {"level": "info"}})
    assert "event=config.reloaded" in daemon.log()
    for body in ({}, {"level": "loud"}, {"level": "info", "for": "0"}, {"level": "info", "for": "soon"}, {"level": 3}, {"more": 1, "level": "info"}):
        assert daemon.api("PUT", "/v1/log-level", json=body).status_code == 422, body
    daemon.stop()
