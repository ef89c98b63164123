# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: what it says of itself, that answers are held to it, and schemathesis, which makes requests that it
allows and requests that it forbids, against a live daemon."""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from rig import jobs, records
from rig.daemon import build_dir
from rig.openapi import Document
from rig.records import record

DOCUMENT = build_dir() / "api" / "openapi.json"
SCHEMATHESIS = pathlib.Path(sys.executable).parent / "schemathesis"
EXAMPLES = int(os.environ.get("TM_SCHEMATHESIS_EXAMPLES") or 15)

# What the document cannot say: that names are those of the configuration, that a digest or an ETag is that of now.
CONFIG = """
[generation]
database = "none"
allow-x00 = false  # a NUL in a text is refused by the JSON reader, and no name may hold one

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "5xx"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "406", "412", "413", "415", "421", "422", "428", "5xx"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "422", "428"]

# Topics, partitions and offsets of a restore are those of its point, and some choices go with others alone.
[[operations]]
include-path-regex = "^/v1/restores(/plan)?$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422", "5xx"]
"""


def words(*all_of_them):
    return {"type": "string", "enum": list(all_of_them)}


def shorten(schema):
    """Limits count bytes, and a character has up to four."""
    for one in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        if isinstance(one, dict) and isinstance(one.get("maxLength"), int):
            one["maxLength"] //= 4
        shorten(one)


def narrowed(document, topic, point, job):
    """With names that the daemon knows, and one that it does not, so that more than 404 is reached; times in order."""
    made = copy.deepcopy(document)
    shorten(made)
    parts = made["components"]["schemas"]
    parts |= {"PolicyName": words("p", "none"), "VaultName": words("local", "none"), "ClusterName": words("source", "none"),
              "HookName": words("none"), "TopicPattern": words(topic, topic[:1] + "*", f"/{topic}/", "none"), "GroupPattern": words("g", "*"),
              "When": words("-1h", "now", "2026-11-22T23:30:00Z", "1795390200000"), "TimeToCome": words("90s", "2099-01-01T00:00:00Z")}
    restore = parts["RestoreRequest"]["properties"]
    restore["source"]["properties"]["at"] = {"enum": ["now"]}
    restore["from"] = {"enum": ["-10d", 1700000000000]}
    by_offset, by_time = restore["windows"]["items"]["anyOf"]
    by_offset["properties"] |= {"from_offset": {"enum": [0, 5]}, "to_offset": {"enum": [6, 100]}}
    by_time["properties"] |= {"from": {"enum": ["-2d"]}, "to": {"enum": ["now"]}}
    by_time["anyOf"] = [{"required": ["from"]}, {"required": ["to"]}]
    restore["skip"]["items"] = words(topic + "/0@1", topic + "/1@2-3", "none/0@4")
    parts["BackupRequest"]["properties"]["topics"]["items"] = words(topic)
    drill = parts["DrillRequest"]
    drill["required"] += ["target", "allow_source"]
    drill["properties"]["allow_source"] = {"const": True}
    drill["properties"]["target"] |= {"required": ["cluster", "prefix"]}
    drill["properties"]["target"]["properties"]["prefix"] = words("drill.")
    restore["target"]["properties"] |= {"rename": {"type": "object", "properties": {topic: words("elsewhere")}, "additionalProperties": False},
                                        "prefix": words("", "a."), "suffix": words("", ".b")}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            # A key that is used again is refused, and a cursor is that of its list: tests of their own.
            operation["parameters"] = [
                one for one in operation["parameters"]
                if one["name"] not in ("Idempotency-Key", "cursor") and not (one["name"] == "policy" and "{id}" in path)]
            for one in operation["parameters"]:
                if one["in"] == "path" and one["name"] == "id":
                    one["schema"] = words(*((point, "rp_" + 26 * "0") if "recovery-points" in path else (job, "job_" + 26 * "0")))
    return made


def test_the_document_is_served_and_names_every_route(tidemarkd):
    daemon = tidemarkd()
    for served in (daemon.api("GET", "/openapi.json"), daemon.tcp("GET", "/openapi.json", token="")):
        assert served.status_code == 200 and served.json() == json.loads(DOCUMENT.read_text())
    document = served.json()
    assert document["openapi"] == "3.1.0"
    ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids)) >= 41


def test_what_the_document_does_not_say_is_seen():
    """The check that every answer of these tests goes through can fail."""

    class Answer:
        headers = {"Content-Type": "application/json"}
        status_code = 200

        def __init__(self, body):
            self.body = body
            self.text = self.content = json.dumps(body)

        def json(self):
            return self.body

    document = Document(DOCUMENT)
    document.check("GET", "http://x/livez", Answer({"status": "live"}))
    for method, url, body in (("GET", "http://x/livez", {"status": "dead"}), ("GET", "http://x/livez", {}),
                              ("GET", "http://x/livez", {"status": "live", "more": 1}), ("GET", "http://x/livez", [])):
        with pytest.raises(AssertionError):
            document.check(method, url, Answer(body))
    odd = Answer({"status": "live"})
    odd.status_code = 418
    with pytest.raises(AssertionError):
        document.check("GET", "http://x/livez", odd)
    odd = Answer({"status": "live"})
    odd.headers = {"Content-Type": "text/html"}
    with pytest.raises(AssertionError):
        document.check("GET", "http://x/livez", odd)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis_finds_nothing(mode, bootstrap, new_topic, tidemarkd, tmp_path):
    """What the document allows is taken, of names that there are; what it forbids is refused; each answer is as it says."""
    topic = new_topic()
    records.produce(bootstrap, topic, [record(b"k", b"v") for _ in range(20)])
    daemon = tidemarkd({"policies": [jobs.policy(topic)], "log": {"level": "info"}, "server": {"rate_limit": 0}})
    job = daemon.backup("p")["id"]
    document = json.loads(DOCUMENT.read_text())
    del document["paths"]["/v1/events"]  # does not end: test_streams.py
    if mode == "positive":
        document = narrowed(document, topic, jobs.newest(daemon)["id"], job)
    else:
        del document["paths"]["/v1/config/check"]  # takes any text, and says what is wrong with it
        del document["paths"]["/v1/jobs/{id}/events"]["get"]["parameters"][1]  # no Last-Event-ID is wrong
        del document["paths"]["/v1/policies/{policy}"]["get"]["parameters"][1]  # no If-None-Match either
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    seed = os.environ.get("TM_SEED") or "4711"  # one for CI, so that what it finds can be found again; other seeds by hand
    done = subprocess.run(
        [SCHEMATHESIS, "run", "openapi.json", "--url", daemon.url, "-H", f"Authorization: Bearer {daemon.token}", "--phases",
         "examples,coverage,fuzzing", "--mode", mode, "--request-timeout", "60", "--continue-on-failure", "--warnings", "off",
         "--no-color", "-n", str(EXAMPLES), "--seed", seed],
        cwd=tmp_path, capture_output=True, text=True, timeout=540)
    assert daemon.running, daemon.log_tail()
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-20000:]}\n{done.stderr[-2000:]}"
    assert re.search(r"[1-9]\d{2,} generated", done.stdout), done.stdout
    daemon.stop()
