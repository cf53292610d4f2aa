"""SIGKILL between every two steps of the two-phase commit; the rows are audited by id."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eddyline.io.lake.read import open_table

ENGINE = Path(__file__).with_name("small_engine.py")
POINTS = (
    "file written",
    "numbered",
    "before checkpoint",
    "after checkpoint",
    "before commit",
    "after commit",
)


@pytest.mark.job
@pytest.mark.parametrize("durability", ["bundle", "checkpoint"])
def test_killed_between_any_two_steps_every_row_is_there_once(tmp_path, ids, durability):
    lake, rows = str(tmp_path), 3000
    points = (*POINTS, "told") if durability == "checkpoint" else POINTS
    kills = [(point, count) for count in (2, 3) for point in points] + [("", 0)]
    ended = subprocess.run(
        [sys.executable, ENGINE, lake, durability, str(rows), json.dumps(kills)],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    codes = json.loads(ended.stdout)
    assert set(codes) == {0, -9}, ended.stderr
    assert codes.count(-9) >= 9
    assert codes[-1] == 0
    assert ids(open_table(lake, "readings")) == list(range(rows))
