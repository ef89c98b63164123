# SPDX-License-Identifier: Apache-2.0
"""Three minutes of the soak (tests/soak), which `tests/run soak` makes twenty of, and that its proof can fail."""

import os
import time
import types

import pytest
from conftest import need_tool

from rig.records import record
from soak.proof import Mismatch, compare_compacted, compare_journal, prove_life
from soak.soak import soak
from soak.writers import Life, number_of


def numbered(offset, key=b"k", value=b"v"):
    return record(key, value, (("n", b"%d" % offset),), 1_700_000_000_000 + offset)._replace(offset=offset)


def life_of(*written):
    life = Life("t", 1)
    life.stored = {(0, number_of(one)): one for one in written}
    return life


def writer_of(life, compacted=False):
    return types.SimpleNamespace(topic="t", compacted=compacted, life=life)


def totals():
    return {"doubtful_found": 0, "doubled_by_kafka": 0}


def test_the_proof_sees_what_is_missing_doubled_moved_changed_or_invented():
    written = [numbered(offset) for offset in range(6)]
    life = life_of(*written)
    life.source = [written]
    prove_life(writer_of(life), life, [written], totals())
    prove_life(writer_of(life), life, [written, []], totals())
    changed = written[:2] + [written[2]._replace(timestamp=5)] + written[3:]
    for wrong in (written[:5], written[1:], written + written[5:], written[:2] + written[1:2] + written[2:],
                  [written[1], written[0], *written[2:]], changed, written + [numbered(11)]):
        with pytest.raises(Mismatch):
            prove_life(writer_of(life), life, [wrong], totals())
    for wrong in ([written, [numbered(11)]], []):
        with pytest.raises(Mismatch):
            prove_life(writer_of(life), life, wrong, totals())


def test_the_proof_sees_what_kafka_lost_or_made_up():
    written = [numbered(offset) for offset in range(6)]
    life = life_of(*written)
    life.doubts = {10: numbered(10)}
    assert compare_journal("t", life, [written]) == (0, 0)
    assert compare_journal("t", life, [written + [numbered(10)._replace(offset=6)]]) == (1, 0)
    assert compare_journal("t", life, [written + [written[5]._replace(offset=6)]]) == (0, 1)
    changed = written[:2] + [written[2]._replace(timestamp=5)] + written[3:]
    for wrong in ([written[:5]], [written[1:]], [changed], [written + [numbered(11)]], [],
                  [written + [numbered(10, b"x")._replace(offset=6)]]):
        with pytest.raises(Mismatch):
            compare_journal("t", life, wrong)


def test_the_proof_of_a_compacted_topic_sees_the_same():
    written = [numbered(0, b"a"), numbered(1, b"b"), numbered(2, b"a"), numbered(3, b"c", None), numbered(4, b"b")]
    life = life_of(*written)
    for right in (written, written[2:], [written[2], written[4]]):
        compare_compacted("t", life, [right], [[written[2], written[4]]])
    for wrong in ([written[2]], [written[4], written[2]], [written[2], written[2], written[4]],
                  [written[2], written[4], numbered(9)], [written[2]._replace(value=b"w"), written[4]]):
        with pytest.raises(Mismatch):
            compare_compacted("t", life, [wrong], [[written[2], written[4]]])
    with pytest.raises(Mismatch):  # what Kafka still holds has to be there
        compare_compacted("t", life, [[written[2], written[4]]], [written])


@pytest.mark.timeout(1200)
def test_three_minutes_of_trouble_cost_no_record():
    need_tool("toxiproxy")
    report = soak(3, int(os.environ.get("TM_SEED") or time.time_ns() % 1_000_000_000))
    print(report)
    assert report["incarnations"] == sum(report["lives"].values()) >= 5
