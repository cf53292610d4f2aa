import numpy as np

from eddyline.io.simulate import QUANTITIES, Simulation
from eddyline.io.simulate.fleet import MODELS, draw_fleet
from eddyline.io.simulate.signals import healthy

SIMULATION = Simulation(devices=20, sites=4, hours=4.0, faulty=0)
FLEET = draw_fleet(SIMULATION)
SIGNALS = healthy(SIMULATION, FLEET)


def test_a_device_never_goes_back_in_time_and_keeps_its_cadence():
    gaps = np.diff(SIGNALS.event_time, axis=1) / 1e6
    assert gaps.min() > 0
    assert np.abs(gaps - SIMULATION.cadence).max() <= 2 * SIMULATION.jitter + 0.001
    assert np.all(SIGNALS.event_time % 1000 == 0)


def test_devices_differ_in_level_and_noise():
    assert np.all(np.ptp(FLEET.level, axis=0) > [5, 10, 5])
    assert np.all(FLEET.noise.max(axis=0) > 1.3 * FLEET.noise.min(axis=0))


def test_noise_is_above_the_quantum_so_that_no_healthy_channel_looks_stuck():
    assert np.all(FLEET.noise >= 0.6 * FLEET.quantum)


def test_devices_of_a_site_share_their_weather():
    pressure = SIGNALS.values[:, :, [q.name for q in QUANTITIES].index("pressure")]
    smooth = pressure.reshape(20, -1, 30).mean(axis=2)
    smooth -= smooth.mean(axis=1, keepdims=True)
    together = np.corrcoef(smooth)
    same = (FLEET.site[:, None] == FLEET.site) & ~np.eye(20, dtype=bool)
    assert together[same].mean() > 0.7
    assert together[same].mean() > together[FLEET.site[:, None] != FLEET.site].mean() + 0.2


def test_an_opened_door_is_felt_and_passes():
    assert SIGNALS.doors
    temperature = SIGNALS.values[:, :, 0]
    for door in SIGNALS.doors:
        device = FLEET.device_id.index(door.device_id)
        minutes = (SIGNALS.event_time[device] - door.start) / 60e6
        before = temperature[device, (minutes > -3) & (minutes <= 0)]
        felt = temperature[device, (minutes > 2) & (minutes < 4)]
        if len(before) > 10 and len(felt) > 5:
            assert felt.mean() < before.mean() - 0.15


def test_every_model_is_in_a_fleet_of_twenty():
    assert {model.name for model in FLEET.model} == {model.name for model in MODELS}


def test_more_sites_than_names_is_fine():
    fleet = draw_fleet(Simulation(devices=30, sites=9, faulty=0))
    assert len(set(fleet.site_name)) == 9
    assert len(set(fleet.device_id)) == 30
