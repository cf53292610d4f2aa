from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.io.simulate import Simulation, messages, simulate

MINUTE = 60_000_000


def test_equal_simulations_give_equal_bytes_and_another_seed_others():
    small = Simulation(devices=4, hours=2.0)
    one, two = simulate(small), simulate(Simulation(devices=4, hours=2.0))
    assert one.payloads == two.payloads
    assert one.arrival_time.tolist() == two.arrival_time.tolist()
    assert one.truth == two.truth
    assert simulate(Simulation(devices=4, hours=2.0, seed=8)).payloads != one.payloads


def test_what_the_transport_does_changes_neither_values_nor_faults():
    calm = simulate(Simulation(devices=6, hours=3.0, duplicates=0, late=0, malformed=0))
    rough = simulate(Simulation(devices=6, hours=3.0, duplicates=0.1, late=0.02, malformed=0.1))
    assert calm.truth.faults == rough.truth.faults
    assert calm.truth.doors == rough.truth.doors
    assert len(set(rough.payloads) & set(calm.payloads)) > 0.8 * len(calm.payloads)


def test_the_truth_counts_what_parsing_the_bytes_counts(received):
    truth = received.truth
    assert truth.messages == len(received.stream.payloads)
    assert truth.bytes == sum(map(len, received.stream.payloads))
    assert truth.items == received.items
    assert truth.readings == len(received.readings)
    assert truth.duplicates == sum(len(times) - 1 for times in received.arrivals.values())
    assert sum(truth.malformed.values()) == received.bad
    assert truth.items == truth.readings + truth.duplicates + sum(truth.malformed.values())
    assert truth.devices == len(received.by_device)
    lacking = np.array(
        [[v is None for v in values] for rows in received.by_device.values() for _, values in rows]
    )
    assert list(truth.missing.values()) == lacking.sum(axis=0).tolist()
    minutes = {(device, time // MINUTE) for device, time in received.readings}
    assert truth.minutes == len(minutes)


def test_the_shares_are_what_was_asked_for(simulation, received):
    truth = received.truth
    taken = truth.readings + sum(truth.malformed.values())
    assert sum(truth.malformed.values()) == round(simulation.malformed * taken)
    assert truth.late == round(simulation.late * taken)
    assert truth.duplicates == pytest.approx(simulation.duplicates * taken, rel=0.1)
    assert truth.gathered == pytest.approx(simulation.gathered * taken, rel=0.15)
    assert sum(truth.missing.values()) == pytest.approx(simulation.missing * taken, rel=0.5)
    assert 0 < truth.epoch < 0.2 * taken


def test_arrays_and_numeric_timestamps_are_counted(received, parse_payload):
    arrays = [payload for payload in received.stream.payloads if payload.startswith(b"[{")]
    # An array may begin with a bad entry that is no object.
    arrays += [p for p in received.stream.payloads if p[:1] == b"[" and p[:2] != b"[{"]
    assert received.truth.gathered == sum(bool(parse_payload(p)[0]) for p in arrays)
    assert any(len(parse_payload(payload)[0]) > 1 for payload in arrays)


def test_messages_are_in_the_order_of_arrival(received):
    assert (np.diff(received.stream.arrival_time) >= 0).all()


def test_readings_in_time_keep_the_bound_and_late_ones_are_minutes_late(simulation, received):
    delays = np.array([times[0] - key[1] for key, times in received.arrivals.items()])
    late = delays > simulation.disorder * 1e6
    assert delays.min() >= 0
    assert late.sum() == received.truth.late > 0
    assert delays[late].min() >= 2 * MINUTE
    assert delays[late].max() <= 15 * MINUTE


def test_a_late_reading_is_late_for_its_device_and_no_other_reading_is(simulation, received):
    """By the rule of the ordering buffer: the device's own clock is past it by the bound."""
    first = sorted((times[0], *key) for key, times in received.arrivals.items())
    newest: dict[str, int] = {}
    behind = []
    for _, device, event_time in first:
        behind.append(newest.get(device, event_time) - event_time)
        newest[device] = max(newest.get(device, event_time), event_time)
    behind = np.array(behind)
    for bound in (simulation.disorder * 1e6, 10e6, 20e6):
        assert (behind > bound).sum() == received.truth.late
    in_time = behind <= simulation.disorder * 1e6
    assert received.truth.out_of_order == ((behind > 0) & in_time).sum() > 0


def test_a_late_reading_is_overtaken_by_three_others_even_on_a_slow_and_broken_line(rough):
    seen = defaultdict(list)
    late = 0
    for first, device, event_time in sorted((t[0], *key) for key, t in rough.arrivals.items()):
        if first - event_time > 10e6:
            late += 1
            assert sum(other > event_time + 20e6 for other in seen[device]) >= 3
        seen[device].append(event_time)
    assert late == rough.truth.late > 100


def test_a_duplicate_is_the_same_reading_within_a_minute_of_the_first(received):
    twice = {key: times for key, times in received.arrivals.items() if len(times) > 1}
    assert twice
    for key, times in twice.items():
        assert len(times) == 2
        assert 0 < times[1] - times[0] <= MINUTE
        assert len(received.readings[key]) == 1


def test_most_duplicates_are_equal_bytes_and_some_write_the_time_otherwise():
    stream = simulate(Simulation(devices=6, hours=2.0, malformed=0, gathered=0, duplicates=0.1))
    again = len(stream.payloads) - len(set(stream.payloads))
    assert 0.5 * stream.truth.duplicates < again < stream.truth.duplicates


def test_readings_without_message_ids_exist_and_ids_are_never_shared(received):
    ids = [next(iter(found)).message_id for found in received.readings.values()]
    given = [one for one in ids if one is not None]
    assert 0 < len(given) < len(ids)
    assert len(set(given)) == len(given)


def test_event_times_lie_in_the_simulated_time_and_values_within_physical_limits(received):
    times = np.array([event_time for _, event_time in received.readings])
    assert received.truth.start <= times.min()
    assert times.max() < received.truth.end
    # `parse_payload` refuses values beyond the limits, so all readings keep them: count devices.
    assert len(received.by_device) == received.truth.devices


def test_no_payload_holds_a_newline(received):
    assert not any(b"\n" in payload for payload in received.stream.payloads)


def test_messages_gives_the_same_one_by_one(simulation, received):
    pairs = list(messages(simulation))
    assert [payload for _, payload in pairs] == received.stream.payloads
    assert [arrival for arrival, _ in pairs] == received.stream.arrival_time.tolist()


@settings(max_examples=25)
@given(
    devices=st.integers(1, 9),
    sites=st.integers(1, 9),
    hours=st.floats(0.01, 1.0),
    cadence=st.sampled_from([1.0, 7.5, 60.0, 900.0]),
    share=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 1000),
)
def test_the_account_balances_for_any_small_fleet(devices, sites, hours, cadence, share, seed):
    simulation = Simulation(
        devices=devices,
        sites=sites,
        hours=hours,
        cadence=max(cadence, hours * 3600 / 200),
        jitter=0.3,
        duplicates=share,
        late=share,
        malformed=share,
        gathered=share,
        missing=share,
        faulty=0,
        seed=seed,
    )
    truth = simulate(simulation).truth
    assert truth.items == truth.readings + truth.duplicates + sum(truth.malformed.values())
    assert truth.readings + sum(truth.malformed.values()) == (
        devices * simulation.readings_per_device
    )
