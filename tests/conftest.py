"""What every test may need."""

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("eddyline", deadline=None)
settings.load_profile("eddyline")

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the checkout; a user's clone has none."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data, which lies beside the team's checkouts")
    return SHARED.resolve()
