"""Running the real job in a test, and counting what it wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from eddyline.io.lake.read import open_table
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import Ended, prepare
from eddyline.pipeline.settings import settings_of

RunJob = Callable[..., Ended]


@pytest.fixture
def run_job() -> RunJob:
    """Run the job to its end on FnApiRunner."""

    def run(read: Any = None, **given: Any) -> Ended:
        options = beam_options([], runner="FnApiRunner")
        settings = settings_of(given)
        prepared = prepare(settings, options, read) if read else prepare(settings, options)
        return prepared.run()

    return run


@pytest.fixture
def rows_of() -> Callable[[Path, str], pa.Table]:
    """All committed rows of a table."""

    def rows(lake: Path, table: str) -> pa.Table:
        return open_table(str(lake), table).to_pyarrow_table()

    return rows
