# SPDX-License-Identifier: Apache-2.0
"""Vaults in a bucket: what a disk gives, over a real S3 server, and over one that is refused, slow, cut off or lies
about what it did. SIGKILL at every fault point is in test_faults.py, for both."""

import concurrent.futures
import contextlib
import hashlib
import http.server
import json
import random
import subprocess
import threading
import time

import pytest

from rig import jobs, records
from rig.kafka import HOST
from rig.records import record
from rig.s3_faults import S3FaultProxy, answer, call, cut_short, done_but, lose_answer, lose_request, slow

from test_retention import make_points, rounds_of

NOW = 1_700_000_000_000

EXACT = [
    record(b"key", b"value", timestamp=NOW),
    record(None, b"no key", timestamp=NOW + 1),
    record(b"", b"an empty key", timestamp=NOW + 2),
    record(b"a tombstone", None, timestamp=NOW + 3),
    record(b"an empty value", b"", timestamp=NOW + 4),
    record(b"headers", b"v", [("a", b"1"), ("a", b"2"), ("a", None), ("b", b""), ("c", b"\xff\x00")], NOW + 5),
    record(b"earlier", b"v", timestamp=1),
    record(b"large", random.Random(1).randbytes(300_000), timestamp=NOW + 6),
]


def some_records(count, size=200, seed=1):
    rng = random.Random(seed)
    return [record(b"k%d" % number, rng.randbytes(size), (("h", b"v"),), NOW + number) for number in range(count)]


def fill(bootstrap, topic, written):
    records.produce(bootstrap, topic, written, lambda index, _: index % 2, enable_idempotence=False)


def restored(daemon, bootstrap, topic, suffix):
    """A restore gives all that the topic holds."""
    jobs.restore(daemon, suffix=suffix)
    jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}{suffix}")


def failed(daemon):
    """The error of a backup that has to fail."""
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "failed", job
    return job["error"]


@pytest.fixture
def vault(bootstrap, new_topic, tidemarkd, s3, bucket):
    """vault(endpoint=None, **settings): a daemon with a vault in a bucket and a topic (.topic) of two partitions that is
    backed up once."""
    def make(endpoint=None, **settings):
        topic = new_topic(2)
        daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=jobs.s3_vault(s3, bucket, endpoint, **settings))
        daemon.topic = topic
        fill(bootstrap, topic, some_records(100))
        daemon.backup("p")
        return daemon
    return make


@pytest.fixture
def spoiled(s3):
    """A proxy before the server that spoils what a test chooses."""
    with S3FaultProxy(s3.address) as proxy:
        yield proxy


# What a vault is

def test_a_bucket_holds_what_a_restore_gives_back_here_and_on_another_host(bootstrap, new_topic, tidemarkd, s3, bucket):
    topics = [new_topic(2), new_topic(1)]
    settings = jobs.s3_vault(s3, bucket)
    daemon = tidemarkd({"policies": [jobs.policy(*topics)]}, vault=settings)
    for topic in topics:
        records.produce(bootstrap, topic, EXACT, partition=0)
    daemon.backup("p")
    records.produce(bootstrap, topics[0], EXACT, partition=1)
    daemon.backup("p")
    assert daemon.backup("p")["result"]["unchanged"]
    restored_topics = {topic: records.read_topic(bootstrap, topic) for topic in topics}
    jobs.restore(daemon, suffix=".here")
    objects = s3.list(bucket)
    assert {name.split("/")[1] for name in objects} == {"key", "log", "pack"}
    for name in objects:
        assert name.startswith("prod/")
        if name.startswith("prod/pack/"):
            assert hashlib.sha256(s3.get(bucket, name)).hexdigest() == name.rpartition("/")[2]

    other = tidemarkd({"policies": [jobs.policy(*topics)]}, vault=settings | {"create": False}, start=False)
    other.key_path.write_bytes(daemon.key_path.read_bytes())
    daemon.stop()
    other.start()
    point = other.get("/v1/recovery-points?policy=p")["items"][0]
    jobs.restore(other, point=point["id"], suffix=".there")
    assert other.backup("p")["result"]["unchanged"]
    for topic, expected in restored_topics.items():
        jobs.assert_restored(expected, bootstrap, f"{topic}.here")
        jobs.assert_restored(expected, bootstrap, f"{topic}.there")


def test_a_flipped_byte_in_a_pack_is_named_and_nothing_of_it_restored(bootstrap, vault, s3, bucket):
    daemon = vault()
    pack = next(name for name in s3.list(bucket) if "/pack/" in name)
    s3.flip(bucket, pack, offset=s3.list(bucket)[pack] // 2)
    job = daemon.run_job("/v1/restores", jobs.restore_body(suffix=".restored"))
    assert job["state"] in ("failed", "partial") and pack.rpartition("/")[2] in str(job), job
    s3.flip(bucket, pack, offset=s3.list(bucket)[pack] // 2)
    restored(daemon, bootstrap, daemon.topic, ".whole")


# How it is reached

def self_signed(openssl, directory):
    """(certificate, key) files of a server at 127.0.0.1 that vouches for itself."""
    certificate, key = directory / "server.crt", directory / "server.key"
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tidemark-test",
                    "-addext", f"subjectAltName=IP:{HOST}", "-keyout", key, "-out", certificate],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key


def test_a_server_with_a_certificate_of_its_own_is_trusted_by_ca_file_alone(
        bootstrap, new_topic, tidemarkd, own_s3, tool, tmp_path):
    tls = self_signed(tool("openssl"), tmp_path)
    server = own_s3(tls=tls)
    (server.directory / "data" / "vault").mkdir()  # a bucket; boto3 does not trust it either
    topic = new_topic(2)
    fill(bootstrap, topic, some_records(10))
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=jobs.s3_vault(server, "vault"))
    error = failed(daemon)
    assert "SSL" in error["detail"] and server.address in error["detail"], error
    daemon.stop()
    daemon.vault["ca_file"] = str(tls[0])
    daemon.configure({"policies": [jobs.policy(topic)]})
    daemon.start()
    daemon.backup("p")
    restored(daemon, bootstrap, topic, ".restored")


def test_a_bucket_may_stand_before_the_host(bootstrap, new_topic, tidemarkd, own_s3):
    server = own_s3(virtual_host=True)
    server.make_bucket("vault")
    topic = new_topic(2)
    fill(bootstrap, topic, some_records(10))
    settings = jobs.s3_vault(server, "vault", server.virtual_endpoint, path_style=False)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=settings)
    daemon.backup("p")
    restored(daemon, bootstrap, topic, ".restored")
    assert {name.split("/")[1] for name in server.list("vault")} == {"key", "log", "pack"}


# Refusals

def test_a_wrong_secret_a_wrong_key_and_a_missing_bucket_are_told_apart(tidemarkd, new_topic, s3, bucket):
    wrong = {
        "SignatureDoesNotMatch": {"secret_access_key": "wrong"},
        "InvalidAccessKeyId": {"access_key_id": "AKWRONG"},
        "NoSuchBucket": {"bucket": f"{bucket}-none"},
    }
    hints = {
        "SignatureDoesNotMatch": "hint: the secret access key is another one's",
        "InvalidAccessKeyId": "hint: the access key id is not known there",
        "NoSuchBucket": "hint: make the bucket, or correct its name or endpoint",
    }
    topic = new_topic()
    for code, settings in wrong.items():
        daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=jobs.s3_vault(s3, bucket) | settings)
        error = failed(daemon)
        assert f"{code}: " in error["detail"] and hints[code] in error["detail"], error
        assert f"s3://{settings.get('bucket', bucket)}/prod" in error["detail"], error
        assert s3.secret not in daemon.log() and "wrong" not in error["detail"].lower()
        daemon.stop()
    assert s3.list(bucket) == {}


def test_a_refused_request_fails_the_job_and_the_next_one_makes_it_good(bootstrap, vault, s3, bucket, spoiled):
    daemon = vault(spoiled.endpoint)
    for number, pattern in enumerate(("/pack/", "/log/")):
        fill(bootstrap, daemon.topic, some_records(10, seed=number))
        rule = spoiled.on("PUT", pattern, answer(403, "AccessDenied", "you may not"), times=None)
        error = failed(daemon)
        assert "403 AccessDenied: you may not (request TEST1)" in error["detail"], error
        assert rule.hits == 1, "a refusal is not asked for again"
        spoiled.clear()
        assert daemon.backup("p")["result"]["messages_count"] == 10
    restored(daemon, bootstrap, daemon.topic, ".restored")


# Failures of the moment

SPOILS = [
    ("PUT", "/pack/", answer(503, "SlowDown"), 2),
    ("PUT", "/pack/", answer(500), 1),
    ("PUT", "/pack/", answer(429, "Throttling", headers=[("Retry-After", "1")]), 1),
    ("PUT", "/pack/", lose_request(), 1),
    ("PUT", "/pack/", lose_answer(), 1),
    ("PUT", "/pack/", slow(1), 1),
    ("PUT", "/log/", answer(503, "SlowDown"), 2),
    ("PUT", "/log/", answer(409, "ConditionalRequestConflict"), 1),
    ("PUT", "/log/", lose_request(), 1),
    ("PUT", "/log/", lose_answer(), 1),
    ("PUT", "/log/", lose_answer(), 2),
    ("PUT", "/log/", done_but(500), 1),
    ("PUT", "/log/", done_but(503), 2),
]


def logs(s3, bucket):
    return {name for name in s3.list(bucket) if "/log/" in name}


def test_requests_that_fail_once_are_sent_again_and_a_commit_stands_exactly_once(bootstrap, vault, s3, bucket, spoiled):
    daemon = vault(spoiled.endpoint)
    for number, (method, pattern, action, times) in enumerate(SPOILS):
        fill(bootstrap, daemon.topic, some_records(5, seed=number))
        before = logs(s3, bucket)
        points = len(daemon.get("/v1/recovery-points?policy=p")["items"])
        rule = spoiled.on(method, pattern, action, times)
        job = daemon.backup("p")
        assert job["result"]["messages_count"] == 5, (number, job)
        assert rule.hits == times, number
        assert len(logs(s3, bucket) - before) == 1, number
        assert len(daemon.get("/v1/recovery-points?policy=p")["items"]) == points + 1
        spoiled.clear()
    restored(daemon, bootstrap, daemon.topic, ".restored")


def test_answers_that_are_cut_short_late_or_refused_for_now_do_not_spoil_a_restore(bootstrap, vault, spoiled):
    daemon = vault(spoiled.endpoint)
    fill(bootstrap, daemon.topic, some_records(50, size=20_000))
    daemon.backup("p")
    for number, action in enumerate((cut_short(), cut_short(0.99), answer(503, "SlowDown"), lose_answer(), slow(1))):
        rule = spoiled.on("GET", "/pack/", action, times=2)
        restored(daemon, bootstrap, daemon.topic, f".{number}")
        assert rule.hits == 2
        spoiled.clear()


def test_a_server_killed_in_the_middle_of_an_upload_takes_it_when_it_is_back(bootstrap, new_topic, tidemarkd, own_s3):
    server = own_s3()
    server.make_bucket("vault")
    with S3FaultProxy(server.address) as proxy:
        topic = new_topic(2)
        daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=jobs.s3_vault(server, "vault", proxy.endpoint))
        fill(bootstrap, topic, some_records(100))
        killed = threading.Event()

        def kill():
            server.kill()
            killed.set()

        rule = proxy.on("PUT", "/pack/", call(kill))
        job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
        assert killed.wait(30) and rule.hits == 1
        server.start()
        assert daemon.wait_job(job["id"])["state"] == "succeeded"
        restored(daemon, bootstrap, topic, ".restored")


# A bad network

def troubles(proxy):
    """{name: (what is wrong, for so many seconds, whether nothing can be done meanwhile)}"""
    @contextlib.contextmanager
    def outage():
        proxy.down()
        try:
            yield
        finally:
            proxy.up()

    return {
        "latency": (proxy.latency(150, jitter_ms=50), 0, False),
        "bandwidth": (proxy.bandwidth(300), 0, False),
        "resets": (proxy.reset_peer(), 2, True),
        "cut answers": (proxy.limit_data(200), 2, True),
        "cut requests": (proxy.limit_data(200, stream="upstream"), 2, True),
        "outage": (outage(), 10, True),
    }


@pytest.mark.parametrize("name", ["latency", "bandwidth", "resets", "cut answers", "cut requests", "outage"])
def test_jobs_outlast_a_bad_network(bootstrap, vault, s3, toxiproxy, name):
    proxy = toxiproxy.proxy(s3.address)
    daemon = vault(f"http://{proxy.address}")
    fill(bootstrap, daemon.topic, some_records(100, size=5000))
    for path, body in (("/v1/backups", {"policy": "p"}), ("/v1/restores", jobs.restore_body(suffix=".restored"))):
        wrong, seconds, helpless = troubles(proxy)[name]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with wrong:
                asked = pool.submit(daemon.tcp, "POST", path, json=body)  # a restore is planned before it is answered
                time.sleep(seconds)
                begun = time.monotonic()
                running = daemon.get("/v1/jobs?state=running")["items"]
                assert time.monotonic() - begun < 1, "what is not of the vault is answered meanwhile"
                if helpless:
                    assert running or not asked.done(), path
                else:
                    asked.result()
            job = daemon.wait_job(asked.result().json()["id"])
            assert job["state"] == "succeeded", job
    jobs.assert_restored(records.read_topic(bootstrap, daemon.topic), bootstrap, f"{daemon.topic}.restored")


def test_an_outage_that_lasts_fails_the_job_in_its_words_and_the_next_one_makes_it_good(bootstrap, vault, s3, toxiproxy):
    proxy = toxiproxy.proxy(s3.address)
    daemon = vault(f"http://{proxy.address}")
    fill(bootstrap, daemon.topic, some_records(20))
    proxy.down()
    begun = time.monotonic()
    error = failed(daemon)
    assert 30 < time.monotonic() - begun < 90
    assert proxy.address in error["detail"] and "COULDNT_CONNECT" in error["detail"], error
    proxy.up()
    assert daemon.backup("p")["result"]["messages_count"] == 20
    restored(daemon, bootstrap, daemon.topic, ".restored")


# What else is done to a vault

def packs(s3, bucket):
    return {name: size for name, size in s3.list(bucket).items() if "/pack/" in name}


def test_space_is_freed_and_what_stays_verified_through_failures_of_the_moment(
        bootstrap, new_topic, tidemarkd, s3, bucket, spoiled):
    topic = new_topic(2)
    settings = jobs.s3_vault(s3, bucket, spoiled.endpoint, sweep_grace="0", maintenance="")
    policy = jobs.policy(topic, retention={"keep_last": 2, "keep_data": "0"})
    daemon = tidemarkd({"policies": [policy]}, vault=settings)
    rounds = rounds_of(1)[:5]
    ids = make_points(daemon, bootstrap, topic, rounds)
    before = packs(s3, bucket)
    assert len(before) == 5
    spoils = [spoiled.on("GET", "list-type=2", answer(500), 1), spoiled.on("GET", "/log/", cut_short(), 1),
              spoiled.on("DELETE", "/pack/", answer(503, "SlowDown"), 1), spoiled.on("DELETE", "/pack/", lose_answer(), 1),
              spoiled.on("DELETE", "/pack/", lose_request(), 1)]
    for _ in range(2):  # what is dropped is swept by the next run, if both fall into one millisecond
        job = daemon.run_job("/v1/retention/run", {"vault": "local"})
        assert job["state"] == "succeeded", job
    after = packs(s3, bucket)
    assert len(after) == 2 and set(after) < set(before)
    assert [rule.hits for rule in spoils] == [1] * 5
    assert [one["id"] for one in daemon.get("/v1/recovery-points")["items"]] == ids[:-3:-1]

    for depth in ("catalog", "scrub", "sample", "full"):
        rule = spoiled.on("GET", "/pack/", cut_short(), 2)
        spoiled.on("GET", "/pack/", answer(503, "SlowDown"), 1)
        job = daemon.run_job("/v1/verifications", {"vault": "local", "depth": depth})
        assert (job["state"], job["result"]["faults_count"]) == ("succeeded", 0), (depth, job)
        assert rule.hits == (0 if depth == "catalog" else 2), depth
        spoiled.clear()
    jobs.restore(daemon, point=ids[-2], suffix=".before")
    jobs.assert_restored(rounds[-2], bootstrap, f"{topic}.before")

    name = next(iter(after))
    s3.flip(bucket, name, offset=after[name] // 2)
    job = daemon.run_job("/v1/verifications", {"vault": "local", "depth": "scrub"})
    assert job["state"] == "failed" and job["error"]["type"] == "/problems/vault-damaged", job
    assert job["result"]["faults"][0]["object"] == name.partition("/")[2]


# Requests, locks, credentials

def test_a_run_with_a_thousand_changed_partitions_makes_two_puts_and_one_without_news_none(
        own_broker, tidemarkd, s3, bucket, spoiled):
    """trap: puts_at_tight_rpo"""
    bootstrap, topic = own_broker().bootstrap, "wide"  # which takes half a minute to be deleted
    records.create_topic(bootstrap, topic, 1000, config={"retention.ms": "-1"})
    each = [record(b"k%d" % number, b"v%d" % number, timestamp=NOW) for number in range(1000)]
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=jobs.s3_vault(s3, bucket, spoiled.endpoint),
                       bootstrap=bootstrap)
    counts = []
    for _ in range(2):
        records.produce(bootstrap, topic, each, lambda index, _: index, enable_idempotence=False)
        daemon.backup("p")
        counts.append(spoiled.counts())
        spoiled.forget()
    assert daemon.backup("p")["result"]["unchanged"]
    idle = spoiled.counts()
    print(f"requests: first run {counts[0]}, second {counts[1]}, idle {idle}")
    assert counts[1]["PUT"] == 2 and sum(counts[1].values()) <= 6, counts
    assert idle.get("PUT", 0) == 0 and sum(idle.values()) <= 2, idle


class KeyGiver(http.server.BaseHTTPRequestHandler):
    """The endpoint beside a container, as ECS and EKS have it."""

    def do_GET(self):
        self.server.asked.append(self.headers.get("Authorization"))
        body = json.dumps(self.server.keys).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_credentials_come_from_the_environment_or_the_container(bootstrap, new_topic, tidemarkd, s3, bucket):
    topic = new_topic(2)
    fill(bootstrap, topic, some_records(10))
    settings = jobs.s3_vault(s3, bucket) | {"credentials": "auto"}
    del settings["access_key_id"], settings["secret_access_key"]
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=settings)
    detail = failed(daemon)["detail"]
    assert "no AWS credentials: environment: AWS_ACCESS_KEY_ID is not set; web identity: " in detail
    assert "instance: AWS_EC2_METADATA_DISABLED is true" in detail
    daemon.stop()

    daemon.start(env={"AWS_ACCESS_KEY_ID": s3.access, "AWS_SECRET_ACCESS_KEY": s3.secret})
    daemon.backup("p")
    daemon.stop()

    with http.server.ThreadingHTTPServer((HOST, 0), KeyGiver) as giver:
        giver.keys = {"AccessKeyId": s3.access, "SecretAccessKey": s3.secret}
        giver.asked = []
        thread = threading.Thread(target=giver.serve_forever, args=(0.1,))
        thread.start()
        daemon.start(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{HOST}:{giver.server_address[1]}/keys",
                          "AWS_CONTAINER_AUTHORIZATION_TOKEN": "only-here"})
        fill(bootstrap, topic, some_records(10))
        daemon.backup("p")
        restored(daemon, bootstrap, topic, ".restored")
        giver.shutdown()
        thread.join()
    assert giver.asked == ["only-here"]
    assert "only-here" not in daemon.log() and s3.secret not in daemon.log()


def test_objects_are_locked_for_as_long_as_they_may_be_needed(bootstrap, new_topic, tidemarkd, s3, locked_bucket):
    topic = new_topic(2)
    fill(bootstrap, topic, some_records(10))
    settings = jobs.s3_vault(s3, locked_bucket, object_lock={"mode": "governance", "max": "60d"})
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=settings)
    begun = time.time()
    daemon.backup("p")
    days = {"key": 60, "pack": 60, "log": 37}
    for name in s3.list(locked_bucket):
        seen = s3.head(locked_bucket, name)
        until = seen["ObjectLockRetainUntilDate"].timestamp()
        assert seen["ObjectLockMode"] == "GOVERNANCE", name
        assert abs(until - begun - days[name.split("/")[1]] * 86400) < 60, name
    restored(daemon, bootstrap, topic, ".restored")
