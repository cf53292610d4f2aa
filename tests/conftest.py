"""What every test may need."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from hypothesis import settings

from eddyline.pipeline.live.child import Lost
from eddyline.pipeline.live.emulators import start_pubsub

# How long an example takes says how busy the machine is.
settings.register_profile("eddyline", deadline=None)
settings.load_profile("eddyline")

REGION = "eu-central-1"
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


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an AWS on loopback."""
    from moto.server import ThreadedMotoServer  # takes seconds

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some that a client of AWS takes, and a region; nothing of a developer's own."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),  # what boto3 itself looks at
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws(moto: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An empty AWS, which the environment names; gives a client of a service of it."""
    urlopen(Request(f"{moto}/moto-api/reset", method="POST"), timeout=10).close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    return boto3.client


@pytest.fixture
def bucket(aws: Callable[[str], Any], tmp_path: Path) -> str:
    """The name of an empty bucket of S3."""
    name = tmp_path.name.replace("_", "-").strip("-").lower()
    place = {"LocationConstraint": REGION}
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return name
