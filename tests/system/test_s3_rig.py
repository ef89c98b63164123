# SPDX-License-Identifier: Apache-2.0
"""The rig for S3: a server that lets nothing pass, and a network that can be made worse."""

import time

import botocore.exceptions
import pytest
import urllib3

from rig.s3_faults import S3FaultProxy, answer, cut_short, lose_answer, lose_request

NETWORK_ERRORS = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)


def code_of(call):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call()
    return raised.value.response["Error"]["Code"]


def test_what_is_put_is_listed_read_damaged_and_deleted(s3, bucket):
    content = bytes(range(256)) * 40
    s3.put(bucket, "log/0000000001", content)
    s3.put(bucket, "pack/ab/cd", b"")
    assert s3.list(bucket) == {"log/0000000001": len(content), "pack/ab/cd": 0}
    assert s3.list(bucket, "log/") == {"log/0000000001": len(content)}
    assert s3.get(bucket, "log/0000000001") == content
    s3.flip(bucket, "log/0000000001", 5)
    s3.flip(bucket, "log/0000000001")
    assert s3.get(bucket, "log/0000000001") == content[:5] + b"\x04" + content[6:-1] + b"\xfe"
    s3.delete(bucket, "log/0000000001")
    assert s3.head(bucket, "log/0000000001") is None
    assert s3.head(bucket, "pack/ab/cd")["ContentLength"] == 0


def test_wrong_keys_and_missing_buckets_are_told_apart(s3, bucket):
    list_it = {"Bucket": bucket}
    assert code_of(lambda: s3.client(secret="wrong").list_objects_v2(**list_it)) == "SignatureDoesNotMatch"
    assert code_of(lambda: s3.client(access="AKWRONG").list_objects_v2(**list_it)) == "InvalidAccessKeyId"
    assert code_of(lambda: s3.client().list_objects_v2(Bucket="there-is-none")) == "NoSuchBucket"


def test_an_object_is_created_once(s3, bucket):
    s3.put(bucket, "log/1", b"first", IfNoneMatch="*")
    assert code_of(lambda: s3.put(bucket, "log/1", b"second", IfNoneMatch="*")) == "PreconditionFailed"
    assert s3.get(bucket, "log/1") == b"first"


def test_a_locked_object_says_until_when(s3, locked_bucket):
    until = int(time.time()) + 3600
    s3.put(locked_bucket, "pack/1", b"kept", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until,
           ChecksumAlgorithm="SHA256")
    assert s3.head(locked_bucket, "pack/1")["ObjectLockRetainUntilDate"].timestamp() == until


def test_requests_are_counted(s3, bucket):
    before = len(s3.requests(bucket))
    s3.put(bucket, "a", b"1")
    s3.get(bucket, "a")
    s3.head(bucket, "b")
    s3.list(bucket)
    found = s3.requests(bucket)[before:]
    assert [(one.operation.rpartition("_")[2], one.status) for one in found] == [
        ("PutObject", 200), ("GetObject", 200), ("HeadObject", 404), ("ListObjectsV2", 200)]
    assert found[0].path.startswith(f"/{bucket}/a")


def test_a_killed_server_comes_back_with_its_data_at_its_address(own_s3):
    server = own_s3()
    server.make_bucket("kept")
    server.put("kept", "a", b"1")
    endpoint = server.endpoint
    server.kill()
    with pytest.raises(NETWORK_ERRORS):
        server.get("kept", "a")
    server.start()
    assert server.endpoint == endpoint and server.get("kept", "a") == b"1"
    server.restart()
    assert server.get("kept", "a") == b"1"


def test_the_network_between_can_be_slow_cut_short_reset_and_down(s3, bucket, toxiproxy):
    content = b"x" * 100_000
    s3.put(bucket, "a", content)
    proxy = toxiproxy.proxy(s3.address)

    def read():
        with s3.client(endpoint=f"http://{proxy.address}").get_object(Bucket=bucket, Key="a")["Body"] as body:
            return body.read()

    assert read() == content
    with proxy.latency(300):
        begun = time.monotonic()
        assert read() == content
        assert time.monotonic() - begun >= 0.3
    broken = (*NETWORK_ERRORS, urllib3.exceptions.ProtocolError)
    for toxic in (proxy.limit_data(50_000), proxy.reset_peer()):
        with toxic, pytest.raises(broken):
            read()
    with proxy.bandwidth(200):
        begun = time.monotonic()
        assert read() == content
        assert time.monotonic() - begun > 0.3
    proxy.down()
    with pytest.raises(NETWORK_ERRORS):
        read()
    proxy.up()
    assert read() == content


def test_requests_can_be_spoiled_one_by_one_and_are_counted(s3, bucket):
    with S3FaultProxy(s3.address) as proxy:
        client = s3.client(endpoint=proxy.endpoint)

        def put(key):
            client.put_object(Bucket=bucket, Key=key, Body=b"x" * 1000)

        def get():
            return client.get_object(Bucket=bucket, Key="a")["Body"].read()

        proxy.on("PUT", "/a$", answer(503, "SlowDown"))
        assert code_of(lambda: put("a")) == "SlowDown" and s3.head(bucket, "a") is None
        put("a")
        proxy.on("PUT", "/b$", lose_request())
        with pytest.raises(NETWORK_ERRORS):
            put("b")
        assert s3.head(bucket, "b") is None
        lost = proxy.on("PUT", "/b$", lose_answer())
        with pytest.raises(NETWORK_ERRORS):
            put("b")
        assert s3.head(bucket, "b") is not None and lost.hits == 1
        proxy.on("GET", "/a$", cut_short())
        with pytest.raises((*NETWORK_ERRORS, urllib3.exceptions.ProtocolError)):
            get()
        assert get() == b"x" * 1000
        assert client.head_object(Bucket=bucket, Key="a")["ContentLength"] == 1000
        assert proxy.counts() == {"PUT": 4, "GET": 2, "HEAD": 1}
