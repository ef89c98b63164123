# SPDX-License-Identifier: Apache-2.0
"""The store of buckets, by itself, on a server that checks every signature."""

import os
import subprocess
import urllib.parse

import pytest

from rig.daemon import build_dir


def environment(server, **others):
    """What says where the server is, and nothing else of AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {"AWS_ACCESS_KEY_ID": server.access, "AWS_SECRET_ACCESS_KEY": server.secret,
                   "AWS_REGION": server.region, "AWS_ENDPOINT_URL_S3": server.endpoint, **others}


def run_checks(server, url, **env):
    """What every store has to do (tests/unit/test_store_url.c), on the store of that URL."""
    return subprocess.run([build_dir() / "tests/unit/test_store_url"], env=environment(server, TM_STORE_URL=url, **env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, check=False)


def test_a_bucket_does_what_every_store_has_to_do(s3, bucket):
    done = run_checks(s3, f"s3://{bucket}/some/prefix")
    assert done.returncode == 0 and "100%: Checks: 8" in done.stdout, done.stdout
    assert s3.list(bucket) == {}


@pytest.mark.parametrize("env, expected", [
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
    ({"AWS_ACCESS_KEY_ID": "AKWRONG"}, "InvalidAccessKeyId"),
])
def test_what_the_server_refuses_is_named(s3, bucket, env, expected):
    done = run_checks(s3, f"s3://{bucket}", CK_RUN_CASE="any store", **env)
    assert done.returncode != 0 and expected in done.stdout and f"s3://{bucket}/" in done.stdout, done.stdout


def test_a_bucket_that_is_not_there_is_no_empty_store(s3):
    """trap: error_taken_for_first_write"""
    done = run_checks(s3, "s3://there-is-none/x")
    assert done.returncode != 0 and "404 NoSuchBucket" in done.stdout and "hint: make the bucket" in done.stdout, done.stdout


def test_the_endpoint_can_stand_in_the_url(s3, bucket):
    endpoint = urllib.parse.quote(s3.endpoint, safe="")
    done = run_checks(s3, f"s3://{bucket}/a?endpoint={endpoint}&region={s3.region}", AWS_ENDPOINT_URL_S3="", AWS_REGION="")
    assert done.returncode == 0, done.stdout


def test_the_command_line_works_straight_on_a_bucket(s3, bucket, tmp_path):
    key = tmp_path / "vault.key"
    url = f"s3://{bucket}/prod"

    def tidemark(*arguments, status=0):
        done = subprocess.run([build_dir() / "cli" / "tidemark", *arguments], env=environment(s3), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    tidemark("key", "new", key)
    assert f"{url}: a new vault" in tidemark("vault", "init", url, "--key-file", key)
    assert sorted(name[:9] for name in s3.list(bucket)) == ["prod/key/", "prod/log/"]
    assert "key/" in tidemark("key", "list", "--vault", url, "--key-file", key)
    assert "there is a vault already" in tidemark("vault", "init", url, "--key-file", key, status=8)
