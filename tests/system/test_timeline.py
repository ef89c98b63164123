# SPDX-License-Identifier: Apache-2.0
"""Of what time a topic is stored."""

import datetime

from confluent_kafka import TopicPartition

from rig import jobs, records
from rig.records import record


def at(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def some(count):
    return [record(b"%d" % number, b"value") for number in range(count)]


def delete_records(bootstrap, topic, before):
    client = records.admin(bootstrap)
    future, = client.delete_records([TopicPartition(topic, 0, before)]).values()
    future.result(30)


def test_a_timeline_tells_points_gaps_and_what_is_exposed(bootstrap, new_topic, tidemarkd):
    topic, other = new_topic(), new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic, other)]})
    empty = daemon.get(f"/v1/timeline?topic={topic}&since=-1h")
    assert empty["points"] == [] and [one["state"] for one in empty["intervals"]] == ["exposed"], empty
    assert at(empty["intervals"][0]["to"]) - at(empty["intervals"][0]["from"]) == 3600

    records.produce(bootstrap, topic, some(10))
    records.produce(bootstrap, other, some(50))
    first = daemon.backup("p")["result"]["recovery_point"]
    records.produce(bootstrap, topic, some(20))
    delete_records(bootstrap, topic, 15)  # five of them are gone before they are captured
    second = daemon.backup("p")["result"]["recovery_point"]
    records.produce(bootstrap, other, some(1))
    third = daemon.backup("p")["result"]["recovery_point"]
    line = daemon.get(f"/v1/timeline?topic={topic}&since=-1h&cluster=source")
    assert [one["id"] for one in line["points"]] == [first, second, third]
    assert [one["new_messages_count"] for one in line["points"]] == [10, 15, 0]
    assert [one.get("lost_offsets") for one in line["points"]] == [None, 5, None]
    states = [(one["state"], one.get("lost_offsets")) for one in line["intervals"]]
    assert states == [("exposed", None), ("covered", None), ("gap", 5), ("covered", None), ("exposed", None)] or \
        states == [("covered", None), ("gap", 5), ("covered", None), ("exposed", None)], line
    joined = [one["from"] for one in line["intervals"][1:]]
    assert joined == [one["to"] for one in line["intervals"][:-1]], "each begins where the one before it ends"
    assert line["intervals"][-1]["to"] == line["until"]

    later = daemon.get(f"/v1/timeline?topic={topic}&since={line['points'][1]['at']}")  # from the second one on: what the first has is not new
    assert [(one["id"], one["new_messages_count"]) for one in later["points"]] == [(second, 15), (third, 0)], later
    assert later["intervals"][0]["from"] == later["since"]
    assert daemon.api("GET", "/v1/timeline").status_code == 422
    nothing = daemon.get(f"/v1/timeline?topic={topic}&since=now&until=-1h")
    assert nothing["points"] == nothing["intervals"] == []
    assert daemon.get("/v1/timeline?topic=none")["points"] == []
