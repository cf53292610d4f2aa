from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import BytesCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    CombiningValueStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.utils.timestamp import Timestamp

from benchmarks.sweep.balance import busiest
from benchmarks.sweep.held_state import Keyed
from benchmarks.sweep.point import Point, Shards, measure
from benchmarks.sweep.readings import START, Fleet
from eddyline.schemas.record import load_contract


class Remember(beam.DoFn):
    LAST = ReadModifyWriteStateSpec("last", BytesCoder())
    ALL = BagStateSpec("all", BytesCoder())
    SOON = TimerSpec("soon", TimeDomain.WATERMARK)

    def process(
        self,
        element: Any,
        last: Any = beam.DoFn.StateParam(LAST),
        every: Any = beam.DoFn.StateParam(ALL),
        soon: Any = beam.DoFn.TimerParam(SOON),
    ) -> Any:
        last.write(element)
        every.add(element)
        soon.set(Timestamp(5))
        yield last.read()

    @on_timer(SOON)
    def over(self, key: Any = beam.DoFn.KeyParam, every: Any = beam.DoFn.StateParam(ALL)) -> Any:
        yield key, list(every.read())
        every.clear()


def test_a_bundle_writes_the_last_value_and_all_that_was_added():
    keyed = Keyed(Remember())
    assert keyed.process(b"12345") == [b"12345"]
    keyed.process(b"123")
    assert keyed.commit() == 3 + (5 + 3)
    assert keyed.commit() == 0
    keyed.process(b"1")
    assert keyed.commit() == 1 + 1
    assert keyed.size() == 1 + (5 + 3 + 1)


def test_a_timer_fires_once_and_not_before_its_time():
    keyed = Keyed(Remember())
    keyed.process(b"1")
    assert keyed.advance("a", Timestamp(4)) is None
    assert keyed.advance("a", Timestamp(6)) == [("a", [b"1"])]
    assert keyed.advance("a", Timestamp(7)) is None
    assert keyed.size() == 1


def test_a_kind_of_state_that_is_not_held_is_refused():
    class Sum(beam.DoFn):
        TOTAL = CombiningValueStateSpec("total", VarIntCoder(), sum)

        def process(self, element: Any, total: Any = beam.DoFn.StateParam(TOTAL)) -> None: ...

    with pytest.raises(TypeError, match="total"):
        Keyed(Sum())


def test_a_round_comes_whole_in_its_bundles_and_in_order():
    fleet = Fleet(load_contract("room"), devices=100, cadence=2.0)
    bundles = fleet.bundles(first_round=3, seconds=0.25)
    parts = [next(bundles) for _ in range(8)]
    devices = [device for part in parts for device in part["device_id"].to_pylist()]
    times = [time for part in parts for time in part["event_time"].cast("int64").to_pylist()]
    assert len(devices) == len(set(devices)) == 100
    assert times == sorted(times)
    assert times[0] >= START + 6_000_000
    assert times[-1] < START + 8_000_000


def test_watch_gives_the_same_readings_over_any_number_of_shards():
    contract = load_contract("room")

    def released(number):
        shards, fleet = Shards(number), Fleet(contract, devices=12, cadence=5.0)
        found = []
        for round_ in range(8):
            now = START + (round_ + 1) * 5_000_000
            shards.bundle([fleet.round(round_)], now, found.append)
        return sorted(
            (row["device_id"], row["event_time"]) for batch in found for row in batch.to_pylist()
        )

    assert released(1) == released(5) != []


def test_a_point_costs_something_and_touches_each_shard_at_most_once_a_bundle_and_timer():
    cost = measure(Point(devices=40, cadence=1.0, shards=4), budget=0.5)
    assert cost.readings > 0
    assert cost.micros > 0
    assert cost.bytes_written > 100
    assert 4 <= cost.touches <= 4 * (4 + 4)


def test_more_shards_spread_more_evenly():
    spread = [busiest(shards, workers=4) for shards in (8, 32, 128)]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] > 1.0
