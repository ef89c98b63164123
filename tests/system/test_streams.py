# SPDX-License-Identifier: Apache-2.0
"""Answers that go on: events of a job and of the daemon as server-sent events, and the log of a job."""

import json
import threading
import time

import pytest

from rig import jobs, records
from rig.records import record
from test_cli import tidemark


class Events(threading.Thread):
    """Reads a stream of events to its end: (id, event, data, when)."""

    def __init__(self, daemon, path, last=None):
        super().__init__(daemon=True)
        self.found, self.comments, self.text = [], 0, ""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(last)} if last is not None else {})
        self.response = daemon.api("GET", path, headers=headers, stream=True)
        assert self.response.status_code == 200, self.response.text
        assert self.response.headers["Content-Type"] == "text/event-stream"
        self.start()

    def run(self):
        one = {}
        for line in self.response.iter_lines(chunk_size=1, decode_unicode=True):
            self.text += line + "\n"
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                one[name] = value
            elif "event" in one:
                number = int(one["id"]) if "id" in one else None
                self.found.append((number, one["event"], json.loads(one["data"]), time.monotonic()))
                one = {}

    def of(self, kind):
        return [data for _, event, data, _ in list(self.found) if event == kind]

    def kinds(self):
        return [event for _, event, _, _ in list(self.found)]

    def ended(self, timeout=60):
        self.join(timeout)
        assert not self.is_alive(), self.text
        return self


@pytest.fixture
def slow(bootstrap, new_topic, tidemarkd):
    """A daemon whose backups take a second or two."""
    topic = new_topic(2)
    records.produce(bootstrap, topic, [record(b"%d" % number, b"v" * 100) for number in range(4000)],
                    lambda index, _: index % 2, batch_num_messages=1)
    daemon = tidemarkd({"clusters": jobs.slow_reading("source", bootstrap), "policies": [jobs.policy(topic)]})
    daemon.topic = topic
    return daemon


def test_a_job_is_followed_from_its_state_to_its_end(slow):
    job = slow.api("POST", "/v1/backups", json={"policy": "p"}).json()
    events = Events(slow, f"/v1/jobs/{job['id']}/events").ended()
    assert events.text.startswith("retry: 2000\n\n")
    kinds = events.kinds()
    assert kinds[0] == "state" and kinds[-1] == "end" and kinds.count("end") == 1, kinds
    assert {"progress", "log"} <= set(kinds), kinds
    numbers = [number for number, *_ in events.found if number is not None]
    assert numbers == sorted(set(numbers)) and len(numbers) >= len(kinds) - 1
    done = [one["progress"]["done_messages"] for one in events.of("progress")]
    assert done == sorted(done) and done[-1] > 0
    times = [when for _, kind, _, when in events.found if kind == "progress"]
    assert len(times) <= 4 * (times[-1] - times[0]) + 6, "at most four a second, and some that were held up on their way"
    end, = events.of("end")
    assert end == slow.get(f"/v1/jobs/{job['id']}") and end["state"] == "succeeded"
    assert any("event=backup.ended" in line["line"] and f"job={job['id']}" in line["line"] for line in events.of("log"))

    again = Events(slow, f"/v1/jobs/{job['id']}/events").ended()  # one that has ended long ago
    assert again.kinds() == ["end"] and again.of("end") == [end]
    middle = events.found[len(events.found) // 2][0]
    behind = Events(slow, f"/v1/jobs/{job['id']}/events", last=middle).ended()
    kept = [(number, kind, data) for number, kind, data, _ in events.found if number and number > middle and kind != "progress"]
    assert [(number, kind, data) for number, kind, data, _ in behind.found] == kept
    slow.stop()
    slow.start()
    life = Events(slow, f"/v1/jobs/{job['id']}/events", last=middle).ended()  # what was kept is gone with the process
    assert life.kinds() == ["end"] and life.of("end")[0]["state"] == "succeeded"


def test_streams_have_their_bounds_and_end_with_the_daemon(slow):
    slow.backup("p")
    streams = [Events(slow, "/v1/events") for _ in range(7)]
    eighth = slow.api("GET", "/v1/events", stream=True)
    refused = slow.api("GET", "/v1/events", headers={"Accept": "text/event-stream"})
    assert refused.status_code == 429 and "8 streams" in refused.json()["detail"]
    eighth.close()  # a client that goes leaves room for another
    records.wait_until(lambda: open_one(slow), "room for another stream")
    begun = time.monotonic()
    slow.stop()
    assert time.monotonic() - begun < 5
    for stream in streams:
        stream.ended(5)


def open_one(daemon):
    response = daemon.api("GET", "/v1/events", stream=True)
    if response.status_code != 200:
        return False
    response.close()
    return True


def test_events_are_those_that_hooks_are_told(slow):
    every, chosen = Events(slow, "/v1/events"), Events(slow, "/v1/events?types=backup.failed,backup.succeeded")
    slow.backup("p")
    records.wait_until(lambda: "backup.succeeded" in chosen.kinds(), "the event")
    records.wait_until(lambda: {"backup.started", "backup.succeeded"} <= set(every.kinds()), "the events")
    assert chosen.kinds() == ["backup.succeeded"]
    event, = chosen.of("backup.succeeded")
    assert event["specversion"] == "1.0" and event["data"]["policy"] == "p"
    first = every.found[0][0]
    replayed = Events(slow, "/v1/events", last=first)
    records.wait_until(lambda: "backup.succeeded" in replayed.kinds(), "what came behind it")
    assert first not in [number for number, *_ in replayed.found]


def test_the_log_of_a_job_is_its_lines_alone(slow):
    first, second = slow.backup("p")["id"], slow.backup("p")["id"]
    text = slow.api("GET", f"/v1/jobs/{first}/log").text
    assert text and all(f"job={first}" in line for line in text.splitlines()) and second not in text
    assert set(text.splitlines()) <= set(slow.log().splitlines())
    assert slow.api("GET", f"/v1/jobs/{first}/log?level=warning").text == ""
    assert tidemark("jobs", "log", first, "--socket", slow.socket).stdout == text
    job = slow.api("POST", "/v1/restores", json=jobs.restore_body(suffix=".log")).json()
    followed = slow.api("GET", f"/v1/jobs/{job['id']}/log?follow=true").text  # until it ends
    assert "event=job.started" in followed and "event=restore.ended" in followed
    assert slow.api("GET", "/v1/jobs/job_01K9ZQ4V6M3T8R2X7B5N1C0D9E/log").status_code == 404
    assert slow.api("GET", f"/v1/jobs/{first}/log?level=loud").status_code == 422
