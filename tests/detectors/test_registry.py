from pathlib import Path

import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import DETECTORS, make_detector

TEMPERATURE = Channel("temperature", -40.0, 85.0)
HUMIDITY = Channel("humidity", 0.0, 100.0, "long")
LIGHT = Channel("light", 0.0, 1.0, "boolean")
NEEDED = {"pretrained": {"model": str(Path(__file__).with_name("golden") / "pretrained_v1.onnx")}}


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_is_made_by_the_name_it_has(name):
    detector = make_detector(name, [TEMPERATURE, HUMIDITY, LIGHT], **NEEDED.get(name, {}))
    assert detector.name == name
    assert detector.channels == (TEMPERATURE, HUMIDITY, LIGHT)


def test_an_unknown_name_is_told_the_choices():
    with pytest.raises(ValueError, match=r"'river' is unknown, choose from .*half_space_trees"):
        make_detector("river", [TEMPERATURE])


def test_an_unknown_setting_is_told_the_choices():
    with pytest.raises(ValueError, match=r"no setting 'windows', choose from threshold, window$"):
        make_detector("moving_average", [TEMPERATURE], windows=3)
    with pytest.raises(ValueError, match="no setting 'name'"):
        make_detector("moving_average", [TEMPERATURE], name="mine")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (("", 0.0, 1.0), "the name is empty"),
        (("t", 1.0, 1.0), "finite and ascending"),
        (("t", 0.0, float("nan")), "finite and ascending"),
        (("t", 0.0, float("inf")), "finite and ascending"),
        (("t", -1e308, 1e308), "finite and ascending"),
        (("t", 0.0, 1.0, "string"), "'string' is none of"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        Channel(*fields)
