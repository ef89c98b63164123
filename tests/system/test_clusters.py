# SPDX-License-Identifier: Apache-2.0
"""Clusters as the daemon sees them: do they answer, and what of them does nobody back up?"""

import time

from rig import groups, jobs, kafka, records
from rig.kafka import free_ports
from test_cli import tidemark


def test_topics_that_no_policy_selects_are_told(tidemarkd):
    """By route, command and metric; on a broker of its own, which has no topics of other tests."""
    with kafka.Broker() as broker:
        for name in ("orders.eu", "orders.us", "audit", "_schemas"):
            records.create_topic(broker.bootstrap, name, 3)
        groups.commit(broker.bootstrap, "makes __consumer_offsets", {("audit", 0): 0})
        daemon = tidemarkd({"policies": [jobs.policy("orders.*"), jobs.policy("orders.eu", name="eu")]}, bootstrap=broker.bootstrap)
        metric = 'tidemark_topics_unprotected{kafka_cluster="source"}'
        records.wait_until(lambda: f"{metric} 2" in daemon.api("GET", "/metrics").text, "the daemon's own look")
        one = daemon.get("/v1/clusters/source")
        assert one["up"] and one["brokers_count"] == 1 and one["policies"] == ["p", "eu"], one
        assert (one["topics_count"], one["protected_topics_count"], one["unprotected_topics_count"],
                one["internal_topics_count"]) == (5, 2, 2, 1), one
        assert one["cluster_id"] == records.admin(broker.bootstrap).describe_cluster().result(30).cluster_id
        listed = {topic["name"]: topic for topic in daemon.get("/v1/clusters/source/topics")["items"]}
        assert list(listed) == sorted(listed) and len(listed) == 5
        assert listed["orders.eu"]["policies"] == ["p", "eu"] and listed["orders.eu"]["partitions_count"] == 3
        assert not listed["audit"]["protected"] and listed["__consumer_offsets"]["internal"]
        bare = daemon.get("/v1/clusters/source/topics?protected=false")["items"]
        assert [topic["name"] for topic in bare] == ["__consumer_offsets", "_schemas", "audit"]
        pages, cursor = [], ""
        while cursor is not None:
            page = daemon.get(f"/v1/clusters/source/topics?q=orders&limit=1&cursor={cursor}")
            pages += [topic["name"] for topic in page["items"]]
            cursor = page.get("next_cursor")
        assert pages == ["orders.eu", "orders.us"]
        assert daemon.get("/v1/status")["unprotected_topics_count"] == 2
        shown = tidemark("topics", "source", "--unprotected", "--all", "--socket", daemon.socket).stdout
        assert "audit" in shown and "orders" not in shown
        assert "source" in tidemark("clusters", "--socket", daemon.socket).stdout

        records.delete_topic(broker.bootstrap, "audit")
        assert daemon.get("/v1/clusters/source")["unprotected_topics_count"] == 1
        assert f"{metric} 1" in daemon.api("GET", "/metrics").text


def test_a_cluster_that_is_away_is_told_so(tidemarkd):
    clusters = jobs.clusters(**{name: f"127.0.0.1:{port}" for name, port in zip(("source", "other"), free_ports(2))})
    daemon = tidemarkd({"clusters": clusters, "policies": [jobs.policy("t")]})
    assert {cluster["name"] for cluster in daemon.get("/v1/clusters")["items"]} == {"source", "other"}
    one = daemon.get("/v1/clusters/source")
    assert not one["up"] and "refused" in one["detail"] and "topics_count" not in one, one
    refused = daemon.api("GET", "/v1/clusters/source/topics")
    assert refused.status_code == 502 and "refused" in refused.json()["detail"], refused.text
    unknown = daemon.api("GET", "/v1/clusters/sourcr/topics")
    assert unknown.status_code == 404 and unknown.json()["similar"] == ["source"], unknown.text
    assert "unprotected_topics_count" not in daemon.get("/v1/status")
    begun = time.monotonic()
    daemon.stop()  # nobody looks at a cluster any more
    assert time.monotonic() - begun < 3
