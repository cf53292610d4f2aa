"""Durations as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.duration import Seconds, spell


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061), ("0.5s", 0.5),
     (90, 90), (0.25, 0.25), (0, 0), ("0s", 0)],
)  # fmt: skip
def test_a_duration_is_read_as_it_is_meant(written, seconds):
    assert Seconds.of(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "90", "s", "1m1h", "1.5h", "-1s", "1 h", "1H", "soon",
     None, True, -1, math.inf, math.nan, [], {}],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_what_to_write(written):
    with pytest.raises(ValueError, match=r'is no duration: .* "90s", "10m", "1h30m"'):
        Seconds.of(written)


@given(st.integers(0, 10_000_000))
def test_what_is_spelled_is_read_back(seconds):
    assert Seconds.of(spell(seconds)) == seconds
