# SPDX-License-Identifier: Apache-2.0
"""A real cluster of brokers that are each other's controllers: replicas, leaders that move, a node that dies, a disk
that is lost, an election that nobody in sync takes part in.

    with Cluster() as cluster:                          # three nodes, numbered from 1
        cluster.create_topic("t", [[1, 2], [2, 3]])     # the replicas of each partition, the wanted leader first
        cluster.move_leader("t", 0, 2)
        cluster.kill(1)                                 # SIGKILL; of three nodes one at a time may be away
        cluster.wipe(1)
        cluster.start_node(1)
        cluster.wait_in_sync("t")

Two of three nodes have to be up for anything to be decided: elections, topics, in-sync replicas.
"""

import contextlib
import socket
import struct
import time

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from rig import records
from rig.kafka import DEFAULT_VERSION, HOST, Broker, free_ports, new_cluster_id

HEAP = ("-Xmx400m", "-Xms128m")  # of each node
ELECT_LEADERS = 43
ALTER_PARTITION_REASSIGNMENTS = 45


class Cluster:
    """size brokers, each of them a controller too.

    proxied: a function that is given (node id, address) of a listener of its own for each node, and gives the address
    at which it is advertised: clients that start at proxied_bootstrap then stay behind a proxy.
    """

    def __init__(self, size=3, version=DEFAULT_VERSION, properties=None, proxied=None):
        self.size = size
        self.version = version
        self.properties = dict(properties or {})
        self.proxied = proxied
        self.proxied_addresses = {}
        self.ports = {node: free_ports(3) for node in range(1, size + 1)}
        self.nodes = {}
        self.make_nodes(new_cluster_id())

    def make_nodes(self, cluster_id):
        """Nodes on empty disks, at the ports of before."""
        self.cluster_id = cluster_id
        voters = {node: ports[1] for node, ports in self.ports.items()}
        for node, (port, controller_port, own_port) in self.ports.items():
            self.nodes[node] = Broker(version=self.version, node_id=node, cluster_id=cluster_id, voters=voters,
                                      ports=(port, controller_port), heap=HEAP,
                                      properties=self.listeners(node, port, controller_port, own_port))

    def listeners(self, node, port, controller_port, own_port):
        if self.proxied is None:
            return self.properties
        if node not in self.proxied_addresses:
            self.proxied_addresses[node] = self.proxied(node, f"{HOST}:{own_port}")
        return self.properties | {
            "listeners": f"PLAINTEXT://{HOST}:{port},PROXIED://{HOST}:{own_port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port},PROXIED://{self.proxied_addresses[node]}",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
        }

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    # Its life

    @property
    def bootstrap(self):
        return ",".join(node.bootstrap for node in self.nodes.values())

    @property
    def proxied_bootstrap(self):
        return ",".join(self.proxied_addresses.values())

    def start(self, timeout=180):
        """All nodes that do not run, at once."""
        started = [node for node in self.nodes.values() if not node.running]
        for node in started:
            node.launch()
        for node in started:
            node.wait_ready(timeout)
        return self

    def start_node(self, node, timeout=120):
        self.nodes[node].start(timeout)

    def stop(self, node):
        """SIGTERM: leaders are handed over first."""
        self.nodes[node].stop()

    def kill(self, node):
        self.nodes[node].kill()

    def wipe(self, node):
        self.nodes[node].wipe()

    def rebuild_empty(self):
        """All nodes and their disks are lost. A new cluster, with another id and nothing in it, stands at the same
        addresses."""
        for node in self.nodes.values():
            node.close()
        self.make_nodes(new_cluster_id())
        return self.start()

    def close(self):
        for node in self.nodes.values():
            node.close()

    # Its topics

    def create_topic(self, name, replicas, config=None):
        """replicas: of each partition the nodes, the wanted leader first."""
        topic = NewTopic(name, num_partitions=len(replicas), replica_assignment=replicas, config=config or {})
        records.settle(self.admin(), "create_topics", [topic])
        records.wait_until(lambda: records.partition_count(self.bootstrap, name) == len(replicas),
                           f"topic {name} to appear")
        self.wait_in_sync(name)

    def admin(self):
        return records.admin(self.bootstrap)

    def partitions(self, topic, client=None):
        """{partition: (leader or None, replicas, in sync)}, the replicas as node numbers."""
        client = self.admin() if client is None else client
        found = client.list_topics(topic, timeout=5).topics[topic]
        if found.error:
            raise KafkaException(found.error)
        return {part.id: (part.leader if part.leader >= 0 else None, list(part.replicas), sorted(part.isrs))
                for part in found.partitions.values()}

    def leader(self, topic, partition=0):
        return self.partitions(topic)[partition][0]

    def wait_for(self, topic, condition, what, timeout=60):
        """Until condition(leader, replicas, in sync) holds of every partition."""
        client = self.admin()

        def holds():
            with contextlib.suppress(KafkaException):
                return all(condition(*state) for state in self.partitions(topic, client).values())
            return False

        records.wait_until(holds, f"{what} of {topic}", timeout)

    def wait_in_sync(self, topic, timeout=60):
        """Until every replica is in sync and leaders are known."""
        self.wait_for(topic, lambda leader, replicas, in_sync: leader is not None and in_sync == sorted(replicas),
                      "replicas in sync", timeout)

    def wait_alone(self, topic, node, timeout=60):
        """Until this node is the leader of all partitions, and the only one in sync."""
        self.wait_for(topic, lambda leader, _, in_sync: leader == node and in_sync == [node],
                      f"node {node} to be alone in the replicas", timeout)

    def wait_leader(self, topic, node, timeout=60):
        self.wait_for(topic, lambda leader, *_: leader == node, f"node {node} to lead", timeout)

    def move_leader(self, topic, partition, node):
        """Make a replica that is in sync the leader: put first among the replicas, then elected as the preferred one.
        Raises KafkaException where it is not to be had now."""
        replicas = self.partitions(topic)[partition][1]
        self.reassign(topic, partition, [node, *(one for one in replicas if one != node)])
        name = topic.encode()
        body = (struct.pack(">bBB", 0, 2, len(name) + 1) + name  # 0: the preferred leader
                + struct.pack(">BiBiB", 2, partition, 0, 10_000, 0))
        self.ask(ELECT_LEADERS, 2, body)
        self.wait_for(topic, lambda leader, replicas, _: leader is not None, "a leader")

    def reassign(self, topic, partition, replicas):
        """The same replicas in another order, which moves no data."""
        name = topic.encode()
        body = (struct.pack(">iBB", 10_000, 2, len(name) + 1) + name + struct.pack(">BiB", 2, partition, len(replicas) + 1)
                + struct.pack(f">{len(replicas)}i", *replicas) + bytes(3))
        self.ask(ALTER_PARTITION_REASSIGNMENTS, 0, body)

    def ask(self, key, version, body):
        """A request that confluent-kafka has no call for, or none that works, by hand. The answer begins with a throttle
        time and an error of the whole request."""
        request = struct.pack(">hhih", key, version, 1, -1) + bytes(1) + body
        for node in self.nodes.values():
            with contextlib.suppress(OSError), socket.create_connection((HOST, node.port), timeout=15) as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                with connection.makefile("rb") as stream:
                    size = stream.read(4)
                    answer = stream.read(struct.unpack(">i", size)[0]) if len(size) == 4 else b""
                if answer:
                    code, = struct.unpack_from(">h", answer, 9)
                    if code != 0:
                        raise KafkaException(KafkaError(code))
                    return answer
        raise TimeoutError("no node answers")

    def elect_unclean(self, topic, ahead, behind, refill):
        """An election that loses records: `ahead` is the only replica in sync, `behind` is down and lacks the newest
        records. `ahead` dies, `behind` comes back and leads; refill() writes to it; then `ahead` returns and cuts its
        log to the new leader's. The topic has unclean.leader.election.enable=true and these two replicas."""
        self.wait_alone(topic, ahead)
        self.kill(ahead)
        self.start_node(behind)
        self.wait_leader(topic, behind)
        refill()
        self.start_node(ahead)
        self.wait_in_sync(topic)
