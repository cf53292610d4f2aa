import os
import subprocess
import sys

import numpy as np
import pytest

from eddyline.detectors import shipped_forests
from eddyline.detectors.forest import build_forest, grow_forest
from eddyline.detectors.ship_forests import default_forests, ship_forests
from eddyline.detectors.shipped_forests import find_shipped

# The default detector in a process that has no River; uncompiled, since compiling takes longer.
WITHOUT_RIVER = """
import sys
sys.modules["river"] = None
import numpy as np
from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Density
for channels in range(1, 9):
    detector = Density(tuple(Channel(str(n), 0.0, 1.0) for n in range(channels)))
    state = detector.new(1)
    detector.observe(state, np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros((1, channels)))
"""


@pytest.fixture
def unread():
    shipped_forests._shipped.cache_clear()
    yield
    shipped_forests._shipped.cache_clear()


@pytest.mark.parametrize("wanted", default_forests(), ids=lambda wanted: len(wanted.features))
def test_the_shipped_trees_are_those_that_river_builds(wanted):
    shipped, grown = find_shipped(wanted), grow_forest(wanted)
    assert shipped is not None
    for ours, rivers in zip(shipped, grown, strict=True):
        assert ours.dtype == rivers.dtype
        np.testing.assert_array_equal(ours, rivers)


def test_the_default_detector_starts_without_river():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", WITHOUT_RIVER], check=True, env=environment)


def test_a_forest_of_shipped_trees_is_read_only_like_any_other():
    wanted = default_forests()[0]
    forest = build_forest(*wanted[:2], n_trees=10, height=6, seed=42)
    with pytest.raises(ValueError, match="read-only"):
        forest.threshold[0, 1] = 0.5


@pytest.mark.parametrize("other", [{"seed": 43}, {"height": 5}, {"n_trees": 9}])
def test_other_trees_are_not_taken_from_what_is_shipped(other):
    assert find_shipped(default_forests()[0]._replace(**other)) is None


def test_shipping_again_gives_the_file_that_is_there(tmp_path, unread):
    (tmp_path / "forests_0123456789abcdef.npz").write_bytes(b"older")
    written = ship_forests(tmp_path)
    assert list(tmp_path.iterdir()) == [written]
    here = next(shipped_forests.files("eddyline.detectors").glob("forests_*.npz"))
    assert (written.name, written.read_bytes()) == (here.name, here.read_bytes())


def test_a_damaged_file_is_refused(tmp_path, unread, monkeypatch):
    written = ship_forests(tmp_path)
    written.write_bytes(written.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(shipped_forests, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="its content is not what its name promises"):
        find_shipped(default_forests()[0])


def test_without_the_file_river_builds_them(tmp_path, unread, monkeypatch):
    monkeypatch.setattr(shipped_forests, "files", lambda _: tmp_path)
    assert find_shipped(default_forests()[0]) is None
