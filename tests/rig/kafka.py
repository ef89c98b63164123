#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real Apache Kafka brokers for tests: KRaft, no container, jars from Maven Central, 127.0.0.1 only.

    with Broker() as broker:                # Kafka 4.3.1 on free ports, its data in a folder of its own
        client(broker.bootstrap)
        broker.kill()                       # SIGKILL; the data stay
        broker.start()                      # the same ports, the same data

For people:

    tests/rig/kafka.py start --dir /var/tmp/k1       # prints the bootstrap address
    tests/rig/kafka.py stop --dir /var/tmp/k1        # --remove to delete its data too
    tests/rig/kafka.py jars --version 3.9.2          # only fetch

Jars are kept in ${XDG_CACHE_HOME:-~/.cache}/tidemark/kafka-VERSION. Nothing but the standard library is used here.
"""

import argparse
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

DEFAULT_VERSION = "4.3.1"
HERE = pathlib.Path(__file__).resolve().parent
HOST = "127.0.0.1"
STARTED = b"Kafka Server started"

# Small and quick: one broker on two cores that also run the tests. Every value can be overridden.
# Retention is looked at every second: a topic for records with old timestamps needs retention.ms=-1.
FAST = {
    "auto.create.topics.enable": "false",
    "background.threads": "2",
    "broker.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "3000",  # a killed broker is let in again only after it
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),
    "log.cleaner.io.buffer.size": str(1 << 20),
    "log.initial.task.delay.ms": "500",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "num.io.threads": "4",
    "num.network.threads": "2",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}


class BrokerError(Exception):
    """The broker, its jars or its data are not as they have to be."""


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "tidemark"


def fetch_jars(version=DEFAULT_VERSION):
    """The folder of the jars of this version, fetched once a user."""
    target = cache_dir() / f"kafka-{version}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{target}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts at once: one fetches, one waits
        if not target.is_dir():
            copy_jars(version, target)
    return target


def copy_jars(version, target):
    if shutil.which("mvn") is None:
        raise BrokerError("mvn is not here: run tests/rig/install test")
    print(f"kafka: fetching Apache Kafka {version} (once, 41 MB)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="kafka.") as work:
        command = ["mvn", "-B", "-q", "-f", str(HERE / "kafka-pom.xml"), f"-Dkafka.version={version}",
                   "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={work}/jars"]
        for attempt in range(3):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode == 0:
                break
            time.sleep(2 * attempt)
        else:
            raise BrokerError(f"mvn could not fetch Kafka {version}:\n{done.stdout[-4000:]}")
        os.rename(f"{work}/jars", target)


def free_ports(count):
    """Ports that are free now, below those the system gives to clients: a broker that is down for a
    while finds its port free again."""
    low = 32768
    with contextlib.suppress(OSError, ValueError):
        low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(10000, low) if low > 12000 else range(50000, 65000)
    chosen = []
    while len(chosen) < count:
        port = random.choice(candidates)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in chosen:
            chosen.append(port)
    return chosen


def started_at(pid):
    """When a process started, in ticks since boot: with the pid it names a process for good. None: no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def java():
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        raise BrokerError("java is not here: run tests/rig/install test")
    return found


def new_cluster_id():
    """A KRaft cluster id: 16 bytes in base64, not starting as an option does."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


class Broker:
    """One broker and controller in one process.

    directory: where data and log go; kept when given, else made and removed by close().
    properties: lines of server.properties that override what is written here.
    scram: (mechanism, user, password) triples, known from the first start: with any, a second listener asks for
        SASL (SASL_PLAINTEXT) at sasl_bootstrap.
    voters: of a Cluster (rig/cluster.py), {node id: controller port}; a broker on its own is its only voter.
    """

    def __init__(self, directory=None, version=DEFAULT_VERSION, properties=None, scram=(),
                 node_id=1, cluster_id=None, ports=None, voters=None, heap=("-Xmx1g", "-Xms256m")):
        self.owns_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="tidemark-kafka-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.version = version
        self.node_id = node_id
        self.cluster_id = cluster_id or new_cluster_id()
        self.port, self.controller_port = ports or free_ports(2)
        self.sasl_port = free_ports(1)[0] if scram else None
        self.voters = voters or {node_id: self.controller_port}
        self.heap = tuple(heap)
        self.properties = dict(properties or {})
        self.scram = tuple(scram)
        self.log_path = self.directory / "broker.log"
        self.process = None
        self.log_offset = 0
        self.frozen = False

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def bootstrap(self):
        return f"{HOST}:{self.port}"

    @property
    def sasl_bootstrap(self):
        return f"{HOST}:{self.sasl_port}"

    @property
    def pid(self):
        return self.process.pid if self.running else None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self, timeout=120, detach=False):
        """Start, on the data of before if there are any, and wait until clients are served."""
        self.launch(detach)
        self.wait_ready(timeout)
        return self

    def launch(self, detach=False):
        """Start without waiting. Unless detached, the broker dies with the thread that starts it, if that is the
        main one: a test run that is killed leaves no Java behind."""
        if self.running:
            raise BrokerError(f"broker {self.node_id} runs already")
        self.write_properties()
        if not (self.directory / "data" / "meta.properties").exists():
            self.format()
        command = self.java_command(*self.heap, "kafka.Kafka", str(self.directory / "server.properties"))
        dies_too = not detach and threading.current_thread() is threading.main_thread()
        if dies_too and shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with open(self.log_path, "ab") as log:
            self.log_offset = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory, start_new_session=True)

    def wait_ready(self, timeout=120):
        deadline = time.monotonic() + timeout
        while not (STARTED in self.log_since_start() and self.answers()):
            if not self.running:
                raise BrokerError(f"broker {self.node_id} ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise BrokerError(f"broker {self.node_id} not ready after {timeout} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self, timeout=60):
        """A clean end (SIGTERM), by force only if it does not come."""
        if not self.running:
            return
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        """SIGKILL: what a power cut leaves on disk, apart from the page cache."""
        if self.running:
            self.process.kill()
            self.process.wait()
        self.frozen = False

    def wipe(self):
        """Lose the disk, while the broker is down: the next start is on an empty one."""
        if self.running:
            raise BrokerError(f"broker {self.node_id} runs")
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def restart(self):
        self.stop()
        return self.start()

    def freeze(self):
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        if self.frozen and self.running:
            os.kill(self.process.pid, signal.SIGCONT)
        self.frozen = False

    def close(self):
        """End for good: nothing is kept, so nothing is flushed."""
        self.kill()
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return True
        return False

    def log_since_start(self):
        try:
            with open(self.log_path, "rb") as log:
                log.seek(self.log_offset)
                return log.read()
        except FileNotFoundError:
            return b""

    def log_tail(self, size=4000):
        return self.log_since_start()[-size:].decode(errors="replace")

    def java_command(self, *arguments):
        """Quick to start on few cores rather than fast for ever."""
        jars = fetch_jars(self.version)
        return [java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true",
                "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info", "-cp", f"{jars}/*", *arguments]

    def write_properties(self):
        voters = ",".join(f"{node}@{HOST}:{port}" for node, port in sorted(self.voters.items()))
        replicas = str(min(3, len(self.voters)))
        in_sync = "1" if len(self.voters) == 1 else "2"
        client_listeners = f"PLAINTEXT://{HOST}:{self.port}"
        if self.scram:
            client_listeners += f",SASL://{HOST}:{self.sasl_port}"
        lines = FAST | {
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{client_listeners},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": client_listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            "default.replication.factor": replicas,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
        } | self.sasl_properties() | self.properties
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        (self.directory / "server.properties").write_text(text)

    def sasl_properties(self):
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        mechanisms = sorted({mechanism for mechanism, _, _ in self.scram})
        lines = {f"listener.name.sasl.{name.lower()}.sasl.jaas.config": login for name in mechanisms}
        return lines | {"sasl.enabled.mechanisms": ",".join(mechanisms)} if mechanisms else {}

    def format(self):
        users = [f"{mechanism}=[name={user},password={password}]" for mechanism, user, password in self.scram]
        command = self.java_command("kafka.tools.StorageTool", "format", "-t", self.cluster_id,
                                    "-c", str(self.directory / "server.properties"))
        for user in users:
            command += ["--add-scram", user]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd=self.directory, check=False)
        if done.returncode != 0:
            raise BrokerError(f"formatting the storage of broker {self.node_id} failed:\n{done.stdout[-4000:]}")


def command_start(options):
    directory = pathlib.Path(options.dir).resolve()
    state_path = directory / "rig.json"
    known = json.loads(state_path.read_text()) if state_path.exists() else {}
    if known and started_at(known["pid"]) == known["started"]:
        sys.exit(f"kafka: a broker runs in {directory} already, at {HOST}:{known['ports'][0]}")
    ports = known.get("ports") or free_ports(2)
    if options.port:
        ports[0] = options.port
    properties = dict(line.split("=", 1) for line in options.property)
    broker = Broker(directory, version=options.version, properties=properties,
                    cluster_id=known.get("cluster_id"), ports=ports)
    try:
        broker.start(detach=True)
    except BaseException:
        broker.close()
        raise
    state_path.write_text(json.dumps({"pid": broker.pid, "started": started_at(broker.pid),
                                      "ports": list(ports), "cluster_id": broker.cluster_id}))
    print(broker.bootstrap)


def command_stop(options):
    directory = pathlib.Path(options.dir).resolve()
    state_path = directory / "rig.json"
    if not state_path.exists():
        sys.exit(f"kafka: no broker was started in {directory}")
    known = json.loads(state_path.read_text())
    deadline = time.monotonic() + 60
    if started_at(known["pid"]) == known["started"]:
        os.kill(known["pid"], signal.SIGTERM)
    while started_at(known["pid"]) == known["started"]:
        if time.monotonic() > deadline:
            os.kill(known["pid"], signal.SIGKILL)
        time.sleep(0.05)
    if options.remove:
        for name in ("data", "rig.json", "server.properties", "broker.log"):
            path = directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            directory.rmdir()  # not ours to empty if something else lies in it


def version_text(text):
    if not re.fullmatch(r"\d+\.\d+\.\d+", text):
        raise argparse.ArgumentTypeError("a version such as 4.3.1")
    return text


def property_text(text):
    if "=" not in text:
        raise argparse.ArgumentTypeError("NAME=VALUE")
    return text


def main():
    parser = argparse.ArgumentParser(description="A single-node Apache Kafka for trying and testing.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start a broker and print its bootstrap address")
    start.add_argument("--dir", required=True, help="where its data and log go; started again on what is there")
    start.add_argument("--version", type=version_text, default=DEFAULT_VERSION)
    start.add_argument("--port", type=int, help="of the broker; else a free one, kept for the next start")
    start.add_argument("--property", type=property_text, action="append", default=[], metavar="NAME=VALUE")
    start.set_defaults(run=command_start)
    stop = commands.add_parser("stop", help="stop the broker that was started in a folder")
    stop.add_argument("--dir", required=True)
    stop.add_argument("--remove", action="store_true", help="delete its data and log too")
    stop.set_defaults(run=command_stop)
    jars = commands.add_parser("jars", help="fetch the jars and print their folder")
    jars.add_argument("--version", type=version_text, default=DEFAULT_VERSION)
    jars.set_defaults(run=lambda options: print(fetch_jars(options.version)))
    options = parser.parse_args()
    try:
        options.run(options)
    except BrokerError as error:
        sys.exit(f"kafka: {error}")


if __name__ == "__main__":
    main()
