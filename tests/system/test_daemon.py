# SPDX-License-Identifier: Apache-2.0
"""tidemarkd as a process: its configuration, its start and its end, its schedules, its jobs across restarts."""

import datetime
import re
import socket
import subprocess
import time

import pytest

from rig import jobs, records
from rig.records import record

NOW = 1_700_000_000_000


def some_records(count):
    return [record(b"k%d" % number, b"v" * 100, timestamp=NOW + number) for number in range(count)]


# Configuration

WRONG = """\
version: 1
state: {dir: STATE}
server:
  lisen: 127.0.0.1:8484
  listen: 0.0.0.0:8484
log: {level: loud}
clusters:
  - name: dev
    bootstrap: ["localhost"]
    rdkafka: {group.id: x}
vaults:
  - {name: local, type: disk, path: STATE/vault, key_file: STATE/absent, create: yes}
policies:
  - name: a
    cluster: deev
    vault: local
    topics: {include: ["/[/"]}
    schedule: "61 * * * *"
  - name: a
    cluster: dev
    vault: local
    topics: {include: ["*"]}
    schedule: "@every 10ms"
"""

# Line and column of each mistake, and what the message has to contain.
MISTAKES = [
    ((4, 3), "lisen"),
    ((5, 11), "0.0.0.0"),
    ((6, 14), "loud"),
    ((9, 17), "localhost"),
    ((10, 24), "group.id"),
    ((12, 59), "absent"),
    ((12, 82), "yes"),
    ((15, 14), "deev"),
    ((17, 24), "/[/"),
    ((18, 15), "61"),
    ((19, 11), "a"),
    ((23, 15), "@every"),
]


def test_a_wrong_configuration_is_refused_with_every_mistake_and_its_place(tidemarkd):
    daemon = tidemarkd(start=False, bootstrap=None)
    daemon.configure(WRONG.replace("STATE", str(daemon.directory)))
    daemon.start(wait_ready=False)
    assert daemon.wait() == 3
    report = daemon.log()
    found = {}
    for path, line, column, text in re.findall(r"^(.+?):(\d+):(\d+): error: (.*)$", report, re.MULTILINE):
        assert path == str(daemon.config_path)
        found[int(line), int(column)] = text
    for place, words in MISTAKES:
        columns = [at for at in found if at[0] == place[0] and words in found[at]]
        assert columns, f"line {place[0]}: no error with {words!r} in\n{report}"
    assert len(found) >= len(MISTAKES), report
    assert not (daemon.directory / "vault").exists() and not (daemon.directory / "journal.db").exists()


def test_check_tells_what_is_wrong_and_starts_nothing(tidemarkd):
    daemon = tidemarkd(start=False, bootstrap="127.0.0.1:1")
    daemon.configure({"policies": [jobs.policy("t")]})

    def check():
        return subprocess.run([daemon.binary, "--config", daemon.config_path, "--check"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)

    assert check().returncode == 0
    daemon.configure({"policies": [jobs.policy("t", cluster="sorce")]})
    done = check()
    assert done.returncode == 3 and "sorce" in done.stdout and "source" in done.stdout, done.stdout
    assert not (daemon.directory / "state").exists()


# Start and end

def test_systemd_is_told_when_the_daemon_is_ready_and_when_it_stops(tidemarkd):
    daemon = tidemarkd(start=False, bootstrap="127.0.0.1:1")
    path = str(daemon.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        daemon.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
        assert manager.recv(4096).decode().splitlines()[0] == "READY=1"
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert manager.recv(4096) == b"WATCHDOG=1"
        daemon.process.terminate()
        while manager.recv(4096) != b"STOPPING=1":
            pass
        assert daemon.wait() == 0


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(tidemarkd):
    daemon = tidemarkd(bootstrap="127.0.0.1:1")
    done = subprocess.run([daemon.binary, "--config", daemon.config_path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    assert done.returncode == 4
    assert f"{daemon.directory}/state: another tidemarkd uses this state directory" in done.stdout
    assert daemon.api("GET", "/readyz").status_code == 200


def test_an_address_that_is_taken_is_named_at_the_start(tidemarkd):
    daemon = tidemarkd(start=False, bootstrap="127.0.0.1:1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", daemon.port))
        taken.listen()
        daemon.start(wait_ready=False)
        assert daemon.wait() == 4
    assert f"127.0.0.1:{daemon.port}" in daemon.log()


@pytest.fixture
def slow(bootstrap, new_topic, tidemarkd):
    """A daemon and a topic of 6000 records whose backup and whose restore take seconds."""
    topic = new_topic(2)
    written = some_records(6000)
    records.produce(bootstrap, topic, written, lambda index, _: index % 2, batch_num_messages=1)
    clusters = jobs.slow_reading("source", bootstrap)
    clusters[0]["rdkafka"]["batch.num.messages"] = 1
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy(topic)]})
    daemon.topic = topic
    daemon.expected = [written[0::2], written[1::2]]
    return daemon


def test_sigterm_ends_the_daemon_in_ten_seconds_and_its_jobs_go_on_after_it(bootstrap, slow):
    job = slow.api("POST", "/v1/backups", json={"policy": "p"}).json()
    jobs.wait_progress(slow, job["id"], 500)
    begun = time.monotonic()
    slow.stop()  # with status 0
    assert time.monotonic() - begun < 10
    slow.start()
    job = slow.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["resumed_count"] == 1, job
    assert 0 < job["result"]["messages_count"] < 6000  # the rest was committed on the way out
    assert jobs.newest(slow)["messages_count"] == 6000

    job = slow.api("POST", "/v1/restores", json=jobs.restore_body(suffix=".restored")).json()
    jobs.wait_progress(slow, job["id"], 500)
    begun = time.monotonic()
    slow.stop()
    assert time.monotonic() - begun < 10
    slow.start()
    job = slow.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["resumed_count"] == 1 and job["result"]["proof"] == "identical", job
    jobs.assert_restored(slow.expected, bootstrap, f"{slow.topic}.restored")


def test_requests_are_told_that_the_daemon_is_stopping(slow):
    job = slow.api("POST", "/v1/backups", json={"policy": "p"}).json()
    jobs.wait_progress(slow, job["id"], 100)
    slow.process.terminate()
    seen = set()
    while slow.running:
        try:
            seen.add(slow.api("GET", "/readyz").status_code)
        except OSError:
            break
    assert slow.wait() == 0
    assert seen <= {200, 503}, seen


def test_a_cancelled_backup_ends_soon_and_the_next_one_goes_on(bootstrap, slow):
    job = slow.api("POST", "/v1/backups", json={"policy": "p"}).json()
    jobs.wait_progress(slow, job["id"], 500)
    begun = time.monotonic()
    response = slow.api("POST", f"/v1/jobs/{job['id']}/cancel")
    assert response.status_code == 202, response.text
    job = slow.wait_job(job["id"])
    assert job["state"] == "cancelled" and time.monotonic() - begun < 5, job
    again = slow.api("POST", f"/v1/jobs/{job['id']}/cancel")
    assert again.status_code == 409
    slow.stop()
    slow.start()
    assert slow.get(f"/v1/jobs/{job['id']}")["state"] == "cancelled"  # and is not taken up again
    assert 0 < slow.backup("p")["result"]["messages_count"] < 6000
    jobs.restore(slow, suffix=".restored")
    jobs.assert_restored(slow.expected, bootstrap, f"{slow.topic}.restored")


def test_a_cancelled_restore_ends_soon_and_leaves_a_prefix(bootstrap, slow):
    slow.backup("p")
    job = slow.api("POST", "/v1/restores", json=jobs.restore_body(suffix=".cancelled")).json()
    target = f"{slow.topic}.cancelled"
    jobs.wait_arrived(slow, job["id"], bootstrap, target, 500)
    begun = time.monotonic()
    assert slow.api("POST", f"/v1/jobs/{job['id']}/cancel").status_code == 202
    job = slow.wait_job(job["id"])
    assert job["state"] == "cancelled" and time.monotonic() - begun < 5, job
    found = records.read_topic(bootstrap, target)
    assert 0 < sum(map(len, found)) < 6000
    assert records.difference([left[:len(right)] for left, right in zip(slow.expected, found)], found) is None


# Schedules

def test_policies_run_when_their_schedules_say(bootstrap, new_topic, tidemarkd):
    """@every 1s at each second, and a cron line of the next minute in that minute; the others not at all."""
    topic = new_topic()
    records.produce(bootstrap, topic, some_records(1))
    if datetime.datetime.now(datetime.timezone.utc).second > 50:
        time.sleep(11)  # so that the next minute does not begin before the daemon has
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    far = soon + datetime.timedelta(minutes=10)
    schedules = {"every": "@every 1s", "cron": f"{soon.minute} {soon.hour} * * *",
                 "later": f"{far.minute} {far.hour} * * *", "by-hand": ""}
    daemon = tidemarkd({"policies": [jobs.policy(topic, name=name, schedule=schedule)
                                     for name, schedule in schedules.items()]})
    planned = {policy["name"]: policy.get("next_run_at") for policy in daemon.get("/v1/policies")["items"]}
    assert planned["cron"] == soon.strftime("%Y-%m-%dT%H:%M:00.000Z")
    assert planned["by-hand"] is None
    records.wait_until(lambda: daemon.get("/v1/jobs?policy=cron")["items"], "the cron schedule", timeout=70)
    assert datetime.datetime.now(datetime.timezone.utc).minute == soon.minute
    ran = daemon.get("/v1/jobs?policy=every&limit=500")["items"]
    seconds = [datetime.datetime.fromisoformat(job["created_at"]).timestamp() for job in reversed(ran)]
    assert len(seconds) > 3 and all(job["requested_by"] == "schedule" for job in ran)
    assert all(second % 1 < 0.5 for second in seconds), seconds
    assert max(right - left for left, right in zip(seconds, seconds[1:])) < 3.5
    assert daemon.get("/v1/jobs?policy=later")["items"] == [] == daemon.get("/v1/jobs?policy=by-hand")["items"]


def test_a_run_that_was_due_while_the_daemon_was_down_is_made_up_for_once(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic, name="once", schedule="@every 4s"),
                                     jobs.policy(topic, name="none", schedule="@every 4s", catch_up="none")]})

    def runs(name):
        return len(daemon.get(f"/v1/jobs?policy={name}&state=succeeded")["items"])

    for name in ("once", "none"):
        records.wait_until(lambda name=name: runs(name) > 0, f"a run of {name}")
    before = {name: runs(name) for name in ("once", "none")}
    daemon.stop()
    time.sleep(8 + 4.3 - time.time() % 4)  # two or three runs are missed, and the next one is more than 3 s away
    daemon.start()
    begun = time.monotonic()
    records.wait_until(lambda: runs("once") > before["once"], "the run that makes up for those", timeout=3)
    time.sleep(max(0, 2 - (time.monotonic() - begun)))
    assert {name: runs(name) - count for name, count in before.items()} == {"once": 1, "none": 0}
    assert re.findall(r"event=schedule.missed .*policy=(\w+) reason=downtime", daemon.log()) == ["none"]
