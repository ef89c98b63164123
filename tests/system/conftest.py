# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: a real broker, tidemarkd as a process, topics of one's own."""

import itertools
import os
import shutil

import pytest

from rig import kafka, records
from rig.daemon import Daemon

os.environ["PATH"] = f"{kafka.cache_dir() / 'bin'}{os.pathsep}{os.environ['PATH']}"  # promtool, if tests/rig/install put it there

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def broker():
    """Apache Kafka for the whole session: a test uses topics of its own and leaves the broker running."""
    with kafka.Broker() as running:
        yield running


@pytest.fixture(scope="session")
def target_broker():
    """Another cluster, to restore into."""
    with kafka.Broker() as running:
        yield running


@pytest.fixture
def own_broker():
    """Brokers of this test alone, to be killed and frozen: own_broker(properties={...}) is running."""
    started = []

    def start(**options):
        started.append(kafka.Broker(**options))
        return started[-1].start()

    yield start
    for one in started:
        one.close()


@pytest.fixture
def bootstrap(broker):
    return broker.bootstrap


@pytest.fixture
def new_topic(bootstrap):
    """new_topic(partitions=1, **config): makes a topic of this test alone and gives its name. Underscores in the
    names of settings stand for dots; retention is off unless asked for."""
    made = []

    def make(partitions=1, prefix="t", **config):
        name = f"{prefix}-{os.getpid()}-{next(numbers)}"
        settings = {"retention.ms": "-1"} | {key.replace("_", "."): str(value) for key, value in config.items()}
        records.create_topic(bootstrap, name, partitions, config=settings)
        made.append(name)
        return name

    yield make
    for name in set(made) & set(records.topic_names(bootstrap)):
        records.delete_topic(bootstrap, name)


@pytest.fixture
def tidemarkd(request):
    """tidemarkd(config, start=True, **options of Daemon): a daemon of this test, ended after it. bootstrap=... is the
    address of its cluster `source`; without it the session's broker."""
    daemons = []

    def make(config=None, start=True, **options):
        if "bootstrap" not in options:
            options["bootstrap"] = request.getfixturevalue("broker").bootstrap
        daemons.append(Daemon(config, **options))
        return daemons[-1].start() if start else daemons[-1]

    request.node.tidemarkd = daemons
    yield make
    try:
        for one in daemons:
            if one.running:
                one.stop()  # a clean end is part of every test
    finally:
        for one in daemons:
            one.close()


@pytest.fixture
def tool():
    """tool("promtool"): the path of a program that a test needs, or the test is skipped and says so."""

    def find(name):
        return shutil.which(name) or pytest.skip(f"{name} is not here: run tests/rig/install test")

    return find


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the daemons of the test had to say."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for one in getattr(item, "tidemarkd", []):
            if one.log_path.exists():
                report.sections.append((f"tidemarkd.log in {one.directory}", one.log_tail(200)))
