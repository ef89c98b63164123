# SPDX-License-Identifier: Apache-2.0
"""A server of a test as a process on 127.0.0.1: started when it answers, killed by its pid, gone with the test."""

import contextlib
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from rig.kafka import HOST, free_ports

HERE = pathlib.Path(__file__).resolve().parent


class ServerError(Exception):
    """A server, or the program of it, is not as it has to be."""


@functools.lru_cache(maxsize=None)
def go_tool(name):
    """The path of a server that tests/rig/go-tools builds, once a user."""
    done = subprocess.run([HERE / "go-tools", name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"{name} could not be had: {done.stderr[-2000:]}")
    return done.stdout.strip()


class Server:
    """A process with a port and a folder that outlives it: start() again serves what was there.

    command() and answers() are the subclass's.
    """

    name = "server"

    def __init__(self, env=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"tidemark-{self.name}-"))
        self.port = free_ports(1)[0]
        self.env = dict(env or {})
        self.log_path = self.directory / "server.log"
        self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def command(self):
        raise NotImplementedError

    def answers(self):
        """Is it ready to serve?"""
        raise NotImplementedError

    def start(self, timeout=30):
        if self.running:
            raise ServerError(f"{self.name} runs already")
        command = [str(word) for word in self.command()]
        if threading.current_thread() is threading.main_thread() and shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]  # a test run that is killed leaves nothing behind
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory, env=os.environ | self.env, start_new_session=True)
        deadline = time.monotonic() + timeout
        while not self.answers():
            if not self.running:
                raise ServerError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} not ready after {timeout} s:\n{self.log_tail()}")
            time.sleep(0.05)
        return self

    def stop(self, timeout=15):
        """A clean end (SIGTERM), by force only if it does not come."""
        if not self.running:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        """SIGKILL; the data stay."""
        if self.running:
            self.process.kill()
            self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log_tail(self, size=4000):
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_bytes()[-size:].decode(errors="replace")
        return ""
