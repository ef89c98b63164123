# SPDX-License-Identifier: Apache-2.0
"""tidemarkd as a process of a test: its configuration, its life, its API."""

import hashlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time

import requests

from rig.kafka import HOST, free_ports
from rig.openapi import document
from rig.unix_http import unix_session

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ENDED = {"succeeded", "partial", "failed", "cancelled"}


def build_dir():
    return pathlib.Path(os.environ.get("TM_BUILD_DIR") or REPOSITORY / "build")


def write_private(path, content):
    """A file that only its owner reads, as the daemon wants for keys and tokens."""
    path = pathlib.Path(path)
    path.touch(mode=0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class Daemon:
    """One tidemarkd in a folder of its own.

    config: a dict laid over default_config(), section by section (None leaves a section out), or the text of a whole
    file. The folder holds tidemark.yaml, vault.key, tokens, state/, vault/, api.sock and tidemarkd.log, and stays
    until close(): kill() and start() go on with what is there. vault: settings of the vault `local` in place of those of
    one on disk (jobs.s3_vault).
    """

    def __init__(self, config=None, bootstrap=None, env=None, arguments=(), binary=None, vault=None):
        # Short, since the path of a socket has at most 107 bytes, and no test's name goes into it.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tm-", dir="/tmp"))
        self.binary = pathlib.Path(binary or build_dir() / "daemon" / "tidemarkd")
        self.arguments = list(arguments)
        self.env = dict(env or {})
        self.bootstrap = bootstrap
        self.vault = vault
        self.socket = self.directory / "api.sock"
        self.config_path = self.directory / "tidemark.yaml"
        self.log_path = self.directory / "tidemarkd.log"
        self.key_path = write_private(self.directory / "vault.key", secrets.token_bytes(32))
        self.token = "tm_" + secrets.token_hex(20)
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        self.tokens_path = write_private(
            self.directory / "tokens", f"tests read,operate,restore,admin sha256:{digest}\n")
        self.port = free_ports(1)[0]
        self.url = f"http://{HOST}:{self.port}"
        self.session = unix_session(self.socket)
        self.process = None
        self.configure(config)

    # Its configuration

    def default_config(self):
        """The smallest that works, with one cluster, one vault on disk and no policy."""
        clusters = [{"name": "source", "bootstrap": self.bootstrap.split(",")}] if self.bootstrap else []
        return {
            "version": 1,
            "server": {
                "socket": str(self.socket),
                "listen": f"{HOST}:{self.port}",
                "metrics_listen": "",
                "tokens_file": str(self.tokens_path),
            },
            "state": {"dir": str(self.directory / "state")},
            "log": {"level": "debug", "format": "logfmt"},
            "clusters": clusters,
            "vaults": [{
                "name": "local",
                "key_file": str(self.key_path),
                "create": True,
            } | (self.vault or {"type": "disk", "path": str(self.directory / "vault")})],
        }

    def configure(self, config):
        """Write the file; what runs is not told."""
        if isinstance(config, str):
            self.config_path.write_text(config)
            return
        whole = self.default_config()
        for section, value in (config or {}).items():
            if isinstance(value, dict) and isinstance(whole.get(section), dict):
                whole[section] = whole[section] | value
            else:
                whole[section] = value
        whole = {section: value for section, value in whole.items() if value is not None}
        self.config_path.write_text(json.dumps(whole, indent=2) + "\n")  # JSON is YAML too
        if self.vault:  # it may hold a secret
            self.config_path.chmod(0o600)

    # Its life

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self, wait_ready=True, timeout=30, env=None):
        """Start on what is in the folder; env is added for this start alone (fault points)."""
        if self.running:
            raise AssertionError("tidemarkd runs already")
        if not self.binary.exists():
            raise AssertionError(f"{self.binary} is not built: run tests/run system")
        command = [str(self.binary), "--config", str(self.config_path), *self.arguments]
        if shutil.which("setpriv"):  # a killed test run leaves no daemon behind
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("AWS_", "TIDEMARK_", "TM_", "NOTIFY_SOCKET", "JOURNAL_STREAM"))}
        environment["AWS_EC2_METADATA_DISABLED"] = "true"  # nothing is asked for keys but what a test names
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory, env=environment | self.env | (env or {}),
                                            start_new_session=True)
        if wait_ready:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        deadline = time.monotonic() + timeout
        answer = "no answer"
        while True:
            if not self.running:
                raise AssertionError(f"tidemarkd ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                response = self.session.get("http://tidemark/readyz", timeout=2)
                if response.status_code == 200:
                    return
                answer = f"{response.status_code} {response.text}"
            except requests.RequestException as error:
                answer = str(error)
            if time.monotonic() > deadline:
                raise AssertionError(f"tidemarkd not ready after {timeout} s ({answer}):\n{self.log_tail()}")
            time.sleep(0.02)

    def stop(self, timeout=30):
        """SIGTERM, and the clean end that must follow."""
        self.process.terminate()
        status = self.wait(timeout)
        if status != 0:
            raise AssertionError(f"tidemarkd ended with {status} on SIGTERM:\n{self.log_tail()}")

    def wait(self, timeout=30):
        """The exit status, once it has ended by itself (negative: by that signal)."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"tidemarkd still runs after {timeout} s:\n{self.log_tail()}") from None

    def kill(self):
        """SIGKILL, at whatever it is doing."""
        if self.running:
            self.process.kill()
        if self.process:
            self.process.wait()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def close(self):
        """End for good, and remove the folder."""
        self.kill()
        self.session.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    # Its API

    def api(self, method, path, json=None, **options):
        """A request over the Unix socket: the requests.Response, whatever its status."""
        options.setdefault("timeout", 90)
        return self.held_to_document(self.session.request(method, f"http://tidemark{path}", json=json, **options))

    def tcp(self, method, path, json=None, token=None, **options):
        """The same over TCP, with the token that may do everything, another one, or none (token="")."""
        token = self.token if token is None else token
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        options.setdefault("timeout", 90)
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self.url}{path}", json=json, headers=headers, **options)
            return self.held_to_document(answer)

    def held_to_document(self, answer):
        """The answer, which has to be as the OpenAPI document says."""
        if answer.request.method != "HEAD" and "int64=string" not in answer.request.url:  # that it speaks of in words alone
            document(build_dir() / "api" / "openapi.json").check(answer.request.method, answer.request.url, answer)
        return answer

    def get(self, path):
        """The body of a GET that has to succeed."""
        response = self.api("GET", path)
        if response.status_code != 200:
            raise AssertionError(f"GET {path}: {response.status_code} {response.text}")
        return response.json()

    def run_job(self, path, body, timeout=120):
        """POST what makes a job and wait for its end: the job as it ended, in whatever state."""
        response = self.api("POST", path, json=body)
        if response.status_code not in (200, 202):
            raise AssertionError(f"POST {path}: {response.status_code} {response.text}")
        return self.wait_job(response.json()["id"], timeout)

    def wait_job(self, job_id, timeout=120):
        deadline = time.monotonic() + timeout
        while True:
            job = self.get(f"/v1/jobs/{job_id}?wait=10s")
            if job["state"] in ENDED:
                return job
            if time.monotonic() > deadline:
                raise AssertionError(f"{job_id} still {job['state']} after {timeout} s: {job.get('progress')}")

    def backup(self, policy, timeout=120):
        """Back a policy up, which has to succeed: the job."""
        job = self.run_job("/v1/backups", {"policy": policy}, timeout)
        if job["state"] != "succeeded":
            raise AssertionError(f"backup of {policy} ended {job['state']}: {job.get('error') or job.get('result')}")
        return job
