import numpy as np
import pytest

from benchmarks.quality.picture import draw_examples, labelled_course
from benchmarks.quality.sets import DataSet, Device, Missing
from eddyline.detectors.channel import Channel
from eddyline.detectors.density.season import NO_TIME

CELSIUS = Channel("temperature", -40.0, 85.0, unit="°C")


def dataset(time, **more):
    values = 20.0 + np.round(np.random.default_rng(1).normal(size=(400, 1)), 2)
    label = np.zeros(400, bool)
    label[[310, 311, 312, 350]] = True
    return DataSet("set", "rows", (CELSIUS,), (Device("a", time, values, label, **more),))


TIMED = 60_000_000 * np.arange(400, dtype=np.int64)


def test_labels_are_drawn_where_incidents_are():
    course = labelled_course(dataset(TIMED), 0)
    assert [(t.start, t.end) for t in course.troubles] == [
        (TIMED[310], TIMED[312]),
        (TIMED[350], TIMED[350]),
    ]
    assert (course.told, course.device) == ("labels", "set, a")


def test_windows_are_drawn_in_place_of_labels():
    course = labelled_course(dataset(TIMED, windows=((5, 20),)), 0)
    assert [(t.start, t.end) for t in course.troubles] == [(TIMED[5], TIMED[20])]


def test_readings_without_a_time_are_drawn_one_a_second():
    course = labelled_course(dataset(np.full(400, NO_TIME)), 0)
    assert course.time[[0, -1]].tolist() == [0, 399_000_000]
    assert any("no times" in note for note in course.notes)


def test_a_set_that_is_not_here_is_left_out(tmp_path, monkeypatch):
    def missing():
        raise Missing("not here")

    sets = {"here": lambda: dataset(TIMED), "gone": missing}
    monkeypatch.setattr("benchmarks.quality.picture.SETS", sets)
    written = draw_examples(tmp_path, (("gone", 0), ("here", 0)))
    assert [path.name for path in written] == ["here-0.svg"]
    assert "temperature (°C)" in written[0].read_text()


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(IndexError):
        labelled_course(dataset(TIMED), 1)
