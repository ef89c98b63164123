# SPDX-License-Identifier: Apache-2.0
"""The way to Kafka: TLS, client certificates, SASL in each form, tokens of MSK IAM, and principals with few rights."""

import base64
import datetime
import json
import pathlib
import subprocess
import time
import urllib.parse

import botocore.auth
import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials
from confluent_kafka import Consumer, TopicPartition

from rig import jobs, records
from rig.daemon import build_dir
from rig.iam import Identities
from rig.kafka_secure import REGION, SecureBroker
from rig.records import record

USERS = {"alice": "pw-alice-5f2c", "plain": "pw-plain-77ab", "eve": "pw-eve-right-0c1d",
         "reader": "pw-reader-b1b1", "writer": "pw-writer-c2c2"}  # the last two have the rights that a test gives
WRONG = "pw-wrong-planted-93e1"
KAFKA_3 = "3.9.2"


def new_broker(tmp_path_factory, **options):
    return SecureBroker(tmp_path_factory.mktemp("tls"), users=USERS, supers=("alice", "plain", "eve"), **options)


@pytest.fixture(scope="module")
def kafka4(tmp_path_factory):
    with new_broker(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def kafka3(tmp_path_factory):
    with new_broker(tmp_path_factory, version=KAFKA_3) as running:
        yield running


def tls(broker, **more):
    return {"security.protocol": "SSL", "ssl.ca.location": str(broker.authority.ca_file)} | more


def client_certificate(issuer, name="client"):
    certificate, key, _ = issuer.issue(name)
    return {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}


def login(broker, mechanism, user, password):
    return tls(broker) | {"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, "sasl.username": user,
                          "sasl.password": password}


def unsecured_jwt(broker):
    return tls(broker) | {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER",
                          "enable.sasl.oauthbearer.unsecure.jwt": "true",
                          "sasl.oauthbearer.config": "principal=jwt-subject"}


def jwt(seconds, subject="jwt-subject"):
    """An unsigned token that ends in so many seconds."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def put(path, text):
    """As whoever renews a token does it: at once, whole."""
    beside = pathlib.Path(f"{path}.new")
    beside.touch(mode=0o600)
    beside.write_text(text + "\n")
    beside.rename(path)
    return str(path)


def way(name, address, properties, **more):
    return {"name": name, "bootstrap": [address], "rdkafka": properties} | more


def daemon_for(tidemarkd, broker, clusters, limits=None, **options):
    """A daemon with a policy, and a topic of a few records, for each cluster; the records by cluster."""
    written = {}
    for one in clusters:
        name = one["name"]
        if records.partition_count(broker.bootstrap, f"t-{name}") == 0:
            records.create_topic(broker.bootstrap, f"t-{name}", config={"retention.ms": "-1"})
            written[name] = [record(b"k%d" % i, name.encode(), timestamp=1_700_000_000_000 + i) for i in range(20)]
            records.produce(broker.bootstrap, f"t-{name}", written[name])
    config = {"clusters": clusters, "jobs": {"max_running": 32},
              "policies": [jobs.policy(f"t-{one['name']}", name=one["name"], cluster=one["name"], limits=limits or {})
                           for one in clusters]}
    daemon = tidemarkd(config, start=False, bootstrap=broker.bootstrap, **options)
    daemon.config_path.chmod(0o600)
    return daemon.start()


def start_job(daemon, path, body):
    response = daemon.api("POST", path, json=body)
    assert response.status_code == 202, response.text
    return response.json()["id"]


def back_up_all(daemon, names):
    """Back all of them up at once: {name: job}."""
    started = {name: start_job(daemon, "/v1/backups", {"policy": name}) for name in names}
    return {name: daemon.wait_job(job) for name, job in started.items()}


def restore_all(daemon, names):
    bodies = {name: jobs.restore_body(cluster=name, name=name, suffix=".restored") for name in names}
    started = {name: start_job(daemon, "/v1/restores", body) for name, body in bodies.items()}
    return {name: daemon.wait_job(job) for name, job in started.items()}


def ways_in(broker, folder):
    sasl = broker.at("SASL")
    return [
        way("tls", broker.at("TLS"), tls(broker)),
        way("mtls", broker.at("MTLS"), tls(broker, **client_certificate(broker.authority))),
        way("plain", sasl, login(broker, "PLAIN", "plain", USERS["plain"])),
        way("scram-256", sasl, login(broker, "SCRAM-SHA-256", "alice", USERS["alice"])),
        way("scram-512", sasl, login(broker, "SCRAM-SHA-512", "alice", USERS["alice"])),
        way("oauthbearer", sasl, unsecured_jwt(broker)),
        way("token-file", sasl, {"ssl.ca.location": str(broker.authority.ca_file)}, auth="token_file",
                token_file=put(folder / "token", jwt(3600))),
    ]


@pytest.mark.parametrize("version", ["kafka4", "kafka3"])
def test_each_way_in_backs_up_and_restores(version, request, tidemarkd, tmp_path):
    broker = request.getfixturevalue(version)
    clusters = ways_in(broker, tmp_path)
    names = [one["name"] for one in clusters]
    daemon = daemon_for(tidemarkd, broker, clusters)
    for name, job in {**back_up_all(daemon, names), **restore_all(daemon, names)}.items():
        assert job["state"] == "succeeded" and job.get("result", {}).get("proof") == "identical", (name, job)
    for name in names:
        expected = records.read_topic(broker.bootstrap, f"t-{name}")
        assert len(expected[0]) == 20
        jobs.assert_restored(expected, broker.bootstrap, f"t-{name}.restored")


def mistakes(broker, folder):
    """(cluster, parts that the error must have besides the cluster's name and the broker's address)."""
    authority = folder / "ca.pem"
    authority.write_bytes(broker.stranger.ca_file.read_bytes())
    sasl = broker.at("SASL")
    return [
        (way("wrong-ca", broker.at("TLS"), tls(broker, **{"ssl.ca.location": str(authority)})),
         ["its authority is not in ssl.ca.location"]),
        (way("wrong-host", broker.at("OTHER"), tls(broker)), ["it is for another address"]),
        (way("expired", broker.at("EXPIRED"), tls(broker)), ["certificate is not accepted: it has expired"]),
        (way("no-certificate", broker.at("MTLS"), tls(broker)), ["wants a client certificate"]),
        (way("strange-certificate", broker.at("MTLS"), tls(broker, **client_certificate(broker.stranger, "other"))),
         ["client certificate"]),
        (way("wrong-password", sasl, login(broker, "PLAIN", "plain", WRONG)), ["check sasl.username and"]),
        (way("wrong-scram", sasl, login(broker, "SCRAM-SHA-512", "eve", WRONG)), ["check sasl.username, sasl.pass"]),
        (way("no-tls", broker.at("TLS"), {}), ["security.protocol"]),
        (way("tls-to-plain", broker.bootstrap, tls(broker)), ["security.protocol"]),
        (way("wrong-keys", broker.at("MSK"), {"ssl.ca.location": str(broker.authority.ca_file)}, auth="msk_iam",
                 region=REGION, credentials="static", access_key_id="AKIAPLANTED", secret_access_key=WRONG),
         ["Access denied: another signature", "or auth"]),
        (way("no-keys", broker.at("MSK"), {"ssl.ca.location": str(broker.authority.ca_file)}, auth="msk_iam",
                 region=REGION), ["no AWS credentials: environment:", "container:"]),
        (way("no-region", broker.at("MSK"), {}, auth="msk_iam"), ["do not tell the region", 'set "region"']),
        (way("ended-token", sasl, {"ssl.ca.location": str(broker.authority.ca_file)}, auth="token_file",
                 token_file=put(folder / "ended", jwt(-5))), ["has ended at", str(folder / "ended")]),
    ]


def assert_kept_secret(daemon, texts):
    """None of them is in the log, an answer, the process list, the state, the vault or a metric."""
    places = {"log": daemon.log(), "command": pathlib.Path(f"/proc/{daemon.process.pid}/cmdline").read_text()}
    for path in ("/v1/jobs", "/v1/policies", "/v1/status", "/v1/recovery-points", "/v1/vaults", "/metrics"):
        response = daemon.api("GET", path)
        assert response.status_code == 200, f"{path}: {response.text}"
        places[path] = response.text
    for folder in ("state", "vault"):
        for path in (daemon.directory / folder).rglob("*"):
            if path.is_file():
                places[str(path)] = path.read_bytes().decode(errors="replace")
    for text in texts:
        found = [place for place, content in places.items() if text in content]
        assert not found, f"{text[:12]}... is in {found}"


def error_in_status(daemon, policy):
    """Of the policy's last run; None: it did not fail."""
    return next(one for one in daemon.get("/v1/status")["items"] if one["policy"] == policy).get("last_error")


def test_each_mistake_is_told_with_cluster_broker_and_remedy_and_no_secret(kafka4, tidemarkd, tmp_path):
    """All at once, since a question to a cluster that does not answer is given up after 30 s."""
    kafka4.set_iam(("AKIAPLANTED", "another", "", int(time.time() + 3600) * 1000, "msk-role"))
    cases = mistakes(kafka4, tmp_path)
    clusters = [one for one, _ in cases]
    names = [one["name"] for one in clusters]
    daemon = daemon_for(tidemarkd, kafka4, clusters)
    for name, job in back_up_all(daemon, names).items():
        assert job["state"] == "failed", (name, job)
        one, parts = next(case for case in cases if case[0]["name"] == name)
        asks = name not in ("ended-token", "no-keys")  # no broker is asked without a token
        address = [one["bootstrap"][0]] if asks else []
        for part in [f"cluster {name}", *address, *parts]:
            assert part in job["error"]["detail"], (name, part, job["error"])
        assert error_in_status(daemon, name) == job["error"]
    planted = [WRONG, (tmp_path / "ended").read_text().strip()]
    assert_kept_secret(daemon, planted)

    # Put right outside of the daemon, which goes on as it is.
    kafka4.set_password("eve", WRONG)
    put(tmp_path / "ended", jwt(3600))
    for name, job in back_up_all(daemon, ["wrong-scram", "ended-token"]).items():
        assert job["state"] == "succeeded" and error_in_status(daemon, name) is None, (name, job)
    kafka4.set_password("eve", USERS["eve"])
    # Certificates are read when the daemon starts.
    (tmp_path / "ca.pem").write_bytes(kafka4.authority.ca_file.read_bytes())
    daemon.stop()
    daemon.start()
    assert "not in ssl.ca.location" in error_in_status(daemon, "wrong-ca")["detail"]
    daemon.backup("wrong-ca")
    assert_kept_secret(daemon, [*planted, *USERS.values()])


def test_a_token_in_a_file_is_read_again_before_it_ends(kafka4, tidemarkd, tmp_path):
    """Sessions of the listener end after 3 s, too, unless the client says again who it is."""
    path = put(tmp_path / "token", jwt(7))
    daemon = daemon_for(tidemarkd, kafka4, [way(
        "renewed", kafka4.at("SASL"), {"ssl.ca.location": str(kafka4.authority.ca_file)}, auth="token_file",
        token_file=path)])
    begun = time.monotonic()
    while time.monotonic() - begun < 15:  # two lives of a token
        put(path, jwt(7))
        records.produce(kafka4.bootstrap, "t-renewed", [record(b"k", b"more")])
        daemon.backup("renewed")
    assert daemon.log().count("event=kafka.token ") >= 3  # for the one handle that there is
    assert "event=kafka.token-failed" not in daemon.log()


# Amazon MSK with IAM

TOKENS = [  # region, time, access key id, secret, session token
    ("us-east-1", 1767323045, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""),
    ("us-east-1", 1767323045, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AQoEXAMPLEtoken/+=="),
    ("eu-west-1", 1794500000, "ASIAABCDEFGH", "s3cr+t/with=all", "IQoJb3JpZ2luX2VjE//////////+wEaCXVz" * 30),
    ("ap-southeast-2", 951782400, "AKIA0123456789ABCDEF", "0" * 40, ""),
    ("cn-north-1", 4102444799, "AKIA-_.~", "~._-" * 10, "a b&c=d?e%20f\t~"),
]


class Given(CredentialProvider):
    def __init__(self, key, secret, token):
        super().__init__()
        self.keys = Credentials(key, secret, token or None)

    def load(self):
        return self.keys


def parts_of(token):
    """(URL, its parameters without the User-Agent, which each signer has its own of)."""
    url, _, query = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition("?")
    pairs = [part.split("=", 1) for part in query.split("&")]
    assert pairs[-1][0] == "User-Agent" and len(dict(pairs)) == len(pairs)
    return url, dict(pairs[:-1])


@pytest.mark.parametrize("region,seconds,key,secret,session", TOKENS)
def test_tokens_are_those_of_awss_own_signer(region, seconds, key, secret, session, monkeypatch):
    now = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    theirs, end = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(
        region, Given(key, secret, session))
    command = [build_dir() / "tests" / "unit" / "test_msk_token", region, str(seconds * 1000), key, secret, session]
    ours, our_end = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert parts_of(ours) == parts_of(theirs) and int(our_end) == end
    assert urllib.parse.unquote(parts_of(ours)[1].get("X-Amz-Security-Token", "")) == session


def msk_cluster(broker, name, **more):
    return way(name, broker.at("MSK"), {"ssl.ca.location": str(broker.authority.ca_file)}, auth="msk_iam",
                   region=REGION, **more)


SLOW = {"fetch.message.max.bytes": 1, "fetch.max.bytes": 1000, "message.max.bytes": 1000}  # so many requests
LIFE = 6  # of keys, and so of the tokens that they sign; librdkafka looks at a token once a second


def test_trap_msk_iam_token_expiry(kafka4, tidemarkd):
    """One backup and one restore that take longer than keys, tokens and sessions live; each signed with other keys."""
    with Identities(kafka4, LIFE) as identities:
        long = msk_cluster(kafka4, "msk-long")
        long["rdkafka"] |= SLOW
        written = [record(b"k%d" % i, b"v" * 245, timestamp=1_700_000_000_000 + i) for i in range(3000)]
        rate = 250 * len(written) // (2 * LIFE + 3)  # bytes a second; the first second's are read at once
        daemon = daemon_for(tidemarkd, kafka4, [long], limits={"read_bytes_per_second": rate}, env=identities.env)
        records.produce(kafka4.bootstrap, "t-msk-long", written, batch_num_messages=1)
        begun = time.monotonic()
        job = daemon.backup("msk-long")
        took = time.monotonic() - begun
        assert took > 2 * LIFE, f"too short to prove anything: {took} s"
        tokens = daemon.log().count("event=kafka.token ")
        assert tokens >= 3 and identities.served >= 3, (tokens, identities.served)
        jobs.restore(daemon, cluster="msk-long", name="msk-long", suffix=".restored",
                     limits={"write_bytes_per_second": rate})
        log = daemon.log()
        assert "event=kafka.token-failed" not in log and "event=job.retried" not in log, job
        jobs.assert_restored(records.read_topic(kafka4.bootstrap, "t-msk-long"), kafka4.bootstrap,
                             "t-msk-long.restored")
        assert_kept_secret(daemon, [text for one in identities.known for text in one[1:3]])


def test_keys_that_are_rotated_are_fetched_anew(kafka4, tidemarkd):
    """The broker refuses what was good for an hour; whoever asks the endpoint gets other keys. Static ones work, too."""
    with Identities(kafka4, 3600) as identities:
        key, secret, _ = identities.new("AKIA", time.time() + 3600, session=False)
        static = msk_cluster(kafka4, "msk-static", credentials="static", access_key_id=key, secret_access_key=secret)
        daemon = daemon_for(tidemarkd, kafka4, [msk_cluster(kafka4, "msk"), static], env=identities.env)
        for job in back_up_all(daemon, ["msk", "msk-static"]).values():
            assert job["state"] == "succeeded", job
        served = identities.served
        identities.forget()
        records.produce(kafka4.bootstrap, "t-msk", [record(b"k", b"after")])
        records.wait_until(lambda: identities.served > served, "new keys to be asked for")  # the session has ended
        daemon.backup("msk")
        assert jobs.ends(jobs.newest(daemon, "msk"))["t-msk", 0] == 21


# Principals with few rights. What is given here is what docs/security.md asks for: a change here is one there.

BACKUP_RIGHTS = [
    ("read", "topic", "acl-orders"),
    ("describe_configs", "topic", "acl-orders"),
    ("describe", "cluster", "kafka-cluster"),
    ("describe", "group", "acl-group"),
    ("read", "group", "tidemark.acl"),
]
RESTORE_RIGHTS = [
    ("create", "topic", "acl-orders.*"),
    ("write", "topic", "acl-orders.*"),
    ("read", "topic", "acl-orders.*"),
    ("alter_configs", "topic", "acl-orders.*"),
    ("describe_configs", "cluster", "kafka-cluster"),
]


@pytest.fixture
def few_rights(kafka4, tidemarkd):
    """A daemon that reads as `reader` and writes as `writer`, neither of whom may do anything yet."""
    if records.partition_count(kafka4.bootstrap, "acl-orders") == 0:
        records.create_topic(kafka4.bootstrap, "acl-orders", 2, config={"retention.ms": "-1"})
        more_orders(kafka4)
        consumer = Consumer({"bootstrap.servers": kafka4.bootstrap, "group.id": "acl-group"})
        consumer.commit(offsets=[TopicPartition("acl-orders", 0, 3)], asynchronous=False)
        consumer.close()
    sasl = kafka4.at("SASL")
    clusters = [way("source", sasl, login(kafka4, "SCRAM-SHA-512", "reader", USERS["reader"])),
                way("target", sasl, login(kafka4, "SCRAM-SHA-512", "writer", USERS["writer"]))]
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy("acl-orders", name="acl")]}, start=False)
    daemon.config_path.chmod(0o600)
    return daemon.start()


def more_orders(broker):
    written = [record(b"k%d" % i, b"v%d" % i, timestamp=1_700_000_000_000 + i) for i in range(20)]
    records.produce(broker.bootstrap, "acl-orders", written, lambda index, _: index % 2)


def back_up_orders(broker, daemon):
    more_orders(broker)
    return daemon.run_job("/v1/backups", {"policy": "acl"})


def told(job):
    """What a job says, of whatever kind: error, failures and warnings."""
    result = job.get("result") or {}
    return json.dumps([job.get("error"), result.get("failures"), job.get("warnings")])


WITHOUT = [  # the right that is taken away, how the backup ends, what it says
    (("read", "topic", "acl-orders"), "partial", ["acl-orders", "DESCRIBE and READ on Topic"]),
    (("describe_configs", "topic", "acl-orders"), "succeeded", ["acl-orders", "DESCRIBE_CONFIGS on Topic"]),
    (("describe", "group", "acl-group"), "succeeded", ["acl-group", "Describe on the Group"]),
    (("read", "group", "tidemark.acl"), "succeeded", ["tidemark.acl", "Read on the Group"]),
]


def test_a_backup_needs_the_documented_rights_and_names_each_that_is_missing(kafka4, few_rights):
    daemon = few_rights
    kafka4.allow("reader", *BACKUP_RIGHTS)
    job = back_up_orders(kafka4, daemon)
    assert job["state"] == "succeeded" and not job.get("warnings"), job
    point = jobs.newest(daemon, "acl")
    assert point["consumer_groups"][0]["group"] == "acl-group", point
    for right, state, parts in WITHOUT:
        kafka4.take_away("reader", right)
        job = back_up_orders(kafka4, daemon)
        assert job["state"] == state, (right, job)
        for part in parts:
            assert part in told(job), (right, part, told(job))
        kafka4.allow("reader", right)
    kafka4.take_away("reader", ("read", "topic", "acl-orders"))
    kafka4.allow("reader", ("describe", "topic", "acl-orders"))
    job = back_up_orders(kafka4, daemon)  # the topic is seen and cannot be read
    assert job["state"] == "partial" and "READ on Topic" in told(job), job
    kafka4.allow("reader", ("read", "topic", "acl-orders"))
    # No list of groups at all is not taken for a cluster without groups.
    for right in (("describe", "cluster", "kafka-cluster"), ("describe", "group", "acl-group")):
        kafka4.take_away("reader", right)
    job = back_up_orders(kafka4, daemon)
    assert job["state"] == "succeeded" and "Describe on the Cluster" in told(job), job
    kafka4.allow("reader", *BACKUP_RIGHTS)
    job = back_up_orders(kafka4, daemon)
    assert job["state"] == "succeeded" and not job.get("warnings"), job
    # What it has does not let it write, make, change or delete anything.
    plan = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(name="acl", suffix=".x")).json()
    assert [one["code"] for one in plan["blocking"]] == ["not-authorized"] and "CREATE" in str(plan["blocking"]), plan


def test_a_restore_needs_the_documented_rights_and_names_each_that_is_missing(kafka4, few_rights):
    daemon = few_rights
    kafka4.allow("reader", *BACKUP_RIGHTS)
    kafka4.allow("writer", *RESTORE_RIGHTS)
    daemon.backup("acl")
    jobs.restore(daemon, cluster="target", name="acl", suffix=".all")
    jobs.assert_restored(jobs.backed_up(daemon, kafka4.bootstrap, "acl-orders", "acl"), kafka4.bootstrap,
                         "acl-orders.all")

    def without(right, suffix):
        kafka4.take_away("writer", right)
        body = jobs.restore_body(cluster="target", name="acl", suffix=suffix)
        plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
        response = daemon.api("POST", "/v1/restores", json=body)
        job = daemon.wait_job(response.json()["id"]) if response.status_code == 202 else None
        kafka4.allow("writer", right)
        return plan, response, job

    create, write, read, alter, cluster_configs = RESTORE_RIGHTS
    plan, response, job = without(create, ".c")
    assert response.status_code == 409 and "CREATE on Cluster, or on Topic" in response.text, response.text
    assert "CREATE" in str(plan["blocking"]) and job is None
    plan, _, job = without(write, ".w")  # a topic to be made has no rights yet that could be asked for
    assert job["state"] == "failed" and "WRITE on Topic" in told(job), job
    plan, _, job = without(read, ".r")
    assert job["state"] == "partial" and "READ on Topic" in told(job), job
    assert job["result"]["proof"] == "failed"
    plan, _, job = without(alter, ".a")
    assert job["state"] == "succeeded" and "ALTER_CONFIGS on Topic" in told(job), job
    plan, _, job = without(cluster_configs, ".d")
    assert job["state"] == "succeeded" and "DESCRIBE_CONFIGS on Cluster" in str(plan["warnings"]), (plan, job)

    # A topic that is there says which rights this client has on it: nothing is written before all are.
    records.create_topic(kafka4.bootstrap, "acl-orders.there", 2, config={"retention.ms": "-1"})
    kafka4.allow("writer", ("describe_configs", "topic", "acl-orders.*"))
    there = jobs.restore_body(cluster="target", name="acl", suffix=".there", existing="empty_only")
    for right, name in ((write, "WRITE"), (read, "READ")):
        kafka4.take_away("writer", right)
        response = daemon.api("POST", "/v1/restores", json=there)
        assert response.status_code == 409 and f"needs the right {name} on Topic" in response.text, response.text
        kafka4.allow("writer", right)
    job = daemon.run_job("/v1/restores", there)
    assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job

    # Deleting is a right of its own, and a topic that could not be made again is not deleted.
    delete = ("delete", "topic", "acl-orders.*")
    purge = there | {"existing": "purge", "confirm": ["acl-orders.there"]}
    recreate = there | {"create_topics": "recreate", "confirm": ["acl-orders.there"]}
    for body, missing, right in ((purge, delete, "DELETE"), (recreate, delete, "DELETE"), (recreate, create, "CREATE")):
        kafka4.allow("writer", delete)
        kafka4.take_away("writer", missing)
        response = daemon.api("POST", "/v1/restores", json=body)
        assert response.status_code == 409 and f"needs the right {right} on Topic" in response.text, response.text
        kafka4.allow("writer", missing)
    for body in (purge, recreate):
        job = daemon.run_job("/v1/restores", body)
        assert job["state"] == "succeeded" and job["result"]["proof"] == "identical", job


# Brokers that are patched


def test_trap_broker_restarts_at_patching(cluster, tidemarkd):
    """Each node restarts in turn in the middle of a backup and of a restore: leaders move, connections break, and every
    job succeeds; nothing is lost, doubled or out of order."""
    topic = f"patched-{time.monotonic_ns()}"
    cluster.create_topic(topic, [[1, 2], [2, 3], [3, 1]], {"retention.ms": "-1", "min.insync.replicas": "1"})

    def more(count):
        written = [record(b"k%d" % i, b"v%d" % i, timestamp=1_700_000_000_000 + i) for i in range(count)]
        records.produce(cluster.bootstrap, topic, written, lambda index, _: index % 3, batch_num_messages=1)

    daemon = tidemarkd({"clusters": jobs.slow_reading("source", cluster.bootstrap), "policies": [jobs.policy(topic)]},
                       bootstrap=cluster.bootstrap)
    more(300)
    daemon.backup("p")
    for node in cluster.nodes:
        more(1500)
        backup = start_job(daemon, "/v1/backups", {"policy": "p"})
        jobs.wait_progress(daemon, backup, 1)
        restore = start_job(daemon, "/v1/restores", jobs.restore_body(suffix=f".r{node}"))
        cluster.stop(node)
        cluster.start_node(node)
        for job in (daemon.wait_job(backup), daemon.wait_job(restore)):
            assert job["state"] == "succeeded", (node, job)
        cluster.wait_in_sync(topic)
    assert "Disconnected" in daemon.log() or "refused" in daemon.log()
    jobs.restore(daemon, suffix=".all")
    expected = records.read_topic(cluster.bootstrap, topic)
    assert sum(map(len, expected)) == 4800
    jobs.assert_restored(expected, cluster.bootstrap, f"{topic}.all")


def test_trap_empty_snapshot_replaces_nothing(kafka4, few_rights):
    """A list of groups that was denied looks like an empty one: the point says that they are not known, and what was
    known before stays in the points that had it."""
    daemon = few_rights
    kafka4.allow("reader", *BACKUP_RIGHTS)
    kafka4.allow("writer", *RESTORE_RIGHTS)
    assert back_up_orders(kafka4, daemon)["state"] == "succeeded"
    known = jobs.newest(daemon, "acl")
    assert known["consumer_groups"][0]["offsets"][0]["offset"] == 3
    for right in (("describe", "group", "acl-group"), ("describe", "cluster", "kafka-cluster")):
        kafka4.take_away("reader", right)
    job = back_up_orders(kafka4, daemon)
    assert job["state"] == "succeeded" and "groups-unknown" in told(job) and "Describe on the Cluster" in told(job), job
    blind = jobs.newest(daemon, "acl")
    assert blind["id"] != known["id"] and "consumer_groups" not in blind
    assert daemon.get(f"/v1/recovery-points/{known['id']}")["consumer_groups"] == known["consumer_groups"]
    body = jobs.restore_body(point=blind["id"], cluster="target", prefix="acl-orders.",
                             consumer_groups={"mode": "translate"})
    plan = daemon.api("POST", "/v1/restores/plan", json=body).json()
    assert "no-coverage" in [one["code"] for one in plan["blocking"]], plan
    kafka4.allow("reader", *BACKUP_RIGHTS)
    assert back_up_orders(kafka4, daemon)["state"] == "succeeded"
    assert jobs.newest(daemon, "acl")["consumer_groups"] == known["consumer_groups"]
