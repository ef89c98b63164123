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


def test_a_series_has_what_was_captured_step_by_step(bootstrap, new_topic, tidemarkd):
    topic = new_topic()
    daemon = tidemarkd({"policies": [jobs.policy(topic)]})
    path = f"/v1/timeline?topic={topic}"
    assert "series" not in daemon.get(path)
    empty = daemon.get(f"{path}&since=-1h&step=10m")["series"]
    assert set(empty["new_messages_count"]) == {0} and len(empty["at"]) in (6, 7) and empty["step_seconds"] == 600
    assert all(at(one) % 600 == 0 for one in empty["at"])
    for count in (10, 20):
        records.produce(bootstrap, topic, some(count))
        daemon.backup("p")
    delete_records(bootstrap, topic, 30)
    records.produce(bootstrap, topic, some(7))
    delete_records(bootstrap, topic, 33)
    daemon.backup("p")
    line = daemon.get(f"{path}&since=-1h&step=1s")
    series = line["series"]
    by_step = {moment: number for number, moment in enumerate(series["at"])}
    assert len({len(values) for values in series.values() if isinstance(values, list)}) == 1
    assert series["step_seconds"] == 2 and len(series["at"]) <= 2000  # an hour has more seconds than that
    expected = [[0] * len(series["at"]) for _ in range(4)]
    for point in line["points"]:
        step = by_step[datetime.datetime.fromtimestamp(at(point["at"]) // 2 * 2, datetime.timezone.utc)
                       .strftime("%Y-%m-%dT%H:%M:%S.000Z")]
        for values, value in zip(expected, (1, point["new_messages_count"], point["new_source_bytes"], point.get("lost_offsets", 0))):
            values[step] += value
    assert [series[name] for name in ("points_count", "new_messages_count", "new_source_bytes", "lost_offsets")] == expected
    assert [sum(series[name]) for name in ("points_count", "new_messages_count", "lost_offsets")] == [3, 34, 3]
    for wrong in ("0", "0s", "500ms", "-1h", "x", ""):
        answer = daemon.api("GET", f"{path}&step={wrong}")
        assert answer.status_code == 422 and answer.json()["errors"][0]["parameter"] == "step", answer.text
    ages = daemon.get(f"{path}&since=1970-01-01T00:00:00Z&step=1s")["series"]
    assert 1990 <= len(ages["at"]) <= 2000 and sum(ages["points_count"]) == 3
