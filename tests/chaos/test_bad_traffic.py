"""What devices can do to a job: wrong clocks, poison, a flood, half of it invalid. One job."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from chaos.audit import unjustly_late
from chaos.feed import Outgoing, as_message
from chaos.poison import poison
from chaos.scenario import Scenario

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

DEVICES, RATE = 100, 20.0  # a reading every 5 s of each
DISORDER = 3  # s; a reading waits so long for its order, and here we want to see it soon
HISTORY = 660.0  # s: so long a device is watched until its cadence is known
AHEAD, BACK = {"d00": 3_600.0, "d01": 300.0, "d02": 540.0}, {"d03": 86_400.0}
WRONG = {**AHEAD, **{name: -seconds for name, seconds in BACK.items()}}
STOPPED, HOT = "d99", "d50"
SPECIAL = {*WRONG, STOPPED, HOT}
POLICY = """
defaults: {quiet: 45s, silence: {factor: 3, minimum: 10s}}
"""


def healthy(device):
    return device not in SPECIAL and device.startswith("d")


class Traffic:
    """The messages that go in place of a device's reading, by the phase that it is."""

    def __init__(self, scenario, poison):
        self.scenario, self.poison = scenario, poison
        self.poisoned = 0

    def __call__(self, reading, device, at):
        name, phase = reading["device_id"], self.scenario.name
        if phase in ("steady", "clocks") and name == STOPPED:
            return []
        if phase == "clocks" and name in WRONG:
            message = as_message(reading, at + WRONG[name])
            # More than ten minutes ahead of its arrival is beyond belief.
            return [message._replace(truth="dead letter")] if WRONG[name] > 600 else [message]
        if phase == "poison" and self.poisoned < 3 and device % 20 == 0:
            self.poisoned += 1
            return [as_message(reading), *self.poison]
        if phase == "hot" and name != HOT:
            # One device at 1,000 times the rate of each other: 200 readings/s.
            return [as_message(reading), *self._flood(reading, at, 10)]
        if phase == "flood" and name != HOT:
            return [as_message(reading), *self._flood(reading, at, 75)]  # 1,500/s
        if phase == "valid":
            return self._many(reading, at)
        if phase == "invalid":
            many = self._many(reading, at)
            return [*many, *(self._invalid(message) for message in many)]
        return [as_message(reading)]

    def _flood(self, reading, at, number):
        return [
            as_message({**reading, "device_id": HOT}, at + n / number / RATE) for n in range(number)
        ]

    def _many(self, reading, at):
        return [as_message(reading, at + n * 0.001) for n in range(10)]

    def _invalid(self, message):
        payload = json.loads(message.payload) | {"temperature": 451.0}
        return Outgoing(message.key, json.dumps(payload).encode(), "dead letter")


def history(feed, until):
    """Eleven minutes of every device, sent at once before the job starts."""
    turns = int(HISTORY * RATE)
    messages = [
        as_message(
            {
                "device_id": f"d{turn % DEVICES:02d}",
                "temperature": 20 + feed.random.gauss(0, 0.2),
                "humidity": 50 + feed.random.gauss(0, 0.5),
                "pressure": 1013 + feed.random.gauss(0, 0.3),
            },
            until - HISTORY + turn / RATE,
        )
        for turn in range(turns)
    ]
    feed.send_all(messages)


@pytest.fixture(scope="module")
def lived(moto, running, feed, to_kinesis, tmp_path_factory):
    """The whole scenario in one job; drained."""
    sender = to_kinesis("traffic")
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(POLICY)
    settings = [f"--policy={policy}", f"--disorder={DISORDER}", "--flush-seconds=2"]
    running = running(sender.source, moto.environment, settings)
    scenario = Scenario(running, healthy)
    now = datetime.now(UTC).timestamp()
    feed = feed(
        sender,
        devices=DEVICES,
        rate=RATE,
        duplicates=0.0,
        malformed=0.0,
        shape=Traffic(scenario, poison(now)),
    )
    history(feed, now)
    with feed:
        running.start(feed.check)
        running.until(lambda: running.behind(feed) < 25, 90, "the history")
        for name, seconds in (
            ("steady", 20),
            ("clocks", 30),
            ("poison", 12),
            ("rest", 10),
            ("hot", 20),
            ("flood", 5),
            ("valid", 12),
            ("invalid", 12),
        ):
            with scenario.phase(name, feed, seconds):
                pass
        scenario.name = "end"
    # What a clock ahead has stamped waits for that time, or for the drain.
    running.settled(feed, but={reading for reading in feed.sent if reading[0] in AHEAD})
    running.drain()
    return running, feed, scenario


def of_devices(running, name, columns):
    return [row for row in running.table(name, columns).to_pylist() if healthy(row["device_id"])]


def test_every_message_of_it_is_accounted_for(lived, audit):
    running, feed, _ = lived
    audit(running, feed)


def test_clocks_that_jump_are_their_own_devices_trouble_alone(lived):
    running, _, scenario = lived
    late = unjustly_late(running, disorder=DISORDER)
    assert [row for row in late if healthy(row["device_id"])] == []
    # One whose clock was ahead is late by its own measure once it is right again.
    wrong = running.table("readings", ["device_id", "verdict"]).to_pylist()
    late = Counter(row["device_id"] for row in wrong if row["verdict"] == "LATE")
    assert set(late) <= set(WRONG)
    assert late["d03"] > 2
    begun = datetime.fromtimestamp(scenario.phases["steady"].begun, UTC)
    incidents = running.table("incidents", ["device_id", "kind", "opened_at"]).to_pylist()
    # Before that there was a gap for everybody: between the history's end and the feed's begin.
    silent = {
        row["device_id"]
        for row in incidents
        if row["kind"] in ("silent", "missing") and row["opened_at"] > begun
    }
    # The one that stopped was found: silence was looked for all the while.
    assert STOPPED in silent
    assert {name for name in silent if name and healthy(name)} == set()
    clocks = scenario.phases["clocks"]
    assert clocks.usual <= 2 * scenario.phases["steady"].usual


def test_minutes_are_right_whatever_others_clocks_say(lived):
    running, feed, _ = lived
    truth = Counter(
        (device, micros // 60_000_000) for device, micros in feed.sent if healthy(device)
    )
    told, revisions = {}, Counter()
    columns = ["device_id", "minute_start", "revision", "readings"]
    for row in of_devices(running, "minutes", columns):
        minute = (row["device_id"], round(row["minute_start"].timestamp()) // 60)
        revisions[minute] += 1
        told[minute] = max(told.get(minute, (-1, 0)), (row["revision"], row["readings"]))
    assert {minute: count for minute, (_, count) in told.items()} == truth
    # A watermark that was ahead would close minutes before their readings have come.
    assert set(revisions.values()) == {1}


def test_poison_is_dead_letters_and_the_rest_flows(lived):
    running, _, scenario = lived
    letters = running.table("dead_letters", ["payload", "reason", "attributes"]).to_pylist()
    keys = [dict(letter["attributes"]).get("partition_key", "") for letter in letters]
    kinds = len(poison(0.0))
    poisoned = Counter(key for key in keys if key.startswith("poison-"))
    assert poisoned == {f"poison-{n}": 3 for n in range(kinds)}
    assert scenario.phases["poison"].usual <= 2 * scenario.phases["steady"].usual


def test_one_device_at_a_thousand_times_its_rate_does_not_delay_the_others(lived):
    _, feed, scenario = lived
    phase = scenario.phases["hot"]
    during = [name for (name, _), at in feed.sent.items() if phase.begun < at < phase.ended]
    hot = sum(name == HOT for name in during)
    each = sum(healthy(name) for name in during) / (DEVICES - len(SPECIAL))
    assert hot > 1_000
    assert hot / each > 900
    rest = scenario.phases["rest"].usual
    assert scenario.phases["hot"].usual <= 2 * rest
    assert scenario.phases["flood"].usual <= 2 * rest


def test_half_of_it_invalid_slows_nothing_down(lived):
    running, feed, scenario = lived
    reasons = Counter(running.table("dead_letters", ["reason"])["reason"].to_pylist())
    phase = scenario.phases["invalid"]
    sent = [at for at in feed.sent.values() if phase.begun + 1 < at < phase.ended]
    assert len(sent) > 1_000
    assert reasons["out_of_range"] > 0.9 * len(sent)
    assert phase.usual <= 2 * scenario.phases["valid"].usual
