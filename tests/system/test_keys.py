# SPDX-License-Identifier: Apache-2.0
"""Keys of a vault from the command line, and what a daemon makes of them: slots, a host that only writes, rotation, a
log that was rolled back, and where the secret lies in memory."""

import hashlib
import json
import os
import re
import secrets
import shutil

import pytest

from rig import jobs, memory, records
from rig.daemon import write_private
from rig.records import record
from test_cli import tidemark

USE, MISSING, CONFLICT, NO_VAULT, WRONG_KEY = 2, 7, 8, 10, 12


def new_key(folder, name):
    return write_private(folder / name, secrets.token_bytes(32))


def fingerprint(key):
    return hashlib.blake2b(key.read_bytes(), digest_size=32).hexdigest()[:16]


@pytest.fixture
def vault(tmp_path):
    """An empty vault: .path, .key"""
    class Vault:
        path = tmp_path / "vault"
        key = new_key(tmp_path, "vault.key")

        def __call__(self, *command, key=None, **options):
            return tidemark(*command, "--vault", self.path, "--key-file", key or self.key, **options)

        def slots(self):
            return json.loads(tidemark("key", "list", "--vault", self.path, "-o", "json").stdout)["items"]

    one = Vault()
    tidemark("vault", "init", one.path, "--key-file", one.key)
    return one


def some_records(bootstrap, topic, count=200, first=0):
    records.produce(bootstrap, topic, [record(b"k%d" % number, b"v" * 100, timestamp=1_700_000_000_000 + number)
                                       for number in range(first, first + count)])


def test_slots_are_added_listed_and_removed(vault, tmp_path):
    words = write_private(tmp_path / "words", "correct horse battery staple\n")
    first = vault.slots()[0]["slot"]
    writer = vault("key", "add", "--new-key-file", new_key(tmp_path, "host"), "--writer").stdout.strip()
    by_words = vault("key", "add", "--new-passphrase-file", words).stdout.strip()
    slots = {one["slot"]: one for one in vault.slots()}
    assert list(slots) == sorted([first, writer, by_words])
    assert [slots[name]["ring"] for name in (first, writer, by_words)] == ["full", "writer", "full"]
    assert slots[by_words]["opened_by"] == "passphrase" and slots[writer]["opened_by"] == "key file"

    table = vault("key", "list").stdout.splitlines()
    assert re.fullmatch(r"SLOT +OPENED BY +KEYS +EPOCHS +STORED +THIS KEY +TROUBLE", table[0])
    assert [line.startswith(first) for line in table].count(True) == 1
    assert [" yes " in line + " " for line in table if line.startswith(first)] == [True]

    vault("key", "remove", writer)
    assert "no such slot" in vault("key", "remove", writer, status=MISSING).stderr
    assert "nothing has shown that another full one opens" in vault("key", "remove", first, status=CONFLICT).stderr
    vault("key", "remove", first, "--other-passphrase-file", words)
    assert [one["slot"] for one in vault.slots()] == [by_words]
    tidemark("key", "remove", "--vault", vault.path, "--passphrase-file", words, by_words, status=CONFLICT)
    tidemark("key", "list", "--vault", vault.path, "--passphrase-file", words)


def test_fingerprints_tell_keys_apart(vault, tmp_path):
    other = new_key(tmp_path, "other")
    alone = tidemark("key", "fingerprint", vault.key).stdout
    assert alone == f"key file  {fingerprint(vault.key)}\n"
    ring = json.loads(vault("key", "fingerprint", "-o", "json").stdout)
    assert ring["key_fingerprint"] == fingerprint(vault.key) and ring["ring"] == "full"

    refused = vault("key", "fingerprint", key=other, status=WRONG_KEY).stderr
    assert f"no key slot opens, 1 tried: {ring['slot']}: key slot: the key file does not open it" in refused
    assert f"fingerprint of the key file given: {fingerprint(other)}" in refused
    in_json = json.loads(vault("key", "fingerprint", "-o", "json", key=other, status=WRONG_KEY).stderr)
    assert (in_json["code"], in_json["error"]) == (WRONG_KEY, "wrong-key")

    vault("key", "add", "--new-key-file", other)
    assert json.loads(vault("key", "fingerprint", "-o", "json", key=other).stdout)["vault_fingerprint"] == \
        ring["vault_fingerprint"]


@pytest.mark.parametrize("command", [["key", "list"], ["key", "add", "--new-key-file", "k"], ["key", "remove", "key/1"],
                                     ["key", "fingerprint"], ["key", "rotate", "--for-key-file", "k"]])
def test_where_there_is_no_vault_is_a_status_of_its_own(command, tmp_path):
    key = new_key(tmp_path, "k")
    (tmp_path / "empty").mkdir()
    done = tidemark(*command, "--vault", tmp_path / "empty", "--key-file", key, status=NO_VAULT, cwd=tmp_path)
    assert done.stderr == f"tidemark: {tmp_path}/empty: there is no vault\n"
    tidemark(*command, "--vault", tmp_path / "none", "--key-file", key, status=NO_VAULT, cwd=tmp_path)
    tidemark(*command, status=USE)
    assert "not a kind of vault" in tidemark(*command, "--vault", "ftp://x/y", "--key-file", key, status=USE,
                                             cwd=tmp_path).stderr
    assert not (tmp_path / "none").exists()


def test_keys_of_a_vault_in_a_bucket(s3, bucket, tmp_path):
    key, other = new_key(tmp_path, "key"), new_key(tmp_path, "other")
    url = f"s3://{bucket}/backups?endpoint={s3.endpoint}&path_style=true"
    env = {"AWS_ACCESS_KEY_ID": s3.access, "AWS_SECRET_ACCESS_KEY": s3.secret, "AWS_REGION": "us-east-1",
           "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    tidemark("key", "list", "--vault", url, env=env, status=NO_VAULT)
    tidemark("vault", "init", url, "--key-file", key, env=env)
    tidemark("vault", "init", url, "--key-file", key, env=env, status=CONFLICT)
    at = ["--vault", url, "--key-file", key]
    tidemark("key", "add", *at, "--new-key-file", other, "--writer", env=env)
    tidemark("key", "rotate", *at, "--for-key-file", key, "--yes", env=env)
    slots = json.loads(tidemark("key", "list", *at, "-o", "json", env=env).stdout)["items"]
    assert [(one["ring"], one["epochs_count"], one["opens"]) for one in slots] == [("full", 2, True)]
    tidemark("key", "list", "--vault", url, "--key-file", other, env=env, status=WRONG_KEY)
    assert json.loads(tidemark("vault", "stats", *at, "-o", "json", env=env).stdout)["type"] == "s3"
    tidemark("vault", "probe", "--vault", url, env=env)
    assert "InvalidAccessKeyId" in tidemark("vault", "probe", "--vault", url, status=6,
                                            env=env | {"AWS_ACCESS_KEY_ID": "AKWRONG"}).stderr


def test_a_write_only_host_backs_up_and_another_restores(bootstrap, new_topic, tidemarkd, tmp_path):
    """The same vault, two daemons: one holds a writer's key, the other the whole."""
    topic = new_topic(2)
    some_records(bootstrap, topic)
    full = tidemarkd({"policies": [jobs.policy(topic)]})
    vault = full.directory / "vault"
    full.backup("p")
    full.stop()
    host = new_key(tmp_path, "host.key")
    tidemark("key", "add", "--vault", vault, "--key-file", full.key_path, "--new-key-file", host, "--writer")

    some_records(bootstrap, topic, first=1000)
    vaults = [{"name": "local", "type": "disk", "path": str(vault), "key_file": str(host)}]
    writer = tidemarkd({"policies": [jobs.policy(topic)], "vaults": vaults})
    assert writer.backup("p")["result"]["messages_count"] == 200
    for path in ("/v1/restores/plan", "/v1/restores"):
        refused = writer.api("POST", path, json=jobs.restore_body(suffix=".no")).json()
        assert refused["type"] == "/problems/wrong-key"
        assert refused["detail"].startswith(f"{vault}: this key can write but not read (slot key/"), refused
    assert f"{topic}.no" not in records.topic_names(bootstrap)

    full.start()
    jobs.restore(full, suffix=".back")
    jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.back")


def test_rotation_keeps_what_is_stored_and_locks_others_out(bootstrap, new_topic, tidemarkd, tmp_path):
    topic = new_topic()
    some_records(bootstrap, topic)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    vault, key, other = daemon.directory / "vault", daemon.key_path, new_key(tmp_path, "other")
    daemon.backup("p")
    at = ["--vault", vault, "--key-file", key]
    tidemark("key", "add", *at, "--new-key-file", other)

    plan = tidemark("key", "rotate", *at, "--for-key-file", key).stdout.splitlines()
    assert [line.split()[0] for line in plan] == ["remove", "remove", "add"]
    assert "--yes does it" in tidemark("key", "rotate", *at, "--for-key-file", key).stderr
    tidemark("key", "list", "--vault", vault, "--key-file", other)
    done = tidemark("key", "rotate", *at, "--for-key-file", key, "--yes")
    assert done.stderr.startswith("epoch 2: 1 slots made, 2 removed.")
    tidemark("key", "list", "--vault", vault, "--key-file", other, status=WRONG_KEY)

    some_records(bootstrap, topic, first=1000)
    daemon.backup("p")  # goes on with the keys it has
    daemon.stop()
    daemon.start()
    some_records(bootstrap, topic, first=2000)
    daemon.backup("p")
    epochs = {int.from_bytes(path.read_bytes()[24:28], "little") for path in (vault / "log").iterdir()}
    assert epochs == {1, 2}
    jobs.restore(daemon, suffix=".back")
    jobs.assert_restored(records.read_topic(bootstrap, topic), bootstrap, f"{topic}.back")


def heads(daemon):
    return re.findall(r"event=vault.head .*head=([0-9]+:[0-9a-f]{64})", daemon.log())


def roll_back(daemon, kept):
    """Put the vault's log back to what it was."""
    log = daemon.directory / "vault" / "log"
    shutil.rmtree(log)
    shutil.copytree(kept, log)


def metric(daemon, name):
    return re.search(rf"^{name}{{vault=\"local\"}} ([0-9]+)$", daemon.tcp("GET", "/metrics").text, re.M)[1]


def test_a_log_that_was_rolled_back_is_refused_and_told(bootstrap, new_topic, tidemarkd, tmp_path):
    topic = new_topic()
    some_records(bootstrap, topic)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    shutil.copytree(daemon.directory / "vault" / "log", tmp_path / "before")
    some_records(bootstrap, topic, first=1000)
    daemon.backup("p")
    assert [int(head.split(":")[0]) for head in heads(daemon)] == [1, 2]
    daemon.stop()
    assert "vault.rolled-back" not in daemon.log()
    shutil.copytree(daemon.directory / "vault" / "log", tmp_path / "after")
    roll_back(daemon, tmp_path / "before")

    some_records(bootstrap, topic, first=2000)
    daemon.start()
    assert "event=vault.rolled-back" in daemon.log()
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert (job["state"], job["error"]["type"]) == ("failed", "/problems/vault-rolled-back"), job
    assert job["error"]["detail"].endswith(
        "log/0000000000000002: the log was rolled back or replaced: the entry folded before is newer than all in the "
        "store")
    assert metric(daemon, "tidemark_vault_rolled_back") == "1"
    told = daemon.log().count("event=vault.rolled-back")
    plan = daemon.api("POST", "/v1/restores/plan", json=jobs.restore_body(suffix=".no"))
    assert plan.json()["type"] == "/problems/vault-rolled-back", plan.text
    assert daemon.log().count("event=vault.rolled-back") == told + 1

    roll_back(daemon, tmp_path / "after")  # it was a mistake: what was there is there again
    daemon.backup("p")
    assert metric(daemon, "tidemark_vault_rolled_back") == "0"


def test_a_log_that_is_rolled_back_under_a_running_daemon_is_refused(bootstrap, new_topic, tidemarkd, tmp_path):
    topic = new_topic()
    some_records(bootstrap, topic)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    shutil.copytree(daemon.directory / "vault" / "log", tmp_path / "before")
    some_records(bootstrap, topic, first=1000)
    daemon.backup("p")
    roll_back(daemon, tmp_path / "before")
    some_records(bootstrap, topic, first=2000)
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert (job["state"], job["error"]["code"]) == ("failed", "rolled-back"), job
    assert metric(daemon, "tidemark_vault_rolled_back") == "1"


def test_another_vault_in_its_place_is_refused(bootstrap, new_topic, tidemarkd, tmp_path):
    topic = new_topic()
    some_records(bootstrap, topic)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    daemon.stop()
    (daemon.directory / "vault").rename(tmp_path / "aside")
    tidemark("vault", "init", daemon.directory / "vault", "--key-file", daemon.key_path)
    daemon.start()
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["error"]["code"] == "rolled-back"
    assert job["error"]["detail"].endswith("the log was replaced: another vault's was folded before")


def test_a_fresh_host_that_knows_the_head_refuses_an_older_log(bootstrap, new_topic, tidemarkd, tmp_path):
    topic = new_topic()
    some_records(bootstrap, topic)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    daemon.backup("p")
    shutil.copytree(daemon.directory / "vault" / "log", tmp_path / "before")
    some_records(bootstrap, topic, first=1000)
    daemon.backup("p")
    daemon.stop()
    head = heads(daemon)[-1]
    vault, key = daemon.directory / "vault", daemon.key_path
    at = ["key", "list", "--vault", vault, "--key-file", key, "--expect-head"]
    tidemark(*at, head)
    assert "a head is written SEQ:HASH" in tidemark(*at, "2:abc", status=USE).stderr
    vaults = [daemon.default_config()["vaults"][0] | {"expect_head": head}]
    policies = [jobs.policy(topic)]
    shutil.rmtree(daemon.directory / "state")  # nothing is known here
    daemon.configure({"policies": policies, "vaults": vaults})
    daemon.start()
    daemon.backup("p")
    daemon.stop()

    roll_back(daemon, tmp_path / "before")
    shutil.rmtree(daemon.directory / "state")
    words = "the entry that is expected is newer than all in the store"
    assert words in tidemark(*at, head, status=1).stderr
    daemon.start()
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["error"]["code"] == "rolled-back" and job["error"]["detail"].endswith(words)
    daemon.stop()
    shutil.rmtree(vault)  # and a vault whose head is known is never made anew
    daemon.start()
    assert daemon.run_job("/v1/backups", {"policy": "p"})["state"] == "failed"
    assert not list((vault / "log").glob("*")) if vault.exists() else True


@pytest.mark.parametrize("kind", ["key_file", "passphrase from a file", "passphrase in the configuration"])
def test_the_secret_lies_in_locked_memory_alone(bootstrap, new_topic, tidemarkd, kind):
    """After start, a backup and a restore, all of the daemon's memory is searched for the secret and parts of it."""
    topic = new_topic()
    some_records(bootstrap, topic)
    daemon = tidemarkd(start=False)
    words = secrets.token_hex(24)
    vault = daemon.default_config()["vaults"][0]
    secret = daemon.key_path.read_bytes()
    if kind != "key_file":
        secret = words.encode()
        given = f"${{file:{write_private(daemon.directory / 'words', words)}}}" if "file" in kind else words
        vault = {key: value for key, value in vault.items() if key != "key_file"} | {"passphrase": given}
    daemon.configure({"policies": [jobs.policy(topic)], "vaults": [vault]})
    daemon.config_path.chmod(0o600)
    daemon.start()
    daemon.backup("p")
    jobs.restore(daemon, suffix=".back")
    places = memory.find(daemon.process.pid, secret)
    assert places, "the daemon keeps it, to open the vault again: the search does not work"
    assert all(locked for _, _, locked in places), places
    for part in (secret[:16], secret[-16:]):
        assert len(memory.find(daemon.process.pid, part)) == len(places)
    assert memory.find(daemon.process.pid, str(daemon.socket).encode())  # what is no secret is found elsewhere, too
