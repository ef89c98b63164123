#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cluster in trouble for as long as asked for, a daemon that backs it up every few seconds, and then the proof: every
committed record of every incarnation of every topic is restored, once and in order.

    tests/run soak [MINUTES] [--seed N]

Everything random follows from the seed, as far as threads and brokers let it. Nothing is left behind.
"""

import argparse
import collections
import contextlib
import datetime
import json
import pathlib
import random
import re
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions

from rig import jobs, records
from rig.cluster import Cluster
from rig.daemon import Daemon
from rig.toxi import Toxiproxy
from soak.proof import all_items, prove
from soak.writers import CompactedWriter, TransactionalWriter, Writer

EVERY_S = 3
MOST_PARTITIONS = 6
LONGER_S = 240  # of a slow machine, for each fault to have its turn
SAFE = {"retention.ms": "-1", "min.insync.replicas": "2"}
UNCLEAN = {"retention.ms": "-1", "min.insync.replicas": "1", "unclean.leader.election.enable": "true"}
COMPACTED = {"cleanup.policy": "compact", "min.insync.replicas": "2", "segment.ms": "2000",
             "min.cleanable.dirty.ratio": "0.01"}
EVERYWHERE = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]
begun = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - begun:6.1f}] {text}", flush=True)


def milliseconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


class Network(threading.Thread):
    """What stands between the daemon and the brokers, and the daemon itself: latency, resets, silence, kills. The thread
    lives until close(), since what it starts ends with it."""

    def __init__(self, daemon, proxies, seed):
        super().__init__(name="network", daemon=True)
        self.target = daemon
        self.proxies = proxies
        self.rng = random.Random(seed)
        self.counts = collections.Counter()
        self.ending = threading.Event()
        self.calm = threading.Event()
        self.over = threading.Event()
        self.started = threading.Event()
        self.error = None

    def run(self):
        try:
            self.target.start()
            self.started.set()
            while not self.ending.wait(self.rng.uniform(1, 5)):
                self.one_fault()
            if not self.target.running:
                raise AssertionError(f"tidemarkd ended by itself: {self.target.log_tail()}")
        except BaseException as error:
            self.error = error
        self.started.set()
        self.calm.set()
        self.over.wait()

    def one_fault(self):
        name = self.rng.choice(["latency", "reset", "silence", "down", "kill", "kill"])
        if not self.target.running:
            raise AssertionError(f"tidemarkd ended by itself with {self.target.process.returncode}:\n{self.target.log_tail()}")
        self.counts[name] += 1
        if name == "kill":
            self.target.kill()
            self.ending.wait(self.rng.uniform(0, 2))
            self.target.start(timeout=60)
            return
        chosen = self.rng.sample(self.proxies, self.rng.choice([1, len(self.proxies)]))
        seconds = self.rng.uniform(1, 6)
        with contextlib.ExitStack() as stack:
            for proxy in chosen:
                if name == "latency":
                    stack.enter_context(proxy.latency(self.rng.randrange(50, 400), jitter_ms=50))
                elif name == "reset":
                    stack.enter_context(proxy.reset_peer(self.rng.randrange(300)))
                elif name == "silence":
                    stack.enter_context(proxy.silence())
                else:
                    proxy.down()
                    stack.callback(proxy.up)
            self.ending.wait(seconds)

    def begin(self):
        self.start()
        self.started.wait(90)
        self.check()

    def check(self):
        if self.error:
            raise self.error

    def quiet(self):
        """No more faults; the daemon runs on."""
        self.ending.set()
        self.calm.wait(120)
        self.check()

    def close(self):
        self.ending.set()
        self.over.set()
        if self.ident:
            self.join(60)


class Soak:
    def __init__(self, seed, minutes, stack):
        self.rng = random.Random(seed)
        self.minutes = minutes
        self.counts = collections.Counter()
        toxiproxy = stack.enter_context(Toxiproxy())
        self.proxies = []
        self.cluster = stack.enter_context(Cluster(proxied=lambda _, address: self.add_proxy(toxiproxy, address)))
        say("three nodes are up")
        config = {"policies": [jobs.policy("soak-*", schedule=f"@every {EVERY_S}s")], "log": {"level": "info"}}
        config["policies"][0]["topics"]["exclude"] = ["*.restored-*"]
        self.daemon = Daemon(config, bootstrap=self.cluster.proxied_bootstrap)
        stack.callback(self.daemon.close)
        self.network = Network(self.daemon, self.proxies, self.rng.random())
        stack.callback(self.network.close)
        self.writers = self.make_writers()

    def add_proxy(self, toxiproxy, address):
        self.proxies.append(toxiproxy.proxy(address))
        return self.proxies[-1].address

    def make_writers(self):
        writers = []
        for kind, name, replicas, config in (
                (Writer, "plain", EVERYWHERE, SAFE), (TransactionalWriter, "tx", EVERYWHERE[:2], SAFE),
                (CompactedWriter, "compacted", EVERYWHERE[:2], COMPACTED), (Writer, "again", EVERYWHERE[1:], SAFE),
                (Writer, "unclean", [[1, 2], [1, 2]], UNCLEAN)):
            topic = f"soak-{name}"
            self.cluster.create_topic(topic, replicas, config)
            writers.append(kind(self.cluster.bootstrap, topic, len(replicas), self.rng.random()))
        self.plain, self.transactional, self.compacted, self.again, self.unclean = writers
        return writers

    # Faults. Each leaves the cluster whole, so that the next one does not take a second node away.

    def kill_node(self):
        node = self.rng.choice([1, 2, 3])
        self.cluster.kill(node)
        self.sleep(self.rng.uniform(0, 6))
        self.cluster.start_node(node)

    def stop_node(self):
        node = self.rng.choice([1, 2, 3])
        self.cluster.stop(node)
        self.sleep(self.rng.uniform(0, 4))
        self.cluster.start_node(node)

    def move_leaders(self):
        for writer in self.rng.sample(self.writers, 3):
            partitions = self.cluster.partitions(writer.topic)
            partition = self.rng.choice(list(partitions))
            with contextlib.suppress(KafkaException):
                self.cluster.move_leader(writer.topic, partition, self.rng.choice(partitions[partition][1]))

    def add_partition(self):
        writer = self.rng.choice([self.plain, self.transactional, self.again])
        count = records.partition_count(self.cluster.bootstrap, writer.topic) + 1
        if count > MOST_PARTITIONS:
            return
        records.settle(self.cluster.admin(), "create_partitions", [NewPartitions(writer.topic, count)])
        self.cluster.wait_in_sync(writer.topic)
        writer.partitions = count

    def wait_covered(self, writer):
        """Until a point holds all that was acknowledged: what is not stored when it goes away nobody can give back."""
        wanted = writer.life.ends()

        def covered():
            self.network.check()
            try:
                topics = jobs.newest(self.daemon)["topics"]
            except Exception:  # the daemon is away for a moment
                return False
            found = [topic for topic in topics if topic["name"] == writer.topic
                     and topic["incarnation"] == writer.life.number]
            ends = {part["partition"]: part["end_offset"] for topic in found for part in topic["partitions"]}
            return bool(found) and all(ends.get(part, 0) >= end for part, end in wanted.items())

        records.wait_until(covered, f"a point of {writer.topic}, life {writer.life.number}, up to {wanted}", 240)

    def recreate(self):
        writer = self.again
        writer.pause()
        try:
            self.wait_covered(writer)
            writer.life.source = records.read_topic(self.cluster.bootstrap, writer.topic)
            records.delete_topic(self.cluster.bootstrap, writer.topic)
            if self.rng.random() < 0.5:
                self.sleep(self.rng.uniform(0, 2 * EVERY_S))
            self.cluster.create_topic(writer.topic, EVERYWHERE[1:], SAFE)
            writer.partitions = 2
            writer.begin_life()
        finally:
            writer.resume()

    def cut_off(self):
        """An election that loses records. Both nodes are gone for a moment, so producers of all topics wait."""
        writer = self.unclean
        for partition in (0, 1):
            with contextlib.suppress(KafkaException):
                self.cluster.move_leader(writer.topic, partition, 1)
        self.cluster.wait_leader(writer.topic, 1)
        writer.pause()
        kept = dict(writer.life.stored)
        self.cluster.kill(2)
        self.cluster.wait_alone(writer.topic, 1)
        writer.resume()
        self.sleep(self.rng.uniform(0.5, 3))
        writer.pause()
        self.wait_covered(writer)
        writer.life.source = records.read_topic(self.cluster.bootstrap, writer.topic)
        self.cluster.kill(1)
        self.cluster.start_node(2)
        self.cluster.wait_leader(writer.topic, 2)
        writer.begin_life(kept)
        writer.resume()
        self.sleep(self.rng.uniform(0, 3))
        self.cluster.start_node(1)

    def sleep(self, seconds):
        time.sleep(seconds)
        self.network.check()
        for writer in self.writers:
            if writer.error:
                raise writer.error

    def trouble(self):
        """Each fault once, in any order, and then what chance gives, until the time is over."""
        faults = {"node killed": self.kill_node, "node stopped": self.stop_node, "leaders moved": self.move_leaders,
                  "partition added": self.add_partition, "topic made again": self.recreate,
                  "unclean election": self.cut_off}
        order = self.rng.sample(list(faults), len(faults))
        end = time.monotonic() + 60 * self.minutes
        while time.monotonic() < end or (order and time.monotonic() < end + LONGER_S):
            name = order.pop() if order else self.rng.choice(list(faults))
            say(name)
            faults[name]()
            self.counts[name] += 1
            for writer in self.writers:
                self.cluster.wait_in_sync(writer.topic, 120)
            self.sleep(self.rng.uniform(1, 4))
        if order:
            say(f"no time was left for: {', '.join(order)}")

    def last_backup(self):
        for _ in range(20):
            job = self.daemon.run_job("/v1/backups", {"policy": "p", "if_running": "join"}, 240)
            if job["state"] == "succeeded" and job["result"]["unchanged"]:
                return
        raise AssertionError(f"no backup without news and failures: {job}")

    def run(self):
        self.network.begin()
        for writer in self.writers:
            writer.start()
        self.trouble()
        say("faults are over")
        self.network.quiet()
        self.cluster.start()
        for writer in self.writers:
            writer.stop()
        for writer in self.writers:
            self.cluster.wait_in_sync(writer.topic, 120)
        self.last_backup()
        say("the last backup is made; restoring and comparing")
        totals = prove(self.daemon, self.cluster.bootstrap, self.writers, say)
        job = self.daemon.run_job("/v1/verifications", {"vault": "local", "depth": "full"}, 300)
        if job["state"] != "succeeded":
            raise AssertionError(f"the vault is not whole: {job}")
        return totals

    def loop_blocked(self):
        """Turns of the daemon's event loop since its last start, and those that took long: a few may, when others have the cores."""
        turns = {}
        for line in self.daemon.api("GET", "/metrics").text.splitlines():
            if found := re.match(r'tidemark_event_loop_blocked_seconds_bucket{le="(.+)"} (\d+)', line):
                turns[found[1]] = int(found[2])
        return {"turns": turns["+Inf"], "over_50_ms": turns["+Inf"] - turns["0.05"], "over_100_ms": turns["+Inf"] - turns["0.1"]}

    def report(self, totals):
        log = self.daemon.log()
        ran = [job for job in all_items(self.daemon, "/v1/jobs?kind=backup&limit=100") if "started_at" in job]
        spent = sorted(milliseconds(job["finished_at"]) - milliseconds(job["started_at"]) for job in ran)
        troubles = collections.Counter(re.findall(r"event=backup\.part-failed .*?code=([\w-]+)", log))
        errors = collections.Counter(re.findall(r"level=error event=([\w.-]+)", log))
        tx = self.transactional
        return {
            "cluster_faults": dict(self.counts), "network_faults": dict(self.network.counts),
            "written": {writer.topic: writer.number for writer in self.writers},
            "lives": {writer.topic: len(writer.lives) for writer in self.writers},
            "failed_deliveries": sum(writer.failed_deliveries for writer in self.writers),
            "transactions": {"committed": tx.committed, "aborted": tx.aborted, "unknown": tx.unknown},
            "backups": dict(collections.Counter(job["state"] for job in ran)),
            "backups_resumed": sum(job.get("resumed_count", 0) for job in ran),
            "backup_ms": {"median": spent[len(spent) // 2], "longest": spent[-1]},
            "loop_blocked": self.loop_blocked(), "partitions_failed": dict(troubles),
            "errors_logged": dict(errors), "warned_incarnations": len(re.findall("event=topic.new-incarnation", log)),
            "gaps": len(re.findall("event=backup.warning .*?code=gap", log)),
        } | totals


def soak(minutes, seed):
    """Gives the report; raises what went wrong."""
    say(f"seed {seed}, {minutes} minutes")
    with contextlib.ExitStack() as stack:
        one = Soak(seed, minutes, stack)
        try:
            report = one.report(one.run())
        except BaseException:
            say(f"failed; seed {seed}. The daemon's last lines:\n{one.daemon.log_tail(40)}")
            if (kept := pathlib.Path("/tmp") / f"tidemark-soak-{seed}.log") and one.daemon.log_path.exists():
                kept.write_text(one.daemon.log())
                say(f"its whole log is in {kept}")
            raise
    if report["gaps"]:
        raise AssertionError(f"gaps where nothing was deleted: {report}")
    if report["loop_blocked"]["over_50_ms"] > 2 + report["loop_blocked"]["turns"] / 1000:
        raise AssertionError(f"the event loop was blocked: {report['loop_blocked']}")
    return report


def main():
    parser = argparse.ArgumentParser(description="A cluster in trouble, backed up and restored.")
    parser.add_argument("minutes", nargs="?", type=float, default=20)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000_000
    try:
        report = soak(options.minutes, seed)
    except Exception as error:
        say("".join(traceback.format_exception(error)))
        print("0 passed, 1 failed")
        return 1
    print(json.dumps(report, indent=2))
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
