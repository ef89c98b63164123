# SPDX-License-Identifier: Apache-2.0
"""Planned runs against PyPI's croniter: random expressions over a year of a clock that jumps from run to run, in UTC and in
zones whose clocks change. What a wall clock's time means where clocks change is said here once more, in other words."""

import datetime
import random
import subprocess
import zoneinfo

import pytest
from croniter import croniter

from rig.daemon import build_dir

CASES = 150
RUNS = 300
MONTHS, DAYS = "jan feb mar apr may jun jul aug sep oct nov dec".split(), "sun mon tue wed thu fri sat".split()
# The northern and southern summers, half an hour (Lord Howe), changes at midnight (Santiago), no changes.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata")
UTC = datetime.timezone.utc


def field(rng, low, high, names=None):
    """One field, in any of the forms there are."""
    def value():
        number = rng.randint(low, high)
        return names[number - low] if names and number - low < len(names) and rng.random() < .4 else str(number)

    def span():
        first = rng.randint(low, high - 1)
        return first, rng.randint(first + 1, high)  # croniter takes 5-5 for all there is
    form = rng.choice(["*", "*", "*/n", "value", "value", "range", "range/n", "list"])
    if form == "*":
        return "*"
    if form == "*/n":
        return f"*/{rng.randint(2, max(2, (high - low) // 2))}"
    if form == "value":
        return value()
    first, last = span()
    if form == "range":
        return f"{first}-{last}"
    if form == "range/n":
        return f"{first}-{last}/{rng.randint(1, 7)}"
    return ",".join(sorted({value() for _ in range(rng.randint(2, 4))}))


def expression(rng):
    return " ".join((field(rng, 0, 59), field(rng, 0, 23), field(rng, 1, 28), field(rng, 1, 12, MONTHS), field(rng, 0, 6, DAYS)))


def instants(wall, zone, hourly):
    """When a clock of the zone shows that time; where it never does, the moment at which it jumps over it."""
    found = []
    for fold in (0, 1):
        moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall and moment not in found:
            found.append(moment)
    if found or hourly:
        return found if hourly else found[:1]
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # on the far side of the gap, counted back
    low, high = before - datetime.timedelta(hours=3), before + datetime.timedelta(hours=3)
    while high - low > datetime.timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return [high.replace(microsecond=0)]


def planned(text, zone, after, until):
    """By croniter, of wall times; with the rule for days that cron has ("*/2" counts as "*")."""
    local = after.astimezone(zone).replace(tzinfo=None) - datetime.timedelta(hours=3)  # an hour that comes again begins earlier
    walls = croniter(text, local, implement_cron_bug=True, max_years_between_matches=60)
    hourly = text.split()[1] == "*"
    found = []
    while len(found) < RUNS + 200:
        wall = walls.get_next(datetime.datetime)
        if wall.replace(tzinfo=zone).astimezone(UTC) >= until + datetime.timedelta(days=1):
            break
        found += instants(wall, zone, hourly)
    return [moment for moment in sorted(set(found)) if after < moment < until][:RUNS]


def changes(zone, year):
    """Days of the year on which the zone's clocks change."""
    days = [datetime.datetime(year, 1, 1, 12, tzinfo=zone) + datetime.timedelta(days=day) for day in range(365)]
    return [day for day, next_day in zip(days, days[1:]) if day.utcoffset() != next_day.utcoffset()]


def ours(rows):
    lines = "".join(f"{text}|{zone}|{int(after.timestamp() * 1000)}|{int(until.timestamp() * 1000)}|{RUNS}\n" for text, zone, after, until in rows)
    done = subprocess.run([build_dir() / "tests/unit/schedule_runs"], input=lines, capture_output=True, text=True, check=True)
    assert "error" not in done.stdout, done.stdout
    return [[datetime.datetime.fromtimestamp(int(one) / 1000, UTC) for one in line.split()] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("zone", ("UTC", *ZONES))
def test_random_schedules_run_as_croniter_says_over_a_year(zone):
    rng = random.Random(f"{zone} 4711")
    clock = zoneinfo.ZoneInfo(zone)
    rows = []
    for number in range(CASES):
        year = rng.randint(2021, 2036)
        after = datetime.datetime(year, rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59), tzinfo=UTC)
        days = changes(clock, year)
        if number % 2 and days:  # just before clocks change, for what runs so often that 300 runs are over soon
            after = rng.choice(days).astimezone(UTC) - datetime.timedelta(hours=rng.randint(0, 30))
        rows.append((expression(rng), zone, after, after + datetime.timedelta(days=366)))
    compared = 0
    for (text, _, after, until), runs in zip(rows, ours(rows), strict=True):
        expected = planned(text, clock, after, until)
        assert runs == expected, (text, after, next(pair for pair in zip(runs + [None], expected + [None]) if pair[0] != pair[1]))
        compared += len(runs)
    assert compared > CASES * 50
