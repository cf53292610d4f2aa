import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.simulate.malformed import IN_GATHERED, KINDS, SINGLE_KINDS, bad_entry, malformed

READING = {
    "device_id": '"mill-001"',
    "timestamp": '"2026-01-05T06:00:00.017Z"',
    "temperature": "21.5",
    "humidity": "40.1",
    "pressure": "1013.2",
    "message_id": '"mill-001/0"',
}


def test_there_are_many_kinds(received):
    assert len(KINDS) == len(set(KINDS)) >= 40


def test_every_kind_appears_in_a_simulation(received):
    assert set(received.truth.malformed) == set(KINDS)


def test_few_of_a_kind_are_more_than_the_others(received):
    counts = {k: n for k, n in received.truth.malformed.items() if k != IN_GATHERED}
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("kind", SINGLE_KINDS)
def test_every_form_of_a_kind_is_one_item_that_is_no_reading(kind, parse_payload):
    for seed in range(30):
        payload = malformed(kind, READING, np.random.default_rng(seed))
        assert b"\n" not in payload
        assert parse_payload(payload) == ([], 1), payload


def test_the_unbroken_reading_would_have_been_one(parse_payload):
    text = ",".join(f'"{name}":{value}' for name, value in READING.items())
    readings, bad = parse_payload(f"{{{text}}}".encode())
    assert (len(readings), bad) == (1, 0)


def test_a_bad_entry_costs_only_itself(parse_payload):
    text = ",".join(f'"{name}":{value}' for name, value in READING.items()).encode()
    for seed in range(30):
        entry = bad_entry(np.random.default_rng(seed))
        readings, bad = parse_payload(b"[{" + text + b"}," + entry + b",{" + text + b"}]")
        assert (len(readings), bad) == (2, 1)


@given(seed=st.integers(0, 2**32))
def test_no_luck_makes_random_bytes_or_a_cut_payload_a_reading_or_two_lines(seed):
    for kind in ("random_bytes", "truncated"):
        payload = malformed(kind, READING, np.random.default_rng(seed))
        assert payload
        assert b"\n" not in payload


def test_an_unknown_kind_is_refused():
    with pytest.raises(KeyError):
        malformed("perfect", READING, np.random.default_rng(0))
