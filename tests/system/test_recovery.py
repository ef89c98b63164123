# SPDX-License-Identifier: Apache-2.0
"""Recovery from nothing: with bucket and key alone, with the log gone, with a second copy of the vault."""

import json
import os
import shutil
import subprocess

import pytest

from reader import reader
from rig import jobs, records
from rig.daemon import build_dir, write_private
from rig.records import record


def numbered(count, start=0, size=20):
    return [record(b"k%d" % i, b"%d-" % i + b"v" * size, [("n", None), ("n", b"")]) for i in range(start, start + count)]


def tidemark(*arguments, expect=0, env=None):
    command = [build_dir() / "cli" / "tidemark", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
                          env=os.environ | (env or {}))
    assert done.returncode == expect, f"status {done.returncode}: {done.stdout}{done.stderr}"
    return done


def rebuild_log(daemon, expect=0):
    return tidemark("vault", "rebuild-log", "--vault", daemon.directory / "vault", "--key-file", daemon.key_path, expect=expect)


def forget(daemon):
    """Everything but the vault, its key and the configuration."""
    shutil.rmtree(daemon.directory / "state")


def points(daemon, policy):
    """Newest first."""
    return daemon.get(f"/v1/recovery-points?policy={policy}")["items"]


@pytest.fixture
def restored(bootstrap):
    """restored(daemon, topic, ...): restores into a new topic and gives what it then holds."""
    made = []

    def restore(daemon, topic, **request):
        target = f"{topic}.back{len(made)}"
        made.append(target)
        jobs.restore(daemon, rename={topic: target}, topics={"include": [topic]}, **request)
        return records.read_topic(bootstrap, target)

    yield restore
    for target in set(made) & set(records.topic_names(bootstrap)):
        records.delete_topic(bootstrap, target)


def transactions(bootstrap, topic):
    client = records.producer(bootstrap, transactional_id=topic)
    client.init_transactions()
    for number in range(20):
        client.begin_transaction()
        for one in numbered(10, 10 * number):
            records.send(client, topic, one)
        assert client.flush(30) == 0
        client.abort_transaction() if number % 4 == 1 else client.commit_transaction()


def test_packs_alone_give_back_every_range(tidemarkd, bootstrap, new_topic, restored):
    wide, tx, again = new_topic(5), new_topic(1), new_topic(2)
    daemon = tidemarkd({"policies": [jobs.policy(wide, tx, again)]})
    records.produce(bootstrap, wide, numbered(2000), lambda index, _: index % 5)
    records.produce(bootstrap, again, numbered(300), lambda index, _: index % 2)
    transactions(bootstrap, tx)
    daemon.backup("p")
    old_again = jobs.backed_up(daemon, bootstrap, again)
    # The topic of the same name again: another incarnation.
    records.delete_topic(bootstrap, again)
    records.create_topic(bootstrap, again, 2, config={"retention.ms": "-1"})
    records.produce(bootstrap, again, numbered(100, 5000), lambda index, _: index % 2)
    records.produce(bootstrap, wide, numbered(500, 2000, size=70_000), lambda index, _: index % 5)
    daemon.backup("p")
    expected = {topic: jobs.backed_up(daemon, bootstrap, topic) for topic in (wide, tx, again)}
    daemon.stop()

    refused = rebuild_log(daemon, expect=8)
    assert refused.stderr == (
        f"tidemark: {daemon.directory}/vault: has a log (log/0000000000000002), which is not written over; hint: if it is "
        "damaged, move all of log/ out of the vault first\n")
    shutil.rmtree(daemon.directory / "vault" / "log")
    done = rebuild_log(daemon)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    total = sum(len(part) for parts in [*expected.values(), old_again] for part in parts)
    assert found == found | {"unreadable": 0, "left_out": 0, "streams": 4, "partitions": 10, "records": total, "conflicts": 0,
                             "lost": 0, "tails": True}

    # Another program reads it too.
    vault = reader.Vault(reader.Folder(daemon.directory / "vault"), key_file=daemon.key_path.read_bytes())
    assert sum(1 for _ in vault.records()) == total
    forget(daemon)
    daemon.start()
    daemon.run_job("/v1/backups", {"policy": "p"})  # folds the vault
    newest, older = points(daemon, "recovered")
    for topic, records_of in expected.items():
        back = restored(daemon, topic, point=newest["id"], on_gap="continue")
        assert records.difference(records_of, back) is None
    assert records.difference(old_again, restored(daemon, again, point=older["id"])) is None


def test_backups_go_on_behind_a_rebuilt_log(tidemarkd, bootstrap, new_topic, restored):
    topic = new_topic(3)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    records.produce(bootstrap, topic, numbered(600), lambda index, _: index % 3)
    daemon.backup("p")
    daemon.stop()
    shutil.rmtree(daemon.directory / "vault" / "log")
    rebuild_log(daemon)
    forget(daemon)
    daemon.start()
    records.produce(bootstrap, topic, numbered(60, 600), lambda index, _: index % 3)
    job = daemon.backup("p")
    assert job["result"]["messages_count"] == 60  # the topic goes on where the packs end
    expected = jobs.backed_up(daemon, bootstrap, topic)
    assert records.difference(expected, restored(daemon, topic)) is None


def test_the_catalog_is_rebuilt_on_another_host(tidemarkd, bootstrap, new_topic, restored):
    topic = new_topic(2)
    first = tidemarkd({"policies": [jobs.policy(topic)]})
    records.produce(bootstrap, topic, numbered(500), lambda index, _: index % 2)
    first.backup("p")
    records.produce(bootstrap, topic, numbered(50, 500), lambda index, _: index % 2)
    first.backup("p")
    expected = jobs.backed_up(first, bootstrap, topic)
    known = [(point["id"], point["state"]) for point in points(first, "p")]
    first.kill()

    # Nothing but bucket and key; no configuration of the policy either.
    other = tidemarkd(start=False)
    shutil.rmtree(other.directory / "vault", ignore_errors=True)
    shutil.copytree(first.directory / "vault", other.directory / "vault")
    shutil.copy(first.key_path, other.key_path)
    shutil.rmtree(first.directory)
    other.configure({"server": {"socket": str(other.socket), "metrics_listen": "", "listen": ""}})
    other.start()
    assert [(point["id"], point["state"]) for point in points(other, "p")] == known
    assert records.difference(expected, restored(other, topic, point=known[0][0])) is None


def flip(path, at=-1):
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(whole)


def failed_backup(daemon):
    job = daemon.run_job("/v1/backups", {"policy": "p"})
    assert job["state"] == "failed", job
    return job["error"]


def three_backups(daemon, bootstrap, topic):
    for number in range(3):
        records.produce(bootstrap, topic, numbered(10, 10 * number))
        daemon.backup("p")


def test_a_damaged_entry_in_the_middle_of_the_log(tidemarkd, bootstrap, new_topic, restored):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    three_backups(daemon, bootstrap, topic)
    entry = daemon.directory / "vault" / "log" / f"{2:016x}"
    whole = entry.read_bytes()
    flip(entry)
    daemon.backup("p")  # who has folded it already does not need it
    daemon.stop()
    forget(daemon)
    daemon.start()
    error = failed_backup(daemon)
    assert "log/0000000000000002: " in error["detail"], error
    daemon.stop()

    # The entry of a second copy takes its place. Or, without one, packs alone give everything back.
    shutil.copytree(daemon.directory / "vault", daemon.directory / "kept")
    entry.write_bytes(whole)
    forget(daemon)
    daemon.start()
    daemon.backup("p")
    assert len(points(daemon, "p")) == 3
    daemon.stop()

    shutil.rmtree(daemon.directory / "vault")
    (daemon.directory / "kept").rename(daemon.directory / "vault")
    (daemon.directory / "vault" / "log").rename(daemon.directory / "damaged")
    assert json.loads(rebuild_log(daemon).stdout)["records"] == 30
    forget(daemon)
    daemon.start()
    daemon.backup("p")
    assert records.difference(records.read_topic(bootstrap, topic), restored(daemon, topic)) is None


def test_the_newest_full_is_missing(tidemarkd, bootstrap, new_topic):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    three_backups(daemon, bootstrap, topic)
    daemon.stop()
    (daemon.directory / "vault" / "log" / f"{0:016x}").unlink()
    shutil.move(daemon.directory / "state", daemon.directory / "known")
    daemon.start()
    error = failed_backup(daemon)
    assert "newest full of entry 3: " in error["detail"] and "log/0000000000000000" in error["detail"], error
    daemon.stop()

    # A catalog that has folded it is as good as the full.
    shutil.rmtree(daemon.directory / "state")
    shutil.move(daemon.directory / "known", daemon.directory / "state")
    daemon.start()
    records.produce(bootstrap, topic, numbered(5, 30))
    assert daemon.backup("p")["result"]["messages_count"] == 5


def test_a_lost_key_slot_is_no_loss_while_another_opens(tidemarkd, bootstrap, new_topic, restored):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    records.produce(bootstrap, topic, numbered(10))
    daemon.backup("p")
    expected = jobs.backed_up(daemon, bootstrap, topic)
    daemon.stop()
    second = write_private(daemon.directory / "second.key", bytes(range(32)))
    slot, = (daemon.directory / "vault" / "key").iterdir()
    tidemark("key", "add", "--vault", daemon.directory / "vault", "--key-file", daemon.key_path, "--new-key-file", second)
    slot.unlink()
    forget(daemon)
    daemon.start()
    assert failed_backup(daemon)["type"] == "/problems/wrong-key"
    daemon.stop()
    daemon.key_path.write_bytes(second.read_bytes())
    daemon.start()
    daemon.backup("p")
    assert records.difference(expected, restored(daemon, topic)) is None


def sync(source, target):
    """A second copy by a file sync: which entries there are, packs, then those entries (README)."""
    target.mkdir(exist_ok=True)
    subprocess.run(["bash", "-euc", """
        entries=$(cd "$1" && find log -type f)
        cp -rn "$1/key" "$1/pack" "$2/"
        cd "$1" && echo "$entries" | xargs cp -n --parents -t "$2"
    """, "sync", source, target], check=True, timeout=60)


def test_two_copies_replace_each_other(tidemarkd, bootstrap, new_topic, restored):
    """The copy is made while backups run; then the original is lost, and the copy goes on under the same catalog."""
    topic = new_topic(2)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    vault, copy = daemon.directory / "vault", daemon.directory / "copy"
    records.produce(bootstrap, topic, numbered(20), lambda index, _: index % 2)
    daemon.backup("p")
    for number in range(1, 6):
        records.produce(bootstrap, topic, numbered(20, 20 * number), lambda index, _: index % 2)
        job = daemon.api("POST", "/v1/backups", json={"policy": "p"}).json()
        sync(vault, copy)
        daemon.wait_job(job["id"])
        whole = reader.Vault(reader.Folder(copy), key_file=daemon.key_path.read_bytes())
        assert sum(1 for _ in whole.records()) in (20 * number, 20 * number + 20)  # never an entry without its packs
    behind = daemon.directory / "behind"
    shutil.copytree(copy, behind)
    records.produce(bootstrap, topic, numbered(20, 120), lambda index, _: index % 2)
    daemon.backup("p")
    sync(vault, copy)
    daemon.stop()

    # A copy that is behind is refused by whoever knows better.
    shutil.rmtree(vault)
    vaults = [daemon.default_config()["vaults"][0] | {"path": str(behind)}]
    daemon.configure({"policies": [jobs.policy(topic)], "vaults": vaults})
    daemon.start()
    error = failed_backup(daemon)
    assert error["type"] == "/problems/vault-rolled-back", error
    daemon.stop()

    # The one that is not goes on where the original was.
    daemon.configure({"policies": [jobs.policy(topic)], "vaults": [vaults[0] | {"path": str(copy)}]})
    daemon.start()
    records.produce(bootstrap, topic, numbered(20, 140), lambda index, _: index % 2)
    assert daemon.backup("p")["result"]["messages_count"] == 20
    whole = reader.Vault(reader.Folder(copy), key_file=daemon.key_path.read_bytes())
    assert sum(1 for _ in whole.records()) == 160 and whole.gaps == []
    assert records.difference(records.read_topic(bootstrap, topic), restored(daemon, topic)) is None


class Bucket:
    """Where the independent reader finds the objects of a vault in a bucket: by boto3."""

    def __init__(self, server, bucket, prefix="prod/"):
        self.server, self.bucket, self.prefix = server, bucket, prefix

    def get(self, name):
        return self.server.get(self.bucket, self.prefix + name)

    def names(self, prefix):
        return sorted(name[len(self.prefix):] for name in self.server.list(self.bucket, self.prefix + prefix))


def test_bucket_and_key_alone_without_a_log(tidemarkd, bootstrap, new_topic, restored, s3, bucket):
    topic = new_topic(3)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]}, vault=jobs.s3_vault(s3, bucket))
    records.produce(bootstrap, topic, numbered(300, size=2000), lambda index, _: index % 3)
    daemon.backup("p")
    records.produce(bootstrap, topic, numbered(30, 300, size=70_000), lambda index, _: index % 3)
    daemon.backup("p")
    expected = jobs.backed_up(daemon, bootstrap, topic)
    daemon.stop()

    def read():
        vault = reader.Vault(Bucket(s3, bucket), key_file=daemon.key_path.read_bytes())
        found = [[] for _ in expected]
        for one in vault.records():
            found[one.partition].append((one.offset, one.key, one.value))
        return found

    whole = [[(one.offset, one.key, one.value) for one in part] for part in expected]
    assert read() == whole
    for name in s3.list(bucket, "prod/log/"):
        s3.delete(bucket, name)
    url = f"s3://{bucket}/prod?region={s3.region}&endpoint={s3.endpoint}"
    done = tidemark("vault", "rebuild-log", "--vault", url, "--key-file", daemon.key_path,
                    env={"AWS_ACCESS_KEY_ID": s3.access, "AWS_SECRET_ACCESS_KEY": s3.secret})
    assert json.loads(done.stdout)["records"] == 330
    assert read() == whole
    forget(daemon)
    daemon.start()
    daemon.backup("p")
    assert records.difference(expected, restored(daemon, topic)) is None
