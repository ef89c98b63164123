# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: a real broker, tidemarkd as a process, topics of one's own."""

import itertools
import os
import shutil

import pytest

from rig import kafka, records
from rig.cluster import Cluster
from rig.daemon import Daemon
from rig.s3 import S3Server
from rig.server import ServerError, go_tool
from rig.toxi import Toxiproxy

os.environ["PATH"] = f"{kafka.cache_dir() / 'bin'}{os.pathsep}{os.environ['PATH']}"  # promtool, if tests/rig/install put it there

OLD_KAFKA = "3.9.2"
LONG = ("test_soak", "test_faults", "test_restore_target", "test_outages", "test_continuous", "test_package", "test_cluster", "test_security")
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


@pytest.fixture(scope="session")
def running_cluster():
    with Cluster() as running:
        yield running


@pytest.fixture
def cluster(running_cluster):
    """Three nodes for the whole session: a test uses topics of its own and may kill what it likes; all nodes are up
    again when the next one begins."""
    return running_cluster.start()


@pytest.fixture(scope="session")
def old_broker():
    """The last version before Kafka 4, for what is marked both_kafkas."""
    with kafka.Broker(version=OLD_KAFKA) as running:
        yield running


def pytest_collection_modifyitems(items):
    """The longest files first, so that two processes end at about the same time."""
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_generate_tests(metafunc):
    """A test that is marked both_kafkas has its bootstrap, new_topic and tidemarkd on each version in turn."""
    if metafunc.definition.get_closest_marker("both_kafkas"):
        metafunc.parametrize("bootstrap", ["broker", "old_broker"], indirect=True, ids=["kafka-4", "kafka-3.9"])


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
def bootstrap(request):
    return request.getfixturevalue(getattr(request, "param", "broker")).bootstrap


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


def need_tool(name):
    """Skip, with the reason, where a server cannot be had; under CI=true tests/run makes a failure of it."""
    try:
        go_tool(name)
    except ServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def s3():
    """versitygw for the whole session: a test uses buckets of its own and leaves the server running."""
    need_tool("versitygw")
    with S3Server() as running:
        yield running


@pytest.fixture
def own_s3():
    """Servers of this test alone, to be killed: own_s3() is running."""
    need_tool("versitygw")
    started = []

    def start(**options):
        started.append(S3Server(**options))
        return started[-1].start()

    yield start
    for one in started:
        one.close()


def new_bucket(s3, lock=False):
    name = f"b-{os.getpid()}-{next(numbers)}"
    s3.make_bucket(name, lock)
    return name


@pytest.fixture
def bucket(s3):
    """The name of an empty bucket of this test alone."""
    return new_bucket(s3)


@pytest.fixture
def locked_bucket(s3):
    """One with object lock."""
    return new_bucket(s3, lock=True)


@pytest.fixture(scope="session")
def toxiproxy():
    """toxiproxy for the whole session: a test makes its own proxies."""
    need_tool("toxiproxy")
    with Toxiproxy() as running:
        yield running


@pytest.fixture
def tidemarkd(request):
    """tidemarkd(config, start=True, **options of Daemon): a daemon of this test, ended after it. bootstrap=... is the
    address of its cluster `source`; without it the session's broker."""
    daemons = []

    def make(config=None, start=True, **options):
        if "bootstrap" not in options:
            options["bootstrap"] = request.getfixturevalue("bootstrap")
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
