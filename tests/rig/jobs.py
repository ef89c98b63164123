# SPDX-License-Identifier: Apache-2.0
"""What tests ask of a daemon, in few words: policies, points, restores, and what lies in the vault."""

import hashlib
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from rig import records


def policy(*topics, name="p", schedule="", cluster="source", **more):
    """A policy of the configuration; by hand only unless it has a schedule."""
    return {"name": name, "cluster": cluster, "vault": "local", "topics": {"include": list(topics)},
            "schedule": schedule} | more


def clusters(**bootstraps):
    """The section `clusters`: clusters(source="127.0.0.1:9092", target="...")."""
    return [{"name": name, "bootstrap": bootstrap.split(",")} for name, bootstrap in bootstraps.items()]


def s3_vault(server, bucket, endpoint=None, **more):
    """Settings of a vault in a bucket of an S3Server, for Daemon(vault=...)."""
    return {"type": "s3", "bucket": bucket, "prefix": "prod", "endpoint": endpoint or server.endpoint,
            "region": server.region, "path_style": True, "credentials": "static", "access_key_id": server.access,
            "secret_access_key": server.secret} | more


def newest(daemon, name="p"):
    return daemon.get(f"/v1/recovery-points/latest?policy={name}")


def ends(point):
    """{(topic, partition): end offset} of a point."""
    return {(topic["name"], part["partition"]): part["end_offset"]
            for topic in point["topics"] for part in topic["partitions"]}


def restore_body(point="latest", cluster="source", name="p", prefix="", suffix="", rename=None, **more):
    source = {"policy": name} if point == "latest" else {"recovery_point": point}
    target = {"cluster": cluster, "prefix": prefix, "suffix": suffix, "rename": rename or {}}
    return {"source": source, "target": target} | more


def restore(daemon, timeout=120, **request):
    """Restore, which has to succeed with its proof: the job."""
    job = daemon.run_job("/v1/restores", restore_body(**request), timeout)
    if job["state"] != "succeeded" or job["result"]["proof"] != "identical":
        raise AssertionError(f"restore ended {job['state']}: {job.get('error') or job.get('result')}")
    return job


def backed_up(daemon, bootstrap, topic, name="p"):
    """What a restore of the newest point has to give: the topic as a client sees it, up to the point's ends."""
    limits = ends(newest(daemon, name))
    return [[one for one in part if one.offset < limits[topic, number]]
            for number, part in enumerate(records.read_topic(bootstrap, topic))]


def assert_restored(expected, bootstrap, target):
    """The target holds the records of `expected` (a list a partition), in order, once each, equal in every field."""
    actual = records.read_topic(bootstrap, target)
    found = records.difference(expected, actual)
    assert found is None, f"{target}: {found}"


def vault_files(daemon):
    """{name: (size, SHA-256)} of the vault's objects."""
    root = daemon.directory / "vault"
    paths = [path for folder in ("key", "log", "pack") for path in (root / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(paths)}


def log_ends(bootstrap, topic):
    """{(topic, partition): where the log ends now}, as ends() gives it for a point."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "tidemark-tests"})
    try:
        partitions = range(records.partition_count(bootstrap, topic))
        return {(topic, number): log_end(consumer, TopicPartition(topic, number)) for number in partitions}
    finally:
        consumer.close()


def log_end(consumer, partition):
    """A partition that was made just now may have no leader yet that knows of it."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=30)[1]
        except KafkaException as error:
            if not error.args[0].retriable() and error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION \
                    or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def slow_reading(name, bootstrap):
    """The section `clusters`, with a fetch for almost every batch: about a thousand of them are read in a second, so
    that a test has time to do something in the middle of a run."""
    return [{"name": name, "bootstrap": [bootstrap], "rdkafka": {"fetch.message.max.bytes": 1, "fetch.max.bytes": 1000,
                                                                 "message.max.bytes": 1000}}]


def wait_progress(daemon, job_id, messages):
    """Until a running job has done so much."""
    def enough():
        job = daemon.get(f"/v1/jobs/{job_id}")
        if job["state"] not in ("queued", "running"):
            raise AssertionError(f"ended before it was half done: {job}")
        return job.get("progress", {}).get("done_messages", 0) >= messages

    records.wait_until(enough, f"{messages} messages of {job_id}")


def wait_arrived(daemon, job_id, bootstrap, topic, messages):
    """Until a running restore has put so much into a topic; its progress counts what was handed to the client, which a
    kill takes with it."""
    wait_progress(daemon, job_id, messages)
    records.wait_until(lambda: sum(log_ends(bootstrap, topic).values()) >= messages, f"{messages} messages in {topic}")
