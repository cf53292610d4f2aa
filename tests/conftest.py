"""What every test may need."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from eddyline.pipeline.live.child import Lost
from eddyline.pipeline.live.emulators import start_pubsub

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


@pytest.fixture(scope="session")
def prism() -> Path:
    """The binary of Prism."""
    from eddyline.pipeline.prism import NoPrism, find_prism  # takes Beam's seconds

    try:
        found = find_prism()
    except NoPrism as reason:
        pytest.skip(str(reason))
    if found is None:
        pytest.skip("needs Prism: make prism, or EDDYLINE_PRISM=path")
    return found


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Google's Pub/Sub emulator."""
    try:
        child, port = start_pubsub(tmp_path_factory.mktemp("pubsub") / "emulator.log")
    except Lost as reason:
        pytest.skip(str(reason))
    yield f"127.0.0.1:{port}"
    child.end()
