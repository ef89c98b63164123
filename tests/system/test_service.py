# SPDX-License-Identifier: Apache-2.0
"""tidemarkd as a service manager sees it."""

import re
import socket
import subprocess
import sys

from rig import jobs, records

WATCHDOG_MS = 200  # pings come at half of it, and a worker may be silent for ten times as long
TOO_MANY = 60


def pings(manager, seconds):
    """How many pings come until none does for so long, or there are too many."""
    manager.settimeout(seconds)
    count = 0
    while count < TOO_MANY:
        try:
            count += manager.recv(4096) == b"WATCHDOG=1"
        except TimeoutError:
            break
    return count


def test_a_worker_that_hangs_ends_the_pings(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    records.produce(bootstrap, topic, [records.record(b"k", b"v")])
    daemon = tidemarkd(start=False, bootstrap=bootstrap)
    daemon.configure({"policies": [jobs.policy(topic)]})
    path = str(daemon.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        daemon.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(WATCHDOG_MS * 1000),
                          "TM_FAULTS": "job.backup.fenced:hang@1"})
        job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
        assert 10 <= pings(manager, 1) < TOO_MANY  # it has its time first
        assert daemon.get(f"/v1/jobs/{job['id']}")["state"] == "running"  # the loop turns
    silent = re.findall(r"event=watchdog.withheld .*pool=worker silent_ms=([0-9]+)", daemon.log())
    assert len(silent) == 1 and int(silent[0]) >= 10 * WATCHDOG_MS
    daemon.kill()
    daemon.start()
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["resumed_count"] == 1, job


def test_a_cluster_that_is_away_is_no_reason_to_end_the_pings(tidemarkd):
    daemon = tidemarkd(start=False, bootstrap="127.0.0.1:1")
    daemon.configure({"policies": [jobs.policy("t")]})
    path = str(daemon.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        daemon.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "40000"})
        assert daemon.api("POST", "/v1/backups", json={"policy": "p"}).status_code == 202
        for _ in range(60):  # thrice the time that a worker may be silent
            manager.recv(4096)
    assert "watchdog.withheld" not in daemon.log()


PASS = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[2], sys.argv[2:])"


def start_with(daemon, listener):
    """As systemd starts a service that has a socket unit."""
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(
            [sys.executable, "-c", PASS, str(listener.fileno()), str(daemon.binary), "--config", str(daemon.config_path)],
            pass_fds=(listener.fileno(),), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    return daemon


def test_a_socket_of_the_manager_outlives_the_daemon(tidemarkd):
    """Whoever connects while the daemon is away is answered by the next one; another path is refused."""
    daemon = tidemarkd(start=False, bootstrap="127.0.0.1:1")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(daemon.socket))
        listener.listen()
        start_with(daemon, listener).wait_ready()
        assert daemon.get("/v1")["version"]
        daemon.stop()
        assert daemon.socket.exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(daemon.socket))  # nobody is there to accept it
            client.sendall(b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            start_with(daemon, listener)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        daemon.stop()
        daemon.configure({"server": {"socket": f"{daemon.socket}.other"}})
        assert start_with(daemon, listener).wait() == 3
        assert "make them the same" in daemon.log()
