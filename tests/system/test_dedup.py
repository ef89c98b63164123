# SPDX-License-Identifier: Apache-2.0
"""What the vault holds is not stored again: mirrored and re-created topics, large payloads that come again; and what is
restored of them is what was written, whosever pack it comes from."""

import random
import shutil

from rig import jobs, records
from rig.records import record

NOW = 1_700_000_000_000
BLOCK_MAX = 4 << 20  # block.max: the last block of a partition is cut by its end, and is not found again
SMALL = {"count": 48_000, "size": 1000}


def some_records(count, size, seed=7):
    """Records that do not shrink, so that stored bytes tell what was stored."""
    rng = random.Random(seed)
    return [record(b"key-%d" % number, rng.randbytes(size), timestamp=NOW + number) for number in range(count)]


def at_other_times(some, step=10):
    """The same records, as another topic has them: what is not content differs."""
    return [one._replace(timestamp=NOW + step * number) for number, one in enumerate(some)]


def back_up(daemon, name):
    """The result of a backup, with all of it stored."""
    result = daemon.backup(name)["result"]
    assert result["deduplicated_bytes"] <= result["source_bytes"]
    return result


def assert_found(first, second):
    """The second one's content was there, but for the last block of its partition."""
    assert second["messages_count"] == first["messages_count"]
    assert second["deduplicated_bytes"] >= second["source_bytes"] - BLOCK_MAX - 1_000_000, second
    assert second["stored_bytes"] < 0.1 * first["stored_bytes"], (first["stored_bytes"], second["stored_bytes"])


def counter(daemon, name):
    lines = daemon.api("GET", "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def test_a_mirrored_topic_is_stored_once_also_when_the_catalog_was_lost(bootstrap, new_topic, tidemarkd):
    topics = [new_topic(prefix=prefix) for prefix in ("orders", "mirror", "third")]
    written = some_records(**SMALL)
    daemon = tidemarkd({"policies": [jobs.policy(topic, name=f"p{number}") for number, topic in enumerate(topics)]})
    records.produce(bootstrap, topics[0], written)
    first = back_up(daemon, "p0")
    assert first["deduplicated_bytes"] == 0
    assert first["stored_bytes"] > 0.95 * first["source_bytes"]

    records.produce(bootstrap, topics[1], at_other_times(written))
    second = back_up(daemon, "p1")
    assert_found(first, second)
    assert counter(daemon, "tidemark_vault_deduplicated_bytes_total") == second["deduplicated_bytes"]
    jobs.restore(daemon, name="p1", suffix=".back")
    jobs.assert_restored([at_other_times(written)], bootstrap, f"{topics[1]}.back")

    daemon.stop()
    shutil.rmtree(daemon.directory / "state" / "catalog")
    daemon.start()
    records.produce(bootstrap, topics[2], written)
    third = back_up(daemon, "p2")
    assert_found(first, third)
    jobs.restore(daemon, name="p2", suffix=".back")
    jobs.assert_restored([written], bootstrap, f"{topics[2]}.back")
    jobs.restore(daemon, name="p0", suffix=".back")
    jobs.assert_restored([written], bootstrap, f"{topics[0]}.back")


def test_a_topic_made_again_with_the_same_records_is_stored_once(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    written = some_records(**SMALL, seed=8)
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    records.produce(bootstrap, topic, written)
    first = back_up(daemon, "p")
    records.delete_topic(bootstrap, topic)
    records.create_topic(bootstrap, topic, config={"retention.ms": "-1"})
    records.produce(bootstrap, topic, written)
    second = back_up(daemon, "p")
    assert jobs.newest(daemon)["topics"][0]["incarnation"] == 2
    assert_found(first, second)
    for point, suffix in ((first, ".first"), (second, ".second")):
        jobs.restore(daemon, point=point["recovery_point"], suffix=suffix)
        jobs.assert_restored([written], bootstrap, topic + suffix)


def test_large_payloads_are_stored_once_wherever_they_come_again(bootstrap, new_topic, tidemarkd):
    one, other = new_topic(prefix="states"), new_topic(partitions=2, prefix="copies")
    rng = random.Random(9)
    payloads = [rng.randbytes(100_000) for _ in range(20)]
    written = [record(b"%d" % number, rng.choice(payloads), [("n", b"%d" % number)], NOW + number)
               for number in range(200)]
    daemon = tidemarkd({"policies": [jobs.policy(one, name="one"), jobs.policy(other, name="other")]})
    records.produce(bootstrap, one, written)
    first = back_up(daemon, "one")
    assert first["source_bytes"] > 20_000_000
    assert first["stored_bytes"] < 2_100_000, "20 payloads are 2 MB"
    assert first["deduplicated_bytes"] > 17_900_000

    shuffled = [written[number]._replace(key=b"other") for number in rng.sample(range(200), 200)]
    records.produce(bootstrap, other, shuffled, partition=1)
    second = back_up(daemon, "other")
    assert second["stored_bytes"] < 100_000
    jobs.restore(daemon, name="one", suffix=".back")
    jobs.restore(daemon, name="other", suffix=".back")
    jobs.assert_restored([written], bootstrap, f"{one}.back")
    jobs.assert_restored([[], shuffled], bootstrap, f"{other}.back")
