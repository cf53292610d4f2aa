import numpy as np
import pytest

from eddyline.io.simulate import QUANTITIES, Simulation, simulate
from eddyline.io.simulate.faults import KINDS

NAMES = [quantity.name for quantity in QUANTITIES]
HOUR = 3_600_000_000


def around(received, fault):
    """The channel's values before (at most 100), in and after the fault, by event time."""
    rows = received.by_device[fault.device_id]
    channel = NAMES.index(fault.channel)
    times = np.array([time for time, _ in rows])
    values = np.array([np.nan if v[channel] is None else v[channel] for _, v in rows])
    whole = ~np.isnan(values)
    times, values = times[whole], values[whole]
    return (
        values[times < fault.start][-100:],
        values[(times >= fault.start) & (times <= fault.end)],
        values[times > fault.end],
    )


def of_kind(received, kind):
    faults = [fault for fault in received.truth.faults if fault.kind == kind]
    assert len(faults) == 3
    return faults


def test_every_kind_is_planted_and_no_device_has_two(simulation, received):
    faults = received.truth.faults
    assert len(faults) == round(simulation.faulty * simulation.devices)
    assert {fault.kind for fault in faults} == set(KINDS)
    assert len({fault.device_id for fault in faults}) == len(faults)
    assert list(faults) == sorted(faults, key=lambda fault: fault.start)


def test_the_warm_up_is_without_faults_and_all_end_in_the_simulated_time(simulation, received):
    for fault in received.truth.faults:
        assert fault.start >= received.truth.start + simulation.warm_up * HOUR
        assert fault.start <= fault.end < received.truth.end


def test_spikes_are_short_and_the_others_30_to_90_minutes(received):
    for fault in received.truth.faults:
        minutes = (fault.end - fault.start) / 60e6
        if fault.kind == "spike":
            assert minutes <= 1.1
        elif fault.kind == "silence":
            assert minutes >= 29
        else:
            assert 29 <= minutes <= 91


def test_a_spike_is_far_off_whole_and_over(received):
    for fault in of_kind(received, "spike"):
        before, inside, after = around(received, fault)
        assert 1 <= len(inside) <= 6
        assert np.all(np.abs(inside - before.mean()) > 20 * before.std())
        assert np.all(np.sign(inside - before.mean()) == np.sign(fault.magnitude))
        assert np.abs(after[:6] - before.mean()).max() < 0.3 * abs(fault.magnitude)


def test_the_transport_harms_no_reading_of_a_spike(rough):
    spikes = [fault for fault in rough.truth.faults if fault.kind == "spike"]
    assert len(spikes) == 8
    for fault in spikes:
        rows = rough.by_device[fault.device_id]
        inside = [(time, values) for time, values in rows if fault.start <= time <= fault.end]
        times = [time for time, _ in inside]
        assert (times[0], times[-1]) == (fault.start, fault.end)
        assert len(times) == 1 or max(np.diff(times)) <= 66e6
        assert all(None not in values for _, values in inside)
        assert all(rough.arrivals[fault.device_id, time][0] <= time + 8e6 for time in times)


def test_a_stuck_channel_has_no_variance_and_stays_at_what_it_last_said(received):
    for fault in of_kind(received, "stuck"):
        before, inside, after = around(received, fault)
        assert len(inside) > 150
        assert np.ptp(inside) == 0
        assert abs(inside[0] - before[-5:].mean()) < 4 * before.std() + 0.1
        assert np.ptp(before) > 0
        assert np.ptp(after[:50]) > 0


def test_only_the_stuck_channel_is_stuck(received):
    for fault in of_kind(received, "stuck"):
        for name in NAMES:
            other = fault._replace(channel=name)
            assert (np.ptp(around(received, other)[1]) == 0) == (name == fault.channel)


def test_a_bias_shifts_by_its_magnitude_from_its_first_reading_to_its_last(received):
    for fault in of_kind(received, "bias"):
        before, inside, after = around(received, fault)
        assert inside[0] - before[-1] == pytest.approx(fault.magnitude, rel=0.5)
        assert inside[:100].mean() - before.mean() == pytest.approx(fault.magnitude, rel=0.3)
        assert after[0] - inside[-1] == pytest.approx(-fault.magnitude, rel=0.5)


def test_a_drift_begins_at_nothing_and_ends_at_its_magnitude(received):
    for fault in of_kind(received, "drift"):
        before, inside, after = around(received, fault)
        assert abs(inside[0] - before[-5:].mean()) < 6 * before.std()
        assert inside[-1] - after[:10].mean() == pytest.approx(fault.magnitude, rel=0.25)
        thirds = [part.mean() for part in np.array_split(inside, 3)]
        assert np.all(np.sign(np.diff(thirds)) == np.sign(fault.magnitude))


def test_noise_is_many_times_the_usual(received):
    for fault in of_kind(received, "noise"):
        before, inside, after = around(received, fault)
        usual = np.diff(before).std()
        assert np.diff(inside).std() > 4 * usual
        assert np.diff(after[:100]).std() < 2 * usual


def test_silence_is_silence_and_some_devices_return(received):
    returned = []
    for fault in of_kind(received, "silence"):
        assert fault.channel is None
        times = np.array([time for time, _ in received.by_device[fault.device_id]])
        assert not np.any((times >= fault.start) & (times <= fault.end))
        assert np.any(times < fault.start)
        returned.append(bool(np.any(times > fault.end)))
    assert any(returned)


def test_a_silent_device_may_stay_away():
    truth = simulate(Simulation(devices=60, hours=3.0, cadence=60.0, faulty=1.0)).truth
    cadence = 60_000_000
    gone = [f for f in truth.faults if f.kind == "silence" and f.end > truth.end - 2 * cadence]
    assert 1 <= len(gone) < 10


def test_without_faults_nothing_is_planted():
    assert simulate(Simulation(devices=3, hours=0.5, faulty=0)).truth.faults == ()
