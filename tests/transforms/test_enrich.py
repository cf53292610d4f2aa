"""Enrich: every reading stays, and what is known of its device stands beside it."""

import json

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.message import Message, message_batch
from eddyline.schemas.record import load_contract
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import PayloadParser
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.enrich import EMPTY, Enrich, enrich

ARRIVAL = 1_767_268_800_000_000
YAML = b"""
devices:
  - {device_id: b, site: Basel, model: other}
  - {device_id: a, site: Bern, latitude: 46.9, longitude: 7.4, model: th-2}
models:
  th-2:
    temperature: {minimum: 5, maximum: 35}
    passed: {maximum: 1152921504606846976}
    open: {maximum: 0}
"""
ADDED = ["site", "latitude", "longitude", "model", "known", "beyond_limits"]
CHANNELS = ["temperature", "passed", "open"]


@pytest.fixture(scope="session")
def decoded(contract):
    """A batch of readings, from dicts of device and channels."""

    def make(*rows):
        sent = [{"event_time": 1767268800, **row} for row in rows]
        messages = [
            Message(json.dumps(row).encode(), "s", "0", 1_767_268_800_000_000) for row in sent
        ]
        parser = PayloadParser(contract)
        [batch] = Decoder(contract, parser).decode(message_batch(messages))
        assert batch.readings.num_rows == len(rows)
        return batch.readings

    return make


def registry():
    return read_registry("d.yaml", YAML, CHANNELS)


def added(batch):
    return batch.select(ADDED).to_pylist()


def test_a_known_device_gets_its_place_and_model(decoded):
    batch = enrich(decoded({"device_id": "b"}, {"device_id": "a"}), registry(), CHANNELS)
    assert added(batch) == [
        {"site": "Basel", "latitude": None, "longitude": None, "model": "other", "known": True,
         "beyond_limits": None},
        {"site": "Bern", "latitude": 46.9, "longitude": 7.4, "model": "th-2", "known": True,
         "beyond_limits": None},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "known", [registry(), EMPTY, read_registry("d.csv", b"device_id\nx\n", [])]
)
def test_an_unknown_device_is_kept_and_marked(decoded, known):
    batch = enrich(decoded({"device_id": "z", "temperature": 80}), known, CHANNELS)
    assert batch.column("temperature").to_pylist() == [80]
    assert added(batch) == [dict.fromkeys(ADDED) | {"known": False}]


@given(st.lists(st.sampled_from("abxyz"), max_size=20))
def test_every_row_stays_as_it_was_in_its_order(decoded, devices):
    readings = decoded(
        *({"device_id": device, "temperature": n} for n, device in enumerate(devices))
    )
    batch = enrich(readings, registry(), CHANNELS)
    batch.validate(full=True)
    assert batch.select(readings.schema.names).equals(readings)
    assert batch.column("known").to_pylist() == [device in "ab" for device in devices]
    assert batch.column("site").to_pylist() == [
        {"a": "Bern", "b": "Basel"}.get(device) for device in devices
    ]


def test_the_columns_are_those_of_the_reading_record(decoded, contract):
    declared = arrow_schema(contract.record("reading"))
    for number in (0, 1):
        batch = enrich(decoded(*[{"device_id": "a"}] * number), registry(), CHANNELS)
        for field in batch.schema:
            assert field.equals(declared.field(field.name)), field.name
        assert set(declared.names) - set(batch.schema.names) == {"verdict", "score"}


def test_channels_beyond_the_models_limits_are_named(decoded):
    rows = [
        {"device_id": "a", "temperature": 5, "passed": 2**60, "open": False},
        {"device_id": "a", "temperature": 4.9},
        {"device_id": "a", "temperature": 35.1, "passed": 2**61, "open": True},
        {"device_id": "a", "passed": -(2**60) - 1},
        {"device_id": "b", "temperature": -40, "open": True},
        {"device_id": "z", "temperature": 85, "open": True},
        {"device_id": "a"},
    ]
    batch = enrich(decoded(*rows), registry(), CHANNELS)
    assert batch.column("beyond_limits").to_pylist() == [
        None,
        ["temperature"],
        ["temperature", "passed", "open"],
        None,
        None,
        None,
        None,
    ]


def test_a_registry_without_limits_names_nothing(decoded):
    plain = read_registry("d.csv", b"device_id,model\na,th-2\n", CHANNELS)
    batch = enrich(decoded({"device_id": "a", "temperature": 85}), plain, CHANNELS)
    assert batch.column("beyond_limits").to_pylist() == [None]


class Clock:
    """Stands still. A class, so that Beam can pickle it."""

    def __call__(self):
        return 0.0


def test_a_negative_refresh_is_refused():
    with pytest.raises(ValueError, match="refresh must not be negative: -1"):
        Enrich(load_contract("room"), Clock(), refresh=-1)


@pytest.mark.job
@pytest.mark.parametrize("with_file", [True, False])
def test_the_transform_enriches_each_batch_and_counts_unknown_devices(
    decoded, contract, tmp_path, with_file
):
    path = tmp_path / "devices.yaml"
    path.write_bytes(YAML)
    batches = [decoded({"device_id": "a"}, {"device_id": "x"}), decoded({"device_id": "y"})]
    pipeline = beam.Pipeline(runner="FnApiRunner")
    enriched = (
        pipeline
        | beam.Create(batches)
        | Enrich(contract, Clock(), path=str(path) if with_file else "")
        | beam.FlatMap(lambda batch: batch.column("site").to_pylist())
    )
    assert_that(enriched, equal_to(["Bern" if with_file else None, None, None]))
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    assert {c.key.metric.name: c.committed for c in counters} == {
        "unknown_device_readings": 2 if with_file else 3
    }


def test_no_row_is_lost_where_a_batch_has_no_rows(decoded):
    batch = enrich(decoded(), registry(), CHANNELS)
    assert batch.num_rows == 0
    assert pa.types.is_boolean(batch.schema.field("known").type)
