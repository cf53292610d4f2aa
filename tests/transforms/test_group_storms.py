"""GroupStorms: its state, its timers and files, and both its forms on a runner."""

import pickle
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as EventSource
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.group_storms import (
    INCIDENT,
    GroupSite,
    GroupStorms,
    StormFiles,
    batch_of,
    rows_of,
    split_by_site,
)

SECOND = 1_000_000
T0 = 1_767_312_000
LAG = 11 * SECOND


def incident(device, seconds, transition="opened", *, site="Bern", opened=None, revision=0):
    opened = seconds if opened is None else opened
    return {
        "incident_id": f"{device}/{opened:g}",
        "revision": revision,
        "transition": transition,
        "kind": "silent",
        "severity": "warning",
        "event_time": round((T0 + seconds) * SECOND),
        "opened_at": round((T0 + opened) * SECOND),
        "last_seen": round((T0 + opened - 60) * SECOND),
        "arrival_time": None,
        "device_id": device,
        "site": site,
        "latitude": 46.9,
        "longitude": 7.4,
        "model": None,
        "count": 0,
        "score": None,
        "peak": None,
        "duration": float(seconds - opened),
        "sign": "silence",
        "channels": [],
        "observed": 60.0,
        "expected": 10.0,
        "expected_low": None,
        "expected_high": None,
        "explanation": f"{device} is silent",
        "storm_id": None,
        "members": [],
        "operator": None,
    }


def opened_and_resolved(device, opened, resolved, **more):
    return [
        incident(device, opened, **more),
        incident(device, resolved, "resolved", opened=opened, revision=1, **more),
    ]


def clock():
    return 0.0


class State:
    value = None

    def read(self):
        return self.value

    def write(self, value):
        assert isinstance(value, bytes)
        self.value = value


class Timer:
    due = None

    def set(self, when):
        self.due = when

    def clear(self):
        self.due = None


def worker(policy="", registry="", channels=()):
    site = GroupSite(StormFiles(policy, registry, channels, 60.0, clock), LAG)
    site.setup()
    return site


def out(outputs):
    return [row for output in outputs for row in rows_of(output.value)]


def test_rows_become_a_batch_and_rows_again():
    rows = [incident("a", 0.25), {**incident("b", 1), "site": None, "channels": ["t", "h"]}]
    batch = batch_of(rows)
    assert batch.schema == INCIDENT
    assert rows_of(batch) == rows
    assert rows_of(batch.slice(1)) == rows[1:]


def test_a_batch_is_split_by_site_without_loss_and_in_order():
    sites = ["Bern", None, "Chur", "Bern", "", None]
    rows = [incident(str(n), n, site=site) for n, site in enumerate(sites)]
    parts = {site: rows_of(part) for site, part in split_by_site(batch_of(rows))}
    assert parts == {site: [r for r in rows if r["site"] == site] for site in sites}


@pytest.mark.parametrize("name", ["refresh", "disorder"])
def test_a_negative_time_is_refused(contract, name):
    with pytest.raises(ValueError, match=f"{name} must not be negative: -1"):
        GroupStorms(contract, clock, **{name: -1})


def test_the_timer_is_set_to_a_full_second_and_only_while_something_waits():
    site, state, due = worker(), State(), Timer()
    rows = [incident("a", 0.25)]
    assert out(site.process(("Bern", batch_of(rows)), state, due)) == []
    assert due.due == Timestamp(T0 + 12)
    assert out(site.decide("Bern", due.due, state, due)) == []
    assert due.due == Timestamp(T0 + 42)
    assert out(site.decide("Bern", due.due, state, due)) == rows
    assert due.due is None


def test_another_worker_goes_on_from_the_state():
    state, due = State(), Timer()
    rows = [incident(f"d{n}", n) for n in range(12)]
    list(worker().process(("Bern", batch_of(rows[:6])), state, due))
    list(worker().process(("Bern", batch_of(rows[6:])), state, due))
    told = out(worker().decide("Bern", Timestamp(T0 + 42), state, due))
    assert Counter(row["kind"] for row in told) == {"silent": 12, "storm": 1}


def test_a_timer_that_fires_twice_tells_nothing_twice():
    site, state, due = worker(), State(), Timer()
    list(site.process(("Bern", batch_of([incident("a", 0)])), state, due))
    when = Timestamp(T0 + 42)
    assert len(out(site.decide("Bern", when, state, due))) == 1
    assert list(site.decide("Bern", when, state, due)) == []


def test_the_registry_says_how_many_devices_a_site_has(tmp_path):
    registry = tmp_path / "devices.csv"
    lines = [f"d{n},Bern" for n in range(12)] + ["x,Chur"]
    registry.write_text("device_id,site\n" + "\n".join(lines))
    site, state, due = worker(registry=str(registry)), State(), Timer()
    rows = [incident(f"d{n}", n) for n in range(4)]
    list(site.process(("Bern", batch_of(rows)), state, due))
    told = out(site.decide("Bern", Timestamp(T0 + 42), state, due))
    (storm,) = (row for row in told if row["kind"] == "storm")
    assert storm["explanation"].startswith("4 of 12 devices at Bern: 4 silent")
    alone = [incident("x", 0, site="Chur")]
    assert out(site.process(("Chur", batch_of(alone)), State(), due)) == alone


def test_the_policy_says_what_a_storm_is(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("storms: [{devices: 2, within: 5s}]\n")
    site, state, due = worker(policy=str(policy)), State(), Timer()
    rows = [incident("a", 0), incident("b", 4)]
    list(site.process(("Bern", batch_of(rows)), state, due))
    told = out(site.decide("Bern", Timestamp(T0 + 16), state, due))
    assert [row["kind"] for row in told] == ["storm", "silent", "silent"]


class Keep(beam.DoFn):
    def __init__(self, path):
        self.path = str(path)

    def process(self, batch):
        with Path(self.path).open("ab") as file:
            pickle.dump(batch, file)


def kept(path):
    rows = []
    with path.open("rb") as file:
        while file.peek(1):
            rows += rows_of(pickle.load(file))
    return rows


def run(source, runner, contract, path, *, streaming):
    """The rows that GroupStorms gives for a source of batches."""
    pipeline = beam.Pipeline(runner, PipelineOptions([], streaming=streaming))
    _ = (
        pipeline
        | "Source" >> source
        | "Batches" >> beam.Map(lambda batch: batch).with_output_types(pa.RecordBatch)
        | "Storms" >> GroupStorms(contract, clock, streaming=streaming)
        | "Keep" >> beam.ParDo(Keep(path))
    )
    pipeline.run().wait_until_finish()
    return kept(path)


def live(rows):
    """A source of these rows, each at most five seconds behind the watermark."""
    stream = EventSource(coder=RecordBatchCoder()).advance_watermark_to(Timestamp(T0 - 1000))
    for second in range(0, 800, 5):
        now = (T0 + second) * SECOND
        came = [row for row in rows if now - 5 * SECOND <= row["event_time"] < now]
        if came:
            stamp = Timestamp(micros=min(row["event_time"] for row in came))
            stream.add_elements([TimestampedValue(batch_of(came), stamp)])
        stream.advance_watermark_to(Timestamp(T0 + second))
    return stream.advance_watermark_to_infinity()


def fleet():
    """A gateway of 500 devices falls silent and comes back; elsewhere devices go on alone."""
    rows = []
    for n in range(500):
        rows += opened_and_resolved(f"bern-{n}", 60 + n % 100 / 4, 600 + n % 50)
    for n in range(5):
        rows += opened_and_resolved(f"chur-{n}", 62 + n, 90 + 50 * n, site="Chur")
    rows += opened_and_resolved("nowhere", 61, 300, site=None)
    return rows


def canonical(rows):
    return sorted(map(repr, rows))


@pytest.fixture(scope="module")
def told(contract, tmp_path_factory):
    """What a live run tells of the fleet."""
    path = tmp_path_factory.mktemp("storms") / "live"
    return run(live(fleet()), "BundleBasedDirectRunner", contract, path, streaming=True)


@pytest.mark.job
def test_500_silent_devices_of_one_gateway_are_one_alert_and_one_recovery(told):
    alerts = [row for row in told if row["storm_id"] is None and row["site"] == "Bern"]
    assert [(row["kind"], row["transition"], row["count"]) for row in alerts] == [
        ("storm", "opened", 500),
        ("storm", "resolved", 500),
    ]
    opened, resolved = alerts
    assert opened["incident_id"] == resolved["incident_id"]
    assert opened["explanation"] == (
        "500 devices at Bern: 500 silent, since 00:01 UTC; first bern-0"
    )
    assert (opened["event_time"] - T0 * SECOND, resolved["duration"]) == (90 * SECOND, 589.0)
    members = [row for row in told if row["storm_id"] is not None]
    assert len(members) == 1000
    assert {row["storm_id"] for row in members} == {opened["incident_id"]}


@pytest.mark.job
def test_another_site_and_devices_without_a_site_are_told_as_ever(told):
    elsewhere = [row for row in fleet() if row["site"] != "Bern"]
    assert canonical(row for row in told if row["site"] != "Bern") == canonical(elsewhere)


@pytest.mark.job
def test_every_row_leaves_once(told):
    came = [{**row, "storm_id": None} for row in told if row["kind"] != "storm"]
    assert canonical(came) == canonical(fleet())


@pytest.mark.job
def test_the_bounded_form_gives_the_same_rows(told, contract, tmp_path):
    rows = fleet()
    batches = [batch_of(rows[start : start + 7]) for start in range(0, len(rows), 7)]
    source = beam.Create(batches[::-1])
    bounded = run(source, "FnApiRunner", contract, tmp_path / "rows", streaming=False)
    assert canonical(bounded) == canonical(told)
