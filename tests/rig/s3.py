# SPDX-License-Identifier: Apache-2.0
"""A real S3 server for tests: versitygw, which checks every signature, on a folder. And boto3, a client that is not
ours, to look at what lies in a bucket.

    with S3Server() as server:              # at server.endpoint, with server.access and server.secret
        server.make_bucket("vault")
        server.put("vault", "key", b"bytes")
        server.kill()
        server.start()                      # the same port, the same data
"""

import os
import secrets
from typing import NamedTuple

import boto3
import botocore.config
import botocore.exceptions
import requests

from rig.server import Server, go_tool

REGION = "us-east-1"


class Request(NamedTuple):
    """A line of the access log."""
    operation: str  # PutObject, GetObject, ...; "-" where the server did not get that far
    path: str       # as it was sent, with its query: /bucket/key?versionId=...
    status: int
    error: str      # S3's code; "-" for none


class S3Server(Server):
    """One versitygw. tls: (certificate, key) files, to serve https. virtual_host: buckets are asked for as
    BUCKET.localhost, at virtual_endpoint."""

    name = "s3"

    def __init__(self, tls=None, virtual_host=False):
        super().__init__()
        self.virtual_host = virtual_host
        self.access = "AK" + secrets.token_hex(9).upper()
        self.secret = secrets.token_urlsafe(30)
        self.region = REGION
        self.tls = tls
        self.env = {"ROOT_ACCESS_KEY": self.access, "ROOT_SECRET_KEY": self.secret}
        self.access_log = self.directory / "access.log"
        for folder in ("data", "iam", "versions"):
            (self.directory / folder).mkdir()

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://{self.address}"

    @property
    def virtual_endpoint(self):
        return f"http://localhost:{self.port}"

    def command(self):
        # Without --iam-dir a wrong key is answered as if nothing were there.
        command = [go_tool("versitygw"), "--port", self.address, "--region", self.region, "--quiet",
                   "--health", "/health", "--iam-dir", self.directory / "iam", "--access-log", self.access_log]
        if self.tls:
            command += ["--cert", self.tls[0], "--key", self.tls[1]]
        if self.virtual_host:
            command += ["--virtual-domain", f"localhost:{self.port}"]
        command += ["posix", "--versioning-dir", self.directory / "versions"]
        if not has_attributes(self.directory):
            (self.directory / "sidecar").mkdir(exist_ok=True)
            command += ["--sidecar", self.directory / "sidecar"]
        return command + [self.directory / "data"]

    def answers(self):
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.verify = False
                return session.get(f"{self.endpoint}/health", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    # What lies in it, by a client that is not ours

    def client(self, endpoint=None, access=None, secret=None):
        """A client of boto3's that tries once."""
        settings = botocore.config.Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={},
            connect_timeout=5, read_timeout=30, request_checksum_calculation="when_required",
            response_checksum_validation="when_required")
        return boto3.client("s3", endpoint_url=endpoint or self.endpoint, region_name=self.region,
                            aws_access_key_id=access or self.access, aws_secret_access_key=secret or self.secret,
                            config=settings)

    def make_bucket(self, bucket, lock=False):
        """lock: with object lock, and so with versions."""
        self.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=lock)

    def list(self, bucket, prefix=""):
        """{key: size}"""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}

    def get(self, bucket, key):
        return self.client().get_object(Bucket=bucket, Key=key)["Body"].read()

    def put(self, bucket, key, content, **options):
        self.client().put_object(Bucket=bucket, Key=key, Body=content, **options)

    def delete(self, bucket, key):
        self.client().delete_object(Bucket=bucket, Key=key)

    def head(self, bucket, key):
        """What HeadObject says; None: no such object."""
        try:
            return self.client().head_object(Bucket=bucket, Key=key)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def flip(self, bucket, key, offset=-1, mask=0x01):
        """Flip bits of one byte of an object, as a rotten disk below the server does."""
        with open(self.directory / "data" / bucket / key, "r+b") as file:
            file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ mask]))

    # What was asked of it

    def requests(self, bucket=None):
        """All that was asked since it was first started, in the order of the answers: [Request]."""
        found = [parse(line) for line in self.access_log.read_text().splitlines() if not line.startswith("log starts")]
        if bucket is None:
            return found
        return [one for one in found if one.path.partition("?")[0].split("/")[1] == bucket]


def has_attributes(directory):
    """Does the file system keep extended attributes, where versitygw puts what it knows of an object?"""
    try:
        os.setxattr(directory, "user.tidemark", b"1")
        return True
    except OSError:
        return False


def parse(line):
    # owner bucket [time zone] ip requester request-id operation key uri status error ...
    words = line.split(" ")
    return Request(words[7], words[9], int(words[10]), words[11])
