import numpy as np
import pytest

from benchmarks.quality import sets
from benchmarks.quality.metrics import runs


def loaded(name):
    try:
        return sets.load(name)
    except sets.Missing as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", sets.CATALOG)
def test_a_set_is_whole(name):
    dataset = loaded(name)
    assert dataset.devices
    for device in dataset.devices:
        rows = len(device.event_time)
        assert device.values.shape == (rows, len(dataset.channels))
        assert len(device.label) == rows
        assert (np.diff(device.event_time) >= 0).all()
        assert not np.isinf(device.values).any()
    if dataset.judged == "rows":
        assert any(device.label.any() for device in dataset.devices)
    if dataset.judged == "normal":
        assert not any(device.label.any() or device.windows for device in dataset.devices)


def test_nab_has_its_58_series_and_116_windows_in_the_rows_they_name():
    dataset = loaded("nab")
    assert len(dataset.devices) == 58
    assert sum(len(device.windows) for device in dataset.devices) == 116
    device = next(one for one in dataset.devices if one.name.endswith("art_daily_jumpsup.csv"))
    ((first, last),) = device.windows
    edges = np.array([device.event_time[first], device.event_time[last]]).astype("M8[us]")
    assert edges.astype("M8[m]").astype(str).tolist() == ["2014-04-10T16:15", "2014-04-12T01:45"]


def test_a_missing_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sets, "DATA", tmp_path)
    with pytest.raises(sets.Missing, match=r"no nab/windows\.json in \.\./shared/data"):
        sets.nab()


def test_the_water_flow_has_the_four_segments_that_river_tells_of():
    device = sets.water_flow().devices[0]
    segments = runs(device.label)
    assert len(segments) == 4
    # "3 low value moments", "a small peak ... after the first 2 segments".
    high = [bool(device.values[start, 0] > 100.0) for start, _ in segments]
    assert high == [False, False, True, False]
